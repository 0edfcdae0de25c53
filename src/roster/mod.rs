//! The roster: who is to be onboarded, from whatever file a spreadsheet wrote.
//!
//! It is read once, at the start, into a copy that nobody else can change; what is kept in memory of a row is its user,
//! its type and its state, never its cells. Those are read again from the copy when the results are written. Reading
//! never fails for a row: a row that cannot be used is `invalid`, and the others go on.

mod address;
mod copied;
pub mod diagnostics;
mod error;
pub mod fix;
mod guess;
mod header;
pub mod parts;
mod reading;
mod records;
mod remarks;
mod row;
mod sheet_cell;
mod spool;
mod swallowed;
mod text;
mod unmapped;
mod workbook;

use std::{
    borrow::Cow,
    cell::RefCell,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

pub use self::{
    error::{RosterError, Source},
    header::Columns,
    reading::{Mapped, MappedType, Reading, Role},
    records::Record,
    row::Problem,
    text::{MAX_CELL, MAX_COLUMNS, MAX_RECORD},
};
use self::{
    guess::Tallies,
    records::{Records, RecordsError},
    remarks::{Portals, TwoTypes},
    sheet_cell::quoted,
    spool::{Encoding, Spool},
    unmapped::Unmapped,
};
use crate::{
    display::{Shown, count},
    outcome::Outcome,
    sheet::denature,
    user::{Email, EmailDigest, EmployeeType, UserId},
};

/// What is kept of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The user, where the roster gives a usable id.
    pub user: Option<UserId>,
    /// The user's address, where the roster gives a usable one.
    pub email: Option<EmailDigest>,
    /// What the user is to become.
    pub employee_type: Option<EmployeeType>,
    /// Whether it can be used.
    pub state: RowState,
    /// The outcome of the run that wrote it, in a results file.
    pub previous: Option<Outcome>,
}

/// Whether a row can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// It can.
    Valid,
    /// It cannot.
    Invalid,
    /// It can, but the user stands in an earlier row, of this number (from 1).
    Duplicate {
        /// The first row of the user.
        of: u32,
    },
}

/// A roster, read.
#[derive(Debug)]
pub struct Roster {
    spool: Spool,
    delimiter: u8,
    columns: Columns,
    rows: Vec<Row>,
    keys: Option<Texts>,
    emails: Option<Texts>,
    /// Whether a line that names the separator stands above the header.
    skipped: bool,
    /// How many rows have a key of their own.
    keys_given: u64,
    portals: Portals,
    /// Words that are no employee types.
    unmapped: Unmapped,
    /// The first users with two types, and how many there are.
    two_types: Vec<TwoTypes>,
    two_types_count: u64,
    warnings: Vec<String>,
    /// Rows of a sheet with something beyond the header, how many they are and where the first has it.
    beyond: Option<(u64, String)>,
    /// The line of the last row, where the text ends in it; and whether cells are missing there.
    cut: Option<(u64, bool)>,
}

impl Roster {
    /// Reads a roster to its end.
    pub fn read(source: &Source) -> Result<Self, RosterError> {
        Self::read_as(source, &Reading::default())
    }

    /// Reads a roster to its end, as somebody says that it is to be read.
    pub fn read_as(source: &Source, reading: &Reading) -> Result<Self, RosterError> {
        Self::of(Spool::copy(source)?, reading)
    }

    /// Reads a roster to its end, from wherever it comes; the name is for errors.
    pub fn read_from(source: &mut dyn Read, name: &str) -> Result<Self, RosterError> {
        Self::read_from_as(source, name, &Reading::default())
    }

    /// The same, as somebody says that it is to be read.
    pub fn read_from_as(source: &mut dyn Read, name: &str, reading: &Reading) -> Result<Self, RosterError> {
        Self::of(Spool::copy_from(source, name)?, reading)
    }

    fn of(spool: Spool, reading: &Reading) -> Result<Self, RosterError> {
        let failed = |source| RosterError::Spool { source };
        if let Some(contradiction) = reading.contradiction() {
            return Err(RosterError::Mapping(contradiction));
        }
        let spool =
            spool.unfold(reading.sheet.as_deref(), &|names| Columns::read(named(names.iter()), reading).is_ok())?;
        let sheet = spool.sheet.as_ref().map(|sheet| quoted(&sheet.name));
        if let (Some(wanted), None) = (&reading.sheet, &sheet) {
            return Err(RosterError::Mapping(format!(
                "--sheet {} is for workbooks, and the roster is a text; leave it off",
                crate::display::shell_word(&Shown(wanted).to_string())
            )));
        }
        let separators = records::separators(spool.text().map_err(failed)?).map_err(failed)?;
        let mut refused = RosterError::Empty;
        for (place, delimiter) in separators.candidates.iter().copied().enumerate() {
            let mut records = Records::new(spool.text().map_err(failed)?, delimiter);
            let mut record = Record::default();
            // Excel's own first line is no header.
            if separators.are_named && !next(&mut records, &mut record)? {
                return Err(RosterError::Empty);
            }
            match header(&mut records, reading) {
                Ok(mut columns) => {
                    columns.sheet.clone_from(&sheet);
                    if let Some(sheet) = &spool.sheet {
                        let needed = [columns.user_id, columns.email, columns.employee_type, columns.key];
                        let needed: Vec<usize> = needed.into_iter().flatten().collect();
                        columns.merged = sheet.merged.of(&needed);
                    }
                    let mut roster = Self {
                        spool,
                        delimiter,
                        rows: Vec::new(),
                        keys: None,
                        emails: None,
                        columns,
                        skipped: separators.are_named,
                        keys_given: 0,
                        portals: Portals::default(),
                        unmapped: Unmapped::default(),
                        two_types: Vec::new(),
                        two_types_count: 0,
                        warnings: Vec::new(),
                        beyond: None,
                        cut: None,
                    };
                    roster.read_rows(&mut records, &mut record)?;
                    roster.mark_duplicates();
                    roster.warnings = roster.warnings_made().map_err(failed)?;
                    return Ok(roster);
                }
                // What is told is about the likeliest separator.
                Err(error) if place == 0 => refused = error,
                Err(_) => {}
            }
        }
        if matches!(refused, RosterError::MissingColumn { .. })
            && let Some(line) = header_below(&spool, reading)?
        {
            let (first, place) = match &sheet {
                Some(sheet) => ("row", format!("row {line} of the sheet {}", Shown(sheet))),
                None => ("line", format!("line {line}")),
            };
            return Err(RosterError::HeaderBelow { first, place });
        }
        if let RosterError::MissingColumn { missing, hints, also, .. } = &mut refused {
            let delimiter = separators.candidates.first().copied().unwrap_or(b',');
            let missing: Vec<Role> = missing.parse().ok().into_iter().chain(*also).collect();
            *hints = guessed(&spool, delimiter, separators.are_named, &missing, reading)?;
        }
        Err(refused)
    }

    fn read_rows(&mut self, records: &mut Records, record: &mut Record) -> Result<(), RosterError> {
        let failed = |source| RosterError::Spool { source };
        let mut keys = self.columns.key.map(|_| TextsWriter::new()).transpose().map_err(failed)?;
        let mut emails = self.columns.email.map(|_| TextsWriter::new()).transpose().map_err(failed)?;
        let portal = remarks::portal_column(&self.columns);
        while next(records, record)? {
            if let Some(column) = portal {
                self.portals.note(record.cell(column));
            }
            if self.rows.len() >= u32::MAX as usize {
                return Err(RosterError::TooManyRows);
            }
            let is_short = record.width() < self.columns.names.len();
            self.cut = record.is_cut.then_some((record.line, is_short));
            let previous = self.columns.outcome.and_then(|column| record.cell(column).parse().ok());
            let blank = Row { user: None, email: None, employee_type: None, state: RowState::Invalid, previous };
            let parsed = row::parse(record, &self.columns).ok();
            if let Some(beyond) = row::beyond(record, &self.columns) {
                let place = || (0, self.columns.place(record.line, Some(beyond)));
                self.beyond.get_or_insert_with(place).0 += 1;
            }
            if let (None, Some(column)) = (&parsed, self.columns.employee_type)
                && !row::is_no_text(record, column, &self.columns)
            {
                self.unmapped.note(record.cell(column), &self.columns.reading);
            }
            if let Some(keys) = &mut keys {
                self.keys_given += u64::from(parsed.as_ref().is_some_and(|parsed| parsed.key.is_some()));
                keys.push(parsed.as_ref().and_then(|parsed| parsed.key.as_deref())).map_err(failed)?;
            }
            if let Some(emails) = &mut emails {
                emails
                    .push(parsed.as_ref().and_then(|parsed| parsed.email.as_ref().map(Email::as_str)))
                    .map_err(failed)?;
            }
            self.rows.push(parsed.map_or(blank, |parsed| Row {
                user: parsed.user,
                email: parsed.email.as_ref().map(Email::digest),
                employee_type: Some(parsed.employee_type),
                state: RowState::Valid,
                previous,
            }));
        }
        self.keys = keys.map(TextsWriter::finish).transpose().map_err(failed)?;
        self.emails = emails.map(TextsWriter::finish).transpose().map_err(failed)?;
        Ok(())
    }

    /// Rows of one user after the first are duplicates: by id, and by address where one of the two has no id.
    fn mark_duplicates(&mut self) {
        let mut order: Vec<u32> =
            (0u32..).zip(&self.rows).filter(|(_, row)| row.user.is_some()).map(|(at, _)| at).collect();
        self.mark_same(&mut order, |row| row.user.map(|user| *user.as_bytes()), |_, _| true);
        let mut order: Vec<u32> = (0u32..)
            .zip(&self.rows)
            .filter(|(_, row)| row.email.is_some() && row.state == RowState::Valid)
            .map(|(at, _)| at)
            .collect();
        self.mark_same(
            &mut order,
            |row| row.email.map(|email| email.0),
            |leader, row| leader.user.is_none() || row.user.is_none(),
        );
    }

    fn mark_same(
        &mut self,
        order: &mut [u32],
        whose: impl Fn(&Row) -> Option<[u8; 16]>,
        same: impl Fn(&Row, &Row) -> bool,
    ) {
        order.sort_unstable_by_key(|at| (self.rows.get(*at as usize).and_then(&whose), *at));
        let mut leader: Option<u32> = None;
        for at in order {
            let (Some(row), lead) = (self.rows.get(*at as usize), leader.and_then(|lead| self.rows.get(lead as usize)))
            else {
                continue;
            };
            match (leader, lead) {
                (Some(number), Some(lead)) if whose(lead) == whose(row) && same(lead, row) => {
                    if lead.employee_type != row.employee_type {
                        self.two_types_count += 1;
                        if self.two_types.len() < remarks::NAMED {
                            self.two_types.push(TwoTypes { first: number, other: *at });
                        }
                    }
                    if let Some(row) = self.rows.get_mut(*at as usize) {
                        row.state = RowState::Duplicate { of: number + 1 };
                    }
                }
                _ => leader = Some(*at),
            }
        }
    }

    /// The rows, in the roster's order; row `i` here is row `i + 1` for people.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The columns.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// What should be said once about the file, whatever is done with it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The same, but for what is said of columns that nothing is done about: for whoever does something about them.
    pub fn warnings_apart_from_portals(&self) -> impl Iterator<Item = &str> {
        let about = remarks::not_acted_upon(&self.columns, &self.portals);
        self.warnings.iter().map(String::as_str).filter(move |warning| !about.iter().any(|said| said == warning))
    }

    /// What somebody who looks at the roster should know besides: whose key is whose, and who may do everything.
    pub fn notes(&self) -> Vec<String> {
        let key = remarks::taken_for_key(&self.columns, self.keys_given);
        let admins = self.admins();
        let admins = (admins > 0).then(|| {
            format!(
                "{} for DocSpaceAdmin, who manages the whole portal",
                match admins {
                    1 => "1 row is".to_owned(),
                    more => format!("{} are", count(more, "row")),
                }
            )
        });
        let everybody = self.columns.reading.employee_type.and_then(|kind| {
            let name = self.columns.names.get(self.columns.employee_type?)?;
            Some(format!(
                "--type {} is not used, since the roster's column `{}` says what each is to become",
                kind.as_str(),
                Shown(name)
            ))
        });
        let cut = self.cut.filter(|(_, is_short)| !is_short).map(|(line, _)| {
            format!("the last line ({line}) has no line end; if the file was cut while it was copied, rows are missing")
        });
        key.into_iter().chain(cut).chain(everybody).chain(admins).collect()
    }

    /// Which column may be the one of addresses, where none is: the end of a sentence, in the words to type.
    pub fn guessed_addresses(&self) -> Result<String, RosterError> {
        guessed(&self.spool, self.delimiter, self.skipped, &[Role::Email], &self.columns.reading)
    }

    /// Warnings and notes, each as the line in which whoever looks at the roster is told of it.
    pub fn said_aloud(&self) -> impl Iterator<Item = String> {
        let warnings = self.warnings.iter().map(|warning| format!("warning: {warning}"));
        warnings.chain(self.notes().into_iter().map(|note| format!("note: {note}")))
    }

    /// How many rows make somebody a `DocSpaceAdmin`.
    pub fn admins(&self) -> u64 {
        let is_one =
            |row: &&Row| row.state == RowState::Valid && row.employee_type == Some(EmployeeType::DocSpaceAdmin);
        u64::try_from(self.rows.iter().filter(is_one).count()).unwrap_or(u64::MAX)
    }

    /// Refuses a roster whose column of portals names more than one: no run can be right for both.
    pub fn is_for_one_portal(&self) -> Result<(), RosterError> {
        let shown = |text: &str| Shown(text).to_string();
        self.portals
            .two()
            .map_or(Ok(()), |(first, other)| Err(RosterError::TwoPortals { first: shown(first), other: shown(other) }))
    }

    fn warnings_made(&self) -> io::Result<Vec<String>> {
        let mut said = Vec::new();
        match self.spool.encoding {
            Encoding::Utf8 | Encoding::Utf16Le | Encoding::Utf16Be => {}
            Encoding::Windows1252 => said.push(
                "the roster is not valid UTF-8 and was read as windows-1252; if names look wrong, save it as UTF-8"
                    .to_owned(),
            ),
            Encoding::Mixed => said.push(
                "the roster is UTF-8, but some bytes in it are not; cells with such bytes were read as windows-1252, and \
                 no id, address or type is taken from them. Save it as UTF-8"
                    .to_owned(),
            ),
        }
        if self.rows.is_empty() {
            said.push("the roster has a header and no rows, so there is nobody to do anything for".to_owned());
        }
        said.extend(self.spool.sheet.iter().flat_map(|sheet| sheet.warnings.iter().cloned()));
        if let Some((line, true)) = self.cut {
            said.push(format!(
                "the last line ({line}) has neither all its cells nor an end: the roster seems to be cut off there; get it \
                 whole before anything is done with it"
            ));
        }
        if let Some((rows, first)) = &self.beyond {
            said.push(format!(
                "{} beyond the last column of the header, the first at {}: it is not read and not carried into the results; \
                 where it matters, give its column a name",
                match rows {
                    1 => "1 row has something".to_owned(),
                    more => format!("{} have something", count(*more, "row")),
                },
                Shown(first)
            ));
        }
        said.extend(self.unmapped.told());
        said.extend(remarks::not_acted_upon(&self.columns, &self.portals));
        said.extend(remarks::two_types(&self.lines_of_two_types()?, self.two_types_count, &self.columns));
        Ok(said)
    }

    /// The physical lines of the rows whose user has two types; they are looked up only where there are any.
    fn lines_of_two_types(&self) -> io::Result<Vec<(u64, u64)>> {
        let mut lines = vec![(0, 0); self.two_types.len()];
        if lines.is_empty() {
            return Ok(lines);
        }
        self.for_each(|number, _, record, _| -> io::Result<()> {
            for (pair, lines) in self.two_types.iter().zip(&mut lines) {
                if pair.first as usize == number {
                    lines.0 = record.line;
                }
                if pair.other as usize == number {
                    lines.1 = record.line;
                }
            }
            Ok(())
        })?;
        Ok(lines)
    }

    /// The SHA-256 of the file's bytes.
    pub fn sha256(&self) -> [u8; 32] {
        self.spool.sha256
    }

    /// Whether it began with a byte-order mark.
    pub fn has_bom(&self) -> bool {
        // Results of a workbook go to people who open them in Excel, which needs one.
        self.spool.has_bom || self.spool.sheet.is_some()
    }

    /// The name of the sheet, of a workbook.
    pub fn sheet(&self) -> Option<&str> {
        self.spool.sheet.as_ref().map(|sheet| sheet.name.as_str())
    }

    /// Where a row or a cell is in a workbook, as Excel has it, safe to show; a text has lines instead.
    pub fn in_sheet(&self, row: u64, column: Option<usize>) -> Option<String> {
        self.columns.sheet.as_ref().map(|_sheet| Shown(&self.columns.place(row, column)).to_string())
    }

    /// Whether its bytes are UTF-8 without a mark: what else it was, a spreadsheet must be told by a mark.
    fn is_plain_utf8(&self) -> bool {
        self.spool.encoding == Encoding::Utf8 && !self.has_bom()
    }

    /// Whether it is a results file.
    pub fn is_results(&self) -> bool {
        self.columns.results.is_some()
    }

    /// How its bytes became text, for people: `UTF-8`, `windows-1252`.
    pub fn encoding(&self) -> &'static str {
        self.spool.encoding.name()
    }

    /// The separator of its cells.
    pub fn delimiter(&self) -> char {
        char::from(self.delimiter)
    }

    /// The address of a row (from 0).
    pub fn email(&self, row: usize) -> io::Result<Option<Email>> {
        let text = self.emails.as_ref().map_or(Ok(None), |texts| texts.get(row))?;
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// The congratulation key of a row (from 0), where it has its own.
    pub fn key(&self, row: usize) -> io::Result<Option<String>> {
        self.keys.as_ref().map_or(Ok(None), |texts| texts.get(row))
    }

    /// The text of a cell, as it is meant: without blanks around it, and without what keeps spreadsheets from running it
    /// or from reading it as a number.
    pub fn text<'r>(&self, record: &'r Record, column: usize) -> Cow<'r, str> {
        let cell = record.cell(column);
        row::clean(if self.is_defused(column) { denature(cell) } else { cell }, &self.columns)
    }

    /// Whether cells of a column were defused when the roster was written.
    pub fn is_defused(&self, column: usize) -> bool {
        self.columns.is_defused(column)
    }

    /// The first portal that its column of portals names, as it stands there.
    pub fn named_portal(&self) -> Option<&str> {
        self.portals.first()
    }

    /// Reads all rows again, in order: each with its record, and its problem where it has one.
    pub fn for_each<E: From<io::Error>>(
        &self,
        mut visit: impl FnMut(usize, &Row, &Record, Option<Problem>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut records = Records::new(self.spool.text()?, self.delimiter);
        let mut record = Record::default();
        let mut above = 1 + usize::from(self.skipped);
        let mut rows = self.rows.iter().enumerate();
        loop {
            match records.read(&mut record) {
                Ok(true) if above > 0 => above -= 1,
                Ok(true) => {
                    let Some((number, row)) = rows.next() else { break };
                    let problem =
                        (row.state == RowState::Invalid).then(|| row::parse(&record, &self.columns).err()).flatten();
                    visit(number, row, &record, problem)?;
                }
                Ok(false) => break,
                Err(RecordsError::Io(error)) => return Err(error.into()),
                Err(RecordsError::OpenQuote(_)) => break,
            }
        }
        Ok(())
    }
}

/// The columns, from the first record.
fn header(records: &mut Records, reading: &Reading) -> Result<Columns, RosterError> {
    let mut record = Record::default();
    if !next(records, &mut record)? {
        return Err(RosterError::Empty);
    }
    if record.too_large {
        return Err(RosterError::HeaderTooLarge);
    }
    let columns = Columns::read(named(record.cells()), reading)?;
    let stray = swallowed::rows(&record, &columns).map(|swallowed| swallowed.quote).or(record.trailing);
    stray.map_or(Ok(columns), |quote| Err(RosterError::HeaderQuote { line: quote.opens }))
}

/// The names of columns. A NUL in one would make the results look like a binary file.
fn named(cells: impl Iterator<Item = impl AsRef<str>>) -> Vec<String> {
    cells.map(|name| text::trimmed(&name.as_ref().replace('\0', "")).to_owned()).collect()
}

/// What the columns hold where a needed one is missing, in the words to type.
fn guessed(
    spool: &Spool,
    delimiter: u8,
    skipped: bool,
    missing: &[Role],
    reading: &Reading,
) -> Result<String, RosterError> {
    let mut records = Records::new(spool.text().map_err(|source| RosterError::Spool { source })?, delimiter);
    let (mut record, mut tallies, mut names) = (Record::default(), Tallies::default(), Vec::new());
    let mut above = 1 + usize::from(skipped);
    // What comes of a text that is refused anyway is no matter.
    while matches!(records.read(&mut record), Ok(true)) {
        if above > 0 {
            above -= 1;
            names = named(record.cells());
        } else {
            tallies.note(&record, &names, reading);
        }
    }
    Ok(tallies.hints(&names, missing))
}

/// How far down a header is looked for, in records.
const TITLES: usize = 20;

/// The line of the first record below the first that is a header, by whatever separator.
fn header_below(spool: &Spool, reading: &Reading) -> Result<Option<u64>, RosterError> {
    let mut found = None;
    for delimiter in records::SEPARATORS {
        let mut records = Records::new(spool.text().map_err(|source| RosterError::Spool { source })?, delimiter);
        let mut record = Record::default();
        for place in 0..TITLES {
            // What comes of a text that is refused anyway is no matter.
            if !matches!(records.read(&mut record), Ok(true)) {
                break;
            }
            if place > 0 && Columns::read(named(record.cells()), reading).is_ok() {
                found = found.into_iter().chain([record.line]).min();
                break;
            }
        }
    }
    Ok(found)
}

fn next(records: &mut Records, record: &mut Record) -> Result<bool, RosterError> {
    records.read(record).map_err(|error| match error {
        RecordsError::Io(source) => RosterError::Spool { source },
        RecordsError::OpenQuote(line) => RosterError::OpenQuote { line },
    })
}

/// Texts of rows that are needed one by one, in a file rather than in memory.
#[derive(Debug)]
struct Texts {
    file: RefCell<File>,
    /// Where each row's text begins; where the next begins, it ends.
    starts: Vec<u64>,
}

impl Texts {
    fn get(&self, row: usize) -> io::Result<Option<String>> {
        let (Some(start), Some(end)) = (self.starts.get(row), self.starts.get(row + 1)) else { return Ok(None) };
        if start == end {
            return Ok(None);
        }
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(*start))?;
        let mut bytes = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
        file.read_exact(&mut bytes)?;
        String::from_utf8(bytes).map(Some).map_err(io::Error::other)
    }
}

struct TextsWriter {
    file: io::BufWriter<File>,
    starts: Vec<u64>,
    at: u64,
}

impl TextsWriter {
    fn new() -> io::Result<Self> {
        Ok(Self { file: io::BufWriter::new(tempfile::tempfile()?), starts: vec![0], at: 0 })
    }

    fn push(&mut self, text: Option<&str>) -> io::Result<()> {
        let bytes = text.unwrap_or_default().as_bytes();
        self.file.write_all(bytes)?;
        self.at += u64::try_from(bytes.len()).map_err(io::Error::other)?;
        self.starts.push(self.at);
        Ok(())
    }

    fn finish(self) -> io::Result<Texts> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Texts { file: RefCell::new(file), starts: self.starts })
    }
}

/// A list of people to invite, to start from.
pub const TEMPLATE_FOR_INVITE: &str = "\
email,employee_type,name,note
guest@example.com,Guest,Example Guest,\"employee_type is Guest, User, RoomAdmin or DocSpaceAdmin; replace or delete this row\"
user@example.com,User,Example User,example: replace or delete this row
room-admin@example.com,RoomAdmin,Example Room Admin,example: replace or delete this row
admin@example.com,DocSpaceAdmin,Example DocSpace Admin,example: replace or delete this row
";

/// A roster to start from: one example of each type, marked as such.
pub const TEMPLATE: &str = "\
user_id,employee_type,name,note
11111111-1111-4111-8111-111111111111,Guest,Example Guest,\"employee_type is Guest, User, RoomAdmin or DocSpaceAdmin; replace or delete this row\"
22222222-2222-4222-8222-222222222222,User,Example User,example: replace or delete this row
33333333-3333-4333-8333-333333333333,RoomAdmin,Example Room Admin,example: replace or delete this row
44444444-4444-4444-8444-444444444444,DocSpaceAdmin,Example DocSpace Admin,example: replace or delete this row
";

#[cfg(test)]
mod tests;
