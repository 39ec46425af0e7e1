//! The history in the bridge's shape, for both faces.
//!
//! Without a cursor it is the bridge's own view: deposits and withdrawals as they stand, the newest first. With one it is
//! the feed of what became of them, in the order of the log: a row for every change, as it stood then. Nothing is ever put into
//! the feed before its end, so a reader who stops for a week goes on where he was.

use axum::Json as Reply;
use axum::response::{IntoResponse, Response};
use http::header::LINK;
use http::{HeaderName, HeaderValue};
use millrace_actors::projection::{
    HistoryEntry, NOTIFICATIONS_MAX, NotificationFilter, OFFSET_MAX, Projection, StoredNotification, Views, Whose,
};
use millrace_model::ledger::Ticker;
use millrace_model::notification::{HistoryRow, NotificationType, Pattern, ResourceType, SubmitState};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cursor::{Cursor, NotACursor};
use super::problem::Problem;

/// Where the next page of a feed begins.
pub(super) const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");
/// How many of a user's own subscriptions are disabled, if any.
pub(super) const DISABLED: HeaderName = HeaderName::from_static("x-subscriptions-disabled");
/// No address is longer.
pub(super) const USER_CHARS_MAX: usize = 128;

/// Which part of the history.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The address that is paid, or the deposit address.
    pub(super) user: Option<String>,
    /// Of a feed: where it goes on; nothing between the quotes for its beginning.
    cursor: Option<String>,
    /// 0 for as many as a page holds.
    limit: Option<u32>,
    r#type: Option<String>,
    event: Option<String>,
    coin: Option<String>,
    /// Of the view: how many rows to leave out. A feed has none.
    offset: Option<u32>,
}

/// One line of the answer.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    row: HistoryRow,
    #[serde(flatten)]
    change: Option<Change>,
}

/// What else is said of a change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    id: Uuid,
    event: NotificationType,
    sequence: u32,
}

/// How deep a deposit is, and how deep it has to be, for whoever knows it.
pub(super) type Depth<'d> = &'d (dyn Fn(&HistoryEntry) -> Option<(u64, u64)> + Sync);

/// The part that is wanted. `path` is where it was asked for.
pub(super) async fn answer(
    views: &Views,
    (path, wanted): (&str, &Wanted),
    depth: Depth<'_>,
) -> Result<Response, Problem> {
    let filter = wanted.filter()?;
    let limit = match wanted.limit {
        None | Some(0) => NOTIFICATIONS_MAX,
        Some(rows) => rows.min(NOTIFICATIONS_MAX),
    };
    if let Some(cursor) = &wanted.cursor {
        return feed(views, (path, wanted, cursor), (&filter, limit)).await;
    }
    let entries = views.history(&filter, (wanted.offset(), limit)).await?;
    let lines = entries.iter().map(|entry| Ok(Line { row: standing(entry, depth)?, change: None }));
    Ok(Reply(lines.collect::<Result<Vec<_>, Problem>>()?).into_response())
}

async fn feed(
    views: &Views,
    (path, wanted, cursor): (&str, &Wanted, &str),
    (filter, limit): (&NotificationFilter, u32),
) -> Result<Response, Problem> {
    let cursor = place_of(views, cursor).await?;
    let page = views.notification_page(cursor.position, limit, filter).await?;
    let is_full = page.notifications.len() == limit as usize;
    let next = page.reached.map_or(cursor, |(position, id)| Cursor::after(position, id)).text();
    let mut answer = Reply(page.notifications.iter().map(changed).collect::<Result<Vec<_>, _>>()?).into_response();
    let headers = answer.headers_mut();
    if is_full {
        headers.insert(LINK, visible(&wanted.link(path, &next)));
    }
    headers.insert(NEXT_CURSOR, visible(&next));
    Ok(answer)
}

/// The place that a cursor stands for in this log.
pub(super) async fn place_of(views: &Views, text: &str) -> Result<Cursor, Problem> {
    let cursor = Cursor::parse(text).map_err(|NotACursor| no_cursor())?;
    check(views, cursor).await?;
    Ok(cursor)
}

/// A cursor that the log does not bear out is of another one, or of this one before it was put back. While the notifications
/// are made anew nobody knows.
async fn check(views: &Views, cursor: Cursor) -> Result<(), Problem> {
    if cursor == Cursor::BEGINNING {
        return Ok(());
    }
    let found = views.notification_at(cursor.position).await?;
    if found.is_some_and(|found| cursor.is_after(found.id)) {
        return Ok(());
    }
    let is_made_anew = |status: &millrace_actors::projection::ProjectionStatus| {
        status.name == Projection::Notifications && status.rebuild.is_some()
    };
    if views.projections(0).iter().any(is_made_anew) {
        let message = "The history is made anew at the moment; try again.";
        return Err(Problem::unavailable("views_unavailable", message));
    }
    let message = "The cursor is of another log, or of this one before it was put back; begin without one, and tell what \
                   you have seen by its Id.";
    Err(Problem::bad_request("foreign_cursor", message))
}

fn no_cursor() -> Problem {
    Problem::bad_request("invalid_cursor", "The cursor is none that this desk gave.")
}

/// Everything of a link and a cursor is visible ASCII.
fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("it is escaped where it is made")
}

impl Wanted {
    fn filter(&self) -> Result<NotificationFilter, Problem> {
        let whose = match &self.user {
            Some(user) if !is_user(user) => return Err(refused("A user is 1 to 128 visible characters.")),
            Some(user) => Whose::User(user.clone()),
            None => Whose::Everybodys,
        };
        if self.offset.is_some_and(|offset| offset > OFFSET_MAX) {
            return Err(refused("At most 10000 rows can be left out; the feed with a cursor has no such limit."));
        }
        let resource = self.r#type.as_deref().map(|word| {
            let known = ResourceType::parse(word).filter(|resource| resource.coin().is_some());
            known.ok_or_else(|| refused("A type is deposit or withdrawal."))
        });
        let coin = self.coin.as_deref().map(|coin| {
            let known = Ticker::ALL.into_iter().find(|ticker| ticker.as_str() == coin);
            known.ok_or_else(|| refused("A coin is BTC or SKY."))
        });
        let events = meant(self.event.as_deref())?;
        Ok(NotificationFilter { whose, events, resource: resource.transpose()?, coin: coin.transpose()? })
    }

    fn offset(&self) -> u32 {
        self.offset.unwrap_or(0)
    }

    /// The same question from the next place on.
    fn link(&self, path: &str, next: &str) -> String {
        let limit = self.limit.map(|limit| limit.to_string());
        let fields = [
            ("user", self.user.as_deref()),
            ("type", self.r#type.as_deref()),
            ("event", self.event.as_deref()),
            ("coin", self.coin.as_deref()),
            ("limit", limit.as_deref()),
            ("cursor", Some(next)),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
        format!("<{path}?{}>; rel=\"next\"", query.finish())
    }
}

/// What the history tells: all but what is about the desk.
const GROUPS: [Pattern; 2] = [Pattern::Group(ResourceType::Deposit), Pattern::Group(ResourceType::Withdrawal)];

/// The texts that an event is asked for by.
pub(super) fn patterns() -> Vec<String> {
    let kinds = GROUPS.into_iter().flat_map(Pattern::kinds).map(Pattern::Exactly);
    std::iter::once(Pattern::All).chain(GROUPS).chain(kinds).map(|pattern| pattern.to_string()).collect()
}

fn meant(event: Option<&str>) -> Result<Vec<Pattern>, Problem> {
    let pattern = event.map_or(Ok(Pattern::All), str::parse);
    let pattern = pattern
        .map_err(|error| Problem::bad_request("invalid_query", format!("The event is not understood: {error}.")))?;
    let is_told = |kind: NotificationType| GROUPS.iter().any(|group| group.matches(kind));
    match pattern {
        Pattern::All => Ok(GROUPS.to_vec()),
        pattern if pattern.kinds().all(is_told) => Ok(vec![pattern]),
        _ => Err(refused("The history is of deposits and withdrawals.")),
    }
}

fn is_user(user: &str) -> bool {
    (1..=USER_CHARS_MAX).contains(&user.len()) && user.bytes().all(|byte| byte.is_ascii_graphic())
}

fn refused(message: &'static str) -> Problem {
    Problem::bad_request("invalid_query", message)
}

fn row(told: &StoredNotification) -> Result<HistoryRow, Problem> {
    told.row.clone().ok_or_else(|| Problem::internal("a notification of the desk is in the history"))
}

/// A change of a deposit or withdrawal.
fn changed(told: &StoredNotification) -> Result<Line, Problem> {
    let change = Change { id: told.id, event: told.kind, sequence: told.sequence };
    Ok(Line { row: row(told)?, change: Some(change) })
}

/// A row as it stands: what is held waits for a person, and what waits for blocks says for how many.
fn standing(entry: &HistoryEntry, depth: Depth<'_>) -> Result<HistoryRow, Problem> {
    let mut row = row(&entry.newest)?;
    if is_held(entry) {
        row.submit_state = SubmitState::PendingManual.as_str().into();
    } else if entry.newest.kind == NotificationType::DepositWaitForConfirmation
        && let Some((deep, required)) = depth(entry)
    {
        row.submit_state = format!("{} {}/{required}", row.submit_state, deep.min(required)).into();
    }
    Ok(row)
}

/// Whether this row is what the hold holds up: the payout once it is owed, the deposit before.
fn is_held(entry: &HistoryEntry) -> bool {
    let is_held = matches!(entry.status.as_deref(), Some("held" | millrace_actors::projection::UNREADABLE));
    let waits = match entry.newest.kind {
        NotificationType::DepositConfirmed => !entry.is_decided,
        kind => kind == NotificationType::WithdrawalAddedToQueue,
    };
    is_held && waits
}
