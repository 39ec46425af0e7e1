//! Purchases of a real store's deposits on an exchange in memory, which is the judge. Time is the runtime's, paused.

mod adversity;
mod venue;

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use millrace_model::deposit::{
    BlockRef, Customer, Detected, Event, Method, Mined, PayoutTerms, RemainderUse, StatusWaitBuy, StatusWaitDecide,
};
use millrace_model::desk::{self, HaltCause, Halted, Resumed};
use millrace_model::event::Event as Stored;
use millrace_model::ids::{CommandId, Hash32, Outpoint, StreamName};
use millrace_model::money::{Amount, Btc, Sky};
use millrace_model::purchase::ClientOrderId;
use millrace_protocols::wire::c2cx::BTC_SKY_RULES;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::*;
use crate::event_store::{self, Append, Execution, Expected, Store, Write};
use crate::market;
use crate::supervision::{PartHealth, Registry};
use venue::{Fault, Shown, Venue, levels};

/// A long time, by the paused clock.
const PATIENCE: Duration = Duration::from_secs(600);

/// The runtime's own time, told as time of day.
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> DateTime<Utc> {
        let start = Utc.with_ymd_and_hms(2030, 1, 1, 0, 0, 0).unwrap();
        start + TimeDelta::from_std(self.0.elapsed()).unwrap()
    }
}

/// The desk's buying side, all of it.
struct House {
    tree: Tree,
    deposits: Deposits,
    market: Market,
    venue: Arc<Venue>,
    folder: TempDir,
    began: Instant,
}

fn sky(text: &str) -> Amount<Sky> {
    text.parse().unwrap()
}

fn btc(text: &str) -> Amount<Btc> {
    text.parse().unwrap()
}

fn id(number: u128) -> DepositId {
    DepositId(Uuid::from_u128(number))
}

fn outpoint(number: u128) -> Outpoint {
    Outpoint { txid: Hash32([1; 32]), index: number as u32 }
}

fn cid(number: u128, attempt: u32) -> ClientOrderId {
    ClientOrderId::for_attempt(outpoint(number), attempt)
}

/// What all client order ids of a deposit begin with.
fn cid_start(number: u128) -> String {
    cid(number, 1).as_str()[..24].to_owned()
}

fn settings() -> Settings {
    let policy = Policy { fee_percent: 0.into(), read_every_ms: 50, ..Policy::new(BTC_SKY_RULES) };
    Settings {
        policy,
        remainder: RemainderPolicy {
            rounding_maximum: btc("0.00001"),
            payout: PayoutTerms { decimals: 3, maximum: Amount::MAX },
        },
        outer: Arc::new(|_| None),
    }
}

async fn start(path: &Path, venue: &Arc<Venue>, began: Instant) -> (Tree, Deposits, Market) {
    let clock: Arc<dyn Clock> = Arc::new(RuntimeClock(began));
    let tree = Tree::new(Registry::new(Arc::clone(&clock)), 1);
    let settings_of_store =
        event_store::Settings { path: path.to_path_buf(), execution: Execution::Inline, clock: Arc::clone(&clock) };
    let store = Store::start(&tree, settings_of_store).unwrap();
    store.ready().await;
    let deposits = Deposits::new(store);
    let exchange: Arc<dyn Exchange> = Arc::<Venue>::clone(venue);
    let watched = market::Settings { low_balance: btc("0.02"), ..market::Settings::default() };
    let market = market::start(&tree, Arc::clone(&exchange), watched, Arc::clone(&clock)).unwrap();
    super::start(&tree, deposits.clone(), exchange, market.clone(), settings(), clock).unwrap();
    (tree, deposits, market)
}

async fn house(balance: &str, asks: &[(&str, &str)]) -> House {
    let (folder, began) = (tempfile::tempdir().unwrap(), Instant::now());
    let venue = Arc::new(Venue::new(balance, asks, Box::new(RuntimeClock(began))));
    let (tree, deposits, market) = start(&folder.path().join("log.db"), &venue, began).await;
    House { tree, deposits, market, venue, folder, began }
}

impl House {
    /// Everything but the exchange and the log's file is gone and begins anew.
    async fn restart(&mut self) {
        self.tree.shutdown(Duration::from_secs(1)).await;
        let path = self.folder.path().join("log.db");
        (self.tree, self.deposits, self.market) = start(&path, &self.venue, self.began).await;
    }

    /// The same, and the log is gone too.
    async fn lose_log(&mut self) {
        self.tree.shutdown(Duration::from_secs(1)).await;
        self.folder = tempfile::tempdir().unwrap();
        self.restart().await;
    }

    /// A deposit of this amount is decided to be bought.
    async fn decided(&self, number: u128, amount: &str) {
        let detected = Detected {
            id: id(number),
            outpoint: outpoint(number),
            address: "bcrt1qdeposit".into(),
            amount: btc(amount),
            customer: Some(Customer { target: "target".into(), bound_method: Method::Passthrough }),
            spends: vec![],
            coinbase: false,
        };
        let mined = Mined { block: BlockRef { height: 7, hash: Hash32([7; 32]) } };
        let best_ask = "0.002".parse().unwrap();
        let decided = StatusWaitBuy { budget: btc(amount), best_ask, book: None };
        let events: [Event; 4] = [detected.into(), mined.into(), StatusWaitDecide {}.into(), decided.into()];
        let stream = StreamName::Deposit(id(number));
        let write = Write::new(stream, Expected::Exactly(0), events.map(Stored::Deposit).into());
        let append = Append {
            command_id: CommandId::of_fact(&[&number.to_string()]),
            command: "Test",
            body: "{}".to_owned(),
            causation: None,
            correlation: None,
            writes: vec![write],
        };
        self.deposits.store().append(append).await.unwrap();
    }

    /// Something happens to the desk as a whole, for the `version`th time.
    async fn desk(&self, version: u64, event: desk::Event) {
        let write = Write::new(StreamName::Desk, Expected::Exactly(version - 1), vec![Stored::Desk(event)]);
        let append = Append {
            command_id: CommandId::of_fact(&["desk", &version.to_string()]),
            command: "Test",
            body: "{}".to_owned(),
            causation: None,
            correlation: None,
            writes: vec![write],
        };
        self.deposits.store().append(append).await.unwrap();
    }

    fn deposit(&self, number: u128) -> Deposit {
        self.deposits.get(id(number)).unwrap().unwrap().deposit.clone()
    }

    fn events(&self, number: u128) -> Vec<Event> {
        let recorded = self.deposits.store().reader().unwrap().stream(&StreamName::Deposit(id(number)), 0).unwrap();
        let deposit = |event| if let Stored::Deposit(event) = event { Some(event) } else { None };
        recorded.into_iter().filter_map(|recorded| deposit(recorded.event)).collect()
    }

    /// Waits until this is so, looking after every commit.
    async fn until(&self, what: &str, mut so: impl FnMut(&Self) -> bool) {
        let mut bell = self.deposits.store().bell();
        let wait = async {
            while !so(self) {
                bell.changed().await.unwrap();
            }
        };
        assert!(timeout(PATIENCE, wait).await.is_ok(), "never {what}: {:?}", self.tree.health());
    }

    async fn until_owed(&self, number: u128) {
        self.until("owed", |house| house.deposit(number).stage == Stage::WaitSend).await;
    }

    /// Waits until the exchange was sent an order, also if it never arrives.
    async fn until_requested(&self) {
        let requested = async {
            while self.venue.world().requests.is_empty() {
                self.venue.requested.notified().await;
            }
        };
        assert!(timeout(PATIENCE, requested).await.is_ok(), "no order was ever sent");
    }

    /// Waits until the buyer reports this trouble.
    async fn until_reported(&self, kind: &str) -> String {
        let mut health = self.tree.health().subscribe();
        let mut found = String::new();
        let reported = health.wait_for(|parts| {
            let buyer = parts.iter().find(|part| part.name == PART).unwrap();
            let condition = buyer.conditions.iter().find(|condition| condition.kind == kind);
            found = condition.map(|condition| condition.text.clone()).unwrap_or_default();
            condition.is_some()
        });
        assert!(timeout(PATIENCE, reported).await.is_ok(), "{kind} was never reported");
        found
    }

    /// What the deposit is owed is what the exchange booked for it, and the exchange saw nothing it should not.
    fn judge(&self, number: u128) {
        let world = self.venue.world();
        let deposit = self.deposit(number);
        let purchase = deposit.purchase.unwrap();
        assert_eq!(purchase.bought(), world.bought(&cid_start(number)));
        assert_eq!(deposit.payout.unwrap().amount, purchase.bought().floor_to(3));
        assert!(purchase.spent() <= purchase.budget());
        assert_eq!((world.unfunded, world.misused_cids), (0, 0));
        let cids: BTreeSet<_> = world.orders.values().map(|order| &order.intent.cid).collect();
        assert_eq!(cids.len(), world.orders.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_deposit_is_bought_fully_and_owed() {
    let house = house("10", &[("0.002", "30"), ("0.00201", "1000")]).await;
    house.decided(1, "0.2").await;
    house.until_owed(1).await;
    house.judge(1);
    // 30 for 0.06, and 69.65 of 69.65… for 0.1399965
    assert_eq!(house.deposit(1).payout.unwrap().amount, sky("99.65"));
    assert_eq!(house.venue.world().orders.len(), 2);
    assert!(house.market.reserved() > Amount::ZERO);
    // Each order keeps the book it was chosen from: the second one's no longer has what the first took.
    let books: Vec<_> = (house.events(1).into_iter())
        .filter_map(|event| if let Event::OrderIntended(intended) = event { intended.book } else { None })
        .map(|book| (book.best_ask().to_string(), book.asks().len(), book.limit().to_string()))
        .collect();
    assert_eq!(books, [("0.002".to_owned(), 2, "0.00206".to_owned()), ("0.00201".to_owned(), 1, "0.00206".to_owned())]);
    // The reading on its way may be too early to show the last order; the one after it is not.
    house.market.ask_again(PATIENCE).await;
    house.market.ask_again(PATIENCE).await;
    assert_eq!(house.market.reserved(), Amount::ZERO);
}

/// D6: what no order can spend is booked: rounding or refund.
#[tokio::test(start_paused = true)]
async fn what_no_order_can_spend_is_booked() {
    let house = house("10", &[("0.00201", "1000")]).await;
    // 99.50 for 0.199995, and 20.84 for 0.0418884
    for (number, amount, left, to) in
        [(1, "0.2", "0.000005", RemainderUse::Rounding), (2, "0.0419", "0.0000116", RemainderUse::Refund)]
    {
        house.decided(number, amount).await;
        house.until_owed(number).await;
        house.judge(number);
        let booked = house.events(number).into_iter().find_map(|event| match event {
            Event::RemainderBooked(booked) => Some((booked.amount, booked.to)),
            _ => None,
        });
        assert_eq!(booked, Some((btc(left), to)));
    }
}

#[tokio::test(start_paused = true)]
async fn many_deposits_share_book_and_balance_and_nobody_oversteps() {
    let house = house("4.2", &[("0.002", "500"), ("0.00201", "1000"), ("0.00202", "5000")]).await;
    for number in 0..200 {
        house.decided(number, "0.02").await;
    }
    for number in 0..200 {
        house.until_owed(number).await;
    }
    (0..200).for_each(|number| house.judge(number));
    let world = house.venue.world();
    assert!(world.readings < 100, "the book was read {} times", world.readings);
    assert!(world.orders.len() < 300, "{} orders", world.orders.len());
}

/// X7: the small one goes on, the large one waits with a reason until there is more.
#[tokio::test(start_paused = true)]
async fn a_low_balance_holds_up_only_who_does_not_fit() {
    let house = house("0.05", &[("0.002", "1000")]).await;
    house.decided(1, "0.1").await;
    let report = house.until_reported("funds").await;
    assert_eq!(report, "c2cx balance too low: needs 0.10000000 BTC, has 0.05000000");
    house.decided(2, "0.02").await;
    house.until_owed(2).await;
    assert_eq!(house.deposit(1).stage, Stage::WaitBuy);
    assert_eq!(house.venue.world().requests.len(), 1);
    house.venue.world().btc = btc("1");
    house.until_owed(1).await;
    house.judge(1);
    assert!(house.tree.health().part(PART).unwrap().is_well());
}

/// X7: the warning comes before somebody has to wait.
#[tokio::test(start_paused = true)]
async fn an_account_that_runs_low_raises_a_warning_until_it_is_filled() {
    let house = house("0.03", &[("0.002", "1000")]).await;
    let mut health = house.tree.health().subscribe();
    let mut told = async |wanted: bool| {
        let told = |parts: &[PartHealth]| {
            let part = parts.iter().find(|part| part.name == market::PART)?;
            part.conditions.iter().find(|condition| condition.kind == "low_balance").map(|it| it.text.clone())
        };
        let parts = health.wait_for(|parts| told(parts).is_some() == wanted).await.unwrap();
        told(&parts)
    };
    assert_eq!(told(false).await, None);
    house.decided(1, "0.02").await;
    house.until_owed(1).await;
    assert_eq!(told(true).await.unwrap(), "the exchange account holds 0.01000000 BTC only; refill it");
    house.venue.world().btc = btc("0.02");
    told(false).await;
}

/// X7: nobody begins what another one needs to finish.
#[tokio::test(start_paused = true)]
async fn a_deposit_that_is_begun_keeps_the_funds_to_finish() {
    // The first level is far too small for either, the second too dear: both could begin, only one could finish.
    let house = house("0.15", &[("0.002", "2"), ("0.0021", "1000")]).await;
    house.decided(1, "0.1").await;
    house.until_reported("market").await;
    assert_eq!(house.deposit(1).purchase.unwrap().bought(), sky("2"));
    house.decided(2, "0.1").await;
    assert!(house.until_reported("funds").await.contains("needs 0.10000000 BTC"));
    assert_eq!(house.deposit(2).purchase.unwrap().next_attempt(), 1);
    house.venue.world().asks = levels(&[("0.002", "1000")]);
    house.until_owed(1).await;
    house.judge(1);
}

#[tokio::test(start_paused = true)]
async fn a_halted_desk_orders_nothing_and_goes_on_when_it_is_resumed() {
    let mut house = house("1", &[("0.002", "1000")]).await;
    let cause = HaltCause::Operator { note: "look".to_owned() };
    house.desk(1, Halted { cause }.into()).await;
    house.decided(1, "0.1").await;
    let text = house.until_reported("purchases").await;
    assert_eq!(text, "purchases wait: the desk is halted");
    house.restart().await;
    house.until_reported("purchases").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(house.venue.world().requests.is_empty());
    assert!(!house.events(1).iter().any(|event| matches!(event, Event::OrderIntended(_))));
    house.desk(2, Resumed { note: "seen".to_owned() }.into()).await;
    house.until_owed(1).await;
}

/// X5: an order that the brake held up is chosen anew, and keeps the book that it really was chosen from.
#[tokio::test(start_paused = true)]
async fn an_order_that_waited_for_the_brake_is_chosen_from_the_book_of_the_time_it_goes_out() {
    let house = house("10", &[("0.002", "30"), ("0.00201", "1000")]).await;
    house.desk(1, Halted { cause: HaltCause::Operator { note: "look".to_owned() } }.into()).await;
    house.decided(1, "0.2").await;
    house.until_reported("purchases").await;
    // What was chosen is still asked, and no longer the cheapest.
    house.venue.world().asks = levels(&[("0.00199", "20"), ("0.002", "30"), ("0.00205", "1000")]);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(house.venue.world().requests.is_empty());
    house.desk(2, Resumed { note: "seen".to_owned() }.into()).await;
    house.until_owed(1).await;
    house.judge(1);
    let orders = (house.events(1).into_iter()).filter_map(|event| {
        if let Event::OrderIntended(it) = event { Some((it.order, it.book.unwrap())) } else { None }
    });
    let (orders, books): (Vec<_>, Vec<_>) = orders.unzip();
    assert_eq!(orders, house.venue.world().requests);
    let prices: Vec<_> = orders.iter().map(|order| order.price.to_string()).collect();
    assert_eq!(prices, ["0.00199", "0.002", "0.00205"]);
    assert_eq!((books[0].best_ask(), books[0].levels()), (orders[0].price, 3));
    let two_minutes_on = Utc.with_ymd_and_hms(2030, 1, 1, 0, 2, 0).unwrap();
    assert!(books[0].at_ms() >= two_minutes_on.timestamp_millis() as u64, "it is no book of the time before");
}
