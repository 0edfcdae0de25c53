//! `onboard`: congratulate a roster of ONLYOFFICE DocSpace users, once each, at the portal's pace.
#![forbid(unsafe_code)]

pub mod display;
pub mod ledger;
pub mod outcome;
pub mod pace;
pub mod report;
pub mod results;
pub mod roster;
pub mod sandbox;
pub mod user;
