//! The orders that are open at the exchange, and whether each belongs to a deposit.
//!
//! An order is a deposit's when its id names one of the log, whatever became of that deposit: the outcome of a request for
//! it may be unknown. The exchange is asked first and the log afterwards, which has every intention before its order can be
//! there. A log that was restored may lack the deposits themselves, so nothing is judged before the blocks are read that
//! were there when the process began. What has ended is not asked for: what it spent is missing from the balances.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use millrace_model::ids::Category;
use millrace_model::purchase::OrderFamily;
use millrace_model::stray::{StrayOrder, Strays};
use millrace_protocols::wire::c2cx::{ApiError, CallError, Order, Side, Status, StatusFilter};

use super::Seen;
use crate::brakes;
use crate::deposits::{Deposits, output_of};
use crate::event_store::ReadError;
use crate::exchange::Exchange;

/// Every status of an order that may yet be filled, in the order in which they follow each other: one that moves on while
/// the exchange is asked is met further down.
const OPEN: [Status; 7] = [
    Status::TriggerPending,
    Status::StopLossPending,
    Status::Pending,
    Status::Suspended,
    Status::Active,
    Status::PartiallyCompleted,
    Status::Cancelling,
];
/// More pages of open orders than this are not read.
const PAGES_MAX: u32 = 100;
/// How many deposits are looked through at once.
const KEYS_MAX: usize = 4_096;
/// For so many orders one halt is stored; for what is beyond, the next.
const ORDERS_MAX: usize = 64;

pub(super) struct Orders {
    deposits: Deposits,
    exchange: Arc<dyn Exchange>,
    /// The families of the orders that are open.
    families: HashMap<OrderFamily, Owner>,
    strays: Strays<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// A deposit in the log.
    Deposit,
    /// No deposit whose stream has this number or a lower one.
    NotUpTo(i64),
}

impl Orders {
    pub(super) fn new(deposits: Deposits, exchange: Arc<dyn Exchange>) -> Self {
        Self { deposits, exchange, families: HashMap::new(), strays: Strays::default() }
    }

    /// Asks the exchange for its open orders and the log for their deposits; why not, in words for a person.
    pub(super) async fn look(&mut self) -> Result<Seen<StrayOrder>, String> {
        if !self.deposits.past().is_known() {
            return Ok(Seen::default());
        }
        let open = self.open().await.map_err(|error| format!("orders of the exchange: {error}"))?;
        let seen = self.judge(open).map_err(|error| error.to_string())?;
        Ok(seen)
    }

    /// All orders that may yet be filled, by the exchange's numbers.
    async fn open(&self) -> Result<BTreeMap<u64, Order>, CallError> {
        let mut open = BTreeMap::new();
        for status in OPEN {
            for page in 1..=PAGES_MAX {
                let answer = match self.exchange.orders(StatusFilter::Only(status), page).await {
                    Err(CallError::Refused(ApiError::NoItems)) => break,
                    answer => answer?,
                };
                let is_last = answer.orders.is_empty() || u64::from(page) >= answer.page_count;
                let orders = answer.orders.into_iter().filter(|order| !order.status.state().is_terminal());
                open.extend(orders.map(|order| (order.order_id, order)));
                if is_last {
                    break;
                }
            }
        }
        Ok(open)
    }

    fn judge(&mut self, open: BTreeMap<u64, Order>) -> Result<Seen<StrayOrder>, ReadError> {
        let families = open.values().filter_map(family);
        self.families =
            families.map(|one| (one, self.families.get(&one).copied().unwrap_or(Owner::NotUpTo(0)))).collect();
        self.look_for_owners()?;
        let is_ours = |order: &Order| family(order).is_some_and(|one| self.families.get(&one) == Some(&Owner::Deposit));
        let strays: Vec<_> = open.into_values().filter(|order| !is_ours(order)).map(stray).collect();
        let mut judged = self.strays.judge(&strays, |order| order.order_id);
        if !judged.is_empty() {
            let (_, desk) = brakes::read_desk(self.deposits.store())?;
            judged.retain(|order| !desk.was_halted_for_order(order.order_id));
            judged.truncate(ORDERS_MAX);
        }
        Ok(Seen { strays, judged })
    }

    /// Looks for the deposits of the families that have none yet, newest first, where it was not looked before.
    fn look_for_owners(&mut self) -> Result<(), ReadError> {
        let reader = self.deposits.store().reader()?;
        let (mut below, mut newest) = (i64::MAX, None);
        while let Some(above) = self.not_up_to() {
            let page = reader.keys_between(Category::Deposit, (above, below), KEYS_MAX)?;
            for (_, key) in &page {
                let family = output_of(key).map(OrderFamily::of_deposit);
                if let Some(owner) = family.and_then(|family| self.families.get_mut(&family)) {
                    *owner = Owner::Deposit;
                }
            }
            newest = newest.or(page.first().map(|(number, _)| *number));
            match page.last() {
                Some((lowest, _)) if page.len() == KEYS_MAX => below = *lowest,
                Some(_) | None => break,
            }
        }
        for owner in self.families.values_mut() {
            if let (Owner::NotUpTo(number), Some(newest)) = (owner, newest) {
                *number = newest;
            }
        }
        Ok(())
    }

    /// Up to where every family without a deposit was looked for; `None` when there is no such family.
    fn not_up_to(&self) -> Option<i64> {
        let numbers = self.families.values().filter_map(|owner| match owner {
            Owner::Deposit => None,
            Owner::NotUpTo(number) => Some(*number),
        });
        numbers.min()
    }
}

/// The deposit that an order may belong to: a desk only buys.
fn family(order: &Order) -> Option<OrderFamily> {
    if order.side == Side::Buy { OrderFamily::of_order(order.cid.as_deref()?) } else { None }
}

fn stray(order: Order) -> StrayOrder {
    let Order { order_id, cid, side, price, quantity, completed, .. } = order;
    let cid = cid.as_deref().map(StrayOrder::shown);
    StrayOrder { order_id, cid, side, price, quantity, completed }
}
