//! The part with a queue in memory and receivers that keep what comes: who is told what, once, over starts too.

use std::sync::Mutex as StdMutex;

use futures::future::BoxFuture;
use millrace_model::ids::{Hash32, SubscriptionId};
use millrace_model::subscription::{Command, Stopped};
use millrace_protocols::delivery::verdict::Refusal;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::figures::Counted;
use super::memory::{Memories, body};
use super::*;
use crate::clock::SystemClock;
use crate::customer_keys::CustomerKeys;
use crate::delivery::address::Reach;
use crate::delivery::endpoint::{Content, Endpoint};
use crate::delivery::sinks::destination::{DestinationError, Kind};
use crate::delivery::sinks::{Channel, Ended, Message, Sink, Sinks};
use crate::event_store::{Execution, Settings as StoreSettings};
use crate::subscriptions;
use crate::supervision::Registry;

const CUSTOMER: Hash32 = Hash32([7; 32]);
const OTHER: Hash32 = Hash32([8; 32]);

/// What came, with whose it is.
type Arrived = Arc<StdMutex<Vec<(SubscriptionId, String)>>>;

/// Webhooks that keep what comes, or are gone.
#[derive(Clone, Default)]
struct Webhooks {
    arrived: Arrived,
    are_gone: Arc<StdMutex<bool>>,
}

struct Webhook(SubscriptionId, Webhooks);

impl Channel for Webhooks {
    fn sink(&self, endpoint: &Endpoint) -> Result<Arc<dyn Sink>, DestinationError> {
        assert_eq!(endpoint.content, Content::Text);
        Ok(Arc::new(Webhook(SubscriptionId(endpoint.id), self.clone())))
    }
}

impl Sink for Webhook {
    fn deliver<'a>(&'a self, message: Message<'a>) -> BoxFuture<'a, Ended> {
        let body = String::from_utf8(message.outgoing.body.to_vec()).unwrap();
        self.1.arrived.lock().unwrap().push((self.0, body));
        let ended = match *self.1.are_gone.lock().unwrap() {
            true => Ended::refused(Refusal::Receiver, "gone", Duration::ZERO),
            false => Ended::accepted(Duration::ZERO),
        };
        Box::pin(std::future::ready(ended))
    }
}

struct Desk {
    tree: Tree,
    subscriptions: Subscriptions,
    relay: Relay,
    queue: Arc<Memories>,
    webhooks: Webhooks,
    folder: TempDir,
}

impl Desk {
    async fn start(queue: &Arc<Memories>) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), queue, Webhooks::default()).await
    }

    async fn start_in(folder: TempDir, queue: &Arc<Memories>, webhooks: Webhooks) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let tree = Tree::new(Registry::new(Arc::clone(&clock)), 1);
        let at = |name: &str| folder.path().join(name);
        let settings = StoreSettings { path: at("log.db"), execution: Execution::Inline, clock: Arc::clone(&clock) };
        let store = Store::start(&tree, settings).unwrap();
        let sinks = Sinks::webhooks(Reach::Public).with(Kind::Webhook, Arc::new(webhooks.clone()));
        let settings =
            subscriptions::Settings { keys: CustomerKeys::at(at("keys.db")), sinks, clock: Arc::clone(&clock) };
        let subscriptions = subscriptions::start(&tree, store.clone(), settings).unwrap();
        subscriptions.changes().wait_for(Option::is_some).await.unwrap();
        let (window, kept) = (Duration::from_secs(3_600), Duration::from_secs(86_400));
        let settings = Settings {
            queue: Arc::clone(queue) as Arc<dyn Queue>,
            place: Place { reader: "ton.events".to_owned(), topic: "notifications-1".to_owned() },
            path: at(FILE),
            attempts_path: at(ATTEMPTS_FILE),
            memory: Memory { window, kept, bytes_max: file::BYTES_MAX },
            schedule: Schedule::TON_EVENTS,
            limits: Limits { kept, bytes_max: file::BYTES_MAX },
            runtime: Handle::current(),
            clock,
        };
        let relay = start(&tree, store, subscriptions.clone(), settings).unwrap();
        Self { tree, subscriptions, relay, queue: Arc::clone(queue), webhooks, folder }
    }

    /// After a start the relay knows of everybody before it reads.
    async fn again(self) -> Self {
        self.tree.shutdown(Duration::from_secs(10)).await;
        Self::start_in(self.folder, &self.queue, self.webhooks).await
    }

    /// One that proved that he holds the secret.
    async fn subscribe(&self, customer: Hash32, url: &str) -> SubscriptionId {
        let known = self.subscriptions.subscribe_customer(customer, url.to_owned()).await.unwrap();
        let id = known.subscription.id;
        let proved = Command::ProveOwnership { of: known.subscription.sealed_hash() };
        self.subscriptions.execute(id, proved).await.unwrap();
        id
    }

    async fn until(&self, is_so: impl Fn(Counted, u64) -> bool) -> Counted {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let (counted, delivered) = (self.relay.figures().counted(), self.relay.deliveries().arrived());
            if is_so(counted, delivered) {
                return counted;
            }
            assert!(Instant::now() < until, "{counted:?}, {delivered} delivered");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends records that nobody wants until one of them was read: then it was begun.
    async fn reads(&self) {
        self.queue.send(0, Hash32([9; 32]), "nobody's");
        while self.relay.figures().counted().undeliverable == 0 {
            self.queue.send(0, Hash32([9; 32]), "nobody's");
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn arrived(&self) -> Vec<(SubscriptionId, String)> {
        let mut arrived = self.webhooks.arrived.lock().unwrap().clone();
        arrived.sort();
        arrived
    }
}

#[tokio::test]
async fn each_customer_is_told_what_is_his_once_over_a_start_too() {
    let queue = Memories::with_partition(0);
    let desk = Desk::start(&queue).await;
    let his = desk.subscribe(CUSTOMER, "https://his.example/told").await;
    let others = desk.subscribe(OTHER, "https://others.example/told").await;
    let desk = desk.again().await;
    desk.reads().await;
    for (customer, key) in [(CUSTOMER, "one"), (CUSTOMER, "two"), (CUSTOMER, "one"), (OTHER, "one")] {
        queue.send(0, customer, key);
    }
    let counted = desk.until(|counted, delivered| counted.repeated == 1 && delivered == 3).await;
    assert_eq!((counted.accepted, counted.bad), (3, 0));

    let desk = desk.again().await;
    queue.send(0, CUSTOMER, "two");
    queue.send(0, CUSTOMER, "three");
    desk.until(|counted, delivered| counted.repeated == 1 && delivered == 1).await;
    let mut expected = vec![(his, body("one")), (his, body("two")), (his, body("three")), (others, body("one"))];
    expected.sort();
    assert_eq!(desk.arrived(), expected);
}

#[tokio::test]
async fn who_proved_nothing_or_is_gone_is_told_nothing_and_who_is_paused_later() {
    let queue = Memories::with_partition(0);
    let desk = Desk::start(&queue).await;
    let unproved =
        desk.subscriptions.subscribe_customer(CUSTOMER, "https://his.example/told".to_owned()).await.unwrap();
    let paused = desk.subscribe(OTHER, "https://others.example/told").await;
    desk.subscriptions.execute(paused, Command::PauseDelivery).await.unwrap();
    let desk = desk.again().await;
    desk.reads().await;
    let undeliverable = desk.relay.figures().counted().undeliverable;
    queue.send(0, CUSTOMER, "unheard");
    queue.send(0, OTHER, "later");
    desk.until(|counted, _| counted.accepted == 1 && counted.undeliverable > undeliverable).await;
    assert!(desk.arrived().is_empty());

    let desk = desk.again().await;
    desk.subscriptions.execute(paused, Command::ResumeDelivery).await.unwrap();
    desk.until(|_, delivered| delivered == 1).await;
    assert_eq!(desk.arrived(), [(paused, body("later"))]);

    *desk.webhooks.are_gone.lock().unwrap() = true;
    queue.send(0, OTHER, "last");
    let is_disabled = |list: &Option<subscriptions::List>| {
        let stopped = list.as_ref().and_then(|list| list.get(&paused)?.subscription.stopped.clone());
        matches!(stopped, Some(Stopped::Disabled { .. }))
    };
    desk.subscriptions.changes().wait_for(is_disabled).await.unwrap();
    assert_eq!(desk.arrived().len(), 2);
    assert!(!desk.subscriptions.list().unwrap()[&unproved.subscription.id].subscription.is_served());
}
