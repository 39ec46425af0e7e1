//! The queue as Kafka has it: a client without a consumer group, since the file has the offsets.
//!
//! A connection is made by the first call that needs it, and anew by the first after something failed.

use std::collections::{BTreeSet, HashMap};
use std::error::Error as _;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use rskafka::BackoffConfig;
use rskafka::client::error::{Error, ProtocolError, RequestError};
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use rskafka::record::RecordAndOffset;
use rskafka::topic::Topic;
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
/// After nothing but empty answers for so long, and so many of them, although there is something that is not in a transaction any
/// more, it is taken for no record: the mark of a transaction. A broker may be slow to find a real one.
const EMPTY_FOR: Duration = Duration::from_secs(40);
const EMPTY_MIN: u32 = 20;
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
    /// Where there was nothing at an offset, although there is something.
    empty: HashMap<i32, Empty>,
}

/// Empty answers, one after the other.
#[derive(Debug, Clone, Copy)]
struct Empty {
    offset: i64,
    since: Instant,
    times: u32,
}

impl Empty {
    /// One that comes before those that count: when it was given, a transaction may have been under way.
    fn begun(offset: i64, now: Instant) -> Self {
        Self { offset, since: now, times: 0 }
    }

    /// One more, and whether they are enough to say that there is no record.
    fn is_enough(&mut self, now: Instant) -> bool {
        self.times += 1;
        self.times >= EMPTY_MIN && now.duration_since(self.since) >= EMPTY_FOR
    }
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

    /// One call about a partition, in time. After one that failed its next one connects anew; the others' connections stay.
    async fn call<T>(
        &self,
        partition: i32,
        calling: impl Future<Output = Result<T, QueueError>>,
    ) -> Result<T, QueueError> {
        let called = in_time(calling).await;
        if let Err(QueueError::Failed(_)) = &called {
            let mut known = self.known();
            known.clients.remove(&partition);
            known.empty.remove(&partition);
        }
        called
    }

    /// All topics, in time. Where that fails, what all share is made anew; partitions that are read keep what they have.
    async fn topics(&self) -> Result<Vec<Topic>, QueueError> {
        let listing = async { self.client().await?.list_topics().await.map_err(|error| failed(&error)) };
        let listed = in_time(listing).await;
        // Whoever makes one at this moment makes a new one.
        if listed.is_err()
            && let Ok(mut client) = self.client.try_lock()
        {
            *client = None;
        }
        listed
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
        let (records, head) = self.call(partition, fetching).await?;
        let next = match records.last() {
            Some(last) => last.offset + 1,
            None if head > offset => self.after_nothing(partition, offset).await?,
            None => offset,
        };
        Ok(Fetched { records: records.into_iter().map(record).collect(), next })
    }

    /// Where to go on when there is nothing at an offset and something is written behind it. It may be in a transaction that is
    /// under way, and is waited for; where none is, and every answer is empty for a long time, it is taken for no record.
    async fn after_nothing(&self, partition: i32, offset: i64) -> Result<i64, QueueError> {
        let stable = self.offset(partition, OffsetAt::Latest).await?;
        let mut known = self.known();
        if stable <= offset {
            known.empty.remove(&partition);
            return Ok(offset);
        }
        let now = Instant::now();
        let empty = known.empty.entry(partition).or_insert(Empty::begun(offset, now));
        if empty.offset != offset {
            *empty = Empty::begun(offset, now);
        }
        if !empty.is_enough(now) {
            return Ok(offset);
        }
        known.empty.remove(&partition);
        tracing::warn!(partition, offset, for_s = EMPTY_FOR.as_secs(), "nothing but empty answers: it is passed over");
        Ok(offset + 1)
    }

    async fn offset(&self, partition: i32, at: OffsetAt) -> Result<i64, QueueError> {
        let asking = async {
            let client = self.partition(partition).await?;
            client.get_offset(at).await.map_err(|error| failed(&error))
        };
        self.call(partition, asking).await
    }
}

/// Nobody is waited for without end.
async fn in_time<T>(calling: impl Future<Output = Result<T, QueueError>>) -> Result<T, QueueError> {
    let called = timeout(CALL_WITHIN, calling).await;
    called.unwrap_or_else(|_| Err(QueueError::Failed(format!("no answer within {CALL_WITHIN:?}"))))
}

fn record(RecordAndOffset { record, offset }: RecordAndOffset) -> Record {
    Record { offset, key: record.key, value: record.value }
}

/// What it means that records were not fetched.
fn judged(error: &Error) -> QueueError {
    match error {
        Error::ServerError { protocol_error: ProtocolError::OffsetOutOfRange, .. } => QueueError::OutOfRange,
        Error::InvalidResponse(what) if is_time(what) => QueueError::Unreadable(said(error)),
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

/// Whether it is a record's time that is impossible. Else the answer has something wrong around its records, or was one about who
/// leads the partition, and says nothing of them. That a broker finds its own disk corrupt is no matter of the records either:
/// another replica may be sound.
fn is_time(what: &str) -> bool {
    ["Timestamp overflow", "Not a valid timestamp", "Ambiguous timestamp"].iter().any(|time| what.starts_with(time))
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
            let topic = self.topics().await?.into_iter().find(|topic| topic.name == *name);
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

#[cfg(test)]
mod tests {
    use rskafka::client::error::RequestContext;

    use super::*;

    fn judged_as(error: Error) -> &'static str {
        match judged(&error) {
            QueueError::OutOfRange => "out of range",
            QueueError::Unreadable(_) => "unreadable",
            QueueError::Failed(_) => "failed",
        }
    }

    fn server(protocol_error: ProtocolError) -> Error {
        let request = RequestContext::Partition("t".to_owned(), 0);
        Error::ServerError { protocol_error, error_message: None, request, response: None, is_virtual: false }
    }

    #[test]
    fn only_what_is_wrong_with_records_is_unreadable() {
        let invalid = |what: &str| judged_as(Error::InvalidResponse(what.to_owned()));
        assert_eq!(judged_as(server(ProtocolError::OffsetOutOfRange)), "out of range");
        assert_eq!(judged_as(server(ProtocolError::CorruptMessage)), "failed", "another replica may be sound");
        assert_eq!(judged_as(server(ProtocolError::NotLeaderOrFollower)), "failed");
        assert_eq!(invalid("Partition leader 3 not found in metadata response"), "failed");
        assert_eq!(invalid("Expected a single topic in response, got 0"), "failed");
        assert_eq!(invalid("Not a valid timestamp (9223372036854775807)"), "unreadable");
        assert_eq!(invalid("Timestamp overflow (first_timestamp=9223372036854775807, delta=1"), "unreadable");
    }

    #[test]
    fn only_a_long_time_of_empty_answers_says_that_there_is_no_record() {
        let begun = Instant::now();
        let mut empty = Empty::begun(7, begun);
        let enough = (0..100).position(|second| empty.is_enough(begun + Duration::from_secs(second)));
        assert_eq!(enough, Some(40));
        let mut rare = Empty::begun(7, begun);
        let enough = (0..100).position(|_| rare.is_enough(begun + EMPTY_FOR));
        assert_eq!(enough, Some(19), "a few that came late are not enough");
    }

    #[tokio::test]
    async fn a_partition_that_fails_takes_nothing_from_the_others() {
        let settings = Settings {
            brokers: Vec::new(),
            topic: "t".to_owned(),
            client: "c".to_owned(),
            encryption: Encryption::None,
            account: None,
        };
        let kafka = Kafka::new(settings);
        let now = Instant::now();
        kafka.known().empty.extend([(0, Empty::begun(1, now)), (1, Empty::begun(1, now))]);
        let failing = async { Err::<(), _>(QueueError::Failed("gone".to_owned())) };
        kafka.call(0, failing).await.unwrap_err();
        assert_eq!(kafka.known().empty.keys().copied().collect::<Vec<_>>(), [1]);
    }
}
