//! The writer's thread: takes everything that waits, commits it as one, answers each.

use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_model::ids::StreamName;
use tokio::sync::oneshot;

use super::append::{Append, AppendError};
use super::feed::Feed;
use super::log::{Log, Outcome, Ownership};
use super::segment::Segment;
use crate::clock::Clock;
use crate::supervision::Alarm;

/// How many requests may wait; the next one is refused as busy.
const WAITING_MAX: usize = 8_192;
/// How many appends share one commit at most.
const GROUP_MAX: usize = 1_024;
/// How long a commit waits for stragglers, when the flush before it was slow enough for that to pay.
const LINGER: Duration = Duration::from_micros(150);
/// Groups of this size are not waited for: they are large already.
const LINGER_BELOW: usize = 64;
/// How often it is tried whether a log that could not be written can be again.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Request {
    /// Store this.
    Append(Box<Append>, oneshot::Sender<Outcome>),
    /// Do this between two commits.
    Between(Between),
}

/// What shares no commit with others.
#[derive(Debug)]
pub(super) enum Between {
    /// Take over this stream.
    Own(StreamName, oneshot::Sender<Result<Ownership, AppendError>>),
    /// Keep this.
    Keep(Box<Segment>, oneshot::Sender<Result<(), AppendError>>),
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
    disk: Alarm,
) -> std::io::Result<SyncSender<Request>> {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    std::thread::Builder::new()
        .name("event-log".to_owned())
        .spawn(move || run(log, &turn, &feed, &*clock, &receiver, &disk))?;
    Ok(sender)
}

fn run(mut log: Log, turn: &Turn, feed: &Feed, clock: &dyn Clock, requests: &Receiver<Request>, disk: &Alarm) {
    let mut pace = Pace::default();
    loop {
        let first = match wait(&log, requests) {
            Ok(first) => first,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(_held) = turn.hold() {
                    log.probe();
                    follow(feed, &log);
                    show(&log, disk);
                }
                continue;
            }
        };
        let between = match first {
            Request::Between(between) => Some(between),
            append @ Request::Append(..) => {
                let mut group = Group::new(append, requests, pace);
                group.commit(&mut log, turn, feed, clock);
                pace = group.pace();
                let between = group.answer();
                show(&log, disk);
                between
            }
        };
        if let Some(between) = between {
            between.done_by(&mut log, turn, feed);
        }
    }
}

impl Between {
    pub(super) fn done_by(self, log: &mut Log, turn: &Turn, feed: &Feed) {
        // Nobody who gave up on the answer needs it.
        match self {
            Self::Own(stream, reply) => drop(reply.send(log.own(&stream))),
            Self::Keep(segment, reply) => {
                let kept = turn.hold().ok_or_else(replaced).and_then(|_held| {
                    let kept = log.keep(&segment);
                    follow(feed, log);
                    kept
                });
                drop(reply.send(kept));
            }
        }
    }
}

fn replaced() -> AppendError {
    AppendError::Unavailable("its writer was replaced".to_owned())
}

/// The next request; for ever, while all is well.
fn wait(log: &Log, requests: &Receiver<Request>) -> Result<Request, RecvTimeoutError> {
    match log.trouble() {
        Some(_) => requests.recv_timeout(PROBE_EVERY),
        None => requests.recv().map_err(|RecvError| RecvTimeoutError::Disconnected),
    }
}

/// Says why nothing can be written, for as long as that is so.
pub(super) fn show(log: &Log, disk: &Alarm) {
    match log.trouble() {
        Some(trouble) => disk.raise(format!("nothing is promised or sent while the log cannot be written: {trouble}")),
        None => disk.clear(),
    }
}

/// How a commit went.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    size: usize,
    lasted: Duration,
}

/// Appends that share a commit, taken from those that wait while the ones before them are written, and with them whoever
/// waits for the answers.
struct Group<'r> {
    began: Instant,
    before: Pace,
    first: Option<Request>,
    requests: &'r Receiver<Request>,
    replies: Vec<oneshot::Sender<Outcome>>,
    outcomes: Vec<Outcome>,
    /// When the wait for stragglers ends.
    linger_until: Option<Instant>,
    /// Came after the last append, and is done after the commit.
    between: Option<Between>,
}

impl Iterator for Group<'_> {
    type Item = Append;

    fn next(&mut self) -> Option<Append> {
        if self.between.is_some() || self.replies.len() == GROUP_MAX {
            return None;
        }
        match self.first.take().or_else(|| self.waiting())? {
            Request::Append(append, reply) => {
                self.replies.push(reply);
                Some(*append)
            }
            Request::Between(between) => {
                self.between = Some(between);
                None
            }
        }
    }
}

impl<'r> Group<'r> {
    fn new(first: Request, requests: &'r Receiver<Request>, before: Pace) -> Self {
        Self {
            began: Instant::now(),
            before,
            first: Some(first),
            requests,
            replies: Vec::new(),
            outcomes: Vec::new(),
            linger_until: None,
            between: None,
        }
    }

    fn pace(&self) -> Pace {
        Pace { size: self.replies.len(), lasted: self.began.elapsed() }
    }

    fn waiting(&mut self) -> Option<Request> {
        self.requests.try_recv().ok().or_else(|| self.straggler())
    }

    /// Two convoys of writers that wait for each other's commits become one.
    fn straggler(&mut self) -> Option<Request> {
        let Pace { size, lasted } = self.before;
        if lasted <= LINGER || size >= LINGER_BELOW || self.replies.len() >= size {
            return None;
        }
        let now = Instant::now();
        let until = *self.linger_until.get_or_insert(now + LINGER);
        self.requests.recv_timeout(until.saturating_duration_since(now)).ok()
    }

    fn commit(&mut self, log: &mut Log, turn: &Turn, feed: &Feed, clock: &dyn Clock) {
        self.outcomes = match turn.hold() {
            Some(_held) => commit(log, &mut *self, feed, clock),
            None => self.map(|_| Err(replaced())).collect(),
        };
    }

    /// Tells everybody what became of it; what is still to be done comes back.
    fn answer(self) -> Option<Between> {
        for (reply, outcome) in self.replies.into_iter().zip(self.outcomes) {
            // Whoever gave up reads the outcome from the log.
            let _ = reply.send(outcome);
        }
        self.between
    }
}

/// Commits and publishes, so that whoever hears of the commit finds its events in the feed.
pub(super) fn commit(
    log: &mut Log,
    group: impl IntoIterator<Item = Append>,
    feed: &Feed,
    clock: &dyn Clock,
) -> Vec<Outcome> {
    let (outcomes, events) = log.commit(group, clock.now());
    if let Some(batch) = events {
        feed.publish(batch);
    }
    follow(feed, log);
    outcomes
}

/// A commit that was reported as failed may be there after all.
fn follow(feed: &Feed, log: &Log) {
    if feed.head() != log.head() {
        feed.reset(log.head());
    }
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
        let (_sender, requests) = sync_channel(1);
        let written = |log: &mut Log, turn: &Turn, ownership| {
            let (reply, mut outcome) = oneshot::channel();
            let mut group = Group::new(Request::Append(Box::new(issue(ownership)), reply), &requests, Pace::default());
            group.commit(log, turn, &feed, &clock);
            group.answer();
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
