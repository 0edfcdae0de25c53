//! The index of rosters that were split: which number and which file is whose portal's. It makes numbers last from month
//! to month, and holds a run on such a file to its portal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use super::names;
use crate::{
    display::{Shown, shown_path},
    file::read_small,
    origin::Origin,
};

/// Its name, beside the rosters.
pub const NAME: &str = "index.csv";
/// Its columns.
pub const COLUMNS: [&str; 4] = ["number", "portal", "file", "rows"];
/// The largest one, in bytes: hundreds of thousands of portals.
const MOST_READ: u64 = 64 << 20;
/// The highest number that is read; there is room for new ones above it.
const HIGHEST: u32 = 999_999_999;

/// A portal, and the file of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, for good.
    pub number: u32,
    /// Whose it is.
    pub portal: Origin,
    /// The file's name, without a folder.
    pub file: String,
    /// How many rows it has.
    pub rows: u64,
}

/// All of them, by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// By their numbers.
    pub entries: Vec<Entry>,
    /// A column that somebody has added.
    pub added: Option<String>,
}

/// What an index says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Whose it is.
    pub portal: Origin,
    /// The index.
    pub index: PathBuf,
}

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It cannot be read.
    #[error("the index {} cannot be read: {source}", shown_path(path))]
    Unreadable {
        /// The index.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line of it is not as `onboard split` writes it.
    #[error(
        "the index {} cannot be used, since line {line} {why}; mend the line, or get the file back as `onboard split` \
         wrote it",
        shown_path(path)
    )]
    Wrong {
        /// The index.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong, as the rest of a sentence.
        why: String,
    },
}

impl Index {
    /// Reads an index; none where there is none, or where a file of this name is something else.
    pub fn read(path: &Path) -> Result<Option<Self>, IndexError> {
        if !path.is_file() {
            return Ok(None);
        }
        let bytes =
            read_small(path, MOST_READ).map_err(|source| IndexError::Unreadable { path: path.to_owned(), source })?;
        let wrong = |(line, why)| IndexError::Wrong { path: path.to_owned(), line, why };
        Self::of_text(&String::from_utf8_lossy(&bytes)).map_err(wrong)
    }

    /// The same of its text; an error is of a line. A spreadsheet may have saved it since.
    fn of_text(text: &str) -> Result<Option<Self>, (u64, String)> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let header = text.lines().next().unwrap_or_default();
        let separator = [b',', b';', b'\t'].into_iter().max_by_key(|byte| header.matches(char::from(*byte)).count());
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator.unwrap_or(b','))
            .trim(csv::Trim::All)
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut records = reader.records();
        let Some(Ok(header)) = records.next() else { return Ok(None) };
        let names: Vec<String> = header.iter().map(str::to_lowercase).collect();
        let mut places = [0; COLUMNS.len()];
        for (place, column) in places.iter_mut().zip(COLUMNS) {
            let Some(found) = names.iter().position(|name| name == column) else { return Ok(None) };
            *place = found;
        }
        let added = names.iter().find(|name| !name.is_empty() && !COLUMNS.contains(&name.as_str())).cloned();
        let mut index = Self { entries: Vec::new(), added };
        for record in records {
            let record = record.map_err(|error| {
                (error.position().map_or(0, csv::Position::line), "cannot be read as CSV".to_owned())
            })?;
            let line = record.position().map_or(0, csv::Position::line);
            if record.iter().all(str::is_empty) {
                continue;
            }
            let [number, portal, file, rows] = places.map(|place| record.get(place).unwrap_or_default());
            let entry = entry(number, portal, file, rows).map_err(|why| (line, why))?;
            index.entries.push(entry);
        }
        index.entries.sort_by_key(|entry| entry.number);
        index.refuse_twice().map_err(|why| (1, why))?;
        Ok(Some(index))
    }

    /// Each portal and each number once.
    fn refuse_twice(&self) -> Result<(), String> {
        let (mut portals, mut last) = (BTreeSet::new(), None);
        for entry in &self.entries {
            if last == Some(entry.number) {
                return Err(format!("and the others give the number {} twice", entry.number));
            }
            if !portals.insert(&entry.portal) {
                return Err(format!("and the others give the portal {} twice", entry.portal));
            }
            last = Some(entry.number);
        }
        Ok(())
    }

    /// The text of its file.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", COLUMNS.join(","));
        for Entry { number, portal, file, rows } in &self.entries {
            text.extend([format!("{number:04},{portal},{file},{rows}\n")]);
        }
        text
    }

    /// The index of the next month: whoever was there keeps number and file, also without a row; whoever is new gets the
    /// next one that neither the index nor another file of the folder has.
    #[must_use]
    pub fn renewed(&self, rows: &BTreeMap<Origin, u64>, there: &[String]) -> Self {
        let counted = |portal: &Origin| rows.get(portal).copied().unwrap_or_default();
        let mut entries: Vec<Entry> =
            self.entries.iter().map(|entry| Entry { rows: counted(&entry.portal), ..entry.clone() }).collect();
        let mut next = entries.last().map_or(1, |last| last.number.saturating_add(1));
        for portal in rows.keys() {
            if self.entries.iter().any(|entry| entry.portal == *portal) {
                continue;
            }
            let number = names::free(next, portal, there);
            let file = names::file(number, portal);
            entries.push(Entry { number, portal: portal.clone(), file, rows: counted(portal) });
            next = number.saturating_add(1);
        }
        Self { entries, added: None }
    }

    /// Whether this portal has a number.
    pub fn knows(&self, portal: &Origin) -> bool {
        self.entries.iter().any(|entry| entry.portal == *portal)
    }

    /// The entry that a file belongs to: the file itself, and what is made of it, as `0007-acme.results.csv`.
    fn of_file(&self, name: &str) -> Option<&Entry> {
        let stem = names::stem(name);
        self.entries.iter().find(|entry| names::stem(&entry.file).eq_ignore_ascii_case(stem))
    }
}

fn entry(number: &str, portal: &str, file: &str, rows: &str) -> Result<Entry, String> {
    let Ok(number @ 1..=HIGHEST) = number.parse() else {
        return Err(format!("has no number that can be used (`{}`)", Shown(number)));
    };
    let portal = portal.parse::<Origin>().map_err(|why| format!("has no portal that can be used: {why}"))?;
    if !names::is_ours(file, number) {
        return Err(format!("names a file (`{}`) that is not called as the one of number {number:04}", Shown(file)));
    }
    let rows = rows.parse().map_err(|_other| format!("has no count of rows (`{}`)", Shown(rows)))?;
    Ok(Entry { number, portal, file: file.to_owned(), rows })
}

/// What the index beside a roster says of it, or of what it was made of; nothing where there is none, or it is not in it.
/// A link is what it is called, and what it leads to.
pub fn beside(roster: &Path) -> Result<Option<Listed>, IndexError> {
    let real = fs::canonicalize(roster).ok();
    for path in std::iter::once(roster).chain(real.as_deref()) {
        let (Some(name), Some(folder)) = (path.file_name().and_then(|name| name.to_str()), path.parent()) else {
            continue;
        };
        let index = folder.join(NAME);
        if let Some(entry) = Index::read(&index)?.as_ref().and_then(|index| index.of_file(name)) {
            return Ok(Some(Listed { portal: entry.portal.clone(), index }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().expect("an origin")
    }

    fn counts(portals: &[(u8, u64)]) -> BTreeMap<Origin, u64> {
        portals.iter().map(|(portal, rows)| (origin(&format!("https://p{portal}.example")), *rows)).collect()
    }

    #[test]
    fn a_portal_that_stays_keeps_its_number_and_one_that_is_new_gets_another() {
        let first = Index::default().renewed(&counts(&[(2, 5), (1, 3)]), &[]);
        assert_eq!(
            first.text(),
            "number,portal,file,rows\n0001,https://p1.example,0001-p1.csv,3\n0002,https://p2.example,0002-p2.csv,5\n"
        );
        let there = ["0003-gone.results.csv".to_owned()];
        let second = first.renewed(&counts(&[(0, 1), (2, 4)]), &there);
        assert_eq!(
            second.text(),
            "number,portal,file,rows\n0001,https://p1.example,0001-p1.csv,0\n0002,https://p2.example,0002-p2.csv,4\n\
             0004,https://p0.example,0004-p0.csv,1\n"
        );
        assert_eq!(second.of_file("0002-p2.csv").map(|entry| entry.number), Some(2));
        assert_eq!(second.of_file("0002-P2.results.csv").map(|entry| entry.number), Some(2));
        for other in ["0002-p2x.csv", "index.csv", "all.csv", "0003-gone.csv", "0002-p2 (1).csv"] {
            assert_eq!(second.of_file(other), None, "{other}");
        }
    }

    #[test]
    fn what_a_spreadsheet_saved_is_still_the_index() {
        let index = Index::default().renewed(&counts(&[(1, 3)]), &[]);
        for text in [
            "number,portal,file,rows\n0001,https://p1.example,0001-p1.csv,3\n",
            "\u{feff}number;portal;file;rows\r\n1;https://p1.example;0001-p1.csv;3\r\n;;;\r\n",
            "Number\tFile\tPortal\tRows\n1\t0001-p1.csv\t\"HTTPS://P1.example:443/\"\t3\n",
        ] {
            assert_eq!(Index::of_text(text), Ok(Some(index.clone())), "{text}");
        }
        for other in ["", "a,b\n", "number,portal,file\n", "user_id,type,portal,file\n"] {
            assert_eq!(Index::of_text(other), Ok(None), "{other}");
        }
        let more = Index::of_text("number,portal,file,rows,note\n").expect("an index").expect("there");
        assert_eq!(more.added.as_deref(), Some("note"));
    }

    #[test]
    fn a_line_that_was_spoilt_is_told() {
        for (line, why) in [
            ("x,https://p1.example,0001-p1.csv,3", "line 2: has no number"),
            ("0,https://p1.example,0000-p1.csv,3", "line 2: has no number"),
            ("4294967295,https://p1.example,4294967295-p1.csv,3", "line 2: has no number"),
            ("1,p1.example,0001-p1.csv,3", "line 2: has no portal"),
            ("1,https://p1.example,../0001-p1.csv,3", "line 2: names a file"),
            ("1,https://p1.example,0001-../p1.csv,3", "line 2: names a file"),
            ("1,https://p1.example,0002-p1.csv,3", "line 2: names a file"),
            ("1,https://p1.example,0001-p1.csv,many", "line 2: has no count"),
            ("1,https://p1.example", "line 2: names a file"),
            (
                "1,https://p1.example,0001-p1.csv,3\n1,https://p2.example,0001-p2.csv,3",
                "line 1: and the others give the number 1",
            ),
            (
                "1,https://p1.example,0001-p1.csv,3\n2,https://p1.example,0002-p1.csv,3",
                "line 1: and the others give the portal",
            ),
        ] {
            let (at, told) = Index::of_text(&format!("number,portal,file,rows\n{line}\n")).expect_err(line);
            let told = format!("line {at}: {told}");
            assert!(told.starts_with(why), "{line}: {told}");
        }
    }

    proptest! {
        #[test]
        fn numbers_last_and_names_are_unique(months in prop::collection::vec(prop::collection::btree_map(0_u8..40, 1_u64..9, 0..20), 1..6)) {
            let mut index = Index::default();
            for month in &months {
                let rows = counts(&month.iter().map(|(portal, rows)| (*portal, *rows)).collect::<Vec<_>>());
                let files: Vec<String> = index.entries.iter().map(|entry| entry.file.clone()).collect();
                let next = index.renewed(&rows, &files);
                for (before, after) in index.entries.iter().zip(&next.entries) {
                    prop_assert_eq!((before.number, &before.portal, &before.file), (after.number, &after.portal, &after.file));
                }
                prop_assert_eq!(next.entries.iter().map(|entry| entry.rows).sum::<u64>(), rows.values().sum::<u64>());
                prop_assert!(rows.keys().all(|portal| next.knows(portal)));
                let names: BTreeSet<String> = next.entries.iter().map(|entry| entry.file.to_lowercase()).collect();
                prop_assert_eq!(names.len(), next.entries.len());
                prop_assert_eq!(Index::of_text(&next.text()), Ok(Some(next.clone())));
                index = next;
            }
        }
    }
}
