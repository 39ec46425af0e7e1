//! The deposits in motion: what the next event of each rests on.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use millrace_model::deposit::{Deposit, evolve};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{DepositId, StreamName};
use millrace_model::ledger::Standing;
use millrace_model::notification::{Notification, Telling, Told};

use super::fold::Moved;
use super::row::DepositRow;
use super::totals::Summand;
use crate::event_store::{ReadError, Reader};

/// How many deposits are kept in memory; beyond it, all are forgotten and read again.
const DEPOSITS_MAX: usize = 50_000;

/// A deposit as its events leave it; what cannot be read of it is no deposit any more, and still a row.
#[derive(Debug, Default)]
struct Tracked {
    deposit: Option<Deposit>,
    row: Option<DepositRow>,
    told: Told,
    /// Whether an event moved it since the last settling.
    is_moved: bool,
}

/// The deposits that projections have in memory; any other is made again from its stream.
#[derive(Debug, Default)]
pub(super) struct Followed {
    deposits: HashMap<DepositId, Box<Tracked>>,
    /// Those that an event moved since the last settling.
    moved: Vec<DepositId>,
}

impl Followed {
    /// The row of a deposit that was moved since the last settling.
    pub(super) fn row(&self, id: DepositId) -> Option<&DepositRow> {
        self.deposits.get(&id)?.row.as_ref()
    }

    /// Takes an event of a deposit in; `log` is read where it is not known what came before.
    pub(super) fn take_in(&mut self, id: DepositId, recorded: &Recorded, log: &Reader) -> Result<Moved<'_>, ReadError> {
        let tracked = match self.deposits.entry(id) {
            Entry::Occupied(tracked) => tracked.into_mut(),
            Entry::Vacant(place) if recorded.version > 1 => place.insert(Box::new(Tracked::before(recorded, log)?)),
            Entry::Vacant(place) => place.insert(Box::default()),
        };
        if !std::mem::replace(&mut tracked.is_moved, true) {
            self.moved.push(id);
        }
        let counted = tracked.row.as_ref().map(Summand::of);
        let standing = tracked.deposit.as_ref().map(Standing::of);
        let telling = tracked.take_in(recorded);
        let Tracked { deposit, row, told, is_moved: _ } = &**tracked;
        let told = telling.map(|telling| (told, telling));
        Ok(Moved { counted, standing, deposit: deposit.as_ref(), row: row.as_ref(), told })
    }

    /// The rows that changed were made use of: what is finished is not expected to move any more.
    pub(super) fn settle(&mut self) {
        for id in self.moved.drain(..) {
            let Some(tracked) = self.deposits.get_mut(&id) else { continue };
            tracked.is_moved = false;
            if tracked.deposit.as_ref().is_none_or(Deposit::is_finished) {
                self.deposits.remove(&id);
            }
        }
        if self.deposits.len() > DEPOSITS_MAX {
            self.deposits.clear();
        }
    }
}

impl Tracked {
    /// As a stream leaves it without this event of it and those after.
    fn before(recorded: &Recorded, log: &Reader) -> Result<Self, ReadError> {
        let events = log.stream(&recorded.stream, 0)?;
        let mut before = Self::default();
        for earlier in events.iter().take_while(|earlier| earlier.version < recorded.version) {
            before.take_in(earlier);
        }
        Ok(before)
    }

    /// Takes its next event in; says what that tells.
    fn take_in(&mut self, recorded: &Recorded) -> Option<Telling> {
        self.deposit = match (&recorded.event, self.deposit.take()) {
            (Event::Deposit(event), deposit) => evolve(deposit, event),
            // Nobody knows what it was, so nobody knows what comes of the next one.
            (Event::Unreadable(_), _) => None,
            (_, deposit) => deposit,
        };
        DepositRow::take_in(&mut self.row, recorded);
        match (&recorded.event, &self.deposit) {
            (Event::Deposit(event), Some(after)) => {
                self.told.take_in(event, after, (recorded.position, recorded.recorded_at))
            }
            _ => None,
        }
    }
}

/// The deposit that an event belongs to.
pub(super) fn deposit_of(recorded: &Recorded) -> Option<DepositId> {
    match (&recorded.stream, &recorded.event) {
        (StreamName::Deposit(id), Event::Deposit(_) | Event::Unreadable(_)) => Some(*id),
        _ => None,
    }
}

/// What came before in its stream, of an event that tells something only by that: few do, so it is read each time.
pub(super) fn earlier_of(recorded: &Recorded, log: &Reader) -> Result<Vec<Recorded>, ReadError> {
    if !Notification::rests_on_its_stream(&recorded.event) {
        return Ok(Vec::new());
    }
    let mut events = log.stream(&recorded.stream, 0)?;
    events.retain(|earlier| earlier.version < recorded.version);
    Ok(events)
}
