//! So many requests in any window of so long.

use std::{fmt, str::FromStr, time::Duration};

use jiff::SignedDuration;

/// A rate as a portal states its limit: requests in any window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub requests: u32,
    /// At least a millisecond, at most a day.
    pub window: Duration,
}

/// The text is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "give requests per window, like 1500/min, 25/s, 10000/h or 150/6s: from 1 to 100000000 requests, in a window from \
     1ms to 24h"
)]
pub struct NotARate;

impl Rate {
    /// Requests a second, on average.
    pub fn per_second(self) -> f64 {
        f64::from(self.requests) / self.window.as_secs_f64()
    }
}

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let (count, unit) = text.trim().split_once('/').ok_or(NotARate)?;
        let requests: u32 = count.trim().parse().map_err(|_no_number| NotARate)?;
        let unit = unit.trim();
        let window = match unit {
            "s" | "sec" | "second" => Duration::from_secs(1),
            "m" | "min" | "minute" => Duration::from_secs(60),
            "h" | "hour" => Duration::from_secs(3600),
            other => {
                let signed: SignedDuration = other.parse().map_err(|_no_duration| NotARate)?;
                Duration::try_from(signed).map_err(|_negative| NotARate)?
            }
        };
        let in_bounds = (1..=100_000_000).contains(&requests)
            && (Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&window);
        if in_bounds { Ok(Self { requests, window }) } else { Err(NotARate) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.window.as_millis();
        match ms {
            1000 => write!(f, "{}/s", self.requests),
            60_000 => write!(f, "{}/min", self.requests),
            3_600_000 => write!(f, "{}/h", self.requests),
            _ if ms.is_multiple_of(1000) => write!(f, "{}/{}s", self.requests, ms / 1000),
            _ => write!(f, "{}/{ms}ms", self.requests),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_shown_as_people_write_them() {
        for (text, requests, ms, shown) in [
            ("1500/min", 1500, 60_000, "1500/min"),
            ("150/6s", 150, 6000, "150/6s"),
            (" 25 / s ", 25, 1000, "25/s"),
            ("10000/h", 10_000, 3_600_000, "10000/h"),
            ("3/500ms", 3, 500, "3/500ms"),
            ("60/1min", 60, 60_000, "60/min"),
        ] {
            let rate: Rate = text.parse().expect(text);
            assert_eq!(rate, Rate { requests, window: Duration::from_millis(ms) });
            assert_eq!(rate.to_string(), shown);
            let a_second = f64::from(requests) * 1000.0 / f64::from(u32::try_from(ms).expect("small"));
            assert!((rate.per_second() - a_second).abs() < 1e-9, "{text}");
        }
        for text in ["", "1500", "0/min", "-1/min", "1500/", "1500/parsec", "/min", "1.5/s", "5/-6s", "5/0s", "5/48h"] {
            assert_eq!(text.parse::<Rate>(), Err(NotARate), "{text}");
        }
    }
}
