//! The PostgreSQL store against real servers, which `.ci/postgres` starts. Where none is named, that is said and nothing
//! else is done.
#![cfg(all(unix, feature = "postgres"))]
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by failing, and whoever runs it says where servers are"
)]

use std::{
    env, fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use onboard::{
    ledger::store::{
        Created, NOTHING_BEFORE, Object, Store, StoreFault,
        postgres::{Postgres, open},
    },
    place::Database,
};

/// The server that `.ci/postgres` started.
struct Server {
    port: u16,
    socket: PathBuf,
    pooled: u16,
    bin: PathBuf,
}

fn server() -> Option<Server> {
    let told = env::var("ONBOARD_TEST_POSTGRES").ok().zip(env::var("ONBOARD_TEST_PGBOUNCER").ok());
    let Some((told, pooled)) = told else {
        eprintln!(
            "left out: ONBOARD_TEST_POSTGRES and ONBOARD_TEST_PGBOUNCER name no server (.ci/postgres starts one)"
        );
        return None;
    };
    let (port, socket) = told.split_once(' ').expect("a port and a folder");
    let server = Server {
        port: port.parse().expect("a port"),
        socket: socket.into(),
        pooled: pooled.parse().expect("a port"),
        bin: env::var("ONBOARD_TEST_POSTGRES_BIN").expect("a folder").into(),
    };
    server.prepare();
    Some(server)
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A name that no other test has.
fn fresh(what: &str) -> String {
    format!("{what}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst))
}

impl Server {
    /// The table and the roles that all tests share; safe to do at once and again.
    fn prepare(&self) {
        owner_at(self.port, "first").expect("the owner connects").init().expect("made");
        let roles = [("runner", "runner-word"), ("nobody_much", "nobody-word")];
        for (role, word) in roles {
            self.sql(&format!(
                "DO $$ BEGIN PERFORM pg_advisory_xact_lock(1); \
                 IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{role}') THEN \
                 CREATE ROLE {role} LOGIN PASSWORD '{word}'; END IF; \
                 GRANT USAGE ON SCHEMA onboard TO {role}; GRANT SELECT ON onboard.log TO {role}; \
                 IF '{role}' = 'runner' THEN GRANT INSERT, SELECT, UPDATE (sha) ON onboard.log TO runner; END IF; END $$"
            ));
        }
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        psql.args(["-U", "owner", database]).env("PGPASSWORD", "owner-word");
        psql
    }

    fn sql_in(&self, database: &str, statement: &str) -> String {
        let done = self.psql(database).args(["-c", statement]).output().expect("psql");
        assert!(done.status.success(), "{statement}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    fn sql(&self, statement: &str) -> String {
        self.sql_in("postgres", statement)
    }
}

fn database(user: &str, port: u16, ledger: &str) -> Database {
    Database {
        user: Some(user.to_owned()),
        host: Some("127.0.0.1".to_owned()),
        port: Some(port),
        database: Some("postgres".to_owned()),
        ledger: ledger.to_owned(),
        parameters: Vec::new(),
    }
}

fn connect(database: &Database, word: &str) -> Result<Postgres, StoreFault> {
    let application = fresh("onboard");
    open(database, &application, &|name| (name == "PGPASSWORD").then(|| word.to_owned()))
}

fn owner_at(port: u16, ledger: &str) -> Result<Postgres, StoreFault> {
    connect(&database("owner", port, ledger), "owner-word")
}

fn runner_at(port: u16, ledger: &str) -> Postgres {
    connect(&database("runner", port, ledger), "runner-word").expect("connected")
}

fn object(number: u64, before: [u8; 32], text: &str) -> Object {
    Object { number, before, bytes: text.as_bytes().to_vec() }
}

#[track_caller]
fn unusable<T: std::fmt::Debug>(answer: Result<T, StoreFault>, words: &[&str]) {
    match answer {
        Err(StoreFault::Unusable(text)) => {
            for word in words {
                assert!(text.contains(word), "{text}");
            }
            assert!(!text.contains("-word") && !text.contains("127.0.0.1"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn three_rights_suffice_to_append_to_be_refused_and_to_repeat_with_a_pooler_between_or_without() {
    let Some(server) = server() else { return };
    for port in [server.port, server.pooled] {
        let name = fresh("append");
        let mut store = runner_at(port, &name);
        store.probe(0).expect("fit for a run");
        let first = object(1, NOTHING_BEFORE, "one\n");
        let second = object(2, first.hash(), "two\n");
        assert_eq!(store.create(&first), Ok(Created::Made));
        assert_eq!(store.create(&second), Ok(Created::Made));
        // A repeat of the same bytes is ours, and writes: the row is another version.
        let version = || server.sql(&format!("SELECT xmin FROM onboard.log WHERE ledger = '{name}' AND seq = 2"));
        let before = version();
        assert_eq!(store.create(&second), Ok(Created::Made));
        assert_ne!(version(), before, "a repeat must write");
        assert_eq!(store.create(&object(2, first.hash(), "other\n")), Ok(Created::Refused));
        assert_eq!(store.create(&object(1, NOTHING_BEFORE, "other\n")), Ok(Created::Refused));

        let listed = store.list().expect("listed");
        let read = store.read_many(1, 10).expect("read");
        assert_eq!(read.iter().map(|(bytes, _)| bytes.as_slice()).collect::<Vec<_>>(), [b"one\n", b"two\n"]);
        assert_eq!(
            listed.iter().map(|one| one.mark.as_str()).collect::<Vec<_>>(),
            read.iter().map(|(_, mark)| mark.as_str()).collect::<Vec<_>>()
        );
        assert_eq!(listed.iter().map(|one| one.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(store.read_many(2, 1).expect("read"), read[1..]);
        assert_eq!(store.read(3), Ok(None));
        let (theirs, here) = store.told_time().expect("a time");
        assert!(theirs.duration_since(here).abs() < jiff::SignedDuration::from_secs(5));
        assert_eq!(store.name(), format!("postgres://127.0.0.1:{port}/postgres?ledger={name}"));
        assert!(store.below().expect("listed").contains(&name));
        // Nothing of this stays with the pooled connection.
        assert_eq!(store.keep_snapshot("x", Vec::new()), Ok(false));
    }
}

#[test]
fn of_many_creates_at_once_one_succeeds() {
    let Some(server) = server() else { return };
    for port in [server.port, server.pooled] {
        runner_at(port, &fresh("race")).probe(5).expect("one each");
    }
    // A run may not delete; whoever may sweeps up, and only what is old.
    let left = || server.sql("SELECT count(*) FROM onboard.log WHERE ledger LIKE '%race-% (probe %'");
    assert_ne!(left(), "0");
    let mut owner = owner_at(server.port, "any").expect("connected");
    assert!(!owner.init().expect("there already"));
    assert_ne!(left(), "0");
    server.sql("UPDATE onboard.log SET at = at - interval '2 hours' WHERE ledger LIKE '%race-% (probe %'");
    assert!(!owner.init().expect("there already"));
    assert_eq!(left(), "0");
    // Two machines at one number, through the store.
    let name = fresh("two");
    let made: Vec<Created> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|racer| {
                let mut store = runner_at(server.port, &name);
                scope.spawn(move || store.create(&object(1, NOTHING_BEFORE, &format!("{racer}\n"))).expect("answered"))
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().expect("ended")).collect()
    });
    assert_eq!(made.iter().filter(|made| **made == Created::Made).count(), 1, "{made:?}");
}

#[test]
fn a_tail_that_the_server_lost_is_told_and_nothing_is_appended() {
    let Some(server) = server() else { return };
    let name = fresh("tail");
    let mut store = runner_at(server.pooled, &name);
    let first = object(1, NOTHING_BEFORE, "one\n");
    let second = object(2, first.hash(), "two\n");
    assert_eq!(store.create(&first), Ok(Created::Made));
    assert_eq!(store.create(&second), Ok(Created::Made));
    server.sql(&format!("DELETE FROM onboard.log WHERE ledger = '{name}' AND seq = 2"));
    unusable(store.create(&object(3, second.hash(), "three\n")), &["object 2 is gone"]);
    // Another one in its place is no better.
    server.sql(&format!("INSERT INTO onboard.log VALUES ('{name}', 2, sha256('x'), 'x')"));
    unusable(store.create(&object(3, second.hash(), "three\n")), &["object 2 is gone, or another one"]);
    assert_eq!(store.read(3), Ok(None));
}

#[test]
fn a_server_that_promises_too_little_is_refused_by_the_settings_name() {
    let Some(server) = server() else { return };
    for word in ["off", "local"] {
        let role = fresh("hasty").replace('-', "_");
        server.sql(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'runner-word' IN ROLE runner; ALTER ROLE {role} SET synchronous_commit = {word}"
        ));
        let mut store = connect(&database(&role, server.port, &fresh("hasty")), "runner-word").expect("connected");
        let setting = format!("synchronous_commit = {word}");
        unusable(store.create(&object(1, NOTHING_BEFORE, "one\n")), &[&setting]);
        unusable(store.probe(0), &[&setting]);
        assert_eq!(store.read(1), Ok(None));
    }
}

#[test]
fn whoever_may_not_is_told_what_is_missing() {
    let Some(server) = server() else { return };
    for port in [server.port, server.pooled] {
        let wrong = connect(&database("runner", port, "x"), "another-word");
        unusable(wrong, &["password is wrong"]);
        let unknown = connect(&database("nobody_at_all", port, "x"), "another-word");
        unusable(unknown, &["no such user"]);
        let elsewhere = Database { database: Some("nowhere".to_owned()), ..database("owner", port, "x") };
        unusable(connect(&elsewhere, "owner-word"), &["no such database"]);
        let mut reader = connect(&database("nobody_much", port, "x"), "nobody-word").expect("connected");
        assert_eq!(reader.read(1), Ok(None), "to look, SELECT is enough");
        unusable(reader.probe(0), &["INSERT on onboard.log", "UPDATE (sha)", "GRANT"]);
        unusable(reader.create(&object(1, NOTHING_BEFORE, "x")), &["INSERT on onboard.log", "UPDATE (sha)"]);
        unusable(open(&database("owner", server.port, "x"), "onboard", &|_| None), &["wants a password"]);
    }
    let empty = fresh("empty").replace('-', "_");
    server.sql(&format!("CREATE DATABASE {empty}"));
    let in_it = |user: &str, word: &str| {
        connect(&Database { database: Some(empty.clone()), ..database(user, server.port, "x") }, word)
            .expect("connected")
    };
    let mut runner = in_it("runner", "runner-word");
    unusable(runner.read(1), &["onboard ledger init"]);
    unusable(runner.create(&object(1, NOTHING_BEFORE, "x")), &["onboard ledger init"]);
    unusable(runner.probe(0), &["onboard ledger init"]);
    unusable(runner.init(), &["an owner's role", "GRANT"]);
    assert_eq!(in_it("owner", "owner-word").init(), Ok(true));
    assert_eq!(in_it("owner", "owner-word").init(), Ok(false));
    // The schema is there, and nobody has granted anything.
    unusable(runner.read(1), &["a right is missing", "GRANT"]);
    unusable(runner.create(&object(1, NOTHING_BEFORE, "x")), &["USAGE on the schema", "INSERT"]);
    server.sql_in(&empty, "ALTER TABLE onboard.log SET UNLOGGED");
    unusable(in_it("owner", "owner-word").probe(0), &["SET LOGGED"]);
}

#[test]
fn a_socket_needs_no_tls_and_a_port_where_nobody_listens_passes() {
    let Some(server) = server() else { return };
    let socket =
        Database { host: server.socket.to_str().map(str::to_owned), ..database("runner", server.port, &fresh("s")) };
    let mut store = connect(&socket, "runner-word").expect("connected");
    assert_eq!(store.create(&object(1, NOTHING_BEFORE, "x")), Ok(Created::Made));
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let refused = owner_at(nobody, "x");
    assert!(matches!(&refused, Err(StoreFault::Passing(why)) if why.starts_with("no connection")), "{refused:?}");
    let plain = Database {
        parameters: vec![("sslmode".to_owned(), "verify-full".to_owned())],
        ..database("owner", server.port, "x")
    };
    unusable(connect(&plain, "owner-word"), &["does not encrypt"]);
}

#[test]
fn a_closed_connection_is_made_again_and_a_backend_in_the_way_is_ended() {
    let Some(server) = server() else { return };
    for port in [server.port, server.pooled] {
        let name = fresh("blocked");
        let mut store = runner_at(port, &name);
        let first = object(1, NOTHING_BEFORE, "one\n");
        assert_eq!(store.create(&first), Ok(Created::Made));
        server
            .sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'runner' AND state = 'idle'");
        let again = store.create(&first);
        assert!(matches!(again, Ok(Created::Made) | Err(StoreFault::Passing(_))), "{again:?}");
        assert_eq!(store.create(&first), Ok(Created::Made));

        // As a pipeline that arrived by half holds its row.
        let mut blocker = server.psql("postgres");
        blocker
            .args(["-U", "runner"])
            .env("PGPASSWORD", "runner-word")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut blocker = blocker.spawn().expect("psql");
        let mut told = blocker.stdin.take().expect("a pipe");
        let sum = "sha256('two\n')".replace('\n', "\\n").replace("'two", "E'two");
        writeln!(told, "BEGIN;\nINSERT INTO onboard.log VALUES ('{name}', 2, {sum}, 'x');\nSELECT 'held';")
            .expect("told");
        let mut word = [0; 5];
        std::io::Read::read_exact(&mut blocker.stdout.take().expect("a pipe"), &mut word).expect("an answer");
        assert_eq!(&word, b"held\n");

        store.set_patience(Duration::from_secs(1));
        let second = object(2, first.hash(), "two\n");
        let blocked = store.create(&second);
        assert!(matches!(&blocked, Err(StoreFault::Passing(why)) if why.contains("time limit")), "{blocked:?}");
        assert_eq!(store.create(&second), Ok(Created::Made));
        // It notices at its next statement.
        let _ = writeln!(told, "SELECT 1;");
        drop(told);
        assert!(!blocker.wait().expect("ended").success(), "it was ended");
    }
}

/// A server of a test's own, which it may kill.
struct Own {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Own {
    fn command(bin: &Path, program: &str) -> Command {
        // PostgreSQL's programs refuse to run as root.
        if nix::unistd::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            let user = nix::unistd::User::from_name("postgres").ok().flatten().expect("the user postgres");
            command.args([
                format!("--reuid={}", user.uid),
                format!("--regid={}", user.gid),
                "--clear-groups".to_owned(),
            ]);
            command.arg(bin.join(program));
            command
        } else {
            Command::new(bin.join(program))
        }
    }

    fn make(server: &Server, settings: &str) -> Self {
        let folder = tempfile::tempdir_in("/tmp").expect("a folder");
        if nix::unistd::geteuid().is_root() {
            let user = nix::unistd::User::from_name("postgres").ok().flatten().expect("the user postgres");
            nix::unistd::chown(folder.path(), Some(user.uid), Some(user.gid)).expect("given away");
        }
        let word = folder.path().join("word");
        fs::write(&word, "owner-word\n").expect("written");
        let mut initdb = Self::command(&server.bin, "initdb");
        initdb.current_dir(folder.path()).arg("-D").arg(folder.path().join("data")).args([
            "-U",
            "owner",
            "-A",
            "scram-sha-256",
        ]);
        let made = initdb.arg("-N").arg("--no-instructions").arg("--pwfile").arg(&word).output().expect("initdb");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let socket = folder.path().display();
        let all = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{socket}'\n{settings}\n"
        );
        let conf = folder.path().join("data/postgresql.conf");
        fs::OpenOptions::new()
            .append(true)
            .open(conf)
            .and_then(|mut file| file.write_all(all.as_bytes()))
            .expect("written");
        let mut own = Self { folder, bin: server.bin.clone(), port, process: None };
        own.start();
        own
    }

    fn start(&mut self) {
        loop {
            // It goes away again while backends of the killed one are still there.
            if self.process.as_mut().is_none_or(|process| process.try_wait().expect("asked").is_some()) {
                let mut postgres = Self::command(&self.bin, "postgres");
                postgres.current_dir(self.folder.path()).arg("-D").arg(self.folder.path().join("data"));
                self.process = Some(postgres.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started"));
            }
            match owner_at(self.port, "x") {
                Err(StoreFault::Passing(_)) => std::thread::yield_now(),
                _ => return,
            }
        }
    }

    fn kill(&mut self) {
        let mut process = self.process.take().expect("running");
        process.kill().expect("killed");
        process.wait().expect("ended");
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(process.id()).unwrap_or_default());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
            let _ = process.wait();
        }
    }
}

#[test]
fn without_fsync_nothing_is_appended() {
    let Some(server) = server() else { return };
    let own = Own::make(&server, "fsync = off");
    let mut store = owner_at(own.port, "x").expect("connected");
    store.init().expect("made");
    unusable(store.create(&object(1, NOTHING_BEFORE, "one\n")), &["fsync = off"]);
    unusable(store.probe(3), &["fsync = off"]);
    assert_eq!(store.read(1), Ok(None));
    assert!(store.promises().expect("told").told().contains("fsync off"));
}

#[test]
fn after_a_kill_in_mid_append_the_repeat_is_ours() {
    let Some(server) = server() else { return };
    let mut own = Own::make(&server, "");
    owner_at(own.port, "x").expect("connected").init().expect("made");
    let (mut number, mut before) = (1, NOTHING_BEFORE);
    for round in 0..3_u64 {
        let port = own.port;
        let started = number;
        let (sender, receiver) = std::sync::mpsc::channel();
        let appending = std::thread::spawn(move || {
            let mut store = owner_at(port, "x").expect("connected");
            loop {
                let next = object(number, before, &format!("{round} {number}\n"));
                match store.create(&next) {
                    Ok(Created::Made) => {}
                    Ok(Created::Refused) => panic!("nobody else appends"),
                    Err(fault) => return (store, next, fault),
                }
                before = next.hash();
                number += 1;
                let _ = sender.send(number);
            }
        });
        // In the middle of its work, wherever that is.
        while receiver.recv().expect("it appends") < started + 40 {}
        own.kill();
        let (mut store, open, fault) = appending.join().expect("ended");
        assert!(matches!(fault, StoreFault::Passing(_)), "{fault}");
        own.start();
        let mut repeated = store.create(&open);
        while matches!(repeated, Err(StoreFault::Passing(_))) {
            repeated = store.create(&open);
        }
        assert_eq!(repeated, Ok(Created::Made));
        assert_eq!(u64::try_from(store.list().expect("listed").len()), Ok(open.number));
        (number, before) = (open.number + 1, open.hash());
    }
}

#[test]
fn only_a_server_that_proves_who_it_is_is_spoken_to() {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let Some(server) = server() else { return };
    let own = Own::make(&server, "");
    let data = own.folder.path().join("data");
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = authority.self_signed(&authority_key).expect("signed").pem();
    let issuer = Issuer::new(authority, authority_key);
    let (root, other) = (own.folder.path().join("ca.pem"), own.folder.path().join("other.pem"));
    fs::write(&root, &ca).expect("written");
    let stranger = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).expect("signed");
    fs::write(&other, stranger.cert.pem()).expect("written");
    let serve = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let leaf = leaf.signed_by(&key, &issuer).expect("signed");
        for (file, text) in [("server.crt", leaf.pem()), ("server.key", key.serialize_pem())] {
            use std::os::unix::fs::{PermissionsExt, chown};
            let path = data.join(file);
            let _ = fs::remove_file(&path);
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
            let of = fs::metadata(&data).expect("there");
            let (uid, gid) = (std::os::unix::fs::MetadataExt::uid(&of), std::os::unix::fs::MetadataExt::gid(&of));
            chown(&path, Some(uid), Some(gid)).expect("given away");
        }
        let sql = |statement: &str| {
            let done = Command::new(own.bin.join("psql"))
                .args([
                    "-X",
                    "-q",
                    "-t",
                    "-A",
                    "-h",
                    "127.0.0.1",
                    "-p",
                    &own.port.to_string(),
                    "-U",
                    "owner",
                    "postgres",
                    "-c",
                ])
                .arg(statement)
                .env("PGPASSWORD", "owner-word")
                .output()
                .expect("psql");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        sql("ALTER SYSTEM SET ssl = on");
        sql("SELECT pg_reload_conf()");
    };
    let to = |host: &str, root: &Path| {
        let parameters = vec![("sslrootcert".to_owned(), root.to_str().expect("a path").to_owned())];
        let database = Database { host: Some(host.to_owned()), parameters, ..database("owner", own.port, "x") };
        connect(&database, "owner-word")
    };
    serve("localhost");
    // The server reads its files a moment after it was told to.
    while to("localhost", &root).is_err() {
        std::thread::yield_now();
    }
    let mut store = to("localhost", &root).expect("encrypted");
    assert!(store.promises().expect("told").is_encrypted);
    unusable(to("127.0.0.1", &root).map(drop).map_err(without_host), &["not for", "localhost"]);
    unusable(to("localhost", &other), &["not trusted", "sslrootcert"]);
    let parameters = vec![("sslmode".to_owned(), "verify-full".to_owned())];
    let system = Database { host: Some("localhost".to_owned()), parameters, ..database("owner", own.port, "x") };
    unusable(connect(&system, "owner-word"), &["not trusted", "sslrootcert"]);
    unusable(to("localhost", &own.folder.path().join("none.pem")), &["sslrootcert"]);
}

/// A certificate's text names the host that was asked for.
fn without_host(fault: StoreFault) -> StoreFault {
    match fault {
        StoreFault::Unusable(text) => StoreFault::Unusable(text.replace("127.0.0.1", "HOST")),
        passing @ StoreFault::Passing(_) => passing,
    }
}
