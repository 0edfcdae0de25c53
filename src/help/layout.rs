//! A page laid out in lines of text, for a terminal or for whatever reads a pipe.

use super::page::{Block, Face, Page, Span, Text};

/// How a page is to look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The width of the terminal, in characters.
    pub width: usize,
    /// Whether bold letters are understood. Without them, not one escape code is written.
    pub styled: bool,
}

/// Longer lines are no longer read with ease.
const WIDEST: usize = 100;
/// Narrower than this nothing is laid out; the terminal breaks the lines.
const NARROWEST: usize = 30;
/// Between the columns of a table.
const GAP: usize = 2;
/// Before code.
const INDENT: &str = "    ";

/// The whole page, with a line end at its end.
pub(super) fn laid_out(page: &Page, look: Look) -> String {
    let look = Look { width: look.width.clamp(NARROWEST, WIDEST), ..look };
    let mut lines = stacked(&page.0, look, true);
    lines.push(String::new());
    lines.join("\n")
}

/// Blocks below each other, with an empty line between where they stand apart.
fn stacked(blocks: &[Block], look: Look, apart: bool) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for block in blocks {
        let more = block_lines(block, look);
        if apart && !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(more);
    }
    lines
}

fn block_lines(block: &Block, look: Look) -> Vec<String> {
    match block {
        Block::Heading(depth, text) => heading(*depth, text, look),
        Block::Paragraph(text) => wrapped(text, look),
        // As it is, however long: a command that was broken is none.
        Block::Code(lines) => {
            lines.iter().map(|line| if line.is_empty() { String::new() } else { format!("{INDENT}{line}") }).collect()
        }
        Block::List(first, items) => list(*first, items, look),
        Block::Quote(blocks) => inset(stacked(blocks, narrower(look, 2), true), "| ", "| "),
        Block::Table(head, rows) => table(head, rows, look),
    }
}

fn narrower(look: Look, by: usize) -> Look {
    Look { width: look.width.saturating_sub(by), ..look }
}

fn inset(lines: Vec<String>, first: &str, others: &str) -> Vec<String> {
    let margin = |(number, line): (usize, String)| {
        let margin = if number == 0 { first } else { others };
        format!("{margin}{line}").trim_end().to_owned()
    };
    lines.into_iter().enumerate().map(margin).collect()
}

fn heading(depth: u8, text: &Text, look: Look) -> Vec<String> {
    let lines = filled(words(text, false), look.width);
    if look.styled {
        let code = if depth < 3 { "\x1b[1;4m" } else { "\x1b[1m" };
        return lines.into_iter().map(|line| format!("{code}{}\x1b[0m", line.shown)).collect();
    }
    let width = lines.iter().map(|line| line.width).max().unwrap_or_default();
    let below = match depth {
        1 => "=",
        2 => "-",
        _ => "",
    };
    let underlined = (!below.is_empty()).then(|| below.repeat(width));
    lines.into_iter().map(|line| line.shown).chain(underlined).collect()
}

fn list(first: Option<u64>, items: &[Vec<Block>], look: Look) -> Vec<String> {
    // What holds more than a line of text each is easier to read apart.
    let apart = items.iter().any(|item| item.len() > 1);
    let mut lines = Vec::new();
    for (item, number) in items.iter().zip(first.unwrap_or_default()..) {
        let mark = if first.is_some() { format!("{number}. ") } else { "- ".to_owned() };
        if apart && !lines.is_empty() {
            lines.push(String::new());
        }
        let inside = stacked(item, narrower(look, mark.len()), true);
        lines.extend(inset(inside, &mark, &" ".repeat(mark.len())));
    }
    lines
}

// ---- text that flows ----

/// What stands between two blanks, and is never broken.
#[derive(Debug, Default, Clone)]
struct Word {
    /// With its escape codes.
    shown: String,
    /// In characters that are seen.
    width: usize,
}

impl Word {
    fn add(&mut self, text: &str, face: Face, styled: bool) {
        let mark = if face == Face::Code && !styled { "`" } else { "" };
        let (on, off) = match face {
            Face::Code | Face::Strong if styled => ("\x1b[1m", "\x1b[0m"),
            Face::Emphasis if styled => ("\x1b[3m", "\x1b[0m"),
            _ => ("", ""),
        };
        self.shown.extend([on, mark, text, mark, off]);
        self.width += text.chars().count() + 2 * mark.len();
    }
}

fn words(text: &[Span], styled: bool) -> Vec<Word> {
    let mut words = vec![Word::default()];
    for span in text {
        if span.face == Face::Code {
            // A command that is quoted in a sentence stays on one line, so that it can be copied.
            if let Some(word) = words.last_mut() {
                word.add(&span.text, span.face, styled);
            }
            continue;
        }
        for (number, part) in span.text.split(' ').enumerate() {
            if number > 0 {
                words.push(Word::default());
            }
            if let Some(word) = words.last_mut().filter(|_| !part.is_empty()) {
                word.add(part, span.face, styled);
            }
        }
    }
    words.retain(|word| word.width > 0);
    words
}

fn wrapped(text: &[Span], look: Look) -> Vec<String> {
    filled(words(text, look.styled), look.width).into_iter().map(|line| line.shown).collect()
}

/// Lines of whole words; a word that is wider than a line has one for itself.
fn filled(words: Vec<Word>, width: usize) -> Vec<Word> {
    let mut lines: Vec<Word> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.width + 1 + word.width <= width => {
                line.shown.push(' ');
                line.shown.push_str(&word.shown);
                line.width += 1 + word.width;
            }
            _ => lines.push(word),
        }
    }
    lines
}

// ---- tables ----

fn table(head: &[Text], rows: &[Vec<Text>], look: Look) -> Vec<String> {
    let cells = |row: &[Text]| -> Vec<Vec<Word>> { row.iter().map(|cell| words(cell, look.styled)).collect() };
    let body: Vec<Vec<Vec<Word>>> = rows.iter().map(|row| cells(row)).collect();
    let mut titles = cells(head);
    if look.styled {
        for word in titles.iter_mut().flatten() {
            word.shown = format!("\x1b[1m{}\x1b[0m", word.shown);
        }
    }
    let Some(widths) = column_widths(&titles, &body, look.width) else {
        return one_below_the_other(rows, look);
    };
    let mut lines = row_lines(titles, &widths);
    lines.push(widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join(&" ".repeat(GAP)));
    lines.extend(body.into_iter().flat_map(|row| row_lines(row, &widths)));
    lines
}

/// How wide each column is: as wide as it likes, or the widest of them less, so that all fit; none where they cannot.
fn column_widths(head: &[Vec<Word>], body: &[Vec<Vec<Word>>], width: usize) -> Option<Vec<usize>> {
    let line = |words: &[Word]| words.iter().map(|word| word.width + 1).sum::<usize>().saturating_sub(1);
    let longest = |words: &[Word]| words.iter().map(|word| word.width).max().unwrap_or_default();
    let of_each = |measure: &dyn Fn(&[Word]) -> usize| -> Vec<usize> {
        let column = |number: usize| {
            let cells = body.iter().filter_map(|row| row.get(number)).chain(head.get(number));
            cells.map(|words| measure(words)).max().unwrap_or_default()
        };
        (0..head.len()).map(column).collect()
    };
    let (likes, needs) = (of_each(&line), of_each(&longest));
    let room = width.saturating_sub(GAP * head.len().saturating_sub(1));
    let at_most = |most: usize| -> Vec<usize> {
        likes.iter().zip(&needs).map(|(likes, needs)| (*likes).min(most).max(*needs)).collect()
    };
    (0..=width).rev().map(at_most).find(|widths| widths.iter().sum::<usize>() <= room)
}

fn row_lines(row: Vec<Vec<Word>>, widths: &[usize]) -> Vec<String> {
    let columns: Vec<Vec<Word>> = row.into_iter().zip(widths).map(|(words, width)| filled(words, *width)).collect();
    let height = columns.iter().map(Vec::len).max().unwrap_or_default();
    let line = |number: usize| {
        let mut line = String::new();
        for (column, width) in columns.iter().zip(widths) {
            let nothing = Word::default();
            let cell = column.get(number).unwrap_or(&nothing);
            line.push_str(&cell.shown);
            line.push_str(&" ".repeat((width + GAP).saturating_sub(cell.width)));
        }
        line.trim_end().to_owned()
    };
    (0..height).map(line).collect()
}

/// A table where there is no room for its columns.
fn one_below_the_other(rows: &[Vec<Text>], look: Look) -> Vec<String> {
    let mut lines = Vec::new();
    for row in rows {
        let mut cells = row.iter();
        lines.extend(cells.next().map(|cell| wrapped(cell, look)).unwrap_or_default());
        for cell in cells {
            lines.extend(inset(wrapped(cell, narrower(look, INDENT.len())), INDENT, INDENT));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{super::TOPICS, *};

    fn shown(markdown: &str, width: usize, styled: bool) -> String {
        laid_out(&Page::read(markdown), Look { width, styled })
    }

    #[test]
    fn a_page_reads_well_where_there_are_no_bold_letters() {
        let markdown = "# The title\n\nSome `onboard run` of\nthem, and this *is* **it**.\n\n## Part\n\n```sh\nonboard run \
                        users.csv --with --many --options --that --are --long\n\nonboard plan\n```\n\n1. One\n2. Two goes \
                        on and on and on\n\n> Said\n> by some\n\n| a | b |\n| --- | --- |\n| `x` | one two three four \
                        five six |\n| y | z |\n";
        let expected = "The title\n=========\n\nSome `onboard run` of them, and\nthis is it.\n\nPart\n----\n\n    onboard run \
                        users.csv --with --many --options --that --are --long\n\n    onboard plan\n\n1. One\n2. Two goes on \
                        and on and on\n\n| Said by some\n\na    b\n---  --------------------------\n`x`  one two three \
                        four five\n     six\ny    z\n";
        assert_eq!(shown(markdown, 31, false), expected);
    }

    #[test]
    fn bold_letters_take_no_room() {
        let markdown = "# T\n\n**aaaa** `bbbb` cccc\n\n| h | i |\n| --- | --- |\n| `x` | y |\n";
        let styled = shown(markdown, 30, true);
        assert!(styled.starts_with("\x1b[1;4mT\x1b[0m\n\n\x1b[1maaaa\x1b[0m \x1b[1mbbbb\x1b[0m cccc\n"), "{styled:?}");
        assert!(styled.ends_with("\x1b[1mh\x1b[0m  \x1b[1mi\x1b[0m\n-  -\n\x1b[1mx\x1b[0m  y\n"), "{styled:?}");
    }

    #[test]
    fn a_table_without_room_becomes_one_column() {
        let word = "w".repeat(20);
        let text = shown(&format!("| a | b |\n| --- | --- |\n| {word} | {word} |\n"), 30, false);
        assert_eq!(text, format!("{word}\n    {word}\n"));
    }

    #[test]
    fn every_topic_fits_and_keeps_its_code_at_any_width() {
        for topic in TOPICS {
            for width in [0, 40, 80, 300] {
                let text = topic.shown(Look { width, styled: false });
                assert!(!text.contains('\x1b'));
                let limit = width.clamp(NARROWEST, WIDEST);
                for line in text.lines().filter(|line| !line.contains(INDENT) && !line.contains('`')) {
                    assert!(line.chars().count() <= limit, "{}: {line}", topic.name);
                }
                let code = Page::read(topic.text).0.into_iter().filter_map(|block| match block {
                    Block::Code(lines) => Some(lines),
                    _ => None,
                });
                for line in code.flatten() {
                    assert!(text.contains(&line), "{}: {line}", topic.name);
                }
            }
        }
    }
}
