//! Where a partition is read between two questions: what is asked next, and after how long.

use std::time::Duration;

use super::super::queue::Portion;
use super::{AGAIN, AGAIN_MAX, RESTS};

/// How often something has to be unreadable before it is passed over. Behind what was passed over once is enough: a batch
/// that cannot be read has many records.
const UNREADABLE_MAX: u32 = 5;
/// After so many in a row each further one is passed over only after a pause: it may be the disk that is bad, for a while.
const PASSED_AT_ONCE: u64 = 16;

/// Where a partition is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    /// Which one.
    pub(super) partition: i32,
    /// The offset that is read next.
    pub(super) next: i64,
    /// How much is asked for.
    pub(super) portion: Portion,
    /// How long it is left alone before.
    pub(super) rests: Duration,
    /// How many offsets before this one were passed over, one after the other.
    pub(super) passed: u64,
    unreadable: u32,
}

/// What to do about an answer that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask again.
    Again(At),
    /// Pass it over and go on there.
    PassOver(At),
}

impl At {
    pub(super) fn new(partition: i32, next: i64) -> Self {
        let (portion, rests) = (Portion::Usual, Duration::ZERO);
        Self { partition, next, portion, rests, passed: 0, unreadable: 0 }
    }

    /// There was nothing.
    pub(super) fn found_nothing(self) -> Self {
        Self { rests: RESTS, ..Self::new(self.partition, self.next) }
    }

    /// The queue has no such offset, and another one is read.
    pub(super) fn moved(self, next: i64) -> Self {
        Self { rests: AGAIN, ..Self::new(self.partition, next) }
    }

    /// The question failed: it is asked again, after twice as long each time.
    pub(super) fn failed(self) -> Self {
        Self { rests: (self.rests * 2).clamp(AGAIN, AGAIN_MAX), ..self }
    }

    /// The answer cannot be read. Asked for less, the queue hands out what is before it.
    pub(super) fn unreadable(self) -> Step {
        let unreadable = self.unreadable + 1;
        if unreadable >= UNREADABLE_MAX {
            let (next, passed) = (self.next.saturating_add(1), self.passed + 1);
            let unreadable = UNREADABLE_MAX - 1;
            let rests = if passed > PASSED_AT_ONCE { AGAIN } else { Duration::ZERO };
            return Step::PassOver(Self { next, passed, unreadable, rests, ..self });
        }
        let again = Self { unreadable, portion: Portion::Least, ..self };
        Step::Again(match self.portion {
            Portion::Usual => Self { rests: Duration::ZERO, ..again },
            Portion::Least => again.failed(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks until it is passed over; says where that ended, how often it was asked, and for how long it was left alone.
    fn passed_over(mut at: At) -> (At, u32, Duration) {
        let mut left_alone = Duration::ZERO;
        for asked in 1..100 {
            match at.unreadable() {
                Step::Again(again) => at = again,
                Step::PassOver(behind) => return (behind, asked, left_alone),
            }
            left_alone += at.rests;
        }
        panic!("it is never passed over");
    }

    #[test]
    fn what_cannot_be_read_is_asked_for_alone_and_a_while_later_before_it_is_passed_over() {
        let at = At::new(3, 7);
        assert_eq!(at.unreadable(), Step::Again(At { portion: Portion::Least, unreadable: 1, ..at }));
        let (behind, asked, left_alone) = passed_over(at);
        assert_eq!((behind.partition, behind.next, behind.passed, asked), (3, 8, 1, UNREADABLE_MAX));
        assert_eq!(left_alone, Duration::from_millis(500 + 1_000 + 2_000));
        let (behind, asked, left_alone) = passed_over(behind);
        assert_eq!((behind.next, behind.passed, asked, left_alone), (9, 2, 1, Duration::ZERO), "the same batch");
    }

    #[test]
    fn a_long_row_is_passed_over_slowly() {
        let (mut at, ..) = passed_over(At::new(3, 0));
        while at.passed < PASSED_AT_ONCE {
            (at, ..) = passed_over(at);
            assert_eq!(at.rests, Duration::ZERO);
        }
        for _ in 0..4 {
            let passed = at.passed;
            (at, ..) = passed_over(at);
            assert_eq!((at.passed, at.rests), (passed + 1, AGAIN));
        }
    }

    #[test]
    fn whatever_is_read_begins_the_count_anew() {
        let (behind, ..) = passed_over(At::new(3, 7));
        let Step::Again(nearly) = At::new(3, 8).unreadable() else { panic!("at once") };
        assert_eq!(behind.found_nothing(), At { rests: RESTS, ..At::new(3, 8) });
        assert_eq!(nearly.moved(2), At { rests: AGAIN, ..At::new(3, 2) });
    }

    #[test]
    fn a_question_that_fails_is_asked_again_after_at_most_half_a_minute() {
        let mut at = At::new(0, 0);
        let mut rests = Vec::new();
        for _ in 0..9 {
            at = at.failed();
            rests.push(at.rests.as_millis());
        }
        assert_eq!(rests, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(at.next, 0);
    }
}
