//! An exchange in memory: its offers move, orders are filled in part and over time, and a cancellation may come too late.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millrace_actors::exchange::{Exchange, Reply};
use millrace_model::money::{Amount, Btc, Sky};
use millrace_model::purchase::{OrderIntent, Price};
use millrace_protocols::book::{Book, Level};
use millrace_protocols::wire::c2cx::{ApiError, Balance, Balances, CallError, Order, Page, Side, Status, StatusFilter};
use rand::Rng;
use rand::rngs::SmallRng;
use rust_decimal::Decimal;

use super::clock::StoryClock;
use super::leaving::Leaving;
use super::wire::{Carried, Wire};
use crate::judge;

/// Orders on one page of the listing; few, so that there are many pages.
const PAGE_ROWS: usize = 4;
/// Steps of the price: the fifth decimal.
const PRICE_STEPS: i64 = 200;
/// The smallest steps of a quantity: the second decimal.
const LOT_UNITS: u64 = 10_000;

/// The exchange, as the desk reaches it over its wire.
pub struct Venue {
    wire: Arc<Wire>,
    leaving: Arc<Leaving>,
    clock: Arc<StoryClock>,
    state: Arc<Mutex<State>>,
}

struct State {
    chance: SmallRng,
    conduct: Conduct,
    btc: Amount<Btc>,
    asks: Vec<Level>,
    orders: BTreeMap<u64, Entry>,
}

/// How the exchange treats orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// Filled at once.
    Prompt,
    /// Refused now and then, filled in part and later, cancelled late.
    Slow,
}

#[derive(Debug, Clone)]
struct Entry {
    intent: OrderIntent,
    completed: Amount<Sky>,
    status: Status,
}

impl Venue {
    /// An exchange where the account has this much.
    pub fn new(
        wire: Arc<Wire>,
        leaving: Arc<Leaving>,
        clock: Arc<StoryClock>,
        btc: Amount<Btc>,
        chance: SmallRng,
    ) -> Self {
        let state = State { chance, conduct: Conduct::Prompt, btc, asks: Vec::new(), orders: BTreeMap::new() };
        let venue = Self { wire, leaving, clock, state: Arc::new(Mutex::new(state)) };
        venue.step();
        venue
    }

    /// From now on orders are treated like this.
    pub fn behave(&self, conduct: Conduct) {
        self.lock().conduct = conduct;
    }

    /// More coins come into the account.
    pub fn fund(&self, more: Amount<Btc>) {
        let mut state = self.lock();
        state.btc = Amount::checked_sum([state.btc, more]).expect("all coins are an amount");
    }

    /// Time passes: sellers come and go, open orders are filled a little, cancellations take effect.
    pub fn step(&self) {
        self.lock().step();
    }

    /// Every order it ever took.
    pub fn orders(&self) -> Vec<judge::Order> {
        let shown = |entry: &Entry| judge::Order {
            cid: entry.intent.cid.to_string(),
            quantity: entry.intent.quantity,
            filled: entry.completed,
            open: !entry.status.state().is_terminal(),
        };
        self.lock().orders.values().map(shown).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, CallError> + Send + 'static,
    ) -> Reply<'_, T> {
        let state = Arc::clone(&self.state);
        Box::pin(async move {
            let act = move || act(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
            match self.wire.carry(act).await {
                Carried::Answer(answer) => answer,
                Carried::TurnedAway => Err(ApiError::TooManyRequests.into()),
                Carried::Lost => Err(CallError::Unavailable { http_status: 0 }),
            }
        })
    }
}

fn cost(price: Price, quantity: Amount<Sky>) -> Amount<Btc> {
    price.cost_rounded_up(quantity).expect("a small order")
}

fn lots(lots: u64) -> Amount<Sky> {
    Amount::from_units(lots * LOT_UNITS).expect("a small amount")
}

impl State {
    fn step(&mut self) {
        let best = PRICE_STEPS + self.chance.random_range(-2..=2);
        let level = |step: i64, volume: u64| Level {
            price: Price::new(Decimal::new(best + step, 5)).expect("a small price"),
            volume: lots(volume),
        };
        self.asks = vec![level(0, self.chance.random_range(50..3_000)), level(1, 4_000), level(3, 1_000_000)];
        let ids: Vec<u64> = self.orders.keys().copied().collect();
        for id in ids {
            let status = self.orders[&id].status;
            if matches!(status, Status::Active | Status::Cancelling) && self.chance.random_ratio(1, 2) {
                self.fill(id);
            }
            let entry = self.orders.get_mut(&id).expect("it is there");
            if entry.status == Status::Cancelling {
                entry.status = Status::Cancelled;
            }
        }
    }

    /// Fills some of what is open, or all; at the limit, which makes the sums easy to follow.
    fn fill(&mut self, id: u64) {
        let entry = self.orders.get_mut(&id).expect("it is there");
        let open = entry.intent.quantity.saturating_sub(entry.completed);
        let part = match self.conduct {
            Conduct::Prompt => open,
            Conduct::Slow => lots(self.chance.random_range(0..=open.units() / LOT_UNITS)),
        };
        let before = cost(entry.intent.price, entry.completed);
        entry.completed = Amount::checked_sum([entry.completed, part]).expect("no more than was ordered");
        let paid = cost(entry.intent.price, entry.completed).saturating_sub(before);
        if entry.completed == entry.intent.quantity {
            entry.status = Status::Completed;
        }
        self.btc = self.btc.checked_sub(paid).expect("an order is taken only with funds for it");
    }

    fn frozen(&self) -> Amount<Btc> {
        let open = self.orders.values().filter(|entry| !entry.status.state().is_terminal());
        let rest = |entry: &Entry| cost(entry.intent.price, entry.intent.quantity.saturating_sub(entry.completed));
        Amount::checked_sum(open.map(rest)).expect("all coins are an amount")
    }

    fn place(&mut self, intent: OrderIntent) -> Result<u64, CallError> {
        if self.orders.values().any(|entry| entry.intent.cid == intent.cid) {
            return Err(ApiError::CidExists.into());
        }
        let needed = cost(intent.price, intent.quantity);
        if self.btc.saturating_sub(self.frozen()) < needed {
            return Err(ApiError::Other { code: 400, message: "balance not enough".to_owned() }.into());
        }
        if self.conduct == Conduct::Slow && self.chance.random_ratio(1, 12) {
            return Err(ApiError::Other { code: 400, message: "not today".to_owned() }.into());
        }
        let id = 1_000 + self.orders.len() as u64;
        let is_in_the_money = self.asks.first().is_some_and(|ask| ask.price <= intent.price);
        self.orders.insert(id, Entry { intent, completed: Amount::ZERO, status: Status::Active });
        if is_in_the_money {
            self.fill(id);
        }
        Ok(id)
    }

    fn cancel(&mut self, order_id: u64) -> Result<(), CallError> {
        let entry = self.orders.get_mut(&order_id).ok_or(ApiError::OrderIdWrong)?;
        match (entry.status, self.conduct) {
            (Status::Active, Conduct::Prompt) => entry.status = Status::Cancelled,
            (Status::Active, Conduct::Slow) => entry.status = Status::Cancelling,
            (status, _) => return Err(ApiError::CannotCancel { status: format!("{status:?}") }.into()),
        }
        Ok(())
    }

    fn show(&self, order_id: u64) -> Result<Order, CallError> {
        let Entry { intent, completed, status } = self.orders.get(&order_id).ok_or(ApiError::OrderIdWrong)?;
        Ok(Order {
            order_id,
            cid: Some(intent.cid.to_string()),
            side: Side::Buy,
            status: *status,
            price: Some(intent.price),
            quantity: intent.quantity,
            completed: *completed,
            avg_price: (!completed.is_zero()).then_some(intent.price),
            fee: Amount::ZERO,
            created_ms: None,
            completed_ms: None,
        })
    }

    fn page(&self, which: StatusFilter, page: u32) -> Result<Page, CallError> {
        let all: Result<Vec<_>, _> = self.orders.keys().rev().map(|id| self.show(*id)).collect();
        let all: Vec<_> = all?.into_iter().filter(|order| which.has(order.status)).collect();
        let orders = all.chunks(PAGE_ROWS).nth(page as usize - 1).map(<[_]>::to_vec).unwrap_or_default();
        Ok(Page { orders, record_count: all.len() as u64, page_count: all.len().div_ceil(PAGE_ROWS) as u64 })
    }
}

impl Exchange for Venue {
    fn book(&self) -> Reply<'_, Book> {
        // The exchange's own clock is right, whatever the desk's says.
        let now_ms = u64::try_from(self.clock.true_time().timestamp_millis()).unwrap_or_default();
        self.ask(move |state| {
            let bid = Level { price: Price::new(Decimal::new(1, 3)).expect("a price"), volume: lots(500) };
            Ok(Book::new(state.asks.clone(), vec![bid], now_ms))
        })
    }

    fn balances(&self) -> Reply<'_, Balances> {
        self.ask(|state| {
            let sky = Balance { total: Amount::ZERO, frozen: Amount::ZERO };
            Ok(Balances { btc: Balance { total: state.btc, frozen: state.frozen() }, sky })
        })
    }

    fn place<'a>(&'a self, order: &'a OrderIntent) -> Reply<'a, u64> {
        self.leaving.leaves(order.cid.as_str());
        let order = order.clone();
        self.ask(move |state| state.place(order))
    }

    fn order(&self, order_id: u64) -> Reply<'_, Order> {
        self.ask(move |state| state.show(order_id))
    }

    fn orders(&self, which: StatusFilter, page: u32) -> Reply<'_, Page> {
        self.ask(move |state| state.page(which, page))
    }

    fn cancel(&self, order_id: u64) -> Reply<'_, ()> {
        self.ask(move |state| state.cancel(order_id))
    }
}
