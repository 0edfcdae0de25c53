//! When the next mail may leave: the mail server's limits, which have nothing to do with the portal's.

use std::time::Duration;

use super::{Moment, Place, PlaceEnd, Rate, RecentUse, Wait, WaitReason, Windows};

/// The pacer of the mails of a run.
#[derive(Debug)]
pub struct Mails {
    windows: Windows,
    /// So many at once: each has a connection.
    at_most: u32,
    out: u32,
}

impl Mails {
    /// A pacer for these limits, of which earlier runs may have used some.
    pub fn new(rates: &[Rate], recent: &[RecentUse], at_most: u32) -> Self {
        Self { windows: Windows::new(rates, recent), at_most: at_most.max(1), out: 0 }
    }

    /// Asks for leave to send one mail now.
    pub fn admit(&mut self, now: Moment) -> Result<Place, Wait> {
        if self.out >= self.at_most {
            return Err(Wait { until: None, why: WaitReason::InFlight });
        }
        let place = self.windows.admit(now).map_err(|wait| Wait { why: WaitReason::Mails, ..wait })?;
        self.out += 1;
        Ok(place)
    }

    /// Tells how a mail ended.
    pub fn settle(&mut self, place: Place, end: PlaceEnd, now: Moment) {
        self.out = self.out.saturating_sub(1);
        self.windows.settle(place, end, now);
    }

    /// How long so many more take at the least.
    pub fn forecast(&self, count: u64, now: Moment) -> Duration {
        self.windows.forecast(count, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_have_few_connections_and_windows_of_their_own() {
        let rate = |text: &str| text.parse::<Rate>().expect(text);
        let mut mails = Mails::new(&[rate("3/min"), rate("100/24h")], &[], 2);
        let (one, other) = (mails.admit(Moment::START).expect("one"), mails.admit(Moment::START).expect("two"));
        assert_eq!(mails.admit(Moment::START).expect_err("two are out").why, WaitReason::InFlight);
        mails.settle(one, PlaceEnd::NeverLeft, Moment::START);
        mails.settle(other, PlaceEnd::Counted, Moment::START);
        for _ in 0..2 {
            let place = mails.admit(Moment::START).expect("a place");
            mails.settle(place, PlaceEnd::Counted, Moment::START);
        }
        let wait = mails.admit(Moment::START).expect_err("three a minute");
        assert_eq!(wait.why, WaitReason::Mails);
        assert!(wait.until.is_some_and(|until| until >= Moment::START + Duration::from_secs(60)));
        assert!(mails.forecast(1, Moment::START) >= Duration::from_secs(60));
    }
}
