//! What a run would do, told without asking anybody: rows by what will happen, requests, messages, and how long they
//! take at the portal's limits.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{
    display::as_f64,
    outcome::Outcome,
    pace::Rate,
    portal::PAGE_SIZE,
    roster::{Row, RowState},
    user::{EmployeeType, UserId},
};

/// What the ledger holds about a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A congratulation was accepted.
    Sent,
    /// One may have been.
    Unknown,
}

/// Rows by what will happen to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
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

/// A number that depends on the portal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Between {
    /// At the least.
    pub least: u64,
    /// At the most.
    pub most: u64,
}

/// Requests by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Day {
    /// From when they can be sent.
    #[schemars(with = "String")]
    pub from: Timestamp,
    /// How many, at the most.
    pub messages: u64,
}

/// What a run would do.
#[derive(Debug, Clone, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Plan {
    /// Rows by what will happen to them.
    pub rows: Rows,
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
    /// At most so many messages in one run (`--limit`).
    pub limit: Option<u64>,
    /// How many users the portal has, where that is known.
    pub portal_users: Option<u64>,
    /// Now.
    pub now: Timestamp,
}

impl Plan {
    /// Makes the plan. `standing` says what the ledger holds about a user; rows that are `carried` are not touched.
    pub fn make<E>(
        rows: &[Row],
        budget: &Budget,
        carried: impl Fn(usize) -> bool,
        mut standing: impl FnMut(UserId) -> Result<Option<Standing>, E>,
    ) -> Result<Self, E> {
        let mut counts = Rows { total: as_u64(rows.len()), ..Rows::default() };
        let mut types = [false; EmployeeType::ALL.len()];
        for (number, row) in rows.iter().enumerate() {
            if carried(number) {
                counts.carried_over += 1;
                continue;
            }
            if row.state != RowState::Invalid
                && let Some(needed) = row.employee_type.and_then(|kind| types.get_mut(kind as usize))
            {
                *needed = true;
            }
            match row.state {
                RowState::Invalid => counts.invalid += 1,
                RowState::Duplicate { .. } => counts.duplicate += 1,
                RowState::Valid => match row.user.map_or(Ok(None), &mut standing)? {
                    Some(Standing::Sent) => counts.already_sent += 1,
                    Some(Standing::Unknown) => counts.unknown += 1,
                    None => counts.due += 1,
                },
            }
        }
        let links = as_u64(types.iter().filter(|needed| **needed).count());
        let statuses = statuses(counts.due, budget.portal_users);
        let most = budget.limit.map_or(counts.due, |limit| limit.min(counts.due));
        let messages = Between { least: 0, most };
        let total = Between { least: links + statuses.least, most: links + statuses.most + most };
        // Pages are the rule; where the portal has so many users that single lookups are fewer, there are few rows.
        let likely = links + statuses.least + most;
        let windows = likely.saturating_sub(1) / u64::from(budget.rate.requests);
        Ok(Self {
            rows: counts,
            requests: Requests { links, statuses, messages, total },
            windows,
            minutes: budget.rate.window.mul_f64(as_f64(windows)).as_secs_f64() / 60.0,
            calendar: calendar(most, budget),
        })
    }

    /// How long the requests surely take, at the limits.
    pub fn duration(&self) -> Duration {
        Duration::try_from_secs_f64(self.minutes * 60.0).unwrap_or(Duration::MAX)
    }
}

/// Pages where they are fewer, single users where not; the first page tells which, and is spent either way.
fn statuses(due: u64, portal_users: Option<u64>) -> Between {
    let page = u64::from(PAGE_SIZE);
    match (due, portal_users) {
        (0, _) => Between::default(),
        (1, _) => Between { least: 1, most: 1 },
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

/// The outcome that a standing stands for.
impl From<Standing> for Outcome {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Sent => Self::AlreadySent,
            Standing::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

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
        let standing = |user: UserId| {
            Ok::<_, Infallible>((*user.as_bytes().first().expect("bytes") == 1).then_some(Standing::Sent))
        };
        let plan = Plan::make(&rows, &budget(), |_| false, standing).expect("infallible");
        assert_eq!(plan.rows, Rows { total: 5, due: 2, already_sent: 1, duplicate: 1, invalid: 1, ..Rows::default() });
        assert_eq!(plan.requests.links, 2);
        assert_eq!(plan.requests.statuses, Between { least: 1, most: 3 });
        assert_eq!(plan.requests.total, Between { least: 3, most: 7 });
        assert_eq!(plan.windows, 0);
    }

    #[test]
    fn statuses_come_in_pages_where_those_are_fewer() {
        assert_eq!(statuses(2000, Some(2000)), Between { least: 20, most: 20 });
        assert_eq!(statuses(30, Some(20_000)), Between { least: 30, most: 31 });
        assert_eq!(statuses(0, None), Between::default());
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
