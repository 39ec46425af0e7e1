//! Deposits and stored events for the tests of whoever folds them.

use chrono::DateTime;
use uuid::Uuid;

use crate::deposit::{
    self, BlockRef, Customer, Detected, Method, Mined, PayoutBasis, StatusWaitDecide, StatusWaitSend,
};
use crate::event::{self, Event, Recorded};
use crate::ids::{CommandId, DepositId, Hash32, Outpoint, Position, StreamName, Version};
use crate::money::Amount;

/// The deposit of this number.
pub(crate) const fn deposit(number: u8) -> DepositId {
    DepositId(Uuid::from_u128(number as u128))
}

/// What came in for a customer.
pub(crate) fn detected(number: u8, amount: &str) -> Detected {
    Detected {
        id: deposit(number),
        outpoint: Outpoint { txid: Hash32([number; 32]), index: 0 },
        address: "bcrt1qdeposit".into(),
        amount: amount.parse().unwrap(),
        customer: Some(Customer { target: "2Gcustomer".into(), bound_method: Method::Direct }),
        spends: vec![],
        coinbase: false,
    }
}

/// A deposit of 1 BTC, sold for 500 SKY that are to be paid out.
pub(crate) fn up_to_wait_send(number: u8) -> Vec<deposit::Event> {
    let basis = PayoutBasis::Direct { rate: "500".parse().unwrap() };
    vec![
        detected(number, "1").into(),
        Mined { block: BlockRef { height: 7, hash: Hash32([7; 32]) } }.into(),
        StatusWaitDecide {}.into(),
        StatusWaitSend { basis, amount: "500".parse().unwrap(), rounding: Amount::ZERO }.into(),
    ]
}

/// An event as it is stored, as many seconds after 1970 as it has events before it.
pub(crate) fn recorded(position: Position, stream: StreamName, version: Version, event: Event) -> Recorded {
    Recorded {
        position,
        stream,
        version,
        event,
        causation: None,
        correlation: None,
        command_id: CommandId([0; 16]),
        recorded_at: DateTime::from_timestamp(position as i64, 0).unwrap(),
    }
}

/// The next of a deposit's events; nine of others' lie between two of them.
pub(crate) fn recorded_of(id: DepositId, version: Version, event: deposit::Event) -> Recorded {
    recorded(10 * version, StreamName::Deposit(id), version, event::Event::Deposit(event))
}
