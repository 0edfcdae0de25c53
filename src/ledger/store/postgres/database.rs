//! What a database's place does not say by itself: the environment, and where a server listens.

#[cfg(feature = "postgres")]
use std::path::PathBuf;

/// What an environment variable says, by its name; an empty one says nothing.
pub type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// Where the server listens.
#[cfg(feature = "postgres")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Socket(PathBuf),
}
