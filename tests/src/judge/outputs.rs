//! No output of the hot wallet is given to two payouts at once.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use millrace_actors::event_store::Reader;
use millrace_model::deposit::Event as DepositEvent;
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, DepositId, Hash32};
use millrace_model::wallet::Event as WalletEvent;

use super::PAGE_EVENTS;

/// A payout that is signed spends nothing that is reserved for another. (One that is reserved anew, because it left its block
/// after it was final, may find its inputs given away; that is told apart from signing.)
pub(super) fn are_apart(reader: &Reader) -> Result<()> {
    let mut reserved: BTreeMap<DepositId, Vec<Hash32>> = BTreeMap::new();
    let (mut position, mut signing): (_, Option<CommandId>) = (0, None);
    loop {
        let page = reader.after(position, PAGE_EVENTS)?;
        let Some(last) = page.last() else { return Ok(()) };
        position = last.position;
        for recorded in &page {
            match &recorded.event {
                Event::Deposit(DepositEvent::PayoutSigned(_)) => signing = Some(recorded.command_id),
                Event::Wallet(WalletEvent::InputsReserved(now)) => {
                    let holds = |(id, inputs): &(&DepositId, &Vec<Hash32>)| {
                        **id != now.deposit && now.inputs.iter().any(|input| inputs.contains(input))
                    };
                    let other = reserved.iter().find(holds).map(|(id, _)| *id);
                    ensure!(
                        other.is_none() || signing != Some(recorded.command_id),
                        "the payout of {} was signed with outputs reserved for {other:?}",
                        now.deposit
                    );
                    reserved.insert(now.deposit, now.inputs.clone());
                }
                Event::Wallet(WalletEvent::InputsSpent(spent)) => drop(reserved.remove(&spent.deposit)),
                _ => {}
            }
        }
    }
}
