//! Where a roster comes from, and why it cannot be used at all.

use std::{
    convert::Infallible,
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use super::reading::Role;
use crate::display::Shown;

/// Where a roster comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Standard input: `-`.
    Stdin,
    /// A file.
    Path(PathBuf),
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "-" { Self::Stdin } else { Self::Path(PathBuf::from(text)) })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::Path(path) => f.write_str(&shown(path)),
        }
    }
}

/// Why a roster cannot be used at all. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// It cannot be opened.
    #[error("cannot read the roster {}: {source}", shown(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is a folder.
    #[error("the roster {} is a directory; give a CSV file in it", shown(.0))]
    Directory(PathBuf),
    /// Reading it broke off.
    #[error("reading the roster from {name} broke off: {source}")]
    Broke {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It could not be copied.
    #[error("cannot keep a copy of the roster in the temporary directory: {source}")]
    Spool {
        /// Why not.
        source: io::Error,
    },
    /// It is no text.
    #[error("{name} is neither CSV text nor an .xlsx workbook: it is {what}")]
    NotText {
        /// Its name.
        name: String,
        /// What it looks like.
        what: &'static str,
    },
    /// It is a workbook of which nothing can be read.
    #[error("the workbook {name} {what}")]
    Workbook {
        /// Its name.
        name: String,
        /// Why not, as the rest of a sentence.
        what: String,
    },
    /// What was said of its columns contradicts itself, or it.
    #[error("{0}")]
    Mapping(String),
    /// There is nothing in it.
    #[error("the roster is empty; expected a header with user_id and employee_type")]
    Empty,
    /// The header is larger than any.
    #[error("the roster's header is too large; it holds at most 1 MiB and 16384 columns")]
    HeaderTooLarge,
    /// A needed column is not there.
    #[error("the roster has no column `{missing}`; it has {found}{}{hints}", near.as_ref().map(|near| format!(" (is `{near}` meant?)")).unwrap_or_default())]
    MissingColumn {
        /// The column.
        missing: &'static str,
        /// Those that are there, made safe to show.
        found: String,
        /// One of nearly this name.
        near: Option<String>,
        /// What may be meant by what the columns hold, in the words to type.
        hints: String,
        /// Another one that is missing, too.
        also: Option<Role>,
    },
    /// Whole lines are cells.
    #[error(
        "the first line of the roster holds the whole header in one cell (`{cell}`): its lines stand in quotes; save it \
         again with a separator between the cells"
    )]
    LinesInQuotes {
        /// The cell, made safe to show.
        cell: String,
    },
    /// The header stands further down.
    #[error(
        "the first {first} of the roster is no header; the header seems to be on {place}: remove what stands above it"
    )]
    HeaderBelow {
        /// What the roster has: lines, or rows.
        first: &'static str,
        /// Its physical line, from 1, or its row.
        place: String,
    },
    /// A stray quote in the header.
    #[error(
        "the quote that opens on line {line}, in the roster's header, takes in more than its cell; remove it, or double \
         it if it is meant"
    )]
    HeaderQuote {
        /// The physical line, from 1.
        line: u64,
    },
    /// Two headers mean the same.
    #[error("the roster has two columns for {name}: `{first}` and `{second}`; rename or remove one")]
    TwoColumns {
        /// The column.
        name: &'static str,
        /// One header.
        first: String,
        /// The other.
        second: String,
    },
    /// It is for several portals, and what is done goes to one.
    #[error(
        "the roster names more than one portal (`{first}` and `{other}`), and every row would go to the same one; make a \
         roster for each with `onboard split`. Nothing was sent"
    )]
    TwoPortals {
        /// One of them, made safe to show.
        first: String,
        /// Another one.
        other: String,
    },
    /// A quote is never closed.
    #[error(
        "the quote that opens on line {line} of the roster is never closed; close it, or double it if it is meant. If the file was cut there, get it whole"
    )]
    OpenQuote {
        /// The physical line, from 1.
        line: u64,
    },
    /// More rows than can be counted.
    #[error("the roster has more than 4 billion rows")]
    TooManyRows,
}

/// A path, safe to show.
pub(super) fn shown(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}
