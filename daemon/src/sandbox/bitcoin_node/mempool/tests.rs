//! What is let in, what is refused in which words, and what gives way.

use bitcoin::absolute::LockTime;
use bitcoin::{ScriptBuf, Sequence};

use super::super::founding::found;
use super::super::state::State;
use super::*;

fn founded() -> State {
    let mut state = State::new();
    found(&mut state, 1_700_000_000).unwrap();
    state
}

/// Spends the customer's n-th coin back to him, for a fee.
fn spending(state: &State, nth: usize, fee: u64) -> Transaction {
    let (value, outpoint) = state.wallet.confirmed().nth(nth).unwrap();
    chained(state, outpoint, value, fee)
}

fn chained(state: &State, outpoint: OutPoint, value: Amount, fee: u64) -> Transaction {
    let output = state.wallet.change(value - Amount::from_sat(fee));
    state.wallet.spend(&[(value, outpoint)], Sequence::ENABLE_RBF_NO_LOCKTIME, vec![output])
}

fn check(state: &State, mempool: &Mempool, transaction: &Transaction) -> Result<Verdict, Refusal> {
    mempool.check(transaction, transaction.compute_txid(), &state.chain, Signatures::Judge)
}

fn insert(state: &State, mempool: &mut Mempool, transaction: &Transaction) -> Vec<Arc<Transaction>> {
    let verdict = check(state, mempool, transaction).unwrap();
    mempool.insert(Arc::new(transaction.clone()), transaction.compute_txid(), verdict, 1, state.chain.height())
}

#[test]
fn a_signed_payment_is_let_in_once_with_its_fee() {
    let (state, mut mempool) = (founded(), Mempool::default());
    let payment = spending(&state, 0, 500);
    assert_eq!(check(&state, &mempool, &payment).unwrap().fee, Amount::from_sat(500));
    insert(&state, &mut mempool, &payment);
    assert_eq!(check(&state, &mempool, &payment), Err(Refusal::AlreadyWaiting));
    assert_eq!(mempool.spender(&payment.input[0].previous_output), Some(payment.compute_txid()));
}

#[test]
fn a_replacement_pays_more_than_all_it_replaces() {
    let (state, mut mempool) = (founded(), Mempool::default());
    let parent = spending(&state, 0, 500);
    insert(&state, &mut mempool, &parent);
    let change = OutPoint::new(parent.compute_txid(), 0);
    let child = chained(&state, change, parent.output[0].value, 300);
    insert(&state, &mut mempool, &child);
    assert_eq!(mempool.with_descendants(&parent.compute_txid()).len(), 2);
    assert_eq!(mempool.with_ancestors(&child.compute_txid()).len(), 2);

    let poor = spending(&state, 0, 800);
    let refusal = check(&state, &mempool, &poor).unwrap_err();
    let words = format!(
        "insufficient fee, rejecting replacement {}, less fees than conflicting txs; 0.00000800 < 0.00000800",
        poor.compute_txid()
    );
    assert_eq!(refusal.to_string(), words);

    let rich = spending(&state, 0, 801);
    assert_eq!(insert(&state, &mut mempool, &rich).len(), 2);
    assert_eq!(mempool.len(), 1);
    assert_eq!(mempool.spender(&change), None);
    assert_eq!(mempool.spender(&rich.input[0].previous_output), Some(rich.compute_txid()));
}

#[test]
fn a_replacement_may_not_spend_what_it_replaces() {
    let (state, mut mempool) = (founded(), Mempool::default());
    let parent = spending(&state, 0, 500);
    insert(&state, &mut mempool, &parent);
    let (value, outpoint) = state.wallet.confirmed().next().unwrap();
    let change = (parent.output[0].value, OutPoint::new(parent.compute_txid(), 0));
    let output = state.wallet.change(value);
    let both = state.wallet.spend(&[(value, outpoint), change], Sequence::MAX, vec![output]);
    assert_eq!(check(&state, &mempool, &both), Err(Refusal::SpendsConflict));
}

#[test]
fn refusals_have_their_reasons() {
    let (state, mempool) = (founded(), Mempool::default());
    let good = spending(&state, 0, 500);
    let with = |change: &dyn Fn(&mut Transaction)| {
        let mut changed = good.clone();
        change(&mut changed);
        check(&state, &mempool, &changed).unwrap_err().to_string()
    };
    assert_eq!(with(&|tx| tx.input.clear()), "bad-txns-vin-empty");
    assert_eq!(with(&|tx| tx.output.clear()), "bad-txns-vout-empty");
    assert_eq!(with(&|tx| tx.input.push(tx.input[0].clone())), "bad-txns-inputs-duplicate");
    assert_eq!(with(&|tx| tx.output[0].value = Amount::from_sat(u64::MAX)), "bad-txns-txouttotal-toolarge");
    assert_eq!(with(&|tx| tx.output[0].value = Amount::MAX_MONEY), "bad-txns-in-belowout");
    assert_eq!(with(&|tx| tx.output[0].value = Amount::from_sat(293)), "dust");
    assert_eq!(with(&|tx| tx.output[0].value += Amount::from_sat(450)), "min relay fee not met, 50 < 110");
    assert_eq!(with(&|tx| tx.version = bitcoin::transaction::Version::non_standard(9)), "version");
    assert_eq!(with(&|tx| tx.input[0].previous_output.vout += 9_999), "bad-txns-inputs-missingorspent");
    assert_eq!(with(&|tx| tx.lock_time = LockTime::from_consensus(state.chain.height() + 1)), "non-final");
    assert!(with(&|tx| tx.output[0].value -= Amount::ONE_SAT).starts_with("mandatory-script-verify-flag-failed"));
    assert_eq!(with(&|tx| tx.output = vec![tx.output[0].clone(); 40_000]), "tx-size");
    let short = ScriptBuf::from_bytes(vec![0x6a]);
    assert_eq!(with(&|tx| tx.output[0].script_pubkey = short.clone()), "tx-size-small");
    let coinbase = &state.chain.known(&state.chain.tip()).unwrap().block.txdata[0];
    assert_eq!(check(&state, &mempool, coinbase).unwrap_err().to_string(), "coinbase");
}

#[test]
fn what_is_mined_is_told_from_what_lost_its_coins() {
    let mut state = founded();
    let mempool = Mempool::default();
    let known = state.chain.known(&state.chain.tip()).unwrap();
    let mined = known.block.txdata[1].clone();
    assert_eq!(check(&state, &mempool, &mined), Err(Refusal::AlreadyMined));
    let reward = OutPoint::new(known.txids[0], 0);
    let value = known.block.txdata[0].output[0].value;
    let early = chained(&state, reward, value, 500);
    let words = check(&state, &mempool, &early).unwrap_err().to_string();
    assert_eq!(words, "bad-txns-premature-spend-of-coinbase");

    // The same coins in another transaction, once they are spent in the chain.
    let coins: Vec<_> =
        mined.input.iter().map(|input| (Amount::from_sat(5_000_000_000), input.previous_output)).collect();
    let output = state.wallet.change(Amount::from_sat(1_000));
    let again = state.wallet.spend(&coins, Sequence::MAX, vec![output]);
    assert_eq!(check(&state, &mempool, &again), Err(Refusal::MissingInputs));
    state.chain.invalidate(&state.chain.tip()).unwrap();
    assert!(check(&state, &mempool, &again).is_ok());
}

#[test]
fn a_block_takes_what_fits_in_order_of_arrival() {
    let (state, mut mempool) = (founded(), Mempool::default());
    let parent = spending(&state, 0, 500);
    let child = chained(&state, OutPoint::new(parent.compute_txid(), 0), parent.output[0].value, 300);
    let other = spending(&state, 1, 200);
    for transaction in [&parent, &child, &other] {
        insert(&state, &mut mempool, transaction);
    }
    let room = parent.weight() + child.weight();
    assert_eq!(mempool.for_block(room), (vec![parent, child], Amount::from_sat(800)));
    assert_eq!(mempool.for_block(Weight::MAX_BLOCK).0.len(), 3);
}
