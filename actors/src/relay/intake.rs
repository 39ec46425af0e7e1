//! Reads the queue into the file: each batch is judged, and taken with the offset after it.
//!
//! The queue's own memory of who read how far is not used: the file has the offsets, in the same commit as what was read.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use millrace_model::ids::Hash32;
use millrace_protocols::relay::{Relayed, parse};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::figures::Figures;
use super::file::{Batch, File, FileError, Place};
use super::queue::{End, Fetched, Queue, QueueError, Record};
use crate::clock::Clock;

/// How often it is asked which partitions there are.
const DISCOVER_EVERY: Duration = Duration::from_secs(60);
/// How long a queue that cannot be read is left alone, and for how long at most: twice as long each time.
const AGAIN: Duration = Duration::from_millis(500);
const AGAIN_MAX: Duration = Duration::from_secs(30);
/// How much of a bad record's key is repeated, in characters.
const KEY_SHOWN_MAX: usize = 64;

/// Whose messages are wanted; nothing before that is known.
pub type Wanted = Option<Arc<HashSet<Hash32>>>;

/// Why reading stopped.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the list of subscriptions is gone")]
    NoList,
}

/// What reads.
pub struct Intake {
    /// What is read.
    pub queue: Arc<dyn Queue>,
    /// Which of it, and as whom.
    pub place: Place,
    /// Where to.
    pub file: Arc<Mutex<File>>,
    /// Whose.
    pub wanted: watch::Receiver<Wanted>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What it all comes to.
    pub figures: Arc<Figures>,
}

impl Intake {
    /// Until it is dropped; then what is not committed was not read. Whatever fails is tried again.
    pub async fn run(mut self) -> Result<(), String> {
        let mut pause = AGAIN;
        loop {
            let begun = Instant::now();
            match self.read().await {
                Ok(()) => pause = AGAIN,
                Err(Stopped::NoList) => return Err(Stopped::NoList.to_string()),
                Err(error) => {
                    self.figures.failed();
                    pause = if begun.elapsed() > AGAIN_MAX { AGAIN } else { (pause * 2).min(AGAIN_MAX) };
                    tracing::warn!(%error, again_in = ?pause, "the queue is not read");
                    sleep(pause).await;
                }
            }
        }
    }

    /// Reads all partitions until it is time to ask which there are.
    async fn read(&mut self) -> Result<(), Stopped> {
        self.wanted.wait_for(Option::is_some).await.map_err(|_| Stopped::NoList)?;
        let offsets = self.begin().await?;
        let until = Instant::now() + DISCOVER_EVERY;
        let queue = Arc::clone(&self.queue);
        let fetch = |partition, from| {
            let queue = Arc::clone(&queue);
            async move { (partition, from, queue.fetch(partition, from).await) }
        };
        let mut fetching: FuturesUnordered<_> = offsets.into_iter().map(|(number, next)| fetch(number, next)).collect();
        while let Ok(Some((partition, from, fetched))) = timeout_at(until, fetching.next()).await {
            let next = match fetched {
                Ok(fetched) => self.take(partition, from, fetched).await?,
                Err(QueueError::OutOfRange) => self.skip(partition, from).await?,
                Err(error) => return Err(error.into()),
            };
            fetching.push(fetch(partition, next));
        }
        // With no partition there is nothing to wait for but the time.
        tokio::time::sleep_until(until).await;
        Ok(())
    }

    /// Where each partition is read on. The very first time that is its end; a partition that came later is read from its beginning,
    /// since nothing of it can have been there before.
    async fn begin(&self) -> Result<BTreeMap<i32, i64>, Stopped> {
        let partitions = self.queue.partitions().await?;
        let place = self.place.clone();
        let known = self.in_file(move |file| file.offsets(&place)).await?;
        let end = if known.is_empty() { End::Last } else { End::First };
        let mut new = BTreeMap::new();
        for partition in partitions.iter().filter(|partition| !known.contains_key(partition)) {
            new.insert(*partition, self.queue.end(*partition, end).await?);
        }
        if !new.is_empty() {
            tracing::info!(topic = self.place.topic, partitions = ?new, ?end, "partitions of the queue are read from here");
        }
        let place = self.place.clone();
        let mut offsets = self
            .in_file(move |file| {
                file.begin(&place, &new)?;
                file.offsets(&place)
            })
            .await?;
        offsets.retain(|partition, _| partitions.contains(partition));
        Ok(offsets)
    }

    async fn take(&self, partition: i32, from: i64, fetched: Fetched) -> Result<i64, Stopped> {
        let Fetched { records, next } = fetched;
        if next == from {
            return Ok(from);
        }
        let read = records.len();
        let messages: Vec<_> = records.into_iter().filter_map(|record| message(partition, record)).collect();
        let bad = (read - messages.len()) as u64;
        let batch = Batch { partition, from, next, messages };
        let wanted = self.wanted.borrow().clone().ok_or(Stopped::NoList)?;
        let now_ms = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0);
        let place = self.place.clone();
        let taken = self.in_file(move |file| file.take(&place, &batch, &wanted, now_ms)).await?;
        self.figures.took(taken, bad);
        tracing::debug!(partition, next, ?taken, bad, "records were taken");
        Ok(next)
    }

    /// The queue has forgotten what is next: it goes on where the queue begins, or at its end where that is before.
    async fn skip(&self, partition: i32, from: i64) -> Result<i64, Stopped> {
        let first = self.queue.end(partition, End::First).await?;
        let to = if first > from { first } else { self.queue.end(partition, End::Last).await? };
        tracing::error!(partition, from, to, "the queue has no such offset; it is read from another one");
        self.figures.lost(u64::try_from(to.saturating_sub(from)).unwrap_or(0));
        let place = self.place.clone();
        self.in_file(move |file| file.skip(&place, partition, to)).await?;
        Ok(to)
    }

    /// On a thread that may wait for the disk. What was begun there is ended there, whoever hears of it.
    async fn in_file<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut File) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, Stopped> {
        in_file(&self.file, work).await.map_err(Stopped::File)
    }
}

/// Works with the file on a thread that may wait for the disk.
pub(super) async fn in_file<T: Send + 'static>(
    file: &Arc<Mutex<File>>,
    work: impl FnOnce(&mut File) -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let file = Arc::clone(file);
    let working = tokio::task::spawn_blocking(move || work(&mut file.lock().unwrap_or_else(PoisonError::into_inner)));
    working.await.expect("nothing in it panics")
}

/// The message of a record; a bad one is said, and passed over.
fn message(partition: i32, Record { offset, key, value }: Record) -> Option<(i64, Relayed)> {
    match parse(key.as_deref(), value.as_deref()) {
        Ok(relayed) => Some((offset, relayed)),
        Err(error) => {
            let key = key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let key: String = key.chars().take(KEY_SHOWN_MAX).collect();
            tracing::warn!(partition, offset, ?key, %error, "a record of the queue is passed over");
            None
        }
    }
}

#[cfg(test)]
mod tests;
