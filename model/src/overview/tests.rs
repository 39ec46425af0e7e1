//! The overview is what its events say, and comes back from its text.

use super::*;
use crate::deposit::{Confirmed, Event as DepositEvent, PayoutIntended, PayoutReorged, PayoutSigned, Sent};
use crate::event::Unreadable;
use crate::ids::Hash32;
use crate::ledger::{Account, Ticker};
use crate::testing::{deposit as id, recorded, up_to_wait_send};

/// A deposit of 1 BTC, sold for 500 SKY and paid out.
fn paid_out(number: u8) -> Vec<DepositEvent> {
    let signed = PayoutSigned {
        txid: Hash32([5; 32]),
        inner_hash: Hash32([6; 32]),
        inputs: vec![Hash32([4; 32])],
        bytes: "00".into(),
    };
    let mut events = up_to_wait_send(number);
    events.extend([
        PayoutIntended { attempt: 1 }.into(),
        signed.into(),
        Sent {}.into(),
        Confirmed { block_seq: 5, confirmations: 1 }.into(),
    ]);
    events
}

const NOBODY_KNOWS: &str = "nobody knows it";

fn beamed() -> Event {
    let (kind, payload, why) = ("Beamed".to_owned(), "{}".to_owned(), NOBODY_KNOWS.to_owned());
    Event::Unreadable(Unreadable { kind, schema: 1, payload, why })
}

fn take_in(overview: &mut Overview, number: u8, version: u64, event: Event, earlier: Option<Deposit>) {
    let recorded = recorded(overview.position + 1, StreamName::Deposit(id(number)), version, event);
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
    take_in(&mut overview, 1, 5, beamed(), None);
    take_in(&mut overview, 1, 6, Event::Deposit(Sent {}.into()), None);
    assert_eq!((counted(&overview), overview.open.len()), (vec![], 0));
    assert_eq!(overview.aside[&id(1)], Aside { position: 5, why: NOBODY_KNOWS.to_owned() });
    assert_eq!(overview.balances, before);
}

#[test]
fn what_had_ended_and_cannot_be_read_any_more_is_counted_once() {
    let mut overview = Overview::default();
    after(&mut overview, 1, paid_out(1));
    after(&mut overview, 2, paid_out(2));
    let before = overview.balances.clone();
    let ended = paid_out(1).iter().fold(None, evolve);
    take_in(&mut overview, 1, 9, beamed(), ended);
    assert_eq!(counted(&overview), [(StageName::Done, Some(Ended::Paid), 1, 500_000_000)]);
    take_in(&mut overview, 1, 10, beamed(), None);
    assert_eq!(counted(&overview), [(StageName::Done, Some(Ended::Paid), 1, 500_000_000)]);
    assert_eq!(overview.aside.keys().copied().collect::<Vec<_>>(), [id(1)]);
    assert_eq!(overview.aside[&id(1)].position, 17, "from its first event that cannot be read");
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
