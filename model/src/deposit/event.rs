//! What happens to a deposit.

use serde::{Deserialize, Serialize};

use crate::ids::{DepositId, Hash32, Outpoint};
use crate::money::{Amount, Btc, Rate, Sky};
use crate::purchase::{OrderIntent, OrderObservation, Price, SeenBook, seen_book_kept};

crate::event::events! {
    /// An event of a deposit; the order below is roughly the order of a deposit's life.
    pub enum Event {
        /// A transaction pays an address of ours.
        Detected = 1,
        /// The transaction is in a block of the best chain.
        Mined = 1,
        /// The block that held it left the best chain.
        Orphaned = 1,
        /// The transaction left the node's mempool, or another took its coins.
        Vanished = 1,
        /// Deep enough to count as received.
        Matured = 1,
        /// Received on an address that belongs to no customer.
        Quarantined = 1,
        /// The receipt: the money is ours, an outcome is owed.
        StatusWaitDecide = 1,
        /// Decided: buy the coins on the exchange.
        StatusWaitBuy = 1,
        /// An order that may be placed from now on.
        OrderIntended = 1,
        /// The exchange took the order.
        OrderPlaced = 1,
        /// The exchange said that it did not take the order.
        OrderRefused = 1,
        /// The order may be cancelled from now on.
        OrderCancelIntended = 1,
        /// What the exchange said of the order.
        OrderObserved = 1,
        /// The purchase is over, all of it that could be spent is spent.
        Bought = 1,
        /// The purchase ended early, partly bought.
        PurchaseStopped = 1,
        /// What of the deposit no order could spend.
        RemainderBooked = 1,
        /// Decided or bought: this much is to be paid out.
        StatusWaitSend = 1,
        /// Another attempt at a payout; its bytes come with it.
        PayoutIntended = 1,
        /// The payout's bytes; from here on these bytes and no others.
        PayoutSigned = 1,
        /// The signed bytes can never confirm: another transaction spent an input of theirs for good.
        PayoutVoided = 1,
        /// The node took the payout.
        Sent = 1,
        /// The block that held the payout left the best chain.
        PayoutReorged = 1,
        /// The payout is final.
        Confirmed = 1,
        /// Stopped for a reason; nothing is lost and nothing moves.
        Held = 2,
        /// Goes on where it was stopped.
        Released = 1,
        /// The customer is owed the deposit back.
        RefundDue = 2,
        /// An operator paid it back by other means.
        RefundMarked = 1,
        /// The deposit left the best chain after its payout was signed.
        ReorgLoss = 1,
        /// Ended without a payout.
        Failed = 1,
        /// Its coins were spent elsewhere after it was received: nothing is paid out, and what was bought for it is the desk's.
        WrittenOff = 1,
    }
}

/// How the desk comes by the coins it pays out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Sold from stock at the configured rate.
    Direct,
    /// Bought on the exchange with the amount of the deposit.
    Passthrough,
}

impl Method {
    /// The word used in configuration and APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Passthrough => "passthrough",
        }
    }
}

/// A block of the Bitcoin chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    /// Its height; 0 is the genesis block.
    pub height: u64,
    /// Its hash, as explorers show it.
    pub hash: Hash32,
}

/// Whom a deposit address belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Customer {
    /// The Skycoin address to pay.
    pub target: String,
    /// The method configured when the address was bound. A record only: the decision uses the method of its own day.
    pub bound_method: Method,
}

/// See [`Event::Detected`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Detected {
    /// The deposit's id.
    pub id: DepositId,
    /// The output that pays us.
    pub outpoint: Outpoint,
    /// The address of ours that it pays.
    pub address: String,
    /// How much it pays.
    pub amount: Amount<Btc>,
    /// Whom the address belongs to; `None` for an address that was never bound.
    pub customer: Option<Customer>,
    /// Recognises the coins the transaction spends; see [`crate::chain::SpentCoin`].
    pub spends: Vec<crate::chain::SpentCoin>,
    /// Whether the transaction is a block's reward, which cannot be spent for 100 blocks.
    pub coinbase: bool,
}

/// See [`Event::Mined`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mined {
    /// The block.
    pub block: BlockRef,
}

/// See [`Event::Orphaned`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphaned {
    /// The block that left the best chain.
    pub block: BlockRef,
}

/// See [`Event::Vanished`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vanished {
    /// The transaction that took its coins, if one was seen.
    pub replaced_by: Option<Hash32>,
}

/// See [`Event::Matured`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matured {
    /// How many blocks deep it was, its own included.
    pub confirmations: u64,
}

/// See [`Event::Quarantined`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {}

/// See [`Event::StatusWaitDecide`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusWaitDecide {}

/// See [`Event::StatusWaitBuy`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusWaitBuy {
    /// How much may be spent.
    pub budget: Amount<Btc>,
    /// The cheapest ask seen at the decision; orders stay within the slippage of it.
    pub best_ask: Price,
    /// The order book that it was the cheapest ask of. Decisions of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "seen_book_kept")]
    pub book: Option<SeenBook>,
}

impl StatusWaitBuy {
    /// Whether the cheapest ask is that of the book, if there is one.
    pub(super) fn is_of_its_book(&self) -> bool {
        self.book.as_ref().is_none_or(|book| book.best_ask() == self.best_ask)
    }
}

/// See [`Event::OrderIntended`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderIntended {
    /// The order, with the id under which it can be found again.
    pub order: OrderIntent,
    /// The order book that it was chosen from, less what orders of other deposits were about to take of it: what the order could
    /// take and the level after that. Orders of earlier versions have none, nor have those that the log had forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "seen_book_kept")]
    pub book: Option<SeenBook>,
}

impl OrderIntended {
    /// Whether the order pays what may be asked in its book, if there is one.
    pub(super) fn is_of_its_book(&self) -> bool {
        self.book.as_ref().is_none_or(|book| book.may_ask(self.order.price))
    }
}

/// See [`Event::OrderPlaced`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// The exchange's number for it.
    pub order_id: u64,
}

/// See [`Event::OrderRefused`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRefused {
    /// The exchange's words, cut to 200 characters.
    pub reason: String,
}

/// See [`Event::OrderCancelIntended`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelIntended {}

/// See [`Event::OrderObserved`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderObserved {
    /// Fills, fee and state.
    pub observation: OrderObservation,
}

/// See [`Event::Bought`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bought {
    /// What the fills brought.
    pub bought: Amount<Sky>,
    /// What the fills cost.
    pub spent: Amount<Btc>,
}

/// See [`Event::PurchaseStopped`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurchaseStopped {
    /// What the fills brought until then.
    pub bought: Amount<Sky>,
    /// What the fills cost until then.
    pub spent: Amount<Btc>,
    /// Why it ended.
    pub reason: String,
}

/// What becomes of what no order could spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemainderUse {
    /// Too little to matter: the desk's rounding account.
    Rounding,
    /// Owed back to the customer.
    Refund,
}

/// See [`Event::RemainderBooked`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RemainderBooked {
    /// How much was left.
    pub amount: Amount<Btc>,
    /// Where it went.
    pub to: RemainderUse,
}

/// What the amount of a payout rests on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayoutBasis {
    /// Sold from stock.
    Direct {
        /// At this rate.
        rate: Rate,
    },
    /// What was bought for the deposit.
    Bought,
}

/// See [`Event::StatusWaitSend`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusWaitSend {
    /// What it rests on.
    pub basis: PayoutBasis,
    /// How much to pay out.
    pub amount: Amount<Sky>,
    /// What was cut off to reach the payout's decimals; the desk's rounding account.
    pub rounding: Amount<Sky>,
}

/// See [`Event::PayoutIntended`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutIntended {
    /// 1 for the first.
    pub attempt: u32,
}

/// See [`Event::PayoutSigned`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutSigned {
    /// The transaction, signed.
    pub txid: Hash32,
    /// Names the transaction whatever its signatures are.
    pub inner_hash: Hash32,
    /// The outputs of the hot wallet that it spends.
    pub inputs: Vec<Hash32>,
    /// The whole transaction, in hexadecimal.
    pub bytes: String,
}

/// See [`Event::PayoutVoided`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutVoided {
    /// The final transaction that spent an input, or an input of other void bytes that would have made one.
    pub conflicting_txid: Hash32,
}

/// See [`Event::Sent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {}

/// See [`Event::PayoutReorged`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutReorged {}

/// See [`Event::Confirmed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The Skycoin block that holds the payout.
    pub block_seq: u64,
    /// How deep it was, its own block included.
    pub confirmations: u64,
}

/// Why a deposit is held.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// Less than the desk deals in.
    BelowMinimum,
    /// More than the desk deals in.
    AboveMaximum,
    /// So little that nothing is left to pay out.
    NothingToSend,
    /// The payout is larger than the desk makes without an operator; a release lets it be made.
    PayoutAboveMaximum,
    /// Its transaction left the best chain.
    DepositOrphaned,
    /// The same coins were received before, by a deposit that was decided and then orphaned.
    CoinsSeenBefore {
        /// That deposit.
        earlier: DepositId,
    },
    /// An order was placed and the exchange does not show it.
    OrderUnaccounted,
    /// The purchase cannot go on.
    PurchaseStopped,
    /// The payout needs more of the wallet's outputs than one transaction may spend.
    PayoutTooManyInputs,
    /// The address to pay is not one that can be paid.
    InvalidTarget,
    /// The wallet paid this customer in a transaction that the log has forgotten, and not what is owed.
    PaidBefore {
        /// That transaction.
        txid: Hash32,
    },
    /// What the wallet signed is not what was asked for.
    WalletMisbehaved,
    /// An operator asked for it.
    Operator {
        /// In the operator's words.
        note: String,
    },
}

/// See [`Event::Held`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Why.
    pub reason: HoldReason,
}

/// See [`Event::Released`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Why it goes on.
    pub note: String,
}

/// See [`Event::RefundDue`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundDue {
    /// How much is owed back.
    pub amount: Amount<Btc>,
    /// Why, in the operator's words.
    pub note: String,
}

/// See [`Event::RefundMarked`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundMarked {
    /// The transaction that paid it back.
    pub txid: Hash32,
    /// In the operator's words.
    pub note: String,
}

/// See [`Event::ReorgLoss`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReorgLoss {
    /// What was lost.
    pub amount: Amount<Btc>,
}

/// See [`Event::Failed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Why.
    pub reason: String,
}

/// See [`Event::WrittenOff`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenOff {
    /// What was bought for it.
    pub bought: Amount<Sky>,
    /// What that cost.
    pub spent: Amount<Btc>,
    /// Why, in the operator's words if he ended it.
    pub note: String,
}
