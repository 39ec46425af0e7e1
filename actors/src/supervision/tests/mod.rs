//! Tests of the supervision layer: a probe actor that misbehaves on request, and what its supervisor makes of it.

mod groups;
mod messages;
mod orders;
mod plan;
mod policy;
mod reports;
mod restarts;

use std::collections::VecDeque;
use std::future::pending;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use xtra::{Context, Handler, Mailbox};

use super::*;
use crate::clock::ManualClock;

const SOON: Duration = Duration::from_secs(5);

/// How one incarnation of the probe comes up. When the list is empty, they come up well.
#[derive(Clone, Copy)]
enum Birth {
    Well,
    ConstructorPanics,
    StartFails,
    StartPanics,
    StartHangs,
}

/// What the test shares with all incarnations of its probes.
#[derive(Default)]
struct World {
    births: Mutex<VecDeque<Birth>>,
    born: AtomicU64,
    handled: AtomicUsize,
    tasks: AtomicUsize,
    stopped: Mutex<Vec<&'static str>>,
    /// `+name` when one has come up, `-name` when one was stopped in order.
    story: Mutex<Vec<String>>,
}

impl World {
    fn tell(&self, sign: char, name: &str) {
        self.story.lock().expect("no test panics here").push(format!("{sign}{name}"));
    }

    /// What has happened since this was asked for.
    fn story(&self) -> String {
        std::mem::take(&mut *self.story.lock().expect("no test panics here")).join(" ")
    }
}

struct Probe {
    name: &'static str,
    world: Arc<World>,
    birth: Birth,
    number: u64,
    last_words: Result<(), String>,
    seat: Incarnation<Probe>,
}

impl xtra::Actor for Probe {
    type Stop = Result<(), String>;

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), Self::Stop> {
        match self.birth {
            Birth::StartFails => return Err(Err("no route to host".to_owned())),
            Birth::StartPanics => panic!("panicked while starting"),
            Birth::StartHangs => pending().await,
            Birth::Well | Birth::ConstructorPanics => {}
        }
        self.world.tell('+', self.name);
        let alive = Alive::new(&self.world);
        self.seat.scope.spawn(async move {
            let _alive = alive;
            pending::<()>().await;
        });
        Ok(())
    }

    async fn stopped(self) -> Self::Stop {
        self.world.stopped.lock().expect("no test panics here").push(self.name);
        self.world.tell('-', self.name);
        self.last_words
    }
}

/// Counts the tasks that are alive.
struct Alive(Arc<World>);

impl Alive {
    fn new(world: &Arc<World>) -> Self {
        world.tasks.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(world))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.tasks.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Replies with the number of the incarnation that handles it.
struct Who;
/// Panics.
struct Boom;
/// Never returns.
struct Hang;
/// Takes this long.
struct Work(Duration);
/// Ends the incarnation with these last words.
struct Leave(Result<(), String>);
/// Starts a task that ends so.
struct Task(Result<(), String>);
/// Starts a task that panics.
struct TaskBoom;
/// Hands out the incarnation's reporter.
struct Report;

macro_rules! handler {
    ($message:ty, $return:ty, |$probe:ident, $given:ident, $ctx:ident| $body:expr) => {
        impl Handler<$message> for Probe {
            type Return = $return;

            async fn handle(&mut self, $given: $message, $ctx: &mut Context<Self>) -> $return {
                let $probe = self;
                $probe.world.handled.fetch_add(1, Ordering::SeqCst);
                $body
            }
        }
    };
}

handler!(Who, u64, |probe, _message, _ctx| probe.number);
handler!(Boom, (), |_probe, _message, _ctx| panic!("boom"));
handler!(Hang, (), |_probe, _message, _ctx| pending().await);
handler!(Work, (), |_probe, work, _ctx| tokio::time::sleep(work.0).await);
handler!(Task, (), |probe, task, _ctx| probe.seat.scope.spawn(async move { task.0 }));
handler!(TaskBoom, (), |probe, _message, _ctx| probe.seat.scope.spawn(boom()));
handler!(Report, Reporter, |probe, _message, _ctx| probe.seat.report.clone());
handler!(Leave, (), |probe, leave, ctx| {
    probe.last_words = leave.0;
    ctx.stop_self();
});

async fn boom() {
    panic!("a task's boom");
}

/// A tree with a clock that stands still.
fn tree() -> (Tree, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    (Tree::new(Registry::new(clock.clone()), 7), clock)
}

fn add(tree: &Tree, world: &Arc<World>, name: &'static str, policy: Policy) -> Address<Probe> {
    let world = Arc::clone(world);
    let constructor = move |seat| {
        let number = world.born.fetch_add(1, Ordering::SeqCst);
        let birth = world.births.lock().expect("no test panics here").pop_front().unwrap_or(Birth::Well);
        assert!(!matches!(birth, Birth::ConstructorPanics), "panicked while being made");
        Probe { name, world: Arc::clone(&world), birth, number, last_words: Ok(()), seat }
    };
    tree.add(name, policy, constructor).expect("the name is new")
}

/// One probe named `probe`, coming up as listed.
fn probe(policy: Policy, births: &[Birth]) -> (Tree, Arc<World>, Address<Probe>) {
    let (tree, _) = tree();
    let world = Arc::new(World::default());
    world.births.lock().expect("no test panics here").extend(births);
    let address = add(&tree, &world, "probe", policy);
    (tree, world, address)
}

/// Waits until the part's health is as `wanted`; time that stands still moves on meanwhile.
async fn until(tree: &Tree, name: &str, wanted: impl Fn(&PartHealth) -> bool) -> PartHealth {
    let mut health = tree.health().subscribe();
    let found = |parts: &Vec<PartHealth>| parts.iter().any(|part| part.name == name && wanted(part));
    let seen = tokio::time::timeout(Duration::from_secs(3600), health.wait_for(found)).await;
    let parts = seen.expect("it comes to that").expect("the registry lives").clone();
    parts.into_iter().find(|part| part.name == name).expect("just seen")
}

async fn running(tree: &Tree, name: &str) -> PartHealth {
    until(tree, name, |part| part.state == State::Running).await
}

/// Waits until so many messages have come into a handler's hands.
async fn in_hand(world: &World, messages: usize) {
    while world.handled.load(Ordering::SeqCst) < messages {
        tokio::task::yield_now().await;
    }
}
