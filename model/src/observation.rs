//! What the scanner's commands rest on, as their bodies hold it: what it saw of the chain that is not in the chain's stream.
//!
//! A command is on many deposits, so only what differs between them is told of each: of maturity and of transactions that are
//! gone, the few of which there is something to tell. Logs of earlier versions do not have it; and beyond a limit a body has it
//! of nobody.

use serde::{Deserialize, Serialize};

use crate::deposit::BlockRef;
use crate::ids::{DepositId, Hash32, Outpoint};

/// Of how many deposits a body tells; one that would have to tell of more tells of none.
pub const TOLD_MAX: usize = 500;

/// New outputs that pay us, in no block yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sightings {
    /// How many.
    #[serde(default)]
    outpoints: usize,
    /// Each of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Vec<SeenOutput>>,
}

/// An output that pays us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenOutput {
    /// Which.
    pub output: Outpoint,
    /// What it pays, in satoshis.
    pub satoshis: u64,
}

/// Deposits whose transactions are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// How many.
    deposits: usize,
    /// Those of which it is known what took their coins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<Vec<Replaced>>,
}

/// A deposit whose coins another transaction took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Which deposit.
    pub deposit: DepositId,
    /// The transaction.
    pub by: Hash32,
}

/// Deposits of a block that is deep enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maturity {
    /// The block.
    pub block: BlockRef,
    /// The newest one.
    pub tip: BlockRef,
    /// Those whose coins came before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen_before: Option<Vec<CameBefore>>,
}

/// A deposit whose coins came before, in another transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameBefore {
    /// Which deposit.
    pub deposit: DepositId,
    /// The one that they came with.
    pub earlier: DepositId,
}

impl Sightings {
    /// Of all that were seen.
    pub fn of(seen: Vec<SeenOutput>) -> Self {
        Self { outpoints: seen.len(), seen: told(seen) }
    }

    /// What was seen of an output; nothing where the body does not tell.
    pub fn of_output(&self, output: Outpoint) -> Option<Option<SeenOutput>> {
        let seen = self.seen.as_ref()?;
        Some(seen.iter().find(|one| one.output == output).copied())
    }
}

impl Gone {
    /// Of so many deposits, these among them.
    pub fn of(deposits: usize, replaced: Vec<Replaced>) -> Self {
        Self { deposits, replaced: told(replaced) }
    }

    /// What took a deposit's coins, if that is known; nothing where the body does not tell.
    pub fn replaced_by(&self, deposit: DepositId) -> Option<Option<Hash32>> {
        let replaced = self.replaced.as_ref()?;
        Some(replaced.iter().find(|one| one.deposit == deposit).map(|one| one.by))
    }
}

impl Maturity {
    /// Of a block under a tip, these deposits among those in it.
    pub fn of((block, tip): (BlockRef, BlockRef), seen_before: Vec<CameBefore>) -> Self {
        Self { block, tip, seen_before: told(seen_before) }
    }

    /// The deposit with which a deposit's coins came before, if they did; nothing where the body does not tell.
    pub fn seen_before(&self, deposit: DepositId) -> Option<Option<DepositId>> {
        let seen_before = self.seen_before.as_ref()?;
        Some(seen_before.iter().find(|one| one.deposit == deposit).map(|one| one.earlier))
    }
}

fn told<T>(facts: Vec<T>) -> Option<Vec<T>> {
    (facts.len() <= TOLD_MAX).then_some(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_tells_of_each_or_of_nobody() {
        let output = |index| Outpoint { txid: Hash32([1; 32]), index };
        let seen =
            |many| Sightings::of((0..many).map(|index| SeenOutput { output: output(index), satoshis: 7 }).collect());
        let most = u32::try_from(TOLD_MAX).unwrap();
        let body = serde_json::to_string(&seen(most)).unwrap();
        assert!(body.len() < 100_000, "{}", body.len());
        let read: Sightings = serde_json::from_str(&body).unwrap();
        assert_eq!(read.of_output(output(3)).flatten().map(|one| one.satoshis), Some(7));
        assert_eq!(read.of_output(output(most)), Some(None));
        assert_eq!(seen(most + 1).of_output(output(3)), None);
        assert_eq!(serde_json::to_string(&seen(most + 1)).unwrap(), r#"{"outpoints":501}"#);
    }

    #[test]
    fn a_body_of_an_earlier_version_tells_nothing() {
        let id = DepositId(uuid::Uuid::from_u128(1));
        let gone: Gone = serde_json::from_str(r#"{"deposits":2}"#).unwrap();
        let seen: Sightings = serde_json::from_str(r#"{"outpoints":2}"#).unwrap();
        let output = Outpoint { txid: Hash32([1; 32]), index: 0 };
        assert_eq!((gone.replaced_by(id), seen.of_output(output)), (None, None));
        assert_eq!(Gone::of(2, vec![]).replaced_by(id), Some(None));
    }
}
