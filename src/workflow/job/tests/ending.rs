//! How rows end, and what is told of the whole.

use super::*;

fn knowing(rows: &[roster::Row], policy: Policy, known: impl Fn(UserId) -> Option<Held>) -> Job<'_> {
    planned(rows, policy, |_| false, |user| Ok::<_, Infallible>(known(user)), at(0)).expect("infallible")
}

fn sent_before() -> Held {
    Held::Sent { at: Timestamp::UNIX_EPOCH, run: "r1".into() }
}

fn unknown_before() -> Held {
    Held::Unknown { at: Timestamp::UNIX_EPOCH, run: "r1".into(), why: "the run died".into() }
}

#[test]
fn what_an_earlier_run_settled_costs_no_question() {
    let rows = rows(3);
    let known = |one: UserId| match one {
        one if one == user(0) => Some(sent_before()),
        one if one == user(2) => Some(unknown_before()),
        _ => None,
    };
    let mut job = knowing(&rows, POLICY, known);
    let progress = job.progress();
    assert_eq!((progress.rows, progress.to_check, progress.unknown_before), (3, 1, 1));
    assert_eq!((outcome(&job, 0), outcome(&job, 2)), (Some(Outcome::AlreadySent), Some(Outcome::Unknown)));
    assert_eq!(job.end(0).and_then(|end| end.active), Some(true), "what it was when the message left");
    ask(&mut job, LINK, at(0));
    job.link_came(EmployeeType::User, Ok(LinkAnswer::NotPermitted), at(0));
    ask(&mut job, Call::Account(1), at(0));
    job.account_came(1, Ok(active(1)), at(0));
    assert_eq!([(); 2].map(|()| send(&mut job, at(1))), [Some(1), None]);
}

#[test]
fn a_ledger_that_cannot_be_read_is_said_before_anything_is_asked() {
    let rows = rows(1);
    assert_eq!(planned(&rows, POLICY, |_| false, |_| Err("it is broken"), at(0)).map(drop), Err("it is broken"));
}

#[test]
fn a_refreshed_row_is_asked_for_and_keeps_what_the_ledger_says() {
    let rows = rows(5);
    let policy = Policy { refresh: true, retries: 0, ..POLICY };
    let mut job = knowing(&rows, policy, |_| Some(sent_before()));
    assert_eq!((job.progress().to_check, outcome(&job, 0)), (5, None));
    begin(&mut job);
    for row in 0..4 {
        ask(&mut job, Call::Account(row), at(1));
    }
    job.account_came(0, Ok(pending(0)), at(1));
    job.account_came(1, Ok(active(1)), at(1));
    job.account_came(2, Err(status(404)), at(1));
    job.account_came(3, Ok(Person { id: UserId::PLACEHOLDER, ..active(3) }), at(1));
    assert_eq!(send(&mut job, at(1)), None, "it was sent before");
    // The last one was not asked for any more.
    job.halt(Halt::Stopped);
    job.conclude(at(2));
    assert_eq!(job.tally().count(Outcome::AlreadySent), 5);
    let told = (0..5).map(|row| job.end(row).and_then(|end| end.active)).collect::<Vec<_>>();
    assert_eq!(told, [Some(false), Some(true), None, None, None]);
    assert!(detail(&job, 2).starts_with("accepted 1970-01-01"), "{}", detail(&job, 2));
}

#[test]
fn rows_that_are_carried_over_are_not_touched() {
    let rows = rows(3);
    let never = |_: UserId| Ok::<_, Infallible>(None);
    let mut job = planned(&rows, POLICY, |row| row != 1, never, at(0)).expect("infallible");
    assert_eq!((job.progress().rows, job.progress().to_check), (1, 1));
    learn(&mut job, at(0));
    assert_eq!(send(&mut job, at(0)), Some(1));
    job.write_came(1, &Ok(()), at(0));
    assert!(job.is_finished());
    job.conclude(at(1));
    assert_eq!((0..3).map(|row| outcome(&job, row)).collect::<Vec<_>>(), [None, Some(Outcome::Sent), None]);
    assert_eq!(job.tally().total(), 1);
}

#[test]
fn rows_that_cannot_be_used_cost_nothing_and_duplicates_only_their_link() {
    let invalid = roster::Row { state: RowState::Invalid, employee_type: Some(EmployeeType::Guest), ..row(8) };
    let state = RowState::Duplicate { of: 1 };
    let duplicate = roster::Row { state, employee_type: Some(EmployeeType::RoomAdmin), ..row(0) };
    let rows = [row(0), invalid, duplicate];
    let mut job = job(&rows, POLICY);
    assert_eq!(job.drain_settled(), [1, 2]);
    assert_eq!(job.link_progress(), (0, 2));
    assert_eq!(job.rows_without_link(), 2);
    ask(&mut job, LINK, at(0));
    job.link_came(EmployeeType::User, Ok(LinkAnswer::Link(InviteLink::made_up("https://p.example/u"))), at(0));
    assert_eq!((job.link_progress(), job.rows_without_link()), ((1, 2), 1));
    ask(&mut job, Call::Link(EmployeeType::RoomAdmin), at(0));
    job.link_came(EmployeeType::RoomAdmin, Ok(LinkAnswer::Link(InviteLink::made_up("https://p.example/a"))), at(0));
    ask(&mut job, Call::Account(0), at(0));
    job.account_came(0, Ok(pending(0)), at(0));
    assert!(job.is_finished());
    let ends = [0, 1, 2].map(|row| job.end(row).expect("an end"));
    let told = ends.map(|end| (end.outcome, end.link.to_owned(), end.active, end.detail.into_owned()));
    assert_eq!(told[0].1, "https://p.example/u");
    assert_eq!(told[1], (Outcome::Invalid, String::new(), None, String::new()));
    let stands = "the user stands in row 1".to_owned();
    assert_eq!(told[2], (Outcome::Duplicate, "https://p.example/a".to_owned(), Some(false), stands));
}

#[test]
fn a_run_that_ends_early_leaves_every_row_with_its_outcome() {
    let wait = Patience { at_most: Duration::from_secs(100), poll: Duration::from_secs(30) };
    let rows = rows(5);
    let mut job = one_by_one(&rows, Policy { wait: Some(wait), ..POLICY });
    for row in 0..4 {
        ask(&mut job, Call::Account(row), at(1));
    }
    job.account_came(0, Ok(active(0)), at(1));
    job.account_came(1, Ok(active(1)), at(1));
    job.account_came(2, Ok(pending(2)), at(1));
    assert_eq!(send(&mut job, at(1)), Some(0));
    // On its way, ready, waited for, asked for, not asked for yet.
    job.halt(Halt::Stopped);
    assert_eq!(job.end(0).map(|end| end.outcome), None);
    job.conclude(at(2));
    assert_eq!((job.backlog(), job.end(9).is_none()), ((0, 0), true));
    let not_attempted = Some(Outcome::NotAttempted);
    let outcomes = (0..5).map(|row| outcome(&job, row)).collect::<Vec<_>>();
    let expected = [Some(Outcome::Unknown), not_attempted, Some(Outcome::NotActive), not_attempted, not_attempted];
    assert_eq!(outcomes, expected);
    let sending = job.end(0).expect("an end");
    assert_eq!(sending.attempts, 1);
    assert!(sending.detail.starts_with("it may have been sent: the run was stopped before"), "{}", sending.detail);
    assert!(detail(&job, 2).starts_with("invited, but has not joined yet; "), "{}", detail(&job, 2));
    assert!(detail(&job, 4).starts_with("the run was stopped before this row; "), "{}", detail(&job, 4));
    // Nothing that ends is ended twice.
    job.conclude(at(3));
    assert_eq!(job.tally().total(), 5);
}

#[test]
fn the_first_reason_to_end_stands() {
    let rows = rows(1);
    let mut job = job(&rows, POLICY);
    job.halt(Halt::Stopped);
    job.halt(Halt::KeyRefused);
    assert_eq!(job.halted(), Some(&Halt::Stopped));
    assert!(job.is_finished());
    assert_eq!((job.peek_read(at(0).now), job.wants_write(at(0).now)), (None, false));
}

#[test]
fn a_run_is_finished_when_nothing_can_come_any_more() {
    let rows = rows(2);
    let mut job = job(&rows, POLICY);
    assert!(!job.is_finished(), "links and statuses are open");
    ask(&mut job, LINK, at(0));
    job.link_came(EmployeeType::User, Ok(LinkAnswer::NotPermitted), at(0));
    assert!(!job.is_finished(), "statuses are open");
    learn(&mut job, at(0));
    assert!(!job.is_finished(), "two are ready");
    assert_eq!(send(&mut job, at(0)), Some(0));
    assert_eq!(send(&mut job, at(0)), Some(1));
    assert!(!job.is_finished(), "two are on their way");
    job.write_came(0, &Ok(()), at(0));
    assert!(!job.is_finished(), "one is on its way");
    job.write_came(1, &Ok(()), at(0));
    assert!(job.is_finished());
}

#[test]
fn a_run_ends_when_its_time_is_over_and_not_because_of_it_when_it_is_done() {
    let rows = rows(2);
    let policy = Policy { ends_at: Some(at(10).now), ..POLICY };
    let mut job = knowing(&rows, policy.clone(), |_| None);
    assert!(job.wake().is_some_and(|wake| wake <= at(10).now), "nobody sleeps through it");
    job.tick(at(9));
    assert_eq!(job.halted(), None);
    job.tick(at(10));
    assert_eq!(job.halted(), Some(&Halt::Time));
    assert_eq!(job.drain_remarks().len(), 1);
    job.conclude(at(11));
    assert_eq!(job.tally().count(Outcome::NotAttempted), 2);
    assert!(detail(&job, 0).contains("--max-duration"));
    // Whoever was done by then was not stopped.
    let mut job = knowing(&[], policy, |_| None);
    job.tick(at(10));
    assert_eq!(job.halted(), None);
}
