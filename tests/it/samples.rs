//! The samples' own commands, read from the samples and run by bash as a runner does: what a job that was cancelled, killed
//! or lost leaves is all that the next one has, and nobody gets two messages, and nobody is lost. A folder stands in the
//! bucket's place, and each job has a home of its own, which is gone with it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        fs::PermissionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use onboard::sandbox::{Config, Sandbox};
use serde_json::{Map, Value};

use crate::{
    bench::{Bench, Row, active, config, messages, rows_of},
    ledger_elsewhere::somebody_takes_over,
};

const GITHUB: &str = include_str!("../../samples/ci/github-actions.yml");
const GITLAB: &str = include_str!("../../samples/ci/gitlab-ci.yml");
const SERVICE: &str = include_str!("../../samples/systemd/onboard.service");
const MACHINE_KEY: &str = "the-machine-key-of-this-portal";
const TOKEN: &str = "a.token.of-this-job";
/// So many people that a run is in its middle for long, and so few messages before a kill that it certainly is.
const PEOPLE: u32 = 300;
const BEFORE_THE_KILL: usize = 40;

/// What became of a job.
struct Done {
    /// How the step that sends ended; none where the job did not get so far.
    sent: Option<ExitStatus>,
    /// Whether every step that ran ended well.
    is_green: bool,
    said: String,
    results: Vec<Row>,
}

impl Done {
    fn outcomes(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for row in &self.results {
            *counts.entry(row["congratulation"].clone()).or_default() += 1;
        }
        counts
    }
}

/// What happens to a job in the middle of its messages.
#[derive(Clone, Copy)]
struct Trouble {
    signal: &'static str,
    /// Whether the machine goes with it, so that no later step runs.
    is_lost: bool,
}

const fn stopped(signal: &'static str) -> Trouble {
    Trouble { signal, is_lost: false }
}

type Job = fn(&Bench, &Sandbox, usize, Option<Trouble>) -> Done;

// ---- what all samples hold ----

/// A portal that takes signed keys alone. Where it is to be killed, one answer never comes: so the run cannot have ended.
fn signed(bench: &Bench, may_end: bool) -> Sandbox {
    let users = active(PEOPLE);
    bench.roster(&users);
    let fault = format!("congratulation:stall-after:#{BEFORE_THE_KILL}").parse().expect("a fault");
    let portal = Sandbox::start(Config {
        machine_key: Some(MACHINE_KEY.to_owned()),
        latency: (Duration::from_millis(5), Duration::from_millis(15)),
        faults: if may_end { Vec::new() } else { vec![fault] },
        ..config(&users)
    })
    .expect("a portal");
    bench.key_of(&portal);
    bench.write("machinekey", MACHINE_KEY);
    portal
}

/// A first job that is stopped in its middle in each way, and two more from what it kept.
fn assert_nobody_twice_and_nobody_lost(set_up: fn(&Bench), job: Job) {
    for (signal, status) in [("INT", Some(130)), ("TERM", Some(143)), ("KILL", None)] {
        let bench = Bench::new();
        let portal = signed(&bench, signal != "KILL");
        set_up(&bench);
        let first = job(&bench, &portal, 1, Some(stopped(signal)));
        assert_eq!(first.sent.map(|status| status.code()), Some(status), "{signal}: {}", first.said);
        let had = messages(&portal);
        assert!((BEFORE_THE_KILL..PEOPLE as usize).contains(&had), "{signal}: {had} is not the middle");
        // Whoever was killed is waited for, for a minute; whoever ended is not.
        let shared = bench.path("bucket");
        if signal == "KILL" && shared.exists() {
            somebody_takes_over(&shared);
        }
        let second = job(&bench, &portal, 2, None);
        let told = second.outcomes();
        let unknown = told.get("unknown").copied().unwrap_or_default();
        let at_most = if signal == "KILL" { 15 } else { 0 };
        assert!(unknown <= at_most && (signal == "KILL") == (unknown > 0), "{signal}: {told:?}\n{}", second.said);
        assert_eq!(second.sent.and_then(|status| status.code()), Some(i32::from(unknown > 0)), "{}", second.said);
        let settled: usize = ["sent", "already_sent", "unknown"].iter().filter_map(|outcome| told.get(*outcome)).sum();
        assert_eq!(settled, PEOPLE as usize, "{signal}: {told:?}");
        let got = portal.stats().messages;
        for row in &second.results {
            assert!(row["invite_link"].is_empty(), "links are no business of a job's artifacts: {row:?}");
            assert!(row["congratulation"] == "unknown" || got.get(&row["user_id"]) == Some(&1), "{signal}: {row:?}");
        }
        let now = messages(&portal);
        assert!(now + unknown >= PEOPLE as usize, "{signal}: {now} of {PEOPLE}, and {unknown} unknown");
        let third = job(&bench, &portal, 3, None);
        assert_eq!(third.outcomes().get("already_sent"), Some(&(PEOPLE as usize - unknown)), "{}", third.said);
        assert_eq!(messages(&portal), now, "{signal}: the third job had nothing to send");
        let said = [first.said, second.said, third.said].concat();
        assert!(
            ![MACHINE_KEY, TOKEN, portal.api_key(), "others can read"].iter().any(|secret| said.contains(secret)),
            "{said}"
        );
    }
}

/// Whether this machine lacks one of these programs; then that is said, and nothing was tried.
#[expect(clippy::print_stderr, reason = "whoever looks at the tests' output is to know")]
pub(crate) fn lacks(programs: &[&str]) -> bool {
    let is_there = |program: &&str| Command::new(program).arg("--version").output().is_ok();
    let missing: Vec<_> = programs.iter().filter(|program| !is_there(program)).collect();
    if !missing.is_empty() {
        eprintln!("{missing:?} are not here: the sample was not tried");
    }
    !missing.is_empty()
}

/// Runs a script as a runner does, in a process group of its own; `trouble` comes once the portal had so many messages.
fn run(mut command: Command, log: &Path, portal: &Sandbox, trouble: Option<Trouble>) -> ExitStatus {
    let out = fs::OpenOptions::new().append(true).create(true).open(log).expect("a log");
    command.stdout(out.try_clone().expect("cloned")).stderr(out).stdin(Stdio::null()).process_group(0);
    let mut child = command.spawn().expect("bash runs");
    if let Some(trouble) = trouble {
        while portal.stats().messages.len() < BEFORE_THE_KILL {
            if let Some(status) = child.try_wait().expect("waited") {
                return status;
            }
            std::thread::yield_now();
        }
        // A runner asks the process that it started, and nothing below it; it kills all.
        let whom = if trouble.signal == "KILL" { format!("-{}", child.id()) } else { child.id().to_string() };
        let killed = Command::new("kill").args([&format!("-{}", trouble.signal), "--", &whom]).status().expect("kill");
        assert!(killed.success());
    }
    child.wait().expect("ended")
}

/// bash with nothing of this machine's environment but where programs are, ours first.
#[expect(clippy::disallowed_methods, reason = "bash is wherever this machine has it")]
pub(crate) fn bash(bench: &Bench, folder: &Path) -> Command {
    let ours = Path::new(env!("CARGO_BIN_EXE_onboard")).parent().expect("a folder");
    let theirs = std::env::var("PATH").expect("where programs are");
    let mut command = Command::new("bash");
    command
        .current_dir(folder)
        .env_clear()
        .env("HOME", bench.path(""))
        .env("PATH", format!("{}:{theirs}", ours.display()));
    command
}

/// A folder that has one release, whose program is the one that is tested: where it is, and the checksum of its archive.
pub(crate) fn release(bench: &Bench, folder: &str, version: &str) -> (String, String) {
    let name = format!("onboard-{version}-x86_64-unknown-linux-musl");
    let release = bench.path(folder).join(format!("v{version}"));
    fs::create_dir_all(release.join(&name)).expect("made");
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_onboard"));
    fs::write(release.join(&name).join("onboard"), script).expect("written");
    let make =
        format!("chmod +x {name}/onboard && tar -czf {name}.tar.gz {name} && sha256sum {name}.tar.gz >SHA256SUMS");
    assert!(bash(bench, &release).arg("-c").arg(make).status().expect("bash").success());
    let sums = fs::read_to_string(release.join("SHA256SUMS")).expect("read");
    let sum = sums.split(' ').next().expect("a checksum").to_owned();
    (format!("file://{}", bench.path(folder).display()), sum)
}

/// What installing takes.
pub(crate) const TOOLS: [&str; 4] = ["bash", "curl", "tar", "sha256sum"];

fn results(path: &Path) -> Vec<Row> {
    if path.exists() { rows_of(path) } else { Vec::new() }
}

// ---- a reader of as much YAML as the samples need ----

pub(crate) struct Yaml<'a> {
    lines: Vec<(usize, &'a str)>,
    at: usize,
}

impl<'a> Yaml<'a> {
    pub(crate) fn read(text: &'a str) -> Value {
        let line = |line: &'a str| (line.len() - line.trim_start().len(), line.trim_start());
        Self { lines: text.lines().map(line).collect(), at: 0 }.block(0)
    }

    /// The next line that says something, if it stands at least so far in.
    fn next(&mut self, least: usize) -> Option<(usize, &'a str)> {
        while self.lines.get(self.at).is_some_and(|(_, text)| text.is_empty() || text.starts_with('#')) {
            self.at += 1;
        }
        self.lines.get(self.at).copied().filter(|(indent, _)| *indent >= least)
    }

    fn block(&mut self, least: usize) -> Value {
        let Some((indent, text)) = self.next(least) else { return Value::Null };
        if text.starts_with("- ") { Value::Array(self.list(indent)) } else { Value::Object(self.map(indent)) }
    }

    fn list(&mut self, indent: usize) -> Vec<Value> {
        let mut items = Vec::new();
        while let Some(item) =
            self.next(indent).filter(|(at, _)| *at == indent).and_then(|(_, text)| text.strip_prefix("- "))
        {
            if Self::key(item).is_some() {
                self.lines[self.at] = (indent + 2, item);
                items.push(Value::Object(self.map(indent + 2)));
            } else {
                self.at += 1;
                items.push(self.value(item, indent));
            }
        }
        items
    }

    fn map(&mut self, indent: usize) -> Map<String, Value> {
        let mut map = Map::new();
        while let Some((key, rest)) =
            self.next(indent).filter(|(at, _)| *at == indent).and_then(|(_, text)| Self::key(text))
        {
            self.at += 1;
            let value = if rest.is_empty() { self.block(indent + 1) } else { self.value(rest, indent) };
            assert!(map.insert(key.to_owned(), value).is_none(), "{key} stands there twice");
        }
        map
    }

    fn key(text: &'a str) -> Option<(&'a str, &'a str)> {
        let (key, rest) = text.split_once(": ").or_else(|| Some((text.strip_suffix(':')?, "")))?;
        key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')).then_some((key, rest))
    }

    fn value(&mut self, text: &str, indent: usize) -> Value {
        let joint = match text {
            "|" => "\n",
            ">-" => " ",
            quoted if quoted.starts_with('"') => return serde_json::from_str(quoted).expect("a string"),
            plain => return plain.into(),
        };
        let from = self.at;
        while self.lines.get(self.at).is_some_and(|(at, text)| text.is_empty() || *at > indent) {
            self.at += 1;
        }
        let lines = &self.lines[from..self.at];
        let left = lines.iter().filter(|(_, text)| !text.is_empty()).map(|(at, _)| *at).min().unwrap_or_default();
        let line = |(at, text): &(usize, &str)| format!("{}{text}", " ".repeat(at.saturating_sub(left)));
        lines.iter().map(line).collect::<Vec<_>>().join(joint).trim_end().to_owned().into()
    }
}

pub(crate) fn list(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

// ---- GitHub Actions ----

/// Where the ledger is in these tests, as a person has made it, once, with the command that the samples give.
fn bucket(bench: &Bench) {
    let command = |text: &'static str| text.lines().find_map(|line| line.strip_prefix("#     onboard ledger init "));
    assert_eq!(command(GITHUB), command(GITLAB));
    let command = command(GITHUB).expect("a command").replace("s3://BUCKET/onboard/{portal}", &place(bench));
    let made = bash(bench, &bench.path("")).arg("-c").arg(format!("onboard ledger init {command}")).status();
    assert!(made.expect("bash").success());
}

fn place(bench: &Bench) -> String {
    format!("file://{}", bench.path("bucket").display())
}

/// The home of a job: it is new, and gone after it.
fn home(bench: &Bench, number: usize) -> PathBuf {
    let home = bench.path(&format!("home-{number}"));
    fs::create_dir_all(&home).expect("made");
    home
}

/// A runner that has the repository checked out, and nothing else.
fn checked_out(bench: &Bench, number: usize) -> PathBuf {
    for folder in ["job", "temp"] {
        fs::create_dir(bench.path(&format!("{folder}-{number}"))).expect("made");
    }
    let folder = bench.path(&format!("job-{number}"));
    fs::copy(bench.path("users.csv"), folder.join("users.csv")).expect("copied");
    folder
}

/// The steps of the sample that are commands. What installs is an action (`action.rs`).
fn github_steps() -> Vec<Value> {
    let steps = Yaml::read(GITHUB)["jobs"]["onboard"]["steps"].as_array().expect("steps").clone();
    steps.into_iter().filter(|step| step["run"].is_string()).collect()
}

fn github_step(bench: &Bench, portal: &Sandbox, number: usize, step: &Value) -> Command {
    let script = step["run"].as_str().expect("a script");
    assert!(!script.contains("${{"), "what comes from elsewhere is no part of a script: {script}");
    let temp = bench.path(&format!("temp-{number}"));
    fs::write(temp.join("step.sh"), script).expect("written");
    let mut command = bash(bench, &bench.path(&format!("job-{number}")));
    command.arg("-e").arg(temp.join("step.sh")).env("HOME", home(bench, number));
    command.envs([("CI", "true"), ("GITHUB_ACTIONS", "true"), ("GITHUB_RUN_ATTEMPT", "1")]);
    command.env("GITHUB_RUN_ID", number.to_string()).env("RUNNER_TEMP", &temp);
    command.env("GITHUB_OUTPUT", temp.join("output")).env("GITHUB_STEP_SUMMARY", temp.join("summary.md"));
    for (name, value) in step["env"].as_object().into_iter().flatten() {
        let value = match value.as_str().expect("text") {
            "${{ vars.ONBOARD_PORTAL }}" => portal.origin(),
            "${{ vars.ONBOARD_LEDGER }}" => place(bench),
            "${{ secrets.ONBOARD_API_KEY }}" => portal.api_key().to_owned(),
            "${{ secrets.ONBOARD_MACHINE_KEY }}" => MACHINE_KEY.to_owned(),
            other => {
                assert!(!other.contains("${{"), "nobody here knows {other}");
                other.to_owned()
            }
        };
        command.env(name, value);
    }
    command
}

/// The steps, as GitHub goes through them: after one that failed or was cancelled, those alone that run always. Then the
/// runner is gone, with its home.
fn github_job(bench: &Bench, portal: &Sandbox, number: usize, trouble: Option<Trouble>) -> Done {
    let (folder, log) = (checked_out(bench, number), bench.path(&format!("log-{number}")));
    let mut done = Done { sent: None, is_green: true, said: String::new(), results: Vec::new() };
    for step in github_steps() {
        if !done.is_green && step["if"] != "always()" {
            continue;
        }
        let sends = step["name"] == "Congratulate";
        let status = run(github_step(bench, portal, number, &step), &log, portal, trouble.filter(|_| sends));
        done.is_green &= status.success();
        if sends {
            let key = bench.path(&format!("temp-{number}")).join("machinekey");
            assert_eq!(fs::metadata(key).expect("there").permissions().mode() & 0o777, 0o600);
            done.sent = Some(status);
            if trouble.is_some_and(|trouble| trouble.is_lost) {
                fs::remove_dir_all(&folder).expect("the machine is gone");
                break;
            }
        }
    }
    fs::remove_dir_all(home(bench, number)).expect("the home is gone");
    done.said = fs::read_to_string(&log).unwrap_or_default();
    done.results = results(&folder.join("users.results.csv"));
    done
}

fn github(bench: &Bench, portal: &Sandbox, number: usize, trouble: Option<Trouble>) -> Done {
    let done = github_job(bench, portal, number, trouble);
    if trouble.is_none() {
        let output = bench.read(&format!("temp-{number}/output"));
        let status = done.sent.and_then(|status| status.code()).expect("a status");
        assert!(output.contains(&format!("exit_status={status}\nrows={PEOPLE}\n")), "{output}");
        for file in ["users.results.csv", "summary.json", "junit.xml"] {
            assert!(GITHUB.contains(&format!("            {file}\n")), "{file} is kept");
            assert!(bench.path(&format!("job-{number}/{file}")).exists(), "{file} is there to be kept");
        }
    }
    assert!(
        !bench.path(&format!("temp-{number}/machinekey")).exists() || trouble.is_some_and(|trouble| trouble.is_lost)
    );
    done
}

#[test]
fn github_after_a_cancel_or_a_kill_the_next_job_goes_on_and_nobody_gets_two() {
    if lacks(&["bash"]) {
        return;
    }
    assert_nobody_twice_and_nobody_lost(bucket, github);
}

/// So that what follows a run has its time, and no job takes another's place.
#[test]
fn jobs_end_before_their_runner_ends_them_and_one_goes_at_a_time() {
    let github = Yaml::read(GITHUB);
    let minutes = |value: &Value| value.as_str().and_then(|text| text.parse::<u32>().ok()).expect("minutes");
    let job = &github["jobs"]["onboard"];
    let sends = github_steps().into_iter().find(|step| step["name"] == "Congratulate").expect("a step");
    assert!(minutes(&sends["timeout-minutes"]) + 10 <= minutes(&job["timeout-minutes"]));
    assert_eq!(github["concurrency"], serde_json::json!({"group": "onboard", "cancel-in-progress": "false"}));
    let job = Yaml::read(GITLAB)["onboard"].clone();
    assert_eq!(
        (job["timeout"].as_str(), job["variables"]["RUNNER_SCRIPT_TIMEOUT"].as_str()),
        (Some("2 hours"), Some("100m"))
    );
    assert_eq!((job["resource_group"].as_str(), job["interruptible"].as_str()), (Some("onboard"), Some("false")));
    // A request may take 30 s, and what is in flight is to finish before systemd kills.
    assert_eq!((unit("TimeoutStopSec"), unit("KillMode")), (vec!["60".to_owned()], vec!["mixed".to_owned()]));
}

/// `.ci/release` moves them with the program.
#[test]
fn samples_install_the_version_that_they_come_with() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(Yaml::read(GITLAB)["onboard"]["variables"]["ONBOARD_VERSION"], version);
    let github = Yaml::read(GITHUB)["jobs"]["onboard"]["steps"].as_array().expect("steps").clone();
    let is_action = |step: &&Value| step["uses"].as_str().is_some_and(|action| action.contains("/samples/ci/action@"));
    assert_eq!(github.iter().find(is_action).expect("a step")["with"]["version"], version);
}

/// What the jobs have of each other is the bucket alone, and they are let into it by a token of their own.
#[test]
fn no_job_keeps_a_secret_or_a_ledger_anywhere_but_in_the_bucket() {
    let github = Yaml::read(GITHUB);
    assert_eq!(github["permissions"], serde_json::json!({"contents": "read", "id-token": "write"}));
    let steps = github["jobs"]["onboard"]["steps"].as_array().expect("steps").clone();
    let sends = steps.iter().position(|step| step["name"] == "Congratulate").expect("a step");
    let let_in = steps.iter().position(|step| {
        step["uses"].as_str().is_some_and(|action| action.starts_with("aws-actions/configure-aws-credentials@"))
    });
    let let_in = let_in.filter(|let_in| *let_in < sends).expect("a step before it");
    assert_eq!(steps[let_in]["with"]["role-to-assume"], "${{ vars.AWS_ROLE }}");
    let lasts = steps[let_in]["with"]["role-duration-seconds"].as_str().expect("seconds").parse::<u32>();
    let minutes = steps[sends]["timeout-minutes"].as_str().expect("minutes").parse::<u32>();
    assert!(lasts.expect("a number") > minutes.expect("a number") * 60);
    let gitlab = Yaml::read(GITLAB)["onboard"].clone();
    assert_eq!(gitlab["id_tokens"], serde_json::json!({"LEDGER_TOKEN": {"aud": "sts.amazonaws.com"}}));
    for sample in [GITHUB, GITLAB] {
        let said = sample.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
        for kept in ["actions/cache", "cache:", "git ", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "--ledger"] {
            assert!(!said.contains(kept), "{kept}");
        }
    }
}

/// The runner that is lost takes nothing with it that the next one needs.
#[test]
fn github_after_a_runner_that_is_lost_the_next_job_goes_on_and_nobody_gets_two() {
    if lacks(&["bash"]) {
        return;
    }
    let bench = Bench::new();
    let portal = signed(&bench, false);
    bucket(&bench);
    github(&bench, &portal, 1, Some(Trouble { signal: "KILL", is_lost: true }));
    somebody_takes_over(&bench.path("bucket"));
    let next = github(&bench, &portal, 2, None);
    let told = next.outcomes();
    assert!((1..=15).contains(&told["unknown"]), "{told:?}");
    assert_eq!(told["sent"] + told["already_sent"] + told["unknown"], PEOPLE as usize, "{told:?}");
    assert!(messages(&portal) + told["unknown"] >= PEOPLE as usize, "{told:?}");
}

/// No concurrency group keeps them apart here.
fn assert_of_two_at_once_one_waits(job: Job) {
    let bench = Bench::new();
    let portal = signed(&bench, true);
    bucket(&bench);
    let done = std::thread::scope(|scope| {
        let jobs = [1, 2].map(|number| {
            scope.spawn({
                let (bench, portal) = (&bench, &portal);
                move || job(bench, portal, number, None)
            })
        });
        jobs.map(|job| job.join().expect("ended"))
    });
    let mut sent = 0;
    for done in &done {
        assert!(done.is_green, "{}", done.said);
        let told = done.outcomes();
        sent += told.get("sent").copied().unwrap_or_default();
        assert_eq!(told.values().sum::<usize>(), PEOPLE as usize, "{told:?}");
    }
    assert_eq!((sent, messages(&portal)), (PEOPLE as usize, PEOPLE as usize));
    assert!(done.iter().any(|done| done.said.contains("waiting for another run on the same ledger")));
}

#[test]
fn github_of_two_jobs_at_once_one_waits_and_nobody_gets_two() {
    if lacks(&["bash"]) {
        return;
    }
    assert_of_two_at_once_one_waits(github);
}

/// An emptied bucket is no first run.
fn assert_without_its_ledger_nothing_is_sent(job: Job) {
    let bench = Bench::new();
    let portal = signed(&bench, true);
    fs::create_dir(bench.path("bucket")).expect("made");
    let ended = job(&bench, &portal, 1, None);
    assert_eq!(ended.sent.and_then(|status| status.code()), Some(2), "{}", ended.said);
    assert!(ended.said.contains("there is no ledger"), "{}", ended.said);
    assert_eq!(portal.stats().total_requests(), 0);
}

#[test]
fn github_without_its_ledger_nothing_is_sent() {
    if lacks(&["bash"]) {
        return;
    }
    assert_without_its_ledger_nothing_is_sent(github_job);
}

// ---- GitLab ----

fn gitlab(bench: &Bench, portal: &Sandbox, number: usize, trouble: Option<Trouble>) -> Done {
    let job = Yaml::read(GITLAB)["onboard"].clone();
    let folder = bench.path(&format!("job-{number}"));
    fs::create_dir(&folder).expect("made");
    fs::copy(bench.path("users.csv"), folder.join("users.csv")).expect("copied");
    for file in ["key", "machinekey"] {
        // As GitLab writes variables of the type File.
        fs::set_permissions(bench.path(file), fs::Permissions::from_mode(0o666)).expect("changed");
    }
    let version = job["variables"]["ONBOARD_VERSION"].as_str().expect("a version");
    let (releases, sum) = release(bench, &format!("releases-{number}"), version);
    assert!(!list(&job["artifacts"]["paths"]).any(|path| path.contains("key") || path.contains("token")));
    let command = |script: String| {
        let mut command = bash(bench, &folder);
        // A file: with -c, bash would put the last command in its own place by itself.
        fs::write(folder.join("script.sh"), script).expect("written");
        command.arg("script.sh").env("CI", "true").env("ONBOARD_PORTAL", portal.origin());
        command
            .env("ONBOARD_API_KEY_FILE", bench.path("key"))
            .env("ONBOARD_MACHINE_KEY_FILE", bench.path("machinekey"));
        command.env("ONBOARD_LEDGER", place(bench)).env("LEDGER_TOKEN", TOKEN).env("HOME", home(bench, number));
        command.env("ONBOARD_VERSION", version).env("ONBOARD_RELEASES", &releases).env("ONBOARD_SHA256", &sum);
        command
    };
    let lines = list(&job["before_script"]).chain(list(&job["script"]));
    let script = ["set -eo pipefail"].into_iter().chain(lines).collect::<Vec<_>>().join("\n");
    let log = bench.path(&format!("log-{number}"));
    let status = run(command(script), &log, portal, trouble);
    for file in ["apikey", "machinekey", "ledger.token"] {
        assert_eq!(fs::metadata(folder.join(file)).expect("there").permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::read_to_string(folder.join("ledger.token")).expect("read"), TOKEN);
    let after = run(command(list(&job["after_script"]).collect::<Vec<_>>().join("\n")), &log, portal, None);
    assert!(after.success());
    assert!(["apikey", "machinekey", "ledger.token"].iter().all(|file| !folder.join(file).exists()));
    fs::remove_dir_all(home(bench, number)).expect("the home is gone");
    if trouble.is_none() && status.code() != Some(2) {
        assert!(list(&job["artifacts"]["paths"]).all(|path| folder.join(path).exists()), "the artifacts are there");
        assert!(folder.join(job["artifacts"]["reports"]["junit"].as_str().expect("a path")).exists());
    }
    Done {
        sent: Some(status),
        is_green: status.success(),
        said: fs::read_to_string(&log).expect("read"),
        results: results(&folder.join("users.results.csv")),
    }
}

#[test]
fn gitlab_after_a_cancel_or_a_kill_the_next_job_goes_on_and_nobody_gets_two() {
    if lacks(&TOOLS) {
        return;
    }
    assert_nobody_twice_and_nobody_lost(bucket, gitlab);
}

#[test]
fn gitlab_of_two_jobs_at_once_one_waits_and_nobody_gets_two() {
    if lacks(&TOOLS) {
        return;
    }
    assert_of_two_at_once_one_waits(gitlab);
}

#[test]
fn gitlab_without_its_ledger_nothing_is_sent() {
    if lacks(&TOOLS) {
        return;
    }
    assert_without_its_ledger_nothing_is_sent(gitlab);
}

// ---- systemd ----

/// The values of a setting of the unit, lines that go on joined.
fn unit(name: &str) -> Vec<String> {
    let text = SERVICE.replace("\\\n", " ");
    text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(ToOwned::to_owned)).collect()
}

fn systemd_set_up(bench: &Bench) {
    for folder in ["etc", "state"] {
        fs::create_dir(bench.path(folder)).expect("made");
    }
    for (from, to) in [("key", "etc/key"), ("machinekey", "etc/machinekey"), ("users.csv", "etc/users.csv")] {
        fs::rename(bench.path(from), bench.path(to)).expect("moved");
    }
}

fn systemd(bench: &Bench, portal: &Sandbox, number: usize, trouble: Option<Trouble>) -> Done {
    let credentials = bench.path(&format!("credentials-{number}"));
    fs::create_dir(&credentials).expect("made");
    for credential in unit("LoadCredential") {
        let (name, from) = credential.split_once(':').expect("a name and a path");
        let from = from.strip_prefix("/etc/onboard/").expect("where root alone can look");
        fs::copy(bench.path("etc").join(from), credentials.join(name)).expect("copied");
        // What systemd makes of it, where it lets the service's user in by an access list.
        fs::set_permissions(credentials.join(name), fs::Permissions::from_mode(0o440)).expect("changed");
    }
    assert_eq!(unit("StateDirectory"), ["onboard"]);
    let mut command = bash(bench, &bench.path("state"));
    command.env("CREDENTIALS_DIRECTORY", &credentials).env("STATE_DIRECTORY", bench.path("state"));
    let mut environment: Vec<String> = unit("Environment");
    // What a person does once, as the head of the unit says.
    if number == 1 {
        let line = SERVICE.lines().find_map(|line| line.strip_prefix("#     ")).expect("a command");
        let (make, then) = line.split_once(" && ").expect("two commands");
        assert!(then.starts_with("systemctl start onboard;"));
        let file = unit("EnvironmentFile").concat();
        let file = file.strip_prefix('-').expect("one that may be missing");
        assert!(make.ends_with(&format!(">{file}")), "{make} makes {file}");
        let make = make.replace(file, &bench.path("first-run").to_string_lossy());
        assert!(bash(bench, &bench.path("")).arg("-c").arg(make).status().expect("bash").success());
        environment.extend(bench.read("first-run").lines().map(ToOwned::to_owned));
    }
    for setting in environment {
        let (name, value) = setting.split_once('=').expect("a setting");
        command.env(name, value);
    }
    command.env("ONBOARD_PORTAL", portal.origin());
    let start = unit("ExecStart").concat();
    let start = start.strip_prefix("/usr/local/bin/onboard ").expect("the program");
    command.arg("-c").arg(format!("umask {}; exec onboard {start}", unit("UMask").concat()));
    let log = bench.path(&format!("log-{number}"));
    let status = run(command, &log, portal, trouble);
    Done {
        sent: Some(status),
        is_green: status.success(),
        said: fs::read_to_string(&log).expect("read"),
        results: results(&bench.path("state/users.results.csv")),
    }
}

#[test]
fn systemd_after_a_stop_or_a_kill_the_next_start_goes_on_and_nobody_gets_two() {
    if lacks(&["bash"]) {
        return;
    }
    assert_nobody_twice_and_nobody_lost(systemd_set_up, systemd);
}

#[test]
fn systemd_without_its_ledger_nothing_is_sent() {
    if lacks(&["bash"]) {
        return;
    }
    let bench = Bench::new();
    let portal = signed(&bench, true);
    systemd_set_up(&bench);
    let ended = systemd(&bench, &portal, 2, None);
    assert_eq!(ended.sent.and_then(|status| status.code()), Some(2), "{}", ended.said);
    assert_eq!(portal.stats().total_requests(), 0);
}

/// The reader above reads what it is meant for.
#[test]
fn the_reader_of_the_samples_reads_them() {
    let text = "# a\na:\n  - if: x == \"y\"\n    b: \"1: 2\"\n  - >-\n    c d\n    e\n  - if [ x ]; then y=; fi\nf: |\n  g\n\n    h #i\nj:\n";
    let read = serde_json::json!({
        "a": [{"if": "x == \"y\"", "b": "1: 2"}, "c d e", "if [ x ]; then y=; fi"],
        "f": "g\n\n  h #i",
        "j": null,
    });
    assert_eq!(Yaml::read(text), read);
    // A signal that kills is told from a status.
    assert_eq!(ExitStatus::from_raw(9).code(), None);
}
