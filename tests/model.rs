//! Every way in which two sessions on one shared log can go, for one person to write to: creates that land late or whose
//! answers are lost, deaths, sleeps, takeovers, and a person who decides. What becomes of an append, when somebody takes
//! over, and whether bytes may leave is decided by the code that ships (`Append`, `Waiting`, `Lease`); the model moves it
//! through every order of events, on a clock that goes on in steps of 15 s (`MODEL=fine`: of 7.5 s, and logs of 10
//! objects instead of 8). A process that sleeps is one that takes no step while the clock does.
//!
//! A: without a person's word at most one message. B: also with an honest person (who says "not sent" only while nothing
//! was sent) at most one, unless the process slept exactly between its look at the clock and its write.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on says so by failing"
)]

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use onboard::{
    lease::Lease,
    ledger::{
        log::{Append, Next, Step, Times, Waiting},
        store::{Created, StoreFault},
    },
};

/// What is planted, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// The lease counts from the answer, not from the first try.
    AgeFromTheAnswer,
    /// Whoever has its intent acknowledged sends, however long ago that was.
    No30Seconds,
    /// Whoever waits takes over as soon as the lease may be over.
    EarlyTakeover,
    /// A name that is taken counts as taken by us.
    NoReadingBack,
    /// Bytes leave once the intent was handed to the store.
    BytesBeforeTheAnswer,
    /// A person's word is appended by somebody who holds no session.
    DecisionOutside,
}

/// The shape of the search.
#[derive(Debug, Clone, Copy)]
struct Shape {
    tick: i64,
    longest: u8,
}

const NOW: i64 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Begin = 1,
    Over,
    End,
    Intent,
    Sent,
    Cleared,
    Alive,
}

/// An entry of one of two runs, as a digit; 0 is none.
fn entry(kind: Kind, run: u8) -> u8 {
    kind as u8 * 2 + run - 1
}

fn kind(entry: u8) -> Kind {
    match entry.div_ceil(2) {
        1 => Kind::Begin,
        2 => Kind::Over,
        3 => Kind::End,
        4 => Kind::Intent,
        5 => Kind::Sent,
        6 => Kind::Cleared,
        _ => Kind::Alive,
    }
}

fn run_of(entry: u8) -> u8 {
    (entry + 1) % 2
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Idle,
    Open,
    Acknowledged,
    Looked,
    Sent,
    Over,
}

/// An append whose answer is awaited; its number is what the run knows of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Want {
    entry: u8,
    then: Place,
    /// Steps of the clock since its first try began.
    age: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Run {
    place: Place,
    known: u8,
    /// Steps of the clock since the lease was renewed, once it was.
    lease: Option<u8>,
    want: Option<Want>,
    /// Where it saw the log end first, and how many steps of the clock ago.
    seen: Option<(u8, u8)>,
}

const OVER: Run = Run { place: Place::Over, known: 0, lease: None, want: None, seen: None };

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    /// Four bits an entry.
    log: u64,
    len: u8,
    /// Creates of the next object that may land yet, a bit an entry. One of an earlier number can have no effect any more.
    flying: u16,
    runs: [Run; 2],
    mails: u8,
    person: bool,
    /// Somebody slept between the look and the write.
    nap: bool,
}

impl State {
    fn at(&self, number: u8) -> u8 {
        u8::try_from(self.log >> (4 * number) & 15).expect("four bits")
    }

    fn entries(&self, upto: u8) -> impl Iterator<Item = u8> {
        (0..upto).map(|number| self.at(number))
    }

    /// Whether an attempt holds the person, by what stands in the log up to there.
    fn held(&self, upto: u8) -> Option<Kind> {
        self.entries(upto).fold(None, |held, entry| match kind(entry) {
            Kind::Intent | Kind::Sent => Some(kind(entry)),
            Kind::Cleared => None,
            _ => held,
        })
    }

    fn holder(&self) -> Option<u8> {
        self.entries(self.len).fold(None, |holder, entry| match kind(entry) {
            Kind::Begin | Kind::Over => Some(run_of(entry)),
            Kind::End if holder == Some(run_of(entry)) => None,
            _ => holder,
        })
    }
}

struct Model {
    shape: Shape,
    bug: Option<Bug>,
    times: Times,
    /// The clock that a lease of the shipping code is asked by.
    clock: Arc<AtomicI64>,
    /// The oldest age that makes a difference, in steps.
    old: u8,
}

impl Model {
    fn new(shape: Shape, bug: Option<Bug>) -> Self {
        let mut times = Times::SHIPPED;
        if bug == Some(Bug::EarlyTakeover) {
            times.takeover = times.fresh;
        }
        let old = u8::try_from(times.takeover.as_millis() / u128::try_from(shape.tick).expect("a step")).expect("few");
        Self { shape, bug, times, clock: Arc::new(AtomicI64::new(NOW)), old: old.max(3) }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn ago(&self, age: u8) -> i64 {
        NOW - i64::from(age) * self.shape.tick
    }

    fn is_fresh(&self, run: &Run) -> bool {
        let at_most = if self.has(Bug::No30Seconds) { Duration::MAX } else { self.times.fresh };
        let lease = Lease::fixed(at_most, Arc::clone(&self.clock));
        if let Some(age) = run.lease {
            lease.renew(self.ago(age));
        }
        lease.is_fresh()
    }

    /// The clock goes on, for everybody.
    fn later(&self, mut state: State) -> State {
        let older = |age: u8| (age + 1).min(self.old);
        for run in &mut state.runs {
            run.lease = run.lease.map(older);
            run.want = run.want.map(|want| Want { age: older(want.age), ..want });
            run.seen = run.seen.map(|(head, age)| (head, older(age)));
        }
        state
    }

    fn next(&self, state: State, to: &mut Vec<State>) {
        to.push(self.later(state));
        for digit in (1..16u8).filter(|digit| state.flying & 1 << digit != 0) {
            if state.len < self.shape.longest {
                let log = state.log | u64::from(digit) << (4 * state.len);
                to.push(State { log, len: state.len + 1, flying: 0, ..state });
            }
            // Lost for ever.
            to.push(State { flying: state.flying & !(1 << digit), ..state });
        }
        for who in 0..2 {
            let run = state.runs[usize::from(who)];
            if run.place == Place::Over {
                continue;
            }
            to.push(with(state, who, OVER)); // killed
            match run.want {
                Some(want) => self.answered(state, who, run, want, to),
                None => self.acts(state, who, run, to),
            }
        }
    }

    /// What may be told to whoever waits for an append.
    fn answered(&self, state: State, who: u8, run: Run, want: Want, to: &mut Vec<State>) {
        let is_there = state.len > run.known;
        let is_ours = is_there && state.at(run.known) == want.entry;
        let append = || Append::begin(self.times, self.ago(want.age));
        let mut lead = |append: &Append, step: Step| match step {
            Step::Done => {
                let began = if self.has(Bug::AgeFromTheAnswer) { NOW } else { append.began() };
                let age = u8::try_from((NOW - began) / self.shape.tick).expect("few");
                let lease = Some(run.lease.map_or(age, |lease| lease.min(age)));
                to.push(with(
                    state,
                    who,
                    Run { place: want.then, known: run.known + 1, lease, want: None, seen: None },
                ));
            }
            // Whoever loses the race for a session waits again.
            Step::Fenced if run.place == Place::Idle => to.push(with(state, who, IDLE)),
            Step::Fenced | Step::GaveUp(_) => to.push(with(state, who, OVER)),
            Step::Wait(_) | Step::Create => {
                let flying = if is_there { state.flying } else { state.flying | 1 << want.entry };
                to.push(State { flying, ..state });
            }
            Step::Read | Step::Unusable(_) => panic!("{step:?}"),
        };
        if is_ours {
            let mut append = append();
            let step = append.created(Ok(Created::Made), NOW);
            lead(&append, step);
        }
        // The store refuses: what is there is read, and is there or not yet.
        let mut refused = append();
        assert_eq!(refused.created(Ok(Created::Refused), NOW), Step::Read);
        let found = is_there.then_some(is_ours || self.has(Bug::NoReadingBack));
        let step = refused.read(Ok(found), NOW);
        lead(&refused, step);
        // No answer, or one that says nothing; then the wait, and another try with the same bytes.
        let mut lost = append();
        let step = match lost.created(Err(StoreFault::Passing("no answer".to_owned())), NOW) {
            Step::Wait(_) => lost.waited(NOW),
            step => step,
        };
        lead(&lost, step);
        if self.has(Bug::BytesBeforeTheAnswer) && kind(want.entry) == Kind::Intent {
            let sent = with(state, who, Run { place: Place::Sent, want: None, ..run });
            to.push(State { mails: state.mails + 1, ..sent });
        }
    }

    /// What a run that waits for nothing may do.
    fn acts(&self, state: State, who: u8, run: Run, to: &mut Vec<State>) {
        let append = |known: u8, kind: Kind, then: Place| {
            let entry = entry(kind, who);
            let flying = if known == state.len { state.flying | 1 << entry } else { state.flying };
            let want = Some(Want { entry, then, age: 0 });
            State { flying, ..with(state, who, Run { known, want, seen: None, ..run }) }
        };
        let may_say_not_sent = |held| held == Some(Kind::Intent) && !state.person && state.mails == 0;
        match run.place {
            Place::Idle => {
                match state.holder() {
                    None => to.push(append(state.len, Kind::Begin, Place::Open)),
                    Some(holder) if holder != who => {
                        let mut waiting = Waiting::new(self.times);
                        if let Some((head, age)) = run.seen {
                            waiting.looked(self.ago(age), self.ago(age), u64::from(head));
                        }
                        if waiting.looked(NOW, NOW, u64::from(state.len)) == Next::TakeOver {
                            to.push(append(state.len, Kind::Over, Place::Open));
                        } else if run.seen.is_none_or(|(head, _)| head != state.len) {
                            to.push(with(state, who, Run { seen: Some((state.len, 0)), ..run }));
                        }
                    }
                    // Its own, which landed after it had been told otherwise: it cannot be, and waits for nobody.
                    Some(_) => {}
                }
                if self.has(Bug::DecisionOutside) && may_say_not_sent(state.held(state.len)) {
                    to.push(State { person: true, ..append(state.len, Kind::Cleared, Place::Idle) });
                }
            }
            Place::Open => {
                let held = state.held(run.known);
                if held.is_none() {
                    to.push(append(run.known, Kind::Intent, Place::Acknowledged));
                } else if may_say_not_sent(held) {
                    to.push(State { person: true, ..append(run.known, Kind::Cleared, Place::Open) });
                }
                to.push(append(run.known, Kind::End, Place::Over));
            }
            Place::Acknowledged if self.is_fresh(&run) => {
                to.push(with(state, who, Run { place: Place::Looked, ..run }));
            }
            Place::Acknowledged => to.push(append(run.known, Kind::Alive, Place::Acknowledged)),
            Place::Looked => {
                let nap = state.nap || !self.is_fresh(&run);
                let sent = with(state, who, Run { place: Place::Sent, ..run });
                to.push(State { mails: state.mails + 1, nap, ..sent });
            }
            Place::Sent => to.push(append(run.known, Kind::Sent, Place::Open)),
            Place::Over => {}
        }
    }

    /// Looks at every state that can be; how many there are, or the first in which a promise is broken.
    fn explore(&self) -> Result<usize, State> {
        let start = State { log: 0, len: 0, flying: 0, runs: [IDLE; 2], mails: 0, person: false, nap: false };
        let mut seen: HashSet<State, BuildHasherDefault<Mix>> = HashSet::default();
        let (mut queue, mut next) = (VecDeque::from([start]), Vec::new());
        seen.insert(start);
        while let Some(state) = queue.pop_front() {
            self.next(state, &mut next);
            for state in next.drain(..) {
                if state.mails > 1 {
                    if !state.person || !state.nap {
                        return Err(state);
                    }
                    continue;
                }
                if seen.insert(state) {
                    queue.push_back(state);
                }
            }
        }
        Ok(seen.len())
    }
}

const IDLE: Run = Run { place: Place::Idle, known: 0, lease: None, want: None, seen: None };

fn with(mut state: State, who: u8, mut run: Run) -> State {
    if run.place == Place::Over {
        run = OVER;
    }
    state.runs[usize::from(who)] = run;
    state
}

/// Quick, for states that nobody chose to collide.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value.cast_unsigned() as u64);
    }
}

fn shape() -> Shape {
    match std::env::var("MODEL").as_deref() {
        Ok("fine") => Shape { tick: 7_500, longest: 10 },
        _ => Shape { tick: 15_000, longest: 8 },
    }
}

#[test]
fn whatever_two_sessions_do_nobody_gets_a_second_message() {
    let states = Model::new(shape(), None).explore().unwrap_or_else(|state| panic!("a second message: {state:?}"));
    println!("{states} states");
    assert!(states > 100_000, "{states} states are too few to mean anything");
}

#[test]
fn each_rule_is_needed() {
    use Bug::{AgeFromTheAnswer, BytesBeforeTheAnswer, DecisionOutside, EarlyTakeover, No30Seconds, NoReadingBack};
    for bug in [AgeFromTheAnswer, No30Seconds, EarlyTakeover, NoReadingBack, BytesBeforeTheAnswer, DecisionOutside] {
        let found = Model::new(shape(), Some(bug)).explore();
        let state = found.expect_err(&format!("{bug:?} is not found"));
        println!("{bug:?}: {state:?}");
    }
}

/// The digits are those of no two entries.
#[test]
fn entries_are_told_apart() {
    let kinds = [Kind::Begin, Kind::Over, Kind::End, Kind::Intent, Kind::Sent, Kind::Cleared, Kind::Alive];
    for of in kinds {
        for run in 0..2 {
            assert_eq!((kind(entry(of, run)), run_of(entry(of, run))), (of, run));
            assert!((1..16).contains(&entry(of, run)));
        }
    }
}
