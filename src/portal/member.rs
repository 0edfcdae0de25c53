//! Members of a portal, as its listing tells of them (`docspace-contract.md` §6.6).

use serde_json::Value;

use crate::user::{Email, EmployeeType, UserId};

/// A member of the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The id.
    pub id: UserId,
    /// The address, where there is a readable one.
    pub email: Option<Email>,
    /// The name that is shown.
    pub name: String,
    /// Whether the account is disabled.
    pub disabled: bool,
    /// Whether the user was invited and has not joined.
    pub pending: bool,
    /// Whether the address was confirmed.
    pub active: bool,
    /// The role, from the entry's flags.
    pub role: EmployeeType,
    /// When the user was registered, as the portal writes it: a date and time with its own zone.
    pub registered: String,
}

/// One page of the listing, in full.
#[derive(Debug, Clone)]
pub struct Members {
    /// Those that could be read.
    pub members: Vec<Member>,
    /// How many entries could not.
    pub unreadable: usize,
    /// Whether nobody stands on a page after this one.
    pub is_last: bool,
}

impl Member {
    /// Reads an entry of the listing; `None` where it has no usable id or status.
    pub fn read(entry: &Value) -> Option<Self> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let flag = |name: &str| entry.get(name).and_then(Value::as_bool).unwrap_or(false);
        let number = |name: &str| entry.get(name).and_then(Value::as_u64);
        let (status, activation) = (number("status")?, number("activationStatus")?);
        let role = if flag("isOwner") || flag("isAdmin") {
            EmployeeType::DocSpaceAdmin
        } else if flag("isRoomAdmin") {
            EmployeeType::RoomAdmin
        } else if flag("isVisitor") {
            EmployeeType::Guest
        } else {
            EmployeeType::User
        };
        Some(Self {
            id: text("id").parse().ok()?,
            email: text("email").parse().ok(),
            name: text("displayName").to_owned(),
            disabled: status & 2 != 0 && status != 7,
            pending: status == 4,
            active: activation & 1 == 1,
            role,
            registered: text("registrationDate").to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roles_come_from_flags_and_states_from_numbers() {
        let entry = |extra: Value| {
            let mut entry = json!({ "id": "5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10", "status": 1, "activationStatus": 1 });
            entry.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
            Member::read(&entry)
        };
        let role = |extra| entry(extra).map(|member| member.role);
        assert_eq!(role(json!({ "isOwner": true })), Some(EmployeeType::DocSpaceAdmin));
        assert_eq!(role(json!({ "isVisitor": true })), Some(EmployeeType::Guest));
        assert_eq!(role(json!({ "isCollaborator": true })), Some(EmployeeType::User));
        let pending = entry(json!({ "status": 4, "activationStatus": 2 })).expect("read");
        assert!(pending.pending && !pending.active && !pending.disabled);
        assert!(entry(json!({ "status": 2 })).expect("read").disabled);
        assert_eq!(Member::read(&json!({ "id": "nobody", "status": 1, "activationStatus": 1 })), None);
    }
}
