//! From what is decided to a plan that binds, and back: what a plan holds of a run is made anew, and compared.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use jiff::Timestamp;

use super::own::Own;
use crate::{
    attempt::{Held, Mail},
    display::{Shown, hex, moment, shown_path},
    file::read_small,
    ledger::Ledger,
    origin::Origin,
    outcome::Outcome,
    plan::{
        Decision, Plan,
        bound::{
            Content, Counts, Fate, Hold, Made, Message, NotAPlan, Options, PlanFile, PlannedRow, RosterRead, address,
            besides, key_digest,
        },
    },
    roster::{Roster, Row},
    settings::Settings,
    user::EmailDigest,
};

/// The largest plan, in bytes: that of some millions of rows.
const MOST_READ: u64 = 1 << 30;

/// Reads a plan's file.
pub fn read_plan(path: &Path) -> Result<PlanFile, anyhow::Error> {
    let shown = shown_path(path);
    let bytes = read_small(path, MOST_READ).with_context(|| format!("the plan {shown} cannot be read"))?;
    PlanFile::read(&bytes).map_err(|error: NotAPlan| anyhow::anyhow!("{shown} cannot be used as a plan: {error}"))
}

/// What the ledger holds of the person of a row (from 0).
pub(super) type Holds = Vec<(u32, Hold)>;

/// What a row's person is held by, for a plan.
pub(super) fn hold(held: &Held) -> Hold {
    let (sent, run): (bool, &Arc<str>) = match held {
        Held::Sent { run, .. } => (true, run),
        Held::Unknown { run, .. } => (false, run),
    };
    Hold { sent, run: run.to_string() }
}

/// What a plan is made of, and made for.
pub(super) struct Decided<'d> {
    pub(super) roster: &'d Roster,
    pub(super) plan: &'d Plan,
    pub(super) holds: &'d Holds,
    pub(super) origin: &'d Origin,
    pub(super) account: Option<[u8; 8]>,
    pub(super) ledger: Option<&'d Ledger>,
    pub(super) own: Option<&'d Own>,
    pub(super) now: Timestamp,
}

/// What a plan says of this run.
pub(super) fn content(settings: &Settings, decided: &Decided<'_>) -> Result<Content, anyhow::Error> {
    let roster = decided.roster;
    let mut rows = Vec::with_capacity(roster.rows().len());
    for (number, (row, decision)) in roster.rows().iter().zip(&decided.plan.decisions).enumerate() {
        let key = roster.key(number).context("the roster's copy cannot be read again")?;
        rows.push(PlannedRow {
            row: u64::try_from(number).unwrap_or(u64::MAX).saturating_add(1),
            who: row.user.map(|user| user.to_string()).or_else(|| row.email.map(address)),
            employee_type: row.employee_type.map(|kind| kind.as_str().to_owned()),
            decision: fate(*decision),
            held: None,
            besides: besides(beside(row), key.as_deref().filter(|_| decided.own.is_none()), []),
        });
    }
    if let Some(own) = decided.own.filter(|own| own.fills_in_cells()) {
        roster.for_each(|number, row, record, _| -> io::Result<()> {
            if let Some(planned) = rows.get_mut(number) {
                let cells = own.cells_of(roster, record);
                planned.besides =
                    besides(beside(row), None, cells.iter().map(|(name, cell)| (name.as_str(), cell.as_str())));
            }
            Ok(())
        })?;
    }
    for (row, hold) in decided.holds {
        if let Some(row) = rows.get_mut(*row as usize) {
            row.held = Some(hold.clone());
        }
    }
    hold_by_address(settings.mail, roster.rows(), decided.ledger, &mut rows)?;
    let terms = terms(settings, decided.own, decided.origin, decided.account, decided.now);
    Ok(Content {
        roster: RosterRead::of(terms.roster.name, &rows),
        counts: Counts::of(&rows, terms.options.limit),
        rows,
        ..terms
    })
}

/// The address that a row tells beside the user's id.
fn beside(row: &Row) -> Option<EmailDigest> {
    row.email.filter(|_| row.user.is_some())
}

/// What a plan says of this run, whoever stands in the roster.
fn terms(settings: &Settings, own: Option<&Own>, origin: &Origin, account: Option<[u8; 8]>, now: Timestamp) -> Content {
    let sending = &settings.sending;
    // A message of one's own has no key.
    let by_portal = own.is_none();
    Content {
        made: Made { at: now, by: crate::who::who(), program: crate::VERSION.to_owned() },
        command: match settings.mail {
            Mail::Congratulation => "run".to_owned(),
            Mail::Invitation => "invite".to_owned(),
        },
        portal: origin.to_string(),
        account: account.map(|account| hex(&account)),
        // The one place that says what is sent and who carries it.
        message: Message {
            mail: settings.mail.noun().to_owned(),
            carrier: settings.carrier().noun().to_owned(),
            text: own.map(Own::digest),
            key: key_digest(if by_portal { &sending.key } else { "" }),
            signed: by_portal && sending.sign_with.is_some(),
            tenant: sending.tenant.filter(|_| by_portal),
        },
        options: Options {
            resend: sending.again.sent,
            retry_unknown: sending.again.unknown,
            limit: sending.limit,
            refresh: settings.selection.refresh,
            other_portal: settings.ledger.other_portal,
        },
        roster: RosterRead::of(Shown(&settings.source.to_string()).to_string(), &[]),
        counts: Counts::default(),
        rows: Vec::new(),
    }
}

fn fate(decision: Decision) -> Fate {
    match decision {
        Decision::Due => Fate::Due,
        Decision::Held { outcome: Outcome::Unknown, .. } => Fate::Unknown,
        Decision::Held { .. } => Fate::AlreadySent,
        Decision::Duplicate { .. } => Fate::Duplicate,
        Decision::Invalid => Fate::Invalid,
        Decision::Carried => Fate::LeftOut,
    }
}

/// Who stands in the roster by address alone is known to the ledger by that: whose it is the portal says only in the run,
/// which then looks again.
fn hold_by_address(
    mail: Mail,
    roster: &[Row],
    ledger: Option<&Ledger>,
    rows: &mut [PlannedRow],
) -> Result<(), anyhow::Error> {
    let addresses: BTreeSet<_> = roster.iter().filter(|row| row.user.is_none()).filter_map(|row| row.email).collect();
    let Some(ledger) = ledger.filter(|_| mail == Mail::Congratulation && !addresses.is_empty()) else { return Ok(()) };
    let touches = ledger.last_touches(mail, &BTreeSet::new(), &addresses)?;
    for (row, planned) in roster.iter().zip(rows).filter(|(row, _)| row.user.is_none()) {
        let touch = row.email.and_then(|email| touches.by_address.get(&email));
        if let Some((touch, sent)) = touch.and_then(|touch| Some((touch, touch.holds?))) {
            planned.held = Some(Hold { sent, run: touch.by.run.clone() });
        }
    }
    Ok(())
}

/// A plan that is to be carried out.
#[derive(Debug)]
pub(super) struct Bound {
    path: PathBuf,
    file: PlanFile,
    hash: [u8; 32],
}

impl Bound {
    /// The plan that the settings name.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, anyhow::Error> {
        let Some(path) = &settings.sending.plan else { return Ok(None) };
        let file = read_plan(path)?;
        Ok(Some(Self { path: path.clone(), hash: file.hash(), file }))
    }

    /// What stands for it in the ledger.
    pub(super) fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Refuses to go on where, whatever roster and ledger say, something else would be done than was planned.
    pub(super) fn check_terms(
        &self,
        settings: &Settings,
        own: Option<&Own>,
        origin: &Origin,
        account: [u8; 8],
    ) -> Result<(), anyhow::Error> {
        let now = terms(settings, own, origin, Some(account), self.file.plan.made.at);
        self.file.plan.terms_differ(&now).map_or(Ok(()), |difference| self.no_longer_holds(&difference))
    }

    /// Refuses to go on where what is decided now is not what was planned.
    pub(super) fn check(&self, settings: &Settings, decided: &Decided<'_>) -> Result<(), anyhow::Error> {
        let (planned, now) = (&self.file.plan, content(settings, decided)?);
        if let Some(difference) = planned.terms_differ(&now).or_else(|| planned.rows_differ(&now)) {
            return self.no_longer_holds(&difference);
        }
        let Some(ledger) = decided.ledger else { return Ok(()) };
        let of_this_plan = ledger.runs_of_plan(&self.hash)?;
        let touched = planned.touched(&now, |run| of_this_plan.contains(run));
        let rows = decided.roster.rows();
        let people = || touched.iter().filter_map(|row| rows.get(*row));
        let users = people().filter_map(|row| row.user).map(|user| *user.as_bytes()).collect();
        let addresses = people().filter(|row| row.user.is_none()).filter_map(|row| row.email).collect();
        let touches = ledger.last_touches(settings.mail, &users, &addresses)?;
        let touch = |row: usize| {
            let row = rows.get(row)?;
            match row.user {
                Some(user) => touches.by_subject.get(user.as_bytes()),
                None => touches.by_address.get(&row.email?),
            }
            .cloned()
        };
        match planned.ledger_difference(&now, &touched, self.hash, touch) {
            Some(difference) => self.no_longer_holds(&difference),
            None => Ok(()),
        }
    }

    fn no_longer_holds(&self, difference: &str) -> Result<(), anyhow::Error> {
        let made = &self.file.plan.made;
        bail!(
            "the plan {} (made {} by {}) no longer holds: {difference}. Nothing was sent; make a new one with `onboard plan` \
             and have that approved",
            shown_path(&self.path),
            moment(made.at),
            Shown(&made.by)
        )
    }
}
