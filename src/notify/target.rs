//! Where a notice goes, as it is typed.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::user::Email;

/// Where a notice goes.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// To this address, by the mail server.
    Mail(Email),
    /// To the chat whose webhook's address stands in this file.
    Chat(PathBuf),
}

/// Why a text is no target. Nothing of it is shown: it may be a webhook's address, which is a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotATarget {
    /// A web address.
    #[error(
        "a webhook's address is a credential and must not be typed, nor stand in a settings file: put it into a file of \
         your own, and give @FILE. Where it stood may be kept in a shell's history: think of making a new one"
    )]
    Typed,
    /// Not one address of one mailbox.
    #[error("give one plain address after mailto:, like mailto:it@example.com")]
    NotOneAddress,
    /// Neither.
    #[error("give mailto:ADDRESS, or @FILE for a file that holds a chat webhook's address")]
    Neither,
}

/// Whether a mailbox can stand in a header as it is.
fn is_plain(email: &Email) -> bool {
    let special = |c: char| matches!(c, '"' | '\\' | ',' | ';' | ':' | '<' | '>' | '(' | ')' | '?' | '%');
    email.wire().chars().all(|c| c.is_ascii_graphic() && !special(c))
}

/// An address that a header takes as it is.
pub(super) fn plain(text: &str) -> Option<Email> {
    text.parse().ok().filter(is_plain)
}

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let text = text.trim();
        if text.contains("://") {
            return Err(NotATarget::Typed);
        }
        if let Some(path) = text.strip_prefix('@').filter(|path| !path.is_empty()) {
            return Ok(Self::Chat(path.into()));
        }
        match text.get(..7) {
            Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => {
                let address = text.get(7..).and_then(plain);
                address.map(Self::Mail).ok_or(NotATarget::NotOneAddress)
            }
            _ => Err(NotATarget::Neither),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mail(_) => "Mail",
            Self::Chat(_) => "Chat",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_address_or_a_file() {
        let mail = |text: &str| Ok(Target::Mail(text.parse().expect("an address")));
        assert_eq!("mailto:it@example.com".parse::<Target>(), mail("it@example.com"));
        assert_eq!("MAILTO:it+cron@example.com".parse::<Target>(), mail("it+cron@example.com"));
        assert_eq!("@hook".parse::<Target>(), Ok(Target::Chat("hook".into())));
        for (text, why) in [
            ("https://hooks.example.com/T/SECRET", NotATarget::Typed),
            ("@https://hooks.example.com/T/SECRET", NotATarget::Typed),
            ("hooks.example.com/T/SECRET", NotATarget::Neither),
            ("it@example.com", NotATarget::Neither),
            ("@", NotATarget::Neither),
            ("", NotATarget::Neither),
            ("mailto:", NotATarget::NotOneAddress),
            ("mailto:a@example.com,b@example.com", NotATarget::NotOneAddress),
            ("mailto:a@example.com?cc=b@example.com", NotATarget::NotOneAddress),
            ("mailto:a@example.com\r\nBcc: b@example.com", NotATarget::NotOneAddress),
        ] {
            assert_eq!(text.parse::<Target>(), Err(why), "{text}");
            assert!(!why.to_string().contains("SECRET"));
        }
    }
}
