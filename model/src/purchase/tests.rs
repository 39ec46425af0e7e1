//! A purchase told as facts.

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;

fn btc(text: &str) -> Amount<Btc> {
    text.parse().unwrap()
}

fn sky(text: &str) -> Amount<Sky> {
    text.parse().unwrap()
}

fn intent(attempt: u32, price: &str, quantity: &str) -> OrderIntent {
    let cid = ClientOrderId::for_attempt("a deposit", attempt);
    OrderIntent { attempt, cid, price: price.parse().unwrap(), quantity: sky(quantity) }
}

fn seen(completed: &str, average: &str, state: OrderState) -> Fact {
    let avg_price = average.parse().ok();
    Fact::Observed(OrderObservation { completed: sky(completed), avg_price, fee: Amount::ZERO, state })
}

fn purchase(budget: &str, facts: &[Fact]) -> Purchase {
    facts.iter().fold(Purchase::new(btc(budget)), |purchase, fact| {
        purchase.check(fact).unwrap();
        purchase.apply(fact)
    })
}

#[test]
fn fills_of_several_orders_add_up() {
    let after = purchase(
        "0.1",
        &[
            Fact::Intended(intent(1, "0.00189", "32.43")),
            Fact::Placed { order_id: 7 },
            seen("10", "0.00188", OrderState::Open),
            Fact::CancelIntended,
            seen("32.43", "0.00189", OrderState::Filled),
            Fact::Intended(intent(2, "0.0019", "20")),
            Fact::Placed { order_id: 8 },
            seen("1", "0.0019", OrderState::Cancelled),
        ],
    );
    assert_eq!(after.bought(), sky("33.43"));
    assert_eq!(after.spent(), btc("0.06319270"));
    assert_eq!(after.remaining(), btc("0.03680730"));
    assert_eq!((after.open_order(), after.next_attempt()), (None, 3));
}

#[test]
fn an_average_rounded_above_the_limit_is_booked_at_the_limit_and_the_rest_is_rounding() {
    let after = purchase(
        "1",
        &[
            Fact::Intended(intent(1, "0.00189", "100")),
            Fact::Placed { order_id: 7 },
            seen("100", "0.001894", OrderState::Filled),
        ],
    );
    assert_eq!((after.spent(), after.rounding()), (btc("0.189"), btc("0.0004")));
}

/// X2: the model refuses a second order while one is open.
#[test]
fn a_second_order_waits_for_the_end_of_the_first() {
    let facts = [Fact::Intended(intent(1, "0.00189", "10")), Fact::Placed { order_id: 7 }, Fact::CancelIntended];
    for known in 1..=facts.len() {
        let open = purchase("1", &facts[..known]);
        assert_eq!(open.check(&Fact::Intended(intent(2, "0.00189", "10"))), Err(FactError::OrderOpen));
    }
}

#[test]
fn nothing_but_an_intended_order_can_be_refused_and_its_budget_is_free_again() {
    let refused = Fact::Refused { reason: "limit value: 1".into() };
    let after = purchase("1", &[Fact::Intended(intent(1, "0.00189", "10")), refused.clone()]);
    assert_eq!((after.remaining(), after.refused_in_a_row(), after.is_begun()), (btc("1"), 1, false));
    assert_eq!(after.check(&refused), Err(FactError::NoOpenOrder));

    let placed = purchase("1", &[Fact::Intended(intent(1, "0.00189", "10")), Fact::Placed { order_id: 7 }]);
    assert_eq!(placed.check(&refused), Err(FactError::AlreadyPlaced));
}

#[test]
fn what_contradicts_the_order_is_refused_and_changes_nothing() {
    let open = purchase(
        "1",
        &[
            Fact::Intended(intent(1, "0.00189", "10")),
            Fact::Placed { order_id: 7 },
            seen("5", "0.00189", OrderState::Open),
        ],
    );
    for (fact, problem) in [
        (seen("4", "0.00189", OrderState::Cancelled), FactError::Shrank),
        (seen("10.01", "0.00189", OrderState::Filled), FactError::Overfilled),
        (seen("6", "", OrderState::Open), FactError::NoPrice),
        (Fact::Placed { order_id: 9 }, FactError::AlreadyPlaced),
    ] {
        assert_eq!(open.check(&fact), Err(problem));
        assert_eq!(open.clone().apply(&fact), open);
    }
}

#[test]
fn an_order_beyond_the_budget_out_of_turn_or_for_nothing_is_refused() {
    let fresh = Purchase::new(btc("0.0189"));
    let check = |order| fresh.check(&Fact::Intended(order));
    assert_eq!(check(intent(1, "0.00189", "10")), Ok(()));
    assert_eq!(check(intent(1, "0.00189", "10.000001")), Err(FactError::OverBudget));
    assert_eq!(check(intent(2, "0.00189", "1")), Err(FactError::WrongAttempt { expected: 1, got: 2 }));
    assert_eq!(check(intent(1, "0.00189", "0")), Err(FactError::Empty));
}

/// X3: ids differ between deposits and attempts.
#[test]
fn client_order_ids_fit_the_exchange_and_differ_between_deposits_and_attempts() {
    let longest = ClientOrderId::for_attempt("01890a5d-ac96-774b-bcce-b302099a8057", u32::MAX);
    assert!(longest.as_str().len() <= 36);
    let neighbour = ClientOrderId::for_attempt("01890a5d-ac96-774b-bcce-b302099a8058", u32::MAX);
    assert_ne!(longest.as_str()[..24], neighbour.as_str()[..24]);
    assert_eq!(ClientOrderId::try_from(longest.to_string()), Ok(longest));
    assert!(ClientOrderId::try_from("a&b=c".to_string()).is_err());
}

#[test]
fn hostile_prices_are_refused() {
    for text in ["", "0", "-1", "+1", "1e-3", "NaN", " 1", "0.0000000000001", "1000001", "1_0"] {
        assert!(text.parse::<Price>().is_err(), "{text:?} was accepted");
    }
    assert_eq!("0.001890".parse::<Price>().unwrap().to_string(), "0.00189");
}

#[test]
fn facts_keep_their_names_and_shapes_in_json() {
    let observation = OrderObservation {
        completed: sky("1.5"),
        avg_price: Some("0.00189".parse().unwrap()),
        fee: btc("0.00000567"),
        state: OrderState::Open,
    };
    for (fact, json) in [
        (
            Fact::Intended(intent(1, "0.00189", "2")),
            r#"{"intended":{"attempt":1,"cid":"a24106adb9b7c288be0da382-1","price":"0.00189","quantity":"2.000000"}}"#,
        ),
        (Fact::Placed { order_id: 7 }, r#"{"placed":{"order_id":7}}"#),
        (Fact::Refused { reason: "no".into() }, r#"{"refused":{"reason":"no"}}"#),
        (Fact::CancelIntended, r#""cancel_intended""#),
        (
            Fact::Observed(observation),
            r#"{"observed":{"completed":"1.500000","avg_price":"0.00189","fee":"0.00000567","state":"open"}}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&fact).unwrap(), json);
        assert_eq!(serde_json::from_str::<Fact>(json).unwrap(), fact);
    }
}

/// One order of a random purchase: which part of what remains it orders, at which price, and its partial fills.
#[derive(Debug, Clone)]
struct RandomOrder {
    price_steps: u64,
    ordered_percent: u64,
    filled_permille: Vec<u64>,
    average_below_steps: u64,
    fate: Fate,
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Refused,
    Cancelled,
    Filled,
}

fn random_order() -> impl Strategy<Value = RandomOrder> {
    let fate = prop_oneof![Just(Fate::Refused), Just(Fate::Cancelled), Just(Fate::Filled)];
    (1u64..5_000, 0u64..=100, prop::collection::vec(0u64..=1000, 1..5), 0u64..20, fate).prop_map(
        |(price_steps, ordered_percent, mut filled_permille, average_below_steps, fate)| {
            filled_permille.sort_unstable();
            RandomOrder { price_steps, ordered_percent, filled_permille, average_below_steps, fate }
        },
    )
}

fn steps(price_steps: u64) -> Price {
    Price::new(Decimal::new(price_steps.max(1) as i64, 5)).unwrap()
}

impl RandomOrder {
    fn intent(&self, purchase: &Purchase) -> OrderIntent {
        let price = steps(self.price_steps);
        let most = price.affordable(purchase.remaining(), 2).unwrap();
        let quantity = Amount::from_units(most.units() / 100 * self.ordered_percent).unwrap();
        OrderIntent {
            attempt: purchase.next_attempt(),
            cid: ClientOrderId::for_attempt(0, purchase.next_attempt()),
            price,
            quantity,
        }
    }

    fn observations(&self, ordered: Amount<Sky>) -> Vec<OrderObservation> {
        let avg_price = Some(steps(self.price_steps.saturating_sub(self.average_below_steps)));
        let fee = Amount::from_units(3).unwrap();
        let fill = |permille: &u64| Amount::from_units(ordered.units() / 1000 * permille).unwrap();
        let mut seen: Vec<_> = (self.filled_permille.iter().map(fill))
            .map(|completed| OrderObservation { completed, avg_price, fee, state: OrderState::Open })
            .collect();
        let last = seen.last_mut().unwrap();
        match self.fate {
            Fate::Refused => {}
            Fate::Cancelled => last.state = OrderState::Cancelled,
            Fate::Filled => (last.state, last.completed) = (OrderState::Filled, ordered),
        }
        seen
    }
}

proptest! {
    /// X8: cost and fees together never exceed the budget.
    #[test]
    fn over_any_fills_and_cancels_no_more_than_the_budget_is_spent_and_all_fills_are_counted(
        budget in 1u64..10_000_000_000,
        orders in prop::collection::vec(random_order(), 0..12),
    ) {
        let budget = Amount::from_units(budget).unwrap();
        let mut purchase = Purchase::new(budget);
        let mut filled = Amount::ZERO;
        for order in orders {
            let intent = order.intent(&purchase);
            if intent.quantity.is_zero() {
                continue;
            }
            let (before, most) = (purchase.spent(), intent.cost().unwrap());
            let mut facts = vec![Fact::Intended(intent.clone())];
            if matches!(order.fate, Fate::Refused) {
                facts.push(Fact::Refused { reason: String::new() });
            } else {
                let seen = order.observations(intent.quantity);
                filled = filled.checked_add(seen.last().unwrap().completed).unwrap();
                facts.push(Fact::Placed { order_id: 1 });
                facts.extend(seen.into_iter().map(Fact::Observed));
            }
            for fact in facts {
                prop_assert_eq!(purchase.check(&fact), Ok(()));
                purchase = purchase.apply(&fact);
                prop_assert!(purchase.spent() <= budget);
                prop_assert!(purchase.spent().saturating_sub(before) <= most);
                let json = serde_json::to_string(&purchase).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Purchase>(&json).unwrap(), &purchase);
            }
            prop_assert_eq!(purchase.bought(), filled);
            prop_assert_eq!(purchase.open_order(), None);
        }
        prop_assert_eq!(purchase.remaining(), budget.checked_sub(purchase.spent()).unwrap());
    }

    #[test]
    fn what_is_affordable_costs_no_more_than_the_budget_and_one_step_more_does(
        price in 1i64..1_000_000, budget in 0u64..2_100_000_000_000_000,
    ) {
        let (price, budget) = (Price::new(Decimal::new(price, 5)).unwrap(), Amount::from_units(budget).unwrap());
        let quantity = price.affordable(budget, 2).unwrap();
        prop_assert!(price.cost_rounded_up(quantity).unwrap() <= budget);
        let more = quantity.checked_add(sky("0.01")).unwrap();
        prop_assert!(price.cost_rounded_up(more).unwrap() > budget);
    }
}

/// X9: whose an order is can be told from its id alone, and an id of another make is nobody's.
#[test]
fn an_id_names_the_family_of_its_deposits_orders_and_no_other_id_does() {
    let family = OrderFamily::of_deposit("a deposit");
    for attempt in [1, 2, u32::MAX] {
        let cid = ClientOrderId::for_attempt("a deposit", attempt);
        assert_eq!(OrderFamily::of_order(cid.as_str()), Some(family));
    }
    assert_ne!(family, OrderFamily::of_deposit("another"));
    let cid = ClientOrderId::for_attempt("a deposit", 1).to_string();
    for other in ["", "-1", "mine-1", &cid[1..], &cid[..24], &cid.to_uppercase(), &format!("{cid}x")] {
        assert_eq!(OrderFamily::of_order(other), None, "{other}");
    }
    assert_eq!(OrderFamily::of_order(&cid.replace("-1", "-01")), None);
}
