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

/// Ledgers that lie beside each other.
pub(crate) struct Below<'a> {
    /// Where each of them is.
    pub(crate) places: Vec<Place>,
    environment: &'a Environment,
    /// The store of what they lie below, where there is one: credentials are asked for once.
    above: Option<Objects>,
}

impl Below<'_> {
    /// The store of one of them.
    pub(crate) fn store(&self, place: &Place, application: &str) -> Result<Box<dyn Store>, StoreFault> {
        match &self.above {
            Some(above) => Ok(Box::new(above.beside(place)?)),
            None => store(place, self.environment, application),
        }
    }
}

/// All ledgers right below this place.
pub(crate) fn below<'a>(place: &Place, environment: &'a Environment) -> Result<Below<'a>, StoreFault> {
    let (places, above) = match place {
        Place::File(_) => (Vec::new(), None),
        Place::Folder(_) | Place::Bucket(_) => {
            let above = Objects::open(place, environment.all())?;
            (above.below(place)?, Some(above))
        }
        Place::Postgres(database) => {
            let names = server(database, environment, "onboard history")?.below()?;
            let of = |ledger| Place::Postgres(Database { ledger, ..database.clone() });
            (names.into_iter().map(of).collect(), None)
        }
    };
    Ok(Below { places, environment, above })
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
