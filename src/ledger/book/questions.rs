//! What a run asks of the ledger before it begins: in batches, on one view of the file, and never a row at a time.

use std::time::Duration;

use rusqlite::params;

use super::state::Ledger;
use crate::{
    attempt::{Held, Mail, Subject},
    ledger::{BY_MAIL, Elsewhere, LedgerError, Use, Whom},
    origin::Origin,
    pace::RecentUse,
    user::EmailDigest,
};

const DAY_MS: i64 = 86_400_000;
/// How many requests a reservation stands for, where the one before it is not known.
const BLOCK: i64 = 64;

impl Ledger {
    /// Does many look-ups on one view of the file, which is quicker than a view for each.
    pub(super) fn on_one_view<T>(&self, look: impl FnOnce() -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        if !self.connection.is_autocommit() {
            return look();
        }
        let view = self.connection.unchecked_transaction().map_err(self.broken())?;
        let found = look()?;
        view.finish().map_err(self.broken())?;
        Ok(found)
    }

    /// Whom of these an attempt holds: each that is found is told by its position, in the order of the question.
    pub fn held(
        &self,
        mail: Mail,
        subjects: impl Iterator<Item = Subject>,
        mut found: impl FnMut(usize, Held),
    ) -> Result<(), LedgerError> {
        self.on_one_view(|| {
            for (position, subject) in subjects.enumerate() {
                if let Some((_, held)) = self.holding(mail, subject)? {
                    found(position, held);
                }
            }
            Ok(())
        })
    }

    /// The first of these whom another origin holds, by subject or by the digest of an address: perhaps it is this
    /// portal's earlier address.
    pub fn elsewhere(
        &self,
        mail: Mail,
        subjects: impl Iterator<Item = Subject>,
        emails: impl Iterator<Item = EmailDigest>,
    ) -> Result<Option<Elsewhere>, LedgerError> {
        self.on_one_view(|| {
            let others = self.other_origins()?;
            if others.is_empty() {
                return Ok(None);
            }
            for (position, subject) in subjects.enumerate() {
                for (portal, origin) in &others {
                    if self.holder_at(*portal, mail, subject).map_err(self.broken())?.is_some() {
                        return Ok(Some(Elsewhere { origin: origin.clone(), whom: Whom::Subject(subject), position }));
                    }
                }
            }
            let mut emails = emails.enumerate().peekable();
            if emails.peek().is_none() {
                return Ok(None);
            }
            let known = self.addresses_at(mail, &others)?;
            Ok(emails.find_map(|(position, email)| {
                let place = known.binary_search_by_key(&email, |(email, _)| *email).ok()?;
                let (_, other) = known.get(place)?;
                let (_, origin) = others.get(*other)?;
                Some(Elsewhere { origin: origin.clone(), whom: Whom::Email(email), position })
            }))
        })
    }

    /// All origins but those that are turned to. What was tried on the embedded portal says nothing about a real one.
    fn other_origins(&self) -> Result<Vec<(i64, String)>, LedgerError> {
        let broken = self.broken();
        let tried = Origin::of_sandbox();
        let mut statement = self.connection.prepare("SELECT id, origin FROM portal ORDER BY id").map_err(&broken)?;
        let all: Vec<(i64, String)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .and_then(Iterator::collect)
            .map_err(&broken)?;
        let is_other = |(id, origin): &(i64, String)| !self.portals.contains(id) && origin != tried.as_str();
        Ok(all.into_iter().filter(is_other).collect())
    }

    /// Addresses of those who are held at these origins, in order, each with one of the origins. The file is gone
    /// through once: no index has the addresses, and few have ever needed one.
    fn addresses_at(&self, mail: Mail, others: &[(i64, String)]) -> Result<Vec<(EmailDigest, usize)>, LedgerError> {
        let broken = self.broken();
        let mut statement = self
            .connection
            .prepare("SELECT portal, email FROM attempt WHERE kind = ?1 AND holds <> 0 AND email IS NOT NULL")
            .map_err(&broken)?;
        let mut rows = statement.query([mail as i64]).map_err(&broken)?;
        let mut known = Vec::new();
        while let Some(row) = rows.next().map_err(&broken)? {
            let portal: i64 = row.get(0).map_err(&broken)?;
            let email = row.get_ref(1).map_err(&broken)?.as_blob().ok().and_then(|email| email.try_into().ok());
            if let (Some(email), Some(other)) = (email, others.iter().position(|(other, _)| *other == portal)) {
                known.push((EmailDigest(email), other));
            }
        }
        known.sort_unstable();
        known.dedup_by_key(|(email, _)| *email);
        Ok(known)
    }

    /// What was used of this portal's limits: writes of the last 24 hours by this account (or by any), and requests of
    /// earlier runs that a window of this length may still count.
    pub fn used(&self, account: Option<[u8; 8]>, window: Duration) -> Result<Use, LedgerError> {
        let now = self.clock.now();
        self.on_one_view(|| {
            let (daily, frees_in) = self.daily_use(account, now)?;
            Ok(Use { daily, frees_in, recent: self.recent_use(window, now)?, ever_sent: self.has_sent()? })
        })
    }

    /// Mails that left in this time before now by a mail server, whatever portal they were about, unless they certainly had
    /// no effect. When they ended is when they are counted: the server had them by then.
    pub fn mails_within(&self, window: Duration) -> Result<Vec<RecentUse>, LedgerError> {
        let now = self.clock.now();
        let since = now.saturating_sub(i64::try_from(window.as_millis()).unwrap_or(i64::MAX));
        let broken = self.broken();
        let mut statement = self
            .connection
            .prepare(
                "SELECT coalesce(attempt.ended_at, began_at) AS at FROM attempt JOIN run ON run.id = attempt.run \
                 WHERE command = ?1 AND at > ?2 AND state <> 'no_effect'",
            )
            .map_err(&broken)?;
        let ages = statement
            .query_map(params![BY_MAIL, since], |row| row.get::<_, i64>(0))
            .and_then(Iterator::collect::<Result<Vec<i64>, _>>)
            .map_err(&broken)?;
        // A stamp in the future was made by a wrong clock; it counts from now.
        let age = |at: i64| Duration::from_millis(u64::try_from(now.saturating_sub(at)).unwrap_or(0));
        Ok(ages.into_iter().map(|at| RecentUse { age: age(at), count: 1 }).collect())
    }

    /// Whether anything was ever accepted by this portal.
    fn has_sent(&self) -> Result<bool, LedgerError> {
        let mut sent = false;
        for portal in &self.portals {
            sent |= self
                .connection
                .prepare_cached("SELECT 1 FROM attempt WHERE portal = ?1 AND state = 'sent' LIMIT 1")
                .and_then(|mut statement| statement.exists([portal]))
                .map_err(self.broken())?;
        }
        Ok(sent)
    }

    /// Writes of the last 24 hours that the portal counts, and when the first of them is a day old.
    fn daily_use(&self, account: Option<[u8; 8]>, now: i64) -> Result<(u64, Option<Duration>), LedgerError> {
        let broken = self.broken();
        let since = now.saturating_sub(DAY_MS);
        // Attempts are in the order in which they began, so looking back from the last one stops early.
        let mut statement = self
            .connection
            .prepare(
                "SELECT began_at, attempt.portal, state, counted, account, command = ?1 FROM attempt \
                 JOIN run ON run.id = attempt.run ORDER BY attempt.id DESC",
            )
            .map_err(&broken)?;
        let mut rows = statement.query([BY_MAIL]).map_err(&broken)?;
        let (mut count, mut first): (u64, Option<i64>) = (0, None);
        while let Some(row) = rows.next().map_err(&broken)? {
            let read = || -> rusqlite::Result<(i64, i64, String, bool, Vec<u8>, bool)> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            };
            let (began_at, portal, state, counted, whose, by_mail) = read().map_err(&broken)?;
            // A clock that was set back leaves stamps a little out of order.
            if began_at < since.saturating_sub(DAY_MS) {
                break;
            }
            let counts = !by_mail && (counted || state != "no_effect");
            if began_at > since
                && counts
                && self.portals.contains(&portal)
                && account.is_none_or(|account| whose == account)
            {
                count += 1;
                // A stamp in the future was made by a wrong clock; it counts from now.
                let from = began_at.min(now);
                first = Some(first.map_or(from, |first| first.min(from)));
            }
        }
        let left = |first: i64| u64::try_from(first.saturating_add(DAY_MS).saturating_sub(now)).unwrap_or(0);
        Ok((count, first.map(|first| Duration::from_millis(left(first)))))
    }

    /// Requests of earlier runs on this portal that its window may still count.
    fn recent_use(&self, window: Duration, now: i64) -> Result<Vec<RecentUse>, LedgerError> {
        let broken = self.broken();
        let twice = i64::try_from(window.as_millis()).unwrap_or(i64::MAX).saturating_mul(2);
        let since = now.saturating_sub(twice);
        let mut recent = Vec::new();
        for portal in &self.portals {
            let mut statement = self
                .connection
                .prepare(
                    "SELECT window_use.run, upto, at, ended_at, requests FROM window_use JOIN run ON run.id = window_use.run \
                     WHERE portal = ?1 AND (at > ?2 OR coalesce(ended_at, at) > ?2) ORDER BY window_use.run, upto",
                )
                .map_err(&broken)?;
            let blocks: Vec<Block> = statement
                .query_map(params![portal, since], |row| {
                    Ok(Block {
                        run: row.get(0)?,
                        upto: row.get(1)?,
                        at: row.get(2)?,
                        ended_at: row.get(3)?,
                        requests: row.get(4)?,
                    })
                })
                .and_then(Iterator::collect)
                .map_err(&broken)?;
            for (place, block) in blocks.iter().enumerate() {
                let before = place.checked_sub(1).and_then(|place| blocks.get(place));
                let from = before
                    .filter(|before| before.run == block.run)
                    .map_or(block.upto.saturating_sub(BLOCK), |before| before.upto);
                let upto = block.requests.map_or(block.upto, |requests| requests.min(block.upto));
                // A block is asked for while the one before it is in use, so it is surely used up only when the one
                // after the next is asked for; the last ones of a run that was killed count as used just now.
                let end = blocks.get(place + 2).filter(|after| after.run == block.run).map(|after| after.at);
                let end = end.or(block.ended_at).unwrap_or(now);
                let age = Duration::from_millis(u64::try_from(now.saturating_sub(end)).unwrap_or(0));
                let count = u32::try_from(upto.saturating_sub(from)).unwrap_or(0);
                if count > 0 && age < window + Duration::from_secs(1) {
                    recent.push(RecentUse { age, count });
                }
            }
        }
        Ok(recent)
    }
}

struct Block {
    run: i64,
    upto: i64,
    at: i64,
    ended_at: Option<i64>,
    requests: Option<i64>,
}
