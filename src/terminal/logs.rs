//! Diagnostics: `-v` tells rows, `-vv` requests; never secrets, since what carries one cannot be printed.

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
};

use tracing::Level;
use tracing_subscriber::{
    filter::Targets,
    fmt::{self, MakeWriter, format::FmtSpan},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::{
    Screen,
    outlet::{Outlet, Weight},
};
use crate::display::shown_path;

/// How diagnostics are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// What is logged, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only what went wrong.
    pub quiet: bool,
    /// How much more.
    pub verbose: u8,
    /// How it is written.
    pub log_format: LogFormat,
    /// The file, instead of standard error.
    pub log_file: Option<PathBuf>,
}

/// Where log lines go. Writing never fails: a log that cannot be written is no reason to end a run.
#[derive(Debug, Clone)]
enum Lines {
    /// Standard error, shared with the bars.
    Screen(Screen),
    File(Outlet),
}

impl io::Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match self {
            Self::Screen(screen) => (&*screen).write(text),
            Self::File(file) => {
                file.write(text, Weight::Log);
                Ok(text.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The log file, if there is one.
#[derive(Debug)]
pub struct Log(Option<Outlet>);

impl Log {
    /// Waits until the file is written; says why it is not whole, if it is not.
    pub fn close(self) -> Option<io::Error> {
        self.0.and_then(|file| file.close())
    }
}

/// Starts logging as the options say.
pub fn start(options: &Options, screen: &Screen) -> Result<Log, String> {
    let file = match &options.log_file {
        Some(path) => {
            let file =
                open(path).map_err(|error| format!("cannot write the log file {}: {error}", shown_path(path)))?;
            Some(Outlet::new(file))
        }
        None => None,
    };
    let lines = file.clone().map_or_else(|| Lines::Screen(screen.clone()), Lines::File);
    subscribe(wanted(options), options.log_format, lines);
    Ok(Log(file))
}

/// What is logged of what is said.
fn wanted(options: &Options) -> Targets {
    let warnings = Targets::new().with_default(Level::WARN);
    match (options.quiet, options.verbose) {
        (true, _) => Targets::new().with_default(Level::ERROR),
        (false, 0) => warnings,
        (false, 1) => warnings.with_target("onboard", Level::INFO),
        // Libraries below are not asked: their logs show URLs, and those hold keys.
        (false, _) => warnings.with_target("onboard", Level::DEBUG),
    }
}

/// The log is appended to, and its owner's alone: rows are people.
fn open(path: &Path) -> io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn subscribe(wanted: Targets, format: LogFormat, lines: Lines) {
    let layer = fmt::layer()
        .with_writer(lines)
        .with_ansi(false)
        .with_span_events(FmtSpan::NONE)
        .with_target(false)
        // It would tell its own troubles by a macro that ends the process where standard error is gone.
        .log_internal_errors(false);
    let subscriber = tracing_subscriber::registry().with(wanted);
    // A second subscriber in one process (tests) is refused, which harms nobody.
    let _already_there = match format {
        LogFormat::Text => subscriber.with(layer).try_init(),
        LogFormat::Json => subscriber.with(layer.json().flatten_event(true)).try_init(),
    };
}
