//! A folder of its own for each test, the program in it, and portals to run against.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use onboard::{
    sandbox::{Config, Fault, Limits, Sandbox, User},
    user::{EmployeeType, UserId},
};
use tempfile::TempDir;

/// A results row by column.
pub(crate) type Row = BTreeMap<String, String>;

/// A folder with whatever a test puts into it.
pub(crate) struct Bench {
    folder: TempDir,
}

/// How the program ended.
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    /// What was said on standard error, in one line: where it is wrapped depends on the words.
    pub(crate) fn said(&self) -> String {
        self.err.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    pub(crate) fn with(self, status: i32) -> Self {
        assert_eq!(self.status, status, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("read")
    }

    /// The program, in this folder, with nothing of the environment but what it needs.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onboard"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_clear().env("HOME", self.folder.path()).env("USER", "anna");
        command
    }

    pub(crate) fn onboard(&self, args: &[&str]) -> Ended {
        self.command(args).output().expect("the program runs").into()
    }

    /// `run users.csv` against a portal.
    pub(crate) fn run(&self, portal: &Sandbox, more: &[&str]) -> Ended {
        self.run_command(portal, more).output().expect("the program runs").into()
    }

    pub(crate) fn run_command(&self, portal: &Sandbox, more: &[&str]) -> Command {
        self.key_of(portal);
        let origin = portal.origin();
        let mut args = vec!["run", "users.csv", "--portal", &origin, "--api-key-file", "key"];
        args.extend(more);
        self.command(&args)
    }

    /// Writes the portal's key where only its owner can read it.
    pub(crate) fn key_of(&self, portal: &Sandbox) {
        let path = self.write("key", portal.api_key());
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("changed");
        let _ = path;
    }

    /// A roster of so many users.
    pub(crate) fn roster(&self, users: &[User]) {
        let mut text = "user_id,employee_type,name\n".to_owned();
        for user in users {
            text.push_str(&format!("{},{},{}\n", user.id, user.role, user.first_name));
        }
        self.write("users.csv", text);
    }

    /// The results, by row.
    pub(crate) fn results(&self) -> Vec<Row> {
        rows_of(&self.path("users.results.csv"))
    }

    /// How many rows ended in each way.
    pub(crate) fn outcomes(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for row in self.results() {
            *counts.entry(row["congratulation"].clone()).or_default() += 1;
        }
        counts
    }
}

pub(crate) fn rows_of(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).expect("results");
    reader.deserialize().collect::<Result<_, _>>().expect("rows")
}

/// So many users, all active.
pub(crate) fn active(count: u32) -> Vec<User> {
    (0..count).map(|number| User::made_up(number, 1.0)).collect()
}

/// A portal with these users and no limits, that answers at once.
pub(crate) fn config(users: &[User]) -> Config {
    Config { users: users.to_vec(), limits: Limits::OFF, release_lag: Duration::ZERO, ..Config::default() }
}

pub(crate) fn portal(users: &[User]) -> Sandbox {
    Sandbox::start(config(users)).expect("a portal")
}

pub(crate) fn faulty(users: &[User], faults: &[&str]) -> Sandbox {
    let faults = faults.iter().map(|fault| fault.parse::<Fault>().expect("a fault")).collect();
    Sandbox::start(Config { faults, ..config(users) }).expect("a portal")
}

/// A user whom no portal of these tests knows.
pub(crate) fn stranger() -> User {
    let id = UserId::from_bytes([0xab; 16]);
    User::of_roster(id, Some("stranger@example.com".to_owned()), EmployeeType::User)
}

/// Asserts that nobody got two messages, and returns how many got one.
#[track_caller]
pub(crate) fn messages(portal: &Sandbox) -> usize {
    let stats = portal.stats();
    assert!(stats.messages.values().all(|count| *count == 1), "somebody got two: {:?}", stats.messages);
    stats.messages.len()
}

/// A server that answers every connection with these bytes, as often as it is asked, and then closes or hangs.
pub(crate) struct Bytes {
    pub(crate) origin: String,
}

/// Starts one; `answer` is given the head of the request.
pub(crate) fn serving(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static, hangs: bool) -> Bytes {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0; 1];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                    head.push(byte[0]);
                }
                // Whoever asked may have gone; that is part of the test.
                let _gone = stream.write_all(&answer(&String::from_utf8_lossy(&head)));
                if !hangs {
                    let _gone = stream.shutdown(Shutdown::Write);
                }
                // A request's body that is left unread would break the connection before the answer is read.
                let _gone = io::copy(&mut stream, &mut io::sink());
            });
        }
    });
    Bytes { origin }
}
