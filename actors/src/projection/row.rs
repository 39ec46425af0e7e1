//! A deposit as pages and APIs show it: a fold of its events into one row.

use chrono::{DateTime, Utc};
use millrace_model::deposit::{Detected, Event, HoldReason, PayoutBasis, RemainderUse, WrittenOff};
use millrace_model::event::{Event as LogEvent, Recorded, Unreadable};
use millrace_model::ids::{DepositId, Hash32, Outpoint, Position, StreamName, Version};
use millrace_model::money::{Amount, Btc, Rate, Sky};
use millrace_model::purchase::{Fact, Purchase};
use serde::{Deserialize, Serialize};

use super::milestones::Milestones;

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
    /// The address it was sent to; nothing if its beginning is lost.
    pub address: String,
    /// The output that is the deposit; zeros if its beginning is lost.
    pub outpoint: Outpoint,
    /// How much was deposited; zero if its beginning is lost.
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
    /// The purchase while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Box<Purchase>>,
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
    /// How the deposit ended: `paid`, `refunded`, `vanished`, `written_off` or `failed`.
    pub outcome: Option<String>,
    /// What it was before it was written off; that again if it is mined after all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interruption: Option<Interruption>,
    /// When it passed what its customer waits for.
    #[serde(default)]
    pub milestones: Milestones,
    /// When it was first seen.
    pub detected_at: DateTime<Utc>,
    /// When something last happened to it.
    pub updated_at: DateTime<Utc>,
    /// Since when it stands where it does; nothing in a row of an earlier version, which is shown until it was made anew.
    #[serde(default)]
    pub stands_since: Option<DateTime<Utc>>,
}

/// Where a deposit stood before it was written off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interruption {
    status: String,
    interrupted: Option<String>,
    held: Option<HoldReason>,
    payout: Option<Amount<Sky>>,
    refund: Option<Amount<Btc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purchase: Option<Box<Purchase>>,
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
    pub fn after(mut row: Option<Self>, recorded: &Recorded) -> Option<Self> {
        Self::take_in(&mut row, recorded);
        row
    }

    /// The same where it stands: a row is large, and a rebuild takes in millions of events.
    pub fn take_in(row: &mut Option<Self>, recorded: &Recorded) {
        match (&recorded.event, row) {
            (_, Some(row)) if row.unreadable.is_some() => row.version = recorded.version,
            (LogEvent::Deposit(event), row) => {
                Self::apply(row, event, recorded.position, recorded.version, recorded.recorded_at);
            }
            (LogEvent::Unreadable(what), Some(row)) => row.unread(what, recorded),
            (LogEvent::Unreadable(what), row) => *row = Self::without_beginning(what, recorded),
            (_, _) => {}
        }
    }

    /// Whether its first event cannot be read: nobody knows whose it is, what came in and what became of it.
    pub fn is_without_beginning(&self) -> bool {
        self.unreadable.as_ref().is_some_and(|from| from.position == self.seq)
    }

    fn without_beginning(what: &Unreadable, recorded: &Recorded) -> Option<Self> {
        let StreamName::Deposit(id) = recorded.stream else { return None };
        let nothing = Detected {
            id,
            outpoint: Outpoint { txid: Hash32([0; 32]), index: 0 },
            address: String::new(),
            amount: Amount::ZERO,
            customer: None,
            spends: vec![],
            coinbase: false,
        };
        let mut row = Self::begun(&nothing, recorded.position, recorded.version, recorded.recorded_at);
        row.unread(what, recorded);
        row.interrupted = None;
        Some(row)
    }

    fn unread(&mut self, what: &Unreadable, recorded: &Recorded) {
        self.unreadable = Some(UnreadableFrom { position: recorded.position, why: what.why.clone() });
        (self.version, self.updated_at) = (recorded.version, recorded.recorded_at);
        let status = self.stand_at(UNREADABLE.to_owned());
        self.interrupted.get_or_insert(status);
    }

    fn apply(row: &mut Option<Self>, event: &Event, position: Position, version: Version, at: DateTime<Utc>) {
        match (row, event) {
            (row @ None, Event::Detected(receipt)) => *row = Some(Self::begun(receipt, position, version, at)),
            (None, _) => {}
            (Some(row), event) => {
                (row.version, row.updated_at) = (version, at);
                row.milestones.take_in(event, at);
                row.show(event);
            }
        }
    }

    fn begun(receipt: &Detected, position: Position, version: Version, at: DateTime<Utc>) -> Self {
        Self {
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
            purchase: None,
            loss: None,
            refund: None,
            refund_note: None,
            payout: None,
            payout_txid: None,
            unreadable: None,
            outcome: None,
            interruption: None,
            milestones: Milestones::default(),
            detected_at: at,
            updated_at: at,
            stands_since: Some(at),
        }
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::Detected(_) | Event::Matured(_) | Event::PayoutIntended(_) => {}
            Event::OrderIntended(intended) => self.order(&Fact::Intended(intended.order.clone())),
            Event::OrderPlaced(placed) => self.order(&Fact::Placed { order_id: placed.order_id }),
            Event::OrderRefused(refused) => self.order(&Fact::Refused { reason: refused.reason.clone() }),
            Event::OrderCancelIntended(_) => self.order(&Fact::CancelIntended),
            Event::OrderObserved(observed) => self.order(&Fact::Observed(observed.observation.clone())),
            Event::ReorgLoss(loss) => self.loss = Some(loss.amount),
            Event::Mined(mined) => {
                (self.height, self.loss) = (Some(mined.block.height), None);
                if self.outcome.take_if(|outcome| outcome == "vanished").is_some() {
                    self.status("pending");
                }
                self.take_up_again();
                self.milestones.ended_at = self.milestones.ended_at.filter(|_| self.outcome.is_some());
            }
            Event::Orphaned(_) => self.height = None,
            Event::Vanished(_) if self.payout_txid.is_none() && is_nothing_held(&self.status) => {
                (self.method, self.rate, self.payout, self.purchase) = (None, None, None, None);
                self.milestones = Milestones { ended_at: Some(self.updated_at), ..Milestones::default() };
                self.done("vanished");
            }
            Event::Vanished(_) => {}
            Event::Quarantined(_) => self.status("quarantined"),
            Event::StatusWaitDecide(_) => self.status("wait_decide"),
            Event::StatusWaitBuy(decision) => {
                self.purchase = Some(Box::new(Purchase::new(decision.budget)));
                self.method = Some("passthrough".to_owned());
                self.status("wait_buy");
            }
            Event::Bought(bought) => self.is_bought(bought.bought, bought.spent),
            Event::PurchaseStopped(bought) => self.is_bought(bought.bought, bought.spent),
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
                self.interrupted = Some(self.stand_at("held".to_owned()));
            }
            Event::Released(_) => {
                self.held = None;
                if let Some(status) = self.interrupted.take() {
                    self.stand_at(status);
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
            Event::WrittenOff(ended) => self.write_off(ended),
            Event::Failed(_) => self.done("failed"),
        }
    }

    fn order(&mut self, fact: &Fact) {
        if let Some(purchase) = self.purchase.take() {
            self.purchase = Some(Box::new(purchase.apply(fact)));
        }
    }

    fn is_bought(&mut self, bought: Amount<Sky>, spent: Amount<Btc>) {
        (self.bought, self.spent, self.purchase) = (Some(bought), Some(spent), None);
    }

    /// Nothing is paid out or back, and nothing was paid out for it that would be lost.
    fn write_off(&mut self, ended: &WrittenOff) {
        let (interrupted, held) = (self.interrupted.take(), self.held.take());
        let (payout, refund) = (self.payout.take(), self.refund.take());
        let (status, purchase) = (self.status.clone(), self.purchase.take());
        self.interruption = Some(Interruption { status, interrupted, held, payout, refund, purchase });
        if self.method.as_deref() == Some("passthrough") {
            self.is_bought(ended.bought, ended.spent);
        }
        self.loss = None;
        self.refund_note = Some(ended.note.clone()).filter(|note| !note.is_empty());
        self.done("written_off");
    }

    fn take_up_again(&mut self) {
        let Some(before) = self.interruption.take() else { return };
        self.stand_at(before.status);
        (self.interrupted, self.held) = (before.interrupted, before.held);
        (self.payout, self.refund) = (before.payout, before.refund);
        (self.outcome, self.refund_note) = (None, None);
        if before.purchase.is_some() {
            (self.purchase, self.bought, self.spent) = (before.purchase, None, None);
        }
    }

    fn status(&mut self, status: &str) {
        if self.status != status {
            self.stand_at(status.to_owned());
        }
    }

    /// Since when it stands where it does, as far as that is known: else since its newest event.
    pub fn since(&self) -> DateTime<Utc> {
        self.stands_since.unwrap_or(self.updated_at)
    }

    /// From the newest event on it stands there. Gives back where it stood.
    fn stand_at(&mut self, status: String) -> String {
        self.stands_since = Some(self.updated_at);
        std::mem::replace(&mut self.status, status)
    }

    fn done(&mut self, outcome: &str) {
        self.status("done");
        self.outcome = Some(outcome.to_owned());
    }
}

/// Where a deposit ends when its transaction vanishes, as long as nothing was done for it. (One that is being bought is held
/// before its transaction can vanish, and written off.)
fn is_nothing_held(status: &str) -> bool {
    matches!(status, "pending" | "wait_decide" | "wait_buy" | "wait_send")
}

#[cfg(test)]
mod tests {
    use millrace_model::deposit::{
        BlockRef, Customer, Held, Method, Mined, Released, StatusWaitBuy, StatusWaitDecide, StatusWaitSend, Vanished,
    };

    use super::*;

    fn after(mut row: Option<DepositRow>, event: &Event) -> Option<DepositRow> {
        DepositRow::apply(&mut row, event, 1, 1, DateTime::UNIX_EPOCH);
        row
    }

    fn detected() -> Detected {
        Detected {
            id: DepositId(uuid::Uuid::from_u128(1)),
            outpoint: Outpoint { txid: Hash32([1; 32]), index: 0 },
            address: "deposit".into(),
            amount: "1".parse().unwrap(),
            customer: Some(Customer { target: "target".into(), bound_method: Method::Passthrough }),
            spends: vec![],
            coinbase: false,
        }
    }

    fn mined() -> Event {
        Mined { block: BlockRef { height: 7, hash: Hash32([7; 32]) } }.into()
    }

    /// O7: what is not known is not shown as if it were.
    #[test]
    fn a_deposit_whose_beginning_is_lost_has_a_row_that_says_so() {
        let id = DepositId(uuid::Uuid::from_u128(7));
        let recorded = |position, version, event| Recorded {
            position,
            stream: StreamName::Deposit(id),
            version,
            event,
            causation: None,
            correlation: None,
            command_id: millrace_model::ids::CommandId([1; 16]),
            recorded_at: DateTime::UNIX_EPOCH,
        };
        let (kind, payload, why) = ("Detected".to_owned(), String::new(), "it is lost".to_owned());
        let lost = LogEvent::Unreadable(Unreadable { kind, schema: 1, payload, why: why.clone() });
        let row = DepositRow::after(None, &recorded(9, 1, lost)).unwrap();
        let row = DepositRow::after(Some(row), &recorded(12, 2, LogEvent::Deposit(mined()))).unwrap();
        assert_eq!((row.seq, row.id, row.version, row.status.as_str()), (9, id, 2, UNREADABLE));
        assert_eq!((&row.target, row.address.as_str(), row.amount, row.height), (&None, "", Amount::ZERO, None));
        assert_eq!(row.unreadable, Some(UnreadableFrom { position: 9, why }));
        assert!(row.is_without_beginning() && row.interrupted.is_none());
    }

    /// What happens at a place does not make the wait there any shorter.
    #[test]
    fn it_stands_where_it_does_since_it_came_there() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let events: [Event; 7] = [
            detected().into(),
            mined(),
            StatusWaitDecide {}.into(),
            StatusWaitBuy { budget: "1".parse().unwrap(), best_ask: "0.002".parse().unwrap(), book: None }.into(),
            Held { reason: HoldReason::DepositOrphaned }.into(),
            mined(),
            Released { note: "mined again".into() }.into(),
        ];
        let mut row = None;
        let since = events.iter().enumerate().map(|(number, event)| {
            DepositRow::apply(&mut row, event, 1, 1, at(number as i64));
            row.as_ref().unwrap().stands_since.unwrap().timestamp()
        });
        assert_eq!(since.collect::<Vec<_>>(), [0, 0, 2, 3, 4, 4, 6]);
    }

    /// D3: it is shown as ended, with nothing paid out, and as it was when it is mined after all.
    #[test]
    fn what_was_written_off_shows_what_was_bought_and_is_as_it_was_when_it_is_mined_after_all() {
        let owed: Amount<Sky> = "20".parse().unwrap();
        let basis = PayoutBasis::Bought;
        let up_to_held: [Event; 5] = [
            detected().into(),
            mined(),
            StatusWaitBuy { budget: "1".parse().unwrap(), best_ask: "0.002".parse().unwrap(), book: None }.into(),
            StatusWaitSend { basis, amount: owed, rounding: Amount::ZERO }.into(),
            Held { reason: HoldReason::DepositOrphaned }.into(),
        ];
        let held = up_to_held.iter().fold(None, after);
        let ended = WrittenOff { bought: owed, spent: "0.04".parse().unwrap(), note: "gone".into() };
        let gone: [Event; 2] = [Vanished { replaced_by: Some(Hash32([9; 32])) }.into(), ended.into()];
        let row = gone.iter().fold(held, after).unwrap();
        assert_eq!((row.status.as_str(), row.outcome.as_deref()), ("done", Some("written_off")));
        assert_eq!((&row.held, row.payout, row.bought), (&None, None, Some(owed)));
        let stored: DepositRow = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
        let back = after(Some(stored), &mined()).unwrap();
        assert_eq!((back.status.as_str(), &back.outcome, back.payout), ("held", &None, Some(owed)));
        assert_eq!(back.milestones.ended_at, None);
        let released = after(Some(back), &Released { note: "mined again".into() }.into()).unwrap();
        assert_eq!((released.status.as_str(), &released.held), ("wait_send", &None));
    }
}
