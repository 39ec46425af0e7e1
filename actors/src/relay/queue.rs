//! The queue that notifications are read from: partitions of records with offsets, as Kafka has them.

use std::collections::BTreeSet;

use futures::future::BoxFuture;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in its partition.
    pub offset: i64,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Its value, if it has one.
    pub value: Option<Vec<u8>>,
}

/// What is read of a partition at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fetched {
    /// In their order. Offsets may be missing between them.
    pub records: Vec<Record>,
    /// Where the next ones begin. Behind the offset that was asked for, with no records: what is there was given up.
    pub next: i64,
}

/// An end of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The offset of the oldest record that is still there.
    First,
    /// That of the next one that comes.
    Last,
}

/// How much is asked for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Portion {
    /// As much as is read at once usually.
    Usual,
    /// As little as the queue hands out: where something among the rest cannot be read.
    Least,
}

/// Why nothing was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The queue has forgotten what is at this offset, or never had it.
    #[error("there is nothing at this offset")]
    OutOfRange,
    /// The queue answered, and what it answered cannot be read.
    #[error("what is there cannot be read: {0}")]
    Unreadable(String),
    /// The queue cannot be read now.
    #[error("{0}")]
    Failed(String),
}

/// The queue. Each call ends by itself in good time, and may be dropped before.
pub trait Queue: Send + Sync + 'static {
    /// The topic's partitions, as they are now.
    fn partitions(&self) -> BoxFuture<'_, Result<BTreeSet<i32>, QueueError>>;

    /// Where a partition begins or ends.
    fn end(&self, partition: i32, end: End) -> BoxFuture<'_, Result<i64, QueueError>>;

    /// What comes from an offset on. Waits a little while there is nothing.
    fn fetch(&self, partition: i32, offset: i64, portion: Portion) -> BoxFuture<'_, Result<Fetched, QueueError>>;
}
