//! Which column is which: the header's names, matched as people write them.

use super::{
    error::RosterError,
    text::{shown_by_formula, unquoted, visible},
};
use crate::{
    display::Shown,
    sheet::{COLUMNS, denature},
};

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
    /// Columns that are carried into the results, with the name that they have there.
    pub passed: Vec<(usize, String)>,
}

/// A name without what people write differently: case, blanks, `_`, `-`; and without what nobody sees.
pub(super) fn plain(name: &str) -> String {
    let name = visible(name);
    let name = shown_by_formula(name.trim());
    unquoted(&name)
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
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
    /// Reads the header.
    pub(super) fn read(names: Vec<String>) -> Result<Self, RosterError> {
        let mut columns = Self { names, ..Self::default() };
        columns.results = columns.all_of_the_results();
        if columns.results.is_some() {
            // Names were defused as cells are.
            columns.names = columns.names.iter().map(|name| denature(name).to_owned()).collect();
        }
        columns.user_id = columns.one("user_id", &["userid"])?;
        columns.email = columns.one("email", &["email", "emailaddress"])?;
        columns.employee_type = columns.one("employee_type", &["employeetype", "type"])?;
        columns.key = columns.one("key", &["key"])?;
        let missing = match (columns.user_id.or(columns.email), columns.employee_type) {
            (Some(_), Some(_)) => None,
            (None, _) => Some("user_id"),
            (Some(_), None) => Some("employee_type"),
        };
        if let Some(missing) = missing {
            return Err(columns.lacks(missing));
        }
        columns.outcome = columns.results.and_then(|places| places.get(5).copied());
        columns.passed = columns.passed_through();
        Ok(columns)
    }

    /// The place of a needed column; two headers for it are one too many. In a results file the exact name decides, so
    /// that a roster column `type` beside `employee_type` does no harm there.
    fn one(&self, name: &'static str, spellings: &[&str]) -> Result<Option<usize>, RosterError> {
        if self.results.is_some()
            && let Some(place) = self.names.iter().position(|other| other == name)
        {
            return Ok(Some(place));
        }
        let mut places = (0..).zip(&self.names).filter(|(_, other)| spellings.contains(&plain(other).as_str()));
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

    fn lacks(&self, missing: &'static str) -> RosterError {
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
        let mut found: Vec<String> = self.names.iter().take(20).map(|name| format!("`{}`", Shown(name))).collect();
        if self.names.len() > found.len() {
            found.push(format!("and {} more", self.names.len() - found.len()));
        }
        RosterError::MissingColumn { missing, found: found.join(", "), near }
    }

    fn passed_through(&self) -> Vec<(usize, String)> {
        let read = [self.user_id, self.employee_type, self.key];
        let mut passed: Vec<(usize, String)> = Vec::new();
        for (place, name) in (0..).zip(&self.names) {
            let ours = self.results.is_some_and(|places| places.contains(&place));
            // Keys may be secrets, also where only one of two is read.
            if ours || read.contains(&Some(place)) || plain(name) == "key" {
                continue;
            }
            let mut kept = name.clone();
            let like_ours = |name: &str| COLUMNS.iter().any(|column| plain(column) == plain(name));
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
        Columns::read(names.iter().map(|name| (*name).to_owned()).collect())
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
    fn no_key_passes_into_the_results() {
        let names = |keys: &'static [&'static str]| [COLUMNS.as_slice(), keys].concat();
        for keys in [&["key"][..], &["key", "Key"], &["KEY", "key", "k_e-y"]] {
            assert_eq!(read(&names(keys)).expect("a results file").passed, [], "{keys:?}");
        }
    }
}
