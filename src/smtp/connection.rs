//! One connection to a mail server: the shell around the conversation. It waits for no step longer than it may, and gives
//! itself up after anything that it does not understand.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    fault::{Break, Fault, Step},
    letter::{Envelope, Letter},
    offers::Offers,
    opening::{self, Login, Opening, Terms},
    reply::{Replies, Reply},
    server::{Encryption, Server},
    transaction::{self, DOT, Transaction},
};
use crate::{display::Shown, lease::Lease, trust};

/// The longest that making a connection may take.
const CONNECT_FOR: Duration = Duration::from_secs(10);
/// The longest that a farewell is waited for.
const QUIT_FOR: Duration = Duration::from_secs(5);
/// The answer to the final dot may take so many times longer than any other: servers look into the mail before it, and one
/// that is given up is in doubt (RFC 5321 §4.5.3.2.6 has ten minutes).
const DOT_FACTOR: u32 = 4;

/// How to get to a server.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) server: Server,
    pub(super) login: Option<Login>,
    /// The longest that one step may take.
    pub(super) step: Duration,
    /// Whom to trust; absent on loopback where the machine trusts nobody.
    pub(super) trust: Option<Arc<ClientConfig>>,
}

/// A connection on which mails may go.
#[derive(Debug)]
pub(super) struct Connection {
    wire: Wire,
    offers: Offers,
    /// A mail was begun and not ended: RSET comes first.
    begun: bool,
    /// How many it carried.
    pub(super) carried: u32,
    /// How it is encrypted.
    pub(super) encryption: Option<&'static str>,
}

/// How it is with a connection after a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It can carry the next one.
    Good,
    /// It is of no more use.
    Over,
    /// It was of no more use already, before anything of the mail was taken: another one may do.
    WasOver,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

#[derive(Debug)]
struct Wire {
    stream: Stream,
    replies: Replies,
    step: Duration,
}

impl Stream {
    fn reader(&mut self) -> &mut (dyn AsyncRead + Unpin) {
        match self {
            Self::Plain(stream) => stream,
            Self::Encrypted(stream) => stream,
        }
    }

    fn writer(&mut self) -> &mut (dyn AsyncWrite + Unpin) {
        match self {
            Self::Plain(stream) => stream,
            Self::Encrypted(stream) => stream,
        }
    }
}

impl Wire {
    async fn say(&mut self, bytes: &[u8]) -> Result<(), Break> {
        let writer = self.stream.writer();
        let all = async {
            writer.write_all(bytes).await?;
            writer.flush().await
        };
        match timeout(self.step, all).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Break::Broke(error.to_string())),
            Err(_elapsed) => Err(Break::TimedOut),
        }
    }

    /// Reads what is there, at least a byte.
    async fn read(&mut self) -> Result<(), Break> {
        let mut piece = [0; 4096];
        match self.stream.reader().read(&mut piece).await {
            Ok(0) => Err(Break::Closed),
            Ok(count) => {
                self.replies.feed(piece.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) => Err(Break::Broke(error.to_string())),
        }
    }

    async fn hear(&mut self, at_most: Duration) -> Result<Reply, Break> {
        let reply = async {
            loop {
                if let Some(reply) = self.replies.read().map_err(Break::Garbled)? {
                    return Ok(reply);
                }
                self.read().await?;
            }
        };
        timeout(at_most, reply).await.unwrap_or(Err(Break::TimedOut))
    }

    /// Whether the server says nothing, as it should when it is not its turn.
    fn is_quiet(&mut self) -> Result<(), Break> {
        if !self.replies.is_empty() {
            return Err(Break::OutOfTurn);
        }
        match self.read().now_or_never() {
            None => Ok(()),
            Some(Ok(())) => Err(Break::OutOfTurn),
            Some(Err(how)) => Err(how),
        }
    }

    /// Says a line when it is our turn, and hears the answer.
    async fn ask(&mut self, line: &[u8]) -> Result<Reply, Break> {
        if !self.replies.is_empty() {
            return Err(Break::OutOfTurn);
        }
        self.say(line).await?;
        self.hear(self.step).await
    }
}

impl Connection {
    /// Connects, encrypts and logs in.
    pub(super) async fn open(way: &Way) -> Result<Self, Fault> {
        let name = way.server.name();
        let connecting = TcpStream::connect((way.server.host(), way.server.port()));
        let stream = match timeout(CONNECT_FOR.min(way.step), connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(not_sent(format!("{name} cannot be reached: {error}"), false)),
            Err(_elapsed) => {
                return Err(not_sent(format!("{name} cannot be reached: no connection within the time limit"), false));
            }
        };
        let address = stream.local_addr().map_err(|error| not_sent(error.to_string(), false))?.ip().to_canonical();
        let hello = if address.is_ipv6() { format!("[IPv6:{address}]") } else { format!("[{address}]") };
        // Without it a dot waits until what stands before it was acknowledged. Where it cannot be had, it waits.
        let _slower = stream.set_nodelay(true);
        let terms = Terms { hello, is_loopback: way.server.is_loopback(), login: way.login.clone() };
        let implicit = way.server.encryption() == Encryption::Implicit;
        let stream = if implicit { encrypt(way, stream).await? } else { Stream::Plain(stream) };
        let mut wire = Wire { stream, replies: Replies::default(), step: way.step };
        let mut opening = Opening::new(&terms, implicit);
        let mut heard = wire.hear(way.step).await;
        loop {
            let reply = heard.map_err(|how| Fault::of_break(opening.step(), &how))?;
            let mut next = opening.heard(&reply)?;
            if next == opening::Next::Encrypt {
                // Whatever stands behind the answer was slipped in by somebody on the way, to be taken for the server's.
                if !wire.replies.is_empty() {
                    return Err(not_sent(SLIPPED_IN.to_owned(), false));
                }
                let Stream::Plain(stream) = wire.stream else { return Err(not_sent(SLIPPED_IN.to_owned(), false)) };
                wire = Wire { stream: encrypt(way, stream).await?, replies: Replies::default(), step: way.step };
                next = opening.encrypted();
            }
            match next {
                opening::Next::Say(line) => heard = wire.ask(&line).await,
                opening::Next::Encrypt => return Err(not_sent(SLIPPED_IN.to_owned(), false)),
                opening::Next::Ready => break,
            }
        }
        let encryption = match &wire.stream {
            Stream::Plain(_) => None,
            Stream::Encrypted(stream) => match stream.get_ref().1.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => Some("TLS 1.3"),
                Some(_) | None => Some("TLS 1.2"),
            },
        };
        Ok(Self { wire, offers: opening.offers(), begun: false, carried: 0, encryption })
    }

    /// Carries one mail. The lease, where there is one, is looked at right before the final dot.
    pub(super) async fn carry(
        &mut self,
        envelope: &Envelope,
        letter: &Letter,
        lease: Option<&Lease>,
    ) -> (Result<(), Fault>, State) {
        match Transaction::begin(&self.offers, envelope, letter) {
            Ok((transaction, first)) => self.go(transaction, first, Some((letter, lease))).await,
            Err(impossible) => (Err(impossible), State::Good),
        }
    }

    /// Sees whether sender and recipient are taken. Nothing is sent.
    pub(super) async fn look(&mut self, envelope: &Envelope) -> (Result<(), Fault>, State) {
        match Transaction::look(&self.offers, envelope) {
            Ok((transaction, first)) => {
                let ended = self.go(transaction, first, None).await;
                self.begun = true;
                ended
            }
            Err(impossible) => (Err(impossible), State::Good),
        }
    }

    async fn go(
        &mut self,
        mut mail: Transaction,
        first: Vec<u8>,
        text: Option<(&Letter, Option<&Lease>)>,
    ) -> (Result<(), Fault>, State) {
        if let Err(fault) = self.reset().await {
            return (Err(fault), State::WasOver);
        }
        let mut heard = self.wire.ask(&first).await;
        loop {
            let step = mail.step();
            // Until the sender was taken nothing of this mail was begun.
            let over = if step == Step::Sender { State::WasOver } else { State::Over };
            let reply = match heard {
                Ok(reply) => reply,
                Err(how) => return (Err(mail.broke(&how)), over),
            };
            let next = match mail.heard(&reply) {
                Ok(next) => next,
                Err(fault) => {
                    let goes_on = matches!(fault, Fault::Later { .. } | Fault::Refused { .. }) && reply.code != 421;
                    self.begun = step != Step::Dot;
                    return (Err(fault), if goes_on { State::Good } else { over });
                }
            };
            match (next, text) {
                (transaction::Next::Say(line), _) => heard = self.wire.ask(&line).await,
                (transaction::Next::Text, Some((letter, lease))) => {
                    if let Err(fault) = self.text(&mut mail, letter, lease).await {
                        return (Err(fault), State::Over);
                    }
                    heard = self.wire.hear(self.wire.step.saturating_mul(DOT_FACTOR)).await;
                }
                (transaction::Next::Text | transaction::Next::Done, _) => {
                    self.carried += 1;
                    return (Ok(()), State::Good);
                }
            }
        }
    }

    /// Lets the text leave, and then the dot, if it still may. After a fault the connection must not be spoken on: the server
    /// would take it for text.
    async fn text(&mut self, mail: &mut Transaction, letter: &Letter, lease: Option<&Lease>) -> Result<(), Fault> {
        self.wire.say(letter.wire()).await.map_err(|how| mail.broke(&how))?;
        // Whoever speaks now does not want the mail, or is out of step: then an answer would not be the dot's.
        match self.wire.is_quiet() {
            Ok(()) => {}
            Err(Break::OutOfTurn) => {
                let said = self.wire.replies.read().ok().flatten();
                let spoke = said.map(|reply| Fault::of_reply(mail.step(), &reply));
                let told = spoke.filter(|fault| matches!(fault, Fault::Later { .. } | Fault::Refused { .. }));
                return Err(told.unwrap_or_else(|| mail.broke(&Break::OutOfTurn)));
            }
            Err(how) => return Err(mail.broke(&how)),
        }
        if lease.is_some_and(|lease| !lease.is_fresh()) {
            return Err(not_sent(SUSPENDED.to_owned(), false));
        }
        mail.dot_leaves();
        self.wire.say(DOT).await.map_err(|how| mail.broke(&how))
    }

    /// Ends a mail that was begun.
    async fn reset(&mut self) -> Result<(), Fault> {
        self.wire.is_quiet().map_err(|how| Fault::of_break(Step::Reset, &how))?;
        if self.begun {
            let reply = self.wire.ask(b"RSET\r\n").await.map_err(|how| Fault::of_break(Step::Reset, &how))?;
            if !reply.is_positive() {
                return Err(Fault::of_reply(Step::Reset, &reply));
            }
            self.begun = false;
        }
        Ok(())
    }

    /// Takes leave. Whatever comes of it changes nothing.
    pub(super) async fn quit(mut self) {
        self.wire.step = self.wire.step.min(QUIT_FOR);
        let _farewell = self.wire.ask(b"QUIT\r\n").await;
        let _closed = timeout(self.wire.step, self.wire.stream.writer().shutdown()).await;
    }
}

/// What is told of a connection into which somebody wrote.
const SLIPPED_IN: &str = "more than its answer to STARTTLS came before the connection was encrypted, as where somebody on the way writes into it";
/// As the portal's carrier says it.
const SUSPENDED: &str = "this process was suspended, and its ledger may have gone to another run";

fn not_sent(why: String, for_good: bool) -> Fault {
    Fault::NotSent { why, for_good }
}

async fn encrypt(way: &Way, stream: TcpStream) -> Result<Stream, Fault> {
    let trust = way.trust.clone().ok_or_else(|| not_sent("no certificates are trusted here".to_owned(), true))?;
    let host = ServerName::try_from(way.server.host().to_owned())
        .map_err(|error| not_sent(format!("the mail server's name is none of a certificate: {error}"), true))?;
    let error = match timeout(way.step, TlsConnector::from(trust).connect(host, stream)).await {
        Ok(Ok(stream)) => return Ok(Stream::Encrypted(Box::new(stream))),
        Ok(Err(error)) => error,
        Err(_elapsed) => return Err(not_sent("no encrypted connection within the time limit".to_owned(), false)),
    };
    if let Some(certificate) = trust::certificate_error(&error) {
        let told = trust::told(certificate, "--ca-file FILE (PEM)");
        return Err(not_sent(format!("{} cannot be trusted: {told}", way.server.name()), true));
    }
    let why = match (trust::handshake(&error), way.server.encryption()) {
        (Some(_), Encryption::Implicit) => {
            "what answers there does not speak TLS from the start; if the port is one for STARTTLS (587, 25), give smtp:// \
             instead of smtps://"
                .to_owned()
        }
        (Some(why), Encryption::StartTls) => why,
        (None, _) => Shown(&error.to_string()).to_string(),
    };
    Err(not_sent(format!("no encrypted connection to {}: {why}", way.server.name()), false))
}
