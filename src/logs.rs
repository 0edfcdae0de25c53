//! Diagnostics: `-v` tells rows, `-vv` requests; never secrets, since what carries one cannot be printed.

use std::{fs::OpenOptions, path::Path, sync::Mutex};

use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, format::FmtSpan},
};

use crate::{
    cli::{Diagnostics, LogFormat},
    progress::Screen,
};

/// A writer that shares standard error with the bars.
#[derive(Debug, Clone)]
struct OnScreen(Screen);

impl std::io::Write for OnScreen {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        (&self.0).write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for OnScreen {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Starts logging as the options say.
pub fn start(options: &Diagnostics, screen: &Screen) -> Result<(), String> {
    let level = match (options.quiet, options.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "onboard=info,warn",
        // Libraries below are not asked: their logs show URLs, and those hold keys.
        (false, _) => "onboard=debug,warn",
    };
    let filter = EnvFilter::new(level);
    match &options.log_file {
        Some(path) => {
            let file = open(path).map_err(|error| format!("cannot write the log file {}: {error}", path.display()))?;
            subscribe(filter, options.log_format, Mutex::new(file), false);
        }
        None => subscribe(filter, options.log_format, OnScreen(screen.clone()), false),
    }
    Ok(())
}

/// The log is appended to, and its owner's alone: rows are people.
fn open(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn subscribe<W>(filter: EnvFilter, format: LogFormat, writer: W, colour: bool)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colour)
        .with_span_events(FmtSpan::NONE)
        .with_target(false);
    // A second subscriber in one process (tests) is refused, which harms nobody.
    let _already_there = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
