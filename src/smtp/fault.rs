//! What can go wrong with one mail, and what each ending proves of it: pure.

use std::{fmt, time::Duration};

use super::reply::{Enhanced, Garbled, Reply};
use crate::{
    display::Shown,
    pace::{Limiter, Refusal, RequestEnd},
    portal::Effect,
};

/// The first wait where a server takes a mail later: greylisting asks for one to five minutes.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// The first wait where a server takes nothing now.
const FIRST_REST: Duration = Duration::from_secs(30);

/// Where a conversation stands: what was said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Nothing: the server speaks first.
    Greeting,
    /// EHLO.
    Hello,
    /// STARTTLS.
    Encrypt,
    /// AUTH.
    Login,
    /// RSET.
    Reset,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA.
    Data,
    /// The message, but not its end.
    Text,
    /// The final dot.
    Dot,
}

/// One mail was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The final dot did not leave: no name, no connection, no TLS, or it broke before.
    NotSent {
        /// Why, for a person; safe to show.
        why: String,
        /// Whether trying again cannot help: the certificate is not to be trusted.
        for_good: bool,
    },
    /// This mail cannot go by this server, whatever it says: nothing of it was sent.
    Impossible {
        /// Why, for a person; safe to show.
        why: String,
    },
    /// The server may take it later (4xx). Nothing was delivered.
    Later {
        /// Whom it concerns.
        scope: Scope,
        /// What it said.
        said: Said,
    },
    /// The server refused it for good (5xx). Nothing was delivered.
    Refused {
        /// Whose fault it is.
        whose: Whose,
        /// What it said.
        said: Said,
    },
    /// The final dot began to leave, and no answer came.
    Lost(Loss),
    /// The final dot left, and what came is no answer to it.
    Strange {
        /// What came, for a person; safe to show.
        why: String,
    },
}

/// How an answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It took longer than it may.
    TimedOut,
    /// The connection broke or closed.
    Broke,
}

/// How a conversation ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Break {
    /// A step took longer than it may.
    TimedOut,
    /// The connection was closed.
    Closed,
    /// The connection broke.
    Broke(String),
    /// What came is no reply.
    Garbled(Garbled),
    /// The server spoke when it was not its turn.
    OutOfTurn,
}

/// Whom a "later" concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This mail: greylisting, a mailbox that is busy or full.
    This,
    /// Everybody: the server takes nothing now.
    Everybody,
}

/// Whose fault a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// This recipient's, or this mail's.
    This,
    /// The sender's, and so everybody's.
    Sender,
    /// Everybody's: login, policy, a server that does not speak as it should.
    Everybody,
}

/// What a server said, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// To what.
    pub step: Step,
    /// The code.
    pub code: u16,
    /// The status by RFC 3463, where it gave one.
    pub enhanced: Option<Enhanced>,
    /// The text, as it came.
    pub text: String,
}

impl Fault {
    /// What a reply at this step proves, that is not the one which lets the conversation go on.
    pub fn of_reply(step: Step, reply: &Reply) -> Self {
        let said = Said { step, code: reply.code, enhanced: reply.enhanced(), text: reply.text() };
        match reply.code {
            400..=499 => Self::Later { scope: said.scope(), said },
            500..=599 => Self::Refused { whose: said.whose(), said },
            _ if step == Step::Dot => Self::Strange { why: said.to_string() },
            _ => Self::NotSent { why: format!("{said}, which is no answer to that"), for_good: false },
        }
    }

    /// What a conversation that ended early at this step proves.
    pub fn of_break(step: Step, how: &Break) -> Self {
        match (step, how) {
            (Step::Dot, Break::TimedOut) => Self::Lost(Loss::TimedOut),
            (Step::Dot, Break::Closed | Break::Broke(_)) => Self::Lost(Loss::Broke),
            (Step::Dot, Break::Garbled(_) | Break::OutOfTurn) => Self::Strange { why: how.to_string() },
            _ => Self::NotSent { why: format!("{how} ({})", step.waited_for()), for_good: false },
        }
    }

    /// What this ending proves of the mail.
    pub fn effect(&self) -> Effect {
        match self {
            Self::NotSent { .. } | Self::Later { .. } => Effect::NoneYet,
            Self::Impossible { .. } | Self::Refused { .. } => Effect::Rejected,
            Self::Lost(_) | Self::Strange { .. } => Effect::Unknown,
        }
    }

    /// How long to wait before the next try, after so many (from 1), where waiting helps.
    pub fn come_back_after(&self, tries: u32) -> Option<Duration> {
        let doubled = |first: Duration| first.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_WAIT);
        match self {
            Self::Later { scope: Scope::This, .. } => Some(doubled(FIRST_WAIT)),
            Self::Later { scope: Scope::Everybody, .. } => Some(doubled(FIRST_REST)),
            Self::NotSent { .. }
            | Self::Impossible { .. }
            | Self::Refused { .. }
            | Self::Lost(_)
            | Self::Strange { .. } => None,
        }
    }

    /// What an ending means for the limits: `None` is a mail that was accepted; `tries` counts from 1.
    pub fn for_the_limits(fault: Option<&Self>, tries: u32) -> RequestEnd {
        match fault {
            Some(Self::NotSent { .. } | Self::Impossible { .. }) => RequestEnd::NeverLeft,
            Some(Self::Lost(_)) => RequestEnd::GivenUp,
            Some(later @ Self::Later { scope: Scope::Everybody, .. }) => RequestEnd::Refused(Refusal {
                limiter: Limiter::Unsaid,
                limit: None,
                retry_after: later.come_back_after(tries),
            }),
            Some(Self::Later { .. } | Self::Refused { .. } | Self::Strange { .. }) | None => RequestEnd::Answered,
        }
    }

    /// The code of the server's answer, where one came.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Later { said, .. } | Self::Refused { said, .. } => Some(said.code),
            Self::NotSent { .. } | Self::Impossible { .. } | Self::Lost(_) | Self::Strange { .. } => None,
        }
    }

    /// Masks what the server said.
    #[must_use]
    pub fn mask(mut self, mask: impl FnOnce(&str) -> String) -> Self {
        match &mut self {
            Self::Later { said, .. } | Self::Refused { said, .. } => said.text = mask(&said.text),
            Self::NotSent { why, .. } | Self::Strange { why } => *why = mask(why),
            Self::Impossible { .. } | Self::Lost(_) => {}
        }
        self
    }
}

impl Said {
    /// A 4xx is about everybody where no recipient was named yet, and where the server takes its leave.
    fn scope(&self) -> Scope {
        match (self.step, self.code) {
            (_, 421) => Scope::Everybody,
            (Step::Recipient | Step::Data | Step::Text | Step::Dot, _) => Scope::This,
            _ => Scope::Everybody,
        }
    }

    /// Whose fault a 5xx is (RFC 5321 §4.2, RFC 3463 §3; what has no status there is of the large providers).
    fn whose(&self) -> Whose {
        let status = self.enhanced.map(|Enhanced(_, subject, detail)| (subject, detail));
        match (self.step, self.code, status) {
            (Step::Greeting | Step::Hello | Step::Encrypt | Step::Login | Step::Reset, ..) => Whose::Everybody,
            // A login is needed, or another one.
            (_, 530 | 534 | 535 | 538, _) => Whose::Everybody,
            // The day's mails are used up.
            (_, _, Some((4, 5) | (1, 90))) => Whose::Everybody,
            // The sender's address is bad, or not to be sent as.
            (_, _, Some((1, 7 | 8) | (7, 60))) => Whose::Sender,
            // The size that was announced with the sender.
            (Step::Sender, 552, _) | (Step::Sender, _, Some((2 | 3, 3 | 4))) => Whose::This,
            // Policy, or a command that it does not know.
            (Step::Sender, _, Some((7, _))) => Whose::Everybody,
            (Step::Sender, 500 | 502..=504 | 554 | 555, _) => Whose::Everybody,
            (Step::Sender, ..) => Whose::Sender,
            (Step::Recipient | Step::Data, 500 | 502 | 503, _) => Whose::Everybody,
            (Step::Recipient | Step::Data | Step::Text | Step::Dot, ..) => Whose::This,
        }
    }
}

impl Step {
    /// What a server was answering, as people who look after one know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Greeting => "the connection",
            Self::Hello => "EHLO",
            Self::Encrypt => "STARTTLS",
            Self::Login => "AUTH",
            Self::Reset => "RSET",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Text | Self::Dot => "the message",
        }
    }

    const fn waited_for(self) -> &'static str {
        match self {
            Self::Greeting => "before its greeting",
            Self::Hello => "after EHLO",
            Self::Encrypt => "after STARTTLS",
            Self::Login => "after AUTH",
            Self::Reset => "after RSET",
            Self::Sender => "after MAIL FROM",
            Self::Recipient => "after RCPT TO",
            Self::Data => "after DATA",
            Self::Text => "before the end of the message left",
            Self::Dot => "after the end of the message",
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the mail server answered {}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        write!(f, " to {}", self.step.name())?;
        if self.text.is_empty() { Ok(()) } else { write!(f, " (\"{}\")", Shown(&self.text)) }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no answer within the time limit"),
            Self::Closed => f.write_str("the mail server closed the connection"),
            Self::Broke(why) => write!(f, "the connection broke: {}", Shown(why)),
            Self::Garbled(garbled) => garbled.fmt(f),
            Self::OutOfTurn => f.write_str("the mail server spoke when it was not its turn"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent { why, .. } => write!(f, "nothing was sent: {why}"),
            Self::Impossible { why } => write!(f, "this mail cannot go by this mail server: {why}"),
            Self::Later { said, .. } | Self::Refused { said, .. } => said.fmt(f),
            Self::Lost(Loss::TimedOut) => {
                f.write_str("the whole message had gone, and the mail server gave no answer within the time limit")
            }
            Self::Lost(Loss::Broke) => {
                f.write_str("the whole message had gone, and the connection broke before the mail server's answer")
            }
            Self::Strange { why } => write!(f, "the whole message had gone, and {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Reply {
        let (code, text) = text.split_once(' ').unwrap_or((text, ""));
        Reply { code: code.parse().expect("a code"), lines: vec![text.to_owned()] }
    }

    fn whose(step: Step, text: &str) -> Whose {
        match Fault::of_reply(step, &reply(text)) {
            Fault::Refused { whose, .. } => whose,
            other => panic!("{other:?}"),
        }
    }

    const STEPS: [Step; 9] = [
        Step::Greeting,
        Step::Hello,
        Step::Encrypt,
        Step::Login,
        Step::Reset,
        Step::Sender,
        Step::Recipient,
        Step::Data,
        Step::Dot,
    ];

    #[test]
    fn every_code_at_every_step_proves_what_it_says() {
        for step in STEPS {
            for code in 200..600 {
                let expected = match code {
                    400..=499 => Effect::NoneYet,
                    500..=599 => Effect::Rejected,
                    _ if step == Step::Dot => Effect::Unknown,
                    _ => Effect::NoneYet,
                };
                assert_eq!(Fault::of_reply(step, &reply(&code.to_string())).effect(), expected, "{step:?} {code}");
            }
        }
    }

    #[test]
    fn a_break_is_in_doubt_exactly_after_the_final_dot() {
        let breaks = [
            Break::TimedOut,
            Break::Closed,
            Break::Broke("reset".to_owned()),
            Break::Garbled(Garbled("x")),
            Break::OutOfTurn,
        ];
        for how in breaks {
            for step in STEPS.into_iter().chain([Step::Text]) {
                let expected = if step == Step::Dot { Effect::Unknown } else { Effect::NoneYet };
                assert_eq!(Fault::of_break(step, &how).effect(), expected, "{step:?} {how:?}");
            }
        }
    }

    #[test]
    fn a_refusal_is_laid_at_the_door_of_whose_it_is() {
        for (step, said, expected) in [
            (Step::Greeting, "554 no", Whose::Everybody),
            (Step::Hello, "502 no", Whose::Everybody),
            (Step::Login, "535 5.7.8 wrong", Whose::Everybody),
            (Step::Sender, "530 5.7.0 Authentication required", Whose::Everybody),
            (Step::Sender, "550 5.7.1 not allowed", Whose::Everybody),
            (Step::Sender, "554 go away", Whose::Everybody),
            (Step::Sender, "550 who are you", Whose::Sender),
            (Step::Sender, "553 5.1.8 no such domain", Whose::Sender),
            (Step::Sender, "501 5.1.7 bad address", Whose::Sender),
            (Step::Sender, "552 5.3.4 too large", Whose::This),
            (Step::Sender, "550 5.4.5 Daily user sending limit exceeded", Whose::Everybody),
            (Step::Recipient, "550 5.1.1 nobody", Whose::This),
            (Step::Recipient, "550 5.7.1 no relaying", Whose::This),
            (Step::Recipient, "554 5.7.1 Relay access denied", Whose::This),
            (Step::Recipient, "530 log in", Whose::Everybody),
            (Step::Recipient, "550 5.1.8 sender has no domain", Whose::Sender),
            (Step::Recipient, "503 5.5.1 MAIL first", Whose::Everybody),
            (Step::Recipient, "555 5.5.2 syntax", Whose::This),
            (Step::Data, "554 no valid recipients", Whose::This),
            (Step::Dot, "552 5.2.2 full", Whose::This),
            (Step::Dot, "554 5.7.1 spam", Whose::This),
            (Step::Dot, "550 5.7.60 cannot send as this sender", Whose::Sender),
            (Step::Dot, "550 5.1.90 the day's limit", Whose::Everybody),
        ] {
            assert_eq!(whose(step, said), expected, "{step:?} {said}");
        }
    }

    #[test]
    fn later_is_this_mails_matter_once_a_recipient_was_named() {
        for (step, said, expected) in [
            (Step::Greeting, "421 busy", Scope::Everybody),
            (Step::Login, "454 4.7.0 later", Scope::Everybody),
            (Step::Sender, "451 later", Scope::Everybody),
            (Step::Recipient, "450 4.7.1 greylisted", Scope::This),
            (Step::Recipient, "421 bye", Scope::Everybody),
            (Step::Recipient, "454 4.7.1 Relay access denied", Scope::This),
            (Step::Dot, "451 4.7.1 greylisted", Scope::This),
            (Step::Dot, "421 bye", Scope::Everybody),
        ] {
            let Fault::Later { scope, .. } = Fault::of_reply(step, &reply(said)) else { panic!("{said}") };
            assert_eq!(scope, expected, "{step:?} {said}");
        }
    }

    #[test]
    fn waits_double_up_to_five_minutes_and_only_where_waiting_helps() {
        let waits =
            |fault: &Fault| [1, 2, 3, 4, 99].map(|tries| fault.come_back_after(tries).map(|wait| wait.as_secs()));
        let greylisted = Fault::of_reply(Step::Recipient, &reply("450 greylisted"));
        assert_eq!(waits(&greylisted), [Some(60), Some(120), Some(240), Some(300), Some(300)]);
        let busy = Fault::of_reply(Step::Greeting, &reply("421 busy"));
        assert_eq!(waits(&busy), [Some(30), Some(60), Some(120), Some(240), Some(300)]);
        assert_eq!(waits(&Fault::Lost(Loss::Broke)), [None; 5]);
        assert_eq!(waits(&Fault::of_reply(Step::Dot, &reply("550 no"))), [None; 5]);
    }

    #[test]
    fn the_limits_see_each_end_for_what_it_may_have_cost() {
        let of = |step, text| Fault::of_reply(step, &reply(text));
        let pause = |secs| {
            let retry_after = Some(Duration::from_secs(secs));
            RequestEnd::Refused(Refusal { limiter: Limiter::Unsaid, limit: None, retry_after })
        };
        for (fault, ending) in [
            (Fault::NotSent { why: String::new(), for_good: false }, RequestEnd::NeverLeft),
            (Fault::Impossible { why: String::new() }, RequestEnd::NeverLeft),
            (Fault::Lost(Loss::Broke), RequestEnd::GivenUp),
            (of(Step::Sender, "421 busy"), pause(30)),
            (of(Step::Recipient, "450 greylisted"), RequestEnd::Answered),
            (of(Step::Recipient, "550 nobody"), RequestEnd::Answered),
            (of(Step::Dot, "299 what"), RequestEnd::Answered),
        ] {
            assert_eq!(Fault::for_the_limits(Some(&fault), 1), ending, "{fault}");
        }
        assert_eq!(Fault::for_the_limits(None, 1), RequestEnd::Answered);
    }

    #[test]
    fn a_fault_says_what_happened_in_one_plain_line() {
        let of = |step, text| Fault::of_reply(step, &reply(text));
        for (fault, shown) in [
            (
                of(Step::Recipient, "550 5.1.1 No\u{1b}[2J such user"),
                "the mail server answered 550 5.1.1 to RCPT TO (\"No\\u{1b}[2J such user\")",
            ),
            (of(Step::Dot, "552"), "the mail server answered 552 to the message"),
            (
                of(Step::Data, "250 ok"),
                "nothing was sent: the mail server answered 250 to DATA (\"ok\"), which is no answer to that",
            ),
            (
                Fault::of_break(Step::Sender, &Break::Closed),
                "nothing was sent: the mail server closed the connection (after MAIL FROM)",
            ),
            (
                Fault::of_break(Step::Dot, &Break::TimedOut),
                "the whole message had gone, and the mail server gave no answer within the time limit",
            ),
            (
                of(Step::Dot, "299 what"),
                "the whole message had gone, and the mail server answered 299 to the message (\"what\")",
            ),
        ] {
            assert_eq!(fault.to_string(), shown);
        }
    }
}
