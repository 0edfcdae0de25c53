//! Where a log lies: what the log asks of a store, and no more. One call is one try; what may be tried again, and for how
//! long, is decided above (`ledger::log`).

pub mod memory;
pub mod objects;
pub(super) mod open;
pub mod postgres;
mod wire;

use std::fmt::Debug;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The SHA-256 of an object's stored bytes.
pub type Hash = [u8; 32];

/// What the first object names as the one before it.
pub const NOTHING_BEFORE: Hash = [0; 32];

/// An object that is about to be created, or was: exact bytes, under a number that counts from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its place in the log.
    pub number: u64,
    /// The hash of the one before.
    pub before: Hash,
    /// What is stored.
    pub bytes: Vec<u8>,
}

impl Object {
    /// The hash of its bytes.
    pub fn hash(&self) -> Hash {
        hash(&self.bytes)
    }

    /// Its name in a store of names.
    pub fn name(number: u64) -> String {
        format!("log/{number:020}.jsonl")
    }
}

/// The SHA-256 of bytes as they are stored.
pub fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// What came of creating an object that may not be there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is there now, by this call or (PostgreSQL) by an earlier one of the same bytes.
    Made,
    /// The store refused: something has that name, or is just getting it. Whoever asked looks what it is.
    Refused,
}

/// An object as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub number: u64,
    /// Changes whenever its bytes do (an ETag, a hash); the same bytes may get another one.
    pub mark: String,
}

/// Why a store did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// Another try may work, and this one may have had its effect: no answer, a break, 5xx, 429, a token service out of
    /// reach. The text says what happened, without the place's name and without secrets.
    #[error("{0}")]
    Passing(String),
    /// It will not work until somebody does something: no credentials, no such bucket, no right, a store that promises
    /// too little. The text says what, and what to do.
    #[error("{0}")]
    Unusable(String),
}

/// A place for one log. Calls wait for their answer, each at most 8 seconds and one try, and are made by one thread.
pub trait Store: Debug + Send {
    /// The place, as people may read it: without user, password and query.
    fn name(&self) -> &str;
    /// Creates the object if nothing has its name. One try, which the store's library must not repeat.
    fn create(&mut self, object: &Object) -> Result<Created, StoreFault>;
    /// An object's bytes and mark; nothing where nothing has that name. Tried again by itself, since it changes nothing.
    fn read(&mut self, number: u64) -> Result<Option<(Vec<u8>, String)>, StoreFault>;
    /// These objects' bytes and marks, `first` and on, at most so many, many at a time; ends early at the first that is absent.
    fn read_many(&mut self, first: u64, at_most: usize) -> Result<Vec<(Vec<u8>, String)>, StoreFault>;
    /// All objects of the log in order of their numbers.
    fn list(&mut self) -> Result<Vec<Listed>, StoreFault>;
    /// The store's own time, as its last answer told it, and this machine's at that instant.
    fn told_time(&self) -> Option<(Timestamp, Timestamp)>;
    /// A snapshot's bytes, where the store keeps some and has that one.
    fn snapshot(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreFault>;
    /// Keeps a snapshot, or says `false`: a store that needs none.
    fn keep_snapshot(&mut self, name: &str, bytes: Vec<u8>) -> Result<bool, StoreFault>;
    /// Whether this store keeps its one promise: with `rounds` 0, that it refuses to create `PREFIX/probe` again; else
    /// that many rounds of 16 creates of one new name at once over connections of their own, of which exactly one may
    /// succeed. What is left over is deleted where it may be.
    fn probe(&mut self, rounds: u32) -> Result<(), StoreFault>;
}
