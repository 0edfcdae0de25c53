//! The portal's mood: whether it can be reached, answers as a portal does, takes what it is sent; and what the run makes
//! of it.

use std::time::Duration;

use crate::{
    pace::{Backoff, Moment},
    portal::Fault,
    workflow::{Closed, Halt, Unreachable, breaker::Breaker, contact::Contact, doubt::Doubt, mail_server::MailServer},
};

/// Until the portal has answered one question as a portal does, no more than so many are out.
pub(super) const FIRST_QUESTIONS: u32 = 5;
/// After so many answers about somebody else, nothing that is there is believed.
const STRANGERS: u32 = 3;
/// After so many questions in a row without any answer, or with nothing but failures, the portal counts as gone.
const SILENCE: u32 = 5;
const SILENT: &str = "it takes connections, but does not answer";

#[derive(Debug)]
pub(super) struct Mood {
    pub(super) contact: Contact,
    /// The mail server's, where messages go by one.
    pub(super) mails: MailServer,
    pub(super) breaker: Breaker,
    pub(super) doubt: Doubt,
    backoff: Backoff,
    /// Rows whose question met what may be about everybody.
    pub(super) suspects: Vec<(u32, Fault)>,
    /// One question was answered as a portal does.
    pub(super) speaks: bool,
    nonsense: u32,
    strangers: u32,
    /// Questions in a row that were lost.
    silent: u32,
    /// Questions in a row that failed at their first try; one that the portal failed at counts three.
    failing: u32,
    /// What they met.
    failure: Option<Fault>,
    pub(super) closed: Option<Closed>,
    pub(super) halt: Option<Halt>,
}

impl Mood {
    pub(super) fn new(retries: u32, outage: Duration, max_unknown: u32, seed: u64) -> Self {
        Self {
            contact: Contact::new(retries, outage),
            mails: MailServer::new(retries, outage, seed),
            breaker: Breaker::new(),
            doubt: Doubt::new(max_unknown, outage),
            backoff: Backoff::new(seed),
            suspects: Vec::new(),
            speaks: false,
            nonsense: 0,
            strangers: 0,
            silent: 0,
            failing: 0,
            failure: None,
            closed: None,
            halt: None,
        }
    }

    pub(super) fn close(&mut self, closed: Closed) {
        self.closed.get_or_insert(closed);
    }

    pub(super) fn halt(&mut self, halt: Halt) {
        self.halt.get_or_insert(halt);
    }

    pub(super) fn pause(&mut self, failures: u32) -> Duration {
        self.backoff.pause(failures)
    }

    /// The portal answered, whatever it said.
    pub(super) fn answered(&mut self) {
        self.contact.answered();
        self.silent = 0;
    }

    /// The portal did what it was asked to.
    pub(super) fn did_well(&mut self) {
        self.answered();
        (self.failing, self.failure) = (0, None);
    }

    /// A connection could not be made: the run's trouble, nobody's fault.
    pub(super) fn unreachable(&mut self, why: &str, for_good: bool, now: Moment) {
        let verdict = self.contact.failed(why, now, &mut self.backoff);
        if let Err(unreachable) = verdict {
            self.give_up(unreachable);
        } else if for_good {
            self.halt(Halt::Unreachable(Unreachable { why: why.to_owned(), answered_before: self.speaks }));
        }
    }

    fn give_up(&mut self, unreachable: Unreachable) {
        let halt = self.failure.take().map_or(Halt::Unreachable(unreachable), Halt::Failing);
        self.halt(halt);
    }

    /// Looks at the clock: outages and doubts that last too long.
    pub(super) fn tick(&mut self, now: Moment) {
        if let Err(unreachable) = self.contact.check(now) {
            self.give_up(unreachable);
        }
        // A portal that is gone is an outage, which has its own end.
        if self.contact.down().is_none() && self.doubt.is_over(now) {
            self.halt(Halt::InDoubt { why: "no question was answered meanwhile".to_owned() });
        }
    }

    /// A question was lost. Whether so many were, one after the other, that it is nobody's own misfortune: a portal that
    /// takes connections and answers nobody is as gone as one that takes none.
    pub(super) fn is_silent(&mut self, now: Moment) -> bool {
        self.silent += 1;
        let silent = self.silent >= SILENCE || self.contact.down().is_some();
        if silent {
            self.unreachable(SILENT, false, now);
        }
        silent
    }

    /// A question met an error of the portal's own. Whether so many others did, one after the other, that it is about
    /// none of them.
    pub(super) fn is_failing(&mut self, fault: &Fault, first_try: bool, now: Moment) -> bool {
        let weight = match fault {
            Fault::Answered { status: 500..=599, .. } => 3,
            // An answer that cannot be read may be about one user alone.
            Fault::Unreadable(_) => 1,
            _ => return false,
        };
        if !self.speaks {
            return false;
        }
        self.failing += if first_try { weight } else { 0 };
        let failing = self.failing >= 3 * SILENCE || (self.failure.is_some() && self.contact.down().is_some());
        if failing {
            self.failure = Some(fault.clone());
            self.unreachable(&fault.to_string(), false, now);
        }
        failing
    }

    /// A web page, a login of a public network, another server: whatever it is, it is asked no more.
    pub(super) fn listen_for_nonsense(&mut self, why: &str) {
        self.nonsense += 1;
        if !self.speaks && self.nonsense >= FIRST_QUESTIONS {
            self.halt(Halt::NotAPortal { why: why.to_owned() });
        }
    }

    /// It answered about somebody else than was asked for.
    pub(super) fn met_a_stranger(&mut self) {
        self.strangers += 1;
        if self.strangers >= STRANGERS {
            self.halt(Halt::NotAPortal { why: "its answers are about other users than those asked for".to_owned() });
        }
    }

    /// Enough refusals by a gate, and no answer (`nothing_else` is to come): it is about everybody.
    pub(super) fn judge_suspects(&mut self, nothing_else: bool) {
        let enough = u32::try_from(self.suspects.len()).unwrap_or(u32::MAX) >= FIRST_QUESTIONS;
        let Some((_, fault)) = self.suspects.first().filter(|_| enough || nothing_else) else { return };
        let halt = match fault {
            Fault::Answered { status: 404, .. } => Halt::NoPortal,
            Fault::Answered { status: 500..=599, .. } => Halt::Failing(fault.clone()),
            Fault::Unreadable(why) => Halt::NotAPortal { why: (*why).to_owned() },
            other => Halt::Forbidden(other.clone()),
        };
        self.halt(halt);
    }

    /// Faults that end the run, whatever was asked.
    pub(super) fn ends_with(fault: &Fault) -> Option<Halt> {
        match fault {
            Fault::Answered { status: 401, .. } if fault.by_another() => Some(Halt::Forbidden(fault.clone())),
            Fault::Answered { status: 401, .. } => Some(Halt::KeyRefused),
            Fault::Answered { status: 402, .. } => Some(Halt::Unpaid),
            Fault::Redirected { host, .. } => Some(Halt::Redirected { host: host.clone() }),
            Fault::Answered { .. }
            | Fault::NotSent { .. }
            | Fault::Lost(_)
            | Fault::Refused(_)
            | Fault::Unreadable(_) => None,
        }
    }
}
