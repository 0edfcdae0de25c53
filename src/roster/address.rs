//! Addresses as people paste them: what is certainly not meant is taken off; where that is not certain, the address
//! that seems to be meant is offered, and nothing is sent to what stands there.

use unicode_normalization::char::is_combining_mark;

use super::text::{trimmed, unbroken, unquoted};
use crate::{display::is_plain, user::Email};

/// The text is no address; perhaps the one that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoAddress {
    pub(super) meant: Option<Email>,
}

/// Reads an address: `mailto:`, quotes and angle brackets around it are taken off.
pub(super) fn read(text: &str) -> Result<Email, NoAddress> {
    // Most stand there as they are meant.
    if text.is_ascii()
        && let Some(email) = strict(text)
    {
        return Ok(email);
    }
    let text = unbroken(text);
    let bare = bare(&text);
    strict(bare).ok_or_else(|| NoAddress { meant: meant(&text) })
}

/// An address without what people put around it.
pub(super) fn bare(text: &str) -> &str {
    let mut text = text;
    loop {
        let before = text;
        text = unquoted(text);
        if let Some(inner) = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
            text = inner;
        }
        if let Some(address) = text.get(..7).filter(|word| word.eq_ignore_ascii_case("mailto:")).and(text.get(7..)) {
            // The rest of such a link is a subject and the like.
            text = address.split('?').next().unwrap_or_default();
        }
        if text == before {
            return trimmed(text);
        }
    }
}

/// An address of characters that addresses have. A portal and a mail server may take more; whoever has such an address
/// is rarer than a slip.
fn strict(text: &str) -> Option<Email> {
    let email: Email = text.parse().ok()?;
    let (local, _) = email.as_str().rsplit_once('@')?;
    let (_, domain) = email.wire().rsplit_once('@')?;
    // What began in quotes that do not close is a slip.
    let begins = local.chars().next()?;
    let holds =
        email.as_str().chars().all(is_plain) && local.chars().all(of_a_local_part) && !matches!(begins, '\'' | '`');
    (holds && domain.split('.').all(is_label)).then_some(email)
}

fn of_a_local_part(c: char) -> bool {
    match c {
        _ if c.is_ascii() => c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c),
        _ => is_plain(c) && c != '\u{fffd}' && (c.is_alphanumeric() || is_combining_mark(c)),
    }
}

/// Whether it is a label of a domain, as it goes over the wire.
fn is_label(label: &str) -> bool {
    let can_be = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=63).contains(&label.len()) && label.bytes().all(can_be) && !label.starts_with('-') && !label.ends_with('-')
}

/// The one address within a text.
fn meant(text: &str) -> Option<Email> {
    if trimmed(text).contains(|c: char| !is_plain(c) || c == '\u{fffd}') {
        return None;
    }
    let mut found: Vec<Email> = text.match_indices('@').filter_map(|(at, _)| around(text, at)).collect();
    found.sort();
    found.dedup();
    if found.len() == 1 { found.pop() } else { None }
}

/// The address around an `@`.
fn around(text: &str, at: usize) -> Option<Email> {
    let (before, after) = (text.get(..at)?, text.get(at + 1..)?);
    let separates = |c: char| !of_a_local_part(c) || matches!(c, '\'' | '`' | '/' | '?' | '=' | '&' | '|');
    let local = before.rsplit(separates).next()?.trim_start_matches('.');
    let domain = after.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '.'))).next()?;
    let domain = domain.trim_end_matches(['.', '-']);
    // Without a dot it is rather the half of one: `ada@example,com`.
    domain.contains('.').then(|| strict(&format!("{local}@{domain}"))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_certainly_not_meant_is_taken_off() {
        for text in [
            "ada@example.com",
            " Ada@Example.com\u{a0}",
            "mailto:ada@example.com",
            "MAILTO:ada@example.com?subject=hi&body=a",
            "\u{201c}ada@example.com\u{201d}",
            "\u{201e}ada@example.com\u{201c}",
            "\u{ab}\u{a0}ada@example.com\u{a0}\u{bb}",
            "'ada@example.com'",
            "\"'ada@example.com'\"",
            "`ada@example.com`",
            "<ada@example.com>",
            "<mailto:ada@example.com>",
            "'<ada@example.com>'",
            "ada@\u{200b}example.com\u{feff}",
            "\u{202a}ada@example.com\u{202c}",
        ] {
            assert_eq!(read(text).as_ref().map(Email::as_str), Ok("ada@example.com"), "{text:?}");
        }
        for text in ["o'brien@example.com", "a+b/c=d@example.com", "zo\u{eb}@b\u{fc}cher.example", "ann@localhost"] {
            assert_eq!(read(text).as_ref().map(Email::as_str), Ok(text));
        }
    }

    #[test]
    fn where_that_is_not_certain_the_address_that_is_meant_is_offered() {
        for text in [
            "ada@example.com?subject=hi",
            "ada@example.com/",
            "ada@example.com:",
            "ada@example.com,",
            "ada@example.com;",
            "ada@example.com.",
            "ada@example.com!",
            "Ada Example <ada@example.com>",
            "ada@example.com (Ada)",
            "ada@example.com <ada@example.com>",
            "'ada@example.com",
            "`ada@example.com",
            "e-mail:ada@example.com",
            "https://ada@example.com/",
            "<ada@example.com",
            "[ada@example.com](mailto:ada@example.com)",
        ] {
            let meant = read(text).expect_err("not as it stands").meant;
            assert_eq!(meant.as_ref().map(Email::as_str), Some("ada@example.com"), "{text:?}");
        }
        for text in [
            "ada",
            "ada@",
            "ada@example,com",
            "ada@example..com",
            "ada@@example.com",
            "ada@example.com, bo@example.com",
            "a\u{fffd}a@example.com",
            "ada@exam\u{fffd}ple.com",
            "a\u{202e}da@example.com",
            "ada@-example.com",
            "ada@[127.0.0.1]",
        ] {
            assert_eq!(read(text).map_err(|none| none.meant.map(|meant| meant.to_string())), Err(None), "{text:?}");
        }
    }
}
