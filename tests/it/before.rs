//! Who speaks before a portal (a firewall, a web server's login, a network's login page) is told as that.

use crate::bench::{Bench, active, serving};

fn page(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into()
}

#[test]
fn who_speaks_before_the_portal_is_told_as_that() {
    const HTML: &str = "Content-Type: text/html; charset=utf-8\r\n";
    let blocked = "<!DOCTYPE html><html><head><title>Attention Required!</title></head><body>Blocked</body></html>";
    let login = "<html><title>Contoso</title><form><input name=user><input type=password></form></html>";
    for (status, headers, body, says) in [
        ("403 Forbidden", HTML, blocked, "answered 403 with a web page (\"Attention Required!\"), as a firewall"),
        ("403 Forbidden", "", blocked, "answered 403 with a web page (\"Attention Required!\"), as a firewall"),
        (
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"Staff\"\r\n",
            "",
            "wants a login of its own (Basic realm=\"Staff\")",
        ),
        ("401 Unauthorized", HTML, login, "answered 401 with a web page (\"Contoso\")"),
        ("200 OK", HTML, login, "it is a login page, not the answer of a DocSpace portal"),
        ("200 OK", "", login, "it is a login page, not the answer of a DocSpace portal"),
        ("200 OK", HTML, blocked, "it is a web page, not the answer of a DocSpace portal"),
    ] {
        let bench = Bench::new();
        bench.roster(&active(12));
        bench.write("key", "sk-0123456789abcdef");
        let answer = page(status, headers, body);
        let origin = serving(move |_| answer.clone(), false).origin;
        let to = ["--portal", &origin, "--api-key-file", "key"];
        let run = bench.onboard(&[&["run", "users.csv", "--retries", "0"][..], &to].concat()).with(3);
        let doctor = bench.onboard(&[&["doctor"][..], &to].concat()).with(3);
        let export = bench.onboard(&[&["export"][..], &to].concat());
        for said in [run.said(), doctor.out, export.with(3).said()] {
            assert!(said.contains(says), "{says}: {said}");
            for wrong in ["scope", "does not accept the key", "check the key", "make a new key", "mistyped"] {
                assert!(!said.contains(wrong), "{says}: {said}");
            }
        }
        assert_eq!(bench.outcomes().get("not_attempted"), Some(&12), "{says}: {:?}", bench.outcomes());
    }
}
