//! What is written besides the results: report, JSON summary, JUnit, the end of the events, what GitHub Actions shows.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
};

use anyhow::Context;
use jiff::Timestamp;

use super::own::{Post, row_told};
use crate::{
    display::{count, moment, shown_path},
    exit::Exit,
    file::{Target, new_folder, write_whole},
    letter::preview_name,
    outcome::Outcome,
    reason::Reason,
    report::{
        About, Attention, Event, Events, MOST_ROWS, PageRow, Summary, SummaryJson, annotations, bad_rows, junit,
        markdown, not_started, outputs, page,
    },
    roster::{Roster, Source},
    settings::{GitHub, Settings},
    workflow::{Job, Stamp},
};

/// Writes each of them, whatever became of the others; returns what could not be written. What tells of the exit status
/// is written last, and tells the one that it comes to.
pub(super) fn write(
    summary: &mut Summary,
    job: &Job<'_>,
    roster: &Roster,
    settings: &Settings,
    events: Option<Events>,
    at: Timestamp,
) -> Vec<String> {
    let mut unwritten = Vec::new();
    let mut note = |summary: &mut Summary, written: Result<(), anyhow::Error>| {
        if let Err(error) = written {
            unwritten.push(format!("{error:#}"));
            summary.exit_status = Exit::Storage.code();
        }
    };
    let sinks = &settings.sinks;
    if let Some(path) = &sinks.junit {
        let text = junit(summary, &settings.selection.fail_on.outcomes);
        note(summary, put(path, &text));
    }
    if let Some(path) = &sinks.report {
        let text =
            page_of_run(summary, job, roster, settings).context("the roster's copy cannot be read for the report");
        note(summary, text.and_then(|text| put(path, &text)));
    }
    if let Some(mut events) = events {
        let requests = summary.traffic.sent();
        events.tell(&Event::Finished { exit_status: summary.exit_status, requests }, at);
        note(summary, events.finish().context("the events could not be written"));
    }
    if let Some(target) = &sinks.summary_json {
        let written = serde_json::to_string_pretty(&SummaryJson::from(&*summary)).map_err(anyhow::Error::from);
        let written = written.map(|text| text + "\n").and_then(|text| match target {
            Target::Stdout => {
                let mut out = io::stdout().lock();
                let written = quietly(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
                written.context("the JSON summary could not be written to standard output")
            }
            Target::Path(path) => put(path, &text),
        });
        note(summary, written);
    }
    unwritten
}

fn put(path: &Path, text: &str) -> Result<(), anyhow::Error> {
    write_whole(path, |out| out.write_all(text.as_bytes()))
        .with_context(|| format!("{} could not be written", shown_path(path)))
}

/// So many rows are named whose mails cannot be made.
const NAMED: usize = 10;

/// What a dry run found of the mails that would be sent.
#[derive(Debug, Default)]
pub(super) struct Previewed {
    /// Rows whose mail cannot be made, and so would fail: how many, and the first of them.
    pub(super) unmade: usize,
    first: Vec<String>,
    /// Mails that could not be written.
    pub(super) lost: Vec<String>,
}

impl Previewed {
    /// What is said of the mails that cannot be made.
    pub(super) fn told(&mut self) -> Vec<String> {
        let mut told = std::mem::take(&mut self.first);
        let more = self.unmade.saturating_sub(told.len());
        if more > 0 {
            told.push(format!("and {} more for which no mail can be made", count(more as u64, "row")));
        }
        told
    }
}

/// Makes each mail that a dry run would send, and writes them where a folder is named, which is new then.
pub(super) fn preview(folder: Option<&Path>, job: &Job<'_>, post: &Post<'_>, roster: &Roster, at: Stamp) -> Previewed {
    let mut previewed = Previewed::default();
    if let Some(Err(error)) = folder.map(new_folder) {
        previewed.lost.push(error.to_string());
        return previewed;
    }
    let each = roster.for_each(|at_row, _, record, _| -> io::Result<()> {
        let row = u32::try_from(at_row).unwrap_or(u32::MAX);
        let end = job.end(at_row);
        let would_be_sent = end.is_some_and(|end| end.reason.as_deref() == Some(&Reason::WouldBeSent));
        let Some(user) = job.user(row).filter(|_| would_be_sent) else { return Ok(()) };
        let number = at_row + 1;
        match (post.mail(row, user, &format!("preview-{number}"), at), folder) {
            (Err(why), _) => {
                previewed.unmade += 1;
                if previewed.first.len() < NAMED {
                    let row = row_told(roster, at_row, record);
                    previewed.first.push(format!("{row}: no mail can be made for this person: {why}"));
                }
            }
            (Ok(_), None) => {}
            (Ok(mail), Some(folder)) => {
                let path = folder.join(preview_name(number, roster.rows().len()));
                if let Err(error) = write_whole(&path, |out| out.write_all(&mail.bytes)) {
                    previewed.lost.push(format!("{} could not be written: {error}", shown_path(&path)));
                }
            }
        }
        Ok(())
    });
    previewed.lost.extend(each.err().map(|error| format!("the roster could not be read again: {error}")));
    previewed
}

/// Whoever reads our output may have seen enough.
fn quietly(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// What GitHub Actions shows, and gives to later steps, where the run is one of its steps: the lines that its log viewer
/// marks, and what could not be written, which changes no status.
pub(super) fn tell_github(summary: &Summary, job: &Job<'_>, roster: &Roster, settings: &Settings) -> Vec<String> {
    let Some(github) = &settings.sinks.github else { return Vec::new() };
    let mut lines = Vec::new();
    if github.runs_this {
        let file = path_on_github(&settings.source, github.workspace.as_deref());
        match bad_rows(summary, roster, |row| job.end(row).is_some()) {
            Ok(groups) => {
                let text = annotations(summary, &groups, file.as_deref(), &settings.selection.fail_on.outcomes);
                lines.extend(Some(text.trim_end().to_owned()).filter(|text| !text.is_empty()));
            }
            Err(error) => lines.push(format!("warning: the roster's copy cannot be read for annotations: {error}")),
        }
    }
    for (name, path, text) in [
        ("GITHUB_STEP_SUMMARY", &github.summary, markdown(summary)),
        ("GITHUB_OUTPUT", &github.output, outputs(summary)),
    ] {
        lines.extend(append(name, path.as_deref(), &text));
    }
    lines
}

/// What GitHub Actions shows of a run that could not start, and gives to later steps: the reason, marked, and the exit
/// status. Returns the lines that its log viewer reads, and what could not be written.
pub fn not_started_on_github(github: &GitHub, why: &str, exit_status: u8) -> Vec<String> {
    let marked = github.runs_this.then(|| not_started(why, exit_status));
    let unwritten = append("GITHUB_OUTPUT", github.output.as_deref(), &format!("exit_status={exit_status}\n"));
    marked.into_iter().chain(unwritten).collect()
}

/// Writes at the end of a file that GitHub named; tells what went wrong.
fn append(name: &str, path: Option<&Path>, text: &str) -> Option<String> {
    let path = path?;
    let file = OpenOptions::new().append(true).create(true).open(path);
    let error = file.and_then(|mut file| file.write_all(text.as_bytes())).err()?;
    Some(format!("warning: {} ({name}) could not be written: {error}", shown_path(path)))
}

/// The roster's path as GitHub shows files: from the folder of the repository on.
fn path_on_github(source: &Source, workspace: Option<&Path>) -> Option<String> {
    let Source::Path(path) = source else { return None };
    let inside = workspace.and_then(|workspace| {
        let (path, workspace) = (path.canonicalize().ok()?, workspace.canonicalize().ok()?);
        Some(path.strip_prefix(workspace).ok()?.to_owned())
    });
    Some(inside.as_ref().unwrap_or(path).to_string_lossy().replace('\\', "/"))
}

/// The report. It tells cells that cannot be used one kind from the other, which the summary does not do.
fn page_of_run(
    summary: &Summary,
    job: &Job<'_>,
    roster: &Roster,
    settings: &Settings,
) -> Result<String, anyhow::Error> {
    let groups = bad_rows(summary, roster, |row| job.end(row).is_some())?;
    let about = About { attention: groups.iter().map(Attention::from).collect(), ..about(summary, settings) };
    let mut rows = rows(job, roster);
    let columns = roster.columns();
    let mut left = rows.iter_mut().peekable();
    roster.for_each(|number, _, record, problem| -> io::Result<()> {
        let number = u64::try_from(number).unwrap_or(u64::MAX) + 1;
        let Some(row) = left.next_if(|row| row.row == number) else { return Ok(()) };
        [row.name, row.address] = columns.person(record);
        if row.user.is_empty() {
            row.user = columns.user_id.map(|column| record.cell(column).trim().to_owned()).unwrap_or_default();
        }
        if row.outcome == Outcome::Invalid
            && row.detail.is_empty()
            && let Some(problem) = problem
        {
            row.detail = problem.line(record.line, columns);
        }
        Ok(())
    })?;
    Ok(page(&about, &rows))
}

fn about(summary: &Summary, settings: &Settings) -> About {
    About {
        mail: settings.mail,
        carrier: Some(summary.carrier),
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
        dry_run: summary.dry_run(),
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
            name: String::new(),
            address: String::new(),
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
