//! A notice to a chat, by its webhook: one POST of `{"text": …}`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, Proxy, Url, header::CONTENT_TYPE};

use super::error::{NotifyError, Untold, WHAT};
use crate::{
    access, http,
    origin::{AddressError, PortalAddress, ProxyAddress},
    portal::install_crypto,
    secret::{Secret, SecretError},
    trust,
};

/// A chat that can be told something. Its address is a credential, and is shown nowhere.
#[derive(Debug)]
pub(super) struct Chat {
    /// The file that its address stands in.
    pub(super) path: PathBuf,
    address: Secret,
    client: Client,
}

impl Chat {
    /// Makes ready. Nothing is sent.
    pub(super) fn new(
        path: &Path,
        timeout: Duration,
        ca_file: Option<&Path>,
        proxy: Option<&ProxyAddress>,
    ) -> Result<Self, NotifyError> {
        let address = Secret::read(WHAT, path).map_err(|error| match error {
            SecretError::Unreadable { .. } if looks_typed(path) => NotifyError::Typed,
            other => NotifyError::Secret(other),
        })?;
        let url = Url::parse(address.expose()).map_err(|_not_shown| NotifyError::NoAddress)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotifyError::NoAddress);
        }
        // What holds of a portal's address holds of this one: encrypted, but for this very machine.
        let place: PortalAddress = url.origin().ascii_serialization().parse().map_err(|error| match error {
            AddressError::InTheClear(_) => NotifyError::InTheClear,
            _ => NotifyError::NoAddress,
        })?;
        install_crypto();
        let given = ca_file.map(trust::certificates).transpose()?.unwrap_or_default();
        let trust = place.is_https().then(|| trust::besides_system(given)).transpose();
        let trust = trust.map_err(|why| NotifyError::Tls(trust::no_setup(&why, trust::BY_OPTION)))?;
        let mut builder = http::client(trust).connect_timeout(timeout).timeout(timeout).no_proxy();
        if let Some(proxy) = access::proxy(proxy, &place)? {
            let proxy = Proxy::all(proxy.expose().clone()).map_err(|_not_shown| NotifyError::Proxy)?;
            builder = builder.proxy(proxy);
        }
        let unusable = |why: reqwest::Error| format!("cannot set up encrypted connections: {}", why.without_url());
        let client = builder.build().map_err(|why| NotifyError::Tls(unusable(why)))?;
        Ok(Self { path: path.to_owned(), address, client })
    }

    /// Tells it; or why it was not told, without its address and without its words.
    pub(super) async fn tell(&self, text: &str) -> Result<(), Untold> {
        let body = serde_json::json!({ "text": text }).to_string();
        let asked = self.client.post(self.address.expose()).header(CONTENT_TYPE, "application/json").body(body);
        let answer = asked.send().await.map_err(|error| {
            let certificate = trust::certificate_error(&error).is_some();
            Untold { why: why(&error), again: error.is_connect() && !certificate }
        })?;
        let status = answer.status();
        let (why, again) = match status.as_u16() {
            200..=299 => return Ok(()),
            300..=399 => (format!("its webhook sends requests on elsewhere ({status}), which is not followed"), false),
            429 => (format!("its webhook takes no more at the moment ({status})"), true),
            400..=499 => (format!("its webhook refused it ({status}); look whether its address still holds"), false),
            _ => (format!("its webhook could not take it ({status})"), true),
        };
        Err(Untold { why, again })
    }
}

/// Why nothing was told. The library's own words hold the address.
fn why(error: &reqwest::Error) -> String {
    let certificate = trust::certificate_error(error).map(|why| trust::told(why, "--ca-file FILE (PEM)"));
    if let Some(why) = certificate.or_else(|| trust::handshake(error)) {
        return format!("its webhook cannot be reached: {why}");
    }
    if error.is_timeout() {
        "its webhook did not answer in time".to_owned()
    } else if error.is_connect() {
        "its webhook cannot be reached".to_owned()
    } else {
        "the connection to its webhook broke".to_owned()
    }
}

/// Whether a path that leads nowhere is rather an address without its scheme.
fn looks_typed(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let host = text.split_once('/').map_or("", |(host, _)| host);
    !host.starts_with(['.', '~']) && host.contains('.')
}
