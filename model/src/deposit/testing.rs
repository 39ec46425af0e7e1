//! Given events, when a command, then events.

use super::command::{Command, Rejection};
use super::decide::PayoutTerms;
use super::event::*;
use super::payout::SignedPayout;
use super::state::{Deposit, evolve};
use super::step::check_step;
use crate::ids::{DepositId, Hash32, Outpoint};
use crate::money::Amount;

pub(super) fn detected() -> Detected {
    Detected {
        id: DepositId(uuid::Uuid::from_u128(1)),
        outpoint: Outpoint { txid: Hash32([1; 32]), index: 0 },
        address: "bcrt1qdeposit".into(),
        amount: "1".parse().unwrap(),
        customer: Some(Customer { target: "target".into(), bound_method: Method::Direct }),
        spends: vec![],
        coinbase: false,
    }
}

pub(super) fn mined() -> Mined {
    Mined { block: BlockRef { height: 7, hash: Hash32([7; 32]) } }
}

/// Payouts of three decimals, up to 1000 SKY.
pub(super) fn payout_terms() -> PayoutTerms {
    PayoutTerms { decimals: 3, maximum: "1000".parse().unwrap() }
}

pub(super) fn signed() -> SignedPayout {
    SignedPayout {
        txid: Hash32([5; 32]),
        inner_hash: Hash32([6; 32]),
        inputs: vec![Hash32([4; 32])],
        bytes: "00".into(),
    }
}

pub(super) fn up_to_wait_send() -> Vec<Event> {
    let rate = "500".parse().unwrap();
    let owed =
        StatusWaitSend { basis: PayoutBasis::Direct { rate }, amount: "500".parse().unwrap(), rounding: Amount::ZERO };
    vec![detected().into(), mined().into(), StatusWaitDecide {}.into(), owed.into()]
}

pub(super) fn up_to_signed() -> Vec<Event> {
    let mut events = up_to_wait_send();
    events.push(PayoutIntended { attempt: 1 }.into());
    events.push(Event::PayoutSigned(signed().into()));
    events
}

pub(super) struct Given(Option<Deposit>);

pub(super) fn given(events: impl IntoIterator<Item = Event>) -> Given {
    Given(events.into_iter().fold(None, |deposit, event| evolve(deposit, &event)))
}

pub(super) struct When {
    deposit: Deposit,
    decided: Result<Vec<Event>, Rejection>,
}

impl Given {
    pub(super) fn deposit(self) -> Deposit {
        self.0.expect("the first event detects the deposit")
    }

    pub(super) fn when(self, command: Command) -> When {
        let deposit = self.deposit();
        When { decided: deposit.decide(&command), deposit }
    }

    pub(super) fn leaves(self, check: impl FnOnce(&Deposit)) {
        check(&self.deposit());
    }
}

impl When {
    #[track_caller]
    pub(super) fn then(self, expected: impl IntoIterator<Item = Event>) -> Given {
        let events = self.decided.expect("the command is allowed");
        assert_eq!(events, expected.into_iter().collect::<Vec<_>>());
        Given(Some(after(self.deposit, &events)))
    }

    #[track_caller]
    pub(super) fn then_any(self) -> Given {
        let events = self.decided.expect("the command is allowed");
        Given(Some(after(self.deposit, &events)))
    }

    #[track_caller]
    pub(super) fn rejected(self) {
        assert!(self.decided.is_err(), "{:?}", self.decided);
    }

    #[track_caller]
    pub(super) fn rejected_with(self, rejection: Rejection) {
        assert_eq!(self.decided, Err(rejection));
    }
}

/// What the rules decide is a step of its stream.
#[track_caller]
fn after(deposit: Deposit, events: &[Event]) -> Deposit {
    events.iter().fold(deposit, |deposit, event| {
        assert_eq!(check_step(Some(&deposit), event), Ok(()), "{event:?} after {deposit:?}");
        evolve(Some(deposit), event).expect("a deposit stays one")
    })
}
