//! `onboard settle`: what may have been sent, of either mail; a person's decision on it, recorded with who, when and why.

mod from;
mod list;

use std::io::Write;

use anyhow::bail;

use self::from::{Doubts, Verdict, verdict};
use crate::{
    attempt::{Mail, Subject},
    cli::{Decision, SettleArgs},
    display::{Grouped, Shown, count},
    environment::Environment,
    ledger::{
        Decided, Ledger, Named, Settlement,
        places::{self, Purpose},
    },
    origin::{Origin, PortalAddress},
    place,
    terminal::Screen,
    user::{Email, UserId},
    who,
};

pub(super) fn execute(args: &SettleArgs, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    if args.users.is_empty() && args.from.is_none() {
        return list::list(args, out);
    }
    // A word that is none is found before anything is opened.
    let doubts = args.from.as_ref().map(from::read).transpose()?.unwrap_or_default();
    if args.decision.is_none() && !doubts.has_column {
        bail!(
            "nobody has decided anything yet: say --as sent or --as not-sent, for all rows that are unknown, or add a column \
             `decision` to the results, with sent or not-sent in each row that you know of"
        );
    }
    let given = args.portal.as_ref().map(PortalAddress::origin);
    let place = place::place(args.ledger.as_deref(), given.as_ref())?;
    let environment = Environment::of_process();
    list::is_there(&place)?;
    let purpose = Purpose { what: "settle".to_owned(), wait_for: args.lock_timeout.0, must_know: false };
    let (_lock, mut ledger) = places::hold(&place, &environment, &purpose, |text| screen.say(text))?;
    places::begin(&mut ledger, &who::who(), "settle", args.lock_timeout.0, |text| screen.say(text))?;
    let settled = settle(args, &doubts, &mut ledger, out);
    // Every way out of a session ends it.
    if ledger.is_elsewhere() {
        let status = settled.as_ref().copied().unwrap_or(2);
        ledger.end_session(status)?;
    }
    let status = settled?;
    ledger.close()?;
    Ok(status)
}

fn settle(args: &SettleArgs, doubts: &Doubts, ledger: &mut Ledger, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let origin = origin(args, ledger)?;
    ledger.look_at(&origin, &[])?;
    // A run that was killed left its intents; with nobody else writing they are what `unknown` is made of.
    ledger.recover()?;
    let by = args.by.clone().unwrap_or_else(who::who);
    let why = args.reason.as_deref();
    // All are understood before the first is recorded.
    let named = args.users.iter().map(|text| named(text, ledger)).collect::<Result<Vec<_>, _>>()?;
    let mut left_open = 0;
    for (shown, mail, subject) in named {
        let Some(decision) = args.decision else { continue };
        match ledger.settle(mail, subject, decision == Decision::Sent, &by, why)? {
            Settlement::Done => writeln!(out, "{shown}: {}", recorded(decision, mail, &by))?,
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
    if args.from.is_some() {
        left_open += settle_rows(args, doubts, ledger, &by, out)?;
    }
    Ok(u8::from(left_open > 0))
}

fn recorded(decision: Decision, mail: Mail, by: &str) -> String {
    let again = match mail {
        Mail::Congratulation => "the next run",
        Mail::Invitation => "the next invite",
    };
    match decision {
        Decision::Sent => format!("recorded as sent by {}", Shown(by)),
        Decision::NotSent => format!("recorded as not sent by {}; {again} sends it", Shown(by)),
    }
}

/// What is said of the rows of a file at the end.
#[derive(Debug, Default)]
struct Tally {
    sent: u64,
    not_sent: u64,
    already: u64,
    stale: u64,
    undecided: u64,
}

/// Decides the rows of a results file, all at once; how many were left open although they were decided there.
fn settle_rows(
    args: &SettleArgs,
    doubts: &Doubts,
    ledger: &mut Ledger,
    by: &str,
    out: &mut dyn Write,
) -> Result<u64, anyhow::Error> {
    let mail = Mail::Congratulation;
    let subjects: Vec<Subject> = doubts.rows.iter().filter_map(|row| row.user).map(|user| *user.as_bytes()).collect();
    let standings = ledger.standings(mail, &subjects)?;
    let (mut tally, mut left_open) = (Tally::default(), 0);
    let mut decisions: Vec<Decided> = Vec::new();
    let mut said = Vec::new();
    for row in &doubts.rows {
        let (place, shown) = (&row.place, &row.shown);
        let Some(decision) = row.decision.or(args.decision) else {
            tally.undecided += 1;
            said.push(format!("{place}: {shown}: left, since nothing is decided there"));
            continue;
        };
        let standing = row.user.and_then(|user| standings.get(user.as_bytes()));
        let was_sent = decision == Decision::Sent;
        let twice = decisions.iter().find(|other| standing.is_some_and(|standing| standing.attempt == other.attempt));
        match (twice, verdict(row, decision, standing)) {
            (Some(other), Verdict::Decide) if other.was_sent == was_sent => tally.already += 1,
            (Some(_), Verdict::Decide) => bail!(
                "{place}: {shown}: an earlier row of the file decides otherwise about the same message. Nothing was decided"
            ),
            (None, Verdict::Decide) => {
                decisions.extend(standing.map(|standing| Decided { attempt: standing.attempt, was_sent }));
                *(if was_sent { &mut tally.sent } else { &mut tally.not_sent }) += 1;
                said.push(format!("{place}: {shown}: {}", recorded(decision, mail, by)));
            }
            (_, Verdict::SoAlready) => tally.already += 1,
            (_, Verdict::Stale { why, left_open: open }) => {
                tally.stale += 1;
                left_open += u64::from(open);
                said.push(format!("{place}: {shown}: passed over: {why}"));
            }
        }
    }
    ledger.decide(&decisions, by, args.reason.as_deref())?;
    for line in said {
        writeln!(out, "{line}")?;
    }
    for place in &doubts.decided_otherwise {
        writeln!(out, "{place}: passed over: only a row that is unknown can be decided")?;
    }
    writeln!(out, "{}", tally.told(doubts.others))?;
    Ok(left_open)
}

impl Tally {
    /// All of it in one line.
    fn told(&self, others: u64) -> String {
        let mut parts =
            vec![format!("{} recorded as sent", Grouped(self.sent)), format!("{} as not sent", Grouped(self.not_sent))];
        for (number, what) in [
            (self.already, "decided so already"),
            (self.undecided, "left without a decision"),
            (self.stale, "passed over as stale"),
        ] {
            if number > 0 {
                parts.push(format!("{} {what}", Grouped(number)));
            }
        }
        if others > 0 {
            parts.push(format!("{} not unknown in the file", count(others, "row")));
        }
        parts.join(", ")
    }
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
