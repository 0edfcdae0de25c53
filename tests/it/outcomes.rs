//! Each outcome of the specification, from roster to results.

use std::collections::BTreeMap;

use onboard::sandbox::{Config, Sandbox, User};

use crate::bench::{Bench, active, config, faulty, messages, portal, stranger};

fn counts(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs.iter().map(|(outcome, count)| ((*outcome).to_owned(), *count)).collect()
}

#[test]
fn every_active_user_is_congratulated_once_and_every_row_has_its_result_in_order() {
    let bench = Bench::new();
    let mut users = active(20);
    users.extend((20..25).map(|number| User::made_up(number, 0.0)));
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &[]).with(0);
    assert_eq!(messages(&portal), 20);
    let results = bench.results();
    for (number, (row, user)) in results.iter().zip(&users).enumerate() {
        assert_eq!(row["row"], (number + 1).to_string());
        assert_eq!(row["user_id"], user.id.to_string());
        assert_eq!(row["employee_type"], user.role.to_string());
        assert!(row["invite_link"].starts_with("http://127.0.0.1"), "{row:?}");
        assert_eq!(row["name"], user.first_name);
        let (active, outcome, attempts) =
            if number < 20 { ("true", "sent", "1") } else { ("false", "not_active", "0") };
        assert_eq!((row["active"].as_str(), row["congratulation"].as_str()), (active, outcome));
        assert_eq!(row["attempts"], attempts);
        assert!(row["completed_at"].ends_with('Z'));
    }
    assert_eq!(results.len(), 25);
    assert!(results[22]["detail"].contains("has not joined"), "{}", results[22]["detail"]);
}

#[test]
fn a_second_run_sends_nothing_and_says_when_and_which() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &[]).with(0);
    let before = portal.stats().total_requests();
    bench.run(&portal, &[]).with(0);
    assert_eq!(messages(&portal), 3);
    assert_eq!(bench.outcomes(), counts(&[("already_sent", 3)]));
    assert!(bench.results()[0]["detail"].starts_with("accepted 20"), "{:?}", bench.results()[0]);
    assert_eq!(bench.results()[0]["active"], "true");
    assert!(bench.results()[0]["invite_link"].starts_with("http"));
    let types = users.iter().map(|user| user.role).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(portal.stats().total_requests() - before, types.len() as u64, "links, and nothing else");
}

#[test]
fn disabled_accounts_are_not_active_and_removed_ones_failed() {
    let bench = Bench::new();
    let mut users = active(3);
    users[1].status = 2;
    bench.roster(&[&users[..], &[stranger()]].concat());
    let portal = portal(&users);
    bench.run(&portal, &[]).with(1);
    assert_eq!(bench.outcomes(), counts(&[("sent", 2), ("not_active", 1), ("failed", 1)]));
    let results = bench.results();
    assert!(results[1]["detail"].contains("disabled"), "{}", results[1]["detail"]);
    assert_eq!(results[1]["active"], "true");
    assert!(results[3]["detail"].contains("does not know this user"), "{}", results[3]["detail"]);
    assert_eq!(messages(&portal), 2);
}

#[test]
fn a_placeholder_for_an_unknown_user_congratulates_nobody() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&[&users[..], &[stranger()]].concat());
    let portal = Sandbox::start(Config { placeholder: true, ..config(&users) }).expect("a portal");
    bench.run(&portal, &[]).with(1);
    assert_eq!(bench.outcomes(), counts(&[("sent", 2), ("failed", 1)]));
    assert_eq!(messages(&portal), 2);
}

#[test]
fn bad_rows_and_duplicates_cost_no_message() {
    let bench = Bench::new();
    let users = active(2);
    let (one, two) = (users[0].id, users[1].id);
    bench.write(
        "users.csv",
        format!("userId;Type;Note\n{one};guest;a\nnobody;User;=1+1\n{{{one}}};USER;b\n{two};Gest;c\n{two};User;d\n"),
    );
    let portal = portal(&users);
    let ended = bench.run(&portal, &[]).with(1);
    assert!(ended.err.contains("did you mean `Guest`?"), "{}", ended.err);
    assert_eq!(bench.outcomes(), counts(&[("sent", 2), ("invalid", 2), ("duplicate", 1)]));
    let results = bench.results();
    assert_eq!(
        results[1]["detail"],
        "line 3, column userId: `nobody` is no user id; a user id looks like 5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10"
    );
    assert_eq!(results[1]["Note"], "'=1+1");
    assert_eq!(results[2]["detail"], "the user stands in row 1");
    assert!(results[2]["invite_link"].starts_with("http"), "a duplicate gets its link");
    assert_eq!(results[2]["active"], "true", "and its status");
    assert_eq!(messages(&portal), 2);
}

#[test]
fn what_the_portal_refuses_is_rejected_and_tried_again_by_a_later_run() {
    let bench = Bench::new();
    let users = active(3);
    let mut text = "user_id,employee_type,key\n".to_owned();
    for (user, key) in users.iter().zip(["", "birthday", ""]) {
        text.push_str(&format!("{},User,{key}\n", user.id));
    }
    bench.write("users.csv", &text);
    let portal = portal(&users);
    bench.run(&portal, &[]).with(1);
    assert_eq!(bench.outcomes(), counts(&[("sent", 2), ("rejected", 1)]));
    assert!(!bench.read("users.results.csv").contains("birthday"), "a row's key is not carried into the results");
    bench.write("users.csv", text.replace("birthday", ""));
    bench.run(&portal, &[]).with(0);
    assert_eq!(bench.outcomes(), counts(&[("already_sent", 2), ("sent", 1)]));
    assert_eq!(messages(&portal), 3);
}

#[test]
fn what_may_have_been_sent_is_unknown_and_never_sent_again_by_itself() {
    for fault in ["drop-after", "cut", "garbage", "error", "gateway", "drop-before", "stall-after"] {
        let bench = Bench::new();
        let users = active(4);
        bench.roster(&users);
        let portal = faulty(&users, &[&format!("congratulation:{fault}:#2")]);
        let more: &[&str] = if fault == "stall-after" { &["--timeout", "1s"] } else { &[] };
        bench.run(&portal, more).with(1);
        assert_eq!(bench.outcomes(), counts(&[("sent", 3), ("unknown", 1)]), "{fault}");
        let had = messages(&portal);
        bench.run(&portal, &[]).with(1);
        assert_eq!(bench.outcomes(), counts(&[("already_sent", 3), ("unknown", 1)]), "{fault}");
        assert_eq!(messages(&portal), had, "{fault}");
        let unknown = bench.results().into_iter().find(|row| row["congratulation"] == "unknown").expect("one");
        assert!(unknown["detail"].contains("--retry-unknown"), "{}", unknown["detail"]);
        // A person may say so.
        bench.run(&portal, &["--retry-unknown"]).with(0);
        assert_eq!(bench.outcomes(), counts(&[("already_sent", 3), ("sent", 1)]), "{fault}");
    }
}

#[test]
fn refusals_have_no_effect_and_cost_no_row() {
    for fault in ["refuse-in-flight", "busy"] {
        let bench = Bench::new();
        let users = active(6);
        bench.roster(&users);
        let portal = faulty(&users, &[&format!("congratulation:{fault}:#2"), &format!("listing:{fault}:#1")]);
        bench.run(&portal, &[]).with(0);
        assert_eq!(bench.outcomes(), counts(&[("sent", 6)]), "{fault}");
        assert_eq!(messages(&portal), 6);
    }
}

#[test]
fn questions_that_fail_are_asked_again() {
    for fault in ["error", "gateway", "drop-before", "drop-after", "cut", "stall-before"] {
        let bench = Bench::new();
        let users = active(5);
        bench.roster(&users);
        let faults = [format!("listing:{fault}:#1"), format!("link:{fault}:#1")];
        let portal = faulty(&users, &[&faults[0], &faults[1]]);
        bench.run(&portal, &["--timeout", "1s"]).with(0);
        assert_eq!(bench.outcomes(), counts(&[("sent", 5)]), "{fault}");
        assert!(bench.results().iter().all(|row| row["invite_link"].starts_with("http")), "{fault}");
    }
}

#[test]
fn a_link_that_cannot_be_had_costs_the_link_and_nothing_else() {
    let bench = Bench::new();
    let users = active(8);
    bench.roster(&users);
    let portal = faulty(&users, &["link:wrong:100%"]);
    let ended = bench.run(&portal, &[]).with(0);
    assert_eq!(bench.outcomes(), counts(&[("sent", 8)]));
    for row in bench.results() {
        assert_eq!(row["invite_link"], "");
        assert!(row["detail"].contains("no invitation link: this key may not invite"), "{}", row["detail"]);
    }
    assert_eq!(ended.err.matches("rows of type Guest get no invitation link").count(), 1, "{}", ended.err);
    bench.run(&portal, &["--fail-on", "failed,no_link"]).with(1);
}

#[test]
fn a_listing_that_cannot_be_had_is_asked_one_by_one() {
    let bench = Bench::new();
    let users = active(5);
    bench.roster(&users);
    let portal = faulty(&users, &["listing:forbid:100%"]);
    bench.run(&portal, &[]).with(0);
    assert_eq!(bench.outcomes(), counts(&[("sent", 5)]));
    assert_eq!(portal.stats().requests["user"], 5);
}

#[test]
fn addresses_are_resolved_and_checked_against_ids() {
    let bench = Bench::new();
    let users = active(4);
    let (zero, one, two) = (&users[0], &users[1], &users[2]);
    bench.write(
        "users.csv",
        format!(
            "email,user_id,type\n{},,User\n{},{},User\n{},{},User\nnobody@example.com,,Guest\n{},,Guest\n",
            zero.email.to_uppercase(),
            one.email,
            one.id,
            users[3].email,
            two.id,
            zero.email,
        ),
    );
    let portal = portal(&users);
    bench.run(&portal, &[]).with(1);
    let results = bench.results();
    let ended = |row: usize| results[row]["congratulation"].as_str();
    assert_eq!([ended(0), ended(1), ended(2), ended(3), ended(4)], ["sent", "sent", "invalid", "failed", "duplicate"]);
    assert_eq!(results[0]["user_id"], zero.id.to_string(), "the id that the address stands for");
    assert!(results[2]["detail"].contains("not the same person"), "{}", results[2]["detail"]);
    assert!(results[3]["detail"].contains("knows nobody"), "{}", results[3]["detail"]);
    assert_eq!(messages(&portal), 2);
}

#[test]
fn only_takes_the_rows_asked_for_and_carries_the_others_over_as_they_were() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = faulty(&users, &["congratulation:cut:#1"]);
    bench.run(&portal, &[]).with(1);
    let before = bench.results();
    bench.key_of(&portal);
    let origin = portal.origin();
    let args = [
        "run",
        "users.results.csv",
        "--portal",
        &origin,
        "--api-key-file",
        "key",
        "--only",
        "unknown",
        "--retry-unknown",
    ];
    bench.onboard(&args).with(0);
    for (old, new) in before.iter().zip(bench.results()) {
        if old["congratulation"] == "unknown" {
            assert_eq!(new["congratulation"], "sent");
        } else {
            assert_eq!(*old, new);
        }
    }
}

#[test]
fn users_who_activate_while_the_run_waits_are_congratulated() {
    let bench = Bench::new();
    let mut users = active(2);
    users.push(User::made_up(7, 0.0));
    bench.roster(&users);
    let portal = portal(&users);
    let mut child = bench.run_command(&portal, &["--wait", "60s", "--poll", "100ms", "-q"]).spawn().expect("started");
    // The portal itself says when the others were congratulated: only then is the third one looked at again.
    while portal.stats().messages.len() < 2 {
        std::thread::yield_now();
    }
    assert!(portal.change_user(users[2].id, |user| (user.status, user.activation) = (1, 1)));
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert_eq!(bench.outcomes(), counts(&[("sent", 3)]));
    assert_eq!(messages(&portal), 3);
}

#[test]
fn the_sandbox_answers_the_same_in_the_process_and_out_of_it() {
    let bench = Bench::new();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/users.csv"), bench.path("users.csv")).expect("copied");
    bench.onboard(&["run", "users.csv", "--sandbox"]).with(0);
    let inside = bench.results();
    let roster = onboard::roster::Roster::read(&bench.path("users.csv").to_string_lossy().parse().expect("infallible"));
    let users = onboard::sandbox::users_of(&roster.expect("a roster")).expect("users");
    let portal = portal(&users);
    bench.run(&portal, &[]).with(0);
    for (one, other) in inside.iter().zip(bench.results()) {
        for column in
            ["row", "user_id", "employee_type", "active", "congratulation", "attempts", "detail", "name", "team"]
        {
            assert_eq!(one[column], other[column]);
        }
    }
}

#[test]
fn refresh_asks_again_and_no_links_leaves_them_out() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = portal(&users);
    bench.run(&portal, &["--no-links"]).with(0);
    assert!(bench.results().iter().all(|row| row["invite_link"].is_empty()));
    portal.change_user(users[0].id, |user| user.activation = 0);
    bench.run(&portal, &[]).with(0);
    assert_eq!(bench.results()[0]["active"], "true", "what it was when the message left");
    bench.run(&portal, &["--refresh"]).with(0);
    assert_eq!(
        (bench.results()[0]["active"].as_str(), bench.results()[0]["congratulation"].as_str()),
        ("false", "already_sent")
    );
    assert_eq!(messages(&portal), 3);
}
