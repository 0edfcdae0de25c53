use super::*;

fn pace(requests: u32, window: Duration) -> Pace {
    let rate = Rate { requests, window };
    Pace::new(Limits { rate, max_reads: 9, max_writes: 9, hold_off: Duration::ZERO, spike: None }, &[], 1)
}

fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(seconds)
}

#[test]
fn what_got_no_answer_may_still_arrive_and_holds_its_slot_and_place_for_long() {
    let mut pace = pace(1, Duration::from_secs(10));
    let permit = pace.admit(Kind::Write, at(0)).expect("the first");
    assert_eq!(pace.settle(permit, RequestEnd::GivenUp, at(5)), Reaction::None);
    let wait = pace.admit(Kind::Read, at(6)).expect_err("the window is full");
    assert_eq!(wait.why, WaitReason::WindowFull);
    assert!(pace.admit(Kind::Read, at(5 + 60 + 10)).is_err());
    assert!(pace.admit(Kind::Read, at(5 + 60 + 11)).is_ok());
}

#[test]
fn what_never_left_gives_its_slot_back_at_once() {
    let mut pace = pace(1, Duration::from_secs(10));
    let permit = pace.admit(Kind::Write, at(0)).expect("the first");
    pace.settle(permit, RequestEnd::NeverLeft, at(1));
    assert!(pace.admit(Kind::Write, at(1)).is_ok());
}

#[test]
fn a_refusal_by_the_window_has_used_no_slot_and_one_by_a_later_limiter_has() {
    for (limiter, used) in [(Limiter::Window, 0), (Limiter::InFlight, 1), (Limiter::Daily, 1), (Limiter::Unsaid, 1)] {
        let mut pace = pace(10, Duration::from_secs(10));
        let permit = pace.admit(Kind::Write, at(0)).expect("the first");
        let refusal = Refusal { limiter, limit: None, retry_after: None };
        let reaction = pace.settle(permit, RequestEnd::Refused(refusal), at(1));
        assert_eq!(pace.pulse().used, used, "{limiter:?}");
        assert_eq!(reaction == Reaction::DailyLimit { retry_after: None }, limiter == Limiter::Daily);
    }
}

#[test]
fn everything_of_the_kind_pauses_for_as_long_as_was_asked() {
    let mut pace = pace(10, Duration::from_secs(10));
    let permits = [(); 3].map(|()| pace.admit(Kind::Write, at(0)).expect("admitted"));
    let refusal = Refusal { limiter: Limiter::Window, limit: None, retry_after: Some(Duration::from_secs(7)) };
    for permit in permits {
        pace.settle(permit, RequestEnd::Refused(refusal.clone()), at(1));
    }
    assert_eq!(pace.admit(Kind::Read, at(7)).expect_err("paused").why, WaitReason::Refused);
    assert!(pace.admit(Kind::Read, at(8)).is_ok());
}

#[test]
fn a_wait_of_hours_or_refusals_without_end_end_the_run() {
    let mut pace = pace(10, Duration::from_secs(10));
    let long = Refusal { limiter: Limiter::Unsaid, limit: None, retry_after: Some(Duration::from_secs(3600)) };
    let permit = pace.admit(Kind::Read, at(0)).expect("admitted");
    let reaction = pace.settle(permit, RequestEnd::Refused(long), at(1));
    assert_eq!(reaction, Reaction::TooBusy { come_back_after: Some(Duration::from_secs(3600)) });
    let mut pace = self::pace(1000, Duration::from_secs(10));
    let mut now = at(0);
    let mut reaction = Reaction::None;
    for _ in 0..2000 {
        match pace.admit(Kind::Read, now) {
            Ok(permit) => {
                let refusal = Refusal { limiter: Limiter::Window, limit: None, retry_after: None };
                reaction = pace.settle(permit, RequestEnd::Refused(refusal), now);
            }
            Err(wait) => now = wait.until.expect("an end"),
        }
        if reaction != Reaction::None {
            break;
        }
    }
    assert_eq!(reaction, Reaction::TooBusy { come_back_after: None });
    assert!(now >= at(600) && now <= at(640), "{now:?}");
}

#[test]
fn the_forecast_counts_windows() {
    let mut pace = pace(10, Duration::from_secs(60));
    let writes = |writes| Work { reads: 0, writes };
    assert_eq!(pace.forecast(writes(10), at(0)), Duration::ZERO);
    for _ in 0..9 {
        let permit = pace.admit(Kind::Read, at(0)).expect("admitted");
        pace.settle(permit, RequestEnd::Answered, at(0));
    }
    assert_eq!(pace.forecast(writes(1), at(1)), Duration::ZERO);
    let first = pace.forecast(writes(2), at(1));
    assert!(first > Duration::from_secs(58) && first < Duration::from_secs(60), "{first:?}");
    assert_eq!(pace.forecast(writes(12), at(1)), first + Duration::from_secs(60));
}

fn ms(ms: u64) -> Moment {
    Moment::START + Duration::from_millis(ms)
}

/// Requests that are answered at once.
fn answered(pace: &mut Pace, count: u32, now: Moment) {
    for _ in 0..count {
        let permit = pace.admit(Kind::Read, now).expect("admitted");
        pace.settle(permit, RequestEnd::Answered, now);
    }
}

fn refusal(limiter: Limiter, limit: Option<u32>, retry_after: Option<u64>) -> Refusal {
    Refusal { limiter, limit, retry_after: retry_after.map(Duration::from_secs) }
}

/// A request that leaves now, and is refused in a second.
fn refuse(pace: &mut Pace, refusal: Refusal, now: Moment) -> Reaction {
    let permit = pace.admit(Kind::Read, now).expect("admitted");
    pace.settle(permit, RequestEnd::Refused(refusal), now + Duration::from_secs(1))
}

/// A window of 100 s has a guard of 65 ms, one of 10 s of 20 ms.
#[test]
fn a_slot_comes_back_a_window_and_a_guard_after_its_end_and_not_before() {
    for (ending, back) in [
        (RequestEnd::Answered, 11_020),
        (RequestEnd::GivenUp, 71_020),
        (RequestEnd::Refused(refusal(Limiter::InFlight, None, None)), 11_020),
    ] {
        let mut pace = pace(1, Duration::from_secs(10));
        let permit = pace.admit(Kind::Write, at(0)).expect("the first");
        pace.settle(permit, ending.clone(), at(1));
        let wait = Wait { until: Some(ms(back)), why: WaitReason::WindowFull };
        assert_eq!(pace.admit(Kind::Read, ms(back - 1)).expect_err("full"), wait, "{ending:?}");
        assert!(pace.admit(Kind::Read, ms(back)).is_ok(), "{ending:?}");
    }
}

#[test]
fn what_an_earlier_run_used_comes_back_by_its_age() {
    let rate = Rate { requests: 10, window: Duration::from_secs(10) };
    let limits = Limits { rate, max_reads: 99, max_writes: 99, hold_off: Duration::ZERO, spike: None };
    let used = |age, count| RecentUse { age: Duration::from_secs(age), count };
    let mut pace = Pace::new(limits, &[used(4, 7), used(10, 2), used(11, 5)], 1);
    assert_eq!(pace.pulse().used, 9);
    answered(&mut pace, 1, at(0));
    assert_eq!(pace.admit(Kind::Read, at(0)).expect_err("full").until, Some(ms(20)));
    answered(&mut pace, 2, ms(20));
    assert_eq!(pace.admit(Kind::Read, ms(20)).expect_err("full").until, Some(ms(6020)));
    assert!(pace.admit(Kind::Read, ms(6020)).is_ok());
    // No more than the window has.
    assert_eq!(Pace::new(limits, &[used(4, 700)], 1).pulse().used, 10);
}

#[test]
fn the_pulse_tells_what_is_out_used_and_refused() {
    let mut pace = pace(100, Duration::from_secs(100));
    answered(&mut pace, 5, at(0));
    let _out = [Kind::Read, Kind::Read, Kind::Write].map(|kind| pace.admit(kind, at(0)).expect("admitted"));
    for permit in [(); 2].map(|()| pace.admit(Kind::Write, at(0)).expect("admitted")) {
        pace.settle(permit, RequestEnd::Refused(refusal(Limiter::Window, None, None)), at(1));
    }
    assert_eq!(pace.pulse(), Pulse { used: 8, limit: 100, reads: 2, writes: 1, refusals: 2, shared: true });
}

#[test]
fn a_refusal_in_flight_pauses_its_kind_for_a_moment_or_for_as_long_as_was_asked() {
    let mut pace = pace(100, Duration::from_secs(100));
    let [one, other, last] = [(); 3].map(|()| pace.admit(Kind::Write, at(0)).expect("admitted"));
    pace.settle(one, RequestEnd::Refused(refusal(Limiter::InFlight, None, None)), at(1));
    let wait = Wait { until: Some(ms(1100)), why: WaitReason::Refused };
    assert_eq!(pace.admit(Kind::Write, at(1)).expect_err("paused"), wait);
    assert!(pace.admit(Kind::Read, at(1)).is_ok(), "questions have places of their own");
    pace.settle(other, RequestEnd::Refused(refusal(Limiter::InFlight, None, None)), ms(1050));
    assert!(pace.admit(Kind::Write, ms(1100)).is_ok(), "one reaction for all that left together");
    pace.settle(last, RequestEnd::Refused(refusal(Limiter::InFlight, None, Some(5))), ms(1200));
    assert_eq!(pace.admit(Kind::Write, ms(1200)).expect_err("paused").until, Some(ms(6200)));
}

#[test]
fn a_wait_of_a_quarter_of_an_hour_is_waited_for_and_no_longer_one() {
    let mut pace = pace(10, Duration::from_secs(10));
    assert_eq!(refuse(&mut pace, refusal(Limiter::Window, None, Some(900)), at(0)), Reaction::None);
    assert_eq!(pace.admit(Kind::Read, at(900)).expect_err("paused").until, Some(at(901)));
    let come_back_after = Some(Duration::from_secs(901));
    assert_eq!(
        refuse(&mut pace, refusal(Limiter::Window, None, Some(901)), at(901)),
        Reaction::TooBusy { come_back_after }
    );
}

#[test]
fn an_answer_in_between_is_an_end_to_being_refused() {
    let mut pace = pace(1000, Duration::from_secs(10));
    for minute in 0..20 {
        assert_eq!(refuse(&mut pace, refusal(Limiter::Window, None, None), at(minute * 60)), Reaction::None);
        if minute % 5 == 4 {
            answered(&mut pace, 1, at(minute * 60 + 30));
        }
    }
}

#[test]
fn waits_double_from_a_second_to_eight_and_begin_anew_after_a_quiet_window() {
    let mut pace = pace(1000, Duration::from_secs(60));
    let mut now = at(0);
    let mut waits = |pace: &mut Pace, quiet: u64| {
        now = now + Duration::from_secs(quiet);
        refuse(pace, refusal(Limiter::Window, None, None), now);
        now = now + Duration::from_secs(1);
        let until = pace.admit(Kind::Write, now).expect_err("paused").until.expect("an end");
        let wait = until.saturating_since(now).as_secs_f64();
        now = until;
        wait
    };
    for expected in [1.0, 2.0, 4.0, 8.0, 8.0, 8.0] {
        let wait = waits(&mut pace, 0);
        assert!((expected * 0.75..=expected * 1.25).contains(&wait), "{wait} instead of {expected}");
    }
    // 49 s, and what was waited before them: not a window yet.
    assert!(waits(&mut pace, 49) >= 6.0);
    assert!(waits(&mut pace, 61) <= 1.25);
}

#[test]
fn a_window_without_refusal_is_quiet_only_once_it_is_over() {
    for (quiet, anew) in [(60, false), (61, true)] {
        let mut pace = pace(1000, Duration::from_secs(60));
        refuse(&mut pace, refusal(Limiter::Window, None, None), at(0));
        refuse(&mut pace, refusal(Limiter::Window, None, None), at(quiet));
        let until = pace.admit(Kind::Read, at(quiet + 1)).expect_err("paused").until.expect("an end");
        assert_eq!(until <= at(quiet + 1) + Duration::from_millis(1250), anew, "{quiet}");
    }
}

#[test]
fn requests_that_left_together_are_reacted_to_once() {
    let mut pace = pace(1000, Duration::from_secs(100));
    answered(&mut pace, 300, at(0));
    let early = pace.admit(Kind::Read, at(0)).expect("admitted");
    let just_then = pace.admit(Kind::Read, at(1)).expect("admitted");
    pace.settle(early, RequestEnd::Refused(refusal(Limiter::Window, None, None)), at(1));
    let share = pace.share();
    let until = pace.admit(Kind::Read, at(1)).expect_err("paused").until;
    pace.settle(just_then, RequestEnd::Refused(refusal(Limiter::Window, None, None)), at(2));
    assert_eq!((pace.share(), pace.admit(Kind::Read, at(2)).expect_err("paused").until), (share, until));
    // One that says when to come back is heeded all the same; one that left later is another matter.
    let later = pace.admit(Kind::Write, at(4)).expect_err("the window is full").until.expect("an end");
    let one = pace.admit(Kind::Write, later).expect("admitted");
    let other = pace.admit(Kind::Write, later).expect("admitted");
    pace.settle(one, RequestEnd::Refused(refusal(Limiter::Window, None, None)), later);
    assert_ne!(pace.share(), share);
    pace.settle(other, RequestEnd::Refused(refusal(Limiter::Window, None, Some(30))), later);
    assert_eq!(pace.admit(Kind::Write, later).expect_err("paused").until, Some(later + Duration::from_secs(30)));
}

/// What others leave, less a little; a hundredth of the window comes back every five seconds, a quarter of that near
/// the rate that was refused.
#[test]
fn a_shared_window_is_yielded_and_taken_back_in_steps() {
    let mut pace = pace(1000, Duration::from_secs(100));
    answered(&mut pace, 100, at(0));
    refuse(&mut pace, refusal(Limiter::Window, None, None), at(0));
    let mut shares = Vec::new();
    for second in [1, 5, 6, 11, 16, 21, 26, 36, 41] {
        pace.advance(at(second));
        shares.push(pace.share());
    }
    // 97 at first, 2.5 a step up to 1.05 of 100, then 10 a step; two at once where nobody asked in between.
    assert_eq!(shares, [97, 97, 100, 102, 105, 107, 117, 137, 147]);
    pace.advance(at(10_000));
    assert_eq!(pace.share(), 1000, "never more than the window has");
}

#[test]
fn what_is_yielded_is_spread_over_the_window() {
    let mut pace = pace(100, Duration::from_secs(100));
    answered(&mut pace, 50, at(0));
    refuse(&mut pace, refusal(Limiter::Window, None, None), at(0));
    // 48.5 in 100 s, after four at once; the window itself is free again.
    let now = at(101);
    let mut reasons = Vec::new();
    for _ in 0..6 {
        match pace.admit(Kind::Read, now) {
            Ok(permit) => {
                let _reaction = pace.settle(permit, RequestEnd::NeverLeft, now);
            }
            Err(wait) => reasons.push((wait.why, wait.until > Some(now) && wait.until < Some(at(104)))),
        }
    }
    assert_eq!(reasons, [(WaitReason::Spread, true); 2]);
}

#[test]
fn at_least_a_twentieth_of_the_window_is_tried() {
    let mut pace = pace(1000, Duration::from_secs(100));
    refuse(&mut pace, refusal(Limiter::Window, None, None), at(0));
    assert_eq!(pace.share(), 50);
}

/// While everything paused nothing could be used, so what was used was used in less time: at most half the window less.
#[test]
fn time_in_which_everything_paused_does_not_count_as_left_by_others() {
    for (pause, share) in [(20, 122), (80, 194)] {
        let mut pace = pace(1000, Duration::from_secs(100));
        answered(&mut pace, 100, at(0));
        refuse(&mut pace, refusal(Limiter::Window, None, Some(pause)), at(0));
        assert_eq!(pace.share(), 97);
        let now = at(1 + pause);
        // It waits for slots, so that one leaves is for once taken for granted.
        pace.out += 1;
        pace.places(Kind::Read).take();
        let permit = Permit { kind: Kind::Read, issued: now };
        pace.settle(permit, RequestEnd::Refused(refusal(Limiter::Window, None, None)), now);
        // 100 in 80 s are 125 in 100 s; in 50 s, 200.
        assert_eq!(pace.share(), share, "{pause}");
    }
}

#[test]
fn a_refusal_of_one_who_is_alone_is_a_matter_of_clocks_three_times() {
    let mut pace = pace(1000, Duration::from_secs(100));
    answered(&mut pace, 985, at(0));
    let mut now = at(0);
    for guard in [165, 265, 365] {
        refuse(&mut pace, refusal(Limiter::Window, None, None), now);
        assert_eq!((pace.guard, pace.pulse().shared), (Duration::from_millis(guard), false));
        now = pace.admit(Kind::Read, now + Duration::from_secs(1)).expect_err("paused").until.expect("an end");
    }
    refuse(&mut pace, refusal(Limiter::Window, None, None), now);
    assert_eq!((pace.guard, pace.pulse().shared), (Duration::from_millis(365), true));
    // Of one who is not quite alone it is not.
    let mut pace = self::pace(1000, Duration::from_secs(100));
    answered(&mut pace, 984, at(0));
    refuse(&mut pace, refusal(Limiter::Window, None, None), at(0));
    assert!(pace.pulse().shared);
}

#[test]
fn a_window_that_is_smaller_than_was_said_is_believed() {
    for (limiter, limit, expected) in [
        (Limiter::Window, Some(300), 300),
        (Limiter::Window, Some(3000), 1000),
        (Limiter::Window, Some(0), 1000),
        (Limiter::Window, None, 1000),
        (Limiter::Unsaid, Some(300), 1000),
    ] {
        let mut pace = pace(1000, Duration::from_secs(100));
        refuse(&mut pace, refusal(limiter, limit, None), at(0));
        assert_eq!(pace.pulse().limit, expected, "{limiter:?} {limit:?}");
    }
}

#[test]
fn of_two_waits_the_one_that_ends_first_is_waited_for() {
    let wait = |until, why| Wait { until, why };
    let (early, late) = (wait(Some(at(1)), WaitReason::WindowFull), wait(Some(at(2)), WaitReason::Refused));
    let open = wait(None, WaitReason::InFlight);
    assert_eq!(Wait::sooner(None, late), Some(late));
    assert_eq!(Wait::sooner(Some(early), late), Some(early));
    assert_eq!(Wait::sooner(Some(late), early), Some(early));
    assert_eq!(Wait::sooner(Some(open), late), Some(late));
    assert_eq!(Wait::sooner(Some(late), open), Some(late));
}

#[test]
fn bursts_are_smoothed_where_that_is_asked_for() {
    let rate = Rate { requests: 1000, window: Duration::from_secs(100) };
    let spike = Some(Rate { requests: 20, window: Duration::from_secs(1) });
    let mut pace = Pace::new(Limits { rate, max_reads: 99, max_writes: 99, hold_off: Duration::ZERO, spike }, &[], 1);
    answered(&mut pace, 2, at(0));
    let wait = Wait { until: Some(ms(50)), why: WaitReason::Spread };
    assert_eq!(pace.admit(Kind::Read, at(0)).expect_err("spread"), wait);
    answered(&mut pace, 1, ms(50));
}
