//! Why a row ended as it did: every reason there is, each with its one text. What follows from a reason is decided by
//! its kind, never by its words.

use std::{borrow::Cow, collections::HashMap, fmt, sync::Arc};

use jiff::Timestamp;

use crate::{attempt::Mail, code::Code, display::moment, user::EmployeeType};

/// Why a row ended as it did.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reason {
    // ---- the roster
    /// The user stands in an earlier row; this one, from 1.
    UserStandsInRow(u64),
    /// The address stands in an earlier row; this one, from 1.
    AddressStandsInRow(u64),
    // ---- what was done before
    /// An earlier run had it accepted.
    AcceptedBefore {
        /// Which mail.
        mail: Mail,
        /// When.
        at: Timestamp,
        /// By which run.
        run: Arc<str>,
    },
    /// It may have been sent, in this run.
    MayHaveBeenSent {
        /// Which mail.
        mail: Mail,
        /// Why nobody knows.
        why: String,
    },
    /// It may have been sent, in an earlier run.
    MayHaveBeenSentBefore {
        /// Which mail.
        mail: Mail,
        /// Why nobody knows.
        why: String,
        /// When.
        at: Timestamp,
        /// By which run.
        run: Arc<str>,
    },
    // ---- the person
    /// The portal has no such user.
    UnknownUser,
    /// The portal has nobody with the address.
    UnknownAddress,
    /// The key may not see the user.
    NotVisible,
    /// The question was not answered.
    StatusNotLearned(String),
    /// The answer was about another user.
    AnotherUser,
    /// The answer was about another address.
    AnotherAddress,
    /// The row's id and address are of two people.
    IdAndAddressDisagree,
    /// The account was removed.
    Removed,
    /// The account is disabled.
    Disabled,
    /// Disabled, so that it cannot be invited.
    DisabledNotInvited,
    /// Invited, has not joined.
    NotJoined,
    /// Invited, has not joined: nothing is sent unless it is asked for.
    InvitedNotJoined,
    /// Has not confirmed the address.
    NotConfirmed,
    /// An account in a state that is neither.
    OddStatus,
    /// Has joined, with another role than the row's.
    HasOtherRole {
        /// The role there.
        is: EmployeeType,
        /// The row's.
        wanted: EmployeeType,
    },
    /// Guests are invited by link alone.
    GuestsAreNotInvited,
    // ---- the mail
    /// The intent could not be recorded.
    NotRecorded,
    /// The portal refused it.
    Refused {
        /// What the portal said.
        said: String,
        /// What to do about it.
        next: Option<Advice>,
    },
    /// The mail server refused it.
    MailRefused(String),
    /// The mail server would not take it yet, after all tries.
    MailLater(String),
    /// It may have gone by the mail server, in this run; why nobody knows.
    MailMayHaveBeenSent(String),
    /// No mail can be made for this person.
    NotMade(String),
    /// It certainly did not leave.
    NotSent(String),
    /// A dry run sends nothing.
    WouldBeSent,
    // ---- the run ended first
    /// Why everything ended, or no more was sent.
    RunEnded(Stop),
}

/// What to do about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Advice {
    /// The portal takes signed keys only.
    Sign,
    /// The row's own key was sent, which the portal does not take.
    OwnKey,
    /// Somebody before the portal has to let this machine through.
    LetThrough,
    /// The API key lacks a scope.
    Scope,
    /// The congratulation key is odd.
    LookAtKey,
    /// The portal is unpaid.
    Pay,
}

/// Why a run ended before a row's turn, as its rows tell it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Stop {
    /// It stopped before this row was there.
    Early,
    /// The first ones were refused all alike.
    RefusedAlike(Mail),
    /// `--limit`.
    Limit,
    /// `--daily-writes`.
    Daily,
    /// The portal's own limit of a day.
    PortalsDaily,
    /// The portal's limit of invitations; what it said.
    PortalsInvitations(String),
    /// No tenant number to sign with.
    NoTenant,
    /// 401.
    KeyRefused,
    /// 402.
    Unpaid,
    /// Somebody before the portal answered.
    NotReached(String),
    /// Every question was refused.
    RefusedEverything(String),
    /// Every question failed.
    FailsAtEverything(String),
    /// Nothing of a portal is there.
    NoPortal,
    /// Something else is there.
    NotAPortal,
    /// Requests are sent elsewhere.
    SentElsewhere(String),
    /// It cannot be reached.
    Unreachable(String),
    /// It refused for too long.
    TooBusy,
    /// A signal.
    Stopped,
    /// `--max-duration`.
    Time,
    /// The ledger.
    Storage,
    /// So many in a row may have been sent.
    InDoubt(Mail),
    /// The mail server refuses the sender, or everybody.
    MailRefuses(String),
    /// The mail server does not let its user log in.
    MailLogin(String),
    /// The mail server cannot be reached.
    MailUnreachable(String),
    /// The mail server takes nothing now.
    MailBusy(String),
}

impl Reason {
    /// Its stable name.
    pub const fn code(&self) -> Code {
        match self {
            Self::UserStandsInRow(_) | Self::AddressStandsInRow(_) => Code::RowDuplicate,
            Self::AcceptedBefore { .. } | Self::InvitedNotJoined => Code::SentBefore,
            Self::MayHaveBeenSent { .. } => Code::SentUnknown,
            Self::MayHaveBeenSentBefore { .. } => Code::UnknownBefore,
            Self::UnknownUser => Code::UserUnknown,
            Self::UnknownAddress => Code::AddressUnknown,
            Self::NotVisible => Code::UserHidden,
            Self::StatusNotLearned(_) => Code::StatusUnread,
            Self::AnotherUser => Code::UserOther,
            Self::AnotherAddress => Code::AddressOther,
            Self::IdAndAddressDisagree => Code::IdAddressMismatch,
            Self::Removed => Code::UserRemoved,
            Self::Disabled | Self::DisabledNotInvited => Code::UserDisabled,
            Self::NotJoined => Code::UserPending,
            Self::NotConfirmed => Code::UserUnconfirmed,
            Self::OddStatus => Code::UserStatus,
            Self::HasOtherRole { .. } => Code::UserRole,
            Self::GuestsAreNotInvited => Code::GuestByLink,
            Self::NotRecorded => Code::LedgerUnwritten,
            Self::Refused { next, .. } => match next {
                None => Code::Refused,
                Some(Advice::Sign) => Code::KeySignature,
                Some(Advice::OwnKey) => Code::KeyOwn,
                Some(Advice::LetThrough) => Code::PortalGate,
                Some(Advice::Scope) => Code::KeyScope,
                Some(Advice::LookAtKey) => Code::KeyText,
                Some(Advice::Pay) => Code::PortalUnpaid,
            },
            Self::MailRefused(_) => Code::MailRefused,
            Self::MailLater(_) => Code::MailLater,
            Self::MailMayHaveBeenSent(_) => Code::SentUnknown,
            Self::NotMade(_) => Code::MailUnmade,
            Self::NotSent(_) => Code::NotSent,
            Self::WouldBeSent => Code::DryRun,
            Self::RunEnded(stop) => stop.code(),
        }
    }

    /// Whether the portal will say the same again, since it is about the person: running again does not help.
    pub fn is_about_the_person(&self) -> bool {
        matches!(
            self,
            Self::UnknownUser
                | Self::UnknownAddress
                | Self::NotVisible
                | Self::AnotherUser
                | Self::AnotherAddress
                | Self::DisabledNotInvited
        )
    }

    /// The reason without the run and the time of it, so that rows group.
    #[must_use]
    pub fn without_occasion(&self) -> Cow<'_, Self> {
        match self {
            Self::MayHaveBeenSentBefore { mail, .. } => {
                Cow::Owned(Self::MayHaveBeenSent { mail: *mail, why: String::new() })
            }
            other => Cow::Borrowed(other),
        }
    }
}

impl Stop {
    /// Its stable name.
    pub const fn code(&self) -> Code {
        match self {
            Self::Early => Code::RunEnded,
            Self::RefusedAlike(_) => Code::RefusedAlike,
            Self::Limit => Code::LimitRun,
            Self::Daily => Code::QuotaDaily,
            Self::PortalsDaily => Code::QuotaPortal,
            Self::PortalsInvitations(_) => Code::QuotaInvitations,
            Self::NoTenant => Code::NoTenant,
            Self::KeyRefused => Code::KeyRefused,
            Self::Unpaid => Code::PortalUnpaid,
            Self::NotReached(_) => Code::PortalGate,
            Self::RefusedEverything(_) => Code::KeyForbidden,
            Self::FailsAtEverything(_) => Code::PortalFailing,
            Self::NoPortal => Code::PortalMissing,
            Self::NotAPortal => Code::PortalOther,
            Self::SentElsewhere(_) => Code::PortalMoved,
            Self::Unreachable(_) => Code::PortalUnreachable,
            Self::TooBusy => Code::PortalBusy,
            Self::Stopped => Code::Stopped,
            Self::Time => Code::LimitTime,
            Self::Storage => Code::LedgerUnwritten,
            Self::InDoubt(_) => Code::InDoubt,
            Self::MailRefuses(_) => Code::MailRefuses,
            Self::MailLogin(_) => Code::MailLogin,
            Self::MailUnreachable(_) => Code::MailUnreachable,
            Self::MailBusy(_) => Code::MailBusy,
        }
    }
}

fn may_have_been_sent(f: &mut fmt::Formatter<'_>, mail: Mail, why: &str, log: &str) -> fmt::Result {
    let what = match mail {
        Mail::Congratulation => "it may have been sent",
        Mail::Invitation => "the invitation may have been sent",
    };
    let colon = if why.is_empty() { "" } else { ": " };
    write!(
        f,
        "{what}{colon}{why}; ask the user or look at {log}, then `onboard settle`, or run again with \
         --retry-unknown"
    )
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserStandsInRow(row) => write!(f, "the user stands in row {row}"),
            Self::AddressStandsInRow(row) => write!(f, "the address stands in row {row}"),
            Self::AcceptedBefore { mail: Mail::Congratulation, at, run } => {
                write!(f, "accepted {} by run {run}", moment(*at))
            }
            Self::AcceptedBefore { mail: Mail::Invitation, at, run } => {
                write!(f, "invited {} by run {run}", moment(*at))
            }
            Self::MayHaveBeenSent { mail, why } => may_have_been_sent(f, *mail, why, "the portal's mail log"),
            Self::MayHaveBeenSentBefore { mail, why, at, run } => {
                may_have_been_sent(f, *mail, "", "the log of what sent it")?;
                write!(f, " (run {run}, {}: {why})", moment(*at))
            }
            Self::UnknownUser => f.write_str("the portal does not know this user (or the account was removed)"),
            Self::UnknownAddress => f.write_str("the portal knows nobody with this address"),
            Self::NotVisible => f.write_str("this key may not see the user"),
            Self::StatusNotLearned(why) => write!(f, "the status could not be learned: {why}"),
            Self::AnotherUser => f.write_str("the portal answered about another user; nothing was sent"),
            Self::AnotherAddress => f.write_str("the portal answered about another address; nothing was sent"),
            Self::IdAndAddressDisagree => {
                f.write_str("the user id and the e-mail address are not the same person's on the portal")
            }
            Self::Removed => f.write_str("the account was removed"),
            Self::Disabled => f.write_str("the account is disabled"),
            Self::DisabledNotInvited => f.write_str("the account is disabled; an administrator can enable it"),
            Self::NotJoined => f.write_str("invited, but has not joined yet"),
            Self::InvitedNotJoined => f.write_str("invited and has not joined; --resend invites again"),
            Self::NotConfirmed => f.write_str("has not confirmed the e-mail address yet"),
            Self::OddStatus => f.write_str("the account is neither enabled nor pending"),
            Self::HasOtherRole { is, wanted } => write!(f, "is {is} there, not {wanted}; change it in the portal"),
            Self::GuestsAreNotInvited => {
                f.write_str("the portal invites no guests by mail; give them the invitation link of a run")
            }
            Self::NotRecorded => f.write_str("its intent could not be recorded, so nothing was sent"),
            Self::Refused { said, next } => {
                f.write_str(said)?;
                match next {
                    None => Ok(()),
                    Some(Advice::Sign) => f.write_str("; the portal takes only signed keys: see --sign-with"),
                    Some(Advice::OwnKey) => {
                        f.write_str("; the row's own key was sent (column `key`), which the portal does not take")
                    }
                    Some(Advice::LetThrough) => f.write_str("; let this machine's requests through there"),
                    Some(Advice::Scope) => f.write_str("; the API key may lack the scope *:write"),
                    Some(Advice::LookAtKey) => {
                        f.write_str("; look at the congratulation key (--key, or the row's own)")
                    }
                    Some(Advice::Pay) => f.write_str("; the portal's plan is unpaid or its licence lapsed"),
                }
            }
            Self::MailRefused(said) => f.write_str(said),
            Self::MailLater(said) => write!(f, "{said}; it was tried as often as it may be (--retries)"),
            Self::MailMayHaveBeenSent(why) => write!(
                f,
                "it may have been sent: {why}; ask the user or look at the mail server's log, then `onboard settle`, or run \
                 again with --retry-unknown"
            ),
            Self::NotMade(why) => write!(f, "no mail can be made for this person: {why}"),
            Self::NotSent(why) => f.write_str(why),
            Self::WouldBeSent => f.write_str("would be sent"),
            Self::RunEnded(end) => end.fmt(f),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Early => f.write_str("the run stopped before this row"),
            Self::RefusedAlike(mail) => write!(f, "the portal refused the first {}s all alike", mail.noun()),
            Self::Limit => f.write_str("--limit was reached"),
            Self::Daily => f.write_str("the daily write limit was reached"),
            Self::PortalsDaily => f.write_str("the portal's daily write limit was reached"),
            Self::PortalsInvitations(said) => write!(f, "the portal takes no more invitations for now: {said}"),
            Self::NoTenant => {
                f.write_str("its key could not be signed: the portal does not tell its tenant number (give --tenant)")
            }
            Self::KeyRefused => f.write_str("the portal does not accept the key"),
            Self::Unpaid => f.write_str("the portal's plan is unpaid or its licence lapsed"),
            Self::NotReached(said) => write!(f, "the portal was not reached: {said}"),
            Self::RefusedEverything(said) => write!(f, "the portal refuses this key everything: {said}"),
            Self::FailsAtEverything(said) => write!(f, "the portal fails at everything: {said}"),
            Self::NoPortal => f.write_str("no DocSpace portal answers at this address, or it is suspended"),
            Self::NotAPortal => f.write_str("what answers at this address is not a DocSpace portal"),
            Self::SentElsewhere(host) => write!(f, "the portal sends requests elsewhere, to {host}"),
            Self::Unreachable(why) => write!(f, "the portal cannot be reached: {why}"),
            Self::TooBusy => f.write_str("the portal refused everything for too long"),
            Self::Stopped => f.write_str("the run was stopped before this row"),
            Self::Time => f.write_str("the run ended before this row, as --max-duration asks"),
            Self::Storage => f.write_str("the run stopped since its ledger could not be written"),
            Self::InDoubt(mail) => {
                write!(f, "the run stopped since nobody can say what became of the last {}s", mail.noun())
            }
            Self::MailRefuses(said) => write!(f, "the mail server takes nothing from this sender: {said}"),
            Self::MailLogin(said) => write!(f, "the mail server does not let its user log in: {said}"),
            Self::MailUnreachable(why) => write!(f, "the mail server cannot be reached: {why}"),
            Self::MailBusy(said) => write!(f, "the mail server takes nothing now: {said}"),
        }
    }
}

/// A row's reason, kept small: reasons that many rows share are stored once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Note {
    /// Nothing to say.
    #[default]
    None,
    /// The reason with this number.
    Reason(u32),
    /// It was accepted before: when (milliseconds since 1970), and by which run. A reason of its own for each row.
    AcceptedBefore {
        /// When.
        at_ms: i64,
        /// The number of the run.
        run: u32,
    },
}

/// The reasons of a run's notes.
#[derive(Debug)]
pub struct Notes {
    mail: Mail,
    reasons: Vec<Arc<Reason>>,
    numbers: HashMap<Arc<Reason>, u32>,
    runs: Vec<Arc<str>>,
}

impl Notes {
    /// No notes yet, of a run of this mail.
    pub fn new(mail: Mail) -> Self {
        Self { mail, reasons: Vec::new(), numbers: HashMap::new(), runs: Vec::new() }
    }

    /// The note with this reason.
    pub fn of(&mut self, reason: Reason) -> Note {
        if let Some(number) = self.numbers.get(&reason) {
            return Note::Reason(*number);
        }
        let number = u32::try_from(self.reasons.len()).unwrap_or(u32::MAX);
        let reason = Arc::new(reason);
        self.reasons.push(Arc::clone(&reason));
        self.numbers.insert(reason, number);
        Note::Reason(number)
    }

    /// The note of an earlier acceptance.
    pub fn accepted(&mut self, at: Timestamp, run: &Arc<str>) -> Note {
        // Whoever asks for many at once finds those of one run one after the other, or of few runs in turn.
        let known = self.runs.iter().rposition(|other| other == run);
        let number = known.unwrap_or_else(|| {
            self.runs.push(Arc::clone(run));
            self.runs.len() - 1
        });
        Note::AcceptedBefore { at_ms: at.as_millisecond(), run: u32::try_from(number).unwrap_or(u32::MAX) }
    }

    /// The reason of a note, if it has one.
    pub fn reason(&self, note: Note) -> Option<Cow<'_, Reason>> {
        let place = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        match note {
            Note::None => None,
            Note::Reason(number) => self.reasons.get(place(number)).map(|reason| Cow::Borrowed(&**reason)),
            Note::AcceptedBefore { at_ms, run } => {
                let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
                let run = self.runs.get(place(run)).cloned().unwrap_or_else(|| Arc::from(""));
                Some(Cow::Owned(Reason::AcceptedBefore { mail: self.mail, at, run }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_that_of_a_reason() {
        let (mail, run, text) = (Mail::Congratulation, Arc::<str>::from("r"), String::new);
        let refused = |next| Reason::Refused { said: String::new(), next };
        let advice = [Advice::Sign, Advice::OwnKey, Advice::LetThrough, Advice::Scope, Advice::LookAtKey, Advice::Pay];
        let stops = [
            Stop::Early,
            Stop::RefusedAlike(mail),
            Stop::Limit,
            Stop::Daily,
            Stop::PortalsDaily,
            Stop::PortalsInvitations(text()),
            Stop::NoTenant,
            Stop::KeyRefused,
            Stop::Unpaid,
            Stop::NotReached(text()),
            Stop::RefusedEverything(text()),
            Stop::FailsAtEverything(text()),
            Stop::NoPortal,
            Stop::NotAPortal,
            Stop::SentElsewhere(text()),
            Stop::Unreachable(text()),
            Stop::TooBusy,
            Stop::Stopped,
            Stop::Time,
            Stop::Storage,
            Stop::InDoubt(mail),
            Stop::MailRefuses(text()),
            Stop::MailLogin(text()),
            Stop::MailUnreachable(text()),
            Stop::MailBusy(text()),
        ];
        let reasons = [
            Reason::UserStandsInRow(1),
            Reason::AcceptedBefore { mail, at: Timestamp::UNIX_EPOCH, run: Arc::clone(&run) },
            Reason::MayHaveBeenSent { mail, why: text() },
            Reason::MayHaveBeenSentBefore { mail, why: text(), at: Timestamp::UNIX_EPOCH, run },
            Reason::UnknownUser,
            Reason::UnknownAddress,
            Reason::NotVisible,
            Reason::StatusNotLearned(text()),
            Reason::AnotherUser,
            Reason::AnotherAddress,
            Reason::IdAndAddressDisagree,
            Reason::Removed,
            Reason::Disabled,
            Reason::NotJoined,
            Reason::NotConfirmed,
            Reason::OddStatus,
            Reason::HasOtherRole { is: EmployeeType::User, wanted: EmployeeType::Guest },
            Reason::GuestsAreNotInvited,
            Reason::MailRefused(text()),
            Reason::MailLater(text()),
            Reason::MailMayHaveBeenSent(text()),
            Reason::NotMade(text()),
            Reason::NotSent(text()),
            Reason::WouldBeSent,
            refused(None),
        ];
        let reasons = reasons.into_iter().chain(advice.map(|next| refused(Some(next))));
        let reached: Vec<Code> = reasons.chain(stops.map(Reason::RunEnded)).map(|reason| reason.code()).collect();
        for code in Code::ALL {
            // A cell that cannot be used and a link that is not there have no reason of their own here.
            let elsewhere = [Code::RowInvalid, Code::NoLink].contains(code);
            assert!(reached.contains(code) != elsewhere, "{code:?}");
        }
    }

    #[test]
    fn reasons_that_rows_share_are_kept_once_and_shown_as_they_were() {
        let mut notes = Notes::new(Mail::Congratulation);
        let (one, other) =
            (notes.of(Reason::NotSent("it broke".into())), notes.of(Reason::NotSent("it was lost".into())));
        assert_eq!(notes.of(Reason::NotSent("it broke".into())), one);
        assert_ne!(one, other);
        let shown = |notes: &Notes, note| notes.reason(note).map(|reason| reason.to_string());
        assert_eq!((shown(&notes, one), shown(&notes, other)), (Some("it broke".into()), Some("it was lost".into())));
        assert_eq!(shown(&notes, Note::None), None);
        let run: Arc<str> = "r1".into();
        let accepted = notes.accepted(Timestamp::UNIX_EPOCH, &run);
        assert_eq!(notes.accepted(Timestamp::UNIX_EPOCH, &"r1".into()), accepted);
        let told = "accepted 1970-01-01 00:00:00 UTC by run r1";
        assert_eq!(shown(&notes, accepted).as_deref(), Some(told));
        assert_eq!((notes.reasons.len(), notes.runs.len()), (2, 1));
    }

    #[test]
    fn doubts_of_different_runs_group() {
        let earlier = |run: &str| Reason::MayHaveBeenSentBefore {
            mail: Mail::Congratulation,
            why: "it broke".into(),
            at: Timestamp::UNIX_EPOCH,
            run: run.into(),
        };
        assert_eq!(earlier("r1").without_occasion(), earlier("r2").without_occasion());
        assert!(earlier("r1").to_string().ends_with("(run r1, 1970-01-01 00:00:00 UTC: it broke)"));
    }
}
