//! What happens next to a deposit of a drawn log.

use std::sync::LazyLock;

use bitcoin::secp256k1::{Secp256k1, SecretKey, SignOnly};
use millrace_model::chain::SpentCoin;
use millrace_model::deposit::{
    BlockRef, Command, Customer, DecisionTerms, Deposit, Detected, Method, PayoutTerms, RemainderPolicy, Sighting,
    SignedPayout, Stage, Terms,
};
use millrace_model::ids::{DepositId, Hash32, Outpoint};
use millrace_model::money::{Amount, Btc, Rate, Sky};
use millrace_model::purchase::{
    ClientOrderId, Fact, Level, OrderIntent, OrderObservation, OrderPhase, OrderState, Price, Purchase, SeenBook,
};
use millrace_model::wallet::{self, InputsReserved, InputsSpent};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use rand::Rng;
use rand::rngs::SmallRng;
use rust_decimal::Decimal;

/// The exchange's time of an order book, in 2026.
const BOOK_MS: std::ops::Range<u64> = 1_767_225_600_000..1_798_761_600_000;
/// One in so many deposits is too small to deal in.
const TOO_SMALL: u32 = 200;
/// What a deposit may bring, in satoshi.
const SATOSHI: std::ops::Range<u64> = 100_000..50_000_000;
/// How many of the hot wallet's outputs a payout spends: their hashes and signatures are most of what is stored.
const INPUTS: std::ops::RangeInclusive<usize> = 6..=11;
/// A signed Skycoin transaction with two outputs, without its inputs.
const TRANSACTION_BYTES: usize = 123;
/// Each input with its signature.
const INPUT_BYTES: usize = 97;

/// The same where not much is wanted of each deposit.
pub(super) const FEW_INPUTS: std::ops::RangeInclusive<usize> = 1..=2;

/// What the desk does about a deposit, and what that means for the hot wallet.
pub(super) struct Step {
    pub(super) command: Command,
    pub(super) wallet: Option<wallet::Event>,
}

/// A Skycoin address of which nobody knows the key.
pub(super) fn target(chance: &mut SmallRng) -> String {
    static SECP: LazyLock<Secp256k1<SignOnly>> = LazyLock::new(Secp256k1::signing_only);
    let key = loop {
        // Some very few numbers are no keys.
        if let Ok(key) = SecretKey::from_slice(&chance.random::<[u8; 32]>()) {
            break key;
        }
    };
    SkyAddress::from_public_key(&key.public_key(&SECP)).to_string()
}

/// A new deposit.
pub(super) fn detected(
    chance: &mut SmallRng,
    id: DepositId,
    (address, customer): (String, Option<Customer>),
) -> Detected {
    let satoshi = if chance.random_ratio(1, TOO_SMALL) { 9_000 } else { chance.random_range(SATOSHI) };
    let spends =
        (0..chance.random_range(1..6)).map(|index| SpentCoin::from(Outpoint { txid: Hash32(chance.random()), index }));
    let spends = spends.collect();
    Detected {
        id,
        outpoint: Outpoint { txid: Hash32(chance.random()), index: chance.random_range(0..3) },
        address,
        amount: btc(satoshi),
        customer,
        spends,
        coinbase: false,
    }
}

/// What comes next for this deposit; nothing when it has ended or is left as it is.
pub(super) fn next(chance: &mut SmallRng, deposit: &Deposit, block: BlockRef) -> Option<Step> {
    next_with(chance, deposit, block, INPUTS)
}

/// The same, with payouts that spend so many outputs.
pub(super) fn next_with(
    chance: &mut SmallRng,
    deposit: &Deposit,
    block: BlockRef,
    inputs: std::ops::RangeInclusive<usize>,
) -> Option<Step> {
    let id = deposit.receipt.id;
    let (command, wallet) = match &deposit.stage {
        Stage::Pending if matches!(deposit.sighting, Sighting::Mined(_)) => {
            (Command::ObserveMature { confirmations: 1, seen_before: None }, None)
        }
        Stage::Pending => (Command::ObserveMined { block }, None),
        Stage::WaitDecide => (Command::Decide(terms(chance, deposit)), None),
        Stage::WaitBuy => (buy(chance, deposit), None),
        Stage::WaitSend => match deposit.signed_payout() {
            Some(_) => (Command::RecordSent, None),
            None => {
                let signed = signed(chance, inputs);
                let reserved = InputsReserved { deposit: id, inputs: signed.inputs.clone() };
                (Command::RecordSigned(signed), Some(reserved.into()))
            }
        },
        Stage::WaitConfirm => {
            let confirmed = Command::RecordConfirmed { block_seq: block.height, confirmations: 3 };
            (confirmed, Some(InputsSpent { deposit: id }.into()))
        }
        Stage::Held { .. } if chance.random_ratio(1, 4) => return None,
        Stage::Held { .. } => (Command::MarkRefundDue { note: "too small to deal in".to_owned() }, None),
        Stage::RefundDue { .. } => {
            let note = "sent from the owners' wallet".to_owned();
            (Command::MarkRefunded { txid: Hash32(chance.random()), note }, None)
        }
        Stage::Quarantined | Stage::Done(_) => return None,
    };
    Some(Step { command, wallet })
}

fn terms(chance: &mut SmallRng, deposit: &Deposit) -> DecisionTerms {
    let bound = deposit.receipt.customer.as_ref().map(|customer| customer.bound_method);
    let terms = match bound {
        Some(Method::Direct) | None => Terms::Direct { rate: rate() },
        Some(Method::Passthrough) => passthrough(chance, deposit.receipt.amount),
    };
    let (minimum, maximum) = (btc(10_000), btc(1_000_000_000));
    DecisionTerms { terms, minimum, maximum, payout: payout() }
}

/// Half of them with the order book, as if an earlier version had decided the other half.
fn passthrough(chance: &mut SmallRng, budget: Amount<Btc>) -> Terms {
    let best = chance.random_range(188..210);
    let asks = [0, 1, 2, 3, 5, 7].map(|step| Level { price: price(best + step), volume: sky(chance) });
    let limit = price(best).raised_by(Decimal::from(5)).expect("a price");
    let book = SeenBook::of(chance.random_range(BOOK_MS), (&asks, Some(price(best - 1))), limit, budget);
    let upon = Terms::upon(book.expect("a book that could be traded on"));
    match upon {
        Terms::Passthrough { best_ask, .. } if chance.random() => Terms::Passthrough { best_ask, book: None },
        upon => upon,
    }
}

/// What somebody offers.
fn sky(chance: &mut SmallRng) -> Amount<Sky> {
    Amount::from_units(chance.random_range(1_000_000..500_000_000)).expect("a few hundred")
}

/// An order for all of it, filled in one or two steps.
fn buy(chance: &mut SmallRng, deposit: &Deposit) -> Command {
    let purchase = deposit.purchase.as_ref().expect("what is bought for has a purchase");
    let best_ask = deposit.best_ask.expect("a purchase was decided upon an ask");
    match purchase.open_order() {
        None if purchase.has_ordered() => {
            Command::FinishPurchase(RemainderPolicy { rounding_maximum: btc(1_000), payout: payout() })
        }
        None => intend(chance, intent(purchase, deposit.receipt.id, best_ask)),
        Some(order) if order.phase == OrderPhase::Intended => {
            Command::RecordPurchase(Fact::Placed { order_id: chance.random_range(1..1_000_000_000) })
        }
        Some(order) => {
            let is_first = order.seen.is_none() && chance.random_ratio(1, 3);
            let (parts, state) = if is_first { (2, OrderState::Open) } else { (1, OrderState::Filled) };
            let completed = Amount::from_units(order.intent.quantity.units() / parts).expect("less than was ordered");
            let (avg_price, fee) = (Some(order.intent.price), btc(chance.random_range(100..10_000)));
            Command::RecordPurchase(Fact::Observed(OrderObservation { completed, avg_price, fee, state }))
        }
    }
}

/// Half of them with the order book, as if an earlier version had ordered the other half.
fn intend(chance: &mut SmallRng, order: OrderIntent) -> Command {
    if chance.random() {
        return Command::RecordPurchase(Fact::Intended(order));
    }
    let dearer = |step| Price::new(order.price.btc_per_sky() + Decimal::new(step, 5)).expect("a price");
    let asks = [0, 1, 2, 3, 5, 7].map(|step| Level { price: dearer(step), volume: sky(chance) });
    let limit = order.price.raised_by(Decimal::from(5)).expect("a price");
    let book = SeenBook::of_order(chance.random_range(BOOK_MS), (&asks, Some(dearer(-1))), limit, &order);
    Command::IntendOrder { order, book: Some(book.expect("a book that could be traded on")) }
}

fn intent(purchase: &Purchase, id: DepositId, price: Price) -> OrderIntent {
    let attempt = purchase.next_attempt();
    let quantity = price.affordable(purchase.remaining(), 3).expect("an amount");
    OrderIntent { attempt, cid: ClientOrderId::for_attempt(id, attempt), price, quantity }
}

fn signed(chance: &mut SmallRng, inputs: std::ops::RangeInclusive<usize>) -> SignedPayout {
    let inputs: Vec<_> = (0..chance.random_range(inputs)).map(|_| Hash32(chance.random())).collect();
    let mut bytes = vec![0; TRANSACTION_BYTES + INPUT_BYTES * inputs.len()];
    chance.fill(&mut bytes[..]);
    SignedPayout {
        txid: Hash32(chance.random()),
        inner_hash: Hash32(chance.random()),
        inputs,
        bytes: hex::encode(bytes),
    }
}

fn payout() -> PayoutTerms {
    PayoutTerms { decimals: 3, maximum: Amount::MAX }
}

fn rate() -> Rate {
    "512.5".parse().expect("a rate")
}

fn price(hundred_thousandths: i64) -> Price {
    Price::new(Decimal::new(hundred_thousandths, 5)).expect("a price")
}

fn btc(satoshi: u64) -> Amount<Btc> {
    Amount::from_units(satoshi).expect("less than all bitcoins")
}
