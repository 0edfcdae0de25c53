//! Which column may be meant, where a needed one is not found: by what its cells hold.

use std::collections::BTreeSet;

use super::{
    address,
    reading::{Reading, Role},
    records::Record,
    text::{shown_by_formula, trimmed, unquoted, visible},
};
use crate::{
    display::{Grouped, Shown, shell_word},
    user::{EmployeeType, UserId},
};

/// So many different words may be types of people.
const WORDS: usize = 12;

/// So many columns are named that may be the one.
const ALTERNATIVES: usize = 3;

/// What the cells of a column hold.
#[derive(Debug, Default, Clone)]
struct Tally {
    filled: u64,
    ids: u64,
    addresses: u64,
    types: u64,
    words: BTreeSet<String>,
}

/// What the cells of all columns hold.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    columns: Vec<Tally>,
}

impl Tallies {
    /// Takes note of a row.
    pub(super) fn note(&mut self, record: &Record, names: &[String], reading: &Reading) {
        self.columns.resize(names.len(), Tally::default());
        for (tally, cell) in self.columns.iter_mut().zip(record.cells()) {
            let cell = visible(cell);
            let cell = shown_by_formula(trimmed(&cell));
            let text = unquoted(&cell);
            if text.is_empty() {
                continue;
            }
            tally.filled += 1;
            tally.ids += u64::from(text.parse::<UserId>().is_ok());
            tally.addresses += u64::from(text.contains('@') && address::read(text).is_ok());
            tally.types += u64::from(text.parse::<EmployeeType>().is_ok() || reading.type_of(text).is_some());
            if tally.words.len() <= WORDS && text.len() <= 40 && !text.contains(|c: char| c.is_ascii_digit()) {
                tally.words.insert(text.to_owned());
            } else if tally.words.len() <= WORDS {
                // Something that is no word: the column is none of words.
                tally.words.extend((0..=WORDS).map(|number| number.to_string()));
            }
        }
    }

    /// What may be meant for each missing column, in the words to type.
    pub(super) fn hints(&self, names: &[String], missing: &[Role]) -> String {
        // Those that hold mostly this, the fullest first: which of two is meant, only a person knows.
        let all = |of: fn(&Tally) -> u64| {
            let is_one = |(tally, _): &(&Tally, &String)| of(tally) > 0 && of(tally) * 2 > tally.filled;
            let found = self.columns.iter().zip(names).filter(is_one).map(|(tally, name)| (of(tally), name));
            let mut found: Vec<(u64, &String)> = found.collect();
            found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
            found.truncate(ALTERNATIVES);
            found
        };
        let typed =
            |role: Role, name: &str| format!("--map {}", shell_word(&format!("{}={}", role.as_str(), Shown(name))));
        let (mut said, mut options) = (Vec::new(), Vec::new());
        for role in missing {
            let ids = || (Role::UserId, all(|tally| tally.ids), ["user id", "user ids"]);
            let addresses = || (Role::Email, all(|tally| tally.addresses), ["address", "addresses"]);
            let (role_found, found, [one, more]) = match role {
                Role::UserId => Some(ids()).filter(|(_, found, _)| !found.is_empty()).unwrap_or_else(addresses),
                Role::Email => addresses(),
                Role::EmployeeType => (*role, all(|tally| tally.types), ["employee type", "employee types"]),
                Role::Key | Role::Name => (*role, Vec::new(), ["", ""]),
            };
            for (number, name) in &found {
                said.push(format!("column `{}` holds {}", Shown(name), counted(*number, one, more)));
            }
            let mut ways = found.iter().map(|(_, name)| typed(role_found, name));
            match ways.next() {
                Some(way) => {
                    let others: Vec<String> = ways.collect();
                    let others =
                        if others.is_empty() { String::new() } else { format!(" (or {})", others.join(", or ")) };
                    options.push(format!("{way}{others}"));
                }
                None if *role == Role::EmployeeType => {
                    let few = self.words(names);
                    if let Some((name, words)) = &few {
                        said.push(format!(
                            "column `{}` holds {}, which may be what HR calls the types",
                            Shown(name),
                            words.iter().map(|word| format!("`{}`", Shown(word))).collect::<Vec<_>>().join(", ")
                        ));
                        options.push(typed(Role::EmployeeType, name));
                        let word = words.iter().next().map(|word| shell_word(&format!("{}=TYPE", Shown(word))));
                        options.push(format!("--map-type {} (and so on)", word.unwrap_or_default()));
                    } else if missing.len() == 1 || !options.is_empty() {
                        options.push("--type User where everybody is to become that".to_owned());
                    }
                }
                None => said.push(match role {
                    Role::Email => "no column holds e-mail addresses".to_owned(),
                    _ => "no column holds user ids or e-mail addresses".to_owned(),
                }),
            }
        }
        match (said.is_empty(), options.is_empty()) {
            (true, true) => String::new(),
            (false, true) => format!(". {}", capital(&said.join("; "))),
            (true, false) => format!(". Try {}", options.join(" ")),
            (false, false) => format!(". {}: {}", capital(&said.join("; ")), options.join(" ")),
        }
    }

    /// The one column of few words that come again and again, named like a type.
    fn words<'a>(&'a self, names: &'a [String]) -> Option<(&'a str, &'a BTreeSet<String>)> {
        let is_few = |tally: &Tally| (1..=WORDS).contains(&tally.words.len());
        let named =
            ["typ", "rolle", "role", "art", "kind", "gruppe", "group", "status", "rang", "stufe", "class", "account"];
        let mut found = self.columns.iter().zip(names).filter(|(tally, name)| {
            let name = name.to_lowercase();
            is_few(tally) && named.iter().any(|word| name.contains(word))
        });
        match (found.next(), found.next()) {
            (Some((tally, name)), None) => Some((name, &tally.words)),
            _ => None,
        }
    }
}

fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", Grouped(number), if number == 1 { one } else { more })
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
