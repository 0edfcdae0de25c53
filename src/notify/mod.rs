//! Telling somebody of a run who does not sit before it: by mail, or in a chat by its webhook.
//!
//! A notice is a courtesy: whatever becomes of it changes nothing. So it is tried a few times, only where nobody can have
//! been told by an earlier try, and never waited for long; whoever asks for the end again need not wait at all. What it says
//! is not decided here.

mod chat;
mod error;
mod target;

use std::{path::PathBuf, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{Timestamp, fmt::rfc2822, tz::TimeZone};

use self::{
    chat::Chat,
    error::{Untold, WHAT},
};
pub use self::{
    error::NotifyError,
    target::{NotATarget, Target},
};
use crate::{
    access,
    display::shown_path,
    environment::Environment,
    origin::ProxyAddress,
    portal::Effect,
    signals::{Signal, stop_signal},
    smtp::{self, Access, Envelope, Mailer, ServerSettings},
    user::Email,
};

/// The longest that one step may take: nobody waits for a courtesy.
const STEP: Duration = Duration::from_secs(10);
/// The longest that one notice may take, with all its steps.
const WHOLE: Duration = Duration::from_secs(30);
/// How long it rests before it tries again, each time; then it gives up.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// From whom the sandbox's notices are.
const OF_SANDBOX: &str = "onboard@sandbox.invalid";

/// Who wants to be told, and how they are reached.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Who.
    pub targets: Vec<Target>,
    /// The mail server.
    pub mail_server: ServerSettings,
    /// What the environment says.
    pub environment: Environment,
    /// Certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy that webhooks are reached through.
    pub proxy: Option<ProxyAddress>,
    /// The longest that a request may take.
    pub timeout: Duration,
    /// Whether mails go to the sandbox's own server.
    pub sandbox: bool,
}

/// By whom mails go, and from whom they are.
#[derive(Debug)]
struct Post {
    mailer: Mailer,
    /// None where nobody logs in: then whoever gets a mail is the one it is from.
    from: Option<Email>,
}

/// Everybody who is told at the end.
#[derive(Debug)]
pub struct Notifier {
    chats: Vec<Chat>,
    mails: Vec<Email>,
    /// None where there are no mails, and where the server is the sandbox's, which is not there yet.
    post: Option<Post>,
    step: Duration,
    /// What should be said about the files, once.
    pub remarks: Vec<String>,
}

impl Notifier {
    /// Makes ready: whatever is wrong is found before the run. Nothing is sent.
    pub fn new(wanted: &Wanted) -> Result<Self, NotifyError> {
        let step = STEP.min(wanted.timeout);
        let mut made = Self { chats: Vec::new(), mails: Vec::new(), post: None, step, remarks: Vec::new() };
        for target in &wanted.targets {
            match target {
                Target::Mail(to) => made.mails.push(to.clone()),
                Target::Chat(path) => {
                    made.chats.push(Chat::new(path, step, wanted.ca_file.as_deref(), wanted.proxy.as_ref())?);
                    made.remarks.extend(access::warn_if_readable(WHAT, path));
                }
            }
        }
        if made.mails.is_empty() {
            return Ok(made);
        }
        if wanted.sandbox {
            wanted.mail_server.refuse_beside_sandbox()?;
            return Ok(made);
        }
        let server = wanted.mail_server.server.clone().ok_or(NotifyError::NoServer)?;
        let user = server.user();
        let from = user.map(|user| target::plain(user).ok_or(NotifyError::NoSender)).transpose()?;
        let password = smtp::password(&server, &wanted.mail_server.password, &wanted.environment)?;
        let mailer = Mailer::new(Access { server, password, timeout: step, ca_file: wanted.ca_file.clone() })?;
        made.post = Some(Post { mailer, from });
        Ok(made)
    }

    /// Whether anybody is told.
    pub fn is_wanted(&self) -> bool {
        !self.chats.is_empty() || !self.mails.is_empty()
    }

    /// Lets mails go to this server, the sandbox's.
    pub fn by_sandbox(&mut self, server: &str) -> Result<(), NotifyError> {
        let access = Access { server: server.parse()?, password: None, timeout: self.step, ca_file: None };
        let from = target::plain(OF_SANDBOX).ok_or(NotifyError::NoSender)?;
        self.post = Some(Post { mailer: Mailer::new(access)?, from: Some(from) });
        Ok(())
    }

    /// Tells everybody. What is handed back is why somebody was not told.
    pub fn tell(&self, subject: &str, text: &str) -> Vec<String> {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return vec![format!("nobody was told of this (--notify): {error}")],
        };
        runtime.block_on(async {
            tokio::select! {
                untold = self.everybody(subject, text) => untold,
                () = asked_to_end() => {
                    vec!["the notices of --notify were cut short, as was asked for: not everybody may have been told".to_owned()]
                }
            }
        })
    }

    async fn everybody(&self, subject: &str, text: &str) -> Vec<String> {
        let mut untold = Vec::new();
        for chat in &self.chats {
            let told = patiently(PAUSES, async || chat.tell(text).await).await;
            let file = shown_path(&chat.path);
            untold.extend(told.err().map(|why| format!("the chat of --notify @{file} was not told of this: {why}")));
        }
        let Some(post) = &self.post else {
            if !self.mails.is_empty() {
                untold.push(
                    "the mail of --notify was not sent: the sandbox, whose server it goes by, is not there".to_owned(),
                );
            }
            return untold;
        };
        for to in &self.mails {
            let from = post.from.as_ref().unwrap_or(to);
            let mail = mail(from, to, subject, text);
            let envelope = Envelope { from: from.clone(), to: to.clone() };
            let sent = patiently(PAUSES, async || {
                let sent = post.mailer.deliver(&envelope, mail.as_bytes()).await;
                sent.map_err(|fault| Untold { again: fault.effect() == Effect::NoneYet, why: fault.to_string() })
            });
            untold.extend(sent.await.err().map(|why| format!("the mail of --notify was not sent: {why}")));
        }
        // Leave is a courtesy within a courtesy.
        drop(tokio::time::timeout(self.step, post.mailer.close()).await);
        untold
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a courtesy is tried again a moment later, by no clock that anything else goes by"
)]
async fn rest(pause: Duration) {
    tokio::time::sleep(pause).await;
}

/// Tells somebody, again after each of these pauses where that may help; no longer than a notice may take.
async fn patiently(
    pauses: impl IntoIterator<Item = Duration>,
    tell: impl AsyncFn() -> Result<(), Untold>,
) -> Result<(), String> {
    let told = async {
        for pause in pauses {
            match tell().await {
                Err(Untold { again: true, .. }) => rest(pause).await,
                ended => return ended,
            }
        }
        tell().await
    };
    match tokio::time::timeout(WHOLE, told).await {
        Ok(told) => told.map_err(|untold| untold.why),
        Err(_late) => Err("no answer came in time".to_owned()),
    }
}

/// Waits until somebody asks for the end. A terminal that is gone asks for nothing: it may have ended the run itself.
async fn asked_to_end() {
    loop {
        match stop_signal().await {
            Ok(Signal::Hangup) => {}
            Ok(Signal::Interrupt | Signal::Terminate) => return,
            Err(_cannot_listen) => std::future::pending().await,
        }
    }
}

/// The mail, ready to leave. The subject is ASCII and of one line; the text may be anything.
fn mail(from: &Email, to: &Email, subject: &str, text: &str) -> String {
    let subject: String = subject.chars().filter(|c| *c == ' ' || c.is_ascii_graphic()).collect();
    #[expect(clippy::disallowed_methods, reason = "a mail says when it was written")]
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let date = rfc2822::to_string(&now).unwrap_or_default();
    let domain = from.wire().rsplit_once('@').map_or("onboard.invalid", |(_, domain)| domain);
    let id = uuid::Uuid::now_v7();
    let mut mail = format!(
        "From: {}\r\nTo: {}\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{id}@{domain}>\r\nAuto-Submitted: \
         auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: \
         base64\r\n\r\n",
        from.wire(),
        to.wire()
    );
    for (at, c) in STANDARD.encode(text.replace('\n', "\r\n")).chars().enumerate() {
        if at > 0 && at % 76 == 0 {
            mail.push_str("\r\n");
        }
        mail.push(c);
    }
    mail.push_str("\r\n");
    mail
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn tries(told_at: u32, again: bool) -> (u32, Result<(), String>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let tries = Cell::new(0);
        let tell = async || {
            tries.set(tries.get() + 1);
            if tries.get() == told_at { Ok(()) } else { Err(Untold { why: "busy".to_owned(), again }) }
        };
        let told = runtime.block_on(patiently([Duration::ZERO; 2], tell));
        (tries.get(), told)
    }

    #[test]
    fn what_told_nobody_is_tried_again_a_few_times_and_what_may_have_told_somebody_is_not() {
        let busy = || Err("busy".to_owned());
        assert_eq!(tries(1, true), (1, Ok(())));
        assert_eq!(tries(3, true), (3, Ok(())));
        assert_eq!(tries(4, true), (3, busy()));
        assert_eq!(tries(2, false), (1, busy()));
    }

    #[test]
    fn a_mail_holds_its_text_whatever_is_in_it() {
        let address = |text: &str| text.parse().expect("an address");
        let text = ".\n\u{e9}\r\nBcc: x".repeat(40);
        let mail = mail(&address("it@a.example"), &address("ops@b.example"), "a\r\nBcc: b", &text);
        let (head, body) = mail.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("\r\nSubject: aBcc: b\r\n") && head.contains("\r\nAuto-Submitted: auto-generated\r\n"));
        assert!(!head.lines().any(|line| line.starts_with("Bcc")));
        assert!(body.lines().all(|line| line.len() <= 76));
        let read = STANDARD.decode(body.replace("\r\n", "")).expect("base64");
        assert_eq!(String::from_utf8(read).expect("text"), text.replace('\n', "\r\n"));
    }
}
