//! What is seen of a deposit whose stream cannot be read: set aside with the chain, and told to the deposit once it can be
//! read. A newer version of the program can, so this is looked at when the scanner starts.

use millrace_model::chain::{self, Seen, SightingSetAside, SightingsTakenUp};
use millrace_model::deposit::evolve;
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, DepositId, StreamName};
use serde_json::json;

use super::{Interruption, Scanner, ScannerError};
use crate::deposits::{Tracked, progress};
use crate::event_store::{Append, Expected, Write};

/// The chain's event that keeps it.
pub(super) fn set_aside(deposit: DepositId, seen: Seen) -> chain::Event {
    tracing::error!(%deposit, ?seen, "the deposit cannot be read; what was seen of it is set aside");
    SightingSetAside { deposit, seen }.into()
}

impl Scanner {
    /// Tells every deposit that can be read by now what had been set aside for it.
    pub(super) async fn take_up_set_aside(&mut self) -> Result<(), Interruption> {
        let deposits: Vec<DepositId> = self.chain.set_aside().keys().copied().collect();
        for id in deposits {
            self.commit(|scanner| {
                let seen = scanner.chain.set_aside().get(&id).cloned().unwrap_or_default();
                let tracked = scanner.outside.deposits.get(id)?;
                tracked.map(|tracked| scanner.taking_up(&tracked, &seen)).transpose()
            })
            .await?;
        }
        Ok(())
    }

    fn taking_up(&self, tracked: &Tracked, seen: &[Seen]) -> Result<Append, ScannerError> {
        let deposit = tracked.deposit.receipt.id;
        let events =
            tracked.deposit.take_up(seen).map_err(|rejection| ScannerError::Rejected { deposit, rejection })?;
        let mut writes = vec![self.chain_write(vec![SightingsTakenUp { deposit }.into()])];
        if !events.is_empty() {
            let after = events.iter().fold(Some(tracked.deposit.clone()), evolve);
            let events = events.into_iter().map(Event::Deposit).collect();
            let write = Write::new(StreamName::Deposit(deposit), Expected::Exactly(tracked.version), events);
            writes.push(Write { progress: progress(after.as_ref()), ..write });
        }
        let (id, version) = (deposit.to_string(), self.version.to_string());
        Ok(Append {
            command_id: CommandId::of_fact(&["set aside", &id, &version]),
            command: "TakeUpSightings",
            body: json!({ "deposit": deposit, "seen": seen }).to_string(),
            causation: None,
            correlation: None,
            writes,
        })
    }
}
