//! The results: one row for each roster row, in its order, whatever happened.
//!
//! Their file is there whole or not at all ([`crate::file`]), and its owner's alone: invitation links are credentials.

use std::{
    borrow::Cow,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{
    attempt::Mail,
    display::Shown,
    file::{self, PlaceError, Target, write_whole},
    mail,
    outcome::RowEnd,
    roster::{Problem, Record, Roster, Row, RowState},
    sheet::{COLUMNS, denature, neutralise},
};

/// The columns of the results of invitations; the roster's other columns follow.
const INVITATION_COLUMNS: [&str; 4] = ["user_id", "employee_type", "invitation", "invitation_detail"];

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

/// Makes sure, before the first request, that results of this mail can be written there.
pub fn probe(mail: Mail, target: &Target, roster: Option<&Path>, roster_is_results: bool) -> Result<(), PlaceError> {
    match (mail, target) {
        (Mail::Congratulation, _) => file::probe(target, roster, roster_is_results, &COLUMNS),
        // The results of a run may have these columns too, passed through.
        (Mail::Invitation, Target::Path(path)) if file::has_columns(path, &COLUMNS) => {
            Err(PlaceError::Foreign(path.clone()))
        }
        (Mail::Invitation, _) => file::probe(target, roster, false, &INVITATION_COLUMNS),
    }
}

/// Writes the results of this mail. A row without an end is carried over: it stays as an earlier run left it.
pub fn write<'a>(
    mail: Mail,
    roster: &Roster,
    target: &Target,
    row: impl FnMut(usize) -> Option<RowEnd<'a>>,
) -> Result<(), ResultsError> {
    match target {
        Target::Stdout => {
            let mut out = BufWriter::new(io::stdout().lock());
            let written = write_to(mail, roster, &mut out, row).and_then(|()| out.flush());
            written.map_err(|error| ResultsError::Stdout(as_it_was(error)))
        }
        Target::Path(path) => write_whole(path, |out| write_to(mail, roster, out, row))
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
    mail: Mail,
    roster: &Roster,
    out: &mut dyn Write,
    row: impl FnMut(usize) -> Option<RowEnd<'a>>,
) -> io::Result<()> {
    if roster.has_bom() {
        out.write_all(b"\xef\xbb\xbf")?;
    }
    match mail {
        Mail::Congratulation => write_rows(roster, out, &COLUMNS, row, congratulation),
        Mail::Invitation => write_rows(roster, out, &INVITATION_COLUMNS, row, invitation),
    }
}

/// A row that is written: its number, from 0, and what the roster says of it.
struct Place<'a> {
    roster: &'a Roster,
    number: usize,
    entry: &'a Row,
    record: &'a Record,
    problem: Option<&'a Problem>,
}

impl Place<'_> {
    /// A cell of the roster, as it was read.
    fn old(&self, column: usize) -> Cow<'_, str> {
        neutralised_once(self.record.cell(column), self.roster.is_defused(column))
    }

    fn as_read(&self, column: Option<usize>) -> Cow<'_, str> {
        column.map_or(Cow::Borrowed(""), |column| self.old(column))
    }

    /// The user and the employee type: canonical where they can be used, else as they were read.
    fn who(&self, end: &RowEnd<'_>) -> [Cow<'_, str>; 2] {
        let columns = self.roster.columns();
        let user = end.user.map_or_else(|| self.as_read(columns.user_id), |user| user.to_string().into());
        let kind = self.entry.employee_type.filter(|_| self.entry.state != RowState::Invalid);
        [user, kind.map_or_else(|| self.as_read(columns.employee_type), |kind| kind.as_str().into())]
    }

    /// Why, and what is wrong with the row where nothing else is said.
    fn detail<'e>(&self, end: &'e RowEnd<'_>) -> Cow<'e, str> {
        let problem = self.problem.map(|problem| problem.line(self.record.line, self.roster.columns()));
        problem.filter(|_| end.detail.is_empty()).map_or(Cow::Borrowed(&*end.detail), Cow::Owned)
    }
}

fn write_rows<'a>(
    roster: &Roster,
    out: &mut dyn Write,
    names: &[&str],
    mut row: impl FnMut(usize) -> Option<RowEnd<'a>>,
    settled: impl Fn(&mut csv::Writer<&mut dyn Write>, &Place<'_>, &RowEnd<'_>) -> csv::Result<()>,
) -> io::Result<()> {
    let columns = roster.columns();
    let mut writer = csv::Writer::from_writer(out);
    let passed = columns.passed.iter().map(|(_, name)| neutralise(name));
    for name in names.iter().map(|name| Cow::Borrowed(*name)).chain(passed) {
        writer.write_field(name.as_bytes())?;
    }
    writer.write_record(None::<&[u8]>)?;
    let carried = columns.results.unwrap_or_default();
    roster.for_each(|number, entry, record, problem| -> io::Result<()> {
        let place = Place { roster, number, entry, record, problem: problem.as_ref() };
        if let Some(end) = row(number) {
            settled(&mut writer, &place, &end)?;
        } else {
            writer.write_field((number + 1).to_string())?;
            for column in carried.iter().skip(1) {
                writer.write_field(place.old(*column).as_bytes())?;
            }
        }
        for (column, _) in &columns.passed {
            writer.write_field(place.old(*column).as_bytes())?;
        }
        writer.write_record(None::<&[u8]>)?;
        Ok(())
    })?;
    writer.flush()
}

/// The cells of [`COLUMNS`].
fn congratulation(writer: &mut csv::Writer<&mut dyn Write>, place: &Place<'_>, end: &RowEnd<'_>) -> csv::Result<()> {
    let [user, kind] = place.who(end);
    writer.write_field((place.number + 1).to_string())?;
    writer.write_field(user.as_bytes())?;
    writer.write_field(kind.as_bytes())?;
    writer.write_field(neutralise(end.link).as_bytes())?;
    writer.write_field(end.active.map_or("", |active| if active { "true" } else { "false" }))?;
    writer.write_field(end.outcome.as_str())?;
    writer.write_field(end.attempts.to_string())?;
    writer.write_field(end.completed_at.map(|at| format!("{at:.3}")).unwrap_or_default())?;
    writer.write_field(neutralise(&place.detail(end)).as_bytes())
}

/// The cells of [`INVITATION_COLUMNS`].
fn invitation(writer: &mut csv::Writer<&mut dyn Write>, place: &Place<'_>, end: &RowEnd<'_>) -> csv::Result<()> {
    for cell in place.who(end) {
        writer.write_field(cell.as_bytes())?;
    }
    writer.write_field(mail::word(Mail::Invitation, end.outcome))?;
    writer.write_field(neutralise(&place.detail(end)).as_bytes())
}

/// A cell of the roster: one of a results file is defused already, and so is one that `onboard split` wrote.
fn neutralised_once(cell: &str, is_defused: bool) -> Cow<'_, str> {
    neutralise(if is_defused { denature(cell) } else { cell })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{outcome::Outcome, roster::Source};

    const ANN: &str = "5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10";

    #[expect(clippy::unnecessary_wraps, reason = "a row may have no end")]
    fn end(outcome: Outcome) -> Option<RowEnd<'static>> {
        Some(RowEnd {
            user: None,
            link: "https://p.example/s/x",
            active: Some(true),
            outcome,
            attempts: 1,
            completed_at: jiff::Timestamp::from_second(1_795_000_000).ok(),
            reason: None,
            detail: "".into(),
        })
    }

    fn results_of(folder: &Path, roster: &[u8], row: impl FnMut(usize) -> Option<RowEnd<'static>>) -> String {
        let (input, output) = (folder.join("users.csv"), folder.join("users.results.csv"));
        fs::write(&input, roster).expect("written");
        let roster = Roster::read(&Source::Path(input)).expect("a roster");
        write(Mail::Congratulation, &roster, &Target::Path(output.clone()), row).expect("results");
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
            let Some(mut end) = end(if row == 0 { Outcome::Sent } else { Outcome::Invalid }) else { panic!("settled") };
            end.user = (row == 0).then(|| ANN.parse().expect("a GUID"));
            Some(end)
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
        let second = results_of(folder.path(), first.as_bytes(), |_| None);
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
        assert_eq!(results_of(folder.path(), first.as_bytes(), |_| None), first);
    }

    #[test]
    fn an_unusable_place_is_found_before_the_first_request() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| Target::Path(folder.path().join(name));
        fs::write(folder.path().join("foreign.csv"), "a,b\n1,2\n").expect("written");
        assert!(probe(Mail::Congratulation, &path("new.csv"), None, false).is_ok());
        assert!(matches!(probe(Mail::Congratulation, &path("foreign.csv"), None, false), Err(PlaceError::Foreign(_))));
        assert!(matches!(probe(Mail::Congratulation, &path("."), None, false), Err(PlaceError::Directory(_))));
        assert!(matches!(
            probe(Mail::Congratulation, &path("no/such/folder.csv"), None, false),
            Err(PlaceError::Unwritable { .. })
        ));
        let roster = folder.path().join("foreign.csv");
        assert!(matches!(
            probe(Mail::Congratulation, &path("foreign.csv"), Some(&roster), false),
            Err(PlaceError::IsRoster(_))
        ));
    }
}
