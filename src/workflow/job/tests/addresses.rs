//! Rows that name their user by an address, and answers about somebody else than was asked for.

use super::*;
use crate::user::Email;

fn email(name: &str) -> Email {
    format!("{name}@example.com").parse().expect("an address")
}

fn by_address(name: &str) -> roster::Row {
    roster::Row { user: None, email: Some(email(name).digest()), ..row(0) }
}

fn by_both(number: u32, name: &str) -> roster::Row {
    roster::Row { email: Some(email(name).digest()), ..row(number) }
}

/// The account of the user with this number, at this address.
fn account(number: u32, name: &str) -> Person {
    Person { email: Some(email(name)), ..active(number) }
}

/// A job that has its link, and has asked for the first page.
fn at_the_listing(rows: &[roster::Row]) -> Job<'_> {
    let mut job = job(rows, POLICY);
    ask(&mut job, LINK, at(0));
    job.link_came(EmployeeType::User, Ok(LinkAnswer::NotPermitted), at(0));
    ask(&mut job, Call::Page(0), at(0));
    job
}

fn page(accounts: Vec<Person>) -> Page {
    Page { total: accounts.len() as u64, entries: accounts.len(), people: accounts }
}

#[test]
fn an_address_is_asked_for_as_one_and_becomes_its_user() {
    let rows = [by_address("ann")];
    let mut job = one_by_one(&rows, POLICY);
    assert_eq!((job.user(0), job.email(0)), (None, Some(email("ann").digest())));
    ask(&mut job, Call::Person(0), at(1));
    job.account_came(0, Ok(account(5, "ann")), at(1));
    assert_eq!(job.user(0), Some(user(5)));
    // From here on it is asked for by its id.
    assert!(!job.wants_write(at(301).now));
    ask(&mut job, Call::Account(0), at(301));
    job.account_came(0, Ok(account(5, "ann")), at(301));
    assert_eq!(send(&mut job, at(302)), Some(0));
    job.write_came(0, &Ok(()), at(302));
    assert_eq!(job.end(0).map(|end| (end.outcome, end.user)), Some((Outcome::Sent, Some(user(5)))));
}

#[test]
fn an_address_that_the_portal_does_not_know_congratulates_nobody() {
    let rows = [by_address("ann"), by_address("ben"), by_address("eve")];
    let mut job = one_by_one(&rows, POLICY);
    for row in 0..3 {
        ask(&mut job, Call::Person(row), at(1));
    }
    job.account_came(0, Err(status(404)), at(1));
    job.account_came(1, Ok(Person { id: UserId::PLACEHOLDER, ..account(1, "ben") }), at(1));
    job.account_came(2, Ok(account(2, "adam")), at(1));
    for row in 0..3 {
        assert_eq!(outcome(&job, row), Some(Outcome::Failed), "row {row}");
    }
    assert!(detail(&job, 0).starts_with("the portal knows nobody with this address"), "{}", detail(&job, 0));
    assert!(detail(&job, 1).starts_with("the portal knows nobody with this address"), "{}", detail(&job, 1));
    assert!(detail(&job, 2).starts_with("the portal answered about another address"), "{}", detail(&job, 2));
    assert_eq!(send(&mut job, at(2)), None);
}

#[test]
fn an_id_and_an_address_must_be_the_same_persons() {
    let rows = [by_both(0, "ann"), by_both(1, "ben")];
    let mut job = one_by_one(&rows, POLICY);
    ask(&mut job, Call::Account(0), at(1));
    ask(&mut job, Call::Account(1), at(1));
    job.account_came(0, Ok(account(0, "eve")), at(1));
    job.account_came(1, Ok(account(1, "ben")), at(1));
    assert_eq!(outcome(&job, 0), Some(Outcome::Invalid));
    assert!(detail(&job, 0).starts_with("the user id and the e-mail address are not the same"), "{}", detail(&job, 0));
    assert_eq!(send(&mut job, at(2)), Some(1));
    // A portal that does not tell the address contradicts nobody.
    let mut job = one_by_one(&rows, POLICY);
    ask(&mut job, Call::Account(0), at(1));
    job.account_came(0, Ok(active(0)), at(1));
    assert_eq!(send(&mut job, at(2)), Some(0));
}

#[test]
fn nobody_is_congratulated_for_somebody_elses_answer() {
    let rows = rows(9);
    let mut job = one_by_one(&rows, POLICY);
    for row in 0..3 {
        ask(&mut job, Call::Account(row), at(1));
        job.account_came(row, Ok(Person { id: UserId::PLACEHOLDER, ..active(row) }), at(1));
        assert!(detail(&job, row as usize).starts_with("the portal does not know this user"));
    }
    for row in 3..6 {
        assert_eq!(job.halted(), None);
        ask(&mut job, Call::Account(row), at(1));
        job.account_came(row, Ok(active(row + 1)), at(1));
        assert_eq!(outcome(&job, row as usize), Some(Outcome::Failed));
        assert!(detail(&job, row as usize).starts_with("the portal answered about another user; nothing was sent"));
    }
    assert!(matches!(job.halted(), Some(Halt::NotAPortal { why }) if why.contains("other users")));
    assert_eq!(job.backlog(), (3, 0));
}

#[test]
fn the_listing_finds_users_by_id_and_by_address() {
    let rows = [row(0), by_address("ann"), row(2), by_address("ben"), row(4)];
    let mut job = at_the_listing(&rows);
    job.page_came(0, Ok(page(vec![account(2, "two"), account(7, "ben"), account(8, "x"), account(1, "ann")])), at(1));
    // Two were not on it.
    assert_eq!(job.backlog(), (2, 3));
    assert_eq!((job.user(1), job.user(3)), (Some(user(1)), Some(user(7))));
    assert_eq!([(); 3].map(|()| send(&mut job, at(1))), [Some(2), Some(3), Some(1)]);
    ask(&mut job, Call::Account(0), at(1));
    ask(&mut job, Call::Account(4), at(1));
}

#[test]
fn a_page_says_nothing_new_about_rows_that_are_settled_or_asked_for() {
    let rows = rows(2);
    let mut job = at_the_listing(&rows);
    job.page_came(0, Ok(page(vec![active(0), active(0), pending(0), active(1)])), at(1));
    assert_eq!((job.backlog(), outcome(&job, 0)), ((0, 2), None));
    assert_eq!([(); 3].map(|()| send(&mut job, at(1))), [Some(0), Some(1), None]);
}

#[test]
fn of_two_rows_of_one_person_the_earlier_leads() {
    // By a listing that tells of both at once, whichever of them names the id.
    for (rows, of) in [([by_address("ann"), row(3)], "row 1"), ([row(3), by_address("ann")], "row 1")] {
        let mut job = at_the_listing(&rows);
        job.page_came(0, Ok(page(vec![account(3, "ann")])), at(1));
        assert_eq!(outcome(&job, 1), Some(Outcome::Duplicate));
        assert!(detail(&job, 1).starts_with(&format!("the user stands in {of}")), "{}", detail(&job, 1));
        assert_eq!(job.backlog(), (0, 1));
        assert_eq!(send(&mut job, at(1)), Some(0));
        job.write_came(0, &Ok(()), at(1));
        assert!(job.is_finished());
        let end = job.end(1).expect("an end");
        assert_eq!((end.user, end.active, end.attempts), (Some(user(3)), Some(true), 0));
    }
}

#[test]
fn a_later_row_that_already_moved_leads() {
    let rows = [by_address("ann"), row(3)];
    let mut job = one_by_one(&rows, POLICY);
    ask(&mut job, Call::Person(0), at(1));
    ask(&mut job, Call::Account(1), at(1));
    job.account_came(1, Ok(account(3, "ann")), at(1));
    job.account_came(0, Ok(account(3, "ann")), at(1));
    assert_eq!(outcome(&job, 0), Some(Outcome::Duplicate));
    assert!(detail(&job, 0).starts_with("the user stands in row 2"), "{}", detail(&job, 0));
    assert_eq!((job.backlog(), send(&mut job, at(1)), send(&mut job, at(1))), ((0, 1), Some(1), None));
}

#[test]
fn two_addresses_of_one_person_are_congratulated_once() {
    let rows = [by_address("ann"), by_address("anna")];
    let mut job = one_by_one(&rows, POLICY);
    ask(&mut job, Call::Person(0), at(1));
    ask(&mut job, Call::Person(1), at(1));
    // A portal need not tell addresses.
    job.account_came(0, Ok(active(3)), at(1));
    job.account_came(1, Ok(active(3)), at(1));
    assert_eq!([(); 2].map(|()| send(&mut job, at(1))), [Some(0), None]);
    assert_eq!(outcome(&job, 1), Some(Outcome::Duplicate));
}

#[test]
fn a_row_whose_id_and_address_disagree_leads_nobody() {
    let rows = [by_both(3, "eve"), by_address("ann")];
    let mut job = one_by_one(&rows, POLICY);
    ask(&mut job, Call::Account(0), at(1));
    ask(&mut job, Call::Person(1), at(1));
    job.account_came(1, Ok(account(3, "ann")), at(1));
    job.account_came(0, Ok(account(3, "ann")), at(1));
    assert_eq!((outcome(&job, 0), outcome(&job, 1)), (Some(Outcome::Invalid), None));
    assert_eq!([(); 2].map(|()| send(&mut job, at(1))), [Some(1), None]);
    // Where they agree it does lead.
    let rows = [by_both(3, "ann"), by_address("ann")];
    let mut job = one_by_one(&rows, POLICY);
    ask(&mut job, Call::Account(0), at(1));
    ask(&mut job, Call::Person(1), at(1));
    job.account_came(1, Ok(account(3, "ann")), at(1));
    assert_eq!(outcome(&job, 1), Some(Outcome::Duplicate));
}
