//! The values of one row, and what is wrong with them.

use std::{collections::BTreeMap, fmt};

use super::{
    envelope::NotASubject,
    field::{Field, Fields},
    piece::is_web_address,
};
use crate::user::EmployeeType;

/// What is known of a row when its mail is due.
#[derive(Debug, Clone, Copy)]
pub struct Values<'v> {
    /// The name that the portal shows; empty where it shows none.
    pub name: &'v str,
    /// The address that the portal has.
    pub email: &'v str,
    /// The portal's address.
    pub portal: &'v str,
    /// The invitation link of the row's type, where it was asked for.
    pub invite_link: Option<&'v str>,
    /// What the row makes of the user.
    pub employee_type: EmployeeType,
    /// The row's cells, by column: those of [`Messages::columns`](super::Messages::columns) at least.
    pub cells: &'v BTreeMap<usize, String>,
}

impl<'v> Values<'v> {
    pub(super) fn get(&self, field: Field) -> &'v str {
        match field {
            Field::PortalName => self.name,
            Field::Email => self.email,
            Field::Portal => self.portal,
            Field::InviteLink => self.invite_link.unwrap_or_default(),
            Field::EmployeeType => self.employee_type.as_str(),
            Field::Column(column) => self.cells.get(&column).map(String::as_str).unwrap_or_default(),
        }
    }
}

/// Why a value cannot be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is none.
    #[error("is empty")]
    Missing,
    /// It is more than one line.
    #[error("holds a line end or another control character")]
    NotOneLine,
    /// It would change how the text around it reads.
    #[error("holds characters that turn around the text beside them")]
    Turns,
    /// It is no address of a page.
    #[error("is no web address like https://example.com/page, and a link leads to it")]
    NotAnAddress,
}

/// A value as it is filled in: one line that changes nothing around it.
pub(super) fn usable(value: &str, is_address: bool) -> Result<&str, Unusable> {
    let value = value.trim();
    if value.is_empty() {
        return Err(Unusable::Missing);
    }
    if value.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(Unusable::NotOneLine);
    }
    if value.contains([
        '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
    ]) {
        return Err(Unusable::Turns);
    }
    if is_address && !is_web_address(value) {
        return Err(Unusable::NotAnAddress);
    }
    Ok(value)
}

/// Where a value comes from, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// The placeholder's name, as the message has it.
    pub written: String,
    /// Whose it is.
    whose: String,
    /// Whether a link leads to it as a whole.
    pub is_address: bool,
}

impl Origin {
    pub(super) fn of(field: Field, written: &str, fields: &Fields) -> Self {
        let whose = match field {
            Field::PortalName => "the name that the portal shows".to_owned(),
            Field::Email => "the address that the portal has".to_owned(),
            Field::Portal => "the portal's address".to_owned(),
            Field::InviteLink => "the invitation link".to_owned(),
            Field::EmployeeType => "the employee type".to_owned(),
            Field::Column(column) => format!("the roster's column `{}`", fields.header(column)),
        };
        Self { written: written.to_owned(), whose, is_address: field.is_address() }
    }
}

/// Why no mail can be made for a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A value cannot be filled in.
    Value {
        /// Whose it is.
        whose: String,
        /// The placeholder's name, as the message has it.
        placeholder: String,
        /// Why.
        why: Unusable,
    },
    /// With the values in it the subject is none.
    Subject(NotASubject),
}

impl Fault {
    pub(super) fn of(origin: &Origin, why: Unusable) -> Self {
        Self::Value { whose: origin.whose.clone(), placeholder: origin.written.clone(), why }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { whose, placeholder, why } => {
                write!(f, "{whose} {why}; the message needs it for `{{{{ {placeholder} }}}}`")
            }
            Self::Subject(why) => write!(f, "with this row's values in it, {why}"),
        }
    }
}

impl std::error::Error for Fault {}
