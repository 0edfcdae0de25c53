//! Which column is which: the header's names, matched as people write them.

use super::{
    error::RosterError,
    reading::{Reading, Role},
    records::Record,
    sheet_cell::{Merged, letters},
    text::{plain, trimmed},
};
use crate::{
    display::Shown,
    sheet::{COLUMNS, denature},
};

/// What columns are called that hold a name in two parts, to which nothing but what people are called is due.
const GIVEN: &[&str] = &["firstname", "givenname", "forename", "vorname"];
const FAMILY: &[&str] = &["lastname", "surname", "familyname", "nachname"];

/// The columns of a roster.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// The names as they stand in the file; those of a results file before they were defused.
    pub names: Vec<String>,
    /// The user's id.
    pub user_id: Option<usize>,
    /// The user's address.
    pub email: Option<usize>,
    /// What the user is to become.
    pub employee_type: Option<usize>,
    /// The row's own congratulation key.
    pub key: Option<usize>,
    /// The outcome of the run that wrote it, in a results file.
    pub outcome: Option<usize>,
    /// The nine columns of the results, in their order, in a results file.
    pub results: Option<[usize; COLUMNS.len()]>,
    /// The user's name.
    pub name: Option<usize>,
    /// The two parts of it, where it stands in two columns.
    name_parts: [Option<usize>; 2],
    /// The sheet of a workbook, as it stands before its cells.
    pub sheet: Option<String>,
    /// How it is read.
    pub(super) reading: Reading,
    /// Merged regions in needed columns.
    pub(super) merged: Vec<(usize, Merged)>,
    /// Columns that are carried into the results, with the name that they have there.
    pub passed: Vec<(usize, String)>,
}

/// Whether a name is a whole header, by whatever separator.
fn is_a_header(name: &str) -> bool {
    [',', ';', '\t', '|'].iter().any(|separator| {
        let names: Vec<String> = name.split(*separator).map(plain).collect();
        let has = |spellings: &[&str]| names.iter().any(|name| spellings.contains(&name.as_str()));
        has(&["userid", "email", "emailaddress"]) && has(&["employeetype", "type"])
    })
}

impl Columns {
    /// Where a row or a cell is, for people: `line 7` of a text, `Sheet!C7` of a workbook, as Excel has it.
    pub fn place(&self, line: u64, column: Option<usize>) -> String {
        match (&self.sheet, column) {
            (None, _) => format!("line {line}"),
            (Some(sheet), Some(column)) => format!("{sheet}!{}{line}", letters(column)),
            (Some(sheet), None) => format!("{sheet}!{line}:{line}"),
        }
    }

    /// Reads the header.
    pub(super) fn read(names: Vec<String>, reading: &Reading) -> Result<Self, RosterError> {
        let mut columns = Self { names, reading: reading.clone(), ..Self::default() };
        columns.results = columns.all_of_the_results();
        if columns.results.is_some() {
            // Names were defused as cells are.
            columns.names = columns.names.iter().map(|name| denature(name).to_owned()).collect();
        }
        columns.user_id = columns.one(Role::UserId)?;
        columns.email = columns.one(Role::Email)?;
        columns.employee_type = columns.one(Role::EmployeeType)?;
        columns.key = columns.one(Role::Key)?;
        // Nothing is done by a name; two columns of it do no harm.
        columns.name = columns.mapped(Role::Name)?.or_else(|| columns.named(Role::Name).next().map(|(place, _)| place));
        columns.name_parts = [GIVEN, FAMILY]
            .map(|spellings| columns.names.iter().position(|name| spellings.contains(&plain(name).as_str())));
        let mut missing = Vec::new();
        if columns.user_id.or(columns.email).is_none() {
            missing.push(Role::UserId);
        }
        if columns.employee_type.is_none() && reading.employee_type.is_none() {
            missing.push(Role::EmployeeType);
        }
        if !missing.is_empty() {
            return Err(columns.lacks(&missing));
        }
        columns.outcome = columns.results.and_then(|places| places.get(5).copied());
        columns.passed = columns.passed_through();
        Ok(columns)
    }

    /// The places of the columns that are named like this.
    fn named(&self, role: Role) -> impl Iterator<Item = (usize, &String)> {
        (0..).zip(&self.names).filter(move |(_, other)| role.spellings().contains(&plain(other).as_str()))
    }

    /// The place of the column that was said to be this; in a results file ours are ours.
    fn mapped(&self, role: Role) -> Result<Option<usize>, RosterError> {
        let Some(mapped) = self.reading.columns.iter().find(|mapped| mapped.role == role) else { return Ok(None) };
        match self.called(&mapped.column, &format!("--map {}", role.as_str())) {
            // The columns of the roster that it was made of are not all there.
            Err(_) if self.results.is_some() && self.places_of(&mapped.column).is_empty() => Ok(None),
            found => found.map(Some),
        }
    }

    /// The places of the columns of this name: spelt so, or else as people write names.
    fn places_of(&self, column: &str) -> Vec<usize> {
        let places = |is: &dyn Fn(&String) -> bool| -> Vec<usize> {
            (0..).zip(&self.names).filter(|(_, name)| is(name)).map(|(place, _)| place).collect()
        };
        match places(&|name| name.trim() == column.trim()) {
            found if found.is_empty() => places(&|name| plain(name) == plain(column)),
            found => found,
        }
    }

    /// The place of the one column of this name; an error begins with the option that names it.
    pub(super) fn called(&self, column: &str, option: &str) -> Result<usize, RosterError> {
        match self.places_of(column).as_slice() {
            [one] => Ok(*one),
            [] => Err(RosterError::Mapping(format!(
                "{option}: the roster has no column `{}`; it has {}",
                Shown(column),
                self.listed()
            ))),
            [..] => Err(RosterError::Mapping(format!(
                "{option}: the roster has more than one column `{}`; rename or remove one",
                Shown(column)
            ))),
        }
    }

    /// Whether cells of a column were defused when the roster was written.
    pub(super) fn is_defused(&self, column: usize) -> bool {
        self.results.is_some() || (self.reading.is_part && !self.is_read(column))
    }

    /// Whether a column is one that is read: id, address, type or key.
    pub(super) fn is_read(&self, column: usize) -> bool {
        [self.user_id, self.email, self.employee_type, self.key].contains(&Some(column))
    }

    /// The place of a needed column; two headers for it are one too many. In a results file the exact name decides, so
    /// that a roster column `type` beside `employee_type` does no harm there.
    fn one(&self, role: Role) -> Result<Option<usize>, RosterError> {
        let name = role.as_str();
        if self.results.is_some()
            && let Some(place) = self.names.iter().position(|other| other == name)
        {
            return Ok(Some(place));
        }
        if let Some(place) = self.mapped(role)? {
            return Ok(Some(place));
        }
        let is_taken = |place: usize| {
            let mapped = self.reading.columns.iter().filter(|mapped| mapped.role != role);
            mapped.filter_map(|mapped| self.mapped(mapped.role).ok()?).any(|other| other == place)
        };
        let mut places = self.named(role).filter(|(place, _)| !is_taken(*place));
        match (places.next(), places.next()) {
            (Some((_, first)), Some((_, second))) => Err(RosterError::TwoColumns {
                name,
                first: Shown(first).to_string(),
                second: Shown(second).to_string(),
            }),
            (first, _) => Ok(first.map(|(place, _)| place)),
        }
    }

    fn all_of_the_results(&self) -> Option<[usize; COLUMNS.len()]> {
        let mut places = [0; COLUMNS.len()];
        for (place, name) in places.iter_mut().zip(COLUMNS) {
            *place = self.names.iter().position(|other| other == name)?;
        }
        Some(places)
    }

    fn listed(&self) -> String {
        let mut found: Vec<String> = self.names.iter().take(20).map(|name| format!("`{}`", Shown(name))).collect();
        if self.names.len() > found.len() {
            found.push(format!("and {} more", self.names.len() - found.len()));
        }
        found.join(", ")
    }

    fn lacks(&self, roles: &[Role]) -> RosterError {
        let missing = roles.first().map_or("user_id", |role| role.as_str());
        if let Some(cell) = self.names.iter().find(|name| is_a_header(name)) {
            return RosterError::LinesInQuotes { cell: Shown(cell).to_string() };
        }
        let wanted = plain(missing);
        let near = self
            .names
            .iter()
            .map(|name| (strsim::jaro_winkler(&plain(name), &wanted), name))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| Shown(name).to_string());
        RosterError::MissingColumn {
            missing,
            found: self.listed(),
            near,
            hints: String::new(),
            also: roles.get(1).copied(),
        }
    }

    fn place_of(&self, role: Role) -> Option<usize> {
        match role {
            Role::UserId => self.user_id,
            Role::Email => self.email,
            Role::EmployeeType => self.employee_type,
            Role::Key => self.key,
            Role::Name => self.name,
        }
    }

    /// Whom a row is about, as the roster has it: the name and the address, each empty where there is none.
    pub fn person(&self, record: &Record) -> [String; 2] {
        let cell = |place: usize| {
            let cell = record.cell(place);
            trimmed(if self.is_defused(place) { denature(cell) } else { cell }).to_owned()
        };
        let name = self.name.map_or_else(
            || {
                let [given, family] = self.name_parts.map(|place| place.map(cell).unwrap_or_default());
                trimmed(&format!("{given} {family}")).to_owned()
            },
            cell,
        );
        [name, self.email.map(cell).unwrap_or_default()]
    }

    fn passed_through(&self) -> Vec<(usize, String)> {
        let read = [self.user_id, self.employee_type, self.key];
        let mut passed: Vec<(usize, String)> = Vec::new();
        for (place, name) in (0..).zip(&self.names) {
            let ours = self.results.is_some_and(|places| places.contains(&place));
            // Keys may be secrets, also where only one of two is read.
            let is_mapped = |role: Role| self.reading.columns.iter().any(|mapped| mapped.role == role);
            let is_key = plain(name) == "key" && !(is_mapped(Role::Key) && self.results.is_none());
            if ours || read.contains(&Some(place)) || is_key {
                continue;
            }
            let mut kept = name.clone();
            // Where another column was said to be the one, whoever reads the results must not take this one for it.
            let stands_in = |name: &str| {
                let wins = |role: Role| is_mapped(role) && self.place_of(role) != Some(place);
                Role::ALL.into_iter().any(|role| wins(role) && role.spellings().contains(&plain(name).as_str()))
            };
            let like_ours = |name: &str| {
                COLUMNS.iter().any(|column| plain(column) == plain(name)) || (self.results.is_none() && stands_in(name))
            };
            while like_ours(&kept) || (kept != *name && self.names.contains(&kept)) {
                kept = format!("roster_{kept}");
            }
            passed.push((place, kept));
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(names: &[&str]) -> Result<Columns, RosterError> {
        Columns::read(names.iter().map(|name| (*name).to_owned()).collect(), &Reading::default())
    }

    #[test]
    fn headers_are_matched_as_people_write_them() {
        for (user, kind) in
            [("user_id", "employee_type"), ("User ID", "type"), ("userId", "employeeType"), ("USER-ID", "Type")]
        {
            let columns = read(&["Name", user, kind]).expect("a roster");
            assert_eq!((columns.user_id, columns.employee_type), (Some(1), Some(2)), "{user} {kind}");
            assert_eq!(columns.passed, [(0, "Name".to_owned())]);
        }
        let columns = read(&["E-Mail", "type"]).expect("a roster");
        assert_eq!((columns.user_id, columns.email), (None, Some(0)));
        assert_eq!(columns.passed, [(0, "E-Mail".to_owned())], "the address passes through");
    }

    #[test]
    fn what_is_missing_or_twice_is_told() {
        assert!(matches!(read(&["user_id", "userId", "type"]), Err(RosterError::TwoColumns { name: "user_id", .. })));
        assert!(matches!(read(&["user_id", "employee_type", "type"]), Err(RosterError::TwoColumns { .. })));
        let Err(RosterError::MissingColumn { missing, near, .. }) = read(&["usr_id", "type"]) else {
            panic!("missing")
        };
        assert_eq!((missing, near.as_deref()), ("user_id", Some("usr_id")));
        // A look-alike in Cyrillic is another name.
        let Err(RosterError::MissingColumn { found, .. }) = read(&["us\u{435}r_id\u{200b}", "type"]) else {
            panic!("missing")
        };
        assert!(found.contains("\\u{200b}"));
    }

    #[test]
    fn columns_named_like_ours_are_kept_under_another_name() {
        let columns = read(&["row", "user_id", "type", "Active", "roster_row", "key"]).expect("a roster");
        let kept: Vec<_> = columns.passed.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(kept, ["roster_roster_row", "roster_Active", "roster_row"]);
    }

    #[test]
    fn a_results_file_is_known_by_its_nine_columns() {
        let mut names: Vec<&str> = COLUMNS.to_vec();
        names.extend(["name", "type"]);
        let columns = read(&names).expect("a results file");
        assert_eq!((columns.user_id, columns.employee_type, columns.outcome), (Some(1), Some(2), Some(5)));
        assert_eq!(columns.passed.len(), 2);
    }

    #[test]
    fn people_are_called_as_the_roster_calls_them() {
        for (text, person) in [
            ("user_id,type,name,email\nu,User, Anna Keller ,a@x.example\n", ["Anna Keller", "a@x.example"]),
            ("user_id,type,Last Name,first_name\nu,User,Keller,Anna\n", ["Anna Keller", ""]),
            ("user_id,type,Nachname,Vorname,e-mail\nu,User,Keller,,a@x.example\n", ["Keller", "a@x.example"]),
            ("user_id,type\nu,User\n", ["", ""]),
        ] {
            let roster = super::super::Roster::read_from(&mut text.as_bytes(), "users.csv").expect("a roster");
            let mut people = Vec::new();
            roster
                .for_each(|_, _, record, _| {
                    people.push(roster.columns().person(record));
                    Ok::<_, std::io::Error>(())
                })
                .expect("read again");
            assert_eq!(people, [person.map(str::to_owned)]);
        }
        let reading = Reading { columns: vec!["name=Mitarbeiter".parse().expect("a mapping")], ..Reading::default() };
        let text = "user_id,type,Mitarbeiter,name\nu,User,Anna,other\n";
        let roster = super::super::Roster::read_from_as(&mut text.as_bytes(), "users.csv", &reading).expect("a roster");
        assert_eq!(roster.columns().name, Some(2));
    }

    #[test]
    fn no_key_passes_into_the_results() {
        let names = |keys: &'static [&'static str]| [COLUMNS.as_slice(), keys].concat();
        for keys in [&["key"][..], &["key", "Key"], &["KEY", "key", "k_e-y"]] {
            assert_eq!(read(&names(keys)).expect("a results file").passed, [], "{keys:?}");
        }
    }
}
