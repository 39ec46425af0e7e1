//! The queue as Kafka has it: a client without a consumer group, since the file has the offsets.
//!
//! A connection is made by the first call that needs it, and anew by the first after something failed.

use std::collections::{BTreeSet, HashMap};
use std::error::Error as _;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rskafka::BackoffConfig;
use rskafka::client::error::{Error, ProtocolError, RequestError};
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use rskafka::record::RecordAndOffset;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::timeout;

use super::super::queue::{End, Fetched, Portion, Queue, QueueError, Record};
use super::{Account, Encryption, Mechanism, Settings};
use crate::delivery::tls;

/// How long any call may take.
const CALL_WITHIN: Duration = Duration::from_secs(30);
/// How long the library tries again by itself.
const TRIES_FOR: Duration = Duration::from_secs(10);
/// How long the broker waits for records while there are none, in milliseconds.
const WAITS_MS: i32 = 1_000;
/// How much is fetched at once of a partition, in bytes as they are stored; a larger batch comes alone.
const FETCH_BYTES_MAX: i32 = 1_024 * 1_024;
/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 32 * 1_024 * 1_024;
/// After so many empty answers, although there is something that is not in a transaction any more, it is no record: the mark of a
/// transaction.
const EMPTY_MAX: u32 = 3;
/// How much is repeated of what goes wrong, in characters.
const ERROR_CHARS_MAX: usize = 300;

/// The queue.
pub(super) struct Kafka {
    settings: Settings,
    /// Held while one is made: whoever else needs it waits for it.
    client: AsyncMutex<Option<Arc<Client>>>,
    known: Mutex<Known>,
}

/// What is known of partitions.
#[derive(Default)]
struct Known {
    clients: HashMap<i32, Arc<PartitionClient>>,
    /// How often there was nothing at an offset, although there is something.
    empty: HashMap<i32, (i64, u32)>,
}

impl Kafka {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, client: AsyncMutex::default(), known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn client(&self) -> Result<Arc<Client>, QueueError> {
        let mut there = self.client.lock().await;
        if let Some(client) = &*there {
            return Ok(Arc::clone(client));
        }
        let client = self.builder()?.build().await.map_err(|error| failed(&error))?;
        Ok(Arc::clone(there.insert(Arc::new(client))))
    }

    fn builder(&self) -> Result<ClientBuilder, QueueError> {
        let Settings { brokers, client, encryption, account, .. } = self.settings.clone();
        let mut builder = ClientBuilder::new(brokers)
            .client_id(client)
            .max_message_size(ANSWER_BYTES_MAX)
            .backoff_config(BackoffConfig { deadline: Some(TRIES_FOR), ..BackoffConfig::default() });
        if encryption == Encryption::Tls {
            builder = builder.tls_config(Arc::new(tls::config().map_err(|error| failed(&error))?));
        }
        if let Some(account) = account {
            builder = builder.sasl_config(sasl(account));
        }
        Ok(builder)
    }

    async fn partition(&self, partition: i32) -> Result<Arc<PartitionClient>, QueueError> {
        if let Some(client) = self.known().clients.get(&partition) {
            return Ok(Arc::clone(client));
        }
        let client = self.client().await?;
        let topic = self.settings.topic.as_str();
        let made = client.partition_client(topic, partition, UnknownTopicHandling::Error).await;
        let made = Arc::new(made.map_err(|error| failed(&error))?);
        self.known().clients.insert(partition, Arc::clone(&made));
        Ok(made)
    }

    /// One call, in time. After one that failed the next connects anew.
    async fn call<T>(&self, calling: impl Future<Output = Result<T, QueueError>>) -> Result<T, QueueError> {
        let called = timeout(CALL_WITHIN, calling).await;
        let called = called.unwrap_or_else(|_| Err(QueueError::Failed(format!("no answer within {CALL_WITHIN:?}"))));
        if let Err(QueueError::Failed(_)) = &called {
            self.known().clients.clear();
            // Whoever makes one at this moment makes a new one.
            if let Ok(mut client) = self.client.try_lock() {
                *client = None;
            }
        }
        called
    }

    async fn fetch_records(&self, partition: i32, offset: i64, portion: Portion) -> Result<Fetched, QueueError> {
        let bytes_max = match portion {
            Portion::Usual => FETCH_BYTES_MAX,
            // A broker hands out one batch at least.
            Portion::Least => 2,
        };
        let fetching = async {
            let client = self.partition(partition).await?;
            let fetched = client.fetch_records(offset, 1..bytes_max, WAITS_MS).await;
            fetched.map_err(|error| judged(&error))
        };
        let (records, head) = self.call(fetching).await?;
        let next = match records.last() {
            Some(last) => last.offset + 1,
            None if head > offset => self.after_nothing(partition, offset).await?,
            None => offset,
        };
        Ok(Fetched { records: records.into_iter().map(record).collect(), next })
    }

    /// Where to go on when there is nothing at an offset and something is written behind it. It may be in a transaction that is
    /// under way, and is waited for; where none is, several answers in a row say that it is no record.
    async fn after_nothing(&self, partition: i32, offset: i64) -> Result<i64, QueueError> {
        let stable = self.offset(partition, OffsetAt::Latest).await?;
        let mut known = self.known();
        if stable <= offset {
            known.empty.remove(&partition);
            return Ok(offset);
        }
        let (at, times) = known.empty.entry(partition).or_insert((offset, 0));
        // The answer before this one was given when it was not known yet that no transaction is under way.
        if *at != offset {
            (*at, *times) = (offset, 0);
        }
        *times += 1;
        if *times < EMPTY_MAX {
            return Ok(offset);
        }
        known.empty.remove(&partition);
        tracing::debug!(partition, offset, "what is there is no record");
        Ok(offset + 1)
    }

    async fn offset(&self, partition: i32, at: OffsetAt) -> Result<i64, QueueError> {
        let asking = async {
            let client = self.partition(partition).await?;
            client.get_offset(at).await.map_err(|error| failed(&error))
        };
        self.call(asking).await
    }
}

fn record(RecordAndOffset { record, offset }: RecordAndOffset) -> Record {
    Record { offset, key: record.key, value: record.value }
}

/// What it means that records were not fetched.
fn judged(error: &Error) -> QueueError {
    match error {
        Error::ServerError { protocol_error: ProtocolError::OffsetOutOfRange, .. } => QueueError::OutOfRange,
        Error::ServerError { protocol_error: ProtocolError::CorruptMessage, .. } | Error::InvalidResponse(_) => {
            QueueError::Unreadable(said(error))
        }
        Error::Request(request) if is_unreadable(request) => QueueError::Unreadable(said(error)),
        // The library takes an answer that is too large for a connection that broke, and tries again for a while.
        Error::RetryFailed(retried) => match retried.source().and_then(|source| source.downcast_ref()) {
            Some(Error::Request(RequestError::Poisoned(broken))) if is_unreadable(broken) => {
                QueueError::Unreadable(said(error))
            }
            Some(_) | None => failed(error),
        },
        _ => failed(error),
    }
}

/// Whether there was an answer, and what is in it makes no sense, or is too large.
fn is_unreadable(error: &RequestError) -> bool {
    match error {
        RequestError::ReadError(_) | RequestError::ReadVersionedError(_) | RequestError::TooMuchData { .. } => true,
        // It has a source where the connection broke.
        RequestError::ReadFramedMessageError(error) => error.source().is_none(),
        _ => false,
    }
}

fn failed(error: &dyn std::error::Error) -> QueueError {
    QueueError::Failed(said(error))
}

/// In one line of bounded length: a broker's own words may be in it.
fn said(error: &dyn std::error::Error) -> String {
    let printable = |char: char| if char.is_control() { ' ' } else { char };
    error.to_string().chars().take(ERROR_CHARS_MAX).map(printable).collect()
}

fn sasl(Account { mechanism, user, password }: Account) -> SaslConfig {
    let credentials = Credentials::new(user, password);
    match mechanism {
        Mechanism::ScramSha512 => SaslConfig::ScramSha512(credentials),
        Mechanism::ScramSha256 => SaslConfig::ScramSha256(credentials),
        Mechanism::Plain => SaslConfig::Plain(credentials),
    }
}

impl Queue for Kafka {
    fn partitions(&self) -> BoxFuture<'_, Result<BTreeSet<i32>, QueueError>> {
        let name = &self.settings.topic;
        async move {
            let listing = async { self.client().await?.list_topics().await.map_err(|error| failed(&error)) };
            let topic = self.call(listing).await?.into_iter().find(|topic| topic.name == *name);
            let missing = || QueueError::Failed(format!("there is no topic {name}, or the desk may not read it"));
            topic.map(|topic| topic.partitions.into_iter().collect()).ok_or_else(missing)
        }
        .boxed()
    }

    fn end(&self, partition: i32, end: End) -> BoxFuture<'_, Result<i64, QueueError>> {
        let at = match end {
            End::First => OffsetAt::Earliest,
            End::Last => OffsetAt::Latest,
        };
        self.offset(partition, at).boxed()
    }

    fn fetch(&self, partition: i32, offset: i64, portion: Portion) -> BoxFuture<'_, Result<Fetched, QueueError>> {
        self.fetch_records(partition, offset, portion).boxed()
    }
}
