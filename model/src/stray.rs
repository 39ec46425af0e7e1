//! Orders that are open at the exchange and belong to no deposit: somebody else has the key, or the log has lost a deposit.
//!
//! Such an order has spent nothing yet, so no coins are missing; they will be when it is filled.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::money::{Amount, Sky};
use crate::purchase::{Price, Side};

/// So much of an id that somebody else gave an order is kept.
const CID_MAX_CHARS: usize = 64;

/// An order that nobody here intended, as the exchange shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrayOrder {
    /// The exchange's number for it.
    pub order_id: u64,
    /// The id that whoever placed it gave it.
    pub cid: Option<String>,
    /// Which way it goes.
    pub side: Side,
    /// Its limit, if it has one.
    pub price: Option<Price>,
    /// How much was ordered.
    pub quantity: Amount<Sky>,
    /// How much of that was filled.
    pub completed: Amount<Sky>,
}

impl StrayOrder {
    /// What of a foreign id is kept and shown.
    pub fn shown(cid: &str) -> String {
        cid.chars().filter(|c| !c.is_control()).take(CID_MAX_CHARS).collect()
    }
}

impl fmt::Display for StrayOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { order_id, side, quantity, completed, .. } = self;
        write!(f, "order {order_id}")?;
        if let Some(cid) = &self.cid {
            write!(f, " with the id {cid:?}")?;
        }
        write!(f, ": {} {quantity} SKY", side.as_str())?;
        if let Some(price) = self.price {
            write!(f, " at {price} BTC")?;
        }
        write!(f, ", {completed} SKY filled")
    }
}

/// What was nobody's at the last look, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strays<K>(BTreeSet<K>);

impl<K> Default for Strays<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Ord> Strays<K> {
    /// Takes in what is there now, and says what of it is for the second time in a row.
    pub fn judge<T: Clone>(&mut self, now: &[T], key: impl Fn(&T) -> K) -> Vec<T> {
        let before = std::mem::replace(&mut self.0, now.iter().map(&key).collect());
        now.iter().filter(|stray| before.contains(&key(stray))).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::{Desk, Event, HaltCause, Halted, Resumed};

    fn order(order_id: u64) -> StrayOrder {
        StrayOrder {
            order_id,
            cid: Some("mine-1".to_owned()),
            side: Side::Buy,
            price: Some("0.0019".parse().unwrap()),
            quantity: "32.5".parse().unwrap(),
            completed: Amount::ZERO,
        }
    }

    fn halted(orders: Vec<StrayOrder>) -> Halted {
        Halted { cause: HaltCause::StrayOrders { orders } }
    }

    /// X9: once may be an answer that was old.
    #[test]
    fn an_order_that_is_there_twice_in_a_row_is_judged() {
        let mut strays = Strays::default();
        let number = |order: &StrayOrder| order.order_id;
        assert_eq!(strays.judge(&[order(1), order(2)], number), []);
        assert_eq!(strays.judge(&[order(2)], number), [order(2)]);
        assert_eq!(strays.judge(&[order(1), order(2)], number), [order(2)], "the first was gone in between");
        assert_eq!(strays.judge(&[], number), []);
        assert_eq!(strays.judge(&[order(2)], number), []);
    }

    /// X9: the numbers are in the halt, and who resumed over an order is not asked again.
    #[test]
    fn a_halt_for_an_order_says_which_and_is_remembered_by_its_number() {
        let text = serde_json::to_string(&halted(vec![order(43)])).unwrap();
        let stored = r#"{"cause":"stray_orders","orders":[{"order_id":43,"cid":"mine-1","side":"buy","price":"0.0019",
            "quantity":"32.500000","completed":"0.000000"}]}"#;
        let plain: String = stored.split_whitespace().collect();
        assert_eq!(text, plain);
        assert_eq!(serde_json::from_str::<Halted>(&text).unwrap(), halted(vec![order(43)]));

        let events: [Event; 2] = [halted(vec![order(43)]).into(), Resumed { note: "it is mine".to_owned() }.into()];
        let desk = Desk::default().evolve(&events[0]);
        let said = "orders at the exchange belong to no deposit; \
                    order 43 with the id \"mine-1\": buy 32.500000 SKY at 0.0019 BTC, 0.000000 SKY filled";
        assert_eq!(desk.halt().unwrap().to_string(), said);
        let desk = desk.evolve(&events[1]);
        assert_eq!(desk.halt(), None);
        assert!(desk.was_halted_for_order(43) && !desk.was_halted_for_order(44));
    }

    #[test]
    fn a_foreign_id_is_cut_and_forges_no_line() {
        assert_eq!(StrayOrder::shown(&"a\nb".repeat(100)).len(), CID_MAX_CHARS);
        assert_eq!(StrayOrder::shown("a\u{7}\nb"), "ab");
    }
}
