//! Who is told of a subscription that is not served any more.

use super::super::*;
use crate::event;
use crate::ids::{Hash32, StreamName, SubscriptionId};
use crate::subscription::{self, Disabling};
use crate::testing;

#[test]
fn operators_are_told_of_a_webhook_that_is_disabled_and_not_where_it_leads() {
    let id = SubscriptionId(uuid::Uuid::from_u128(7));
    let of = |event: subscription::Event| {
        let stream = StreamName::Subscription(id);
        let recorded = testing::recorded(44, stream, 4, event::Event::Subscription(event));
        assert_eq!(Notification::of_desk(&recorded), None);
        Notification::of_subscription([].iter(), &recorded)
    };
    let told = of(subscription::DeliveryDisabled { why: Disabling::Gone }.into()).unwrap();
    assert_eq!((told.kind, told.sequence), (NotificationType::DeskWebhookDisabled, 4));
    assert!(told.kind.audience() == Audience::Operator && told.customer.is_none());
    let body: serde_json::Value = serde_json::from_str(&told.body()).unwrap();
    assert_eq!(body["resource"], serde_json::json!({ "webhook": id, "reason": "gone" }));
    assert_eq!(of(subscription::DeliveryPaused {}.into()), None);
}

/// A customer's subscription whose events these are, as the log has them; and what the last of them tells.
fn told_last(customer: Option<Hash32>, events: Vec<subscription::Event>) -> Option<Notification> {
    let id = SubscriptionId(uuid::Uuid::from_u128(7));
    let terms = subscription::Terms {
        events: vec!["*".to_owned()],
        customer,
        dialect: subscription::Dialect::Standard,
        schedule: subscription::Schedule::Standard,
        order: subscription::Order::Any,
        rate_per_s: None,
    };
    let ownership = subscription::Ownership::ToBeProved;
    let begun = subscription::Subscribed { id, sealed: String::new(), terms, ownership };
    let events = std::iter::once(begun.into()).chain(events);
    let recorded = |(version, event)| {
        testing::recorded(40 + version, StreamName::Subscription(id), version, event::Event::Subscription(event))
    };
    let events: Vec<_> = (1..).zip(events).map(recorded).collect();
    let (last, earlier) = events.split_last().unwrap();
    Notification::of_subscription(earlier.iter(), last)
}

fn failed(failures: u32) -> subscription::Event {
    subscription::OwnershipFailed { failures }.into()
}

#[test]
fn a_customer_is_told_of_his_own_subscription_and_operators_of_all_others() {
    let disabled = || subscription::DeliveryDisabled { why: Disabling::Exhausted }.into();
    let proved = || subscription::OwnershipProved {}.into();
    let customer = Hash32([5; 32]);
    let told = told_last(Some(customer), vec![proved(), disabled()]).unwrap();
    assert_eq!((told.kind, told.sequence, told.position), (NotificationType::SubscriptionDisabled, 3, 43));
    assert!(told.kind.audience() == Audience::Customer && told.customer.is_none());
    let body: serde_json::Value = serde_json::from_str(&told.body()).unwrap();
    let expected = serde_json::json!({ "subscription": uuid::Uuid::from_u128(7), "customer": customer,
        "reason": "exhausted", "subscribed_at": body["resource"]["subscribed_at"] });
    assert_eq!((&body["resource"], &body["resource_type"]), (&expected, &"subscription".into()));
    let about = told.about_subscription().unwrap();
    assert_eq!((about.subscription.0, about.owner), (uuid::Uuid::from_u128(7), Some(customer)));
    let operators = told_last(None, vec![proved(), disabled()]).unwrap();
    assert_eq!(operators.kind, NotificationType::DeskWebhookDisabled);
    assert_ne!(operators.id, told.id);
}

/// Whoever knows a customer's hash could have him told as often as he likes.
#[test]
fn of_a_receiver_that_stopped_proving_itself_its_owner_is_told_and_of_one_that_never_did_nobody() {
    let customer = Some(Hash32([5; 32]));
    let proved = || subscription::Event::from(subscription::OwnershipProved {});
    let told = told_last(customer, vec![proved(), failed(1), failed(2), failed(3)]).unwrap();
    let body: serde_json::Value = serde_json::from_str(&told.body()).unwrap();
    assert_eq!(body["resource"]["reason"], "unproved");
    for not_told in [
        vec![failed(1), failed(2), failed(3)],
        vec![subscription::DeliveryDisabled { why: Disabling::Gone }.into()],
        vec![proved(), failed(1), failed(2)],
        vec![proved(), failed(1), failed(2), failed(3), failed(4)],
        vec![proved(), subscription::DeliveryPaused {}.into()],
        vec![proved(), subscription::Unsubscribed { why: subscription::Ending::Idle }.into()],
    ] {
        assert_eq!(told_last(customer, not_told), None);
    }
    assert_eq!(told_last(None, vec![proved(), failed(3)]), None);
}
