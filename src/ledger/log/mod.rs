//! A ledger elsewhere: a log of small objects, of which each names the one before, appended to by one session at a time.
//! What is decided here is pure; [`super::store`] does what it asks for.

mod append;
mod wait;

pub use self::{
    append::{Append, Step, Times},
    wait::{Next, Waiting},
};
