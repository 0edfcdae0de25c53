//! Everything that has to be right before the first request leaves; whatever is wrong is found here.

use std::{
    fmt::Write,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use jiff::Timestamp;

use super::key::KeyMaker;
use crate::{
    access::{self, Entry},
    attempt::{Held, LetGo, Mail},
    display::{Grouped, Span, count, wrapped},
    file::{self, Target},
    ledger::{self, Elsewhere, Ledger, LedgerError, Lock, Whom},
    origin::Origin,
    pace::{Limits, Rate},
    plan::{Budget, Plan, Standing},
    portal::{Access, Portal},
    report::Events,
    results,
    roster::{Roster, RowState, Source, diagnostics},
    sandbox::{self, Sandbox},
    secret::Secret,
    settings::Settings,
    terminal::{
        Screen,
        ask::{ask, can_ask},
        colour_is_wanted,
    },
    user::UserId,
    workflow::{Policy, Wait},
};

/// On a terminal, a run that may send more messages than this asks first.
const FEW: u64 = 3;
/// The embedded portal of `--sandbox` answers in this time, so that there is something to see.
const SANDBOX_LATENCY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(60));
/// What a portal admits unless its owner changed it (`docspace-contract.md` §5).
const SHIPPED_PER_SECOND: f64 = 25.0;

/// A run that may start.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) roster: Roster,
    pub(super) target: Target,
    pub(super) portal: Portal,
    /// The portal's name, for people.
    pub(super) portal_name: String,
    pub(super) account: [u8; 8],
    pub(super) ledger: Ledger,
    /// Whether the ledger outlives the run.
    pub(super) ledger_is_kept: bool,
    /// Held until the run is over.
    pub(super) lock: Option<Lock>,
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) machine_key: Option<Secret>,
    pub(super) let_go: LetGo,
    pub(super) events: Option<Events>,
    /// Serves until the run is over.
    pub(super) sandbox: Option<Sandbox>,
}

impl Setup {
    pub(super) fn key_maker<'r>(roster: &'r Roster, literal: &str, machine_key: Option<Secret>) -> KeyMaker<'r> {
        KeyMaker { roster, literal: literal.to_owned(), machine_key }
    }
}

/// Whether a row is left as it was: its outcome is not among those asked for.
pub(super) fn is_carried(settings: &Settings, roster: &Roster, row: usize) -> bool {
    let only = &settings.selection.only;
    let previous = roster.rows().get(row).and_then(|row| row.previous);
    !only.is_empty() && previous.is_some_and(|outcome| !only.contains(&outcome))
}

/// What the ledger holds against congratulating a user, given what a person asked to let go.
pub(super) fn earlier(ledger: &Ledger, user: UserId, let_go: LetGo) -> Result<Option<Held>, LedgerError> {
    let mut found = None;
    ledger.held(Mail::Congratulation, std::iter::once(*user.as_bytes()), |_, held| found = Some(held))?;
    Ok(found.filter(|held| !let_go.covers(held)))
}

/// Makes a run ready. `None` where a person was asked and said no.
pub(super) fn prepare(settings: &Settings, quiet: bool, screen: &Screen) -> Result<Option<Setup>, anyhow::Error> {
    if !settings.sandbox && settings.portal.address.is_none() {
        return Err(access::NoAccess::NoPortal { may_be_sandbox: true }.into());
    }
    let target = target_of(settings)?;
    refuse_contradictions(settings, target.as_ref())?;
    let roster = Roster::read(&settings.source)?;
    let target = target.unwrap_or_else(|| default_target(&settings.source, roster.is_results()));
    look_at_roster(settings, &roster, quiet, screen)?;
    let roster_path = match &settings.source {
        Source::Path(path) => Some(path.as_path()),
        Source::Stdin => None,
    };
    results::probe(&target, roster_path, roster.is_results())?;
    let events = side_outputs(settings)?;
    let machine_key = settings.sending.sign_with.as_deref().map(|path| machine_key(path, screen)).transpose()?;
    let reached = if settings.sandbox {
        sandboxed(settings, &roster, machine_key.as_ref())?
    } else {
        let entry = access::entry(&settings.portal, true)?;
        for remark in &entry.remarks {
            screen.say(&format!("warning: {remark}"));
        }
        Reached::of(entry)
    };
    let Reached { mut portal, origin, name, account, sandbox } = reached;
    if let Some(machine_key) = &machine_key {
        portal = portal.masking(machine_key.clone());
    }
    say_rate(settings, screen);
    let given = ledger_given(settings);
    let (lock, mut ledger) = open_ledger(settings, given.as_deref(), screen)?;
    #[expect(clippy::disallowed_methods, reason = "the run's clock starts later; this is when the ledger is opened")]
    let now = Timestamp::now();
    if lock.is_some() {
        ledger.recover()?;
    }
    ledger.turn_to(&origin, &settings.ledger.formerly)?;
    if !settings.sandbox && !settings.ledger.other_portal {
        refuse_other_origin(settings, &roster, &ledger, &origin)?;
    }
    let let_go = LetGo { sent: settings.sending.again.sent, unknown: settings.sending.again.unknown };
    let used = ledger.used(Some(account), Duration::ZERO)?;
    let daily_left = settings.daily_writes.saturating_sub(used.daily);
    let budget = Budget {
        rate: settings.limits.rate,
        daily: settings.daily_writes,
        daily_left,
        frees_at: used.frees_in.and_then(|frees_in| now.checked_add(frees_in).ok()),
        limit: settings.sending.limit,
        portal_users: None,
        now,
    };
    if may_ask(settings)
        && let Some(question) = question(settings, &roster, &ledger, &budget, let_go, &name)?
        && !matches!(ask(screen, &question)?.to_lowercase().as_str(), "y" | "yes")
    {
        screen.say("nothing was sent");
        return Ok(None);
    }
    let policy = Policy {
        retries: settings.trouble.retries,
        outage: settings.trouble.outage,
        limit: settings.sending.limit,
        daily_left,
        wait: settings.trouble.wait.map(|at_most| Wait { at_most, poll: settings.trouble.poll }),
        refresh: settings.selection.refresh,
        needs_tenant: machine_key.is_some() && settings.sending.tenant.is_none(),
        seed: 0,
    };
    Ok(Some(Setup {
        roster,
        target,
        portal,
        portal_name: name,
        account,
        ledger,
        ledger_is_kept: lock.is_some(),
        lock,
        policy,
        limits: settings.limits,
        machine_key,
        let_go,
        sandbox,
        events,
    }))
}

// ---- options and roster ----

fn target_of(settings: &Settings) -> Result<Option<Target>, anyhow::Error> {
    let target = settings.output.clone();
    if matches!(&target, Some(Target::Path(path)) if path.as_os_str().is_empty()) {
        bail!("-o needs the path of a file, or - for standard output");
    }
    Ok(target)
}

fn refuse_contradictions(settings: &Settings, target: Option<&Target>) -> Result<(), anyhow::Error> {
    let summary_to_stdout = settings.sinks.summary_json == Some(Target::Stdout);
    if target == Some(&Target::Stdout) && summary_to_stdout {
        bail!("the results and the JSON summary cannot both go to standard output; give one of them a file");
    }
    if settings.sending.again.sent && !settings.sending.yes && !may_ask(settings) && !settings.sandbox {
        bail!(
            "--resend sends a second message to people who had one, so it needs --yes where nobody can be asked; \
             nothing was sent"
        );
    }
    Ok(())
}

/// `users.csv` gives `users.results.csv`; a results file itself; standard input `onboard.results.csv`.
fn default_target(source: &Source, is_results: bool) -> Target {
    Target::Path(match source {
        Source::Path(path) if is_results => path.clone(),
        Source::Path(path) => {
            let stem = path.file_stem().unwrap_or_default().to_owned();
            let mut name = stem;
            name.push(".results.csv");
            path.with_file_name(name)
        }
        Source::Stdin => PathBuf::from("onboard.results.csv"),
    })
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
    let create = |path: &PathBuf| Events::create(path).with_context(|| format!("{} cannot be written", path.display()));
    sinks.events.as_ref().map(create).transpose()
}

fn look_at_roster(settings: &Settings, roster: &Roster, quiet: bool, screen: &Screen) -> Result<(), anyhow::Error> {
    if let Some(warning) = roster.warning() {
        screen.say(&format!("warning: {warning}"));
    }
    if !settings.selection.only.is_empty() && !roster.is_results() {
        bail!("--only takes rows by their outcome, and {} is no results file; leave it off", settings.source);
    }
    let bad = roster
        .rows()
        .iter()
        .enumerate()
        .filter(|(number, row)| row.state == RowState::Invalid && !is_carried(settings, roster, *number))
        .count();
    if bad == 0 {
        return Ok(());
    }
    if !quiet || settings.selection.strict {
        let colour = io::stderr().is_terminal() && colour_is_wanted();
        let mut text = Vec::new();
        diagnostics::write(roster, &settings.source.to_string(), diagnostics::Format::Text { colour }, &mut text)?;
        screen.say(String::from_utf8_lossy(&text).trim_end());
    }
    let bad = count(u64::try_from(bad).unwrap_or(u64::MAX), "row");
    if settings.selection.strict {
        bail!("{bad} of {} cannot be used, and --strict stops the run there; nothing was sent", settings.source);
    }
    if !quiet {
        screen.say(&format!("{bad} cannot be used and cost no request; the others go on"));
    }
    Ok(())
}

fn machine_key(path: &Path, screen: &Screen) -> Result<Secret, anyhow::Error> {
    if let Some(warning) = access::warn_if_readable("machine key", path) {
        screen.say(&format!("warning: {warning}"));
    }
    Ok(Secret::read_machine_key(path)?)
}

fn say_rate(settings: &Settings, screen: &Screen) {
    let rate: Rate = settings.limits.rate;
    if !settings.sandbox && rate.per_second() > SHIPPED_PER_SECOND {
        screen.say(&format!(
            "note: {rate} is more than the 1500/min that a portal admits unless its owner raised it; what it refuses is \
             waited out"
        ));
    }
}

// ---- the portal ----

struct Reached {
    portal: Portal,
    origin: Origin,
    name: String,
    account: [u8; 8],
    sandbox: Option<Sandbox>,
}

impl Reached {
    fn of(entry: Entry) -> Self {
        let origin = entry.address.origin();
        Self { portal: entry.portal, name: origin.to_string(), origin, account: entry.account, sandbox: None }
    }
}

/// An embedded portal in which the roster's users exist, and which keeps the limits that the run is told of.
fn sandboxed(settings: &Settings, roster: &Roster, machine_key: Option<&Secret>) -> Result<Reached, anyhow::Error> {
    let users = sandbox::users_of(roster).context("the roster's copy cannot be read again")?;
    let window_ms = u64::try_from(settings.limits.rate.window.as_millis()).unwrap_or(u64::MAX);
    // Without rest after an answer the run is meant for a portal without this limiter.
    let in_flight = !settings.limits.hold_off.is_zero();
    let config = sandbox::Config {
        users,
        congratulation_key: settings.sending.key.clone(),
        row_keys: sandbox::keys_of(roster)?,
        machine_key: machine_key.map(|key| key.expose().to_owned()),
        limits: sandbox::Limits {
            window: Some((settings.limits.rate.requests, window_ms)),
            reads: in_flight.then_some(settings.limits.max_reads),
            writes: in_flight.then_some(settings.limits.max_writes),
            daily: None,
        },
        latency: SANDBOX_LATENCY,
        ..sandbox::Config::default()
    };
    let sandbox = Sandbox::start(config).context("the embedded portal cannot be started")?;
    let address = sandbox.origin().parse().context("the embedded portal has an odd address")?;
    let key = Secret::new("API key", sandbox.api_key().to_owned())?;
    let account = key.fingerprint();
    let timeout = settings.portal.timeout;
    let portal = Portal::new(Access { address, key, timeout, ca_file: None, proxy: None })?;
    let name = "the embedded portal".to_owned();
    Ok(Reached { portal, origin: Origin::of_sandbox(), name, account, sandbox: Some(sandbox) })
}

// ---- the ledger ----

/// The ledger that was asked for. With `--sandbox` only the command line counts: a ledger of real runs that the
/// environment or the settings file names has no business with it.
fn ledger_given(settings: &Settings) -> Option<PathBuf> {
    settings.ledger.place.clone().filter(|_| !settings.sandbox || settings.ledger.typed)
}

fn open_ledger(
    settings: &Settings,
    given: Option<&Path>,
    screen: &Screen,
) -> Result<(Option<Lock>, Ledger), anyhow::Error> {
    if settings.sandbox && given.is_none() {
        return Ok((None, Ledger::temporary()?));
    }
    let path = ledger::place(given)?;
    if settings.ledger.must_exist && !path.exists() {
        return Err(LedgerError::Missing(path).into());
    }
    let purpose = format!("run {}", settings.source);
    let lock = Lock::wait_for(&path, &purpose, settings.ledger.wait_for, |text| screen.say(text))?;
    let ledger = Ledger::open(&lock, settings.ledger.must_exist)?;
    Ok((Some(lock), ledger))
}

/// Records under another address may be this portal's: then going on would congratulate people twice.
fn refuse_other_origin(
    settings: &Settings,
    roster: &Roster,
    ledger: &Ledger,
    origin: &Origin,
) -> Result<(), anyhow::Error> {
    let valid = || {
        let rows = roster.rows().iter().enumerate();
        rows.filter(|(number, row)| row.state == RowState::Valid && !is_carried(settings, roster, *number))
    };
    let users = valid().filter_map(|(_, row)| row.user).map(|user| *user.as_bytes());
    let emails = valid().filter_map(|(_, row)| row.email);
    if let Some(Elsewhere { origin: other, whom, position }) = ledger.elsewhere(Mail::Congratulation, users, emails)? {
        let who = match whom {
            Whom::Subject(user) => format!("user {}", UserId::from_bytes(user)),
            // The ledger has no address, and the roster's cells are read again for nothing else.
            Whom::Email(_) => {
                let row = valid().filter(|(_, row)| row.email.is_some()).nth(position);
                format!("the address in row {}", row.map_or(0, |(number, _)| number + 1))
            }
        };
        bail!(
            "the ledger knows {who} of this roster under {other}, and this run is for {origin}. If that is the \
             same portal under its earlier address, add --formerly {other}, so that nobody is congratulated twice; if \
             it is another portal, add --other-portal. Nothing was sent"
        );
    }
    Ok(())
}

// ---- the question ----

fn may_ask(settings: &Settings) -> bool {
    !settings.sending.yes && !settings.sandbox && can_ask()
}

/// The plan in a few lines, and the question; none where so few are due that it would be a nuisance.
fn question(
    settings: &Settings,
    roster: &Roster,
    ledger: &Ledger,
    budget: &Budget,
    let_go: LetGo,
    portal: &str,
) -> Result<Option<String>, anyhow::Error> {
    let plan = Plan::make(
        roster.rows(),
        budget,
        |row| is_carried(settings, roster, row),
        |user| {
            Ok::<_, LedgerError>(earlier(ledger, user, let_go)?.map(|earlier| match earlier {
                Held::Sent { .. } => Standing::Sent,
                Held::Unknown { .. } => Standing::Unknown,
            }))
        },
    )?;
    if plan.requests.messages.most <= FEW && !settings.sending.again.sent {
        return Ok(None);
    }
    let mut text = String::new();
    let people = count(plan.requests.messages.most, "person").replace("persons", "people");
    writeln!(text, "{people} on {portal} may get a message now, those who are active.")?;
    writeln!(
        text,
        "{} were congratulated before, {} may have been; they get none.",
        Grouped(plan.rows.already_sent),
        Grouped(plan.rows.unknown)
    )?;
    writeln!(text, "It takes about {} at the portal's limits.", Span(plan.duration().max(Duration::from_secs(1))))?;
    if settings.sending.again.sent {
        writeln!(text, "--resend: people who were congratulated before get the same message a second time.")?;
    }
    if !ledger.used(None, Duration::ZERO)?.ever_sent {
        let mail = "The message is the portal's own welcome mail for administrators, in the user's language, whoever gets \
                    it; on some portals it carries a link to change the password. Nothing else can be chosen, and it \
                    cannot be taken back. To see it first, congratulate yourself: a roster of one row, or --limit 1.";
        writeln!(text, "\n{}\n", wrapped(mail, usize::from(Screen::width()), ""))?;
    }
    write!(text, "Go on? [y/N] ")?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_go_beside_the_roster() {
        let target = |text: &str, is_results| default_target(&text.parse().expect("infallible"), is_results);
        assert_eq!(target("dir/users.csv", false), Target::Path("dir/users.results.csv".into()));
        assert_eq!(target("users", false), Target::Path("users.results.csv".into()));
        assert_eq!(target("users.results.csv", true), Target::Path("users.results.csv".into()));
        assert_eq!(target("-", false), Target::Path("onboard.results.csv".into()));
    }
}
