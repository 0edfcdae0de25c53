//! What went over the wire: requests by class, how they ended, how long they took, and when.

use std::time::Duration;

use crate::attempt::Mail;

/// What a request was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The invitation link of a type.
    Link,
    /// A page of the user listing.
    Page,
    /// One user.
    User,
    /// A congratulation.
    Congratulation,
    /// An invitation, or many sent again.
    Invitation,
    /// A mail by a mail server: no request to the portal.
    Mail,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 6] = [Self::Link, Self::Page, Self::User, Self::Congratulation, Self::Invitation, Self::Mail];

    /// The classes of a run of this mail, which a mail server carries or the portal.
    pub const fn of(mail: Mail, by_mail: bool) -> [Self; 4] {
        match mail {
            Mail::Congratulation if by_mail => [Self::Link, Self::Page, Self::User, Self::Mail],
            Mail::Congratulation => [Self::Link, Self::Page, Self::User, Self::Congratulation],
            Mail::Invitation => [Self::Link, Self::Page, Self::User, Self::Invitation],
        }
    }

    /// Its name for people and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Page => "page",
            Self::User => "user",
            Self::Congratulation => "congratulation",
            Self::Invitation => "invitation",
            Self::Mail => "mail",
        }
    }
}

/// How a request ended, as far as counting goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// As it should.
    Done,
    /// Refused by a limiter.
    Refused,
    /// In any other way.
    Failed,
    /// It never left.
    NotSent,
}

/// The requests of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that left.
    pub sent: u64,
    /// Of these, refused by a limiter.
    pub refused: u64,
    /// Of these, ended badly in another way.
    pub failed: u64,
    latencies: Latencies,
}

/// Buckets of latency, four to a doubling, from 1 ms.
const BUCKETS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Latencies([u32; BUCKETS]);

impl Default for Latencies {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

/// The largest latency that counts into a bucket, in milliseconds.
fn bound_ms(bucket: usize) -> f64 {
    let quarters = u32::try_from(bucket).map_or(0.0, f64::from);
    (quarters / 4.0).exp2()
}

impl Latencies {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 4 * log2 of a year in ms")]
    fn add(&mut self, latency: Duration) {
        let ms = latency.as_secs_f64() * 1000.0;
        let bucket = (ms.max(1.0).log2() * 4.0).ceil() as usize;
        if let Some(count) = self.0.get_mut(bucket.min(BUCKETS - 1)) {
            *count += 1;
        }
    }

    /// The latency that this share of the requests does not exceed, to within a fifth.
    fn quantile(&self, share: f64) -> Option<Duration> {
        let total: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        if total == 0 {
            return None;
        }
        let wanted = crate::display::as_f64(total) * share;
        let mut seen = 0.0;
        for (bucket, count) in self.0.iter().enumerate() {
            seen += f64::from(*count);
            if seen >= wanted {
                return Duration::try_from_secs_f64(bound_ms(bucket) / 1000.0).ok();
            }
        }
        None
    }
}

impl Counts {
    /// The latency that this share of the requests does not exceed, to within a fifth.
    pub fn latency(&self, share: f64) -> Option<Duration> {
        self.latencies.quantile(share)
    }

    /// Buckets of latency that are not empty: the upper bound in milliseconds, and how many.
    pub fn histogram(&self) -> Vec<(f64, u32)> {
        let filled = self.latencies.0.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(bucket, count)| (bound_ms(bucket), *count)).collect()
    }
}

/// So many points of the pace are kept; when there are more, two become one.
const POINTS: usize = 240;

/// The requests of a run.
#[derive(Debug, Clone)]
pub struct Traffic {
    classes: [Counts; Class::ALL.len()],
    /// Requests that left in each span of `step`, from the start of the run.
    pace: Vec<u32>,
    step: Duration,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { classes: [Counts::default(); Class::ALL.len()], pace: Vec::new(), step: Duration::from_secs(1) }
    }
}

impl Traffic {
    /// Counts a request that left at `left` (since the run's start) and ended after `latency`.
    pub fn add(&mut self, class: Class, end: Counted, left: Duration, latency: Duration) {
        if end == Counted::NotSent {
            return;
        }
        if let Some(counts) = self.classes.get_mut(class as usize) {
            counts.sent += 1;
            counts.refused += u64::from(end == Counted::Refused);
            counts.failed += u64::from(end == Counted::Failed);
            counts.latencies.add(latency);
        }
        if class == Class::Mail {
            return;
        }
        let mut point = self.point(left);
        while point >= POINTS {
            self.pace = self.pace.chunks(2).map(|pair| pair.iter().sum()).collect();
            self.step *= 2;
            point = self.point(left);
        }
        if self.pace.len() <= point {
            self.pace.resize(point + 1, 0);
        }
        if let Some(count) = self.pace.get_mut(point) {
            *count += 1;
        }
    }

    fn point(&self, at: Duration) -> usize {
        usize::try_from(at.as_millis() / self.step.as_millis().max(1)).unwrap_or(usize::MAX)
    }

    /// The requests of one class.
    pub fn class(&self, class: Class) -> Counts {
        self.classes.get(class as usize).copied().unwrap_or_default()
    }

    /// All requests that left to the portal.
    pub fn sent(&self) -> u64 {
        self.requests().map(|counts| counts.sent).sum()
    }

    /// All of them that were refused by a limiter.
    pub fn refused(&self) -> u64 {
        self.requests().map(|counts| counts.refused).sum()
    }

    /// Mails that left, to a mail server.
    pub fn mails(&self) -> u64 {
        self.class(Class::Mail).sent
    }

    fn requests(&self) -> impl Iterator<Item = Counts> {
        Class::ALL.into_iter().filter(|class| *class != Class::Mail).map(|class| self.class(class))
    }

    /// Requests that left in each span of time, and the span.
    pub fn pace(&self) -> (&[u32], Duration) {
        (&self.pace, self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_told_to_within_a_fifth() {
        let mut traffic = Traffic::default();
        for ms in 1..=1000 {
            traffic.add(Class::User, Counted::Done, Duration::ZERO, Duration::from_millis(ms));
        }
        let ms = |share| traffic.class(Class::User).latency(share).expect("some").as_secs_f64() * 1000.0;
        assert!((500.0..600.0).contains(&ms(0.5)), "{}", ms(0.5));
        assert!((950.0..1140.0).contains(&ms(0.95)), "{}", ms(0.95));
        assert_eq!(traffic.class(Class::Link).latency(0.5), None);
    }

    #[test]
    fn the_pace_of_a_long_run_is_kept_in_bounded_room() {
        let mut traffic = Traffic::default();
        for second in 0..10_000 {
            traffic.add(Class::User, Counted::Done, Duration::from_secs(second), Duration::ZERO);
        }
        let (points, step) = traffic.pace();
        assert!(points.len() <= POINTS && step == Duration::from_secs(64));
        assert_eq!(points.iter().sum::<u32>(), 10_000);
    }

    #[test]
    fn what_never_left_is_not_counted() {
        let mut traffic = Traffic::default();
        traffic.add(Class::Link, Counted::NotSent, Duration::ZERO, Duration::ZERO);
        traffic.add(Class::Link, Counted::Refused, Duration::ZERO, Duration::ZERO);
        assert_eq!((traffic.sent(), traffic.refused()), (1, 1));
    }
}
