//! A ledger elsewhere is made, and opened: the file is a copy, made of the entries of a log ([`super::copy`]), and what is
//! recorded is appended there first ([`super::append`]).

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use uuid::Uuid;

use super::{log::Log, state::Ledger};
use crate::{
    display::{Shown, Span},
    lease::Lease,
    ledger::{
        Clock, LedgerError, Lock,
        log::{Chain, Line, Times, hex},
        store::{Created, Store, hash},
    },
    seal::Seal,
};

/// A clock that is off by more is set right by the store's.
const CLOCK_OFF: i64 = 5_000;
/// And by more than this, people are told.
const CLOCK_FAR_OFF: i64 = 60_000;

/// Where this machine keeps what it knows of ledgers elsewhere.
#[derive(Debug, Clone)]
pub struct Local {
    /// Copies: they may be deleted, and are made again.
    pub cache: PathBuf,
    /// How far each place was seen: what notices that an earlier state was put back.
    pub seen: PathBuf,
    /// What tells places of one name apart: the endpoints that the environment names.
    pub apart: String,
}

/// How closely a log is looked at when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// From the last snapshot on, or from the copy; what lies before is as it was.
    Usual,
    /// From the first object on.
    Whole,
    /// By as few questions as possible.
    Glance,
}

impl Ledger {
    /// Makes a log at a place where none is, after a race that the store must win (`rounds` of 16 creates of one name).
    pub fn init(store: &mut dyn Store, who: &str, rounds: u32) -> Result<(), LedgerError> {
        let place = store.name().to_owned();
        let fault = |fault| LedgerError::at(&place, fault);
        if store.read(1).map_err(fault)?.is_some() {
            return Err(LedgerError::LogThere(place));
        }
        store.probe(rounds).map_err(fault)?;
        let at = Clock::start().time();
        let object = Chain::default().make(Uuid::now_v7(), at, &[Line::Made { at, who: who.to_owned() }]);
        match store.create(&object).map_err(fault)? {
            Created::Made => Ok(()),
            Created::Refused => Err(LedgerError::LogThere(place)),
        }
    }

    /// Opens a ledger elsewhere for looking: reads what is new in its log into the copy on this machine. To write, a
    /// session has to begin.
    pub fn open_elsewhere(
        store: Box<dyn Store>,
        local: &Local,
        times: Times,
        say: impl FnMut(&str),
    ) -> Result<Self, LedgerError> {
        Self::open_log(store, local, times, How::Usual, say)
    }

    /// As [`Self::open_elsewhere`], by as few questions as tell what is in it: what a snapshot holds is taken for what lies
    /// in the log, as far as the list does not say otherwise. A run, which decides by it, looks closer.
    pub fn glance_elsewhere(
        store: Box<dyn Store>,
        local: &Local,
        times: Times,
        say: impl FnMut(&str),
    ) -> Result<Self, LedgerError> {
        Self::open_log(store, local, times, How::Glance, say)
    }

    /// As [`Self::open_elsewhere`], from the first object on: no snapshot is taken for what comes before it.
    pub fn open_whole(
        store: Box<dyn Store>,
        local: &Local,
        times: Times,
        say: impl FnMut(&str),
    ) -> Result<Self, LedgerError> {
        Self::open_log(store, local, times, How::Whole, say)
    }

    fn open_log(
        mut store: Box<dyn Store>,
        local: &Local,
        times: Times,
        how: How,
        mut say: impl FnMut(&str),
    ) -> Result<Self, LedgerError> {
        let place = store.name().to_owned();
        let key = format!("{place} {}", local.apart);
        let seen_at = local.seen.join(format!("{}.json", hex(&hash(key.as_bytes()))));
        let seen = read_seen(&seen_at);
        let Some((first, _)) = store.read(1).map_err(|fault| LedgerError::at(&place, fault))? else {
            return Err(match seen {
                Some(seen) => LedgerError::LogShorter {
                    place,
                    what: format!("it had {} objects when this machine last saw it, and has none now", seen.number),
                },
                None => LedgerError::NoLog(place),
            });
        };
        let mut chain = Chain::default();
        let damaged = |what: String| LedgerError::LogDamaged { place: place.clone(), number: 1, what };
        chain.follow(&first).map_err(|broken| damaged(broken.to_string()))?;
        let id = chain.ledger().unwrap_or_default().to_owned();
        if id.is_empty() || id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Err(damaged("has an id that is none".to_owned()));
        }
        if let Some(seen) = seen.as_ref().filter(|seen| seen.id != id) {
            let what = format!("it was ledger {} when this machine last saw it, and is {id} now", Shown(&seen.id));
            return Err(LedgerError::LogShorter { place, what });
        }
        let listed = store.list().map_err(|fault| LedgerError::at(&place, fault))?;
        let to_begin_with = if how == How::Whole { &[] } else { listed.as_slice() };
        let path = local.cache.join(format!("{id}.db"));
        let lock = Lock::try_acquire(&path, "copy", Clock::start().time()).ok().and_then(Result::ok);
        let mut ledger = if let Some(lock) = &lock {
            Self::copy_at(lock.path(), &id, store.as_mut(), to_begin_with)?
        } else {
            let unmakeable =
                |source| LedgerError::Unmakeable { path: std::env::temp_dir(), source: std::sync::Arc::new(source) };
            let folder = tempfile::Builder::new().prefix("onboard-").tempdir().map_err(unmakeable)?;
            let mut ledger = Self::copy_at(&folder.path().join("copy.db"), &id, store.as_mut(), to_begin_with)?;
            ledger.folder = Some(folder);
            ledger
        };
        let chain = ledger.chain_read()?;
        if let Some((theirs, ours)) = store.told_time() {
            let off = theirs.as_millisecond().saturating_sub(ours.as_millisecond());
            if off.abs() > CLOCK_OFF {
                ledger.clock = ledger.clock.shifted(off);
            }
            if off.abs() > CLOCK_FAR_OFF {
                let off = Duration::from_millis(off.unsigned_abs());
                say(&format!(
                    "this machine's clock and that of the ledger's store are {} apart; the ledger's times are the store's",
                    Span(off)
                ));
            }
        }
        let lease = Lease::new(times.fresh);
        let snapshot = ledger.kept_snapshot()?;
        ledger.log = Some(Box::new(Log {
            store,
            times,
            chain,
            session: None,
            lines: String::new(),
            count: 0,
            last: lease.now(),
            lease,
            snapshot,
            seen: seen_at,
            lock,
        }));
        ledger.check_listed(&listed, how)?;
        let last = listed.last().map_or(0, |last| last.number);
        ledger.catch_up_with(last)?;
        if last > ledger.log().number() {
            let missing = ledger.log().number() + 1;
            return Err(ledger.log().damaged(missing, "is missing, and later ones are there"));
        }
        if let Some(seen) = seen {
            if ledger.log().number() < seen.number {
                let what = format!(
                    "it ends at object {}, and this machine has seen object {}",
                    ledger.log().number(),
                    seen.number
                );
                return Err(LedgerError::LogShorter { place, what });
            }
            if !ledger.holds_seal(&seen)? {
                let what = format!("its object {} is another than the one that this machine has seen", seen.number);
                return Err(LedgerError::LogShorter { place, what });
            }
        }
        ledger.write_seen();
        Ok(ledger)
    }

    /// Keeps how far this machine has seen the place.
    pub(super) fn write_seen(&self) {
        let (Some(log), Ok(seal)) = (&self.log, self.seal()) else { return };
        // A home that cannot be written sees less; the log's chain holds all the same.
        let written = || -> Option<()> {
            let folder = log.seen.parent()?;
            std::fs::create_dir_all(folder).ok()?;
            let file = tempfile::NamedTempFile::new_in(folder).ok()?;
            serde_json::to_writer(&file, &seal).ok()?;
            file.persist(&log.seen).ok().map(drop)
        };
        let _unwritten = written();
    }

    pub(super) fn log(&self) -> &Log {
        // Every caller stands behind `open_elsewhere`, which sets it.
        #[expect(clippy::expect_used, reason = "a ledger elsewhere has a log from its opening on")]
        self.log.as_deref().expect("a log")
    }

    pub(super) fn log_mut(&mut self) -> &mut Log {
        #[expect(clippy::expect_used, reason = "a ledger elsewhere has a log from its opening on")]
        self.log.as_deref_mut().expect("a log")
    }
}

fn read_seen(path: &Path) -> Option<Seal> {
    std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::{
        super::snapshot::{SNAPSHOT_EVERY, last_snapshot},
        *,
    };
    use crate::{
        attempt::{Ending, LetGo, Mail},
        ledger::{
            Entry, Intended, Intent, RunStart, SessionStart,
            store::{Listed, Object, StoreFault, memory::Memory},
        },
        origin::Origin,
    };

    const TIMES: Times = Times {
        look: Duration::from_millis(1),
        alive: Duration::from_secs(15),
        fresh: Duration::from_secs(30),
        takeover: Duration::from_millis(5),
        again: Duration::from_millis(1),
    };

    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn open(&self, store: &Memory) -> Result<Ledger, LedgerError> {
            let local =
                Local { cache: self.0.path().join("cache"), seen: self.0.path().join("seen"), apart: String::new() };
            Ledger::open_elsewhere(Box::new(store.clone()), &local, TIMES, |_| {})
        }
    }

    fn made() -> Memory {
        let mut store = Memory::default();
        Ledger::init(&mut store, "anna@ci-1", 0).expect("made");
        store
    }

    fn origin() -> Origin {
        "https://docspace.example".parse().expect("an origin")
    }

    fn start(who: &str) -> SessionStart {
        SessionStart::Run(RunStart {
            id: Uuid::now_v7(),
            account: [1; 8],
            command: "run".to_owned(),
            roster: "a@b.csv".to_owned(),
            roster_hash: [2; 32],
            rows: 3,
            who: who.to_owned(),
            plan: None,
        })
    }

    fn begin(ledger: &mut Ledger, who: &str) -> Result<(), LedgerError> {
        ledger.begin_session(&start(who), Some((&origin(), &[])), Duration::from_secs(60), |_| {})
    }

    fn intend(ledger: &mut Ledger, user: u8) -> Intended {
        let intent = Intent {
            mail: Mail::Congratulation,
            subject: [user; 16],
            email: None,
            let_go: LetGo::default(),
            row: None,
        };
        ledger.begin().expect("begun");
        let at = ledger.clock.now();
        let intended = ledger.intend(at, &intent).expect("intended");
        ledger.commit().expect("appended");
        intended
    }

    fn end(ledger: &mut Ledger, intended: &Intended, ending: Ending) {
        let Intended::Open(attempt) = intended else { panic!("held: {intended:?}") };
        ledger.enter(&Entry::Ended { attempt: *attempt, ending, http: Some(200) }).expect("ended");
    }

    #[test]
    fn a_run_goes_on_on_another_machine_with_what_the_first_has_recorded() {
        let store = made();
        let (first, second) = (Machine::new(), Machine::new());
        let mut ledger = first.open(&store).expect("opened");
        begin(&mut ledger, "anna@ci-1").expect("begun");
        let one = intend(&mut ledger, 1);
        end(&mut ledger, &one, Ending::Sent);
        let two = intend(&mut ledger, 2);
        assert!(matches!(two, Intended::Open(_)));
        // The machine is gone, with its copy.
        drop(ledger);
        let mut ledger = second.open(&store).expect("opened");
        begin(&mut ledger, "ben@ci-2").expect("taken over");
        assert_eq!(ledger.recover().expect("recovered"), 1);
        assert!(matches!(intend(&mut ledger, 1), Intended::Held(crate::attempt::Held::Sent { .. })));
        assert!(matches!(intend(&mut ledger, 2), Intended::Held(crate::attempt::Held::Unknown { .. })));
        let three = intend(&mut ledger, 3);
        end(&mut ledger, &three, Ending::NoEffect { counted: false, why: "busy".to_owned() });
        assert!(matches!(intend(&mut ledger, 3), Intended::Open(_)));
        ledger.end_run(0, 4, [("sent", 1)]).expect("ended");
        let seal = ledger.seal().expect("sealed");
        drop(ledger);
        // The first machine comes back, with an old copy.
        let ledger = first.open(&store).expect("opened");
        assert_eq!(ledger.seal().expect("sealed"), seal);
        assert_eq!(ledger.holding_session().expect("read"), None);
        assert_eq!(ledger.runs().expect("read").len(), 2);
    }

    #[test]
    fn whoever_was_taken_over_records_nothing_more_and_is_told_by_whom() {
        let store = made();
        let mut slept = Machine::new().open(&store).expect("opened");
        begin(&mut slept, "anna@ci-1").expect("begun");
        let lease = slept.lease().expect("a lease");
        assert!(lease.is_fresh());
        let mut ledger = Machine::new().open(&store).expect("opened");
        begin(&mut ledger, "ben@ci-2").expect("taken over");
        let error = slept.say_alive().expect_err("fenced");
        assert!(matches!(&error, LedgerError::Fenced { who, .. } if who == "ben@ci-2"), "{error}");
        assert!(!lease.is_fresh());
    }

    /// A store that answers no create while it is told to be mute.
    #[derive(Debug)]
    struct Mute(Memory, std::sync::Arc<std::sync::atomic::AtomicBool>);

    impl Store for Mute {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn create(&mut self, object: &Object) -> Result<Created, StoreFault> {
            if self.1.load(std::sync::atomic::Ordering::SeqCst) {
                return Err(StoreFault::Passing("no answer".to_owned()));
            }
            self.0.create(object)
        }
        fn read(&mut self, number: u64) -> Result<Option<(Vec<u8>, String)>, StoreFault> {
            self.0.read(number)
        }
        fn read_many(&mut self, first: u64, at_most: usize) -> Result<Vec<(Vec<u8>, String)>, StoreFault> {
            self.0.read_many(first, at_most)
        }
        fn list(&mut self) -> Result<Vec<Listed>, StoreFault> {
            self.0.list()
        }
        fn told_time(&self) -> Option<(jiff::Timestamp, jiff::Timestamp)> {
            self.0.told_time()
        }
        fn snapshot(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreFault> {
            self.0.snapshot(name)
        }
        fn keep_snapshot(&mut self, name: &str, bytes: Vec<u8>) -> Result<bool, StoreFault> {
            self.0.keep_snapshot(name, bytes)
        }
        fn probe(&mut self, rounds: u32) -> Result<(), StoreFault> {
            self.0.probe(rounds)
        }
    }

    #[test]
    fn whoever_slept_in_the_middle_of_an_append_is_told_who_took_over() {
        let (store, machine, mute) = (made(), Machine::new(), std::sync::Arc::default());
        let local =
            Local { cache: machine.0.path().join("cache"), seen: machine.0.path().join("seen"), apart: String::new() };
        // As after a sleep: the time for an append is over when its first try comes back.
        let times = Times { fresh: Duration::ZERO, ..TIMES };
        let muted = Box::new(Mute(store.clone(), std::sync::Arc::clone(&mute)));
        let mut slept = Ledger::open_elsewhere(muted, &local, times, |_| {}).expect("opened");
        begin(&mut slept, "anna@ci-1").expect("begun");
        let mut ledger = Machine::new().open(&store).expect("opened");
        begin(&mut ledger, "ben@ci-2").expect("taken over");
        mute.store(true, std::sync::atomic::Ordering::SeqCst);
        let error = slept.say_alive().expect_err("fenced");
        assert!(matches!(&error, LedgerError::Fenced { who, .. } if who == "ben@ci-2"), "{error}");
        assert!(!slept.lease().expect("a lease").is_fresh());
    }

    #[test]
    fn what_was_removed_changed_or_put_back_is_refused_by_whoever_saw_it_and_by_whoever_reads_it_first() {
        let seen = Machine::new();
        let store = made();
        let mut ledger = seen.open(&store).expect("opened");
        begin(&mut ledger, "anna@ci-1").expect("begun");
        for user in 0..4 {
            let one = intend(&mut ledger, user);
            end(&mut ledger, &one, Ending::Sent);
        }
        ledger.end_run(0, 4, [("sent", 4)]).expect("ended");
        drop(ledger);
        let mut reader = store.clone();
        let whole: Vec<Vec<u8>> = reader.read_many(1, 100).expect("read").into_iter().map(|(bytes, _)| bytes).collect();
        let put_back = |store: &Memory| {
            for (number, bytes) in (1..).zip(&whole) {
                store.tamper(number, Some(bytes.clone()));
            }
        };
        let last = whole.len() as u64;
        for number in 1..last {
            store.tamper(number, None);
            assert!(seen.open(&store).is_err(), "{number} was removed");
            assert!(Machine::new().open(&store).is_err(), "{number} was removed");
            put_back(&store);
            let changed = String::from_utf8(whole[usize::try_from(number).expect("small") - 1].clone())
                .expect("text")
                .replace("\"at\":\"2", "\"at\":\"1");
            store.tamper(number, Some(changed.into_bytes()));
            assert!(seen.open(&store).is_err(), "{number} was changed");
            assert!(Machine::new().open(&store).is_err(), "{number} was changed");
            put_back(&store);
        }
        for number in (last - 2)..=last {
            store.tamper(number, None);
        }
        assert!(matches!(seen.open(&store), Err(LedgerError::LogShorter { .. })));
        put_back(&store);
        seen.open(&store).expect("whole again");
        let other = made();
        assert!(matches!(seen.open(&other), Err(LedgerError::LogShorter { .. })));
    }

    #[test]
    fn without_a_log_nothing_is_made_and_with_one_init_changes_nothing() {
        let mut store = Memory::default();
        assert!(matches!(Machine::new().open(&store), Err(LedgerError::NoLog(_))));
        Ledger::init(&mut store, "anna@ci-1", 0).expect("made");
        assert!(matches!(Ledger::init(&mut store, "anna@ci-1", 0), Err(LedgerError::LogThere(_))));
    }

    #[test]
    fn a_snapshot_makes_the_same_of_a_long_log() {
        let store = made();
        let mut ledger = Machine::new().open(&store).expect("opened");
        begin(&mut ledger, "anna@ci-1").expect("begun");
        for _ in 0..SNAPSHOT_EVERY {
            ledger.say_alive().expect("alive");
        }
        let one = intend(&mut ledger, 1);
        end(&mut ledger, &one, Ending::Sent);
        ledger.end_run(0, 1, [("sent", 1)]).expect("ended");
        let seal = ledger.seal().expect("sealed");
        let mut reader = store.clone();
        let listed = reader.list().expect("listed");
        assert!(last_snapshot(&mut reader, &listed).is_some());
        let mut ledger = Machine::new().open(&store).expect("opened");
        assert_eq!(ledger.seal().expect("sealed"), seal);
        begin(&mut ledger, "ben@ci-2").expect("begun");
        assert!(matches!(intend(&mut ledger, 1), Intended::Held(_)));
    }
}
