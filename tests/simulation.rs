//! The whole run, simulated: the very loop that ships (`run::drive`), with workflow and pace, against a modelled portal,
//! network and ledger, on a clock that jumps from event to event. Seeded: `SEED=17 cargo test --test simulation` replays one,
//! `SEEDS=1000000 cargo test --release --test simulation` runs many.
//!
//! In a simulated day anything goes wrong: answers are lost before and after their effect, requests arrive after their
//! sender gave up or died, limiters refuse, the portal is gone for a while, somebody else uses the window; the process is
//! killed, and the clock set, between any two events. In some worlds a mail server carries the messages, in others now the
//! one and now the other. Whatever happens, the invariants at the end of `live` hold.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unchecked_time_subtraction,
    reason = "a test that cannot go on says so by failing"
)]

mod people;

use std::{
    cell::RefCell,
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::channel::oneshot;
use jiff::Timestamp;
use onboard::{
    attempt::{Ending, Held, LetGo, Mail},
    audience::{Audience, Standing},
    ledger::{AttemptId, Intended, Intent, LedgerError},
    letter,
    outcome::Outcome,
    pace::{Limiter, Limits, Mails, Moment, Pace, Rate, RecentUse, Refusal},
    plan::Plan,
    portal::{Effect, ErrorBody, Fault, LinkAnswer, Loss, Page, Person},
    roster::{Row, RowState},
    run::{
        Observer,
        drive::{Addressed, Clock, Drive, Ready, Record, Wire},
    },
    signals::Signal,
    smtp::{self, Break, Reply, Step},
    user::{EmployeeType, UserId},
    workflow::{Closed, Job, Letter, Policy, Stamp},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

const ROWS: usize = 60;
const TIMEOUT: Duration = Duration::from_secs(5);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// How bad the day is.
#[derive(Debug, Clone)]
struct Weather {
    /// In a thousand requests.
    faults: u32,
    latency_ms: u64,
    /// A request of somebody else every so often.
    competitor: Option<Duration>,
    /// The portal is gone from and to.
    gone: Option<(Duration, Duration)>,
    /// In a thousand events.
    kills: u32,
}

/// What the ledger holds of a user: the durable truth of this world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Intent,
    Sent,
    Unknown,
}

/// What happens next to something that is under way.
enum Event {
    Competitor,
    /// A request reaches the portal; nobody may be waiting for it any more.
    Arrival {
        request: u64,
        about: About,
    },
    /// An answer, or the certainty that there is none, reaches whoever waits.
    Landing {
        request: u64,
    },
    /// Intents are on disk.
    Recorded {
        life: u32,
        intents: Vec<Intent>,
        done: oneshot::Sender<Vec<Intended>>,
    },
    /// A reservation is on disk.
    Reserved {
        life: u32,
        upto: u64,
        done: oneshot::Sender<()>,
    },
    /// The end of a mail reaches the mail server, or never does.
    MailArrival {
        mail: u64,
        user: UserId,
        fate: Fate,
    },
    /// What became of a mail reaches whoever waits.
    MailLanding {
        mail: u64,
    },
    /// Endings are on disk, or not: the process may die before.
    Concluded {
        life: u32,
        attempt: i64,
        entry: Option<Entry>,
    },
}

#[derive(Debug, Clone, Copy)]
enum About {
    Link,
    Page(u64),
    Account(UserId),
    Write(UserId),
}

/// What becomes of a mail that leaves.
#[derive(Debug, Clone)]
struct Fate {
    /// Whether the server keeps it.
    kept: bool,
    answer: Result<(), smtp::Fault>,
}

/// A mail of a process, which waits for its answer.
struct Delivery {
    answer: oneshot::Sender<Result<(), smtp::Fault>>,
    user: UserId,
    result: Option<Result<(), smtp::Fault>>,
}

/// What a portal answers.
#[derive(Debug, Clone)]
enum Answer {
    Link(LinkAnswer),
    Page(Page),
    Account(Person),
    Accepted,
}

/// A request of a process, which waits for its answer.
struct Flight {
    answer: oneshot::Sender<Result<Answer, Fault>>,
    result: Option<Result<Answer, Fault>>,
}

struct World {
    seed: u64,
    random: StdRng,
    weather: Weather,
    now: Duration,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    events: HashMap<u64, Event>,
    next: u64,
    users: Vec<(UserId, bool)>,
    window: Duration,
    limit: usize,
    log: VecDeque<Duration>,
    messages: BTreeMap<UserId, u32>,
    own_refusals: u32,
    ledger: HashMap<UserId, Entry>,
    attempts: HashMap<i64, UserId>,
    flights: HashMap<u64, Flight>,
    deliveries: HashMap<u64, Delivery>,
    /// Whether a mail server carries the messages of this life.
    by_mail: bool,
    /// The mail server's limit, and when mails left that it may have taken.
    mail_rate: Rate,
    mails_left: VecDeque<Duration>,
    /// Whose mail's end had left, without an answer that anybody could read.
    in_doubt: BTreeSet<UserId>,
    life: u32,
    /// When this life began.
    born: Duration,
    /// Requests of this life that left, and those of which the ledger knows.
    left: u64,
    reserved: u64,
    /// When the loop wants to be woken.
    wake: Option<Duration>,
    left_lately: VecDeque<Duration>,
    /// The clock on the wall, which somebody sets between any two events, by years.
    wall: Timestamp,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let calm = seed.is_multiple_of(5);
        let weather = Weather {
            faults: if calm { 0 } else { random.random_range(0..200) },
            latency_ms: random.random_range(1..800),
            competitor: (!calm && random.random_range(0..3) == 0).then(|| ms(random.random_range(50..800))),
            gone: (!calm && random.random_range(0..3) == 0).then(|| {
                let from = random.random_range(0..30_000);
                (ms(from), ms(from + random.random_range(0..60_000)))
            }),
            kills: if calm { 0 } else { random.random_range(0..8) },
        };
        let users = (0..ROWS)
            .map(|number| {
                (UserId::from_bytes([u8::try_from(number + 1).expect("few"); 16]), random.random_range(0..10) > 0)
            })
            .collect();
        Self {
            seed,
            weather,
            now: Duration::ZERO,
            queue: BinaryHeap::new(),
            events: HashMap::new(),
            next: 0,
            users,
            window: ms(random.random_range(500..10_000)),
            limit: random.random_range(5..60),
            log: VecDeque::new(),
            messages: BTreeMap::new(),
            own_refusals: 0,
            ledger: HashMap::new(),
            attempts: HashMap::new(),
            flights: HashMap::new(),
            deliveries: HashMap::new(),
            by_mail: false,
            mail_rate: Rate { requests: random.random_range(1..40), window: ms(random.random_range(500..60_000)) },
            mails_left: VecDeque::new(),
            in_doubt: BTreeSet::new(),
            life: 0,
            born: Duration::ZERO,
            left: 0,
            reserved: 0,
            wake: None,
            left_lately: VecDeque::new(),
            wall: Timestamp::from_second(1_800_000_000).expect("a time"),
            random,
        }
    }

    fn at(&mut self, when: Duration, event: Event) {
        self.next += 1;
        self.queue.push(Reverse((when, self.next)));
        self.events.insert(self.next, event);
    }

    fn delay(&mut self) -> Duration {
        ms(self.random.random_range(0..=self.weather.latency_ms))
    }

    /// When what is handed to the ledger now is on disk: soon, but where the disk is slow.
    fn synced(&mut self) -> Duration {
        let slowest = if self.chance(self.weather.faults) { 2_000 } else { 5 };
        self.now + ms(self.random.random_range(0..slowest))
    }

    fn chance(&mut self, in_a_thousand: u32) -> bool {
        self.random.random_range(0..1000) < in_a_thousand
    }

    /// One place in the portal's window, if there is one.
    fn admitted(&mut self) -> bool {
        while self.log.front().is_some_and(|at| *at + self.window <= self.now) {
            self.log.pop_front();
        }
        let admitted = self.log.len() < self.limit;
        if admitted {
            self.log.push_back(self.now);
        }
        admitted
    }

    fn refused() -> Fault {
        Fault::Refused(Refusal { limiter: Limiter::Window, limit: None, retry_after: None })
    }

    fn misfortune(&mut self) -> Fault {
        match self.random.random_range(0..5) {
            0 => Fault::Lost(Loss::Broke),
            1 => Fault::Answered { status: 500, body: ErrorBody::Other },
            2 => Fault::Answered { status: 502, body: ErrorBody::Other },
            3 => Fault::Unreadable("it breaks off"),
            _ => Fault::Refused(Refusal {
                limiter: Limiter::Unsaid,
                limit: None,
                retry_after: Some(Duration::from_secs(1)),
            }),
        }
    }

    fn account(&self, user: UserId) -> Person {
        let active = self.users.iter().any(|(other, active)| *other == user && *active);
        people::account(user, active)
    }

    /// A request arrives: what it does, and what is answered.
    fn arrive(&mut self, about: About) -> Result<Answer, Fault> {
        if !self.admitted() {
            return Err(Self::refused());
        }
        let fault = self.chance(self.weather.faults).then(|| self.misfortune());
        if let About::Write(user) = about {
            // A refusal has no effect; whatever else goes wrong may go wrong before or after it.
            let refused = matches!(fault, Some(Fault::Refused(_)));
            if fault.is_none() || (!refused && self.random.random_range(0..2) == 0) {
                assert!(self.ledger.contains_key(&user), "seed {}: a message without a durable intent", self.seed);
                *self.messages.entry(user).or_default() += 1;
            }
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        Ok(match about {
            About::Write(_) => Answer::Accepted,
            About::Link => Answer::Link(LinkAnswer::NotPermitted),
            About::Page(start) => {
                let start = usize::try_from(start).expect("small");
                let people: Vec<_> =
                    self.users.iter().skip(start).take(100).map(|(user, _)| self.account(*user)).collect();
                Answer::Page(Page { total: ROWS as u64, entries: people.len(), people })
            }
            About::Account(user) => Answer::Account(self.account(user)),
        })
    }

    fn stamp(&self) -> Stamp {
        Stamp { now: Moment::START + (self.now - self.born), wall: self.wall + self.now }
    }

    /// A request leaves: its arrival and its landing are fixed, but for what the portal makes of it.
    fn leave(&mut self, about: About) -> oneshot::Receiver<Result<Answer, Fault>> {
        self.left += 1;
        assert!(self.left <= self.reserved, "seed {}: a request of which the ledger knows nothing", self.seed);
        self.next += 1;
        let request = self.next;
        let (answer, answered) = oneshot::channel();
        if self.weather.gone.is_some_and(|(from, to)| (from..to).contains(&self.now)) {
            let result = Some(Err(Fault::NotSent { why: "Connection refused".to_owned(), for_good: false }));
            self.flights.insert(request, Flight { answer, result });
            self.at(self.now + ms(1), Event::Landing { request });
            return answered;
        }
        if let About::Write(user) = about {
            assert_eq!(
                self.ledger.get(&user),
                Some(&Entry::Intent),
                "seed {}: it leaves without its intent",
                self.seed
            );
        }
        self.left_lately.push_back(self.now);
        while self.left_lately.front().is_some_and(|left| *left + self.window + TIMEOUT * 2 < self.now) {
            self.left_lately.pop_front();
        }
        self.flights.insert(request, Flight { answer, result: None });
        // One in fifty takes longer than anybody waits, and arrives all the same.
        let slow = if self.chance(20.min(self.weather.faults)) { TIMEOUT } else { Duration::ZERO };
        let arrives = self.now + self.delay() + slow;
        self.at(arrives, Event::Arrival { request, about });
        self.at(self.now + TIMEOUT, Event::Landing { request });
        answered
    }

    /// What becomes of a mail that is handed to a mail server that listens.
    fn fate(&mut self) -> Fate {
        if !self.chance(self.weather.faults) {
            return Fate { kept: true, answer: Ok(()) };
        }
        let said = |step, code| smtp::Fault::of_reply(step, &Reply { code, lines: vec![String::new()] });
        let (kept, fault) = match self.random.random_range(0..12) {
            0 => (false, smtp::Fault::of_break(Step::Text, &Break::Closed)),
            1 => (false, smtp::Fault::of_break(Step::Recipient, &Break::TimedOut)),
            2 => (false, said(Step::Greeting, 421)),
            3 => (false, said(Step::Recipient, 450)),
            4 => (false, said(Step::Recipient, 550)),
            5 => (false, said(Step::Dot, 554)),
            6 => (false, said(Step::Dot, 451)),
            7 => (false, said(Step::Sender, 550)),
            8 => (false, smtp::Fault::of_break(Step::Dot, &Break::Closed)),
            9 => (true, smtp::Fault::of_break(Step::Dot, &Break::Closed)),
            10 => (true, said(Step::Dot, 199)),
            _ => (false, said(Step::Dot, 199)),
        };
        Fate { kept, answer: Err(fault) }
    }

    /// A mail leaves.
    fn deliver(&mut self, user: UserId) -> oneshot::Receiver<Result<(), smtp::Fault>> {
        let seed = self.seed;
        assert_eq!(self.ledger.get(&user), Some(&Entry::Intent), "seed {seed}: it leaves without its intent");
        self.next += 1;
        let mail = self.next;
        let (answer, answered) = oneshot::channel();
        let is_gone = self.weather.gone.is_some_and(|(from, to)| (from..to).contains(&self.now));
        let fate = if is_gone {
            let why = "Connection refused".to_owned();
            Fate { kept: false, answer: Err(smtp::Fault::NotSent { why, for_good: false }) }
        } else {
            self.fate()
        };
        if !matches!(fate.answer, Err(smtp::Fault::NotSent { .. })) {
            let window = self.mail_rate.window;
            while self.mails_left.front().is_some_and(|left| *left + window.max(TIMEOUT * 2) < self.now) {
                self.mails_left.pop_front();
            }
            self.mails_left.push_back(self.now);
            let lately = self.mails_left.iter().filter(|left| **left + window > self.now).count();
            assert!(lately <= self.mail_rate.requests as usize, "seed {seed}: {lately} mails in one window");
        }
        self.deliveries.insert(mail, Delivery { answer, user, result: None });
        // One in fifty takes longer than anybody waits, and arrives all the same.
        let slow = if self.chance(20.min(self.weather.faults)) { TIMEOUT } else { Duration::ZERO };
        let arrives = self.now + self.delay() + slow;
        self.at(arrives, Event::MailArrival { mail, user, fate });
        self.at(self.now + TIMEOUT, Event::MailLanding { mail });
        answered
    }

    fn happen(&mut self, event: Event, at: Duration) {
        self.now = self.now.max(at);
        match event {
            Event::Competitor => {
                let _place = self.admitted();
                if let Some(every) = self.weather.competitor {
                    self.at(self.now + every, Event::Competitor);
                }
            }
            Event::Arrival { request, about } => {
                let result = self.arrive(about);
                let back = self.now + self.delay();
                // Whoever died or gave up waits no more; what it did was done all the same.
                if let Some(flight) = self.flights.get_mut(&request) {
                    flight.result = Some(result);
                    self.at(back, Event::Landing { request });
                }
            }
            Event::Landing { request } => {
                let Some(flight) = self.flights.remove(&request) else { return };
                let result = flight.result.unwrap_or(Err(Fault::Lost(Loss::TimedOut)));
                if let Err(Fault::Refused(refusal)) = &result {
                    self.own_refusals += u32::from(refusal.limiter == Limiter::Window && !flight.answer.is_canceled());
                }
                drop(flight.answer.send(result));
            }
            Event::MailArrival { mail, user, fate } => {
                if fate.kept {
                    assert!(self.ledger.contains_key(&user), "seed {}: a mail without a durable intent", self.seed);
                    *self.messages.entry(user).or_default() += 1;
                }
                let back = self.now + self.delay();
                if let Some(delivery) = self.deliveries.get_mut(&mail) {
                    delivery.result = Some(fate.answer);
                    self.at(back, Event::MailLanding { mail });
                }
            }
            Event::MailLanding { mail } => {
                let Some(delivery) = self.deliveries.remove(&mail) else { return };
                let late = || Err(smtp::Fault::of_break(Step::Dot, &Break::TimedOut));
                let result = delivery.result.unwrap_or_else(late);
                if result.as_ref().is_err_and(|fault| fault.effect() == Effect::Unknown) {
                    self.in_doubt.insert(delivery.user);
                }
                drop(delivery.answer.send(result));
            }
            Event::Recorded { life, intents, done } if life == self.life => {
                let intended = intents.iter().map(|intent| self.record(intent)).collect();
                drop(done.send(intended));
            }
            Event::Reserved { life, upto, done } if life == self.life => {
                self.reserved = upto;
                let _whoever_asked_may_be_gone = done.send(());
            }
            Event::Concluded { life, attempt, entry } if life == self.life => self.conclude(attempt, entry),
            Event::Recorded { .. } | Event::Reserved { .. } | Event::Concluded { .. } => {}
        }
    }

    /// Killed: what waited for the disk may be there or not; what is under way stays under way.
    fn die(&mut self) {
        let mut waiting: Vec<u64> = self.events.keys().copied().collect();
        waiting.sort_unstable();
        for id in waiting {
            let there = self.random.random_range(0..2) == 0;
            match self.events.get(&id) {
                Some(Event::Recorded { life, intents, .. }) if *life == self.life && there => {
                    for user in intents.iter().map(|intent| UserId::from_bytes(intent.subject)).collect::<Vec<_>>() {
                        self.ledger.entry(user).or_insert(Entry::Intent);
                    }
                }
                Some(Event::Concluded { life, attempt, entry }) if *life == self.life && there => {
                    let (attempt, entry) = (*attempt, *entry);
                    self.conclude(attempt, entry);
                }
                _ => {}
            }
        }
    }

    fn record(&mut self, intent: &Intent) -> Intended {
        let user = UserId::from_bytes(intent.subject);
        if let Some(entry) = self.ledger.get(&user) {
            return Intended::Held(held(*entry));
        }
        self.ledger.insert(user, Entry::Intent);
        self.next += 1;
        let attempt = i64::try_from(self.next).expect("small");
        self.attempts.insert(attempt, user);
        Intended::Open(AttemptId::new(attempt))
    }

    fn conclude(&mut self, attempt: i64, entry: Option<Entry>) {
        let user = self.attempts.remove(&attempt).expect("an attempt");
        match entry {
            Some(entry) => self.ledger.insert(user, entry),
            None => self.ledger.remove(&user),
        };
    }

    /// What must hold whenever a run has come to its end.
    fn judge(&self, job: &Job<'_>, rows: &[Row], last: bool) {
        let seed = self.seed;
        for (number, (row, (user, active))) in rows.iter().zip(&self.users).enumerate() {
            let end = job.end(number).unwrap_or_else(|| panic!("seed {seed}: row {number} has no outcome"));
            let had = self.messages.get(user).copied().unwrap_or(0);
            if row.state != RowState::Valid {
                continue;
            }
            assert!(had == 0 || *active, "seed {seed}: somebody who is not active got a message");
            // Where mails alone were sent it is exactly known of which nobody knows.
            let in_doubt = self.in_doubt.contains(user);
            assert!(
                carriers(seed) != Carriers::MailServer || in_doubt == (end.outcome == Outcome::Unknown),
                "seed {seed}: in doubt {in_doubt}, told as {} ({})",
                end.outcome,
                end.detail
            );
            match end.outcome {
                Outcome::Sent | Outcome::AlreadySent => assert_eq!(had, 1, "seed {seed}: told as sent"),
                Outcome::Unknown => assert!(had <= 1, "seed {seed}: two messages"),
                other => assert_eq!(had, 0, "seed {seed}: told as {other}"),
            }
            let stopped = job.halted().is_some() || job.closed().is_some();
            assert!(stopped || end.outcome != Outcome::NotAttempted, "seed {seed}: row {number} was forgotten");
            if last {
                let settled =
                    matches!(end.outcome, Outcome::Sent | Outcome::AlreadySent | Outcome::Unknown | Outcome::NotActive);
                assert!(settled, "seed {seed}: row {number} ended as {} ({})", end.outcome, end.detail);
            }
        }
    }
}

fn held(entry: Entry) -> Held {
    let (at, run) = (Timestamp::UNIX_EPOCH, "r".into());
    match entry {
        Entry::Sent => Held::Sent { at, run },
        Entry::Unknown | Entry::Intent => Held::Unknown { at, run, why: "w".into() },
    }
}

/// The outside of the loop: portal, ledger and clock of this world.
struct Outside<'w> {
    world: &'w RefCell<World>,
    rows: &'w [Row],
}

impl Outside<'_> {
    async fn ask(&self, about: About) -> Result<Answer, Fault> {
        let answered = self.world.borrow_mut().leave(about);
        answered.await.unwrap_or(Err(Fault::Lost(Loss::Broke)))
    }
}

impl Wire for Outside<'_> {
    async fn link(&self, _: EmployeeType) -> Result<LinkAnswer, Fault> {
        let Answer::Link(answer) = self.ask(About::Link).await? else { panic!("another answer") };
        Ok(answer)
    }

    async fn page(&self, start: u64) -> Result<Page, Fault> {
        let Answer::Page(page) = self.ask(About::Page(start)).await? else { panic!("another answer") };
        Ok(page)
    }

    async fn account(&self, user: UserId) -> Result<Person, Fault> {
        let Answer::Account(account) = self.ask(About::Account(user)).await? else { panic!("another answer") };
        Ok(account)
    }

    async fn person(&self, row: u32) -> Result<Person, Fault> {
        self.account(self.rows[row as usize].user.expect("a user")).await
    }

    async fn tenant(&self) -> Result<i64, Fault> {
        unreachable!("nothing is signed here")
    }

    fn address(
        &self,
        letter: &Letter,
        users: &[Option<UserId>],
        _: Option<i64>,
        _: Option<AttemptId>,
        _: Stamp,
    ) -> Addressed {
        assert_eq!((letter.rows.len(), users.len()), (1, 1));
        if self.world.borrow().by_mail {
            let address = |text: &str| text.parse().expect("an address");
            let envelope = smtp::Envelope { from: address("it@a.example"), to: address("ann@a.example") };
            return Addressed::Mail(Ready { envelope, bytes: users[0].expect("a user").as_bytes().to_vec() });
        }
        Addressed::Congratulation { user: users[0].expect("a user"), key: String::new(), own: false }
    }

    async fn send(&self, addressed: Addressed) -> Result<(), Fault> {
        let Addressed::Congratulation { user, .. } = addressed else { panic!("another mail") };
        self.ask(About::Write(user)).await.map(drop)
    }

    async fn deliver(&self, mail: Ready) -> Result<(), smtp::Fault> {
        let user = UserId::from_bytes(mail.bytes.try_into().expect("a user's id"));
        let answered = self.world.borrow_mut().deliver(user);
        answered.await.unwrap_or_else(|_dead| Err(smtp::Fault::of_break(Step::Dot, &Break::Closed)))
    }
}

impl Record for Outside<'_> {
    async fn intend(&self, intents: Vec<Intent>) -> Result<Vec<Intended>, LedgerError> {
        let (done, recorded) = oneshot::channel();
        {
            let mut world = self.world.borrow_mut();
            let (life, synced) = (world.life, world.synced());
            world.at(synced, Event::Recorded { life, intents, done });
        }
        recorded.await.map_err(|_dead| LedgerError::Stopped("dead".into()))
    }

    fn conclude(&self, attempt: AttemptId, ending: Ending, _: Option<u16>) -> Timestamp {
        let entry = match ending {
            Ending::Sent => Some(Entry::Sent),
            Ending::Unknown { .. } => Some(Entry::Unknown),
            Ending::NoEffect { .. } => None,
        };
        let mut world = self.world.borrow_mut();
        let life = world.life;
        // In the order in which they were said, before any intent that follows.
        let now = world.now;
        world.at(now, Event::Concluded { life, attempt: attempt.number(), entry });
        world.stamp().wall
    }

    async fn reserve(&self, upto: u64) -> Result<(), LedgerError> {
        let (done, recorded) = oneshot::channel();
        {
            let mut world = self.world.borrow_mut();
            let (life, synced) = (world.life, world.synced());
            world.at(synced, Event::Reserved { life, upto, done });
        }
        recorded.await.map_err(|_dead| LedgerError::Stopped("dead".into()))
    }
}

impl Clock for Outside<'_> {
    fn stamp(&self) -> Stamp {
        self.world.borrow().stamp()
    }

    async fn until(&self, moment: Option<Moment>) {
        let at = moment.map(|moment| self.world.borrow().born + moment.since_start());
        std::future::poll_fn(|_| {
            let mut world = self.world.borrow_mut();
            world.wake = at;
            if at.is_some_and(|at| world.now >= at) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// What carries the messages of a world.
#[derive(Debug, PartialEq, Eq)]
enum Carriers {
    Portal,
    MailServer,
    /// In each life another.
    Both,
}

fn carriers(seed: u64) -> Carriers {
    match seed % 4 {
        0 | 1 => Carriers::Portal,
        2 => Carriers::MailServer,
        _ => Carriers::Both,
    }
}

/// Nobody watches.
struct Nobody;

impl Audience for Nobody {
    fn say(&mut self, _: &str) {}
    fn show(&mut self, _: &Standing, _: Duration) {}
    fn finish(&mut self) {}
}

/// One life of the process: from its start to its end, or to a kill. `true` where it ended.
fn live(world: &RefCell<World>, rows: &[Row], last: bool) -> bool {
    let outside = Outside { world, rows };
    let (plan, policy, limits, recent, mut mails, seed, stamp) = {
        let mut world = world.borrow_mut();
        world.life += 1;
        (world.born, world.left, world.reserved, world.wake) = (world.now, 0, 0, None);
        // Whoever waited died; what is under way stays under way.
        world.flights.clear();
        world.deliveries.clear();
        world.by_mail = match carriers(world.seed) {
            Carriers::Portal => false,
            Carriers::MailServer => true,
            Carriers::Both => world.random.random_range(0..2) == 0,
        };
        // Recovery: an intent without outcome may have been sent.
        let open: Vec<UserId> =
            world.ledger.iter().filter(|(_, entry)| **entry == Entry::Intent).map(|(user, _)| *user).collect();
        world.in_doubt.extend(open);
        world.ledger.values_mut().filter(|entry| **entry == Entry::Intent).for_each(|entry| *entry = Entry::Unknown);
        world.attempts.clear();
        let plan = Plan::decide(
            Mail::Congratulation,
            rows,
            |_| false,
            |_, _| false,
            |subjects, found| {
                for (place, subject) in subjects.enumerate() {
                    if let Some(entry) = world.ledger.get(&UserId::from_bytes(subject)) {
                        found(place, held(*entry));
                    }
                }
                Ok::<_, std::convert::Infallible>(())
            },
        )
        .expect("infallible");
        let policy = Policy {
            mail: Mail::Congratulation,
            dry_run: false,
            again: false,
            max_unknown: 5,
            retries: 5,
            outage: Duration::from_secs(120),
            limit: None,
            daily_left: 10_000,
            wait: None,
            ends_at: None,
            refresh: world.seed.is_multiple_of(7),
            by_mail: world.by_mail.then_some(letter::Needs {
                culture: world.seed.is_multiple_of(6),
                invite_link: world.seed.is_multiple_of(10),
                portal_name: false,
            }),
            needs_tenant: false,
            seed: world.seed + u64::from(world.life),
        };
        // What was on its way when its sender died may still arrive: its age counts from the longest way.
        let recent: Vec<RecentUse> = world
            .left_lately
            .iter()
            .map(|left| RecentUse { age: (world.now - *left).saturating_sub(TIMEOUT + ms(1600)), count: 1 })
            .collect();
        let used: Vec<RecentUse> = world
            .mails_left
            .iter()
            .map(|left| RecentUse { age: (world.now - *left).saturating_sub(TIMEOUT + ms(1600)), count: 1 })
            .collect();
        let mails = world.by_mail.then(|| Mails::new(&[world.mail_rate], &used, 4));
        let limits = Limits {
            rate: Rate { requests: u32::try_from(world.limit).expect("small"), window: world.window },
            max_reads: 50,
            max_writes: 15,
            hold_off: ms(12),
            spike: None,
        };
        (plan, policy, limits, recent, mails, world.seed, world.stamp())
    };
    let mut job = Job::new(rows, plan, policy, stamp);
    let mut pace = Pace::new(limits, &recent, seed);
    let mut nobody = Nobody;
    let mut observer = Observer::new(&mut nobody, Mail::Congratulation, limits.rate, None);
    let mut signals = futures::stream::pending::<Signal>();
    let drive = Drive {
        job: &mut job,
        pace: &mut pace,
        mails: mails.as_mut(),
        wire: &outside,
        record: &outside,
        clock: &outside,
        observer: &mut observer,
        mail: Mail::Congratulation,
        let_go: LetGo::default(),
        tenant: None,
    };
    if !turn(world, pin!(drive.run(&mut signals)), last) {
        return false;
    }
    job.conclude(outside.stamp());
    // What the last group holds is written before the file is closed.
    settle(world);
    world.borrow().judge(&job, rows, last);
    job.halted().is_none() && !matches!(job.closed(), Some(Closed::PortalsDaily(_) | Closed::MailServer(_)))
}

/// Turns the world until the loop has come to its end; `false` where it was killed.
fn turn(world: &RefCell<World>, mut run: std::pin::Pin<&mut impl Future<Output = Option<Signal>>>, last: bool) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    for steps in 0.. {
        let seed = world.borrow().seed;
        assert!(steps < 2_000_000, "seed {seed}: the run does not end");
        if run.as_mut().poll(&mut context).is_ready() {
            return true;
        }
        let mut world = world.borrow_mut();
        let event = world.queue.peek().map(|Reverse((at, _))| *at);
        world.now = match (world.wake, event) {
            (Some(wake), Some(event)) => wake.min(event).max(world.now),
            (Some(one), None) | (None, Some(one)) => one.max(world.now),
            (None, None) => panic!("seed {seed}: the run waits for nothing"),
        };
        let kills = world.weather.kills;
        if world.chance(kills) {
            world.wall = Timestamp::from_second(world.random.random_range(1..4_000_000_000)).expect("a time");
        }
        if !last && world.chance(kills) {
            world.die();
            return false;
        }
        let now = world.now;
        while let Some(Reverse((at, id))) = world.queue.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            world.queue.pop();
            let event = world.events.remove(&id).expect("an event");
            world.happen(event, at);
        }
    }
    unreachable!("the loop ends in itself")
}

/// Has everything written that was said.
fn settle(world: &RefCell<World>) {
    let mut world = world.borrow_mut();
    let concluded: Vec<_> = world
        .events
        .iter()
        .filter_map(|(id, event)| match event {
            Event::Concluded { life, attempt, entry } if *life == world.life => Some((*id, *attempt, *entry)),
            _ => None,
        })
        .collect();
    for (id, attempt, entry) in concluded {
        world.conclude(attempt, entry);
        world.events.insert(id, Event::Competitor);
    }
}

fn simulate(seed: u64) {
    let world = RefCell::new(World::new(seed));
    let rows: Vec<Row> = world.borrow().users.iter().map(|(user, _)| people::row(*user)).collect();
    {
        let mut world = world.borrow_mut();
        if world.weather.competitor.is_some() {
            world.at(ms(1), Event::Competitor);
        }
    }
    for _ in 0..20 {
        if live(&world, &rows, false) {
            break;
        }
        // Whoever runs it again does so a moment later.
        let mut world = world.borrow_mut();
        let pause = ms(world.random.random_range(0..2000));
        world.now += pause;
    }
    {
        let mut world = world.borrow_mut();
        let calm = world.weather.faults == 0 && world.weather.competitor.is_none();
        let refusals = world.own_refusals;
        assert!(!calm || refusals == 0, "seed {seed}: {refusals} refusals alone on the account");
        // A calm day: the job is done, and what is under way from dead lives arrives.
        world.weather = Weather { faults: 0, latency_ms: 50, competitor: None, gone: None, kills: 0 };
        world.now += Duration::from_secs(1800);
    }
    assert!(live(&world, &rows, true), "seed {seed}: the last run did not come to its end");
    assert!(world.borrow().messages.values().all(|count| *count <= 1), "seed {seed}: somebody got two messages");
}

#[test]
fn whatever_happens_nobody_gets_two_messages_and_every_row_has_its_outcome() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("SEED") {
        return simulate(seed);
    }
    for seed in 0..number("SEEDS").unwrap_or(2000) {
        simulate(seed);
    }
}
