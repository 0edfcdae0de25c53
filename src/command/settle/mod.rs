//! `onboard settle`: a person's decision on what may have been sent, of either mail, recorded with who and when.

use std::io::Write;

use anyhow::bail;

use crate::{
    attempt::{Mail, Subject},
    cli::{Decision, SettleArgs},
    display::{Shown, shown_path},
    environment::Environment,
    ledger::{
        Ledger, Named, Settlement,
        places::{self, Purpose},
    },
    origin::{Origin, PortalAddress},
    place::{self, Place},
    terminal::Screen,
    user::{Email, UserId},
    who,
};

pub(super) fn execute(args: &SettleArgs, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let given = args.portal.as_ref().map(PortalAddress::origin);
    let place = place::place(args.ledger.as_deref(), given.as_ref())?;
    let environment = Environment::of_process();
    if let Place::File(path) = &place
        && !path.exists()
    {
        bail!(
            "there is no ledger at {}, so there is nothing to settle; name the one that the runs used with --ledger (or \
             ONBOARD_LEDGER)",
            shown_path(path)
        );
    }
    let purpose = Purpose { what: "settle".to_owned(), wait_for: args.lock_timeout.0, must_know: false };
    let (_lock, mut ledger) = places::hold(&place, &environment, &purpose, |text| screen.say(text))?;
    places::begin(&mut ledger, &who::who(), "settle", args.lock_timeout.0, |text| screen.say(text))?;
    let settled = settle(args, &mut ledger, out);
    // Every way out of a session ends it.
    if ledger.is_elsewhere() {
        let status = settled.as_ref().copied().unwrap_or(2);
        ledger.end_session(status)?;
    }
    let status = settled?;
    ledger.close()?;
    Ok(status)
}

fn settle(args: &SettleArgs, ledger: &mut Ledger, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let origin = origin(args, ledger)?;
    ledger.look_at(&origin, &[])?;
    // A run that was killed left its intents; with nobody else writing they are what `unknown` is made of.
    ledger.recover()?;
    let by = args.by.clone().unwrap_or_else(who::who);
    // All are understood before the first is recorded.
    let named = args.users.iter().map(|text| named(text, ledger)).collect::<Result<Vec<_>, _>>()?;
    let mut left_open = 0;
    for (shown, mail, subject) in named {
        let was_sent = args.decision == Decision::Sent;
        let again = match mail {
            Mail::Congratulation => "the next run",
            Mail::Invitation => "the next invite",
        };
        match ledger.settle(mail, subject, was_sent, &by, None)? {
            Settlement::Done if was_sent => writeln!(out, "{shown}: recorded as sent by {}", Shown(&by))?,
            Settlement::Done => writeln!(out, "{shown}: recorded as not sent by {}; {again} sends it", Shown(&by))?,
            Settlement::NotUnknown(state) => {
                left_open += 1;
                writeln!(out, "{shown}: nothing to settle, the ledger has it as {state}")?;
            }
            Settlement::NoRecord => {
                left_open += 1;
                writeln!(out, "{shown}: the ledger knows nothing of this user at {origin}")?;
            }
        }
    }
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

/// What is meant, as it is shown: a user's congratulation by id, either mail by address.
fn named(text: &str, ledger: &Ledger) -> Result<(String, Mail, Subject), anyhow::Error> {
    if let Ok(id) = text.parse::<UserId>() {
        return Ok((id.to_string(), Mail::Congratulation, *id.as_bytes()));
    }
    let Ok(email) = text.parse::<Email>() else {
        bail!("`{}` is neither a user id nor an e-mail address", Shown(text));
    };
    let found = ledger.named_by(email.digest())?;
    let open: Vec<Named> = found.iter().filter(|named| named.is_unknown).copied().collect();
    // Where one thing alone is undecided, that is meant.
    let named = match (open.as_slice(), found.as_slice()) {
        ([only], _) | ([], [only]) => *only,
        ([], []) => bail!("the ledger knows nobody by {}; give the user id, as it stands in the results", Shown(text)),
        (_, several) => {
            let told: Vec<String> = several
                .iter()
                .map(|named| match named.mail {
                    Mail::Congratulation => UserId::from_bytes(named.subject).to_string(),
                    Mail::Invitation => "the invitation to the address (once the others are settled)".to_owned(),
                })
                .collect();
            bail!("the ledger knows several things by {}; give one of: {}", Shown(text), told.join(", "))
        }
    };
    let shown = match named.mail {
        Mail::Congratulation => UserId::from_bytes(named.subject).to_string(),
        Mail::Invitation => format!("the invitation to {}", Shown(email.as_str())),
    };
    Ok((shown, named.mail, named.subject))
}
