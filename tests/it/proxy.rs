//! Proxies: everything goes through them where one is set, and what they refuse is told as theirs.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::{
    bench::{Bench, Ended, active, serving},
    tls::server,
};

/// Lets every connection through to this port of this machine, whatever name it asks for; the heads that it was sent.
fn tunnel(port: u16) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let heads = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heads);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let told = Arc::clone(&told);
            thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0; 1]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                    head.push(byte[0]);
                }
                told.lock().expect("whole").push(String::from_utf8_lossy(&head).into_owned());
                let mut there = TcpStream::connect(("127.0.0.1", port)).expect("connected");
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").expect("answered");
                let (mut from, mut to) = (stream.try_clone().expect("cloned"), there.try_clone().expect("cloned"));
                thread::spawn(move || drop(io::copy(&mut from, &mut to)));
                // Either end may go first.
                let _gone = io::copy(&mut there, &mut stream);
            });
        }
    });
    (origin, heads)
}

const PORTAL: [&str; 4] = ["--portal", "https://portal.no-such-place.test", "--api-key-file", "key"];

#[test]
fn doctor_goes_the_way_that_a_run_goes() {
    let bench = Bench::new();
    bench.roster(&active(2));
    bench.write("key", "sk-0123456789abcdef");
    let (port, root) = server("portal.no-such-place.test", (2020, 2099));
    bench.write("ca.pem", root);
    let (proxy, heads) = tunnel(port);
    let proxy = proxy.replace("://", "://anna:SECRETPW@");
    for command in [&["doctor"][..], &["run", "users.csv"]] {
        let args = [command, &PORTAL, &["--ca-file", "ca.pem"]].concat();
        let ended: Ended = bench.command(&args).env("HTTPS_PROXY", &proxy).output().expect("run").into();
        let ended = ended.with(3);
        assert!(format!("{}{}", ended.out, ended.said()).contains("401"), "{}{}", ended.out, ended.err);
        assert!(!format!("{}{}", ended.out, ended.err).contains("SECRETPW"));
        let heads = std::mem::take(&mut *heads.lock().expect("whole"));
        assert!(!heads.is_empty(), "{command:?}");
        for head in heads {
            assert!(head.starts_with("CONNECT portal.no-such-place.test:443 HTTP/1.1\r\n"), "{head}");
            assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic "), "{head}");
        }
    }
    // Where it is told to go without, the name must be known here.
    let args = [&["doctor"][..], &PORTAL].concat();
    let ended: Ended = bench
        .command(&args)
        .env("HTTPS_PROXY", &proxy)
        .env("NO_PROXY", "*.no-such-place.test")
        .output()
        .expect("run")
        .into();
    assert!(ended.with(3).out.contains("cannot be resolved"));
    assert!(heads.lock().expect("whole").is_empty());
}

#[test]
fn a_chat_is_told_by_the_way_that_a_portal_is_asked() {
    let bench = Bench::new();
    bench.roster(&active(2));
    bench.write("key", "sk-0123456789abcdef");
    bench.write("hook", "https://hooks.no-such-place.test/T0SECRETPATH9");
    let (port, root) = server("hooks.no-such-place.test", (2020, 2099));
    bench.write("ca.pem", root);
    let (proxy, heads) = tunnel(port);
    // The portal is on this machine, where no proxy is asked; its server there refuses everything, as the chat's does.
    let portal = ["run", "users.csv", "--portal", "http://127.0.0.1:1", "--api-key-file", "key", "--retries", "0"];
    let notify = ["--outage", "1ms", "--notify", "@hook", "--proxy", &proxy];
    for (ca, says) in [
        (&[][..], "its webhook cannot be reached: "),
        (&["--ca-file", "ca.pem"], "its webhook refused it (401 Unauthorized)"),
    ] {
        let ended = bench.onboard(&[&portal[..], &notify, ca].concat()).with(3);
        assert!(ended.said().contains(says) && !ended.err.contains("SECRET"), "{}", ended.err);
        let heads = std::mem::take(&mut *heads.lock().expect("whole"));
        assert_eq!(heads.len(), 1, "{heads:?}");
        assert!(heads[0].starts_with("CONNECT hooks.no-such-place.test:443 HTTP/1.1\r\n"), "{heads:?}");
    }
}

#[test]
fn what_a_proxy_refuses_is_told_as_its_own() {
    let bench = Bench::new();
    bench.roster(&active(2));
    bench.write("key", "sk-0123456789abcdef");
    for (answer, says) in [
        ("407 Proxy Authentication Required", "(407 Proxy Authentication Required): it wants a user and a password"),
        ("403 Forbidden", "(403 Forbidden): its rules do not allow this address"),
        ("502 Bad Gateway", "(502 Bad Gateway): it cannot reach the portal"),
    ] {
        let head = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let proxy = serving(move |_| head.clone().into_bytes(), false).origin;
        let secret = proxy.replace("://", "://anna:SECRETPW@");
        for command in [&["doctor"][..], &["run", "users.csv", "--retries", "0"]] {
            let ended = bench.onboard(&[command, &PORTAL, &["--proxy", &secret]].concat()).with(3);
            let said = format!("{} {}", ended.out, ended.said());
            assert!(said.contains(&format!("the proxy {proxy} does not let a connection")), "{said}");
            assert!(said.contains(says) && !said.contains("SECRETPW") && !said.contains("tunnel"), "{said}");
        }
    }
    let ended = bench.onboard(&[&["doctor"][..], &PORTAL, &["--proxy", "127.0.0.1:1"]].concat()).with(3);
    assert!(ended.out.contains("the proxy http://127.0.0.1:1 cannot be reached: Connection refused"), "{}", ended.out);
}
