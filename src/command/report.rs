//! `onboard report`: a results file as a page.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, bail};

use crate::{
    cli::ReportCommandArgs,
    display::count,
    outcome::{Outcome, Tally},
    progress::Screen,
    report::{About, MOST_ROWS, PageRow, Reasons, page},
    results::{Target, denature, write_whole},
    roster::{Record, Roster, Source},
};

pub(super) fn execute(args: &ReportCommandArgs, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let roster = Roster::read(&args.results)?;
    let Some(columns) = roster.columns().results else {
        bail!("{} is no results file of onboard: a run writes one", args.results);
    };
    let (mut rows, mut tally, mut reasons) = (Vec::new(), Tally::default(), Reasons::default());
    roster.for_each(|number, _, record, _| -> io::Result<()> {
        let [_, user, kind, link, active, outcome, _, _, detail] = columns.map(|column| cell(record, column));
        let Ok(outcome) = outcome.parse::<Outcome>() else { return Ok(()) };
        tally.add(outcome);
        if outcome.needs_a_person() {
            reasons.add(number, outcome, detail.clone());
        }
        if rows.len() < MOST_ROWS {
            let link = args.links.then_some(link);
            rows.push(PageRow { row: number as u64 + 1, user, kind, active, outcome, detail, link });
        }
        Ok(())
    })?;
    let about = About {
        title: args.results.to_string(),
        lines: vec![count(tally.total(), "row")],
        stopped: None,
        outcomes: tally,
        traffic: None,
        per_second: None,
        attention: reasons.grouped(),
    };
    let text = page(&about, &rows);
    match target(args) {
        Target::Stdout => out.write_all(text.as_bytes())?,
        Target::Path(path) => {
            write_whole(&path, |out| out.write_all(text.as_bytes()))
                .with_context(|| format!("{} cannot be written", path.display()))?;
            screen.say(&format!("report   {}", path.display()));
        }
    }
    Ok(0)
}

fn cell(record: &Record, column: usize) -> String {
    denature(record.cell(column)).to_owned()
}

/// On a terminal a page is of no use: there it goes beside the results.
fn target(args: &ReportCommandArgs) -> Target {
    match (&args.output, &args.results) {
        (Some(target), _) => target.0.clone(),
        (None, Source::Path(path)) if io::stdout().is_terminal() => Target::Path(path.with_extension("html")),
        (None, _) => Target::Stdout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_where_it_is_said() {
        let args = ReportCommandArgs {
            results: Source::Path(std::path::PathBuf::from("users.results.csv")),
            output: "page.html".parse().ok(),
            links: false,
        };
        assert_eq!(target(&args), Target::Path("page.html".into()));
    }
}
