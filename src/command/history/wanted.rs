//! Which records are asked for.

use jiff::Timestamp;

use crate::{
    attempt::Mail,
    command::pages,
    display::Shown,
    ledger::{AttemptRecord, RunRecord, UserRecord},
    mail::word,
    outcome::Outcome,
};

/// The outcomes that are asked for, by the words of either mail.
pub(super) fn outcomes(words: &[String]) -> Result<Vec<Outcome>, anyhow::Error> {
    let named = |text: &String| {
        let is = |outcome: &Outcome| {
            [Mail::Congratulation, Mail::Invitation].iter().any(|mail| word(*mail, *outcome) == text.trim())
        };
        let found = Outcome::ALL.into_iter().find(is);
        found.ok_or_else(|| {
            let all: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
            anyhow::anyhow!("--outcome: `{}` is no outcome; there are {}", Shown(text), all.join(", "))
        })
    };
    words.iter().map(named).collect()
}

/// Which records are asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) portal: Option<String>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) since: Option<Timestamp>,
}

impl Wanted {
    fn is_there(&self, portal: &str, at: Timestamp) -> bool {
        self.portal.as_deref().is_none_or(|wanted| wanted == portal) && self.since.is_none_or(|since| at >= since)
    }

    /// Whether the ledger's word for an ending is among the outcomes; it has four, since rows that cost nothing are not in
    /// it.
    fn is_state(&self, state: &str) -> bool {
        let is = |outcome: &Outcome| match outcome {
            Outcome::Sent | Outcome::AlreadySent => state == "sent",
            Outcome::Unknown => matches!(state, "unknown" | "intent"),
            Outcome::Rejected | Outcome::Failed | Outcome::NotAttempted => state == "no_effect",
            Outcome::NotActive | Outcome::Invalid | Outcome::Duplicate => false,
        };
        self.outcomes.is_empty() || self.outcomes.iter().any(is)
    }

    pub(super) fn is_attempt(&self, attempt: &AttemptRecord) -> bool {
        // What a person called sent ended as unknown all the same.
        let state = if pages::is_decided(attempt) { "unknown" } else { attempt.state.as_str() };
        self.is_there(&attempt.portal, attempt.began_at) && self.is_state(state)
    }

    pub(super) fn is_user(&self, user: &UserRecord) -> bool {
        self.is_there(&user.portal, user.at) && self.is_state(&user.state)
    }

    pub(super) fn is_run(&self, run: &RunRecord) -> bool {
        let had = |outcome: &Outcome| {
            let rows = |mail| {
                run.outcomes
                    .as_ref()
                    .and_then(|rows| rows.get(word(mail, *outcome)))
                    .and_then(serde_json::Value::as_u64)
            };
            // One that has not ended may have left whatever nobody knows.
            (run.outcomes.is_none() && *outcome == Outcome::Unknown)
                || rows(Mail::Congratulation).or_else(|| rows(Mail::Invitation)).is_some_and(|rows| rows > 0)
        };
        self.is_there(&run.portal, run.started_at) && (self.outcomes.is_empty() || self.outcomes.iter().any(had))
    }
}
