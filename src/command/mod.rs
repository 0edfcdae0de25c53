//! The commands, from what was typed to an exit status.

mod check;
mod doctor;
mod explain;
mod export;
mod files;
mod help;
mod history;
mod ledger;
mod mail_server;
mod metrics;
mod packaging;
mod pages;
mod plan;
mod portal_fault;
mod report;
mod run;
mod sandbox;
mod settle;
mod split;

use std::{
    ffi::OsString,
    io::{self, Write},
};

use crate::{
    cli::{self, Command, Parsed, TemplateFor},
    roster,
    secret::{masked_text, stay_out_of_core_dumps},
    signals::outlive_large_files,
    terminal::{Screen, logs},
};

/// Parses the command line and does what it says. Returns the exit status.
pub fn execute(args: &[OsString]) -> u8 {
    stay_out_of_core_dumps();
    take_all_file_handles();
    outlive_large_files();
    let screen = Screen::new();
    let status = parse_and_do(args, &screen);
    screen.close();
    status
}

/// As many connections as the options allow need as many file handles; what a shell allows at first is often less than
/// what may be had for the asking.
fn take_all_file_handles() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        // macOS refuses more than the second.
        for wanted in [1 << 16, 10_240] {
            let wanted = maximum.map_or(wanted, |maximum| maximum.min(wanted));
            let is_enough = current.is_none_or(|current| current >= wanted);
            if is_enough || setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok() {
                break;
            }
        }
    }
}

fn parse_and_do(args: &[OsString], screen: &Screen) -> u8 {
    let complain = |screen: &Screen, error: &anyhow::Error| complain(screen, error, args);
    let parsed = match cli::parse(args) {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(error)) => return complain(screen, &error.into()),
        Err(error) => {
            let masked = cli::without_secrets(&error);
            let status = u8::try_from(error.exit_code()).unwrap_or(2);
            let text = masked.clone().unwrap_or_else(|| error.render().to_string());
            match masked {
                // Help and version go to standard output; whoever closed it has seen enough.
                None => drop(error.print()),
                Some(text) => screen.say(text.trim_end()),
            }
            if error.use_stderr() {
                // What follows the first paragraph is about how to type it.
                let why = text.split("\n\n").next().unwrap_or_default();
                tell_github(screen, args, why.trim_start_matches("error: "), status);
            }
            return status;
        }
    };
    // Before anything is opened, the log file included.
    if let Err(clash) = files::of(&parsed.cli).check() {
        return complain(screen, &clash.into());
    }
    let log = match logs::start(&parsed.cli.diagnostics.logging(), screen) {
        Ok(log) => log,
        Err(error) => return complain(screen, &anyhow::Error::msg(error)),
    };
    let mut out = Out { to: io::stdout(), reader_is_gone: false };
    let done = dispatch(&parsed, screen, &mut out).and_then(|status| Ok(out.flush().map(|()| status)?));
    let status = match done {
        Ok(status) => status,
        Err(_) if out.reader_is_gone => 0,
        Err(error) => complain(screen, &error),
    };
    if let Some(error) = log.close() {
        screen.say(&format!("warning: the log file is not whole: {error}"));
    }
    status
}

/// Standard output. Whoever closed the other end has seen enough: that is no error, whatever the writers above make of
/// it, each of which has its own way to wrap it.
#[derive(Debug)]
struct Out<W> {
    to: W,
    reader_is_gone: bool,
}

impl<W: Write> Out<W> {
    fn noted<T>(&mut self, written: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &written {
            self.reader_is_gone |= error.kind() == io::ErrorKind::BrokenPipe;
        }
        written
    }
}

impl<W: Write> Write for Out<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let written = self.to.write(text);
        self.noted(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.to.flush();
        self.noted(flushed)
    }
}

fn dispatch(parsed: &Parsed, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let quiet = parsed.cli.diagnostics.quiet;
    match &parsed.cli.command {
        Command::Run(_) | Command::Invite(_) => match parsed.run().zip(parsed.notices()) {
            Some(((settings, progress), notices)) => run::execute(&settings, &notices, progress, quiet, screen),
            None => Ok(2),
        },
        Command::Plan(args) => plan::execute(args, |roster| parsed.planned(args, roster), screen, out),
        Command::Check(args) => check::execute(args, screen, out),
        Command::Template(args) => {
            let template = match args.command {
                TemplateFor::Run => roster::TEMPLATE,
                TemplateFor::Invite => roster::TEMPLATE_FOR_INVITE,
            };
            out.write_all(template.as_bytes())?;
            Ok(0)
        }
        Command::Sandbox(args) => {
            sandbox::execute(args, out).map_err(anyhow::Error::msg)?;
            Ok(0)
        }
        Command::History(args) => history::execute(args, out),
        Command::Doctor(args) => doctor::execute(args, screen, out),
        Command::Export(args) => export::execute(args, screen, out),
        Command::Report(args) => report::execute(args, screen, out),
        Command::Explain(args) => explain::execute(args, out),
        Command::Config(args) => packaging::config(args, &parsed.settings, out),
        Command::Completions(args) => packaging::completions(args, out),
        Command::Man(args) => packaging::man(args, out),
        Command::Help(args) => help::execute(args, out),
        Command::Ledger(args) => ledger::execute(args, screen, out),
        Command::Settle(args) => settle::execute(args, screen, out),
        Command::Split(args) => split::execute(args, parsed.profiles.as_ref(), files::of(&parsed.cli), screen, out),
    }
}

/// Tells why nothing was done, each cause once.
fn complain(screen: &Screen, error: &anyhow::Error, args: &[OsString]) -> u8 {
    let mut texts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if !texts.iter().any(|said| said.contains(&text)) {
            texts.push(text);
        }
    }
    // The last door: whatever is quoted in an error, no password of an address leaves by it.
    let why = masked_text(&texts.join(": "));
    screen.say(&format!("onboard: {why}"));
    let status = run::exit_of(error).code();
    tell_github(screen, args, &why, status);
    status
}

/// Tells GitHub Actions why a run did not start, where it runs this.
fn tell_github(screen: &Screen, args: &[OsString], why: &str, status: u8) {
    let Some(github) = cli::github().filter(|_| cli::is_for_a_run(args)) else { return };
    for line in crate::run::not_started_on_github(&github, why, status) {
        screen.say(&line);
    }
}
