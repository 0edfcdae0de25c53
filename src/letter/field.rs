//! What can be filled in, and by which names.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use super::error::What;
use crate::{display::Shown, roster::Columns, sheet::COLUMNS};

/// What a placeholder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The name that the portal shows.
    PortalName,
    /// The address that the portal has.
    Email,
    /// The portal's own address.
    Portal,
    /// The invitation link of the row's type.
    InviteLink,
    /// What the row makes of the user.
    EmployeeType,
    /// A column of the roster.
    Column(usize),
}

impl Field {
    /// Whether its value is a whole web address.
    pub(super) fn is_address(self) -> bool {
        matches!(self, Self::Portal | Self::InviteLink)
    }
}

/// The names under which there is something to fill in, for one roster.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    known: BTreeMap<String, Known>,
    columns: Vec<String>,
}

#[derive(Debug, Clone)]
struct Known {
    /// The name as it is best written.
    name: String,
    is: Is,
}

#[derive(Debug, Clone)]
enum Is {
    Field(Field),
    Several { first: String, second: String },
    Key,
}

impl Fields {
    /// Those of a roster.
    ///
    /// A column is known by its header, without regard to case, blanks, `_` and other signs: `Start Date` is
    /// `{{ start_date }}`. What the portal tells goes before a column of that name; `{{ name }}` is the roster's column of
    /// names where it has one.
    pub fn of(columns: &Columns) -> Self {
        let mut fields = Self { known: BTreeMap::new(), columns: columns.names.clone() };
        let name = columns.name.map_or(Field::PortalName, Field::Column);
        for (written, field) in [
            ("name", name),
            ("email", Field::Email),
            ("portal", Field::Portal),
            ("invite_link", Field::InviteLink),
            ("employee_type", Field::EmployeeType),
        ] {
            fields.known.insert(alike(written), Known { name: written.to_owned(), is: Is::Field(field) });
        }
        fields.known.insert(alike("key"), Known { name: "key".to_owned(), is: Is::Key });
        for (place, header) in columns.names.iter().enumerate() {
            let ours = columns.results.is_some_and(|places| places.contains(&place));
            // The outcome of an earlier run is nothing to write to people.
            if alike(header).is_empty() || (ours && header != "user_id" && COLUMNS.contains(&header.as_str())) {
                continue;
            }
            let is = if columns.key == Some(place) { Is::Key } else { Is::Field(Field::Column(place)) };
            match fields.known.get_mut(&alike(header)) {
                None => {
                    fields.known.insert(alike(header), Known { name: best(header), is });
                }
                Some(known) => {
                    if let Is::Field(Field::Column(first)) = known.is
                        && Some(first) != columns.name
                    {
                        let shown = |name: &str| Shown(name).to_string();
                        let first = columns.names.get(first).map(|name| shown(name)).unwrap_or_default();
                        known.is = Is::Several { first, second: shown(header) };
                    }
                }
            }
        }
        fields
    }

    /// The header of a column, fit to be shown.
    pub(super) fn header(&self, column: usize) -> String {
        self.columns.get(column).map(|name| Shown(name).to_string()).unwrap_or_default()
    }

    /// What a name stands for.
    pub(super) fn find(&self, written: &str) -> Result<Field, What> {
        let name = Shown(written).to_string();
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.') || is_mark(c);
        if written.is_empty() || !written.chars().all(is_part) {
            return Err(What::NotAName(name));
        }
        match self.known.get(&alike(written)).map(|known| &known.is) {
            Some(Is::Field(field)) => Ok(*field),
            Some(Is::Key) => Err(What::Key(name)),
            Some(Is::Several { first, second }) => {
                Err(What::Ambiguous { name, first: first.clone(), second: second.clone() })
            }
            None => {
                let near = self.nearest(&alike(written));
                Err(What::Unknown { name, near, known: self.listed() })
            }
        }
    }

    fn nearest(&self, wanted: &str) -> Option<String> {
        let near = self.offered().map(|(key, known)| (strsim::jaro_winkler(key, wanted), &known.name));
        let near = near.filter(|(likeness, _)| *likeness > 0.8).max_by(|one, other| one.0.total_cmp(&other.0));
        near.map(|(_, name)| name.clone())
    }

    fn offered(&self) -> impl Iterator<Item = (&String, &Known)> {
        self.known.iter().filter(|(_, known)| matches!(known.is, Is::Field(_)))
    }

    /// The names, those that are always there first.
    fn listed(&self) -> String {
        let always = ["name", "email", "portal", "invite_link", "employee_type"];
        let others = self.offered().map(|(_, known)| known.name.as_str()).filter(|name| !always.contains(name));
        let mut names: Vec<String> =
            always.into_iter().chain(others).take(20).map(|name| format!("`{}`", Shown(name))).collect();
        let all = self.offered().count();
        if all > names.len() {
            names.push(format!("and {} more", all - names.len()));
        }
        names.join(", ")
    }
}

/// Accents that stand on their own beside a letter.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// A name without what people write differently.
fn alike(name: &str) -> String {
    name.nfc().filter(|c| c.is_alphanumeric() || is_mark(*c)).flat_map(char::to_lowercase).nfc().collect()
}

/// A name as it is best written: lower case, `_` for whatever separates words.
fn best(name: &str) -> String {
    let lower = name.nfc().flat_map(char::to_lowercase).collect::<String>();
    let words = lower.split(|c: char| !c.is_alphanumeric() && !is_mark(c)).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::{Reading, Roster};

    fn fields(header: &str, map: &[&str]) -> Fields {
        let reading =
            Reading { columns: map.iter().map(|map| map.parse().expect("a mapping")).collect(), ..Reading::default() };
        let roster = Roster::read_from_as(&mut format!("{header}\n").as_bytes(), "r.csv", &reading).expect("a roster");
        Fields::of(roster.columns())
    }

    #[test]
    fn columns_are_known_by_their_headers_as_people_write_them() {
        let fields = fields("email,type,Start Date,Abteilung / Team,Pr\u{e9}nom", &[]);
        for name in ["start_date", "Start Date", "startDate", "START-DATE"] {
            assert_eq!(fields.find(name), Ok(Field::Column(2)), "{name}");
        }
        assert_eq!(fields.find("abteilung_team"), Ok(Field::Column(3)));
        assert_eq!(fields.find("pre\u{301}nom"), Ok(Field::Column(4)));
        assert_eq!(fields.find("type"), Ok(Field::Column(1)));
        assert_eq!(fields.find("name"), Ok(Field::PortalName));
        assert_eq!(fields.find("email"), Ok(Field::Email));
        let told = fields.find("strat_date").expect_err("unknown").to_string();
        assert_eq!(
            told,
            "nothing is known as `strat_date` (did you mean `start_date`?); there are `name`, `email`, `portal`, \
             `invite_link`, `employee_type`, `abteilung_team`, `pr\u{e9}nom`, `start_date`, `type`"
        );
    }

    #[test]
    fn the_rosters_own_column_of_names_is_the_name() {
        assert_eq!(fields("email,type,Name", &[]).find("name"), Ok(Field::Column(2)));
        let mapped = fields("email,type,Name,Rufname", &["name=Rufname"]);
        assert_eq!(mapped.find("name"), Ok(Field::Column(3)));
        assert_eq!(mapped.find("rufname"), Ok(Field::Column(3)));
    }

    #[test]
    fn no_key_is_ever_in_a_message_and_nothing_is_guessed() {
        let fields = fields("email,type,Token,key,C++,C#", &["key=Token"]);
        for name in ["key", "Key", "token"] {
            assert!(matches!(fields.find(name), Err(What::Key(_))), "{name}");
        }
        let two = fields.find("c").expect_err("two").to_string();
        assert_eq!(two, "`c` may be the roster's column `C++` or `C#`; rename one of them");
        for name in ["", "name|upper", "name()", "a % b", "{name"] {
            assert!(matches!(fields.find(name), Err(What::NotAName(_))), "{name}");
        }
    }

    #[test]
    fn what_an_earlier_run_wrote_is_nothing_to_fill_in() {
        let fields = fields(&format!("{},team", COLUMNS.join(",")), &[]);
        assert_eq!(fields.find("team"), Ok(Field::Column(9)));
        assert_eq!(fields.find("invite_link"), Ok(Field::InviteLink));
        assert_eq!(fields.find("employee_type"), Ok(Field::EmployeeType));
        assert!(matches!(fields.find("detail"), Err(What::Unknown { .. })));
    }
}
