//! Values of options that are ours alone.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr, time::Duration};

use clap::{ValueEnum, builder::PossibleValue};
use jiff::SignedDuration;

use crate::{
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

/// Where something is written: a path, or `-` for standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultsTarget(pub Target);

impl FromStr for ResultsTarget {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(if text == "-" { Target::Stdout } else { Target::Path(PathBuf::from(text)) }))
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
