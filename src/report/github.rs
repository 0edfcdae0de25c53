//! What GitHub Actions shows: a summary of the job in Markdown, lines that it marks at the rows that they are about, and
//! values for the steps that follow.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::Write as _,
    io,
};

use super::summary::{Attention, Summary, name};
use crate::{
    code::Code,
    display::{Grouped, Shown, Span, count},
    mail::word,
    outcome::Outcome,
    roster::Roster,
};

/// GitHub shows so many annotations of one level and step, and drops the others without a word.
const MOST: usize = 10;

/// Rows that need a person for one reason, and where the first of them stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRows {
    outcome: Outcome,
    code: Option<Code>,
    /// Why, in the words of the first of them.
    reason: String,
    rows: u64,
    /// The number of the first of them, from 1.
    example: u64,
    /// The first of them.
    first: Vec<u64>,
    /// The line of the first of them.
    line: Option<u64>,
    /// Where the first of them is in a workbook, as Excel has it.
    cell: Option<String>,
}

impl From<&BadRows> for Attention {
    fn from(group: &BadRows) -> Self {
        let BadRows { outcome, code, rows, example, .. } = *group;
        Self {
            outcome,
            reason: group.reason.clone(),
            code,
            rows,
            example,
            first: group.first.clone(),
            cell: group.cell.clone(),
            again: true,
        }
    }
}

/// The rows that need a person, by reason, those of most rows first. Cells that cannot be used are told one kind from
/// the other here, which the summary does not do.
pub fn bad_rows(summary: &Summary, roster: &Roster, settled: impl Fn(usize) -> bool) -> io::Result<Vec<BadRows>> {
    let mut invalid: HashMap<(Option<usize>, String), BadRows> = HashMap::new();
    let others = || summary.attention.iter().filter(|group| group.outcome != Outcome::Invalid);
    let mut lines: HashMap<u64, u64> = HashMap::new();
    let mut examples: Vec<u64> = others().map(|group| group.example).collect();
    examples.sort_unstable();
    roster.for_each(|number, _row, record, problem| -> io::Result<()> {
        let row = number as u64 + 1;
        if examples.binary_search(&row).is_ok() {
            lines.insert(row, record.line);
        }
        let Some(problem) = problem.filter(|_| settled(number)) else { return Ok(()) };
        match invalid.entry((problem.column, problem.kind())) {
            Entry::Occupied(mut group) => {
                let group = group.get_mut();
                group.rows += 1;
                name(&mut group.first, row);
            }
            Entry::Vacant(group) => {
                let name = problem.column.and_then(|column| roster.columns().names.get(column));
                let cell = name.map(|name| format!("column {}: ", Shown(name))).unwrap_or_default();
                group.insert(BadRows {
                    outcome: Outcome::Invalid,
                    code: Some(Code::RowInvalid),
                    reason: format!("{cell}{}", problem.with_help()),
                    rows: 1,
                    example: row,
                    first: vec![row],
                    line: Some(problem.at.unwrap_or(record.line)),
                    cell: roster.in_sheet(record.line, problem.column),
                });
            }
        }
        Ok(())
    })?;
    let mut groups: Vec<BadRows> = others()
        .map(|group| BadRows {
            outcome: group.outcome,
            code: group.code,
            reason: group.reason.clone(),
            rows: group.rows,
            example: group.example,
            first: group.first.clone(),
            line: lines.get(&group.example).copied(),
            cell: group.cell.clone(),
        })
        .chain(invalid.into_values())
        .collect();
    groups.sort_by(|one, other| other.rows.cmp(&one.rows).then(one.line.cmp(&other.line)));
    Ok(groups)
}

/// The summary in Markdown.
pub fn markdown(summary: &Summary) -> String {
    let mut text = format!("### onboard: {}\n\n| outcome | rows |\n| --- | ---: |\n", plain(&summary.roster));
    for (outcome, rows) in summary.outcomes.occurred() {
        // Writing to a string cannot fail; so everywhere below.
        let _infallible = writeln!(text, "| {} | {} |", word(summary.mail, outcome), Grouped(rows));
    }
    if let Some(dry) = summary.dry_run() {
        let _infallible = writeln!(text, "\n**{dry}**");
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
            let _infallible = writeln!(
                text,
                "| {} | {} | {} | {reason} |",
                word(summary.mail, group.outcome),
                group.rows,
                plain(&group.such_as())
            );
        }
    }
    text
}

/// Lines that the log viewer marks, and GitHub shows beside the roster's: the stop, if there was one, and the rows that
/// need a person. What the exit status is about is an error, a stop that was planned or asked for a notice.
pub fn annotations(summary: &Summary, groups: &[BadRows], file: Option<&str>, fail_on: &[Outcome]) -> String {
    let mut text = String::new();
    if let Some(stopped) = &summary.stopped {
        let level = match summary.exit_status {
            0 => "warning",
            4 | 130 | 143 => "notice",
            _ => "error",
        };
        let what = format!("{stopped}{}", coded(summary.stopped_code));
        let _infallible = writeln!(text, "::{level} title=onboard stopped::{}", message(&what));
    }
    let room = MOST - text.lines().count();
    // The last line is for what has none of its own.
    let shown = if groups.len() > room { room - 1 } else { groups.len() };
    let (told, counted) = groups.split_at_checked(shown).unwrap_or((groups, &[]));
    let level = |group: &BadRows| if fail_on.contains(&group.outcome) { "error" } else { "warning" };
    for group in told {
        let mut place = file.map(|file| format!("file={},", property(file))).unwrap_or_default();
        if let Some(line) = group.line.filter(|_| file.is_some()) {
            let _infallible = write!(place, "line={line},");
        }
        let first = match (group.line, &group.cell) {
            (_, Some(cell)) if group.rows > 1 => format!(", the first at {cell}"),
            // A workbook has no lines that could be shown beside it.
            (_, Some(cell)) => format!(" at {cell}"),
            (Some(line), None) if group.rows > 1 => format!(", the first on line {line}"),
            (_, None) => String::new(),
        };
        let what = format!(
            "{} {}{first}: {}{}",
            count(group.rows, "row"),
            word(summary.mail, group.outcome),
            group.reason,
            coded(group.code)
        );
        let _infallible = writeln!(text, "::{} {place}title=onboard::{}", level(group), message(&what));
    }
    if !counted.is_empty() {
        let rows: u64 = counted.iter().map(|group| group.rows).sum();
        let level = if counted.iter().any(|group| level(group) == "error") { "error" } else { "warning" };
        let what = format!("{} more, with other reasons: see the column detail of the results", count(rows, "row"));
        let _infallible = writeln!(text, "::{level} title=onboard::{}", message(&what));
    }
    text
}

/// The stable name of a reason, at the end of it.
fn coded(code: Option<Code>) -> String {
    code.map(|code| format!(" [{}]", code.as_str())).unwrap_or_default()
}

/// The line that the log viewer marks where a run could not start, so that there is no summary to tell of. A stop that was
/// planned (exit status 4) is a notice.
pub fn not_started(why: &str, exit_status: u8) -> String {
    let marked = if exit_status == 4 { "notice title=onboard stopped" } else { "error title=onboard could not start" };
    format!("::{marked}::{}", message(why))
}

/// What the steps that follow can ask for, as `steps.ID.outputs.sent`: names as in the summary for machines.
pub fn outputs(summary: &Summary) -> String {
    let mut text = format!("exit_status={}\nrows={}\n", summary.exit_status, summary.rows);
    for outcome in Outcome::ALL {
        let _infallible = writeln!(text, "{}={}", word(summary.mail, outcome), summary.outcomes.count(outcome));
    }
    let results = summary.results.as_deref().unwrap_or_default();
    // A path with a line end in it would be more than one value; the run's id stands in no path by chance.
    let _infallible = if results.contains(['\n', '\r']) {
        writeln!(text, "results<<{run}\n{results}\n{run}", run = summary.run)
    } else {
        writeln!(text, "results={results}")
    };
    text
}

/// A message of a workflow command.
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        outcome::Tally,
        report::{Reasons, Traffic},
    };

    fn summary(exit_status: u8, stopped: Option<&str>, reasons: Reasons) -> Summary {
        Summary {
            mail: crate::attempt::Mail::Congratulation,
            carrier: crate::attempt::Carrier::Portal,
            run: "r1".to_owned(),
            portal: "https://p.example".to_owned(),
            roster: "users.csv".to_owned(),
            results: Some("users.results.csv".to_owned()),
            ledger: None,
            seal: None,
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: Timestamp::UNIX_EPOCH,
            took: Duration::ZERO,
            rows: 3,
            outcomes: Tally::default(),
            carried_over: 0,
            without_link: 0,
            traffic: Traffic::default(),
            rate: "1500/min".to_owned(),
            exit_status,
            would_send: None,
            stopped: stopped.map(ToOwned::to_owned),
            stopped_code: None,
            attention: reasons.grouped(),
            go_on: None,
        }
    }

    fn roster(text: &str) -> Roster {
        Roster::read_from(&mut text.as_bytes(), "users.csv").expect("a roster")
    }

    const FAIL_ON: [Outcome; 2] = [Outcome::Rejected, Outcome::Invalid];

    #[test]
    fn bad_cells_are_grouped_by_what_is_wrong_and_not_by_what_stands_in_them() {
        let roster = roster(
            "user_id,employee_type\n8ca81811-66d2-4876-b2fd-f2022a96fb1a,User\nx,User\ny,User\n\
             8ca81811-66d2-4876-b2fd-f2022a96fb1b,Gest\n8ca81811-66d2-4876-b2fd-f2022a96fb1c,User\n",
        );
        let mut reasons = Reasons::default();
        for row in 1..4 {
            reasons.add(row, Outcome::Invalid, "a cell that cannot be used".to_owned(), None, true);
        }
        reasons.add(4, Outcome::Failed, "it broke, 100%".to_owned(), Some(Code::NotSent), true);
        let summary = summary(1, None, reasons);
        let groups = bad_rows(&summary, &roster, |_| true).expect("read");
        assert_eq!(
            annotations(&summary, &groups, Some("hr,1/users.csv"), &FAIL_ON).lines().collect::<Vec<_>>(),
            [
                "::error file=hr%2C1/users.csv,line=3,title=onboard::2 rows invalid, the first on line 3: column user_id: \
                 `x` is no user id; a user id looks like 5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10 [row_invalid]",
                "::error file=hr%2C1/users.csv,line=5,title=onboard::1 row invalid: column employee_type: `Gest` is no \
                 employee type; did you mean `Guest`? [row_invalid]",
                "::warning file=hr%2C1/users.csv,line=6,title=onboard::1 row failed: it broke, 100%25 [not_sent]",
            ]
        );
        // A roster from standard input has no file to show them in; rows that were carried over are no matter.
        let groups = bad_rows(&summary, &roster, |row| row != 3).expect("read");
        let text = annotations(&summary, &groups, None, &FAIL_ON);
        assert!(text.starts_with("::error title=onboard::2 rows invalid, the first on line 3: "), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn a_planned_stop_is_a_notice_and_any_other_an_error() {
        for (status, level) in
            [(4, "notice"), (130, "notice"), (143, "notice"), (3, "error"), (5, "error"), (0, "warning")]
        {
            let summary = summary(status, Some("Stopped: why,\nand what now"), Reasons::default());
            let text = annotations(&summary, &[], Some("users.csv"), &FAIL_ON);
            assert_eq!(text, format!("::{level} title=onboard stopped::Stopped: why,%0Aand what now\n"));
        }
    }

    #[test]
    fn there_are_ten_annotations_at_most_and_the_last_counts_what_is_not_shown() {
        let groups = |many: usize| {
            let group = |rows| BadRows {
                outcome: Outcome::Rejected,
                code: None,
                reason: String::new(),
                rows,
                example: 1,
                first: Vec::new(),
                line: None,
                cell: None,
            };
            (1..=many as u64).rev().map(group).collect::<Vec<_>>()
        };
        let told = |stopped, many| annotations(&summary(1, stopped, Reasons::default()), &groups(many), None, &FAIL_ON);
        assert_eq!(told(None, 10).lines().count(), 10);
        assert!(!told(None, 10).contains("more, with other reasons"));
        for (stopped, many, left) in [(None, 11, "3 rows"), (Some("why"), 10, "3 rows"), (None, 900, "397386 rows")] {
            let text = told(stopped, many);
            assert_eq!(text.lines().count(), 10, "{text}");
            let last = text.lines().last().expect("a line").replace([',', '\u{202f}', '\u{a0}', ' '], "");
            assert!(last.starts_with(&format!("::errortitle=onboard::{}more", left.replace(' ', ""))), "{last}");
        }
    }

    #[test]
    fn why_a_run_could_not_start_is_one_line_whatever_is_in_it() {
        let line = not_started("50% of\nit: a, b", 2);
        assert_eq!(line, "::error title=onboard could not start::50%25 of%0Ait: a, b");
        assert_eq!(not_started("its time is over", 4), "::notice title=onboard stopped::its time is over");
    }

    #[test]
    fn later_steps_get_the_counts_the_status_and_the_results() {
        let mut summary = summary(4, None, Reasons::default());
        summary.outcomes = Tally::default();
        assert_eq!(
            outputs(&summary),
            "exit_status=4\nrows=3\nsent=0\nalready_sent=0\nnot_active=0\nrejected=0\nfailed=0\nunknown=0\n\
             not_attempted=0\ninvalid=0\nduplicate=0\nresults=users.results.csv\n"
        );
        summary.results = Some("a\nexit_status=0".to_owned());
        assert!(outputs(&summary).ends_with("results<<r1\na\nexit_status=0\nr1\n"));
        summary.results = None;
        assert!(outputs(&summary).ends_with("results=\n"));
    }
}
