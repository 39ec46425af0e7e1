//! Whole lives of a desk in one thread and no time: a seed draws what befalls it, and the same seed draws the same again.
//!
//! The log is the real one, on a file, written in the caller's turn; the actors are the real ones. The world they ask is in
//! memory: its requests take time, get lost before or after acting and overtake each other (`wire`), its chains lose
//! blocks and forget transactions, its exchange fills in part, and the desk crashes in the middle of it all and starts anew
//! on the same log. In the end the world is well again, and the judge asks it what happened.
//!
//! It runs on a runtime of one thread whose time is paused (`start_paused`).

mod bitcoin;
mod clock;
mod desk;
mod skycoin;
mod story;
mod venue;
mod wire;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use millrace_actors::binder::AddressSource;
use rand::Rng;

use crate::judge::Outside;
use crate::seed::chance;

use self::bitcoin::BitcoinNetwork;
use self::clock::StoryClock;
use self::desk::CountingIds;
use self::skycoin::SkycoinNetwork;
use self::venue::{Conduct, Venue};
use self::wire::{Weather, Wire};

pub use self::story::{Ending, tell};

/// Everything outside the desk.
pub struct World {
    seed: u64,
    clock: Arc<StoryClock>,
    ids: Arc<CountingIds>,
    addresses: Arc<AddressSource>,
    wire: Arc<Wire>,
    bitcoin: Arc<BitcoinNetwork>,
    skycoin: Arc<SkycoinNetwork>,
    venue: Arc<Venue>,
    /// Whether what is decided now is bought, or sold from stock.
    buys: Arc<AtomicBool>,
}

impl World {
    fn new(seed: u64) -> Result<Self> {
        let clock = Arc::new(StoryClock::new());
        let wire = Wire::new(chance(seed, "wire"));
        // Sometimes the account is short until somebody fills it.
        let btc = ["0.3", "3", "30"][chance(seed, "funds").random_range(0..3)].parse()?;
        let venue = Venue::new(Arc::clone(&wire), Arc::clone(&clock), btc, chance(seed, "venue"));
        Ok(Self {
            seed,
            ids: Arc::default(),
            addresses: desk::addresses()?,
            bitcoin: Arc::new(BitcoinNetwork::new(Arc::clone(&wire))),
            skycoin: Arc::new(SkycoinNetwork::new(Arc::clone(&wire))),
            venue: Arc::new(venue),
            buys: Arc::default(),
            wire,
            clock,
        })
    }

    /// From now on things go wrong.
    fn turn_foul(&self, per_mille: u32) {
        self.wire.turn(Weather::Foul { per_mille });
        self.venue.behave(Conduct::Slow);
    }

    /// From now on everything works.
    fn turn_fair(&self) -> Result<()> {
        self.wire.turn(Weather::Fair);
        self.venue.behave(Conduct::Prompt);
        self.venue.fund("100".parse()?);
        self.clock.set_wrong_by(chrono::TimeDelta::zero());
        self.bitcoin.send_again();
        Ok(())
    }

    /// What happened, by its own word.
    fn books(&self) -> Outside {
        Outside { payouts: self.skycoin.payouts(), orders: self.venue.orders() }
    }
}
