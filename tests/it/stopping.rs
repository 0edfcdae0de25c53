//! Signals, closed outputs, kills: nothing is lost, nobody is congratulated twice.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    time::Duration,
};

use onboard::sandbox::{Config, Sandbox};

use crate::bench::{Bench, active, config, messages, portal};

fn slow(users: &[onboard::sandbox::User]) -> Sandbox {
    Sandbox::start(Config { latency: (Duration::from_millis(5), Duration::from_millis(15)), ..config(users) })
        .expect("a portal")
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().expect("kill");
    assert!(status.success());
}

/// Until the portal had so many messages.
fn after(portal: &Sandbox, count: usize) {
    while portal.stats().messages.len() < count {
        std::thread::yield_now();
    }
}

#[cfg(unix)]
#[test]
fn a_signal_lets_what_is_in_flight_finish_and_leaves_whole_results() {
    for (name, status) in [("INT", 130), ("TERM", 143), ("HUP", 143)] {
        let bench = Bench::new();
        let users = active(300);
        bench.roster(&users);
        let portal = slow(&users);
        let mut child = bench.run_command(&portal, &[]).stderr(Stdio::piped()).spawn().expect("started");
        after(&portal, 20);
        signal(&child, name);
        assert_eq!(child.wait().expect("ended").code(), Some(status), "{name}");
        let outcomes = bench.outcomes();
        let sent = outcomes["sent"];
        assert_eq!(sent, messages(&portal), "what the results say is true of the portal: {outcomes:?}");
        assert_eq!(outcomes.get("unknown"), None);
        assert_eq!(sent + outcomes["not_attempted"], 300);
        bench.run(&portal, &[]).with(0);
        assert_eq!(messages(&portal), 300);
    }
}

/// Until the program has said this.
fn until_said(child: &mut Child, text: &str) -> std::process::ChildStderr {
    let mut err = child.stderr.take().expect("piped");
    let mut said = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&said).contains(text) {
        assert_eq!(err.read(&mut byte).expect("read"), 1, "{}", String::from_utf8_lossy(&said));
        said.extend(byte);
    }
    err
}

/// The kernel says so, and then the shell: that is no second wish. Nor is it one when a person then asks for the end.
#[cfg(unix)]
#[test]
fn a_terminal_that_goes_away_twice_lets_what_is_in_flight_finish() {
    for more in [&["HUP"][..], &["HUP", "TERM"]] {
        let bench = Bench::new();
        let users = active(60);
        bench.roster(&users);
        // So long that some are in flight when the next signal comes.
        let latency = (Duration::from_millis(300), Duration::from_millis(300));
        let portal = Sandbox::start(Config { latency, ..config(&users) }).expect("a portal");
        let mut child = bench.run_command(&portal, &[]).stderr(Stdio::piped()).spawn().expect("started");
        after(&portal, 15);
        signal(&child, "HUP");
        let _err = until_said(&mut child, "a second signal stops at once");
        for name in more {
            signal(&child, name);
        }
        assert_eq!(child.wait().expect("ended").code(), Some(143), "{more:?}");
        let outcomes = bench.outcomes();
        assert_eq!(outcomes.get("unknown"), None, "{outcomes:?}");
        assert_eq!(outcomes["sent"], messages(&portal));
    }
}

#[cfg(unix)]
#[test]
fn a_second_signal_stops_at_once_and_still_loses_nothing() {
    let bench = Bench::new();
    let users = active(60);
    bench.roster(&users);
    // From the tenth congratulation on there is no answer, though it has its effect.
    let mut faults = Vec::new();
    for number in 10..=60 {
        faults.push(format!("congratulation:stall-after:#{number}").parse().expect("a fault"));
    }
    let portal = Sandbox::start(Config { faults, ..config(&users) }).expect("a portal");
    let mut child =
        bench.run_command(&portal, &["--timeout", "10min"]).stderr(Stdio::piped()).spawn().expect("started");
    after(&portal, 20);
    signal(&child, "INT");
    // The second one is for a program that has said that it is stopping.
    let _err = until_said(&mut child, "a second signal stops at once");
    signal(&child, "INT");
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    let outcomes = bench.outcomes();
    assert!(outcomes["unknown"] >= 11 && outcomes["unknown"] <= 15, "{outcomes:?}");
    assert_eq!(outcomes["sent"] + outcomes["unknown"] + outcomes["not_attempted"], 60);
    messages(&portal);
}

#[cfg(unix)]
#[test]
fn a_closed_output_loses_nothing() {
    let bench = Bench::new();
    let users = active(50);
    bench.roster(&users);
    let portal = portal(&users);
    let mut child = bench
        .run_command(&portal, &["-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert_eq!(messages(&portal), 50);
    bench.run(&portal, &[]).with(0);
    assert_eq!(bench.outcomes()["already_sent"], 50);
}

/// All rows sent, nothing unknown, exit status 0: whatever became of the log.
#[track_caller]
fn assert_whole(bench: &Bench, portal: &Sandbox, mut child: Child, users: usize) {
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert_eq!(bench.outcomes(), [("sent".to_owned(), users)].into());
    assert_eq!(messages(portal), users);
}

#[cfg(unix)]
#[test]
fn a_reader_of_the_log_that_has_seen_enough_ends_nothing() {
    for format in ["text", "json"] {
        let bench = Bench::new();
        let users = active(200);
        bench.roster(&users);
        let portal = slow(&users);
        let mut command = bench.run_command(&portal, &["-v", "--log-format", format]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("started");
        let mut err = child.stderr.take().expect("piped");
        err.read_exact(&mut [0; 40]).expect("read");
        drop(err);
        assert_whole(&bench, &portal, child, 200);
    }
}

#[cfg(unix)]
#[test]
fn a_reader_of_the_log_that_reads_nothing_does_not_stop_the_run_nor_its_end() {
    let bench = Bench::new();
    // More lines than a pipe holds.
    let users = active(1500);
    bench.roster(&users);
    let portal = portal(&users);
    let mut command = bench.run_command(&portal, &["-vv", "--rate", "100000/s"]);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("started");
    let unread = child.stderr.take();
    assert_whole(&bench, &portal, child, 1500);
    drop(unread);
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_has_no_room_ends_nothing() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("opened");
    for more in [&["-v"][..], &["-v", "--progress", "plain"], &["-vv", "--log-file", "/dev/full"]] {
        let bench = Bench::new();
        let users = active(50);
        bench.roster(&users);
        let portal = portal(&users);
        let child = bench.run_command(&portal, more).stderr(full()).spawn().expect("started");
        assert_whole(&bench, &portal, child, 50);
    }
    let bench = Bench::new();
    bench.roster(&active(3));
    let portal = portal(&active(3));
    let ended = bench.run(&portal, &["-v", "--log-file", "/dev/full"]).with(0);
    assert!(ended.said().contains("warning: the log file is not whole"), "{}", ended.err);
}

#[cfg(unix)]
#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    for name in ["HUP", "INT", "TERM"] {
        let bench = Bench::new();
        let users = active(300);
        bench.roster(&users);
        let portal = slow(&users);
        let run = bench.run_command(&portal, &[]);
        // What nohup does, and a shell to what it starts in the background.
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("trap '' {name}; exec \"$0\" \"$@\"")).arg(run.get_program()).args(run.get_args());
        shell.current_dir(bench.path("")).env_clear().env("HOME", bench.path("")).stdin(Stdio::null());
        let child = shell.stderr(Stdio::null()).spawn().expect("started");
        after(&portal, 20);
        signal(&child, name);
        assert_whole(&bench, &portal, child, 300);
    }
}

/// Every command whose output a reader may close early.
#[test]
fn a_reader_of_the_output_that_has_seen_enough_is_no_error() {
    let bench = Bench::new();
    let users = active(120);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &["--ledger", "ledger.db"]).with(0);
    let origin = portal.origin();
    let at = ["--portal", &origin];
    let (key, ledger) = (["--api-key-file", "key"], ["--ledger", "ledger.db"]);
    let commands: Vec<Vec<&str>> = vec![
        [&["export"][..], &at, &key].concat(),
        [&["doctor", "--json"][..], &at, &key, &ledger].concat(),
        [&["doctor"][..], &at, &key, &ledger].concat(),
        [&["plan", "users.csv"][..], &at, &ledger].concat(),
        [&["plan", "users.csv", "--json"][..], &at, &ledger].concat(),
        [&["history"][..], &ledger].concat(),
        [&["history", "--users", "--format", "csv"][..], &ledger].concat(),
        [&["history", "--users", "--format", "json"][..], &ledger].concat(),
        [&["run", "users.csv", "-o", "-"][..], &at, &key, &ledger].concat(),
        [&["run", "users.csv", "--summary-json", "-"][..], &at, &key, &ledger].concat(),
        vec!["check", "users.csv"],
        vec!["check", "users.csv", "--format", "json"],
        vec!["report", "users.results.csv"],
        vec!["template"],
        vec!["config"],
        vec!["config", "--json"],
        vec!["completions", "bash"],
        vec!["man"],
        vec!["--help"],
        vec!["--version"],
    ];
    for args in commands {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended: crate::bench::Ended =
            bench.command(&args).stdout(writer).stderr(Stdio::piped()).output().expect("the program runs").into();
        assert_eq!(ended.status, 0, "{args:?}: {}", ended.err);
        assert!(
            !ended.err.to_lowercase().contains("pipe") && !ended.err.contains("panicked"),
            "{args:?}: {}",
            ended.err
        );
    }
}

#[test]
fn a_pipe_in_and_a_pipe_out() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    bench.key_of(&portal);
    let roster = std::fs::File::open(bench.path("users.csv")).expect("opened");
    let origin = portal.origin();
    let output = bench
        .command(&["run", "-", "-o", "-", "--portal", &origin, "--api-key-file", "key"])
        .stdin(roster)
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(0));
    let out = String::from_utf8(output.stdout).expect("text");
    assert_eq!(out.lines().count(), 3, "{out}");
    assert!(out.starts_with(
        "row,user_id,employee_type,invite_link,active,congratulation,attempts,completed_at,detail,name\n"
    ));
}

/// Kills at random instants until the job is done; `ONBOARD_TORTURE=N` runs N seeds.
#[cfg(unix)]
#[test]
fn torture_no_kill_makes_a_second_message_or_loses_a_row() {
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    #[expect(clippy::disallowed_methods, reason = "how many seeds is said in the environment")]
    let seeds: u64 = std::env::var("ONBOARD_TORTURE").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    for seed in 0..seeds {
        let mut random = StdRng::seed_from_u64(seed);
        let bench = Bench::new();
        let users = active(200);
        bench.roster(&users);
        let portal = Sandbox::start(Config {
            latency: (Duration::ZERO, Duration::from_millis(random.random_range(1..20))),
            seed,
            ..config(&users)
        })
        .expect("a portal");
        let mut kills = 0;
        loop {
            let mut child = bench
                .run_command(&portal, &["--ledger", "l.db", "--rate", "100000/s"])
                .stderr(Stdio::null())
                .spawn()
                .expect("started");
            let had = portal.stats().messages.len();
            // Killed once the portal had so many more messages: an instant that depends on nothing but the seed and the run.
            let more = random.random_range(0..60);
            let mut spins = 0_u32;
            let ended = loop {
                if let Some(status) = child.try_wait().expect("waited") {
                    break Some(status);
                }
                spins += 1;
                if portal.stats().messages.len() >= had + more && spins > random.random_range(0..2000) {
                    child.kill().expect("killed");
                    child.wait().expect("ended");
                    kills += 1;
                    break None;
                }
            };
            messages(&portal);
            if let Some(status) = ended {
                assert!(matches!(status.code(), Some(0 | 1)), "seed {seed}: {status}");
                break;
            }
        }
        let outcomes = bench.outcomes();
        let unknown = outcomes.get("unknown").copied().unwrap_or(0);
        let settled: usize =
            ["sent", "already_sent", "unknown"].iter().filter_map(|outcome| outcomes.get(*outcome)).sum();
        assert_eq!(settled, 200, "seed {seed}: {outcomes:?}");
        assert!(unknown <= kills * 15, "seed {seed}: {unknown} unknown after {kills} kills");
        let had = portal.stats().messages;
        for row in bench.results() {
            if row["congratulation"] != "unknown" {
                assert_eq!(had.get(&row["user_id"]), Some(&1), "seed {seed}: {row:?}");
            }
        }
    }
}

/// A run under a shell's limits: with few file handles it has its results all the same, and the size that files may have
/// is told as what it is.
#[cfg(unix)]
#[test]
fn the_limits_of_a_shell_end_no_run_unsaid() {
    let users = active(60);
    for (limits, status) in [("ulimit -Sn 24", 0), ("ulimit -n 24", 0), ("ulimit -f 100", 5)] {
        let bench = Bench::new();
        bench.roster(&users);
        let portal = portal(&users);
        let run = bench.run_command(&portal, &["--max-writes", "8", "--events", "events.jsonl", "--ledger", "l.db"]);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")]).arg(run.get_program()).args(run.get_args());
        shell.current_dir(bench.path("")).env_clear().env("HOME", bench.path(""));
        let ended: crate::bench::Ended = shell.output().expect("runs").into();
        assert_eq!(ended.status, status, "{limits}: {}", ended.err);
        if status == 0 {
            assert_eq!((messages(&portal), bench.outcomes()["sent"]), (60, 60), "{limits}");
        } else {
            assert!(ended.said().contains("Storage failed") || ended.said().contains("too large"), "{}", ended.err);
        }
    }
}

/// A job's time limit is hard: the run ends before it, whole, and the next one goes on.
#[test]
fn a_run_ends_by_itself_when_its_time_is_over() {
    let bench = Bench::new();
    let users = active(10);
    bench.roster(&users);
    let portal = portal(&users);
    // The window is full long before everybody was congratulated.
    let slow = ["--rate", "9/h", "--max-duration", "2s", "--progress", "plain", "--summary-json", "s.json"];
    let ended = bench.run(&portal, &slow).with(4);
    let said = ended.said();
    assert!(said.contains("Stopped after 2 s, as --max-duration asks; what was in flight is recorded."), "{said}");
    assert!(said.contains("--max-duration is over"), "{said}");
    let summary: serde_json::Value = serde_json::from_str(&bench.read("s.json")).expect("JSON");
    assert_eq!(summary["stopped_code"], "limit_time");
    let sent = messages(&portal);
    assert!(sent < 10);
    let outcomes = bench.outcomes();
    assert_eq!(outcomes.get("sent").copied().unwrap_or_default(), sent);
    assert_eq!(outcomes["not_attempted"], 10 - sent);
    let late = bench.results().into_iter().find(|row| row["congratulation"] == "not_attempted").expect("a row");
    assert!(late["detail"].starts_with("the run ended before this row, as --max-duration asks"), "{late:?}");
    // Time enough: it makes no difference. The window of the run before is another one's.
    let other = bench.onboard(&["run", "users.csv", "--sandbox", "--max-duration", "1h"]);
    other.with(0);
    for none in ["0s", "soon"] {
        assert!(bench.run(&portal, &["--max-duration", none]).with(2).said().contains("--max-duration"));
    }
}
