//! The job, moved by hand: what it asks and sends next, what it makes of the answers, how it ends.

use std::{convert::Infallible, time::Duration};

use jiff::Timestamp;

use super::*;
use crate::{
    attempt::{Ending, Held, Mail},
    pace::Moment,
    plan::Plan,
    portal::{ErrorBody, Fault, InviteLink, LinkAnswer, Loss, Page, Person, PersonStatus},
    roster::RowState,
    user::EmployeeType,
    workflow::{Call, Closed, Patience},
};

mod addresses;
mod asking;
mod ending;
mod mailing;
mod sending;

const POLICY: Policy = Policy {
    mail: Mail::Congratulation,
    dry_run: false,
    again: false,
    max_unknown: 5,
    retries: 2,
    outage: Duration::from_secs(120),
    limit: None,
    daily_left: 1000,
    wait: None,
    ends_at: None,
    refresh: false,
    by_mail: None,
    needs_tenant: false,
    seed: 1,
};
const LINK: Call = Call::Link(EmployeeType::User);
/// More questions than any job here has.
const MANY: usize = 5000;

fn at(second: u64) -> Stamp {
    let wall = Timestamp::from_second(1_795_000_000).expect("a time");
    let since = Duration::from_secs(second);
    Stamp { now: Moment::START + since, wall: wall + since }
}

/// The user of the row with this number, from 0.
fn user(row: u32) -> UserId {
    let mut bytes = [9; 16];
    bytes[..4].copy_from_slice(&row.to_be_bytes());
    UserId::from_bytes(bytes)
}

fn row(number: u32) -> roster::Row {
    roster::Row {
        user: Some(user(number)),
        email: None,
        employee_type: Some(EmployeeType::User),
        state: RowState::Valid,
        previous: None,
    }
}

fn rows(count: u32) -> Vec<roster::Row> {
    (0..count).map(row).collect()
}

/// A job of which no earlier run knows anything.
fn job(rows: &[roster::Row], policy: Policy) -> Job<'_> {
    planned(rows, policy, |_| false, |_| Ok::<_, Infallible>(None), at(0)).expect("infallible")
}

/// A job of which some rows are carried over, and of which earlier runs know something.
fn planned<E>(
    rows: &[roster::Row],
    policy: Policy,
    carried: impl Fn(usize) -> bool,
    earlier: impl Fn(UserId) -> Result<Option<Held>, E>,
    stamp: Stamp,
) -> Result<Job<'_>, E> {
    let plan = Plan::decide(
        policy.mail,
        rows,
        carried,
        |_, _| false,
        |subjects, found| {
            for (place, subject) in subjects.enumerate() {
                if let Some(held) = earlier(UserId::from_bytes(subject))? {
                    found(place, held);
                }
            }
            Ok(())
        },
    )?;
    Ok(Job::new(rows, plan, policy, stamp))
}

/// Somebody who is to be congratulated.
fn active(row: u32) -> Person {
    Person {
        id: user(row),
        is_active: true,
        status: Some(PersonStatus::Enabled),
        removed: false,
        email: None,
        tenant: None,
        name: String::new(),
        role: EmployeeType::User,
        culture: String::new(),
        registered: String::new(),
    }
}

fn pending(row: u32) -> Person {
    Person { is_active: false, status: Some(PersonStatus::Pending), ..active(row) }
}

fn status(status: u16) -> Fault {
    Fault::Answered { status, body: ErrorBody::Empty }
}

fn lost() -> Fault {
    Fault::Lost(Loss::Broke)
}

fn unreachable(for_good: bool) -> Fault {
    Fault::NotSent { why: "no route".to_owned(), for_good }
}

fn refused() -> Fault {
    Fault::Refused(crate::pace::Refusal { limiter: crate::pace::Limiter::Window, limit: None, retry_after: None })
}

/// A listing that is not worth reading: so many users stand in it, and not those of the roster.
fn long_listing() -> Page {
    Page { total: 1_000_000, entries: 100, people: Vec::new() }
}

/// Asks the next question, which must be this one.
fn ask(job: &mut Job<'_>, call: Call, at: Stamp) {
    assert_eq!(job.peek_read(at.now), Some(call));
    job.take_read(call);
}

/// Has the link and, where one is worth it, the first page answered: rows are asked for one by one from here on.
fn begin(job: &mut Job<'_>) {
    ask(job, LINK, at(0));
    job.link_came(EmployeeType::User, Ok(LinkAnswer::NotPermitted), at(0));
    if job.progress().rows > 1 {
        ask(job, Call::Page(0), at(0));
        job.page_came(0, Ok(long_listing()), at(0));
    }
}

/// A job of which that is done.
fn one_by_one(rows: &[roster::Row], policy: Policy) -> Job<'_> {
    let mut job = job(rows, policy);
    begin(&mut job);
    job
}

/// Answers a question, other than for a link, with this fault.
fn fail(job: &mut Job<'_>, call: Call, fault: Fault, at: Stamp) {
    match call {
        Call::Link(kind) => job.link_came(kind, Err(fault), at),
        Call::Page(start) => job.page_came(start, Err(fault), at),
        Call::Account(row) | Call::Person(row) => job.account_came(row, Err(fault), at),
        Call::Tenant => job.tenant_came(&Err(fault), at),
    }
}

/// Asks whatever is asked, and answers that everybody is active.
fn learn(job: &mut Job<'_>, at: Stamp) {
    for _ in 0..MANY {
        let Some(call) = job.peek_read(at.now) else { return };
        job.take_read(call);
        match call {
            Call::Link(kind) => job.link_came(kind, Ok(LinkAnswer::NotPermitted), at),
            Call::Page(start) => job.page_came(start, Ok(long_listing()), at),
            Call::Account(row) | Call::Person(row) => job.account_came(row, Ok(active(row)), at),
            Call::Tenant => job.tenant_came(&Ok(7), at),
        }
    }
    panic!("it asks without end");
}

/// A job of which everything is learned: its rows, all of them active, are ready.
fn ready(rows: &[roster::Row], policy: Policy) -> Job<'_> {
    let mut job = job(rows, policy);
    learn(&mut job, at(0));
    job
}

/// The row whose congratulation leaves, if one may.
fn send(job: &mut Job<'_>, at: Stamp) -> Option<u32> {
    if job.wants_write(at.now) { job.take_letter(at.now).map(|letter| letter.rows[0]) } else { None }
}

fn outcome(job: &Job<'_>, row: usize) -> Option<Outcome> {
    job.end(row).map(|end| end.outcome)
}

fn detail(job: &Job<'_>, row: usize) -> String {
    job.end(row).map(|end| end.detail.into_owned()).unwrap_or_default()
}
