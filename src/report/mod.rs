//! What is told of a run once it is over: the summary on the terminal, and the same for machines.

mod summary;
mod traffic;

pub use self::{
    summary::{Attention, Summary, shell_word},
    traffic::{Class, Counts, End, Traffic},
};
