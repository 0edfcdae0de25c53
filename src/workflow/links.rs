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

    /// Why rows of this type have no link; `None` where they have one, need none, or it may still come.
    pub(super) fn reason(&self, kind: EmployeeType) -> Option<&str> {
        match self.get(kind) {
            Some(Link::Without(why)) => Some(why),
            Some(Link::Known(_) | Link::Unneeded | Link::Needed | Link::Asked { .. }) | None => None,
        }
    }

    /// The run is over: what is not there will not come.
    pub(super) fn conclude(&mut self) {
        for link in &mut self.0 {
            if matches!(link, Link::Needed | Link::Asked { .. }) {
                *link = Link::Without("the run stopped before it was there".to_owned());
            }
        }
    }

    /// Whether a link is still on its way.
    pub(super) fn pending(&self) -> bool {
        self.0.iter().any(|link| matches!(link, Link::Needed | Link::Asked { .. }))
    }

    /// How many are still to be asked for.
    pub(super) fn unasked(&self) -> u64 {
        u64::try_from(self.0.iter().filter(|link| matches!(link, Link::Needed)).count()).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_asked_for_once_and_only_where_a_row_has_it() {
        let mut links = Links::default();
        assert_eq!((links.next(), links.pending(), links.progress()), (None, false, (0, 0)));
        for kind in [EmployeeType::RoomAdmin, EmployeeType::Guest, EmployeeType::RoomAdmin] {
            links.need(kind);
        }
        assert_eq!((links.next(), links.progress()), (Some(EmployeeType::Guest), (0, 2)));
        links.asked(EmployeeType::Guest);
        assert_eq!(links.next(), Some(EmployeeType::RoomAdmin));
        links.asked(EmployeeType::RoomAdmin);
        assert_eq!((links.next(), links.pending()), (None, true));
        links.known(EmployeeType::Guest, LinkAnswer::Link(InviteLink::made_up("https://p.example/g")));
        assert_eq!((links.pending(), links.progress()), (true, (1, 2)));
        assert_eq!([1, 2, 3].map(|_| links.failed_once_more(EmployeeType::RoomAdmin)), [1, 2, 3]);
        assert_eq!(links.reason(EmployeeType::RoomAdmin), None, "it may still come");
        let mut stopped = Links(links.0.clone());
        stopped.conclude();
        assert_eq!(stopped.reason(EmployeeType::RoomAdmin), Some("the run stopped before it was there"));
        links.known(EmployeeType::RoomAdmin, LinkAnswer::NotPermitted);
        links.need(EmployeeType::Guest);
        assert_eq!((links.next(), links.pending(), links.progress()), (None, false, (2, 2)));
        assert_eq!(links.link(EmployeeType::Guest).map(InviteLink::as_str), Some("https://p.example/g"));
        assert_eq!((links.link(EmployeeType::RoomAdmin), links.reason(EmployeeType::Guest)), (None, None));
    }

    #[test]
    fn a_missing_link_says_who_can_have_it_or_what_went_wrong() {
        for (kind, who) in [
            (EmployeeType::DocSpaceAdmin, "this key may not invite DocSpaceAdmin: only the portal's owner can"),
            (EmployeeType::RoomAdmin, "this key may not invite RoomAdmin: the owner and DocSpace admins can"),
            (EmployeeType::Guest, "this key may not invite Guest: the owner, DocSpace admins and room admins can"),
        ] {
            let mut links = Links::default();
            links.known(kind, LinkAnswer::NotPermitted);
            assert_eq!(links.reason(kind), Some(who));
        }
        let envelope = ErrorBody::Envelope { message: String::new(), passing: false };
        for (status, body, why) in [
            (403, envelope, "the portal refuses User links to this key"),
            (403, ErrorBody::Empty, "the portal answered 403"),
            (
                400,
                ErrorBody::Validation { said: String::new(), of_invitations: false },
                "the portal does not know the employee type User",
            ),
            (500, ErrorBody::Other, "the portal answered 500"),
        ] {
            let mut links = Links::default();
            links.gave_up(EmployeeType::User, &Fault::Answered { status, body });
            let reason = links.reason(EmployeeType::User).expect("a reason");
            assert!(reason.starts_with(why), "{reason}");
        }
    }
}
