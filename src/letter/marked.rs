//! Text in which each placeholder is one character that nobody can write: so Markdown is read with something in the
//! place of each value, and without any value.

use super::{
    error::{MOST, Trouble, What},
    field::{Field, Fields},
};
use crate::display::Shown;

/// The mark of the first one. This and what follows is for private use, and refused in message files.
const FIRST: u32 = 0xf_0000;

/// Whether a character may be one of our marks.
pub(super) fn is_mark(c: char) -> bool {
    u32::from(c) >= FIRST
}

/// A placeholder, where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Use {
    pub field: Field,
    /// Its name as it was written.
    pub written: String,
    pub line: usize,
    /// Which of the text's it is, from 0.
    pub number: usize,
}

/// A text with marks.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub text: String,
    pub uses: Vec<Use>,
}

/// A piece of a text with marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run<'t> {
    Text(&'t str),
    Use(&'t Use),
}

impl Marked {
    /// Marks a text that begins on this line of its file.
    pub(super) fn of(text: &str, first: usize, fields: &Fields) -> Result<Self, Trouble> {
        let mut marked = Self::default();
        for (line, number) in text.split('\n').zip(first..) {
            if number > first {
                marked.text.push('\n');
            }
            marked.add(line, number, fields).map_err(|what| Trouble::on(number, what))?;
        }
        Ok(marked)
    }

    fn add(&mut self, line: &str, number: usize, fields: &Fields) -> Result<(), What> {
        if line.contains("{%") {
            return Err(What::Statement);
        }
        if let Some(c) = spelt_mark(line) {
            return Err(What::Character(c));
        }
        let mut read = 0;
        while let Some(start) = line.get(read..).and_then(|rest| rest.find("{{")).map(|start| read + start) {
            let inside = line.get(start + 2..).unwrap_or_default();
            let length = inside.find("}}").ok_or(What::Open)?;
            let end = start + 2 + length + 2;
            let written = inside.get(..length).unwrap_or_default().trim();
            let field = fields.find(written)?;
            let mark = u32::try_from(self.uses.len()).ok().filter(|_| self.uses.len() < MOST);
            let mark = mark.and_then(|mark| char::from_u32(FIRST + mark)).ok_or(What::TooMany)?;
            self.text.push_str(line.get(read..start).unwrap_or_default());
            self.text.push(mark);
            let written = Shown(written).to_string();
            self.uses.push(Use { field, written, line: number, number: self.uses.len() });
            read = end;
        }
        self.text.push_str(line.get(read..).unwrap_or_default());
        Ok(())
    }

    /// Any piece of the text, cut at the marks in it.
    pub(super) fn runs<'t>(&'t self, piece: &'t str) -> Vec<Run<'t>> {
        let mut runs = Vec::new();
        let mut rest = piece;
        while let Some(mark) = rest.find(is_mark) {
            let (before, from) = rest.split_at(mark);
            let mut after = from.chars();
            let place = after.next().map(|mark| u32::from(mark) - FIRST).and_then(|place| usize::try_from(place).ok());
            if !before.is_empty() {
                runs.push(Run::Text(before));
            }
            runs.extend(place.and_then(|place| self.uses.get(place)).map(Run::Use));
            rest = after.as_str();
        }
        if !rest.is_empty() {
            runs.push(Run::Text(rest));
        }
        runs
    }
}

/// A mark as Markdown can spell any character: `&#xF0000;`.
fn spelt_mark(line: &str) -> Option<char> {
    line.match_indices("&#").find_map(|(start, _)| {
        let digits = line.get(start + 2..).unwrap_or_default();
        let (digits, _) = digits.split_once(';')?;
        let number = match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => digits.parse(),
        };
        char::from_u32(number.ok()?).filter(|c| is_mark(*c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::Columns;

    #[test]
    fn placeholders_become_marks_that_nobody_can_write() {
        let fields = Fields::of(&Columns::default());
        let marked = Marked::of("Hi {{name}},\n{{ portal }}{{name}}", 5, &fields).expect("marked");
        assert_eq!(marked.text, "Hi \u{f0000},\n\u{f0001}\u{f0002}");
        assert_eq!(marked.uses[1].line, 6);
        assert_eq!(marked.runs(&marked.text).len(), 5);
        for (text, told) in [
            ("a {{ name", "begins a placeholder"),
            ("{{ name\n}}", "begins a placeholder"),
            ("{% if x %}", "begins a statement"),
            ("{{ name | upper }}", "is more than a name"),
            ("{{{ name }}}", "is more than a name"),
            ("{{}}", "is more than a name"),
            ("{{ nam }}", "did you mean `name`"),
            ("{{ key }}", "is a secret"),
            ("&#xf0000;", "U+F0000 cannot stand"),
            ("a &#983040; b", "U+F0000 cannot stand"),
        ] {
            let trouble = Marked::of(text, 1, &fields).expect_err(text);
            assert!(trouble.what.to_string().contains(told), "{text}: {}", trouble.what);
        }
    }
}
