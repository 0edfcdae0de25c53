//! The results: one row for each roster row, in its order, whatever happened.
//!
//! Their file is there whole or not at all ([`crate::file`]), and its owner's alone: invitation links are credentials.

use std::{
    borrow::Cow,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::{
    display::Shown,
    file::{self, PlaceError, Target, write_whole},
    outcome::Outcome,
    roster::{Roster, RowState},
    sheet::{COLUMNS, denature, neutralise},
    user::UserId,
};

/// How a row ended.
#[derive(Debug, Clone)]
pub struct Settled<'a> {
    /// The user, also where it came from an address.
    pub user: Option<UserId>,
    /// The link, or nothing.
    pub invite_link: &'a str,
    /// The portal's `isActive`, where it was learned.
    pub active: Option<bool>,
    /// The outcome.
    pub congratulation: Outcome,
    /// Requests spent on the congratulation.
    pub attempts: u32,
    /// When it was settled.
    pub completed_at: Option<Timestamp>,
    /// Why, in one line.
    pub detail: Cow<'a, str>,
}

/// What stands in a row of the results.
#[derive(Debug, Clone)]
pub enum RowResult<'a> {
    /// What this run found.
    Settled(Settled<'a>),
    /// What an earlier run found, as it was.
    CarriedOver,
}

/// Why results cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// It cannot be written there.
    #[error("{} cannot be written: {source}", Shown(&path.to_string_lossy()))]
    Unwritable {
        /// The place.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Standard output is gone.
    #[error("the results could not be written to standard output: {0}")]
    Stdout(io::Error),
    /// The copy of the roster cannot be read again.
    #[error("the copy of the roster cannot be read again: {0}")]
    Roster(#[from] io::Error),
}

/// Makes sure, before the first request, that results can be written there.
pub fn probe(target: &Target, roster: Option<&Path>, roster_is_results: bool) -> Result<(), PlaceError> {
    file::probe(target, roster, roster_is_results, &COLUMNS.join(","))
}

/// Writes the results.
pub fn write<'a>(
    roster: &Roster,
    target: &Target,
    row: impl FnMut(usize) -> RowResult<'a>,
) -> Result<(), ResultsError> {
    match target {
        Target::Stdout => {
            let mut out = BufWriter::new(io::stdout().lock());
            let written = write_to(roster, &mut out, row).and_then(|()| out.flush());
            written.map_err(|error| ResultsError::Stdout(as_it_was(error)))
        }
        Target::Path(path) => write_whole(path, |out| write_to(roster, out, row))
            .map_err(|source| ResultsError::Unwritable { path: path.clone(), source }),
    }
}

/// The error of the output itself, out of what the CSV writer makes of it: whether the reader has gone matters.
fn as_it_was(error: io::Error) -> io::Error {
    match error.downcast::<csv::Error>().map(csv::Error::into_kind) {
        Ok(csv::ErrorKind::Io(error)) | Err(error) => error,
        Ok(other) => io::Error::other(format!("{other:?}")),
    }
}

/// Writes the results, as they are in their file, to wherever they go.
pub fn write_to<'a>(
    roster: &Roster,
    out: &mut dyn Write,
    mut row: impl FnMut(usize) -> RowResult<'a>,
) -> io::Result<()> {
    if roster.has_bom() {
        out.write_all(b"\xef\xbb\xbf")?;
    }
    let columns = roster.columns();
    let mut writer = csv::Writer::from_writer(out);
    let names = columns.passed.iter().map(|(_, name)| neutralise(name));
    for name in COLUMNS.iter().map(|name| Cow::Borrowed(*name)).chain(names) {
        writer.write_field(name.as_bytes())?;
    }
    writer.write_record(None::<&[u8]>)?;
    let carried = columns.results.unwrap_or_default();
    roster.for_each(|number, entry, record, problem| -> io::Result<()> {
        let old = |column: usize| neutralised_once(record.cell(column), roster.is_results());
        let as_read = |column: Option<usize>| column.map_or(Cow::Borrowed(""), old);
        writer.write_field((number + 1).to_string())?;
        match row(number) {
            RowResult::CarriedOver => {
                for column in carried.iter().skip(1) {
                    writer.write_field(old(*column).as_bytes())?;
                }
            }
            RowResult::Settled(end) => {
                let user = end.user.map_or_else(|| as_read(columns.user_id), |user| user.to_string().into());
                writer.write_field(user.as_bytes())?;
                let kind = entry.employee_type.filter(|_| entry.state != RowState::Invalid);
                let kind = kind.map_or_else(|| as_read(columns.employee_type), |kind| kind.as_str().into());
                writer.write_field(kind.as_bytes())?;
                writer.write_field(neutralise(end.invite_link).as_bytes())?;
                writer.write_field(end.active.map_or("", |active| if active { "true" } else { "false" }))?;
                writer.write_field(end.congratulation.as_str())?;
                writer.write_field(end.attempts.to_string())?;
                writer.write_field(end.completed_at.map(|at| format!("{at:.3}")).unwrap_or_default())?;
                let problem = problem.map(|problem| problem.line(record.line, columns));
                let detail = problem.filter(|_| end.detail.is_empty()).map_or(end.detail, Cow::Owned);
                writer.write_field(neutralise(&detail).as_bytes())?;
            }
        }
        for (column, _) in &columns.passed {
            writer.write_field(old(*column).as_bytes())?;
        }
        writer.write_record(None::<&[u8]>)?;
        Ok(())
    })?;
    writer.flush()
}

/// A cell of the roster: one of a results file is defused already.
fn neutralised_once(cell: &str, is_results: bool) -> Cow<'_, str> {
    neutralise(if is_results { denature(cell) } else { cell })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::roster::Source;

    const ANN: &str = "5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10";

    fn end(outcome: Outcome) -> RowResult<'static> {
        RowResult::Settled(Settled {
            user: None,
            invite_link: "https://p.example/s/x",
            active: Some(true),
            congratulation: outcome,
            attempts: 1,
            completed_at: Timestamp::from_second(1_795_000_000).ok(),
            detail: "".into(),
        })
    }

    fn results_of(folder: &Path, roster: &[u8], row: impl FnMut(usize) -> RowResult<'static>) -> String {
        let (input, output) = (folder.join("users.csv"), folder.join("users.results.csv"));
        fs::write(&input, roster).expect("written");
        let roster = Roster::read(&Source::Path(input)).expect("a roster");
        write(&roster, &Target::Path(output.clone()), row).expect("results");
        fs::read_to_string(output).expect("read")
    }

    #[test]
    fn a_row_each_in_order_with_the_rosters_other_columns() {
        let folder = tempfile::tempdir().expect("a folder");
        let roster = format!(
            "name;user_id;type;active;key\n=1+1;{};guest;yes;secret\nZoë;nobody;User;no;\n",
            ANN.to_uppercase()
        );
        let text = results_of(folder.path(), roster.as_bytes(), |row| {
            let RowResult::Settled(mut end) = end(if row == 0 { Outcome::Sent } else { Outcome::Invalid }) else {
                panic!("settled")
            };
            end.user = (row == 0).then(|| ANN.parse().expect("a GUID"));
            RowResult::Settled(end)
        });
        assert_eq!(
            text,
            format!(
                "row,user_id,employee_type,invite_link,active,congratulation,attempts,completed_at,detail,name,roster_active\n\
                 1,{ANN},Guest,https://p.example/s/x,true,sent,1,2026-11-18T11:06:40.000Z,,'=1+1,yes\n\
                 2,nobody,User,https://p.example/s/x,true,invalid,1,2026-11-18T11:06:40.000Z,\"line 3, column user_id: \
                 `nobody` is no user id; a user id looks like 5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10\",Zoë,no\n"
            )
        );
        assert!(!text.contains("secret"));
    }

    #[test]
    fn a_results_file_is_read_and_written_without_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let roster = format!("\u{feff}user_id,type,name\n{ANN},Guest,'=a\n{ANN},User,-b\n");
        let first = results_of(folder.path(), roster.as_bytes(), |_| end(Outcome::Sent));
        assert!(first.starts_with('\u{feff}') && first.contains("''=a") && first.contains("'-b"));
        let second = results_of(folder.path(), first.as_bytes(), |_| RowResult::CarriedOver);
        assert_eq!(first, second);
    }

    #[test]
    fn results_of_a_roster_with_odd_characters_are_a_roster() {
        let folder = tempfile::tempdir().expect("a folder");
        // NULs can stand in UTF-16 only; in UTF-8 they are known as a binary file's.
        let text = format!("user_id,type,na\0me,\"a;b;c;d;e;f;g;h;i;j\"\n{ANN},User,\0,x\n\0{ANN},User,,\n");
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let results = results_of(folder.path(), &utf16, |_| end(Outcome::Sent));
        let roster = Roster::read_from(&mut results.as_bytes(), "results").expect("a roster");
        let states: Vec<RowState> = roster.rows().iter().map(|row| row.state).collect();
        assert_eq!(states, [RowState::Valid, RowState::Invalid]);
    }

    #[test]
    fn a_column_whose_name_is_defused_is_found_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let roster = "-E-Mail,type,=x,'=y\nann@x.org,User,1,2\n";
        let first = results_of(folder.path(), roster.as_bytes(), |_| end(Outcome::Sent));
        assert!(first.contains(",'-E-Mail,'=x,''=y\n"), "{first}");
        let again = Roster::read_from(&mut first.as_bytes(), "results").expect("a roster");
        assert!(again.rows().iter().all(|row| row.email.is_some() && row.state == RowState::Valid));
        assert_eq!(results_of(folder.path(), first.as_bytes(), |_| RowResult::CarriedOver), first);
    }

    #[test]
    fn an_unusable_place_is_found_before_the_first_request() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| Target::Path(folder.path().join(name));
        fs::write(folder.path().join("foreign.csv"), "a,b\n1,2\n").expect("written");
        assert!(probe(&path("new.csv"), None, false).is_ok());
        assert!(matches!(probe(&path("foreign.csv"), None, false), Err(PlaceError::Foreign(_))));
        assert!(matches!(probe(&path("."), None, false), Err(PlaceError::Directory(_))));
        assert!(matches!(probe(&path("no/such/folder.csv"), None, false), Err(PlaceError::Unwritable { .. })));
        let roster = folder.path().join("foreign.csv");
        assert!(matches!(probe(&path("foreign.csv"), Some(&roster), false), Err(PlaceError::IsRoster(_))));
    }
}
