//! All files of one command, so that nothing it writes destroys something it reads, or something else it writes: a
//! ledger under a page of HTML, and everybody gets a second message.
//!
//! Files are compared by what they are (the real path; device and number where there are such), not by how they are
//! spelt. And what is replaced must look like something that was written there before by the same means: no command
//! knows the ledger of all others.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata},
    io::Read,
    path::{Path, PathBuf},
};

use crate::{display::Shown, file::real, sheet::COLUMNS};

/// What is written to a file; that decides what it may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The results of a run. Whether those may be replaced depends on the roster, and is looked at elsewhere.
    Results,
    /// The results of invitations.
    Invitations,
    /// A page of HTML.
    Page,
    /// JSON, or a JSON object a line.
    Json,
    /// A plan.
    Plan,
    /// XML.
    Xml,
    /// Metrics.
    Metrics,
    /// A roster.
    Roster,
    /// The roster of one portal. Whether a file may be replaced by one depends on the index, and is looked at elsewhere.
    Part,
    /// The index of those.
    Index,
    /// A repaired copy of a roster.
    Copy,
    /// Lines of a log, which go behind whatever is there.
    Log,
    /// A new folder, which holds nothing yet: whoever fills it looks for itself.
    Folder,
}

/// What stands at the beginning of every plan, and of no other JSON.
const PLAN: &[u8] = b"\"onboard_plan\"";

impl Kind {
    /// Whether a file that begins like this may be replaced.
    fn may_replace(self, head: &[u8]) -> bool {
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let begins = |text: &str| head.get(..text.len()).is_some_and(|head| head.eq_ignore_ascii_case(text.as_bytes()));
        match self {
            _ if head.is_empty() => true,
            Self::Results => true,
            Self::Invitations => begins("user_id,employee_type,invitation,") || begins(&COLUMNS.join(",")),
            Self::Page => begins("<!doctype html") || begins("<html"),
            Self::Json => begins("{"),
            Self::Plan => begins("{") && head.windows(PLAN.len()).any(|part| part == PLAN),
            Self::Xml => begins("<?xml") || begins("<testsuites"),
            Self::Metrics => begins("# TYPE onboard_"),
            Self::Roster => begins("user_id,employee_type,email,name"),
            Self::Part => true,
            Self::Index => {
                // A spreadsheet may have saved it since.
                let line = head.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
                let names = line.split(|byte| matches!(byte, b',' | b';' | b'\t'));
                let names: Vec<Vec<u8>> = names.map(|name| name.trim_ascii().to_ascii_lowercase()).collect();
                ["number", "portal", "file", "rows"]
                    .iter()
                    .all(|column| names.iter().any(|name| name == column.as_bytes()))
            }
            // One that has nothing to mark looks like any roster: whoever writes it looks for itself.
            Self::Copy | Self::Folder => true,
            // A database holds zeros near its begin, and no text does.
            Self::Log => !head.contains(&0),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Results | Self::Invitations => "results file of onboard",
            Self::Page => "page of HTML",
            Self::Json => "JSON",
            Self::Plan => "plan of onboard",
            Self::Xml => "XML",
            Self::Metrics => "metrics file of onboard",
            Self::Roster => "roster that onboard wrote",
            Self::Part => "roster that onboard split wrote",
            Self::Index => "index of onboard split",
            Self::Copy => "copy that --fix marked",
            Self::Log => "text",
            Self::Folder => "empty folder",
        }
    }
}

/// Why a command may not write where it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Clash {
    /// It would destroy something that it reads.
    #[error("{output} cannot go to {}: that is {input}; name another file. Nothing was done", shown(path))]
    Input {
        /// What is written.
        output: String,
        /// Where.
        path: PathBuf,
        /// What is there.
        input: String,
    },
    /// Two things would go to one file.
    #[error("{one} and {other} cannot both go to {}; name another file for one of them. Nothing was done", shown(path))]
    Outputs {
        /// What is written.
        one: String,
        /// What is written, too.
        other: String,
        /// Where.
        path: PathBuf,
    },
    /// There is a file of another kind.
    #[error(
        "{output} cannot go to {}: that file is there and is no {kind}; name another, or move it away. Nothing was done",
        shown(path)
    )]
    Foreign {
        /// What is written.
        output: String,
        /// Where.
        path: PathBuf,
        /// What may be replaced.
        kind: &'static str,
    },
    /// There is a folder.
    #[error("{output} cannot go to {}: it is a directory. Nothing was done", shown(path))]
    Directory {
        /// What is written.
        output: String,
        /// Where.
        path: PathBuf,
    },
}

fn shown(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}

/// The files of a command.
#[derive(Debug, Default)]
pub struct Files {
    inputs: Vec<(String, PathBuf)>,
    outputs: Vec<(String, PathBuf, Kind)>,
}

impl Files {
    /// Adds a file that is read, with what it is for people: `the roster`.
    #[must_use]
    pub fn reads(mut self, what: &str, path: Option<&Path>) -> Self {
        self.inputs.extend(path.map(|path| (what.to_owned(), path.to_owned())));
        self
    }

    /// Adds a ledger in a file, with everything that lies beside it.
    #[must_use]
    pub fn ledger(mut self, path: Option<&Path>) -> Self {
        let Some(path) = path else { return self };
        self.inputs.push(("the ledger".to_owned(), path.to_owned()));
        // What lies beside it lies beside its real file.
        let real = real(path);
        for suffix in ["-wal", "-shm", "-journal", ".lock"] {
            for path in [path, &real] {
                let mut beside = OsString::from(path);
                beside.push(suffix);
                self.inputs.push(("a part of the ledger".to_owned(), beside.into()));
            }
        }
        self
    }

    /// Adds a file that is written, with what that is for people: `the report (--report)`.
    #[must_use]
    pub fn writes(mut self, what: &str, path: Option<&Path>, kind: Kind) -> Self {
        self.outputs.extend(path.map(|path| (what.to_owned(), path.to_owned(), kind)));
        self
    }

    /// Whether everything may be written: before anything is opened.
    pub fn check(&self) -> Result<(), Clash> {
        let inputs: Vec<(&String, Identity)> =
            self.inputs.iter().filter_map(|(what, path)| Some((what, Identity::of(path)?))).collect();
        let mut before: Vec<(&String, Identity)> = Vec::new();
        for (what, path, kind) in &self.outputs {
            let (output, path) = (what.clone(), path.clone());
            if path.is_dir() && *kind != Kind::Folder {
                return Err(Clash::Directory { output, path });
            }
            let Some(identity) = Identity::of(&path) else { continue };
            // A run on its own results writes them anew; what the roster must be for that is looked at when it is read.
            let mut forbidden = inputs.iter().filter(|(input, _)| *kind != Kind::Results || *input != "the roster");
            if let Some((input, _)) = forbidden.find(|(_, other)| other.is_same(&identity)) {
                return Err(Clash::Input { output, path, input: (*input).clone() });
            }
            if let Some((other, _)) = before.iter().find(|(_, other)| other.is_same(&identity)) {
                return Err(Clash::Outputs { one: (*other).clone(), other: output, path });
            }
            if !head(&path).is_none_or(|head| kind.may_replace(&head)) {
                return Err(Clash::Foreign { output, path, kind: kind.name() });
            }
            before.push((what, identity));
        }
        Ok(())
    }
}

/// How a file begins, where there is one and it can be read.
fn head(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(256).read_to_end(&mut head).ok()?;
    Some(head)
}

/// What makes two spellings the same file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    path: PathBuf,
    /// Device and number, where there are such: they see through hard links and mounts.
    number: Option<(u64, u64)>,
}

impl Identity {
    /// None for what is no file: terminals, pipes and devices take whatever comes, and hold nothing.
    fn of(path: &Path) -> Option<Self> {
        if path.as_os_str().is_empty() {
            return None;
        }
        let metadata = fs::metadata(path).ok();
        if metadata.as_ref().is_some_and(|metadata| !metadata.is_file()) {
            return None;
        }
        Some(Self { path: real(path), number: metadata.as_ref().and_then(number) })
    }

    fn is_same(&self, other: &Self) -> bool {
        let spelt_alike = if cfg!(any(windows, target_os = "macos")) {
            // What is not there yet has no spelling of its own on a disk that does not tell case.
            self.path.to_string_lossy().to_lowercase() == other.path.to_string_lossy().to_lowercase()
        } else {
            self.path == other.path
        };
        spelt_alike || self.number.is_some() && self.number == other.number
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn number(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn number(_metadata: &Metadata) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clash(folder: &Path, input: &str, output: &str) -> bool {
        let (input, output) = (folder.join(input), folder.join(output));
        let files = Files::default().reads("the roster", Some(&input)).writes("the page", Some(&output), Kind::Page);
        matches!(files.check(), Err(Clash::Input { .. }))
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_known_by_what_it_is_and_not_by_how_it_is_spelt() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        fs::create_dir(folder.join("sub")).expect("made");
        fs::write(folder.join("a"), "").expect("written");
        fs::hard_link(folder.join("a"), folder.join("hard")).expect("linked");
        for (target, link) in
            [("a", "soft"), ("soft", "softer"), ("later", "dangling"), (".", "here"), ("loop", "loop")]
        {
            std::os::unix::fs::symlink(target, folder.join(link)).expect("linked");
        }
        for same in ["a", "./a", "sub/../a", "hard", "soft", "softer", "here/a", "here/here/hard"] {
            assert!(clash(folder, "a", same) && clash(folder, same, "a"), "{same}");
        }
        for (one, other) in
            [("later", "dangling"), ("here/later", "later"), ("none/x", "none/x"), ("./none/x", "here/none/x")]
        {
            assert!(clash(folder, one, other), "{one} {other}");
        }
        for (one, other) in [("a", "b"), ("a", "sub/a"), ("later", "sub/later"), ("loop", "a")] {
            assert!(!clash(folder, one, other), "{one} {other}");
        }
    }

    #[test]
    fn what_lies_beside_a_ledger_is_the_ledgers_also_where_it_is_reached_by_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("ledger.db"), "").expect("written");
        let mut spellings = vec![at("ledger.db")];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("ledger.db"), at("link")).expect("linked");
            spellings.push(at("link"));
        }
        for ledger in spellings {
            for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-journal", "ledger.db.lock"] {
                let files = Files::default().ledger(Some(&ledger)).writes("it", Some(&at(name)), Kind::Json);
                assert!(matches!(files.check(), Err(Clash::Input { .. })), "{name}");
            }
            let files = Files::default().ledger(Some(&ledger)).writes("it", Some(&at("x.json")), Kind::Json);
            assert_eq!(files.check(), Ok(()));
        }
    }

    #[test]
    fn two_outputs_are_two_files_unless_they_are_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let both = |one: &Path, other: &Path| {
            Files::default().writes("one", Some(one), Kind::Json).writes("two", Some(other), Kind::Json).check()
        };
        assert!(matches!(both(&at("x"), &at("./x")), Err(Clash::Outputs { .. })));
        assert_eq!(both(&at("x"), &at("y")), Ok(()));
        if cfg!(unix) {
            assert_eq!(both(Path::new("/dev/null"), Path::new("/dev/null")), Ok(()));
        }
    }

    #[test]
    fn only_its_own_kind_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        let database = b"SQLite format 3\0\x10\0";
        let all = [Kind::Invitations, Kind::Page, Kind::Json, Kind::Xml, Kind::Metrics, Kind::Roster, Kind::Log];
        for (content, fits) in [
            (&b""[..], &all[..]),
            (&database[..], &[]),
            (b"precious,data\n", &[Kind::Log]),
            (b"<!DOCTYPE html><html>", &[Kind::Page, Kind::Log]),
            (b"{\"version\":1}", &[Kind::Json, Kind::Log]),
            (b"<?xml version=\"1.0\"?>", &[Kind::Xml, Kind::Log]),
            (b"# TYPE onboard_exit_status gauge\n", &[Kind::Metrics, Kind::Log]),
            (b"# TYPE node_exit_status gauge\n", &[Kind::Log]),
            (b"user_id,employee_type,email,name,registered\n", &[Kind::Roster, Kind::Log]),
            (b"user_id,employee_type,invitation,invitation_detail\n", &[Kind::Invitations, Kind::Log]),
        ] {
            fs::write(&path, content).expect("written");
            for kind in all {
                let checked = Files::default().writes("it", Some(&path), kind).check();
                assert_eq!(checked.is_ok(), fits.contains(&kind), "{kind:?} over {}", String::from_utf8_lossy(content));
            }
        }
    }
}
