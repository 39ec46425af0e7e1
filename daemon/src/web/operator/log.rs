//! The log in pages, with a wait for what is not there yet, and as a stream of server-sent events.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use http::HeaderMap;
use millrace_actors::customer_keys::Reading;
use millrace_actors::event_store::{Bell, ReadError, Reader, cause_of};
use millrace_model::event::{self, Recorded};
use millrace_model::ids::{Position, StreamName, Version};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::{Instant, timeout_at};

use super::{OperatorState, place};
use crate::web::extract::Query;
use crate::web::problem::Problem;
use crate::web::shapes::{EventRow, PAGE_ROWS_MAX, WAIT_S_MAX};

/// How many events are read at once.
const READ_EVENTS_MAX: usize = 500;
/// How many events one answer looks at, so that a filter that finds little still answers within milliseconds; `next` says
/// where to go on.
const LOOK_EVENTS_MAX: u64 = 2_000;

/// Which events, from where on, and how long to wait for the first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Wanted {
    after: Option<Position>,
    limit: Option<u32>,
    kind: Option<String>,
    stream: Option<String>,
    wait_s: Option<u32>,
}

/// An event as this face shows it: [`EventRow`] and the command that caused it.
#[derive(Debug, Serialize)]
pub(in crate::web) struct Line {
    #[serde(flatten)]
    pub(in crate::web) row: EventRow,
    pub(in crate::web) command_id: String,
    /// The event that led to it, where one did: what is stored as its cause may be none.
    #[serde(skip)]
    pub(in crate::web) cause: Option<Position>,
}

impl From<&Recorded> for Line {
    fn from(recorded: &Recorded) -> Self {
        let row = EventRow {
            position: recorded.position,
            stream: recorded.stream.to_string(),
            version: recorded.version,
            kind: recorded.event.kind().to_owned(),
            schema: recorded.event.schema(),
            recorded_at: recorded.recorded_at,
            causation: recorded.causation,
            correlation: recorded.correlation.map(|id| id.to_string()),
            payload: stored_json(recorded.event.payload()),
        };
        Self { row, command_id: recorded.command_id.to_string(), cause: cause_of(recorded) }
    }
}

impl Line {
    /// With its note opened.
    pub(in crate::web) fn opened(recorded: &Recorded, notes: &Reading) -> Self {
        Self::from(&notes.event(recorded.clone()))
    }
}

/// What is stored as JSON, as it is. One that was damaged may not even be JSON: it is shown as a text.
pub(in crate::web) fn stored_json(text: String) -> Box<RawValue> {
    RawValue::from_string(text.clone()).or_else(|_| to_raw_value(&text)).expect("text is JSON")
}

/// A page of events: the shape of [`crate::web::shapes::EventPage`].
#[derive(Debug, Serialize)]
pub(in crate::web) struct Page {
    events: Vec<Line>,
    next: Position,
    head: Position,
}

/// A page of events on the way back, the newest first.
#[derive(Debug)]
pub(in crate::web) struct Older {
    pub(in crate::web) lines: Vec<Line>,
    /// Before which position there is more; nothing at the beginning.
    pub(in crate::web) rest: Option<Position>,
    pub(in crate::web) looked_at: u64,
}

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub(in crate::web) struct Filter {
    pub(in crate::web) kinds: Option<BTreeSet<String>>,
    pub(in crate::web) stream: Option<StreamName>,
}

pub(in crate::web) async fn page(
    State(state): State<Arc<OperatorState>>,
    Query(wanted): Query<Wanted>,
) -> Result<Reply<Page>, Problem> {
    let filter = Filter::new(wanted.kind.as_deref(), wanted.stream.as_deref())?;
    let rows_max = wanted.limit.unwrap_or(50).min(PAGE_ROWS_MAX) as usize;
    let patience = Duration::from_secs(u64::from(wanted.wait_s.unwrap_or(0).min(WAIT_S_MAX)));
    let deadline = Instant::now() + patience;
    let mut after = place(wanted.after)?.unwrap_or(0);
    let mut bell = state.store.bell();
    loop {
        bell.mark_unchanged();
        let page = look(&state, after, rows_max, &filter).await?;
        if !page.events.is_empty() || rows_max == 0 || Instant::now() >= deadline {
            return Ok(Reply(page));
        }
        after = page.next;
        if after >= page.head && !matches!(timeout_at(deadline, bell.changed()).await, Ok(Ok(()))) {
            return Ok(Reply(page));
        }
    }
}

/// Events from now on, or from `after` or a `Last-Event-ID` on; each with its position as its id.
pub(in crate::web) async fn live(
    State(state): State<Arc<OperatorState>>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let filter = Filter::new(wanted.kind.as_deref(), wanted.stream.as_deref())?;
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let after = match place(seen.or(wanted.after))? {
        Some(after) => after,
        None => state.read(Reader::head).await?,
    };
    let bell = state.store.bell();
    let follower = Follower { state, filter, after, bell, ready: VecDeque::new() };
    let stream = futures::stream::unfold(follower, |mut follower| async move {
        let line = follower.next().await?;
        let event = Event::default().id(line.row.position.to_string()).json_data(&line).ok()?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

/// One who follows.
struct Follower {
    state: Arc<OperatorState>,
    filter: Filter,
    after: Position,
    bell: Bell,
    ready: VecDeque<Line>,
}

impl Follower {
    /// The next event; `None`, and with it the end of the stream, when the log cannot be read.
    async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            self.bell.mark_unchanged();
            let page = look(&self.state, self.after, PAGE_ROWS_MAX as usize, &self.filter).await.ok()?;
            self.after = page.next;
            self.ready = page.events.into();
            if self.ready.is_empty() && page.next >= page.head {
                self.bell.changed().await.ok()?;
            }
        }
    }
}

async fn look(state: &Arc<OperatorState>, after: Position, rows_max: usize, filter: &Filter) -> Result<Page, Problem> {
    let filter = filter.clone();
    state.read_opened(move |reader, notes| filter.look((reader, notes), after, rows_max)).await
}

impl Filter {
    pub(in crate::web) fn new(kinds: Option<&str>, stream: Option<&str>) -> Result<Self, Problem> {
        let stream = stream.map(str::parse).transpose().map_err(|error: millrace_model::ids::UnknownStream| {
            Problem::bad_request("unknown_stream", format!("{error}; one is deposit/ID, binding/ADDRESS, chain/btc."))
        })?;
        let kinds = kinds.map(|kinds| kinds.split(',').map(kind).collect()).transpose()?;
        Ok(Self { kinds, stream })
    }

    pub(in crate::web) fn wants(&self, recorded: &Recorded) -> bool {
        self.stream.as_ref().is_none_or(|stream| *stream == recorded.stream)
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(recorded.event.kind()))
    }

    /// What is wanted of before a position, the newest first, until a page is full or enough was looked at. Of a stream only its own
    /// events are looked at, so how far back they lie does not matter.
    pub(in crate::web) fn look_back(
        &self,
        (reader, notes): (&Reader, &Reading),
        before: Position,
        rows_max: usize,
    ) -> Result<Older, ReadError> {
        let mut back = Back::from(reader, self.stream.as_ref(), before)?;
        let (mut lines, mut last, mut looked_at) = (Vec::new(), None, 0);
        'walk: while looked_at < LOOK_EVENTS_MAX && back.end > 1 {
            let events = back.read(reader)?;
            if events.is_empty() {
                back.end = back.begin();
                looked_at += READ_EVENTS_MAX as u64;
                continue;
            }
            for recorded in events {
                looked_at += 1;
                back.end = back.place(&recorded);
                last = Some(recorded.position);
                if self.wants(&recorded) {
                    lines.push(Line::opened(&recorded, notes));
                    if lines.len() == rows_max {
                        break 'walk;
                    }
                }
            }
        }
        let rest = if self.stream.is_some() { last } else { Some(back.end) };
        Ok(Older { lines, rest: rest.filter(|_| back.end > 1), looked_at })
    }

    fn look(&self, (reader, notes): (&Reader, &Reading), after: Position, rows_max: usize) -> Result<Page, ReadError> {
        let head = reader.head()?;
        if rows_max == 0 {
            return Ok(Page { events: Vec::new(), next: after, head });
        }
        match &self.stream {
            Some(stream) => self.walk_in(stream, (reader, notes), (after, head), rows_max),
            None => self.walk((reader, notes), after, rows_max, head),
        }
    }

    /// Through a stream's own events, wherever in the log they lie.
    fn walk_in(
        &self,
        stream: &StreamName,
        (reader, notes): (&Reader, &Reading),
        (after, head): (Position, Position),
        rows_max: usize,
    ) -> Result<Page, ReadError> {
        let mut page = Page { events: Vec::new(), next: head.max(after), head };
        let (mut seen, mut looked_at) = (version_from(reader, stream, after.saturating_add(1))? - 1, 0);
        loop {
            let mut read = reader.after_in(stream, seen, READ_EVENTS_MAX)?;
            read.retain(|recorded| recorded.position <= head);
            if read.is_empty() {
                return Ok(page);
            }
            for recorded in &read {
                (seen, looked_at) = (recorded.version, looked_at + 1);
                if self.wants(recorded) {
                    page.events.push(Line::opened(recorded, notes));
                }
                if page.events.len() == rows_max || looked_at == LOOK_EVENTS_MAX {
                    return Ok(Page { next: recorded.position, ..page });
                }
            }
        }
    }

    fn walk(
        &self,
        (reader, notes): (&Reader, &Reading),
        after: Position,
        rows_max: usize,
        head: Position,
    ) -> Result<Page, ReadError> {
        let (mut events, mut next) = (Vec::new(), after);
        while events.len() < rows_max && next < head && next - after < LOOK_EVENTS_MAX {
            let read = reader.after(next, READ_EVENTS_MAX)?;
            if read.is_empty() {
                break;
            }
            for recorded in &read {
                next = recorded.position;
                if self.wants(recorded) {
                    events.push(Line::opened(recorded, notes));
                    if events.len() == rows_max {
                        break;
                    }
                }
            }
        }
        Ok(Page { events, next, head: head.max(next) })
    }
}

/// A way back through the log, or through one of its streams.
struct Back<'a> {
    stream: Option<&'a StreamName>,
    /// Before which position of the log, or version of the stream, it goes on.
    end: u64,
}

impl<'a> Back<'a> {
    fn from(reader: &Reader, stream: Option<&'a StreamName>, before: Position) -> Result<Self, ReadError> {
        let end = match stream {
            Some(stream) => version_from(reader, stream, before)?,
            None => before.min(reader.head()? + 1),
        };
        Ok(Self { stream, end })
    }

    /// Up to where it comes when nothing is found: before all of a stream, and over a piece of a damaged log.
    fn begin(&self) -> u64 {
        let most = if self.stream.is_some() { u64::MAX } else { READ_EVENTS_MAX as u64 };
        self.end.saturating_sub(most).max(1)
    }

    /// The next events, the newest first.
    fn read(&self, reader: &Reader) -> Result<Vec<Recorded>, ReadError> {
        if let Some(stream) = self.stream {
            return reader.before_in(stream, Some(self.end), READ_EVENTS_MAX as u64);
        }
        let mut events = reader.range(self.begin(), self.end.saturating_sub(1))?;
        events.reverse();
        Ok(events)
    }

    fn place(&self, recorded: &Recorded) -> u64 {
        if self.stream.is_some() { recorded.version } else { recorded.position }
    }
}

/// The version of a stream's first event from a position on, or the one that its next event will have.
fn version_from(reader: &Reader, stream: &StreamName, from: Position) -> Result<Version, ReadError> {
    let Some(newest) = reader.before_in(stream, None, 1)?.pop() else { return Ok(1) };
    if newest.position < from {
        return Ok(newest.version + 1);
    }
    // Later versions have later positions.
    let (mut low, mut high) = (1, newest.version);
    while low < high {
        let middle = low.midpoint(high);
        let is_before = reader.before_in(stream, Some(middle + 1), 1)?.pop().is_some_and(|one| one.position < from);
        (low, high) = if is_before { (middle + 1, high) } else { (low, middle) };
    }
    Ok(low)
}

/// The kinds of all catalogues.
pub(in crate::web) fn kinds() -> impl Iterator<Item = &'static str> {
    event::Event::kinds().map(|(kind, _)| kind)
}

/// A kind of the catalogue.
fn kind(text: &str) -> Result<String, Problem> {
    if kinds().any(|kind| kind == text) {
        return Ok(text.to_owned());
    }
    Err(Problem::bad_request("unknown_kind", format!("There is no event kind {text:?}.")))
}
