//! Why nobody could be told, and why somebody was not.

use super::target::NotATarget;
use crate::{
    access::NoAccess,
    secret::SecretError,
    smtp::{self, BesideSandbox, NoPassword, ServerError},
    trust,
};

/// What a webhook's address is called where it cannot be had.
pub(super) const WHAT: &str = "chat webhook's address";

/// Why nobody could be told. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The webhook's address cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It looks like the address itself.
    #[error("--notify: {}", NotATarget::Typed)]
    Typed,
    /// The file holds something else.
    #[error(
        "the file of --notify holds no webhook's address: put the address alone into it, which begins with https:// and has \
         no user"
    )]
    NoAddress,
    /// Plain HTTP to another machine.
    #[error("the webhook of --notify would be called in the clear: use https:// (plain http is for loopback only)")]
    InTheClear,
    /// The proxy that is typed cannot be used.
    #[error("the proxy cannot be used for the webhook of --notify")]
    Proxy,
    /// The proxy of the environment cannot be used.
    #[error(transparent)]
    Access(#[from] NoAccess),
    /// The certificate authority cannot be used.
    #[error(transparent)]
    CaFile(#[from] trust::NoCertificates),
    /// No encrypted connections.
    #[error("--notify: {0}")]
    Tls(String),
    /// A mail without a server.
    #[error("--notify mailto: needs a mail server; give it with --smtp smtps://USER@HOST. Nothing was sent")]
    NoServer,
    /// A mail without a sender.
    #[error(
        "it is not known from whom the mail of --notify is: the user in the mail server's address is no mail address; give \
         that user's whole address there, with %40 for its @. Nothing was sent"
    )]
    NoSender,
    /// A server of one's own beside the sandbox.
    #[error(transparent)]
    ServerBesideSandbox(#[from] BesideSandbox),
    /// The password cannot be had.
    #[error(transparent)]
    Password(#[from] NoPassword),
    /// The mail server cannot be used.
    #[error(transparent)]
    Mailer(#[from] smtp::AccessError),
    /// The embedded server's address is none.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Why somebody was not told.
#[derive(Debug)]
pub(super) struct Untold {
    pub(super) why: String,
    /// Whether this try certainly told nobody, and another one may do better.
    pub(super) again: bool,
}
