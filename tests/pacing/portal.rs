//! A model of the portal's limiters on tokio's clock: the sliding log in whole milliseconds, places in flight without a
//! queue, and a release a moment after the answer.

use std::{cell::RefCell, collections::VecDeque, time::Duration};

use onboard::pace::{Limiter, Refusal, RequestEnd};
use tokio::time::{Instant, sleep};

/// What a model portal admits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) limit: usize,
    pub(crate) window: Duration,
    pub(crate) places: u32,
    pub(crate) release_lag: Duration,
    /// Whether its window's refusals carry `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

/// How long one request takes: to the portal, in it, and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) there: Duration,
    pub(crate) back: Duration,
}

#[derive(Debug, Default)]
struct Seen {
    log: VecDeque<u128>,
    in_flight: Vec<Option<Instant>>,
    accepted: usize,
    refused: usize,
}

#[derive(Debug)]
pub(crate) struct ModelPortal {
    terms: Terms,
    start: Instant,
    seen: RefCell<Seen>,
}

impl ModelPortal {
    pub(crate) fn new(terms: Terms) -> Self {
        Self { terms, start: Instant::now(), seen: RefCell::default() }
    }

    /// One request, from its leaving to its answer.
    pub(crate) async fn request(&self, way: Way) -> RequestEnd {
        sleep(way.there).await;
        let verdict = self.arrive();
        sleep(way.back).await;
        verdict
    }

    fn arrive(&self) -> RequestEnd {
        let now = Instant::now();
        let ms = now.duration_since(self.start).as_millis();
        let window = self.terms.window.as_millis();
        let mut seen = self.seen.borrow_mut();
        while seen.log.front().is_some_and(|at| at + window <= ms) {
            seen.log.pop_front();
        }
        if seen.log.len() >= self.terms.limit {
            seen.refused += 1;
            let limit = u32::try_from(self.terms.limit).ok();
            return RequestEnd::Refused(Refusal {
                limiter: Limiter::Window,
                limit,
                retry_after: self.terms.retry_after,
            });
        }
        seen.log.push_back(ms);
        // Places whose answer left, and whose moment after it is over, are free.
        seen.in_flight.retain(|free_at| free_at.is_none_or(|free_at| free_at > now));
        if seen.in_flight.len() >= self.terms.places as usize {
            seen.refused += 1;
            return RequestEnd::Refused(Refusal {
                limiter: Limiter::InFlight,
                limit: Some(self.terms.places),
                retry_after: None,
            });
        }
        // The answer leaves at once here; the time in the portal is part of the way there.
        seen.in_flight.push(Some(now + self.terms.release_lag));
        seen.accepted += 1;
        RequestEnd::Answered
    }

    /// A request that holds its place from its arrival to its answer's leaving.
    pub(crate) async fn request_held(&self, way: Way, inside: Duration) -> RequestEnd {
        sleep(way.there).await;
        let verdict = self.arrive();
        if verdict == RequestEnd::Answered {
            // Taken for as long as it is worked on.
            let freed = Instant::now() + inside + self.terms.release_lag;
            if let Some(last) = self.seen.borrow_mut().in_flight.last_mut() {
                *last = Some(freed);
            }
            sleep(inside).await;
        }
        sleep(way.back).await;
        verdict
    }

    pub(crate) fn accepted(&self) -> usize {
        self.seen.borrow().accepted
    }

    pub(crate) fn refused(&self) -> usize {
        self.seen.borrow().refused
    }
}
