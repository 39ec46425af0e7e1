//! How often one endpoint is asked: evenly spaced requests, and a pause when the exchange says that it is too often.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How often each endpoint may be asked in a minute.
pub type RequestsPerMinute = NonZeroU32;

/// A request that would have to wait longer is not sent at all.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// The first pause after the exchange said that it is asked too often; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_secs(2);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(120);

/// The pace of one endpoint.
#[derive(Debug)]
pub(super) struct Pace {
    /// The time from one request to the next; zero for no limit.
    gap: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing is sent before this.
    next: Option<Instant>,
    /// How often in a row the exchange said that it is asked too often.
    refusals: u32,
}

/// There is no room for a request soon enough.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Pace {
    /// A pace; without a limit when there is none.
    pub(super) fn new(limit: Option<RequestsPerMinute>) -> Self {
        let gap = limit.map_or(Duration::ZERO, |limit| Duration::from_secs(60) / limit.get());
        Self { gap, state: Mutex::default() }
    }

    /// Waits for this request's turn.
    pub(super) async fn turn(&self) -> Result<(), NoRoom> {
        let turn = self.take_turn(Instant::now())?;
        sleep_until(turn).await;
        Ok(())
    }

    /// The exchange answered, and not that it is asked too often.
    pub(super) fn accepted(&self) {
        self.state().refusals = 0;
    }

    /// The exchange said that it is asked too often, and perhaps for how long to leave it alone.
    pub(super) fn refused(&self, retry_after: Option<Duration>) {
        let mut state = self.state();
        let pause = PAUSE_FIRST.saturating_mul(1 << state.refusals.min(8)).min(PAUSE_MAX);
        state.refusals = state.refusals.saturating_add(1);
        let until = Instant::now() + pause.max(retry_after.unwrap_or_default().min(PAUSE_MAX));
        state.next = state.next.max(Some(until));
    }

    fn take_turn(&self, now: Instant) -> Result<Instant, NoRoom> {
        let mut state = self.state();
        let turn = state.next.map_or(now, |next| next.max(now));
        if turn - now > WAIT_MAX {
            return Err(NoRoom);
        }
        state.next = Some(turn + self.gap);
        Ok(turn)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X6: requests are spaced before the exchange has to say so.
    #[tokio::test(start_paused = true)]
    async fn requests_are_spaced_evenly_and_nobody_queues_for_long() {
        let (pace, began) = (Pace::new(NonZeroU32::new(60)), Instant::now());
        for second in 0..3 {
            pace.turn().await.unwrap();
            assert_eq!(began.elapsed().as_secs(), second);
        }
        let now = Instant::now();
        let queued = std::iter::from_fn(|| pace.take_turn(now).ok()).count();
        assert_eq!(queued, 20);
    }

    /// X6: each pause is longer, and no shorter than the exchange asked for.
    #[tokio::test(start_paused = true)]
    async fn an_exchange_that_is_asked_too_often_is_left_alone_longer_each_time() {
        let (pace, began) = (Pace::new(None), Instant::now());
        pace.refused(None);
        pace.turn().await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        pace.refused(None);
        pace.turn().await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(6));
        pace.accepted();
        pace.refused(Some(Duration::from_secs(10)));
        pace.turn().await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(16));
    }
}
