//! An attempt to deliver, as every page shows it, and its notification sent once more.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use millrace_model::ids::{DepositId, SubscriptionId};
use serde::Deserialize;
use uuid::Uuid;

use super::one;
use crate::web::console::act::{Act, Reason, Weight, offer};
use crate::web::console::frame::Place;
use crate::web::console::words::{Tone, mark, moment};
use crate::web::operator::attempts::Attempt;
use crate::web::session::Operator;

/// On which page an attempt is looked at, which is the one that its form leads back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::web::console) enum SeenOn {
    /// That of its receiver.
    #[default]
    Receiver,
    /// That of its notification.
    Notification,
    /// That of the deposit that it tells of.
    Deposit(DepositId),
}

const RECEIVER: &str = "receiver";
const NOTIFICATION: &str = "notification";

impl SeenOn {
    /// The path of that page.
    pub(super) fn path(self, receiver: SubscriptionId, notification: Uuid) -> String {
        match self {
            Self::Receiver => one(receiver),
            Self::Notification => told(notification),
            Self::Deposit(id) => format!("{}/{id}#told", Place::Deposits.path()),
        }
    }

    fn word(self) -> String {
        match self {
            Self::Receiver => RECEIVER.to_owned(),
            Self::Notification => NOTIFICATION.to_owned(),
            Self::Deposit(id) => id.to_string(),
        }
    }
}

impl TryFrom<String> for SeenOn {
    type Error = uuid::Error;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            RECEIVER => Ok(Self::Receiver),
            NOTIFICATION => Ok(Self::Notification),
            id => id.parse().map(|id| Self::Deposit(DepositId(id))),
        }
    }
}

/// Where a notification is shown.
pub(in crate::web::console) fn told(notification: Uuid) -> String {
    format!("{}/told/{notification}", Place::Notifications.path())
}

/// What stands above [`cells`].
pub(super) fn heads() -> Markup {
    html! {
        th.n scope="col" { "Try" } th scope="col" { "When" } th scope="col" { "Outcome" }
        th.n scope="col" { "Took" } th scope="col" { "Answer" } th scope="col" { "Next try" }
    }
}

/// What is known of an attempt, but not what was sent to whom.
pub(super) fn cells(attempt: &Attempt, now: DateTime<Utc>) -> Markup {
    html! {
        td.n { (attempt.attempt) }
        td { @if let Some(at) = attempt.at { (moment(at, now)) } }
        td { (outcome(attempt)) }
        td.n { (attempt.took_us / 1_000) " ms" }
        td.said { (answered(attempt)) }
        td { @if let Some(next) = attempt.next_at { (moment(next, now)) } }
    }
}

fn outcome(attempt: &Attempt) -> Markup {
    let tone = if attempt.is_delivered() { Tone::Well } else { Tone::Ailing };
    html! {
        (mark(tone, &attempt.outcome.replace('_', " ")))
        @if let Some(status) = attempt.status { " " (status) }
        @if let Some(fate) = &attempt.fate { div.soft { (fate.replace('_', " ")) } }
    }
}

fn answered(attempt: &Attempt) -> Markup {
    html! {
        @if let Some(error) = &attempt.error { (error) }
        @if let Some(answer) = attempt.answer.as_deref().filter(|answer| !answer.is_empty()) {
            details { summary { "body" } pre tabindex="0" { (answer) } }
        }
    }
}

/// The form that sends the receiver this notification once more; no other of the page has its name.
pub(super) fn resend(
    operator: &Operator,
    name: &str,
    (receiver, notification): (SubscriptionId, Uuid),
    seen_on: SeenOn,
) -> Markup {
    let act = Act {
        id: &format!("resend-{name}"),
        label: "Resend",
        to: &format!("{}/resend/{notification}", one(receiver)),
        says: "This one is sent to it once more, under the same id.",
        weight: Weight::Light,
        reason: Reason::Asked,
        fields: html! { input type="hidden" name="seen_on" value=(seen_on.word()); },
    };
    offer(operator, &act)
}
