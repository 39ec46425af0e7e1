//! The scheduler driven by hand.

mod life;

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use super::super::endpoint::PROBE_FIRST_MS;
use super::super::verdict::{Fate, Trouble};
use super::*;

const NOW: u64 = 1_700_000_000_000;
const WELL: Outcome = Outcome::Answered { status: 204, retry_after_ms: None, directive: None };
const FAILED: Outcome = Outcome::Answered { status: 500, retry_after_ms: None, directive: None };
const GONE: Outcome = Outcome::Answered { status: 410, retry_after_ms: None, directive: None };

fn terms(order: Order) -> Terms {
    Terms { schedule: Schedule::TON_EVENTS, order, rate: None }
}

fn key(number: u64) -> Option<OrderKey> {
    NonZeroU64::new(number).map(OrderKey)
}

/// A scheduler with somebody who drives it: `head` notifications, each of the deposit its position modulo four says.
struct Desk {
    scheduler: Scheduler<u64>,
    head: u64,
    now_ms: u64,
}

impl Desk {
    fn new(endpoints: usize, order: Order, head: u64) -> Self {
        let mut scheduler = Scheduler::default();
        for _ in 0..endpoints {
            scheduler.add(terms(order), Standing::Running, Cursor::default(), 0);
        }
        Self { scheduler, head, now_ms: NOW }
    }

    fn fill(&mut self) {
        self.scheduler.advance(self.now_ms);
        while let Some(endpoint) = self.scheduler.next_hungry() {
            let mut room = self.scheduler.claim_due(endpoint, self.now_ms);
            while room > 0 && self.scheduler.cursor(endpoint).dispatched_through() < self.head {
                let position = self.scheduler.cursor(endpoint).dispatched_through() + 1;
                self.scheduler.claim(endpoint, position, key(1 + position % 4), position);
                room -= 1;
            }
        }
    }

    fn store(&mut self) {
        self.scheduler.take_changes();
        self.scheduler.committed();
    }

    /// Everything that can be sent now.
    fn send(&mut self) -> Vec<Attempt<u64>> {
        self.fill();
        self.store();
        std::iter::from_fn(|| self.scheduler.next(self.now_ms)).collect()
    }

    fn end_all(&mut self, attempts: &[Attempt<u64>], outcome: Outcome) {
        for attempt in attempts {
            self.end(attempt, outcome);
        }
    }

    fn end(&mut self, attempt: &Attempt<u64>, outcome: Outcome) -> Verdict {
        let ended = (outcome, 5);
        let verdict = self.scheduler.finished(attempt.endpoint, attempt.position, ended, self.now_ms, Chance(0));
        verdict.expect("it was under way")
    }
}

fn positions(attempts: &[Attempt<u64>]) -> Vec<Position> {
    attempts.iter().map(|attempt| attempt.position).collect()
}

#[test]
fn nothing_is_sent_before_its_claim_is_durable() {
    let mut desk = Desk::new(1, Order::Free, 10);
    desk.fill();
    assert_eq!(desk.scheduler.next(NOW), None);
    let changes = desk.scheduler.take_changes();
    assert_eq!((changes.len(), changes[0].dispatched_through, changes[0].open.len()), (1, 10, 10));
    assert_eq!(desk.scheduler.next(NOW), None);
    desk.scheduler.committed();
    assert_eq!(desk.scheduler.next(NOW).map(|attempt| attempt.position), Some(1));
}

#[test]
fn endpoints_take_turns() {
    let mut desk = Desk::new(3, Order::Free, 10);
    let order: Vec<_> = desk.send().iter().map(|attempt| attempt.endpoint.0).collect();
    assert_eq!(order, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
}

#[test]
fn a_failure_is_sent_again_when_its_time_has_come() {
    let mut desk = Desk::new(1, Order::Free, 1);
    let first = desk.send().remove(0);
    desk.end(&first, FAILED);
    assert_eq!(desk.send(), []);
    assert_eq!(desk.scheduler.wake_ms(), Some(NOW + 30_000));
    desk.now_ms = NOW + 30_000;
    let again = desk.send();
    assert_eq!(
        (positions(&again), again[0].tries, again[0].payload),
        (vec![1], Tries { attempts: 1, failures: 1, arrivals: 0 }, None)
    );
}

#[test]
fn five_failures_leave_one_probe_and_what_waits_is_not_lost() {
    let mut desk = Desk::new(1, Order::Free, 20);
    for _ in 0..2 {
        for attempt in desk.send() {
            desk.end(&attempt, FAILED);
        }
    }
    assert_eq!(desk.send(), []);
    desk.now_ms = NOW + PROBE_FIRST_MS;
    let probe = desk.send();
    assert_eq!(probe.len(), 1);
    desk.end(&probe[0], WELL);
    let mut delivered = BTreeSet::from([probe[0].position]);
    loop {
        let attempts = desk.send();
        if attempts.is_empty() {
            break;
        }
        for attempt in attempts {
            desk.end(&attempt, WELL);
            assert!(delivered.insert(attempt.position));
        }
    }
    assert_eq!(delivered.len(), 20);
}

#[test]
fn a_disabled_endpoint_keeps_what_it_is_owed_and_gets_it_when_it_runs_again() {
    let mut desk = Desk::new(1, Order::Free, 3);
    let attempts = desk.send();
    let verdict = desk.end(&attempts[0], GONE);
    assert_eq!(verdict.fate, Fate::Disable(Reason::Gone));
    desk.end(&attempts[1], WELL);
    desk.end(&attempts[2], WELL);
    desk.head = 5;
    desk.scheduler.feed_all();
    assert_eq!(desk.send(), []);
    assert_eq!(desk.scheduler.cursor(EndpointNo(0)).acked_through(), 0);
    desk.scheduler.set_standing(EndpointNo(0), Standing::Running);
    assert_eq!(positions(&desk.send()), [1, 4, 5]);
}

#[test]
fn the_exhausted_one_disables_and_begins_anew_when_the_endpoint_runs_again() {
    let mut desk = Desk::new(1, Order::Free, 1);
    for delay_ms in [30_000, 60_000, 120_000] {
        let attempt = desk.send().remove(0);
        desk.end(&attempt, FAILED);
        desk.now_ms += delay_ms;
    }
    let last = desk.send().remove(0);
    assert_eq!(desk.end(&last, FAILED).fate, Fate::Disable(Reason::Exhausted));
    desk.scheduler.set_standing(EndpointNo(0), Standing::Running);
    assert_eq!(desk.send()[0].tries, Tries { attempts: 4, failures: 0, arrivals: 0 });
}

/// The endpoint takes everything but the first notification, over a restart.
#[test]
fn one_that_is_never_taken_is_given_up_alone_while_others_arrive() {
    let mut desk = Desk::new(1, Order::PerDeposit, 5);
    for delay_ms in [30_000, 60_000, 120_000] {
        let attempts = desk.send();
        assert_eq!(attempts[0].position, 1);
        desk.end(&attempts[0], FAILED);
        desk.end_all(&attempts[1..], WELL);
        let through = desk.scheduler.cursor(EndpointNo(0)).clone();
        let (open, retries) = (through.open().clone(), through.retries().clone());
        let cursor = Cursor::restore(through.dispatched_through(), open, retries).with_arrivals(through.arrivals());
        desk.scheduler = Scheduler::default();
        desk.scheduler.add(terms(Order::PerDeposit), Standing::Running, cursor, 0);
        desk.now_ms += delay_ms;
    }
    let last = desk.send().remove(0);
    assert_eq!((last.position, last.tries.arrivals), (1, 0));
    assert_eq!(desk.end(&last, FAILED).fate, Fate::GivenUp);
    assert_eq!(desk.scheduler.standing(EndpointNo(0)), Standing::Running);
    assert_eq!(positions(&desk.send()), [5], "what waited for it goes on");
    desk.scheduler.resend(EndpointNo(0), &[1], desk.now_ms);
    assert_eq!(positions(&desk.send()), [1], "whoever wants it gets it again");
}

#[test]
fn with_an_order_a_deposits_next_waits_for_the_one_before_and_others_go_on() {
    let mut desk = Desk::new(1, Order::PerDeposit, 12);
    let attempts = desk.send();
    assert_eq!(positions(&attempts), [1, 2, 3, 4]);
    desk.end(&attempts[0], FAILED);
    desk.end_all(&attempts[1..], WELL);
    let attempts = desk.send();
    assert_eq!(positions(&attempts), [6, 7, 8]);
    desk.end_all(&attempts, WELL);
    let attempts = desk.send();
    desk.end_all(&attempts, WELL);
    desk.now_ms += 30_000;
    assert_eq!(positions(&desk.send()), [1]);
}

/// However many wait for one that failed, it is sent again when it is due.
#[test]
fn with_an_order_what_waits_for_a_retry_does_not_keep_it_from_being_sent() {
    let mut desk = Desk::new(1, Order::PerDeposit, 4_000);
    let first = desk.send();
    desk.end_all(&first, FAILED);
    assert_eq!(desk.send(), [], "the others wait for these");
    desk.now_ms += 30_000;
    let mut again = positions(&desk.send());
    again.sort_unstable();
    assert_eq!(again, positions(&first));
}

#[test]
fn hanging_endpoints_leave_three_quarters_of_the_places_to_the_others() {
    let mut desk = Desk::new(300, Order::Free, 1_000);
    let hanging = desk.send();
    assert_eq!(hanging.len(), SLOW_IN_FLIGHT_MAX as usize);
    let healthy = desk.scheduler.add(terms(Order::Free), Standing::Running, Cursor::default(), 0);
    assert_eq!(desk.send(), [], "nobody knows yet that it answers");
    desk.end(&hanging[0], WELL);
    let sent = desk.send();
    assert!(sent.iter().any(|attempt| attempt.endpoint == hanging[0].endpoint));
    assert!(sent.iter().filter(|attempt| attempt.endpoint == healthy).count() <= 1);
}

#[test]
fn an_endpoint_that_stops_answering_moves_to_the_slow_ones() {
    let mut desk = Desk::new(1, Order::Free, 1_000);
    let first = desk.send();
    desk.end_all(&first, WELL);
    let hanging = desk.send();
    assert_eq!((desk.scheduler.in_flight, desk.scheduler.slow_in_flight), (hanging.len() as u32, 0));
    desk.now_ms += SLOW_MS + 1;
    assert_eq!(desk.scheduler.wake_ms(), Some(desk.now_ms));
    desk.scheduler.advance(desk.now_ms);
    assert_eq!(desk.scheduler.slow_in_flight, hanging.len() as u32);
    desk.end_all(&hanging, WELL);
    assert_eq!((desk.scheduler.in_flight, desk.scheduler.slow_in_flight), (0, 0));
}

#[test]
fn what_a_process_that_ended_had_open_is_unknown_and_sent_again() {
    let open = |attempts| Open { tries: Tries { attempts, failures: 0, arrivals: 0 }, key: None };
    let cursor = Cursor::restore(9, [(4, open(0)), (7, open(2))], []);
    let mut desk = Desk::new(0, Order::Free, 9);
    let endpoint = desk.scheduler.add(terms(Order::Free), Standing::Running, cursor, 0);
    let unknown: Vec<_> =
        desk.scheduler.unknown(endpoint).map(|(position, tries)| (position, tries.attempts)).collect();
    assert_eq!(unknown, [(4, 1), (7, 3)]);
    let mut again = positions(&desk.send());
    again.sort_unstable();
    assert_eq!(again, [4, 7]);
}

#[test]
fn a_pause_that_was_asked_for_outlives_the_process() {
    let mut desk = Desk::new(1, Order::Free, 9);
    let first = desk.send().remove(0);
    let asked_ms = NOW + 90_000;
    desk.end(&first, Outcome::Answered { status: 429, retry_after_ms: Some(asked_ms), directive: None });
    let change = desk.scheduler.take_changes().remove(0);
    assert_eq!(change.closed_until_ms, asked_ms);
    let mut next = Desk::new(0, Order::Free, 9);
    let cursor = Cursor::restore(change.dispatched_through, change.open, []);
    next.scheduler.add(terms(Order::Free), change.standing, cursor, change.closed_until_ms);
    assert_eq!((next.send(), next.scheduler.wake_ms()), (vec![], Some(asked_ms)));
    next.now_ms = asked_ms;
    assert!(!next.send().is_empty());
}

#[test]
fn how_an_endpoint_does_can_be_seen() {
    let mut desk = Desk::new(1, Order::Free, 9);
    let attempts = desk.send();
    desk.end(&attempts[0], FAILED);
    let View { standing, acked_through, dispatched_through, open, retries, next_due_ms, in_flight, at_once, .. } =
        desk.scheduler.view(EndpointNo(0));
    assert_eq!((standing, acked_through, dispatched_through), (Standing::Running, 0, 9));
    assert_eq!((open, retries, next_due_ms, in_flight, at_once), (8, 1, Some(NOW + 30_000), 3, 4));
}

#[test]
fn a_removed_endpoint_gets_nothing_and_what_is_under_way_ends() {
    let mut desk = Desk::new(1, Order::Free, 10);
    let attempts = desk.send();
    desk.scheduler.set_standing(EndpointNo(0), Standing::Removed);
    assert_eq!(desk.scheduler.take_changes().len(), 1);
    desk.scheduler.committed();
    desk.end_all(&attempts, FAILED);
    assert_eq!(desk.scheduler.take_changes(), [], "it may have come back under another number");
    desk.scheduler.committed();
    desk.now_ms += 1_000_000;
    assert_eq!((desk.send(), desk.scheduler.in_flight), (vec![], 0));
}

#[test]
fn a_replay_sends_what_was_settled_once_more() {
    let mut desk = Desk::new(1, Order::Free, 3);
    let attempts = desk.send();
    desk.end_all(&attempts, WELL);
    desk.scheduler.move_cursor(EndpointNo(0), 1);
    assert_eq!(positions(&desk.send()), [2, 3]);
    desk.scheduler.resend(EndpointNo(0), &[1], NOW);
    assert_eq!(positions(&desk.send()), [1]);
}

fn passing(desk: &mut Desk, through: Position) -> Vec<Change> {
    desk.scheduler.pass(EndpointNo(0), through);
    let changes = desk.scheduler.take_changes();
    desk.scheduler.committed();
    changes
}

#[test]
fn what_is_only_passed_over_is_stored_seldom_and_with_the_next_change() {
    let mut desk = Desk::new(1, Order::Free, 0);
    desk.store();
    let stored = (1..=10 * PASSED_MAX).filter(|through| !passing(&mut desk, *through).is_empty()).count();
    assert_eq!(stored, 10);
    let through = 10 * PASSED_MAX + 7;
    assert!(passing(&mut desk, through).is_empty());
    desk.scheduler.claim(EndpointNo(0), through + 1, None, 0);
    assert_eq!(desk.scheduler.take_changes()[0].dispatched_through, through + 1);
    desk.scheduler.committed();
}

#[test]
fn an_orderly_end_stores_what_was_passed_over() {
    let mut desk = Desk::new(2, Order::Free, 0);
    desk.store();
    assert!(passing(&mut desk, 9).is_empty());
    desk.scheduler.release_unsent(NOW);
    let changes = desk.scheduler.take_changes();
    assert_eq!(changes.iter().map(|change| change.dispatched_through).collect::<Vec<_>>(), [9]);
}

#[test]
fn many_that_pass_over_the_same_are_not_stored_at_once() {
    let mut desk = Desk::new(1_000, Order::Free, 0);
    desk.store();
    let mut most = 0;
    for through in (0..=PASSED_MAX).step_by(64) {
        (0..1_000).for_each(|number| desk.scheduler.pass(EndpointNo(number), through));
        most = most.max(desk.scheduler.take_changes().len());
        desk.scheduler.committed();
    }
    assert!(most < 100, "{most}");
}
