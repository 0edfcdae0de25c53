//! The results: one row for each roster row, in its order, whatever happened.
//!
//! The file is written beside its place and moved there when it is whole, so that no reader sees half of it. Only its
//! owner can read it: invitation links are credentials. Cells that a spreadsheet would run are defused, reversibly.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::{
    display::Shown,
    outcome::Outcome,
    roster::{Roster, RowState},
    user::UserId,
};

/// The columns of the results, in their order; the roster's other columns follow.
pub const COLUMNS: [&str; 9] = [
    "row",
    "user_id",
    "employee_type",
    "invite_link",
    "active",
    "congratulation",
    "attempts",
    "completed_at",
    "detail",
];

/// Characters that make a spreadsheet run a cell.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Where results go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file.
    Path(PathBuf),
}

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
    /// The place is a folder.
    #[error("nothing can be written to {}: it is a directory", shown(.0))]
    Directory(PathBuf),
    /// It cannot be written there.
    #[error("{} cannot be written: {source}", shown(path))]
    Unwritable {
        /// The place.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is a file of another kind.
    #[error("{} is there and is no results file of onboard; name another with -o, or move it away", shown(.0))]
    Foreign(PathBuf),
    /// The roster would be overwritten.
    #[error("the results would overwrite the roster {}; name another file with -o", shown(.0))]
    IsRoster(PathBuf),
    /// Standard output is gone.
    #[error("the results could not be written to standard output: {0}")]
    Stdout(io::Error),
    /// The copy of the roster cannot be read again.
    #[error("the copy of the roster cannot be read again: {0}")]
    Roster(#[from] io::Error),
}

fn shown(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}

/// A cell that no spreadsheet runs: a `'` before it where it begins like a formula, or like a cell that was so defused.
pub fn neutralise(cell: &str) -> Cow<'_, str> {
    let rest = cell.trim_start_matches('\'');
    if rest.starts_with(FORMULA) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// The cell before [`neutralise`].
pub fn denature(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.trim_start_matches('\'').starts_with(FORMULA) => rest,
        Some(_) | None => cell,
    }
}

/// Makes sure, before the first request, that results can be written there.
pub fn probe(target: &Target, roster: Option<&Path>, roster_is_results: bool) -> Result<(), ResultsError> {
    let Target::Path(path) = target else { return Ok(()) };
    if path.is_dir() {
        return Err(ResultsError::Directory(path.clone()));
    }
    let real = real_path(path);
    let overwrites = roster.is_some_and(|roster| {
        fs::canonicalize(roster).ok().zip(fs::canonicalize(&real).ok()).is_some_and(|(one, other)| one == other)
    });
    if overwrites && !roster_is_results {
        return Err(ResultsError::IsRoster(path.clone()));
    }
    if !overwrites && !may_be_replaced(&real) {
        return Err(ResultsError::Foreign(path.clone()));
    }
    // A file can be made beside it, which is what writing it will need.
    temporary_beside(&real).map(drop).map_err(|source| ResultsError::Unwritable { path: path.clone(), source })
}

/// Makes sure, before the first request, that a file can be written there.
pub fn probe_place(path: &Path) -> Result<(), ResultsError> {
    if path.is_dir() {
        return Err(ResultsError::Directory(path.to_owned()));
    }
    temporary_beside(&real_path(path))
        .map(drop)
        .map_err(|source| ResultsError::Unwritable { path: path.to_owned(), source })
}

/// A file that is not there, is empty, or has our columns. Devices and pipes are written through a file's place only.
fn may_be_replaced(path: &Path) -> bool {
    let Ok(mut file) = File::open(path) else { return !path.exists() };
    if !path.is_file() {
        return false;
    }
    let mut head = [0; 256];
    let read = io::Read::read(&mut file, &mut head).unwrap_or(0);
    let head = head.get(..read).unwrap_or_default();
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    head.is_empty() || head.starts_with(COLUMNS.join(",").as_bytes())
}

/// Where a symbolic link leads, so that the link stays one.
fn real_path(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_not_there| path.to_owned())
}

/// A file beside a path, readable by its owner only, under a name that nobody else has.
fn temporary_beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new().prefix(".onboard-").suffix(".tmp").tempfile_in(folder)
}

/// Writes a file so that it is there whole or not at all; readable by its owner only.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let real = real_path(path);
    let mut file = BufWriter::new(temporary_beside(&real)?);
    write(&mut file)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(&real).map_err(|error| error.error)?;
    // The move is lasting only when the folder is written.
    #[cfg(unix)]
    if let Some(folder) = real.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
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
    use proptest::prelude::*;

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

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_them_and_a_link_stays_a_link() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").expect("written");
        std::os::unix::fs::symlink(&real, &link).expect("linked");
        write_whole(&link, |out| out.write_all(b"new")).expect("written");
        assert!(link.is_symlink());
        assert_eq!(fs::read(&real).expect("read"), b"new");
        assert_eq!(fs::metadata(&real).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_unusable_place_is_found_before_the_first_request() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| Target::Path(folder.path().join(name));
        fs::write(folder.path().join("foreign.csv"), "a,b\n1,2\n").expect("written");
        assert!(probe(&path("new.csv"), None, false).is_ok());
        assert!(matches!(probe(&path("foreign.csv"), None, false), Err(ResultsError::Foreign(_))));
        assert!(matches!(probe(&path("."), None, false), Err(ResultsError::Directory(_))));
        assert!(matches!(probe(&path("no/such/folder.csv"), None, false), Err(ResultsError::Unwritable { .. })));
        let roster = folder.path().join("foreign.csv");
        assert!(matches!(probe(&path("foreign.csv"), Some(&roster), false), Err(ResultsError::IsRoster(_))));
    }

    proptest! {
        #[test]
        fn defusing_is_undone_exactly_and_nothing_runs(cell in "['=+@\\-\t\r a]{0,6}") {
            let safe = neutralise(&cell);
            prop_assert!(!safe.starts_with(FORMULA));
            prop_assert_eq!(denature(&safe), cell.as_str());
        }
    }
}
