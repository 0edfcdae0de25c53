//! The terminal: one writer to standard error, bars on it while a run goes on, diagnostics, and questions.

pub mod ask;
pub mod logs;
mod outlet;
mod progress;

pub use self::progress::{Bars, Onlooker, Progress, ProgressKind, Screen, colour_is_wanted};
