//! Where a mail server is: the address that is typed, checked once.
//!
//! Absent on purpose: a password in it, which process lists and shell histories would keep; and any way to go in the clear
//! to another machine.

use std::{fmt, net::IpAddr, str::FromStr};

use reqwest::Url;

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// From its first byte (`smtps://`).
    Implicit,
    /// By STARTTLS, without which nothing goes on (`smtp://`); not needed on loopback.
    StartTls,
}

/// A mail server: `smtps://USER@HOST:PORT` or `smtp://USER@HOST:PORT`.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    encryption: Encryption,
    /// As it is looked up; an address of IPv6 without brackets.
    host: String,
    port: u16,
    user: Option<String>,
}

/// Why a text is no mail server's address. Nothing of it is shown that may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Not like an address.
    #[error("that is no address of a mail server; give one like smtps://it@mail.example.com")]
    NoAddress,
    /// Another scheme.
    #[error(
        "`{0}:` is not how a mail server is reached; give smtps://HOST (encrypted from the start, port 465) or smtp://HOST \
         (STARTTLS, port 587)"
    )]
    OtherScheme(String),
    /// A password stands in it.
    #[error(
        "the mail server's address holds a password, which must not stand there; leave it off, and give it by \
         ONBOARD_SMTP_PASSWORD, ONBOARD_SMTP_PASSWORD_FILE or --smtp-password-command. Where it stood may be kept in a \
         shell's history: think of making a new one"
    )]
    HoldsPassword,
    /// The user is no text.
    #[error(
        "the user in the mail server's address cannot be read; write what is no letter or digit as %XX, such as %40 for @"
    )]
    BadUser,
    /// More than a server.
    #[error("give only the mail server's address, without path, query or fragment: {0}")]
    MoreThanServer(String),
}

impl Server {
    /// How the connection is encrypted.
    pub fn encryption(&self) -> Encryption {
        self.encryption
    }

    /// The host, as it is looked up.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, given or by default.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who logs in.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether it is on this very machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The server as people may read it, without its user.
    pub fn name(&self) -> String {
        let (scheme, usual) = match self.encryption {
            Encryption::Implicit => ("smtps", IMPLICIT),
            Encryption::StartTls => ("smtp", SUBMISSION),
        };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let port = if self.port == usual { String::new() } else { format!(":{}", self.port) };
        format!("{scheme}://{host}{port}")
    }
}

/// The usual ports (RFC 8314).
const IMPLICIT: u16 = 465;
const SUBMISSION: u16 = 587;

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        let text = text.trim();
        let (scheme, _) = text.split_once("://").ok_or(ServerError::NoAddress)?;
        let encryption = match scheme.to_ascii_lowercase().as_str() {
            "smtps" => Encryption::Implicit,
            "smtp" => Encryption::StartTls,
            other if other.bytes().all(|byte| byte.is_ascii_alphanumeric()) && other.len() <= 12 => {
                return Err(ServerError::OtherScheme(other.to_owned()));
            }
            _ => return Err(ServerError::NoAddress),
        };
        let url = Url::parse(text).map_err(|_unusable| ServerError::NoAddress)?;
        if url.password().is_some() {
            return Err(ServerError::HoldsPassword);
        }
        let user = match url.username() {
            "" => None,
            user => Some(decoded(user).filter(|user| !user.contains(char::is_control)).ok_or(ServerError::BadUser)?),
        };
        let host = host(url.host_str().unwrap_or_default()).ok_or(ServerError::NoAddress)?;
        let port = url.port().unwrap_or(match encryption {
            Encryption::Implicit => IMPLICIT,
            Encryption::StartTls => SUBMISSION,
        });
        let server = Self { encryption, host, port, user };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(ServerError::MoreThanServer(server.name()));
        }
        Ok(server)
    }
}

/// A host's name or address. Only the schemes of the web have theirs looked at by who reads addresses.
fn host(text: &str) -> Option<String> {
    if let Some(literal) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return literal.parse::<IpAddr>().ok().map(|address| address.to_string());
    }
    let name = idna::domain_to_ascii(&decoded(text)?).ok()?;
    let label = |label: &str| {
        let ends_well = !label.starts_with('-') && !label.ends_with('-');
        !label.is_empty()
            && ends_well
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let whole = name.strip_suffix('.').unwrap_or(&name);
    (whole.len() <= 253 && whole.split('.').all(label)).then(|| whole.to_owned())
}

/// Without `%XX`.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = rest.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Server {
        text.parse().expect(text)
    }

    #[test]
    fn a_server_is_read_with_its_user_and_its_usual_port() {
        for (text, name, host, port, user) in [
            ("smtps://mail.example.com", "smtps://mail.example.com", "mail.example.com", 465, None),
            ("SMTP://Mail.Example.com/", "smtp://mail.example.com", "mail.example.com", 587, None),
            ("smtp://it@mail.example.com:25", "smtp://mail.example.com:25", "mail.example.com", 25, Some("it")),
            (
                "smtps://it%40example.com@mail.example.com",
                "smtps://mail.example.com",
                "mail.example.com",
                465,
                Some("it@example.com"),
            ),
            (
                "smtps://it@example.com@mail.example.com",
                "smtps://mail.example.com",
                "mail.example.com",
                465,
                Some("it@example.com"),
            ),
            ("smtp://[::1]:2525", "smtp://[::1]:2525", "::1", 2525, None),
            ("smtps://b\u{fc}cher.example", "smtps://xn--bcher-kva.example", "xn--bcher-kva.example", 465, None),
        ] {
            let server = server(text);
            assert_eq!((server.name().as_str(), server.host(), server.port(), server.user()), (name, host, port, user));
            assert!(!format!("{server:?}").contains("it@"), "{text}");
        }
    }

    #[test]
    fn loopback_is_this_machine_and_nothing_that_only_looks_like_it() {
        for text in
            ["smtp://localhost", "smtp://LOCALHOST:25", "smtp://127.0.0.1:25", "smtp://127.1.2.3", "smtp://[::1]"]
        {
            assert!(server(text).is_loopback(), "{text}");
        }
        for text in
            ["smtp://localhost.example.com", "smtp://10.0.0.1", "smtp://127.0.0.1.example.com", "smtp://it@mail"]
        {
            assert!(!server(text).is_loopback(), "{text}");
        }
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_told_back() {
        for text in [
            "smtps://it:SECRETPW@mail.example.com",
            "smtps://:SECRETPW@mail.example.com",
            "smtps://it:SECRETPW@mail example com",
            "smtps://it:SECRETPW@mail.example.com/x?y",
            "http://it:SECRETPW@mail.example.com",
            "it:SECRETPW@mail.example.com",
            "smtps://it:SEC/RETPW@mail.example.com",
            "smtps://it%00SECRETPW@mail.example.com",
            "it:SECRETPW://mail.example.com",
        ] {
            let error = text.parse::<Server>().expect_err(text).to_string();
            assert!(!error.contains("RETPW"), "{error}");
        }
        assert_eq!("smtps://it:x@mail.example.com".parse::<Server>(), Err(ServerError::HoldsPassword));
    }

    #[test]
    fn what_is_no_server_says_how_one_is_written() {
        for text in [
            "",
            "mail.example.com",
            "smtps://",
            "smtps:mail.example.com",
            "smtp://-mail.example.com",
            "smtp://a..b",
            "smtp://a%20b",
            "smtp://mail.example.com:99999",
            "smtp://[::1",
            "smtp://a,b",
        ] {
            assert_eq!(text.parse::<Server>(), Err(ServerError::NoAddress), "{text}");
        }
        assert_eq!("https://a".parse::<Server>(), Err(ServerError::OtherScheme("https".to_owned())));
        let more = "smtp://it@mail.example.com/inbox".parse::<Server>();
        assert_eq!(more, Err(ServerError::MoreThanServer("smtp://mail.example.com".to_owned())));
    }
}
