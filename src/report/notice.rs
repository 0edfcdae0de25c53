//! What somebody is told of a run who does not sit before it. It goes through other people's servers: so it is made of
//! counts, of the fixed texts of codes, of the portal's host and of the run's id; never of what a portal or a row says, nor of
//! a file's name, which may be a link, an address or a person's name.

use std::{collections::BTreeMap, fmt::Write as _};

use super::summary::Summary;
use crate::{
    attempt::Mail,
    code::Code,
    display::{Grouped, count},
    exit::Exit,
    mail,
    outcome::Outcome,
};

/// So many reasons are told; the rest is counted.
const REASONS: usize = 5;
/// The digits of a run's id as people are shown it.
const SHORT: usize = 8;

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// One line of ASCII.
    pub subject: String,
    /// The text.
    pub text: String,
}

impl Notice {
    /// Of a run that ended so.
    pub fn of(summary: &Summary, exit: Exit) -> Self {
        let mut notice = Self::begun(summary.mail, exit, Some(&summary.portal));
        let text = &mut notice.text;
        if summary.ledger.is_some() {
            let from = summary.run.len().saturating_sub(SHORT);
            // Writing to a string cannot fail; so everywhere below.
            let _infallible = writeln!(text, "Run: {}", summary.run.get(from..).unwrap_or(&summary.run));
        }
        let counts: Vec<String> = summary
            .outcomes
            .occurred()
            .map(|(outcome, rows)| format!("{} {}", Grouped(rows), mail::word(summary.mail, outcome)))
            .collect();
        let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        let _infallible = writeln!(text, "Rows: {counts}");
        match summary.stopped_code {
            Some(code) => {
                let _infallible = writeln!(text, "Why it stopped: {} Next: {}", code.happened(), code.next());
            }
            None => write_next(text, exit),
        }
        write_reasons(text, summary);
        if exit != Exit::Clean {
            text.push_str("More is in the results, and in what the run said where it ran.\n");
        }
        notice
    }

    /// Of one that could not start.
    pub fn not_started(mail: Mail, exit: Exit, portal: Option<&str>) -> Self {
        let mut notice = Self::begun(mail, exit, portal);
        let next = match exit {
            // Another run may hold the ledger: then nothing is to be mended.
            Exit::Storage => "look at what it said where it ran, and run the same command again later",
            Exit::Early => "run the same command again, with more time",
            _ => "look at what it said where it ran, mend that, and run the same command again",
        };
        let _infallible = writeln!(notice.text, "Nothing was sent. Next: {next}.");
        notice
    }

    fn begun(mail: Mail, exit: Exit, portal: Option<&str>) -> Self {
        let command = match mail {
            Mail::Congratulation => "run",
            Mail::Invitation => "invite",
        };
        let subject = format!("onboard {command}: {} (exit status {})", exit.in_words(), exit.code());
        let mut text = format!("{subject}\n");
        if let Some(portal) = portal {
            // A chat would make a link of what has a scheme.
            let host = portal.split_once("://").map_or(portal, |(_scheme, host)| host);
            let _infallible = writeln!(text, "Portal: {host}");
        }
        Self { subject, text }
    }
}

/// What to do after an ending that has no reason of its own.
fn write_next(text: &mut String, exit: Exit) {
    let next = match exit {
        Exit::Clean | Exit::Rows | Exit::NotStarted => return,
        Exit::Storage => {
            "look whether its disk is full, then run the same command again; what is settled is not done again"
        }
        Exit::Portal => "`onboard doctor` shows what the portal has against it",
        Exit::Early | Exit::Interrupted | Exit::Terminated => {
            "run the same command again; what is settled is not done again"
        }
    };
    let _infallible = writeln!(text, "Next: {next}.");
}

fn write_reasons(text: &mut String, summary: &Summary) {
    let mut groups: BTreeMap<(Outcome, Option<Code>), u64> = BTreeMap::new();
    for group in &summary.attention {
        *groups.entry((group.outcome, group.code)).or_default() += group.rows;
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    for ((outcome, code), rows) in groups.iter().take(REASONS) {
        let (rows, word) = (count(*rows, "row"), mail::word(summary.mail, *outcome));
        let _infallible = match code {
            Some(code) => writeln!(text, "{rows} {word}: {} Next: {}", code.happened(), code.next()),
            None => writeln!(text, "{rows} {word}: {}", mail::meaning(summary.mail, Some(summary.carrier), *outcome)),
        };
    }
    let more: u64 = groups.iter().skip(REASONS).map(|(_, rows)| rows).sum();
    if more > 0 {
        let _infallible = writeln!(text, "{} with other reasons", count(more, "row"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        outcome::Tally,
        report::{Reasons, Traffic},
    };

    #[test]
    fn no_fixed_text_holds_an_address_or_a_link() {
        for code in Code::ALL {
            let text = format!("{}{}", code.happened(), code.next());
            assert!(!text.contains('@') && !text.contains("://"), "{text}");
        }
    }

    #[test]
    fn what_a_row_the_portal_or_a_file_says_is_not_told() {
        let link = "https://p.example/s/SECRETLINK?a=anna@example.com";
        let mut reasons = Reasons::default();
        for row in 0..3 {
            reasons.add(row, Outcome::Rejected, format!("it said {link} {row}"), Some(Code::UserDisabled), true);
        }
        reasons.add(3, Outcome::Unknown, format!("Anna at {link}"), None, true);
        let mut outcomes = Tally::default();
        for outcome in [Outcome::Rejected, Outcome::Rejected, Outcome::Rejected, Outcome::Unknown] {
            outcomes.add(outcome);
        }
        let summary = Summary {
            mail: Mail::Congratulation,
            carrier: crate::attempt::Carrier::Portal,
            run: "019ab8c2-7d11-7abc-8def-0123456789ab".to_owned(),
            portal: "https://p.example:8443".to_owned(),
            roster: "/home/anna/Anna Schmidt.csv".to_owned(),
            results: Some("/home/anna/Anna Schmidt.results.csv".to_owned()),
            ledger: Some("/home/anna/ledger.db".to_owned()),
            seal: None,
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: Timestamp::UNIX_EPOCH,
            took: Duration::ZERO,
            rows: 4,
            outcomes,
            carried_over: 0,
            without_link: 0,
            traffic: Traffic::default(),
            rate: "1500/min".to_owned(),
            exit_status: 3,
            would_send: None,
            stopped: Some(format!("it stopped at {link}")),
            stopped_code: Some(Code::Stopped),
            attention: reasons.grouped(),
            go_on: Some("onboard run '/home/anna/Anna Schmidt.csv'".to_owned()),
        };
        let text = Notice::of(&summary, Exit::Portal).text;
        let stopped = format!("Why it stopped: {} Next: {}", Code::Stopped.happened(), Code::Stopped.next());
        let disabled =
            format!("3 rows rejected: {} Next: {}", Code::UserDisabled.happened(), Code::UserDisabled.next());
        let unknown = format!("1 row unknown: {}", mail::meaning(Mail::Congratulation, None, Outcome::Unknown));
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "onboard run: the portal could not be used (exit status 3)",
                "Portal: p.example:8443",
                "Run: 456789ab",
                "Rows: 3 rejected, 1 unknown",
                &stopped,
                &disabled,
                &unknown,
                "More is in the results, and in what the run said where it ran.",
            ]
        );
        let clean = Summary { stopped_code: None, attention: Vec::new(), ledger: None, ..summary };
        let text = Notice::of(&clean, Exit::Clean).text;
        assert_eq!(
            text,
            "onboard run: finished (exit status 0)\nPortal: p.example:8443\nRows: 3 rejected, 1 unknown\n"
        );
        assert!(Notice::of(&clean, Exit::Storage).text.contains("\nNext: look whether its disk is full"));
    }

    #[test]
    fn what_could_not_start_is_told_without_its_cause() {
        let notice = Notice::not_started(Mail::Invitation, Exit::NotStarted, Some("https://p.example"));
        assert_eq!(notice.subject, "onboard invite: could not start; nothing was sent (exit status 2)");
        assert_eq!(
            notice.text,
            "onboard invite: could not start; nothing was sent (exit status 2)\nPortal: p.example\nNothing was sent. Next: \
             look at what it said where it ran, mend that, and run the same command again.\n"
        );
        let held = Notice::not_started(Mail::Congratulation, Exit::Storage, None);
        assert!(held.text.ends_with("and run the same command again later.\n"), "{}", held.text);
    }

    #[test]
    fn every_ending_has_one_line_of_ascii() {
        for exit in [
            Exit::NotStarted,
            Exit::Storage,
            Exit::Interrupted,
            Exit::Terminated,
            Exit::Portal,
            Exit::Early,
            Exit::Rows,
            Exit::Clean,
        ] {
            let subject = Notice::not_started(Mail::Congratulation, exit, None).subject;
            assert!(subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{subject}");
        }
    }
}
