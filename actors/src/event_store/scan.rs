//! The whole log, or a range of it, read in order as fast as it goes: by as many threads as there are to spare, page by page.
//!
//! Pages are shared out among the threads in turn, each thread reads and decodes its own, and they come back in the order of
//! the log. Nobody is more than two pages ahead, so that memory has a bound. One that is read by a single thread is read by
//! the caller's. As far as the log is sealed its segments are read, and from there on its rows.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use millrace_model::event::Recorded;
use millrace_model::ids::{Position, StreamName};
use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::reader::{ReadError, Reader};
use super::sealed::{events_at, sealed_until};
use super::segment::{self, SEGMENT_EVENTS, Unpacker};
use super::stored::Stored;

/// How many events are in a page: one segment, so that no two threads unpack the same.
const PAGE_EVENTS: Position = SEGMENT_EVENTS;
/// How many events are read at one look at the log: each look has its price, and a desk's write-ahead log grows while one lasts.
const STRETCH_EVENTS: Position = 65_536;
/// How many pages of a thread wait to be taken.
const WAITING_MAX: usize = 2;
/// How many names of streams are remembered: a stream's events lie close together.
const NAMES_MAX: usize = 4_096;

/// The events of a range, whole.
const WHOLE: &str =
    "SELECT position, stream, version, kind, schema, payload, causation, correlation, command_id, recorded_at
                     FROM events WHERE position BETWEEN ?1 AND ?2 ORDER BY position";
/// The same without what a lens does not see: each column costs.
const IN_PART: &str = "SELECT position, stream, version, kind, schema, payload
                       FROM events WHERE position BETWEEN ?1 AND ?2 ORDER BY position";

/// Looks at each event, with a way to its stream's name, and makes what is needed of it; nothing of one that does not matter.
pub trait Lens<T>: Fn(&Stored<'_>, &mut Names<'_>) -> Result<Option<T>, ReadError> + Send + Sync + 'static {}

impl<T, L: Fn(&Stored<'_>, &mut Names<'_>) -> Result<Option<T>, ReadError> + Send + Sync + 'static> Lens<T> for L {}

/// A part of the log on its way: pages of what a lens made of its events.
pub struct Scan<T> {
    source: Source<T>,
    next: Position,
    last: Position,
    has_failed: bool,
}

/// Where pages come from.
enum Source<T> {
    Here(Box<dyn Read<T>>),
    Threads { threads: Vec<Worker<T>>, turn: usize },
}

/// Reads a part of the log through a lens.
trait Read<T>: Send {
    /// Hands out what the lens makes of the events from one position to another, both included; ends early when it is told to.
    fn each(
        &mut self,
        range: (Position, Position),
        take: &mut dyn FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), ReadError>;

    /// The same as a page, in the place of one that nobody needs any more.
    fn page(&mut self, range: (Position, Position), mut page: Vec<T>) -> Result<Vec<T>, ReadError> {
        page.clear();
        page.reserve(PAGE_EVENTS as usize);
        self.each(range, &mut |made| {
            page.push(made);
            ControlFlow::Continue(())
        })?;
        Ok(page)
    }
}

/// A thread that reads its share of the pages.
struct Worker<T> {
    /// Gone when nobody wants any more.
    pages: Option<Receiver<Result<Vec<T>, ReadError>>>,
    /// Takes back pages that nobody needs any more: memory is given up fastest by the thread that asked for it.
    spent: SyncSender<Vec<T>>,
    thread: Option<JoinHandle<()>>,
}

/// One that reads, on a connection of its own.
struct Looker<L> {
    connection: Connection,
    columns: &'static str,
    lens: Arc<L>,
    known: Known,
    /// How many more events are read before the log is looked at anew.
    look: Position,
    unpacker: Unpacker,
    /// How far the log is sealed, as it was then.
    sealed_until: Position,
}

impl Reader {
    /// The events from one position to another, both included, by so many threads.
    pub fn scan(&self, first: Position, last: Position, threads: usize) -> Result<Scan<Recorded>, ReadError> {
        let lens = |stored: &Stored<'_>, names: &mut Names<'_>| stored.recorded(names.of(stored)?).map(Some);
        self.begin_scan((first, last), threads, WHOLE, lens)
    }

    /// The same through a lens. It is called on whatever thread reads the event.
    pub fn scan_through<T: Send + 'static>(
        &self,
        first: Position,
        last: Position,
        threads: usize,
        lens: impl Lens<T>,
    ) -> Result<Scan<T>, ReadError> {
        self.begin_scan((first, last), threads, IN_PART, lens)
    }

    fn begin_scan<T: Send + 'static>(
        &self,
        (first, last): (Position, Position),
        threads: usize,
        columns: &'static str,
        lens: impl Lens<T>,
    ) -> Result<Scan<T>, ReadError> {
        let (first, last) = (first.max(1), last.min(self.head()?));
        let lens = Arc::new(lens);
        let looker = || {
            let (connection, lens, known) = (self.another()?, Arc::clone(&lens), Known::none());
            Ok::<_, ReadError>(Looker {
                connection,
                columns,
                lens,
                known,
                look: 0,
                unpacker: Unpacker::default(),
                sealed_until: 0,
            })
        };
        let source = if threads <= 1 {
            Source::Here(Box::new(looker()?))
        } else {
            let threads = (0..threads).map(|turn| {
                let share = (first + turn as Position * PAGE_EVENTS..=last).step_by(threads * PAGE_EVENTS as usize);
                Ok(Worker::start(looker()?, share.map(move |first| page_from(first, last))))
            });
            Source::Threads { threads: threads.collect::<Result<_, ReadError>>()?, turn: 0 }
        };
        Ok(Scan { source, next: first, last, has_failed: false })
    }
}

/// The page that begins here.
fn page_from(first: Position, last: Position) -> (Position, Position) {
    (first, last.min(first + (PAGE_EVENTS - 1)))
}

impl<T> Iterator for Scan<T> {
    type Item = Result<Vec<T>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed || self.next > self.last {
            return None;
        }
        let page = match &mut self.source {
            Source::Here(reading) => reading.page(page_from(self.next, self.last), Vec::new()),
            Source::Threads { threads, turn } => {
                let page = threads[*turn].take();
                *turn = (*turn + 1) % threads.len();
                page
            }
        };
        self.next += PAGE_EVENTS;
        self.has_failed = page.is_err();
        Some(page)
    }
}

impl<T> Scan<T> {
    /// Takes back the page that came last, once nobody needs it.
    pub fn take_back(&self, page: Vec<T>) {
        if let Source::Threads { threads, turn } = &self.source {
            let before = (turn + threads.len() - 1) % threads.len();
            // One that is busy, or has read its share, takes nothing: then it is given up here.
            let _ = threads[before].spent.try_send(page);
        }
    }

    /// Shows everything one after the other, until something is wrong: faster than page by page where one thread reads. What was
    /// seen is given up where it was made.
    pub fn each<E: From<ReadError>>(mut self, mut see: impl FnMut(&T) -> Result<(), E>) -> Result<(), E> {
        let Source::Here(reading) = &mut self.source else {
            while let Some(page) = self.next() {
                let page = page?;
                page.iter().try_for_each(&mut see)?;
                self.take_back(page);
            }
            return Ok(());
        };
        let mut outcome = Ok(());
        while self.next <= self.last && outcome.is_ok() {
            let until = self.last.min(self.next + (STRETCH_EVENTS - 1));
            reading.each((self.next, until), &mut |made| {
                outcome = see(&made);
                if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            self.next = until + 1;
        }
        outcome
    }
}

impl<T: Send + 'static> Worker<T> {
    fn start(
        mut reading: impl Read<T> + 'static,
        share: impl Iterator<Item = (Position, Position)> + Send + 'static,
    ) -> Self {
        let (sender, receiver): (SyncSender<_>, _) = sync_channel(WAITING_MAX);
        let (spent, taken_back) = sync_channel(WAITING_MAX + 2);
        let thread = std::thread::spawn(move || {
            for range in share {
                let spare = taken_back.try_iter().last().unwrap_or_default();
                let page = reading.page(range, spare);
                let is_last = page.is_err();
                if sender.send(page).is_err() || is_last {
                    break;
                }
            }
        });
        Self { pages: Some(receiver), spent, thread: Some(thread) }
    }
}

impl<T> Worker<T> {
    fn take(&mut self) -> Result<Vec<T>, ReadError> {
        let page = self.pages.as_ref().and_then(|pages| pages.recv().ok());
        page.unwrap_or_else(|| {
            self.end();
            unreachable!("a thread that neither failed nor was told to end has read its share")
        })
    }

    fn end(&mut self) {
        self.pages = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<L> Looker<L> {
    /// What is read is never changed, so it does not matter at which moment of the log one looks.
    fn look_anew_at_times(&mut self, events: Position) -> rusqlite::Result<()> {
        if self.look == 0 {
            if !self.connection.is_autocommit() {
                self.connection.execute_batch("COMMIT")?;
            }
            self.connection.execute_batch("BEGIN")?;
            self.sealed_until = sealed_until(&self.connection)?;
            self.look = STRETCH_EVENTS;
        }
        self.look = self.look.saturating_sub(events);
        Ok(())
    }
}

impl<T, L: Lens<T>> Read<T> for Looker<L> {
    fn each(
        &mut self,
        (first, last): (Position, Position),
        take: &mut dyn FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        self.look_anew_at_times(last + 1 - first)?;
        let mut next = first;
        while next <= last.min(self.sealed_until) {
            let until = last.min(segment::last_of(next));
            match self.each_packed(&mut next, until, take) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(()),
                // What is not in its rows any more is lost: the rest is as good as it was.
                Err(ReadError::Segment(error)) => {
                    tracing::error!(%error, "rows are read in place of a segment");
                    if self.each_row((next, until), take)?.is_break() {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
            next = until + 1;
        }
        self.each_row((next, last), take).map(drop)
    }
}

impl<L> Looker<L> {
    fn each_row<T>(
        &mut self,
        (first, last): (Position, Position),
        take: &mut dyn FnMut(T) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError>
    where
        L: Lens<T>,
    {
        let mut statement = self.connection.prepare_cached(self.columns)?;
        let mut names = Names { connection: &self.connection, statement: None, known: &mut self.known };
        let mut rows = statement.query([first, last])?;
        while let Some(row) = rows.next()? {
            if let Some(made) = (self.lens)(&Stored::new(row)?, &mut names)?
                && take(made).is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The same of a segment, as far as it goes.
    fn each_packed<T>(
        &mut self,
        next: &mut Position,
        last: Position,
        take: &mut dyn FnMut(T) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError>
    where
        L: Lens<T>,
    {
        let unpacked = events_at(&self.connection, *next, &mut self.unpacker)?;
        let mut names = Names { connection: &self.connection, statement: None, known: &mut self.known };
        let (lens, mut flow) = (&self.lens, ControlFlow::Continue(()));
        unpacked.each::<ReadError>(*next, &mut |packed| {
            *next = packed.position + 1;
            if let Some(made) = lens(&Stored::packed(packed), &mut names)? {
                flow = take(made);
            }
            Ok(if packed.position == last { ControlFlow::Break(()) } else { flow })
        })?;
        self.unpacker.take_back(unpacked);
        Ok(flow)
    }
}

/// The names of streams that were met last, by their numbers.
#[derive(Debug)]
struct Known(Vec<Option<(i64, StreamName)>>);

impl Known {
    fn none() -> Self {
        Self(vec![None; NAMES_MAX])
    }
}

/// Knows the names of streams.
pub struct Names<'c> {
    connection: &'c Connection,
    statement: Option<CachedStatement<'c>>,
    known: &'c mut Known,
}

impl Names<'_> {
    /// The name of an event's stream.
    pub fn of(&mut self, stored: &Stored<'_>) -> Result<StreamName, ReadError> {
        let id = stored.stream_id()?;
        let place = id.unsigned_abs() as usize % NAMES_MAX;
        if let Some((known, name)) = &self.known.0[place]
            && *known == id
        {
            return Ok(name.clone());
        }
        let position = stored.position();
        let name = match stored.stream() {
            Some(name) => name.parse().map_err(|source| ReadError::StreamAt { position, source })?,
            None => self.look_up(id, position)?,
        };
        self.known.0[place] = Some((id, name.clone()));
        Ok(name)
    }

    fn look_up(&mut self, id: i64, position: Position) -> Result<StreamName, ReadError> {
        if self.statement.is_none() {
            self.statement = Some(self.connection.prepare_cached("SELECT name FROM streams WHERE id = ?1")?);
        }
        let statement = self.statement.as_mut().expect("it was prepared above");
        let name: Option<String> = statement
            .query_row([id], |row| row.get(0))
            .optional()
            .map_err(|source| ReadError::Row { position, source })?;
        let name = name.ok_or(ReadError::NoStream { position, stream: id })?;
        name.parse().map_err(|source| ReadError::StreamAt { position, source })
    }
}
