//! The questions: what is still to be learned, what is on its way, what is asked again and when.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::{
    pace::Moment,
    workflow::{Call, links::Links, survey::Survey},
};

/// The portal's tenant number, for signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tenant {
    NotNeeded,
    /// Any account that is asked for tells it; else it is asked for once something is ready to be signed.
    Wanted,
    Asked {
        tries: u32,
    },
    Known(i64),
}

#[derive(Debug)]
pub(super) struct Questions {
    pub(super) links: Links,
    pub(super) tenant: Tenant,
    pub(super) survey: Survey,
    /// Questions that are asked again, and when.
    again: BinaryHeap<Reverse<(Moment, Call)>>,
    pub(super) in_flight: u32,
    /// Whether a page could not be had once already.
    pub(super) page_failed: bool,
    /// Rows before this one are not due any more.
    pub(super) cursor: u32,
    /// When users who are waited for are looked at next.
    pub(super) poll_at: Option<Moment>,
    /// Rows whose status is asked for in this run.
    pub(super) to_check: u64,
}

impl Questions {
    pub(super) fn new(links: Links, needs_tenant: bool, pages_from: u64, to_check: u64) -> Self {
        Self {
            links,
            tenant: if needs_tenant { Tenant::Wanted } else { Tenant::NotNeeded },
            survey: Survey::new(pages_from),
            again: BinaryHeap::new(),
            in_flight: 0,
            page_failed: false,
            cursor: 0,
            poll_at: None,
            to_check,
        }
    }

    pub(super) fn ask_again(&mut self, at: Moment, call: Call) {
        self.again.push(Reverse((at, call)));
    }

    /// The question that is asked again at this moment.
    pub(super) fn due_again(&self, now: Moment) -> Option<Call> {
        self.again.peek().filter(|Reverse((at, _))| *at <= now).map(|Reverse((_, call))| *call)
    }

    /// Whether this question is the next to be asked again; then it leaves.
    pub(super) fn take_again(&mut self, call: Call) -> bool {
        let is_next = self.again.peek().is_some_and(|Reverse((_, next))| *next == call);
        if is_next {
            self.again.pop();
        }
        is_next
    }

    /// When the next one is asked again.
    pub(super) fn wake(&self) -> Option<Moment> {
        self.again.peek().map(|Reverse((at, _))| *at)
    }

    /// How many are still to be asked, with so many users' statuses open.
    pub(super) fn left(&self, open: u64) -> u64 {
        let again = u64::try_from(self.again.len()).unwrap_or(u64::MAX);
        self.links.unasked().saturating_add(again).saturating_add(self.survey.left(open))
    }

    /// Whether nothing is left to be asked, other than rows.
    pub(super) fn is_done(&self) -> bool {
        self.again.is_empty() && !self.links.pending()
    }

    pub(super) fn tenant(&self) -> Option<i64> {
        match self.tenant {
            Tenant::Known(tenant) => Some(tenant),
            Tenant::NotNeeded | Tenant::Wanted | Tenant::Asked { .. } => None,
        }
    }

    pub(super) fn can_sign(&self) -> bool {
        matches!(self.tenant, Tenant::NotNeeded | Tenant::Known(_))
    }
}
