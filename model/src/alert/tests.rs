//! What is told once, and how it is stored.

use super::*;
use crate::desk::Desk;

fn down(part: &str) -> PartDown {
    PartDown { part: part.to_owned(), since: DateTime::UNIX_EPOCH, reason: DownReason::Unreachable }
}

fn up(part: &str) -> PartUp {
    PartUp { part: part.to_owned(), since: DateTime::UNIX_EPOCH }
}

fn low(place: Place) -> BalanceLow {
    BalanceLow { place, coin: Ticker::Sky, balance: 1, threshold: 2 }
}

fn restored(place: Place) -> BalanceRestored {
    BalanceRestored { place, coin: Ticker::Sky, balance: 3, threshold: 2 }
}

/// The desk after those of these that are news, and how many were.
fn told(alerts: impl IntoIterator<Item = Alert>) -> (Desk, usize) {
    alerts.into_iter().fold((Desk::default(), 0), |(desk, count), alert| match desk.alerts().is_new(&alert) {
        true => (desk.evolve(&alert.into()), count + 1),
        false => (desk, count),
    })
}

#[test]
fn a_part_that_is_down_twice_is_told_once_and_again_after_it_was_up() {
    let [node, other] = ["bitcoin_node", "skycoin_node"];
    let (desk, count) = told([
        Alert::PartUp(up(node)),
        Alert::PartDown(down(node)),
        Alert::PartDown(down(node)),
        Alert::PartDown(down(other)),
        Alert::PartUp(up(other)),
        Alert::PartUp(up(other)),
        Alert::PartUp(up(node)),
        Alert::PartDown(down(node)),
    ]);
    assert_eq!(count, 5);
    assert_eq!(desk.alerts().parts_down().map(|down| down.part.as_str()).collect::<Vec<_>>(), [node]);
}

#[test]
fn a_low_balance_is_told_once_for_each_place_until_it_is_restored() {
    let [wallet, exchange] = [Place::HotWallet, Place::Exchange];
    let (desk, count) = told([
        Alert::BalanceRestored(restored(wallet)),
        Alert::BalanceLow(low(wallet)),
        Alert::BalanceLow(BalanceLow { balance: 0, ..low(wallet) }),
        Alert::BalanceLow(low(exchange)),
        Alert::BalanceRestored(restored(wallet)),
    ]);
    assert_eq!((count, desk.alerts().balances_low()), (3, [low(exchange)].as_slice()));
    let (desk, count) = told([Alert::BalanceLow(low(wallet)), Alert::BalanceRestored(restored(wallet))]);
    assert!(count == 2 && desk == Desk::default());
}

#[test]
fn a_desk_that_was_stored_before_there_were_alerts_is_read_and_one_without_any_is_stored_as_then() {
    let stored = serde_json::to_value(Desk::default()).unwrap();
    assert!(stored.get("alerts").is_none());
    assert_eq!(serde_json::from_value::<Desk>(stored).unwrap(), Desk::default());
    let (desk, _) = told([Alert::PartDown(down("scanner")), Alert::BalanceLow(low(Place::HotWallet))]);
    let stored = serde_json::to_string(&desk).unwrap();
    assert_eq!(serde_json::from_str::<Desk>(&stored).unwrap(), desk);
}

#[test]
fn the_shape_that_is_stored_stays() {
    for (alert, stored) in [
        (
            Alert::PartDown(down("scanner")),
            r#"{"part":"scanner","since":"1970-01-01T00:00:00Z","reason":"unreachable"}"#,
        ),
        (Alert::PartUp(up("scanner")), r#"{"part":"scanner","since":"1970-01-01T00:00:00Z"}"#),
        (Alert::BalanceLow(low(Place::HotWallet)), r#"{"place":"hot_wallet","coin":"SKY","balance":1,"threshold":2}"#),
        (
            Alert::BalanceRestored(restored(Place::Exchange)),
            r#"{"place":"exchange","coin":"SKY","balance":3,"threshold":2}"#,
        ),
    ] {
        let event = Event::from(alert.clone());
        assert_eq!(event.payload(), stored);
        assert_eq!(Alert::of(&Event::decode(event.kind(), 1, stored).unwrap()), Some(alert));
    }
    for reason in DownReason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
    }
}
