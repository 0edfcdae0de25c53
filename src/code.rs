//! The stable names of reasons, for machines and for whoever asks what one means. A name is never changed or reused.

/// What is to be known of a reason: its name, what happened, what was and was not sent, and what to do.
macro_rules! codes {
    ($($code:ident $name:literal: $happened:literal, $sent:ident, $next:literal;)*) => {
        /// Why a row, or a run, ended as it did.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $happened] $code,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// What happened.
            pub const fn happened(self) -> &'static str {
                match self { $(Self::$code => $happened,)* }
            }

            /// What was sent, and what was not.
            pub const fn sent(self) -> &'static str {
                match self { $(Self::$code => $sent,)* }
            }

            /// What to do.
            pub const fn next(self) -> &'static str {
                match self { $(Self::$code => $next,)* }
            }
        }
    };
}

const NOTHING: &str = "Nothing was sent to this person by this run.";
const MAYBE: &str = "The message may have been sent: it left, or was about to, and nobody can say what became of it. Nothing \
                     is sent again by itself.";
const BEFORE: &str = "It was sent by an earlier run; this one sent nothing.";
const REST: &str = "What was sent before is on record; to the rows with this code nothing was sent.";
const ALL_BUT_LINK: &str = "The message is another matter: the columns of the row say what became of it.";

codes! {
    RowInvalid "row_invalid": "The row cannot be used: a cell in it is wrong or missing.", NOTHING,
        "Mend the row; `onboard check` shows each cell. The next run takes it.";
    RowDuplicate "row_duplicate": "The same person stands in an earlier row.", NOTHING,
        "Nothing: the earlier row tells what became of the message.";
    SentBefore "sent_before": "An earlier run had the message accepted.", BEFORE,
        "Nothing; --resend would send a second one.";
    SentUnknown "sent_unknown": "The request left in this run, and its answer never came or said nothing certain.", MAYBE,
        "Ask the person or look at the log of what sends the mails, then `onboard settle USER --as sent` or `--as not-sent`.";
    UnknownBefore "unknown_before": "In an earlier run nobody could say whether the message was sent.", MAYBE,
        "Ask the person or look at the log of what sends the mails, then `onboard settle`; --retry-unknown sends it again.";
    UserUnknown "user_unknown": "The portal knows no user with this id, or the account was removed.", NOTHING,
        "Look the id up (`onboard export` writes a roster from the portal), and check that the portal is the right one.";
    AddressUnknown "address_unknown": "The portal knows nobody with this address.", NOTHING,
        "Correct the address, or invite the person with `onboard invite`.";
    UserHidden "user_hidden": "The portal does not show this user to the key.", NOTHING,
        "Use the key of an administrator who may see everybody; `onboard doctor` checks it.";
    StatusUnread "status_unread": "The person's status could not be learned, after all tries.", NOTHING,
        "Run again; what is settled is not done again.";
    UserOther "user_other": "The portal answered about another user than the one asked for.", NOTHING,
        "Look for a proxy or a cache between here and the portal, and run again.";
    AddressOther "address_other": "The portal answered about another address than the one asked for.", NOTHING,
        "Look for a proxy or a cache between here and the portal, and run again.";
    IdAddressMismatch "id_address_mismatch": "The row's user id and its address are of two different people.", NOTHING,
        "Correct one of the two in the roster, or remove it.";
    UserRemoved "user_removed": "The account was removed.", NOTHING, "Take the row out of the roster.";
    UserDisabled "user_disabled": "The account is disabled.", NOTHING,
        "An administrator can enable it in the portal; the next run looks again.";
    UserPending "user_pending": "The person was invited and has not joined yet.", NOTHING,
        "Nothing: a later run looks again. `onboard invite --resend` sends the invitation again.";
    UserUnconfirmed "user_unconfirmed": "The person has not confirmed the e-mail address yet.", NOTHING,
        "Nothing: a later run looks again, or --wait looks until they have.";
    UserStatus "user_status": "The account is neither enabled nor pending.", NOTHING,
        "Look at the account in the portal.";
    UserRole "user_role": "The person is there already, with another role than the roster's.", NOTHING,
        "Change the role in the portal, or the type in the roster.";
    GuestByLink "guest_by_link": "The portal invites no guests by mail.", NOTHING,
        "Give them the invitation link that `onboard run` writes.";
    LedgerUnwritten "ledger_unwritten": "The intent, or what followed, could not be written to the ledger.", REST,
        "Make room or mend the storage, and run the same command again: it goes on from the ledger.";
    Refused "refused": "The portal refused the message.", NOTHING, "The row's detail has the portal's own words.";
    KeySignature "key_signature": "The portal takes only congratulation keys that are signed with its machine key.", NOTHING,
        "Run again with --sign-with; only who hosts the portal has that key.";
    KeyOwn "key_own": "The row's own key (column `key`) was sent, and the portal does not take it.", NOTHING,
        "Remove the key from the row, or write the right one.";
    KeyText "key_text": "The portal does not like the congratulation key's text.", NOTHING,
        "Look at --key, or the row's own key.";
    KeyScope "key_scope": "A gate before the call refused it: the API key lacks a scope.", NOTHING,
        "Make a key with *:write, and accounts:write for invitations; `onboard doctor` checks it.";
    PortalUnpaid "portal_unpaid": "The portal's plan is unpaid, or its licence lapsed (402).", REST,
        "Settle that with the portal's owner, and run again.";
    PortalGate "portal_gate": "A firewall, a proxy or a login page answered instead of the portal.", REST,
        "Have this machine's requests let through there.";
    NotSent "not_sent": "The message certainly did not leave or had no effect, after all tries.", NOTHING,
        "Run again; what is settled is not done again.";
    MailRefused "mail_refused": "The mail server refused the message for good (5xx).", NOTHING,
        "The row's detail has the server's own words; mostly the mailbox does not exist or takes no mail. Then run again.";
    MailLater "mail_later": "The mail server would not take the message yet (4xx), after all tries.", NOTHING,
        "Run again; what is settled is not done again.";
    MailUnmade "mail_unmade": "A value that the message fills in is missing or cannot stand there, so no mail was made.", NOTHING,
        "The row's detail names it: complete it in the portal or the roster, or take it out of the message, and run again.";
    MailRefuses "mail_refuses": "The mail server takes nothing from this sender, or from anybody.", REST,
        "Have whoever runs the mail server let this user send from this address; `onboard doctor --smtp` looks. Then run again.";
    MailLogin "mail_login": "The mail server does not let its user log in.", REST,
        "Check user and password; many providers want one of its own for a program. `onboard doctor --smtp` looks.";
    MailUnreachable "mail_unreachable": "The mail server cannot be reached.", REST,
        "Check host, port and scheme; `onboard doctor --smtp` looks. Then run the same command again.";
    MailBusy "mail_busy": "The mail server takes nothing now, and was waited for as long as it may be.", REST,
        "Run the same command again later: it goes on here.";
    DryRun "dry_run": "This was a dry run (--dry-run), in which nothing is sent; a run would send it now.", NOTHING,
        "Run the same command without --dry-run.";
    NoLink "no_link": "The invitation link of the row's employee type could not be learned.", ALL_BUT_LINK,
        "Run again: every run asks for the links it needs.";
    RunEnded "run_ended": "The run ended before this row's turn.", REST, "Run the same command again: it goes on here.";
    RefusedAlike "refused_alike": "The portal refused the first messages all alike, so no more were tried.", REST,
        "Mend what the rejected rows tell, and run again.";
    LimitRun "limit_run": "--limit was reached.", REST, "Run the same command again: it takes the next ones.";
    LimitTime "limit_time": "The time that the run was given (--max-duration) was over.", REST,
        "Run the same command again: it goes on here.";
    QuotaDaily "quota_daily": "The daily write limit (--daily-writes) was reached.", REST,
        "Run the same command again when the day's writes are free; the summary says when.";
    QuotaPortal "quota_portal": "The portal says that its own limit of a day is reached.", REST,
        "Run the same command again when the portal takes more; the summary says when.";
    QuotaInvitations "quota_invitations": "The portal takes no more invitations for now, as its owner set it.", REST,
        "Run again tomorrow, or have its owner raise the limit.";
    NoTenant "no_tenant": "The key could not be signed: the portal does not tell its tenant number.", REST,
        "Give it with --tenant; the first portal of an installation is normally 1.";
    KeyRefused "key_refused": "The portal does not accept the API key (401).", REST,
        "Give a key that is accepted: it may be mistyped, expired or switched off.";
    KeyForbidden "key_forbidden": "The portal refuses this key every question.", REST,
        "Use an administrator's key with *:read and *:write; `onboard doctor` tells what is missing.";
    PortalFailing "portal_failing": "The portal answers every question with an error of its own.", REST,
        "Look at it in a browser, and run the same command again when it is well.";
    PortalMissing "portal_missing": "No DocSpace portal answers at the address, or it is suspended.", REST,
        "Check the address: it is the one that people type into their browser.";
    PortalOther "portal_other": "What answers at the address is no DocSpace portal.", REST,
        "Check the address, and whether a proxy or a login page is in between.";
    PortalMoved "portal_moved": "The portal sends requests on to another address, which are not followed.", REST,
        "Give the final address with --portal, and the old one with --formerly.";
    PortalUnreachable "portal_unreachable": "The portal cannot be reached.", REST,
        "Check the address and the network, and run the same command again.";
    PortalBusy "portal_busy": "The portal refused everything for too long: somebody else uses up its limits.", REST,
        "Run the same command again later.";
    Stopped "stopped": "Somebody stopped the run (Ctrl-C, or SIGTERM).", REST,
        "Run the same command again: it goes on here.";
    InDoubt "in_doubt": "So many messages in a row may have been sent that the run stopped (--max-unknown).", REST,
        "Look at the log of what sends the mails, settle what is unknown, and run again when that is well.";
}

impl Code {
    /// The code of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own_and_all_its_texts() {
        let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.as_str().chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{code:?}");
            assert_eq!(Code::named(code.as_str()), Some(*code));
            for text in [code.happened(), code.sent(), code.next()] {
                assert!(text.ends_with('.'), "{code:?}: {text}");
            }
        }
        assert_eq!(Code::named("nothing"), None);
    }
}
