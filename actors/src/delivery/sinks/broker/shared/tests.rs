//! A broker that does what it is told, in a time that stands still unless everybody waits.

use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::join_all;
use millrace_protocols::delivery::policy::Schedule;
use millrace_protocols::delivery::scheduler::Terms;
use millrace_protocols::webhook::secret::HmacSecret;
use millrace_protocols::webhook::sign::Key;
use uuid::Uuid;

use super::super::super::super::address::Reach;
use super::super::super::super::endpoint::{Filter, Outgoing, Service, Told};
use super::*;
use crate::clock::SystemClock;

/// What the broker does with whoever connects, and with what is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Away,
    Takes,
    Refuses,
    IsSilent,
}

#[derive(Clone)]
struct Fake {
    mood: Arc<StdMutex<Mood>>,
    connected: Arc<AtomicU32>,
    lines: Arc<StdMutex<Vec<CancellationToken>>>,
    letters: Arc<StdMutex<Vec<String>>>,
}

impl Fake {
    fn new(mood: Mood) -> Self {
        let (lines, letters) = (Arc::default(), Arc::default());
        Self { mood: Arc::new(StdMutex::new(mood)), connected: Arc::default(), lines, letters }
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    fn connected(&self) -> u32 {
        self.connected.load(Ordering::SeqCst)
    }
}

impl Broker for Fake {
    type Link = Self;
    type Place = String;

    fn place(destination: &Destination) -> Option<String> {
        match destination {
            Destination::Nats { subject } => Some(subject.clone()),
            _ => None,
        }
    }

    async fn connect(&self, down: CancellationToken) -> Result<Self, Miss> {
        self.connected.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.lines.lock().unwrap().push(down);
        match self.mood() {
            Mood::Away => Err(Miss::failed(Trouble::Connect, "nobody is there")),
            Mood::Takes | Mood::Refuses | Mood::IsSilent => Ok(self.clone()),
        }
    }

    async fn publish(link: &Self, place: &String, letter: Letter) -> Result<(), Miss> {
        match link.mood() {
            Mood::Takes => {
                let Letter { signed, content_type, body } = letter;
                let body = String::from_utf8_lossy(&body);
                link.letters.lock().unwrap().push(format!("{place} {} {content_type} {body}", signed.id));
                Ok(())
            }
            Mood::Away | Mood::Refuses => Err(Miss::refused("not today")),
            Mood::IsSilent => std::future::pending().await,
        }
    }
}

fn sink(channel: &Brokered<Fake>) -> Arc<dyn Sink> {
    let secret = HmacSecret::new(vec![7; 32]).unwrap();
    let endpoint = Endpoint {
        id: Uuid::from_u128(1),
        destination: Destination::parse("nats:desk", Reach::Public).unwrap(),
        signer: Signer::new(&[Key::Symmetric(secret)], None).unwrap(),
        terms: Terms {
            schedule: Schedule::standard(),
            order: millrace_protocols::delivery::endpoint::Order::Free,
            rate: None,
        },
        filter: Filter::default(),
        content: Content::Json,
        service: Service::Running,
        begins_after: 0,
        told: Told::default(),
    };
    channel.sink(&endpoint).unwrap()
}

/// Delivers so many at once.
async fn deliver(sink: &Arc<dyn Sink>, count: u128) -> Vec<Ended> {
    let delivering = (1..=count).map(async |number| {
        let (kind, body) = (Arc::from("k"), Bytes::from_static(b"body"));
        let outgoing = Outgoing {
            position: 1,
            id: Uuid::from_u128(number),
            key: None,
            kind,
            customer: None,
            about: None,
            body,
            recorded_ms: None,
        };
        sink.deliver(Message { outgoing: &outgoing, attempt: 1, started_ms: 0, clock: &SystemClock }).await
    });
    join_all(delivering).await
}

fn are_all(ended: &[Ended], outcome: Outcome) -> bool {
    ended.iter().all(|ended| ended.outcome == outcome)
}

#[tokio::test(start_paused = true)]
async fn one_connection_serves_all_and_another_is_made_after_it_ended() {
    let fake = Fake::new(Mood::Takes);
    let channel = Brokered::new(fake.clone());
    let (one, other) = (sink(&channel), sink(&channel));
    assert!(
        are_all(&deliver(&one, 300).await, Outcome::Accepted) && are_all(&deliver(&other, 3).await, Outcome::Accepted)
    );
    assert_eq!((fake.connected(), fake.letters.lock().unwrap().len()), (1, 303));
    let first = format!("desk {} application/json body", Uuid::from_u128(1));
    assert!(fake.letters.lock().unwrap().contains(&first));
    fake.lines.lock().unwrap()[0].cancel();
    assert!(are_all(&deliver(&one, 3).await, Outcome::Accepted));
    assert_eq!(fake.connected(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_is_asked_once_a_second() {
    let fake = Fake::new(Mood::Away);
    let channel = Brokered::new(fake.clone());
    let (one, begun) = (sink(&channel), Instant::now());
    let ended = deliver(&one, 300).await;
    assert!(are_all(&ended, Outcome::Failed(Trouble::Connect)) && begun.elapsed() < AGAIN);
    assert_eq!((fake.connected(), ended[299].error.as_deref()), (1, Some("nobody is there")));
    *fake.mood.lock().unwrap() = Mood::Takes;
    assert!(are_all(&deliver(&one, 3).await, Outcome::Failed(Trouble::Connect)));
    tokio::time::advance(AGAIN).await;
    assert!(are_all(&deliver(&one, 3).await, Outcome::Accepted));
    assert_eq!(fake.connected(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_for_now_and_keeps_the_connection() {
    let fake = Fake::new(Mood::Refuses);
    let channel = Brokered::new(fake.clone());
    let refused = Outcome::Refused(Refusal::ForNow { retry_at_ms: None });
    assert!(are_all(&deliver(&sink(&channel), 3).await, refused));
    *fake.mood.lock().unwrap() = Mood::Takes;
    assert!(are_all(&deliver(&sink(&channel), 3).await, Outcome::Accepted));
    assert_eq!(fake.connected(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_takes_no_longer_than_it_may() {
    let fake = Fake::new(Mood::IsSilent);
    let channel = Brokered::new(fake.clone());
    let begun = Instant::now();
    // Three rounds of places, of which there is time for two.
    let ended = deliver(&sink(&channel), 3 * PLACES as u128).await;
    assert!(are_all(&ended, Outcome::Failed(Trouble::Timeout)));
    assert!(begun.elapsed() <= TOTAL + Duration::from_secs(1), "{:?}", begun.elapsed());
    *fake.mood.lock().unwrap() = Mood::Takes;
    assert!(are_all(&deliver(&sink(&channel), 3).await, Outcome::Accepted), "no place is lost");
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_ends_with_its_connection() {
    let fake = Fake::new(Mood::IsSilent);
    let channel = Brokered::new(fake.clone());
    let (one, begun) = (sink(&channel), Instant::now());
    let ending = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fake.lines.lock().unwrap()[0].cancel();
    };
    let (ended, ()) = tokio::join!(deliver(&one, 3), ending);
    assert!(are_all(&ended, Outcome::Failed(Trouble::Broken)) && begun.elapsed() < Duration::from_secs(2));
}
