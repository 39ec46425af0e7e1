//! How far a sink is, and what follows from an attempt: a value that is stored whenever it changed.

use millrace_protocols::delivery::policy::{Chance, Schedule};
use millrace_protocols::delivery::verdict::{Fate, Outcome, Past, Reason, judge};
use uuid::Uuid;

use super::feed::{Place, Told};

/// By how much earlier a sink whose cursor the desk does not know begins again, in milliseconds: a clock may have been set back.
const MARGIN_MS: i64 = 600_000;
/// What is to be sent later than this from now was put off by a clock that was ahead, in milliseconds: nothing waits two days.
const AHEAD_MS_MAX: u64 = 2 * 24 * 3_600_000;
/// How much of an error is kept, in bytes.
const ERROR_BYTES_MAX: usize = 512;

/// How far a sink is. Everything before is settled: told, not wanted, or given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// From where it is read on.
    pub place: Place,
    /// The last one behind that place that is settled.
    pub last: Option<Uuid>,
    /// What is sent again.
    pub retry: Option<Retry>,
    /// Nothing is sent, and why.
    pub stopped: Option<Stopped>,
}

/// A notification that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Which.
    pub id: Uuid,
    /// How often it was sent.
    pub attempts: u16,
    /// How many of the schedule's failures that were.
    pub failures: u32,
    /// Not before this time, in milliseconds since 1970.
    pub not_before_ms: u64,
    /// What went wrong last.
    pub error: Option<String>,
}

/// Why nothing is sent to a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// There is no such receiver any more.
    Gone,
    /// It asked for it.
    Asked,
}

impl Stopped {
    /// Its word in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Asked => "asked",
        }
    }

    /// The one of a word.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Gone, Self::Asked].into_iter().find(|stopped| stopped.word() == word)
    }

    /// For a person.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Gone => "it was answered that there is no such receiver any more",
            Self::Asked => "the receiver asked to be told nothing any more",
        }
    }
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It arrived; on to the next.
    Delivered,
    /// It is sent no more, after so many attempts; on to the next.
    GivenUp {
        /// How often it was sent.
        attempts: u16,
    },
    /// It is sent again later, and nothing before it.
    Later,
    /// Nothing is sent any more.
    Stopped(Stopped),
}

impl Progress {
    /// That of a sink that is told everything from this time on (in milliseconds since 1970), or from the beginning.
    pub fn beginning(since_ms: Option<i64>) -> Self {
        Self { place: Place { cursor: String::new(), since_ms }, last: None, retry: None, stopped: None }
    }

    /// Which attempt at it the next one is, from 1.
    pub fn attempt(&self, id: Uuid) -> u16 {
        self.retry_of(id).map_or(0, |retry| retry.attempts).saturating_add(1)
    }

    /// Until when this one is not sent, if it has to wait.
    pub fn waits(&self, id: Uuid, now_ms: u64) -> Option<&Retry> {
        let latest_ms = now_ms.saturating_add(AHEAD_MS_MAX);
        self.retry_of(id).filter(|retry| retry.not_before_ms > now_ms && retry.not_before_ms <= latest_ms)
    }

    fn retry_of(&self, id: Uuid) -> Option<&Retry> {
        self.retry.as_ref().filter(|retry| retry.id == id)
    }

    /// This one is settled.
    pub fn settle(&mut self, told: &Told) {
        self.last = Some(told.outgoing.id);
        self.place.since_ms = Some(told.created_ms);
        self.retry = None;
    }

    /// All that was read behind its place is settled, and this is the place after it.
    pub fn turn_page(&mut self, cursor: String) {
        self.place.cursor = cursor;
        self.last = None;
    }

    /// The desk does not know its cursor: it was put back to an earlier copy of its log. What was told stays told, by the time at
    /// which the last one came about.
    pub fn begin_again(&mut self) {
        self.place.cursor = String::new();
        self.place.since_ms = self.place.since_ms.map(|since_ms| since_ms.saturating_sub(MARGIN_MS));
        self.last = None;
    }

    /// What follows from an attempt at this one that ended now.
    pub fn attempted(&mut self, told: &Told, (outcome, error): (Outcome, Option<&str>), now: Moment<'_>) -> Step {
        let attempts = self.attempt(told.outgoing.id);
        let failures = self.retry_of(told.outgoing.id).map_or(0, |retry| retry.failures);
        // Nothing is sent before it has arrived, so nothing can arrive meanwhile.
        let past = Past { failures, ..Past::default() };
        let verdict = judge(outcome, now.schedule, past, now.now_ms, now.chance);
        match verdict.fate {
            Fate::Delivered => {
                self.settle(told);
                Step::Delivered
            }
            Fate::Aborted | Fate::GivenUp | Fate::Disable(Reason::Exhausted) => {
                self.settle(told);
                Step::GivenUp { attempts }
            }
            Fate::Retry { not_before_ms } => {
                let (id, failures, error) = (told.outgoing.id, verdict.failures, error.map(excerpt));
                self.retry = Some(Retry { id, attempts, failures, not_before_ms, error });
                Step::Later
            }
            Fate::Disable(Reason::Gone) => self.stop(Stopped::Gone),
            Fate::Disable(Reason::Asked) => self.stop(Stopped::Asked),
        }
    }

    fn stop(&mut self, stopped: Stopped) -> Step {
        self.stopped = Some(stopped);
        Step::Stopped(stopped)
    }

    /// An operator wants it tried now, whatever it was.
    pub fn resume(&mut self) {
        self.stopped = None;
        self.retry = None;
    }
}

/// By what an attempt is judged.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'s> {
    /// In milliseconds since 1970.
    pub now_ms: u64,
    /// When what failed is sent again.
    pub schedule: &'s Schedule,
    /// Drawn for this judgement.
    pub chance: Chance,
}

/// As much of an error as is kept.
pub(super) fn excerpt(error: &str) -> String {
    error[..error.floor_char_boundary(ERROR_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use millrace_protocols::delivery::verdict::{Refusal, Trouble};

    use super::super::feed::told;
    use super::*;

    const DOWN: Outcome = Outcome::Failed(Trouble::Connect);

    fn attempted(progress: &mut Progress, outcome: Outcome, now_ms: u64) -> Step {
        let schedule = Schedule::listed(vec![1_000, 2_000]).unwrap();
        let now = Moment { now_ms, schedule: &schedule, chance: Chance(0) };
        progress.attempted(&told(7, 70_000_000), (outcome, Some("no connection")), now)
    }

    #[test]
    fn what_fails_waits_longer_each_time_and_is_given_up_in_the_end() {
        let mut progress = Progress::beginning(None);
        assert_eq!(attempted(&mut progress, DOWN, 10_000), Step::Later);
        let id = told(7, 0).outgoing.id;
        assert_eq!(progress.waits(id, 10_999).map(|retry| retry.not_before_ms), Some(11_000));
        assert!(progress.waits(id, 11_000).is_none() && progress.waits(Uuid::nil(), 0).is_none());
        assert_eq!(attempted(&mut progress, DOWN, 11_000), Step::Later);
        assert_eq!(progress.attempt(id), 3);
        assert_eq!(attempted(&mut progress, DOWN, 13_000), Step::GivenUp { attempts: 3 });
        assert_eq!((progress.last, &progress.retry), (Some(id), &None));
    }

    #[test]
    fn what_was_refused_is_given_up_at_once_and_what_arrived_is_settled() {
        for (outcome, expected) in
            [(Outcome::Refused(Refusal::Message), Step::GivenUp { attempts: 1 }), (Outcome::Accepted, Step::Delivered)]
        {
            let mut progress = Progress::beginning(Some(1));
            assert_eq!(attempted(&mut progress, outcome, 10_000), expected);
            assert_eq!(progress.place.since_ms, Some(70_000_000));
        }
    }

    #[test]
    fn a_receiver_that_is_gone_stops_the_sink_and_leaves_its_place() {
        let mut progress = Progress::beginning(None);
        let step = attempted(&mut progress, Outcome::Refused(Refusal::Receiver), 1);
        assert_eq!((step, progress.stopped, progress.last), (Step::Stopped(Stopped::Gone), Some(Stopped::Gone), None));
        progress.resume();
        assert_eq!(progress, Progress::beginning(None));
    }

    #[test]
    fn a_cursor_that_the_desk_does_not_know_is_replaced_by_a_time() {
        let mut progress = Progress::beginning(None);
        progress.settle(&told(1, 70_000_000));
        progress.turn_page("x".to_owned());
        progress.begin_again();
        let place = Place { cursor: String::new(), since_ms: Some(70_000_000 - MARGIN_MS) };
        assert_eq!((progress.place, progress.last), (place, None));
    }

    #[test]
    fn a_long_error_is_cut_between_letters() {
        assert_eq!(excerpt(&"ä".repeat(400)).len(), ERROR_BYTES_MAX);
    }
}
