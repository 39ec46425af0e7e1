//! Purchases told step by step; time is moved by hand.

use super::*;
use crate::book::Level;
use crate::wire::c2cx::BTC_SKY_RULES;
use millrace_model::purchase::{OrderState, Purchase};

mod adversity;

const DEPOSIT: &str = "a deposit";

fn btc(text: &str) -> Amount<Btc> {
    text.parse().unwrap()
}

fn sky(text: &str) -> Amount<Sky> {
    text.parse().unwrap()
}

fn levels(levels: &[(&str, &str)]) -> Vec<Level> {
    let level =
        |(price, volume): &(&str, &str)| Level { price: price.parse().unwrap(), volume: volume.parse().unwrap() };
    levels.iter().map(level).collect()
}

/// A purchase with the market around it.
struct Desk {
    machine: Machine,
    asks: Vec<(&'static str, &'static str)>,
    bids: Vec<(&'static str, &'static str)>,
    available: Amount<Btc>,
    book_ms: u64,
    now_ms: u64,
    recorded: Vec<Fact>,
}

fn desk(budget: &str, asks: &[(&'static str, &'static str)]) -> Desk {
    let (now_ms, policy) = (1_000_000, Policy::new(BTC_SKY_RULES));
    let reference = "0.00189".parse().unwrap();
    Desk {
        machine: Machine::new(Purchase::new(btc(budget)), DEPOSIT, reference, policy, now_ms),
        asks: asks.to_vec(),
        bids: vec![("0.0018", "100")],
        available: btc("10"),
        book_ms: now_ms,
        now_ms,
        recorded: vec![],
    }
}

fn order(state: OrderState, completed: &str, average: &str) -> VenueOrder {
    let seen =
        OrderObservation { completed: sky(completed), avg_price: average.parse().ok(), fee: Amount::ZERO, state };
    VenueOrder { order_id: 7, cid: None, price: None, quantity: Amount::ZERO, seen }
}

impl Desk {
    fn step(&mut self) -> Step {
        let book = Book::new(levels(&self.asks), levels(&self.bids), self.book_ms);
        let market = Market { book: Some((&book, self.book_ms)), available: Some(self.available) };
        self.machine.poll_step(&market, self.now_ms)
    }

    fn fresh_book(&mut self) -> &mut Self {
        self.book_ms = self.now_ms;
        self
    }

    fn after(&mut self, ms: u64) -> &mut Self {
        self.now_ms += ms;
        self.fresh_book()
    }

    fn records(&mut self) -> Fact {
        let Step::Record(fact) = self.step() else { panic!("{:?}", self.step()) };
        self.machine.handle_recorded(self.now_ms);
        self.recorded.push(fact.clone());
        fact
    }

    fn intends(&mut self) -> OrderIntent {
        let Fact::Intended(order) = self.records() else { panic!("{:?}", self.recorded) };
        order
    }

    fn places(&mut self) -> OrderIntent {
        let Step::Place(order) = self.step() else { panic!("{:?}", self.step()) };
        order
    }

    fn waits(&mut self) -> (u64, Waiting) {
        let Step::Wait { until_ms, why } = self.step() else { panic!("{:?}", self.step()) };
        (until_ms - self.now_ms, why)
    }

    fn finds(&mut self) -> u32 {
        let Step::FindByCid { page, .. } = self.step() else { panic!("{:?}", self.step()) };
        page
    }

    fn replied(&mut self, reply: PlaceReply) -> &mut Self {
        self.machine.handle_place(reply, self.now_ms);
        self
    }

    fn listed(&mut self, reply: ListingReply) -> &mut Self {
        self.machine.handle_listing(reply, self.now_ms);
        self
    }

    fn reads(&mut self, shown: VenueOrder) -> &mut Self {
        assert_eq!(self.step(), Step::Read { order_id: 7 });
        self.machine.handle_read(ReadReply::Order(shown), self.now_ms);
        self
    }

    fn restart(&mut self) -> &mut Self {
        let purchase = self.machine.purchase().clone();
        let policy = Policy::new(BTC_SKY_RULES);
        self.machine = Machine::new(purchase, DEPOSIT, "0.00189".parse().unwrap(), policy, self.now_ms);
        self
    }

    /// Intends, places and records the placing of one order.
    fn with_open_order(mut self) -> Self {
        self.intends();
        self.places();
        self.replied(PlaceReply::Placed { order_id: 7 });
        assert_eq!(self.records(), Fact::Placed { order_id: 7 });
        self
    }
}

const UNKNOWN: PlaceReply = PlaceReply::Failed(Failure::Unavailable);

#[test]
fn the_cheapest_ask_is_taken_whole_when_what_remains_can_pay_it() {
    let order = desk("1", &[("0.00189", "32.43"), ("0.0019", "100")]).intends();
    assert_eq!((order.price.to_string().as_str(), order.quantity, order.attempt), ("0.00189", sky("32.43"), 1));
    assert_eq!(order.cid, ClientOrderId::for_attempt(DEPOSIT, 1));
}

#[test]
fn an_order_is_capped_by_what_remains_and_cut_to_the_markets_steps() {
    let order = desk("0.01", &[("0.00189", "32.43")]).intends();
    assert_eq!(order.quantity, sky("5.29"));
}

#[test]
fn dust_on_top_of_the_book_is_taken_together_with_the_level_that_makes_up_a_smallest_order() {
    let asks = [("0.00189", "0.4"), ("0.0019", "0.5"), ("0.00191", "0.3"), ("0.00192", "50")];
    let order = desk("1", &asks).intends();
    assert_eq!((order.price.to_string().as_str(), order.quantity), ("0.00191", sky("1.2")));
}

#[test]
fn dust_over_a_price_that_the_rest_cannot_pay_ends_a_purchase_only_when_it_bought_something() {
    let asks = [("0.00189", "0.4"), ("0.0019", "0.6")];
    let (_, why) = desk("0.001895", &asks).waits();
    assert_eq!(why, Waiting::Market(MarketTrouble::TooThin));

    let mut later = desk("0.020795", &[("0.00189", "10")]).with_open_order();
    later.reads(order(OrderState::Filled, "10", "0.00189")).records();
    later.asks = asks.to_vec();
    assert!(matches!(later.step(), Step::Finish(Outcome { remainder, .. }) if remainder == btc("0.001895")));
}

#[test]
fn an_order_is_recorded_as_intended_before_it_is_placed() {
    let mut desk = desk("0.1", &[("0.00189", "32.43")]);
    let Step::Record(Fact::Intended(intended)) = desk.step() else { panic!() };
    assert_eq!(desk.step(), Step::Record(Fact::Intended(intended.clone())), "said until it is done");
    desk.records();
    assert_eq!(desk.places(), intended);
}

#[test]
fn without_funds_for_all_that_remains_and_its_fee_nothing_is_begun() {
    let mut desk = desk("1", &[("0.00189", "32.43")]);
    desk.available = btc("1.00199999");
    let needed = btc("1.002");
    let why = Waiting::Funds { needed, available: Some(desk.available) };
    assert_eq!(desk.waits(), (500, why));
    desk.available = needed;
    desk.intends();
}

#[test]
fn funds_that_went_to_another_deposit_meanwhile_are_waited_for() {
    let mut desk = desk("1", &[("0.00189", "32.43")]);
    assert!(matches!(desk.step(), Step::Record(Fact::Intended(_))));
    desk.machine.handle_not_reserved(desk.now_ms);
    assert_eq!(desk.waits(), (500, Waiting::Retry(Trouble::FundsTaken)));
    assert_eq!(desk.after(500).intends().attempt, 1);
}

/// X5: it is waited for with growing pauses.
#[test]
fn a_market_that_cannot_be_trusted_or_is_too_dear_is_waited_for() {
    let market = |desk: &mut Desk| match desk.waits() {
        (500, Waiting::Market(trouble)) => trouble,
        other => panic!("{other:?}"),
    };
    let mut stale = desk("1", &[("0.00189", "32.43")]);
    stale.now_ms += 15_001;
    assert_eq!(market(&mut stale), MarketTrouble::Book(BookTrouble::Stale));
    assert_eq!(market(&mut desk("1", &[])), MarketTrouble::Book(BookTrouble::Empty));
    assert_eq!(market(&mut desk("1", &[("0.0018", "1")])), MarketTrouble::Book(BookTrouble::Crossed));
    let (price, limit) = ("0.00195".parse().unwrap(), "0.0019467".parse().unwrap());
    assert_eq!(market(&mut desk("1", &[("0.00195", "9")])), MarketTrouble::AboveBand { price, limit });
    assert_eq!(desk("1", &[("0.00194", "9")]).intends().quantity, sky("9"));
}

/// X5: nor does dust lead there.
#[test]
fn dust_does_not_lead_an_order_out_of_the_band() {
    let (_, why) = desk("1", &[("0.00189", "0.5"), ("0.002", "9")]).waits();
    assert!(matches!(why, Waiting::Market(MarketTrouble::AboveBand { .. })), "{why:?}");
}

#[test]
fn what_is_below_the_smallest_order_at_the_best_ask_is_the_remainder() {
    let mut desk = desk("0.0208", &[("0.00189", "10")]).with_open_order();
    desk.reads(order(OrderState::Filled, "10", "0.00189")).records();
    desk.asks = vec![("0.00191", "10")];
    let (bought, spent, remainder) = (sky("10"), btc("0.0189"), btc("0.0019"));
    assert_eq!(desk.step(), Step::Finish(Outcome { bought, spent, fee: Amount::ZERO, remainder }));
}

#[test]
fn the_next_order_waits_for_a_book_read_after_the_end_of_the_last() {
    let mut desk = desk("1", &[("0.00189", "10")]).with_open_order();
    desk.now_ms += 10;
    desk.reads(order(OrderState::Filled, "10", "0.00189")).records();
    assert_eq!(desk.waits().1, Waiting::Market(MarketTrouble::Unread));
    assert_eq!(desk.fresh_book().intends().attempt, 2);
}

/// X2: fills that come during the cancellation count.
#[test]
fn an_order_not_filled_in_time_is_cancelled_its_fills_count_and_the_rest_is_ordered_anew() {
    let mut desk = desk("0.1", &[("0.00189", "50")]).with_open_order();
    desk.reads(order(OrderState::Open, "0", ""));
    assert_eq!(desk.waits(), (250, Waiting::Fill));
    desk.after(250).reads(order(OrderState::Open, "3", "0.00189"));
    assert!(matches!(desk.records(), Fact::Observed(_)));
    desk.after(750).reads(order(OrderState::Open, "3", "0.00189"));
    assert_eq!(desk.records(), Fact::CancelIntended);
    assert_eq!(desk.step(), Step::Cancel { order_id: 7 });
    desk.machine.handle_cancel(CancelReply::Accepted, desk.now_ms);
    desk.reads(order(OrderState::Cancelling, "3", "0.00189"));
    assert_eq!(desk.waits(), (250, Waiting::Cancellation));
    desk.after(250).reads(order(OrderState::Cancelled, "4", "0.00189")).records();
    let next = desk.fresh_book().intends();
    assert_eq!((next.attempt, next.cid), (2, ClientOrderId::for_attempt(DEPOSIT, 2)));
    assert_eq!(next.quantity, sky("48.91"), "what 0.1 - 4 x 0.00189 pays");
}

/// X4: a cancellation without effect is asked for again.
#[test]
fn a_cancellation_is_asked_for_again_while_the_order_stays_open() {
    let mut desk = desk("0.1", &[("0.00189", "50")]).with_open_order();
    desk.reads(order(OrderState::Open, "0", "")).after(1_000).reads(order(OrderState::Open, "0", "")).records();
    desk.machine.handle_cancel(CancelReply::Failed(Failure::Unavailable), desk.now_ms);
    desk.after(500).reads(order(OrderState::Open, "0", ""));
    assert_eq!(desk.after(1_500).step(), Step::Cancel { order_id: 7 });
}

/// X1: the identical request, for as long as it takes.
#[test]
fn after_an_unknown_outcome_the_identical_request_is_repeated_for_as_long_as_it_takes() {
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    let intended = desk.intends();
    let mut pauses = vec![];
    for _ in 0..12 {
        assert_eq!(desk.places(), intended);
        let (pause_ms, why) = desk.replied(UNKNOWN).waits();
        assert_eq!(why, Waiting::Retry(Trouble::Unavailable));
        pauses.push(pause_ms);
        // the market moves on; the order does not
        desk.asks = vec![("0.0019", "1")];
        desk.after(pause_ms);
    }
    assert_eq!((pauses[0], pauses[1], pauses[11]), (500, 1_000, 60_000));
    desk.places();
    assert_eq!(desk.replied(PlaceReply::Placed { order_id: 7 }).records(), Fact::Placed { order_id: 7 });
}

#[test]
fn an_order_that_exists_is_found_in_the_listing_and_followed() {
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    let intended = desk.intends();
    desk.replied(UNKNOWN).after(500).replied(PlaceReply::CidExists);
    let other = order(OrderState::Filled, "1", "0.00189");
    let ours = VenueOrder {
        order_id: 42,
        cid: Some(intended.cid.to_string()),
        price: Some(intended.price),
        quantity: intended.quantity,
        seen: other.seen.clone(),
    };
    assert_eq!(desk.finds(), 1);
    assert_eq!(desk.listed(ListingReply::Page(vec![other])).finds(), 2);
    let (pause_ms, _) = desk.listed(ListingReply::Failed(Failure::Throttled)).waits();
    assert_eq!(desk.after(pause_ms).finds(), 2, "the same page again");
    assert_eq!(desk.listed(ListingReply::LastPage(vec![ours])).records(), Fact::Placed { order_id: 42 });
    assert_eq!(desk.step(), Step::Read { order_id: 42 });
}

#[test]
fn an_order_that_exists_and_is_in_no_complete_listing_is_held_as_unaccounted() {
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    let cid = desk.intends().cid;
    for attempt in 1..=5 {
        desk.places();
        assert_eq!(desk.replied(PlaceReply::CidExists).finds(), 1);
        desk.listed(ListingReply::LastPage(vec![]));
        if attempt < 5 {
            let (pause_ms, why) = desk.waits();
            assert_eq!(why, Waiting::Retry(Trouble::Contradiction));
            desk.after(pause_ms);
        }
    }
    assert_eq!(desk.step(), Step::Hold(HoldReason::Unaccounted { cid }));
    assert_eq!(desk.recorded.len(), 1, "no second order was intended");
}

fn forgotten(attempt: u32, price: &str, quantity: &str) -> VenueOrder {
    VenueOrder {
        cid: Some(ClientOrderId::for_attempt(DEPOSIT, attempt).to_string()),
        price: Some(price.parse().unwrap()),
        quantity: sky(quantity),
        ..order(OrderState::Filled, quantity, price)
    }
}

/// X9: an order with the deposit's own id is taken up.
#[test]
fn orders_that_the_facts_have_forgotten_are_intended_as_they_are() {
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    let strangers =
        [VenueOrder { cid: Some("other-1".into()), ..forgotten(1, "0.002", "1") }, order(OrderState::Open, "0", "")];
    desk.machine.remember([forgotten(1, "0.00185", "20")].into_iter().chain(strangers));
    // Not what the market offers, nor what is in the account.
    desk.available = btc("0");
    let intended = desk.intends();
    assert_eq!((intended.price, intended.quantity), ("0.00185".parse().unwrap(), sky("20")));
    assert!(desk.machine.is_forgotten(&intended));
    assert_eq!(desk.places(), intended);
    desk.replied(PlaceReply::CidExists).listed(ListingReply::LastPage(vec![forgotten(1, "0.00185", "20")]));
    desk.records();
    desk.reads(forgotten(1, "0.00185", "20")).records();
    assert_eq!((desk.machine.purchase().bought(), desk.machine.purchase().spent()), (sky("20"), btc("0.037")));
    desk.available = btc("10");
    desk.book_ms = desk.now_ms;
    let next = desk.intends();
    assert!(!desk.machine.is_forgotten(&next));
}

/// X3: a number that the log has forgotten is not used again.
#[test]
fn a_number_that_only_later_orders_followed_is_not_used_again() {
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    desk.machine.remember([forgotten(2, "0.00185", "20")]);
    assert_eq!(desk.intends().attempt, 1);
    assert!(matches!(desk.records(), Fact::Refused { .. }), "it is never sent");
    let mut desk = desk_with_an_intended_order();
    desk.machine.remember([forgotten(2, "0.00185", "20")]);
    assert!(matches!(desk.step(), Step::Record(Fact::Refused { .. })));
    let mut desk = desk_with_an_intended_order();
    desk.machine.remember([]);
    assert!(matches!(desk.step(), Step::Place(_)));
}

fn desk_with_an_intended_order() -> Desk {
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    desk.intends();
    let purchase = desk.machine.purchase().clone();
    desk.machine = Machine::new(purchase, DEPOSIT, "0.00189".parse().unwrap(), Policy::new(BTC_SKY_RULES), desk.now_ms);
    desk
}

/// X9: another order under such an id is not.
#[test]
fn another_order_under_our_id_is_not_taken_for_ours() {
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    let cid = Some(desk.intends().cid.to_string());
    desk.replied(PlaceReply::CidExists);
    let other = VenueOrder { cid, ..order(OrderState::Filled, "9", "0.00189") };
    desk.listed(ListingReply::LastPage(vec![other]));
    assert_eq!(desk.step(), Step::Hold(HoldReason::Mismatch { order_id: 7 }));
}

/// X3: the next attempt has its own id.
#[test]
fn a_refusal_of_the_only_request_frees_the_way_for_a_new_order_under_a_new_id() {
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    let first = desk.intends();
    let refused = Fact::Refused { reason: "no".into() };
    assert_eq!(desk.replied(PlaceReply::Refused { reason: "no".into() }).records(), refused);
    let (pause_ms, why) = desk.waits();
    assert_eq!((pause_ms, why), (500, Waiting::Retry(Trouble::Refused)));
    let second = desk.after(500).intends();
    assert!(second.cid != first.cid && second.attempt == 2);
}

/// X1: a refusal after an unknown outcome frees nothing.
#[test]
fn a_refusal_after_an_unknown_outcome_proves_nothing() {
    let mut lost = desk("0.1", &[("0.00189", "50")]);
    lost.intends();
    lost.replied(UNKNOWN).after(500);
    let mut restarted = desk("0.1", &[("0.00189", "50")]);
    restarted.intends();
    for desk in [&mut lost, restarted.restart()] {
        let intended = desk.places();
        assert_eq!(desk.replied(PlaceReply::Refused { reason: "symbol not exists".into() }).finds(), 1);
        let (pause_ms, _) = desk.listed(ListingReply::LastPage(vec![])).waits();
        assert_eq!(desk.after(pause_ms).places(), intended);
    }
}

/// X10: not being let in says nothing about an order.
#[test]
fn being_throttled_or_not_let_in_is_no_answer_at_all() {
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    let intended = desk.intends();
    for (failure, trouble, pause_ms) in
        [(Failure::Throttled, Trouble::Throttled, 5_000), (Failure::NotAuthorised, Trouble::NotAuthorised, 1_000)]
    {
        desk.replied(PlaceReply::Failed(failure));
        assert_eq!(desk.waits(), (pause_ms, Waiting::Retry(trouble)));
        assert_eq!(desk.after(pause_ms).places(), intended);
    }
    assert_eq!(desk.replied(PlaceReply::TooSmall { reason: "small".into() }).step(), {
        Step::Record(Fact::Refused { reason: "small".into() })
    });
}

#[test]
fn order_after_order_refused_holds_the_purchase() {
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    for _ in 0..5 {
        desk.intends();
        desk.replied(PlaceReply::Refused { reason: "no".into() }).records();
        desk.after(60_000);
    }
    assert_eq!(desk.step(), Step::Hold(HoldReason::Refused { reason: "no".into() }));
}

#[test]
fn what_the_exchange_called_too_small_is_not_tried_again() {
    let mut desk = desk("0.1", &[("0.00189", "2"), ("0.0019", "3")]);
    desk.intends();
    desk.replied(PlaceReply::TooSmall { reason: "limit value: 3".into() }).records();
    let next = desk.after(500).intends();
    assert_eq!((next.price.to_string().as_str(), next.quantity), ("0.0019", sky("5")));
}

#[test]
fn every_order_may_be_stopped_and_what_it_bought_counts() {
    let mut desk = desk("0.1", &[("0.00189", "50")]).with_open_order();
    desk.reads(order(OrderState::Open, "3", "0.00189")).records();
    desk.machine.request_stop();
    assert_eq!(desk.records(), Fact::CancelIntended);
    assert_eq!(desk.step(), Step::Cancel { order_id: 7 });
    desk.machine.handle_cancel(CancelReply::Refused, desk.now_ms);
    desk.reads(order(OrderState::Filled, "50", "0.00189")).records();
    assert!(matches!(desk.step(), Step::Stop(Outcome { bought, .. }) if bought == sky("50")));
}

#[test]
fn an_order_that_was_never_sent_is_given_up_when_the_purchase_is_stopped() {
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    desk.intends();
    desk.machine.request_stop();
    assert!(matches!(desk.records(), Fact::Refused { .. }));
    assert!(matches!(desk.after(60_000).step(), Step::Stop(Outcome { bought: Amount::ZERO, .. })));
}

#[test]
fn an_order_that_may_have_been_sent_is_looked_for_and_not_sent_when_the_purchase_is_stopped() {
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    let intent = desk.intends();
    desk.restart().machine.request_stop();
    assert_eq!(desk.finds(), 1);
    desk.listed(ListingReply::LastPage(vec![])).after(60_000);
    assert_eq!(desk.finds(), 1);
    let cid = Some(intent.cid.to_string());
    let found = order(OrderState::Open, "0", "");
    let found = VenueOrder { cid, price: Some(intent.price), quantity: intent.quantity, ..found };
    desk.listed(ListingReply::LastPage(vec![found]));
    assert_eq!(desk.records(), Fact::Placed { order_id: 7 });
}
