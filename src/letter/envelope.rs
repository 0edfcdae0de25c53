//! What a mail says of itself, as values of which none can hold a line end, and of which each is exactly one.

use std::{fmt, str::FromStr};

use lettre::{Address, message::Mailbox};

use crate::{display::Shown, user::Email};

/// The longest subject and the longest name of a sender, in characters: no line of a mail may be longer than 998 bytes,
/// and a word without blanks cannot be broken.
const LONGEST: usize = 200;

/// Whether a text can stand in a header as it is meant: on one line, and not taken for something encoded (RFC 2047).
fn is_one_line(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) && !text.contains("=?")
}

/// The subject of a mail: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

/// Why a text is no subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotASubject {
    /// Nothing is in it.
    #[error("the subject is empty")]
    Empty,
    /// It is too long.
    #[error("the subject is longer than {LONGEST} characters")]
    TooLong,
    /// It holds what no subject may.
    #[error("the subject holds a line end, another control character or `=?`")]
    NotOneLine,
}

impl Subject {
    /// A subject, blanks around it left off.
    pub fn new(text: &str) -> Result<Self, NotASubject> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NotASubject::Empty);
        }
        if !is_one_line(text) {
            return Err(NotASubject::NotOneLine);
        }
        if text.chars().count() > LONGEST {
            return Err(NotASubject::TooLong);
        }
        Ok(Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// From whom a mail is, or who gets the answers: one address, with a name or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(Mailbox);

/// Why a text is no sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotASender {
    /// There is no address, or there are several.
    #[error("`{0}` is not one address; write it like it@example.com, or like IT Department <it@example.com>")]
    NotOneAddress(String),
    /// The part before the `@` is not ASCII.
    #[error("`{0}` has letters before the @ that few mail servers take; use an address of plain ASCII letters there")]
    NotAscii(String),
    /// The name cannot stand in a header.
    #[error("the name before <{0}> is longer than {LONGEST} characters, or holds a control character or `=?`")]
    Name(String),
}

impl Sender {
    /// The address alone.
    pub fn address(&self) -> &str {
        self.0.email.as_ref()
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        self.0.email.domain()
    }

    pub(super) fn mailbox(&self) -> Mailbox {
        self.0.clone()
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Sender {
    type Err = NotASender;

    fn from_str(text: &str) -> Result<Self, NotASender> {
        let text = text.trim();
        let not_one = || NotASender::NotOneAddress(Shown(text).to_string());
        let (name, address) = match text.strip_suffix('>') {
            Some(rest) => rest.rsplit_once('<').ok_or_else(not_one)?,
            None => ("", text),
        };
        let name = name.trim();
        let quoted = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        // Unquoted, these would begin another address.
        if quoted.is_none() && name.contains(['@', '<', '>', ';']) {
            return Err(not_one());
        }
        let name = quoted.map_or_else(|| name.to_owned(), |inner| inner.replace("\\\"", "\"").replace("\\\\", "\\"));
        let email: Email = address.parse().map_err(|_not_one| not_one())?;
        let address = mailed(&email).map_err(|fault| match fault {
            NotARecipient::NotAscii(shown) => NotASender::NotAscii(shown),
            NotARecipient::NotAnAddress(_) => not_one(),
        })?;
        if !is_one_line(&name) || name.chars().count() > LONGEST {
            return Err(NotASender::Name(address.to_string()));
        }
        let mailbox = Mailbox::new((!name.is_empty()).then_some(name), address);
        // What is written must be read as the same one address again.
        let again = mailbox.to_string().parse::<Mailbox>();
        if again.is_ok_and(|again| again.email == mailbox.email) { Ok(Self(mailbox)) } else { Err(not_one()) }
    }
}

/// To whom a mail goes: exactly one address, its domain as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient(Address);

/// Why no mail can be sent to an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotARecipient {
    /// No mail server would take it.
    #[error("no mail can be sent to `{0}`: that is no address of one mailbox")]
    NotAnAddress(String),
    /// The part before the `@` is not ASCII.
    #[error("no mail can be sent to `{0}`: few mail servers take letters beyond ASCII before the @")]
    NotAscii(String),
}

impl Recipient {
    /// The mailbox of this address.
    pub fn new(email: &Email) -> Result<Self, NotARecipient> {
        mailed(email).map(Self)
    }

    /// The address.
    pub fn address(&self) -> &str {
        self.0.as_ref()
    }

    pub(super) fn mail_address(&self) -> Address {
        self.0.clone()
    }
}

/// The address as mail servers know it.
fn mailed(email: &Email) -> Result<Address, NotARecipient> {
    let shown = || Shown(email.as_str()).to_string();
    let (local, _) = email.wire().rsplit_once('@').unwrap_or_default();
    if !local.is_ascii() {
        return Err(NotARecipient::NotAscii(shown()));
    }
    // What `Email` takes as one address, lettre may not; and not the other way round only.
    let address: Address = email.wire().parse().map_err(|_refused| NotARecipient::NotAnAddress(shown()))?;
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | ',' | ';' | ':' | '<' | '>' | '(' | ')');
    if address.user().chars().chain(address.domain().chars()).all(is_plain) {
        Ok(address)
    } else {
        Err(NotARecipient::NotAnAddress(shown()))
    }
}

/// The `Message-ID` of a mail: made from its attempt, so that a mail that is delivered twice is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageId(String);

/// The text cannot stand in a `Message-ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message's id is made of ASCII letters, digits, `-`, `_` and single dots")]
pub struct NotAMessageId;

impl MessageId {
    /// The id of an attempt, in the domain of the sender.
    pub fn new(attempt: &str, sender: &Sender) -> Result<Self, NotAMessageId> {
        let is_atom = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let holds = |text: &str| text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom));
        // An address of a machine (`[192.0.2.1]`) is no domain there.
        let domain = Some(sender.domain()).filter(|domain| holds(domain)).unwrap_or("onboard.invalid");
        if !holds(attempt) || attempt.len() > 100 {
            return Err(NotAMessageId);
        }
        Ok(Self(format!("<{attempt}@{domain}>")))
    }

    /// The id, in its angle brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_line() {
        assert_eq!(Subject::new("  Welcome, Zo\u{eb}  ").map(|subject| subject.0), Ok("Welcome, Zo\u{eb}".to_owned()));
        for text in ["a\nBcc: b@c.d", "a\r\nb", "a\rb", "a\u{0}b", "a\u{85}b", "a\u{2028}b", "=?utf-8?q?a?="] {
            assert_eq!(Subject::new(text), Err(NotASubject::NotOneLine), "{text:?}");
        }
        assert_eq!(Subject::new(" "), Err(NotASubject::Empty));
        assert_eq!(Subject::new(&"a".repeat(201)), Err(NotASubject::TooLong));
    }

    #[test]
    fn a_sender_is_one_address() {
        for (text, shown) in [
            ("it@example.com", "it@example.com"),
            ("IT Department <IT@Example.com>", "IT Department <it@example.com>"),
            ("\"Keller, Anna\" <anna@example.com>", "\"Keller, Anna\" <anna@example.com>"),
            ("Keller, Anna <anna@example.com>", "\"Keller, Anna\" <anna@example.com>"),
            ("<it@example.com>", "it@example.com"),
            ("it@b\u{fc}cher.example", "it@xn--bcher-kva.example"),
            ("B\u{fc}cher <it@example.com>", "B\u{fc}cher <it@example.com>"),
        ] {
            assert_eq!(text.parse::<Sender>().map(|sender| sender.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for text in [
            "",
            "IT",
            "a@b.c, d@e.f",
            "A <a@b.c>, D <d@e.f>",
            "a@b.c <d@e.f>",
            "A <a@b.c\r\nBcc: x@y.z>",
            "A\r\nBcc: x <a@b.c>",
            "=?utf-8?q?a?= <a@b.c>",
            "A <>",
            "A <a b@c.d>",
            "M\u{fc}ller@example.com",
        ] {
            assert!(text.parse::<Sender>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_recipient_is_one_address() {
        let to = |text: &str| text.parse::<Email>().ok().and_then(|email| Recipient::new(&email).ok());
        assert_eq!(to("Ada@B\u{fc}cher.example").map(|to| to.0.to_string()), Some("ada@xn--bcher-kva.example".into()));
        for text in [
            "a@b.c,d@e.f",
            "a@b.c d@e.f",
            "a@b.c;d@e.f",
            "a@b.c\r\nRCPT TO:<d@e.f>",
            "<a@b.c>",
            "a\u{0}@b.c",
            "\"a b\"@c.d",
            "\"a\"@c.d",
            "a:b@c.d",
            "zo\u{eb}@example.com",
            "a@@b.c",
        ] {
            assert_eq!(to(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_id_is_made_of_the_attempt_and_the_senders_domain() {
        let sender: Sender = "it@example.com".parse().expect("a sender");
        let id = |attempt: &str| MessageId::new(attempt, &sender).map(|id| id.0);
        assert_eq!(id("0198-17.4"), Ok("<0198-17.4@example.com>".to_owned()));
        for attempt in ["", "a b", "a>\r\nBcc: b", "a..b", "a@b"] {
            assert_eq!(id(attempt), Err(NotAMessageId), "{attempt:?}");
        }
    }
}
