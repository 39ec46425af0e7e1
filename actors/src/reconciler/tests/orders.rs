//! Orders at the exchange that belong to a deposit, and ones that do not.

use millrace_model::ids::{Hash32, Outpoint};
use millrace_model::operator::By;
use millrace_model::purchase::ClientOrderId;
use millrace_protocols::wire::c2cx::Side;

use super::*;

/// An order in the book that nothing was filled of.
fn order(order_id: u64, cid: Option<&str>, status: Status) -> Order {
    Order {
        order_id,
        cid: cid.map(str::to_owned),
        side: Side::Buy,
        status,
        price: Some("0.002".parse().unwrap()),
        quantity: "10".parse().unwrap(),
        completed: Amount::ZERO,
        avg_price: None,
        fee: Amount::ZERO,
        created_ms: None,
        completed_ms: None,
    }
}

/// The id of an order of the rig's deposit of this number.
fn cid_of(number: u8, attempt: u32) -> String {
    ClientOrderId::for_attempt(Outpoint { txid: Hash32([number; 32]), index: 0 }, attempt).to_string()
}

impl Account {
    fn put(&self, order: Order) {
        self.orders.lock().unwrap().push(order);
    }

    fn looks(&self) -> u32 {
        self.looks.load(Ordering::SeqCst)
    }

    /// Waits until the orders that are there now were looked at so often that they would have halted the desk.
    async fn until_judged(&self) {
        let looks = self.looks();
        while self.looks() < looks + 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Desk {
    async fn resume(&self) {
        self.operations.resume(Note::new("that was me").unwrap(), By::Token).await.unwrap();
        let mut switches = self.operations.switches();
        switches.wait_for(|desk| desk.halt().is_none()).await.unwrap();
    }

    /// The numbers of the orders that each halt was for.
    fn halted_for(&self) -> Vec<Vec<u64>> {
        let numbers = |cause| match cause {
            HaltCause::StrayOrders { orders } => orders.iter().map(|order| order.order_id).collect(),
            other => panic!("{other}"),
        };
        self.halts().into_iter().map(numbers).collect()
    }
}

async fn with_account() -> (Arc<Account>, Desk) {
    let account = Account::holding("2", "30");
    let desk = desk("7", Some(account.clone()), Openings::AsFound).await;
    (account, desk)
}

fn past_is_known(desk: &Desk) {
    desk.rig.deposits.past().ended_at(9);
}

/// X9: nothing is missing yet, and a person is asked whose it is; once for each order, whoever is started since.
#[tokio::test]
async fn an_open_order_of_no_deposit_halts_the_desk_once() {
    let (account, desk) = with_account().await;
    past_is_known(&desk);
    account.until_judged().await;
    assert_eq!(desk.halts(), []);
    account.put(order(43, Some("by-hand"), Status::Active));
    let halt = desk.until_halted().await.to_string();
    assert!(halt.ends_with("order 43 with the id \"by-hand\": buy 10.000000 SKY at 0.002 BTC, 0.000000 SKY filled"));
    assert!(desk.rig.until_alarm(PART, "stray_orders").await.contains("order 43"));

    let Desk { rig, .. } = desk;
    let desk = desk_on(rig.restart().await, Some(account.clone()), Openings::AsFound);
    past_is_known(&desk);
    assert_eq!(desk.until_halted().await.to_string(), halt, "the log has it");
    desk.resume().await;
    account.until_judged().await;
    account.put(order(44, None, Status::PartiallyCompleted));
    desk.until_halted().await;
    desk.resume().await;
    account.until_judged().await;
    assert_eq!(desk.halted_for(), [[43], [44]]);
    account.orders.lock().unwrap().clear();
    desk.rig.until_well(PART).await;
}

/// X9: an order whose request's outcome is unknown is its deposit's, and what has ended shows in the balances.
#[tokio::test]
async fn orders_of_deposits_and_orders_that_have_ended_halt_nothing() {
    let (account, desk) = with_account().await;
    past_is_known(&desk);
    for number in 1..=3 {
        desk.rig.owe(number, "3").await;
        account.put(order(number.into(), Some(&cid_of(number, number.into())), Status::Active));
    }
    account.put(order(9, Some("by-hand"), Status::Completed));
    account.until_judged().await;
    assert_eq!(desk.halts(), []);

    account.put(order(10, Some(&cid_of(4, 1)), Status::Suspended));
    account.put(Order { side: Side::Sell, ..order(11, Some(&cid_of(1, 7)), Status::Active) });
    desk.until_halted().await;
    assert_eq!(desk.halted_for(), [[10, 11]], "a deposit that the log does not know, and a desk never sells");
}

/// X9: a log that was restored may have forgotten the deposit; it is in a block that is yet to be read.
#[tokio::test]
async fn no_order_is_judged_before_all_deposits_from_before_are_known() {
    let (account, desk) = with_account().await;
    account.put(order(1, Some(&cid_of(1, 1)), Status::Active));
    let mut reconciliation = desk.reconciliation.clone();
    for _ in 0..4 {
        reconciliation.changed().await.unwrap();
    }
    assert_eq!((account.looks(), desk.halts()), (0, vec![]));
    desk.rig.owe(1, "3").await;
    past_is_known(&desk);
    account.until_judged().await;
    assert_eq!(desk.halts(), []);
}

/// X9: a deposit that is detected between two looks is found at the second.
#[tokio::test]
async fn an_order_that_gets_its_deposit_or_goes_away_before_it_is_seen_again_halts_nothing() {
    let account = Account::holding("2", "30");
    let rig = Rig::new().await;
    let mut orders = Orders::new(rig.deposits.clone(), account.clone());
    rig.deposits.past().ended_at(9);
    account.put(order(1, Some(&cid_of(1, 1)), Status::Active));
    account.put(order(2, Some("by-hand"), Status::Active));
    let numbers = |strays: &[StrayOrder]| -> Vec<u64> { strays.iter().map(|order| order.order_id).collect() };
    let seen = orders.look().await.unwrap();
    assert_eq!((numbers(&seen.strays), numbers(&seen.judged)), (vec![1, 2], vec![]));

    rig.owe(1, "3").await;
    account.is_up.store(false, Ordering::SeqCst);
    assert!(orders.look().await.unwrap_err().starts_with("orders of the exchange: "));
    account.is_up.store(true, Ordering::SeqCst);
    let seen = orders.look().await.unwrap();
    assert_eq!((numbers(&seen.strays), numbers(&seen.judged)), (vec![2], vec![2]));
    account.orders.lock().unwrap().retain(|order| order.order_id == 1);
    let seen = orders.look().await.unwrap();
    assert_eq!((seen.strays, seen.judged), (vec![], vec![]));
}
