//! A ledger that outlives the machine, end to end, in a folder: the home is deleted between two runs, and nobody gets two
//! messages; and a log that is not what it was is refused before anything is sent.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
};

use onboard::{
    ledger::{Ledger, Local, SessionStart, Times, places},
    place::Place,
    sandbox::Sandbox,
};

use crate::bench::{Bench, Ended, active, faulty, messages, portal};

/// A run on a ledger elsewhere whose holder was killed waits for a minute. Here somebody took over meanwhile, with the
/// code and the entries of any waiter, but shorter times, and ended.
pub(crate) fn somebody_takes_over(folder: &Path) {
    let environment = onboard::environment::Environment::of_process();
    let store = places::store(&Place::Folder(folder.to_owned()), &environment, "a test").expect("a store");
    let here = tempfile::tempdir().expect("a folder");
    let local = Local { cache: here.path().join("cache"), seen: here.path().join("seen"), apart: String::new() };
    let short = std::time::Duration::from_millis(5);
    let times = Times { look: short, takeover: short, ..Times::SHIPPED };
    let mut ledger = Ledger::open_elsewhere(store, &local, times, |_| {}).expect("a ledger");
    let start = SessionStart::Other {
        id: uuid::Uuid::now_v7(),
        who: "ben@another-machine".to_owned(),
        command: "settle".to_owned(),
    };
    ledger.begin_session(&start, None, std::time::Duration::from_secs(10), |_| {}).expect("taken over");
    ledger.end_session(0).expect("ended");
}

/// A session of another machine that begins, and does not end.
fn leave_open(folder: &Path) {
    let environment = onboard::environment::Environment::of_process();
    let store = places::store(&Place::Folder(folder.to_owned()), &environment, "a test").expect("a store");
    let here = tempfile::tempdir().expect("a folder");
    let local = Local { cache: here.path().join("cache"), seen: here.path().join("seen"), apart: String::new() };
    let mut ledger = Ledger::open_elsewhere(store, &local, Times::SHIPPED, |_| {}).expect("a ledger");
    places::begin(&mut ledger, "ben@another-machine", "settle", std::time::Duration::ZERO, |_| {}).expect("begun");
}

/// What a machine loses with its disk.
pub(crate) fn forget(home: &Path) {
    for folder in [".cache", ".local", "Library"] {
        match fs::remove_dir_all(home.join(folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{folder}: {error}"),
            _ => {}
        }
    }
}

fn place(bench: &Bench, name: &str) -> String {
    format!("file://{}", bench.path(name).display())
}

fn init(bench: &Bench, name: &str) -> String {
    let place = place(bench, name);
    bench.onboard(&["ledger", "init", "--ledger", &place]).with(0);
    place
}

/// The objects of a log, in their order.
fn objects(bench: &Bench, name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(bench.path(name).join("log")).expect("a log");
    let mut objects: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    objects.sort();
    objects
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copied(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("copied");
        }
    }
}

/// The value of a line that `ledger show` or `ledger verify` printed.
fn line(ended: &Ended, name: &str) -> String {
    let line = ended.out.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {}", ended.out)).trim().to_owned()
}

/// A run that is killed after one message at least, while another's answer does not come.
fn killed(bench: &Bench, portal: &Sandbox, ledger: &str) {
    let mut run = bench.run_command(portal, &["--ledger", ledger]).stderr(Stdio::null()).spawn().expect("started");
    while portal.stats().messages.is_empty() {
        assert!(run.try_wait().expect("waited").is_none(), "it was to hang");
        std::thread::yield_now();
    }
    run.kill().expect("killed");
    run.wait().expect("ended");
}

#[test]
fn without_a_log_nothing_is_sent_and_a_place_that_is_none_is_told() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = portal(&users);
    let nowhere = place(&bench, "log");
    let ended = bench.run(&portal, &["--ledger", &nowhere]).with(2);
    assert!(ended.said().contains("made once, by `onboard ledger init --ledger file://"), "{}", ended.err);
    assert!(!bench.path("log").exists(), "a run makes no log");
    for wrong in ["s4://bucket/onboard", "s3:/bucket/onboard", "s3://", "postgres://host"] {
        let ended = bench.run(&portal, &["--ledger", wrong]).with(2);
        assert!(ended.said().contains("ledger"), "{}", ended.err);
        bench.onboard(&["ledger", "init", "--ledger", wrong]).with(2);
    }
    let ended = bench.run(&portal, &["--ledger", "s4://bucket/onboard"]).with(2);
    assert!(
        ended.said().contains("`s4://` is no place for a ledger") && !ended.err.contains("redacted"),
        "{}",
        ended.err
    );
    let names: Vec<_> =
        fs::read_dir(bench.path("")).expect("listed").map(|entry| entry.expect("one").file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains(':')), "no folder is called so: {names:?}");
    // A file is made by its first run.
    let ended = bench.onboard(&["ledger", "init", "--ledger", "ledger.db"]).with(2);
    assert!(ended.said().contains("made by its first run"), "{}", ended.err);
    assert_eq!(portal.stats().total_requests(), 0);
}

#[test]
fn the_home_is_deleted_between_two_runs_and_nobody_gets_two_messages() {
    let bench = Bench::new();
    let users = active(20);
    bench.roster(&users[..12]);
    let portal = portal(&users);
    let ledger = init(&bench, "log");
    // Made once, and never over another.
    let again = bench.onboard(&["ledger", "init", "--ledger", &ledger]).with(2);
    assert!(again.said().contains("already; nothing was changed"), "{}", again.err);
    bench.run(&portal, &["--ledger", &ledger]).with(0);
    assert_eq!(messages(&portal), 12);
    forget(&bench.path(""));
    bench.roster(&users);
    bench.run(&portal, &["--ledger", &ledger]).with(0);
    let outcomes = bench.outcomes();
    assert_eq!((outcomes["sent"], outcomes["already_sent"], messages(&portal)), (8, 12, 20), "{outcomes:?}");
    let shown = bench.onboard(&["ledger", "show", "--ledger", &ledger]).with(0);
    assert_eq!((line(&shown, "runs"), line(&shown, "portal")), ("2".to_owned(), portal.origin()));
    assert_eq!(
        (line(&shown, "accepted"), line(&shown, "open")),
        ("20 messages".to_owned(), "nobody writes it".to_owned())
    );
    assert_eq!(line(&shown, "objects"), objects(&bench, "log").len().to_string());
    let history = bench.onboard(&["history", "--ledger", &ledger, "--format", "json"]).with(0);
    let runs: serde_json::Value = serde_json::from_str(&history.out).expect("JSON");
    assert_eq!(runs.as_array().map(Vec::len), Some(2), "{}", history.out);
}

#[test]
fn a_run_that_is_killed_is_taken_over_and_a_person_settles_what_nobody_knows() {
    let bench = Bench::new();
    let users = active(20);
    bench.roster(&users);
    let portal = faulty(&users, &["congratulation:stall-after:#3"]);
    let ledger = init(&bench, "log");
    killed(&bench, &portal, &ledger);
    let had = messages(&portal);
    forget(&bench.path(""));
    // Whoever was killed may be asleep only: for a minute nobody else writes, and it is told who that is.
    let ended = bench.run(&portal, &["--ledger", &ledger, "--lock-timeout", "1s"]).with(5);
    assert!(ended.said().contains("waiting for another run on the same ledger: anna@"), "{}", ended.err);
    assert!(
        ended.said().contains("is not taken over in less than") && ended.said().contains("(--lock-timeout)"),
        "{}",
        ended.err
    );
    bench
        .onboard(&["settle", &users[0].id.to_string(), "--as", "sent", "--ledger", &ledger, "--lock-timeout", "1s"])
        .with(5);
    assert_eq!(messages(&portal), had);
    // Whoever only looks waits for nobody.
    let shown = bench.onboard(&["ledger", "show", "--ledger", &ledger]).with(0);
    assert!(line(&shown, "open").starts_with("anna@"), "{}", shown.out);
    somebody_takes_over(&bench.path("log"));
    bench.run(&portal, &["--ledger", &ledger]).with(1);
    let outcomes = bench.outcomes();
    let unknown = outcomes["unknown"];
    assert!((1..=15).contains(&unknown), "{outcomes:?}");
    assert!(messages(&portal) + unknown >= 20);
    let all: usize = ["sent", "already_sent", "unknown"].iter().filter_map(|outcome| outcomes.get(*outcome)).sum();
    assert_eq!(all, 20, "{outcomes:?}");
    let open: Vec<String> = bench
        .results()
        .iter()
        .filter(|row| row["congratulation"] == "unknown")
        .map(|row| row["user_id"].clone())
        .collect();
    forget(&bench.path(""));
    // What the portal has a message of was sent.
    let got = portal.stats().messages;
    for (decision, was_sent) in [("sent", true), ("not-sent", false)] {
        let users: Vec<&str> =
            open.iter().filter(|user| got.contains_key(*user) == was_sent).map(String::as_str).collect();
        if !users.is_empty() {
            let args = [&["settle", "--as", decision, "--ledger", &ledger], users.as_slice()].concat();
            bench.onboard(&args).with(0);
        }
    }
    forget(&bench.path(""));
    bench.run(&portal, &["--ledger", &ledger]).with(0);
    assert_eq!(messages(&portal), 20);
    let shown = bench.onboard(&["ledger", "show", "--ledger", &ledger]).with(0);
    assert_eq!(
        (line(&shown, "undecided"), line(&shown, "open")),
        ("no messages".to_owned(), "nobody writes it".to_owned())
    );
}

#[test]
fn of_two_runs_at_once_on_two_machines_one_waits_and_nobody_gets_two_messages() {
    let bench = Bench::new();
    let users = active(40);
    bench.roster(&users);
    let portal = portal(&users);
    let ledger = init(&bench, "log");
    let start = |home: &str| {
        fs::create_dir(bench.path(home)).expect("made");
        let output = format!("{home}.csv");
        let mut command = bench.run_command(&portal, &["--ledger", &ledger, "-o", &output]);
        command.env("HOME", bench.path(home)).stderr(Stdio::piped()).spawn().expect("started")
    };
    let (one, two) = (start("one"), start("two"));
    for run in [one, two] {
        let output = run.wait_with_output().expect("ended");
        let err = String::from_utf8_lossy(&output.stderr);
        // One that planned before the other began has nothing left to send; that is no more than was agreed to.
        assert_eq!(output.status.code(), Some(0), "{err}");
    }
    assert_eq!(messages(&portal), 40);
}

#[test]
fn each_portal_has_a_ledger_of_its_own_and_history_tells_of_all() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let (one, two) = (portal(&users), portal(&users));
    let ledger = place(&bench, "all/{portal}");
    let init = |portal: &Sandbox, more: &[&str]| {
        let args = ["ledger", "init", "--ledger", &ledger, "--portal", &portal.origin()];
        bench.onboard(&[&args, more].concat())
    };
    let ended = bench.onboard(&["ledger", "init", "--ledger", &ledger]).with(2);
    assert!(ended.said().contains("no portal is known here"), "{}", ended.err);
    init(&one, &[]).with(0);
    // A portal that was renamed must not look like a new one.
    let ended = init(&two, &[]).with(2);
    assert!(ended.said().contains("--other-portal") && ended.said().contains("/all/127.0.0.1-"), "{}", ended.err);
    bench.run(&two, &["--ledger", &ledger]).with(2);
    init(&two, &["--other-portal"]).with(0);
    bench.run(&one, &["--ledger", &ledger]).with(0);
    bench.run(&two, &["--ledger", &ledger]).with(0);
    assert_eq!((messages(&one), messages(&two)), (3, 3));
    let all = place(&bench, "all/*");
    let told = bench.onboard(&["history", "--ledger", &all, "--format", "json"]).with(0);
    let ledgers: serde_json::Value = serde_json::from_str(&told.out).expect("JSON");
    let mut portals: Vec<_> = ledgers.as_array().expect("a list").iter().map(|one| one["portal"].clone()).collect();
    let mut expected = [one.origin(), two.origin()].map(serde_json::Value::from);
    portals.sort_by_key(ToString::to_string);
    expected.sort_by_key(ToString::to_string);
    assert_eq!(portals, expected, "{}", told.out);
    assert!(
        ledgers.as_array().expect("a list").iter().all(|one| one["sent"] == 3 && one["open"].is_null()),
        "{}",
        told.out
    );
    // All of them are none to write.
    bench.run(&one, &["--ledger", &all]).with(2);
}

/// Limits hold across processes: what counts a portal's requests is its ledger, so whoever uses that one waits, with
/// whatever key; and another portal has another ledger, and nothing to wait for.
#[test]
fn runs_on_one_ledger_take_turns_with_whatever_account_and_other_portals_do_not_wait() {
    let bench = Bench::new();
    let users = active(20);
    bench.roster(&users);
    for ledger in [place(&bench, "all/{portal}"), format!("{}/{{portal}}.db", bench.path("").display())] {
        // Its third message gets no answer, so the run goes on for as long as this test wants.
        let (busy, other) = (faulty(&users, &["congratulation:stall-after:#3"]), portal(&users));
        bench.write("token", busy.token());
        for portal in [&busy, &other] {
            let args = ["ledger", "init", "--ledger", &ledger, "--portal", &portal.origin(), "--other-portal"];
            bench.onboard(&args).with(if ledger.starts_with("file:") { 0 } else { 2 });
        }
        let mut first =
            bench.run_command(&busy, &["--ledger", &ledger, "--yes", "-o", "first.csv"]).spawn().expect("it starts");
        while messages(&busy) == 0 {
            assert!(first.try_wait().expect("asked").is_none(), "it goes on");
            std::thread::yield_now();
        }
        let token = bench.path("token");
        let token = token.to_string_lossy();
        // The same account by another key, or another: the ledger does not ask.
        let with_token = ["--ledger", &ledger, "--api-key-file", &token, "--lock-timeout", "1s", "-o", "second.csv"];
        let second =
            bench.command(&[&["run", "users.csv", "--portal", &busy.origin()], with_token.as_slice()].concat());
        let ended = Ended::from({ second }.output().expect("it runs")).with(5);
        assert!(ended.said().contains("waiting for another run on the same ledger"), "{}", ended.err);
        let ended = bench.run(&other, &["--ledger", &ledger, "--lock-timeout", "1s", "-o", "other.csv"]).with(0);
        assert!(!ended.said().contains("waiting"), "{}", ended.err);
        first.kill().expect("killed");
        first.wait().expect("ended");
    }
}

#[test]
fn one_view_tells_of_every_portal_and_a_ledger_that_cannot_be_read_hides_no_other() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let good = portal(&users);
    bench.key_of(&good);
    for name in ["all/good", "all/never", "all/open", "all/moved"] {
        init(&bench, name);
    }
    bench.run(&good, &["--ledger", &place(&bench, "all/good")]).with(0);
    let (from, to) = (place(&bench, "all/moved"), place(&bench, "elsewhere"));
    bench.onboard(&["ledger", "move", &from, &to]).with(0);
    leave_open(&bench.path("all/open"));
    let all = place(&bench, "all/*");
    let look = |more: &[&str], haste: Option<&str>, status: i32| -> (Vec<serde_json::Value>, String) {
        let told = |format: &[&str]| {
            let mut command = bench.command(&[&["history", "--ledger", &all], format, more].concat());
            let output = command.envs(haste.map(|haste| ("ONBOARD_TEST_LEDGER_HASTE", haste))).output().expect("run");
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert_eq!(output.status.code(), Some(status), "{out}{err}");
            out.into_owned()
        };
        (serde_json::from_str(&told(&["--json"])).expect("JSON"), told(&[]))
    };
    let names = |ledgers: &[serde_json::Value]| -> Vec<String> {
        let last = |one: &serde_json::Value| {
            one["ledger"].as_str().and_then(|name| name.rsplit('/').next()).map(str::to_owned)
        };
        ledgers.iter().filter_map(last).collect()
    };
    let (ledgers, text) = look(&[], None, 0);
    assert_eq!(
        names(&ledgers),
        ["never", "good", "open", "moved"],
        "what needs a person, what is well, what is unused"
    );
    let (never, one, open, moved) = (&ledgers[0], &ledgers[1], &ledgers[2], &ledgers[3]);
    assert!(never["needs"] == "no_good_run" && [one, open, moved].iter().all(|well| well["needs"].is_null()), "{text}");
    assert_eq!((&one["portal"], &one["exit_status"], &one["sent"]), (&good.origin().into(), &0.into(), &3.into()));
    assert_eq!((&one["outcomes"]["sent"], &one["last_good_run"]), (&3.into(), &one["ended_at"]));
    assert!(one["age_seconds"].is_u64() && one["open"].is_null() && one["fault"].is_null(), "{one}");
    assert!(moved["standing"].as_str().is_some_and(|standing| standing.contains("has moved to")), "{moved}");
    assert!(
        never["started_at"].is_null() && never["last_good_run"].is_null() && never["standing"].is_null(),
        "{never}"
    );
    assert_eq!(open["open_is_alive"], true, "{open}");
    assert!(open["open"].as_str().is_some_and(|open| open.contains("ben@another-machine (settle)")), "{open}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = flat(&text);
    for words in [" 0 3 sent ", " - ben@another-machine (settle)", " last run none yet ", "has moved to"] {
        assert!(told.contains(words), "{words}: {text}");
    }
    let counts = "4 ledgers; 2 without any good run; 1 in use; 1 that no run uses; no messages undecided";
    assert!(told.ends_with(counts), "{text}");
    // After the time in which nothing is heard of it, it is gone; here that is a thousandth of a millisecond.
    let (ledgers, text) = look(&[], Some("60000000"), 0);
    assert_eq!(names(&ledgers), ["open", "never", "good", "moved"], "{text}");
    assert_eq!((&ledgers[0]["open_is_alive"], &ledgers[0]["needs"]), (&false.into(), &"gone".into()), "{text}");
    assert!(flat(&text).contains("gone, last heard of") && flat(&text).contains("1 whose run is gone"), "{text}");
    // Who has had no good run: neither one that moved nor one that did.
    assert_eq!(names(&look(&["--no-good-run-since", "7d"], None, 1).0), ["never", "open"]);
    assert_eq!(names(&look(&["--no-good-run-since", "2999-01-01"], None, 1).0), ["never", "good", "open"]);
    let of_one = ["--portal", &good.origin(), "--no-good-run-since", "7d"];
    assert!(look(&of_one, None, 0).0.is_empty(), "none lacks one, and the status says so");
    assert_eq!(names(&look(&["--since", "7d"], None, 0).0), ["good"]);
    assert_eq!(names(&look(&["--portal", &good.origin()], None, 0).0), ["good"]);
    assert!(look(&["--outcome", "rejected"], None, 0).0.is_empty());
    // One that is damaged is told of among the others, and by the exit status.
    fs::write(&objects(&bench, "all/never")[0], "no log\n").expect("written");
    let (ledgers, text) = look(&["--no-good-run-since", "7d"], None, 2);
    assert_eq!(names(&ledgers), ["never", "open"]);
    assert!(ledgers[0]["fault"].as_str().is_some_and(|fault| fault.contains("object 1")), "{text}");
    assert!(text.contains("1 that cannot be read"), "{text}");
    // So it is with one that cannot even be looked for, and one that may be back in a minute is another status.
    fs::remove_file(&objects(&bench, "all/never")[0]).expect("removed");
    fs::create_dir(bench.path("all/blocked")).expect("made");
    fs::write(bench.path("all/blocked/log"), "in the way").expect("written");
    let (ledgers, text) = look(&[], None, 2);
    assert_eq!(names(&ledgers), ["blocked", "good", "open", "moved"]);
    assert!(ledgers[0]["fault"].as_str().is_some_and(|fault| fault.contains("in the way")), "{text}");
    bench.onboard(&["history", "--users", "--ledger", &all]).with(2);
    let one = place(&bench, "all/good");
    bench.onboard(&["history", "--no-good-run-since", "7d", "--ledger", &one]).with(2);
}

#[test]
fn a_head_that_was_noted_is_part_of_the_log_or_it_is_told() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = portal(&users);
    let (ledger, other) = (init(&bench, "log"), init(&bench, "other"));
    let noted = line(&bench.onboard(&["ledger", "verify", "--ledger", &ledger]).with(0), "head");
    let (number, hash) = noted.split_once(' ').expect("a number and a hash");
    assert_eq!(number, "1");
    bench.run(&portal, &["--ledger", &ledger]).with(0);
    forget(&bench.path(""));
    let ended = bench.onboard(&["ledger", "verify", "--expect", hash, "--ledger", &ledger]).with(0);
    assert_eq!(line(&ended, "holds"), format!("{hash}, as number 1"));
    assert!(line(&ended, "whole:").starts_with(&format!("{} objects", objects(&bench, "log").len())), "{}", ended.out);
    let ended = bench.onboard(&["ledger", "verify", "--expect", hash, "--ledger", &other]).with(2);
    assert!(ended.said().contains("is no longer part of the ledger"), "{}", ended.err);
    let false_hash = "0".repeat(64);
    bench.onboard(&["ledger", "verify", "--expect", &false_hash, "--ledger", &ledger]).with(2);
}

/// A log of two runs, and what stood there after the first; the home kept, or deleted.
struct Twice {
    bench: Bench,
    portal: Sandbox,
    ledger: String,
}

impl Twice {
    fn new() -> Self {
        let bench = Bench::new();
        let users = active(9);
        bench.roster(&users[..4]);
        let portal = portal(&users);
        let ledger = init(&bench, "log");
        bench.run(&portal, &["--ledger", &ledger]).with(0);
        copied(&bench.path("log"), &bench.path("after-one"));
        bench.roster(&users[..8]);
        bench.run(&portal, &["--ledger", &ledger, "--summary-json", "seal.json"]).with(0);
        // Whoever is new makes the next run one that would send.
        bench.roster(&users);
        assert_eq!(messages(&portal), 8);
        Self { bench, portal, ledger }
    }

    /// Nothing is sent, and it is said why.
    fn refused(&self, home_is_kept: bool, more: &[&str], why: &str) {
        if !home_is_kept {
            forget(&self.bench.path(""));
        }
        let args = [&["--ledger", self.ledger.as_str()], more].concat();
        let ended = self.bench.run(&self.portal, &args).with(2);
        assert!(ended.said().contains(why), "home kept: {home_is_kept}: {}", ended.err);
        assert_eq!(messages(&self.portal), 8, "{}", ended.err);
    }
}

#[test]
fn an_earlier_state_put_back_is_noticed_by_the_machine_or_the_seal() {
    for home_is_kept in [true, false] {
        let twice = Twice::new();
        let bench = &twice.bench;
        // All is well: the head of then is part of it, after more runs, too.
        let planned = ["plan", "users.csv", "--portal", &twice.portal.origin(), "--ledger", &twice.ledger];
        bench.onboard(&[&planned, ["--ledger-seal", "seal.json"].as_slice()].concat()).with(0);
        fs::remove_dir_all(bench.path("log")).expect("removed");
        copied(&bench.path("after-one"), &bench.path("log"));
        let why = if home_is_kept { "is not what it was" } else { "no longer holds what it held" };
        twice.refused(home_is_kept, &["--ledger-seal", "seal.json"], why);
        if home_is_kept {
            // Even unasked, since this machine has seen more.
            twice.refused(true, &[], "is not what it was");
        }
        // A seal that is missing or none is no seal that holds.
        twice.refused(
            home_is_kept,
            &["--ledger-seal", "missing.json"],
            if home_is_kept { "is not" } else { "cannot be read" },
        );
        fs::remove_dir_all(bench.path("log")).expect("removed");
        twice.refused(home_is_kept, &["--ledger-seal", "seal.json"], "ledger");
        // Another log in its place, which no run knows.
        if home_is_kept {
            init(bench, "log");
            twice.refused(true, &[], "is not what it was");
        } else {
            init(bench, "log");
            twice.refused(false, &["--ledger-seal", "seal.json"], "no longer holds what it held");
        }
    }
}

#[test]
fn an_object_that_is_gone_or_changed_stops_every_run() {
    let twice = Twice::new();
    let bench = &twice.bench;
    let kept = ["log", ".cache", ".local"];
    for folder in kept {
        copied(&bench.path(folder), &bench.path("kept").join(folder));
    }
    let count = objects(bench, "log").len();
    for home_is_kept in [true, false] {
        for position in [0, 1, count / 2, count - 2, count - 1] {
            for is_removed in [true, false] {
                for folder in kept {
                    drop(fs::remove_dir_all(bench.path(folder)));
                    copied(&bench.path("kept").join(folder), &bench.path(folder));
                }
                let object = objects(bench, "log").swap_remove(position);
                if is_removed {
                    fs::remove_file(object).expect("removed");
                } else {
                    // One blank, and it is as readable as before.
                    let text = fs::read_to_string(&object).expect("read");
                    let changed = text.replacen("\"entry\":", "\"entry\": ", 1);
                    assert_ne!(text, changed);
                    fs::write(object, changed).expect("written");
                }
                // Nothing but a seal knows of the last object on a machine that never saw it.
                let is_last = position == count - 1;
                let more: &[&str] = if is_last { &["--ledger-seal", "seal.json"] } else { &[] };
                twice.refused(home_is_kept, more, "ledger file://");
            }
        }
    }
}

#[test]
fn doctor_looks_at_the_place_and_makes_nothing() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = portal(&users);
    bench.key_of(&portal);
    let doctor = |ledger: &str| {
        bench.onboard(&["doctor", "--portal", &portal.origin(), "--api-key-file", "key", "--ledger", ledger])
    };
    let nowhere = place(&bench, "nowhere");
    let ended = doctor(&nowhere);
    assert_eq!(ended.status, 3, "{}", ended.out);
    assert!(ended.out.contains("there is no ledger at file://") && ended.out.contains("ledger init"), "{}", ended.out);
    assert!(!bench.path("nowhere").exists(), "whoever only looks makes nothing");
    let ledger = init(&bench, "log");
    let before = objects(&bench, "log");
    let told = doctor(&ledger);
    assert!(told.out.contains("store") && told.out.contains("exactly one winner"), "{}", told.out);
    assert!(told.out.contains("is readable"), "{}", told.out);
    assert_eq!(objects(&bench, "log"), before);
    let entries = fs::read_dir(bench.path("log")).expect("listed");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("one").file_name()).collect();
    names.sort();
    assert_eq!(names, ["log", "probe"], "the races leave nothing");
}

/// The time that a run is given is counted from its start, also where another session is open.
#[test]
fn another_session_is_waited_for_no_longer_than_the_run_may_take() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    let ledger = init(&bench, "log");
    let environment = onboard::environment::Environment::of_process();
    let store = places::store(&Place::Folder(bench.path("log")), &environment, "a test").expect("a store");
    let local = Local { cache: bench.path("cache"), seen: bench.path("seen"), apart: String::new() };
    let mut other = Ledger::open_elsewhere(store, &local, Times::SHIPPED, |_| {}).expect("a ledger");
    let start = SessionStart::Other {
        id: uuid::Uuid::now_v7(),
        who: "ben@another-machine".to_owned(),
        command: "settle".to_owned(),
    };
    other.begin_session(&start, None, std::time::Duration::from_secs(10), |_| {}).expect("begun");
    let ended = bench.run(&portal, &["--ledger", &ledger, "--max-duration", "1s"]).with(4);
    let said = ended.said();
    assert!(said.contains("ben@another-machine") && said.contains("--max-duration); nothing was sent"), "{said}");
    other.end_session(0).expect("ended");
    bench.run(&portal, &["--ledger", &ledger, "--max-duration", "1h"]).with(0);
    assert_eq!(messages(&portal), 2);
}
