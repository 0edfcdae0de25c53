//! `onboard report`: a results file as a page.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, bail};

use crate::{
    cli::ReportCommandArgs,
    display::shown_path,
    file::{Target, write_whole},
    report::page_of,
    roster::{Roster, RosterError, Source},
    terminal::Screen,
};

pub(super) fn execute(args: &ReportCommandArgs, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let roster = Roster::read(&args.results).map_err(|error| anyhow::Error::msg(told_of_results(&error)))?;
    let Some(text) = page_of(&roster, &args.results.to_string(), args.links)? else {
        bail!("{} is no results file of onboard: a run writes one", args.results);
    };
    match target(args) {
        Target::Stdout => out.write_all(text.as_bytes())?,
        Target::Path(path) => {
            write_whole(&path, |out| out.write_all(text.as_bytes()))
                .with_context(|| format!("{} cannot be written", shown_path(&path)))?;
            screen.say(&format!("report   {}", shown_path(&path)));
        }
    }
    Ok(0)
}

/// Why the file cannot be read. It is read as a roster is, which whoever wants a page of results need not know.
fn told_of_results(error: &RosterError) -> String {
    match error {
        RosterError::Empty => "the results file is empty; a run writes one".to_owned(),
        RosterError::MissingColumn { .. } => "the file is no results file of onboard: a run writes one".to_owned(),
        error => error.to_string().replacen("the roster", "the results file", 1),
    }
}

/// On a terminal a page is of no use: there it goes beside the results.
pub(super) fn target(args: &ReportCommandArgs) -> Target {
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
