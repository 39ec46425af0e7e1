//! Reconciliation: whether a place outside holds what the books say it holds.
//!
//! Coins leave a place some time before the books know, and only by orders and payouts that the log intends: what is booked
//! less what is on its way is the least that must be there. Less than that is missing. More than is booked is no danger,
//! since anybody may send coins.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::desk::{Difference, Place};
use crate::ledger::{Account, Balances, Ticker};

/// What can be asked how much it holds: a place, and a coin in it.
pub const ASKED: [(Place, Ticker); 3] =
    [(Place::HotWallet, Ticker::Sky), (Place::Exchange, Ticker::Btc), (Place::Exchange, Ticker::Sky)];

/// What the books say of a coin in a place at one moment, in smallest units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booked {
    /// What should be there.
    pub units: i128,
    /// How much of that may have left already.
    pub in_flight: i128,
    /// Whether more may have come already that is not booked.
    pub may_have_grown: bool,
}

impl Booked {
    /// What the balances say.
    pub fn of(balances: &Balances, place: Place, coin: Ticker) -> Self {
        let at = |account| balances.of(account, coin);
        let is_ordering = balances.of(Account::ExchangeFrozen, Ticker::Btc) != 0;
        let (units, in_flight, may_have_grown) = match place {
            Place::HotWallet => (at(Account::HotWallet), -at(Account::PayoutInFlight), false),
            Place::Exchange => {
                let frozen = at(Account::ExchangeFrozen);
                (at(Account::ExchangeFree) + frozen, frozen, is_ordering)
            }
            Place::DepositAddresses => (at(Account::DepositAddresses), 0, false),
        };
        Self { units, in_flight, may_have_grown }
    }

    fn least(self) -> i128 {
        self.units - self.in_flight
    }
}

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything is there.
    Fits,
    /// Less is there than must be.
    Missing,
    /// More is there than can be.
    Surplus,
}

impl Verdict {
    /// The word used in APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::Missing => "missing",
            Self::Surplus => "surplus",
        }
    }
}

/// A place held against the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The numbers.
    pub difference: Difference,
    /// What they say.
    pub verdict: Verdict,
}

/// The places where something was missing when they were last compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suspects(BTreeSet<(Place, Ticker)>);

impl Suspects {
    /// Takes in new comparisons, and says what is missing twice in a row.
    pub fn judge<'a>(&mut self, compared: impl IntoIterator<Item = &'a Comparison>) -> Vec<Difference> {
        let mut differences = Vec::new();
        for Comparison { difference, verdict } in compared {
            let place = (difference.place, difference.coin);
            if *verdict != Verdict::Missing {
                self.0.remove(&place);
            } else if !self.0.insert(place) {
                differences.push(difference.clone());
            }
        }
        differences
    }
}

/// Holds what was found in a place against the books as they were before it was asked and after it had answered: it spoke
/// of a moment between the two.
pub fn compare((place, coin): (Place, Ticker), before: Booked, after: Booked, found: u64) -> Comparison {
    let found = i128::from(found);
    let lower = if before.least() <= after.least() { before } else { after };
    let upper = if before.units >= after.units { before } else { after };
    let may_have_grown = before.may_have_grown || after.may_have_grown;
    let (verdict, told) = if found < lower.least() {
        (Verdict::Missing, lower)
    } else if found > upper.units && !may_have_grown {
        (Verdict::Surplus, upper)
    } else {
        (Verdict::Fits, after)
    };
    let [booked, in_flight, found] = [told.units, told.in_flight, found].map(stored);
    Comparison { difference: Difference { place, coin, booked, in_flight, found }, verdict }
}

/// As the log stores it: all the coins there are fit.
fn stored(units: i128) -> i64 {
    i64::try_from(units).unwrap_or(if units < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::desk::{Coins, TransferDeclared, TransferKind};
    use crate::ledger::{Entry, of_transfer};

    const HOT: (Place, Ticker) = (Place::HotWallet, Ticker::Sky);

    fn booked(units: i128, in_flight: i128) -> Booked {
        Booked { units, in_flight, may_have_grown: false }
    }

    fn verdict(before: Booked, after: Booked, found: u64) -> Verdict {
        compare(HOT, before, after, found).verdict
    }

    #[test]
    fn what_is_on_its_way_may_be_there_or_not_and_one_unit_less_is_missing() {
        let stands = booked(100, 30);
        for (found, expected) in
            [(69, Verdict::Missing), (70, Verdict::Fits), (100, Verdict::Fits), (101, Verdict::Surplus)]
        {
            assert_eq!(verdict(stands, stands, found), expected, "{found}");
        }
    }

    #[test]
    fn what_leaves_while_the_place_is_asked_is_no_difference() {
        let (before, after) = (booked(100, 0), booked(100, 30));
        assert_eq!(verdict(before, after, 100), Verdict::Fits, "it answered before");
        assert_eq!(verdict(before, after, 70), Verdict::Fits, "it answered after");
        let arrived = booked(70, 0);
        assert_eq!(verdict(after, arrived, 70), Verdict::Fits);
        assert_eq!(verdict(after, arrived, 100), Verdict::Fits);
        assert_eq!(verdict(after, arrived, 69), Verdict::Missing);
    }

    #[test]
    fn while_an_order_is_open_more_may_have_been_bought_than_is_booked() {
        let sky = (Place::Exchange, Ticker::Sky);
        let ordering = Booked { may_have_grown: true, ..booked(10, 0) };
        assert_eq!(compare(sky, ordering, booked(15, 0), 20).verdict, Verdict::Fits);
        assert_eq!(compare(sky, ordering, ordering, 9).verdict, Verdict::Missing);
    }

    #[test]
    fn only_what_is_missing_twice_in_a_row_is_judged() {
        let found = |units| compare(HOT, booked(10, 0), booked(10, 0), units);
        let sky = (Place::Exchange, Ticker::Sky);
        let elsewhere = compare(sky, booked(5, 0), booked(5, 0), 4);
        let mut suspects = Suspects::default();
        assert_eq!(suspects.judge([&found(9), &elsewhere]), []);
        assert_eq!(suspects.judge([&found(10)]), [], "it was there again");
        assert_eq!(suspects.judge([&found(9)]), []);
        let second = found(8);
        assert_eq!(suspects.judge([&second, &elsewhere]), [second.difference.clone(), elsewhere.difference.clone()]);
        assert_eq!(suspects.judge([&second]), [second.difference], "and for as long as it is");
    }

    #[test]
    fn a_difference_has_the_numbers_it_rests_on() {
        let missing = compare(HOT, booked(100, 10), booked(100, 40), 50).difference;
        assert_eq!((missing.booked, missing.in_flight, missing.found), (100, 40, 50));
        let surplus = compare(HOT, booked(100, 10), booked(90, 40), 101).difference;
        assert_eq!((surplus.booked, surplus.in_flight, surplus.found), (100, 10, 101));
    }

    #[test]
    fn the_books_of_each_place_are_its_accounts() {
        let mut balances = Balances::default();
        let declare = |place, coins| -> Entry {
            of_transfer(&TransferDeclared { kind: TransferKind::Opening, place, coins, note: String::new() })
        };
        balances.post(&declare(Place::HotWallet, Coins::Sky("5".parse().unwrap())));
        balances.post(&declare(Place::Exchange, Coins::Btc("1".parse().unwrap())));
        let of = |(place, coin)| Booked::of(&balances, place, coin);
        assert_eq!(ASKED.map(of), [booked(5_000_000, 0), booked(100_000_000, 0), booked(0, 0)]);
    }

    proptest! {
        /// Payouts are signed, leave, are found in a block, in this order and at any speed; the place is asked anywhere.
        #[test]
        fn nothing_is_ever_missing_where_only_what_is_on_its_way_left(
            opening in 0u64..1_000_000,
            payouts in prop::collection::vec((0u64..1_000, 0usize..3, 0usize..3), 0..20),
        ) {
            let total = |wanted: &dyn Fn(usize, usize) -> bool| -> i128 {
                payouts.iter().filter(|(_, from, to)| wanted(*from, (*from).max(*to))).map(|(units, ..)| i128::from(*units)).sum()
            };
            let opening = i128::from(opening) + total(&|_, _| true);
            // Of each payout: 0 not signed, 1 signed, 2 confirmed; before the question, and after the answer.
            let before = booked(opening - total(&|from, _| from == 2), total(&|from, _| from == 1));
            let after = booked(opening - total(&|_, to| to == 2), total(&|_, to| to == 1));
            let left_least = total(&|from, _| from == 2);
            let left_most = total(&|_, to| to > 0);
            for left in [left_least, left_most] {
                let found = u64::try_from(opening - left).unwrap();
                prop_assert_eq!(verdict(before, after, found), Verdict::Fits);
            }
        }
    }
}
