//! What standard output is written on.

use console::Term;

use super::progress::colour_is_wanted;

/// What whoever reads standard output has before them.
#[derive(Debug, Clone, Copy)]
pub struct Paper {
    /// How many characters a line of the terminal has; nothing where it is no terminal.
    pub width: Option<u16>,
    /// Whether it understands codes for colours and bold letters, and they are wanted.
    pub takes_colour: bool,
}

impl Paper {
    /// Looks at standard output.
    pub fn of_standard_output() -> Self {
        let term = Term::stdout();
        let features = term.features();
        if !features.is_attended() {
            return Self { width: None, takes_colour: false };
        }
        let width = term.size_checked().map(|(_, width)| width).filter(|width| *width > 0);
        Self { width, takes_colour: features.colors_supported() && colour_is_wanted() }
    }
}
