//! A ledger that is copied or moved: one of the two is used, whatever happens, and nobody is congratulated twice.

use crate::bench::{Bench, active, messages, portal};

#[test]
fn records_go_on_where_a_ledger_was_moved_to_and_the_old_place_is_refused() {
    let bench = Bench::new();
    let users = active(9);
    bench.roster(&users);
    let portal = portal(&users);
    let run = |ledger: &str, more: &[&str]| bench.run(&portal, &[&["--ledger", ledger], more].concat());
    run("l.db", &["--limit", "3"]).with(4);
    let from_to = [("l.db", "file://a"), ("file://a", "file://b"), ("file://b", "file://c")];
    for ((from, to), sent) in from_to.into_iter().zip([4, 5, 6]) {
        bench.onboard(&["ledger", "move", from, to]).with(0);
        let refused = run(from, &[]).with(2);
        assert!(refused.said().contains("has moved to file://"), "{}", refused.err);
        // What was done is done: the same command finds it so.
        bench.onboard(&["ledger", "move", from, to]).with(0);
        run(to, &["--limit", "1"]).with(4);
        assert_eq!(messages(&portal), sent);
        bench.onboard(&["ledger", "verify", "--ledger", to]).with(0);
    }
    // Another machine, which has seen nothing.
    let mut elsewhere = bench.run_command(&portal, &["--ledger", "file://c"]);
    let home = tempfile::tempdir().expect("a folder");
    assert!(elsewhere.env("HOME", home.path()).output().expect("ran").status.success());
    assert_eq!(messages(&portal), 9);
    assert_eq!(bench.outcomes(), [("already_sent".to_owned(), 6), ("sent".to_owned(), 3)].into());
}

#[test]
fn a_copy_is_a_backup_that_no_run_uses() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = portal(&users);
    bench.onboard(&["ledger", "init", "--ledger", "file://a"]).with(0);
    bench.run(&portal, &["--ledger", "file://a", "--limit", "1"]).with(4);
    bench.onboard(&["ledger", "copy", "file://a", "file://b"]).with(0);
    let refused = bench.run(&portal, &["--ledger", "file://b"]).with(2);
    assert!(refused.said().contains("is a copy, kept as a backup"), "{}", refused.err);
    // What is there already is no target, and a copy no source of a move to go on with.
    bench.onboard(&["ledger", "copy", "file://a", "file://a"]).with(2);
    bench.onboard(&["ledger", "move", "file://b", "file://c"]).with(2);
    bench.run(&portal, &["--ledger", "file://a"]).with(0);
    bench.onboard(&["ledger", "copy", "file://a", "file://b"]).with(2);
    assert_eq!(messages(&portal), 3);
}
