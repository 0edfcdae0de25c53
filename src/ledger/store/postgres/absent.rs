//! In the store's place, where this program was built without PostgreSQL: there is no value of it.

use jiff::Timestamp;

use super::{database::Variables, promises::Promises};
use crate::ledger::store::{Created, Listed, Object, Store, StoreFault};
use crate::place::Database;

/// A log in a PostgreSQL database, of which this build has none.
#[derive(Debug)]
pub enum Postgres {}

/// Says that this build has no PostgreSQL.
pub fn open(_database: &Database, _application: &str, _variables: Variables<'_>) -> Result<Postgres, StoreFault> {
    Err(StoreFault::Unusable(
        "this onboard was built without PostgreSQL (the cargo feature `postgres`); take one that has it, or another place \
         for the ledger"
            .to_owned(),
    ))
}

impl Postgres {
    /// See [`Promises`].
    pub fn promises(&mut self) -> Result<Promises, StoreFault> {
        match *self {}
    }

    /// Makes the table.
    pub fn init(&mut self) -> Result<bool, StoreFault> {
        match *self {}
    }

    /// The names of all ledgers in the table.
    pub fn below(&mut self) -> Result<Vec<String>, StoreFault> {
        match *self {}
    }
}

impl Store for Postgres {
    fn name(&self) -> &str {
        match *self {}
    }

    fn create(&mut self, _object: &Object) -> Result<Created, StoreFault> {
        match *self {}
    }

    fn read(&mut self, _number: u64) -> Result<Option<(Vec<u8>, String)>, StoreFault> {
        match *self {}
    }

    fn read_many(&mut self, _first: u64, _at_most: usize) -> Result<Vec<(Vec<u8>, String)>, StoreFault> {
        match *self {}
    }

    fn list(&mut self) -> Result<Vec<Listed>, StoreFault> {
        match *self {}
    }

    fn told_time(&self) -> Option<(Timestamp, Timestamp)> {
        match *self {}
    }

    fn snapshot(&mut self, _name: &str) -> Result<Option<Vec<u8>>, StoreFault> {
        match *self {}
    }

    fn keep_snapshot(&mut self, _name: &str, _bytes: Vec<u8>) -> Result<bool, StoreFault> {
        match *self {}
    }

    fn probe(&mut self, _rounds: u32) -> Result<(), StoreFault> {
        match *self {}
    }
}
