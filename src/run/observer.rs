//! Watches a run for people and records: bars, remarks, logs, and what went over the wire. It changes nothing.

use std::{fmt, time::Duration};

use crate::{
    attempt::Mail,
    audience::{Audience, Standing},
    code::Code,
    display::{Shown, Span, count},
    mail,
    outcome::{Outcome, RowEnd},
    pace::{Mails, Moment, Pace, Rate, Wait, WaitReason, Work},
    portal::Effect,
    portal::Fault,
    report::{Class, Counted, Event, Events, Traffic},
    smtp,
    workflow::{Job, Stamp},
};

/// How often the standing is put together.
const EVERY: Duration = Duration::from_millis(100);
/// With so many requests in the window, it is looked at only now and then how long the run still takes: each look goes
/// through all of them.
const MANY: u32 = 10_000;
const NOW_AND_THEN: Duration = Duration::from_secs(1);
/// Waits shorter than this are not worth a word.
const WORTH_SAYING: Duration = Duration::from_millis(700);

/// Tells an audience, the log and the events of a run.
pub struct Observer<'a> {
    audience: &'a mut dyn Audience,
    mail: Mail,
    rate: Rate,
    traffic: Traffic,
    shown_at: Option<Moment>,
    down: bool,
    mail_server_down: bool,
    events: Option<Events>,
    /// What was last said to be waited for.
    waited: Option<&'static str>,
    /// How long the run still takes, and when that was looked at.
    left: Option<(Moment, Duration)>,
}

/// When requests may leave, and mails, where there are any.
type Paces<'p> = (&'p Pace, Option<&'p Mails>);

impl fmt::Debug for Observer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("traffic", &self.traffic).finish_non_exhaustive()
    }
}

impl<'a> Observer<'a> {
    /// An observer that tells this audience, and writes these events.
    pub fn new(audience: &'a mut dyn Audience, mail: Mail, rate: Rate, events: Option<Events>) -> Self {
        let traffic = Traffic::default();
        Self {
            audience,
            mail,
            rate,
            traffic,
            shown_at: None,
            down: false,
            mail_server_down: false,
            events,
            waited: None,
            left: None,
        }
    }

    /// Shows where the run stands, now and then.
    pub(crate) fn watch(&mut self, job: &Job<'_>, pace: Paces<'_>, wait: Option<&Wait>, stamp: Stamp) {
        if self.shown_at.is_some_and(|at| stamp.now.saturating_since(at) < EVERY) {
            return;
        }
        self.shown_at = Some(stamp.now);
        self.tell_outage(job);
        self.tell_wait(job, wait, stamp);
        let standing = self.standing(job, pace, wait, stamp.now);
        self.audience.show(&standing, stamp.now.since_start());
    }

    fn tell_outage(&mut self, job: &Job<'_>) {
        let down = job.down();
        match (down, self.down) {
            (Some((_, why)), false) => {
                self.down = true;
                let why = Shown(why);
                self.audience.say(&format!("the portal cannot be reached ({why}); the run pauses and tries again"));
            }
            (None, true) => {
                self.down = false;
                self.audience.say("the portal answers again");
            }
            (Some(_), true) | (None, false) => {}
        }
        match (job.mail_server_down(), self.mail_server_down) {
            (Some((_, why)), false) => {
                let why = Shown(why);
                self.audience
                    .say(&format!("the mail server cannot be reached ({why}); mails wait and are tried again"));
            }
            (None, true) => self.audience.say("the mail server answers again"),
            (Some(_), true) | (None, false) => {}
        }
        self.mail_server_down = job.mail_server_down().is_some();
    }

    /// One event when a wait begins.
    fn tell_wait(&mut self, job: &Job<'_>, wait: Option<&Wait>, stamp: Stamp) {
        let Some(events) = &mut self.events else { return };
        let long = wait.and_then(|wait| wait.until).map(|until| until.saturating_since(stamp.now));
        let (why, long) = if job.down().is_some() {
            (Some("outage"), None)
        } else if let (Some(wait), Some(long)) = (wait, long.filter(|long| *long >= WORTH_SAYING)) {
            let why = match wait.why {
                WaitReason::WindowFull => "window_full",
                WaitReason::Refused => "refused",
                WaitReason::InFlight => "in_flight",
                WaitReason::Spread => "spread",
                WaitReason::Mails => "mail_rate",
            };
            (Some(why), Some(long))
        } else if let Some((_, at)) = job.waiting() {
            (Some("activation"), Some(at.saturating_since(stamp.now)))
        } else if let Some(at) = job.sends_again_at(stamp.now) {
            (Some("second_mails"), Some(at.saturating_since(stamp.now)))
        } else {
            (None, None)
        };
        if let Some(why) = why.filter(|why| self.waited != Some(*why)) {
            events.tell(&Event::Waiting { why, seconds: long.map(|long| long.as_secs_f64()) }, stamp.wall);
        }
        self.waited = why;
        events.flush();
    }

    /// The run begins.
    pub(crate) fn started(&mut self, run: &str, portal: &str, rows: usize, stamp: Stamp) {
        if let Some(events) = &mut self.events {
            let rows = u64::try_from(rows).unwrap_or(u64::MAX);
            events.tell(&Event::Started { run, portal, rows }, stamp.wall);
        }
    }

    /// How long the run still takes, as far as is known.
    fn left(&mut self, job: &Job<'_>, (pace, mails): Paces<'_>, now: Moment) -> Option<Duration> {
        let (work, in_flight) = (job.work_left(), job.in_flight());
        if work == Work::default() && in_flight == (0, 0) {
            return None;
        }
        let is_dear = pace.pulse().used > MANY;
        let looked = self.left.filter(|(at, _)| is_dear && now.saturating_since(*at) < NOW_AND_THEN);
        let (at, left) = looked.unwrap_or_else(|| {
            let (from, to) = job.bounds(now);
            let left = match mails {
                Some(mails) => pace.forecast(Work { writes: 0, ..work }, now).max(mails.forecast(work.writes, now)),
                None => pace.forecast(work, now),
            };
            let left = from.map_or(left, |from| left.max(from.saturating_since(now)));
            (now, to.map_or(left, |to| left.min(to.saturating_since(now))))
        });
        self.left = Some((at, left));
        Some(left.saturating_sub(now.saturating_since(at))).filter(|left| *left > Duration::from_secs(1))
    }

    fn standing(&mut self, job: &Job<'_>, pace: Paces<'_>, wait: Option<&Wait>, now: Moment) -> Standing {
        let pulse = pace.0.pulse();
        let (links, all_links) = job.link_progress();
        let (open, ready) = job.backlog();
        let outcomes = *job.tally();
        let progress = job.progress();
        let ended =
            outcomes.count(Outcome::Sent) + outcomes.count(Outcome::Rejected) + outcomes.count(Outcome::Unknown);
        let ended = ended.saturating_sub(progress.unknown_before);
        let (reads, writes) = job.in_flight();
        let window = self.rate.window.as_secs();
        let left = self.left(job, pace, now);
        Standing {
            links: (u64::from(links), u64::from(all_links)),
            checks: (progress.to_check.saturating_sub(open + u64::from(reads)), progress.to_check),
            mail: if pace.1.is_some() { "mails" } else { plural(self.mail) },
            messages: (ended, ended + ready + u64::from(writes)),
            rows: (outcomes.total(), progress.rows),
            outcomes: outcomes
                .occurred()
                .map(|(outcome, rows)| (mail::word(self.mail, outcome), rows, worth_a_look(outcome)))
                .collect(),
            window: (u64::from(pulse.used), u64::from(pulse.limit)),
            window_name: if window == 60 { "this minute".to_owned() } else { format!("in {}", Span(self.rate.window)) },
            refused: pulse.refusals,
            left,
            waits_for: waits_for(job, wait, now),
        }
    }

    /// Rows were settled.
    pub(crate) fn settled(&mut self, job: &mut Job<'_>, stamp: Stamp) {
        for remark in job.drain_remarks() {
            self.audience.say(&remark);
        }
        for row in job.drain_settled() {
            if let Some(end) = job.end(row as usize) {
                let (row, word) = (u64::from(row) + 1, mail::word(self.mail, end.outcome));
                if let Some(events) = &mut self.events {
                    events.tell(&row_settled(self.mail, row, word, &end), stamp.wall);
                }
                tracing::info!(row, outcome = word, detail = %end.detail, "row settled");
            }
        }
    }

    /// A request ended.
    pub(crate) fn request(&mut self, class: Class, left: Moment, fault: Option<&Fault>, stamp: Stamp) {
        let latency = stamp.now.saturating_since(left);
        let end = match fault {
            None => Counted::Done,
            Some(Fault::Refused(_)) => Counted::Refused,
            Some(Fault::NotSent { .. }) => Counted::NotSent,
            Some(Fault::Lost(_) | Fault::Answered { .. } | Fault::Redirected { .. } | Fault::Unreadable(_)) => {
                Counted::Failed
            }
        };
        if let (Counted::Refused, Some(events)) = (end, &mut self.events) {
            events.tell(&Event::Refused { class }, stamp.wall);
        }
        self.traffic.add(class, end, left.since_start(), latency);
        let ms = latency.as_secs_f64() * 1000.0;
        match fault {
            None => tracing::debug!(class = class.as_str(), ms, "answered"),
            Some(fault) => tracing::debug!(class = class.as_str(), ms, %fault, "not answered as hoped"),
        }
    }

    /// A mail ended.
    pub(crate) fn mail(&mut self, left: Moment, fault: Option<&smtp::Fault>, stamp: Stamp) {
        let latency = stamp.now.saturating_since(left);
        let end = match fault {
            None => Counted::Done,
            Some(smtp::Fault::NotSent { .. } | smtp::Fault::Impossible { .. }) => Counted::NotSent,
            Some(fault) if fault.effect() == Effect::NoneYet => Counted::Refused,
            Some(_) => Counted::Failed,
        };
        self.traffic.add(Class::Mail, end, left.since_start(), latency);
        let ms = latency.as_secs_f64() * 1000.0;
        match fault {
            None => tracing::debug!(ms, "the mail server took a mail"),
            Some(fault) => tracing::debug!(ms, %fault, "a mail was not taken"),
        }
    }

    /// A signal came.
    pub(crate) fn stopping(&mut self, (reads, writes): (u32, u32)) {
        let in_flight = u64::from(reads) + u64::from(writes);
        self.audience.say(&format!(
            "stopping: {} in flight may finish, nothing new leaves (a second signal stops at once)",
            count(in_flight, "request")
        ));
    }

    /// The end: the bars go, what was counted stays; events wait for the exit status.
    pub(crate) fn finish(self) -> (Traffic, Option<Events>) {
        self.audience.finish();
        (self.traffic, self.events)
    }
}

fn row_settled<'e>(mail: Mail, row: u64, word: &'static str, end: &'e RowEnd<'_>) -> Event<'e> {
    let only = |of: Mail| (mail == of).then_some(word);
    Event::RowSettled {
        row,
        user_id: end.user.map(|user| user.to_string()),
        congratulation: only(Mail::Congratulation),
        invitation: only(Mail::Invitation),
        active: end.active,
        attempts: end.attempts,
        detail: &end.detail,
        code: end.code().map(Code::as_str),
    }
}

const fn plural(mail: Mail) -> &'static str {
    match mail {
        Mail::Congratulation => "congratulations",
        Mail::Invitation => "invitations",
    }
}

/// Outcomes worth a look while the run goes on.
const fn worth_a_look(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Sent | Outcome::AlreadySent | Outcome::Duplicate)
}

/// What the run waits for, as a person says it.
fn waits_for(job: &Job<'_>, wait: Option<&Wait>, now: Moment) -> Option<String> {
    let (_, ready) = job.backlog();
    if let Some((since, why)) = job.down() {
        let gone = Span(now.saturating_since(since));
        return Some(format!("the portal cannot be reached for {gone} now: {}", Shown(why)));
    }
    if let Some(wait) = wait {
        let long = wait.until.map(|until| until.saturating_since(now)).filter(|long| *long >= WORTH_SAYING);
        if let Some(long) = long {
            let why = match wait.why {
                WaitReason::WindowFull => "the portal's window is full",
                WaitReason::Refused => "the portal refused, somebody else uses its limits too",
                WaitReason::InFlight => "all places in flight are taken",
                WaitReason::Spread => "requests are spread out",
                WaitReason::Mails => "as many mails left as --smtp-rate admits",
            };
            return Some(format!("waiting {}: {why}", Span(long)));
        }
    }
    if let Some(at) = job.sends_again_at(now) {
        let long = Span(at.saturating_since(now));
        return Some(format!("waiting {long}: a portal takes few requests that invite again, and many people in each"));
    }
    let (users, at) = job.waiting()?;
    if ready > 0 {
        return None;
    }
    let long = Span(at.saturating_since(now));
    Some(format!("{} not active yet; they are looked at again in {long}", count(users, "user")))
}
