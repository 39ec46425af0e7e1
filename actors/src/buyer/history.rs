//! All orders that the exchange ever had, read once in a process: what purchases were begun with in a life of the desk that
//! its log has forgotten.

use std::collections::HashMap;

use millrace_model::ids::Outpoint;
use millrace_model::purchase::ClientOrderId;
use millrace_protocols::purchase::{ListingReply, VenueOrder};
use millrace_protocols::wire::c2cx;
use tokio::sync::OnceCell;

use crate::exchange::Exchange;

/// More pages than this are not read. An order beyond them is found out when its id is taken, and holds its purchase.
const PAGES_MAX: u32 = 10_000;

/// The orders, by what all ids of one deposit begin with.
#[derive(Debug, Default)]
pub(super) struct History(OnceCell<HashMap<String, Vec<VenueOrder>>>);

/// It could not be read to its end; the next who asks reads it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unread;

impl History {
    /// The orders of one deposit.
    pub(super) async fn of(&self, deposit: Outpoint, exchange: &dyn Exchange) -> Result<Vec<VenueOrder>, Unread> {
        let all = self.0.get_or_try_init(|| read(exchange)).await?;
        let id = ClientOrderId::for_attempt(deposit, 1);
        Ok(common_part(id.as_str()).and_then(|part| all.get(part)).cloned().unwrap_or_default())
    }
}

async fn read(exchange: &dyn Exchange) -> Result<HashMap<String, Vec<VenueOrder>>, Unread> {
    let mut all: HashMap<String, Vec<VenueOrder>> = HashMap::new();
    for page in 1..=PAGES_MAX {
        let (orders, is_last) = match c2cx::listing_reply(page, exchange.orders(page).await) {
            ListingReply::Page(orders) => (orders, false),
            ListingReply::LastPage(orders) => (orders, true),
            ListingReply::Failed(_) => return Err(Unread),
        };
        for order in orders {
            if let Some(part) = order.cid.as_deref().and_then(common_part) {
                all.entry(part.to_owned()).or_default().push(order);
            }
        }
        if is_last {
            break;
        }
    }
    Ok(all)
}

fn common_part(cid: &str) -> Option<&str> {
    Some(cid.rsplit_once('-')?.0)
}
