//! Which certificates are trusted: those that the system trusts, those that an authority in a given file has signed, and
//! the very certificates that stand in that file, whoever signed them. A portal's file (`--ca-file`) is trusted besides the
//! system, a database's (`sslrootcert`) in its place, as PostgreSQL's own programs have it.
//!
//! The last is what people with a self-signed certificate need. `openssl req -x509` makes it one of an authority
//! (`CA:TRUE`), older tools one of version 1, and neither may be a server's by the rules for chains. Whoever gives
//! exactly that certificate has answered the question that chains are for; that it is for this host, that its time has
//! not passed, and that the server has its key is still asked.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, civil, tz::TimeZone};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
        verify_tls13_signature_with_raw_key,
    },
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use rustls_platform_verifier::Verifier;

use crate::{
    display::{Shown, shown_path},
    file::read_small,
};

/// The largest file of certificates that is read, in bytes: fifty times what systems come with.
const MAX_FILE: u64 = 16 << 20;

/// A file of certificates could not be read, or holds none.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the certificate authority in {}: {why}", shown_path(path))]
pub struct NoCertificates {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub why: String,
}

/// The certificates in a file, of which there is one at least.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, NoCertificates> {
    let because = |why: String| NoCertificates { path: path.to_owned(), why };
    let pem = read_small(path, MAX_FILE).map_err(|error| because(error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| because(error.to_string()))?;
    if certificates.is_empty() {
        return Err(because("it holds no certificate in PEM form".to_owned()));
    }
    Ok(certificates)
}

/// The setup of encrypted connections that trust these certificates besides what the system trusts.
pub fn besides_system(given: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let chains = match Verifier::new_with_extra_roots(roots(&given), Arc::clone(&provider)) {
        Ok(system) => Some(Arc::new(system) as Arc<dyn ServerCertVerifier>),
        // The system knows no authority, as a bare container; certificates that begin no chain may still be the server's own.
        Err(_no_authority) if !given.is_empty() => None,
        Err(why) => return Err(why),
    };
    config(provider, chains, given)
}

/// How authorities are named where an option gives them.
pub const BY_OPTION: &str = "--ca-file FILE (PEM) or in SSL_CERT_FILE";

/// Why encrypted connections cannot be set up, and what to do; `how` authorities are named, such as `--ca-file FILE (PEM)`.
pub fn no_setup(why: &rustls::Error, how: &str) -> String {
    let why = match why {
        rustls::Error::General(why) => Shown(why).to_string(),
        why => Shown(&why.to_string()).to_string(),
    };
    format!(
        "cannot set up encrypted connections: {why}; if this machine has no certificate store, install one (the package \
         ca-certificates), or name a file of authorities with {how}"
    )
}

/// The setup of encrypted connections that trust these certificates and no others.
pub fn alone(given: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots(&given));
    // Certificates of version 1 begin no chain; they may still be the server's own.
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider)).build().ok();
    config(provider, chains.map(|chains| chains as Arc<dyn ServerCertVerifier>), given)
}

/// Those that can begin a chain.
fn roots(given: &[CertificateDer<'static>]) -> Vec<CertificateDer<'static>> {
    given.iter().filter(|certificate| RootCertStore::empty().add((*certificate).clone()).is_ok()).cloned().collect()
}

fn config(
    provider: Arc<CryptoProvider>,
    chains: Option<Arc<dyn ServerCertVerifier>>,
    given: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, rustls::Error> {
    let algorithms = provider.signature_verification_algorithms;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trust { chains, given, algorithms }))
        .with_no_client_auth())
}

#[derive(Debug)]
struct Trust {
    /// Whoever judges chains of certificates, where any can be begun.
    chains: Option<Arc<dyn ServerCertVerifier>>,
    given: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Trust {
    /// The public key of a certificate that was given and is of version 1, which the usual way cannot read.
    fn key_of_old<'c>(&self, certificate: &'c CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'c>> {
        let facts = Facts::read(certificate).filter(|facts| facts.is_version_1 && self.given.contains(certificate))?;
        Some(SubjectPublicKeyInfoDer::from(facts.public_key))
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = match &self.chains {
            Some(chains) => chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        match (verdict, Facts::read(end_entity)) {
            (Err(_), Some(facts)) if self.given.contains(end_entity) => {
                facts.holds(end_entity, server_name, now).map(|()| ServerCertVerified::assertion())
            }
            // That is why, whatever the reader of today's certificates stumbles over first.
            (Err(_), Some(facts)) if facts.is_version_1 => {
                let why = OtherError(Arc::new(webpki::Error::UnsupportedCertVersion));
                Err(CertificateError::Other(why).into())
            }
            (verdict, _) => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let Some(key) = self.key_of_old(certificate) else {
            return verify_tls12_signature(message, certificate, signed, &self.algorithms);
        };
        let bad = || rustls::Error::InvalidCertificate(CertificateError::BadSignature);
        let entity = webpki::RawPublicKeyEntity::try_from(&key).map_err(|_unreadable| bad())?;
        let known = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        let is_valid = known
            .flat_map(|(_, algorithms)| algorithms.iter())
            .any(|algorithm| entity.verify_signature(*algorithm, message, signed.signature()).is_ok());
        if is_valid { Ok(HandshakeSignatureValid::assertion()) } else { Err(bad()) }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.key_of_old(certificate) {
            Some(key) => verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms),
            None => verify_tls13_signature(message, certificate, signed, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What is looked at in a certificate that was given itself (RFC 5280 §4.1).
struct Facts<'c> {
    is_version_1: bool,
    /// The last `CN` of the subject: the name of the host where there are no alternative names.
    common_name: Option<&'c str>,
    not_before: UnixTime,
    not_after: UnixTime,
    /// `SubjectPublicKeyInfo`, whole.
    public_key: &'c [u8],
}

impl<'c> Facts<'c> {
    fn read(certificate: &'c [u8]) -> Option<Self> {
        let outer = Element::first(certificate)?;
        let mut parts = Element::first(outer.content)?.inside();
        let first = parts.next()?;
        let is_version_1 = first.tag != VERSION;
        if !is_version_1 {
            let _serial = parts.next()?;
        }
        let (_algorithm, _issuer, validity) = (parts.next()?, parts.next()?, parts.next()?);
        let (subject, public_key) = (parts.next()?, parts.next()?);
        let mut times = validity.inside();
        Some(Self {
            is_version_1,
            common_name: subject.inside().filter_map(|set| set.inside().next()?.common_name()).last(),
            not_before: times.next()?.time()?,
            not_after: times.next()?.time()?,
            public_key: public_key.whole,
        })
    }

    /// Whether this certificate, that was given itself, is for this host and of this time.
    fn holds(
        &self,
        certificate: &CertificateDer<'_>,
        host: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if now < self.not_before {
            let why = CertificateError::NotValidYetContext { time: now, not_before: self.not_before };
            return Err(why.into());
        }
        if now > self.not_after {
            return Err(CertificateError::ExpiredContext { time: now, not_after: self.not_after }.into());
        }
        let by_common_name = || {
            let name = self.common_name.filter(|name| name.eq_ignore_ascii_case(&host.to_str()));
            name.map(|_same| ()).ok_or_else(|| {
                let presented = self.common_name.map(str::to_owned).into_iter().collect();
                CertificateError::NotValidForNameContext { expected: host.to_owned(), presented }.into()
            })
        };
        if self.is_version_1 {
            return by_common_name();
        }
        match verify_server_name(&ParsedCertificate::try_from(certificate)?, host) {
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }))
                if presented.is_empty() =>
            {
                by_common_name()
            }
            verdict => verdict,
        }
    }
}

/// `[0]`, in which a certificate of version 2 or 3 says so.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `commonName`, as an object identifier.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// One element of DER.
#[derive(Clone, Copy)]
struct Element<'c> {
    tag: u8,
    content: &'c [u8],
    whole: &'c [u8],
}

impl<'c> Element<'c> {
    fn first(bytes: &'c [u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let (short, rest) = rest.split_first()?;
        let (length, rest) = match *short {
            length @ 0..=0x7f => (usize::from(length), rest),
            long @ 0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(long - 0x80))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let content = rest.get(..length)?;
        Some(Self { tag: *tag, content, whole: bytes.get(..bytes.len() - rest.len() + length)? })
    }

    fn inside(self) -> impl Iterator<Item = Self> {
        let mut rest = self.content;
        std::iter::from_fn(move || {
            let element = Self::first(rest)?;
            rest = rest.get(element.whole.len()..)?;
            Some(element)
        })
    }

    fn common_name(self) -> Option<&'c str> {
        let mut parts = self.inside();
        let kind = parts.next().filter(|kind| kind.content == COMMON_NAME);
        kind.and_then(|_| std::str::from_utf8(parts.next()?.content).ok())
    }

    fn time(self) -> Option<UnixTime> {
        let text = std::str::from_utf8(self.content).ok()?.strip_suffix('Z')?;
        let whole = match self.tag {
            UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
            UTC_TIME => format!("19{text}"),
            GENERALIZED_TIME => text.to_owned(),
            _ => return None,
        };
        let at = civil::DateTime::strptime("%Y%m%d%H%M%S", &whole).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0))))
    }
}

/// What was wrong with the certificate, if that is what an error comes from.
pub fn certificate_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e CertificateError> {
    causes(error).find_map(|error| match error.downcast_ref() {
        Some(rustls::Error::InvalidCertificate(why)) => Some(why),
        _ => None,
    })
}

/// An error and what it comes from.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // An error of the system steps over what it wraps when it is asked for its cause.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

/// Why no encrypted connection came about, for a person, where the certificate was not the reason.
pub fn handshake(error: &(dyn Error + 'static)) -> Option<String> {
    let told = |why: &rustls::Error| match why {
        rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. } => Some(NO_TLS.to_owned()),
        rustls::Error::PeerIncompatible(_) => Some(TOO_OLD.to_owned()),
        rustls::Error::AlertReceived(alert) => Some(match alert {
            AlertDescription::HandshakeFailure
            | AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity => TOO_OLD.to_owned(),
            AlertDescription::UnrecognisedName => "it knows no host of this name".to_owned(),
            AlertDescription::CertificateRequired | AlertDescription::BadCertificate | AlertDescription::UnknownCA => {
                "it wants a certificate of whoever asks, which cannot be given".to_owned()
            }
            other => format!("it ended the TLS handshake ({other:?})"),
        }),
        _ => None,
    };
    causes(error).find_map(|error| match error.downcast_ref::<rustls::Error>() {
        Some(why) => told(why),
        // The stack has no other name for it.
        None => (error.to_string() == "tls handshake eof").then(|| NO_TLS.to_owned()),
    })
}

/// What is told of a port on which something else answers.
const NO_TLS: &str = "what answers there does not speak TLS (https), as a web server without certificate does not; look at \
                      the port of the address";
/// What is told of a server that encrypts as nobody should any more.
const TOO_OLD: &str =
    "it and this program have no version of TLS in common, or no cipher: it may be too old (before TLS 1.2)";

/// What is wrong with the certificate, for a person; `how` one is given, such as `--ca-file FILE (PEM)`.
pub fn told(why: &CertificateError, how: &str) -> String {
    let give_it = format!(
        "if it is one of your own making, give exactly it, or that of the authority that signed it, with {how}"
    );
    match why {
        CertificateError::Expired => "its certificate has expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "its certificate was valid until {}, and this machine's clock says {}: it must be renewed",
            date(*not_after),
            date(*time)
        ),
        CertificateError::NotValidYet => "its certificate is not valid yet; look at this machine's clock".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => {
            format!(
                "its certificate is valid from {} on, and this machine's clock says {}",
                date(*not_before),
                date(*time)
            )
        }
        CertificateError::NotValidForName => "its certificate is for another host".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented
                .iter()
                .map(|name| name.split_once('(').map_or(&**name, |(_, name)| name).trim_matches(['"', ')']))
                .collect();
            let names = if names.is_empty() { "no host at all".to_owned() } else { names.join(", ") };
            format!("its certificate is not for {} but for {}", Shown(&expected.to_str()), Shown(&names))
        }
        CertificateError::UnknownIssuer => {
            format!("its certificate is not trusted: no authority that this machine knows has signed it; {give_it}")
        }
        CertificateError::Revoked => "its certificate was withdrawn by its authority".to_owned(),
        CertificateError::BadEncoding => "its certificate cannot be read".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("its certificate is not one for servers; {give_it}")
        }
        CertificateError::Other(OtherError(other)) => match other.downcast_ref() {
            Some(webpki::Error::CaUsedAsEndEntity) => {
                format!(
                    "its certificate is not trusted: it is that of an authority (CA:TRUE), as self-signed ones are; {give_it}"
                )
            }
            Some(webpki::Error::UnsupportedCertVersion) => {
                format!("its certificate is not trusted: it is one of the old version 1; {give_it}")
            }
            _ => format!("its certificate cannot be checked; {give_it}"),
        },
        _ => {
            format!("its certificate cannot be checked, or is signed in a way that is not trusted any more; {give_it}")
        }
    }
}

fn date(at: UnixTime) -> String {
    let second = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    match Timestamp::from_second(second) {
        Ok(at) => at.to_zoned(TimeZone::UTC).date().to_string(),
        Err(_beyond) => "a day far away".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn seconds(text: &str) -> UnixTime {
        let at: Timestamp = text.parse().expect("a time");
        UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.as_second()).expect("after 1970")))
    }

    fn certificate(names: &[&str], common_name: &str) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.not_before = rcgen::date_time_ymd(2020, 1, 2);
        params.not_after = rcgen::date_time_ymd(2050, 3, 4);
        params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().clone()
    }

    #[test]
    fn a_given_certificate_holds_for_its_host_and_its_time_only() {
        let holds = |certificate: &CertificateDer<'_>, host: &str, at: &str| {
            let host = ServerName::try_from(host.to_owned()).expect("a name");
            Facts::read(certificate).expect("facts").holds(certificate, &host, seconds(at)).map_err(|error| match error
            {
                rustls::Error::InvalidCertificate(why) => told(&why, "--ca-file FILE (PEM)"),
                other => other.to_string(),
            })
        };
        let named = certificate(&["portal.example", "127.0.0.1"], "other.example");
        assert_eq!(holds(&named, "portal.example", "2026-11-25T00:00:00Z"), Ok(()));
        assert_eq!(holds(&named, "127.0.0.1", "2050-03-03T00:00:00Z"), Ok(()));
        let early = holds(&named, "portal.example", "2020-01-01T00:00:00Z").expect_err("too early");
        assert!(early.contains("valid from 2020-01-02 on") && early.contains("2020-01-01"), "{early}");
        let late = holds(&named, "portal.example", "2050-03-05T00:00:00Z").expect_err("too late");
        assert!(late.contains("valid until 2050-03-04") && late.contains("says 2050-03-05"), "{late}");
        // The common name counts only where there is no other.
        let other = holds(&named, "other.example", "2026-11-25T00:00:00Z").expect_err("another host");
        assert!(other.contains("not for other.example but for portal.example, 127.0.0.1"), "{other}");
        let unnamed = certificate(&[], "portal.example");
        assert_eq!(holds(&unnamed, "PORTAL.example", "2026-11-25T00:00:00Z"), Ok(()));
        let other = holds(&unnamed, "portal.example.com", "2026-11-25T00:00:00Z").expect_err("another host");
        assert!(other.contains("not for portal.example.com but for portal.example"), "{other}");
    }

    #[test]
    fn no_error_is_told_in_the_words_of_a_library() {
        for why in [
            CertificateError::UnknownIssuer,
            CertificateError::BadSignature,
            CertificateError::BadEncoding,
            CertificateError::Expired,
            CertificateError::InvalidPurpose,
            CertificateError::Other(OtherError(Arc::new(webpki::Error::CaUsedAsEndEntity))),
            CertificateError::Other(OtherError(Arc::new(webpki::Error::UnsupportedCertVersion))),
            CertificateError::Other(OtherError(Arc::new(webpki::Error::PathLenConstraintViolated))),
        ] {
            let text = told(&why, "--ca-file FILE (PEM)");
            assert!(
                text.starts_with("its certificate ") && !text.contains('('.to_string().as_str())
                    || text.contains("(PEM)"),
                "{text}"
            );
            assert!(!text.contains("Error") && !text.contains("Other"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_fail(at in 0usize..400, byte in any::<u8>(), end in 0usize..600) {
            let mut bytes = certificate(&["a.example"], "a").to_vec();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(end);
            let facts = Facts::read(&bytes);
            prop_assert!(facts.is_none_or(|facts| facts.public_key.len() <= bytes.len()));
        }
    }
}
