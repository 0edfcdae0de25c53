//! `settle --from`: which rows of a results file a person has decided, and which of those decisions still hold.

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::{
    cli::Decision,
    command::pages::short,
    display::{Shown, moment},
    ledger::Standing,
    outcome::Outcome,
    roster::{Roster, RosterError, Source},
    sheet::denature,
    user::UserId,
};

/// The column in which a person decides.
const COLUMN: &str = "decision";

/// A row that is `unknown` in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt {
    /// Where it stands.
    pub(super) place: String,
    /// The user, as it is shown.
    pub(super) shown: String,
    /// The user.
    pub(super) user: Option<UserId>,
    /// When it was settled, where that can be read.
    pub(super) at: Option<Timestamp>,
    /// What the row itself says of it.
    pub(super) decision: Option<Decision>,
}

/// A results file, as far as it matters here.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Rows that are `unknown`.
    pub(super) rows: Vec<Doubt>,
    /// How many are not.
    pub(super) others: u64,
    /// Where rows stand that are not `unknown`, and have a decision all the same.
    pub(super) decided_otherwise: Vec<String>,
    /// Whether there is a column for decisions.
    pub(super) has_column: bool,
}

/// Why a results file is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("{0}")]
    Roster(String),
    #[error(
        "{0} is no results file of a run, with its columns `congratulation` and `completed_at`. What nobody knows of an \
         invitation is settled by its address: onboard settle ADDRESS --as sent"
    )]
    NoResults(String),
    #[error("{0} has more than one column `decision`; leave one. Nothing was decided")]
    TwoColumns(String),
    #[error("{place}, column decision: `{}` is no decision; give sent or not-sent, or leave it empty. Nothing was decided", Shown(.word))]
    Word { place: String, word: String },
    #[error("the results file cannot be read again: {0}")]
    Again(#[from] std::io::Error),
}

/// Reads it, whatever a spreadsheet has made of it.
pub(super) fn read(source: &Source) -> Result<Doubts, Unusable> {
    let results = Roster::read(source).map_err(|error| match error {
        RosterError::MissingColumn { .. } => Unusable::NoResults(source.to_string()),
        error => Unusable::Roster(error.to_string().replacen("the roster", "the results file", 1)),
    })?;
    let columns = results.columns();
    let Some([_, user_at, _, _, _, outcome_at, _, completed_at, _]) = columns.results else {
        return Err(Unusable::NoResults(source.to_string()));
    };
    let named: Vec<usize> = (0..)
        .zip(&columns.names)
        .filter(|(_, name)| name.trim().eq_ignore_ascii_case(COLUMN))
        .map(|(column, _)| column)
        .collect();
    if named.len() > 1 {
        return Err(Unusable::TwoColumns(source.to_string()));
    }
    let column = named.first().copied();
    let mut doubts = Doubts { has_column: column.is_some(), ..Doubts::default() };
    results.for_each(|_, entry, record, _| {
        let cell = |column: usize| denature(record.cell(column)).trim();
        let decision =
            match column.map(cell).filter(|word| !word.is_empty()) {
                None => None,
                Some(word) => Some(decision(word).ok_or_else(|| Unusable::Word {
                    place: columns.place(record.line, column),
                    word: word.to_owned(),
                })?),
            };
        if cell(outcome_at).parse() != Ok(Outcome::Unknown) {
            doubts.others += 1;
            if decision.is_some() {
                doubts.decided_otherwise.push(columns.place(record.line, None));
            }
            return Ok(());
        }
        let user = entry.user.or_else(|| cell(user_at).parse().ok());
        doubts.rows.push(Doubt {
            place: columns.place(record.line, None),
            shown: user.map_or_else(|| format!("`{}`", Shown(cell(user_at))), |user| user.to_string()),
            user,
            at: time(cell(completed_at)),
            decision,
        });
        Ok::<(), Unusable>(())
    })?;
    Ok(doubts)
}

/// A decision as people write it.
fn decision(word: &str) -> Option<Decision> {
    let plain: String = word.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).collect();
    match plain.to_ascii_lowercase().as_str() {
        "sent" => Some(Decision::Sent),
        "notsent" => Some(Decision::NotSent),
        _ => None,
    }
}

/// A time as we write it, or as a spreadsheet does with it.
fn time(text: &str) -> Option<Timestamp> {
    let local = || text.parse::<civil::DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    text.parse().ok().or_else(local)
}

/// What becomes of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is to be recorded.
    Decide,
    /// It was recorded before.
    SoAlready,
    /// It is about something that is no longer so; whether there is still something to decide.
    Stale { why: String, left_open: bool },
}

/// Whether the decision on a row still holds: only where the ledger's open attempt is the row's. A hold is released by
/// nothing else, and none by a file of another run or another portal.
pub(super) fn verdict(doubt: &Doubt, wanted: Decision, standing: Option<&Standing>) -> Verdict {
    let stale = |why: String, left_open| Verdict::Stale { why, left_open };
    if doubt.user.is_none() {
        return stale("the user id cannot be read".to_owned(), true);
    }
    let Some(standing) = standing else {
        return stale("the ledger knows nothing of this user there".to_owned(), true);
    };
    let is_this = doubt.at == Some(standing.at);
    let run = short(&standing.run);
    if standing.is_open() {
        return match doubt.at {
            _ if is_this => Verdict::Decide,
            None => stale("its completed_at is no time that can be read".to_owned(), true),
            Some(at) => stale(
                format!(
                    "its doubt is of {}, and the open one in the ledger of {} (run {run})",
                    exact(at),
                    exact(standing.at)
                ),
                true,
            ),
        };
    }
    match &standing.decision {
        Some((decided, by, at)) if is_this && decided != "sent again" => {
            if (decided == "sent") == (wanted == Decision::Sent) {
                return Verdict::SoAlready;
            }
            let by = Shown(by);
            stale(
                format!("{by} has decided otherwise ({decided}) at {}, and nothing takes that back", moment(*at)),
                true,
            )
        }
        _ => {
            let since = moment(standing.at);
            let why = match (standing.state.as_str(), standing.holds) {
                ("sent", true) => format!("it was sent since, at {since} (run {run})"),
                ("intent", _) => format!("it is on its way, since {since} (run {run})"),
                _ => format!(
                    "nothing is open any more, since {since} (run {run}); the next run sends it where it is due"
                ),
            };
            stale(why, false)
        }
    }
}

/// A time to the digit that tells two attempts apart.
fn exact(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::AttemptId;

    const ANN: &str = "5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn doubt(second: i64) -> Doubt {
        Doubt {
            place: "line 2".to_owned(),
            shown: ANN.to_owned(),
            user: ANN.parse().ok(),
            at: Some(at(second)),
            decision: None,
        }
    }

    fn standing(state: &str, holds: bool, decision: Option<&str>) -> Standing {
        Standing {
            attempt: AttemptId::new(1),
            state: state.to_owned(),
            holds,
            at: at(10),
            run: "0193a7b2-0000-7000-8000-00001a2b3c4d".to_owned(),
            decision: decision.map(|decision| (decision.to_owned(), "ben".to_owned(), at(20))),
        }
    }

    #[test]
    fn a_decision_is_taken_on_the_open_attempt_of_that_very_time_alone() {
        use Decision::{NotSent, Sent};
        let open = standing("unknown", true, None);
        assert_eq!(verdict(&doubt(10), Sent, Some(&open)), Verdict::Decide);
        assert_eq!(verdict(&doubt(10), NotSent, Some(&open)), Verdict::Decide);
        let left_open = |doubt: &Doubt, wanted, standing: Option<&Standing>| match verdict(doubt, wanted, standing) {
            Verdict::Stale { left_open, .. } => Some(left_open),
            Verdict::Decide | Verdict::SoAlready => None,
        };
        assert_eq!(left_open(&doubt(11), NotSent, Some(&open)), Some(true), "a later attempt is open");
        assert_eq!(left_open(&Doubt { at: None, ..doubt(10) }, NotSent, Some(&open)), Some(true));
        assert_eq!(left_open(&Doubt { user: None, ..doubt(10) }, NotSent, Some(&open)), Some(true));
        assert_eq!(left_open(&doubt(10), NotSent, None), Some(true), "of another portal");
        // What was accepted, or let go, is nobody's to decide any more.
        for (state, holds) in [("sent", true), ("no_effect", false), ("intent", true), ("unknown", false)] {
            assert_eq!(left_open(&doubt(10), NotSent, Some(&standing(state, holds, None))), Some(false), "{state}");
        }
        assert_eq!(left_open(&doubt(10), Sent, Some(&standing("unknown", false, Some("sent again")))), Some(false));
    }

    #[test]
    fn a_decision_is_recorded_once_and_another_takes_nothing_back() {
        use Decision::{NotSent, Sent};
        let (sent, not) = (standing("sent", true, Some("sent")), standing("unknown", false, Some("not sent")));
        assert_eq!(verdict(&doubt(10), Sent, Some(&sent)), Verdict::SoAlready);
        assert_eq!(verdict(&doubt(10), NotSent, Some(&not)), Verdict::SoAlready);
        for (wanted, standing) in [(NotSent, &sent), (Sent, &not)] {
            let Verdict::Stale { why, left_open } = verdict(&doubt(10), wanted, Some(standing)) else {
                panic!("taken")
            };
            assert!(left_open && why.starts_with("ben has decided otherwise"), "{why}");
        }
    }

    #[test]
    fn decisions_and_times_are_read_as_people_and_spreadsheets_write_them() {
        for word in ["sent", "Sent", "SENT"] {
            assert_eq!(decision(word), Some(Decision::Sent), "{word}");
        }
        for word in ["not-sent", "not sent", "Not_Sent", "notsent"] {
            assert_eq!(decision(word), Some(Decision::NotSent), "{word}");
        }
        for word in ["yes", "no", "not", "sent!", "unsent"] {
            assert_eq!(decision(word), None, "{word}");
        }
        let written = Timestamp::from_millisecond(1_795_000_000_123).ok();
        assert_eq!(time("2026-11-18T11:06:40.123Z"), written);
        assert_eq!(time("2026-11-18 11:06:40.123"), written);
        assert_eq!(time("18.11.2026 11:06"), None);
    }
}
