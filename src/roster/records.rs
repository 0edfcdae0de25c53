//! Records of a CSV text, with bounded memory: a record that is too large is told of and skipped, never held.
//!
//! The text is cut here and not by a crate, since people's files have flaws that a lenient reader passes over and a
//! strict one cannot place: a stray quote that swallows the rows up to the next one, text after a closing quote, lines
//! that end in CR alone. Each is remembered with its physical line.

use std::io::{self, Read};

use encoding_rs::WINDOWS_1252;

use super::{
    sheet_cell::{self, Kind, MARK},
    spool::Text,
    text::{MAX_COLUMNS, MAX_RECORD, is_blank},
};

/// What editors of old wrote at the end of a file.
const END_OF_FILE: u8 = 0x1a;

/// One record.
#[derive(Debug, Default)]
pub struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The physical line on which it begins, from 1.
    pub line: u64,
    /// The physical line on which it ends.
    pub last_line: u64,
    /// Whether it was larger than is taken; then its cells are gone.
    pub too_large: bool,
    /// What separates its cells.
    pub(super) delimiter: u8,
    /// Quoted cells that hold line ends.
    pub(super) spanning: Vec<Quote>,
    /// The first cell with text after its closing quote.
    pub(super) trailing: Option<Quote>,
    /// Where in that cell what stands in quotes ends.
    pub(super) trailing_from: usize,
    /// Where in the cell that is read what stands in quotes ended.
    quote_ended: usize,
    /// Cells that are not UTF-8 in a file that is.
    pub(super) reread: Vec<usize>,
    /// Cells of a sheet that are no text.
    pub(super) kinds: Vec<(usize, Kind)>,
    /// Whether the text ends in it, without the end of its line.
    pub(super) is_cut: bool,
    /// Whether its last cell stands in quotes.
    quoted: bool,
}

/// A pair of quotes around a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quote {
    pub(super) column: usize,
    /// The physical line on which it opens.
    pub(super) opens: u64,
    /// The physical line on which it closes.
    pub(super) closes: u64,
}

impl Record {
    /// How many cells it has.
    pub fn width(&self) -> usize {
        self.ends.len()
    }

    /// A cell as it was read, or nothing beyond the last.
    pub fn cell(&self, column: usize) -> &str {
        // The text was decoded to UTF-8 before it was cut at ASCII separators.
        std::str::from_utf8(self.raw(column)).unwrap_or_default()
    }

    fn raw(&self, column: usize) -> &[u8] {
        let start = if column == 0 { 0 } else { self.ends.get(column - 1).copied().unwrap_or(usize::MAX) };
        let end = self.ends.get(column).copied().unwrap_or(0);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// The size of a cell, in bytes.
    pub(super) fn size(&self, column: usize) -> usize {
        self.raw(column).len()
    }

    /// All cells.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        (0..self.width()).map(|column| self.cell(column))
    }

    fn begin(&mut self, line: u64, delimiter: u8) {
        self.bytes.clear();
        self.ends.clear();
        self.line = line;
        self.too_large = false;
        self.delimiter = delimiter;
        self.spanning.clear();
        self.trailing = None;
        self.reread.clear();
        self.kinds.clear();
        self.is_cut = false;
        self.quoted = false;
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.too_large {
            return;
        }
        if self.bytes.len() + bytes.len() > MAX_RECORD {
            self.overflow();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn end_cell(&mut self) {
        if self.too_large {
            return;
        }
        if self.ends.len() == MAX_COLUMNS {
            self.overflow();
        } else {
            self.ends.push(self.bytes.len());
        }
    }

    fn overflow(&mut self) {
        self.too_large = true;
        self.bytes.clear();
        self.ends.clear();
    }

    /// Whether nothing stands in it but separators, blanks and what cannot be seen.
    fn is_blank(&self) -> bool {
        !self.too_large && (self.bytes.is_empty() || self.cells().all(is_blank))
    }

    /// Reads cells that are not UTF-8 as windows-1252, byte by byte, and remembers which they are.
    fn mend(&mut self) {
        if std::str::from_utf8(&self.bytes).is_ok() {
            return;
        }
        let (mut bytes, mut ends) = (Vec::with_capacity(self.bytes.len() * 2), Vec::with_capacity(self.ends.len()));
        for column in 0..self.width() {
            for chunk in self.raw(column).utf8_chunks() {
                bytes.extend_from_slice(chunk.valid().as_bytes());
                bytes.extend_from_slice(WINDOWS_1252.decode_without_bom_handling(chunk.invalid()).0.as_bytes());
            }
            if std::str::from_utf8(self.raw(column)).is_err() {
                self.reread.push(column);
            }
            ends.push(bytes.len());
        }
        self.bytes = bytes;
        self.ends = ends;
    }

    /// Takes off what a record of a sheet has before its first cell: its row in Excel, and what its cells are.
    fn unmark(&mut self) {
        let head = self.cell(0);
        let Some((row, rest)) = head.split_once(MARK) else { return };
        let Some((marks, _)) = rest.split_once(MARK) else { return };
        let taken = row.len() + marks.len() + 2;
        let (row, too_large) = (row.parse().unwrap_or(self.line), marks == "!");
        self.kinds = sheet_cell::marks(marks);
        (self.line, self.last_line) = (row, row);
        self.bytes.drain(..taken.min(self.bytes.len()));
        self.ends.iter_mut().for_each(|end| *end = end.saturating_sub(taken));
        // Line ends within cells are meant, and quotes are only how the text was kept.
        self.spanning.clear();
        self.trailing = None;
        if too_large {
            self.overflow();
        }
    }

    /// A line that stands in quotes as one cell is the record inside it: some programs write each line so.
    fn unwrap_line(&mut self) {
        let whole = self.width() == 1 && self.quoted && self.spanning.is_empty() && self.trailing.is_none();
        if !whole || !self.bytes.contains(&self.delimiter) {
            return;
        }
        let mut inner = Self::default();
        let mut splitter = Splitter { line: self.line, ..Splitter::new(self.delimiter) };
        let (read, _) = splitter.feed(&self.bytes, &mut inner);
        if read == self.bytes.len() && matches!(splitter.finish(&mut inner), Ok(true)) {
            inner.last_line = self.last_line;
            inner.is_cut = self.is_cut;
            *self = inner;
        }
    }
}

/// Why the records could not be read to their end.
#[derive(Debug)]
pub(super) enum RecordsError {
    Io(io::Error),
    /// A quote that is never closed; the line on which it opens.
    OpenQuote(u64),
}

/// Reads record after record.
pub(super) struct Records {
    text: Text,
    splitter: Splitter,
    input: Vec<u8>,
    start: usize,
    end: usize,
    over: bool,
}

impl Records {
    pub(super) fn new(text: Text, delimiter: u8) -> Self {
        Self { text, splitter: Splitter::new(delimiter), input: vec![0; 64 << 10], start: 0, end: 0, over: false }
    }

    /// The next record, into the given one; `false` at the end. Blank lines, and lines of nothing but separators, are
    /// no records.
    pub(super) fn read(&mut self, record: &mut Record) -> Result<bool, RecordsError> {
        while self.read_any(record)? {
            if self.text.is_sheet() {
                record.unmark();
                return Ok(true);
            }
            if self.text.is_mixed() {
                record.mend();
            }
            record.unwrap_line();
            if !record.is_blank() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read_any(&mut self, record: &mut Record) -> Result<bool, RecordsError> {
        loop {
            if self.start == self.end && !self.over {
                self.end = self.text.read(&mut self.input).map_err(RecordsError::Io)?;
                self.start = 0;
                self.over = self.end == 0;
            }
            if self.over {
                return self.splitter.finish(record).map_err(RecordsError::OpenQuote);
            }
            let (read, complete) = self.splitter.feed(self.input.get(self.start..self.end).unwrap_or_default(), record);
            self.start += read;
            if complete {
                return Ok(true);
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte of a record.
    Between,
    /// Before the first byte of a cell.
    Before,
    /// In a cell without quotes.
    Plain,
    Quoted,
    /// After a quote within quotes: the cell's end, or half of a doubled one.
    Quote,
    /// After the closing quote.
    After,
}

/// Cuts bytes into records, in pieces of any length.
#[derive(Debug)]
struct Splitter {
    delimiter: u8,
    state: State,
    /// The physical line of the next byte.
    line: u64,
    /// The byte before was a CR: a LF belongs to it.
    after_cr: bool,
    /// Where the last quote opened that began a cell.
    opens: u64,
}

impl Splitter {
    const fn new(delimiter: u8) -> Self {
        Self { delimiter, state: State::Between, line: 1, after_cr: false, opens: 1 }
    }

    /// Takes bytes up to the end of a record; how many it took, and whether the record is complete.
    fn feed(&mut self, input: &[u8], record: &mut Record) -> (usize, bool) {
        let mut at = 0;
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            // What needs no decision is taken in one piece.
            let run = match self.state {
                State::Plain => rest.iter().position(|b| *b == self.delimiter || matches!(b, b'\n' | b'\r')),
                State::Quoted => rest.iter().position(|b| matches!(b, b'"' | b'\n' | b'\r')),
                _ => Some(0),
            };
            let run = run.unwrap_or(rest.len());
            if run > 0 {
                record.push(rest.get(..run).unwrap_or_default());
                self.after_cr = false;
                at += run;
                continue;
            }
            let Some(byte) = rest.first().copied() else { break };
            at += 1;
            if self.take(byte, record) {
                return (at, true);
            }
        }
        (at, false)
    }

    /// One byte that decides; whether it ends the record.
    fn take(&mut self, byte: u8, record: &mut Record) -> bool {
        let line = self.line;
        let half_of_crlf = self.after_cr && byte == b'\n';
        self.after_cr = byte == b'\r';
        let is_line_end = matches!(byte, b'\n' | b'\r');
        if is_line_end && !half_of_crlf {
            self.line += 1;
        }
        match self.state {
            State::Between if is_line_end => return false,
            State::Between => {
                record.begin(line, self.delimiter);
                self.state = State::Before;
            }
            _ => {}
        }
        match self.state {
            State::Quoted => {
                if byte == b'"' {
                    self.state = State::Quote;
                } else {
                    record.push(&[byte]);
                }
                return false;
            }
            State::Quote if byte == b'"' => {
                record.push(b"\"");
                self.state = State::Quoted;
                return false;
            }
            State::Quote => {
                let column = record.ends.len();
                if line > self.opens {
                    record.spanning.push(Quote { column, opens: self.opens, closes: line });
                }
                let begun = record.ends.last().copied().unwrap_or(0);
                record.quote_ended = record.bytes.len().saturating_sub(begun);
                self.state = State::After;
            }
            State::Before if byte == b'"' => {
                self.opens = line;
                self.state = State::Quoted;
                record.quoted = true;
                return false;
            }
            _ => {}
        }
        if byte == self.delimiter {
            record.end_cell();
            record.quoted = false;
            self.state = State::Before;
        } else if is_line_end {
            self.complete(line, record);
            return true;
        } else if self.state == State::After {
            if !matches!(byte, b' ' | b'\t' | END_OF_FILE) && record.trailing.is_none() {
                record.trailing_from = record.quote_ended;
                record.trailing = Some(Quote { column: record.ends.len(), opens: self.opens, closes: line });
            }
            record.push(&[byte]);
        } else {
            record.push(&[byte]);
            self.state = State::Plain;
        }
        false
    }

    fn complete(&mut self, last_line: u64, record: &mut Record) {
        record.end_cell();
        record.last_line = last_line;
        self.state = State::Between;
    }

    /// The text is over: whether a last record, without a line end, is complete now. The line of a quote that is open.
    fn finish(&mut self, record: &mut Record) -> Result<bool, u64> {
        match self.state {
            State::Between => return Ok(false),
            State::Quoted => return Err(self.opens),
            State::Quote if self.line > self.opens => {
                record.spanning.push(Quote { column: record.ends.len(), opens: self.opens, closes: self.line });
            }
            _ => {}
        }
        let mut ended = false;
        if record.bytes.last() == Some(&END_OF_FILE) && record.ends.last() != Some(&record.bytes.len()) {
            record.bytes.pop();
            ended = true;
        }
        self.complete(self.line, record);
        // What an editor of old wrote ends the text as well as a line end does.
        record.is_cut = !ended;
        Ok(true)
    }
}

/// What may separate the cells of a text.
#[derive(Debug, Default)]
pub(super) struct Separators {
    /// The likeliest first. It need not be the one: a name may hold others.
    pub(super) candidates: Vec<u8>,
    /// Whether the first line is Excel's own `sep=`, which names it, and not the header.
    pub(super) are_named: bool,
}

/// The bytes that separate cells where nothing names another.
pub(super) const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What may separate the cells of a text, by its header line: the one that Excel's line names, then those that occur
/// most outside quotes; where each line stands in quotes as one cell, those inside.
pub(super) fn separators(mut text: Text) -> io::Result<Separators> {
    if text.is_sheet() {
        return Ok(Separators { candidates: vec![b','], are_named: false });
    }
    let mut line = first_line(&mut text, &[])?;
    let named = named_separator(&line.0);
    if named.is_some() {
        line = first_line(&mut text, &line.1)?;
    }
    let (mut outside, mut inside) = ([0_u32; 4], [0_u32; 4]);
    let mut quoted = false;
    for byte in &line.0 {
        let counts = if quoted { &mut inside } else { &mut outside };
        quoted ^= *byte == b'"';
        if let Some(count) = SEPARATORS.iter().position(|other| other == byte).and_then(|place| counts.get_mut(place)) {
            *count += 1;
        }
    }
    let mut candidates: Vec<u8> = named.into_iter().collect();
    let counts = if outside.iter().any(|count| *count > 0) { outside } else { inside };
    let mut found: Vec<_> = counts.into_iter().zip(SEPARATORS).filter(|(count, _)| *count > 0).collect();
    found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    candidates.extend(found.into_iter().map(|(_, candidate)| candidate).filter(|other| Some(*other) != named));
    if candidates.is_empty() {
        // One column needs no separator.
        candidates.push(b',');
    }
    Ok(Separators { candidates, are_named: named.is_some() })
}

/// The first line that is not blank, and what was read after it.
fn first_line(text: &mut Text, begun: &[u8]) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut buffer = begun.to_vec();
    let (mut line, mut quoted) = (Vec::new(), false);
    loop {
        for (place, byte) in buffer.iter().enumerate() {
            quoted ^= *byte == b'"';
            let is_blank = line.iter().all(|byte: &u8| byte.is_ascii_whitespace() || SEPARATORS.contains(byte));
            match byte {
                b'\n' | b'\r' if !quoted && !is_blank => {
                    return Ok((line, buffer.get(place..).unwrap_or_default().to_vec()));
                }
                b'\n' | b'\r' if !quoted => line.clear(),
                _ => line.push(*byte),
            }
        }
        if line.len() > MAX_RECORD {
            return Ok((line, Vec::new()));
        }
        buffer.resize(4096, 0);
        let read = text.read(&mut buffer)?;
        buffer.truncate(read);
        if read == 0 {
            return Ok((line, Vec::new()));
        }
    }
}

/// The separator that a line `sep=;` names.
fn named_separator(line: &[u8]) -> Option<u8> {
    let line = std::str::from_utf8(line).ok()?.trim_start_matches(['\u{feff}', ' ', '"']).trim_end_matches(['"', ' ']);
    let named = line.get(..4).filter(|word| word.eq_ignore_ascii_case("sep=")).and_then(|_| line.get(4..))?;
    let first = *named.as_bytes().first()?;
    let can_be = SEPARATORS.contains(&first) || matches!(first, b':' | b'^' | b'~');
    // A program that pads lines to one width repeats it.
    (can_be && named.bytes().all(|byte| byte == first)).then_some(first)
}
