//! Logs with many deposits of which not much is told: most vanish as soon as they were seen, and some stay wherever one can stand.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use chrono::TimeDelta;
use millrace_actors::event_store::Log;
use millrace_model::deposit::{BlockRef, Command, Customer, Deposit, Sighting, Stage};
use rand::Rng;
use rand::rngs::SmallRng;

use super::deposit::{FEW_INPUTS, Step, next_with};
use super::{DRAWN_AS, Drawing, kept_as};

/// So many of twenty deposits vanish.
const VANISHING: (u32, u32) = (17, 20);
/// One in so many that could move stays where it is for good.
const STAYING: u32 = 400;
/// One in so many comes to whoever pays in all the time.
const REGULARS: u32 = 20;
/// One in so many comes to an address that nobody was given.
const NOBODYS: u32 = 2_000;
/// Between two commits, in seconds at most: a million deposits are spread over months.
const PAUSE_S: i64 = 12_000;
/// To be raised when other logs are drawn from the same seed.
const SHORT_AS: u32 = 1;

/// How much happens to the deposits of a drawn log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lives {
    /// Each goes its way, as far as the log goes.
    Whole,
    /// Most vanish.
    Short,
}

/// A customer with very many deposits, on one address; his other one has none.
pub(super) struct Regular {
    address: String,
    customer: Customer,
}

impl Drawing {
    /// To whom the next deposit comes.
    pub(super) fn payee(&mut self) -> anyhow::Result<(String, Option<Customer>)> {
        if self.lives == Lives::Whole {
            return Ok((self.address.clone(), self.customer.clone()));
        }
        if self.regular.is_none() {
            self.begin_regular()?;
        }
        if let Some(Regular { address, customer }) = &self.regular
            && self.chance.random_ratio(1, REGULARS)
        {
            return Ok((address.clone(), Some(customer.clone())));
        }
        Ok(match self.chance.random_ratio(1, NOBODYS) {
            true => (format!("bcrt1q{}", &hex::encode(self.chance.random::<[u8; 32]>())[..38]), None),
            false => (self.address.clone(), self.customer.clone()),
        })
    }

    fn begin_regular(&mut self) -> anyhow::Result<()> {
        let customer = self.new_customer();
        self.bind(customer.clone())?;
        self.bind(customer.clone())?;
        self.regular = Some(Regular { address: self.address.clone(), customer });
        Ok(())
    }
}

/// What comes next for a deposit with a short life.
pub(super) fn next(chance: &mut SmallRng, deposit: &Deposit, block: BlockRef) -> Option<Step> {
    let is_seen_alone = deposit.stage == Stage::Pending && !matches!(deposit.sighting, Sighting::Mined(_));
    if chance.random_ratio(1, STAYING) {
        return None;
    }
    if is_seen_alone && chance.random_ratio(VANISHING.0, VANISHING.1) {
        return Some(Step { command: Command::ObserveVanished { replaced_by: None }, wallet: None });
    }
    next_with(chance, deposit, block, FEW_INPUTS)
}

/// A log of at least so many deposits, and at most a few thousand more, under this name.
pub fn draw_deposits(log: &Path, deposits: u64, drawn_from: u64) -> anyhow::Result<()> {
    let mut log = Log::open(log)?;
    ensure!(log.head() == 0, "the log is there already");
    let mut drawing = Drawing::begin_with(Lives::Short, drawn_from)?;
    while drawing.deposits < deposits {
        let group = drawing.group()?;
        for outcome in log.commit(group, drawing.now).0 {
            outcome?;
        }
        drawing.now += TimeDelta::seconds(drawing.chance.random_range(1..PAUSE_S));
    }
    Ok(())
}

/// A log of so many deposits from seed 1, drawn once and kept in a folder of its own under this one.
pub fn kept_deposits(folder: &Path, deposits: u64) -> anyhow::Result<PathBuf> {
    kept_as(folder, &format!("deposits-{DRAWN_AS}-{SHORT_AS}-{deposits}"), |log| draw_deposits(log, deposits, 1))
}
