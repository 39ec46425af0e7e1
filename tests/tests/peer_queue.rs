//! Others' notifications, read from a real broker and delivered to receivers that check what comes: ton.events' own local test,
//! and what is produced while nobody reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::customer_keys::CustomerKeys;
use millrace_actors::delivery::address::Reach;
use millrace_actors::delivery::sinks::Sinks;
use millrace_actors::event_store::{Execution, Settings as StoreSettings, Store};
use millrace_actors::relay::figures::Counted;
use millrace_actors::relay::file::{BYTES_MAX, Memory, Place};
use millrace_actors::relay::kafka::{self, Settings as QueueSettings};
use millrace_actors::relay::{self, Relay};
use millrace_actors::subscriptions::{self, Subscriptions};
use millrace_actors::supervision::{Registry, Tree};
use millrace_model::ids::Hash32;
use millrace_model::subscription::Command;
use millrace_protocols::webhook::te;
use millrace_tests::peers::queue::Queue;
use millrace_tests::receiver::{Receiver, header};
use rskafka::chrono::DateTime;
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::record::Record;
use tempfile::TempDir;

const TOPIC: &str = "notifications-1";
const CUSTOMER: Hash32 = Hash32([7; 32]);
const STRANGER: Hash32 = Hash32([8; 32]);
const NONCE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const SOON: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Whoever fills the queue.
struct Provider(PartitionClient);

impl Provider {
    async fn at(queue: &Queue) -> Result<Self> {
        let client = ClientBuilder::new(vec![queue.address.clone()]).build().await?;
        client.controller_client()?.create_topic(TOPIC, 1, 1, 5_000).await?;
        Ok(Self(client.partition_client(TOPIC, 0, UnknownTopicHandling::Retry).await?))
    }

    async fn send(&self, records: &[(&str, &str)], compression: Compression) -> Result<()> {
        let record = |(key, value): &(&str, &str)| Record {
            key: Some(key.as_bytes().to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: BTreeMap::new(),
            timestamp: DateTime::UNIX_EPOCH,
        };
        self.0.produce(records.iter().map(record).collect(), compression).await?;
        Ok(())
    }
}

/// A message for somebody, of which there is no other with this number.
fn value(customer: Hash32, number: u8) -> String {
    format!("{customer} {NONCE} {}AAAAAAAAAAAAAAAAAAAAAA", char::from(b'A' + number))
}

/// The relay with what it needs of a desk.
struct Desk {
    tree: Tree,
    subscriptions: Subscriptions,
    relay: Relay,
    folder: TempDir,
}

impl Desk {
    async fn start_in(folder: TempDir, queue: &Queue) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let tree = Tree::new(Registry::new(Arc::clone(&clock)), 1);
        let at = |name: &str| folder.path().join(name);
        let settings = StoreSettings { path: at("log.db"), execution: Execution::Inline, clock: Arc::clone(&clock) };
        let store = Store::start(&tree, settings)?;
        let sinks = Sinks::webhooks(Reach::Sandbox);
        let settings =
            subscriptions::Settings { keys: CustomerKeys::at(at("keys.db")), sinks, clock: Arc::clone(&clock) };
        let subscriptions = subscriptions::start(&tree, store.clone(), settings)?;
        subscriptions.changes().wait_for(Option::is_some).await?;
        let settings = QueueSettings {
            brokers: vec![queue.address.clone()],
            topic: TOPIC.to_owned(),
            client: "ton.events".to_owned(),
            account: None,
        };
        let settings = relay::Settings {
            queue: kafka::queue(settings).context("built with Kafka")?,
            place: Place { reader: "ton.events".to_owned(), topic: TOPIC.to_owned() },
            path: at(relay::FILE),
            attempts_path: at(relay::ATTEMPTS_FILE),
            memory: Memory {
                window: Duration::from_secs(3_600),
                kept: Duration::from_secs(86_400),
                bytes_max: BYTES_MAX,
            },
            attempts_kept: Duration::from_secs(86_400),
            runtime: tokio::runtime::Handle::current(),
            clock,
        };
        let relay = relay::start(&tree, store, subscriptions.clone(), settings)?;
        Ok(Self { tree, subscriptions, relay, folder })
    }

    async fn stop(self) -> TempDir {
        self.tree.shutdown(Duration::from_secs(10)).await;
        self.folder
    }

    /// After a start the relay knows of everybody before it reads.
    async fn again(self, queue: &Queue) -> Result<Self> {
        begun(&self.folder.path().join(relay::FILE)).await?;
        Self::start_in(self.stop().await, queue).await
    }

    /// As one who asked at ton.events' door and proved that he holds the secret, which this is.
    async fn subscribe(&self, receiver: &Receiver) -> Result<te::Secret> {
        let known = self.subscriptions.subscribe_customer(CUSTOMER, receiver.url().to_owned()).await?;
        let secret = known.endpoint.clone()?.te_secret.context("a secret")?;
        self.subscriptions.execute(known.subscription.id, Command::ProveOwnership).await?;
        Ok(te::Secret::from_hex(&secret)?)
    }

    /// Waits until what was read and delivered is so.
    async fn counted(&self, is_so: impl Fn(Counted, u64) -> bool) -> Result<Counted> {
        let until = Instant::now() + SOON;
        loop {
            let (counted, arrived) = (self.relay.figures().counted(), self.relay.deliveries().arrived());
            if is_so(counted, arrived) {
                return Ok(counted);
            }
            ensure!(Instant::now() < until, "{counted:?}, {arrived} delivered");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Waits until it is stored where the queue is read from.
async fn begun(file: &Path) -> Result<()> {
    let until = Instant::now() + SOON;
    loop {
        let connection = rusqlite::Connection::open(file)?;
        let count = connection.query_row("SELECT count(*) FROM offsets", [], |row| row.get::<_, u64>(0));
        if count.is_ok_and(|count| count > 0) {
            return Ok(());
        }
        ensure!(Instant::now() < until, "the queue is not read");
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_records_two_with_one_key_are_two_deliveries_and_none_the_second_time() -> Result<()> {
    let Some(queue) = Queue::start().await? else { return Ok(()) };
    let provider = Provider::at(&queue).await?;
    let values = [value(CUSTOMER, 0), value(CUSTOMER, 1), value(CUSTOMER, 2)];
    let records = values.each_ref().map(String::as_str);
    provider.send(&[("before", records[0])], Compression::NoCompression).await?;
    let (receiver, desk) = (Receiver::start().await?, Desk::start_in(tempfile::tempdir()?, &queue).await?);
    receiver.answers(http::StatusCode::OK).await;
    let secret = desk.subscribe(&receiver).await?;
    let desk = desk.again(&queue).await?;

    let produced = [("key-1", records[0]), ("key-2", records[1]), ("key-1", records[2])];
    provider.send(&produced, Compression::NoCompression).await?;
    let counted = desk.counted(|counted, arrived| counted.accepted + counted.repeated == 3 && arrived == 2).await?;
    assert_eq!(counted, Counted { accepted: 2, repeated: 1, ..Counted::default() });
    let mut bodies = Vec::new();
    for (headers, body) in receiver.told(2).await? {
        assert_eq!(
            (header(&headers, "content-type"), header(&headers, "x-te-signature")),
            ("text/plain", &*secret.sign(&body))
        );
        bodies.push(format!("{CUSTOMER} {}", std::str::from_utf8(&body)?));
    }
    bodies.sort();
    assert_eq!(bodies, records[..2]);

    provider.send(&produced, Compression::NoCompression).await?;
    let counted = desk.counted(|counted, _| counted.accepted + counted.repeated == 6).await?;
    assert_eq!((counted.accepted, counted.repeated), (2, 4));
    // Another one that arrives says that those before it would have.
    provider.send(&[("key-3", records[2])], Compression::NoCompression).await?;
    desk.counted(|_, arrived| arrived == 3).await?;
    assert_eq!(receiver.told(3).await?.len(), 3);
    desk.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_while_nobody_read_is_delivered_once_and_what_is_bad_or_nobodys_is_passed_over() -> Result<()> {
    let Some(queue) = Queue::start().await? else { return Ok(()) };
    let provider = Provider::at(&queue).await?;
    let (receiver, desk) = (Receiver::start().await?, Desk::start_in(tempfile::tempdir()?, &queue).await?);
    receiver.answers(http::StatusCode::OK).await;
    desk.subscribe(&receiver).await?;
    let desk = desk.again(&queue).await?;
    let first = value(CUSTOMER, 1);
    provider.send(&[("key-1", first.as_str())], Compression::NoCompression).await?;
    desk.counted(|_, arrived| arrived == 1).await?;
    let folder = desk.stop().await;

    let (again, strangers) = (value(CUSTOMER, 2), value(STRANGER, 3));
    let produced =
        [("key-1", again.as_str()), ("bad", "hello"), ("key-1", strangers.as_str()), ("key-2", again.as_str())];
    provider.send(&produced, Compression::Gzip).await?;
    let desk = Desk::start_in(folder, &queue).await?;
    let counted = desk.counted(|counted, arrived| counted.accepted == 1 && arrived == 1).await?;
    assert_eq!(counted, Counted { accepted: 1, repeated: 1, undeliverable: 1, bad: 1, ..Counted::default() });
    assert_eq!(receiver.told(2).await?.len(), 2);
    desk.stop().await;
    Ok(())
}
