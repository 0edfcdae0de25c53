//! The ledger across runs: who was congratulated, side by side, elsewhere, settled, damaged.

use std::{fs, process::Stdio};

use crate::bench::{Bench, active, faulty, messages, portal};

#[test]
fn two_runs_at_once_take_turns_and_nobody_gets_two_messages() {
    for _ in 0..20 {
        let bench = Bench::new();
        let users = active(30);
        bench.roster(&users);
        let portal = portal(&users);
        let start =
            |output: &str| bench.run_command(&portal, &["-o", output]).stderr(Stdio::piped()).spawn().expect("started");
        let (one, two) = (start("one.csv"), start("two.csv"));
        let outputs = [one.wait_with_output().expect("ended"), two.wait_with_output().expect("ended")];
        for output in &outputs {
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(messages(&portal), 30);
    }
}

#[test]
fn a_second_run_says_whom_it_waits_for_and_gives_up_in_time() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = faulty(&users, &["congratulation:stall-before:#1"]);
    let mut first = bench.run_command(&portal, &["--timeout", "10min"]).stderr(Stdio::null()).spawn().expect("started");
    while !portal.stats().requests.contains_key("congratulation") {
        std::thread::yield_now();
    }
    let ended = bench.run(&portal, &["--lock-timeout", "300ms"]).with(5);
    assert!(ended.said().contains("waiting for another run on the same ledger: process"), "{}", ended.err);
    assert!(ended.said().contains("run users.csv") && ended.said().contains("--lock-timeout"), "{}", ended.err);
    // A run that is killed holds nothing.
    first.kill().expect("killed");
    first.wait().expect("ended");
    bench.run(&portal, &["--lock-timeout", "300ms"]).with(1);
    let outcomes = bench.outcomes();
    let accepted: usize = ["sent", "already_sent"].iter().filter_map(|outcome| outcomes.get(*outcome)).sum();
    assert!(outcomes["unknown"] >= 1 && outcomes["unknown"] + accepted == 3, "{outcomes:?}");
    assert!(messages(&portal) >= accepted);
}

#[test]
fn records_under_another_address_stop_the_run_until_somebody_says_what_they_are() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let (old, new) = (portal(&users), portal(&users));
    bench.run(&old, &[]).with(0);
    let ended = bench.run(&new, &[]).with(2);
    assert!(ended.said().contains("--formerly") && ended.said().contains("--other-portal"), "{}", ended.err);
    assert_eq!(new.stats().total_requests(), 0);
    bench.run(&new, &["--formerly", &old.origin()]).with(0);
    assert_eq!(messages(&new), 0);
    bench.run(&new, &["--other-portal"]).with(0);
    assert_eq!(messages(&new), 3);
}

/// The time that a run is given is counted from its start, whatever it waits for.
#[test]
fn another_run_is_waited_for_no_longer_than_the_run_may_take() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    let nothing = std::time::Duration::ZERO;
    let lock = onboard::ledger::Lock::wait_for(&bench.path("l.db"), "run others.csv", nothing, |_| {}).expect("locked");
    for more in [&["--max-duration", "500ms"][..], &["--max-duration", "500ms", "--dry-run"]] {
        let ended = bench.run(&portal, &[&["--ledger", "l.db"], more].concat()).with(4);
        let said = ended.said();
        assert!(said.contains("run others.csv") && said.contains("--max-duration); nothing was sent"), "{said}");
    }
    // What comes first says how it ends.
    let more = ["--ledger", "l.db", "--max-duration", "1h", "--lock-timeout", "200ms"];
    assert!(bench.run(&portal, &more).with(5).said().contains("--lock-timeout"));
    drop(lock);
    bench.run(&portal, &["--ledger", "l.db", "--max-duration", "1h"]).with(0);
    assert_eq!(messages(&portal), 2);
}

#[test]
fn a_person_settles_what_is_unknown() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = faulty(&users, &["congratulation:cut:#1", "congratulation:drop-before:#2"]);
    bench.run(&portal, &[]).with(1);
    let unknown: Vec<String> = bench
        .results()
        .into_iter()
        .filter(|row| row["congratulation"] == "unknown")
        .map(|row| row["user_id"].clone())
        .collect();
    let had = portal.stats().messages;
    assert_eq!(unknown.len(), 2);
    for user in &unknown {
        let decision = if had.contains_key(user) { "sent" } else { "not-sent" };
        let ended = bench.onboard(&["settle", user, "--as", decision, "--by", "Anna Keller"]).with(0);
        assert!(ended.out.contains("Anna Keller"), "{}", ended.out);
    }
    bench.run(&portal, &[]).with(0);
    assert_eq!(messages(&portal), 3);
    let story = bench.onboard(&["history", &unknown[0], "--format", "json"]).with(0);
    assert!(story.out.contains("\"decided_by\": \"Anna Keller\""), "{}", story.out);
    let again = bench.onboard(&["settle", &unknown[0], "--as", "sent"]).with(1);
    assert!(again.out.contains("nothing to settle"), "{}", again.out);
    bench.onboard(&["settle", "nobody", "--as", "sent"]).with(2);
}

#[test]
fn history_tells_runs_users_and_stories_in_three_forms() {
    let bench = Bench::new();
    let users = active(2);
    bench.write("users.csv", format!("user_id,email,type\n{},{},User\n", users[0].id, users[0].email));
    let portal = portal(&users);
    bench.run(&portal, &[]).with(0);
    let out = |args: &[&str]| bench.onboard(args).with(0).out;
    let runs = out(&["history"]);
    assert!(runs.contains("users.csv") && runs.contains("1 sent") && runs.contains("anna@"), "{runs}");
    assert!(out(&["history", &users[0].email]).contains("sent"), "by address");
    assert!(out(&["history", &users[0].id.to_string()]).contains(&portal.origin()));
    assert!(out(&["history", &users[1].id.to_string()]).contains("knows nothing"));
    let csv = out(&["history", "--users", "--format", "csv"]);
    assert!(csv.starts_with("portal,user_id,state,at,run,attempts\n") && csv.lines().count() == 2, "{csv}");
    let json: serde_json::Value = serde_json::from_str(&out(&["history", "--format", "json"])).expect("JSON");
    assert_eq!(json[0]["outcomes"]["sent"], 1);
    assert_eq!(json[0]["exit_status"], 0);
}

#[test]
fn resend_needs_yes_where_nobody_can_be_asked() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &[]).with(0);
    let ended = bench.run(&portal, &["--resend"]).with(2);
    assert!(ended.said().contains("--yes"), "{}", ended.err);
    bench.run(&portal, &["--resend", "--yes"]).with(0);
    assert!(portal.stats().messages.values().all(|count| *count == 2));
}

#[test]
fn what_is_no_ledger_is_refused_untouched() {
    let bench = Bench::new();
    let users = active(1);
    bench.roster(&users);
    let portal = portal(&users);
    bench.write("text.db", "not a database\n");
    fs::create_dir(bench.path("folder")).expect("made");
    bench.write("file", "");
    for (path, says) in
        [("text.db", "no ledger of onboard"), ("folder", "is a directory"), ("file/l.db", "cannot be made")]
    {
        let ended = bench.run(&portal, &["--ledger", path]).with(2);
        assert!(ended.said().contains(says), "{path}: {}", ended.err);
    }
    assert_eq!(bench.read("text.db"), "not a database\n");
    let newer = rusqlite::Connection::open(bench.path("newer.db")).expect("made");
    newer
        .execute_batch("CREATE TABLE x (y); PRAGMA application_id = 0x6f6e6264; PRAGMA user_version = 99")
        .expect("made");
    drop(newer);
    let ended = bench.run(&portal, &["--ledger", "newer.db"]).with(2);
    assert!(ended.said().contains("newer onboard"), "{}", ended.err);
    let other = rusqlite::Connection::open(bench.path("other.db")).expect("made");
    other.execute_batch("CREATE TABLE x (y)").expect("made");
    drop(other);
    let ended = bench.run(&portal, &["--ledger", "other.db"]).with(2);
    assert!(ended.said().contains("no ledger of onboard"), "{}", ended.err);
    assert_eq!(portal.stats().total_requests(), 0);
}

#[test]
fn an_empty_ledger_is_none_and_nobody_is_congratulated_again() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &["--ledger", "l.db"]).with(0);
    bench.write("l.db", "");
    for more in [&["--ledger", "l.db"][..], &["--ledger", "l.db", "--require-ledger"]] {
        let ended = bench.run(&portal, more).with(2);
        assert!(ended.said().contains("is an empty file"), "{}", ended.err);
    }
    let origin = portal.origin();
    for looking in [&["history"][..], &["plan", "users.csv", "--portal", &origin]] {
        bench.onboard(&[looking, &["--ledger", "l.db"]].concat()).with(2);
    }
    assert_eq!(bench.read("l.db"), "", "untouched");
    // One without any run on record is for a first run, and for nobody who has had one.
    let lock = onboard::ledger::Lock::try_acquire(&bench.path("new.db"), "a test", jiff::Timestamp::UNIX_EPOCH);
    let lock = lock.expect("a lock").expect("free");
    drop(onboard::ledger::Ledger::open(&lock, false).expect("made"));
    drop(lock);
    let plan = ["plan", "users.csv", "--portal", &origin, "--ledger", "new.db", "--require-ledger"];
    for ended in [bench.run(&portal, &["--ledger", "new.db", "--require-ledger"]), bench.onboard(&plan)] {
        assert!(ended.said().contains("no run on record"), "{}", ended.err);
        ended.with(2);
    }
    assert_eq!(messages(&portal), 2);
}

/// An e-mail roster has no ids, and a moved portal is another origin.
#[test]
fn people_of_an_e_mail_roster_are_found_under_another_address_too() {
    let bench = Bench::new();
    let users = active(3);
    let rows: Vec<String> = users.iter().map(|user| format!("{},User\n", user.email)).collect();
    let rows = rows.concat();
    bench.write("users.csv", format!("email,type\n{rows}"));
    let (old, new) = (portal(&users), portal(&users));
    bench.run(&old, &[]).with(0);
    let ended = bench.run(&new, &[]).with(2);
    assert!(ended.said().contains("--formerly") && ended.said().contains("the address in row 1"), "{}", ended.err);
    assert!(!ended.err.contains(&users[0].email), "{}", ended.err);
    assert_eq!(new.stats().total_requests(), 0);
    bench.run(&new, &["--formerly", &old.origin()]).with(0);
    assert_eq!(messages(&new), 0);
    bench.run(&new, &["--other-portal"]).with(0);
    assert_eq!(messages(&new), 3);
}

#[test]
fn an_invitation_is_counted_told_and_settled_like_the_other_mail() {
    let bench = Bench::new();
    let users = active(1);
    bench.write("people.csv", "email,type\nnew@example.com,User\nother@example.com,User\n");
    let portal = faulty(&users, &["invitation:cut:#1"]);
    bench.key_of(&portal);
    let origin = portal.origin();
    let invite = ["invite", "people.csv", "--portal", &origin, "--api-key-file", "key", "--ledger", "l.db"];
    bench.onboard(&invite).with(1);
    let out = |args: &[&str]| bench.onboard(&[args, &["--ledger", "l.db"]].concat()).with(0).out;
    let runs: serde_json::Value = serde_json::from_str(&out(&["history", "--format", "json"])).expect("JSON");
    assert_eq!(runs[0]["outcomes"], serde_json::json!({ "invited": 1, "unknown": 1 }));
    assert!(out(&["history", "new@example.com"]).contains("invitation"));
    assert_eq!(out(&["history", "--users", "--format", "csv"]).matches(",invitation ").count(), 2);
    let settled = out(&["settle", "new@example.com", "--as", "sent"]);
    assert!(settled.contains("the invitation to new@example.com: recorded as sent"), "{settled}");
    bench.onboard(&["settle", "other@example.com", "--as", "sent", "--ledger", "l.db"]).with(1);
    bench.onboard(&["settle", "nobody@example.com", "--as", "sent", "--ledger", "l.db"]).with(2);
    bench.onboard(&invite).with(0);
}

#[test]
fn a_run_is_named_by_the_last_digits_of_its_id() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &[]).with(0);
    let runs: serde_json::Value =
        serde_json::from_str(&bench.onboard(&["history", "--format", "json"]).with(0).out).expect("JSON");
    let run = runs[0]["run"].as_str().expect("an id");
    let short = &run[run.len() - 8..];
    let table = bench.onboard(&["history"]).with(0).out;
    assert!(table.contains(short) && !table.contains(run), "{table}");
    for name in [short, run, &short.to_uppercase()] {
        let told = bench.onboard(&["history", name, "--format", "csv"]).with(0).out;
        assert_eq!(told.lines().count(), 3, "{told}");
        assert!(told.contains(&users[0].id.to_string()) && told.contains(run), "{told}");
    }
    let other = if short == "01234567" { "76543210" } else { "01234567" };
    let ended = bench.onboard(&["history", other]).with(2);
    assert!(ended.said().contains("neither a run, nor a user id, nor an e-mail address"), "{}", ended.err);
}

#[cfg(unix)]
#[test]
fn a_ledger_with_two_names_is_refused_and_told() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &["--ledger", "one.db"]).with(0);
    fs::hard_link(bench.path("one.db"), bench.path("two.db")).expect("linked");
    let user = users[0].id.to_string();
    for name in ["one.db", "two.db"] {
        let ended = bench.run(&portal, &["--ledger", name]).with(2);
        assert!(ended.said().contains("more than one name"), "{}", ended.err);
        bench.onboard(&["settle", &user, "--as", "sent", "--ledger", name]).with(2);
        bench.onboard(&["history", "--ledger", name]).with(0);
    }
    assert_eq!(messages(&portal), 2);
}

/// As `docker -v l.db:/data/l.db` does it. Where nobody may mount anything, the kernel's list is read by a unit test.
#[cfg(target_os = "linux")]
#[test]
fn a_ledger_that_is_a_mount_point_is_refused_and_told() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &["--ledger", "l.db"]).with(0);
    bench.write("mounted.db", "");
    let run = bench.run_command(&portal, &["--ledger", "mounted.db"]);
    let mut command = bench.command(&[]);
    let mut command = {
        let mount = "mount --bind l.db mounted.db || exit 77; exec \"$@\"";
        let mut unshare = std::process::Command::new("unshare");
        unshare.args(["--map-root-user", "--mount", "sh", "-c", mount, "sh"]).arg(command.get_program());
        unshare.args(run.get_args()).current_dir(bench.path(""));
        std::mem::swap(&mut command, &mut unshare);
        command
    };
    let Ok(output) = command.output() else { return };
    if output.status.code() == Some(2) {
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains("mount point") || err.contains("unshare"), "{err}");
    } else {
        assert!(matches!(output.status.code(), Some(1 | 77)), "{output:?}");
    }
    assert_eq!(messages(&portal), 2);
}

#[test]
fn a_path_in_the_settings_file_is_found_from_home_or_from_that_file() {
    let bench = Bench::new();
    let users = active(1);
    bench.roster(&users);
    let portal = portal(&users);
    bench.write("onboard.toml", "ledger = \"~/deep/ledger.db\"\n");
    bench.run(&portal, &[]).with(0);
    assert!(bench.path("deep/ledger.db").is_file());
    fs::create_dir(bench.path("conf")).expect("made");
    bench.write("conf/onboard.toml", "ledger = \"own.db\"\nreport = \"page.html\"\napi-key-file = \"../key\"\n");
    bench.key_of(&portal);
    let origin = portal.origin();
    bench.onboard(&["run", "users.csv", "--config", "conf/onboard.toml", "--portal", &origin]).with(0);
    assert!(bench.path("conf/own.db").is_file() && bench.path("conf/page.html").is_file());
    bench.write("onboard.toml", "ledger = \"~ben/ledger.db\"\n");
    let ended = bench.run(&portal, &[]).with(2);
    assert!(ended.said().contains("another user's home directory"), "{}", ended.err);
    bench.write("onboard.toml", "");
    // What no shell has seen is expanded all the same.
    bench.run(&portal, &["--ledger=~/typed.db"]).with(0);
    let mut command = bench.run_command(&portal, &[]);
    assert!(command.env("ONBOARD_LEDGER", "~/set.db").status().expect("run").success());
    assert!(bench.path("typed.db").is_file() && bench.path("set.db").is_file());
    assert!(!bench.path("~").exists() && !bench.path("~ben").exists());
}

#[test]
fn at_a_clean_end_everything_is_in_the_one_file() {
    let bench = Bench::new();
    let users = active(3);
    bench.write("people.csv", format!("email,type\nnew@example.com,User\n{},User\n", users[0].email));
    bench.roster(&users);
    let portal = faulty(&users, &["congratulation:drop-before:#3"]);
    bench.run(&portal, &["--ledger", "l.db", "--retries", "0"]);
    // Somebody has it open all the time: whoever writes is not the last one to close it.
    let looking = rusqlite::Connection::open(bench.path("l.db")).expect("opened");
    looking.query_row("SELECT count(*) FROM run", [], |row| row.get::<_, i64>(0)).expect("read");
    let origin = portal.origin();
    let unknown = users.iter().map(|user| user.id.to_string());
    let settle: Vec<String> = ["settle".into()].into_iter().chain(unknown).collect();
    let settle: Vec<&str> = settle.iter().map(String::as_str).chain(["--as", "sent", "--ledger", "l.db"]).collect();
    let invite = ["invite", "people.csv", "--portal", &origin, "--api-key-file", "key", "--ledger", "l.db"];
    bench.run(&portal, &["--ledger", "l.db"]);
    for command in [&settle[..], &invite] {
        bench.onboard(command);
    }
    bench.run(&portal, &["--ledger", "l.db"]);
    assert_eq!(fs::metadata(bench.path("l.db-wal")).map_or(0, |log| log.len()), 0);
    fs::copy(bench.path("l.db"), bench.path("copy.db")).expect("copied");
    let runs = bench.onboard(&["history", "--ledger", "copy.db", "--format", "csv"]).with(0).out;
    assert_eq!(runs.lines().count(), 5, "{runs}");
}

#[test]
fn a_roster_that_brings_nobody_new_for_long_is_told() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    let run = || bench.run(&portal, &["--ledger", "l.db"]).with(0).said();
    let plan =
        || bench.onboard(&["plan", "users.csv", "--portal", &portal.origin(), "--ledger", "l.db"]).with(0).said();
    run();
    for said in [run(), plan()] {
        assert!(!said.contains("an old file"), "{said}");
    }
    // A month goes by.
    let ledger = rusqlite::Connection::open(bench.path("l.db")).expect("opened");
    ledger
        .execute("UPDATE attempt SET began_at = began_at - 2592000000, ended_at = ended_at - 2592000000", [])
        .expect("changed");
    drop(ledger);
    let told = "warning: everybody in this roster (2 people) was congratulated already, the last on ";
    for said in [run(), plan()] {
        assert!(said.contains(told) && said.contains("is this an old file, last month's say?"), "{said}");
    }
    bench.roster(&active(3));
    let said = plan();
    assert!(!said.contains("an old file"), "{said}");
}

#[cfg(unix)]
#[test]
fn ledger_and_results_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let users = active(1);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &["--ledger", "l.db"]).with(0);
    for name in ["l.db", "users.results.csv"] {
        assert_eq!(fs::metadata(bench.path(name)).expect("there").permissions().mode() & 0o777, 0o600, "{name}");
    }
    // And it can be looked at with ordinary tools.
    let ledger = rusqlite::Connection::open(bench.path("l.db")).expect("opened");
    let sent: i64 =
        ledger.query_row("SELECT count(*) FROM attempt WHERE state = 'sent'", [], |row| row.get(0)).expect("counted");
    assert_eq!(sent, 1);
    let raw = fs::read(bench.path("l.db")).expect("read");
    let holds = |needle: &str| raw.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(!holds(portal.api_key()) && !holds("welcome_guest") && !holds("/s/"));
}

#[test]
fn a_ledger_given_with_the_sandbox_is_kept() {
    let bench = Bench::new();
    bench.roster(&active(5));
    bench.onboard(&["run", "users.csv", "--sandbox", "--ledger", "l.db"]).with(0);
    bench.onboard(&["run", "users.csv", "--sandbox", "--ledger", "l.db"]).with(0);
    let outcomes = bench.outcomes();
    assert_eq!(outcomes.get("sent"), None, "{outcomes:?}");
    assert!(!bench.path(".local").exists(), "no other ledger was made");
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_where_nothing_can_be_written_is_found_before_the_first_request() {
    let bench = Bench::new();
    let users = active(1);
    bench.roster(&users);
    let portal = portal(&users);
    let ended = bench.run(&portal, &["--ledger", "/proc/onboard/ledger.db"]).with(2);
    assert!(ended.said().contains("name another place with --ledger"), "{}", ended.err);
    let ended = bench.run(&portal, &["-o", "/proc/results.csv"]).with(2);
    assert!(ended.said().contains("cannot be written"), "{}", ended.err);
    assert_eq!(portal.stats().total_requests(), 0);
}

#[test]
fn results_that_cannot_be_written_at_the_end_are_told_and_the_ledger_knows() {
    let bench = Bench::new();
    let users = active(40);
    bench.roster(&users);
    fs::create_dir(bench.path("out")).expect("made");
    let portal = faulty(&users, &["congratulation:stall-before:#40"]);
    let mut command = bench.run_command(&portal, &["-o", "out/r.csv", "--timeout", "2s"]);
    let child = command.stderr(Stdio::piped()).spawn().expect("started");
    while portal.stats().requests.get("congratulation").is_none_or(|count| *count < 40) {
        std::thread::yield_now();
    }
    fs::remove_dir_all(bench.path("out")).expect("removed");
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    bench.run(&portal, &[]).with(1);
    assert_eq!(bench.outcomes()["already_sent"], 39);
    assert_eq!(messages(&portal), 39);
}

#[test]
fn a_ledger_that_is_taken_away_in_mid_run_stops_the_run() {
    let bench = Bench::new();
    let users = active(200);
    bench.roster(&users);
    let portal = portal_slow(&users);
    let child = bench.run_command(&portal, &["--ledger", "l.db"]).stderr(Stdio::piped()).spawn().expect("started");
    while portal.stats().messages.len() < 20 {
        std::thread::yield_now();
    }
    fs::rename(bench.path("l.db"), bench.path("gone.db")).expect("moved");
    let output = child.wait_with_output().expect("ended");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{err}");
    assert!(err.contains("moved, replaced or deleted"), "{err}");
    assert!(messages(&portal) < 200);
}

fn portal_slow(users: &[onboard::sandbox::User]) -> onboard::sandbox::Sandbox {
    let latency = (std::time::Duration::from_millis(5), std::time::Duration::from_millis(15));
    onboard::sandbox::Sandbox::start(onboard::sandbox::Config { latency, ..crate::bench::config(users) })
        .expect("a portal")
}

/// Where nothing is recorded, nothing can be settled; of runs, and of what they need, there is no word.
#[test]
fn a_decision_needs_the_ledger_of_the_runs() {
    let bench = Bench::new();
    let ended = bench.onboard(&["settle", "ann@example.com", "--as", "sent", "--ledger", "none.db"]).with(2);
    assert!(ended.said().contains("there is no ledger at none.db, so there is nothing to settle"), "{}", ended.err);
    assert!(!ended.err.contains("--require-ledger") && !bench.path("none.db").exists(), "{}", ended.err);
}

#[test]
fn a_ledger_elsewhere_is_named_without_its_secrets_and_is_never_a_file_of_that_name() {
    let bench = Bench::new();
    for (place, told) in [
        ("s4://bucket/SECRETPW", "`s4://` is no place for a ledger"),
        ("s3:/bucket/x", "two slashes follow the colon"),
        ("postgres://anna:SECRETPW@db/hr?ledger=a", "must not stand there"),
        ("s3://bucket/{portal}", "give it with --portal URL"),
    ] {
        let output = bench.command(&["history", "--ledger", place]).output().expect("run");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{place}: {text}");
        assert!(text.contains(told) && !text.contains("SECRETPW"), "{place}: {text}");
        assert!(output.stdout.is_empty());
    }
    for (place, told) in [
        ("postgres://anna@db/hr?ledger={portal}&sslmode=verify-full", "postgres://db/hr?ledger={portal} "),
        ("postgres://anna:SECRETPW@db/hr?ledger=a", "postgres:\u{2026} "),
        ("s3://bucket/onboard/{portal}", "s3://bucket/onboard/{portal} "),
    ] {
        let output = bench.command(&["config"]).env("ONBOARD_LEDGER", place).output().expect("run");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find(|line| line.contains("ledger ")).unwrap_or_default();
        assert!(line.contains(told.trim_end()) && !text.contains("SECRETPW"), "{place}: {text}");
    }
}
