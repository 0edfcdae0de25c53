//! Records of a CSV text, with bounded memory: a record that is too large is told of and skipped, never held.

use std::io::{self, Read};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::spool::Text;

/// The largest cell that is taken, in bytes of UTF-8.
pub const MAX_CELL: usize = 64 << 10;
/// The largest record that is taken, in bytes of UTF-8.
pub const MAX_RECORD: usize = 1 << 20;
/// The most columns: as many as Excel has.
pub const MAX_COLUMNS: usize = 16_384;

/// One record.
#[derive(Debug, Default)]
pub struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The physical line on which it begins, from 1.
    pub line: u64,
    /// Whether it was larger than is taken; then its cells are gone.
    pub too_large: bool,
}

impl Record {
    /// How many cells it has.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has no cell.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A cell as it was read, or nothing beyond the last.
    pub fn cell(&self, column: usize) -> &str {
        let start = if column == 0 { 0 } else { self.ends.get(column - 1).copied().unwrap_or(usize::MAX) };
        let end = self.ends.get(column).copied().unwrap_or(0);
        let bytes = self.bytes.get(start..end).unwrap_or_default();
        // The text was decoded to UTF-8 before it was cut at ASCII separators.
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// All cells.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|column| self.cell(column))
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
    reader: Box<Reader>,
    input: Vec<u8>,
    start: usize,
    end: usize,
    over: bool,
    last_byte: u8,
    oversize_line: u64,
}

impl Records {
    pub(super) fn new(text: Text, delimiter: u8) -> Self {
        Self {
            text,
            reader: Box::new(ReaderBuilder::new().delimiter(delimiter).build()),
            input: vec![0; 64 << 10],
            start: 0,
            end: 0,
            over: false,
            last_byte: b'\n',
            oversize_line: 0,
        }
    }

    /// The next record, into the given one; `false` at the end. Blank lines are no records.
    pub(super) fn read(&mut self, record: &mut Record) -> Result<bool, RecordsError> {
        let (mut out, mut ends) = (0, 0);
        record.too_large = false;
        if record.bytes.is_empty() {
            record.bytes.resize(4096, 0);
        }
        record.ends.resize(record.ends.capacity().max(32), 0);
        loop {
            if self.start == self.end && !self.over {
                self.end = self.text.read(&mut self.input).map_err(RecordsError::Io)?;
                self.start = 0;
                self.over = self.end == 0;
                if self.over
                    && let Some(byte) = self.input.first_mut()
                {
                    // The text is over. One more line end completes a last line that has none, and is a blank line
                    // after any other; only an open quote swallows it.
                    *byte = b'\n';
                    self.end = 1;
                }
            }
            let input = self.input.get(self.start..self.end).unwrap_or_default();
            let (result, read, written, ended) = self.reader.read_record(
                input,
                record.bytes.get_mut(out..).unwrap_or_default(),
                record.ends.get_mut(ends..).unwrap_or_default(),
            );
            if let Some(byte) = read.checked_sub(1).and_then(|last| input.get(last)) {
                self.last_byte = *byte;
            }
            self.start += read;
            out += written;
            ends += ended;
            if self.over && read > 0 && written > 0 && matches!(result, ReadRecordResult::InputEmpty) {
                return Err(RecordsError::OpenQuote(self.open_quote(record, out, ends)));
            }
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if record.bytes.len() < MAX_RECORD => {
                    record.bytes.resize((record.bytes.len() * 2).min(MAX_RECORD), 0);
                }
                ReadRecordResult::OutputEndsFull if record.ends.len() < MAX_COLUMNS => {
                    record.ends.resize((record.ends.len() * 2).min(MAX_COLUMNS), 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    if !record.too_large {
                        record.too_large = true;
                        let complete = ends.checked_sub(1).and_then(|last| record.ends.get(last)).copied().unwrap_or(0);
                        let all = newlines(record.bytes.get(..out).unwrap_or_default());
                        let before = newlines(record.bytes.get(..complete).unwrap_or_default());
                        // Where the cell that grew too large opens; the record begins `before` lines above.
                        self.oversize_line = self.reader.line().saturating_sub(all) + before;
                        record.line = self.reader.line().saturating_sub(all);
                    }
                    out = 0;
                    ends = 0;
                }
                ReadRecordResult::Record => {
                    record.ends.truncate(ends);
                    if record.too_large {
                        record.ends.clear();
                    } else {
                        let last_line = self.reader.line() - u64::from(self.last_byte == b'\n');
                        record.line =
                            last_line.saturating_sub(newlines(record.bytes.get(..out).unwrap_or_default())).max(1);
                    }
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    /// The line on which the quote opens in which the text ended.
    fn open_quote(&self, record: &Record, out: usize, ends: usize) -> u64 {
        if record.too_large {
            return self.oversize_line.max(1);
        }
        let complete = ends.checked_sub(1).and_then(|last| record.ends.get(last)).copied().unwrap_or(0);
        // Every line end since the open quote was taken into its cell.
        let inside = newlines(record.bytes.get(complete..out).unwrap_or_default());
        self.reader.line().saturating_sub(inside).max(1)
    }
}

#[expect(clippy::naive_bytecount, reason = "short texts, and only beside a parser that is slower")]
fn newlines(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(u64::MAX)
}

/// What may separate the cells of a text, by its header line: the candidate that occurs most outside quotes first. It
/// need not be the one: a name may hold others.
pub(super) fn separators(mut text: Text) -> io::Result<Vec<u8>> {
    const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];
    let mut counts = [0_u32; 4];
    let (mut quoted, mut seen) = (false, false);
    let mut buffer = [0; 4096];
    let mut left = MAX_RECORD;
    'line: loop {
        let read = text.read(&mut buffer)?;
        if read == 0 || left == 0 {
            break;
        }
        left = left.saturating_sub(read);
        for byte in buffer.iter().take(read) {
            match byte {
                b'"' => quoted = !quoted,
                b'\n' | b'\r' if !quoted && seen => break 'line,
                _ if quoted => {}
                _ => {
                    if let Some(place) = CANDIDATES.iter().position(|candidate| candidate == byte)
                        && let Some(count) = counts.get_mut(place)
                    {
                        *count += 1;
                    }
                }
            }
            seen |= !byte.is_ascii_whitespace();
        }
    }
    let mut found: Vec<_> = counts.into_iter().zip(CANDIDATES).filter(|(count, _)| *count > 0).collect();
    found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    // One column needs no separator.
    Ok(if found.is_empty() { vec![b','] } else { found.into_iter().map(|(_, candidate)| candidate).collect() })
}
