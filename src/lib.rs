//! `onboard`: congratulate a roster of ONLYOFFICE DocSpace users, once each, at the portal's pace.
#![forbid(unsafe_code)]

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub mod access;
pub mod cli;
pub mod command;
pub mod display;
pub mod ledger;
pub mod logs;
pub mod origin;
pub mod outcome;
pub mod pace;
pub mod plan;
pub mod portal;
pub mod progress;
pub mod report;
pub mod results;
pub mod roster;
pub mod run;
pub mod sandbox;
pub mod secret;
pub mod signing;
pub mod user;
pub mod workflow;
