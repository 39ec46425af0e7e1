//! How the telling of notifications went, at everybody who was to hear them: for the page of a deposit and that of one notification.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_actors::projection::StoredNotification;
use millrace_actors::subscriptions::deliveries::wanting;
use millrace_actors::subscriptions::{Known, List};
use millrace_model::ids::{Position, SubscriptionId};
use tokio::time::{Instant, timeout_at};

use super::attempts::{SeenOn, cells, heads, resend, told as path_of};
use super::{address, one};
use crate::web::console::words::{counted, short};
use crate::web::operator::OperatorState;
use crate::web::operator::attempts::{Tried, of_notifications, tried_at};
use crate::web::operator::webhook_status::{Status, status};
use crate::web::session::Operator;

/// So many attempts are shown of one of several notifications, and of all of them together.
const OF_SEVERAL_MAX: (usize, usize) = (20, 100);
/// The same of one that is shown alone.
const OF_ONE_MAX: (usize, usize) = (200, 200);
/// Of more receivers than these it is not asked what they are owed.
const ASKED_MAX: usize = 100;
/// So long the deliveries may take to say it of all of them.
const OWED_WITHIN: Duration = Duration::from_secs(1);
/// So many lines say what is owed.
const OWED_MAX: usize = 20;

/// What is told, to whom, and where that is shown.
struct Page<'a> {
    operator: &'a Operator,
    seen_on: SeenOn,
    told: BTreeMap<Position, &'a StoredNotification>,
    /// Nothing while nobody knows who the receivers are.
    list: Option<List>,
}

/// The deliveries of these notifications, the newest first: what was tried, and what is owed. What cannot be read is said in a
/// sentence and takes nothing else from the page.
pub(in crate::web::console) async fn deliveries(
    desk: &OperatorState,
    operator: &Operator,
    told: &[StoredNotification],
    seen_on: SeenOn,
) -> Markup {
    let list = desk.subscriptions.list();
    let page = Page { operator, seen_on, told: told.iter().map(|told| (told.position, told)).collect(), list };
    let rows_max = if seen_on == SeenOn::Notification { OF_ONE_MAX } else { OF_SEVERAL_MAX };
    // What was not sent after the attempts were read is in none of them.
    let tried = of_notifications(desk, page.told.keys().rev().copied().collect(), rows_max).await;
    let owed = page.owed(desk, told, tried.as_deref().ok()).await;
    let now = desk.now();
    html! {
        @match &tried {
            Ok(tried) => (page.tried(tried, now)),
            Err(problem) => p role="alert" { (problem.message()) },
        }
        (owed)
    }
}

impl Page<'_> {
    fn tried(&self, tried: &[Tried], now: DateTime<Utc>) -> Markup {
        html! {
            @if tried.iter().all(|tried| tried.attempts.is_empty() && tried.older == 0) {
                p { "No attempt to deliver is kept." }
            } @else { (self.table(tried, now)) }
            @for tried in tried.iter().filter(|tried| tried.older > 0) { (self.older(tried)) }
        }
    }

    fn table(&self, tried: &[Tried], now: DateTime<Utc>) -> Markup {
        html! {
            div.scroll tabindex="0" { table {
                thead { tr {
                    th scope="col" { "Receiver" } @if !self.is_one() { th scope="col" { "Told as" } }
                    (heads()) th scope="col" { "Orders" }
                } }
                tbody { @for tried in tried { (self.rows(tried, now)) } }
            } }
        }
    }

    /// Of each receiver the newest attempt, which comes first, is the one with the order.
    fn rows(&self, tried: &Tried, now: DateTime<Utc>) -> Markup {
        let (mut seen, told) = (BTreeSet::new(), self.told.get(&tried.position));
        html! {
            @for (receiver, attempt) in &tried.attempts { @let is_newest = seen.insert(*receiver); tr {
                th.said scope="row" { (self.receiver(*receiver)) }
                @if !self.is_one() { td { @if let Some(told) = told { (self.told_as(told)) } } }
                (cells(attempt, now))
                td.acts { @if let (true, Some(told)) = (is_newest, told) { (self.order(*receiver, told)) } }
            } }
        }
    }

    /// Its name is the same when there are newer attempts: what somebody types meanwhile stays.
    fn order(&self, receiver: SubscriptionId, told: &StoredNotification) -> Markup {
        let name = format!("{}-{receiver}", told.position);
        html! { @if self.known(receiver).is_some() { (resend(self.operator, &name, (receiver, told.id), self.seen_on)) } }
    }

    fn is_one(&self) -> bool {
        self.seen_on == SeenOn::Notification
    }

    fn known(&self, receiver: SubscriptionId) -> Option<&Arc<Known>> {
        self.list.as_ref()?.get(&receiver)
    }

    fn receiver(&self, id: SubscriptionId) -> Markup {
        html! {
            @match (self.known(id), &self.list) {
                (Some(known), _) => a href=(one(id)) { (address(known)) },
                (None, Some(_)) => { (short(&id.to_string())) " (removed)" }
                (None, None) => (short(&id.to_string())),
            }
        }
    }

    fn told_as(&self, told: &StoredNotification) -> Markup {
        html! { a href=(path_of(told.id)) { (told.kind.name()) } }
    }

    fn older(&self, tried: &Tried) -> Markup {
        let count = counted(tried.older as u64, "older attempt", "older attempts");
        html! {
            p.soft { @match self.told.get(&tried.position).filter(|_| !self.is_one()) {
                Some(told) => { (count) " at " (self.told_as(told)) " not shown here." }
                None => { (count) " not shown here; each receiver's page has its own." }
            } }
        }
    }

    /// What waits for its turn: a receiver is sent one after the other, and what is behind his place was not sent yet.
    async fn owed(&self, desk: &OperatorState, told: &[StoredNotification], tried: Option<&[Tried]>) -> Markup {
        let Some(list) = self.list.clone() else { return html! {} };
        // Others' requests do not wait for a long list.
        let told = told.to_vec();
        let wanting = tokio::task::spawn_blocking(move || wanting(&list, told, ASKED_MAX + 1)).await;
        let Some(owed) = behind(desk, wanting.as_deref().unwrap_or_default()).await.filter(|_| wanting.is_ok()) else {
            return html! { p.soft { "The deliveries do not answer at the moment: what is still owed is not known." } };
        };
        let shown = &owed[..owed.len().min(OWED_MAX)];
        let before = sent_before(desk, tried, shown).await;
        html! {
            @if !shown.is_empty() { ul { @for (known, at) in shown {
                @let is_tried = before.as_ref().map(|before| before.contains(&(known.subscription.id, *at)));
                li { (self.line(known, (*at, is_tried), status(known, &desk.subscriptions).0)) }
            } } }
            @if owed.len() > OWED_MAX { p.soft { "And " (owed.len() - OWED_MAX) " more." } }
            @if wanting.is_ok_and(|wanting| wanting.len() > ASKED_MAX) {
                p.soft { "What is owed was looked up of the first " (ASKED_MAX) " receivers; there are more." }
            }
        }
    }

    /// Whether it was tried before is left out where nobody knows.
    fn line(&self, known: &Known, (at, is_tried): (Position, Option<bool>), status: Status) -> Markup {
        html! {
            @if let Some(told) = self.told.get(&at) { (self.told_as(told)) }
            " is owed to " (self.receiver(known.subscription.id))
            @match is_tried { Some(true) => " once more", Some(false) => ", not sent yet", None => {} }
            @if status != Status::Enabled { ": it is " (status) }
            "."
        }
    }
}

/// Of the receivers' notifications those behind their places; nothing where the deliveries do not say so soon.
async fn behind(desk: &OperatorState, wanting: &[(Arc<Known>, Vec<Position>)]) -> Option<Vec<(Arc<Known>, Position)>> {
    let (deadline, mut lines) = (Instant::now() + OWED_WITHIN, Vec::new());
    for (known, wanted) in wanting.iter().take(ASKED_MAX) {
        let view = timeout_at(deadline, desk.deliveries.view(known.subscription.id)).await.ok()?.ok()?;
        // Nothing is delivered to one of which there is no view.
        let place = view.map_or(Position::MAX, |view| view.dispatched_through);
        lines.extend(wanted.iter().filter(|at| **at > place).map(|at| (Arc::clone(known), *at)));
    }
    Some(lines)
}

/// Which of what is owed was tried before; nothing where that cannot be read. Where older attempts are kept than those that were
/// read, one may be among them.
async fn sent_before(
    desk: &OperatorState,
    tried: Option<&[Tried]>,
    owed: &[(Arc<Known>, Position)],
) -> Option<BTreeSet<(SubscriptionId, Position)>> {
    let (mut before, mut unsure) = (BTreeSet::new(), Vec::new());
    for tried in tried? {
        for (known, at) in owed.iter().filter(|(_, at)| *at == tried.position) {
            let id = known.subscription.id;
            if tried.was_at(id) {
                before.insert((id, *at));
            } else if tried.older > 0 {
                unsure.push((id, *at));
            }
        }
    }
    if !unsure.is_empty() {
        before.extend(tried_at(desk, unsure).await.ok()?);
    }
    Some(before)
}
