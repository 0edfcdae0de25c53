//! `onboard invite`: the portal's own invitations, to people who are not there yet.
//!
//! The portal's call is not atomic and may upgrade people who are there already (`docspace-contract.md` §7), so each
//! address is looked up first, and sent for alone: then its fate is certain. The ledger's promise is the same as for
//! congratulations: an intent is on disk before a byte leaves, and nobody is invited twice by us.

use std::{collections::HashMap, io, io::Write, path::PathBuf};

use anyhow::bail;
use reqwest::Method;

use crate::{
    access,
    attempt::{Ending, Held, LetGo, Mail},
    cli::InviteArgs,
    display::{count, moment},
    file::{Target, probe_place, write_whole},
    inquiry::Inquiry,
    ledger::{self, AttemptId, Intended, Intent, Ledger, LedgerError, Lock, Recorder, RunStart},
    portal::{Effect, ErrorBody, Fault, PAGE_SIZE, Person, PersonStatus, Wanted},
    roster::{Roster, RowState, Source},
    sheet::neutralise,
    signals::Signals,
    terminal::{
        Screen,
        ask::{ask, can_ask},
    },
    user::{Email, EmployeeType, UserId},
    who,
};

/// From so many addresses on, the listing is read in pages; below, each is looked up.
const WORTH_PAGES: usize = 30;

/// What became of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Invited,
    AlreadyInvited,
    AlreadyThere,
    Rejected,
    Failed,
    Unknown,
    NotAttempted,
    Invalid,
    Duplicate,
}

impl Fate {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::AlreadyInvited => "already_invited",
            Self::AlreadyThere => "already_there",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::NotAttempted => "not_attempted",
            Self::Invalid => "invalid",
            Self::Duplicate => "duplicate",
        }
    }
}

#[derive(Debug, Clone)]
struct End {
    fate: Fate,
    user: Option<UserId>,
    detail: String,
}

fn end(fate: Fate, detail: impl Into<String>) -> End {
    End { fate, user: None, detail: detail.into() }
}

/// Why the command ends before its rows do.
#[derive(Debug)]
enum Stop {
    Signal(u8),
    Portal(Fault),
    Limit(&'static str),
    Storage(LedgerError),
}

pub(super) fn execute(args: &InviteArgs, screen: &Screen) -> Result<u8, anyhow::Error> {
    let entry = access::entry(&args.portal.settings(), false)?;
    for remark in &entry.remarks {
        screen.say(&format!("warning: {remark}"));
    }
    let people = Roster::read(&args.people)?;
    if people.columns().email.is_none() {
        bail!("{} has no column `email`: invitations go to addresses", args.people);
    }
    if args.resend && !args.yes && !can_ask() {
        bail!(
            "--resend sends people a second invitation, so it needs --yes where nobody can be asked; nothing was sent"
        );
    }
    let target = target(args)?;
    let path = ledger::place(args.ledger.ledger.as_deref())?;
    if args.ledger.require_ledger && !path.exists() {
        return Err(LedgerError::Missing(path).into());
    }
    let purpose = format!("invite {}", args.people);
    let lock = Lock::wait_for(&path, &purpose, args.ledger.lock_timeout.0, |text| screen.say(text))?;
    let mut ledger = Ledger::open(&lock, args.ledger.require_ledger)?;
    ledger.recover()?;
    ledger.turn_to(&entry.address.origin(), &args.ledger.formerly)?;
    let used = ledger.used(Some(entry.account), args.limits.rate.window)?;
    if !is_wanted(args, &people, screen)? {
        screen.say("nothing was sent");
        return Ok(2);
    }
    ledger.begin_run(RunStart {
        id: uuid::Uuid::now_v7(),
        account: entry.account,
        command: "invite",
        roster: args.people.to_string(),
        roster_hash: people.sha256(),
        rows: people.rows().len(),
        who: who::who(),
    })?;
    let recorder = Recorder::start(ledger)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut job = Invitations {
        args,
        entry: &entry,
        people: &people,
        recorder: &recorder,
        inquiry: Inquiry::new(args.limits.limits(), &used.recent, 5, 1),
        left: args.limits.daily_writes.saturating_sub(used.daily),
        ends: vec![None; people.rows().len()],
    };
    let stop = runtime.block_on(job.run());
    let (ends, sent) = (job.ends, job.inquiry.sent());
    let (ledger, recorded) = runtime.block_on(recorder.finish());
    let stop = stop.err().or(recorded.err().map(Stop::Storage));
    let ends: Vec<End> = ends
        .into_iter()
        .map(|end| end.unwrap_or(self::end(Fate::NotAttempted, "the run stopped before this row")))
        .collect();
    let written = write(&people, &target, &ends);
    let status = status(stop.as_ref(), &ends, written.is_err());
    if let Some(mut ledger) = ledger
        && let Err(error) = ledger.end_run(status, sent, counts(&ends))
    {
        screen.say(&format!("the end of the run could not be recorded: {error}"));
    }
    if let Err(error) = written {
        screen.say(&format!("onboard: the results could not be written: {error}; the ledger knows who was invited"));
    }
    tell(&ends, stop.as_ref(), &target, &entry, screen);
    Ok(status)
}

fn target(args: &InviteArgs) -> Result<Target, anyhow::Error> {
    let target = match (&args.output, &args.people) {
        (Some(target), _) => target.0.clone(),
        (None, Source::Stdin) => Target::Path(PathBuf::from("onboard.results.csv")),
        (None, Source::Path(path)) => {
            let mut name = path.file_stem().unwrap_or_default().to_owned();
            name.push(".results.csv");
            Target::Path(path.with_file_name(name))
        }
    };
    if let Target::Path(path) = &target {
        if path.is_dir() {
            bail!("the results cannot go to {}: it is a directory", path.display());
        }
        let same = matches!(&args.people, Source::Path(people) if std::fs::canonicalize(people).ok().is_some_and(|people| {
            std::fs::canonicalize(path).ok() == Some(people)
        }));
        if same {
            bail!("the results would overwrite {}; name another file with -o", path.display());
        }
        probe_place(path)?;
    }
    Ok(target)
}

fn is_wanted(args: &InviteArgs, people: &Roster, screen: &Screen) -> Result<bool, anyhow::Error> {
    if args.yes || !can_ask() {
        return Ok(true);
    }
    let due = people.rows().iter().filter(|row| row.state == RowState::Valid).count();
    let question = format!(
        "{} may get the portal's invitation mail now. Go on? [y/N] ",
        count(due as u64, "address").replace("addresss", "addresses")
    );
    let answer = ask(screen, &question)?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

struct Invitations<'a> {
    args: &'a InviteArgs,
    entry: &'a access::Entry,
    people: &'a Roster,
    recorder: &'a Recorder,
    inquiry: Inquiry,
    /// Writes that are left of the day's.
    left: u64,
    ends: Vec<Option<End>>,
}

impl Invitations<'_> {
    async fn run(&mut self) -> Result<(), Stop> {
        let mut signals = Signals::listen().map_err(|error| Stop::Storage(LedgerError::Stopped(error.to_string())))?;
        let listed = self.listed().await?;
        let mut again = Vec::new();
        let mut invited = 0;
        for (number, row) in self.people.rows().iter().enumerate() {
            let stopped = tokio::select! {
                biased;
                signal = signals.next() => Some(signal.exit_status()),
                () = std::future::ready(()) => None,
            };
            if let Some(status) = stopped {
                return Err(Stop::Signal(status));
            }
            let settled = match (row.state, row.email, row.employee_type) {
                (RowState::Duplicate { of }, ..) => end(Fate::Duplicate, format!("the address stands in row {of}")),
                (RowState::Valid, Some(digest), Some(kind)) => {
                    let email = self.people.email(number).ok().flatten();
                    let Some(email) = email.filter(|email| email.digest() == digest) else {
                        self.put(number, end(Fate::Failed, "the address cannot be read again"));
                        continue;
                    };
                    let member = self.member(&email, listed.as_ref()).await?;
                    match standing(member.as_ref(), kind) {
                        Some(End { fate: Fate::AlreadyInvited, user, .. }) if self.args.resend => {
                            again.push((number, user, email));
                            continue;
                        }
                        Some(settled) => settled,
                        None if self.args.limit.is_some_and(|limit| invited >= limit) => {
                            return Err(Stop::Limit("--limit was reached"));
                        }
                        None => {
                            let settled = self.invite(&email, kind).await?;
                            invited += u64::from(matches!(settled.fate, Fate::Invited | Fate::Unknown));
                            settled
                        }
                    }
                }
                _ => end(Fate::Invalid, ""),
            };
            self.put(number, settled);
        }
        self.invite_again(again).await
    }

    fn put(&mut self, row: usize, settled: End) {
        if let Some(slot) = self.ends.get_mut(row) {
            *slot = Some(settled);
        }
    }

    /// Everybody, by address, where that takes fewer requests than asking for each.
    async fn listed(&mut self) -> Result<Option<HashMap<Email, Person>>, Stop> {
        if self.people.rows().len() < WORTH_PAGES {
            return Ok(None);
        }
        let portal = &self.entry.portal;
        match self.inquiry.everybody(portal, Wanted::Everything { status: None }).await {
            Ok(everybody) => {
                let by_email = |person: Person| person.email.clone().map(|email| (email, person));
                Ok(Some(everybody.people.into_iter().filter_map(by_email).collect()))
            }
            Err(Fault::Answered { status: 400 | 403, .. }) => Ok(None),
            Err(fault) => Err(Stop::Portal(fault)),
        }
    }

    /// Who has the address. Somebody whom the listing lacks is looked up before an invitation goes out.
    async fn member(&mut self, email: &Email, listed: Option<&HashMap<Email, Person>>) -> Result<Option<Person>, Stop> {
        if let Some(member) = listed.and_then(|listed| listed.get(email)) {
            return Ok(Some(member.clone()));
        }
        let portal = &self.entry.portal;
        match self.inquiry.ask(async || portal.person(email).await).await {
            Ok(member) => Ok(Some(member)),
            Err(Fault::Answered { status: 404, body: ErrorBody::Envelope { .. } }) => Ok(None),
            Err(fault) => Err(Stop::Portal(fault)),
        }
    }

    async fn invite(&mut self, email: &Email, kind: EmployeeType) -> Result<End, Stop> {
        if kind == EmployeeType::Guest {
            return Ok(end(
                Fate::Rejected,
                "the portal invites no guests by mail; give them the invitation link of a run",
            ));
        }
        let body = match &self.args.culture {
            Some(culture) => {
                serde_json::json!({ "invitations": [{ "email": email.as_str(), "type": kind }], "culture": culture })
            }
            None => serde_json::json!({ "invitations": [{ "email": email.as_str(), "type": kind }] }),
        };
        self.send(email, body.to_string()).await
    }

    /// The portal takes few of these calls (5 in 15 minutes), but many people in each: one fate for all of a call.
    async fn invite_again(&mut self, again: Vec<(usize, Option<UserId>, Email)>) -> Result<(), Stop> {
        for batch in again.chunks(PAGE_SIZE as usize) {
            let intents =
                batch.iter().map(|(_, _, email)| intent(email, LetGo { sent: true, unknown: true })).collect();
            let recorded = self.recorder.intend(intents).await.map_err(Stop::Storage)?;
            let open: Vec<_> = recorded
                .iter()
                .filter_map(|intended| match intended {
                    Intended::Open(attempt) => Some(*attempt),
                    Intended::Held(_) => None,
                })
                .collect();
            let ids: Vec<String> = batch.iter().filter_map(|(_, user, _)| user.map(|user| user.to_string())).collect();
            let body = serde_json::json!({ "userIds": ids, "resendAll": false }).to_string();
            let (settled, stop) = self.request(Method::PUT, body, &open).await;
            for (number, user, _) in batch {
                self.put(*number, End { user: *user, ..settled.clone() });
            }
            if let Some(stop) = stop {
                return Err(stop);
            }
        }
        Ok(())
    }

    /// One mail to one address: the intent, the request, the outcome.
    async fn send(&mut self, email: &Email, body: String) -> Result<End, Stop> {
        if self.left == 0 {
            return Err(Stop::Limit("the daily write limit was reached"));
        }
        let let_go = LetGo { sent: false, unknown: self.args.retry_unknown };
        let recorded = self.recorder.intend(vec![intent(email, let_go)]).await.map_err(Stop::Storage)?;
        let attempt = match recorded.first() {
            Some(Intended::Open(attempt)) => *attempt,
            Some(Intended::Held(Held::Sent { at, run })) => {
                return Ok(end(Fate::AlreadyInvited, format!("invited {} by run {run}", moment(*at))));
            }
            Some(Intended::Held(Held::Unknown { at, run, why: reason })) => {
                let at = moment(*at);
                let what = "the invitation may have been sent";
                return Ok(end(
                    Fate::Unknown,
                    format!("{what} {at} by run {run}: {reason}; ask, then --retry-unknown"),
                ));
            }
            None => return Err(Stop::Storage(LedgerError::Stopped("no answer to an intent".to_owned()))),
        };
        match self.request(Method::POST, body, &[attempt]).await {
            (_, Some(stop)) => Err(stop),
            (settled, None) => Ok(settled),
        }
    }

    /// One call, and what it makes of the attempts that it is about.
    async fn request(&mut self, method: Method, body: String, attempts: &[AttemptId]) -> (End, Option<Stop>) {
        let portal = &self.entry.portal;
        let submit = async || portal.submit(method.clone(), "/api/2.0/people/invite", body.clone()).await;
        let result = self.inquiry.send(submit).await;
        self.left = self.left.saturating_sub(1);
        let conclude = |ending: &Ending, http: Option<u16>| {
            for attempt in attempts {
                self.recorder.conclude(*attempt, ending.clone(), http);
            }
        };
        let Err(fault) = result else {
            conclude(&Ending::Sent, Some(200));
            return (end(Fate::Invited, ""), None);
        };
        let (reason, http) = (fault.to_string(), fault.status());
        let settled = match fault.effect() {
            Effect::Unknown => {
                conclude(&Ending::Unknown { why: reason.clone() }, http);
                end(Fate::Unknown, format!("the invitation may have been sent: {reason}; ask, then --retry-unknown"))
            }
            Effect::Rejected => {
                conclude(&Ending::NoEffect { counted: true, why: reason.clone() }, http);
                end(Fate::Rejected, reason)
            }
            Effect::NoneYet => {
                conclude(&Ending::NoEffect { counted: false, why: reason }, http);
                end(Fate::NotAttempted, "the run stopped before this row")
            }
        };
        let limit = Stop::Limit("the portal's limit of invitations was reached");
        let stop = match fault {
            Fault::Refused(_) | Fault::Answered { status: 400, body: ErrorBody::Validation } => Some(limit),
            Fault::NotSent { .. } | Fault::Redirected { .. } | Fault::Answered { status: 401 | 402, .. } => {
                Some(Stop::Portal(fault))
            }
            Fault::Lost(_) | Fault::Answered { .. } | Fault::Unreadable(_) => None,
        };
        (settled, stop)
    }
}

fn intent(email: &Email, let_go: LetGo) -> Intent {
    let digest = email.digest();
    Intent { mail: Mail::Invitation, subject: digest.0, email: Some(digest), let_go }
}

/// What the portal's own knowledge of somebody settles; `None` where an invitation is due.
fn standing(member: Option<&Person>, kind: EmployeeType) -> Option<End> {
    let member = member?;
    let mut settled = if member.status == Some(PersonStatus::Disabled) {
        end(Fate::Failed, "the account is disabled; an administrator can enable it")
    } else if member.is_pending() {
        end(Fate::AlreadyInvited, "invited and has not joined; --resend invites again")
    } else if member.role == kind {
        end(Fate::AlreadyThere, "")
    } else {
        end(Fate::AlreadyThere, format!("is {} there, not {kind}; change it in the portal", member.role))
    };
    settled.user = Some(member.id);
    Some(settled)
}

fn write(people: &Roster, target: &Target, ends: &[End]) -> io::Result<()> {
    let rows = |out: &mut dyn Write| -> io::Result<()> {
        let columns = people.columns();
        let mut writer = csv::Writer::from_writer(out);
        for name in ["user_id", "employee_type", "invitation", "invitation_detail"] {
            writer.write_field(name)?;
        }
        for (_, name) in &columns.passed {
            writer.write_field(neutralise(name).as_bytes())?;
        }
        writer.write_record(None::<&[u8]>)?;
        people.for_each(|number, row, record, problem| -> io::Result<()> {
            let Some(end) = ends.get(number) else { return Ok(()) };
            let user = end.user.or(row.user).map(|user| user.to_string()).unwrap_or_default();
            writer.write_field(user)?;
            let as_read = columns.employee_type.map_or("", |column| record.cell(column));
            let kind = row.employee_type.map_or_else(|| neutralise(as_read), |kind| kind.as_str().into());
            writer.write_field(kind.as_bytes())?;
            writer.write_field(end.fate.as_str())?;
            let detail = problem.map_or_else(|| end.detail.clone(), |problem| problem.line(record.line, columns));
            writer.write_field(neutralise(&detail).as_bytes())?;
            for (column, _) in &columns.passed {
                writer.write_field(neutralise(record.cell(*column)).as_bytes())?;
            }
            writer.write_record(None::<&[u8]>)?;
            Ok(())
        })?;
        writer.flush()
    };
    match target {
        Target::Stdout => rows(&mut io::stdout().lock()),
        Target::Path(path) => write_whole(path, rows),
    }
}

fn status(stop: Option<&Stop>, ends: &[End], unwritten: bool) -> u8 {
    let bad = [Fate::Rejected, Fate::Failed, Fate::Unknown, Fate::Invalid];
    match stop {
        _ if unwritten => 5,
        Some(Stop::Storage(_)) => 5,
        Some(Stop::Signal(status)) => *status,
        Some(Stop::Portal(_)) => 3,
        Some(Stop::Limit(_)) => 4,
        None => u8::from(ends.iter().any(|end| bad.contains(&end.fate))),
    }
}

/// Rows by what became of them.
fn counts(ends: &[End]) -> Vec<(&'static str, u64)> {
    let mut counts: Vec<(Fate, u64)> = Vec::new();
    for end in ends {
        match counts.iter_mut().find(|(fate, _)| *fate == end.fate) {
            Some((_, rows)) => *rows += 1,
            None => counts.push((end.fate, 1)),
        }
    }
    counts.sort_unstable();
    counts.into_iter().map(|(fate, rows)| (fate.as_str(), rows)).collect()
}

fn tell(ends: &[End], stop: Option<&Stop>, target: &Target, entry: &access::Entry, screen: &Screen) {
    let counts: Vec<String> = counts(ends).iter().map(|(fate, rows)| format!("{rows} {fate}")).collect();
    screen.say(&counts.join(", "));
    match stop {
        None => {}
        Some(Stop::Signal(_)) => screen.say("stopped as asked; the same command goes on from here"),
        Some(Stop::Portal(fault)) => {
            super::portal_fault(screen, &entry.address, fault);
        }
        Some(Stop::Limit(why)) => screen.say(&format!("stopped: {why}; the same command goes on from here later")),
        Some(Stop::Storage(error)) => {
            screen.say(&format!("onboard: storage failed: {error}; nothing was sent whose intent is not on record"));
        }
    }
    if let Target::Path(path) = target {
        screen.say(&format!("results  {}", path.display()));
    }
}
