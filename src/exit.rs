//! How a command ends, for scripts: one order of precedence, stated once.

/// The exit statuses, in the order in which the first that applies is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// 2: it could not start; nothing was sent.
    NotStarted,
    /// 5: storage failed, or the ledger is out of reach or held; nothing was sent whose intent is not on record.
    Storage,
    /// 130: stopped by Ctrl-C.
    Interrupted,
    /// 143: stopped by SIGTERM.
    Terminated,
    /// 3: the portal could not be used.
    Portal,
    /// 4: stopped early at a limit; run again later to go on.
    Early,
    /// 1: finished, and some row ended as none should.
    Rows,
    /// 0: finished.
    Clean,
}

impl Exit {
    /// The status, as the shell sees it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Rows => 1,
            Self::NotStarted => 2,
            Self::Portal => 3,
            Self::Early => 4,
            Self::Storage => 5,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The same in words, for whoever did not see it.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Clean => "finished",
            Self::Rows => "finished, and some rows need a look",
            Self::NotStarted => "could not start; nothing was sent",
            Self::Portal => "the portal could not be used",
            Self::Early => "stopped early at a limit; run it again to go on",
            Self::Storage => "storage failed, or the ledger is out of reach or held",
            Self::Interrupted => "stopped by Ctrl-C",
            Self::Terminated => "stopped by SIGTERM",
        }
    }

    /// Of all that apply, the first; [`Exit::Clean`] where none does.
    pub fn first_that_applies(applying: impl IntoIterator<Item = Self>) -> Self {
        applying.into_iter().min().unwrap_or(Self::Clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_applies_is_taken_in_the_specifications_order() {
        let all = [
            Exit::Clean,
            Exit::Rows,
            Exit::Early,
            Exit::Portal,
            Exit::Terminated,
            Exit::Interrupted,
            Exit::Storage,
            Exit::NotStarted,
        ];
        for (place, exit) in all.iter().enumerate() {
            assert_eq!(Exit::first_that_applies(all[..=place].iter().copied()), *exit);
        }
        assert_eq!(Exit::first_that_applies([]), Exit::Clean);
        assert_eq!(all.map(Exit::code), [0, 1, 4, 3, 143, 130, 5, 2]);
    }
}
