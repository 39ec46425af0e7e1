//! The walk: from state to state until all are seen, or one is found that must not be.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use stateright::{Checker, HasDiscoveries, Model, Property};

use super::desk::Way;
use super::steps::Setup;
use super::world::{Action, Faults, Twist, World};

/// What must hold in every state.
pub const SAFE: &str = "once, and not before the receipt";
/// What must be possible from every state.
pub const ENDS: &str = "a run without faults from here ends";

/// The longest run without faults.
const RUN_MAX: usize = 300;

/// One walk.
pub struct Walk {
    setup: Setup,
    faults: Faults,
    only: Option<&'static str>,
    /// States from which a run without faults is known to end.
    ending: Mutex<HashSet<u64>>,
}

impl Walk {
    /// A walk from the deposit's first moment.
    pub fn new(way: Way, twist: Twist, faults: Faults) -> Self {
        Self { setup: Setup { way, twist }, faults, only: None, ending: Mutex::default() }
    }

    /// Looks for the breach of one property alone.
    pub fn only(self, property: &'static str) -> Self {
        Self { only: Some(property), ..self }
    }

    /// Walks; says what it found that must not be, with the way to it. Prints how far it came.
    pub fn find(self, name: &str) -> Option<String> {
        let faults = self.faults;
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(2);
        let failures = HasDiscoveries::AnyFailures;
        let walked = self.checker().threads(threads).finish_when(failures).spawn_bfs().join();
        let (states, steps, depth) = (walked.unique_state_count(), walked.state_count(), walked.max_depth());
        println!("{name}: {states} states, {steps} steps between them, at most {depth} in a row; {faults:?}");
        let (property, path) = walked.discoveries().into_iter().next()?;
        let last = path.last_state().clone();
        let actions: Vec<_> = path.into_actions().iter().map(|action| format!("  {action:?}")).collect();
        let why = last.violation().unwrap_or_else(|| walked.model().stuck(&last));
        Some(format!("{property}: {why}\n{}\n{last:#?}", actions.join("\n")))
    }

    /// Whether a run without faults from here ends well.
    fn ends(&self, world: &World) -> bool {
        let mut world = world.clone();
        let mut passed = Vec::new();
        for _ in 0..RUN_MAX {
            if world.violation().is_some() {
                // Found in its own right, by a shorter way.
                break;
            }
            let fingerprint = fingerprint(&world);
            if self.ending.lock().unwrap_or_else(PoisonError::into_inner).contains(&fingerprint) {
                break;
            }
            passed.push(fingerprint);
            match self.next_without_faults(&world) {
                Some(next) => world = next,
                None if world.is_ended() => break,
                None => return false,
            }
        }
        let ended = passed.len() < RUN_MAX;
        if ended {
            self.ending.lock().unwrap_or_else(PoisonError::into_inner).extend(passed);
        }
        ended
    }

    /// The first thing that changes something, and at the very end an operator who lets go on what is held.
    fn next_without_faults(&self, world: &World) -> Option<World> {
        let mut actions = Vec::new();
        world.regular(&mut actions);
        let releases = (0..world.lives.len()).filter(|at| world.lives[*at].is_held()).map(Action::Release);
        actions.extend(releases);
        actions.into_iter().map(|action| world.after(action, self.setup)).find(|next| next != world)
    }

    fn stuck(&self, world: &World) -> &'static str {
        let mut world = world.clone();
        for _ in 0..RUN_MAX {
            match self.next_without_faults(&world) {
                Some(next) => world = next,
                None => return if world.is_ended() { "it ends after all" } else { "it comes to a stand" },
            }
        }
        "it goes on for ever"
    }
}

fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

impl Model for Walk {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::start(self.faults)]
    }

    /// Nothing follows what must not be: the shortest way to it is the counter-example.
    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.violation().is_none() {
            world.regular(actions);
            world.faulty(actions);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let next = world.after(action, self.setup);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let safe = Property::always(SAFE, |_, world: &World| world.violation().is_none());
        let ends = Property::always(ENDS, |walk: &Self, world: &World| world.violation().is_some() || walk.ends(world));
        [safe, ends].into_iter().filter(|property| self.only.is_none_or(|only| only == property.name)).collect()
    }
}
