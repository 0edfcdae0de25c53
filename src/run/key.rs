//! The congratulation's key of each row: the row's own, a signed one, or the one that is set for all.

use jiff::Timestamp;

use crate::{
    roster::Roster,
    secret::Secret,
    signing::signed_key,
    user::{Email, UserId},
};

/// Makes the key of a row at the moment at which it is sent, so that a signed one never expires while it waits.
#[derive(Debug)]
pub(super) struct KeyMaker<'r> {
    pub(super) roster: &'r Roster,
    pub(super) literal: String,
    pub(super) machine_key: Option<Secret>,
}

impl KeyMaker<'_> {
    /// The key of a row. A row's own key wins. `tenant` is needed for signing only.
    pub(super) fn key(&self, row: u32, user: UserId, tenant: Option<i64>, now: Timestamp) -> Result<String, String> {
        let own =
            self.roster.key(row as usize).map_err(|error| format!("the row's key cannot be read again: {error}"))?;
        if let Some(own) = own {
            return Ok(own);
        }
        match (&self.machine_key, tenant) {
            (Some(machine_key), Some(tenant)) => Ok(signed_key(machine_key, tenant, user, now)),
            (Some(_), None) => Err("the portal's tenant number is not known, so its key cannot be signed".to_owned()),
            (None, _) => Ok(self.literal.clone()),
        }
    }

    /// The address of a row that has no user id.
    pub(super) fn email(&self, row: u32) -> Result<Email, String> {
        match self.roster.email(row as usize) {
            Ok(Some(email)) => Ok(email),
            Ok(None) => Err("the row has no address".to_owned()),
            Err(error) => Err(format!("the row's address cannot be read again: {error}")),
        }
    }
}
