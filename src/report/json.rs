//! The summary for machines: a versioned JSON object, whose schema lies beside this file.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    summary::Summary,
    traffic::{Class, Counts},
};
use crate::{attempt::Carrier, code::Code, mail, outcome::Outcome, seal::Seal};

/// Grows when a member is removed or changes its meaning; new members do not count.
const VERSION: u32 = 1;

/// The summary of a run.
#[derive(Debug, Clone, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SummaryJson {
    /// The version of this format.
    pub version: u32,
    /// The run's id, as in the ledger.
    pub run: String,
    /// The portal's origin.
    pub portal: String,
    /// Who carried the messages: `portal` or `mail server`.
    pub carrier: &'static str,
    /// The roster's name.
    pub roster: String,
    /// The results file; absent where they went to standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<String>,
    /// The ledger; absent where it was thrown away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
    /// Where the ledger stood at the end of the run: `--ledger-seal` refuses one that no longer holds this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger_seal: Option<Seal>,
    /// When the run began, RFC 3339.
    #[cfg_attr(test, schemars(with = "String"))]
    pub started_at: Timestamp,
    /// When it ended, RFC 3339.
    #[cfg_attr(test, schemars(with = "String"))]
    pub ended_at: Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// All rows of the roster.
    pub rows: u64,
    /// Rows by outcome; every outcome is there.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Rows that were left as they were (`--only`).
    pub carried_over: u64,
    /// Valid rows without their link.
    pub without_link: u64,
    /// Requests that left.
    pub requests: Requests,
    /// The rate that was kept.
    pub rate: String,
    /// The exit status.
    pub exit_status: u8,
    /// To how many people it would have been sent; there in a dry run alone, which sends to nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_send: Option<u64>,
    /// Why the run ended before its rows did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// The stable code of it; `onboard explain` tells what it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_code: Option<&'static str>,
    /// What needs a person, most rows first.
    pub attention: Vec<Alike>,
    /// The command to go on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub go_on: Option<String>,
}

/// Requests that left.
#[derive(Debug, Clone, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Requests {
    /// All of them.
    pub total: u64,
    /// Those that a limiter refused.
    pub refused: u64,
    /// By class: `link`, `page`, `user`, `congratulation`; `mail`, which are no requests and are not in `total`.
    pub by_class: BTreeMap<&'static str, ByClass>,
}

/// The requests of one class.
#[derive(Debug, Clone, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ByClass {
    /// Those that left.
    pub sent: u64,
    /// Of these, refused by a limiter.
    pub refused: u64,
    /// Of these, ended badly in another way.
    pub failed: u64,
    /// The latency that half of them do not exceed, in milliseconds, to within a fifth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// The latency that nineteen in twenty do not exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
}

/// Rows that ended alike and need a person.
#[derive(Debug, Clone, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Attention"))]
pub struct Alike {
    /// How they ended.
    pub outcome: &'static str,
    /// Why.
    pub reason: String,
    /// The stable code of why; `onboard explain` tells what it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// How many.
    pub rows: u64,
    /// One of them, from 1.
    pub example_row: u64,
    /// Where that one is in a workbook, as Excel has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example_at: Option<String>,
}

impl ByClass {
    fn of(counts: &Counts) -> Self {
        let ms = |share| counts.latency(share).map(|latency| latency.as_secs_f64() * 1000.0);
        Self { sent: counts.sent, refused: counts.refused, failed: counts.failed, p50_ms: ms(0.5), p95_ms: ms(0.95) }
    }
}

impl From<&Summary> for SummaryJson {
    fn from(summary: &Summary) -> Self {
        Self {
            version: VERSION,
            run: summary.run.clone(),
            portal: summary.portal.clone(),
            carrier: summary.carrier.noun(),
            roster: summary.roster.clone(),
            results: summary.results.clone(),
            ledger: summary.ledger.clone(),
            ledger_seal: summary.seal.clone(),
            started_at: summary.started_at,
            ended_at: summary.ended_at,
            seconds: summary.took.as_secs_f64(),
            rows: summary.rows,
            outcomes: Outcome::ALL
                .iter()
                .map(|outcome| (mail::word(summary.mail, *outcome), summary.outcomes.count(*outcome)))
                .collect(),
            carried_over: summary.carried_over,
            without_link: summary.without_link,
            requests: Requests {
                total: summary.traffic.sent(),
                refused: summary.traffic.refused(),
                by_class: Class::of(summary.mail, summary.carrier == Carrier::MailServer)
                    .iter()
                    .map(|class| (class.as_str(), ByClass::of(&summary.traffic.class(*class))))
                    .collect(),
            },
            rate: summary.rate.clone(),
            exit_status: summary.exit_status,
            would_send: summary.would_send,
            stopped: summary.stopped.clone(),
            stopped_code: summary.stopped_code.map(Code::as_str),
            attention: summary
                .attention
                .iter()
                .map(|group| Alike {
                    outcome: mail::word(summary.mail, group.outcome),
                    reason: group.reason.clone(),
                    code: group.code.map(Code::as_str),
                    rows: group.rows,
                    example_row: group.example,
                    example_at: group.cell.clone(),
                })
                .collect(),
            go_on: summary.go_on.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_SCHEMA=1 cargo test schema` writes it anew.
    #[test]
    fn the_schema_in_the_repository_is_the_one_of_the_code() {
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(SummaryJson)).expect("JSON") + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/summary.schema.json");
        #[expect(clippy::disallowed_methods, reason = "whoever changes the summary says so")]
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &schema).expect("written");
        }
        assert_eq!(std::fs::read_to_string(path).expect("there"), schema);
    }
}
