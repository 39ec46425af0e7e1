//! A queue in memory, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::BoxFuture;
use millrace_model::ids::Hash32;

use super::queue::{End, Fetched, Portion, Queue, QueueError, Record};

/// A nonce of the right length.
pub(super) const NONCE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// How many records it hands out at once.
const USUAL: usize = 2;

/// A queue in memory. It forgets what is before `first`, and cannot be read while it is down. Partitions may be down alone, or deny
/// what they have, and records be such that nothing that is handed out with them can be read.
#[derive(Default)]
pub(super) struct Memories {
    pub(super) partitions: Mutex<BTreeMap<i32, Vec<Record>>>,
    pub(super) first: Mutex<i64>,
    pub(super) is_down: AtomicBool,
    pub(super) broken: Mutex<BTreeSet<i32>>,
    pub(super) denied: Mutex<BTreeSet<i32>>,
    pub(super) poison: Mutex<BTreeSet<(i32, i64)>>,
}

impl Memories {
    pub(super) fn with_partition(partition: i32) -> Arc<Self> {
        let queue = Arc::new(Self::default());
        queue.partitions.lock().unwrap().insert(partition, Vec::new());
        queue
    }

    pub(super) fn produce(&self, partition: i32, key: &str, value: &str) {
        let mut partitions = self.partitions.lock().unwrap();
        let records = partitions.entry(partition).or_default();
        let offset = records.len() as i64;
        let bytes = |text: &str| Some(text.as_bytes().to_vec());
        records.push(Record { offset, key: bytes(key), value: bytes(value) });
    }

    /// A customer's, with another message for each key.
    pub(super) fn send(&self, partition: i32, customer: Hash32, key: &str) {
        self.produce(partition, key, &format!("{customer} {}", body(key)));
    }

    fn up(&self) -> Result<(), QueueError> {
        match self.is_down.load(Ordering::SeqCst) {
            true => Err(QueueError::Failed("it is down".to_owned())),
            false => Ok(()),
        }
    }
}

/// What a customer is sent: long enough for an encrypted message, and another one for each key.
pub(super) fn body(key: &str) -> String {
    format!("{NONCE} {}", STANDARD.encode(format!("{key:0>24}")))
}

impl Queue for Memories {
    fn partitions(&self) -> BoxFuture<'_, Result<BTreeSet<i32>, QueueError>> {
        async move { self.up().map(|()| self.partitions.lock().unwrap().keys().copied().collect()) }.boxed()
    }

    fn end(&self, partition: i32, end: End) -> BoxFuture<'_, Result<i64, QueueError>> {
        async move {
            self.up()?;
            Ok(match end {
                End::First => *self.first.lock().unwrap(),
                End::Last => self.partitions.lock().unwrap()[&partition].len() as i64,
            })
        }
        .boxed()
    }

    fn fetch(&self, partition: i32, offset: i64, portion: Portion) -> BoxFuture<'_, Result<Fetched, QueueError>> {
        async move {
            // It waits a little, as queues do.
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.up()?;
            if self.broken.lock().unwrap().contains(&partition) {
                return Err(QueueError::Failed("its leader is gone".to_owned()));
            }
            let limit = match portion {
                Portion::Usual => USUAL,
                Portion::Least => 1,
            };
            let partitions = self.partitions.lock().unwrap();
            let all = &partitions[&partition];
            let is_denied = self.denied.lock().unwrap().contains(&partition);
            if is_denied || offset < *self.first.lock().unwrap() || offset > all.len() as i64 {
                return Err(QueueError::OutOfRange);
            }
            let records: Vec<_> = all.iter().skip(offset as usize).take(limit).cloned().collect();
            if records.iter().any(|record| self.poison.lock().unwrap().contains(&(partition, record.offset))) {
                return Err(QueueError::Unreadable("a wrong checksum".to_owned()));
            }
            let next = offset + records.len() as i64;
            Ok(Fetched { records, next })
        }
        .boxed()
    }
}
