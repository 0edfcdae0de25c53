//! The store of a place, and what lies below one.

use super::{
    Store, StoreFault,
    objects::Objects,
    postgres::{self, Postgres},
};
use crate::{
    environment::Environment,
    place::{Database, Place},
};

/// The store of this place; `application` is what a server is told that we are.
pub(crate) fn store(place: &Place, environment: &Environment, application: &str) -> Result<Box<dyn Store>, StoreFault> {
    match place {
        Place::File(_) => Err(StoreFault::Unusable("this is a file".to_owned())),
        Place::Folder(_) | Place::Bucket(_) => Ok(Box::new(Objects::open(place, environment.all())?)),
        Place::Postgres(database) => Ok(Box::new(server(database, environment, application)?)),
    }
}

/// Makes what a store needs before its first ledger.
pub(crate) fn prepare(place: &Place, environment: &Environment) -> Result<(), StoreFault> {
    match place {
        Place::Postgres(database) => server(database, environment, "onboard ledger init")?.init().map(drop),
        Place::File(_) | Place::Folder(_) | Place::Bucket(_) => Ok(()),
    }
}

/// All ledgers right below this place.
pub(crate) fn below(place: &Place, environment: &Environment) -> Result<Vec<Place>, StoreFault> {
    match place {
        Place::File(_) => Ok(Vec::new()),
        Place::Folder(_) | Place::Bucket(_) => Objects::below(place, environment.all()),
        Place::Postgres(database) => {
            let names = server(database, environment, "onboard history")?.below()?;
            Ok(names.into_iter().map(|ledger| Place::Postgres(Database { ledger, ..database.clone() })).collect())
        }
    }
}

/// What a server promises, as far as it is one.
pub(crate) fn promises(place: &Place, environment: &Environment) -> Result<Option<String>, StoreFault> {
    match place {
        Place::Postgres(database) => Ok(Some(server(database, environment, "onboard doctor")?.promises()?.told())),
        Place::File(_) | Place::Folder(_) | Place::Bucket(_) => Ok(None),
    }
}

fn server(database: &Database, environment: &Environment, application: &str) -> Result<Postgres, StoreFault> {
    postgres::open(database, application, &|name| environment.get(name).map(str::to_owned))
}
