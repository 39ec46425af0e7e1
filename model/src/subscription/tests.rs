//! Given events, when a command comes, then an event or a rejection.

use super::*;

fn id() -> SubscriptionId {
    SubscriptionId(uuid::Uuid::from_u128(7))
}

fn terms() -> Terms {
    Terms {
        events: vec!["Deposit.*".to_owned()],
        customer: None,
        dialect: Dialect::Standard,
        schedule: Schedule::Standard,
        order: Order::Any,
        rate_per_s: None,
    }
}

fn subscribe(ownership: Ownership) -> Command {
    Command::Subscribe(Box::new(Subscribe { id: id(), sealed: "sealed".to_owned(), terms: terms(), ownership }))
}

fn change(address: Address) -> Command {
    Command::ChangeSubscription(Box::new(Change { sealed: "other".to_owned(), terms: terms(), address }))
}

/// A proof of what was sealed first.
fn prove_it() -> Command {
    Command::ProveOwnership { of: hash_of("sealed") }
}

fn fail_it() -> Command {
    Command::FailOwnership { of: hash_of("sealed") }
}

fn hash_of(sealed: &str) -> Hash32 {
    Hash32(Sha256::digest(sealed).into())
}

/// The subscription after these commands, each of which had an effect.
fn after(ownership: Ownership, commands: &[Command]) -> Subscription {
    let mut subscription = None;
    for command in [subscribe(ownership)].iter().chain(commands) {
        let event = Subscription::decide(subscription.as_ref(), command).unwrap().expect("it has an effect");
        subscription = evolve(subscription, &event);
    }
    subscription.unwrap()
}

fn decide(subscription: &Subscription, command: &Command) -> Result<Option<Event>, Rejection> {
    Subscription::decide(Some(subscription), command)
}

#[test]
fn an_operators_receiver_is_served_at_once_and_another_when_it_proved_itself() {
    assert!(after(Ownership::Vouched, &[]).is_served());
    let unproved = after(Ownership::ToBeProved, &[]);
    assert!(!unproved.is_served() && unproved.is_asked());
    assert!(after(Ownership::ToBeProved, &[prove_it()]).is_served());
}

#[test]
fn three_rounds_without_a_proof_stop_it_and_a_proof_between_begins_the_count_anew() {
    let (fail, prove) = (fail_it(), prove_it());
    let twice = after(Ownership::ToBeProved, &[prove.clone(), fail.clone(), fail.clone()]);
    assert!(twice.is_served(), "two are forgiven");
    let thrice = after(Ownership::ToBeProved, &[prove.clone(), fail.clone(), fail.clone(), fail.clone()]);
    assert_eq!((thrice.is_served(), thrice.stopped), (false, Some(Stopped::Unproved)));
    let between = after(Ownership::ToBeProved, &[prove.clone(), fail.clone(), fail.clone(), prove, fail.clone(), fail]);
    assert!(between.is_served());
}

#[test]
fn a_daily_proof_is_no_event() {
    let proved = after(Ownership::ToBeProved, &[prove_it()]);
    assert_eq!(decide(&proved, &prove_it()), Ok(None));
    assert_eq!(decide(&after(Ownership::Vouched, &[]), &prove_it()), Err(Rejection::NoProofWanted));
}

#[test]
fn another_address_has_to_be_proved_anew() {
    let proved = [prove_it(), change(Address::Same)];
    assert!(after(Ownership::ToBeProved, &proved).is_served());
    let elsewhere = after(Ownership::ToBeProved, &[prove_it(), change(Address::Other)]);
    assert_eq!((elsewhere.is_served(), elsewhere.sealed.as_str()), (false, "other"));
    assert!(after(Ownership::Vouched, &[change(Address::Other)]).is_served());
}

#[test]
fn a_proof_of_what_was_changed_since_counts_for_nothing() {
    for address in [Address::Same, Address::Other] {
        let changed = after(Ownership::ToBeProved, &[change(address)]);
        for early in [prove_it(), fail_it()] {
            assert_eq!(decide(&changed, &early), Err(Rejection::Outdated));
        }
        let proof = Command::ProveOwnership { of: hash_of("other") };
        assert_eq!(decide(&changed, &proof), Ok(Some(OwnershipProved {}.into())));
    }
}

#[test]
fn what_is_stopped_is_served_again_when_it_is_resumed() {
    let disable = Command::DisableDelivery { why: Disabling::Gone };
    for stop in [Command::PauseDelivery, disable.clone()] {
        let stopped = after(Ownership::Vouched, std::slice::from_ref(&stop));
        assert!(!stopped.is_served());
        assert_eq!(decide(&stopped, &stop), Ok(None));
        assert!(after(Ownership::Vouched, &[stop, Command::ResumeDelivery]).is_served());
    }
    let disabled = after(Ownership::Vouched, &[disable]);
    assert_eq!(decide(&disabled, &Command::PauseDelivery), Err(Rejection::IsStopped));
    assert_eq!(decide(&after(Ownership::Vouched, &[]), &Command::ResumeDelivery), Err(Rejection::NotStopped));
}

#[test]
fn what_is_over_stays_over() {
    let end = Command::Unsubscribe { why: Ending::Wanted };
    let ended = after(Ownership::Vouched, std::slice::from_ref(&end));
    assert!(!ended.is_served() && !ended.is_asked());
    assert_eq!(decide(&ended, &end), Ok(None));
    assert_eq!(ending(&ended, i64::from(u32::MAX)), None);
    for command in [subscribe(Ownership::Vouched), Command::ResumeDelivery, Command::MoveCursor { after: 1 }] {
        assert_eq!(decide(&ended, &command), Err(Rejection::Over));
    }
}

#[test]
fn nothing_happens_to_what_is_not_there_or_twice_to_what_is() {
    assert_eq!(Subscription::decide(None, &Command::PauseDelivery), Err(Rejection::Missing));
    assert_eq!(decide(&after(Ownership::Vouched, &[]), &subscribe(Ownership::Vouched)), Err(Rejection::Exists));
    assert_eq!(evolve(None, &OwnershipProved {}.into()), None);
}

#[test]
fn what_is_wanted_has_its_limits() {
    let asked = |events: usize, rate_per_s, sealed: usize| {
        let terms = Terms { events: vec!["*".to_owned(); events], rate_per_s, ..terms() };
        let sealed = "s".repeat(sealed);
        let asked = Subscribe { id: id(), sealed, terms, ownership: Ownership::Vouched };
        Subscription::decide(None, &Command::Subscribe(Box::new(asked))).map(drop)
    };
    assert_eq!(asked(TERMS_MAX, Some(1), SEALED_BYTES_MAX), Ok(()));
    assert_eq!(asked(0, None, 1), Err(Rejection::Events));
    assert_eq!(asked(TERMS_MAX + 1, None, 1), Err(Rejection::Events));
    assert_eq!(asked(1, Some(0), 1), Err(Rejection::Rate));
    assert_eq!(asked(1, Some(RATE_PER_S_MAX + 1), 1), Err(Rejection::Rate));
    assert_eq!(asked(1, None, SEALED_BYTES_MAX + 1), Err(Rejection::TooLong));
}

#[test]
fn a_moved_cursor_is_remembered() {
    assert_eq!(after(Ownership::Vouched, &[Command::MoveCursor { after: 9 }]).moved_to, Some(9));
}

const KEPT: Kept = Kept { unproved_s: 3_600, idle_s: 30 * 86_400 };

/// As what it ends when nothing could be sent to it for so long.
fn ending(subscription: &Subscription, stood_s: i64) -> Option<Ending> {
    let since = chrono::DateTime::UNIX_EPOCH;
    let now = since + chrono::TimeDelta::seconds(stood_s);
    let event = decide(subscription, &Command::EndUnserved(Unserved { since, now, kept: KEPT })).unwrap();
    event.map(|event| match event {
        Event::Unsubscribed(over) => over.why,
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_receiver_has_an_hour_to_prove_itself() {
    let unproved = after(Ownership::ToBeProved, &[]);
    assert_eq!((ending(&unproved, 3_599), ending(&unproved, 3_600)), (None, Some(Ending::NeverProved)));
    let moved = after(Ownership::ToBeProved, &[prove_it(), change(Address::Other)]);
    assert_eq!(ending(&moved, 3_600), Some(Ending::NeverProved), "and for each address");
    assert_eq!(ending(&unproved, -5), None, "a clock that was put back ends nothing");
}

#[test]
fn what_cannot_be_delivered_to_ends_after_a_month_and_what_can_or_was_paused_never() {
    let (fail, disable) = (fail_it(), Command::DisableDelivery { why: Disabling::Gone });
    let disabled = after(Ownership::Vouched, std::slice::from_ref(&disable));
    let stopped = after(Ownership::ToBeProved, &[prove_it(), fail.clone(), fail.clone(), fail]);
    for dead in [disabled, stopped] {
        assert_eq!((ending(&dead, 30 * 86_400 - 1), ending(&dead, 30 * 86_400)), (None, Some(Ending::Idle)));
    }
    let paused = [Command::PauseDelivery];
    for kept in [after(Ownership::Vouched, &[]), after(Ownership::Vouched, &paused)] {
        assert_eq!(ending(&kept, i64::from(u32::MAX)), None);
    }
    assert_eq!(ending(&after(Ownership::ToBeProved, &paused), i64::from(u32::MAX)), None);
}

#[test]
fn only_who_did_not_prove_itself_makes_room() {
    let (prove, fail) = (prove_it(), fail_it());
    let room = |ownership, commands: &[Command]| after(ownership, commands).makes_room();
    assert_eq!(room(Ownership::ToBeProved, &[]), Some(Ending::NeverProved));
    let stopped = [prove.clone(), fail.clone(), fail.clone(), fail];
    assert_eq!(room(Ownership::ToBeProved, &stopped), Some(Ending::Idle));
    assert_eq!(room(Ownership::ToBeProved, &[prove]), None);
    assert_eq!(room(Ownership::Vouched, &[Command::DisableDelivery { why: Disabling::Gone }]), None);
}
