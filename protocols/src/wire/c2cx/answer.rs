//! Answers, from HTTP status and body to values. Every decoder names the field that makes no sense.

use millrace_model::money::{Amount, Btc, Coin, Sky};
use millrace_model::purchase::Price;

use crate::book::{Book, Level};

use super::envelope::{CallError, open};
use super::fields::{DecodeError, Object, Value};
use super::order::Order;

/// What an account has of one coin. Rounded so that [`Balance::available`] is never too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance<C: Coin> {
    /// Everything, frozen or not.
    pub total: Amount<C>,
    /// What open orders and the exchange itself hold back.
    pub frozen: Amount<C>,
}

impl<C: Coin> Balance<C> {
    /// What can be spent.
    pub fn available(self) -> Amount<C> {
        self.total.saturating_sub(self.frozen)
    }
}

/// What an account has of both coins of the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balances {
    /// Bitcoin.
    pub btc: Balance<Btc>,
    /// Skycoin.
    pub sky: Balance<Sky>,
}

/// A market at a glance. Prices are absent where nobody offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticker {
    /// The exchange's time, Unix milliseconds.
    pub timestamp_ms: u64,
    /// The last trade.
    pub last: Option<Price>,
    /// The dearest bid.
    pub buy: Option<Price>,
    /// The cheapest ask.
    pub sell: Option<Price>,
    /// The dearest trade of the day.
    pub high: Option<Price>,
    /// The cheapest trade of the day.
    pub low: Option<Price>,
    /// What changed hands that day.
    pub volume: Amount<Sky>,
}

/// One page of a listing of orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its orders.
    pub orders: Vec<Order>,
    /// How many orders all pages have.
    pub record_count: u64,
    /// How many pages there are.
    pub page_count: u64,
}

/// The answer to `getorderbook`.
pub fn book(http_status: u16, body: &[u8]) -> Result<Book, CallError> {
    let data = open(http_status, body)?.object()?;
    let (asks, bids) = (levels(&data, "asks")?, levels(&data, "bids")?);
    Ok(Book::new(asks, bids, timestamp_ms(&data)?))
}

/// The answer to `ticker`.
pub fn ticker(http_status: u16, body: &[u8]) -> Result<Ticker, CallError> {
    let data = open(http_status, body)?.object()?;
    let price = |name| data.get(name)?.price();
    Ok(Ticker {
        timestamp_ms: timestamp_ms(&data)?,
        last: price("last")?,
        buy: price("buy")?,
        sell: price("sell")?,
        high: price("high")?,
        low: price("low")?,
        volume: data.get("volume")?.amount_floor()?,
    })
}

/// The answer to `getbalance`. A coin the exchange does not list is one we have nothing of.
pub fn balances(http_status: u16, body: &[u8]) -> Result<Balances, CallError> {
    let data = open(http_status, body)?.object()?;
    let (total, frozen) = (data.get("balance")?.object()?, data.get("frozen")?.object()?);
    Ok(Balances { btc: balance(&total, &frozen, "btc")?, sky: balance(&total, &frozen, "sky")? })
}

/// The answer to `createorder`: the exchange's number for the order.
pub fn placed(http_status: u16, body: &[u8]) -> Result<u64, CallError> {
    let order_id = open(http_status, body)?.object()?.get("orderId")?;
    match order_id.unsigned()? {
        0 => Err(order_id.wrong("zero").into()),
        order_id => Ok(order_id),
    }
}

/// The answer to `getorderinfo` about one order. The exchange is known to wrap it in a list.
pub fn order(http_status: u16, body: &[u8]) -> Result<Order, CallError> {
    let data = open(http_status, body)?;
    if data.is_object() {
        return Ok(Order::decode(&data)?);
    }
    match data.list()?.as_slice() {
        [one] => Ok(Order::decode(one)?),
        _ => Err(data.wrong("not one order").into()),
    }
}

/// The answer to `getorderinfo` about all orders.
pub fn orders(http_status: u16, body: &[u8]) -> Result<Vec<Order>, CallError> {
    Ok(open(http_status, body)?.list()?.iter().map(Order::decode).collect::<Result<_, _>>()?)
}

/// The answer to `getorderbystatus`.
pub fn page(http_status: u16, body: &[u8]) -> Result<Page, CallError> {
    let data = open(http_status, body)?.object()?;
    let rows = data.get("rows")?;
    let rows = if rows.is_null() { Vec::new() } else { rows.list()? };
    Ok(Page {
        orders: rows.iter().map(Order::decode).collect::<Result<_, _>>()?,
        record_count: data.get("recordcount")?.unsigned()?,
        page_count: data.get("pagecount")?.unsigned()?,
    })
}

/// The answer to `cancelorder`: that the exchange will try.
pub fn done(http_status: u16, body: &[u8]) -> Result<(), CallError> {
    open(http_status, body).map(drop)
}

fn timestamp_ms(data: &Object<'_>) -> Result<u64, DecodeError> {
    let timestamp = data.get("timestamp")?;
    timestamp.unsigned()?.checked_mul(1000).ok_or_else(|| timestamp.wrong("too large"))
}

fn levels(data: &Object<'_>, side: &str) -> Result<Vec<Level>, DecodeError> {
    data.get(side)?.list()?.iter().map(level).collect()
}

fn level(value: &Value<'_>) -> Result<Level, DecodeError> {
    match value.list()?.as_slice() {
        [price, volume] => Ok(Level {
            price: price.price()?.ok_or_else(|| price.wrong("not a price"))?,
            volume: volume.amount_floor()?,
        }),
        _ => Err(value.wrong("not a price and a volume")),
    }
}

fn balance<C: Coin>(total: &Object<'_>, frozen: &Object<'_>, coin: &str) -> Result<Balance<C>, DecodeError> {
    Ok(Balance {
        total: field(total, coin).map(|value| value.amount_floor()).transpose()?.unwrap_or_default(),
        frozen: field(frozen, coin).map(|value| value.amount_ceil()).transpose()?.unwrap_or_default(),
    })
}

fn field<'a>(object: &Object<'a>, coin: &str) -> Option<Value<'a>> {
    object.iter().find(|(name, _)| name.eq_ignore_ascii_case(coin)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::super::order::{Side, Status};
    use super::*;
    use millrace_model::purchase::OrderState;
    use proptest::prelude::*;

    fn success(data: &str) -> Vec<u8> {
        format!(r#"{{"code":200,"message":"success","data":{data}}}"#).into_bytes()
    }

    fn offending<T: std::fmt::Debug>(result: Result<T, CallError>) -> String {
        match result {
            Err(CallError::Malformed(error)) => error.field,
            other => panic!("{other:?}"),
        }
    }

    const ORDER: &str = r#"{"amount":"32.43","avgPrice":0.00189,"completedAmount":"32.43","fee":1.1e-7,
        "createDate":1517131098000,"updateDate":1517131098000,"completeDate":1517131099000,"orderId":43060,
        "price":0.0019,"status":4,"type":"buy","trigger":null,"cid":"abc-1","source":"api"}"#;

    #[test]
    fn a_book_is_read_exactly() {
        let body =
            success(r#"{"timestamp":"1517131098","bids":[[0.00188,5]],"asks":[["0.0019","1.50"],[0.00189,0.29]]}"#);
        let book = book(200, &body).unwrap();
        assert_eq!(book.timestamp_ms(), 1_517_131_098_000);
        let ask = book.cheapest_ask().unwrap();
        assert_eq!((ask.price.to_string().as_str(), ask.volume), ("0.00189", "0.29".parse().unwrap()));
    }

    #[test]
    fn a_book_that_makes_no_sense_is_refused_by_the_name_of_the_field() {
        for (data, field) in [
            (r#"{"bids":[],"asks":[]}"#, "data.timestamp"),
            (r#"{"timestamp":"x","bids":[],"asks":[]}"#, "data.timestamp"),
            (r#"{"timestamp":"1","bids":[],"asks":[[1,2],[0,2]]}"#, "data.asks[1][0]"),
            (r#"{"timestamp":"1","bids":[],"asks":[[1]]}"#, "data.asks[0]"),
            (r#"{"timestamp":"1","bids":[[1,-2]],"asks":[]}"#, "data.bids[0][1]"),
            (r#"{"timestamp":"1","bids":{},"asks":[]}"#, "data.bids"),
        ] {
            let expected = field.replacen("data", "answer.data", 1);
            assert_eq!(offending(book(200, &success(data))), expected);
        }
    }

    #[test]
    fn a_balance_is_rounded_so_that_no_more_than_there_is_is_available() {
        let data = r#"{"balance":{"btc":0.300000000000000044,"sky":"2.5","total":1},"frozen":{"btc":0.1000000001}}"#;
        let balances = balances(200, &success(data)).unwrap();
        assert_eq!(balances.btc.available(), "0.19999999".parse().unwrap());
        assert_eq!(balances.sky.available(), "2.5".parse().unwrap());
    }

    #[test]
    fn an_order_is_read_exactly_alone_or_in_a_list() {
        let alone = order(200, &success(ORDER)).unwrap();
        assert_eq!(order(200, &success(&format!("[{ORDER}]"))).unwrap(), alone);
        assert_eq!((alone.order_id, alone.side, alone.status), (43060, Side::Buy, Status::Completed));
        assert_eq!(alone.cid.as_deref(), Some("abc-1"));
        let seen = alone.observation();
        assert_eq!((seen.completed, seen.fee.units()), ("32.43".parse().unwrap(), 11));
        assert_eq!((seen.avg_price.unwrap().to_string().as_str(), seen.state), ("0.00189", OrderState::Filled));
    }

    #[test]
    fn an_order_before_its_first_fill_has_no_average() {
        let fresh =
            ORDER.replace(r#""avgPrice":0.00189"#, r#""avgPrice":null"#).replace(r#""cid":"abc-1""#, r#""cid":null"#);
        let order = order(200, &success(&fresh)).unwrap();
        assert_eq!((order.avg_price, order.cid), (None, None));
    }

    #[test]
    fn an_order_that_makes_no_sense_is_refused_by_the_name_of_the_field() {
        for (from, to, field) in [
            (r#""orderId":43060"#, r#""orderId":-1"#, "orderId"),
            (r#""status":4"#, r#""status":"soon""#, "status"),
            (r#""type":"buy""#, r#""type":"gift""#, "type"),
            (r#""completedAmount":"32.43""#, r#""completedAmount":"lots""#, "completedAmount"),
            (r#""price":0.0019,"#, "", "price"),
        ] {
            let broken = ORDER.replace(from, to);
            assert_eq!(offending(order(200, &success(&broken))), format!("answer.data.{field}"));
        }
    }

    #[test]
    fn an_undocumented_status_is_never_an_end() {
        let odd = order(200, &success(&ORDER.replace(r#""status":4"#, r#""status":10"#))).unwrap();
        assert_eq!(odd.status, Status::Unrecognised(10));
        assert!(!odd.observation().state.is_terminal());
    }

    #[test]
    fn a_page_may_lack_what_nobody_needs() {
        let data = format!(r#"{{"rows":[{ORDER}],"pageindex":null,"pagesize":null,"recordcount":201,"pagecount":3}}"#);
        let page = page(200, &success(&data)).unwrap();
        assert_eq!((page.orders.len(), page.record_count, page.page_count), (1, 201, 3));
        assert_eq!(offending(super::page(200, &success(r#"{"rows":[]}"#))), "answer.data.recordcount");
    }

    #[test]
    fn an_order_number_of_zero_is_none() {
        assert_eq!(placed(200, &success(r#"{"orderId":43060}"#)).unwrap(), 43060);
        assert_eq!(offending(placed(200, &success(r#"{"orderId":0}"#))), "answer.data.orderId");
        assert_eq!(offending(placed(200, &success("{}"))), "answer.data.orderId");
    }

    proptest! {
        #[test]
        fn no_answer_makes_a_decoder_panic(body in prop::collection::vec(any::<u8>(), 0..200), data in ".{0,100}") {
            for body in [body, success(&data)] {
                let _ = book(200, &body);
                let _ = ticker(200, &body);
                let _ = balances(200, &body);
                let _ = order(200, &body);
                let _ = page(200, &body);
                let _ = placed(200, &body);
            }
        }
    }
}
