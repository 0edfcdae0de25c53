//! Certificates: what is not to be trusted is not, and nothing makes it so but a certificate authority of one's own.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SigningKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig, SupportedProtocolVersion,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
        sign::{CertifiedKey, SingleCertAndKey},
        version::{TLS12, TLS13},
    },
};

use crate::bench::{Bench, Ended, active};

/// A server for this name, signed by an authority whose certificate is returned; valid from and to these years.
pub(crate) fn server(name: &str, years: (i32, i32)) -> (u16, String) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).expect("a certificate");
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key");
    let certificate = params(name, years).signed_by(&key, &issuer).expect("a certificate");
    (serve(certificate.der().to_vec(), &key, &[&TLS13, &TLS12]), root.pem())
}

fn params(name: &str, years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    params
}

/// A certificate as `openssl req -x509` makes it: signed by itself, and that of an authority.
fn self_signed(name: &str, years: (i32, i32)) -> (Vec<u8>, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let mut params = params(name, years);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.self_signed(&key).expect("a certificate").der().to_vec(), key)
}

/// The same of version 1, which has no extensions: the name stands in the subject alone.
fn version_1(name: &str) -> (Vec<u8>, KeyPair) {
    let (whole, key) = self_signed(name, (2020, 2099));
    let outer = elements(elements(&whole)[0].1);
    let parts = elements(outer[0].1);
    // Without `[0]` (the version) at the front and `[3]` (the extensions) at the end.
    let body: Vec<u8> = parts[1..7].iter().flat_map(|(whole, _)| whole.to_vec()).collect();
    let body = sequence(&body);
    let signature = [&[0][..], &key.sign(&body).expect("signed")].concat();
    let signature = [&[0x03, u8::try_from(signature.len()).expect("short")][..], &signature].concat();
    (sequence(&[&body[..], outer[1].0, &signature].concat()), key)
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short").to_be_bytes();
    [&[0x30, 0x82][..], &length, content].concat()
}

/// Elements of DER, each whole and its content.
fn elements(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let digits = if bytes[1] < 0x80 { 0 } else { usize::from(bytes[1] - 0x80) };
        let length = match digits {
            0 => usize::from(bytes[1]),
            _ => bytes[2..2 + digits].iter().fold(0, |length, digit| length << 8 | usize::from(*digit)),
        };
        let (whole, rest) = bytes.split_at(2 + digits + length);
        found.push((whole, &whole[2 + digits..]));
        bytes = rest;
    }
    found
}

fn pem(certificate: &[u8]) -> String {
    use std::fmt::Write;
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "-----BEGIN CERTIFICATE-----".to_owned();
    for (number, group) in certificate.chunks(3).enumerate() {
        if number % 16 == 0 {
            text.push('\n');
        }
        let bits = group.iter().chain([0, 0].iter()).take(3).fold(0usize, |bits, byte| bits << 8 | usize::from(*byte));
        for place in 0..4 {
            let digit = if place > group.len() { '=' } else { char::from(DIGITS[bits >> (18 - 6 * place) & 63]) };
            write!(text, "{digit}").expect("written");
        }
    }
    text + "\n-----END CERTIFICATE-----\n"
}

/// Serves this certificate, and answers everything with 401.
fn serve(certificate: Vec<u8>, key: &KeyPair, versions: &[&'static SupportedProtocolVersion]) -> u16 {
    onboard::portal::install_crypto();
    let provider = Arc::new(ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let signing = provider.key_provider.load_private_key(key).expect("a key");
    let certified = CertifiedKey::new(vec![CertificateDer::from(certificate)], signing);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (told, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            told.send(listener.local_addr().expect("an address").port()).expect("told");
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = [0; 4096];
                // Whoever asked may have gone.
                let _gone = stream.read(&mut head).await;
                let _gone = stream
                    .write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    .await;
                let _gone = stream.shutdown().await;
            }
        });
    });
    port.recv().expect("a port")
}

#[test]
fn only_a_certificate_that_holds_is_spoken_to() {
    let bench = Bench::new();
    bench.roster(&active(2));
    bench.write("key", "sk-0123456789abcdef");
    let run = |port: u16, more: &[&str]| {
        let portal = format!("https://localhost:{port}");
        let mut args = vec!["run", "users.csv", "--portal", &portal, "--api-key-file", "key"];
        args.extend(more);
        bench.onboard(&args).with(3)
    };
    let (good, root) = server("localhost", (2020, 2099));
    bench.write("ca.pem", root);
    let unknown = run(good, &[]);
    assert!(unknown.said().contains("certificate"), "{}", unknown.err);
    // With the authority that signed it, the portal itself is heard: it does not know the key.
    let trusted = run(good, &["--ca-file", "ca.pem"]);
    assert!(trusted.said().contains("does not accept the key (401)"), "{}", trusted.err);
    for (name, years) in [("localhost", (2019, 2020)), ("localhost", (2098, 2099)), ("other.example", (2020, 2099))] {
        let (port, root) = server(name, years);
        bench.write("ca.pem", root);
        let bad = run(port, &["--ca-file", "ca.pem"]);
        assert!(
            bad.said().contains("certificate") && !bad.said().contains("does not accept"),
            "{name} {years:?}: {}",
            bad.err
        );
        assert_eq!(bench.outcomes()["not_attempted"], 2);
    }
    bench.write("ca.pem", "nothing of the kind");
    let portal = format!("https://localhost:{good}");
    let args = ["run", "users.csv", "--portal", &portal, "--api-key-file", "key", "--ca-file", "ca.pem"];
    let ended = bench.onboard(&args).with(2);
    assert!(ended.said().contains("ca.pem"), "{}", ended.err);
}

/// Whoever gives exactly the certificate that the portal shows has decided; its name and time are still looked at.
#[test]
fn the_very_certificate_that_was_given_is_trusted() {
    let bench = Bench::new();
    bench.roster(&active(2));
    bench.write("key", "sk-0123456789abcdef");
    let run = |port: u16, more: &[&str]| {
        let portal = format!("https://localhost:{port}");
        let mut args = vec!["run", "users.csv", "--portal", &portal, "--api-key-file", "key"];
        args.extend(more);
        let ended = bench.onboard(&args).with(3);
        assert!(!ended.err.contains("OtherError") && !ended.err.contains("CaUsed"), "{}", ended.err);
        ended
    };
    let heard = "does not accept the key (401)";
    let with_it = ["--ca-file", "given.pem"];
    for ((certificate, key), what) in
        [(self_signed("localhost", (2020, 2099)), "CA:TRUE"), (version_1("localhost"), "version 1")]
    {
        for versions in [&[&TLS13][..], &[&TLS12]] {
            let port = serve(certificate.clone(), &key, versions);
            let without = run(port, &[]);
            assert!(without.said().contains("certificate") && without.said().contains("--ca-file"), "{}", without.err);
            assert!(without.said().contains(what), "{}", without.err);
            bench.write("given.pem", pem(&certificate));
            assert!(run(port, &with_it).said().contains(heard), "{what}: {}", run(port, &with_it).err);
            // Another one of the same name is another one.
            let (other, _) =
                if what == "version 1" { version_1("localhost") } else { self_signed("localhost", (2020, 2099)) };
            bench.write("given.pem", pem(&other));
            assert!(!run(port, &with_it).said().contains(heard));
        }
    }
    // The one who shows a given certificate must have its key.
    let ((certificate, _), (_, another)) = (version_1("localhost"), version_1("localhost"));
    bench.write("given.pem", pem(&certificate));
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let thief = run(serve(certificate.clone(), &another, versions), &with_it);
        assert!(!thief.said().contains(heard), "{}", thief.err);
    }
    for ((certificate, key), says) in [
        (self_signed("other.example", (2020, 2099)), "not for localhost but for other.example"),
        (version_1("other.example"), "not for localhost but for other.example"),
        (self_signed("localhost", (2019, 2020)), "valid until 2020-01-01"),
        (self_signed("localhost", (2098, 2099)), "valid from 2098-01-01 on"),
    ] {
        bench.write("given.pem", pem(&certificate));
        let bad = run(serve(certificate, &key, &[&TLS13]), &with_it);
        assert!(bad.said().contains(says) && !bad.said().contains(heard), "{says}: {}", bad.err);
    }
    let (port, root) = server("localhost", (2019, 2020));
    bench.write("given.pem", root);
    assert!(run(port, &with_it).said().contains("valid until 2020-01-01"));
}

/// A port on which something answers that is not encrypted: told in the words of people, not of the library.
#[test]
fn a_port_that_speaks_no_tls_is_told_as_that() {
    use std::io::{Read, Write};
    let bench = Bench::new();
    bench.roster(&active(1));
    bench.write("key", "sk-0123456789abcdef");
    for answer in ["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "SSH-2.0-OpenSSH_9.6\r\n", ""] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let portal = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut hello = [0; 2048];
                let _length = stream.read(&mut hello);
                let _gone = stream.write_all(answer.as_bytes());
            }
        });
        let ended = bench
            .onboard(&["run", "users.csv", "--portal", &portal, "--api-key-file", "key", "--retries", "0"])
            .with(3);
        let said = ended.said();
        assert!(said.contains("does not speak TLS (https)") && said.contains("the port of the address"), "{said}");
        assert!(!said.contains("corrupt message") && !said.contains("handshake eof"), "{said}");
    }
}

/// A machine that knows no authority, as a bare container: what would need one says what to do before anything is sent, what
/// is given an authority or needs none goes on.
#[cfg(target_os = "linux")]
#[test]
fn without_any_authority_nothing_starts_but_what_needs_none() {
    let bench = Bench::new();
    bench.roster(&active(2));
    bench.write("key", "sk-0123456789abcdef");
    bench.write("nothing.pem", "");
    let (port, root) = server("localhost", (2020, 2099));
    bench.write("ca.pem", root);
    let (old, key) = version_1("localhost");
    bench.write("old.pem", pem(&old));
    let old = serve(old, &key, &[&TLS13, &TLS12]);
    let (portal, old) = (format!("https://localhost:{port}"), format!("https://localhost:{old}"));
    let near = "http://127.0.0.1:1";
    let database = format!("postgres://anna@localhost:{port}/d?ledger=x&sslmode=verify-full");
    bench.write("hook", "https://chat.example.com/hook");
    bench.write("welcome.md", "From: it@example.com\nSubject: Welcome\n\nHello {{ name }}\n");
    for bundle in ["missing.pem", "nothing.pem"] {
        let run = |more: &[&str]| {
            let mut command = bench.command(&["run", "users.csv", "--api-key-file", "key"]);
            command.args(more).env("SSL_CERT_FILE", bench.path(bundle));
            command.envs([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "eu-central-1")]);
            Ended::from(command.output().expect("the program runs"))
        };
        for (needs, hints) in [
            (&["--portal", &*portal][..], &["ca-certificates", "--ca-file", "SSL_CERT_FILE"][..]),
            (&["--portal", near, "--ledger", "s3://bucket/onboard"], &["ca-certificates", "SSL_CERT_FILE"]),
            (&["--portal", near, "--notify", "@hook"], &["ca-certificates", "--ca-file", "SSL_CERT_FILE"]),
            (
                &["--portal", near, "--message", "welcome.md", "--smtp", "smtps://mail.example.com"],
                &["ca-certificates", "--ca-file", "SSL_CERT_FILE"],
            ),
            (&["--portal", near, "--ledger", &*database], &["ca-certificates", "sslrootcert", "SSL_CERT_FILE"]),
        ] {
            let ended = run(needs).with(2);
            assert!(hints.iter().all(|hint| ended.said().contains(hint)), "{needs:?}: {}", ended.err);
        }
        let heard = "does not accept the key (401)";
        for (portal, given) in [(&portal, "ca.pem"), (&old, "old.pem")] {
            let trusted = run(&["--portal", portal, "--ca-file", given]).with(3);
            assert!(trusted.said().contains(heard), "{given}: {}", trusted.err);
        }
        run(&["--sandbox"]).with(0);
    }
}
