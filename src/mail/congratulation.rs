//! The congratulation: to whoever has joined, once (`docspace-contract.md` §3.2, §3.3).

use std::time::Duration;

use super::terms::{Due, Needs};
use crate::{
    outcome::Outcome,
    portal::{Person, PersonStatus},
    reason::Reason,
};

pub(super) const NEEDS: Needs = Needs {
    links: true,
    by_address: false,
    looks_at_held: false,
    fresh_for: Duration::from_secs(300),
    pages_from: 2,
    batch: 1,
    again_at_most: None,
};

pub(super) fn due(person: &Person) -> Due {
    if person.is_due() {
        return Due::Send;
    }
    match person {
        Person { removed: true, .. } => Due::Never(Outcome::NotActive, Some(Reason::Removed)),
        Person { status: Some(PersonStatus::Disabled), .. } => Due::Never(Outcome::NotActive, Some(Reason::Disabled)),
        Person { status: Some(PersonStatus::Pending), .. } => Due::Later(Reason::NotJoined),
        Person { is_active: false, .. } => Due::Later(Reason::NotConfirmed),
        Person { .. } => Due::Never(Outcome::NotActive, Some(Reason::OddStatus)),
    }
}
