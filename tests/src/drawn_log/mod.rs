//! Logs of any length with histories that could have happened, drawn by chance from a seed and stored by the log's own writer.
//!
//! Every event of a deposit is what its rules decided upon a command, so that `millrace verify` finds nothing in such a log.
//! Many deposits are under way at once, by both methods; a few are held and stay so, a few are paid back. Those that are under
//! way when the log is long enough stay open.
//!
//! Where many deposits are wanted and not much about each, most of them vanish as soon as they were seen ([`Lives::Short`]).

mod deposit;
mod short;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use millrace_actors::event_store::{Append, Expected, Log, Progress, Reader, Write};
use millrace_model::address_book::AddressIssued;
use millrace_model::binding::Bound;
use millrace_model::chain::BlockScanned;
use millrace_model::deposit::{BlockRef, Customer, Deposit, Method, evolve};
use millrace_model::desk::{Coins, Place, TransferDeclared, TransferKind};
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, DepositId, Hash32, Position, StreamName, Version};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::seed;
use deposit::{Step, detected, next};
use short::Regular;
pub use short::{Lives, draw_deposits, kept_deposits};

/// How many deposits are under way at once.
const UNDER_WAY: usize = 64;
/// How often each of them moves before a block is read and the next commit begins.
const MOVES: usize = 16;
/// How many deposits come to an address, on the average.
const DEPOSITS_AN_ADDRESS: u32 = 8;
/// The time of the first event: 2026-01-01.
const BEGIN_S: i64 = 1_767_225_600;
/// To be raised when other logs are drawn from the same seed: those that are kept are drawn anew.
const DRAWN_AS: u32 = 5;
/// The same for another form of segments.
const SEALED_AS: u32 = 2;

/// A log of at least so many events, and at most a few thousand more, under this name.
pub fn draw(log: &Path, events: u64, drawn_from: u64) -> anyhow::Result<()> {
    let mut log = Log::open(log)?;
    ensure!(log.head() == 0, "the log is there already");
    let mut drawing = Drawing::begin(drawn_from)?;
    while drawing.position < events {
        let group = drawing.group()?;
        let mut last = 0;
        for outcome in log.commit(group, drawing.now).0 {
            last = outcome?.last;
        }
        ensure!(last == drawing.position, "the log is at {last}, not at {}", drawing.position);
    }
    Ok(())
}

/// Seals all of a log that can be sealed, as a desk does with what is old.
pub fn seal(log: &Path) -> anyhow::Result<()> {
    let (mut writer, reader) = (Log::open(log)?, Reader::open(log)?);
    while let Some(segment) = reader.next_segment(DateTime::<Utc>::MAX_UTC)? {
        writer.keep(&segment)?;
    }
    Ok(())
}

/// A log from seed 1, drawn once and kept under this folder. It is not to be written to.
pub fn kept(folder: &Path, events: u64) -> anyhow::Result<PathBuf> {
    kept_as(folder, &format!("drawn-{DRAWN_AS}-{events}"), |log| draw(log, events, 1))
}

/// The same log as a desk has it that is old: sealed and compact.
pub fn kept_sealed(folder: &Path, events: u64) -> anyhow::Result<PathBuf> {
    let rows = kept(folder, events)?;
    kept_as(folder, &format!("drawn-{DRAWN_AS}-{events}-sealed-{SEALED_AS}"), |log| {
        std::fs::copy(&rows, log)?;
        seal(log)?;
        Ok(Log::open(log)?.compact()?)
    })
}

/// A log that is made once; one that is not made whole is not kept.
fn kept_as(folder: &Path, name: &str, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    let kept = folder.join(name);
    if !kept.try_exists()? {
        std::fs::create_dir_all(folder)?;
        let partial = tempfile::tempdir_in(folder)?;
        make(&partial.path().join("log.db"))?;
        std::fs::rename(partial.keep(), &kept).with_context(|| kept.display().to_string())?;
    }
    Ok(kept.join("log.db"))
}

/// A deposit under way.
struct Moving {
    deposit: Deposit,
    version: Version,
    newest: Position,
}

/// A history that is being drawn, and is to be stored as it is handed out.
pub struct Drawing {
    chance: SmallRng,
    lives: Lives,
    moving: Vec<Moving>,
    /// How many deposits were received.
    deposits: u64,
    /// Whoever pays in all the time, where lives are short.
    regular: Option<Regular>,
    /// The address that was given out last.
    address: String,
    customer: Option<Customer>,
    addresses: u32,
    position: Position,
    chain: Version,
    wallet: Version,
    block: BlockRef,
    now: DateTime<Utc>,
    group: Vec<Append>,
}

impl Drawing {
    /// One of a desk that has just begun.
    pub fn begin(drawn_from: u64) -> anyhow::Result<Self> {
        Self::begin_with(Lives::Whole, drawn_from)
    }

    fn begin_with(lives: Lives, drawn_from: u64) -> anyhow::Result<Self> {
        let mut chance = seed::chance(drawn_from, "drawn log");
        Ok(Self {
            lives,
            moving: Vec::new(),
            deposits: 0,
            regular: None,
            address: String::new(),
            customer: None,
            addresses: 0,
            position: 0,
            chain: 0,
            wallet: 0,
            block: BlockRef { height: 900_000, hash: Hash32(chance.random()) },
            now: DateTime::from_timestamp(BEGIN_S, 0).context("a time")?,
            group: Vec::new(),
            chance,
        })
    }

    /// What is stored next, in this order: some thousand events after the first three.
    pub fn group(&mut self) -> anyhow::Result<Vec<Append>> {
        if self.position == 0 {
            self.open_books()?
        } else {
            self.go_on()?
        }
        self.now += TimeDelta::microseconds(self.chance.random_range(1..20_000_000));
        Ok(std::mem::take(&mut self.group))
    }

    /// What lay where when the desk began.
    fn open_books(&mut self) -> anyhow::Result<()> {
        let there = [
            (Place::HotWallet, Coins::Sky("100000000".parse()?)),
            (Place::Exchange, Coins::Sky("0".parse()?)),
            (Place::Exchange, Coins::Btc("10000".parse()?)),
        ];
        for (place, coins) in there {
            let note = "what was there at the start".to_owned();
            let transfer = TransferDeclared { kind: TransferKind::Opening, place, coins, note };
            let version = self.position;
            let body = serde_json::to_string(&transfer)?;
            let write = Write::new(StreamName::Desk, Expected::Exactly(version), vec![Event::Desk(transfer.into())]);
            self.append("DeclareTransfer", body, None, vec![write]);
        }
        Ok(())
    }

    /// Each deposit moves a few times, and a block is read.
    fn go_on(&mut self) -> anyhow::Result<()> {
        self.block = BlockRef { height: self.block.height + 1, hash: Hash32(self.chance.random()) };
        let scanned = Event::Chain(BlockScanned { block: self.block }.into());
        let write = Write::new(StreamName::Chain, Expected::Exactly(self.chain), vec![scanned]);
        self.chain += 1;
        self.append("RecordBlock", serde_json::to_string(&self.block)?, None, vec![write]);
        for _ in 0..MOVES {
            while self.moving.len() < UNDER_WAY {
                self.receive()?;
            }
            for index in (0..self.moving.len()).rev() {
                let moving = self.moving.swap_remove(index);
                if let Some(moved) = self.move_on(moving)? {
                    self.moving.push(moved);
                    let last = self.moving.len() - 1;
                    self.moving.swap(index, last);
                }
            }
        }
        Ok(())
    }

    /// A new deposit, sometimes to a new address.
    fn receive(&mut self) -> anyhow::Result<()> {
        if self.customer.is_none() || self.chance.random_ratio(1, DEPOSITS_AN_ADDRESS) {
            let customer = self.new_customer();
            self.bind(customer)?;
        }
        let id = DepositId(
            uuid::Builder::from_unix_timestamp_millis(
                u64::try_from(self.now.timestamp_millis())?,
                &self.chance.random(),
            )
            .into_uuid(),
        );
        self.deposits += 1;
        let payee = self.payee()?;
        let detected = detected(&mut self.chance, id, payee);
        let deposit = evolve(None, &detected.clone().into()).context("it was detected")?;
        let key = Some(format!("btc:{}", detected.outpoint));
        let body = serde_json::to_string(&detected.outpoint)?;
        let event = Event::Deposit(detected.into());
        let write = Write { key, ..Write::new(StreamName::Deposit(id), Expected::Exactly(0), vec![event]) };
        self.append("RecordSightings", body, None, vec![write]);
        self.moving.push(Moving { deposit, version: 1, newest: self.position });
        Ok(())
    }

    fn new_customer(&mut self) -> Customer {
        let methods = [Method::Direct, Method::Passthrough];
        Customer {
            target: deposit::target(&mut self.chance),
            bound_method: methods[self.chance.random_range(0..methods.len())],
        }
    }

    /// Gives this customer an address, to which deposits come from then on.
    fn bind(&mut self, customer: Customer) -> anyhow::Result<()> {
        self.address = format!("bcrt1q{}", &hex::encode(self.chance.random::<[u8; 32]>())[..38]);
        let bound = Bound { address: self.address.clone(), index: self.addresses, customer: customer.clone() };
        let body = serde_json::to_string(&bound)?;
        let issued = Event::AddressBook(AddressIssued { index: self.addresses }.into());
        let book = Write::new(StreamName::AddressBook, Expected::Exactly(self.addresses.into()), vec![issued]);
        let stream = StreamName::Binding(self.address.as_str().into());
        let binding = Write {
            label: Some(customer.target.clone()),
            progress: Progress::Finished,
            ..Write::new(stream, Expected::Exactly(0), vec![Event::Binding(bound.into())])
        };
        self.addresses += 1;
        self.customer = Some(customer);
        self.append("BindAddress", body, None, vec![book, binding]);
        Ok(())
    }

    /// What the desk does next about a deposit; nothing comes back of one that is left as it is.
    fn move_on(&mut self, moving: Moving) -> anyhow::Result<Option<Moving>> {
        let id = moving.deposit.receipt.id;
        let step = match self.lives {
            Lives::Whole => next(&mut self.chance, &moving.deposit, self.block),
            Lives::Short => short::next(&mut self.chance, &moving.deposit, self.block),
        };
        let Some(Step { command, wallet }) = step else { return Ok(None) };
        let events = moving.deposit.decide(&command).with_context(|| format!("{:?}", moving.deposit))?;
        let deposit = events.iter().fold(Some(moving.deposit), evolve).context("it stays a deposit")?;
        let progress = if deposit.is_finished() { Progress::Finished } else { Progress::Open };
        let version = moving.version + events.len() as Version;
        let newest = self.position + events.len() as Position;
        let events = events.into_iter().map(Event::Deposit).collect();
        let write = Write::new(StreamName::Deposit(id), Expected::Exactly(moving.version), events);
        let besides = wallet.map(|event| {
            self.wallet += 1;
            Write::new(StreamName::Wallet, Expected::Exactly(self.wallet - 1), vec![Event::Wallet(event)])
        });
        let writes = std::iter::once(Write { progress, ..write }).chain(besides).collect();
        let body = serde_json::to_string(&command)?;
        self.append(command.name(), body, Some((moving.newest, id)), writes);
        Ok(Some(Moving { deposit, version, newest }))
    }

    fn append(
        &mut self,
        command: &'static str,
        body: String,
        cause: Option<(Position, DepositId)>,
        writes: Vec<Write>,
    ) {
        let position = self.position.to_string();
        self.position += writes.iter().map(|write| write.events.len() as Position).sum::<Position>();
        self.group.push(Append {
            command_id: CommandId::following(cause.map_or(0, |(newest, _)| newest), &[command, &position]),
            command,
            body,
            causation: cause.map(|(newest, _)| newest),
            correlation: cause.map(|(_, id)| id.0),
            writes,
        });
    }
}
