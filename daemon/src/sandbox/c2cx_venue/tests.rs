//! The exchange over its wire, with the desk's own requests and decoders.

use std::net::SocketAddr;
use std::sync::Arc;

use millrace_model::purchase::{ClientOrderId, OrderIntent, Purchase};
use millrace_protocols::book::Book;
use millrace_protocols::purchase::{Machine, Market as Seen, Outcome, Policy, Step};
use millrace_protocols::wire::c2cx::{self, ApiError, CallError, Method, Request, Status, StatusFilter};
use tempfile::TempDir;

use super::rest::router;
use super::*;
use crate::sandbox::clock::now_ms;

struct Running {
    venue: Arc<Venue>,
    address: SocketAddr,
    http: reqwest::Client,
    folder: TempDir,
    /// Ends with the test.
    _server: tokio::task::JoinSet<()>,
}

fn open(folder: &TempDir) -> Arc<Venue> {
    Arc::new(Venue::open(Config::default(), &folder.path().join("c2cx"), now_ms()).unwrap())
}

async fn running() -> Running {
    // another test may have been first
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let venue = open(&folder);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router(venue.clone());
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move { axum::serve(listener, service).await.unwrap() });
    Running { venue, address, http: reqwest::Client::builder().no_proxy().build().unwrap(), folder, _server: server }
}

impl Running {
    async fn send(&self, request: Request) -> (u16, Vec<u8>) {
        let url = format!("http://{}{}", self.address, request.path);
        let call = match request.method {
            Method::Get => self.http.get(url),
            Method::Post => {
                let form = "application/x-www-form-urlencoded";
                self.http.post(url).header("content-type", form).body(request.body)
            }
        };
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    async fn book(&self) -> Book {
        let (status, body) = self.send(c2cx::get_order_book("BTC_SKY")).await;
        c2cx::book(status, &body).unwrap()
    }

    async fn balances(&self) -> c2cx::Balances {
        let (status, body) = self.send(c2cx::get_balance(&key())).await;
        c2cx::balances(status, &body).unwrap()
    }

    async fn place(&self, order: &OrderIntent) -> Result<u64, CallError> {
        let (status, body) = self.send(c2cx::create_order(&key(), "BTC_SKY", Side::Buy, order)).await;
        c2cx::placed(status, &body)
    }

    async fn read(&self, order_id: u64) -> Result<c2cx::Order, CallError> {
        let (status, body) = self.send(c2cx::get_order_info(&key(), "BTC_SKY", order_id)).await;
        c2cx::order(status, &body)
    }

    async fn cancel(&self, order_id: u64) -> Result<(), CallError> {
        let (status, body) = self.send(c2cx::cancel_order(&key(), order_id)).await;
        c2cx::done(status, &body)
    }

    async fn page(&self, page: u32, rows: u32) -> Result<c2cx::Page, CallError> {
        let request = c2cx::get_orders_by_status(&key(), "BTC_SKY", StatusFilter::All, page, rows);
        let (status, body) = self.send(request).await;
        c2cx::page(status, &body)
    }

    /// Drives a purchase to its end, and looks at the market before each step.
    async fn buy(&self, deposit: &str, budget: &str) -> Outcome {
        let policy = Policy {
            patience_ms: 30,
            read_every_ms: 5,
            retry_first_ms: 1,
            throttled_ms: 1,
            recancel_every_ms: 20,
            ..Policy::new(c2cx::BTC_SKY_RULES)
        };
        let reference = self.book().await.cheapest_ask().unwrap().price;
        let mut machine = Machine::new(Purchase::new(budget.parse().unwrap()), deposit, reference, policy, now_ms());
        loop {
            let (read_ms, book) = (now_ms(), self.book().await);
            let available = Some(self.balances().await.btc.available());
            match machine.poll_step(&Seen { book: Some((&book, read_ms)), available }, now_ms()) {
                Step::Record(_) => machine.handle_recorded(now_ms()),
                Step::Place(order) => machine.handle_place(c2cx::place_reply(self.place(&order).await), now_ms()),
                Step::Read { order_id } => {
                    machine.handle_read(c2cx::read_reply(self.read(order_id).await), now_ms());
                }
                Step::Cancel { order_id } => {
                    machine.handle_cancel(c2cx::cancel_reply(self.cancel(order_id).await), now_ms());
                }
                Step::FindByCid { page, .. } => {
                    machine.handle_listing(c2cx::listing_reply(page, self.page(page, 2).await), now_ms());
                }
                Step::Wait { .. } => tokio::task::yield_now().await,
                Step::Finish(outcome) => return outcome,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn key() -> Credentials {
    Config::default().credentials
}

fn order(cid: &str, price: &str, quantity: &str) -> OrderIntent {
    OrderIntent {
        attempt: 1,
        cid: ClientOrderId::try_from(cid.to_string()).unwrap(),
        price: price.parse().unwrap(),
        quantity: quantity.parse().unwrap(),
    }
}

#[tokio::test]
async fn an_order_at_the_cheapest_ask_is_filled_and_paid_for() {
    let exchange = running().await;
    let ask = exchange.book().await.cheapest_ask().unwrap();
    let order_id = exchange.place(&order("a-1", &ask.price.to_string(), "12.34")).await.unwrap();
    let filled = exchange.read(order_id).await.unwrap();
    assert_eq!((filled.status, filled.completed), (Status::Completed, "12.34".parse().unwrap()));
    assert_eq!((filled.avg_price, filled.cid.as_deref()), (Some(ask.price), Some("a-1")));

    let spent = ask.price.cost_rounded_up("12.34".parse().unwrap()).unwrap().checked_add(filled.fee).unwrap();
    let balances = exchange.balances().await;
    assert_eq!(balances.btc.available(), Config::default().btc.checked_sub(spent).unwrap());
    assert_eq!((balances.sky.total, balances.btc.frozen), (filled.completed, Amount::ZERO));
}

#[tokio::test]
async fn refusals_have_the_words_the_desk_knows() {
    let exchange = running().await;
    let order_id = exchange.place(&order("a-1", "0.00001", "5")).await.unwrap();
    let refused = |error: ApiError| CallError::Refused(error);
    assert_eq!(exchange.place(&order("a-1", "0.00001", "5")).await, Err(refused(ApiError::CidExists)));
    assert_eq!(exchange.read(99).await, Err(refused(ApiError::OrderIdWrong)));
    exchange.cancel(order_id).await.unwrap();
    let status = "Cancelled".to_owned();
    assert_eq!(exchange.cancel(order_id).await, Err(refused(ApiError::CannotCancel { status })));
    let small = exchange.place(&order("a-2", "0.00189", "0.99")).await;
    assert_eq!(small, Err(refused(ApiError::LimitValue { min: 1.into() })));
    exchange.venue.fail_requests(Some("createorder"), WireFault::Throttled, 1);
    assert_eq!(exchange.place(&order("a-3", "0.00189", "5")).await, Err(refused(ApiError::TooManyRequests)));
    let (status, body) = exchange.send(c2cx::get_order_book("BTC_DRG")).await;
    assert_eq!(c2cx::book(status, &body), Err(refused(ApiError::SymbolUnknown)));
}

#[tokio::test]
async fn nobody_trades_without_the_secret() {
    let exchange = running().await;
    let thief = Credentials { secret: "guessed".into(), ..key() };
    let (status, body) = exchange.send(c2cx::get_balance(&thief)).await;
    assert!(matches!(c2cx::balances(status, &body), Err(CallError::Refused(ApiError::NotAuthorised { .. }))));
    let mut tampered = c2cx::cancel_order(&key(), 1);
    tampered.body = tampered.body.replace("orderId=1", "orderId=2");
    let (status, body) = exchange.send(tampered).await;
    assert!(matches!(c2cx::done(status, &body), Err(CallError::Refused(ApiError::NotAuthorised { .. }))));
}

#[tokio::test]
async fn paths_are_taken_in_camel_case_too() {
    let exchange = running().await;
    let request = Request { path: "/v1/getOrderBook?symbol=BTC_SKY".into(), ..c2cx::get_order_book("BTC_SKY") };
    let (status, body) = exchange.send(request).await;
    assert!(c2cx::book(status, &body).unwrap().cheapest_ask().is_some());
}

#[tokio::test]
async fn a_listing_has_every_order_once_newest_first() {
    let exchange = running().await;
    for number in 1..=5 {
        exchange.place(&order(&format!("a-{number}"), "0.00001", "5")).await.unwrap();
    }
    let mut seen = vec![];
    for page in 1..=3 {
        let page = exchange.page(page, 2).await.unwrap();
        assert_eq!((page.record_count, page.page_count), (5, 3));
        seen.extend(page.orders.into_iter().map(|order| order.order_id));
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    assert!(exchange.page(4, 2).await.unwrap().orders.is_empty());
}

/// X8: an exchange with fees, over the wire and through faults.
#[tokio::test]
async fn a_purchase_through_faults_buys_once_for_its_deposit() {
    let exchange = running().await;
    exchange.venue.limit_fills(Some(30));
    exchange.venue.fail_requests(Some("createorder"), WireFault::ReplyLost, 2);
    exchange.venue.fail_requests(Some("cancelorder"), WireFault::Unavailable, 1);
    exchange.venue.fail_requests(Some("getorderinfo"), WireFault::Throttled, 1);
    exchange.venue.fail_requests(Some("getorderbystatus"), WireFault::Unavailable, 1);
    let outcome = exchange.buy("deposit one", "0.05").await;

    let books = exchange.venue.books();
    let prefix = &ClientOrderId::for_attempt("deposit one", 1).to_string()[..24];
    assert!(books.orders.len() > 1 && books.of_deposit(prefix).count() == books.orders.len());
    assert!(books.orders.iter().all(|order| !order.open), "{books:?}");
    assert_eq!((books.bought, books.spent, books.fees), (outcome.bought, outcome.spent, outcome.fee));
    assert!(books.repeats >= 2 && outcome.remainder < "0.0021".parse().unwrap(), "{outcome:?}");
    assert_eq!(books.sky, outcome.bought);
}

#[tokio::test]
async fn many_purchases_share_the_book_and_the_account() {
    let exchange = running().await;
    let names: Vec<_> = (0..8).map(|number| format!("deposit {number}")).collect();
    let outcomes = futures::future::join_all(names.iter().map(|name| exchange.buy(name, "0.02"))).await;
    let books = exchange.venue.books();
    let sum = |amounts: Vec<Amount<Btc>>| Amount::checked_sum(amounts).unwrap();
    assert_eq!(books.spent, sum(outcomes.iter().map(|outcome| outcome.spent).collect()));
    assert_eq!(Some(books.bought), Amount::checked_sum(outcomes.iter().map(|outcome| outcome.bought)));
    let gone = Config::default().btc.checked_sub(books.btc).unwrap();
    assert_eq!(gone, books.spent.checked_add(books.fees).unwrap());
}

#[tokio::test]
async fn books_orders_and_used_ids_survive_a_restart() {
    let exchange = running().await;
    let waiting = exchange.place(&order("a-1", "0.00001", "5")).await.unwrap();
    let ask = exchange.book().await.cheapest_ask().unwrap().price.to_string();
    exchange.place(&order("a-2", &ask, "5")).await.unwrap();
    let before = exchange.venue.books();

    let reopened = open(&exchange.folder);
    let after = reopened.books();
    assert_eq!(format!("{:?}", after), format!("{:?}", before));
    reopened.quote(Side::Sell, Steps(1), Lots(1_000_000_000), now_ms()).unwrap();
    let filled = reopened.books().orders.into_iter().find(|order| order.order_id == waiting).unwrap();
    assert_eq!(filled.filled, "5".parse().unwrap(), "it waits in the book again");
}

/// X7: a frozen balance is seen over the wire.
#[tokio::test]
async fn a_frozen_balance_a_stale_book_and_an_empty_one_are_seen_over_the_wire() {
    let exchange = running().await;
    exchange.venue.freeze_balance("999.5".parse().unwrap());
    assert_eq!(exchange.balances().await.btc.available(), "0.5".parse().unwrap());
    exchange.venue.freeze_book(1_000);
    exchange.venue.step_market(now_ms()).unwrap();
    assert_eq!(exchange.book().await.timestamp_ms(), 1_000);
    exchange.venue.clear_faults(now_ms()).unwrap();
    exchange.venue.empty_book(now_ms()).unwrap();
    assert_eq!(exchange.book().await.cheapest_ask(), None);
    exchange.venue.clear_faults(now_ms()).unwrap();
    assert!(exchange.book().await.cheapest_ask().is_some());
}
