//! JUnit XML: a test case for each reason that needs a person, and one for each outcome that does not.

use std::fmt::Write as _;

use super::summary::Summary;
use crate::{code::Code, mail::word, outcome::Outcome};

/// The summary as JUnit XML. Reasons rather than rows: a roster of a million is no test suite of a million.
pub fn junit(summary: &Summary, fail_on: &[Outcome]) -> String {
    let mut cases = String::new();
    let (mut tests, mut failures) = (0, 0);
    for (outcome, rows) in summary.outcomes.occurred() {
        let word = word(summary.mail, outcome);
        let groups: Vec<_> = summary.attention.iter().filter(|group| group.outcome == outcome).collect();
        if groups.is_empty() || !fail_on.contains(&outcome) {
            tests += 1;
            // Writing to a string cannot fail; so everywhere below.
            let _infallible = writeln!(cases, "    <testcase classname=\"onboard\" name=\"{rows} rows {word}\"/>");
        }
        for group in groups.into_iter().filter(|_| fail_on.contains(&outcome)) {
            tests += 1;
            failures += 1;
            let reason = escaped(&group.reason);
            let kind = group.code.map_or(word, Code::as_str);
            let _infallible = writeln!(
                cases,
                "    <testcase classname=\"onboard\" name=\"{} rows {word}: {reason}\">\n      <failure \
                 type=\"{kind}\" message=\"{reason}\">such as row {}</failure>\n    </testcase>",
                group.rows,
                escaped(&group.such_as())
            );
        }
    }
    if let Some(stopped) = &summary.stopped {
        tests += 1;
        failures += 1;
        let stopped = escaped(stopped);
        let kind = summary.stopped_code.map_or("stopped", Code::as_str);
        let _infallible = writeln!(
            cases,
            "    <testcase classname=\"onboard\" name=\"the run came to its end\">\n      <failure type=\"{kind}\" \
             message=\"{stopped}\"/>\n    </testcase>"
        );
    }
    let seconds = summary.took.as_secs_f64();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"{tests}\" failures=\"{failures}\" \
         time=\"{seconds:.3}\">\n  <testsuite name=\"onboard {}\" tests=\"{tests}\" failures=\"{failures}\" \
         errors=\"0\" time=\"{seconds:.3}\" timestamp=\"{}\">\n{cases}  </testsuite>\n</testsuites>\n",
        escaped(&summary.roster),
        summary.started_at.strftime("%Y-%m-%dT%H:%M:%S"),
    )
}

/// Text as it may stand in XML 1.0; characters that it cannot hold become `?`.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut safe, c| {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\t' | '\n' | '\r' => safe.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('?'),
            c => safe.push(c),
        }
        safe
    })
}
