//! What earlier versions wrote: nobody on it gets a second message, and nobody is lost. The fixtures are as their time left
//! them, and stay so; each new version of a file or a log adds one.

use std::{fs, path::Path};

use onboard::sandbox::Sandbox;
use rusqlite::Connection;

use crate::bench::{Bench, active, messages, portal};

/// One for each version of the file, from 1.
const FILES: [&str; 4] = [
    include_str!("earlier/ledger-1.sql"),
    include_str!("earlier/ledger-2.sql"),
    include_str!("earlier/ledger-3.sql"),
    include_str!("earlier/ledger-4.sql"),
];
/// The objects of a log of the first format, one after the other: runs that ended, one that was killed and taken over, a
/// person's decision, and messages that were let go.
const LOG: &str = include_str!("earlier/log-1.jsonl");

/// Runs on it, twice, as of a portal that has moved since.
fn goes_on(bench: &Bench, portal: &Sandbox, ledger: &str, first: &[&str]) {
    let run = || bench.run(portal, &["--ledger", ledger, "--require-ledger", "--formerly", "https://p.example"]);
    let outcomes = || bench.results().iter().map(|row| row["congratulation"].clone()).collect::<Vec<_>>();
    run().with(1);
    assert_eq!(outcomes(), first);
    let due = first.iter().filter(|outcome| **outcome == "sent").count();
    assert_eq!(messages(portal), due);
    run().with(1);
    let later = first.iter().map(|outcome| if *outcome == "sent" { "already_sent" } else { *outcome });
    assert_eq!(outcomes(), later.collect::<Vec<_>>());
    assert_eq!(messages(portal), due);
}

fn version_of(path: &Path) -> i64 {
    let db = Connection::open(path).expect("a database");
    db.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a version")
}

#[test]
fn a_ledger_file_of_each_earlier_version_is_gone_on_with() {
    for (number, statements) in FILES.iter().enumerate() {
        let bench = Bench::new();
        let users = active(5);
        bench.roster(&users);
        let portal = portal(&users);
        let path = bench.path("ledger.db");
        let made = Connection::open(&path).expect("made");
        made.execute_batch(statements).unwrap_or_else(|error| panic!("{}: {error}", number + 1));
        drop(made);
        let version = i64::try_from(number).expect("small") + 1;
        assert_eq!(version_of(&path), version, "the fixture is of its version");
        // Who only looks leaves it as it is.
        let before = fs::read(&path).expect("read");
        let history = bench.onboard(&["history", "--ledger", "ledger.db", "--users"]).with(0);
        assert_eq!(history.out.matches("  sent  ").count(), 1, "{}", history.out);
        assert_eq!(fs::read(&path).expect("read"), before, "{version}: untouched");
        goes_on(&bench, &portal, "ledger.db", &["already_sent", "unknown", "unknown", "sent", "sent"]);
        assert_eq!(version_of(&path), i64::try_from(FILES.len()).expect("small"), "it was brought forward");
        bench.onboard(&["ledger", "verify", "--ledger", "ledger.db"]).with(0);
    }
}

#[cfg(unix)]
#[test]
fn a_log_of_each_earlier_format_is_gone_on_with() {
    let bench = Bench::new();
    let users = active(8);
    bench.roster(&users);
    let portal = portal(&users);
    let folder = bench.path("shared/log");
    fs::create_dir_all(&folder).expect("made");
    let mut objects: Vec<String> = Vec::new();
    for line in LOG.lines() {
        if line.starts_with("{\"format\"") {
            objects.push(String::new());
        }
        *objects.last_mut().expect("a header") += &format!("{line}\n");
    }
    let name = |number: usize| folder.join(format!("{:020}.jsonl", number + 1));
    for (number, object) in objects.iter().enumerate() {
        fs::write(name(number), object).expect("written");
    }
    let place = format!("file://{}", bench.path("shared").display());
    bench.onboard(&["ledger", "verify", "--ledger", &place]).with(0);
    let history = bench.onboard(&["history", "--ledger", &place, "--users"]).with(0);
    assert_eq!(history.out.matches("  sent  ").count(), 5, "{}", history.out);
    let sent = "already_sent";
    goes_on(&bench, &portal, &place, &[sent, sent, sent, sent, "unknown", sent, "unknown", "sent"]);
    for (number, object) in objects.iter().enumerate() {
        assert_eq!(&fs::read_to_string(name(number)).expect("read"), object, "what was appended stays");
    }
}
