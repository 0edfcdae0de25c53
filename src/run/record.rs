//! From settings to the ledger of a run.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::Telling;
use crate::{
    attempt::Mail,
    display::{Span, shown_path},
    ledger::{
        DRY_RUN, Elsewhere, Holder, Ledger, LedgerError, Lock, Whom,
        places::{self, Purpose},
    },
    mail::needs,
    origin::Origin,
    place::{self, NoPlace, Place},
    plan,
    roster::Row,
    seal::Seal,
    settings::Settings,
    user::UserId,
};

/// The ledger that was asked for. With `--sandbox` only the command line counts: a ledger of real runs that the
/// environment or the settings file names has no business with it.
fn given(settings: &Settings) -> Option<PathBuf> {
    settings.ledger.place.clone().filter(|_| !settings.sandbox || settings.ledger.typed)
}

/// The ledger, turned to the portal; none where there is none yet.
pub(super) fn look(
    settings: &Settings,
    origin: &Origin,
    telling: &mut Telling<'_>,
) -> Result<Option<Ledger>, anyhow::Error> {
    let place = match place::place(settings.ledger.place.as_deref(), Some(origin)) {
        Ok(place) => place,
        // Without a ledger there is nothing to look up; a run would say that it needs one.
        Err(NoPlace::Ci | NoPlace::NoHome) if !settings.ledger.must_exist => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if let Place::File(path) = &place
        && !path.exists()
        && !settings.ledger.must_exist
    {
        return Ok(None);
    }
    let mut ledger = places::look(&place, &settings.ledger.environment, |text| (telling.say)(text))?;
    if settings.ledger.must_exist && !ledger.is_elsewhere() {
        ledger.require_runs()?;
    }
    check_seal(settings, &ledger)?;
    ledger.look_at(origin, &settings.ledger.formerly)?;
    Ok(Some(ledger))
}

/// The ledger, locked; or one that is thrown away, which needs no lock.
pub(super) fn open(
    settings: &Settings,
    origin: &Origin,
    telling: &mut Telling<'_>,
) -> Result<(Option<Lock>, Ledger), anyhow::Error> {
    let given = given(settings);
    if settings.sandbox && given.is_none() {
        return Ok((None, Ledger::temporary()?));
    }
    let place = place::place(given.as_deref(), Some(origin))?;
    let what = match settings.mail {
        _ if settings.dry_run => format!("{DRY_RUN} {}", settings.source),
        Mail::Congratulation => format!("run {}", settings.source),
        Mail::Invitation => format!("invite {}", settings.source),
    };
    let purpose = Purpose { what, wait_for: may_wait(settings), must_know: settings.ledger.must_exist };
    let (lock, ledger) = places::hold(&place, &settings.ledger.environment, &purpose, |text| (telling.say)(text))
        .map_err(|error| in_time(settings, error))?;
    check_seal(settings, &ledger)?;
    Ok((lock, ledger))
}

/// The time that the run was given was over while another one had the ledger.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "the ledger {place} is still in use by {holder}, and the time that this run was given is over ({}, --max-duration); \
     nothing was sent. Run the same command again later", Span(*after)
)]
pub struct OutOfTime {
    place: String,
    holder: Holder,
    after: Duration,
}

/// How long another run on the ledger is waited for: no longer than the run itself may take.
#[expect(clippy::disallowed_methods, reason = "what was read and asked before took some of the time")]
pub(super) fn may_wait(settings: &Settings) -> Duration {
    let left = settings.trouble.end.map(|end| end.at.saturating_duration_since(Instant::now()));
    left.map_or(settings.ledger.wait_for, |left| left.min(settings.ledger.wait_for))
}

/// Why the ledger could not be had: where it was waited for to the end of the run's own time, that is why.
#[expect(clippy::disallowed_methods, reason = "the time that the run may take is over by now, or not")]
pub(super) fn in_time(settings: &Settings, error: LedgerError) -> anyhow::Error {
    match (error, settings.trouble.end) {
        (LedgerError::InUse { place, holder, .. }, Some(end)) if Instant::now() >= end.at => {
            OutOfTime { place, holder, after: end.after }.into()
        }
        (error, _) => error.into(),
    }
}

/// Refuses a ledger that no longer holds what it held when that summary was written.
pub(super) fn check_seal(settings: &Settings, ledger: &Ledger) -> Result<(), anyhow::Error> {
    #[derive(serde::Deserialize)]
    struct Sealed {
        ledger_seal: Seal,
    }
    let Some(path) = &settings.ledger.seal else { return Ok(()) };
    let shown = shown_path(path);
    let text = std::fs::read(path).with_context(|| {
        format!("the summary {shown} (--ledger-seal) cannot be read, so nobody knows whether the ledger is whole")
    })?;
    let Sealed { ledger_seal } = serde_json::from_slice(&text)
        .map_err(|_other| anyhow::anyhow!("{shown} (--ledger-seal) is no JSON summary of a run with a ledger"))?;
    if !ledger.holds_seal(&ledger_seal)? {
        bail!(
            "the ledger {} no longer holds what it held when {shown} was written (number {}, {}): it is another one, or an \
             earlier state was put back. Nothing was sent; going on would congratulate people again",
            ledger.name(),
            ledger_seal.number,
            crate::display::Shown(&ledger_seal.hash)
        );
    }
    Ok(())
}

/// Records under another address may be this portal's: then going on would congratulate people twice.
pub(super) fn refuse_other_origin<'r>(
    mail: Mail,
    rows: &(impl Iterator<Item = (usize, &'r Row)> + Clone),
    ledger: &Ledger,
    origin: &Origin,
) -> Result<(), anyhow::Error> {
    let key = |row: &Row| if needs(mail).by_address { plan::by_email(mail, row) } else { plan::by_user(row) };
    let subjects = rows.clone().filter_map(|(_, row)| key(row));
    let emails = rows.clone().filter_map(|(_, row)| row.email);
    let found = ledger.elsewhere(mail, subjects, emails)?;
    if let Some(Elsewhere { origin: other, whom, position }) = found {
        let who = match whom {
            Whom::Subject(user) if mail == Mail::Congratulation => format!("user {}", UserId::from_bytes(user)),
            // The ledger has no address, and the roster's cells are read again for nothing else.
            Whom::Subject(_) | Whom::Email(_) => {
                let row = rows.clone().filter(|(_, row)| row.email.is_some()).nth(position);
                format!("the address in row {}", row.map_or(0, |(number, _)| number + 1))
            }
        };
        bail!(
            "the ledger knows {who} of this roster under {other}, and this run is for {origin}. If that is the \
             same portal under its earlier address, add --formerly {other}, so that nobody is {} twice; if \
             it is another portal, add --other-portal. Nothing was sent",
            match mail {
                Mail::Congratulation => "congratulated",
                Mail::Invitation => "invited",
            }
        );
    }
    Ok(())
}
