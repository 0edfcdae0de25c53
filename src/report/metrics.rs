//! The figures of a run for machines that watch many: OpenMetrics text, gauges alone, of the moment at which it ended.
//!
//! Written by hand: it is three kinds of lines, once and whole, with every series known before. A library for it keeps
//! counters that threads share, and would bring locks and a derive macro for a text of forty lines.

use std::{fmt::Write as _, time::Duration};

use jiff::Timestamp;

use super::summary::Summary;
use crate::{attempt::Mail, exit::Exit, mail, outcome::Outcome};

/// What is known of a run, and by the ledger of those before it.
#[derive(Debug, Clone, Copy)]
pub struct Metrics<'r> {
    /// The portal's host, and its port where that is not the usual one.
    pub portal: &'r str,
    /// Which mail.
    pub mail: Mail,
    /// How the run ended.
    pub exit: Exit,
    /// What became of it; none where it could not start.
    pub summary: Option<&'r Summary>,
    /// When a run began last; none where none did.
    pub last_start: Option<Timestamp>,
    /// When a run ended last with exit status 0.
    pub last_success: Option<Timestamp>,
    /// Messages of which nobody knows whether they were sent, of all runs; none where there is no ledger.
    pub undecided: Option<u64>,
}

impl Metrics<'_> {
    /// As OpenMetrics text.
    pub fn text(&self) -> String {
        let mut text = Text { labels: self.labels(), text: String::new() };
        if let Some(at) = self.last_success {
            text.family("last_success_timestamp_seconds", "When a run ended last with exit status 0, by the ledger.");
            text.sample("last_success_timestamp_seconds", "", &seconds(at));
        }
        if let Some(at) = self.last_start {
            text.family("last_start_timestamp_seconds", "When a run began last, by the ledger.");
            text.sample("last_start_timestamp_seconds", "", &seconds(at));
        }
        if let Some(undecided) = self.undecided {
            text.family("undecided", "Messages of all runs of which nobody knows whether they were sent.");
            text.sample("undecided", "", &undecided.to_string());
        }
        if let Some(summary) = self.summary {
            text.family("duration_seconds", "How long the run took.");
            text.sample("duration_seconds", "", &format!("{:.3}", summary.took.as_secs_f64()));
            text.family("rows", "Rows of the run's roster, by what became of them.");
            for outcome in Outcome::ALL {
                let label = format!(",outcome=\"{}\"", mail::word(self.mail, outcome));
                text.sample("rows", &label, &summary.outcomes.count(outcome).to_string());
            }
            text.family("refusals", "Requests of the run that the portal's limits refused.");
            text.sample("refusals", "", &summary.traffic.refused().to_string());
        }
        text.family("exit_status", "How the run ended; 0 is well.");
        text.sample("exit_status", "", &self.exit.code().to_string());
        text.text.push_str("# EOF\n");
        text.text
    }

    fn labels(&self) -> String {
        let command = match self.mail {
            Mail::Congratulation => "run",
            Mail::Invitation => "invite",
        };
        format!("portal=\"{}\",command=\"{command}\"", escaped(self.portal))
    }
}

/// Text that grows by families and their samples.
struct Text {
    labels: String,
    text: String,
}

impl Text {
    /// Begins a family; its unit is what its name ends with.
    fn family(&mut self, name: &str, help: &str) {
        // Writing to a string cannot fail; so everywhere below.
        let _infallible = writeln!(self.text, "# TYPE onboard_{name} gauge");
        if name.ends_with("_seconds") {
            let _infallible = writeln!(self.text, "# UNIT onboard_{name} seconds");
        }
        let _infallible = writeln!(self.text, "# HELP onboard_{name} {help}");
    }

    fn sample(&mut self, name: &str, label: &str, value: &str) {
        let _infallible = writeln!(self.text, "onboard_{name}{{{}{label}}} {value}", self.labels);
    }
}

/// A moment in seconds, to the millisecond that the ledger keeps.
fn seconds(at: Timestamp) -> String {
    let since = Duration::from_millis(u64::try_from(at.as_millisecond()).unwrap_or(0));
    format!("{}.{:03}", since.as_secs(), since.subsec_millis())
}

/// A label's value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "what is written is what is read")]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{outcome::Tally, report::Traffic};

    fn summary(mail: Mail) -> Summary {
        let mut outcomes = Tally::default();
        for outcome in [Outcome::Sent, Outcome::Sent, Outcome::Unknown] {
            outcomes.add(outcome);
        }
        Summary {
            mail,
            carrier: crate::attempt::Carrier::Portal,
            run: "r1".to_owned(),
            portal: "https://p.example".to_owned(),
            roster: "users.csv".to_owned(),
            results: None,
            ledger: None,
            seal: None,
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: Timestamp::UNIX_EPOCH,
            took: Duration::from_millis(61_250),
            rows: 3,
            outcomes,
            carried_over: 0,
            without_link: 0,
            traffic: Traffic::default(),
            rate: "1500/min".to_owned(),
            exit_status: 1,
            would_send: None,
            stopped: None,
            stopped_code: None,
            attention: Vec::new(),
            go_on: None,
        }
    }

    /// Reads the text as strictly as its grammar is written: the families with their samples; panics where it is not kept.
    fn read(text: &str) -> BTreeMap<String, Vec<(String, f64)>> {
        let body = text.strip_suffix("# EOF\n").expect("it ends with its end");
        let mut families: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
        let mut family = String::new();
        for line in body.lines() {
            assert!(!line.is_empty() && !line.ends_with(' ') && line != "# EOF", "{line:?}");
            if let Some(rest) = line.strip_prefix("# ") {
                let (kind, rest) = rest.split_once(' ').expect(line);
                let (name, value) = rest.split_once(' ').expect(line);
                match kind {
                    "TYPE" => {
                        assert_eq!(value, "gauge", "{line}");
                        name.clone_into(&mut family);
                        assert!(families.insert(family.clone(), Vec::new()).is_none(), "{name} comes once");
                        // What these end with means another type.
                        for suffix in ["_total", "_count", "_sum", "_bucket", "_created", "_info", "_gcount", "_gsum"] {
                            assert!(!name.ends_with(suffix), "{name}");
                        }
                        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
                    }
                    "UNIT" => assert!(name.ends_with(&format!("_{value}")), "{line}"),
                    "HELP" => assert!(!value.contains(['\\', '"']), "{line}"),
                    other => panic!("{other} in {line}"),
                }
                assert_eq!(name, family, "{line}: one family after the other");
                if kind != "TYPE" {
                    assert!(families[&family].is_empty(), "{line}: what describes stands before what is counted");
                }
                continue;
            }
            let (name, rest) = line.split_once('{').expect(line);
            let (labels, value) = rest.rsplit_once("} ").expect(line);
            assert_eq!(name, family, "{line}");
            let value = value.parse().expect(line);
            let samples = families.get_mut(name).expect("its family");
            assert!(samples.iter().all(|(other, _)| other != labels), "{line}: one value a series");
            samples.push((labels.to_owned(), value));
        }
        families
    }

    const fn metrics(summary: Option<&Summary>) -> Metrics<'_> {
        Metrics {
            portal: "p.example:8443",
            mail: Mail::Congratulation,
            exit: Exit::Rows,
            summary,
            last_start: None,
            last_success: None,
            undecided: None,
        }
    }

    #[test]
    fn a_run_is_told_in_gauges() {
        let summary = summary(Mail::Congratulation);
        let at = |ms| Timestamp::from_millisecond(ms).ok();
        let metrics = Metrics {
            last_start: at(1_764_000_000_050),
            last_success: at(1_763_000_000_999),
            undecided: Some(7),
            ..metrics(Some(&summary))
        };
        let families = read(&metrics.text());
        let only = |name: &str| match families[name].as_slice() {
            [(labels, value)] if labels == "portal=\"p.example:8443\",command=\"run\"" => *value,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(only("onboard_last_start_timestamp_seconds"), 1_764_000_000.05);
        assert_eq!(only("onboard_last_success_timestamp_seconds"), 1_763_000_000.999);
        assert_eq!((only("onboard_undecided"), only("onboard_exit_status")), (7.0, 1.0));
        assert_eq!((only("onboard_duration_seconds"), only("onboard_refusals")), (61.25, 0.0));
        let rows = &families["onboard_rows"];
        assert_eq!(rows.len(), Outcome::ALL.len(), "a series does not come and go");
        assert_eq!(rows[0], ("portal=\"p.example:8443\",command=\"run\",outcome=\"sent\"".to_owned(), 2.0));
        assert_eq!(rows.iter().map(|(_, rows)| rows).sum::<f64>(), 3.0);
        assert_eq!(families.len(), 7);
    }

    #[test]
    fn what_is_not_known_is_left_out_and_names_of_portals_break_nothing() {
        let families = read(&metrics(None).text());
        assert_eq!(families.keys().collect::<Vec<_>>(), ["onboard_exit_status"]);
        let odd = Metrics { portal: "a\"b\\c\nd", mail: Mail::Invitation, ..metrics(None) };
        assert!(odd.text().contains("{portal=\"a\\\"b\\\\c\\nd\",command=\"invite\"} 1\n"), "{}", odd.text());
        read(&odd.text());
        let invited = summary(Mail::Invitation);
        let text = Metrics { mail: Mail::Invitation, ..metrics(Some(&invited)) }.text();
        assert!(text.contains(",outcome=\"invited\"} 2\n"), "{text}");
    }
}
