//! The roster as it was when the run began: copied byte for byte, whatever it is (a file that grows or is replaced, a
//! pipe, standard input), while its encoding is learned.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    str,
};

use encoding_rs::{CoderResult, Decoder, UTF_16BE, UTF_16LE, WINDOWS_1252};
use sha2::{Digest, Sha256};

use super::{
    error::{RosterError, Source, shown},
    workbook::{self, Sheet},
};

const CHUNK: usize = 64 << 10;

/// How the roster's bytes become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    /// What Excel writes where it does not write UTF-8.
    Windows1252,
    /// UTF-8 but for some bytes: their cells alone are read as windows-1252.
    Mixed,
}

impl Encoding {
    /// Its name, for people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le | Self::Utf16Be => "UTF-16",
            Self::Windows1252 => "windows-1252",
            Self::Mixed => "UTF-8 and windows-1252",
        }
    }
}

/// The copy.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    pub(super) encoding: Encoding,
    pub(super) has_bom: bool,
    pub(super) sha256: [u8; 32],
    /// It is a workbook, or was one, and this is the sheet.
    is_workbook: bool,
    pub(super) sheet: Option<Sheet>,
    name: String,
}

impl Spool {
    pub(super) fn copy(source: &Source) -> Result<Self, RosterError> {
        match source {
            Source::Stdin => Self::copy_from(&mut io::stdin().lock(), "standard input"),
            Source::Path(path) => {
                let unreadable = |source| RosterError::Unreadable { path: path.clone(), source };
                if path.is_dir() {
                    return Err(RosterError::Directory(path.clone()));
                }
                let mut file = File::open(path).map_err(unreadable)?;
                Self::copy_from(&mut file, &shown(path))
            }
        }
    }

    pub(super) fn copy_from(source: &mut dyn Read, name: &str) -> Result<Self, RosterError> {
        let spool_error = |source| RosterError::Spool { source };
        let mut file = tempfile::tempfile().map_err(spool_error)?;
        let mut hasher = Sha256::new();
        let mut utf8 = Utf8Check::default();
        let mut head: Vec<u8> = Vec::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match source.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(RosterError::Broke { name: name.to_owned(), source }),
            };
            let bytes = chunk.get(..read).unwrap_or_default();
            if head.len() < 4096 {
                head.extend(bytes.iter().take(4096 - head.len()));
                if head.starts_with(&OLE) {
                    return Err(old_office(bytes, source, name));
                }
                not_a_roster(&head, name)?;
            }
            hasher.update(bytes);
            utf8.feed(bytes);
            file.write_all(bytes).map_err(spool_error)?;
        }
        let is_workbook = head.starts_with(ZIP);
        let (encoding, bom) = match head.as_slice() {
            _ if is_workbook => (Encoding::Utf8, 0),
            [0xef, 0xbb, 0xbf, ..] if utf8.is_valid() => (Encoding::Utf8, 3),
            [0xef, 0xbb, 0xbf, ..] => (Encoding::Mixed, 3),
            [0xff, 0xfe, ..] => (Encoding::Utf16Le, 2),
            [0xfe, 0xff, ..] => (Encoding::Utf16Be, 2),
            // Text without a mark: the first characters of a header are ASCII.
            [1..=255, 0, 1..=255, 0, ..] => (Encoding::Utf16Le, 0),
            [0, 1..=255, 0, 1..=255, ..] => (Encoding::Utf16Be, 0),
            _ if utf8.is_valid() => (Encoding::Utf8, 0),
            // One bad byte says nothing of the others: what is UTF-8 beyond ASCII is so hardly by chance.
            _ if utf8.beyond_ascii => (Encoding::Mixed, 0),
            _ => (Encoding::Windows1252, 0),
        };
        // Only the header tells: a cell may hold anything, and was let in where it came in UTF-16.
        let header = head.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
        if encoding != Encoding::Utf16Le && encoding != Encoding::Utf16Be && !is_workbook && header.contains(&0) {
            return Err(RosterError::NotText { name: name.to_owned(), what: "a binary file" });
        }
        Ok(Self {
            file,
            encoding,
            has_bom: bom > 0,
            sha256: hasher.finalize().into(),
            is_workbook,
            sheet: None,
            name: name.to_owned(),
        })
    }

    /// Turns a workbook into the text of one of its sheets; a text is one already.
    pub(super) fn unfold(
        mut self,
        wanted: Option<&str>,
        is_header: &dyn Fn(Vec<String>) -> bool,
    ) -> Result<Self, RosterError> {
        if self.is_workbook && self.sheet.is_none() {
            let file = self.file.try_clone().map_err(|source| RosterError::Spool { source })?;
            let sheet = workbook::read(file, &self.name, wanted, is_header)?;
            self.file = sheet.text.try_clone().map_err(|source| RosterError::Spool { source })?;
            self.sheet = Some(sheet);
        }
        Ok(self)
    }

    /// The text from its start, as UTF-8, without a byte-order mark.
    pub(super) fn text(&self) -> io::Result<Text> {
        let mut file = self.file.try_clone()?;
        let skip = match self.encoding {
            _ if !self.has_bom => 0,
            Encoding::Utf16Le | Encoding::Utf16Be => 2,
            Encoding::Utf8 | Encoding::Windows1252 | Encoding::Mixed => 3,
        };
        file.seek(SeekFrom::Start(skip))?;
        let decoder = match self.encoding {
            Encoding::Utf8 | Encoding::Mixed => None,
            Encoding::Utf16Le => Some(UTF_16LE.new_decoder_without_bom_handling()),
            Encoding::Utf16Be => Some(UTF_16BE.new_decoder_without_bom_handling()),
            Encoding::Windows1252 => Some(WINDOWS_1252.new_decoder_without_bom_handling()),
        };
        let is_mixed = self.encoding == Encoding::Mixed;
        let is_sheet = self.sheet.is_some();
        Ok(Text { file, is_mixed, is_sheet, decoder, raw: vec![0; CHUNK], start: 0, end: 0, over: false, done: false })
    }
}

/// A reader of UTF-8, whatever the file holds; of a file that is UTF-8 but for some bytes, of those too.
pub(super) struct Text {
    file: File,
    is_mixed: bool,
    is_sheet: bool,
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    start: usize,
    end: usize,
    over: bool,
    /// The decoder has given its last; it must not be asked again.
    done: bool,
}

impl Text {
    /// Whether its records have marks before their first cells.
    pub(super) const fn is_sheet(&self) -> bool {
        self.is_sheet
    }

    /// Whether what is read need not be UTF-8 everywhere.
    pub(super) const fn is_mixed(&self) -> bool {
        self.is_mixed
    }
}

impl Read for Text {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.decoder else { return self.file.read(into) };
        while !self.done {
            if self.start == self.end && !self.over {
                self.end = self.file.read(&mut self.raw)?;
                self.start = 0;
                self.over = self.end == 0;
            }
            let raw = self.raw.get(self.start..self.end).unwrap_or_default();
            let (result, read, written, _) = decoder.decode_to_utf8(raw, into, self.over);
            self.start += read;
            self.done = self.over && result == CoderResult::InputEmpty;
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}

/// Whether bytes that come in pieces are UTF-8, and whether any of them is so beyond ASCII.
#[derive(Default)]
struct Utf8Check {
    invalid: bool,
    beyond_ascii: bool,
    /// A character that was cut: at most three bytes.
    rest: Vec<u8>,
}

impl Utf8Check {
    fn feed(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        while !self.rest.is_empty() {
            let Some((first, others)) = bytes.split_first() else { return };
            self.rest.push(*first);
            bytes = others;
            let rest = std::mem::take(&mut self.rest);
            self.judge(&rest);
        }
        self.judge(bytes);
    }

    /// Judges bytes, and keeps what is cut at their end.
    fn judge(&mut self, mut bytes: &[u8]) {
        while !(self.invalid && self.beyond_ascii) {
            let Err(error) = str::from_utf8(bytes) else {
                self.beyond_ascii |= !bytes.is_ascii();
                return;
            };
            let (valid, other) = bytes.split_at_checked(error.valid_up_to()).unwrap_or_default();
            self.beyond_ascii |= !valid.is_ascii();
            let Some(bad) = error.error_len() else {
                self.rest.extend_from_slice(other);
                return;
            };
            self.invalid = true;
            bytes = other.get(bad..).unwrap_or_default();
        }
    }

    fn is_valid(&self) -> bool {
        !self.invalid && self.rest.is_empty()
    }
}

/// How a zip archive begins, and so a workbook.
const ZIP: &[u8] = b"PK\x03\x04";
/// How files of old offices begin, and workbooks of today that have a password.
const OLE: [u8; 4] = [0xd0, 0xcf, 0x11, 0xe0];
/// So much of such a file is looked through, in bytes.
const LOOKED_THROUGH: usize = 64 << 20;

/// What a file of an old office is: names of what is in it stand in it as UTF-16.
fn old_office(begun: &[u8], source: &mut dyn Read, name: &str) -> RosterError {
    let utf16 = |word: &str| -> Vec<u8> { word.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let words = ["EncryptedPackage", "WordDocument", "Workbook", "Book"].map(utf16);
    let mut found = [false; 4];
    let (mut held, mut chunk, mut seen) = (begun.to_vec(), vec![0; CHUNK], 0);
    loop {
        for (found, word) in found.iter_mut().zip(&words) {
            *found |= held.windows(word.len()).any(|window| window == word.as_slice());
        }
        held.drain(..held.len().saturating_sub(64));
        match source.read(&mut chunk) {
            Ok(read @ 1..) if seen < LOOKED_THROUGH => {
                seen += read;
                held.extend_from_slice(chunk.get(..read).unwrap_or_default());
            }
            _ => break,
        }
    }
    let what = match found {
        [true, ..] => {
            "an Excel workbook that is protected by a password; open it in Excel, take the password off, and save it again"
        }
        [_, true, ..] => "an old Word document; give the roster as .xlsx or CSV",
        [.., true, _] | [.., true] => "an old Excel workbook (.xls); save it as .xlsx or CSV",
        _ => "a file of an old office program; save it as .xlsx or CSV",
    };
    RosterError::NotText { name: name.to_owned(), what }
}

/// Files that are given by mistake, known by their first bytes.
fn not_a_roster(head: &[u8], name: &str) -> Result<(), RosterError> {
    let what = match head {
        [b'P', b'K', 5, 6, ..] => "an empty zip archive",
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => "text in UTF-32; save it as UTF-8",
        [b'%', b'P', b'D', b'F', ..] => "a PDF",
        [0x1f, 0x8b, ..] => "compressed (gzip); unpack it first",
        [0x7f, b'E', b'L', b'F', ..] => "a program",
        [0x89, b'P', b'N', b'G', ..] => "a picture",
        [0, 0, 0, 0, ..] => "a binary file",
        _ => match marked_up(head) {
            Some(what) => what,
            None => return Ok(()),
        },
    };
    Err(RosterError::NotText { name: name.to_owned(), what })
}

/// Text, but no table: what many an export that is named `.xls` or `.csv` is inside.
fn marked_up(head: &[u8]) -> Option<&'static str> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let follows = |rest: &[u8], next: &[u8]| rest.trim_ascii_start().first().is_some_and(|byte| next.contains(byte));
    match text {
        [b'<', b'!' | b'?' | b'a'..=b'z' | b'A'..=b'Z', ..] => Some(
            "a web page or XML, as some exports are that are named .xls; open it in a spreadsheet and save it as CSV",
        ),
        [b'{', rest @ ..] if follows(rest, b"\"") => Some("JSON; export it as CSV"),
        [b'[', rest @ ..] if follows(rest, b"{") => Some("JSON; export it as CSV"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text_of(bytes: &[u8]) -> (Encoding, String) {
        let spool = Spool::copy_from(&mut &*bytes, "test").expect("text");
        let mut text = String::new();
        spool.text().and_then(|mut reader| reader.read_to_string(&mut text)).expect("UTF-8");
        (spool.encoding, text)
    }

    fn encoding_of(bytes: &[u8]) -> Encoding {
        Spool::copy_from(&mut &*bytes, "test").expect("text").encoding
    }

    #[test]
    fn whatever_excel_writes_becomes_text() {
        let utf16 = |little: bool, mark: bool| -> Vec<u8> {
            let text = if mark { "\u{feff}Zoë;x" } else { "Zoë;x" };
            text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
        };
        assert_eq!(text_of("Zoë;x".as_bytes()), (Encoding::Utf8, "Zoë;x".into()));
        assert_eq!(text_of("\u{feff}Zoë;x".as_bytes()), (Encoding::Utf8, "Zoë;x".into()));
        assert_eq!(text_of(b"Zo\xeb;x"), (Encoding::Windows1252, "Zoë;x".into()));
        // One bad byte leaves the others what they are; so does a mark.
        assert_eq!(encoding_of("Zoë;Ren\u{e9}".as_bytes()), Encoding::Utf8);
        assert_eq!(encoding_of(b"Zo\xc3\xab;Ren\xe9"), Encoding::Mixed);
        assert_eq!(encoding_of(b"Ren\xe9;Zo\xc3\xab"), Encoding::Mixed);
        assert_eq!(encoding_of(b"\xef\xbb\xbfRen\xe9"), Encoding::Mixed);
        assert_eq!(encoding_of(b"Ren\xe9;Fran\xe7ois"), Encoding::Windows1252);
        assert_eq!(text_of(&utf16(true, true)), (Encoding::Utf16Le, "Zoë;x".into()));
        assert_eq!(text_of(&utf16(false, true)), (Encoding::Utf16Be, "Zoë;x".into()));
        assert_eq!(text_of(&utf16(true, false)), (Encoding::Utf16Le, "Zoë;x".into()));
    }

    #[test]
    fn utf16_that_ends_in_half_a_character_is_read_to_its_end() {
        for (half, rest) in [(&b"\xff\xfea\0b"[..], "a\u{fffd}"), (b"\xff\xfea\0\x3d\xd8", "a\u{fffd}")] {
            assert_eq!(text_of(half), (Encoding::Utf16Le, rest.to_owned()));
        }
    }

    #[test]
    fn files_given_by_mistake_are_named() {
        for bytes in [
            &b"%PDF-1.7"[..],
            b"\x1f\x8b\x08",
            b"user_id\0\x01\x02",
            b"<html><body><table><tr><td>user_id</td>",
            b"\xef\xbb\xbf\r\n<?xml version=\"1.0\"?>",
            b"{ \"users\": [] }",
            b"[\n  {\"user_id\": 1}]",
        ] {
            assert!(matches!(Spool::copy_from(&mut &*bytes, "x"), Err(RosterError::NotText { .. })), "{bytes:?}");
        }
        for text in ["{5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10},User", "[user_id],type", "<,type", "< 5,type"] {
            assert!(Spool::copy_from(&mut text.as_bytes(), "x").is_ok(), "{text}");
        }
        // It is not copied to its end, which never comes.
        let copied = Spool::copy_from(&mut io::repeat(0), "x");
        assert!(matches!(copied, Err(RosterError::NotText { what: "a binary file", .. })));
    }

    proptest! {
        #[test]
        fn utf8_in_pieces_is_judged_as_in_one(bytes in any::<Vec<u8>>(), cut in 1usize..7) {
            let mut check = Utf8Check::default();
            bytes.chunks(cut).for_each(|piece| check.feed(piece));
            prop_assert_eq!(check.is_valid(), str::from_utf8(&bytes).is_ok());
            let beyond = bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
            // Once both are known, nothing is left to learn.
            prop_assert_eq!(check.beyond_ascii, beyond);
        }
    }
}
