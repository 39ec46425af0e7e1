//! From the exchange's answers to what the purchase machine asks: what happened, and what is merely not known.

use super::answer::Page;
use super::envelope::{ApiError, CallError};
use super::order::Order;
use crate::purchase::{CancelReply, Failure, ListingReply, PlaceReply, ReadReply, VenueOrder};

impl From<Order> for VenueOrder {
    fn from(order: Order) -> Self {
        Self {
            order_id: order.order_id,
            price: order.price,
            quantity: order.quantity,
            seen: order.observation(),
            cid: order.cid,
        }
    }
}

/// What the answer to `createorder` says of the order.
pub fn place_reply(result: Result<u64, CallError>) -> PlaceReply {
    match result {
        Ok(order_id) => PlaceReply::Placed { order_id },
        Err(CallError::Refused(ApiError::CidExists)) => PlaceReply::CidExists,
        Err(CallError::Refused(error @ ApiError::LimitValue { .. })) => {
            PlaceReply::TooSmall { reason: error.to_string() }
        }
        Err(error) => match failure(&error) {
            Some(failure) => PlaceReply::Failed(failure),
            None => PlaceReply::Refused { reason: error.to_string() },
        },
    }
}

/// What the answer to `getorderinfo` says of the order.
pub fn read_reply(result: Result<Order, CallError>) -> ReadReply {
    match result {
        Ok(order) => ReadReply::Order(order.into()),
        Err(CallError::Refused(ApiError::OrderIdWrong | ApiError::NoItems)) => ReadReply::NoSuchOrder,
        Err(error) => ReadReply::Failed(failure(&error).unwrap_or(Failure::Unavailable)),
    }
}

/// What the answer to `cancelorder` says.
pub fn cancel_reply(result: Result<(), CallError>) -> CancelReply {
    match result {
        Ok(()) => CancelReply::Accepted,
        Err(error) => failure(&error).map_or(CancelReply::Refused, CancelReply::Failed),
    }
}

/// What page `page` (from 1) of `getorderbystatus` says.
pub fn listing_reply(page: u32, result: Result<Page, CallError>) -> ListingReply {
    match result {
        Ok(answer) => {
            let last = answer.orders.is_empty() || u64::from(page) >= answer.page_count;
            let orders = answer.orders.into_iter().map(Into::into).collect();
            if last { ListingReply::LastPage(orders) } else { ListingReply::Page(orders) }
        }
        Err(CallError::Refused(ApiError::NoItems)) => ListingReply::LastPage(Vec::new()),
        Err(error) => ListingReply::Failed(failure(&error).unwrap_or(Failure::Unavailable)),
    }
}

/// Failures that say nothing about the order; `None` for a refusal that does.
fn failure(error: &CallError) -> Option<Failure> {
    match error {
        CallError::Unavailable { .. } | CallError::Malformed(_) => Some(Failure::Unavailable),
        CallError::Refused(ApiError::TooManyRequests) => Some(Failure::Throttled),
        CallError::Refused(ApiError::NotAuthorised { .. }) => Some(Failure::NotAuthorised),
        CallError::Refused(
            ApiError::CidExists
            | ApiError::LimitValue { .. }
            | ApiError::SymbolUnknown
            | ApiError::OrderIdWrong
            | ApiError::CannotCancel { .. }
            | ApiError::NoItems,
        ) => None,
        // a code of the 500s, though HTTP says 200, is the exchange's own trouble: it may have acted before it had it
        CallError::Refused(ApiError::Other { code, .. }) => (*code >= 500).then_some(Failure::Unavailable),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{page, placed};
    use super::*;

    fn place(http_status: u16, body: &str) -> PlaceReply {
        place_reply(placed(http_status, body.as_bytes()))
    }

    /// X1: a 502, a 500 inside of a 200 and nonsense are unknown outcomes.
    #[test]
    fn only_the_exchanges_own_refusal_is_a_refusal() {
        let unknown = PlaceReply::Failed(Failure::Unavailable);
        assert_eq!(place(502, "<html>"), unknown);
        assert_eq!(place(200, r#"{"code":200,"message":"success","data":{"orderId":"soon"}}"#), unknown);
        assert_eq!(place(200, r#"{"code":500,"message":"system busy","data":{}}"#), unknown);
        assert_eq!(place(200, r#"{"code":400,"message":"Too Many Requests"}"#), PlaceReply::Failed(Failure::Throttled));
        assert_eq!(place(200, r#"{"code":401,"message":"sign"}"#), PlaceReply::Failed(Failure::NotAuthorised));
        let refused = PlaceReply::Refused { reason: "the exchange has no such market".into() };
        assert_eq!(place(200, r#"{"code":400,"message":"symbol not exists"}"#), refused);
    }

    #[test]
    fn a_listing_ends_with_its_last_page() {
        let answer = |pages: u32| {
            let body = format!(r#"{{"code":200,"data":{{"rows":[],"recordcount":0,"pagecount":{pages}}}}}"#);
            page(200, body.as_bytes())
        };
        assert_eq!(listing_reply(1, answer(1)), ListingReply::LastPage(vec![]));
        let none = Err(CallError::Refused(ApiError::NoItems));
        assert_eq!(listing_reply(1, none), ListingReply::LastPage(vec![]));
    }
}
