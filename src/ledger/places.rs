//! A ledger by its place, wherever that is: a file of this machine, or a log elsewhere.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::{
    LedgerError,
    book::{Ledger, Local, SessionStart},
    lock::Lock,
    log::Times,
    store::{Store, open},
};
use crate::{environment::Environment, place::Place};

/// Variables that say where a place of a name is.
const ENDPOINTS: [&str; 7] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "PGHOST",
    "PGPORT",
    "PGDATABASE",
];

impl Local {
    /// Where this machine keeps copies, and what it has seen: the user's cache and state directories; where there is no
    /// home, the folder for temporary files.
    pub fn of(environment: &Environment) -> Self {
        let variable = |name| environment.get(name).map(PathBuf::from);
        let home = variable(if cfg!(windows) { "USERPROFILE" } else { "HOME" }).unwrap_or_else(std::env::temp_dir);
        let own = |xdg, windows: &[&str], mac: &[&str], other: &[&str]| {
            let below = |names: &[&str]| names.iter().fold(home.clone(), |path, name| path.join(name));
            if cfg!(windows) {
                variable("LOCALAPPDATA").unwrap_or_else(|| below(windows))
            } else if cfg!(target_os = "macos") {
                below(mac)
            } else {
                variable(xdg).filter(|path| path.is_absolute()).unwrap_or_else(|| below(other))
            }
        };
        let windows = ["AppData", "Local"];
        let cache = own("XDG_CACHE_HOME", &windows, &["Library", "Caches"], &[".cache"]);
        let state = own("XDG_STATE_HOME", &windows, &["Library", "Application Support"], &[".local", "state"]);
        let apart = ENDPOINTS.iter().filter_map(|name| environment.get(name)).collect::<Vec<_>>().join(" ");
        Self { cache: cache.join("onboard").join("ledgers"), seen: state.join("onboard").join("seen"), apart }
    }
}

/// The store of a place elsewhere. Nothing is asked of it yet.
pub fn store(place: &Place, environment: &Environment, application: &str) -> Result<Box<dyn Store>, LedgerError> {
    open::store(place, environment, application).map_err(|fault| LedgerError::at(place.name(), fault))
}

/// Every ledger right below a place.
pub fn below(place: &Place, environment: &Environment) -> Result<Vec<Place>, LedgerError> {
    open::below(place, environment).map(|below| below.places).map_err(|fault| LedgerError::at(place.name(), fault))
}

/// Makes a ledger at a place elsewhere, once its store has kept its promise through so many races.
pub fn make(place: &Place, environment: &Environment, who: &str, rounds: u32) -> Result<(), LedgerError> {
    prepare(place, environment)?;
    Ledger::init(store(place, environment, "onboard ledger init")?.as_mut(), who, rounds)
}

/// Makes what the store of a place needs before its first ledger.
pub(super) fn prepare(place: &Place, environment: &Environment) -> Result<(), LedgerError> {
    open::prepare(place, environment).map_err(|fault| LedgerError::at(place.name(), fault))
}

/// What the server of a place elsewhere promises, where it says so.
pub fn promises(place: &Place, environment: &Environment) -> Result<Option<String>, LedgerError> {
    open::promises(place, environment).map_err(|fault| LedgerError::at(place.name(), fault))
}

/// Whether the store of a place elsewhere keeps its promise through so many races.
pub fn probe(place: &Place, environment: &Environment, rounds: u32) -> Result<(), LedgerError> {
    store(place, environment, "onboard doctor")?.probe(rounds).map_err(|fault| LedgerError::at(place.name(), fault))
}

/// The times of the protocol. Only a program that was built for debugging reads `ONBOARD_TEST_LEDGER_HASTE=N`, which makes
/// all of them N times shorter (`tests/torture.rs`): with it, a takeover is not a minute away. What is released knows no
/// such variable, since two runs with different times would not keep out of each other's way.
fn times(environment: &Environment) -> Times {
    let haste = environment.get("ONBOARD_TEST_LEDGER_HASTE").filter(|_| cfg!(debug_assertions));
    haste.and_then(|haste| haste.parse().ok()).map_or(Times::SHIPPED, |haste| Times::SHIPPED.divided(haste))
}

/// The ledger for looking: it may be in use, nobody is waited for, and nothing is written there.
pub fn look(place: &Place, environment: &Environment, mut say: impl FnMut(&str)) -> Result<Ledger, LedgerError> {
    match place {
        Place::File(path) => Ledger::look(path),
        Place::Folder(_) | Place::Bucket(_) | Place::Postgres(_) => Ledger::open_elsewhere(
            store(place, environment, "onboard")?,
            &Local::of(environment),
            times(environment),
            &mut say,
        ),
    }
}

/// Looks at every ledger right below a place, many at once, and tells of each, in the order of their names. What is wrong
/// with one of them keeps nobody from the others.
pub fn look_at_all<T: Send>(
    above: &Place,
    environment: &Environment,
    tell: impl Fn(&Place, Result<Ledger, LedgerError>) -> T + Sync,
) -> Result<Vec<T>, LedgerError> {
    let below = open::below(above, environment).map_err(|fault| LedgerError::at(above.name(), fault))?;
    let (local, times) = (Local::of(environment), times(environment));
    let look = |place: &Place| {
        let store = below.store(place, "onboard history").map_err(|fault| LedgerError::at(place.name(), fault))?;
        Ledger::glance_elsewhere(store, &local, times, |_| {})
    };
    Ok(side_by_side(&below.places, at_once(above), |place| tell(place, look(place))))
}

/// How many ledgers are looked at once. A look waits for a handful of answers, one after the other; a server of a database
/// is asked by one connection a ledger, and has not many of them.
const fn at_once(above: &Place) -> usize {
    match above {
        Place::File(_) => 1,
        Place::Folder(_) | Place::Bucket(_) => 32,
        Place::Postgres(_) => 24,
    }
}

/// What `each` makes of every item, in the items' order; so many are worked on at once, each by a thread of its own, since
/// a store makes whoever asks it wait.
fn side_by_side<I: Sync, T: Send>(items: &[I], at_once: usize, each: impl Fn(&I) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { return done };
            done.push((number, each(item)));
        }
    };
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once.min(items.len())).map(|_| scope.spawn(work)).collect();
        let ends = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
        ends.flat_map(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, made)| made).collect()
}

/// Who wants to write, and for how long whoever writes is waited for.
#[derive(Debug, Clone)]
pub struct Purpose {
    /// As the others are told: `run users.csv`.
    pub what: String,
    /// At most so long.
    pub wait_for: Duration,
    /// Whether some run has to be on record. A ledger elsewhere that was made is meant, and passes.
    pub must_know: bool,
}

/// The ledger for writing, if runs may use it: no copy, and none that has moved.
pub fn hold(
    place: &Place,
    environment: &Environment,
    purpose: &Purpose,
    say: impl FnMut(&str),
) -> Result<(Option<Lock>, Ledger), LedgerError> {
    let (lock, ledger) = hold_any(place, environment, purpose, say)?;
    ledger.check_standing()?;
    Ok((lock, ledger))
}

/// The ledger for writing. A file is locked; elsewhere a session has to begin ([`Ledger::begin_session`]), and what was
/// read before that decides nothing.
pub(super) fn hold_any(
    place: &Place,
    environment: &Environment,
    purpose: &Purpose,
    mut say: impl FnMut(&str),
) -> Result<(Option<Lock>, Ledger), LedgerError> {
    Ok(match place {
        Place::File(path) => {
            if purpose.must_know && !path.exists() {
                return Err(LedgerError::Missing(path.clone()));
            }
            let lock = Lock::wait_for(path, &purpose.what, purpose.wait_for, &mut say)?;
            let ledger = Ledger::open(&lock, purpose.must_know)?;
            (Some(lock), ledger)
        }
        Place::Folder(_) | Place::Bucket(_) | Place::Postgres(_) => {
            let mut store = store(place, environment, "onboard")?;
            // Whether there is a log comes before whether the store keeps its promise.
            if store.read(1).map_err(|fault| LedgerError::at(place.name(), fault))?.is_some() {
                store.probe(0).map_err(|fault| LedgerError::at(place.name(), fault))?;
            }
            (None, Ledger::open_elsewhere(store, &Local::of(environment), times(environment), &mut say)?)
        }
    })
}

/// A person's own session, for what is no run; a file that is locked needs none.
pub fn begin(
    ledger: &mut Ledger,
    who: &str,
    command: &str,
    wait_for: Duration,
    say: impl FnMut(&str),
) -> Result<(), LedgerError> {
    if !ledger.is_elsewhere() {
        return Ok(());
    }
    let start = SessionStart::Other { id: uuid::Uuid::now_v7(), who: who.to_owned(), command: command.to_owned() };
    ledger.begin_session(&start, None, wait_for, say)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    };

    use jiff::Timestamp;

    use super::*;
    use crate::{
        ledger::{
            RunStart,
            store::{Created, Listed, Object, StoreFault, memory::Memory},
        },
        origin::Origin,
    };

    /// A store that counts how often somebody waits for it, and how many objects it is asked for.
    #[derive(Debug, Clone, Default)]
    struct Counting {
        log: Memory,
        waits: Arc<AtomicU64>,
        objects: Arc<AtomicU64>,
    }

    impl Counting {
        fn counted(&self, objects: usize) {
            self.waits.fetch_add(1, Ordering::Relaxed);
            self.objects.fetch_add(objects as u64, Ordering::Relaxed);
        }

        fn taken(&self) -> (u64, u64) {
            (self.waits.swap(0, Ordering::Relaxed), self.objects.swap(0, Ordering::Relaxed))
        }
    }

    impl Store for Counting {
        fn name(&self) -> &str {
            self.log.name()
        }
        fn create(&mut self, object: &Object) -> Result<Created, StoreFault> {
            self.log.create(object)
        }
        fn read(&mut self, number: u64) -> Result<Option<(Vec<u8>, String)>, StoreFault> {
            self.counted(1);
            self.log.read(number)
        }
        fn read_many(&mut self, first: u64, at_most: usize) -> Result<Vec<(Vec<u8>, String)>, StoreFault> {
            self.counted(at_most);
            self.log.read_many(first, at_most)
        }
        fn list(&mut self) -> Result<Vec<Listed>, StoreFault> {
            self.counted(0);
            self.log.list()
        }
        fn told_time(&self) -> Option<(Timestamp, Timestamp)> {
            None
        }
        fn snapshot(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreFault> {
            self.counted(1);
            self.log.snapshot(name)
        }
        fn keep_snapshot(&mut self, name: &str, bytes: Vec<u8>) -> Result<bool, StoreFault> {
            self.log.keep_snapshot(name, bytes)
        }
        fn probe(&mut self, rounds: u32) -> Result<(), StoreFault> {
            self.log.probe(rounds)
        }
    }

    #[test]
    fn a_look_waits_three_times_and_asks_for_no_more_objects_than_there_are() {
        let store = Counting::default();
        let folder = tempfile::tempdir().expect("a folder");
        let local = |name: &str| Local {
            cache: folder.path().join(name).join("cache"),
            seen: folder.path().join(name).join("seen"),
            apart: String::new(),
        };
        let open = |name: &str| {
            let store = Box::new(store.clone());
            Ledger::glance_elsewhere(store, &local(name), Times::SHIPPED, |_| {}).expect("a ledger")
        };
        Ledger::init(&mut store.clone(), "anna@laptop", 0).expect("made");
        for sessions in 0..3_u64 {
            let mut ledger = open("writer");
            begin(&mut ledger, "anna@laptop", "settle", Duration::ZERO, |_| {}).expect("begun");
            ledger.end_session(0).expect("ended");
            drop(ledger);
            store.taken();
            let there = 3 + 2 * sessions;
            // Where this machine never was: the first object, the list, and all objects with the one that is absent.
            drop(open(&format!("new-{sessions}")));
            assert_eq!(store.taken(), (3, 1 + there + 1));
            // Where it has read everything: the first object, the list, and the one that is absent.
            drop(open(&format!("new-{sessions}")));
            assert_eq!(store.taken(), (3, 2));
        }
        // A long log is read from its last snapshot on: the first object, the list, the last object, which names the
        // snapshot, that one, the object that it was made after, and what came then.
        let origin: Origin = "https://portal.example.com".parse().expect("an origin");
        for session in 0..40_u64 {
            let mut ledger = open("writer");
            // Every third session is a person's, which makes no snapshot, and names the last one all the same.
            let start = if session % 3 == 2 {
                SessionStart::Other {
                    id: uuid::Uuid::now_v7(),
                    who: "anna@laptop".to_owned(),
                    command: "settle".to_owned(),
                }
            } else {
                SessionStart::Run(RunStart {
                    id: uuid::Uuid::now_v7(),
                    account: [1; 8],
                    command: "run".to_owned(),
                    roster: "users.csv".to_owned(),
                    roster_hash: [2; 32],
                    rows: 1,
                    who: "anna@laptop".to_owned(),
                    plan: None,
                })
            };
            let portal = if matches!(start, SessionStart::Run(_)) { Some((&origin, [].as_slice())) } else { None };
            ledger.begin_session(&start, portal, Duration::ZERO, |_| {}).expect("begun");
            if portal.is_some() {
                ledger.end_run(0, 1, [("sent", 1)]).expect("ended");
            } else {
                ledger.end_session(0).expect("ended");
            }
            drop(ledger);
            store.taken();
            drop(open(&format!("late-{session}")));
            let (waits, objects) = store.taken();
            // Twice what came since, where the last end names no snapshot yet, and one is looked for in vain.
            assert!(waits <= 6 && objects <= 80, "{session}: {waits} waits, {objects} objects");
        }
        // Of an open session its last append is looked at, too.
        let mut ledger = open("writer");
        begin(&mut ledger, "anna@laptop", "settle", Duration::ZERO, |_| {}).expect("begun");
        drop(ledger);
        drop(open("looker"));
        store.taken();
        let mut ledger = open("looker");
        assert!(ledger.last_heard().expect("read").is_some_and(|heard| heard.is_alive));
        assert_eq!(store.taken(), (4, 3));
    }

    #[test]
    fn a_thousand_ledgers_are_asked_many_at_a_time_and_told_in_their_order() {
        let buckets = at_once(&Place::Folder(PathBuf::new()));
        // Nobody passes before so many stand there: a thousand pass only where so many look at once, all the way.
        let together = Barrier::new(buckets);
        let items: Vec<usize> = (0..buckets * 32).collect();
        let done = side_by_side(&items, buckets, |item| {
            together.wait();
            *item
        });
        assert_eq!(done, items);
        // Four waits a ledger, at the most, of 20 ms each.
        assert!(4 * 20 * 1_000 / buckets < 10_000 / 2);
        assert_eq!(side_by_side(&[1, 2], buckets, |item| item * 2), [2, 4]);
        assert_eq!(side_by_side(&[] as &[u8], buckets, |item| *item), [0_u8; 0]);
    }
}
