//! What the exchange does to orders and coins.

use proptest::prelude::*;

use super::*;

const BTC: i64 = 100_000_000;

/// One step is 0.00001 BTC, one lot 0.01 SKY; 189 steps × 100 lots cost 189 000 satoshi.
fn exchange() -> Exchange {
    let market = MarketConfig { levels: 0, ..MarketConfig::default() };
    let mut exchange = Exchange::new(2_000, market, []);
    exchange.set_balance(Holdings { satoshi: BTC, droplets: 0 });
    exchange
}

fn buy(steps: u64, lots: u64, cid: &str) -> NewOrder {
    NewOrder { side: Side::Buy, pricing: Pricing::Limit(Steps(steps)), lots: Lots(lots), cid: Some(cid.into()) }
}

fn sells(exchange: &mut Exchange, steps: u64, lots: u64) {
    exchange.quote(Side::Sell, Steps(steps), Lots(lots), 0);
}

fn status(exchange: &Exchange, order_id: u64) -> Status {
    exchange.account.order(order_id).unwrap().status
}

fn sum(exchange: &Exchange) -> Holdings {
    let account = &exchange.account;
    let all = [account.desk, account.makers, account.house, account.outside];
    Holdings {
        satoshi: all.iter().map(|holdings| holdings.satoshi).sum(),
        droplets: all.iter().map(|holdings| holdings.droplets).sum(),
    }
}

#[test]
fn a_purchase_pays_each_price_and_the_fee_once_on_the_whole() {
    let mut exchange = exchange();
    sells(&mut exchange, 189, 100);
    sells(&mut exchange, 190, 1_000);
    let order_id = exchange.create(buy(190, 300, "a"), 5).unwrap();
    let order = exchange.account.order(order_id).unwrap();
    assert_eq!((order.status, order.filled(), order.cost()), (Status::Completed, Lots(300), 189_000 + 380_000));
    assert_eq!(order.fee, 1_138);
    assert_eq!(exchange.account.desk, Holdings { satoshi: BTC - 569_000 - 1_138, droplets: 3_000_000 });
    assert_eq!(exchange.frozen(), Holdings::default());
}

#[test]
fn an_order_that_waits_freezes_its_cost_and_fee_until_it_is_cancelled() {
    let mut exchange = exchange();
    sells(&mut exchange, 189, 40);
    let order_id = exchange.create(buy(189, 100, "a"), 5).unwrap();
    assert_eq!(status(&exchange, order_id), Status::PartiallyCompleted);
    // 0.6 SKY at 0.00189 are 113 400 satoshi; the fee on all of it is 378, of which 152 is charged
    assert_eq!(exchange.frozen().satoshi, 113_400 + 378 - 152);
    exchange.cancel(order_id, 6).unwrap();
    assert_eq!((status(&exchange, order_id), exchange.frozen()), (Status::Cancelled, Holdings::default()));
    let refusal = exchange.cancel(order_id, 7).unwrap_err();
    assert_eq!(refusal, Refusal::new("you can't cancel order in \"Cancelled\" status"));
    assert_eq!(exchange.cancel(99, 7), Err(Refusal::new("orderId is wrong")));
}

#[test]
fn a_client_order_id_is_taken_once_for_ever_even_if_the_order_failed() {
    let mut exchange = exchange();
    exchange.set_balance(Holdings::default());
    let order_id = exchange.create(buy(189, 100, "a"), 5).unwrap();
    assert_eq!(status(&exchange, order_id), Status::Suspended);
    exchange.cancel(order_id, 6).unwrap();
    assert_eq!(exchange.create(buy(189, 100, "a"), 7), Err(Refusal::new("cid already exists, please change")));
}

#[test]
fn an_order_without_funds_freezes_nothing_even_while_it_is_cancelled() {
    let mut exchange = exchange();
    exchange.faults.matching_delay_ms = 100;
    let order_id = exchange.create(buy(189, 1_000_000, "a"), 5).unwrap();
    exchange.cancel(order_id, 6).unwrap();
    assert_eq!((status(&exchange, order_id), exchange.frozen()), (Status::Cancelled, Holdings::default()));
}

#[test]
fn an_order_below_the_minimum_is_refused_and_uses_no_id() {
    let mut exchange = exchange();
    assert_eq!(exchange.create(buy(189, 99, "a"), 5), Err(Refusal::new("limit value: 1")));
    assert_eq!(exchange.create(buy(189, 100, "a"), 5), Ok(1));
}

#[test]
fn a_market_order_spends_up_to_its_amount_and_is_cancelled_without_funds() {
    let mut exchange = exchange();
    sells(&mut exchange, 189, 1_000);
    sells(&mut exchange, 200, 1_000);
    let order = |satoshi| NewOrder { side: Side::Buy, pricing: Pricing::Market(satoshi), lots: Lots::ZERO, cid: None };
    let order_id = exchange.create(order(3_000_000), 5).unwrap();
    let spent = exchange.account.order(order_id).unwrap();
    assert_eq!((spent.status, spent.cost()), (Status::Completed, 1_890_000 + 1_110_000));
    let order_id = exchange.create(order(2 * BTC as u64), 5).unwrap();
    assert_eq!(status(&exchange, order_id), Status::Cancelled);
}

#[test]
fn a_waiting_order_is_filled_when_the_market_comes_to_it() {
    let mut exchange = exchange();
    let order_id = exchange.create(buy(189, 100, "a"), 5).unwrap();
    assert_eq!(status(&exchange, order_id), Status::Active);
    sells(&mut exchange, 188, 60);
    assert_eq!(exchange.account.order(order_id).unwrap().fills, [Fill { price: Steps(189), lots: Lots(60), at_ms: 0 }]);
    sells(&mut exchange, 189, 60);
    assert_eq!(status(&exchange, order_id), Status::Completed);
    assert_eq!(exchange.best(), (None, Some(Steps(189))));
}

#[test]
fn orders_are_filled_no_further_than_the_fault_allows() {
    let mut exchange = exchange();
    sells(&mut exchange, 189, 1_000);
    for (percent, filled, expected) in [(40, 40, Status::PartiallyCompleted), (0, 0, Status::Active)] {
        exchange.faults.fill_percent_max = Some(percent);
        let order_id = exchange.create(buy(189, 100, &percent.to_string()), 5).unwrap();
        exchange.step_market(6);
        sells(&mut exchange, 189, 1_000);
        assert_eq!(exchange.account.order(order_id).unwrap().filled(), Lots(filled));
        assert_eq!(status(&exchange, order_id), expected);
        exchange.cancel(order_id, 7).unwrap();
    }
    assert_eq!(exchange.frozen(), Holdings::default());
}

#[test]
fn a_slow_exchange_fills_late_and_may_fill_what_is_being_cancelled() {
    let mut exchange = exchange();
    sells(&mut exchange, 189, 1_000);
    exchange.faults.matching_delay_ms = 100;
    let order_id = exchange.create(buy(189, 100, "a"), 0).unwrap();
    exchange.advance(99);
    assert_eq!(status(&exchange, order_id), Status::Pending);
    exchange.advance(100);
    assert_eq!(status(&exchange, order_id), Status::Completed);

    let order_id = exchange.create(buy(188, 100, "b"), 100).unwrap();
    exchange.advance(200);
    exchange.cancel(order_id, 200).unwrap();
    assert_eq!(status(&exchange, order_id), Status::Cancelling);
    sells(&mut exchange, 188, 100);
    exchange.advance(300);
    assert_eq!(status(&exchange, order_id), Status::Completed, "the fill was first");
}

#[test]
fn an_order_cancelled_before_it_is_matched_is_never_matched() {
    let mut exchange = exchange();
    sells(&mut exchange, 189, 1_000);
    exchange.faults.matching_delay_ms = 100;
    let order_id = exchange.create(buy(189, 100, "a"), 0).unwrap();
    exchange.cancel(order_id, 50).unwrap();
    exchange.advance(150);
    assert_eq!(status(&exchange, order_id), Status::Cancelled);
    assert_eq!(exchange.account.order(order_id).unwrap().filled(), Lots::ZERO);
}

#[test]
fn a_stale_book_is_the_old_one_and_a_market_without_makers_is_empty() {
    let mut exchange = Exchange::new(2_000, MarketConfig::default(), []);
    exchange.step_market(1);
    let book = exchange.book(1);
    assert!(book.asks.len() == 20 && book.asks[0].0 > book.bids[0].0);
    exchange.faults.stale_book = Some(book.clone());
    exchange.step_market(60_000);
    assert_eq!(exchange.book(60_000), book);
    exchange.faults = Faults { makers: Makers::Gone, ..Faults::default() };
    exchange.step_market(60_001);
    assert_eq!((exchange.book(60_001).asks, exchange.best()), (vec![], (None, None)));
}

#[derive(Debug, Clone)]
enum Doing {
    Buy(u64, u64),
    Sell(u64, u64),
    Cancel(u64),
    Quote(Side, u64, u64),
    Step,
    FillAtMost(Option<u8>),
    Delay(u64),
}

fn doing() -> impl Strategy<Value = Doing> {
    let size = || (180u64..196, 100u64..50_000);
    prop_oneof![
        4 => size().prop_map(|(steps, lots)| Doing::Buy(steps, lots)),
        2 => size().prop_map(|(steps, lots)| Doing::Sell(steps, lots)),
        2 => (1u64..30).prop_map(Doing::Cancel),
        2 => size().prop_map(|(steps, lots)| Doing::Quote(Side::Sell, steps, lots)),
        1 => size().prop_map(|(steps, lots)| Doing::Quote(Side::Buy, steps, lots)),
        1 => Just(Doing::Step),
        1 => prop::option::of(0u8..100).prop_map(Doing::FillAtMost),
        1 => (0u64..5).prop_map(Doing::Delay),
    ]
}

fn does(exchange: &mut Exchange, doing: &Doing, now_ms: u64) {
    let limit = |steps| Pricing::Limit(Steps(steps));
    match *doing {
        Doing::Buy(steps, lots) => {
            drop(
                exchange
                    .create(NewOrder { side: Side::Buy, pricing: limit(steps), lots: Lots(lots), cid: None }, now_ms),
            );
        }
        Doing::Sell(steps, lots) => {
            drop(
                exchange
                    .create(NewOrder { side: Side::Sell, pricing: limit(steps), lots: Lots(lots), cid: None }, now_ms),
            );
        }
        Doing::Cancel(order_id) => drop(exchange.cancel(order_id, now_ms)),
        Doing::Quote(side, steps, lots) => exchange.quote(side, Steps(steps), Lots(lots), now_ms),
        Doing::Step => exchange.step_market(now_ms),
        Doing::FillAtMost(percent) => exchange.faults.fill_percent_max = percent,
        Doing::Delay(ms) => exchange.faults.matching_delay_ms = ms,
    }
}

proptest! {
    #[test]
    fn whatever_happens_coins_are_conserved_nothing_is_overdrawn_and_the_book_is_not_crossed(
        day in prop::collection::vec(doing(), 1..80),
    ) {
        let market = MarketConfig { levels: 3, lots_min: Lots(50), lots_max: Lots(5_000), ..MarketConfig::default() };
        let mut exchange = Exchange::new(2_000, market.clone(), []);
        exchange.set_balance(Holdings { satoshi: BTC, droplets: 1_000_000_000 });
        let mut changes = vec![];
        for (now_ms, doing) in day.iter().enumerate() {
            does(&mut exchange, doing, now_ms as u64);
            changes.extend(exchange.take_changes());
            let frozen = exchange.frozen();
            let desk = exchange.account.desk;
            prop_assert_eq!(sum(&exchange), Holdings::default());
            prop_assert!(0 <= frozen.satoshi && exchange.account.frozen.satoshi <= desk.satoshi, "{:?} of {:?}", frozen, desk);
            prop_assert!(0 <= frozen.droplets && frozen.droplets <= desk.droplets, "{:?} of {:?}", frozen, desk);
            if let (Some(bid), Some(ask)) = exchange.best() {
                prop_assert!(bid < ask);
            }
            for order in &exchange.account.orders {
                prop_assert!(order.filled() <= order.lots);
            }
        }
        let reopened = Exchange::new(2_000, market, changes);
        prop_assert_eq!(reopened.account.desk, exchange.account.desk);
        prop_assert_eq!(reopened.account.frozen, exchange.account.frozen);
        prop_assert_eq!(&reopened.account.orders, &exchange.account.orders);
    }
}
