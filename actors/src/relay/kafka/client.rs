//! The queue as Kafka has it: a client without a consumer group, since the file has the offsets.
//!
//! A connection is made by the first call that needs it, and anew by the first after something failed.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rskafka::BackoffConfig;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use tokio::time::timeout;

use super::super::queue::{End, Fetched, Queue, QueueError, Record};
use super::{Account, Mechanism, Settings};

/// How long any call may take.
const CALL_WITHIN: Duration = Duration::from_secs(30);
/// How long the library tries again by itself.
const TRIES_FOR: Duration = Duration::from_secs(10);
/// How long the broker waits for records while there are none, in milliseconds.
const WAITS_MS: i32 = 1_000;
/// How much is fetched at once of a partition, in bytes; a larger batch comes alone.
const FETCH_BYTES_MAX: i32 = 4 * 1_024 * 1_024;
/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 32 * 1_024 * 1_024;
/// After so many empty answers, although the partition goes on, what is there is no record: the mark of a transaction.
const EMPTY_MAX: u32 = 20;

/// The queue.
pub(super) struct Kafka {
    settings: Settings,
    connected: Mutex<Connected>,
}

/// What there is of connections.
#[derive(Default)]
struct Connected {
    client: Option<Arc<Client>>,
    partitions: HashMap<i32, Arc<PartitionClient>>,
    /// How often there was nothing at an offset, although the partition goes on.
    empty: HashMap<i32, (i64, u32)>,
}

impl Kafka {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, connected: Mutex::default() }
    }

    fn connected(&self) -> MutexGuard<'_, Connected> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn client(&self) -> Result<Arc<Client>, Error> {
        if let Some(client) = self.connected().client.clone() {
            return Ok(client);
        }
        let Settings { brokers, client, account, .. } = self.settings.clone();
        let builder = ClientBuilder::new(brokers)
            .client_id(client)
            .max_message_size(ANSWER_BYTES_MAX)
            .backoff_config(BackoffConfig { deadline: Some(TRIES_FOR), ..BackoffConfig::default() });
        let builder = match account {
            Some(account) => builder.sasl_config(sasl(account)),
            None => builder,
        };
        let client = Arc::new(builder.build().await?);
        self.connected().client = Some(Arc::clone(&client));
        Ok(client)
    }

    async fn partition(&self, partition: i32) -> Result<Arc<PartitionClient>, Error> {
        if let Some(client) = self.connected().partitions.get(&partition) {
            return Ok(Arc::clone(client));
        }
        let client = self.client().await?;
        let client =
            client.partition_client(self.settings.topic.as_str(), partition, UnknownTopicHandling::Error).await?;
        let client = Arc::new(client);
        self.connected().partitions.insert(partition, Arc::clone(&client));
        Ok(client)
    }

    /// One call, in time. After one that failed the next connects anew.
    async fn call<T>(&self, calling: impl Future<Output = Result<T, Error>>) -> Result<T, QueueError> {
        let error = match timeout(CALL_WITHIN, calling).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(Error::ServerError { protocol_error: ProtocolError::OffsetOutOfRange, .. })) => {
                return Err(QueueError::OutOfRange);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("Kafka does not answer within {CALL_WITHIN:?}"),
        };
        let mut connected = self.connected();
        connected.client = None;
        connected.partitions.clear();
        Err(QueueError::Failed(error))
    }

    async fn fetch_records(&self, partition: i32, offset: i64) -> Result<Fetched, QueueError> {
        let fetching = async {
            let client = self.partition(partition).await?;
            client.fetch_records(offset, 1..FETCH_BYTES_MAX, WAITS_MS).await
        };
        let (records, head) = self.call(fetching).await?;
        let records: Vec<_> = records
            .into_iter()
            .map(|record| Record { offset: record.offset, key: record.record.key, value: record.record.value })
            .collect();
        let next = match records.last() {
            Some(last) => last.offset + 1,
            None if head > offset => self.after_nothing(partition, offset),
            None => offset,
        };
        Ok(Fetched { records, next })
    }

    /// Where to go on when there is nothing at an offset and something after it.
    fn after_nothing(&self, partition: i32, offset: i64) -> i64 {
        let mut connected = self.connected();
        let (at, times) = connected.empty.entry(partition).or_insert((offset, 0));
        *times = if *at == offset { *times + 1 } else { 1 };
        *at = offset;
        if *times < EMPTY_MAX {
            return offset;
        }
        tracing::warn!(partition, offset, "what is there is no record; it is passed over");
        offset + 1
    }
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
            let topics = self.call(async { self.client().await?.list_topics().await }).await?;
            let topic = topics.into_iter().find(|topic| topic.name == *name);
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
        self.call(async move { self.partition(partition).await?.get_offset(at).await }).boxed()
    }

    fn fetch(&self, partition: i32, offset: i64) -> BoxFuture<'_, Result<Fetched, QueueError>> {
        self.fetch_records(partition, offset).boxed()
    }
}
