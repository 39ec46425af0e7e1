//! A deposit as pages and APIs show it: a fold of its events into one row.

use chrono::{DateTime, Utc};
use millrace_model::deposit::{Event, HoldReason, PayoutBasis, RemainderUse};
use millrace_model::event::{Event as LogEvent, Recorded, Unreadable};
use millrace_model::ids::{DepositId, Hash32, Outpoint, Position, Version};
use millrace_model::money::{Amount, Btc, Rate, Sky};
use serde::{Deserialize, Serialize};

/// A deposit to be shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DepositRow {
    /// The position of its first event.
    pub seq: Position,
    /// Its id.
    pub id: DepositId,
    /// How many events it is made of.
    pub version: Version,
    /// The Skycoin address to pay, unless the deposit address belongs to nobody.
    pub target: Option<String>,
    /// The address it was sent to.
    pub address: String,
    /// The output that is the deposit.
    pub outpoint: Outpoint,
    /// How much was deposited.
    pub amount: Amount<Btc>,
    /// Whether it is a block's reward, which counts later.
    #[serde(default)]
    pub coinbase: bool,
    /// Where it stands; the words of [`millrace_model::deposit::StageName`].
    pub status: String,
    /// Where it stood before it was held.
    pub interrupted: Option<String>,
    /// Why it is held.
    pub held: Option<HoldReason>,
    /// Height of the block that holds it.
    pub height: Option<u64>,
    /// `direct` or `passthrough`, once decided.
    pub method: Option<String>,
    /// The rate of a direct sale.
    pub rate: Option<Rate>,
    /// What the purchase cost so far.
    pub spent: Option<Amount<Btc>>,
    /// What was bought.
    pub bought: Option<Amount<Sky>>,
    /// What the desk lost: it had paid when a reorganisation took the deposit. Nothing once it is mined again.
    #[serde(default)]
    pub loss: Option<Amount<Btc>>,
    /// What no order could spend, if it is owed back.
    pub refund: Option<Amount<Btc>>,
    /// Why it is or was paid back, in the operator's words.
    pub refund_note: Option<String>,
    /// How much is paid out.
    pub payout: Option<Amount<Sky>>,
    /// The payout's transaction.
    pub payout_txid: Option<Hash32>,
    /// From where on the deposit cannot be read, and why; what came later is not shown.
    #[serde(default)]
    pub unreadable: Option<UnreadableFrom>,
    /// How the deposit ended: `paid`, `refunded`, `vanished` or `failed`.
    pub outcome: Option<String>,
    /// When it was first seen.
    pub detected_at: DateTime<Utc>,
    /// When something last happened to it.
    pub updated_at: DateTime<Utc>,
}

/// The word for where a deposit stands that cannot be read.
pub const UNREADABLE: &str = "unreadable";

/// The first event of a deposit that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableFrom {
    /// Where it lies.
    pub position: Position,
    /// What is wrong with it.
    pub why: String,
}

impl DepositRow {
    /// The row after one more event of its stream; `None` before the first.
    pub fn after(row: Option<Self>, recorded: &Recorded) -> Option<Self> {
        match (&recorded.event, row) {
            (_, Some(row)) if row.unreadable.is_some() => Some(Self { version: recorded.version, ..row }),
            (LogEvent::Deposit(event), row) => {
                Self::apply(row, event, recorded.position, recorded.version, recorded.recorded_at)
            }
            (LogEvent::Unreadable(what), Some(row)) => Some(row.unread(what, recorded)),
            (_, row) => row,
        }
    }

    fn unread(mut self, what: &Unreadable, recorded: &Recorded) -> Self {
        self.unreadable = Some(UnreadableFrom { position: recorded.position, why: what.why.clone() });
        let status = std::mem::replace(&mut self.status, UNREADABLE.to_owned());
        self.interrupted.get_or_insert(status);
        (self.version, self.updated_at) = (recorded.version, recorded.recorded_at);
        self
    }

    fn apply(
        row: Option<Self>,
        event: &Event,
        position: Position,
        version: Version,
        at: DateTime<Utc>,
    ) -> Option<Self> {
        let mut row = match (row, event) {
            (None, Event::Detected(receipt)) => Self {
                seq: position,
                id: receipt.id,
                version,
                target: receipt.customer.as_ref().map(|customer| customer.target.clone()),
                address: receipt.address.clone(),
                outpoint: receipt.outpoint,
                amount: receipt.amount,
                coinbase: receipt.coinbase,
                status: "pending".to_owned(),
                interrupted: None,
                held: None,
                height: None,
                method: None,
                rate: None,
                spent: None,
                bought: None,
                loss: None,
                refund: None,
                refund_note: None,
                payout: None,
                payout_txid: None,
                unreadable: None,
                outcome: None,
                detected_at: at,
                updated_at: at,
            },
            (None, _) => return None,
            (Some(row), _) => row,
        };
        row.version = version;
        row.updated_at = at;
        row.show(event);
        Some(row)
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::Detected(_)
            | Event::Matured(_)
            | Event::OrderIntended(_)
            | Event::OrderPlaced(_)
            | Event::OrderRefused(_)
            | Event::OrderCancelIntended(_)
            | Event::OrderObserved(_)
            | Event::PayoutIntended(_) => {}
            Event::ReorgLoss(loss) => self.loss = Some(loss.amount),
            Event::Mined(mined) => {
                (self.height, self.loss) = (Some(mined.block.height), None);
                if self.outcome.take_if(|outcome| outcome == "vanished").is_some() {
                    self.status("pending");
                }
            }
            Event::Orphaned(_) => self.height = None,
            Event::Vanished(_) if self.payout_txid.is_none() && is_nothing_held(&self.status) => {
                (self.method, self.rate, self.payout) = (None, None, None);
                self.done("vanished");
            }
            Event::Vanished(_) => {}
            Event::Quarantined(_) => self.status("quarantined"),
            Event::StatusWaitDecide(_) => self.status("wait_decide"),
            Event::StatusWaitBuy(_) => {
                self.method = Some("passthrough".to_owned());
                self.status("wait_buy");
            }
            Event::Bought(bought) => (self.bought, self.spent) = (Some(bought.bought), Some(bought.spent)),
            Event::PurchaseStopped(bought) => (self.bought, self.spent) = (Some(bought.bought), Some(bought.spent)),
            Event::RemainderBooked(remainder) => {
                self.refund = (remainder.to == RemainderUse::Refund).then_some(remainder.amount);
            }
            Event::StatusWaitSend(decision) => {
                if let PayoutBasis::Direct { rate } = decision.basis {
                    self.method = Some("direct".to_owned());
                    self.rate = Some(rate);
                }
                self.payout = Some(decision.amount);
                self.status("wait_send");
            }
            Event::PayoutSigned(signed) => self.payout_txid = Some(signed.txid),
            Event::PayoutVoided(_) => {
                self.payout_txid = None;
                self.status("wait_send");
            }
            Event::Sent(_) | Event::PayoutReorged(_) => {
                self.outcome = None;
                self.status("wait_confirm");
            }
            Event::Confirmed(_) => self.done("paid"),
            Event::Held(held) => {
                self.held = Some(held.reason.clone());
                self.interrupted = Some(std::mem::replace(&mut self.status, "held".to_owned()));
            }
            Event::Released(_) => {
                self.held = None;
                if let Some(status) = self.interrupted.take() {
                    self.status = status;
                }
            }
            Event::RefundDue(refund) => {
                self.refund = Some(refund.amount);
                self.refund_note = Some(refund.note.clone()).filter(|note| !note.is_empty());
                self.interrupted = None;
                self.status("refund_due");
            }
            Event::RefundMarked(refund) => {
                self.refund_note = Some(refund.note.clone());
                self.done("refunded");
            }
            Event::Failed(_) => self.done("failed"),
        }
    }

    fn status(&mut self, status: &str) {
        self.status = status.to_owned();
    }

    fn done(&mut self, outcome: &str) {
        self.status("done");
        self.outcome = Some(outcome.to_owned());
    }
}

/// Where a deposit ends when its transaction vanishes, as long as nothing was done for it. (One that is being bought is held
/// before its transaction can vanish.)
fn is_nothing_held(status: &str) -> bool {
    matches!(status, "pending" | "wait_decide" | "wait_buy" | "wait_send")
}
