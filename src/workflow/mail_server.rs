//! The mail server's mood: whether it can be reached, takes anything now, and whether its refusals are about everybody.
//! What it is charged for is never the portal's.

use std::time::Duration;

use super::{Unreachable, contact::Contact};
use crate::{
    pace::{Backoff, Moment},
    reason::Stop,
    smtp::{Brake, Fault, Step},
};

#[derive(Debug)]
pub(super) struct MailServer {
    contact: Contact,
    brake: Brake,
    backoff: Backoff,
    retries: u32,
    /// It takes nothing before this.
    rest_until: Moment,
    /// So often in a row it said that it takes nothing now.
    rests: u32,
}

impl MailServer {
    pub(super) fn new(retries: u32, outage: Duration, seed: u64) -> Self {
        Self {
            contact: Contact::new(retries, outage),
            brake: Brake::default(),
            backoff: Backoff::new(seed.rotate_left(17)),
            retries,
            rest_until: Moment::START,
            rests: 0,
        }
    }

    /// Whether a mail may leave, with so many on their way.
    pub(super) fn admits(&self, in_flight: u32, now: Moment) -> bool {
        self.brake.room(in_flight) > 0 && now >= self.rest_until && self.contact.open(now)
    }

    /// A mail leaves.
    pub(super) fn leaving(&mut self) {
        self.contact.leaving();
    }

    /// One that was to leave did not, and the server had nothing to do with it.
    pub(super) fn never_left(&mut self, now: Moment) {
        self.contact.never_left(now);
    }

    pub(super) fn accepted(&mut self) {
        self.contact.answered();
        self.brake.accepted();
        self.rests = 0;
    }

    /// A mail was not accepted. What it means for all that are to follow, if it does.
    pub(super) fn failed(&mut self, fault: &Fault, now: Moment) -> Option<Stop> {
        match fault {
            Fault::NotSent { why, for_good: true } => return Some(Stop::MailUnreachable(why.clone())),
            Fault::NotSent { why, for_good: false } => {
                return self.contact.failed(why, now, &mut self.backoff).err().map(unreachable);
            }
            Fault::Impossible { .. } => {
                self.contact.never_left(now);
                return None;
            }
            Fault::Lost(_) if self.contact.down().is_some() => {
                return self.contact.failed(&fault.to_string(), now, &mut self.backoff).err().map(unreachable);
            }
            Fault::Lost(_) => return None,
            Fault::Later { .. } | Fault::Refused { .. } | Fault::Strange { .. } => self.contact.answered(),
        }
        if let Fault::Later { scope: crate::smtp::Scope::Everybody, .. } = fault {
            // Those that were out together were told the same once.
            if now >= self.rest_until {
                self.rests += 1;
                if self.rests > self.retries {
                    return Some(Stop::MailBusy(fault.to_string()));
                }
                self.rest_until = now + fault.come_back_after(self.rests).unwrap_or_default();
            }
            return None;
        }
        self.rests = 0;
        let manner = self.brake.failed(fault)?;
        let said = fault.to_string();
        Some(if manner.step == Step::Login { Stop::MailLogin(said) } else { Stop::MailRefuses(said) })
    }

    /// Looks at the clock: an outage that lasts too long.
    pub(super) fn tick(&self, now: Moment) -> Option<Stop> {
        self.contact.check(now).err().map(unreachable)
    }

    /// When it may be tried again.
    pub(super) fn wake(&self, now: Moment) -> Option<Moment> {
        self.contact.wake().into_iter().chain(Some(self.rest_until).filter(|until| *until > now)).max()
    }

    /// Since when and why it cannot be reached.
    pub(super) fn down(&self) -> Option<(Moment, &str)> {
        self.contact.down()
    }
}

fn unreachable(unreachable: Unreachable) -> Stop {
    Stop::MailUnreachable(unreachable.why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::Reply;

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    fn said(step: Step, code: u16) -> Fault {
        Fault::of_reply(step, &Reply { code, lines: vec![String::new()] })
    }

    fn server() -> MailServer {
        MailServer::new(2, Duration::from_secs(120), 1)
    }

    #[test]
    fn a_server_that_takes_nothing_now_is_given_time_and_not_for_ever() {
        let mut server = server();
        assert_eq!(server.failed(&said(Step::Greeting, 421), at(0)), None);
        // Another one that was out with it.
        assert_eq!(server.failed(&said(Step::Sender, 451), at(1)), None);
        assert!(!server.admits(0, at(29)) && server.admits(0, at(30)));
        assert_eq!(server.wake(at(1)), Some(at(30)));
        assert_eq!(server.failed(&said(Step::Greeting, 421), at(30)), None);
        assert!(!server.admits(0, at(89)));
        assert!(matches!(server.failed(&said(Step::Greeting, 421), at(90)), Some(Stop::MailBusy(_))));
    }

    #[test]
    fn greylisting_is_about_one_mail_alone() {
        let mut server = server();
        for _ in 0..20 {
            assert_eq!(server.failed(&said(Step::Recipient, 451), at(0)), None);
        }
        assert!(server.admits(0, at(0)));
    }

    #[test]
    fn a_login_stops_at_once_and_a_refused_sender_after_five() {
        assert!(matches!(server().failed(&said(Step::Login, 535), at(0)), Some(Stop::MailLogin(_))));
        let mut server = server();
        for _ in 0..4 {
            assert_eq!(server.failed(&said(Step::Sender, 550), at(0)), None);
        }
        assert!(matches!(server.failed(&said(Step::Sender, 550), at(0)), Some(Stop::MailRefuses(_))));
        assert!(!server.admits(0, at(0)));
    }

    #[test]
    fn one_that_cannot_be_reached_gets_as_many_tries_as_a_request_and_an_outage_later() {
        let gone = Fault::NotSent { why: "refused".to_owned(), for_good: false };
        let mut first = server();
        for second in [0, 10, 20] {
            let stop = first.failed(&gone, at(second));
            assert_eq!(stop.is_some(), second == 20);
            first.leaving();
        }
        let mut later = server();
        later.accepted();
        assert_eq!(later.failed(&gone, at(5)), None);
        assert!(later.down().is_some() && later.tick(at(124)).is_none());
        assert_eq!(later.tick(at(125)), Some(Stop::MailUnreachable("refused".to_owned())));
        let for_good = Fault::NotSent { why: "certificate".to_owned(), for_good: true };
        assert!(server().failed(&for_good, at(0)).is_some());
    }

    #[test]
    fn a_probe_that_never_left_leaves_room_for_another() {
        let mut server = server();
        server.failed(&Fault::NotSent { why: "refused".to_owned(), for_good: false }, at(0));
        server.leaving();
        assert!(!server.admits(0, at(60)));
        server.never_left(at(60));
        assert!(server.admits(0, at(60)));
    }
}
