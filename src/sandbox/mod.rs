//! The embedded portal: a real HTTP server on loopback that behaves as `docspace-contract.md` says, byte shapes
//! included. It serves demonstrations and is the test double of the whole suite; it counts what it saw.
//!
//! It shares no encoding with the client: two readings of the contract check each other.

mod faults;
mod limits;
mod people;
mod routes;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{net::TcpListener, sync::oneshot};

use self::{faults::Faults, limits::Usage, people::People};
pub use self::{
    faults::{Class, Fault},
    limits::Limits,
    people::{User, keys_of, users_of},
};
use crate::user::{EmployeeType, UserId};

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

/// An embedded portal, serving until dropped.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    api_key: String,
    token: String,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sandbox {
    /// Starts serving, on a thread of its own.
    pub fn start(config: Config) -> io::Result<Self> {
        let mut random = rand::make_rng::<StdRng>();
        let api_key = config.api_key.clone().unwrap_or_else(|| format!("sk-{}", hex(&random.random::<[u8; 32]>())));
        let token = hex(&random.random::<[u8; 24]>());
        let listener = std::net::TcpListener::bind(("127.0.0.1", config.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::new(config, address, api_key.clone(), token.clone())));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&state);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, serve(listener, served, stopped));
        })?;
        Ok(Self { address, api_key, token, state, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its origin, as a portal's address.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The API key.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The token, as the login call gives it.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What it saw so far.
    pub fn stats(&self) -> Stats {
        lock(&self.state).stats()
    }

    /// Changes a user while it serves; `false` where there is no such user.
    pub fn change_user(&self, id: UserId, change: impl FnOnce(&mut User)) -> bool {
        lock(&self.state).people.change(id, change)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // If it is gone already there is nothing to stop.
            let _gone = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Everything that the portal knows.
#[derive(Debug)]
struct State {
    config: Config,
    origin: String,
    api_key: String,
    token: String,
    people: People,
    usage: HashMap<Partition, Usage>,
    faults: Faults,
    chance: StdRng,
    started: Instant,
    messages: BTreeMap<String, u32>,
    invitations: BTreeMap<String, u32>,
    requests: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<&'static str, u64>,
}

/// Whose limits count a request (`docspace-contract.md` §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Partition {
    Account,
    Address,
}

impl State {
    fn new(mut config: Config, address: SocketAddr, api_key: String, token: String) -> Self {
        let users = std::mem::take(&mut config.users);
        Self {
            origin: format!("http://{address}"),
            people: People::new(users),
            faults: Faults::new(config.faults.clone(), config.seed),
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

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn latency(&mut self) -> Duration {
        let (from, to) = self.config.latency;
        if to <= from { from } else { self.chance.random_range(from..=to) }
    }

    fn stats(&self) -> Stats {
        let most = |of: fn(&Usage) -> u32| self.usage.values().map(of).max().unwrap_or(0);
        Stats {
            messages: self.messages.clone(),
            invitations: self.invitations.clone(),
            requests: self.requests.clone(),
            refusals: self.refusals.clone(),
            peak_window: self.usage.values().map(|usage| usage.peak_window).max().unwrap_or(0),
            peak_reads: most(|usage| usage.peak_reads),
            peak_writes: most(|usage| usage.peak_writes),
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A test that panicked while it looked changed nothing here.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: std::net::TcpListener, state: Arc<Mutex<State>>, stopped: oneshot::Receiver<()>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let accept = async {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            // Without it small answers wait for the client's acknowledgement.
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            let state = Arc::clone(&state);
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| routes::answer(Arc::clone(&state), request));
                // A connection that the client breaks, or that a fault drops, is its own business.
                let _ended = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    };
    tokio::select! {
        () = accept => {}
        _ = stopped => {}
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
