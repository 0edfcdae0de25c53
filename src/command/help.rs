//! `onboard help TOPIC`: a page on a subject that is larger than an option. Of commands, clap tells.

use std::io::Write;

use anyhow::{Error, bail};

use crate::{
    cli::{self, HelpArgs},
    display::Shown,
    help::{self, Look, TOPICS, Topic},
    terminal::Paper,
};

/// How wide a page is where no terminal shows it.
const WIDTH_ELSEWHERE: usize = 80;

pub(super) fn execute(args: &HelpArgs, out: &mut dyn Write) -> Result<u8, Error> {
    let topic = topic(&args.subject.join(" "))?;
    let paper = Paper::of_standard_output();
    let look = Look { width: paper.width.map_or(WIDTH_ELSEWHERE, usize::from), styled: paper.takes_colour };
    out.write_all(topic.shown(look).as_bytes())?;
    Ok(0)
}

/// The topic of this name; where it is none, the names that are like it are told.
pub(super) fn topic(name: &str) -> Result<&'static Topic, Error> {
    if let Some(topic) = Topic::named(name) {
        return Ok(topic);
    }
    let commands = cli::command_names();
    let known = commands.iter().map(String::as_str).chain(TOPICS.iter().map(|topic| topic.name));
    let near: Vec<String> = help::nearest(name, known).iter().map(|name| format!("`{name}`")).collect();
    let near = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
    bail!(
        "there is no command and no topic `{}`{near}\nTopics: {}\nCommands: {}",
        Shown(name),
        help::names(),
        commands.join(", ")
    );
}
