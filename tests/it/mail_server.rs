//! Mails to the sandbox's mail server, which shares no code with the client, and what `doctor` sees of one.

use std::{path::Path, time::Duration};

use onboard::{
    portal::Effect,
    sandbox::{Config, MailConfig, MailFault, Sandbox},
    secret::Secret,
    smtp::{Access, Envelope, Fault, Mailer, Scope, Whose},
};

use crate::bench::{Bench, active, config};

fn ask<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn sandbox(mail: MailConfig) -> Sandbox {
    Sandbox::start(Config { mail, ..config(&active(1)) }).expect("a sandbox")
}

fn faulty(faults: &[&str]) -> Sandbox {
    let faults = faults.iter().map(|fault| fault.parse::<MailFault>().expect(fault)).collect();
    sandbox(MailConfig { faults, ..MailConfig::default() })
}

/// A mailer to a sandbox, as a user who logs in where there is one.
fn mailer(sandbox: &Sandbox, user: Option<&str>, timeout: Duration) -> Mailer {
    let at = sandbox.mail_server();
    let at = user.map_or_else(|| at.clone(), |user| at.replace("://", &format!("://{user}@")));
    let password = user.map(|_| Secret::password("password", "correct horse".to_owned()).expect("a password"));
    Mailer::new(Access { server: at.parse().expect("a server"), password, timeout, ca_file: None }).expect("a mailer")
}

fn to(sandbox: &Sandbox) -> Mailer {
    mailer(sandbox, None, Duration::from_secs(30))
}

fn envelope(to: &str) -> Envelope {
    Envelope { from: "it@a.example".parse().expect("an address"), to: to.parse().expect("an address") }
}

const MAIL: &[u8] =
    b"From: IT <it@a.example>\r\nSubject: =?utf-8?q?W=C3=A4?=\r\n =?utf-8?q?lcome?=\r\n\r\nHi.\r\n.\r\n.x\r\n";

#[test]
fn a_mail_arrives_as_it_was_written_and_is_told() {
    let sandbox = sandbox(MailConfig::default());
    let told = ask(async {
        let mailer = to(&sandbox);
        mailer.deliver(&envelope("anna@b.example"), MAIL).await.expect("accepted");
        mailer
            .deliver(&envelope("b\u{f6}b@b\u{fc}cher.example"), "Subject: \u{e9}\n\nx".as_bytes())
            .await
            .expect("accepted");
        mailer.close().await;
        onboard::portal::install_crypto();
        let client = reqwest::Client::builder().tls_certs_only(std::iter::empty()).build().expect("a client");
        let told = client.get(format!("{}/sandbox/mails", sandbox.origin())).send().await.expect("an answer");
        told.text().await.expect("a body")
    });
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told[0]["from"], "it@a.example");
    assert_eq!(told[0]["to"], "anna@b.example");
    assert_eq!(told[0]["headers"]["Subject"], "=?utf-8?q?W=C3=A4?= =?utf-8?q?lcome?=");
    assert_eq!(told[0]["data"], String::from_utf8_lossy(MAIL).into_owned());
    assert_eq!(told[1]["to"], "b\u{f6}b@xn--bcher-kva.example");
    assert_eq!(told[1]["data"], "Subject: \u{e9}\r\n\r\nx\r\n");
    assert_eq!(sandbox.stats().mails.values().sum::<u32>(), 2);
}

#[test]
fn what_the_client_believes_is_what_the_server_did() {
    for (fault, expected, kept) in [
        ("connect:421:#1", Effect::NoneYet, 0),
        ("connect:554:#1", Effect::Rejected, 0),
        ("hello:cut:#1", Effect::NoneYet, 0),
        ("sender:451:#1", Effect::NoneYet, 0),
        ("sender:550:#1", Effect::Rejected, 0),
        ("recipient:garbage:#1", Effect::NoneYet, 0),
        ("recipient:550:#1", Effect::Rejected, 0),
        ("data:cut:#1", Effect::NoneYet, 0),
        ("dot:451:#1", Effect::NoneYet, 0),
        ("dot:554:#1", Effect::Rejected, 0),
        ("dot:cut:#1", Effect::Unknown, 0),
        ("dot:cut-after:#1", Effect::Unknown, 1),
        ("dot:hang:#1", Effect::Unknown, 0),
        ("dot:hang-after:#1", Effect::Unknown, 1),
        ("dot:garbage:#1", Effect::Unknown, 1),
        ("data:hang:#1", Effect::NoneYet, 0),
    ] {
        let sandbox = faulty(&[fault]);
        let patience = if fault.contains("hang") { Duration::from_millis(500) } else { Duration::from_secs(30) };
        let mailer = mailer(&sandbox, None, patience);
        let (first, second) = ask(async {
            let first = mailer.deliver(&envelope("anna@b.example"), MAIL).await;
            (first, mailer.deliver(&envelope("bob@b.example"), MAIL).await)
        });
        assert_eq!(first.expect_err(fault).effect(), expected, "{fault}");
        assert_eq!(second, Ok(()), "{fault}: the next one goes");
        let mails = sandbox.stats().mails;
        assert_eq!((mails.get("anna@b.example").copied().unwrap_or(0), mails["bob@b.example"]), (kept, 1), "{fault}");
    }
}

#[test]
fn greylisting_is_waited_out_and_a_login_is_needed_where_it_is() {
    let greylisted = sandbox(MailConfig { greylist: Some(Duration::from_millis(1)), ..MailConfig::default() });
    ask(async {
        let mailer = to(&greylisted);
        let first = mailer.deliver(&envelope("anna@b.example"), MAIL).await.expect_err("greylisted");
        assert!(matches!(&first, Fault::Later { scope: Scope::This, said } if said.code == 450), "{first}");
        assert_eq!(first.come_back_after(1), Some(Duration::from_secs(60)));
        // However long a millisecond takes here.
        while let Err(fault) = mailer.deliver(&envelope("anna@b.example"), MAIL).await {
            assert_eq!(fault, first);
        }
    });
    let guarded = || sandbox(MailConfig { password: Some("correct horse".to_owned()), ..MailConfig::default() });
    let refused = |result: Result<(), Fault>| match result {
        Err(Fault::Refused { whose, said }) => (whose, said.code),
        other => panic!("{other:?}"),
    };
    let portal = guarded();
    let deliver = |user| ask(mailer(&portal, user, Duration::from_secs(30)).deliver(&envelope("anna@b.example"), MAIL));
    assert_eq!(refused(deliver(None)), (Whose::Everybody, 530));
    assert_eq!(deliver(Some("it")), Ok(()));
    let other = sandbox(MailConfig { password: Some("another".to_owned()), ..MailConfig::default() });
    let wrong = mailer(&other, Some("it"), Duration::from_secs(30));
    assert_eq!(refused(ask(wrong.deliver(&envelope("anna@b.example"), MAIL))), (Whose::Everybody, 535));
}

/// `doctor` about a mail server; what it says of mail, a line each.
fn doctor(bench: &Bench, sandbox: &Sandbox, more: &[&str], variables: &[(&str, &str)]) -> (i32, Vec<String>) {
    bench.key_of(sandbox);
    bench.write("machinekey", "machine-key");
    let origin = sandbox.origin();
    let args = [&["doctor", "--portal", &origin, "--api-key-file", "key", "--sign-with", "machinekey"], more].concat();
    let output = bench.command(&args).envs(variables.iter().copied()).output().expect("run");
    let said = String::from_utf8(output.stdout).expect("text") + &String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("correct horse"), "{said}");
    let lines = said.lines().skip_while(|line| !line.contains("mail ")).map(|line| line.trim().to_owned());
    (output.status.code().unwrap_or(-1), lines.collect())
}

#[test]
fn doctor_looks_at_a_mail_server_up_to_its_recipients_and_sends_nothing() {
    let bench = Bench::new();
    let sandbox = sandbox(MailConfig { password: Some("correct horse".to_owned()), ..MailConfig::default() });
    let at = |user: &str| sandbox.mail_server().replace("://", &format!("://{user}"));
    let password = [("ONBOARD_SMTP_PASSWORD", "correct horse")];
    let (status, lines) = doctor(&bench, &sandbox, &["--smtp", &at("it%40a.example@")], &password);
    let name = sandbox.mail_server();
    assert_eq!(
        lines,
        [
            format!("\u{2713} mail server    {name} answers, in the clear, on this machine"),
            "\u{2713} mail login     accepted for it@a.example".to_owned(),
            "\u{2713} mail sender    a mail from it@a.example to itself would be taken; nothing was sent".to_owned(),
        ]
    );
    assert_eq!(status, 0);
    bench.write("word", "correct horse\n");
    let from_file = doctor(&bench, &sandbox, &["--smtp", &at("it@"), "--smtp-password-file", "word"], &[]);
    assert!(from_file.1[2].contains("not looked at"), "{from_file:?}");
    let printed = doctor(&bench, &sandbox, &["--smtp", &at("it@"), "--smtp-password-command", "cat word"], &[]);
    assert_eq!(printed, from_file);
    for (user, variables, said) in [
        ("it@", &[][..], "no password is given"),
        ("it@", &[("ONBOARD_SMTP_PASSWORD", "wrong")], "answered 535 5.7.8 to AUTH"),
    ] {
        let (status, lines) = doctor(&bench, &sandbox, &["--smtp", &at(user)], variables);
        assert!(status == 3 && lines.iter().any(|line| line.contains(said)), "{lines:?}");
    }
    let strict = faulty(&["sender:553:#1"]);
    let at = strict.mail_server().replace("://", "://it%40a.example@");
    let (status, lines) = doctor(&bench, &strict, &["--smtp", &at], &password);
    assert!(status == 3 && lines.iter().any(|line| line.contains("offers no login at all")), "{lines:?}");
    let (status, lines) = doctor(&bench, &strict, &["--smtp", "smtp://127.0.0.1:1"], &[]);
    assert!(status == 3 && lines.iter().any(|line| line.contains("smtp://127.0.0.1:1 cannot be reached")), "{lines:?}");
    assert!(sandbox.mails().is_empty() && strict.mails().is_empty());
}

#[test]
fn a_password_in_the_address_is_told_back_nowhere() {
    let bench = Bench::new();
    let portal = sandbox(MailConfig::default());
    bench.key_of(&portal);
    let origin = portal.origin();
    for given in
        ["smtps://it:SECRETPW@mail.example.com", "smtp://it:SECRETPW@mail example", "it:SECRETPW@mail.example.com"]
    {
        let ended = bench.onboard(&["doctor", "--portal", &origin, "--api-key-file", "key", "--smtp", given]).with(2);
        assert!(!ended.err.contains("SECRETPW") && !ended.out.contains("SECRETPW"), "{}", ended.err);
        assert!(ended.said().contains("--smtp"), "{}", ended.err);
    }
}

#[test]
fn the_sandbox_prints_where_its_mail_server_is() {
    use std::io::{BufRead, BufReader};
    let bench = Bench::new();
    bench.write("word", "correct horse\n");
    let args = ["sandbox", "--mail-password-file", "word", "--mail-fault", "recipient:450:#1"];
    let mut child = bench.command(&args).stdout(std::process::Stdio::piped()).spawn().expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().take(4);
    let lines: Vec<String> = lines.map(|line| line.expect("text")).collect();
    let address = lines[3].strip_prefix("mail: ").expect("an address").replace("://", "://it@");
    let password = Secret::read_password("password", &bench.path("word")).expect("a password");
    let access = Access {
        server: address.parse().expect("a server"),
        password: Some(password),
        timeout: Duration::from_secs(30),
        ca_file: None,
    };
    let mailer = Mailer::new(access).expect("a mailer");
    let first = ask(mailer.deliver(&envelope("anna@b.example"), MAIL));
    drop(mailer);
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(matches!(first, Err(Fault::Later { .. })), "{first:?}");
    assert!(Path::new(&bench.path("word")).exists());
}
