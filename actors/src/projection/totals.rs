//! What all deposits add up to, kept up to date with every event, so that asking costs nothing.

use millrace_model::money::{Amount, Btc, Coin, Sky};
use serde::{Deserialize, Serialize};

use super::row::DepositRow;

/// Sums over all deposits and addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    lines: Vec<Line>,
    addresses: u64,
}

/// Sums over the deposits that stand at the same place.
///
/// Units are added and taken away modulo 2⁶⁴: no order of events can lose any, and all coins of a chain together are far
/// below it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The word of [`millrace_model::deposit::StageName`].
    pub status: String,
    /// How they ended, if they did.
    pub outcome: Option<String>,
    /// How many.
    pub deposits: u64,
    received: u64,
    spent: u64,
    bought: u64,
    payout: u64,
    refund: u64,
    #[serde(default)]
    lost: u64,
}

impl Line {
    /// What was deposited.
    pub fn received(&self) -> Amount<Btc> {
        amount(self.received)
    }

    /// What purchases cost.
    pub fn spent(&self) -> Amount<Btc> {
        amount(self.spent)
    }

    /// What purchases brought.
    pub fn bought(&self) -> Amount<Sky> {
        amount(self.bought)
    }

    /// What is or was to be paid out.
    pub fn payout(&self) -> Amount<Sky> {
        amount(self.payout)
    }

    /// What is or was to be paid back.
    pub fn refund(&self) -> Amount<Btc> {
        amount(self.refund)
    }

    /// What reorganisations took after it was paid for.
    pub fn lost(&self) -> Amount<Btc> {
        amount(self.lost)
    }

    fn change(&mut self, summand: &Summand, by: impl Fn(u64, u64) -> u64) {
        let Summand { received, spent, bought, payout, refund, lost, .. } = *summand;
        self.deposits = by(self.deposits, 1);
        self.received = by(self.received, received);
        self.spent = by(self.spent, spent);
        self.bought = by(self.bought, bought);
        self.payout = by(self.payout, payout);
        self.refund = by(self.refund, refund);
        self.lost = by(self.lost, lost);
    }
}

/// What a deposit's row adds to the sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summand {
    status: String,
    outcome: Option<String>,
    received: u64,
    spent: u64,
    bought: u64,
    payout: u64,
    refund: u64,
    lost: u64,
}

impl Summand {
    pub(crate) fn of(row: &DepositRow) -> Self {
        Self {
            status: row.status.clone(),
            outcome: row.outcome.clone(),
            received: row.amount.units(),
            spent: units(row.spent),
            bought: units(row.bought),
            payout: units(row.payout),
            refund: units(row.refund),
            lost: units(row.loss),
        }
    }
}

impl Totals {
    /// The sums, one line for each place where a deposit stands or ever stood.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// How many addresses were given out.
    pub fn addresses(&self) -> u64 {
        self.addresses
    }

    /// How many deposits have not ended.
    pub fn open(&self) -> u64 {
        self.lines.iter().filter(|line| line.outcome.is_none()).map(|line| line.deposits).sum()
    }

    /// How many deposits stand where, outcomes taken together.
    pub fn counts(&self) -> Vec<(String, u64)> {
        let mut counts: Vec<(String, u64)> = Vec::new();
        for line in &self.lines {
            match counts.iter_mut().find(|(status, _)| *status == line.status) {
                Some((_, count)) => *count += line.deposits,
                None => counts.push((line.status.clone(), line.deposits)),
            }
        }
        counts
    }

    pub(crate) fn add(&mut self, summand: &Summand) {
        self.line(summand).change(summand, u64::wrapping_add);
    }

    pub(crate) fn take_away(&mut self, summand: &Summand) {
        self.line(summand).change(summand, u64::wrapping_sub);
    }

    pub(crate) fn add_addresses(&mut self, count: usize) {
        self.addresses += count as u64;
    }

    fn line(&mut self, of: &Summand) -> &mut Line {
        let found = self.lines.iter().position(|line| line.status == of.status && line.outcome == of.outcome);
        let index = found.unwrap_or_else(|| {
            let (status, outcome) = (of.status.clone(), of.outcome.clone());
            self.lines.push(Line { status, outcome, ..Line::default() });
            self.lines.len() - 1
        });
        &mut self.lines[index]
    }
}

fn units<C: Coin>(amount: Option<Amount<C>>) -> u64 {
    amount.map_or(0, Amount::units)
}

fn amount<C: Coin>(units: u64) -> Amount<C> {
    Amount::from_units(units).unwrap_or(Amount::MAX)
}
