//! What people and programs put around a cell without meaning it.

use std::borrow::Cow;

use crate::display::is_plain;

/// The largest cell that is taken, in bytes of UTF-8.
pub const MAX_CELL: usize = 64 << 10;
/// The largest record that is taken, in bytes of UTF-8.
pub const MAX_RECORD: usize = 1 << 20;
/// The most columns: as many as Excel has.
pub const MAX_COLUMNS: usize = 16_384;

/// Whether a character is there for the layout only: a format character, no control and no private one.
fn is_invisible(c: char) -> bool {
    !is_plain(c) && !c.is_control() && !matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

/// Whether nothing can be seen in a text.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c.is_control() || is_invisible(c))
}

/// A text without blanks and invisible characters around it.
pub(super) fn trimmed(text: &str) -> &str {
    // Most texts are ASCII, of which nothing is invisible.
    if text.is_ascii() { text.trim() } else { text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c)) }
}

/// A text without invisible characters anywhere: in an id, a type or a column's name they mean nothing.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() && text.chars().any(is_invisible) {
        text.chars().filter(|c| !is_invisible(*c)).collect::<String>().into()
    } else {
        text.into()
    }
}

/// An address without the characters that only say where a line may break. Others, which may turn around what is seen,
/// stay, and make it none.
pub(super) fn unbroken(text: &str) -> Cow<'_, str> {
    let breaks = ['\u{ad}', '\u{200b}', '\u{2060}', '\u{feff}'];
    if text.contains(breaks) { text.replace(breaks, "").into() } else { text.into() }
}

/// What a formula `="…"` shows, by which programs keep Excel from reading a text as a number.
pub(super) fn shown_by_formula(text: &str) -> Cow<'_, str> {
    match text.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if inner.contains("\"\"") => inner.replace("\"\"", "\"").into(),
        Some(inner) => inner.into(),
        None => text.into(),
    }
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

/// Pairs of quotes, as keyboards and word processors have them.
const QUOTES: [(char, char); 16] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('\u{b4}', '\u{b4}'),
    ('`', '\u{b4}'),
    ('`', '\''),
    ('\u{201c}', '\u{201d}'),
    ('\u{201e}', '\u{201c}'),
    ('\u{201e}', '\u{201d}'),
    ('\u{201d}', '\u{201d}'),
    ('\u{2018}', '\u{2019}'),
    ('\u{201a}', '\u{2018}'),
    ('\u{2019}', '\u{2019}'),
    ('\u{ab}', '\u{bb}'),
    ('\u{bb}', '\u{ab}'),
    ('\u{2039}', '\u{203a}'),
];

/// A text without the quotes around it, however many.
pub(super) fn unquoted(text: &str) -> &str {
    let mut text = trimmed(text);
    while let Some(inner) = QUOTES.iter().find_map(|(open, close)| text.strip_prefix(*open)?.strip_suffix(*close)) {
        text = trimmed(inner);
    }
    text
}

/// Whether a number of many digits has lost most of them: a spreadsheet keeps fifteen, and puts zeros for the others.
pub(super) fn is_rounded(text: &str) -> bool {
    let (kept, lost) = text.as_bytes().split_at_checked(15).unwrap_or_default();
    !lost.is_empty() && lost.iter().all(|byte| *byte == b'0') && kept.iter().all(u8::is_ascii_digit)
}

/// What a repaired copy has in place of a formula without a value.
pub(super) const FORMULA: &str = "#FORMULA?";
/// What a repaired copy has in a cell that was merged with others, before what stands in it.
pub(super) const MERGED: &str = "#MERGED?";

/// What a spreadsheet has made of a text that it took for something else.
pub(super) fn spreadsheets_doing(text: &str) -> Option<&'static str> {
    if text == FORMULA {
        return Some("a formula without a value");
    }
    if text.starts_with(MERGED) {
        return Some("one of several cells that are merged");
    }
    let is_error = text.strip_prefix('#').is_some_and(|word| {
        word.ends_with(['!', '?']) || matches!(word, "N/A" | "NV" | "N/D" | "N/B") || word.trim_matches('#').is_empty()
    });
    if is_error {
        return Some("an error");
    }
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| text.split_once(['.', ',']).map_or(digits(text), |(a, b)| digits(a) && digits(b));
    let scientific = text
        .split_once(['e', 'E'])
        .is_some_and(|(number_of, power)| number(number_of) && digits(power.strip_prefix(['+', '-']).unwrap_or(power)));
    let counted = number(text) && text.len() != 32;
    // A GUID without hyphens may look like a number with an exponent.
    ((scientific && (text.contains(['.', ',', '+', '-']) || text.len() < 32)) || counted || is_rounded(text))
        .then_some("a number")
}
