//! A run of any mail: [`open()`] reads and opens everything and decides what is due, [`Opened::carry_out`] does it, and
//! what became of it is told. Whoever is asked in between decides whether.
//!
//! This is the composition root: the only place that knows roster, ledger, portal, pace, workflow and results at once.

mod bind;
mod clock;
mod close;
pub mod drive;
mod observer;
mod open;
mod outputs;
mod own;
mod reach;
mod record;
mod telling;
mod wire;

use std::io;

use jiff::Timestamp;
use tracing::Instrument;

use self::{
    bind::Bound,
    clock::Stopwatch,
    drive::{Clock, Drive, Record},
    open::Sender,
    own::{Own, Post},
    wire::Carrier,
};
pub use self::{
    bind::read_plan,
    observer::Observer,
    open::{Foreseen, Opened, foresee, open, results_of_dry_run},
    outputs::not_started_on_github,
    record::OutOfTime,
    telling::Telling,
};
use crate::{
    attempt::{Ending, Mail},
    audience::Audience,
    exit::Exit,
    ledger::{AttemptId, BY_MAIL, DRY_RUN, Intended, Intent, Ledger, LedgerError, Recorder, RunStart, SessionStart},
    mail::word,
    outcome::Outcome,
    pace::{Moment, Pace},
    plan::{Budget, Forecast, Plan},
    report::Summary,
    results,
    roster::Roster,
    sandbox::Sandbox,
    seal::Seal,
    settings::Settings,
    signals::{Signal, Signals},
    workflow::{Closed, Halt, Job, Patience, Policy},
};

/// What became of a run.
#[derive(Debug)]
pub struct Ended {
    /// The exit status.
    pub exit: Exit,
    /// What is told of it.
    pub summary: Summary,
    /// What could not be written besides the results, which are whole.
    pub unwritten: Vec<String>,
    /// What is said to GitHub Actions, where it runs this.
    pub github: Vec<String>,
    /// The embedded portal, which serves until this is dropped.
    pub sandbox: Option<Sandbox>,
}

impl Record for Recorder {
    fn intend(&self, intents: Vec<Intent>) -> impl Future<Output = Result<Vec<Intended>, LedgerError>> {
        Self::intend(self, intents)
    }

    fn conclude(&self, attempt: AttemptId, ending: Ending, http: Option<u16>) -> Timestamp {
        Self::conclude(self, attempt, ending, http)
    }

    fn reserve(&self, upto: u64) -> impl Future<Output = Result<(), LedgerError>> {
        Self::reserve(self, upto)
    }
}

impl Opened {
    /// Does what is due. An error means that it could not begin; nothing was sent.
    #[expect(clippy::too_many_lines, reason = "a run from end to end, one step after another, each in its own module")]
    pub fn carry_out(self, settings: &Settings, audience: &mut dyn Audience) -> Result<Ended, anyhow::Error> {
        let Self { roster, plan, budget, forecast, target, portal, portal_name, account, origin, mut ledger, .. } =
            self;
        // The lock and the embedded portal live until the run is over.
        let Self { lock, machine_key, events, bound, sandbox, mut own, mailer, .. } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = uuid::Uuid::now_v7();
        let seed = run.as_u64_pair().1;
        let mail = settings.mail;
        let start = beginning(run, account, settings, &roster, bound.as_ref());
        let (plan, budget) = if ledger.is_elsewhere() {
            let sender = Sender { origin: &origin, account, bound: bound.as_ref() };
            let run = Beginning { settings, roster: &roster, sender, agreed: &forecast };
            run.begin_elsewhere(&mut ledger, start, own.as_mut(), |text| audience.say(text))?
        } else {
            ledger.begin_run(start)?;
            (plan, budget)
        };
        let recent = ledger.used(Some(account), settings.limits.rate.window)?.recent;
        let ledger_name = (lock.is_some() || ledger.is_elsewhere()).then(|| ledger.name());
        // Nothing leaves while another session may have begun.
        let (portal, mailer) = match ledger.lease() {
            Some(lease) => (portal.guarded_by(lease.clone()), mailer.map(|mailer| mailer.guarded_by(lease))),
            None => (portal, mailer),
        };
        let mut mails = open::mails(settings, Some(&ledger))?;
        let recorder = Recorder::start(ledger)?;
        // From here on Ctrl-C lets what is in flight finish.
        let clock = Stopwatch::start();
        let start = clock.stamp();
        let policy =
            Policy { ends_at: ends_at(settings, start.now), ..policy(settings, budget.daily_left, own.as_ref(), seed) };
        let mut job = Job::new(roster.rows(), plan, policy, start);
        let mut pace = Pace::new(settings.limits, &recent, seed);
        let mut observer = Observer::new(audience, mail, settings.limits.rate, events);
        observer.started(&run.to_string(), &portal_name, roster.rows().len(), start);
        observer.settled(&mut job, start);
        let address = portal_address(settings, sandbox.as_ref());
        let post = own.as_ref().map(|own| Post::new(own, &roster, &address, run, mailer.as_ref()));
        let wire = Carrier {
            post: post.as_ref(),
            mail,
            portal: &portal,
            roster: &roster,
            key: &settings.sending.key,
            machine_key: machine_key.as_ref(),
            culture: settings.sending.culture.as_deref(),
        };
        let drive = Drive {
            job: &mut job,
            pace: &mut pace,
            mails: mails.as_mut(),
            wire: &wire,
            record: &recorder,
            clock: &clock,
            observer: &mut observer,
            mail,
            let_go: open::let_go(settings),
            tenant: settings.sending.tenant,
        };
        // Every line of the log names the run.
        let span = tracing::info_span!("run", id = %run);
        let driven = runtime.block_on(
            async {
                let mut signals = std::pin::pin!(Signals::listen()?.into_stream());
                Ok::<Option<Signal>, io::Error>(drive.run(&mut signals).await)
            }
            .instrument(span),
        );
        if let Some(mailer) = &mailer {
            runtime.block_on(mailer.close());
        }
        let end = clock.stamp();
        job.conclude(end);
        observer.settled(&mut job, end);
        let (traffic, events) = observer.finish();
        let (ledger, recorded) = runtime.block_on(recorder.finish());
        // The connections that are kept open end with it: what is written now may need their file handles.
        drop(runtime);
        let signal = driven?;
        let no_links = settings.sinks.no_links;
        let written = results::write(mail, &roster, &target, |row| {
            let end = job.end(row)?;
            Some(if no_links { crate::outcome::RowEnd { link: "", ..end } } else { end })
        });
        let trouble = storage_trouble(&job, &recorded, &written);
        let exit = close::exit(&job, &roster, signal, trouble.is_some(), &settings.selection.fail_on);
        let mut previewed = match post.as_ref().filter(|_| settings.dry_run) {
            Some(post) => outputs::preview(settings.sinks.preview.as_deref(), &job, post, &roster, end),
            None => outputs::Previewed::default(),
        };
        // As a run would end.
        let fails = previewed.unmade > 0 && settings.selection.fail_on.outcomes.contains(&Outcome::Failed);
        let exit = if exit == Exit::Clean && fails { Exit::Rows } else { exit };
        // The day's writes are gone through only where somebody is told of them.
        let frees_at = ledger
            .as_ref()
            .filter(|_| job.closed() == Some(&Closed::Daily))
            .and_then(|ledger| ledger.used(Some(account), std::time::Duration::ZERO).ok())
            .and_then(|used| end.wall.checked_add(used.frees_in?).ok());
        let mut unwritten = previewed.told();
        let mut seal = None;
        if let Some(ledger) = ledger.filter(|_| recorded.is_ok()) {
            let counts = job.tally().occurred().map(|(outcome, rows)| (word(mail, outcome), rows));
            match end_run(ledger, exit, traffic.sent(), counts) {
                Ok(head) => seal = Some(head).filter(|_| ledger_name.is_some()),
                Err(error) => unwritten.push(format!("the end of the run could not be recorded: {error}")),
            }
        }
        let are_whole = trouble.is_none();
        let mut summary = close::summary(close::Closing {
            job: &job,
            roster: &roster,
            settings,
            portal: portal_name,
            uses_api_key: portal.uses_api_key(),
            run,
            traffic,
            started_at: start.wall,
            ended_at: end.wall,
            took: end.now.since_start(),
            exit,
            target: &target,
            ledger: ledger_name,
            seal,
            trouble,
            signal,
            frees_at,
        });
        // Whoever reads them relies on them; a job's summary is a courtesy.
        let mut lost = outputs::write(&mut summary, &job, &roster, settings, events, end.wall);
        lost.extend(previewed.lost);
        let exit = if lost.is_empty() { exit } else { Exit::Storage };
        let rest = if are_whole { "; the results and the ledger are whole" } else { "" };
        unwritten.extend(lost.into_iter().map(|what| format!("{what}{rest}")));
        let github = outputs::tell_github(&summary, &job, &roster, settings);
        Ok(Ended { exit, summary, unwritten, github, sandbox })
    }
}

/// Records how the run ended, and says where the ledger stands then.
fn end_run(
    mut ledger: Ledger,
    exit: Exit,
    requests: u64,
    counts: impl Iterator<Item = (&'static str, u64)>,
) -> Result<Seal, LedgerError> {
    ledger.end_run(exit.code(), requests, counts)?;
    let seal = ledger.seal()?;
    ledger.close()?;
    Ok(seal)
}

/// A run on a ledger elsewhere, about to begin its session.
struct Beginning<'o> {
    settings: &'o Settings,
    roster: &'o Roster,
    sender: Sender<'o>,
    /// What whoever was asked has agreed to.
    agreed: &'o Forecast,
}

impl Beginning<'_> {
    /// Begins the session, and decides again what is due by what the ledger holds then.
    fn begin_elsewhere(
        &self,
        ledger: &mut Ledger,
        start: RunStart,
        own: Option<&mut Own>,
        say: impl FnMut(&str),
    ) -> Result<(Plan, Budget), anyhow::Error> {
        let Self { settings, roster, sender, agreed } = *self;
        let origins = Some((sender.origin, settings.ledger.formerly.as_slice()));
        ledger
            .begin_session(&SessionStart::Run(start), origins, record::may_wait(settings), say)
            .map_err(|error| record::in_time(settings, error))?;
        let recovered = if settings.dry_run { Ok(()) } else { ledger.recover().map(drop) };
        let again = recovered
            .map_err(anyhow::Error::from)
            .and_then(|()| open::decide_again(settings, roster, ledger, sender, agreed, own));
        if again.is_err() {
            // Every way out of a session ends it, or the next run would wait for this one.
            ledger.end_run(Exit::NotStarted.code(), 0, [("not_attempted", 0)])?;
        }
        again
    }
}

/// What the ledger is told of a run that begins.
fn beginning(
    id: uuid::Uuid,
    account: [u8; 8],
    settings: &Settings,
    roster: &Roster,
    bound: Option<&Bound>,
) -> RunStart {
    RunStart {
        id,
        account,
        command: match settings.mail {
            _ if settings.dry_run => DRY_RUN.to_owned(),
            Mail::Congratulation if settings.own.is_some() => BY_MAIL.to_owned(),
            Mail::Congratulation => "run".to_owned(),
            Mail::Invitation => "invite".to_owned(),
        },
        roster: settings.source.to_string(),
        roster_hash: roster.sha256(),
        rows: roster.rows().len(),
        who: crate::who::who(),
        // Whoever sends nothing carries out nothing.
        plan: bound.filter(|_| !settings.dry_run).map(Bound::hash),
    }
}

/// What is left of the time that the process may take, from now on.
#[expect(clippy::disallowed_methods, reason = "what was read and asked before took some of it")]
fn ends_at(settings: &Settings, now: Moment) -> Option<Moment> {
    let end = settings.trouble.end?;
    Some(now + end.at.saturating_duration_since(std::time::Instant::now()))
}

/// The portal's address, as people type it.
fn portal_address(settings: &Settings, sandbox: Option<&Sandbox>) -> String {
    let given = settings.portal.address.as_ref().map(|address| address.origin().to_string());
    sandbox.map(Sandbox::origin).or(given).unwrap_or_default()
}

fn policy(settings: &Settings, daily_left: u64, own: Option<&Own>, seed: u64) -> Policy {
    let sending = &settings.sending;
    Policy {
        mail: settings.mail,
        dry_run: settings.dry_run,
        again: sending.again.sent,
        max_unknown: settings.trouble.max_unknown,
        retries: settings.trouble.retries,
        outage: settings.trouble.outage,
        limit: sending.limit,
        daily_left,
        // A dry run says how it stands now.
        wait: settings
            .trouble
            .wait
            .filter(|_| !settings.dry_run)
            .map(|at_most| Patience { at_most, poll: settings.trouble.poll }),
        ends_at: None,
        refresh: settings.selection.refresh,
        by_mail: own.map(Own::needs),
        needs_tenant: own.is_none() && sending.sign_with.is_some() && sending.tenant.is_none(),
        seed,
    }
}

/// Why nothing more could be recorded, or the results not be written.
fn storage_trouble(
    job: &Job<'_>,
    recorded: &Result<(), LedgerError>,
    written: &Result<(), results::ResultsError>,
) -> Option<String> {
    if let Some(Halt::Storage(why)) = job.halted() {
        return Some(why.clone());
    }
    if let Err(error) = recorded {
        return Some(error.to_string());
    }
    match written {
        // Whoever reads our output has seen enough.
        Err(results::ResultsError::Stdout(error)) if error.kind() == io::ErrorKind::BrokenPipe => None,
        Err(error) => Some(error.to_string()),
        Ok(()) => None,
    }
}
