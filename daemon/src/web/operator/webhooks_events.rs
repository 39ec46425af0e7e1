//! What webhooks are told, notification by notification, in PayPal's verbs and shapes: listed, shown, and sent once more.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use chrono::{DateTime, Utc};
use http::StatusCode;
use millrace_actors::event_store::{ReadError, Reader};
use millrace_actors::moments::position_at;
use millrace_actors::operations::Note;
use millrace_actors::projection::{NOTIFICATIONS_MAX, NotificationFilter, StoredNotification};
use millrace_actors::subscriptions::deliveries::wants;
use millrace_actors::subscriptions::{Known, List};
use millrace_actors::supervision::AskError;
use millrace_model::ids::{Position, SubscriptionId};
use millrace_model::notification::{Pattern, ResourceType};
use millrace_model::operator::{Action, By};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::webhook_status::{Status, status};
use super::webhooks::{Link, unknown as unknown_webhook};
use super::{OperatorState, rows};
use crate::web::cursor::Cursor;
use crate::web::extract::{Json, Path, Query};
use crate::web::history;
use crate::web::problem::Problem;

/// Where they are.
const PATH: &str = "/operator/v1/notifications/webhooks-events";
/// How many webhooks may be named at once.
const NAMED_MAX: usize = 100;

/// Which notifications.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Wanted {
    pub(in crate::web) cursor: Option<String>,
    pub(in crate::web) limit: Option<u32>,
    pub(in crate::web) event_type: Option<String>,
    pub(in crate::web) start_time: Option<DateTime<Utc>>,
    pub(in crate::web) end_time: Option<DateTime<Utc>>,
}

/// Notifications in the order of the log.
#[derive(Debug, Serialize)]
pub(in crate::web) struct NotificationList {
    pub(in crate::web) events: Vec<Value>,
    pub(in crate::web) count: usize,
    /// Where a reader goes on, now or when there is more.
    pub(in crate::web) next_cursor: String,
    pub(in crate::web) links: Vec<Link>,
}

/// To whom it is sent once more; without a list to everybody who wants it and is served.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Resend {
    pub(in crate::web) webhook_ids: Option<Vec<SubscriptionId>>,
}

pub(in crate::web) async fn list(
    State(state): State<Arc<OperatorState>>,
    Query(wanted): Query<Wanted>,
) -> Result<Reply<NotificationList>, Problem> {
    let limit = rows(wanted.limit, NOTIFICATIONS_MAX)?;
    let filter = wanted.filter()?;
    let cursor = match &wanted.cursor {
        Some(text) => history::place_of(&state.views, text).await?,
        None => Cursor::BEGINNING,
    };
    let (before, through) = wanted.between(&state).await?;
    let after = cursor.position.max(before);
    let page = state.views.notification_page(after, limit, &filter).await?;
    let is_full = page.notifications.len() == limit as usize;
    let told: Vec<_> = page.notifications.into_iter().take_while(|told| told.position <= through).collect();
    let is_cut = told.len() < limit as usize;
    // Behind the end of the time that was asked for there may be notifications that were not looked at.
    let reached = if through < Position::MAX { told.last().map(|told| (told.position, told.id)) } else { page.reached };
    let next = reached.filter(|(position, _)| *position >= after);
    let next_cursor = next.map_or(cursor, |(position, id)| Cursor::after(position, id)).text();
    let mut links = vec![Link::new(wanted.href(wanted.cursor.as_deref()), "self", "GET")];
    if is_full && !is_cut {
        links.push(Link::new(wanted.href(Some(&next_cursor)), "next", "GET"));
    }
    let events: Vec<_> = told.iter().map(shown).collect::<Result<_, _>>()?;
    Ok(Reply(NotificationList { count: events.len(), events, next_cursor, links }))
}

pub(in crate::web) async fn show(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<Uuid>,
) -> Result<Reply<Value>, Problem> {
    shown(&found(&state, id).await?).map(Reply)
}

/// Nothing is sent to anybody unless it can be to everybody who is named.
pub(in crate::web) async fn resend(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<Uuid>,
    Json(asked): Json<Resend>,
) -> Result<(StatusCode, Reply<Value>), Problem> {
    let sent = send_again(&state, id, asked.webhook_ids, (By::Token, None)).await?;
    Ok((StatusCode::ACCEPTED, Reply(sent)))
}

/// The same for this operator, who may have said why.
pub(in crate::web) async fn send_again(
    state: &OperatorState,
    id: Uuid,
    to: Option<Vec<SubscriptionId>>,
    (by, why): (By, Option<Note>),
) -> Result<Value, Problem> {
    let told = found(state, id).await?;
    let list = state.subscriptions.list().ok_or_else(super::act::desk_unavailable)?;
    let receivers = match to {
        Some(named) => all_of(named, (state, &list), &told)?,
        None => everybody((state, &list), &told)?,
    };
    state.acting(by, Action::ResendNotification, Some(&id.to_string()), why.as_ref()).await;
    state.deliveries.resend(&receivers, told.position).await.map_err(not_asked)?;
    let mut answer = shown(&told)?;
    answer["webhook_ids"] = json!(receivers);
    Ok(answer)
}

/// The notification of this id.
pub(in crate::web) async fn found(state: &OperatorState, id: Uuid) -> Result<StoredNotification, Problem> {
    let found = state.views.notification(id).await?;
    found.ok_or_else(|| Problem::not_found("unknown_notification", "There is no such notification."))
}

fn all_of(
    named: Vec<SubscriptionId>,
    (state, list): (&OperatorState, &List),
    told: &StoredNotification,
) -> Result<Vec<SubscriptionId>, Problem> {
    if !(1..=NAMED_MAX).contains(&named.len()) {
        let message =
            format!("It is sent to between 1 and {NAMED_MAX} webhooks that are named, or to all without a list.");
        return Err(Problem::unprocessable("invalid_resend", message));
    }
    named.iter().try_for_each(|id| check(state, list.get(id).ok_or_else(unknown_webhook)?, told))?;
    Ok(named)
}

fn check(state: &OperatorState, known: &Known, told: &StoredNotification) -> Result<(), Problem> {
    let id = known.subscription.id;
    let (status, _) = status(known, &state.subscriptions);
    if status != Status::Enabled {
        return Err(Problem::conflict("not_served", format!("Nothing is sent to {id}: it is {status}.")));
    }
    if let Err(why) = &known.endpoint {
        return Err(Problem::conflict(
            "not_served",
            format!("Nothing is sent to {id}, since nobody knows where it leads: {why}."),
        ));
    }
    if !wants(known, told) {
        return Err(Problem::conflict("not_wanted", format!("{id} does not want {} of this customer.", told.kind)));
    }
    Ok(())
}

fn everybody(
    (state, list): (&OperatorState, &List),
    told: &StoredNotification,
) -> Result<Vec<SubscriptionId>, Problem> {
    let served = list.values().filter(|known| check(state, known, told).is_ok());
    let receivers: Vec<_> = served.map(|known| known.subscription.id).collect();
    if receivers.is_empty() {
        let message = "No webhook that is served wants this notification.";
        return Err(Problem::conflict("nobody_wants_it", message));
    }
    Ok(receivers)
}

/// Why the deliveries could not be asked.
pub(in crate::web) fn not_asked(error: AskError) -> Problem {
    match error {
        AskError::Busy => Problem::unavailable("busy", "The deliveries are busy; try again."),
        AskError::Down => super::act::desk_unavailable(),
        AskError::Unknown => {
            let message = "No answer in time; it may have been done for some. Look before asking again.";
            Problem::unavailable("outcome_unknown", message)
        }
    }
}

/// The notification as it is sent, but with links.
pub(in crate::web) fn shown(told: &StoredNotification) -> Result<Value, Problem> {
    let mut body: Map<String, Value> = serde_json::from_str(&told.body).map_err(Problem::internal)?;
    let href = format!("{PATH}/{}", told.id);
    let links = [Link::new(href.clone(), "self", "GET"), Link::new(format!("{href}/resend"), "resend", "POST")];
    body.insert("links".to_owned(), json!(links));
    Ok(Value::Object(body))
}

impl Wanted {
    fn filter(&self) -> Result<NotificationFilter, Problem> {
        let unfit =
            |error| Problem::bad_request("invalid_query", format!("The event type is not understood: {error}."));
        let events = self.event_type.iter().map(|text| text.parse::<Pattern>().map_err(unfit));
        Ok(NotificationFilter { events: events.collect::<Result<_, _>>()?, ..NotificationFilter::default() })
    }

    /// After which position the time that is asked for begins, and with which it ends.
    async fn between(&self, state: &Arc<OperatorState>) -> Result<(Position, Position), Problem> {
        let (start, end) = (self.start_time, self.end_time);
        if start.is_none() && end.is_none() {
            return Ok((0, Position::MAX));
        }
        let find = move |reader: &Reader| -> Result<_, ReadError> {
            let before = start.map_or(Ok(0), |start| reader.position_before(start))?;
            Ok((before, end.map_or(Ok(Position::MAX), |end| position_at(reader, end))?))
        };
        state.read(find).await
    }

    /// The same question from a place on.
    fn href(&self, cursor: Option<&str>) -> String {
        let limit = self.limit.map(|limit| limit.to_string());
        let (start, end) = (self.start_time.map(|at| at.to_rfc3339()), self.end_time.map(|at| at.to_rfc3339()));
        let fields = [
            ("event_type", self.event_type.as_deref()),
            ("start_time", start.as_deref()),
            ("end_time", end.as_deref()),
            ("limit", limit.as_deref()),
            ("cursor", cursor),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let query = query.finish();
        if query.is_empty() { PATH.to_owned() } else { format!("{PATH}?{query}") }
    }
}

/// The texts that a type is asked for by.
pub(in crate::web) fn patterns() -> Vec<String> {
    let groups = ResourceType::ALL.map(Pattern::Group);
    let kinds = Pattern::All.kinds().map(Pattern::Exactly);
    std::iter::once(Pattern::All).chain(groups).chain(kinds).map(|pattern| pattern.to_string()).collect()
}
