//! Certificates: what is not to be trusted is not, and nothing makes it so but a certificate authority of one's own.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

use crate::bench::{Bench, active};

/// A server for this name, signed by an authority whose certificate is returned; valid from and to these years.
fn server(name: &str, years: (i32, i32)) -> (u16, String) {
    onboard::portal::install_crypto();
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).expect("a certificate");
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("a configuration");
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
    (port.recv().expect("a port"), root.pem())
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
