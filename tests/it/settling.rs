//! What may have been sent and nobody knows: listed with evidence, and decided by a person, who is kept on record.

use std::{fs, process::Stdio};

use onboard::sandbox::{Sandbox, User};

use crate::bench::{Bench, Ended, Row, active, faulty, messages, portal, rows_of};

/// A ledger in a file, and one elsewhere.
const LEDGERS: [&str; 2] = ["l.db", "file://log"];

fn made(bench: &Bench, ledger: &str) {
    if ledger.contains("://") {
        bench.onboard(&["ledger", "init", "--ledger", ledger]).with(0);
    }
}

/// A run that leaves a doubt about each of these rows, the next of which is sent only once that one is answered.
fn doubtful(users: &[User], rows: &[u32]) -> (Bench, Sandbox) {
    let bench = Bench::new();
    bench.roster(users);
    let faults: Vec<String> = rows.iter().map(|row| format!("congratulation:cut:#{row}")).collect();
    (bench, faulty(users, &faults.iter().map(String::as_str).collect::<Vec<_>>()))
}

fn unknown(rows: &[Row]) -> Vec<String> {
    rows.iter().filter(|row| row["congratulation"] == "unknown").map(|row| row["user_id"].clone()).collect()
}

fn json(ended: &Ended) -> serde_json::Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}", ended.out))
}

#[track_caller]
fn fits(text: &str) {
    // What is to be pasted is in one line, however long.
    for line in text.lines().filter(|line| !line.starts_with("  onboard ")) {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
}

/// The results with a column `decision`, as a spreadsheet saves them: a mark, semicolons, CRLF.
fn decided(bench: &Bench, decision: impl Fn(&Row) -> &'static str) {
    let text = fs::read_to_string(bench.path("users.results.csv")).expect("results");
    let header: Vec<&str> = text.lines().next().expect("a header").split(',').collect();
    let mut saved = format!("\u{feff}{};Decision\r\n", header.join(";"));
    for row in bench.results() {
        let cells: Vec<String> = header.iter().map(|name| format!("\"{}\"", row[*name].replace('"', "\"\""))).collect();
        saved.push_str(&format!("{};{}\r\n", cells.join(";"), decision(&row)));
    }
    bench.write("decided.csv", saved);
}

#[test]
fn what_is_undecided_is_listed_with_all_that_helps_to_find_out() {
    for ledger in LEDGERS {
        let users = active(4);
        let bench = Bench::new();
        bench.roster(&users);
        bench.write("people.csv", "email,type\nold@example.com,User\nnew@example.com,User\n");
        let portal = faulty(&users, &["congratulation:cut:#1", "invitation:gateway:#1"]);
        made(&bench, ledger);
        let origin = portal.origin();
        bench.run(&portal, &["--ledger", ledger]).with(1);
        let invite = ["invite", "people.csv", "--portal", &origin, "--api-key-file", "key", "--ledger", ledger];
        bench.onboard(&invite).with(1);
        let user = unknown(&bench.results()).remove(0);
        let row = bench.results().into_iter().find(|row| row["user_id"] == user).expect("a row")["row"].clone();
        let of_invitation = rows_of(&bench.path("people.results.csv"));
        let invited = 1 + of_invitation.iter().position(|row| row["invitation"] == "unknown").expect("a doubt");

        let list = |more: &[&str]| bench.onboard(&[&["settle", "--ledger", ledger], more].concat()).with(0);
        let before = bench.onboard(&["ledger", "show", "--ledger", ledger]).with(0).out;
        let told = list(&[]).out;
        fits(&told);
        let runs = json(&bench.onboard(&["history", "--json", "--ledger", ledger]).with(0));
        let short = |number: usize| {
            let run = runs[number]["run"].as_str().expect("an id");
            run[run.len() - 8..].to_owned()
        };
        for text in [
            format!("{origin}: 2 messages undecided"),
            format!("congratulation to {user}"),
            format!("run     {}, by anna@", short(1)),
            format!("row     {row} of users.csv"),
            "answer  the connection broke".to_owned(),
            "invitation to the address ".to_owned(),
            format!("run     {}, by anna@", short(0)),
            format!("row     {invited} of people.csv"),
            "answer  the portal answered 502".to_owned(),
            format!("  onboard settle {user} --as sent --ledger {ledger}"),
            format!("  onboard settle {user} --as not-sent --ledger {ledger}"),
            format!("  onboard settle --from RESULTS --as sent --ledger {ledger}"),
        ] {
            assert!(told.contains(&text), "{text}: {told}");
        }
        assert!(!told.contains("example.com"), "the ledger knows no address: {told}");
        let both = json(&list(&["--json"]));
        assert_eq!(both.as_array().map(Vec::len), Some(2));
        assert_eq!(
            (&both[0]["user_id"], &both[0]["row"]),
            (&user.as_str().into(), &row.parse::<u64>().expect("a number").into())
        );
        assert_eq!((&both[1]["mail"], &both[1]["roster"]), (&"invitation".into(), &"people.csv".into()));
        // Of another portal nothing is undecided, and nothing was written by all of this.
        assert_eq!(list(&["--portal", "https://other.example.com"]).out, "nothing is undecided\n");
        assert_eq!(json(&list(&["--portal", &origin, "--json"])), both);
        assert_eq!(bench.onboard(&["ledger", "show", "--ledger", ledger]).with(0).out, before);

        bench.onboard(&["settle", &user, "--as", "sent", "--ledger", ledger]).with(0);
        let address = if invited == 1 { "old@example.com" } else { "new@example.com" };
        bench.onboard(&["settle", address, "--as", "not-sent", "--ledger", ledger]).with(0);
        assert_eq!(list(&[]).out, "nothing is undecided\n");
    }
}

#[test]
fn a_run_that_goes_on_keeps_nobody_from_looking() {
    let users = active(3);
    let bench = Bench::new();
    bench.roster(&users);
    let portal = faulty(&users, &["congratulation:stall-after:#1"]);
    let mut run = bench.run_command(&portal, &["--max-writes", "1"]).stderr(Stdio::null()).spawn().expect("started");
    while portal.stats().messages.is_empty() {
        assert!(run.try_wait().expect("waited").is_none(), "it was to hang");
        std::thread::yield_now();
    }
    let told = bench.onboard(&["settle"]).with(0).out;
    assert!(told.contains("answer  none is on record: its run goes on, or was killed"), "{told}");
    run.kill().expect("killed");
    run.wait().expect("ended");
    // What it left is decided without another run in between.
    let open = json(&bench.onboard(&["settle", "--json"]).with(0));
    let user = open[0]["user_id"].as_str().expect("a user");
    bench.onboard(&["settle", user, "--as", "sent"]).with(0);
    assert_eq!(bench.onboard(&["settle"]).with(0).out, "nothing is undecided\n");
}

#[test]
fn a_results_file_that_a_person_has_edited_is_decided_row_by_row_and_once() {
    for ledger in LEDGERS {
        let users = active(9);
        let (bench, portal) = doubtful(&users, &[2, 4, 6]);
        made(&bench, ledger);
        bench.run(&portal, &["--ledger", ledger]).with(1);
        let open = unknown(&bench.results());
        assert_eq!(open.len(), 3);
        // The portal took all three, and says so of none.
        assert_eq!(messages(&portal), 9);
        decided(&bench, |row| match open.iter().position(|user| *user == row["user_id"]) {
            Some(0) => "sent",
            Some(1) => "SENT",
            _ => "",
        });
        let from =
            |more: &[&str]| bench.onboard(&[&["settle", "--from", "decided.csv", "--ledger", ledger], more].concat());
        let told = from(&["--reason", "the mail\nlog has them"]).with(0).out;
        assert!(told.contains(&format!("{}: recorded as sent by anna@", open[0])), "{told}");
        assert!(told.contains(&format!("{}: left, since nothing is decided there", open[2])), "{told}");
        assert!(
            told.ends_with(
                "2 recorded as sent, 0 as not sent, 1 left without a decision, 6 rows not unknown in the file\n"
            ),
            "{told}"
        );
        let story = json(&bench.onboard(&["history", &open[0], "--json", "--ledger", ledger]).with(0));
        assert_eq!(story[0]["decision_reason"], "the mail log has them");
        assert!(story[0]["decided_by"].as_str().is_some_and(|by| by.starts_with("anna@")), "{story}");
        let page = bench.onboard(&["history", &open[0], "--ledger", ledger]).with(0).out;
        assert!(page.contains("decided: sent, by anna@") && page.contains("the mail log has them"), "{page}");
        // Again, and with a word for the rest: a row's own decision wins.
        let told = from(&["--as", "not-sent", "--by", "Ben"]).with(0).out;
        assert!(told.contains("0 recorded as sent, 1 as not sent, 2 decided so already"), "{told}");
        let before = json(&bench.onboard(&["history", "--users", "--json", "--ledger", ledger]).with(0));
        let told = from(&["--as", "not-sent"]).with(0).out;
        assert!(told.contains("0 recorded as sent, 0 as not sent, 3 decided so already"), "{told}");
        assert_eq!(json(&bench.onboard(&["history", "--users", "--json", "--ledger", ledger]).with(0)), before);
        // Nothing takes back what was decided.
        bench.write("decided.csv", bench.read("decided.csv").replace(";SENT", ";not sent"));
        let told = from(&["--as", "not-sent"]).with(1).out;
        assert!(told.contains(&format!("{}: passed over: anna@", open[1])) && told.contains("otherwise"), "{told}");
        // The next run sends to the one of whom it was said that it was not sent.
        bench.run(&portal, &["--ledger", ledger]).with(0);
        assert_eq!(portal.stats().messages.values().sum::<u32>(), 10);
        assert_eq!(portal.stats().messages[&open[2]], 2);
    }
}

#[test]
fn a_doubt_of_another_time_or_another_portal_is_named_and_left_open() {
    for ledger in LEDGERS {
        let users = active(5);
        let (bench, portal) = doubtful(&users, &[1, 6]);
        made(&bench, ledger);
        let run = |more: &[&str]| bench.run(&portal, &[&["--ledger", ledger], more].concat());
        run(&["-o", "first.csv"]).with(1);
        let user = unknown(&rows_of(&bench.path("first.csv"))).remove(0);
        // A later run tells of the same doubt, by the same time.
        run(&["-o", "second.csv"]).with(1);
        let at = |name: &str| {
            let rows = rows_of(&bench.path(name));
            rows.iter().find(|row| row["user_id"] == user).expect("a row")["completed_at"].clone()
        };
        assert_eq!(at("first.csv"), at("second.csv"));
        // Sent again, and in doubt again: what was found out about the first message says nothing about the second.
        run(&["-o", "third.csv", "--retry-unknown"]).with(1);
        assert_ne!(at("first.csv"), at("third.csv"));
        let from = |name: &str, portal: &str| {
            bench.onboard(&["settle", "--from", name, "--as", "not-sent", "--portal", portal, "--ledger", ledger])
        };
        for name in ["first.csv", "second.csv"] {
            let told = from(name, &portal.origin()).with(1).out;
            assert!(told.contains(&format!("{user}: passed over: its doubt is of ")), "{told}");
            assert!(told.starts_with("line ") && told.contains("1 passed over as stale"), "{told}");
        }
        let told = from("third.csv", "https://other.example.com").with(1).out;
        assert!(told.contains(&format!("{user}: passed over: the ledger knows nothing of this user there")), "{told}");
        assert_eq!(json(&bench.onboard(&["settle", "--json", "--ledger", ledger]).with(0))[0]["user_id"], user);
        from("third.csv", &portal.origin()).with(0);
        assert_eq!(bench.onboard(&["settle", "--ledger", ledger]).with(0).out, "nothing is undecided\n");
        run(&["-o", "fourth.csv"]).with(0);
        // Accepted since: nothing is open, and nothing is taken back.
        let told = from("third.csv", &portal.origin()).with(0).out;
        assert!(told.contains("passed over: it was sent since"), "{told}");
        bench.run(&portal, &["--ledger", ledger]).with(0);
        assert_eq!(portal.stats().messages[&user], 3);
    }
}

#[test]
fn a_file_that_cannot_be_meant_decides_nothing() {
    let users = active(4);
    let (bench, portal) = doubtful(&users, &[1, 2]);
    bench.run(&portal, &[]).with(1);
    let open = unknown(&bench.results());
    let refused = |args: &[&str], says: &str| {
        let ended = bench.onboard(&[&["settle"], args].concat()).with(2);
        assert!(ended.said().contains(says), "{args:?}: {}", ended.err);
        let left = json(&bench.onboard(&["settle", "--json"]).with(0));
        assert_eq!(left.as_array().map(Vec::len), Some(2), "{args:?}: {left}");
    };
    refused(&["--from", "users.results.csv"], "nobody has decided anything yet");
    decided(&bench, |row| if row["user_id"] == open[1] { "maybe" } else { "sent" });
    refused(&["--from", "decided.csv", "--as", "sent"], "column decision: `maybe` is no decision");
    let line = 2 + bench.results().iter().position(|row| row["user_id"] == open[1]).expect("a row");
    refused(&["--from", "decided.csv"], &format!("line {line}, column decision"));
    refused(&["--from", "users.csv", "--as", "sent"], "users.csv is no results file of a run");
    refused(&["--from", "nowhere.csv", "--as", "sent"], "nowhere.csv");
    // One person, two answers.
    decided(&bench, |_| "sent");
    let text = bench.read("decided.csv");
    let row = text.lines().find(|line| line.contains(&open[0])).expect("a row").replace(";sent", ";not-sent");
    bench.write("decided.csv", format!("{text}{row}\r\n"));
    refused(&["--from", "decided.csv"], "an earlier row of the file decides otherwise");
    bench.write("decided.csv", text.replace(";Decision", ";decision;Decision").replace(";sent", ";sent;sent"));
    refused(&["--from", "decided.csv"], "more than one column `decision`");
    // Options that say nothing without somebody.
    for args in [&["--as", "sent"][..], &["--reason", "x"], &["--by", "Ben"], &[&open[0]]] {
        refused(args, "required");
    }
    refused(&[&open[0], "--as", "sent", "--reason", &"x".repeat(201)], "at most 200");
    refused(&[&open[0], "--as", "sent", "--reason", " \n"], "it is empty");
    refused(&[&open[0], "--as", "sent", "--json"], "cannot be used with");
    refused(&["--from", "users.results.csv", "--as", "sent", "--log-file", "users.results.csv"], "cannot");
    bench.onboard(&["settle", "--from", "users.results.csv", "--as", "sent"]).with(0);
    assert_eq!(messages(&portal), 4);
}

/// The file is not the ledger's word: only what is `unknown` in it is looked at.
#[test]
fn a_decision_beside_another_outcome_changes_nothing() {
    let users = active(4);
    let bench = Bench::new();
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &[]).with(0);
    decided(&bench, |_| "not-sent");
    let told = bench.onboard(&["settle", "--from", "decided.csv"]).with(0).out;
    assert_eq!(told.matches("only a row that is unknown can be decided").count(), 4, "{told}");
    // Nor is the file's `unknown`, where the ledger knows better.
    bench.write("decided.csv", bench.read("decided.csv").replace("\"sent\"", "\"unknown\""));
    let told = bench.onboard(&["settle", "--from", "decided.csv"]).with(0).out;
    assert_eq!(told.matches("passed over: it was sent since").count(), 4, "{told}");
    bench.run(&portal, &[]).with(0);
    assert_eq!(messages(&portal), 4);
}

#[test]
fn a_runs_page_says_what_was_sent_refused_and_undecided_by_whom_and_when() {
    for ledger in LEDGERS {
        let users = active(6);
        let bench = Bench::new();
        bench.roster(&users);
        let portal = faulty(&users, &["congratulation:cut:#2", "congratulation:forbid:#4"]);
        made(&bench, ledger);
        let run = [&["--ledger", ledger, "--summary-json", "seal.json"][..]].concat();
        bench.run(&portal, &run).with(1);
        let looked = |args: &[&str]| bench.onboard(&[args, &["--ledger", ledger]].concat()).with(0);
        let runs = json(&looked(&["history", "--json"]));
        let id = runs[0]["run"].as_str().expect("an id");
        let short = &id[id.len() - 8..];
        let page = json(&looked(&["history", short, "--json"]));
        let summary: serde_json::Value = serde_json::from_str(&bench.read("seal.json")).expect("JSON");
        assert_eq!(page["run"], id);
        assert_eq!(page["seal"], summary["ledger_seal"], "{page}");
        assert_eq!(page["requests"], summary["requests"]["total"]);
        assert_eq!(
            page["messages"],
            serde_json::json!({"decided": 0, "let_go": 0, "not_sent": 1, "sent": 4, "undecided": 1})
        );
        let rows: Vec<_> = page["attempts"].as_array().expect("a list").iter().map(|one| one["row"].as_u64()).collect();
        assert_eq!(rows.iter().flatten().count(), 6, "{page}");
        let told = looked(&["history", id]).out;
        fits(&told);
        for text in [
            &format!("run       {id}"),
            &format!("portal    {}", portal.origin()),
            "what      run users.csv, 6 rows",
            "who       anna@",
            "exit status 1",
            "rows      4 sent, 1 rejected, 1 unknown",
            "1 message: may have been sent, and nobody has decided",
            "1 message: certainly not sent",
            "4 messages: sent: the portal accepted it",
            summary["ledger_seal"]["hash"].as_str().expect("a hash"),
        ] {
            assert!(told.contains(text), "{text}: {told}");
        }
        assert!(!told.contains("plan "), "{told}");
        let only = looked(&["history", short, "--outcome", "unknown"]).out;
        assert!(only.contains("1 message: may have") && !only.contains("accepted it"), "{only}");
        let open = unknown(&bench.results());
        let settle =
            ["settle", &open[0], "--as", "sent", "--by", "Anna Keller", "--reason", "asked", "--ledger", ledger];
        bench.onboard(&settle).with(0);
        let told = looked(&["history", short]).out;
        assert!(told.contains("may have been sent, until a person decided"), "{told}");
        assert!(told.contains("decided: sent, by Anna Keller: asked"), "{told}");
    }
}

#[test]
fn history_fits_a_terminal_and_is_asked_by_outcome_and_by_time() {
    let users = active(12);
    let (bench, portal) = doubtful(&users, &[1]);
    let name = format!("{}.csv", "a-roster-with-a-long-name".repeat(4));
    bench.roster(&users[..3]);
    fs::rename(bench.path("users.csv"), bench.path(&name)).expect("renamed");
    bench.key_of(&portal);
    let origin = portal.origin();
    bench.onboard(&["run", &name, "--portal", &origin, "--api-key-file", "key"]).with(1);
    bench.roster(&users);
    bench.run(&portal, &["--limit", "2"]).with(4);
    let told = bench.onboard(&["history"]).with(0).out;
    fits(&told);
    assert!(told.starts_with(&format!("{origin}\nrun       began (UTC)")), "{told}");
    assert!(told.contains("2 sent, 1 unknown") && told.contains("2 sent, 2 already_sent"), "{told}");
    fits(&bench.onboard(&["history", "--users"]).with(0).out);
    let open = unknown(&bench.results());
    fits(&bench.onboard(&["history", &open[0]]).with(0).out);
    let many = |args: &[&str]| {
        let ended = bench.onboard(&[&["history", "--json"], args].concat()).with(0);
        json(&ended).as_array().expect("a list").len()
    };
    assert_eq!((many(&[]), many(&["--since", "1h"]), many(&["--since", "2999-01-01"])), (2, 2, 0));
    assert_eq!((many(&["--outcome", "sent"]), many(&["--outcome", "already_sent"])), (2, 1));
    assert_eq!(many(&["--outcome", "rejected,failed"]), 0);
    assert_eq!((many(&["--users"]), many(&["--users", "--outcome", "unknown"])), (5, 1));
    let ended = bench.onboard(&["history", "--outcome", "lost"]).with(2);
    assert!(ended.said().contains("`lost` is no outcome; there are sent, already_sent"), "{}", ended.err);
    let ended = bench.onboard(&["history", "--since", "yesterday"]).with(2);
    assert!(ended.said().contains("give a day like 2026-11-01"), "{}", ended.err);
}

#[test]
fn a_short_id_that_two_runs_share_is_answered_with_both() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    for _ in 0..2 {
        bench.run(&portal, &["--ledger", "l.db"]).with(0);
    }
    let db = rusqlite::Connection::open(bench.path("l.db")).expect("opened");
    db.execute("UPDATE run SET uuid = substr(uuid, 1, 28) || '0000abcd'", []).expect("changed");
    drop(db);
    let ended = bench.onboard(&["history", "0000ABCD", "--ledger", "l.db"]).with(2);
    let said = ended.said();
    assert!(said.contains("names several runs") && said.matches("(run users.csv, 20").count() == 2, "{said}");
}
