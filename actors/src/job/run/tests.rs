//! Runs with a desk and receivers in memory and a real file of SQLite: who is told what, what is kept, and whom it holds back.

use std::collections::BTreeMap;
use std::sync::Mutex;

use chrono::TimeDelta;
use futures::FutureExt;
use futures::future::BoxFuture;
use millrace_protocols::delivery::endpoint::Order;
use millrace_protocols::delivery::scheduler::Terms;
use millrace_protocols::delivery::verdict::{Outcome as Ending, Refusal, Trouble};
use millrace_protocols::webhook::sign::Signer;

use super::super::feed::{Page, Place, Told, told};
use super::super::store::{Known, Lease, Location};
use super::super::summary::Outcome;
use super::*;
use crate::clock::ManualClock;
use crate::delivery::endpoint::{Content, Filter, Service};
use crate::delivery::sinks::destination::Destination;
use crate::delivery::sinks::{Ended, Message};

/// How many are on a page.
const PAGE: usize = 3;

/// A desk: its notifications, and how often it was put back.
#[derive(Default)]
struct Desk {
    all: Mutex<Vec<Told>>,
    log: Mutex<u32>,
    down: Mutex<bool>,
}

impl Desk {
    fn publish(&self, numbers: std::ops::RangeInclusive<u128>) {
        // A minute apart.
        let new = numbers.map(|number| told(number, i64::try_from(number).unwrap() * 60_000));
        self.all.lock().unwrap().extend(new);
    }
}

impl Feed for Desk {
    fn after<'f>(&'f self, place: &'f Place) -> BoxFuture<'f, Result<Arc<Page>, FeedError>> {
        let read = || {
            if *self.down.lock().unwrap() {
                return Err(FeedError::Unreachable("no connection".to_owned()));
            }
            let (log, all) = (*self.log.lock().unwrap(), self.all.lock().unwrap());
            let after = match place.cursor.split_once('/') {
                None => all.iter().filter(|told| Some(told.created_ms) < place.since_ms).count(),
                Some((of, after)) if of == log.to_string() => after.parse().unwrap(),
                Some(_) => return Err(FeedError::Foreign),
            };
            let through = (after + PAGE).min(all.len());
            let next = format!("{log}/{through}");
            let has_more = through < all.len();
            Ok(Arc::new(Page { told: all[after..through].to_vec(), next, has_more }))
        };
        std::future::ready(read()).boxed()
    }
}

/// A receiver that answers as it is told to: what it is told, by number.
#[derive(Default)]
struct Receiver {
    told: Mutex<Vec<u128>>,
    answers: Mutex<BTreeMap<u128, Ending>>,
    always: Mutex<Option<Ending>>,
    /// It takes 20 s to answer, and another run tries for its place at the end of them.
    rival: Mutex<Option<Rival>>,
}

#[derive(Clone)]
struct Rival {
    clock: Arc<ManualClock>,
    location: Location,
}

impl Rival {
    /// The same sink, at the time of the clock, by somebody else.
    async fn takes(&self) -> bool {
        let now_ms = u64::try_from(self.clock.now().timestamp_millis()).unwrap();
        let lease = Lease { owner: Uuid::max(), until_ms: now_ms + 60_000 };
        let sink = Known { name: "a", address_sha256: "a", since_ms: None };
        Store::open(&self.location).await.unwrap().take(&sink, lease, now_ms).await.unwrap().is_some()
    }
}

impl Receiver {
    fn told(&self) -> Vec<u128> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

impl Sink for Receiver {
    fn deliver<'a>(&'a self, message: Message<'a>) -> BoxFuture<'a, Ended> {
        let number = message.outgoing.id.as_u128();
        self.told.lock().unwrap().push(number);
        let (always, one) = (*self.always.lock().unwrap(), self.answers.lock().unwrap().get(&number).copied());
        assert_ne!(number, 666, "it panics at this one");
        let outcome = one.or(always).unwrap_or(Ending::Accepted);
        let rival = self.rival.lock().unwrap().clone();
        async move {
            if let Some(rival) = rival {
                rival.clock.advance(TimeDelta::seconds(20));
                assert!(!rival.takes().await, "it has the lease as long as an attempt takes");
            }
            Ended { outcome, ..Ended::accepted(Duration::ZERO) }
        }
        .boxed()
    }
}

struct World {
    folder: tempfile::TempDir,
    desk: Arc<Desk>,
    clock: Arc<ManualClock>,
    receivers: BTreeMap<&'static str, Arc<Receiver>>,
    kinds: Vec<String>,
    messages_max: u64,
    lasts: Duration,
    runs: std::cell::Cell<u128>,
}

impl World {
    fn new(receivers: &[&'static str]) -> Self {
        let start = "2026-11-22T12:00:00Z".parse().unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            desk: Arc::default(),
            clock: Arc::new(ManualClock::new(start)),
            receivers: receivers.iter().map(|name| (*name, Arc::default())).collect(),
            kinds: Vec::new(),
            messages_max: 1_000,
            lasts: Duration::from_secs(600),
            runs: std::cell::Cell::new(0),
        }
    }

    fn later(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    fn rival(&self) -> Rival {
        let location = Location::Sqlite(self.folder.path().join("job.db"));
        Rival { clock: self.clock.clone(), location }
    }

    fn told(&self, name: &str) -> Vec<u128> {
        self.receivers[name].told()
    }

    fn answers(&self, name: &str, outcome: Option<Ending>) {
        *self.receivers[name].always.lock().unwrap() = outcome;
    }

    fn named(&self, name: &str, resumed: Resumed) -> Named {
        let schedule = Schedule::listed(vec![60_000, 60_000]).unwrap();
        let endpoint = Endpoint {
            id: Uuid::nil(),
            destination: Destination::Mqtt { topic: "t".to_owned() },
            signer: Signer::new(&[], None).unwrap(),
            terms: Terms { schedule, order: Order::Free, rate: None },
            filter: Filter { kinds: self.kinds.clone(), ..Filter::default() },
            content: Content::Json,
            service: Service::Running,
            begins_after: 0,
            told: crate::delivery::endpoint::Told::default(),
        };
        let sink: Arc<dyn Sink> = self.receivers[name].clone();
        Named { name: name.to_owned(), address_sha256: "a".to_owned(), endpoint, sink, since_ms: None, resumed }
    }

    async fn run_with(&self, resumed: Resumed) -> (Summary, Option<Fatal>) {
        self.runs.set(self.runs.get() + 1);
        let location = self.rival().location;
        let run = Run {
            id: Uuid::from_u128(self.runs.get()),
            feed: self.desk.clone(),
            store: Store::open(&location).await.unwrap(),
            clock: self.clock.clone(),
            schedule: Schedule::listed(vec![60_000, 60_000]).unwrap(),
            until: Instant::now() + self.lasts,
            messages_max: self.messages_max,
            stop: CancellationToken::new(),
        };
        let sinks: Vec<_> = self.receivers.keys().map(|name| self.named(name, resumed)).collect();
        run.make(&sinks).await
    }

    async fn run(&self) -> Summary {
        self.run_with(Resumed::No).await.0
    }
}

fn stands(summary: &Summary, name: &str) -> Stands {
    summary.sinks.iter().find(|sink| sink.sink == name).unwrap().stands
}

const DOWN: Option<Ending> = Some(Ending::Failed(Trouble::Connect));

#[tokio::test]
async fn everything_is_told_once_over_pages_and_runs() {
    let world = World::new(&["a"]);
    assert_eq!((world.run().await.outcome, world.told("a")), (Outcome::Done, vec![]), "there is nothing yet");
    for numbers in [1..=1, 2..=9, 10..=12] {
        world.desk.publish(numbers.clone());
        let summary = world.run().await;
        assert_eq!((summary.outcome, world.told("a")), (Outcome::Done, numbers.collect::<Vec<_>>()));
    }
    world.run().await;
    assert_eq!(world.told("a"), []);
}

#[tokio::test]
async fn a_sink_that_fails_stays_where_it_is_and_holds_back_nobody() {
    let world = World::new(&["down", "well"]);
    world.desk.publish(1..=5);
    world.answers("down", DOWN);
    let summary = world.run().await;
    assert_eq!((summary.outcome, stands(&summary, "down")), (Outcome::Partly, Stands::Failed));
    assert_eq!((world.told("down"), world.told("well")), (vec![1], vec![1, 2, 3, 4, 5]));

    let summary = world.run().await;
    assert_eq!((stands(&summary, "down"), world.told("down")), (Stands::Waiting, vec![]), "its time has not come");
    world.later(80);
    world.answers("down", None);
    world.desk.publish(6..=6);
    assert_eq!(world.run().await.outcome, Outcome::Done);
    assert_eq!((world.told("down"), world.told("well")), (vec![1, 2, 3, 4, 5, 6], vec![6]));
}

#[tokio::test]
async fn what_is_never_taken_is_given_up_after_its_attempts_and_the_rest_is_told() {
    let world = World::new(&["a"]);
    world.desk.publish(1..=3);
    world.receivers["a"].answers.lock().unwrap().insert(2, Ending::Failed(Trouble::Timeout));
    for run in 1..=3 {
        let summary = world.run().await;
        let report = &summary.sinks[0];
        assert_eq!((report.given_up, summary.outcome), (u64::from(run == 3), Outcome::Partly), "{report:?}");
        world.later(80);
    }
    assert_eq!(world.told("a"), [1, 2, 2, 2, 3]);
    assert_eq!(world.run().await.outcome, Outcome::Done);
    let database = rusqlite::Connection::open(world.folder.path().join("job.db")).unwrap();
    let row: (String, String, i64, String) = database
        .query_row("SELECT sink, notification, attempts, error FROM millrace_job_given_up", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    let expected = ("a".to_owned(), Uuid::from_u128(2).to_string(), 3_i64, "timeout".to_owned());
    assert_eq!(row, expected);
}

#[tokio::test]
async fn what_a_receiver_refuses_for_ever_or_wants_no_more_is_told_apart() {
    let world = World::new(&["a"]);
    world.desk.publish(1..=3);
    world.receivers["a"].answers.lock().unwrap().insert(1, Ending::Refused(Refusal::Message));
    world.receivers["a"].answers.lock().unwrap().insert(3, Ending::Refused(Refusal::Receiver));
    let summary = world.run().await;
    assert_eq!((stands(&summary, "a"), summary.sinks[0].given_up_ids.len()), (Stands::Stopped, 1));
    assert_eq!((stands(&world.run().await, "a"), world.told("a")), (Stands::Stopped, vec![1, 2, 3]));
    world.receivers["a"].answers.lock().unwrap().clear();
    assert_eq!(world.run_with(Resumed::Yes).await.0.outcome, Outcome::Done);
    assert_eq!(world.told("a"), [3]);
}

#[tokio::test]
async fn a_panic_in_one_sink_is_that_sinks_alone() {
    let world = World::new(&["a"]);
    world.desk.publish(665..=667);
    assert_eq!(stands(&world.run().await, "a"), Stands::Failed);
    // Its lease was given back, and what was told before stays told.
    assert_eq!(stands(&world.run().await, "a"), Stands::Failed);
    assert_eq!(world.told("a"), [665, 666, 666]);
}

#[tokio::test]
async fn a_desk_that_was_put_back_is_read_on_by_time() {
    let world = World::new(&["a"]);
    world.desk.publish(1..=30);
    world.run().await;
    world.told("a");
    *world.desk.log.lock().unwrap() += 1;
    world.desk.publish(31..=32);
    let summary = world.run().await;
    assert!((summary.outcome, summary.sinks[0].began_again) == (Outcome::Done, true));
    // Ten minutes of what it was told already, under the same ids.
    assert_eq!(world.told("a"), (20..=32).collect::<Vec<_>>());
    world.run().await;
    assert_eq!(world.told("a"), []);
}

#[tokio::test]
async fn what_nobody_wants_is_passed_over_and_not_read_again() {
    let mut world = World::new(&["a"]);
    world.kinds = vec!["Withdrawal.*".to_owned()];
    world.desk.publish(1..=5);
    assert_eq!((world.run().await.sinks[0].passed, world.told("a")), (5, vec![]));
    assert_eq!(world.run().await.sinks[0].passed, 0);
}

#[tokio::test]
async fn a_run_tells_no_more_than_it_may() {
    let mut world = World::new(&["a"]);
    world.messages_max = 4;
    world.desk.publish(1..=6);
    let summary = world.run().await;
    assert_eq!((summary.outcome, stands(&summary, "a")), (Outcome::Done, Stands::More));
    assert_eq!(stands(&world.run().await, "a"), Stands::CaughtUp);
    assert_eq!(world.told("a"), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_run_whose_time_is_over_begins_nothing() {
    let mut world = World::new(&["a"]);
    world.desk.publish(1..=2);
    world.lasts = Duration::ZERO;
    let summary = world.run().await;
    assert_eq!((summary.outcome, stands(&summary, "a"), world.told("a")), (Outcome::Done, Stands::More, vec![]));
    world.lasts = Duration::from_secs(600);
    world.run().await;
    assert_eq!(world.told("a"), [1, 2]);
}

#[tokio::test]
async fn a_lease_is_renewed_while_it_is_used() {
    let world = World::new(&["a"]);
    world.desk.publish(1..=6);
    *world.receivers["a"].rival.lock().unwrap() = Some(world.rival());
    assert_eq!(stands(&world.run().await, "a"), Stands::CaughtUp);
    assert_eq!(world.told("a"), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_clock_that_was_ahead_blocks_nobody_for_longer_than_a_lease() {
    let world = World::new(&["a"]);
    world.desk.publish(1..=2);
    world.later(86_400);
    assert!(world.rival().takes().await);
    assert_eq!(stands(&world.run().await, "a"), Stands::Busy);
    world.later(-86_400);
    assert_eq!(stands(&world.run().await, "a"), Stands::CaughtUp);
    assert_eq!(world.told("a"), [1, 2]);
}

#[tokio::test]
async fn a_desk_that_cannot_be_read_ends_the_run_and_changes_nothing() {
    let world = World::new(&["a"]);
    world.desk.publish(1..=2);
    *world.desk.down.lock().unwrap() = true;
    let (summary, fatal) = world.run_with(Resumed::No).await;
    assert!(matches!(fatal, Some(Fatal::Feed(FeedError::Unreachable(_)))), "{fatal:?}");
    assert_eq!((summary.outcome, stands(&summary, "a")), (Outcome::Failed, Stands::Unserved));
    *world.desk.down.lock().unwrap() = false;
    world.run().await;
    assert_eq!(world.told("a"), [1, 2]);
}
