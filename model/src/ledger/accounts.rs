//! The chart of accounts.

use serde::{Deserialize, Serialize};

use crate::money::{Btc, Coin, Sky};

/// A coin, as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ticker {
    /// Bitcoin, in satoshi.
    #[serde(rename = "BTC")]
    Btc,
    /// Skycoin, in droplets.
    #[serde(rename = "SKY")]
    Sky,
}

impl Ticker {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Btc, Self::Sky];

    /// The ticker's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Btc => Btc::CODE,
            Self::Sky => Sky::CODE,
        }
    }

    /// Decimals of the smallest unit.
    pub const fn scale(self) -> u32 {
        match self {
            Self::Btc => Btc::SCALE,
            Self::Sky => Sky::SCALE,
        }
    }

    /// So many smallest units as whole coins, with all decimals and, below zero, a sign: `"-0.00000080"`.
    pub fn amount(self, units: i128) -> String {
        let (one, whole) = (10u128.pow(self.scale()), units.unsigned_abs());
        let sign = if units < 0 { "-" } else { "" };
        format!("{sign}{}.{:0width$}", whole / one, whole % one, width = self.scale() as usize)
    }
}

/// An account of the ledger. Those of a deposit are kept together here; a deposit's own part of them is what its own stream
/// posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// What customers paid and is received.
    DepositAddresses,
    /// What payouts are made from.
    HotWallet,
    /// At the exchange, to be spent.
    ExchangeFree,
    /// At the exchange, kept back for open orders.
    ExchangeFrozen,
    /// What reorganisations took back after it was received.
    Receivable,
    /// Received, and an outcome is owed for it.
    Customer,
    /// Received from nobody known.
    Suspense,
    /// Owed back.
    Refund,
    /// Owed in the other coin.
    Payout,
    /// Owed in the other coin, and signed.
    PayoutInFlight,
    /// What was sold from stock, in one coin, and given for it, in the other: the desk's open position.
    Trading,
    /// What rounding left to the desk, and cost it.
    Rounding,
    /// What the exchange charged.
    ExchangeFee,
    /// What the owners put in, less what they took out.
    Capital,
}

/// What a balance on an account says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nature {
    /// The desk has it: never below zero.
    Asset,
    /// The desk owes it: never above zero.
    Liability,
    /// The desk gave one coin for another.
    Position,
    /// The desk gained it, or lost it.
    Result,
    /// It is the owners'.
    Equity,
}

impl Nature {
    /// The word used in APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Liability => "liability",
            Self::Position => "position",
            Self::Result => "result",
            Self::Equity => "equity",
        }
    }
}

impl Account {
    /// The word used in APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DepositAddresses => "deposit_addresses",
            Self::HotWallet => "hot_wallet",
            Self::ExchangeFree => "exchange_free",
            Self::ExchangeFrozen => "exchange_frozen",
            Self::Receivable => "receivable",
            Self::Customer => "customer",
            Self::Suspense => "suspense",
            Self::Refund => "refund",
            Self::Payout => "payout",
            Self::PayoutInFlight => "payout_in_flight",
            Self::Trading => "trading",
            Self::Rounding => "rounding",
            Self::ExchangeFee => "exchange_fee",
            Self::Capital => "capital",
        }
    }

    /// What its balance says.
    pub const fn nature(self) -> Nature {
        match self {
            Self::DepositAddresses | Self::HotWallet | Self::ExchangeFree | Self::ExchangeFrozen | Self::Receivable => {
                Nature::Asset
            }
            Self::Customer | Self::Suspense | Self::Refund | Self::Payout | Self::PayoutInFlight => Nature::Liability,
            Self::Trading => Nature::Position,
            Self::Rounding | Self::ExchangeFee => Nature::Result,
            Self::Capital => Nature::Equity,
        }
    }
}
