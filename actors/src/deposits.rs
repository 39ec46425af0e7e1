//! Deposits as everybody at the desk sees and changes them: one shared image of those in motion, one way to command.
//!
//! A deposit of which an event cannot be read is set aside: nobody gets it, and nothing is done to it, until a version of the
//! program runs that can read it. Its neighbours do not notice.
//!
//! The image follows the log by itself: it takes in what was committed before every look, so a caller always sees at
//! least what it has committed. Deposits at rest are read from the log when asked for.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millrace_model::deposit::{Command, Deposit, Rejection, evolve};
use millrace_model::event::{Event, Recorded, Unreadable};
use millrace_model::ids::{Category, CommandId, DepositId, Hash32, Outpoint, Position, StreamName, Version};
use millrace_model::operator::By;

use crate::event_store::{Append, AppendError, Committed, Expected, Progress, ReadError, Reader, Store, Write};
use crate::past::Past;

/// How many deposits are kept in memory; beyond it, all are forgotten and read again when asked for.
const IMAGE_MAX: usize = 100_000;
/// How many deposits are remembered after they are finished: whoever follows the log a little behind still looks at them,
/// and would have to read each from the log.
const FINISHED_MAX: usize = 4_096;
/// How many events are taken in at once.
const PAGE_EVENTS_MAX: usize = 4_096;
/// What the keys of all deposits of this coin begin with.
const KEY_OF_BITCOIN: &str = "btc:";
/// How often a command is decided afresh when others were faster.
const CONFLICTS_MAX: usize = 16;

/// A deposit and the place in the log that it stands for.
#[derive(Debug, Clone)]
pub struct Tracked {
    /// The deposit.
    pub deposit: Deposit,
    /// Its stream's version.
    pub version: Version,
    /// The position of its newest event.
    pub position: Position,
}

/// Why a command had no effect, or why that is not known.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// There is no such deposit.
    #[error("there is no deposit {0}")]
    NoSuchDeposit(DepositId),
    /// An event of it cannot be read, so nobody knows where it stands.
    #[error("deposit {deposit} cannot be read from position {position} on: {why}")]
    Unreadable {
        /// Which.
        deposit: DepositId,
        /// Where its first event lies that cannot be read.
        position: Position,
        /// What is wrong with it.
        why: String,
    },
    /// A rule forbids it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Whoever asked had seen it as it was before.
    #[error("deposit {deposit} is at version {version} by now, and was seen at version {seen}")]
    MovedOn {
        /// Which.
        deposit: DepositId,
        /// Where its stream was seen to end.
        seen: Version,
        /// Where it ends.
        version: Version,
    },
    /// The log does not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The deposits. Cheap to clone; all clones share one image.
#[derive(Debug, Clone)]
pub struct Deposits {
    store: Store,
    image: Arc<Mutex<Image>>,
    past: Past,
}

#[derive(Debug, Default)]
struct Image {
    deposits: HashMap<DepositId, Arc<Tracked>>,
    /// Those of them that were finished, oldest first. A reorganisation may have woken one up since.
    finished: VecDeque<DepositId>,
    position: Position,
}

impl Deposits {
    /// The deposits in this store.
    pub fn new(store: Store) -> Self {
        Self { store, image: Arc::default(), past: Past::default() }
    }

    /// The store they are in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What may have been dealt with before this process began.
    pub fn past(&self) -> &Past {
        &self.past
    }

    /// A deposit as it stands now; nothing when it is unknown or cannot be read.
    pub fn get(&self, id: DepositId) -> Result<Option<Arc<Tracked>>, ReadError> {
        if let Some(tracked) = self.up_to_date().deposits.get(&id) {
            return Ok(Some(Arc::clone(tracked)));
        }
        // Read with the image at hand: whatever is committed later is taken in on top of what is read here.
        let mut image = self.up_to_date();
        let Some(tracked) = self.read(id)?.map(Arc::new) else { return Ok(None) };
        if !tracked.deposit.is_finished() {
            image.deposits.insert(id, Arc::clone(&tracked));
        }
        Ok(Some(tracked))
    }

    /// The same, or why there is none.
    pub fn known(&self, id: DepositId) -> Result<Arc<Tracked>, ExecuteError> {
        match self.get(id)? {
            Some(tracked) => Ok(tracked),
            None => Err(self.why_not(id)?),
        }
    }

    /// The ids of all deposits for which something is still expected to happen and that can be read, and the position this
    /// is true for.
    pub fn open(&self) -> Result<(Position, Vec<DepositId>), ReadError> {
        let (head, events) = self.store.reader()?.open_streams(Category::Deposit)?;
        let ids = events.chunk_by(|one, next| one.stream == next.stream).filter_map(fold);
        Ok((head, ids.map(|tracked| tracked.deposit.receipt.id).collect()))
    }

    /// Carries out a command: decides on the deposit as it stands, stores the events, decides again if somebody else was
    /// faster. Returns the deposit as the events leave it.
    ///
    /// After [`AppendError::Unknown`] the same call can be made again: either the command is found to have been carried
    /// out, or the deposit has moved on and the rules decide afresh.
    pub async fn execute(&self, id: DepositId, command: &Command) -> Result<Arc<Tracked>, ExecuteError> {
        self.execute_with(id, command, Vec::new()).await
    }

    /// The same for an operator, who is kept with the command. When he saw the deposit at a version and it is at another one,
    /// however it came there, nothing is done.
    pub async fn execute_by(
        &self,
        id: DepositId,
        command: &Command,
        (by, seen): (&By, Option<Version>),
    ) -> Result<Arc<Tracked>, ExecuteError> {
        let body = by.sign(command.name(), body_of(command));
        self.execute_as(id, command, (body, seen), Vec::new()).await
    }

    /// The same, with events of other streams in the same append.
    pub async fn execute_with(
        &self,
        id: DepositId,
        command: &Command,
        besides: Vec<Write>,
    ) -> Result<Arc<Tracked>, ExecuteError> {
        self.execute_as(id, command, (body_of(command), None), besides).await
    }

    /// The deposit, if it is still as somebody saw it.
    pub fn known_at(&self, id: DepositId, seen: Option<Version>) -> Result<Arc<Tracked>, ExecuteError> {
        let tracked = self.known(id)?;
        match seen {
            Some(seen) if seen != tracked.version => {
                Err(ExecuteError::MovedOn { deposit: id, seen, version: tracked.version })
            }
            _ => Ok(tracked),
        }
    }

    async fn execute_as(
        &self,
        id: DepositId,
        command: &Command,
        (body, seen): (String, Option<Version>),
        besides: Vec<Write>,
    ) -> Result<Arc<Tracked>, ExecuteError> {
        let mut conflicts = 0;
        loop {
            let tracked = self.known_at(id, seen)?;
            let events = tracked.deposit.decide(command)?;
            let append = self.prepare(&tracked, command, body.clone(), events, besides.clone());
            match self.store.append(append).await {
                Ok(Committed { .. }) => return self.get(id)?.ok_or(ExecuteError::NoSuchDeposit(id)),
                Err(AppendError::Conflict { stream: StreamName::Deposit(_), .. }) if conflicts < CONFLICTS_MAX => {
                    conflicts += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn prepare(
        &self,
        tracked: &Tracked,
        command: &Command,
        body: String,
        events: Vec<millrace_model::deposit::Event>,
        besides: Vec<Write>,
    ) -> Append {
        let id = tracked.deposit.receipt.id;
        let stream = StreamName::Deposit(id);
        let command_id = CommandId::following(
            tracked.position,
            &[&stream.to_string(), &tracked.version.to_string(), command.name(), &body],
        );
        let after = events.iter().fold(Some(tracked.deposit.clone()), evolve);
        let write = Write {
            progress: progress(after.as_ref()),
            ..Write::new(stream, Expected::Exactly(tracked.version), events.into_iter().map(Event::Deposit).collect())
        };
        Append {
            command_id,
            command: command.name(),
            body,
            causation: Some(tracked.position),
            correlation: Some(id.0),
            writes: std::iter::once(write).chain(besides).collect(),
        }
    }

    /// Why there is no such deposit.
    fn why_not(&self, deposit: DepositId) -> Result<ExecuteError, ReadError> {
        let events = self.store.reader()?.stream(&StreamName::Deposit(deposit), 0)?;
        Ok(unreadable(&events).map_or(ExecuteError::NoSuchDeposit(deposit), |(position, what)| {
            ExecuteError::Unreadable { deposit, position, why: what.why.clone() }
        }))
    }

    fn read(&self, id: DepositId) -> Result<Option<Tracked>, ReadError> {
        Ok(fold(&self.store.reader()?.stream(&StreamName::Deposit(id), 0)?))
    }

    /// The image with everything taken in that is in memory; when too much has happened since, an empty one.
    fn up_to_date(&self) -> MutexGuard<'_, Image> {
        let mut image = self.image.lock().unwrap_or_else(PoisonError::into_inner);
        while image.position < self.store.head() {
            match self.store.recent_after(image.position, PAGE_EVENTS_MAX) {
                Some(page) if page.last().is_some() => page.events().for_each(|recorded| image.take_in(recorded)),
                Some(_) | None => {
                    image.forget();
                    image.position = self.store.head();
                }
            }
        }
        if image.deposits.len() > IMAGE_MAX {
            image.forget();
        }
        image
    }
}

fn body_of(command: &Command) -> String {
    serde_json::to_string(command).expect("commands have text keys")
}

impl Image {
    fn take_in(&mut self, recorded: &Recorded) {
        self.position = recorded.position;
        if let (StreamName::Deposit(id), Event::Unreadable(_)) = (&recorded.stream, &recorded.event) {
            self.deposits.remove(id);
        }
        let (StreamName::Deposit(id), Event::Deposit(event)) = (&recorded.stream, &recorded.event) else { return };
        if recorded.version == 1 {
            let tracked = fold(std::slice::from_ref(recorded)).map(Arc::new);
            self.deposits.extend(tracked.map(|tracked| (*id, tracked)));
            return;
        }
        let Entry::Occupied(tracked) = self.deposits.entry(*id) else { return };
        if recorded.version <= tracked.get().version {
            return;
        }
        let before = Arc::unwrap_or_clone(tracked.remove());
        if recorded.version != before.version + 1 {
            return;
        }
        let deposit = evolve(Some(before.deposit), event).expect("a detected deposit stays one");
        if deposit.is_finished() {
            self.finished.push_back(*id);
        }
        let after = Tracked { deposit, version: recorded.version, position: recorded.position };
        self.deposits.insert(*id, Arc::new(after));
        self.forget_oldest_finished();
    }

    fn forget_oldest_finished(&mut self) {
        if self.finished.len() <= FINISHED_MAX {
            return;
        }
        if let Some(oldest) = self.finished.pop_front()
            && self.deposits.get(&oldest).is_some_and(|tracked| tracked.deposit.is_finished())
        {
            self.deposits.remove(&oldest);
        }
    }

    fn forget(&mut self) {
        self.deposits.clear();
        self.finished.clear();
    }
}

/// What of the outside world the deposit of this output stands for, as the log names it.
pub(crate) fn key_of(output: Outpoint) -> String {
    format!("{KEY_OF_BITCOIN}{output}")
}

/// The deposits that are outputs of this Bitcoin transaction, in the order of its outputs' texts; at most `deposits_max`.
pub fn deposits_of_transaction(
    reader: &Reader,
    txid: Hash32,
    deposits_max: usize,
) -> Result<Vec<DepositId>, ReadError> {
    let streams = reader.streams_of_keys(&format!("{KEY_OF_BITCOIN}{txid}:"), deposits_max)?;
    let ids = streams.into_iter().filter_map(|stream| match stream {
        StreamName::Deposit(id) => Some(id),
        _ => None,
    });
    Ok(ids.collect())
}

/// The output of a deposit that the log names so, as text.
pub(crate) fn output_of(key: &str) -> Option<&str> {
    key.strip_prefix(KEY_OF_BITCOIN)
}

/// Whether a stream with this deposit is to be looked at when the desk starts.
pub(crate) fn progress(deposit: Option<&Deposit>) -> Progress {
    if deposit.is_some_and(Deposit::is_finished) { Progress::Finished } else { Progress::Open }
}

/// The first of these events that cannot be read.
pub fn unreadable(events: &[Recorded]) -> Option<(Position, &Unreadable)> {
    events.iter().find_map(|recorded| match &recorded.event {
        Event::Unreadable(what) => Some((recorded.position, what)),
        _ => None,
    })
}

/// A deposit as these events leave it; nothing when one of them cannot be read.
pub(crate) fn fold(events: &[Recorded]) -> Option<Tracked> {
    let last = events.last()?;
    if unreadable(events).is_some() {
        return None;
    }
    let deposit = events.iter().fold(None, |deposit, recorded| match &recorded.event {
        Event::Deposit(event) => evolve(deposit, event),
        _ => deposit,
    })?;
    Some(Tracked { deposit, version: last.version, position: last.position })
}

#[cfg(test)]
mod tests;
