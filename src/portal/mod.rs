//! The client of a portal: each call it makes, and how each can end. One call here is one request on the wire.
//!
//! Absent on purpose: retries, redirects, cookies and waiting. Nothing below this module sends a request a second
//! time (`http`; what remains in the HTTP stack re-sends only a request of which no byte was
//! written), and nothing in it knows of pace, ledger or rows. Congratulations have a client of their own: no body
//! decoder, and connections that were idle for longer than two seconds are not used again. Where the ledger is shared,
//! no message begins to leave once its lease is over (`watched`).

pub mod envelope;
mod fault;
pub mod person;
mod proxy;
mod watched;
mod web_page;

use std::{error::Error as _, path::PathBuf, time::Duration};

use reqwest::{
    Body, Client, Method, Proxy, Response, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE},
};

use self::watched::{Suspended, Watched};
pub use self::{
    envelope::{InviteLink, LinkAnswer},
    fault::{Effect, ErrorBody, Fault, Loss},
    person::{Page, Person, PersonStatus},
};
use crate::{
    display::Shown,
    http,
    lease::Lease,
    origin::{PortalAddress, ProxyAddress},
    pace::Refusal,
    secret::{self, Secret},
    trust,
    user::{Email, EmployeeType, UserId},
};

/// The largest body that is read of an answer to a question, decoded, in bytes; what is beyond is never fetched. A page
/// of a hundred users in full is a tenth of it; what JSON of this size can become in memory is some sixty MiB.
const MAX_BODY: usize = 2 << 20;
/// The largest body that is read of an answer to a congratulation, or of one that is no success, in bytes.
const MAX_SMALL_BODY: usize = 1 << 20;
/// The largest body that is read of an answer to an invitation: it lists everybody who is pending
/// (`docspace-contract.md` §7.1). Only its envelope is looked at.
const MAX_LISTED_BODY: usize = 8 << 20;
/// How many users a page of the listing holds at the most (`docspace-contract.md` §6.2).
pub const PAGE_SIZE: u32 = 100;
/// The longest piece of what a login wants that is shown, in bytes.
const MAX_CHALLENGE: usize = 80;
/// A connection that was idle for longer is not used for a congratulation (`reliability.md` Q12).
const FRESH_FOR: Duration = Duration::from_secs(2);
/// The vendor's web server closes idle connections after 65 s; a question retires them well before.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// The longest that making a connection may take; always less than the whole request may, so that "not sent" can be
/// told from "lost" (`reliability.md` §3.6).
const CONNECT_FOR: Duration = Duration::from_secs(10);

/// What is told of a page with 200.
const PAGE: &str = "it is a web page, not the answer of a DocSpace portal";

/// How to reach a portal.
#[derive(Debug, Clone)]
pub struct Access {
    /// Its public address.
    pub address: PortalAddress,
    /// The administrator's key or token.
    pub key: Secret,
    /// The longest that one request may take, from its start to the answer's last byte.
    pub timeout: Duration,
    /// Certificates to trust besides the system's: of authorities, or of the portal itself.
    pub ca_file: Option<PathBuf>,
    /// A proxy to go through, by CONNECT. Never for loopback.
    pub proxy: Option<ProxyAddress>,
}

/// What is asked for of each user of a page of the listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Whether they are active.
    Status,
    /// That, and the address by which a row finds them.
    StatusAndAddress,
    /// That, and the name that is shown.
    StatusAddressAndName,
    /// Everything, of those with this status (enabled or pending), if one is given.
    Everything {
        /// The status.
        status: Option<PersonStatus>,
    },
}

/// Why no client could be made: nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The CA file could not be read or holds no certificate.
    #[error(transparent)]
    CaFile(#[from] trust::NoCertificates),
    /// The proxy cannot be used.
    #[error("cannot use the proxy: {0}")]
    Proxy(String),
    /// The TLS side could not be set up.
    #[error("{0}")]
    Tls(String),
    /// The key cannot be sent.
    #[error("the key cannot be sent in a header")]
    Key,
}

/// A portal, reachable. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Portal {
    address: PortalAddress,
    key: Secret,
    masked: Vec<Secret>,
    proxy: Option<ProxyAddress>,
    reads: Client,
    writes: Client,
    /// Where congratulations go, up to their query.
    congratulations: Url,
    /// For how long messages may leave, where the ledger is shared.
    lease: Option<Lease>,
}

/// Sets up the cryptography once for the process; later calls change nothing.
pub fn install_crypto() {
    // The error says that a provider is there already, which is what is wanted.
    drop(rustls::crypto::ring::default_provider().install_default());
}

impl Portal {
    /// Makes the two clients. Nothing is sent.
    pub fn new(access: Access) -> Result<Self, AccessError> {
        install_crypto();
        let proxy = access.proxy.filter(|_| !access.address.is_loopback());
        let authorization = access.key.authorization().ok_or(AccessError::Key)?;
        let given = access.ca_file.as_deref().map(trust::certificates).transpose()?.unwrap_or_default();
        let trust = access.address.is_https().then(|| trust::besides_system(given)).transpose();
        let trust = trust.map_err(|why| AccessError::Tls(trust::no_setup(&why, trust::BY_OPTION)))?;
        let build = |gzip: bool, idle_for: Duration| -> Result<Client, AccessError> {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, authorization.clone());
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            let mut builder = http::client(trust.clone())
                .default_headers(headers)
                .gzip(gzip)
                .pool_idle_timeout(idle_for)
                .connect_timeout(CONNECT_FOR.min(access.timeout.mul_f64(0.9)))
                .timeout(access.timeout)
                .no_proxy();
            if let Some(proxy) = &proxy {
                builder =
                    builder.proxy(Proxy::all(proxy.expose().clone()).map_err(|why| AccessError::Proxy(chain(&why)))?);
            }
            builder
                .build()
                .map_err(|why| AccessError::Tls(format!("cannot set up encrypted connections: {}", chain(&why))))
        };
        let reads = build(true, IDLE_FOR)?;
        let writes = build(false, FRESH_FOR)?;
        Ok(Self {
            congratulations: access.address.join("/api/2.0/portal/sendcongratulations"),
            address: access.address,
            masked: vec![access.key.clone()],
            proxy,
            key: access.key,
            reads,
            writes,
            lease: None,
        })
    }

    /// Lets messages leave only while this lease is fresh. The look is made when the connection stands, right before the
    /// first byte; a message that is too late is [`Fault::NotSent`], and may be tried again with an intent of its own.
    #[must_use]
    pub fn guarded_by(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Masks one more secret (the portal's machine key) in whatever the portal says.
    #[must_use]
    pub fn masking(mut self, secret: Secret) -> Self {
        self.masked.push(secret);
        self
    }

    /// The proxy that is gone through.
    pub fn proxy(&self) -> Option<&ProxyAddress> {
        self.proxy.as_ref()
    }

    /// Whether the secret in use is an API key, as against a token.
    pub fn uses_api_key(&self) -> bool {
        self.key.is_api_key()
    }

    /// The invitation link for an employee type (`docspace-contract.md` §3.1).
    pub async fn invite_link(&self, kind: EmployeeType) -> Result<LinkAnswer, Fault> {
        let body = self.get(&format!("/api/2.0/portal/users/invite/{kind}"), &[]).await?;
        envelope::link(&body).map_err(Fault::Unreadable)
    }

    /// One user, by id (`docspace-contract.md` §3.2). The answer may be about somebody else: compare the id.
    pub async fn account(&self, user: UserId) -> Result<Person, Fault> {
        let body = self.get(&format!("/api/2.0/portal/users/{user}"), &[]).await?;
        person::account(&body).map_err(Fault::Unreadable)
    }

    /// One user, by e-mail address (`docspace-contract.md` §6.1); 404 where there is none. The answer may be about
    /// somebody else.
    pub async fn person(&self, email: &Email) -> Result<Person, Fault> {
        let body = self.get("/api/2.0/people/email", &[("email", email.as_str())]).await?;
        person::person(&body).map_err(Fault::Unreadable)
    }

    /// One page of the listing, sorted by address since that is the stable order (`docspace-contract.md` §6.5).
    pub async fn page(&self, start: u64, wanted: Wanted) -> Result<Page, Fault> {
        let (count, start) = (PAGE_SIZE.to_string(), start.to_string());
        let mut query =
            vec![("count", &*count), ("startIndex", &*start), ("sortBy", "email"), ("sortOrder", "ascending")];
        match wanted {
            Wanted::Status => query.push(("fields", "id,status,activationStatus")),
            Wanted::StatusAndAddress => query.push(("fields", "id,email,status,activationStatus")),
            Wanted::StatusAddressAndName => query.push(("fields", "id,email,displayName,status,activationStatus")),
            Wanted::Everything { status: None } => {}
            Wanted::Everything { status: Some(PersonStatus::Pending) } => query.push(("employeeStatus", "4")),
            Wanted::Everything { status: Some(_) } => query.push(("employeeStatus", "1")),
        }
        let body = self.get("/api/2.0/people/filter", &query).await?;
        person::page(&body).map_err(Fault::Unreadable)
    }

    /// The portal's tenant number (`docspace-contract.md` §4), from the portal itself.
    pub async fn tenant(&self) -> Result<i64, Fault> {
        let portal = self.ask("/api/2.0/portal", &[]).await?;
        let tenant = portal.get("tenantId").and_then(serde_json::Value::as_i64).filter(|tenant| *tenant > 0);
        tenant.ok_or(Fault::Unreadable("it does not tell the tenant number"))
    }

    /// What the portal says of itself to anybody: its version, and its clock (the answer's `Date`).
    pub async fn version(&self) -> Result<(Option<String>, Option<String>), Fault> {
        let response = self.reads.get(self.address.join("/api/2.0/settings/version/build")).send().await;
        let response = self.heard(response).await?;
        let date = response.headers().get(DATE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = self.body_of_success(response, MAX_SMALL_BODY).await?;
        let build = envelope::value(&body).map_err(Fault::Unreadable)?;
        Ok((build.get("docSpace").and_then(serde_json::Value::as_str).map(str::to_owned), date))
    }

    /// Any other question, for its `response` as it is.
    pub async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<serde_json::Value, Fault> {
        let body = self.get(path, query).await?;
        envelope::value(&body).map_err(Fault::Unreadable)
    }

    /// Sends the congratulation: the only call that cannot be taken back, and the only place that makes it
    /// (`docspace-contract.md` §3.3). `Ok` means that the portal accepted it, not that a mail arrived.
    pub async fn congratulate(&self, user: UserId, key: &str) -> Result<(), Fault> {
        let mut url = self.congratulations.clone();
        url.query_pairs_mut().append_pair("Userid", &user.to_string()).append_pair("Key", key);
        self.send_congratulation(url).await.map_err(|fault| {
            // What went wrong may tell the request back: the key as it is, and as it stood in the address. A word like
            // `birthday` is no secret, but nobody misses it either.
            let mut sent = self.congratulations.clone();
            sent.query_pairs_mut().append_key_only(key);
            fault.mask(|text| secret::mask(sent.query().unwrap_or_default(), &secret::mask(key, text)))
        })
    }

    async fn send_congratulation(&self, url: Url) -> Result<(), Fault> {
        let request = self.writes.request(Method::POST, url).body(self.watched(String::new()));
        let response = self.heard(request.send().await).await?;
        let body = self.body_of_success(response, MAX_SMALL_BODY).await?;
        envelope::accepted(&body).map_err(Fault::Unreadable)
    }

    /// Sends a JSON body by POST or PUT (`docspace-contract.md` §7).
    pub async fn submit(&self, method: Method, path: &str, json: String) -> Result<(), Fault> {
        let request = self
            .writes
            .request(method, self.address.join(path))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(self.watched(json));
        let response = self.heard(request.send().await).await?;
        let body = self.body_of_success(response, MAX_LISTED_BODY).await?;
        envelope::success(&body).map_err(Fault::Unreadable)
    }

    /// What a message carries, which leaves only while the ledger is known to be ours.
    fn watched(&self, body: String) -> Body {
        Body::wrap(Watched::new(body, self.lease.clone()))
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Fault> {
        let mut url = self.address.join(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let response = self.heard(self.reads.get(url).send().await).await?;
        self.body_of_success(response, MAX_BODY).await
    }

    /// What became of a request, up to the head of its answer.
    async fn heard(&self, result: Result<Response, reqwest::Error>) -> Result<Response, Fault> {
        let error = match result {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let fault = fault_of(&error);
        let (Some(proxy), Fault::NotSent { why, for_good }) = (&self.proxy, &fault) else { return Err(fault) };
        if !error.is_connect() || trust::certificate_error(&error).is_some() {
            return Err(fault);
        }
        let through = || Fault::NotSent { why: format!("{why} (through the proxy {proxy})"), for_good: *for_good };
        if error.is_timeout() {
            return Err(through());
        }
        // Building a request turns the user and password of an address into the header that a proxy wants.
        let request = self.reads.get(proxy.expose().clone()).build().ok();
        let authorization = request.as_ref().and_then(|request| request.headers().get(AUTHORIZATION));
        Err(proxy::refusal(proxy, authorization, &self.address).await.unwrap_or_else(through))
    }

    /// Decides by the status first; reads at most `limit` bytes.
    async fn body_of_success(&self, response: Response, limit: usize) -> Result<Vec<u8>, Fault> {
        let status = response.status().as_u16();
        if status == 200 {
            let is_page =
                response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
            let body = bounded_body(response, limit).await;
            return match body.as_ref().ok().and_then(|body| web_page::read(body, str::to_owned)) {
                Some(page) if page.is_login => Err(Fault::Unreadable(
                    "it is a login page, not the answer of a DocSpace portal: something before the portal wants people to \
                     log in",
                )),
                Some(_) => Err(Fault::Unreadable(PAGE)),
                None if is_page => Err(Fault::Unreadable(PAGE)),
                None => body,
            };
        }
        let headers = response.headers();
        if let Some(refusal) = refusal_of(status, headers) {
            return Err(Fault::Refused(refusal));
        }
        if (300..400).contains(&status) {
            let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            return Err(Fault::redirected(status, location));
        }
        let masked = |text: &str| self.masked.iter().fold(text.to_owned(), |text, secret| secret.mask(&text));
        if let Some(wants) = headers.get(WWW_AUTHENTICATE).filter(|_| status == 401) {
            let wants = masked(&String::from_utf8_lossy(wants.as_bytes()));
            let wants = Shown(wants.get(..MAX_CHALLENGE).unwrap_or(&wants)).to_string();
            return Err(Fault::Answered { status, body: ErrorBody::Challenge { wants } });
        }
        // The status is known; a body that cannot be had changes nothing about it.
        let body = bounded_body(response, MAX_SMALL_BODY).await.unwrap_or_default();
        let body = envelope::error_body(&body, masked);
        Err(Fault::Answered { status, body })
    }
}

/// A refusal by a limiter: 429, or 503 that says when to come back.
fn refusal_of(status: u16, headers: &HeaderMap) -> Option<Refusal> {
    let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Refusal::from_headers(status, get, get(DATE.as_str()))
}

async fn bounded_body(mut response: Response, limit: usize) -> Result<Vec<u8>, Fault> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut body = Vec::with_capacity(announced.min(64 << 10));
    while let Some(chunk) = response.chunk().await.map_err(|error| fault_of(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(Fault::Unreadable("its body is too large to be that of a DocSpace portal"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Sorts an error of the HTTP stack. Its text is used only where no URL is in it: URLs hold user ids and keys.
fn fault_of(error: &reqwest::Error) -> Fault {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    if let Some(suspended) = causes.find_map(|cause| cause.downcast_ref::<Suspended>()) {
        return Fault::NotSent { why: suspended.to_string(), for_good: false };
    }
    if error.is_connect() {
        return not_sent(error);
    }
    if error.is_builder() {
        return Fault::NotSent { why: "the request could not be made".to_owned(), for_good: true };
    }
    if error.is_timeout() { Fault::Lost(Loss::TimedOut) } else { Fault::Lost(Loss::Broke) }
}

fn not_sent(error: &reqwest::Error) -> Fault {
    if let Some(certificate) = trust::certificate_error(error) {
        return Fault::NotSent { why: trust::told(certificate, "--ca-file FILE (PEM)"), for_good: true };
    }
    // The first cause below reqwest's own text, which alone holds the URL.
    let Some(cause) = error.source() else {
        return Fault::NotSent { why: "no connection".to_owned(), for_good: false };
    };
    let why = if error.is_timeout() {
        "no connection within the time limit".to_owned()
    } else {
        trust::handshake(error).unwrap_or_else(|| Shown(&chain(cause)).to_string())
    };
    Fault::NotSent { why, for_good: false }
}

/// An error and its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        // "client error (Connect): tcp connect error: …" says nothing that what follows does not say better.
        let says_nothing = text.starts_with("client error (") || text == "tcp connect error";
        if !says_nothing && !texts.iter().any(|said| said.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}
