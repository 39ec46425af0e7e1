//! The Skycoin node's REST answers, and transactions byte for byte.

use millrace_model::money::Amount;
use millrace_protocols::wire::skycoin::rest::{
    Created, Failure, Payout, Standing, address_verdict, balance, block, created, csrf, health, injected, outputs,
    pending, raw_transaction, transaction as seen, transaction_verdict, transactions, wallet,
};
use millrace_protocols::wire::skycoin::transaction::{TRANSACTION_BYTES_MAX, Transaction};

use super::{assert_printable, status_and_body};

/// The input is an HTTP status in the first line and the body of an answer after it; every decoder reads it.
pub fn answers(input: &[u8]) {
    let Some((status, body)) = status_and_body(input) else { return };
    understood(health(status, body));
    understood(balance(status, body));
    understood(wallet(status, body));
    understood(block(status, body));
    understood(injected(status, body));
    understood(address_verdict(status, body));
    understood(transaction_verdict(status, body));
    understood(pending(status, body));
    if let Some(token) = understood(csrf(status, body)) {
        http::HeaderValue::from_str(&token).expect("a token fits into a header");
    }
    if let Some(outputs) = understood(outputs(status, body)) {
        let spendable: Vec<_> = outputs.spendable(2).collect();
        assert!(spendable.len() <= outputs.head.len());
    }
    if let Some(Some(transaction)) = understood(raw_transaction(status, body)) {
        same_again(&transaction);
    }
    let one = understood(seen(status, body)).flatten();
    for transaction in one.into_iter().chain(understood(transactions(status, body)).unwrap_or_default()) {
        assert!(!matches!(transaction.standing, Standing::Confirmed { depth: 0, .. }), "in a block, and no block deep");
    }
    if let Some(created) = understood(created(status, body)) {
        is_what_its_bytes_say(&created);
    }
}

fn understood<T>(answer: Result<T, Failure>) -> Option<T> {
    answer.inspect_err(|failure| assert_printable(failure)).ok()
}

fn is_what_its_bytes_say(created: &Created) {
    same_again(&created.transaction);
    assert_eq!(created.txid, created.transaction.txid());
    assert_eq!(created.inner_hash, created.transaction.inner_hash());
    assert_eq!(created.inputs.len(), created.transaction.inputs().len());
    let paid = created.transaction.outputs()[0];
    let payout = Payout {
        wallet_id: "hot.wlt".to_owned(),
        password: None,
        unspents: created.transaction.inputs().to_vec(),
        change_address: created.transaction.outputs().last().map_or(paid.address, |change| change.address),
        to: paid.address,
        coins: paid.coins,
    };
    match payout.check(created) {
        Ok(()) => {
            let spent = Amount::checked_sum(created.inputs.iter().map(|input| input.coins));
            let made = Amount::checked_sum(created.transaction.outputs().iter().map(|output| output.coins));
            assert!(spent.is_some() && spent == made && created.transaction.is_signed());
        }
        Err(mismatch) => assert_printable(&mismatch),
    }
}

/// The input is a transaction's bytes.
pub fn transaction(input: &[u8]) {
    match Transaction::decode(input) {
        Ok(transaction) => {
            assert_eq!(transaction.encode(), input, "what decodes encodes to the very same bytes");
            same_again(&transaction);
        }
        Err(error) => assert_printable(&error),
    }
}

fn same_again(transaction: &Transaction) {
    let bytes = transaction.encode();
    assert!(bytes.len() == transaction.byte_count() && bytes.len() <= TRANSACTION_BYTES_MAX);
    assert_eq!(Transaction::decode(&bytes).as_ref(), Ok(transaction));
    assert_eq!(Transaction::from_hex(&transaction.to_hex()).as_ref(), Ok(transaction));
    assert_eq!(transaction.uxids().len(), transaction.outputs().len());
    match transaction.signers() {
        Ok(signers) => assert!(signers.len() == transaction.inputs().len() && transaction.is_signed()),
        Err(error) => assert_printable(&error),
    }
}
