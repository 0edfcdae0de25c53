//! From settings and the environment to a portal that can be asked: its address, the key, how to get there.

use std::path::Path;

use crate::{
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
    let proxy = match &settings.proxy {
        Some(proxy) => Some(proxy.clone()),
        None => proxy_of_environment(&address)?,
    };
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
pub fn warn_if_readable(what: &str, path: &Path) -> Option<String> {
    let mode = readable_by_others(path)?;
    let shown = path.display();
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

/// `HTTPS_PROXY`, unless `NO_PROXY` names the portal's host: exactly, as a domain above it, or by `*`.
fn proxy_of_environment(address: &PortalAddress) -> Result<Option<ProxyAddress>, NoAccess> {
    let either =
        |upper: &str, lower: &str| -> Result<Option<String>, NoAccess> { Ok(variable(upper)?.or(variable(lower)?)) };
    let Some(text) = either("HTTPS_PROXY", "https_proxy")? else { return Ok(None) };
    let without = either("NO_PROXY", "no_proxy")?.unwrap_or_default();
    if address.is_loopback() || bypassed(address.host(), &without) {
        return Ok(None);
    }
    Ok(Some(text.parse()?))
}

fn bypassed(host: &str, without: &str) -> bool {
    without
        .split(',')
        .map(|name| name.trim().trim_start_matches('.').to_ascii_lowercase())
        .any(|name| name == "*" || (!name.is_empty() && (host == name || host.ends_with(&format!(".{name}")))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_names_hosts_and_domains() {
        assert!(bypassed("portal.example.com", "localhost, .example.com"));
        assert!(bypassed("portal.example.com", "portal.example.com"));
        assert!(bypassed("portal.example.com", "*"));
        assert!(!bypassed("portal.example.com", "ample.com"));
        assert!(!bypassed("portal.example.com", ""));
    }
}
