//! What a run is told, as plain values: no flag, no terminal, no environment. `cli` makes them of what was typed.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    attempt::{Carrier, Mail},
    environment::Environment,
    file::Target,
    origin::{Origin, PortalAddress, ProxyAddress},
    outcome::Outcome,
    pace::{Limits, Rate},
    roster::{Reading, Source},
    smtp::ServerSettings,
};

/// Everything that a run is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is sent.
    pub mail: Mail,
    /// The roster.
    pub source: Source,
    /// How the roster is to be read.
    pub reading: Reading,
    /// Where the results go; beside the roster where it is not said.
    pub output: Option<Target>,
    /// Whether the portal is the embedded one, started for this run.
    pub sandbox: bool,
    /// Whether everything is read and nothing is sent (`--dry-run`).
    pub dry_run: bool,
    /// The portal.
    pub portal: PortalSettings,
    /// What is sent, in detail, and to how many.
    pub sending: Sending,
    /// The message of one's own that is sent instead of the portal's, where there is one.
    pub own: Option<OwnMessage>,
    /// The portal's limits.
    pub limits: Limits,
    /// Writes in any 24 hours.
    pub daily_writes: u64,
    /// What happens in trouble.
    pub trouble: Trouble,
    /// The durable record.
    pub ledger: LedgerSettings,
    /// Which rows.
    pub selection: Selection,
    /// What is written besides the results.
    pub sinks: Sinks,
    /// The command that goes on with what this run leaves.
    pub go_on: Option<String>,
}

impl Settings {
    /// Who carries the messages.
    pub const fn carrier(&self) -> Carrier {
        if self.own.is_some() { Carrier::MailServer } else { Carrier::Portal }
    }
}

/// The portal, and how to get there.
#[derive(Debug, Clone)]
pub struct PortalSettings {
    /// Its address, where one is given.
    pub address: Option<PortalAddress>,
    /// Where the key comes from.
    pub key: KeySource,
    /// For one request, from its start to the answer's last byte.
    pub timeout: Duration,
    /// A certificate authority to trust too.
    pub ca_file: Option<PathBuf>,
    /// A proxy; the environment may name one where none is given.
    pub proxy: Option<ProxyAddress>,
}

/// Where the key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// What a command prints.
    Command(String),
    /// A file.
    File(PathBuf),
    /// The environment.
    Environment,
}

/// What is sent, and to how many.
#[derive(Debug, Clone)]
pub struct Sending {
    /// The congratulation's key.
    pub key: String,
    /// The file of the portal's machine key, where keys are to be signed.
    pub sign_with: Option<PathBuf>,
    /// The portal's tenant number, for signing.
    pub tenant: Option<i64>,
    /// The language of an invitation.
    pub culture: Option<String>,
    /// What was sent, or may have been, and is to be sent all the same.
    pub again: Again,
    /// At most so many people in this run.
    pub limit: Option<u64>,
    /// Where more messages than this may become due, nothing begins.
    pub at_most: Option<u64>,
    /// Whether nobody is asked before sending.
    pub yes: bool,
    /// The plan that is carried out, where one was made and approved before.
    pub plan: Option<PathBuf>,
}

/// A message of one's own, by one's own mail server.
#[derive(Debug, Clone)]
pub struct OwnMessage {
    /// Its files, one for each language.
    pub files: Vec<PathBuf>,
    /// The mail server; with the sandbox its own one, and none is needed where nothing is sent.
    pub mail_server: ServerSettings,
    /// So many mails in so long, each of them.
    pub rates: Vec<Rate>,
    /// Connections at once, at the most.
    pub connections: u32,
    /// An option that was typed beside it, and has no business there.
    pub beside: Option<&'static str>,
}

/// What is sent again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Again {
    /// What was sent.
    pub sent: bool,
    /// What may have been sent.
    pub unknown: bool,
}

/// What happens when something goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Trouble {
    /// Further tries of one request that certainly had no effect.
    pub retries: u32,
    /// How long a portal that answered before may be gone.
    pub outage: Duration,
    /// So many messages in a row may be in doubt before the run stops to think.
    pub max_unknown: u32,
    /// How long users who are not active yet are looked at again.
    pub wait: Option<Duration>,
    /// How often.
    pub poll: Duration,
    /// When it ends by itself, and after how long that is.
    pub end: Option<End>,
}

/// When a run ends by itself (`--max-duration`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// After so long.
    pub after: Duration,
    /// The same as a moment: it is counted from the start of the process.
    pub at: Instant,
}

/// The durable record.
#[derive(Debug, Clone)]
pub struct LedgerSettings {
    /// Where it is; in the state directory where it is not said.
    pub place: Option<PathBuf>,
    /// What the environment says of credentials and folders.
    pub environment: Environment,
    /// An earlier run's JSON summary: what the ledger held then it has to hold still.
    pub seal: Option<PathBuf>,
    /// Whether a person typed the place, as opposed to what stands in the environment or a file.
    pub typed: bool,
    /// Whether it has to be there already.
    pub must_exist: bool,
    /// Earlier addresses of this portal, whose records count.
    pub formerly: Vec<Origin>,
    /// Whether users that it knows under another address are no reason to stop.
    pub other_portal: bool,
    /// How long to wait for another run on it.
    pub wait_for: Duration,
}

/// Which rows, and how strictly.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Of a results file, only rows with these outcomes; all where it is empty.
    pub only: Vec<Outcome>,
    /// Whether settled rows are asked for too.
    pub refresh: bool,
    /// Whether an invalid row stops the run before the first request.
    pub strict: bool,
    /// What makes the exit status 1.
    pub fail_on: FailOn,
}

/// What makes the exit status 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailOn {
    /// Rows with these outcomes.
    pub outcomes: Vec<Outcome>,
    /// Valid rows without their link.
    pub no_link: bool,
    /// A roster without rows.
    pub empty: bool,
}

/// What is written besides the results, and whether they have links.
#[derive(Debug, Clone, Default)]
pub struct Sinks {
    /// Whether the links stay out of the results.
    pub no_links: bool,
    /// An HTML page.
    pub report: Option<PathBuf>,
    /// A JSON summary.
    pub summary_json: Option<Target>,
    /// One JSON line an event.
    pub events: Option<PathBuf>,
    /// JUnit XML.
    pub junit: Option<PathBuf>,
    /// The folder for the mails that a dry run would send.
    pub preview: Option<PathBuf>,
    /// OpenMetrics text.
    pub metrics: Option<PathBuf>,
    /// What GitHub Actions asks for, where it runs this.
    pub github: Option<GitHub>,
}

/// Where GitHub Actions wants to be told of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitHub {
    /// Whether this is a step of a job.
    pub runs_this: bool,
    /// The file of the job's summary.
    pub summary: Option<PathBuf>,
    /// The folder of the repository.
    pub workspace: Option<PathBuf>,
    /// The file of the step's outputs.
    pub output: Option<PathBuf>,
}
