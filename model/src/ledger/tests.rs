//! Entries of whole lives, drawn and by hand.

use proptest::prelude::*;

use super::*;
use crate::deposit::*;
use crate::ids::{DepositId, Hash32, Outpoint};
use crate::purchase::{ClientOrderId, Fact, OrderIntent, OrderObservation, OrderPhase, OrderState, Price};

fn detected(customer: Option<Customer>, amount: Amount<Btc>) -> Detected {
    Detected {
        id: DepositId(uuid::Uuid::from_u128(1)),
        outpoint: Outpoint { txid: Hash32([1; 32]), index: 0 },
        address: "bcrt1qdeposit".into(),
        amount,
        customer,
        spends: vec![],
        coinbase: false,
    }
}

fn customer() -> Customer {
    Customer { target: "target".into(), bound_method: Method::Direct }
}

/// A deposit and all that it posted.
struct Life {
    deposit: Deposit,
    balances: Balances,
    /// What of it became neither a purchase nor a payout from stock.
    remainder: Amount<Btc>,
}

impl Life {
    fn begin(receipt: Detected) -> Self {
        let deposit = evolve(None, &receipt.into()).unwrap();
        Self { deposit, balances: Balances::default(), remainder: Amount::ZERO }
    }

    /// Carries out a command that the rules allow, and checks every entry.
    fn command(&mut self, command: &Command) -> bool {
        let Ok(events) = self.deposit.decide(command) else { return false };
        for event in events {
            assert_eq!(check_step(Some(&self.deposit), &event), Ok(()), "{event:?} after {:?}", self.deposit);
            let after = evolve(Some(self.deposit.clone()), &event).unwrap();
            let entry = of_deposit(&Standing::of(&self.deposit), &event, &after);
            for coin in Ticker::ALL {
                let of_coin = entry.postings().iter().filter(|posting| posting.coin == coin);
                assert_eq!(of_coin.map(|posting| i128::from(posting.units)).sum::<i128>(), 0, "{event:?}");
            }
            self.balances.post(&entry);
            if let Event::RemainderBooked(booked) = &event {
                self.remainder = self.remainder.checked_add(booked.amount).unwrap();
            }
            self.deposit = after;
            self.check();
        }
        true
    }

    fn of(&self, account: Account, coin: Ticker) -> i128 {
        self.balances.of(account, coin)
    }

    fn check(&self) {
        let deposited = i128::from(self.deposit.receipt.amount.units());
        for coin in Ticker::ALL {
            assert_eq!(self.balances.sum(coin), 0);
        }
        for Balance { account, coin, units } in self.balances.all() {
            if account.nature() == Nature::Liability {
                assert!(*units <= 0, "{account:?} in {coin:?} is {units}: {:?}", self.deposit);
            }
        }
        let (held, lost) = (self.of(Account::DepositAddresses, Ticker::Btc), self.of(Account::Receivable, Ticker::Btc));
        assert!((held == 0 && [0, deposited].contains(&lost)) || (held == deposited && lost == 0), "{held}, {lost}");
        assert!(self.of(Account::ExchangeFrozen, Ticker::Btc) >= 0);
        if let Stage::Done(outcome) = &self.deposit.stage {
            self.check_end(outcome, deposited);
        }
    }

    fn check_end(&self, outcome: &Outcome, deposited: i128) {
        assert_eq!(self.of(Account::Customer, Ticker::Btc), 0, "{:?}", self.deposit);
        assert_eq!(self.of(Account::Suspense, Ticker::Btc), 0);
        assert_eq!(self.of(Account::ExchangeFrozen, Ticker::Btc), 0);
        assert_eq!(self.of(Account::PayoutInFlight, Ticker::Sky), 0);
        match outcome {
            Outcome::Paid => {
                assert_eq!(self.of(Account::Payout, Ticker::Sky), 0);
                let paid = i128::from(self.deposit.payout.as_ref().unwrap().amount.units());
                assert_eq!(self.of(Account::HotWallet, Ticker::Sky), -paid);
                let spent = self.deposit.purchase.as_ref().map(|purchase| purchase.spent());
                let sold = -self.of(Account::Trading, Ticker::Btc);
                let cost = spent.map_or(sold, |spent| i128::from(spent.units()));
                assert_eq!(cost + i128::from(self.remainder.units()), deposited);
            }
            Outcome::Refunded { .. } => assert_eq!(self.of(Account::Refund, Ticker::Btc), 0),
            Outcome::Vanished => assert!(self.balances.all().iter().all(|balance| balance.units == 0)),
            Outcome::WrittenOff { .. } => self.check_written_off(),
            Outcome::Failed { .. } => {}
        }
    }
}

impl Life {
    /// Nobody owes anything, and nothing is left but what the desk bought.
    fn check_written_off(&self) {
        use Account::{DepositAddresses, HotWallet, Payout, Receivable, Refund, Trading};
        let (deposits, owed) = ([DepositAddresses, Receivable, Refund], [Payout, HotWallet]);
        assert!(deposits.iter().all(|account| self.of(*account, Ticker::Btc) == 0), "{:?}", self.balances);
        assert!(owed.iter().all(|account| self.of(*account, Ticker::Sky) == 0), "{:?}", self.balances);
        assert_eq!(self.of(Account::Rounding, Ticker::Sky), 0);
        let bought = self.deposit.purchase.as_ref().map(|purchase| (purchase.spent(), purchase.bought()));
        let (spent, bought) = bought.unwrap_or_default();
        assert_eq!(self.of(Trading, Ticker::Btc), i128::from(spent.units()));
        assert_eq!(self.of(Trading, Ticker::Sky), -i128::from(bought.units()));
        assert_eq!(self.of(Account::ExchangeFree, Ticker::Sky), i128::from(bought.units()));
    }
}

fn terms(terms: Terms) -> Command {
    let (minimum, maximum) = (Amount::from_units(50).unwrap(), "90000".parse().unwrap());
    Command::Decide(DecisionTerms { terms, minimum, maximum, payout: payout_terms() })
}

fn payout_terms() -> PayoutTerms {
    PayoutTerms { decimals: 3, maximum: "100000".parse().unwrap() }
}

fn direct() -> Command {
    terms(Terms::Direct { rate: "512.7".parse().unwrap() })
}

fn passthrough() -> Command {
    terms(Terms::Passthrough { best_ask: "0.002".parse().unwrap(), book: None })
}

fn finish() -> Command {
    let rounding_maximum = "0.0001".parse().unwrap();
    Command::FinishPurchase(RemainderPolicy { rounding_maximum, payout: payout_terms() })
}

fn sign() -> Command {
    let (txid, inner_hash) = (Hash32([5; 32]), Hash32([6; 32]));
    Command::RecordSigned(SignedPayout { txid, inner_hash, inputs: vec![], bytes: "00".into() })
}

/// What most often comes next.
fn forward(deposit: &Deposit, drawn: u64) -> Command {
    match (&deposit.stage, &deposit.sighting) {
        (Stage::Pending, Sighting::Mined(_)) => mature(),
        (Stage::Pending | Stage::Done(_), _) => mined(drawn),
        (Stage::Quarantined, _) => Command::MarkRefundDue { note: String::new() },
        (Stage::WaitDecide, _) if drawn.is_multiple_of(2) => direct(),
        (Stage::WaitDecide, _) => passthrough(),
        (Stage::WaitBuy, _) => buy(deposit, drawn),
        (Stage::WaitSend, _) if deposit.signed_payout().is_none() => sign(),
        (Stage::WaitSend, _) => Command::RecordSent,
        (Stage::WaitConfirm, _) => Command::RecordConfirmed { block_seq: 5, confirmations: 1 },
        (Stage::Held { .. }, _) if drawn.is_multiple_of(3) => Command::MarkRefundDue { note: String::new() },
        (Stage::Held { .. }, _) => Command::Release { note: String::new() },
        (Stage::RefundDue { .. }, _) => Command::MarkRefunded { txid: Hash32([8; 32]), note: String::new() },
    }
}

fn mature() -> Command {
    Command::ObserveMature { confirmations: 1, seen_before: None }
}

fn mined(drawn: u64) -> Command {
    Command::ObserveMined { block: BlockRef { height: drawn % 100, hash: Hash32([drawn as u8; 32]) } }
}

fn buy(deposit: &Deposit, drawn: u64) -> Command {
    let purchase = deposit.purchase.as_ref().unwrap();
    let Some(open) = purchase.open_order() else {
        let price = Price::new(rust_decimal::Decimal::new(1 + (drawn % 5_000) as i64, 6)).unwrap();
        let most = price.affordable(purchase.remaining(), 3).unwrap_or_default();
        let quantity = Amount::from_units(most.units() / (1 + drawn % 3)).unwrap();
        let (attempt, cid) = (purchase.next_attempt(), ClientOrderId::for_attempt("a deposit", 1));
        if quantity.is_zero() || drawn.is_multiple_of(5) {
            return finish();
        }
        return Command::RecordPurchase(Fact::Intended(OrderIntent { attempt, cid, price, quantity }));
    };
    let fact = match open.phase {
        OrderPhase::Intended if drawn.is_multiple_of(7) => Fact::Refused { reason: String::new() },
        OrderPhase::Intended => Fact::Placed { order_id: 1 },
        OrderPhase::Placed { .. } if drawn.is_multiple_of(7) => Fact::CancelIntended,
        OrderPhase::Placed { .. } | OrderPhase::Cancelling { .. } => {
            let filled = open.seen.as_ref().map_or(0, |seen| seen.completed.units());
            let completed = filled + (open.intent.quantity.units() - filled) * (drawn % 11) / 10;
            let completed = Amount::from_units(completed.min(open.intent.quantity.units())).unwrap();
            let average = open.intent.price.btc_per_sky() * rust_decimal::Decimal::new(90 + (drawn % 20) as i64, 2);
            let state = if drawn.is_multiple_of(2) { OrderState::Open } else { OrderState::Cancelled };
            let fee = Amount::from_units(drawn % 100).unwrap();
            Fact::Observed(OrderObservation { completed, avg_price: Price::new(average).ok(), fee, state })
        }
    };
    Command::RecordPurchase(fact)
}

/// What may come at any time.
fn befalls(drawn: u64) -> Command {
    match drawn % 12 {
        0 => mined(drawn / 12),
        1 => Command::ObserveOrphaned,
        2 => Command::ObserveVanished { replaced_by: (drawn % 24 < 12).then_some(Hash32([9; 32])) },
        3 => mature(),
        4 => Command::Hold { reason: HoldReason::Operator { note: String::new() } },
        5 => Command::Release { note: String::new() },
        6 => Command::StopPurchase { reason: HoldReason::PurchaseStopped },
        7 => Command::RecordVoided { conflicting_txid: Hash32([66; 32]) },
        8 => Command::RecordPayoutReorged,
        9 => finish(),
        10 => Command::MarkRefundDue { note: String::new() },
        _ => Command::RecordConfirmed { block_seq: 6, confirmations: 2 },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// D3: of what was written off nobody owes anything, and what was bought for it is the desk's.
    /// D6: over any events a deposit that ended owes nothing but a refund.
    #[test]
    fn whatever_befalls_a_deposit_the_ledger_is_zero_and_an_end_owes_nothing(
        amount in 1u64..10_000_000_000,
        is_bound in prop::bool::weighted(0.9),
        steps in prop::collection::vec((prop::bool::weighted(0.75), any::<u64>()), 0..80),
    ) {
        let amount = Amount::from_units(amount).unwrap();
        let mut life = Life::begin(detected(is_bound.then(customer), amount));
        for (is_forward, drawn) in steps {
            let command = if is_forward { forward(&life.deposit, drawn) } else { befalls(drawn) };
            life.command(&command);
        }
    }
}

fn received() -> Life {
    let mut life = Life::begin(detected(Some(customer()), "1".parse().unwrap()));
    assert!(life.command(&mined(7)) && life.command(&mature()));
    life
}

#[track_caller]
fn carry_out(life: &mut Life, commands: &[Command]) {
    for command in commands {
        assert!(life.command(command), "{command:?} at {:?}", life.deposit.stage);
    }
}

fn lines(life: &Life) -> Vec<(Account, Ticker, i128)> {
    let all = life.balances.all().iter().filter(|balance| balance.units != 0);
    all.map(|balance| (balance.account, balance.coin, balance.units)).collect()
}

/// P8: the sums are exact in both coins.
#[test]
fn a_sale_from_stock_leaves_a_position_in_both_coins() {
    let mut life = received();
    let confirmed = Command::RecordConfirmed { block_seq: 5, confirmations: 1 };
    carry_out(&mut life, &[direct(), sign(), Command::RecordSent, confirmed]);
    let expected = [
        (Account::DepositAddresses, Ticker::Btc, 100_000_000),
        (Account::HotWallet, Ticker::Sky, -512_700_000),
        (Account::Trading, Ticker::Btc, -100_000_000),
        (Account::Trading, Ticker::Sky, 512_700_000),
    ];
    assert_eq!(lines(&life), expected);
}

/// D6: cost, fee and remainder are the deposit.
/// X8: the fee has an account of its own.
#[test]
fn a_purchase_books_its_cost_its_fee_and_what_is_left() {
    let mut life = received();
    let price: Price = "0.002".parse().unwrap();
    let cid = ClientOrderId::for_attempt("a deposit", 1);
    let intent = OrderIntent { attempt: 1, cid, price, quantity: "499.9996".parse().unwrap() };
    let observed = OrderObservation {
        completed: "499.9996".parse().unwrap(),
        avg_price: Some(price),
        fee: "0.0005".parse().unwrap(),
        state: OrderState::Filled,
    };
    carry_out(&mut life, &[passthrough(), Command::RecordPurchase(Fact::Intended(intent))]);
    assert_eq!(life.of(Account::ExchangeFrozen, Ticker::Btc), 99_999_920);
    let facts = [Fact::Placed { order_id: 1 }, Fact::Observed(observed)].map(Command::RecordPurchase);
    carry_out(&mut life, &facts);
    let confirmed = Command::RecordConfirmed { block_seq: 5, confirmations: 1 };
    carry_out(&mut life, &[finish(), sign(), Command::RecordSent, confirmed]);
    let expected = [
        (Account::DepositAddresses, Ticker::Btc, 100_000_000),
        (Account::HotWallet, Ticker::Sky, -499_999_000),
        (Account::ExchangeFree, Ticker::Btc, -99_999_920 - 50_000),
        (Account::ExchangeFree, Ticker::Sky, 499_999_600),
        (Account::Rounding, Ticker::Btc, -80),
        (Account::Rounding, Ticker::Sky, -600),
        (Account::ExchangeFee, Ticker::Btc, 50_000),
    ];
    assert_eq!(lines(&life), expected);
}

/// D3: the ledger has it as a receivable until it is mined again.
#[test]
fn what_a_reorganisation_takes_from_a_paid_deposit_is_receivable_until_it_is_mined_again() {
    let mut life = received();
    let confirmed = Command::RecordConfirmed { block_seq: 5, confirmations: 1 };
    carry_out(&mut life, &[direct(), sign(), Command::RecordSent, confirmed, Command::ObserveOrphaned]);
    assert_eq!(life.of(Account::Receivable, Ticker::Btc), 100_000_000);
    carry_out(&mut life, &[mined(9)]);
    assert_eq!(life.of(Account::Receivable, Ticker::Btc), 0);
}

/// D3: what was bought becomes a purchase of the desk's own, and the customer's again when the deposit is there after all.
#[test]
fn a_deposit_that_was_bought_for_and_whose_coins_were_spent_elsewhere_leaves_the_desk_what_was_bought() {
    let mut life = received();
    let price: Price = "0.002".parse().unwrap();
    let cid = ClientOrderId::for_attempt("a deposit", 1);
    let intent = OrderIntent { attempt: 1, cid, price, quantity: "100.0006".parse().unwrap() };
    let (completed, fee) = ("100.0006".parse().unwrap(), "0.0005".parse().unwrap());
    let observed = OrderObservation { completed, avg_price: Some(price), fee, state: OrderState::Filled };
    let facts = [Fact::Intended(intent), Fact::Placed { order_id: 1 }, Fact::Observed(observed)];
    carry_out(&mut life, &[passthrough()]);
    carry_out(&mut life, &facts.map(Command::RecordPurchase));
    // What no order could spend is owed back by now, and is not owed any more.
    carry_out(&mut life, &[finish(), Command::ObserveOrphaned]);
    assert_eq!(life.of(Account::Refund, Ticker::Btc), -79_999_880);
    let before = lines(&life);
    carry_out(&mut life, &[Command::ObserveVanished { replaced_by: Some(Hash32([9; 32])) }]);
    let expected = [
        (Account::ExchangeFree, Ticker::Btc, -20_000_120 - 50_000),
        (Account::ExchangeFree, Ticker::Sky, 100_000_600),
        (Account::Trading, Ticker::Btc, 20_000_120),
        (Account::Trading, Ticker::Sky, -100_000_600),
        (Account::ExchangeFee, Ticker::Btc, 50_000),
    ];
    assert_eq!(lines(&life), expected);
    carry_out(&mut life, &[mined(9)]);
    assert_eq!(lines(&life), before);
    let confirmed = Command::RecordConfirmed { block_seq: 5, confirmations: 1 };
    carry_out(&mut life, &[mature(), sign(), Command::RecordSent, confirmed]);
    assert_eq!(life.of(Account::DepositAddresses, Ticker::Btc), 100_000_000);
    assert_eq!(life.of(Account::HotWallet, Ticker::Sky), -100_000_000);
}

/// D3: nobody owes anything for it then.
#[test]
fn a_deposit_whose_coins_were_spent_elsewhere_before_anything_was_done_leaves_nothing() {
    let mut life = received();
    let gone = Command::ObserveVanished { replaced_by: Some(Hash32([9; 32])) };
    carry_out(&mut life, &[direct(), Command::ObserveOrphaned, gone]);
    assert_eq!(life.deposit.stage, Stage::Done(Outcome::Vanished));
    assert_eq!(lines(&life), []);
    let confirmed = Command::RecordConfirmed { block_seq: 5, confirmations: 1 };
    carry_out(&mut life, &[mined(9), mature(), direct(), sign(), Command::RecordSent, confirmed]);
    assert_eq!(life.of(Account::DepositAddresses, Ticker::Btc), 100_000_000);
}

#[test]
fn an_amount_has_all_decimals_and_a_sign_below_zero() {
    for (units, btc) in [(0, "0.00000000"), (-80, "-0.00000080"), (123_456_789, "1.23456789")] {
        assert_eq!(Ticker::Btc.amount(units), btc);
    }
    assert_eq!(Ticker::Sky.amount(-1_500_000), "-1.500000");
}

#[test]
fn what_the_owners_put_in_and_take_out_is_theirs() {
    let mut balances = Balances::default();
    let declared = |kind, place, coins| TransferDeclared { kind, place, coins, note: String::new() };
    let sky = Coins::Sky("100".parse().unwrap());
    balances.post(&of_transfer(&declared(TransferKind::Opening, Place::HotWallet, sky)));
    let btc = Coins::Btc("2".parse().unwrap());
    balances.post(&of_transfer(&declared(TransferKind::Refill, Place::Exchange, btc)));
    balances.post(&of_transfer(&declared(TransferKind::Sweep, Place::Exchange, btc)));
    assert_eq!(balances.of(Account::HotWallet, Ticker::Sky), 100_000_000);
    assert_eq!(balances.of(Account::Capital, Ticker::Sky), -100_000_000);
    assert_eq!(balances.of(Account::ExchangeFree, Ticker::Btc), 0);
    let json = serde_json::to_string(&balances).unwrap();
    assert_eq!(serde_json::from_str::<Balances>(&json).unwrap(), balances);
}
