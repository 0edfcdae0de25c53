//! Mails by one server: connections that are used again, each mail sent once.

use std::{cell::RefCell, path::PathBuf, sync::Arc, time::Duration};

use rustls::ClientConfig;

use super::{
    connection::{Connection, State, Way},
    fault::{Fault, Step},
    letter::{Envelope, Letter},
    opening::Login,
    server::{Encryption, Server},
};
use crate::{
    lease::Lease,
    secret::{self, Secret},
    trust,
};

/// After so many mails a connection is closed, and another one made: servers do so themselves after fifty to a hundred.
pub const MAILS_A_CONNECTION: u32 = 50;

/// How to reach a mail server.
#[derive(Debug, Clone)]
pub struct Access {
    /// The server.
    pub server: Server,
    /// The password of its user.
    pub password: Option<Secret>,
    /// The longest that one step of a conversation may take.
    pub timeout: Duration,
    /// Certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// Why no mail can be sent. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The CA file could not be read or holds no certificate.
    #[error(transparent)]
    CaFile(#[from] trust::NoCertificates),
    /// The TLS side could not be set up.
    #[error("{0}")]
    Tls(String),
    /// A user without a password.
    #[error("the mail server's address names a user, and no password is given for it")]
    NoPassword,
}

/// A mail server that mails go by.
#[derive(Debug)]
pub struct Mailer {
    way: Way,
    /// Connections that carry nothing now.
    idle: RefCell<Vec<Connection>>,
    lease: Option<Lease>,
}

/// What somebody who only looks has seen.
#[derive(Debug)]
pub struct Look {
    /// The connection.
    pub opened: Result<Opened, Fault>,
    /// Whether the sender is taken, where one was named and the connection stood.
    pub sender: Option<Result<(), Fault>>,
}

/// A connection that stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// How it was encrypted, if it was.
    pub encryption: Option<&'static str>,
    /// Whether somebody logged in.
    pub logged_in: bool,
}

impl Mailer {
    /// Makes ready. Nothing is sent.
    pub fn new(access: Access) -> Result<Self, AccessError> {
        let in_the_clear = access.server.is_loopback() && access.server.encryption() == Encryption::StartTls;
        // What is never encrypted needs no certificate store, and must not fail where there is none.
        let trust = if in_the_clear && access.server.user().is_none() {
            None
        } else {
            let given = match &access.ca_file {
                Some(path) => trust::certificates(path)?,
                None => Vec::new(),
            };
            match trust::besides_system(given) {
                Ok(trust) => Some(Arc::new(trust)),
                Err(_no_store) if in_the_clear => None,
                Err(why) => {
                    return Err(AccessError::Tls(trust::no_setup(&why, trust::BY_OPTION)));
                }
            }
        };
        Self::trusting(access, trust)
    }

    /// One that trusts the certificates that this setup trusts.
    pub(super) fn trusting(access: Access, trust: Option<Arc<ClientConfig>>) -> Result<Self, AccessError> {
        let login = match (access.server.user(), access.password) {
            (Some(user), Some(password)) => Some(Login { user: user.to_owned(), password }),
            (Some(_), None) => return Err(AccessError::NoPassword),
            (None, _) => None,
        };
        let way = Way { server: access.server, login, step: access.timeout, trust };
        Ok(Self { way, idle: RefCell::default(), lease: None })
    }

    /// Lets mails leave only while this lease is fresh, looked at right before the final dot. One that is too late is
    /// [`Fault::NotSent`], and may be tried again with an intent of its own.
    #[must_use]
    pub fn guarded_by(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Sends one mail to one recipient. `Ok` means that the server answers for it, not that it arrived.
    ///
    /// A connection that was used before and has gone in the meantime is replaced once, as long as the server has not taken
    /// the sender; beyond that nothing is tried again here.
    pub async fn deliver(&self, envelope: &Envelope, mail: &[u8]) -> Result<(), Fault> {
        let letter = Letter::new(mail)?;
        if let Some(mut connection) = self.used().await {
            let (result, state) = connection.carry(envelope, &letter, self.lease.as_ref()).await;
            if state != State::WasOver {
                return self.ended(connection, result, state);
            }
        }
        let mut connection = Connection::open(&self.way).await.map_err(|fault| self.masked(fault))?;
        let (result, state) = connection.carry(envelope, &letter, self.lease.as_ref()).await;
        self.ended(connection, result, state)
    }

    /// Looks whether a mail from this sender could go, up to RCPT; nothing is sent.
    pub async fn look(&self, envelope: Option<&Envelope>) -> Look {
        let mut connection = match Connection::open(&self.way).await {
            Ok(connection) => connection,
            Err(fault) => return Look { opened: Err(self.masked(fault)), sender: None },
        };
        let opened = Opened { encryption: connection.encryption, logged_in: self.way.login.is_some() };
        let mut sender = None;
        let mut state = State::Good;
        if let Some(envelope) = envelope {
            let (result, after) = connection.look(envelope).await;
            state = after;
            sender = Some(result.map_err(|fault| self.masked(fault)));
        }
        if state == State::Good {
            connection.quit().await;
        }
        Look { opened: Ok(opened), sender }
    }

    /// Takes leave of the server.
    pub async fn close(&self) {
        loop {
            let connection = self.idle.borrow_mut().pop();
            let Some(connection) = connection else { return };
            connection.quit().await;
        }
    }

    /// A connection that was used before, and may be again.
    async fn used(&self) -> Option<Connection> {
        let connection = self.idle.borrow_mut().pop()?;
        if connection.carried >= MAILS_A_CONNECTION {
            connection.quit().await;
            return None;
        }
        Some(connection)
    }

    fn ended(&self, connection: Connection, result: Result<(), Fault>, state: State) -> Result<(), Fault> {
        if state == State::Good {
            self.idle.borrow_mut().push(connection);
        }
        result.map_err(|fault| self.masked(fault))
    }

    /// Without the password, which a server may tell back.
    fn masked(&self, fault: Fault) -> Fault {
        match &self.way.login {
            Some(login) => fault.mask(|text| {
                [login.plain(), login.word()]
                    .iter()
                    .fold(login.password.mask(text), |text, word| secret::mask(word, &text))
            }),
            None => fault,
        }
    }
}

impl Look {
    /// Whether it was the login that failed.
    pub fn login_failed(&self) -> bool {
        let refused = |said: &super::fault::Said| said.step == Step::Login;
        matches!(&self.opened, Err(Fault::Refused { said, .. } | Fault::Later { said, .. }) if refused(said))
    }
}
