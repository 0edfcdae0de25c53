//! Messages of one's own: when a mail may leave, and what each ending means.

use super::*;
use crate::{
    letter::Needs as Letter,
    reason::Stop,
    smtp::{self, Break, Reply, Step},
};

const PLAIN: Letter = Letter { culture: false, invite_link: false, portal_name: false };
const BY_MAIL: Policy = Policy { by_mail: Some(PLAIN), ..POLICY };

fn said(step: Step, code: u16) -> Result<(), smtp::Fault> {
    Err(smtp::Fault::of_reply(step, &Reply { code, lines: vec!["5.7.1 no".to_owned()] }))
}

fn broke(step: Step) -> Result<(), smtp::Fault> {
    Err(smtp::Fault::of_break(step, &Break::Closed))
}

/// Whether an attempt is let go.
fn is_let_go(ending: &Ending) -> bool {
    matches!(ending, Ending::NoEffect { counted: false, .. })
}

#[test]
fn what_the_server_took_is_sent_and_what_it_refused_for_good_is_rejected() {
    let rows = rows(3);
    let mut job = ready(&rows, BY_MAIL);
    for row in 0..3 {
        assert_eq!(send(&mut job, at(1)), Some(row));
    }
    assert_eq!(job.mail_came(0, &Ok(()), at(2)), Ending::Sent);
    assert!(is_let_go(&job.mail_came(1, &said(Step::Recipient, 550), at(2))));
    assert!(is_let_go(&job.mail_came(2, &said(Step::Dot, 554), at(2))));
    assert!(job.is_finished() && job.closed().is_none());
    let outcomes = [0, 1, 2].map(|row| outcome(&job, row));
    assert_eq!(outcomes, [Some(Outcome::Sent), Some(Outcome::Rejected), Some(Outcome::Rejected)]);
    assert!(detail(&job, 1).contains("answered 550") && detail(&job, 1).contains("RCPT TO"), "{}", detail(&job, 1));
    assert_eq!(job.end(1).map(|end| end.attempts), Some(1));
}

#[test]
fn nobody_knows_exactly_from_the_final_dot_on() {
    let rows = rows(3);
    let mut job = ready(&rows, BY_MAIL);
    for row in 0..3 {
        assert_eq!(send(&mut job, at(1)), Some(row));
    }
    assert!(matches!(job.mail_came(0, &broke(Step::Dot), at(2)), Ending::Unknown { .. }));
    assert_eq!(outcome(&job, 0), Some(Outcome::Unknown));
    assert!(detail(&job, 0).contains("the mail server's log"), "{}", detail(&job, 0));
    // Before it the row is tried again.
    assert!(is_let_go(&job.mail_came(1, &broke(Step::Text), at(2))));
    assert_eq!((outcome(&job, 1), job.end(1).map(|end| end.attempts)), (None, None));
    assert_eq!(job.mail_came(2, &Ok(()), at(2)), Ending::Sent);
    job.tick(at(2));
    let again = job.wake().map_or(at(2), |_| at(60));
    job.tick(again);
    learn(&mut job, again);
    assert_eq!(send(&mut job, again), Some(1));
    assert_eq!(job.mail_came(1, &Ok(()), again), Ending::Sent);
    assert!(job.is_finished());
}

#[test]
fn a_mail_that_is_taken_later_waits_alone_and_its_user_is_asked_for_anew() {
    let rows = rows(2);
    let mut job = ready(&rows, BY_MAIL);
    assert_eq!((send(&mut job, at(1)), send(&mut job, at(1))), (Some(0), Some(1)));
    assert!(is_let_go(&job.mail_came(0, &said(Step::Recipient, 450), at(2))));
    assert_eq!(job.mail_came(1, &Ok(()), at(2)), Ending::Sent);
    job.tick(at(30));
    assert_eq!((send(&mut job, at(30)), job.peek_read(at(30).now)), (None, None));
    assert_eq!(job.wake(), Some(at(62).now));
    job.tick(at(62));
    // The account may have been disabled since.
    ask(&mut job, Call::Account(0), at(62));
    job.account_came(0, Ok(active(0)), at(62));
    assert_eq!(send(&mut job, at(62)), Some(0));
    assert!(is_let_go(&job.mail_came(0, &said(Step::Dot, 452), at(63))));
    job.tick(at(183));
    learn(&mut job, at(183));
    assert_eq!(send(&mut job, at(183)), Some(0));
    // Two further tries, no more.
    job.mail_came(0, &said(Step::Recipient, 450), at(184));
    assert_eq!((outcome(&job, 0), job.end(0).map(|end| end.attempts)), (Some(Outcome::Failed), Some(3)));
    assert!(detail(&job, 0).contains("450") && detail(&job, 0).contains("--retries"), "{}", detail(&job, 0));
}

#[test]
fn who_is_disabled_while_a_mail_waits_gets_none() {
    let rows = rows(1);
    let mut job = ready(&rows, BY_MAIL);
    assert_eq!(send(&mut job, at(1)), Some(0));
    job.mail_came(0, &said(Step::Recipient, 451), at(2));
    job.tick(at(62));
    ask(&mut job, Call::Account(0), at(62));
    let disabled = Person { status: Some(PersonStatus::Disabled), ..active(0) };
    job.account_came(0, Ok(disabled), at(62));
    assert_eq!(send(&mut job, at(62)), None);
    assert_eq!(outcome(&job, 0), Some(Outcome::NotActive));
}

#[test]
fn a_server_that_takes_nothing_now_rests_for_everybody() {
    let rows = rows(2);
    let mut job = ready(&rows, BY_MAIL);
    assert_eq!(send(&mut job, at(1)), Some(0));
    assert!(is_let_go(&job.mail_came(0, &said(Step::Greeting, 421), at(2))));
    job.tick(at(2));
    assert_eq!(send(&mut job, at(3)), None);
    assert_eq!(job.wake(), Some(at(32).now));
    job.tick(at(32));
    assert_eq!((send(&mut job, at(32)), send(&mut job, at(32))), (Some(1), Some(0)));
    assert_eq!((job.mail_came(0, &Ok(()), at(33)), job.mail_came(1, &Ok(()), at(33))), (Ending::Sent, Ending::Sent));
}

#[test]
fn what_is_about_the_sender_stops_the_run_after_five_alike() {
    let rows = rows(8);
    let mut job = ready(&rows, BY_MAIL);
    let mut out = Vec::new();
    while let Some(row) = send(&mut job, at(1)) {
        out.push(row);
    }
    assert_eq!(out.len(), 5, "no more are out than are alike");
    for row in &out {
        assert!(is_let_go(&job.mail_came(*row, &said(Step::Sender, 550), at(2))));
    }
    assert!(matches!(job.closed(), Some(Closed::MailServer(Stop::MailRefuses(_)))), "{:?}", job.closed());
    job.drop_ready(at(3));
    assert!(job.is_finished());
    let count = |outcome| job.tally().count(outcome);
    assert_eq!((count(Outcome::Rejected), count(Outcome::NotAttempted)), (4, 4));
}

#[test]
fn a_login_that_is_refused_is_nobodys_own() {
    let rows = rows(3);
    let mut job = ready(&rows, BY_MAIL);
    assert_eq!((send(&mut job, at(1)), send(&mut job, at(1))), (Some(0), Some(1)));
    for row in [0, 1] {
        assert!(is_let_go(&job.mail_came(row, &said(Step::Login, 535), at(2))));
    }
    job.drop_ready(at(2));
    assert!(matches!(job.closed(), Some(Closed::MailServer(Stop::MailLogin(_)))));
    assert_eq!(job.tally().count(Outcome::NotAttempted), 3);
    assert!(detail(&job, 1).contains("does not let its user log in"), "{}", detail(&job, 1));
}

#[test]
fn a_mail_that_cannot_be_made_fails_and_charges_nobody() {
    let rows = rows(2);
    let mut job = ready(&rows, BY_MAIL);
    assert_eq!(send(&mut job, at(1)), Some(0));
    assert!(is_let_go(&job.unmade(0, "the name is empty", at(1))));
    assert_eq!((outcome(&job, 0), job.end(0).map(|end| end.attempts)), (Some(Outcome::Failed), Some(0)));
    assert!(detail(&job, 0).contains("no mail can be made for this person: the name is empty"), "{}", detail(&job, 0));
    assert_eq!(send(&mut job, at(1)), Some(1));
}

#[test]
fn a_message_with_the_link_waits_for_it_and_one_in_several_languages_asks_for_each_user() {
    let rows = rows(2);
    let mut job = job(&rows, Policy { by_mail: Some(Letter { invite_link: true, ..PLAIN }), ..POLICY });
    // Everything but the link is known.
    ask(&mut job, LINK, at(0));
    ask(&mut job, Call::Page(0), at(0));
    let people = vec![active(0), active(1)];
    job.page_came(0, Ok(Page { total: 2, entries: 2, people }), at(0));
    assert_eq!(send(&mut job, at(1)), None);
    job.link_came(EmployeeType::User, Ok(LinkAnswer::NotPermitted), at(1));
    assert_eq!(send(&mut job, at(1)), Some(0));

    let mut job = self::job(&rows, Policy { by_mail: Some(Letter { culture: true, ..PLAIN }), ..POLICY });
    let mut asked = Vec::new();
    while let Some(call) = job.peek_read(at(0).now) {
        job.take_read(call);
        asked.push(call);
    }
    assert_eq!(asked, [LINK, Call::Account(0), Call::Account(1)]);
}

#[test]
fn neither_the_days_writes_nor_the_portals_trouble_are_the_mail_servers() {
    let rows = rows(3);
    let mut job = ready(&rows, Policy { daily_left: u64::MAX, ..BY_MAIL });
    assert_eq!(send(&mut job, at(1)), Some(0));
    job.mail_came(0, &Err(smtp::Fault::NotSent { why: "no route".to_owned(), for_good: false }), at(2));
    assert!(job.down().is_none(), "the portal answers");
    job.tick(at(2));
    assert!(job.halted().is_none());
}
