//! The exchange itself: orders are taken, matched, cancelled and shown. No wire, no disk, no clock.

use std::collections::BTreeSet;

use millrace_protocols::wire::c2cx::{Side, Status};

use super::account::{Account, Change, DeskOrder, Fill, Handling, Holdings, Pricing, cost};
use super::engine::{Engine, Lots, Owner, Steps, Trade};
use super::market::{Market, MarketConfig};

/// The smallest order, in lots.
pub const LOTS_MIN: Lots = Lots(100);
/// The largest order, in lots.
pub const LOTS_MAX: Lots = Lots(1_000_000_000);
/// The dearest price, in steps.
pub const STEPS_MAX: Steps = Steps(100_000_000);
/// How many levels of each side a book shows.
const BOOK_DEPTH: usize = 50;

/// Why the exchange does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The envelope's code.
    pub code: i64,
    /// The envelope's message.
    pub message: String,
}

impl Refusal {
    /// A refusal with code 400.
    pub fn new(message: impl Into<String>) -> Self {
        Self { code: 400, message: message.into() }
    }
}

/// An order as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// Which way.
    pub side: Side,
    /// At which price.
    pub pricing: Pricing,
    /// How much; zero for a market order to buy.
    pub lots: Lots,
    /// The desk's id of it.
    pub cid: Option<String>,
}

/// What misbehaves. [`Faults::default`] is an exchange that behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// Orders of the desk are filled up to this percentage of their quantity and no further; 0: never.
    pub fill_percent_max: Option<u8>,
    /// How long an order waits before it is matched, and a cancellation before it is done.
    pub matching_delay_ms: u64,
    /// The book that is shown instead of the real one.
    pub stale_book: Option<BookView>,
    /// Whether the makers quote.
    pub makers: Makers,
    /// Satoshi that the exchange freezes for reasons of its own.
    pub held_satoshi: u64,
}

/// Whether anybody but the desk trades.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Makers {
    /// As usual.
    #[default]
    Quoting,
    /// Nobody: the book is empty but for the desk's own orders.
    Gone,
}

/// A book as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookView {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Who sells, cheapest first.
    pub asks: Vec<(Steps, Lots)>,
    /// Who buys, dearest first.
    pub bids: Vec<(Steps, Lots)>,
}

/// A market at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trades {
    /// The last trade.
    pub last: Option<Steps>,
    /// The dearest.
    pub high: Option<Steps>,
    /// The cheapest.
    pub low: Option<Steps>,
    /// How much changed hands.
    pub volume: Lots,
}

/// The exchange. Changes pile up until [`Exchange::take_changes`].
#[derive(Debug)]
pub struct Exchange {
    pub(super) account: Account,
    pub(super) faults: Faults,
    engine: Engine,
    market: Market,
    trades: Trades,
    makers_made: u64,
    /// Orders that wait to be matched, and cancellations that wait to be done, with their times.
    entering: BTreeSet<(u64, u64)>,
    leaving: BTreeSet<(u64, u64)>,
    changes: Vec<Change>,
}

impl Exchange {
    /// An exchange without makers, whose account went through `changes`.
    pub fn new(fee_ppm: u64, market: MarketConfig, changes: impl IntoIterator<Item = Change>) -> Self {
        let mut exchange = Self {
            account: Account { fee_ppm, ..Account::default() },
            faults: Faults::default(),
            engine: Engine::default(),
            market: Market::new(market),
            trades: Trades::default(),
            makers_made: 0,
            entering: BTreeSet::new(),
            leaving: BTreeSet::new(),
            changes: Vec::new(),
        };
        for change in changes {
            if let Change::Mid(mid) = change {
                exchange.market.set_mid(mid);
            }
            exchange.account.apply(&change);
        }
        exchange.reopen();
        exchange
    }

    /// What changed since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Takes an order and matches it.
    pub fn create(&mut self, order: NewOrder, now_ms: u64) -> Result<u64, Refusal> {
        self.advance(now_ms);
        if order.cid.as_ref().is_some_and(|cid| self.account.cids.contains_key(cid)) {
            return Err(Refusal::new("cid already exists, please change"));
        }
        check_size(&order)?;
        let order_id = self.account.orders.len() as u64 + 1;
        let handling = match self.faults.fill_percent_max {
            Some(percent) => Handling::FilledUpTo(Lots(order.lots.0 * u64::from(percent.min(100)) / 100)),
            None => Handling::Ordinary,
        };
        let mut taken = DeskOrder {
            order_id,
            cid: order.cid,
            side: order.side,
            pricing: order.pricing,
            lots: order.lots,
            status: Status::Pending,
            handling,
            due_ms: now_ms.saturating_add(self.faults.matching_delay_ms),
            created_ms: now_ms,
            updated_ms: now_ms,
            fills: Vec::new(),
            fee: 0,
        };
        if !self.is_funded(&taken) {
            taken.status = match taken.pricing {
                Pricing::Limit(_) => Status::Suspended,
                Pricing::Market(_) => Status::Cancelled,
            };
        }
        let pending = taken.status == Status::Pending;
        self.record(Change::Taken(taken));
        if pending {
            self.entering.insert((now_ms.saturating_add(self.faults.matching_delay_ms), order_id));
            self.advance(now_ms);
        }
        Ok(order_id)
    }

    /// Cancels an order, now or after the matching delay.
    pub fn cancel(&mut self, order_id: u64, now_ms: u64) -> Result<(), Refusal> {
        self.advance(now_ms);
        let order = self.account.order(order_id).ok_or_else(|| Refusal::new("orderId is wrong"))?;
        match order.status {
            Status::Cancelling => {}
            // it holds nothing back and is in no book: there is nothing to wait for
            Status::Suspended => self.went(order_id, Status::Cancelled, now_ms),
            status @ (Status::Completed
            | Status::Cancelled
            | Status::Errored
            | Status::Expired
            | Status::Unrecognised(_)) => {
                return Err(Refusal::new(format!("you can't cancel order in \"{status:?}\" status")));
            }
            Status::Pending
            | Status::Active
            | Status::PartiallyCompleted
            | Status::TriggerPending
            | Status::StopLossPending => {
                self.leaving.insert((now_ms.saturating_add(self.faults.matching_delay_ms), order_id));
                self.went(order_id, Status::Cancelling, now_ms);
                self.advance(now_ms);
            }
        }
        Ok(())
    }

    /// Does what is due.
    pub fn advance(&mut self, now_ms: u64) {
        while let Some((_, order_id)) = pop_due(&mut self.entering, now_ms) {
            self.enter(order_id, now_ms);
        }
        while let Some((_, order_id)) = pop_due(&mut self.leaving, now_ms) {
            self.engine.cancel(Owner::Desk(order_id));
            self.end(order_id, Status::Cancelled, now_ms);
        }
    }

    /// Moves the market on: its makers take back what they offer and offer anew around a price that may have moved.
    pub fn step_market(&mut self, now_ms: u64) {
        self.advance(now_ms);
        self.engine.cancel_makers();
        if self.faults.makers == Makers::Gone {
            return;
        }
        let before = self.market.mid();
        let mid = self.market.drift();
        if mid != before {
            self.record(Change::Mid(mid));
        }
        for (side, price, lots) in self.market.quotes() {
            self.quote(side, price, lots, now_ms);
        }
    }

    /// One offer of a maker, which stays until the market moves on.
    pub fn quote(&mut self, side: Side, price: Steps, lots: Lots, now_ms: u64) {
        self.makers_made += 1;
        let owner = Owner::Maker(self.makers_made);
        let (trades, left) = self.engine.take(owner, side, price, lots);
        self.settle(&trades, now_ms);
        self.engine.rest(owner, side, price, left);
    }

    /// The book as it is shown.
    pub fn book(&self, now_ms: u64) -> BookView {
        match &self.faults.stale_book {
            Some(stale) => stale.clone(),
            None => BookView {
                at_ms: now_ms,
                asks: self.engine.levels(Side::Sell, BOOK_DEPTH),
                bids: self.engine.levels(Side::Buy, BOOK_DEPTH),
            },
        }
    }

    /// Best prices: who buys, who sells.
    pub fn best(&self) -> (Option<Steps>, Option<Steps>) {
        (self.engine.best_bid(), self.engine.best_ask())
    }

    /// What was traded since the exchange was started.
    pub fn trades(&self) -> &Trades {
        &self.trades
    }

    /// What of the desk's coins is frozen, by its orders and by the exchange itself.
    pub fn frozen(&self) -> Holdings {
        let held = i64::try_from(self.faults.held_satoshi).unwrap_or(i64::MAX);
        let satoshi = self.account.frozen.satoshi.saturating_add(held).min(self.account.desk.satoshi.max(0));
        Holdings { satoshi, droplets: self.account.frozen.droplets }
    }

    /// Sets what the desk has.
    pub fn set_balance(&mut self, holdings: Holdings) {
        self.record(Change::Balance(holdings));
    }

    /// Puts the orders that were open when the changes ended where they were.
    fn reopen(&mut self) {
        let open: Vec<_> = self.account.orders.iter().filter(|order| order.is_open()).cloned().collect();
        for order in open {
            if order.status == Status::Pending {
                self.entering.insert((order.due_ms, order.order_id));
                continue;
            }
            if order.status == Status::Cancelling {
                self.leaving.insert((0, order.order_id));
            }
            let waits = order.status != Status::Suspended && order.handling == Handling::Ordinary;
            if let (true, Pricing::Limit(price)) = (waits, order.pricing) {
                self.engine.rest(Owner::Desk(order.order_id), order.side, price, order.left());
            }
        }
    }

    fn is_funded(&self, order: &DeskOrder) -> bool {
        let frozen = self.frozen();
        let free = Holdings {
            satoshi: self.account.desk.satoshi - frozen.satoshi,
            droplets: self.account.desk.droplets - frozen.droplets,
        };
        let needed = match (order.side, order.pricing) {
            (Side::Buy, Pricing::Market(satoshi)) => {
                let with_fee = satoshi.saturating_add(self.account.fee(satoshi));
                Holdings { satoshi: i64::try_from(with_fee).unwrap_or(i64::MAX), droplets: 0 }
            }
            (Side::Buy, Pricing::Limit(_)) | (Side::Sell, _) => self.account.reserve(order),
        };
        needed.satoshi <= free.satoshi && needed.droplets <= free.droplets
    }

    /// Matches an order that was taken; what is left of it waits in the book.
    fn enter(&mut self, order_id: u64, now_ms: u64) {
        let Some(order) = self.account.order(order_id).filter(|order| order.status == Status::Pending).cloned() else {
            return;
        };
        let limit = match (order.pricing, order.side) {
            (Pricing::Limit(limit), _) => limit,
            (Pricing::Market(satoshi), Side::Buy) => return self.buy_at_any_price(order_id, satoshi, now_ms),
            (Pricing::Market(_), Side::Sell) => Steps(0),
        };
        let most = match order.handling {
            Handling::Ordinary => order.lots,
            Handling::FilledUpTo(most) => most.min(order.lots),
        };
        let (trades, left) = self.engine.take(Owner::Desk(order_id), order.side, limit, most);
        self.went(order_id, Status::Active, now_ms);
        self.settle(&trades, now_ms);
        match (order.handling, order.pricing) {
            (_, Pricing::Market(_)) => self.end(order_id, Status::Cancelled, now_ms),
            (Handling::Ordinary, Pricing::Limit(_)) => {
                self.engine.rest(Owner::Desk(order_id), order.side, limit, left);
            }
            (Handling::FilledUpTo(_), Pricing::Limit(_)) => {}
        }
    }

    fn buy_at_any_price(&mut self, order_id: u64, satoshi: u64, now_ms: u64) {
        self.went(order_id, Status::Active, now_ms);
        let mut left = satoshi;
        while let Some(price) = self.engine.best_ask() {
            let lots = Lots(left / cost(price, Lots(1)));
            let (trades, _) = self.engine.take(Owner::Desk(order_id), Side::Buy, price, lots);
            if trades.is_empty() {
                break;
            }
            left -= trades.iter().map(|trade| cost(trade.price, trade.lots)).sum::<u64>();
            self.settle(&trades, now_ms);
        }
        let nothing = self.account.order(order_id).is_none_or(|order| order.fills.is_empty());
        self.end(order_id, if nothing { Status::Cancelled } else { Status::Completed }, now_ms);
    }

    fn settle(&mut self, trades: &[Trade], now_ms: u64) {
        for trade in trades {
            let Trade { taker, maker, price, lots } = *trade;
            self.trades.last = Some(price);
            self.trades.high = self.trades.high.max(Some(price));
            self.trades.low = Some(self.trades.low.map_or(price, |low| low.min(price)));
            self.trades.volume.0 += lots.0;
            for owner in [maker, taker] {
                if let Owner::Desk(order_id) = owner {
                    self.record(Change::Filled { order_id, fill: Fill { price, lots, at_ms: now_ms } });
                    self.judge(order_id, now_ms);
                }
            }
        }
    }

    /// Gives an order the status its fills call for.
    fn judge(&mut self, order_id: u64, now_ms: u64) {
        let Some(order) = self.account.order(order_id) else { return };
        if matches!((order.pricing, order.side), (Pricing::Market(_), Side::Buy)) {
            return;
        }
        if order.left() == Lots::ZERO {
            self.end(order_id, Status::Completed, now_ms);
        } else if order.status == Status::Active {
            self.went(order_id, Status::PartiallyCompleted, now_ms);
        }
    }

    fn end(&mut self, order_id: u64, status: Status, now_ms: u64) {
        if self.account.order(order_id).is_some_and(DeskOrder::is_open) {
            self.went(order_id, status, now_ms);
        }
    }

    fn went(&mut self, order_id: u64, status: Status, at_ms: u64) {
        self.record(Change::Went { order_id, status, at_ms });
    }

    fn record(&mut self, change: Change) {
        self.account.apply(&change);
        self.changes.push(change);
    }
}

fn pop_due(queue: &mut BTreeSet<(u64, u64)>, now_ms: u64) -> Option<(u64, u64)> {
    queue.first().is_some_and(|(due_ms, _)| *due_ms <= now_ms).then(|| queue.pop_first()).flatten()
}

fn check_size(order: &NewOrder) -> Result<(), Refusal> {
    match (order.side, order.pricing) {
        (_, Pricing::Limit(price)) if price.0 == 0 || price > STEPS_MAX => {
            return Err(Refusal::new("price is wrong"));
        }
        (Side::Buy, Pricing::Market(satoshi)) if satoshi < 500_000 => {
            return Err(Refusal::new("limit value: 0.005"));
        }
        (Side::Buy, Pricing::Market(_)) => return Ok(()),
        (Side::Buy | Side::Sell, Pricing::Limit(_)) | (Side::Sell, Pricing::Market(_)) => {}
    }
    if order.lots < LOTS_MIN {
        return Err(Refusal::new("limit value: 1"));
    }
    if order.lots > LOTS_MAX {
        return Err(Refusal::new("quantity is wrong"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
