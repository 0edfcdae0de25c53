//! A ledger elsewhere: a log of small objects, of which each names the one before, appended to by one session at a time.
//! What is decided here is pure; [`super::store`] does what it asks for, and `book` keeps what the entries make.

mod append;
mod chain;
mod line;
mod wait;

pub(in crate::ledger) use self::line::encode;
pub use self::{
    append::{Append, Step, Times},
    chain::{Broken, Chain, Read},
    line::{Header, JobLine, Line, Snapshot, Spot, hex, unhex},
    wait::{Next, Waiting},
};
