//! A subscription's place among the notifications: what was claimed, what of it is under way, what is to be tried again.
//!
//! Whatever stands at or before [`Cursor::dispatched_through`] was claimed. Of that, what is *open* is under way or about to be
//! sent, and what is a *retry* waits for its time; everything else is settled. So the state is small however long the log
//! is, and replaying means to move the cursor back. A million retries take about 80 MiB.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

/// A notification's position in the log; the first is 1.
pub type Position = u64;

/// What notifications of one deposit have in common; two deposits may share one by accident, which only delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OrderKey(pub NonZeroU64);

impl OrderKey {
    /// The key with this number; none for 0.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// Its number.
    pub fn number(self) -> u64 {
        self.0.get()
    }
}

/// How often something was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tries {
    /// Attempts that were made.
    pub attempts: u16,
    /// How many of the schedule's failures that were.
    pub failures: u16,
    /// How many others had arrived at the endpoint when it failed first; says nothing before that.
    pub arrivals: u64,
}

/// What waits to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Not before this time, in milliseconds since 1970.
    pub not_before_ms: u64,
    /// How often it was tried.
    pub tries: Tries,
    /// What it has in common with others that wait for it.
    pub key: Option<OrderKey>,
}

/// What is under way or about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// How often it was tried before.
    pub tries: Tries,
    /// What it has in common with others that wait for it.
    pub key: Option<OrderKey>,
}

/// The place of one subscription.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    dispatched_through: Position,
    open: BTreeMap<Position, Open>,
    retries: BTreeMap<Position, Pending>,
    /// The same by time.
    due: BTreeSet<(u64, Position)>,
    /// What became of which retries since that was last asked: where one stands now, or that there is none.
    moved: BTreeMap<Position, Option<Pending>>,
    arrivals: u64,
}

impl Cursor {
    /// A cursor as it was stored.
    pub fn restore(
        dispatched_through: Position,
        open: impl IntoIterator<Item = (Position, Open)>,
        retries: impl IntoIterator<Item = (Position, Pending)>,
    ) -> Self {
        let retries: BTreeMap<_, _> = retries.into_iter().collect();
        let due = retries.iter().map(|(position, pending)| (pending.not_before_ms, *position)).collect();
        let (open, moved) = (open.into_iter().collect(), BTreeMap::new());
        Self { dispatched_through, open, retries, due, moved, arrivals: 0 }
    }

    /// The same at an endpoint where so many arrived.
    pub fn with_arrivals(self, arrivals: u64) -> Self {
        Self { arrivals, ..self }
    }

    /// The same for a log that ends here: what lies beyond is of a log that was put back since, and is not owed.
    pub fn within(mut self, head: Position) -> Self {
        self.dispatched_through = self.dispatched_through.min(head);
        let beyond: Vec<_> = self.open.keys().chain(self.retries.keys()).copied().filter(|at| *at > head).collect();
        for position in beyond {
            self.open.remove(&position);
            if let Some(pending) = self.retries.remove(&position) {
                self.due.remove(&(pending.not_before_ms, position));
            }
            self.moved.insert(position, None);
        }
        self
    }

    /// The last position that was claimed or passed over.
    pub fn dispatched_through(&self) -> Position {
        self.dispatched_through
    }

    /// The last position before which, itself included, everything is settled.
    pub fn acked_through(&self) -> Position {
        let first_open = self.open.first_key_value().map(|(position, _)| *position);
        let first_retry = self.retries.first_key_value().map(|(position, _)| *position);
        let first_owed = first_open.into_iter().chain(first_retry).min();
        first_owed.map_or(self.dispatched_through, |owed| self.dispatched_through.min(owed - 1))
    }

    /// How many arrived at the endpoint.
    pub fn arrivals(&self) -> u64 {
        self.arrivals
    }

    /// What is under way or about to be sent.
    pub fn open(&self) -> &BTreeMap<Position, Open> {
        &self.open
    }

    /// What waits to be sent again.
    pub fn retries(&self) -> &BTreeMap<Position, Pending> {
        &self.retries
    }

    /// When the first retry is due, in milliseconds since 1970.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.due.first().map(|(due_ms, _)| *due_ms)
    }

    /// Takes what changed among the retries since the last time: each as it stands, or `None` when it waits no more.
    pub fn take_moved(&mut self) -> BTreeMap<Position, Option<Pending>> {
        std::mem::take(&mut self.moved)
    }

    /// Claims the next notification that the subscription wants. Not when it is owed already, as after a replay.
    #[must_use]
    pub(super) fn claim(&mut self, position: Position, key: Option<OrderKey>) -> bool {
        self.pass(position);
        let is_owed = self.open.contains_key(&position) || self.retries.contains_key(&position);
        if !is_owed {
            self.open.insert(position, Open { tries: Tries::default(), key });
        }
        !is_owed
    }

    /// Passes over notifications up to this position that the subscription does not want.
    pub(super) fn pass(&mut self, through: Position) {
        self.dispatched_through = self.dispatched_through.max(through);
    }

    /// Claims the retry that was due first, if its time has come.
    pub(super) fn claim_due(&mut self, now_ms: u64) -> Option<(Position, Open)> {
        let (due_ms, position) = *self.due.first()?;
        if due_ms > now_ms {
            return None;
        }
        let pending = self.forget_retry(position).expect("what is due is a retry");
        let open = Open { tries: pending.tries, key: pending.key };
        self.open.insert(position, open);
        Some((position, open))
    }

    /// Counts an attempt at each that is open, of which nothing is known, and returns them.
    pub(super) fn note_unknown(&mut self) -> Vec<(Position, Open)> {
        for open in self.open.values_mut() {
            open.tries.attempts = open.tries.attempts.saturating_add(1);
        }
        self.open.iter().map(|(position, open)| (*position, *open)).collect()
    }

    /// It arrived, so nothing is owed of it any more.
    pub(super) fn arrive(&mut self, position: Position) {
        self.arrivals = self.arrivals.saturating_add(1);
        self.settle(position);
    }

    /// Nothing is owed of this one any more.
    pub(super) fn settle(&mut self, position: Position) {
        self.open.remove(&position);
    }

    /// What was under way waits to be sent again.
    pub(super) fn postpone(&mut self, position: Position, pending: Pending) {
        self.open.remove(&position);
        self.forget_retry(position);
        self.retries.insert(position, pending);
        self.due.insert((pending.not_before_ms, position));
        self.moved.insert(position, Some(pending));
    }

    /// Moves to where `through` is the last that was dispatched; what is owed stays owed.
    pub(super) fn move_to(&mut self, through: Position) {
        self.dispatched_through = through;
    }

    /// Owes a notification once more, at once; one that waits comes at once, one under way stays as it is.
    pub(super) fn resend(&mut self, position: Position, now_ms: u64) {
        if position > self.dispatched_through || self.open.contains_key(&position) {
            return;
        }
        let waiting = self.retries.get(&position);
        let tries = Tries { failures: 0, ..waiting.map_or_else(Tries::default, |pending| pending.tries) };
        let key = waiting.and_then(|pending| pending.key);
        self.postpone(position, Pending { not_before_ms: now_ms, tries, key });
    }

    fn forget_retry(&mut self, position: Position) -> Option<Pending> {
        let pending = self.retries.remove(&position)?;
        self.due.remove(&(pending.not_before_ms, position));
        self.moved.insert(position, None);
        Some(pending)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pending(not_before_ms: u64) -> Pending {
        Pending { not_before_ms, tries: Tries { attempts: 1, failures: 1, arrivals: 0 }, key: None }
    }

    fn with_claimed(positions: &[Position]) -> Cursor {
        let mut cursor = Cursor::default();
        for position in positions {
            assert!(cursor.claim(*position, None));
        }
        cursor
    }

    #[test]
    fn of_a_log_that_was_put_back_nothing_beyond_its_head_is_owed() {
        let pending = Pending { not_before_ms: 100, tries: Tries::default(), key: None };
        let open = [(3, Open { tries: Tries::default(), key: None }), (8, Open { tries: Tries::default(), key: None })];
        let mut cursor = Cursor::restore(10, open, [(4, pending), (9, pending)]).within(5);
        assert_eq!(cursor.dispatched_through(), 5);
        assert_eq!((cursor.open().len(), cursor.retries().len()), (1, 1));
        assert_eq!(cursor.claim_due(100).map(|(position, _)| position), Some(4));
        assert_eq!(cursor.claim_due(100).map(|(position, _)| position), None);
        assert_eq!(cursor.take_moved(), BTreeMap::from([(4, None), (8, None), (9, None)]));
    }

    #[test]
    fn everything_before_the_first_that_is_owed_is_acknowledged() {
        let mut cursor = with_claimed(&[2, 3, 5]);
        cursor.pass(9);
        assert_eq!((cursor.acked_through(), cursor.dispatched_through()), (1, 9));
        cursor.settle(2);
        cursor.postpone(3, pending(100));
        assert_eq!(cursor.acked_through(), 2);
        cursor.settle(5);
        assert_eq!(cursor.claim_due(100).map(|(position, _)| position), Some(3));
        cursor.settle(3);
        assert_eq!(cursor.acked_through(), 9);
    }

    #[test]
    fn a_retry_comes_when_it_is_due_and_not_before() {
        let mut cursor = with_claimed(&[1, 2]);
        cursor.postpone(1, pending(200));
        cursor.postpone(2, pending(100));
        assert_eq!((cursor.next_due_ms(), cursor.claim_due(99)), (Some(100), None));
        assert_eq!(cursor.claim_due(300).map(|(position, _)| position), Some(2));
        assert_eq!(cursor.claim_due(300).map(|(position, _)| position), Some(1));
    }

    #[test]
    fn a_replay_does_not_double_what_is_owed() {
        let mut cursor = with_claimed(&[1, 2, 3]);
        cursor.postpone(2, pending(100));
        cursor.settle(3);
        cursor.move_to(0);
        let claimed: Vec<_> = (1..=3).filter(|position| cursor.claim(*position, None)).collect();
        assert_eq!(claimed, [3]);
    }

    #[test]
    fn one_can_be_sent_again_at_once_whether_it_is_settled_or_waits() {
        let mut cursor = with_claimed(&[1, 2]);
        cursor.settle(1);
        cursor.postpone(2, pending(1_000));
        cursor.resend(1, 50);
        cursor.resend(2, 50);
        cursor.resend(3, 50);
        let due: Vec<_> = std::iter::from_fn(|| cursor.claim_due(50)).collect();
        let tries: Vec<_> = due.iter().map(|(position, open)| (*position, open.tries.attempts)).collect();
        assert_eq!(tries, [(1, 0), (2, 1)]);
    }

    #[test]
    fn what_changed_among_the_retries_is_told_once() {
        let mut cursor = with_claimed(&[1, 2]);
        cursor.postpone(1, pending(100));
        cursor.postpone(2, pending(200));
        cursor.claim_due(100);
        assert_eq!(cursor.take_moved(), BTreeMap::from([(1, None), (2, Some(pending(200)))]));
        assert!(cursor.take_moved().is_empty());
    }

    proptest! {
        /// Whatever happens, each position is open, a retry, or settled, and what is stored is enough to go on.
        #[test]
        fn a_restored_cursor_owes_the_same(steps in proptest::collection::vec((0..4u8, 0..40u64), 0..200)) {
            let mut cursor = Cursor::default();
            for (step, number) in steps {
                let nth_open = |cursor: &Cursor| cursor.open().keys().nth(number as usize % 8).copied();
                match step {
                    0 => assert!(cursor.claim(cursor.dispatched_through() + 1 + number % 3, None)),
                    1 => drop(cursor.claim_due(number)),
                    2 => nth_open(&cursor).into_iter().for_each(|position| cursor.settle(position)),
                    _ => nth_open(&cursor).into_iter().for_each(|position| cursor.postpone(position, pending(number))),
                }
                prop_assert!(cursor.open.keys().all(|position| !cursor.retries.contains_key(position)));
                prop_assert_eq!(cursor.due.len(), cursor.retries.len());
            }
            let open = cursor.open.clone();
            let again = Cursor::restore(cursor.dispatched_through(), open, cursor.retries.clone());
            prop_assert_eq!(again.acked_through(), cursor.acked_through());
            prop_assert_eq!(again.next_due_ms(), cursor.next_due_ms());
        }
    }
}
