//! Lost requests, lost replies, restarts, refusals, books that lie, holds.

use super::*;
use crate::market::NoQuote;
use millrace_model::purchase::OrderIntent;
use millrace_protocols::wire::c2cx::Status;

const DEEP: &[(&str, &str)] = &[("0.002", "1000")];

fn requests(house: &House) -> Vec<OrderIntent> {
    house.venue.world().requests.clone()
}

fn intended(house: &House, number: u128) -> Vec<OrderIntent> {
    let order = |event| if let Event::OrderIntended(intended) = event { Some(intended.order) } else { None };
    house.events(number).into_iter().filter_map(order).collect()
}

async fn with_faults(faults: &[Fault]) -> House {
    let house = house("10", DEEP).await;
    house.venue.world().faults.extend(faults);
    house.decided(1, "0.2").await;
    house
}

/// X1: a lost reply leads to one order.
#[tokio::test(start_paused = true)]
async fn a_lost_reply_leads_to_one_order() {
    let house = with_faults(&[Fault::LoseReply]).await;
    house.until_owed(1).await;
    house.judge(1);
    assert_eq!((requests(&house).len(), house.venue.world().orders.len()), (2, 1));
    assert_eq!(requests(&house)[0], requests(&house)[1]);
}

/// X1: a lost request is repeated word for word.
#[tokio::test(start_paused = true)]
async fn a_lost_request_is_repeated_word_for_word() {
    let house = with_faults(&[Fault::LoseRequest, Fault::LoseRequest, Fault::Throttle]).await;
    house.until_owed(1).await;
    house.judge(1);
    assert_eq!(house.venue.world().orders.len(), 1);
    assert!(requests(&house).iter().all(|request| *request == intended(&house, 1)[0]));
}

/// X11: the id that was intended is asked for again, whether it arrived or not.
#[tokio::test(start_paused = true)]
async fn after_a_restart_an_open_intention_is_repeated_under_the_same_id() {
    for arrived in [false, true] {
        let mut house = with_faults(&[if arrived { Fault::LoseReply } else { Fault::Hang }]).await;
        house.until_requested().await;
        house.restart().await;
        house.until_owed(1).await;
        house.judge(1);
        assert_eq!(intended(&house, 1).len(), 1);
        assert_eq!(requests(&house), vec![intended(&house, 1)[0].clone(); 2]);
        assert_eq!(house.venue.world().orders.len(), 1);
    }
}

/// X7: a promise outlives a restart.
#[tokio::test(start_paused = true)]
async fn the_funds_of_an_open_intention_stay_promised_over_a_restart() {
    let mut house = house("0.25", DEEP).await;
    house.venue.world().faults.extend([Fault::Hang, Fault::Hang]);
    house.decided(1, "0.2").await;
    house.until("intended", |house| house.deposit(1).purchase.unwrap().open_order().is_some()).await;
    house.restart().await;
    house.decided(2, "0.1").await;
    assert!(house.until_reported("funds").await.contains("has 0.05000000"));
    assert!(intended(&house, 2).is_empty());
}

/// X2: filled in part and cancelled, only the rest is ordered again.
#[tokio::test(start_paused = true)]
async fn what_is_not_filled_is_cancelled_and_only_the_rest_is_ordered_again() {
    let house = house("10", DEEP).await;
    house.venue.world().fill_max = Some(sky("33.34"));
    house.decided(1, "0.2").await;
    house.until_owed(1).await;
    house.judge(1);
    let quantities: Vec<_> = intended(&house, 1).into_iter().map(|order| order.quantity).collect();
    assert_eq!(quantities, [sky("100"), sky("66.66"), sky("33.32")]);
    assert_eq!(house.deposit(1).payout.unwrap().amount, sky("100"));
}

/// X3: a refused attempt is followed by another id.
#[tokio::test(start_paused = true)]
async fn a_refused_order_is_followed_by_another_under_a_new_id() {
    let house = with_faults(&[Fault::Refuse]).await;
    house.until_owed(1).await;
    house.judge(1);
    let cids: Vec<_> = requests(&house).into_iter().map(|order| order.cid).collect();
    assert_eq!(cids, [1, 2].map(|attempt| cid(1, attempt)));
}

#[tokio::test(start_paused = true)]
async fn a_deposit_whose_orders_are_all_refused_is_held() {
    let house = with_faults(&[Fault::Refuse; 5]).await;
    let held = |house: &House| matches!(&house.deposit(1).stage, Stage::Held { reason, .. } if *reason == HoldReason::PurchaseStopped);
    house.until("held", held).await;
    assert_eq!((requests(&house).len(), house.market.reserved()), (5, Amount::ZERO));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_nowhere_is_held_and_goes_on_when_released() {
    let house = with_faults(&[Fault::Pretend; 5]).await;
    let held = |house: &House| matches!(&house.deposit(1).stage, Stage::Held { reason, .. } if *reason == HoldReason::OrderUnaccounted);
    house.until("held", held).await;
    assert_eq!(requests(&house).len(), 5);
    house.deposits.execute(id(1), &Command::Release { note: "it was never there".into() }).await.unwrap();
    house.until_owed(1).await;
    house.judge(1);
    assert_eq!(intended(&house, 1).len(), 1);
}

/// X5: empty, stale, crossed: no order, no quote, a reason, and on it goes.
#[tokio::test(start_paused = true)]
async fn nothing_is_ordered_from_a_book_that_cannot_be_trusted() {
    for (shown, text) in [
        (Shown::Empty, "not buying: nobody sells"),
        (Shown::Stale, "not buying: the order book is stale"),
        (Shown::Crossed, "not buying: the order book is crossed"),
    ] {
        let house = house("10", DEEP).await;
        house.venue.world().shown = shown;
        house.market.ask_again(PATIENCE).await;
        house.market.ask_again(PATIENCE).await;
        assert_eq!(house.market.best_ask(), None);
        assert_eq!(house.market.quote(btc("0.1")), Err(NoQuote::Untrusted));
        house.decided(1, "0.2").await;
        assert_eq!(house.until_reported("market").await, text);
        assert!(requests(&house).is_empty());
        house.venue.world().shown = Shown::AsItIs;
        house.until_owed(1).await;
        house.judge(1);
    }
}

/// X5: a price above the band is not paid, and the reason is said.
#[tokio::test(start_paused = true)]
async fn a_price_beyond_the_band_is_not_paid() {
    let house = house("10", &[("0.0021", "1000")]).await;
    house.decided(1, "0.2").await;
    assert_eq!(house.until_reported("market").await, "not buying: the price 0.0021 is above 0.00206");
    assert!(requests(&house).is_empty());
}

/// X10: six refusals: a report, no crash, one order in the end.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_accepted_is_reported_and_the_purchase_goes_on_once_it_is() {
    let house = with_faults(&[Fault::Unauthorised; 6]).await;
    let report = house.until_reported("c2cx").await;
    assert!(report.contains("does not accept our key"), "{report}");
    house.until_owed(1).await;
    house.judge(1);
    assert!(requests(&house).iter().all(|request| *request == intended(&house, 1)[0]));
    assert_eq!((requests(&house).len(), house.venue.world().orders.len()), (7, 1));
    let part = house.tree.health().part(PART).unwrap();
    assert!(part.is_well() && part.restarts == 0, "{part:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deposit_that_is_held_orders_nothing_more_and_its_fills_are_recorded() {
    let house = house("10", DEEP).await;
    house.venue.world().fill_max = Some(sky("10"));
    house.decided(1, "0.2").await;
    house.until("partly bought", |house| !house.deposit(1).purchase.unwrap().bought().is_zero()).await;
    let reason = HoldReason::Operator { note: "wait".into() };
    house.deposits.execute(id(1), &Command::Hold { reason }).await.unwrap();
    house.until("settled", |house| house.deposit(1).purchase.unwrap().open_order().is_none()).await;
    assert_eq!(house.deposit(1).purchase.unwrap().bought(), sky("10"));
    assert_eq!(requests(&house).len(), 1);
    house.venue.world().fill_max = None;
    house.deposits.execute(id(1), &Command::Release { note: "go on".into() }).await.unwrap();
    house.until_owed(1).await;
    house.judge(1);
}

/// D3: the order is cancelled and read to its end, nothing more is ordered, and the funds are free again.
#[tokio::test(start_paused = true)]
async fn a_purchase_whose_deposit_was_undone_and_spent_elsewhere_ends_with_its_order_and_is_written_off() {
    let house = house("10", DEEP).await;
    house.venue.world().fill_max = Some(sky("10"));
    house.decided(1, "0.2").await;
    house.until("partly bought", |house| !house.deposit(1).purchase.unwrap().bought().is_zero()).await;
    house.deposits.execute(id(1), &Command::ObserveOrphaned).await.unwrap();
    let gone = Command::ObserveVanished { replaced_by: Some(Hash32([9; 32])) };
    house.deposits.execute(id(1), &gone).await.unwrap();
    house.until("ended", |house| house.deposit(1).is_finished()).await;
    let Some(Event::WrittenOff(ended)) = house.events(1).pop() else { panic!("{:?}", house.events(1)) };
    assert_eq!((ended.bought, ended.spent), (sky("10"), btc("0.02")));
    // A balance that was read after the order shows it.
    house.market.ask_again(PATIENCE).await;
    house.market.ask_again(PATIENCE).await;
    house.until("free", |house| house.market.reserved().is_zero()).await;
    assert!(house.venue.world().orders.values().all(|order| order.status != Status::Active), "an order is open");
    assert_eq!(requests(&house).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_may_have_been_sent_is_only_looked_for_while_the_deposit_is_held() {
    let mut house = with_faults(&[Fault::Hang]).await;
    house.until_requested().await;
    house.tree.stop(PART).await.unwrap();
    let reason = HoldReason::Operator { note: "wait".into() };
    house.deposits.execute(id(1), &Command::Hold { reason }).await.unwrap();
    house.restart().await;
    house.until_reported("c2cx").await;
    assert!(house.venue.world().orders.is_empty());
    house.deposits.execute(id(1), &Command::Release { note: "go on".into() }).await.unwrap();
    house.until_owed(1).await;
    house.judge(1);
}

/// X3: forty deposits through faults and restarts: no id came with another order.
#[tokio::test(start_paused = true)]
async fn through_faults_and_restarts_everybody_gets_what_was_bought_for_him() {
    const MANY: u128 = 40;
    let mut house = house("2", &[("0.002", "300"), ("0.00202", "5000")]).await;
    let faults = [Fault::LoseReply, Fault::LoseRequest, Fault::Refuse, Fault::Throttle, Fault::LoseReply];
    house.venue.world().faults.extend(faults.iter().cycle().take(60));
    for number in 0..MANY {
        house.decided(number, "0.03").await;
    }
    for placed in [5, 15, 25] {
        house.until("on its way", |house| house.venue.world().orders.len() >= placed).await;
        house.restart().await;
    }
    house.venue.world().fill_max = Some(sky("7"));
    house.until("on its way", |house| house.venue.world().orders.len() >= 50).await;
    house.restart().await;
    house.venue.world().fill_max = None;
    for number in 0..MANY {
        house.until_owed(number).await;
    }
    (0..MANY).for_each(|number| house.judge(number));
}

/// X11: also when the log has forgotten it.
/// O5: a forgotten purchase is taken up.
#[tokio::test(start_paused = true)]
async fn what_the_log_has_forgotten_is_found_at_the_exchange_and_not_bought_again() {
    let mut house = house("10", DEEP).await;
    // The first order is refused, the others are filled in part.
    house.venue.world().fill_max = Some(sky("33.34"));
    house.venue.world().faults = [Fault::Refuse, Fault::LoseReply].into();
    house.decided(1, "0.2").await;
    house.until_owed(1).await;
    let bought = house.venue.world().bought(&cid_start(1));
    let taken = house.venue.world().orders.len();
    let before = requests(&house).len();
    house.lose_log().await;
    house.venue.world().fill_max = None;
    house.decided(1, "0.2").await;
    house.until_owed(1).await;
    house.judge(1);
    assert_eq!(house.venue.world().bought(&cid_start(1)), bought);
    assert_eq!(house.venue.world().orders.len(), taken);
    let taken: Vec<_> = house.venue.world().orders.values().map(|entry| entry.intent.clone()).collect();
    assert!(requests(&house)[before..].iter().all(|order| taken.contains(order)));
}
