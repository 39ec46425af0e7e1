//! The judge of a run: holds the log against what the outside world says really happened.
//!
//! The desk's word counts for nothing here but for what it wrote into its log: who was paid, and what was bought, is told
//! by the chain and the exchange themselves.

mod outputs;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use millrace_actors::event_store::{Reader, Verified};
use millrace_actors::proof::{Subject, prove};
use millrace_actors::redecision;
use millrace_model::deposit::{Deposit, Event as DepositEvent, HoldReason, Outcome, Stage, evolve};
use millrace_model::event::Event;
use millrace_model::ids::{DepositId, Hash32, StreamName};
use millrace_model::ledger::{Account as LedgerAccount, Balances, Standing, Ticker, of_deposit};
use millrace_model::money::{Amount, Sky};
use millrace_model::purchase::{OrderIntent, OrderPhase};
use millrace_model::redecision::Outcome as Decided;
use serde_json::Value;

/// How many events are read at once.
const PAGE_EVENTS: usize = 4_096;

/// What happened outside.
#[derive(Debug, Default)]
pub struct Outside {
    /// Every payout that is on the chain or may still get there.
    pub payouts: Vec<Payout>,
    /// Every order that the exchange ever took.
    pub orders: Vec<Order>,
}

/// Somebody was paid out of the hot wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    /// By this transaction.
    pub txid: Hash32,
    /// Who.
    pub target: String,
    /// How much.
    pub coins: Amount<Sky>,
}

/// An order at the exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Our id of it.
    pub cid: String,
    /// How much was ordered.
    pub quantity: Amount<Sky>,
    /// How much was filled.
    pub filled: Amount<Sky>,
    /// Whether more may be filled.
    pub open: bool,
}

impl Outside {
    /// What the sandbox's books say.
    pub fn of_sandbox(books: &Value) -> Result<Self> {
        let mut outside = Self::default();
        let payments = books["skycoin"]["payments"].as_object().context("the books have payments")?;
        for (target, payments) in payments {
            for payment in payments.as_array().context("payments are a list")? {
                if payment["standing"] != "gone" {
                    let (txid, coins) = (text(payment, "txid")?.parse()?, text(payment, "coins")?.parse()?);
                    outside.payouts.push(Payout { txid, target: target.clone(), coins });
                }
            }
        }
        for order in books["c2cx"]["orders"].as_array().context("the books have orders")? {
            outside.orders.push(Order {
                cid: text(order, "cid")?.to_owned(),
                quantity: text(order, "quantity")?.parse()?,
                filled: text(order, "filled")?.parse()?,
                open: order["open"] == true,
            });
        }
        Ok(outside)
    }
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field].as_str().with_context(|| format!("{field} is a text in {value}"))
}

/// A deposit as the log tells it, with every order it ever intended.
#[derive(Debug)]
pub struct Account {
    /// Where it stands.
    pub deposit: Deposit,
    /// All orders, the first first.
    pub intended: Vec<OrderIntent>,
    /// How often its payout left its block after it was final.
    pub lost: usize,
}

/// A run that the judge has nothing against.
#[derive(Debug)]
pub struct Judgement {
    /// The log's end.
    pub verified: Verified,
    /// Every deposit.
    pub accounts: BTreeMap<DepositId, Account>,
    /// The ledger.
    pub balances: Balances,
}

/// Judges a log that nobody writes to at the moment, or whose deposits are at rest.
pub fn judge(reader: &Reader, outside: &Outside) -> Result<Judgement> {
    let verified = reader.verify()?;
    makes_sense(reader)?;
    let (accounts, balances) = at_rest(reader, outside)?;
    decides_the_same(reader)?;
    Ok(Judgement { verified, accounts, balances })
}

/// Every command on a deposit comes to the same events once more, on the state that the log says it was decided on.
fn decides_the_same(reader: &Reader) -> Result<()> {
    redecision::run(reader, &[], &mut |id, redecided| -> Result<()> {
        ensure!(
            !matches!(redecided.outcome, Decided::Different(_)),
            "deposit {id} is decided otherwise: {redecided:#?}"
        );
        Ok(())
    })?;
    Ok(())
}

/// Every event can be read and follows from what came before it, and the ledger sums to zero.
fn makes_sense(reader: &Reader) -> Result<()> {
    let not_here = || Err("it is not held against them here".to_owned());
    let subject = Subject { log: reader.path().to_owned(), views: not_here(), head_file: not_here() };
    let report = prove(&subject, &mut |_, _| {})?;
    ensure!(report.is_well(), "the log makes no sense: {:?}", report.findings);
    Ok(())
}

/// The same, by a log whose hashes are not computed anew.
pub fn judge_at_rest(reader: &Reader, outside: &Outside) -> Result<BTreeMap<DepositId, Account>> {
    at_rest(reader, outside).map(|(accounts, _)| accounts)
}

/// Judges a log in the middle of everything: what must hold at every moment, whatever is on its way. A log that was restored
/// has forgotten something and is not to be judged before it has found out.
pub fn judge_amid(reader: &Reader, outside: &Outside) -> Result<()> {
    outputs::are_apart(reader)?;
    amid(reader, outside).map(drop)
}

fn at_rest(reader: &Reader, outside: &Outside) -> Result<(BTreeMap<DepositId, Account>, Balances)> {
    let (accounts, balances) = amid(reader, outside)?;
    everybody_paid_has_his_coins(&accounts, &outside.payouts)?;
    ledger_matches(&accounts, &balances, outside)?;
    Ok((accounts, balances))
}

fn amid(reader: &Reader, outside: &Outside) -> Result<(BTreeMap<DepositId, Account>, Balances)> {
    let (accounts, balances) = accounts(reader)?;
    payouts_match(&accounts, &outside.payouts)?;
    orders_match(&accounts, &outside.orders)?;
    ledger_is_balanced(&balances)?;
    Ok((accounts, balances))
}

fn accounts(reader: &Reader) -> Result<(BTreeMap<DepositId, Account>, Balances)> {
    let (mut accounts, mut balances): (BTreeMap<DepositId, Account>, _) = Default::default();
    let mut position = 0;
    loop {
        let page = reader.after(position, PAGE_EVENTS)?;
        let Some(last) = page.last() else { return Ok((accounts, balances)) };
        position = last.position;
        for recorded in &page {
            let Event::Deposit(event) = &recorded.event else { continue };
            if let DepositEvent::Detected(detected) = event {
                let deposit = evolve(None, event).context("a detected deposit is one")?;
                let before = accounts.insert(detected.id, Account { deposit, intended: Vec::new(), lost: 0 });
                ensure!(before.is_none(), "deposit {} was detected twice", detected.id);
                continue;
            }
            let StreamName::Deposit(id) = recorded.stream else { continue };
            let account = accounts.get_mut(&id).with_context(|| format!("deposit {id} was never detected"))?;
            account.lost += usize::from(is_paid(&account.deposit) && matches!(event, DepositEvent::PayoutReorged(_)));
            let before = Standing::of(&account.deposit);
            let after = evolve(Some(account.deposit.clone()), event).context("a deposit stays one")?;
            balances.post(&of_deposit(&before, event, &after));
            account.deposit = after;
            if let DepositEvent::OrderIntended(intended) = event {
                account.intended.push(intended.order.clone());
            }
        }
    }
}

/// Every payout outside is one that a deposit signed, of the exact amount, to its customer; and no deposit has two. Only one
/// that a lost log has forgotten may be without: then an unpaid deposit of that customer is held for a person to look at.
fn payouts_match(accounts: &BTreeMap<DepositId, Account>, payouts: &[Payout]) -> Result<()> {
    let mut paid: BTreeMap<DepositId, Hash32> = BTreeMap::new();
    for payout in payouts {
        let signed = |account: &&Account| account.deposit.signed_payout().is_some_and(|it| it.txid == payout.txid);
        let Some(account) = accounts.values().find(signed) else {
            let is_shown = accounts.values().any(|account| is_held_for(&account.deposit, payout));
            ensure!(is_shown, "no deposit signed {payout:?}, and none is held for it");
            continue;
        };
        let deposit = &account.deposit;
        let customer = deposit.receipt.customer.as_ref().map(|customer| &customer.target);
        ensure!(customer == Some(&payout.target), "{payout:?} pays somebody else than {customer:?}");
        let owed = deposit.payout.as_ref().map(|payout| payout.amount);
        ensure!(owed == Some(payout.coins), "{payout:?} pays something else than {owed:?}");
        let before = paid.insert(deposit.receipt.id, payout.txid);
        ensure!(before.is_none(), "deposit {} was paid twice: {before:?}, {payout:?}", deposit.receipt.id);
    }
    Ok(())
}

/// Nobody is paid by the log alone. A chain that was reorganised may have lost a payout for a while.
fn everybody_paid_has_his_coins(accounts: &BTreeMap<DepositId, Account>, payouts: &[Payout]) -> Result<()> {
    for deposit in accounts.values().map(|account| &account.deposit).filter(|deposit| is_paid(deposit)) {
        let signed = deposit.signed_payout().map(|signed| signed.txid);
        let is_there = payouts.iter().any(|payout| Some(payout.txid) == signed);
        ensure!(is_there, "deposit {} was paid by {signed:?}, which is nowhere", deposit.receipt.id);
    }
    Ok(())
}

fn is_held_for(deposit: &Deposit, payout: &Payout) -> bool {
    let customer = deposit.receipt.customer.as_ref().map(|customer| &customer.target);
    let is_named = matches!(&deposit.stage,
        Stage::Held { reason: HoldReason::PaidBefore { txid }, .. } if *txid == payout.txid);
    is_named && customer == Some(&payout.target) && deposit.signed_payout().is_none()
}

/// Whether the log says that the customer has the coins for good.
pub fn is_paid(deposit: &Deposit) -> bool {
    deposit.stage == Stage::Done(Outcome::Paid)
}

/// Every order outside was intended, as it is; every order that the log says was taken is there, once; and what was bought
/// is what the fills come to.
fn orders_match(accounts: &BTreeMap<DepositId, Account>, orders: &[Order]) -> Result<()> {
    let mut by_cid: BTreeMap<&str, &Order> = BTreeMap::new();
    for order in orders {
        ensure!(by_cid.insert(&order.cid, order).is_none(), "the exchange took {} twice", order.cid);
        let intended = accounts.values().flat_map(|account| &account.intended);
        let intent = intended.into_iter().find(|intent| intent.cid.as_str() == order.cid);
        let intent = intent.with_context(|| format!("nobody intended {order:?}"))?;
        ensure!(intent.quantity == order.quantity, "{order:?} is not {intent:?}");
    }
    for account in accounts.values() {
        let Some(purchase) = &account.deposit.purchase else { continue };
        let id = account.deposit.receipt.id;
        let outside = account.intended.iter().filter_map(|intent| by_cid.get(intent.cid.as_str()));
        let (mut filled, mut open) = (Amount::ZERO, 0);
        for order in outside {
            filled = Amount::checked_sum([filled, order.filled]).context("the fills are an amount")?;
            open += usize::from(order.open);
        }
        let seen_to_its_end = purchase.open_order().is_none();
        ensure!(
            if seen_to_its_end { filled == purchase.bought() } else { filled >= purchase.bought() },
            "deposit {id} bought {} by the log, {filled} by the exchange",
            purchase.bought()
        );
        ensure!(open == 0 || !seen_to_its_end, "deposit {id} has {open} orders open that it takes for ended");
        if let Some(order) = purchase.open_order() {
            let is_taken = matches!(order.phase, OrderPhase::Placed { .. } | OrderPhase::Cancelling { .. });
            let is_there = by_cid.contains_key(order.intent.cid.as_str());
            ensure!(is_there || !is_taken, "the exchange does not know {}", order.intent.cid);
        }
    }
    Ok(())
}

fn ledger_is_balanced(balances: &Balances) -> Result<()> {
    for coin in Ticker::ALL {
        ensure!(balances.sum(coin) == 0, "the ledger comes to {} {}", coin.amount(balances.sum(coin)), coin.as_str());
    }
    Ok(())
}

/// What the ledger says went out of the wallet and came in at the exchange is what did, but for what is on its way.
fn ledger_matches(accounts: &BTreeMap<DepositId, Account>, balances: &Balances, outside: &Outside) -> Result<()> {
    let is_known = |payout: &&Payout| {
        let mut signed = accounts.values().filter_map(|account| account.deposit.signed_payout());
        signed.any(|signed| signed.txid == payout.txid)
    };
    let paid: i128 = outside.payouts.iter().filter(is_known).map(|payout| i128::from(payout.coins.units())).sum();
    let booked = -balances.of(LedgerAccount::HotWallet, Ticker::Sky);
    let on_its_way = -balances.of(LedgerAccount::PayoutInFlight, Ticker::Sky);
    ensure!(
        (booked..=booked + on_its_way).contains(&paid),
        "{} SKY were paid, {} are booked and {} on their way",
        Ticker::Sky.amount(paid),
        Ticker::Sky.amount(booked),
        Ticker::Sky.amount(on_its_way)
    );
    let filled: i128 = outside.orders.iter().map(|order| i128::from(order.filled.units())).sum();
    let bought = balances.of(LedgerAccount::ExchangeFree, Ticker::Sky);
    let is_open = |account: &Account| account.deposit.purchase.as_ref().is_some_and(|it| it.open_order().is_some());
    ensure!(
        if accounts.values().any(is_open) { filled >= bought } else { filled == bought },
        "{} SKY were bought, {} are booked",
        Ticker::Sky.amount(filled),
        Ticker::Sky.amount(bought)
    );
    Ok(())
}
