//! The way between the desk and the world: requests take their time, and some of them, or of the answers, never arrive.
//!
//! What is sent arrives whether or not the sender still lives, so that a desk that crashed finds its last requests carried
//! out later on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long somebody waits for an answer that will not come.
const PATIENCE: Duration = Duration::from_secs(5);

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried<T> {
    /// It was answered.
    Answer(T),
    /// Turned away at the door: asked too often, or out of order. Nobody acted.
    TurnedAway,
    /// No answer. Whether anybody acted is not known.
    Lost,
}

/// How well the wire works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Everything arrives soon.
    Fair,
    /// So many of a thousand requests go wrong, one way or another.
    Foul {
        /// How many.
        per_mille: u32,
    },
}

/// The wire. It counts what passes, so that a crash can be timed by it.
pub struct Wire {
    inner: Mutex<Inner>,
    passed: watch::Sender<u64>,
}

struct Inner {
    chance: SmallRng,
    weather: Weather,
    under_way: JoinSet<()>,
}

#[derive(Debug, Clone, Copy)]
struct Fate {
    there: Duration,
    back: Duration,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Well,
    RequestLost,
    ReplyLost,
    TurnedAway,
}

impl Wire {
    /// A wire in fair weather.
    pub fn new(chance: SmallRng) -> Arc<Self> {
        let inner = Inner { chance, weather: Weather::Fair, under_way: JoinSet::new() };
        Arc::new(Self { inner: Mutex::new(inner), passed: watch::Sender::new(0) })
    }

    /// Changes the weather.
    pub fn turn(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// How often something left, or was done at the other end.
    pub fn passed(&self) -> watch::Receiver<u64> {
        self.passed.subscribe()
    }

    /// Carries a request there and its answer back.
    pub async fn carry<T: Send + 'static>(self: &Arc<Self>, act: impl FnOnce() -> T + Send + 'static) -> Carried<T> {
        let (reply, answer) = oneshot::channel();
        self.send(act, reply);
        answer.await.unwrap_or(Carried::Lost)
    }

    fn send<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce() -> T + Send + 'static,
        reply: oneshot::Sender<Carried<T>>,
    ) {
        let wire = Arc::clone(self);
        let mut inner = self.lock();
        let fate = inner.draw();
        while inner.under_way.try_join_next().is_some() {}
        inner.under_way.spawn(async move {
            sleep(fate.there).await;
            let answer = match fate.end {
                End::RequestLost => return sleep(PATIENCE).await,
                End::TurnedAway => Carried::TurnedAway,
                End::Well | End::ReplyLost => Carried::Answer(act()),
            };
            wire.pass();
            sleep(fate.back).await;
            if fate.end == End::ReplyLost {
                return sleep(PATIENCE).await;
            }
            // Whoever asked may have crashed.
            let _ = reply.send(answer);
        });
        drop(inner);
        self.pass();
    }

    fn pass(&self) {
        self.passed.send_modify(|passed| *passed += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn draw(&mut self) -> Fate {
        let Weather::Foul { per_mille } = self.weather else {
            let soon = Duration::from_millis(1);
            return Fate { there: soon, back: soon, end: End::Well };
        };
        // Mostly near, sometimes so far that later requests overtake it.
        let longest_ms = if self.chance.random_ratio(1, 20) { 8_000 } else { 60 };
        let there = Duration::from_millis(self.chance.random_range(1..longest_ms));
        let back = Duration::from_millis(self.chance.random_range(1..60));
        let goes_wrong = self.chance.random_range(0..1_000) < per_mille;
        let end = match self.chance.random_range(0..4) {
            0 if goes_wrong => End::RequestLost,
            1 if goes_wrong => End::TurnedAway,
            _ if goes_wrong => End::ReplyLost,
            _ => End::Well,
        };
        Fate { there, back, end }
    }
}
