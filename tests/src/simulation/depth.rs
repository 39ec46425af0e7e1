//! A deposit is received when its block is as deep as the desk waits for, in the chain as it was read until then.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use millrace_actors::event_store::Reader;
use millrace_model::chain::Chain;
use millrace_model::deposit::Event as DepositEvent;
use millrace_model::event::Event;
use millrace_model::ids::StreamName;

use super::desk::CONFIRMATIONS;

/// How many events are read at once.
const PAGE_EVENTS: usize = 4_096;

/// Whether all that was received was deep enough.
pub fn was_waited_for(log: &Reader) -> Result<()> {
    let (mut chain, mut mined, mut position) = (Chain::default(), BTreeMap::new(), 0);
    loop {
        let page = log.after(position, PAGE_EVENTS)?;
        let Some(last) = page.last() else { return Ok(()) };
        position = last.position;
        for recorded in &page {
            match (&recorded.event, &recorded.stream) {
                (Event::Chain(event), _) => chain = chain.evolve(event),
                (Event::Deposit(DepositEvent::Mined(at)), StreamName::Deposit(id)) => {
                    mined.insert(*id, at.block.height);
                }
                (Event::Deposit(DepositEvent::Matured(_)), StreamName::Deposit(id)) => {
                    let height = mined.get(id).with_context(|| format!("{id} is in no block"))?;
                    let tip = chain.cursor().context("no block was read")?.height;
                    ensure!(tip + 1 >= height + CONFIRMATIONS, "{id} in block {height} was received at block {tip}");
                }
                _ => {}
            }
        }
    }
}
