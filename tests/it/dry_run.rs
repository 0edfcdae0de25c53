//! `--dry-run`: everything is read and told as a run does, and nothing is sent.

use std::{collections::BTreeMap, io::Write, process::Stdio};

use onboard::sandbox::{Sandbox, User};
use serde_json::Value;

use crate::bench::{Bench, Ended, Row, active, config, messages, portal, rows_of, stranger};

const DRY: &str = "users.dry-run.csv";

/// Rows of a results file by outcome and detail.
fn told(bench: &Bench, name: &str) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for row in rows_of(&bench.path(name)) {
        *counts.entry((row["congratulation"].clone(), row["detail"].clone())).or_default() += 1;
    }
    counts
}

fn one(outcome: &str, detail: &str, rows: usize) -> ((String, String), usize) {
    ((outcome.to_owned(), detail.to_owned()), rows)
}

/// Twelve who joined, three who have not, and one whom the portal does not know.
fn mixed(bench: &Bench) -> Sandbox {
    let users: Vec<User> = (0..15).map(|number| User::made_up(number, if number < 12 { 1.0 } else { 0.0 })).collect();
    bench.roster(&[&users[..], &[stranger()]].concat());
    Sandbox::start(config(&users)).expect("a portal")
}

fn history(bench: &Bench, more: &[&str]) -> Value {
    let args = [&["history", "--format", "json"], more].concat();
    serde_json::from_str(&bench.onboard(&args).with(0).out).expect("JSON")
}

#[test]
fn all_is_read_and_told_as_by_a_run_and_nothing_is_sent() {
    let bench = Bench::new();
    let portal = mixed(&bench);
    let more =
        ["--dry-run", "--summary-json", "s.json", "--events", "e.jsonl", "--report", "r.html", "--junit", "j.xml"];
    let dry = bench.run(&portal, &more).with(1);
    assert!(portal.stats().messages.is_empty());
    assert!(!bench.path("users.results.csv").exists(), "that of a run says more");
    let rows = rows_of(&bench.path(DRY));
    assert!(rows.iter().all(|row| row["invite_link"].contains("/s/") && row["attempts"] == "0"), "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row["active"] == "true").count(), 12);
    let mut outcomes = told(&bench, DRY);
    assert_eq!(outcomes.remove(&("not_attempted".to_owned(), "would be sent".to_owned())), Some(12));
    assert!(outcomes.keys().all(|(outcome, _)| outcome == "not_active" || outcome == "failed"), "{outcomes:?}");
    assert!(
        dry.said().contains("A dry run: nothing was sent. A run would send 12 congratulations now."),
        "{}",
        dry.err
    );
    assert!(dry.said().contains("not_attempted 12 would be sent"), "{}", dry.err);
    let origin = portal.origin();
    let go_on = format!("go on onboard run users.csv --portal {origin} --api-key-file key --summary-json s.json");
    assert!(dry.said().contains(&go_on) && !dry.err.contains("--dry-run"), "{}", dry.err);
    let summary: Value = serde_json::from_str(&bench.read("s.json")).expect("JSON");
    assert_eq!((&summary["would_send"], &summary["outcomes"]["not_attempted"]), (&12.into(), &12.into()));
    assert_eq!((&summary["exit_status"], &summary["stopped"]), (&1.into(), &Value::Null));
    let events = bench.read("e.jsonl");
    assert_eq!(events.matches("\"code\":\"dry_run\"").count(), 12, "{events}");
    assert!(
        bench.read("r.html").contains("would be sent, or was not reached")
            && bench.read("j.xml").contains("12 rows not_attempted")
    );
    let explained = bench.onboard(&["explain", "dry_run"]).with(0).out;
    assert!(explained.contains("without --dry-run"), "{explained}");

    // What it foresaw is what a run does; and its results are a roster.
    bench.key_of(&portal);
    let run = ["run", DRY, "--portal", &origin, "--api-key-file", "key"];
    bench.onboard(&run).with(1);
    assert_eq!(messages(&portal), 12);
    let sent = |row: &&Row| row["congratulation"] == "sent";
    assert_eq!(rows_of(&bench.path(DRY)).iter().filter(sent).count(), 12);
}

#[test]
fn nothing_wrong_is_exit_status_0_and_what_is_due_can_be_made_a_failure() {
    let bench = Bench::new();
    let users = active(5);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &["--dry-run"]).with(0);
    bench.run(&portal, &["--dry-run", "--fail-on", "not_attempted"]).with(1);
    // Whoever is not active is not waited for, and nobody has to agree to anything.
    bench.run(&portal, &["--dry-run", "--wait", "1h", "--resend"]).with(0);
    let refused = bench.run(&portal, &["--dry-run", "--at-most", "4"]).with(2);
    assert!(refused.said().contains("--at-most"), "{}", refused.err);
    bench.write("onboard.toml", "dry-run = true\n");
    bench.run(&portal, &[]).with(2);
    assert!(portal.stats().messages.is_empty());
}

#[test]
fn the_limits_of_a_run_are_those_of_a_dry_one() {
    let bench = Bench::new();
    let users = active(9);
    bench.roster(&users);
    let portal = portal(&users);
    for (limit, detail) in
        [("--limit", "'--limit was reached"), ("--daily-writes", "the daily write limit was reached")]
    {
        let dry = bench.run(&portal, &["--dry-run", limit, "4"]).with(4);
        assert_eq!(
            told(&bench, DRY),
            [one("not_attempted", "would be sent", 4), one("not_attempted", detail, 5)].into(),
            "{limit}"
        );
        assert!(dry.said().contains("4 would be sent; the others were not reached"), "{}", dry.err);
        assert!(dry.said().contains("A run would send 4 congratulations now."), "{}", dry.err);
    }
    bench.run(&portal, &["--limit", "4"]).with(4);
    let dry = bench.run(&portal, &["--dry-run"]).with(0);
    assert!(dry.said().contains("A run would send 5 congratulations now."), "{}", dry.err);
    assert_eq!(messages(&portal), 4);
}

#[test]
fn it_is_no_run_and_leaves_nothing_but_the_requests_that_it_used() {
    let bench = Bench::new();
    let users = active(6);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &["--ledger", "l.db", "--dry-run"]).with(0);
    let book = rusqlite::Connection::open(bench.path("l.db")).expect("a ledger");
    let count = |what: &str| book.query_row(what, [], |row| row.get::<_, i64>(0)).expect("a count");
    assert_eq!(count("SELECT count(*) FROM attempt"), 0);
    assert!(count("SELECT sum(upto) FROM window_use") > 0, "the next run knows what was used of the window");
    drop(book);
    assert_eq!(history(&bench, &["--ledger", "l.db"]), serde_json::json!([]));
    let shown = bench.onboard(&["ledger", "show", "--ledger", "l.db"]).with(0).out;
    assert!(shown.split_whitespace().collect::<Vec<_>>().join(" ").contains("runs 0"), "{shown}");
    bench.onboard(&["ledger", "verify", "--ledger", "l.db"]).with(0);
    for args in [&["--ledger", "l.db", "--require-ledger"][..], &["--ledger", "l.db", "--require-ledger", "--dry-run"]]
    {
        let refused = bench.run(&portal, args).with(2);
        assert!(refused.said().contains("has no run on record"), "{}", refused.err);
    }
    bench.run(&portal, &["--ledger", "l.db"]).with(0);
    bench.run(&portal, &["--ledger", "l.db", "--require-ledger", "--dry-run"]).with(0);
    assert_eq!(history(&bench, &["--ledger", "l.db"]).as_array().map(Vec::len), Some(1));
    assert_eq!(messages(&portal), 6);
}

/// An intent of a run that died is unknown, and it is the next run's to say so in the record.
#[test]
fn what_a_dead_run_left_is_told_and_left_as_it_is() {
    let bench = Bench::new();
    let users = active(4);
    bench.roster(&users);
    let hanging = crate::bench::faulty(&users, &["congratulation:stall-after:#2"]);
    let mut run = bench.run_command(&hanging, &["--ledger", "l.db", "--max-writes", "1"]);
    let mut run = run.stderr(Stdio::null()).spawn().expect("started");
    while hanging.stats().messages.is_empty() {
        std::thread::yield_now();
    }
    let intents = || {
        let book = rusqlite::Connection::open(bench.path("l.db")).expect("a ledger");
        let count = "SELECT count(*) FROM attempt WHERE state = 'intent'";
        book.query_row(count, [], |row| row.get::<_, i64>(0)).expect("a count")
    };
    while intents() == 0 {
        std::thread::yield_now();
    }
    run.kill().expect("killed");
    run.wait().expect("ended");
    let left = intents();
    assert!(left > 0);
    bench.run(&hanging, &["--ledger", "l.db", "--dry-run"]).with(1);
    assert_eq!(intents(), left, "nothing was recorded");
    let unknown = |row: &&Row| row["congratulation"] == "unknown";
    let rows = rows_of(&bench.path(DRY));
    assert_eq!(i64::try_from(rows.iter().filter(unknown).count()), Ok(left), "{rows:?}");
}

#[cfg(unix)]
#[test]
fn on_a_ledger_elsewhere_it_is_a_session_and_no_run() {
    let bench = Bench::new();
    let users = active(6);
    bench.roster(&users);
    let portal = portal(&users);
    let place = format!("file://{}", bench.path("log").display());
    bench.onboard(&["ledger", "init", "--ledger", &place]).with(0);
    bench.run(&portal, &["--ledger", &place, "--dry-run"]).with(0);
    assert_eq!(history(&bench, &["--ledger", &place]), serde_json::json!([]));
    let mut lines = String::new();
    for number in 1.. {
        let object = bench.path(&format!("log/log/{number:020}.jsonl"));
        let Ok(text) = std::fs::read_to_string(object) else { break };
        lines.push_str(&text);
    }
    assert!(lines.contains("\"command\":\"dry-run\"") && !lines.contains("\"intent\""), "{lines}");
    assert!(lines.contains("\"reserved\"") && lines.contains("\"ended\""), "{lines}");
    bench.onboard(&["ledger", "verify", "--ledger", &place]).with(0);
    // Nobody has to be waited for, and nothing was used up.
    bench.run(&portal, &["--ledger", &place]).with(0);
    assert_eq!(messages(&portal), 6);
    assert_eq!(history(&bench, &["--ledger", &place]).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_results_file_and_standard_input_have_results_of_their_own() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &["--limit", "2"]).with(4);
    let before = bench.read("users.results.csv");
    let origin = portal.origin();
    let to = ["--portal", &origin, "--api-key-file", "key", "--dry-run"];
    bench.onboard(&[&["run", "users.results.csv"], &to[..]].concat()).with(0);
    assert_eq!(bench.read("users.results.csv"), before);
    let outcomes: Vec<String> = rows_of(&bench.path(DRY)).iter().map(|row| row["congratulation"].clone()).collect();
    assert_eq!(outcomes, ["already_sent", "already_sent", "not_attempted"]);
    let mut child = bench
        .command(&[&["run", "-"], &to[..]].concat())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    child.stdin.take().expect("piped").write_all(bench.read("users.csv").as_bytes()).expect("written");
    Ended::from(child.wait_with_output().expect("ended")).with(0);
    assert!(bench.path("onboard.dry-run.csv").exists());
    let sandbox = bench.onboard(&["run", "users.csv", "--sandbox", "--dry-run"]).with(0);
    assert!(sandbox.said().contains("A dry run") && !sandbox.err.contains("go on"), "{}", sandbox.err);
    assert_eq!(messages(&portal), 2);
}

#[test]
fn invitations_are_foreseen_too() {
    let bench = Bench::new();
    let pending = User::made_up(1, 0.0);
    bench.write("people.csv", format!("email,employee_type\nnew@example.com,User\n{},User\n", pending.email));
    let portal = portal(&[pending]);
    bench.key_of(&portal);
    let origin = portal.origin();
    let invite = |more: &[&str]| {
        let to = ["invite", "people.csv", "--portal", &origin, "--api-key-file", "key", "--ledger", "l.db"];
        bench.onboard(&[&to, more].concat())
    };
    let fates = || -> Vec<(String, String)> {
        let rows = rows_of(&bench.path("people.dry-run.csv"));
        rows.iter().map(|row| (row["invitation"].clone(), row["invitation_detail"].clone())).collect()
    };
    let dry = invite(&["--dry-run"]).with(0);
    assert_eq!(fates()[0], ("not_attempted".to_owned(), "would be sent".to_owned()));
    assert_eq!(fates()[1].0, "already_invited");
    assert!(dry.said().contains("A run would send 1 invitation now."), "{}", dry.err);
    let again = invite(&["--dry-run", "--resend"]).with(0);
    assert!(again.said().contains("A run would send 2 invitations now."), "{}", again.err);
    assert!(again.said().contains("--ledger l.db --resend"), "the same command goes on: {}", again.err);
    assert!(portal.stats().invitations.is_empty());
    assert_eq!(history(&bench, &["--ledger", "l.db"]), serde_json::json!([]));
    invite(&[]).with(0);
    assert_eq!(portal.stats().invitations.into_iter().collect::<Vec<_>>(), [("new@example.com".to_owned(), 1)]);
}
