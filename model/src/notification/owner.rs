//! What is told of a subscription that is not served any more: to its owner, by his other subscriptions.
//!
//! Whose it is and since when is in its earlier events. One event is told once and to one audience: of what a customer made for
//! himself he is told, of everything else operators are. Of a receiver that never proved itself nobody is told: whoever
//! knows a customer's hash could send him as many letters as he likes.

use chrono::{DateTime, Utc};

use super::{Notification, NotificationType, Resource, SubscriptionState, WebhookState};
use crate::event::{Event, Recorded};
use crate::ids::{Hash32, StreamName, SubscriptionId};
use crate::subscription::{self, FAILED_PROOFS_MAX, Silence, Subscription, evolve};

/// Which subscription a notification is about. It is never told there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// It.
    pub subscription: SubscriptionId,
    /// Whose it is, unless it is an operator's.
    pub owner: Option<Hash32>,
}

/// A subscription as its events leave it, and when it was made.
type Begun = Option<(Subscription, DateTime<Utc>)>;

impl Notification {
    /// Whether an event may tell something that rests on what came before in its stream, which is a subscription's.
    pub fn rests_on_its_stream(event: &Event) -> bool {
        match event {
            Event::Subscription(subscription::Event::DeliveryDisabled(_)) => true,
            Event::Subscription(subscription::Event::OwnershipFailed(failed)) => failed.failures >= FAILED_PROOFS_MAX,
            _ => false,
        }
    }

    /// What an event of a subscription tells after those that came before it in its stream, if anything.
    pub fn of_subscription<'e>(earlier: impl Iterator<Item = &'e Recorded>, recorded: &Recorded) -> Option<Self> {
        let (Event::Subscription(event), StreamName::Subscription(id)) = (&recorded.event, &recorded.stream) else {
            return None;
        };
        let id = *id;
        if !Self::rests_on_its_stream(&recorded.event) {
            return None;
        }
        let before = earlier.fold(None, after);
        let silence_before = before.as_ref().and_then(|(subscription, _)| subscription.silence());
        let now = before.and_then(|(before, at)| Some((evolve(Some(before), event)?, at)));
        let owned = now.as_ref().and_then(|(now, at)| Some((now.owner()?, now.silence(), *at)));
        let (kind, resource) = match (owned, event) {
            (Some((customer, Some(reason), at)), _) if silence_before.is_none() => of_owned(id, (customer, at), reason),
            (Some(_), _) => return None,
            (None, subscription::Event::DeliveryDisabled(disabled)) => {
                let state = WebhookState { webhook: id, reason: disabled.why };
                (NotificationType::DeskWebhookDisabled, Resource::Webhook(state))
            }
            (None, _) => return None,
        };
        Some(Self::of_nobodys_deposit(kind, resource, recorded))
    }

    /// The subscription that it is about, if it is about one.
    pub fn about_subscription(&self) -> Option<About> {
        match &self.resource {
            Resource::Subscription(state) => {
                Some(About { subscription: state.subscription, owner: Some(state.customer) })
            }
            Resource::Webhook(state) => Some(About { subscription: state.webhook, owner: None }),
            Resource::Transaction(_) | Resource::Desk(_) | Resource::Part(_) | Resource::Balance(_) => None,
        }
    }
}

/// After an event that cannot be read nobody knows whose it is.
fn after(before: Begun, recorded: &Recorded) -> Begun {
    let Event::Subscription(event) = &recorded.event else { return None };
    let (before, at) = before.unzip();
    Some((evolve(before, event)?, at.unwrap_or(recorded.recorded_at)))
}

fn of_owned(
    subscription: SubscriptionId,
    (customer, subscribed_at): (Hash32, DateTime<Utc>),
    reason: Silence,
) -> (NotificationType, Resource) {
    let state = SubscriptionState { subscription, customer, reason, subscribed_at };
    (NotificationType::SubscriptionDisabled, Resource::Subscription(state))
}
