//! The client of a mail server: one mail, one recipient, and what each ending proves of it.
//!
//! A mail is delivered by the server's answer to the *final dot* (RFC 5321 §4.1.1.4), and by nothing before it. So whatever
//! ends before the dot began to leave proves that nothing was sent; a readable answer to it tells what became of the mail;
//! and where none came, nobody knows. No library tells whether the dot had left (lettre's `message` writes text, dot and
//! reads the answer as one thing, and keeps what a server said before STARTTLS), so the conversation is our own: decisions
//! that are fed replies and say what to say next ([`opening`], [`transaction`]: pure), and a thin shell around them that
//! holds the connection ([`Mailer`]).
//!
//! Absent on purpose: sending anything twice after MAIL was taken, pipelining, and any way to go on without encryption
//! beyond loopback.

mod brake;
mod connection;
mod fault;
mod letter;
mod mailer;
mod offers;
pub mod opening;
mod password;
mod reply;
mod server;
pub mod transaction;

#[cfg(test)]
mod tests;

pub use self::{
    brake::{ALIKE, Brake, Manner},
    fault::{Break, Fault, Loss, Said, Scope, Step, Whose},
    letter::{Envelope, Letter},
    mailer::{Access, AccessError, Look, MAILS_A_CONNECTION, Mailer, Opened},
    offers::Offers,
    password::{BesideSandbox, NoPassword, PasswordSource, ServerSettings, password},
    reply::{Enhanced, Garbled, Replies, Reply},
    server::{Encryption, Server, ServerError},
};
