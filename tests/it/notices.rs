//! Whoever wants to be told of a run is told, in counts and reasons; nobody learns more by it, and nothing depends on it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use onboard::sandbox::{Config, MailConfig, Sandbox, User};

use crate::bench::{Bench, Ended, active, config, faulty, messages, portal};

const SECRET: &str = "T0SECRETPATH9/B1SECRETPART8";

/// A chat that notes what it is told.
struct Chat {
    origin: String,
    told: Arc<Mutex<Vec<(String, String)>>>,
}

impl Chat {
    /// One that answers so, the last of it from then on.
    fn answering(answers: &[&str]) -> Self {
        let answers: Vec<String> = answers.iter().map(ToString::to_string).collect();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let told = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&told);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let mut reader = BufReader::new(stream.expect("a connection"));
                let (mut head, mut line) = (String::new(), String::new());
                while reader.read_line(&mut line).expect("a line") > 2 {
                    head.push_str(&line);
                    line.clear();
                }
                let length = head
                    .lines()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                reader.read_exact(&mut body).expect("a body");
                notes.lock().expect("whole").push((head, String::from_utf8(body).expect("text")));
                let answer = answers.get(number).or(answers.last()).expect("an answer");
                let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                reader.into_inner().write_all(answer.as_bytes()).expect("answered");
            }
        });
        Self { origin, told }
    }

    fn new() -> Self {
        Self::answering(&["200 OK"])
    }

    /// Puts its address, which nobody may see, into a file.
    fn in_file(&self, bench: &Bench) {
        secretly(bench, "hook", &format!("{}/{SECRET}\n", self.origin));
    }

    /// The texts that it was told since it was asked last.
    fn texts(&self) -> Vec<String> {
        let told = std::mem::take(&mut *self.told.lock().expect("whole"));
        told.iter()
            .map(|(head, body)| {
                assert!(head.starts_with(&format!("POST /{SECRET} HTTP/1.1\r\n")), "{head}");
                assert!(head.contains("content-type: application/json\r\n"), "{head}");
                let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
                let fields = body.as_object().expect("an object");
                assert_eq!(fields.keys().collect::<Vec<_>>(), ["text"]);
                let text = fields["text"].as_str().expect("a text").to_owned();
                assert!(!text.contains('@') && !text.contains("://") && !text.contains("csv"), "{text}");
                text
            })
            .collect()
    }

    #[track_caller]
    fn only_text(&self) -> String {
        let mut texts = self.texts();
        assert_eq!(texts.len(), 1, "{texts:?}");
        texts.remove(0)
    }
}

fn secretly(bench: &Bench, name: &str, text: &str) {
    let path = bench.write(name, text);
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("changed");
    let _ = path;
}

/// What was said, none of it the webhook's address.
#[track_caller]
fn said(ended: &Ended) -> String {
    let said = format!("{} {}", ended.out, ended.said());
    assert!(!said.contains("SECRET"), "{said}");
    said
}

/// A bench with a chat, and a roster of four people.
fn told_bench(chat: &Chat) -> (Bench, Vec<User>) {
    let (bench, users) = (Bench::new(), active(4));
    bench.roster(&users);
    chat.in_file(&bench);
    (bench, users)
}

#[test]
fn chat_and_mail_are_told_counts_reasons_and_what_to_do_next() {
    let chat = Chat::new();
    let (bench, users) = told_bench(&chat);
    let portal = Sandbox::start(Config {
        faults: vec!["congratulation:forbid:#2".parse().expect("a fault")],
        mail: MailConfig { password: Some("correct horse".to_owned()), ..MailConfig::default() },
        ..config(&users)
    })
    .expect("a portal");
    secretly(&bench, "password", "correct horse");
    let server = portal.mail_server().replace("://", "://it%40a.example@");
    let ended = bench
        .run(
            &portal,
            &[
                "--notify",
                "@hook",
                "--notify",
                "mailto:ops@b.example",
                "--smtp",
                &server,
                "--smtp-password-file",
                "password",
            ],
        )
        .with(1);
    let shown = said(&ended);
    assert!(!shown.contains("warning"), "{shown}");
    // What goes on tells again, by the file and never by what stands in it.
    assert!(shown.contains("--notify @hook --notify mailto:ops@b.example"), "{shown}");
    let text = chat.only_text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "onboard run: finished, and some rows need a look (exit status 1)");
    assert_eq!(lines[1], format!("Portal: {}", portal.address()));
    assert!(lines[2].starts_with("Run: ") && lines[2].len() == "Run: 12345678".len(), "{text}");
    assert_eq!(lines[3], "Rows: 3 sent, 1 rejected");
    assert!(lines[4].starts_with("1 row rejected: ") && lines[4].contains(" Next: "), "{text}");
    let (_, link) =
        bench.results()[0]["invite_link"].split_once("://").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a link");
    for user in &users {
        assert!(
            !text.contains(&user.first_name) && !text.contains(&user.id.to_string()) && !text.contains(&link),
            "{text}"
        );
    }
    let mails = portal.mails();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!((mail.from.as_str(), mail.to.as_str()), ("it@a.example", "ops@b.example"));
    let (head, body) = mail.data.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("From: it@a.example\r\nTo: ops@b.example\r\nSubject: onboard run: finished"), "{head}");
    assert!(head.contains("\r\nAuto-Submitted: auto-generated"), "{head}");
    let body = STANDARD.decode(body.replace("\r\n", "")).expect("base64");
    assert_eq!(String::from_utf8(body).expect("text").replace("\r\n", "\n"), text);
}

#[test]
fn where_nobody_logs_in_a_mail_is_from_whoever_gets_it() {
    let (bench, users) = (Bench::new(), active(1));
    bench.roster(&users);
    let portal = portal(&users);
    let server = portal.mail_server();
    let ended = bench.run(&portal, &["--notify", "mailto:ops@b.example", "--smtp", &server, "-q"]).with(0);
    assert_eq!(said(&ended).trim(), "");
    let mails = portal.mails();
    assert_eq!((mails[0].from.as_str(), mails[0].to.as_str()), ("ops@b.example", "ops@b.example"));
    // In practice the sandbox's own server takes it; one from the settings is passed over.
    bench.write("onboard.toml", "smtp = \"smtps://it@mail.no-such-place.test\"\nnotify = \"mailto:ops@b.example\"\n");
    let ended = bench.onboard(&["run", "users.csv", "--sandbox", "-o", "try.csv"]);
    assert!(!said(&ended).contains("notify") && [0, 1].contains(&ended.status), "{}", ended.err);
    let typed = ["run", "users.csv", "--sandbox", "-o", "try.csv", "--smtp", &server];
    assert!(said(&bench.onboard(&typed).with(2)).contains("the sandbox's own server only"));
}

#[test]
fn a_notice_that_fails_is_told_and_changes_nothing() {
    let elsewhere = Chat::new();
    let sent_on = format!("307 Temporary Redirect\r\nLocation: {}/{SECRET}", elsewhere.origin);
    for (answers, times, says) in [
        (&["404 Not Found"][..], 1, "refused it (404 Not Found); look whether its address still holds"),
        (&["503 Service Unavailable", "200 OK"], 2, ""),
        (&["500 Internal Server Error"], 3, "could not take it (500 Internal Server Error)"),
        (&[sent_on.as_str()], 1, "sends requests on elsewhere (307 Temporary Redirect), which is not followed"),
    ] {
        let chat = Chat::answering(answers);
        let (bench, users) = told_bench(&chat);
        let portal = portal(&users);
        let log = ["-vv", "--log-file", "log.txt", "--events", "events.jsonl", "--summary-json", "summary.json"];
        let ended = bench.run(&portal, &[&["--notify", "@hook"][..], &log].concat()).with(0);
        let shown = said(&ended);
        match says {
            "" => assert!(!shown.contains("warning"), "{shown}"),
            says => assert!(
                shown
                    .contains(&format!("warning: the chat of --notify @hook was not told of this: its webhook {says}")),
                "{shown}"
            ),
        }
        assert_eq!((chat.texts().len(), messages(&portal)), (times, 4), "{answers:?}");
        for file in ["log.txt", "events.jsonl", "summary.json", "users.results.csv"] {
            assert!(!bench.read(file).contains("SECRET"), "{file}");
        }
    }
    assert!(elsewhere.texts().is_empty());
}

#[test]
fn a_chat_or_a_mail_server_that_is_not_there_is_told_too() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let (bench, users) = (Bench::new(), active(1));
    bench.roster(&users);
    let portal = portal(&users);
    secretly(&bench, "hook", &format!("http://{closed}/{SECRET}"));
    let server = format!("smtp://{closed}");
    let notices = ["--notify", "@hook", "--notify", "mailto:ops@b.example", "--smtp", &server];
    let shown = said(&bench.run(&portal, &notices).with(0));
    assert!(
        shown.contains("warning: the chat of --notify @hook was not told of this: its webhook cannot be reached"),
        "{shown}"
    );
    assert!(shown.contains("warning: the mail of --notify was not sent: "), "{shown}");
}

#[test]
fn a_run_that_failed_or_could_not_start_tells_that() {
    let chat = Chat::new();
    let (bench, users) = told_bench(&chat);
    let refusing = faulty(&users, &["link:unauthorized:100%", "listing:unauthorized:100%", "user:unauthorized:100%"]);
    bench.run(&refusing, &["--notify", "@hook"]).with(3);
    let text = chat.only_text();
    assert!(text.starts_with("onboard run: the portal could not be used (exit status 3)\n"), "{text}");
    assert!(
        text.contains("Rows: 4 not_attempted") && text.contains("Why it stopped: ") && text.contains(" Next: "),
        "{text}"
    );
    let portal = portal(&users);
    bench.run(&portal, &["--notify", "@hook", "--limit", "1"]).with(4);
    let text = chat.only_text();
    assert!(text.contains("(exit status 4)\n") && text.contains("Rows: 1 sent, 3 not_attempted"), "{text}");
    for (more, status) in [(&["--at-most", "1"][..], 2), (&["--ledger", "file://nowhere"], 2)] {
        bench.run(&portal, &[&["--notify", "@hook"], more].concat()).with(status);
        let text = chat.only_text();
        let begin = format!(
            "onboard run: could not start; nothing was sent (exit status {status})\nPortal: {}\n",
            portal.address()
        );
        assert!(text.starts_with(&begin) && text.contains("\nNothing was sent. Next: "), "{text}");
    }
    std::fs::remove_file(bench.path("users.csv")).expect("removed");
    bench.run(&portal, &["--notify", "@hook"]).with(2);
    chat.only_text();
    assert_eq!(messages(&portal), 1);
}

#[test]
fn an_invitation_is_told_of_and_what_is_only_looked_at_is_not() {
    let chat = Chat::new();
    let (bench, users) = told_bench(&chat);
    let portal = portal(&users);
    bench.key_of(&portal);
    bench.write("people.csv", "email,employee_type\nanna@b.example,User\n");
    let origin = portal.origin();
    bench.onboard(&["invite", "people.csv", "--portal", &origin, "--api-key-file", "key", "--notify", "@hook"]).with(0);
    let text = chat.only_text();
    assert!(
        text.starts_with("onboard invite: finished (exit status 0)\n") && text.contains("\nRows: 1 invited\n"),
        "{text}"
    );
    bench.run(&portal, &["--notify", "@hook", "--dry-run"]).with(0);
    assert_eq!(chat.texts(), Vec::<String>::new());
}

#[test]
fn a_webhooks_address_that_is_typed_is_refused_and_not_told_back() {
    let (bench, users) = (Bench::new(), active(1));
    bench.roster(&users);
    let portal = portal(&users);
    let address = format!("https://hooks.example.com/{SECRET}");
    for typed in [
        address.clone(),
        format!("@{address}"),
        format!("@hooks.example.com/{SECRET}"),
        format!("hooks.example.com/{SECRET}"),
    ] {
        for args in [&["--notify", &typed][..], &[&format!("--notify={typed}")]] {
            let shown = said(&bench.run(&portal, args).with(2));
            assert!(!shown.contains("hooks.example.com") && shown.contains("@FILE"), "{shown}");
        }
    }
    bench.write("onboard.toml", format!("notify = [\"{address}\"]\n"));
    for args in [&["run", "users.csv", "--sandbox"][..], &["config"], &["run", "--help"]] {
        let shown = said(&bench.onboard(args));
        assert!(!shown.contains("hooks.example.com"), "{shown}");
    }
    assert!(said(&bench.run(&portal, &[]).with(2)).contains("put it into a file of your own"));
    assert_eq!(messages(&portal), 0);
}

#[test]
fn what_a_notice_needs_is_looked_at_before_anything_is_sent() {
    let (bench, users) = (Bench::new(), active(1));
    bench.roster(&users);
    let portal = portal(&users);
    for (hook, says) in [
        (format!("http://hooks.example.com/{SECRET}"), "would be called in the clear"),
        (format!("https://anna:{SECRET}@hooks.example.com/"), "holds no webhook's address"),
        (SECRET.to_owned(), "holds no webhook's address"),
        (String::new(), "is empty"),
        (format!("https://a.example/{SECRET}\nhttps://b.example/{SECRET}"), "more than one line"),
    ] {
        secretly(&bench, "hook", &hook);
        let shown = said(&bench.run(&portal, &["--notify", "@hook"]).with(2));
        assert!(shown.contains(says) && !shown.contains("example.com"), "{shown}");
    }
    for (args, says) in [
        (&["--notify", "@nowhere"][..], "cannot read the chat webhook's address from nowhere"),
        (&["--notify", "@hook", "-o", "hook"], "the webhook's address (--notify)"),
        (&["--notify", "mailto:ops@b.example"], "needs a mail server; give it with --smtp"),
        (
            &["--notify", "mailto:ops@b.example", "--smtp", "smtps://it@mail.example.com"],
            "whole address there, with %40 for its @",
        ),
        (
            &["--notify", "mailto:ops@b.example", "--smtp", "smtps://it%40a.example@mail.example.com"],
            "no password is given",
        ),
        (&["--notify", "mailto:ops@b.example,cfo@b.example"], "one plain address"),
    ] {
        let shown = said(&bench.run(&portal, args).with(2));
        assert!(shown.contains(says), "{args:?}: {shown}");
    }
    assert_eq!(messages(&portal), 0);
}
