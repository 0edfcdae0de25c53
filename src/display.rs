//! The one way in which text from outside (a portal, a roster, a path) reaches a terminal, a log or a `detail`:
//! one line, printable, bounded.

use std::fmt;

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
    fn long_text_is_cut() {
        assert_eq!(Shown(&"x".repeat(1000)).to_string().chars().count(), MAX_SHOWN + 1);
    }

    proptest! {
        #[test]
        fn nothing_but_plain_characters_comes_out(text in any::<String>()) {
            prop_assert!(Shown(&text).to_string().chars().all(is_plain));
        }
    }
}
