//! Subscriptions over a log of their own, and what the engine is told of them.

use std::fs;

use chrono::TimeDelta;
use millrace_model::ids::Hash32;
use millrace_model::subscription::{Dialect, Disabling, Ending, Order, Schedule};
use millrace_protocols::webhook::sign::Key;
use tempfile::TempDir;

use super::endpoint::new_secret;
use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::delivery::address::Reach;
use crate::delivery::endpoint as delivery_endpoint;
use crate::delivery::endpoint::Service;
use crate::delivery::engine::Command as ToEngine;
use crate::delivery::sinks::destination::Kind;
use crate::delivery::sinks::{Channel, Sink};
use crate::event_store::{Execution, Settings as StoreSettings};
use crate::supervision::Registry;

struct Desk {
    tree: Tree,
    store: Store,
    subscriptions: Subscriptions,
    folder: TempDir,
}

impl Desk {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    async fn start_in(folder: TempDir) -> Self {
        Self::start_with(folder, Sinks::webhooks(Reach::Public)).await
    }

    async fn start_with(folder: TempDir, sinks: Sinks) -> Self {
        let tree = Tree::new(Registry::new(Arc::new(SystemClock)), 1);
        let path = folder.path().join("log.db");
        let settings = StoreSettings { path, execution: Execution::Inline, clock: Arc::new(SystemClock) };
        let store = Store::start(&tree, settings).unwrap();
        let keys = CustomerKeys::at(folder.path().join("keys.db"));
        let settings = Settings { keys, sinks, clock: Arc::new(SystemClock) };
        let subscriptions = start(&tree, store.clone(), settings).unwrap();
        let mut list = subscriptions.changes();
        list.wait_for(Option::is_some).await.unwrap();
        Self { tree, store, subscriptions, folder }
    }

    async fn again(self) -> Self {
        self.tree.shutdown(Duration::from_secs(4)).await;
        Self::start_in(self.folder).await
    }

    async fn subscribe(&self, wanted: Wanted) -> Arc<Known> {
        self.subscriptions.subscribe(wanted).await.unwrap()
    }
}

fn terms() -> Terms {
    Terms {
        events: vec!["*".to_owned()],
        customer: None,
        dialect: Dialect::Standard,
        schedule: Schedule::Standard,
        order: Order::Any,
        rate_per_s: None,
    }
}

fn wanted(url: &str) -> Wanted {
    let endpoint = Endpoint::new(url.to_owned(), new_secret());
    Wanted { endpoint, terms: terms(), ownership: Ownership::Vouched }
}

const URL: &str = "https://shop.example/told";

#[tokio::test]
async fn what_somebody_wants_is_listed_and_again_after_a_start() {
    let desk = Desk::start().await;
    let known = desk.subscribe(wanted(URL)).await;
    let id = known.subscription.id;
    let listed = |desk: &Desk| desk.subscriptions.list().unwrap().get(&id).cloned().unwrap();
    assert_eq!(listed(&desk).endpoint.as_ref().unwrap().url, URL);
    desk.subscriptions.execute(id, Command::PauseDelivery).await.unwrap();

    let desk = desk.again().await;
    assert!(!listed(&desk).subscription.is_served() && listed(&desk).begun == known.begun);
    let over = Command::Unsubscribe { why: Ending::Wanted };
    desk.subscriptions.execute(id, over).await.unwrap();
    assert!(desk.subscriptions.list().unwrap().is_empty());
    assert!(desk.again().await.subscriptions.list().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_is_told_at_an_address_inside_and_nothing_is_stored_of_it() {
    let desk = Desk::start().await;
    for url in ["http://shop.example/", "https://127.0.0.1/", "https://[fd00::1]/", "https://localhost/", "shop"] {
        let refused = desk.subscriptions.subscribe(wanted(url)).await;
        assert!(matches!(refused, Err(SubscribeError::Address(_))), "{url}");
    }
    assert_eq!(desk.store.head(), 0);
}

/// A broker that nobody publishes to.
struct Broker;

impl Channel for Broker {
    fn sink(&self, _: &delivery_endpoint::Endpoint) -> Result<Arc<dyn Sink>, DestinationError> {
        Err(DestinationError::Unfit)
    }
}

#[tokio::test]
async fn only_what_the_operator_vouches_for_leads_to_a_broker() {
    let sinks = Sinks::webhooks(Reach::Public).with(Kind::Nats, Arc::new(Broker));
    let desk = Desk::start_with(tempfile::tempdir().unwrap(), sinks).await;
    let vouched = desk.subscribe(wanted("nats:desk.deposits")).await;
    assert_eq!(vouched.endpoint.as_ref().unwrap().url, "nats:desk.deposits");
    let refused = |done: Done| match done {
        Err(SubscribeError::Address(error)) => error,
        other => panic!("{other:?}"),
    };
    let unproved = Wanted { ownership: Ownership::ToBeProved, ..wanted("nats:desk.deposits") };
    assert_eq!(refused(desk.subscriptions.subscribe(unproved).await), DestinationError::NotVouched);
    let customer = Hash32([7; 32]);
    let his = desk.subscriptions.subscribe_customer(customer, "nats:desk.deposits".to_owned()).await;
    assert_eq!(refused(his), DestinationError::NotVouched);
    let his = desk.subscriptions.subscribe_customer(customer, URL.to_owned()).await.unwrap().subscription.id;
    let elsewhere = Patch { url: Some("nats:desk.deposits".to_owned()), ..Patch::default() };
    assert_eq!(refused(desk.subscriptions.patch(his, elsewhere).await), DestinationError::NotVouched);
    let missing = refused(desk.subscriptions.subscribe(wanted("mqtt:desk")).await).to_string();
    assert!(missing.contains("mqtt"), "{missing}");

    assert_eq!(desk.subscriptions.way(&vouched), Ok(()));
    let without = desk.again().await;
    assert!(without.subscriptions.way(&vouched).unwrap_err().to_string().contains("nats"));
    let told = delivery::commands(None, &vouched, without.subscriptions.sinks(), DateTime::UNIX_EPOCH);
    assert!(matches!(told[..], [ToEngine::Pause(_)]), "{told:?}");
}

#[tokio::test]
async fn a_customer_has_so_many_and_no_more_however_fast_he_asks() {
    let desk = Desk::start().await;
    let of_somebody = || {
        let mut wanted = wanted(URL);
        wanted.terms.customer = Some(Hash32([7; 32]));
        desk.subscriptions.subscribe(wanted)
    };
    let asked = futures::future::join_all((0..OF_A_CUSTOMER_MAX + 3).map(|_| of_somebody())).await;
    assert_eq!(asked.iter().filter(|done| done.is_ok()).count(), OF_A_CUSTOMER_MAX);
    assert_eq!(asked.iter().filter(|done| matches!(done, Err(SubscribeError::CustomerFull))).count(), 3);
}

#[tokio::test]
async fn without_its_key_nobody_knows_where_it_leads_and_with_it_again_everybody() {
    let desk = Desk::start().await;
    let id = desk.subscribe(wanted(URL)).await.subscription.id;
    let (keys, aside) = (desk.folder.path().join("keys.db"), desk.folder.path().join("aside"));
    desk.tree.shutdown(Duration::from_secs(4)).await;
    fs::rename(&keys, &aside).unwrap();
    let desk = Desk::start_in(desk.folder).await;
    let endpoint = |desk: &Desk| desk.subscriptions.list().unwrap()[&id].endpoint.clone();
    assert_eq!(endpoint(&desk), Err(NotOpen::NoKey));
    assert!(desk.subscriptions.patch(id, Patch::default()).await.is_err(), "what cannot be read is not changed");
    fs::rename(&aside, &keys).unwrap();
    desk.subscriptions.execute(id, Command::PauseDelivery).await.unwrap();
    assert_eq!(endpoint(&desk).unwrap().url, URL);
}

#[tokio::test]
async fn another_secret_signs_beside_the_one_before_until_that_ends() {
    let desk = Desk::start().await;
    let known = desk.subscribe(wanted(URL)).await;
    let clock = ManualClock::new(DateTime::UNIX_EPOCH);
    let until = clock.now() + TimeDelta::hours(1);
    let patch = Patch { rotation: Some((Secret::new(new_secret()), until)), ..Patch::default() };
    let rotated = desk.subscriptions.patch(known.subscription.id, patch).await.unwrap();
    let endpoint = rotated.endpoint.as_ref().unwrap();
    let signatures = |now| endpoint.signer(now).unwrap().signature("id", 1, b"").split(' ').count();
    assert_eq!((signatures(clock.now()), endpoint.next_end(clock.now())), (2, Some(until)));
    assert_eq!((signatures(until), endpoint.next_end(until)), (1, None));
    let newest = &endpoint.secrets[0].text;
    assert_ne!(*newest, known.endpoint.as_ref().unwrap().secrets[0].text);
    assert!(newest.parse().map(Key::Symmetric).is_ok());
}

/// What the engine is told, in a word each.
fn told(before: Option<&Known>, known: &Known) -> Vec<&'static str> {
    let word = |command: &ToEngine| match command {
        ToEngine::Put(endpoint) if endpoint.service == Service::Running => "put",
        ToEngine::Put(_) => "put paused",
        ToEngine::Pause(_) => "pause",
        ToEngine::Resume(_) => "resume",
        ToEngine::Remove(_) => "remove",
        ToEngine::MoveCursor { .. } => "move",
        ToEngine::Resend { .. } | ToEngine::Sum { .. } | ToEngine::Show { .. } => "other",
    };
    delivery::commands(before, known, &Sinks::webhooks(Reach::Public), DateTime::UNIX_EPOCH).iter().map(word).collect()
}

#[tokio::test]
async fn the_engine_is_told_what_changed_and_at_a_start_only_how_things_stand() {
    let desk = Desk::start().await;
    let fresh = desk.subscribe(wanted(URL)).await;
    let id = fresh.subscription.id;
    let after = async |command| desk.subscriptions.execute(id, command).await.unwrap();
    assert_eq!(told(None, &fresh), ["put"]);
    let disabled = after(Command::DisableDelivery { why: Disabling::Gone }).await;
    assert_eq!(told(Some(&fresh), &disabled), ["put paused"]);
    let resumed = after(Command::ResumeDelivery).await;
    assert_eq!(told(Some(&disabled), &resumed), ["put", "resume"]);
    assert_eq!(told(None, &resumed), ["put"], "what its receiver asked for holds over a start");

    let moved = after(Command::MoveCursor { after: 0 }).await;
    assert_eq!(told(Some(&resumed), &moved), ["put", "move"]);
    let again = after(Command::MoveCursor { after: 0 }).await;
    assert_eq!(told(Some(&moved), &again), ["put", "move"], "asked again is told again");
    assert_eq!(told(None, &again), ["put"]);
    let lost = Known { endpoint: Err(NotOpen::NoKey), ..Known::clone(&again) };
    assert_eq!(told(Some(&again), &lost), ["pause"]);
}
