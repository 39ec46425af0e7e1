//! Asks: none is lost, each is answered once, and the error says whether it may have been handled.

use futures::future::join_all;
use futures::{FutureExt, StreamExt, stream};

use super::*;

/// Asks 4 x 1000 times while orders and health reads race with them. Every ask has exactly one answer, and the
/// probe has handled exactly those answered: a receive dropped in a race would lose a message.
async fn hammer() {
    let (tree, world, probe) = probe(Policy::permanent(), &[]);
    let done = std::sync::atomic::AtomicBool::new(false);
    let askers = join_all((0..4).map(|_| async {
        let asks = stream::iter(0..1000).map(|_| ask(&probe, Who, Duration::from_secs(60)));
        asks.buffer_unordered(8).collect::<Vec<_>>().await
    }))
    .map(|answers| {
        done.store(true, Ordering::SeqCst);
        answers.concat()
    });
    let operator = async {
        let mut orders = 0_u64;
        while !done.load(Ordering::SeqCst) {
            tree.start("probe").await.expect("it hears");
            assert_ne!(tree.health().part("probe").expect("it is listed").state, State::Down);
            orders += 1;
            if orders.is_multiple_of(16) {
                tree.restart("probe").await.expect("it hears");
            }
            tokio::task::yield_now().await;
        }
        orders
    };
    let (answers, orders) = tokio::join!(askers, operator);
    assert!(orders > 16, "the orders did race: {orders}");
    assert_eq!(answers.len(), 4000);
    assert!(answers.iter().all(Result::is_ok), "lost: {}", answers.iter().filter(|answer| answer.is_err()).count());
    assert_eq!(world.handled.load(Ordering::SeqCst), 4000);
}

#[tokio::test]
async fn no_message_is_lost_when_orders_race_with_messages() {
    hammer().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_lost_when_orders_race_from_another_thread() {
    hammer().await;
}

#[tokio::test(start_paused = true)]
async fn every_ask_is_answered_once_while_the_part_keeps_crashing() {
    let intensity = Intensity { restarts_max: u32::MAX, window: Duration::from_secs(60) };
    let backoff = Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(1) };
    let (_tree, world, probe) = probe(Policy { intensity, backoff, ..Policy::permanent() }, &[]);
    let probe = &probe;
    let asks = stream::iter(0..2000_u32).map(|n| async move {
        if n % 100 == 99 { ask(probe, Boom, SOON).await.map(|()| 0) } else { ask(probe, Who, SOON).await }
    });
    let answers: Vec<_> = asks.buffer_unordered(64).collect().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1980);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(AskError::Unknown)).count(), 20);
    assert_eq!(world.handled.load(Ordering::SeqCst), 2000);
    assert_eq!(world.tasks.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_missed_deadline_is_unknown_and_the_message_may_still_be_handled() {
    let (tree, world, probe) = probe(Policy::permanent(), &[]);
    running(&tree, "probe").await;
    let (work, who) = tokio::join!(
        biased;
        ask(&probe, Work(Duration::from_secs(2)), SOON),
        ask(&probe, Who, Duration::from_secs(1))
    );
    assert_eq!((work, who), (Ok(()), Err(AskError::Unknown)));
    assert_eq!(ask(&probe, Who, SOON).await, Ok(0));
    assert_eq!(world.handled.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn an_ask_of_a_full_mailbox_is_busy_at_once() {
    let (tree, world, probe) = probe(Policy { mailbox_max: 2, ..Policy::permanent() }, &[]);
    running(&tree, "probe").await;
    let begun = tokio::time::Instant::now();
    let (_, busy) = tokio::join!(
        biased;
        async { tokio::join!(biased; ask(&probe, Work(SOON), SOON * 2), ask(&probe, Who, SOON * 2)) },
        async {
            // The probe is at work and has one waiting: there is room for one more.
            tokio::task::yield_now().await;
            let (last, refused) = tokio::join!(biased; ask(&probe, Who, SOON * 2), async {
                (ask(&probe, Who, SOON).await, begun.elapsed())
            });
            assert_eq!(last, Ok(0));
            refused
        }
    );
    assert_eq!(busy, (Err(AskError::Busy), Duration::ZERO));
    assert_eq!(world.handled.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_busy_part_lets_the_others_have_their_turn() {
    let (tree, world, busy) = probe(Policy::permanent(), &[]);
    let quiet_world = Arc::new(World::default());
    let quiet = add(&tree, &quiet_world, "quiet", Policy::permanent());
    running(&tree, "quiet").await;
    let flood = join_all((0..1000).map(|_| ask(&busy, Who, SOON)));
    let (_, handled_by_then) = tokio::join!(biased; flood, async {
        assert_eq!(ask(&quiet, Who, SOON).await, Ok(0));
        world.handled.load(Ordering::SeqCst)
    });
    assert!(handled_by_then < 1000, "the quiet part came last");
    assert_eq!(world.handled.load(Ordering::SeqCst), 1000);
}
