//! What can be typed: commands, options, and the texts that explain them. Values are checked while they are parsed, so
//! that whatever gets past this module can be used as it is.

mod complaint;
mod manual;
mod run;
mod sandbox;
mod settings;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};

pub use self::{
    complaint::without_secrets,
    manual::{command_names, completions, manual},
    run::github,
    sandbox::SandboxArgs,
    settings::{Parsed, Provenance, Setting, SettingsError, Values, is_for_a_run, parse, read_settings},
    values::{Finite, ResultsTarget, Since},
};
use crate::{
    help,
    notify::Target,
    origin::{Origin, PortalAddress, ProxyAddress},
    outcome::Outcome,
    pace::Rate,
    roster::{Mapped, MappedType, Reading, Source},
    settings::FailOn,
    smtp::{PasswordSource, Server, ServerSettings},
    terminal::{
        ProgressKind,
        logs::{self, LogFormat},
    },
    user::EmployeeType,
};

/// The exit statuses, for the end of every long help.
const EXIT_STATUSES: &str = "\
Exit status: the first that applies
  2         could not start: arguments, roster, ledger or plan unusable; nothing was sent
  5         storage failed, or the ledger is out of reach or held by another run for longer than
            --lock-timeout: nothing was sent whose intent is not on record; another try may work
  130, 143  stopped by Ctrl-C, by SIGTERM, after letting requests in flight finish
  3         the portal or the mail server could not be used: unreachable, key or login refused,
            suspended, or it refused the first messages all alike
  4         stopped early at the daily write limit, --limit or --max-duration; run again to go on
  1         finished; some row has an outcome in --fail-on
  0         finished, none has";

/// Where a ledger may lie.
const LEDGER_PLACES: &str = "\
The durable record of what was sent [default: in your state directory; must be given where CI=true]

A file's path, or, for what runs on several machines or on one that is forgotten: s3://BUCKET/PREFIX, \
gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, postgres://HOST/DATABASE?ledger=NAME or file://FOLDER, made once by `onboard \
ledger init`. {portal} in it is the portal's host";

/// How a mail server is given.
const SMTP: &str = "\
The mail server: smtps://USER@HOST, or smtp://USER@HOST for STARTTLS; its password by ONBOARD_SMTP_PASSWORD or an option \
below";

const RUN_EXAMPLES: &str = "\
Examples
  onboard run users.csv --sandbox                    try it on the embedded portal
  onboard run users.csv                              the whole command, once portal and key are set
  onboard run users.csv --limit 5                    a pilot: five people, then stop
  onboard run users.results.csv --only failed        try the failed rows of an earlier run again
  cat users.csv | onboard run - -o - > results.csv   in a pipe";

const SPLIT_HELP: &str = "\
What is written
  0001-acme.csv, ...  one roster a portal: its rows with all columns, under one spelling of the portal's address
  index.csv           number, portal, file and rows of each, written last: go by it, never by *.csv, which takes in results

Split the next month's roster into the same folder: whoever was there keeps number and file, whoever is new gets the next
one, and whoever has no row this time gets a roster of a header alone. No other file of the folder is touched, and a split
that broke off is repaired by doing it again. A portal whose address changed keeps its number where its line in index.csv
is mended by hand; one that is gone is gone where its line is removed.

A cell names its portal by the address (https://acme.example.com) or by a profile of the settings file ([portal.acme]). A row
without a portal, or with one that no profile has, is refused with its line, and nothing is written. Where no settings file
has profiles, every whole address is taken, and a warning says so.

A run on such a file, or on results of it, takes the profile that has the index's portal, and refuses any other portal
(exit status 2), wherever that was said. It takes no address from the index: it goes only where settings or options say.";

const SPLIT_EXAMPLES: &str = "\
Examples
  onboard split all.xlsx --by portal --into rosters/
  tail -n +2 rosters/index.csv | cut -d, -f3 | xargs -P 4 -I {} onboard run rosters/{} --yes";

/// Congratulate a roster of ONLYOFFICE DocSpace users: once each, at the portal's pace.
#[derive(Debug, Parser)]
#[command(name = "onboard", version = crate::VERSION, propagate_version = true, max_term_width = 110)]
#[command(after_long_help = EXIT_STATUSES, disable_help_subcommand = true)]
pub struct Cli {
    /// Where diagnostics go.
    #[command(flatten)]
    pub diagnostics: Diagnostics,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where diagnostics go, and where settings come from.
#[derive(Debug, Clone, Args)]
pub struct Diagnostics {
    /// Say more on standard error: -v rows, -vv requests (never secrets)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Diagnostics")]
    pub verbose: u8,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Diagnostics")]
    pub quiet: bool,
    /// How diagnostics are written
    #[arg(long, global = true, value_enum, default_value_t, help_heading = "Diagnostics")]
    pub log_format: LogFormat,
    /// Write diagnostics to this file instead
    #[arg(long, global = true, value_name = "PATH", help_heading = "Diagnostics")]
    pub log_file: Option<PathBuf>,
    /// Settings file [default: ./onboard.toml if it is there]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// The portal to use of those in the settings file
    #[arg(long, global = true, value_name = "NAME", help_heading = "Settings")]
    pub profile: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The job: links, statuses, congratulations, results. Safe to repeat
    Run(Box<RunArgs>),
    /// What a run would do, without touching the network
    Plan(Box<PlanArgs>),
    /// Validate a roster: every problem with its line and column
    Check(CheckArgs),
    /// Print a roster to start from
    Template(TemplateArgs),
    /// Serve the embedded portal on loopback, for trying things and for tests
    Sandbox(Box<SandboxArgs>),
    /// What the ledger knows: runs, one run's page, or one user's story
    History(HistoryArgs),
    /// The ledger as a thing: make its place, show what is in it, see whether it is whole
    Ledger(LedgerCommandArgs),
    /// List what may have been sent and nobody knows, and record a person's decision on it
    Settle(SettleArgs),
    /// Whether a run could work: portal, key, scopes, permissions, clock, ledger. Sends nothing
    Doctor(Box<DoctorArgs>),
    /// Send the portal's own invitations to people who are not there yet
    Invite(Box<InviteArgs>),
    /// Write a roster from the portal's user listing
    Export(Box<ExportArgs>),
    /// Render a results file as a self-contained HTML page
    Report(ReportCommandArgs),
    /// Make one roster a portal out of one for many, with an index of them
    Split(Box<SplitArgs>),
    /// What a reason code means, and what to do; without one, all of them
    Explain(ExplainArgs),
    /// The effective settings of a run, and where each comes from
    Config(ConfigArgs),
    /// Completions for a shell
    Completions(CompletionsArgs),
    /// The manual's pages
    Man(ManArgs),
    /// What this program, one of its commands, or a topic is about.
    #[command(about = topics_in_a_line(), after_help = topics())]
    Help(HelpArgs),
}

impl Command {
    /// How the roster is read, where the command takes one.
    fn reading_mut(&mut self) -> Option<&mut ReadingArgs> {
        match self {
            Self::Run(args) => Some(&mut args.reading),
            Self::Plan(args) => Some(&mut args.reading),
            Self::Check(args) => Some(&mut args.reading),
            Self::Split(args) => Some(&mut args.reading),
            Self::Sandbox(args) => Some(&mut args.reading),
            Self::Invite(args) => Some(&mut args.reading),
            _ => None,
        }
    }
}

/// `onboard report`.
#[derive(Debug, Clone, Args)]
pub struct ReportCommandArgs {
    /// A results file; `-` is standard input
    pub results: Source,
    /// The page; `-` is standard output [default: standard output, or beside the results on a terminal]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<ResultsTarget>,
    /// With the invitation links, which are credentials
    #[arg(long)]
    pub links: bool,
}

/// `onboard explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// A code, as in events, summary, JUnit and annotations
    pub code: Option<String>,
}

/// `onboard config`.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `onboard completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `onboard man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// The page of one command, or of a topic of `onboard help`
    #[arg(value_name = "COMMAND|TOPIC")]
    pub subject: Option<String>,
}

/// `onboard help`.
#[derive(Debug, Clone, Args)]
pub struct HelpArgs {
    /// A command, or a topic
    #[arg(value_name = "COMMAND|TOPIC")]
    pub subject: Vec<String>,
}

fn topics_in_a_line() -> String {
    format!("This page, that of a command, or a topic: {}", help::names())
}

fn topics() -> String {
    format!("Topics\n{}", help::list())
}

/// `onboard doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// The portal.
    #[command(flatten)]
    pub portal: PortalArgs,
    /// File with the portal's machine key, as for a run
    #[arg(long, env = "ONBOARD_SIGN_WITH", value_name = "PATH")]
    pub sign_with: Option<PathBuf>,
    /// The portal's tenant number, for signing [default: as the portal says]
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    pub tenant: Option<i64>,
    /// The ledger to look at [default: in your state directory]
    #[arg(long, env = "ONBOARD_LEDGER", value_name = "PLACE")]
    pub ledger: Option<PathBuf>,
    /// The mail server to look at.
    #[command(flatten)]
    pub smtp: SmtpArgs,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `onboard invite`.
#[derive(Debug, Clone, Args)]
pub struct InviteArgs {
    /// CSV or .xlsx with email and employee_type; `-` is standard input
    pub people: Source,
    /// How it is read.
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Results file, a roster for `onboard run`; `-` is standard output [default: new.csv gives new.results.csv]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<ResultsTarget>,
    /// Read statuses and send nothing: who would be invited is in the results [default: new.csv gives new.dry-run.csv]
    #[arg(long)]
    pub dry_run: bool,
    /// The portal.
    #[command(flatten)]
    pub portal: PortalArgs,
    /// The portal's limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// The durable record.
    #[command(flatten)]
    pub ledger: LedgerArgs,
    /// The language of the mail, like en-US [default: the portal's]
    #[arg(long, value_name = "CULTURE")]
    pub culture: Option<String>,
    /// Invite again who was invited and has not joined
    #[arg(long)]
    pub resend: bool,
    /// Invite again where the invitation may have been sent
    #[arg(long)]
    pub retry_unknown: bool,
    /// Invite at most so many people in this run
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Refuse to start where more than so many messages may become due
    #[arg(long, value_name = "N")]
    pub at_most: Option<u64>,
    /// Don't ask before sending
    #[arg(long)]
    pub yes: bool,
    /// What happens in trouble.
    #[command(flatten)]
    pub retries: RetryArgs,
    /// What is no success.
    #[command(flatten)]
    pub failing: FailArgs,
    /// What is written besides the results.
    #[command(flatten)]
    pub reports: ReportArgs,
    /// Who is told.
    #[command(flatten)]
    pub notices: NotifyArgs,
    /// The mail server of notices.
    #[command(flatten)]
    pub smtp: SmtpArgs,
}

/// `onboard export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The roster to write; `-` is standard output [default: -]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<ResultsTarget>,
    /// Only users who joined and confirmed their address
    #[arg(long)]
    pub active: bool,
    /// Only users who were invited and have not joined
    #[arg(long)]
    pub pending: bool,
    /// Only users of these types
    #[arg(long = "type", value_name = "TYPES", value_delimiter = ',')]
    pub employee_type: Vec<EmployeeType>,
    /// Only users who were registered on this day or later, like 2026-11-01
    #[arg(long, value_name = "DATE")]
    pub registered_since: Option<jiff::civil::Date>,
    /// The portal.
    #[command(flatten)]
    pub portal: PortalArgs,
    /// The portal's limits.
    #[command(flatten)]
    pub limits: LimitArgs,
}

impl Diagnostics {
    /// What is logged, and where.
    pub fn logging(&self) -> logs::Options {
        logs::Options {
            quiet: self.quiet,
            verbose: self.verbose,
            log_format: self.log_format,
            log_file: self.log_file.clone(),
        }
    }
}

/// How a roster is read that is not as this program would have it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Roster")]
pub struct ReadingArgs {
    /// The sheet of a workbook [default: the one visible sheet with a header]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub sheet: Option<String>,
    /// Which column is user_id, email, employee_type, key or name (repeatable): user_id=Personal-Nr
    ///
    /// What is typed replaces what the settings file says of the same one; the others stay
    #[arg(long = "map", value_name = "ROLE=COLUMN")]
    pub columns: Vec<Mapped>,
    /// Which employee type a word of the roster stands for (repeatable): Mitarbeiter=User
    ///
    /// What is typed replaces what the settings file says of the same word; the others stay
    #[arg(long = "map-type", value_name = "WORD=TYPE")]
    pub types: Vec<MappedType>,
    /// The employee type of everybody, where the roster has no such column
    #[arg(long = "type", value_name = "TYPE")]
    pub everybody: Option<EmployeeType>,
}

impl ReadingArgs {
    /// Takes in what a settings file says of columns and words of which nothing was typed.
    fn take_in(&mut self, columns: Vec<Mapped>, types: Vec<MappedType>) {
        let mut reading = self.reading();
        reading.take_in(columns, types);
        (self.columns, self.types) = (reading.columns, reading.types);
    }

    /// How a roster is read.
    pub fn reading(&self) -> Reading {
        Reading {
            sheet: self.sheet.clone(),
            columns: self.columns.clone(),
            types: self.types.clone(),
            employee_type: self.everybody,
            is_part: false,
        }
    }
}

/// The portal and the key to it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Portal")]
pub struct PortalArgs {
    /// The portal's public address, as people type it into their browser
    #[arg(long, env = "ONBOARD_PORTAL", value_name = "URL")]
    pub portal: Option<PortalAddress>,
    /// File with the API key (sk-…) or token; or set ONBOARD_API_KEY
    #[arg(long, env = "ONBOARD_API_KEY_FILE", value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    pub api_key_file: Option<String>,
    /// Command that prints the key, such as a password manager's
    #[arg(long, value_name = "CMD", value_parser = NonEmptyStringValueParser::new())]
    pub api_key_command: Option<String>,
    /// For one request, from its start to the answer's last byte
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::positive)]
    pub timeout: Finite,
    /// Trust this certificate authority too (PEM)
    #[arg(long, value_name = "PATH")]
    pub ca_file: Option<PathBuf>,
    /// Go through this proxy by CONNECT; never for loopback [env: HTTPS_PROXY, NO_PROXY]
    #[arg(long, value_name = "URL")]
    pub proxy: Option<ProxyAddress>,
}

/// A mail server.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Mail")]
pub struct SmtpArgs {
    /// The mail server.
    #[arg(long, value_name = "URL", help = SMTP)]
    pub smtp: Option<Server>,
    /// File with the password of the mail server's user
    #[arg(long, env = "ONBOARD_SMTP_PASSWORD_FILE", value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    pub smtp_password_file: Option<String>,
    /// Command that prints that password
    #[arg(long, value_name = "CMD", value_parser = NonEmptyStringValueParser::new())]
    pub smtp_password_command: Option<String>,
}

impl SmtpArgs {
    /// The server, and where its user's password comes from.
    pub fn settings(&self, typed: bool) -> ServerSettings {
        ServerSettings { server: self.smtp.clone(), typed, password: self.password() }
    }

    /// Where the password comes from.
    pub fn password(&self) -> PasswordSource {
        match (&self.smtp_password_command, &self.smtp_password_file) {
            (Some(command), _) => PasswordSource::Command(command.clone()),
            (None, Some(path)) => PasswordSource::File(PathBuf::from(path)),
            (None, None) => PasswordSource::Environment,
        }
    }
}

/// Who is told at the end.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct NotifyArgs {
    /// Tell at the end, in counts and reasons (repeatable): mailto:ADDRESS by the mail server, or @FILE that holds a chat
    /// webhook's address
    ///
    /// The address is a credential, so it stands in a file; it gets {"text": …}. No link, address or name is told. A notice
    /// that fails is said and changes nothing; of a dry run none is sent
    #[arg(long, value_name = "TARGET")]
    pub notify: Vec<Target>,
}

/// A message of one's own.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Mail")]
pub struct MessageArgs {
    /// Send this message, by your own mail server, instead of the portal's congratulation (repeatable, for languages)
    ///
    /// A text with a mail's headers (Subject, From, Reply-To, Language), a blank line, and Markdown. {{ name }}, {{ email }},
    /// {{ portal }}, {{ invite_link }}, {{ employee_type }} and the roster's columns are filled in
    #[arg(long, value_name = "FILE")]
    pub message: Vec<PathBuf>,
    /// Mails in any window of UNIT (repeatable): 30/min, 2000/24h
    #[arg(long, value_name = "N/UNIT", default_value = "30/min")]
    pub smtp_rate: Vec<Rate>,
}

/// The limits of the portal.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Requests in any window of UNIT (s, min, h, or a duration): 1500/min, 150/6s
    #[arg(long, value_name = "N/UNIT", default_value = "1500/min")]
    pub rate: Rate,
    /// Questions (GET) in flight
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_reads: u32,
    /// Everything else in flight
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_writes: u32,
    /// How long a place in flight rests after its answer; 0 where the portal has no limiter
    #[arg(long, value_name = "DURATION", default_value = "12ms")]
    pub hold_off: Finite,
    /// Smooth bursts inside the window to so many requests a second [default: off]
    #[arg(long, value_name = "N/UNIT")]
    pub spike: Option<Rate>,
    /// Writes (POST, PUT) in any 24 hours, per portal and account
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub daily_writes: u64,
}

/// The durable record.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Ledger")]
pub struct LedgerArgs {
    /// The durable record of what was sent [default: in your state directory; must be given where CI=true]
    #[arg(long, env = "ONBOARD_LEDGER", value_name = "PLACE", long_help = LEDGER_PLACES)]
    pub ledger: Option<PathBuf>,
    /// Refuse to start where no run is on record yet; one that is no file has to be made first anyway
    #[arg(long)]
    pub require_ledger: bool,
    /// An earlier run's JSON summary: refuse a ledger that no longer holds what it held then
    #[arg(long, value_name = "FILE")]
    pub ledger_seal: Option<PathBuf>,
    /// That address was this portal: its records count (repeatable)
    #[arg(long, value_name = "ORIGIN")]
    pub formerly: Vec<Origin>,
    /// Go on although the ledger knows users of this roster under another address
    #[arg(long)]
    pub other_portal: bool,
    /// How long to wait for another run on the same ledger, before exit 5
    ///
    /// One that was killed frees a file at once; any other ledger after a minute in which nothing was heard of it, so that
    /// less than 70s never gets past it
    #[arg(long, value_name = "DURATION", default_value = "10min")]
    pub lock_timeout: Finite,
}

/// `onboard run`.
#[derive(Debug, Clone, Args)]
#[command(after_help = RUN_EXAMPLES, after_long_help = format!("{RUN_EXAMPLES}\n\n{EXIT_STATUSES}"))]
pub struct RunArgs {
    /// CSV or .xlsx with user_id (or email) and employee_type; `-` is standard input
    pub roster: Source,
    /// How it is read.
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Results file; `-` is standard output [default: users.csv gives users.results.csv]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<ResultsTarget>,
    /// Run against an embedded portal, started in this process, in which the roster's users exist
    #[arg(long)]
    pub sandbox: bool,
    /// Read links and statuses and send nothing: to whom it would be is in the results [default: users.dry-run.csv]
    #[arg(long)]
    pub dry_run: bool,
    /// Carry out this plan, which `onboard plan -o` made: with the same options, and without a question. Where anything
    /// that matters has changed since, nothing is sent
    #[arg(long, value_name = "FILE", conflicts_with = "sandbox")]
    pub plan: Option<PathBuf>,
    /// The portal.
    #[command(flatten)]
    pub portal: PortalArgs,
    /// What is sent.
    #[command(flatten)]
    pub congratulation: CongratulationArgs,
    /// The message that is sent instead.
    #[command(flatten)]
    pub message: MessageArgs,
    /// With --dry-run and --message: write each mail that would be sent into this folder, which is new or empty (.eml)
    #[arg(long, value_name = "DIR", help_heading = "Mail")]
    pub preview: Option<PathBuf>,
    /// The portal's limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// What happens in trouble.
    #[command(flatten)]
    pub retries: RetryArgs,
    /// Who is waited for.
    #[command(flatten)]
    pub waiting: WaitArgs,
    /// The durable record.
    #[command(flatten)]
    pub ledger: LedgerArgs,
    /// Which rows.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// What is no success.
    #[command(flatten)]
    pub failing: FailArgs,
    /// Leave invite_link empty in the results
    #[arg(long, help_heading = "Output")]
    pub no_links: bool,
    /// What is written besides the results.
    #[command(flatten)]
    pub reports: ReportArgs,
    /// Who is told.
    #[command(flatten)]
    pub notices: NotifyArgs,
    /// The mail server of messages and notices.
    #[command(flatten)]
    pub smtp: SmtpArgs,
}

/// What is sent.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Congratulation")]
pub struct CongratulationArgs {
    /// The congratulation's key
    #[arg(long, env = "ONBOARD_KEY", value_name = "TEXT", default_value = "welcome_guest", hide_env_values = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub key: String,
    /// Sign each key with the portal's machine key, which is in this file
    #[arg(long, env = "ONBOARD_SIGN_WITH", value_name = "PATH")]
    pub sign_with: Option<PathBuf>,
    /// The portal's tenant number, for signing [default: as the portal says]
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    pub tenant: Option<i64>,
    /// Send again where it may have been sent
    #[arg(long)]
    pub retry_unknown: bool,
    /// Send again where it was sent; asks first, or needs --yes
    #[arg(long)]
    pub resend: bool,
    /// Congratulate at most so many people in this run
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Refuse to start where more than so many messages may become due
    #[arg(long, value_name = "N")]
    pub at_most: Option<u64>,
    /// Don't ask before sending
    #[arg(long)]
    pub yes: bool,
}

/// What happens when something goes wrong.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Trouble")]
pub struct RetryArgs {
    /// Further tries of one request that certainly had no effect
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(..=100))]
    pub retries: u32,
    /// How long a portal that answered before may be gone
    #[arg(long, value_name = "DURATION", default_value = "2min")]
    pub outage: Finite,
    /// After so many messages in a row that may have been sent, stop to think: a question must be answered, then one
    /// message leaves alone
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_unknown: u32,
    /// End by itself after so long, counted from the start; what is in flight may take --timeout more [default: off]
    #[arg(long, value_name = "DURATION", value_parser = values::positive)]
    pub max_duration: Option<Finite>,
}

/// Who is waited for.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Waiting")]
pub struct WaitArgs {
    /// Keep checking users who are not active yet, for so long
    #[arg(long, value_name = "DURATION")]
    pub wait: Option<Finite>,
    /// How often
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::positive)]
    pub poll: Finite,
}

/// Which rows, and how strictly.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rows")]
pub struct SelectionArgs {
    /// Of a results file, take just the rows with these outcomes
    #[arg(long, value_name = "OUTCOMES", value_delimiter = ',')]
    pub only: Vec<Outcome>,
    /// Ask for the status of settled rows too
    #[arg(long)]
    pub refresh: bool,
}

/// What is no success.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rows")]
pub struct FailArgs {
    /// Any invalid row stops the run before the first request
    #[arg(long)]
    pub strict: bool,
    /// Which outcomes make the exit status 1; no_link, and empty (a roster without rows) may be added
    #[arg(long, value_name = "LIST", default_value = "failed,rejected,unknown,invalid")]
    pub fail_on: FailOn,
}

/// What is written besides the results.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct ReportArgs {
    /// HTML page about the run
    #[arg(long, value_name = "PATH")]
    pub report: Option<PathBuf>,
    /// JSON summary; `-` is standard output
    #[arg(long, value_name = "PATH")]
    pub summary_json: Option<ResultsTarget>,
    /// One JSON line an event
    #[arg(long, value_name = "PATH")]
    pub events: Option<PathBuf>,
    /// JUnit XML
    #[arg(long, value_name = "PATH")]
    pub junit: Option<PathBuf>,
    /// OpenMetrics text about the run and the last success, for a textfile collector or a Pushgateway
    #[arg(long, value_name = "PATH")]
    pub metrics: Option<PathBuf>,
    /// Bars on a terminal and a line now and then elsewhere, lines only, or nothing
    #[arg(long, value_enum, default_value_t)]
    pub progress: ProgressKind,
}

/// `onboard plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// CSV or .xlsx with user_id (or email) and employee_type; `-` is standard input
    #[arg(required_unless_present = "show")]
    pub roster: Option<Source>,
    /// Write the plan into this file: approved, it is carried out by `onboard run ROSTER --plan FILE`
    #[arg(short = 'o', long = "output", value_name = "FILE", value_parser = values::plan_file)]
    pub plan_output: Option<PathBuf>,
    /// Show a plan that was written: what, for whom, made when and by whom
    #[arg(long, value_name = "FILE", conflicts_with_all = ["roster", "plan_output", "json", "exit_code"])]
    pub show: Option<PathBuf>,
    /// How it is read.
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// So many users the portal has, where that is known
    #[arg(long, value_name = "N")]
    pub portal_users: Option<u64>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Exit status 10 where something is due, 0 where nothing is
    #[arg(long)]
    pub exit_code: bool,
    /// The portal whose records count, and the key whose account's writes do.
    #[command(flatten)]
    pub portal: PortalArgs,
    /// What would be sent.
    #[command(flatten)]
    pub congratulation: CongratulationArgs,
    /// The message that would be sent instead.
    #[command(flatten)]
    pub message: MessageArgs,
    /// The mail server that it would go by.
    #[command(flatten)]
    pub smtp: SmtpArgs,
    /// The portal's limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// The durable record.
    #[command(flatten)]
    pub ledger: LedgerArgs,
    /// Which rows.
    #[command(flatten)]
    pub selection: SelectionArgs,
}

/// `onboard check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// CSV or .xlsx with user_id (or email) and employee_type; `-` is standard input
    pub roster: Source,
    /// How it is read.
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// The portal that it is meant for: a roster that `onboard split` made for another one is refused
    #[arg(long, env = "ONBOARD_PORTAL", value_name = "URL")]
    pub portal: Option<PortalAddress>,
    /// How problems are written
    #[arg(long, value_enum, default_value_t)]
    pub format: CheckFormat,
    /// Write a repaired copy there: what is certain is mended, what is not is marked
    #[arg(long, value_name = "PATH")]
    pub fix: Option<PathBuf>,
}

/// `onboard split`.
#[derive(Debug, Clone, Args)]
#[command(after_help = SPLIT_EXAMPLES, after_long_help = format!("{SPLIT_HELP}\n\n{SPLIT_EXAMPLES}"))]
pub struct SplitArgs {
    /// CSV or .xlsx with user_id (or email), employee_type and a column of portals; `-` is standard input
    pub roster: Source,
    /// The column that says whose portal a row is for
    #[arg(id = "by_column", long = "by", value_name = "COLUMN", value_parser = NonEmptyStringValueParser::new())]
    pub by: String,
    /// The folder of the rosters and their index; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
    /// How it is read.
    #[command(flatten)]
    pub reading: ReadingArgs,
}

/// `onboard template`.
#[derive(Debug, Clone, Args)]
pub struct TemplateArgs {
    /// The command that it is for
    #[arg(long = "for", value_enum, value_name = "COMMAND", default_value_t)]
    pub command: TemplateFor,
}

/// What a template is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TemplateFor {
    /// Congratulations: users by their ids.
    #[default]
    Run,
    /// Invitations: people by their addresses.
    Invite,
}

/// How `check` writes problems.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
    /// Annotations of GitHub Actions.
    Github,
}

/// `onboard history`.
#[derive(Debug, Clone, Args)]
pub struct HistoryArgs {
    /// A run's id or its last 8 digits: that run's page; a user id or e-mail address: that user's story
    #[arg(value_name = "RUN|USER")]
    pub user: Option<String>,
    /// Every user and what is known of the congratulation
    #[arg(long, conflicts_with = "user")]
    pub users: bool,
    /// Only messages that ended so, and runs that had such rows: sent, unknown, rejected, ...
    #[arg(long, value_name = "OUTCOMES", value_delimiter = ',')]
    pub outcome: Vec<String>,
    /// Only what began since then: 2026-11-01, a time, or a length of time before now, like 7d or 12h
    #[arg(long, value_name = "WHEN")]
    pub since: Option<Since>,
    /// Of many ledgers (PLACE/*), only those without a run since then that ended with status 0; where there are some, exit 1
    #[arg(long, value_name = "WHEN")]
    pub no_good_run_since: Option<Since>,
    /// How it is written
    #[arg(long, value_enum, default_value_t)]
    pub format: HistoryFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Only this portal's records
    #[arg(long, env = "ONBOARD_PORTAL", value_name = "URL")]
    pub portal: Option<PortalAddress>,
    /// The ledger to read; PLACE/* (?ledger=*) is one view over all below, what needs a person first; where one cannot be read, exit 2 or 5 [default: in your state directory]
    #[arg(long, env = "ONBOARD_LEDGER", value_name = "PLACE")]
    pub ledger: Option<PathBuf>,
}

/// How `history` writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// For people.
    #[default]
    Table,
    /// CSV.
    Csv,
    /// JSON.
    Json,
}

/// `onboard ledger`.
#[derive(Debug, Clone, Args)]
pub struct LedgerCommandArgs {
    /// What to do
    #[command(subcommand)]
    pub action: LedgerAction,
    /// The ledger [default: in your state directory]
    #[arg(long, env = "ONBOARD_LEDGER", value_name = "PLACE", global = true)]
    pub ledger: Option<PathBuf>,
    /// The portal, for {portal} in the ledger's place
    #[arg(long, env = "ONBOARD_PORTAL", value_name = "URL", global = true)]
    pub portal: Option<PortalAddress>,
}

/// What `onboard ledger` does.
#[derive(Debug, Clone, Subcommand)]
pub enum LedgerAction {
    /// Make the place of a ledger elsewhere, once, and see that its store keeps its promise
    Init {
        /// Although ledgers of other portals lie beside it
        #[arg(long)]
        other_portal: bool,
    },
    /// What is in the ledger: its id, portals, runs, who writes it, where it ends
    Show,
    /// Copy the ledger as a backup, which runs refuse
    Copy {
        /// The ledger
        #[arg(value_name = "FROM")]
        from: PathBuf,
        /// Where the copy is made: a place elsewhere, where no ledger is
        #[arg(value_name = "TO")]
        to: PathBuf,
    },
    /// Move the ledger: its records go on in the new place, and the old one says so
    Move {
        /// The ledger, in a file or elsewhere
        #[arg(value_name = "FROM")]
        from: PathBuf,
        /// Where it goes on: a place elsewhere, where no ledger is
        #[arg(value_name = "TO")]
        to: PathBuf,
    },
    /// Whether the ledger is whole; prints the number and hash of its end, to be noted elsewhere
    Verify {
        /// A hash that was noted: whether it is still part of the ledger
        #[arg(long, value_name = "HASH")]
        expect: Option<String>,
    },
}

/// `onboard settle`.
#[derive(Debug, Clone, Args)]
#[command(group(clap::ArgGroup::new("whom").args(["users", "from"]).multiple(true)))]
pub struct SettleArgs {
    /// User ids or e-mail addresses; without any (and without --from), what is undecided is listed
    #[arg(value_name = "USER", requires = "decision")]
    pub users: Vec<String>,
    /// A results file: all its rows that are `unknown`, and that the ledger has as it has them; a column `decision`
    /// (sent, not-sent) wins over --as
    #[arg(long, value_name = "RESULTS")]
    pub from: Option<Source>,
    /// What is known now
    #[arg(long = "as", value_enum, value_name = "DECISION", requires = "whom")]
    pub decision: Option<Decision>,
    /// Why, in a line; kept, and shown by `history`
    #[arg(long, value_name = "TEXT", value_parser = values::one_line, requires = "whom")]
    pub reason: Option<String>,
    /// Who decided [default: the user who runs this]
    #[arg(long, value_name = "NAME", requires = "whom")]
    pub by: Option<String>,
    /// The list of what is undecided as JSON
    #[arg(long, conflicts_with = "whom")]
    pub json: bool,
    /// The portal
    #[arg(long, env = "ONBOARD_PORTAL", value_name = "URL")]
    pub portal: Option<PortalAddress>,
    /// The ledger to write [default: in your state directory]
    #[arg(long, env = "ONBOARD_LEDGER", value_name = "PLACE")]
    pub ledger: Option<PathBuf>,
    /// How long to wait for a run on the same ledger
    #[arg(long, value_name = "DURATION", default_value = "10min")]
    pub lock_timeout: Finite,
}

/// A person's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Decision {
    /// The mail went out.
    Sent,
    /// It did not; the next run sends it.
    NotSent,
}
