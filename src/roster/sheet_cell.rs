//! Cells of a sheet that are no text: what they are, and how people find them in Excel.

/// Stands around what a record of a sheet has before its first cell.
pub(super) const MARK: char = '\u{1f}';

/// What a cell is that is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Date,
    Truth,
    Error,
    /// A formula without a stored value.
    Formula,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Number, Self::Date, Self::Truth, Self::Error, Self::Formula];

    pub(super) const fn letter(self) -> char {
        match self {
            Self::Number => 'n',
            Self::Date => 'd',
            Self::Truth => 'b',
            Self::Error => 'e',
            Self::Formula => 'f',
        }
    }

    fn of(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.letter() == letter)
    }
}

/// The marks of a record: `2n4d`.
pub(super) fn marks(text: &str) -> Vec<(usize, Kind)> {
    let mut marks = Vec::new();
    let mut column = 0_usize;
    for c in text.chars() {
        match (c.to_digit(10), Kind::of(c)) {
            (Some(digit), _) => column = column * 10 + usize::try_from(digit).unwrap_or_default(),
            (None, Some(kind)) => {
                marks.push((column, kind));
                column = 0;
            }
            (None, None) => column = 0,
        }
    }
    marks
}

/// The merged regions of a sheet. Each cell in one but its first is empty, whatever people see.
#[derive(Debug, Clone, Default)]
pub(super) struct Merged {
    /// First and last row and column, from 0, by first row.
    regions: Vec<((u32, u32), (u32, u32))>,
}

impl Merged {
    pub(super) fn new(regions: impl Iterator<Item = ((u32, u32), (u32, u32))>) -> Self {
        let mut regions: Vec<_> = regions.filter(|(first, last)| first != last).collect();
        regions.sort_unstable();
        Self { regions }
    }

    /// The regions of these columns alone.
    pub(super) fn of(&self, columns: &[usize]) -> Vec<(usize, Self)> {
        if self.regions.is_empty() {
            return Vec::new();
        }
        let in_column = |column: usize| {
            let column = u32::try_from(column).unwrap_or(u32::MAX);
            let here = |region: &&((u32, u32), (u32, u32))| (region.0.1..=region.1.1).contains(&column);
            Self { regions: self.regions.iter().filter(here).copied().collect() }
        };
        columns.iter().map(|column| (*column, in_column(*column))).collect()
    }

    /// The first and the last cell of the region in which this one lies; among regions of this one's column. Rows count
    /// from 1.
    pub(super) fn region(&self, row: u64, column: usize) -> Option<[(u64, usize); 2]> {
        let row = u32::try_from(row.checked_sub(1)?).ok()?;
        let column = u32::try_from(column).ok()?;
        let until = self.regions.partition_point(|region| region.0.0 <= row);
        let (first, last) = self.regions.get(until.checked_sub(1)?)?;
        let cell = |(row, column): (u32, u32)| (u64::from(row) + 1, usize::try_from(column).unwrap_or_default());
        (row <= last.0 && (first.1..=last.1).contains(&column)).then(|| [cell(*first), cell(*last)])
    }
}

/// A column as Excel names it: `A`, `AB`.
pub(super) fn letters(column: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        let letter = u8::try_from((rest - 1) % 26).unwrap_or_default();
        letters.push(char::from(b'A' + letter));
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().collect()
}

/// A sheet's name as it stands before a cell: in quotes unless it is a plain word.
pub(super) fn quoted(sheet: &str) -> String {
    let is_plain = sheet.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
        && sheet.chars().next().is_some_and(|c| !c.is_ascii_digit());
    if is_plain { sheet.to_owned() } else { format!("'{}'", sheet.replace('\'', "''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_as_excel_names_them() {
        for (column, name) in
            [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA"), (16_383, "XFD")]
        {
            assert_eq!(letters(column), name);
        }
    }

    #[test]
    fn names_of_sheets_are_quoted_where_excel_does() {
        assert_eq!(quoted("Mitarbeiter"), "Mitarbeiter");
        assert_eq!(quoted("Neue Kollegen"), "'Neue Kollegen'");
        assert_eq!(quoted("Bo's"), "'Bo''s'");
        assert_eq!(quoted("2026"), "'2026'");
    }

    #[test]
    fn marks_are_read_as_they_are_written() {
        assert_eq!(marks("2n14d"), [(2, Kind::Number), (14, Kind::Date)]);
        assert_eq!(marks(""), []);
    }

    #[test]
    fn all_cells_of_a_region_are_merged() {
        let all = Merged::new([((1, 1), (3, 1)), ((1, 0), (1, 0)), ((5, 0), (5, 2))].into_iter());
        let of = all.of(&[1]);
        let here = |row| of[0].1.region(row, 1);
        let down = Some([(2, 1), (4, 1)]);
        assert_eq!(
            [here(1), here(2), here(3), here(4), here(5), here(6)],
            [None, down, down, down, None, Some([(6, 0), (6, 2)])]
        );
    }
}
