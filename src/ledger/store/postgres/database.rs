//! A database, as a place names it.

#[cfg(feature = "postgres")]
use std::path::PathBuf;

/// What an environment variable says, by its name; an empty one says nothing.
pub type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// A database as the place names it; what it leaves out, the environment may say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    /// Who connects.
    pub user: Option<String>,
    /// A host, or the folder of a socket.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// The database's name.
    pub database: Option<String>,
    /// Which log of those in the table; `*` where all are looked at.
    pub ledger: String,
    /// What else stood behind the `?`.
    pub parameters: Vec<(String, String)>,
}

/// Where the server listens.
#[cfg(feature = "postgres")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Socket(PathBuf),
}
