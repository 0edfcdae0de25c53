//! A person at a terminal: bars, the plan, the question, the interruption.

use std::{fs::File, io::Read, process::Stdio};

use onboard::sandbox::{Config, Sandbox, User};
use rexpect::session::{PtySession, spawn_command};

use crate::bench::{Bench, active, config, messages};

const WAIT_MS: u64 = 20_000;

/// So many users, all active, none of whom becomes an administrator.
fn colleagues(count: u32) -> Vec<User> {
    let all = active(count).into_iter();
    all.map(|user| User { role: onboard::user::EmployeeType::User, ..user }).collect()
}

fn at_terminal(bench: &Bench, portal: &Sandbox, more: &[&str]) -> PtySession {
    let mut command = bench.run_command(portal, more);
    command.env("TERM", "xterm-256color").stdin(Stdio::inherit());
    spawn_command(command, Some(WAIT_MS)).expect("a terminal")
}

/// The type of this is not ours to name, but it shows itself: `Exited(Pid(7), 130)`.
fn exit_status(session: &PtySession) -> i32 {
    let ended = format!("{:?}", session.process().wait().expect("ended"));
    let status = ended.strip_suffix(')').and_then(|text| text.rsplit(", ").next());
    status.and_then(|status| status.parse().ok()).expect(&ended)
}

#[test]
fn the_plan_is_shown_and_nothing_is_sent_without_a_yes() {
    let bench = Bench::new();
    let users = colleagues(30);
    bench.roster(&users);
    let portal = Sandbox::start(config(&users)).expect("a portal");
    for answer in ["n", ""] {
        let mut session = at_terminal(&bench, &portal, &[]);
        session.exp_string("30 people on http://127.0.0.1").expect("the plan");
        session.exp_string("welcome mail for administrators").expect("what mail it is");
        session.exp_string("Go on? [y/N]").expect("the question");
        session.send_line(answer).expect("answered");
        session.exp_string("nothing was sent").expect("told");
        assert_eq!(exit_status(&session), 2);
    }
    assert_eq!(portal.stats().total_requests(), 0);
    let mut session = at_terminal(&bench, &portal, &[]);
    session.exp_string("Go on? [y/N]").expect("the question");
    session.send_line("y").expect("answered");
    session.exp_string("congratulated: the portal accepted it").expect("the summary");
    assert_eq!(exit_status(&session), 0);
    assert_eq!(messages(&portal), 30);
}

/// A yes is given by habit: of many messages, or where somebody becomes an administrator, the number is typed.
#[test]
fn many_messages_and_administrators_need_their_number() {
    let admin =
        [crate::bench::stranger()].map(|user| User { role: onboard::user::EmployeeType::DocSpaceAdmin, ..user });
    for (users, more, number, told) in [
        (colleagues(51), &[][..], "51", "51 people on http://127.0.0.1"),
        (colleagues(60), &["--limit", "55"], "55", "to the first 55 (--limit) of "),
        ([&colleagues(1)[..], &admin].concat(), &[], "2", "1 DocSpaceAdmin"),
    ] {
        let bench = Bench::new();
        bench.roster(&users);
        let portal = Sandbox::start(config(&users)).expect("a portal");
        for answer in ["y", "7", number] {
            let mut session = at_terminal(&bench, &portal, more);
            session.exp_string(told).expect("the plan");
            session.exp_string("From 20").expect("from when");
            session.exp_string(&format!("Type how many messages may leave ({number}): ")).expect("the question");
            assert_eq!(portal.stats().messages.len(), 0);
            session.send_line(answer).expect("answered");
            let seen = session.exp_eof().expect("the end");
            assert!(seen.contains("nothing was sent") != (answer == number), "{seen}");
        }
        assert!(portal.stats().messages.len() + 1 >= number.parse().expect("a number"));
    }
    // So many can be agreed to by a yes.
    let bench = Bench::new();
    bench.roster(&colleagues(50));
    let portal = Sandbox::start(config(&colleagues(50))).expect("a portal");
    let mut session = at_terminal(&bench, &portal, &[]);
    session.exp_string("The mail is the portal's congratulation, to ").expect("the mail and the people");
    session.exp_string("From ").expect("from when");
    session.exp_string("Go on? [y/N]").expect("the question");
    session.send_line("y").expect("answered");
    session.exp_eof().expect("the end");
    assert_eq!(messages(&portal), 50);
}

/// A single message cannot be taken back either; where nobody is due or nothing can be sent, nobody is asked.
#[test]
fn it_is_asked_for_a_single_message_and_only_where_one_may_leave() {
    let bench = Bench::new();
    let users = colleagues(1);
    bench.roster(&users);
    let portal = Sandbox::start(config(&users)).expect("a portal");
    let mut session = at_terminal(&bench, &portal, &["--dry-run"]);
    let seen = session.exp_eof().expect("the end");
    assert!(seen.contains("A dry run") && !seen.contains("Go on?"), "{seen}");
    for (answer, sent) in [("n", 0), ("y", 1)] {
        let mut session = at_terminal(&bench, &portal, &[]);
        session.exp_string("1 person on http://127.0.0.1").expect("the plan");
        session.exp_string("to 1 User.").expect("by employee type");
        session.exp_string("Go on? [y/N]").expect("the question");
        assert_eq!(portal.stats().messages.len(), 0);
        session.send_line(answer).expect("answered");
        session.exp_eof().expect("the end");
        assert_eq!(messages(&portal), sent);
    }
    let mut session = at_terminal(&bench, &portal, &[]);
    let seen = session.exp_eof().expect("the end");
    assert!(!seen.contains("Go on?") && seen.contains("already_sent"), "{seen}");
}

/// Whoever approved the plan was asked, and nobody is asked again.
#[test]
fn a_plan_that_is_carried_out_asks_nothing() {
    let bench = Bench::new();
    let users = active(60);
    bench.roster(&users);
    let portal = Sandbox::start(config(&users)).expect("a portal");
    let plan = ["plan", "users.csv", "-o", "plan.json", "--portal", &portal.origin()];
    bench.onboard(&plan).with(0);
    let mut session = at_terminal(&bench, &portal, &["--plan", "plan.json"]);
    let seen = session.exp_eof().expect("the end");
    assert!(!seen.contains("Go on?"), "{seen}");
    assert_eq!((exit_status(&session), messages(&portal)), (0, 60));
}

#[test]
fn bars_are_drawn_and_ctrl_c_leaves_a_summary() {
    let bench = Bench::new();
    let users = active(400);
    bench.roster(&users);
    let latency = (std::time::Duration::from_millis(20), std::time::Duration::from_millis(40));
    let portal = Sandbox::start(Config { latency, ..config(&users) }).expect("a portal");
    let mut session = at_terminal(&bench, &portal, &["--yes"]);
    session.exp_string("rows settled").expect("bars");
    while portal.stats().messages.len() < 20 {
        std::thread::yield_now();
    }
    session.send_control('c').expect("sent");
    session.exp_string("a second signal stops at once").expect("told");
    session.exp_string("Stopped as asked").expect("the summary");
    assert_eq!(exit_status(&session), 130);
    assert_eq!(bench.outcomes()["sent"], messages(&portal));
}

#[test]
fn no_bars_on_a_dumb_terminal() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = Sandbox::start(config(&users)).expect("a portal");
    let mut command = bench.run_command(&portal, &["--yes"]);
    command.env("TERM", "dumb").stdin(Stdio::inherit());
    let mut session = spawn_command(command, Some(WAIT_MS)).expect("a terminal");
    let seen = session.exp_eof().expect("the end");
    assert!(!seen.contains('\u{1b}'), "{seen:?}");
    assert!(seen.contains("congratulated"));
}

#[test]
fn no_bars_under_ci_though_there_is_a_terminal() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = Sandbox::start(config(&users)).expect("a portal");
    for ci in ["true", "1"] {
        let mut command = bench.run_command(&portal, &["--yes", "--ledger", "ledger.db"]);
        command.env("TERM", "xterm-256color").env("CI", ci).stdin(Stdio::inherit());
        let mut session = spawn_command(command, Some(WAIT_MS)).expect("a terminal");
        let seen = session.exp_eof().expect("the end");
        assert!(!seen.contains('\u{1b}'), "{seen:?}");
        assert!(seen.contains("congratulated"));
    }
}

/// Closed while bars and log lines are written to it, as when a connection or a window breaks away under a job that
/// ignores the hangup.
#[test]
fn a_terminal_that_goes_away_ends_nothing() {
    let bench = Bench::new();
    let users = active(400);
    bench.roster(&users);
    let latency = (std::time::Duration::from_millis(20), std::time::Duration::from_millis(40));
    let portal = Sandbox::start(Config { latency, ..config(&users) }).expect("a portal");
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    // A copy is closed in what is started, where the one that the library makes stays open.
    let mut master = File::from(pty.master.try_clone().expect("a copy"));
    drop(pty.master);
    let mut command = bench.run_command(&portal, &["--yes", "-v"]);
    command.env("TERM", "xterm-256color").stderr(pty.slave);
    let mut child = command.spawn().expect("started");
    // The command holds the other end, too.
    drop(command);
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains("rows settled") {
        let read = master.read(&mut piece).expect("read");
        seen.extend_from_slice(&piece[..read]);
    }
    drop(master);
    let at_that_time = messages(&portal);
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert!(at_that_time < 400, "it went away in the middle");
    assert_eq!(bench.outcomes(), [("sent".to_owned(), 400)].into());
    assert_eq!(messages(&portal), 400);
}

/// A shell at a terminal, with what it needs to reach the portal.
fn shell(bench: &Bench, portal: &Sandbox, script: &str) -> PtySession {
    bench.key_of(portal);
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", script]).current_dir(bench.path("")).env_clear().env("PATH", "/usr/bin:/bin");
    command.env("HOME", bench.path("")).env("TERM", "xterm-256color").env("ONBOARD", env!("CARGO_BIN_EXE_onboard"));
    command.env("ONBOARD_PORTAL", portal.origin()).env("ONBOARD_API_KEY_FILE", "key");
    spawn_command(command, Some(WAIT_MS)).expect("a terminal")
}

#[test]
fn what_comes_through_a_pipe_is_asked_about_on_the_terminal() {
    let bench = Bench::new();
    let portal = Sandbox::start(config(&colleagues(30))).expect("a portal");
    for (script, answer, status, sent) in [
        ("\"$ONBOARD\" export | \"$ONBOARD\" run -", "n", 2, 0),
        ("\"$ONBOARD\" export | \"$ONBOARD\" run -", "", 2, 0),
        ("\"$ONBOARD\" export -o all.csv; \"$ONBOARD\" run all.csv < /dev/null", "n", 2, 0),
        ("\"$ONBOARD\" export | \"$ONBOARD\" run -", "y", 0, 30),
        ("\"$ONBOARD\" export | \"$ONBOARD\" run - --resend --yes", "", 0, 30),
    ] {
        let mut session = shell(&bench, &portal, script);
        if !script.contains("--yes") {
            session.exp_string("Go on? [y/N]").expect("the question");
            assert_eq!(portal.stats().messages.len(), 0);
            session.send_line(answer).expect("answered");
        }
        let seen = session.exp_eof().expect("the end");
        assert_eq!(exit_status(&session), status, "{script}: {seen}");
        assert_eq!(portal.stats().messages.len(), sent, "{script}: {seen}");
    }
    bench.write("people.csv", "email,employee_type\nnew@example.com,User\n");
    let mut session = shell(&bench, &portal, "cat people.csv | \"$ONBOARD\" invite - -o p.csv");
    session.exp_string("Go on? [y/N]").expect("the question");
    session.send_line("n").expect("answered");
    session.exp_string("nothing was sent").expect("told");
    assert_eq!(portal.stats().invitations.len(), 0);
}

/// A terminal to be seen on, and none to answer from: then nobody has agreed.
#[cfg(target_os = "linux")]
#[test]
fn nothing_is_sent_where_a_question_is_seen_and_cannot_be_answered() {
    let bench = Bench::new();
    let users = active(30);
    bench.roster(&users);
    let portal = Sandbox::start(config(&users)).expect("a portal");
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    let mut master = File::from(pty.master.try_clone().expect("a copy"));
    drop(pty.master);
    let run = bench.run_command(&portal, &[]);
    // In a session of its own it has no terminal of its own.
    let mut command = std::process::Command::new("setsid");
    command.arg(run.get_program()).args(run.get_args()).current_dir(bench.path("")).stdin(Stdio::null());
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", bench.path("")).stderr(pty.slave);
    let mut child = command.spawn().expect("started");
    drop(command);
    let mut seen = Vec::new();
    // A terminal ends with an error on this side.
    let _gone = master.read_to_end(&mut seen);
    assert_eq!(child.wait().expect("ended").code(), Some(2));
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("--yes") && seen.contains("Nothing was sent"), "{seen}");
    assert_eq!(portal.stats().total_requests(), 0);
}
