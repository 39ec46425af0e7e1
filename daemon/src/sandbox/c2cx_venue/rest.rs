//! The exchange's HTTP face. Every answer has status 200 and an envelope; paths are taken in any case.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use millrace_protocols::wire::c2cx::{BTC_SKY, Credentials, PAGE_ROWS_MAX, Side, Status, signature};

use super::account::Pricing;
use super::engine::{Lots, Steps};
use super::exchange::{NewOrder, Refusal};
use super::json::{self, Writing};
use super::{Inner, Venue, WireFault};
use crate::sandbox::clock;

/// The largest request, in bytes.
const REQUEST_MAX_BYTES: usize = 64 * 1024;

/// What a proxy shows while the exchange is away.
const BAD_GATEWAY: &str = "<html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>";

/// The exchange's endpoints, below `/v1/`.
pub fn router(venue: Arc<Venue>) -> Router {
    Router::new().route("/v1/{endpoint}", any(serve)).layer(DefaultBodyLimit::max(REQUEST_MAX_BYTES)).with_state(venue)
}

/// A request, with its parameters in the order in which they came.
struct Call {
    endpoint: String,
    method: Method,
    parameters: Vec<(String, String)>,
    now_ms: u64,
}

impl Call {
    fn find(&self, name: &str) -> Option<&str> {
        let parameter = self.parameters.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        parameter.map(|(_, value)| value.as_str())
    }

    fn get(&self, name: &str) -> Result<&str, Refusal> {
        self.find(name).ok_or_else(|| Refusal::new(format!("{name} is required")))
    }
}

async fn serve(
    State(venue): State<Arc<Venue>>,
    Path(endpoint): Path<String>,
    method: Method,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let form = if method == Method::POST { &body[..] } else { query.as_deref().unwrap_or_default().as_bytes() };
    let parameters = form_urlencoded::parse(form).into_owned().collect();
    let call = Call { endpoint: endpoint.to_ascii_lowercase(), method, parameters, now_ms: clock::now_ms() };
    match venue.answer(&call) {
        Some(body) => ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response(),
        None => (StatusCode::BAD_GATEWAY, [(header::CONTENT_TYPE, "text/html")], BAD_GATEWAY).into_response(),
    }
}

impl Venue {
    /// The answer's body; `None` when there is none of the exchange's own.
    fn answer(&self, call: &Call) -> Option<String> {
        let mut inner = self.lock();
        let fault = inner.wire_faults.befall(&call.endpoint);
        match fault {
            Some(WireFault::Throttled) => return Some(json::refusal(&Refusal::new("Too Many Requests"))),
            Some(WireFault::Unavailable) => return None,
            Some(WireFault::ReplyLost) | None => {}
        }
        inner.exchange.advance(call.now_ms);
        let result = inner.dispatch(call, &self.credentials);
        // what changed is on disk before anybody hears of it
        if inner.write().is_err() || fault.is_some() {
            return None;
        }
        Some(match result {
            Ok(data) => json::success(&data),
            Err(refusal) => json::refusal(&refusal),
        })
    }
}

impl Inner {
    fn dispatch(&mut self, call: &Call, credentials: &Credentials) -> Result<String, Refusal> {
        match (call.endpoint.as_str(), &call.method) {
            ("getorderbook", &Method::GET) => self.order_book(call),
            ("ticker", &Method::GET) => self.ticker(call),
            ("getbalance" | "createorder" | "getorderinfo" | "getorderbystatus" | "cancelorder", &Method::POST) => {
                authorise(call, credentials)?;
                match call.endpoint.as_str() {
                    "getbalance" => Ok(json::balances(self.exchange.account.desk, self.exchange.frozen())),
                    "createorder" => self.create_order(call),
                    "getorderinfo" => self.order_info(call),
                    "getorderbystatus" => self.orders_by_status(call),
                    _ => self.cancel_order(call),
                }
            }
            _ => Err(Refusal { code: 404, message: "no such method".into() }),
        }
    }

    fn order_book(&self, call: &Call) -> Result<String, Refusal> {
        check_symbol(call)?;
        Ok(json::book(&self.exchange.book(call.now_ms)))
    }

    fn ticker(&self, call: &Call) -> Result<String, Refusal> {
        check_symbol(call)?;
        Ok(json::ticker(self.exchange.trades(), self.exchange.best(), call.now_ms))
    }

    fn create_order(&mut self, call: &Call) -> Result<String, Refusal> {
        check_symbol(call)?;
        let order = new_order(call)?;
        let created = self.exchange.create(order, call.now_ms);
        if created.as_ref().is_err_and(|refusal| refusal.message.starts_with("cid already exists")) {
            self.repeats += 1;
        }
        created.map(json::placed)
    }

    fn order_info(&self, call: &Call) -> Result<String, Refusal> {
        check_symbol(call)?;
        let wrong = || Refusal::new("orderId is wrong");
        let orders = &self.exchange.account.orders;
        match call.get("orderId")? {
            "-1" if orders.is_empty() => Err(Refusal::new("There is no items")),
            "-1" => {
                let rows: Vec<_> = orders.iter().rev().take(1_000).map(|row| json::order(row, Writing::Text)).collect();
                Ok(format!("[{}]", rows.join(",")))
            }
            number => {
                let order = self.exchange.account.order(number.parse().map_err(|_| wrong())?).ok_or_else(wrong)?;
                Ok(json::order(order, Writing::Text))
            }
        }
    }

    fn orders_by_status(&self, call: &Call) -> Result<String, Refusal> {
        check_symbol(call)?;
        let number = |name: &str, otherwise: usize| match call.find(name) {
            None => Ok(otherwise),
            Some(text) => text.parse::<usize>().map_err(|_| Refusal::new(format!("{name} is wrong"))),
        };
        let rows = number("pagesize", 20)?.clamp(1, PAGE_ROWS_MAX as usize);
        let only = match number("status", 0)? {
            0 => None,
            code => Some(Status::from_code(code as i64)),
        };
        Ok(json::page(&self.exchange.account.orders, only, number("pageindex", 1)?.max(1), rows))
    }

    fn cancel_order(&mut self, call: &Call) -> Result<String, Refusal> {
        let order_id = call.get("orderId")?.parse().map_err(|_| Refusal::new("orderId is wrong"))?;
        self.exchange.cancel(order_id, call.now_ms)?;
        Ok("{}".into())
    }
}

fn check_symbol(call: &Call) -> Result<(), Refusal> {
    match call.find("symbol") {
        Some(BTC_SKY) => Ok(()),
        Some(_) => Err(Refusal::new("symbol not exists")),
        None => Err(Refusal::new("symbol does not exist")),
    }
}

/// Key and signature; what else is in the form is signed, but for the signature itself.
fn authorise(call: &Call, credentials: &Credentials) -> Result<(), Refusal> {
    let signed: Vec<_> =
        call.parameters.iter().filter(|(name, _)| name != "apiKey" && name != "sign").cloned().collect();
    let wrong = |message: &str| Refusal { code: 401, message: message.into() };
    if call.find("apiKey") != Some(&credentials.key) {
        return Err(wrong("apiKey is wrong"));
    }
    if call.find("sign") != Some(&signature(credentials, &signed)) {
        return Err(wrong("sign is wrong"));
    }
    Ok(())
}

fn new_order(call: &Call) -> Result<NewOrder, Refusal> {
    let number = |name: &str, scale: usize| {
        json::parse_fixed(call.get(name)?, scale).ok_or_else(|| Refusal::new(format!("{name} is wrong")))
    };
    let side = json::parse_side(call.get("orderType")?)?;
    let pricing = match (call.get("priceTypeId")?, side) {
        ("limit", _) => Pricing::Limit(Steps(number("price", 5)?)),
        ("market", Side::Buy) => Pricing::Market(number("price", 8)?),
        ("market", Side::Sell) => Pricing::Market(0),
        _ => return Err(Refusal::new("priceTypeId is wrong")),
    };
    let cid = call.find("cid").filter(|cid| !cid.is_empty());
    if cid.is_some_and(|cid| cid.len() > 64) {
        return Err(Refusal::new("cid is wrong"));
    }
    if call.find("isAdvancedOrder").is_some_and(|advanced| advanced != "0") {
        return Err(Refusal::new("advanced orders are not supported"));
    }
    let lots = match (pricing, side) {
        (Pricing::Market(_), Side::Buy) => Lots::ZERO,
        (Pricing::Limit(_), Side::Buy | Side::Sell) | (Pricing::Market(_), Side::Sell) => Lots(number("quantity", 2)?),
    };
    Ok(NewOrder { side, pricing, lots, cid: cid.map(str::to_owned) })
}
