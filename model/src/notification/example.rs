//! Examples of the catalogue: what made-up deposits tell, so that an example is never of another shape than the real thing.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{Notification, NotificationType, ResourceType, Told};
use crate::alert::{BalanceLow, BalanceRestored, DownReason, PartDown, PartUp};
use crate::deposit::{
    BlockRef, Confirmed, Customer, Detected, Event, Held, HoldReason, Matured, Method, Mined, PayoutBasis,
    PayoutIntended, PayoutSigned, RefundDue, Sent, StatusWaitDecide, StatusWaitSend, Vanished, evolve,
};
use crate::desk::{self, HaltCause, Halted, Place, Resumed};
use crate::event::{Event as LogEvent, Recorded};
use crate::ids::{CommandId, DepositId, Hash32, Outpoint, Position, StreamName, SubscriptionId};
use crate::ledger::Ticker;
use crate::money::{Amount, Rate};
use crate::subscription::{
    self, DeliveryDisabled, Dialect, Disabling, Order, Ownership, OwnershipProved, Schedule, Subscribed, Terms,
};

const ID: DepositId = DepositId(Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0001));

/// The body of one.
pub(super) fn of(kind: NotificationType) -> Value {
    let told = match kind.resource() {
        ResourceType::Deposit | ResourceType::Withdrawal => of_life(kind),
        ResourceType::Subscription => of_subscription(Some(Hash32([0x5a; 32]))),
        ResourceType::Desk => of_desk(kind),
    };
    let body = told.expect("what is made up tells every type").body();
    serde_json::from_str(&body).expect("a body is JSON")
}

fn of_life(kind: NotificationType) -> Option<Notification> {
    let (mut told, mut deposit) = (Told::default(), None);
    for (version, event) in (1..).zip(life(kind)) {
        let recorded = recorded(version, StreamName::Deposit(ID), LogEvent::Deposit(event.clone()));
        deposit = evolve(deposit.take(), &event);
        let after = deposit.as_ref()?;
        let telling = told.take_in(&event, after, (recorded.position, recorded.recorded_at));
        if let Some(telling) = telling.filter(|telling| telling.kind == kind) {
            return Some(Notification::of_deposit(&told, telling, after, &recorded));
        }
    }
    None
}

fn of_desk(kind: NotificationType) -> Option<Notification> {
    let cause = HaltCause::Operator { note: String::new() };
    let (place, coin, threshold) = (Place::HotWallet, Ticker::Sky, 100_000_000);
    let (part, since) = (|| "bitcoin_node".to_owned(), start());
    let events: [desk::Event; 6] = [
        Halted { cause }.into(),
        Resumed { note: String::new() }.into(),
        PartDown { part: part(), since, reason: DownReason::Unreachable }.into(),
        PartUp { part: part(), since: since + TimeDelta::minutes(3) }.into(),
        BalanceLow { place, coin, balance: 99_000_000, threshold }.into(),
        BalanceRestored { place, coin, balance: 150_000_000, threshold }.into(),
    ];
    let desk = (1..).zip(events).map(|(version, event)| recorded(version, StreamName::Desk, LogEvent::Desk(event)));
    let desk = desk.filter_map(|recorded| Notification::of_desk(&recorded));
    desk.chain(of_subscription(None)).find(|told| told.kind == kind)
}

/// A webhook that is disabled, of a customer or of an operator.
fn of_subscription(customer: Option<Hash32>) -> Option<Notification> {
    let id = SubscriptionId(ID.0);
    let terms = Terms {
        events: vec!["*".to_owned()],
        customer,
        dialect: Dialect::Standard,
        schedule: Schedule::Standard,
        order: Order::Any,
        rate_per_s: None,
    };
    let begun = Subscribed { id, sealed: String::new(), terms, ownership: Ownership::ToBeProved };
    let events: [subscription::Event; 3] =
        [begun.into(), OwnershipProved {}.into(), DeliveryDisabled { why: Disabling::Exhausted }.into()];
    let stream = |event| LogEvent::Subscription(event);
    let events =
        (6..).zip(events).map(|(version, event)| recorded(version, StreamName::Subscription(id), stream(event)));
    let events: Vec<_> = events.collect();
    let (disabled, earlier) = events.split_last()?;
    Notification::of_subscription(earlier.iter(), disabled)
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).expect("2026 is a year")
}

fn recorded(version: u64, stream: StreamName, event: LogEvent) -> Recorded {
    Recorded {
        position: 100 + Position::from(version),
        stream,
        version,
        event,
        causation: None,
        correlation: None,
        command_id: CommandId([0; 16]),
        recorded_at: start() + TimeDelta::minutes(i64::try_from(version).unwrap_or(0)),
    }
}

/// Events of which one tells this.
fn life(kind: NotificationType) -> Vec<Event> {
    if kind == NotificationType::DepositFailed {
        return vec![detected().into(), Vanished { replaced_by: Some(Hash32([9; 32])) }.into()];
    }
    let mut events = up_to_owed();
    if kind == NotificationType::WithdrawalFailed {
        let reason = HoldReason::Operator { note: String::new() };
        events.push(Held { reason }.into());
        events.push(RefundDue { amount: detected().amount, note: String::new() }.into());
        return events;
    }
    let (txid, inner_hash, inputs) = (Hash32([5; 32]), Hash32([6; 32]), vec![Hash32([4; 32])]);
    events.push(PayoutIntended { attempt: 1 }.into());
    events.push(PayoutSigned { txid, inner_hash, inputs, bytes: String::new() }.into());
    events.push(Sent {}.into());
    events.push(Confirmed { block_seq: 1_200, confirmations: 1 }.into());
    events
}

fn detected() -> Detected {
    Detected {
        id: ID,
        outpoint: Outpoint { txid: Hash32([0xa1; 32]), index: 1 },
        address: "bcrt1qexampledeposit".to_owned(),
        amount: Amount::from_units(50_000_000).expect("half a bitcoin is an amount"),
        customer: Some(Customer {
            target: "2GgFvqoyk9RjwVzj8tqfcXVXB4orBwoc9qv".to_owned(),
            bound_method: Method::Direct,
        }),
        spends: vec![],
        coinbase: false,
    }
}

fn up_to_owed() -> Vec<Event> {
    let rate: Rate = "500".parse().expect("a whole number is a rate");
    let amount = rate.sky_for(detected().amount, 3).expect("a small amount at a small rate is an amount");
    vec![
        detected().into(),
        Mined { block: BlockRef { height: 812_345, hash: Hash32([7; 32]) } }.into(),
        Matured { confirmations: 2 }.into(),
        StatusWaitDecide {}.into(),
        StatusWaitSend { basis: PayoutBasis::Direct { rate }, amount, rounding: Amount::ZERO }.into(),
    ]
}
