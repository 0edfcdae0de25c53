//! From settings and the environment to a portal that can be asked: its address, the key, how to get there.

use std::{net::IpAddr, path::Path};

use crate::{
    display::shown_path,
    origin::{PortalAddress, ProxyAddress, ProxyError},
    portal::{Access, AccessError, Portal},
    secret::{Secret, SecretError, readable_by_others},
    settings::{KeySource, PortalSettings},
};

/// The environment variable that holds the key itself.
const KEY_VARIABLE: &str = "ONBOARD_API_KEY";
const WHAT: &str = "API key";

/// Why a portal cannot be asked. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum NoAccess {
    /// No address.
    #[error("no portal is given; use --portal URL (or ONBOARD_PORTAL){}", if *may_be_sandbox { ", or --sandbox to try it on the embedded portal" } else { "" })]
    NoPortal {
        /// Whether the command has `--sandbox`.
        may_be_sandbox: bool,
    },
    /// No key.
    #[error(
        "no API key is given; use --api-key-file PATH (or ONBOARD_API_KEY_FILE), ONBOARD_API_KEY, or --api-key-command CMD"
    )]
    NoKey,
    /// The key cannot be had.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// The environment variable is not text.
    #[error("the value of {KEY_VARIABLE} is not text")]
    VariableNotText,
    /// The proxy's address cannot be used.
    #[error("HTTPS_PROXY cannot be used: {0}")]
    Proxy(#[from] ProxyError),
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] AccessError),
}

/// A portal, and what tells accounts apart.
#[derive(Debug)]
pub struct Entry {
    /// The portal.
    pub portal: Portal,
    /// Its address.
    pub address: PortalAddress,
    /// The account's fingerprint.
    pub account: [u8; 8],
    /// What should be said about the key, once.
    pub remarks: Vec<String>,
}

/// Makes ready to ask the portal that the options name.
pub fn entry(settings: &PortalSettings, may_be_sandbox: bool) -> Result<Entry, NoAccess> {
    let address = settings.address.clone().ok_or(NoAccess::NoPortal { may_be_sandbox })?;
    let (key, remarks) = key(&settings.key)?;
    let proxy = proxy(settings.proxy.as_ref(), &address)?;
    let account = key.fingerprint();
    let access =
        Access { address: address.clone(), key, timeout: settings.timeout, ca_file: settings.ca_file.clone(), proxy };
    let portal = Portal::new(access)?;
    Ok(Entry { portal, address, account, remarks })
}

/// The key, and what should be said about it.
pub fn key(source: &KeySource) -> Result<(Secret, Vec<String>), NoAccess> {
    let mut remarks = Vec::new();
    let variable = variable(KEY_VARIABLE)?;
    let key = match (source, variable) {
        (KeySource::Command(command), _) => Secret::from_command(WHAT, command)?,
        (KeySource::File(path), variable) => {
            if variable.is_some() {
                remarks.push(format!("{KEY_VARIABLE} is set too; the key in the file is used"));
            }
            remarks.extend(warn_if_readable(WHAT, path));
            Secret::read(WHAT, path)?
        }
        (KeySource::Environment, Some(text)) => Secret::new(WHAT, text)?,
        (KeySource::Environment, None) => return Err(NoAccess::NoKey),
    };
    Ok((key, remarks))
}

/// What to say where others can read a secret's file.
#[expect(clippy::disallowed_methods, reason = "systemd says in the environment where the credentials are that it made")]
pub fn warn_if_readable(what: &str, path: &Path) -> Option<String> {
    let mode = readable_by_others(path)?;
    // systemd lets the service's user in by an access list, whose mask looks like a group that may read.
    if std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|folder| !folder.is_empty() && path.starts_with(folder)) {
        return None;
    }
    let shown = shown_path(path);
    Some(format!(
        "others can read the {what} in {shown} (its mode is {mode:03o}); make it yours alone: chmod 600 {shown}"
    ))
}

#[expect(clippy::disallowed_methods, reason = "the environment is a documented source of the key and the proxy")]
fn variable(name: &str) -> Result<Option<String>, NoAccess> {
    match std::env::var(name) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(NoAccess::VariableNotText),
    }
}

/// The proxy through which this address is reached: the one that is given, or that of the environment; never for loopback.
pub fn proxy(given: Option<&ProxyAddress>, address: &PortalAddress) -> Result<Option<ProxyAddress>, NoAccess> {
    match given {
        Some(_) if address.is_loopback() => Ok(None),
        Some(proxy) => Ok(Some(proxy.clone())),
        None => proxy_of_environment(address),
    }
}

/// `HTTPS_PROXY`, unless `NO_PROXY` names the portal.
fn proxy_of_environment(address: &PortalAddress) -> Result<Option<ProxyAddress>, NoAccess> {
    let either =
        |upper: &str, lower: &str| -> Result<Option<String>, NoAccess> { Ok(variable(upper)?.or(variable(lower)?)) };
    let Some(text) = either("HTTPS_PROXY", "https_proxy")? else { return Ok(None) };
    let without = either("NO_PROXY", "no_proxy")?.unwrap_or_default();
    if address.is_loopback() || bypassed(address.host(), address.port(), &without) {
        return Ok(None);
    }
    Ok(Some(text.parse()?))
}

/// Whether `NO_PROXY` names this host, as curl and Go read it: names apart by commas or blanks, in any case, with or
/// without a final dot. A name stands for itself and what is below it, `*.name` for what is below it only, `*` for
/// everything; addresses stand for themselves, with `/` and a number of bits for a network. `:port` narrows it to a port.
fn bypassed(host: &str, port: u16, without: &str) -> bool {
    let host = host.trim_end_matches('.');
    let address = address_of(host);
    without.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some((network, bits)) = entry.split_once('/') {
            let network = address_of(network).zip(bits.parse().ok());
            return network.zip(address).is_some_and(|((network, bits), address)| is_in(address, network, bits));
        }
        if let Some(named) = address_of(entry) {
            return address == Some(named);
        }
        let (name, of_port) = match entry.rsplit_once(':') {
            Some((name, digits)) => match digits.parse::<u16>() {
                Ok(number) => (name, number == port),
                Err(_no_port) => return false,
            },
            None => (entry, true),
        };
        of_port && if let Some(named) = address_of(name) { address == Some(named) } else { is_named(host, name) }
    })
}

/// A host's own name against one of `NO_PROXY`.
fn is_named(host: &str, name: &str) -> bool {
    let (name, itself) = match name.strip_prefix("*.") {
        Some(below) => (below, false),
        None => (name.trim_start_matches('.'), true),
    };
    // Read as part of an address, so that letters beyond ASCII come out as they are looked up.
    let Ok(url) = reqwest::Url::parse(&format!("http://{}/", name.trim_end_matches('.'))) else { return false };
    let Some(name) = url.host_str() else { return false };
    (itself && host == name) || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
}

/// An address, bare or in brackets; one of IPv4 that is written as one of IPv6 is itself.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn is_in(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same = |address: u128, network: u128, width: u32| {
        bits <= width && (bits == 0 || (address ^ network) >> (width - bits) == 0)
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            same(u128::from(address.to_bits()), u128::from(network.to_bits()), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => same(address.to_bits(), network.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_names_hosts_and_domains() {
        let bypassed = |host: &str, without: &str| bypassed(host, 443, without);
        assert!(bypassed("portal.example.com", "localhost, .example.com"));
        assert!(bypassed("portal.example.com", "portal.example.com"));
        assert!(bypassed("portal.example.com", "*"));
        assert!(!bypassed("portal.example.com", "ample.com"));
        assert!(!bypassed("portal.example.com", ""));
    }

    #[test]
    fn no_proxy_is_read_as_curl_and_go_read_it() {
        for (host, port, without, is_named) in [
            ("portal.example.com", 443, "*.example.com", true),
            ("a.portal.example.com", 443, "*.example.com", true),
            ("example.com", 443, "*.example.com", false),
            ("badexample.com", 443, "*.example.com", false),
            ("example.com", 443, ".example.com", true),
            ("example.com", 443, "example.com", true),
            ("badexample.com", 443, "example.com", false),
            ("portal.example.com", 443, "Portal.EXAMPLE.com.", true),
            ("portal.example.com.", 443, "portal.example.com", true),
            ("portal.example.com", 443, "a.test b.test portal.example.com", true),
            ("portal.example.com", 443, "a.test ,\tportal.example.com , ", true),
            ("portal.example.com", 443, "portal.example.com:443", true),
            ("portal.example.com", 8443, "portal.example.com:443", false),
            ("portal.example.com", 443, ".example.com:443", true),
            ("portal.example.com", 443, "portal.example.com:http", false),
            ("xn--bcher-kva.example", 443, "b\u{fc}cher.example", true),
            ("10.1.2.3", 443, "10.0.0.0/8", true),
            ("11.1.2.3", 443, "10.0.0.0/8", false),
            ("10.1.2.3", 443, "10.1.2.3/32", true),
            ("10.1.2.3", 443, "0.0.0.0/0", true),
            ("10.1.2.3", 443, "10.0.0.0/33", false),
            ("10.1.2.3", 443, "10.0.0.0/-1", false),
            ("10.1.2.3", 443, "10.1.2.3", true),
            ("10.1.2.3", 8443, "10.1.2.3:443", false),
            ("10.1.2.3", 443, "2.3", false),
            ("portal.example.com", 443, "10.0.0.0/8", false),
            ("[2001:db8::1]", 443, "2001:db8::1", true),
            ("[2001:db8::1]", 443, "[2001:db8::1]", true),
            ("[2001:db8::1]", 443, "2001:DB8:0::1", true),
            ("[2001:db8::1]", 443, "[2001:db8::1]:443", true),
            ("[2001:db8::1]", 8443, "[2001:db8::1]:443", false),
            ("[2001:db8::1]", 443, "2001:db8::/32", true),
            ("[2001:db9::1]", 443, "2001:db8::/32", false),
            ("[2001:db8::1]", 443, "::/0", true),
            ("[::ffff:10.1.2.3]", 443, "10.0.0.0/8", true),
            ("portal.example.com", 443, "*", true),
            ("portal.example.com", 443, "*,", true),
            ("portal.example.com", 443, "*com", false),
            ("portal.example.com", 443, ", ,", false),
            ("portal.example.com", 443, ".", false),
            ("portal.example.com", 443, "*.", false),
        ] {
            assert_eq!(bypassed(host, port, without), is_named, "{host}:{port} of `{without}`");
        }
    }
}
