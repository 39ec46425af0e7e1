//! The outputs of the hot wallet that are free, and which of them a payout takes.

use std::collections::{BTreeSet, HashMap};

use millrace_model::money::{Amount, Sky};

use crate::wire::skycoin::address::SkyAddress;
use crate::wire::skycoin::hash::UxId;

/// The most outputs one payout spends. Its bytes are then about 7 KiB in the log, well under what that takes.
pub const INPUTS_MAX: usize = 32;

/// An output nobody has a claim on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeOutput {
    /// Its name.
    pub uxid: UxId,
    /// Whose it is.
    pub address: SkyAddress,
    /// The coins in it.
    pub coins: Amount<Sky>,
    /// The coin hours in it.
    pub hours: u64,
}

/// Why a payout finds nothing to spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    /// Nothing is free.
    #[error("no free outputs")]
    NoneFree,
    /// All that is free is not enough.
    #[error("balance too low: owes {owed} SKY, has {has} SKY free")]
    BalanceTooLow {
        /// How much is to be paid.
        owed: Amount<Sky>,
        /// How much is free.
        has: Amount<Sky>,
    },
    /// There are coins enough and no coin hours to burn.
    #[error("waiting for hours: the free outputs hold no coin hours to burn")]
    WaitingForHours,
    /// The wallet is to keep more coin hours than it has.
    #[error("waiting for hours: the wallet holds {has} coin hours, and payouts are made from {minimum} on")]
    TooFewHours {
        /// How many there are.
        has: u64,
        /// From how many on payouts are made.
        minimum: u64,
    },
    /// There are coins enough, in pieces too small.
    #[error("the free outputs are so small that {INPUTS_MAX} of them do not make {owed} SKY")]
    TooManyInputs {
        /// How much is to be paid.
        owed: Amount<Sky>,
    },
}

/// The free outputs.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    outputs: HashMap<UxId, FreeOutput>,
    /// Those with coin hours, smallest first; any of them alone can burn what a transaction must burn.
    able: BTreeSet<(Amount<Sky>, UxId)>,
    /// Those without.
    dry: BTreeSet<(Amount<Sky>, UxId)>,
    /// The coins in all of them, in the smallest unit.
    units: u128,
}

impl Pool {
    /// How many outputs are free.
    pub fn len(&self) -> usize {
        self.outputs.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    /// The coins in all free outputs; at most as many as an amount can be.
    pub fn coins(&self) -> Amount<Sky> {
        u64::try_from(self.units).ok().and_then(Amount::from_units).unwrap_or(Amount::ZERO)
    }

    /// Frees an output; replaces what was known of it.
    pub fn insert(&mut self, output: FreeOutput) {
        self.remove(output.uxid);
        let set = if output.hours > 0 { &mut self.able } else { &mut self.dry };
        set.insert((output.coins, output.uxid));
        self.units += u128::from(output.coins.units());
        self.outputs.insert(output.uxid, output);
    }

    /// Takes an output away.
    pub fn remove(&mut self, uxid: UxId) -> Option<FreeOutput> {
        let output = self.outputs.remove(&uxid)?;
        let place = (output.coins, uxid);
        if !self.able.remove(&place) {
            self.dry.remove(&place);
        }
        self.units -= u128::from(output.coins.units());
        Some(output)
    }

    /// Takes what a payout of `owed` spends: the smallest single output that suffices, else as few as do.
    pub fn take(&mut self, owed: Amount<Sky>) -> Result<Vec<FreeOutput>, Shortage> {
        let chosen = self.choose(owed)?;
        Ok(chosen.into_iter().filter_map(|uxid| self.remove(uxid)).collect())
    }

    fn choose(&self, owed: Amount<Sky>) -> Result<Vec<UxId>, Shortage> {
        if let Some((_, uxid)) = self.able.range((owed, UxId([0; 32]))..).next() {
            return Ok(vec![*uxid]);
        }
        if self.is_empty() {
            return Err(Shortage::NoneFree);
        }
        if self.units < u128::from(owed.units()) {
            return Err(Shortage::BalanceTooLow { owed, has: self.coins() });
        }
        let Some((most, spark)) = self.able.last() else { return Err(Shortage::WaitingForHours) };
        fewest(&self.able, owed, INPUTS_MAX)
            .or_else(|| {
                // The largest that has hours pays the hours for those that have none.
                let rest: BTreeSet<_> = self.outputs.values().map(|output| (output.coins, output.uxid)).collect();
                let rest = without(rest, (*most, *spark));
                let mut chosen = fewest(&rest, owed.saturating_sub(*most), INPUTS_MAX - 1)?;
                chosen.push(*spark);
                Some(chosen)
            })
            .ok_or(Shortage::TooManyInputs { owed })
    }
}

fn without(mut set: BTreeSet<(Amount<Sky>, UxId)>, one: (Amount<Sky>, UxId)) -> BTreeSet<(Amount<Sky>, UxId)> {
    set.remove(&one);
    set
}

/// The largest, until the smallest that suffices for the rest ends it.
fn fewest(set: &BTreeSet<(Amount<Sky>, UxId)>, owed: Amount<Sky>, count_max: usize) -> Option<Vec<UxId>> {
    let mut chosen = Vec::new();
    let mut missing = owed;
    for (coins, uxid) in set.iter().rev().take(count_max) {
        if *coins < missing {
            missing = missing.saturating_sub(*coins);
            chosen.push(*uxid);
            continue;
        }
        // Everything from here down is not chosen yet, so the smallest that suffices is neither.
        let last = set.range((missing, UxId([0; 32]))..).next().map_or(*uxid, |(_, smallest)| *smallest);
        chosen.push(last);
        return Some(chosen);
    }
    None
}

impl FromIterator<FreeOutput> for Pool {
    fn from_iter<I: IntoIterator<Item = FreeOutput>>(outputs: I) -> Self {
        let mut pool = Self::default();
        outputs.into_iter().for_each(|output| pool.insert(output));
        pool
    }
}
