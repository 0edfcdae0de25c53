//! A message of one's own, by one's own mail server: the second carrier of the very same congratulation.

use std::{collections::BTreeSet, fs};

use onboard::{
    sandbox::{Config, MailConfig, MailFault, Sandbox, User},
    user::EmployeeType,
};

use crate::bench::{Bench, Ended, active, config, messages, portal};

const WELCOME: &str =
    "Subject: Welcome, {{ name }}\nFrom: IT <it@a.example>\n\nHello **{{ name }}**, see {{ portal }}.\n";
const WILLKOMMEN: &str =
    "Subject: Willkommen, {{ name }}\nFrom: IT <it@a.example>\nLanguage: de\n\nHallo {{ name }}, siehe {{ portal }}.\n";

/// No waiting for the usual 30 a minute.
const FAST: [&str; 2] = ["--smtp-rate", "100000/s"];

fn office(users: &[User], mail: MailConfig) -> Sandbox {
    Sandbox::start(Config { mail, ..config(users) }).expect("a sandbox")
}

fn with_faults(users: &[User], faults: &[&str]) -> Sandbox {
    let faults = faults.iter().map(|fault| fault.parse::<MailFault>().expect(fault)).collect();
    office(users, MailConfig { faults, ..MailConfig::default() })
}

/// A folder with a roster of these users, and the messages.
fn desk(users: &[User]) -> Bench {
    let bench = Bench::new();
    bench.write("users.csv", roster(users));
    bench.write("welcome.md", WELCOME);
    bench.write("welcome.de.md", WILLKOMMEN);
    bench
}

/// A roster that tells no names, so that the portal's are taken.
fn roster(users: &[User]) -> String {
    let rows: String =
        users.iter().map(|user| format!("{},{},Team {}\n", user.id, user.role, user.first_name)).collect();
    format!("user_id,employee_type,team\n{rows}")
}

fn run(bench: &Bench, sandbox: &Sandbox, more: &[&str]) -> Ended {
    let server = sandbox.mail_server();
    bench.run(sandbox, &[&["--message", "welcome.md", "--smtp", &server], &FAST[..], more].concat())
}

/// Asserts that nobody got two mails, and returns how many got one.
#[track_caller]
fn mails(sandbox: &Sandbox) -> usize {
    let mails = sandbox.stats().mails;
    assert!(mails.values().all(|count| *count == 1), "somebody got two: {mails:?}");
    mails.len()
}

#[track_caller]
fn outcomes(bench: &Bench, expected: &[(&str, usize)]) {
    let expected = expected.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect();
    assert_eq!(bench.outcomes(), expected);
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn everybody_who_is_active_gets_the_message_once_and_the_portal_is_only_read() {
    let mut users = active(7);
    (users[3].status, users[3].activation) = (4, 2);
    let bench = desk(&users);
    // A key that may read, and congratulate nobody.
    let scopes = vec!["*:read".to_owned()];
    let sandbox = Sandbox::start(Config { scopes, ..config(&users) }).expect("a sandbox");
    let ended = run(&bench, &sandbox, &["--summary-json", "s.json", "--report", "r.html"]).with(0);
    assert!(ended.said().contains("congratulated: the mail server accepted it"), "{}", ended.err);
    assert!(ended.said().contains("; 6 mails"), "{}", ended.err);
    outcomes(&bench, &[("not_active", 1), ("sent", 6)]);
    assert_eq!((mails(&sandbox), messages(&sandbox)), (6, 0));
    let summary = json(&bench.read("s.json"));
    assert_eq!(summary["carrier"], "mail server");
    assert_eq!(summary["requests"]["by_class"]["mail"]["sent"], 6);
    assert_eq!(summary["requests"]["total"], sandbox.stats().total_requests());
    assert!(bench.read("r.html").contains("congratulated: the mail server accepted it"));

    let mut ids = BTreeSet::new();
    for mail in sandbox.mails() {
        let user = users.iter().find(|user| user.email == mail.to).expect("a user");
        let name = format!("{} {}", user.first_name, user.last_name);
        assert_eq!(mail.from, "it@a.example");
        assert_eq!(mail.headers["From"], "IT <it@a.example>");
        assert_eq!(mail.headers["To"], user.email);
        assert_eq!(mail.headers["Auto-Submitted"], "auto-generated");
        assert!(!mail.headers.contains_key("List-Unsubscribe"));
        // Other names are encoded; the sandbox decodes nothing.
        if name.is_ascii() {
            let data = mail.data.replace("=\r\n", "");
            assert_eq!(mail.headers["Subject"], format!("Welcome, {name}"));
            assert!(data.contains(&format!("Hello {name}, see {}.", sandbox.origin())), "{data}");
            assert!(data.contains(&format!("<strong>{name}</strong>")), "{data}");
        }
        ids.insert(mail.headers["Message-ID"].clone());
    }
    assert_eq!(ids.len(), 6, "each attempt has its own id: {ids:?}");

    let before = sandbox.stats().mails;
    run(&bench, &sandbox, &[]).with(0);
    outcomes(&bench, &[("already_sent", 6), ("not_active", 1)]);
    assert_eq!(sandbox.stats().mails, before);
    let told = bench.onboard(&["history", "--json"]).with(0);
    assert_eq!(json(&told.out)[0]["command"], "run --message");
}

#[test]
fn whoever_had_one_message_does_not_get_the_other() {
    let users = active(6);
    let bench = desk(&users);
    let sandbox = portal(&users);
    bench.run(&sandbox, &["--limit", "3"]).with(4);
    assert_eq!((mails(&sandbox), messages(&sandbox)), (0, 3));
    run(&bench, &sandbox, &["--limit", "2"]).with(4);
    outcomes(&bench, &[("already_sent", 3), ("not_attempted", 1), ("sent", 2)]);
    bench.run(&sandbox, &[]).with(0);
    outcomes(&bench, &[("already_sent", 5), ("sent", 1)]);
    assert_eq!((mails(&sandbox), messages(&sandbox)), (2, 4));
    let congratulated = sandbox.stats().messages;
    let both: Vec<_> = sandbox
        .mails()
        .iter()
        .filter(|mail| {
            users.iter().any(|user| user.email == mail.to && congratulated.contains_key(&user.id.to_string()))
        })
        .map(|mail| mail.to.clone())
        .collect();
    assert!(both.is_empty(), "{both:?}");
    // A person may let it go, of either.
    run(&bench, &sandbox, &["--resend", "--yes", "--limit", "6"]).with(0);
    assert_eq!(sandbox.stats().mails.len(), 6);
}

#[test]
fn options_that_contradict_it_are_refused_before_anything_is_asked() {
    let users = active(2);
    let bench = desk(&users);
    let sandbox = portal(&users);
    let (origin, server) = (sandbox.origin(), sandbox.mail_server());
    bench.key_of(&sandbox);
    bench.write("machinekey", "secret");
    fs::create_dir(bench.path("full")).expect("made");
    bench.write("full/x", "");
    let to = ["--portal", &origin, "--api-key-file", "key"];
    let message = ["--message", "welcome.md"];
    let smtp = ["--smtp", &server];
    for (words, said) in [
        ([&to[..], &message].concat(), "--message needs the mail server that it goes by"),
        ([&to[..], &message, &smtp, &["--key", "x"]].concat(), "--key is for the portal's congratulation"),
        (
            [&to[..], &message, &smtp, &["--sign-with", "machinekey"]].concat(),
            "--sign-with is for the portal's congratulation",
        ),
        ([&["--sandbox"], &message[..], &smtp].concat(), "with --sandbox mails go to the sandbox's own server only"),
        ([&to[..], &smtp, &["--dry-run", "--preview", "new"]].concat(), "it needs --message FILE"),
        ([&to[..], &message, &smtp, &["--preview", "new"]].concat(), "add --dry-run"),
        ([&to[..], &message, &["--dry-run", "--preview", "full"]].concat(), "is not an empty folder"),
        ([&to[..], &message, &["--dry-run", "--preview", "new", "-o", "./new"]].concat(), "the results"),
        ([&to[..], &message, &["--dry-run", "--preview", "welcome.md"]].concat(), "the message"),
        ([&to[..], &message, &smtp, &["--message", "welcome.md"]].concat(), "welcome.md"),
        ([&to[..], &smtp, &["--message", "nowhere.md"]].concat(), "cannot read the message nowhere.md"),
    ] {
        let ended = bench.onboard(&[&["run", "users.csv"], &words[..]].concat()).with(2);
        assert!(ended.said().contains(said), "{said}: {}", ended.err);
        assert!(!bench.path("users.results.csv").exists() && !bench.path("new").exists());
    }
    let planned = [&["plan", "users.csv", "--key", "x"], &message[..]].concat();
    assert!(bench.onboard(&planned).with(2).said().contains("--key is for the portal's"));
    assert_eq!(sandbox.stats().total_requests(), 0);
    // None of it is needed where nothing is sent.
    bench.onboard(&[&["run", "users.csv", "--dry-run"], &to[..], &message].concat()).with(0);
    bench.onboard(&[&["plan", "users.csv"], &message[..]].concat()).with(0);
}

#[test]
fn what_the_settings_file_says_is_unused_where_it_contradicts() {
    let users = active(2);
    let bench = desk(&users);
    let sandbox = portal(&users);
    let server = sandbox.mail_server();
    bench.write(
        "onboard.toml",
        format!("smtp = \"{server}\"\nkey = \"another\"\nsign_with = \"nowhere\"\nsmtp_rate = \"100000/s\"\n"),
    );
    let ended = bench.onboard(&["run", "users.csv", "--sandbox", "--message", "welcome.md"]).with(0);
    assert!(ended.said().contains("the mail server of your settings is not used"), "{}", ended.err);
    assert_eq!(mails(&sandbox), 0);
    bench.run(&sandbox, &["--message", "welcome.md"]).with(0);
    assert_eq!(mails(&sandbox), 2);
    // The message may stand there, too.
    let other = desk(&users);
    other.write(
        "onboard.toml",
        format!("smtp = \"{server}\"\nmessage = \"welcome.md\"\nsmtp_rate = [\"100000/s\", \"1000/24h\"]\n"),
    );
    other.run(&sandbox, &[]).with(0);
    outcomes(&other, &[("sent", 2)]);
}

#[test]
fn templates_and_cells_are_looked_at_before_the_first_request_and_what_the_portal_tells_when_it_is_due() {
    let mut users = active(4);
    let bench = desk(&users);
    let sandbox = portal(&users);
    let refused = |text: &str, said: &str| {
        bench.write("welcome.md", text);
        let ended = run(&bench, &sandbox, &[]).with(2);
        assert!(ended.said().contains(said), "{said}: {}", ended.err);
        assert_eq!((sandbox.stats().total_requests(), mails(&sandbox)), (0, 0));
    };
    let head = "Subject: x\nFrom: it@a.example\n\n";
    refused(&format!("{head}{{{{ nmae }}}}"), "line 4: nothing is known as `nmae`");
    refused(&format!("{head}{{{{ key }}}}"), "`key`");
    refused("Subject: x\n\nHi", "From");
    bench.write("users.csv", roster(&users).replace(&format!("Team {}", users[2].first_name), " "));
    refused(&format!("{head}{{{{ team }}}}"), "row 3: the roster's column `team` is empty");
    bench.write("users.csv", roster(&users));
    let admin = users.iter().position(|user| user.role == EmployeeType::DocSpaceAdmin).expect("one");
    refused(&format!("{head}{{{{ invite_link }}}}"), &format!("row {} becomes a DocSpaceAdmin", admin + 1));

    // Without administrators the link is filled in, and that of the row's type.
    users.remove(admin);
    bench.write("users.csv", roster(&users));
    bench.write("welcome.md", format!("{head}{{{{ invite_link }}}}"));
    run(&bench, &sandbox, &[]).with(0);
    for row in bench.results() {
        let user = users.iter().find(|user| user.id.to_string() == row["user_id"]).expect("a user");
        let mail = sandbox.mails().into_iter().find(|mail| mail.to == user.email).expect("a mail");
        assert!(mail.data.contains(&row["invite_link"]), "{}", mail.data);
    }

    // A name that the portal does not have.
    let mut nameless = active(3);
    (nameless[1].first_name, nameless[1].last_name) = (String::new(), String::new());
    let bench = desk(&nameless);
    let sandbox = portal(&nameless);
    let dry = run(&bench, &sandbox, &["--dry-run"]).with(1);
    assert!(dry.said().contains("row 2: no mail can be made for this person: the name"), "{}", dry.err);
    run(&bench, &sandbox, &[]).with(1);
    outcomes(&bench, &[("failed", 1), ("sent", 2)]);
    let row = &bench.results()[1];
    assert!(row["detail"].contains("the name that the portal shows is empty"), "{}", row["detail"]);
    assert_eq!((row["attempts"].as_str(), mails(&sandbox)), ("0", 2));
}

#[test]
fn several_languages_cost_one_read_a_person_and_the_plan_says_so() {
    let users = active(24);
    let bench = desk(&users);
    let sandbox = portal(&users);
    let both = ["--message", "welcome.de.md"];
    let planned =
        bench.onboard(&["plan", "users.csv", "--message", "welcome.md", "--message", "welcome.de.md", "--json"]);
    assert_eq!(json(&planned.with(0).out)["requests"]["statuses"], serde_json::json!({"least": 24, "most": 24}));
    run(&bench, &sandbox, &both).with(0);
    let requests = sandbox.stats().requests;
    assert_eq!((requests.get("user"), requests.get("listing")), (Some(&24), None), "{requests:?}");
    let german: BTreeSet<&str> = users.iter().filter(|user| user.culture == "de-DE").map(|user| &*user.email).collect();
    assert!(!german.is_empty() && german.len() < users.len(), "the users speak different languages");
    assert_eq!(mails(&sandbox), 24);
    for mail in sandbox.mails() {
        let subject = &mail.headers["Subject"];
        assert_eq!(subject.starts_with("Willkommen"), german.contains(&*mail.to), "{subject}");
    }
}

#[test]
fn each_fault_ends_as_what_it_proves() {
    for (fault, more, status, ends, kept) in [
        ("recipient:550:#1", &[][..], 1, &[("rejected", 1), ("sent", 5)][..], 5),
        ("dot:554:#1", &[], 1, &[("rejected", 1), ("sent", 5)], 5),
        ("recipient:451:#1", &["--retries", "0"], 1, &[("failed", 1), ("sent", 5)], 5),
        ("dot:452:#1", &["--retries", "0"], 1, &[("failed", 1), ("sent", 5)], 5),
        ("data:cut:#1", &[], 0, &[("sent", 6)], 6),
        ("sender:garbage:#1", &[], 0, &[("sent", 6)], 6),
        ("dot:cut:#1", &[], 1, &[("sent", 5), ("unknown", 1)], 5),
        ("dot:cut-after:#1", &[], 1, &[("sent", 5), ("unknown", 1)], 6),
        ("dot:garbage:#1", &[], 1, &[("sent", 5), ("unknown", 1)], 6),
        ("dot:hang-after:#1", &["--timeout", "1s"], 1, &[("sent", 5), ("unknown", 1)], 6),
        // The first are told what the server said; they are not why it said it, so no more are sent.
        ("connect:554:100%", &[], 3, &[("not_attempted", 2), ("rejected", 4)], 0),
        ("sender:550:100%", &[], 3, &[("not_attempted", 2), ("rejected", 4)], 0),
        ("connect:421:100%", &["--retries", "0"], 3, &[("not_attempted", 6)], 0),
    ] {
        let users = active(6);
        let bench = desk(&users);
        let sandbox = with_faults(&users, &[fault]);
        let ended = run(&bench, &sandbox, more);
        assert_eq!(ended.status, status, "{fault}: {}", ended.err);
        let mut expected: Vec<(String, usize)> =
            ends.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect();
        expected.sort();
        let mut found: Vec<_> = bench.outcomes().into_iter().collect();
        found.sort();
        assert_eq!(found, expected, "{fault}: {}", ended.err);
        assert_eq!(mails(&sandbox), kept, "{fault}");
        // Whatever the answer was, the next run sends to nobody who may have it.
        let calm = portal(&users);
        let may_have =
            bench.outcomes().get("unknown").copied().unwrap_or(0) + bench.outcomes().get("sent").copied().unwrap_or(0);
        let formerly = ["--formerly", &sandbox.origin()];
        run(&bench, &calm, &formerly);
        assert_eq!(mails(&calm), 6 - may_have, "{fault}");
    }
}

#[test]
fn a_login_that_is_refused_and_a_server_that_is_gone_stop_the_run_at_once() {
    let users = active(3);
    let bench = desk(&users);
    let sandbox = office(&users, MailConfig { password: Some("right".to_owned()), ..MailConfig::default() });
    let server = sandbox.mail_server().replace("://", "://it@");
    let with = |password: &str, server: &str| -> Ended {
        let words = ["--message", "welcome.md", "--smtp", server, "--retries", "0"];
        let mut command = bench.run_command(&sandbox, &words);
        command.env("ONBOARD_SMTP_PASSWORD", password).output().expect("run").into()
    };
    for (server, said) in [
        (server.as_str(), "the mail server does not let its user log in"),
        ("smtp://it@127.0.0.1:1", "the mail server cannot be reached"),
    ] {
        let ended = with("wrong", server).with(3);
        assert!(ended.err.contains(&format!("--message welcome.md --smtp {server} --retries 0\n")), "{}", ended.err);
        assert!(ended.said().contains(said), "{}", ended.err);
        outcomes(&bench, &[("not_attempted", 3)]);
        assert!(bench.results().iter().all(|row| row["detail"].contains(said) && !row["invite_link"].is_empty()));
        assert_eq!(mails(&sandbox), 0);
    }
    with("right", &server).with(0);
    assert_eq!(mails(&sandbox), 3);
}

#[test]
fn greylisted_mails_are_taken_when_they_come_again() {
    let users = active(3);
    let bench = desk(&users);
    let sandbox =
        office(&users, MailConfig { greylist: Some(std::time::Duration::from_millis(1)), ..MailConfig::default() });
    let first = run(&bench, &sandbox, &["--retries", "0"]).with(1);
    assert!(first.said().contains("answered 450"), "{}", first.err);
    outcomes(&bench, &[("failed", 3)]);
    run(&bench, &sandbox, &["--retries", "0"]).with(0);
    assert_eq!(mails(&sandbox), 3);
    // A wait ends with the run, and proves nothing.
    let bench = desk(&users);
    let strict =
        office(&users, MailConfig { greylist: Some(std::time::Duration::from_secs(3600)), ..MailConfig::default() });
    run(&bench, &strict, &["--max-duration", "2s"]).with(4);
    outcomes(&bench, &[("not_attempted", 3)]);
}

#[test]
fn mails_keep_windows_of_their_own_that_the_ledger_remembers() {
    let users = active(5);
    let bench = desk(&users);
    let sandbox = portal(&users);
    let rate = ["--message", "welcome.md", "--smtp", &sandbox.mail_server(), "--smtp-rate", "3/24h"];
    let used = [&rate[..], &["--smtp-rate", "100000/s", "--daily-writes", "1", "--limit", "3"]].concat();
    bench.run(&sandbox, &used).with(4);
    assert_eq!(mails(&sandbox), 3, "no write of the portal's is used");
    let ended = bench.run(&sandbox, &[&rate[..], &["--max-duration", "2s"]].concat()).with(4);
    assert_eq!(mails(&sandbox), 3, "another run knows what was used: {}", ended.err);
    outcomes(&bench, &[("already_sent", 3), ("not_attempted", 2)]);
    // Nor do they count among the portal's writes.
    bench.run(&sandbox, &["--daily-writes", "2"]).with(0);
    assert_eq!((mails(&sandbox), messages(&sandbox)), (3, 2));
}

#[test]
fn a_dry_run_shows_each_mail_and_sends_none() {
    let mut users = active(11);
    (users[1].status, users[1].activation) = (4, 2);
    let bench = desk(&users);
    let sandbox = portal(&users);
    let origin = sandbox.origin();
    bench.key_of(&sandbox);
    let words = ["run", "users.csv", "--portal", &origin, "--api-key-file", "key", "--message", "welcome.md"];
    let ended = bench.onboard(&[&words[..], &["--dry-run", "--preview", "mails"]].concat()).with(0);
    assert!(ended.said().contains("A run would send 10 congratulations now"), "{}", ended.err);
    let mut names: Vec<String> = fs::read_dir(bench.path("mails"))
        .expect("listed")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names.len(), 10);
    assert_eq!((names[0].as_str(), names[1].as_str()), ("01.eml", "03.eml"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name: &str| fs::metadata(bench.path(name)).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode("mails"), mode("mails/01.eml")), (0o700, 0o600));
    }
    let mail = bench.read("mails/03.eml");
    assert!(
        mail.contains(&format!("To: {}", users[2].email)) && mail.contains("Auto-Submitted: auto-generated"),
        "{mail}"
    );
    assert_eq!((mails(&sandbox), messages(&sandbox)), (0, 0));
    // What is shown is what is sent, but for its time and number.
    run(&bench, &sandbox, &[]).with(0);
    let sent = sandbox.mails().into_iter().find(|mail| mail.to == users[2].email).expect("a mail");
    let body = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with("Date:") && !line.starts_with("Message-ID:"));
        lines.filter(|line| !line.contains("=_")).map(str::to_owned).collect()
    };
    assert_eq!(body(&mail), body(&sent.data));
}

#[test]
fn on_the_sandbox_it_needs_no_server_at_all() {
    let users = active(8);
    let bench = desk(&users);
    let ended = bench.onboard(&["run", "users.csv", "--sandbox", "--message", "welcome.md"]).with(0);
    assert!(ended.said().contains("the mail server accepted it"), "{}", ended.err);
    let outcomes = bench.outcomes();
    assert!(outcomes["sent"] > 0 && outcomes.keys().all(|word| word == "sent" || word == "not_active"), "{outcomes:?}");
}

#[test]
fn a_plan_binds_to_the_text_and_to_what_is_filled_in() {
    let users = active(4);
    let bench = desk(&users);
    let text = WELCOME.replace("see", "of {{ team }}, see");
    bench.write("welcome.md", &text);
    let sandbox = portal(&users);
    let (origin, server) = (sandbox.origin(), sandbox.mail_server());
    bench.key_of(&sandbox);
    let plan = [
        "plan",
        "users.csv",
        "-o",
        "plan.json",
        "--portal",
        &origin,
        "--api-key-file",
        "key",
        "--message",
        "welcome.md",
    ];
    bench.onboard(&plan).with(0);
    let shown = bench.onboard(&["plan", "--show", "plan.json"]).with(0).out;
    assert!(shown.contains("a message of one's own by the mail server"), "{shown}");
    let refused = |words: &[&str], said: &str| {
        let ended = bench.run(&sandbox, &[&["--plan", "plan.json"], words].concat()).with(2);
        assert!(ended.said().contains(said), "{said}: {}", ended.err);
        assert_eq!((mails(&sandbox), messages(&sandbox)), (0, 0));
    };
    let own = ["--message", "welcome.md", "--smtp", &server];
    refused(&[], "the message is carried by the portal, and was to be by the mail server");
    bench.write("welcome.md", text.replace("Hello", "Hallo"));
    refused(&own, "the text of the message (--message), or who sends it, is another one");
    bench.write("welcome.md", text.replace("it@a.example", "boss@a.example"));
    refused(&own, "the text of the message (--message), or who sends it, is another one");
    bench.write("welcome.md", &text);
    refused(&[&own[..], &["--message", "welcome.de.md"]].concat(), "the text of the message (--message)");
    let cells = bench.read("users.csv");
    bench.write("users.csv", cells.replacen("Team ", "Crew ", 1));
    refused(&own, "other words for the message");
    // A column that is not filled in matters as little as ever, and so does where the others stand.
    bench.write("users.csv", cells.replace(",Team", ",Room,Team").replacen(",team", ",room,team", 1));
    run(&bench, &sandbox, &["--plan", "plan.json", "--dry-run"]).with(0);
    bench.write("users.csv", &cells);
    run(&bench, &sandbox, &["--plan", "plan.json", "--limit", "2"]).with(2);
    run(&bench, &sandbox, &["--plan", "plan.json"]).with(0);
    assert_eq!((mails(&sandbox), messages(&sandbox)), (4, 0));
    // What it has sent is no difference.
    run(&bench, &sandbox, &["--plan", "plan.json"]).with(0);
    assert_eq!(mails(&sandbox), 4);
}

#[test]
fn what_may_have_been_sent_is_a_persons_to_settle() {
    let users = active(2);
    let bench = desk(&users);
    let sandbox = with_faults(&users, &["dot:cut:#1"]);
    run(&bench, &sandbox, &[]).with(1);
    outcomes(&bench, &[("sent", 1), ("unknown", 1)]);
    let row = bench.results().into_iter().find(|row| row["congratulation"] == "unknown").expect("one");
    assert!(row["detail"].contains("the mail server's log"), "{}", row["detail"]);
    run(&bench, &sandbox, &[]).with(1);
    assert_eq!(mails(&sandbox), 1);
    bench.onboard(&["settle", &row["user_id"], "--as", "not-sent"]).with(0);
    run(&bench, &sandbox, &[]).with(0);
    assert_eq!(mails(&sandbox), 2);
}

#[cfg(unix)]
#[test]
fn a_ledger_elsewhere_holds_those_who_had_a_mail() {
    let users = active(4);
    let bench = desk(&users);
    let sandbox = with_faults(&users, &["dot:cut-after:#2"]);
    bench.onboard(&["ledger", "init", "--ledger", "file://log"]).with(0);
    let ledger = ["--ledger", "file://log"];
    run(&bench, &sandbox, &ledger).with(1);
    outcomes(&bench, &[("sent", 3), ("unknown", 1)]);
    run(&bench, &sandbox, &ledger).with(1);
    bench.run(&sandbox, &ledger).with(1);
    outcomes(&bench, &[("already_sent", 3), ("unknown", 1)]);
    assert_eq!((mails(&sandbox), messages(&sandbox)), (4, 0));
}

#[cfg(unix)]
#[test]
fn the_question_names_the_mail_server_and_the_link() {
    use std::process::Stdio;

    let users: Vec<User> = active(3).into_iter().map(|user| User { role: EmployeeType::User, ..user }).collect();
    let bench = desk(&users);
    let sandbox = portal(&users);
    let server = sandbox.mail_server();
    let words = ["--message", "welcome.md", "--smtp", &server];
    for (text, told) in [
        (WELCOME.to_owned(), "To see it first: the same command with --dry-run"),
        (WELCOME.replace("{{ portal }}", "{{ invite_link }}"), "holds the invitation link"),
    ] {
        bench.write("welcome.md", text);
        let mut command = bench.run_command(&sandbox, &words);
        command.env("TERM", "xterm-256color").stdin(Stdio::inherit());
        let mut session = rexpect::session::spawn_command(command, Some(20_000)).expect("a terminal");
        session
            .exp_string(&format!("The mail is your own (welcome.md, by the mail server {server}), to 3 User"))
            .expect("the mail");
        session.exp_string(told).expect(told);
        session.exp_string("Go on? [y/N]").expect("the question");
        session.send_line("n").expect("answered");
        session.exp_string("nothing was sent").expect("told");
    }
    assert_eq!(sandbox.stats().total_requests(), 0);
}
