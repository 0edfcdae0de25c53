//! `onboard`: congratulate (or invite) a roster of ONLYOFFICE DocSpace users, once each, at the portal's pace.
//!
//! # The path of a row
//!
//! ```text
//!  roster.csv                                                                              results.csv
//!      │ roster: cells → user, type, state                                                      ▲
//!      ▼                                                                                        │ results
//!  ┌────────┐ next question / next message  ┌──────┐ permit ┌────────┐ intent ┌────────┐ send ┌─┴──────┐
//!  │workflow│ ────────────────────────────► │ pace │ ─────► │ ledger │ ─────► │ portal │ ───► │ ending │
//!  │  ::Job │ ◄──────────────────────────── └──────┘        └────────┘        └────────┘      └───┬────┘
//!  └────────┘       what came back, what it proves, when; recorded in the ledger ◄───────────────┘
//! ```
//!
//! A run is the same for any mail: [`settings`] are opened to a roster, a ledger and the [`plan`] that both decide
//! ([`run::open()`]); whoever sits at the terminal agrees to it ([`command`]); one loop ([`run::drive`]) carries it out; and
//! its end is written. In what mails differ stands in [`mail`]. The loop asks the [`workflow::Job`] what may be asked or sent next, asks [`pace::Pace`] whether it may leave now, has the
//! [`ledger::Recorder`] put intents on disk, makes the call ([`portal::Portal`]), and tells job, pace and ledger how it
//! ended. The loop decides nothing; job and pace decide everything and do no I/O: they are moved by values and by time
//! that is handed to them. Then the [`results`] are written, whole.
//!
//! # Why nobody gets two messages
//!
//! An *attempt* to congratulate a user is, in the ledger, in one of four states:
//!
//! ```text
//!  nothing ──intent──► intent ──the portal accepted──► sent
//!     ▲                  │ ├────nobody knows, or the process died────► unknown ──a person──► sent, or nothing
//!     └──certainly no effect──┘
//! ```
//!
//! `intent`, `sent` and `unknown` *hold* the user. Three things make the promise:
//!
//! 1. No byte of a congratulation leaves before its intent is synced to disk (`run::drive` sends only what
//!    [`ledger::Recorder::intend`] returned as open). So whatever was sent has an attempt on disk that holds its user.
//! 2. The ledger admits one holding attempt a user and portal (`ledger::book::fence`: of earlier runs by a unique index in
//!    the file itself, of the running one by heart), and one run at a time (a lock that the kernel drops with its
//!    holder). So while something may have been sent, nothing else is.
//! 3. A hold is released only by an ending that proves that nothing had an effect ([`portal::Fault::effect`]), or by a
//!    person (`settle`, `--retry-unknown`, `--resend`). A crash proves nothing: on start, intents without outcome become
//!    `unknown`.
//!
//! A crash between 1 and the send costs an `unknown` that was never sent; one between the answer and its record costs an
//! `unknown` that was. Neither costs a second message. Below the client nothing repeats a request: see [`portal`].
//!
//! On a ledger that machines share, the same three hold without a lock and without trust in anybody's clock. It is a log
//! of numbered objects, and all that is asked of its store is to create a name only where it is absent. Each object names
//! the hash of the one before (the *chain*), so a log that lost or changed an object is refused. Whoever writes is a
//! *session*: it appends "began", decides by what it read until then, appends each intent before its bytes leave, and
//! appends "ended". Of two that append one number, one is refused, and is fenced for good. So a session knows at every append
//! that it is still the only one, and between two appends by a *lease* ([`lease::Lease`]): nothing leaves it later than 30 s after
//! the first try of its last acknowledged append began, by a clock that counts sleep, looked at right before the first byte;
//! nobody takes over before the log stood still for 60 s of the waiter's own clock. Whoever takes over makes its open
//! intents `unknown`, as a start does on a file. (A process that is suspended between that look and that byte lets one
//! message out when it wakes: its intent is `unknown` by then, so it is the only one, unless a person has said otherwise.)
//! `ledger::book` makes of either the same tables by the same code; `tests/model.rs` goes through every way in which two sessions can go, and finds each of these rules needed.
//!
//! # The code map
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`command`] | the commands; [`cli`] what can be typed, and where settings come from |
//! | [`run`] | one run of any mail: open, drive, close |
//! | [`mail`] | in what congratulations and invitations differ: pure |
//! | [`letter`] | a message of one's own, from its file to the bytes of a mail: pure |
//! | [`workflow`] | what to ask next, and what became of each row: pure |
//! | [`pace`] | when the next request may leave: pure |
//! | [`plan`] | what is due, decided once for `onboard plan`, the question and the run, and whether that is what was approved: pure |
//! | [`ledger`] | the durable record across runs |
//! | [`portal`] | one call, one request; what each ending proves |
//! | [`smtp`] | one mail by a mail server; what each ending proves |
//! | [`roster`], [`results`] | the files in and out; [`files`] keeps those of a command apart |
//! | [`split`] | one roster for many portals, made into one for each; whose portal a file is for |
//! | [`report`] | what is told of a run afterwards; [`terminal`] while it goes on, for diagnostics and questions |
//! | [`notify`] | telling somebody of a run who does not sit before it |
//! | [`audience`] | whoever watches a run |
//! | [`user`], [`outcome`], [`reason`], [`code`], [`attempt`], [`mod@exit`], [`origin`], [`secret`], [`display`] | values that are right once they are made |
//! | [`lease`] | how long a session may send without a word from a shared ledger |
//! | [`seal`] | where a ledger stands, to be kept elsewhere |
//! | [`who`] | who runs this, for the record |
//! | [`help`] | the topics of `onboard help`, from Markdown to a terminal and the manual: pure |
//! | [`place`] | where the ledger lies, as it is typed, and when nobody says |
//! | [`environment`] | what the environment says, taken once |
//! | [`home`] | `~` in paths that no shell has seen |
//! | `http` | what a request is that leaves once |
//! | [`signing`] | the key that a real portal demands; [`trust`] which certificates are trusted |
//! | [`sheet`], [`mod@file`], [`signals`] | cells and columns of in and out; files that are whole or not there; Ctrl-C as a value |
//! | [`settings`] | what a run is told, as plain values |
//! | [`access`] | from settings to a portal that can be asked; [`inquiry`] asks it one by one |
//! | [`sandbox`] | the embedded portal |
//!
//! # The order
//!
//! A module uses only what stands below it, and of that only what the table in `tests/it/invariants.rs` allows; a test
//! holds both, down to single files.
//!
//! ```text
//! command    what each command does
//! cli        what can be typed
//! help       the topics of `onboard help`: pure
//! run        one run of any mail: open, drive, close
//! report     what is told of it
//! results    out
//! split      one roster for many portals, made into one for each
//! notify     telling somebody of a run who does not sit before it
//! inquiry    one question after another
//! access     from settings to a portal
//! settings   what a run is told
//! workflow   what to ask and send next, and what became of each row: pure
//! plan       what is due, decided once: pure
//! mail       in what mails differ: pure
//! smtp       another wire: mails
//! portal     the wire
//! ledger     the record
//! letter     a message of one's own: pure
//! sandbox    beside: shares no encoding with portal, so that two readings of the contract check each other
//! roster     in
//! terminal   what is seen
//! audience   whoever watches a run
//! files      all files of one command
//! sheet      what in and out share
//! signals
//! signing
//! outcome    how a row ended
//! reason     why
//! code       its stable name
//! attempt    what is on record of a message
//! pace       when the next request may leave: pure
//! place      where the ledger lies
//! origin
//! user
//! exit
//! who
//! lease      how long a session may send without a word from its ledger
//! seal       where a ledger stands, to be kept elsewhere
//! secret
//! http       a request leaves once, and goes where it was sent
//! trust      which certificates are trusted
//! file       there whole or not at all
//! home
//! environment  what the environment says, taken once
//! display
//! ```
//!
//! `workflow`, `plan`, `mail`, `letter`, `help` and `pace` know no file, socket, clock or task; `run` knows no terminal, no environment and no
//! flag: whoever starts it tells it by [`settings`], and watches it as an [`audience`].
//!
//! # What to run
//!
//! `.ci/run` is what has to pass before a change goes in; `cargo test`, a part of it, runs a little of each of these,
//! which go on for longer:
//!
//! | command | what it does |
//! | --- | --- |
//! | `ONBOARD_TORTURE=300 cargo test --release torture` | kills the program at random instants until the job is done, 300 times over |
//! | `ONBOARD_TORTURE=20 .ci/stores cargo test --test torture` | runs on a shared ledger: killed with their home, two at once, paused, their store's answers late, cut, lost (`.ci/postgres` too) |
//! | `SEEDS=1000000 cargo test --release --test simulation` | a million simulated days; `SEED=17` replays one |
//! | `cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none roster` | feeds a reader whatever breaks it; `cargo fuzz list --fuzz-dir tests/fuzz` names the others |
//! | `cargo mutants` | tells what of the code that decides could be changed without a test noticing |
//! | `cargo bench` | what a run costs, next to the plain sequential way |
//! | `cargo cyclonedx --format json` | writes the bill of materials (SBOM), `onboard.cdx.json` |
//! | `.ci/picture` | makes `samples/run.svg`, the picture in the README, from a real run |
//!
//! `cargo install cargo-fuzz cargo-mutants cargo-cyclonedx` brings what Rust does not.
//!
//! # Absent on purpose
//!
//! - `unsafe`, and `unwrap` on anything from outside.
//! - Any call that can be made twice by itself: no retry, redirect or cookie in the HTTP stack.
//! - Any way to trust a certificate blindly, or to reach a portal in the clear beyond loopback.
//! - A secret as an argument's value, in a settings file, or in anything that can be printed.
//! - Shared state: one thread runs the loop and owns job and pace; one owns the ledger's file.
#![forbid(unsafe_code)]

/// The version of this program, with the commit that it was built from where that is known.
pub const VERSION: &str = env!("ONBOARD_VERSION");

pub mod access;
pub mod attempt;
pub mod audience;
pub mod cli;
pub mod code;
pub mod command;
pub mod display;
pub mod environment;
pub mod exit;
pub mod file;
pub mod files;
pub mod help;
pub mod home;
mod http;
pub mod inquiry;
pub mod lease;
pub mod ledger;
pub mod letter;
pub mod mail;
pub mod notify;
pub mod origin;
pub mod outcome;
pub mod pace;
pub mod place;
pub mod plan;
pub mod portal;
pub mod reason;
pub mod report;
pub mod results;
pub mod roster;
pub mod run;
pub mod sandbox;
pub mod seal;
pub mod secret;
pub mod settings;
pub mod sheet;
pub mod signals;
pub mod signing;
pub mod smtp;
pub mod split;
pub mod terminal;
pub mod trust;
pub mod user;
pub mod who;
pub mod workflow;
