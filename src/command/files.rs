//! Which files a command reads and writes, of all commands in one place.

use std::path::{Path, PathBuf};

use crate::{
    cli::{Cli, Command, LedgerArgs, MessageArgs, NotifyArgs, PortalArgs, ReportArgs, ResultsTarget, SmtpArgs},
    file,
    files::{Files, Kind},
    notify::Target,
    origin::PortalAddress,
    place,
    roster::Source,
    run,
};

/// The settings file that is taken where none is named.
const SETTINGS: &str = "onboard.toml";

/// The files of what was typed, set or is there by default.
pub(super) fn of(cli: &Cli) -> Files {
    let diagnostics = &cli.diagnostics;
    let files =
        Files::default().reads("the settings file", Some(diagnostics.config.as_deref().unwrap_or(Path::new(SETTINGS))));
    let files = match &cli.command {
        Command::Run(args) => {
            let files = with_portal(files, &args.portal).reads("the roster", path_in(&args.roster));
            let files = files.reads("the machine key", args.congratulation.sign_with.as_deref());
            let files = with_notices(files, &args.notices, &args.smtp);
            let files = files.reads("the plan (--plan)", args.plan.as_deref());
            let files = with_ledger(with_message(files, &args.message), &args.ledger, args.portal.portal.as_ref());
            let files = files.writes("the mails (--preview)", args.preview.as_deref(), Kind::Folder);
            let results = results_of(args.output.as_ref(), &args.roster, args.dry_run);
            with_reports(files.writes("the results", results.as_deref(), Kind::Results), &args.reports)
        }
        Command::Invite(args) => {
            let files = with_portal(files, &args.portal).reads("the list of people", path_in(&args.people));
            let files = with_notices(files, &args.notices, &args.smtp);
            let results = results_of(args.output.as_ref(), &args.people, args.dry_run);
            let files = with_ledger(files, &args.ledger, args.portal.portal.as_ref());
            with_reports(files.writes("the results", results.as_deref(), Kind::Invitations), &args.reports)
        }
        Command::Export(args) => {
            let files = with_ledger_at(with_portal(files, &args.portal), None, args.portal.portal.as_ref());
            files.writes("the roster", args.output.as_ref().and_then(path_out), Kind::Roster)
        }
        Command::Report(args) => {
            let files = with_ledger_at(files, None, None).reads("the results that it shows", path_in(&args.results));
            let page = super::report::target(args);
            files.writes("the report", path_of(&page), Kind::Page)
        }
        Command::Plan(args) => {
            let files = with_portal(files, &args.portal).reads("the roster", args.roster.as_ref().and_then(path_in));
            let files = files.reads("the machine key", args.congratulation.sign_with.as_deref());
            let files = with_message(with_mail_server(files, &args.smtp), &args.message);
            let files = with_ledger(files, &args.ledger, args.portal.portal.as_ref());
            files.writes("the plan", args.plan_output.as_deref(), Kind::Plan)
        }
        Command::Doctor(args) => {
            let files = with_portal(files, &args.portal).reads("the machine key", args.sign_with.as_deref());
            let files = with_mail_server(files, &args.smtp);
            with_ledger_at(files, args.ledger.as_deref(), args.portal.portal.as_ref())
        }
        Command::History(args) => with_ledger_at(files, args.ledger.as_deref(), args.portal.as_ref()),
        Command::Ledger(args) => with_ledger_at(files, args.ledger.as_deref(), args.portal.as_ref()),
        Command::Settle(args) => with_ledger_at(files, args.ledger.as_deref(), args.portal.as_ref())
            .reads("the results that it takes (--from)", args.from.as_ref().and_then(path_in)),
        Command::Check(args) => with_ledger_at(files, None, None).reads("the roster", path_in(&args.roster)).writes(
            "the repaired copy (--fix)",
            args.fix.as_deref(),
            Kind::Copy,
        ),
        Command::Split(args) => super::split::files(with_ledger_at(files, None, None), args),
        Command::Sandbox(args) => with_ledger_at(files, None, None)
            .reads("the roster that it reads", args.roster.as_ref().and_then(path_in))
            .reads("the API key", args.api_key_file.as_deref())
            .reads("the machine key", args.machine_key_file.as_deref())
            .reads("the mail server's password", args.mail_password_file.as_deref())
            .writes("the roster (--write-roster)", args.write_roster.as_deref(), Kind::Roster),
        Command::Template(_)
        | Command::Explain(_)
        | Command::Config(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Help(_) => with_ledger_at(files, None, None),
    };
    files.writes("the log (--log-file)", diagnostics.log_file.as_deref(), Kind::Log)
}

fn with_portal(files: Files, args: &PortalArgs) -> Files {
    files
        .reads("the API key", args.api_key_file.as_deref().map(Path::new))
        .reads("the certificate authority's file", args.ca_file.as_deref())
}

fn with_notices(files: Files, notices: &NotifyArgs, smtp: &SmtpArgs) -> Files {
    let files = with_mail_server(files, smtp);
    notices.notify.iter().fold(files, |files, target| match target {
        Target::Chat(path) => files.reads("the webhook's address (--notify)", Some(path)),
        Target::Mail(_) => files,
    })
}

fn with_mail_server(files: Files, smtp: &SmtpArgs) -> Files {
    files.reads("the mail server's password", smtp.smtp_password_file.as_deref().map(Path::new))
}

fn with_message(files: Files, args: &MessageArgs) -> Files {
    args.message.iter().fold(files, |files, path| files.reads("the message", Some(path)))
}

fn with_ledger(files: Files, args: &LedgerArgs, portal: Option<&PortalAddress>) -> Files {
    with_ledger_at(files, args.ledger.as_deref(), portal)
}

/// Where no ledger is used, that of the runs on this machine is none the less no place to write to.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment names the ledger of commands that have no option for it"
)]
fn with_ledger_at(files: Files, given: Option<&Path>, portal: Option<&PortalAddress>) -> Files {
    let named = std::env::var_os("ONBOARD_LEDGER").filter(|path| !path.is_empty()).map(PathBuf::from);
    let portal = portal.map(PortalAddress::origin);
    let place = place::place(given.or(named.as_deref()), portal.as_ref()).ok();
    // A ledger elsewhere is no file.
    files.ledger(place.as_ref().and_then(|place| place.as_file().ok()))
}

fn with_reports(files: Files, args: &ReportArgs) -> Files {
    files
        .writes("the report (--report)", args.report.as_deref(), Kind::Page)
        .writes("the summary (--summary-json)", args.summary_json.as_ref().and_then(path_out), Kind::Json)
        .writes("the events (--events)", args.events.as_deref(), Kind::Json)
        .writes("the JUnit file (--junit)", args.junit.as_deref(), Kind::Xml)
        .writes("the metrics (--metrics)", args.metrics.as_deref(), Kind::Metrics)
}

fn path_in(source: &Source) -> Option<&Path> {
    match source {
        Source::Path(path) => Some(path),
        Source::Stdin => None,
    }
}

fn path_out(target: &ResultsTarget) -> Option<&Path> {
    path_of(&target.0)
}

fn path_of(target: &file::Target) -> Option<&Path> {
    match target {
        file::Target::Path(path) => Some(path),
        file::Target::Stdout => None,
    }
}

/// Where results go: beside what was read, unless that is said otherwise.
fn results_of(output: Option<&ResultsTarget>, source: &Source, dry_run: bool) -> Option<PathBuf> {
    match (output, source) {
        (Some(target), _) => path_out(target).map(Path::to_owned),
        (None, source) if dry_run => Some(run::results_of_dry_run(source)),
        (None, Source::Stdin) => Some(PathBuf::from("onboard.results.csv")),
        (None, Source::Path(path)) => {
            let mut name = path.file_stem().unwrap_or_default().to_owned();
            name.push(".results.csv");
            Some(path.with_file_name(name))
        }
    }
}
