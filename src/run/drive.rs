//! The loop that lets requests out and takes answers in: the only async code that knows job, pace, portal and ledger.
//! It decides nothing.
//!
//! What is outside of it, the wire, the record, the time, is each behind a few words, so that the very loop that ships is
//! driven by `tests/simulation.rs` through a million days in which anything goes wrong.

use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;

use super::observer::Observer;
use crate::{
    attempt::{Ending, LetGo, Mail},
    ledger::{AttemptId, Intended, Intent, LedgerError},
    pace::{Kind, Mails, Moment, Pace, Permit, Place, PlaceEnd, Reaction, RequestEnd, Wait},
    portal::{Fault, LinkAnswer, Page, Person},
    report::Class,
    signals::Signal,
    smtp,
    user::{EmployeeType, UserId},
    workflow::{Call, Closed, Halt, Job, Letter, Stamp},
};

/// What a mail server answers to a mail that it takes.
const MAIL_TAKEN: u16 = 250;
/// Requests that one reservation in the ledger stands for.
const RESERVED_AT_ONCE: u64 = 64;

/// The portal, as the loop asks it and sends to it. One call is one request.
pub trait Wire {
    /// The link of a type.
    fn link(&self, kind: EmployeeType) -> impl Future<Output = Result<LinkAnswer, Fault>>;
    /// The page of the listing that starts here.
    fn page(&self, start: u64) -> impl Future<Output = Result<Page, Fault>>;
    /// An account by id.
    fn account(&self, user: UserId) -> impl Future<Output = Result<Person, Fault>>;
    /// The account that has this row's address.
    fn person(&self, row: u32) -> impl Future<Output = Result<Person, Fault>>;
    /// The tenant number.
    fn tenant(&self) -> impl Future<Output = Result<i64, Fault>>;
    /// Makes the message of these rows, before it leaves: what may be read, signed or refused here costs no request.
    fn address(
        &self,
        letter: &Letter,
        users: &[Option<UserId>],
        tenant: Option<i64>,
        attempt: Option<AttemptId>,
        stamp: Stamp,
    ) -> Addressed;
    /// Sends it: the only call that cannot be taken back.
    fn send(&self, addressed: Addressed) -> impl Future<Output = Result<(), Fault>>;
    /// Delivers a mail, as irrevocably.
    fn deliver(&self, mail: Ready) -> impl Future<Output = Result<(), smtp::Fault>>;
}

/// A message that is ready to leave.
#[derive(Debug)]
pub enum Addressed {
    /// A congratulation, with its key.
    Congratulation {
        /// To whom.
        user: UserId,
        /// The key.
        key: String,
        /// Whether it is the row's own.
        own: bool,
    },
    /// An invitation: method and body of the call.
    Invitation {
        /// Whether to people who were invited before.
        again: bool,
        /// The JSON.
        body: String,
    },
    /// A mail of one's own.
    Mail(Ready),
    /// No mail can be made for this person.
    Unmade(String),
    /// It cannot be made, for this reason: nothing leaves.
    Impossible(String),
}

/// A mail of one's own that is ready to leave.
#[derive(Debug)]
pub struct Ready {
    /// Whom it is from, and for.
    pub envelope: smtp::Envelope,
    /// Headers and body.
    pub bytes: Vec<u8>,
}

/// Leave for one message, by its carrier.
enum Leave {
    Portal(Permit),
    Mail(Place),
}

/// The record, as the loop writes it.
pub trait Record {
    /// Records intents. When this returns, each is durable, or its subject is held by an earlier attempt.
    fn intend(&self, intents: Vec<Intent>) -> impl Future<Output = Result<Vec<Intended>, LedgerError>>;
    /// Records how an attempt ended, soon, and says the time that its record bears.
    fn conclude(&self, attempt: AttemptId, ending: Ending, http: Option<u16>) -> Timestamp;
    /// Records that up to so many requests of this run may leave.
    fn reserve(&self, upto: u64) -> impl Future<Output = Result<(), LedgerError>>;
}

/// The time, as the loop looks at it and waits for it.
pub trait Clock {
    /// Now.
    fn stamp(&self) -> Stamp;
    /// Waits until then; without a moment, until somebody should be shown where the run stands.
    fn until(&self, moment: Option<Moment>) -> impl Future<Output = ()>;
}

/// What a request in flight ends with.
enum Landing {
    Link(EmployeeType, Permit, Moment, Result<LinkAnswer, Fault>),
    Page(u64, Permit, Moment, Result<Page, Fault>),
    Person(u32, Permit, Moment, Result<Person, Fault>),
    Tenant(Permit, Moment, Result<i64, Fault>),
    Intents(Vec<(Letter, Leave)>, Result<Vec<Intended>, LedgerError>),
    Write(Vec<(u32, AttemptId)>, Permit, Moment, Result<(), Fault>),
    Mail(u32, AttemptId, Place, Moment, Result<(), smtp::Fault>),
    Reserved(u64, Result<(), LedgerError>),
}

type Flights<'a> = FuturesUnordered<LocalBoxFuture<'a, Landing>>;

/// Everything that the loop lets work together.
#[derive(Debug)]
pub struct Drive<'a, 'r, W, R, C> {
    /// What to ask and send.
    pub job: &'a mut Job<'r>,
    /// When it may leave.
    pub pace: &'a mut Pace,
    /// When mails may leave, where messages go by a mail server.
    pub mails: Option<&'a mut Mails>,
    /// The portal.
    pub wire: &'a W,
    /// The ledger.
    pub record: &'a R,
    /// The time.
    pub clock: &'a C,
    /// Who watches.
    pub observer: &'a mut Observer<'r>,
    /// Which mail is sent.
    pub mail: Mail,
    /// What a person asked to let go.
    pub let_go: LetGo,
    /// The tenant number, where it was given.
    pub tenant: Option<i64>,
}

/// Requests that left, and those that the ledger knows to leave soon.
#[derive(Debug, Default)]
struct Reservation {
    left: u64,
    reserved: u64,
    asked: u64,
}

impl<'a, W: Wire, R: Record, C: Clock> Drive<'a, '_, W, R, C> {
    /// Runs until everything is settled, the run is halted, or a second signal comes. Returns the signal that stopped it,
    /// if one did.
    pub async fn run(mut self, signals: &mut (impl Stream<Item = Signal> + Unpin)) -> Option<Signal> {
        let mut flights: Flights<'a> = FuturesUnordered::new();
        let mut reservation = Reservation::default();
        let mut stopped = None;
        loop {
            let stamp = self.clock.stamp();
            self.job.tick(stamp);
            let wait = self.let_out(stamp, &mut flights, &mut reservation);
            self.job.drop_ready(stamp);
            self.observer.watch(self.job, (self.pace, self.mails.as_deref()), wait.as_ref(), stamp);
            if self.job.is_finished() && flights.is_empty() {
                break;
            }
            // What is due already waits for the pacer: waking at once for it would be a busy loop.
            let due_later = self.job.wake().filter(|at| *at > stamp.now);
            let wake = [due_later, wait.and_then(|wait| wait.until)].into_iter().flatten().min();
            let clock = self.clock;
            tokio::select! {
                biased;
                Some(signal) = signals.next() => {
                    if signal.insists_after(stopped) {
                        // Whatever is in flight is left to itself, and recorded as what it is: unknown.
                        flights.clear();
                        break;
                    }
                    if stopped.is_none() {
                        self.job.halt(Halt::Stopped);
                        self.observer.stopping(self.job.in_flight());
                    }
                    stopped = stopped.filter(|earlier| *earlier != Signal::Hangup).or(Some(signal));
                }
                Some(landing) = flights.next() => {
                    self.landed(landing, &mut flights, &mut reservation);
                    while let Some(Some(landing)) = flights.next().now_or_never() {
                        self.landed(landing, &mut flights, &mut reservation);
                    }
                }
                () = clock.until(wake) => {}
            }
        }
        stopped
    }

    /// Lets out whatever may leave now; says what the next request waits for, if one does.
    fn let_out(&mut self, stamp: Stamp, flights: &mut Flights<'a>, reservation: &mut Reservation) -> Option<Wait> {
        let mut wait: Option<Wait> = None;
        let mut letters = Vec::new();
        // A mail is no request to the portal.
        while (self.mails.is_some() || reservation.may_leave()) && self.job.wants_write(stamp.now) {
            let leave = match &mut self.mails {
                Some(mails) => mails.admit(stamp.now).map(Leave::Mail),
                None => self.pace.admit(Kind::Write, stamp.now).map(Leave::Portal),
            };
            match leave {
                Ok(leave) => {
                    let Some(letter) = self.job.take_letter(stamp.now) else {
                        self.never_left(leave, stamp.now);
                        break;
                    };
                    reservation.left += u64::from(matches!(leave, Leave::Portal(_)));
                    letters.push((letter, leave));
                }
                Err(refused) => {
                    wait = Some(refused);
                    break;
                }
            }
        }
        if !letters.is_empty() {
            flights.push(self.intend(letters));
        }
        while reservation.may_leave()
            && let Some(call) = self.job.peek_read(stamp.now)
        {
            match self.pace.admit(Kind::Read, stamp.now) {
                Ok(permit) => {
                    self.job.take_read(call);
                    reservation.left += 1;
                    flights.push(self.ask(call, permit, stamp.now));
                }
                Err(refused) => {
                    wait = Wait::sooner(wait, refused);
                    break;
                }
            }
        }
        if let Some(upto) = reservation.next() {
            let reserving = self.record.reserve(upto);
            flights.push(async move { Landing::Reserved(upto, reserving.await) }.boxed_local());
        }
        wait
    }

    fn ask(&self, call: Call, permit: Permit, now: Moment) -> LocalBoxFuture<'a, Landing> {
        let wire = self.wire;
        match call {
            Call::Link(kind) => async move { Landing::Link(kind, permit, now, wire.link(kind).await) }.boxed_local(),
            Call::Page(start) => async move { Landing::Page(start, permit, now, wire.page(start).await) }.boxed_local(),
            Call::Tenant => async move { Landing::Tenant(permit, now, wire.tenant().await) }.boxed_local(),
            Call::Account(row) => {
                let user = self.job.user(row);
                async move {
                    let result = match user {
                        Some(user) => wire.account(user).await,
                        None => Err(Fault::Unreadable("the row has no user id")),
                    };
                    Landing::Person(row, permit, now, result)
                }
                .boxed_local()
            }
            Call::Person(row) => async move { Landing::Person(row, permit, now, wire.person(row).await) }.boxed_local(),
        }
    }

    /// What was given leave did not leave.
    fn never_left(&mut self, leave: Leave, now: Moment) {
        match (leave, &mut self.mails) {
            (Leave::Portal(permit), _) => {
                self.pace.settle(permit, RequestEnd::NeverLeft, now);
            }
            (Leave::Mail(place), Some(mails)) => mails.settle(place, PlaceEnd::NeverLeft, now),
            (Leave::Mail(_), None) => {}
        }
    }

    fn intend(&self, letters: Vec<(Letter, Leave)>) -> LocalBoxFuture<'a, Landing> {
        let rows = letters.iter().flat_map(|(letter, _)| &letter.rows);
        let intents = rows
            .filter_map(|row| {
                let email = self.job.email(*row);
                let subject = match self.mail {
                    Mail::Congratulation => *self.job.user(*row)?.as_bytes(),
                    Mail::Invitation => email?.0,
                };
                Some(Intent { mail: self.mail, subject, email, let_go: self.let_go, row: row.checked_add(1) })
            })
            .collect();
        let recording = self.record.intend(intents);
        async move { Landing::Intents(letters, recording.await) }.boxed_local()
    }

    fn landed(&mut self, landing: Landing, flights: &mut Flights<'a>, reservation: &mut Reservation) {
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
            Landing::Person(row, permit, left, result) => {
                self.settle_pace(permit, left, Class::User, result.as_ref().err(), stamp);
                self.job.account_came(row, result, stamp);
            }
            Landing::Tenant(permit, left, result) => {
                self.settle_pace(permit, left, Class::User, result.as_ref().err(), stamp);
                self.job.tenant_came(&result, stamp);
            }
            Landing::Intents(letters, Ok(recorded)) => {
                let mut recorded = recorded.into_iter();
                for (letter, leave) in letters {
                    let answers = recorded.by_ref().take(letter.rows.len()).collect();
                    self.intended(letter, leave, answers, stamp, flights);
                }
            }
            Landing::Intents(letters, Err(error)) => {
                for (letter, leave) in letters {
                    self.never_left(leave, stamp.now);
                    for row in letter.rows {
                        self.job.intent_lost(row, &error.to_string(), stamp);
                    }
                }
            }
            Landing::Write(rows, permit, left, result) => {
                let class = match self.mail {
                    Mail::Congratulation => Class::Congratulation,
                    Mail::Invitation => Class::Invitation,
                };
                self.settle_pace(permit, left, class, result.as_ref().err(), stamp);
                let http = result.as_ref().err().map_or(Some(200), Fault::status);
                for (row, attempt) in rows {
                    let ending = self.job.write_came(row, &result, stamp);
                    let at = self.record.conclude(attempt, ending, http);
                    self.job.recorded(row, at);
                }
            }
            Landing::Mail(row, attempt, place, left, result) => {
                self.mail_landed((row, attempt), place, left, &result, stamp);
            }
            Landing::Reserved(upto, Ok(())) => reservation.reserved = upto,
            Landing::Reserved(_, Err(error)) => self.job.halt(Halt::Storage(error.to_string())),
        }
        self.observer.settled(self.job, stamp);
    }

    /// The intents of a letter are on disk, or refused.
    fn intended(
        &mut self,
        mut letter: Letter,
        leave: Leave,
        answers: Vec<Intended>,
        stamp: Stamp,
        flights: &mut Flights<'a>,
    ) {
        let rows = std::mem::take(&mut letter.rows);
        let mut open = Vec::with_capacity(rows.len());
        for (row, intended) in rows.into_iter().zip(answers) {
            match intended {
                Intended::Open(attempt) if self.job.halted().is_some() => {
                    let ending = self.job.not_left(row);
                    let _at = self.record.conclude(attempt, ending, None);
                }
                Intended::Open(attempt) => open.push((row, attempt)),
                Intended::Held(held) => self.job.intent_refused(row, held, stamp),
            }
        }
        if open.is_empty() {
            self.never_left(leave, stamp.now);
            return;
        }
        letter.rows.extend(open.iter().map(|(row, _)| *row));
        let users: Vec<_> = letter.rows.iter().map(|row| self.job.user(*row)).collect();
        let addressed = self.wire.address(
            &letter,
            &users,
            self.tenant.or(self.job.tenant()),
            open.first().map(|(_, attempt)| *attempt),
            stamp,
        );
        if matches!(addressed, Addressed::Congratulation { own: true, .. }) {
            for (row, _) in &open {
                self.job.sends_own_key(*row);
            }
        }
        let (wire, left) = (self.wire, stamp.now);
        let (permit, addressed) = match (leave, addressed, open.as_slice()) {
            (Leave::Mail(place), Addressed::Mail(mail), [(row, attempt)]) => {
                let (row, attempt) = (*row, *attempt);
                let flight = async move { Landing::Mail(row, attempt, place, left, wire.deliver(mail).await) };
                return flights.push(flight.boxed_local());
            }
            (leave @ Leave::Mail(_), addressed, _) => {
                let why = match addressed {
                    Addressed::Unmade(why) | Addressed::Impossible(why) => why,
                    _ => "it is no mail".to_owned(),
                };
                for (row, attempt) in open {
                    let ending = self.job.unmade(row, &why, stamp);
                    let at = self.record.conclude(attempt, ending, None);
                    self.job.recorded(row, at);
                }
                return self.never_left(leave, stamp.now);
            }
            (Leave::Portal(permit), addressed, _) => (permit, addressed),
        };
        flights.push(
            async move {
                let result = match addressed {
                    Addressed::Impossible(why) => Err(Fault::NotSent { why, for_good: true }),
                    addressed => wire.send(addressed).await,
                };
                Landing::Write(open, permit, left, result)
            }
            .boxed_local(),
        );
    }

    /// A mail ended. The portal's limits have nothing to do with it.
    fn mail_landed(
        &mut self,
        (row, attempt): (u32, AttemptId),
        place: Place,
        left: Moment,
        result: &Result<(), smtp::Fault>,
        stamp: Stamp,
    ) {
        let fault = result.as_ref().err();
        self.observer.mail(left, fault, stamp);
        let end = match smtp::Fault::for_the_limits(fault, 1) {
            RequestEnd::NeverLeft => PlaceEnd::NeverLeft,
            RequestEnd::GivenUp => PlaceEnd::GivenUp,
            RequestEnd::Answered | RequestEnd::Refused(_) => PlaceEnd::Counted,
        };
        if let Some(mails) = &mut self.mails {
            mails.settle(place, end, stamp.now);
        }
        let ending = self.job.mail_came(row, result, stamp);
        let code = fault.map_or(Some(MAIL_TAKEN), smtp::Fault::code);
        let at = self.record.conclude(attempt, ending, code);
        self.job.recorded(row, at);
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

/// How often the run's standing is shown.
pub(super) const FRAME: Duration = Duration::from_millis(100);
