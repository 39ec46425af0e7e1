//! The streams of subscriptions: appended to by commands, followed for the list.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{Category, CommandId, Position, StreamName, SubscriptionId};
use millrace_model::operator::{By, with_note};
use millrace_model::subscription::{self, Command, Rejection, Subscription, evolve};
use tokio::sync::watch;

use super::endpoint::{Endpoint, NotOpen};
use super::{Done, Known, List, SubscribeError};
use crate::customer_keys::CustomerKeys;
use crate::event_store::{Append, AppendError, Expected, Progress, ReadError, Store, Write};
use crate::operations::Note;
use crate::supervision::Reporter;

/// How many events are looked through at once.
const PAGE_EVENTS_MAX: usize = 4_096;
/// How long an answer waits for the list to show what was done.
const SHOWN_WITHIN: Duration = Duration::from_millis(500);
/// What could not be opened is tried again when nothing happened for so long.
const OPEN_AGAIN: Duration = Duration::from_secs(30);
/// How often a command is decided afresh when others were faster.
const CONFLICTS_MAX: usize = 16;

/// Which operator asks for something, and why; the desk itself is nobody.
type Asked<'a> = (Option<&'a By>, Option<&'a Note>);

#[derive(Debug, Clone)]
pub(super) struct Book {
    store: Store,
    keys: CustomerKeys,
    list: watch::Sender<Option<List>>,
}

/// The list, and the position it stands for.
pub(super) struct Followed {
    book: Book,
    seen: Position,
    report: Reporter,
    /// Those of which not even the first event can be read.
    lost: BTreeMap<SubscriptionId, String>,
}

/// The condition's kind while an event of a subscription cannot be read.
const CONDITION: &str = "unreadable";

impl Book {
    pub(super) fn new(store: Store, keys: CustomerKeys, list: watch::Sender<Option<List>>) -> Self {
        Self { store, keys, list }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn list(&self) -> List {
        self.list.borrow().clone().unwrap_or_default()
    }

    /// Waits a little for the list to show what was stored: whoever asked looks next, and the limits are of the list.
    async fn shows(&self, known: &Known) {
        let is_shown = |list: &Option<List>| match list.as_ref().and_then(|list| list.get(&known.subscription.id)) {
            Some(shown) => shown.version >= known.version,
            None => known.subscription.ended.is_some(),
        };
        let mut list = self.list.subscribe();
        let _ = tokio::time::timeout(SHOWN_WITHIN, list.wait_for(is_shown)).await;
    }

    /// Reads those that are not over.
    pub(super) async fn begin(&self, report: Reporter) -> Result<Followed, ReadError> {
        let (seen, lost) = self.read_all().await?;
        let followed = Followed { book: self.clone(), seen, report, lost };
        followed.tell();
        Ok(followed)
    }

    /// Says up to where, and of which not even the first event can be read.
    async fn read_all(&self) -> Result<(Position, BTreeMap<SubscriptionId, String>), ReadError> {
        let (reader, keys) = (self.store.reader()?, self.keys.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let (head, events) = reader.open_streams(Category::Subscription)?;
            let (mut list, mut lost) = (BTreeMap::new(), BTreeMap::new());
            for events in events.chunk_by(|one, next| one.stream == next.stream) {
                match fold(events, &keys) {
                    Some(known) => drop(list.insert(known.subscription.id, Arc::new(known))),
                    None => lost.extend(events.first().and_then(unread)),
                }
            }
            Ok::<_, ReadError>((head, Arc::new(list), lost))
        });
        let (head, list, lost) = reading.await.expect("reading neither panics nor is aborted")?;
        self.list.send_replace(Some(list));
        Ok((head, lost))
    }

    /// One of any that ever was.
    pub(super) async fn known(&self, id: SubscriptionId) -> Done {
        self.look_up(id).await?.ok_or(Rejection::Missing.into())
    }

    pub(super) async fn look_up(&self, id: SubscriptionId) -> Result<Option<Arc<Known>>, SubscribeError> {
        let (reader, keys) = (self.store.reader()?, self.keys.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let events = reader.stream(&StreamName::Subscription(id), 0)?;
            Ok::<_, ReadError>(fold(&events, &keys).map(Arc::new))
        });
        Ok(reading.await.expect("reading neither panics nor is aborted")?)
    }

    /// Decides on the subscription as it stands, stores what comes of it, decides again if somebody else was faster.
    pub(super) async fn execute(&self, id: SubscriptionId, command: Command, asked: Asked<'_>) -> Done {
        let mut conflicts = 0;
        loop {
            let known = self.look_up(id).await?;
            if let Some(why) = known.as_ref().and_then(|known| known.unreadable.clone()) {
                return Err(SubscribeError::Unreadable(why));
            }
            let before = known.as_ref().map(|known| &known.subscription);
            let Some(event) = Subscription::decide(before, &command)? else {
                return known.ok_or(Rejection::Missing.into());
            };
            match self.store.append(prepare((id, asked), known.as_deref(), &command, event)).await {
                Ok(_) => {
                    let known = self.known(id).await?;
                    self.shows(&known).await;
                    return Ok(known);
                }
                Err(AppendError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A command that says nothing more is its name alone, which has no room for who gave it.
fn with_room(command: &Command, body: String) -> String {
    if body.starts_with('"') { format!("{{\"{}\":{{}}}}", command.name()) } else { body }
}

fn prepare(
    (id, (by, note)): (SubscriptionId, Asked<'_>),
    known: Option<&Known>,
    command: &Command,
    event: subscription::Event,
) -> Append {
    let stream = StreamName::Subscription(id);
    let body = serde_json::to_string(command).expect("commands have text keys");
    let body = match by {
        Some(by) => by.sign(command.name(), with_room(command, body)),
        None => body,
    };
    let body = match note {
        Some(note) => with_note(command.name(), body, note.as_str()),
        None => body,
    };
    let (version, position) = known.map_or((0, 0), |known| (known.version, known.position));
    let command_id = match known {
        None => CommandId::from(id.0),
        Some(_) => CommandId::following(position, &[&stream.to_string(), &version.to_string(), command.name(), &body]),
    };
    let after = evolve(known.map(|known| known.subscription.clone()), &event);
    let is_over = after.is_some_and(|after| after.ended.is_some());
    let write = Write {
        progress: if is_over { Progress::Finished } else { Progress::Open },
        ..Write::new(stream, Expected::Exactly(version), vec![Event::Subscription(event)])
    };
    Append { command_id, command: command.name(), body, causation: None, correlation: Some(id.0), writes: vec![write] }
}

impl Followed {
    /// Keeps the list up to date for as long as the incarnation lives.
    pub(super) async fn follow(&mut self) -> Result<Infallible, ReadError> {
        let mut bell = self.book.store.bell();
        loop {
            while self.seen < self.book.store.head() {
                self.take_in_more().await?;
            }
            match tokio::time::timeout(OPEN_AGAIN, bell.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return std::future::pending().await,
                Err(_) => self.open_again().await?,
            }
        }
    }

    /// Keys that were not there may be by now.
    async fn open_again(&mut self) -> Result<(), ReadError> {
        if self.book.list().values().any(|known| known.endpoint.is_err()) {
            self.read_again().await?;
        }
        Ok(())
    }

    async fn read_again(&mut self) -> Result<(), ReadError> {
        (self.seen, self.lost) = self.book.read_all().await?;
        self.tell();
        Ok(())
    }

    /// Says which are set aside, as long as there are any.
    fn tell(&self) {
        let list = self.book.list();
        let aside = list.iter().filter_map(|(id, known)| Some((id, known.unreadable.as_ref()?)));
        let mut aside = aside.chain(&self.lost);
        let Some((id, why)) = aside.next() else { return self.report.clear(CONDITION) };
        let others = match aside.count() {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        self.report.set(CONDITION, format!("{} is set aside: {why}{others}", StreamName::Subscription(*id)));
    }

    async fn take_in_more(&mut self) -> Result<(), ReadError> {
        let page = match self.book.store.recent_after(self.seen, PAGE_EVENTS_MAX) {
            Some(page) if page.last().is_some() => page,
            // So much happened at once that it is not at hand any more.
            Some(_) | None => return self.read_again().await,
        };
        let ours: Vec<_> = page.events().filter(|recorded| is_ours(recorded)).cloned().collect();
        self.seen = page.last().expect("just looked");
        if !ours.is_empty() {
            self.take_in(ours).await;
            self.tell();
        }
        Ok(())
    }

    async fn take_in(&self, events: Vec<Recorded>) {
        let (keys, before) = (self.book.keys.clone(), self.book.list());
        let taking = tokio::task::spawn_blocking(move || {
            let mut list = (*before).clone();
            for recorded in &events {
                let StreamName::Subscription(id) = recorded.stream else { continue };
                let before = list.remove(&id).map(Arc::unwrap_or_clone);
                let after = after(before, recorded, &keys).filter(|known| known.subscription.ended.is_none());
                list.extend(after.map(|known| (id, Arc::new(known))));
            }
            list
        });
        let list = taking.await.expect("taking events in neither panics nor is aborted");
        self.book.list.send_replace(Some(Arc::new(list)));
    }
}

fn is_ours(recorded: &Recorded) -> bool {
    matches!(recorded.stream, StreamName::Subscription(_))
}

/// A subscription from all its events.
fn fold(events: &[Recorded], keys: &CustomerKeys) -> Option<Known> {
    events.iter().fold(None, |known, recorded| after(known, recorded, keys))
}

fn after(before: Option<Known>, recorded: &Recorded, keys: &CustomerKeys) -> Option<Known> {
    if before.as_ref().is_some_and(|known| known.version >= recorded.version) {
        return before;
    }
    let unreadable = unread(recorded).map(|(_, why)| why);
    let event = match (&recorded.event, before.as_ref().and_then(|known| known.unreadable.clone()).or(unreadable)) {
        (Event::Subscription(event), None) => event,
        // Nobody knows what it was, so nobody knows what comes of the next one.
        (_, Some(why)) => {
            let (version, position) = (recorded.version, recorded.position);
            let aside = |known| Known { version, position, unserved_since: None, unreadable: Some(why), ..known };
            return before.map(aside);
        }
        (_, None) => return before,
    };
    let (begun, since) =
        before.as_ref().map_or((recorded.position, recorded.recorded_at), |known| (known.begun, known.since));
    let unserved_before = before.as_ref().and_then(|known| known.unserved_since);
    let (moved_before, resumed_before) =
        before.as_ref().map_or((None, None), |known| (known.moved_at, known.resumed_at));
    let (opened, subscription) = before.map(|known| (known.endpoint, known.subscription)).unzip();
    let sealed_before = subscription.as_ref().map(|subscription: &Subscription| subscription.sealed.clone());
    let subscription = evolve(subscription, event)?;
    let endpoint = opened.filter(|opened| opened.is_ok() && sealed_before.as_ref() == Some(&subscription.sealed));
    let endpoint = endpoint.unwrap_or_else(|| open(keys, &subscription));
    let position = recorded.position;
    let (moved_at, resumed_at) = match event {
        subscription::Event::CursorMoved(_) => (Some(position), resumed_before),
        subscription::Event::DeliveryResumed(_) => (moved_before, Some(position)),
        _ => (moved_before, resumed_before),
    };
    let unserved_since = unserved_since(&subscription, event, unserved_before, recorded.recorded_at);
    let version = recorded.version;
    Some(Known {
        endpoint,
        subscription,
        version,
        begun,
        position,
        moved_at,
        resumed_at,
        since,
        unserved_since,
        unreadable: None,
    })
}

/// Whose event it is that cannot be read, and why.
fn unread(recorded: &Recorded) -> Option<(SubscriptionId, String)> {
    match (&recorded.stream, &recorded.event) {
        (StreamName::Subscription(id), Event::Unreadable(what)) => {
            Some((*id, format!("from position {} on: {}", recorded.position, what.why)))
        }
        _ => None,
    }
}

fn unserved_since(
    after: &Subscription,
    event: &subscription::Event,
    before: Option<DateTime<Utc>>,
    at: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    use subscription::Event;
    if after.is_served() {
        return None;
    }
    Some(match event {
        Event::Subscribed(_)
        | Event::SubscriptionChanged(_)
        | Event::DeliveryResumed(_)
        | Event::DeliveryDisabled(_) => at,
        Event::OwnershipProved(_)
        | Event::OwnershipFailed(_)
        | Event::DeliveryPaused(_)
        | Event::CursorMoved(_)
        | Event::Unsubscribed(_) => before.unwrap_or(at),
    })
}

fn open(keys: &CustomerKeys, subscription: &Subscription) -> Result<Endpoint, NotOpen> {
    Endpoint::open(keys, subscription.id, &subscription.sealed)
}
