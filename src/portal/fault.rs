//! What can go wrong with one call, free of any HTTP type, and what each ending means for the thing that was asked:
//! whether it certainly had no effect, or may have had one.

use std::fmt;

use crate::{
    display::Shown,
    pace::{self, Refusal},
};

/// One call did not end as it should.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// No byte of the request left: no name, no connection, no TLS, or a proxy that would not let it through.
    NotSent {
        /// Why, for a person.
        why: String,
        /// Whether trying again cannot help: the certificate is not to be trusted.
        for_good: bool,
    },
    /// The request began to leave, and no whole answer came.
    Lost(Loss),
    /// The portal (or its limiter) would not take it now: 429, or 503 with `Retry-After`. No effect.
    Refused(Refusal),
    /// The portal answered with another status than 200.
    Answered {
        /// The HTTP status.
        status: u16,
        /// What came with it.
        body: ErrorBody,
    },
    /// The portal sent the request elsewhere. It is not followed.
    Redirected {
        /// The HTTP status.
        status: u16,
        /// The host to which it would have gone, made safe to show.
        host: String,
    },
    /// 200, but not the answer that was asked for.
    Unreadable(&'static str),
}

/// How an answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It took longer than `--timeout`.
    TimedOut,
    /// The connection broke or closed.
    Broke,
}

/// The body of an answer that is no success (`docspace-contract.md` §2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorBody {
    /// No body: the portal's gate (authentication, scopes, limits) spoke, not the call itself.
    Empty,
    /// The error envelope: the call itself refused.
    Envelope {
        /// The portal's message, masked, made safe to show; in the caller's language, so never matched upon.
        message: String,
        /// Whether the portal calls it an "invalid operation", which may pass.
        passing: bool,
    },
    /// The validation envelope: something that was sent could not be read, or is not taken.
    Validation {
        /// What is said of what, masked, made safe to show: `Culture: The field is not valid.`; empty where nothing is.
        said: String,
        /// Whether it is said of the invitations themselves: the portal takes no more of them for now
        /// (`docspace-contract.md` §7.1).
        of_invitations: bool,
    },
    /// A web page: a firewall, a proxy, a web server or a login before the portal spoke.
    Page {
        /// Its title, masked, made safe to show; empty where it has none.
        title: String,
    },
    /// 401 with `WWW-Authenticate`, which no portal sends for a key (`docspace-contract.md` §2.3): something before it
    /// wants a login of its own.
    Challenge {
        /// What it wants, masked, made safe to show: `Basic realm="Staff"`.
        wants: String,
    },
    /// Anything else: a problem document, a text.
    Other,
}

/// What an ending of the congratulation proves (`reliability.md` §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Certainly none, and asking again may succeed.
    NoneYet,
    /// Certainly none: the portal refused it for good.
    Rejected,
    /// Nobody but the portal knows.
    Unknown,
}

impl Fault {
    /// A redirect; of its `Location`, nothing but the origin is kept.
    pub fn redirected(status: u16, location: &str) -> Self {
        Self::Redirected { status, host: shown_host(location) }
    }

    /// What this ending proves of a congratulation.
    pub fn effect(&self) -> Effect {
        match self {
            Self::NotSent { .. } | Self::Refused(_) => Effect::NoneYet,
            Self::Answered { status: 400..=405 | 411 | 413 | 414 | 415 | 421, .. } => Effect::Rejected,
            Self::Answered { .. } | Self::Lost(_) | Self::Redirected { .. } | Self::Unreadable(_) => Effect::Unknown,
        }
    }

    /// Whether asking the same question again may be answered; a question has no effect, so it may always be asked.
    pub fn worth_asking_again(&self) -> bool {
        match self {
            Self::NotSent { for_good, .. } => !for_good,
            Self::Lost(_) | Self::Refused(_) | Self::Unreadable(_) => true,
            Self::Answered { status: 408 | 425 | 500..=599, .. } => true,
            Self::Answered { status: 403, body: ErrorBody::Envelope { passing, .. } } => *passing,
            Self::Answered { .. } | Self::Redirected { .. } => false,
        }
    }

    /// Whether somebody before the portal refused it: a firewall, a proxy, a login. The key was not looked at.
    pub fn by_another(&self) -> bool {
        match self {
            Self::Answered { body: ErrorBody::Challenge { .. }, .. } => true,
            Self::Answered { status: 400..=499, body: ErrorBody::Page { .. } } => self.status() != Some(404),
            _ => false,
        }
    }

    /// Whether the portal takes no more invitations for now, as its owner set it (`docspace-contract.md` §7.1).
    pub fn is_limit_of_invitations(&self) -> bool {
        matches!(self, Self::Answered { status: 400, body: ErrorBody::Validation { of_invitations: true, .. } })
    }

    /// What a request's end means for the limits: `None` is an answer as it should be.
    pub fn for_the_limits(fault: Option<&Self>) -> pace::RequestEnd {
        match fault {
            Some(Self::NotSent { .. }) => pace::RequestEnd::NeverLeft,
            Some(Self::Lost(_)) => pace::RequestEnd::GivenUp,
            Some(Self::Refused(refusal)) => pace::RequestEnd::Refused(refusal.clone()),
            Some(Self::Answered { .. } | Self::Redirected { .. } | Self::Unreadable(_)) | None => {
                pace::RequestEnd::Answered
            }
        }
    }

    /// Masks what the portal said.
    pub(super) fn mask(mut self, mask: impl FnOnce(&str) -> String) -> Self {
        if let Self::Answered {
            body:
                ErrorBody::Envelope { message: said, .. }
                | ErrorBody::Validation { said, .. }
                | ErrorBody::Page { title: said }
                | ErrorBody::Challenge { wants: said },
            ..
        } = &mut self
        {
            *said = mask(said);
        }
        self
    }

    /// The HTTP status, where one came.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } | Self::Redirected { status, .. } => Some(*status),
            Self::Unreadable(_) => Some(200),
            Self::Refused(_) | Self::NotSent { .. } | Self::Lost(_) => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent { why, .. } => write!(f, "the portal cannot be reached: {why}"),
            Self::Lost(Loss::TimedOut) => f.write_str("no answer within the time limit"),
            Self::Lost(Loss::Broke) => f.write_str("the connection broke before the answer was complete"),
            Self::Refused(_) => f.write_str("the portal refused it for now (too many requests)"),
            Self::Answered { status, body } => {
                write!(f, "the portal answered {status}")?;
                match (status, body) {
                    (_, ErrorBody::Envelope { message, .. }) if !message.is_empty() => write!(f, " (\"{message}\")"),
                    (502..=504, _) => f.write_str(" (its web server could not reach the portal behind it)"),
                    (_, ErrorBody::Page { title }) => {
                        f.write_str(" with a web page")?;
                        if !title.is_empty() {
                            write!(f, " (\"{title}\")")?;
                        }
                        if self.by_another() {
                            f.write_str(
                                ", as a firewall, a proxy or a login before a portal does, and not the portal",
                            )?;
                        }
                        Ok(())
                    }
                    (_, ErrorBody::Challenge { wants }) => write!(
                        f,
                        " and wants a login of its own ({wants}), as a web server or a proxy before a portal does, and not \
                         the portal"
                    ),
                    (_, ErrorBody::Validation { said, .. }) if !said.is_empty() => write!(f, " (\"{said}\")"),
                    (_, ErrorBody::Validation { .. }) => f.write_str(" (it could not read a parameter)"),
                    _ => Ok(()),
                }
            }
            Self::Redirected { status, host } => write!(f, "the portal answered {status}, a redirect to {host}"),
            Self::Unreadable(why) => write!(f, "the portal answered 200, but {why}"),
        }
    }
}

/// The host of a `Location`, made safe to show.
fn shown_host(location: &str) -> String {
    match reqwest::Url::parse(location) {
        Ok(url) => Shown(&url.origin().ascii_serialization()).to_string(),
        Err(_relative_or_garbled) if location.starts_with('/') => "another path of the same host".to_owned(),
        Err(_garbled) => "an address that cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Fault {
        Fault::Answered { status, body: ErrorBody::Other }
    }

    /// `reliability.md` §3.4, status by status: everything not listed as refused may have had its effect.
    #[test]
    fn only_the_listed_statuses_prove_that_nothing_was_sent() {
        for status in 201..600 {
            let listed = matches!(status, 400 | 401 | 402 | 403 | 404 | 405 | 411 | 413 | 414 | 415 | 421);
            let expected = if listed { Effect::Rejected } else { Effect::Unknown };
            assert_eq!(answered(status).effect(), expected, "{status}");
        }
        assert_eq!(Fault::Lost(Loss::TimedOut).effect(), Effect::Unknown);
        assert_eq!(Fault::Lost(Loss::Broke).effect(), Effect::Unknown);
        assert_eq!(Fault::Unreadable("it is not JSON").effect(), Effect::Unknown);
        assert_eq!(Fault::Redirected { status: 307, host: String::new() }.effect(), Effect::Unknown);
        assert_eq!(Fault::NotSent { why: String::new(), for_good: false }.effect(), Effect::NoneYet);
    }

    #[test]
    fn a_question_is_asked_again_only_where_the_answer_may_change() {
        for status in [400, 401, 402, 403, 404, 405, 410] {
            assert!(!answered(status).worth_asking_again(), "{status}");
        }
        for status in [408, 425, 500, 502, 503, 504] {
            assert!(answered(status).worth_asking_again(), "{status}");
        }
        let passing =
            |passing| Fault::Answered { status: 403, body: ErrorBody::Envelope { message: String::new(), passing } };
        assert!(passing(true).worth_asking_again());
        assert!(!passing(false).worth_asking_again());
        assert!(!Fault::NotSent { why: String::new(), for_good: true }.worth_asking_again());
    }

    #[test]
    fn a_fault_says_what_happened_and_keeps_the_status() {
        let envelope = |message: &str| ErrorBody::Envelope { message: message.into(), passing: false };
        let answered = |status, body| Fault::Answered { status, body };
        let refusal = Refusal { limiter: pace::Limiter::Unsaid, limit: None, retry_after: None };
        let gateway = " (its web server could not reach the portal behind it)";
        for (fault, shown, status) in [
            (
                Fault::NotSent { why: "no route".into(), for_good: false },
                "the portal cannot be reached: no route",
                None,
            ),
            (Fault::Lost(Loss::TimedOut), "no answer within the time limit", None),
            (Fault::Lost(Loss::Broke), "the connection broke before the answer was complete", None),
            (Fault::Refused(refusal), "the portal refused it for now (too many requests)", None),
            (answered(403, envelope("Not now")), "the portal answered 403 (\"Not now\")", Some(403)),
            (answered(403, envelope("")), "the portal answered 403", Some(403)),
            (answered(404, ErrorBody::Empty), "the portal answered 404", Some(404)),
            (
                answered(400, ErrorBody::Validation { said: String::new(), of_invitations: false }),
                "the portal answered 400 (it could not read a parameter)",
                Some(400),
            ),
            (
                answered(400, ErrorBody::Validation { said: "Culture: Not valid.".into(), of_invitations: false }),
                "the portal answered 400 (\"Culture: Not valid.\")",
                Some(400),
            ),
            (answered(503, envelope("Soon")), "the portal answered 503 (\"Soon\")", Some(503)),
            (answered(502, ErrorBody::Other), &format!("the portal answered 502{gateway}"), Some(502)),
            (
                Fault::Redirected { status: 302, host: "https://sso.example".into() },
                "the portal answered 302, a redirect to https://sso.example",
                Some(302),
            ),
            (Fault::Unreadable("it is not JSON"), "the portal answered 200, but it is not JSON", Some(200)),
        ] {
            assert_eq!((fault.to_string().as_str(), fault.status()), (shown, status));
        }
    }

    #[test]
    fn who_spoke_instead_of_the_portal_is_told_as_that() {
        let page = |status, title: &str| Fault::Answered { status, body: ErrorBody::Page { title: title.into() } };
        let wants =
            Fault::Answered { status: 401, body: ErrorBody::Challenge { wants: "Basic realm=\"Staff\"".into() } };
        for (fault, shown, by_another) in [
            (page(403, "Access denied"), "answered 403 with a web page (\"Access denied\"), as a firewall", true),
            (page(401, ""), "answered 401 with a web page, as a firewall", true),
            (wants, "answered 401 and wants a login of its own (Basic realm=\"Staff\"), as a web server", true),
            (page(404, "Not Found"), "answered 404 with a web page (\"Not Found\")", false),
            (page(500, "Oops"), "answered 500 with a web page (\"Oops\")", false),
            (page(502, "Bad Gateway"), "answered 502 (its web server could not reach the portal behind it)", false),
            (answered(403), "answered 403", false),
        ] {
            assert!(fault.to_string().starts_with(&format!("the portal {shown}")), "{fault}");
            assert_eq!(fault.by_another(), by_another, "{fault}");
        }
    }

    /// Only what certainly never left takes no slot, and only what was answered frees its place at once.
    #[test]
    fn the_limits_see_each_end_for_what_it_may_have_cost() {
        let refusal = Refusal { limiter: pace::Limiter::Daily, limit: Some(10_000), retry_after: None };
        for (fault, ending) in [
            (Fault::NotSent { why: String::new(), for_good: true }, pace::RequestEnd::NeverLeft),
            (Fault::Lost(Loss::Broke), pace::RequestEnd::GivenUp),
            (Fault::Lost(Loss::TimedOut), pace::RequestEnd::GivenUp),
            (Fault::Refused(refusal.clone()), pace::RequestEnd::Refused(refusal)),
            (answered(500), pace::RequestEnd::Answered),
            (Fault::Unreadable("it breaks off"), pace::RequestEnd::Answered),
            (Fault::Redirected { status: 302, host: String::new() }, pace::RequestEnd::Answered),
        ] {
            assert_eq!(Fault::for_the_limits(Some(&fault)), ending, "{fault}");
        }
        assert_eq!(Fault::for_the_limits(None), pace::RequestEnd::Answered);
    }

    #[test]
    fn a_location_is_shown_by_its_origin_only() {
        assert_eq!(shown_host("https://other.example/x?Key=secret"), "https://other.example");
        assert_eq!(shown_host("/login"), "another path of the same host");
        assert_eq!(shown_host("\u{1b}]8;;"), "an address that cannot be read");
    }
}
