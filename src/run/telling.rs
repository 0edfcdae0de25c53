//! What is told of a run before it begins.

use std::fmt;

/// How whoever starts a run is told of what is found meanwhile.
pub struct Telling<'a> {
    /// Only what went wrong is told.
    pub quiet: bool,
    /// Colours are shown.
    pub colour: bool,
    /// Tells.
    pub say: &'a mut dyn FnMut(&str),
}

impl fmt::Debug for Telling<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telling").field("quiet", &self.quiet).finish_non_exhaustive()
    }
}
