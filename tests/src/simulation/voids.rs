//! A payout is given up only for a transaction that has taken its inputs: other bytes before that may pay twice.

use anyhow::{Result, ensure};
use millrace_actors::event_store::Reader;
use millrace_model::deposit::Event as DepositEvent;
use millrace_model::event::Event;

use super::skycoin::SkycoinNetwork;

/// How many events are read at once.
const PAGE_EVENTS: usize = 4_096;

/// Whether every transaction for which a payout was given up was in the chain at some time.
pub fn had_a_reason(log: &Reader, chain: &SkycoinNetwork) -> Result<()> {
    let mut position = 0;
    loop {
        let page = log.after(position, PAGE_EVENTS)?;
        let Some(last) = page.last() else { return Ok(()) };
        position = last.position;
        for recorded in &page {
            if let Event::Deposit(DepositEvent::PayoutVoided(void)) = &recorded.event {
                let txid = void.conflicting_txid;
                ensure!(
                    chain.was_mined(txid),
                    "{}: a payout was given up for {txid}, which never was",
                    recorded.stream
                );
            }
        }
    }
}
