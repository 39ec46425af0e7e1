//! Which outputs of the hot wallet are in use by payouts that are signed and not yet final.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{DepositId, Hash32};

crate::event::events! {
    /// An event of the hot wallet.
    pub enum Event {
        /// A signed payout spends these outputs; no other may.
        InputsReserved = 1,
        /// The payout is final, or can never be: the outputs are spent.
        InputsSpent = 1,
    }
}

/// See [`Event::InputsReserved`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputsReserved {
    /// The deposit that is paid out.
    pub deposit: DepositId,
    /// The outputs.
    pub inputs: Vec<Hash32>,
}

/// See [`Event::InputsSpent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputsSpent {
    /// The deposit that was paid out.
    pub deposit: DepositId,
}

/// The reservations that stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wallet {
    reserved: BTreeMap<DepositId, Vec<Hash32>>,
}

impl Wallet {
    /// Every reserved output.
    pub fn reserved(&self) -> impl Iterator<Item = Hash32> + '_ {
        self.reserved.values().flatten().copied()
    }

    /// The outputs that a deposit's payout spends.
    pub fn reserved_for(&self, deposit: DepositId) -> &[Hash32] {
        self.reserved.get(&deposit).map_or(&[], Vec::as_slice)
    }

    /// The state after one more event.
    pub fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::InputsReserved(reserved) => {
                self.reserved.insert(reserved.deposit, reserved.inputs.clone());
            }
            Event::InputsSpent(spent) => {
                self.reserved.remove(&spent.deposit);
            }
        }
        self
    }
}
