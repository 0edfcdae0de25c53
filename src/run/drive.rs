//! The loop that lets requests out and takes answers in: the only async code that knows job, pace, portal and ledger.
//! It decides nothing.

use std::time::Duration;

use futures::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::{key::KeyMaker, observer::Observer};
use crate::{
    attempt::{LetGo, Mail},
    ledger::{AttemptId, Intended, Intent, LedgerError, Recorder},
    pace::{self, Kind, Moment, Pace, Permit, Reaction, Wait},
    portal::{Fault, LinkAnswer, Page, Person, Portal, Wanted},
    report::Class,
    signals::{Signal, Signals},
    user::EmployeeType,
    workflow::{Call, Closed, Halt, Job, Stamp},
};

/// Requests that one reservation in the ledger stands for.
const RESERVED_AT_ONCE: u64 = 64;
/// How often the bars are drawn anew.
const FRAME: Duration = Duration::from_millis(100);

/// Time since the run's start, and the clock on the wall.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
    wall: Timestamp,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the one place where a run takes the time")]
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), wall: Timestamp::now() }
    }

    pub(super) fn stamp(&self) -> Stamp {
        let elapsed = self.start.elapsed();
        // Counted from the start, so that a clock that is set in mid-run moves nothing.
        let wall = self.wall.checked_add(elapsed).unwrap_or(self.wall);
        Stamp { now: Moment::START + elapsed, wall }
    }

    fn instant(&self, moment: Moment) -> Instant {
        self.start + moment.since_start()
    }
}

/// What a request in flight ends with.
enum Landing {
    Link(EmployeeType, Permit, Moment, Result<LinkAnswer, Fault>),
    Page(u64, Permit, Moment, Result<Page, Fault>),
    Account(u32, Permit, Moment, Result<Person, Fault>),
    Tenant(Permit, Moment, Result<i64, Fault>),
    Intents(Vec<(u32, Permit)>, Result<Vec<Intended>, LedgerError>),
    Write(u32, AttemptId, Permit, Moment, Result<(), Fault>),
    Reserved(u64, Result<(), LedgerError>),
}

type Flights<'a> = FuturesUnordered<LocalBoxFuture<'a, Landing>>;

/// Everything that the loop lets work together.
pub(super) struct Drive<'a, 'r> {
    pub(super) job: &'a mut Job<'r>,
    pub(super) pace: &'a mut Pace,
    pub(super) portal: &'a Portal,
    pub(super) ledger: &'a Recorder,
    pub(super) keys: &'a KeyMaker<'r>,
    pub(super) tenant: Option<i64>,
    pub(super) let_go: LetGo,
    pub(super) observer: &'a mut Observer,
    pub(super) clock: Clock,
}

/// How the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Driven {
    /// The signal that stopped it, if one did.
    pub(super) signal: Option<Signal>,
}

/// Requests that left, and those that the ledger knows to leave soon.
#[derive(Debug, Default)]
struct Reservation {
    left: u64,
    reserved: u64,
    asked: u64,
}

impl Drive<'_, '_> {
    /// Runs until everything is settled, the run is halted, or a second signal comes.
    pub(super) async fn run(mut self, signals: &mut Signals) -> Driven {
        let (portal, ledger) = (self.portal, self.ledger);
        let mut flights: Flights<'_> = FuturesUnordered::new();
        let mut reservation = Reservation::default();
        let mut driven = Driven { signal: None };
        loop {
            let stamp = self.clock.stamp();
            self.job.tick(stamp);
            let wait = self.let_out(stamp, portal, ledger, &mut flights, &mut reservation);
            self.job.drop_ready(stamp);
            self.observer.watch(self.job, self.pace, wait.as_ref(), stamp);
            if self.job.is_finished() && flights.is_empty() {
                break;
            }
            let frame = self.clock.instant(stamp.now + FRAME);
            // What is due already waits for the pacer: waking at once for it would be a busy loop.
            let due_later = self.job.wake().filter(|at| *at > stamp.now);
            let wake = [due_later, wait.and_then(|wait| wait.until)].into_iter().flatten().min();
            let wake = wake.map_or(frame, |wake| self.clock.instant(wake).min(frame));
            tokio::select! {
                biased;
                signal = signals.next() => {
                    if signal.insists_after(driven.signal) {
                        // Whatever is in flight is left to itself, and recorded as what it is: unknown.
                        flights.clear();
                        break;
                    }
                    if driven.signal.is_none() {
                        self.job.halt(Halt::Stopped);
                        self.observer.stopping(self.job.in_flight());
                    }
                    driven.signal = driven.signal.filter(|earlier| *earlier != Signal::Hangup).or(Some(signal));
                }
                Some(landing) = flights.next() => {
                    self.landed(landing, portal, ledger, &mut flights, &mut reservation);
                    while let Some(Some(landing)) = flights.next().now_or_never() {
                        self.landed(landing, portal, ledger, &mut flights, &mut reservation);
                    }
                }
                () = sleep_until(wake) => {}
            }
        }
        driven
    }

    /// Lets out whatever may leave now; says what the next request waits for, if one does.
    fn let_out<'a>(
        &mut self,
        stamp: Stamp,
        portal: &'a Portal,
        ledger: &'a Recorder,
        flights: &mut Flights<'a>,
        reservation: &mut Reservation,
    ) -> Option<Wait> {
        let mut wait: Option<Wait> = None;
        let mut batch = Vec::new();
        while reservation.may_leave() && self.job.wants_write(stamp.now) {
            match self.pace.admit(Kind::Write, stamp.now) {
                Ok(permit) => {
                    let Some(row) = self.job.take_write() else {
                        self.pace.settle(permit, pace::Ending::NeverLeft, stamp.now);
                        break;
                    };
                    reservation.left += 1;
                    batch.push((row, permit));
                }
                Err(refused) => {
                    wait = Some(refused);
                    break;
                }
            }
        }
        if !batch.is_empty() {
            flights.push(self.intend(batch, ledger));
        }
        while reservation.may_leave()
            && let Some(call) = self.job.peek_read(stamp.now)
        {
            match self.pace.admit(Kind::Read, stamp.now) {
                Ok(permit) => {
                    self.job.take_read(call);
                    reservation.left += 1;
                    flights.push(self.ask(call, permit, stamp.now, portal));
                }
                Err(refused) => {
                    wait = Wait::sooner(wait, refused);
                    break;
                }
            }
        }
        if let Some(upto) = reservation.next() {
            let reserving = ledger.reserve(upto);
            flights.push(async move { Landing::Reserved(upto, reserving.await) }.boxed_local());
        }
        wait
    }

    fn ask<'a>(&self, call: Call, permit: Permit, now: Moment, portal: &'a Portal) -> LocalBoxFuture<'a, Landing> {
        match call {
            Call::Link(kind) => {
                async move { Landing::Link(kind, permit, now, portal.invite_link(kind).await) }.boxed_local()
            }
            Call::Page(start) => {
                let by_address = self.keys.roster.columns().email.is_some();
                let wanted = if by_address { Wanted::StatusAndAddress } else { Wanted::Status };
                async move { Landing::Page(start, permit, now, portal.page(start, wanted).await) }.boxed_local()
            }
            Call::Tenant => async move { Landing::Tenant(permit, now, portal.tenant().await) }.boxed_local(),
            Call::Account(row) => {
                let user = self.job.user(row);
                async move {
                    let result = match user {
                        Some(user) => portal.account(user).await,
                        None => Err(Fault::Unreadable("the row has no user id")),
                    };
                    Landing::Account(row, permit, now, result)
                }
                .boxed_local()
            }
            Call::Person(row) => {
                let email = self.keys.email(row);
                async move {
                    let result = match email {
                        Ok(email) => portal.person(&email).await,
                        Err(why) => Err(Fault::NotSent { why, for_good: true }),
                    };
                    Landing::Account(row, permit, now, result)
                }
                .boxed_local()
            }
        }
    }

    fn intend<'a>(&self, batch: Vec<(u32, Permit)>, ledger: &'a Recorder) -> LocalBoxFuture<'a, Landing> {
        let intents = batch
            .iter()
            .filter_map(|(row, _)| {
                let user = self.job.user(*row)?;
                Some(Intent {
                    mail: Mail::Congratulation,
                    subject: *user.as_bytes(),
                    email: self.job.email(*row),
                    let_go: self.let_go,
                })
            })
            .collect();
        let recording = ledger.intend(intents);
        async move { Landing::Intents(batch, recording.await) }.boxed_local()
    }

    fn landed<'a>(
        &mut self,
        landing: Landing,
        portal: &'a Portal,
        ledger: &'a Recorder,
        flights: &mut Flights<'a>,
        reservation: &mut Reservation,
    ) {
        let stamp = self.clock.stamp();
        match landing {
            Landing::Link(kind, permit, left, result) => {
                self.settle_pace(permit, left, Class::Link, result.as_ref().err(), stamp);
                self.job.link_came(kind, result, stamp);
            }
            Landing::Page(start, permit, left, result) => {
                self.settle_pace(permit, left, Class::Page, result.as_ref().err(), stamp);
                self.job.page_came(start, result, stamp);
            }
            Landing::Account(row, permit, left, result) => {
                self.settle_pace(permit, left, Class::User, result.as_ref().err(), stamp);
                self.job.account_came(row, result, stamp);
            }
            Landing::Tenant(permit, left, result) => {
                self.settle_pace(permit, left, Class::User, result.as_ref().err(), stamp);
                self.job.tenant_came(&result, stamp);
            }
            Landing::Intents(batch, recorded) => self.intended(batch, recorded, stamp, portal, flights),
            Landing::Write(row, attempt, permit, left, result) => {
                self.settle_pace(permit, left, Class::Congratulation, result.as_ref().err(), stamp);
                let ending = self.job.write_came(row, &result, stamp);
                let http = result.as_ref().err().map_or(Some(200), Fault::status);
                ledger.conclude(attempt, ending, http);
            }
            Landing::Reserved(upto, Ok(())) => reservation.reserved = upto,
            Landing::Reserved(_, Err(error)) => self.job.halt(Halt::Storage(error.to_string())),
        }
        self.observer.settled(self.job, stamp);
    }

    /// Intents are on disk, or refused, or could not be written.
    fn intended<'a>(
        &mut self,
        batch: Vec<(u32, Permit)>,
        recorded: Result<Vec<Intended>, LedgerError>,
        stamp: Stamp,
        portal: &'a Portal,
        flights: &mut Flights<'a>,
    ) {
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(error) => {
                for (row, permit) in batch {
                    self.pace.settle(permit, pace::Ending::NeverLeft, stamp.now);
                    self.job.intent_lost(row, &error.to_string(), stamp);
                }
                return;
            }
        };
        for ((row, permit), intended) in batch.into_iter().zip(recorded) {
            match intended {
                Intended::Open(attempt) if self.job.halted().is_some() => {
                    self.pace.settle(permit, pace::Ending::NeverLeft, stamp.now);
                    let ending = self.job.not_left(row);
                    self.ledger.conclude(attempt, ending, None);
                }
                Intended::Open(attempt) => {
                    let user = self.job.user(row);
                    let key = user.ok_or_else(|| "the row has no user id".to_owned()).and_then(|user| {
                        self.keys.key(row, user, self.tenant.or(self.job.tenant()), stamp.wall).map(|key| (user, key))
                    });
                    let left = stamp.now;
                    flights.push(
                        async move {
                            let result = match key {
                                Ok((user, key)) => portal.congratulate(user, &key).await,
                                Err(why) => Err(Fault::NotSent { why, for_good: true }),
                            };
                            Landing::Write(row, attempt, permit, left, result)
                        }
                        .boxed_local(),
                    );
                }
                Intended::Held(standing) => {
                    self.pace.settle(permit, pace::Ending::NeverLeft, stamp.now);
                    self.job.intent_refused(row, standing, stamp);
                }
            }
        }
    }

    /// Tells the pacer how a request ended, and draws what follows for the run.
    fn settle_pace(&mut self, permit: Permit, left: Moment, class: Class, fault: Option<&Fault>, stamp: Stamp) {
        self.observer.request(class, left, fault, stamp);
        match self.pace.settle(permit, Fault::for_the_limits(fault), stamp.now) {
            Reaction::None => {}
            Reaction::DailyLimit { retry_after } => self.job.close(Closed::PortalsDaily(retry_after)),
            Reaction::TooBusy { come_back_after } => self.job.halt(Halt::TooBusy { come_back_after }),
        }
    }
}

impl Reservation {
    fn may_leave(&self) -> bool {
        self.left < self.reserved
    }

    /// The next block to reserve: early enough that nobody waits for it.
    fn next(&mut self) -> Option<u64> {
        if self.asked > self.reserved || self.left + RESERVED_AT_ONCE / 2 < self.reserved {
            return None;
        }
        self.asked = self.reserved + RESERVED_AT_ONCE;
        Some(self.asked)
    }
}
