//! Operators are told what is down and what is low: what of the running desk is watched for that.

use std::sync::Arc;

use millrace_actors::alerts::{self, Gauge, Gauges, Inside};
use millrace_actors::clock::Clock;
use millrace_actors::event_store::Store;
use millrace_actors::market::Market;
use millrace_actors::operations::Operations;
use millrace_actors::stock::Stock;
use millrace_actors::supervision::{Tree, TreeError};
use millrace_model::deposit::Method;
use millrace_model::desk::Place;
use millrace_model::ledger::Ticker;

use crate::config::Config;

/// Adds the part to the tree; the balances come once the desk is wired.
pub(super) fn start(
    tree: &Tree,
    config: &Config,
    (store, operations): (&Store, &Operations),
    clock: &Arc<dyn Clock>,
) -> Result<Gauges, TreeError> {
    let gauges = Gauges::default();
    let (health, clock) = (tree.health().clone(), Arc::clone(clock));
    let inside = Inside { store: store.clone(), operations: operations.clone(), health, clock };
    alerts::start(tree, inside, gauges.clone(), config.alerts.rules())?;
    Ok(gauges)
}

/// The balances that are read anyway. Nobody need fill an account at the exchange that nothing new is bought with.
pub(super) fn gauges(config: &Config, stock: &Stock, market: Option<&Market>) -> Vec<Gauge> {
    let stock = stock.clone();
    let wallet = Gauge {
        place: Place::HotWallet,
        coin: Ticker::Sky,
        threshold: config.skycoin.low_balance_warning.units(),
        read: Arc::new(move || stock.reading().map(|reading| reading.funds.coins.units())),
    };
    let is_bought = config.desk.method == Method::Passthrough;
    let account = |threshold, read| Gauge { place: Place::Exchange, coin: Ticker::Btc, threshold, read };
    let account = match market.cloned() {
        Some(market) => account(
            if is_bought { config.c2cx.low_balance_warning.units() } else { 0 },
            Arc::new(move || market.balances().map(|balances| balances.btc.total.units())),
        ),
        // What was told of it while there was one is over.
        None => account(0, Arc::new(|| Some(0))),
    };
    vec![wallet, account]
}
