//! One question after another at the portal's pace, for `export`.

use std::{collections::HashSet, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{
    pace::{Backoff, Kind, Limits, Moment, Pace, Reaction, RecentUse},
    portal::{Fault, Person, Portal, Wanted},
};

/// Everybody whom the listing names.
#[derive(Debug, Default)]
pub struct Everybody {
    /// Each of them once: pages shift while people join and leave.
    pub people: Vec<Person>,
    /// How many entries could not be read.
    pub unreadable: usize,
}

/// Asks one by one.
#[derive(Debug)]
pub struct Inquiry {
    pace: Pace,
    start: Instant,
    backoff: Backoff,
    retries: u32,
}

impl Inquiry {
    /// At this pace, with so many further tries of a question that was not answered.
    #[expect(clippy::disallowed_methods, reason = "the shell's clock starts here")]
    pub fn new(limits: Limits, recent: &[RecentUse], retries: u32, seed: u64) -> Self {
        let pace = Pace::new(limits, recent, seed);
        Self { pace, start: Instant::now(), backoff: Backoff::new(seed), retries }
    }

    fn now(&self) -> Moment {
        Moment::START + self.start.elapsed()
    }

    /// Asks until there is an answer, or the tries are spent, or the portal wants to be left alone.
    pub async fn ask<T>(&mut self, question: impl AsyncFn() -> Result<T, Fault>) -> Result<T, Fault> {
        let mut failures = 0;
        loop {
            let (result, reaction) = self.once(&question).await;
            let Err(fault) = result else { return result };
            let refused = matches!(fault, Fault::Refused(_));
            failures += u32::from(!refused);
            if reaction != Reaction::None || !fault.worth_asking_again() || failures > self.retries {
                return Err(fault);
            }
            if !refused {
                sleep_until(self.start + self.now().since_start() + self.backoff.pause(failures)).await;
            }
        }
    }

    /// The whole listing, or those of it who are wanted; less than the whole of it is an error. So is a page that brings
    /// nobody new, and a total that grows and grows: such a listing has no end.
    pub async fn everybody(&mut self, portal: &Portal, wanted: Wanted) -> Result<Everybody, Fault> {
        let (mut found, mut seen, mut start) = (Everybody::default(), HashSet::new(), 0);
        let mut at_most = None;
        loop {
            let page = self.ask(async || portal.page(start, wanted).await).await?;
            let readable = page.people.len();
            let known = found.people.len();
            found.unreadable += page.entries - readable;
            found.people.extend(page.people.into_iter().filter(|person| seen.insert(person.id)));
            start += u64::try_from(page.entries).unwrap_or(u64::MAX);
            if readable == 0 && page.entries > 0 {
                return Err(Fault::Unreadable("none of the entries of the listing is a user"));
            }
            if page.entries > 0 && found.people.len() == known {
                return Err(Fault::Unreadable("its listing repeats itself: a page of it brought nobody new"));
            }
            if start >= page.total {
                return Ok(found);
            }
            if page.entries == 0 {
                return Err(Fault::Unreadable("its listing ends before as many users as it says there are"));
            }
            // Some join meanwhile, but not all the time.
            if start > *at_most.get_or_insert(page.total.saturating_mul(2).saturating_add(1000)) {
                return Err(Fault::Unreadable(
                    "its listing has no end: however much is read, there is said to be more",
                ));
            }
        }
    }

    async fn once<T>(&mut self, question: &impl AsyncFn() -> Result<T, Fault>) -> (Result<T, Fault>, Reaction) {
        let permit = loop {
            match self.pace.admit(Kind::Read, self.now()) {
                Ok(permit) => break permit,
                Err(wait) => {
                    // Nothing is in flight here, so every wait has its end; a second is for what cannot happen.
                    let until = wait.until.unwrap_or(self.now() + Duration::from_secs(1));
                    sleep_until(self.start + until.since_start()).await;
                }
            }
        };
        let result = question().await;
        let ending = Fault::for_the_limits(result.as_ref().err());
        let now = self.now();
        (result, self.pace.settle(permit, ending, now))
    }
}
