//! The terms in which mails differ.

use std::time::Duration;

use crate::{outcome::Outcome, reason::Reason};

/// What a mail needs of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The invitation link of every row.
    pub links: bool,
    /// People are found by their address, and nobody needs to be there; else by their id, or an address that has one.
    pub by_address: bool,
    /// People of whom an earlier run has a record are looked at all the same: they may have joined since.
    pub looks_at_held: bool,
    /// What is known of somebody must be younger than this when the mail leaves.
    pub fresh_for: Duration,
    /// From so many people on, reading the listing in pages may save questions.
    pub pages_from: u64,
    /// So many people can share one request, where they were sent it before.
    pub batch: usize,
    /// Requests that carry it a second time: so many in so long (`docspace-contract.md` §7.2).
    pub again_at_most: Option<(u32, Duration)>,
}

/// What is to be done about somebody, given what the portal tells of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// The mail is sent.
    Send,
    /// It is sent once more.
    SendAgain,
    /// Nothing is due yet; it may be later (`--wait`).
    Later(Reason),
    /// Nothing is due.
    Never(Outcome, Option<Reason>),
}
