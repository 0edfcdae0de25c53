//! A log in memory: for tests, and for whatever simulates several machines. Copies share one log.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use super::{Created, Listed, Object, Store, StoreFault, hash};

/// A log in memory.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    objects: BTreeMap<u64, Vec<u8>>,
    snapshots: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts other bytes in an object's place, or none: what no log should meet.
    pub fn tamper(&self, number: u64, bytes: Option<Vec<u8>>) {
        let mut contents = self.contents();
        match bytes {
            Some(bytes) => drop(contents.objects.insert(number, bytes)),
            None => drop(contents.objects.remove(&number)),
        }
    }
}

fn mark(bytes: &[u8]) -> String {
    format!("{:?}", hash(bytes))
}

impl Store for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn create(&mut self, object: &Object) -> Result<Created, StoreFault> {
        let mut contents = self.contents();
        if contents.objects.contains_key(&object.number) {
            return Ok(Created::Refused);
        }
        contents.objects.insert(object.number, object.bytes.clone());
        Ok(Created::Made)
    }

    fn read(&mut self, number: u64) -> Result<Option<(Vec<u8>, String)>, StoreFault> {
        Ok(self.contents().objects.get(&number).map(|bytes| (bytes.clone(), mark(bytes))))
    }

    fn read_many(&mut self, first: u64, at_most: usize) -> Result<Vec<(Vec<u8>, String)>, StoreFault> {
        let contents = self.contents();
        let there = (first..).map_while(|number| contents.objects.get(&number)).take(at_most);
        Ok(there.map(|bytes| (bytes.clone(), mark(bytes))).collect())
    }

    fn list(&mut self) -> Result<Vec<Listed>, StoreFault> {
        let contents = self.contents();
        Ok(contents.objects.iter().map(|(number, bytes)| Listed { number: *number, mark: mark(bytes) }).collect())
    }

    fn told_time(&self) -> Option<(Timestamp, Timestamp)> {
        None
    }

    fn snapshot(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.contents().snapshots.get(name).cloned())
    }

    fn keep_snapshot(&mut self, name: &str, bytes: Vec<u8>) -> Result<bool, StoreFault> {
        self.contents().snapshots.insert(name.to_owned(), bytes);
        Ok(true)
    }

    fn probe(&mut self, _rounds: u32) -> Result<(), StoreFault> {
        Ok(())
    }
}
