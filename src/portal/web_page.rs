//! Web pages where an answer of the portal should be: somebody before it spoke, a firewall, a proxy, a login.

use crate::display::Shown;

/// So much of a page is looked at, in bytes.
const LOOKED_AT: usize = 64 << 10;
/// The longest title that is kept, in characters.
const MAX_TITLE: usize = 80;

/// A page, as far as it tells who speaks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WebPage {
    /// Its title, in one line; empty where it has none.
    pub(super) title: String,
    /// Whether it asks for a password.
    pub(super) is_login: bool,
}

/// The page that a body is, if it is one.
pub(super) fn read(body: &[u8], mask: impl FnOnce(&str) -> String) -> Option<WebPage> {
    let text = String::from_utf8_lossy(body.get(..LOOKED_AT).unwrap_or(body));
    let lower = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    // Comments and an XML declaration may stand before the page begins.
    let begins = lower.starts_with('<') && (lower.contains("<html") || lower.contains("<!doctype html"));
    if !begins {
        return None;
    }
    let title = title(&text).map(|title| title.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default();
    let title: String = mask(&title).chars().take(MAX_TITLE).collect();
    let asks = ["type=\"password\"", "type='password'", "type=password"];
    Some(WebPage { title: Shown(&title).to_string(), is_login: asks.iter().any(|word| lower.contains(word)) })
}

fn title(text: &str) -> Option<&str> {
    // ASCII letters alone change their case, so places are the same in both.
    let lower = text.to_ascii_lowercase();
    let begin = lower.find("<title")?;
    let begin = begin + lower.get(begin..)?.find('>')? + 1;
    let end = begin + lower.get(begin..)?.find('<')?;
    text.get(begin..end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_is_told_by_its_title_and_by_what_it_asks() {
        let read = |text: &str| read(text.as_bytes(), str::to_owned).map(|page| (page.title, page.is_login));
        assert_eq!(read("<html>502</html>"), Some((String::new(), false)));
        assert_eq!(
            read("\u{feff}\r\n<!DOCTYPE html><HTML><head><Title lang=en>\n Access\tdenied </title>"),
            Some(("Access denied".to_owned(), false))
        );
        let login = "<!-- x --><html><title>Sign in</title><form><input type=\"PASSWORD\">";
        assert_eq!(read(login), Some(("Sign in".to_owned(), true)));
        assert_eq!(read("<html><title>\u{1b}[1m</title>"), Some(("\\u{1b}[1m".to_owned(), false)));
        for text in ["", "{\"a\":\"<html>\"}", "<xml><a/></xml>", "plain"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_it_holds_the_title_is_short_and_plain(text in "\\PC{0,200}") {
            let page = read(format!("<html><title>{text}</title>").as_bytes(), str::to_owned).expect("a page");
            prop_assert!(page.title.chars().all(crate::display::is_plain));
        }
    }
}
