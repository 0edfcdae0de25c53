//! What can be made of the options: completions for a shell, and the manual's pages.

use std::io::{self, Write};

use clap::{CommandFactory, builder::PossibleValuesParser};
use clap_complete::Shell;

use super::Cli;
use crate::help::TOPICS;

/// The completions for a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    let command = Cli::command();
    let mut subjects = command_names();
    subjects.extend(TOPICS.map(|topic| topic.name.to_owned()));
    // Whatever has a page can be asked for; what has none is told as such by the command itself.
    let offer = |arg: clap::Arg| arg.value_parser(PossibleValuesParser::new(subjects.clone()));
    let mut command = ["help", "man"]
        .iter()
        .fold(command, |command, name| command.mut_subcommand(name, |it| it.mut_arg("subject", offer)));
    clap_complete::generate(shell, &mut command, "onboard", &mut script);
    script
}

/// The names of the commands.
pub fn command_names() -> Vec<String> {
    Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
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
    if name.is_none() {
        let pages = TOPICS.map(|topic| format!("\\fBonboard\\-{}\\fR(7)", topic.name.replace('-', "\\-")));
        writeln!(page, ".SH \"SEE ALSO\"\n{}", pages.join(", "))?;
    }
    Ok(Some(page))
}
