//! The overview is what its events say, and comes back from its text.

use chrono::DateTime;

use super::*;
use crate::deposit::{
    BlockRef, Confirmed, Customer, Detected, Event as DepositEvent, Method, Mined, PayoutBasis, PayoutIntended,
    PayoutReorged, PayoutSigned, Sent, StatusWaitDecide, StatusWaitSend,
};
use crate::event::Unreadable;
use crate::ids::{CommandId, Hash32, Outpoint};
use crate::ledger::{Account, Ticker};
use crate::money::Amount;

fn id(number: u8) -> DepositId {
    DepositId(uuid::Uuid::from_u128(number.into()))
}

/// A deposit of 1 BTC, sold for 500 SKY and paid out.
fn paid_out(number: u8) -> Vec<DepositEvent> {
    let detected = Detected {
        id: id(number),
        outpoint: Outpoint { txid: Hash32([number; 32]), index: 0 },
        address: "bcrt1qdeposit".into(),
        amount: "1".parse().unwrap(),
        customer: Some(Customer { target: "target".into(), bound_method: Method::Direct }),
        spends: vec![],
        coinbase: false,
    };
    let basis = PayoutBasis::Direct { rate: "500".parse().unwrap() };
    let signed = PayoutSigned {
        txid: Hash32([5; 32]),
        inner_hash: Hash32([6; 32]),
        inputs: vec![Hash32([4; 32])],
        bytes: "00".into(),
    };
    vec![
        detected.into(),
        Mined { block: BlockRef { height: 7, hash: Hash32([7; 32]) } }.into(),
        StatusWaitDecide {}.into(),
        StatusWaitSend { basis, amount: "500".parse().unwrap(), rounding: Amount::ZERO }.into(),
        PayoutIntended { attempt: 1 }.into(),
        signed.into(),
        Sent {}.into(),
        Confirmed { block_seq: 5, confirmations: 1 }.into(),
    ]
}

fn take_in(overview: &mut Overview, number: u8, version: u64, event: Event, earlier: Option<Deposit>) {
    let recorded = Recorded {
        position: overview.position + 1,
        stream: StreamName::Deposit(id(number)),
        version,
        event,
        causation: None,
        correlation: None,
        command_id: CommandId([0; 16]),
        recorded_at: DateTime::UNIX_EPOCH,
    };
    assert_eq!(overview.needs(&recorded), earlier.is_some().then(|| id(number)));
    overview.take_in(&recorded, earlier);
}

fn after(overview: &mut Overview, number: u8, events: Vec<DepositEvent>) {
    for (version, event) in (1..).zip(events) {
        take_in(overview, number, version, Event::Deposit(event), None);
    }
}

fn counted(overview: &Overview) -> Vec<(StageName, Option<Ended>, u64, i128)> {
    let lines = overview.lines.iter().filter(|line| line.deposits > 0);
    lines.map(|line| (line.stage, line.ended, line.deposits, line.payout)).collect()
}

#[test]
fn deposits_are_counted_where_they_stand_and_only_the_open_ones_are_kept() {
    let mut overview = Overview::default();
    after(&mut overview, 1, paid_out(1));
    after(&mut overview, 2, paid_out(2)[..4].to_vec());
    let done = (StageName::Done, Some(Ended::Paid), 1, 500_000_000);
    assert_eq!(counted(&overview), [(StageName::WaitSend, None, 1, 500_000_000), done]);
    assert_eq!(overview.open.keys().copied().collect::<Vec<_>>(), [id(2)]);
    let balances = &overview.balances;
    assert_eq!(balances.of(Account::DepositAddresses, Ticker::Btc), 200_000_000);
    assert_eq!(balances.of(Account::HotWallet, Ticker::Sky), -500_000_000);
    assert_eq!(Ticker::ALL.map(|coin| balances.sum(coin)), [0, 0]);
    assert_eq!(overview.position, 12);
}

/// A payout that left its block is not final any more, although its deposit had ended.
#[test]
fn what_had_ended_moves_again_when_it_is_given_back() {
    let mut overview = Overview::default();
    after(&mut overview, 1, paid_out(1));
    let ended = paid_out(1).iter().fold(None, evolve);
    take_in(&mut overview, 1, 9, Event::Deposit(PayoutReorged {}.into()), ended);
    assert_eq!(counted(&overview), [(StageName::WaitConfirm, None, 1, 500_000_000)]);
    assert_eq!(overview.balances.of(Account::HotWallet, Ticker::Sky), 0);
    assert!(overview.open.contains_key(&id(1)));
}

#[test]
fn what_cannot_be_read_is_set_aside_with_all_that_comes_after_it() {
    let mut overview = Overview::default();
    after(&mut overview, 1, paid_out(1)[..4].to_vec());
    let before = overview.balances.clone();
    let (kind, payload, why) = ("Beamed".to_owned(), "{}".to_owned(), "nobody knows it".to_owned());
    let unreadable = Unreadable { kind, schema: 1, payload, why: why.clone() };
    take_in(&mut overview, 1, 5, Event::Unreadable(unreadable), None);
    take_in(&mut overview, 1, 6, Event::Deposit(Sent {}.into()), None);
    assert_eq!((counted(&overview), overview.open.len()), (vec![], 0));
    assert_eq!(overview.aside[&id(1)], Aside { position: 5, why });
    assert_eq!(overview.balances, before);
}

#[test]
fn an_overview_comes_back_from_its_text() {
    let mut overview = Overview::default();
    after(&mut overview, 1, paid_out(1)[..6].to_vec());
    after(&mut overview, 2, paid_out(2));
    let text = serde_json::to_string(&overview).unwrap();
    assert_eq!(serde_json::from_str::<Overview>(&text).unwrap(), overview, "{text}");
}
