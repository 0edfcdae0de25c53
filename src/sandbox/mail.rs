//! The sandbox's mail server: RFC 5321 on loopback, as strict as the strictest. It shares no code with the client.

use std::{
    io,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::{
    post::{LARGEST, Step, Trouble},
    state::{State, lock},
};

/// The longest line that it takes, in bytes: a login's may be as long.
const MAX_LINE: u64 = 12_288;

/// What it has heard of a mail so far.
#[derive(Debug, Default)]
struct Begun {
    from: Option<String>,
    recipients: Vec<String>,
    eight_bit: bool,
    utf8: bool,
}

struct Conversation {
    stream: BufReader<TcpStream>,
    state: Arc<Mutex<State>>,
    greeted: bool,
    logged_in: bool,
    begun: Begun,
}

/// Serves one connection. Whatever ends it early is the client's business, or a fault.
pub(super) async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let conversation = Conversation {
        stream: BufReader::new(stream),
        state,
        greeted: false,
        logged_in: false,
        begun: Begun::default(),
    };
    let _ended = conversation.talk().await;
}

fn closed() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

impl Conversation {
    async fn talk(mut self) -> io::Result<()> {
        self.answer(Step::Connect, "220 sandbox.localhost ESMTP").await?;
        loop {
            let line = self.line().await?;
            let Ok(line) = String::from_utf8(line) else {
                self.say("500 5.5.2 That is no text").await?;
                continue;
            };
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" | "HELO" => self.hello(rest).await?,
                "AUTH" => self.login(rest).await?,
                "MAIL" => self.sender(rest).await?,
                "RCPT" => self.recipient(rest).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.begun = Begun::default();
                    self.say("250 2.0.0 Forgotten").await?;
                }
                "NOOP" => self.say("250 2.0.0 Ok").await?,
                "QUIT" => return self.say("221 2.0.0 Bye").await,
                _ => self.say("502 5.5.1 Unknown command").await?,
            }
        }
    }

    /// One line, which must end as lines do.
    async fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut line).await?;
            if read == 0 {
                return Err(closed());
            }
            match line.strip_suffix(b"\r\n") {
                Some(line) if !line.contains(&b'\r') => return Ok(line.to_vec()),
                Some(_) | None => self.say("500 5.5.2 Lines end with CR LF, and before 12288 bytes").await?,
            }
        }
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await
    }

    /// Answers as it should, unless something goes wrong; says whether it was as it should.
    async fn answer(&mut self, step: Step, well: &str) -> io::Result<bool> {
        let trouble = lock(&self.state).post.next(step);
        self.troubled(step, trouble, well).await
    }

    async fn troubled(&mut self, step: Step, trouble: Option<Trouble>, well: &str) -> io::Result<bool> {
        match trouble {
            None => self.say(well).await.map(|()| true),
            Some(Trouble::Code(code)) => {
                self.say(&format!("{code} {}.0.0 A fault of the sandbox", code / 100)).await?;
                if step == Step::Connect || code == 421 { Err(closed()) } else { Ok(false) }
            }
            Some(Trouble::Garbage) => self.say("<html>").await.map(|()| false),
            Some(Trouble::Hang | Trouble::HangAfter) => {
                // Until the client has had enough.
                tokio::io::copy(&mut self.stream, &mut tokio::io::sink()).await?;
                Err(closed())
            }
            Some(Trouble::Cut | Trouble::CutAfter) => Err(closed()),
        }
    }

    async fn hello(&mut self, name: &str) -> io::Result<()> {
        if name.is_empty() {
            return self.say("501 5.5.4 Who is it?").await;
        }
        let login = if lock(&self.state).post.config.password.is_some() { "250-AUTH PLAIN LOGIN\r\n" } else { "" };
        let offers = format!(
            "250-sandbox.localhost\r\n250-SIZE {LARGEST}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n{login}250 ENHANCEDSTATUSCODES"
        );
        self.begun = Begun::default();
        self.greeted = self.answer(Step::Hello, &offers).await?;
        Ok(())
    }

    async fn login(&mut self, rest: &str) -> io::Result<()> {
        let Some(password) = lock(&self.state).post.config.password.clone() else {
            return self.say("503 5.5.1 Nobody logs in here").await;
        };
        if self.logged_in || !self.greeted || self.begun.from.is_some() {
            return self.say("503 5.5.1 Not now").await;
        }
        let mut words = rest.split(' ');
        let given = match (words.next().unwrap_or_default().to_ascii_uppercase().as_str(), words.next()) {
            ("PLAIN", Some(word)) => decoded(word.as_bytes()),
            ("PLAIN", None) => {
                self.say("334 ").await?;
                decoded(&self.line().await?)
            }
            ("LOGIN", None) => {
                self.say("334 VXNlcm5hbWU6").await?;
                let user = decoded(&self.line().await?);
                self.say("334 UGFzc3dvcmQ6").await?;
                let word = decoded(&self.line().await?);
                user.zip(word).map(|(user, word)| format!("\0{user}\0{word}"))
            }
            _ => return self.say("504 5.5.4 No such way to log in").await,
        };
        let Some(given) = given else { return self.say("501 5.5.2 That is no base64 of a text").await };
        let mut parts = given.split('\0');
        let is_right = matches!((parts.next(), parts.next(), parts.next(), parts.next()), (Some(_), Some(user), Some(word), None) if !user.is_empty() && word == password);
        if !is_right {
            return self.say("535 5.7.8 Wrong user or password").await;
        }
        self.logged_in = self.answer(Step::Login, "235 2.7.0 Welcome").await?;
        Ok(())
    }

    async fn sender(&mut self, rest: &str) -> io::Result<()> {
        if !self.greeted || self.begun.from.is_some() {
            return self.say("503 5.5.1 Not now").await;
        }
        if lock(&self.state).post.config.password.is_some() && !self.logged_in {
            return self.say("530 5.7.0 Log in first").await;
        }
        let Some((from, parameters)) = address(rest, "FROM:") else {
            return self.say("501 5.1.7 That is no sender").await;
        };
        let mut begun = Begun::default();
        for parameter in parameters.split(' ').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match (name.to_ascii_uppercase().as_str(), value) {
                ("SIZE", size) => match size.parse::<usize>() {
                    Ok(size) if size <= LARGEST => {}
                    Ok(_) => return self.say("552 5.3.4 Too large").await,
                    Err(_no_number) => return self.say("501 5.5.4 That is no size").await,
                },
                ("BODY", "8BITMIME") => begun.eight_bit = true,
                ("BODY", "7BIT") => {}
                ("SMTPUTF8", "") => begun.utf8 = true,
                _ => return self.say("555 5.5.4 Unknown parameter").await,
            }
        }
        if !from.is_ascii() && !begun.utf8 {
            return self.say("553 5.6.7 That address needs SMTPUTF8").await;
        }
        if self.answer(Step::Sender, "250 2.1.0 Ok").await? {
            self.begun = Begun { from: Some(from), ..begun };
        }
        Ok(())
    }

    async fn recipient(&mut self, rest: &str) -> io::Result<()> {
        let Some(from) = self.begun.from.clone() else { return self.say("503 5.5.1 From whom?").await };
        let Some((to, "")) = address(rest, "TO:") else { return self.say("501 5.1.3 That is no recipient").await };
        if to.is_empty() || (!to.is_ascii() && !self.begun.utf8) {
            return self.say("553 5.6.7 That address needs SMTPUTF8").await;
        }
        #[expect(clippy::disallowed_methods, reason = "the mail server has a clock of its own")]
        let now = std::time::Instant::now();
        let greylisted = lock(&self.state).post.is_greylisted(&from, &to, now);
        if greylisted {
            return self.say("450 4.7.1 Greylisted, come back later").await;
        }
        if self.answer(Step::Recipient, "250 2.1.5 Ok").await? {
            self.begun.recipients.push(to);
        }
        Ok(())
    }

    async fn data(&mut self) -> io::Result<()> {
        if self.begun.recipients.is_empty() {
            return self.say("503 5.5.1 For whom?").await;
        }
        if !self.answer(Step::Data, "354 Go ahead").await? {
            return Ok(());
        }
        let (data, complaint) = self.text().await?;
        let begun = std::mem::take(&mut self.begun);
        let complaint = complaint
            .or_else(|| (!data.is_ascii() && !begun.eight_bit).then_some("554 5.6.3 Text beyond ASCII needs 8BITMIME"));
        if let Some(complaint) = complaint {
            return self.say(complaint).await;
        }
        let trouble = {
            let mut state = lock(&self.state);
            let trouble = state.post.next(Step::Dot);
            if matches!(trouble, None | Some(Trouble::HangAfter | Trouble::CutAfter | Trouble::Garbage)) {
                state.post.keep(begun.from.as_deref().unwrap_or_default(), &begun.recipients, &data);
            }
            trouble
        };
        self.troubled(Step::Dot, trouble, "250 2.0.0 Taken").await.map(|_as_it_should| ())
    }

    /// The text up to the final dot, and what is wrong with it.
    async fn text(&mut self) -> io::Result<(Vec<u8>, Option<&'static str>)> {
        let (mut data, mut complaint) = (Vec::new(), None);
        loop {
            let mut line = Vec::new();
            let read = (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut line).await?;
            if read == 0 {
                return Err(closed());
            }
            if line == b".\r\n" {
                return Ok((data, complaint));
            }
            let whole = line.strip_suffix(b"\r\n").filter(|line| !line.contains(&b'\r'));
            match whole {
                None => complaint = Some("554 5.6.0 A line does not end with CR LF"),
                Some(line) if line.contains(&0) => complaint = Some("554 5.6.0 NUL in the text"),
                Some(line) if line.len() > 999 => complaint = Some("554 5.6.0 A line is too long"),
                Some(_) if data.len() + line.len() > LARGEST => complaint = Some("552 5.3.4 Too large"),
                Some(_) => data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line)),
            }
        }
    }
}

/// `FROM:<address>` and what follows it.
fn address<'l>(rest: &'l str, word: &str) -> Option<(String, &'l str)> {
    let begins = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let (address, after) = rest.get(word.len()..).filter(|_| begins)?.strip_prefix('<')?.split_once('>')?;
    let plain = !address.contains(|c: char| c.is_whitespace() || c.is_control() || c == '<');
    let named = address.is_empty()
        || address.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    (plain && named && (after.is_empty() || after.starts_with(' '))).then(|| (address.to_owned(), after))
}

fn decoded(word: &[u8]) -> Option<String> {
    String::from_utf8(STANDARD.decode(word).ok()?).ok()
}
