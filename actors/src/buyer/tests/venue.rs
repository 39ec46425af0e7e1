//! An exchange in memory that keeps books of its own: what it says is wrong on request, what it books is the judge.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use chrono::{DateTime, Utc};
use millrace_model::money::{Amount, Btc, Sky};
use millrace_model::purchase::{OrderIntent, Price};
use millrace_protocols::book::{Book, Level};
use millrace_protocols::wire::c2cx::{ApiError, Balance, Balances, CallError, Order, Page, Side, Status, StatusFilter};

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::exchange::{Exchange, Reply};

const UNKNOWN: CallError = CallError::Unavailable { http_status: 502 };

/// What goes wrong with the next order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    LoseRequest,
    LoseReply,
    Refuse,
    Throttle,
    /// The key is not accepted.
    Unauthorised,
    /// The request hangs on its way and never arrives.
    Hang,
    /// It claims to have the order, and shows it nowhere.
    Pretend,
}

/// What is wrong with the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    AsItIs,
    Empty,
    Stale,
    Crossed,
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub intent: OrderIntent,
    pub completed: Amount<Sky>,
    pub status: Status,
}

pub struct World {
    pub btc: Amount<Btc>,
    pub asks: Vec<Level>,
    pub shown: Shown,
    /// Orders are filled up to this and no further.
    pub fill_max: Option<Amount<Sky>>,
    pub faults: VecDeque<Fault>,
    /// Every request for an order, in the order of arrival, lost ones too.
    pub requests: Vec<OrderIntent>,
    pub orders: BTreeMap<u64, Entry>,
    /// Orders beyond what the account had.
    pub unfunded: u32,
    /// Used ids that came with another order than the first time.
    pub misused_cids: u32,
    pub readings: u32,
}

pub struct Venue {
    world: Mutex<World>,
    clock: Box<dyn Clock>,
    /// Rung at every request for an order.
    pub requested: Notify,
}

impl Venue {
    pub fn new(btc: &str, asks: &[(&str, &str)], clock: Box<dyn Clock>) -> Self {
        let world = World {
            btc: btc.parse().unwrap(),
            asks: levels(asks),
            shown: Shown::AsItIs,
            fill_max: None,
            faults: VecDeque::new(),
            requests: Vec::new(),
            orders: BTreeMap::new(),
            unfunded: 0,
            misused_cids: 0,
            readings: 0,
        };
        Self { world: Mutex::new(world), clock, requested: Notify::new() }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

pub fn levels(levels: &[(&str, &str)]) -> Vec<Level> {
    let level =
        |(price, volume): &(&str, &str)| Level { price: price.parse().unwrap(), volume: volume.parse().unwrap() };
    levels.iter().map(level).collect()
}

fn cost(price: Price, quantity: Amount<Sky>) -> Amount<Btc> {
    price.cost_rounded_up(quantity).unwrap()
}

impl World {
    fn frozen(&self) -> Amount<Btc> {
        let open = self.orders.values().filter(|order| order.status == Status::Active);
        let rest =
            |order: &Entry| cost(order.intent.price, order.intent.quantity.checked_sub(order.completed).unwrap());
        Amount::checked_sum(open.map(rest)).unwrap()
    }

    /// What was bought under ids that begin like this.
    pub fn bought(&self, cid_start: &str) -> Amount<Sky> {
        let ours = self.orders.values().filter(|order| order.intent.cid.as_str().starts_with(cid_start));
        Amount::checked_sum(ours.map(|order| order.completed)).unwrap()
    }

    fn take(&mut self, intent: &OrderIntent) -> Result<u64, CallError> {
        if let Some(known) = self.orders.values().find(|order| order.intent.cid == intent.cid) {
            self.misused_cids += u32::from(known.intent != *intent);
            return Err(ApiError::CidExists.into());
        }
        if cost(intent.price, intent.quantity) > self.btc.checked_sub(self.frozen()).unwrap() {
            self.unfunded += 1;
        }
        let mut wanted = self.fill_max.unwrap_or(intent.quantity).min(intent.quantity);
        let mut completed = Amount::ZERO;
        for level in self.asks.iter_mut().filter(|level| level.price <= intent.price) {
            let part = level.volume.min(wanted);
            level.volume = level.volume.checked_sub(part).unwrap();
            wanted = wanted.checked_sub(part).unwrap();
            completed = part.checked_add(completed).unwrap();
        }
        // At the limit, whatever the level: it makes the sums easy to follow.
        self.btc = self.btc.checked_sub(cost(intent.price, completed)).unwrap();
        let status = if completed == intent.quantity { Status::Completed } else { Status::Active };
        let id = 1_000 + self.orders.len() as u64;
        self.orders.insert(id, Entry { intent: intent.clone(), completed, status });
        Ok(id)
    }

    fn show(&self, id: u64) -> Order {
        let entry = &self.orders[&id];
        Order {
            order_id: id,
            cid: Some(entry.intent.cid.to_string()),
            side: Side::Buy,
            status: entry.status,
            price: Some(entry.intent.price),
            quantity: entry.intent.quantity,
            completed: entry.completed,
            avg_price: (!entry.completed.is_zero()).then_some(entry.intent.price),
            fee: Amount::ZERO,
            created_ms: None,
            completed_ms: None,
        }
    }

    fn book(&self, now: DateTime<Utc>) -> Book {
        let now_ms = u64::try_from(now.timestamp_millis()).unwrap();
        let bid = |price: &str| levels(&[(price, "5")]);
        match self.shown {
            Shown::AsItIs => Book::new(self.asks.clone(), bid("0.001"), now_ms),
            Shown::Empty => Book::new(Vec::new(), bid("0.001"), now_ms),
            Shown::Stale => Book::new(self.asks.clone(), bid("0.001"), now_ms - 3_600_000),
            Shown::Crossed => Book::new(self.asks.clone(), bid("1"), now_ms),
        }
    }
}

/// The way of a request to the exchange, or of its answer back.
async fn way() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

impl Exchange for Venue {
    fn book(&self) -> Reply<'_, Book> {
        Box::pin(async {
            way().await;
            self.world().readings += 1;
            let book = self.world().book(self.clock.now());
            way().await;
            Ok(book)
        })
    }

    fn balances(&self) -> Reply<'_, Balances> {
        Box::pin(async {
            way().await;
            let btc = { Balance { total: self.world().btc, frozen: Amount::ZERO } };
            let frozen = self.world().frozen();
            way().await;
            let sky = Balance { total: Amount::ZERO, frozen: Amount::ZERO };
            Ok(Balances { btc: Balance { frozen, ..btc }, sky })
        })
    }

    fn place<'a>(&'a self, order: &'a OrderIntent) -> Reply<'a, u64> {
        Box::pin(async {
            way().await;
            let fault = {
                let mut world = self.world();
                world.requests.push(order.clone());
                self.requested.notify_one();
                world.faults.pop_front()
            };
            match fault {
                None => {
                    let taken = self.world().take(order);
                    way().await;
                    taken
                }
                Some(Fault::LoseRequest) => Err(UNKNOWN),
                Some(Fault::LoseReply) => {
                    let _ = self.world().take(order);
                    Err(UNKNOWN)
                }
                Some(Fault::Refuse) => Err(ApiError::Other { code: 400, message: "not today".to_owned() }.into()),
                Some(Fault::Throttle) => Err(ApiError::TooManyRequests.into()),
                Some(Fault::Unauthorised) => {
                    Err(ApiError::NotAuthorised { message: "sign is wrong".to_owned() }.into())
                }
                Some(Fault::Hang) => pending().await,
                Some(Fault::Pretend) => Err(ApiError::CidExists.into()),
            }
        })
    }

    fn order(&self, order_id: u64) -> Reply<'_, Order> {
        Box::pin(async move {
            way().await;
            Ok(self.world().show(order_id))
        })
    }

    fn orders(&self, which: StatusFilter, page: u32) -> Reply<'_, Page> {
        Box::pin(async move {
            way().await;
            let world = self.world();
            let all: Vec<_> =
                world.orders.keys().map(|id| world.show(*id)).filter(|order| which.has(order.status)).collect();
            let orders = all.chunks(2).nth(page as usize - 1).map(<[_]>::to_vec).unwrap_or_default();
            Ok(Page { orders, record_count: all.len() as u64, page_count: all.len().div_ceil(2) as u64 })
        })
    }

    fn cancel(&self, order_id: u64) -> Reply<'_, ()> {
        Box::pin(async move {
            way().await;
            let mut world = self.world();
            let entry = world.orders.get_mut(&order_id).unwrap();
            if entry.status == Status::Active {
                entry.status = Status::Cancelled;
            }
            Ok(())
        })
    }
}
