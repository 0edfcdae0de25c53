//! The portal's limits, kept at the portal: what it counted, not what we did.

use std::time::Duration;

use onboard::sandbox::{Config, Limits, Sandbox};

use crate::bench::{Bench, active, config, messages, portal};

#[test]
fn three_hundred_rows_at_three_hundred_in_six_seconds_meet_no_refusal() {
    let bench = Bench::new();
    let users = active(300);
    bench.roster(&users);
    let limits = Limits { window: Some((300, 6000)), reads: Some(50), writes: Some(15), daily: Some(10_000) };
    let portal = Sandbox::start(Config {
        limits,
        latency: (Duration::from_millis(2), Duration::from_millis(20)),
        ..config(&users)
    })
    .expect("a portal");
    bench.run(&portal, &["--rate", "300/6s"]).with(0);
    let stats = portal.stats();
    assert_eq!(stats.total_refusals(), 0, "{stats:?}");
    assert!(stats.peak_window <= 300 && stats.peak_reads <= 50 && stats.peak_writes <= 15, "{stats:?}");
    assert_eq!(messages(&portal), 300);
    for (row, user) in bench.results().iter().zip(&users) {
        assert_eq!(row["user_id"], user.id.to_string());
        assert_eq!(row["congratulation"], "sent");
    }
}

#[test]
fn a_run_right_after_another_knows_what_that_one_used() {
    let bench = Bench::new();
    let users = active(40);
    let limits = Limits { window: Some((60, 4000)), ..Limits::OFF };
    let portal = Sandbox::start(Config { limits, ..config(&users) }).expect("a portal");
    bench.roster(&users[..20]);
    bench.run(&portal, &["--rate", "60/4s"]).with(0);
    bench.roster(&users);
    bench.run(&portal, &["--rate", "60/4s"]).with(0);
    let stats = portal.stats();
    assert_eq!(stats.total_refusals(), 0, "{stats:?}");
    assert_eq!(messages(&portal), 40);
}

#[test]
fn two_thousand_rows_take_few_requests() {
    let bench = Bench::new();
    let mut users = active(1800);
    users.extend((1800..2000).map(|number| onboard::sandbox::User::made_up(number, 0.0)));
    bench.roster(&users);
    let portal = Sandbox::start(config(&users)).expect("a portal");
    bench.run(&portal, &["--rate", "100000/s", "--hold-off", "0"]).with(0);
    let stats = portal.stats();
    assert!(stats.total_requests() <= 1860, "{stats:?}");
    assert_eq!(messages(&portal), 1800);
}

#[test]
fn a_small_roster_on_a_large_portal_asks_one_by_one() {
    let bench = Bench::new();
    let users = active(20_000);
    bench.roster(&users[19_970..]);
    let portal = Sandbox::start(config(&users)).expect("a portal");
    bench.run(&portal, &[]).with(0);
    let stats = portal.stats();
    assert_eq!(stats.requests["listing"], 1, "{stats:?}");
    assert!(stats.requests["user"] <= 30, "{stats:?}");
}

#[test]
fn the_rate_yields_to_somebody_who_uses_the_window_too() {
    let bench = Bench::new();
    let users = active(120);
    bench.roster(&users);
    // The portal's real limit is a third of what the run is told: as if somebody else used up the rest.
    let limits = Limits { window: Some((60, 1000)), ..Limits::OFF };
    let portal = Sandbox::start(Config { limits, ..config(&users) }).expect("a portal");
    bench.run(&portal, &["--rate", "180/s"]).with(0);
    let stats = portal.stats();
    assert!(stats.total_refusals() > 0 && stats.total_refusals() < 20, "{stats:?}");
    assert_eq!(messages(&portal), 120);
}

/// A guard for where nobody is asked: nothing leaves where more may become due than somebody thought.
#[test]
fn more_messages_than_were_thought_of_are_none() {
    let bench = Bench::new();
    let users = active(7);
    bench.roster(&users);
    let portal = portal(&users);
    let refused = bench.run(&portal, &["--at-most", "6"]).with(2);
    let said = "7 messages may become due, and --at-most allows 6; nothing was sent";
    assert!(refused.said().contains(said), "{}", refused.err);
    assert_eq!(portal.stats().total_requests(), 0);
    let plan = bench.onboard(&["plan", "users.csv", "--at-most", "6"]).with(2);
    assert!(plan.said().contains(said), "{}", plan.err);
    bench.run(&portal, &["--at-most", "6", "--limit", "6"]).with(4);
    // What was sent is not due any more.
    bench.run(&portal, &["--at-most", "1"]).with(0);
    assert_eq!(messages(&portal), 7);
    bench.write("people.csv", "email,employee_type\na@example.com,User\nb@example.com,User\n");
    let origin = portal.origin();
    let invite = ["invite", "people.csv", "--portal", &origin, "--api-key-file", "key", "--at-most", "1"];
    assert!(bench.onboard(&invite).with(2).said().contains("2 messages may become due"));
}
