//! The embedded portal as others meet it: the vendor's published example, credentials, a roster on request.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Child, Stdio},
};

use futures::StreamExt;
use onboard::sandbox::{Config, Limits, Sandbox};
use reqwest::{Client, Method, Response, header::AUTHORIZATION};

use crate::bench::{Bench, active, config, portal, rows_of};

fn ask<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

fn client() -> Client {
    onboard::portal::install_crypto();
    Client::builder().tls_certs_only(std::iter::empty()).build().expect("a client")
}

async fn call(method: Method, url: String, authorization: Option<&str>) -> Response {
    let request = client().request(method, url);
    let request = match authorization {
        Some(value) => request.header(AUTHORIZATION, value),
        None => request,
    };
    request.send().await.expect("an answer")
}

#[test]
fn the_published_example_runs_unchanged_but_for_host_token_and_user() {
    let users = active(1);
    let portal = portal(&users);
    let (host, token, user) = (portal.origin(), portal.token().to_owned(), users[0].id);
    ask(async {
        let link = call(Method::GET, format!("{host}/api/2.0/portal/users/invite/1"), Some(&token)).await;
        assert_eq!(link.status(), 200);
        let link: serde_json::Value = serde_json::from_str(&link.text().await.expect("a body")).expect("JSON");
        assert!(link["response"].as_str().is_some_and(|link| link.starts_with("http")), "{link}");
        let account = call(Method::GET, format!("{host}/api/2.0/portal/users/{user}"), Some(&token)).await;
        let account: serde_json::Value = serde_json::from_str(&account.text().await.expect("a body")).expect("JSON");
        assert_eq!(account["response"]["isActive"], true);
        assert_eq!(
            (&account["status"], &account["statusCode"], &account["count"]),
            (&0.into(), &200.into(), &1.into())
        );
        let url = format!("{host}/api/2.0/portal/sendcongratulations?Userid={user}&Key=welcome_guest");
        let sent = call(Method::POST, url, Some(&token)).await;
        assert_eq!(sent.status(), 200);
        let body = sent.text().await.expect("a body");
        assert!(body.starts_with("{\"count\":0,\"links\":[{\"href\":"), "{body}");
        assert!(body.ends_with("\"status\":0,\"statusCode\":200}"), "{body}");
    });
    assert_eq!(portal.stats().messages[&user.to_string()], 1);
}

#[test]
fn credentials_are_taken_in_the_forms_that_a_portal_takes() {
    let users = active(1);
    let portal = portal(&users);
    let (host, key, token) = (portal.origin(), portal.api_key().to_owned(), portal.token().to_owned());
    let url = format!("{host}/api/2.0/portal/users/{}", users[0].id);
    ask(async {
        for (value, status) in [
            (Some(format!("Bearer {key}")), 200),
            (Some(token.clone()), 200),
            (Some(format!("Bearer {token}")), 200),
            (Some(key.clone()), 401),
            (Some(format!("bearer {key}")), 401),
            (Some("Bearer sk-0".to_owned()), 401),
            (None, 401),
        ] {
            let answer = call(Method::GET, url.clone(), value.as_deref()).await;
            assert_eq!(answer.status(), status, "{value:?}");
            if status == 401 {
                assert_eq!(answer.text().await.expect("a body"), "");
            }
        }
        for open in ["settings/invitationsettings", "settings/version/build"] {
            assert_eq!(call(Method::GET, format!("{host}/api/2.0/{open}"), None).await.status(), 200, "{open}");
        }
        assert_eq!(call(Method::GET, format!("{host}/api/2.0/no/such/route"), Some(&token)).await.status(), 404);
    });
    assert!(key.len() == 67 && key.starts_with("sk-"));
}

struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn it_serves_by_command_and_gives_a_roster_that_runs_as_it_is() {
    let bench = Bench::new();
    let mut child = bench
        .command(&["sandbox", "--users", "40", "--write-roster", "users.csv", "--active-share", "50"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut line = |prefix: &str| {
        let line = lines.next().expect("a line").expect("text");
        line.strip_prefix(prefix).unwrap_or_else(|| panic!("{line}")).to_owned()
    };
    let (origin, key, token) = (line("listening on "), line("key: "), line("token: "));
    let _served = Served(child);
    bench.write("key", key);
    bench.onboard(&["run", "users.csv", "--portal", &origin, "--api-key-file", "key"]).with(0);
    let rows = rows_of(&bench.path("users.results.csv"));
    assert_eq!(rows.len(), 40);
    let sent = rows.iter().filter(|row| row["congratulation"] == "sent").count();
    assert!((10..=30).contains(&sent), "{sent}");
    // A token goes as it is.
    let output =
        bench.command(&["run", "users.csv", "--portal", &origin]).env("ONBOARD_API_KEY", token).output().expect("run");
    assert_eq!(output.status.code(), Some(0));
    let listed =
        ask(async { call(Method::GET, format!("{origin}/sandbox/stats"), None).await.text().await.expect("a body") });
    assert!(listed.contains("\"messages\""), "{listed}");
}

#[test]
fn a_client_that_goes_away_leaves_no_place_in_flight_taken() {
    let users = active(1);
    let limits = Limits { reads: Some(1), ..Limits::OFF };
    let faults = vec!["user:stall-before:#1".parse().expect("a fault")];
    let portal = Sandbox::start(Config { limits, faults, ..config(&users) }).expect("a portal");
    let url = format!("{}/api/2.0/portal/users/{}", portal.origin(), users[0].id);
    let mut killed = TcpStream::connect(portal.address()).expect("connected");
    let asked = format!(
        "GET /api/2.0/portal/users/{} HTTP/1.1\r\nHost: p\r\nAuthorization: {}\r\n\r\n",
        users[0].id,
        portal.token()
    );
    killed.write_all(asked.as_bytes()).expect("sent");
    while portal.stats().total_requests() == 0 {
        std::thread::yield_now();
    }
    ask(async {
        let taken = call(Method::GET, url.clone(), Some(portal.token())).await;
        assert_eq!(taken.status(), 429, "the only place is taken");
        drop(killed);
        // It hears of it when the connection's end comes, which is soon.
        let answers = futures::stream::iter(0..10_000).then(|_| call(Method::GET, url.clone(), Some(portal.token())));
        let free = answers.any(async |answer| answer.status() == 200).await;
        assert!(free, "the place is free again");
    });
}
