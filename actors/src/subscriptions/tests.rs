//! Subscriptions over a log of their own, and what the engine is told of them.

use std::fs;

use chrono::TimeDelta;
use millrace_model::ids::{Hash32, StreamName};
use millrace_model::operator::By;
use millrace_model::subscription::{Dialect, Disabling, Ending, Order, Schedule};
use millrace_protocols::webhook::sign::Key;
use tempfile::TempDir;

use super::endpoint::new_secret;
use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::delivery::address::Reach;
use crate::delivery::endpoint as delivery_endpoint;
use crate::delivery::endpoint::{Moved, Service, Told};
use crate::delivery::engine::Command as ToEngine;
use crate::delivery::sinks::destination::Kind;
use crate::delivery::sinks::{Channel, Sink};
use crate::event_store::poison::set_kind;
use crate::event_store::{Execution, Settings as StoreSettings};
use crate::supervision::{PartHealth, Registry};

struct Desk {
    clock: Arc<ManualClock>,
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
        Self::start_at(folder, Arc::new(ManualClock::new(SystemClock.now()))).await
    }

    async fn start_at(folder: TempDir, clock: Arc<ManualClock>) -> Self {
        Self::start_with(folder, clock, Sinks::webhooks(Reach::Public)).await
    }

    async fn start_with(folder: TempDir, clock: Arc<ManualClock>, sinks: Sinks) -> Self {
        let tree = Tree::new(Registry::new(clock.clone()), 1);
        let path = folder.path().join("log.db");
        let settings = StoreSettings { path, execution: Execution::Inline, clock: clock.clone() };
        let store = Store::start(&tree, settings).unwrap();
        let keys = CustomerKeys::at(folder.path().join("keys.db"));
        let settings = Settings { keys, sinks, clock: clock.clone() };
        let subscriptions = start(&tree, store.clone(), settings).unwrap();
        let mut list = subscriptions.changes();
        list.wait_for(Option::is_some).await.unwrap();
        Self { clock, tree, store, subscriptions, folder }
    }

    async fn again(self) -> Self {
        self.tree.shutdown(Duration::from_secs(4)).await;
        Self::start_at(self.folder, self.clock).await
    }

    async fn subscribe(&self, wanted: Wanted) -> Arc<Known> {
        self.subscriptions.subscribe(wanted, By::Token).await.unwrap()
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
        let refused = desk.subscriptions.subscribe(wanted(url), By::Token).await;
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
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let desk = Desk::start_with(tempfile::tempdir().unwrap(), clock, sinks).await;
    let vouched = desk.subscribe(wanted("nats:desk.deposits")).await;
    assert_eq!(vouched.endpoint.as_ref().unwrap().url, "nats:desk.deposits");
    let refused = |done: Done| match done {
        Err(SubscribeError::Address(error)) => error,
        other => panic!("{other:?}"),
    };
    let unproved = Wanted { ownership: Ownership::ToBeProved, ..wanted("nats:desk.deposits") };
    assert_eq!(refused(desk.subscriptions.subscribe(unproved, By::Token).await), DestinationError::NotVouched);
    let customer = Hash32([7; 32]);
    let his = desk.subscriptions.subscribe_customer(customer, "nats:desk.deposits".to_owned()).await;
    assert_eq!(refused(his), DestinationError::NotVouched);
    let his = desk.subscriptions.subscribe_customer(customer, URL.to_owned()).await.unwrap().subscription.id;
    let elsewhere = Patch { url: Some("nats:desk.deposits".to_owned()), ..Patch::default() };
    assert_eq!(refused(desk.subscriptions.patch(his, elsewhere, By::Token).await), DestinationError::NotVouched);
    let missing = refused(desk.subscriptions.subscribe(wanted("mqtt:desk"), By::Token).await).to_string();
    assert!(missing.contains("mqtt"), "{missing}");

    assert_eq!(desk.subscriptions.way(&vouched), Ok(()));
    let without = desk.again().await;
    assert!(without.subscriptions.way(&vouched).unwrap_err().to_string().contains("nats"));
    assert_eq!(told(&vouched).0, "pause");
}

#[tokio::test]
async fn a_customer_has_so_many_and_no_more_however_fast_he_asks() {
    let desk = Desk::start().await;
    let of_somebody = || {
        let mut wanted = wanted(URL);
        wanted.terms.customer = Some(Hash32([7; 32]));
        desk.subscriptions.subscribe(wanted, By::Token)
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
    assert!(
        desk.subscriptions.patch(id, Patch::default(), By::Token).await.is_err(),
        "what cannot be read is not changed"
    );
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
    let rotated = desk.subscriptions.patch(known.subscription.id, patch, By::Token).await.unwrap();
    let endpoint = rotated.endpoint.as_ref().unwrap();
    let signatures = |now| endpoint.signer(now).unwrap().signature("id", 1, b"").split(' ').count();
    assert_eq!((signatures(clock.now()), endpoint.next_end(clock.now())), (2, Some(until)));
    assert_eq!((signatures(until), endpoint.next_end(until)), (1, None));
    let newest = &endpoint.secrets[0].text;
    assert_ne!(*newest, known.endpoint.as_ref().unwrap().secrets[0].text);
    assert!(newest.parse().map(Key::Symmetric).is_ok());
}

const KEPT: Kept = Kept { unproved_s: 3_600, idle_s: 30 * 86_400 };

impl Desk {
    async fn of_customer(&self, url: &str) -> Done {
        self.subscriptions.subscribe_customer(Hash32([7; 32]), url.to_owned()).await
    }

    async fn execute(&self, id: SubscriptionId, command: Command) -> Arc<Known> {
        self.subscriptions.execute(id, command).await.unwrap()
    }

    async fn prove(&self, id: SubscriptionId) {
        let of = self.subscriptions.list().unwrap()[&id].subscription.sealed_hash();
        self.execute(id, Command::ProveOwnership { of }).await;
    }

    /// Ends those whose time has come; says how many.
    async fn end(&self) -> usize {
        self.subscriptions.end_unserved(KEPT).await.unwrap()
    }

    /// Waits until these are left.
    async fn left(&self, ids: &[SubscriptionId]) {
        let (mut lists, mut ids) = (self.subscriptions.changes(), ids.to_vec());
        // Those of one moment have no order among them.
        ids.sort_unstable();
        let left = lists.wait_for(|list| list.as_ref().is_some_and(|list| list.keys().eq(&ids)));
        tokio::time::timeout(Duration::from_secs(30), left).await.expect("these are left").unwrap();
    }
}

#[tokio::test]
async fn who_never_proved_himself_is_gone_after_an_hour_with_his_key_and_who_did_stays() {
    let desk = Desk::start().await;
    let never = desk.of_customer(URL).await.unwrap();
    let proved = desk.of_customer("https://other.example/").await.unwrap().subscription.id;
    desk.prove(proved).await;
    let disabled = desk.subscribe(wanted(URL)).await.subscription.id;
    desk.execute(disabled, Command::DisableDelivery { why: Disabling::Exhausted }).await;
    assert_eq!(desk.end().await, 0);
    desk.left(&[never.subscription.id, proved, disabled]).await;
    desk.clock.advance(TimeDelta::hours(1));
    assert_eq!(desk.end().await, 1);
    desk.left(&[proved, disabled]).await;
    let keys = CustomerKeys::at(desk.folder.path().join("keys.db"));
    let sealed = &never.subscription.sealed;
    assert_eq!(Endpoint::open(&keys, never.subscription.id, sealed), Err(NotOpen::Forgotten));

    desk.clock.advance(TimeDelta::days(29));
    desk.execute(disabled, Command::MoveCursor { after: 0 }).await;
    let desk = desk.again().await;
    desk.clock.advance(TimeDelta::hours(22));
    assert_eq!(desk.end().await, 0);
    desk.clock.advance(TimeDelta::hours(1));
    assert_eq!(desk.end().await, 1, "it was disabled a month ago");
    desk.left(&[proved]).await;
}

#[tokio::test]
async fn the_key_of_one_that_ended_in_a_crash_is_swept_and_no_other() {
    let desk = Desk::start().await;
    let over = desk.subscribe(wanted(URL)).await;
    let stands = desk.subscribe(wanted(URL)).await;
    let id = over.subscription.id;
    desk.tree.shutdown(Duration::from_secs(4)).await;
    let (keys, aside) = (desk.folder.path().join("keys.db"), desk.folder.path().join("aside"));
    // The end is stored, and its key cannot be destroyed.
    fs::rename(&keys, &aside).unwrap();
    let desk = Desk::start_in(desk.folder).await;
    desk.execute(id, Command::Unsubscribe { why: Ending::Wanted }).await;
    fs::rename(&aside, &keys).unwrap();
    let keys = CustomerKeys::at(keys);
    keys.seal(&"subscription/unheard-of".parse().unwrap(), "elsewhere", "text").unwrap();
    let opened = |known: &Known| Endpoint::open(&keys, known.subscription.id, &known.subscription.sealed);
    assert!(opened(&over).is_ok());
    let desk = desk.again().await;
    endings::start(&desk.tree, desk.store.clone(), desk.subscriptions.clone(), KEPT).unwrap();
    let is_gone = async {
        while opened(&over) != Err(NotOpen::Forgotten) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is_gone).await.expect("it is destroyed at a start");
    assert!(opened(&stands).is_ok());
    assert_eq!(desk.subscriptions.sweep_keys().await.unwrap(), 0);
}

#[tokio::test]
async fn whoever_never_proved_himself_makes_room_and_nobody_else() {
    let desk = Desk::start().await;
    let url = |number: usize| format!("https://shop.example/{number}");
    let mut ids = Vec::new();
    for number in 0..OF_A_CUSTOMER_MAX {
        ids.push(desk.of_customer(&url(number)).await.unwrap().subscription.id);
    }
    desk.prove(ids[0]).await;
    ids.push(desk.of_customer(&url(99)).await.unwrap().subscription.id);
    ids.remove(1);
    desk.left(&ids).await;
    for id in &ids[1..] {
        desk.prove(*id).await;
    }
    assert!(matches!(desk.of_customer(&url(100)).await, Err(SubscribeError::CustomerFull)));
}

#[tokio::test]
async fn a_change_of_what_is_told_leaves_a_proof_that_is_under_way_one_of_it() {
    let desk = Desk::start().await;
    let known = desk.of_customer(URL).await.unwrap();
    let (id, of) = (known.subscription.id, known.subscription.sealed_hash());
    let events = Patch { events: Some(vec!["Deposit.*".to_owned()]), ..Patch::default() };
    desk.subscriptions.patch(id, events, By::Token).await.unwrap();
    assert!(desk.execute(id, Command::ProveOwnership { of }).await.subscription.is_served());
    let url = Patch { url: Some("https://elsewhere.example/".to_owned()), ..Patch::default() };
    desk.subscriptions.patch(id, url, By::Token).await.unwrap();
    let early = desk.subscriptions.execute(id, Command::ProveOwnership { of }).await;
    assert!(matches!(early, Err(SubscribeError::Rejected(Rejection::Outdated))));
}

#[tokio::test]
async fn one_with_an_unreadable_event_is_set_aside_alone_and_that_is_said() {
    let desk = Desk::start().await;
    let [poisoned, lost, neighbour] =
        [desk.subscribe(wanted(URL)).await, desk.subscribe(wanted(URL)).await, desk.subscribe(wanted(URL)).await];
    let id = poisoned.subscription.id;
    desk.execute(id, Command::PauseDelivery).await;
    desk.tree.shutdown(Duration::from_secs(4)).await;
    let (log, of) =
        (desk.folder.path().join("log.db"), |known: &Known| StreamName::Subscription(known.subscription.id));
    set_kind(&log, &of(&poisoned), 2, "DeliveryTeleported");
    set_kind(&log, &of(&lost), 1, "Beamed");

    let desk = Desk::start_in(desk.folder).await;
    desk.left(&[id, neighbour.subscription.id]).await;
    let aside = desk.subscriptions.list().unwrap()[&id].clone();
    assert_eq!(told(&aside).0, "pause", "nobody knows whether it may be served");
    for command in [Command::ResumeDelivery, Command::Unsubscribe { why: Ending::Wanted }] {
        let refused = desk.subscriptions.execute(id, command).await;
        assert!(matches!(refused, Err(SubscribeError::Unreadable(why)) if why.contains("is unknown")));
    }
    assert!(desk.execute(neighbour.subscription.id, Command::PauseDelivery).await.position > 4, "others go on");
    let alarm = |parts: &[PartHealth]| {
        let part = parts.iter().find(|health| health.name == PART)?;
        part.conditions.iter().find(|condition| condition.kind == "unreadable").map(|condition| condition.text.clone())
    };
    let mut health = desk.tree.health().subscribe();
    let raised = health.wait_for(|parts| alarm(parts).is_some());
    let parts = tokio::time::timeout(Duration::from_secs(30), raised).await.expect("it is said").unwrap();
    let text = alarm(&parts).unwrap();
    assert!(text.starts_with(&format!("{} is set aside: from position 4 on: ", of(&poisoned))), "{text}");
    assert!(text.ends_with("; and 1 more"), "{text}");
}

/// What the engine is told: a word, and what of the log it has to have followed.
fn told(known: &Known) -> (&'static str, Told) {
    match delivery::command(known, &Sinks::webhooks(Reach::Public), DateTime::UNIX_EPOCH) {
        ToEngine::Put(endpoint) if endpoint.service == Service::Running => ("put", endpoint.told),
        ToEngine::Put(endpoint) => ("put paused", endpoint.told),
        ToEngine::Pause(_) => ("pause", Told::default()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_engine_is_told_how_things_stand_and_which_events_say_so() {
    let desk = Desk::start().await;
    let fresh = desk.subscribe(wanted(URL)).await;
    let id = fresh.subscription.id;
    let after = async |command| desk.subscriptions.execute(id, command).await.unwrap();
    assert_eq!(told(&fresh), ("put", Told { through: fresh.position, ..Told::default() }));
    let disabled = after(Command::DisableDelivery { why: Disabling::Gone }).await;
    assert_eq!(told(&disabled), ("put paused", Told { through: disabled.position, ..Told::default() }));
    let resumed = after(Command::ResumeDelivery).await;
    let at = resumed.position;
    assert_eq!(told(&resumed), ("put", Told { through: at, resumed_at: Some(at), moved: None }));

    for _ in 0..2 {
        let moved = after(Command::MoveCursor { after: 0 }).await;
        let moving = Some(Moved { at: moved.position, after: 0 });
        let following = Told { through: moved.position, resumed_at: Some(at), moved: moving };
        assert_eq!(told(&moved), ("put", following), "asked again is told again");
    }
    let desk = desk.again().await;
    let again = desk.subscriptions.list().unwrap()[&id].clone();
    assert_eq!(told(&again).1.resumed_at, Some(at), "and at a start");
    let lost = Known { endpoint: Err(NotOpen::NoKey), ..Known::clone(&again) };
    assert_eq!(told(&lost).0, "pause");
}

/// Each failure is told to the customer's others: whoever knows his hash has him told so often a day, and no more.
#[tokio::test]
async fn whose_subscriptions_failed_too_often_within_a_day_begins_no_other() {
    let desk = Desk::start().await;
    let mut known = desk.of_customer(URL).await.unwrap();
    for failures in 1..=failing::FAILURES_MAX {
        desk.prove(known.subscription.id).await;
        for _ in 0..2 {
            desk.execute(known.subscription.id, Command::DisableDelivery { why: Disabling::Gone }).await;
        }
        if failures < failing::FAILURES_MAX {
            known = desk.of_customer(URL).await.unwrap();
        }
    }
    assert!(matches!(desk.of_customer(URL).await, Err(SubscribeError::CustomerFails)));
    assert!(matches!(desk.of_customer("https://other.example/").await, Err(SubscribeError::CustomerFails)));
    let his = desk.subscriptions.of_customer(Hash32([7; 32]));
    let silenced = his.iter().filter(|known| known.subscription.silence().is_some()).count();
    assert_eq!((his.len(), silenced), (1, 1), "what is refused ends none");
    let other = desk.subscriptions.subscribe_customer(Hash32([8; 32]), URL.to_owned()).await;
    let operators =
        desk.subscribe(Wanted { terms: Terms { customer: Some(Hash32([7; 32])), ..terms() }, ..wanted(URL) });
    assert!(other.is_ok() && operators.await.subscription.owner().is_none());
    desk.clock.advance(TimeDelta::days(1));
    assert_ne!(desk.of_customer(URL).await.unwrap().subscription.id, known.subscription.id);
}

#[tokio::test]
async fn a_customers_subscriptions_hear_of_each_other_and_not_of_themselves() {
    let desk = Desk::start().await;
    let of = async |url: &str| {
        let known = desk.of_customer(url).await.unwrap();
        delivery::filter(&known.subscription)
    };
    let (one, other) = (of(URL).await, of("https://other.example/").await);
    let disabled = delivery_endpoint::Outgoing {
        position: 1,
        id: uuid::Uuid::nil(),
        key: None,
        kind: Arc::from("Subscription.Disabled"),
        customer: Some(Arc::from(Hash32([7; 32]).to_string())),
        about: one.oneself,
        body: hyper::body::Bytes::new(),
        recorded_ms: None,
    };
    assert!(!one.wants(&disabled) && other.wants(&disabled));
    let anothers = delivery_endpoint::Outgoing { customer: Some(Arc::from("another's")), ..disabled };
    assert!(!other.wants(&anothers));
}
