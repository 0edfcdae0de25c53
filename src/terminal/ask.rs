//! Asking a person, on the terminal itself: also where standard input is a pipe that somebody's data comes through.

use std::{
    fs::OpenOptions,
    io::{self, BufRead, BufReader, IsTerminal},
};

use super::Screen;

/// The terminal that belongs to this process, whatever its standard input is.
const TERMINAL: &str = if cfg!(windows) { "CONIN$" } else { "/dev/tty" };

/// Whether somebody may be there to be asked: questions are seen on standard error.
pub fn can_ask() -> bool {
    io::stderr().is_terminal()
}

/// Asks, and waits for a line. Nothing typed, and the end of what is typed, are an empty answer. An error means that
/// there is a terminal to show the question on, but none to read an answer from.
pub fn ask(screen: &Screen, question: &str) -> io::Result<String> {
    let mut answer = String::new();
    if io::stdin().is_terminal() {
        screen.prompt(question);
        io::stdin().lock().read_line(&mut answer)?;
    } else {
        // Opened before anything is asked: nobody should answer a question that nobody reads.
        let terminal =
            OpenOptions::new().read(true).write(cfg!(windows)).open(TERMINAL).map_err(|error| unanswerable(&error))?;
        screen.prompt(question);
        BufReader::new(terminal).read_line(&mut answer)?;
    }
    Ok(answer.trim().to_owned())
}

fn unanswerable(error: &io::Error) -> io::Error {
    let why = "nobody can be asked: standard error is a terminal, but there is none to read an answer from";
    io::Error::new(error.kind(), format!("{why} ({error}); --yes goes on without asking. Nothing was sent"))
}
