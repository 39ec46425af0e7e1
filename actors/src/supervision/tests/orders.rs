//! Stop, start and restart by name, and the shutdown of the whole tree.

use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_part_is_stopped_started_and_restarted_by_name() {
    let (tree, world, probe) = probe(Policy::permanent(), &[]);
    let other = add(&tree, &world, "other", Policy::permanent());
    assert_eq!(ask(&probe, Who, SOON).await, Ok(0));

    tree.stop("probe").await.expect("it lives");
    let health = tree.health().part("probe").expect("it is listed");
    assert_eq!((health.state, health.why.as_deref()), (State::Stopped, Some("stopped by the operator")));
    assert_eq!(ask(&probe, Who, SOON).await, Err(AskError::Down));
    assert_eq!(ask(&other, Who, SOON).await, Ok(1), "the others go on");

    tree.start("probe").await.expect("it can be started");
    assert_eq!(ask(&probe, Who, SOON).await, Ok(2));
    tree.start("probe").await.expect("starting what runs does nothing");
    assert_eq!(ask(&probe, Who, SOON).await, Ok(2));

    tree.restart("probe").await.expect("it lives");
    assert_eq!(ask(&probe, Who, SOON).await, Ok(3));
    assert_eq!(running(&tree, "probe").await.last_error, None, "an order is no failure");
    assert_eq!(*world.stopped.lock().expect("no test panics here"), ["probe", "probe"]);
    assert_eq!(tree.stop("nobody").await, Err(TreeError::NoSuchPart("nobody".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_the_queue_and_lets_the_handler_at_work_finish() {
    let (tree, world, probe) = probe(Policy::permanent(), &[]);
    let (work, (who, restart)) = tokio::join!(ask(&probe, Work(Duration::from_millis(500)), SOON), async {
        in_hand(&world, 1).await;
        tokio::join!(ask(&probe, Who, SOON), tree.restart("probe"))
    });
    assert_eq!((work, who, restart), (Ok(()), Ok(1), Ok(())));
    assert_eq!(*world.stopped.lock().expect("no test panics here"), ["probe"]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_outlasts_the_grace_is_cut_off_and_not_asked_to_stop_in_order() {
    let (tree, world, probe) = probe(Policy::permanent(), &[]);
    let begun = Instant::now();
    let (hang, stop) = tokio::join!(ask(&probe, Hang, SOON), async {
        in_hand(&world, 1).await;
        tree.stop("probe").await
    });
    assert_eq!((hang, stop), (Err(AskError::Unknown), Ok(())));
    assert_eq!(begun.elapsed(), Policy::permanent().grace);
    assert!(world.stopped.lock().expect("no test panics here").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_part_can_be_stopped_while_it_hangs_in_starting() {
    let (tree, world, _probe) = probe(Policy::permanent(), &[Birth::StartHangs]);
    tree.stop("probe").await.expect("it hears");
    assert_eq!(tree.health().part("probe").expect("it is listed").state, State::Stopped);
    assert_eq!(world.born.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn start_ends_a_back_off_at_once_and_stop_ends_it_for_good() {
    let backoff = Backoff { first: Duration::from_secs(600), longest: Duration::from_secs(600) };
    let policy = Policy { backoff, ..Policy::permanent() };
    let (tree, _world, probe) = probe(policy, &[Birth::StartFails, Birth::Well, Birth::Well]);
    let backing_off = |part: &PartHealth| matches!(part.state, State::BackingOff { .. });
    until(&tree, "probe", backing_off).await;
    tree.start("probe").await.expect("it hears");
    assert_eq!(ask(&probe, Who, SOON).await, Ok(1));
    assert_eq!(ask(&probe, Boom, SOON).await, Err(AskError::Unknown));
    until(&tree, "probe", backing_off).await;
    tree.stop("probe").await.expect("it hears");
    assert_eq!(ask(&probe, Who, SOON).await, Err(AskError::Down));
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_the_parts_in_reverse_order() {
    let (tree, _) = tree();
    let world = Arc::new(World::default());
    let addresses = ["store", "scanner", "sender"].map(|name| add(&tree, &world, name, Policy::permanent()));
    running(&tree, "sender").await;
    tree.shutdown(SOON).await;
    assert_eq!(*world.stopped.lock().expect("no test panics here"), ["sender", "scanner", "store"]);
    assert_eq!(world.tasks.load(Ordering::SeqCst), 0);
    for address in &addresses {
        assert_eq!(ask(address, Who, SOON).await, Err(AskError::Down));
    }
    assert!(tree.health().snapshot().iter().all(|part| part.state == State::Stopped));
    assert_eq!(tree.start("store").await, Err(TreeError::NoSuchPart("store".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn shutdown_cuts_off_what_does_not_end_and_still_ends_the_rest_in_order() {
    let (tree, _) = tree();
    let world = Arc::new(World::default());
    add(&tree, &world, "store", Policy::permanent());
    let stubborn = add(&tree, &world, "stubborn", Policy { grace: SOON * 9, ..Policy::permanent() });
    let begun = Instant::now();
    let (hang, ()) = tokio::join!(ask(&stubborn, Hang, SOON * 9), async {
        in_hand(&world, 1).await;
        tree.shutdown(SOON).await;
    });
    assert_eq!(hang, Err(AskError::Unknown));
    assert!(begun.elapsed() <= SOON, "{:?}", begun.elapsed());
    assert_eq!(*world.stopped.lock().expect("no test panics here"), ["store"]);
    let health = tree.health().part("stubborn").expect("it is listed");
    assert_eq!((health.state, health.why.as_deref()), (State::Stopped, Some("cut off at shutdown")));
    assert_eq!(world.tasks.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn parts_end_when_their_tree_is_dropped() {
    let (tree, _world, probe) = probe(Policy::permanent(), &[]);
    let health = tree.health().clone();
    assert_eq!(ask(&probe, Who, SOON).await, Ok(0));
    drop(tree);
    let mut changes = health.subscribe();
    changes.wait_for(|parts| parts[0].state == State::Stopped).await.expect("the registry lives");
    assert_eq!(ask(&probe, Who, SOON).await, Err(AskError::Down));
}

#[tokio::test(start_paused = true)]
async fn a_name_is_given_once_and_nothing_is_added_after_shutdown() {
    let (tree, world, _probe) = probe(Policy::permanent(), &[]);
    let make = |seat| Probe {
        name: "probe",
        world: Arc::new(World::default()),
        birth: Birth::Well,
        number: 0,
        last_words: Ok(()),
        seat,
    };
    let taken = tree.add("probe", Policy::permanent(), make).map(|_| ());
    assert_eq!(taken, Err(TreeError::NameTaken("probe".to_owned())));
    tree.shutdown(SOON).await;
    let late = tree.add("late", Policy::permanent(), make).map(|_| ());
    assert_eq!(late, Err(TreeError::Ended("late".to_owned())));
    assert_eq!(world.born.load(Ordering::SeqCst), 1);
}
