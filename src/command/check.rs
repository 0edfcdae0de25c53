//! `onboard check`: every problem of a roster with its line and column.

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    path::Path,
};

use anyhow::{Context, bail};

use crate::{
    cli::{CheckArgs, CheckFormat},
    display::{Shown, count, shown_path},
    file::write_whole,
    origin::PortalAddress,
    roster::{
        Roster, RowState, diagnostics,
        fix::{COLUMN, Change, fix},
    },
    split::Tied,
    terminal::{Screen, colour_is_wanted},
};

pub(super) fn execute(args: &CheckArgs, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let tied = Tied::of(&args.roster)?;
    tied.check(args.portal.as_ref().map(PortalAddress::origin).as_ref())?;
    let how = tied.reading(&args.reading.reading());
    let roster = Roster::read_as(&args.roster, &how)?;
    tied.check_rows(&roster)?;
    roster.said_aloud().for_each(|line| screen.say(&line));
    let format = match args.format {
        CheckFormat::Text => diagnostics::Format::Text { colour: io::stdout().is_terminal() && colour_is_wanted() },
        CheckFormat::Json => diagnostics::Format::Json,
        CheckFormat::Github => diagnostics::Format::Github,
    };
    let Some(path) = &args.fix else {
        let bad = diagnostics::write(&roster, &args.roster.to_string(), format, out)?;
        if args.format == CheckFormat::Text {
            writeln!(out, "{}\n{}", verdict(&roster, bad), reading(&roster))?;
        }
        out.flush()?;
        return Ok(u8::from(bad > 0));
    };
    let fixed = fix(&roster, &how)?;
    refuse_foreign(path, &fixed.text)?;
    write_whole(path, |file| file.write_all(&fixed.text))
        .with_context(|| format!("{} cannot be written", shown_path(path)))?;
    tell(&fixed.changes, args.format, out)?;
    let bad = diagnostics::write(&fixed.roster, &shown_path(path), format, out)?;
    if args.format == CheckFormat::Text {
        let mended = count(u64::try_from(fixed.changes.len()).unwrap_or(u64::MAX), "cell");
        let marked = match fixed.marked {
            0 => "no row needs a person".to_owned(),
            1 => "1 row needs a person, and says why in the column onboard_check".to_owned(),
            more => format!("{} need a person, and say why in the column onboard_check", count(more, "row")),
        };
        writeln!(out, "{}: {mended} mended; {marked}\n{}", shown_path(path), verdict(&fixed.roster, bad))?;
    }
    out.flush()?;
    Ok(u8::from(bad > 0))
}

/// What is there is replaced only where it is such a copy: marked, or the same.
fn refuse_foreign(path: &Path, text: &[u8]) -> Result<(), anyhow::Error> {
    let mut there = Vec::new();
    if path.is_file() {
        let most = u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_add(1);
        File::open(path)?.take(most).read_to_end(&mut there)?;
    }
    let begun = there.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&there);
    if there.is_empty() || there == text || begun.starts_with(COLUMN.as_bytes()) {
        return Ok(());
    }
    bail!(
        "the repaired copy cannot go to {}: that file is there and is no copy that --fix made of this roster; name another, \
         or move it away. Nothing was written",
        shown_path(path)
    )
}

/// Each change, by the place in the file that was read.
fn tell(changes: &[Change], format: CheckFormat, out: &mut dyn Write) -> io::Result<()> {
    for Change { place, column, before, after } in changes {
        let [place, column, before, after] = [place, column, before, after].map(|text| Shown(text).to_string());
        match format {
            CheckFormat::Text => writeln!(out, "mended: {place}, column {column}: `{before}` is now `{after}`")?,
            CheckFormat::Json => {
                let json = serde_json::json!({ "mended": place, "column": column, "before": before, "after": after });
                writeln!(out, "{json}")?;
            }
            CheckFormat::Github => {}
        }
    }
    Ok(())
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
