//! What of a book is kept, what a budget would take of it, and what is no book.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::purchase::ClientOrderId;

fn level(price: &str, volume: &str) -> Level {
    Level { price: price.parse().unwrap(), volume: volume.parse().unwrap() }
}

fn asks() -> Vec<Level> {
    vec![level("0.002", "10"), level("0.00205", "20"), level("0.0021", "30"), level("0.0025", "1000")]
}

fn seen(budget: &str) -> SeenBook {
    let bid = "0.0019".parse().ok();
    SeenBook::of(1_700_000_000_000, (&asks(), bid), "0.0022".parse().unwrap(), budget.parse().unwrap()).unwrap()
}

/// As it is read from beside something else.
fn read(stored: &str) -> Option<SeenBook> {
    kept(&mut serde_json::Deserializer::from_str(stored)).unwrap()
}

fn taken(of_level: &[&str]) -> Vec<Amount<Sky>> {
    of_level.iter().map(|taken| taken.parse().unwrap()).collect()
}

#[test]
fn as_many_levels_are_kept_as_the_budget_reaches_and_of_all_within_the_limit_the_sum() {
    let seen = seen("0.03");
    assert_eq!(seen.asks(), &asks()[..2]);
    assert_eq!((seen.levels(), seen.offered()), (3, "60".parse().unwrap()));
    assert_eq!((seen.best_ask(), seen.spread().unwrap().to_string().as_str()), (asks()[0].price, "0.0001"));
    let of_it = seen.take("0.03".parse().unwrap());
    assert_eq!(of_it.of_level, taken(&["10", "4.878048"]));
    assert_eq!((of_it.levels(), of_it.reach, of_it.spent), (2, Reach::Enough, "0.03".parse().unwrap()));
}

#[test]
fn a_budget_that_ends_with_a_level_keeps_no_more_and_the_smallest_one_keeps_the_first() {
    assert_eq!(seen("0.02").asks(), &asks()[..1]);
    assert_eq!(seen("0.02").take("0.02".parse().unwrap()).reach, Reach::Enough);
    assert_eq!(seen("0").asks(), &asks()[..1]);
    assert_eq!(seen("0").take(Amount::ZERO).levels(), 0);
}

#[test]
fn a_budget_larger_than_what_is_offered_within_the_limit_comes_to_its_end() {
    let seen = seen("1");
    assert_eq!(seen.asks(), &asks()[..3]);
    let of_it = seen.take("1".parse().unwrap());
    assert_eq!((of_it.bought, of_it.reach), ("60".parse().unwrap(), Reach::BeyondOffered));
    assert_eq!(of_it.spent, "0.124".parse().unwrap());
}

#[test]
fn no_more_than_the_first_levels_of_a_deep_book_are_kept() {
    let deep: Vec<_> = (0..5_000).map(|step| level(&format!("0.00{}", 200_000 + step), "1")).collect();
    let budget = "100".parse().unwrap();
    let seen = SeenBook::of(0, (&deep, None), "0.00205".parse().unwrap(), budget).unwrap();
    assert_eq!((seen.asks(), seen.levels()), (&deep[..SEEN_LEVELS_MAX], 5_000));
    assert_eq!(seen.offered(), "5000".parse().unwrap());
    assert_eq!(seen.take(budget).reach, Reach::BeyondKept);
    assert_eq!(seen.take("0.03".parse().unwrap()).reach, Reach::Enough);
    assert_eq!(read(&serde_json::to_string(&seen).unwrap()), Some(seen));
}

fn order(price: &str, quantity: &str) -> OrderIntent {
    let cid = ClientOrderId::for_attempt("a deposit", 1);
    OrderIntent { attempt: 1, cid, price: price.parse().unwrap(), quantity: quantity.parse().unwrap() }
}

#[test]
fn of_an_order_is_kept_what_it_can_take_and_the_next_level() {
    let kept = |asks: &[Level], price: &str, quantity: &str| {
        SeenBook::of_order(7, (asks, None), "0.0022".parse().unwrap(), &order(price, quantity)).unwrap()
    };
    let counted = |price, quantity| kept(&asks(), price, quantity).asks().len();
    assert_eq!([("0.002", "10"), ("0.002", "3")].map(|(price, quantity)| counted(price, quantity)), [2, 2]);
    assert_eq!((counted("0.00205", "25"), counted("0.0021", "60")), (3, 3));
    let seen = kept(&asks(), "0.002", "10");
    assert_eq!((seen.levels(), seen.offered()), (3, "60".parse().unwrap()));

    // Dust below the price of the order: it is beyond what is kept, and may still be what somebody asked.
    let dust: Vec<_> = (0..9).map(|step| level(&format!("0.0020{step}"), "0.001")).collect();
    let seen = kept(&dust, "0.00207", "0.008");
    assert_eq!((seen.asks(), seen.levels()), (&dust[..ORDER_LEVELS_MAX], 9));
    let may_ask = |price: &str| seen.may_ask(price.parse().unwrap());
    assert_eq!(["0.00207", "0.00204", "0.0022"].map(may_ask), [true; 3]);
    assert_eq!(["0.002035", "0.00221", "0.0019"].map(may_ask), [false; 3]);
    let whole = kept(&asks(), "0.0021", "60");
    assert!(!whole.may_ask("0.0022".parse().unwrap()), "nobody is left out who could have asked it");
}

/// One deposit may have a thousand orders, and somebody else makes the book.
#[test]
fn an_order_keeps_less_than_five_hundred_bytes_of_the_widest_book() {
    let part = Amount::from_units(Amount::<Sky>::MAX.units() / 9).unwrap();
    let price = |last: u32| format!("999999.99999999999{last}").parse::<Price>().unwrap();
    let asks: Vec<_> = (1..10).map(|last| Level { price: price(last), volume: part }).collect();
    let order = OrderIntent { price: price(9), quantity: Amount::MAX, ..order("1", "1") };
    let seen = SeenBook::of_order(u64::MAX, (&asks, Some(price(0))), price(9), &order).unwrap();
    assert_eq!(seen.asks().len(), ORDER_LEVELS_MAX);
    let longest = SeenBook { levels: u32::MAX, ..seen };
    let bytes = serde_json::to_string(&longest).unwrap().len();
    assert!((400..500).contains(&bytes), "{bytes}");
}

#[test]
fn a_book_without_an_ask_within_the_limit_is_none() {
    let of = |asks: &[Level], bid: &str, limit: &str| {
        SeenBook::of(0, (asks, bid.parse().ok()), limit.parse().unwrap(), "1".parse().unwrap())
    };
    assert_eq!(of(&[], "", "0.0022"), Err(SeenBookError::Empty));
    assert_eq!(of(&asks(), "", "0.0019"), Err(SeenBookError::Empty));
    assert_eq!(of(&asks(), "0.002", "0.0022"), Err(SeenBookError::Crossed));
}

/// What nobody writes is read as none: with a list of levels, all that was offered, and where it stops.
#[test]
fn what_is_stored_is_bounded_sorted_and_fits_together() {
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut stored = serde_json::to_value(seen("0.03")).unwrap();
        change(&mut stored);
        stored
    };
    assert_eq!(read(&changed(&|_| {}).to_string()), Some(seen("0.03")));
    let refused = |change: &dyn Fn(&mut Value), why: SeenBookError| {
        let stored = changed(change);
        assert_eq!(read(&stored.to_string()), None, "{why}");
        assert_eq!(SeenBook::try_from(serde_json::from_value::<Stored>(stored).unwrap()), Err(why));
    };
    let ask = json!({ "price": "0.002", "volume": "1.000000" });
    refused(&|book| book["asks"] = json!([]), SeenBookError::Empty);
    refused(&|book| book["asks"] = json!(vec![&ask; SEEN_LEVELS_MAX + 1]), SeenBookError::TooManyLevels);
    refused(&|book| book["asks"][1]["price"] = json!("0.001"), SeenBookError::Unsorted);
    refused(&|book| book["asks"][0]["volume"] = json!("0"), SeenBookError::EmptyLevel);
    refused(&|book| book["limit"] = json!("0.00204"), SeenBookError::AboveLimit);
    refused(&|book| book["best_bid"] = json!("0.002"), SeenBookError::Crossed);
    refused(&|book| book["levels"] = json!(1), SeenBookError::MoreThanAll);
    refused(&|book| book["offered"] = json!("29.999999"), SeenBookError::MoreThanAll);
    let priceless = changed(&|book| book["asks"][0]["price"] = json!("0"));
    assert!(serde_json::from_value::<Stored>(priceless).is_err(), "a price is more than zero");
}

proptest! {
    /// What is kept is enough to tell what the budget would take of all there was.
    #[test]
    fn what_would_be_taken_of_what_is_kept_is_what_would_be_taken_of_all(
        steps in prop::collection::vec((0u32..50, 1u64..10_000_000_000), 1..40),
        budget in 0u64..1_000_000_000_000,
    ) {
        let mut price = 100_000;
        let all: Vec<Level> = steps.into_iter().map(|(step, volume)| {
            price += step;
            Level { price: Price::new(Decimal::new(price.into(), 8)).unwrap(), volume: Amount::from_units(volume).unwrap() }
        }).collect();
        let (budget, limit) = (Amount::from_units(budget).unwrap(), all[0].price.raised_by(Decimal::ONE).unwrap());
        let seen = SeenBook::of(0, (&all, None), limit, budget).unwrap();
        let taken = seen.take(budget);
        prop_assert!(taken.spent <= budget && taken.bought <= seen.offered());
        let within: Vec<Level> = all.into_iter().filter(|ask| ask.price <= limit).collect();
        let of_all = Amount::checked_sum(walk(&within, budget)).unwrap();
        match taken.reach {
            Reach::Enough => prop_assert_eq!(taken.bought, of_all),
            Reach::BeyondKept => prop_assert!(seen.asks().len() == SEEN_LEVELS_MAX && taken.bought <= of_all),
            Reach::BeyondOffered => prop_assert_eq!((taken.bought, taken.bought), (of_all, seen.offered())),
        }
        let text = serde_json::to_string(&seen).unwrap();
        prop_assert!(text.len() < 2_048);
        prop_assert_eq!(read(&text), Some(seen));
    }
}
