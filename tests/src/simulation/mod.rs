//! Whole lives of a desk in one thread and no time: a seed draws what befalls it, and the same seed draws the same again.
//!
//! The log is the real one, on a file, written in the caller's turn; the actors are the real ones. The world they ask is in
//! memory: its requests take time, get lost before or after acting and overtake each other (`wire`), its chains lose
//! blocks and forget transactions, its exchange fills in part, and the desk crashes in the middle of it all and starts anew
//! on the same log.
//!
//! A life has two phases (`story`). In the first one things go wrong, and what must hold at every moment is asked of the log
//! whenever the desk is down: this is safety, and nothing is expected to be finished. Then all faults stop, and everything
//! that was begun has to come to its end within a bound: this is liveness (`rest`). In the end the judge asks the world
//! what happened.
//!
//! It runs on a runtime of one thread whose time is paused (`start_paused`); [`many`] lives many lives on several threads.

mod bitcoin;
mod clock;
mod depth;
mod desk;
mod leaving;
pub mod many;
mod past;
mod rest;
mod skycoin;
mod story;
mod venue;
mod voids;
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
use self::desk::{Addresses, CountingIds};
use self::leaving::Leaving;
use self::past::Past;
use self::skycoin::{Filling, SkycoinNetwork};
use self::venue::{Conduct, Venue};
use self::wire::{Weather, Wire};

pub use self::rest::Ending;
pub use self::story::tell;

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
    leaving: Arc<Leaving>,
    /// Whether what is decided now is bought, or sold from stock.
    buys: Arc<AtomicBool>,
    /// Why the log grows old, if it does.
    past: Option<Past>,
}

impl World {
    fn new(seed: u64) -> Result<Self> {
        let clock = Arc::new(StoryClock::new());
        let wire = Wire::new(chance(seed, "wire"));
        // Sometimes the account is short until somebody fills it; so is the hot wallet, of coins or of coin hours.
        let btc = ["0.3", "3", "30"][chance(seed, "funds").random_range(0..3)].parse()?;
        let leaving = Arc::new(Leaving::default());
        let venue = Venue::new(Arc::clone(&wire), Arc::clone(&leaving), Arc::clone(&clock), btc, chance(seed, "venue"));
        let mut draw = chance(seed, "stock");
        let filling = Filling {
            coins: ["12", "2000"][usize::from(draw.random_ratio(3, 4))].parse()?,
            hours: [400, 1_000_000][usize::from(draw.random_ratio(3, 4))],
        };
        let is_listed = chance(seed, "addresses").random_ratio(7, 8);
        Ok(Self {
            seed,
            ids: Arc::default(),
            addresses: desk::addresses(if is_listed { Addresses::Listed } else { Addresses::Account }),
            bitcoin: Arc::new(BitcoinNetwork::new(Arc::clone(&wire))),
            skycoin: Arc::new(SkycoinNetwork::new(Arc::clone(&wire), Arc::clone(&leaving), filling)),
            venue: Arc::new(venue),
            leaving,
            buys: Arc::default(),
            past: Past::of(seed),
            wire,
            clock,
        })
    }

    /// From now on things go wrong.
    fn turn_foul(&self, per_mille: u32) {
        self.wire.turn(Weather::Foul { per_mille });
        self.venue.behave(Conduct::Slow);
    }

    /// From now on the clock is wrong by this, or by days where the log grows old.
    fn set_clock(&self, wrong_by: chrono::TimeDelta) {
        self.clock.set_wrong_by(if self.past.is_some() { Past::stretched(wrong_by) } else { wrong_by });
    }

    /// From now on everything works.
    fn turn_fair(&self) -> Result<()> {
        self.wire.turn(Weather::Fair);
        self.venue.behave(Conduct::Prompt);
        self.venue.fund("100".parse()?);
        self.skycoin.fill(Filling { coins: "10000".parse()?, hours: 1_000_000 });
        self.clock.set_wrong_by(chrono::TimeDelta::zero());
        self.bitcoin.send_again();
        Ok(())
    }

    /// What happened, by its own word.
    fn books(&self) -> Outside {
        Outside { payouts: self.skycoin.payouts(), orders: self.venue.orders() }
    }
}
