//! Answers of the portal, from bytes: envelopes, links, errors (`docspace-contract.md` §2.3, §3); people are read in
//! [`person`](super::person).
//!
//! Lenient where the contract says that portals differ (unknown members, absent `statusCode` on a read); strict where a
//! guess would congratulate somebody: a member that occurs twice makes an answer unreadable.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{fault::ErrorBody, web_page};
use crate::display::{Shown, is_plain};

/// An invitation link: an absolute web address. A credential: whoever holds it may join.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteLink(Box<str>);

/// The longest link that is taken, in bytes.
const MAX_LINK: usize = 2048;
/// The longest piece of a portal's message that is kept, in bytes of its text.
const MAX_MESSAGE: usize = 300;

impl InviteLink {
    /// The link as the portal gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A link that no portal gave.
    #[cfg(test)]
    pub(crate) fn made_up(text: &str) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for InviteLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InviteLink([redacted])")
    }
}

/// What the portal says to a question for a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkAnswer {
    /// The link.
    Link(InviteLink),
    /// 200 with nothing in it: this caller may not invite that type (`docspace-contract.md` §3.1).
    NotPermitted,
}

/// Members that every envelope has; `response` is read by whoever asked.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) response: Option<&'a RawValue>,
    status: Option<i64>,
    #[serde(rename = "statusCode")]
    status_code: Option<i64>,
    pub(super) total: Option<u64>,
}

/// The body is not the envelope of a success.
pub type Unreadable = &'static str;

pub(super) fn envelope(body: &[u8]) -> Result<Envelope<'_>, Unreadable> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(body).map_err(|_garbled| "the body is not the JSON of a DocSpace portal")?;
    if envelope.status != Some(0) || envelope.status_code.is_some_and(|code| code != 200) {
        return Err("the envelope inside says otherwise");
    }
    Ok(envelope)
}

/// The answer to a congratulation: the whole envelope, `status` 0, `statusCode` 200; it has no `response`.
pub fn accepted(body: &[u8]) -> Result<(), Unreadable> {
    let envelope = envelope(body)?;
    if envelope.status_code == Some(200) { Ok(()) } else { Err("the envelope inside is not whole") }
}

/// An answer of which only that it is a success matters.
pub(super) fn success(body: &[u8]) -> Result<(), Unreadable> {
    envelope(body).map(drop)
}

/// The answer to a question for a link.
pub fn link(body: &[u8]) -> Result<LinkAnswer, Unreadable> {
    let Some(response) = envelope(body)?.response else { return Ok(LinkAnswer::NotPermitted) };
    let Ok(text) = serde_json::from_str::<String>(response.get()) else { return Ok(LinkAnswer::NotPermitted) };
    if text.is_empty() {
        return Ok(LinkAnswer::NotPermitted);
    }
    let is_web = reqwest::Url::parse(&text).is_ok_and(|url| {
        let names_somebody = !url.username().is_empty() || url.password().is_some();
        matches!(url.scheme(), "https" | "http") && url.has_host() && !names_somebody
    });
    let is_clean = text.len() <= MAX_LINK && text.chars().all(|c| is_plain(c) && !c.is_whitespace());
    if is_web && is_clean {
        Ok(LinkAnswer::Link(InviteLink(text.into())))
    } else {
        Err("the link in it is not a usable web address")
    }
}

/// Any other answer's `response`, as a JSON value; `null` where there is none.
pub fn value(body: &[u8]) -> Result<serde_json::Value, Unreadable> {
    envelope(body)?.response.map_or(Ok(serde_json::Value::Null), |response| {
        serde_json::from_str(response.get()).map_err(|_garbled| "the answer in it cannot be read")
    })
}

#[derive(Deserialize)]
struct ErrorEnvelope {
    error: Option<ErrorDto>,
    response: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct ErrorDto {
    message: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// What stands in the body of an answer that is no success. Never fails: only the status is always reliable.
pub fn error_body(body: &[u8], mask: impl FnOnce(&str) -> String) -> ErrorBody {
    if body.iter().all(u8::is_ascii_whitespace) {
        return ErrorBody::Empty;
    }
    let Ok(envelope) = serde_json::from_slice::<ErrorEnvelope>(body) else {
        return web_page::read(body, mask).map_or(ErrorBody::Other, |page| ErrorBody::Page { title: page.title });
    };
    match (envelope.error, envelope.response) {
        (Some(error), _) => ErrorBody::Envelope {
            message: shown(&error.message.unwrap_or_default(), mask),
            passing: error.kind.as_deref() == Some("System.InvalidOperationException"),
        },
        (None, Some(response)) => response.get("errors").map_or(ErrorBody::Other, |errors| validation(errors, mask)),
        (None, None) => ErrorBody::Other,
    }
}

/// What a portal says, as it may be shown.
fn shown(said: &str, mask: impl FnOnce(&str) -> String) -> String {
    let end = said.char_indices().map(|(at, _)| at).find(|at| *at > MAX_MESSAGE).unwrap_or(said.len());
    Shown(mask(said.get(..end).unwrap_or_default()).trim()).to_string()
}

/// What is said of which member: lists of texts by name.
fn validation(errors: &serde_json::Value, mask: impl FnOnce(&str) -> String) -> ErrorBody {
    let mut said: Vec<String> = Vec::new();
    let mut of_invitations = false;
    for (name, texts) in errors.as_object().into_iter().flatten() {
        of_invitations |= name.eq_ignore_ascii_case("Invitations");
        let texts = texts.as_array().map_or(std::slice::from_ref(texts), Vec::as_slice);
        let texts: Vec<&str> = texts.iter().filter_map(serde_json::Value::as_str).collect();
        // What is wrong with the body as a whole stands under no name.
        let colon = if name.is_empty() || texts.is_empty() { "" } else { ": " };
        said.push(format!("{name}{colon}{}", texts.join(" ")));
    }
    ErrorBody::Validation { said: shown(&said.join("; "), mask), of_invitations }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(response: &str) -> Vec<u8> {
        format!(r#"{{"response":{response},"count":1,"links":[],"status":0,"statusCode":200}}"#).into_bytes()
    }

    #[test]
    fn an_empty_missing_or_odd_link_is_a_refusal_and_a_bad_one_is_unreadable() {
        assert_eq!(link(&answer("\"\"")), Ok(LinkAnswer::NotPermitted));
        assert_eq!(link(&answer("null")), Ok(LinkAnswer::NotPermitted));
        assert_eq!(link(&answer("17")), Ok(LinkAnswer::NotPermitted));
        assert_eq!(link(br#"{"count":0,"status":0,"statusCode":200}"#), Ok(LinkAnswer::NotPermitted));
        let good = link(&answer("\"https://portal.example.com/s/8hVj2mXq5ZdTrPk\""));
        assert!(matches!(good, Ok(LinkAnswer::Link(link)) if link.as_str().ends_with("/s/8hVj2mXq5ZdTrPk")));
        for bad in [
            "javascript:alert(1)",
            "=HYPERLINK(1)",
            "/s/x",
            "https://a b/",
            "https://a/\\n",
            "https://a/\\u202e",
            "https://:b@a/",
        ] {
            assert!(link(&answer(&format!("\"{bad}\""))).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_whole_envelope_means_accepted() {
        assert_eq!(accepted(br#"{"count":0,"links":[],"status":0,"statusCode":200}"#), Ok(()));
        for body in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"status":0}"#,
            r#"{"status":1,"statusCode":200}"#,
            r#"{"status":0,"statusCode":403}"#,
            r#"{"status":"0","statusCode":200}"#,
            r#"{"status":0,"statusCode":200"#,
            r#"{"status":0,"statusCode":200}x"#,
            r#"{"status":0,"status":0,"statusCode":200}"#,
            "\u{feff}{\"status\":0,\"statusCode\":200}",
            "<html>ok</html>",
        ] {
            assert!(accepted(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn an_error_body_is_told_by_its_shape() {
        let body = |text: &str| error_body(text.as_bytes(), str::to_owned);
        assert_eq!(body(" \r\n"), ErrorBody::Empty);
        assert_eq!(body("<html>502</html>"), ErrorBody::Page { title: String::new() });
        assert_eq!(
            body("<!DOCTYPE html>\n<html><head><title>Access denied</title>"),
            ErrorBody::Page { title: "Access denied".to_owned() }
        );
        assert_eq!(body("502 Bad Gateway"), ErrorBody::Other);
        assert_eq!(body(r#"{"type":"x","title":"y","status":403}"#), ErrorBody::Other);
        let validation = |said: &str, of_invitations| ErrorBody::Validation { said: said.to_owned(), of_invitations };
        assert_eq!(body(r#"{"response":{"errors":{}},"status":1}"#), validation("", false));
        for (errors, said, of_invitations) in [
            (r#"{"Culture":["Not valid.","Too\u001b[1m long."]}"#, "Culture: Not valid. Too\\u{1b}[1m long.", false),
            (r#"{"":["A body is needed."],"Count":[17],"Type":"No."}"#, "A body is needed.; Count; Type: No.", false),
            (r#"{"Invitations":["The limit is 5."]}"#, "Invitations: The limit is 5.", true),
            (r#"{"Invitations[0].Email":["No address."]}"#, "Invitations[0].Email: No address.", false),
            (r#"["Invitations"]"#, "", false),
        ] {
            let answer = format!(r#"{{"response":{{"errors":{errors}}},"status":1}}"#);
            assert_eq!(body(&answer), validation(said, of_invitations), "{errors}");
        }
        assert_eq!(
            body(r#"{"error":{"message":"No\u001b[1m","type":"System.InvalidOperationException","stack":"x"}}"#),
            ErrorBody::Envelope { message: "No\\u{1b}[1m".to_owned(), passing: true }
        );
    }
}
