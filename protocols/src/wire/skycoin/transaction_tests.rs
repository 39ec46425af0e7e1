//! The binary transaction against one that the real node made and accepted, and against every way to break it.

use proptest::prelude::*;

use super::*;

const RAW: &str = "dc00000000e47c136a7e86fe3603750a0696dcba37e15a93110fd5ca1cf5de9c300e9f8e89010000001a4a5ba327041cd435e89c0d9f\
                   09513657fd06070bba97bd0195feeb2c4f986a7e8926e709f85d9d2b1b279fb00094c088bc2da8e0ed2b03f8ba679b9baa515f00\
                   01000000e29afd5b879a3364584b6f6d92dcfafbd748faa573ee389c3573d844a784441102000000005d70d15952b7f15aacc8c2\
                   ae9bcc419270592b96206ba23b0000000080b2e60e00000000004d38dddee35d3f9387bc1cf542a6e356ce792d91e0ad3f99e800\
                   000080b2e60e00000000";

fn vector() -> Vec<u8> {
    hex::decode(RAW).unwrap()
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_slice(&[number; 32]).unwrap()
}

fn address(number: u8) -> SkyAddress {
    SkyAddress::from_public_key(&key(number).public_key(&SECP))
}

fn output(number: u8, coins: u64, hours: u64) -> Output {
    Output { address: address(number), coins: Amount::from_units(coins).unwrap(), hours }
}

#[test]
fn the_real_nodes_transaction_is_read_to_its_last_byte() {
    let transaction = Transaction::from_hex(RAW).unwrap();
    assert_eq!(transaction.txid().to_string(), "59dea06a1b7c2ffac26ac9ac73e84f6b48feef082715915b67423187d5a05888");
    assert_eq!(
        transaction.inner_hash().to_string(),
        "e47c136a7e86fe3603750a0696dcba37e15a93110fd5ca1cf5de9c300e9f8e89"
    );
    assert_eq!(transaction.inputs()[0].to_string(), "e29afd5b879a3364584b6f6d92dcfafbd748faa573ee389c3573d844a7844411");
    let paid = transaction.outputs()[0];
    assert_eq!(paid.address.to_string(), "ebid3QHdf1zDAiyqbixXsShdmjBMZ4sKgu");
    assert_eq!((paid.coins.to_string().as_str(), paid.hours), ("1000.500000", 250_000_000));
    assert_eq!(transaction.uxids()[0].to_string(), "bd2d3ade43c7a2b6a489d7e8eb5831f9792c1f1a6c8df26565b207619e36a5ec");
    assert_eq!(transaction.to_hex(), RAW);
}

#[test]
fn the_real_nodes_signature_is_its_owners() {
    let signers = Transaction::from_hex(RAW).unwrap().signers().unwrap();
    assert_eq!(signers, ["nTzdb7h8eHXprF1sS2J9wt96hjorfqLRhN".parse().unwrap()]);
}

#[test]
fn our_signature_names_our_key_and_leaves_the_inner_hash() {
    let outputs = vec![output(3, 1_000_000, 5), output(1, 7, 5)];
    let mut transaction = Transaction::unsigned(vec![UxId([8; 32]), UxId([9; 32])], outputs).unwrap();
    let (inner_hash, txid) = (transaction.inner_hash(), transaction.txid());
    assert_eq!(transaction.signers(), Err(SignatureError::Missing(0)));
    transaction.sign(0, &key(1));
    assert!(!transaction.is_signed());
    transaction.sign(1, &key(2));
    assert!(transaction.is_signed());
    assert_eq!(transaction.signers().unwrap(), [address(1), address(2)]);
    assert_eq!(transaction.inner_hash(), inner_hash);
    assert_ne!(transaction.txid(), txid);
    assert_eq!(Transaction::decode(&transaction.encode()).unwrap(), transaction);
}

#[test]
fn a_signature_for_other_outputs_names_another_key() {
    let mut bytes = vector();
    let last = bytes.len() - 1;
    bytes[last - 8] ^= 1;
    assert_eq!(Transaction::decode(&bytes), Err(TransactionError::InnerHash));

    let transaction = Transaction::decode(&vector()).unwrap();
    let changed = Transaction { outputs: vec![output(5, 1, 1)], ..transaction.clone() };
    assert_ne!(changed.signers().ok(), transaction.signers().ok());
}

#[test]
fn the_other_form_of_a_signature_is_refused() {
    let mut transaction = Transaction::decode(&vector()).unwrap();
    let s = SecretKey::from_slice(&transaction.signatures[0][32..64]).unwrap().negate();
    transaction.signatures[0][32..64].copy_from_slice(&s.secret_bytes());
    transaction.signatures[0][64] ^= 1;
    assert_eq!(transaction.signers(), Err(SignatureError::Invalid(0)));
    transaction.signatures[0][64] = 4;
    assert_eq!(transaction.signers(), Err(SignatureError::Invalid(0)));
}

#[test]
fn what_the_network_would_refuse_is_refused() {
    let twice = vec![output(1, 1, 1); 2];
    let one = vec![output(1, 1, 1)];
    for (inputs, outputs, error) in [
        (vec![], one.clone(), TransactionError::Empty),
        (vec![UxId([1; 32])], vec![], TransactionError::Empty),
        (vec![UxId([1; 32]); 2], one, TransactionError::DuplicateInput),
        (vec![UxId([1; 32])], twice, TransactionError::DuplicateOutput),
        (vec![UxId([1; 32])], vec![output(1, 0, 1)], TransactionError::OutputCoins(0)),
        (vec![UxId([1; 32])], (0..1000).map(|n| output(1, 1, n)).collect(), TransactionError::TooLong),
    ] {
        assert_eq!(Transaction::unsigned(inputs, outputs), Err(error));
    }
}

#[test]
fn broken_bytes_are_told_apart() {
    let broken = |change: fn(&mut Vec<u8>)| {
        let mut bytes = vector();
        change(&mut bytes);
        Transaction::decode(&bytes).unwrap_err()
    };
    assert_eq!(broken(|b| b[4] = 1), TransactionError::Type(1));
    assert_eq!(broken(|b| b.push(0)), TransactionError::Length);
    assert_eq!(broken(|b| b.truncate(100)), TransactionError::Length);
    assert_eq!(broken(|b| b[37..41].fill(255)), TransactionError::Length);
    assert_eq!(broken(|b| b[5] ^= 1), TransactionError::InnerHash);
    assert_eq!(broken(|b| b[146] = 1), TransactionError::OutputVersion(0));
    assert_eq!(broken(|b| b[174] = 255), TransactionError::OutputCoins(0));
    assert_eq!(broken(|b| b.resize(TRANSACTION_BYTES_MAX + 1, 0)), TransactionError::TooLong);
    assert_eq!(Transaction::from_hex("zz"), Err(TransactionError::Hex));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Transaction::decode(&bytes);
    }

    #[test]
    fn a_changed_byte_never_passes_for_the_same_transaction(at in 0usize..220, change in 1u8..) {
        let mut bytes = vector();
        bytes[at] ^= change;
        if let Ok(transaction) = Transaction::decode(&bytes) {
            prop_assert!((41..106).contains(&at), "byte {} is not part of the signature", at);
            prop_assert_ne!(transaction.signers().ok(), Transaction::from_hex(RAW).unwrap().signers().ok());
        }
    }
}
