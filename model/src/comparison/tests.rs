//! What is another between two moments is told, and nothing else.

use super::*;
use crate::desk::{HaltCause, Halted, SwitchSet};
use crate::event::Unreadable;
use crate::ids::StreamName;
use crate::testing::{deposit as id, recorded, up_to_wait_send};

/// Two deposits, a switch and a halt: positions 1 to 10.
fn log() -> Vec<Recorded> {
    let mut log = Vec::new();
    for number in [1, 2] {
        for (version, event) in (1..).zip(up_to_wait_send(number)) {
            let position = log.len() as u64 + 1;
            log.push(recorded(position, StreamName::Deposit(id(number)), version, Event::Deposit(event)));
        }
    }
    let off = SwitchSet { switch: Switch::Sends, setting: Setting::Off, note: String::new() };
    log.push(recorded(9, StreamName::Desk, 1, Event::Desk(off.into())));
    let halted = Halted { cause: HaltCause::Operator { note: "look".into() } };
    log.push(recorded(10, StreamName::Desk, 2, Event::Desk(halted.into())));
    log
}

fn overview(until: Position) -> Overview {
    log().iter().take_while(|it| it.position <= until).fold(Overview::default(), |mut overview, recorded| {
        overview.take_in(recorded, None);
        overview
    })
}

fn stream(number: u8) -> Vec<Recorded> {
    log().into_iter().filter(|recorded| recorded.stream == StreamName::Deposit(id(number))).collect()
}

fn compared(from: Position, to: Position) -> Comparison {
    let moved = [1, 2].into_iter().filter_map(|number| Moved::of(id(number), &stream(number), (from, to)));
    Comparison::of(&overview(from), &overview(to), moved.collect(), 0)
}

#[test]
fn accounts_counts_and_deposits_are_told_before_and_after() {
    let compared = compared(3, 8);
    let wait_decide = Place { stage: StageName::WaitDecide, ended: None };
    let wait_send = Place { stage: StageName::WaitSend, ended: None };
    assert_eq!(
        compared.deposits,
        [
            CountChange { place: wait_decide, before: 1, after: 0 },
            CountChange { place: wait_send, before: 0, after: 2 },
        ]
    );
    assert_eq!(
        compared.moved,
        [
            Moved { deposit: id(1), before: Some(wait_decide), after: Some(wait_send) },
            Moved { deposit: id(2), before: None, after: Some(wait_send) },
        ]
    );
    let addresses = compared.balances.iter().find(|row| row.account == Account::DepositAddresses).unwrap();
    let shown = [&addresses.before, &addresses.after, &addresses.change].map(String::as_str);
    assert_eq!(shown, ["1.00000000", "2.00000000", "1.00000000"]);
    let payout = compared.balances.iter().find(|row| row.account == Account::Payout).unwrap();
    assert_eq!((payout.before.as_str(), payout.change.as_str()), ("0.000000", "-1000.000000"));
    assert_eq!((compared.from.position, compared.to.position), (3, 8));
    assert!(compared.switches.is_empty() && compared.halt.is_none());
}

#[test]
fn switches_and_halts_are_told() {
    let compared = compared(8, 10);
    let sends = SwitchChange { switch: Switch::Sends, before: Setting::On, after: Setting::Off };
    assert_eq!(compared.switches, [sends]);
    assert_eq!(compared.halt, Some((None, Some("by an operator: look".to_owned()))));
    assert!(compared.balances.is_empty() && compared.deposits.is_empty() && compared.moved.is_empty());
}

#[test]
fn a_moment_is_like_itself_and_before_everything_there_is_nothing() {
    let same = compared(5, 5);
    assert!(same.balances.is_empty() && same.deposits.is_empty() && same.moved.is_empty() && same.halt.is_none());
    let all = compared(0, 10);
    assert_eq!((all.from.recorded_at, all.moved.len()), (None, 2));
    assert!(all.moved.iter().all(|moved| moved.before.is_none()));
}

#[test]
fn where_a_deposit_stands_that_cannot_be_read_is_not_said() {
    let mut events = stream(1);
    let unreadable = Unreadable { kind: "Beamed".into(), schema: 1, payload: "{}".into(), why: "unknown".into() };
    events[3].event = Event::Unreadable(unreadable);
    let moved = Moved::of(id(1), &events, (3, 8)).unwrap();
    assert_eq!((moved.before.map(Place::as_str), moved.after), (Some("wait_decide"), None));
    assert_eq!(Moved::of(id(1), &events, (2, 2)), None);
}
