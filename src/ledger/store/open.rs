//! The store of a place, and what lies below one.

use super::{Store, StoreFault, objects::Objects};
use crate::{environment::Environment, place::Place};

/// The store of this place; `application` is what a server is told that we are.
pub(crate) fn store(
    place: &Place,
    environment: &Environment,
    _application: &str,
) -> Result<Box<dyn Store>, StoreFault> {
    match place {
        Place::File(_) => Err(StoreFault::Unusable("this is a file".to_owned())),
        Place::Folder(_) | Place::Bucket(_) => Ok(Box::new(Objects::open(place, environment.all())?)),
        Place::Postgres(_) => Err(StoreFault::Unusable("this build has no PostgreSQL".to_owned())),
    }
}

/// Makes what a store needs before its first ledger.
pub(crate) fn prepare(_place: &Place, _environment: &Environment) -> Result<(), StoreFault> {
    Ok(())
}

/// All ledgers right below this place.
pub(crate) fn below(place: &Place, environment: &Environment) -> Result<Vec<Place>, StoreFault> {
    match place {
        Place::File(_) => Ok(Vec::new()),
        Place::Folder(_) | Place::Bucket(_) => Objects::below(place, environment.all()),
        Place::Postgres(_) => Err(StoreFault::Unusable("this build has no PostgreSQL".to_owned())),
    }
}
