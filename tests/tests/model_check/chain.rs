//! The deposit's transaction on the Bitcoin chain, and the scanner that reads it.

use millrace_model::deposit::{BlockRef, Command, Deposit, Sighting};
use millrace_model::ids::Hash32;

/// How deep a deposit must be, its own block included.
pub const CONFIRMATIONS: u64 = 2;

/// Where the transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Waits for a block.
    Mempool,
    /// In a block with so many blocks from it to the tip; deeper than [`CONFIRMATIONS`] is the same.
    Block(u64),
    /// In no mempool and no block, and never again: its coins were spent by another.
    Gone,
}

/// The Bitcoin chain as far as the deposit is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chain {
    /// Where the transaction is.
    pub place: Place,
    /// Which of two blocks holds it, or will: a reorganisation changes it, and the next changes it back.
    pub in_other_block: bool,
    /// Whether the transaction was ever deep enough.
    pub was_deep: bool,
}

/// What the scanner has read and not told yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Report {
    /// There is a transaction that pays us.
    Detected,
    /// It is in this block.
    Mined { in_other_block: bool },
    /// The block that held it is no longer in the chain.
    Orphaned,
    /// It is deep enough in this block.
    Deep { in_other_block: bool },
    /// It is in no mempool and no block.
    Vanished,
}

fn block(in_other_block: bool) -> BlockRef {
    BlockRef { height: 7, hash: Hash32([if in_other_block { 8 } else { 7 }; 32]) }
}

impl Chain {
    /// Before the first block.
    pub const START: Self = Self { place: Place::Mempool, in_other_block: false, was_deep: false };

    /// The chain after one more block, if that changes anything.
    pub fn grown(self) -> Option<Self> {
        match self.place {
            Place::Mempool => Some(Self { place: Place::Block(1), ..self }),
            Place::Block(depth) if depth < CONFIRMATIONS => {
                let depth = depth + 1;
                Some(Self { place: Place::Block(depth), was_deep: self.was_deep || depth >= CONFIRMATIONS, ..self })
            }
            Place::Block(_) | Place::Gone => None,
        }
    }

    /// What a reorganisation can do: back to the mempool, into another block at once, or out of the world.
    pub fn reorganised(self) -> Vec<Self> {
        let moved = |place| Self { place, in_other_block: !self.in_other_block, ..self };
        match self.place {
            Place::Block(_) => vec![moved(Place::Mempool), moved(Place::Block(1)), moved(Place::Gone)],
            Place::Mempool => vec![Self { place: Place::Gone, ..self }],
            Place::Gone => vec![],
        }
    }

    /// What the scanner finds new, with the log telling of this deposit or of none; `shallow` is a scanner that does not
    /// wait for depth.
    pub fn news(self, deposit: Option<&Deposit>, shallow: bool) -> Option<Report> {
        let Some(deposit) = deposit else { return (self.place != Place::Gone).then_some(Report::Detected) };
        let here = block(self.in_other_block);
        match (self.place, &deposit.sighting) {
            (Place::Block(depth), Sighting::Mined(known)) if *known == here => {
                let ripe = deposit.ripens_in() == Some(here) && (shallow || depth >= CONFIRMATIONS);
                ripe.then_some(Report::Deep { in_other_block: self.in_other_block })
            }
            (_, Sighting::Mined(_)) => Some(Report::Orphaned),
            (Place::Block(_), _) => Some(Report::Mined { in_other_block: self.in_other_block }),
            (Place::Gone, Sighting::Unconfirmed | Sighting::Orphaned) => Some(Report::Vanished),
            (Place::Gone, Sighting::Vanished { .. }) | (Place::Mempool, _) => None,
        }
    }
}

impl Report {
    /// What is asked of a deposit that the log tells of; nothing for what it tells already.
    pub fn command(self, deposit: &Deposit) -> Option<Command> {
        match self {
            Self::Detected => None,
            Self::Mined { in_other_block } => Some(Command::ObserveMined { block: block(in_other_block) }),
            Self::Orphaned => Some(Command::ObserveOrphaned),
            Self::Vanished => Some(Command::ObserveVanished { replaced_by: Some(Hash32([9; 32])) }),
            Self::Deep { in_other_block } => (deposit.ripens_in() == Some(block(in_other_block)))
                .then_some(Command::ObserveMature { confirmations: CONFIRMATIONS, seen_before: None }),
        }
    }
}
