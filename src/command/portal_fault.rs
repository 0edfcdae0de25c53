//! What is said where the portal could not be used.

use crate::{origin::PortalAddress, portal::Fault, terminal::Screen};

/// Tells why the portal could not be used; the exit status of that.
pub(super) fn portal_fault(screen: &Screen, address: &PortalAddress, fault: &Fault) -> u8 {
    let next = match fault {
        _ if fault.by_another() => "; the key was not looked at",
        Fault::Answered { status: 401, .. } => ": it does not accept the key; `onboard doctor` tells more",
        Fault::Answered { status: 403, .. } => {
            ": the key lacks a scope, or its owner may not do this; see `onboard doctor`"
        }
        _ => "; `onboard doctor` tells more",
    };
    screen.say(&format!("onboard: {address}: {fault}{next}"));
    3
}
