//! From settings to the ledger of a run.

use std::path::PathBuf;

use anyhow::bail;

use super::Telling;
use crate::{
    attempt::Mail,
    ledger::{Elsewhere, Ledger, LedgerError, Lock, Whom},
    mail::needs,
    origin::Origin,
    place::{self, NoPlace},
    plan,
    roster::Row,
    settings::Settings,
    user::UserId,
};

/// The ledger that was asked for. With `--sandbox` only the command line counts: a ledger of real runs that the
/// environment or the settings file names has no business with it.
fn given(settings: &Settings) -> Option<PathBuf> {
    settings.ledger.place.clone().filter(|_| !settings.sandbox || settings.ledger.typed)
}

/// The ledger, turned to the portal; none where there is none yet.
pub(super) fn look(settings: &Settings, origin: &Origin) -> Result<Option<Ledger>, anyhow::Error> {
    let place = match place::place(settings.ledger.place.as_deref(), Some(origin)) {
        Ok(place) => place,
        // Without a ledger there is nothing to look up; a run would say that it needs one.
        Err(NoPlace::Ci | NoPlace::NoHome) if !settings.ledger.must_exist => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let path = place.as_file()?;
    if !path.exists() && !settings.ledger.must_exist {
        return Ok(None);
    }
    let mut ledger = Ledger::look(path)?;
    if settings.ledger.must_exist {
        ledger.require_runs()?;
    }
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
    let path = place.as_file()?;
    if settings.ledger.must_exist && !path.exists() {
        return Err(LedgerError::Missing(path.to_owned()).into());
    }
    let purpose = match settings.mail {
        Mail::Congratulation => format!("run {}", settings.source),
        Mail::Invitation => format!("invite {}", settings.source),
    };
    let lock = Lock::wait_for(path, &purpose, settings.ledger.wait_for, |text| (telling.say)(text))?;
    let ledger = Ledger::open(&lock, settings.ledger.must_exist)?;
    Ok((Some(lock), ledger))
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
