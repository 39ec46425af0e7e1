//! Reading a queue in memory: where it begins, what is passed over, what a crash leaves, and what a queue that forgets costs.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::super::figures::Counted;
use super::super::file::Memory;
use super::super::memory::{Memories, NONCE};
use super::*;
use crate::clock::ManualClock;

const CUSTOMER: Hash32 = Hash32([7; 32]);

/// An intake at work.
struct Rig {
    queue: Arc<Memories>,
    folder: TempDir,
    file: Arc<Mutex<File>>,
    clock: Arc<ManualClock>,
    figures: Arc<Figures>,
    wanted: watch::Sender<Wanted>,
    trouble: watch::Sender<Option<String>>,
    running: JoinSet<Result<(), String>>,
}

fn place() -> Place {
    Place { reader: "ton.events".to_owned(), topic: "notifications-1".to_owned() }
}

impl Rig {
    fn start(queue: &Arc<Memories>) -> Self {
        let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH + TimeDelta::days(1)));
        Self::start_in(tempfile::tempdir().unwrap(), queue, clock)
    }

    fn start_in(folder: TempDir, queue: &Arc<Memories>, clock: Arc<ManualClock>) -> Self {
        let memory =
            Memory { window: Duration::from_secs(3_600), kept: Duration::from_secs(86_400), bytes_max: 1_000_000 };
        let file = Arc::new(Mutex::new(File::open(&folder.path().join("relay.db"), memory).unwrap()));
        let figures = Arc::new(Figures::default());
        let trouble = watch::Sender::new(None);
        let wanted = watch::Sender::new(Some(Arc::new(HashSet::from([CUSTOMER]))));
        let intake = Intake {
            queue: Arc::clone(queue) as Arc<dyn Queue>,
            place: place(),
            file: Arc::clone(&file),
            wanted: wanted.subscribe(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            figures: Arc::clone(&figures),
            trouble: trouble.clone(),
        };
        let mut running = JoinSet::new();
        running.spawn(intake.run());
        Self { queue: Arc::clone(queue), folder, file, clock, figures, wanted, trouble, running }
    }

    /// Ends at once, wherever it is, and begins again.
    async fn crash(mut self) -> Self {
        self.running.shutdown().await;
        drop(self.file);
        Self::start_in(self.folder, &self.queue, self.clock)
    }

    /// What was counted once it is so.
    async fn counted(&self, is_so: impl Fn(Counted) -> bool) -> Counted {
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            let counted = self.figures.counted();
            if is_so(counted) {
                return counted;
            }
            assert!(Instant::now() < until, "{counted:?}");
            sleep(Duration::from_millis(2)).await;
        }
    }

    async fn reads(&self, partition: i32, offset: i64) {
        let until = Instant::now() + Duration::from_secs(120);
        while self.file.lock().unwrap().offsets(&place()).unwrap().get(&partition) != Some(&offset) {
            assert!(Instant::now() < until, "partition {partition} is not read up to {offset}");
            sleep(Duration::from_millis(2)).await;
        }
    }

    fn stored(&self) -> u64 {
        *self.file.lock().unwrap().head().borrow()
    }
}

#[tokio::test]
async fn three_records_two_with_one_key_are_two_messages_and_none_the_second_time() {
    let queue = Memories::with_partition(0);
    queue.send(0, CUSTOMER, "before the first start");
    let rig = Rig::start(&queue);
    rig.reads(0, 1).await;
    for _ in 0..2 {
        ["one", "two", "one"].iter().for_each(|key| queue.send(0, CUSTOMER, key));
    }
    let counted = rig.counted(|counted| counted.accepted + counted.repeated == 6).await;
    assert_eq!(counted, Counted { accepted: 2, repeated: 4, ..Counted::default() });
    rig.clock.advance(TimeDelta::minutes(60));
    queue.send(0, CUSTOMER, "one");
    rig.counted(|counted| counted.accepted == 3).await;
    assert_eq!(rig.stored(), 3);
}

#[tokio::test]
async fn a_crash_neither_loses_nor_doubles() {
    let queue = Memories::with_partition(0);
    let mut rig = Rig::start(&queue);
    rig.reads(0, 0).await;
    for number in 0..30 {
        queue.send(0, CUSTOMER, &format!("key {number}"));
        if number % 3 == 0 {
            // In the middle of whatever it does.
            tokio::task::yield_now().await;
            rig = rig.crash().await;
        }
    }
    rig.reads(0, 30).await;
    assert_eq!(rig.stored(), 30);
    rig = rig.crash().await;
    queue.send(0, CUSTOMER, "key 7");
    let counted = rig.counted(|counted| counted.repeated == 1).await;
    assert_eq!((rig.stored(), counted.accepted), (30, 0));
}

#[tokio::test]
async fn what_is_no_notification_is_counted_and_passed_over() {
    let queue = Memories::with_partition(0);
    let rig = Rig::start(&queue);
    rig.reads(0, 0).await;
    queue.produce(0, "bad", "hello");
    queue.produce(0, "", &format!("{CUSTOMER} {NONCE} AAAA"));
    queue.send(0, CUSTOMER, "good");
    let counted = rig.counted(|counted| counted.accepted == 1).await;
    assert_eq!(counted, Counted { accepted: 1, bad: 2, ..Counted::default() });
}

#[tokio::test]
async fn what_nobody_wants_is_undeliverable_and_is_taken_once_somebody_does() {
    let queue = Memories::with_partition(0);
    let rig = Rig::start(&queue);
    rig.wanted.send_replace(Some(Arc::default()));
    rig.reads(0, 0).await;
    queue.send(0, CUSTOMER, "one");
    rig.counted(|counted| counted.undeliverable == 1).await;
    rig.wanted.send_replace(Some(Arc::new(HashSet::from([CUSTOMER]))));
    queue.send(0, CUSTOMER, "one");
    let counted = rig.counted(|counted| counted.accepted == 1).await;
    assert_eq!(counted.repeated, 0, "its key was not remembered");
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_came_later_is_read_from_its_beginning() {
    let queue = Memories::with_partition(0);
    let rig = Rig::start(&queue);
    rig.reads(0, 0).await;
    queue.send(1, CUSTOMER, "one");
    rig.counted(|counted| counted.accepted == 1).await;
    queue.send(0, CUSTOMER, "two");
    rig.counted(|counted| counted.accepted == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_down_stops_none_of_the_others() {
    let queue = Memories::with_partition(0);
    queue.partitions.lock().unwrap().insert(1, Vec::new());
    let rig = Rig::start(&queue);
    rig.reads(1, 0).await;
    queue.broken.lock().unwrap().insert(0);
    queue.send(0, CUSTOMER, "later");
    for number in 1..20 {
        queue.send(1, CUSTOMER, &format!("key {number}"));
        rig.counted(|counted| counted.accepted == number).await;
    }
    rig.counted(|counted| counted.failures >= 3).await;
    queue.broken.lock().unwrap().clear();
    rig.counted(|counted| counted.accepted == 20).await;
}

#[tokio::test(start_paused = true)]
async fn records_that_cannot_be_read_are_passed_over_and_their_neighbours_are_not() {
    let queue = Memories::with_partition(0);
    let rig = Rig::start(&queue);
    rig.reads(0, 0).await;
    queue.poison.lock().unwrap().extend([(0, 1), (0, 2), (0, 5)]);
    (0..8).for_each(|number| queue.send(0, CUSTOMER, &format!("key {number}")));
    let counted = rig.counted(|counted| counted.accepted == 5).await;
    assert_eq!(counted, Counted { accepted: 5, bad: 3, ..Counted::default() });
    rig.reads(0, 8).await;
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_read_for_a_moment_is_not_passed_over() {
    let queue = Memories::with_partition(0);
    let rig = Rig::start(&queue);
    rig.reads(0, 0).await;
    queue.poison.lock().unwrap().insert((0, 0));
    queue.send(0, CUSTOMER, "key");
    sleep(Duration::from_secs(1)).await;
    queue.poison.lock().unwrap().clear();
    let counted = rig.counted(|counted| counted.accepted + counted.bad > 0).await;
    assert_eq!(counted, Counted { accepted: 1, ..Counted::default() });
}

#[tokio::test(start_paused = true)]
async fn a_topic_of_too_many_partitions_is_not_read() {
    let queue = Memories::with_partition(0);
    let more = (1..=PARTITIONS_MAX as i32).map(|partition| (partition, Vec::new()));
    queue.partitions.lock().unwrap().extend(more);
    let rig = Rig::start(&queue);
    rig.counted(|counted| counted.failures > 1).await;
    let trouble = rig.trouble.borrow().clone().unwrap();
    assert_eq!(trouble, "the topic has 129 partitions, and at most 128 are read");
    queue.partitions.lock().unwrap().retain(|partition, _| *partition == 0);
    rig.trouble.subscribe().wait_for(Option::is_none).await.unwrap();
    assert!(!rig.file.lock().unwrap().offsets(&place()).unwrap().is_empty());
}

#[tokio::test]
async fn what_the_queue_forgot_is_counted_and_it_goes_on_where_it_can() {
    let queue = Memories::with_partition(0);
    let rig = Rig::start(&queue);
    rig.reads(0, 0).await;
    queue.is_down.store(true, Ordering::SeqCst);
    rig.counted(|counted| counted.failures > 0).await;
    (0..5).for_each(|number| queue.send(0, CUSTOMER, &format!("key {number}")));
    *queue.first.lock().unwrap() = 3;
    queue.is_down.store(false, Ordering::SeqCst);
    let counted = rig.counted(|counted| counted.accepted == 2).await;
    assert_eq!(counted.lost, 3);
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_says_that_it_has_is_not_skipped() {
    let queue = Memories::with_partition(0);
    let rig = Rig::start(&queue);
    rig.reads(0, 0).await;
    queue.denied.lock().unwrap().insert(0);
    (0..3).for_each(|number| queue.send(0, CUSTOMER, &format!("key {number}")));
    rig.counted(|counted| counted.failures >= 3).await;
    queue.denied.lock().unwrap().clear();
    let counted = rig.counted(|counted| counted.accepted == 3).await;
    assert_eq!(counted.lost, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_topic_has_that_was_made_anew_counts_as_lost() {
    let queue = Memories::with_partition(0);
    let rig = Rig::start(&queue);
    rig.reads(0, 0).await;
    (0..5).for_each(|number| queue.send(0, CUSTOMER, &format!("key {number}")));
    rig.reads(0, 5).await;
    queue.partitions.lock().unwrap().get_mut(&0).unwrap().truncate(2);
    rig.reads(0, 2).await;
    queue.send(0, CUSTOMER, "new");
    let counted = rig.counted(|counted| counted.accepted == 6).await;
    assert_eq!(counted.lost, 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_file_is_said_until_something_is_taken_again() {
    let queue = Memories::with_partition(0);
    let rig = Rig::start(&queue);
    rig.reads(0, 0).await;
    let large = format!("{CUSTOMER} {NONCE} {}", STANDARD.encode([0; 300_000]));
    ["one", "two", "three"].iter().for_each(|key| queue.produce(0, key, &large));
    rig.trouble.subscribe().wait_for(Option::is_some).await.unwrap();
    let counted = rig.counted(|counted| {
        assert!(rig.trouble.borrow().is_some());
        counted.failures >= 3
    });
    assert_eq!(counted.await.accepted, 2);
    rig.clock.advance(TimeDelta::days(2));
    rig.trouble.subscribe().wait_for(Option::is_none).await.unwrap();
    assert_eq!(rig.figures.counted().accepted, 3);
}
