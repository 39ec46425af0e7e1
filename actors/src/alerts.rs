//! Tells operators what is down and what is low: looks at the health of all parts and at the balances that others have read,
//! and has what [`millrace_protocols::alerting`] decides stored as events of the desk, from which notifications follow.
//!
//! It asks nobody outside: a node or an exchange is down when the parts that talk to it say so. What it cannot store (the log
//! does not take it) is decided anew at the next look, so trouble that was over by then is told to nobody; the health and the
//! metrics show it.

mod outside;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use millrace_model::alert::Alert;
use millrace_model::desk::Place;
use millrace_model::event::Event;
use millrace_model::ids::StreamName;
use millrace_model::ledger::Ticker;
use millrace_protocols::alerting::{Balance, Health, Rules, Seen, Watch};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::event_store::{ReadError, Store};
use crate::market::unix_ms;
use crate::operations::Operations;
use crate::supervision::{PartHealth, Registry, Reporter, State, Tree, TreeError};

/// The part's name in the tree.
pub const PART: &str = "alerts";
/// The pause between two looks. What is over within it may not be seen.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the desk says of itself, and who stores what is told.
#[derive(Clone)]
pub struct Inside {
    /// The log that says what was told.
    pub store: Store,
    /// Who stores what is told.
    pub operations: Operations,
    /// The health of all parts.
    pub health: Registry,
    /// The time of day at the start; from there on it is measured.
    pub clock: Arc<dyn Clock>,
}

/// A balance that somebody reads anyway.
#[derive(Clone)]
pub struct Gauge {
    /// Where.
    pub place: Place,
    /// Of which coin.
    pub coin: Ticker,
    /// With less than this, in smallest units, it is low; with 0 never.
    pub threshold: u64,
    /// How much was there when it was last read, in smallest units; nothing before the first time.
    pub read: Arc<dyn Fn() -> Option<u64> + Send + Sync>,
}

/// The balances that are watched, from when the desk is wired to the outside. Clones are the same.
#[derive(Clone, Default)]
pub struct Gauges(Arc<OnceLock<Vec<Gauge>>>);

impl Gauges {
    /// These are watched from now on: the desk is wired. What comes a second time is not taken.
    pub fn set(&self, gauges: Vec<Gauge>) {
        // Whoever wires twice reads the same balances.
        let _ = self.0.set(gauges);
    }
}

/// Adds the part to the tree.
pub fn start(tree: &Tree, inside: Inside, gauges: Gauges, rules: Rules) -> Result<(), TreeError> {
    tree.add_task(PART, move |report| {
        let (inside, gauges) = (inside.clone(), gauges.clone());
        async move {
            inside.store.ready_for(&report).await;
            let watch = remembered(&inside.store, rules)?;
            let began = (Instant::now(), unix_ms(inside.clock.now()));
            Alerts { inside, gauges, watch, began, report }.run().await
        }
    })
}

/// A watch that knows what was told.
fn remembered(store: &Store, rules: Rules) -> Result<Watch, ReadError> {
    let mut watch = Watch::new(rules);
    for recorded in store.reader()?.stream(&StreamName::Desk, 0)? {
        let Event::Desk(event) = &recorded.event else { continue };
        if let Some(alert) = Alert::of(event) {
            watch.told(&alert, unix_ms(recorded.recorded_at));
        }
    }
    Ok(watch)
}

struct Alerts {
    inside: Inside,
    gauges: Gauges,
    watch: Watch,
    /// When it began, by both clocks: spans are measured by the one that nobody sets.
    began: (Instant, u64),
    report: Reporter,
}

impl Alerts {
    async fn run(mut self) -> Result<(), ReadError> {
        loop {
            let now_ms = self.now_ms();
            for alert in self.due(now_ms) {
                self.tell(alert).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn now_ms(&self) -> u64 {
        let (began, began_ms) = self.began;
        began_ms.saturating_add(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn due(&mut self, now_ms: u64) -> Vec<Alert> {
        let parts = self.inside.health.snapshot();
        let mut due = Vec::new();
        for part in parts.iter().filter(|part| part.strategy.is_none()) {
            let seen = Seen { part: &part.name, health: of_part(part), restarts: part.restarts };
            due.extend(self.watch.look_at_part(seen, now_ms));
        }
        for (name, health) in outside::seen(&parts) {
            due.extend(self.watch.look_at_part(Seen { part: name, health, restarts: 0 }, now_ms));
        }
        let Some(gauges) = self.gauges.0.get() else { return due };
        // Who is not there any more, although everybody is, does not fail any more.
        let is_there = |name: &str| parts.iter().any(|part| part.name == name) || outside::is_there(name, &parts);
        let gone: Vec<_> = self.watch.parts_down().filter(|name| !is_there(name)).map(str::to_owned).collect();
        for name in gone {
            due.extend(self.watch.look_at_part(Seen { part: &name, health: Health::Well, restarts: 0 }, now_ms));
        }
        for Gauge { place, coin, threshold, read } in gauges {
            if let Some(units) = read() {
                let balance = Balance { place: *place, coin: *coin, units, threshold: *threshold };
                due.extend(self.watch.look_at_balance(balance, now_ms));
            }
        }
        due
    }

    /// Has it stored. What may have been stored is stored once, however often it is tried.
    async fn tell(&mut self, alert: Alert) {
        match self.inside.operations.alert(alert.clone()).await {
            Ok(_) => {
                self.report.clear(PART);
                self.watch.told(&alert, self.now_ms());
            }
            Err(error) => self.report.set(PART, format!("an alert cannot be stored: {error}")),
        }
    }
}

/// Who waits for another part, or was stopped by somebody, does not fail by himself.
fn of_part(part: &PartHealth) -> Health {
    match part.state {
        State::Running | State::Halted => Health::Well,
        State::Starting | State::BackingOff { .. } | State::Down => Health::NotRunning,
        State::Waiting | State::Stopped => Health::Unknown,
    }
}
