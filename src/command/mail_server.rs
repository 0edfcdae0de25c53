//! What `onboard doctor` sees of a mail server: whether it answers, lets this user log in, and takes the sender.

use crate::{
    cli::DoctorArgs,
    display::Shown,
    environment::Environment,
    smtp::{Access, Envelope, Fault, Mailer, Opened, Server, Whose, password},
    user::Email,
};

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) check: &'static str,
    pub(super) message: String,
    /// What to do, where it is not as it should be.
    pub(super) next: Option<&'static str>,
}

const SERVER: &str = "mail server";
const LOGIN: &str = "mail login";
const SENDER: &str = "mail sender";

fn good(check: &'static str, message: impl Into<String>) -> Seen {
    Seen { check, message: message.into(), next: None }
}

fn bad(check: &'static str, message: impl Into<String>, next: &'static str) -> Seen {
    Seen { check, message: message.into(), next: Some(next) }
}

/// Looks at the server that is named, up to RCPT; nothing is sent.
pub(super) async fn look(args: &DoctorArgs, server: &Server, environment: &Environment) -> Vec<Seen> {
    let password = match password(server, &args.smtp.password(), environment) {
        Ok(password) => password,
        Err(error) => {
            return vec![bad(
                LOGIN,
                error.to_string(),
                "give the password of the address's user, or leave the user off",
            )];
        }
    };
    let access = Access {
        server: server.clone(),
        password,
        timeout: args.portal.timeout.0,
        ca_file: args.portal.ca_file.clone(),
    };
    let mailer = match Mailer::new(access) {
        Ok(mailer) => mailer,
        Err(error) => return vec![bad(SERVER, error.to_string(), "mend that, and look again")],
    };
    // A mail to whoever sends it is the one that harms nobody, even if it were sent.
    let sender = server.user().and_then(|user| user.parse::<Email>().ok());
    let envelope = sender.map(|sender| Envelope { from: sender.clone(), to: sender });
    let look = mailer.look(envelope.as_ref()).await;
    let mut seen = Vec::new();
    match &look.opened {
        Ok(opened) => seen.extend(opened_as(server, *opened)),
        Err(fault) if look.login_failed() => {
            seen.push(good(SERVER, format!("{} answers", server.name())));
            seen.push(bad(LOGIN, fault.to_string(), next(fault, true)));
        }
        Err(fault) => seen.push(bad(SERVER, fault.to_string(), next(fault, false))),
    }
    match (look.sender, &envelope) {
        (Some(Ok(())), Some(envelope)) => seen.push(good(
            SENDER,
            format!("a mail from {} to itself would be taken; nothing was sent", Shown(envelope.from.as_str())),
        )),
        (Some(Err(fault)), _) => seen.push(bad(SENDER, fault.to_string(), next(&fault, false))),
        (None, None) if look.opened.is_ok() => seen.push(good(
            SENDER,
            "not looked at: the user in the mail server's address is no mail address, and no other sender is known here",
        )),
        _ => {}
    }
    seen
}

fn opened_as(server: &Server, opened: Opened) -> [Seen; 2] {
    let how = match opened.encryption {
        Some(version) => format!("encrypted ({version})"),
        None => "in the clear, on this machine".to_owned(),
    };
    let login = match (opened.logged_in, server.user()) {
        (true, Some(user)) => format!("accepted for {}", Shown(user)),
        _ => "none: the mail server's address names no user".to_owned(),
    };
    [good(SERVER, format!("{} answers, {how}", server.name())), good(LOGIN, login)]
}

/// What to do about it.
fn next(fault: &Fault, login: bool) -> &'static str {
    match fault {
        Fault::Later { .. } => "try again in some minutes; if it stays, ask whoever runs the mail server",
        Fault::Refused { .. } if login => {
            "check user and password; many providers want a password of its own for a program (an app password), and have to \
             allow SMTP for the mailbox first"
        }
        Fault::Refused { whose: Whose::Everybody, .. } => {
            "have whoever runs the mail server let this machine and this user send; if it wants a login, put the user into the \
             address: smtps://USER@HOST"
        }
        Fault::Refused { .. } => "have whoever runs the mail server let this user send from this address",
        Fault::Impossible { .. } => "take another sender, or another mail server",
        Fault::NotSent { .. } | Fault::Lost(_) | Fault::Strange { .. } => {
            "check host, port and scheme: smtps:// is encrypted from the start (465), smtp:// by STARTTLS (587)"
        }
    }
}
