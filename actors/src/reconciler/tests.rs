//! Books and wallets that agree, and ones that do not.

mod orders;
mod spends;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use millrace_model::desk::{Coins, TransferKind};
use millrace_model::event::Event;
use millrace_model::ids::StreamName;
use millrace_model::money::{Amount, Btc, Sky};
use millrace_model::operator::By;
use millrace_model::purchase::OrderIntent;
use millrace_model::reconciliation::Verdict;
use millrace_protocols::book::Book;
use millrace_protocols::wire::c2cx::{Balance, Balances, CallError, Order, Page, Status, StatusFilter};
use millrace_protocols::wire::skycoin::rest::Lag;

use super::*;
use crate::clock::SystemClock;
use crate::exchange::Reply;
use crate::operations::{self, Note, Transfer};
use crate::projection;
use crate::sender::tests::rig::Rig;

/// An account at an exchange on which nobody trades, with whatever orders the test puts there.
struct Account {
    holds: Mutex<(Amount<Btc>, Amount<Sky>)>,
    orders: Mutex<Vec<Order>>,
    /// How often all open orders were asked for.
    looks: AtomicU32,
    /// Whether listings are answered.
    is_up: AtomicBool,
}

impl Account {
    fn holding(btc: &str, sky: &str) -> Arc<Self> {
        let holds = Mutex::new((btc.parse().unwrap(), sky.parse().unwrap()));
        Arc::new(Self { holds, orders: Mutex::default(), looks: AtomicU32::new(0), is_up: AtomicBool::new(true) })
    }
}

impl Exchange for Account {
    fn balances(&self) -> Reply<'_, Balances> {
        let (btc, sky) = *self.holds.lock().unwrap();
        let btc = Balance { total: btc, frozen: Amount::ZERO };
        Box::pin(async move { Ok(Balances { btc, sky: Balance { total: sky, frozen: Amount::ZERO } }) })
    }
    fn book(&self) -> Reply<'_, Book> {
        nobody()
    }
    fn place<'a>(&'a self, _: &'a OrderIntent) -> Reply<'a, u64> {
        nobody()
    }
    fn order(&self, _: u64) -> Reply<'_, Order> {
        nobody()
    }
    /// Pages of one order each.
    fn orders(&self, which: StatusFilter, page: u32) -> Reply<'_, Page> {
        if !self.is_up.load(Ordering::SeqCst) {
            return nobody();
        }
        let all = self.orders.lock().unwrap().clone();
        let fit: Vec<_> = all.into_iter().filter(|order| which.has(order.status)).collect();
        let (count, orders) = (fit.len() as u64, fit.into_iter().nth(page as usize - 1).into_iter().collect());
        if which.has(Status::Cancelling) {
            self.looks.fetch_add(1, Ordering::SeqCst);
        }
        Box::pin(async move { Ok(Page { orders, record_count: count, page_count: count }) })
    }
    fn cancel(&self, _: u64) -> Reply<'_, ()> {
        nobody()
    }
}

fn nobody<'a, T: Send + 'a>() -> Reply<'a, T> {
    Box::pin(async { Err(CallError::Unavailable { http_status: 503 }) })
}

struct Desk {
    rig: Rig,
    operations: Operations,
    reconciliation: Reconciliation,
    _folder: tempfile::TempDir,
}

/// A desk whose books are compared as fast as can be.
async fn desk(coins: &str, exchange: Option<Arc<dyn Exchange>>, openings: Openings) -> Desk {
    let rig = Rig::new().await;
    rig.node.ledger().give(coins, 1_000);
    desk_on(rig, exchange, openings)
}

fn desk_on(rig: Rig, exchange: Option<Arc<dyn Exchange>>, openings: Openings) -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let views = Views::new(&folder.path().join("views.db"));
    let deposits = rig.deposits.clone();
    projection::start(&rig.tree, deposits.store().clone(), views.clone()).unwrap();
    let operations = operations::start(&rig.tree, rig.deposits.clone(), rig.keys()).unwrap();
    let inside = Inside { deposits, views, operations: operations.clone(), clock: Arc::new(SystemClock) };
    let outside = Outside { skycoin: rig.node.clone(), exchange };
    let settings = Settings { every: Duration::from_millis(10), openings, confirmations: 2 };
    let (compared, reconciliation) = watch::channel(Vec::new());
    start(&rig.tree, inside, outside, settings, compared).unwrap();
    Desk { rig, operations, reconciliation, _folder: folder }
}

impl Desk {
    async fn declare(&self, kind: TransferKind, place: Place, coins: Coins) {
        let note = Note::new("as counted").unwrap();
        self.operations.declare(Transfer { kind, place, coins }, note, None, Some(By::Token)).await.unwrap();
    }

    fn halts(&self) -> Vec<HaltCause> {
        let events = self.rig.events(&StreamName::Desk);
        let halted = |event| {
            if let Event::Desk(millrace_model::desk::Event::Halted(halted)) = event { Some(halted.cause) } else { None }
        };
        events.into_iter().filter_map(|recorded| halted(recorded.event)).collect()
    }

    async fn until_halted(&self) -> HaltCause {
        let mut switches = self.operations.switches();
        let halted = switches.wait_for(|desk| desk.halt().is_some());
        let desk = tokio::time::timeout(Duration::from_secs(60), halted).await.expect("it halts").unwrap().clone();
        desk.halt().unwrap().clone()
    }

    /// Waits for a comparison of the hot wallet that says this.
    async fn until_compared(&mut self, wanted: impl Fn(&Comparison) -> bool) {
        let is_wanted = |all: &Vec<Compared>| {
            all.iter().any(|one| one.comparison.difference.place == Place::HotWallet && wanted(&one.comparison))
        };
        let found = self.reconciliation.wait_for(is_wanted);
        tokio::time::timeout(Duration::from_secs(60), found).await.expect("it is compared so").unwrap();
    }
}

fn sky(coins: &str) -> Coins {
    Coins::Sky(coins.parse().unwrap())
}

/// O5: coins that left by nothing the log intended.
#[tokio::test]
async fn coins_that_are_missing_twice_in_a_row_halt_the_desk_with_the_numbers() {
    let mut desk = desk("100", None, Openings::ByOperator).await;
    desk.declare(TransferKind::Opening, Place::HotWallet, sky("100")).await;
    desk.until_compared(|comparison| comparison.verdict == Verdict::Fits).await;
    assert_eq!(desk.halts(), []);

    desk.declare(TransferKind::Refill, Place::HotWallet, sky("1")).await;
    let HaltCause::Missing { differences } = desk.until_halted().await else { panic!("coins are missing") };
    let numbers: Vec<_> = differences.iter().map(|one| (one.place, one.booked, one.in_flight, one.found)).collect();
    assert_eq!(numbers, [(Place::HotWallet, 101_000_000, 0, 100_000_000)]);
    let told = desk.rig.until_alarm(PART, "missing").await;
    assert!(told.contains("100.000000 SKY found, 101.000000 SKY booked"), "{told}");

    desk.declare(TransferKind::Sweep, Place::HotWallet, sky("1")).await;
    desk.rig.until_well(PART).await;
    desk.operations.resume(Note::new("a refill declared by mistake").unwrap(), By::Token).await.unwrap();
    desk.until_compared(|comparison| comparison.difference.booked == 100_000_000).await;
    assert_eq!(desk.halts().len(), 1);
}

#[tokio::test]
async fn a_desk_resumed_while_coins_are_still_missing_is_halted_again() {
    let desk = desk("5", None, Openings::ByOperator).await;
    desk.declare(TransferKind::Opening, Place::HotWallet, sky("6")).await;
    desk.until_halted().await;
    desk.operations.resume(Note::new("wishful thinking").unwrap(), By::Token).await.unwrap();
    let mut switches = desk.operations.switches();
    switches.wait_for(|desk| desk.halt().is_none()).await.unwrap();
    desk.until_halted().await;
    assert_eq!(desk.halts().len(), 2);
}

#[tokio::test]
async fn payouts_on_their_way_are_no_difference_and_paid_ones_are_booked() {
    let mut desk = desk("100", None, Openings::AsFound).await;
    desk.until_compared(|comparison| comparison.verdict == Verdict::Fits).await;
    desk.rig.send();
    for number in 11..=18 {
        let id = desk.rig.owe(number, "3.5").await;
        desk.rig.until_paid(id).await;
    }
    desk.until_compared(|comparison| {
        let numbers = &comparison.difference;
        assert_eq!(comparison.verdict, Verdict::Fits, "{numbers:?}");
        (numbers.booked, numbers.found) == (72_000_000, 72_000_000)
    })
    .await;
    assert_eq!(desk.halts(), []);
}

#[tokio::test]
async fn a_place_is_watched_from_the_opening_that_an_operator_declares() {
    let desk = desk("7", None, Openings::ByOperator).await;
    let told = desk.rig.until_alarm(PART, "not_opened").await;
    assert!(told.ends_with("the hot wallet (7.000000 SKY there now)"), "{told}");
    desk.declare(TransferKind::Opening, Place::HotWallet, sky("7")).await;
    desk.rig.until_well(PART).await;
}

#[tokio::test]
async fn coins_that_somebody_sent_are_told_and_halt_nothing() {
    let desk = desk("7", None, Openings::AsFound).await;
    desk.rig.until_well(PART).await;
    let mut reconciliation = desk.reconciliation.clone();
    reconciliation.wait_for(|all| !all.is_empty()).await.unwrap();
    desk.rig.node.ledger().give("2", 1);
    let told = desk.rig.until_alarm(PART, "surplus").await;
    assert!(told.contains("9.000000 SKY found, 7.000000 SKY booked"), "{told}");
    desk.declare(TransferKind::Refill, Place::HotWallet, sky("2")).await;
    desk.rig.until_well(PART).await;
    assert_eq!(desk.halts(), []);
}

#[tokio::test]
async fn a_node_that_lags_is_not_believed() {
    let desk = desk("7", None, Openings::AsFound).await;
    let mut reconciliation = desk.reconciliation.clone();
    reconciliation.wait_for(|all| !all.is_empty()).await.unwrap();
    desk.rig.node.ledger().lag = Some(Lag::Alone);
    desk.declare(TransferKind::Refill, Place::HotWallet, sky("2")).await;
    let told = desk.rig.until_alarm(PART, "not_compared").await;
    assert!(told.contains("the node has no peers"), "{told}");
    desk.rig.node.ledger().give("2", 1);
    desk.rig.node.ledger().lag = None;
    desk.rig.until_well(PART).await;
    assert_eq!(desk.halts(), []);
}

/// X9: what somebody else spent there.
#[tokio::test]
async fn what_is_missing_at_the_exchange_halts_too() {
    let account = Account::holding("2", "30");
    let desk = desk("7", Some(account.clone()), Openings::AsFound).await;
    let mut reconciliation = desk.reconciliation.clone();
    reconciliation.wait_for(|all| all.len() == 3).await.unwrap();
    account.holds.lock().unwrap().0 = "1.5".parse().unwrap();
    let HaltCause::Missing { differences } = desk.until_halted().await else { panic!("coins are missing") };
    assert_eq!(differences.iter().map(|one| one.coin).collect::<Vec<_>>(), [Ticker::Btc]);
    assert_eq!((differences[0].booked, differences[0].found), (200_000_000, 150_000_000));
}
