//! HTTP as everything here speaks it: what is asked leaves once, and goes where it was sent.

use reqwest::{Client, ClientBuilder, redirect, retry};
use rustls::ClientConfig;

/// A client to be completed with timeouts and a proxy. Nothing that it is asked is repeated or sent on to another place;
/// it speaks HTTP/1.1, and encrypted only where it is told how.
pub(crate) fn client(encrypted: Option<ClientConfig>) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("onboard/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .retry(retry::never())
        .redirect(redirect::Policy::none())
        .referer(false)
        .tcp_nodelay(true)
        .https_only(encrypted.is_some());
    match encrypted {
        Some(mut config) => {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            builder.tls_backend_preconfigured(config)
        }
        // Plain HTTP to loopback needs no certificate store, and must not fail where there is none.
        None => builder.tls_certs_only(std::iter::empty()),
    }
}
