//! What a refusal says: which limiter spoke, and when to come back (`docspace-contract.md` §5.10 to 5.12).

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};

/// The longest wait that is believed.
const LONGEST: Duration = Duration::from_secs(86_400);
/// `X-RateLimit-Reset` is in milliseconds from this value on, in seconds below (`docspace-contract.md` §5.10).
const MILLISECONDS_FROM: i64 = 100_000_000_000;
/// The largest limit that is taken for one of requests in flight (`docspace-contract.md` §5.12).
const LARGEST_IN_FLIGHT: u32 = 50;
/// A place in flight that got stuck is free again after a minute (`docspace-contract.md` §5.8): whoever must wait longer
/// has met another limiter, a daily one that was lowered.
const LONGEST_IN_FLIGHT: Duration = Duration::from_secs(60);
/// The daily limit as the vendor ships it.
const DAILY: u32 = 10_000;

/// The portal would not take a request now; nothing happened to what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which limiter spoke.
    pub limiter: Limiter,
    /// The limit that it told.
    pub limit: Option<u32>,
    /// How long to wait, where it said so; from 1 s to 24 h.
    pub retry_after: Option<Duration>,
}

/// The limiters of a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limiter {
    /// Requests in a window. A request refused by it took no place in the window.
    Window,
    /// Requests in flight. A request refused by it has used a place in the window.
    InFlight,
    /// Writes in a day. A request refused by it has used a place in the window.
    Daily,
    /// It did not say.
    Unsaid,
}

impl Refusal {
    /// From an answer's status and headers; `None` where it is no refusal. `date` is the answer's own `Date`, against
    /// which dates are judged, so that a wrong clock here does not matter.
    pub fn from_headers<'a>(status: u16, get: impl Fn(&str) -> Option<&'a str>, date: Option<&str>) -> Option<Self> {
        let now = date.and_then(http_date);
        let retry_after = get("retry-after").and_then(|text| retry_after(text, now));
        if status == 503 {
            // Older portals refuse so; without the header it is a fault like any other.
            return retry_after.map(|wait| Self { limiter: Limiter::Unsaid, limit: None, retry_after: Some(wait) });
        }
        if status != 429 {
            return None;
        }
        let limit = get("x-ratelimit-limit").and_then(|text| text.trim().parse().ok());
        let reset = get("x-ratelimit-reset").and_then(|text| reset(text, now));
        let wait = retry_after.or(reset);
        let limiter = match limit {
            Some(DAILY) => Limiter::Daily,
            Some(limit) if limit > LARGEST_IN_FLIGHT && reset.is_some() => Limiter::Daily,
            Some(limit) if limit > LARGEST_IN_FLIGHT => Limiter::Window,
            Some(_) if wait.is_some_and(|wait| wait > LONGEST_IN_FLIGHT) => Limiter::Daily,
            Some(_) => Limiter::InFlight,
            None => Limiter::Unsaid,
        };
        Some(Self { limiter, limit, retry_after: wait })
    }
}

/// Both forms: seconds, or a date. What is malformed counts as absent.
fn retry_after(text: &str, now: Option<Timestamp>) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more than the longest wait.
        return Some(clamped(text.parse().map_or(LONGEST, Duration::from_secs)));
    }
    let until = http_date(text)?;
    let wait = until.duration_since(now?);
    Some(clamped(Duration::try_from(wait).unwrap_or(Duration::ZERO)))
}

fn reset(text: &str, now: Option<Timestamp>) -> Option<Duration> {
    let number: i64 = text.trim().parse().ok()?;
    let until =
        if number >= MILLISECONDS_FROM { Timestamp::from_millisecond(number) } else { Timestamp::from_second(number) };
    let wait = until.ok()?.duration_since(now?);
    Some(clamped(Duration::try_from(wait).unwrap_or(Duration::ZERO)))
}

fn clamped(wait: Duration) -> Duration {
    wait.clamp(Duration::from_secs(1), LONGEST)
}

/// The three forms of an HTTP date (RFC 9110 §5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = rfc2822::DateTimeParser::new().parse_timestamp(text) {
        return Some(at);
    }
    let zoned = |format: &str, text: &str| {
        jiff::civil::DateTime::strptime(format, text)
            .ok()?
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()
            .map(|at| at.timestamp())
    };
    zoned("%A, %d-%b-%y %H:%M:%S GMT", text).or_else(|| zoned("%a %b %e %H:%M:%S %Y", text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DATE: &str = "Mon, 23 Nov 2026 20:00:00 GMT";

    fn refusal(status: u16, headers: &[(&str, &str)]) -> Option<Refusal> {
        let get = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        Refusal::from_headers(status, get, Some(DATE))
    }

    fn wait(text: &str) -> Option<u64> {
        refusal(429, &[("retry-after", text)]).and_then(|refusal| refusal.retry_after).map(|wait| wait.as_secs())
    }

    #[test]
    fn each_limiter_is_known_by_its_headers() {
        let limiter = |headers| refusal(429, headers).map(|refusal| refusal.limiter);
        assert_eq!(limiter(&[("x-ratelimit-limit", "1500")]), Some(Limiter::Window));
        assert_eq!(limiter(&[("x-ratelimit-limit", "50")]), Some(Limiter::InFlight));
        assert_eq!(limiter(&[("x-ratelimit-limit", "15")]), Some(Limiter::InFlight));
        let daily = [("x-ratelimit-limit", "10000"), ("retry-after", "3600"), ("x-ratelimit-reset", "1795467600")];
        assert_eq!(limiter(&daily), Some(Limiter::Daily));
        let lowered = [("x-ratelimit-limit", "300"), ("retry-after", "3600"), ("x-ratelimit-reset", "1795467600")];
        assert_eq!(limiter(&lowered), Some(Limiter::Daily));
        assert_eq!(limiter(&[("x-ratelimit-limit", "300"), ("x-ratelimit-reset", "1795467600")]), Some(Limiter::Daily));
        for in_flight in ["15", "50"] {
            let headers = [("x-ratelimit-limit", in_flight), ("retry-after", "2"), ("x-ratelimit-reset", "1795467600")];
            assert_eq!(refusal(429, &headers).map(|refusal| refusal.limiter), Some(Limiter::InFlight), "{in_flight}");
        }
        // Hours are the day's, however low its limit was set, in whichever header they stand.
        for lowered in ["1", "15", "50"] {
            let limit = ("x-ratelimit-limit", lowered);
            for header in [
                ("x-ratelimit-reset", "1795467600"),
                ("x-ratelimit-reset", "1795467600000"),
                ("retry-after", "3600"),
                ("retry-after", "Mon, 23 Nov 2026 21:00:00 GMT"),
            ] {
                let limiter = refusal(429, &[limit, header]).map(|refusal| refusal.limiter);
                assert_eq!(limiter, Some(Limiter::Daily), "{lowered} {header:?}");
            }
        }
        assert_eq!(limiter(&[("x-ratelimit-limit", "15"), ("retry-after", "60")]), Some(Limiter::InFlight));
        assert_eq!(limiter(&[("x-ratelimit-limit", "15"), ("retry-after", "61")]), Some(Limiter::Daily));
        assert_eq!(limiter(&[("x-ratelimit-limit", "1500"), ("retry-after", "2")]), Some(Limiter::Window));
        assert_eq!(limiter(&[]), Some(Limiter::Unsaid));
        assert_eq!(refusal(500, &[("retry-after", "2")]), None);
        assert_eq!(refusal(503, &[]), None);
        assert!(refusal(503, &[("retry-after", "2")]).is_some());
    }

    #[test]
    fn waits_are_read_in_every_form_and_bounded() {
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("0"), Some(1));
        assert_eq!(wait("99999999999999999999999999"), Some(86_400));
        for date in ["Mon, 23 Nov 2026 20:00:30 GMT", "Monday, 23-Nov-26 20:00:30 GMT", "Mon Nov 23 20:00:30 2026"] {
            assert_eq!(wait(date), Some(30), "{date}");
        }
        assert_eq!(wait("Mon, 23 Nov 2020 20:00:30 GMT"), Some(1));
        for text in ["", "-5", "1.5", "soon", "5, 7", "Mon, 99 Nov 2026 20:00:30 GMT"] {
            assert_eq!(wait(text), None, "{text}");
        }
    }

    #[test]
    fn a_reset_is_in_seconds_or_in_milliseconds_by_its_size() {
        let at: Timestamp = "2026-11-23T20:10:00Z".parse().expect("a time");
        for text in [at.as_second().to_string(), at.as_millisecond().to_string()] {
            let refusal = refusal(429, &[("x-ratelimit-limit", "10000"), ("x-ratelimit-reset", &text)]);
            assert_eq!(refusal.and_then(|refusal| refusal.retry_after), Some(Duration::from_secs(600)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_there_the_wait_is_bounded_or_absent(text in "\\PC{0,40}") {
            let refusal = refusal(429, &[("retry-after", &text), ("x-ratelimit-reset", &text)]);
            if let Some(wait) = refusal.and_then(|refusal| refusal.retry_after) {
                prop_assert!(wait >= Duration::from_secs(1) && wait <= LONGEST);
            }
        }
    }
}
