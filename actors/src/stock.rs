//! What the hot wallet holds, read again and again: for the health, for warnings in time, and for payouts that wait
//! while there are too few coin hours. And its address, which is nobody else's target.
//!
//! It only reads. Which outputs a payout spends is the sender's business, and a reading is a little old by nature.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use millrace_model::money::{Amount, Sky};
use millrace_protocols::payout::Shortage;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::rest::Funds;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::ports::{PortError, SkycoinWatch};
use crate::supervision::{Reporter, Tree, TreeError};

/// The part's name in the tree.
pub const PART: &str = "stock";

/// How often the wallet is read, and what is too little.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The pause between two readings.
    pub every: Duration,
    /// Fewer coins than this raise a warning.
    pub low_balance: Amount<Sky>,
    /// Fewer coin hours than this raise a warning.
    pub low_hours: u64,
    /// With fewer coin hours than this no new payout is signed.
    pub minimum_hours: u64,
}

/// What the wallet held when it was last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Coins and coin hours, as the blocks have them.
    pub funds: Funds,
    /// When.
    pub at: DateTime<Utc>,
}

/// The newest reading. Cheap to clone, usable from any thread, asks nobody.
#[derive(Debug, Clone)]
pub struct Stock {
    seen: watch::Receiver<Option<Reading>>,
    address: Arc<OnceLock<SkyAddress>>,
    minimum_hours: u64,
}

impl Stock {
    /// The stock of a wallet that nobody reads: nothing is known of it and nothing waits for it.
    pub fn unwatched() -> Self {
        Self { seen: watch::channel(None).1, address: Arc::default(), minimum_hours: 0 }
    }

    /// What the wallet held when it was last read; `None` before the first answer.
    pub fn reading(&self) -> Option<Reading> {
        *self.seen.borrow()
    }

    /// The hot wallet's own address; `None` before the node first said which.
    pub fn own_address(&self) -> Option<SkyAddress> {
        self.address.get().copied()
    }

    /// Why no new payout is to be signed now, if there is a reason. What is not known is none: the node will say.
    pub fn shortage(&self) -> Option<Shortage> {
        let has = self.reading()?.funds.hours;
        (has < self.minimum_hours).then_some(Shortage::TooFewHours { has, minimum: self.minimum_hours })
    }
}

/// Adds the part to the tree.
pub fn start(
    tree: &Tree,
    node: Arc<dyn SkycoinWatch>,
    clock: Arc<dyn Clock>,
    settings: Settings,
) -> Result<Stock, TreeError> {
    let (readings, seen) = watch::channel(None);
    let stock = Stock { seen, address: Arc::default(), minimum_hours: settings.minimum_hours };
    let address = Arc::clone(&stock.address);
    tree.add_task(PART, move |report| {
        let (node, clock, address) = (Arc::clone(&node), Arc::clone(&clock), Arc::clone(&address));
        let watch = Watch { node, clock, settings, readings: readings.clone(), address, report };
        async move { watch.run().await }
    })?;
    Ok(stock)
}

struct Watch {
    node: Arc<dyn SkycoinWatch>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    readings: watch::Sender<Option<Reading>>,
    address: Arc<OnceLock<SkyAddress>>,
    report: Reporter,
}

impl Watch {
    async fn run(self) {
        loop {
            match self.read().await {
                Ok(funds) => {
                    self.report.clear("skycoin_node");
                    warn(&self.report, funds, self.settings);
                    self.readings.send_replace(Some(Reading { funds, at: self.clock.now() }));
                }
                Err(error) => self.report.set("skycoin_node", error.to_string()),
            }
            tokio::time::sleep(self.settings.every).await;
        }
    }

    async fn read(&self) -> Result<Funds, PortError> {
        if self.address.get().is_none() {
            // Only this task sets it.
            let _ = self.address.set(self.node.hot_address().await?);
        }
        self.node.holdings().await
    }
}

fn warn(report: &Reporter, funds: Funds, settings: Settings) {
    let Funds { coins, hours } = funds;
    match coins < settings.low_balance {
        true => report.set("low_balance", format!("the hot wallet holds {coins} SKY only; refill it")),
        false => report.clear("low_balance"),
    }
    match hours < settings.low_hours {
        true => report.set("low_hours", format!("the hot wallet holds {hours} coin hours only; refill it")),
        false => report.clear("low_hours"),
    }
}

#[cfg(test)]
mod tests;
