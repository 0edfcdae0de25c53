//! `onboard settle`: a person's decision on congratulations that may have been sent, recorded with who and when.

use std::io::Write;

use anyhow::bail;
use jiff::Timestamp;

use crate::{
    cli::{Decision, SettleArgs},
    display::Shown,
    ledger::{self, Ledger, Lock, Mail, Settlement},
    origin::Origin,
    terminal::Screen,
    user::{Email, UserId},
};

pub(super) fn execute(args: &SettleArgs, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let path = ledger::place(args.ledger.as_deref())?;
    if !path.exists() {
        return Err(ledger::LedgerError::Missing(path).into());
    }
    let lock = Lock::wait_for(&path, "settle", args.lock_timeout.0, |text| screen.say(text))?;
    let mut ledger = Ledger::open(&lock, false)?;
    let origin = origin(args, &ledger)?;
    ledger.look_at(&origin, &[])?;
    #[expect(clippy::disallowed_methods, reason = "a decision is recorded with the time of it")]
    let now = Timestamp::now();
    // A run that was killed left its intents; with the lock held they are what `unknown` is made of.
    ledger.recover(now)?;
    let by = args.by.clone().unwrap_or_else(ledger::who);
    // All are understood before the first is recorded.
    let users = args.users.iter().map(|text| user(text, &ledger)).collect::<Result<Vec<_>, _>>()?;
    let mut left_open = 0;
    for user in users {
        let was_sent = args.decision == Decision::Sent;
        match ledger.settle(Mail::Congratulation, *user.as_bytes(), was_sent, &by, now)? {
            Settlement::Done if was_sent => writeln!(out, "{user}: recorded as sent by {}", Shown(&by))?,
            Settlement::Done => writeln!(out, "{user}: recorded as not sent by {}; the next run sends it", Shown(&by))?,
            Settlement::NotUnknown(state) => {
                left_open += 1;
                writeln!(out, "{user}: nothing to settle, the ledger has it as {state}")?;
            }
            Settlement::NoRecord => {
                left_open += 1;
                writeln!(out, "{user}: the ledger knows nothing of this user at {origin}")?;
            }
        }
    }
    ledger.close()?;
    Ok(u8::from(left_open > 0))
}

/// The portal: the given one, or the only one that has records.
fn origin(args: &SettleArgs, ledger: &Ledger) -> Result<Origin, anyhow::Error> {
    if let Some(portal) = &args.portal {
        return Ok(portal.origin());
    }
    let origins = ledger.origins()?;
    match origins.as_slice() {
        [] => bail!("the ledger has no records yet: there is nothing to settle"),
        [only] => Ok(only.parse()?),
        several => bail!("the ledger has records of several portals; name one with --portal: {}", several.join(", ")),
    }
}

fn user(text: &str, ledger: &Ledger) -> Result<UserId, anyhow::Error> {
    if let Ok(id) = text.parse::<UserId>() {
        return Ok(id);
    }
    let Ok(email) = text.parse::<Email>() else {
        bail!("`{}` is neither a user id nor an e-mail address", Shown(text));
    };
    match ledger.users_with(email.digest())?.as_slice() {
        [only] => Ok(*only),
        [] => bail!("the ledger knows nobody by {}; give the user id, as it stands in the results", Shown(text)),
        several => {
            let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
            bail!("the ledger knows several users by {}; give one of: {}", Shown(text), ids.join(", "))
        }
    }
}
