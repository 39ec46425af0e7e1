//! Given a deposit's events, what is told of it; and that the catalogue says what is told.

mod catalogue;
mod owner;

use super::*;
use crate::alert;
use crate::deposit::{
    BlockRef, Bought, Confirmed, Customer, Detected, Event, Failed, Held, HoldReason, Matured, Mined, Orphaned,
    PayoutIntended, PayoutReorged, PayoutSigned, PayoutVoided, Quarantined, RefundDue, RefundMarked, Released,
    RemainderBooked, RemainderUse, ReorgLoss, Sent, StatusWaitBuy, StatusWaitDecide, StatusWaitSend, Vanished,
    WrittenOff, check_step, evolve,
};
use crate::event;
use crate::ids::StreamName;
use crate::ledger::Ticker;
use crate::testing;

const ID: DepositId = testing::deposit(1);

fn detected() -> Event {
    testing::detected(1, "1").into()
}

fn block(height: u64) -> BlockRef {
    BlockRef { height, hash: Hash32([height as u8; 32]) }
}

fn mined(height: u64) -> Event {
    Mined { block: block(height) }.into()
}

fn orphaned(height: u64) -> Event {
    Orphaned { block: block(height) }.into()
}

fn vanished() -> Event {
    Vanished { replaced_by: Some(Hash32([9; 32])) }.into()
}

fn held(reason: HoldReason) -> Event {
    Held { reason }.into()
}

fn released() -> Event {
    Released { note: "fine".into() }.into()
}

fn matured() -> Event {
    Matured { confirmations: 2 }.into()
}

fn received() -> Vec<Event> {
    vec![detected(), mined(7), matured(), StatusWaitDecide {}.into()]
}

fn owed() -> Vec<Event> {
    let basis = PayoutBasis::Direct { rate: "500".parse().unwrap() };
    let owed = StatusWaitSend { basis, amount: "500".parse().unwrap(), rounding: Amount::ZERO };
    received().into_iter().chain([owed.into()]).collect()
}

fn payout(attempt: u32) -> [Event; 2] {
    let txid = Hash32([0x50 + attempt as u8; 32]);
    let signed = PayoutSigned { txid, inner_hash: txid, inputs: vec![], bytes: String::new() };
    [PayoutIntended { attempt }.into(), signed.into()]
}

fn signed() -> Vec<Event> {
    owed().into_iter().chain(payout(1)).collect()
}

fn sent() -> Vec<Event> {
    signed().into_iter().chain([Sent {}.into()]).collect()
}

fn paid() -> Vec<Event> {
    sent().into_iter().chain([Confirmed { block_seq: 90, confirmations: 1 }.into()]).collect()
}

fn with(mut events: Vec<Event>, more: impl IntoIterator<Item = Event>) -> Vec<Event> {
    events.extend(more);
    events
}

fn refund_due(amount: &str) -> Event {
    RefundDue { amount: amount.parse().unwrap(), note: "a secret".into() }.into()
}

/// What these events tell, every one of which can follow the ones before.
fn told(events: Vec<Event>) -> Vec<Notification> {
    let (mut told, mut deposit, mut notifications) = (Told::default(), None, Vec::new());
    for (version, event) in (1..).zip(events) {
        assert_eq!(check_step(deposit.as_ref(), &event), Ok(()), "{event:?} after {deposit:?}");
        let recorded = testing::recorded_of(ID, version, event.clone());
        deposit = evolve(deposit, &event);
        let after = deposit.as_ref().unwrap();
        let telling = told.take_in(&event, after, (recorded.position, recorded.recorded_at));
        notifications.extend(telling.map(|telling| Notification::of_deposit(&told, telling, after, &recorded)));
    }
    notifications
}

fn words(notifications: &[Notification]) -> Vec<(&'static str, &'static str)> {
    let state =
        |row: &HistoryRow| SubmitState::ALL.into_iter().find(|state| state.as_str() == row.submit_state).unwrap();
    notifications.iter().map(|told| (told.kind.name(), state(told.row().unwrap()).as_str())).collect()
}

/// What comes after the first so many.
#[track_caller]
fn told_after(skipped: usize, events: Vec<Event>, expected: &[(&str, &str)]) {
    assert_eq!(words(&told(events))[skipped..], *expected);
}

const TO_RECEIPT: [(&str, &str); 3] = [
    ("Deposit.Pending", "pending"),
    ("Deposit.Wait_For_Confirmation", "wait_for_confirmation"),
    ("Deposit.Confirmed", "success"),
];
const TO_PAYOUT: [(&str, &str); 4] = [
    ("Withdrawal.Added_To_Queue", "queue"),
    ("Withdrawal.In_Consensus", "consensus"),
    ("Withdrawal.Submitted", "wait_for_confirmation"),
    ("Withdrawal.Confirmed", "success"),
];

#[test]
fn a_direct_sale_is_told_from_the_first_sighting_to_the_final_payout() {
    let notifications = told(paid());
    assert_eq!(words(&notifications), [&TO_RECEIPT[..], &TO_PAYOUT].concat());
    let sequences = notifications.iter().map(|told| told.sequence);
    assert_eq!(sequences.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert!(notifications.iter().all(|told| told.customer.as_deref() == Some("2Gcustomer")));
    let Resource::Transaction(last) = &notifications[6].resource else { panic!("it is of a payout") };
    let row = &last.row;
    assert_eq!((row.coin, row.amount, row.submit_confirm_block, row.signed), (Ticker::Sky, 500_000_000, 90, true));
    assert_eq!((row.submit_tx_hash, row.block_id), (Some(Hash32([0x51; 32])), 7));
    assert_eq!(
        (last.method, last.rate, last.payout_txid),
        (Some(Method::Direct), "500".parse().ok(), Some(Hash32([0x51; 32])))
    );
    let [seen, decided] = [&notifications[2], &notifications[6]].map(|told| told.row().unwrap().created.timestamp());
    assert_eq!((seen, decided), (10, 50));
}

#[test]
fn how_coins_were_bought_is_not_told() {
    let (bought, spent) = ("500".parse().unwrap(), "0.9".parse().unwrap());
    let bought_for = [
        StatusWaitBuy { budget: "1".parse().unwrap(), best_ask: "0.002".parse().unwrap(), book: None }.into(),
        Bought { bought: Amount::ZERO, spent: Amount::ZERO }.into(),
        RemainderBooked { amount: "1".parse().unwrap(), to: RemainderUse::Refund }.into(),
    ];
    assert_eq!(words(&told(with(received(), bought_for.clone()))), TO_RECEIPT);
    // What the exchange filled is checked elsewhere; here it is taken as it comes.
    let (mut told, mut deposit) = (Told::default(), None);
    let owed = StatusWaitSend { basis: PayoutBasis::Bought, amount: bought, rounding: Amount::ZERO };
    let end = [Bought { bought, spent }.into(), owed.into()];
    let mut tellings = Vec::new();
    for event in received().into_iter().chain(bought_for).chain(end).chain(payout(1)) {
        deposit = evolve(deposit, &event);
        tellings.extend(told.take_in(&event, deposit.as_ref().unwrap(), (1, DateTime::UNIX_EPOCH)));
    }
    let recorded = testing::recorded_of(ID, 9, detected());
    let last = Notification::of_deposit(&told, tellings[4], deposit.as_ref().unwrap(), &recorded);
    assert_eq!((tellings.len(), last.kind, last.sequence), (5, NotificationType::WithdrawalInConsensus, 5));
    let Resource::Transaction(last) = last.resource else { panic!("it is of a payout") };
    assert_eq!((last.method, last.rate, last.refund), (Some(Method::Passthrough), None, "1".parse().ok()));
}

#[test]
fn what_vanishes_has_failed_and_is_told_again_when_it_is_mined_after_all() {
    let gone = vec![detected(), vanished()];
    assert_eq!(words(&told(gone.clone())), [("Deposit.Pending", "pending"), ("Deposit.Failed", "orphan")]);
    told_after(2, with(gone, [mined(7), matured(), StatusWaitDecide {}.into()]), &TO_RECEIPT[1..]);
}

#[test]
fn an_end_before_the_decision_is_the_deposits() {
    let failed = || Failed { reason: "a secret".into() }.into();
    told_after(1, vec![detected(), failed()], &[("Deposit.Failed", "fatal")]);
    told_after(3, with(received(), [failed()]), &[("Deposit.Failed", "fatal")]);
    let small = with(received(), [held(HoldReason::BelowMinimum), refund_due("1")]);
    told_after(3, small.clone(), &[("Deposit.Failed", "amount_too_small")]);
    let paid_back = RefundMarked { txid: Hash32([3; 32]), note: "a secret".into() };
    let notifications = told(with(small, [paid_back.into()]));
    let rows: Vec<_> = notifications[3..].iter().map(|told| told.row().unwrap()).collect();
    assert!(rows.iter().all(|row| row.is_bounced && row.coin == Ticker::Btc));
    assert_eq!([rows[0].submit_tx_hash, rows[1].submit_tx_hash], [None, Some(Hash32([3; 32]))]);
    let Resource::Transaction(last) = &notifications[4].resource else { panic!("it is of a deposit") };
    assert_eq!((last.refund, last.refund_txid), ("1".parse().ok(), Some(Hash32([3; 32]))));
}

#[test]
fn an_end_after_the_decision_is_the_withdrawals() {
    told_after(4, with(owed(), [Failed { reason: "a secret".into() }.into()]), &[("Withdrawal.Failed", "fatal")]);
    for (reason, state) in [
        (HoldReason::InvalidTarget, "bad_address"),
        (HoldReason::Operator { note: "a secret".into() }, "fatal"),
        (HoldReason::PayoutAboveMaximum, "fatal"),
    ] {
        told_after(4, with(owed(), [held(reason), refund_due("1")]), &[("Withdrawal.Failed", state)]);
    }
}

#[test]
fn holding_and_releasing_is_told_to_nobody() {
    let held_twice = [held(HoldReason::AboveMaximum), released(), held(HoldReason::PayoutTooManyInputs), released()];
    assert_eq!(words(&told(with(received(), held_twice))), TO_RECEIPT);
}

#[test]
fn before_the_receipt_a_reorganisation_takes_it_back_to_the_mempool() {
    let again = vec![detected(), mined(7), orphaned(7), mined(8), matured(), StatusWaitDecide {}.into()];
    told_after(
        2,
        again.clone(),
        &[
            ("Deposit.Pending", "orphan"),
            ("Deposit.Wait_For_Confirmation", "wait_for_confirmation"),
            ("Deposit.Confirmed", "success"),
        ],
    );
    let blocks = told(again).into_iter().map(|told| told.row().unwrap().block_id).collect::<Vec<_>>();
    assert_eq!(blocks, [0, 7, 7, 8, 8]);
}

#[test]
fn after_the_receipt_it_is_received_again() {
    let undone = with(owed(), [orphaned(7), held(HoldReason::DepositOrphaned), mined(8), matured(), released()]);
    told_after(
        4,
        undone,
        &[
            ("Deposit.Pending", "orphan"),
            ("Deposit.Wait_For_Confirmation", "wait_for_confirmation"),
            ("Deposit.Confirmed", "success"),
        ],
    );
}

#[test]
fn what_was_decided_and_spent_elsewhere_is_a_payout_that_is_not_made() {
    let undone = with(owed(), [orphaned(7), held(HoldReason::DepositOrphaned)]);
    let gone = with(undone.clone(), [released(), vanished()]);
    told_after(4, gone.clone(), &[("Deposit.Pending", "orphan"), ("Withdrawal.Failed", "orphan")]);
    told_after(6, with(gone, [mined(8)]), &[TO_RECEIPT[1]]);
    let ended = WrittenOff { bought: Amount::ZERO, spent: Amount::ZERO, note: "a secret".into() };
    told_after(5, with(undone, [vanished(), ended.into()]), &[("Withdrawal.Failed", "orphan")]);
}

/// The payout stands whatever becomes of the deposit; the deposit's own row says that its coins are gone.
#[test]
fn a_payout_that_was_signed_does_not_fail_with_its_deposit() {
    let loss = || ReorgLoss { amount: "1".parse().unwrap() }.into();
    let lost = with(signed(), [orphaned(7), loss(), vanished(), Sent {}.into()]);
    told_after(5, lost.clone(), &[("Deposit.Pending", "orphan"), ("Deposit.Failed", "orphan"), TO_PAYOUT[2]]);
    told_after(8, with(lost, [mined(8), matured()]), &TO_RECEIPT[1..]);
    told_after(7, with(paid(), [orphaned(7), loss()]), &[("Deposit.Pending", "orphan")]);
    told_after(8, with(paid(), [orphaned(7), loss(), mined(8)]), &[TO_RECEIPT[2]]);
}

#[test]
fn a_payout_that_can_never_confirm_is_queued_again_and_one_that_left_its_block_is_on_its_way_again() {
    let void = PayoutVoided { conflicting_txid: Hash32([8; 32]) };
    let notifications = told(with(with(sent(), [void.into()]), payout(2)));
    assert_eq!(words(&notifications)[6..], TO_PAYOUT[..2]);
    let [queued, signed] = [6, 7].map(|at| notifications[at].row().unwrap());
    assert_eq!((queued.signed, queued.submit_tx_hash, queued.created), (false, None, signed.created));
    assert_eq!(signed.submit_tx_hash, Some(Hash32([0x52; 32])));
    told_after(7, with(paid(), [PayoutReorged {}.into()]), &[TO_PAYOUT[2]]);
}

#[test]
fn what_belongs_to_nobody_waits_for_an_operator() {
    let nobodys: Event = Detected { customer: None, ..testing::detected(1, "1") }.into();
    let events = vec![nobodys, mined(7), matured(), Quarantined {}.into()];
    let notifications = told(with(events.clone(), [refund_due("1")]));
    assert_eq!(words(&notifications)[2..], [("Deposit.Confirmed", "pending_manual"), ("Deposit.Failed", "fatal")]);
    assert!(notifications.iter().all(|told| told.customer.is_none() && told.row().unwrap().to.is_empty()));
    told_after(4, with(events, [refund_due("1"), orphaned(7)]), &[]);
}

#[test]
fn the_same_fact_has_the_same_id_and_no_other_has() {
    let ids = |notifications: &[Notification]| notifications.iter().map(|told| told.id).collect::<Vec<_>>();
    let notifications = told(paid());
    assert_eq!(ids(&notifications), ids(&told(paid())));
    let mut distinct = ids(&told(with(paid(), [PayoutReorged {}.into()])));
    assert_eq!(distinct[..7], ids(&notifications));
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 8);
    // Whoever was told it before this line changed knows it by this id.
    assert!(distinct.iter().all(|id| id.get_version_num() == 5));
    assert_eq!(notifications[0].id.to_string(), "9873f0d0-37ee-5f73-ae3b-570523672110");
}

#[test]
fn of_the_desk_operators_are_told_that_it_is_halted_and_goes_on() {
    let of = |version, event: desk::Event| {
        Notification::of_desk(&testing::recorded(40 + version, StreamName::Desk, version, event::Event::Desk(event)))
    };
    let cause = HaltCause::Operator { note: "a secret".into() };
    let halted = of(3, desk::Halted { cause }.into()).unwrap();
    assert_eq!((halted.kind, halted.sequence, halted.position), (NotificationType::DeskHalted, 3, 43));
    assert_eq!(halted.resource, Resource::Desk(DeskState { halted: true, cause: Some("operator".to_owned()) }));
    assert!(!halted.body().contains("secret"));
    let resumed = of(4, desk::Resumed { note: "a secret".into() }.into()).unwrap();
    assert!(resumed.kind.audience() == Audience::Operator && !resumed.body().contains("secret"));
    let switched = desk::SwitchSet { switch: desk::Switch::Sends, setting: desk::Setting::Off, note: String::new() };
    assert_eq!(of(5, switched.into()), None);
}

#[test]
fn operators_are_told_which_part_is_down_and_how_much_is_where() {
    let of = |event: desk::Event| {
        let told = Notification::of_desk(&testing::recorded(44, StreamName::Desk, 4, event::Event::Desk(event)));
        let told = told.unwrap();
        assert!(told.kind.audience() == Audience::Operator && told.customer.is_none() && told.sequence == 4);
        serde_json::from_str::<serde_json::Value>(&told.body()).unwrap()
    };
    let (part, since) = (|| "scanner".to_owned(), DateTime::UNIX_EPOCH);
    let down = of(alert::PartDown { part: part(), since, reason: alert::DownReason::NotRunning }.into());
    assert_eq!((&down["event_type"], &down["summary"]), (&"Desk.Part_Down".into(), &"scanner is down.".into()));
    let since_text = "1970-01-01T00:00:00Z";
    let said = serde_json::json!({ "part": "scanner", "down": true, "since": since_text, "reason": "not_running" });
    assert_eq!(down["resource"], said);
    let up = of(alert::PartUp { part: part(), since }.into());
    assert_eq!(up["resource"]["reason"], serde_json::Value::Null);

    let (place, coin) = (desk::Place::Exchange, Ticker::Btc);
    let low = of(alert::BalanceLow { place, coin, balance: 9_000_000, threshold: 10_000_000 }.into());
    let amounts = ["0.09000000", "0.10000000"];
    let said = serde_json::json!({ "place": "exchange", "coin": "BTC", "low": true, "balance": amounts[0], "threshold": amounts[1] });
    assert_eq!((&low["event_type"], &low["resource"]), (&"Desk.Balance_Low".into(), &said));
    let text = "Too little in the exchange: 0.09000000 BTC are there, at least 0.10000000 BTC are wanted.";
    assert_eq!(low["summary"], text);
}

#[test]
fn nobodys_words_are_in_a_body() {
    let told = told(with(owed(), [held(HoldReason::Operator { note: "a secret".into() }), refund_due("1")]));
    assert!(told.iter().all(|told| !told.body().contains("secret")));
    let last: serde_json::Value = serde_json::from_str(&told[4].body()).unwrap();
    assert_eq!((last["event_type"].as_str(), last["sequence"].as_u64()), (Some("Withdrawal.Failed"), Some(5)));
    let customer = Customer { target: "2Gcustomer".into(), bound_method: Method::Direct };
    assert_eq!(last["resource"]["To"].as_str(), Some(customer.target.as_str()));
}
