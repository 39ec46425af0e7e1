//! Reads the queue into the file: each batch is judged, and taken with the offset after it.
//!
//! The queue's own memory of who read how far is not used: the file has the offsets, in the same commit as what was read. A
//! partition that fails is left alone for a while and the others go on; a record that cannot be read, whoever asks how often, is
//! passed over.

mod place;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use millrace_model::ids::Hash32;
use millrace_protocols::relay::{Relayed, parse};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::figures::Figures;
use super::file::{Batch, File, FileError, Place};
use super::queue::{End, Fetched, Queue, QueueError, Record};
use crate::clock::Clock;
use place::{At, Step};

/// How often it is asked which partitions there are.
const DISCOVER_EVERY: Duration = Duration::from_secs(60);
/// How many partitions are read: each has a connection, and a portion of records in memory.
pub const PARTITIONS_MAX: usize = 128;
/// How long a queue that cannot be read is left alone, and for how long at most: twice as long each time.
const AGAIN: Duration = Duration::from_millis(500);
const AGAIN_MAX: Duration = Duration::from_secs(30);
/// How long a partition is left alone that had nothing: a queue that does not wait itself is not asked without end.
const RESTS: Duration = Duration::from_millis(50);
/// How much of a bad record's key is repeated, in characters, and of how many of a batch.
const KEY_SHOWN_MAX: usize = 64;
const BAD_SHOWN_MAX: usize = 8;

/// Whose messages are wanted; nothing before that is known.
pub type Wanted = Option<Arc<HashSet<Hash32>>>;

/// Why reading stopped.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the topic has {0} partitions, and at most {PARTITIONS_MAX} are read")]
    TooMany(usize),
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
    /// Where it is said why nothing is read, while that is so.
    pub trouble: watch::Sender<Option<String>>,
}

impl Intake {
    /// Until it is dropped; then what is not committed was not read. Whatever fails is tried again.
    pub async fn run(mut self) -> Result<(), String> {
        let mut pause = AGAIN;
        loop {
            let begun = Instant::now();
            match self.read().await {
                Ok(never) => match never {},
                Err(Stopped::NoList) => return Err(Stopped::NoList.to_string()),
                Err(error) => {
                    self.figures.failed();
                    self.trouble.send_replace(Some(error.to_string()));
                    pause = if begun.elapsed() > AGAIN_MAX { AGAIN } else { (pause * 2).min(AGAIN_MAX) };
                    tracing::warn!(%error, again_in = ?pause, "the queue is not read");
                    sleep(pause).await;
                }
            }
        }
    }

    /// Reads all partitions; now and then it is asked which there are.
    async fn read(&mut self) -> Result<Infallible, Stopped> {
        self.wanted.wait_for(Option::is_some).await.map_err(|_| Stopped::NoList)?;
        let mut fetching = FuturesUnordered::new();
        let mut under_way = BTreeSet::new();
        let mut there = BTreeMap::new();
        loop {
            let begun = self.begin().await;
            match &begun {
                // That it knows the partitions does not mean that there is room for what is in them.
                Ok(_) => self.trouble.send_if_modified(|why| !is_full(why.as_deref()) && why.take().is_some()),
                Err(error) => self.trouble.send_replace(Some(error.to_string())).is_none(),
            };
            there = match begun {
                // Those that are known are read on meanwhile.
                Err(Stopped::Queue(error)) if !there.is_empty() => {
                    self.figures.failed();
                    tracing::warn!(%error, "it is not known which partitions there are");
                    there
                }
                begun => begun?,
            };
            let until = Instant::now() + DISCOVER_EVERY;
            for (partition, next) in &there {
                if under_way.insert(*partition) {
                    fetching.push(fetch(Arc::clone(&self.queue), At::new(*partition, *next)));
                }
            }
            while Instant::now() < until
                && let Ok(Some((at, fetched))) = timeout_at(until, fetching.next()).await
            {
                if there.contains_key(&at.partition) {
                    let at = self.judge(at, fetched).await?;
                    fetching.push(fetch(Arc::clone(&self.queue), at));
                } else {
                    under_way.remove(&at.partition);
                }
            }
            // With no partition there is nothing to wait for but the time.
            sleep_until(until).await;
        }
    }

    /// What comes of an answer: where that partition is read on. What is wrong with one is not the others' business; what is
    /// wrong with the file is.
    async fn judge(&self, at: At, fetched: Result<Fetched, QueueError>) -> Result<At, Stopped> {
        let judged = match fetched {
            Ok(fetched) if fetched.next == at.next => return Ok(at.found_nothing()),
            Ok(fetched) => self.take(at, fetched).await,
            Err(QueueError::OutOfRange) => self.skip(at).await,
            Err(QueueError::Unreadable(error)) => self.unreadable(at, error).await,
            Err(error @ QueueError::Failed(_)) => Err(error.into()),
        };
        match judged {
            Err(Stopped::Queue(error)) => {
                let at = at.failed();
                self.figures.failed();
                tracing::warn!(%error, at.partition, at.next, again_in = ?at.rests, "a partition is not read");
                Ok(at)
            }
            judged => judged,
        }
    }

    /// Where each partition is read on. The very first time that is its end; a partition that came later is read from its beginning,
    /// since nothing of it can have been there before.
    async fn begin(&self) -> Result<BTreeMap<i32, i64>, Stopped> {
        let partitions = self.queue.partitions().await?;
        if partitions.len() > PARTITIONS_MAX {
            return Err(Stopped::TooMany(partitions.len()));
        }
        let place = self.place.clone();
        let known = self.in_file(move |file| file.offsets(&place)).await?;
        let end = if known.is_empty() { End::Last } else { End::First };
        let mut new = BTreeMap::new();
        for partition in partitions.iter().filter(|partition| !known.contains_key(partition)) {
            match self.queue.end(*partition, end).await {
                Ok(next) => drop(new.insert(*partition, next)),
                // All begin at once: one that was left out would later be read from its beginning.
                Err(error) if known.is_empty() => return Err(error.into()),
                Err(error) => tracing::warn!(%error, partition, "a partition that is new is not read yet"),
            }
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

    async fn take(&self, at: At, Fetched { records, next }: Fetched) -> Result<At, Stopped> {
        let At { partition, next: from, passed, .. } = at;
        if passed > 0 {
            tracing::error!(partition, passed, to = from, "what could not be read of a partition was passed over");
        }
        // The queue gave up what it did not hand out, and it may have been a record.
        let given_up = if records.is_empty() { between(from, next) } else { 0 };
        let (messages, bad) = messages(partition, records);
        let batch = Batch { partition, from, next, messages };
        let wanted = self.wanted.borrow().clone().ok_or(Stopped::NoList)?;
        let now_ms = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0);
        let place = self.place.clone();
        let taken = self.in_file(move |file| file.take(&place, &batch, &wanted, now_ms)).await?;
        self.figures.took(taken, bad);
        self.figures.lost(given_up);
        self.trouble.send_if_modified(|why| is_full(why.as_deref()) && why.take().is_some());
        tracing::debug!(partition, next, ?taken, bad, "records were taken");
        Ok(At::new(partition, next))
    }

    /// The queue has forgotten what is next: it goes on where the queue begins, or at its end where that is before. Where both say
    /// that it is there, nothing is skipped, and it is asked again.
    async fn skip(&self, at: At) -> Result<At, Stopped> {
        let At { partition, next: from, .. } = at;
        let first = self.queue.end(partition, End::First).await?;
        let (to, lost) = if first > from {
            (first, between(from, first))
        } else {
            let last = self.queue.end(partition, End::Last).await?;
            if from <= last {
                let inside = format!("there is nothing at {from}, it says, and that it has {first} to {last}");
                return Err(QueueError::Failed(inside).into());
            }
            // Another topic under the old name, perhaps: all that it has was never read.
            (last, between(first, last))
        };
        tracing::error!(partition, from, to, "the queue has no such offset; it is read from another one");
        self.go_on(partition, (from, to)).await?;
        self.figures.lost(lost);
        Ok(at.moved(to))
    }

    /// Nobody can mend what is there, and behind it is what others wait for. Before it is passed over the queue has to say that
    /// there is something.
    async fn unreadable(&self, at: At, error: String) -> Result<At, Stopped> {
        let At { partition, next: from, .. } = at;
        let behind = match at.unreadable() {
            Step::Again(again) => {
                tracing::warn!(partition, from, error, again_in = ?again.rests, "what is there cannot be read");
                return Ok(again);
            }
            Step::PassOver(behind) => behind,
        };
        if self.queue.end(partition, End::Last).await? <= from {
            return Ok(at.found_nothing());
        }
        if behind.passed == 1 {
            tracing::error!(partition, from, error, "what is there cannot be read and is passed over");
        }
        self.go_on(partition, (from, behind.next)).await?;
        self.figures.passed_over();
        Ok(behind)
    }

    async fn go_on(&self, partition: i32, (from, to): (i64, i64)) -> Result<(), Stopped> {
        let place = self.place.clone();
        self.in_file(move |file| file.skip(&place, partition, (from, to))).await
    }

    /// On a thread that may wait for the disk. What was begun there is ended there, whoever hears of it.
    async fn in_file<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut File) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, Stopped> {
        in_file(&self.file, work).await.map_err(Stopped::File)
    }
}

/// Whether it is for want of room that nothing is read.
fn is_full(trouble: Option<&str>) -> bool {
    trouble.is_some_and(|why| why == FileError::Full.to_string())
}

/// How many offsets there are between two, the first of them included.
fn between(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
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

/// Asks for what a partition has next, when it was left alone long enough.
async fn fetch(queue: Arc<dyn Queue>, at: At) -> (At, Result<Fetched, QueueError>) {
    sleep(at.rests).await;
    (at, queue.fetch(at.partition, at.next, at.portion).await)
}

/// The messages of a batch, and how many records are none. Those are said, the first of them, and passed over.
fn messages(partition: i32, records: Vec<Record>) -> (Vec<(i64, Relayed)>, u64) {
    let (mut messages, mut bad) = (Vec::with_capacity(records.len()), 0);
    for Record { offset, key, value } in records {
        match parse(key.as_deref(), value.as_deref()) {
            Ok(relayed) => messages.push((offset, relayed)),
            Err(error) => {
                bad += 1;
                if bad <= BAD_SHOWN_MAX {
                    let key = shown(key.as_deref().unwrap_or_default());
                    tracing::warn!(partition, offset, key, %error, "a record of the queue is passed over");
                }
            }
        }
    }
    if bad > BAD_SHOWN_MAX {
        tracing::warn!(partition, more = bad - BAD_SHOWN_MAX, "and more records of the same batch");
    }
    (messages, bad as u64)
}

/// The beginning of a key, whatever is in it.
fn shown(key: &[u8]) -> String {
    let key: String = String::from_utf8_lossy(key).chars().take(KEY_SHOWN_MAX).collect();
    key.escape_debug().to_string()
}

#[cfg(test)]
mod tests;
