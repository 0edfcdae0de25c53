//! The action for GitHub: its own shell, read from it and run by bash as a runner does, with a folder in the place of the
//! releases. What is not exactly what it should be does not run.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use onboard::sandbox::{Config, Sandbox};
use serde_json::Value;

use crate::{
    bench::{Bench, active, config, messages},
    samples::{TOOLS, Yaml, bash, lacks, release},
};

const ACTION: &str = include_str!("../../samples/ci/action/action.yml");
const ARCHIVE: &str = "onboard-9.8.7-x86_64-unknown-linux-musl.tar.gz";

const MACHINE_KEY: &str = "the-machine-key-of-this-portal";

type Inputs<'a> = BTreeMap<&'a str, String>;

fn steps() -> Vec<Value> {
    Yaml::read(ACTION)["runs"]["steps"].as_array().expect("steps").clone()
}

/// What an expression of the action is worth here.
fn worth(expression: &str, inputs: &Inputs<'_>) -> String {
    if expression == "${{ github.action_repository }}" {
        return String::new();
    }
    let name = expression.strip_prefix("${{ inputs.").and_then(|name| name.strip_suffix(" }}"));
    let name = name.unwrap_or_else(|| panic!("nobody here knows {expression}"));
    let default = Yaml::read(ACTION)["inputs"][name]["default"].as_str().map(ToOwned::to_owned);
    inputs.get(name).cloned().or(default).unwrap_or_else(|| panic!("{name} has to be given"))
}

/// Runs a step as a runner does.
fn step(bench: &Bench, name: &str, inputs: &Inputs<'_>) -> Output {
    let step = steps().into_iter().find(|step| step["name"] == name).expect("a step");
    let temp = bench.path("temp");
    fs::create_dir_all(&temp).expect("made");
    fs::write(temp.join("step.sh"), step["run"].as_str().expect("a script")).expect("written");
    let mut command: Command = bash(bench, &bench.path(""));
    // Of our own program, this machine's path knows nothing.
    let added = fs::read_to_string(temp.join("path")).unwrap_or_default();
    command.env("PATH", format!("{}:/usr/bin:/bin", added.trim()));
    command.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(temp.join("step.sh"));
    command.envs([("CI", "true"), ("GITHUB_ACTIONS", "true"), ("RUNNER_OS", "Linux"), ("RUNNER_ARCH", "X64")]);
    command.env("GITHUB_SERVER_URL", "https://git.example").env("RUNNER_TEMP", &temp);
    for (name, file) in [("PATH", "path"), ("OUTPUT", "output"), ("STEP_SUMMARY", "summary.md")] {
        command.env(format!("GITHUB_{name}"), temp.join(file));
    }
    for (name, value) in step["env"].as_object().into_iter().flatten() {
        command.env(name, worth(value.as_str().expect("text"), inputs));
    }
    command.output().expect("bash runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn inputs<'a>(releases: &str, more: &[(&'a str, &str)]) -> Inputs<'a> {
    let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
    [("version", "9.8.7".to_owned()), ("releases", releases.to_owned())].into_iter().chain(more).collect()
}

fn set_up() -> Option<(Bench, Sandbox, String)> {
    if lacks(&TOOLS) {
        return None;
    }
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let (releases, _sum) = release(&bench, "releases", "9.8.7");
    let portal = Sandbox::start(Config { machine_key: Some(MACHINE_KEY.to_owned()), ..config(&users) });
    Some((bench, portal.expect("a portal"), releases))
}

#[test]
fn it_installs_a_release_runs_it_and_passes_on_what_it_said() {
    let Some((bench, portal, releases)) = set_up() else { return };
    let ledger = format!("file://{}", bench.path("bucket").display());
    let init = ["ledger", "init", "--ledger", &ledger, "--portal", &portal.origin()];
    bench.onboard(&init).with(0);
    let options = "--no-links\n--summary-json=$(touch pwned)`touch pwned`; touch pwned.json\n\n-o\nthe results.csv\n";
    let inputs = inputs(
        &releases,
        &[
            ("version", "v9.8.7"),
            ("roster", "users.csv"),
            ("portal", &portal.origin()),
            ("ledger", &ledger),
            ("api-key", portal.api_key()),
            ("machine-key", MACHINE_KEY),
            ("options", options),
        ],
    );
    let installed = step(&bench, "Install onboard", &inputs);
    assert!(installed.status.success(), "{}", said(&installed));
    let ended = step(&bench, "Congratulate", &inputs);
    assert!(ended.status.success(), "{}", said(&ended));
    assert_eq!(messages(&portal), 3);
    let outputs = bench.read("temp/output");
    for (name, output) in Yaml::read(ACTION)["outputs"].as_object().expect("outputs") {
        assert_eq!(output["value"], format!("${{{{ steps.run.outputs.{name} }}}}"));
        assert!(outputs.lines().any(|line| line.starts_with(&format!("{name}="))), "{name}: {outputs}");
    }
    let told: Vec<&str> = outputs.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let passed_on = Yaml::read(ACTION)["outputs"].as_object().expect("outputs").len();
    assert_eq!(told.len(), passed_on, "all are passed on: {told:?}");
    assert!(outputs.contains("exit_status=0\nrows=3\nsent=3\n"), "{outputs}");
    assert!(bench.read("temp/summary.md").contains("onboard"));
    // What was given is data: one line is one word, whatever is in it.
    assert!(!bench.path("pwned").exists() && bench.path("$(touch pwned)`touch pwned`; touch pwned.json").exists());
    assert!(bench.path("the results.csv").exists());
    let all = said(&installed) + &said(&ended);
    assert!(!all.contains(portal.api_key()) && !all.contains(MACHINE_KEY), "{all}");
    let key = bench.path("temp/onboard-machinekey");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&key).expect("there").permissions()) & 0o77, 0);
    assert!(step(&bench, "Leave no key behind", &inputs).status.success());
    assert!(!key.exists());
}

#[test]
fn it_refuses_what_is_not_exactly_what_was_meant() {
    let Some((bench, _portal, releases)) = set_up() else { return };
    let sums = bench.read("releases/v9.8.7/SHA256SUMS");
    let sum = sums.split(' ').next().expect("a checksum");
    let wrong = sum.replace(|digit: char| digit.is_ascii_digit(), "a");
    let refused = |inputs: &Inputs<'_>, why: &str| {
        let _none = fs::remove_file(bench.path("temp/path"));
        let ended = step(&bench, "Install onboard", inputs);
        let told = said(&ended);
        assert!(!ended.status.success() && told.contains("::error title=onboard was not installed::"), "{why}: {told}");
        assert!(told.contains(why), "{why}: {told}");
        assert!(!bench.path("temp/path").exists(), "{why}: it is on the path");
        let unpacked = bench.path("temp/onboard-9.8.7").join(ARCHIVE.strip_suffix(".tar.gz").expect("an archive"));
        assert!(!Path::new(&unpacked).exists(), "{why}: it was unpacked");
    };
    for version in ["latest", "", "../9.8.7", "9.8.7; touch pwned", "9.8"] {
        refused(&inputs(&releases, &[("version", version)]), "one such as 0.1.0");
    }
    refused(&inputs(&releases, &[("version", "9.8.6")]), "There is no SHA256SUMS of version 9.8.6");
    refused(&inputs("", &[]), "give `releases`");
    refused(&inputs("http://127.0.0.1:1", &[]), "There is no SHA256SUMS");
    refused(&inputs(&releases, &[("sha256", &wrong)]), "not the one given");
    bench.write("releases/v9.8.7/SHA256SUMS", sums.replace(sum, &wrong));
    refused(&inputs(&releases, &[]), &format!("SHA256SUMS says {wrong}"));
    // A checksum that was noted does not speak for a release that says another.
    refused(&inputs(&releases, &[("sha256", sum)]), &format!("SHA256SUMS says {wrong}"));
    bench.write("releases/v9.8.7/SHA256SUMS", sums.replace(ARCHIVE, "another.tar.gz"));
    refused(&inputs(&releases, &[]), "nothing of it");
    bench.write("releases/v9.8.7/SHA256SUMS", &sums);
    let installed = step(&bench, "Install onboard", &inputs(&releases, &[("sha256", sum)]));
    assert!(installed.status.success(), "{}", said(&installed));
    fs::remove_file(bench.path("releases/v9.8.7").join(ARCHIVE)).expect("removed");
    refused(&inputs(&releases, &[]), &format!("There is no {ARCHIVE}"));
}

/// What comes from elsewhere is no part of a script, and no secret is an argument.
#[test]
fn its_scripts_are_given_all_by_the_environment() {
    for step in steps() {
        let script = step["run"].as_str().expect("a script");
        assert!(!script.contains("${{"), "{script}");
        assert_eq!(step["shell"], "bash");
        for secret in ["$ONBOARD_API_KEY", "${ONBOARD_API_KEY"] {
            assert!(!script.contains(secret), "{script}");
        }
    }
    let action = Yaml::read(ACTION);
    let required = |input: &&Value| input["required"] == "true";
    assert_eq!(action["inputs"].as_object().expect("inputs").values().filter(required).count(), 1);
}
