//! Requests, as values that are the same each time they are made from the same arguments.

use millrace_model::purchase::OrderIntent;

use super::order::{Side, Status};
use super::sign::{Credentials, signature};

/// The most orders one page of a listing has.
pub const PAGE_ROWS_MAX: u32 = 100;

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Everything is in the address.
    Get,
    /// The body is a form.
    Post,
}

/// A request, complete but for the exchange's address.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// How it is sent.
    pub method: Method,
    /// The path below the base address, with its query.
    pub path: String,
    /// `application/x-www-form-urlencoded`; empty for [`Method::Get`].
    pub body: String,
}

impl std::fmt::Debug for Request {
    /// Without the body, which holds key and signature.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

/// Which orders a listing shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// All that ever were.
    All,
    /// Those of one status; the exchange is known to mix in others.
    Only(Status),
}

impl StatusFilter {
    /// Whether an order of this status is one of them.
    pub fn has(self, status: Status) -> bool {
        match self {
            Self::All => true,
            Self::Only(wanted) => status == wanted,
        }
    }
}

/// The order book of a market.
pub fn get_order_book(symbol: &str) -> Request {
    get("getorderbook", symbol)
}

/// Last, best and extreme prices of a market.
pub fn get_ticker(symbol: &str) -> Request {
    get("ticker", symbol)
}

/// Balances and what of them is frozen.
pub fn get_balance(credentials: &Credentials) -> Request {
    post("getbalance", credentials, &[])
}

/// A limit order. The same intention always makes the same request.
pub fn create_order(credentials: &Credentials, symbol: &str, side: Side, order: &OrderIntent) -> Request {
    let price = order.price.to_string();
    let quantity = order.quantity.to_decimal().normalize().to_string();
    let parameters = [
        ("symbol", symbol),
        ("price", &price),
        ("quantity", &quantity),
        ("orderType", side.as_str()),
        ("priceTypeId", "limit"),
        ("cid", order.cid.as_str()),
        ("isAdvancedOrder", "0"),
    ];
    post("createorder", credentials, &parameters)
}

/// One order.
pub fn get_order_info(credentials: &Credentials, symbol: &str, order_id: u64) -> Request {
    post("getorderinfo", credentials, &[("symbol", symbol), ("orderId", &order_id.to_string())])
}

/// A page of orders; pages count from 1, with `rows` (at most [`PAGE_ROWS_MAX`]) orders each.
pub fn get_orders_by_status(
    credentials: &Credentials,
    symbol: &str,
    filter: StatusFilter,
    page: u32,
    rows: u32,
) -> Request {
    let status = match filter {
        StatusFilter::All => 0,
        StatusFilter::Only(status) => status.code(),
    };
    let parameters = [
        ("symbol", symbol.to_owned()),
        ("status", status.to_string()),
        ("pageindex", page.max(1).to_string()),
        ("pagesize", rows.clamp(1, PAGE_ROWS_MAX).to_string()),
    ];
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    post("getorderbystatus", credentials, &parameters)
}

/// Asks for an order to be cancelled.
pub fn cancel_order(credentials: &Credentials, order_id: u64) -> Request {
    post("cancelorder", credentials, &[("orderId", &order_id.to_string())])
}

fn get(endpoint: &str, symbol: &str) -> Request {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("symbol", symbol).finish();
    Request { method: Method::Get, path: format!("/v1/{endpoint}?{query}"), body: String::new() }
}

fn post(endpoint: &str, credentials: &Credentials, parameters: &[(&str, &str)]) -> Request {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .append_pair("apiKey", &credentials.key)
        .append_pair("sign", &signature(credentials, parameters))
        .finish();
    Request { method: Method::Post, path: format!("/v1/{endpoint}"), body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_model::purchase::ClientOrderId;

    fn credentials() -> Credentials {
        Credentials { key: "the key".into(), secret: "the secret".into() }
    }

    #[test]
    fn an_order_is_a_signed_form_and_the_same_each_time() {
        let order = OrderIntent {
            attempt: 1,
            cid: ClientOrderId::try_from("abc-1".to_string()).unwrap(),
            price: "0.00189".parse().unwrap(),
            quantity: "32.50".parse().unwrap(),
        };
        let request = create_order(&credentials(), "BTC_SKY", Side::Buy, &order);
        assert_eq!((request.method, request.path.as_str()), (Method::Post, "/v1/createorder"));
        let signed = "apiKey=the key&cid=abc-1&isAdvancedOrder=0&orderType=buy&price=0.00189&priceTypeId=limit\
                      &quantity=32.5&symbol=BTC_SKY&secretKey=the secret";
        let sign = hex::encode_upper(<md5::Md5 as md5::Digest>::digest(signed));
        assert_eq!(
            request.body,
            format!(
                "symbol=BTC_SKY&price=0.00189&quantity=32.5&orderType=buy&priceTypeId=limit&cid=abc-1\
                 &isAdvancedOrder=0&apiKey=the+key&sign={sign}"
            )
        );
        assert_eq!(create_order(&credentials(), "BTC_SKY", Side::Buy, &order), request);
        assert!(!format!("{request:?}").contains("the+key"));
    }

    #[test]
    fn a_listing_asks_for_no_more_rows_than_the_exchange_gives() {
        let request = get_orders_by_status(&credentials(), "BTC_SKY", StatusFilter::All, 0, 1000);
        assert!(request.body.starts_with("symbol=BTC_SKY&status=0&pageindex=1&pagesize=100&apiKey="), "{request:?}");
    }

    #[test]
    fn public_requests_carry_no_key() {
        let request = get_order_book("BTC_SKY");
        let expected = Request { method: Method::Get, path: "/v1/getorderbook?symbol=BTC_SKY".into(), body: "".into() };
        assert_eq!(request, expected);
    }
}
