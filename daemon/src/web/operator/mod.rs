//! What operators reach, on a listener of their own: deposits and what may be done to them, the log, the parts, totals,
//! switches and backups, all behind the bearer token; and, without it, what probes ask: `/livez`, `/readyz`, `/metrics`.
//!
//! Pages are read from the views, a deposit's own story from the log. The log is read on a connection of this face's
//! own and on blocking threads, so that a long look never holds up an actor.

pub(in crate::web) mod act;
pub(in crate::web) mod attempts;
pub(in crate::web) mod audit;
mod backup;
pub(in crate::web) mod causes;
pub(in crate::web) mod checks;
mod customers;
pub(in crate::web) mod delivery;
pub(in crate::web) mod deposits;
mod desk;
mod history;
pub(in crate::web) mod ledger;
pub(in crate::web) mod log;
mod metrics;
pub(in crate::web) mod moment;
pub(in crate::web) mod overview;
pub(in crate::web) mod parts;
mod probes;
pub(in crate::web) mod projections;
pub(in crate::web) mod proofs;
mod signatures;
pub(in crate::web) mod simulations;
#[cfg(test)]
pub(in crate::web) mod tests;
pub(in crate::web) mod webhook_status;
pub(in crate::web) mod webhooks;
pub(in crate::web) mod webhooks_events;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, patch, post};
use chrono::{DateTime, Utc};
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::customer_keys::Reading;
use millrace_actors::event_store::{ReadError, Reader, Store};
use millrace_actors::ids::TimeOrderedIds;
use millrace_actors::operations::{self, Note, Operations};
use millrace_actors::projection::{ViewError, Views};
use millrace_actors::proof::Subject;
use millrace_actors::reconciler::Reconciliation;
use millrace_actors::relay::Relay;
use millrace_actors::stations::{Newest, Stations};
use millrace_actors::subscriptions::Subscriptions;
use millrace_actors::subscriptions::deliveries::Deliveries;
use millrace_actors::subscriptions::simulation::Simulator;
use millrace_actors::supervision::Tree;
use millrace_model::desk::Place;
use millrace_model::event::Recorded;
use millrace_model::ids::{DepositId, Position, StreamName};
use millrace_model::ledger::Ticker;
use millrace_model::operator::{Action, By, OperatorActed};
use tokio::sync::Semaphore;

pub(super) use act::{desk_unavailable, note, refused};
pub(super) use deposits::statuses as deposit_statuses;
pub(super) use log::kinds as event_kinds;
pub(super) use parts::{Order, order};
pub(super) use webhooks_events::patterns as notification_patterns;

use super::acts;
use checks::Checks;
use proofs::Proofs;

use super::openapi::{self, Face};
use super::problem::Problem;
use super::token::{self, Token};
use crate::config::Entry;

/// What the operator's face is made of.
#[derive(Debug)]
pub struct OperatorState {
    pub(in crate::web) operations: Operations,
    pub(in crate::web) subscriptions: Subscriptions,
    pub(in crate::web) deliveries: Deliveries,
    /// Others' notifications, if any are passed on.
    relay: Option<Relay>,
    simulator: Simulator,
    pub(in crate::web) views: Views,
    pub(in crate::web) store: Store,
    pub(in crate::web) tree: Tree,
    pub(in crate::web) reconciliation: Reconciliation,
    /// Names this run of the desk.
    boot: String,
    begun_at: DateTime<Utc>,
    pub(in crate::web) proofs: Proofs,
    pub(in crate::web) checks: Checks,
    /// What is configured.
    pub(in crate::web) settings: Vec<Entry>,
    /// Below what operators are told that a place holds too little.
    pub(in crate::web) thresholds: Vec<Threshold>,
    /// The pause between two looks at the places outside, if somebody looks.
    pub(in crate::web) reconciles_every: Option<Duration>,
    log_file: PathBuf,
    backups: PathBuf,
    reader: OnceLock<Arc<Reader>>,
    stations: Stations,
    newest: Newest,
    /// One for each look at the whole desk's past.
    looks: Arc<Semaphore>,
    pub(in crate::web) world: World,
}

/// The parts of the desk that operators reach.
#[derive(Debug)]
pub struct Parts {
    /// Carries out what they ask for.
    pub operations: Operations,
    /// Whom notifications go to.
    pub subscriptions: Subscriptions,
    /// How they get there.
    pub deliveries: Deliveries,
    /// What is shown.
    pub views: Views,
    /// The log.
    pub store: Store,
    /// What runs.
    pub tree: Tree,
    /// The places outside, as they were last compared with the books.
    pub reconciliation: Reconciliation,
}

/// How much a place holds at least before operators are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// Where.
    pub place: Place,
    /// Of which coin.
    pub coin: Ticker,
    /// In smallest units; nobody is told below 0.
    pub units: u64,
}

/// What the desk deals with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// Money of people.
    Real,
    /// The sandbox, where parts may be broken on purpose.
    Sandbox,
}

impl OperatorState {
    /// `log_file` is the store's own; backups are kept in `backups`, which need not exist yet.
    pub fn new(parts: Parts, log_file: PathBuf, backups: PathBuf) -> Self {
        let Parts { operations, subscriptions, deliveries, views, store, tree, reconciliation } = parts;
        let (reader, stations, world) = (OnceLock::new(), Stations::beside(&log_file), World::Real);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let simulator = Simulator::new(subscriptions.sinks().clone(), Arc::clone(&clock));
        let begun_at = clock.now();
        let boot = TimeOrderedIds(clock).command_id().to_string();
        let left_out = || Err("nobody said where it is".to_owned());
        let proofs = Proofs::of(Subject { log: log_file.clone(), views: left_out(), head_file: left_out() });
        let looks = Arc::new(Semaphore::new(overview::LOOKS_AT_ONCE_MAX));
        Self {
            operations,
            subscriptions,
            deliveries,
            relay: None,
            simulator,
            views,
            store,
            tree,
            reconciliation,
            boot,
            begun_at,
            proofs,
            checks: Checks::new(),
            settings: Vec::new(),
            thresholds: Vec::new(),
            reconciles_every: None,
            log_file,
            backups,
            reader,
            stations,
            newest: Newest::default(),
            looks,
            world,
        }
    }

    /// The same, of a desk that passes others' notifications on, or of none.
    pub fn relaying(self, relay: Option<Relay>) -> Self {
        Self { relay, ..self }
    }

    /// The same, whose proofs compare these views and this head file, too.
    pub fn proving(self, views: PathBuf, head_file: PathBuf) -> Self {
        let proofs = Proofs::of(Subject { log: self.log_file.clone(), views: Ok(views), head_file: Ok(head_file) });
        Self { proofs, ..self }
    }

    /// The same, of a desk that is configured so.
    pub fn configured(self, settings: Vec<Entry>, thresholds: Vec<Threshold>) -> Self {
        Self { settings, thresholds, ..self }
    }

    /// The same, which looks so often at the places outside.
    pub fn reconciling(self, every: Duration) -> Self {
        Self { reconciles_every: Some(every), ..self }
    }

    /// The same, in this world.
    pub fn within(self, world: World) -> Self {
        Self { world, ..self }
    }

    /// What time it is.
    pub(in crate::web) fn now(&self) -> DateTime<Utc> {
        SystemClock.now()
    }

    /// A name that no other run of the desk has.
    pub(in crate::web) fn boot(&self) -> &str {
        &self.boot
    }

    /// When this run of the desk began.
    pub(in crate::web) fn begun_at(&self) -> DateTime<Utc> {
        self.begun_at
    }

    /// Whoever carries out orders; a refusal when nobody needs to wait for him.
    pub(in crate::web) fn operations(&self) -> Result<&Operations, Problem> {
        let is_out = |name| self.tree.health().part(name).is_some_and(|part| part.state.is_out());
        let out = [Store::PART, operations::PART].into_iter().find(|name| is_out(name));
        out.map_or(Ok(&self.operations), |part| {
            tracing::warn!(part, "an operator's request cannot be carried out without it");
            Err(act::desk_unavailable())
        })
    }

    /// Has the log say what an operator is about to do. What is wrong with the log is no reason not to do it: it may be
    /// what mends the log.
    pub(in crate::web) async fn acting(&self, by: By, action: Action, subject: Option<&str>, note: Option<&Note>) {
        let (subject, note) = (subject.map(str::to_owned), note.map(|note| note.as_str().to_owned()));
        let acted = OperatorActed { by, action, subject, note };
        match self.operations() {
            Ok(operations) => acts::record(operations, acted).await,
            Err(_) => acts::record_later(&self.operations, acted, &"the log or its keeper is out"),
        }
    }

    /// Reads the log on a blocking thread.
    pub(in crate::web) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Problem> {
        if !self.store.is_ready() {
            return Err(unreadable(&ReadError::NotOpen));
        }
        let state = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || read(&*state.reader()?).map_err(|error| unreadable(&error)));
        read.await.map_err(Problem::internal)?
    }

    /// The same, with what opens the notes in it for the operator.
    pub(in crate::web) async fn read_opened<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Reader, &Reading) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Problem> {
        let keys = self.operations.keys().clone();
        self.read(move |reader| read(reader, &keys.reading())).await
    }

    /// A deposit's events, with their notes opened.
    pub(in crate::web) async fn story(self: &Arc<Self>, id: DepositId) -> Result<Vec<Recorded>, Problem> {
        let stream = StreamName::Deposit(id);
        self.read_opened(move |reader, notes| {
            Ok(reader.stream(&stream, 0)?.into_iter().map(|recorded| notes.event(recorded)).collect())
        })
        .await
    }

    fn reader(&self) -> Result<Arc<Reader>, Problem> {
        if let Some(reader) = self.reader.get() {
            return Ok(Arc::clone(reader));
        }
        let reader = Reader::open(&self.log_file).map_err(|error| unreadable(&error))?;
        // Two at once open two; one of them stays.
        Ok(Arc::clone(self.reader.get_or_init(|| Arc::new(reader))))
    }
}

/// The operator's routes. Everything under `/operator/` asks for the token, also what does not exist there.
pub fn routes(state: Arc<OperatorState>, token: Arc<Token>) -> Router {
    let guarded = Router::new()
        .route("/operator/v1/deposits", get(deposits::list))
        .route("/operator/v1/deposits/held", get(deposits::held))
        .route("/operator/v1/deposits/quarantined", get(deposits::quarantined))
        .route("/operator/v1/deposits/errored", get(deposits::errored))
        .route("/operator/v1/deposits/{id}", get(deposits::show))
        .route("/operator/v1/deposits/{id}/state", get(moment::show))
        .route("/operator/v1/deposits/{id}/causes", get(causes::of_deposit))
        .route("/operator/v1/deposits/{id}/postings", get(ledger::of_deposit))
        .route("/operator/v1/deposits/{id}/hold", post(act::hold))
        .route("/operator/v1/deposits/{id}/release", post(act::release))
        .route("/operator/v1/deposits/{id}/retry", post(act::release))
        .route("/operator/v1/deposits/{id}/refund-due", post(act::refund_due))
        .route("/operator/v1/deposits/{id}/refunded", post(act::refunded))
        .route("/operator/v1/customers/{customer}/forget", post(customers::forget))
        .route("/operator/v1/history", get(history::show))
        .route("/operator/v1/event-types", get(history::event_types))
        .route("/operator/v1/event-types/{name}", get(history::event_type))
        .route("/operator/v1/notifications/webhooks", get(webhooks::list))
        .route("/operator/v1/notifications/webhooks", post(webhooks::create))
        .route("/operator/v1/notifications/webhooks/{id}", get(webhooks::show))
        .route("/operator/v1/notifications/webhooks/{id}", patch(webhooks::change))
        .route("/operator/v1/notifications/webhooks/{id}", delete(webhooks::remove))
        .route("/operator/v1/notifications/webhooks/{id}/pause", post(webhooks::pause))
        .route("/operator/v1/notifications/webhooks/{id}/resume", post(webhooks::resume))
        .route("/operator/v1/notifications/webhooks/{id}/rotate", post(webhooks::rotate))
        .route("/operator/v1/notifications/webhooks/{id}/recover", post(webhooks::recover))
        .route("/operator/v1/notifications/webhooks/{id}/attempts", get(attempts::show))
        .route("/operator/v1/notifications/webhooks/{id}/delivery", get(delivery::show))
        .route("/operator/v1/notifications/webhooks-events", get(webhooks_events::list))
        .route("/operator/v1/notifications/webhooks-events/{id}", get(webhooks_events::show))
        .route("/operator/v1/notifications/webhooks-events/{id}/resend", post(webhooks_events::resend))
        .route("/operator/v1/notifications/simulate-event", post(simulations::send))
        .route("/operator/v1/notifications/verify-webhook-signature", post(signatures::verify))
        .route("/operator/v1/addresses", get(desk::addresses))
        .route("/operator/v1/totals", get(desk::totals))
        .route("/operator/v1/ledger", get(ledger::show))
        .route("/operator/v1/overview", get(overview::show))
        .route("/operator/v1/switches", get(desk::switches))
        .route("/operator/v1/switches/{switch}", post(desk::turn))
        .route("/operator/v1/halt", post(desk::halt))
        .route("/operator/v1/resume", post(desk::resume))
        .route("/operator/v1/transfers", post(desk::declare))
        .route("/operator/v1/parts", get(parts::list))
        .route("/operator/v1/parts/{name}/start", post(parts::start))
        .route("/operator/v1/parts/{name}/stop", post(parts::stop))
        .route("/operator/v1/parts/{name}/restart", post(parts::restart))
        .route("/operator/v1/projections", get(projections::list))
        .route("/operator/v1/projections/live", get(projections::live))
        .route("/operator/v1/projections/{name}/rebuild", post(projections::rebuild))
        .route("/operator/v1/events", get(log::page))
        .route("/operator/v1/events/live", get(log::live))
        .route("/operator/v1/events/{position}", get(causes::event))
        .route("/operator/v1/audit", get(audit::list))
        .route("/operator/v1/backup", get(backup::fetch))
        .route("/operator/v1/backup", post(backup::keep))
        .route("/operator/{*rest}", get(nothing).post(nothing));
    let (guarded, face) = match state.world {
        World::Real => (guarded, Face::Operator),
        World::Sandbox => (guarded.merge(sandbox()), Face::SandboxOperator),
    };
    let guarded = guarded.layer(from_fn_with_state(token, token::require));
    let probes = Router::new()
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(metrics::show));
    guarded.merge(probes).with_state(state).merge(openapi::routes(face))
}

/// What exists in the sandbox alone.
fn sandbox() -> Router<Arc<OperatorState>> {
    Router::new().route("/operator/v1/sandbox/parts/{name}/panic", post(parts::panic))
}

async fn nothing() -> Problem {
    Problem::not_found("not_found", "There is nothing at this path.")
}

fn unreadable(error: &dyn std::error::Error) -> Problem {
    tracing::warn!(%error, "the log cannot be read");
    Problem::unavailable("log_unavailable", "The log cannot be read at the moment; try again.")
}

pub(in crate::web) fn views_unreadable(error: ViewError) -> Problem {
    tracing::warn!(%error, "the views cannot be read");
    Problem::unavailable("views_unavailable", "The desk's records cannot be read at the moment; try again.")
}

/// Where a page begins. There are no more positions than a signed 64-bit column holds.
fn place(after: Option<Position>) -> Result<Option<Position>, Problem> {
    match after {
        Some(after) if i64::try_from(after).is_err() => {
            Err(Problem::bad_request("invalid_query", "There is no such position."))
        }
        after => Ok(after),
    }
}

/// How many rows a page has: what was asked for, within 1 to `rows_max`.
fn rows(asked: Option<u32>, rows_max: u32) -> Result<u32, Problem> {
    match asked.unwrap_or(rows_max.min(50)) {
        0 => Err(Problem::bad_request("invalid_query", "A page has at least one row.")),
        rows => Ok(rows.min(rows_max)),
    }
}
