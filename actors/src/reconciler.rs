//! Holds the books against the hot wallet and the exchange account, again and again, and halts the desk when coins are
//! missing twice in a row, an order is open there twice in a row that belongs to no deposit, or a transaction spends from
//! the hot wallet that is no payout.
//!
//! It reads, and its one effect is the halt. A surplus halts nothing, since anybody may send coins; it is a condition of the
//! part, as is a place whose opening balance nobody declared: that one cannot be compared. What lies on deposit addresses is
//! the scanner's to watch, output by output.

mod orders;
mod place;
mod spends;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use millrace_model::desk::{Difference, HaltCause, Place};
use millrace_model::ledger::Ticker;
use millrace_model::reconciliation::{ASKED, Comparison, Suspects};
use millrace_model::spend::Spend;
use millrace_model::stray::StrayOrder;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::deposits::Deposits;
use crate::exchange::Exchange;
use crate::operations::Operations;
use crate::ports::SkycoinWatch;
use crate::projection::Views;
use crate::supervision::{Reporter, Tree, TreeError};

use orders::Orders;
use place::{Books, Outcome};
use spends::Spends;

/// The part's name in the tree.
pub const PART: &str = "reconciler";

/// Who says what lay in a place when the desk began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openings {
    /// An operator.
    ByOperator,
    /// The desk itself, which takes what it finds: for worlds whose coins are worth nothing.
    AsFound,
}

/// How the desk is reconciled.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The pause between two comparisons.
    pub every: Duration,
    /// Who declares openings.
    pub openings: Openings,
    /// How deep a Skycoin block is final.
    pub confirmations: u64,
}

/// What is asked.
#[derive(Clone)]
pub struct Outside {
    /// The node with the hot wallet.
    pub skycoin: Arc<dyn SkycoinWatch>,
    /// The exchange, if the desk has an account at one.
    pub exchange: Option<Arc<dyn Exchange>>,
}

/// What the desk itself says.
#[derive(Clone)]
pub struct Inside {
    /// The deposits, and the log they are in.
    pub deposits: Deposits,
    /// The ledger.
    pub views: Views,
    /// What halts.
    pub operations: Operations,
    /// The time that comparisons are stamped with.
    pub clock: Arc<dyn Clock>,
}

/// A place as it was when it was last compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The numbers, and what they say.
    pub comparison: Comparison,
    /// When.
    pub at: DateTime<Utc>,
}

/// The newest comparison of each place that was compared.
pub type Reconciliation = watch::Receiver<Vec<Compared>>;

/// What was found that is nobody's.
#[derive(Debug)]
struct Seen<T> {
    /// All that is there.
    strays: Vec<T>,
    /// What of it was there before, and the desk was never halted for.
    judged: Vec<T>,
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self { strays: Vec::new(), judged: Vec::new() }
    }
}

/// All that was looked at.
struct Look {
    places: Vec<Outcome>,
    orders: Result<Seen<StrayOrder>, String>,
    spends: Result<Seen<Spend>, String>,
}

/// Adds the part to the tree; each comparison is shown in `compared`.
pub fn start(
    tree: &Tree,
    inside: Inside,
    outside: Outside,
    settings: Settings,
    compared: watch::Sender<Vec<Compared>>,
) -> Result<(), TreeError> {
    tree.add_task(PART, move |report| {
        Reconciler::new(inside.clone(), outside.clone(), settings, compared.clone(), report).run()
    })
}

struct Reconciler {
    books: Books,
    /// Nothing at a desk without an account at an exchange.
    orders: Option<Orders>,
    spends: Spends,
    outside: Outside,
    every: Duration,
    compared: watch::Sender<Vec<Compared>>,
    report: Reporter,
}

impl Reconciler {
    fn new(
        inside: Inside,
        outside: Outside,
        settings: Settings,
        compared: watch::Sender<Vec<Compared>>,
        report: Reporter,
    ) -> Self {
        let (deposits, operations) = (inside.deposits.clone(), inside.operations.clone());
        let exchange = outside.exchange.clone();
        let orders = exchange.map(|exchange| Orders::new(deposits.clone(), exchange));
        let spends = Spends::new(deposits, operations, outside.skycoin.clone(), settings.confirmations);
        let books = Books::new(inside, settings.openings);
        Self { books, orders, spends, outside, every: settings.every, compared, report }
    }

    async fn run(mut self) {
        self.books.inside.deposits.store().ready_for(&self.report).await;
        let mut suspects = Suspects::default();
        loop {
            let look = self.look().await;
            self.tell(&look);
            let differences = suspects.judge(look.places.iter().filter_map(Outcome::comparison));
            if let Some(cause) = cause(look, differences) {
                self.halt(cause).await;
            }
            tokio::time::sleep(self.every).await;
        }
    }

    /// Asks every place there is, the exchange for its orders and the blocks for what they take from the wallet.
    async fn look(&mut self) -> Look {
        let mut places = Vec::new();
        for (place, coin) in ASKED {
            if place == Place::HotWallet || self.outside.exchange.is_some() {
                places.push(self.books.compare(place, coin, &self.outside).await);
            }
        }
        let orders = match &mut self.orders {
            Some(orders) => orders.look().await,
            None => Ok(Seen::default()),
        };
        Look { places, orders, spends: self.spends.look().await }
    }

    fn tell(&self, look: &Look) {
        let Look { places: outcomes, orders, spends } = look;
        self.condition("missing", "", outcomes.iter().filter_map(Outcome::missing));
        self.condition("surplus", "declare a refill for what is yours: ", outcomes.iter().filter_map(Outcome::surplus));
        self.condition(
            "not_opened",
            "not watched until its opening balance is declared (`millrace declare opening`): ",
            outcomes.iter().filter_map(Outcome::not_opened),
        );
        let obstacles = outcomes.iter().filter_map(Outcome::obstacle);
        let obstacles = obstacles.chain(orders.as_ref().err().cloned()).chain(spends.as_ref().err().cloned());
        self.condition("not_compared", "", obstacles);
        if let Ok(seen) = orders {
            self.condition("stray_orders", "of no deposit: ", seen.strays.iter().map(ToString::to_string));
        }
        if let Ok(seen) = spends {
            self.condition("stray_spends", "no payouts: ", seen.strays.iter().map(ToString::to_string));
        }
        self.compared.send_modify(|shown| {
            for outcome in outcomes {
                let Outcome::Compared(new) = outcome else { continue };
                shown.retain(|old| key(old) != key(new));
                shown.push(new.clone());
            }
        });
    }

    fn condition(&self, kind: &'static str, what: &str, texts: impl Iterator<Item = String>) {
        let texts: Vec<_> = texts.collect();
        match texts.as_slice() {
            [] => self.report.clear(kind),
            texts => self.report.set(kind, format!("{what}{}", texts.join("; "))),
        }
    }

    /// Halts the desk. While it is halted a halt waits, since one covers no other: what it is for is found again.
    async fn halt(&self, cause: HaltCause) {
        let operations = &self.books.inside.operations;
        if operations.switches().borrow().halt().is_some() {
            return;
        }
        let why = cause.to_string();
        match operations.halt(cause).await {
            Ok(_) => self.report.clear("halt"),
            Err(error) => self.report.set("halt", format!("the desk cannot be halted: {error}; {why}")),
        }
    }
}

/// What to halt for: transactions that are no payouts, which say more than the coins that are missing by them; coins that
/// are missing now and were when their place was compared before; orders that are nobody's.
fn cause(look: Look, differences: Vec<Difference>) -> Option<HaltCause> {
    let spends = look.spends.map(|seen| seen.judged).unwrap_or_default();
    let orders = look.orders.map(|seen| seen.judged).unwrap_or_default();
    if !spends.is_empty() {
        Some(HaltCause::StraySpends { spends })
    } else if !differences.is_empty() {
        Some(HaltCause::Missing { differences })
    } else if !orders.is_empty() {
        Some(HaltCause::StrayOrders { orders })
    } else {
        None
    }
}

fn key(compared: &Compared) -> (Place, Ticker) {
    let Difference { place, coin, .. } = compared.comparison.difference;
    (place, coin)
}
