//! The attempts to deliver to a webhook, as they are kept beside the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use chrono::{DateTime, Utc};
use millrace_actors::delivery::attempts::{self, Attempt as Stored, class};
use millrace_actors::subscriptions::delivery::FILE;
use millrace_model::ids::{Position, SubscriptionId};
use millrace_protocols::delivery::verdict::Outcome;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{OperatorState, place};
use crate::web::extract::{Path, Query};
use crate::web::problem::Problem;

/// Which of them: those of notifications after a position of the log.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct After {
    pub(in crate::web) after: Option<Position>,
}

/// Attempts, by the notification's place in the log.
#[derive(Debug, Default, Serialize)]
pub(in crate::web) struct AttemptPage {
    pub(in crate::web) attempts: Vec<Attempt>,
    /// What the next page comes after, or before where the newest come first; nothing at the end.
    pub(in crate::web) next: Option<Position>,
}

/// One attempt.
#[derive(Debug, Serialize)]
pub(in crate::web) struct Attempt {
    pub(in crate::web) position: Position,
    pub(in crate::web) notification: Option<Uuid>,
    pub(in crate::web) attempt: u16,
    pub(in crate::web) at: Option<DateTime<Utc>>,
    pub(in crate::web) took_us: u64,
    /// As [`Stored::class`].
    pub(in crate::web) outcome: String,
    pub(in crate::web) status: Option<u16>,
    /// The answer's body, cut; what is no text in it is replaced.
    pub(in crate::web) answer: Option<String>,
    pub(in crate::web) error: Option<String>,
    pub(in crate::web) next_at: Option<DateTime<Utc>>,
    /// `given_up` or `aborted` where the notification was settled by it without having arrived.
    pub(in crate::web) fate: Option<String>,
}

pub(in crate::web) async fn show(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<SubscriptionId>,
    Query(After { after }): Query<After>,
) -> Result<Reply<AttemptPage>, Problem> {
    let from = place(after)?.map_or(1, |after| after.saturating_add(1));
    let found = read(&state, move |reader| reader.attempts(id.0, from, i64::MAX as Position)).await?;
    Ok(Reply(AttemptPage::of(found, attempts::ROWS_MAX)))
}

/// The newest attempts at a webhook of notifications before a position: a page of so many, or all of one notification where that has
/// more.
pub(in crate::web) async fn newest(
    state: &OperatorState,
    id: SubscriptionId,
    before: Option<Position>,
    rows_max: usize,
) -> Result<AttemptPage, Problem> {
    let before = place(before)?.unwrap_or(i64::MAX as Position);
    read(state, move |reader| {
        let found = reader.newest(id.0, before, rows_max);
        let found = found.and_then(|found| match one_alone(&found).filter(|_| found.len() == rows_max) {
            Some(one) => reader.attempts(id.0, one, one).map(|all| all.into_iter().rev().collect()),
            None => Ok(found),
        });
        found.map(|found| AttemptPage::of(found, rows_max))
    })
    .await
}

/// The notification that all of these are of.
fn one_alone(found: &[Stored]) -> Option<Position> {
    let one = found.first()?.position;
    found.iter().all(|attempt| attempt.position == one).then_some(one)
}

/// The newest attempts at each of these webhooks, those of the newest notification first: at most so many of each.
pub(in crate::web) async fn newest_of_each(
    state: &OperatorState,
    webhooks: Vec<SubscriptionId>,
    of_each_max: usize,
) -> Result<BTreeMap<SubscriptionId, Vec<Attempt>>, Problem> {
    read(state, move |reader| {
        let of_one = |id: SubscriptionId| {
            let found = reader.newest(id.0, i64::MAX as Position, of_each_max);
            found.map(|found| (id, found.into_iter().map(Attempt::from).collect()))
        };
        webhooks.into_iter().map(of_one).collect()
    })
    .await
}

/// The attempts at everybody of a notification.
#[derive(Debug)]
pub(in crate::web) struct Tried {
    pub(in crate::web) position: Position,
    /// The newest first.
    pub(in crate::web) attempts: Vec<(SubscriptionId, Attempt)>,
    /// How many there were before them.
    pub(in crate::web) older: usize,
}

/// The newest attempts at everybody of the notifications at these positions: at most so many of each, and so many together.
pub(in crate::web) async fn of_notifications(
    state: &OperatorState,
    positions: Vec<Position>,
    rows_max: (usize, usize),
) -> Result<Vec<Tried>, Problem> {
    let found = read(state, move |reader| reader.of_notifications(&positions, rows_max)).await?;
    Ok(found.into_iter().map(Tried::from).collect())
}

/// Which of these notifications at a position were tried at this receiver; each is one look into an index.
pub(in crate::web) async fn tried_at(
    state: &OperatorState,
    asked: Vec<(SubscriptionId, Position)>,
) -> Result<Vec<(SubscriptionId, Position)>, Problem> {
    let is_tried =
        |reader: &attempts::Reader, (id, position): &(SubscriptionId, Position)| reader.is_tried(id.0, *position);
    read(state, move |reader| {
        let looked = asked.into_iter().map(|one| is_tried(reader, &one).map(|is_tried| is_tried.then_some(one)));
        looked.filter_map(Result::transpose).collect()
    })
    .await
}

/// Reads the file of attempts on a blocking thread; before the first attempt there is none.
async fn read<T: Default + Send + 'static, E: std::fmt::Display>(
    state: &OperatorState,
    read: impl FnOnce(&attempts::Reader) -> Result<T, E> + Send + 'static,
) -> Result<T, Problem> {
    let file = state.log_file.with_file_name(FILE);
    let reading = tokio::task::spawn_blocking(move || -> Result<T, String> {
        if !file.try_exists().map_err(|error| error.to_string())? {
            return Ok(T::default());
        }
        let reader = attempts::Reader::open(&file).map_err(|error| error.to_string())?;
        read(&reader).map_err(|error| error.to_string())
    });
    reading.await.map_err(Problem::internal)?.map_err(|error| {
        tracing::warn!(%error, "attempts cannot be read");
        Problem::unavailable("attempts_unavailable", "The attempts cannot be read at the moment; try again.")
    })
}

impl AttemptPage {
    /// A page ends with all attempts of one notification, so that the next begins with another's: where it is full, the last
    /// one's are left for the next page, unless they are all of this one. The oldest come first, or the newest.
    fn of(mut found: Vec<Stored>, rows_max: usize) -> Self {
        let mut next = None;
        if found.len() >= rows_max {
            let last = found.last().map_or(0, |attempt| attempt.position);
            let whole = found.partition_point(|attempt| attempt.position != last);
            if whole > 0 {
                found.truncate(whole);
            }
            next = found.last().map(|attempt| attempt.position);
        }
        Self { attempts: found.into_iter().map(Attempt::from).collect(), next }
    }
}

impl Attempt {
    /// Whether its receiver took it.
    pub(in crate::web) fn is_delivered(&self) -> bool {
        self.outcome == class(Outcome::Accepted)
    }
}

impl Tried {
    /// Whether one of them was at this receiver.
    pub(in crate::web) fn was_at(&self, receiver: SubscriptionId) -> bool {
        self.attempts.iter().any(|(at, _)| *at == receiver)
    }
}

impl From<attempts::Tried> for Tried {
    fn from(attempts::Tried { position, attempts, older }: attempts::Tried) -> Self {
        let attempt = |(id, stored)| (SubscriptionId(id), Attempt::from(stored));
        Self { position, attempts: attempts.into_iter().map(attempt).collect(), older }
    }
}

impl From<Stored> for Attempt {
    fn from(stored: Stored) -> Self {
        Self {
            position: stored.position,
            notification: stored.notification,
            attempt: stored.attempt,
            at: time(stored.started_ms),
            took_us: stored.took_us,
            outcome: stored.class,
            status: stored.status,
            answer: stored.answer.map(|answer| String::from_utf8_lossy(&answer).into_owned()),
            error: stored.error,
            next_at: stored.next_ms.and_then(time),
            fate: stored.fate,
        }
    }
}

pub(in crate::web) fn time(ms: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(ms).ok()?)
}
