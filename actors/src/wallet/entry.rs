//! One change of the wallet's stream, from the intention until its fate is known.

use millrace_model::event::Event;
use millrace_model::ids::{DepositId, Hash32, StreamName};
use millrace_model::wallet::{self, InputsReserved, InputsSpent};
use millrace_protocols::wire::skycoin::hash::UxId;
use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

use super::{HotWallet, WalletError};
use crate::canary::{self, Canary};
use crate::event_store::{Expected, Write};

/// After how many events a snapshot is written as soon as nobody else writes.
const SNAPSHOT_EVENTS: u64 = 500;
/// After how many events the others are made to wait for it.
pub(super) const SNAPSHOT_EVENTS_MAX: u64 = 10_000;

/// What changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A signed payout spends these.
    Reserve(DepositId, Vec<Hash32>),
    /// The payout that spends these is final or can never be.
    Release(DepositId, Vec<Hash32>),
}

/// Whether an append was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It was.
    Yes,
    /// It was not and will not be.
    No,
    /// Only the log can tell, and what is in memory cannot be trusted.
    Unknown,
}

/// A change that goes into an append. The stream's snapshot is written by one who is alone, because only then is it
/// known what the stream holds at that version.
pub struct Entry<'a> {
    hot: &'a HotWallet,
    _gate: Gate<'a>,
    change: Change,
    write: Write,
}

#[expect(dead_code, reason = "held, not read")]
enum Gate<'a> {
    Shared(RwLockReadGuard<'a, ()>),
    Alone(RwLockWriteGuard<'a, ()>),
}

impl HotWallet {
    /// Begins a change: what is in [`Entry::write`] goes into the append, and [`Entry::settle`] hears what came of it.
    pub async fn begin(&self, change: Change) -> Result<Entry<'_>, WalletError> {
        loop {
            let gate = self.enter().await;
            let prepared = self.prepare(&change, &gate);
            if let Some(write) = prepared {
                return Ok(Entry { hot: self, _gate: gate, change, write });
            }
            drop(gate);
            self.take_over().await?;
        }
    }

    async fn enter(&self) -> Gate<'_> {
        if self.unsaved() >= SNAPSHOT_EVENTS_MAX {
            let alone = self.gate.write().await;
            // Many wait for this at once, and the first of them has written the snapshot.
            if self.unsaved() >= SNAPSHOT_EVENTS_MAX {
                return Gate::Alone(alone);
            }
        }
        if self.unsaved() >= SNAPSHOT_EVENTS
            && let Ok(alone) = self.gate.try_write()
        {
            return Gate::Alone(alone);
        }
        Gate::Shared(self.gate.read().await)
    }

    fn unsaved(&self) -> u64 {
        self.state().unsaved
    }

    /// `None` while the stream is not ours.
    fn prepare(&self, change: &Change, gate: &Gate<'_>) -> Option<Write> {
        let state = self.state();
        let event = change.event();
        let snapshot = match gate {
            Gate::Alone(_) if state.unsaved >= SNAPSHOT_EVENTS => {
                let after = state.wallet.clone().evolve(&event);
                Some(serde_json::to_string(&after).expect("reservations have text keys"))
            }
            Gate::Alone(_) | Gate::Shared(_) => None,
        };
        let expected = Expected::Owner(state.epoch?);
        Some(Write { snapshot, ..Write::new(StreamName::Wallet, expected, vec![Event::Wallet(event)]) })
    }
}

impl Entry<'_> {
    /// What goes into the append.
    pub fn write(&self) -> Write {
        self.write.clone()
    }

    /// Takes in what came of the append.
    pub fn settle(self, stored: Stored) {
        let mut state = self.hot.state();
        match (stored, &self.change) {
            (Stored::Yes, Change::Reserve(id, _)) if canary::lives(Canary::ReservationForgotten) => {
                state.give_back(*id);
                return;
            }
            _ => {}
        }
        match stored {
            Stored::No => {}
            Stored::Unknown => state.epoch = None,
            Stored::Yes => {
                state.evolve(&self.change.event());
                if self.write.snapshot.is_some() {
                    state.unsaved = 0;
                }
                match &self.change {
                    Change::Reserve(id, inputs) => state.adopt(*id, &named(inputs)),
                    Change::Release(_, inputs) => state.release(&named(inputs)),
                }
            }
        }
    }
}

impl Change {
    fn event(&self) -> wallet::Event {
        match self {
            Self::Reserve(deposit, inputs) => InputsReserved { deposit: *deposit, inputs: inputs.clone() }.into(),
            Self::Release(deposit, _) => InputsSpent { deposit: *deposit }.into(),
        }
    }
}

fn named(inputs: &[Hash32]) -> Vec<UxId> {
    inputs.iter().map(|input| UxId(input.0)).collect()
}
