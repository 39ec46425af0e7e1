//! The engine with a log in memory and receivers on this machine: what arrives, what is stored, and what is left after an end.

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures::future::BoxFuture;
use hyper::body::Bytes;
use millrace_protocols::delivery::cursor::OrderKey;
use millrace_protocols::delivery::endpoint::Order;
use millrace_protocols::delivery::policy::Schedule;
use millrace_protocols::delivery::scheduler::{Standing, Terms};
use millrace_protocols::webhook::secret::HmacSecret;
use millrace_protocols::webhook::sign::{self, Signer};
use millrace_protocols::webhook::verify;

use super::super::address::Reach;
use super::super::attempts::Reader;
use super::super::endpoint::{Content, Endpoint, Moved, Service, Told};
use super::super::sink::{Received, Reply, Sink, status};
use super::super::sinks::destination::Destination;
use super::*;
use crate::clock::SystemClock;

/// A log that grows when told to.
struct Log {
    all: Mutex<Vec<Outgoing>>,
    head: watch::Sender<Position>,
}

impl Log {
    fn new() -> Arc<Self> {
        Arc::new(Self { all: Mutex::default(), head: watch::Sender::new(0) })
    }

    fn publish(&self, count: u64) {
        let mut all = self.all.lock().unwrap();
        for _ in 0..count {
            let position = all.len() as Position + 1;
            let kind = if position.is_multiple_of(2) { "deposit.even" } else { "deposit.odd" };
            let (kind, body) = (Arc::from(kind), Bytes::from(format!("body {position}")));
            let (id, key) = (Uuid::from_u128(position.into()), OrderKey::new(1 + position % 3));
            all.push(Outgoing { position, id, key, kind, customer: None, about: None, body, recorded_ms: Some(0) });
        }
        self.head.send_replace(all.len() as Position);
    }
}

impl Source for Log {
    fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    fn after(&self, position: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Outgoing>, SourceError>> {
        let all = self.all.lock().unwrap();
        let found = all.iter().skip(position as usize).take(limit).cloned().collect();
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// An engine at work.
struct Desk {
    log: Arc<Log>,
    folder: tempfile::TempDir,
    commands: mpsc::Sender<Command>,
    notices: mpsc::Receiver<Disabled>,
    figures: Arc<Figures>,
    running: JoinSet<Result<(), OpenError>>,
}

impl Desk {
    fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), Log::new())
    }

    fn start_in(folder: tempfile::TempDir, log: Arc<Log>) -> Self {
        let figures = Arc::new(Figures::default());
        let settings = Settings {
            path: folder.path().join("attempts.db"),
            limits: Limits { kept: Duration::from_secs(3_600), bytes_max: 1 << 30 },
            trouble: watch::Sender::default(),
            sinks: Sinks::webhooks(Reach::Sandbox),
            source: Arc::clone(&log) as Arc<dyn Source>,
            clock: Arc::new(SystemClock),
            figures: Arc::clone(&figures),
            log_head: *log.head.borrow(),
        };
        let (commands, received) = mpsc::channel(64);
        let (sender, notices) = mpsc::channel(64);
        let mut running = JoinSet::new();
        running.spawn(run(settings, received, sender));
        Self { log, folder, commands, notices, figures, running }
    }

    async fn tell(&self, command: Command) {
        self.commands.send(command).await.unwrap();
    }

    async fn put(&self, endpoint: Endpoint) {
        self.tell(Command::Put(Box::new(endpoint))).await;
    }

    /// Ends in order and begins again.
    async fn restart(mut self) -> Self {
        drop(self.commands);
        self.running.join_next().await.unwrap().unwrap().unwrap();
        Self::start_in(self.folder, self.log)
    }

    /// Ends at once and begins again.
    async fn crash(mut self) -> Self {
        self.running.shutdown().await;
        Self::start_in(self.folder, self.log)
    }

    /// What is stored of the attempts at an endpoint once it is as wanted.
    async fn rows(
        &self,
        id: Uuid,
        wanted: impl Fn(&[(Position, u16, String)]) -> bool,
    ) -> Vec<(Position, u16, String)> {
        let reader = Reader::open(&self.folder.path().join("attempts.db")).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let attempts = reader.attempts(id, 0, 1_000_000).unwrap();
            let rows: Vec<_> = attempts.into_iter().map(|row| (row.position, row.attempt, row.class)).collect();
            if wanted(&rows) {
                return rows;
            }
            assert!(Instant::now() < until, "{rows:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn secret() -> HmacSecret {
    HmacSecret::new(vec![7; 32]).unwrap()
}

fn endpoint(number: u128, sink: &Sink) -> Endpoint {
    Endpoint {
        id: Uuid::from_u128(number),
        destination: Destination::parse(&sink.url(), Reach::Sandbox).unwrap(),
        signer: Signer::new(&[sign::Key::Symmetric(secret())], None).unwrap(),
        terms: Terms { schedule: Schedule::Listed(vec![20, 20, 20]), order: Order::Free, rate: None },
        filter: Filter::default(),
        content: Content::Json,
        service: Service::Running,
        begins_after: 0,
        told: Told::default(),
    }
}

fn position(received: &Received) -> Position {
    let id: Uuid = received.headers["webhook-id"].parse().unwrap();
    id.as_u128() as Position
}

async fn arrivals(sink: &mut Sink, count: usize) -> Vec<Position> {
    let mut positions = Vec::new();
    while positions.len() < count {
        positions.push(position(&sink.next().await));
    }
    positions.sort_unstable();
    positions
}

#[tokio::test]
async fn everything_arrives_signed_at_everybody_who_wants_it() {
    let desk = Desk::start();
    let mut all = Sink::start(|_| status(204, "")).await;
    let mut even = Sink::start(|_| status(204, "")).await;
    desk.put(endpoint(1, &all)).await;
    let filter = Filter { kinds: vec!["deposit.even".to_owned()], ..Filter::default() };
    desk.put(Endpoint { filter, begins_after: 4, ..endpoint(2, &even) }).await;
    desk.log.publish(100);
    let first = all.next().await;
    let headers = verify::Headers {
        id: &first.headers["webhook-id"],
        timestamp: &first.headers["webhook-timestamp"],
        signature: &first.headers["webhook-signature"],
    };
    let now_s = headers.timestamp.parse().unwrap();
    assert_eq!(verify::verify(&[verify::Key::Symmetric(secret())], headers, &first.body, now_s), Ok(()));
    let mut positions = arrivals(&mut all, 99).await;
    positions.push(position(&first));
    positions.sort_unstable();
    assert_eq!(positions, (1..=100).collect::<Vec<_>>());
    assert_eq!(arrivals(&mut even, 48).await, (3..=50).map(|half| half * 2).collect::<Vec<_>>());
    let rows = desk.rows(Uuid::from_u128(1), |rows| rows.len() == 100).await;
    assert!(rows.iter().all(|(_, attempt, class)| *attempt == 1 && class == "delivered"));
}

#[tokio::test]
async fn a_failure_is_sent_again_under_the_same_id_and_every_attempt_has_its_row() {
    let seen = Mutex::new(BTreeMap::new());
    let desk = Desk::start();
    let mut sink = Sink::start(move |received| {
        let mut seen = seen.lock().unwrap();
        let times = seen.entry(position(received)).or_insert(0);
        *times += 1;
        status(if *times < 3 { 500 } else { 200 }, "")
    })
    .await;
    desk.put(endpoint(1, &sink)).await;
    desk.log.publish(1);
    assert_eq!(arrivals(&mut sink, 3).await, [1, 1, 1]);
    let rows = desk.rows(Uuid::from_u128(1), |rows| rows.len() == 3).await;
    let classes: Vec<_> = rows.iter().map(|(_, attempt, class)| (*attempt, class.as_str())).collect();
    assert_eq!(classes, [(1, "status"), (2, "status"), (3, "delivered")]);
}

#[tokio::test]
async fn an_exhausted_endpoint_is_disabled_over_restarts_and_gets_everything_when_it_is_resumed() {
    let is_well = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asked = Arc::clone(&is_well);
    let mut sink =
        Sink::start(move |_| status(if asked.load(std::sync::atomic::Ordering::SeqCst) { 204 } else { 500 }, "")).await;
    let mut desk = Desk::start();
    let id = Uuid::from_u128(1);
    desk.put(endpoint(1, &sink)).await;
    desk.log.publish(1);
    let disabled = Disabled { endpoint: id, reason: Reason::Exhausted };
    assert_eq!(desk.notices.recv().await, Some(disabled));
    desk.rows(id, |rows| rows.len() == 4).await;
    let mut desk = desk.restart().await;
    desk.put(endpoint(1, &sink)).await;
    assert_eq!(desk.notices.recv().await, Some(disabled));
    desk.log.publish(2);
    is_well.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(sink.waiting(), 4);
    let told = Told { through: 5, resumed_at: Some(5), moved: None };
    desk.put(Endpoint { told, ..endpoint(1, &sink) }).await;
    assert_eq!(arrivals(&mut sink, 3).await, [1, 2, 3]);
}

/// The process ends between the event that says so and the file of attempts.
#[tokio::test]
async fn what_the_log_said_before_a_kill_is_followed_at_the_next_start_and_once() {
    let mut sink = Sink::start(|received| status(if received.connection == 0 { 410 } else { 204 }, "")).await;
    let mut desk = Desk::start();
    let id = Uuid::from_u128(1);
    desk.put(endpoint(1, &sink)).await;
    desk.log.publish(1);
    assert_eq!(desk.notices.recv().await, Some(Disabled { endpoint: id, reason: Reason::Gone }));
    desk.rows(id, |rows| rows.len() == 1).await;
    sink.next().await;
    let mut desk = desk.crash().await;
    let resumed = Told { through: 1, resumed_at: Some(1), moved: None };
    desk.put(Endpoint { told: resumed, ..endpoint(1, &sink) }).await;
    assert_eq!(arrivals(&mut sink, 1).await, [1]);
    assert_eq!(desk.notices.try_recv().ok(), None, "it is not disabled any more");
    desk.log.publish(2);
    assert_eq!(arrivals(&mut sink, 2).await, [2, 3]);
    desk.rows(id, |rows| rows.len() == 4).await;
    let moved = Told { through: 3, moved: Some(Moved { at: 3, after: 1 }), ..resumed };
    let mut desk = desk.crash().await;
    desk.put(Endpoint { told: moved, ..endpoint(1, &sink) }).await;
    assert_eq!(arrivals(&mut sink, 2).await, [2, 3]);
    desk.rows(id, |rows| rows.len() == 6).await;
    for _ in 0..2 {
        desk = desk.restart().await;
        desk.put(Endpoint { told: moved, ..endpoint(1, &sink) }).await;
    }
    desk.log.publish(1);
    assert_eq!(arrivals(&mut sink, 1).await, [4], "it is not moved again");
}

#[tokio::test]
async fn one_that_is_never_taken_is_given_up_while_others_arrive_and_can_be_sent_again() {
    let is_healed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asked = Arc::clone(&is_healed);
    let refuses =
        move |received: &Received| position(received) == 1 && !asked.load(std::sync::atomic::Ordering::SeqCst);
    let mut sink = Sink::start(move |received| status(if refuses(received) { 400 } else { 204 }, "")).await;
    let mut desk = Desk::start();
    let id = Uuid::from_u128(1);
    desk.put(endpoint(1, &sink)).await;
    desk.log.publish(5);
    assert_eq!(arrivals(&mut sink, 8).await, [1, 1, 1, 1, 2, 3, 4, 5]);
    desk.rows(id, |rows| rows.len() == 8).await;
    let reader = Reader::open(&desk.folder.path().join("attempts.db")).unwrap();
    let given_up = reader.given_up(id).unwrap();
    assert_eq!((given_up.clone(), desk.notices.try_recv().ok()), (vec![1], None));
    desk.log.publish(1);
    assert_eq!(arrivals(&mut sink, 1).await, [6], "it is served");
    is_healed.store(true, std::sync::atomic::Ordering::SeqCst);
    desk.tell(Command::Resend { endpoint: id, positions: given_up, answer: oneshot::channel().0 }).await;
    assert_eq!(arrivals(&mut sink, 1).await, [1]);
    desk.rows(id, |rows| rows.len() == 10).await;
    assert!(reader.given_up(id).unwrap().is_empty());
}

#[tokio::test]
async fn an_orderly_end_loses_nothing_and_repeats_nothing() {
    let mut sink = Sink::start(|_| status(204, "")).await;
    let desk = Desk::start();
    desk.put(endpoint(1, &sink)).await;
    desk.log.publish(300);
    let before = arrivals(&mut sink, 50).await.len();
    let desk = desk.restart().await;
    desk.put(endpoint(1, &sink)).await;
    desk.log.publish(1);
    arrivals(&mut sink, 301 - before).await;
    let rows = desk.rows(Uuid::from_u128(1), |rows| rows.len() >= 301).await;
    let positions: Vec<_> = rows.iter().map(|(position, _, _)| *position).collect();
    assert_eq!(positions, (1..=301).collect::<Vec<_>>());
    assert!(rows.iter().all(|(_, attempt, class)| *attempt == 1 && class == "delivered"));
}

#[tokio::test]
async fn after_a_crash_what_was_claimed_is_unknown_and_arrives() {
    let sink = Sink::start(|_| Reply::Silence).await;
    let desk = Desk::start();
    let id = Uuid::from_u128(1);
    desk.put(endpoint(1, &sink)).await;
    desk.log.publish(3);
    let mut silent = sink;
    assert_eq!(arrivals(&mut silent, 3).await, [1, 2, 3]);
    let desk = desk.crash().await;
    let mut sink = Sink::start(|_| status(204, "")).await;
    desk.put(endpoint(1, &sink)).await;
    assert_eq!(arrivals(&mut sink, 3).await, [1, 2, 3]);
    let rows = desk.rows(id, |rows| rows.len() == 6).await;
    let of = |position| {
        let rows = rows.iter().filter(move |(at, _, _)| *at == position);
        rows.map(|(_, attempt, class)| (*attempt, class.as_str())).collect::<Vec<_>>()
    };
    (1..=3).for_each(|position| assert_eq!(of(position), [(1, "unknown"), (2, "delivered")]));
}

#[tokio::test]
async fn one_that_hangs_does_not_delay_another() {
    let mut silent = Sink::start(|_| Reply::Silence).await;
    let mut sink = Sink::start(|_| status(204, "")).await;
    let desk = Desk::start();
    desk.put(endpoint(1, &silent)).await;
    desk.put(endpoint(2, &sink)).await;
    desk.log.publish(500);
    assert_eq!(arrivals(&mut sink, 500).await.len(), 500);
    silent.next().await;
    assert!(silent.waiting() <= 3);
}

#[tokio::test]
async fn what_nobody_wanted_is_not_written_and_after_a_crash_nothing_is_missed_or_sent_again() {
    let mut all = Sink::start(|_| status(204, "")).await;
    let mut odd = Sink::start(|_| status(204, "")).await;
    let id = Uuid::from_u128(2);
    let of_odd = |odd: &Sink| {
        let filter = Filter { kinds: vec!["deposit.odd".to_owned()], ..Filter::default() };
        Endpoint { filter, ..endpoint(2, odd) }
    };
    let desk = Desk::start();
    desk.put(endpoint(1, &all)).await;
    desk.put(of_odd(&odd)).await;
    desk.log.publish(2);
    assert_eq!((arrivals(&mut all, 2).await, arrivals(&mut odd, 1).await), (vec![1, 2], vec![1]));
    desk.rows(id, |rows| rows.len() == 1).await;
    let desk = desk.crash().await;
    desk.put(endpoint(1, &all)).await;
    desk.put(of_odd(&odd)).await;
    desk.log.publish(2);
    assert_eq!((arrivals(&mut all, 2).await, arrivals(&mut odd, 1).await), (vec![3, 4], vec![3]));
}

#[tokio::test]
async fn one_can_be_sent_once_more_and_all_after_a_place() {
    let mut sink = Sink::start(|_| status(204, "")).await;
    let desk = Desk::start();
    let id = Uuid::from_u128(1);
    desk.put(endpoint(1, &sink)).await;
    desk.log.publish(5);
    arrivals(&mut sink, 5).await;
    desk.rows(id, |rows| rows.len() == 5).await;
    let (answer, stored) = oneshot::channel();
    desk.tell(Command::Resend { endpoint: id, positions: vec![2], answer }).await;
    stored.await.unwrap();
    assert_eq!(arrivals(&mut sink, 1).await, [2]);
    desk.rows(id, |rows| rows.len() == 6).await;
    let told = Told { through: 9, resumed_at: None, moved: Some(Moved { at: 9, after: 3 }) };
    desk.put(Endpoint { told, ..endpoint(1, &sink) }).await;
    assert_eq!(arrivals(&mut sink, 2).await, [4, 5]);
}

#[tokio::test]
async fn a_removed_endpoint_hears_nothing_more() {
    let mut sink = Sink::start(|_| status(204, "")).await;
    let mut witness = Sink::start(|_| status(204, "")).await;
    let desk = Desk::start();
    desk.put(endpoint(1, &sink)).await;
    desk.put(endpoint(2, &witness)).await;
    desk.log.publish(1);
    arrivals(&mut sink, 1).await;
    let (answer, shown) = oneshot::channel();
    desk.tell(Command::Show { endpoint: Uuid::from_u128(1), answer }).await;
    assert_eq!(shown.await.unwrap().standing, Standing::Running);
    desk.tell(Command::Remove(Uuid::from_u128(1))).await;
    let (answer, shown) = oneshot::channel();
    desk.tell(Command::Show { endpoint: Uuid::from_u128(1), answer }).await;
    assert!(shown.await.is_err());
    desk.log.publish(10);
    arrivals(&mut witness, 11).await;
    assert_eq!(sink.waiting(), 0);
}

#[tokio::test]
async fn a_paused_endpoint_gets_what_came_meanwhile_when_it_runs_again() {
    let mut sink = Sink::start(|_| status(204, "")).await;
    let mut witness = Sink::start(|_| status(204, "")).await;
    let desk = Desk::start();
    desk.put(Endpoint { service: Service::Paused, ..endpoint(1, &sink) }).await;
    desk.put(endpoint(2, &witness)).await;
    desk.log.publish(10);
    arrivals(&mut witness, 10).await;
    assert_eq!(sink.waiting(), 0);
    desk.put(endpoint(1, &sink)).await;
    assert_eq!(arrivals(&mut sink, 10).await, (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn with_an_order_each_deposits_notifications_come_one_by_one() {
    let seen = Arc::new(Mutex::new((Vec::new(), BTreeMap::new())));
    let noted = Arc::clone(&seen);
    let mut sink = Sink::start(move |received| {
        let (order, times) = &mut *noted.lock().unwrap();
        let times = times.entry(position(received)).or_insert(0);
        *times += 1;
        if *times == 1 && position(received).is_multiple_of(4) {
            return status(500, "");
        }
        order.push(position(received));
        status(204, "")
    })
    .await;
    let desk = Desk::start();
    let terms = Terms { order: Order::PerDeposit, ..endpoint(1, &sink).terms };
    desk.put(Endpoint { terms, ..endpoint(1, &sink) }).await;
    desk.log.publish(30);
    arrivals(&mut sink, 37).await;
    let order = seen.lock().unwrap().0.clone();
    for deposit in 0..3 {
        let of: Vec<_> = order.iter().filter(|position| **position % 3 == deposit).collect();
        assert!(of.is_sorted() && of.len() == 10, "{of:?}");
    }
}

#[tokio::test]
async fn what_it_all_comes_to_is_counted() {
    let mut well = Sink::start(|_| status(204, "")).await;
    let mut broken = Sink::start(|_| status(500, "")).await;
    let desk = Desk::start();
    desk.put(endpoint(1, &well)).await;
    let hour = Terms { schedule: Schedule::Listed(vec![3_600_000]), order: Order::Free, rate: None };
    desk.put(Endpoint { terms: hour, ..endpoint(2, &broken) }).await;
    desk.put(Endpoint { service: Service::Paused, ..endpoint(3, &well) }).await;
    desk.log.publish(4);
    arrivals(&mut well, 4).await;
    arrivals(&mut broken, 4).await;
    desk.rows(Uuid::from_u128(1), |rows| rows.len() == 4).await;
    desk.rows(Uuid::from_u128(2), |rows| rows.len() == 4).await;
    let counted = BTreeMap::from([("delivered", 4), ("status", 4)]);
    assert_eq!((desk.figures.attempts(), desk.figures.arrived()), (counted, 4));
    assert_eq!((desk.figures.latencies().count, desk.figures.latencies().within[0]), (4, 0), "all are of 1970");
    let (answer, sums) = oneshot::channel();
    desk.tell(Command::Sum { answer }).await;
    let sums = sums.await.unwrap();
    assert_eq!((sums.retries, sums.open, sums.in_flight, sums.left_alone), (4, 0, 0, 0));
    assert_eq!((sums.served_through, sums.stopped_through), (Some(0), Some(0)), "one failed, and one is not served");
}
