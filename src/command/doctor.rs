//! `onboard doctor`: whether a run could work, a line for each thing that it needs. Sends nothing to anybody.

use std::io::Write;

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use serde_json::Value;

use super::mail_server;
use crate::{
    access,
    cli::DoctorArgs,
    display::{Grouped, Shown, Span, moment},
    environment::Environment,
    ledger::{LedgerError, places},
    place::{self, Place},
    portal::{ErrorBody, Fault, Portal, Wanted},
    secret::Secret,
    terminal::Screen,
};

/// A signed key is good for an hour; a clock that is further off than this is worth a word.
const SKEW: SignedDuration = SignedDuration::from_secs(60);
/// The portal does not take keys that were signed longer ago, or in its future by as much (`docspace-contract.md` §4).
const FATAL_SKEW: SignedDuration = SignedDuration::from_mins(55);

/// What to do where somebody before the portal spoke.
const LET_THROUGH: &str = "have this machine's requests let through there, or go to where the portal itself answers";

fn or_let_through<'t>(fault: &Fault, otherwise: &'t str) -> &'t str {
    if fault.by_another() { LET_THROUGH } else { otherwise }
}

/// One thing that was looked at.
#[derive(Debug, serde::Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, check: &'static str, message: impl Into<String>) {
        self.0.push(Finding { check, ok: true, message: message.into(), next: None });
    }

    fn bad(&mut self, check: &'static str, message: impl Into<String>, next: impl Into<String>) {
        self.0.push(Finding { check, ok: false, message: message.into(), next: Some(next.into()) });
    }
}

pub(super) fn execute(args: &DoctorArgs, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let entry = access::entry(&args.portal.settings(), false)?;
    for remark in &entry.remarks {
        screen.say(&format!("warning: {remark}"));
    }
    let mut findings = Findings::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(look(args, &entry, &mut findings));
    look_at_ledger(args, &entry, &mut findings);
    if let Some(server) = &args.smtp.smtp {
        for seen in runtime.block_on(mail_server::look(args, server, &Environment::of_process())) {
            match seen.next {
                Some(next) => findings.bad(seen.check, seen.message, next),
                None => findings.good(seen.check, seen.message),
            }
        }
    }
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &findings.0)?;
        writeln!(out)?;
    } else {
        for finding in &findings.0 {
            writeln!(out, "{} {:<14} {}", if finding.ok { "✓" } else { "✗" }, finding.check, finding.message)?;
            if let Some(next) = &finding.next {
                writeln!(out, "  {:<14} next: {next}", "")?;
            }
        }
    }
    out.flush()?;
    Ok(if findings.0.iter().all(|finding| finding.ok) { 0 } else { 3 })
}

async fn look(args: &DoctorArgs, entry: &access::Entry, findings: &mut Findings) {
    if !look_at_name(entry, findings).await {
        return;
    }
    let now = now();
    match entry.portal.version().await {
        Ok((version, date)) => {
            findings.good("reachable", format!("{} answers", entry.address));
            match version {
                Some(version) => findings.good("version", format!("DocSpace {}", Shown(&version))),
                None => findings.good("version", "the portal does not tell it"),
            }
            look_at_clock(date.as_deref(), now, findings);
        }
        Err(fault) => {
            let next = match &fault {
                _ if fault.by_another() => LET_THROUGH,
                Fault::NotSent { .. } | Fault::Lost(_) => "check the address, the network and the certificate",
                Fault::Redirected { .. } => "give the final address with --portal; redirects are not followed",
                Fault::Answered { status: 401 | 403, .. } => "check the key: the portal does not take it even here",
                Fault::Refused(_) => "wait a minute: somebody uses up the limits of this account or address",
                Fault::Answered { .. } | Fault::Unreadable(_) => "check the address: this is no DocSpace portal",
            };
            return findings.bad("reachable", fault.to_string(), next);
        }
    }
    let Some(role) = look_at_key(&entry.portal, findings).await else { return };
    look_at_permissions(&entry.portal, role, findings).await;
    look_at_congratulation_key(args, &entry.portal, findings).await;
}

async fn look_at_name(entry: &access::Entry, findings: &mut Findings) -> bool {
    let host = entry.address.host().to_owned();
    if let Some(proxy) = entry.portal.proxy() {
        findings.good("name", format!("{host} is looked up by the proxy {proxy}, through which everything goes"));
        return true;
    }
    let port = entry.address.port();
    let literal = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    match tokio::net::lookup_host((literal.as_str(), port)).await {
        Ok(addresses) => {
            let count = addresses.count();
            let what = if count == 1 { "address" } else { "addresses" };
            findings.good("name", format!("{host} has {count} {what}"));
            true
        }
        Err(error) => {
            findings.bad("name", format!("{host} cannot be resolved: {error}"), "check the spelling of the address");
            false
        }
    }
}

fn look_at_clock(date: Option<&str>, now: Timestamp, findings: &mut Findings) {
    let Some(theirs) = date.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok()) else {
        return findings.good("clock", "the portal does not tell the time");
    };
    let skew = now.duration_since(theirs).abs();
    let text = format!("{} apart from the portal's", Span(skew.unsigned_abs()));
    if skew >= FATAL_SKEW {
        findings.bad("clock", text, "set this machine's clock: signed keys are good for an hour only");
    } else if skew >= SKEW {
        findings.bad("clock", text, "set this machine's clock; signed keys still work");
    } else {
        findings.good("clock", "agrees with the portal's");
    }
}

/// What the caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Guest,
    User,
    RoomAdmin,
    Admin,
    Owner,
}

async fn look_at_key(portal: &Portal, findings: &mut Findings) -> Option<Role> {
    let myself = match portal.ask("/api/2.0/people/@self", &[]).await {
        Ok(myself) => myself,
        Err(fault) => {
            let next = match &fault {
                _ if fault.by_another() => LET_THROUGH,
                Fault::Answered { status: 401, .. } => {
                    "make a new key (Developer Tools, API keys): this one is mistyped, expired, switched off, or its \
                     owner's account is disabled"
                }
                Fault::Answered { status: 403, .. } => "give the key the scope *:write",
                Fault::Answered { status: 402, .. } => "settle the portal's plan with its owner",
                Fault::Answered { status: 404, .. } => "check the address: the portal may be suspended",
                _ => "try again; if it stays, check the address",
            };
            findings.bad("key", fault.to_string(), next);
            return None;
        }
    };
    let flag = |name: &str| myself.get(name).and_then(Value::as_bool).unwrap_or(false);
    let (role, name) = if flag("isOwner") {
        (Role::Owner, "the portal's owner")
    } else if flag("isAdmin") {
        (Role::Admin, "a DocSpace admin")
    } else if flag("isRoomAdmin") {
        (Role::RoomAdmin, "a room admin")
    } else if flag("isVisitor") {
        (Role::Guest, "a guest")
    } else {
        (Role::User, "a user")
    };
    let who = myself.get("displayName").and_then(Value::as_str).unwrap_or("somebody");
    findings.good("key", format!("accepted: it is the key of {}, {name}", Shown(who)));
    if portal.uses_api_key() {
        look_at_scopes(portal, findings).await;
    } else {
        findings.good("scopes", "a login token may do whatever its owner may");
    }
    Some(role)
}

async fn look_at_scopes(portal: &Portal, findings: &mut Findings) {
    let key = match portal.ask("/api/2.0/keys/@self", &[]).await {
        Ok(key) => key,
        Err(fault) => {
            return findings.bad(
                "scopes",
                fault.to_string(),
                or_let_through(&fault, "look at the key in the portal's settings"),
            );
        }
    };
    let scopes: Vec<String> = key
        .get("permissions")
        .and_then(Value::as_array)
        .map(|scopes| scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    let everything = scopes.is_empty() || scopes.iter().any(|scope| scope == "*" || scope == "*:write");
    let shown = Shown(&scopes.join(", ")).to_string();
    if everything {
        findings.good("scopes", "links, statuses and congratulations");
    } else if scopes.iter().any(|scope| scope == "*:read") {
        let next = "give the key the scope *:write: a congratulation needs it";
        findings.bad("scopes", format!("{shown}: links and statuses, but no congratulations"), next);
    } else {
        let next = "give the key the scope *:write; accounts:read and accounts:write are not enough";
        findings.bad("scopes", format!("{shown}: neither links nor congratulations"), next);
    }
    if let Some(expires) = key.get("expiresAt").and_then(Value::as_str) {
        findings.good("expiry", format!("the key expires {}", Shown(expires)));
    }
}

async fn look_at_permissions(portal: &Portal, role: Role, findings: &mut Findings) {
    let allowed = match portal.ask("/api/2.0/settings/invitationsettings", &[]).await {
        Ok(settings) => settings.get("allowInvitingMembers").and_then(Value::as_bool).unwrap_or(true),
        // Releases before 3.2 have no such setting.
        Err(_) => true,
    };
    match role {
        _ if !allowed => {
            let next = "switch on inviting members in the portal's settings, or go without links";
            findings.bad("links", "inviting is switched off for the whole portal: no links", next);
        }
        Role::Owner => findings.good("links", "all types"),
        Role::Admin => findings.good("links", "all types but DocSpaceAdmin, which only the owner may invite"),
        Role::RoomAdmin => findings.good("links", "User and Guest; not RoomAdmin and DocSpaceAdmin"),
        Role::User | Role::Guest => findings.bad("links", "none: users and guests invite nobody", "use an admin's key"),
    }
    let seen = portal.page(0, Wanted::Everything { status: None }).await;
    match seen {
        Ok(_) if role >= Role::Admin => findings.good("statuses", "of all users"),
        Ok(_) => findings.bad("statuses", "not of everybody: a room admin sees few", "use a DocSpace admin's key"),
        Err(Fault::Answered { status: 403, body: ErrorBody::Envelope { .. } }) => {
            findings.bad("statuses", "this account may not see the users", "use a DocSpace admin's key");
        }
        Err(fault) => {
            let next = or_let_through(&fault, "give the key the scope *:write");
            findings.bad("statuses", fault.to_string(), next);
        }
    }
}

async fn look_at_congratulation_key(args: &DoctorArgs, portal: &Portal, findings: &mut Findings) {
    let check = "congratulation";
    let Some(path) = &args.sign_with else {
        return findings.bad(
            check,
            "the key is not signed: a real portal answers 403 to a name like welcome_guest",
            "self-hosted: --sign-with FILE with the portal's machine key; cloud: only the vendor can sign, see `onboard \
             invite`",
        );
    };
    if let Err(error) = Secret::read_machine_key(path) {
        return findings.bad(check, error.to_string(), "give the path of a file with the machine key");
    }
    let tenant = match args.tenant {
        Some(tenant) => Ok(tenant),
        None => portal.tenant().await,
    };
    match tenant {
        Ok(tenant) => findings.good(
            check,
            format!(
                "can be signed for tenant {tenant}; whether the machine key is this portal's shows with the first \
                 message only: onboard run ROSTER --limit 1"
            ),
        ),
        Err(fault) => findings.bad(check, format!("the tenant number is not known: {fault}"), "give it with --tenant"),
    }
}

/// How often the store of a ledger elsewhere has to win a race.
const RACES: u32 = 20;

fn look_at_ledger(args: &DoctorArgs, entry: &access::Entry, findings: &mut Findings) {
    let place = match place::place(args.ledger.as_deref(), Some(&entry.address.origin())) {
        Ok(place) => place,
        Err(error) => return findings.bad("ledger", error.to_string(), "keep it on storage that outlives the job"),
    };
    let environment = Environment::of_process();
    let shown = place.name();
    if let Place::File(path) = &place
        && !path.exists()
    {
        return findings.good("ledger", format!("{shown} is made by the first run"));
    }
    let looked =
        places::look(&place, &environment, |text| findings.good("clock", text.to_owned())).and_then(|mut ledger| {
            ledger.check_standing()?;
            ledger.look_at(&entry.address.origin(), &[])?;
            ledger.used(Some(entry.account), std::time::Duration::ZERO)
        });
    let used = match looked {
        Ok(used) => used,
        // Whoever only looks makes nothing at a place where no ledger is: no race is run there.
        Err(error @ LedgerError::NoLog(_)) => {
            return findings.bad(
                "ledger",
                error.to_string(),
                "make it with `onboard ledger init`, or name another with --ledger",
            );
        }
        Err(error) => return findings.bad("ledger", error.to_string(), "name another ledger with --ledger"),
    };
    findings.good("ledger", format!("{shown} is readable"));
    let frees_at = used.frees_in.and_then(|frees_in| now().checked_add(frees_in).ok());
    let from = frees_at.map(|at| format!(", the first of them free again {}", moment(at)));
    let from = from.unwrap_or_default();
    findings.good("daily writes", format!("{} in the last 24 hours{from}", Grouped(used.daily)));
    if !matches!(place, Place::File(_)) {
        if let Ok(Some(promises)) = places::promises(&place, &environment) {
            findings.good("server", promises);
        }
        match places::probe(&place, &environment, RACES) {
            Ok(()) => findings.good("store", format!("of {RACES} races of 16 creates each had exactly one winner")),
            Err(error) => {
                findings.bad("store", error.to_string(), "no run can write a ledger there; name another with --ledger");
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "clocks are what is compared")]
fn now() -> Timestamp {
    Timestamp::now()
}
