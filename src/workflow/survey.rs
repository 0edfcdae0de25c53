//! How the users' statuses are learned: from the pages of the listing, or one by one, whichever takes fewer requests.
//!
//! The first page tells how many users the portal has; from then on, after each page, the rest is asked for one by one
//! as soon as that is no more than the pages that are left (`docspace-contract.md` §6).

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::portal::{PAGE_SIZE, Person};

#[derive(Debug)]
pub(super) struct Survey {
    state: State,
    /// From so many open questions on, the first page may save some.
    pages_from: u64,
    /// Who stood on each page so far.
    pages: HashSet<u64>,
}

#[derive(Debug)]
enum State {
    /// The first page was not asked for yet.
    Unasked,
    /// The first page is on its way; nothing is known before it is there.
    Asking,
    /// The portal has so many users, and shows so many on a page; pages from here on were not asked for. A total that
    /// grows without end is believed up to a bound.
    Paging { total: u64, at_most: u64, page: u64, next: u64, in_flight: u32 },
    /// What is open is asked for one by one.
    OneByOne,
}

/// What to do about the users whose status is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advice {
    /// Ask for the page that starts here.
    Page(u64),
    /// Wait for a page that is on its way.
    Wait,
    /// Ask for them one by one.
    OneByOne,
}

impl Survey {
    pub(super) fn new(pages_from: u64) -> Self {
        Self { state: State::Unasked, pages_from, pages: HashSet::new() }
    }

    /// Whether a page holds others than one of those before it.
    pub(super) fn is_news(&mut self, people: &[Person]) -> bool {
        let of = |person: &Person| {
            let mut hasher = DefaultHasher::new();
            person.id.hash(&mut hasher);
            hasher.finish()
        };
        // In whatever order.
        let page = people.iter().fold(0, |page: u64, person| page.wrapping_add(of(person)));
        people.is_empty() || self.pages.insert(page)
    }

    /// What to ask next, with so many users' statuses open.
    pub(super) fn advise(&mut self, open: u64) -> Advice {
        match &mut self.state {
            State::Unasked if open < self.pages_from => self.state = State::OneByOne,
            State::Unasked => return Advice::Page(0),
            State::Asking => return Advice::Wait,
            State::Paging { total, page, next, in_flight, .. } => {
                let left = total.saturating_sub(*next).div_ceil(*page);
                if left > 0 && open > left {
                    return Advice::Page(*next);
                }
                if *in_flight > 0 {
                    return Advice::Wait;
                }
                self.state = State::OneByOne;
            }
            State::OneByOne => {}
        }
        Advice::OneByOne
    }

    /// The page that was advised leaves.
    pub(super) fn asked(&mut self) {
        match &mut self.state {
            State::Unasked => self.state = State::Asking,
            State::Paging { page, next, in_flight, .. } => {
                *next += *page;
                *in_flight += 1;
            }
            State::Asking | State::OneByOne => {}
        }
    }

    /// A page came, with the portal's total as of now; an empty one means that there are no more.
    pub(super) fn came(&mut self, portal_total: u64, entries: usize) {
        match &mut self.state {
            State::Asking => {
                // Some portals show fewer than were asked for.
                let page = u64::try_from(entries).unwrap_or(u64::MAX).clamp(1, u64::from(PAGE_SIZE));
                self.state = State::Paging {
                    total: portal_total,
                    at_most: portal_total.saturating_mul(2).saturating_add(1000),
                    page,
                    next: page,
                    in_flight: 0,
                }
            }
            State::Paging { total, at_most, in_flight, .. } => {
                *total = portal_total.min(*at_most);
                *in_flight = in_flight.saturating_sub(1);
            }
            State::Unasked | State::OneByOne => {}
        }
        if entries == 0
            && let State::Paging { total, .. } = &mut self.state
        {
            *total = 0;
        }
    }

    /// A page could not be had.
    pub(super) fn failed(&mut self) {
        match &mut self.state {
            State::Asking => self.state = State::OneByOne,
            State::Paging { total, in_flight, .. } => {
                *in_flight = in_flight.saturating_sub(1);
                // A listing with a hole says nothing about who is missing from it: stop reading it.
                *total = 0;
            }
            State::Unasked | State::OneByOne => {}
        }
    }

    /// How many questions are still to be asked, with so many users' statuses open.
    pub(super) fn left(&self, open: u64) -> u64 {
        let pages = open.div_ceil(u64::from(PAGE_SIZE));
        match &self.state {
            State::Unasked if open >= self.pages_from => pages,
            State::Unasked | State::OneByOne => open,
            State::Asking => pages.saturating_sub(1),
            State::Paging { total, page, next, .. } => open.min(total.saturating_sub(*next).div_ceil(*page)),
        }
    }

    /// Pages on their way.
    pub(super) fn in_flight(&self) -> u32 {
        match &self.state {
            State::Asking => 1,
            State::Paging { in_flight, .. } => *in_flight,
            State::Unasked | State::OneByOne => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Requests for a roster of `open` users, all of them on a portal of `users`, spread evenly over its pages.
    fn requests(mut open: u64, users: u64) -> (u64, u64) {
        let (mut survey, mut pages) = (Survey::new(2), 0);
        let share = |open: u64, left: u64| if left == 0 { 0 } else { open.div_ceil(left) };
        loop {
            match survey.advise(open) {
                Advice::Page(start) => {
                    survey.asked();
                    pages += 1;
                    assert!(pages <= users, "the listing is over");
                    let left = users.saturating_sub(start).div_ceil(100);
                    open -= share(open, left);
                    survey.came(users, usize::try_from(users.saturating_sub(start).min(100)).expect("a page"));
                }
                Advice::Wait => panic!("nothing is on its way"),
                Advice::OneByOne => return (pages, open),
            }
        }
    }

    #[test]
    fn a_small_roster_on_a_large_portal_is_asked_for_one_by_one() {
        assert_eq!(requests(30, 20_000), (1, 29));
        assert_eq!(requests(1, 20_000), (0, 1));
        assert_eq!(requests(2, 20_000), (1, 1));
    }

    /// A survey whose first page told of so many users.
    fn paging(total: u64) -> Survey {
        let mut survey = Survey::new(2);
        assert_eq!((survey.advise(9999), survey.in_flight()), (Advice::Page(0), 0));
        survey.asked();
        assert_eq!((survey.advise(9999), survey.in_flight()), (Advice::Wait, 1));
        survey.came(total, 100);
        survey
    }

    #[test]
    fn pages_that_are_on_their_way_are_waited_for() {
        let mut survey = paging(300);
        for start in [100, 200] {
            assert_eq!(survey.advise(50), Advice::Page(start));
            survey.asked();
        }
        assert_eq!((survey.advise(50), survey.in_flight()), (Advice::Wait, 2));
        survey.came(300, 100);
        assert_eq!((survey.advise(50), survey.in_flight()), (Advice::Wait, 1));
        survey.came(300, 100);
        assert_eq!((survey.advise(50), survey.in_flight()), (Advice::OneByOne, 0));
    }

    #[test]
    fn what_is_no_dearer_one_by_one_is_asked_so() {
        assert_eq!(paging(300).advise(3), Advice::Page(100));
        assert_eq!(paging(300).advise(2), Advice::OneByOne);
        assert_eq!(paging(100).advise(50), Advice::OneByOne, "there is no further page");
    }

    #[test]
    fn an_empty_page_is_the_last_and_a_listing_with_a_hole_is_left() {
        let mut survey = paging(900);
        survey.asked();
        survey.came(900, 0);
        assert_eq!(survey.advise(500), Advice::OneByOne);
        let mut survey = paging(900);
        survey.asked();
        survey.asked();
        survey.failed();
        assert_eq!((survey.advise(500), survey.in_flight()), (Advice::Wait, 1));
        survey.failed();
        assert_eq!((survey.advise(500), survey.in_flight()), (Advice::OneByOne, 0));
        let mut survey = Survey::new(2);
        survey.asked();
        survey.failed();
        assert_eq!((survey.advise(500), survey.in_flight()), (Advice::OneByOne, 0));
    }

    #[test]
    fn pages_are_as_long_as_the_first_one_is() {
        let mut survey = Survey::new(2);
        survey.asked();
        survey.came(260, 50);
        for start in [50, 100, 150, 200, 250] {
            assert_eq!(survey.advise(200), Advice::Page(start));
            survey.asked();
            survey.came(260, 50);
        }
        assert_eq!(survey.advise(200), Advice::OneByOne);
        let mut survey = Survey::new(2);
        survey.asked();
        survey.came(260, 50);
        assert_eq!(survey.advise(5), Advice::OneByOne, "five pages are no fewer");
    }

    #[test]
    fn a_whole_portal_is_read_in_pages() {
        assert_eq!(requests(2_000, 2_000), (20, 0));
    }

    proptest! {
        #[test]
        fn it_costs_at_most_one_request_more_than_the_better_way(open in 0u64..5_000, users in 0u64..50_000) {
            let open = open.min(users);
            let (pages, singles) = requests(open, users);
            let best = open.min(users.div_ceil(100) );
            prop_assert!(pages + singles <= best + 1, "{pages} + {singles} against {best}");
        }
    }
}
