//! What to ask next, and what became of each row: the decisions of a run, without I/O, clock or concurrency.
//!
//! A row that leads (the first valid one of its user) moves through these stages, and through no others:
//!
//! ```text
//! due ──► asked ──► ready ──► sending ──► settled (sent, rejected, failed, unknown)
//!  │        │  ▲      │ ▲        │
//!  │        │  └──────┘ └────────┘ certainly no effect, worth another try; or the answer on the user grew old
//!  │        ├──► waiting (--wait: not active yet) ──► due
//!  └────────┴──► settled (not_active, failed, invalid, duplicate, not_attempted)
//! ```
//!
//! Whoever drives a [`Job`] asks it for the next read and the next write, makes them at the pace that the portal
//! allows, and tells it how they ended. It never says "send" twice for a user unless the first ending proves that
//! nothing was sent; whether an earlier run sent something, the ledger says when the intent is recorded.

mod breaker;
mod contact;
mod doubt;
mod job;
mod links;
mod mail_server;
mod survey;

use std::time::Duration;

use jiff::Timestamp;

pub use self::{
    breaker::{ALIKE, Manner},
    contact::Unreachable,
    job::{Job, Progress},
};
use crate::{attempt::Mail, letter, pace::Moment, portal::Fault, reason::Stop, user::EmployeeType};

/// What the run is told to do.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Which mail is sent.
    pub mail: Mail,
    /// Whether nothing leaves (`--dry-run`): whoever it would be sent to is told apart.
    pub dry_run: bool,
    /// Whether it is sent a second time to whoever was sent it (`--resend`).
    pub again: bool,
    /// So many in a row may be in doubt before the run stops to think (`--max-unknown`).
    pub max_unknown: u32,
    /// Further tries of one request that certainly had no effect; refusals are not counted.
    pub retries: u32,
    /// How long a portal that answered before may be gone.
    pub outage: Duration,
    /// Send to at most so many people.
    pub limit: Option<u64>,
    /// So many writes are left of the day's, and when the first of them is free again.
    pub daily_left: u64,
    /// Keep checking users who are not active yet, for so long and so often.
    pub wait: Option<Patience>,
    /// When it ends by itself.
    pub ends_at: Option<Moment>,
    /// Ask for the status of settled rows too.
    pub refresh: bool,
    /// Whether the portal's tenant number is needed for signing, and not known yet.
    pub needs_tenant: bool,
    /// What the message of one's own needs that goes by a mail server, where one does.
    pub by_mail: Option<letter::Needs>,
    /// Makes the jitter repeatable.
    pub seed: u64,
}

/// How long and how often to look for users who are not active yet.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From the start of the run.
    pub at_most: Duration,
    /// Between two looks.
    pub poll: Duration,
}

/// A moment of the run, and what the clock on the wall says at it.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// Since the run's start.
    pub now: Moment,
    /// For people and records.
    pub wall: Timestamp,
}

/// A question to the portal. Rows are numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// The invitation link of a type.
    Link(EmployeeType),
    /// The page of the listing that starts here.
    Page(u64),
    /// The account of this row's user, by id.
    Account(u32),
    /// The account of this row's user, by address.
    Person(u32),
    /// The portal's tenant number.
    Tenant,
}

impl Call {
    /// Whether it is about one row's user alone.
    pub(crate) fn is_about_a_row(self) -> bool {
        matches!(self, Self::Account(_) | Self::Person(_))
    }
}

/// Rows whose mail leaves in one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The rows; one, where the mail is sent for the first time.
    pub rows: Vec<u32>,
    /// Whether they were sent it before, by whomever.
    pub again: bool,
}

/// Why no further congratulation is sent in this run, while links and statuses are still learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The first ones were all refused alike.
    RefusedAlike(Manner),
    /// `--limit` is reached.
    Limit,
    /// `--daily-writes` is reached.
    Daily,
    /// The portal itself says that the day's writes are used up; it takes more after this time.
    PortalsDaily(Option<Duration>),
    /// The portal takes no more invitations for now, as its owner set it; what it said.
    PortalsInvitations(String),
    /// Keys are to be signed, and the portal does not tell its tenant number.
    NoTenant(String),
    /// The mail server takes no more, or cannot be reached.
    MailServer(Stop),
}

/// Why the run ends before its rows do.
#[derive(Debug, Clone, PartialEq)]
pub enum Halt {
    /// 401: the key is not accepted.
    KeyRefused,
    /// 402: the portal is not paid for.
    Unpaid,
    /// Every question is refused by a gate before the call: scopes, an address list, maintenance.
    Forbidden(Fault),
    /// Every question meets an error of the portal's own (5xx).
    Failing(Fault),
    /// Every question meets 404 without the portal's envelope: suspended, or no DocSpace portal.
    NoPortal,
    /// What answers there does so with 200, but not as a DocSpace portal does.
    NotAPortal {
        /// What is wrong with its answers.
        why: String,
    },
    /// The portal sends requests elsewhere.
    Redirected {
        /// Where, made safe to show.
        host: String,
    },
    /// It cannot be reached.
    Unreachable(Unreachable),
    /// It refused everything for ten minutes, or asks to come back after more than a quarter of an hour.
    TooBusy {
        /// What it said, where it did.
        come_back_after: Option<Duration>,
    },
    /// So many messages in a row may have been sent, and the one after them too, or no question was answered meanwhile.
    InDoubt {
        /// What the last of them met.
        why: String,
    },
    /// A signal asked for it.
    Stopped,
    /// Its time is over (`--max-duration`).
    Time,
    /// The ledger can no longer be written.
    Storage(String),
}
