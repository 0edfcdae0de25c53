//! The ledger's file: an SQLite database, which is what the entries make of it.

mod apply;
mod fence;
pub(super) mod file;
mod history;
mod holds;
mod open;
mod questions;
pub(super) mod schema;
mod state;

pub use self::history::{AttemptRecord, Named, RunRecord, Settlement, UserRecord};
pub use self::state::Ledger;
