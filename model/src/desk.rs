//! The desk as a whole: what the operator switched, declared and asked for.

use serde::{Deserialize, Serialize};

use crate::money::{Amount, Btc, Sky};

crate::event::events! {
    /// An event of the desk.
    pub enum Event {
        /// An operator turned something off or on.
        SwitchSet = 1,
        /// An operator declared a movement of coins that no customer asked for.
        TransferDeclared = 1,
    }
}

/// What an operator can switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// Giving out deposit addresses.
    Binds,
    /// Paying out.
    Sends,
}

/// Where a switch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// It works.
    On,
    /// It waits.
    Off,
}

/// See [`Event::SwitchSet`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchSet {
    /// Which.
    pub switch: Switch,
    /// Where it stands now.
    pub setting: Setting,
    /// In the operator's words.
    pub note: String,
}

/// Coins of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "coin", content = "amount")]
pub enum Coins {
    /// Bitcoin.
    #[serde(rename = "BTC")]
    Btc(Amount<Btc>),
    /// Skycoin.
    #[serde(rename = "SKY")]
    Sky(Amount<Sky>),
}

/// What a declared transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// What was there when the desk began.
    Opening,
    /// Into the hot wallet or the exchange account.
    Refill,
    /// Out of a place into safe keeping.
    Sweep,
}

/// Where the desk's coins lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The wallet payouts are made from.
    HotWallet,
    /// The account on the exchange.
    Exchange,
    /// The deposit addresses.
    DepositAddresses,
}

/// See [`Event::TransferDeclared`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferDeclared {
    /// What it is.
    pub kind: TransferKind,
    /// Where.
    pub place: Place,
    /// How much.
    pub coins: Coins,
    /// In the operator's words.
    pub note: String,
}

/// Where the switches stand. Everything is on until an operator turns it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    binds: Setting,
    sends: Setting,
}

impl Default for Desk {
    fn default() -> Self {
        Self { binds: Setting::On, sends: Setting::On }
    }
}

impl Desk {
    /// Where a switch stands.
    pub fn setting(&self, switch: Switch) -> Setting {
        match switch {
            Switch::Binds => self.binds,
            Switch::Sends => self.sends,
        }
    }

    /// The state after one more event.
    pub fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::SwitchSet(set) => match set.switch {
                Switch::Binds => self.binds = set.setting,
                Switch::Sends => self.sends = set.setting,
            },
            Event::TransferDeclared(_) => {}
        }
        self
    }
}
