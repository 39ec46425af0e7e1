//! Seals what is old of the log: packs it into segments, which whoever goes through the whole log reads several times as fast.
//!
//! It does so in the background, a segment at a time with a rest between. A log that cannot be sealed is read by its rows, as what
//! is young is anyway; nothing waits for the sealer.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::event_store::{AppendError, Execution, ReadError, Store};
use crate::supervision::{Reporter, Tree, TreeError};

/// The part's name in the tree.
pub const PART: &str = "sealer";
/// How often it is looked for something that has become old enough.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The rest after a segment, in the time that it took: others need the disk and the processor too.
const REST: u32 = 9;

/// What the sealer needs.
#[derive(Clone)]
pub struct Settings {
    /// What says how old something is.
    pub clock: Arc<dyn Clock>,
    /// What was recorded so long ago is sealed.
    pub after: Duration,
    /// Where segments are packed.
    pub execution: Execution,
}

/// Adds the part to the tree.
pub fn start(tree: &Tree, store: Store, settings: Settings) -> Result<(), TreeError> {
    tree.add_task(PART, move |report| Sealer { store: store.clone(), settings: settings.clone(), report }.run())
}

/// Why a segment was not made.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error("the log is not sealed: {0}")]
    Read(#[from] ReadError),
    #[error("a segment cannot be kept: {0}")]
    NotKept(#[from] AppendError),
}

struct Sealer {
    store: Store,
    settings: Settings,
    report: Reporter,
}

impl Sealer {
    async fn run(self) {
        self.store.ready_for(&self.report).await;
        loop {
            let begun = Instant::now();
            let pause = match self.seal().await {
                Ok(is_more) => {
                    self.report.clear(PART);
                    if is_more { begun.elapsed() * REST } else { LOOK_EVERY }
                }
                Err(obstacle) => {
                    tracing::warn!(%obstacle, "a part of the log was not sealed");
                    self.report.set(PART, obstacle.to_string());
                    LOOK_EVERY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes the next segment, if there is one to be made.
    async fn seal(&self) -> Result<bool, Obstacle> {
        let Settings { clock, after, execution } = &self.settings;
        let (reader, before) = (self.store.reader()?, clock.now() - *after);
        let segment = match execution {
            Execution::Inline => reader.next_segment(before),
            Execution::Thread => {
                let packing = tokio::task::spawn_blocking(move || reader.next_segment(before));
                packing.await.expect("packing neither panics nor is aborted")
            }
        };
        match segment? {
            Some(segment) => {
                self.store.keep(segment).await?;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}
