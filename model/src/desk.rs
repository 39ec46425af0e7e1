//! The desk as a whole: what the operator switched, declared and asked for, and whether it is halted.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alert::{Alerts, BalanceLow, BalanceRestored, PartDown, PartUp};
use crate::damage::Damage;
use crate::head::{Departure, Head, Restored};
use crate::ledger::Ticker;
use crate::money::{Amount, Btc, Sky};
use crate::operator::OperatorActed;
use crate::spend::{Spend, Spends};
use crate::stray::StrayOrder;

crate::event::events! {
    /// An event of the desk.
    pub enum Event {
        /// An operator turned something off or on.
        SwitchSet = 1,
        /// An operator declared a movement of coins that no customer asked for.
        TransferDeclared = 1,
        /// No order and no payout goes out any more until an operator resumes.
        Halted = 1,
        /// An operator lets orders and payouts go out again.
        Resumed = 1,
        /// A spend of the hot wallet was taken for a declared sweep, or a part of one.
        SweepSeen = 1,
        /// Up to a block every spend of the hot wallet is a payout, a declared sweep or something the desk was halted for.
        SpendsMatched = 1,
        /// A part of the desk, or something that it depends on, has been down for so long that an operator is to know.
        PartDown = 1,
        /// It is up again, and has been for a while.
        PartUp = 1,
        /// A place holds less of a coin than the operator wants there.
        BalanceLow = 1,
        /// It holds enough again.
        BalanceRestored = 1,
        /// Somebody did what is no other event, or is about to: who, what and why.
        OperatorActed = 1,
    }
}

/// What an operator can switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// Giving out deposit addresses.
    Binds,
    /// Sending orders to the exchange.
    Purchases,
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

impl Coins {
    /// Which coin.
    pub const fn ticker(self) -> Ticker {
        match self {
            Self::Btc(_) => Ticker::Btc,
            Self::Sky(_) => Ticker::Sky,
        }
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The wallet payouts are made from.
    HotWallet,
    /// The account on the exchange.
    Exchange,
    /// The deposit addresses.
    DepositAddresses,
}

impl Place {
    /// The word used in APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HotWallet => "hot_wallet",
            Self::Exchange => "exchange",
            Self::DepositAddresses => "deposit_addresses",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HotWallet => "the hot wallet",
            Self::Exchange => "the exchange",
            Self::DepositAddresses => "the deposit addresses",
        })
    }
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

/// Coins that are not where the books say they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where.
    pub place: Place,
    /// Of which coin.
    pub coin: Ticker,
    /// How much stands in the books there, in smallest units.
    pub booked: i64,
    /// How much of that may have left already, by orders and payouts on their way, in smallest units.
    pub in_flight: i64,
    /// How much is there, in smallest units.
    pub found: i64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, coin, .. } = self;
        let [booked, in_flight, found] =
            [self.booked, self.in_flight, self.found].map(|units| coin.amount(units.into()));
        let coin = coin.as_str();
        write!(f, "{place}: {found} {coin} found, {booked} {coin} booked, {in_flight} {coin} on their way")
    }
}

/// Why the desk is halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum HaltCause {
    /// An operator wants it so.
    Operator {
        /// In the operator's words.
        note: String,
    },
    /// Coins are missing.
    Missing {
        /// Which.
        differences: Vec<Difference>,
    },
    /// The log may know less than has happened.
    Restored(Restored),
    /// The log is not what was stored.
    Damaged {
        /// Where, and what is wrong there.
        damages: Vec<Damage>,
    },
    /// Orders are open at the exchange that nobody here intended.
    StrayOrders {
        /// Which.
        orders: Vec<StrayOrder>,
    },
    /// Somebody spent from the hot wallet, and it was neither a payout nor a declared sweep.
    StraySpends {
        /// Which transactions.
        spends: Vec<Spend>,
    },
}

impl fmt::Display for HaltCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator { note } => write!(f, "by an operator: {note}"),
            Self::Missing { differences } => {
                f.write_str("coins are missing")?;
                differences.iter().try_for_each(|difference| write!(f, "; {difference}"))
            }
            Self::Restored(restored) => restored.fmt(f),
            Self::Damaged { damages } => {
                f.write_str("the log is damaged")?;
                damages.iter().try_for_each(|damage| write!(f, "; {damage}"))
            }
            Self::StrayOrders { orders } => {
                f.write_str("orders at the exchange belong to no deposit")?;
                orders.iter().try_for_each(|order| write!(f, "; {order}"))
            }
            Self::StraySpends { spends } => {
                f.write_str("transactions that are no payouts spent from the hot wallet")?;
                spends.iter().try_for_each(|spend| write!(f, "; {spend}"))?;
                f.write_str("; where the log is damaged, such a transaction may be a payout that it has lost")
            }
        }
    }
}

/// See [`Event::Halted`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halted {
    /// Why.
    #[serde(flatten)]
    pub cause: HaltCause,
}

/// See [`Event::Resumed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// In the operator's words.
    pub note: String,
}

/// See [`Event::SweepSeen`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepSeen {
    /// The transaction.
    #[serde(flatten)]
    pub spend: Spend,
}

/// See [`Event::SpendsMatched`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendsMatched {
    /// The Skycoin block, itself included.
    pub block_seq: u64,
}

/// Why something does not work now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The whole desk is halted.
    #[error("the desk is halted")]
    Halted,
    /// An operator turned it off.
    #[error("an operator has switched it off")]
    SwitchedOff,
}

/// Where the switches stand, and whether the desk is halted. Everything is on until an operator turns it off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    binds: Setting,
    purchases: Setting,
    sends: Setting,
    halt: Option<HaltCause>,
    openings: BTreeSet<(Place, Ticker)>,
    /// Every time the log was found to know less than has happened.
    restorations: Vec<Restored>,
    /// All damage of the log for which the desk was ever halted.
    damages: BTreeSet<Damage>,
    /// The numbers of all stray orders for which the desk was ever halted.
    stray_orders: BTreeSet<u64>,
    /// What was spent from the hot wallet besides payouts.
    #[serde(default, skip_serializing_if = "Spends::is_empty")]
    spends: Spends,
    /// What operators were told is wrong, and not that it ended.
    #[serde(default, skip_serializing_if = "Alerts::is_empty")]
    alerts: Alerts,
}

impl Default for Desk {
    fn default() -> Self {
        let [binds, purchases, sends] = [Setting::On; 3];
        Self {
            binds,
            purchases,
            sends,
            halt: None,
            openings: BTreeSet::new(),
            restorations: Vec::new(),
            damages: BTreeSet::new(),
            stray_orders: BTreeSet::new(),
            spends: Spends::default(),
            alerts: Alerts::default(),
        }
    }
}

impl Desk {
    /// Whether the desk was ever halted for this damage: who resumed it took the log as it is.
    pub fn was_halted_for(&self, damage: &Damage) -> bool {
        self.damages.contains(damage)
    }

    /// Whether the desk was ever halted for this order: who resumed it took the order for his own.
    pub fn was_halted_for_order(&self, order_id: u64) -> bool {
        self.stray_orders.contains(&order_id)
    }

    /// What was spent from the hot wallet besides payouts.
    pub fn spends(&self) -> &Spends {
        &self.spends
    }

    /// What operators were told is wrong, and not that it ended.
    pub fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// Where a switch stands.
    pub fn setting(&self, switch: Switch) -> Setting {
        match switch {
            Switch::Binds => self.binds,
            Switch::Purchases => self.purchases,
            Switch::Sends => self.sends,
        }
    }

    /// Why the desk is halted, if it is.
    pub fn halt(&self) -> Option<&HaltCause> {
        self.halt.as_ref()
    }

    /// Why something does not work now; `None` when it works. A halt stops orders and payouts; and new addresses too when
    /// the log may not know which ones are taken.
    pub fn closed(&self, switch: Switch) -> Option<Closed> {
        match (switch, self.setting(switch)) {
            (Switch::Purchases | Switch::Sends, _) if self.halt.is_some() => Some(Closed::Halted),
            (Switch::Binds, _) if matches!(self.halt, Some(HaltCause::Restored(_))) => Some(Closed::Halted),
            (_, Setting::Off) => Some(Closed::SwitchedOff),
            (_, Setting::On) => None,
        }
    }

    /// Whether an operator declared what lay in a place when the desk began.
    pub fn is_opened(&self, place: Place, coin: Ticker) -> bool {
        self.openings.contains(&(place, coin))
    }

    /// Every time the log was found to know less than has happened, oldest first.
    pub fn restorations(&self) -> &[Restored] {
        &self.restorations
    }

    /// The lowest number of a deposit address that no life which the log has forgotten may have given out.
    pub fn free_index(&self) -> u32 {
        self.restorations.iter().map(|restored| restored.lost_to).max().unwrap_or(0)
    }

    /// Whether the log tells that it departed from this head; without any, whether it is halted for that.
    pub fn has_answered(&self, head: Option<&Head>) -> bool {
        match head {
            Some(head) => {
                let told = |restored: &Restored| (restored.known, restored.known_hash) == (head.position, head.hash);
                self.restorations.iter().any(told)
            }
            None => matches!(&self.halt, Some(HaltCause::Restored(it)) if it.departure == Departure::Unknown),
        }
    }

    /// The state after one more event.
    pub fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::SwitchSet(set) => match set.switch {
                Switch::Binds => self.binds = set.setting,
                Switch::Purchases => self.purchases = set.setting,
                Switch::Sends => self.sends = set.setting,
            },
            Event::TransferDeclared(transfer) => self.take_in(transfer),
            Event::Halted(halted) => {
                match &halted.cause {
                    HaltCause::Restored(restored) => self.restorations.push(restored.clone()),
                    HaltCause::Damaged { damages } => self.damages.extend(damages),
                    HaltCause::StrayOrders { orders } => {
                        self.stray_orders.extend(orders.iter().map(|order| order.order_id));
                    }
                    HaltCause::StraySpends { spends } => self.spends.halt(spends),
                    HaltCause::Operator { .. } | HaltCause::Missing { .. } => {}
                }
                self.halt = Some(halted.cause.clone());
            }
            Event::Resumed(_) => self.halt = None,
            Event::SweepSeen(seen) => self.spends.sweep(&seen.spend),
            Event::SpendsMatched(matched) => self.spends.match_to(matched.block_seq),
            Event::PartDown(down) => self.alerts.part_down(down),
            Event::PartUp(up) => self.alerts.part_up(up),
            Event::BalanceLow(low) => self.alerts.balance_low(low),
            Event::BalanceRestored(restored) => self.alerts.balance_restored(restored),
            Event::OperatorActed(_) => {}
        }
        self
    }

    fn take_in(&mut self, transfer: &TransferDeclared) {
        match (transfer.kind, transfer.place, transfer.coins) {
            (TransferKind::Opening, place, coins) => {
                self.openings.insert((place, coins.ticker()));
            }
            (TransferKind::Sweep, Place::HotWallet, Coins::Sky(coins)) => self.spends.declare(coins),
            (TransferKind::Sweep | TransferKind::Refill, _, _) => {}
        }
    }
}

#[cfg(test)]
mod tests;
