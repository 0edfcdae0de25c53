//! One roster for many portals, made into one for each: whose portal a row is for, and what goes into which roster. Which
//! file that is stays the same from month to month, by the [`index`].

pub mod index;
mod names;
mod tied;
mod whose;

use std::{
    collections::{BTreeMap, HashMap},
    io,
};

use self::whose::whose;
pub use self::{
    index::{Entry, Index, IndexError, Listed, beside},
    tied::{NotIts, Tied},
    whose::{Profile, Profiles},
};
use crate::{
    display::Shown,
    origin::Origin,
    roster::{Roster, parts::Parts},
};

/// The rows of one portal.
#[derive(Debug, Default)]
pub struct Part {
    /// How many there are.
    pub rows: u64,
    /// The rows, as they are written below the header.
    pub text: Vec<u8>,
}

/// All rows of a roster.
#[derive(Debug, Default)]
pub struct Sorted {
    /// By their portals.
    pub parts: BTreeMap<Origin, Part>,
    /// Rows that are no portal's: each with its place, and why.
    pub refused: Vec<String>,
}

/// Sorts the rows of a roster by the portals that one of its columns names. Nothing is guessed: a row whose portal is not
/// certain, or that takes in others, is nobody's.
pub fn sort(roster: &Roster, parts: &Parts<'_>, profiles: Option<&Profiles>) -> io::Result<Sorted> {
    let mut sorted = Sorted::default();
    let mut read: HashMap<String, Result<Origin, String>> = HashMap::new();
    roster.for_each(|_, row, record, _| -> io::Result<()> {
        if let Some(why) = parts.cannot_be_copied(record) {
            sorted.refused.push(why);
            return Ok(());
        }
        let refused = match parts.value(record) {
            Some(value) => {
                if !read.contains_key(&*value) {
                    read.insert(value.clone().into_owned(), whose(&value, profiles));
                }
                match read.get(&*value) {
                    Some(Ok(origin)) => {
                        let part = sorted.parts.entry(origin.clone()).or_default();
                        part.rows += 1;
                        parts.copy(row, record, origin.as_str(), &mut part.text);
                        return Ok(());
                    }
                    Some(Err(why)) => why.clone(),
                    None => String::new(),
                }
            }
            None => "the cell holds bytes that are no UTF-8, as the rest is; save the file as UTF-8".to_owned(),
        };
        sorted.refused.push(format!("{}: {refused}", Shown(&parts.place(record))));
        Ok(())
    })?;
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const ADA: &str = "09eaba1a-3b15-4bc5-9f4f-81e0c7a0e1f5";

    fn roster(text: &str) -> Roster {
        Roster::read_from(&mut text.as_bytes(), "all.csv").expect("a roster")
    }

    fn sorted(text: &str) -> Sorted {
        let roster = roster(text);
        let parts = Parts::by(&roster, "portal").expect("a column");
        sort(&roster, &parts, None).expect("sorted")
    }

    /// The cells of each row of a part, read as the roster that it is.
    fn cells(header: &[u8], part: &[u8]) -> Vec<Vec<String>> {
        let text = [header, part].concat();
        let roster = Roster::read_from(&mut &*text, "part.csv").expect("a roster");
        let mut rows = Vec::new();
        roster
            .for_each(|_, _, record, _| {
                rows.push(record.cells().map(|cell| crate::sheet::denature(cell).to_owned()).collect());
                Ok::<_, io::Error>(())
            })
            .expect("read again");
        rows
    }

    #[test]
    fn rows_go_to_their_portals_under_one_spelling() {
        let sorted = sorted(&format!(
            "user_id;type;Portal;note\r\n{ADA};User;HTTPS://B.example:443/;=1+1\r\n{ADA};guest;https://a.example;\"x;y\"\r\n\
             {ADA};User; https://b.example ;\r\n"
        ));
        assert_eq!(sorted.refused, [""; 0]);
        let texts: Vec<(&str, u64, String)> = sorted
            .parts
            .iter()
            .map(|(origin, part)| (origin.as_str(), part.rows, String::from_utf8_lossy(&part.text).into_owned()))
            .collect();
        assert_eq!(
            texts,
            [
                ("https://a.example", 1, format!("{ADA};guest;https://a.example;\"x;y\"\n")),
                (
                    "https://b.example",
                    2,
                    format!("{ADA};User;https://b.example;'=1+1\n{ADA};User;https://b.example;\n")
                ),
            ]
        );
    }

    #[test]
    fn rows_that_are_no_portals_are_named() {
        let refused = sorted(&format!(
            "user_id,type,portal\n{ADA},User,\n{ADA},User,a.example\n{ADA},User,\"\"\"https://a.example\"\"x\"\n{ADA},User\n\
             {ADA},User,https://u:SECRETPW@a.example\n{ADA},User,https://a.example\n{ADA},User,\"https://a.example\"x\n"
        ))
        .refused;
        let told: Vec<&str> = refused.iter().map(String::as_str).collect();
        assert!(
            matches!(told.as_slice(), [none, bare, odd, short, user, stray]
                if none.starts_with("line 2, column portal: no portal is given")
                && bare.starts_with("line 3, column portal: `a.example` lacks its scheme")
                && odd.starts_with("line 4, column portal: ")
                && short.starts_with("line 5, column portal: no portal")
                && user.starts_with("line 6, column portal: the address holds a user name")
                && !user.contains("SECRETPW")
                && stray.starts_with("line 8, column portal: ")),
            "{told:#?}"
        );
    }

    proptest! {
        #[test]
        fn the_parts_together_are_the_roster(rows in prop::collection::vec((0_u8..5, "[-=+@'\" ;,xé\n]{0,5}", "[abx]{1,3}"), 0..30)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["user_id", "type", "portal", "note", "more"]).expect("written");
            for (portal, note, more) in &rows {
                let portal = format!("https://p{portal}.example");
                writer.write_record([ADA, "User", &portal, note, more]).expect("written");
            }
            let text = String::from_utf8(writer.into_inner().expect("flushed")).expect("UTF-8");
            let whole = roster(&text);
            let parts = Parts::by(&whole, "portal").expect("a column");
            let sorted = sort(&whole, &parts, None).expect("sorted");
            prop_assert!(sorted.refused.is_empty(), "{:?}", sorted.refused);
            let mut together: Vec<Vec<String>> = Vec::new();
            for (origin, part) in &sorted.parts {
                let cells = cells(&parts.header(), &part.text);
                prop_assert_eq!(u64::try_from(cells.len()).ok(), Some(part.rows));
                let portals: BTreeSet<&str> = cells.iter().map(|row| row[2].as_str()).collect();
                prop_assert_eq!(portals, BTreeSet::from([origin.as_str()]));
                together.extend(cells);
            }
            let mut expected: Vec<Vec<String>> = Vec::new();
            whole.for_each(|_, _, record, _| {
                expected.push(record.cells().map(str::to_owned).collect());
                Ok::<_, io::Error>(())
            }).expect("read again");
            together.sort();
            expected.sort();
            prop_assert_eq!(together, expected);
        }
    }
}
