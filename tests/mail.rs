//! The conversation with mail servers that others wrote, where variables name them (`.ci/mail` starts them): Postfix, which
//! keeps what it delivers in a folder, and aiosmtpd, made to answer anything at any step. What was left out is told on the
//! terminal, past what the test harness captures.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so by failing")]

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use onboard::{
    portal::Effect,
    sandbox::{Config, Limits, Sandbox, User},
    secret::Secret,
    smtp::{Access, Envelope, Fault, Mailer, Scope, Whose},
    user::{EmployeeType, UserId},
};

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says where servers are")]
fn server(name: &str) -> Option<String> {
    let found = std::env::var(name).ok().filter(|value| !value.is_empty());
    if found.is_none() {
        // The harness captures what is printed by macros only.
        let _shown = writeln!(std::io::stderr(), "left out: no {name} names a server");
    }
    found
}

fn ask<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn mailer(url: &str, timeout: Duration) -> Mailer {
    let access = Access {
        server: url.parse().expect("a server"),
        password: Some(Secret::password("password", "correct horse".to_owned()).expect("a password")),
        timeout,
        ca_file: server("ONBOARD_TEST_SMTP_CA").map(PathBuf::from),
    };
    Mailer::new(access).expect("a mailer")
}

fn envelope(from: &str, to: &str) -> Envelope {
    Envelope { from: from.parse().expect("an address"), to: to.parse().expect("an address") }
}

const AMPLE: Duration = Duration::from_secs(60);

#[test]
fn postfix_keeps_what_was_accepted_and_nothing_else() {
    for name in ["ONBOARD_TEST_SMTP", "ONBOARD_TEST_SMTPS"] {
        let Some(url) = server(name) else { continue };
        let mails = PathBuf::from(server("ONBOARD_TEST_SMTP_MAILS").expect("where mails are kept"));
        let mailer = mailer(&url, AMPLE);
        let refused = |result: Result<(), Fault>| match result {
            Err(Fault::Refused { whose, .. }) => Some(whose),
            _ => None,
        };
        ask(async {
            for to in ["anna@example.org", "bob@example.org", "carla@example.org"] {
                let mail = format!("Subject: {name}\r\nX-To: {to}\r\n\r\nHi.\r\n.\r\n..\r\n");
                assert_eq!(mailer.deliver(&envelope("it@example.org", to), mail.as_bytes()).await, Ok(()), "{to}");
                // In between, what it does not take.
                let nobody = mailer.deliver(&envelope("it@example.org", "nobody@example.org"), mail.as_bytes()).await;
                assert_eq!(refused(nobody), Some(Whose::This));
                let elsewhere = mailer.deliver(&envelope("it@example.org", "anna@example.net"), mail.as_bytes()).await;
                // It thinks that this may be mended.
                assert!(matches!(elsewhere, Err(Fault::Later { scope: Scope::This, .. })), "{elsewhere:?}");
                let blocked = mailer.deliver(&envelope("blocked@example.org", to), mail.as_bytes()).await;
                assert!(refused(blocked).is_some());
            }
            mailer.close().await;
        });
        let kept = || -> Vec<String> {
            let folder = fs::read_dir(mails.join("all/new"));
            let files = folder.into_iter().flatten().map(|entry| entry.expect("an entry").path());
            files.filter_map(|file| fs::read_to_string(file).ok()).filter(|mail| mail.contains(name)).collect()
        };
        // It delivers after it has answered.
        while kept().len() < 3 {
            std::thread::yield_now();
        }
        let kept = kept();
        assert!(kept.iter().all(|mail| mail.ends_with("\n\nHi.\n.\n..\n")), "{kept:?}");
        assert_eq!(kept.len(), 3);
    }
}

/// What happens at a step: a word for the server, and what it proves there.
fn expected(step: &str, what: &str) -> Effect {
    match what.parse::<u16>() {
        Ok(400..=499) => Effect::NoneYet,
        Ok(_) => Effect::Rejected,
        Err(_) if step == "dot" => Effect::Unknown,
        Err(_) => Effect::NoneYet,
    }
}

#[test]
fn aiosmtpd_is_believed_exactly_as_far_as_it_goes() {
    for (name, steps) in [
        ("ONBOARD_TEST_SMTP_ODD", &["connect", "hello", "sender", "recipient", "data", "dot"][..]),
        ("ONBOARD_TEST_SMTP_ODD_TLS", &["connect", "hello", "encrypt", "login", "sender", "recipient", "data", "dot"]),
    ] {
        let Some(url) = server(name) else { return };
        let file = |name: &str| PathBuf::from(server(name).expect("a file"));
        let (control, accepted) = (file("ONBOARD_TEST_SMTP_CONTROL"), file("ONBOARD_TEST_SMTP_ACCEPTED"));
        let codes = ["421", "450", "451", "452", "500", "501", "530", "535", "550", "552", "553", "554"];
        for step in steps {
            let odd = ["garbage", "cut", "hang"];
            let after = ["cut-after", "hang-after"];
            let after = after.iter().filter(|_| *step == "dot");
            for what in codes.iter().chain(&odd).chain(after) {
                fs::write(&control, format!("{step} {what}")).expect("written");
                let to = format!("{step}-{what}-{}@example.org", name.len());
                let patience = if what.starts_with("hang") { Duration::from_millis(700) } else { AMPLE };
                let result =
                    ask(mailer(&url, patience).deliver(&envelope("it@example.org", &to), b"Subject: x\r\n\r\nx\r\n"));
                let told = format!("{name} {step} {what}: {result:?}");
                assert_eq!(result.err().map(|fault| fault.effect()), Some(expected(step, what)), "{told}");
                let kept =
                    fs::read_to_string(&accepted).expect("read").lines().filter(|line| line.starts_with(&to)).count();
                assert_eq!(kept, usize::from(what.ends_with("-after")), "{told}");
            }
        }
        fs::write(&control, "").expect("written");
        let mailer = mailer(&url, AMPLE);
        let many = ask(async {
            let mut many = Vec::new();
            for number in 0..30 {
                let to = format!("n{number}-{}@example.org", name.len());
                many.push(mailer.deliver(&envelope("it@example.org", &to), b"Subject: x\r\n\r\n.x\r\n").await);
            }
            mailer.close().await;
            many
        });
        assert!(many.iter().all(Result::is_ok), "{many:?}");
    }
}

/// The whole command, by a server that others wrote: accepted once, refused for good, and nobody twice.
#[test]
fn a_run_carries_messages_by_postfix() {
    for name in ["ONBOARD_TEST_SMTP", "ONBOARD_TEST_SMTPS"] {
        let Some(url) = server(name) else { continue };
        let mails = PathBuf::from(server("ONBOARD_TEST_SMTP_MAILS").expect("where mails are kept"));
        // The other test counts those that hold the name itself.
        let label = name.to_lowercase();
        let people = ["anna", "bob", "carla", "nobody"].map(|who| format!("{who}@example.org"));
        let users: Vec<User> = (1..)
            .zip(&people)
            .map(|(number, email)| {
                let user = User::of_roster(UserId::from_bytes([number; 16]), Some(email.clone()), EmployeeType::User);
                User { status: 1, activation: 1, ..user }
            })
            .collect();
        let portal = Sandbox::start(Config { users: users.clone(), limits: Limits::OFF, ..Config::default() })
            .expect("a portal");
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        let rows: Vec<String> = users.iter().map(|user| format!("{},User", user.id)).collect();
        write("users.csv", &format!("user_id,employee_type\n{}\n", rows.join("\n")));
        write("key", portal.api_key());
        write("word", "correct horse");
        write(
            "welcome.md",
            &format!("Subject: run by {label}\nFrom: IT <it@example.org>\n\nGr\u{fc}\u{df}e, {{{{ name }}}}.\n"),
        );
        let run = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_onboard"));
            command.args([
                "run",
                "users.csv",
                "--portal",
                &portal.origin(),
                "--api-key-file",
                "key",
                "--ledger",
                "l.db",
            ]);
            command.args(["--message", "welcome.md", "--smtp", &url, "--smtp-password-file", "word"]);
            command.args(["--smtp-rate", "100/s", "--smtp-rate", "5000/24h"]);
            if let Some(authority) = server("ONBOARD_TEST_SMTP_CA") {
                command.args(["--ca-file", &authority]);
            }
            command.current_dir(folder.path()).env_clear().env("HOME", folder.path()).stdin(Stdio::null());
            let output = command.output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let results = fs::read_to_string(folder.path().join("users.results.csv")).expect(&said);
            (output.status.code(), results, said)
        };
        let (status, results, said) = run();
        assert_eq!(status, Some(1), "{said}");
        assert_eq!((results.matches(",sent,").count(), results.matches(",rejected,").count()), (3, 1), "{results}");
        let (status, results, said) = run();
        assert_eq!((status, results.matches(",already_sent,").count()), (Some(1), 3), "{said}");
        let subject = format!("Subject: run by {label}\n");
        let kept = || -> usize {
            let folder = fs::read_dir(mails.join("all/new"));
            let files = folder.into_iter().flatten().map(|entry| entry.expect("an entry").path());
            files.filter_map(|file| fs::read_to_string(file).ok()).filter(|mail| mail.contains(&subject)).count()
        };
        // It delivers after it has answered.
        while kept() < 3 {
            std::thread::yield_now();
        }
        assert_eq!(kept(), 3);
    }
}
