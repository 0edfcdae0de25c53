//! Rows of a roster as rows of smaller ones: the same columns, with the column by which they are told apart in one
//! spelling. What is usable or not in the whole is it in its part, too.

use std::borrow::Cow;

use super::{
    Record, Roster, Row, RowState,
    copied::{kept, put, unlike},
    error::RosterError,
    row::{clean, misquoted},
};
use crate::{
    display::Shown,
    sheet::{denature, neutralise},
};

/// A roster, to be taken apart by one of its columns.
#[derive(Debug)]
pub struct Parts<'r> {
    roster: &'r Roster,
    by: usize,
    separator: char,
}

impl<'r> Parts<'r> {
    /// By the column of this name.
    pub fn by(roster: &'r Roster, column: &str) -> Result<Self, RosterError> {
        let separator = if roster.sheet().is_some() { ',' } else { roster.delimiter() };
        Ok(Self { roster, by: roster.columns().called(column, "--by")?, separator })
    }

    /// What every part begins with.
    pub fn header(&self) -> Vec<u8> {
        let roster = self.roster;
        let mut out = if roster.is_plain_utf8() { Vec::new() } else { b"\xef\xbb\xbf".to_vec() };
        for (column, name) in roster.columns().names.iter().enumerate() {
            let is_ours = self.is_read(column) && !roster.is_results();
            self.next(&mut out, column, &if is_ours { Cow::Borrowed(name.as_str()) } else { neutralise(name) });
        }
        out.push(b'\n');
        out
    }

    /// Why a row cannot be copied, with its place: nobody can tell where it ends, and so whose it is.
    pub fn cannot_be_copied(&self, record: &Record) -> Option<String> {
        let columns = self.roster.columns();
        if record.too_large {
            return Some(format!("{}: the row is too large to be copied", Shown(&columns.place(record.line, None))));
        }
        misquoted(record, columns).map(|problem| problem.line(record.line, columns))
    }

    /// What the column says of a row; nothing where its bytes are no text.
    pub fn value<'c>(&self, record: &'c Record) -> Option<Cow<'c, str>> {
        let is_text = !record.reread.contains(&self.by);
        is_text.then(|| self.roster.text(record, self.by))
    }

    /// Where that stands, with the column's name.
    pub fn place(&self, record: &Record) -> String {
        let columns = self.roster.columns();
        let name = columns.names.get(self.by).map_or("", String::as_str);
        format!("{}, column {name}", columns.place(record.line, Some(self.by)))
    }

    /// Writes a row behind the others of its part, with this in the column.
    pub fn copy(&self, row: &Row, record: &Record, value: &str, out: &mut Vec<u8>) {
        let columns = self.roster.columns();
        for column in kept(record, columns) {
            let cell = record.cell(column);
            let copied = if column == self.by {
                value.into()
            } else if self.roster.is_results() {
                neutralise(denature(cell))
            } else if self.is_read(column) && row.state != RowState::Invalid {
                // An id, an address, a type or a key is another one with anything before it.
                clean(cell, columns)
            } else {
                unlike(record, column, columns).unwrap_or_else(|| neutralise(cell))
            };
            self.next(out, column, &copied);
        }
        out.push(b'\n');
    }

    fn next(&self, out: &mut Vec<u8>, column: usize, cell: &str) {
        if column > 0 {
            out.extend_from_slice(self.separator.encode_utf8(&mut [0; 4]).as_bytes());
        }
        put(out, cell, self.separator);
    }

    fn is_read(&self, column: usize) -> bool {
        self.roster.columns().is_read(column)
    }
}
