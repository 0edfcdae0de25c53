//! How a row can end. The names are the interface: results, ledger, summaries and scripts all use them.

use std::{borrow::Cow, fmt, str::FromStr};

use jiff::Timestamp;

use crate::{code::Code, reason::Reason, user::UserId};

/// What became of a row's congratulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The portal accepted it in this run. No portal tells whether the mail arrived.
    Sent,
    /// An earlier run had it accepted.
    AlreadySent,
    /// The user has not activated yet, or the account is disabled: nothing is due.
    NotActive,
    /// The portal refused it, certainly without effect.
    Rejected,
    /// Certainly not sent: all tries were spent, or an earlier step failed.
    Failed,
    /// It may have been sent; a person decides.
    Unknown,
    /// The run stopped before this row, or a portal-wide refusal made it pointless.
    NotAttempted,
    /// The row cannot be used.
    Invalid,
    /// The user stands in an earlier row.
    Duplicate,
}

impl Outcome {
    /// Every outcome, in the order in which people are told of them.
    pub const ALL: [Self; 9] = [
        Self::Sent,
        Self::AlreadySent,
        Self::NotActive,
        Self::Rejected,
        Self::Failed,
        Self::Unknown,
        Self::NotAttempted,
        Self::Invalid,
        Self::Duplicate,
    ];

    /// The name used in results, options and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::AlreadySent => "already_sent",
            Self::NotActive => "not_active",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::NotAttempted => "not_attempted",
            Self::Invalid => "invalid",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether somebody has to look at a row that ended so.
    pub const fn needs_a_person(self) -> bool {
        matches!(self, Self::Rejected | Self::Failed | Self::Unknown | Self::Invalid)
    }

    /// Its place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The text names no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an outcome: one of sent, already_sent, not_active, rejected, failed, unknown, not_attempted, invalid, duplicate"
)]
pub struct NotAnOutcome;

impl FromStr for Outcome {
    type Err = NotAnOutcome;

    fn from_str(text: &str) -> Result<Self, NotAnOutcome> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or(NotAnOutcome)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a row ended.
#[derive(Debug, Clone)]
pub struct RowEnd<'a> {
    /// The user, also where it came from an address.
    pub user: Option<UserId>,
    /// The link, or nothing.
    pub link: &'a str,
    /// The portal's `isActive`, where it was learned.
    pub active: Option<bool>,
    /// The outcome.
    pub outcome: Outcome,
    /// Requests spent on this row's mail in this run.
    pub attempts: u32,
    /// When it was settled.
    pub completed_at: Option<Timestamp>,
    /// Why, if there is something to say.
    pub reason: Option<Cow<'a, Reason>>,
    /// All reasons, joined by `; `, for a person.
    pub detail: Cow<'a, str>,
}

impl RowEnd<'_> {
    /// The stable name of why, if there is something to say.
    pub fn code(&self) -> Option<Code> {
        let reason = self.reason.as_ref().map(|reason| reason.code());
        let invalid = (self.outcome == Outcome::Invalid).then_some(Code::RowInvalid);
        // What is said without a reason is about the link.
        let no_link = (!self.detail.is_empty()).then_some(Code::NoLink);
        reason.or(invalid).or(no_link)
    }
}

/// How many rows ended in each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally([u64; Outcome::ALL.len()]);

impl Tally {
    /// Counts one more row.
    pub fn add(&mut self, outcome: Outcome) {
        if let Some(count) = self.0.get_mut(outcome.index()) {
            *count += 1;
        }
    }

    /// How many rows ended so.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.0.get(outcome.index()).copied().unwrap_or_default()
    }

    /// How many rows ended at all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The outcomes that occurred, with their counts, in the order of [`Outcome::ALL`].
    pub fn occurred(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        Outcome::ALL.into_iter().map(|outcome| (outcome, self.count(outcome))).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_index_their_place() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome.as_str().parse(), Ok(outcome));
            assert_eq!(outcome.index(), place);
        }
        assert_eq!("Sent".parse::<Outcome>(), Err(NotAnOutcome));
    }

    #[test]
    fn a_tally_counts_each_outcome_apart() {
        let mut tally = Tally::default();
        tally.add(Outcome::Sent);
        tally.add(Outcome::Sent);
        tally.add(Outcome::Invalid);
        assert_eq!(tally.total(), 3);
        assert_eq!(tally.occurred().collect::<Vec<_>>(), [(Outcome::Sent, 2), (Outcome::Invalid, 1)]);
    }
}
