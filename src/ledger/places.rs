//! A ledger by its place, wherever that is: a file of this machine, or a log elsewhere.

use std::{path::PathBuf, time::Duration};

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
    open::below(place, environment).map_err(|fault| LedgerError::at(place.name(), fault))
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
