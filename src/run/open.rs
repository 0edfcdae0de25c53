//! Everything that has to be right before the first request leaves; whatever is wrong is found here. Roster and ledger are
//! opened, what is due is decided, and nothing is sent.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use jiff::Timestamp;

use super::{
    Telling,
    bind::{self, Bound, Holds},
    own::{self, Own},
    reach::{Reached, reach},
    record,
};
use crate::{
    access,
    attempt::{Held, LetGo, Mail},
    display::{count, shown_path},
    file::{self, Target},
    ledger::{self, Ledger, LedgerError, Lock},
    mail::needs,
    origin::{Origin, PortalAddress},
    pace::{Mails, Moment},
    plan::{Budget, Forecast, Plan, bound::PlanFile},
    portal::Portal,
    report::Events,
    results,
    roster::{Roster, Row, RowState, Source, diagnostics},
    sandbox::Sandbox,
    secret::Secret,
    settings::Settings,
    smtp::Mailer,
    split::Tied,
};

/// What a portal admits unless its owner changed it (`docspace-contract.md` §5).
const SHIPPED_PER_SECOND: f64 = 25.0;

/// A run that may start.
#[derive(Debug)]
pub struct Opened {
    /// The rows.
    pub roster: Roster,
    /// What is due, decided.
    pub plan: Plan,
    /// The same in figures.
    pub forecast: Forecast,
    /// What is left of the limits.
    pub budget: Budget,
    /// Whether this portal ever accepted anything.
    pub ever_sent: bool,
    /// The portal's name, for people.
    pub portal_name: String,
    /// The message of one's own, where there is one.
    pub own: Option<Own>,
    pub(super) mailer: Option<Mailer>,
    pub(super) target: Target,
    pub(super) portal: Portal,
    pub(super) account: [u8; 8],
    pub(super) origin: Origin,
    pub(super) ledger: Ledger,
    /// Held until the run is over; none for a ledger that is thrown away.
    pub(super) lock: Option<Lock>,
    pub(super) machine_key: Option<Secret>,
    pub(super) events: Option<Events>,
    /// The plan that is carried out, which holds.
    pub(super) bound: Option<Bound>,
    /// Serves until the run is over.
    pub(super) sandbox: Option<Sandbox>,
}

/// What a run would do, as far as can be told without a portal.
#[derive(Debug)]
pub struct Foreseen {
    /// The rows.
    pub roster: Roster,
    /// What is due, in figures.
    pub forecast: Forecast,
    /// What is left of the limits.
    pub budget: Budget,
    /// Whether there was a ledger to look at.
    pub knows_ledger: bool,
    /// Whether the day's writes are those of this key's account, as against everybody's.
    pub knows_account: bool,
    plan: Plan,
    holds: Holds,
    origin: Option<Origin>,
    account: Option<[u8; 8]>,
    ledger: Option<Ledger>,
    own: Option<Own>,
}

impl Foreseen {
    /// The plan that a run with these settings is bound to, once it is approved.
    pub fn to_bind(&self, settings: &Settings) -> Result<PlanFile, anyhow::Error> {
        let Some(origin) = &self.origin else {
            bail!("a plan that is carried out later names its portal; give it with --portal URL (or ONBOARD_PORTAL)");
        };
        let decided = bind::Decided {
            roster: &self.roster,
            plan: &self.plan,
            holds: &self.holds,
            origin,
            account: self.account,
            ledger: self.ledger.as_ref(),
            own: self.own.as_ref(),
            now: self.budget.now,
        };
        Ok(PlanFile::of(bind::content(settings, &decided)?))
    }
}

/// Whether a row is left as it was: its outcome is not among those asked for.
fn is_carried(settings: &Settings, roster: &Roster, row: usize) -> bool {
    let only = &settings.selection.only;
    let previous = roster.rows().get(row).and_then(|row| row.previous);
    !only.is_empty() && previous.is_some_and(|outcome| !only.contains(&outcome))
}

/// Which earlier attempts a person asked to let go.
pub(super) fn let_go(settings: &Settings) -> LetGo {
    LetGo { sent: settings.sending.again.sent, unknown: settings.sending.again.unknown }
}

/// Makes a run ready. An error means that it cannot start; nothing was sent.
pub fn open(settings: &Settings, telling: &mut Telling<'_>) -> Result<Opened, anyhow::Error> {
    let tied = Tied::of(&settings.source)?;
    if !settings.sandbox && settings.portal.address.is_none() {
        tied.none_given()?;
        let may_be_sandbox = settings.mail == Mail::Congratulation;
        return Err(access::NoAccess::NoPortal { may_be_sandbox }.into());
    }
    refuse_contradictions(settings)?;
    let bound = Bound::of(settings)?;
    let roster = read(settings, &tied)?;
    // Results are CSV, and would not be a workbook in its place.
    let is_results = roster.is_results() && roster.sheet().is_none() && settings.mail == Mail::Congratulation;
    let target = settings.output.clone().unwrap_or_else(|| {
        if settings.dry_run {
            Target::Path(results_of_dry_run(&settings.source))
        } else {
            default_target(&settings.source, is_results)
        }
    });
    look_at_roster(settings, &roster, telling)?;
    let mut own = Own::read(settings, &roster)?;
    let roster_path = match &settings.source {
        Source::Path(path) => Some(path.as_path()),
        Source::Stdin => None,
    };
    results::probe(settings.mail, &target, roster_path, is_results)?;
    let events = side_outputs(settings)?;
    // A message of one's own has no key to be signed.
    let sign_with = settings.sending.sign_with.as_deref().filter(|_| own.is_none());
    let machine_key = sign_with.map(|path| machine_key(path, telling)).transpose()?;
    let Reached { portal, origin, name, account, sandbox } = reach(settings, &roster, machine_key.as_ref(), telling)?;
    if let Some(bound) = &bound {
        // Before the ledger is opened, which knows a portal's other address by another name.
        bound.check_terms(settings, own.as_ref(), &origin, account)?;
    }
    let mail_server = sandbox.as_ref().map(Sandbox::mail_server);
    let mailer = match &settings.own {
        Some(own) => own::mailer(settings, own, mail_server.as_deref(), telling)?,
        None => None,
    };
    say_rate(settings, telling);
    let (lock, mut ledger) = record::open(settings, &origin, telling)?;
    // A dry run records nothing but the requests that it used; an intent of a dead run is unknown to it all the same.
    if lock.is_some() && !settings.dry_run {
        ledger.recover()?;
    }
    if ledger.is_elsewhere() {
        // Nothing is written before the session begins, and what is decided now is decided again then.
        ledger.look_at(&origin, &settings.ledger.formerly)?;
    } else {
        ledger.turn_to(&origin, &settings.ledger.formerly)?;
    }
    let used = ledger.used(Some(account), Duration::ZERO)?;
    let budget = budget(settings, &used, own.as_ref());
    let sender = Sender { origin: &origin, account, bound: bound.as_ref() };
    let plan = decide_bound(settings, &roster, &ledger, sender, own.as_ref(), budget.now)?;
    if let Some(own) = &mut own {
        own.take_in(&roster, &plan)?;
    }
    say_old(&plan, &budget, telling);
    let forecast = with_mails(settings, plan.forecast(roster.rows(), &budget), Some(&ledger))?;
    refuse_too_many(settings, &forecast)?;
    Ok(Opened {
        roster,
        plan,
        forecast,
        budget,
        ever_sent: used.ever_sent,
        portal_name: name,
        own,
        mailer,
        target,
        portal,
        account,
        origin,
        ledger,
        lock,
        machine_key,
        events,
        bound,
        sandbox,
    })
}

/// Looks at what a run would do, without touching the network or writing anything. The same is decided as in [`open()`].
pub fn foresee(
    settings: &Settings,
    portal_users: Option<u64>,
    telling: &mut Telling<'_>,
) -> Result<Foreseen, anyhow::Error> {
    let roster = read(settings, &Tied::of(&settings.source)?)?;
    roster.said_aloud().for_each(|line| (telling.say)(&line));
    refuse_unusable(settings, &roster)?;
    settings.own.as_ref().map_or(Ok(()), own::refuse_beside)?;
    let mut own = Own::read(settings, &roster)?;
    let origin = settings.portal.address.as_ref().map(PortalAddress::origin);
    let ledger = match &origin {
        Some(origin) => record::look(settings, origin, telling)?,
        None => None,
    };
    // A key that cannot be had says nothing about the plan: then the writes of all accounts count.
    let account = access::key(&settings.portal.key).ok().map(|(key, _)| key.fingerprint());
    let used = match &ledger {
        Some(ledger) => ledger.used(account, Duration::ZERO)?,
        None => ledger::Use { daily: 0, frees_in: None, recent: Vec::new(), ever_sent: false },
    };
    let budget = Budget { portal_users, ..budget(settings, &used, own.as_ref()) };
    let planned_for = origin.clone().unwrap_or_else(Origin::of_sandbox);
    let (plan, holds) = decide(settings, &roster, ledger.as_ref(), &planned_for, &BTreeSet::new())?;
    if let Some(own) = &mut own {
        own.take_in(&roster, &plan)?;
    }
    say_old(&plan, &budget, telling);
    let forecast = with_mails(settings, plan.forecast(roster.rows(), &budget), ledger.as_ref())?;
    refuse_too_many(settings, &forecast)?;
    let (knows_ledger, knows_account) = (ledger.is_some(), account.is_some());
    Ok(Foreseen { roster, forecast, budget, knows_ledger, knows_account, plan, holds, origin, account, ledger, own })
}

/// To which portal, by which account and under which plan something is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'s> {
    pub(super) origin: &'s Origin,
    pub(super) account: [u8; 8],
    pub(super) bound: Option<&'s Bound>,
}

/// Decides again what is due, since others may have written the ledger until this session began. More messages than
/// before are more than anybody agreed to.
pub(super) fn decide_again(
    settings: &Settings,
    roster: &Roster,
    ledger: &Ledger,
    sender: Sender<'_>,
    agreed: &Forecast,
    own: Option<&mut Own>,
) -> Result<(Plan, Budget), anyhow::Error> {
    record::check_seal(settings, ledger)?;
    let used = ledger.used(Some(sender.account), Duration::ZERO)?;
    let budget = budget(settings, &used, own.as_deref());
    let plan = decide_bound(settings, roster, ledger, sender, own.as_deref(), budget.now)?;
    if let Some(own) = own {
        own.take_in(roster, &plan)?;
    }
    let forecast = with_mails(settings, plan.forecast(roster.rows(), &budget), Some(ledger))?;
    refuse_too_many(settings, &forecast)?;
    let (before, now) = (agreed.requests.messages.most, forecast.requests.messages.most);
    if now > before && !settings.dry_run {
        bail!(
            "while this run waited for the ledger, another one changed it: {} may get a message now, and it was {} before. \
             Nothing was sent; run again to see the new plan",
            count(now, "person").replace("persons", "people"),
            before
        );
    }
    Ok((plan, budget))
}

/// Decides what is due, and refuses it where a plan binds to something else.
fn decide_bound(
    settings: &Settings,
    roster: &Roster,
    ledger: &Ledger,
    Sender { origin, account, bound }: Sender<'_>,
    own: Option<&Own>,
    now: Timestamp,
) -> Result<Plan, anyhow::Error> {
    let of_this_plan = bound.map(|bound| ledger.runs_of_plan(&bound.hash())).transpose()?.unwrap_or_default();
    let (plan, holds) = decide(settings, roster, Some(ledger), origin, &of_this_plan)?;
    if let Some(bound) = bound {
        let (plan, holds, account, ledger) = (&plan, &holds, Some(account), Some(ledger));
        bound.check(settings, &bind::Decided { roster, plan, holds, origin, account, ledger, own, now })?;
    }
    Ok(plan)
}

/// The one place in which it is decided what is due; and what the ledger holds of these people. What runs of the plan
/// that is carried out have sent is `own`, and is never sent again by it.
fn decide(
    settings: &Settings,
    roster: &Roster,
    ledger: Option<&Ledger>,
    origin: &Origin,
    own: &BTreeSet<String>,
) -> Result<(Plan, Holds), anyhow::Error> {
    if let Some(ledger) = ledger.filter(|_| !settings.sandbox && !settings.ledger.other_portal) {
        let valid = |row: usize, entry: &Row| entry.state == RowState::Valid && !is_carried(settings, roster, row);
        let rows = roster.rows().iter().enumerate().filter(|(row, entry)| valid(*row, entry));
        record::refuse_other_origin(settings.mail, &rows, ledger, origin)?;
    }
    let carried = |row| is_carried(settings, roster, row);
    let asked = let_go(settings);
    let mut holds = Holds::new();
    let let_go = |row: u32, held: &Held| {
        let hold = bind::hold(held);
        let is_own = own.contains(&hold.run);
        holds.push((row, hold));
        asked.covers(held) && !is_own
    };
    let plan = Plan::decide(settings.mail, roster.rows(), carried, let_go, |subjects, found| match ledger {
        Some(ledger) => ledger.held(settings.mail, subjects, found),
        None => Ok(()),
    })?;
    Ok((plan, holds))
}

/// Somebody may have taken the wrong file; then nothing is sent, and whoever is new waits for a mail in vain.
fn say_old(plan: &Plan, budget: &Budget, telling: &mut Telling<'_>) {
    if let Some(old) = plan.old(budget.now) {
        (telling.say)(&format!("warning: {old}"));
    }
}

/// A guard for where nobody is asked: a roster that grew overnight is looked at first.
fn refuse_too_many(settings: &Settings, forecast: &Forecast) -> Result<(), anyhow::Error> {
    let may = forecast.requests.messages.most;
    let Some(at_most) = settings.sending.at_most.filter(|at_most| may > *at_most) else { return Ok(()) };
    bail!(
        "{} may become due, and --at-most allows {}; nothing was sent. Look at it with `onboard plan`, then raise it, or \
         take fewer with --limit",
        count(may, "message"),
        crate::display::Grouped(at_most)
    )
}

#[expect(clippy::disallowed_methods, reason = "a plan is made for now; the run's own clock starts later")]
fn budget(settings: &Settings, used: &ledger::Use, own: Option<&Own>) -> Budget {
    let now = Timestamp::now();
    let base = Budget {
        rate: settings.limits.rate,
        daily: settings.daily_writes,
        daily_left: settings.daily_writes.saturating_sub(used.daily),
        frees_at: used.frees_in.and_then(|frees_in| now.checked_add(frees_in).ok()),
        limit: settings.sending.limit,
        by_mail: own.map(|own| own.needs().culture),
        portal_users: None,
        now,
    };
    // What goes by a mail server is no write of the portal's.
    let unlimited = Budget { daily: u64::MAX, daily_left: u64::MAX, frees_at: None, ..base };
    if own.is_some() { unlimited } else { base }
}

/// The mail server's limits, from now on.
pub(super) fn mails(settings: &Settings, ledger: Option<&Ledger>) -> Result<Option<Mails>, LedgerError> {
    let Some(own) = &settings.own else { return Ok(None) };
    let longest = own.rates.iter().map(|rate| rate.window).max().unwrap_or_default();
    let recent = ledger.map(|ledger| ledger.mails_within(longest)).transpose()?.unwrap_or_default();
    // The sandbox's mail server takes as many as come.
    let rates = if settings.sandbox { &[] } else { own.rates.as_slice() };
    Ok(Some(Mails::new(rates, &recent, own.connections)))
}

/// How long it takes where the mail server's limits are what takes longest.
fn with_mails(settings: &Settings, forecast: Forecast, ledger: Option<&Ledger>) -> Result<Forecast, LedgerError> {
    let Some(mails) = mails(settings, ledger)? else { return Ok(forecast) };
    let takes = mails.forecast(forecast.requests.messages.most, Moment::START);
    if takes <= forecast.duration() {
        return Ok(forecast);
    }
    Ok(Forecast { windows: forecast.windows.max(1), minutes: takes.as_secs_f64() / 60.0, ..forecast })
}

// ---- options and roster ----

/// Reads the roster; one that `split` made is its portal's alone. The embedded portal is nobody's.
fn read(settings: &Settings, tied: &Tied<'_>) -> Result<Roster, anyhow::Error> {
    if !settings.sandbox {
        tied.check(settings.portal.address.as_ref().map(PortalAddress::origin).as_ref())?;
    }
    let roster = Roster::read_as(&settings.source, &tied.reading(&settings.reading))?;
    tied.check_rows(&roster)?;
    Ok(roster)
}

fn refuse_contradictions(settings: &Settings) -> Result<(), anyhow::Error> {
    if matches!(&settings.output, Some(Target::Path(path)) if path.as_os_str().is_empty()) {
        bail!("-o needs the path of a file, or - for standard output");
    }
    own::refuse_contradictions(settings)?;
    let summary_to_stdout = settings.sinks.summary_json == Some(Target::Stdout);
    if settings.output == Some(Target::Stdout) && summary_to_stdout {
        bail!("the results and the JSON summary cannot both go to standard output; give one of them a file");
    }
    Ok(())
}

/// What of a roster is no roster for this run, whatever its rows say.
fn refuse_unusable(settings: &Settings, roster: &Roster) -> Result<(), anyhow::Error> {
    roster.is_for_one_portal()?;
    if needs(settings.mail).by_address && roster.columns().email.is_none() {
        let guess = roster.guessed_addresses()?;
        bail!("{} has no column `email`, and invitations go to addresses{guess}", settings.source);
    }
    if !settings.selection.only.is_empty() && !roster.is_results() {
        bail!("--only takes rows by their outcome, and {} is no results file; leave it off", settings.source);
    }
    Ok(())
}

/// `users.csv` gives `users.results.csv`, and so does a workbook that `users.results.csv` was saved as; a results file
/// itself; standard input `onboard.results.csv`.
fn default_target(source: &Source, is_results: bool) -> Target {
    Target::Path(match source {
        Source::Path(path) if is_results => path.clone(),
        Source::Path(path) => {
            let stem = path.file_stem().unwrap_or_default();
            let is_of_results = Path::new(stem).extension().is_some_and(|end| end.eq_ignore_ascii_case("results"));
            let is_csv = path.extension().is_none_or(|end| end.eq_ignore_ascii_case("csv"));
            let mut name = stem.to_owned();
            name.push(if is_of_results && !is_csv { ".csv" } else { ".results.csv" });
            path.with_file_name(name)
        }
        Source::Stdin => PathBuf::from("onboard.results.csv"),
    })
}

/// Where the results of a dry run go, beside the roster: never to those of a run, which say more.
pub fn results_of_dry_run(source: &Source) -> PathBuf {
    let Source::Path(path) = source else { return PathBuf::from("onboard.dry-run.csv") };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem = [".results", ".dry-run"].iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(&stem);
    path.with_file_name(format!("{stem}.dry-run.csv"))
}

/// Whatever else is to be written can be; events are written from the start.
fn side_outputs(settings: &Settings) -> Result<Option<Events>, anyhow::Error> {
    let sinks = &settings.sinks;
    let summary = sinks.summary_json.as_ref().and_then(|target| match target {
        Target::Path(path) => Some(path),
        Target::Stdout => None,
    });
    for path in [sinks.report.as_ref(), sinks.junit.as_ref(), sinks.events.as_ref(), summary].into_iter().flatten() {
        file::probe_place(path)?;
    }
    let create =
        |path: &PathBuf| Events::create(path).with_context(|| format!("{} cannot be written", shown_path(path)));
    sinks.events.as_ref().map(create).transpose()
}

fn look_at_roster(settings: &Settings, roster: &Roster, telling: &mut Telling<'_>) -> Result<(), anyhow::Error> {
    for warning in roster.warnings() {
        (telling.say)(&format!("warning: {warning}"));
    }
    refuse_unusable(settings, roster)?;
    let bad = roster
        .rows()
        .iter()
        .enumerate()
        .filter(|(number, row)| row.state == RowState::Invalid && !is_carried(settings, roster, *number))
        .count();
    if bad == 0 {
        return Ok(());
    }
    if !telling.quiet || settings.selection.strict {
        let format = diagnostics::Format::Text { colour: telling.colour };
        let mut text = Vec::new();
        diagnostics::write(roster, &settings.source.to_string(), format, &mut text)?;
        (telling.say)(String::from_utf8_lossy(&text).trim_end());
    }
    let bad = count(u64::try_from(bad).unwrap_or(u64::MAX), "row");
    if settings.selection.strict {
        bail!("{bad} of {} cannot be used, and --strict stops the run there; nothing was sent", settings.source);
    }
    if !telling.quiet {
        (telling.say)(&format!("{bad} cannot be used and cost no request; the others go on"));
    }
    Ok(())
}

fn machine_key(path: &Path, telling: &mut Telling<'_>) -> Result<Secret, anyhow::Error> {
    if let Some(warning) = access::warn_if_readable("machine key", path) {
        (telling.say)(&format!("warning: {warning}"));
    }
    Ok(Secret::read_machine_key(path)?)
}

fn say_rate(settings: &Settings, telling: &mut Telling<'_>) {
    let rate = settings.limits.rate;
    if !settings.sandbox && rate.per_second() > SHIPPED_PER_SECOND {
        (telling.say)(&format!(
            "note: {rate} is more than the 1500/min that a portal admits unless its owner raised it; what it refuses is \
             waited out"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_go_beside_the_roster() {
        let target = |text: &str, is_results| default_target(&text.parse().expect("infallible"), is_results);
        assert_eq!(target("dir/users.csv", false), Target::Path("dir/users.results.csv".into()));
        assert_eq!(target("users", false), Target::Path("users.results.csv".into()));
        assert_eq!(target("users.results.xlsx", false), Target::Path("users.results.csv".into()));
        assert_eq!(target("users.results.csv", false), Target::Path("users.results.results.csv".into()));
        assert_eq!(target("users.results.csv", true), Target::Path("users.results.csv".into()));
        assert_eq!(target("-", false), Target::Path("onboard.results.csv".into()));
    }

    #[test]
    fn results_of_a_dry_run_go_beside_the_roster_and_never_to_those_of_a_run() {
        let target = |text: &str| results_of_dry_run(&text.parse().expect("infallible"));
        for (roster, results) in [
            ("dir/users.csv", "dir/users.dry-run.csv"),
            ("users", "users.dry-run.csv"),
            ("users.xlsx", "users.dry-run.csv"),
            ("users.results.csv", "users.dry-run.csv"),
            ("users.dry-run.csv", "users.dry-run.csv"),
            ("-", "onboard.dry-run.csv"),
        ] {
            assert_eq!(target(roster), PathBuf::from(results), "{roster}");
        }
    }
}
