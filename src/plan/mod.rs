//! What is due, decided once, from roster and ledger, before anybody is asked; and what that takes: requests, messages, and
//! how long at the portal's limits.

pub mod bound;
mod leaders;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

pub use self::leaders::Leaders;
use crate::{
    attempt::{Held, Mail, Subject},
    display::{as_f64, count, moment},
    mail::needs,
    outcome::Outcome,
    pace::Rate,
    portal::PAGE_SIZE,
    reason::{Note, Notes, Reason},
    roster::{Row, RowState},
    user::EmployeeType,
};

/// Rows by what will happen to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rows {
    /// All rows of the roster.
    pub total: u64,
    /// Their users are congratulated if they are active.
    pub due: u64,
    /// Congratulated before.
    pub already_sent: u64,
    /// May have been congratulated before.
    pub unknown: u64,
    /// The user stands in an earlier row.
    pub duplicate: u64,
    /// Cannot be used.
    pub invalid: u64,
    /// Left as they are (`--only`).
    pub carried_over: u64,
}

/// A roster whose last message left longer ago than this, and which has nobody new, is an old one. Whoever runs the same
/// list every day or week meets somebody new, or nobody for a while; a month's file comes a month later.
const OLD: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A number that depends on the portal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Between {
    /// At the least.
    pub least: u64,
    /// At the most.
    pub most: u64,
}

/// Requests by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Requests {
    /// One for each employee type that a valid row has.
    pub links: u64,
    /// Pages of the listing, or single users.
    pub statuses: Between,
    /// One for each active user who has not had it.
    pub messages: Between,
    /// All of them.
    pub total: Between,
}

/// The messages of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Day {
    /// From when they can be sent.
    #[cfg_attr(test, schemars(with = "String"))]
    pub from: Timestamp,
    /// How many, at the most.
    pub messages: u64,
}

/// What a run would do, in figures.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Forecast {
    /// Rows by what will happen to them.
    pub rows: Rows,
    /// Rows that are due, by employee type.
    pub due_by_type: BTreeMap<&'static str, u64>,
    /// Requests by kind.
    pub requests: Requests,
    /// Windows of the rate that are waited out if everybody is active and the listing can be read:
    /// `(n - 1) / limit`, rounded down.
    pub windows: u64,
    /// Minutes that these windows take.
    pub minutes: f64,
    /// The days at the daily limit, each with its messages.
    pub calendar: Vec<Day>,
}

/// What becomes of a row, as far as roster and ledger decide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is left as it was (`--only`).
    Carried,
    /// It cannot be used.
    Invalid,
    /// The user stands in the row with this number, from 1.
    Duplicate {
        /// The earlier row.
        of: u64,
    },
    /// An earlier run has sent it, or may have.
    Held {
        /// Which of the two.
        outcome: Outcome,
        /// When and by which run.
        note: Note,
    },
    /// The mail is due, if the portal says so.
    Due,
}

/// What is decided for every row before the first request: the same value for `onboard plan`, for the question on the
/// terminal and for the run.
#[derive(Debug)]
pub struct Plan {
    /// Which mail.
    pub mail: Mail,
    /// A decision a row.
    pub decisions: Vec<Decision>,
    /// The reasons of the decisions.
    pub notes: Notes,
    /// The last of the acceptances that hold rows: when, and in which run.
    pub last_sent: Option<(Timestamp, Arc<str>)>,
    /// The rows that lead, by their user's id.
    pub by_user: Leaders,
    /// The rows that lead and have no id, by their address; all that lead, where the mail goes to addresses.
    pub by_email: Leaders,
}

/// What the limits are, and what is left of them.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Requests in any window.
    pub rate: Rate,
    /// Writes in any 24 hours.
    pub daily: u64,
    /// Writes that are left of today's.
    pub daily_left: u64,
    /// When the first of the used ones is free again.
    pub frees_at: Option<Timestamp>,
    /// What is so where messages go by a mail server: whether users are asked for one by one.
    pub by_mail: Option<bool>,
    /// At most so many messages in one run (`--limit`).
    pub limit: Option<u64>,
    /// How many users the portal has, where that is known.
    pub portal_users: Option<u64>,
    /// Now.
    pub now: Timestamp,
}

/// The rows of a roster that are not carried over, by what is asked of the ledger about them.
fn leaders(rows: &[Row], decisions: &[Decision], key: impl Fn(&Row) -> Option<Subject>) -> Leaders {
    let leading = (0u32..).zip(decisions).filter(|(_, decision)| **decision == Decision::Due).map(|(row, _)| row);
    Leaders::of(leading, |row| rows.get(row as usize).and_then(&key))
}

/// The key under which a row with a user id is found.
pub fn by_user(row: &Row) -> Option<Subject> {
    row.user.map(|user| *user.as_bytes())
}

/// The key under which a row is found by its address: one without a user id, or any where the mail goes to addresses.
pub fn by_email(mail: Mail, row: &Row) -> Option<Subject> {
    let counts = needs(mail).by_address || row.user.is_none();
    row.email.filter(|_| counts).map(|digest| digest.0)
}

impl Plan {
    /// Decides what is due. Rows that are `carried` are not touched. `held` is asked once for all subjects, and tells of
    /// each that is held, by its place among them; what is to be `let_go`, of a row (from 0), does not count.
    pub fn decide<E>(
        mail: Mail,
        rows: &[Row],
        carried: impl Fn(usize) -> bool,
        mut let_go: impl FnMut(u32, &Held) -> bool,
        held: impl FnOnce(&mut dyn Iterator<Item = Subject>, &mut dyn FnMut(usize, Held)) -> Result<(), E>,
    ) -> Result<Self, E> {
        let decide = |(number, row): (usize, &Row)| match row.state {
            _ if carried(number) => Decision::Carried,
            RowState::Invalid => Decision::Invalid,
            RowState::Duplicate { of } => Decision::Duplicate { of: of.into() },
            RowState::Valid => Decision::Due,
        };
        let mut decisions: Vec<Decision> = rows.iter().enumerate().map(decide).collect();
        let by_address = needs(mail).by_address;
        let by_user = if by_address { Leaders::default() } else { leaders(rows, &decisions, by_user) };
        let by_email = leaders(rows, &decisions, |row| by_email(mail, row));
        let (mut notes, mut last_sent) = (Notes::new(mail), None);
        {
            let asked = if by_address { &by_email } else { &by_user };
            let subject = |row: u32| {
                let row = rows.get(row as usize)?;
                if by_address { self::by_email(mail, row) } else { self::by_user(row) }
            };
            // In the order of their keys, which is the order of the ledger's index.
            let mut subjects = asked.rows().filter_map(&subject);
            held(&mut subjects, &mut |place, held| {
                let Some(row) = asked.get(place).filter(|row| !let_go(*row, &held)) else { return };
                let Some(slot) = decisions.get_mut(row as usize) else { return };
                if let Held::Sent { at, run } = &held
                    && last_sent.as_ref().is_none_or(|(last, _)| last < at)
                {
                    last_sent = Some((*at, Arc::clone(run)));
                }
                let (outcome, note) = left_by(mail, held, &mut notes);
                *slot = Decision::Held { outcome, note };
            })?;
        }
        Ok(Self { mail, decisions, notes, last_sent, by_user, by_email })
    }

    /// What is said of a roster that brings nobody new, and has not for long: perhaps it is last month's.
    pub fn old(&self, now: Timestamp) -> Option<String> {
        let (last, run) = self.last_sent.as_ref().filter(|(last, _)| now.duration_since(*last) > OLD)?;
        let (mut people, mut unusable) = (0, false);
        for decision in &self.decisions {
            match decision {
                Decision::Held { outcome: Outcome::AlreadySent, .. } => people += 1,
                Decision::Invalid => unusable = true,
                Decision::Duplicate { .. } => {}
                Decision::Held { .. } | Decision::Carried | Decision::Due => return None,
            }
        }
        let whose = if unusable { " whose row can be used" } else { " in this roster" };
        let done = match self.mail {
            Mail::Congratulation => "congratulated",
            Mail::Invitation => "invited",
        };
        Some(format!(
            "everybody{whose} ({}) was {done} already, the last on {} by run {run}: is this an old file, last month's say?",
            count(people, "person").replace("persons", "people"),
            moment(*last)
        ))
    }

    /// The plan in figures, at these limits.
    pub fn forecast(&self, rows: &[Row], budget: &Budget) -> Forecast {
        let mut counts = Rows { total: as_u64(rows.len()), ..Rows::default() };
        let mut types = [false; EmployeeType::ALL.len()];
        let mut due_by_type: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (row, decision) in rows.iter().zip(&self.decisions) {
            let usable = !matches!(decision, Decision::Carried | Decision::Invalid);
            if usable && let Some(needed) = row.employee_type.and_then(|kind| types.get_mut(kind as usize)) {
                *needed = true;
            }
            match decision {
                Decision::Carried => counts.carried_over += 1,
                Decision::Invalid => counts.invalid += 1,
                Decision::Duplicate { .. } => counts.duplicate += 1,
                Decision::Held { outcome: Outcome::Unknown, .. } => counts.unknown += 1,
                Decision::Held { .. } => counts.already_sent += 1,
                Decision::Due => {
                    counts.due += 1;
                    if let Some(kind) = row.employee_type {
                        *due_by_type.entry(kind.as_str()).or_default() += 1;
                    }
                }
            }
        }
        let needs = needs(self.mail);
        let links = if needs.links { as_u64(types.iter().filter(|needed| **needed).count()) } else { 0 };
        let statuses = match budget.by_mail {
            Some(true) => Between { least: counts.due, most: counts.due },
            Some(false) | None => statuses(counts.due, budget.portal_users, needs.pages_from),
        };
        let most = budget.limit.map_or(counts.due, |limit| limit.min(counts.due));
        let messages = Between { least: 0, most };
        // A mail by a mail server is no request.
        let written = if budget.by_mail.is_some() { 0 } else { most };
        let total = Between { least: links + statuses.least, most: links + statuses.most + written };
        // Pages are the rule; where the portal has so many users that single lookups are fewer, there are few rows. What
        // is beyond the day's limit is another day's.
        let likely = links + statuses.least + written.min(budget.daily_left);
        let windows = likely.saturating_sub(1) / u64::from(budget.rate.requests);
        Forecast {
            rows: counts,
            due_by_type,
            requests: Requests { links, statuses, messages, total },
            windows,
            minutes: budget.rate.window.mul_f64(as_f64(windows)).as_secs_f64() / 60.0,
            calendar: calendar(most, budget),
        }
    }
}

/// The outcome and the note that a hold leaves to a row.
pub fn left_by(mail: Mail, held: Held, notes: &mut Notes) -> (Outcome, Note) {
    match held {
        Held::Sent { at, run } => (Outcome::AlreadySent, notes.accepted(at, &run)),
        Held::Unknown { at, run, why } => {
            (Outcome::Unknown, notes.of(Reason::MayHaveBeenSentBefore { mail, why, at, run }))
        }
    }
}

impl Forecast {
    /// How long the requests surely take, at the limits.
    pub fn duration(&self) -> Duration {
        Duration::try_from_secs_f64(self.minutes * 60.0).unwrap_or(Duration::MAX)
    }
}

/// Pages where they are fewer, single users where not; the first page tells which, and is spent either way.
fn statuses(due: u64, portal_users: Option<u64>, pages_from: u64) -> Between {
    let page = u64::from(PAGE_SIZE);
    match (due, portal_users) {
        (few, _) if few < pages_from => Between { least: few, most: few },
        (due, Some(users)) => {
            let pages = users.max(due).div_ceil(page);
            let best = pages.min(due);
            Between { least: best, most: if pages <= due { pages } else { due + 1 } }
        }
        (due, None) => Between { least: due.div_ceil(page), most: due + 1 },
    }
}

/// A batch today, as far as the day's limit has room, then one every 24 hours.
fn calendar(mut messages: u64, budget: &Budget) -> Vec<Day> {
    let mut days = Vec::new();
    if messages == 0 || budget.daily == 0 {
        return days;
    }
    let day = SignedDuration::from_hours(24);
    let mut from = budget.now;
    let mut room = budget.daily_left;
    if room == 0 {
        from = budget.frees_at.unwrap_or(budget.now);
        room = budget.daily;
    }
    while messages > 0 {
        let batch = messages.min(room);
        days.push(Day { from, messages: batch });
        messages -= batch;
        room = budget.daily;
        let Ok(next) = from.checked_add(day) else { break };
        from = next;
    }
    days
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::user::UserId;

    fn row(number: u8, state: RowState) -> Row {
        Row {
            user: Some(UserId::from_bytes([number; 16])),
            email: None,
            employee_type: Some(if number.is_multiple_of(2) { EmployeeType::Guest } else { EmployeeType::User }),
            state,
            previous: None,
        }
    }

    fn budget() -> Budget {
        Budget {
            rate: Rate { requests: 1500, window: Duration::from_secs(60) },
            daily: 10_000,
            daily_left: 10_000,
            frees_at: None,
            by_mail: None,
            limit: None,
            portal_users: None,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn rows_are_told_apart_and_requests_counted() {
        let rows = [
            row(1, RowState::Valid),
            row(2, RowState::Valid),
            row(3, RowState::Valid),
            row(3, RowState::Duplicate { of: 3 }),
            row(4, RowState::Invalid),
        ];
        let held = |subjects: &mut dyn Iterator<Item = Subject>, found: &mut dyn FnMut(usize, Held)| {
            for (place, subject) in subjects.enumerate() {
                if subject == [1; 16] {
                    found(place, Held::Sent { at: Timestamp::UNIX_EPOCH, run: "r".into() });
                }
            }
            Ok::<_, Infallible>(())
        };
        let plan = Plan::decide(Mail::Congratulation, &rows, |_| false, |_, _| false, held).expect("infallible");
        let again = |row: u32, held: &Held| row == 0 && matches!(held, Held::Sent { .. });
        let resent = Plan::decide(Mail::Congratulation, &rows, |_| false, again, held).expect("infallible");
        assert_eq!(resent.forecast(&rows, &budget()).rows.due, 3);
        let plan = plan.forecast(&rows, &budget());
        assert_eq!(plan.rows, Rows { total: 5, due: 2, already_sent: 1, duplicate: 1, invalid: 1, ..Rows::default() });
        assert_eq!(plan.requests.links, 2);
        assert_eq!(plan.requests.statuses, Between { least: 1, most: 3 });
        assert_eq!(plan.requests.total, Between { least: 3, most: 7 });
        assert_eq!(plan.windows, 0);
    }

    #[test]
    fn a_roster_that_brings_nobody_new_for_long_is_told() {
        let old = |rows: &[Row], held: &[(u8, Option<i64>)], days: i64| {
            let tell = |subjects: &mut dyn Iterator<Item = Subject>, found: &mut dyn FnMut(usize, Held)| {
                for (place, subject) in subjects.enumerate() {
                    let run: Arc<str> = format!("r{}", subject[0]).into();
                    let Some((_, day)) = held.iter().find(|(number, _)| [*number; 16] == subject) else { continue };
                    let at = |day: &i64| Timestamp::from_second(day * 86_400).expect("a time");
                    let unknown =
                        Held::Unknown { at: Timestamp::UNIX_EPOCH, run: Arc::clone(&run), why: String::new() };
                    found(place, day.as_ref().map_or(unknown, |day| Held::Sent { at: at(day), run }));
                }
                Ok::<_, Infallible>(())
            };
            let plan = Plan::decide(Mail::Congratulation, rows, |_| false, |_, _| false, tell).expect("infallible");
            plan.old(Timestamp::from_second(days * 86_400).expect("a time"))
        };
        let rows = [row(1, RowState::Valid), row(2, RowState::Valid), row(2, RowState::Duplicate { of: 2 })];
        let both = [(1, Some(3)), (2, Some(1))];
        let told = "everybody in this roster (2 people) was congratulated already, the last on 1970-01-04 00:00:00 UTC by \
                    run r1: is this an old file, last month's say?";
        assert_eq!(old(&rows, &both, 11).as_deref(), Some(told));
        // Not after a week, and not where anybody is due, or may have had it.
        assert_eq!(old(&rows, &both, 10), None);
        assert_eq!(old(&rows, &both[..1], 99), None);
        assert_eq!(old(&rows, &[(1, Some(3)), (2, None)], 99), None);
        assert_eq!(old(&[], &[], 99), None);
        let with_unusable = [row(1, RowState::Valid), row(2, RowState::Invalid)];
        let told = old(&with_unusable, &both, 99).expect("told");
        assert!(told.starts_with("everybody whose row can be used (1 person) was"), "{told}");
    }

    #[test]
    fn statuses_come_in_pages_where_those_are_fewer() {
        assert_eq!(statuses(2000, Some(2000), 2), Between { least: 20, most: 20 });
        assert_eq!(statuses(30, Some(20_000), 2), Between { least: 30, most: 31 });
        assert_eq!(statuses(0, None, 2), Between::default());
    }

    #[test]
    fn messages_beyond_the_days_limit_have_their_days() {
        let hours = |at: Timestamp| at.as_second() / 3600;
        let told = |messages, budget: &Budget| -> Vec<(i64, u64)> {
            calendar(messages, budget).into_iter().map(|day| (hours(day.from), day.messages)).collect()
        };
        assert_eq!(told(0, &budget()), []);
        assert_eq!(
            told(25_000, &Budget { daily_left: 4_000, ..budget() }),
            [(0, 4_000), (24, 10_000), (48, 10_000), (72, 1_000)]
        );
        let frees_at = Timestamp::from_second(7 * 3600).ok();
        assert_eq!(told(5, &Budget { daily_left: 0, frees_at, ..budget() }), [(7, 5)]);
        assert_eq!(told(5, &Budget { daily: 0, ..budget() }), []);
    }
}
