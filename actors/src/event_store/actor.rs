//! The event store as an actor: opens the log when it starts, passes requests to its writer, never blocks on them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use millrace_model::ids::StreamName;
use tokio::sync::oneshot;
use xtra::{Context, Handler, Mailbox};

use super::append::{Append, AppendError};
use super::log::{Log, Outcome, Ownership};
use super::reader::Reader;
use super::schema::OpenError;
use super::segment::Segment;
use super::store::Shared;
use super::writer::{self, Between, Request, Turn};
use crate::clock::Clock;
use crate::supervision::{Alarm, Reporter};

/// Where work that takes long is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// On a thread of its own; appends many to a commit.
    Thread,
    /// At once, by whoever asks: one thread does everything in one order, as a simulation needs it.
    Inline,
}

/// What the store needs to start.
#[derive(Clone)]
pub struct Settings {
    /// The log's file.
    pub path: PathBuf,
    /// Where appends are carried out.
    pub execution: Execution,
    /// Dates the events.
    pub clock: Arc<dyn Clock>,
}

/// What is done with a log that was just opened, before anybody else has it; an error closes it again.
pub type Opening = Arc<dyn Fn(&mut Log, &Reader) -> Result<(), String> + Send + Sync>;

/// The actor. It asks nobody.
pub struct Actor {
    settings: Settings,
    opening: Option<Opening>,
    shared: Arc<Shared>,
    report: Reporter,
    backend: Option<Backend>,
}

enum Backend {
    Thread(SyncSender<Request>),
    Inline(Box<Log>, Turn, Alarm),
}

/// Why the store does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No thread to be had.
    #[error("no thread for the log: {0}")]
    Thread(#[from] std::io::Error),
    /// What has to be done first cannot be done.
    #[error("the log is not used: {0}")]
    Opening(String),
}

impl Actor {
    pub(super) fn new(settings: Settings, opening: Option<Opening>, shared: Arc<Shared>, report: Reporter) -> Self {
        Self { settings, opening, shared, report, backend: None }
    }

    fn submit<T>(&mut self, request: Request, refuse: impl FnOnce(AppendError) -> T) -> Result<(), T> {
        match &mut self.backend {
            None => Err(refuse(AppendError::Unavailable("it has not started".to_owned()))),
            Some(Backend::Thread(writer)) => writer.try_send(request).map_err(|refused| match refused {
                TrySendError::Full(_) => refuse(AppendError::Busy),
                TrySendError::Disconnected(_) => refuse(AppendError::Unavailable("its writer ended".to_owned())),
            }),
            Some(Backend::Inline(log, turn, disk)) => {
                match request {
                    Request::Append(append, reply) => {
                        let clock = &*self.settings.clock;
                        let outcome = writer::commit(log, [*append], &self.shared.feed, clock).pop();
                        let _ = reply.send(outcome.expect("every append has an outcome"));
                        writer::show(log, disk);
                    }
                    Request::Between(between) => between.done_by(log, turn, &self.shared.feed),
                }
                Ok(())
            }
        }
    }
}

impl xtra::Actor for Actor {
    type Stop = Result<(), StartError>;

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), Self::Stop> {
        let open = || -> Result<Backend, StartError> {
            let turn = Turn::begin(&self.shared.turns);
            let mut log = Log::open(&self.settings.path)?;
            self.shared.found(log.head());
            let reader = Reader::open(&self.settings.path)?;
            if let Some(opening) = &self.opening {
                opening(&mut log, &reader).map_err(StartError::Opening)?;
            }
            self.shared.feed.reset(log.head());
            self.shared.opened(reader);
            let disk = Alarm::new("disk", self.report.clone());
            Ok(match self.settings.execution {
                Execution::Thread => {
                    let (feed, clock) = (Arc::clone(&self.shared.feed), Arc::clone(&self.settings.clock));
                    Backend::Thread(writer::spawn(log, turn, feed, clock, disk)?)
                }
                Execution::Inline => Backend::Inline(Box::new(log), turn, disk),
            })
        };
        self.backend = Some(open().map_err(Err)?);
        Ok(())
    }

    async fn stopped(self) -> Self::Stop {
        Ok(())
    }
}

/// Store these events; the answer comes through the receiver once they are durable.
pub(super) struct Submit(pub(super) Append);

impl Handler<Submit> for Actor {
    type Return = Result<oneshot::Receiver<Outcome>, AppendError>;

    async fn handle(&mut self, Submit(append): Submit, _: &mut Context<Self>) -> Self::Return {
        let (reply, outcome) = oneshot::channel();
        self.submit(Request::Append(Box::new(append), reply), |error| error)?;
        Ok(outcome)
    }
}

/// Take over a stream.
pub(super) struct Own(pub(super) StreamName);

impl Handler<Own> for Actor {
    type Return = Result<oneshot::Receiver<Result<Ownership, AppendError>>, AppendError>;

    async fn handle(&mut self, Own(stream): Own, _: &mut Context<Self>) -> Self::Return {
        let (reply, ownership) = oneshot::channel();
        self.submit(Request::Between(Between::Own(stream, reply)), |error| error)?;
        Ok(ownership)
    }
}

/// Keep this segment.
pub(super) struct Keep(pub(super) Segment);

impl Handler<Keep> for Actor {
    type Return = Result<oneshot::Receiver<Result<(), AppendError>>, AppendError>;

    async fn handle(&mut self, Keep(segment): Keep, _: &mut Context<Self>) -> Self::Return {
        let (reply, kept) = oneshot::channel();
        self.submit(Request::Between(Between::Keep(Box::new(segment), reply)), |error| error)?;
        Ok(kept)
    }
}
