//! The built program against the embedded portal: one file for each promise.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::panic,
    reason = "a test that cannot go on says so by failing, and is not in a hurry"
)]

#[cfg(unix)]
mod action;
mod before;
mod bench;
mod dry_run;
mod earlier;
mod exit_statuses;
mod files;
mod fixing;
mod help;
mod hostile;
mod invariants;
mod invite;
mod ledger;
#[cfg(unix)]
mod ledger_elsewhere;
mod letter;
mod limits;
mod mail_server;
mod messages;
mod metrics;
mod notices;
mod outcomes;
mod outputs;
mod own_message;
mod plans;
mod protocol;
mod proxy;
mod readme;
mod real_portals;
#[cfg(unix)]
mod releasing;
mod rosters;
#[cfg(unix)]
mod samples;
#[cfg(unix)]
mod samples_of_many;
mod sandbox;
mod secrets;
mod settling;
mod splitting;
mod stopping;
#[cfg(unix)]
mod terminal;
mod tls;
mod transfers;
mod workbooks;
