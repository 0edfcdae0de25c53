//! No secret is shown: not by any command, at any verbosity, whatever a portal echoes.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use crate::bench::{Bench, active, config, serving};
use onboard::sandbox::{Config, Sandbox};

const KEY: &str = "sk-5f1d0c9b8a7e6f5d4c3b2a190817263544536271809fabcdef0123456789abcd";
/// One that tests type where it does not belong: other tests look for theirs in the list of all processes.
const MISPLACED: &str = "sk-90ab1d0c9b8a7e6f5d4c3b2a190817263544536271809fabcdef0123456789cd";
const MACHINE_KEY: &str = "Qx7vWZp2kJ-sKf93hdL0b.Tn5";

/// Everything that was shown or written, to be searched.
#[derive(Default)]
struct Shown(String);

impl Shown {
    fn run(&mut self, bench: &Bench, args: &[&str], environment: &[(&str, &str)]) {
        let output = bench.command(args).envs(environment.iter().copied()).output().expect("the program runs");
        for bytes in [output.stdout, output.stderr] {
            self.0.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    fn files(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).expect("listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.files(&path);
            } else {
                self.0.push_str(&path.to_string_lossy());
                self.0.push_str(&String::from_utf8_lossy(&std::fs::read(path).expect("read")));
            }
        }
    }

    #[track_caller]
    fn holds_nothing_of(&self, secret: &str) {
        for start in 0..=secret.len() - 8 {
            let piece = &secret[start..start + 8];
            let at = self.0.find(piece);
            let around = at.map(|at| self.0.get(at.saturating_sub(200)..at + 80).unwrap_or(piece));
            assert_eq!(around, None, "`{piece}` was shown");
        }
    }
}

const VERBOSITIES: [&[&str]; 6] =
    [&["-q"], &[], &["-v"], &["-vv"], &["-vv", "--log-format", "json"], &["-vv", "--log-file", "log.txt"]];

#[test]
fn no_output_and_no_file_of_a_run_holds_a_key() {
    let bench = Bench::new();
    let users = active(8);
    bench.roster(&users);
    let portal = Sandbox::start(Config {
        machine_key: Some(MACHINE_KEY.to_owned()),
        faults: vec!["user:error:30%".parse().expect("a fault"), "link:forbid:#1".parse().expect("a fault")],
        ..config(&users)
    })
    .expect("a portal");
    bench.write("machinekey", MACHINE_KEY);
    bench.key_of(&portal);
    let origin = portal.origin();
    let mut shown = Shown::default();
    for more in VERBOSITIES {
        for key in [&[][..], &["--sign-with", "machinekey"]] {
            let run = ["run", "users.csv", "--portal", &origin, "--api-key-file", "key", "--events", "events.jsonl"];
            shown.run(&bench, &[&run[..], more, key].concat(), &[]);
        }
    }
    std::fs::remove_file(bench.path("key")).expect("removed");
    std::fs::remove_file(bench.path("machinekey")).expect("removed");
    shown.files(&bench.path(""));
    shown.holds_nothing_of(portal.api_key());
    shown.holds_nothing_of(MACHINE_KEY);
    assert!(!shown.0.contains("Key="));
    // What is logged is there, so that the search searched something.
    assert!(shown.0.contains("row settled") && shown.0.contains("answered") && shown.0.contains("already_sent"));
}

/// What an echoing portal learned: keys that were signed for it, and whether a process list had the API key in it.
#[derive(Default)]
struct Learned {
    signed: Vec<String>,
    listed: bool,
}

/// Answers everything with an error that tells back what came, the key included; users are active where `lets_ask`.
fn echo(head: &str, lets_ask: bool, learned: &Mutex<Learned>) -> Vec<u8> {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let mut learned = learned.lock().expect("whole");
    learned.signed.extend(path.split_once("&Key=").map(|(_, key)| key.to_owned()));
    learned.listed |= process_list().contains(KEY);
    let (status, body) = match path.strip_prefix("/api/2.0/portal/users/") {
        Some(id) if lets_ask && !id.contains('/') => {
            let user = serde_json::json!({ "id": id, "isActive": true, "status": 1 });
            (200, serde_json::json!({ "response": user, "status": 0, "statusCode": 200 }))
        }
        _ => {
            let status = if path.starts_with("/api/2.0/people") { 403 } else { 400 };
            let said = head.replace("\r\n", " ");
            let error = serde_json::json!({ "message": said, "stack": said, "type": said });
            (status, serde_json::json!({ "error": error, "status": 1, "statusCode": status }))
        }
    };
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nX-Echo: {KEY}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .into()
}

/// The command lines of all processes, where they can be read like that.
fn process_list() -> String {
    let Ok(processes) = std::fs::read_dir("/proc") else { return String::new() };
    let lines = processes.filter_map(|process| std::fs::read(process.ok()?.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}

#[test]
fn no_command_shows_a_key_that_the_portal_tells_back() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    bench.write("people.csv", "email,employee_type\nnew@example.com,User\n");
    bench.write("old.csv", "user_id,employee_type\n66faa6e4-f133-11ea-b126-00ffeec8b4ef,User\n");
    let mut shown = Shown::default();
    for lets_ask in [false, true] {
        let learned = Arc::new(Mutex::new(Learned::default()));
        let told = Arc::clone(&learned);
        let origin = serving(move |head| echo(head, lets_ask, &told), false).origin;
        let user = users[0].id.to_string();
        for (number, more) in VERBOSITIES.into_iter().enumerate() {
            bench.write("key", KEY);
            bench.write("machinekey", MACHINE_KEY);
            #[cfg(unix)]
            for name in ["key", "machinekey"] {
                let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                std::fs::set_permissions(bench.path(name), owner).expect("changed");
            }
            // In turn: from a file, from a command, from the environment.
            let (source, environment): (&[&str], &[(&str, &str)]) = match number % 3 {
                0 => (&["--api-key-file", "key"], &[]),
                1 => (&["--api-key-command", "cat key"], &[]),
                _ => (&[], &[("ONBOARD_API_KEY", KEY)]),
            };
            let to = [&["--portal", &origin, "--timeout", "5s"], source].concat();
            let asking: [&[&str]; 7] = [
                &["run", "users.csv", "--retries", "0"],
                &[
                    "run",
                    "users.csv",
                    "--retries",
                    "0",
                    "--sign-with",
                    "machinekey",
                    "--tenant",
                    "1",
                    "--report",
                    "r.html",
                ],
                &["doctor"],
                &["doctor", "--json"],
                &["export"],
                &["invite", "people.csv", "--yes"],
                &["invite", "people.csv", "--yes", "--resend-pending"],
            ];
            for args in asking {
                shown.run(&bench, &[args, &to, more].concat(), environment);
            }
            let alone: [&[&str]; 12] = [
                &["plan", "users.csv", "--json"],
                &["check", "users.csv"],
                &["template"],
                &["history"],
                &["history", "--users", "--format", "json"],
                &["history", &user],
                &["settle", &user, "--as", "sent", "--portal", &origin],
                &["report", "users.results.csv", "-o", "page.html", "--links"],
                &["config"],
                &["completions", "bash"],
                &["man"],
                &["run", "users.csv", "--sandbox", "-o", "tried.csv"],
            ];
            for args in alone {
                shown.run(&bench, &[args, more].concat(), &[("ONBOARD_API_KEY", KEY), ("ONBOARD_PORTAL", &origin)]);
            }
            std::fs::remove_file(bench.path("key")).expect("removed");
            std::fs::remove_file(bench.path("machinekey")).expect("removed");
            shown.files(&bench.path(""));
        }
        let learned = learned.lock().expect("whole");
        assert!(!learned.listed, "the key stood in a process list");
        assert_eq!(lets_ask, learned.signed.iter().any(|key| key.contains('.')), "signed keys were sent where due");
        for key in learned.signed.iter().filter(|key| key.contains('.')) {
            shown.holds_nothing_of(key);
        }
    }
    shown.holds_nothing_of(KEY);
    shown.holds_nothing_of(MACHINE_KEY);
    assert!(shown.0.contains("[redacted]"), "what was told back was shown, masked");
}

/// Whoever puts a password into an address, or a key in place of its file, does not read it again.
#[test]
fn a_secret_given_by_mistake_is_never_told_back() {
    let bench = Bench::new();
    bench.roster(&active(1));
    bench.write("people.csv", "email,employee_type\nnew@example.com,User\n");
    bench.write("key", MISPLACED);
    let with_password = "https://admin:SECRETPW@portal.example.com";
    let good: [&str; 2] = ["--portal", "https://portal.example.com"];
    let mut shown = Shown::default();
    for command in [
        &["run", "users.csv"][..],
        &["plan", "users.csv"],
        &["doctor"],
        &["history"],
        &["export"],
        &["invite", "people.csv"],
    ] {
        shown.run(&bench, &[command, &["--portal", with_password]].concat(), &[]);
        shown.run(&bench, command, &[("ONBOARD_PORTAL", with_password)]);
        shown.run(&bench, &[command, &["--help"]].concat(), &[("ONBOARD_PORTAL", with_password)]);
        shown.run(&bench, &[command, &["-h"]].concat(), &[("ONBOARD_PORTAL", with_password)]);
    }
    let run = [&["run", "users.csv"][..], &good].concat();
    let with_key = [&run[..], &["--api-key-file", "key", "--retries", "0"]].concat();
    for more in [
        &["--formerly", "https://a:SECRETPW@old.example.com"][..],
        &["--proxy", "http://u:SECRETPW@127.0.0.1:1"],
        &["--proxy", "u:SECRETPW@127.0.0.1:1"],
        &["--proxy", "socks5://u:SECRETPW@127.0.0.1:1"],
    ] {
        shown.run(&bench, &[&with_key[..], more].concat(), &[]);
    }
    for proxy in ["http://u:SECRETPW@127.0.0.1:1", "u:SECRETPW@127.0.0.1:1", "http://u:SECRETPW@:bad:", "u:SECRETPW"] {
        shown.run(&bench, &with_key, &[("HTTPS_PROXY", proxy)]);
        shown.run(&bench, &[&["doctor", "--api-key-file", "key"][..], &good].concat(), &[("HTTPS_PROXY", proxy)]);
    }
    for command in [&["config"][..], &["config", "--json"]] {
        shown.run(&bench, command, &[("ONBOARD_PORTAL", with_password)]);
        shown.run(&bench, command, &[("ONBOARD_LEDGER", "postgres://u:SECRETPW@127.0.0.1/onboard")]);
        shown.run(&bench, command, &[("ONBOARD_API_KEY_FILE", MISPLACED)]);
    }
    for settings in [
        "proxy = \"http://u:SECRETPW@127.0.0.1:3128\"\n",
        "portal = \"https://u:SECRETPW@portal.example.com\"\n",
        "formerly = [\"https://u:SECRETPW@old.example.com\"]\n",
        "api-key-command = \"curl -u me:SECRETPW https://vault.example.com\"\n",
        "[portal.x]\nurl = \"https://u:SECRETPW@portal.example.com\"\n",
    ] {
        bench.write("onboard.toml", settings);
        for command in [&["config"][..], &["config", "--json"], &["run", "--help"], &["run", "users.csv"], &["history"]]
        {
            shown.run(&bench, command, &[]);
            shown.run(&bench, &[command, &["--profile", "x"]].concat(), &[]);
        }
    }
    std::fs::remove_file(bench.path("onboard.toml")).expect("removed");
    shown.holds_nothing_of("SECRETPW");
    for more in [
        &["--api-key-file", MISPLACED][..],
        &["--api-key-file", "key", "--sign-with", MACHINE_KEY],
        &[MISPLACED],
        &["--api-key", MISPLACED],
    ] {
        shown.run(&bench, &[&run[..], more].concat(), &[]);
    }
    shown.run(&bench, &[MISPLACED], &[]);
    shown.run(&bench, &["run", MISPLACED, "--sandbox"], &[]);
    shown.run(&bench, &run, &[("ONBOARD_API_KEY_FILE", MISPLACED)]);
    shown.run(&bench, &["run", "--help"], &[("ONBOARD_API_KEY_FILE", MISPLACED), ("ONBOARD_SIGN_WITH", MISPLACED)]);
    shown.holds_nothing_of(MISPLACED);
    shown.holds_nothing_of(MACHINE_KEY);
    assert!(shown.0.contains("looks like the API key itself"), "{}", shown.0);
    assert!(shown.0.contains("[redacted]@portal.example.com"), "{}", shown.0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_crash_leaves_no_core_dump() {
    let bench = Bench::new();
    let mut child =
        bench.command(&["sandbox", "--port", "0"]).stdout(std::process::Stdio::piped()).spawn().expect("started");
    let mut first = [0; 1];
    child.stdout.as_mut().expect("piped").read_exact(&mut first).expect("it serves");
    let limits = std::fs::read_to_string(PathBuf::from(format!("/proc/{}/limits", child.id()))).expect("read");
    child.kill().expect("killed");
    child.wait().expect("ended");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("the limit");
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
}

/// A key is short; what never ends is not read to its end.
#[cfg(unix)]
#[test]
fn what_never_ends_is_no_key_and_no_settings() {
    let bench = Bench::new();
    bench.write("users.csv", "user_id,employee_type\n");
    bench.write("key", "sk-0123456789abcdef");
    let run = ["run", "users.csv", "--portal", "http://127.0.0.1:9"];
    for (more, said) in [
        (&["--api-key-file", "/dev/zero"][..], "the API key is longer than 4096 bytes"),
        (&["--api-key-command", "yes"], "the API key is longer than 4096 bytes"),
        (&["--api-key-file", "key", "--sign-with", "/dev/zero"], "the machine key is longer than 4096 bytes"),
        (&["--api-key-file", "key", "--config", "/dev/zero"], "it is larger than 1048576 bytes"),
        (&["--api-key-file", "key", "--ca-file", "/dev/zero"], "it is larger than 16777216 bytes"),
    ] {
        let ended = bench.onboard(&[&run[..], more].concat()).with(2);
        assert!(ended.said().contains(said), "{more:?}: {}", ended.err);
    }
}
