//! The texts that people read, as they are.

use crate::bench::{Bench, active, faulty, portal, stranger};

/// What differs from run to run, taken out.
fn steady(text: &str) -> String {
    let mut settings = Vec::new();
    for (pattern, with) in [
        (r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:PORT"),
        (r"took     [^,]+,", "took     TIME,"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "RUN"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "WHEN"),
        (r"/\S*/\.local", "HOME/.local"),
        (r"(?m) +$", ""),
    ] {
        settings.push((pattern, with));
    }
    settings.into_iter().fold(text.to_owned(), |text, (pattern, with)| {
        regex::Regex::new(pattern).expect("a pattern").replace_all(&text, with).into_owned()
    })
}

#[test]
fn help() {
    let bench = Bench::new();
    insta::assert_snapshot!("help", bench.onboard(&["--help"]).with(0).out);
    insta::assert_snapshot!("help_run", bench.onboard(&["run", "--help"]).with(0).out);
}

#[test]
fn the_summary_of_an_ordinary_run() {
    let bench = Bench::new();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/users.csv"), bench.path("users.csv")).expect("copied");
    let ended = bench.onboard(&["run", "users.csv", "--sandbox"]).with(0);
    insta::assert_snapshot!("summary", steady(&ended.err));
}

#[test]
fn the_summary_of_a_run_that_needs_a_person() {
    let bench = Bench::new();
    let users = active(6);
    bench.roster(&[&users[..], &[stranger()]].concat());
    let roster = bench.read("users.csv") + "nobody,User,x\n";
    bench.write("users.csv", roster);
    let portal = faulty(&users, &["congratulation:cut:#3"]);
    let ended = bench.run(&portal, &[]).with(1);
    insta::assert_snapshot!("summary_attention", steady(&ended.err));
}

#[test]
fn check_shows_each_kind_of_bad_row() {
    let bench = Bench::new();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/messy.csv"), bench.path("messy.csv")).expect("copied");
    insta::assert_snapshot!("check", bench.onboard(&["check", "messy.csv"]).with(1).out);
    insta::assert_snapshot!("check_json", bench.onboard(&["check", "messy.csv", "--format", "json"]).with(1).out);
    insta::assert_snapshot!("check_github", bench.onboard(&["check", "messy.csv", "--format", "github"]).with(1).out);
}

#[test]
fn the_template_is_accepted_by_check() {
    let bench = Bench::new();
    let template = bench.onboard(&["template"]).with(0).out;
    bench.write("new.csv", template);
    bench.onboard(&["check", "new.csv"]).with(0);
}

#[test]
fn a_plan_is_made_without_the_network() {
    let bench = Bench::new();
    let users = active(5);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &["--limit", "2"]).with(4);
    let asked = portal.stats().total_requests();
    let origin = portal.origin();
    let text = bench.onboard(&["plan", "users.csv", "--portal", &origin]).with(0).out;
    insta::assert_snapshot!("plan", text);
    let json = bench.onboard(&["plan", "users.csv", "--portal", &origin, "--json"]).with(0).out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["rows"]["due"], &json["rows"]["already_sent"]), (&3.into(), &2.into()));
    assert_eq!(portal.stats().total_requests(), asked);
}
