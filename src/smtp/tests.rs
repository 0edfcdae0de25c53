//! The whole client against a server that answers anything at any step: what each ending proves, in a table.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustls::{
    ClientConfig, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::*;
use crate::{lease::Lease, portal::Effect, secret::Secret};

/// What a server does at one step of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Say(&'static str),
    Cut,
    Hang,
}

/// A server's step, its farewell included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Greeting,
    Hello,
    Encrypt,
    Login,
    Reset,
    Sender,
    Recipient,
    Data,
    Dot,
    Quit,
}

/// What a server saw.
#[derive(Debug, Default)]
struct Seen {
    connections: u32,
    /// Everything that was said, line by line, but texts.
    lines: Vec<String>,
    /// Texts whose final dot came, as they came.
    texts: Vec<String>,
}

/// How a server behaves.
#[derive(Clone)]
struct Script {
    /// By number of connection, from 1, and of the step on it, from 1.
    odd: Arc<dyn Fn(u32, At, u32) -> Option<Act> + Send + Sync>,
    /// Offers STARTTLS, and AUTH behind it.
    tls: Option<Arc<ServerConfig>>,
    implicit: bool,
}

struct Server {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (watched, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut conversations = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let (stream, seen, script) = (stream.expect("a connection"), Arc::clone(&watched), script.clone());
                let number = {
                    let mut seen = seen.lock().expect("no panic");
                    seen.connections += 1;
                    seen.connections
                };
                conversations.push(std::thread::spawn(move || {
                    let talk = Talk { script: &script, number, seen: &seen, steps: [0; 10] };
                    talk.begin(stream);
                }));
            }
            for conversation in conversations {
                conversation.join().expect("no panic");
            }
        });
        Self { port, seen, stop, thread: Some(thread) }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().expect("no panic")
    }

    /// Ends it, once all conversations ended.
    fn end(mut self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        self.thread.take().expect("one").join().expect("no panic");
        std::mem::take(&mut *self.seen())
    }
}

struct Talk<'s> {
    script: &'s Script,
    number: u32,
    seen: &'s Mutex<Seen>,
    steps: [u32; 10],
}

/// The conversation is over.
struct Over;

impl Talk<'_> {
    fn begin(mut self, stream: TcpStream) {
        if self.script.implicit {
            let stream = self.encrypted(stream);
            let _over = self.talk(BufReader::new(stream), true);
            return;
        }
        let copy = stream.try_clone().expect("a stream");
        if self.talk(BufReader::new(stream), false).is_ok() {
            let stream = self.encrypted(copy);
            let _over = self.talk(BufReader::new(stream), true);
        }
    }

    fn encrypted(&self, stream: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
        let config = self.script.tls.clone().expect("a certificate");
        StreamOwned::new(ServerConnection::new(config).expect("a connection"), stream)
    }

    /// Answers a step as the script has it, or well.
    fn answer<S: Read + Write>(&mut self, stream: &mut BufReader<S>, at: At, well: &str) -> Result<(), Over> {
        self.steps[at as usize] += 1;
        let act = (self.script.odd)(self.number, at, self.steps[at as usize]);
        match act.unwrap_or(Act::Say("")) {
            Act::Say(said) => {
                let said = if said.is_empty() { well } else { said };
                stream.get_mut().write_all(format!("{said}\r\n").as_bytes()).map_err(|_gone| Over)?;
                stream.get_mut().flush().map_err(|_gone| Over)
            }
            Act::Cut => Err(Over),
            Act::Hang => {
                // Until the client has had enough.
                let _gone = std::io::copy(stream, &mut std::io::sink());
                Err(Over)
            }
        }
    }

    /// Until the connection is to be encrypted.
    fn talk<S: Read + Write>(&mut self, mut stream: BufReader<S>, encrypted: bool) -> Result<(), Over> {
        if !encrypted || self.script.implicit {
            self.answer(&mut stream, At::Greeting, "220 mail.example ESMTP")?;
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).unwrap_or(0) == 0 {
                return Err(Over);
            }
            let line = line.trim_end().to_owned();
            self.seen.lock().expect("no panic").lines.push(line.clone());
            match line.split(' ').next().unwrap_or_default() {
                "EHLO" if encrypted => {
                    self.answer_offers(&mut stream, "250-mail.example\r\n250-8BITMIME\r\n250 AUTH PLAIN")?;
                }
                "EHLO" if self.script.tls.is_some() => {
                    self.answer_offers(&mut stream, "250-mail.example\r\n250 STARTTLS")?;
                }
                "EHLO" => self.answer_offers(&mut stream, "250-mail.example\r\n250 SIZE 1000000")?,
                "STARTTLS" => {
                    self.answer(&mut stream, At::Encrypt, "220 go ahead")?;
                    return Ok(());
                }
                "AUTH" => self.answer(&mut stream, At::Login, "235 2.7.0 welcome")?,
                "RSET" => self.answer(&mut stream, At::Reset, "250 forgotten")?,
                "MAIL" => self.answer(&mut stream, At::Sender, "250 2.1.0 ok")?,
                "RCPT" => self.answer(&mut stream, At::Recipient, "250 2.1.5 ok")?,
                "DATA" => {
                    self.answer(&mut stream, At::Data, "354 go ahead")?;
                    let data = (self.script.odd)(self.number, At::Data, self.steps[At::Data as usize]);
                    if data.is_none() {
                        self.text(&mut stream)?;
                    }
                }
                "QUIT" => {
                    self.answer(&mut stream, At::Quit, "221 bye")?;
                    return Err(Over);
                }
                other => panic!("no command: {other}"),
            }
        }
    }

    /// Of a connection that is encrypted later, only the first EHLO counts.
    fn answer_offers<S: Read + Write>(&mut self, stream: &mut BufReader<S>, well: &str) -> Result<(), Over> {
        self.answer(stream, At::Hello, well)
    }

    fn text<S: Read + Write>(&mut self, stream: &mut BufReader<S>) -> Result<(), Over> {
        let mut text = String::new();
        loop {
            let before = text.len();
            if stream.read_line(&mut text).unwrap_or(0) == 0 {
                return Err(Over);
            }
            if &text[before..] == ".\r\n" {
                text.truncate(before);
                break;
            }
        }
        self.seen.lock().expect("no panic").texts.push(text);
        self.answer(stream, At::Dot, "250 2.0.0 queued")
    }
}

/// A certificate for localhost, in a server's hands and in a file.
fn certificate() -> (Arc<ServerConfig>, tempfile::TempDir, PathBuf) {
    crate::portal::install_crypto();
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("names");
    let certificate = certificate.self_signed(&key).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, certificate.pem()).expect("written");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).expect("a certificate");
    (Arc::new(config), folder, path)
}

fn access(url: &str, ca_file: Option<PathBuf>, timeout: Duration) -> Access {
    let password = Secret::password("password", "correct horse".to_owned()).expect("a password");
    Access { server: url.parse().expect(url), password: Some(password), timeout, ca_file }
}

fn mailer(url: &str, ca_file: Option<PathBuf>, timeout: Duration) -> Mailer {
    Mailer::new(access(url, ca_file, timeout)).expect("a mailer")
}

fn envelope() -> Envelope {
    Envelope { from: "it@a.example".parse().expect("one"), to: "anna@b.example".parse().expect("one") }
}

const MAIL: &[u8] = b"Subject: x\r\n\r\nHello.\r\n.\r\n..\r\nMAIL FROM:<x@y.example>\r\n";
const ARRIVES: &str = "Subject: x\r\n\r\nHello.\r\n..\r\n...\r\nMAIL FROM:<x@y.example>\r\n";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn plain(odd: impl Fn(u32, At, u32) -> Option<Act> + Send + Sync + 'static) -> Server {
    Server::start(Script { odd: Arc::new(odd), tls: None, implicit: false })
}

const AMPLE: Duration = Duration::from_secs(30);

fn to(server: &Server) -> Mailer {
    mailer(&format!("smtp://127.0.0.1:{}", server.port), None, AMPLE)
}

/// One letter an ending: `=` accepted, `n` not sent (`g` for good), `l` later for this one (`L` for everybody), refused for
/// this one's sake (`t`), the sender's (`s`) or everybody's (`a`), `?` in doubt.
fn letter_of(result: &Result<(), Fault>) -> char {
    match result {
        Ok(()) => '=',
        Err(Fault::NotSent { for_good: true, .. }) => 'g',
        Err(Fault::NotSent { .. }) => 'n',
        Err(Fault::Impossible { .. }) => 'i',
        Err(Fault::Later { scope: Scope::This, .. }) => 'l',
        Err(Fault::Later { scope: Scope::Everybody, .. }) => 'L',
        Err(Fault::Refused { whose: Whose::This, .. }) => 't',
        Err(Fault::Refused { whose: Whose::Sender, .. }) => 's',
        Err(Fault::Refused { whose: Whose::Everybody, .. }) => 'a',
        Err(Fault::Lost(_) | Fault::Strange { .. }) => '?',
    }
}

const ACTS: [Act; 17] = [
    Act::Say("250 ok"),
    Act::Say("299 what"),
    Act::Say("421 4.3.2 closing"),
    Act::Say("450 4.2.0 greylisted"),
    Act::Say("451 later"),
    Act::Say("452 4.3.1 no room"),
    Act::Say("500 what"),
    Act::Say("501 what"),
    Act::Say("530 5.7.0 who are you"),
    Act::Say("535 5.7.8 wrong"),
    Act::Say("550 no"),
    Act::Say("552 too large"),
    Act::Say("553 no such name"),
    Act::Say("554 no"),
    Act::Say("<html>"),
    Act::Cut,
    Act::Hang,
];

/// A row for each step, a column for each of `ACTS`.
const TABLE: [(At, &str); 10] = [
    //               250 299 421 450 451 452 500 501 530 535 550 552 553 554 <html> cut hang
    (At::Greeting, "n n L L L L a a a a a a a a n n n"),
    (At::Hello, "g n L L L L a a a a a a a a n n n"),
    (At::Encrypt, "n n L L L L a a a a a a a a n n n"),
    (At::Login, "n n L L L L a a a a a a a a n n n"),
    (At::Reset, "= = = = = = = = = = = = = = = = ="),
    (At::Sender, "= = L L L L a s a a s t s a n n n"),
    (At::Recipient, "= = L l l l a t a a t t t t n n n"),
    (At::Data, "n n L l l l a t a a t t t t n n n"),
    (At::Dot, "= ? L l l l t t a a t t t t ? ? ?"),
    (At::Quit, "= = = = = = = = = = = = = = = = ="),
];

/// One case of the table, encrypted by STARTTLS and logged in, or in the clear.
fn case(at: At, act: Act, tls: Option<(&Arc<ServerConfig>, &Arc<ClientConfig>)>) -> (Result<(), Fault>, Seen) {
    // What is odd is so on the first connection, and there once; for RSET the first recipient is refused.
    let odd = move |connection, step, nth| match step {
        At::Recipient if at == At::Reset && connection == 1 && nth == 1 => Some(Act::Say("550 5.1.1 nobody")),
        _ if step == at && connection == 1 && nth == 1 => Some(act),
        _ => None,
    };
    let script = Script { odd: Arc::new(odd), tls: tls.map(|(config, _)| Arc::clone(config)), implicit: false };
    let server = Server::start(script);
    // Enough for a machine that is busy, and no longer than anybody likes to wait.
    let patience = if act == Act::Hang { Duration::from_secs(1) } else { AMPLE };
    let mailer = match tls {
        Some((_, trust)) => {
            let access = access(&format!("smtp://it@localhost:{}", server.port), None, patience);
            Mailer::trusting(access, Some(Arc::clone(trust))).expect("a mailer")
        }
        None => mailer(&format!("smtp://127.0.0.1:{}", server.port), None, patience),
    };
    let result = runtime().block_on(async {
        if at == At::Reset {
            assert_eq!(letter_of(&mailer.deliver(&envelope(), MAIL).await), 't');
        }
        let result = mailer.deliver(&envelope(), MAIL).await;
        mailer.close().await;
        result
    });
    drop(mailer);
    (result, server.end())
}

#[test]
fn every_answer_at_every_step_proves_what_the_table_says() {
    let (config, _folder, ca) = certificate();
    let given = crate::trust::certificates(&ca).expect("a certificate");
    let trust = Arc::new(crate::trust::alone(given).expect("a setup"));
    let ways = [Some((&config, &trust)), None];
    std::thread::scope(|scope| {
        for (at, row) in TABLE {
            for tls in ways.into_iter().filter(|tls| tls.is_some() || !matches!(at, At::Encrypt | At::Login)) {
                scope.spawn(move || {
                    let letters = row.split(' ').map(|word| word.chars().next().expect("a letter"));
                    for (act, expected) in ACTS.into_iter().zip(letters) {
                        // Without a login an answer to EHLO that offers nothing is enough.
                        let enough = tls.is_none() && at == At::Hello && expected == 'g';
                        look_at(at, act, tls, if enough { '=' } else { expected });
                    }
                });
            }
        }
    });
}

fn look_at(at: At, act: Act, tls: Option<(&Arc<ServerConfig>, &Arc<ClientConfig>)>, expected: char) {
    let (result, seen) = case(at, act, tls);
    let told = format!("{at:?} {act:?} {}: {result:?}", if tls.is_some() { "encrypted" } else { "clear" });
    assert_eq!(letter_of(&result), expected, "{told}");
    // The server has seen a final dot just where the client knows that it had left.
    let dots = u32::try_from(seen.texts.len()).expect("few");
    assert_eq!(dots, u32::from(at == At::Dot || expected == '='), "{told}");
    assert!(seen.texts.iter().all(|text| text == ARRIVES), "{told}: {:?}", seen.texts);
    let effect = result.as_ref().err().map(Fault::effect);
    assert_eq!(effect == Some(Effect::Unknown), expected == '?', "{told}");
    let shown = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
    assert!(!shown.contains("correct"), "{shown}");
}

#[test]
fn many_mails_go_over_one_connection_and_it_is_left_politely_after_its_fill() {
    let server = plain(|_, _, _| None);
    let mailer = to(&server);
    runtime().block_on(async {
        for _ in 0..=MAILS_A_CONNECTION {
            mailer.deliver(&envelope(), MAIL).await.expect("accepted");
        }
        mailer.close().await;
    });
    let seen = server.end();
    assert_eq!((seen.connections, seen.texts.len()), (2, MAILS_A_CONNECTION as usize + 1));
    assert_eq!(seen.lines.iter().filter(|line| *line == "QUIT").count(), 2);
    assert!(!seen.lines.iter().any(|line| line == "RSET"), "nothing was begun and not ended");
}

/// As servers do that want no more on one connection, by a word or without.
#[test]
fn a_connection_that_the_server_is_done_with_is_replaced_without_a_fault() {
    for act in [Act::Say("421 4.7.0 too many mails"), Act::Cut] {
        let server = plain(move |connection, at, nth| (connection == 1 && at == At::Sender && nth == 3).then_some(act));
        let mailer = to(&server);
        runtime().block_on(async {
            for _ in 0..4 {
                mailer.deliver(&envelope(), MAIL).await.expect("accepted");
            }
        });
        drop(mailer);
        let seen = server.end();
        assert_eq!((seen.connections, seen.texts.len()), (2, 4), "{act:?}");
    }
}

#[test]
fn a_recipient_who_is_refused_costs_no_connection() {
    let server = plain(|_, at, nth| (at == At::Recipient && nth % 2 == 1).then_some(Act::Say("550 5.1.1 nobody")));
    let mailer = to(&server);
    let letters: String = runtime().block_on(async {
        let mut letters = String::new();
        for _ in 0..4 {
            letters.push(letter_of(&mailer.deliver(&envelope(), MAIL).await));
        }
        letters
    });
    drop(mailer);
    let seen = server.end();
    assert_eq!((letters.as_str(), seen.connections), ("t=t=", 1));
    assert_eq!(seen.lines.iter().filter(|line| *line == "RSET").count(), 2);
}

/// The process sleeps, or its ledger is gone, while the mail is on its way: the look comes right before the dot.
#[test]
fn no_final_dot_leaves_once_the_lease_is_over() {
    let clock = Arc::new(AtomicI64::new(0));
    let lease = Lease::fixed(Duration::from_secs(30), Arc::clone(&clock));
    lease.renew(0);
    let asleep = Arc::clone(&clock);
    let server = plain(move |_, at, nth| {
        if at == At::Data && nth == 2 {
            asleep.store(30_001, Ordering::SeqCst);
        }
        None
    });
    let mailer = to(&server).guarded_by(lease.clone());
    runtime().block_on(async {
        mailer.deliver(&envelope(), MAIL).await.expect("accepted");
        let fault = mailer.deliver(&envelope(), MAIL).await.expect_err("held back");
        let why = "this process was suspended, and its ledger may have gone to another run".to_owned();
        assert_eq!(fault, Fault::NotSent { why, for_good: false });
        // As the job does it: another intent, whose append renews the lease.
        lease.renew(30_001);
        mailer.deliver(&envelope(), MAIL).await.expect("accepted");
    });
    drop(mailer);
    let seen = server.end();
    assert_eq!((seen.connections, seen.texts.len()), (2, 2), "what was begun was not spoken on");
}

/// What somebody on the way writes behind the answer to STARTTLS would be taken for the server's (CVE-2011-0411).
#[test]
fn what_was_slipped_in_before_the_encryption_ends_the_connection() {
    let (config, _folder, ca) = certificate();
    let odd = |_, at, _| (at == At::Encrypt).then_some(Act::Say("220 go ahead\r\n250-mail.example\r\n250 AUTH PLAIN"));
    let server = Server::start(Script { odd: Arc::new(odd), tls: Some(config), implicit: false });
    let mailer = mailer(&format!("smtp://it@localhost:{}", server.port), Some(ca), AMPLE);
    let fault = runtime().block_on(mailer.deliver(&envelope(), MAIL)).expect_err("refused");
    assert!(
        matches!(&fault, Fault::NotSent { why, for_good: false } if why.contains("somebody on the way")),
        "{fault}"
    );
    drop(mailer);
    let seen = server.end();
    assert!(!seen.lines.iter().any(|line| line.starts_with("AUTH")), "{:?}", seen.lines);
}

#[test]
fn a_server_is_trusted_by_its_certificate_only() {
    let (config, _folder, ca) = certificate();
    let server = Server::start(Script { odd: Arc::new(|_, _, _| None), tls: Some(config), implicit: true });
    let port = server.port;
    let (deliver, look) = (
        |url: String, ca: Option<PathBuf>| runtime().block_on(mailer(&url, ca, AMPLE).deliver(&envelope(), MAIL)),
        |url: String, ca: Option<PathBuf>| runtime().block_on(mailer(&url, ca, AMPLE).look(Some(&envelope()))),
    );
    deliver(format!("smtps://it@localhost:{port}"), Some(ca.clone())).expect("accepted");
    let looked = look(format!("smtps://it@localhost:{port}"), Some(ca.clone()));
    assert_eq!(looked.opened, Ok(Opened { encryption: Some("TLS 1.3"), logged_in: true }));
    assert_eq!(looked.sender, Some(Ok(())));
    // Of nobody who is known, and of another name.
    for (url, ca) in
        [(format!("smtps://it@localhost:{port}"), None), (format!("smtps://it@127.0.0.1:{port}"), Some(ca))]
    {
        let fault = deliver(url.clone(), ca).expect_err("not trusted");
        assert!(matches!(fault, Fault::NotSent { for_good: true, .. }), "{url}: {fault:?}");
    }
    let seen = server.end();
    assert_eq!(seen.texts.len(), 1);
    // A port that speaks in the clear.
    let server = plain(|_, _, _| None);
    let fault = deliver(format!("smtps://localhost:{}", server.port), None).expect_err("no TLS");
    assert!(matches!(&fault, Fault::NotSent { why, for_good: false } if why.contains("give smtp://")), "{fault}");
    server.end();
}

#[test]
fn whoever_looks_sends_nothing() {
    let server = plain(|connection, at, _| match (connection, at) {
        (2, At::Sender) => Some(Act::Say("550 5.7.1 not you")),
        (3, At::Greeting) => Some(Act::Say("554 go away")),
        _ => None,
    });
    let mailer = to(&server);
    let looks = runtime().block_on(async {
        let mut looks = Vec::new();
        for _ in 0..3 {
            let look = mailer.look(Some(&envelope())).await;
            looks.push((look.opened.is_ok(), look.sender.as_ref().map(letter_of)));
        }
        looks
    });
    drop(mailer);
    assert_eq!(looks, [(true, Some('=')), (true, Some('a')), (false, None)]);
    let seen = server.end();
    assert!(!seen.lines.iter().any(|line| line == "DATA"), "{:?}", seen.lines);
    assert!(seen.texts.is_empty());
}

#[test]
fn a_password_that_a_server_tells_back_is_masked() {
    let (config, _folder, ca) = certificate();
    let odd = |_, at, _| (at == At::Login).then_some(Act::Say("535 no: AGl0AGNvcnJlY3QgaG9yc2U= is not correct horse"));
    let server = Server::start(Script { odd: Arc::new(odd), tls: Some(config), implicit: false });
    let mailer = mailer(&format!("smtp://it@localhost:{}", server.port), Some(ca), AMPLE);
    let fault = runtime().block_on(mailer.deliver(&envelope(), MAIL)).expect_err("refused").to_string();
    drop(mailer);
    server.end();
    assert_eq!(fault, "the mail server answered 535 to AUTH (\"no: [redacted] is not [redacted]\")");
}

#[test]
fn nobody_listening_is_not_sent() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let mailer = mailer(&format!("smtp://127.0.0.1:{port}"), None, AMPLE);
    let fault = runtime().block_on(mailer.deliver(&envelope(), MAIL)).expect_err("nobody");
    assert!(matches!(&fault, Fault::NotSent { why, for_good: false } if why.contains("cannot be reached")), "{fault}");
}
