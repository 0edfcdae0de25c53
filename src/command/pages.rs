//! What the ledger knows of messages, as people read it: in lines of at most 80 columns.

use crate::{
    display::{Shown, moment, wrapped},
    ledger::AttemptRecord,
};

/// The columns of the narrowest terminal that is usual.
const WIDTH: usize = 80;
/// The digits of a short id.
pub(super) const SHORT: usize = 8;

/// A run's id as people are shown it: its last 8 digits.
pub(super) fn short(run: &str) -> String {
    let from = run.len().saturating_sub(SHORT);
    Shown(run.get(from..).unwrap_or(run)).to_string()
}

/// A text beside its label, in as many lines as it takes, all of them within the width.
pub(super) fn labelled(label: &str, text: &str) -> String {
    let indent = label.chars().count();
    let width = WIDTH.saturating_sub(indent).max(20);
    let mut lines: Vec<String> = Vec::new();
    for line in wrapped(text, width, "").lines() {
        // A word that is longer than a line is broken where the line ends.
        let mut rest: Vec<char> = line.chars().collect();
        while rest.len() > width {
            let after = rest.split_off(width);
            lines.push(rest.iter().collect());
            rest = after;
        }
        lines.push(rest.iter().collect());
    }
    let text = lines.join(&format!("\n{}", " ".repeat(indent)));
    format!("{label}{text}").trim_end().to_owned()
}

/// To whom: a user's id, or what stands for an address.
pub(super) fn whom(attempt: &AttemptRecord) -> String {
    match (&attempt.user_id, &attempt.address) {
        (Some(user), _) => user.clone(),
        (None, address) => format!("address {}", address.as_deref().unwrap_or_default()),
    }
}

/// Which row of which roster.
pub(super) fn row_of(attempt: &AttemptRecord) -> String {
    let roster = Shown(&attempt.roster);
    match attempt.row {
        Some(row) => format!("row {row} of {roster}"),
        None => format!("a row of {roster} (which one, no earlier release has kept)"),
    }
}

/// How it ended, before anybody decided: what people are told of it.
pub(super) fn ending(attempt: &AttemptRecord) -> &'static str {
    match attempt.state.as_str() {
        "intent" => "no answer yet",
        "no_effect" => "not sent",
        "sent" if !is_decided(attempt) => "sent",
        "sent" | "unknown" => "unknown",
        _ => "in another state",
    }
}

/// Whether a person said what became of it.
pub(super) fn is_decided(attempt: &AttemptRecord) -> bool {
    matches!(attempt.decision.as_deref(), Some("sent" | "not sent"))
}

/// Whether it awaits a person's decision.
pub(super) fn is_undecided(attempt: &AttemptRecord) -> bool {
    attempt.holds && matches!(attempt.state.as_str(), "unknown" | "intent")
}

/// What came back, and why it ended so; nothing where there is nothing to say.
pub(super) fn answer(attempt: &AttemptRecord) -> String {
    let reason = attempt.reason.as_deref().map(|reason| Shown(reason).to_string());
    match (attempt.state.as_str(), attempt.http, reason) {
        ("intent", _, _) => "none is on record: its run goes on, or was killed".to_owned(),
        (_, Some(http), Some(reason)) if !reason.contains(&http.to_string()) => format!("HTTP {http}: {reason}"),
        (_, _, Some(reason)) => reason,
        (_, Some(http), None) if ending(attempt) != "sent" => format!("HTTP {http}"),
        (_, _, None) => String::new(),
    }
}

/// What a person decided: who, when, why.
pub(super) fn decision(attempt: &AttemptRecord) -> Option<String> {
    let decision = attempt.decision.as_deref()?;
    let mut text = match decision {
        "sent again" => "let go, to be sent again".to_owned(),
        other => format!("decided: {}", Shown(other)),
    };
    if let Some(by) = &attempt.decided_by {
        text = format!("{text}, by {}", Shown(by));
    }
    match &attempt.decision_reason {
        Some(why) => Some(format!("{text}: {}", Shown(why))),
        None => Some(text),
    }
}

/// An attempt in a person's story: what happened when, in which run, and what was decided later.
pub(super) fn told(attempt: &AttemptRecord) -> String {
    let mut text = ending(attempt).to_owned();
    let answer = answer(attempt);
    if !answer.is_empty() {
        text = format!("{text}: {answer}");
    }
    let run = format!("run {}, {}, by {}", short(&attempt.run), row_of(attempt), Shown(&attempt.who));
    let at = moment(attempt.ended_at.unwrap_or(attempt.began_at));
    let mut lines = vec![labelled(&format!("  {at}  "), &text), labelled(&" ".repeat(at.len() + 4), &run)];
    if let (Some(decision), Some(at)) = (decision(attempt), attempt.decided_at) {
        lines.push(labelled(&format!("  {}  ", moment(at)), &decision));
    }
    lines.join("\n")
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    pub(in crate::command) fn attempt(state: &str, holds: bool) -> AttemptRecord {
        AttemptRecord {
            mail: "congratulation",
            portal: "https://portal.example.com".to_owned(),
            user_id: Some("5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10".to_owned()),
            address: None,
            run: "0193a7b2-0000-7000-8000-00001a2b3c4d".to_owned(),
            command: "run".to_owned(),
            who: "anna@laptop".to_owned(),
            roster: "users.csv".to_owned(),
            row: Some(12),
            began_at: Timestamp::UNIX_EPOCH,
            state: state.to_owned(),
            holds,
            ended_at: Some(Timestamp::UNIX_EPOCH),
            http: None,
            reason: None,
            decision: None,
            decided_by: None,
            decided_at: None,
            decision_reason: None,
        }
    }

    #[test]
    fn a_story_says_what_happened_when_and_who_decided_why() {
        let mut one = attempt("sent", true);
        one.reason = Some("the connection broke".to_owned());
        one.http = Some(502);
        one.decision = Some("sent".to_owned());
        one.decided_by = Some("ben@desk".to_owned());
        one.decided_at = Timestamp::from_second(60).ok();
        one.decision_reason = Some("asked\nher".to_owned());
        assert_eq!(
            told(&one),
            "  1970-01-01 00:00:00 UTC  unknown: HTTP 502: the connection broke\n                           \
             run 1a2b3c4d, row 12 of users.csv, by anna@laptop\n  \
             1970-01-01 00:01:00 UTC  decided: sent, by ben@desk: asked\\u{a}her"
        );
        let open = AttemptRecord { ended_at: None, ..attempt("intent", true) };
        assert!(is_undecided(&open) && told(&open).contains("no answer yet"), "{}", told(&open));
        assert!(told(&attempt("no_effect", false)).contains("not sent"));
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(label in " {0,30}", text in "[a-z/:. é]{0,300}") {
            prop_assert!(labelled(&label, &text).lines().all(|line| line.chars().count() <= WIDTH));
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&labelled(&label, &text)), letters(&text));
        }
    }
}
