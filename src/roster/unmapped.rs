//! Words of a roster's column of types that are none: told once, in the words to type, and never guessed at. A wrong one
//! gives rights.

use std::collections::BTreeMap;

use super::{
    reading::Reading,
    text::{shown_by_formula, trimmed, unquoted, visible},
};
use crate::{
    display::{Grouped, Shown, shell_word},
    user::EmployeeType,
};

/// So many different words are counted, and so many told.
const COUNTED: usize = 1000;
const TOLD: usize = 8;
/// The longest word.
const LONGEST: usize = 60;

/// The words, and how often each occurs.
#[derive(Debug, Default)]
pub(super) struct Unmapped {
    words: BTreeMap<String, u64>,
}

impl Unmapped {
    /// Takes note of a cell that may be the reason why its row cannot be used.
    pub(super) fn note(&mut self, cell: &str, reading: &Reading) {
        let cell = visible(cell);
        let cell = shown_by_formula(trimmed(&cell));
        let word = unquoted(&cell);
        let is_type = word.parse::<EmployeeType>().is_ok() || reading.type_of(word).is_some();
        // What holds no letter is no word: a number, an error.
        let is_word = word.len() <= LONGEST && word.contains(char::is_alphabetic) && !word.starts_with('#');
        // What is nearly a type is a slip, and told where it stands.
        let lower = word.to_lowercase();
        let is_near = |kind: &EmployeeType| strsim::jaro_winkler(&kind.as_str().to_lowercase(), &lower) > 0.75;
        if is_type || !is_word || EmployeeType::ALL.iter().any(is_near) {
            return;
        }
        let is_known = self.words.contains_key(word);
        if is_known || self.words.len() < COUNTED {
            *self.words.entry(word.to_owned()).or_default() += 1;
        }
    }

    /// The words that occur, the most frequent first, and how to say what they mean.
    pub(super) fn told(&self) -> Option<String> {
        let mut words: Vec<(&String, u64)> = self.words.iter().map(|(word, rows)| (word, *rows)).collect();
        words.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
        let (first, _) = words.first()?;
        let mut listed: Vec<String> = words
            .iter()
            .take(TOLD)
            .map(|(word, rows)| {
                format!("`{}` ({} {})", Shown(word), Grouped(*rows), if *rows == 1 { "row" } else { "rows" })
            })
            .collect();
        if words.len() > TOLD {
            listed.push(format!("and {} more", words.len() - TOLD));
        }
        Some(format!(
            "the roster has words that are no employee type: {}. Mend them, or say what each means: --map-type {}, where TYPE is Guest, \
             User, RoomAdmin or DocSpaceAdmin",
            listed.join(", "),
            shell_word(&format!("{}=TYPE", Shown(first)))
        ))
    }
}
