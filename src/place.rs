//! Where the ledger lies when nobody says: the user's state directory, one file for all portals.

use std::path::{Path, PathBuf};

use crate::home::{self, at_home};

/// There is no place for the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// A CI runner's home is forgotten after the job.
    #[error(
        "under CI the ledger must be given with --ledger PATH (or ONBOARD_LEDGER), on storage that outlives the job: a \
         runner's home is forgotten, and next month everybody would be congratulated again"
    )]
    Ci,
    /// No home directory.
    #[error("there is no home directory to keep the ledger in; name a file with --ledger PATH (or ONBOARD_LEDGER)")]
    NoHome,
    /// The path begins with a home directory that nobody knows.
    #[error(transparent)]
    Path(#[from] home::NoHome),
}

/// The ledger's path: the given one, or the one of the user's state directory, unless this is CI.
#[expect(clippy::disallowed_methods, reason = "the environment says where the user's state directory is")]
pub fn ledger(given: Option<&Path>) -> Result<PathBuf, NoPlace> {
    choose(given, |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

fn choose(given: Option<&Path>, variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, NoPlace> {
    let home = || variable(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
    if let Some(path) = given {
        // No shell has seen `--ledger=~/l.db`, and none a variable that CI or systemd sets.
        return Ok(at_home(path, home().as_deref())?);
    }
    let ci = variable("CI").is_some_and(|value| matches!(value.to_str(), Some("true" | "1" | "TRUE" | "True")));
    if ci {
        return Err(NoPlace::Ci);
    }
    let state = if cfg!(windows) {
        variable("LOCALAPPDATA").or_else(|| home().map(|home| home.join("AppData").join("Local")))
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library").join("Application Support"))
    } else {
        // The specification of these directories has relative paths ignored.
        variable("XDG_STATE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| home().map(|home| home.join(".local").join("state")))
    };
    state.map(|state| state.join("onboard").join("ledger.db")).ok_or(NoPlace::NoHome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)]) -> Result<PathBuf, NoPlace> {
        choose(None, |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)))
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_lies_in_the_state_directory_unless_this_is_ci() {
        assert_eq!(chosen(&[("HOME", "/h")]), Ok("/h/.local/state/onboard/ledger.db".into()));
        assert_eq!(chosen(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]), Ok("/s/onboard/ledger.db".into()));
        assert_eq!(chosen(&[("HOME", "/h"), ("XDG_STATE_HOME", "s")]), Ok("/h/.local/state/onboard/ledger.db".into()));
        assert_eq!(chosen(&[]), Err(NoPlace::NoHome));
        assert_eq!(chosen(&[("HOME", "/h"), ("CI", "true")]), Err(NoPlace::Ci));
        assert_eq!(chosen(&[("HOME", "/h"), ("CI", "1")]), Err(NoPlace::Ci));
        assert_eq!(chosen(&[("HOME", "/h"), ("CI", "false")]), Ok("/h/.local/state/onboard/ledger.db".into()));
        assert_eq!(choose(Some(Path::new("x")), |_| Some("true".into())), Ok("x".into()));
        let home = |name: &str| (name == "HOME").then(|| "/h".into());
        assert_eq!(choose(Some(Path::new("~/l.db")), home), Ok("/h/l.db".into()));
    }
}
