//! The ledger's file: an SQLite database, which is what the entries make of it.

mod append;
mod apply;
mod as_lines;
mod copy;
mod decisions;
mod elsewhere;
mod fence;
pub(super) mod file;
mod history;
mod holds;
mod lines;
mod log;
mod open;
mod questions;
pub(super) mod schema;
mod session;
mod snapshot;
mod state;
mod touched;

pub use self::decisions::{Decided, Named, Settlement, Standing};
pub use self::elsewhere::Local;
pub use self::history::{AttemptRecord, RunRecord, UserRecord};
pub use self::session::{Heard, Holding, Overview, SessionStart};
pub use self::state::Ledger;
pub use self::touched::Touches;
