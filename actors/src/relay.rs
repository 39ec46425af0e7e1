//! Relaying others' notifications: what a queue provider hands out is passed on to who subscribed at ton.events' door.
//!
//! The intake reads the [`queue`] into a [`mod@file`], which knows repetitions and has the offsets; a second [`engine`] delivers from there
//! by the schedule, the signatures and the attempts that the desk's own notifications have, with a file of attempts of its
//! own. Who is told follows from the list of subscriptions: those of ton.events' dialect, of one customer each. What is read is
//! encrypted for that customer; the desk cannot read it.
//!
//! Not responsible for: the event log, which none of these messages is in.

pub mod figures;
pub mod file;
mod intake;
pub mod kafka;
#[cfg(test)]
mod memory;
pub mod queue;
mod source;
mod teller;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_protocols::delivery::policy::Schedule;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use xtra::Mailbox;

use crate::clock::Clock;
use crate::delivery::attempts::Limits;
use crate::delivery::engine;
use crate::delivery::figures::Figures as DeliveryFigures;
use crate::event_store::Store;
use crate::subscriptions::{Subscriptions, delivery};
use crate::supervision::{Incarnation, Policy, Reporter, Tree, TreeError};

use figures::Figures;
use file::{File, Memory, Place};
use intake::Intake;
use queue::Queue;
use source::FromFile;
use teller::{Means, Teller};

/// The part's name in the tree.
pub const PART: &str = "relay";
/// The file of what was read, in the data folder.
pub const FILE: &str = "relay.db";
/// The file of attempts, there too.
pub const ATTEMPTS_FILE: &str = "relay-attempts.db";
/// The condition's kind while nothing is read.
const CONDITION: &str = "queue";
/// How long a stop waits for what is under way.
const STOP_WAITS: Duration = Duration::from_secs(2);

/// What relaying takes.
#[derive(Clone)]
pub struct Settings {
    /// What is read.
    pub queue: Arc<dyn Queue>,
    /// Which of it, and as whom.
    pub place: Place,
    /// The file of what was read.
    pub path: PathBuf,
    /// The file of attempts.
    pub attempts_path: PathBuf,
    /// How long things are remembered.
    pub memory: Memory,
    /// When attempts are made again.
    pub schedule: Schedule,
    /// How much of the attempts is kept.
    pub limits: Limits,
    /// Where the queue is read and deliveries run: not among the actors.
    pub runtime: Handle,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// What others see of it. Cheap to clone, usable from any thread.
#[derive(Debug, Clone, Default)]
pub struct Relay {
    figures: Arc<Figures>,
    deliveries: Arc<DeliveryFigures>,
}

impl Relay {
    /// What was read came to this.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// What was delivered came to this.
    pub fn deliveries(&self) -> &DeliveryFigures {
        &self.deliveries
    }
}

/// Adds the part to the tree.
pub fn start(tree: &Tree, store: Store, subscriptions: Subscriptions, settings: Settings) -> Result<Relay, TreeError> {
    let relay = Relay::default();
    let started = relay.clone();
    tree.add(PART, Policy::permanent(), move |seat: Incarnation<Actor>| Actor {
        store: store.clone(),
        subscriptions: subscriptions.clone(),
        settings: settings.clone(),
        relay: started.clone(),
        seat,
        stop: CancellationToken::new(),
        ended: CancellationToken::new(),
    })?;
    Ok(relay)
}

/// The actor: its work is tasks of its incarnation, and the engine, which runs elsewhere.
pub struct Actor {
    store: Store,
    subscriptions: Subscriptions,
    settings: Settings,
    relay: Relay,
    seat: Incarnation<Self>,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl xtra::Actor for Actor {
    type Stop = Result<(), String>;

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), Self::Stop> {
        self.store.ready_for(&self.seat.report).await;
        let (path, memory) = (self.settings.path.clone(), self.settings.memory);
        // What is in it is counted, and that may be much.
        let opening = tokio::task::spawn_blocking(move || File::open(&path, memory));
        let file =
            opening.await.map_err(|error| error.to_string()).and_then(|file| file.map_err(|error| error.to_string()));
        let file = file.map_err(Err)?;
        let head = file.head();
        let file = Arc::new(Mutex::new(file));
        let commands = self.deliver(head)?;
        let wanted = watch::Sender::new(None);
        let (trouble, troubled) = watch::channel(None);
        let intake = Intake {
            queue: Arc::clone(&self.settings.queue),
            place: self.settings.place.clone(),
            file: Arc::clone(&file),
            wanted: wanted.subscribe(),
            clock: Arc::clone(&self.settings.clock),
            figures: Arc::clone(&self.relay.figures),
            trouble,
        };
        self.seat.scope.spawn(report(self.seat.report.clone(), troubled));
        let means = Means {
            sinks: self.subscriptions.sinks().clone(),
            clock: Arc::clone(&self.settings.clock),
            schedule: self.settings.schedule.clone(),
            figures: Arc::clone(&self.relay.figures),
        };
        let teller = Teller::new(commands, file, means, wanted);
        self.seat.scope.spawn(teller.tell(self.subscriptions.changes(), self.stop.clone()));
        #[expect(clippy::disallowed_methods, reason = "it runs elsewhere, and is aborted with this incarnation")]
        let intake = AbortOnDropHandle::new(self.settings.runtime.spawn(intake.run()));
        self.seat.scope.spawn(async move { intake.await.unwrap_or_else(|error| Err(error.to_string())) });
        Ok(())
    }

    /// What is under way ends by itself, if it does so soon.
    async fn stopped(self) -> Self::Stop {
        self.stop.cancel();
        let _ = tokio::time::timeout(STOP_WAITS, self.ended.cancelled()).await;
        Ok(())
    }
}

impl Actor {
    /// Starts the engine; says how it is told things.
    fn deliver(
        &self,
        head: watch::Receiver<u64>,
    ) -> Result<mpsc::Sender<engine::Command>, <Self as xtra::Actor>::Stop> {
        let log_head = *head.borrow();
        let source = FromFile::open(&self.settings.path, head).map_err(|error| Err(error.to_string()))?;
        let settings = |trouble| engine::Settings {
            path: self.settings.attempts_path.clone(),
            limits: self.settings.limits,
            trouble,
            sinks: self.subscriptions.sinks().clone(),
            source: Arc::new(source),
            clock: Arc::clone(&self.settings.clock),
            figures: Arc::clone(&self.relay.deliveries),
            log_head,
        };
        let (runtime, ending) = (&self.settings.runtime, (&self.stop, &self.ended));
        Ok(delivery::start_engine(&self.seat, runtime, &self.subscriptions, ending, settings))
    }
}

/// Raises the condition while nothing is read.
async fn report(report: Reporter, mut trouble: watch::Receiver<Option<String>>) -> Result<(), String> {
    loop {
        match trouble.borrow_and_update().as_deref() {
            Some(why) => report.set(CONDITION, format!("others' notifications are not read: {why}")),
            None => report.clear(CONDITION),
        }
        if trouble.changed().await.is_err() {
            // The intake is gone, which ends this incarnation.
            return std::future::pending().await;
        }
    }
}
