//! What machines and browsers get of a run: JSON, events, JUnit, HTML, GitHub's files; and the commands for packagers.

use std::fs;

use serde_json::Value;

use crate::bench::{Bench, Ended, active, faulty, portal, stranger};

/// Whether a value is what a schema says, as far as our schemas go: types, required members, references, choices.
fn fits(schema: &Value, value: &Value, root: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference.trim_start_matches("#/").split('/').fold(root, |at, part| &at[part]);
        return fits(target, value, root);
    }
    if let Some(any) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let fitting = any.iter().any(|one| fits(one, value, root).is_ok());
        return if fitting { Ok(()) } else { Err(format!("{value} fits none of {any:?}")) };
    }
    if let Some(wanted) = schema.get("const") {
        return if wanted == value { Ok(()) } else { Err(format!("{value} is not {wanted}")) };
    }
    if let Some(choices) = schema["enum"].as_array() {
        return if choices.contains(value) { Ok(()) } else { Err(format!("{value} is none of {choices:?}")) };
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        _ => false,
    };
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind)) {
        return Err(format!("{value} is no {kinds:?}"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        value.get(name).ok_or(format!("{name} is missing"))?;
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(schema), _) | (None, Some(schema)) if schema.is_object() => fits(schema, member, root)?,
            (None, None) if schema["properties"].is_object() => return Err(format!("{name} is not in the schema")),
            _ => {}
        }
    }
    for item in value.as_array().into_iter().flatten() {
        fits(&schema["items"], item, root)?;
    }
    Ok(())
}

fn mixed(bench: &Bench) -> onboard::sandbox::Sandbox {
    let users = active(6);
    bench.roster(&[&users[..], &[stranger()]].concat());
    let roster = bench.read("users.csv") + "nobody,User,<script>alert(1)</script>\n";
    bench.write("users.csv", roster);
    faulty(&users, &["congratulation:cut:#3", "congratulation:refuse-in-flight:#1"])
}

#[test]
fn the_summary_for_machines_is_what_its_schema_says() {
    let bench = Bench::new();
    let portal = mixed(&bench);
    bench.run(&portal, &["--summary-json", "summary.json"]).with(1);
    let summary: Value = serde_json::from_str(&bench.read("summary.json")).expect("JSON");
    let schema: Value = serde_json::from_str(include_str!("../../src/report/summary.schema.json")).expect("JSON");
    fits(&schema, &summary, &schema).expect("the summary fits its schema");
    assert_eq!(summary["outcomes"]["sent"], 5);
    assert_eq!(summary["outcomes"]["unknown"], 1);
    assert_eq!(summary["outcomes"]["already_sent"], 0);
    assert_eq!(summary["exit_status"], 1);
    assert_eq!(summary["requests"]["refused"], 1);
    assert_eq!(summary["rows"], 8);
    // The check itself can fail.
    let mut broken = summary.clone();
    broken["rows"] = "eight".into();
    assert!(fits(&schema, &broken, &schema).is_err());
    let output = bench.run(&portal, &["--summary-json", "-"]);
    let summary: Value = serde_json::from_str(&output.out).expect("nothing but JSON on standard output");
    assert_eq!(summary["version"], 1);
}

#[test]
fn events_tell_every_row_once_and_the_end() {
    let bench = Bench::new();
    let portal = mixed(&bench);
    bench.run(&portal, &["--events", "events.jsonl"]).with(1);
    let events: Vec<Value> =
        bench.read("events.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(events.iter().all(|event| event["version"] == 1 && event["at"].is_string()));
    assert_eq!(events[0]["event"], "started");
    assert_eq!(events.last().expect("events")["event"], "finished");
    let mut rows: Vec<u64> = events
        .iter()
        .filter(|event| event["event"] == "row_settled")
        .map(|event| event["row"].as_u64().expect("a row"))
        .collect();
    rows.sort_unstable();
    assert_eq!(rows, (1..=8).collect::<Vec<_>>());
    assert_eq!(events.iter().filter(|event| event["event"] == "refused").count(), 1);
}

#[test]
fn junit_has_a_failure_for_each_reason() {
    let bench = Bench::new();
    let portal = mixed(&bench);
    bench.run(&portal, &["--junit", "junit.xml"]).with(1);
    let xml = bench.read("junit.xml");
    assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"));
    assert!(xml.contains("failures=\"3\""), "{xml}");
    assert_eq!(xml.matches("<failure").count(), 3);
    assert_eq!(xml.matches("<testcase").count(), xml.matches("</testcase>").count() + xml.matches("\"/>\n").count());
    assert!(!xml.contains("<script"));
}

#[test]
fn the_report_is_one_page_that_needs_nothing() {
    let bench = Bench::new();
    let portal = mixed(&bench);
    bench.run(&portal, &["--report", "report.html"]).with(1);
    let page = bench.read("report.html");
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.contains("Needs a person") && page.contains("may have been sent")
    );
    assert!(page.contains("latency of a congratulation"));
    assert!(!page.contains("/s/"), "no invitation links");
    let made = bench.onboard(&["report", "users.results.csv", "-o", "again.html"]).with(0);
    assert!(made.err.contains("again.html"));
    let again = bench.read("again.html");
    assert!(again.contains("may have been sent") && !again.contains("/s/"));
    let links = bench.onboard(&["report", "users.results.csv", "--links"]).with(0).out;
    assert!(links.contains("/s/"));
    bench.onboard(&["report", "users.csv"]).with(2);
}

/// Whoever asked for the onboarding reads first what is still to be done, then what became of everybody.
#[test]
fn the_report_begins_with_what_needs_a_person_and_names_people_as_the_roster_does() {
    let bench = Bench::new();
    let users = active(5);
    let mut text = "user_id,employee_type,Mitarbeiter,email\n".to_owned();
    for (user, name) in users.iter().zip(["Anna", "Ben", "Chloé", "Dmitri", "Eva"]) {
        text.push_str(&format!("{},User,{name} Keller,{}\n", user.id, user.email));
    }
    text.push_str("nobody,User,Fatima Keller,\n");
    bench.write("users.csv", text);
    let portal = faulty(&users, &["congratulation:cut:#2"]);
    let options = ["--map", "name=Mitarbeiter", "--max-writes", "1", "--report", "report.html"];
    bench.run(&portal, &options).with(1);
    let page = bench.read("report.html");
    let order = ["id=\"attention\"", "id=\"outcomes\"", "id=\"all\"", "id=\"rows\"", "id=\"requests\""];
    let places: Vec<usize> = order.iter().map(|part| page.find(part).expect(part)).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(page.contains("4 of 6 rows sent; 2 need a person."), "{page}");
    let unknown = bench.results().into_iter().find(|row| row["congratulation"] == "unknown").expect("one");
    let attention = &page[places[0]..places[1]];
    assert!(attention.contains(&unknown["Mitarbeiter"]) && attention.contains("Fatima Keller"), "{attention}");
    let at = |text: &str| attention.find(text).expect(text);
    assert!(at("may have been sent") < at("is no user id"), "what nobody decided comes first: {attention}");
    assert!(attention.contains("To do: Mend the row; <code>onboard check</code> shows each cell."), "{attention}");
    assert!(page.contains("Eva Keller <span class=\"soft\">") && page.contains(&users[4].email), "{page}");
    assert!(!users.iter().any(|user| page.contains(&user.id.to_string())), "an id tells nobody anything");
    // A column of another name is not known for one of names; an address is.
    bench.onboard(&["report", "users.results.csv", "-o", "again.html"]).with(0);
    let again = bench.read("again.html");
    assert!(again.contains(&users[4].email) && !again.contains("Eva Keller"));
    // Where nothing is to be done, that is said.
    bench.roster(&users[..1]);
    bench.run(&portal, &["--report", "report.html"]);
    let names = ["--report", "fine.html", "--ledger", "other.db"];
    bench.run(&portal, &names).with(0);
    let fine = bench.read("fine.html");
    assert!(fine.contains("nothing needs a person.") && fine.contains("<p>Nothing.</p>"), "{fine}");
}

#[test]
fn the_report_says_of_each_row_what_is_wrong_in_it() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let text = bench.read("users.csv") + "nobody,User,x\nnoone,User,y\n";
    bench.write("users.csv", text);
    bench.run(&portal(&users), &["--report", "report.html"]).with(1);
    bench.onboard(&["report", "users.results.csv", "-o", "again.html"]).with(0);
    for page in ["report.html", "again.html"].map(|name| bench.read(name)) {
        assert!(!page.contains("a cell that cannot be used"));
        for said in ["line 4, column user_id: `nobody` is no user id", "line 5, column user_id: `noone` is no user id"]
        {
            assert!(page.contains(said), "{said}");
        }
    }
    // Alike are told together, as everywhere.
    assert!(bench.read("report.html").contains("<td class=\"n\">2</td><td class=\"outcome\">invalid</td>"));
    // What is shown is no roster.
    let said = bench.onboard(&["report", "none.csv"]).with(2).said();
    assert!(said.contains("cannot read the results file none.csv") && !said.contains("roster"), "{said}");
    bench.write("empty.csv", "");
    let said = bench.onboard(&["report", "empty.csv"]).with(2).said();
    assert!(said.contains("the results file is empty") && !said.contains("roster"), "{said}");
}

#[test]
fn github_gets_its_summary_and_its_annotations() {
    let bench = Bench::new();
    let portal = mixed(&bench);
    let output = bench
        .run_command(&portal, &["--ledger", "l.db"])
        .envs([("GITHUB_ACTIONS", "true"), ("CI", "true")])
        .env("GITHUB_STEP_SUMMARY", bench.path("step.md"))
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8_lossy(&output.stderr);
    let unknown = bench.results().iter().position(|row| row["congratulation"] == "unknown").expect("a row") + 2;
    for (line, what) in
        [(unknown, "1 row unknown: "), (8, "1 row failed: "), (9, "1 row invalid: column user_id: `nobody` is")]
    {
        let start = format!("::error file=users.csv,line={line},title=onboard::{what}");
        assert!(err.lines().any(|line| line.starts_with(&start)), "{start}: {err}");
    }
    assert!(!err.contains("/s/") && !err.contains(portal.api_key()) && !err.contains('\u{1b}'));
    let step = bench.read("step.md");
    assert!(step.contains("| sent | 5 |") && step.contains("needs a person"), "{step}");
}

#[test]
fn later_steps_of_github_get_what_the_run_came_to() {
    let bench = Bench::new();
    let users = active(6);
    fs::create_dir(bench.path("hr")).expect("made");
    bench.roster(&users);
    let text = bench.read("users.csv") + "nobody,User,Nobody\nnoone,User,No one\n";
    bench.write("hr/users.csv", text);
    let portal = portal(&users);
    bench.key_of(&portal);
    let origin = portal.origin();
    let run = |more: &[&str], output: &str| {
        let args = ["run", "../hr/users.csv", "--portal", &origin, "--api-key-file", "../key", "--ledger", "../l.db"];
        let mut command = bench.command(&[&args[..], more].concat());
        command.current_dir(bench.path("hr")).env("GITHUB_ACTIONS", "true").env("CI", "true");
        command.env("GITHUB_WORKSPACE", bench.path("")).env("GITHUB_OUTPUT", bench.path(output));
        Ended::from(command.output().expect("run"))
    };
    bench.write("output", "earlier=1\n");
    // A planned stop is nothing that anybody has to mend, so it is no error; rows that cannot be used are.
    let ended = run(&["--limit", "2"], "output").with(4);
    let notices: Vec<&str> = ended.err.lines().filter(|line| line.starts_with("::")).collect();
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(notices[0].starts_with("::notice title=onboard stopped::Stopped after 2 congratulations"), "{notices:?}");
    let rows = "::error file=hr/users.csv,line=8,title=onboard::2 rows invalid, the first on line 8: column user_id: ";
    assert!(notices[1].starts_with(rows), "{notices:?}");
    assert_eq!(
        bench.read("output"),
        "earlier=1\nexit_status=4\nrows=8\nsent=2\nalready_sent=0\nnot_active=0\nrejected=0\nfailed=0\nunknown=0\n\
         not_attempted=4\ninvalid=2\nduplicate=0\nresults=../hr/users.results.csv\n"
    );
    // What cannot be told to GitHub is said, and changes no status.
    let ended = run(&["--fail-on", "failed"], "no/such/output").with(0);
    assert!(ended.said().contains("(GITHUB_OUTPUT) could not be written"), "{}", ended.err);
    assert!(ended.err.lines().any(|line| line.starts_with("::warning file=hr/users.csv,line=8,")), "{}", ended.err);
}

/// Whoever looks at a job that failed sees why, and a later step that runs whatever happened reads the exit status.
#[test]
fn github_is_told_why_a_run_could_not_start() {
    let bench = Bench::new();
    bench.roster(&active(2));
    bench.write("bad.toml", "rate = \"fast\"\n");
    let github = |args: &[&str]| -> (Ended, String) {
        bench.write("output", "earlier=1\n");
        let mut command = bench.command(args);
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_OUTPUT", bench.path("output"));
        (Ended::from(command.output().expect("run")), bench.read("output"))
    };
    for (args, why) in [
        (&["run", "users.csv"][..], "no portal is given; use --portal URL"),
        (&["run", "none.csv", "--sandbox"], "cannot read the roster none.csv: "),
        (&["run", "users.csv", "--sandbox", "-o", "users.csv"], "the results "),
        (&["run", "users.csv", "--sandbox", "--config", "bad.toml"], "invalid value 'fast' for '--rate <N/UNIT>'"),
        (&["run", "users.csv", "--rate", "fast"], "invalid value 'fast' for '--rate <N/UNIT>'"),
        (
            &["-q", "run", "users.csv", "--portal", "ftp://u:SECRETPW@portal.example"],
            "invalid value 'ftp://[redacted]@portal.example' for",
        ),
        (&["invite", "users.csv", "--portal", "https://portal.example"], "users.csv has no column `email`"),
    ] {
        let (ended, output) = github(args);
        let ended = ended.with(2);
        let marked: Vec<&str> = ended.err.lines().filter(|line| line.starts_with("::")).collect();
        assert_eq!(marked.len(), 1, "{args:?}: {}", ended.err);
        let reason = marked[0].strip_prefix("::error title=onboard could not start::").expect("an error");
        assert!(reason.starts_with(why) && !ended.err.contains("SECRETPW"), "{args:?}: {reason}");
        assert_eq!(output, "earlier=1\nexit_status=2\n", "{args:?}");
    }
    // Help is no failure, and what is no run is nobody's step.
    for args in [&["run", "--help"][..], &["check", "none.csv"], &["history", "run", "--portal", "x"]] {
        let (ended, output) = github(args);
        assert!(!ended.err.contains("::"), "{args:?}: {}", ended.err);
        assert_eq!(output, "earlier=1\n", "{args:?}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_found_before_the_first_request() {
    let bench = Bench::new();
    let users = active(1);
    bench.roster(&users);
    let portal = portal(&users);
    for option in ["--report", "--summary-json", "--junit", "--events"] {
        let ended = bench.run(&portal, &[option, "no/such/place"]).with(2);
        assert!(ended.said().contains("no/such/place cannot be written"), "{option}: {}", ended.err);
    }
    assert_eq!(portal.stats().total_requests(), 0);
}

#[test]
fn settings_come_from_flag_environment_file_and_default_in_this_order() {
    let bench = Bench::new();
    bench.write(
        "onboard.toml",
        "max-writes = 7\nfail-on = [\"failed\"]\n[portal.prod]\nurl = \"https://prod.example.com\"\nrate = \"900/min\"\n\
         [portal.test]\nurl = \"https://test.example.com\"\n",
    );
    let config = |args: &[&str], env: &[(&str, &str)]| -> Vec<(String, String, String)> {
        let output = bench.command(args).envs(env.iter().copied()).output().expect("run");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let text = |setting: &Value, name: &str| setting[name].as_str().expect("text").to_owned();
        all.as_array()
            .expect("a list")
            .iter()
            .map(|one| (text(one, "name"), text(one, "value"), text(one, "source")))
            .collect()
    };
    let of = |settings: &[(String, String, String)], name: &str| {
        settings
            .iter()
            .find(|setting| setting.0 == name)
            .map(|setting| (setting.1.clone(), setting.2.clone()))
            .expect("a setting")
    };
    let pair = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    let plain = config(&["config", "--json"], &[]);
    assert_eq!(of(&plain, "max-writes"), pair("7", "onboard.toml"));
    assert_eq!(of(&plain, "max-reads"), pair("50", "default"));
    let prod = config(&["config", "--json", "--profile", "prod"], &[("ONBOARD_API_KEY", "sk-secret")]);
    assert_eq!(of(&prod, "portal"), pair("https://prod.example.com", "onboard.toml"));
    assert_eq!(of(&prod, "rate"), pair("900/min", "onboard.toml"));
    assert_eq!(of(&prod, "api-key"), pair("set", "environment (ONBOARD_API_KEY)"));
    let env = config(&["config", "--json", "--profile", "prod"], &[("ONBOARD_PORTAL", "https://env.example.com")]);
    assert_eq!(of(&env, "portal"), pair("https://env.example.com", "environment (ONBOARD_PORTAL)"));
    assert!(bench.onboard(&["config"]).with(0).out.contains("max-writes"));
    // A flag wins over all of them: the run meets the portal that was typed.
    let users = active(1);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &["--profile", "prod"]).with(0);
    for (file, says) in [
        ("max-write = 7\n", "did you mean `max-writes`?"),
        ("api-key = \"sk-1\"\n", "secrets do not belong"),
        ("x = \n", "not valid TOML at line 1"),
        ("rate = \"fast\"\n", "requests per window"),
        ("[portal.a]\nurl = \"https://a.example\"\n", "no portal `prod`; it has a"),
    ] {
        bench.write("onboard.toml", file);
        let ended = bench.onboard(&["run", "users.csv", "--sandbox", "--profile", "prod"]).with(2);
        let ended =
            if file.contains("[portal.a]") { ended } else { bench.onboard(&["run", "users.csv", "--sandbox"]).with(2) };
        assert!(ended.said().contains(says), "{file}: {}", ended.err);
        assert!(!ended.err.contains("sk-1"));
    }
    bench.onboard(&["run", "users.csv", "--sandbox", "--config", "nothere.toml"]).with(2);
}

#[test]
fn packagers_get_completions_and_pages_and_everybody_a_version() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = bench.onboard(&["completions", shell]).with(0).out;
        assert!(script.contains("onboard") && script.contains("retry-unknown"), "{shell}");
    }
    assert!(bench.onboard(&["man"]).with(0).out.contains(".TH onboard 1"));
    assert!(bench.onboard(&["man", "run"]).with(0).out.contains("hold\\-off"));
    bench.onboard(&["man", "nothing"]).with(2);
    assert!(bench.onboard(&["--version"]).with(0).out.starts_with(concat!("onboard ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_key_may_come_from_a_command() {
    let bench = Bench::new();
    let users = active(1);
    bench.roster(&users);
    let portal = portal(&users);
    bench.key_of(&portal);
    let origin = portal.origin();
    let output = bench
        .command(&["run", "users.csv", "--portal", &origin, "--api-key-command", "cat key"])
        .env("PATH", "/usr/bin:/bin")
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let failed = bench
        .command(&["run", "users.csv", "--portal", &origin, "--api-key-command", "false"])
        .env("PATH", "/usr/bin:/bin")
        .output()
        .expect("run");
    assert_eq!(failed.status.code(), Some(2));
}

#[test]
fn quiet_is_quiet_and_plain_has_no_control_characters() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = portal(&users);
    let quiet = bench.run(&portal, &["-q"]).with(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    let plain = bench.run(&portal, &["--progress", "plain"]).with(0);
    assert!(!plain.err.contains('\u{1b}') && !plain.err.contains('\r'));
    assert_eq!(plain.out, "");
    fs::remove_file(bench.path("users.results.csv")).expect("removed");
    let rows = bench.run(&portal, &["-v", "--log-format", "json"]).with(0);
    let logged = rows.err.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).count();
    assert_eq!(logged, 3, "{}", rows.err);
}

/// What reads the summary goes by it: it is there whatever became of the others, and says how the run ended.
#[cfg(target_os = "linux")]
#[test]
fn an_output_that_fails_takes_no_other_with_it_and_the_summary_knows() {
    let users = active(2);
    for full in ["--events", "--report", "--junit"] {
        let bench = Bench::new();
        bench.roster(&users);
        let portal = portal(&users);
        let others: Vec<&str> = [
            ["--events", "events.jsonl"],
            ["--report", "page.html"],
            ["--junit", "junit.xml"],
            ["--summary-json", "summary.json"],
        ]
        .into_iter()
        .filter(|[option, _]| *option != full)
        .flatten()
        .collect();
        let ended = bench.run(&portal, &[&[full, "/dev/full"][..], &others].concat()).with(5);
        assert!(ended.said().contains("the results and the ledger are whole"), "{}", ended.err);
        let summary: Value = serde_json::from_str(&bench.read("summary.json")).expect("JSON");
        assert_eq!(summary["exit_status"], 5, "{full}");
        for name in others.iter().skip(1).step_by(2) {
            assert!(!bench.read(name).is_empty(), "{full}: {name}");
        }
        assert_eq!(bench.outcomes()["sent"], 2);
    }
}

/// What cannot be written is named, on standard output too.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_with_what_was_to_be_written() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("opened");
    let mut command = bench.run_command(&portal, &["--summary-json", "-"]);
    let ended: Ended = command.stdout(full()).output().expect("the program runs").into();
    let said = ended.with(5).said();
    assert!(said.contains("the JSON summary could not be written to standard output: No space left"), "{said}");
    let ended: Ended =
        bench.run_command(&portal, &["-o", "-", "--report", "/dev/full"]).stdout(full()).output().expect("runs").into();
    let said = ended.with(5).said();
    assert!(said.contains("/dev/full could not be written") && !said.contains("are whole"), "{said}");
}

/// A file name in which somebody hides what a terminal acts upon.
#[cfg(unix)]
#[test]
fn a_path_does_nothing_to_a_terminal() {
    let bench = Bench::new();
    let users = active(1);
    bench.roster(&users);
    let portal = portal(&users);
    let name = "a\u{1b}[31mb\n.csv";
    bench.run(&portal, &["-o", name]).with(0);
    let ended = bench.run(&portal, &["-o", name]).with(0);
    assert!(ended.err.contains("results  a\\u{1b}[31mb\\u{a}.csv\n"), "{}", ended.err);
    bench.write("key", portal.api_key());
    let origin = portal.origin();
    for args in [
        vec!["report", name, "-o", name],
        vec!["run", "users.csv", "--portal", &origin, "--api-key-file", name],
        vec!["run", "users.csv", "--portal", &origin, "--api-key-file", "key", "--config", name],
        vec!["run", name, "--portal", &origin, "--api-key-file", "key", "-o", "a\u{1b}[31m/x"],
        vec!["history", "--ledger", "a\u{1b}[31m/none"],
    ] {
        let ended = bench.onboard(&args);
        assert!(!ended.err.contains('\u{1b}') && !ended.out.contains('\u{1b}'), "{args:?}: {}", ended.err);
    }
}

/// What machines act upon is a name that stays, the same wherever it stands, and whoever reads it can ask what it means.
#[test]
fn reasons_have_stable_names_that_are_explained() {
    let bench = Bench::new();
    let portal = mixed(&bench);
    let outputs = ["--events", "events.jsonl", "--summary-json", "summary.json", "--junit", "junit.xml"];
    let mut command = bench.run_command(&portal, &[&["--ledger", "l.db"][..], &outputs].concat());
    let ended = Ended::from(command.env("GITHUB_ACTIONS", "true").output().expect("run")).with(1);
    let summary: Value = serde_json::from_str(&bench.read("summary.json")).expect("JSON");
    let attention = summary["attention"].as_array().expect("a list");
    let told: Vec<_> = attention.iter().map(|group| (group["outcome"].as_str(), group["code"].as_str())).collect();
    for (outcome, code) in [("unknown", "sent_unknown"), ("failed", "user_unknown"), ("invalid", "row_invalid")] {
        assert!(told.contains(&(Some(outcome), Some(code))), "{told:?}");
        assert!(bench.read("junit.xml").contains(&format!("<failure type=\"{code}\" ")), "{code}");
        assert!(ended.err.lines().any(|line| line.starts_with("::error") && line.ends_with(&format!("[{code}]"))));
        let explained = bench.onboard(&["explain", code]).with(0).out;
        assert!(
            explained.starts_with(code) && ["happened", "sent ", "to do"].iter().all(|part| explained.contains(part))
        );
        assert!(bench.onboard(&["explain"]).with(0).out.lines().any(|line| line.starts_with(&format!("{code} "))));
    }
    let codes = |name: &str| -> Vec<Value> {
        let events = bench.read(name);
        let events = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        events.filter(|event| event["event"] == "row_settled").map(|mut event| event["code"].take()).collect()
    };
    assert_eq!(codes("events.jsonl").iter().filter(|code| code.is_null()).count(), 5, "{:?}", codes("events.jsonl"));
    // A stop has one, too; and so have the rows that it left.
    bench.roster(&active(6));
    let portal = crate::bench::portal(&active(6));
    bench.run(&portal, &[&["--limit", "2"][..], &outputs].concat()).with(4);
    let summary: Value = serde_json::from_str(&bench.read("summary.json")).expect("JSON");
    assert_eq!(summary["stopped_code"], "limit_run");
    assert_eq!(codes("events.jsonl").iter().filter(|code| **code == "limit_run").count(), 4);
    assert!(bench.read("junit.xml").contains("<failure type=\"limit_run\" "));
    let said = bench.onboard(&["explain", "nothing"]).with(2).said();
    assert!(said.contains("`nothing` is no reason code; `onboard explain` lists all of them"), "{said}");
}
