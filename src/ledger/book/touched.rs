//! Who did something about whom, and in carrying out which plan.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::Timestamp;
use rusqlite::params;

use super::state::Ledger;
use crate::{
    attempt::{Decided, Mail, Subject, Touch, Toucher},
    ledger::{AttemptId, LedgerError},
    user::EmailDigest,
};

/// What was last done about people, by what they were asked for.
#[derive(Debug, Default)]
pub struct Touches {
    /// About those who were asked for by id (or, for invitations, by the address that is the subject).
    pub by_subject: BTreeMap<Subject, Touch>,
    /// About those who were known to have this address.
    pub by_address: BTreeMap<EmailDigest, Touch>,
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

impl Ledger {
    /// Ids of the runs that carried out, or began to carry out, the plan of this hash.
    pub fn runs_of_plan(&self, plan: &[u8; 32]) -> Result<BTreeSet<String>, LedgerError> {
        self.connection
            .prepare_cached("SELECT uuid FROM run WHERE plan = ?1")
            .and_then(|mut statement| statement.query_map([plan.as_slice()], |row| row.get(0))?.collect())
            .map_err(self.broken())
    }

    /// What was last done about these people on the portal that is turned to. All attempts are gone through once: no
    /// index has those that hold nobody, nor the addresses.
    pub fn last_touches(
        &self,
        mail: Mail,
        subjects: &BTreeSet<Subject>,
        addresses: &BTreeSet<EmailDigest>,
    ) -> Result<Touches, LedgerError> {
        let mut touches = Touches::default();
        if subjects.is_empty() && addresses.is_empty() {
            return Ok(touches);
        }
        let broken = self.broken();
        let mut runs: HashMap<i64, Arc<Toucher>> = HashMap::new();
        let mut statement = self
            .connection
            .prepare(
                "SELECT portal, subject, email, run, state = 'sent', holds <> 0, coalesce(ended_at, began_at), decision, \
                 decided_by, decided_at FROM attempt WHERE kind = ?1 ORDER BY id",
            )
            .map_err(&broken)?;
        let mut rows = statement.query([mail as i64]).map_err(&broken)?;
        while let Some(row) = rows.next().map_err(&broken)? {
            if !self.portals.contains(&row.get(0).map_err(&broken)?) {
                continue;
            }
            let bytes = |column| row.get_ref(column).ok()?.as_blob().ok()?.try_into().ok();
            let subject = bytes(1).filter(|subject| subjects.contains(subject));
            let address = bytes(2).map(EmailDigest).filter(|address| addresses.contains(address));
            if subject.is_none() && address.is_none() {
                continue;
            }
            let run: i64 = row.get(3).map_err(&broken)?;
            let by = if let Some(by) = runs.get(&run) {
                Arc::clone(by)
            } else {
                let by = Arc::new(self.toucher(run).map_err(&broken)?);
                runs.insert(run, Arc::clone(&by));
                by
            };
            let touch = touch(row, by).map_err(&broken)?;
            touches.by_address.extend(address.map(|address| (address, touch.clone())));
            touches.by_subject.extend(subject.map(|subject| (subject, touch)));
        }
        Ok(touches)
    }

    fn toucher(&self, run: i64) -> rusqlite::Result<Toucher> {
        let mut statement =
            self.connection.prepare_cached("SELECT uuid, who, started_at, plan FROM run WHERE id = ?1")?;
        statement.query_row([run], |row| {
            Ok(Toucher {
                run: row.get(0)?,
                who: row.get(1)?,
                started_at: time(row.get(2)?),
                plan: row.get::<_, Option<Vec<u8>>>(3)?.and_then(|plan| plan.try_into().ok()),
            })
        })
    }

    /// Whether an attempt is of a run that carries out the same plan as the one that goes on: who got their message by a
    /// plan gets no second one by it, whatever the plan says of earlier ones.
    pub(super) fn is_of_the_same_plan(&self, attempt: AttemptId) -> Result<bool, LedgerError> {
        self.connection
            .prepare_cached(
                "SELECT 1 FROM attempt JOIN run AS theirs ON theirs.id = attempt.run JOIN run AS ours ON ours.id = ?2 \
                 WHERE attempt.id = ?1 AND theirs.plan = ours.plan",
            )
            .and_then(|mut statement| statement.exists(params![attempt.0, self.run]))
            .map_err(self.broken())
    }
}

fn touch(row: &rusqlite::Row<'_>, by: Arc<Toucher>) -> rusqlite::Result<Touch> {
    let sent: bool = row.get(4)?;
    let holds: bool = row.get(5)?;
    let decision: Option<String> = row.get(7)?;
    // That a run was asked to send again is no decision about what became of the first message.
    let decided = match decision.as_deref() {
        Some("sent" | "not sent") => Some(Decided {
            by: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
            at: time(row.get::<_, Option<i64>>(9)?.unwrap_or_default()),
            was_sent: decision.as_deref() == Some("sent"),
        }),
        Some(_) | None => None,
    };
    Ok(Touch { by, at: time(row.get(6)?), holds: holds.then_some(sent), decided })
}
