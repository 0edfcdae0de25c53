//! What is said of a roster as a whole: what in it is not acted upon, and what somebody may not have meant.

use super::{header::Columns, text::plain};
use crate::display::{Shown, count};

/// Names of columns by which people tell a program what to do; nothing is done about them.
const INSTRUCTIONS: [&str; 28] = [
    "portal",
    "portalurl",
    "notbefore",
    "notafter",
    "sendat",
    "sendon",
    "sendafter",
    "senddate",
    "scheduledat",
    "scheduledfor",
    "skip",
    "ignore",
    "exclude",
    "donotsend",
    "dontsend",
    "nomail",
    "noemail",
    "hold",
    "delete",
    "remove",
    "disable",
    "deactivate",
    "action",
    "resend",
    "template",
    "message",
    "only",
    "dryrun",
];

/// Rows whose user stands in two of them, with two types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TwoTypes {
    /// The row that counts, from 0.
    pub(super) first: u32,
    /// The later one, from 0.
    pub(super) other: u32,
}

/// So many pairs of rows are named.
pub(super) const NAMED: usize = 5;

/// Different portals in a roster's column: the first two of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Portals {
    first: Option<String>,
    other: Option<String>,
}

impl Portals {
    /// Takes note of a row's.
    pub(super) fn note(&mut self, cell: &str) {
        let cell = cell.trim();
        if cell.is_empty() || self.other.is_some() {
            return;
        }
        match &self.first {
            None => self.first = Some(cell.to_owned()),
            Some(first) if host(first) != host(cell) => self.other = Some(cell.to_owned()),
            Some(_) => {}
        }
    }

    /// The first one.
    pub(super) fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// Two of them, where there are.
    pub(super) fn two(&self) -> Option<(&str, &str)> {
        self.first.as_deref().zip(self.other.as_deref())
    }
}

/// The part of an address that tells portals apart, as people write it with and without the rest.
fn host(address: &str) -> String {
    let lower = address.to_lowercase();
    let rest = lower.split_once("://").map_or(lower.as_str(), |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.strip_suffix(":443").unwrap_or(host).trim_end_matches('.').to_owned()
}

/// The places of columns that look like instructions.
pub(super) fn instructions(columns: &Columns) -> impl Iterator<Item = (usize, &str)> {
    (0..)
        .zip(columns.names.iter().map(String::as_str))
        .filter(|(place, _)| columns.passed.iter().any(|(passed, _)| passed == place))
        .filter(|(_, name)| INSTRUCTIONS.contains(&plain(name).as_str()))
}

/// The place of the column of portals.
pub(super) fn portal_column(columns: &Columns) -> Option<usize> {
    instructions(columns).find(|(_, name)| plain(name).starts_with("portal")).map(|(place, _)| place)
}

/// What is said of columns that nothing is done about.
pub(super) fn not_acted_upon(columns: &Columns, portals: &Portals) -> Vec<String> {
    let is_portal = |name: &str| plain(name).starts_with("portal");
    let mut said: Vec<String> = instructions(columns)
        .filter(|(_, name)| !(columns.reading.is_part && is_portal(name)))
        .map(|(_, name)| {
            let about = if is_portal(name) {
                ": every row goes to the one portal that a run is given"
            } else {
                ", though it looks like an instruction; it is carried into the results as it is"
            };
            format!("the roster's column `{}` is not acted upon{about}", Shown(name))
        })
        .collect();
    if let Some((first, other)) = portals.two() {
        said.push(format!(
            "the roster names more than one portal (`{}` and `{}`), so a run refuses it; make a roster for each with \
             `onboard split`",
            Shown(first),
            Shown(other)
        ));
    }
    said
}

/// What is said of a column that is taken for the congratulation key.
pub(super) fn taken_for_key(columns: &Columns, keys: u64) -> Option<String> {
    let name = columns.names.get(columns.key?)?;
    Some(format!(
        "column `{}` is taken as the congratulation key of its row ({} one); if it is something else, rename it",
        Shown(name),
        match keys {
            0 => "no row has".to_owned(),
            1 => "1 row has".to_owned(),
            more => format!("{} have", count(more, "row")),
        },
    ))
}

/// What is said of users with two types, by the lines of their rows; of more pairs than are named, how many they are.
pub(super) fn two_types(lines: &[(u64, u64)], pairs: u64, columns: &Columns) -> Option<String> {
    let named: Vec<String> = lines
        .iter()
        .map(|(first, other)| {
            let column = columns.employee_type;
            if columns.sheet.is_none() {
                return format!("lines {first} and {other}");
            }
            format!("{} and {}", Shown(&columns.place(*first, column)), Shown(&columns.place(*other, column)))
        })
        .collect();
    let more = pairs.saturating_sub(u64::try_from(lines.len()).unwrap_or(u64::MAX));
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (pairs > 0).then(|| {
        format!(
            "{} given two employee types ({}{more}); the first row of each counts",
            if pairs == 1 { "a user is".to_owned() } else { "users are".to_owned() },
            named.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portals_are_told_apart_by_their_hosts() {
        let two = |cells: &[&str]| {
            let mut portals = Portals::default();
            for cell in cells {
                portals.note(cell);
            }
            portals.two().map(|(first, other)| (first.to_owned(), other.to_owned()))
        };
        assert_eq!(two(&["https://a.example", "A.example/", " ", "http://a.example:443/rooms"]), None);
        assert_eq!(two(&["", "a.example", "b.example", "c.example"]), Some(("a.example".into(), "b.example".into())));
    }
}
