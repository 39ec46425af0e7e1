//! Whether the receiver behind an address holds the subscription's secret: when it is asked, and what its answers mean.
//!
//! A round is one question and, after trouble that may pass, up to four more of them. A subscription is asked once before its
//! first notification and then daily. What a question looks like is [`crate::webhook::challenge`]'s business. Times are in
//! milliseconds since 1970 and come in, as does the jitter.

/// How often a question is put again in one round.
pub const RETRIES_MAX: u32 = 4;
/// How long the first repetition waits, in milliseconds; each later one twice as long.
pub const FIRST_DELAY_MS: u64 = 30_000;
/// Jitter stays below this, in milliseconds.
pub const JITTER_MS_MAX: u64 = 1_000;
/// How long a passed check holds, in milliseconds.
pub const REPEAT_MS: u64 = 24 * 3_600_000;
/// How many rounds in a row may fail, of a subscription that passed once, before it is paused.
pub const FAILED_ROUNDS_MAX: u32 = 3;

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Status 200, and the right body.
    Right,
    /// Status 200, and another body.
    Wrong,
    /// Another status.
    Status(u16),
    /// No answer: no connection, a broken one, or too late.
    Network,
}

/// Why a round failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The receiver does not hold the secret.
    #[error("the receiver answered the ownership check with something else than the secret makes of it")]
    WrongAnswer,
    /// A status that does not pass with time.
    #[error("the receiver answered the ownership check with status {0}")]
    Status(u16),
    /// Trouble that could have passed, and did not.
    #[error("the receiver could not be reached for the ownership check")]
    Unreachable,
}

/// What an answer led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is asked again in the same round.
    AskedAgain,
    /// The receiver holds the secret.
    Passed,
    /// The round failed; notifications go on, since it passed before, and it is asked again in a day.
    Doubtful(Failure),
    /// The first round failed: no notification is sent until somebody asks for another one.
    Refused(Failure),
    /// One round too many failed: no notification is sent until somebody asks for another one.
    Paused(Failure),
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Put the question, with a token that was never used.
    Ask,
    /// Nothing before this time.
    WaitUntil(u64),
    /// Nothing before an answer.
    AwaitAnswer,
    /// Nothing before somebody asks for it.
    Nothing,
}

/// The check of one subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    standing: Standing,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Unproved,
    Proved { failed_rounds: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The next question, of which so many in this round failed, is due at a time.
    Due {
        at_ms: u64,
        failed: u32,
    },
    Asked {
        failed: u32,
    },
    Stopped,
}

impl Check {
    /// Of a subscription that was never asked.
    pub fn first(now_ms: u64) -> Self {
        Self { standing: Standing::Unproved, state: State::Due { at_ms: now_ms, failed: 0 } }
    }

    /// Of one that passed at a time before this process began.
    pub fn passed_before(passed_at_ms: u64) -> Self {
        let state = State::Due { at_ms: passed_at_ms.saturating_add(REPEAT_MS), failed: 0 };
        Self { standing: Standing::Proved { failed_rounds: 0 }, state }
    }

    /// Begins a round now: somebody asked for it, or the address changed (and then the receiver has proved nothing).
    pub fn again(&mut self, now_ms: u64) {
        *self = Self::first(now_ms);
    }

    /// Whether notifications may be sent.
    pub fn may_send(&self) -> bool {
        matches!(self.standing, Standing::Proved { .. }) && self.state != State::Stopped
    }

    /// Whether it is asked no more until somebody asks for it.
    pub fn is_over(&self) -> bool {
        self.state == State::Stopped
    }

    /// What to do at this time.
    pub fn poll(&mut self, now_ms: u64) -> Step {
        match self.state {
            State::Due { at_ms, .. } if at_ms > now_ms => Step::WaitUntil(at_ms),
            State::Due { failed, .. } => {
                self.state = State::Asked { failed };
                Step::Ask
            }
            State::Asked { .. } => Step::AwaitAnswer,
            State::Stopped => Step::Nothing,
        }
    }

    /// Takes an answer; `None` when nothing was asked. Of `jitter_ms` only what is below [`JITTER_MS_MAX`] counts.
    pub fn answered(&mut self, answer: Answer, now_ms: u64, jitter_ms: u64) -> Option<Outcome> {
        let State::Asked { failed } = self.state else { return None };
        if answer == Answer::Right {
            *self = Self::passed_before(now_ms);
            return Some(Outcome::Passed);
        }
        if may_pass(answer) && failed < RETRIES_MAX {
            let at_ms = now_ms + (FIRST_DELAY_MS << failed) + jitter_ms % JITTER_MS_MAX;
            self.state = State::Due { at_ms, failed: failed + 1 };
            return Some(Outcome::AskedAgain);
        }
        Some(self.fail(failure(answer), now_ms))
    }

    fn fail(&mut self, failure: Failure, now_ms: u64) -> Outcome {
        let Standing::Proved { failed_rounds } = &mut self.standing else {
            self.state = State::Stopped;
            return Outcome::Refused(failure);
        };
        *failed_rounds += 1;
        if *failed_rounds >= FAILED_ROUNDS_MAX {
            self.state = State::Stopped;
            return Outcome::Paused(failure);
        }
        self.state = State::Due { at_ms: now_ms + REPEAT_MS, failed: 0 };
        Outcome::Doubtful(failure)
    }
}

/// Statuses that say that the server, not the answer, is the trouble.
fn may_pass(answer: Answer) -> bool {
    match answer {
        Answer::Network => true,
        Answer::Status(status) => matches!(status, 408 | 413 | 429 | 500 | 502 | 503 | 504 | 521 | 522 | 524),
        Answer::Right | Answer::Wrong => false,
    }
}

fn failure(answer: Answer) -> Failure {
    match answer {
        Answer::Status(status) => Failure::Status(status),
        Answer::Network => Failure::Unreachable,
        Answer::Wrong | Answer::Right => Failure::WrongAnswer,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn ask(check: &mut Check, now_ms: u64, answer: Answer) -> Outcome {
        assert_eq!(check.poll(now_ms), Step::Ask);
        check.answered(answer, now_ms, 0).expect("it was asked")
    }

    /// Goes through a whole round of trouble and says when it was asked.
    fn troubled_round(check: &mut Check, begin_ms: u64) -> (Vec<u64>, Outcome) {
        let (mut now_ms, mut asked) = (begin_ms, Vec::new());
        loop {
            asked.push(now_ms - begin_ms);
            let outcome = ask(check, now_ms, Answer::Network);
            if outcome != Outcome::AskedAgain {
                return (asked, outcome);
            }
            let Step::WaitUntil(at_ms) = check.poll(now_ms) else { panic!("it waits") };
            now_ms = at_ms;
        }
    }

    fn passed() -> Check {
        let mut check = Check::first(NOW);
        assert_eq!(ask(&mut check, NOW, Answer::Right), Outcome::Passed);
        check
    }

    #[test]
    fn a_receiver_that_answers_right_is_asked_again_in_a_day() {
        let mut check = passed();
        assert!(check.may_send());
        assert_eq!(check.poll(NOW + 1), Step::WaitUntil(NOW + REPEAT_MS));
        assert_eq!(check.poll(NOW + REPEAT_MS), Step::Ask);
    }

    #[test]
    fn trouble_is_waited_out_four_times_and_twice_as_long_each_time() {
        let (asked, outcome) = troubled_round(&mut Check::first(NOW), NOW);
        assert_eq!(asked, [0, 30_000, 90_000, 210_000, 450_000]);
        assert_eq!(outcome, Outcome::Refused(Failure::Unreachable));
    }

    #[test]
    fn a_wrong_answer_fails_at_once() {
        let mut check = Check::first(NOW);
        assert_eq!(ask(&mut check, NOW, Answer::Wrong), Outcome::Refused(Failure::WrongAnswer));
        assert_eq!((check.may_send(), check.poll(NOW + REPEAT_MS)), (false, Step::Nothing));
        check.again(NOW);
        assert_eq!(check.poll(NOW), Step::Ask);
    }

    #[test]
    fn only_statuses_that_may_pass_are_waited_out() {
        for status in 0..1_000 {
            let outcome = ask(&mut Check::first(NOW), NOW, Answer::Status(status));
            let passes = [408, 413, 429, 500, 502, 503, 504, 521, 522, 524].contains(&status);
            let refused = Outcome::Refused(Failure::Status(status));
            assert_eq!(outcome, if passes { Outcome::AskedAgain } else { refused });
        }
    }

    #[test]
    fn three_failed_days_in_a_row_pause_a_receiver_that_passed_once() {
        let mut check = passed();
        let day = |number: u64| NOW + number * REPEAT_MS;
        assert_eq!(ask(&mut check, day(1), Answer::Wrong), Outcome::Doubtful(Failure::WrongAnswer));
        assert_eq!(ask(&mut check, day(2), Answer::Status(404)), Outcome::Doubtful(Failure::Status(404)));
        assert!(check.may_send());
        assert_eq!(ask(&mut check, day(3), Answer::Wrong), Outcome::Paused(Failure::WrongAnswer));
        assert!(!check.may_send());
    }

    #[test]
    fn a_day_that_passes_forgives_those_before() {
        let mut check = passed();
        for number in 1..20 {
            let answer = if number % 3 == 0 { Answer::Right } else { Answer::Wrong };
            ask(&mut check, NOW + number * REPEAT_MS, answer);
            assert!(check.may_send());
        }
    }

    #[test]
    fn an_answer_that_nobody_asked_for_changes_nothing() {
        let mut check = Check::first(NOW);
        assert_eq!(check.answered(Answer::Right, NOW, 0), None);
        assert_eq!(check, Check::first(NOW));
        assert_eq!((check.poll(NOW), check.poll(NOW)), (Step::Ask, Step::AwaitAnswer));
    }

    proptest! {
        #[test]
        fn jitter_only_delays_and_by_less_than_a_second(jitter_ms: u64) {
            let mut check = Check::first(NOW);
            check.poll(NOW);
            check.answered(Answer::Network, NOW, jitter_ms);
            let Step::WaitUntil(at_ms) = check.poll(NOW) else { panic!("it waits") };
            prop_assert!((30_000..31_000).contains(&(at_ms - NOW)));
        }
    }
}
