//! What a stored command asked of a deposit: its own commands as they are, the scanner's as what they told the deposit.

use serde::Deserialize;

use super::Asked;
use crate::chain::Seen;
use crate::deposit::{BlockRef, Command, Deposit, Detected, Event, HoldReason, Rejection};
use crate::ids::{DepositId, Hash32};
use crate::money::Amount;
use crate::observation::{Gone, Maturity, SeenOutput, Sightings};

/// What a deposit was asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    /// How many of the events are facts that nothing was decided for.
    pub(super) given: usize,
    /// What the deposit was told after these.
    pub(super) told: Told,
}

/// What a deposit was told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    /// That it is there, and no more is known of how it was seen.
    Nothing,
    /// That it is there, as it was seen if it was.
    Seen(Option<SeenOutput>),
    /// One thing.
    One(Box<Command>),
    /// What had been seen of it while it could not be read.
    TakenUp(Vec<Seen>),
}

impl Told {
    /// What follows from it by the rules of today.
    pub(super) fn decide(&self, deposit: &Deposit) -> Result<Vec<Event>, Rejection> {
        match self {
            Self::Nothing | Self::Seen(_) => Ok(Vec::new()),
            Self::One(command) => deposit.decide(command),
            Self::TakenUp(seen) => deposit.take_up(seen),
        }
    }

    /// The earlier deposit that it names, where that is part of it.
    pub(super) fn seen_before(&mut self) -> Option<&mut Option<DepositId>> {
        match self {
            Self::One(command) => match &mut **command {
                Command::ObserveMature { seen_before, .. } => Some(seen_before),
                _ => None,
            },
            Self::Nothing | Self::Seen(_) | Self::TakenUp(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct InBlock {
    block: BlockRef,
}

#[derive(Deserialize)]
struct SetAside {
    seen: Vec<Seen>,
}

/// Reads a command; says why it cannot be decided again if it cannot.
pub(super) fn order(asked: &Asked, deposit: DepositId, recorded: &[&Event]) -> Result<Order, String> {
    let given = recorded.iter().take_while(|event| matches!(event, Event::Detected(_))).count();
    let one = |command| Told::One(Box::new(command));
    let told = match asked.name.as_str() {
        "RecordSightings" => seen(&read(asked)?, recorded),
        "RecordBlock" => one(Command::ObserveMined { block: read::<InBlock>(asked)?.block }),
        "RecordMaturity" => {
            let facts: Maturity = read(asked)?;
            let depth = facts.tip.height.checked_sub(facts.block.height).and_then(|depth| depth.checked_add(1));
            let confirmations = depth.ok_or("the block lies above the tip")?;
            let seen_before = facts.seen_before(deposit).unwrap_or_else(|| told_seen_before(recorded));
            one(Command::ObserveMature { confirmations, seen_before })
        }
        "RecordReorganisation" => one(Command::ObserveOrphaned),
        "RecordGone" => {
            let told = read::<Gone>(asked)?.replaced_by(deposit);
            one(Command::ObserveVanished { replaced_by: told.map_or_else(|| told_replaced_by(recorded), Ok)? })
        }
        "TakeUpSightings" => Told::TakenUp(read::<SetAside>(asked)?.seen),
        _ => one(read_own(asked)?),
    };
    Ok(Order { given, told })
}

fn seen(facts: &Sightings, recorded: &[&Event]) -> Told {
    let output = recorded.iter().find_map(|event| match event {
        Event::Detected(detected) => Some(detected.outpoint),
        _ => None,
    });
    output.and_then(|output| facts.of_output(output)).map_or(Told::Nothing, Told::Seen)
}

/// The deposit that comes of an output as it was seen; the rest of it is told as it is recorded. Nothing where none comes of it.
pub(super) fn detect(seen: Option<SeenOutput>, recorded: &Detected) -> Option<Event> {
    let SeenOutput { output, satoshis } = seen.filter(|seen| seen.satoshis > 0)?;
    let amount = Amount::from_units(satoshis)?;
    Some(Detected { outpoint: output, amount, ..recorded.clone() }.into())
}

/// The earlier deposit that the events themselves name, of a command that does not tell.
fn told_seen_before(recorded: &[&Event]) -> Option<DepositId> {
    recorded.iter().find_map(|event| match event {
        Event::Held(held) => match held.reason {
            HoldReason::CoinsSeenBefore { earlier } => Some(earlier),
            _ => None,
        },
        _ => None,
    })
}

/// The transaction that the events themselves name, of a command that does not tell: nothing decides on it.
fn told_replaced_by(recorded: &[&Event]) -> Result<Option<Hash32>, String> {
    let told = recorded.iter().find_map(|event| match event {
        Event::Vanished(vanished) => Some(vanished.replaced_by),
        _ => None,
    });
    told.ok_or_else(|| "neither the command nor its events say what took the coins".to_owned())
}

fn read<'a, T: Deserialize<'a>>(asked: &'a Asked) -> Result<T, String> {
    serde_json::from_str(&asked.body).map_err(|error| format!("the body of {} cannot be read: {error}", asked.name))
}

fn read_own(asked: &Asked) -> Result<Command, String> {
    let command: Command = read(asked)?;
    match command.name() == asked.name {
        true => Ok(command),
        false => Err(format!("the body of {} is one of {}", asked.name, command.name())),
    }
}
