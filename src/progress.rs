//! What is shown while a run goes on: bars on a terminal, a line now and then elsewhere, or nothing. The only module
//! that knows `indicatif`, and the only one that writes to standard error while bars are there.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    cli::ProgressKind,
    display::{Grouped, Span},
    outcome::{Outcome, Tally},
};

/// How often bars are drawn, per second, at the most.
const HZ: u8 = 10;
/// How often a plain line is written, unless another tenth of the rows is settled before.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Standard error, shared by bars, warnings and logs, so that no line is torn.
#[derive(Debug, Clone)]
pub struct Screen {
    bars: MultiProgress,
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen {
    /// Standard error, without bars as yet.
    pub fn new() -> Self {
        Self { bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()) }
    }

    /// Writes a text and a line end above the bars. A terminal that is gone is no reason to stop.
    pub fn say(&self, text: &str) {
        self.bars.suspend(|| drop(writeln!(io::stderr().lock(), "{text}")));
    }

    /// The width of the terminal, in characters.
    pub fn width() -> u16 {
        Term::stderr().size_checked().map_or(80, |(_rows, columns)| columns)
    }
}

/// Whether colours may be written to a terminal: not where `NO_COLOR` is set.
#[expect(clippy::disallowed_methods, reason = "NO_COLOR is a documented wish of the user")]
pub fn colour_is_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A writer for logs that does not tear the bars.
impl Write for &Screen {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().lock().write_all(text)).map(|()| text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Links learned, of those needed.
    pub links: (u64, u64),
    /// Statuses learned, of those needed.
    pub checks: (u64, u64),
    /// Congratulations that ended, of those that are due as far as is known.
    pub congratulations: (u64, u64),
    /// Rows settled, of all.
    pub rows: (u64, u64),
    /// Rows by outcome.
    pub outcomes: Tally,
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

/// The progress of a run.
#[derive(Debug)]
pub enum Progress {
    /// Bars.
    Bars(Box<Bars>),
    /// A line now and then.
    Lines {
        /// Where lines go.
        screen: Screen,
        /// When the last one was written, since the start.
        said_at: Duration,
        /// Tenths of the rows that were settled then.
        said_tenths: u64,
    },
    /// Nothing.
    Nothing,
}

impl Progress {
    /// Progress of this kind; `Auto` looks whether standard error is a terminal that can move its cursor.
    pub fn new(kind: ProgressKind, screen: &Screen) -> Self {
        match kind {
            ProgressKind::Never => Self::Nothing,
            ProgressKind::Auto if can_draw() => Self::Bars(Box::new(Bars::new(screen))),
            ProgressKind::Auto | ProgressKind::Plain => {
                Self::Lines { screen: screen.clone(), said_at: Duration::ZERO, said_tenths: 0 }
            }
        }
    }

    /// Shows where the run stands, this long after its start.
    pub fn show(&mut self, standing: &Standing, now: Duration) {
        match self {
            Self::Bars(bars) => bars.show(standing),
            Self::Lines { screen, said_at, said_tenths } => {
                let (settled, all) = standing.rows;
                let tenths = (settled * 10).checked_div(all).unwrap_or(10);
                let moved_on = tenths > *said_tenths && now >= *said_at + Duration::from_secs(1);
                if moved_on || now >= *said_at + LINE_EVERY {
                    *said_at = now;
                    *said_tenths = tenths;
                    screen.say(&line(standing));
                }
            }
            Self::Nothing => {}
        }
    }

    /// Takes the bars away.
    pub fn finish(&mut self) {
        if let Self::Bars(bars) = self {
            bars.finish();
        }
        *self = Self::Nothing;
    }
}

#[expect(clippy::disallowed_methods, reason = "TERM says whether the terminal can move its cursor")]
fn can_draw() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Where the run stands, in one line.
fn line(standing: &Standing) -> String {
    let (settled, all) = standing.rows;
    let outcomes: Vec<String> =
        standing.outcomes.occurred().map(|(outcome, rows)| format!("{} {outcome}", Grouped(rows))).collect();
    let mut text = format!("{} of {} rows settled", Grouped(settled), Grouped(all));
    if !outcomes.is_empty() {
        text = format!("{text} ({})", outcomes.join(", "));
    }
    text = format!("{text}; {}", window(standing));
    if let Some(why) = &standing.waits_for {
        text = format!("{text}; {why}");
    }
    if let Some(left) = standing.left {
        text = format!("{text}; about {} left", Span(left));
    }
    text
}

fn window(standing: &Standing) -> String {
    let (used, limit) = standing.window;
    let mut text = format!("{} of {} requests {}", Grouped(used), Grouped(limit), standing.window_name);
    if standing.refused > 0 {
        text = format!("{text}, {} refused", Grouped(standing.refused));
    }
    text
}

/// Five lines on a terminal.
#[derive(Debug)]
pub struct Bars {
    links: ProgressBar,
    checks: ProgressBar,
    congratulations: ProgressBar,
    rows: ProgressBar,
    status: ProgressBar,
    shown: Standing,
}

impl Bars {
    fn new(screen: &Screen) -> Self {
        // A template that does not parse would be a mistake of this file; the plain one shows the same numbers.
        let style = |template: &str| {
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_mistake| ProgressStyle::default_bar())
                .progress_chars("━╸─")
        };
        let bar = |name: &'static str| {
            let bar = screen.bars.add(ProgressBar::new(0));
            bar.set_style(style("{prefix:<16} {bar:24.green} {pos:>7}/{len:<7} {wide_msg}"));
            bar.set_prefix(name);
            bar
        };
        let (links, checks) = (bar("links"), bar("checks"));
        let (congratulations, rows) = (bar("congratulations"), bar("rows settled"));
        let status = screen.bars.add(ProgressBar::new(0));
        status.set_style(style("{wide_msg}"));
        // Drawn only now that they are whole: each change draws all of them.
        screen.bars.set_draw_target(ProgressDrawTarget::stderr_with_hz(HZ));
        Self { links, checks, congratulations, rows, status, shown: Standing::default() }
    }

    fn show(&mut self, standing: &Standing) {
        if *standing == self.shown {
            return;
        }
        let left = |standing: &Standing| standing.left.map(|left| format!("{} left", Span(left))).unwrap_or_default();
        for (bar, was, is) in [
            (&self.links, self.shown.links, standing.links),
            (&self.checks, self.shown.checks, standing.checks),
            (&self.congratulations, self.shown.congratulations, standing.congratulations),
            (&self.rows, self.shown.rows, standing.rows),
        ] {
            if was != is {
                bar.update(|state| {
                    state.set_len(is.1);
                    state.set_pos(is.0);
                });
            }
        }
        if self.shown.outcomes != standing.outcomes {
            self.rows.set_message(attention(&standing.outcomes));
        }
        if left(&self.shown) != left(standing) {
            self.congratulations.set_message(left(standing));
        }
        let status = match &standing.waits_for {
            Some(why) => format!("{}; {why}", window(standing)),
            None => window(standing),
        };
        self.status.set_message(status);
        self.shown = standing.clone();
    }

    fn finish(&self) {
        for bar in [&self.links, &self.checks, &self.congratulations, &self.rows, &self.status] {
            bar.finish_and_clear();
        }
    }
}

/// Outcomes worth a look while the run goes on.
fn attention(outcomes: &Tally) -> String {
    let worth = |outcome: Outcome| !matches!(outcome, Outcome::Sent | Outcome::AlreadySent | Outcome::Duplicate);
    let told: Vec<String> = outcomes
        .occurred()
        .filter(|(outcome, _)| worth(*outcome))
        .map(|(outcome, rows)| format!("{} {outcome}", Grouped(rows)))
        .collect();
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_done_what_is_used_and_what_is_waited_for() {
        let mut outcomes = Tally::default();
        outcomes.add(Outcome::Sent);
        let standing = Standing {
            rows: (1, 2000),
            outcomes,
            window: (1212, 1500),
            window_name: "this minute".to_owned(),
            refused: 3,
            left: Some(Duration::from_secs(72)),
            waits_for: Some("waiting 12 s: the portal's window is full".to_owned()),
            ..Standing::default()
        };
        assert_eq!(
            line(&standing),
            "1 of 2,000 rows settled (1 sent); 1,212 of 1,500 requests this minute, 3 refused; waiting 12 s: the \
             portal's window is full; about 1 min 12 s left"
        );
    }
}
