//! What the desk pays out in a span of time, and how much of that is allowed.
//!
//! A limit is a brake and no rule of trade: what goes beyond one waits until the span has passed, and an operator is told.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use crate::ids::DepositId;
use crate::money::{Amount, Sky};

/// How much may be paid out. What has no limit is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// To everybody, in any hour.
    pub hour: Option<Amount<Sky>>,
    /// To everybody, in any day.
    pub day: Option<Amount<Sky>>,
    /// To any one target, in any day.
    pub target_day: Option<Amount<Sky>>,
}

/// One of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::hour`].
    Hour,
    /// [`Limits::day`].
    Day,
    /// [`Limits::target_day`].
    TargetDay,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hour => "in an hour",
            Self::Day => "in a day",
            Self::TargetDay => "to one target in a day",
        })
    }
}

/// Why a payout is not to be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{made} SKY of at most {maximum} SKY {limit} are paid out, which leaves too little for {wanted} SKY")]
pub struct Reached {
    /// The limit.
    pub limit: Limit,
    /// What it is.
    pub maximum: Amount<Sky>,
    /// What was paid out in its span of time.
    pub made: Amount<Sky>,
    /// What is to be paid out.
    pub wanted: Amount<Sky>,
}

impl Reached {
    /// Whether the payout exceeds the limit all by itself, so that no waiting helps.
    pub fn is_for_ever(&self) -> bool {
        self.wanted > self.maximum
    }
}

/// A payout, as far as limits go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Of which deposit.
    pub id: DepositId,
    /// When it was signed.
    pub at: DateTime<Utc>,
    /// To whom.
    pub target: String,
    /// How much.
    pub amount: Amount<Sky>,
}

/// The payouts of the last day, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct Outflow(VecDeque<Made>);

impl Outflow {
    /// The longest span that any limit looks at.
    pub const SPAN: TimeDelta = TimeDelta::days(1);

    /// One more was made.
    pub fn make(&mut self, made: Made) {
        self.0.push_back(made);
    }

    /// That of this deposit was found void: it will never be paid, or another time.
    pub fn void(&mut self, id: DepositId) {
        self.0.retain(|made| made.id != id);
    }

    /// Forgets what no limit looks at any more.
    pub fn forget(&mut self, now: DateTime<Utc>) {
        while self.0.front().is_some_and(|made| made.at <= now - Self::SPAN) {
            self.0.pop_front();
        }
    }

    /// Why this payout is not to be made now; `pending` are others that are about to be.
    pub fn reached(&self, limits: &Limits, pending: &BTreeMap<DepositId, Made>, wanted: &Made) -> Option<Reached> {
        let of = |limit| {
            let (maximum, span, of_target) = match limit {
                Limit::Hour => (limits.hour?, TimeDelta::hours(1), false),
                Limit::Day => (limits.day?, Self::SPAN, false),
                Limit::TargetDay => (limits.target_day?, Self::SPAN, true),
            };
            // What was made by a clock that ran ahead counts: nobody knows when that was.
            let counts = |made: &&Made| made.at > wanted.at - span && (!of_target || made.target == wanted.target);
            let all = self.0.iter().filter(counts).chain(pending.values().filter(counts));
            let made = Amount::checked_sum(all.map(|made| made.amount)).unwrap_or(Amount::MAX);
            let fits = made.checked_add(wanted.amount).is_some_and(|sum| sum <= maximum);
            (!fits).then_some(Reached { limit, maximum, made, wanted: wanted.amount })
        };
        [Limit::TargetDay, Limit::Hour, Limit::Day].into_iter().find_map(of)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn made(number: u128, minutes: i64, target: &str, coins: &str) -> Made {
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(10) + TimeDelta::minutes(minutes);
        Made { id: DepositId(Uuid::from_u128(number)), at, target: target.to_owned(), amount: coins.parse().unwrap() }
    }

    fn limits(hour: &str, day: &str, target_day: &str) -> Limits {
        let [hour, day, target_day] = [hour, day, target_day].map(|text| Some(text.parse().unwrap()));
        Limits { hour, day, target_day }
    }

    fn outflow(all: &[Made]) -> Outflow {
        Outflow(all.iter().cloned().collect())
    }

    fn limit(outflow: &Outflow, limits: Limits, wanted: &Made) -> Option<Limit> {
        outflow.reached(&limits, &BTreeMap::new(), wanted).map(|reached| reached.limit)
    }

    #[test]
    fn each_limit_counts_its_own_span_and_its_own_payouts() {
        let outflow = outflow(&[made(1, 0, "a", "5"), made(2, 50, "b", "3")]);
        let limits = limits("10", "20", "12");
        for (minutes, target, coins, expected) in [
            (55, "c", "2", None),
            (55, "c", "2.000001", Some(Limit::Hour)),
            (60, "c", "7", None),
            (110, "c", "10", None),
            (110, "c", "10.1", Some(Limit::Hour)),
            (110, "a", "7", None),
            (110, "a", "7.1", Some(Limit::TargetDay)),
            (24 * 60, "a", "10", None),
        ] {
            assert_eq!(
                limit(&outflow, limits, &made(9, minutes, target, coins)),
                expected,
                "{minutes} {target} {coins}"
            );
        }
        let busy = Limits { day: Some("12".parse().unwrap()), ..Limits::default() };
        assert_eq!(limit(&outflow, busy, &made(9, 120, "c", "4.1")), Some(Limit::Day));
        assert_eq!(limit(&outflow, Limits::default(), &made(9, 51, "a", "1000000")), None, "no limit is set");
    }

    #[test]
    fn what_is_about_to_be_made_counts_what_was_void_does_not() {
        let mut outflow = outflow(&[made(1, 0, "a", "5")]);
        let limits = limits("10", "10", "10");
        let pending = BTreeMap::from([(DepositId(Uuid::from_u128(2)), made(2, 1, "b", "5"))]);
        let wanted = made(3, 2, "c", "1");
        let reached = outflow.reached(&limits, &pending, &wanted).unwrap();
        assert_eq!((reached.made, reached.is_for_ever()), ("10".parse().unwrap(), false));
        outflow.void(DepositId(Uuid::from_u128(1)));
        assert_eq!(outflow.reached(&limits, &pending, &wanted), None);
        let too_much = outflow.reached(&limits, &pending, &made(3, 2, "c", "10.5")).unwrap();
        assert!(too_much.is_for_ever());
        assert_eq!(
            too_much.to_string(),
            "0.000000 SKY of at most 10.000000 SKY to one target in a day are paid out, which leaves too little for 10.500000 SKY"
        );
    }

    #[test]
    fn only_what_no_limit_looks_at_is_forgotten_and_a_clock_that_went_back_frees_nothing() {
        let mut outflow = outflow(&[made(1, 0, "a", "5"), made(2, 60, "a", "5")]);
        let limits = limits("10", "10", "10");
        outflow.forget(made(9, 24 * 60, "", "1").at);
        assert_eq!(outflow.0.len(), 1);
        assert_eq!(limit(&outflow, limits, &made(9, -600, "a", "6")), Some(Limit::TargetDay));
    }
}
