//! From settings to a portal that a run can ask.

use std::time::Duration;

use anyhow::Context;

use super::Telling;
use crate::{
    access::{self, Entry},
    attempt::Mail,
    origin::Origin,
    portal::{Access, Portal},
    roster::Roster,
    sandbox::{self, Sandbox},
    secret::Secret,
    settings::Settings,
};

/// The embedded portal of `--sandbox` answers in this time, so that there is something to see.
const SANDBOX_LATENCY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(60));

/// A portal that can be asked.
pub(super) struct Reached {
    pub(super) portal: Portal,
    pub(super) origin: Origin,
    /// Its name, for people.
    pub(super) name: String,
    pub(super) account: [u8; 8],
    /// Serves as long as it is held.
    pub(super) sandbox: Option<Sandbox>,
}

/// The portal of the settings, or the embedded one; nothing is sent.
pub(super) fn reach(
    settings: &Settings,
    roster: &Roster,
    machine_key: Option<&Secret>,
    telling: &mut Telling<'_>,
) -> Result<Reached, anyhow::Error> {
    let reached = if settings.sandbox {
        sandboxed(settings, roster, machine_key)?
    } else {
        let Entry { portal, address, account, remarks } =
            access::entry(&settings.portal, settings.mail == Mail::Congratulation)?;
        for remark in &remarks {
            (telling.say)(&format!("warning: {remark}"));
        }
        let origin = address.origin();
        Reached { portal, name: origin.to_string(), origin, account, sandbox: None }
    };
    Ok(match machine_key {
        Some(machine_key) => Reached { portal: reached.portal.masking(machine_key.clone()), ..reached },
        None => reached,
    })
}

/// An embedded portal in which the roster's users exist, and which keeps the limits that the run is told of.
fn sandboxed(settings: &Settings, roster: &Roster, machine_key: Option<&Secret>) -> Result<Reached, anyhow::Error> {
    let users = sandbox::users_of(roster).context("the roster's copy cannot be read again")?;
    let window_ms = u64::try_from(settings.limits.rate.window.as_millis()).unwrap_or(u64::MAX);
    // Without rest after an answer the run is meant for a portal without this limiter.
    let in_flight = !settings.limits.hold_off.is_zero();
    let config = sandbox::Config {
        users,
        congratulation_key: settings.sending.key.clone(),
        row_keys: sandbox::keys_of(roster)?,
        machine_key: machine_key.map(|key| key.expose().to_owned()),
        limits: sandbox::Limits {
            window: Some((settings.limits.rate.requests, window_ms)),
            reads: in_flight.then_some(settings.limits.max_reads),
            writes: in_flight.then_some(settings.limits.max_writes),
            daily: None,
        },
        latency: SANDBOX_LATENCY,
        ..sandbox::Config::default()
    };
    let sandbox = Sandbox::start(config).context("the embedded portal cannot be started")?;
    let address = sandbox.origin().parse().context("the embedded portal has an odd address")?;
    let key = Secret::new("API key", sandbox.api_key().to_owned())?;
    let account = key.fingerprint();
    let timeout = settings.portal.timeout;
    let portal = Portal::new(Access { address, key, timeout, ca_file: None, proxy: None })?;
    let name = "the embedded portal".to_owned();
    Ok(Reached { portal, origin: Origin::of_sandbox(), name, account, sandbox: Some(sandbox) })
}
