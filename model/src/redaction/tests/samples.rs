//! Every event and every command, with every field filled and every variant of what is inside. Written out in full: a new
//! field or variant does not compile until it is in here.

use chrono::DateTime;
use uuid::Uuid;

use crate::address_book::AddressIssued;
use crate::alert::{Alert, BalanceLow, BalanceRestored, DownReason, PartDown, PartUp};
use crate::binding::Bound;
use crate::chain::{BlockScanned, ChainReorged, CoinsRemembered, Seen, SightingSetAside, SightingsTakenUp, SpentCoin};
use crate::damage::Damage;
use crate::deposit::*;
use crate::desk::{
    self, Coins, Difference, HaltCause, Halted, Place, Resumed, Setting, SpendsMatched, SweepSeen, Switch, SwitchSet,
    TransferDeclared, TransferKind,
};
use crate::event;
use crate::head::{Departure, Restored};
use crate::ids::{DepositId, Hash32, Outpoint, SubscriptionId};
use crate::ledger::Ticker;
use crate::money::{Amount, Btc, Sky};
use crate::operator::{Action, By, OperatorActed};
use crate::purchase::{ClientOrderId, Fact, Level, OrderIntent, OrderObservation, OrderState, Price, SeenBook, Side};
use crate::spend::Spend;
use crate::stray::StrayOrder;
use crate::subscription::{
    self, CursorMoved, DeliveryDisabled, DeliveryPaused, DeliveryResumed, Disabling, Ending, Ownership,
    OwnershipFailed, OwnershipProved, Proof, Subscribed, SubscriptionChanged, Unsubscribed,
};
use crate::wallet::{InputsReserved, InputsSpent};

const ADDRESS: &str = "bcrt1qu27s686mfq0epqs6fwv2zw6qj8p83apckp6s52";
const TARGET: &str = "2GgFvqoyk9RjwVzj8tqfcXVXB4orBwoc9qv";
const WORDS: &str = "Ann rang";
const ID: DepositId = DepositId(Uuid::from_u128(7));
/// A transaction or an output of somebody's.
const THEIRS: Hash32 = Hash32([0xab; 32]);
const BYTES: &str = "dcabababababab00";

/// Parts of what is personal in the samples.
pub(super) const PERSONAL: [&str; 6] =
    ["27s686mfq", "GgFvqoyk9", WORDS, "abababab", "b6589fc6ab0dc82c", "f3ff11110c48"];

fn btc() -> Amount<Btc> {
    "0.5".parse().unwrap()
}

fn sky() -> Amount<Sky> {
    "250".parse().unwrap()
}

fn price() -> Price {
    "0.002".parse().unwrap()
}

fn seen_book() -> SeenBook {
    let ask = |price: &str| Level { price: price.parse().unwrap(), volume: sky() };
    let asks = [price().to_string().as_str(), "0.0021"].map(ask);
    SeenBook::of(1_700_000_000_123, (&asks, "0.0019".parse().ok()), "0.00212".parse().unwrap(), btc()).unwrap()
}

fn block() -> BlockRef {
    BlockRef { height: 7, hash: Hash32([7; 32]) }
}

fn words() -> String {
    WORDS.to_owned()
}

fn spends() -> Vec<SpentCoin> {
    vec!["b6589fc6ab0dc82c".parse::<SpentCoin>().unwrap()]
}

fn customer() -> Customer {
    Customer { target: TARGET.to_owned(), bound_method: Method::Direct }
}

fn order() -> OrderIntent {
    let cid = ClientOrderId::try_from("f3ff11110c48aaaaaaaaaaaa-1".to_owned()).unwrap();
    OrderIntent { attempt: 1, cid, price: price(), quantity: sky() }
}

fn observation() -> OrderObservation {
    OrderObservation { completed: sky(), avg_price: Some(price()), fee: btc(), state: OrderState::Filled }
}

fn signed() -> SignedPayout {
    SignedPayout { txid: THEIRS, inner_hash: THEIRS, inputs: vec![THEIRS], bytes: BYTES.to_owned() }
}

/// All reasons. The `match` is for whoever adds one.
fn reasons() -> Vec<HoldReason> {
    let all = vec![
        HoldReason::BelowMinimum,
        HoldReason::AboveMaximum,
        HoldReason::NothingToSend,
        HoldReason::PayoutAboveMaximum,
        HoldReason::DepositOrphaned,
        HoldReason::CoinsSeenBefore { earlier: ID },
        HoldReason::OrderUnaccounted,
        HoldReason::PurchaseStopped,
        HoldReason::PayoutTooManyInputs,
        HoldReason::InvalidTarget,
        HoldReason::PaidBefore { txid: THEIRS },
        HoldReason::WalletMisbehaved,
        HoldReason::Operator { note: words() },
    ];
    let is_listed = |reason: &HoldReason| match reason {
        HoldReason::BelowMinimum
        | HoldReason::AboveMaximum
        | HoldReason::NothingToSend
        | HoldReason::PayoutAboveMaximum
        | HoldReason::DepositOrphaned
        | HoldReason::CoinsSeenBefore { earlier: _ }
        | HoldReason::OrderUnaccounted
        | HoldReason::PurchaseStopped
        | HoldReason::PayoutTooManyInputs
        | HoldReason::InvalidTarget
        | HoldReason::PaidBefore { txid: _ }
        | HoldReason::WalletMisbehaved
        | HoldReason::Operator { note: _ } => true,
    };
    assert!(all.iter().all(is_listed));
    all
}

fn spend() -> Spend {
    Spend { txid: THEIRS, block_seq: 3, coins: sky() }
}

fn causes() -> Vec<HaltCause> {
    let (place, coin) = (Place::HotWallet, Ticker::Sky);
    let order = StrayOrder {
        order_id: 3,
        cid: Some("f3ff11110c48aaaaaaaaaaaa-1".to_owned()),
        side: Side::Buy,
        price: Some(price()),
        quantity: sky(),
        completed: sky(),
    };
    let restored =
        Restored { departure: Departure::Shorter, known: 9, known_hash: THEIRS, found: 4, lost_from: 3, lost_to: 100 };
    let all = vec![
        HaltCause::Operator { note: words() },
        HaltCause::Missing { differences: vec![Difference { place, coin, booked: 5, in_flight: 1, found: 3 }] },
        HaltCause::Restored(restored),
        HaltCause::Damaged { damages: vec![Damage::Changed { position: 3 }, Damage::Missing { position: 9 }] },
        HaltCause::StrayOrders { orders: vec![order] },
        HaltCause::StraySpends { spends: vec![spend()] },
    ];
    let is_listed = |cause: &HaltCause| match cause {
        HaltCause::Operator { note: _ }
        | HaltCause::Missing { differences: _ }
        | HaltCause::Restored(_)
        | HaltCause::Damaged { damages: _ }
        | HaltCause::StrayOrders { orders: _ }
        | HaltCause::StraySpends { spends: _ } => true,
    };
    assert!(all.iter().all(is_listed));
    all
}

fn facts() -> Vec<Fact> {
    let all = vec![
        Fact::Intended(order()),
        Fact::Placed { order_id: 3 },
        Fact::Refused { reason: words() },
        Fact::CancelIntended,
        Fact::Observed(observation()),
    ];
    let is_listed = |fact: &Fact| match fact {
        Fact::Intended(_)
        | Fact::Placed { order_id: _ }
        | Fact::Refused { reason: _ }
        | Fact::CancelIntended
        | Fact::Observed(_) => true,
    };
    assert!(all.iter().all(is_listed));
    all
}

fn of_deposits() -> Vec<Event> {
    let outpoint = Outpoint { txid: THEIRS, index: 1 };
    let SignedPayout { txid, inner_hash, inputs, bytes } = signed();
    let detected = Detected {
        id: ID,
        outpoint,
        address: ADDRESS.to_owned(),
        amount: btc(),
        customer: Some(customer()),
        spends: spends(),
        coinbase: false,
    };
    let mut events: Vec<Event> = vec![
        detected.into(),
        Mined { block: block() }.into(),
        Orphaned { block: block() }.into(),
        Vanished { replaced_by: Some(THEIRS) }.into(),
        Matured { confirmations: 2 }.into(),
        Quarantined {}.into(),
        StatusWaitDecide {}.into(),
        StatusWaitBuy { budget: btc(), best_ask: price(), book: None }.into(),
        StatusWaitBuy { budget: btc(), best_ask: price(), book: Some(seen_book()) }.into(),
        OrderIntended { order: order(), book: None }.into(),
        OrderIntended { order: order(), book: Some(seen_book()) }.into(),
        OrderPlaced { order_id: 3 }.into(),
        OrderRefused { reason: words() }.into(),
        OrderCancelIntended {}.into(),
        OrderObserved { observation: observation() }.into(),
        Bought { bought: sky(), spent: btc() }.into(),
        PurchaseStopped { bought: sky(), spent: btc(), reason: words() }.into(),
        RemainderBooked { amount: btc(), to: RemainderUse::Refund }.into(),
        PayoutIntended { attempt: 1 }.into(),
        PayoutSigned { txid, inner_hash, inputs, bytes }.into(),
        PayoutVoided { conflicting_txid: THEIRS }.into(),
        Sent {}.into(),
        PayoutReorged {}.into(),
        Confirmed { block_seq: 3, confirmations: 2 }.into(),
        Released { note: words() }.into(),
        RefundDue { amount: btc(), note: words() }.into(),
        RefundMarked { txid: THEIRS, note: words() }.into(),
        ReorgLoss { amount: btc() }.into(),
        Failed { reason: words() }.into(),
        WrittenOff { bought: sky(), spent: btc(), note: words() }.into(),
    ];
    events.extend(reasons().into_iter().map(|reason| Held { reason }.into()));
    for basis in [PayoutBasis::Bought, PayoutBasis::Direct { rate: "500".parse().unwrap() }] {
        events.push(StatusWaitSend { basis, amount: sky(), rounding: sky() }.into());
    }
    events
}

/// Every event.
pub(crate) fn events() -> Vec<event::Event> {
    let bound = Bound { address: ADDRESS.to_owned(), index: 4, customer: customer() };
    let transfer =
        |coins| TransferDeclared { kind: TransferKind::Refill, place: Place::Exchange, coins, note: words() };
    let chain = [
        BlockScanned { block: block() }.into(),
        ChainReorged { fork: block(), abandoned: block() }.into(),
        CoinsRemembered { deposit: ID, spends: spends() }.into(),
        SightingSetAside { deposit: ID, seen: Seen::Mined { block: block() } }.into(),
        SightingSetAside { deposit: ID, seen: Seen::Orphaned { above: 6 } }.into(),
        SightingsTakenUp { deposit: ID }.into(),
    ];
    let mut desk = vec![
        SwitchSet { switch: Switch::Sends, setting: Setting::Off, note: words() }.into(),
        transfer(Coins::Btc(btc())).into(),
        transfer(Coins::Sky(sky())).into(),
        Resumed { note: words() }.into(),
        SweepSeen { spend: spend() }.into(),
        SpendsMatched { block_seq: 3 }.into(),
    ];
    desk.extend(alerts().map(desk::Event::from));
    desk.extend(acts().map(desk::Event::from));
    desk.extend(causes().into_iter().map(|cause| Halted { cause }.into()));
    let deposits = of_deposits().into_iter().map(event::Event::Deposit);
    let wallet = [InputsReserved { deposit: ID, inputs: vec![THEIRS] }.into(), InputsSpent { deposit: ID }.into()];
    deposits
        .chain([event::Event::Binding(bound.into()), event::Event::AddressBook(AddressIssued { index: 4 }.into())])
        .chain(chain.map(event::Event::Chain))
        .chain(wallet.map(event::Event::Wallet))
        .chain(desk.into_iter().map(event::Event::Desk))
        .chain(subscriptions().map(event::Event::Subscription))
        .collect()
}

fn acts() -> [OperatorActed; 3] {
    let (subject, note) = (Some(words()), Some(words()));
    [By::Token, By::Operator(words()), By::Stranger].map(|by| OperatorActed {
        by,
        action: Action::LogIn,
        subject: subject.clone(),
        note: note.clone(),
    })
}

fn alerts() -> [Alert; 4] {
    let (part, since) = (|| "scanner".to_owned(), DateTime::UNIX_EPOCH);
    let (place, coin, balance, threshold) = (Place::HotWallet, Ticker::Sky, 1, 2);
    [
        Alert::PartDown(PartDown { part: part(), since, reason: DownReason::Unreachable }),
        Alert::PartUp(PartUp { part: part(), since }),
        Alert::BalanceLow(BalanceLow { place, coin, balance, threshold }),
        Alert::BalanceRestored(BalanceRestored { place, coin, balance, threshold }),
    ]
}

fn subscription_terms() -> subscription::Terms {
    subscription::Terms {
        events: vec!["Deposit.*".to_owned()],
        customer: Some(THEIRS),
        dialect: subscription::Dialect::Standard,
        schedule: subscription::Schedule::Standard,
        order: subscription::Order::PerDeposit,
        rate_per_s: Some(5),
    }
}

fn subscriptions() -> impl Iterator<Item = subscription::Event> {
    let (id, terms, sealed) = (SubscriptionId(ID.0), subscription_terms(), words());
    let changed = |proof| SubscriptionChanged { sealed: words(), terms: subscription_terms(), proof };
    [
        Subscribed { id, sealed, terms, ownership: Ownership::ToBeProved }.into(),
        changed(Proof::NotNeeded).into(),
        changed(Proof::Missing { failures: 1 }).into(),
        changed(Proof::Given { failures: 1 }).into(),
        OwnershipProved {}.into(),
        OwnershipFailed { failures: 2 }.into(),
        DeliveryPaused {}.into(),
        DeliveryResumed {}.into(),
        DeliveryDisabled { why: Disabling::Gone }.into(),
        CursorMoved { after: 3 }.into(),
        Unsubscribed { why: Ending::Wanted }.into(),
    ]
    .into_iter()
}

fn payout() -> PayoutTerms {
    PayoutTerms { decimals: 3, maximum: sky() }
}

fn terms(terms: Terms) -> Command {
    Command::Decide(DecisionTerms { terms, minimum: btc(), maximum: btc(), payout: payout() })
}

/// Every command on a deposit. The `match` is for whoever adds one.
pub(super) fn commands() -> Vec<Command> {
    let mut all = vec![
        Command::ObserveMined { block: block() },
        Command::ObserveOrphaned,
        Command::ObserveVanished { replaced_by: Some(THEIRS) },
        Command::ObserveMature { confirmations: 2, seen_before: Some(ID) },
        terms(Terms::Direct { rate: "500".parse().unwrap() }),
        terms(Terms::Passthrough { best_ask: price(), book: None }),
        terms(Terms::upon(seen_book())),
        Command::IntendOrder { order: order(), book: Some(seen_book()) },
        Command::FinishPurchase(RemainderPolicy { rounding_maximum: btc(), payout: payout() }),
        Command::RecordSigned(signed()),
        Command::RecordVoided { conflicting_txid: THEIRS },
        Command::RecordSent,
        Command::RecordPayoutReorged,
        Command::RecordConfirmed { block_seq: 3, confirmations: 2 },
        Command::Release { note: words() },
        Command::MarkRefundDue { note: words() },
        Command::MarkRefunded { txid: THEIRS, note: words() },
    ];
    all.extend(facts().into_iter().map(Command::RecordPurchase));
    all.extend(reasons().into_iter().map(|reason| Command::Hold { reason }));
    all.extend(reasons().into_iter().map(|reason| Command::StopPurchase { reason }));
    let is_listed = |command: &Command| match command {
        Command::ObserveMined { .. }
        | Command::ObserveOrphaned
        | Command::ObserveVanished { .. }
        | Command::ObserveMature { .. }
        | Command::Decide(_)
        | Command::RecordPurchase(_)
        | Command::IntendOrder { .. }
        | Command::FinishPurchase(_)
        | Command::StopPurchase { .. }
        | Command::RecordSigned(_)
        | Command::RecordVoided { .. }
        | Command::RecordSent
        | Command::RecordPayoutReorged
        | Command::RecordConfirmed { .. }
        | Command::Hold { .. }
        | Command::Release { .. }
        | Command::MarkRefundDue { .. }
        | Command::MarkRefunded { .. } => true,
    };
    assert!(all.iter().all(is_listed));
    all
}
