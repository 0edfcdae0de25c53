//! What a server says: replies, each of one line or more (RFC 5321 §4.2).

/// The longest line that is read, in bytes, its end included: twice what RFC 5321 §4.5.3.1.5 allows.
const MAX_LINE: usize = 1024;
/// So many lines has a reply at the most: what servers offer takes thirty.
const MAX_LINES: usize = 200;

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// From 200 to 599.
    pub code: u16,
    /// What stands behind the code, line by line.
    pub lines: Vec<String>,
}

/// A status by RFC 3463: class, subject, detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Enhanced(pub u8, pub u16, pub u16);

/// What came is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what came is no answer of a mail server: {0}")]
pub struct Garbled(pub(super) &'static str);

/// What has come and was not read yet.
#[derive(Debug, Default)]
pub struct Replies {
    bytes: Vec<u8>,
    lines: Vec<String>,
    code: Option<u16>,
}

impl Replies {
    /// More came.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether nothing is left that was not read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.lines.is_empty()
    }

    /// The next whole reply, if it is there.
    pub fn read(&mut self) -> Result<Option<Reply>, Garbled> {
        while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let (code, goes_on, text) = line_of(line.strip_suffix(b"\r").unwrap_or(line))?;
            if self.code.is_some_and(|begun| begun != code) {
                return Err(Garbled("its lines have different codes"));
            }
            if self.lines.len() >= MAX_LINES {
                return Err(Garbled("it has too many lines"));
            }
            self.code = Some(code);
            self.lines.push(text);
            if !goes_on {
                self.code = None;
                return Ok(Some(Reply { code, lines: std::mem::take(&mut self.lines) }));
            }
        }
        if self.bytes.len() > MAX_LINE { Err(Garbled("a line of it is too long")) } else { Ok(None) }
    }
}

/// The code, whether more lines follow, and the text.
fn line_of(line: &[u8]) -> Result<(u16, bool, String), Garbled> {
    let no_code = Garbled("it does not begin with a code of three digits");
    if line.len() > MAX_LINE {
        return Err(Garbled("a line of it is too long"));
    }
    let (digits, rest) = line.split_at_checked(3).ok_or(no_code)?;
    let digits = std::str::from_utf8(digits).map_err(|_no_digits| no_code)?;
    let code = digits.parse().ok().filter(|code| (200..600).contains(code) && !digits.starts_with('+'));
    let code = code.ok_or(no_code)?;
    let (goes_on, text) = match rest.split_first() {
        None => (false, rest),
        Some((b' ', text)) => (false, text),
        Some((b'-', text)) => (true, text),
        Some(_) => return Err(no_code),
    };
    Ok((code, goes_on, String::from_utf8_lossy(text).into_owned()))
}

impl Reply {
    /// Whether it says that all went well.
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// The status by RFC 3463, where it has one that agrees with its code.
    pub fn enhanced(&self) -> Option<Enhanced> {
        let word = self.lines.last()?.split_whitespace().next()?;
        let mut parts = word.split('.').map(str::parse::<u16>);
        let (Some(Ok(class)), Some(Ok(subject)), Some(Ok(detail)), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let class = u8::try_from(class).ok().filter(|class| u16::from(*class) == self.code / 100)?;
        Some(Enhanced(class, subject, detail))
    }

    /// What it says for people, in one line, without the status.
    pub fn text(&self) -> String {
        let status = self.enhanced();
        let lines = self.lines.iter().map(|line| {
            let line = line.trim();
            match line.split_once(char::is_whitespace) {
                Some((word, rest)) if status.is_some() && word.split('.').all(|part| part.parse::<u16>().is_ok()) => {
                    rest
                }
                Some(_) | None => line,
            }
        });
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

impl std::fmt::Display for Enhanced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Reply>, Garbled> {
        let mut replies = Replies::default();
        replies.feed(bytes);
        replies.read()
    }

    #[test]
    fn a_reply_is_read_whole_however_it_arrives() {
        let whole = b"250-mail.example\r\n250-SIZE 100\r\n250 OK\r\n";
        for cut in 0..whole.len() {
            let mut replies = Replies::default();
            replies.feed(&whole[..cut]);
            assert_eq!(replies.read(), Ok(None), "{cut}");
            replies.feed(&whole[cut..]);
            let reply = replies.read().expect("a reply").expect("whole");
            assert_eq!((reply.code, reply.lines.len()), (250, 3), "{cut}");
            assert!(replies.is_empty());
        }
        for (bytes, lines) in [(&b"250\r\n"[..], [""]), (b"250 \n", [""]), (b"250 a\xff\r\n", ["a\u{fffd}"])] {
            let reply = read(bytes).expect("a reply").expect("whole");
            assert_eq!(reply.lines, lines);
        }
    }

    #[test]
    fn what_is_no_reply_is_told_from_one_that_is_not_whole() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\n"[..],
            b"\r\n",
            b"25\r\n",
            b"250x\r\n",
            b"+25 \r\n",
            b"199 no\r\n",
            b"600 no\r\n",
            b"250-one\r\n251 two\r\n",
        ] {
            assert!(read(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        assert!(read(&b"2".repeat(MAX_LINE + 1)).is_err());
        assert!(read(&b"250-\r\n".repeat(MAX_LINES + 1)).is_err());
        assert_eq!(read(b"250-one\r\n"), Ok(None));
        assert_eq!(read(b"25"), Ok(None));
    }

    #[test]
    fn what_follows_a_reply_is_kept_for_the_next() {
        let mut replies = Replies::default();
        replies.feed(b"250 ok\r\n421 bye\r\n");
        assert_eq!(replies.read().expect("a reply").map(|reply| reply.code), Some(250));
        assert!(!replies.is_empty());
        assert_eq!(replies.read().expect("a reply").map(|reply| reply.code), Some(421));
        assert!(replies.is_empty());
    }

    #[test]
    fn a_status_counts_only_where_it_agrees_with_the_code() {
        let reply = |line: &str| Reply { code: 550, lines: vec![line.to_owned()] };
        assert_eq!(reply("5.1.1 No such user").enhanced(), Some(Enhanced(5, 1, 1)));
        assert_eq!(reply("5.1.1 No such user").text(), "No such user");
        assert_eq!(reply("4.1.1 No such user").enhanced(), None);
        assert_eq!(reply("5.1 No such user").enhanced(), None);
        assert_eq!(reply("10.0.0.1 is blocked").enhanced(), None);
        assert_eq!(reply("10.0.0.1 is blocked").text(), "10.0.0.1 is blocked");
        let two = Reply { code: 550, lines: vec!["5.7.1 One,".to_owned(), "5.7.1 two".to_owned()] };
        assert_eq!((two.enhanced(), two.text()), (Some(Enhanced(5, 7, 1)), "One, two".to_owned()));
    }
}
