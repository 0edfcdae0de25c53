//! Values of options that are ours alone.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr, time::Duration};

use clap::{ValueEnum, builder::PossibleValue};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, civil, tz::TimeZone};

use crate::{
    display::{MAX_SHOWN, is_plain},
    file::Target,
    settings::FailOn,
    terminal::{ProgressKind, logs::LogFormat},
};

/// A length of time: `30s`, `2min`, `1h 30m`, `12ms`; `0` needs no unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finite(pub Duration);

impl FromStr for Finite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = "give a length of time with its unit, like 500ms, 30s, 2min or 1h 30min";
        if text.trim() == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let signed: SignedDuration = text.trim().parse().map_err(|_no_duration| help.to_owned())?;
        let duration = Duration::try_from(signed).map_err(|_negative| format!("it cannot be negative; {help}"))?;
        if duration > Duration::from_secs(366 * 86_400) {
            return Err(format!("more than a year is too long; {help}"));
        }
        Ok(Self(duration))
    }
}

/// A length of time that something must have to happen at all: a millisecond or more.
pub(super) fn positive(text: &str) -> Result<Finite, String> {
    let finite: Finite = text.parse()?;
    if finite.0 < Duration::from_millis(1) {
        return Err("that leaves no time at all; give 1ms or more, like 500ms, 30s or 2min".to_owned());
    }
    Ok(finite)
}

impl fmt::Display for Finite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SignedDuration::try_from(self.0) {
            Ok(signed) => write!(f, "{signed:#}"),
            Err(_too_long) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

/// A moment in the past: a day, a time, or so long before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// At that time.
    At(Timestamp),
    /// So long ago.
    Ago(SignedDuration),
}

impl Since {
    /// When that is, now being this.
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        // What is written without a zone is UTC, as all times are that are printed.
        if let Ok(at) = text.parse::<civil::DateTime>().map(|at| at.to_zoned(TimeZone::UTC))
            && let Ok(at) = at
        {
            return Ok(Self::At(at.timestamp()));
        }
        let ago = text.parse::<Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
        match ago {
            Ok(ago) if !ago.is_negative() => Ok(Self::Ago(ago)),
            _ => Err(
                "give a day like 2026-11-01, a time like 2026-11-01T08:00:00Z, or a length of time before now, like \
                      7d or 12h"
                    .to_owned(),
            ),
        }
    }
}

/// A text of one line that is shown whole wherever it is shown.
pub(super) fn one_line(text: &str) -> Result<String, String> {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || !is_plain(c)).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.chars().count() {
        0 => Err("it is empty; say why in a line".to_owned()),
        1..=MAX_SHOWN => Ok(line),
        more => Err(format!("it has {more} characters; give at most {MAX_SHOWN}")),
    }
}

/// Where something is written: a path, or `-` for standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultsTarget(pub Target);

impl FromStr for ResultsTarget {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(if text == "-" { Target::Stdout } else { Target::Path(PathBuf::from(text)) }))
    }
}

/// Where a plan is written: a file. What stands on standard output is for people.
pub(super) fn plan_file(text: &str) -> Result<PathBuf, String> {
    match text {
        "" | "-" => Err("a plan goes into a file; give its path, like plan.json".to_owned()),
        path => Ok(PathBuf::from(path)),
    }
}

impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut fail_on = Self { outcomes: Vec::new(), no_link: false, empty: false };
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty() && *word != "none") {
            if word == "no_link" {
                fail_on.no_link = true;
            } else if word == "empty" {
                fail_on.empty = true;
            } else {
                fail_on.outcomes.push(word.parse().map_err(|error| format!("`{word}` is {error}, no_link, empty"))?);
            }
        }
        Ok(fail_on)
    }
}

impl ValueEnum for ProgressKind {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Plain, Self::Never]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Auto => PossibleValue::new("auto").help("Bars on a terminal, a line now and then elsewhere"),
            Self::Plain => PossibleValue::new("plain").help("A line now and then"),
            Self::Never => PossibleValue::new("never").help("Nothing"),
        })
    }
}

impl ValueEnum for LogFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Text, Self::Json]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Text => PossibleValue::new("text").help("For people"),
            Self::Json => PossibleValue::new("json").help("A JSON object a line"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;

    #[test]
    fn a_moment_in_the_past_is_a_day_a_time_or_so_long_ago() {
        let now: Timestamp = "2026-11-25T12:00:00Z".parse().expect("a time");
        let before = |text: &str| text.parse::<Since>().map(|since| since.before(now).to_string());
        for (text, at) in [
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("2026-11-01T08:30:00+02:00", "2026-11-01T06:30:00Z"),
            ("2026-11-01 08:30", "2026-11-01T08:30:00Z"),
            ("12h", "2026-11-25T00:00:00Z"),
            ("7d", "2026-11-18T12:00:00Z"),
            ("2 weeks", "2026-11-11T12:00:00Z"),
        ] {
            assert_eq!(before(text), Ok(at.to_owned()), "{text}");
        }
        for wrong in ["", "yesterday", "7", "-7d", "2026-13-01"] {
            assert!(before(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_line_of_text_moves_no_cursor_and_is_not_too_long() {
        assert_eq!(one_line(" asked\nher\u{1b}[2J\ton the phone "), Ok("asked her [2J on the phone".to_owned()));
        assert!(one_line(" \n").is_err() && one_line(&"x".repeat(MAX_SHOWN + 1)).is_err());
        assert!(one_line(&"x".repeat(MAX_SHOWN)).is_ok());
    }

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        let ms = |text: &str| text.parse::<Finite>().map(|finite| finite.0.as_millis());
        assert_eq!(ms("12ms"), Ok(12));
        assert_eq!(ms("30s"), Ok(30_000));
        assert_eq!(ms("2min"), Ok(120_000));
        assert_eq!(ms("2m"), Ok(120_000));
        assert_eq!(ms("2h"), Ok(7_200_000));
        assert_eq!(ms("1h 30min"), Ok(5_400_000));
        assert_eq!(ms("0"), Ok(0));
        for text in ["", "5", "-5s", "soon", "5 parsecs", "10000h"] {
            assert!(ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_takes_time_is_given_some() {
        for text in ["0", "0s", "0ms", "1ns", "999us"] {
            assert!(positive(text).is_err_and(|error| error.contains("no time at all")), "{text}");
        }
        assert_eq!(positive("1ms"), Ok(Finite(Duration::from_millis(1))));
        assert!(positive("soon").is_err_and(|error| error.contains("length of time")));
    }

    #[test]
    fn fail_on_takes_outcomes_and_no_link() {
        let fail_on: FailOn = "failed, no_link".parse().expect("a list");
        assert_eq!(fail_on, FailOn { outcomes: vec![Outcome::Failed], no_link: true, empty: false });
        assert_eq!("empty".parse(), Ok(FailOn { outcomes: Vec::new(), no_link: false, empty: true }));
        assert!("oops".parse::<FailOn>().is_err());
        assert_eq!("".parse::<FailOn>().map(|fail_on| fail_on.outcomes.len()), Ok(0));
    }
}
