//! Numbers that people and peers write: an amount, rate or price is exactly the number that was written, or refused.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use millrace_model::money::{Amount, Btc, Coin, Rate, Sky};
use millrace_model::purchase::{ClientOrderId, Price};
use rust_decimal::Decimal;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::assert_printable;

/// An order's largest part of what there is of a coin, for prices.
const QUANTITY: u64 = 1_234_567_890;

/// The input is one text.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    amount::<Btc>(text);
    amount::<Sky>(text);
    if let Some(rate) = again::<Rate>(text) {
        sells_exactly(rate);
    }
    if let Some(price) = again::<Price>(text) {
        costs_exactly(price);
    }
    if let Ok(id) = ClientOrderId::try_from(text.to_owned()) {
        assert_eq!(id.as_str(), text);
    }
}

fn amount<C: Coin>(text: &str) {
    let Some(amount) = again::<Amount<C>>(text) else { return };
    // Zeros behind the last digit that counts are more digits than the other reader takes.
    let shortened = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if let Ok(written) = Decimal::from_str_exact(shortened) {
        assert_eq!(amount.to_decimal(), written, "{text}");
    }
    assert!(amount <= Amount::MAX);
    for decimals in 0..=C::SCALE {
        let floor = amount.floor_to(decimals);
        assert!(floor <= amount && floor.floor_to(decimals) == floor);
    }
}

/// Reads the text as `T`; what is taken comes back from its own text, and from JSON.
fn again<T>(text: &str) -> Option<T>
where
    T: FromStr<Err: Display> + Display + Debug + PartialEq + Serialize + DeserializeOwned,
{
    let value = match text.parse::<T>() {
        Ok(value) => value,
        Err(error) => {
            assert_printable(&error);
            return None;
        }
    };
    assert_eq!(value.to_string().parse::<T>().ok().as_ref(), Some(&value), "{text}");
    let json = serde_json::to_string(&value).expect("a number is JSON");
    let read: T = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json} is not read back: {error}"));
    assert_eq!(read, value, "{text}");
    Some(value)
}

fn sells_exactly(rate: Rate) {
    assert!(rate.sky_per_btc() > Decimal::ZERO);
    for units in [1, 12_345_678, 2_100_000_000_000_000] {
        let deposit = Amount::from_units(units).expect("all bitcoins are an amount");
        let Ok(sold) = rate.sky_for(deposit, 3) else { continue };
        let exact = deposit.to_decimal() * rate.sky_per_btc();
        assert!(sold.to_decimal() <= exact, "{deposit} at {rate}: {sold} is more than was paid for");
        assert!(exact - sold.to_decimal() < Decimal::new(1, 3), "{deposit} at {rate}: {sold} is too little");
    }
}

fn costs_exactly(price: Price) {
    let quantity = Amount::from_units(QUANTITY).expect("a part is an amount");
    let (Some(down), Some(up)) = (price.cost_rounded_down(quantity), price.cost_rounded_up(quantity)) else { return };
    assert!(down <= up && up.units() - down.units() <= 1, "{quantity} at {price}: {down} to {up}");
    if let Some(affordable) = price.affordable(down, 6) {
        assert!(affordable <= quantity, "{down} buys {affordable} at {price}, and {quantity} costs more");
        assert!(price.cost_rounded_up(affordable).is_some_and(|cost| cost <= down), "{affordable} at {price}");
    }
}
