//! A mail as it goes over the wire.

use std::fmt::Write as _;

use jiff::Timestamp;
use lettre::message::{
    Body, MultiPart, MultiPartKind, SinglePart,
    header::{
        ContentTransferEncoding, ContentType, Date, From, HeaderName, HeaderValue, Headers, MIME_VERSION_1_0,
        MessageId as Id, ReplyTo, Subject, To,
    },
};
use sha2::{Digest, Sha256};

use super::{
    envelope::{MessageId, Recipient, Sender},
    template::Filled,
};

/// One mail to one person, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    sender: String,
    recipient: String,
    bytes: Vec<u8>,
}

impl Post {
    /// The address for `MAIL FROM`.
    pub fn sender(&self) -> &str {
        &self.sender
    }

    /// The one address for `RCPT TO`.
    pub fn recipient(&self) -> &str {
        &self.recipient
    }

    /// Headers and body: ASCII, lines ended by CR and LF, none longer than 998 bytes. Dots at a line's start are not
    /// doubled yet.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The name under which the mail of a row (from 1) of so many is kept, so that files stand in the roster's order.
pub fn preview_name(row: usize, of: usize) -> String {
    format!("{row:0wide$}.eml", wide = of.to_string().len())
}

/// The same values make the same bytes: a mail that is delivered twice is one mail.
pub(super) fn assemble(
    filled: Filled,
    sender: &Sender,
    reply_to: Option<&Sender>,
    to: &Recipient,
    id: &MessageId,
    at: Timestamp,
) -> Post {
    let mut headers = Headers::new();
    headers.set(From::from(lettre::message::Mailboxes::from(sender.mailbox())));
    headers.set(To::from(lettre::message::Mailboxes::from(lettre::message::Mailbox::from(to.mail_address()))));
    if let Some(reply_to) = reply_to {
        headers.set(ReplyTo::from(lettre::message::Mailboxes::from(reply_to.mailbox())));
    }
    headers.set(Subject::from(filled.subject.as_str().to_owned()));
    headers.set(Date::new(at.max(Timestamp::UNIX_EPOCH).into()));
    headers.set(Id::from(id.as_str().to_owned()));
    headers.insert_raw(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()));
    headers.set(MIME_VERSION_1_0);
    // No line of quoted-printable text holds `=_`.
    let boundary = Sha256::digest(id.as_str()).iter().take(12).fold("=_".to_owned(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let parts = MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(boundary)
        .singlepart(part(ContentType::TEXT_PLAIN, filled.text))
        .singlepart(part(ContentType::TEXT_HTML, filled.html));
    let mut bytes = headers.to_string().into_bytes();
    bytes.extend(parts.formatted());
    Post { sender: sender.address().to_owned(), recipient: to.address().to_owned(), bytes }
}

fn part(kind: ContentType, text: String) -> SinglePart {
    let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable).unwrap_or_else(Body::new);
    SinglePart::builder().header(kind).body(body)
}
