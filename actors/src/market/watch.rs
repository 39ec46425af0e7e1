//! The part that reads book and balance, again and again.

use std::sync::Arc;
use std::time::Duration;

use millrace_protocols::wire::c2cx::CallError;
use tokio::time::{Instant, sleep, timeout};

use super::{Market, Seen, Watching, unix_ms};
use crate::exchange::Exchange;
use crate::supervision::Reporter;

/// Between two readings is at least this.
const GAP: Duration = Duration::from_millis(20);
/// The pause after a failed reading; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A reading may take this long.
const ROUND_WITHIN: Duration = Duration::from_secs(30);
/// The kind of trouble that is reported.
const TROUBLE: &str = "c2cx";

impl Market {
    pub(super) async fn watch(&self, exchange: &dyn Exchange, report: &Reporter) {
        let settings = self.shared.settings;
        let mut failures = 0;
        if settings.watching == Watching::WhenAsked {
            self.shared.wanted.notified().await;
        }
        loop {
            let round = timeout(ROUND_WITHIN, self.read(exchange)).await;
            let trouble = match round {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the exchange does not answer in time".to_owned()),
            };
            self.shared.asked.notify_waiters();
            match trouble {
                None => {
                    failures = 0;
                    report.clear(TROUBLE);
                    self.warn(report);
                    sleep(GAP).await;
                    self.until_wanted().await;
                }
                Some(trouble) => {
                    report.set(TROUBLE, trouble);
                    sleep(PAUSE_FIRST.saturating_mul(1 << failures).min(PAUSE_MAX)).await;
                    failures = (failures + 1).min(10);
                }
            }
        }
    }

    /// Says in time that the account runs low.
    fn warn(&self, report: &Reporter) {
        let Some(balances) = self.balances() else { return };
        let has = balances.btc.total;
        match has < self.shared.settings.low_balance {
            true => report.set("low_balance", format!("the exchange account holds {has} BTC only; refill it")),
            false => report.clear("low_balance"),
        }
    }

    async fn until_wanted(&self) {
        let wanted = self.shared.wanted.notified();
        match self.shared.settings.watching {
            // Nobody asked: it is time anyway.
            Watching::Always => drop(timeout(self.shared.settings.poll, wanted).await),
            Watching::WhenAsked => wanted.await,
        }
    }

    /// Reads both at once. What could be read is kept also when the other could not.
    async fn read(&self, exchange: &dyn Exchange) -> Result<(), CallError> {
        let (began, at) = (Instant::now(), self.shared.clock.now());
        let (book, balances) = futures::join!(exchange.book(), exchange.balances());
        let (received, began_ms) = (Instant::now(), unix_ms(at));
        let mut state = self.state();
        let book = book.map(|book| state.take_in_book(Seen { value: Arc::new(book), began, began_ms, at, received }));
        let balances = balances.map(|value| {
            state.claims.settle(began);
            state.balances = Some(Seen { value, began, began_ms, at, received });
        });
        book.and(balances)
    }
}
