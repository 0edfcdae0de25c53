//! The wire below `object_store`: connections by our own means, and what was answered last, so that failures can be told
//! apart and told without secrets.

use std::{
    error::Error as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use http_body_util::BodyExt;
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use object_store::{
    ClientConfigKey, ClientOptions, Error,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    },
};
use rustls::ClientConfig;

use super::StoreFault;
use crate::{http, trust};

/// A server that closes idle connections does so after longer than this.
const IDLE_FOR: Duration = Duration::from_secs(5);
const CONNECT_FOR: Duration = Duration::from_secs(5);
const ANSWER_FOR: Duration = Duration::from_secs(30);

/// Makes connections, and knows what came over them. Copies know the same.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    tls: Arc<ClientConfig>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Of the call under way.
    failure: Option<Failure>,
    told: Option<(Timestamp, Timestamp)>,
    /// Whether anything was ever granted.
    granted: bool,
}

/// What was no success, for people: no more of it than a host, a number and a word.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    Answer { host: String, status: u16, code: String, expired: bool, region: Option<String> },
    NoAnswer { host: String, kind: HttpErrorKind, certificate: bool },
}

/// Whether a host is this very machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || literal.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Where machines of a cloud ask who they are.
fn is_metadata(host: &str) -> bool {
    host.starts_with("169.254.") || host == "metadata.google.internal" || host == "metadata"
}

impl Wire {
    pub(super) fn new() -> Result<Self, StoreFault> {
        let tls = trust::besides_system(Vec::new());
        let tls = tls.map_err(|why| StoreFault::Unusable(trust::no_setup(&why, "SSL_CERT_FILE=FILE (PEM)")))?;
        Ok(Self { tls: Arc::new(tls), seen: Arc::default() })
    }

    /// One that trusts the same, and knows nothing of what came over this one.
    pub(super) fn apart(&self) -> Self {
        Self { tls: Arc::clone(&self.tls), seen: Arc::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins: what failed before is not its failure.
    pub(super) fn begin(&self) {
        self.seen().failure = None;
    }

    /// The last `Date` of a server, and this machine's time then.
    pub(super) fn told_time(&self) -> Option<(Timestamp, Timestamp)> {
        self.seen().told
    }

    /// Whether it was the whole bucket that was not found.
    pub(super) fn misses_bucket(&self) -> bool {
        matches!(&self.seen().failure, Some(Failure::Answer { status: 404, code, .. }) if is_no_bucket(code))
    }

    /// What a failed call comes to.
    pub(super) fn fault(&self, error: &Error) -> StoreFault {
        let seen = self.seen();
        match (&seen.failure, error) {
            (_, Error::NotImplemented { .. } | Error::NotSupported { .. }) => StoreFault::Unusable(
                "the settings for it forbid to create a name only where it is absent; look at AWS_CONDITIONAL_PUT"
                    .into(),
            ),
            (Some(failure), _) => of(failure, seen.granted),
            (None, _) if seen.granted => StoreFault::Passing("its answer could not be read".to_owned()),
            (None, _) => StoreFault::Unusable(
                "no usable credentials were found; look at the files that the environment names for them".to_owned(),
            ),
        }
    }
}

fn is_no_bucket(code: &str) -> bool {
    matches!(code, "NoSuchBucket" | "ContainerNotFound" | "ResourceNotFound" | "AccountNotFound")
}

/// What to do about a failure.
fn of(failure: &Failure, granted: bool) -> StoreFault {
    let (passing, unusable) = (StoreFault::Passing, StoreFault::Unusable);
    let Failure::Answer { host, status, code, expired, region } = failure else {
        let Failure::NoAnswer { host, kind, certificate } = failure else { return passing(String::new()) };
        return match kind {
            _ if is_metadata(host) && !granted => unusable(NO_CREDENTIALS.to_owned()),
            _ if *certificate => unusable(format!(
                "the certificate of {host} is not trusted; name a file of its authority in SSL_CERT_FILE"
            )),
            HttpErrorKind::Timeout => passing(format!("{host} did not answer in time")),
            HttpErrorKind::Connect => passing(format!("{host} cannot be reached")),
            _ => passing(format!("the connection to {host} broke")),
        };
    };
    let answer =
        if code.is_empty() { format!("{host} answered {status}") } else { format!("{host} answered {status} {code}") };
    match (status, code.as_str()) {
        _ if *expired => passing(format!("{answer}: the credentials have expired; start again with new ones")),
        (408 | 425 | 429 | 500 | 502..=599, _) => passing(answer),
        (_, "SlowDown" | "RequestTimeout" | "OperationAborted" | "IDPCommunicationError" | "ServerBusy") => {
            passing(answer)
        }
        _ if is_metadata(host) && !granted => unusable(NO_CREDENTIALS.to_owned()),
        (501, _) => unusable(format!(
            "{answer}: it does not know how to create a name only where it is absent, which a ledger needs; use another store"
        )),
        (301 | 307 | 308, _) => unusable(match region {
            Some(region) => format!("{answer}: the bucket is in another region; set AWS_REGION={region}"),
            None => format!("{answer}: the bucket is elsewhere; set AWS_REGION, or the endpoint"),
        }),
        (_, "RequestTimeTooSkewed") => unusable(format!("{answer}: this machine's clock is far off; set it")),
        (
            _,
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "AuthenticationFailed" | "invalid_grant",
        ) => unusable(format!("{answer}: the credentials are wrong; look at what the environment gives")),
        (401, _) => {
            unusable(format!("{answer}: the credentials are wrong or missing; look at what the environment gives"))
        }
        (403, _) => unusable(format!(
            "{answer}: these credentials have no right to do that; they need to list the bucket, and to read and create \
             objects in it"
        )),
        (404, _) => unusable(format!("{answer}: there is no such bucket or container; make it, or correct its name")),
        _ => unusable(format!("{answer}, which is not understood; look at the place and at the settings for it")),
    }
}

/// What is told where only the machine itself was asked who it is, in vain.
const NO_CREDENTIALS: &str = "there are no credentials for it: neither does the environment hold any (AWS_ACCESS_KEY_ID and \
                              AWS_SECRET_ACCESS_KEY, AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE; AZURE_...; \
                              GOOGLE_APPLICATION_CREDENTIALS), nor does this machine have a role";

impl HttpConnector for Wire {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let time = |key, usual| {
            let given = options.get_config_value(&key);
            given.and_then(|text| text.parse::<jiff::SignedDuration>().ok()?.try_into().ok()).unwrap_or(usual)
        };
        let is_plain = options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true");
        let build = |direct: bool| {
            let builder = http::client(Some((*self.tls).clone()))
                .gzip(false)
                .pool_idle_timeout(IDLE_FOR)
                .connect_timeout(time(ClientConfigKey::ConnectTimeout, CONNECT_FOR))
                .timeout(time(ClientConfigKey::Timeout, ANSWER_FOR))
                .https_only(!is_plain);
            let builder = if direct { builder.no_proxy() } else { builder };
            builder.build().map_err(|why| Error::Generic { store: "HTTP", source: Box::new(why) })
        };
        Ok(HttpClient::new(Wired { direct: build(true)?, usual: build(false)?, wire: self.clone() }))
    }
}

#[derive(Debug)]
struct Wired {
    /// For this machine, and for who tells it its role: no proxy is on the way.
    direct: reqwest::Client,
    usual: reqwest::Client,
    wire: Wire,
}

/// One request, and the head of its answer.
///
/// `object_store` can do this itself by its feature `reqwest`, which brings HTTP/2 into the program: nothing here speaks it.
async fn exchange(client: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap)).map_err(broken)?;
    let response: hyper::Response<reqwest::Body> = client.execute(request).await.map_err(broken)?.into();
    Ok(response.map(|body| HttpResponseBody::new(body.map_err(broken))))
}

/// What became of an exchange, as `object_store` has to know it to decide whether a read is made again.
fn broken(error: reqwest::Error) -> HttpError {
    let kind = match &error {
        error if error.is_timeout() => HttpErrorKind::Timeout,
        error if error.is_connect() => HttpErrorKind::Connect,
        error if error.is_decode() => HttpErrorKind::Decode,
        _ => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, error.without_url())
}

#[async_trait]
impl HttpService for Wired {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let client = if is_loopback(&host) || is_metadata(&host) { &self.direct } else { &self.usual };
        let response = match exchange(client, request).await {
            Ok(response) => response,
            Err(error) => {
                let certificate = names_certificate(&error);
                self.wire.seen().failure = Some(Failure::NoAnswer { host, kind: error.kind(), certificate });
                return Err(error);
            }
        };
        let (parts, body) = response.into_parts();
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let told = header("date").and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        if let Some(told) = told {
            self.wire.seen().told = Some((told, now()));
        }
        if parts.status.is_success() || parts.status.as_u16() == 304 {
            self.wire.seen().granted |= !is_metadata(&host);
            return Ok(HttpResponse::from_parts(parts, body));
        }
        let bytes = body.bytes().await?;
        let text = String::from_utf8_lossy(&bytes);
        let code = header("x-ms-error-code").map_or_else(|| code(&text), word);
        let expired = code.to_ascii_lowercase().contains("expired") || text.contains("token is expired");
        let failure = Failure::Answer {
            host,
            status: parts.status.as_u16(),
            code,
            expired,
            region: header("x-amz-bucket-region").map(word).filter(|region| !region.is_empty()),
        };
        self.wire.seen().failure = Some(failure);
        Ok(HttpResponse::from_parts(parts, bytes.into()))
    }
}

#[expect(clippy::disallowed_methods, reason = "clocks are what is compared")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn names_certificate(error: &HttpError) -> bool {
    let mut cause = error.source();
    while let Some(this) = cause {
        if matches!(this.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        cause = match this.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => this.source(),
        };
    }
    false
}

/// The word by which a server tells why: in XML, or in JSON of a token service.
fn code(text: &str) -> String {
    let between = |begin: &str, end: &str| Some(text.split_once(begin)?.1.split_once(end)?.0);
    let found = between("<Code>", "</Code>")
        .or_else(|| between("\"error\":\"", "\""))
        .or_else(|| between("\"error\": \"", "\""));
    found.map(word).unwrap_or_default()
}

/// No more than a word of what a server says.
fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str) -> StoreFault {
        let (host, code) = ("s3.example".to_owned(), code.to_owned());
        let expired = code.to_ascii_lowercase().contains("expired");
        of(&Failure::Answer { host, status, code, expired, region: None }, true)
    }

    #[test]
    fn failures_are_told_apart() {
        for (status, code) in [
            (500, ""),
            (503, "SlowDown"),
            (429, ""),
            (408, ""),
            (400, "ExpiredToken"),
            (403, "ExpiredTokenException"),
            (400, "RequestTimeout"),
            (409, "OperationAborted"),
            (502, "AccessDenied"),
        ] {
            assert!(matches!(answer(status, code), StoreFault::Passing(_)), "{status} {code}");
        }
        for (status, code) in [
            (403, "AccessDenied"),
            (403, ""),
            (401, ""),
            (404, "NoSuchBucket"),
            (404, ""),
            (501, "NotImplemented"),
            (301, ""),
            (400, "InvalidArgument"),
            (403, "RequestTimeTooSkewed"),
            (403, "SignatureDoesNotMatch"),
            (405, ""),
        ] {
            assert!(matches!(answer(status, code), StoreFault::Unusable(_)), "{status} {code}");
        }
    }

    #[test]
    fn a_machine_without_a_role_has_no_credentials_but_one_that_had_them_may_have_them_again() {
        let host = "169.254.169.254".to_owned();
        let failure = Failure::NoAnswer { host, kind: HttpErrorKind::Connect, certificate: false };
        assert!(matches!(of(&failure, false), StoreFault::Unusable(text) if text.contains("no credentials")));
        assert!(matches!(of(&failure, true), StoreFault::Passing(_)));
    }

    #[test]
    fn no_more_than_a_word_is_taken_from_an_answer() {
        assert_eq!(code("<Error><Code>AccessDenied</Code><Message>m</Message></Error>"), "AccessDenied");
        assert_eq!(code("{\"error\": \"invalid_grant\", \"x\": 1}"), "invalid_grant");
        assert_eq!(code("<Code>a b</Code>"), "a");
        assert_eq!(code("<html>"), "");
    }
}
