//! A log in a table of a PostgreSQL database: one row an object, appended by one statement that is a transaction of its own,
//! so that `PgBouncer` may stand between. Nothing is prepared, set or locked beyond a statement.
//!
//! ```text
//! database   as the place names it
//! settings   from the place and the environment's words to what a connection needs
//! password   where that comes from
//! tls        encryption
//! session    one connection
//! fault      what a refusal means
//! promises   what a server promises
//! client     the store
//! absent     in its place, where this program was built without
//! ```

#[cfg(not(feature = "postgres"))]
mod absent;
#[cfg(feature = "postgres")]
mod client;
mod database;
#[cfg(feature = "postgres")]
mod fault;
#[cfg(feature = "postgres")]
mod password;
mod promises;
#[cfg(feature = "postgres")]
mod session;
#[cfg(feature = "postgres")]
mod settings;
#[cfg(feature = "postgres")]
mod tls;

#[cfg(not(feature = "postgres"))]
pub use self::absent::{Postgres, open};
#[cfg(feature = "postgres")]
pub use self::client::{Postgres, open};
pub use self::{
    database::Variables,
    promises::{GRANTS, Promises},
};
