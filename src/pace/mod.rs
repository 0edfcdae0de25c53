//! When the next request may leave: the portal's limits, kept at the portal and not only here.
//!
//! A slot of the window is taken when a request leaves and given back one window after its *answer*. The portal stamps
//! a request somewhere between the two, so it can never count more of ours than there are slots, whatever the network
//! does in between (`reliability.md` §4.2 has the proof). Places in flight rest a moment after their answer: where the
//! portal frees its own before that moment is over, those that it counts are among those that are taken here, by the same
//! proof. How busy this machine is does not enter: what leaves late, arrives late or is looked at late holds its slot and
//! its place for longer. Only where somebody else uses up the same limits, or where the portal frees a place later than
//! that, is anything refused; then everything of that kind pauses, and the run finds the rate that is left, or lets places
//! rest longer.
//!
//! Absent on purpose: clocks, sleeping, and any knowledge of what is asked. Time is handed in, so that simulations and
//! tests move it as they like. `governor` spreads requests where they are to be spread; no other module knows of it.

mod backoff;
mod estimate;
mod mails;
mod moment;
mod places;
mod rate;
mod refusal;
mod spread;
mod windows;

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};

pub use self::{
    backoff::Backoff,
    estimate::Work,
    mails::Mails,
    moment::Moment,
    rate::{NotARate, Rate},
    refusal::{Limiter, Refusal},
    windows::{Place, PlaceEnd, Windows},
};
use self::{
    estimate::{Held, Slots},
    places::{Places, STUCK_FOR},
    spread::Spread,
};

/// A refusal that asks for a longer wait ends the run (`reliability.md` §2 H7).
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// Nothing but refusals for so long ends the run (`reliability.md` §2 H8).
const REFUSED_FOR: Duration = Duration::from_secs(10 * 60);
/// Above this share of the window, a refusal is a matter of clocks, not of sharing.
const ALONE: f64 = 0.985;
/// How much the guard grows for a portal whose clocks disagree, and how often at the most.
const SKEW_STEP: Duration = Duration::from_millis(100);
const SKEW_STEPS: u32 = 3;
/// What others leave, less a little, is what we take.
const SHARE: f64 = 0.97;
/// The rate comes back by this share of the window, so often; by a quarter of it near the rate that was refused last,
/// where each step may meet the others again.
const RETURN_STEP: f64 = 0.01;
const NEAR_THE_EDGE: std::ops::RangeInclusive<f64> = 0.95..=1.05;
const RETURN_EVERY: Duration = Duration::from_secs(5);
/// However much others use, this share of the window is tried.
const LEAST_SHARE: f64 = 0.05;

/// A question, or anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// GET.
    Read,
    /// POST, PUT.
    Write,
}

/// What the portal takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests in any window.
    pub rate: Rate,
    /// Questions in flight.
    pub max_reads: u32,
    /// Everything else in flight.
    pub max_writes: u32,
    /// How long a place in flight rests after its answer.
    pub hold_off: Duration,
    /// Smooths bursts inside the window.
    pub spike: Option<Rate>,
}

/// Requests of an earlier run that the window may still count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecentUse {
    /// How long before this run's start they were sent, at the least.
    pub age: Duration,
    /// How many, at the most.
    pub count: u32,
}

/// Leave to send one request. It must be given back to [`Pace::settle`].
#[derive(Debug)]
#[must_use = "a permit that is not settled holds its slot for ever"]
pub struct Permit {
    kind: Kind,
    issued: Moment,
}

/// How a request ended, as far as the limits are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestEnd {
    /// With an answer.
    Answered,
    /// With a refusal.
    Refused(Refusal),
    /// No byte of it left.
    NeverLeft,
    /// Without an answer: it may still be on its way.
    GivenUp,
}

/// What the run must know of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing.
    None,
    /// The day's writes are used up.
    DailyLimit {
        /// When the portal takes more.
        retry_after: Option<Duration>,
    },
    /// The portal takes nothing for too long.
    TooBusy {
        /// What it asked for, where it did.
        come_back_after: Option<Duration>,
    },
}

/// A request may not leave yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// When to ask again; `None` where only an answer can change anything.
    pub until: Option<Moment>,
    /// What it waits for.
    pub why: WaitReason,
}

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// All places in flight are taken or resting.
    InFlight,
    /// The portal's window is full.
    WindowFull,
    /// Requests are spread out.
    Spread,
    /// The portal refused, and everything of this kind pauses.
    Refused,
    /// So many mails left as the mail server's limits admit.
    Mails,
}

impl Wait {
    /// Of two waits, the one that ends first.
    pub fn sooner(one: Option<Self>, other: Self) -> Option<Self> {
        match one {
            Some(one) if one.until.is_some_and(|at| other.until.is_none_or(|until| at <= until)) => Some(one),
            Some(_) | None => Some(other),
        }
    }
}

/// The state of the limits, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// Slots of the window that are taken.
    pub used: u32,
    /// Slots that there are.
    pub limit: u32,
    /// Questions in flight.
    pub reads: u32,
    /// Everything else in flight.
    pub writes: u32,
    /// Refusals so far.
    pub refusals: u64,
    /// Whether somebody else shares the window.
    pub shared: bool,
}

/// The pacer of a run.
#[derive(Debug)]
pub struct Pace {
    limit: u32,
    window: Duration,
    guard: Duration,
    skew_steps: u32,
    /// Slots of requests in flight.
    out: u32,
    /// Moments of answers, whose slots come back a window and a guard later.
    answered: BinaryHeap<Reverse<Moment>>,
    reads: Places,
    writes: Places,
    /// How long requests of each kind hold their places.
    held: [Held; 2],
    spike: Option<Spread>,
    spike_gap: Duration,
    sharing: Option<Sharing>,
    paused: [Moment; 2],
    pauses: u32,
    /// Pauses of the last windows, for judging how much of one was used.
    paused_from: Moment,
    refused_at: Option<Moment>,
    refused_since: Option<Moment>,
    refusals: u64,
    jitter: StdRng,
}

#[derive(Debug)]
struct Sharing {
    per_window: f64,
    /// What was ours when the portal refused last.
    edge: f64,
    raised_at: Moment,
    spread: Spread,
}

impl Pace {
    /// A pacer for these limits, of which some may be used already.
    pub fn new(limits: Limits, recent: &[RecentUse], seed: u64) -> Self {
        let window = limits.rate.window;
        let mut pace = Self {
            limit: limits.rate.requests,
            window,
            // Covers the cutting of stamps to milliseconds, drift between clocks, small skew between servers.
            guard: Duration::from_millis(15) + window / 2000,
            skew_steps: 0,
            out: 0,
            answered: BinaryHeap::new(),
            reads: Places::new(limits.max_reads, limits.hold_off),
            writes: Places::new(limits.max_writes, limits.hold_off),
            held: [Held::default(); 2],
            spike_gap: limits.spike.map(|rate| rate.window.div_f64(f64::from(rate.requests))).unwrap_or_default(),
            spike: limits
                .spike
                .map(|rate| Spread::new(rate.window.div_f64(f64::from(rate.requests)), rate.requests / 10)),
            sharing: None,
            paused: [Moment::START; 2],
            pauses: 0,
            paused_from: Moment::START,
            refused_at: None,
            refused_since: None,
            refusals: 0,
            jitter: StdRng::seed_from_u64(seed),
        };
        pace.recall(recent);
        pace
    }

    /// Slots that earlier runs still hold. A moment cannot lie before the start, so what is old enters as what would
    /// come back as late.
    fn recall(&mut self, recent: &[RecentUse]) {
        for used in recent {
            let left = (self.window + self.guard).saturating_sub(used.age);
            for _ in 0..used.count.min(self.limit) {
                if !left.is_zero() {
                    self.answered.push(Reverse(Moment::START + left));
                }
            }
        }
        // From here on entries are moments at which slots come back.
    }

    fn advance(&mut self, now: Moment) {
        while self.answered.peek().is_some_and(|Reverse(back)| *back <= now) {
            self.answered.pop();
        }
        self.reads.advance(now);
        self.writes.advance(now);
        if let Some(sharing) = &mut self.sharing {
            let steps = now.saturating_since(sharing.raised_at).as_secs_f64() / RETURN_EVERY.as_secs_f64();
            if steps >= 1.0 {
                let most = f64::from(self.limit);
                let near = NEAR_THE_EDGE.contains(&(sharing.per_window / sharing.edge));
                let step = if near { RETURN_STEP / 4.0 } else { RETURN_STEP };
                sharing.per_window = (sharing.per_window + most * step * steps.floor()).min(most);
                sharing.raised_at = now;
                sharing.spread.set_interval(self.window.div_f64(sharing.per_window));
            }
        }
    }

    fn used(&self) -> u32 {
        self.out.saturating_add(u32::try_from(self.answered.len()).unwrap_or(u32::MAX))
    }

    /// Slots that are ours: all of them, or what others leave.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to at most the limit")]
    fn share(&self) -> u32 {
        let ours = |sharing: &Sharing| sharing.per_window.ceil().clamp(1.0, f64::from(self.limit)) as u32;
        self.sharing.as_ref().map_or(self.limit, ours)
    }

    fn places(&mut self, kind: Kind) -> &mut Places {
        match kind {
            Kind::Read => &mut self.reads,
            Kind::Write => &mut self.writes,
        }
    }

    /// Asks for leave to send one request now.
    pub fn admit(&mut self, kind: Kind, now: Moment) -> Result<Permit, Wait> {
        self.advance(now);
        let paused = self.paused.get(kind as usize).copied().unwrap_or_default();
        if paused > now {
            return Err(Wait { until: Some(paused), why: WaitReason::Refused });
        }
        if !self.places(kind).is_free() {
            return Err(Wait { until: self.places(kind).next_free(), why: WaitReason::InFlight });
        }
        if self.used() >= self.share() {
            let until = self.answered.peek().map(|Reverse(back)| *back);
            return Err(Wait { until, why: WaitReason::WindowFull });
        }
        let sharing = self.sharing.as_mut().map(|sharing| &mut sharing.spread);
        for spread in [self.spike.as_mut(), sharing].into_iter().flatten() {
            spread.admit(now).map_err(|until| Wait { until: Some(until), why: WaitReason::Spread })?;
        }
        self.out += 1;
        self.places(kind).take();
        Ok(Permit { kind, issued: now })
    }

    /// Tells how a request ended.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is given back once")]
    pub fn settle(&mut self, permit: Permit, ending: RequestEnd, now: Moment) -> Reaction {
        self.advance(now);
        self.out = self.out.saturating_sub(1);
        let (window, guard) = (self.window, self.guard);
        if let Some(mean) = self.held.get_mut(permit.kind as usize).filter(|_| ending != RequestEnd::NeverLeft) {
            let held = now.saturating_since(permit.issued);
            mean.add(if ending == RequestEnd::GivenUp { held + STUCK_FOR } else { held });
        }
        match ending {
            RequestEnd::Answered => {
                self.refused_since = None;
                self.answered.push(Reverse(now + window + guard));
                self.places(permit.kind).answered(now);
                Reaction::None
            }
            RequestEnd::NeverLeft => {
                self.places(permit.kind).never_left();
                Reaction::None
            }
            RequestEnd::GivenUp => {
                self.answered.push(Reverse(now + STUCK_FOR + window + guard));
                self.places(permit.kind).given_up(now);
                Reaction::None
            }
            RequestEnd::Refused(refusal) => self.refused(&permit, &refusal, now),
        }
    }

    fn refused(&mut self, permit: &Permit, refusal: &Refusal, now: Moment) -> Reaction {
        self.refusals += 1;
        // The window does not count what it refuses; the limiters after it do.
        let counted = !matches!(refusal.limiter, Limiter::Window);
        if counted {
            self.answered.push(Reverse(now + self.window + self.guard));
        }
        self.places(permit.kind).answered(now);
        if refusal.limiter == Limiter::Daily {
            return Reaction::DailyLimit { retry_after: refusal.retry_after };
        }
        let since = *self.refused_since.get_or_insert(now);
        let come_back_after = refusal.retry_after;
        if come_back_after.is_some_and(|wait| wait > LONGEST_WAIT) || now.saturating_since(since) >= REFUSED_FOR {
            return Reaction::TooBusy { come_back_after };
        }
        match refusal.limiter {
            Limiter::InFlight => {
                if self.places(permit.kind).refused(permit.issued, refusal.limit, now) || come_back_after.is_some() {
                    let wait = come_back_after.unwrap_or(Duration::from_millis(100));
                    self.pause(&[permit.kind], wait, now);
                }
            }
            Limiter::Window | Limiter::Unsaid | Limiter::Daily => {
                let first_of_its_time = self.refused_at.is_none_or(|at| permit.issued > at);
                if first_of_its_time {
                    self.react_to_window(refusal, now);
                }
                if first_of_its_time || come_back_after.is_some() {
                    let wait = come_back_after.unwrap_or_else(|| self.growing_wait());
                    self.pause(&[Kind::Read, Kind::Write], wait, now);
                }
            }
        }
        Reaction::None
    }

    /// 1 s, doubling to 8 s, give or take a quarter; starts anew after a window without refusal.
    fn growing_wait(&mut self) -> Duration {
        let wait = Duration::from_secs(1 << self.pauses.min(3));
        self.pauses += 1;
        wait.mul_f64(self.jitter.random_range(0.75..=1.25))
    }

    fn pause(&mut self, kinds: &[Kind], wait: Duration, now: Moment) {
        for kind in kinds {
            if let Some(until) = self.paused.get_mut(*kind as usize) {
                *until = (*until).max(now + wait);
            }
        }
    }

    /// The window refused: somebody else uses it, or clocks disagree, or its limit is lower than was said.
    fn react_to_window(&mut self, refusal: &Refusal, now: Moment) {
        if self.refused_at.is_some_and(|at| now.saturating_since(at) > self.window) {
            self.pauses = 0;
        }
        let paused = self.refused_at.map_or(Duration::ZERO, |_| {
            // The time since the last refusal in which nothing left does not say what is free.
            self.paused.iter().max().map_or(Duration::ZERO, |until| until.saturating_since(self.paused_from))
        });
        self.refused_at = Some(now);
        self.paused_from = now;
        if refusal.limiter == Limiter::Window
            && let Some(limit) = refusal.limit.filter(|limit| (1..self.limit).contains(limit))
        {
            self.limit = limit;
        }
        let limit = f64::from(self.limit);
        let active = self.window.saturating_sub(paused.min(self.window / 2));
        let own = f64::from(self.used()) * self.window.as_secs_f64() / active.as_secs_f64();
        if own >= limit * ALONE && self.skew_steps < SKEW_STEPS {
            self.skew_steps += 1;
            self.guard += SKEW_STEP;
            return;
        }
        let per_window = (own * SHARE).clamp(limit * LEAST_SHARE, limit);
        let interval = self.window.div_f64(per_window);
        let edge = per_window / SHARE;
        if let Some(sharing) = &mut self.sharing {
            sharing.per_window = per_window;
            sharing.edge = edge;
            sharing.raised_at = now;
            sharing.spread.set_interval(interval);
        } else {
            let spread = Spread::new(interval, 4);
            self.sharing = Some(Sharing { per_window, edge, raised_at: now, spread });
        }
    }

    /// How long this takes, and what is on its way, as far as the limits and the answers so far tell.
    pub fn forecast(&self, work: Work, now: Moment) -> Duration {
        let [reads, writes] = self.held;
        let lanes = [self.reads.lane(work.reads, reads.or(writes)), self.writes.lane(work.writes, writes.or(reads))];
        // Which slots come back when matters only where there are more requests than free ones.
        let free = u64::from(self.limit.saturating_sub(self.used()));
        let mut back: Vec<Duration> = Vec::new();
        if work.reads + work.writes > free {
            back.extend(self.answered.iter().map(|Reverse(at)| at.saturating_since(now)));
            back.sort_unstable();
            // What is on its way is answered soon, and its slot comes back a window later.
            let answered = lanes.iter().map(|lane| lane.held).max().unwrap_or_default() / 2;
            back.extend(std::iter::repeat_n(answered + self.window, self.out as usize));
        }
        let gap = self.sharing.as_ref().map_or(Duration::ZERO, |sharing| self.window.div_f64(sharing.per_window));
        let cycle =
            self.window + lanes.iter().filter(|lane| lane.left > 0).map(|lane| lane.held).min().unwrap_or_default();
        let paused = self.paused.iter().max().map_or(Duration::ZERO, |until| until.saturating_since(now));
        estimate::left(lanes, &Slots { free, back, cycle, gap: gap.max(self.spike_gap), paused })
    }

    /// The state of the limits, for people.
    pub fn pulse(&self) -> Pulse {
        Pulse {
            used: self.used().min(self.limit),
            limit: self.limit,
            reads: self.reads.busy(),
            writes: self.writes.busy(),
            refusals: self.refusals,
            shared: self.sharing.is_some(),
        }
    }
}

#[cfg(test)]
mod tests;
