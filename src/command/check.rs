//! `onboard check`: every problem of a roster with its line and column.

use std::io::{self, IsTerminal, Write};

use crate::{
    cli::{CheckArgs, CheckFormat},
    display::{Shown, count},
    roster::{Roster, RowState, diagnostics},
    terminal::{Screen, colour_is_wanted},
};

pub(super) fn execute(args: &CheckArgs, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let roster = Roster::read_as(&args.roster, &args.reading.reading())?;
    roster.said_aloud().for_each(|line| screen.say(&line));
    let format = match args.format {
        CheckFormat::Text => diagnostics::Format::Text { colour: io::stdout().is_terminal() && colour_is_wanted() },
        CheckFormat::Json => diagnostics::Format::Json,
        CheckFormat::Github => diagnostics::Format::Github,
    };
    let bad = diagnostics::write(&roster, &args.roster.to_string(), format, out)?;
    if args.format == CheckFormat::Text {
        writeln!(out, "{}\n{}", verdict(&roster, bad), reading(&roster))?;
    }
    out.flush()?;
    Ok(u8::from(bad > 0))
}

/// How the file was read: whoever wonders at a row looks here first.
fn reading(roster: &Roster) -> String {
    let separator = match roster.delimiter() {
        ',' => "commas".to_owned(),
        ';' => "semicolons".to_owned(),
        '\t' => "tabs".to_owned(),
        other => format!("`{other}`"),
    };
    if let Some(sheet) = roster.sheet() {
        return format!("read as an Excel workbook, sheet `{}`", Shown(sheet));
    }
    let mark = if roster.has_bom() { " with a byte-order mark" } else { "" };
    format!("read as {}{mark}, cells separated by {separator}", roster.encoding())
}

fn verdict(roster: &Roster, bad: usize) -> String {
    let as_u64 = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let rows = as_u64(roster.rows().len());
    let duplicates = roster.rows().iter().filter(|row| matches!(row.state, RowState::Duplicate { .. })).count();
    let mut text = match bad {
        0 if rows == 0 => count(0, "row"),
        0 => format!("{}: all can be used", count(rows, "row")),
        _ => format!("{}: {} cannot be used", count(rows, "row"), count(as_u64(bad), "row")),
    };
    if duplicates > 0 {
        text = format!("{text}; {} of a user who stands in an earlier row", count(as_u64(duplicates), "row"));
    }
    text
}
