//! The first blocks: everything belongs to the treasury, which then splits the hot wallet's part into many outputs.
//!
//! Block 0 holds the one genesis output; block 1 spends it into the treasury's stock and one part for each group of hot
//! outputs; block 2 splits every part. The same [`Genesis`] always makes the same blocks.

use millrace_model::money::{Amount, Coin, Sky};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::UxId;
use millrace_protocols::wire::skycoin::transaction::{Output, Transaction};

use super::entry::Genesis;
use super::ledger::Ledger;
use super::wallet::Key;

/// The number of the last block of the beginning; a reorganisation never goes below it.
pub const GENESIS_HEAD_SEQ: u64 = 2;
/// All coins there are: a hundred million.
const SUPPLY_DROPLETS: u64 = 100_000_000 * 10u64.pow(Sky::SCALE);
const SUPPLY_HOURS: u64 = 1_000_000_000_000_000_000;
/// Hot outputs of one splitting transaction; 400 fit well into its 32 KiB.
const GROUP: u32 = 400;
/// The most hot outputs: what the first transaction can fan out to.
const HOT_OUTPUTS_MAX: u32 = 200 * GROUP;
/// What the treasury keeps is split in so many, so that as many refills can wait at once.
const STOCK_OUTPUTS: u64 = 50;
const STOCK_HOURS: u64 = 1_000_000_000_000;

/// Why there is no such beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// No hot outputs, or too many.
    #[error("the hot wallet begins with 1 to {HOT_OUTPUTS_MAX} outputs")]
    Outputs,
    /// Less than a thousandth, finer than that, or more than all coins together.
    #[error(
        "a hot output holds at least 0.001 SKY, no finer, and together they leave the treasury some of its 100 million"
    )]
    Coins,
    /// More hours than the first output has.
    #[error("the hot outputs together have at most 10^17 hours")]
    Hours,
}

/// The chain up to [`GENESIS_HEAD_SEQ`].
pub fn begin(genesis: &Genesis, treasury: &Key, hot: &SkyAddress) -> Result<Ledger, GenesisError> {
    let groups = groups(genesis)?;
    let first = Output { address: treasury.address, coins: amount(SUPPLY_DROPLETS), hours: SUPPLY_HOURS };
    let mut ledger = Ledger::genesis(first, genesis.time_s);
    let (first_uxid, _) = ledger.unspent_of(&treasury.address).next().expect("the genesis output was just made");

    let parts: Vec<_> = groups.iter().enumerate().map(|(index, count)| part(genesis, index, *count)).collect();
    let stock_coins = SUPPLY_DROPLETS - parts.iter().map(|(coins, _)| coins).sum::<u64>();
    let share = stock_coins / STOCK_OUTPUTS / 1_000 * 1_000;
    let stock = (0..STOCK_OUTPUTS).map(|index| {
        let coins = if index == 0 { stock_coins - share * (STOCK_OUTPUTS - 1) } else { share };
        (coins, STOCK_HOURS + index)
    });
    let outputs = parts.iter().copied().chain(stock).map(|(coins, hours)| output(treasury.address, coins, hours));
    let fan = signed(treasury, first_uxid, outputs.collect());
    let part_uxids = fan.uxids();
    ledger.force_block(vec![fan], genesis.time_s);

    let split = |(index, count): (usize, &u32)| {
        let outputs = (0..*count)
            .map(|number| output(*hot, genesis.hot_output_coins.units(), genesis.hot_output_hours + u64::from(number)));
        signed(treasury, part_uxids[index], outputs.collect())
    };
    let splits = groups.iter().enumerate().map(split).collect();
    ledger.force_block(splits, genesis.time_s);
    Ok(ledger)
}

fn groups(genesis: &Genesis) -> Result<Vec<u32>, GenesisError> {
    let (count, coins) = (genesis.hot_outputs, genesis.hot_output_coins.units());
    if !(1..=HOT_OUTPUTS_MAX).contains(&count) {
        return Err(GenesisError::Outputs);
    }
    let total = coins.checked_mul(u64::from(count)).ok_or(GenesisError::Coins)?;
    if coins == 0 || coins % 1_000 != 0 || total > SUPPLY_DROPLETS - STOCK_OUTPUTS * 1_000_000 {
        return Err(GenesisError::Coins);
    }
    match genesis.hot_output_hours.checked_mul(u64::from(count)) {
        Some(0..=100_000_000_000_000_000) => (),
        _ => return Err(GenesisError::Hours),
    }
    let whole = (0..count / GROUP).map(|_| GROUP);
    Ok(whole.chain(Some(count % GROUP).filter(|rest| *rest > 0)).collect())
}

/// Coins and hours of a group, before it is split: twice the hours, as half are burnt. No two groups are equal.
fn part(genesis: &Genesis, index: usize, count: u32) -> (u64, u64) {
    let count = u64::from(count);
    (genesis.hot_output_coins.units() * count, 2 * count * (genesis.hot_output_hours + count) + index as u64)
}

fn amount(droplets: u64) -> Amount<Sky> {
    Amount::from_units(droplets).expect("no part is more than the supply")
}

fn output(address: SkyAddress, droplets: u64, hours: u64) -> Output {
    Output { address, coins: amount(droplets), hours }
}

fn signed(key: &Key, input: UxId, outputs: Vec<Output>) -> Transaction {
    let mut transaction = Transaction::unsigned(vec![input], outputs).expect("the first transactions keep the rules");
    transaction.sign(0, &key.secret);
    transaction
}
