//! What the embedded portal answers.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    faults::{Class, Kind},
    limits::Refused,
    people::User,
    state::{Partition, State, as_ms, hex, lock},
};
use crate::user::{EmployeeType, UserId};

type Stream = futures::stream::BoxStream<'static, Result<Frame<Bytes>, io::Error>>;
type Body = Either<Full<Bytes>, StreamBody<Stream>>;
type Answer = Response<Body>;

/// The id of whoever owns the key.
const CALLER: &str = "66faa6e4-f133-11ea-b126-00ffeec8b4ef";
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Closes the connection without an answer.
#[derive(Debug)]
pub(super) struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dropped by a fault")
    }
}

impl std::error::Error for Dropped {}

/// How the caller is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Nobody,
    Key,
    Token,
    /// An API key that is none: on the congratulation it costs a 403.
    BadKey,
    Bad,
}

/// Answers one request.
pub(super) async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Answer, Dropped> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if path == "/sandbox/stats" {
        let stats = lock(&state).stats();
        return Ok(ok_json(serde_json::to_string(&stats).unwrap_or_default()));
    }
    if path == "/sandbox/mails" {
        let mails = lock(&state).post.mails();
        return Ok(ok_json(serde_json::to_string(&mails).unwrap_or_default()));
    }
    let query = head.uri.query().unwrap_or_default().to_owned();
    // A body is read whole before anything is done, as a real server does.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let route = Route::of(&head.method, &segments);
    let class = route.class();
    let is_read = head.method == Method::GET;
    let is_daily = head.method == Method::POST || head.method == Method::PUT;
    let (place, caller, latency, fault) = {
        let mut state = lock(&state);
        *state.requests.entry(class.name()).or_default() += 1;
        let caller = caller(&state, &head.headers);
        let partition =
            if matches!(caller, Caller::Key | Caller::Token) { Partition::Account } else { Partition::Address };
        let (now_ms, limits) = (state.now_ms(), state.config.limits);
        let place = state.usage.entry(partition).or_default().arrive(&limits, is_read, is_daily, now_ms);
        let fault = if place.is_ok() { state.faults.next(class) } else { None };
        (place.map(|()| (partition, is_read)), caller, state.latency(), fault)
    };
    let place = match place {
        Ok((partition, is_read)) => Place { state: Arc::clone(&state), partition, is_read },
        Err(refused) => return Ok(refusal(&state, refused)),
    };
    if !latency.is_zero() {
        sleep(latency).await;
    }
    let context = Context { state: &state, caller, query: &query, path: &path, method: &head.method, body: &body };
    let answer = faulty(&context, &route, fault).await.map(|answer| dated(&state, answer));
    drop(place);
    answer
}

/// With the time of a clock that is off, if this portal's is.
fn dated(state: &Arc<Mutex<State>>, answer: Answer) -> Answer {
    let off = lock(state).config.clock_off;
    if off.is_zero() {
        return answer;
    }
    #[expect(clippy::disallowed_methods, reason = "the portal has a clock of its own")]
    let theirs = jiff::Timestamp::now().saturating_add(off).unwrap_or_default();
    with_header(answer, DATE, &theirs.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

#[expect(clippy::disallowed_methods, reason = "the portal's own slowness")]
async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// A place in flight. When this is dropped the request is done with, also where the client has gone and nobody waits for
/// the answer; the place is free a moment later (`docspace-contract.md` §5.8).
struct Place {
    state: Arc<Mutex<State>>,
    partition: Partition,
    is_read: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let free_at_ms = state.now_ms().saturating_add(as_ms(state.config.release_lag));
        state.usage.entry(self.partition).or_default().release(self.is_read, free_at_ms);
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Link(String),
    Account(String),
    Congratulation,
    Portal,
    Filter,
    PersonByEmail,
    Myself,
    Person(String),
    MyKey,
    Settings,
    InvitationSettings,
    Version,
    Login,
    Invite,
    InviteAgain,
    Nothing,
}

impl Route {
    /// Routes do not regard case.
    fn of(method: &Method, segments: &[String]) -> Self {
        let lower: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let last = segments.last().cloned().unwrap_or_default();
        match (method.as_str(), lower.as_slice()) {
            ("GET", ["api", "2.0", "portal", "users", "invite", _]) => Self::Link(last),
            ("GET", ["api", "2.0", "portal", "users", _]) => Self::Account(last),
            ("POST", ["api", "2.0", "portal", "sendcongratulations"]) => Self::Congratulation,
            ("GET", ["api", "2.0", "portal"]) => Self::Portal,
            ("GET", ["api", "2.0", "people" | "people.json"] | ["api", "2.0", "people", "filter"]) => Self::Filter,
            ("GET", ["api", "2.0", "people", "email"]) => Self::PersonByEmail,
            ("GET", ["api", "2.0", "people", "@self"]) => Self::Myself,
            ("GET", ["api", "2.0", "people", _]) => Self::Person(last),
            ("GET", ["api", "2.0", "keys", "@self"]) => Self::MyKey,
            ("GET", ["api", "2.0", "settings"]) => Self::Settings,
            ("GET", ["api", "2.0", "settings", "invitationsettings"]) => Self::InvitationSettings,
            ("GET", ["api", "2.0", "settings", "version", "build"]) => Self::Version,
            ("POST", ["api", "2.0", "authentication"]) => Self::Login,
            ("POST", ["api", "2.0", "people", "invite"]) => Self::Invite,
            ("PUT", ["api", "2.0", "people", "invite"]) => Self::InviteAgain,
            _ => Self::Nothing,
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::Link(_) => Class::Link,
            Self::Account(_) | Self::Person(_) | Self::PersonByEmail => Class::User,
            Self::Filter => Class::Listing,
            Self::Congratulation => Class::Congratulation,
            Self::Portal
            | Self::Myself
            | Self::MyKey
            | Self::Settings
            | Self::InvitationSettings
            | Self::Version
            | Self::Login
            | Self::Nothing => Class::Other,
            Self::Invite | Self::InviteAgain => Class::Invitation,
        }
    }

    fn is_anonymous(&self) -> bool {
        matches!(self, Self::InvitationSettings | Self::Version | Self::Congratulation | Self::Login)
    }

    /// Scopes of which an API key must hold one (`docspace-contract.md` §2.2).
    fn scopes(&self) -> &'static [&'static str] {
        match self {
            Self::Link(_) | Self::Account(_) | Self::Portal | Self::Settings => &["*:read", "*:write"],
            Self::Congratulation => &["*:write"],
            Self::InvitationSettings => &["*:read", "*:write"],
            Self::Filter | Self::PersonByEmail => &["accounts:read", "accounts:write", "*:read", "*:write"],
            Self::Invite | Self::InviteAgain => &["accounts:write", "*:write"],
            Self::Myself | Self::Person(_) | Self::MyKey | Self::Version | Self::Login | Self::Nothing => &[],
        }
    }
}

/// `docspace-contract.md` §2.1; prefixes are exact.
fn caller(state: &State, headers: &HeaderMap) -> Caller {
    let Some(value) = headers.get(AUTHORIZATION) else { return Caller::Nobody };
    let Ok(value) = value.to_str() else { return Caller::Bad };
    match value.strip_prefix("Bearer ") {
        Some(key) if key.starts_with("sk-") => {
            if key == state.api_key {
                Caller::Key
            } else {
                Caller::BadKey
            }
        }
        Some(token) if token == state.token => Caller::Token,
        None if value == state.token => Caller::Token,
        Some(_) | None => Caller::Bad,
    }
}

struct Context<'a> {
    state: &'a Arc<Mutex<State>>,
    caller: Caller,
    query: &'a str,
    path: &'a str,
    method: &'a Method,
    body: &'a [u8],
}

async fn faulty(context: &Context<'_>, route: &Route, fault: Option<Kind>) -> Result<Answer, Dropped> {
    let Some(fault) = fault else { return Ok(context.respond(route)) };
    let limits = lock(context.state).config.limits;
    match fault {
        Kind::RefuseWindow => {
            let limit = limits.window.map_or(1500, |(limit, _)| limit);
            Ok(refusal(context.state, Refused::Window { limit }))
        }
        Kind::RefuseInFlight => Ok(refusal(context.state, Refused::InFlight { limit: 15 })),
        Kind::RefuseDaily => Ok(refusal(context.state, Refused::Daily { limit: 10_000, seconds_left: 7200 })),
        Kind::RefuseBare => Ok(empty(StatusCode::TOO_MANY_REQUESTS)),
        Kind::Busy => Ok(with_header(empty(StatusCode::SERVICE_UNAVAILABLE), RETRY_AFTER, "1")),
        Kind::Error => Ok(error(500, "Object reference not set", "System.NullReferenceException")),
        Kind::Gateway => Ok(page(StatusCode::BAD_GATEWAY, "502 Bad Gateway")),
        Kind::DropBefore => Err(Dropped),
        Kind::DropAfter => {
            drop(context.respond(route));
            Err(Dropped)
        }
        Kind::StallBefore => std::future::pending().await,
        Kind::StallAfter => {
            drop(context.respond(route));
            std::future::pending().await
        }
        Kind::Garbage => {
            drop(context.respond(route));
            Ok(page(StatusCode::OK, "It works!"))
        }
        Kind::Cut => {
            drop(context.respond(route));
            let pieces = [Ok(Frame::data(Bytes::from_static(b"{\"count\":0,\"lin"))), Err(io::Error::other("cut"))];
            Ok(stream(futures::stream::iter(pieces).boxed()))
        }
        Kind::Forbid => Ok(error(403, "Access denied", "System.Security.SecurityException")),
        Kind::Unauthorized => Ok(empty(StatusCode::UNAUTHORIZED)),
        Kind::Unpaid => Ok(empty(StatusCode::PAYMENT_REQUIRED)),
        Kind::Redirect => {
            Ok(with_header(empty(StatusCode::MOVED_PERMANENTLY), LOCATION, "https://elsewhere.example/api/2.0/portal"))
        }
        Kind::Wrong => Ok(context.wrong(route)),
        Kind::Endless => {
            let piece = Bytes::from(vec![b' '; 64 << 10]);
            Ok(stream(futures::stream::repeat_with(move || Ok(Frame::data(piece.clone()))).boxed()))
        }
    }
}

impl Context<'_> {
    fn respond(&self, route: &Route) -> Answer {
        if let Some(refused) = self.gate(route) {
            return refused;
        }
        match route {
            Route::Link(kind) => self.link(kind),
            Route::Account(id) => self.account(id),
            Route::Congratulation => self.congratulation(),
            Route::Portal => {
                let tenant = lock(self.state).config.tenant;
                self.success(&json!({ "tenantId": tenant, "name": "Sandbox", "status": 0 }))
            }
            Route::Filter => self.filter(),
            Route::PersonByEmail => {
                let Some(email) = self.parameter("email") else { return empty(StatusCode::BAD_REQUEST) };
                let found = lock(self.state).people.by_email(&email).map(dto);
                found.map_or_else(not_found, |found| self.success(&found))
            }
            Route::Person(id) => {
                let found = id.parse().ok().and_then(|id| lock(self.state).people.by_id(id).map(dto));
                found.map_or_else(not_found, |found| self.success(&found))
            }
            Route::Myself => {
                let role = lock(self.state).config.role;
                self.success(&json!({
                    "id": CALLER, "displayName": "Sandbox Admin", "email": "admin@sandbox.example", "status": 1,
                    "activationStatus": 1, "isOwner": role.is_none(),
                    "isAdmin": role == Some(EmployeeType::DocSpaceAdmin),
                    "isRoomAdmin": role == Some(EmployeeType::RoomAdmin),
                    "isCollaborator": role == Some(EmployeeType::User), "isVisitor": role == Some(EmployeeType::Guest),
                }))
            }
            Route::MyKey if self.caller == Caller::Key => {
                let scopes = lock(self.state).config.scopes.clone();
                self.success(&json!({ "id": CALLER, "name": "sandbox", "permissions": scopes, "isActive": true }))
            }
            Route::MyKey => empty(StatusCode::UNAUTHORIZED),
            Route::Settings => self.success(&json!({ "tenantAlias": "sandbox" })),
            Route::InvitationSettings => {
                let allowed = lock(self.state).config.allow_inviting;
                self.success(&json!({ "allowInvitingMembers": allowed, "allowInvitingGuests": allowed }))
            }
            Route::Version => {
                let version = lock(self.state).config.version.clone();
                self.success(&json!({ "docSpace": version, "communityServer": "", "documentServer": "9.4" }))
            }
            Route::Login => self.login(),
            Route::Invite => self.invite(),
            Route::InviteAgain => self.invite_again(),
            Route::Nothing => empty(StatusCode::NOT_FOUND),
        }
    }

    /// Authentication, then scopes (`docspace-contract.md` §2.3: both with an empty body).
    fn gate(&self, route: &Route) -> Option<Answer> {
        let known = matches!(self.caller, Caller::Key | Caller::Token);
        if *route == Route::Congratulation && self.caller == Caller::BadKey {
            return Some(problem(403, "Forbidden"));
        }
        if !known && !route.is_anonymous() {
            return Some(empty(StatusCode::UNAUTHORIZED));
        }
        let state = lock(self.state);
        let held = &state.config.scopes;
        let limited = self.caller == Caller::Key && !held.is_empty() && !held.iter().any(|scope| scope == "*");
        let allowed = route.scopes().is_empty() || held.iter().any(|scope| route.scopes().contains(&scope.as_str()));
        if limited && !allowed {
            let anonymous = route.is_anonymous();
            return Some(if anonymous { problem(403, "Forbidden") } else { empty(StatusCode::FORBIDDEN) });
        }
        None
    }

    fn link(&self, kind: &str) -> Answer {
        let mut state = lock(self.state);
        let Some(kind) = employee_type(kind) else {
            let errors = json!({ "employeeType": [format!("The value '{kind}' is not valid.")] });
            drop(state);
            return self.validation(&errors);
        };
        if !state.config.allow_inviting {
            return error(403, "Access denied", "System.Security.SecurityException");
        }
        // `docspace-contract.md` §3.1: who may invite whom.
        let may = match (state.config.role, kind) {
            (None, _) => true,
            (Some(EmployeeType::DocSpaceAdmin), kind) => kind != EmployeeType::DocSpaceAdmin,
            (Some(EmployeeType::RoomAdmin), kind) => matches!(kind, EmployeeType::User | EmployeeType::Guest),
            (Some(EmployeeType::User | EmployeeType::Guest), _) => false,
        };
        if !may {
            drop(state);
            return self.success(&json!(""));
        }
        let random: [u8; 8] = rand::RngExt::random(&mut state.chance);
        let link = format!("{}/s/{}", state.origin, hex(&random).get(..15).unwrap_or_default());
        drop(state);
        self.success(&json!(link))
    }

    fn account(&self, id: &str) -> Answer {
        let Some(id) = guid(id) else { return empty(StatusCode::NOT_FOUND) };
        let state = lock(self.state);
        // `docspace-contract.md` §3.2: users and guests see nobody else.
        if matches!(state.config.role, Some(EmployeeType::User | EmployeeType::Guest)) {
            return error(403, "Access denied", "System.Security.SecurityException");
        }
        let (placeholder, tenant) = (state.config.placeholder, state.config.tenant);
        let found = state.people.by_id(id).map(|user| record(user, tenant));
        drop(state);
        match found {
            Some(found) => self.success(&found),
            None if placeholder => self.success(&json!({
                "id": UserId::PLACEHOLDER.to_string(), "firstName": "Unknown", "lastName": "Unknown", "status": 1,
                "activationStatus": 0, "removed": false, "tenantId": 0, "isActive": false,
            })),
            None => not_found(),
        }
    }

    fn congratulation(&self) -> Answer {
        let Some(key) = self.parameter("key").filter(|key| !key.is_empty()) else {
            return error(400, "Value cannot be null. (Parameter 'key')", "System.ArgumentNullException");
        };
        let user = match self.parameter("userid") {
            Some(text) => match guid(&text) {
                Some(user) => user,
                None => return self.validation(&json!({ "userid": [format!("The value '{text}' is not valid.")] })),
            },
            None => UserId::from_bytes([0; 16]),
        };
        let mut state = lock(self.state);
        let accepted = match &state.config.machine_key {
            Some(machine_key) => signed(machine_key, state.config.tenant, user, &key),
            None => key == state.config.congratulation_key,
        };
        if !accepted && !state.config.row_keys.contains(&key) {
            return error(403, "Access denied", "System.Security.SecurityException");
        }
        // Whether the user exists is not looked at; mail goes only to one who does (`docspace-contract.md` §3.3).
        if state.people.by_id(user).is_some() {
            *state.messages.entry(user.to_string()).or_default() += 1;
        }
        drop(state);
        ok_json(format!("{{\"count\":0,{},\"status\":0,\"statusCode\":200}}", self.links()))
    }

    fn filter(&self) -> Answer {
        let number = |name: &str| self.parameter(name).map(|text| text.parse::<usize>());
        let count = match number("count") {
            None => 100,
            Some(Ok(count @ 1..=100)) => count,
            Some(_) => return self.validation(&json!({ "Count": ["The field Count must be between 1 and 100."] })),
        };
        let start = match number("startIndex") {
            None => 0,
            Some(Ok(start)) => start,
            Some(Err(_)) => return self.validation(&json!({ "StartIndex": ["The value is not valid."] })),
        };
        let state = lock(self.state);
        if matches!(state.config.role, Some(EmployeeType::User | EmployeeType::Guest)) {
            return error(403, "Access denied", "System.Security.SecurityException");
        }
        let status: Option<u8> = self.parameter("employeeStatus").and_then(|text| match text.to_lowercase().as_str() {
            "active" => Some(1),
            "terminated" => Some(2),
            "pending" => Some(4),
            other => other.parse().ok().filter(|status| *status != 7),
        });
        let wanted = self.parameter("filterValue").map(|text| text.to_lowercase());
        let matches = |user: &&User| {
            status.is_none_or(|status| user.status == status)
                && wanted.as_ref().is_none_or(|wanted| {
                    format!("{} {} {}", user.first_name, user.last_name, user.email).to_lowercase().contains(wanted)
                })
        };
        let fields = self.parameter("fields");
        let fields: Option<Vec<&str>> = fields.as_deref().map(|fields| fields.split(',').collect());
        let descending =
            self.parameter("sortOrder").is_some_and(|order| order == "1" || order.eq_ignore_ascii_case("descending"));
        let everybody = status.is_none() && wanted.is_none();
        let total = if everybody { state.people.len() } else { state.people.sorted().filter(matches).count() };
        let list: Vec<Value> = if descending {
            state
                .people
                .sorted()
                .rev()
                .filter(matches)
                .skip(start)
                .take(count)
                .map(|user| trimmed(dto(user), fields.as_deref()))
                .collect()
        } else {
            state
                .people
                .sorted()
                .filter(matches)
                .skip(start)
                .take(count)
                .map(|user| trimmed(dto(user), fields.as_deref()))
                .collect()
        };
        drop(state);
        let (shown, list) = (list.len(), Value::Array(list));
        ok_json(format!(
            "{{\"response\":{list},\"count\":{shown},\"total\":{total},{},\"status\":0,\"statusCode\":200}}",
            self.links()
        ))
    }

    /// Handled in order, mails going out as it goes (`docspace-contract.md` §7.1).
    fn invite(&self) -> Answer {
        let asked: Value = serde_json::from_slice(self.body).unwrap_or_default();
        let entries = asked.get("invitations").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut state = lock(self.state);
        if !state.config.allow_inviting {
            return error(403, "Access denied", "System.Security.SecurityException");
        }
        for entry in entries {
            let email = entry.get("email").and_then(Value::as_str).unwrap_or_default().to_lowercase();
            let kind = match entry.get("type") {
                Some(Value::String(name)) => employee_type(name),
                Some(Value::Number(number)) => employee_type(&number.to_string()),
                _ => None,
            };
            let Some(kind) = kind.filter(|_| email.contains('@')) else {
                return error(400, "The email is incorrect", "System.ArgumentException");
            };
            if kind == EmployeeType::Guest {
                return error(403, "Access denied", "System.Security.SecurityException");
            }
            match state.people.by_email(&email).map(|user| user.status) {
                Some(2) => return error(400, "The user is disabled", "System.ArgumentException"),
                Some(_) => {}
                None => {
                    let mut id = [0; 16];
                    id.copy_from_slice(Sha256::digest(&email).get(..16).unwrap_or(&[0; 16]));
                    let mut user = User::of_roster(UserId::from_bytes(id), Some(email.clone()), kind);
                    (user.status, user.activation) = (4, 2);
                    state.people.add(user);
                    *state.invitations.entry(email).or_default() += 1;
                }
            }
        }
        let pending: Vec<Value> = state
            .people
            .sorted()
            .filter(|user| user.status == 4)
            .map(|user| json!({ "id": user.id.to_string() }))
            .collect();
        drop(state);
        self.success(&Value::Array(pending))
    }

    /// Mails go to those who are pending; others are skipped (`docspace-contract.md` §7.2).
    fn invite_again(&self) -> Answer {
        let asked: Value = serde_json::from_slice(self.body).unwrap_or_default();
        let ids = asked.get("userIds").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut state = lock(self.state);
        let mut again = Vec::new();
        for id in ids.iter().filter_map(Value::as_str).filter_map(guid) {
            let pending = state.people.by_id(id).filter(|user| user.status == 4).cloned();
            if let Some(user) = pending {
                again.push(dto(&user));
                *state.invitations.entry(user.email.to_lowercase()).or_default() += 1;
            }
        }
        drop(state);
        self.success(&Value::Array(again))
    }

    fn login(&self) -> Answer {
        let asked: Value = serde_json::from_slice(self.body).unwrap_or_default();
        if asked.get("userName").and_then(Value::as_str).is_none() || asked.get("password").is_none() {
            return error(401, "Authentication failed", "System.Security.Authentication.AuthenticationException");
        }
        let token = lock(self.state).token.clone();
        self.success(&json!({ "token": token, "expires": "2027-11-23T20:00:00.0000000Z", "sms": false, "tfa": false }))
    }

    /// A well-formed answer that is about something else.
    fn wrong(&self, route: &Route) -> Answer {
        match route {
            Route::Link(_) => self.success(&json!("")),
            Route::Account(_) => {
                let other = User::made_up(u32::MAX, 1.0);
                self.success(&record(&other, 1))
            }
            _ => self.success(&json!(null)),
        }
    }

    fn parameter(&self, name: &str) -> Option<String> {
        // Names do not regard case; the first one counts.
        query_pairs(self.query).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn links(&self) -> String {
        let origin = lock(self.state).origin.clone();
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        let href = json!(format!("{origin}{}{query}", self.path));
        format!("\"links\":[{{\"href\":{href},\"action\":\"{}\"}}]", self.method)
    }

    /// The envelope of a success, in its member order (`docspace-contract.md` §2.3).
    fn success(&self, response: &Value) -> Answer {
        ok_json(format!("{{\"response\":{response},\"count\":1,{},\"status\":0,\"statusCode\":200}}", self.links()))
    }

    fn validation(&self, errors: &Value) -> Answer {
        let text = format!(
            "{{\"response\":{{\"type\":\"https://tools.ietf.org/html/rfc9110#section-15.5.1\",\"title\":\"One or more \
             validation errors occurred.\",\"status\":400,\"errors\":{errors},\"traceId\":\"00-0-0-00\"}},\"count\":1,{},\
             \"status\":1,\"statusCode\":400}}",
            self.links()
        );
        json_answer(StatusCode::BAD_REQUEST, text)
    }
}

/// Forms that the route binds: hyphenated, bare, in braces.
fn guid(text: &str) -> Option<UserId> {
    text.parse().ok()
}

fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (unescape(key), unescape(value))
    })
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let value = std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
                bytes.push(value.unwrap_or(b'?'));
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A type by name or number, as the portal's route binds it.
fn employee_type(text: &str) -> Option<EmployeeType> {
    let number = text.parse::<u8>().ok();
    let numbered = EmployeeType::ALL.into_iter().find(|kind| Some(kind.number()) == number);
    numbered.or_else(|| text.parse().ok())
}

/// The raw account record (`docspace-contract.md` §3.2).
fn record(user: &User, tenant: i64) -> Value {
    json!({
        "id": user.id.to_string(), "firstName": user.first_name, "lastName": user.last_name,
        "userName": user.email.split('@').next(), "status": user.status, "activationStatus": user.activation,
        "workFromDate": "2026-11-02T09:12:33", "email": user.email, "removed": false,
        "lastModified": "2026-11-02T09:20:01", "tenantId": tenant, "isActive": user.is_active(),
        "cultureName": user.culture, "mobilePhoneActivationStatus": 0, "ldapQouta": 0,
        "createDate": "2026-11-02T09:12:33", "createdBy": CALLER, "spam": false, "checkActivation": !user.is_active(),
    })
}

/// The entry of the listing (`docspace-contract.md` §6.6).
fn dto(user: &User) -> Value {
    json!({
        "id": user.id.to_string(), "displayName": format!("{} {}", user.first_name, user.last_name),
        "firstName": user.first_name, "lastName": user.last_name, "userName": user.email.split('@').next(),
        "email": user.email, "status": user.status, "activationStatus": user.activation & 3,
        "isAdmin": user.role == EmployeeType::DocSpaceAdmin, "isRoomAdmin": user.role == EmployeeType::RoomAdmin,
        "isOwner": false, "isVisitor": user.role == EmployeeType::Guest,
        "isCollaborator": user.role == EmployeeType::User, "isLDAP": false, "isSSO": false,
        "registrationDate": user.registered, "createdBy": { "id": CALLER, "displayName": "Sandbox Admin" },
    })
}

fn trimmed(mut value: Value, fields: Option<&[&str]>) -> Value {
    if let (Some(fields), Some(members)) = (fields, value.as_object_mut()) {
        members.retain(|name, _| fields.contains(&name.as_str()));
    }
    value
}

/// `docspace-contract.md` §4, read on its own: text first, the eight time bytes after.
fn signed(machine_key: &str, tenant: i64, user: UserId, key: &str) -> bool {
    let mut parts = key.split('.').filter(|part| !part.is_empty());
    let (Some(ms), Some(tag), None) = (parts.next(), parts.next(), parts.next()) else { return false };
    let Ok(ms) = ms.parse::<i64>() else { return false };
    let text = format!("{user}auth|{tenant}|{machine_key}");
    let mut bytes: Vec<u8> =
        text.encode_utf16().map(|unit| if unit < 0x80 { u8::try_from(unit).unwrap_or(b'?') } else { b'?' }).collect();
    bytes.extend(ms.to_le_bytes());
    let digest = Sha256::digest(&bytes);
    let alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*b"+/").collect();
    let mut bits: Vec<bool> =
        digest.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    bits.resize(bits.len().div_ceil(6) * 6, false);
    let letters = bits.chunks(6).map(|six| six.iter().fold(0_usize, |value, bit| value * 2 + usize::from(*bit)));
    let expected: String = letters
        .filter_map(|index| alphabet.get(index).map(|letter| char::from(*letter)))
        .filter(char::is_ascii_alphanumeric)
        .collect();
    #[expect(clippy::disallowed_methods, reason = "the portal has a clock of its own")]
    let now_ms = jiff::Timestamp::now().as_millisecond() - 1_262_304_000_000;
    expected.eq_ignore_ascii_case(tag) && now_ms - ms <= 3_600_000
}

fn response(status: StatusCode, body: Body) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn empty(status: StatusCode) -> Answer {
    response(status, Either::Left(Full::new(Bytes::new())))
}

fn with_header(mut answer: Answer, name: HeaderName, value: &str) -> Answer {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

fn json_answer(status: StatusCode, text: String) -> Answer {
    let mut answer = response(status, Either::Left(Full::new(Bytes::from(text))));
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

fn ok_json(text: String) -> Answer {
    json_answer(StatusCode::OK, text)
}

fn stream(pieces: Stream) -> Answer {
    let mut answer = response(StatusCode::OK, Either::Right(StreamBody::new(pieces)));
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

fn page(status: StatusCode, title: &str) -> Answer {
    let text = format!("<html>\r\n<head><title>{title}</title></head>\r\n<body><h1>{title}</h1></body>\r\n</html>\r\n");
    let answer = response(status, Either::Left(Full::new(Bytes::from(text))));
    with_header(answer, CONTENT_TYPE, "text/html")
}

/// The error envelope (`docspace-contract.md` §2.3).
fn error(status: u16, message: &str, kind: &str) -> Answer {
    let message = json!(message);
    let text = format!(
        "{{\"error\":{{\"message\":{message},\"type\":\"{kind}\",\"stack\":\"   at ASC.Web.Api\",\"hresult\":-2146233078}},\
         \"status\":1,\"statusCode\":{status}}}"
    );
    json_answer(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), text)
}

fn not_found() -> Answer {
    error(404, "The user could not be found", "ASC.Common.Web.ItemNotFoundException")
}

fn problem(status: u16, title: &str) -> Answer {
    let text = json!({ "type": "about:blank", "title": title, "status": status, "traceId": "00-0-0-00" }).to_string();
    let answer = json_answer(StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN), text);
    with_header(answer, CONTENT_TYPE, "application/problem+json")
}

/// 429 with an empty body and the limiter's own headers (`docspace-contract.md` §5.10).
fn refusal(state: &Mutex<State>, refused: Refused) -> Answer {
    let (name, limit, seconds) = match refused {
        Refused::Window { limit } => ("window", limit, None),
        Refused::InFlight { limit } => ("in_flight", limit, None),
        Refused::Daily { limit, seconds_left } => ("daily", limit, Some(seconds_left)),
    };
    *lock(state).refusals.entry(name).or_default() += 1;
    let mut answer = empty(StatusCode::TOO_MANY_REQUESTS);
    let mut header = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    };
    header("x-ratelimit-limit", limit.to_string());
    header("x-ratelimit-remaining", "0".to_owned());
    if let Some(seconds) = seconds {
        #[expect(clippy::disallowed_methods, reason = "the portal has a clock of its own")]
        let now = jiff::Timestamp::now().as_second();
        header("x-ratelimit-reset", (now + i64::try_from(seconds).unwrap_or(0)).to_string());
        header("retry-after", seconds.to_string());
    }
    answer
}
