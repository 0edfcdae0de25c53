//! The terminal: one writer to standard error, bars on it while a run goes on, diagnostics, and questions.

pub mod ask;
pub mod logs;
mod outlet;
mod paper;
mod progress;

pub use self::paper::Paper;
pub use self::progress::{Bars, Onlooker, Progress, ProgressKind, Screen, colour_is_wanted};
