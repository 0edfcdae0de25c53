//! Congratulations: when one may leave, and what each ending means.

use super::*;
use crate::workflow::Manner;

#[test]
fn what_was_accepted_is_sent_and_the_ledger_is_told() {
    let rows = rows(2);
    let mut job = ready(&rows, POLICY);
    assert_eq!(job.backlog(), (0, 2));
    assert_eq!(send(&mut job, at(1)), Some(0));
    assert_eq!(send(&mut job, at(1)), Some(1));
    assert_eq!((job.in_flight(), job.backlog()), ((0, 2), (0, 0)));
    assert_eq!(job.write_came(1, &Ok(()), at(2)), Ending::Sent);
    assert_eq!(job.write_came(0, &Ok(()), at(3)), Ending::Sent);
    assert!(job.is_finished());
    assert_eq!(job.in_flight(), (0, 0));
    assert_eq!(job.drain_settled(), [1, 0]);
    assert!(job.drain_settled().is_empty());
    assert_eq!(job.tally().count(Outcome::Sent), 2);
    let end = job.end(0).expect("an end");
    assert_eq!((end.outcome, end.attempts, end.active), (Outcome::Sent, 1, Some(true)));
    assert_eq!(end.completed_at, Some(at(3).wall));
}

#[test]
fn what_the_ledger_holds_is_not_sent() {
    let rows = rows(2);
    let mut job = ready(&rows, POLICY);
    for row in [0, 1] {
        assert_eq!(send(&mut job, at(1)), Some(row));
    }
    job.intent_refused(0, Held::Sent { at: Timestamp::UNIX_EPOCH, run: "r1".into() }, at(2));
    job.intent_refused(1, Held::Unknown { at: Timestamp::UNIX_EPOCH, run: "r2".into(), why: "w".into() }, at(2));
    assert!(job.is_finished());
    assert_eq!((outcome(&job, 0), outcome(&job, 1)), (Some(Outcome::AlreadySent), Some(Outcome::Unknown)));
    assert!(detail(&job, 0).starts_with("accepted 1970-01-01 00:00:00 UTC by run r1"), "{}", detail(&job, 0));
    assert!(detail(&job, 1).starts_with("it may have been sent; "), "{}", detail(&job, 1));
    assert!(detail(&job, 1).contains("(run r2, 1970-01-01 00:00:00 UTC: w)"), "{}", detail(&job, 1));
    assert_eq!(job.end(0).map(|end| end.attempts), Some(0));
}

#[test]
fn an_intent_that_cannot_be_recorded_ends_the_run_and_nothing_was_sent() {
    let rows = rows(2);
    let mut job = ready(&rows, POLICY);
    assert_eq!(send(&mut job, at(1)), Some(0));
    job.intent_lost(0, "the disk is full", at(2));
    assert_eq!(outcome(&job, 0), Some(Outcome::Failed));
    assert_eq!(job.halted(), Some(&Halt::Storage("the disk is full".into())));
    assert!(job.is_finished());
    assert_eq!(send(&mut job, at(3)), None);
}

#[test]
fn what_did_not_leave_before_the_stop_was_not_attempted() {
    let rows = rows(1);
    let mut job = ready(&rows, POLICY);
    assert_eq!(send(&mut job, at(1)), Some(0));
    job.halt(Halt::Stopped);
    assert!(!job.is_finished(), "one is on its way");
    assert!(matches!(job.not_left(0), Ending::NoEffect { counted: false, .. }));
    assert!(job.is_finished());
    job.conclude(at(2));
    assert_eq!(outcome(&job, 0), Some(Outcome::NotAttempted));
    assert!(detail(&job, 0).starts_with("the run was stopped before this row"));
}

#[test]
fn what_certainly_had_no_effect_is_sent_again() {
    let rows = rows(2);
    let mut job = ready(&rows, POLICY);
    assert_eq!(send(&mut job, at(1)), Some(0));
    let ending = job.write_came(0, &Err(refused()), at(2));
    assert!(matches!(ending, Ending::NoEffect { counted: false, .. }));
    assert_eq!(send(&mut job, at(2)), Some(0), "the same row, before others");
    job.write_came(0, &Ok(()), at(3));
    assert_eq!(job.end(0).map(|end| (end.outcome, end.attempts)), Some((Outcome::Sent, 2)));
}

#[test]
fn a_connection_that_cannot_be_made_charges_no_row_until_it_never_can() {
    let rows = rows(1);
    let mut job = ready(&rows, Policy { outage: Duration::from_secs(86_400), ..POLICY });
    let mut now = at(1);
    for tries in 1..=50 {
        assert_eq!(send(&mut job, now), Some(0), "try {tries}");
        let ending = job.write_came(0, &Err(unreachable(false)), now);
        assert!(matches!(ending, Ending::NoEffect { counted: false, .. }));
        assert_eq!(job.down(), Some((at(1).now, "no route")));
        assert_eq!(outcome(&job, 0).is_some(), tries == 50);
        assert_eq!(send(&mut job, now), None, "the portal is probed a moment later");
        let wake = job.wake().expect("a probe");
        assert!(wake > now.now && wake <= now.now + Duration::from_secs(5));
        now = Stamp { now: wake, ..now };
    }
    let end = job.end(0).expect("an end");
    assert_eq!((end.outcome, end.attempts), (Outcome::Failed, 0));
    assert!(end.detail.contains("no route"), "{}", end.detail);
}

#[test]
fn a_probe_that_the_ledger_stops_or_that_is_answered_ends_the_outage_and_a_lost_one_does_not() {
    let rows = rows(3);
    let mut job = ready(&rows, POLICY);
    assert_eq!(send(&mut job, at(1)), Some(0));
    job.write_came(0, &Err(unreachable(false)), at(1));
    assert_eq!(send(&mut job, at(10)), Some(0));
    assert_eq!(send(&mut job, at(10)), None, "one probe at a time");
    job.write_came(0, &Err(lost()), at(11));
    assert!(job.down().is_some_and(|(since, why)| since == at(1).now && why.contains("broke")), "{:?}", job.down());
    assert_eq!(send(&mut job, at(20)), Some(1));
    job.intent_refused(1, Held::Sent { at: Timestamp::UNIX_EPOCH, run: "r".into() }, at(21));
    assert_eq!(job.down(), None);
    assert_eq!(send(&mut job, at(22)), Some(2));
    job.write_came(2, &Err(unreachable(false)), at(22));
    assert_eq!(send(&mut job, at(30)), Some(2));
    job.write_came(2, &Err(status(500)), at(31));
    assert_eq!(job.down(), None);
    assert_eq!(outcome(&job, 2), Some(Outcome::Unknown));
}

#[test]
fn a_certificate_that_is_not_to_be_trusted_ends_the_run_at_once() {
    let rows = rows(2);
    let mut job = ready(&rows, POLICY);
    assert_eq!(send(&mut job, at(1)), Some(0));
    job.write_came(0, &Err(unreachable(true)), at(1));
    assert!(matches!(job.halted(), Some(Halt::Unreachable(why)) if why.why == "no route" && why.answered_before));
}

#[test]
fn each_rejection_says_what_to_do_and_is_counted_unless_the_key_was_refused() {
    let envelope = ErrorBody::Envelope { message: String::new(), passing: false };
    for (status, body, what_to_do, counted) in [
        (403, envelope, "signed keys", true),
        (403, ErrorBody::Empty, "*:write", true),
        (
            400,
            ErrorBody::Validation { said: String::new(), of_invitations: true },
            "look at the congratulation key",
            true,
        ),
        (402, ErrorBody::Empty, "unpaid", true),
        (401, ErrorBody::Empty, "the portal answered 401", false),
        (404, ErrorBody::Empty, "the portal answered 404", true),
    ] {
        let rows = rows(2);
        let mut job = ready(&rows, POLICY);
        assert_eq!(send(&mut job, at(1)), Some(0));
        let ending = job.write_came(0, &Err(Fault::Answered { status, body }), at(2));
        assert!(matches!(ending, Ending::NoEffect { counted: is, .. } if is == counted), "{status}");
        assert!(detail(&job, 0).contains(what_to_do), "{status}: {}", detail(&job, 0));
        assert_eq!(job.end(0).map(|end| end.attempts), Some(1));
        let (outcome_is, halt) = match status {
            401 => (Outcome::Failed, Some(Halt::KeyRefused)),
            402 => (Outcome::Rejected, Some(Halt::Unpaid)),
            _ => (Outcome::Rejected, None),
        };
        assert_eq!((outcome(&job, 0), job.halted()), (Some(outcome_is), halt.as_ref()), "{status}");
    }
}

#[test]
fn when_the_first_ones_are_refused_alike_the_rest_is_not_attempted() {
    let rows = rows(12);
    let mut job = ready(&rows, POLICY);
    for row in 0..5 {
        assert_eq!(send(&mut job, at(1)), Some(row));
    }
    assert_eq!(send(&mut job, at(1)), None, "no more than five are spent on finding out");
    for row in 0..5 {
        assert_eq!(job.closed(), None);
        job.write_came(row, &Err(status(403)), at(2));
    }
    let manner = Manner { status: 403, by_the_call: false };
    assert_eq!((job.closed(), job.all_refused()), (Some(&Closed::RefusedAlike(manner)), Some(manner)));
    assert_eq!(send(&mut job, at(3)), None);
    job.drop_ready(at(3));
    assert!(job.is_finished());
    assert_eq!(job.tally().count(Outcome::NotAttempted), 7);
    assert!(detail(&job, 11).starts_with("the portal refused the first congratulations all alike"));
}

#[test]
fn one_that_was_accepted_makes_refusals_personal() {
    let rows = rows(12);
    let mut job = ready(&rows, POLICY);
    for row in 0..12 {
        assert_eq!(send(&mut job, at(1)), Some(row));
        let result = if row == 0 { Ok(()) } else { Err(status(403)) };
        job.write_came(row, &result, at(1));
    }
    assert_eq!((job.closed(), job.all_refused()), (None, None));
    assert_eq!(job.tally().count(Outcome::Rejected), 11);
}

#[test]
fn what_may_have_been_sent_is_unknown_and_never_sent_again() {
    for fault in [lost(), status(500), status(302), Fault::Unreadable("it breaks off")] {
        let rows = rows(1);
        let mut job = ready(&rows, POLICY);
        assert_eq!(send(&mut job, at(1)), Some(0));
        let ending = job.write_came(0, &Err(fault.clone()), at(2));
        assert_eq!(ending, Ending::Unknown { why: fault.to_string() });
        assert_eq!(job.end(0).map(|end| (end.outcome, end.attempts)), Some((Outcome::Unknown, 1)));
        assert!(detail(&job, 0).starts_with(&format!("it may have been sent: {fault}; ")), "{}", detail(&job, 0));
        assert!(job.is_finished());
        assert_eq!(send(&mut job, at(500)), None);
    }
}

#[test]
fn a_redirect_of_a_congratulation_ends_the_run() {
    let rows = rows(2);
    let mut job = ready(&rows, POLICY);
    assert_eq!(send(&mut job, at(1)), Some(0));
    let redirect = Fault::Redirected { status: 307, host: "https://other.example".into() };
    assert!(matches!(job.write_came(0, &Err(redirect), at(2)), Ending::Unknown { .. }));
    assert_eq!(job.halted(), Some(&Halt::Redirected { host: "https://other.example".into() }));
    assert_eq!(outcome(&job, 0), Some(Outcome::Unknown));
}

/// After three endings that nobody can be sure of, a question must be answered before the next congratulation.
/// A job that has met five doubts in a row, with the fault that they were.
fn in_doubt<'r>(rows: &'r [roster::Row], fault: &Fault) -> Job<'r> {
    let mut job = ready(rows, POLICY);
    for row in 0..5 {
        assert_eq!(job.peek_read(at(1).now), None, "nothing is to be asked");
        assert_eq!(send(&mut job, at(1)), Some(row));
        job.write_came(row, &Err(fault.clone()), at(1));
    }
    assert_eq!(send(&mut job, at(2)), None);
    job
}

#[test]
fn after_five_doubts_in_a_row_a_question_goes_first_and_then_one_message_alone() {
    let rows = rows(20);
    let mut job = in_doubt(&rows, &status(500));
    ask(&mut job, Call::Account(5), at(2));
    assert_eq!(job.peek_read(at(2).now), None, "one question is enough");
    assert_eq!((job.backlog(), job.in_flight()), ((0, 14), (1, 0)));
    job.account_came(5, Ok(active(5)), at(3));
    assert_eq!(send(&mut job, at(3)), Some(6));
    assert_eq!(send(&mut job, at(3)), None, "it is alone");
    job.write_came(6, &Ok(()), at(4));
    for row in [7, 8, 9] {
        assert_eq!(send(&mut job, at(4)), Some(row), "one that was accepted ends all doubts");
    }
}

#[test]
fn where_the_one_alone_is_in_doubt_too_the_run_ends() {
    let rows = rows(20);
    let mut job = in_doubt(&rows, &lost());
    ask(&mut job, Call::Account(5), at(2));
    job.account_came(5, Ok(active(5)), at(3));
    assert_eq!(send(&mut job, at(3)), Some(6));
    job.write_came(6, &Err(lost()), at(4));
    assert!(matches!(job.halted(), Some(Halt::InDoubt { .. })), "{:?}", job.halted());
    job.conclude(at(5));
    assert_eq!((job.tally().count(Outcome::Unknown), job.tally().count(Outcome::NotAttempted)), (6, 14));
    assert!(detail(&job, 19).starts_with("the run stopped since nobody can say"), "{}", detail(&job, 19));
}

#[test]
fn what_is_in_flight_is_awaited_before_the_question_and_charges_nothing_more() {
    let rows = rows(40);
    let mut job = ready(&rows, POLICY);
    assert_eq!(send(&mut job, at(1)), Some(0));
    job.write_came(0, &Ok(()), at(1));
    for row in 1..16 {
        assert_eq!(send(&mut job, at(1)), Some(row));
    }
    for row in 1..16 {
        assert_eq!(job.peek_read(at(2).now), None, "{row} is on its way");
        job.write_came(row, &Err(lost()), at(2));
    }
    // The portal is away for a while: questions are charged to nobody.
    for second in 2..12 {
        let now = at(second * 10);
        if let Some(call) = job.peek_read(now.now) {
            job.take_read(call);
            fail(&mut job, call, status(502), now);
        }
        assert_eq!((send(&mut job, now), job.halted()), (None, None));
    }
    let now = Stamp { now: job.wake().expect("a question"), ..at(119) };
    let call = job.peek_read(now.now).expect("a question");
    job.take_read(call);
    job.account_came(16, Ok(active(16)), now);
    assert_eq!(send(&mut job, now), Some(17));
    job.write_came(17, &Ok(()), now);
    assert_eq!(job.tally().count(Outcome::Failed), 0);
    assert_eq!(send(&mut job, now), Some(18));
}

#[test]
fn questions_after_doubts_have_the_time_of_an_outage() {
    let rows = rows(20);
    let mut job = in_doubt(&rows, &lost());
    job.tick(at(120));
    assert_eq!((job.halted(), job.wake()), (None, Some(at(121).now)));
    job.tick(at(121));
    assert!(matches!(job.halted(), Some(Halt::InDoubt { .. })), "{:?}", job.halted());
}

#[test]
fn statuses_that_all_fail_are_the_portals_trouble_and_not_the_rows() {
    let rows = rows(60);
    let mut job = one_by_one(&rows, POLICY);
    let mut asked = 0;
    for second in 0..600 {
        job.tick(at(second));
        while let Some(call) = job.peek_read(at(second).now) {
            job.take_read(call);
            asked += 1;
            fail(&mut job, call, status(500), at(second));
        }
    }
    assert_eq!(job.halted(), Some(&Halt::Failing(status(500))));
    assert_eq!(job.tally().count(Outcome::Failed), 0);
    assert!(asked < 100, "{asked}");
}

#[test]
fn no_more_are_congratulated_than_the_limit_says_those_in_doubt_included() {
    let rows = rows(6);
    let mut job = ready(&rows, Policy { limit: Some(3), ..POLICY });
    assert_eq!(send(&mut job, at(1)), Some(0));
    job.write_came(0, &Ok(()), at(1));
    assert_eq!(send(&mut job, at(1)), Some(1));
    job.write_came(1, &Err(status(404)), at(1));
    assert_eq!(send(&mut job, at(1)), Some(2));
    assert_eq!(send(&mut job, at(1)), Some(3));
    assert_eq!(send(&mut job, at(1)), None, "two on their way, and one accepted");
    assert_eq!(job.closed(), None, "one of them may have no effect");
    job.write_came(2, &Err(lost()), at(2));
    job.write_came(3, &Err(refused()), at(2));
    assert_eq!(send(&mut job, at(2)), Some(3));
    job.write_came(3, &Ok(()), at(3));
    assert_eq!(send(&mut job, at(3)), None);
    assert_eq!(job.closed(), Some(&Closed::Limit));
    job.drop_ready(at(3));
    assert!(detail(&job, 5).starts_with("--limit was reached"), "{}", detail(&job, 5));
}

#[test]
fn no_more_writes_are_spent_than_the_day_has_left_refused_ones_excepted() {
    let rows = rows(6);
    let mut job = ready(&rows, Policy { daily_left: 4, ..POLICY });
    for (row, result) in [(0, Ok(())), (1, Err(status(404))), (2, Err(lost()))] {
        assert_eq!(send(&mut job, at(1)), Some(row));
        job.write_came(row, &result, at(1));
    }
    assert_eq!(send(&mut job, at(1)), Some(3));
    job.write_came(3, &Err(refused()), at(1));
    assert_eq!(send(&mut job, at(1)), Some(3));
    assert_eq!(send(&mut job, at(1)), None, "one on its way, and three counted");
    assert_eq!(job.closed(), None, "it may have no effect");
    job.write_came(3, &Ok(()), at(2));
    assert_eq!(send(&mut job, at(2)), None);
    assert_eq!(job.closed(), Some(&Closed::Daily));
    job.drop_ready(at(3));
    assert!(detail(&job, 5).starts_with("the daily write limit was reached"), "{}", detail(&job, 5));
}

#[test]
fn what_is_known_of_a_user_is_asked_again_when_it_grew_old() {
    let rows = rows(2);
    let mut job = ready(&rows, POLICY);
    assert!(job.wants_write(at(299).now));
    assert!(!job.wants_write(at(300).now));
    ask(&mut job, Call::Account(0), at(300));
    job.account_came(0, Ok(pending(0)), at(301));
    assert_eq!(outcome(&job, 0), Some(Outcome::NotActive));
    ask(&mut job, Call::Account(1), at(301));
    job.account_came(1, Ok(active(1)), at(301));
    assert_eq!(send(&mut job, at(302)), Some(1));
}

#[test]
fn one_that_comes_back_after_the_close_is_not_attempted() {
    let rows = rows(2);
    let mut job = ready(&rows, POLICY);
    assert_eq!(send(&mut job, at(1)), Some(0));
    job.close(Closed::PortalsDaily(None));
    job.close(Closed::Limit);
    assert_eq!(job.closed(), Some(&Closed::PortalsDaily(None)), "the first reason stands");
    assert_eq!(send(&mut job, at(1)), None, "though one is ready");
    job.write_came(0, &Err(refused()), at(2));
    assert_eq!(outcome(&job, 0), Some(Outcome::NotAttempted));
    assert!(detail(&job, 0).starts_with("the portal's daily write limit was reached"), "{}", detail(&job, 0));
}

#[test]
fn with_keys_to_be_signed_nothing_leaves_before_the_tenant_is_known() {
    let rows = rows(2);
    let policy = Policy { needs_tenant: true, ..POLICY };
    let mut job = one_by_one(&rows, policy.clone());
    ask(&mut job, Call::Account(0), at(0));
    ask(&mut job, Call::Account(1), at(0));
    assert_eq!(job.peek_read(at(0).now), None, "an account may tell it");
    job.account_came(0, Ok(active(0)), at(0));
    assert_eq!(send(&mut job, at(1)), None);
    ask(&mut job, Call::Tenant, at(1));
    assert_eq!((job.peek_read(at(1).now), send(&mut job, at(1)), job.tenant()), (None, None, None));
    job.tenant_came(&Ok(7), at(2));
    assert_eq!((send(&mut job, at(2)), job.tenant()), (Some(0), Some(7)));

    // An account tells it; what the question for it comes to does not matter any more.
    let mut job = self::job(&rows, policy);
    learn_but_tenant(&mut job);
    ask(&mut job, Call::Tenant, at(1));
    job.take_read(Call::Account(0));
    job.account_came(0, Ok(Person { tenant: Some(9), ..active(0) }), at(1));
    job.tenant_came(&Err(status(404)), at(2));
    assert_eq!((job.tenant(), job.closed()), (Some(9), None));
}

fn learn_but_tenant(job: &mut Job<'_>) {
    for _ in 0..MANY {
        let Some(call) = job.peek_read(at(0).now).filter(|call| *call != Call::Tenant) else { return };
        job.take_read(call);
        match call {
            Call::Page(start) => job.page_came(start, Ok(long_listing()), at(0)),
            Call::Account(row) => job.account_came(row, Ok(active(row)), at(0)),
            other => fail(job, other, status(404), at(0)),
        }
    }
    panic!("it asks without end");
}

#[test]
fn a_portal_that_does_not_tell_its_tenant_gets_no_congratulation() {
    let rows = rows(2);
    let mut job = job(&rows, Policy { needs_tenant: true, ..POLICY });
    learn_but_tenant(&mut job);
    for _ in 0..3 {
        assert_eq!(job.closed(), None);
        let now = Stamp { now: job.wake().unwrap_or(at(1).now), ..at(1) };
        ask(&mut job, Call::Tenant, now);
        job.tenant_came(&Err(status(500)), now);
    }
    assert!(matches!(job.closed(), Some(Closed::NoTenant(why)) if why.contains("500")), "{:?}", job.closed());
    job.drop_ready(at(60));
    learn(&mut job, at(60));
    for row in [0, 1] {
        assert_eq!(job.end(row).map(|end| (end.outcome, end.active)), Some((Outcome::NotAttempted, Some(true))));
        assert!(detail(&job, row).contains("give --tenant"), "{}", detail(&job, row));
    }
    assert!(job.is_finished());
}
