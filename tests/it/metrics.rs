//! Metrics for whoever watches many portals: the last success stays known, whatever became of the run after it.

use std::collections::BTreeMap;

use onboard::sandbox::Sandbox;

use crate::bench::{Bench, active, faulty, messages, portal};

/// The values by series, without the labels that all have.
fn metrics(bench: &Bench, portal: &str, command: &str) -> BTreeMap<String, f64> {
    let text = bench.read("m.prom");
    assert!(text.starts_with("# TYPE onboard_") && text.ends_with("\n# EOF\n"), "{text}");
    let labels = format!("portal=\"{portal}\",command=\"{command}\"");
    let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (series, value) = line.rsplit_once(' ').expect(line);
        assert!(series.contains(&labels), "{line}");
        let name = series.replace(&labels, "").replace("{}", "").replace("{,outcome=", "{");
        (name.trim_start_matches("onboard_").to_owned(), value.parse().expect(line))
    });
    samples.collect()
}

fn of(bench: &Bench, portal: &Sandbox) -> BTreeMap<String, f64> {
    metrics(bench, &portal.address().to_string(), "run")
}

const SUCCESS: &str = "last_success_timestamp_seconds";
const START: &str = "last_start_timestamp_seconds";

#[test]
fn a_failed_run_and_a_dry_one_keep_the_last_success() {
    let (bench, users) = (Bench::new(), active(3));
    bench.roster(&users);
    let portal = faulty(&users, &["congratulation:drop-after:#2"]);
    // One is in doubt: it ended, and not well.
    bench.run(&portal, &["--metrics", "m.prom"]).with(1);
    let first = of(&bench, &portal);
    assert_eq!((first["exit_status"], first["undecided"], first["refusals"]), (1.0, 1.0, 0.0));
    assert_eq!((first["rows{\"sent\"}"], first["rows{\"unknown\"}"], first["rows{\"failed\"}"]), (2.0, 1.0, 0.0));
    assert!(
        first[START] > 1_600_000_000.0 && first["duration_seconds"] >= 0.0 && !first.contains_key(SUCCESS),
        "{first:?}"
    );
    let undecided = bench.results().iter().position(|row| row["congratulation"] == "unknown").expect("one");
    let origin = portal.origin();
    let id = users[undecided].id.to_string();
    bench.onboard(&["settle", &id, "--as", "sent", "--portal", &origin]).with(0);
    bench.run(&portal, &["--metrics", "m.prom"]).with(0);
    let good = of(&bench, &portal);
    assert_eq!((good["exit_status"], good["undecided"], good["rows{\"already_sent\"}"]), (0.0, 0.0, 3.0));
    assert!(good[SUCCESS] >= good[START] && good[START] > first[START], "{good:?}");
    // A dry run is no run, and no success.
    bench.run(&portal, &["--metrics", "m.prom", "--dry-run"]).with(0);
    let dry = of(&bench, &portal);
    assert_eq!((dry[SUCCESS], dry[START]), (good[SUCCESS], good[START]));
    // What the portal refuses, and what cannot start, keep it too.
    bench.write("wrong", "sk-0123456789abcdef0123456789abcdef");
    bench.onboard(&["run", "users.csv", "--portal", &origin, "--api-key-file", "wrong", "--metrics", "m.prom"]).with(3);
    let refused = of(&bench, &portal);
    assert_eq!((refused["exit_status"], refused[SUCCESS]), (3.0, good[SUCCESS]));
    assert!(refused[START] > good[START]);
    bench.run(&portal, &["--metrics", "m.prom", "--at-most", "0"]).with(0);
    bench.write("users.csv", "nothing\n");
    bench.run(&portal, &["--metrics", "m.prom"]).with(2);
    let not_started = of(&bench, &portal);
    assert_eq!((not_started["exit_status"], not_started["undecided"]), (2.0, 0.0));
    assert!(not_started[SUCCESS] > good[SUCCESS] && !not_started.contains_key("rows{\"sent\"}"), "{not_started:?}");
    assert_eq!(messages(&portal), 3);
}

#[test]
fn others_can_read_metrics_and_what_cannot_be_written_is_told_and_changes_nothing() {
    let (bench, users) = (Bench::new(), active(1));
    bench.roster(&users);
    let portal = portal(&users);
    let ended = bench.run(&portal, &["--metrics", "nowhere/m.prom"]).with(0);
    assert!(
        ended.said().contains("warning: the metrics (--metrics) were not written to nowhere/m.prom: "),
        "{}",
        ended.err
    );
    bench.run(&portal, &["--metrics", "m.prom"]).with(0);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(bench.path("m.prom")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "a collector is another user");
    }
    let before = bench.read("m.prom");
    // Where the ledger cannot be read, what was known goes on to age.
    bench.write("broken.db", "no database");
    let ended = bench.run(&portal, &["--ledger", "broken.db", "--metrics", "m.prom"]).with(2);
    assert!(ended.said().contains("the metrics (--metrics) were not written"), "{}", ended.err);
    assert_eq!(bench.read("m.prom"), before);
}

#[test]
fn invitations_have_series_of_their_own_and_practice_is_told_apart() {
    let (bench, users) = (Bench::new(), active(1));
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &[]).with(0);
    bench.write("people.csv", "email,employee_type\nanna@b.example,User\n");
    let origin = portal.origin();
    bench
        .onboard(&["invite", "people.csv", "--portal", &origin, "--api-key-file", "key", "--metrics", "m.prom"])
        .with(0);
    let invited = metrics(&bench, &portal.address().to_string(), "invite");
    assert_eq!((invited["rows{\"invited\"}"], invited["exit_status"]), (1.0, 0.0));
    assert!(!bench.read("m.prom").contains("anna"));
    bench.onboard(&["run", "users.csv", "--sandbox", "-o", "try.csv", "--metrics", "m.prom"]);
    let practice = metrics(&bench, "sandbox.localhost", "run");
    assert!(!practice.contains_key(SUCCESS) && practice.contains_key("rows{\"sent\"}"), "{practice:?}");
}
