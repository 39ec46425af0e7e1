//! What ends an incarnation, and what follows.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_address_and_the_queue_survive_a_panic() {
    let (tree, _world, probe) = probe(Policy::permanent(), &[]);
    let (boom, after) = tokio::join!(ask(&probe, Boom, SOON), async {
        // Queued behind the poison before anything is handled, and both are still there when it strikes.
        tokio::join!(ask(&probe, Who, SOON), ask(&probe, Who, SOON))
    });
    let number = ask(&probe, Who, SOON).await;
    assert_eq!(boom, Err(AskError::Unknown));
    assert!(matches!(after, (Ok(0 | 1), Ok(0 | 1))), "{after:?}");
    assert_eq!(number, Ok(1));
    let health = running(&tree, "probe").await;
    assert_eq!(health.restarts, 1);
    assert_eq!(health.last_error.expect("it panicked").text, "panicked: boom");
}

/// O10: it backs off and recovers.
#[tokio::test(start_paused = true)]
async fn a_part_that_fails_to_come_up_backs_off_and_recovers() {
    let births = [Birth::ConstructorPanics, Birth::StartFails, Birth::StartPanics, Birth::StartHangs];
    let (tree, world, probe) = probe(Policy::permanent(), &births);
    for (restarts, why) in [
        (0, "panicked: panicked while being made"),
        (1, "no route to host"),
        (2, "panicked: panicked while starting"),
        (3, "took longer than its limit"),
    ] {
        let backing_off = |part: &PartHealth| part.restarts == restarts && part.why.is_some();
        let health = until(&tree, "probe", backing_off).await;
        assert!(matches!(health.state, State::BackingOff { next_try } if next_try > health.since), "{health:?}");
        assert_eq!(health.why.as_deref(), Some(why));
    }
    assert_eq!(ask(&probe, Who, SOON).await, Ok(4));
    assert!(running(&tree, "probe").await.is_well());
    assert!(world.stopped.lock().expect("no test panics here").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_ask_waits_in_the_mailbox_while_the_part_backs_off() {
    let (_tree, _world, probe) = probe(Policy::permanent(), &[Birth::StartFails, Birth::StartFails]);
    assert_eq!(ask(&probe, Who, SOON).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_cut_off_and_the_part_restarted() {
    let (tree, _world, probe) = probe(Policy { handle_within: SOON, ..Policy::permanent() }, &[]);
    assert_eq!(ask(&probe, Hang, SOON * 2).await, Err(AskError::Unknown));
    assert_eq!(ask(&probe, Who, SOON).await, Ok(1));
    let health = running(&tree, "probe").await;
    assert_eq!(health.last_error.expect("it hung").text, "took longer than its limit");
}

#[tokio::test(start_paused = true)]
async fn the_tasks_of_an_incarnation_end_with_it() {
    let (tree, world, probe) = probe(Policy::permanent(), &[]);
    for number in 0..4 {
        assert_eq!(ask(&probe, Who, SOON).await, Ok(number));
        assert_eq!(world.tasks.load(Ordering::SeqCst), 1);
        assert_eq!(ask(&probe, Boom, SOON).await, Err(AskError::Unknown));
    }
    tree.stop("probe").await.expect("it lives");
    assert_eq!(world.tasks.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_or_panics_takes_its_incarnation_along() {
    let (tree, _world, probe) = probe(Policy::permanent(), &[]);
    let last_error = |health: PartHealth| health.last_error.map(|error| error.text);
    ask(&probe, Task(Ok(())), SOON).await.expect("it runs");
    ask(&probe, Task(Err("the stream was cut".to_owned())), SOON).await.expect("it runs");
    let health = until(&tree, "probe", |part| part.restarts == 1).await;
    assert_eq!(last_error(health).as_deref(), Some("the stream was cut"));
    ask(&probe, TaskBoom, SOON).await.expect("it runs");
    let health = until(&tree, "probe", |part| part.restarts == 2).await;
    assert_eq!(last_error(health).as_deref(), Some("panicked: a task's boom"));
}

/// O10: too many restarts put the part down, and an operator starts it.
#[tokio::test(start_paused = true)]
async fn too_many_restarts_in_the_window_put_the_part_down_until_it_is_started() {
    let intensity = Intensity { restarts_max: 2, window: Duration::from_secs(60) };
    let (tree, _world, probe) = probe(Policy { intensity, ..Policy::permanent() }, &[]);
    for _ in 0..3 {
        assert_eq!(ask(&probe, Boom, SOON).await, Err(AskError::Unknown));
    }
    let health = until(&tree, "probe", |part| part.state == State::Down).await;
    assert_eq!((health.restarts, health.why.as_deref()), (2, Some("panicked: boom")));
    assert_eq!(ask(&probe, Who, SOON).await, Err(AskError::Down));

    tree.start("probe").await.expect("it can be started");
    assert_eq!(ask(&probe, Who, SOON).await, Ok(3));
    assert_eq!(ask(&probe, Boom, SOON).await, Err(AskError::Unknown));
    assert_eq!(ask(&probe, Who, SOON).await, Ok(4), "the old failures are forgotten");
}

#[tokio::test(start_paused = true)]
async fn what_was_queued_when_the_part_went_down_is_answered_at_once() {
    let policy = Policy { handle_within: SOON, ..Policy::temporary() };
    let (tree, world, probe) = probe(policy, &[]);
    running(&tree, "probe").await;
    let begun = tokio::time::Instant::now();
    let queued = tokio::join!(biased; ask(&probe, Hang, SOON * 9), ask(&probe, Who, SOON * 9));
    assert_eq!(queued, (Err(AskError::Unknown), Err(AskError::Unknown)));
    assert_eq!(begun.elapsed(), SOON);
    assert_eq!(world.handled.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn the_restart_kind_decides_which_exits_are_followed_by_another_incarnation() {
    let failed = || Err("failed".to_owned());
    for (policy, last_words, then) in [
        (Policy::permanent(), Ok(()), State::Running),
        (Policy::permanent(), failed(), State::Running),
        (Policy::transient(), Ok(()), State::Stopped),
        (Policy::transient(), failed(), State::Running),
        (Policy::temporary(), Ok(()), State::Stopped),
        (Policy::temporary(), failed(), State::Down),
    ] {
        let (tree, world, probe) = probe(policy, &[]);
        ask(&probe, Leave(last_words.clone()), SOON).await.expect("it hears");
        let restarts = u64::from(then == State::Running);
        let health = until(&tree, "probe", |part| part.state == then && part.restarts == restarts).await;
        assert_eq!(health.last_error.is_some(), last_words.is_err(), "{policy:?}");
        assert_eq!(*world.stopped.lock().expect("no test panics here"), ["probe"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_lives_by_its_addresses_ends_with_the_last_of_them() {
    let policy = Policy { lifetime: Lifetime::Addresses, ..Policy::permanent() };
    let (tree, world, probe) = probe(policy, &[]);
    let weak = probe.downgrade();
    assert_eq!(ask(&weak.upgrade().expect("it lives"), Who, SOON).await, Ok(0));
    drop(probe);
    until(&tree, "probe", |part| part.state == State::Stopped).await;
    assert!(weak.upgrade().is_none());
    assert_eq!(world.tasks.load(Ordering::SeqCst), 0);
    assert_eq!(tree.start("probe").await, Err(TreeError::Ended("probe".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_part_of_the_tree_lives_on_when_nobody_holds_its_address() {
    let (tree, world, address) = probe(Policy::permanent(), &[]);
    drop(address);
    tokio::time::sleep(SOON).await;
    assert!(running(&tree, "probe").await.is_well());
    assert_eq!(world.born.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_one_task_starts_anew_when_that_fails_and_not_when_it_is_done() {
    let ((tree, _), begun) = (tree(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&begun);
    let task = move |_| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match number {
                0 => Err("no luck"),
                1 => panic!("worse"),
                _ => Ok(()),
            }
        }
    };
    tree.add_task("task", task).unwrap();
    let health = until(&tree, "task", |health| health.restarts == 2 && health.state == State::Running).await;
    assert!(health.last_error.is_some_and(|error| error.text.contains("worse")));
    assert_eq!(begun.load(Ordering::SeqCst), 3);
}
