//! Who wants which notifications, in a list as long as it may be.

use chrono::DateTime;
use millrace_model::notification::NotificationType;
use millrace_model::subscription::{Dialect, Order, Proof, Schedule, Subscription, Terms, customer_hash};
use uuid::Uuid;

use super::super::SUBSCRIPTIONS_MAX;
use super::super::endpoint::{Endpoint, new_secret};
use super::*;

const EVENTS: [&str; 3] = ["Deposit.*", "Withdrawal.Confirmed", "Subscription.*"];

fn known(number: usize, customer: Option<Hash32>) -> (SubscriptionId, Arc<Known>) {
    let id = SubscriptionId(Uuid::from_u128(number as u128 + 1));
    let terms = Terms {
        events: EVENTS.map(str::to_owned).to_vec(),
        customer,
        dialect: Dialect::Standard,
        schedule: Schedule::Standard,
        order: Order::Any,
        rate_per_s: None,
    };
    let proof = if customer.is_some() { Proof::Given { failures: 0 } } else { Proof::NotNeeded };
    let subscription =
        Subscription { id, sealed: String::new(), terms, proof, stopped: None, moved_to: None, ended: None };
    let known = Known {
        subscription,
        endpoint: Ok(Endpoint::new("https://shop.example/told".to_owned(), new_secret())),
        version: 1,
        begun: 1,
        position: 1,
        moved_at: None,
        resumed_at: None,
        since: DateTime::UNIX_EPOCH,
        unserved_since: None,
        unreadable: None,
    };
    (id, Arc::new(known))
}

fn told(position: Position, kind: NotificationType, customer: &str) -> StoredNotification {
    StoredNotification {
        position,
        id: Uuid::from_u128(u128::from(position)),
        kind,
        deposit: None,
        customer: Some(customer.to_owned()),
        about: None,
        sequence: 1,
        recorded_at: DateTime::UNIX_EPOCH,
        body: "{}".to_owned(),
        row: None,
    }
}

fn list(customers: impl Fn(usize) -> Option<Hash32>, count: usize) -> List {
    Arc::new((0..count).map(|number| known(number, customers(number))).collect())
}

#[test]
fn those_of_the_customer_and_those_of_everybody_want_what_their_filters_say() {
    let (his, other) = (customer_hash("his"), customer_hash("other"));
    let list = list(|number| [None, Some(his), Some(other)][number % 3], 6);
    let kinds = [NotificationType::DepositConfirmed, NotificationType::WithdrawalSubmitted];
    let told: Vec<_> = (7..).zip(kinds).map(|(position, kind)| told(position, kind, "his")).collect();
    let of = |most| {
        let found = wanting(&list, told.clone(), most);
        found.into_iter().map(|(known, wanted)| (known.subscription.id.0.as_u128() - 1, wanted)).collect::<Vec<_>>()
    };
    assert_eq!(of(9), [0, 1, 3, 4].map(|number| (number, vec![7])));
    assert_eq!(of(3), [0, 1, 3].map(|number| (number, vec![7])), "no more than were asked for");
    for known in list.values() {
        let is_among =
            wanting(&list, told.clone(), 9).iter().any(|(one, _)| one.subscription.id == known.subscription.id);
        assert_eq!(told.iter().any(|told| wants(known, told)), is_among);
    }
}

#[test]
fn of_as_many_as_there_may_be_those_that_want_it_are_found() {
    let told: Vec<_> = (1..=100).map(|position| told(position, NotificationType::WithdrawalSubmitted, "his")).collect();
    let strangers = list(|number| Some(customer_hash(&number.to_string())), SUBSCRIPTIONS_MAX);
    let begun = std::time::Instant::now();
    assert!(wanting(&strangers, told.clone(), 101).is_empty());
    println!("of {SUBSCRIPTIONS_MAX} strangers' subscriptions and 100 notifications: {:?}", begun.elapsed());
    let operators = list(|_| None, SUBSCRIPTIONS_MAX);
    let begun = std::time::Instant::now();
    assert!(wanting(&operators, told, 101).is_empty());
    println!("of as many of the operator's, of which none wants any: {:?}", begun.elapsed());
}
