//! `onboard report`: a results file as a page.

use std::{
    collections::HashMap,
    io::{self, IsTerminal, Write},
};

use anyhow::{Context, bail};

use crate::{
    cli::ReportCommandArgs,
    display::count,
    outcome::{Outcome, Tally},
    progress::Screen,
    report::{About, Attention, PageRow, page},
    results::{Target, denature, write_whole},
    roster::{Record, Roster, Source},
};

pub(super) fn execute(args: &ReportCommandArgs, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let roster = Roster::read(&args.results)?;
    let Some(columns) = roster.columns().results else {
        bail!("{} is no results file of onboard: a run writes one", args.results);
    };
    let (mut rows, mut tally) = (Vec::new(), Tally::default());
    let mut groups: HashMap<(Outcome, String), (u64, u64)> = HashMap::new();
    roster.for_each(|number, _, record, _| -> io::Result<()> {
        let [_, user, kind, link, active, outcome, _, _, detail] = columns.map(|column| cell(record, column));
        let Ok(outcome) = outcome.parse::<Outcome>() else { return Ok(()) };
        let number = u64::try_from(number).unwrap_or(u64::MAX) + 1;
        tally.add(outcome);
        if matches!(outcome, Outcome::Rejected | Outcome::Failed | Outcome::Unknown | Outcome::Invalid) {
            groups.entry((outcome, detail.clone())).or_insert((0, number)).0 += 1;
        }
        let link = args.links.then_some(link);
        rows.push(PageRow { row: number, user, kind, active, outcome, detail, link });
        Ok(())
    })?;
    let mut attention: Vec<Attention> = groups
        .into_iter()
        .map(|((outcome, reason), (rows, example))| Attention { outcome, reason, rows, example })
        .collect();
    attention.sort_by(|one, other| other.rows.cmp(&one.rows).then(one.example.cmp(&other.example)));
    let about = About {
        title: args.results.to_string(),
        lines: vec![count(tally.total(), "row")],
        stopped: None,
        outcomes: tally,
        traffic: None,
        per_second: None,
        attention,
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
