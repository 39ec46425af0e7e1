//! All orders that the exchange ever had, read once in a process: what purchases were begun with in a life of the desk that
//! its log has forgotten.

use std::collections::HashMap;

use millrace_model::ids::Outpoint;
use millrace_model::purchase::OrderFamily;
use millrace_protocols::purchase::{ListingReply, VenueOrder};
use millrace_protocols::wire::c2cx::{self, StatusFilter};
use tokio::sync::OnceCell;

use crate::exchange::Exchange;

/// More pages than this are not read. An order beyond them is found out when its id is taken, and holds its purchase.
const PAGES_MAX: u32 = 10_000;

/// The orders, by whose they are.
#[derive(Debug, Default)]
pub(super) struct History(OnceCell<HashMap<OrderFamily, Vec<VenueOrder>>>);

/// It could not be read to its end; the next who asks reads it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unread;

impl History {
    /// The orders of one deposit.
    pub(super) async fn of(&self, deposit: Outpoint, exchange: &dyn Exchange) -> Result<Vec<VenueOrder>, Unread> {
        let all = self.0.get_or_try_init(|| read(exchange)).await?;
        Ok(all.get(&OrderFamily::of_deposit(deposit)).cloned().unwrap_or_default())
    }
}

async fn read(exchange: &dyn Exchange) -> Result<HashMap<OrderFamily, Vec<VenueOrder>>, Unread> {
    let mut all: HashMap<OrderFamily, Vec<VenueOrder>> = HashMap::new();
    for page in 1..=PAGES_MAX {
        let (orders, is_last) = match c2cx::listing_reply(page, exchange.orders(StatusFilter::All, page).await) {
            ListingReply::Page(orders) => (orders, false),
            ListingReply::LastPage(orders) => (orders, true),
            ListingReply::Failed(_) => return Err(Unread),
        };
        for order in orders {
            if let Some(family) = order.cid.as_deref().and_then(OrderFamily::of_order) {
                all.entry(family).or_default().push(order);
            }
        }
        if is_last {
            break;
        }
    }
    Ok(all)
}
