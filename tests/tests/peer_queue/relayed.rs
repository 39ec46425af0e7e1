//! The relay alone, with a desk's list of subscriptions: what came while nobody read, what is bad, and what is nobody's.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::customer_keys::CustomerKeys;
use millrace_actors::delivery::address::Reach;
use millrace_actors::delivery::attempts::Limits;
use millrace_actors::delivery::sinks::Sinks;
use millrace_actors::event_store::{Execution, Settings as StoreSettings, Store};
use millrace_actors::relay::figures::Counted;
use millrace_actors::relay::file::{BYTES_MAX, Memory, Place};
use millrace_actors::relay::kafka::{self, Encryption, Settings as QueueSettings};
use millrace_actors::relay::{self, Relay};
use millrace_actors::subscriptions::{self, Subscriptions};
use millrace_actors::supervision::{Registry, Tree};
use millrace_model::ids::Hash32;
use millrace_model::subscription::Command;
use millrace_protocols::delivery::policy::Schedule;
use millrace_protocols::relay::VALUE_BYTES_MAX;
use millrace_tests::peers::queue::Queue;
use millrace_tests::receiver::Receiver;
use rskafka::client::partition::Compression;
use tempfile::TempDir;

use super::provider::{Provider, TOPIC, value};
use super::raw;

const CUSTOMER: Hash32 = Hash32([7; 32]);
const STRANGER: Hash32 = Hash32([8; 32]);
const SOON: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

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
            encryption: Encryption::None,
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
            schedule: Schedule::TON_EVENTS,
            limits: Limits { kept: Duration::from_secs(86_400), bytes_max: BYTES_MAX },
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

    /// As one who asked at ton.events' door and proved that he holds the secret, which this is.
    async fn subscribe(&self, receiver: &Receiver) -> Result<()> {
        receiver.answers(http::StatusCode::OK).await;
        let known = self.subscriptions.subscribe_customer(CUSTOMER, receiver.url().to_owned()).await?;
        let proved = Command::ProveOwnership { of: known.subscription.sealed_hash() };
        self.subscriptions.execute(known.subscription.id, proved).await?;
        begun(&self.folder.path().join(relay::FILE)).await?;
        self.until("his messages are taken", |_, _| self.relay.figures().customers() == 1).await?;
        Ok(())
    }

    /// Waits until what was read and delivered is so.
    async fn until(&self, what: &str, is_so: impl Fn(Counted, u64) -> bool) -> Result<Counted> {
        let until = Instant::now() + SOON;
        loop {
            let (counted, arrived) = (self.relay.figures().counted(), self.relay.deliveries().arrived());
            if is_so(counted, arrived) {
                return Ok(counted);
            }
            ensure!(Instant::now() < until, "not yet: {what}; {counted:?}, {arrived} delivered");
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
async fn what_came_while_nobody_read_is_delivered_once_and_what_is_bad_or_nobodys_is_passed_over() -> Result<()> {
    let Some(queue) = Queue::start().await? else { return Ok(()) };
    let provider = Provider::at(&queue).await?;
    let (receiver, desk) = (Receiver::start().await?, Desk::start_in(tempfile::tempdir()?, &queue).await?);
    desk.subscribe(&receiver).await?;
    let (first, again, strangers) = (value(CUSTOMER, 1), value(CUSTOMER, 2), value(STRANGER, 3));
    provider.send(&[("key-1", &first)], Compression::NoCompression).await?;
    desk.until("it arrived", |_, arrived| arrived == 1).await?;
    let folder = desk.stop().await;

    let large = format!("{again}{}", "A".repeat(VALUE_BYTES_MAX));
    let long_key = "k".repeat(600);
    let produced = [
        ("key-1", &*again),
        ("bad", "{\"hash\": \"json\"}"),
        ("large", &*large),
        (&*long_key, &*again),
        ("", &*again),
        ("key-1", &*strangers),
        ("key-2", &*again),
    ];
    provider.send(&produced, Compression::Gzip).await?;
    let desk = Desk::start_in(folder, &queue).await?;
    let counted = desk.until("it arrived", |counted, arrived| counted.accepted == 1 && arrived == 1).await?;
    assert_eq!(counted, Counted { accepted: 1, repeated: 1, undeliverable: 1, bad: 4, ..Counted::default() });
    assert_eq!(receiver.told(2).await?.len(), 2);
    desk.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_the_client_cannot_read_are_passed_over_and_those_around_them_are_delivered() -> Result<()> {
    let Some(queue) = Queue::start().await? else { return Ok(()) };
    let provider = Provider::at(&queue).await?;
    let (receiver, desk) = (Receiver::start().await?, Desk::start_in(tempfile::tempdir()?, &queue).await?);
    desk.subscribe(&receiver).await?;
    let values = [value(CUSTOMER, 1), value(CUSTOMER, 2), value(CUSTOMER, 3)];
    provider.send(&[("key-1", &values[0])], Compression::NoCompression).await?;
    raw::produce(&queue.address, TOPIC, &raw::batch_of_an_impossible_time(&[("poison", values[1].as_str()); 3]))
        .await?;
    for compression in [Compression::Zstd, Compression::Snappy, Compression::Lz4] {
        provider.send(&[("key-3", &values[2])], compression).await?;
    }
    let counted = desk.until("both arrived", |counted, arrived| arrived == 2 && counted.repeated == 2).await?;
    assert_eq!(counted, Counted { accepted: 2, repeated: 2, bad: 3, ..Counted::default() });
    assert_eq!(receiver.told(2).await?.len(), 2);
    desk.stop().await;
    Ok(())
}
