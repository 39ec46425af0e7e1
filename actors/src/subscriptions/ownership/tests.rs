//! The asker, driven by hand: time is moved, receivers answer what they are told to.

use std::sync::Mutex;

use chrono::{TimeDelta, Utc};
use millrace_model::ids::Hash32;
use millrace_model::subscription::Stopped;
use millrace_protocols::webhook::te;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::clock::ManualClock;
use crate::customer_keys::CustomerKeys;
use crate::delivery::address::Reach;
use crate::delivery::sinks::Sinks;
use crate::event_store::{Execution, Settings as StoreSettings};
use crate::subscriptions;
use crate::supervision::Registry;

/// What a receiver answers.
#[derive(Clone)]
enum Answering {
    With(te::Secret),
    Status(u16),
    Nothing,
}

struct Receiver {
    url: String,
    answering: Arc<Mutex<Answering>>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    async fn start(answering: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?a=b", listener.local_addr().unwrap());
        let answering = Arc::new(Mutex::new(answering));
        let (inside, mut tasks) = (Arc::clone(&answering), JoinSet::new());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(answer(stream, inside.lock().unwrap().clone()));
            }
        });
        Self { url, answering, _tasks: tasks }
    }

    fn answers(&self, answering: Answering) {
        *self.answering.lock().unwrap() = answering;
    }
}

async fn answer(mut stream: TcpStream, answering: Answering) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap() == 0 {
            return;
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.strip_prefix("GET ").unwrap().split(' ').next().unwrap();
    let url = reqwest::Url::parse(&format!("http://receiver{path}")).unwrap();
    let query: Vec<_> = url.query_pairs().collect();
    assert!(query.len() == 2 && query[0].0 == "a" && query[1].0 == "crc_token", "{path}");
    let (status, body) = match answering {
        Answering::With(secret) => (200, secret.answer(&query[1].1)),
        Answering::Status(status) => (status, String::new()),
        Answering::Nothing => return std::future::pending().await,
    };
    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
}

struct Rig {
    subscriptions: Subscriptions,
    clock: Arc<ManualClock>,
    _tree: Tree,
    _folder: TempDir,
}

impl Rig {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(chrono::DateTime::<Utc>::from_timestamp_secs(1_700_000_000).unwrap()));
        let tree = Tree::new(Registry::new(clock.clone()), 1);
        let path = folder.path().join("log.db");
        let settings = StoreSettings { path, execution: Execution::Inline, clock: clock.clone() };
        let store = Store::start(&tree, settings).unwrap();
        let keys = CustomerKeys::at(folder.path().join("keys.db"));
        let settings = subscriptions::Settings { keys, sinks: Sinks::webhooks(Reach::Sandbox), clock: clock.clone() };
        let subscriptions = subscriptions::start(&tree, store.clone(), settings).unwrap();
        store.ready().await;
        Self { subscriptions, clock, _tree: tree, _folder: folder }
    }

    fn asker(&self) -> Asker {
        let settings = Settings { runtime: Handle::current(), clock: self.clock.clone() };
        Asker::new(self.subscriptions.clone(), settings)
    }

    async fn subscribe(&self, customer: u8, receiver: &Receiver) -> te::Secret {
        let known = self.subscriptions.subscribe_customer(Hash32([customer; 32]), receiver.url.clone()).await.unwrap();
        known.endpoint.as_ref().unwrap().te().unwrap()
    }

    /// The only subscription there is, once it is so.
    async fn only(&self, is_so: impl Fn(&Known) -> bool) -> Arc<Known> {
        let mut lists = self.subscriptions.changes();
        let shown =
            lists.wait_for(|list| list.iter().flat_map(|list| list.values()).next().is_some_and(|known| is_so(known)));
        let shown = tokio::time::timeout(Duration::from_secs(30), shown).await.expect("it becomes so").unwrap();
        Arc::clone(shown.iter().flat_map(|list| list.values()).next().unwrap())
    }

    fn pass(&self, time: TimeDelta) {
        self.clock.advance(time);
    }
}

impl Asker {
    /// Asks who is due, waits for what comes of it, and says how long the next question waits.
    async fn round(&mut self) -> Duration {
        self.take_in(&self.subscriptions.list().unwrap_or_default());
        self.ask_who_is_due();
        while let Some(happened) = self.under_way.next().await {
            self.after(happened);
        }
        self.ask_who_is_due()
    }
}

#[tokio::test]
async fn trouble_that_may_pass_is_waited_out_and_the_right_answer_then_is_a_proof() {
    let (rig, receiver) = (Rig::start().await, Receiver::start(Answering::Status(503)).await);
    let secret = rig.subscribe(1, &receiver).await;
    let mut asker = rig.asker();
    let wait = asker.round().await;
    assert!((30..=31).contains(&wait.as_secs()), "{wait:?}");
    assert!(rig.only(|_| true).await.subscription.proof == Proof::Missing { failures: 0 }, "the round is not over");
    receiver.answers(Answering::With(secret));
    rig.pass(TimeDelta::seconds(31));
    asker.round().await;
    rig.only(|known| known.subscription.is_served()).await;
}

#[tokio::test]
async fn one_that_failed_is_asked_no_more_until_somebody_asks_for_it() {
    let wrong = te::Secret::derive(&[1; 32], b"another salt");
    let (rig, receiver) = (Rig::start().await, Receiver::start(Answering::With(wrong)).await);
    let secret = rig.subscribe(1, &receiver).await;
    let mut asker = rig.asker();
    asker.round().await;
    let failed = rig.only(|known| known.subscription.proof == Proof::Missing { failures: 1 }).await;
    receiver.answers(Answering::With(secret.clone()));
    rig.pass(TimeDelta::days(2));
    asker.round().await;
    assert_eq!(rig.only(|_| true).await.version, failed.version);
    assert!(rig.subscribe(1, &receiver).await == secret, "it is the same one");
    asker.round().await;
    rig.only(|known| known.subscription.is_served()).await;
}

#[tokio::test]
async fn a_proof_holds_for_a_day_and_after_a_start_is_asked_for_within_an_hour() {
    let (rig, receiver) = (Rig::start().await, Receiver::start(Answering::Status(503)).await);
    receiver.answers(Answering::With(rig.subscribe(1, &receiver).await));
    rig.asker().round().await;
    rig.only(|known| known.subscription.is_served()).await;
    receiver.answers(Answering::Status(404));
    let mut asker = rig.asker();
    for failures in 1..=3 {
        rig.pass(if failures == 1 { TimeDelta::zero() } else { TimeDelta::hours(23) });
        asker.round().await;
        let before = rig.only(|_| true).await.subscription.proof;
        assert_eq!(before, Proof::Given { failures: failures - 1 }, "its time has not come");
        rig.pass(TimeDelta::hours(1));
        asker.round().await;
        rig.only(|known| known.subscription.proof == Proof::Given { failures }).await;
    }
    let stopped = rig.only(|known| known.subscription.stopped == Some(Stopped::Unproved)).await;
    let (before, secret) = (stopped.subscription.id, stopped.endpoint.as_ref().unwrap().te().unwrap());
    assert!(rig.subscribe(1, &receiver).await != secret, "what was stopped makes room for a new one");
    assert_ne!(rig.only(|_| true).await.subscription.id, before);
}

#[tokio::test]
async fn only_so_many_are_asked_at_once() {
    let (rig, receiver) = (Rig::start().await, Receiver::start(Answering::Nothing).await);
    for customer in 0..=u8::try_from(AT_ONCE_MAX).unwrap() {
        rig.subscribe(customer, &receiver).await;
    }
    let mut asker = rig.asker();
    asker.take_in(&rig.subscriptions.list().unwrap());
    assert_eq!(asker.asked.len(), AT_ONCE_MAX + 1);
    for _ in 0..2 {
        asker.ask_who_is_due();
        assert_eq!(asker.under_way.len(), AT_ONCE_MAX);
    }
}
