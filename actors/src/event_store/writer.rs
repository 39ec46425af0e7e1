//! The writer's thread: takes everything that waits, commits it as one, answers each.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
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

/// Gives the log a thread of its own, which ends when the returned sender is dropped.
pub(super) fn spawn(log: Log, feed: Arc<Feed>, clock: Arc<dyn Clock>) -> std::io::Result<SyncSender<Request>> {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    std::thread::Builder::new().name("event-log".to_owned()).spawn(move || run(log, &feed, &*clock, &receiver))?;
    Ok(sender)
}

fn run(mut log: Log, feed: &Feed, clock: &dyn Clock, requests: &Receiver<Request>) {
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
        group.commit(&mut log, feed, clock);
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

    fn commit(&mut self, log: &mut Log, feed: &Feed, clock: &dyn Clock) {
        if self.appends.is_empty() {
            return;
        }
        let outcomes = commit(log, std::mem::take(&mut self.appends), feed, clock);
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
