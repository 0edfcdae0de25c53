//! How a release is cut and made: the script by its dry run, the workflow by reading it.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use regex::Regex;
use serde_json::Value;

use crate::{
    bench::Ended,
    samples::{Yaml, lacks},
};

const WORKFLOW: &str = include_str!("../../.github/workflows/release.yml");
const ACTION: &str = include_str!("../../samples/ci/action/action.yml");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn job(name: &str) -> Value {
    let job = Yaml::read(WORKFLOW)["jobs"][name].clone();
    assert!(job.is_object(), "there is a job {name}");
    job
}

fn jobs() -> Vec<(String, Value)> {
    Yaml::read(WORKFLOW)["jobs"].as_object().expect("jobs").clone().into_iter().collect()
}

fn steps(job: &Value) -> Vec<Value> {
    job["steps"].as_array().expect("steps").clone()
}

#[test]
fn nothing_runs_in_the_workflow_that_is_not_named_by_its_commit_and_no_script_holds_what_comes_from_elsewhere() {
    let pinned = Regex::new(r"^[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$").expect("a pattern");
    let mut versions = BTreeSet::new();
    for (name, job) in jobs() {
        assert!(job["timeout-minutes"].is_string(), "{name} ends");
        for step in steps(&job) {
            if let Some(uses) = step["uses"].as_str() {
                assert!(pinned.is_match(uses), "{name}: {uses}");
                versions.insert(uses.to_owned());
            }
            assert!(!step["run"].as_str().unwrap_or_default().contains("${{"), "{name}: {step}");
        }
    }
    let actions: BTreeSet<&str> = versions.iter().filter_map(|uses| uses.split('@').next()).collect();
    assert_eq!(actions.len(), versions.len(), "one version of each: {versions:?}");
}

#[test]
fn each_job_may_do_what_it_is_for_and_whoever_may_more_runs_nothing_that_was_built() {
    assert_eq!(Yaml::read(WORKFLOW)["permissions"], "{}");
    for (name, job) in jobs() {
        let may = match &*name {
            "attest" => serde_json::json!({"id-token": "write", "attestations": "write"}),
            "publish" => serde_json::json!({"contents": "write"}),
            "image" => serde_json::json!({"packages": "write"}),
            _ => serde_json::json!({"contents": "read"}),
        };
        assert_eq!(job["permissions"], may, "{name}");
        let scripts: String = steps(&job).iter().filter_map(|step| step["run"].as_str()).collect();
        assert!(may["contents"] == "read" || !(scripts.contains(".ci/") || scripts.contains("cargo")), "{name}");
    }
    for (name, needs) in [
        ("build", "[check, oldest-rust]"),
        ("materials", "check"),
        ("attest", "[build, materials]"),
        ("publish", "attest"),
        ("image", "publish"),
    ] {
        assert_eq!(job(name)["needs"], needs, "{name}");
    }
}

/// What installs by a release's names finds them there.
#[test]
fn whatever_is_installed_by_its_name_is_made_by_that_name() {
    let made: BTreeSet<String> = Regex::new(r"target: ([\w-]+), kinds: archive")
        .expect("a pattern")
        .captures_iter(WORKFLOW)
        .map(|found| found[1].to_owned())
        .collect();
    assert_eq!(made.len(), 7, "{made:?}");
    let asked = Regex::new(r"name=onboard-\$version-([\w-]+) archive=\$name\.(tar\.gz|zip)").expect("a pattern");
    let asked: Vec<(String, String)> =
        asked.captures_iter(ACTION).map(|found| (found[1].to_owned(), found[2].to_owned())).collect();
    assert_eq!(asked.len(), 5, "{asked:?}");
    for (target, kind) in asked {
        assert!(made.contains(&target), "{target}");
        assert_eq!(kind == "zip", target.contains("windows"), "{target}");
    }
    let package = fs::read_to_string(Path::new(ROOT).join(".ci/package")).expect("read");
    assert!(package.contains("local name=onboard-$version-$target\n"));
    let manifest = include_str!("../../Cargo.toml");
    assert!(manifest.contains("/v{ version }/{ name }-{ version }-{ target }{ archive-suffix }\""));
    for (target, fmt) in [("", "tgz"), (".overrides.x86_64-pc-windows-msvc", "zip")] {
        let table = manifest.split(&format!("[package.metadata.binstall{target}]")).nth(1).expect("a table");
        let table = table.split("\n[").next().unwrap_or_default();
        assert!(table.contains(&format!("pkg-fmt = \"{fmt}\"")), "{table}");
    }
}

fn release(arguments: &[&str]) -> Ended {
    let script = Path::new(ROOT).join(".ci/release");
    Command::new("bash").arg(script).args(arguments).output().expect("bash runs").into()
}

#[test]
fn a_release_is_shown_before_it_is_cut() {
    if lacks(&["bash", "git", "awk", "sed", "diff"]) || !Path::new(ROOT).join(".git").exists() {
        return;
    }
    let files =
        ["Cargo.toml", "Cargo.lock", "CHANGELOG.md", "samples/ci/github-actions.yml", "samples/ci/gitlab-ci.yml"];
    let read = || files.map(|file| fs::read(Path::new(ROOT).join(file)).expect("read"));
    let before = read();
    let shown = release(&["97.0.1", "--dry-run"]).with(0);
    for file in files {
        assert!(shown.out.contains(&format!("+++ {file}, 97.0.1\n")), "{file}: {}", shown.out);
    }
    let added: Vec<&str> = shown.out.lines().filter(|line| line.starts_with('+') && !line.starts_with("+++")).collect();
    assert_eq!(added.iter().filter(|line| **line == "+version = \"97.0.1\"").count(), 2, "{added:?}");
    assert!(added.iter().any(|line| line.starts_with("+## [97.0.1] - 2")), "{added:?}");
    assert_eq!(added.iter().filter(|line| line.contains("97.0.1")).count(), 5, "{added:?}");
    assert!(shown.out.contains("tagged v97.0.1"));
    assert!(read() == before, "nothing was changed");
    for (arguments, why) in [
        (&["--dry-run"][..], "a version is needed"),
        (&["1.2", "--dry-run"], "a version is needed"),
        (&["01.2.3", "--dry-run"], "a version is needed"),
        (&["0.0.1", "--dry-run"], "comes before"),
        (&["97.0.1", "97.0.2", "--dry-run"], "one version at a time"),
        (&["97.0.1", "--try"], "no option --try"),
    ] {
        let refused = release(arguments).with(2);
        assert!(refused.err.contains(why), "{arguments:?}: {}", refused.err);
    }
}
