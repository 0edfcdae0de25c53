//! What GitHub Actions shows: a summary of the job in Markdown, and lines that it marks as errors or warnings.

use std::fmt::Write as _;

use super::summary::Summary;
use crate::display::{Grouped, Span, count};

/// The summary in Markdown.
pub fn markdown(summary: &Summary) -> String {
    let mut text = format!("### onboard: {}\n\n| outcome | rows |\n| --- | ---: |\n", plain(&summary.roster));
    for (outcome, rows) in summary.outcomes.occurred() {
        // Writing to a string cannot fail; so everywhere below.
        let _infallible = writeln!(text, "| {outcome} | {} |", Grouped(rows));
    }
    let _infallible = writeln!(
        text,
        "\n{}, {} refused, {}, exit status {}",
        count(summary.traffic.sent(), "request"),
        summary.traffic.refused(),
        Span(summary.took),
        summary.exit_status
    );
    if let Some(stopped) = &summary.stopped {
        let _infallible = writeln!(text, "\n**{}**", plain(stopped));
    }
    if !summary.attention.is_empty() {
        text.push_str("\n| needs a person | rows | such as row | why |\n| --- | ---: | ---: | --- |\n");
        for group in summary.attention.iter().take(20) {
            let reason = plain(&group.reason);
            let _infallible = writeln!(text, "| {} | {} | {} | {reason} |", group.outcome, group.rows, group.example);
        }
    }
    text
}

/// Lines that the log viewer marks.
pub fn annotations(summary: &Summary) -> String {
    let level = if summary.exit_status == 0 { "warning" } else { "error" };
    let mut text = String::new();
    if let Some(stopped) = &summary.stopped {
        let _infallible = writeln!(text, "::{level} title=onboard stopped::{}", command(stopped));
    }
    for group in summary.attention.iter().take(10) {
        let rows = count(group.rows, "row");
        let what = format!("{rows} {}, such as row {}: {}", group.outcome, group.example, group.reason);
        let _infallible = writeln!(text, "::{level} title=onboard::{}", command(&what));
    }
    text
}

/// A message of a workflow command.
fn command(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Text that is no markup: what has a meaning in Markdown or HTML is escaped.
fn plain(text: &str) -> String {
    text.chars().fold(String::new(), |mut safe, c| {
        match c {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '|' | '!' | '~' | '@' => {
                safe.push('\\');
                safe.push(c);
            }
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\n' | '\r' => safe.push(' '),
            c => safe.push(c),
        }
        safe
    })
}
