//! For packagers and the curious: completions, manual pages, effective settings.

use std::io::Write;

use crate::{
    VERSION,
    cli::{self, CompletionsArgs, ConfigArgs, ManArgs, Setting},
};

pub(super) fn completions(args: &CompletionsArgs, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    out.write_all(&cli::completions(args.shell))?;
    Ok(0)
}

pub(super) fn man(args: &ManArgs, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let name = args.subject.as_deref();
    if let Some(page) = cli::manual(name)? {
        out.write_all(&page)?;
    } else {
        out.write_all(super::help::topic(name.unwrap_or_default())?.manual(VERSION).as_bytes())?;
    }
    Ok(0)
}

pub(super) fn config(args: &ConfigArgs, settings: &[Setting], out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    if args.json {
        let all: Vec<serde_json::Value> = settings
            .iter()
            .map(
                |setting| serde_json::json!({ "name": setting.name, "value": setting.value, "source": setting.source.to_string() }),
            )
            .collect();
        serde_json::to_writer_pretty(&mut *out, &all)?;
        writeln!(out)?;
        return Ok(0);
    }
    let name = settings.iter().map(|setting| setting.name.len()).max().unwrap_or_default();
    let value = settings.iter().map(|setting| setting.value.chars().count().min(40)).max().unwrap_or_default();
    for setting in settings {
        writeln!(out, "{:<name$}  {:<value$}  {}", setting.name, setting.value, setting.source)?;
    }
    Ok(0)
}
