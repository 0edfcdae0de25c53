//! What is shown while a run goes on: bars on a terminal, a line now and then elsewhere, or nothing. The only module
//! that knows `indicatif`, and the only one that writes to standard error, so that no line is torn and the bars stand
//! below whatever else is said.
//!
//! A terminal that is gone, full or stopped is no reason to do anything but be silent: all of it goes through an
//! [`Outlet`]. What `indicatif` draws does so, too: it draws on a [`Canvas`], where nothing fails.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use console::{Term, measure_text_width, truncate_str};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::outlet::{Outlet, Weight};
use crate::{
    audience::{Audience, Standing},
    display::{Grouped, Span, wrapped},
};

/// How often a plain line is written, unless another tenth of the rows is settled before.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The longest bar, in characters; on a narrow terminal it is shorter.
const BAR: usize = 24;

/// Standard error, shared by bars, warnings and logs.
#[derive(Debug, Clone)]
pub struct Screen {
    outlet: Outlet,
    /// The lines at the bottom that are drawn over again and again.
    bars: Arc<Mutex<Vec<String>>>,
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen {
    /// Standard error, without bars as yet.
    pub fn new() -> Self {
        Self { outlet: Outlet::new(io::stderr()), bars: Arc::default() }
    }

    /// Writes a text and a line end above the bars. A terminal that is gone is no reason to stop.
    pub fn say(&self, text: &str) {
        self.above(&format!("{text}\n"), Weight::Line);
    }

    /// Writes a text that a line of a person's follows.
    pub fn prompt(&self, text: &str) {
        self.above(text, Weight::Line);
    }

    /// Waits until everything is shown, unless nobody takes it. The last thing that a process does.
    pub fn close(&self) {
        self.draw(Vec::new());
        // Whoever closed it has seen enough.
        drop(self.outlet.close());
    }

    /// The width of the terminal, in characters.
    pub fn width() -> u16 {
        size().1
    }

    fn above(&self, text: &str, weight: Weight) {
        let bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if bars.is_empty() {
            self.outlet.write(text.as_bytes(), weight);
        } else {
            let text = format!("{}{text}{}", erased(&bars, Self::width()), drawn(&bars));
            self.outlet.write(text.as_bytes(), weight);
        }
    }

    /// Draws these lines in the place of those that are there.
    fn draw(&self, lines: Vec<String>) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if *bars == lines {
            return;
        }
        let width = Self::width();
        let text = if lines.is_empty() { erased(&bars, width) } else { back(&bars, width) + &drawn(&lines) };
        self.outlet.write(text.as_bytes(), Weight::Log);
        *bars = lines;
    }
}

fn size() -> (u16, u16) {
    Term::stderr().size_checked().filter(|size| size.0 > 0 && size.1 > 0).unwrap_or((24, 80))
}

/// What moves the cursor to where the first of these lines begins. A terminal that has become narrower has broken them.
fn back(lines: &[String], width: u16) -> String {
    let Some((_last, above)) = lines.split_last() else { return String::new() };
    let rows: usize =
        above.iter().map(|line| measure_text_width(line).max(1).div_ceil(usize::from(width.max(1)))).sum();
    match rows {
        0 => "\r".to_owned(),
        _ => format!("\r\x1b[{rows}A"),
    }
}

/// What takes away lines that were drawn, and leaves the cursor where the first began. A blank goes first: where all
/// that it shows is erased, tmux keeps that in what can be scrolled back to.
fn erased(lines: &[String], width: u16) -> String {
    if lines.is_empty() { String::new() } else { format!("{} \x1b[J\r", back(lines, width)) }
}

/// Lines in the place of whatever is there, with the cursor left at the begin of the last: what a terminal echoes, as
/// `^C`, breaks no line there.
fn drawn(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("{}\x1b[J\r", lines.join("\x1b[K\r\n")) }
}

/// Whether colours may be written to a terminal: not where `NO_COLOR` is set.
#[expect(clippy::disallowed_methods, reason = "NO_COLOR is a documented wish of the user")]
pub fn colour_is_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A writer for logs that does not tear the bars. It never fails.
impl Write for &Screen {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.above(&String::from_utf8_lossy(text), Weight::Log);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProgressKind {
    /// Bars on a terminal, a line now and then elsewhere.
    #[default]
    Auto,
    /// A line now and then.
    Plain,
    /// Nothing.
    Never,
}

/// The progress of a run.
#[derive(Debug)]
pub enum Progress {
    /// Bars.
    Bars(Bars),
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
            ProgressKind::Auto if can_draw() => Self::Bars(Bars::new(screen)),
            ProgressKind::Auto | ProgressKind::Plain => {
                Self::Lines { screen: screen.clone(), said_at: Duration::ZERO, said_tenths: 0 }
            }
        }
    }

    /// Shows where the run stands, this long after its start.
    pub fn show(&mut self, standing: &Standing, now: Duration) {
        match self {
            // Whoever does not keep up gets the latest picture later, and not all those in between.
            Self::Bars(bars) if bars.screen.outlet.is_behind() => {}
            Self::Bars(bars) => bars.screen.draw(bars.frame(standing, size(), colour_is_wanted())),
            Self::Lines { screen, said_at, said_tenths } => {
                let (settled, all) = standing.rows;
                let tenths = (settled * 10).checked_div(all).unwrap_or(10);
                let moved_on = tenths > *said_tenths && now >= *said_at + Duration::from_secs(1);
                if moved_on || now >= *said_at + LINE_EVERY {
                    *said_at = now;
                    *said_tenths = tenths;
                    screen.above(&format!("{}\n", line(standing)), Weight::Log);
                }
            }
            Self::Nothing => {}
        }
    }

    /// Takes the bars away.
    pub fn finish(&mut self) {
        *self = Self::Nothing;
    }
}

/// The person who sits at the terminal.
#[derive(Debug)]
pub struct Onlooker {
    screen: Screen,
    progress: Progress,
}

impl Onlooker {
    /// Somebody who is shown progress of this kind.
    pub fn new(kind: ProgressKind, screen: &Screen) -> Self {
        Self { screen: screen.clone(), progress: Progress::new(kind, screen) }
    }
}

impl Audience for Onlooker {
    fn say(&mut self, text: &str) {
        self.screen.say(text);
    }

    fn show(&mut self, standing: &Standing, now: Duration) {
        self.progress.show(standing, now);
    }

    fn finish(&mut self) {
        self.progress.finish();
    }
}

/// Bars at the bottom of a terminal; taken away when dropped, however a run ends.
#[derive(Debug)]
pub struct Bars {
    screen: Screen,
    canvas: Canvas,
    counts: [ProgressBar; 4],
    /// What is told in words, below them.
    told: ProgressBar,
}

impl Bars {
    fn new(screen: &Screen) -> Self {
        let canvas = Canvas::default();
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(canvas.clone())));
        let counts = std::array::from_fn(|_| all.add(ProgressBar::hidden()));
        let told = all.add(ProgressBar::hidden().with_style(style("{msg}")));
        Self { screen: screen.clone(), canvas, counts, told }
    }

    /// Where the run stands, as lines that fit into a terminal of so many rows and columns.
    fn frame(&self, standing: &Standing, (rows, columns): (u16, u16), colour: bool) -> Vec<String> {
        // The last column stays free: a terminal may break a line that fills it.
        let columns = columns.saturating_sub(1);
        let width = usize::from(columns);
        self.canvas.lock().width = columns;
        let style = style(&template(width, colour));
        let shown = [
            ("links", standing.links),
            ("checks", standing.checks),
            (standing.mail, standing.messages),
            ("rows settled", standing.rows),
        ];
        for (bar, (name, (done, all))) in self.counts.iter().zip(shown) {
            let bar = bar.clone().with_style(style.clone()).with_prefix(name).with_position(done);
            match all {
                // All of nothing would be a full bar.
                0 => bar.unset_length(),
                _ => bar.set_length(all),
            }
        }
        let left = standing.left.map(|left| format!("about {} left", Span(left)));
        let told = [Some(window(standing)), left, standing.waits_for.clone()].into_iter().flatten().collect::<Vec<_>>();
        let told = [attention(&standing.outcomes), told.join("; ")];
        let told = told.iter().filter(|text| !text.is_empty()).map(|text| wrapped(text, width, "  "));
        self.told.clone().with_message(told.collect::<Vec<_>>().join("\n")).tick();
        let mut lines = self.canvas.lock().picture.clone();
        // What does not fit would scroll, and stay behind; what is waited for is worth more than how many links there
        // are.
        lines.drain(..lines.len().saturating_sub(usize::from(rows).saturating_sub(1).max(1)));
        lines.iter().map(|line| truncate_str(line, width, "…").into_owned()).collect()
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.screen.draw(Vec::new());
    }
}

/// A terminal that moves its cursor; and nobody looks at one under CI, though some give it one.
#[expect(clippy::disallowed_methods, reason = "TERM and CI say whether bars are any good")]
fn can_draw() -> bool {
    let set = |name, values: &[&str]| {
        std::env::var(name).is_ok_and(|value| values.iter().any(|one| value.eq_ignore_ascii_case(one)))
    };
    // On Windows, asking for colours switches on what moves the cursor.
    let moves = if cfg!(windows) { Term::stderr().features().colors_supported() } else { !set("TERM", &["dumb"]) };
    io::stderr().is_terminal() && moves && !set("CI", &["true", "1"])
}

/// Where the run stands, in one line.
fn line(standing: &Standing) -> String {
    let (settled, all) = standing.rows;
    let outcomes: Vec<String> =
        standing.outcomes.iter().map(|(word, rows, _)| format!("{} {word}", Grouped(*rows))).collect();
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

/// How a bar looks on a terminal of this width.
fn template(width: usize, colour: bool) -> String {
    let bar = BAR.min(width.saturating_sub(18 + 15));
    let bar = match (bar, colour) {
        (..5, _) => String::new(),
        // Spelt out, since by its name a colour is there only if standard output is a terminal, too.
        (_, true) => format!("\x1b[32m{{bar:{bar}}}\x1b[0m "),
        (_, false) => format!("{{bar:{bar}}} "),
    };
    format!("{{prefix:<16}} {bar}{{pos:>7}}/{{len}}")
}

fn style(template: &str) -> ProgressStyle {
    // A template that does not parse would be a mistake of this file; the plain one shows the same numbers.
    ProgressStyle::with_template(template).unwrap_or_else(|_mistake| ProgressStyle::default_bar()).progress_chars("━╸─")
}

/// What `indicatif` takes for a terminal. It keeps the latest picture, which a [`Screen`] puts in the place of the one
/// before: only the screen knows what was said in between, and how wide the terminal has become. So where the cursor
/// goes is no business of this one, and nothing of it ever fails: some of `indicatif` unwraps what it is answered.
#[derive(Debug, Clone, Default)]
struct Canvas(Arc<Mutex<Drawing>>);

#[derive(Debug, Default)]
struct Drawing {
    width: u16,
    /// The rows of a picture that is not whole as yet.
    rows: Vec<String>,
    picture: Vec<String>,
}

impl Canvas {
    fn lock(&self) -> MutexGuard<'_, Drawing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        // Where a wide character does not fit into a whole row, `indicatif` counts below zero.
        self.lock().width.max(2)
    }

    fn height(&self) -> u16 {
        // What is too much is left out from above, and not the last rows.
        u16::MAX
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        // Each row comes in one piece, then blanks up to its end; those would break where a terminal becomes narrower.
        if !text.trim().is_empty() {
            self.lock().rows.push(text.to_owned());
        }
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn flush(&self) -> io::Result<()> {
        let mut drawing = self.lock();
        drawing.picture = std::mem::take(&mut drawing.rows);
        Ok(())
    }

    fn move_cursor_up(&self, _rows: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _rows: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _columns: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _columns: usize) -> io::Result<()> {
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Outcomes worth a look while the run goes on.
fn attention(outcomes: &[(&str, u64, bool)]) -> String {
    let worth = outcomes.iter().filter(|(_, _, worth_a_look)| *worth_a_look);
    worth.map(|(word, rows, _)| format!("{} {word}", Grouped(*rows))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> Standing {
        let worth = ["failed", "not_active", "unknown", "rejected"].map(|word| (word, 1, true));
        Standing {
            mail: "congratulations",
            links: (2, 3),
            checks: (1_000, 1_000_000),
            messages: (900_000, 1_000_000),
            rows: (5, 1_000_000),
            outcomes: [("sent", 1, false)].into_iter().chain(worth).collect(),
            window: (1212, 1500),
            window_name: "this minute".to_owned(),
            refused: 3,
            left: Some(Duration::from_secs(72)),
            waits_for: Some("waiting 12 s: the portal refused, somebody else uses its limits too".to_owned()),
        }
    }

    fn frame(standing: &Standing, size: (u16, u16), colour: bool) -> Vec<String> {
        Bars::new(&Screen::new()).frame(standing, size, colour)
    }

    #[test]
    fn bars_fit_the_terminal_and_nothing_that_matters_is_cut() {
        for columns in [40, 60, 80, 200] {
            for colour in [false, true] {
                let lines = frame(&busy(), (24, columns), colour);
                let widest = lines.iter().map(|line| measure_text_width(line)).max().expect("lines");
                assert!(widest < usize::from(columns), "{columns}: {lines:#?}");
                let text = lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
                for part in
                    ["1000/1000000", "1 failed", "1 unknown", "3 refused", "about 1 min 12 s left", "limits too"]
                {
                    assert!(text.contains(part), "{part}: {lines:#?}");
                }
            }
        }
    }

    #[test]
    fn bars_stay_inside_a_terminal_of_any_size() {
        for (rows, columns) in [(1, 2), (2, 10), (3, 200), (24, 20)] {
            let lines = frame(&busy(), (rows, columns), true);
            assert!(lines.len() <= usize::from(rows).saturating_sub(1).max(1), "{lines:#?}");
            assert!(lines.iter().all(|line| measure_text_width(line) < usize::from(columns)), "{lines:#?}");
        }
    }

    #[test]
    fn a_bar_is_as_full_as_its_numbers_say() {
        let standing = Standing {
            checks: (6, 12),
            messages: (12, 12),
            rows: (11, 12),
            mail: "congratulations",
            ..Standing::default()
        };
        let none = "─".repeat(24);
        let half = format!("{}╸{}", "━".repeat(12), "─".repeat(11));
        let nearly = format!("{}╸─", "━".repeat(22));
        let all = "━".repeat(24);
        let wanted = [
            format!("links            {none}       0/0"),
            format!("checks           {half}       6/12"),
            format!("congratulations  {all}      12/12"),
            format!("rows settled     {nearly}      11/12"),
        ];
        assert_eq!(frame(&standing, (24, 80), false)[..4], wanted);
        let bars = Bars::new(&Screen::new());
        bars.frame(&busy(), (24, 40), true);
        assert_eq!(bars.frame(&standing, (24, 80), false)[..4], wanted, "whatever was shown before");
    }

    #[test]
    fn characters_of_two_columns_stop_nothing_where_there_is_one() {
        let standing = Standing { waits_for: Some("終わりを待つ".to_owned()), ..busy() };
        for columns in 0..60 {
            for line in frame(&standing, (24, columns), true) {
                let free = usize::from(columns.saturating_sub(1)).max(1);
                assert!(measure_text_width(&line) <= free, "{columns}: {line}");
            }
        }
    }

    /// What a terminal was given, until it is gone.
    #[derive(Debug, Clone, Default)]
    struct Given(Arc<Mutex<(Vec<u8>, bool)>>);

    impl Write for Given {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let mut given = self.0.lock().expect("whole");
            if given.1 {
                return Err(io::Error::other("the terminal is gone"));
            }
            given.0.extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn at(given: &Given) -> Screen {
        Screen { outlet: Outlet::new(given.clone()), bars: Arc::default() }
    }

    #[test]
    fn bars_stand_below_what_is_said_and_leave_nothing_behind() {
        for ends in [true, false] {
            let given = Given::default();
            let screen = at(&given);
            let mut progress = Progress::Bars(Bars::new(&screen));
            progress.show(&busy(), Duration::ZERO);
            screen.say("said");
            let bars = screen.bars.lock().expect("whole").clone();
            assert!(bars.len() > 4, "{bars:#?}");
            if ends {
                progress.finish();
            } else {
                drop(progress);
            }
            screen.say("the end");
            screen.close();
            let (bars, taken) = (drawn(&bars), erased(&bars, Screen::width()));
            let seen = String::from_utf8(given.0.lock().expect("whole").0.clone()).expect("text");
            assert_eq!(seen, format!("{bars}{taken}said\n{bars}{taken}the end\n"));
            assert!(!seen.contains("A\x1b[J") && !seen.contains("\r\x1b[J"), "tmux would keep all that is erased");
        }
    }

    #[test]
    fn whoever_does_not_keep_up_gets_the_latest_picture_and_none_in_between() {
        /// Takes nothing until the other end of this is gone.
        struct Stopped(std::sync::mpsc::Receiver<()>, Given);
        impl Write for Stopped {
            fn write(&mut self, text: &[u8]) -> io::Result<usize> {
                let _gone = self.0.recv();
                self.1.write(text)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (stopped, gate) = std::sync::mpsc::channel();
        let given = Given::default();
        let screen = Screen { outlet: Outlet::new(Stopped(gate, given.clone())), bars: Arc::default() };
        let mut progress = Progress::Bars(Bars::new(&screen));
        for row in 1..1000 {
            progress.show(&Standing { rows: (row, 1000), ..Standing::default() }, Duration::ZERO);
        }
        drop(stopped);
        while screen.outlet.is_behind() {
            std::thread::yield_now();
        }
        progress.show(&Standing { rows: (1000, 1000), ..Standing::default() }, Duration::ZERO);
        progress.finish();
        screen.close();
        let seen = String::from_utf8(given.0.lock().expect("whole").0.clone()).expect("text");
        assert_eq!(seen.matches("rows settled").count(), 2, "{seen}");
        assert!(seen.contains(" 1/1000") && seen.contains(" 1000/1000"), "{seen}");
    }

    #[test]
    fn a_terminal_that_is_gone_changes_nothing() {
        let given = Given::default();
        let screen = at(&given);
        let mut progress = Progress::Bars(Bars::new(&screen));
        progress.show(&busy(), Duration::ZERO);
        given.0.lock().expect("whole").1 = true;
        screen.say("said");
        progress.show(&Standing::default(), Duration::ZERO);
        progress.finish();
        screen.close();
    }

    #[test]
    fn lines_that_a_narrower_terminal_has_broken_are_taken_away_whole() {
        let lines = ["x".repeat(50), "y".repeat(10), "z".to_owned()];
        assert_eq!(erased(&lines, 80), "\r\x1b[2A \x1b[J\r");
        assert_eq!(erased(&lines, 20), "\r\x1b[4A \x1b[J\r");
        assert_eq!(erased(&lines[2..], 20), "\r \x1b[J\r");
        assert_eq!(erased(&[], 20), "");
    }

    #[test]
    fn a_line_says_what_is_done_what_is_used_and_what_is_waited_for() {
        let standing = Standing {
            rows: (1, 2000),
            outcomes: vec![("sent", 1, false)],
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
