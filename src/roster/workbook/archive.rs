//! The zip archive that a workbook is, looked at before anything is read from it: whatever it unpacks to is counted, and
//! what a reader would hold in memory is bounded. A megabyte can hold a gigabyte, and one number can ask for all memory.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
};

/// The largest archive, packed and unpacked, in bytes.
const MOST_BYTES: u64 = 64 << 20;
/// More than so many bytes for one of the archive's is a bomb, once it comes to more than [`FREE`].
const MOST_FOLD: u64 = 100;
/// So many unpacked bytes are no bomb, whatever they were packed to.
const FREE: u64 = 1 << 20;
/// The most files in an archive, and the most bytes of their names and remarks.
const MOST_FILES: usize = 10_000;
const MOST_NAMES: usize = 1 << 20;
/// The longest piece of XML that has to be held at once: a text, a comment.
const MOST_TEXT: usize = 1 << 20;
/// The longest tag.
const MOST_TAG: usize = 64 << 10;
/// The most texts that cells share, each of which costs memory beyond its length.
const MOST_STRINGS: u64 = 1_000_000;
/// The most merged regions, of all sheets.
const MOST_MERGED: u64 = 200_000;
/// The largest part that is neither a sheet nor the shared texts: it is held in memory many times over.
const MOST_OTHER: u64 = 4 << 20;

/// Why an archive is not read.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is too much, or something else than it should be: as part of a sentence that begins with its name.
    Is(String),
    /// It is broken.
    Broken(String),
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What is in it.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Contents {
    pub(super) has_macros: bool,
    pub(super) has_merged: bool,
    /// Rows that are hidden, in all sheets together.
    pub(super) hidden_rows: u64,
}

fn broken(what: &str) -> Refusal {
    Refusal::Broken(what.to_owned())
}

fn too_much(what: &str) -> Refusal {
    Refusal::Is(format!("{what}, which no roster needs; copy its rows into a new workbook, or save the sheet as CSV"))
}

/// Looks at all of an archive.
pub(super) fn look(file: &mut File) -> Result<Contents, Refusal> {
    let size = file.seek(SeekFrom::End(0))?;
    if size > MOST_BYTES {
        return Err(too_much("is larger than 64 MiB"));
    }
    count_names(file)?;
    file.seek(SeekFrom::Start(0))?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|_not_whole| {
        broken("it is no whole Excel workbook; was it cut while it was copied? Open it in Excel and save it again")
    })?;
    let names: Vec<String> = archive.file_names().flatten().map(std::borrow::Cow::into_owned).collect();
    let has = |name: &str| names.iter().any(|other| other.eq_ignore_ascii_case(name));
    what_else(&has, &mut archive)?;
    let mut contents = Contents { has_macros: has("xl/vbaProject.bin"), ..Contents::default() };
    let (mut unpacked, mut strings, mut merged) = (0, 0, 0);
    for number in 0..archive.len() {
        let mut part = archive.by_index(number).map_err(|error| match error {
            zip::result::ZipError::Io(error) => Refusal::Io(error),
            _ => broken("a part of it is packed in a way that is not known; save it again in Excel"),
        })?;
        let name = part.name().map(|name| name.to_lowercase()).unwrap_or_default();
        let is_large = name.contains("worksheets/") || name.ends_with("sharedstrings.xml");
        let mut scan = Scan::default();
        let mut chunk = vec![0; 64 << 10];
        let mut here: u64 = 0;
        loop {
            let read = part.read(&mut chunk).map_err(|_cut| {
                broken("a part of it cannot be unpacked; was it cut while it was copied? Open it in Excel and save it again")
            })?;
            if read == 0 {
                break;
            }
            let read_bytes = u64::try_from(read).unwrap_or(u64::MAX);
            (here, unpacked) = (here + read_bytes, unpacked + read_bytes);
            if unpacked > MOST_BYTES {
                return Err(too_much("unpacks to more than 64 MiB"));
            }
            if unpacked > FREE && unpacked / MOST_FOLD > size {
                return Err(too_much("unpacks to more than a hundred times its size"));
            }
            if here > MOST_OTHER && !is_large && scan.is_xml() {
                return Err(too_much("has more than 4 MiB beside its sheets"));
            }
            scan.feed(chunk.get(..read).unwrap_or_default())?;
        }
        (strings, merged) = (strings + scan.strings, merged + scan.merged);
        contents.hidden_rows += scan.hidden_rows;
        if strings > MOST_STRINGS {
            return Err(too_much("holds more than a million different texts"));
        }
        if merged > MOST_MERGED {
            return Err(too_much("has more than 200,000 merged regions"));
        }
    }
    contents.has_merged = merged > 0;
    Ok(contents)
}

/// Every list of an archive's files consists of these, wherever it lies; so no reader finds more than are counted here.
fn count_names(file: &mut File) -> Result<(), Refusal> {
    const ENTRY: usize = 46;
    file.seek(SeekFrom::Start(0))?;
    let (mut files, mut names) = (0, 0);
    let (mut held, mut chunk): (Vec<u8>, _) = (Vec::new(), vec![0; 256 << 10]);
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        held.extend_from_slice(chunk.get(..read).unwrap_or_default());
        for entry in held.windows(ENTRY).filter(|window| window.starts_with(b"PK\x01\x02")) {
            files += 1;
            for place in [28, 30, 32] {
                let two = entry.get(place..place + 2).and_then(|two| two.try_into().ok()).unwrap_or_default();
                names += usize::from(u16::from_le_bytes(two));
            }
        }
        if files > MOST_FILES || names > MOST_NAMES {
            return Err(too_much("has too many files in it"));
        }
        // An entry may lie across two chunks.
        held.drain(..held.len().saturating_sub(ENTRY - 1));
    }
}

/// What is told of an archive that is no workbook of this kind.
fn what_else(has: &impl Fn(&str) -> bool, archive: &mut zip::ZipArchive<BufReader<&mut File>>) -> Result<(), Refusal> {
    let is = |what: &str| Err(Refusal::Is(what.to_owned()));
    if has("xl/workbook.bin") {
        return is("is a binary Excel workbook (.xlsb); save it as .xlsx or CSV");
    }
    if has("mimetype") && has("content.xml") {
        let mut kind = String::new();
        if let Ok(part) = archive.by_name("mimetype") {
            part.take(200).read_to_string(&mut kind)?;
        }
        return if kind.contains("spreadsheet") {
            is("is an OpenDocument spreadsheet (.ods); save it as .xlsx or CSV")
        } else {
            is("is an OpenDocument file, and no spreadsheet; give the roster as .xlsx or CSV")
        };
    }
    if has("word/document.xml") {
        return is("is a Word document; give the roster as .xlsx or CSV");
    }
    if !has("[Content_Types].xml") {
        return is("is a zip archive, and no Excel workbook; unpack it, and give the roster in it");
    }
    Ok(())
}

/// XML as bytes, in pieces of any length: what of it would have to be held is measured, and places of cells are such.
#[derive(Debug, Default)]
struct Scan {
    state: State,
    begun: bool,
    /// No XML: a picture, say.
    other: bool,
    length: usize,
    tag: Vec<u8>,
    strings: u64,
    merged: u64,
    hidden_rows: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// In a tag; within these quotes, or none.
    Tag(u8),
    /// In what ends with these bytes.
    Until(&'static [u8]),
}

impl Scan {
    const fn is_xml(&self) -> bool {
        self.begun && !self.other
    }

    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Refusal> {
        if !self.begun && !bytes.is_empty() {
            self.begun = true;
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
            self.other = text.first() != Some(&b'<');
            let is_utf16 = matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'<', 0, ..] | [0, b'<', ..]);
            if is_utf16 {
                return Err(broken("its parts are in UTF-16, as no Excel writes them; save it again in Excel"));
            }
        }
        if self.other {
            return Ok(());
        }
        while let Some((first, rest)) = bytes.split_first() {
            match self.state {
                State::Text => {
                    let run = bytes.iter().position(|byte| *byte == b'<');
                    self.grow(run.unwrap_or(bytes.len()), MOST_TEXT)?;
                    bytes = match run {
                        Some(run) => {
                            (self.state, self.length) = (State::Tag(0), 0);
                            self.tag.clear();
                            bytes.get(run + 1..).unwrap_or_default()
                        }
                        None => &[],
                    };
                }
                State::Tag(quote) => {
                    bytes = rest;
                    self.grow(1, MOST_TAG)?;
                    self.tag.push(*first);
                    self.state = match (quote, *first) {
                        (0, b'>') => {
                            self.tag.pop();
                            self.length = 0;
                            self.judge()?;
                            State::Text
                        }
                        (0, b'"' | b'\'') => State::Tag(*first),
                        (quote, byte) if quote == byte => State::Tag(0),
                        (quote, _) => State::Tag(quote),
                    };
                    let until: Option<&'static [u8]> = match self.tag.as_slice() {
                        b"!--" => Some(b"-->"),
                        b"![CDATA[" => Some(b"]]>"),
                        b"?" => Some(b"?>"),
                        _ => None,
                    };
                    if let Some(end) = until {
                        (self.state, self.length) = (State::Until(end), 0);
                        self.tag.clear();
                    }
                }
                State::Until(end) => {
                    bytes = rest;
                    self.grow(1, MOST_TEXT)?;
                    self.tag.push(*first);
                    if self.tag.ends_with(end) {
                        (self.state, self.length) = (State::Text, 0);
                    } else if self.tag.len() > 16 {
                        self.tag.drain(..8);
                    }
                }
            }
        }
        Ok(())
    }

    fn grow(&mut self, by: usize, most: usize) -> Result<(), Refusal> {
        self.length += by;
        if self.length > most { Err(too_much("holds a text of more than 1 MiB")) } else { Ok(()) }
    }

    fn judge(&mut self) -> Result<(), Refusal> {
        let tag = self.tag.as_slice();
        if tag.first() == Some(&b'/') {
            return Ok(());
        }
        if tag.first() == Some(&b'!') {
            return Err(broken("it holds a document type, as no Excel writes one"));
        }
        let end = tag.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'/').unwrap_or(tag.len());
        let (name, mut rest) = tag.split_at_checked(end).unwrap_or_default();
        let name = name.rsplit(|byte| *byte == b':').next().unwrap_or_default();
        match name {
            b"si" => self.strings += 1,
            b"mergeCell" => self.merged += 1,
            b"c" | b"row" | b"f" | b"dimension" | b"sst" => {}
            _ => return Ok(()),
        }
        while let Some((key, value, after)) = attribute(rest) {
            rest = after;
            let key = key.rsplit(|byte| *byte == b':').next().unwrap_or_default();
            let is_good = match (name, key) {
                (b"sst", b"uniqueCount" | b"count") => {
                    let number = str::from_utf8(value).ok().and_then(|value| value.trim().parse::<u64>().ok());
                    number.is_some_and(|number| number <= 4 * MOST_STRINGS)
                }
                (b"c" | b"row" | b"f" | b"dimension" | b"mergeCell", b"r" | b"ref") => is_region(value),
                (b"f", b"si") => value.len() < 10,
                (b"row", b"hidden") => {
                    self.hidden_rows += u64::from(value == b"1" || value == b"true");
                    true
                }
                _ => true,
            };
            if !is_good {
                return Err(broken("it names cells that no sheet has; save it again in Excel"));
            }
        }
        if rest.iter().all(|byte| byte.is_ascii_whitespace() || *byte == b'/') {
            Ok(())
        } else {
            Err(broken("its parts are no XML; save it again in Excel"))
        }
    }
}

/// The first attribute of a tag, its value, and what follows.
fn attribute(rest: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let rest = rest.trim_ascii_start();
    let equals = rest.iter().position(|byte| *byte == b'=')?;
    let key = rest.get(..equals)?.trim_ascii_end();
    let value = rest.get(equals + 1..)?.trim_ascii_start();
    let quote = *value.first().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let value = value.get(1..)?;
    let end = value.iter().position(|byte| *byte == quote)?;
    Some((key, value.get(..end)?, value.get(end + 1..)?))
}

/// Whether this is the place of a cell or of a row, or two of them, in their order.
fn is_region(text: &[u8]) -> bool {
    let mut corners = text.split(|byte| *byte == b':').map(corner);
    match (corners.next().flatten(), corners.next(), corners.next()) {
        (Some(_), None, None) => true,
        (Some(first), Some(Some(second)), None) => first.0 <= second.0 && first.1 <= second.1,
        _ => false,
    }
}

/// Column and row, from 1.
fn corner(text: &[u8]) -> Option<(u32, u32)> {
    let letters = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (letters, digits) = text.split_at_checked(letters)?;
    if letters.len() > 3 || digits.len() > 7 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let column =
        letters.iter().fold(0, |column, letter| column * 26 + u32::from(letter.to_ascii_uppercase() - b'A') + 1);
    let row: u32 = str::from_utf8(digits).ok()?.parse().ok()?;
    (column <= 16_384 && (1..=1_048_576).contains(&row)).then_some((column, row))
}
