//! Groups: who is stopped and started with whom, who waits for whom, and what becomes of a group that cannot go on.

use super::*;

/// Gives up at its first failure.
fn brittle() -> Policy {
    Policy { intensity: Intensity { restarts_max: 0, window: SOON }, ..Policy::permanent() }
}

/// Bears so many members giving up.
fn bearing(strategy: Strategy, restarts_max: u32) -> Group {
    Group { intensity: Intensity { restarts_max, window: Duration::from_secs(600) }, ..Group::new(strategy) }
}

/// A group named `desk` of these parts.
async fn desk(group: Group, policy: Policy, names: &[&'static str]) -> (Tree, Arc<World>, Vec<Address<Probe>>) {
    let (tree, _) = tree();
    let world = Arc::new(World::default());
    let desk = tree.group("desk", group).expect("the name is new");
    let addresses = names.iter().map(|name| add(&desk, &world, name, policy)).collect();
    running(&tree, "desk").await;
    world.story();
    (tree, world, addresses)
}

async fn boom(probe: &Address<Probe>) {
    assert_eq!(ask(probe, Boom, SOON).await, Err(AskError::Unknown));
}

/// Waits until the part has so many restarts and runs.
async fn again(tree: &Tree, name: &str, restarts: u64) {
    until(tree, name, |part| part.state == State::Running && part.restarts == restarts).await;
}

fn why(tree: &Tree, name: &str) -> (State, String) {
    let part = tree.health().part(name).expect("it is listed");
    (part.state, part.why.unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn one_for_one_leaves_the_others_alone() {
    let (tree, world, parts) = desk(Group::new(Strategy::OneForOne), Policy::permanent(), &["a", "b", "c"]).await;
    boom(&parts[1]).await;
    again(&tree, "b", 1).await;
    assert_eq!(world.story(), "+b");
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_stops_those_after_it_last_first_and_starts_them_in_order() {
    let (tree, world, parts) = desk(Group::new(Strategy::RestForOne), Policy::permanent(), &["a", "b", "c", "d"]).await;
    boom(&parts[1]).await;
    again(&tree, "d", 1).await;
    assert_eq!(world.story(), "-d -c +b +c +d");
    assert_eq!(ask(&parts[3], Who, SOON).await, Ok(6), "its address is the one it had");
    assert_eq!(tree.health().part("a").expect("it is listed").restarts, 0);
    let desk = running(&tree, "desk").await;
    assert_eq!((desk.restarts, desk.strategy, desk.group), (1, Some(Strategy::RestForOne), None));
    assert_eq!(tree.health().part("d").expect("it is listed").group.as_deref(), Some("desk"));
}

#[tokio::test(start_paused = true)]
async fn one_for_all_stops_everybody_last_first_and_starts_them_in_order() {
    let (tree, world, parts) = desk(Group::new(Strategy::OneForAll), Policy::permanent(), &["a", "b", "c"]).await;
    boom(&parts[1]).await;
    again(&tree, "c", 1).await;
    assert_eq!(world.story(), "-c -a +a +b +c");
}

#[tokio::test(start_paused = true)]
async fn while_the_first_cannot_come_up_the_others_wait_for_it_and_say_so() {
    let (tree, _) = tree();
    let world = Arc::new(World::default());
    world.births.lock().expect("no test panics here").extend([Birth::StartFails; 3]);
    let desk = tree.group("desk", Group::new(Strategy::RestForOne)).expect("the name is new");
    add(&desk, &world, "store", Policy::permanent());
    let scanner = add(&desk, &world, "scanner", Policy::permanent());
    let inner = desk.group("inner", Group::new(Strategy::OneForOne)).expect("the name is new");
    add(&inner, &world, "sender", Policy::permanent());
    until(&tree, "store", |part| part.restarts == 2 && part.why.is_some()).await;
    for name in ["scanner", "inner", "sender"] {
        assert_eq!(why(&tree, name), (State::Waiting, "waits for store".to_owned()), "{name}");
    }
    assert_eq!(tree.health().part("desk").expect("it is listed").state, State::Starting);
    assert_eq!(ask(&scanner, Who, SOON).await, Err(AskError::Down), "nobody waits for whom nobody starts");
    running(&tree, "desk").await;
    assert_eq!(world.story(), "+store +scanner +sender");
    assert!(tree.health().snapshot().iter().all(PartHealth::is_well));
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_the_mailbox_of_the_one_that_failed_waits_on() {
    let (_tree, _world, parts) = desk(Group::new(Strategy::RestForOne), Policy::permanent(), &["store", "a"]).await;
    let (boom, who) = tokio::join!(biased; ask(&parts[0], Boom, SOON), ask(&parts[0], Who, SOON));
    assert_eq!(boom, Err(AskError::Unknown));
    assert!(matches!(who, Ok(0 | 2)), "{who:?}");
}

/// `desk` (rest for one): `store`, then `inner` (one for one): `a`, `b`; then `last`.
async fn nested(world: &Arc<World>, policy: Policy, outer: Group, inner: Group) -> (Tree, [Address<Probe>; 4]) {
    let (tree, _) = tree();
    let desk = tree.group("desk", outer).expect("the name is new");
    let store = add(&desk, world, "store", policy);
    let inner = desk.group("inner", inner).expect("the name is new");
    let last = add(&desk, world, "last", policy);
    let a = add(&inner, world, "a", policy);
    let b = add(&inner, world, "b", policy);
    running(&tree, "last").await;
    assert_eq!(world.story(), "+store +a +b +last");
    (tree, [store, a, b, last])
}

#[tokio::test(start_paused = true)]
async fn a_group_within_a_group_stops_and_starts_with_what_it_depends_on() {
    let world = Arc::new(World::default());
    let (outer, inner) = (Group::new(Strategy::RestForOne), Group::new(Strategy::OneForOne));
    let (tree, [store, _, b, _]) = nested(&world, Policy::permanent(), outer, inner).await;
    boom(&b).await;
    again(&tree, "b", 1).await;
    assert_eq!(world.story(), "+b", "inside, each is on its own");
    boom(&store).await;
    again(&tree, "last", 1).await;
    assert_eq!(world.story(), "-last -b -a +store +a +b +last");
    assert_eq!(tree.health().part("inner").expect("it is listed").group.as_deref(), Some("desk"));
}

#[tokio::test(start_paused = true)]
async fn one_that_rests_from_its_own_failure_waits_with_the_others_when_they_are_stopped() {
    let world = Arc::new(World::default());
    let backoff = Backoff { first: Duration::from_secs(1_000), longest: Duration::from_secs(1_000) };
    let (tree, _) = tree();
    let desk = tree.group("desk", Group::new(Strategy::RestForOne)).expect("the name is new");
    let store = add(&desk, &world, "store", Policy::permanent());
    let lame = add(&desk, &world, "lame", Policy { backoff, ..Policy::permanent() });
    running(&tree, "desk").await;
    boom(&lame).await;
    until(&tree, "lame", |part| matches!(part.state, State::BackingOff { .. })).await;
    let begun = tokio::time::Instant::now();
    boom(&store).await;
    again(&tree, "lame", 1).await;
    assert!(begun.elapsed() < SOON, "its own pause holds nobody up: {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_group_that_bears_no_more_gives_up_and_an_operator_lifts_it() {
    let (tree, world, parts) = desk(bearing(Strategy::OneForOne, 2), brittle(), &["a", "b", "c"]).await;
    let outside = add(&tree, &world, "outside", brittle());
    for restarts in 1..=2 {
        boom(&parts[1]).await;
        again(&tree, "b", restarts).await;
    }
    assert_eq!(world.story(), "+outside +b +b");
    boom(&parts[1]).await;
    let desk = until(&tree, "desk", |part| part.state == State::Down).await;
    assert_eq!(desk.why.as_deref(), Some("b: panicked: boom"));
    assert_eq!(desk.last_error.expect("it gave up").text, "b: panicked: boom");
    until(&tree, "a", |part| part.state == State::Waiting).await;
    assert_eq!(world.story(), "-c -a");
    assert_eq!(why(&tree, "a"), (State::Waiting, "desk gave up".to_owned()));
    assert_eq!(why(&tree, "b"), (State::Down, "panicked: boom".to_owned()));
    assert_eq!(ask(&parts[0], Who, SOON).await, Err(AskError::Down));
    assert_eq!(ask(&outside, Who, SOON).await, Ok(3), "the process and the others go on");

    tree.start("a").await.expect("it hears");
    assert_eq!(why(&tree, "a").0, State::Waiting, "it is the group that is to be lifted");
    tree.start("desk").await.expect("it is lifted");
    running(&tree, "desk").await;
    assert_eq!(world.story(), "+a +b +c");
    boom(&parts[1]).await;
    again(&tree, "b", 4).await;
    assert_eq!(tree.health().part("desk").expect("it is listed").state, State::Running, "what it bore is forgotten");
}

#[tokio::test(start_paused = true)]
async fn failures_long_ago_do_not_count() {
    let (tree, _world, parts) = desk(bearing(Strategy::OneForOne, 1), brittle(), &["a"]).await;
    for restarts in 1..=5 {
        boom(&parts[0]).await;
        again(&tree, "a", restarts).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
    assert_eq!(tree.health().part("desk").expect("it is listed").state, State::Running);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_gives_up_is_started_afresh_by_its_group_until_that_gives_up() {
    let world = Arc::new(World::default());
    let (outer, inner) = (bearing(Strategy::RestForOne, 1), bearing(Strategy::OneForOne, 1));
    let (tree, [store, a, _, _]) = nested(&world, brittle(), outer, inner).await;
    boom(&a).await;
    again(&tree, "a", 1).await;
    assert_eq!(world.story(), "+a", "the inner group bears one");
    boom(&a).await;
    again(&tree, "last", 1).await;
    assert_eq!(world.story(), "-last -b +a +b +last", "the outer one bears one of the inner one's");
    boom(&a).await;
    again(&tree, "a", 3).await;
    assert_eq!(world.story(), "+a", "the inner one began afresh");
    boom(&a).await;
    let desk = until(&tree, "desk", |part| part.state == State::Down).await;
    assert_eq!(desk.why.as_deref(), Some("inner: a: panicked: boom"));
    until(&tree, "store", |part| part.state == State::Waiting).await;
    assert_eq!(world.story(), "-last -b -store");
    assert_eq!(ask(&store, Who, SOON).await, Err(AskError::Down));
    tree.start("desk").await.expect("it is lifted");
    running(&tree, "last").await;
    assert_eq!(world.story(), "+store +a +b +last");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_never_to_come_back_takes_nobody_along() {
    let (tree, _) = tree();
    let world = Arc::new(World::default());
    let desk = tree.group("desk", bearing(Strategy::RestForOne, 0)).expect("the name is new");
    let once = add(&desk, &world, "once", Policy::temporary());
    let transient = add(&desk, &world, "transient", Policy::transient());
    let after = add(&desk, &world, "after", Policy::permanent());
    running(&tree, "desk").await;
    boom(&once).await;
    until(&tree, "once", |part| part.state == State::Down).await;
    ask(&transient, Leave(Ok(())), SOON).await.expect("it hears");
    until(&tree, "transient", |part| part.state == State::Stopped).await;
    assert_eq!(ask(&after, Who, SOON).await, Ok(2));
    assert_eq!(world.story(), "+once +transient +after -transient");
}

#[tokio::test(start_paused = true)]
async fn by_hand_a_member_is_stopped_started_and_restarted_with_those_who_depend_on_it() {
    let (tree, world, parts) = desk(Group::new(Strategy::RestForOne), Policy::permanent(), &["a", "b", "c"]).await;
    tree.stop("b").await.expect("it lives");
    assert_eq!(world.story(), "-c -b");
    assert_eq!(why(&tree, "b"), (State::Stopped, "stopped by the operator".to_owned()));
    assert_eq!(why(&tree, "c"), (State::Waiting, "waits for b".to_owned()));
    tree.start("b").await.expect("it can be started");
    running(&tree, "c").await;
    assert_eq!(world.story(), "+b +c");

    tree.stop("c").await.expect("it lives");
    boom(&parts[0]).await;
    again(&tree, "b", 2).await;
    assert_eq!(world.story(), "-c -b +a +b", "what was stopped by hand stays so");
    tree.start("c").await.expect("it can be started");
    running(&tree, "c").await;
    world.story();

    let (who, restarted) = tokio::join!(biased; ask(&parts[0], Work(SOON / 10), SOON), tree.restart("a"));
    assert_eq!((who, restarted), (Ok(()), Ok(())));
    again(&tree, "c", 3).await;
    assert_eq!(world.story(), "-c -b -a +a +b +c");
}

#[tokio::test(start_paused = true)]
async fn one_of_all_that_is_stopped_by_hand_stops_all() {
    let (tree, world, _) = desk(Group::new(Strategy::OneForAll), Policy::permanent(), &["a", "b", "c"]).await;
    tree.stop("b").await.expect("it lives");
    assert_eq!(world.story(), "-c -b -a");
    assert_eq!(why(&tree, "a"), (State::Waiting, "waits for b".to_owned()));
    tree.start("b").await.expect("it can be started");
    running(&tree, "desk").await;
    assert_eq!(world.story(), "+a +b +c");
    tree.restart("b").await.expect("it lives");
    running(&tree, "desk").await;
    assert_eq!(world.story(), "-c -b -a +a +b +c");
}

#[tokio::test(start_paused = true)]
async fn a_group_is_stopped_started_and_restarted_by_name() {
    let world = Arc::new(World::default());
    let (outer, inner) = (Group::new(Strategy::RestForOne), Group::new(Strategy::OneForOne));
    let (tree, _) = nested(&world, Policy::permanent(), outer, inner).await;
    tree.stop("inner").await.expect("it lives");
    assert_eq!(world.story(), "-last -b -a");
    assert_eq!(why(&tree, "a"), (State::Waiting, "inner is stopped".to_owned()));
    assert_eq!(why(&tree, "last"), (State::Waiting, "waits for inner".to_owned()));
    assert_eq!(why(&tree, "inner"), (State::Stopped, "stopped by the operator".to_owned()));
    tree.start("inner").await.expect("it can be started");
    running(&tree, "last").await;
    assert_eq!(world.story(), "+a +b +last");
    tree.start("inner").await.expect("starting what runs does nothing");
    assert_eq!(world.story(), "");
    tree.restart("inner").await.expect("it lives");
    running(&tree, "last").await;
    assert_eq!(world.story(), "-last -b -a +a +b +last");
    tree.restart("desk").await.expect("it lives");
    running(&tree, "last").await;
    assert_eq!(world.story(), "-last -b -a -store +store +a +b +last");
    assert_eq!(tree.health().part("last").expect("it is listed").last_error, None, "an order is no failure");
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_the_members_of_groups_in_the_order_of_the_tree() {
    let world = Arc::new(World::default());
    let (outer, inner) = (Group::new(Strategy::RestForOne), Group::new(Strategy::OneForOne));
    let (tree, _) = nested(&world, Policy::permanent(), outer, inner).await;
    add(&tree, &world, "outside", Policy::permanent());
    running(&tree, "outside").await;
    world.story();
    tree.shutdown(SOON).await;
    assert_eq!(world.story(), "-outside -last -b -a -store");
    assert!(tree.health().snapshot().iter().all(|part| part.state == State::Stopped));
    assert!(matches!(tree.group("late", Group::new(Strategy::OneForOne)), Err(TreeError::Ended(_))));
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_one_that_cannot_come_up() {
    let (tree, _) = tree();
    let world = Arc::new(World::default());
    world.births.lock().expect("no test panics here").push_back(Birth::StartHangs);
    let desk = tree.group("desk", Group::new(Strategy::RestForOne)).expect("the name is new");
    add(&desk, &world, "store", Policy::permanent());
    add(&desk, &world, "after", Policy::permanent());
    until(&tree, "after", |part| part.state == State::Waiting).await;
    let begun = tokio::time::Instant::now();
    tree.shutdown(SOON).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(world.story(), "");
}

#[tokio::test(start_paused = true)]
async fn a_panic_on_purpose_is_a_panic_like_any_other() {
    let (tree, world, parts) = desk(Group::new(Strategy::OneForOne), Policy::permanent(), &["a", "b"]).await;
    tree.panic("a").await.expect("it runs");
    again(&tree, "a", 1).await;
    let a = tree.health().part("a").expect("it is listed");
    assert_eq!(a.last_error.expect("it panicked").text, "panicked: told to panic, to see what becomes of it");
    assert_eq!(world.story(), "+a");

    let (work, panicked) = tokio::join!(biased; ask(&parts[1], Work(SOON), SOON * 2), async {
        in_hand(&world, 1).await;
        tree.panic("b").await
    });
    assert_eq!((work, panicked), (Err(AskError::Unknown), Ok(())), "in the middle of a handler, too");
    tree.stop("a").await.expect("it lives");
    assert_eq!(tree.panic("a").await, Err(TreeError::NotRunning("a".to_owned())));
    assert_eq!(tree.panic("desk").await, Err(TreeError::NoSuchPart("desk".to_owned())));
}
