//! What the list of subscriptions means for the engine that delivers, and what the engine says means for them.
//!
//! The log is what is true: at a start every subscription is put to the engine as it stands there, and whatever changes
//! later is told it change by change. What the engine disables becomes an event, and is told again until it is one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use millrace_model::ids::{Position, SubscriptionId};
use millrace_model::subscription::{self, Command, Dialect, Disabling, Rejection, Subscription};
use millrace_protocols::delivery::endpoint::{Order, Rate};
use millrace_protocols::delivery::policy::Schedule;
use millrace_protocols::delivery::scheduler::Terms;
use millrace_protocols::delivery::verdict::Reason;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;
use xtra::Mailbox;

use super::deliveries::{Deliveries, Engine};
use super::source::FromViews;
use super::{Known, List, SubscribeError, Subscriptions};
use crate::clock::Clock;
use crate::delivery::attempts::Limits;
use crate::delivery::endpoint::{Content, Endpoint, Filter, Moved, Service, Told};
use crate::delivery::engine::{self, Command as ToEngine, Disabled};
use crate::delivery::figures::Figures;
use crate::delivery::sinks::Sinks;
use crate::event_store::Store;
use crate::projection::Views;
use crate::supervision::{Incarnation, Policy, Reporter, Tree, TreeError};

/// The part's name in the tree.
pub const PART: &str = "delivery";
/// The name of the file of attempts, which is in the data folder.
pub const FILE: &str = "attempts.db";
/// How many commands and notices wait.
const WAITING_MAX: usize = 256;
/// How long a notice waits to be told again after it could not be stored.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a stop waits for what is under way.
const STOP_WAITS: Duration = Duration::from_secs(2);
/// Secrets end at a time that is looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What delivering takes.
#[derive(Clone)]
pub struct Settings {
    /// The file of attempts.
    pub path: PathBuf,
    /// How much of the attempts is kept.
    pub limits: Limits,
    /// Where it runs: not among the actors.
    pub runtime: Handle,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// Adds the part to the tree; says how it is asked.
pub fn start(
    tree: &Tree,
    store: Store,
    views: Views,
    subscriptions: Subscriptions,
    settings: Settings,
) -> Result<Deliveries, TreeError> {
    let engine = watch::Sender::new(None);
    let (figures, is_first) = (Arc::new(Figures::default()), Arc::new(AtomicBool::new(true)));
    let deliveries = Deliveries::new(engine.subscribe(), Arc::clone(&figures));
    tree.add(PART, Policy::permanent(), move |seat: Incarnation<Actor>| Actor {
        store: store.clone(),
        views: views.clone(),
        subscriptions: subscriptions.clone(),
        settings: settings.clone(),
        engine: engine.clone(),
        figures: Arc::clone(&figures),
        is_first: Arc::clone(&is_first),
        seat,
        stop: CancellationToken::new(),
        ended: CancellationToken::new(),
    })?;
    Ok(deliveries)
}

/// The actor: the engine runs elsewhere, and what is told it and what it says are two tasks of this incarnation.
pub struct Actor {
    store: Store,
    views: Views,
    subscriptions: Subscriptions,
    settings: Settings,
    /// Where others find the engine of this incarnation.
    engine: watch::Sender<Option<Engine>>,
    figures: Arc<Figures>,
    /// Whether no incarnation began an engine yet.
    is_first: Arc<AtomicBool>,
    seat: Incarnation<Self>,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl xtra::Actor for Actor {
    type Stop = Result<(), String>;

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), Self::Stop> {
        self.store.ready_for(&self.seat.report).await;
        let settings = |trouble| self.engine_settings(trouble);
        let ending = (&self.stop, &self.ended);
        let commands = start_engine(&self.seat, &self.settings.runtime, &self.subscriptions, ending, settings);
        self.engine.send_replace(Some(commands.downgrade()));
        let (list, clock) = (self.subscriptions.changes(), Arc::clone(&self.settings.clock));
        let teller = Teller { commands, clock, sinks: self.subscriptions.sinks().clone(), told: BTreeMap::new() };
        self.seat.scope.spawn(teller.tell(list, self.stop.clone()));
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
    /// How far the log went that the stored places are of. What this process appended before the first engine began (that the log was
    /// put back, for one) was told to nobody; a later engine finds places that an earlier one stored since.
    fn log_head(&self) -> Position {
        if self.is_first.swap(false, Ordering::Relaxed) { self.store.found_head() } else { self.store.head() }
    }

    fn engine_settings(&self, trouble: watch::Sender<Option<String>>) -> engine::Settings {
        engine::Settings {
            path: self.settings.path.clone(),
            limits: self.settings.limits,
            trouble,
            sinks: self.subscriptions.sinks().clone(),
            source: Arc::new(FromViews(self.views.clone())),
            clock: Arc::clone(&self.settings.clock),
            figures: Arc::clone(&self.figures),
            log_head: self.log_head(),
        }
    }
}

/// Runs an engine with an incarnation, which ends when it does before it was to stop; stores what it disables, and says how it is
/// told things.
pub(crate) fn start_engine<A>(
    seat: &Incarnation<A>,
    runtime: &Handle,
    subscriptions: &Subscriptions,
    (stop, ended): (&CancellationToken, &CancellationToken),
    settings: impl FnOnce(watch::Sender<Option<String>>) -> engine::Settings,
) -> mpsc::Sender<ToEngine> {
    let (commands, obeyed) = mpsc::channel(WAITING_MAX);
    let (notices, noticed) = mpsc::channel(WAITING_MAX);
    let (trouble, troubled) = watch::channel(None);
    let engine = engine::run(settings(trouble), obeyed, notices);
    #[expect(clippy::disallowed_methods, reason = "it runs elsewhere, and is aborted with this incarnation")]
    let engine = AbortOnDropHandle::new(runtime.spawn(engine));
    let (stop, ended) = (stop.clone(), ended.clone().drop_guard());
    seat.scope.spawn(async move {
        let outcome = engine.await;
        drop(ended);
        match outcome {
            Ok(Ok(())) if stop.is_cancelled() => Ok(()),
            Ok(Ok(())) => Err("the engine ended".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    });
    seat.scope.spawn(report(seat.report.clone(), troubled));
    seat.scope.spawn(store_notices(subscriptions.clone(), noticed));
    commands
}

/// The condition's kind while attempts cannot be written.
const CONDITION: &str = "attempts";

/// Raises the condition while nothing can be sent because nothing can be written.
async fn report(report: Reporter, mut trouble: watch::Receiver<Option<String>>) -> Result<(), String> {
    loop {
        match trouble.borrow_and_update().as_deref() {
            Some(why) => report.set(CONDITION, format!("attempts cannot be written, so nothing is sent: {why}")),
            None => report.clear(CONDITION),
        }
        if trouble.changed().await.is_err() {
            // The engine is gone, which ends this incarnation.
            return std::future::pending().await;
        }
    }
}

/// Tells the engine what became of the list.
struct Teller {
    commands: mpsc::Sender<ToEngine>,
    clock: Arc<dyn Clock>,
    sinks: Sinks,
    told: BTreeMap<SubscriptionId, Put>,
}

/// What the engine was told of one.
struct Put {
    known: Arc<Known>,
    /// When one of the secrets that sign for it ends.
    ends: Option<DateTime<Utc>>,
}

impl Teller {
    /// Until it is told to stop: then the engine, which nobody can tell anything any more, ends in order.
    async fn tell(mut self, mut lists: watch::Receiver<Option<List>>, stop: CancellationToken) -> Result<(), String> {
        loop {
            let list = lists.borrow_and_update().clone();
            if let Some(list) = list {
                self.tell_all(&list).await.map_err(|_| "the engine takes no commands".to_owned())?;
            }
            let changed = tokio::time::timeout(LOOK_EVERY, lists.changed());
            if stop.run_until_cancelled(changed).await.is_none() {
                return Ok(());
            }
        }
    }

    async fn tell_all(&mut self, list: &List) -> Result<(), mpsc::error::SendError<ToEngine>> {
        let over: Vec<_> = self.told.keys().filter(|id| !list.contains_key(id)).copied().collect();
        for id in over {
            self.told.remove(&id);
            self.commands.send(ToEngine::Remove(id.0)).await?;
        }
        let now = self.clock.now();
        for (id, known) in list.iter() {
            let told = self.told.get(id);
            let is_told = told.is_some_and(|told| {
                let is_as_it_was = told.known.version == known.version && told.known.endpoint == known.endpoint;
                is_as_it_was && told.ends.is_none_or(|ends| ends > now)
            });
            if !is_told {
                self.commands.send(command(known, &self.sinks, now)).await?;
                let ends = known.endpoint.as_ref().ok().and_then(|endpoint| endpoint.next_end(now));
                self.told.insert(*id, Put { known: Arc::clone(known), ends });
            }
        }
        Ok(())
    }
}

/// What the engine is told of a subscription. It remembers by itself what it disabled, until when an endpoint wants to be left
/// alone, and what it followed of the log.
pub(crate) fn command(known: &Known, sinks: &Sinks, now: DateTime<Utc>) -> ToEngine {
    match endpoint(known, sinks, now).filter(|_| known.unreadable.is_none()) {
        Some(endpoint) => ToEngine::Put(Box::new(endpoint)),
        None => ToEngine::Pause(known.subscription.id.0),
    }
}

/// Nothing when it is not known where it leads, or what is known is no address.
pub(super) fn endpoint(known: &Known, sinks: &Sinks, now: DateTime<Utc>) -> Option<Endpoint> {
    let inside = known.endpoint.as_ref().ok()?;
    let terms = &known.subscription.terms;
    let destination = sinks.parse(&inside.url);
    if let Err(error) = &destination {
        tracing::warn!(subscription = %known.subscription.id, %error, "there is no way to where a subscription leads");
    }
    Some(Endpoint {
        id: known.subscription.id.0,
        destination: destination.ok()?,
        signer: inside.signer(now)?,
        terms: Terms { schedule: schedule(terms.schedule), order: order(terms.order), rate: rate(terms.rate_per_s) },
        filter: filter(&known.subscription),
        content: match terms.dialect {
            Dialect::Standard => Content::Json,
            Dialect::TonEvents => Content::Text,
        },
        service: if known.subscription.is_served() { Service::Running } else { Service::Paused },
        begins_after: known.begun,
        told: told(known),
    })
}

/// What customers hear of their own subscriptions.
const OF_SUBSCRIPTIONS: &str = "Subscription.*";

/// What a subscription wants to hear of.
pub(super) fn filter(subscription: &Subscription) -> Filter {
    let terms = &subscription.terms;
    let mut kinds = terms.events.clone();
    // A customer hears of his others also by what he subscribed before there was word of that.
    if subscription.owner().is_some() && !kinds.iter().any(|kind| kind == OF_SUBSCRIPTIONS) {
        kinds.push(OF_SUBSCRIPTIONS.to_owned());
    }
    Filter { kinds, customer: terms.customer.map(|hash| hash.to_string()), oneself: Some(subscription.id.0) }
}

fn told(known: &Known) -> Told {
    let moved = known.moved_at.zip(known.subscription.moved_to).map(|(at, after)| Moved { at, after });
    Told { through: known.position, resumed_at: known.resumed_at, moved }
}

fn schedule(schedule: subscription::Schedule) -> Schedule {
    match schedule {
        subscription::Schedule::Standard => Schedule::standard(),
        subscription::Schedule::TonEvents => Schedule::TON_EVENTS,
    }
}

fn order(order: subscription::Order) -> Order {
    match order {
        subscription::Order::Any => Order::Free,
        subscription::Order::PerDeposit => Order::PerDeposit,
    }
}

fn rate(per_s: Option<u32>) -> Option<Rate> {
    let per_second = per_s.and_then(std::num::NonZeroU32::new)?;
    Some(Rate { per_second, burst: per_second })
}

/// What the engine disabled becomes an event.
async fn store_notices(subscriptions: Subscriptions, mut notices: mpsc::Receiver<Disabled>) -> Result<(), String> {
    while let Some(Disabled { endpoint, reason }) = notices.recv().await {
        let why = match reason {
            Reason::Gone => Disabling::Gone,
            Reason::Asked => Disabling::Asked,
            Reason::Exhausted => Disabling::Exhausted,
        };
        while let Err(error) = store_notice(&subscriptions, endpoint, why).await {
            tracing::warn!(%error, "that a subscription is disabled is not stored yet");
            tokio::time::sleep(AGAIN).await;
        }
    }
    Err("the engine says nothing any more".to_owned())
}

async fn store_notice(subscriptions: &Subscriptions, endpoint: Uuid, why: Disabling) -> Result<(), SubscribeError> {
    match subscriptions.execute(SubscriptionId(endpoint), Command::DisableDelivery { why }).await {
        // It ended meanwhile, the log never heard of it, or it was set aside: nothing is to be said of it.
        Ok(_) | Err(SubscribeError::Rejected(Rejection::Missing | Rejection::Over) | SubscribeError::Unreadable(_)) => {
            Ok(())
        }
        Err(error) => Err(error),
    }
}
