//! What the embedded portal is told, what it knows, and what it saw.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    faults::{Fault, Faults},
    limits::{Limits, Usage},
    people::{People, User},
    post::{MailConfig, Post},
};
use crate::user::EmployeeType;

/// How the embedded portal behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// The port; 0 takes any.
    pub port: u16,
    /// The API key; made up where absent.
    pub api_key: Option<String>,
    /// Its users.
    pub users: Vec<User>,
    /// Its limits.
    pub limits: Limits,
    /// How long a place in flight stays taken after the answer.
    pub release_lag: Duration,
    /// How long a request takes, from and to.
    pub latency: (Duration, Duration),
    /// The key that a congratulation must have, unless it must be signed.
    pub congratulation_key: String,
    /// Further congratulation keys that it accepts.
    pub row_keys: HashSet<String>,
    /// The machine key with which congratulation keys must be signed, and the tenant.
    pub machine_key: Option<String>,
    /// The tenant's number.
    pub tenant: i64,
    /// Whose key it is: `None` is the owner's.
    pub role: Option<EmployeeType>,
    /// The key's scopes; none means all.
    pub scopes: Vec<String>,
    /// Whether people may be invited at all.
    pub allow_inviting: bool,
    /// Whether an unknown user is answered by a placeholder, as before release 3.7.
    pub placeholder: bool,
    /// What `settings/version/build` says.
    pub version: String,
    /// How far its clock is ahead.
    pub clock_off: jiff::SignedDuration,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Its mail server.
    pub mail: MailConfig,
    /// Makes latencies and faults repeatable.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            api_key: None,
            users: Vec::new(),
            limits: Limits::SHIPPED,
            release_lag: Duration::from_millis(2),
            latency: (Duration::ZERO, Duration::ZERO),
            congratulation_key: "welcome_guest".to_owned(),
            row_keys: HashSet::new(),
            machine_key: None,
            tenant: 1,
            role: None,
            scopes: Vec::new(),
            allow_inviting: true,
            placeholder: false,
            version: "3.7.2".to_owned(),
            clock_off: jiff::SignedDuration::ZERO,
            faults: Vec::new(),
            mail: MailConfig::default(),
            seed: 1,
        }
    }
}

/// What the embedded portal saw.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Stats {
    /// Congratulations that had their effect, by user.
    pub messages: BTreeMap<String, u32>,
    /// Invitation mails, by address.
    pub invitations: BTreeMap<String, u32>,
    /// Mails that its mail server took, by recipient.
    pub mails: BTreeMap<String, u32>,
    /// Requests that arrived, by class.
    pub requests: BTreeMap<&'static str, u64>,
    /// Requests refused, by limiter.
    pub refusals: BTreeMap<&'static str, u64>,
    /// The most requests that one account had in any window.
    pub peak_window: usize,
    /// The most questions in flight of one account.
    pub peak_reads: u32,
    /// The most other requests in flight of one account.
    pub peak_writes: u32,
}

impl Stats {
    /// Requests that arrived, of every class.
    pub fn total_requests(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Requests that were refused, by every limiter.
    pub fn total_refusals(&self) -> u64 {
        self.refusals.values().sum()
    }
}

/// Everything that the portal knows.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: Config,
    pub(super) origin: String,
    pub(super) api_key: String,
    pub(super) token: String,
    pub(super) people: People,
    pub(super) usage: HashMap<Partition, Usage>,
    pub(super) faults: Faults,
    pub(super) post: Post,
    pub(super) chance: StdRng,
    pub(super) started: Instant,
    pub(super) messages: BTreeMap<String, u32>,
    pub(super) invitations: BTreeMap<String, u32>,
    pub(super) requests: BTreeMap<&'static str, u64>,
    pub(super) refusals: BTreeMap<&'static str, u64>,
}

/// Whose limits count a request (`docspace-contract.md` §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Partition {
    Account,
    Address,
}

impl State {
    pub(super) fn new(mut config: Config, address: SocketAddr, api_key: String, token: String) -> Self {
        let users = std::mem::take(&mut config.users);
        Self {
            origin: format!("http://{address}"),
            people: People::new(users),
            faults: Faults::new(config.faults.clone(), config.seed),
            post: Post::new(config.mail.clone(), config.seed),
            chance: StdRng::seed_from_u64(config.seed),
            usage: HashMap::new(),
            #[expect(clippy::disallowed_methods, reason = "the portal has a clock of its own")]
            started: Instant::now(),
            messages: BTreeMap::new(),
            invitations: BTreeMap::new(),
            requests: BTreeMap::new(),
            refusals: BTreeMap::new(),
            config,
            api_key,
            token,
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        as_ms(self.started.elapsed())
    }

    pub(super) fn latency(&mut self) -> Duration {
        let (from, to) = self.config.latency;
        if to <= from { from } else { self.chance.random_range(from..=to) }
    }

    pub(super) fn stats(&self) -> Stats {
        let most = |of: fn(&Usage) -> u32| self.usage.values().map(of).max().unwrap_or(0);
        Stats {
            messages: self.messages.clone(),
            invitations: self.invitations.clone(),
            mails: self.post.counted.clone(),
            requests: self.requests.clone(),
            refusals: self.refusals.clone(),
            peak_window: self.usage.values().map(|usage| usage.peak_window).max().unwrap_or(0),
            peak_reads: most(|usage| usage.peak_reads),
            peak_writes: most(|usage| usage.peak_writes),
        }
    }
}

pub(super) fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A test that panicked while it looked changed nothing here.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
