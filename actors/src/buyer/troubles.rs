//! What purchases wait for, reported as one sentence a kind however many wait.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use millrace_model::ids::DepositId;
use millrace_model::money::Amount;
use millrace_protocols::purchase::Waiting;

use crate::supervision::Reporter;

/// What purchases wait for.
pub(super) struct Troubles {
    report: Reporter,
    waiting: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    of: HashMap<DepositId, &'static str>,
    counts: HashMap<&'static str, usize>,
}

/// The account has too little.
const FUNDS: &str = "funds";
/// Orders may not go out.
const BRAKES: &str = "purchases";
/// The market does not suit.
const MARKET: &str = "market";
/// The exchange does not do as asked.
const EXCHANGE: &str = "c2cx";

impl Troubles {
    pub(super) fn new(report: Reporter) -> Self {
        Self { report, waiting: Mutex::default() }
    }

    /// What this purchase waits for now.
    pub(super) fn note(&self, id: DepositId, why: &Waiting) {
        let Some((kind, text)) = trouble(why) else { return self.clear(id) };
        self.wait_for(id, kind, text);
    }

    /// This purchase waits since no order may go out.
    pub(super) fn note_braked(&self, id: DepositId, why: &str) {
        self.wait_for(id, BRAKES, format!("purchases wait: {why}"));
    }

    fn wait_for(&self, id: DepositId, kind: &'static str, text: String) {
        let mut table = self.table();
        if table.of.get(&id) != Some(&kind) {
            self.forget(&mut table, id);
            table.of.insert(id, kind);
            *table.counts.entry(kind).or_default() += 1;
        }
        self.report.set(kind, text);
    }

    /// It waits for nothing that should be otherwise.
    pub(super) fn clear(&self, id: DepositId) {
        self.forget(&mut self.table(), id);
    }

    /// How many purchases wait for a better market or more funds.
    pub(super) fn waiting_for_better(&self) -> usize {
        let table = self.table();
        [FUNDS, MARKET].iter().filter_map(|kind| table.counts.get(kind)).sum()
    }

    fn forget(&self, table: &mut Table, id: DepositId) {
        let Some(kind) = table.of.remove(&id) else { return };
        let count = table.counts.entry(kind).or_default();
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.report.clear(kind);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn trouble(why: &Waiting) -> Option<(&'static str, String)> {
    match why {
        Waiting::Funds { needed, available } => {
            let has = available.map_or_else(|| "unknown".to_owned(), |available: Amount<_>| available.to_string());
            Some((FUNDS, format!("c2cx balance too low: needs {needed} BTC, has {has}")))
        }
        Waiting::Market(trouble) => Some((MARKET, format!("not buying: {trouble}"))),
        Waiting::Retry(trouble) => Some((EXCHANGE, trouble.to_string())),
        Waiting::Fill | Waiting::Cancellation => None,
    }
}
