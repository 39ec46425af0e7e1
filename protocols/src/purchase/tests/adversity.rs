//! Contradictions, restarts, and a purchase against an exchange that loses requests and replies at random.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// X4: what cannot be cancelled is read to its end.
#[test]
fn an_order_that_cannot_be_cancelled_is_read_to_its_end() {
    let mut desk = desk("0.1", &[("0.00189", "50")]).with_open_order();
    desk.reads(order(OrderState::Open, "0", "")).after(1_000).reads(order(OrderState::Open, "0", "")).records();
    desk.machine.handle_cancel(CancelReply::Refused, desk.now_ms);
    desk.reads(order(OrderState::Filled, "50", "0.00189"));
    assert!(matches!(desk.records(), Fact::Observed(seen) if seen.completed == sky("50")));
}

/// X4: an order that the exchange does not know any more is held for a person, not taken for unfilled.
#[test]
fn an_order_the_exchange_forgot_is_held_after_a_few_readings() {
    let mut desk = desk("0.1", &[("0.00189", "50")]).with_open_order();
    for _ in 0..5 {
        desk.moves_on_to_a_reading();
        desk.machine.handle_read(ReadReply::NoSuchOrder, desk.now_ms);
    }
    assert_eq!(desk.step(), Step::Hold(HoldReason::Vanished { order_id: 7 }));
}

/// X2: fills that cannot be are not booked.
#[test]
fn fills_that_shrink_grow_beyond_the_order_or_its_price_are_not_booked() {
    let held = |shown: VenueOrder| {
        let mut desk = desk("0.1", &[("0.00189", "50")]).with_open_order();
        desk.reads(order(OrderState::Open, "3", "0.00189")).records();
        for _ in 0..5 {
            if !matches!(desk.step(), Step::Hold(_)) {
                desk.moves_on_to_a_reading();
                desk.reads(shown.clone());
            }
        }
        assert_eq!(desk.machine.purchase().bought(), sky("3"));
        desk.step()
    };
    let nonsense = |problem| Step::Hold(HoldReason::Nonsense { order_id: 7, problem });
    assert_eq!(held(order(OrderState::Cancelled, "2", "0.00189")), nonsense(FactError::Shrank));
    assert_eq!(held(order(OrderState::Filled, "50.01", "0.00189")), nonsense(FactError::Overfilled));
    let dear = held(order(OrderState::Filled, "50", "0.0019"));
    assert_eq!(dear, Step::Hold(HoldReason::AboveLimit { order_id: 7 }));
    let strange = VenueOrder { cid: Some("other-1".into()), ..order(OrderState::Filled, "50", "0.00189") };
    assert_eq!(held(strange), Step::Hold(HoldReason::Mismatch { order_id: 7 }));
}

#[test]
fn orders_that_end_at_once_without_a_fill_are_placed_more_and_more_slowly() {
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    let mut pauses = vec![];
    for _ in 0..3 {
        desk = desk.with_open_order();
        desk.reads(order(OrderState::Failed, "0", "")).records();
        let (pause_ms, why) = desk.waits();
        assert_eq!(why, Waiting::Retry(Trouble::Fruitless));
        pauses.push(pause_ms);
        desk.after(pause_ms);
    }
    assert_eq!(pauses, [500, 1_000, 2_000]);
}

#[test]
fn a_restart_goes_on_where_the_facts_end() {
    let untouched = || order(OrderState::Open, "0", "");
    let mut desk = desk("0.1", &[("0.00189", "50")]);
    let intended = desk.intends();
    assert_eq!(desk.restart().places(), intended);
    desk.replied(PlaceReply::Placed { order_id: 7 }).records();
    assert_eq!(desk.restart().reads(untouched()).after(1_000).reads(untouched()).records(), Fact::CancelIntended);
    desk.restart().reads(untouched());
    let (pause_ms, why) = desk.waits();
    assert_eq!((pause_ms, why), (250, Waiting::Cancellation));
    assert_eq!(desk.after(1_000).step(), Step::Cancel { order_id: 7 });
}

impl Desk {
    /// Waits and cancels until the order is to be read.
    fn moves_on_to_a_reading(&mut self) {
        loop {
            match self.step() {
                Step::Wait { until_ms, .. } => self.now_ms = until_ms,
                Step::Record(Fact::CancelIntended) => drop(self.records()),
                Step::Cancel { .. } => self.machine.handle_cancel(CancelReply::Accepted, self.now_ms),
                Step::Read { .. } => return,
                other => panic!("{other:?}"),
            }
        }
    }
}

/// An exchange that takes a client order id once and fills as it is told.
#[derive(Default)]
struct Venue {
    orders: BTreeMap<String, VenueOrder>,
}

impl Venue {
    fn place(&mut self, intent: &OrderIntent) -> PlaceReply {
        if self.orders.contains_key(intent.cid.as_str()) {
            return PlaceReply::CidExists;
        }
        let order_id = self.orders.len() as u64 + 1;
        let order = VenueOrder {
            order_id,
            cid: Some(intent.cid.to_string()),
            price: Some(intent.price),
            quantity: intent.quantity,
            seen: order(OrderState::Open, "0", "").seen,
        };
        self.orders.insert(intent.cid.to_string(), order);
        PlaceReply::Placed { order_id }
    }

    fn of(&mut self, order_id: u64) -> &mut VenueOrder {
        self.orders.values_mut().find(|order| order.order_id == order_id).unwrap()
    }

    fn open(&self) -> usize {
        self.orders.values().filter(|order| !order.seen.state.is_terminal()).count()
    }

    /// Fills so much of what is left of the open orders, 900 and more standing for all of it.
    fn fill(&mut self, permille: u64) {
        for order in self.orders.values_mut().filter(|order| order.seen.state == OrderState::Open) {
            let left = order.quantity.units() - order.seen.completed.units();
            let units = if permille >= 900 { left } else { (left / 1000 * permille) / 10_000 * 10_000 };
            order.seen.completed = order.seen.completed.checked_add(Amount::from_units(units).unwrap()).unwrap();
            order.seen.avg_price = order.price.filter(|_| !order.seen.completed.is_zero());
            if order.seen.completed == order.quantity {
                order.seen.state = OrderState::Filled;
            }
        }
    }

    fn cancel(&mut self, order_id: u64) -> CancelReply {
        let order = self.of(order_id);
        if order.seen.state.is_terminal() {
            return CancelReply::Refused;
        }
        order.seen.state = OrderState::Cancelled;
        CancelReply::Accepted
    }

    /// Two rows a page.
    fn page(&self, page: u32) -> ListingReply {
        let rows: Vec<_> = self.orders.values().cloned().collect();
        let pages: Vec<_> = rows.chunks(2).collect();
        match pages.get(page as usize - 1) {
            Some(rows) if (page as usize) < pages.len() => ListingReply::Page(rows.to_vec()),
            Some(rows) => ListingReply::LastPage(rows.to_vec()),
            None => ListingReply::LastPage(vec![]),
        }
    }
}

/// What befalls one step of a purchase.
#[derive(Debug, Clone, Copy)]
enum Luck {
    Good,
    RequestLost,
    ReplyLost,
    /// The process dies after the step and before its report.
    Death,
    /// The exchange is asked too often; what would be put down is held up.
    Throttled,
}

impl Luck {
    fn reaches(self) -> bool {
        match self {
            Self::Good | Self::ReplyLost | Self::Death => true,
            Self::RequestLost | Self::Throttled => false,
        }
    }

    fn failure(self) -> Option<Failure> {
        match self {
            Self::Good | Self::Death => None,
            Self::RequestLost | Self::ReplyLost => Some(Failure::Unavailable),
            Self::Throttled => Some(Failure::Throttled),
        }
    }
}

fn luck() -> impl Strategy<Value = (Luck, u64)> {
    let luck = prop_oneof![
        4 => Just(Luck::Good),
        1 => Just(Luck::RequestLost),
        1 => Just(Luck::ReplyLost),
        1 => Just(Luck::Death),
        1 => Just(Luck::Throttled),
    ];
    (luck, prop_oneof![Just(0), 0u64..1000])
}

/// Carries out one step; `Some` when the purchase is over.
fn carry_out(desk: &mut Desk, venue: &mut Venue, luck: Luck) -> Option<Step> {
    let now_ms = desk.now_ms;
    let step = desk.step();
    match step.clone() {
        Step::Record(_) if matches!(luck, Luck::Throttled) => desk.machine.choose_anew(),
        Step::Record(fact) => {
            desk.machine.purchase().check(&fact).unwrap();
            desk.machine.handle_recorded(now_ms);
        }
        Step::Place(intent) => {
            let reply = luck.reaches().then(|| venue.place(&intent));
            if !matches!(luck, Luck::Death) {
                desk.replied(luck.failure().map(PlaceReply::Failed).or(reply).unwrap());
            }
        }
        Step::Read { order_id } => {
            let reply = luck.failure().map_or_else(|| ReadReply::Order(venue.of(order_id).clone()), ReadReply::Failed);
            desk.machine.handle_read(reply, now_ms);
        }
        Step::Cancel { order_id } => {
            let reply = luck.reaches().then(|| venue.cancel(order_id));
            desk.machine.handle_cancel(luck.failure().map(CancelReply::Failed).or(reply).unwrap(), now_ms);
        }
        Step::FindByCid { page, .. } => {
            desk.listed(luck.failure().map_or_else(|| venue.page(page), ListingReply::Failed));
        }
        Step::Wait { until_ms, .. } => {
            assert!(until_ms > now_ms, "a wait that does not end");
            desk.after(until_ms - now_ms);
        }
        Step::Finish(_) | Step::Stop(_) | Step::Hold(_) => return Some(step),
    }
    if matches!(luck, Luck::Death) {
        desk.restart();
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// X1: over any losses and deaths nothing is bought twice.
    #[test]
    fn over_any_losses_and_deaths_nothing_is_bought_twice_and_every_fill_is_counted(
        lucks in prop::collection::vec(luck(), 1..200),
    ) {
        let mut desk = desk("0.1", &[("0.00189", "12.5"), ("0.0019", "30")]);
        let mut venue = Venue::default();
        let calm = std::iter::repeat_n((Luck::Good, 900), 400);
        let mut end = None;
        for (luck, fill) in lucks.into_iter().chain(calm) {
            end = carry_out(&mut desk, &mut venue, luck);
            venue.fill(fill);
            prop_assert!(venue.open() <= 1, "two orders are open at once");
            if end.is_some() {
                break;
            }
        }
        let Some(Step::Finish(outcome)) = end else { panic!("the purchase ended with {end:?}") };
        let filled = Amount::checked_sum(venue.orders.values().map(|order| order.seen.completed)).unwrap();
        prop_assert_eq!(outcome.bought, filled);
        prop_assert!(outcome.spent <= btc("0.1"));
        prop_assert!(outcome.remainder < btc("0.0019"), "{:?} was left", outcome.remainder);
    }
}

/// X5: what could not be put down at once is not put down later as it was.
#[test]
fn an_order_that_was_held_up_is_chosen_anew_from_the_book_of_its_time() {
    let mut desk = desk("1", &[("0.00189", "32.43")]);
    assert!(matches!(desk.step(), Step::Record(Fact::Intended(_))));
    desk.machine.choose_anew();
    desk.asks = vec![("0.0019", "9")];
    let order = desk.after(3_600_000).fresh_book().intends();
    assert_eq!((order.attempt, order.quantity), (1, sky("9")));
    // What is in the log stays as it is.
    let before = desk.machine.clone();
    desk.machine.choose_anew();
    assert_eq!(desk.machine, before);
}
