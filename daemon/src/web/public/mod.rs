//! What customers reach: teller's API, the bridge's history, our own under `/api/v1`, and the page.
//!
//! Everything here answers while database, nodes and exchange are dead; what needs one of them says 503 and why.

mod answers;
mod bind;
mod early;
mod history;
mod live;
pub(crate) mod page;
mod registration;
mod shape;
mod standing;
mod subscribe;
mod teller;
#[cfg(test)]
mod tests;
mod v1;
pub(crate) mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post};
use millrace_actors::binder::BindRequest;
use millrace_actors::brakes::Outer;
use millrace_actors::door::Door;
use millrace_actors::ids::TimeOrderedIds;
use millrace_actors::projection::{ViewError, Views};
use millrace_actors::stock::Stock;
use millrace_actors::subscriptions::Subscriptions;
use millrace_actors::supervision::Registry;
use millrace_model::deposit::Method;
use millrace_model::desk::{Desk as Switches, Switch};
use millrace_model::money::Rate;
use tokio::sync::watch;

pub use early::{Early, early};

use super::frame::with_refusals;
use super::openapi::{self, Face};
use super::problem::{Problem, as_plain_text};
use super::throttle::{Throttle, limit};
use crate::config::{Config, Pace, TxidTemplate};
use crate::quote::Quotes;

/// How long a reader waits for the views to show what he has just done.
const CAUGHT_UP_WITHIN: Duration = Duration::from_millis(500);

/// What the public face is made of.
pub struct Desk {
    /// Gives out addresses.
    pub binder: Door<BindRequest>,
    /// What is shown.
    pub views: Views,
    /// The health of the parts.
    pub health: Registry,
    /// The newest Bitcoin block's height, once known.
    pub height: watch::Receiver<Option<u64>>,
    /// What operators turned off, and whether the desk is halted.
    pub switches: watch::Receiver<Switches>,
    /// What stops it besides.
    pub outer: Outer,
    /// What an amount would buy.
    pub quotes: Quotes,
    /// What the hot wallet holds.
    pub stock: Stock,
    /// Who is told what.
    pub subscriptions: Subscriptions,
    /// The terms customers are told.
    pub terms: Terms,
    /// Names the commands that customers give no name.
    pub ids: TimeOrderedIds,
    /// When the process started.
    pub started: Instant,
}

impl Desk {
    /// Whether this may not be done now.
    fn is_closed(&self, switch: Switch) -> bool {
        self.switches.borrow().closed(switch).is_some() || (self.outer)(switch).is_some()
    }
}

/// The terms customers are told.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Where the coins come from.
    pub method: Method,
    /// The rate of a direct sale.
    pub rate: Option<Rate>,
    /// Decimals of a payout.
    pub payout_decimals: u32,
    /// Whether addresses are given out.
    pub binds: Binds,
    /// How many addresses one customer may have.
    pub addresses_max: u32,
    /// How deep a deposit must be.
    pub confirmations: u32,
    /// Where transactions can be looked at.
    pub explorers: Explorers,
    /// How often one caller may bind.
    pub bind_pace: Pace,
    /// How often one caller may read.
    pub read_pace: Pace,
}

impl Terms {
    /// The terms of a configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            method: config.desk.method,
            rate: config.desk.rate,
            payout_decimals: config.desk.payout_decimals,
            binds: if config.desk.bind_enabled { Binds::Enabled } else { Binds::Disabled },
            addresses_max: config.desk.max_addresses_per_target,
            confirmations: config.bitcoin.confirmations,
            explorers: Explorers {
                deposit: config.public.deposit_explorer.clone(),
                payout: config.public.payout_explorer.clone(),
            },
            bind_pace: config.public.bind_pace,
            read_pace: config.public.read_pace,
        }
    }
}

/// Where transactions can be looked at; nowhere, unless configured.
#[derive(Debug, Clone, Default)]
pub struct Explorers {
    /// Of the Bitcoin chain.
    pub deposit: Option<TxidTemplate>,
    /// Of the Skycoin chain.
    pub payout: Option<TxidTemplate>,
}

impl Explorers {
    fn deposit(&self, txid: &str) -> Option<String> {
        self.deposit.as_ref().map(|template| template.with(txid))
    }

    fn payout(&self, txid: &str) -> Option<String> {
        self.payout.as_ref().map(|template| template.with(txid))
    }
}

/// Whether addresses are given out, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binds {
    /// They are.
    Enabled,
    /// They are not.
    Disabled,
}

/// The public routes.
pub fn routes(desk: Arc<Desk>) -> Router {
    let binding = Throttle::new(desk.terms.bind_pace);
    let reading = Throttle::new(desk.terms.read_pace);
    let as_binding = from_fn_with_state(Arc::clone(&binding), limit);
    let teller = Router::new()
        .route("/api/bind", post(teller::bind).layer(from_fn_with_state(Arc::clone(&binding), limit)))
        .route("/api/status", get(teller::status).layer(from_fn_with_state(Arc::clone(&reading), limit)))
        .route("/api/config", get(teller::config))
        .route("/api/health", get(teller::health))
        .layer(map_response(as_plain_text));
    let own = Router::new()
        .route("/api/history", get(history::show))
        .route("/api/v1/event-types", get(history::event_types))
        .route("/api/v1/event-types/{name}", get(history::event_type))
        .route("/api/v1/bindings", post(v1::bind).layer(from_fn_with_state(Arc::clone(&binding), limit)))
        .route("/api/v1/subscribe", post(subscribe::subscribe).layer(from_fn_with_state(Arc::clone(&binding), limit)))
        .route("/api/v1/unsubscribe", post(subscribe::unsubscribe).layer(as_binding))
        .merge(registrations(&binding))
        .route("/api/v1/customers/{target}", get(v1::customer))
        .route("/api/v1/customers/{target}/live", get(live::customer))
        .route("/api/v1/deposits/{id}", get(v1::deposit))
        .route("/api/v1/quote", get(v1::quote))
        .layer(from_fn_with_state(Arc::clone(&reading), limit));
    let pages = Router::new()
        .route("/", get(page::home))
        .merge(typed(&reading))
        .route("/bind", post(page::bind).layer(from_fn_with_state(Arc::clone(&binding), limit)))
        .route("/confirm/{answer}", get(answers::confirm_page))
        .route("/leave/{answer}", get(answers::leave_page))
        .merge(answered(&binding))
        .route("/customer/{target}", get(page::customer))
        .route("/assets/page.js", get(page::script))
        .route("/assets/page.css", get(page::style));
    let faces = teller.merge(own).merge(pages).with_state(desk);
    with_refusals(faces.merge(openapi::routes(Face::Public))).fallback(page::missing)
}

/// What is asked while somebody types, at the pace of what reads.
fn typed(reading: &Arc<Throttle>) -> Router<Arc<Desk>> {
    Router::new()
        .route("/quote", get(page::quote))
        .route("/check", get(page::check))
        .layer(from_fn_with_state(Arc::clone(reading), limit))
}

/// What a customer says of being told, at the pace of what makes something.
fn registrations(binding: &Arc<Throttle>) -> Router<Arc<Desk>> {
    Router::new()
        .route("/api/v1/registrations", post(registration::register))
        .route("/api/v1/registrations/confirm", post(registration::confirm))
        .route("/api/v1/registrations/leave", post(registration::leave))
        .layer(from_fn_with_state(Arc::clone(binding), limit))
}

/// The same said on a page.
fn answered(binding: &Arc<Throttle>) -> Router<Arc<Desk>> {
    Router::new()
        .route("/confirm/{answer}", post(answers::confirm))
        .route("/leave/{answer}", post(answers::leave))
        .layer(from_fn_with_state(Arc::clone(binding), limit))
}

impl From<ViewError> for Problem {
    fn from(error: ViewError) -> Self {
        tracing::warn!(%error, "the views cannot be read");
        Self::unavailable("views_unavailable", "The desk's records cannot be read at the moment; try again.")
    }
}
