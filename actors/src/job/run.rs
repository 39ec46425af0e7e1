//! A run: every sink gets its turn, all at once, until it was told everything or the time is over.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use millrace_protocols::delivery::policy::{Chance, Schedule};
use rand::Rng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::feed::{Feed, FeedError};
use super::store::{Store, StoreError};
use super::summary::{SinkReport, Stands, Summary};
use super::turn::Turn;
use crate::clock::Clock;
use crate::delivery::endpoint::Endpoint;
use crate::delivery::sinks::Sink;

/// How many sinks are served at once: as many as may be configured, so that nobody waits behind one with much to be told.
const AT_ONCE_MAX: usize = 64;

/// A sink with its name.
pub struct Named {
    /// Unique among the sinks of a database.
    pub name: String,
    /// What its address comes to (SHA-256, hexadecimal): another receiver begins without its predecessor's failures.
    pub address_sha256: String,
    /// What it wants to hear of.
    pub endpoint: Endpoint,
    /// What takes its messages.
    pub sink: Arc<dyn Sink>,
    /// When it is new: told what came about from this time on, in milliseconds since 1970, or from the beginning.
    pub since_ms: Option<i64>,
    /// Whether what keeps it from being told something is forgotten first.
    pub resumed: Resumed,
}

/// Whether an operator wants a sink tried now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// He does.
    Yes,
    /// It is as it was.
    No,
}

/// What all turns share.
pub struct Run {
    /// Tells runs apart.
    pub id: Uuid,
    /// Where notifications come from.
    pub feed: Arc<dyn Feed>,
    /// Where places are kept.
    pub store: Store,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// When what failed is sent again.
    pub schedule: Schedule,
    /// No attempt begins after this.
    pub until: Instant,
    /// How many notifications a sink is sent at most.
    pub messages_max: u64,
    /// Somebody wants the run to end: no attempt begins any more.
    pub stop: CancellationToken,
}

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The desk does not do.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The database does not do.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Run {
    /// Gives every sink its turn. What went wrong with desk or database is given back beside the summary.
    pub async fn make(self, sinks: &[Named]) -> (Summary, Option<Fatal>) {
        let (started, begun) = (self.clock.now(), Instant::now());
        let turns = futures::stream::iter(sinks).map(|sink| self.turn(sink)).buffered(AT_ONCE_MAX);
        let ended: Vec<_> = turns.collect().await;
        let (reports, fatal): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
        let fatal = fatal.into_iter().flatten().next();
        let took: Duration = begun.elapsed();
        self.store.close().await;
        (Summary::new(reports, fatal.as_ref().map(ToString::to_string), (started, took)), fatal)
    }

    async fn turn(&self, named: &Named) -> (SinkReport, Option<Fatal>) {
        let mut turn = Turn::new(self, named);
        let ended = AssertUnwindSafe(turn.make()).catch_unwind().await;
        let mut report = turn.end().await;
        let fatal = match ended {
            Ok(Ok(stands)) => {
                report.stands = stands;
                None
            }
            Ok(Err(fatal)) => {
                (report.stands, report.error) = (Stands::Unserved, Some(fatal.to_string()));
                Some(fatal)
            }
            Err(_) => {
                (report.stands, report.error) = (Stands::Failed, Some("its turn panicked".to_owned()));
                None
            }
        };
        tracing::info!(
            sink = report.sink, stands = ?report.stands, delivered = report.delivered, passed = report.passed,
            given_up = report.given_up, error = report.error, "a sink had its turn"
        );
        (report, fatal)
    }

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0)
    }

    /// Whether another attempt may begin.
    pub(super) fn goes_on(&self) -> bool {
        !self.stop.is_cancelled() && Instant::now() < self.until
    }

    pub(super) fn chance() -> Chance {
        Chance(rand::rng().random())
    }
}

#[cfg(test)]
mod tests;
