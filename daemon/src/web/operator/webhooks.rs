//! Webhooks of the desk's operator: whom notifications go to, in PayPal's verbs and shapes.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use http::StatusCode;
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::event_store::AppendError;
use millrace_actors::operations::Note;
use millrace_actors::subscriptions::endpoint::{Endpoint, Secret, new_secret};
use millrace_actors::subscriptions::{Known, Patch, SubscribeError, Subscriptions, Wanted};
use millrace_model::ids::{Hash32, Position, SubscriptionId};
use millrace_model::notification::{NotificationType, Pattern};
use millrace_model::operator::By;
use millrace_model::subscription::{
    Command, Dialect, Ending, Order, Ownership, Rejection, Schedule, Terms, customer_hash,
};
use millrace_protocols::webhook::secret::HmacSecret;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use serde::{Deserialize, Serialize};

use super::OperatorState;
use super::webhook_status::{Status, status};
use crate::web::extract::{Json, JsonList, Path};
use crate::web::problem::Problem;
use crate::web::whole::Whole;

/// How long a secret goes on to sign beside a new one, in hours, unless it is said; and the longest that may be said.
const KEEP_HOURS: u32 = 24;
const KEEP_HOURS_MAX: u32 = 7 * 24;
/// How many operations one patch has.
const OPERATIONS_MAX: usize = 16;

/// Whom to tell what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct WebhookWanted {
    pub(in crate::web) url: String,
    pub(in crate::web) events: Vec<EventWanted>,
    pub(in crate::web) customer: Option<String>,
    pub(in crate::web) secret: Option<String>,
    pub(in crate::web) order: Option<Order>,
    pub(in crate::web) rate_per_s: Option<Whole>,
}

/// What to tell: a type's name, a group such as `Deposit.*`, or `*`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct EventWanted {
    pub(in crate::web) name: String,
    /// What answers say of it may come back in requests, and means nothing there.
    #[expect(dead_code, reason = "whoever sends back what he got is understood")]
    pub(in crate::web) description: Option<String>,
}

/// One operation of a JSON Patch (RFC 6902).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct PatchOperation {
    op: Op,
    path: String,
    value: serde_json::Value,
}

/// What a patch does: of all that there is, only this makes sense here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Replace,
}

/// After which position of the log it is all told again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Recovery {
    pub(in crate::web) after: Whole,
}

/// How long secrets before a new one go on to sign, too.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Rotation {
    pub(in crate::web) keep_hours: Option<Whole>,
}

/// A webhook.
#[derive(Debug, Serialize)]
pub(in crate::web) struct Webhook {
    pub(in crate::web) id: SubscriptionId,
    /// Nothing when its key is not there.
    pub(in crate::web) url: Option<String>,
    pub(in crate::web) events: Vec<EventName>,
    pub(in crate::web) customer: Option<String>,
    pub(in crate::web) status: Status,
    pub(in crate::web) reason: Option<String>,
    pub(in crate::web) order: Order,
    pub(in crate::web) rate_per_s: Option<u32>,
    pub(in crate::web) created_at: DateTime<Utc>,
    pub(in crate::web) position: Position,
    pub(in crate::web) links: Vec<Link>,
}

/// A webhook that was just made, or got another secret.
#[derive(Serialize)]
pub(in crate::web) struct WebhookMade {
    #[serde(flatten)]
    pub(in crate::web) webhook: Webhook,
    /// What signs; it is not shown again.
    pub(in crate::web) secret: String,
}

/// All of them.
#[derive(Debug, Serialize)]
pub(in crate::web) struct WebhookList {
    pub(in crate::web) webhooks: Vec<Webhook>,
}

/// What is told.
#[derive(Debug, Serialize)]
pub(in crate::web) struct EventName {
    pub(in crate::web) name: String,
    pub(in crate::web) description: &'static str,
}

/// Where to go on from here.
#[derive(Debug, Serialize)]
pub(in crate::web) struct Link {
    href: String,
    rel: &'static str,
    method: &'static str,
}

type Answer = Result<Reply<Webhook>, Problem>;

pub(in crate::web) async fn list(State(state): State<Arc<OperatorState>>) -> Result<Reply<WebhookList>, Problem> {
    let list = state.subscriptions.list().ok_or_else(super::act::desk_unavailable)?;
    Ok(Reply(WebhookList { webhooks: list.values().map(|known| Webhook::of(known, &state.subscriptions)).collect() }))
}

pub(in crate::web) async fn show(State(state): State<Arc<OperatorState>>, Path(id): Path<SubscriptionId>) -> Answer {
    known(&state, id).map(|known| Reply(Webhook::of(&known, &state.subscriptions)))
}

/// A webhook that is not over.
pub(in crate::web) fn known(state: &OperatorState, id: SubscriptionId) -> Result<Arc<Known>, Problem> {
    let list = state.subscriptions.list().ok_or_else(super::act::desk_unavailable)?;
    list.get(&id).cloned().ok_or_else(unknown)
}

pub(in crate::web) async fn create(
    State(state): State<Arc<OperatorState>>,
    Json(wanted): Json<WebhookWanted>,
) -> Result<Response, Problem> {
    let secret = match wanted.secret {
        Some(secret) => secret
            .parse::<HmacSecret>()
            .map(|_| secret)
            .map_err(|error| Problem::unprocessable("invalid_secret", format!("The secret is refused: {error}.")))?,
        None => new_secret(),
    };
    let terms = Terms {
        events: names(wanted.events)?,
        customer: wanted.customer.as_deref().map(customer).transpose()?,
        dialect: Dialect::Standard,
        schedule: Schedule::Standard,
        order: wanted.order.unwrap_or(Order::Any),
        rate_per_s: wanted.rate_per_s.map(Whole::in_32_bits),
    };
    let endpoint = Endpoint::new(wanted.url, secret.clone());
    let wanted = Wanted { endpoint, terms, ownership: Ownership::Vouched };
    let known = state.subscriptions.subscribe(wanted, By::Token).await.map_err(refused)?;
    let made = WebhookMade { webhook: Webhook::of(&known, &state.subscriptions), secret };
    Ok((StatusCode::CREATED, Reply(made)).into_response())
}

pub(in crate::web) async fn change(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<SubscriptionId>,
    JsonList(operations): JsonList<PatchOperation>,
) -> Answer {
    if !(1..=OPERATIONS_MAX).contains(&operations.len()) {
        return Err(invalid_patch(format!("it has between 1 and {OPERATIONS_MAX} operations")));
    }
    let patch = operations.into_iter().try_fold(Patch::default(), applied)?;
    shown(&state, state.subscriptions.patch(id, patch, By::Token).await.map_err(refused))
}

/// Has a webhook ended, paused or resumed, by this operator and for his reason.
pub(in crate::web) async fn ordered(
    state: &OperatorState,
    id: SubscriptionId,
    command: Command,
    by: (By, Option<Note>),
) -> Result<Arc<Known>, Problem> {
    state.subscriptions.execute_by(id, command, by).await.map_err(refused)
}

/// Has a webhook told again everything after a position of the log, by this operator and for his reason.
pub(in crate::web) async fn told_again(
    state: &OperatorState,
    id: SubscriptionId,
    after: Position,
    by: (By, Option<Note>),
) -> Result<Arc<Known>, Problem> {
    if after > state.store.head() {
        return Err(Problem::unprocessable("invalid_position", "The log does not reach so far."));
    }
    ordered(state, id, Command::MoveCursor { after }, by).await
}

pub(super) async fn remove(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<SubscriptionId>,
) -> Result<StatusCode, Problem> {
    ordered(&state, id, Command::Unsubscribe { why: Ending::Wanted }, (By::Token, None)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn pause(State(state): State<Arc<OperatorState>>, Path(id): Path<SubscriptionId>) -> Answer {
    shown(&state, ordered(&state, id, Command::PauseDelivery, (By::Token, None)).await)
}

pub(super) async fn resume(State(state): State<Arc<OperatorState>>, Path(id): Path<SubscriptionId>) -> Answer {
    shown(&state, ordered(&state, id, Command::ResumeDelivery, (By::Token, None)).await)
}

/// Another secret signs from now on, and those before it too for as long as was asked.
pub(in crate::web) async fn rotate(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<SubscriptionId>,
    Json(rotation): Json<Rotation>,
) -> Result<Reply<WebhookMade>, Problem> {
    let hours = rotation.keep_hours.map_or(KEEP_HOURS, Whole::in_32_bits);
    if hours > KEEP_HOURS_MAX {
        let message = format!("A secret is kept for {KEEP_HOURS_MAX} hours at most.");
        return Err(Problem::unprocessable("invalid_rotation", message));
    }
    let (secret, until) = (new_secret(), SystemClock.now() + TimeDelta::hours(i64::from(hours)));
    let patch = Patch { rotation: Some((Secret::new(secret.clone()), until)), ..Patch::default() };
    let known = state.subscriptions.patch(id, patch, By::Token).await.map_err(refused)?;
    Ok(Reply(WebhookMade { webhook: Webhook::of(&known, &state.subscriptions), secret }))
}

pub(in crate::web) async fn recover(
    State(state): State<Arc<OperatorState>>,
    Path(id): Path<SubscriptionId>,
    Json(recovery): Json<Recovery>,
) -> Answer {
    let Whole(after) = recovery.after;
    shown(&state, told_again(&state, id, after, (By::Token, None)).await)
}

/// Whose deposits: the address that he is paid at, which has to be one.
fn customer(target: &str) -> Result<Hash32, Problem> {
    let address: SkyAddress = target.parse().map_err(|error| {
        Problem::unprocessable("invalid_customer", format!("The customer is no Skycoin address: {error}."))
    })?;
    Ok(customer_hash(&address.to_string()))
}

fn shown(state: &OperatorState, done: Result<Arc<Known>, Problem>) -> Answer {
    done.map(|known| Reply(Webhook::of(&known, &state.subscriptions)))
}

/// The names of what is wanted, each of which is one.
fn names(events: Vec<EventWanted>) -> Result<Vec<String>, Problem> {
    let name = |event: EventWanted| {
        let pattern: Pattern = event
            .name
            .parse()
            .map_err(|error| Problem::unprocessable("unknown_event_type", format!("The event is refused: {error}.")))?;
        Ok(pattern.to_string())
    };
    events.into_iter().map(name).collect()
}

fn applied(mut patch: Patch, operation: PatchOperation) -> Result<Patch, Problem> {
    let Op::Replace = operation.op;
    let unfit = |error: serde_json::Error| invalid_patch(format!("the value at {} is unfit: {error}", operation.path));
    match operation.path.as_str() {
        "/url" => patch.url = Some(serde_json::from_value(operation.value).map_err(unfit)?),
        "/events" | "/event_types" => {
            patch.events = Some(names(serde_json::from_value(operation.value).map_err(unfit)?)?);
        }
        path => {
            return Err(invalid_patch(format!(
                "nothing can be replaced at {path:?}, only at /url and /events (or /event_types)"
            )));
        }
    }
    Ok(patch)
}

fn invalid_patch(why: String) -> Problem {
    Problem::unprocessable("invalid_patch", format!("The patch is refused: {why}."))
}

pub(in crate::web) fn unknown() -> Problem {
    Problem::not_found("unknown_webhook", "There is no such webhook.")
}

fn refused(error: SubscribeError) -> Problem {
    match error {
        SubscribeError::Rejected(Rejection::Missing | Rejection::Over) => unknown(),
        SubscribeError::Rejected(rule @ (Rejection::Events | Rejection::Rate | Rejection::TooLong)) => {
            Problem::unprocessable("invalid_webhook", format!("The webhook is refused: {rule}."))
        }
        SubscribeError::Rejected(rule) => Problem::conflict("not_allowed", format!("It is refused: {rule}.")),
        error @ SubscribeError::Unreadable(_) => Problem::conflict("not_allowed", format!("It is refused: {error}.")),
        SubscribeError::Address(error) => {
            Problem::unprocessable("invalid_url", format!("The address is refused: {error}."))
        }
        SubscribeError::Full
        | SubscribeError::CustomerFull
        | SubscribeError::CustomerFails
        | SubscribeError::AddressFull => Problem::conflict("too_many_webhooks", format!("It is refused: {error}.")),
        SubscribeError::Keys(why) => {
            tracing::warn!(%why, "a webhook's address cannot be sealed or opened");
            Problem::unavailable("keys_unavailable", "The keys that seal addresses cannot be used; nothing was done.")
        }
        SubscribeError::Busy => Problem::unavailable("busy", "The desk is busy and did nothing; try again.")
            .retry_after(Duration::from_secs(1)),
        SubscribeError::Append(AppendError::TooLarge { .. }) => {
            Problem::unprocessable("invalid_webhook", "The webhook is refused: it is too long to be stored.")
        }
        SubscribeError::Unknown | SubscribeError::Append(AppendError::Unknown) => {
            Problem::unavailable("outcome_unknown", "It may have been done or not; look before asking again.")
        }
        error @ (SubscribeError::Append(_)
        | SubscribeError::Read(_)
        | SubscribeError::NoPublicAddress
        | SubscribeError::WrongCode
        | SubscribeError::Down) => {
            tracing::warn!(%error, "a request about a webhook could not be carried out");
            super::act::desk_unavailable()
        }
    }
}

impl Webhook {
    pub(in crate::web) fn of(known: &Known, subscriptions: &Subscriptions) -> Self {
        let subscription = &known.subscription;
        let (status, reason) = status(known, subscriptions);
        Self {
            id: subscription.id,
            url: known.endpoint.as_ref().ok().map(|endpoint| endpoint.url.clone()),
            events: subscription.terms.events.iter().map(|name| EventName::of(name)).collect(),
            customer: subscription.terms.customer.map(|hash| hash.to_string()),
            status,
            reason,
            order: subscription.terms.order,
            rate_per_s: subscription.terms.rate_per_s,
            created_at: known.since,
            position: known.position,
            links: links(subscription.id),
        }
    }
}

impl EventName {
    fn of(name: &str) -> Self {
        let description = NotificationType::parse(name).map_or("All of these.", NotificationType::description);
        Self { name: name.to_owned(), description }
    }
}

fn links(id: SubscriptionId) -> Vec<Link> {
    let href = format!("/operator/v1/notifications/webhooks/{id}");
    let link = |end: &str, rel, method| Link::new(format!("{href}{end}"), rel, method);
    let itself = [link("", "self", "GET"), link("", "update", "PATCH"), link("", "delete", "DELETE")];
    itself.into_iter().chain([link("/delivery", "delivery", "GET"), link("/attempts", "attempts", "GET")]).collect()
}

impl Link {
    pub(in crate::web) fn new(href: String, rel: &'static str, method: &'static str) -> Self {
        Self { href, rel, method }
    }
}
