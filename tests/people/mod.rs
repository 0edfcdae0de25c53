//! Somebody of a modelled portal: the row that names them, and the account that is answered of them. Of all that a roster
//! and a portal can say of people, the worlds in which the loop is driven know ids and whether they are active.

use onboard::{
    portal::{Person, PersonStatus},
    roster::{Row, RowState},
    user::{EmployeeType, UserId},
};

/// The row of somebody who is known by id.
pub(crate) fn row(user: UserId) -> Row {
    Row {
        user: Some(user),
        email: None,
        employee_type: Some(EmployeeType::User),
        state: RowState::Valid,
        previous: None,
    }
}

/// The account of somebody who has been activated, or not yet.
pub(crate) fn account(user: UserId, is_active: bool) -> Person {
    Person {
        id: user,
        is_active,
        status: Some(if is_active { PersonStatus::Enabled } else { PersonStatus::Pending }),
        removed: false,
        email: None,
        tenant: None,
        name: String::new(),
        role: EmployeeType::User,
        culture: String::new(),
        registered: String::new(),
    }
}
