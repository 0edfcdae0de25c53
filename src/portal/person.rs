//! People at the portal, read one way wherever they stand: an account by id, an entry by address, an entry of the listing
//! (`docspace-contract.md` §3.2, §6.6).
//!
//! Lenient where the contract says that portals differ (unknown members, numbers or names for enums); strict where a
//! guess would send somebody a mail: `isActive` is a boolean or the answer is unreadable.

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::envelope::{Unreadable, envelope};
use crate::user::{Email, EmployeeType, UserId};

/// What a portal knows of somebody, as far as a mail or a roster depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Whose account this is.
    pub id: UserId,
    /// The address, where there is a readable one.
    pub email: Option<Email>,
    /// The name that is shown; empty where it was not told.
    pub name: String,
    /// `isActive`: whether the e-mail address was confirmed, and nothing else.
    pub is_active: bool,
    /// Whether the account is enabled, pending or disabled; absent where the portal does not say.
    pub status: Option<PersonStatus>,
    /// Whether the account was removed.
    pub removed: bool,
    /// The portal's number for the tenant; 0 and placeholders left out.
    pub tenant: Option<i64>,
    /// The role, from the entry's flags.
    pub role: EmployeeType,
    /// The language that the user chose, like `de-DE`; empty where it was not told.
    pub culture: String,
    /// When the user was registered, as the portal writes it: a date and time with its own zone; empty where it was not
    /// told.
    pub registered: String,
}

impl Person {
    /// Whether a congratulation is due: active, enabled, not removed.
    pub fn is_due(&self) -> bool {
        self.is_active && !self.removed && matches!(self.status, None | Some(PersonStatus::Enabled))
    }

    /// Whether the person was invited and has not joined.
    pub fn is_pending(&self) -> bool {
        self.status == Some(PersonStatus::Pending)
    }
}

/// `status` of an account (`docspace-contract.md` §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonStatus {
    /// 1.
    Enabled,
    /// 2: an administrator disabled it.
    Disabled,
    /// 4: invited by mail, not joined.
    Pending,
    /// Any other number or name.
    Other,
}

/// One page of the user listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many users match in all, as of this page.
    pub total: u64,
    /// How many entries the page held, readable or not.
    pub entries: usize,
    /// The entries that could be read whole.
    pub people: Vec<Person>,
}

/// A number or a name, as older and newer portals write enums.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrName {
    Number(i64),
    Name(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: String,
    #[serde(default, deserialize_with = "present")]
    is_active: Option<bool>,
    #[serde(default)]
    activation_status: Option<NumberOrName>,
    #[serde(default)]
    status: Option<NumberOrName>,
    #[serde(default)]
    removed: Option<bool>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default, alias = "tenant")]
    tenant_id: Option<serde_json::Value>,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    first_name: Option<String>,
    #[serde(default)]
    last_name: Option<String>,
    #[serde(default)]
    is_owner: Option<bool>,
    #[serde(default)]
    is_admin: Option<bool>,
    #[serde(default)]
    is_room_admin: Option<bool>,
    #[serde(default)]
    is_visitor: Option<bool>,
    #[serde(default)]
    culture_name: Option<String>,
    #[serde(default)]
    registration_date: Option<String>,
}

/// `null` is no boolean, unlike an absent member.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    bool::deserialize(deserializer).map(Some).map_err(de::Error::custom)
}

impl Entry {
    /// `None` where it does not say whether the user is active, or for whom it speaks.
    fn into_person(self, is_active: impl FnOnce(&Self) -> Option<bool>) -> Option<Person> {
        let is_active = is_active(&self)?;
        let id: UserId = self.id.parse().ok()?;
        let status = self.status.map(|status| match status {
            NumberOrName::Number(1) => PersonStatus::Enabled,
            NumberOrName::Number(2) => PersonStatus::Disabled,
            NumberOrName::Number(4) => PersonStatus::Pending,
            NumberOrName::Number(_) => PersonStatus::Other,
            NumberOrName::Name(name) if name.eq_ignore_ascii_case("active") => PersonStatus::Enabled,
            NumberOrName::Name(name) if name.eq_ignore_ascii_case("terminated") => PersonStatus::Disabled,
            NumberOrName::Name(name) if name.eq_ignore_ascii_case("pending") => PersonStatus::Pending,
            NumberOrName::Name(_) => PersonStatus::Other,
        });
        let is = |flag: Option<bool>| flag == Some(true);
        let role = if is(self.is_owner) || is(self.is_admin) {
            EmployeeType::DocSpaceAdmin
        } else if is(self.is_room_admin) {
            EmployeeType::RoomAdmin
        } else if is(self.is_visitor) {
            EmployeeType::Guest
        } else {
            EmployeeType::User
        };
        // The record of one account has no name to be shown (`docspace-contract.md` §3.2): by default it is made of these.
        let parts = [self.first_name, self.last_name].map(Option::unwrap_or_default);
        let name = self.display_name.unwrap_or_else(|| parts.join(" ").trim().to_owned());
        Some(Person {
            id,
            email: self.email.and_then(|email| email.parse().ok()),
            name,
            is_active,
            status,
            removed: self.removed.unwrap_or(false),
            tenant: self.tenant_id.and_then(|tenant| tenant.as_i64()).filter(|tenant| *tenant > 0),
            role,
            culture: self.culture_name.unwrap_or_default(),
            registered: self.registration_date.unwrap_or_default(),
        })
    }

    /// In a listing there is no `isActive`: it is bit 1 of `activationStatus` (`docspace-contract.md` §6.6).
    fn activated(&self) -> Option<bool> {
        match &self.activation_status {
            Some(NumberOrName::Number(flags)) => Some(flags & 1 != 0),
            Some(NumberOrName::Name(name)) if name.eq_ignore_ascii_case("activated") => Some(true),
            Some(NumberOrName::Name(name))
                if ["notactivated", "pending", "autogenerated"]
                    .iter()
                    .any(|other| name.eq_ignore_ascii_case(other)) =>
            {
                Some(false)
            }
            Some(NumberOrName::Name(_)) | None => None,
        }
    }
}

/// The answer to a question for one user, by id.
pub fn account(body: &[u8]) -> Result<Person, Unreadable> {
    let response = envelope(body)?.response.ok_or("the account is missing from it")?;
    let entry: Entry = serde_json::from_str(response.get()).map_err(|_garbled| "the account in it cannot be read")?;
    entry.into_person(|entry| entry.is_active).ok_or("it does not say whether the user is active")
}

/// The answer to a question for one user, by address: an entry as in the listing.
pub fn person(body: &[u8]) -> Result<Person, Unreadable> {
    let response = envelope(body)?.response.ok_or("the user is missing from it")?;
    let entry: Entry = serde_json::from_str(response.get()).map_err(|_garbled| "the user in it cannot be read")?;
    entry.into_person(Entry::activated).ok_or("it does not say whether the user is active")
}

/// The answer to a question for a page of the listing. Entries that cannot be read are left out: those users are asked
/// for one by one.
pub fn page(body: &[u8]) -> Result<Page, Unreadable> {
    let envelope = envelope(body)?;
    let response = envelope.response.ok_or("the list of users is missing from it")?;
    let entries: Vec<&RawValue> =
        serde_json::from_str(response.get()).map_err(|_garbled| "the list of users in it cannot be read")?;
    let people = entries
        .iter()
        .filter_map(|entry| serde_json::from_str::<Entry>(entry.get()).ok())
        .filter_map(|entry| entry.into_person(Entry::activated))
        .collect();
    let total = envelope.total.ok_or("the listing does not say how many users there are")?;
    Ok(Page { total, entries: entries.len(), people })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::ErrorBody;
    use crate::portal::envelope::error_body;

    const ID: &str = "5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10";

    fn answer(response: &str) -> Vec<u8> {
        format!(r#"{{"response":{response},"count":1,"links":[],"status":0,"statusCode":200}}"#).into_bytes()
    }

    fn one(members: &str) -> Result<Person, Unreadable> {
        account(&answer(&format!(r#"{{"id":"{ID}"{members}}}"#)))
    }

    #[test]
    fn an_account_is_due_only_if_active_enabled_and_not_removed() {
        let due = |members| one(members).map(|account| account.is_due());
        assert_eq!(due(r#","isActive":true,"status":1,"removed":false"#), Ok(true));
        assert_eq!(due(r#","isActive":true"#), Ok(true));
        assert_eq!(due(r#","isActive":true,"status":"Active""#), Ok(true));
        assert_eq!(due(r#","isActive":true,"status":2"#), Ok(false));
        assert_eq!(due(r#","isActive":true,"status":4"#), Ok(false));
        assert_eq!(due(r#","isActive":true,"status":1,"removed":true"#), Ok(false));
        assert_eq!(due(r#","isActive":false,"status":1"#), Ok(false));
    }

    #[test]
    fn activity_is_never_guessed() {
        for members in [
            "",
            r#","isActive":null"#,
            r#","isActive":"true""#,
            r#","isActive":1"#,
            r#","isActive":true,"isActive":false"#,
            r#","isActive":true,"id":"66faa6e4-f133-11ea-b126-00ffeec8b4ef""#,
            r#","isActive":true,"status":[1]"#,
            r#","isActive":true,"removed":"no""#,
        ] {
            assert!(one(members).is_err(), "{members}");
        }
    }

    #[test]
    fn a_page_keeps_what_it_can_read() {
        let body = format!(
            r#"{{"response":[{{"id":"{ID}","activationStatus":5,"status":1,"email":"Ann@Example.com"}},
            {{"id":"x","activationStatus":1}},{{"id":"{ID}"}},7],"count":4,"total":120,"status":0,"statusCode":200}}"#
        );
        let page = page(body.as_bytes()).expect("a page");
        assert_eq!((page.total, page.entries, page.people.len()), (120, 4, 1));
        assert!(page.people[0].is_due());
        assert_eq!(page.people[0].email.as_ref().map(Email::as_str), Some("ann@example.com"));
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(account(&answer(&deep)).is_err());
        assert_eq!(error_body(deep.as_bytes(), str::to_owned), ErrorBody::Other);
    }

    #[test]
    fn roles_come_from_flags_and_states_from_numbers_or_names() {
        let entry = |more: &str| person(&answer(&format!(r#"{{"id":"{ID}","activationStatus":1{more}}}"#)));
        let role = |more| entry(more).map(|person| person.role);
        assert_eq!(role(r#","isOwner":true"#), Ok(EmployeeType::DocSpaceAdmin));
        assert_eq!(role(r#","isRoomAdmin":true"#), Ok(EmployeeType::RoomAdmin));
        assert_eq!(role(r#","isVisitor":true"#), Ok(EmployeeType::Guest));
        assert_eq!(role(r#","isCollaborator":true"#), Ok(EmployeeType::User));
        for pending in [r#","status":4"#, r#","status":"Pending""#] {
            assert!(entry(pending).is_ok_and(|person| person.is_pending()));
        }
        assert!(entry(r#","status":2"#).is_ok_and(|person| person.status == Some(PersonStatus::Disabled)));
        let named = format!(r#"{{"id":"{ID}","activationStatus":"Activated","status":"Active"}}"#);
        assert!(person(&answer(&named)).is_ok_and(|person| person.is_due()));
        assert!(person(&answer(r#"{"id":"nobody","status":1,"activationStatus":1}"#)).is_err());
    }
}
