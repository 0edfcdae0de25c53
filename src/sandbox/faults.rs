//! Faults that the embedded portal can be told to have, seeded so that a run replays.

use std::str::FromStr;

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// An invitation link.
    Link,
    /// One user.
    User,
    /// The listing.
    Listing,
    /// The congratulation.
    Congratulation,
    /// An invitation.
    Invitation,
    /// Anything else.
    Other,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 6] =
        [Self::Link, Self::User, Self::Listing, Self::Congratulation, Self::Invitation, Self::Other];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::User => "user",
            Self::Listing => "listing",
            Self::Congratulation => "congratulation",
            Self::Invitation => "invitation",
            Self::Other => "other",
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// 429 as the window says it.
    RefuseWindow,
    /// 429 as the places in flight say it.
    RefuseInFlight,
    /// 429 as the day's writes say it.
    RefuseDaily,
    /// 429 without any header.
    RefuseBare,
    /// 503 with `Retry-After: 1`.
    Busy,
    /// 500 with the error envelope.
    Error,
    /// 502 with the web server's page.
    Gateway,
    /// The connection closes before the request has its effect.
    DropBefore,
    /// The connection closes after it.
    DropAfter,
    /// No answer, no effect.
    StallBefore,
    /// No answer, after the effect.
    StallAfter,
    /// 200 with a web page, after the effect.
    Garbage,
    /// 200 whose body breaks off, after the effect.
    Cut,
    /// 403 with the error envelope.
    Forbid,
    /// 401, empty.
    Unauthorized,
    /// 402, empty.
    Unpaid,
    /// A redirect to another host.
    Redirect,
    /// 200 with an empty link, or about another user.
    Wrong,
    /// A body that never ends.
    Endless,
}

const KINDS: [(&str, Kind); 19] = [
    ("refuse-window", Kind::RefuseWindow),
    ("refuse-in-flight", Kind::RefuseInFlight),
    ("refuse-daily", Kind::RefuseDaily),
    ("refuse-bare", Kind::RefuseBare),
    ("busy", Kind::Busy),
    ("error", Kind::Error),
    ("gateway", Kind::Gateway),
    ("drop-before", Kind::DropBefore),
    ("drop-after", Kind::DropAfter),
    ("stall-before", Kind::StallBefore),
    ("stall-after", Kind::StallAfter),
    ("garbage", Kind::Garbage),
    ("cut", Kind::Cut),
    ("forbid", Kind::Forbid),
    ("unauthorized", Kind::Unauthorized),
    ("unpaid", Kind::Unpaid),
    ("redirect", Kind::Redirect),
    ("wrong", Kind::Wrong),
    ("endless", Kind::Endless),
];

/// When a fault happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum When {
    /// With this probability.
    Chance(f64),
    /// To the one of its kind with this number, from 1.
    Nth(u64),
}

impl FromStr for When {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match (text.strip_suffix('%'), text.strip_prefix('#')) {
            (Some(percent), _) => {
                let percent: f64 = percent.parse().map_err(|_no_number| ())?;
                Ok(Self::Chance((percent / 100.0).clamp(0.0, 1.0)))
            }
            (_, Some(number)) => number.parse().map(Self::Nth).map_err(|_no_number| ()),
            (None, None) => Err(()),
        }
    }
}

impl When {
    /// Whether it happens to the one with this number, from 1.
    pub(super) fn happens(self, number: u64, chance: &mut StdRng) -> bool {
        match self {
            Self::Chance(probability) => chance.random_bool(probability),
            Self::Nth(nth) => nth == number,
        }
    }
}

/// One rule: `CLASS:KIND:20%` or `CLASS:KIND:#3`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    class: Class,
    kind: Kind,
    when: When,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kinds: Vec<_> = KINDS.iter().map(|(name, _)| *name).collect();
        let help = || {
            format!(
                "give CLASS:KIND:HOW-OFTEN, like user:error:20% or congratulation:drop-after:#3; classes are link, user, \
                 listing, congratulation, other; kinds are {}",
                kinds.join(", ")
            )
        };
        let mut parts = text.split(':');
        let (Some(class), Some(kind), Some(when), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(help());
        };
        let class = Class::ALL.into_iter().find(|other| other.name() == class).ok_or_else(help)?;
        let kind = KINDS.iter().find(|(name, _)| *name == kind).map(|(_, kind)| *kind).ok_or_else(help)?;
        Ok(Self { class, kind, when: when.parse().map_err(|()| help())? })
    }
}

/// Decides, request by request.
#[derive(Debug)]
pub(super) struct Faults {
    rules: Vec<Fault>,
    seen: [u64; Class::ALL.len()],
    chance: StdRng,
}

impl Faults {
    pub(super) fn new(rules: Vec<Fault>, seed: u64) -> Self {
        Self { rules, seen: [0; Class::ALL.len()], chance: StdRng::seed_from_u64(seed) }
    }

    /// The fault of the next request of this class, if it has one.
    pub(super) fn next(&mut self, class: Class) -> Option<Kind> {
        let seen = self.seen.get_mut(class as usize)?;
        *seen += 1;
        let number = *seen;
        let chance = &mut self.chance;
        let mut happens = |rule: &&Fault| rule.class == class && rule.when.happens(number, chance);
        self.rules.iter().find(|rule| happens(rule)).map(|rule| rule.kind)
    }
}
