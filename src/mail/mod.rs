//! What differs from mail to mail: what it needs, when it is due, its words. Everything else about a run is the same for
//! all of them. Whoever adds a mail adds a module here, a call to [`portal`](crate::portal), and a command.

mod congratulation;
mod invitation;
mod terms;

pub use self::terms::{Due, Needs};

use crate::{
    attempt::{Carrier, Mail},
    outcome::Outcome,
    portal::{ErrorBody, Fault, Person},
    reason::{Advice, Reason},
    user::EmployeeType,
};

/// What a mail needs.
pub const fn needs(mail: Mail) -> Needs {
    match mail {
        Mail::Congratulation => congratulation::NEEDS,
        Mail::Invitation => invitation::NEEDS,
    }
}

/// What is to be done about a person whom the portal knows; `again` where a second mail was asked for (`--resend`).
pub fn due(mail: Mail, person: &Person, wanted: EmployeeType, again: bool) -> Due {
    match mail {
        Mail::Congratulation => congratulation::due(person),
        Mail::Invitation => invitation::due(person, wanted, again),
    }
}

/// What is to be done about an address of which the portal knows nobody.
pub fn due_to_nobody(mail: Mail, wanted: EmployeeType) -> Due {
    match mail {
        Mail::Congratulation => Due::Never(Outcome::Failed, Some(Reason::UnknownAddress)),
        Mail::Invitation => invitation::due_to_nobody(wanted),
    }
}

/// What an outcome is called in the results, the ledger and the summary.
pub const fn word(mail: Mail, outcome: Outcome) -> &'static str {
    match (mail, outcome) {
        (Mail::Invitation, Outcome::Sent) => "invited",
        (Mail::Invitation, Outcome::AlreadySent) => "already_invited",
        (Mail::Invitation, Outcome::NotActive) => "already_there",
        (Mail::Congratulation | Mail::Invitation, outcome) => outcome.as_str(),
    }
}

/// What an outcome means, in a few words; who carried the messages may not be known.
pub const fn meaning(mail: Mail, carrier: Option<Carrier>, outcome: Outcome) -> &'static str {
    match (mail, outcome) {
        (Mail::Congratulation, Outcome::Sent) => match carrier {
            Some(Carrier::Portal) => "congratulated: the portal accepted it",
            Some(Carrier::MailServer) => "congratulated: the mail server accepted it",
            None => "congratulated: it was accepted",
        },
        (Mail::Congratulation, Outcome::AlreadySent) => "congratulated by an earlier run",
        (Mail::Congratulation, Outcome::NotActive) => "not due: not activated yet, or disabled",
        (Mail::Congratulation, Outcome::Duplicate) => "the user stands in an earlier row",
        (Mail::Invitation, Outcome::Sent) => "invited: the portal accepted it",
        (Mail::Invitation, Outcome::AlreadySent) => "invited before, and has not joined",
        (Mail::Invitation, Outcome::NotActive) => "not due: is there already",
        (Mail::Invitation, Outcome::Duplicate) => "the address stands in an earlier row",
        (_, Outcome::Rejected) => match carrier {
            Some(Carrier::Portal) => "the portal refused it; see below",
            Some(Carrier::MailServer) => "the mail server refused it; see below",
            None => "it was refused; see below",
        },
        (_, Outcome::Failed) => "certainly not sent; tried again by the next run",
        (_, Outcome::Unknown) => "may have been sent; a person decides",
        (_, Outcome::NotAttempted) => "not reached; the next run goes on here",
        (_, Outcome::Invalid) => "the row cannot be used",
    }
}

/// What to do about a refusal, as far as its status and body tell.
pub fn advice(mail: Mail, fault: &Fault, own_key: bool) -> Option<Advice> {
    let Fault::Answered { status, body } = fault else { return None };
    match (mail, status, body) {
        (_, 402, _) => Some(Advice::Pay),
        (Mail::Congratulation, 403, ErrorBody::Envelope { .. }) if own_key => Some(Advice::OwnKey),
        (Mail::Congratulation, 403, ErrorBody::Envelope { .. }) => Some(Advice::Sign),
        _ if fault.by_another() => Some(Advice::LetThrough),
        (_, 403, ErrorBody::Empty | ErrorBody::Validation { .. } | ErrorBody::Other) => Some(Advice::Scope),
        (Mail::Congratulation, 400, _) => Some(Advice::LookAtKey),
        _ => None,
    }
}
