//! How the node builds a transaction: which outputs it spends and how it shares out coins and hours.
//!
//! Fewest outputs win: the richest output that has hours comes first, then outputs without hours, then the rest, each
//! by coins. Half of all hours is burnt; of what remains the receivers get their share and the change gets the rest.

use std::cmp::Reverse;

use millrace_model::money::{Amount, Sky};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::UxId;
use millrace_protocols::wire::skycoin::transaction::{Output, Transaction, TransactionError};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// Of this many hours spent, one is burnt.
pub const BURN_FACTOR: u64 = 2;

/// An output that may be spent.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its name.
    pub uxid: UxId,
    /// Its owner.
    pub address: SkyAddress,
    /// The coins in it.
    pub coins: Amount<Sky>,
    /// The hours in it now.
    pub hours: u64,
}

/// How the receivers' hours are decided.
#[derive(Debug, Clone)]
pub enum HoursSelection {
    /// This share, 0 to 1, of what is left after burning, in proportion to the coins.
    Share(Decimal),
    /// These hours, one number for each receiver.
    Manual(Vec<u64>),
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Spend {
    /// What may be spent.
    pub candidates: Vec<Candidate>,
    /// Who is paid how much.
    pub to: Vec<(SkyAddress, Amount<Sky>)>,
    /// Who gets which hours.
    pub hours: HoursSelection,
    /// Where the rest goes; without one, to the lowest address spent from.
    pub change: Option<SkyAddress>,
}

/// Why it cannot be built; the real node's sentences.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpendError {
    /// Nothing to choose from.
    #[error("no unspents to spend")]
    NoUnspents,
    /// No candidate has hours, so nothing could be burnt.
    #[error("Transaction has zero coinhour fee")]
    NoHours,
    /// Too few coins.
    #[error("balance is not sufficient")]
    Coins,
    /// Too few hours for what was asked.
    #[error("hours are not sufficient")]
    Hours,
    /// What came out is not a transaction the network carries.
    #[error("created transaction is invalid: {0}")]
    Invalid(#[from] TransactionError),
}

/// The hours that spending these many burns, at least.
pub fn required_fee(hours: u64) -> u64 {
    hours.div_ceil(BURN_FACTOR)
}

/// Builds the transaction, unsigned, and says which candidates it spends, in the order of its inputs.
pub fn build(spend: &Spend) -> Result<(Transaction, Vec<Candidate>), SpendError> {
    let wanted = Amount::checked_sum(spend.to.iter().map(|(_, coins)| *coins)).ok_or(SpendError::Coins)?;
    let wanted_hours = match &spend.hours {
        HoursSelection::Share(_) => 0,
        HoursSelection::Manual(hours) => {
            hours.iter().try_fold(0u64, |sum, hours| sum.checked_add(*hours)).ok_or(SpendError::Hours)?
        }
    };
    let mut chosen = choose(&spend.candidates, wanted, wanted_hours)?;
    let mut hours_left = remaining(&chosen);
    let mut receivers_hours = match &spend.hours {
        HoursSelection::Share(share) => proportional(&spend.to, share_of(hours_left, *share)),
        HoursSelection::Manual(hours) => hours.clone(),
    };
    let mut change_coins = sum_coins(&chosen)?.saturating_sub(wanted);
    if change_coins.is_zero() && hours_left > receivers_hours.iter().sum() {
        let change_hours = hours_left - receivers_hours.iter().sum::<u64>();
        if let Some(extra) = worthwhile_extra(&spend.candidates, &chosen, change_hours) {
            // One more input makes a change output that keeps hours which would otherwise be burnt.
            change_coins = extra.coins;
            chosen.push(extra);
            hours_left = remaining(&chosen);
        } else if let HoursSelection::Share(_) = spend.hours {
            receivers_hours = proportional(&spend.to, hours_left);
        }
    }
    let paid = spend.to.iter().zip(&receivers_hours);
    let mut outputs: Vec<_> =
        paid.map(|((address, coins), hours)| Output { address: *address, coins: *coins, hours: *hours }).collect();
    if !change_coins.is_zero() {
        let lowest = chosen.iter().map(|candidate| candidate.address).min().ok_or(SpendError::NoUnspents)?;
        let hours = hours_left - receivers_hours.iter().sum::<u64>();
        outputs.push(Output { address: spend.change.unwrap_or(lowest), coins: change_coins, hours });
    }
    let inputs = chosen.iter().map(|candidate| candidate.uxid).collect();
    Ok((Transaction::unsigned(inputs, outputs)?, chosen))
}

fn sum_coins(candidates: &[Candidate]) -> Result<Amount<Sky>, SpendError> {
    Amount::checked_sum(candidates.iter().map(|candidate| candidate.coins)).ok_or(SpendError::Coins)
}

fn sum_hours(candidates: &[Candidate]) -> u64 {
    candidates.iter().fold(0, |sum, candidate| sum.saturating_add(candidate.hours))
}

fn remaining(chosen: &[Candidate]) -> u64 {
    let hours = sum_hours(chosen);
    hours - required_fee(hours)
}

fn choose(candidates: &[Candidate], coins: Amount<Sky>, hours: u64) -> Result<Vec<Candidate>, SpendError> {
    if candidates.is_empty() {
        return Err(SpendError::NoUnspents);
    }
    let (mut with_hours, mut without): (Vec<_>, Vec<_>) = candidates.iter().partition(|candidate| candidate.hours > 0);
    let richest_first = |candidate: &Candidate| (Reverse(candidate.coins), candidate.hours, candidate.uxid);
    with_hours.sort_by_key(richest_first);
    without.sort_by_key(richest_first);
    let (first, rest) = with_hours.split_first().ok_or(SpendError::NoHours)?;
    let mut chosen = Vec::new();
    for candidate in std::iter::once(first).chain(&without).chain(rest) {
        // Outputs without hours only ever help when coins are missing.
        let coins_enough = sum_coins(&chosen)? >= coins;
        if coins_enough && candidate.hours == 0 {
            continue;
        }
        chosen.push(*candidate);
        if sum_coins(&chosen)? >= coins && remaining(&chosen) >= hours {
            return Ok(chosen);
        }
    }
    Err(if sum_coins(&chosen)? < coins { SpendError::Coins } else { SpendError::Hours })
}

fn share_of(hours: u64, share: Decimal) -> u64 {
    (Decimal::from(hours) * share).trunc().to_u64().unwrap_or(hours)
}

/// Shares out hours by coins; whoever would get none gets one of the rest first.
fn proportional(to: &[(SkyAddress, Amount<Sky>)], hours: u64) -> Vec<u64> {
    let total: u128 = to.iter().map(|(_, coins)| u128::from(coins.units())).sum();
    let part = |coins: &Amount<Sky>| u128::from(coins.units()) * u128::from(hours) / total.max(1);
    let mut parts: Vec<u64> =
        to.iter().map(|(_, coins)| u64::try_from(part(coins)).expect("a part is not more than the whole")).collect();
    let mut rest = hours - parts.iter().sum::<u64>();
    for hours in parts.iter_mut().filter(|hours| **hours == 0) {
        *hours += u64::from(rest > 0);
        rest = rest.saturating_sub(1);
    }
    for hours in &mut parts {
        *hours += u64::from(rest > 0);
        rest = rest.saturating_sub(1);
    }
    parts
}

/// The candidate with the fewest hours, when burning for it costs less than the change hours it saves.
fn worthwhile_extra(candidates: &[Candidate], chosen: &[Candidate], change_hours: u64) -> Option<Candidate> {
    let free = candidates.iter().filter(|candidate| chosen.iter().all(|taken| taken.uxid != candidate.uxid));
    let extra = free.min_by_key(|candidate| (candidate.hours, candidate.coins, candidate.uxid))?;
    let before = sum_hours(chosen);
    let cost = required_fee(before.saturating_add(extra.hours)) - required_fee(before);
    (cost < change_hours).then_some(*extra)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> SkyAddress {
        SkyAddress::from_key_hash([number; 20])
    }

    fn sky(text: &str) -> Amount<Sky> {
        text.parse().unwrap()
    }

    fn candidate(number: u8, coins: &str, hours: u64) -> Candidate {
        Candidate { uxid: UxId([number; 32]), address: address(1), coins: sky(coins), hours }
    }

    fn spend(candidates: Vec<Candidate>, coins: &str) -> Spend {
        let hours = HoursSelection::Share("0.5".parse().unwrap());
        Spend { candidates, to: vec![(address(9), sky(coins))], hours, change: Some(address(1)) }
    }

    fn shape(spend: &Spend) -> (Vec<u8>, Vec<(String, u64)>) {
        let (transaction, chosen) = build(spend).unwrap();
        let inputs = chosen.iter().map(|candidate| candidate.uxid.0[0]).collect();
        (inputs, transaction.outputs().iter().map(|output| (output.coins.to_string(), output.hours)).collect())
    }

    #[test]
    fn half_the_hours_burn_and_the_rest_is_shared_as_the_real_node_did() {
        // The node's own transaction: 1000.5 SKY of one output with 10^9 hours left 250 million hours to each side.
        let (inputs, outputs) = shape(&spend(vec![candidate(1, "1000000", 1_000_000_000)], "1000.5"));
        assert_eq!(inputs, [1]);
        assert_eq!(outputs, [("1000.500000".to_owned(), 250_000_000), ("998999.500000".to_owned(), 250_000_000)]);
    }

    #[test]
    fn an_odd_hour_goes_to_the_change() {
        let (_, outputs) = shape(&spend(vec![candidate(1, "10", 7)], "4"));
        assert_eq!(outputs, [("4.000000".to_owned(), 1), ("6.000000".to_owned(), 2)]);
    }

    #[test]
    fn the_fewest_outputs_are_spent() {
        let candidates = vec![candidate(1, "5", 10), candidate(2, "50", 10), candidate(3, "20", 10)];
        assert_eq!(shape(&spend(candidates.clone(), "49")).0, [2]);
        assert_eq!(shape(&spend(candidates, "60")).0, [2, 3]);
    }

    #[test]
    fn an_exact_spend_gives_all_hours_to_the_receiver_or_takes_a_cheap_extra_input() {
        let alone = shape(&spend(vec![candidate(1, "5", 100)], "5"));
        assert_eq!(alone, (vec![1], vec![("5.000000".to_owned(), 50)]));
        let with_extra = shape(&spend(vec![candidate(1, "5", 100), candidate(2, "3", 10)], "5"));
        assert_eq!(with_extra, (vec![1, 2], vec![("5.000000".to_owned(), 25), ("3.000000".to_owned(), 30)]));
    }

    #[test]
    fn what_is_missing_is_said_as_the_node_says_it() {
        let error = |candidates: Vec<Candidate>| build(&spend(candidates, "5")).unwrap_err().to_string();
        assert_eq!(error(vec![]), "no unspents to spend");
        assert_eq!(error(vec![candidate(1, "4", 9)]), "balance is not sufficient");
        assert_eq!(error(vec![candidate(1, "9", 0)]), "Transaction has zero coinhour fee");
        let hours = HoursSelection::Manual(vec![6]);
        let manual = Spend { hours, ..spend(vec![candidate(1, "9", 11)], "5") };
        assert_eq!(build(&manual).unwrap_err(), SpendError::Hours);
    }
}
