//! What is written besides the results: report, JSON summary, JUnit, the end of the events, what GitHub Actions shows.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
};

use anyhow::Context;
use jiff::Timestamp;

use crate::{
    display::moment,
    file::{Target, write_whole},
    report::{About, Event, Events, MOST_ROWS, PageRow, Summary, SummaryJson, junit, markdown, page},
    roster::Roster,
    settings::Settings,
    workflow::Job,
};

pub(super) fn write(
    summary: &Summary,
    job: &Job<'_>,
    roster: &Roster,
    settings: &Settings,
    events: Option<Events>,
    at: Timestamp,
) -> Result<(), anyhow::Error> {
    if let Some(mut events) = events {
        let requests = summary.traffic.sent();
        events.tell(&Event::Finished { exit_status: summary.exit_status, requests }, at);
        events.finish().context("the events could not be written")?;
    }
    let sinks = &settings.sinks;
    if let Some(target) = &sinks.summary_json {
        let text = serde_json::to_string_pretty(&SummaryJson::from(summary))? + "\n";
        match target {
            Target::Stdout => quietly(io::stdout().lock().write_all(text.as_bytes()))?,
            Target::Path(path) => put(path, &text)?,
        }
    }
    if let Some(path) = &sinks.junit {
        put(path, &junit(summary, &settings.selection.fail_on.outcomes))?;
    }
    if let Some(path) = &sinks.report {
        put(path, &page(&about(summary, settings), &rows(job, roster)))?;
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<(), anyhow::Error> {
    write_whole(path, |out| out.write_all(text.as_bytes()))
        .with_context(|| format!("{} could not be written", path.display()))
}

/// Whoever reads our output may have seen enough.
fn quietly(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// The summary of the job, where GitHub Actions asks for one.
pub(super) fn summarise_job(summary: &Summary, settings: &Settings) -> Result<(), anyhow::Error> {
    let Some(path) = settings.sinks.github.as_ref().and_then(|github| github.summary.as_ref()) else { return Ok(()) };
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(markdown(summary).as_bytes()))
        .with_context(|| format!("{} (GITHUB_STEP_SUMMARY) could not be written", path.display()))
}

fn about(summary: &Summary, settings: &Settings) -> About {
    About {
        title: summary.roster.clone(),
        lines: vec![
            format!("{}, run {}", summary.portal, summary.run),
            format!(
                "{} to {}, at {}, exit status {}",
                moment(summary.started_at),
                moment(summary.ended_at),
                summary.rate,
                summary.exit_status
            ),
        ],
        stopped: summary.stopped.clone(),
        outcomes: summary.outcomes,
        traffic: Some(summary.traffic.clone()),
        per_second: Some(settings.limits.rate.per_second()),
        attention: summary.attention.clone(),
    }
}

fn rows(job: &Job<'_>, roster: &Roster) -> Vec<PageRow> {
    let row = |(number, row): (usize, &crate::roster::Row)| {
        let end = job.end(number)?;
        Some(PageRow {
            row: u64::try_from(number).unwrap_or(u64::MAX) + 1,
            user: end.user.map(|user| user.to_string()).unwrap_or_default(),
            kind: row.employee_type.map(|kind| kind.to_string()).unwrap_or_default(),
            active: end.active.map(|active| active.to_string()).unwrap_or_default(),
            outcome: end.outcome,
            detail: end.detail.into_owned(),
            link: None,
        })
    };
    roster.rows().iter().enumerate().filter_map(row).take(MOST_ROWS).collect()
}
