//! The commands, from what was typed to an exit status.

mod check;
mod doctor;
mod export;
mod history;
mod invite;
mod packaging;
mod plan;
mod report;
mod settle;

use std::{
    ffi::OsString,
    io::{self, Write},
};

use crate::{
    cli::{self, Command, Parsed},
    logs,
    origin::PortalAddress,
    portal::Fault,
    progress::Screen,
    roster, run, sandbox,
    secret::stay_out_of_core_dumps,
};

/// Parses the command line and does what it says. Returns the exit status.
pub fn execute(args: &[OsString]) -> u8 {
    stay_out_of_core_dumps();
    let screen = Screen::new();
    let parsed = match cli::parse(args) {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(error)) => return complain(&screen, &error.into()),
        Err(error) => {
            // Help and version go to standard output; whoever closed it has seen enough.
            drop(error.print());
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    if let Err(error) = logs::start(&parsed.cli.diagnostics, &screen) {
        return complain(&screen, &anyhow::Error::msg(error));
    }
    match dispatch(&parsed, &screen) {
        Ok(status) => status,
        Err(error) => match error.downcast_ref::<io::Error>() {
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            _ => complain(&screen, &error),
        },
    }
}

fn dispatch(parsed: &Parsed, screen: &Screen) -> Result<u8, anyhow::Error> {
    let quiet = parsed.cli.diagnostics.quiet;
    let mut out = io::stdout().lock();
    match &parsed.cli.command {
        Command::Run(args) => {
            // The results may go to standard output; the run takes it when it needs it.
            drop(out);
            run::run(args, &parsed.settings, quiet, screen)
        }
        Command::Plan(args) => plan::execute(args, screen, &mut out),
        Command::Check(args) => check::execute(args, screen, &mut out),
        Command::Template => {
            out.write_all(roster::TEMPLATE.as_bytes())?;
            Ok(0)
        }
        Command::Sandbox(args) => {
            drop(out);
            sandbox::cli::serve(args, &mut io::stdout()).map_err(anyhow::Error::msg)?;
            Ok(0)
        }
        Command::History(args) => history::execute(args, &mut out),
        Command::Doctor(args) => doctor::execute(args, screen, &mut out),
        Command::Invite(args) => {
            drop(out);
            invite::execute(args, screen)
        }
        Command::Export(args) => export::execute(args, screen, &mut out),
        Command::Report(args) => report::execute(args, screen, &mut out),
        Command::Config(args) => packaging::config(args, &parsed.settings, &mut out),
        Command::Completions(args) => packaging::completions(args, &mut out),
        Command::Man(args) => packaging::man(args, &mut out),
        Command::Settle(args) => settle::execute(args, screen, &mut out),
    }
}

/// Tells why the portal could not be used; the exit status of that.
fn portal_fault(screen: &Screen, address: &PortalAddress, fault: &Fault) -> u8 {
    let next = match fault {
        Fault::Answered { status: 401, .. } => ": it does not accept the key; `onboard doctor` tells more",
        Fault::Answered { status: 403, .. } => {
            ": the key lacks a scope, or its owner may not do this; see `onboard doctor`"
        }
        _ => "; `onboard doctor` tells more",
    };
    screen.say(&format!("onboard: {address}: {fault}{next}"));
    3
}

/// Tells why nothing was done, each cause once.
fn complain(screen: &Screen, error: &anyhow::Error) -> u8 {
    let mut texts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if !texts.iter().any(|said| said.contains(&text)) {
            texts.push(text);
        }
    }
    screen.say(&format!("onboard: {}", texts.join(": ")));
    2
}
