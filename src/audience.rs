//! Whoever watches a run: the words in which it is told where it stands. A run knows nobody in particular; the terminal is
//! one audience, whoever counts in a test another.

use std::time::Duration;

/// Somebody who is told of a run while it goes on, and changes nothing about it.
pub trait Audience {
    /// Something to be read once.
    fn say(&mut self, text: &str);

    /// Where the run stands, this long after its start.
    fn show(&mut self, standing: &Standing, now: Duration);

    /// The run is over: nothing more is shown.
    fn finish(&mut self);
}

/// Where a run stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Links learned, of those needed.
    pub links: (u64, u64),
    /// Statuses learned, of those needed.
    pub checks: (u64, u64),
    /// What the mail is called, in the plural.
    pub mail: &'static str,
    /// Messages that ended, of those that are due as far as is known.
    pub messages: (u64, u64),
    /// Rows settled, of all.
    pub rows: (u64, u64),
    /// Rows by outcome, in its words, and whether it is worth a look.
    pub outcomes: Vec<(&'static str, u64, bool)>,
    /// Requests that the window counts, of those it admits.
    pub window: (u64, u64),
    /// The window, as in "of 1,500 this minute".
    pub window_name: String,
    /// Refusals so far.
    pub refused: u64,
    /// How long it still takes, as far as is known.
    pub left: Option<Duration>,
    /// What is waited for.
    pub waits_for: Option<String>,
}
