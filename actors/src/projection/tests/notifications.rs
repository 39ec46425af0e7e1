//! What is told, as the views keep it: whose, which, rung for, and the same after a restart in the middle of a deposit.

use millrace_model::alert::{BalanceLow, BalanceRestored, DownReason, PartDown, PartUp};
use millrace_model::desk::{self, HaltCause, Halted, Place};
use millrace_model::ids::{Hash32, SubscriptionId};
use millrace_model::ledger::Ticker;
use millrace_model::notification::{Notification, NotificationType, Pattern, ResourceType};
use millrace_model::subscription::{
    DeliveryDisabled, Dialect, Disabling, Order, Ownership, OwnershipProved, Schedule, Subscribed, Terms,
};

use super::*;
use crate::event_store::{Append, Expected, Write};
use crate::projection::{NotificationFilter, StoredNotification, Whose};
use crate::sender::tests::node::address;

async fn told(views: &Views, filter: &NotificationFilter) -> Vec<StoredNotification> {
    views.notifications_after(0, 500, filter).await.unwrap()
}

fn names(notifications: &[StoredNotification]) -> Vec<&'static str> {
    notifications.iter().map(|told| told.kind.name()).collect()
}

async fn halt(rig: &Rig) {
    let cause = HaltCause::Operator { note: String::new() };
    let write = Write::new(StreamName::Desk, Expected::Exactly(0), vec![Event::Desk(Halted { cause }.into())]);
    let command_id = millrace_model::ids::CommandId::of_fact(&["halt"]);
    let (body, writes) = ("{}".to_owned(), vec![write]);
    let append = Append { command_id, command: "Halt", body, causation: None, correlation: None, writes };
    rig.deposits.store().append(append).await.unwrap();
}

const TO_PAYOUT: [&str; 4] =
    ["Deposit.Pending", "Deposit.Wait_For_Confirmation", "Deposit.Confirmed", "Withdrawal.Added_To_Queue"];

/// Appends the events of a subscription that is disabled.
async fn disable(rig: &Rig, id: SubscriptionId, (customer, ownership): (Option<Hash32>, Ownership)) {
    let terms = Terms {
        events: vec!["*".to_owned()],
        customer,
        dialect: Dialect::Standard,
        schedule: Schedule::Standard,
        order: Order::Any,
        rate_per_s: None,
    };
    let proved = (ownership == Ownership::ToBeProved).then(|| Event::Subscription(OwnershipProved {}.into()));
    let begun = Subscribed { id, sealed: String::new(), terms, ownership };
    let disabled = Event::Subscription(DeliveryDisabled { why: Disabling::Exhausted }.into());
    let events = [Event::Subscription(begun.into())].into_iter().chain(proved).chain([disabled]).collect();
    let stream = StreamName::Subscription(id);
    let command_id = millrace_model::ids::CommandId::of_fact(&["disable", &stream.to_string()]);
    let (body, writes) = ("{}".to_owned(), vec![Write::new(stream, Expected::Exactly(0), events)]);
    let append = Append { command_id, command: "DisableDelivery", body, causation: None, correlation: None, writes };
    rig.deposits.store().append(append).await.unwrap();
}

/// What is kept of it is enough to tell it to the byte, whether or not the subscription's earlier events were followed just before.
#[tokio::test]
async fn owners_and_operators_are_told_of_what_is_disabled() {
    let rig = Rig::new().await;
    let [customers, operators] = [7, 8].map(|id| SubscriptionId(uuid::Uuid::from_u128(id)));
    let customer = Hash32([5; 32]);
    disable(&rig, customers, (Some(customer), Ownership::ToBeProved)).await;
    disable(&rig, operators, (Some(customer), Ownership::Vouched)).await;
    let views = views(&rig);
    caught_up(&rig, &views).await;
    let all = told(&views, &NotificationFilter::default()).await;
    assert_eq!(names(&all), ["Subscription.Disabled", "Desk.Webhook_Disabled"]);
    let about: Vec<_> =
        all.iter().map(|told| told.about.unwrap()).map(|about| (about.subscription, about.owner)).collect();
    assert_eq!(about, [(customers, Some(customer)), (operators, None)]);
    let reader = rig.deposits.store().reader().unwrap();
    for (told, id) in all.iter().zip([customers, operators]) {
        let events = reader.stream(&StreamName::Subscription(id), 0).unwrap();
        let (disabled, before) = events.split_last().unwrap();
        let derived = Notification::of_subscription(before.iter(), disabled).unwrap();
        assert_eq!((&told.body, told.id), (&derived.body(), derived.id));
    }
}

/// The same for parts and balances.
#[tokio::test]
async fn operators_are_told_of_parts_and_balances() {
    let rig = Rig::new().await;
    let (part, since) = (|| "scanner".to_owned(), chrono::DateTime::UNIX_EPOCH);
    let (place, coin) = (Place::Exchange, Ticker::Btc);
    let alerts: [desk::Event; 4] = [
        PartDown { part: part(), since, reason: DownReason::Flapping }.into(),
        PartUp { part: part(), since }.into(),
        BalanceLow { place, coin, balance: 1, threshold: 2 }.into(),
        BalanceRestored { place, coin, balance: 3, threshold: 2 }.into(),
    ];
    let write = Write::new(StreamName::Desk, Expected::Exactly(0), alerts.map(Event::Desk).into());
    let command_id = millrace_model::ids::CommandId::of_fact(&["alerts"]);
    let (body, writes) = ("{}".to_owned(), vec![write]);
    let append = Append { command_id, command: "TellPartDown", body, causation: None, correlation: None, writes };
    rig.deposits.store().append(append).await.unwrap();
    let views = views(&rig);
    caught_up(&rig, &views).await;
    let all = told(&views, &NotificationFilter::default()).await;
    assert_eq!(names(&all), ["Desk.Part_Down", "Desk.Part_Up", "Desk.Balance_Low", "Desk.Balance_Restored"]);
    for told in all {
        let recorded = rig.deposits.store().reader().unwrap().event_at(told.position).unwrap().unwrap();
        assert_eq!(told.body, Notification::of_desk(&recorded).unwrap().body());
    }
}

#[tokio::test]
async fn whoever_asks_gets_what_is_meant_for_him_in_the_order_of_the_log() {
    let rig = Rig::new().await;
    some(&rig, 9..11).await;
    halt(&rig).await;
    let views = views(&rig);
    let head = caught_up(&rig, &views).await;
    let all = told(&views, &NotificationFilter::default()).await;
    assert_eq!(names(&all), [&TO_PAYOUT[..], &TO_PAYOUT, &["Desk.Halted"]].concat());
    assert!(all.is_sorted_by_key(|told| told.position));
    assert_eq!((*views.newest_notification().borrow(), all[8].position), (head, head));
    assert_eq!((&all[8].customer, all[8].deposit), (&None, None));

    let customer = address(10).to_string();
    let of = |whose, event: &str| NotificationFilter {
        whose,
        events: vec![event.parse().unwrap()],
        ..NotificationFilter::default()
    };
    let his = told(&views, &of(Whose::Customer(customer.clone()), "*")).await;
    assert_eq!(his, all[4..8]);
    assert_eq!(told(&views, &of(Whose::User(customer.clone()), "Withdrawal.*")).await, all[7..8]);
    assert_eq!(told(&views, &of(Whose::Customer("nobody".to_owned()), "*")).await, []);
    assert_eq!(names(&told(&views, &of(Whose::Everybodys, "Desk.*")).await), ["Desk.Halted"]);
    let withdrawals = NotificationFilter { resource: Some(ResourceType::Withdrawal), ..NotificationFilter::default() };
    assert_eq!(told(&views, &withdrawals).await.len(), 2);
    assert_eq!(views.notifications_after(all[2].position, 2, &NotificationFilter::default()).await.unwrap(), all[3..5]);

    let page = views.notification_page(0, 3, &of(Whose::Customer(customer), "Deposit.*")).await.unwrap();
    assert_eq!(page.reached, Some((all[6].position, all[6].id)), "a full page was looked through up to its last");
    let page = views.notification_page(0, 3, &of(Whose::Customer("nobody".to_owned()), "*")).await.unwrap();
    assert_eq!(page.reached, Some((head, all[8].id)), "and all of them for one that is not");
    assert_eq!(views.notification(all[3].id).await.unwrap().as_ref(), Some(&all[3]));
    assert_eq!(views.notification_at(all[3].position).await.unwrap().as_ref(), Some(&all[3]));
    assert_eq!(views.notification_at(u64::MAX).await.unwrap(), None);
}

#[tokio::test]
async fn the_history_shows_each_row_once_as_it_stands() {
    let rig = Rig::new().await;
    some(&rig, 9..12).await;
    rig.received(12, vec![]).await;
    let views = views(&rig);
    caught_up(&rig, &views).await;
    let all = NotificationFilter::default();
    let rows = views.history(&all, (0, 500)).await.unwrap();
    let kinds: Vec<_> = rows.iter().map(|row| row.newest.kind.name()).collect();
    assert_eq!(
        kinds,
        [&["Deposit.Confirmed"][..], &["Withdrawal.Added_To_Queue", "Deposit.Confirmed"].repeat(3)].concat()
    );
    assert_eq!((rows[0].status.as_deref(), rows[0].is_decided, rows[0].height), (Some("wait_decide"), false, Some(7)));
    assert!(rows[1..].iter().all(|row| row.status.as_deref() == Some("held") && row.is_decided));
    assert_eq!(views.history(&all, (1, 2)).await.unwrap(), rows[1..3]);
    let queued = Pattern::Exactly(NotificationType::WithdrawalAddedToQueue);
    let filter = NotificationFilter {
        whose: Whose::Customer(address(9).to_string()),
        events: vec![queued],
        ..NotificationFilter::default()
    };
    assert_eq!(views.history(&filter, (0, 500)).await.unwrap(), rows[5..6]);
}

/// What was told before is not in memory any more: it is made again from the deposit's own events.
#[tokio::test]
async fn a_deposit_that_goes_on_after_a_restart_is_told_on() {
    let rig = Rig::new().await;
    let id = rig.owe(9, "3").await;
    let before = views(&rig);
    caught_up(&rig, &before).await;
    let rig = rig.restart().await;
    let views = views(&rig);
    let mut bell = views.newest_notification();
    caught_up(&rig, &views).await;
    bell.mark_unchanged();
    rig.deposits.execute(id, &Command::ObserveOrphaned).await.unwrap();
    tokio::time::timeout(WITHIN, bell.changed()).await.unwrap().unwrap();
    let told = told(&views, &NotificationFilter::default()).await;
    assert_eq!(told.iter().map(|told| told.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!((told[4].kind, told[4].position), (NotificationType::DepositPending, *bell.borrow()));
    let head = caught_up(&rig, &views).await;
    let (log, path) = (rig.folder().join("log.sqlite"), path(&rig));
    assert_eq!(on_a_thread(move || compare((&log, &path), &Projection::ALL, &mut |_| {})).await.unwrap(), Ok(head));
}
