//! What a run says of how long it still takes, against how long it takes: the loop that ships, on a modelled portal and a
//! paused clock.

use std::{cell::RefCell, convert::Infallible, time::Duration};

use jiff::Timestamp;
use onboard::{
    attempt::{Ending, LetGo, Mail},
    audience::{Audience, Standing},
    ledger::{AttemptId, Intended, Intent, LedgerError},
    pace::{Limits, Moment, Pace, Rate, RequestEnd},
    plan::{Budget, Plan},
    portal::{ErrorBody, Fault, LinkAnswer, Page, Person},
    roster::Row,
    run::{
        Observer,
        drive::{Addressed, Clock, Drive, Ready, Record, Wire},
    },
    signals::Signal,
    smtp,
    user::{EmployeeType, UserId},
    workflow::{Job, Letter, Policy, Stamp},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    MINUTE, ms, paused, people,
    portal::{ModelPortal, Terms, Way},
    terms,
};

/// A run on a portal.
#[derive(Debug, Clone, Copy)]
struct Day {
    name: &'static str,
    people: u32,
    /// In a hundred.
    active: u32,
    terms: Terms,
    rate: Rate,
    /// From and to, of a question and of a message.
    read: (Duration, Duration),
    write: (Duration, Duration),
    /// Whether the portal shows its listing.
    lists: bool,
    daily_left: u64,
    limit: Option<u64>,
    ends_at: Option<Duration>,
}

const PER_MINUTE: Rate = Rate { requests: 1500, window: MINUTE };

fn user(row: u32) -> UserId {
    let mut bytes = [9; 16];
    bytes[..4].copy_from_slice(&row.to_be_bytes());
    UserId::from_bytes(bytes)
}

struct Outside<'p> {
    day: Day,
    portal: &'p ModelPortal,
    random: RefCell<StdRng>,
    start: Instant,
}

impl Outside<'_> {
    async fn request(&self, (from, to): (Duration, Duration)) -> Result<(), Fault> {
        let whole = self.random.borrow_mut().random_range(from..=to);
        match self.portal.request_held(Way { there: whole / 4, back: whole / 4 }, whole / 2).await {
            RequestEnd::Refused(refusal) => Err(Fault::Refused(refusal)),
            _ => Ok(()),
        }
    }

    fn person(&self, row: u32) -> Person {
        // Spread over the listing.
        people::account(user(row), row * 37 % 100 < self.day.active)
    }
}

impl Wire for Outside<'_> {
    async fn link(&self, _: EmployeeType) -> Result<LinkAnswer, Fault> {
        self.request(self.day.read).await.map(|()| LinkAnswer::NotPermitted)
    }

    async fn page(&self, start: u64) -> Result<Page, Fault> {
        self.request(self.day.read).await?;
        if !self.day.lists {
            return Err(Fault::Answered { status: 403, body: ErrorBody::Empty });
        }
        let start = u32::try_from(start).expect("small");
        let people: Vec<_> = (start..self.day.people.min(start + 100)).map(|row| self.person(row)).collect();
        Ok(Page { total: u64::from(self.day.people), entries: people.len(), people })
    }

    async fn account(&self, user: UserId) -> Result<Person, Fault> {
        self.request(self.day.read).await?;
        let row = u32::from_be_bytes(user.as_bytes()[..4].try_into().expect("four"));
        Ok(self.person(row))
    }

    async fn person(&self, _: u32) -> Result<Person, Fault> {
        unreachable!("everybody has an id")
    }

    async fn tenant(&self) -> Result<i64, Fault> {
        unreachable!("nothing is signed here")
    }

    fn address(
        &self,
        _: &Letter,
        users: &[Option<UserId>],
        _: Option<i64>,
        _: Option<AttemptId>,
        _: Stamp,
    ) -> Addressed {
        Addressed::Congratulation {
            user: users.first().copied().flatten().expect("a user"),
            key: String::new(),
            own: false,
        }
    }

    async fn send(&self, _: Addressed) -> Result<(), Fault> {
        self.request(self.day.write).await
    }

    async fn deliver(&self, _: Ready) -> Result<(), smtp::Fault> {
        unreachable!("no mail server here")
    }
}

impl Record for Outside<'_> {
    async fn intend(&self, intents: Vec<Intent>) -> Result<Vec<Intended>, LedgerError> {
        sleep(ms(3)).await;
        Ok(intents.iter().map(|_| Intended::Open(AttemptId::new(1))).collect())
    }

    fn conclude(&self, _: AttemptId, _: Ending, _: Option<u16>) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    async fn reserve(&self, _: u64) -> Result<(), LedgerError> {
        sleep(ms(3)).await;
        Ok(())
    }
}

impl Clock for Outside<'_> {
    fn stamp(&self) -> Stamp {
        let now = self.start.elapsed();
        Stamp { now: Moment::START + now, wall: Timestamp::UNIX_EPOCH + now }
    }

    async fn until(&self, moment: Option<Moment>) {
        let frame = self.stamp().now + ms(100);
        let at = moment.map_or(frame, |moment| moment.min(frame));
        sleep_until(self.start + at.since_start()).await;
    }
}

/// Notes what it is shown, and how many requests the portal had taken by then.
struct Notes<'p> {
    portal: &'p ModelPortal,
    seen: Vec<(Duration, usize, Option<Duration>)>,
}

impl Audience for Notes<'_> {
    fn say(&mut self, _: &str) {}

    fn show(&mut self, standing: &Standing, now: Duration) {
        self.seen.push((now, self.portal.accepted(), standing.left));
    }

    fn finish(&mut self) {}
}

/// What was said, how long it took, how many requests it were, and how long the plan had said that it would take.
struct Came {
    seen: Vec<(Duration, usize, Option<Duration>)>,
    took: Duration,
    requests: usize,
    planned: Duration,
}

fn run(day: Day, seed: u64) -> Came {
    let rows: Vec<Row> = (0..day.people).map(|row| people::row(user(row))).collect();
    paused(async {
        let portal = ModelPortal::new(day.terms);
        let outside =
            Outside { day, portal: &portal, random: RefCell::new(StdRng::seed_from_u64(seed)), start: Instant::now() };
        let plan = Plan::decide(Mail::Congratulation, &rows, |_| false, |_, _| false, |_, _| Ok::<_, Infallible>(()));
        let plan = plan.expect("infallible");
        let budget = Budget {
            rate: day.rate,
            daily: 10_000,
            daily_left: day.daily_left,
            frees_at: None,
            by_mail: None,
            limit: day.limit,
            portal_users: Some(u64::from(day.people)),
            now: Timestamp::UNIX_EPOCH,
        };
        let planned = plan.forecast(&rows, &budget).duration();
        let policy = Policy {
            mail: Mail::Congratulation,
            dry_run: false,
            again: false,
            max_unknown: 5,
            retries: 5,
            outage: Duration::from_secs(120),
            limit: day.limit,
            daily_left: day.daily_left,
            wait: None,
            ends_at: day.ends_at.map(|at| Moment::START + at),
            refresh: false,
            by_mail: None,
            needs_tenant: false,
            seed,
        };
        let limits = Limits { rate: day.rate, max_reads: 50, max_writes: 15, hold_off: ms(12), spike: None };
        let mut job = Job::new(&rows, plan, policy, outside.stamp());
        let mut pace = Pace::new(limits, &[], seed);
        let mut notes = Notes { portal: &portal, seen: Vec::new() };
        let mut observer = Observer::new(&mut notes, Mail::Congratulation, day.rate, None);
        let mut signals = futures::stream::pending::<Signal>();
        let drive = Drive {
            job: &mut job,
            pace: &mut pace,
            mails: None,
            wire: &outside,
            record: &outside,
            clock: &outside,
            observer: &mut observer,
            mail: Mail::Congratulation,
            let_go: LetGo::default(),
            tenant: None,
        };
        drive.run(&mut signals).await;
        let took = outside.start.elapsed();
        Came { seen: notes.seen, took, requests: portal.accepted(), planned }
    })
}

const DAY: Day = Day {
    name: "at the portal's limits",
    people: 6000,
    active: 100,
    terms: Terms { limit: 1500, window: MINUTE, places: u32::MAX, release_lag: Duration::ZERO, retry_after: None },
    rate: PER_MINUTE,
    read: (Duration::from_millis(30), Duration::from_millis(70)),
    write: (Duration::from_millis(30), Duration::from_millis(70)),
    lists: true,
    daily_left: 10_000,
    limit: None,
    ends_at: None,
};

fn seconds(from: f64, to: f64) -> (Duration, Duration) {
    (Duration::from_secs_f64(from), Duration::from_secs_f64(to))
}

fn days() -> Vec<Day> {
    let six = Duration::from_secs(6);
    let slow = Day { people: 1500, write: seconds(2.0, 2.0), read: seconds(0.3, 0.6), ..DAY };
    vec![
        DAY,
        Day {
            name: "in short windows",
            people: 2500,
            terms: terms(150, six),
            rate: Rate { requests: 150, window: six },
            ..DAY
        },
        Day { name: "slow, each message alike", ..slow },
        Day { name: "slow, as it comes", write: seconds(0.5, 6.0), ..slow },
        Day { name: "about as slow as the limits", people: 5000, write: seconds(0.4, 0.7), ..slow },
        Day { name: "slow, and half of them are not active", people: 3000, active: 50, ..slow },
        Day { name: "half of them are not active", active: 50, ..DAY },
        Day {
            name: "one by one, slow questions",
            lists: false,
            read: seconds(2.0, 5.0),
            write: seconds(0.1, 0.2),
            ..slow
        },
        Day {
            name: "one by one, slow questions, few active",
            lists: false,
            active: 20,
            read: seconds(2.0, 5.0),
            ..slow
        },
        Day { name: "one by one, at the limits", lists: false, people: 3500, ..DAY },
        Day { name: "the day's limit", daily_left: 3500, ..DAY },
        Day { name: "the day's limit, slow", daily_left: 400, ..slow },
        Day { name: "a pilot, slow", limit: Some(300), ..slow },
        Day { name: "its time is over first", ends_at: Some(Duration::from_secs(100)), ..slow },
    ]
}

#[test]
fn from_a_tenth_of_the_work_on_a_run_knows_how_long_it_takes() {
    for day in days() {
        for seed in 0..3 {
            let came = run(day, seed);
            let (mut worst, mut judged) = (0.0_f64, 0);
            for (now, requests, left) in &came.seen {
                if requests * 10 < came.requests || *now > came.took {
                    continue;
                }
                let (actual, said) =
                    (came.took.saturating_sub(*now).as_secs_f64(), left.unwrap_or_default().as_secs_f64());
                // Less than a second is not told, and when the answer of a last request comes nobody knows.
                let unknowable = 1.5 + day.write.1.max(day.read.1).as_secs_f64();
                let off = ((said - actual).abs() - unknowable).max(0.0) / actual.max(0.1);
                judged += 1;
                worst = worst.max(off);
                assert!(
                    off <= 0.2,
                    "{}, seed {seed}: after {now:?} of {:?} ({requests} of {} requests) it says {left:?}",
                    day.name,
                    came.took,
                    came.requests
                );
            }
            println!(
                "{}, seed {seed}: {:?}, {} requests, off by {:.1} %",
                day.name,
                came.took,
                came.requests,
                worst * 100.0
            );
            assert!(judged > 50, "{}: {judged} looks", day.name);
        }
    }
}

#[test]
fn at_the_limits_the_plan_knows_how_long_it_takes() {
    for day in days().into_iter().filter(|day| day.write.1 < ms(100) && day.lists && day.active == 100) {
        let came = run(day, 1);
        let off = came.took.abs_diff(came.planned).as_secs_f64() / came.took.as_secs_f64();
        assert!(off <= 0.2, "{}: {:?} planned, {:?} taken", day.name, came.planned, came.took);
    }
}
