//! Answers of the portal, from bytes: envelopes, accounts, listings, links (`docspace-contract.md` §2.3, §3, §6).
//!
//! Lenient where the contract says that portals differ (unknown members, numbers or names for enums, absent
//! `statusCode` on a read); strict where a guess would congratulate somebody: `isActive` is a boolean or the answer is
//! unreadable, and a member that occurs twice makes it unreadable too.

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::fault::ErrorBody;
use crate::{
    display::{Shown, is_plain},
    user::{Email, UserId},
};

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

/// What a portal knows of a user, as far as a congratulation depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose account this is.
    pub id: UserId,
    /// `isActive`: whether the e-mail address was confirmed, and nothing else.
    pub is_active: bool,
    /// Whether the account is enabled, pending or disabled; absent where the portal does not say.
    pub status: Option<AccountStatus>,
    /// Whether the account was removed.
    pub removed: bool,
    /// The address, where there is a readable one.
    pub email: Option<Email>,
    /// The portal's number for the tenant; 0 and placeholders left out.
    pub tenant: Option<i64>,
}

impl Account {
    /// Whether a congratulation is due: active, enabled, not removed.
    pub fn is_due(&self) -> bool {
        self.is_active && !self.removed && matches!(self.status, None | Some(AccountStatus::Enabled))
    }
}

/// `status` of an account (`docspace-contract.md` §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    /// 1.
    Enabled,
    /// 2: an administrator disabled it.
    Disabled,
    /// 4: invited by mail, not joined.
    Pending,
    /// Any other number or name.
    Other,
}

/// One page of the user listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many users match in all, as of this page.
    pub total: u64,
    /// How many entries the page held, readable or not.
    pub entries: usize,
    /// The entries that could be read whole.
    pub accounts: Vec<Account>,
}

/// Members that every envelope has; `response` is read by whoever asked.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    status: Option<i64>,
    #[serde(rename = "statusCode")]
    status_code: Option<i64>,
    total: Option<u64>,
}

/// The body is not the envelope of a success.
pub type Unreadable = &'static str;

fn envelope(body: &[u8]) -> Result<Envelope<'_>, Unreadable> {
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

/// A number or a name, as older and newer portals write enums.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrName {
    Number(i64),
    Name(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountDto {
    id: String,
    #[serde(default, deserialize_with = "present")]
    is_active: Option<bool>,
    #[serde(default)]
    activation_status: Option<NumberOrName>,
    #[serde(default)]
    status: Option<NumberOrName>,
    #[serde(default)]
    removed: Option<bool>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default, alias = "tenant")]
    tenant_id: Option<serde_json::Value>,
}

/// `null` is no boolean, unlike an absent member.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    bool::deserialize(deserializer).map(Some).map_err(de::Error::custom)
}

impl AccountDto {
    /// `None` where it does not say whether the user is active, or for whom it speaks.
    fn into_account(self, is_active: impl FnOnce(&Self) -> Option<bool>) -> Option<Account> {
        let is_active = is_active(&self)?;
        let id: UserId = self.id.parse().ok()?;
        let status = self.status.map(|status| match status {
            NumberOrName::Number(1) => AccountStatus::Enabled,
            NumberOrName::Number(2) => AccountStatus::Disabled,
            NumberOrName::Number(4) => AccountStatus::Pending,
            NumberOrName::Number(_) => AccountStatus::Other,
            NumberOrName::Name(name) if name.eq_ignore_ascii_case("active") => AccountStatus::Enabled,
            NumberOrName::Name(name) if name.eq_ignore_ascii_case("terminated") => AccountStatus::Disabled,
            NumberOrName::Name(name) if name.eq_ignore_ascii_case("pending") => AccountStatus::Pending,
            NumberOrName::Name(_) => AccountStatus::Other,
        });
        Some(Account {
            id,
            is_active,
            status,
            removed: self.removed.unwrap_or(false),
            email: self.email.and_then(|email| email.parse().ok()),
            tenant: self.tenant_id.and_then(|tenant| tenant.as_i64()).filter(|tenant| *tenant > 0),
        })
    }

    /// In a listing there is no `isActive`: it is bit 1 of `activationStatus` (`docspace-contract.md` §6.6).
    fn activated(&self) -> Option<bool> {
        match &self.activation_status {
            Some(NumberOrName::Number(flags)) => Some(flags & 1 != 0),
            Some(NumberOrName::Name(name)) if name.eq_ignore_ascii_case("activated") => Some(true),
            Some(NumberOrName::Name(name))
                if ["notactivated", "pending", "autogenerated"]
                    .iter()
                    .any(|other| name.eq_ignore_ascii_case(other)) =>
            {
                Some(false)
            }
            Some(NumberOrName::Name(_)) | None => None,
        }
    }
}

/// The answer to a question for one user, by id.
pub fn account(body: &[u8]) -> Result<Account, Unreadable> {
    let response = envelope(body)?.response.ok_or("the account is missing from it")?;
    let dto: AccountDto =
        serde_json::from_str(response.get()).map_err(|_garbled| "the account in it cannot be read")?;
    dto.into_account(|dto| dto.is_active).ok_or("it does not say whether the user is active")
}

/// The answer to a question for one user, by address: an entry as in the listing.
pub fn person(body: &[u8]) -> Result<Account, Unreadable> {
    let response = envelope(body)?.response.ok_or("the user is missing from it")?;
    let dto: AccountDto = serde_json::from_str(response.get()).map_err(|_garbled| "the user in it cannot be read")?;
    dto.into_account(AccountDto::activated).ok_or("it does not say whether the user is active")
}

/// The answer to a question for a page of the listing. Entries that cannot be read are left out: those users are asked
/// for one by one.
pub fn page(body: &[u8]) -> Result<Page, Unreadable> {
    let envelope = envelope(body)?;
    let response = envelope.response.ok_or("the list of users is missing from it")?;
    let entries: Vec<&RawValue> =
        serde_json::from_str(response.get()).map_err(|_garbled| "the list of users in it cannot be read")?;
    let accounts = entries
        .iter()
        .filter_map(|entry| serde_json::from_str::<AccountDto>(entry.get()).ok())
        .filter_map(|dto| dto.into_account(AccountDto::activated))
        .collect();
    let total = envelope.total.ok_or("the listing does not say how many users there are")?;
    Ok(Page { total, entries: entries.len(), accounts })
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
    let Ok(envelope) = serde_json::from_slice::<ErrorEnvelope>(body) else { return ErrorBody::Other };
    match (envelope.error, envelope.response) {
        (Some(error), _) => {
            let message = error.message.unwrap_or_default();
            let end = message.char_indices().map(|(at, _)| at).find(|at| *at > MAX_MESSAGE).unwrap_or(message.len());
            let message = mask(message.get(..end).unwrap_or_default());
            ErrorBody::Envelope {
                message: Shown(message.trim()).to_string(),
                passing: error.kind.as_deref() == Some("System.InvalidOperationException"),
            }
        }
        (None, Some(response)) if response.get("errors").is_some() => ErrorBody::Validation,
        (None, _) => ErrorBody::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10";

    fn answer(response: &str) -> Vec<u8> {
        format!(r#"{{"response":{response},"count":1,"links":[],"status":0,"statusCode":200}}"#).into_bytes()
    }

    fn one(members: &str) -> Result<Account, Unreadable> {
        account(&answer(&format!(r#"{{"id":"{ID}"{members}}}"#)))
    }

    #[test]
    fn an_account_is_due_only_if_active_enabled_and_not_removed() {
        let due = |members| one(members).map(|account| account.is_due());
        assert_eq!(due(r#","isActive":true,"status":1,"removed":false"#), Ok(true));
        assert_eq!(due(r#","isActive":true"#), Ok(true));
        assert_eq!(due(r#","isActive":true,"status":"Active""#), Ok(true));
        assert_eq!(due(r#","isActive":true,"status":2"#), Ok(false));
        assert_eq!(due(r#","isActive":true,"status":4"#), Ok(false));
        assert_eq!(due(r#","isActive":true,"status":1,"removed":true"#), Ok(false));
        assert_eq!(due(r#","isActive":false,"status":1"#), Ok(false));
    }

    #[test]
    fn activity_is_never_guessed() {
        for members in [
            "",
            r#","isActive":null"#,
            r#","isActive":"true""#,
            r#","isActive":1"#,
            r#","isActive":true,"isActive":false"#,
            r#","isActive":true,"id":"66faa6e4-f133-11ea-b126-00ffeec8b4ef""#,
            r#","isActive":true,"status":[1]"#,
            r#","isActive":true,"removed":"no""#,
        ] {
            assert!(one(members).is_err(), "{members}");
        }
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
    fn a_page_keeps_what_it_can_read() {
        let body = format!(
            r#"{{"response":[{{"id":"{ID}","activationStatus":5,"status":1,"email":"Ann@Example.com"}},
            {{"id":"x","activationStatus":1}},{{"id":"{ID}"}},7],"count":4,"total":120,"status":0,"statusCode":200}}"#
        );
        let page = page(body.as_bytes()).expect("a page");
        assert_eq!((page.total, page.entries, page.accounts.len()), (120, 4, 1));
        assert!(page.accounts[0].is_due());
        assert_eq!(page.accounts[0].email.as_ref().map(Email::as_str), Some("ann@example.com"));
    }

    #[test]
    fn an_error_body_is_told_by_its_shape() {
        let body = |text: &str| error_body(text.as_bytes(), str::to_owned);
        assert_eq!(body(" \r\n"), ErrorBody::Empty);
        assert_eq!(body("<html>502</html>"), ErrorBody::Other);
        assert_eq!(body(r#"{"type":"x","title":"y","status":403}"#), ErrorBody::Other);
        assert_eq!(body(r#"{"response":{"errors":{}},"status":1}"#), ErrorBody::Validation);
        assert_eq!(
            body(r#"{"error":{"message":"No\u001b[1m","type":"System.InvalidOperationException","stack":"x"}}"#),
            ErrorBody::Envelope { message: "No\\u{1b}[1m".to_owned(), passing: true }
        );
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(account(&answer(&deep)).is_err());
        assert_eq!(error_body(deep.as_bytes(), str::to_owned), ErrorBody::Other);
    }
}
