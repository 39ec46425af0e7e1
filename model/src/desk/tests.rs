//! What a halt stops, what is stored of it, and what outlives it.

use super::*;
use crate::ids::Hash32;

fn desk(events: &[Event]) -> Desk {
    events.iter().fold(Desk::default(), |desk, event| desk.evolve(event))
}

#[test]
fn a_halt_stops_orders_and_payouts_whatever_the_switches_say_and_nothing_else() {
    let halted = Event::from(Halted { cause: HaltCause::Operator { note: "look".to_owned() } });
    let desk = desk(&[halted]);
    assert_eq!(desk.closed(Switch::Purchases), Some(Closed::Halted));
    assert_eq!(desk.closed(Switch::Sends), Some(Closed::Halted));
    assert_eq!(desk.closed(Switch::Binds), None);
    let resumed = desk.evolve(&Resumed { note: "seen".to_owned() }.into());
    assert_eq!((resumed.closed(Switch::Sends), resumed.halt()), (None, None));
}

#[test]
fn what_was_switched_off_stays_off_after_a_halt() {
    let off = SwitchSet { switch: Switch::Purchases, setting: Setting::Off, note: String::new() };
    let halted = Halted { cause: HaltCause::Operator { note: String::new() } };
    let desk = desk(&[off.into(), halted.into(), Resumed { note: String::new() }.into()]);
    assert_eq!((desk.closed(Switch::Purchases), desk.closed(Switch::Sends)), (Some(Closed::SwitchedOff), None));
}

#[test]
fn a_halt_is_stored_with_its_numbers_and_says_them() {
    let (place, coin) = (Place::HotWallet, Ticker::Sky);
    let difference = Difference { place, coin, booked: 5_000_000, in_flight: 1_000_000, found: 3_500_000 };
    let halted = Halted { cause: HaltCause::Missing { differences: vec![difference] } };
    let text = serde_json::to_string(&halted).unwrap();
    assert_eq!(serde_json::from_str::<Halted>(&text).unwrap(), halted, "{text}");
    let said = "coins are missing; the hot wallet: 3.500000 SKY found, 5.000000 SKY booked, 1.000000 SKY on their way";
    assert_eq!(halted.cause.to_string(), said);
}

fn restored() -> Restored {
    let known_hash = Hash32([5; 32]);
    Restored { departure: Departure::Shorter, known: 9, known_hash, found: 4, lost_from: 3, lost_to: 100 }
}

#[test]
fn a_restored_log_stops_new_addresses_too_until_it_is_resumed_and_keeps_their_numbers_back_for_ever() {
    let desk = desk(&[Halted { cause: HaltCause::Restored(restored()) }.into()]);
    let all = [Switch::Binds, Switch::Purchases, Switch::Sends];
    assert_eq!(all.map(|switch| desk.closed(switch)), [Some(Closed::Halted); 3]);
    let desk = desk.evolve(&Resumed { note: "looked".to_owned() }.into());
    assert_eq!(all.map(|switch| desk.closed(switch)), [None; 3]);
    assert_eq!(desk.free_index(), 100);
    let head = Head { log: None, position: 9, hash: Hash32([5; 32]), next_index: 100 };
    assert!(desk.has_answered(Some(&head)));
    assert!(!desk.has_answered(Some(&Head { hash: Hash32([6; 32]), ..head })) && !desk.has_answered(None));
}

#[test]
fn a_restored_log_says_what_it_lacks() {
    let halted = Halted { cause: HaltCause::Restored(restored()) };
    let text = serde_json::to_string(&halted).unwrap();
    assert!(text.starts_with(r#"{"cause":"restored","departure":"shorter","known":9,"#), "{text}");
    assert_eq!(serde_json::from_str::<Halted>(&text).unwrap(), halted);
    let said = "this log is a copy from before: it ends at 4, the head file knows of 9; \
                addresses 3 to 99 may be somebody's already and are not given out";
    assert_eq!(halted.cause.to_string(), said);
}

#[test]
fn a_damaged_log_says_where_and_what_was_resumed_over_is_known() {
    let [changed, missing] = [Damage::Changed { position: 3 }, Damage::Missing { position: 9 }];
    let halted = Halted { cause: HaltCause::Damaged { damages: vec![changed, missing] } };
    let text = serde_json::to_string(&halted).unwrap();
    let stored =
        r#"{"cause":"damaged","damages":[{"finding":"changed","position":3},{"finding":"missing","position":9}]}"#;
    assert_eq!(text, stored);
    assert_eq!(serde_json::from_str::<Halted>(&text).unwrap(), halted);
    let said = "the log is damaged; position 3 is not what was stored there; position 9 is missing";
    assert_eq!(halted.cause.to_string(), said);

    let desk = desk(&[halted.into(), Resumed { note: "looked".to_owned() }.into()]);
    assert_eq!((desk.closed(Switch::Sends), desk.was_halted_for(&changed)), (None, true));
    assert!(!desk.was_halted_for(&Damage::Changed { position: 4 }));
}
