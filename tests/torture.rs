//! The built program on a shared ledger, tortured: killed with its home deleted, started twice, paused, its store killed,
//! its store's answers delayed, cut and lost. Then the history is checked, by what the portal received and what is in the log.
//!
//! The ledger lies in a folder, and on each server that a variable names (`.ci/stores` and `.ci/postgres` do):
//! `ONBOARD_TEST_S3`, `ONBOARD_TEST_AZURE`, `ONBOARD_TEST_POSTGRES`. `ONBOARD_TORTURE=20` goes on for longer. The times of
//! the protocol are divided by a variable that only debug builds read (`src/ledger/places.rs`); a build for release waits
//! its whole minute for each takeover.
#![cfg(unix)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::format_push_string,
    clippy::disallowed_methods,
    reason = "a test that cannot go on says so by failing; what is tortured is tortured at instants of a real clock"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use onboard::{
    ledger::{
        Ledger,
        log::{Chain, JobLine, Line, Spot},
        store::{
            Created, Store, hash,
            objects::{Objects, Variables},
            postgres,
        },
    },
    place::{Place, place},
    sandbox::{Config, Limits, Sandbox, User},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tempfile::TempDir;

/// The times of the protocol are so many times shorter here: a takeover is 4 seconds away.
const HASTE: &str = "15";
/// Where an answer may be lost, which takes the 8 seconds of a try, they are longer: a takeover is 30 seconds away.
const LITTLE_HASTE: &str = "2";

/// How much more than usual.
fn more() -> u64 {
    env::var("ONBOARD_TORTURE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

// ---- where the ledger lies ----

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    S3,
    Azure,
    Postgres,
}

/// A place for one ledger.
#[derive(Debug, Clone)]
struct Ground {
    kind: Kind,
    /// Where its server listens.
    server: Option<SocketAddr>,
    name: String,
    /// Which of the ledgers below it, where it is a place for many; `*` is all of them.
    part: Option<String>,
    folder: Arc<TempDir>,
}

/// The account that everybody's emulator has.
const AZURITE: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const BUCKET: &str = "onboard-torture";

impl Ground {
    fn new(kind: Kind, server: Option<SocketAddr>) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        let ground = Self { kind, server, name: uuid::Uuid::now_v7().simple().to_string(), part: None, folder };
        ground.make_bucket();
        ground
    }

    fn text(&self) -> String {
        let server = || self.server.expect("a server");
        let below = self.part.as_ref().map(|part| format!("/{part}")).unwrap_or_default();
        match self.kind {
            Kind::Folder => format!("file://{}{below}", self.folder.path().join("ledger").display()),
            Kind::S3 => format!("s3://{BUCKET}/{}{below}", self.name),
            Kind::Azure => format!("az://{BUCKET}/{}{below}", self.name),
            Kind::Postgres => {
                let ledger = match self.part.as_deref() {
                    Some("*") => "*".to_owned(),
                    Some(part) => format!("{}-{part}", self.name),
                    None => self.name.clone(),
                };
                format!("postgres://owner@{}/postgres?ledger={ledger}", server())
            }
        }
    }

    /// One of many ledgers here, or (`*`) all of them, to be looked at.
    fn part(&self, part: &str) -> Self {
        Self { part: Some(part.to_owned()), ..self.clone() }
    }

    fn variables(&self) -> Variables {
        let pairs = match (self.kind, self.server) {
            (Kind::S3, Some(server)) => vec![
                ("AWS_ENDPOINT_URL", format!("http://{server}")),
                ("AWS_ACCESS_KEY_ID", "test".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
                ("AWS_REGION", "us-east-1".to_owned()),
            ],
            (Kind::Azure, Some(server)) => vec![
                ("AZURE_STORAGE_ACCOUNT_NAME", "devstoreaccount1".to_owned()),
                ("AZURE_STORAGE_ACCOUNT_KEY", AZURITE.to_owned()),
                ("AZURE_STORAGE_ENDPOINT", format!("http://{server}/devstoreaccount1")),
            ],
            (Kind::Postgres, Some(_)) => vec![("PGPASSWORD", "owner-word".to_owned())],
            _ => Vec::new(),
        };
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Makes the bucket or container; it may be there.
    fn make_bucket(&self) {
        let Some(server) = self.server else { return };
        let (path, more) = match self.kind {
            Kind::Folder | Kind::Postgres => return,
            // The emulator takes anybody's signature.
            Kind::S3 => {
                let credential = "Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
                (format!("/{BUCKET}"), format!("Authorization: AWS4-HMAC-SHA256 {credential}"))
            }
            Kind::Azure => {
                let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                let path = format!("/devstoreaccount1/{BUCKET}");
                let head = format!("x-ms-date:{date}\nx-ms-version:2021-08-06");
                let signed = format!("PUT{}{head}\n/devstoreaccount1{path}\nrestype:container", "\n".repeat(12));
                let signature = STANDARD.encode(hmac(&STANDARD.decode(AZURITE).expect("a key"), signed.as_bytes()));
                let head = head.replace('\n', "\r\n");
                (
                    format!("{path}?restype=container"),
                    format!("{head}\r\nAuthorization: SharedKey devstoreaccount1:{signature}"),
                )
            }
        };
        let mut stream = TcpStream::connect(server).expect("connected");
        let rest = format!("Host: {server}\r\nContent-Length: 0\r\nConnection: close");
        stream.write_all(format!("PUT {path} HTTP/1.1\r\n{more}\r\n{rest}\r\n\r\n").as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read");
        assert!([" 200 ", " 201 ", " 409 "].iter().any(|status| answer.contains(status)), "{answer}");
    }

    /// The same place, through another address.
    fn through(&self, server: SocketAddr) -> Self {
        Self { server: Some(server), ..self.clone() }
    }

    /// As this test looks at it.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(unreachable_code, reason = "there is no such store without the feature")
    )]
    fn store(&self) -> Box<dyn Store> {
        let variables = self.variables();
        match place(Some(Path::new(&self.text())), None).expect("a place") {
            Place::Postgres(_) => Box::new(self.database().expect("connected")),
            at => Box::new(Objects::open(&at, &variables).expect("opened")),
        }
    }

    /// Its connection, where it is a database and answers.
    fn database(&self) -> Option<postgres::Postgres> {
        let Ok(Place::Postgres(database)) = place(Some(Path::new(&self.text())), None) else {
            return None;
        };
        let variables = self.variables();
        postgres::open(&database, "torture", &|name| variables.get(name).cloned()).ok()
    }

    fn init(&self) {
        let machine = Machine::new("maker");
        let output = machine.onboard(self, HASTE, &["ledger", "init"]).output().expect("runs");
        assert!(output.status.success(), "{:?}: {}", self.kind, String::from_utf8_lossy(&output.stderr));
    }
}

/// HMAC-SHA-256 (RFC 2104), of a key of up to 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let padded = |with: u8| {
        let mut key = key.to_vec();
        key.resize(64, 0);
        key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>()
    };
    let inner = hash(&[padded(0x36), text.to_vec()].concat());
    hash(&[padded(0x5c), inner.to_vec()].concat())
}

/// The places that there are here: a folder, and each server that is named.
fn grounds() -> Vec<Ground> {
    let mut grounds = servers();
    grounds.insert(0, Ground::new(Kind::Folder, None));
    grounds
}

fn servers() -> Vec<Ground> {
    let told = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let http = |name: &str| told(name)?.trim_start_matches("http://").trim_end_matches('/').parse().ok();
    // "PORT FOLDER-OF-THE-SOCKET"
    let port = || told("ONBOARD_TEST_POSTGRES")?.split(' ').next()?.parse().ok();
    let postgres = || Some(SocketAddr::from(([127, 0, 0, 1], port()?))).filter(|_| cfg!(feature = "postgres"));
    let servers = [
        (Kind::S3, "ONBOARD_TEST_S3", http("ONBOARD_TEST_S3")),
        (Kind::Azure, "ONBOARD_TEST_AZURE", http("ONBOARD_TEST_AZURE")),
        (Kind::Postgres, "ONBOARD_TEST_POSTGRES", postgres()),
    ];
    let mut grounds = Vec::new();
    for (kind, variable, server) in servers {
        match server {
            Some(_) => grounds.push(Ground::new(kind, server)),
            None => eprintln!("left out: {variable} names no server"),
        }
    }
    grounds
}

/// Does the same at each place, at once: mostly it waits.
fn each(grounds: &[Ground], test: impl Fn(&Ground) + Sync) {
    thread::scope(|scope| {
        for ground in grounds {
            let test = &test;
            scope.spawn(move || {
                ground.init();
                test(ground);
            });
        }
    });
}

// ---- machines, and what is checked ----

/// A machine: a folder that is its home too, and goes with it.
struct Machine {
    folder: TempDir,
    name: String,
}

/// How a run ended.
struct Ended {
    status: Option<i32>,
    said: String,
    rows: Vec<BTreeMap<String, String>>,
}

impl Machine {
    fn new(name: &str) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), name: name.to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn onboard(&self, ground: &Ground, haste: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onboard"));
        command.args(args).args(["--ledger", &ground.text()]).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_clear().env("HOME", self.folder.path()).env("USER", &self.name).envs(ground.variables());
        command.env("ONBOARD_TEST_LEDGER_HASTE", haste);
        command
    }

    fn run(&self, ground: &Ground, haste: &str, portal: &Sandbox, users: &[User], more: &[&str]) -> Child {
        let mut roster = "user_id,employee_type\n".to_owned();
        for user in users {
            roster.push_str(&format!("{},{}\n", user.id, user.role));
        }
        fs::write(self.path("users.csv"), roster).expect("written");
        fs::write(self.path("key"), portal.api_key()).expect("written");
        fs::set_permissions(self.path("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("changed");
        let err = fs::File::create(self.path("err")).expect("made");
        let origin = portal.origin();
        let mut args = vec!["run", "users.csv", "--portal", &origin, "--api-key-file", "key"];
        args.extend(more);
        self.onboard(ground, haste, &args).stderr(err).stdout(Stdio::null()).spawn().expect("started")
    }

    fn ended(&self, mut child: Child) -> Ended {
        let status = child.wait().expect("ended").code();
        let said = fs::read_to_string(self.path("err")).expect("read");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!said.contains("panicked"), "{said}");
        let rows = csv::Reader::from_path(self.path("users.results.csv"))
            .map(|mut reader| reader.deserialize().collect::<Result<_, _>>().expect("rows"))
            .unwrap_or_default();
        Ended { status, said, rows }
    }
}

const FAST: &[&str] = &["--rate", "100000/s"];

fn users(count: u32) -> Vec<User> {
    (0..count).map(|number| User::made_up(number, 1.0)).collect()
}

fn portal(users: &[User], latency: u64, seed: u64) -> Sandbox {
    Sandbox::start(Config {
        users: users.to_vec(),
        limits: Limits::OFF,
        release_lag: Duration::ZERO,
        latency: (Duration::from_millis(1), Duration::from_millis(latency)),
        seed,
        ..Config::default()
    })
    .expect("a portal")
}

/// Until the portal has so many messages, or the run has ended: then `false`.
fn until(portal: &Sandbox, count: usize, child: &mut Child) -> bool {
    while portal.stats().messages.len() < count {
        if child.try_wait().expect("asked").is_some() {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Everything in the log, its chain checked.
fn log(ground: &Ground) -> Vec<Line> {
    let mut store = ground.store();
    let mut chain = Chain::default();
    let mut lines = Vec::new();
    loop {
        let objects = store.read_many(chain.number() + 1, 256).expect("read");
        if objects.is_empty() {
            return lines;
        }
        for (bytes, _) in objects {
            lines.extend(chain.follow(&bytes).expect("it follows").lines);
        }
    }
}

/// At most one message a person, and each has an intent in the log that is read only now.
#[track_caller]
fn check(ground: &Ground, portal: &Sandbox) {
    let had = portal.stats().messages;
    let lines = log(ground);
    let intents: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Intent { to, .. } => Some(to.as_str()),
            _ => None,
        })
        .collect();
    for (person, count) in &had {
        assert_eq!(*count, 1, "{:?}: {person} got {count} messages", ground.kind);
        assert!(intents.contains(person.as_str()), "{:?}: {person} got a message without an intent", ground.kind);
    }
    for line in &lines {
        if let Line::Ending { of, outcome, .. } = line {
            assert!(of.object > 1 && matches!(outcome.as_str(), "sent" | "unknown" | "no_effect"), "{line:?}");
        }
    }
}

/// The job is done: what its last results say is true.
#[track_caller]
fn check_done(ground: &Ground, portal: &Sandbox, ended: &Ended, users: usize, unknown_at_most: usize) {
    check(ground, portal);
    let had = portal.stats().messages;
    let mut unknown = 0;
    for row in &ended.rows {
        match row["congratulation"].as_str() {
            "sent" | "already_sent" => assert_eq!(had.get(&row["user_id"]), Some(&1), "{:?}: {row:?}", ground.kind),
            "unknown" => unknown += 1,
            other => panic!("{:?}: {other}: {row:?}", ground.kind),
        }
    }
    assert_eq!(ended.rows.len(), users, "{:?}", ground.kind);
    assert!(unknown <= unknown_at_most, "{:?}: {unknown} unknown of at most {unknown_at_most}", ground.kind);
    let machine = Machine::new("auditor");
    let output = machine.onboard(ground, HASTE, &["ledger", "verify"]).output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn took_over(ground: &Ground) -> usize {
    log(ground).iter().filter(|line| matches!(line, Line::TookOver { .. })).count()
}

/// Starts the job on new machines until it is done; returns how it ended and how often it had to be started.
fn until_done(ground: &Ground, haste: &str, portal: &Sandbox, users: &[User]) -> (Ended, usize) {
    for tried in 1..=20 {
        let machine = Machine::new(&format!("runner{tried}"));
        let ended = machine.ended(machine.run(ground, haste, portal, users, FAST));
        match ended.status {
            Some(0 | 1) => return (ended, tried),
            Some(5) => check(ground, portal),
            other => panic!("{:?}: {other:?}: {}", ground.kind, ended.said),
        }
    }
    panic!("{:?}: the job is not done after 20 tries", ground.kind);
}

// ---- the torture ----

#[test]
fn killed_at_random_with_its_home_deleted_until_the_job_is_done() {
    let (seeds, kills_each) = if more() > 1 { (more(), 4) } else { (1, 2) };
    for seed in 0..seeds {
        each(&grounds(), |ground| {
            let mut random = StdRng::seed_from_u64(seed * 7 + ground.kind as u64);
            let users = users(150);
            let portal = portal(&users, random.random_range(2..25), seed);
            for kill in 0..kills_each {
                let machine = Machine::new(&format!("runner{kill}"));
                let mut child = machine.run(ground, HASTE, &portal, &users, FAST);
                let so_far = portal.stats().messages.len();
                // The first few at whatever the start does, most between two messages.
                if random.random_range(0..5) > 0 {
                    until(&portal, so_far + random.random_range(0..50), &mut child);
                }
                thread::sleep(Duration::from_micros(random.random_range(0..30_000)));
                child.kill().expect("killed");
                child.wait().expect("ended");
                check(ground, &portal);
            }
            let (ended, _) = until_done(ground, HASTE, &portal, &users);
            check_done(ground, &portal, &ended, users.len(), 15 * kills_each);
        });
    }
}

/// Messages of one's own, to the sandbox's mail server: killed anywhere, nobody gets two, whoever carries the next ones. Ten
/// kills; `ONBOARD_TORTURE=20` makes them 200.
#[test]
fn killed_at_random_while_a_mail_server_carries_the_messages() {
    let (mut random, mut kills) = (StdRng::seed_from_u64(more()), 0);
    for seed in 0.. {
        if kills >= 10 * more() {
            return;
        }
        let users = users(60);
        let portal = portal(&users, random.random_range(2..15), seed);
        let machine = Machine::new("runner");
        let (origin, server) = (portal.origin(), portal.mail_server());
        let mut roster = "user_id,employee_type\n".to_owned();
        for user in &users {
            roster.push_str(&format!("{},{}\n", user.id, user.role));
        }
        fs::write(machine.path("users.csv"), roster).expect("written");
        fs::write(machine.path("welcome.md"), "Subject: Hi\nFrom: it@a.example\n\nHi {{ name }}\n").expect("written");
        fs::write(machine.path("key"), portal.api_key()).expect("written");
        fs::set_permissions(machine.path("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("changed");
        let start = |by_mail: bool| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_onboard"));
            command
                .args(["run", "users.csv", "--portal", &origin, "--api-key-file", "key", "--ledger", "l.db"])
                .args(FAST);
            if by_mail {
                command.args(["--message", "welcome.md", "--smtp", &server, "--smtp-rate", "100000/s"]);
            }
            command
                .current_dir(machine.folder.path())
                .env_clear()
                .env("HOME", machine.folder.path())
                .stdin(Stdio::null());
            let err = fs::File::create(machine.path("err")).expect("made");
            command.stdout(Stdio::null()).stderr(err).spawn().expect("started")
        };
        // Nobody has two, of one carrier or of both.
        let had = || {
            let stats = portal.stats();
            let users = users.iter();
            let each: Vec<u32> = users
                .map(|user| {
                    let by_portal = stats.messages.get(&user.id.to_string()).copied().unwrap_or(0);
                    by_portal + stats.mails.get(&user.email).copied().unwrap_or(0)
                })
                .collect();
            assert!(each.iter().all(|count| *count <= 1), "seed {seed}: {each:?}");
            each
        };
        let sum = || had().iter().sum::<u32>();
        while sum() < 45 && kills < 10 * more() {
            // Mostly mails; now and then the portal's own.
            let mut child = start(random.random_range(0..4) > 0);
            let until = sum() + random.random_range(0..6);
            while sum() < until && child.try_wait().expect("asked").is_none() {
                thread::sleep(Duration::from_micros(200));
            }
            thread::sleep(Duration::from_micros(random.random_range(0..10_000)));
            child.kill().expect("killed");
            child.wait().expect("ended");
            kills += 1;
        }
        let ended = machine.ended(start(true));
        assert!(matches!(ended.status, Some(0 | 1)), "{}", ended.said);
        let had = had();
        assert_eq!(ended.rows.len(), users.len());
        for (row, had) in ended.rows.iter().zip(had) {
            let told = &row["congratulation"];
            let fits = match told.as_str() {
                "sent" | "already_sent" => had == 1,
                "unknown" => true,
                _ => false,
            };
            assert!(fits, "seed {seed}: {had} messages, told as {told}: {}", row["detail"]);
        }
    }
}

#[test]
fn two_runners_at_once() {
    for seed in 0..more() {
        each(&grounds(), |ground| {
            let users = users(80);
            let portal = portal(&users, 20, seed);
            let machines = [Machine::new("one"), Machine::new("two")];
            let running: Vec<Child> =
                machines.iter().map(|machine| machine.run(ground, HASTE, &portal, &users, FAST)).collect();
            let mut sent = 0;
            for (machine, child) in machines.iter().zip(running) {
                let ended = machine.ended(child);
                assert_eq!(ended.status, Some(0), "{:?}: {}", ground.kind, ended.said);
                sent += ended.rows.iter().filter(|row| row["congratulation"] == "sent").count();
                check_done(ground, &portal, &ended, 80, 0);
            }
            assert_eq!((sent, portal.stats().messages.len()), (80, 80), "{:?}", ground.kind);
        });
    }
}

/// The lease is looked at right before the first byte, and no machine lets a process do both at once: one that is paused
/// between the two lets that one message out when it wakes. One thread sends, so it is one at the most; its intent was open,
/// so whoever took over has it as unknown, and nobody gets a second one.
#[test]
fn a_run_that_was_paused_beyond_the_takeover_gives_nobody_a_second_message_and_says_who_took_over() {
    for seed in 0..more() {
        each(&grounds(), |ground| {
            // The sleeper has so many more to send that it is not through before it can be paused.
            let everybody = users(3000);
            let (portal, users) = (portal(&everybody, 30, seed), &everybody[..200]);
            let sleeper = Machine::new("sleeper");
            let mut slept = sleeper.run(ground, HASTE, &portal, &everybody, FAST);
            let paused_after = 20 + usize::try_from(seed % 100).unwrap_or(0);
            assert!(until(&portal, paused_after, &mut slept), "{:?}: it ended by itself", ground.kind);
            signal(&slept, "STOP");
            assert!(slept.try_wait().expect("asked").is_none(), "{:?}: it ended before it was paused", ground.kind);
            // The one that takes over is through, or (every other time) in the middle of its work, where any is left.
            let (next, so_far) = (Machine::new("successor"), portal.stats().messages.len());
            let mut child = next.run(ground, HASTE, &portal, users, FAST);
            if seed % 2 == 1 {
                until(&portal, so_far + 20, &mut child);
                signal(&slept, "CONT");
            }
            let ended = next.ended(child);
            assert!(matches!(ended.status, Some(0 | 1)), "{:?}: {}", ground.kind, ended.said);
            let received = portal.stats();
            signal(&slept, "CONT");
            let fenced = sleeper.ended(slept);
            assert_eq!(fenced.status, Some(5), "{:?}: {}", ground.kind, fenced.said);
            assert!(fenced.said.contains("successor@"), "{:?}: {}", ground.kind, fenced.said);
            let had = portal.stats();
            let late = had.requests["congratulation"] - received.requests["congratulation"];
            assert!(late <= 1, "{:?}: it sent {late}", ground.kind);
            let unknown: BTreeSet<&str> = ended.unknown().collect();
            for person in had.messages.keys().filter(|person| !received.messages.contains_key(*person)) {
                let is_theirs = users.iter().any(|user| user.id.to_string() == *person);
                assert!(!is_theirs || unknown.contains(person.as_str()), "{:?}: {person} got it late", ground.kind);
            }
            assert_eq!(took_over(ground), 1);
            check_done(ground, &portal, &ended, 200, 15);
            for row in &fenced.rows {
                if row["congratulation"] == "sent" {
                    assert_eq!(had.messages.get(&row["user_id"]), Some(&1), "{row:?}");
                }
            }
        });
    }
}

/// A portal of many: its own ledger, its own people.
struct OfMany {
    ground: Ground,
    portal: Sandbox,
    users: Vec<User>,
}

impl OfMany {
    fn new(ground: &Ground, number: u64, people: u32) -> Self {
        let ground = ground.part(&format!("portal-{number}"));
        // The race that `ledger init` wants to see was won at this place before.
        Ledger::init(ground.store().as_mut(), "maker@here", 0).expect("made");
        // Each has its own people, who are known to no other portal.
        let first = u32::try_from(number).expect("a number") * people;
        let users: Vec<User> = (first..first + people).map(|person| User::made_up(person, 1.0)).collect();
        let portal = Sandbox::start(Config {
            users: users.clone(),
            limits: Limits::SHIPPED,
            latency: MANY_LATENCY,
            seed: number,
            ..Config::default()
        });
        Self { ground, portal: portal.expect("a portal"), users }
    }

    /// As an administrator has it: killed so many times, each time with its home; gone on with, settled by what the portal
    /// knows, gone on with again, until each person has one message. Returns the most memory that a run took, in KiB, where
    /// that can be seen.
    fn has_its_month(&self, random: &mut StdRng, kills: usize) -> u64 {
        let (ground, portal, users) = (&self.ground, &self.portal, &self.users);
        for kill in 0..kills {
            let machine = Machine::new(&format!("runner{kill}"));
            let mut child = machine.run(ground, HASTE, portal, users, &[]);
            let so_far = portal.stats().messages.len();
            until(portal, so_far + random.random_range(0..users.len() / 2), &mut child);
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
        let mut most = 0;
        let mut run = || {
            let machine = Machine::new("runner");
            let mut child = machine.run(ground, HASTE, portal, users, &[]);
            while child.try_wait().expect("asked").is_none() {
                most = most.max(high_water(&child));
                thread::sleep(Duration::from_millis(20));
            }
            machine.ended(child)
        };
        let ended = run();
        assert_eq!(ended.status, Some(i32::from(ended.unknown().next().is_some())), "{}", ended.said);
        check_done(ground, portal, &ended, users.len(), 15 * kills);
        let had = portal.stats().messages;
        for (word, is_sent) in [("sent", true), ("not-sent", false)] {
            let people: Vec<&str> = ended.unknown().filter(|person| had.contains_key(*person) == is_sent).collect();
            if !people.is_empty() {
                let args = [&["settle", "--as", word], people.as_slice()].concat();
                let output = Machine::new("anna").onboard(ground, HASTE, &args).output().expect("runs");
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
        }
        let ended = run();
        assert_eq!(ended.status, Some(0), "{}", ended.said);
        check_done(ground, portal, &ended, users.len(), 0);
        let stats = portal.stats();
        assert_eq!(stats.messages.len(), users.len(), "every person");
        assert!(stats.messages.values().all(|count| *count == 1), "once");
        assert_eq!(stats.total_refusals(), 0, "{:?}", stats.refusals);
        assert!(stats.peak_window <= 1_500 && stats.peak_reads <= 50 && stats.peak_writes <= 15, "{stats:?}");
        most
    }
}

/// The most memory that a process took so far, in KiB: what the usage of children tells counts what this process had when
/// it forked, and so does what stands here until the program is there.
fn high_water(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let is_there = status.starts_with("Name:\tonboard\n");
    let line = status.lines().filter(|_| is_there).find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

impl Ended {
    fn unknown(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().filter(|row| row["congratulation"] == "unknown").map(|row| row["user_id"].as_str())
    }
}

const MANY_LATENCY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(60));

/// A process a portal, so many at once as `xargs -P` would keep going; of every other portal one is killed.
/// `ONBOARD_TORTURE=2` and more: 50 portals of 1,000 people, 12 processes.
#[test]
fn many_portals_by_a_process_each_have_every_person_once_and_one_view_counts_them() {
    let (portals, people, processes) = if more() > 1 { (50, 1_000, 12) } else { (4, 24, 3) };
    // One place after the other, so that each has the machine for itself.
    for ground in grounds() {
        each(std::slice::from_ref(&ground), |ground| {
            let all: Vec<OfMany> = (0..portals).map(|number| OfMany::new(ground, number, people)).collect();
            let next = Mutex::new(all.iter().enumerate());
            let (began, most) = (Instant::now(), Mutex::new(0));
            thread::scope(|scope| {
                for worker in 0..processes {
                    let (next, most) = (&next, &most);
                    scope.spawn(move || {
                        let mut random = StdRng::seed_from_u64(worker);
                        loop {
                            let Some((number, one)) = next.lock().expect("whole").next() else { return };
                            let used = one.has_its_month(&mut random, number % 2);
                            let mut most = most.lock().expect("whole");
                            *most = used.max(*most);
                        }
                    });
                }
            });
            let took = began.elapsed();
            // What waits for answers alone takes: 15 messages in flight a portal, and so many portals at once.
            let latency = (MANY_LATENCY.0 + MANY_LATENCY.1) / 2;
            let ideal = latency * people.div_ceil(15) * u32::try_from(portals.div_ceil(processes)).expect("few");
            let used = most.into_inner().expect("whole") / 1024;
            eprintln!(
                "{:?}: {portals} portals of {people}, {processes} processes: {took:?}, of which {ideal:?} are answers of the \
                 portals; at most {used} MiB a process",
                ground.kind
            );
            // What is built for debugging takes more.
            assert!(cfg!(debug_assertions) || used <= 25, "{used} MiB");
            one_view_counts_them(ground, &all);
        });
    }
}

/// The view's figures are those of the portals.
fn one_view_counts_them(ground: &Ground, all: &[OfMany]) {
    let output = Machine::new("anna").onboard(&ground.part("*"), HASTE, &["history", "--json"]).output().expect("runs");
    // A database holds what other tests have damaged, too, which the status tells, and which hides none of ours.
    assert!(output.status.success() || ground.kind == Kind::Postgres, "{}", String::from_utf8_lossy(&output.stderr));
    let told: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let figures: BTreeMap<String, &serde_json::Value> =
        told.iter().map(|ledger| (ledger["portal"].as_str().expect("a portal").to_owned(), ledger)).collect();
    for one in all {
        let ledger = figures[&one.portal.origin()];
        assert_eq!(ledger["sent"], one.portal.stats().messages.len(), "{ledger}");
        assert_eq!((&ledger["undecided"], &ledger["exit_status"]), (&0.into(), &0.into()), "{ledger}");
        assert!(ledger["needs"].is_null() && ledger["open"].is_null(), "{ledger}");
        let rows = ledger["outcomes"].as_object().expect("outcomes").values().filter_map(serde_json::Value::as_u64);
        assert_eq!(rows.sum::<u64>(), one.users.len() as u64, "{ledger}");
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().expect("kill");
    assert!(status.success());
}

// ---- what lies between the program and its store ----

/// What the proxy does to what the store sends.
#[derive(Debug, Clone)]
enum Harm {
    /// Each answer comes so much later.
    Later(Duration),
    /// By chance: cut, late, and so many that never arrive.
    Anything(Arc<Mutex<(StdRng, usize)>>),
}

/// Listens, and hands on what it gets with that harm done to it.
fn proxy(server: SocketAddr, harm: &Harm) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let harm = harm.clone();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(server) else { continue };
            for stream in [&near, &far] {
                stream.set_nodelay(true).expect("set");
            }
            let (from, to) = (near.try_clone().expect("a handle"), far.try_clone().expect("a handle"));
            thread::spawn(move || hand_on(from, to, None));
            let harm = harm.clone();
            thread::spawn(move || hand_on(far, near, Some(&harm)));
        }
    });
    address
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, harm: Option<&Harm>) {
    let mut bytes = vec![0; 64 << 10];
    let mut swallows = false;
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        match harm {
            None => {}
            Some(Harm::Later(by)) => thread::sleep(*by),
            Some(Harm::Anything(state)) => {
                let mut state = state.lock().expect("unharmed");
                let chance = state.0.random_range(0..100);
                let late = Duration::from_millis(state.0.random_range(0..200));
                if chance < 2 && state.1 > 0 {
                    state.1 -= 1;
                    swallows = true;
                }
                drop(state);
                match chance {
                    2..8 => break,
                    8..20 => thread::sleep(late),
                    _ => {}
                }
            }
        }
        if !swallows && to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    // Whoever is at the other end finds the connection broken.
    let _gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[test]
fn a_store_whose_answers_come_late_are_cut_and_are_lost() {
    for seed in 0..more() {
        each(&servers(), |ground| {
            let users = users(120);
            let portal = portal(&users, 40, seed);
            let state = Arc::new(Mutex::new((StdRng::seed_from_u64(seed), 1)));
            let address = proxy(ground.server.expect("a server"), &Harm::Anything(state));
            let harmed = ground.through(address);
            let mut tried = 0;
            let ended = loop {
                tried += 1;
                assert!(tried <= 20, "{:?}: the job is not done after 20 tries", ground.kind);
                let machine = Machine::new(&format!("runner{tried}"));
                let ended = machine.ended(machine.run(&harmed, LITTLE_HASTE, &portal, &users, FAST));
                check(ground, &portal);
                match ended.status {
                    Some(0 | 1) => break ended,
                    Some(5) => {}
                    other => panic!("{:?}: {other:?}: {}", ground.kind, ended.said),
                }
            };
            check_done(ground, &portal, &ended, 120, 15 * (tried - 1));
        });
    }
}

/// A server of a test's own, which it may kill.
struct Own {
    start: Box<dyn Fn() -> Command + Sync>,
    address: SocketAddr,
    process: Mutex<Option<Child>>,
}

impl Own {
    fn start(&self) {
        let tries = Instant::now();
        let mut process = self.process.lock().expect("unharmed");
        loop {
            // PostgreSQL goes away again while backends of the killed one are still there.
            if process.as_mut().is_none_or(|process| process.try_wait().expect("asked").is_some()) {
                let mut command = (self.start)();
                *process = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started"));
            }
            if TcpStream::connect(self.address).is_ok() {
                return;
            }
            assert!(tries.elapsed() < Duration::from_secs(60), "the server does not start");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn kill(&self) {
        if let Some(mut process) = self.process.lock().expect("unharmed").take() {
            process.kill().expect("killed");
            process.wait().expect("ended");
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// A PostgreSQL server in this folder.
fn own_postgres(folder: &TempDir) -> Option<Own> {
    let bin = PathBuf::from(env::var("ONBOARD_TEST_POSTGRES_BIN").ok()?);
    // Its programs refuse to run as root.
    let user = nix::unistd::User::from_name("postgres").ok().flatten();
    let user = user.filter(|_| nix::unistd::geteuid().is_root());
    if let Some(user) = &user {
        nix::unistd::chown(folder.path(), Some(user.uid), Some(user.gid)).expect("given away");
    }
    let (data, at) = (folder.path().join("data"), folder.path().to_owned());
    let command = move |program: &str| {
        let mut command = match &user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={}", user.uid), format!("--regid={}", user.gid)]);
                command.arg("--clear-groups").arg(bin.join(program));
                command
            }
            None => Command::new(bin.join(program)),
        };
        command.current_dir(&at).arg("-D").arg(&data);
        command
    };
    let made =
        command("initdb").args(["-U", "owner", "-A", "trust", "-N", "--no-instructions"]).output().expect("runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (port, socket) = (free_port(), folder.path().display().to_string());
    let start = move || {
        let mut command = command("postgres");
        command.args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", &socket]);
        command
    };
    let own =
        Own { start: Box::new(start), address: SocketAddr::from(([127, 0, 0, 1], port)), process: Mutex::new(None) };
    own.start();
    Some(own)
}

#[test]
fn a_database_that_is_killed_and_comes_back() {
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    let Some(own) = own_postgres(&folder) else {
        eprintln!("left out: no ONBOARD_TEST_POSTGRES_BIN names PostgreSQL's programs");
        return;
    };
    for seed in 0..more() {
        let ground = Ground::new(Kind::Postgres, Some(own.address));
        // It listens before it answers.
        while ground.database().is_none() {
            thread::sleep(Duration::from_millis(50));
        }
        ground.init();
        let users = users(150);
        let portal = portal(&users, 20, seed);
        let machine = Machine::new("runner");
        let mut child = machine.run(&ground, LITTLE_HASTE, &portal, &users, FAST);
        for count in [20, 70] {
            if until(&portal, count, &mut child) {
                own.kill();
                own.start();
            }
        }
        let mut ended = machine.ended(child);
        while ground.database().is_none() {
            thread::sleep(Duration::from_millis(50));
        }
        check(&ground, &portal);
        let mut unknown = 0;
        if ended.status == Some(5) {
            unknown = 15;
            (ended, _) = until_done(&ground, LITTLE_HASTE, &portal, &users);
        }
        assert!(matches!(ended.status, Some(0 | 1)), "{:?}: {}", ended.status, ended.said);
        check_done(&ground, &portal, &ended, 150, unknown);
    }
}

/// The emulator keeps nothing: what comes back is another store, and nothing may be sent with it.
#[test]
fn a_bucket_that_is_killed_and_comes_back_empty_lets_nothing_more_be_sent() {
    let Ok(program) = env::var("ONBOARD_TEST_S3_SERVER") else {
        eprintln!("left out: no ONBOARD_TEST_S3_SERVER names the emulator's program and its script");
        return;
    };
    let port = free_port();
    let start = move || {
        let mut words = program.split(' ');
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).arg(port.to_string());
        command
    };
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let own = Own { start: Box::new(start), address, process: Mutex::new(None) };
    own.start();
    let ground = Ground::new(Kind::S3, Some(address));
    ground.init();
    let users = users(150);
    let portal = portal(&users, 30, 1);
    let machine = Machine::new("runner");
    let mut child = machine.run(&ground, LITTLE_HASTE, &portal, &users, FAST);
    assert!(until(&portal, 20, &mut child));
    own.kill();
    own.start();
    let ended = machine.ended(child);
    assert!(matches!(ended.status, Some(2 | 5)), "{:?}: {}", ended.status, ended.said);
    assert!(ended.said.contains("no such bucket"), "{}", ended.said);
    let had = portal.stats();
    assert!(had.messages.values().all(|count| *count == 1) && had.messages.len() < 150);
    for (is_there, says) in [(false, "no such bucket"), (true, "ledger init")] {
        if is_there {
            ground.make_bucket();
        }
        let next = Machine::new("next");
        let ended = next.ended(next.run(&ground, LITTLE_HASTE, &portal, &users, FAST));
        assert_eq!(ended.status, Some(2), "{}", ended.said);
        assert!(ended.said.contains(says), "{}", ended.said);
    }
    assert_eq!(portal.stats().messages, had.messages);
}

// ---- figures ----

/// `cargo test --test torture figures -- --ignored --nocapture`, with `.ci/stores` or `.ci/postgres` around it.
#[test]
#[ignore = "prints figures; takes minutes"]
fn figures_at_the_portals_own_limits() {
    /// More than two windows hold, so that every run has work to the end of the second.
    const ROWS: u32 = 4_400;
    /// Two windows, and not the first instant of a third. How fast the rest of the rows leaves in the third is no matter
    /// of the limits: a store that answers at once lets them out in one burst.
    const TWO_WINDOWS: Duration = Duration::from_secs(119);
    let Some(ground) = servers().into_iter().next() else { return };
    let one = |delay: u64| {
        let ground = Ground::new(ground.kind, ground.server);
        ground.init();
        let server = ground.server.expect("a server");
        let slow = ground.through(proxy(server, &Harm::Later(Duration::from_millis(delay))));
        let users = users(ROWS);
        // Limits as shipped.
        let portal = Sandbox::start(Config {
            users: users.clone(),
            latency: (Duration::from_millis(30), Duration::from_millis(70)),
            ..Config::default()
        })
        .expect("a portal");
        let machine = Machine::new("runner");
        let mut child = machine.run(&slow, "1", &portal, &users, &[]);
        assert!(until(&portal, 1, &mut child));
        let (began, before) = (Instant::now(), log_length(&ground));
        thread::sleep(TWO_WINDOWS);
        let let_out = portal.stats().total_requests();
        let ended = machine.ended(child);
        let took = began.elapsed().as_secs_f64();
        assert_eq!(ended.status, Some(0), "{}", ended.said);
        check_done(&ground, &portal, &ended, ROWS as usize, 0);
        (took, let_out, portal.stats(), log_length(&ground) - before)
    };
    let delays = [0, 50, 250];
    let ended = thread::scope(|scope| {
        let runs = delays.map(|delay| scope.spawn(move || one(delay)));
        runs.map(|run| run.join().expect("a run"))
    });
    let most = ended[0].1;
    for (delay, (took, let_out, stats, objects)) in delays.iter().zip(&ended) {
        let (messages, requests) = (stats.messages.len(), stats.total_requests());
        println!(
            "{:?}, {delay} ms an append: {let_out} requests in two windows, {:+.1} %; all {messages} messages, {requests} requests in {took:.1} s; {objects} appends, one for {:.1} messages",
            ground.kind,
            100.0 * (*let_out as f64 / most as f64 - 1.0),
            messages as f64 / *objects as f64
        );
    }
}

fn log_length(ground: &Ground) -> usize {
    ground.store().list().expect("listed").len()
}

/// As above: how long a machine takes that has never seen the ledger.
#[test]
#[ignore = "prints figures; takes minutes"]
fn figures_of_a_cold_start_with_ten_thousand_objects() {
    for ground in grounds() {
        ground.init();
        let mut store = ground.store();
        let mut chain = Chain::default();
        chain.follow(&store.read(1).expect("read").expect("there").0).expect("it follows");
        let users = users(5000);
        let portal = portal(&users, 1, 1);
        let (run, at) = (uuid::Uuid::now_v7(), jiff::Timestamp::now());
        let mut append = |lines: &[Line]| {
            let object = chain.make(run, at, lines);
            chain.follow(&object.bytes).expect("it follows");
            assert_eq!(store.create(&object), Ok(Created::Made));
            object.number
        };
        let job = JobLine {
            portal: portal.origin(),
            account: "01".repeat(8),
            roster: "users.csv".to_owned(),
            roster_sha256: "00".repeat(32),
            rows: 5000,
            plan: None,
        };
        append(&[
            Line::Portal { at, origin: portal.origin() },
            Line::Began { at, run, who: "a@b".to_owned(), command: "run".to_owned(), job: Some(job) },
        ]);
        for user in &users {
            let (mail, to) = ("congratulation".to_owned(), user.id.to_string());
            let object = append(&[Line::Intent { at, mail, to, address: None, row: None }]);
            let of = Spot { object, line: 2 };
            append(&[Line::Ending { at, of, outcome: "sent".to_owned(), http: Some(200), why: None, counted: true }]);
        }
        append(&[Line::Ended { at, exit_status: 0, requests: 5000, counts: BTreeMap::new(), snapshot: None }]);
        let show = |what: &str| {
            let machine = Machine::new("newcomer");
            for how in ["cold", "again"] {
                let began = Instant::now();
                let output = machine.onboard(&ground, "1", &["ledger", "show"]).output().expect("runs");
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                println!("{:?}, {what}, {how}: {:.2} s", ground.kind, began.elapsed().as_secs_f64());
            }
        };
        show("10,003 objects without a snapshot");
        let (ended, _) = until_done(&ground, "1", &portal, &users);
        assert!(ended.rows.iter().all(|row| row["congratulation"] == "already_sent"));
        assert!(portal.stats().messages.is_empty());
        show("with a snapshot");
    }
}
