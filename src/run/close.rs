//! The end of a run: its exit status, what is told of it, and what can be done about what went wrong.

use std::{collections::HashMap, io, time::Duration};

use jiff::Timestamp;

use crate::{
    attempt::Mail,
    code::Code,
    display::{Span, moment},
    exit::Exit,
    file::Target,
    mail,
    outcome::Outcome,
    report::{Attention, Reasons, Summary, Traffic},
    roster::Roster,
    seal::Seal,
    settings::{FailOn, Settings},
    signals::Signal,
    workflow::{Closed, Halt, Job, Manner},
};

/// The first that applies.
pub(super) fn exit(
    job: &Job<'_>,
    roster: &Roster,
    signal: Option<Signal>,
    storage_failed: bool,
    fail_on: &FailOn,
) -> Exit {
    let stopped = signal.map(|signal| match signal {
        Signal::Interrupt => Exit::Interrupted,
        Signal::Terminate | Signal::Hangup => Exit::Terminated,
    });
    let closed = job.closed().map(|closed| match closed {
        Closed::RefusedAlike(_) | Closed::NoTenant(_) | Closed::MailServer(_) => Exit::Portal,
        Closed::Limit | Closed::Daily | Closed::PortalsDaily(_) | Closed::PortalsInvitations(_) => Exit::Early,
    });
    let bad = fail_on.outcomes.iter().any(|outcome| job.tally().count(*outcome) > 0)
        || (fail_on.no_link && job.rows_without_link() > 0)
        || (fail_on.empty && roster.rows().is_empty());
    Exit::first_that_applies(
        [
            storage_failed.then_some(Exit::Storage),
            stopped,
            job.halted().map(|halt| if *halt == Halt::Time { Exit::Early } else { Exit::Portal }),
            closed,
            bad.then_some(Exit::Rows),
        ]
        .into_iter()
        .flatten(),
    )
}

/// Everything that the summary is made of.
pub(super) struct Closing<'a, 'r> {
    pub(super) job: &'a Job<'r>,
    pub(super) roster: &'a Roster,
    pub(super) settings: &'a Settings,
    pub(super) portal: String,
    pub(super) uses_api_key: bool,
    pub(super) run: uuid::Uuid,
    pub(super) traffic: Traffic,
    pub(super) started_at: Timestamp,
    pub(super) ended_at: Timestamp,
    pub(super) took: Duration,
    pub(super) exit: Exit,
    pub(super) target: &'a Target,
    pub(super) ledger: Option<String>,
    pub(super) seal: Option<Seal>,
    pub(super) trouble: Option<String>,
    pub(super) signal: Option<Signal>,
    pub(super) frees_at: Option<Timestamp>,
}

pub(super) fn summary(closing: Closing<'_, '_>) -> Summary {
    let stopped = stopped(&closing);
    let stopped_code = match (&closing.trouble, closing.signal) {
        (Some(_), _) => Some(Code::LedgerUnwritten),
        (None, Some(_)) => Some(Code::Stopped),
        (None, None) => closing.job.stop_code(),
    };
    let Closing { job, roster, settings, .. } = closing;
    let results = match closing.target {
        Target::Stdout => None,
        Target::Path(path) => Some(path.display().to_string()),
    };
    let tally = *job.tally();
    let left = [Outcome::Failed, Outcome::Rejected, Outcome::NotAttempted, Outcome::Invalid, Outcome::NotActive];
    let anything_left = !settings.sandbox && left.iter().any(|outcome| tally.count(*outcome) > 0);
    Summary {
        mail: settings.mail,
        carrier: settings.carrier(),
        run: closing.run.to_string(),
        portal: closing.portal,
        roster: settings.source.to_string(),
        results,
        ledger: closing.ledger,
        seal: closing.seal,
        started_at: closing.started_at,
        ended_at: closing.ended_at,
        took: closing.took,
        rows: u64::try_from(roster.rows().len()).unwrap_or(u64::MAX),
        carried_over: u64::try_from(roster.rows().len()).unwrap_or(u64::MAX).saturating_sub(tally.total()),
        outcomes: tally,
        without_link: job.rows_without_link(),
        traffic: closing.traffic,
        rate: settings.limits.rate.to_string(),
        exit_status: closing.exit.code(),
        would_send: job.would_send(),
        stopped,
        stopped_code,
        attention: attention(job, roster),
        go_on: settings.go_on.clone().filter(|_| anything_left),
    }
}

/// Rows that need a person, by reason.
fn attention(job: &Job<'_>, roster: &Roster) -> Vec<Attention> {
    let mut reasons = Reasons::default();
    for row in 0..roster.rows().len() {
        let Some(end) = job.end(row).filter(|end| end.outcome.needs_a_person()) else { continue };
        let text = match (end.outcome, &end.reason) {
            (Outcome::Invalid, _) if end.detail.is_empty() => "a cell that cannot be used".to_owned(),
            (Outcome::Unknown, Some(reason)) => reason.without_occasion().to_string(),
            _ => end.detail.clone().into_owned(),
        };
        let again = !end.reason.as_ref().is_some_and(|reason| reason.is_about_the_person());
        reasons.add(row, end.outcome, text, end.code(), again);
    }
    let mut groups = reasons.grouped();
    if roster.sheet().is_some() {
        let mut named: HashMap<u64, &mut Attention> = groups.iter_mut().map(|group| (group.example, group)).collect();
        let cells = roster.for_each(|number, _, record, problem| -> io::Result<()> {
            let number = u64::try_from(number).unwrap_or(u64::MAX) + 1;
            if let Some(group) = named.get_mut(&number) {
                group.cell = roster.in_sheet(record.line, problem.and_then(|problem| problem.column));
            }
            Ok(())
        });
        // Without its cell a row is still told by its number.
        drop(cells);
    }
    groups
}

/// Why the run ended before its rows did, and what can be done.
fn stopped(closing: &Closing<'_, '_>) -> Option<String> {
    let job = closing.job;
    if let Some(trouble) = &closing.trouble {
        return Some(format!(
            "Storage failed: {trouble}. Nothing was sent whose intent is not on record. Make room or mend it, then run \
             the same command again: it goes on from the ledger."
        ));
    }
    if closing.signal.is_some() {
        return Some(
            "Stopped as asked; what was in flight is recorded. The same command goes on from here.".to_owned(),
        );
    }
    if let Some(halt) = job.halted() {
        return Some(halted(halt, closing));
    }
    let noun = closing.settings.mail.noun();
    match job.closed() {
        Some(Closed::RefusedAlike(manner)) => Some(format!(
            "The portal refused the first {} {noun}s all alike, so no more were sent{}. {}",
            crate::workflow::ALIKE,
            if mail::needs(closing.settings.mail).links { "; links and statuses were still learned" } else { "" },
            refused_alike(*manner, closing)
        )),
        Some(Closed::MailServer(stop)) => Some(format!(
            "No more mails were sent; links and statuses were still learned. The cause: {stop}. {}",
            stop.code().next()
        )),
        Some(Closed::NoTenant(why)) => Some(format!(
            "The keys could not be signed, since the portal does not tell its tenant number ({why}). Give it with \
             --tenant; the first portal of a self-hosted install is normally 1."
        )),
        Some(Closed::Limit) => Some(format!(
            "Stopped after {} {noun}s, as --limit asks. The same command goes on with the next ones.",
            closing.settings.sending.limit.unwrap_or_default()
        )),
        Some(Closed::Daily) => Some(format!(
            "Stopped at the daily write limit ({} in any 24 hours, --daily-writes). {}",
            closing.settings.daily_writes,
            again_from(closing.frees_at)
        )),
        Some(Closed::PortalsDaily(wait)) => {
            let at = wait.and_then(|wait| closing.ended_at.checked_add(wait).ok());
            Some(format!("Stopped, since the portal says that its daily write limit is reached. {}", again_from(at)))
        }
        Some(Closed::PortalsInvitations(said)) => Some(format!(
            "Stopped, since the portal takes no more invitations for now: {said}. Its owner set that limit, mostly for a \
             day. {}",
            again_from(None)
        )),
        None => job
            .all_refused()
            .map(|manner| format!("Every {noun} was refused alike. {}", refused_alike(manner, closing))),
    }
}

fn again_from(at: Option<Timestamp>) -> String {
    match at {
        Some(at) => format!("Run the same command again from {} on; it goes on where this one stopped.", moment(at)),
        None => "Run the same command again tomorrow; it goes on where this one stopped.".to_owned(),
    }
}

fn halted(halt: &Halt, closing: &Closing<'_, '_>) -> String {
    let portal = &closing.portal;
    match halt {
        Halt::KeyRefused if closing.job.tally().count(Outcome::Sent) > 0 => format!(
            "{portal} does not accept the key any more (401), so the run stopped: it has expired or was switched off, or \
             its owner's account was disabled, while the run went{}. What was sent is on record; give a key that is \
             accepted, and run the same command again.",
            if closing.uses_api_key {
                ""
            } else {
                "; a token lasts only so long, and a login by POST /api/2.0/authentication gives a new one"
            }
        ),
        Halt::KeyRefused => format!(
            "{portal} does not accept the key (401), so the run stopped. It may be mistyped, expired or switched off, or \
             its owner's account disabled{}. Nothing but the first requests was spent; see the portal's settings, \
             Developer Tools, API keys.",
            if closing.uses_api_key { "" } else { "; a token must be the one of POST /api/2.0/authentication" }
        ),
        Halt::Unpaid => format!(
            "{portal} answers 402: its plan is unpaid or its licence lapsed, so it takes no requests. Settle that with \
             its owner, then run the same command again."
        ),
        Halt::Forbidden(fault) if fault.by_another() => format!(
            "{portal} was not reached: {fault}. The key was not looked at. Have this machine's requests let through there, \
             or run from where the portal itself answers."
        ),
        Halt::Forbidden(fault) => format!(
            "{portal} refuses this key everything ({fault}). The key may lack scopes (links and statuses need *:read or \
             *:write, congratulations *:write; accounts:read is not enough), its owner may not be an administrator, the \
             address list of the portal may not have this machine, or the portal is under maintenance."
        ),
        Halt::Failing(fault) => format!(
            "{portal} answers every question with an error of its own ({fault}), so the run stopped. It may be starting, \
             under maintenance, or broken: look at it in a browser, then run the same command again."
        ),
        Halt::NoPortal => format!(
            "{portal} answers 404 to everything: no DocSpace portal is at this address, or it is suspended. Check the \
             address; it is the one that people type into their browser."
        ),
        Halt::NotAPortal { why } => format!(
            "What answers at {portal} is not a DocSpace portal: it answered 200, but {why}. Check the address, and \
             whether a proxy or the login page of a network is in between."
        ),
        Halt::Redirected { host } => format!(
            "{portal} sends requests on to {host}. Redirects are not followed, since the key would go along: give the \
             final address with --portal."
        ),
        Halt::Unreachable(unreachable) if unreachable.answered_before => format!(
            "{portal} answered at first and could then not be reached for {} ({}), so the run stopped (--outage). Nobody \
             was charged for it: run the same command again when it is back.",
            Span(closing.settings.trouble.outage),
            unreachable.why
        ),
        Halt::Unreachable(unreachable) => format!(
            "{portal} cannot be reached: {}. Check the address and the network; nothing was sent.",
            unreachable.why
        ),
        Halt::InDoubt { why } => format!(
            "So many {}s in a row may have been sent that the run stopped: after the last of them a question was asked, \
             and the next one, sent alone, is in doubt too ({why}). Look at the {carrier}'s mail log, settle what is unknown \
             (`onboard settle`), and run the same command again when the {carrier} is well.",
            closing.settings.mail.noun(),
            carrier = closing.settings.carrier().noun()
        ),
        Halt::TooBusy { come_back_after } => match come_back_after {
            Some(wait) => format!(
                "{portal} asks to come back in {}. Run the same command again then; it goes on where this one stopped.",
                Span(*wait)
            ),
            None => format!(
                "{portal} refused everything for ten minutes: somebody else uses up its limits. Run the same command \
                 again later; it goes on where this one stopped."
            ),
        },
        Halt::Stopped => "Stopped as asked.".to_owned(),
        Halt::Time => format!(
            "Stopped after {}, as --max-duration asks; what was in flight is recorded. The same command goes on from here.",
            Span(closing.settings.trouble.end.map(|end| end.after).unwrap_or_default())
        ),
        Halt::Storage(why) => format!("Storage failed: {why}."),
    }
}

/// What an administrator can do where every congratulation is refused (`docspace-contract.md` §3.3, §4).
fn refused_alike(manner: Manner, closing: &Closing<'_, '_>) -> String {
    let (settings, uses_api_key) = (closing.settings, closing.uses_api_key);
    if settings.mail == Mail::Invitation {
        return match manner.status {
            403 if !manner.by_the_call => {
                "A gate before the call refused it: the API key may lack the scope accounts:write (or *:write), or a \
                 firewall is in between; the results say what was answered."
                    .to_owned()
            }
            403 => {
                "Inviting members may be switched off in the portal's settings, or this account may not invite them; the \
                 results say what was answered."
                    .to_owned()
            }
            status => format!("It answered {status} each time; the column invitation_detail of the results says more."),
        };
    }
    match (manner.status, manner.by_the_call) {
        (403, true) if settings.sending.sign_with.is_some() => {
            "The keys were signed, and the portal does not accept the signature: the machine key is not this portal's, \
             the tenant number is not (--tenant), or this machine's clock is off by more than an hour. `onboard doctor` \
             tells which."
                .to_owned()
        }
        (403, true) => {
            "A portal takes only keys that are signed with its machine key; a name like welcome_guest works on \
             stand-ins alone, whatever published examples say. Self-hosted: run again with --sign-with FILE, a file \
             that holds the machine key. It lies in /etc/onlyoffice/docspace/.private/machinekey (DEB and RPM \
             packages), in APP_CORE_MACHINEKEY of the Docker stack's .env, or in \
             /app/onlyoffice/data/.secrets/APP_CORE_MACHINEKEY (all-in-one image). Cloud: the vendor alone can sign, so \
             no congratulation can be sent; `onboard invite` sends the portal's own invitations, also again to people \
             who have not joined."
                .to_owned()
        }
        (403, false) if uses_api_key => {
            "A gate before the call refused it. Where the column detail tells of a web page, that was a firewall or a proxy \
             before the portal; else the API key may lack the scope *:write, which congratulations need. Make \
             a key with that scope in the portal's settings, Developer Tools, API keys."
                .to_owned()
        }
        (404, false) => "The call does not exist at this address, or the portal is suspended.".to_owned(),
        (status, _) => format!("It answered {status} each time; the column detail of the results says more."),
    }
}
