//! The language of a message, as its header says it.

use std::{fmt, str::FromStr};

use crate::display::Shown;

/// A language, with a region or without: `de`, `pt-BR`. Compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Language(String);

impl Language {
    /// Whether somebody of this culture reads it, and how closely it is theirs: the more parts, the closer.
    pub fn fits(&self, culture: &str) -> Option<usize> {
        let culture = culture.trim().replace('_', "-").to_ascii_lowercase();
        let parts: Vec<&str> = self.0.split('-').collect();
        culture.split('-').collect::<Vec<_>>().starts_with(&parts).then_some(parts.len())
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let tag = text.trim().to_ascii_lowercase().replace('_', "-");
        let (first, rest) = tag.split_once('-').unwrap_or((&tag, ""));
        let is_language = (2..=8).contains(&first.len()) && first.chars().all(|c| c.is_ascii_alphabetic());
        let is_part = |part: &str| (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric());
        if is_language && (first.len() == tag.len() || rest.split('-').all(is_part)) && tag.len() <= 35 {
            return Ok(Self(tag));
        }
        Err(format!("`{}` is no language; write it as the portal does, like de, or en-GB", Shown(text)))
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_culture_fits_its_own_language_and_the_wider_ones() {
        let fits = |language: &str, culture| language.parse::<Language>().expect("a language").fits(culture);
        assert_eq!(fits("de-DE", "de-DE"), Some(2));
        assert_eq!(fits("de", "de-DE"), Some(1));
        assert_eq!(fits("de", "DE_at"), Some(1));
        assert_eq!(fits("zh-Hans", "zh-Hans-CN"), Some(2));
        assert_eq!(fits("de-DE", "de"), None);
        assert_eq!(fits("de-DE", "de-AT"), None);
        assert_eq!(fits("de", "den"), None);
        assert_eq!(fits("de", ""), None);
        for text in ["", "d", "de-", "de--AT", "deutsch bitte", "1e", "d\u{e9}", "de\r\nBcc"] {
            assert!(text.parse::<Language>().is_err(), "{text:?}");
        }
    }
}
