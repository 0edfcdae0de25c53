//! Each exit status of the specification, and each way not to start.

use std::{fs, time::Duration};

use onboard::sandbox::{Config, Limits, Sandbox};

use crate::bench::{Bench, Ended, active, config, faulty, messages, portal};

#[test]
fn two_what_cannot_start_says_why_and_sends_nothing() {
    let bench = Bench::new();
    let users = active(1);
    bench.roster(&users);
    bench.write("empty.csv", "");
    bench.write("headless.csv", "a,b\n1,2\n");
    bench.write("workbook.csv", b"PK\x03\x04\x14\0\x06\0");
    bench.write("binary.csv", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0");
    bench.write("open.csv", "user_id,type\n\"abc,User\n");
    bench.write("foreign.txt", "something of mine\n");
    bench.write("nokey", "\n");
    bench.write("oddkey", "sk-12 34");
    bench.write("bearer", "Bearer sk-1234");
    bench.write("quoted", "\"sk-1234\"\n");
    bench.write("env", "ONBOARD_API_KEY=sk-1234\n");
    bench.write("json", "{\"key\":\"sk-1234\"}");
    fs::create_dir(bench.path("folder")).expect("made");
    let sandbox = |roster: &'static str| vec!["run", roster, "--sandbox"];
    let with_key =
        |key: &'static str| vec!["run", "users.csv", "--portal", "https://portal.example", "--api-key-file", key];
    for (args, says) in [
        (vec!["run", "users.csv"], "--portal URL (or ONBOARD_PORTAL), or --sandbox"),
        (sandbox("nothere.csv"), "cannot read the roster nothere.csv"),
        (sandbox("empty.csv"), "the roster is empty; expected a header with user_id and employee_type"),
        (sandbox("headless.csv"), "has no column `user_id`; it has `a`, `b`"),
        (sandbox("workbook.csv"), "Excel workbook"),
        (sandbox("binary.csv"), "it is a program"),
        (sandbox("folder"), "is a directory"),
        (sandbox("open.csv"), "opens on line 2"),
        (vec!["run", "users.csv", "--sandbox", "-o", "folder"], "it is a directory"),
        (vec!["run", "users.csv", "--sandbox", "-o", "users.csv"], "overwrite the roster"),
        (vec!["run", "users.csv", "--sandbox", "-o", "foreign.txt"], "no results file of onboard"),
        (vec!["run", "users.csv", "--sandbox", "-o", "no/such/place.csv"], "cannot be written"),
        (vec!["run", "users.csv", "--sandbox", "--only", "failed"], "--only"),
        (vec!["run", "users.csv", "--sandbox", "-o", "-", "--summary-json", "-"], "standard output"),
        (vec!["run", "users.csv", "--portal", "https://portal.example"], "no API key is given"),
        (vec!["run", "users.csv", "--portal", "http://portal.example", "--api-key-file", "nokey"], "in the clear"),
        (vec!["run", "users.csv", "--portal", "portal.example"], "try https://portal.example"),
        (vec!["run", "users.csv", "--portal", "https://u:p@portal.example"], "user name or password"),
        (vec!["run", "users.csv", "--portal", "https://portal.example", "--api-key-file", "nokey"], "API key is empty"),
        (vec!["run", "users.csv", "--portal", "https://portal.example", "--api-key-file", "oddkey"], "position 6"),
        (with_key("bearer"), "the word `Bearer`"),
        (with_key("quoted"), "quotation marks"),
        (with_key("env"), "NAME=value"),
        (with_key("json"), "JSON"),
        (
            vec!["run", "users.csv", "--portal", "https://portal.example", "--api-key-file", "folder"],
            "cannot read the API key",
        ),
        (vec!["run", "users.csv", "--sandbox", "--rate", "fast"], "requests per window"),
        (vec!["run", "users.csv", "--sandbox", "--timeout", "soon"], "length of time"),
        (vec!["run", "users.csv", "--sandbox", "--timeout", "0s"], "no time at all"),
        (vec!["run", "users.csv", "--sandbox", "--timeout", "0"], "no time at all"),
        (vec!["run", "users.csv", "--sandbox", "--timeout", "1ns"], "no time at all"),
        (vec!["doctor", "--portal", "https://portal.example", "--timeout", "0s"], "no time at all"),
        (vec!["run", "users.csv", "--sandbox", "--wait", "1min", "--poll", "0s"], "no time at all"),
        (vec!["run", "users.csv", "--sandbox", "--rate", "0/min"], "requests per window"),
        (vec!["run", "users.csv", "--sandbox", "--spike", "0/s"], "requests per window"),
        (vec!["run", "users.csv", "--sandbox", "--max-reads", "0"], "not in 1..=10000"),
        (vec!["run", "users.csv", "--sandbox", "--max-writes", "0"], "not in 1..=10000"),
        (vec!["run", "users.csv", "--sandbox", "--fail-on", "oops"], "not an outcome"),
        (vec!["run"], "required"),
        (vec!["runn", "users.csv"], "run"),
        (vec!["check", "nothere.csv"], "cannot read the roster"),
        (vec!["history"], "no ledger"),
        (vec!["settle", "x", "--as", "sent"], "no ledger"),
    ] {
        let ended = bench.onboard(&args).with(2);
        assert!(ended.said().contains(says), "{args:?} says:\n{}", ended.err);
        assert!(ended.out.is_empty(), "{args:?}: {}", ended.out);
    }
    assert!(!bench.path("users.results.csv").exists());
}

/// CI sets a variable that has no value to nothing: that is as if it were not there.
#[test]
fn an_empty_variable_is_as_unset() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    let names = [
        "ONBOARD_PORTAL",
        "ONBOARD_API_KEY_FILE",
        "ONBOARD_API_KEY",
        "ONBOARD_LEDGER",
        "ONBOARD_KEY",
        "ONBOARD_SIGN_WITH",
        "HTTPS_PROXY",
        "NO_PROXY",
        "XDG_STATE_HOME",
        "CI",
        "GITHUB_ACTIONS",
        "GITHUB_STEP_SUMMARY",
    ];
    for value in ["", " ", "\n"] {
        // The user's name has another meaning, and so has the home.
        let empty =
            names.iter().filter(|name| name.starts_with("ONBOARD") || value.is_empty()).map(|name| (name, value));
        let ended: Ended =
            bench.run_command(&portal, &["--ledger", "l.db"]).envs(empty.clone()).output().expect("run").into();
        ended.with(0);
        for command in
            [&["plan", "users.csv"][..], &["history", "--ledger", "l.db"], &["config"], &["check", "users.csv"]]
        {
            let ended: Ended = bench.command(command).envs(empty.clone()).output().expect("run").into();
            ended.with(0);
        }
        let none: Ended = bench.command(&["run", "users.csv"]).envs(empty.clone()).output().expect("run").into();
        assert!(none.with(2).said().contains("no portal is given; use --portal URL (or ONBOARD_PORTAL)"));
        let keyless = ["run", "users.csv", "--portal", "https://portal.example"];
        let none: Ended = bench.command(&keyless).envs(empty).output().expect("run").into();
        assert!(none.with(2).said().contains("no API key is given"));
    }
    assert_eq!(messages(&portal), 2);
}

#[cfg(unix)]
#[test]
fn two_an_unreadable_roster() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let path = bench.write("users.csv", "user_id,type\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("changed");
    // The superuser reads everything.
    if fs::read(&path).is_err() {
        let ended = bench.onboard(&["run", "users.csv", "--sandbox"]).with(2);
        assert!(ended.said().contains("Permission denied"), "{}", ended.err);
    }
}

#[test]
fn two_strict_stops_at_a_bad_row_before_the_first_request() {
    let bench = Bench::new();
    let users = active(1);
    bench.write("users.csv", format!("user_id,type\n{},User\nnobody,User\n", users[0].id));
    let portal = portal(&users);
    let ended = bench.run(&portal, &["--strict"]).with(2);
    assert!(ended.said().contains("--strict") && ended.said().contains("`nobody` is no user id"), "{}", ended.err);
    assert_eq!(portal.stats().total_requests(), 0);
}

#[test]
fn two_under_ci_without_a_ledger() {
    let bench = Bench::new();
    let users = active(1);
    bench.roster(&users);
    let portal = portal(&users);
    for value in ["true", "1"] {
        let output = bench.run_command(&portal, &[]).env("CI", value).output().expect("run");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("--ledger"));
    }
    let missing = bench.run(&portal, &["--ledger", "store/l.db", "--require-ledger"]).with(2);
    assert!(missing.err.contains("--require-ledger"), "{}", missing.err);
    assert_eq!(portal.stats().total_requests(), 0);
    let output = bench.run_command(&portal, &["--ledger", "store/l.db"]).env("CI", "true").output().expect("run");
    assert_eq!(output.status.code(), Some(0));
    let output = bench.command(&["run", "users.csv", "--sandbox"]).env("CI", "true").output().expect("run");
    assert_eq!(output.status.code(), Some(0));
    bench.run(&portal, &["--ledger", "store/l.db", "--require-ledger"]).with(0);
    assert_eq!(messages(&portal), 1);
}

#[test]
fn three_a_wrong_key_stops_at_once() {
    let bench = Bench::new();
    let users = active(50);
    bench.roster(&users);
    let portal = portal(&users);
    bench.write("key", "sk-wrong");
    let origin = portal.origin();
    let ended = bench.onboard(&["run", "users.csv", "--portal", &origin, "--api-key-file", "key"]).with(3);
    assert!(ended.said().contains("does not accept the key (401)"), "{}", ended.err);
    assert_eq!(bench.outcomes().get("not_attempted"), Some(&50));
    assert!(portal.stats().total_requests() <= 6, "{:?}", portal.stats());
}

#[test]
fn three_no_portal_listening() {
    let bench = Bench::new();
    bench.roster(&active(3));
    bench.write("key", "sk-any");
    let ended = bench
        .onboard(&["run", "users.csv", "--portal", "http://127.0.0.1:1", "--api-key-file", "key", "--retries", "1"])
        .with(3);
    assert!(ended.said().contains("cannot be reached: Connection refused"), "{}", ended.err);
    assert_eq!(bench.outcomes().get("not_attempted"), Some(&3));
}

#[test]
fn three_what_is_no_portal_is_told() {
    for (fault, says) in [
        ("garbage", "is not a DocSpace portal"),
        ("redirect", "Redirects are not followed"),
        ("unpaid", "402"),
        ("unauthorized", "401"),
        ("endless", "is not a DocSpace portal"),
        ("error", "with an error of its own"),
        ("gateway", "with an error of its own"),
    ] {
        let bench = Bench::new();
        let users = active(30);
        bench.roster(&users);
        let faults: Vec<String> =
            ["link", "user", "listing"].iter().map(|class| format!("{class}:{fault}:100%")).collect();
        let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
        let portal = faulty(&users, &faults);
        let ended = bench.run(&portal, &["--retries", "1"]).with(3);
        assert!(ended.said().contains(says), "{fault}:\n{}", ended.err);
        assert_eq!(bench.outcomes().get("not_attempted"), Some(&30), "{fault}: {:?}", bench.outcomes());
        assert_eq!(messages(&portal), 0);
    }
}

#[test]
fn three_a_portal_that_takes_connections_and_answers_nobody() {
    let bench = Bench::new();
    let users = active(40);
    bench.roster(&users);
    let faults = ["link:stall-before:100%", "user:stall-before:100%", "listing:stall-before:100%"];
    let portal = faulty(&users, &faults);
    let ended = bench.run(&portal, &["--timeout", "200ms", "--retries", "1"]).with(3);
    assert!(ended.said().contains("does not answer"), "{}", ended.err);
    assert_eq!(bench.outcomes().get("not_attempted"), Some(&40), "{:?}", bench.outcomes());
    assert!(portal.stats().total_requests() < 20);
}

#[test]
fn three_a_portal_that_falls_silent_in_mid_run_burns_no_rows() {
    let bench = Bench::new();
    let users = active(300);
    bench.roster(&users);
    // Every question from the third page on, and every congratulation from the fifth on, gets no answer.
    let mut faults: Vec<String> = (2..40).map(|number| format!("listing:stall-before:#{number}")).collect();
    faults.push("user:stall-before:100%".to_owned());
    faults.extend((5..60).map(|number| format!("congratulation:stall-before:#{number}")));
    let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
    let portal = faulty(&users, &faults);
    let ended = bench.run(&portal, &["--timeout", "200ms", "--outage", "1s", "--retries", "3"]).with(3);
    assert!(ended.said().contains("answered at first"), "{}", ended.err);
    let outcomes = bench.outcomes();
    assert!(outcomes["not_attempted"] > 200 && outcomes["unknown"] <= 20, "{outcomes:?}");
    assert_eq!(outcomes.get("failed"), None, "{outcomes:?}");
}

#[test]
fn three_a_portal_that_refuses_everybody_alike_is_recognised_after_a_few() {
    let bench = Bench::new();
    let users = active(500);
    bench.roster(&users);
    let portal =
        Sandbox::start(Config { machine_key: Some("secret-machine-key".into()), ..config(&users) }).expect("a portal");
    let ended = bench.run(&portal, &[]).with(3);
    let stats = portal.stats();
    assert!(stats.requests["congratulation"] <= 5, "{stats:?}");
    assert_eq!(bench.outcomes()["rejected"] + bench.outcomes()["not_attempted"], 500);
    assert!(bench.results().iter().all(|row| row["active"] == "true" && row["invite_link"].starts_with("http")));
    assert_eq!(ended.said().matches("--sign-with FILE").count(), 1, "{}", ended.err);
    // And with the machine key it goes through.
    bench.write("machinekey", "secret-machine-key\n");
    bench.run(&portal, &["--sign-with", "machinekey"]).with(0);
    assert_eq!(messages(&portal), 500);
}

#[test]
fn four_limits_of_a_run_and_of_a_day() {
    let bench = Bench::new();
    let users = active(10);
    bench.roster(&users);
    let portal = portal(&users);
    let ended = bench.run(&portal, &["--limit", "4"]).with(4);
    assert!(ended.said().contains("--limit"), "{}", ended.err);
    assert_eq!(messages(&portal), 4);
    assert_eq!(bench.outcomes()["not_attempted"], 6);
    let ended = bench.run(&portal, &["--daily-writes", "7"]).with(4);
    assert!(ended.said().contains("daily write limit") && ended.said().contains(" from 20"), "{}", ended.err);
    assert_eq!(messages(&portal), 7);
    bench.run(&portal, &["--daily-writes", "7"]).with(4);
    assert_eq!(messages(&portal), 7);
    bench.run(&portal, &[]).with(0);
    assert_eq!(messages(&portal), 10);
}

#[test]
fn four_the_portals_own_daily_limit() {
    let bench = Bench::new();
    let users = active(10);
    bench.roster(&users);
    let limits = Limits { daily: Some(4), ..Limits::OFF };
    let portal = Sandbox::start(Config { limits, ..config(&users) }).expect("a portal");
    let ended = bench.run(&portal, &[]).with(4);
    // Its limit is so low that its headers look like those of places in flight, but for the hours that they ask for.
    assert!(
        ended.said().contains("its daily write limit is reached") && ended.said().contains(" from 20"),
        "{}",
        ended.err
    );
    assert_eq!(messages(&portal), 4);
    assert_eq!(bench.outcomes()["not_attempted"], 6);
}

#[cfg(target_os = "linux")]
#[test]
fn five_a_disk_that_fails_in_mid_run_sends_nothing_without_its_intent() {
    let bench = Bench::new();
    let users = active(400);
    bench.roster(&users);
    let portal =
        Sandbox::start(Config { latency: (Duration::from_millis(1), Duration::from_millis(3)), ..config(&users) })
            .expect("a portal");
    let command = bench.run_command(&portal, &["--ledger", "l.db"]);
    // No file may grow beyond this: the ledger's log reaches it somewhere in the run.
    let mut limited = std::process::Command::new("sh");
    limited.arg("-c").arg("ulimit -f 192; trap '' XFSZ; exec \"$0\" \"$@\"").arg(command.get_program());
    limited
        .args(command.get_args())
        .current_dir(bench.path(""))
        .env_clear()
        .env("HOME", bench.path(""))
        .env("PATH", "/usr/bin:/bin");
    let output = limited.output().expect("run");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{err}");
    assert!(err.contains("Storage failed") && err.contains("ledger"), "{err}");
    let had = messages(&portal);
    assert!(had > 0 && had < 400, "{had}");
    // With room again the job goes on; nobody gets a second message.
    let ended = bench.run(&portal, &["--ledger", "l.db"]);
    assert!(ended.status == 0 || ended.status == 1, "{}", ended.err);
    messages(&portal);
    let outcomes = bench.outcomes();
    let settled: usize = ["sent", "already_sent", "unknown"].iter().filter_map(|outcome| outcomes.get(*outcome)).sum();
    assert_eq!(settled, 400, "{outcomes:?}");
}

#[test]
fn one_or_zero_by_fail_on() {
    let bench = Bench::new();
    let users = active(1);
    bench.write("users.csv", format!("user_id,type\n{},User\nnobody,User\n", users[0].id));
    let portal = portal(&users);
    bench.run(&portal, &[]).with(1);
    bench.run(&portal, &["--fail-on", "failed,unknown"]).with(0);
    bench.run(&portal, &["--fail-on", "already_sent"]).with(1);
}

#[test]
fn nothing_to_do_is_no_failure() {
    let bench = Bench::new();
    bench.write("users.csv", "user_id,employee_type\n");
    let portal = portal(&[]);
    bench.run(&portal, &[]).with(0);
    assert_eq!(bench.read("users.results.csv").lines().count(), 1);
    assert_eq!(portal.stats().total_requests(), 0);
}

/// A key that expires in mid-run is not one that was mistyped, and more than the first requests was spent.
#[test]
fn a_key_that_is_refused_after_messages_were_sent_is_told_as_that() {
    let bench = Bench::new();
    let users = active(12);
    bench.roster(&users);
    let portal = faulty(&users, &["congratulation:unauthorized:#4"]);
    let said = bench.run(&portal, &["--max-writes", "1"]).with(3).said();
    assert!(said.contains("does not accept the key any more (401)") && said.contains("is on record"), "{said}");
    assert!(!said.contains("mistyped") && !said.contains("Nothing but the first requests"), "{said}");
    assert_eq!(bench.outcomes()["sent"], 3);
}

#[test]
fn ten_a_plan_in_which_something_is_due_where_that_is_asked() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    let origin = portal.origin();
    let plan = |more: &[&str]| bench.onboard(&[&["plan", "users.csv", "--portal", &origin][..], more].concat());
    plan(&[]).with(0);
    plan(&["--exit-code"]).with(10);
    plan(&["--exit-code", "--json"]).with(10);
    bench.run(&portal, &[]).with(0);
    plan(&["--exit-code"]).with(0);
    plan(&["--exit-code", "--resend"]).with(10);
    bench.onboard(&["plan", "none.csv", "--exit-code"]).with(2);
}
