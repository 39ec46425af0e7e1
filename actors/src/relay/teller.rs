//! What the list of subscriptions means for relaying: the engine is told who is served, and then the intake whose messages are
//! wanted. In this order, so that whoever a message is taken for is told after a position before it.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use millrace_model::ids::{Hash32, SubscriptionId};
use millrace_model::subscription::{self, Dialect, Proof, Stopped};
use millrace_protocols::delivery::cursor::Position;
use millrace_protocols::delivery::policy::Schedule;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::figures::Figures;
use super::file::File;
use super::intake::{Wanted, in_file};
use crate::clock::Clock;
use crate::delivery::endpoint::Endpoint;
use crate::delivery::engine::Command;
use crate::delivery::sinks::Sinks;
use crate::subscriptions::{Known, List, delivery};

/// Secrets end at a time that is looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Tells both.
pub(super) struct Teller {
    commands: mpsc::Sender<Command>,
    file: Arc<Mutex<File>>,
    means: Means,
    wanted: watch::Sender<Wanted>,
    told: BTreeMap<SubscriptionId, Told>,
}

/// What makes an endpoint of a subscription.
pub(super) struct Means {
    pub(super) sinks: Sinks,
    pub(super) clock: Arc<dyn Clock>,
    /// When attempts are made again for those who did not ask for another schedule than ton.events'.
    pub(super) schedule: Schedule,
    /// Where it is said for how many customers messages are taken.
    pub(super) figures: Arc<Figures>,
}

/// What the engine was told of one.
struct Told {
    known: Arc<Known>,
    after: Position,
    /// When one of the secrets that sign for it ends.
    ends: Option<DateTime<Utc>>,
}

impl Teller {
    pub(super) fn new(
        commands: mpsc::Sender<Command>,
        file: Arc<Mutex<File>>,
        means: Means,
        wanted: watch::Sender<Wanted>,
    ) -> Self {
        Self { commands, file, means, wanted, told: BTreeMap::new() }
    }

    /// Until it is told to stop: then the engine, which nobody can tell anything any more, ends in order.
    pub(super) async fn tell(
        mut self,
        mut lists: watch::Receiver<Option<List>>,
        stop: CancellationToken,
    ) -> Result<(), String> {
        loop {
            let list = lists.borrow_and_update().clone();
            if let Some(list) = list {
                let relayed: Vec<_> = list.values().filter(|known| is_relayed(known)).cloned().collect();
                self.tell_all(&relayed).await?;
                let wanted = relayed.iter().filter(|known| stands(known));
                let wanted: HashSet<Hash32> = wanted.filter_map(|known| known.subscription.terms.customer).collect();
                let customers = wanted.len();
                self.wanted.send_replace(Some(Arc::new(wanted)));
                self.means.figures.wanted_by(customers);
            }
            let changed = tokio::time::timeout(LOOK_EVERY, lists.changed());
            match stop.run_until_cancelled(changed).await {
                None => return Ok(()),
                Some(Ok(Err(_))) => return Err("the list of subscriptions is gone".to_owned()),
                Some(Ok(Ok(())) | Err(_)) => {}
            }
        }
    }

    async fn tell_all(&mut self, relayed: &[Arc<Known>]) -> Result<(), String> {
        let listed: HashSet<_> = relayed.iter().map(|known| known.subscription.id).collect();
        let over: Vec<_> = self.told.keys().filter(|id| !listed.contains(id)).copied().collect();
        let begun = self.beginnings(relayed, over.len()).await?;
        for id in over {
            self.told.remove(&id);
            self.command(Command::Remove(id.0)).await?;
        }
        let now = self.means.clock.now();
        for known in relayed {
            let id = known.subscription.id;
            let after = begun.get(&id).copied().or_else(|| self.told.get(&id).map(|told| told.after));
            let after = after.expect("it was told of before, or asked for in the file");
            if !self.is_told(known, now) {
                self.command(command(known, &self.means, (after, now))).await?;
                let ends = known.endpoint.as_ref().ok().and_then(|endpoint| endpoint.next_end(now));
                self.told.insert(id, Told { known: Arc::clone(known), after, ends });
            }
        }
        Ok(())
    }

    /// Where those begin that are new; nothing while there are the same as before.
    async fn beginnings(
        &self,
        relayed: &[Arc<Known>],
        over: usize,
    ) -> Result<BTreeMap<SubscriptionId, Position>, String> {
        if over == 0 && relayed.iter().all(|known| self.told.contains_key(&known.subscription.id)) {
            return Ok(BTreeMap::new());
        }
        let ids: Vec<_> = relayed.iter().map(|known| known.subscription.id.0).collect();
        let begun = in_file(&self.file, move |file| file.beginnings(&ids)).await;
        let begun = begun.map_err(|error| error.to_string())?;
        Ok(begun.into_iter().map(|(id, after)| (SubscriptionId(id), after)).collect())
    }

    fn is_told(&self, known: &Known, now: DateTime<Utc>) -> bool {
        self.told.get(&known.subscription.id).is_some_and(|told| {
            let is_as_it_was = told.known.version == known.version && told.known.endpoint == known.endpoint;
            is_as_it_was && told.ends.is_none_or(|ends| ends > now)
        })
    }

    async fn command(&self, command: Command) -> Result<(), String> {
        self.commands.send(command).await.map_err(|_| "the engine takes no commands".to_owned())
    }
}

/// Only who says whose messages he wants is told any, in the dialect that they are made for.
fn is_relayed(known: &Known) -> bool {
    known.subscription.terms.dialect == Dialect::TonEvents && known.subscription.terms.customer.is_some()
}

/// Whether messages are taken for it. One that is paused gets them later; one whose receiver failed is, as there, nobody's.
fn stands(known: &Known) -> bool {
    let is_proved = match known.subscription.proof {
        Proof::NotNeeded | Proof::Given { .. } => true,
        Proof::Missing { .. } => false,
    };
    is_proved && matches!(known.subscription.stopped, None | Some(Stopped::Paused))
}

/// What the engine is told of a subscription.
fn command(known: &Known, means: &Means, (after, now): (Position, DateTime<Utc>)) -> Command {
    match delivery::command(known, &means.sinks, now) {
        Command::Put(endpoint) => Command::Put(Box::new(relayed(*endpoint, known, means, after))),
        other => other,
    }
}

/// As an endpoint is told of what others send its customer.
fn relayed(mut endpoint: Endpoint, known: &Known, means: &Means, after: Position) -> Endpoint {
    if known.subscription.terms.schedule == subscription::Schedule::TonEvents {
        endpoint.terms.schedule = means.schedule.clone();
    }
    // What it wants to hear of the desk says nothing of these, and where its cursor was moved to is a place in the log.
    endpoint.filter.kinds.clear();
    endpoint.told.moved = None;
    Endpoint { begins_after: after, ..endpoint }
}
