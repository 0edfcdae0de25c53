//! The opening of a conversation: greeting, EHLO, encryption, login. Fed replies, it says what to say next. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    fault::{Fault, Step},
    offers::Offers,
    reply::Reply,
};
use crate::{display::Shown, secret::Secret};

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Say this, and hear the answer.
    Say(Vec<u8>),
    /// Encrypt the connection. What was heard before counts for nothing.
    Encrypt,
    /// Mails may go.
    Ready,
}

/// Who logs in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// What has to be so before mails may go.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The name that is given to the server.
    pub hello: String,
    /// Whether this very machine is spoken to.
    pub is_loopback: bool,
    /// Who logs in, where somebody does.
    pub login: Option<Login>,
}

/// An opening.
#[derive(Debug)]
pub struct Opening<'t> {
    terms: &'t Terms,
    state: State,
    encrypted: bool,
    offers: Offers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Hello,
    Encrypt,
    /// The whole login was said, to be said again where the server did not listen.
    Said,
    /// The server is to ask for the user.
    User,
    /// The server is to ask for the password.
    Password,
    /// Nothing is left to be said.
    Last,
    Done,
}

impl<'t> Opening<'t> {
    /// One that hears the greeting first.
    pub fn new(terms: &'t Terms, encrypted: bool) -> Self {
        Self { terms, state: State::Greeting, encrypted, offers: Offers::default() }
    }

    /// Where it stands.
    pub fn step(&self) -> Step {
        match self.state {
            State::Greeting => Step::Greeting,
            State::Hello => Step::Hello,
            State::Encrypt => Step::Encrypt,
            State::Said | State::User | State::Password | State::Last | State::Done => Step::Login,
        }
    }

    /// What the server offers.
    pub fn offers(self) -> Offers {
        self.offers
    }

    /// The server answered.
    pub fn heard(&mut self, reply: &Reply) -> Result<Next, Fault> {
        match (self.state, reply.code) {
            (State::Greeting, 220) => Ok(self.hello()),
            (State::Hello, 250) => {
                self.offers = Offers::read(reply);
                self.greeted()
            }
            (State::Encrypt, 220) => Ok(Next::Encrypt),
            (State::Said | State::Last, 235) => {
                self.state = State::Done;
                Ok(Next::Ready)
            }
            (State::Said, 334) => Ok(self.asked(State::Last, Login::plain)),
            (State::User, 334) => Ok(self.asked(State::Password, |login| STANDARD.encode(&login.user))),
            (State::Password, 334) => Ok(self.asked(State::Last, Login::word)),
            _ => Err(Fault::of_reply(self.step(), reply)),
        }
    }

    /// The connection is encrypted now. What the server offered before may have come from anybody.
    pub fn encrypted(&mut self) -> Next {
        self.encrypted = true;
        self.offers = Offers::default();
        self.hello()
    }

    fn hello(&mut self) -> Next {
        self.state = State::Hello;
        Next::Say(format!("EHLO {}\r\n", self.terms.hello).into_bytes())
    }

    fn greeted(&mut self) -> Result<Next, Fault> {
        let login = self.terms.login.as_ref();
        // On loopback, a server that lets people log in only when it is encrypted gets its way.
        let wants_it = login.is_some() && self.offers.logins.is_empty() && self.offers.starttls;
        if !self.encrypted && (!self.terms.is_loopback || wants_it) {
            if !self.offers.starttls {
                let why = "the mail server offers no encryption (STARTTLS), and nothing goes to another machine in the \
                           clear; use smtps:// if it has a port for that";
                return Err(Fault::NotSent { why: why.to_owned(), for_good: true });
            }
            self.state = State::Encrypt;
            return Ok(Next::Say(b"STARTTLS\r\n".to_vec()));
        }
        let Some(login) = login else {
            self.state = State::Done;
            return Ok(Next::Ready);
        };
        if self.offers.logs_in_by("PLAIN") {
            self.state = State::Said;
            Ok(Next::Say(format!("AUTH PLAIN {}\r\n", login.plain()).into_bytes()))
        } else if self.offers.logs_in_by("LOGIN") {
            self.state = State::User;
            Ok(Next::Say(b"AUTH LOGIN\r\n".to_vec()))
        } else {
            let text = match self.offers.logins.as_slice() {
                [] => "it offers no login at all; leave the user off the address if it needs none".to_owned(),
                ways => format!("it offers only {}, and PLAIN and LOGIN are what can be used", Shown(&ways.join(", "))),
            };
            Err(Fault::NotSent { why: format!("nobody can log in at the mail server: {text}"), for_good: true })
        }
    }

    /// The server asks for a piece of the login.
    fn asked(&mut self, then: State, piece: impl FnOnce(&Login) -> String) -> Next {
        self.state = then;
        let piece = self.terms.login.as_ref().map(piece).unwrap_or_default();
        Next::Say(format!("{piece}\r\n").into_bytes())
    }
}

impl Login {
    /// User and password as PLAIN has them (RFC 4616).
    pub fn plain(&self) -> String {
        STANDARD.encode(format!("\0{}\0{}", self.user, self.password.expose()))
    }

    /// The password as LOGIN has it.
    pub fn word(&self) -> String {
        STANDARD.encode(self.password.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "EHLO [127.0.0.1]\r\n";

    fn terms(is_loopback: bool, with_login: bool) -> Terms {
        let password = Secret::password("password", "a b".to_owned()).expect("a password");
        let login = with_login.then(|| Login { user: "it".to_owned(), password });
        Terms { hello: "[127.0.0.1]".to_owned(), is_loopback, login }
    }

    fn reply(code: u16, lines: &[&str]) -> Reply {
        Reply { code, lines: lines.iter().map(|line| (*line).to_owned()).collect() }
    }

    fn said(next: Result<Next, Fault>) -> String {
        match next {
            Ok(Next::Say(line)) => String::from_utf8(line).expect("text"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn beyond_loopback_nothing_but_starttls_is_said_in_the_clear() {
        let terms = terms(false, true);
        let mut opening = Opening::new(&terms, false);
        assert_eq!(said(opening.heard(&reply(220, &["hello"]))), HELLO);
        assert_eq!(said(opening.heard(&reply(250, &["x", "AUTH PLAIN", "STARTTLS"]))), "STARTTLS\r\n");
        assert_eq!(opening.heard(&reply(220, &["go"])), Ok(Next::Encrypt));
        assert_eq!(said(Ok(opening.encrypted())), HELLO);
        // What was offered before is forgotten: it offers another way now.
        assert_eq!(said(opening.heard(&reply(250, &["x", "AUTH LOGIN"]))), "AUTH LOGIN\r\n");
        assert_eq!(said(opening.heard(&reply(334, &["VXNlcm5hbWU6"]))), "aXQ=\r\n");
        assert_eq!(said(opening.heard(&reply(334, &["UGFzc3dvcmQ6"]))), "YSBi\r\n");
        assert_eq!(opening.heard(&reply(235, &["ok"])), Ok(Next::Ready));
    }

    #[test]
    fn whoever_offers_no_encryption_is_told_nothing() {
        for (code, lines) in [(250, &["x", "AUTH PLAIN"][..]), (250, &["x"])] {
            let terms = terms(false, true);
            let mut opening = Opening::new(&terms, false);
            opening.heard(&reply(220, &[])).expect("EHLO");
            let Err(Fault::NotSent { for_good: true, why }) = opening.heard(&reply(code, lines)) else { panic!() };
            assert!(why.contains("STARTTLS"), "{why}");
        }
    }

    #[test]
    fn an_encrypted_server_that_takes_its_word_back_is_told_nothing_in_the_clear() {
        for answer in [454, 501, 554, 250] {
            let terms = terms(false, true);
            let mut opening = Opening::new(&terms, false);
            opening.heard(&reply(220, &[])).expect("EHLO");
            opening.heard(&reply(250, &["x", "STARTTLS"])).expect("STARTTLS");
            assert!(opening.heard(&reply(answer, &[])).is_err(), "{answer}");
        }
    }

    #[test]
    fn on_loopback_nothing_is_encrypted_but_where_only_that_lets_people_log_in() {
        let (anybody, somebody) = (terms(true, false), terms(true, true));
        let greeted = |terms: &Terms, offers: &[&str]| {
            let mut opening = Opening::new(terms, false);
            opening.heard(&reply(220, &[])).expect("EHLO");
            opening.heard(&reply(250, offers))
        };
        assert_eq!(greeted(&anybody, &["x", "STARTTLS"]), Ok(Next::Ready));
        assert_eq!(said(greeted(&somebody, &["x", "STARTTLS"])), "STARTTLS\r\n");
        assert!(said(greeted(&somebody, &["x", "STARTTLS", "AUTH PLAIN"])).starts_with("AUTH PLAIN "));
    }

    #[test]
    fn plain_goes_before_login_and_is_said_again_to_whoever_did_not_listen() {
        let terms = terms(true, true);
        let mut opening = Opening::new(&terms, true);
        opening.heard(&reply(220, &[])).expect("EHLO");
        let plain = "AGl0AGEgYg==";
        assert_eq!(
            said(opening.heard(&reply(250, &["x", "AUTH XOAUTH2 LOGIN PLAIN"]))),
            format!("AUTH PLAIN {plain}\r\n")
        );
        assert_eq!(said(opening.heard(&reply(334, &[""]))), format!("{plain}\r\n"));
        assert!(opening.heard(&reply(334, &[""])).is_err(), "but not for ever");
    }

    #[test]
    fn a_login_that_cannot_be_is_told_with_what_is_offered() {
        for (offers, word) in [(&["x"][..], "no login at all"), (&["x", "AUTH XOAUTH2"], "only XOAUTH2")] {
            let terms = terms(true, true);
            let mut opening = Opening::new(&terms, true);
            opening.heard(&reply(220, &[])).expect("EHLO");
            let Err(Fault::NotSent { for_good: true, why }) = opening.heard(&reply(250, offers)) else { panic!() };
            assert!(why.contains(word), "{why}");
        }
    }
}
