//! The recorded commands of a log's deposits decided again, deposit by deposit ([`millrace_model::redecision`]).

use std::collections::{BTreeMap, HashMap};

use millrace_model::chain;
use millrace_model::deposit::{self, Deposit};
use millrace_model::event::Event;
use millrace_model::ids::{Category, DepositId, Hash32, Position, StreamName};
use millrace_model::redecision::{Elsewhere, Outcome, Redecided, redecide};
use serde::Serialize;

use crate::event_store::{ReadError, Reader};

/// How many streams are looked up at once.
const PAGE_STREAMS_MAX: usize = 1_000;

/// What it all comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many deposits were looked at.
    pub deposits: u64,
    /// How many commands on them.
    pub commands: u64,
    /// Of how many the same came again.
    pub same: u64,
    /// Of how many something else came.
    pub different: u64,
    /// How many cannot be decided again, by command and reason.
    pub undecidable: BTreeMap<String, u64>,
}

impl Summary {
    fn count(&mut self, redecided: &Redecided) {
        self.commands += 1;
        match &redecided.outcome {
            Outcome::Same => self.same += 1,
            Outcome::Different(_) => self.different += 1,
            Outcome::Undecidable { why } => {
                let name = redecided.command.as_deref().unwrap_or("a command");
                *self.undecidable.entry(format!("{name}: {why}")).or_default() += 1;
            }
        }
    }
}

/// Decides again what is recorded of some deposits; of all without any. `each` hears of every command.
pub fn run<E: From<ReadError>>(
    reader: &Reader,
    deposits: &[DepositId],
    each: &mut dyn FnMut(DepositId, &Redecided) -> Result<(), E>,
) -> Result<Summary, E> {
    let log = Log { reader, remembered: remembered(reader)? };
    let mut summary = Summary::default();
    if !deposits.is_empty() {
        deposits.iter().try_for_each(|id| one(&log, *id, &mut summary, each))?;
        return Ok(summary);
    }
    let mut after = 0;
    loop {
        let page = reader.streams_after(Category::Deposit, after, PAGE_STREAMS_MAX)?;
        let Some((last, _)) = page.last() else { return Ok(summary) };
        after = *last;
        for (_, stream) in &page {
            if let StreamName::Deposit(id) = stream {
                one(&log, *id, &mut summary, each)?;
            }
        }
    }
}

fn one<E: From<ReadError>>(
    log: &Log<'_>,
    id: DepositId,
    summary: &mut Summary,
    each: &mut dyn FnMut(DepositId, &Redecided) -> Result<(), E>,
) -> Result<(), E> {
    let events = log.reader.with_commands(&StreamName::Deposit(id))?;
    summary.deposits += u64::from(!events.is_empty());
    for redecided in redecide(&events, log)? {
        summary.count(&redecided);
        each(id, &redecided)?;
    }
    Ok(())
}

/// By coin: since when it is remembered, and of which deposit.
type Remembered = HashMap<String, Vec<(Position, DepositId)>>;

/// Nothing if this is only a part of a log: what is not in it is not known.
fn remembered(reader: &Reader) -> Result<Option<Remembered>, ReadError> {
    if !reader.is_whole()? {
        return Ok(None);
    }
    let mut remembered = Remembered::new();
    for recorded in reader.of_kind(&StreamName::Chain, "CoinsRemembered")? {
        let Event::Chain(chain::Event::CoinsRemembered(coins)) = &recorded.event else { continue };
        for coin in &coins.spends {
            remembered.entry(String::from(*coin)).or_default().push((recorded.position, coins.deposit));
        }
    }
    Ok(Some(remembered))
}

struct Log<'a> {
    reader: &'a Reader,
    remembered: Option<Remembered>,
}

impl Elsewhere for Log<'_> {
    type Error = ReadError;

    fn seen_before(&self, deposit: &Deposit, before: Position) -> Result<Option<Option<DepositId>>, ReadError> {
        let Some(remembered) = &self.remembered else { return Ok(None) };
        let earlier = deposit.receipt.spends.iter().find_map(|coin| {
            let since = remembered.get(&String::from(*coin))?;
            since.iter().rev().find(|(position, _)| *position < before).map(|(_, deposit)| *deposit)
        });
        let Some(earlier) = earlier else { return Ok(Some(None)) };
        // Another output of the same transaction is no such thing.
        let is_same = self.transaction_of(earlier)? == Some(deposit.receipt.outpoint.txid);
        Ok(Some((!is_same).then_some(earlier)))
    }
}

impl Log<'_> {
    fn transaction_of(&self, id: DepositId) -> Result<Option<Hash32>, ReadError> {
        let events = self.reader.with_commands(&StreamName::Deposit(id))?;
        Ok(events.first().and_then(|first| match &first.recorded.event {
            Event::Deposit(deposit::Event::Detected(detected)) => Some(detected.outpoint.txid),
            _ => None,
        }))
    }
}
