//! The job: everything is read and opened and looked at before the first request; then the loop; then the results.
//!
//! This is the composition root: the only place that knows roster, ledger, portal, pace, workflow and results at once.
//! It decides the exit status, by the order that the specification gives.

mod closing;
mod drive;
mod key;
mod observer;
mod outputs;
mod setup;

use std::io;

use jiff::Timestamp;
use tracing::Instrument;

use self::{
    drive::{Clock, Drive},
    observer::Observer,
    setup::Setup,
};
use crate::{
    ledger::{LedgerError, Recorder, RunStart},
    pace::Pace,
    results::{self, RowResult, Settled},
    settings::Settings,
    signals::Signals,
    terminal::{Progress, ProgressKind, Screen},
    workflow::{Closed, Halt, Job, Policy},
};

/// Runs the job. Returns the exit status; an error means that it could not start, and that nothing was sent.
pub fn run(settings: &Settings, quiet: bool, screen: &Screen) -> Result<u8, anyhow::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match setup::prepare(settings, quiet, screen)? {
        Some(setup) => {
            let run = uuid::Uuid::now_v7();
            // Every line of the log names the run.
            let span = tracing::info_span!("run", id = %run);
            runtime.block_on(drive(setup, run, settings, quiet, screen).instrument(span))
        }
        None => Ok(2),
    }
}

async fn drive(
    setup: Setup,
    run: uuid::Uuid,
    settings: &Settings,
    quiet: bool,
    screen: &Screen,
) -> Result<u8, anyhow::Error> {
    // The lock and the embedded portal live until the run is over.
    let Setup { roster, target, portal, portal_name, account, mut ledger, ledger_is_kept, .. } = setup;
    let Setup { lock: _lock, policy, limits, machine_key, let_go, sandbox: _sandbox, events, .. } = setup;
    // From here on Ctrl-C lets what is in flight finish.
    let mut signals = Signals::listen()?;
    let clock = Clock::start();
    let start = clock.stamp();
    let seed = run.as_u64_pair().1;
    let policy = Policy { seed, ..policy };
    let earlier = |user| setup::earlier(&ledger, user, let_go);
    let carried = |row| setup::is_carried(settings, &roster, row);
    let mut job = ledger.on_one_view(|| Job::new(roster.rows(), policy, carried, earlier, start))?;
    let recent = ledger.used(Some(account), limits.rate.window)?.recent;
    let mut pace = Pace::new(limits, &recent, seed);
    ledger.begin_run(RunStart {
        id: run,
        account,
        command: "run",
        roster: settings.source.to_string(),
        roster_hash: roster.sha256(),
        rows: roster.rows().len(),
        who: crate::who::who(),
    })?;
    let ledger_path = ledger_is_kept.then(|| ledger.path().to_owned());
    let recorder = Recorder::start(ledger)?;
    let kind = if quiet { ProgressKind::Never } else { settings.progress };
    let mut observer = Observer::new(screen.clone(), Progress::new(kind, screen), limits.rate, events);
    observer.started(&run.to_string(), &portal_name, roster.rows().len(), start);
    observer.settled(&mut job, start);
    let keys = Setup::key_maker(&roster, &settings.sending.key, machine_key);
    let driven = Drive {
        job: &mut job,
        pace: &mut pace,
        portal: &portal,
        ledger: &recorder,
        keys: &keys,
        tenant: settings.sending.tenant,
        let_go,
        observer: &mut observer,
        clock,
    }
    .run(&mut signals)
    .await;
    let end = clock.stamp();
    job.conclude(end);
    observer.settled(&mut job, end);
    let (traffic, events) = observer.finish();
    let (ledger, recorded) = recorder.finish().await;
    let written = results::write(&roster, &target, |row| row_result(&job, row, settings.sinks.no_links));
    let trouble = storage_trouble(&job, &recorded, &written);
    let status = closing::exit_status(&job, driven.signal, trouble.is_some(), &settings.selection.fail_on);
    // The day's writes are gone through only where somebody is told of them.
    let frees_at = ledger
        .as_ref()
        .filter(|_| job.closed() == Some(&Closed::Daily))
        .and_then(|ledger| ledger.used(Some(account), std::time::Duration::ZERO).ok())
        .and_then(|used| used.frees_in)
        .and_then(|frees_in| end.wall.checked_add(frees_in).ok());
    let counts = job.tally().occurred().map(|(outcome, rows)| (outcome.as_str(), rows));
    if let Some(mut ledger) = ledger
        && recorded.is_ok()
        && let Err(error) = ledger.end_run(status, traffic.sent(), counts)
    {
        screen.say(&format!("the end of the run could not be recorded: {error}"));
    }
    let summary = closing::summary(closing::Closing {
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
        exit_status: status,
        target: &target,
        ledger: ledger_path,
        trouble,
        signal: driven.signal,
        frees_at,
    });
    closing::tell(&summary, quiet, screen);
    let told = outputs::write(&summary, &job, &roster, settings, events, end.wall);
    match told.and_then(|()| outputs::tell_github(&summary, screen)) {
        Ok(()) => Ok(status),
        Err(error) => {
            screen.say(&format!("onboard: {error:#}; the results and the ledger are whole"));
            Ok(5)
        }
    }
}

/// The results' view of a row's end.
fn row_result<'a>(job: &'a Job<'_>, row: usize, no_links: bool) -> RowResult<'a> {
    match job.end(row) {
        None => RowResult::CarriedOver,
        Some(end) => RowResult::Settled(Settled {
            user: end.user,
            invite_link: if no_links { "" } else { end.link },
            active: end.active,
            congratulation: end.outcome,
            attempts: end.attempts,
            completed_at: end.completed_at.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            detail: end.detail,
        }),
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
