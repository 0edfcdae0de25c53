//! What is on record of a message to a person: the words that ledger, plan and workflow share.
//!
//! An *attempt* to send somebody a mail holds that person from its intent on, until an ending proves that nothing had an
//! effect, or a person lets it go.

use std::sync::Arc;

use jiff::Timestamp;

/// Which mail is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mail {
    /// The congratulation, to a user.
    Congratulation = 0,
    /// The portal's invitation, to an address.
    Invitation = 1,
}

impl Mail {
    /// What people call one of it.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Congratulation => "congratulation",
            Self::Invitation => "invitation",
        }
    }
}

/// Who carries a message to its person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// The portal, whose message it is then.
    Portal,
    /// A mail server: the message is one's own.
    MailServer,
}

impl Carrier {
    /// What people call it.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Portal => "portal",
            Self::MailServer => "mail server",
        }
    }
}

/// About whom an attempt is: a user's id for a congratulation, the digest of an address for an invitation.
pub type Subject = [u8; 16];

/// The attempt that holds somebody, so that nothing is sent to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// The portal accepted it.
    Sent {
        /// When.
        at: Timestamp,
        /// In which run.
        run: Arc<str>,
    },
    /// It may have been sent.
    Unknown {
        /// When.
        at: Timestamp,
        /// In which run.
        run: Arc<str>,
        /// Why nobody knows.
        why: String,
    },
}

/// What was last done about somebody, as far as the ledger knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// By which run.
    pub by: Arc<Toucher>,
    /// When that ended, or began where it has not.
    pub at: Timestamp,
    /// Whether the portal accepted it, as against: it may have been sent. None where it holds nobody.
    pub holds: Option<bool>,
    /// What a person decided about it.
    pub decided: Option<Decided>,
}

/// A run that did something about somebody.
#[derive(Debug, PartialEq, Eq)]
pub struct Toucher {
    /// Its id.
    pub run: String,
    /// Who ran it, where.
    pub who: String,
    /// When it began.
    pub started_at: Timestamp,
    /// The hash of the plan that it carried out.
    pub plan: Option<[u8; 32]>,
}

/// A person's decision on what may have been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Who decided.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Whether it counts as sent.
    pub was_sent: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The portal accepted it.
    Sent,
    /// It certainly had no effect.
    NoEffect {
        /// Whether the portal's daily limit counts it all the same.
        counted: bool,
        /// Why.
        why: String,
    },
    /// Nobody but the portal knows.
    Unknown {
        /// Why.
        why: String,
    },
}

/// Which earlier attempts a person asked to let go in this run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LetGo {
    /// Those that were accepted (`--resend`).
    pub sent: bool,
    /// Those that may have been (`--retry-unknown`).
    pub unknown: bool,
}

impl LetGo {
    /// Whether this hold is to be let go.
    pub fn covers(self, held: &Held) -> bool {
        match held {
            Held::Sent { .. } => self.sent,
            Held::Unknown { .. } => self.unknown,
        }
    }
}
