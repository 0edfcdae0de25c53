//! The pacer against a model of the portal's limiters, on tokio's paused clock: what is refused, and how long it takes.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on says so by failing; time here is a model"
)]

mod estimate;
mod portal;

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use onboard::pace::{Kind, Limits, Moment, Pace, Rate, RecentUse, RequestEnd};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep, sleep_until};

use portal::{ModelPortal, Terms, Way};

const MINUTE: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn terms(limit: usize, window: Duration) -> Terms {
    Terms { limit, window, places: u32::MAX, release_lag: Duration::ZERO, retry_after: None }
}

fn limits(limit: u32, window: Duration, places: u32) -> Limits {
    Limits {
        rate: Rate { requests: limit, window },
        max_reads: places,
        max_writes: places,
        hold_off: ms(12),
        spike: None,
    }
}

/// What a paced job came to.
#[derive(Debug, Clone, Copy)]
struct Came {
    took: Duration,
    refused: usize,
    accepted: usize,
    sent: usize,
}

/// Sends requests, as many as `ways` has (refused ones again), until they are through or the time is over.
async fn send(
    portal: &ModelPortal,
    pace: &mut Pace,
    mut ways: impl Iterator<Item = (Way, Duration)>,
    until: Duration,
) -> Came {
    let start = Instant::now();
    let moment = || Moment::START + start.elapsed();
    let mut flights = FuturesUnordered::new();
    let mut next = ways.next();
    let mut came = Came { took: Duration::ZERO, refused: 0, accepted: 0, sent: 0 };
    let mut again = 0_usize;
    let mut last = Way { there: ms(1), back: ms(1) };
    loop {
        let mut wake = None;
        while (next.is_some() || again > 0) && start.elapsed() < until {
            match pace.admit(Kind::Write, moment()) {
                Ok(permit) => {
                    let (way, inside) = match next.take() {
                        Some(way) if again == 0 => way,
                        other => {
                            next = other;
                            again -= 1;
                            (last, Duration::ZERO)
                        }
                    };
                    last = way;
                    came.sent += 1;
                    flights.push(async move { (permit, portal.request_held(way, inside).await) });
                    if next.is_none() {
                        next = ways.next();
                    }
                }
                Err(wait) => {
                    wake = wait.until;
                    break;
                }
            }
        }
        if flights.is_empty() && (start.elapsed() >= until || (next.is_none() && again == 0)) {
            break;
        }
        let wake = wake.map_or(start + until.max(start.elapsed()) + ms(1), |at| start + at.since_start());
        tokio::select! {
            biased;
            Some((permit, ending)) = flights.next() => {
                match &ending {
                    RequestEnd::Refused(_) => { came.refused += 1; again += 1; }
                    _ => came.accepted += 1,
                }
                pace.settle(permit, ending, moment());
                came.took = start.elapsed();
            }
            () = sleep_until(wake) => {}
        }
    }
    came
}

/// The schedule that the rule and the caps allow for these latencies: a slot comes back a window after its answer, a
/// place a moment after it.
fn least(latencies: &[Duration], limit: usize, window: Duration, places: usize, rest: Duration) -> Duration {
    let (mut slots, mut free) = (BinaryHeap::new(), BinaryHeap::new());
    let (mut now, mut end) = (Duration::ZERO, Duration::ZERO);
    for latency in latencies {
        if slots.len() >= limit {
            let Reverse(at) = slots.pop().expect("a slot");
            now = now.max(at);
        }
        if free.len() >= places {
            let Reverse(at) = free.pop().expect("a place");
            now = now.max(at);
        }
        let answer = now + *latency;
        slots.push(Reverse(answer + window));
        free.push(Reverse(answer + rest));
        end = end.max(answer);
    }
    end
}

fn paused<T>(future: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(future)
}

/// Latencies of one kind of network, cut into the way there and back.
fn ways(count: usize, from_ms: u64, to_ms: u64, seed: u64) -> Vec<Way> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..count)
        .map(|_| {
            let whole = random.random_range(from_ms * 1000..=to_ms * 1000);
            let there = random.random_range(0..=whole);
            Way { there: Duration::from_micros(there), back: Duration::from_micros(whole - there) }
        })
        .collect()
}

#[test]
fn alone_on_the_account_nothing_is_refused_and_the_schedule_is_kept_whatever_the_network_does() {
    // (limit, window, places, latencies, requests)
    for (limit, window, places, from, to, count) in [
        (1500, MINUTE, 50, 0, 5, 4000),
        (1500, MINUTE, 50, 30, 70, 4000),
        (1500, MINUTE, 15, 30, 70, 4000),
        (1500, MINUTE, 50, 0, 5000, 4000),
        (150, Duration::from_secs(6), 15, 30, 70, 1000),
        (150, Duration::from_secs(6), 50, 0, 2000, 1000),
        (20, Duration::from_secs(1), 50, 0, 400, 400),
        (1, Duration::from_secs(1), 50, 0, 400, 30),
    ] {
        for seed in 0..3 {
            let all = ways(count, from, to, seed);
            let latencies: Vec<_> = all.iter().map(|way| way.there + way.back).collect();
            let came = paused(async {
                let portal = ModelPortal::new(terms(limit, window));
                let mut pace = Pace::new(limits(u32::try_from(limit).expect("small"), window, places), &[], seed);
                send(&portal, &mut pace, all.into_iter().map(|way| (way, Duration::ZERO)), MINUTE * 1000).await
            });
            assert_eq!(came.refused, 0, "{limit} in {window:?}, {from} to {to} ms, seed {seed}");
            assert_eq!(came.accepted, count);
            let least = least(&latencies, limit, window, places as usize, ms(12));
            // The guard of a window is what a portal's clock may be off by; in a window of a second it is 1.5 %.
            let guard = (window / 2000 + ms(15)) * u32::try_from(count / limit).expect("small");
            assert!(
                came.took.as_secs_f64() <= least.as_secs_f64() * 1.02 + guard.as_secs_f64(),
                "{limit} in {window:?}, {from} to {to} ms, {places} places: {:?} against {least:?}",
                came.took
            );
        }
    }
}

#[test]
fn a_job_takes_as_many_windows_as_it_must_and_no_more() {
    for count in [1, 2, 100, 1499, 1500, 1501, 2999, 3000, 3001, 7500, 15_000] {
        let window = MINUTE;
        let came = paused(async {
            let portal = ModelPortal::new(terms(1500, window));
            let mut pace = Pace::new(limits(1500, window, 10_000), &[], 1);
            send(&portal, &mut pace, ways(count, 1, 250, 5).into_iter().map(|way| (way, Duration::ZERO)), MINUTE * 1000)
                .await
        });
        let windows = u32::try_from((count - 1) / 1500).expect("few");
        let off = came.took.abs_diff(window * windows);
        assert_eq!(came.refused, 0, "{count}");
        assert!(
            off.as_secs_f64() <= 0.02 * window.as_secs_f64() * f64::from(windows.max(1)),
            "{count}: off by {off:?}"
        );
    }
}

#[test]
fn a_slot_stamped_when_it_leaves_is_refused() {
    // The same model must be able to refuse: give each slot back a window after it was taken.
    let refused = paused(async {
        let portal = ModelPortal::new(terms(100, Duration::from_secs(5)));
        let mut random = StdRng::seed_from_u64(3);
        let mut flights = FuturesUnordered::new();
        let mut taken: std::collections::VecDeque<Instant> = std::collections::VecDeque::new();
        for _ in 0..1000 {
            if taken.len() >= 100 {
                let at = taken.pop_front().expect("a slot") + Duration::from_secs(5);
                while Instant::now() < at {
                    tokio::select! { Some(_) = flights.next() => {}, () = sleep_until(at) => {} }
                }
            }
            taken.push_back(Instant::now());
            let way = Way { there: ms(random.random_range(0..400)), back: ms(1) };
            flights.push(portal.request(way));
        }
        while flights.next().await.is_some() {}
        portal.refused()
    });
    assert!(refused > 0);
}

#[test]
fn places_in_flight_are_all_used_and_never_refused_for_their_release() {
    for lag in [0, 1, 5, 10] {
        for latency_us in [500, 2000, 10_000, 50_000, 250_000, 2_000_000] {
            let inside = Duration::from_micros(latency_us / 2);
            let way = Way { there: Duration::from_micros(latency_us / 4), back: Duration::from_micros(latency_us / 4) };
            let came = paused(async {
                let portal = ModelPortal::new(Terms { places: 15, release_lag: ms(lag), ..terms(1_000_000, MINUTE) });
                let mut pace = Pace::new(limits(1_000_000, MINUTE, 15), &[], 1);
                send(&portal, &mut pace, std::iter::repeat_n((way, inside), 1500), MINUTE * 1000).await
            });
            assert_eq!(came.refused, 0, "lag {lag} ms, latency {latency_us} us");
            let per_second = 1500.0 / came.took.as_secs_f64();
            let ideal = 15.0 / Duration::from_micros(latency_us).as_secs_f64();
            if latency_us == 50_000 {
                assert!(per_second >= 0.75 * ideal, "{per_second} of {ideal} a second");
            }
        }
    }
}

#[test]
fn a_longer_release_is_learned() {
    let came = paused(async {
        let portal = ModelPortal::new(Terms { places: 15, release_lag: ms(40), ..terms(1_000_000, MINUTE) });
        let mut pace = Pace::new(limits(1_000_000, MINUTE, 15), &[], 1);
        let way = Way { there: ms(10), back: ms(10) };
        send(&portal, &mut pace, std::iter::repeat_n((way, ms(10)), 3000), MINUTE * 1000).await
    });
    assert_eq!(came.accepted, 3000);
    assert!(came.refused < 60, "{came:?}");
}

/// Somebody else who sends evenly, whatever is refused.
async fn competitor(portal: &ModelPortal, every: Duration, until: Duration) -> (usize, usize) {
    let start = Instant::now();
    let (mut sent, mut refused) = (0, 0);
    let mut flights = FuturesUnordered::new();
    while start.elapsed() < until {
        let tick = Instant::now() + every;
        flights.push(portal.request(Way { there: ms(20), back: ms(20) }));
        sent += 1;
        loop {
            tokio::select! {
                Some(ending) = flights.next() => refused += usize::from(ending != RequestEnd::Answered),
                () = sleep_until(tick) => break,
            }
        }
    }
    (sent, refused)
}

#[test]
fn what_somebody_else_leaves_is_used_and_no_more_is_asked_for() {
    for (seed, retry_after) in [(1, None), (2, None), (3, None), (4, Some(Duration::from_secs(1)))] {
        let ten_minutes = MINUTE * 10;
        let (came, accepted) = paused(async {
            let portal = ModelPortal::new(Terms { retry_after, ..terms(1500, MINUTE) });
            let mut pace = Pace::new(limits(1500, MINUTE, 50), &[], seed);
            let endless = ways(60_000, 20, 60, seed).into_iter().map(|way| (way, Duration::ZERO));
            let (came, _) = tokio::join!(
                async {
                    // The other one was there first.
                    sleep(MINUTE).await;
                    send(&portal, &mut pace, endless, ten_minutes).await
                },
                competitor(&portal, MINUTE / 750, ten_minutes + MINUTE),
            );
            (came, portal.accepted())
        });
        let free = 7500.0;
        let ours = f64::from(u32::try_from(came.accepted).expect("small"));
        let asked = f64::from(u32::try_from(came.sent).expect("small"));
        let refused = f64::from(u32::try_from(came.refused).expect("small"));
        println!("seed {seed}: {:.1} % of what is free, {:.2} % refused", ours / free * 100.0, refused / asked * 100.0);
        assert!(ours >= 0.9 * free, "seed {seed}: {came:?}, {accepted} in all");
        assert!(refused < 0.01 * asked, "seed {seed}: {came:?}");
    }
}

#[test]
fn a_run_right_after_one_that_was_killed_is_not_refused() {
    for seed in 0..10 {
        let refused = paused(async {
            let portal = ModelPortal::new(terms(300, Duration::from_secs(6)));
            let mut random = StdRng::seed_from_u64(seed);
            let lived = ms(random.random_range(10..9000));
            let mut first = Pace::new(limits(300, Duration::from_secs(6), 15), &[], seed);
            let start = Instant::now();
            let came =
                send(&portal, &mut first, ways(2000, 10, 60, seed).into_iter().map(|way| (way, Duration::ZERO)), lived)
                    .await;
            // What its reservations say: all of it may just have left.
            let used = u32::try_from(came.sent).expect("small") + 64;
            let recent = [RecentUse { age: start.elapsed().saturating_sub(came.took), count: used }];
            let mut second = Pace::new(limits(300, Duration::from_secs(6), 15), &recent, seed + 1);
            send(
                &portal,
                &mut second,
                ways(500, 10, 60, seed + 9).into_iter().map(|way| (way, Duration::ZERO)),
                MINUTE,
            )
            .await;
            portal.refused()
        });
        assert_eq!(refused, 0, "seed {seed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// `reliability.md` §4.2: in any window the portal counts at most its limit, and never more in flight than it has
    /// places, for delays of anybody's choosing, as long as it frees a place before that has rested here. A machine that
    /// is busy is such a delay: what leaves late was on its way there for longer, what is looked at late, on its way back.
    #[test]
    fn no_choice_of_delays_makes_the_portal_refuse(
        limit in 1_u32..20,
        window_ms in 50_u64..3000,
        places in 1_u32..30,
        release_lag in 0_u64..=12,
        delays in proptest::collection::vec((0_u64..5000, 0_u64..5000, 0_u64..5000), 1..120),
    ) {
        let window = ms(window_ms);
        let count = delays.len();
        let came = paused(async {
            let terms = Terms { places, release_lag: ms(release_lag), ..terms(limit as usize, window) };
            let portal = ModelPortal::new(terms);
            let mut pace = Pace::new(limits(limit, window, places), &[], 1);
            let way = |(there, inside, back)| (Way { there: ms(there), back: ms(back) }, ms(inside));
            let ways = delays.into_iter().map(way);
            send(&portal, &mut pace, ways, MINUTE * 10_000).await
        });
        prop_assert_eq!(came.refused, 0);
        prop_assert_eq!(came.accepted, count);
    }
}
