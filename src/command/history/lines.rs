//! Records in a row, each written as people, spreadsheets or programs read it.

use std::io::Write;

use jiff::Timestamp;

use crate::{
    attempt::Mail,
    cli::HistoryFormat,
    command::pages::labelled,
    display::{Shown, moment},
    mail::word,
    outcome::Outcome,
    sheet::neutralise,
};

/// A record in a list.
pub(super) trait Line: serde::Serialize {
    /// The columns of the CSV.
    const HEADER: &'static [&'static str];
    /// What people are told above the first of one kind.
    const TITLE: &'static str;
    fn cells(&self) -> Vec<String>;
    /// What it belongs to: told once for all that follow each other.
    fn heading(&self) -> String;
    /// It, for people, in lines that fit the terminal.
    fn page(&self) -> String;
}

/// A moment, where there is one.
pub(super) fn optional(at: Option<Timestamp>) -> String {
    at.map(moment).unwrap_or_default()
}

/// In the order in which people are told of outcomes; words of other releases come last.
pub(super) fn place_of(outcome: &str) -> usize {
    let is = |own: &Outcome| [Mail::Congratulation, Mail::Invitation].iter().any(|mail| word(*mail, *own) == outcome);
    Outcome::ALL.iter().position(is).unwrap_or(Outcome::ALL.len())
}

/// Writes records in a row.
pub(super) fn write<L: Line>(format: HistoryFormat, lines: &[L], out: &mut dyn Write) -> Result<(), anyhow::Error> {
    match format {
        HistoryFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, lines)?;
            writeln!(out)?;
        }
        HistoryFormat::Csv => {
            let mut writer = csv::Writer::from_writer(out);
            writer.write_record(L::HEADER)?;
            for line in lines {
                for cell in line.cells() {
                    writer.write_field(neutralise(&cell).as_bytes())?;
                }
                writer.write_record(None::<&[u8]>)?;
            }
            writer.flush()?;
        }
        HistoryFormat::Table => {
            let mut heading = None;
            for line in lines {
                let own = line.heading();
                if heading.as_ref() != Some(&own) {
                    let gap = if heading.is_some() { "\n" } else { "" };
                    writeln!(out, "{gap}{}", labelled("", &shown_lines(&own)))?;
                    if !L::TITLE.is_empty() {
                        writeln!(out, "{}", L::TITLE)?;
                    }
                    heading = Some(own);
                }
                writeln!(out, "{}", line.page())?;
            }
        }
    }
    Ok(())
}

/// Lines of ours, with whatever stands in them shown as one.
fn shown_lines(text: &str) -> String {
    text.lines().map(|line| Shown(line).to_string()).collect::<Vec<_>>().join("\n")
}
