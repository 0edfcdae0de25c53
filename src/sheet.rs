//! What rosters and results have in common as sheets: the columns of the results, and cells that a spreadsheet would
//! run, which are defused, reversibly.

use std::borrow::Cow;

/// The columns of the results, in their order; the roster's other columns follow.
pub const COLUMNS: [&str; 9] = [
    "row",
    "user_id",
    "employee_type",
    "invite_link",
    "active",
    "congratulation",
    "attempts",
    "completed_at",
    "detail",
];

/// Characters that make a spreadsheet run a cell.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A cell that no spreadsheet runs: a `'` before it where it begins like a formula, or like a cell that was so defused.
pub fn neutralise(cell: &str) -> Cow<'_, str> {
    let rest = cell.trim_start_matches('\'');
    if rest.starts_with(FORMULA) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// The cell before [`neutralise`].
pub fn denature(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.trim_start_matches('\'').starts_with(FORMULA) => rest,
        Some(_) | None => cell,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn defusing_is_undone_exactly_and_nothing_runs(cell in "['=+@\\-\t\r a]{0,6}") {
            let safe = neutralise(&cell);
            prop_assert!(!safe.starts_with(FORMULA));
            prop_assert_eq!(denature(&safe), cell.as_str());
        }
    }
}
