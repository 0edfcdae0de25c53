//! The portal's own invitation: to addresses of which it knows nobody, and again to whoever has not joined
//! (`docspace-contract.md` §7).
//!
//! The call is not atomic and may upgrade people who are there already, so each address is looked up first, and sent for
//! alone: then its fate is certain. Sending again takes few requests, but many people in each.

use std::time::Duration;

use super::terms::{Due, Needs};
use crate::{
    outcome::Outcome,
    portal::{Person, PersonStatus},
    reason::Reason,
    user::EmployeeType,
};

pub(super) const NEEDS: Needs = Needs {
    links: false,
    by_address: true,
    looks_at_held: true,
    fresh_for: Duration::from_secs(300),
    pages_from: 30,
    batch: 100,
    again_at_most: Some((5, Duration::from_secs(15 * 60))),
};

pub(super) fn due(person: &Person, wanted: EmployeeType, again: bool) -> Due {
    if person.status == Some(PersonStatus::Disabled) || person.removed {
        Due::Never(Outcome::Failed, Some(Reason::DisabledNotInvited))
    } else if person.is_pending() {
        if again { Due::SendAgain } else { Due::Never(Outcome::AlreadySent, Some(Reason::InvitedNotJoined)) }
    } else if person.role == wanted {
        Due::Never(Outcome::NotActive, None)
    } else {
        Due::Never(Outcome::NotActive, Some(Reason::HasOtherRole { is: person.role, wanted }))
    }
}

pub(super) fn due_to_nobody(wanted: EmployeeType) -> Due {
    if wanted == EmployeeType::Guest {
        return Due::Never(Outcome::Rejected, Some(Reason::GuestsAreNotInvited));
    }
    Due::Send
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::UserId;

    fn person(status: PersonStatus) -> Person {
        Person {
            id: UserId::from_bytes([7; 16]),
            email: None,
            name: String::new(),
            is_active: true,
            status: Some(status),
            removed: false,
            tenant: None,
            role: EmployeeType::User,
            culture: String::new(),
            registered: String::new(),
        }
    }

    #[test]
    fn whoever_is_there_is_never_invited_and_whoever_is_pending_only_when_asked() {
        let there = person(PersonStatus::Enabled);
        assert_eq!(due(&there, EmployeeType::User, true), Due::Never(Outcome::NotActive, None));
        let Due::Never(Outcome::NotActive, Some(reason)) = due(&there, EmployeeType::Guest, true) else {
            panic!("invited")
        };
        assert_eq!(reason.to_string(), "is User there, not Guest; change it in the portal");
        let pending = person(PersonStatus::Pending);
        assert_eq!(due(&pending, EmployeeType::User, true), Due::SendAgain);
        assert!(matches!(due(&pending, EmployeeType::User, false), Due::Never(Outcome::AlreadySent, Some(_))));
        let disabled = person(PersonStatus::Disabled);
        assert!(matches!(due(&disabled, EmployeeType::User, true), Due::Never(Outcome::Failed, Some(_))));
        assert_eq!(due_to_nobody(EmployeeType::User), Due::Send);
        assert!(matches!(due_to_nobody(EmployeeType::Guest), Due::Never(Outcome::Rejected, _)));
    }
}
