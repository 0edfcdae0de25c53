//! For packagers and the curious: completions, manual pages, effective settings.

use std::io::Write;

use anyhow::bail;
use clap::CommandFactory;

use crate::{
    cli::{Cli, CompletionsArgs, ConfigArgs, ManArgs, Setting},
    display::Shown,
};

pub(super) fn completions(args: &CompletionsArgs, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "onboard", &mut script);
    out.write_all(&script)?;
    Ok(0)
}

pub(super) fn man(args: &ManArgs, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let mut command = Cli::command();
    command.build();
    if let Some(name) = &args.command {
        let Some(found) = command.find_subcommand(name) else { bail!("there is no command `{}`", Shown(name)) };
        command = found.clone().name(format!("onboard-{name}"));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    out.write_all(&page)?;
    Ok(0)
}

pub(super) fn config(args: &ConfigArgs, settings: &[Setting], out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    if args.json {
        let all: Vec<serde_json::Value> = settings
            .iter()
            .map(
                |setting| serde_json::json!({ "name": setting.name, "value": setting.value, "source": setting.source }),
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
