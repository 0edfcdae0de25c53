//! Questions: which is asked when, how often, and what an answer, or none, means for the rows.

use super::*;

/// A portal that was asked, and answers to nothing but what follows.
fn silent_start(rows: &[roster::Row], policy: Policy) -> Job<'_> {
    let mut job = job(rows, policy);
    ask(&mut job, LINK, at(0));
    job.link_came(EmployeeType::User, Err(status(403)), at(0));
    if rows.len() > 1 {
        ask(&mut job, Call::Page(0), at(0));
        job.page_came(0, Err(status(403)), at(0));
    }
    job
}

fn asked_now(job: &mut Job<'_>, at: Stamp) -> Vec<Call> {
    std::iter::from_fn(|| {
        let call = job.peek_read(at.now)?;
        job.take_read(call);
        Some(call)
    })
    .take(MANY)
    .collect()
}

#[test]
fn until_the_portal_speaks_no_more_than_five_questions_are_out() {
    let rows = rows(20);
    let mut job = silent_start(&rows, POLICY);
    assert_eq!(asked_now(&mut job, at(1)), (0..5).map(Call::Account).collect::<Vec<_>>());
    assert_eq!((job.in_flight(), job.backlog()), ((5, 0), (15, 0)));
    job.account_came(3, Ok(active(3)), at(2));
    assert_eq!(asked_now(&mut job, at(2)).len(), 15);
}

#[test]
fn a_question_is_asked_again_as_often_as_it_may_be_and_later_each_time() {
    let rows = rows(2);
    let mut job = one_by_one(&rows, POLICY);
    let mut now = at(10);
    ask(&mut job, Call::Account(0), now);
    for pause in [500, 1000] {
        job.account_came(0, Err(lost()), now);
        let wake = job.wake().expect("another try");
        assert!(wake > now.now && wake <= now.now + Duration::from_millis(pause), "{wake:?} after {now:?}");
        if pause == 500 {
            ask(&mut job, Call::Account(1), now);
            job.account_came(1, Ok(active(1)), now);
        }
        assert_eq!(job.peek_read(now.now), None, "not yet");
        assert!(!job.is_finished());
        now = Stamp { now: wake, ..now };
        ask(&mut job, Call::Account(0), now);
    }
    job.account_came(0, Err(lost()), now);
    assert_eq!(outcome(&job, 0), Some(Outcome::Failed));
    assert!(
        detail(&job, 0).starts_with("the status could not be learned: the connection broke"),
        "{}",
        detail(&job, 0)
    );
    assert_eq!(job.wake(), None);
}

#[test]
fn an_answer_gives_a_row_all_its_tries_again() {
    let rows = rows(2);
    let mut job = one_by_one(&rows, Policy { retries: 1, ..POLICY });
    for _ in 0..3 {
        let now = Stamp { now: job.wake().unwrap_or(at(1).now), ..at(1) };
        ask(&mut job, Call::Account(0), now);
        job.account_came(0, Err(lost()), now);
        let now = Stamp { now: job.wake().expect("another try"), ..now };
        ask(&mut job, Call::Account(0), now);
        job.account_came(0, Ok(active(0)), now);
        // It grows old, and is asked for anew.
        assert!(!job.wants_write(now.now + Duration::from_secs(300)));
    }
    assert_eq!(outcome(&job, 0), None);
}

#[test]
fn what_was_refused_or_never_left_is_asked_again_and_charged_to_nobody() {
    let rows = rows(1);
    let mut job = job(&rows, Policy { retries: 0, ..POLICY });
    ask(&mut job, LINK, at(0));
    job.link_came(EmployeeType::User, Err(refused()), at(0));
    for second in 1..10 {
        ask(&mut job, LINK, at(second));
        job.link_came(EmployeeType::User, Err(refused()), at(second));
    }
    ask(&mut job, LINK, at(10));
    job.link_came(EmployeeType::User, Err(unreachable(false)), at(10));
    assert_eq!((job.peek_read(at(10).now), job.down()), (None, Some((at(10).now, "no route"))));
    ask(&mut job, LINK, at(20));
    assert_eq!(job.peek_read(at(20).now), None, "one probe at a time");
    job.link_came(EmployeeType::User, Ok(LinkAnswer::NotPermitted), at(20));
    assert_eq!(job.down(), None);
    ask(&mut job, Call::Account(0), at(21));
}

#[test]
fn while_one_waits_for_its_next_try_others_go_on_and_it_is_not_forgotten() {
    let rows = rows(1);
    let mut job = job(&rows, POLICY);
    ask(&mut job, LINK, at(0));
    job.link_came(EmployeeType::User, Err(status(500)), at(0));
    ask(&mut job, Call::Account(0), at(0));
    job.account_came(0, Ok(active(0)), at(0));
    assert!(!job.is_finished(), "the link is to come");
    let wake = job.wake().expect("another try");
    ask(&mut job, LINK, Stamp { now: wake, ..at(1) });
    job.link_came(EmployeeType::User, Ok(LinkAnswer::Link(InviteLink::made_up("https://p.example/join"))), at(1));
    assert_eq!((job.link_progress(), job.rows_without_link()), ((1, 1), 0));
    assert!(job.drain_remarks().is_empty());
    job.close(Closed::Limit);
    job.drop_ready(at(2));
    assert_eq!(job.end(0).map(|end| end.link.to_owned()), Some("https://p.example/join".to_owned()));
}

#[test]
fn a_portal_that_answers_nobody_is_gone_and_one_answer_of_any_kind_says_otherwise() {
    let rows = rows(20);
    let mut job = one_by_one(&rows, POLICY);
    for row in 0..12 {
        assert_eq!(job.down(), None, "row {row}");
        ask(&mut job, Call::Account(row), at(0));
        // The fifth is answered, if badly: the count begins anew.
        let fault = if row == 4 { status(500) } else { lost() };
        job.account_came(row, Err(fault), at(0));
        if row == 9 {
            break;
        }
    }
    assert_eq!(job.down(), Some((at(0).now, "it takes connections, but does not answer")));
    assert_eq!(job.peek_read(at(0).now), None);
    // From here on each that is lost is a probe that was lost.
    let probe = job.peek_read(at(5).now).expect("a probe");
    job.take_read(probe);
    fail(&mut job, probe, lost(), at(5));
    assert_eq!((job.peek_read(at(5).now), job.down().map(|(since, _)| since)), (None, Some(at(0).now)));
    let probe = job.peek_read(at(20).now).expect("a probe");
    job.take_read(probe);
    fail(&mut job, probe, status(500), at(20));
    assert_eq!(job.down(), None);
}

#[test]
fn a_portal_that_is_gone_for_too_long_ends_the_run() {
    let rows = rows(2);
    let mut job = one_by_one(&rows, POLICY);
    ask(&mut job, Call::Account(0), at(0));
    job.account_came(0, Err(unreachable(false)), at(10));
    job.tick(at(129));
    assert_eq!(job.halted(), None);
    assert!(job.wake().is_some_and(|wake| wake > at(10).now && wake <= at(15).now), "{:?}", job.wake());
    job.tick(at(130));
    assert!(matches!(job.halted(), Some(Halt::Unreachable(why)) if why.answered_before));
    assert_eq!((job.wake(), job.peek_read(at(140).now)), (None, None));
    job.conclude(at(131));
    assert_eq!(job.tally().count(Outcome::NotAttempted), 2);
    assert!(detail(&job, 0).starts_with("the portal cannot be reached: no route"), "{}", detail(&job, 0));
}

#[test]
fn what_ends_the_run_whatever_was_asked() {
    let elsewhere = Fault::Redirected { status: 302, host: "https://sso.example".into() };
    for (fault, expected, why) in [
        (status(401), Halt::KeyRefused, "the portal does not accept the key"),
        (status(402), Halt::Unpaid, "unpaid"),
        (elsewhere, Halt::Redirected { host: "https://sso.example".into() }, "to https://sso.example"),
    ] {
        let rows = rows(3);
        let mut job = one_by_one(&rows, POLICY);
        ask(&mut job, Call::Account(0), at(1));
        ask(&mut job, Call::Account(1), at(1));
        job.account_came(0, Err(fault), at(1));
        assert_eq!(job.halted(), Some(&expected));
        assert_eq!(job.peek_read(at(1).now), None);
        assert!(!job.is_finished(), "one is on its way");
        job.account_came(1, Err(status(403)), at(2));
        assert!(job.is_finished());
        job.conclude(at(2));
        assert_eq!(job.tally().count(Outcome::NotAttempted), 3, "those that met it too");
        assert!(detail(&job, 1).contains(why), "{}", detail(&job, 1));
    }
}

/// With nothing but these answers, five of them are about everybody.
#[test]
fn a_gate_that_refuses_everybody_ends_the_run_after_five() {
    let gate = |status: u16| Fault::Answered { status, body: ErrorBody::Other };
    let not_a_portal = Halt::NotAPortal { why: "it is not JSON".into() };
    for (fault, expected) in [
        (gate(403), Halt::Forbidden(gate(403))),
        (gate(404), Halt::NoPortal),
        (gate(502), Halt::Failing(gate(502))),
        (Fault::Unreadable("it is not JSON"), not_a_portal),
    ] {
        let rows = rows(20);
        let mut job = silent_start(&rows, Policy { retries: 0, ..POLICY });
        for row in 0..5 {
            assert_eq!(job.halted(), None, "{expected:?}");
            ask(&mut job, Call::Account(row), at(1));
            job.account_came(row, Err(fault.clone()), at(1));
            assert_eq!(outcome(&job, row as usize), None, "it may be about everybody");
        }
        assert_eq!(job.halted(), Some(&expected));
        job.conclude(at(2));
        assert_eq!(job.tally().count(Outcome::NotAttempted), 20);
    }
}

#[test]
fn a_small_roster_that_is_refused_as_a_whole_ends_the_run_once_nothing_else_can_come() {
    let rows = rows(3);
    let mut job = silent_start(&rows, Policy { retries: 1, ..POLICY });
    ask(&mut job, Call::Account(0), at(1));
    job.account_came(0, Err(status(404)), at(1));
    assert_eq!(job.halted(), None, "two were not asked for yet");
    ask(&mut job, Call::Account(1), at(1));
    ask(&mut job, Call::Account(2), at(1));
    job.account_came(1, Err(status(404)), at(2));
    assert_eq!(job.halted(), None, "one is on its way");
    job.account_came(2, Err(status(500)), at(2));
    assert_eq!(job.halted(), None, "one is asked again");
    let now = Stamp { now: job.wake().expect("another try"), ..at(3) };
    ask(&mut job, Call::Account(2), now);
    job.account_came(2, Err(status(404)), now);
    assert_eq!(job.halted(), Some(&Halt::NoPortal));
}

#[test]
fn refusals_of_everybody_are_judged_also_where_a_link_comes_last() {
    let rows = rows(2);
    let mut job = job(&rows, Policy { retries: 0, ..POLICY });
    ask(&mut job, LINK, at(0));
    ask(&mut job, Call::Page(0), at(0));
    fail(&mut job, Call::Page(0), status(500), at(1));
    while let Some(call) = job.peek_read(at(30).now) {
        job.take_read(call);
        fail(&mut job, call, Fault::Unreadable("it is not JSON"), at(30));
    }
    assert_eq!(job.halted(), None, "the link is on its way");
    fail(&mut job, LINK, Fault::Unreadable("it is not JSON"), at(31));
    job.tick(at(31));
    assert_eq!(job.halted(), Some(&Halt::NotAPortal { why: "it is not JSON".into() }));
}

#[test]
fn one_answer_makes_refusals_personal() {
    let rows = rows(20);
    let mut job = silent_start(&rows, Policy { retries: 0, ..POLICY });
    for row in 0..4 {
        ask(&mut job, Call::Account(row), at(1));
        job.account_came(row, Err(status(403)), at(1));
    }
    ask(&mut job, Call::Account(4), at(1));
    job.account_came(4, Ok(active(4)), at(2));
    assert_eq!((0..4).map(|row| outcome(&job, row)).collect::<Vec<_>>(), [Some(Outcome::Failed); 4]);
    assert!(detail(&job, 0).starts_with("this key may not see the user"), "{}", detail(&job, 0));
    for row in 5..15 {
        ask(&mut job, Call::Account(row), at(2));
        job.account_came(row, Err(status(404)), at(2));
    }
    assert_eq!(job.halted(), None);
    assert!(detail(&job, 5).starts_with("the portal does not know this user"), "{}", detail(&job, 5));
}

#[test]
fn an_envelope_is_a_portals_own_word_about_one_user() {
    let rows = rows(20);
    let mut job = silent_start(&rows, POLICY);
    let body = ErrorBody::Envelope { message: "gone".into(), passing: false };
    for row in 0..8 {
        ask(&mut job, Call::Account(row), at(1));
        job.account_came(row, Err(Fault::Answered { status: 404, body: body.clone() }), at(1));
        assert_eq!(outcome(&job, row as usize), Some(Outcome::Failed));
    }
    assert_eq!(job.halted(), None);
}

#[test]
fn what_answers_but_not_as_a_portal_is_asked_no_more() {
    let rows = rows(20);
    let nonsense = || Fault::Unreadable("it is a web page");
    let mut job = silent_start(&rows, POLICY);
    for row in 0..5 {
        ask(&mut job, Call::Account(row), at(1));
    }
    for row in 0..5 {
        assert_eq!(job.halted(), None);
        job.account_came(row, Err(nonsense()), at(1));
    }
    assert_eq!(job.halted(), Some(&Halt::NotAPortal { why: "it is a web page".into() }));
    // One that has spoken may stumble.
    let mut job = one_by_one(&rows, POLICY);
    for row in 0..10 {
        ask(&mut job, Call::Account(row), at(1));
        job.account_came(row, Err(nonsense()), at(1));
    }
    assert_eq!(job.halted(), None);
}

#[test]
fn links_that_cannot_be_read_are_no_reason_to_ask_nothing_more() {
    let rows: Vec<_> = (0..)
        .zip(EmployeeType::ALL)
        .map(|(number, kind)| roster::Row { employee_type: Some(kind), ..row(number) })
        .collect();
    let mut job = job(&rows, Policy { retries: 1, ..POLICY });
    for second in [0, 30] {
        for kind in EmployeeType::ALL {
            let call = job.peek_read(at(second).now).expect("a link");
            assert!(matches!(call, Call::Link(_)), "{call:?} instead of {kind}");
            job.take_read(call);
            fail(&mut job, call, Fault::Unreadable("no link"), at(second));
        }
    }
    assert_eq!(job.drain_remarks().len(), 4);
    assert_eq!(job.halted(), None);
    assert_eq!((job.link_progress(), job.rows_without_link()), ((4, 4), 4));
}

#[test]
fn a_link_that_cannot_be_had_is_said_once_and_in_each_row() {
    let rows = rows(2);
    let mut job = one_by_one(&rows, POLICY);
    let remarks = job.drain_remarks();
    assert_eq!(remarks.len(), 1);
    assert!(remarks[0].starts_with("rows of type User get no invitation link: this key may not invite"), "{remarks:?}");
    assert!(job.drain_remarks().is_empty());
    learn(&mut job, at(1));
    for row in [0, 1] {
        assert_eq!(send(&mut job, at(1)), Some(row));
        job.write_came(row, &Ok(()), at(1));
    }
    assert!(detail(&job, 1).starts_with("no invitation link: this key may not invite User"), "{}", detail(&job, 1));
}

#[test]
fn the_listing_is_given_one_more_try_in_all_and_then_left() {
    let rows = rows(900);
    let listing = |start: u64| {
        let first = u32::try_from(start).expect("few");
        Page { total: 900, entries: 100, people: (first..first + 100).map(active).collect() }
    };
    let mut job = job(&rows, POLICY);
    ask(&mut job, LINK, at(0));
    job.link_came(EmployeeType::User, Ok(LinkAnswer::NotPermitted), at(0));
    ask(&mut job, Call::Page(0), at(0));
    assert_eq!(job.peek_read(at(0).now), None, "nothing is known before it is there");
    job.page_came(0, Ok(listing(0)), at(0));
    assert_eq!(job.backlog(), (800, 100));
    ask(&mut job, Call::Page(100), at(0));
    job.page_came(100, Err(lost()), at(1));
    let now = Stamp { now: job.wake().expect("another try"), ..at(2) };
    ask(&mut job, Call::Page(100), now);
    job.page_came(100, Ok(listing(100)), now);
    ask(&mut job, Call::Page(200), now);
    job.page_came(200, Err(lost()), now);
    assert_eq!(job.wake(), None, "that was the second failure");
    ask(&mut job, Call::Account(200), now);
}

/// What is learned early grows old before its congratulation's turn comes.
#[test]
fn no_further_status_is_asked_while_enough_rows_are_ready() {
    let rows = rows(2000);
    let listing = |start: u64| {
        let first = u32::try_from(start).expect("few");
        Page { total: 2000, entries: 100, people: (first..first + 100).map(active).collect() }
    };
    let mut job = job(&rows, POLICY);
    ask(&mut job, LINK, at(0));
    job.link_came(EmployeeType::User, Ok(LinkAnswer::NotPermitted), at(0));
    ask(&mut job, Call::Page(0), at(0));
    job.page_came(0, Ok(listing(0)), at(0));
    assert_eq!(asked_now(&mut job, at(0)), [100, 200, 300, 400].map(Call::Page));
    for start in [100, 200, 300, 400] {
        job.page_came(start, Ok(listing(start)), at(0));
    }
    assert_eq!((job.backlog(), job.peek_read(at(0).now)), ((1500, 500), None));
    assert_eq!(send(&mut job, at(0)), Some(0));
    assert_eq!(asked_now(&mut job, at(0)), [Call::Page(500)]);
    // What is not to be sent cannot grow old.
    job.page_came(500, Ok(listing(500)), at(0));
    job.close(Closed::Limit);
    assert_eq!(job.peek_read(at(0).now), Some(Call::Page(600)));
}

#[test]
fn users_are_looked_at_again_every_so_often_for_so_long() {
    let wait = Patience { at_most: Duration::from_secs(100), poll: Duration::from_secs(30) };
    let rows = rows(3);
    let mut job = one_by_one(&rows, Policy { wait: Some(wait), ..POLICY });
    assert_eq!((job.wake(), job.waiting()), (None, None), "nobody is waited for");
    for row in [0, 1, 2] {
        ask(&mut job, Call::Account(row), at(5));
    }
    job.account_came(0, Ok(pending(0)), at(5));
    job.account_came(1, Ok(pending(1)), at(10));
    assert_eq!(job.wake(), Some(at(100).now), "not before all were asked for");
    job.tick(at(40));
    assert_eq!(job.waiting(), Some((2, at(35).now)));
    job.account_came(2, Ok(active(2)), at(40));
    assert_eq!((job.wake(), job.is_finished()), (Some(at(35).now), false));
    job.tick(at(34));
    assert_eq!((job.peek_read(at(34).now), job.backlog()), (None, (0, 1)));
    job.tick(at(35));
    assert_eq!((job.waiting(), job.backlog()), (None, (2, 1)));
    // Two are open: the listing may save something again.
    ask(&mut job, Call::Page(0), at(35));
    job.page_came(0, Ok(long_listing()), at(36));
    for row in [0, 1] {
        ask(&mut job, Call::Account(row), at(36));
    }
    job.account_came(0, Ok(Person { status: Some(PersonStatus::Disabled), ..pending(0) }), at(36));
    assert_eq!(outcome(&job, 0), Some(Outcome::NotActive));
    assert!(detail(&job, 0).starts_with("the account is disabled"), "{}", detail(&job, 0));
    job.account_came(1, Ok(pending(1)), at(36));
    assert_eq!(job.waiting(), Some((1, at(66).now)));
    assert_eq!(send(&mut job, at(37)), Some(2));
    job.write_came(2, &Ok(()), at(37));
    assert!(!job.is_finished(), "one is waited for");
    job.tick(at(66));
    ask(&mut job, Call::Account(1), at(66));
    job.account_came(1, Ok(pending(1)), at(99));
    assert_eq!(job.wake(), Some(at(100).now));
    job.tick(at(99));
    assert_eq!(outcome(&job, 1), None);
    job.tick(at(100));
    assert_eq!(outcome(&job, 1), Some(Outcome::NotActive));
    assert!(detail(&job, 1).starts_with("invited, but has not joined yet"), "{}", detail(&job, 1));
    assert_eq!((job.is_finished(), job.wake()), (true, None));
}

#[test]
fn nobody_is_waited_for_when_the_time_is_over_or_nothing_more_is_sent() {
    let wait = Patience { at_most: Duration::from_secs(100), poll: Duration::from_secs(30) };
    let policy = Policy { wait: Some(wait), ..POLICY };
    let rows = rows(3);
    let mut job = one_by_one(&rows, policy);
    for row in [0, 1, 2] {
        ask(&mut job, Call::Account(row), at(5));
    }
    job.account_came(0, Ok(pending(0)), at(100));
    assert_eq!(outcome(&job, 0), Some(Outcome::NotActive), "the time is over");
    job.account_came(1, Ok(pending(1)), at(99));
    assert_eq!(job.waiting().map(|(count, _)| count), Some(1));
    job.close(Closed::Limit);
    job.tick(at(99));
    assert_eq!(outcome(&job, 1), Some(Outcome::NotActive), "nothing more is sent");
    job.account_came(2, Ok(pending(2)), at(99));
    assert_eq!(outcome(&job, 2), Some(Outcome::NotActive));
}

#[test]
fn why_somebody_is_not_active_is_told() {
    let told = |account: Person| {
        let rows = rows(1);
        let mut job = job(&rows, POLICY);
        learn_link(&mut job);
        ask(&mut job, Call::Account(0), at(1));
        job.account_came(0, Ok(account), at(1));
        assert_eq!(outcome(&job, 0), Some(Outcome::NotActive));
        detail(&job, 0).split("; ").next().unwrap_or_default().to_owned()
    };
    assert_eq!(told(Person { removed: true, ..active(0) }), "the account was removed");
    assert_eq!(told(Person { status: Some(PersonStatus::Disabled), ..active(0) }), "the account is disabled");
    assert_eq!(told(pending(0)), "invited, but has not joined yet");
    assert_eq!(
        told(Person { is_active: false, status: None, ..active(0) }),
        "has not confirmed the e-mail address yet"
    );
    let other = Person { status: Some(PersonStatus::Other), ..active(0) };
    assert_eq!(told(other), "the account is neither enabled nor pending");
}

fn learn_link(job: &mut Job<'_>) {
    ask(job, LINK, at(0));
    job.link_came(EmployeeType::User, Ok(LinkAnswer::NotPermitted), at(0));
}
