//! `onboard ledger`: the ledger as a thing: its place is made, what is in it shown, whether it is whole looked at.

use std::{io::Write, path::Path, time::Duration};

use anyhow::bail;

use crate::{
    cli::{LedgerAction, LedgerCommandArgs},
    display::{Grouped, Shown, count, moment},
    environment::Environment,
    ledger::{Ledger, Local, Overview, Times, places, transfer::Transfer},
    place::{self, Place},
    terminal::Screen,
    who,
};

/// How long whoever writes the ledger is waited for before it is copied.
const WAIT: Duration = Duration::from_secs(600);
/// How often the store has to win a race before it is trusted with a ledger.
const ROUNDS: u32 = 20;

pub(super) fn execute(args: &LedgerCommandArgs, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let environment = Environment::of_process();
    let origin = args.portal.as_ref().map(crate::origin::PortalAddress::origin);
    let at = |given: &Path| place::place(Some(given), origin.as_ref());
    let place = || place::place(args.ledger.as_deref(), origin.as_ref());
    match &args.action {
        LedgerAction::Init { other_portal } => init(args, &place()?, *other_portal, &environment, out),
        LedgerAction::Copy { from, to } => transfer(&at(from)?, &at(to)?, false, &environment, screen, out),
        LedgerAction::Move { from, to } => transfer(&at(from)?, &at(to)?, true, &environment, screen, out),
        LedgerAction::Show => show(&place()?, &environment, screen, out),
        LedgerAction::Verify { expect } => verify(&place()?, expect.as_deref(), &environment, screen, out),
    }
}

fn init(
    args: &LedgerCommandArgs,
    place: &Place,
    other_portal: bool,
    environment: &Environment,
    out: &mut dyn Write,
) -> Result<u8, anyhow::Error> {
    if let Place::File(_) = place {
        bail!(
            "a ledger in a file is made by its first run; `ledger init` is for places elsewhere (s3://, gs://, az://, postgres://, file://)"
        );
    }
    // A portal that was renamed must not look like a new one.
    if !other_portal && let Some(all) = place::siblings(args.ledger.as_deref())? {
        let others: Vec<String> = places::below(&all, environment)?
            .into_iter()
            .filter(|other| other != place)
            .map(|other| other.name())
            .collect();
        if !others.is_empty() {
            bail!(
                "beside {} there are ledgers of other portals: {}. If one of them is this portal's under its earlier address, \
                 move it there with `onboard ledger move`, so that nobody is congratulated twice; if this is another portal, \
                 add --other-portal. Nothing was made",
                place.name(),
                others.join(", ")
            );
        }
    }
    places::make(place, environment, &who::who(), ROUNDS)?;
    writeln!(out, "made the ledger {}", place.name())?;
    writeln!(out, "{ROUNDS} races of 16 creates of one name each had exactly one winner: the store keeps its promise")?;
    Ok(0)
}

fn transfer(
    from: &Place,
    to: &Place,
    moves: bool,
    environment: &Environment,
    screen: &Screen,
    out: &mut dyn Write,
) -> Result<u8, anyhow::Error> {
    let transfer = Transfer { from, to, moves, who: who::who(), wait_for: WAIT };
    let objects = transfer.carry_out(environment, |text| screen.say(text))?;
    if moves {
        writeln!(out, "moved the ledger {} to {}, in {}", from.name(), to.name(), count(objects, "object"))?;
        writeln!(out, "next: name the new place with --ledger wherever the old one is named; runs refuse the old one")?;
    } else {
        writeln!(out, "copied the ledger {} to {}, in {}", from.name(), to.name(), count(objects, "object"))?;
        writeln!(out, "it is a backup: runs refuse it")?;
    }
    Ok(0)
}

fn show(place: &Place, environment: &Environment, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let ledger = places::look(place, environment, |text| screen.say(text))?;
    write_overview(&ledger, out)?;
    Ok(0)
}

fn write_overview(ledger: &Ledger, out: &mut dyn Write) -> Result<(), anyhow::Error> {
    let Overview { standing, runs, sent, undecided, last_run, objects } = ledger.overview()?;
    let seal = ledger.seal()?;
    writeln!(out, "ledger     {}", ledger.name())?;
    writeln!(out, "id         {}", Shown(&seal.id))?;
    if let Some(standing) = standing {
        writeln!(out, "standing   {}", Shown(&standing))?;
    }
    for origin in ledger.origins()? {
        writeln!(out, "portal     {}", Shown(&origin))?;
    }
    writeln!(out, "runs       {}", Grouped(runs))?;
    if let Some(at) = last_run {
        writeln!(out, "last run   {}", moment(at))?;
    }
    writeln!(out, "accepted   {}", count(sent, "message"))?;
    writeln!(out, "undecided  {}", count(undecided, "message"))?;
    match ledger.holding_session()? {
        Some(holding) => writeln!(out, "open       {holding}")?,
        None => writeln!(out, "open       nobody writes it")?,
    }
    if let Some(objects) = objects {
        writeln!(out, "objects    {}", Grouped(objects))?;
    }
    writeln!(out, "head       {} {}", seal.number, seal.hash)?;
    Ok(())
}

fn verify(
    place: &Place,
    expect: Option<&str>,
    environment: &Environment,
    screen: &Screen,
    out: &mut dyn Write,
) -> Result<u8, anyhow::Error> {
    let folder = tempfile::tempdir()?;
    let ledger = match place {
        Place::File(path) => Ledger::look(path)?,
        Place::Folder(_) | Place::Bucket(_) | Place::Postgres(_) => {
            // From nothing: no copy of this machine is believed. What it has seen of the place still counts.
            let local = Local { cache: folder.path().to_owned(), ..Local::of(environment) };
            let store = places::store(place, environment, "onboard ledger verify")?;
            Ledger::open_whole(store, &local, Times::SHIPPED, |text| screen.say(text))?
        }
    };
    ledger.check_seals()?;
    let seal = ledger.seal()?;
    let what = if ledger.is_elsewhere() { "object" } else { "ended run" };
    writeln!(
        out,
        "whole: {} {}, each follows the one before, and together they make a ledger",
        seal.number,
        if seal.number == 1 { what.to_owned() } else { format!("{what}s") }
    )?;
    writeln!(out, "head   {} {}", seal.number, seal.hash)?;
    if let Some(expect) = expect {
        let Some(number) = ledger.number_of(&expect.to_ascii_lowercase())? else {
            bail!(
                "{} is no longer part of the ledger {}: it was changed, or an earlier state was put back. Runs on it may \
                 congratulate people again",
                Shown(expect),
                ledger.name()
            );
        };
        writeln!(out, "holds  {expect}, as number {number}")?;
    }
    Ok(0)
}
