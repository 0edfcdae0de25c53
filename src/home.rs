//! `~`, the user's home directory, in paths that no shell has seen: settings files, the environment, `--ledger=~/l.db`.

use std::path::{Path, PathBuf};

/// A path begins with `~`, and nobody can say what that is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoHome {
    /// No home directory.
    #[error("`{0}` begins with the home directory, and there is none; give the whole path")]
    Unset(String),
    /// Somebody else's.
    #[error("`{0}` begins with another user's home directory; give the whole path (./{0} for a file of that name)")]
    Another(String),
}

/// The user's home directory.
#[expect(clippy::disallowed_methods, reason = "the environment says where the home directory is")]
pub fn home() -> Option<PathBuf> {
    let name = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    std::env::var_os(name).filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// The path with `~` at its beginning made the home directory. A folder of that name is meant by `./~`.
pub fn at_home(path: &Path, home: Option<&Path>) -> Result<PathBuf, NoHome> {
    let shown = || crate::display::Shown(&path.to_string_lossy()).to_string();
    match path.strip_prefix("~") {
        Ok(below) => {
            let home = home.ok_or_else(|| NoHome::Unset(shown()))?;
            // Joining nothing would leave a slash at the end.
            Ok(if below.as_os_str().is_empty() { home.to_owned() } else { home.join(below) })
        }
        Err(_other) if path.as_os_str().as_encoded_bytes().starts_with(b"~") && path.components().count() > 1 => {
            Err(NoHome::Another(shown()))
        }
        Err(_other) => Ok(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_directory_and_never_a_folder_of_that_name() {
        let at = |path: &str| at_home(Path::new(path), Some(Path::new("/home/anna")));
        assert_eq!(at("~/onboard/ledger.db"), Ok("/home/anna/onboard/ledger.db".into()));
        assert_eq!(at("~"), Ok("/home/anna".into()));
        for plain in ["ledger.db", "/var/~/ledger.db", "./~/ledger.db", "a~", "", "~backup.db"] {
            assert_eq!(at(plain), Ok(plain.into()));
        }
        assert_eq!(at("~ben/ledger.db"), Err(NoHome::Another("~ben/ledger.db".into())));
        assert_eq!(at_home(Path::new("~/l.db"), None), Err(NoHome::Unset("~/l.db".into())));
    }
}
