//! The writer's thread: takes everything that waits, commits it as one, answers each.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_model::ids::StreamName;
use tokio::sync::oneshot;

use super::append::{Append, AppendError};
use super::feed::Feed;
use super::log::{Log, Outcome, Ownership};
use crate::clock::Clock;

/// How many requests may wait; the next one is refused as busy.
const WAITING_MAX: usize = 8_192;
/// How many appends share one commit at most.
const GROUP_MAX: usize = 1_024;
/// How long a commit waits for stragglers, when the flush before it was slow enough for that to pay.
const LINGER: Duration = Duration::from_micros(150);
/// Groups of this size are not waited for: they are large already.
const LINGER_BELOW: usize = 64;

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Request {
    /// Store this.
    Append(Box<Append>, oneshot::Sender<Outcome>),
    /// Take over this stream.
    Own(StreamName, oneshot::Sender<Result<Ownership, AppendError>>),
}

/// Whose turn it is to write. A writer that was replaced while requests waited commits none of them: it would accept
/// owners that its successor does not know of.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<u64>);

/// A writer's place among those the process had.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    number: u64,
}

impl Turn {
    /// Replaces whoever wrote before, once its commit under way is through.
    pub(super) fn begin(turns: &Arc<Turns>) -> Self {
        let mut newest = turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        *newest += 1;
        Self { turns: Arc::clone(turns), number: *newest }
    }

    /// Nobody takes over while the result is held; `None` when somebody has.
    fn hold(&self) -> Option<MutexGuard<'_, u64>> {
        let newest = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        (*newest == self.number).then_some(newest)
    }
}

/// Gives the log a thread of its own, which ends when the returned sender is dropped.
pub(super) fn spawn(
    log: Log,
    turn: Turn,
    feed: Arc<Feed>,
    clock: Arc<dyn Clock>,
) -> std::io::Result<SyncSender<Request>> {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    std::thread::Builder::new()
        .name("event-log".to_owned())
        .spawn(move || run(log, &turn, &feed, &*clock, &receiver))?;
    Ok(sender)
}

fn run(mut log: Log, turn: &Turn, feed: &Feed, clock: &dyn Clock, requests: &Receiver<Request>) {
    let mut group = Group::default();
    let mut size_before = 0;
    let mut flush = Duration::ZERO;
    while let Ok(first) = requests.recv() {
        group.take(first, &mut log);
        while group.len() < GROUP_MAX
            && let Ok(next) = requests.try_recv()
        {
            group.take(next, &mut log);
        }
        if flush > LINGER && group.len() < size_before && size_before < LINGER_BELOW {
            group.linger(size_before, requests, &mut log);
        }
        size_before = group.len();
        let began = Instant::now();
        group.commit(&mut log, turn, feed, clock);
        flush = began.elapsed();
    }
}

/// Appends that share the next commit, with those who wait for them.
#[derive(Default)]
struct Group {
    appends: Vec<Append>,
    replies: Vec<oneshot::Sender<Outcome>>,
}

impl Group {
    fn len(&self) -> usize {
        self.appends.len()
    }

    fn take(&mut self, request: Request, log: &mut Log) {
        match request {
            Request::Append(append, reply) => {
                self.appends.push(*append);
                self.replies.push(reply);
            }
            // Nobody who gave up on the answer needs it.
            Request::Own(stream, reply) => drop(reply.send(log.own(&stream))),
        }
    }

    /// Two convoys of writers that wait for each other's commits become one.
    fn linger(&mut self, size: usize, requests: &Receiver<Request>, log: &mut Log) {
        let until = Instant::now() + LINGER;
        while self.len() < size {
            match requests.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(request) => self.take(request, log),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
    }

    fn commit(&mut self, log: &mut Log, turn: &Turn, feed: &Feed, clock: &dyn Clock) {
        if self.appends.is_empty() {
            return;
        }
        let appends = std::mem::take(&mut self.appends);
        let outcomes = match turn.hold() {
            Some(_held) => commit(log, appends, feed, clock),
            None => vec![Err(AppendError::Unavailable("its writer was replaced".to_owned())); appends.len()],
        };
        for (reply, outcome) in self.replies.drain(..).zip(outcomes) {
            // Whoever gave up reads the outcome from the log.
            let _ = reply.send(outcome);
        }
    }
}

/// Commits and publishes, so that whoever hears of the commit finds its events in the feed.
pub(super) fn commit(log: &mut Log, group: Vec<Append>, feed: &Feed, clock: &dyn Clock) -> Vec<Outcome> {
    let (outcomes, events) = log.commit(group, clock.now());
    if let Some(batch) = events {
        feed.publish(batch);
    }
    if feed.head() != log.head() {
        // A commit that was reported as failed and is there after all.
        feed.reset(log.head());
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use millrace_model::address_book::AddressIssued;
    use millrace_model::event::Event;
    use millrace_model::ids::CommandId;

    use super::super::append::{Expected, Write};
    use super::*;
    use crate::clock::ManualClock;

    fn issue(ownership: Ownership) -> Append {
        let issued = Event::AddressBook(AddressIssued { index: 0 }.into());
        Append {
            command_id: CommandId::of_fact(&[&format!("{:?}", ownership.epoch)]),
            command: "Test",
            body: "{}".to_owned(),
            causation: None,
            correlation: None,
            writes: vec![Write::new(StreamName::AddressBook, Expected::Owner(ownership.epoch), vec![issued])],
        }
    }

    #[test]
    fn neither_a_writer_that_was_replaced_nor_its_owners_write_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let (turns, feed, clock) = (Arc::default(), Feed::new(0), ManualClock::new(DateTime::UNIX_EPOCH));
        let written = |log: &mut Log, turn: &Turn, ownership| {
            let (reply, mut outcome) = oneshot::channel();
            let mut group = Group::default();
            group.take(Request::Append(Box::new(issue(ownership)), reply), log);
            group.commit(log, turn, &feed, &clock);
            outcome.try_recv().unwrap()
        };
        let (first, mut log) = (Turn::begin(&turns), Log::open(&path).unwrap());
        let before = log.own(&StreamName::AddressBook).unwrap();
        let (second, mut log_after) = (Turn::begin(&turns), Log::open(&path).unwrap());
        assert!(matches!(written(&mut log, &first, before), Err(AppendError::Unavailable(_))));
        assert!(matches!(written(&mut log_after, &second, before), Err(AppendError::Fenced { .. })));
        let after = log_after.own(&StreamName::AddressBook).unwrap();
        assert!(matches!(written(&mut log_after, &second, before), Err(AppendError::Fenced { .. })));
        assert!(written(&mut log_after, &second, after).is_ok());
    }
}
