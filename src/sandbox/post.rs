//! What the sandbox's mail server is told, what came, and what goes wrong there.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    str::FromStr,
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::StdRng};

use super::faults::When;

/// The largest mail that it takes, in bytes.
pub(super) const LARGEST: usize = 10 << 20;
/// So many mails are kept for whoever asks, and so many bytes of them; older ones are forgotten, but counted.
const KEPT: usize = 10_000;
const KEPT_BYTES: usize = 64 << 20;
/// Header fields that are told apart.
const HEADERS: [&str; 11] = [
    "Auto-Submitted",
    "Content-Language",
    "Content-Type",
    "Date",
    "From",
    "List-Unsubscribe",
    "MIME-Version",
    "Message-ID",
    "Reply-To",
    "Subject",
    "To",
];

/// How the mail server behaves.
#[derive(Debug, Clone, Default)]
pub struct MailConfig {
    /// The port; 0 takes any.
    pub port: u16,
    /// Whoever sends must log in with it, by whatever name.
    pub password: Option<String>,
    /// Refuses each sender and recipient for so long after it first saw them.
    pub greylist: Option<Duration>,
    /// What goes wrong.
    pub faults: Vec<MailFault>,
}

/// A mail that came, for one of its recipients.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mail {
    /// Where answers go that it cannot be delivered.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// Some of its header, unfolded, as it was written.
    pub headers: BTreeMap<&'static str, String>,
    /// All of it.
    pub data: String,
}

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Connect,
    Hello,
    Login,
    Sender,
    Recipient,
    Data,
    Dot,
}

const STEPS: [(&str, Step); 7] = [
    ("connect", Step::Connect),
    ("hello", Step::Hello),
    ("login", Step::Login),
    ("sender", Step::Sender),
    ("recipient", Step::Recipient),
    ("data", Step::Data),
    ("dot", Step::Dot),
];

/// What goes wrong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// This code is the answer, and nothing has an effect.
    Code(u16),
    /// What comes is no answer; at the dot, after the mail was kept.
    Garbage,
    /// No answer, and no effect.
    Hang,
    /// The connection closes, and there was no effect.
    Cut,
    /// No answer, after the effect.
    HangAfter,
    /// The connection closes after the effect.
    CutAfter,
}

/// One rule: `STEP:WHAT:20%` or `STEP:WHAT:#3`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MailFault {
    step: Step,
    trouble: Trouble,
    when: When,
}

impl FromStr for MailFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = || {
            "give STEP:WHAT:HOW-OFTEN, like recipient:550:20% or dot:cut-after:#3; steps are connect, hello, login, sender, \
             recipient, data, dot; what is a code from 400 to 599, garbage, hang, cut, hang-after or cut-after"
                .to_owned()
        };
        let mut parts = text.split(':');
        let (Some(step), Some(what), Some(when), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(help());
        };
        let step = STEPS.iter().find(|(name, _)| *name == step).map(|(_, step)| *step).ok_or_else(help)?;
        let trouble = match what {
            "garbage" => Trouble::Garbage,
            "hang" => Trouble::Hang,
            "cut" => Trouble::Cut,
            "hang-after" => Trouble::HangAfter,
            "cut-after" => Trouble::CutAfter,
            code => {
                let code = code.parse().ok().filter(|code| (400..600).contains(code));
                Trouble::Code(code.ok_or_else(help)?)
            }
        };
        Ok(Self { step, trouble, when: when.parse().map_err(|()| help())? })
    }
}

/// Everything that the mail server knows.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) config: MailConfig,
    kept: VecDeque<Mail>,
    bytes: usize,
    /// Mails by recipient, forgotten ones included.
    pub(super) counted: BTreeMap<String, u32>,
    seen: [u64; STEPS.len()],
    greylisted: HashMap<(String, String), Instant>,
    chance: StdRng,
}

impl Post {
    pub(super) fn new(config: MailConfig, seed: u64) -> Self {
        Self {
            config,
            kept: VecDeque::new(),
            bytes: 0,
            counted: BTreeMap::new(),
            seen: [0; STEPS.len()],
            greylisted: HashMap::new(),
            chance: StdRng::seed_from_u64(seed),
        }
    }

    /// What goes wrong at this step now, if anything does.
    pub(super) fn next(&mut self, step: Step) -> Option<Trouble> {
        let seen = self.seen.get_mut(step as usize)?;
        *seen += 1;
        let number = *seen;
        let chance = &mut self.chance;
        let mut happens = |rule: &&MailFault| rule.step == step && rule.when.happens(number, chance);
        self.config.faults.iter().find(|rule| happens(rule)).map(|rule| rule.trouble)
    }

    /// Whether this sender is to come back later for this recipient.
    pub(super) fn is_greylisted(&mut self, from: &str, to: &str, now: Instant) -> bool {
        let Some(wait) = self.config.greylist else { return false };
        let first = *self.greylisted.entry((from.to_owned(), to.to_owned())).or_insert(now);
        now.duration_since(first) < wait
    }

    /// A mail came, and is answered for.
    pub(super) fn keep(&mut self, from: &str, recipients: &[String], data: &[u8]) {
        let data = String::from_utf8_lossy(data);
        for to in recipients {
            *self.counted.entry(to.clone()).or_default() += 1;
            let mail = Mail { from: from.to_owned(), to: to.clone(), headers: headers(&data), data: data.to_string() };
            self.bytes += mail.data.len();
            self.kept.push_back(mail);
        }
        while self.kept.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.data.len();
        }
    }

    /// The mails that are kept, the oldest first.
    pub(super) fn mails(&self) -> Vec<Mail> {
        self.kept.iter().cloned().collect()
    }
}

/// The fields of a mail's header that are told apart.
fn headers(data: &str) -> BTreeMap<&'static str, String> {
    let mut found: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut last = None;
    for line in data.lines().take_while(|line| !line.is_empty()) {
        if line.starts_with([' ', '\t']) {
            if let Some(value) = last.and_then(|name| found.get_mut(name)) {
                value.push_str(line);
            }
            continue;
        }
        last = None;
        let Some((name, value)) = line.split_once(':') else { continue };
        if let Some(name) = HEADERS.iter().copied().find(|known| known.eq_ignore_ascii_case(name)) {
            found.insert(name, value.trim().to_owned());
            last = Some(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_written_as_those_of_the_portal() {
        for text in ["recipient:550:20%", "dot:cut-after:#3", "connect:421:100%", "data:hang:#1", "hello:garbage:5.5%"]
        {
            assert!(text.parse::<MailFault>().is_ok(), "{text}");
        }
        for text in ["", "recipient:550", "rcpt:550:#1", "dot:250:#1", "dot:600:#1", "dot:cut:3", "dot:cut:#1:#2"] {
            assert!(text.parse::<MailFault>().expect_err(text).contains("STEP:WHAT:HOW-OFTEN"), "{text}");
        }
    }

    #[test]
    fn a_header_is_read_unfolded_and_up_to_the_empty_line() {
        let found = headers("subject: a\r\n b\r\nX-Other: c\r\n d\r\nTo: e\r\n\r\nFrom: f\r\n");
        let expected = [("Subject", "a b".to_owned()), ("To", "e".to_owned())];
        assert_eq!(found, expected.into_iter().collect());
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_came_is_counted() {
        let mut post = Post::new(MailConfig::default(), 1);
        let large = vec![b'x'; KEPT_BYTES / 4];
        for _ in 0..6 {
            post.keep("it@a.example", &["anna@b.example".to_owned()], &large);
        }
        assert_eq!((post.mails().len(), post.counted["anna@b.example"]), (4, 6));
    }
}
