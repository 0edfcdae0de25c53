//! The one way in which text from outside (a portal, a roster, a path) reaches a terminal, a log or a `detail`:
//! one line, printable, bounded.

use std::{borrow::Cow, fmt, path::Path, time::Duration};

/// The longest text from outside that is shown whole, in characters.
pub const MAX_SHOWN: usize = 200;

/// Shows text from outside: anything but printable characters becomes `\u{..}`, and it ends after [`MAX_SHOWN`]
/// characters.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shown, c) in self.0.chars().enumerate() {
            if shown == MAX_SHOWN {
                return f.write_str("…");
            }
            if is_plain(c) {
                write!(f, "{c}")?;
            } else {
                write!(f, "\\u{{{:x}}}", u32::from(c))?;
            }
        }
        Ok(())
    }
}

/// Whether a character does nothing to a terminal but stand in its place: no control, no line or paragraph
/// separator, no format character (Unicode class Cf: bidi marks, zero-width joiners, tags), no private use.
pub fn is_plain(c: char) -> bool {
    let format_class = matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}');
    let private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}');
    !c.is_control() && !format_class && !private
}

/// A path for people: as [`Shown`], but whole, since they go there.
pub fn shown_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = if cfg!(windows) { as_typed(&text) } else { text };
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { format!("\\u{{{:x}}}", u32::from(c)) }).collect()
}

/// A real path of Windows as people type it, without the `\\?\` that it begins with.
pub(crate) fn as_typed(path: &str) -> Cow<'_, str> {
    match path.strip_prefix(r"\\?\UNC\") {
        Some(share) => format!(r"\\{share}").into(),
        None => path.strip_prefix(r"\\?\").unwrap_or(path).into(),
    }
}

/// A number with its thousands apart: `1,212`.
#[derive(Debug, Clone, Copy)]
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// Bytes as digits: `00ff`.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _infallible = fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
    }
    text
}

/// How many of a thing: `1 row`, `2 rows`, `no rows`.
pub fn count(number: u64, one: &str) -> String {
    match number {
        0 => format!("no {one}s"),
        1 => format!("1 {one}"),
        _ => format!("{} {one}s", Grouped(number)),
    }
}

/// A length of time as people say it, in its two largest units: `1 min 20 s`.
#[derive(Debug, Clone, Copy)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let seconds = self.0.as_secs();
        let (large, small) = match seconds {
            0 => return f.pad(&format!("{ms} ms")),
            1..60 if ms % 1000 >= 100 && seconds < 10 => return f.pad(&format!("{}.{} s", seconds, ms % 1000 / 100)),
            1..60 => return f.pad(&format!("{seconds} s")),
            60..3600 => ((seconds / 60, "min"), (seconds % 60, "s")),
            3600..86_400 => ((seconds / 3600, "h"), (seconds % 3600 / 60, "min")),
            _ => ((seconds / 86_400, "d"), (seconds % 86_400 / 3600, "h")),
        };
        match small {
            (0, _) => f.pad(&format!("{} {}", large.0, large.1)),
            (count, unit) => f.pad(&format!("{} {} {count} {unit}", large.0, large.1)),
        }
    }
}

/// A moment as people read it: `2026-11-23 20:00:05 UTC`.
pub fn moment(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Text in lines of at most this many characters, all but the first indented.
pub fn wrapped(text: &str, width: usize, indent: &str) -> String {
    let width = width.clamp(20, 100);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let leading: String = paragraph.chars().take_while(|c| *c == ' ').collect();
        let mut line = leading;
        let mut blank = true;
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            if !blank && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::replace(&mut line, indent.to_owned()));
                blank = true;
            }
            if !blank {
                line.push(' ');
            }
            line.push_str(word);
            blank = false;
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// A count as a number that can be divided.
#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^53")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

/// A word as a shell takes it.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | '+' | ',' | '=');
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_move_the_cursor_is_spelt_out() {
        let shown = Shown("a\u{1b}[2J\r\nb\u{202e}c\u{9b}é").to_string();
        assert_eq!(shown, "a\\u{1b}[2J\\u{d}\\u{a}b\\u{202e}c\\u{9b}é");
    }

    #[test]
    fn a_real_path_of_windows_is_shown_as_it_is_typed() {
        for (real, typed) in [
            (r"\\?\C:\Users\anna\ledger.db", r"C:\Users\anna\ledger.db"),
            (r"\\?\UNC\server\share\ledger.db", r"\\server\share\ledger.db"),
            ("ledger.db", "ledger.db"),
        ] {
            assert_eq!(as_typed(real), typed);
        }
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(Shown(&"x".repeat(1000)).to_string().chars().count(), MAX_SHOWN + 1);
    }

    #[test]
    fn lines_are_wrapped_between_words() {
        assert_eq!(wrapped("aaaa bbbb", 40, ""), "aaaa bbbb");
        let long = "word ".repeat(20);
        assert!(wrapped(&long, 40, "  ").lines().all(|line| line.chars().count() <= 40));
        assert!(wrapped(&long, 40, "  ").lines().skip(1).all(|line| line.starts_with("  w")));
    }

    #[test]
    fn numbers_and_times_are_shown_as_people_say_them() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(|number| Grouped(number).to_string()),
            ["0", "999", "1,000", "1,234,567"]
        );
        let spans =
            [20, 1500, 12_345, 80_000, 3_600_000, 90_000_000].map(|ms| Span(Duration::from_millis(ms)).to_string());
        assert_eq!(spans, ["20 ms", "1.5 s", "12 s", "1 min 20 s", "1 h", "1 d 1 h"]);
        assert_eq!([count(0, "row"), count(1, "row"), count(2000, "row")], ["no rows", "1 row", "2,000 rows"]);
    }

    #[test]
    fn names_are_quoted_for_the_shell() {
        assert_eq!(shell_word("users.csv"), "users.csv");
        assert_eq!(shell_word("Anna's list.csv"), r"'Anna'\''s list.csv'");
    }

    proptest! {
        #[test]
        fn nothing_but_plain_characters_comes_out(text in any::<String>()) {
            prop_assert!(Shown(&text).to_string().chars().all(is_plain));
        }
    }
}
