//! A plan that binds: made in one job, approved by a person, carried out in the next. Whatever matters and has changed
//! in between is refused by name before anything is sent; what does not matter is not; and what the plan itself has
//! sent is no reason to stop.

use std::{fs, process::Stdio};

use onboard::sandbox::{Sandbox, User};

use crate::bench::{Bench, Ended, active, config, faulty, messages, portal};

const PEOPLE: usize = 10;

/// People, a portal that has them, and a plan for them.
struct Approved {
    bench: Bench,
    users: Vec<User>,
    portal: Sandbox,
}

impl Approved {
    fn new() -> Self {
        Self::with(&[], portal)
    }

    /// A plan that was made with these options.
    fn with(options: &[&str], portal: impl FnOnce(&[User]) -> Sandbox) -> Self {
        let bench = Bench::new();
        let users = active(u32::try_from(PEOPLE + 3).expect("few"));
        bench.roster(&users[..PEOPLE]);
        let portal = portal(&users);
        let this = Self { bench, users, portal };
        this.plan(options).with(0);
        this
    }

    fn command(&self, first: &[&str], more: &[&str]) -> Vec<String> {
        self.bench.key_of(&self.portal);
        let origin = self.portal.origin();
        let portal = ["--portal", &origin, "--api-key-file", "key"];
        [first, &portal, more].concat().into_iter().map(str::to_owned).collect()
    }

    fn onboard(&self, words: &[String]) -> Ended {
        self.bench.onboard(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn plan(&self, more: &[&str]) -> Ended {
        self.onboard(&self.command(&["plan", "users.csv", "-o", "plan.json"], more))
    }

    fn run(&self, more: &[&str]) -> Ended {
        self.bench.run(&self.portal, &[&["--plan", "plan.json"], more].concat())
    }

    /// Nothing is sent, and it is said what has changed.
    #[track_caller]
    fn refused(&self, more: &[&str], words: &str) {
        let before = self.portal.stats().total_requests();
        let ended = self.run(more).with(2);
        assert!(ended.said().contains(words), "{words}: {}", ended.err);
        assert_eq!(self.portal.stats().total_requests(), before, "{words}");
    }

    /// The whole plan is carried out.
    #[track_caller]
    fn holds(&self, more: &[&str]) {
        self.run(more).with(0);
        assert_eq!(messages(&self.portal), PEOPLE);
    }

    fn roster(&self) -> String {
        self.bench.read("users.csv")
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_plan_is_made_shown_carried_out_and_remembered() {
    let approved = Approved::new();
    let bench = &approved.bench;
    assert_eq!(approved.portal.stats().total_requests(), 0, "whoever plans touches no network");
    let text = bench.read("plan.json");
    let plan = json(&text);
    let digest = plan["digest"].as_str().expect("a digest").to_owned();
    let short = &digest[..8];
    assert_eq!(plan["plan"]["counts"]["due"], PEOPLE);
    assert!(!text.contains("welcome_guest") && !text.contains(approved.portal.api_key()), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(bench.path("plan.json")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let shown = bench.onboard(&["plan", "--show", "plan.json"]).with(0).out;
    for words in [short, &approved.portal.origin(), "anna@", "users.csv", "10 rows of 10 people", "due", "RoomAdmin"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(shown.contains("DocSpaceAdmin, who manage the whole portal"), "{shown}");
    approved.holds(&[]);
    // Nobody gets a second one, and it is no difference that this very plan has sent the first.
    approved.holds(&[]);
    let runs = json(&bench.onboard(&["history", "--format", "json"]).with(0).out);
    let run = runs[0]["run"].as_str().expect("a run").to_owned();
    assert_eq!(runs[0]["plan"], digest.as_str());
    assert_eq!(runs[1]["plan"], digest.as_str());
    let page = bench.onboard(&["history", &run]).with(0).out;
    assert!(page.contains(&digest), "{page}");
    // A run without a plan has none.
    approved.bench.run(&approved.portal, &[]).with(0);
    let runs = json(&bench.onboard(&["history", "--format", "json"]).with(0).out);
    assert!(runs[0]["plan"].is_null());
}

#[test]
fn a_plan_holds_no_address_and_knows_people_without_an_id_all_the_same() {
    let approved = Approved::new();
    let (bench, users) = (&approved.bench, &approved.users);
    let rows: String = users[..4].iter().map(|user| format!("{},{}\n", user.email, user.role)).collect();
    bench.write("users.csv", format!("email,type\n{rows}"));
    approved.plan(&["--resend"]).with(0);
    let text = bench.read("plan.json");
    assert!(!text.contains('@') || !users[..4].iter().any(|user| text.contains(&user.email)), "{text}");
    approved.run(&["--resend"]).with(0);
    // By this plan nobody gets a second message, though it says --resend, and though the ledger knows ids alone.
    approved.run(&["--resend"]).with(0);
    assert_eq!(messages(&approved.portal), 4);
    // Others are seen by the address.
    bench.write("users.csv", format!("email,type\n{},User\n", users[5].email));
    approved.plan(&[]).with(0);
    bench.run(&approved.portal, &[]).with(0);
    approved.refused(&[], "has congratulated 1 of these 1 person");
}

#[test]
fn a_roster_that_says_something_else_is_refused_by_name() {
    let approved = Approved::new();
    let (bench, users) = (&approved.bench, &approved.users);
    let before = approved.roster();
    let line = |at: usize| before.lines().nth(at).expect("a line").to_owned();
    let cases = [
        (
            before.replace(&users[4].id.to_string(), &users[11].id.to_string()),
            "the roster was changed: row 5 is for user",
        ),
        (format!("{before}{},User,New\n", users[11].id), "the roster has 11 rows, and the plan 10 rows"),
        (
            before.replace(&format!("{}\n", line(3)), ""),
            "the roster has 9 rows, and the plan 10 rows; row 3 is for user",
        ),
        (
            before.replace(&line(2), "swap").replace(&line(3), &line(2)).replace("swap", &line(3)),
            "the rows of the roster stand in another order: row 2",
        ),
        (
            before.replace(&format!("{},Guest", users[0].id), &format!("{},User", users[0].id)),
            "row 1 of the roster is for User, and was for Guest",
        ),
        (before.replace(&users[4].id.to_string(), "nobody"), "row 5 is for nobody who could be read"),
        (
            before.replace(&users[4].id.to_string(), &users[3].id.to_string()),
            "the roster was changed: row 5 is for user",
        ),
    ];
    assert_eq!(users[0].role.as_str(), "Guest");
    for (roster, words) in cases {
        assert_ne!(roster, before, "{words}");
        bench.write("users.csv", &roster);
        approved.refused(&[], words);
    }
    // A key of one's own, and an address beside the id.
    for (column, value) in [("key", "mine"), ("email", &*users[0].email)] {
        let mut lines = before.lines();
        let header = lines.next().expect("a header").replace("name", column);
        let rows: Vec<String> = lines.map(|line| line.rsplit_once(',').expect("cells").0.to_owned()).collect();
        let mut text = format!("{header}\n");
        for (number, row) in rows.iter().enumerate() {
            text.push_str(&format!("{row},{}\n", if number == 0 { value } else { "" }));
        }
        bench.write("users.csv", text);
        approved.refused(&[], "row 1 of the roster has another address, or another key of its own");
    }
    // How it is written is no matter.
    let other = before.replace('\n', "\r\n").replace(&users[1].first_name, "Somebody");
    bench.write("users.csv", other);
    approved.holds(&[]);
}

#[test]
fn options_that_change_whom_or_what_are_refused_by_name() {
    let approved = Approved::new();
    for (options, words) in [
        (&["--resend"][..], "made without --resend, and this run has it"),
        (&["--retry-unknown"], "made without --retry-unknown, and this run has it"),
        (&["--limit", "5"], "made without --limit, and this run has it"),
        (&["--refresh"], "made without --refresh, and this run has it"),
        (&["--other-portal"], "made without --other-portal, and this run has it"),
        (&["--key", "another"], "the congratulation's key (--key) is another one"),
        (&["--type", "User", "--map", "employee_type=name"], "no longer holds"),
        (&["--map-type", "x=User", "--map", "user_id=name"], "no longer holds"),
    ] {
        approved.refused(options, words);
    }
    approved.bench.write("machine", "the machine key");
    approved.refused(&["--sign-with", "machine"], "made without --sign-with, and this run has it");
    approved.refused(&["--sandbox"], "--sandbox");
    // One guard more is none less.
    approved.refused(&["--at-most", "9"], "--at-most allows 9");
    // Outputs and limits are no part of a plan.
    approved.holds(&[
        "--rate",
        "1000/min",
        "--max-reads",
        "3",
        "--daily-writes",
        "500",
        "--report",
        "page.html",
        "--no-links",
        "-o",
        "elsewhere.csv",
        "--fail-on",
        "unknown",
        "--at-most",
        "10",
        "--yes",
    ]);
    let limited = Approved::with(&["--limit", "5", "--retry-unknown"], portal);
    limited.refused(&["--limit", "6", "--retry-unknown"], "made with --limit 5, and this run has --limit 6");
    limited.refused(&["--limit", "5"], "made with --retry-unknown, and this run is without it");
    limited.refused(&["--retry-unknown"], "made with --limit, and this run is without it");
}

#[test]
fn another_portal_or_another_account_is_refused_by_name() {
    let approved = Approved::new();
    let moved = portal(&approved.users);
    let ended = approved.bench.run(&moved, &["--plan", "plan.json"]).with(2);
    let (old, new) = (approved.portal.origin(), moved.origin());
    assert!(ended.said().contains(&format!("it is for {old}, and this run is for {new}")), "{}", ended.err);
    // Also where the ledger knows these people under the address of before.
    approved.holds(&[]);
    let ended = approved.bench.run(&moved, &["--plan", "plan.json"]).with(2);
    assert!(ended.said().contains("and this run is for"), "{}", ended.err);
    assert_eq!(moved.stats().total_requests(), 0);
    let other = approved.bench.write("other", "sk-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    #[cfg(unix)]
    fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("changed");
    let run = ["run", "users.csv", "--portal", &old, "--plan", "plan.json", "--api-key-file", "other"];
    let ended = approved.bench.onboard(&run).with(2);
    assert!(ended.said().contains("it was made with another key: the account is"), "{}", ended.err);
    // A plan that was made without a key is for whoever carries it out.
    let keyless = Approved::new();
    let origin = keyless.portal.origin();
    keyless.bench.onboard(&["plan", "users.csv", "-o", "plan.json", "--portal", &origin]).with(0);
    keyless.holds(&[]);
    // Without a portal there is nothing to be bound to.
    let ended = keyless.bench.onboard(&["plan", "users.csv", "-o", "plan.json"]).with(2);
    assert!(ended.said().contains("names its portal"), "{}", ended.err);
}

#[test]
fn what_others_did_with_these_people_is_refused_by_name() {
    let approved = Approved::new();
    let (bench, users, before) = (&approved.bench, &approved.users, approved.roster());
    bench.roster(&users[..4]);
    bench.run(&approved.portal, &["-o", "others.csv"]).with(0);
    bench.write("users.csv", &before);
    let run = json(&bench.onboard(&["history", "--format", "json"]).out)[0]["run"].as_str().expect("a run").to_owned();
    let short = &run[run.len() - 8..];
    approved.refused(&[], &format!("since this plan, run {short} (anna@"));
    approved.refused(&[], "has congratulated 4 of these 10 people. Nothing was sent");
    // Another plan is another's, too: that it was approved says nothing about this one.
    approved.onboard(&approved.command(&["plan", "users.csv", "-o", "other.json"], &["--limit", "1"])).with(0);
    let earlier = bench.read("plan.json");
    approved.plan(&[]).with(0);
    bench.run(&approved.portal, &["--plan", "other.json", "--limit", "1"]).with(4);
    approved.refused(&[], "has congratulated 1 of these 10 people");
    bench.write("plan.json", earlier);
    approved.refused(&[], "has congratulated 4 of these 10 people");
    // Made anew it holds; but not on another ledger, where nobody of them had anything.
    approved.plan(&[]).with(0);
    approved.refused(&["--ledger", "another.db"], "does not know that run");
    approved.holds(&[]);
}

#[test]
fn what_does_not_matter_is_not_refused() {
    let approved = Approved::new();
    let (bench, users, before) = (&approved.bench, &approved.users, approved.roster());
    // Another roster's run that shares nobody.
    bench.roster(&users[PEOPLE..]);
    bench.run(&approved.portal, &["-o", "others.csv"]).with(0);
    bench.write("users.csv", &before);
    approved.run(&["--daily-writes", "7"]).with(4);
    assert_eq!(messages(&approved.portal), 7);
    // Somebody looked at the results, and wrote something into them; the roster lies elsewhere, under another name.
    let results = bench.read("users.results.csv").replace("not_attempted", "todo");
    bench.write("users.results.csv", results);
    bench.write("moved.csv", &before);
    approved.onboard(&approved.command(&["run", "moved.csv", "--plan", "plan.json"], &["-o", "moved.out.csv"])).with(0);
    assert_eq!(messages(&approved.portal), PEOPLE + 3);
    // A results file is a roster, too, and is written anew while its plan is carried out.
    let approved = Approved::new();
    let bench = &approved.bench;
    bench.run(&approved.portal, &["--limit", "2"]).with(4);
    let words = |first: &[&str], more: &[&str]| approved.command(first, more);
    approved.onboard(&words(&["plan", "users.results.csv", "-o", "plan.json"], &[])).with(0);
    let run = ["run", "users.results.csv", "--plan", "plan.json"];
    approved.onboard(&words(&run, &["--daily-writes", "5"])).with(4);
    assert_eq!(messages(&approved.portal), 5);
    approved.onboard(&words(&run, &[])).with(0);
    assert_eq!(messages(&approved.portal), PEOPLE);
}

#[test]
fn a_person_who_settles_something_in_between_changes_what_the_plan_was_about() {
    for (decision, words) in [("sent", "settled as sent what was unknown of 1 of"), ("not-sent", "settled as not sent")]
    {
        let bench = Bench::new();
        let users = active(3);
        bench.roster(&users);
        let portal = faulty(&users, &["congratulation:cut:#1"]);
        let approved = Approved { bench, users, portal };
        approved.bench.run(&approved.portal, &[]).with(1);
        approved.plan(&[]).with(0);
        let results = approved.bench.results();
        let unknown = results.iter().find(|row| row["congratulation"] == "unknown").expect("one");
        // Nothing has changed yet.
        approved.run(&[]).with(1);
        approved.bench.onboard(&["settle", &unknown["user_id"], "--as", decision, "--by", "Anna Keller"]).with(0);
        approved.refused(&[], "since this plan, Anna Keller");
        approved.refused(&[], words);
    }
}

#[test]
fn a_file_that_is_no_plan_or_was_changed_is_refused_by_name() {
    let approved = Approved::new();
    let (bench, whole) = (&approved.bench, approved.bench.read("plan.json"));
    for (text, words) in [
        (whole.replace("\"due\": 10", "\"due\": 1"), "it was changed after it was made"),
        (whole.replace("anna", "eve"), "it was changed after it was made"),
        (whole.replacen("\"Guest\"", "\"User\"", 1), "it was changed after it was made"),
        (whole.replace("\"resend\": false", "\"resend\": true"), "it was changed after it was made"),
        (whole.replace("\"resend\": false,", "\"resend\": false, \"more\": 1,"), "it was changed after it was made"),
        (whole[..whole.len() / 2].to_owned(), "it is no JSON, or not all of it is there"),
        (String::new(), "it is no JSON, or not all of it is there"),
        (approved.roster(), "it is no JSON, or not all of it is there (line 1)"),
        (
            whole.replace("\"onboard_plan\": 1", "\"onboard_plan\": 2"),
            "it was made by a newer onboard (its version is 2)",
        ),
        ("{\"version\": 1}\n".to_owned(), "it is no plan of onboard"),
    ] {
        assert_ne!(text, whole);
        bench.write("plan.json", &text);
        approved.refused(&[], words);
        let shown = bench.onboard(&["plan", "--show", "plan.json"]).with(2);
        assert!(shown.said().contains(words) && shown.out.is_empty(), "{words}: {}", shown.err);
    }
    fs::remove_file(bench.path("plan.json")).expect("removed");
    approved.refused(&[], "the plan plan.json cannot be read");
    // A formatter or a checkout that makes other line ends of it changes no value.
    bench.write("plan.json", serde_json::to_string(&json(&whole)).expect("JSON"));
    bench.write("plan.json", whole.replace('\n', "\r\n"));
    approved.holds(&[]);
}

#[test]
fn a_plan_goes_nowhere_where_it_would_destroy_something() {
    let approved = Approved::new();
    let bench = &approved.bench;
    approved.bench.run(&approved.portal, &["--summary-json", "summary.json", "--ledger", "l.db"]).with(0);
    for place in ["users.csv", "key", "l.db", "summary.json", "users.results.csv"] {
        let before = fs::read(bench.path(place)).expect("read");
        let words = ["plan", "users.csv", "-o", place];
        let ended = approved.onboard(&approved.command(&words, &["--ledger", "l.db"])).with(2);
        assert!(ended.said().contains("cannot go to"), "{place}: {}", ended.err);
        assert_eq!(fs::read(bench.path(place)).expect("read"), before, "{place}");
    }
    approved.onboard(&approved.command(&["plan", "users.csv", "-o", "-"], &[])).with(2);
    // Nor is the plan itself any output's place; and a plan is written over an earlier one.
    approved.refused(&["--summary-json", "plan.json"], "that is the plan (--plan)");
    approved.plan(&["--ledger", "l.db"]).with(0);
    // What the settings file says of results is not about plans.
    bench.write("onboard.toml", "output = \"users.csv\"\n");
    approved.onboard(&approved.command(&["plan", "users.csv"], &[])).with(0);
    bench.write("onboard.toml", "plan = \"plan.json\"\n");
    approved.onboard(&approved.command(&["plan", "users.csv"], &[])).with(2);
}

/// What `go on:` said, as words.
fn go_on(ended: &Ended) -> Vec<String> {
    let said = ended.said();
    let (_, command) = said.split_once("onboard run users.csv").unwrap_or_else(|| panic!("no way on: {said}"));
    let words = command.split_whitespace().map(str::to_owned);
    ["run", "users.csv"].into_iter().map(str::to_owned).chain(words).collect()
}

#[test]
fn after_exit_4_the_same_command_goes_on_and_is_told() {
    // By --limit: it counts in one run, as ever, and whoever approved it read so.
    let options = ["--limit", "4", "--retry-unknown"];
    let approved = Approved::with(&options, portal);
    let shown = approved.bench.onboard(&["plan", "--show", "plan.json"]).with(0).out;
    assert!(shown.contains("4 messages in one run of it, at the most") && shown.contains("--limit 4"), "{shown}");
    let first = approved.run(&options).with(4);
    assert_eq!(messages(&approved.portal), 4);
    let words = go_on(&first);
    assert!(words.contains(&"--plan".to_owned()) && words.contains(&"--retry-unknown".to_owned()), "{words:?}");
    approved.onboard(&words).with(4);
    assert_eq!(messages(&approved.portal), 8);
    approved.onboard(&words).with(0);
    assert_eq!(messages(&approved.portal), PEOPLE);
    // By the day's limit, which is no part of the plan.
    let approved = Approved::new();
    approved.run(&["--daily-writes", "3"]).with(4);
    assert_eq!(messages(&approved.portal), 3);
    approved.holds(&["--daily-writes", "30"]);
}

#[test]
fn a_dry_run_of_a_plan_compares_and_carries_out_nothing() {
    let approved = Approved::with(&["--retry-unknown"], portal);
    let ended = approved.run(&["--retry-unknown", "--dry-run"]).with(0);
    assert_eq!(messages(&approved.portal), 0);
    let words = go_on(&ended);
    assert!(words.contains(&"--retry-unknown".to_owned()) && !words.contains(&"--dry-run".to_owned()), "{words:?}");
    approved.refused(&["--dry-run"], "made with --retry-unknown, and this run is without it");
    approved.onboard(&words).with(0);
    assert_eq!(messages(&approved.portal), PEOPLE);
}

#[test]
fn nobody_gets_a_second_message_by_one_plan_whatever_it_says_of_earlier_ones() {
    let approved = Approved::new();
    approved.bench.run(&approved.portal, &[]).with(0);
    let options = ["--resend", "--limit", "6"];
    approved.plan(&options).with(0);
    // It asks nothing and needs no --yes: whoever approved it was asked.
    approved.run(&options).with(4);
    approved.run(&options).with(0);
    approved.run(&options).with(0);
    let messages = approved.portal.stats().messages;
    assert_eq!(messages.len(), PEOPLE);
    assert!(messages.values().all(|count| *count == 2), "{messages:?}");
    // What the plan's own run left unknown is a person's to decide, not the plan's to try again.
    let faulty = |users: &[User]| faulty(users, &["congratulation:cut:#2"]);
    let approved = Approved::with(&["--retry-unknown"], faulty);
    approved.run(&["--retry-unknown"]).with(1);
    approved.run(&["--retry-unknown"]).with(1);
    let outcomes = approved.bench.outcomes();
    assert_eq!((outcomes["unknown"], outcomes["already_sent"]), (1, PEOPLE - 1), "{outcomes:?}");
}

/// A run of the plan that is killed after one message at least, while another's answer does not come.
fn killed(approved: &Approved, more: &[&str]) {
    let args = [&["--plan", "plan.json"], more].concat();
    let mut run = approved.bench.run_command(&approved.portal, &args).stderr(Stdio::null()).spawn().expect("started");
    while approved.portal.stats().messages.is_empty() {
        assert!(run.try_wait().expect("waited").is_none(), "it was to hang");
        std::thread::yield_now();
    }
    run.kill().expect("killed");
    run.wait().expect("ended");
}

#[test]
fn after_a_kill_the_same_command_goes_on() {
    let stalls = |users: &[User]| faulty(users, &["congratulation:stall-after:#3"]);
    let approved = Approved::with(&[], stalls);
    killed(&approved, &[]);
    let ended = approved.run(&[]);
    assert!([0, 1].contains(&ended.status), "{}", ended.err);
    let outcomes = approved.bench.outcomes();
    let of = |outcome: &str| outcomes.get(outcome).copied().unwrap_or_default();
    assert_eq!(of("sent") + of("already_sent") + of("unknown"), PEOPLE, "{outcomes:?}");
    assert!(messages(&approved.portal) + of("unknown") >= PEOPLE);
    // What a person decides of it does not undo the approval.
    for row in approved.bench.results().iter().filter(|row| row["congratulation"] == "unknown") {
        let was_sent = approved.portal.stats().messages.contains_key(&row["user_id"]);
        let decision = if was_sent { "sent" } else { "not-sent" };
        approved.bench.onboard(&["settle", &row["user_id"], "--as", decision]).with(0);
    }
    approved.run(&[]).with(0);
    assert_eq!(messages(&approved.portal), PEOPLE);
}

#[test]
fn a_plan_may_be_made_from_a_profile() {
    let approved = Approved::new();
    let bench = &approved.bench;
    let settings = |key: &str| {
        let portal = format!("[portal.hr]\nurl = \"{}\"\napi-key-file = \"key\"\n", approved.portal.origin());
        bench.write("onboard.toml", format!("key = \"{key}\"\n{portal}"));
    };
    settings("welcome_guest");
    bench.onboard(&["plan", "users.csv", "-o", "plan.json", "--profile", "hr"]).with(0);
    settings("another");
    let run = ["run", "users.csv", "--plan", "plan.json", "--profile", "hr"];
    let ended = bench.onboard(&run).with(2);
    assert!(ended.said().contains("the congratulation's key (--key) is another one"), "{}", ended.err);
    settings("welcome_guest");
    bench.onboard(&run).with(0);
    assert_eq!(messages(&approved.portal), PEOPLE);
}

#[cfg(unix)]
mod elsewhere {
    use std::io::{BufRead, BufReader};

    use onboard::{
        attempt::{Ending, LetGo, Mail},
        ledger::{Intended, Intent, Ledger, Local, Recorder, RunStart, SessionStart, Times, places},
        place::Place,
    };

    use super::*;
    use crate::ledger_elsewhere::{forget, somebody_takes_over};

    fn with_a_log(options: &[&str], portal: impl FnOnce(&[User]) -> Sandbox) -> (Approved, String) {
        let bench = Bench::new();
        let users = active(u32::try_from(PEOPLE + 3).expect("few"));
        bench.roster(&users[..PEOPLE]);
        let portal = portal(&users);
        let ledger = format!("file://{}", bench.path("log").display());
        bench.onboard(&["ledger", "init", "--ledger", &ledger]).with(0);
        let approved = Approved { bench, users, portal };
        approved.plan(&[&["--ledger", &ledger], options].concat()).with(0);
        (approved, ledger)
    }

    #[test]
    fn on_a_ledger_elsewhere_it_goes_on_after_exit_4_and_a_kill_on_another_machine() {
        let stalls = |users: &[User]| faulty(users, &["congratulation:stall-after:#6"]);
        let (approved, ledger) = with_a_log(&["--limit", "4"], stalls);
        let options = ["--ledger", &*ledger, "--limit", "4"];
        forget(&approved.bench.path(""));
        approved.run(&options).with(4);
        forget(&approved.bench.path(""));
        let mut run = approved
            .bench
            .run_command(&approved.portal, &[&["--plan", "plan.json"], &options[..]].concat())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        while approved.portal.stats().messages.len() < 5 {
            assert!(run.try_wait().expect("waited").is_none(), "it was to hang");
            std::thread::yield_now();
        }
        run.kill().expect("killed");
        run.wait().expect("ended");
        forget(&approved.bench.path(""));
        somebody_takes_over(&approved.bench.path("log"));
        for _ in 0..2 {
            let ended = approved.run(&options);
            assert!([0, 1, 4].contains(&ended.status), "{}", ended.err);
        }
        let outcomes = approved.bench.outcomes();
        let of = |outcome: &str| outcomes.get(outcome).copied().unwrap_or_default();
        assert_eq!(of("sent") + of("already_sent") + of("unknown"), PEOPLE, "{outcomes:?}");
        messages(&approved.portal);
    }

    #[test]
    fn on_a_ledger_elsewhere_what_others_did_is_refused_by_name() {
        let (approved, ledger) = with_a_log(&[], portal);
        let before = approved.roster();
        approved.bench.roster(&approved.users[2..4]);
        approved.bench.run(&approved.portal, &["--ledger", &ledger, "-o", "others.csv"]).with(0);
        approved.bench.write("users.csv", before);
        forget(&approved.bench.path(""));
        approved.refused(&["--ledger", &ledger], "has congratulated 2 of these 10 people");
    }

    /// While the run waits for the ledger, its holder congratulates one of these people.
    #[test]
    fn what_another_session_did_while_this_one_waited_is_refused_by_name_too() {
        let (approved, ledger) = with_a_log(&[], portal);
        let environment = onboard::environment::Environment::of_process();
        let store = places::store(&Place::Folder(approved.bench.path("log")), &environment, "a test").expect("a store");
        let here = tempfile::tempdir().expect("a folder");
        let local = Local { cache: here.path().join("cache"), seen: here.path().join("seen"), apart: String::new() };
        let mut theirs = Ledger::open_elsewhere(store, &local, Times::SHIPPED, |_| {}).expect("a ledger");
        let start = RunStart {
            id: uuid::Uuid::now_v7(),
            account: [1; 8],
            command: "run".to_owned(),
            roster: "others.csv".to_owned(),
            roster_hash: [0; 32],
            rows: 1,
            who: "ben@ci-4".to_owned(),
            plan: None,
        };
        let origin = approved.portal.origin().parse().expect("an origin");
        let long = std::time::Duration::from_secs(10);
        theirs.begin_session(&SessionStart::Run(start), Some((&origin, &[])), long, |_| {}).expect("begun");
        let args = ["--plan", "plan.json", "--ledger", &ledger];
        let mut run =
            approved.bench.run_command(&approved.portal, &args).stderr(Stdio::piped()).spawn().expect("started");
        let mut lines = BufReader::new(run.stderr.take().expect("piped")).lines();
        let waits =
            lines.by_ref().map(|line| line.expect("read")).find(|line| line.contains("waiting for another run"));
        assert!(waits.is_some(), "it was to wait");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let recorder = Recorder::start(theirs).expect("a recorder");
        let subject = *approved.users[0].id.as_bytes();
        let intent = Intent { mail: Mail::Congratulation, subject, email: None, row: None, let_go: LetGo::default() };
        let theirs = runtime.block_on(async {
            let intended = recorder.intend(vec![intent]).await.expect("recorded");
            let Some(Intended::Open(attempt)) = intended.into_iter().next() else { panic!("held") };
            recorder.conclude(attempt, Ending::Sent, Some(200));
            let (ledger, recorded) = recorder.finish().await;
            recorded.expect("recorded");
            ledger.expect("a ledger")
        });
        let mut theirs = theirs;
        theirs.end_run(0, 1, [("sent", 1)]).expect("ended");
        let rest: String = lines.map(|line| line.expect("read") + " ").collect();
        assert_eq!(run.wait().expect("ended").code(), Some(2), "{rest}");
        let said = rest.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("(ben@ci-4, ") && said.contains("has congratulated 1 of these 10 people"), "{said}");
        assert_eq!(messages(&approved.portal), 0);
        // Its session is over: whoever comes next waits for nobody.
        approved.plan(&["--ledger", &ledger]).with(0);
        approved.run(&["--ledger", &ledger]).with(0);
        assert_eq!(messages(&approved.portal), PEOPLE - 1);
    }
}

#[test]
fn a_reader_that_knows_the_schema_knows_the_plan() {
    let approved = Approved::with(&["--limit", "3"], |users| Sandbox::start(config(users)).expect("a portal"));
    let schema = json(include_str!("../../src/plan/plan.schema.json"));
    let plan = json(&approved.bench.read("plan.json"));
    let of = |name: &str| schema["$defs"][name]["properties"].as_object().expect("properties").clone();
    for (name, value) in [
        ("Content", &plan["plan"]),
        ("Made", &plan["plan"]["made"]),
        ("Message", &plan["plan"]["message"]),
        ("Options", &plan["plan"]["options"]),
        ("Counts", &plan["plan"]["counts"]),
        ("PlannedRow", &plan["plan"]["rows"][0]),
    ] {
        let known = of(name);
        for member in value.as_object().expect("an object").keys() {
            assert!(known.contains_key(member), "{name}: {member}");
        }
    }
}
