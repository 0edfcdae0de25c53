//! The samples for many portals: their commands, read from the samples and run over an index for two portals, each with a
//! ledger of its own; and of the job on Kubernetes what no validator looks at.

use std::{fs, path::Path, process::Command};

use onboard::{
    exit::Exit,
    sandbox::{Config, Sandbox},
};
use serde_json::{Value, json};

use crate::{
    bench::{Bench, active, config, messages},
    samples::{Yaml, bash, lacks, list},
};

const KUBERNETES: &str = include_str!("../../samples/kubernetes/cronjob.yaml");
const GITHUB: &str = include_str!("../../samples/ci/github-matrix.yml");
const GITLAB: &str = include_str!("../../samples/ci/gitlab-matrix.yml");
const GITLAB_PORTAL: &str = include_str!("../../samples/ci/gitlab-portal.yml");
const SERVICE: &str = include_str!("../../samples/systemd/onboard@.service");
const MACHINE_KEY: &str = "the-machine-key-of-this-portal";
/// The portals in the index: name, people.
const PORTALS: [(&str, u32); 2] = [("acme", 3), ("beta", 5)];

/// Two portals that take signed keys alone, their rosters and index as `split` makes them, settings, and ledgers.
fn portals(bench: &Bench) -> [Sandbox; 2] {
    fs::create_dir(bench.path("rosters")).expect("made");
    let ledger = format!("file://{}/{{portal}}", bench.path("bucket").display());
    let (mut index, mut settings) = ("number,portal,file,rows\n".to_owned(), format!("ledger = \"{ledger}\"\n"));
    let mut number = 0;
    let portals = PORTALS.map(|(name, people)| {
        number += 1;
        let users = active(people);
        bench.roster(&users);
        let file = format!("{number:04}-{name}.csv");
        fs::rename(bench.path("users.csv"), bench.path("rosters").join(&file)).expect("moved");
        let with_key = Config { machine_key: Some(MACHINE_KEY.to_owned()), ..config(&users) };
        let portal = Sandbox::start(with_key).expect("a portal");
        index += &format!("{number:04},{},{file},{people}\n", portal.origin());
        settings += &format!("[portal.{name}]\nurl = \"{}\"\n", portal.origin());
        portal
    });
    bench.write("rosters/index.csv", index);
    bench.write("onboard.toml", settings);
    // Results lie beside the rosters, where a loop over *.csv would take them for some.
    bench.write("rosters/0001-acme.results.csv", "no roster\n");
    for (name, _) in PORTALS {
        bench.onboard(&["ledger", "init", "--profile", name, "--other-portal"]).with(0);
    }
    portals
}

fn keys(folder: &Path, portal: &Sandbox, names: [&str; 2]) {
    fs::create_dir_all(folder).expect("made");
    for (name, text) in names.iter().zip([portal.api_key(), MACHINE_KEY]) {
        fs::write(folder.join(name), text).expect("written");
    }
}

/// Each portal's people got their message, at their own portal, and the view says so.
fn assert_each_has_its_own(bench: &Bench, portals: &[Sandbox; 2]) {
    for (portal, (name, people)) in portals.iter().zip(PORTALS) {
        assert_eq!(messages(portal), people as usize, "{name}");
    }
    let all = format!("file://{}/*", bench.path("bucket").display());
    let told = bench.onboard(&["history", "--json", "--ledger", &all, "--no-good-run-since", "1d"]).with(0);
    assert_eq!(told.out.trim(), "[]", "none lacks a good run");
    let told = bench.onboard(&["history", "--json", "--ledger", &all]).with(0);
    let ledgers: Vec<Value> = serde_json::from_str(&told.out).expect("JSON");
    let mut figures: Vec<_> = ledgers.iter().map(|one| (one["portal"].clone(), one["sent"].clone())).collect();
    let mut expected: Vec<_> =
        portals.iter().zip(PORTALS).map(|(portal, (_, people))| (json!(portal.origin()), json!(people))).collect();
    for list in [&mut figures, &mut expected] {
        list.sort_by_key(|(portal, _)| portal.to_string());
    }
    assert_eq!(figures, expected);
}

fn with_status(command: &mut Command, status: i32) -> String {
    let output = command.output().expect("a shell");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert_eq!(output.status.code(), Some(status), "{said}");
    said
}

// ---- Kubernetes ----

fn pod() -> Value {
    Yaml::read(KUBERNETES)["spec"]["jobTemplate"]["spec"]["template"]["spec"].clone()
}

fn numbers(text: &Value) -> Vec<u8> {
    serde_json::from_str(text.as_str().expect("a list")).expect("numbers")
}

/// One rule of the sample for each status but 0: what another pod meets again fails its index, what passes is counted, and
/// nothing is counted against a pod whose node went away.
#[test]
fn kubernetes_does_for_each_exit_status_what_it_asks_for() {
    let job = &Yaml::read(KUBERNETES)["spec"]["jobTemplate"]["spec"];
    let rules = job["podFailurePolicy"]["rules"].as_array().expect("rules").clone();
    let told: Vec<_> = rules.iter().map(|rule| rule["action"].as_str().expect("an action")).collect();
    // What has ended for good has, wherever it ran; after that a node that goes away is asked for before its signal is.
    assert_eq!(told, ["FailIndex", "Ignore", "Count"]);
    assert_eq!(rules[1]["onPodConditions"], json!([{ "type": "DisruptionTarget" }]));
    let mut known = Vec::new();
    for (rule, exits) in [
        (&rules[0], [Exit::Rows, Exit::NotStarted, Exit::Portal, Exit::Early].as_slice()),
        (&rules[2], &[Exit::Storage, Exit::Interrupted, Exit::Terminated]),
    ] {
        let on = &rule["onExitCodes"];
        assert_eq!((&on["containerName"], &on["operator"]), (&json!("onboard"), &json!("In")));
        assert_eq!(numbers(&on["values"]), exits.iter().map(|exit| exit.code()).collect::<Vec<_>>());
        known.extend(numbers(&on["values"]));
    }
    known.push(Exit::Clean.code());
    known.sort_unstable();
    let source = include_str!("../../src/exit.rs");
    let mut all: Vec<u8> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => ")?.1.trim_end_matches(',').parse().ok())
        .collect();
    all.sort_unstable();
    assert_eq!(known, all, "a status without a rule");
    // A policy goes only with pods that are not started again in place, and FailIndex only with a limit an index.
    assert_eq!(pod()["restartPolicy"], "Never");
    assert_eq!(job["completionMode"], "Indexed");
    assert_eq!(job["podReplacementPolicy"], "Failed", "never two pods of one index");
    assert!(job["backoffLimitPerIndex"].is_string() && job["backoffLimit"].is_null());
    assert_eq!(Yaml::read(KUBERNETES)["spec"]["concurrencyPolicy"], "Forbid");
    assert_eq!(pod()["terminationGracePeriodSeconds"], "90");
}

#[test]
fn kubernetes_gives_a_pod_its_own_index_and_keys_and_no_privilege() {
    let pod = pod();
    let container = &pod["containers"][0];
    let index = &container["env"][0];
    // The variable that the cluster sets itself is set after those that would name it.
    let field = "metadata.annotations['batch.kubernetes.io/job-completion-index']";
    assert_eq!(index, &json!({"name": "PORTAL_INDEX", "valueFrom": {"fieldRef": {"fieldPath": field}}}));
    assert!(!KUBERNETES.contains("$(JOB_COMPLETION_INDEX)"));
    let mounts = container["volumeMounts"].as_array().expect("mounts");
    for mount in mounts {
        assert_eq!(mount["readOnly"] == "true", mount["name"] != "work", "{mount}");
        let path = mount["subPathExpr"].as_str().unwrap_or_default();
        assert_eq!(path.starts_with("$(PORTAL_INDEX)."), mount["name"] == "keys", "{mount}");
    }
    let keys = pod["volumes"].as_array().expect("volumes").iter().find(|volume| volume["name"] == "keys");
    let sources = keys.expect("keys")["projected"]["sources"].as_array().expect("sources");
    let completions = &Yaml::read(KUBERNETES)["spec"]["jobTemplate"]["spec"]["completions"];
    assert_eq!(completions, &json!(sources.len().to_string()), "one Secret a portal");
    for (index, source) in sources.iter().enumerate() {
        let items = ["key", "machinekey"].map(|key| json!({"key": key, "path": format!("{index}.{key}")}));
        assert_eq!(source["secret"]["items"], json!(items));
    }
    let (of_pod, of_container) = (&pod["securityContext"], &container["securityContext"]);
    assert_eq!(
        (&of_pod["runAsNonRoot"], &of_pod["seccompProfile"]["type"]),
        (&json!("true"), &json!("RuntimeDefault"))
    );
    assert_eq!(of_container["readOnlyRootFilesystem"], "true");
    assert_eq!(of_container["allowPrivilegeEscalation"], "false");
    assert_eq!(of_container["capabilities"]["drop"], "[\"ALL\"]");
    assert_eq!(pod["automountServiceAccountToken"], "false");
}

#[test]
fn kubernetes_each_pod_takes_the_portal_of_its_number() {
    let (bench, pod) = (Bench::new(), pod());
    let portals = portals(&bench);
    let container = &pod["containers"][0];
    let start: Vec<String> = serde_json::from_str(container["command"].as_str().expect("a list")).expect("words");
    let run = |index: usize| {
        let here = |folder: &str| format!("{}/", bench.path(folder).display());
        for folder in ["work", "home"] {
            fs::create_dir_all(bench.path(&format!("{folder}-{index}"))).expect("made");
        }
        let script = [("/rosters/", "rosters"), ("/etc/onboard/", ""), ("/run/onboard/", &format!("keys-{index}"))]
            .iter()
            .chain(&[("/work/", format!("work-{index}").as_str())])
            .fold(list(&container["args"]).collect::<String>(), |script, (there, folder)| {
                let here = here(folder);
                script
                    .replace(&format!("\"{there}"), &format!("\"{here}"))
                    .replace(&format!(" {there}"), &format!(" {here}"))
            });
        // The shell of the sample, with nothing of this machine's environment.
        let mut command = bash(&bench, &bench.path(""));
        command.args(["-c", "exec \"$@\"", "bash"]).args(&start).arg(script);
        command.env("PORTAL_INDEX", index.to_string()).env("HOME", bench.path(&format!("home-{index}")));
        command
    };
    for (index, portal) in portals.iter().enumerate() {
        keys(&bench.path(&format!("keys-{index}")), portal, ["key", "machinekey"]);
        with_status(&mut run(index), 0);
    }
    assert_each_has_its_own(&bench, &portals);
    let said = with_status(&mut run(PORTALS.len()), 2);
    assert!(said.contains("number 3 is not in index.csv"), "{said}");
}

// ---- GitHub ----

fn github_script(job: &str, name: &str) -> String {
    let steps = Yaml::read(GITHUB)["jobs"][job]["steps"].as_array().expect("steps").clone();
    let step = steps.iter().find(|step| step["name"] == name).expect("a step").clone();
    let script = step["run"].as_str().expect("a script").to_owned();
    assert!(!script.contains("${{"), "what comes from elsewhere is no part of a script: {script}");
    script
}

fn index_of_github(bench: &Bench) -> Command {
    bench.write("step.sh", github_script("index", "Read the index"));
    let mut command = bash(bench, &bench.path(""));
    // As GitHub starts it, where no shell is named.
    command.args(["-e", "step.sh"]).env("GITHUB_OUTPUT", bench.path("output"));
    command
}

#[test]
fn github_each_job_of_the_matrix_takes_a_portal_of_the_index() {
    if lacks(&["bash", "awk"]) {
        return;
    }
    let bench = Bench::new();
    let portals = portals(&bench);
    with_status(&mut index_of_github(&bench), 0);
    let output = bench.read("output");
    let list = output.trim().strip_prefix("portals=").expect("an output");
    let matrix: Vec<Value> = serde_json::from_str(list).expect("JSON");
    let job = Yaml::read(GITHUB)["jobs"]["onboard"].clone();
    assert_eq!(job["strategy"]["matrix"]["include"], "${{ fromJSON(needs.index.outputs.portals) }}");
    assert_eq!(job["strategy"]["fail-fast"], "false", "a portal that fails keeps no other from its turn");
    assert_eq!(job["environment"], "onboard-${{ matrix.name }}", "a portal's secrets are its own");
    assert_eq!(matrix.len(), portals.len());
    for (item, portal) in matrix.iter().zip(&portals) {
        let temp = bench.path(&format!("temp-{}", item["name"].as_str().expect("a name")));
        fs::create_dir(&temp).expect("made");
        bench.write("step.sh", github_script("onboard", "Congratulate"));
        let mut command = bash(&bench, &bench.path(""));
        command.args(["-e", "step.sh"]).envs([("CI", "true"), ("GITHUB_ACTIONS", "true")]);
        command.env("RUNNER_TEMP", &temp).env("HOME", &temp).env("ONBOARD_API_KEY", portal.api_key());
        command.env("ONBOARD_PORTAL", item["portal"].as_str().expect("an address")).env("MACHINE_KEY", MACHINE_KEY);
        command.env("ROSTER", item["roster"].as_str().expect("a file"));
        with_status(&mut command, 0);
    }
    assert_each_has_its_own(&bench, &portals);
}

#[test]
fn github_an_index_that_does_not_fit_a_matrix_is_refused() {
    if lacks(&["bash", "awk"]) {
        return;
    }
    let bench = Bench::new();
    fs::create_dir(bench.path("rosters")).expect("made");
    let rows = |many: usize| {
        (1..=many).map(|n| format!("{n:04},https://p{n}.example,{n:04}-p{n}.csv,1\n")).collect::<String>()
    };
    for (rows, status, words) in [
        (rows(256), 0, ""),
        (rows(257), 1, "more than 256 portals"),
        ("1,https://a\"b.example,0001-ab.csv,1\n".to_owned(), 1, "not understood"),
        ("1,https://acme.example,../users.csv,1\n".to_owned(), 1, "not understood"),
    ] {
        bench.write("rosters/index.csv", format!("number,portal,file,rows\n{rows}"));
        let mut command = index_of_github(&bench);
        let said = command.output().expect("bash");
        let told = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(told.contains(words), "{told}");
        assert_eq!(
            said.status.success() && !bench.read("output").trim().ends_with("portals=[]"),
            status == 0,
            "{told}"
        );
        fs::remove_file(bench.path("output")).ok();
    }
}

// ---- GitLab ----

#[test]
fn gitlab_each_job_of_the_matrix_takes_a_portal_of_the_index() {
    if lacks(&["bash", "awk"]) {
        return;
    }
    let bench = Bench::new();
    let portals = portals(&bench);
    let script = |lines: Vec<&str>| {
        let script = ["set -eo pipefail"].into_iter().chain(lines).collect::<Vec<_>>().join("\n");
        bench.write("script.sh", script);
        let mut command = bash(&bench, &bench.path(""));
        command.arg("script.sh").env("CI", "true");
        command
    };
    let parent = Yaml::read(GITLAB);
    with_status(&mut script(list(&parent["index"]["script"]).collect()), 0);
    assert_eq!(parent["congratulate"]["trigger"]["include"], json!([{"artifact": "portals.yml", "job": "index"}]));
    let generated = bench.read("portals.yml");
    let child = Yaml::read(&generated);
    assert_eq!(child["include"], json!([{"local": ".gitlab/onboard-portal.yml"}]));
    assert_eq!(child["onboard"]["extends"], ".onboard");
    let matrix = child["onboard"]["parallel"]["matrix"].as_array().expect("a matrix").clone();
    assert_eq!(matrix.len(), portals.len());
    let job = Yaml::read(GITLAB_PORTAL)[".onboard"].clone();
    assert_eq!(job["environment"]["name"], "onboard/$NAME", "a portal's variables are its own");
    assert_eq!(job["resource_group"], "onboard/$NAME", "no portal waits for another");
    for (item, portal) in matrix.iter().zip(&portals) {
        let name = item["NAME"].as_str().expect("a name");
        let files = bench.path(&format!("files-{name}"));
        keys(&files, portal, ["key", "machinekey"]);
        let mut command = script(list(&job["script"]).collect());
        command
            .env("ONBOARD_PORTAL", item["ONBOARD_PORTAL"].as_str().expect("an address"))
            .env("ROSTER", item["ROSTER"].as_str().expect("a file"))
            .env("HOME", &files);
        command.env("ONBOARD_API_KEY_FILE", files.join("key")).env("LEDGER_TOKEN", "a.token");
        command.env("ONBOARD_MACHINE_KEY_FILE", files.join("machinekey"));
        with_status(&mut command, 0);
        with_status(&mut script(list(&job["after_script"]).collect()), 0);
        assert!(["apikey", "machinekey", "ledger.token"].iter().all(|file| !bench.path(file).exists()));
    }
    assert_each_has_its_own(&bench, &portals);
}

// ---- systemd ----

#[test]
fn systemd_each_instance_takes_the_roster_of_its_name() {
    if lacks(&["bash"]) {
        return;
    }
    let bench = Bench::new();
    let portals = portals(&bench);
    for ((number, portal), (name, _)) in (1..).zip(&portals).zip(PORTALS) {
        let instance = format!("{number:04}-{name}");
        let text = SERVICE.replace("\\\n", " ").replace("%i", &instance);
        let unit = |name: &str| -> Vec<&str> {
            text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
        };
        let etc = bench.path("etc");
        keys(&etc.join("portals"), portal, [&format!("{instance}.key"), &format!("{instance}.machinekey")]);
        fs::write(etc.join(format!("portals/{instance}.env")), format!("ONBOARD_PORTAL={}\n", portal.origin()))
            .expect("written");
        let bucket = bench.path("bucket");
        fs::write(etc.join("ledger.env"), format!("ONBOARD_LEDGER=file://{}/{{portal}}\n", bucket.display()))
            .expect("written");
        fs::create_dir_all(etc.join("rosters")).expect("made");
        for file in [format!("rosters/{instance}.csv"), "rosters/index.csv".to_owned()] {
            fs::copy(bench.path(&file), etc.join(&file)).expect("copied");
        }
        let there = |path: &str| etc.join(path.strip_prefix("/etc/onboard/").expect("where root alone can look"));
        let (credentials, state) = (bench.path(&format!("credentials-{name}")), bench.path(&format!("state-{name}")));
        for folder in [&credentials, &state] {
            fs::create_dir(folder).expect("made");
        }
        for credential in unit("LoadCredential") {
            let (name, from) = credential.split_once(':').expect("a name and a path");
            fs::copy(there(from), credentials.join(name)).expect("copied");
        }
        let mut command = bash(&bench, &state);
        for file in unit("EnvironmentFile") {
            let file = fs::read_to_string(there(file)).expect("read");
            command.envs(file.lines().map(|line| line.split_once('=').expect("a setting")));
        }
        assert_eq!(unit("StateDirectory"), [format!("onboard/{instance}")]);
        let start = unit("ExecStart").concat();
        let start = start.strip_prefix("/usr/local/bin/onboard ").expect("the program");
        command.env("CREDENTIALS_DIRECTORY", &credentials).env("STATE_DIRECTORY", &state).env("HOME", &state);
        command.arg("-c").arg(format!("exec onboard {start}"));
        with_status(&mut command, 0);
        assert!(state.join("users.results.csv").exists());
    }
    assert_each_has_its_own(&bench, &portals);
    // The loop over the index starts the units by the names that they have here.
    let line = SERVICE.lines().find_map(|line| line.strip_prefix("#     ")).expect("a command");
    let line = line.replace("/etc/onboard/", &format!("{}/", bench.path("").display()));
    bench.write("systemctl.sh", line.replace("systemctl", "echo"));
    let said = with_status(bash(&bench, &bench.path("")).arg("systemctl.sh"), 0);
    assert_eq!(said, "enable --now onboard@0001-acme.timer\nenable --now onboard@0002-beta.timer\n");
}
