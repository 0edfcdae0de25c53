//! A mail as it goes over the wire: whom it is from and for, and its text with its dots doubled. Pure.

use super::fault::Fault;
use crate::user::Email;

/// The longest line of a mail, in bytes, without its end (RFC 5321 §4.5.3.1.6).
const MAX_LINE: usize = 998;

/// Whom a mail is from, and for. Addresses hold no blank, no line end and no angle bracket by their type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Whom answers that it cannot be delivered go to.
    pub from: Email,
    /// The one whom it is for.
    pub to: Email,
}

impl Envelope {
    /// Whether the server must take addresses beyond ASCII. Domains have a form within.
    pub fn needs_utf8(&self) -> bool {
        !self.from.wire().is_ascii() || !self.to.wire().is_ascii()
    }
}

/// A mail's text, ready to leave: every line ends with CR LF, and a dot that begins a line is doubled (RFC 5321 §4.5.2). So
/// the final dot stands nowhere in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    wire: Vec<u8>,
    size: usize,
    eight_bit: bool,
}

impl Letter {
    /// From the bytes of a mail; a CR or LF that stands alone is a line's end too, since servers do not agree on it.
    pub fn new(mail: &[u8]) -> Result<Self, Fault> {
        let impossible = |why: &str| Fault::Impossible { why: why.to_owned() };
        if mail.is_empty() {
            return Err(impossible("it is empty"));
        }
        if mail.contains(&0) {
            return Err(impossible("it holds a NUL character"));
        }
        let mut wire = Vec::with_capacity(mail.len() + mail.len() / 32 + 2);
        let (mut rest, mut doubled) = (mail, 0);
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
            let (line, after) = rest.split_at(end);
            if line.len() > MAX_LINE {
                return Err(impossible("one of its lines is longer than 998 bytes"));
            }
            if line.first() == Some(&b'.') {
                wire.push(b'.');
                doubled += 1;
            }
            wire.extend_from_slice(line);
            wire.extend_from_slice(b"\r\n");
            rest = after.strip_prefix(b"\r\n").unwrap_or(after.get(1..).unwrap_or_default());
        }
        Ok(Self { size: wire.len() - doubled, eight_bit: !mail.is_ascii(), wire })
    }

    /// What goes over the wire, up to but without the final dot.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// Its size as it is announced (RFC 1870), in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether it holds anything beyond ASCII.
    pub fn is_eight_bit(&self) -> bool {
        self.eight_bit
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(mail: &str) -> String {
        String::from_utf8(Letter::new(mail.as_bytes()).expect("a letter").wire).expect("text")
    }

    #[test]
    fn dots_are_doubled_and_every_line_has_one_kind_of_end() {
        for (mail, expected) in [
            ("a\r\nb\r\n", "a\r\nb\r\n"),
            ("a\nb", "a\r\nb\r\n"),
            ("a\rb\r", "a\r\nb\r\n"),
            ("a\r\n.\r\nb", "a\r\n..\r\nb\r\n"),
            (".a\n..b\n", "..a\r\n...b\r\n"),
            ("a\n.\n", "a\r\n..\r\n"),
            ("a\r.\rMAIL FROM:<x>", "a\r\n..\r\nMAIL FROM:<x>\r\n"),
            ("\n\r\n", "\r\n\r\n"),
            ("a\r\r\nb", "a\r\n\r\nb\r\n"),
            (".", "..\r\n"),
        ] {
            assert_eq!(wire(mail), expected, "{mail:?}");
        }
        assert_eq!(Letter::new(b".a\nb").expect("a letter").size(), 7);
    }

    #[test]
    fn what_no_server_takes_does_not_leave() {
        for mail in [&b""[..], b"a\0b", &b"x".repeat(999)] {
            assert!(matches!(Letter::new(mail), Err(Fault::Impossible { .. })));
        }
        assert!(Letter::new(&b"x".repeat(998)).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_in_a_mail_ends_it_and_a_server_reads_back_what_was_written(mail in "([a.\r\n\u{e9}]{1,60})") {
            let letter = Letter::new(mail.as_bytes()).expect("a letter");
            let text = String::from_utf8(letter.wire().to_vec()).expect("text");
            prop_assert!(text.ends_with("\r\n"));
            prop_assert!(!text.contains("\r\n.\r\n") && !text.starts_with(".\r\n"));
            // No CR and no LF of its own.
            prop_assert_eq!(text.matches('\r').count(), text.matches("\r\n").count());
            prop_assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
            let read: String = text.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
            prop_assert_eq!(read.len(), letter.size());
            let (read, plain) = (read.replace("\r\n", "\n"), mail.replace("\r\n", "\n").replace('\r', "\n"));
            prop_assert_eq!(read.trim_end_matches('\n'), plain.trim_end_matches('\n'));
        }
    }
}
