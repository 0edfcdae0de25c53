//! A roster that `split` made, or that was made of one, holds to its portal: whatever is said elsewhere, nothing goes to
//! another one.

use super::index::{IndexError, Listed, beside};
use crate::{
    display::{Shown, shown_path},
    origin::Origin,
    roster::{Reading, Roster, Source},
};

/// A roster, and what the index beside it says of it, where there is one.
#[derive(Debug)]
pub struct Tied<'s> {
    source: &'s Source,
    /// What the index says.
    pub listed: Option<Listed>,
}

/// Why a roster cannot be used for this portal.
#[derive(Debug, thiserror::Error)]
pub enum NotIts {
    /// The index cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Something else is to be done with it than the index says.
    #[error(
        "{roster} is for {portal}, as {index} says, and {given} is the portal that was given (--portal, ONBOARD_PORTAL or a \
         profile); give the one or take the other's roster. Where the portal's address changed, mend its line in {index}. \
         Nothing was sent"
    )]
    OtherGiven {
        /// The roster.
        roster: String,
        /// Whose it is.
        portal: Origin,
        /// The index.
        index: String,
        /// What was given.
        given: Origin,
    },
    /// Nobody says where it is to go.
    #[error(
        "{roster} is for {portal}, as {index} says, but no profile of the settings file has this portal, and an address is \
         taken from settings and options only: add a profile, or give --portal {portal}"
    )]
    NoneGiven {
        /// The roster.
        roster: String,
        /// Whose it is.
        portal: Origin,
        /// The index.
        index: String,
    },
    /// There are other rows in it than the index says.
    #[error(
        "{roster} is for {portal}, as {index} says, but its rows name {named}: it holds another portal's people; do \
         `onboard split` again. Nothing was sent"
    )]
    OtherRows {
        /// The roster.
        roster: String,
        /// Whose it is.
        portal: Origin,
        /// The index.
        index: String,
        /// What its rows say.
        named: Origin,
    },
}

impl<'s> Tied<'s> {
    /// Looks for an index beside a roster.
    pub fn of(source: &'s Source) -> Result<Self, IndexError> {
        let listed = match source {
            Source::Path(path) => beside(path)?,
            Source::Stdin => None,
        };
        Ok(Self { source, listed })
    }

    /// How the roster is read.
    pub fn reading(&self, reading: &Reading) -> Reading {
        Reading { is_part: self.listed.is_some(), ..reading.clone() }
    }

    /// Refuses another portal than its own, wherever that comes from.
    pub fn check(&self, given: Option<&Origin>) -> Result<(), NotIts> {
        let Some(listed) = &self.listed else { return Ok(()) };
        let (roster, portal, index) = self.named(listed);
        match given {
            Some(given) if *given != portal => Err(NotIts::OtherGiven { roster, portal, index, given: given.clone() }),
            _ => Ok(()),
        }
    }

    /// Refuses to go on where no portal is given at all.
    pub fn none_given(&self) -> Result<(), NotIts> {
        let Some(listed) = &self.listed else { return Ok(()) };
        let (roster, portal, index) = self.named(listed);
        Err(NotIts::NoneGiven { roster, portal, index })
    }

    /// Refuses rows of another portal in it. What its column says and is no address is nothing that `split` wrote.
    pub fn check_rows(&self, rows: &Roster) -> Result<(), NotIts> {
        let (Some(listed), Some(named)) = (&self.listed, rows.named_portal()) else { return Ok(()) };
        let (roster, portal, index) = self.named(listed);
        match named.parse::<Origin>() {
            Ok(named) if named != portal => Err(NotIts::OtherRows { roster, portal, index, named }),
            _ => Ok(()),
        }
    }

    fn named(&self, listed: &Listed) -> (String, Origin, String) {
        (Shown(&self.source.to_string()).to_string(), listed.portal.clone(), shown_path(&listed.index))
    }
}
