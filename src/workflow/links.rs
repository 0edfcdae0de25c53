//! One invitation link for each employee type, shared by its rows (`docspace-contract.md` §3.1: a link depends on the
//! type and the caller, never on the row's user).

use super::Call;
use crate::{
    portal::{ErrorBody, Fault, InviteLink, LinkAnswer},
    user::EmployeeType,
};

/// What is known of the link of one type.
#[derive(Debug, Clone, Default)]
enum Link {
    /// No valid row has this type.
    #[default]
    Unneeded,
    /// Still to be asked for.
    Needed,
    /// Asked for, or waiting to be asked again.
    Asked { tries: u32 },
    /// Here it is.
    Known(InviteLink),
    /// There is none, for this reason.
    Without(String),
}

/// The links of a run.
#[derive(Debug, Default)]
pub(super) struct Links([Link; EmployeeType::ALL.len()]);

impl Links {
    fn slot(&mut self, kind: EmployeeType) -> Option<&mut Link> {
        self.0.get_mut(kind as usize)
    }

    fn get(&self, kind: EmployeeType) -> Option<&Link> {
        self.0.get(kind as usize)
    }

    pub(super) fn need(&mut self, kind: EmployeeType) {
        if let Some(link @ Link::Unneeded) = self.slot(kind) {
            *link = Link::Needed;
        }
    }

    /// The next link to ask for.
    pub(super) fn next(&self) -> Option<EmployeeType> {
        EmployeeType::ALL.into_iter().find(|kind| matches!(self.get(*kind), Some(Link::Needed)))
    }

    pub(super) fn asked(&mut self, kind: EmployeeType) {
        if let Some(link) = self.slot(kind) {
            *link = Link::Asked { tries: 0 };
        }
    }

    /// How often asking for this link has failed; one more.
    pub(super) fn failed_once_more(&mut self, kind: EmployeeType) -> u32 {
        match self.slot(kind) {
            Some(Link::Asked { tries }) => {
                *tries += 1;
                *tries
            }
            _ => 0,
        }
    }

    pub(super) fn known(&mut self, kind: EmployeeType, answer: LinkAnswer) {
        let link = match answer {
            LinkAnswer::Link(link) => Link::Known(link),
            LinkAnswer::NotPermitted => Link::Without(not_permitted(kind)),
        };
        if let Some(slot) = self.slot(kind) {
            *slot = link;
        }
    }

    pub(super) fn gave_up(&mut self, kind: EmployeeType, fault: &Fault) {
        let why = match fault {
            Fault::Answered { status: 403, body: ErrorBody::Envelope { .. } } => format!(
                "the portal refuses {kind} links to this key: invitations are switched off in its settings, or the \
                 account may not invite"
            ),
            Fault::Answered { status: 400, .. } => {
                format!("the portal does not know the employee type {kind}: it may be a release before 3.0")
            }
            other => other.to_string(),
        };
        if let Some(slot) = self.slot(kind) {
            *slot = Link::Without(why);
        }
    }

    pub(super) fn link(&self, kind: EmployeeType) -> Option<&InviteLink> {
        match self.get(kind) {
            Some(Link::Known(link)) => Some(link),
            _ => None,
        }
    }

    /// Why rows of this type have no link; `None` where they have one.
    pub(super) fn reason(&self, kind: EmployeeType) -> Option<&str> {
        match self.get(kind) {
            Some(Link::Known(_)) => None,
            Some(Link::Without(why)) => Some(why),
            Some(Link::Unneeded | Link::Needed | Link::Asked { .. }) | None => {
                Some("the run stopped before it was there")
            }
        }
    }

    /// Whether a link is still on its way.
    pub(super) fn pending(&self) -> bool {
        self.0.iter().any(|link| matches!(link, Link::Needed | Link::Asked { .. }))
    }

    /// How many links there are to fetch, and how many were.
    pub(super) fn progress(&self) -> (u32, u32) {
        let count =
            |wanted: fn(&Link) -> bool| u32::try_from(self.0.iter().filter(|link| wanted(link)).count()).unwrap_or(0);
        (count(|link| matches!(link, Link::Known(_) | Link::Without(_))), count(|link| !matches!(link, Link::Unneeded)))
    }

    pub(super) fn call(kind: EmployeeType) -> Call {
        Call::Link(kind)
    }
}

/// Why a 200 with an empty link came (`docspace-contract.md` §3.1: the owner may invite all; a DocSpaceAdmin all but
/// DocSpaceAdmin; a RoomAdmin users and guests; others nobody).
fn not_permitted(kind: EmployeeType) -> String {
    let who = match kind {
        EmployeeType::DocSpaceAdmin => "only the portal's owner can",
        EmployeeType::RoomAdmin => "the owner and DocSpace admins can",
        EmployeeType::User | EmployeeType::Guest => "the owner, DocSpace admins and room admins can",
    };
    format!("this key may not invite {kind}: {who}")
}
