//! A message of your own: a text with a mail's headers and Markdown, made into one mail for one person.
//!
//! ```text
//!  welcome.md ── head: From, Reply-To, Language ────────────────────────────────┐
//!             ── Subject ──► marked: text with a mark for each {{ name }} ──────┤
//!             ── body ─────► marked ──► Markdown, read once ──► pieces: text ───┼─► Message ── write ──► Post
//!                                                           └─► pieces: HTML ───┘   values of a row ┘
//! ```
//!
//! Values are data. Markdown is read before any value is there, with a mark in each value's place; what is filled in
//! afterwards is escaped for where it stands, and is never read again: not as a placeholder, not as Markdown, not as HTML.
//! Headers are values of types that no line end gets into ([`Subject`], [`Sender`], [`Recipient`], [`MessageId`]), and a
//! recipient is one address.
//!
//! What can be checked before the first request is checked then: the files ([`Message::read`], [`Messages::new`]) and the
//! roster's values ([`Messages::check`]); what the portal tells, when the row is due ([`Messages::write`]).
//!
//! Absent on purpose: conditions, loops and filters (a name is all that may stand between the braces, so no template
//! engine is needed, and none could fill in after Markdown); raw HTML, images and attachments; anything that is loaded from
//! elsewhere.

mod envelope;
mod error;
mod field;
mod head;
mod language;
mod markdown;
mod marked;
mod piece;
mod post;
mod set;
mod template;
mod value;

pub use self::{
    envelope::{MessageId, NotAMessageId, NotARecipient, NotASender, NotASubject, Recipient, Sender, Subject},
    error::{MAX_FILE, MessageError, What},
    field::{Field, Fields},
    language::Language,
    post::{Post, preview_name},
    set::{Messages, Needs, SetError},
    template::Message,
    value::{Fault, Unusable, Values},
};

#[cfg(test)]
mod tests;
