//! A workbook at the door: one sheet of it becomes the text that a CSV file becomes, and nothing behind the door knows.
//!
//! Only cells of text are taken at their word. A spreadsheet turns ids into numbers, types into dates, and rows into
//! merged regions; so each other cell carries a mark of what it is, for whoever needs that cell.

mod archive;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Seek, SeekFrom, Write},
};

use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx, XlsxError};

use self::archive::Refusal;
use super::{
    error::RosterError,
    sheet_cell::{Kind, MARK, Merged},
    text::{MAX_COLUMNS, MAX_RECORD, is_blank},
};
use crate::display::{Shown, count, shell_word};

/// The most text that a sheet may come to, in bytes: cells share texts, and a small file may repeat one a million times.
const MOST_TEXT: u64 = 256 << 20;

/// A sheet, read.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) name: String,
    /// Its text: CSV, each record with its row and its marks before the first cell.
    pub(super) text: File,
    pub(super) merged: Merged,
    pub(super) warnings: Vec<String>,
}

/// Reads the one sheet that is a roster, or the one of that name.
pub(super) fn read(
    mut file: File,
    name: &str,
    wanted: Option<&str>,
    is_header: &dyn Fn(Vec<String>) -> bool,
) -> Result<Sheet, RosterError> {
    let refused = |what: String| RosterError::Workbook { name: name.to_owned(), what };
    let contents = archive::look(&mut file).map_err(|refusal| match refusal {
        Refusal::Is(what) => refused(what),
        Refusal::Broken(what) => refused(format!("cannot be read: {what}")),
        Refusal::Io(source) => RosterError::Spool { source },
    })?;
    let unreadable = |error: XlsxError| refused(told(&error));
    file.seek(SeekFrom::Start(0)).map_err(|source| RosterError::Spool { source })?;
    let mut book = Xlsx::new(BufReader::new(file)).map_err(unreadable)?;
    let chosen = choose(&mut book, wanted, is_header).map_err(|why| match why {
        Why::Xlsx(error) => unreadable(error),
        Why::Told(what) => refused(what),
        Why::Io(source) => RosterError::Spool { source },
    })?;
    let merged =
        if contents.has_merged { book.merge_cells_by_sheet_name(&chosen).map_err(unreadable)? } else { Vec::new() };
    let merged = Merged::new(merged.iter().map(|region| (region.start, region.end)));
    let mut text = BufWriter::new(tempfile::tempfile().map_err(|source| RosterError::Spool { source })?);
    let mut written = 0_u64;
    each_row(&mut book, &chosen, &mut |row| {
        written += row.write(&mut text)?;
        if written > MOST_TEXT {
            return Err(Why::Told(
                "repeats its texts until they come to more than 256 MiB; save the sheet as CSV".to_owned(),
            ));
        }
        Ok(true)
    })
    .map_err(|why| match why {
        Why::Xlsx(error) => unreadable(error),
        Why::Told(what) => refused(what),
        Why::Io(source) => RosterError::Spool { source },
    })?;
    let text = text.into_inner().map_err(|error| RosterError::Spool { source: error.into_error() })?;
    let mut warnings = Vec::new();
    if contents.has_macros {
        warnings.push("the workbook holds macros; they are not run, only its cells are read".to_owned());
    }
    if contents.hidden_rows > 0 {
        let rows = count(contents.hidden_rows, "row");
        warnings.push(format!("the workbook hides {rows} (hidden, or filtered out), read like any other"));
    }
    Ok(Sheet { name: chosen, text, merged, warnings })
}

/// Why reading ended.
enum Why {
    Xlsx(XlsxError),
    Told(String),
    Io(io::Error),
}

impl From<XlsxError> for Why {
    fn from(error: XlsxError) -> Self {
        Self::Xlsx(error)
    }
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn told(error: &XlsxError) -> String {
    match error {
        XlsxError::Password => "is protected by a password; open it in Excel and take the password off".to_owned(),
        XlsxError::CellError(value) => format!(
            "holds the error `{}` in some cell, which cannot be read; mend or empty that cell, or save the sheet as CSV",
            Shown(value)
        ),
        other => format!("cannot be read ({}); open it in Excel and save it again", Shown(&other.to_string())),
    }
}

type Book = Xlsx<BufReader<File>>;

/// The sheet that is meant.
fn choose(book: &mut Book, wanted: Option<&str>, is_header: &dyn Fn(Vec<String>) -> bool) -> Result<String, Why> {
    let sheets = book.sheets_metadata().to_vec();
    let listed = |names: &[&String]| {
        let mut listed: Vec<String> = names.iter().take(20).map(|name| format!("`{}`", Shown(name))).collect();
        if names.len() > listed.len() {
            listed.push(format!("and {} more", names.len() - listed.len()));
        }
        listed.join(", ")
    };
    let tables: Vec<_> = sheets.iter().filter(|sheet| sheet.typ == SheetType::WorkSheet).collect();
    if let Some(wanted) = wanted {
        let exact = tables.iter().find(|sheet| sheet.name == wanted);
        let near = || tables.iter().find(|sheet| sheet.name.trim().to_lowercase() == wanted.trim().to_lowercase());
        let all: Vec<_> = tables.iter().map(|sheet| &sheet.name).collect();
        return exact
            .or_else(near)
            .map(|sheet| sheet.name.clone())
            .ok_or_else(|| Why::Told(format!("has no sheet `{}`; it has {}", Shown(wanted), listed(&all))));
    }
    let visible: Vec<_> =
        tables.iter().filter(|sheet| sheet.visible == SheetVisible::Visible).map(|sheet| &sheet.name).collect();
    let (mut with_header, mut filled) = (Vec::new(), Vec::new());
    for name in visible.iter().take(100).copied() {
        let mut first = None;
        each_row(book, name, &mut |row| {
            first = Some(row.texts());
            Ok(false)
        })?;
        let Some(first) = first else { continue };
        filled.push(name);
        if is_header(first) {
            with_header.push(name);
        }
    }
    match (with_header.as_slice(), filled.as_slice()) {
        ([one], _) | ([], [one]) => Ok((*one).clone()),
        ([], []) => Err(Why::Told("has no visible sheet with anything in it".to_owned())),
        ([], _) => Err(Why::Told(format!(
            "has no sheet whose first row is the header of a roster; it has {}. Say which is the roster: --sheet {}",
            listed(&filled),
            filled.first().map(|name| shell_word(&Shown(name).to_string())).unwrap_or_default()
        ))),
        ([first, ..], _) => Err(Why::Told(format!(
            "has more than one sheet that could be the roster ({}); say which: --sheet {}",
            listed(&with_header),
            shell_word(&Shown(first).to_string())
        ))),
    }
}

/// A row of a sheet.
#[derive(Debug, Default)]
struct Line {
    /// As Excel counts, from 1.
    row: u32,
    text: String,
    ends: Vec<usize>,
    marks: Vec<(usize, Kind)>,
    too_large: bool,
}

impl Line {
    fn begin(&mut self, row: u32) {
        self.row = row;
        self.text.clear();
        self.ends.clear();
        self.marks.clear();
        self.too_large = false;
    }

    fn cells(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.text.get(start..*end).unwrap_or_default())
    }

    fn texts(&self) -> Vec<String> {
        self.cells().map(str::to_owned).collect()
    }

    /// Whether nobody sees anything in it. A formula without a value is something.
    fn is_blank(&self) -> bool {
        !self.too_large && self.marks.is_empty() && self.cells().all(is_blank)
    }

    fn put(&mut self, column: usize, value: &DataRef<'_>, is_formula: bool) -> Result<(), Why> {
        if column < self.ends.len() || column >= MAX_COLUMNS {
            return Err(Why::Told("cannot be read: its cells are out of order; save it again in Excel".to_owned()));
        }
        let (kind, text) = shown(value, is_formula);
        if text.is_empty() && kind.is_none() {
            return Ok(());
        }
        if self.too_large || self.text.len() + text.len() > MAX_RECORD {
            self.too_large = true;
            return Ok(());
        }
        self.ends.resize(column, self.text.len());
        self.text.push_str(&text);
        self.ends.push(self.text.len());
        self.marks.extend(kind.map(|kind| (column, kind)));
        Ok(())
    }

    /// Writes it as a record; how many bytes that are.
    fn write(&self, out: &mut impl Write) -> io::Result<u64> {
        let mut head = format!("{}{MARK}", self.row);
        if self.too_large {
            head.push('!');
        } else {
            for (column, kind) in &self.marks {
                head.push_str(&column.to_string());
                head.push(kind.letter());
            }
        }
        head.push(MARK);
        let mut bytes = head.into_bytes();
        if !self.too_large {
            for (column, cell) in self.cells().enumerate() {
                if column > 0 {
                    bytes.push(b',');
                }
                if cell.contains(['"', ',', '\n', '\r']) {
                    if column == 0 {
                        bytes.insert(0, b'"');
                    } else {
                        bytes.push(b'"');
                    }
                    bytes.extend(cell.replace('"', "\"\"").into_bytes());
                    bytes.push(b'"');
                } else {
                    bytes.extend_from_slice(cell.as_bytes());
                }
            }
        }
        bytes.push(b'\n');
        out.write_all(&bytes)?;
        Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
    }
}

/// What a cell is where it is no text, and what it shows.
fn shown(value: &DataRef<'_>, is_formula: bool) -> (Option<Kind>, String) {
    match value {
        DataRef::Empty if is_formula => (Some(Kind::Formula), String::new()),
        DataRef::Empty => (None, String::new()),
        DataRef::String(text) => (None, text.clone()),
        DataRef::SharedString(text) => (None, (*text).to_owned()),
        DataRef::Int(number) => (Some(Kind::Number), number.to_string()),
        DataRef::Float(number) => (Some(Kind::Number), number.to_string()),
        DataRef::Bool(truth) => (Some(Kind::Truth), if *truth { "TRUE" } else { "FALSE" }.to_owned()),
        DataRef::DateTime(at) => (Some(Kind::Date), day(*at)),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => (Some(Kind::Date), text.clone()),
        DataRef::Error(error) => (Some(Kind::Error), error.to_string()),
    }
}

/// A moment as people write it in a file; a duration stays a number of days.
fn day(at: calamine::ExcelDateTime) -> String {
    // Excel knows the years 1900 to 9999.
    if at.is_duration() || !(0.0..2_958_466.0).contains(&at.as_f64()) {
        return at.as_f64().to_string();
    }
    let (year, month, day, hour, minute, second, _) = at.to_ymd_hms_milli();
    match (hour, minute, second) {
        (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
    }
}

/// Hands over row after row that is not blank, in their order, until one is enough.
fn each_row(book: &mut Book, sheet: &str, visit: &mut dyn FnMut(&Line) -> Result<bool, Why>) -> Result<(), Why> {
    let mut reader = book.worksheet_cells_reader(sheet)?;
    let mut line = Line::default();
    while let Some(cell) = reader.next_cell_with_formula_metadata()? {
        let row = cell.pos.0.saturating_add(1);
        if row < line.row {
            return Err(Why::Told("cannot be read: its rows are out of order; save it again in Excel".to_owned()));
        }
        if row > line.row {
            if line.row > 0 && !line.is_blank() && !visit(&line)? {
                return Ok(());
            }
            line.begin(row);
        }
        let column = usize::try_from(cell.pos.1).unwrap_or(usize::MAX);
        line.put(column, &cell.value, cell.formula.is_some())?;
    }
    if line.row > 0 && !line.is_blank() {
        visit(&line)?;
    }
    Ok(())
}
