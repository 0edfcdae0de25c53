//! Where a portal lives: the address that an administrator gives, checked once, and its origin, under which the
//! ledger knows it.
//!
//! Absent on purpose: any way to reach a portal over plain HTTP other than on loopback. The key would travel in the
//! clear.

use std::{fmt, net::IpAddr, str::FromStr};

use reqwest::Url;

use crate::display::Shown;

/// A portal's public address: `https`, or `http` on loopback; no path, query, fragment or user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalAddress(Url);

/// Scheme, host and port; lower case, the default port dropped: the ledger's name of a portal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

/// The address of a proxy. User and password may stand in it; they are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyAddress(Url);

/// Why a text is no proxy's address. The text is not shown: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// No address.
    #[error("that is no address of a proxy; give one like http://proxy.example.com:3128")]
    NoAddress,
    /// A kind of proxy that is not spoken.
    #[error("only proxies that are reached by http:// or https:// can be used, like http://proxy.example.com:3128")]
    OtherScheme,
}

impl ProxyAddress {
    /// The address in full, for the one who goes there.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// Whether the proxy itself is spoken to in the clear.
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Host and port, as they are connected to.
    pub fn place(&self) -> (String, u16) {
        let host = self.0.host_str().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        (literal.to_owned(), self.0.port_or_known_default().unwrap_or(80))
    }
}

impl FromStr for ProxyAddress {
    type Err = ProxyError;

    /// Without a scheme it is `http`, as everywhere.
    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let text = text.trim();
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&text).map_err(|_unusable| ProxyError::NoAddress)?;
        match url.scheme() {
            "http" | "https" if url.host_str().is_some_and(|host| !host.is_empty()) => Ok(Self(url)),
            "http" | "https" => Err(ProxyError::NoAddress),
            _ => Err(ProxyError::OtherScheme),
        }
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyAddress({self})")
    }
}

/// Why a text is no portal's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No URL at all.
    #[error("`{shown}` is not a web address: {why}; give the portal's public address, like https://portal.example.com")]
    NotAUrl {
        /// The text, made safe to show.
        shown: String,
        /// The parser's reason.
        why: String,
    },
    /// A host without its scheme.
    #[error("`{0}` lacks its scheme; try https://{0}")]
    NoScheme(String),
    /// Neither `https` nor `http`.
    #[error("`{0}:` is not how a portal is reached; give an address that begins with https://")]
    OtherScheme(String),
    /// Plain HTTP to another machine.
    #[error("the key would travel in the clear to {0}: use https:// (plain http is for loopback only)")]
    InTheClear(String),
    /// A user or password in the address. It is not shown: it may be a secret.
    #[error(
        "the address holds a user name or password; leave them off, and give the key by --api-key-file or \
         ONBOARD_API_KEY"
    )]
    HoldsUser,
    /// More than an origin.
    #[error("give only the portal's address, without path, query or fragment: {0}")]
    MoreThanOrigin(String),
}

impl PortalAddress {
    /// The address of one of the portal's calls; `path` begins with `/`, its segments are already safe.
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }

    /// The name under which the ledger knows this portal.
    pub fn origin(&self) -> Origin {
        Origin(self.0.origin().ascii_serialization())
    }

    /// Whether the portal is on this very machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host, as it is looked up.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port, given or by default.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }
}

impl FromStr for PortalAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let url = match Url::parse(text) {
            Ok(url) if url.cannot_be_a_base() || url.host_str().is_none() => {
                // `localhost:8080` parses as a URL of scheme `localhost`.
                return Err(no_scheme(text).unwrap_or_else(|| AddressError::OtherScheme(url.scheme().to_owned())));
            }
            Ok(url) => url,
            Err(why) => {
                return Err(no_scheme(text).unwrap_or_else(|| AddressError::NotAUrl {
                    shown: Shown(if text.contains('@') { "…" } else { text }).to_string(),
                    why: why.to_string(),
                }));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::HoldsUser);
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(AddressError::InTheClear(url.host_str().unwrap_or_default().to_owned())),
            other => return Err(AddressError::OtherScheme(other.to_owned())),
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::MoreThanOrigin(url.origin().ascii_serialization()));
        }
        Ok(Self(url))
    }
}

/// A text that would be an address if only it had a scheme.
fn no_scheme(text: &str) -> Option<AddressError> {
    let bare = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '/'));
    let has_scheme = text.contains("://");
    (bare && !has_scheme && !text.is_empty()).then(|| AddressError::NoScheme(text.trim_end_matches('/').to_owned()))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for PortalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin().fmt(f)
    }
}

impl Origin {
    /// The name under which `--sandbox` keeps its records where a ledger is given: its port changes with each run.
    pub fn of_sandbox() -> Self {
        Self("http://sandbox.localhost".to_owned())
    }

    /// The origin as text: `https://portal.example.com`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its host, and its port where that is not the usual one.
    pub fn host_and_port(&self) -> (&str, Option<u16>) {
        let place = self.0.split_once("://").map_or(&*self.0, |(_scheme, place)| place);
        match place.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
            Some((host, Ok(port))) => (host, Some(port)),
            _ => (place, None),
        }
    }
}

impl FromStr for Origin {
    type Err = AddressError;

    /// An origin that a portal once had (`--formerly`), plain HTTP included: that is what it may have moved from.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.parse::<PortalAddress>() {
            Ok(address) => Ok(address.origin()),
            Err(AddressError::InTheClear(_)) => {
                let url = Url::parse(text.trim())
                    .map_err(|why| AddressError::NotAUrl { shown: Shown(text).to_string(), why: why.to_string() })?;
                Ok(Self(url.origin().ascii_serialization()))
            }
            Err(other) => Err(other),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_lower_case_without_its_default_port() {
        let address: PortalAddress = "HTTPS://Portal.Example.COM:443/".parse().expect("an address");
        assert_eq!(address.origin().as_str(), "https://portal.example.com");
        let address: PortalAddress = "http://127.0.0.1:8080".parse().expect("an address");
        assert_eq!(address.origin().as_str(), "http://127.0.0.1:8080");
        assert!("http://localhost:1".parse::<PortalAddress>().is_ok());
        assert!("http://[::1]:1".parse::<PortalAddress>().is_ok());
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        assert_eq!(
            "http://portal.example.com".parse::<PortalAddress>(),
            Err(AddressError::InTheClear("portal.example.com".to_owned()))
        );
        assert!(matches!("http://127.0.0.1.example.com".parse::<PortalAddress>(), Err(AddressError::InTheClear(_))));
        assert_eq!("http://portal.example.com".parse::<Origin>().map(|o| o.0), Ok("http://portal.example.com".into()));
    }

    #[test]
    fn a_proxy_is_shown_without_its_user() {
        let shown = |text: &str| text.parse::<ProxyAddress>().map(|proxy| format!("{proxy} {proxy:?}"));
        let plain = Ok("http://proxy:3128 ProxyAddress(http://proxy:3128)".to_owned());
        for text in ["http://u:SECRETPW@proxy:3128", "proxy:3128", "u:SECRETPW@proxy:3128", " http://proxy:3128/ "] {
            assert_eq!(shown(text), plain, "{text}");
        }
        assert_eq!("127.0.0.1:1".parse::<ProxyAddress>().map(|proxy| proxy.place()), Ok(("127.0.0.1".into(), 1)));
        assert_eq!("http://[::1]".parse::<ProxyAddress>().map(|proxy| proxy.place()), Ok(("::1".into(), 80)));
        for text in ["", "http://", "http://u:SECRETPW@:bad:", "u:SECRETPW"] {
            assert_eq!(text.parse::<ProxyAddress>(), Err(ProxyError::NoAddress), "{text}");
        }
        for text in ["socks5://proxy:1080", "ftp://proxy"] {
            assert_eq!(text.parse::<ProxyAddress>(), Err(ProxyError::OtherScheme), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        assert_eq!(
            "portal.example.com".parse::<PortalAddress>(),
            Err(AddressError::NoScheme("portal.example.com".into()))
        );
        assert_eq!("localhost:8080".parse::<PortalAddress>(), Err(AddressError::NoScheme("localhost:8080".into())));
        assert_eq!("https://a:secret@b.c".parse::<PortalAddress>(), Err(AddressError::HoldsUser));
        assert_eq!("ftp://b.c".parse::<PortalAddress>(), Err(AddressError::OtherScheme("ftp".into())));
        assert_eq!(
            "https://b.c/rooms/shared".parse::<PortalAddress>(),
            Err(AddressError::MoreThanOrigin("https://b.c".into()))
        );
        assert!(matches!("https://b%2fc".parse::<PortalAddress>(), Err(AddressError::NotAUrl { .. })));
        assert!(matches!("".parse::<PortalAddress>(), Err(AddressError::NotAUrl { .. })));
    }
}
