//! What one order takes out of a book that others look at.

use millrace_model::purchase::ClientOrderId;

use super::*;

fn levels(levels: &[(&str, &str)]) -> Vec<Level> {
    let level =
        |(price, volume): &(&str, &str)| Level { price: price.parse().unwrap(), volume: volume.parse().unwrap() };
    levels.iter().map(level).collect()
}

#[test]
fn an_order_takes_the_cheapest_offers_up_to_its_limit() {
    let book = Book::new(levels(&[("0.002", "3"), ("0.0021", "5"), ("0.003", "7")]), levels(&[("0.001", "1")]), 9);
    let order = OrderIntent {
        attempt: 1,
        cid: ClientOrderId::for_attempt("a deposit", 1),
        price: "0.0021".parse().unwrap(),
        quantity: "4".parse().unwrap(),
    };
    let left = without(&book, &order);
    assert_eq!(left.asks(), levels(&[("0.0021", "4"), ("0.003", "7")]));
    assert_eq!((left.bids(), left.timestamp_ms()), (book.bids(), 9));
}
