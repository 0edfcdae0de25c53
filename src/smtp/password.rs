//! The mail server that is named, and where the password of its user comes from.

use std::path::PathBuf;

use super::Server;
use crate::{
    environment::Environment,
    secret::{Secret, SecretError},
};

/// The environment variable that holds the password itself.
const VARIABLE: &str = "ONBOARD_SMTP_PASSWORD";
const WHAT: &str = "mail server's password";

/// The mail server, as whoever starts this names it.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The server, where one is named.
    pub server: Option<Server>,
    /// Whether a person typed it, as opposed to what stands in the environment or a file.
    pub typed: bool,
    /// Where its user's password comes from.
    pub password: PasswordSource,
}

impl ServerSettings {
    /// Refuses one that was typed beside `--sandbox`; any other is passed over there.
    pub fn refuse_beside_sandbox(&self) -> Result<(), BesideSandbox> {
        if self.server.is_some() && self.typed { Err(BesideSandbox) } else { Ok(()) }
    }
}

/// A server was typed beside the sandbox.
#[derive(Debug, thiserror::Error)]
#[error("with --sandbox mails go to the sandbox's own server only; leave --smtp off")]
pub struct BesideSandbox;

/// Where the password comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordSource {
    /// What a command prints.
    Command(String),
    /// A file.
    File(PathBuf),
    /// The environment.
    Environment,
}

/// There is no password.
#[derive(Debug, thiserror::Error)]
pub enum NoPassword {
    /// Nobody gave one.
    #[error(
        "no password is given for the mail server's user; use {VARIABLE}, {VARIABLE}_FILE (or --smtp-password-file PATH), or \
         --smtp-password-command CMD"
    )]
    NotGiven,
    /// It cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// The password of the server's user, where it has one.
pub fn password(
    server: &Server,
    source: &PasswordSource,
    environment: &Environment,
) -> Result<Option<Secret>, NoPassword> {
    if server.user().is_none() {
        return Ok(None);
    }
    Ok(Some(match source {
        PasswordSource::Command(command) => Secret::password_from_command(WHAT, command)?,
        PasswordSource::File(path) => Secret::read_password(WHAT, path)?,
        PasswordSource::Environment => {
            let text = environment.get(VARIABLE).ok_or(NoPassword::NotGiven)?;
            Secret::password(WHAT, text.to_owned())?
        }
    }))
}
