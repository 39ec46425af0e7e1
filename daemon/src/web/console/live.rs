//! The one stream of the console: what has changed, for whoever shows it to fetch it anew.
//!
//! Nothing is told but that something is new, so that what is lost is healed by whatever comes next, and a thousand
//! changes a second are a few messages. An event's id says what was seen by then: a browser that comes back with it hears at once
//! what it missed, and everything when the desk was started anew meanwhile.
//!
//! Who is let in is looked at again before anything is told, and at least once a second.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use http::HeaderMap;
use millrace_actors::event_store::Bell;
use millrace_actors::projection::ProjectionStatus;
use millrace_actors::reconciler::Reconciliation;
use millrace_actors::supervision::PartHealth;
use tokio::sync::watch;

use crate::web::operator::OperatorState;
use crate::web::operator::checks::Looked;
use crate::web::operator::proofs::Proof;
use crate::web::session::Stay;

/// Changes that come closer together are told as one.
const PAUSE: Duration = Duration::from_millis(500);

/// What can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    /// Something was stored, or more of it was verified.
    Log,
    /// A part is another way than it was.
    Parts,
    /// A projection is further on, being made anew, or being held against the log.
    Projections,
    /// A place outside was compared with the books.
    Places,
    /// Something was tried to be delivered.
    Deliveries,
}

impl Topic {
    const ALL: [Self; 5] = [Self::Log, Self::Parts, Self::Projections, Self::Places, Self::Deliveries];

    const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Parts => "parts",
            Self::Projections => "projections",
            Self::Places => "places",
            Self::Deliveries => "deliveries",
        }
    }
}

pub(super) async fn stream(
    State(desk): State<Arc<OperatorState>>,
    stay: Stay,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let seen = headers.get("last-event-id").and_then(|id| Seen::parse(id.to_str().ok()?, desk.boot()));
    let watch = Watch::new(desk, stay, seen);
    let stream = futures::stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some((Ok(event), watch))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

/// What somebody had seen who comes back: the log's head, of a desk that was started once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    head: u64,
}

impl Seen {
    /// `None` for what is no id of this very process: whoever was told by another one has missed anything.
    fn parse(id: &str, boot: &str) -> Option<Self> {
        let (of, head) = id.split_once('.')?;
        (of == boot).then_some(())?;
        Some(Self { head: head.parse().ok()? })
    }

    fn id(self, boot: &str) -> String {
        format!("{boot}.{}", self.head)
    }
}

/// One who watches.
struct Watch {
    desk: Arc<OperatorState>,
    /// Nothing once he was told that he is logged out.
    stay: Option<Stay>,
    bell: Bell,
    health: watch::Receiver<Vec<PartHealth>>,
    places: Reconciliation,
    projections: Vec<ProjectionStatus>,
    checks: watch::Receiver<Looked>,
    /// How many attempts were written by this process when that was looked at last.
    attempts: u64,
    /// The log's head when it was told last.
    head: u64,
    /// Whether the log was being verified when that was looked at last.
    proving: bool,
    /// What is to be told before anything else is waited for.
    due: Vec<Topic>,
}

impl Watch {
    fn new(desk: Arc<OperatorState>, stay: Stay, seen: Option<Seen>) -> Self {
        let (bell, health, places) = (desk.store.bell(), desk.tree.health().subscribe(), desk.reconciliation.clone());
        let head = desk.store.head();
        let due = match seen {
            None => Topic::ALL.to_vec(),
            // Of what is not in the log nobody knows whether it changed meanwhile.
            Some(seen) if seen.head == head => Topic::ALL.into_iter().filter(|topic| *topic != Topic::Log).collect(),
            Some(_) => Topic::ALL.to_vec(),
        };
        let (projections, checks) = (desk.views.projections(head), desk.checks.subscribe());
        let attempts = written(&desk);
        Self { desk, stay: Some(stay), bell, health, places, projections, checks, attempts, head, proving: false, due }
    }

    /// The next event; `None` ends the stream, after which a browser comes back by itself. Whoever is logged out meanwhile is told
    /// that, and nothing after it.
    async fn next(&mut self) -> Option<Event> {
        let stay = self.stay.clone()?;
        loop {
            if stay.is_over().await {
                self.stay = None;
                return Some(Event::default().event("ended").data("You are logged out."));
            }
            if !self.due.is_empty() {
                return Some(self.told());
            }
            self.wait().await?;
            // What comes in the same moment is told with it.
            tokio::time::sleep(PAUSE).await;
            self.collect();
        }
    }

    fn told(&mut self) -> Event {
        let id = Seen { head: self.head }.id(self.desk.boot());
        let topics: Vec<_> = std::mem::take(&mut self.due).into_iter().map(Topic::name).collect();
        Event::default().event("changed").id(id).data(topics.join(" "))
    }

    /// Waits until something may be new.
    async fn wait(&mut self) -> Option<()> {
        tokio::select! {
            // Its end is the desk's.
            rung = self.bell.changed() => rung.ok(),
            () = changed(&mut self.health) => { self.due.push(Topic::Parts); Some(()) }
            () = changed(&mut self.places) => { self.due.push(Topic::Places); Some(()) }
            () = changed(&mut self.checks) => { self.due.push(Topic::Projections); Some(()) }
            // What is being made anew says so to nobody.
            () = tokio::time::sleep(PAUSE) => Some(()),
        }
    }

    /// What is new by now, whoever rang for it. A head that is told is one that was looked at here, so nothing falls between.
    fn collect(&mut self) {
        let head = self.desk.store.head();
        let mut add = |topic| {
            if !self.due.contains(&topic) {
                self.due.push(topic);
            }
        };
        if self.health.has_changed().unwrap_or(false) {
            self.health.mark_unchanged();
            add(Topic::Parts);
        }
        if self.places.has_changed().unwrap_or(false) {
            self.places.mark_unchanged();
            add(Topic::Places);
        }
        if self.checks.has_changed().unwrap_or(false) {
            self.checks.mark_unchanged();
            add(Topic::Projections);
        }
        let projections = self.desk.views.projections(head);
        if projections != self.projections {
            self.projections = projections;
            add(Topic::Projections);
        }
        let attempts = written(&self.desk);
        if std::mem::replace(&mut self.attempts, attempts) != attempts {
            add(Topic::Deliveries);
        }
        let proving = matches!(self.desk.proofs.newest(), Proof::Running { .. });
        let was_proving = std::mem::replace(&mut self.proving, proving);
        let told = std::mem::replace(&mut self.head, head);
        if was_proving || proving || told != head {
            add(Topic::Log);
        }
    }
}

/// How many attempts to deliver this process wrote down.
fn written(desk: &OperatorState) -> u64 {
    desk.deliveries.figures().written().1
}

/// Waits for a change; for ever where nobody is left who could make one.
async fn changed<T>(what: &mut watch::Receiver<T>) {
    if what.changed().await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_process_is_as_none() {
        let seen = Seen { head: 7 };
        assert_eq!(Seen::parse(&seen.id("b1"), "b1"), Some(seen));
        for id in ["b2.7", "7", "b1.", "b1.x", ""] {
            assert_eq!(Seen::parse(id, "b1"), None, "{id}");
        }
    }
}
