//! The terminal: one writer to standard error, bars on it while a run goes on, diagnostics, and questions.

pub mod ask;
pub mod logs;
mod outlet;
mod progress;

pub use self::progress::{Bars, Progress, ProgressKind, Screen, Standing, colour_is_wanted};
