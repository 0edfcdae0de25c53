//! What can be made of the options: completions for a shell, and the manual's pages.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

/// The completions for a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "onboard", &mut script);
    script
}

/// The manual's page of a command, or of all; nothing where there is no such command.
pub fn manual(name: Option<&str>) -> io::Result<Option<Vec<u8>>> {
    let mut command = Cli::command();
    command.build();
    if let Some(name) = name {
        let Some(found) = command.find_subcommand(name) else { return Ok(None) };
        command = found.clone().name(format!("onboard-{name}"));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(Some(page))
}
