//! The published vectors of BIP84, BIP86, BIP173 and BIP350, and what must be refused.

use bitcoin::bip32::{DerivationPath, Xpriv};
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{ScriptBuf, base58};

use super::*;

/// BIP84: account 0 of the mnemonic "abandon … about".
const ZPUB: &str =
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs";

/// The same key under other version bytes.
fn rewritten(version: [u8; 4]) -> String {
    let mut bytes = base58::decode_check(ZPUB).unwrap();
    bytes[..4].copy_from_slice(&version);
    base58::encode_check(&bytes)
}

/// The public key at a path below some seed, as xpub text.
fn xpub_at(path: &str) -> String {
    let curve = Secp256k1::new();
    let master = Xpriv::new_master(Network::Bitcoin, &[7; 32]).unwrap();
    let key = master.derive_priv(&curve, &path.parse::<DerivationPath>().unwrap()).unwrap();
    Xpub::from_priv(&curve, &key).to_string()
}

#[test]
fn the_vectors_of_bip84_are_met() {
    let account = AccountKey::parse(ZPUB, Network::Bitcoin).unwrap();
    let address = |index| account.address(index).unwrap().to_string();
    assert_eq!(address(0), "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu");
    assert_eq!(address(1), "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g");
    assert_eq!(ReceiveKind::of(&account.address(0).unwrap().script_pubkey()), Some(ReceiveKind::P2wpkh));
}

#[test]
fn the_four_spellings_of_a_public_key_are_the_same_account() {
    let told = AccountKey::parse(ZPUB, Network::Bitcoin).unwrap();
    assert_eq!(AccountKey::parse(&rewritten(version::XPUB), Network::Bitcoin).unwrap(), told);
    let text = rewritten(version::TPUB);
    assert!(text.starts_with("tpub"));
    let test = AccountKey::parse(&text, Network::Regtest).unwrap();
    assert_eq!(AccountKey::parse(&rewritten(version::VPUB), Network::Regtest).unwrap(), test);
    assert_eq!(test.address(0).unwrap().to_string(), "bcrt1qcr8te4kr609gcawutmrza0j4xv80jy8zeqchgx");
}

#[test]
fn a_key_of_another_network_is_refused() {
    let wrong = |text: &str, network| AccountKey::parse(text, network).unwrap_err();
    assert_eq!(wrong(ZPUB, Network::Regtest), AccountKeyError::WrongNetwork(Network::Regtest));
    assert_eq!(wrong(&rewritten(version::VPUB), Network::Bitcoin), AccountKeyError::WrongNetwork(Network::Bitcoin));
}

#[test]
fn private_keys_and_keys_of_other_purposes_are_refused_by_name() {
    for private in version::PRIVATE {
        assert_eq!(AccountKey::parse(&rewritten(private), Network::Bitcoin), Err(AccountKeyError::Private));
    }
    for other in version::OTHER_PURPOSES {
        assert_eq!(AccountKey::parse(&rewritten(other), Network::Bitcoin), Err(AccountKeyError::OtherPurpose));
    }
}

#[test]
fn only_an_account_key_is_taken() {
    assert!(AccountKey::parse(&xpub_at("m/84'/0'/5'"), Network::Bitcoin).is_ok());
    for (path, depth) in [("m", 0), ("m/84'", 1), ("m/84'/0'", 2), ("m/84'/0'/0", 3), ("m/84'/0'/0'/0", 4)] {
        assert_eq!(AccountKey::parse(&xpub_at(path), Network::Bitcoin), Err(AccountKeyError::NotAnAccount(depth)));
    }
}

#[test]
fn texts_that_are_no_key_are_refused() {
    let typo = ZPUB.replacen("AijB", "AijC", 1);
    for text in ["", "zpub", &typo, &ZPUB[1..], &ZPUB.repeat(2), "1111", "é"] {
        assert_eq!(AccountKey::parse(text, Network::Bitcoin), Err(AccountKeyError::Malformed), "{text}");
    }
}

#[test]
fn indexes_end_where_hardened_ones_begin() {
    let account = AccountKey::parse(ZPUB, Network::Bitcoin).unwrap();
    assert!(account.address((1 << 31) - 1).is_ok());
    assert_eq!(account.address(1 << 31), Err(DeriveError::Exhausted));
}

#[test]
fn every_receive_script_is_recognised_and_has_its_address() {
    for (script, kind, address) in [
        // BIP173's examples, and BIP86's first receiving address.
        (
            "0014751e76e8199196d454941c45d1b3a323f1433bd6",
            ReceiveKind::P2wpkh,
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        ),
        (
            "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
            ReceiveKind::P2wsh,
            "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3",
        ),
        (
            "5120a60869f0dbcf1dc659c9cecbaf8050135ea9e8cdc487053f1dc6880949dc684c",
            ReceiveKind::P2tr,
            "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
        ),
        // The first coin's key and a hash of it.
        (
            "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
            ReceiveKind::P2pkh,
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        ),
        // BIP16-style script hash.
        ("a914b472a266d0bd89c13706a4132ccfb16f7c3b9fcb87", ReceiveKind::P2sh, "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"),
    ] {
        let script = ScriptBuf::from_hex(script).unwrap();
        assert_eq!(ReceiveKind::of(&script), Some(kind));
        assert_eq!(address_of(&script, Network::Bitcoin).unwrap().to_string(), address);
        let parsed = parse_address(address, Network::Bitcoin).unwrap();
        assert_eq!(parsed.script_pubkey(), script);
        assert_eq!(ReceiveKind::of_address(&parsed), Some(kind));
    }
}

#[test]
fn other_scripts_have_no_address() {
    for script in [
        "",
        "6a0548656c6c6f",
        // Pay to a bare public key.
        "210279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798ac",
        // Segwit version 16, and version 1 of another length than taproot's.
        "6002751e",
        "5114751e76e8199196d454941c45d1b3a323f1433bd6",
    ] {
        let script = ScriptBuf::from_hex(script).unwrap();
        assert_eq!(ReceiveKind::of(&script), None);
        assert_eq!(address_of(&script, Network::Bitcoin), None);
    }
}

#[test]
fn the_taproot_vector_of_bip86_is_met() {
    let account: Xpub =
        "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ"
            .parse()
            .unwrap();
    let curve = Secp256k1::new();
    let key = account.derive_pub(&curve, &"0/0".parse::<DerivationPath>().unwrap()).unwrap();
    let address = Address::p2tr(&curve, key.to_x_only_pub(), None, Network::Bitcoin);
    assert_eq!(ReceiveKind::of_address(&address), Some(ReceiveKind::P2tr));
    assert_eq!(address.to_string(), "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr");
}

#[test]
fn addresses_of_other_networks_are_refused_as_such() {
    let wrong = |text: &str, network| parse_address(text, network).unwrap_err();
    let first = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
    assert_eq!(wrong(first, Network::Regtest), AddressError::WrongNetwork(Network::Regtest));
    let test = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx";
    assert_eq!(wrong(test, Network::Bitcoin), AddressError::WrongNetwork(Network::Bitcoin));
    assert_eq!(wrong(test, Network::Regtest), AddressError::WrongNetwork(Network::Regtest));
    assert!(parse_address("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", Network::Regtest).is_ok());
}

#[test]
fn the_invalid_addresses_of_bip173_and_bip350_are_refused() {
    for text in [
        // Checksum of the other version's kind.
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
        // Mixed case, wrong checksum, wrong length, no data, wrong letter.
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sL5k7",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "bc1rw5uspcuh",
        "bc1gmk9yu",
        "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
        // Base58 with a wrong letter at the end, and things that are no address at all.
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
        "",
        " ",
        "bitcoin",
        "é",
    ] {
        assert_eq!(parse_address(text, Network::Bitcoin), Err(AddressError::Malformed), "{text}");
    }
    assert_eq!(parse_address(&"1".repeat(100_000), Network::Bitcoin), Err(AddressError::Malformed));
    // BIP350's valid addresses of versions without a meaning: nobody should be paid there.
    let unknown = parse_address("BC1SW50QGDZ25J", Network::Bitcoin);
    assert_eq!(unknown, Err(AddressError::UnknownKind));
}

#[test]
fn a_list_keeps_its_order_and_skips_remarks() {
    let list =
        "# first batch\n\n bcrt1qcr8te4kr609gcawutmrza0j4xv80jy8zeqchgx \r\nmipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn\n";
    let addresses = parse_address_list(list, Network::Regtest).unwrap();
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses[1].to_string(), "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn");
}

#[test]
fn a_bad_line_is_named_and_the_same_address_twice_is_refused() {
    let error = AddressError::WrongNetwork(Network::Regtest);
    let list = "# x\nbc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu";
    assert_eq!(parse_address_list(list, Network::Regtest), Err(ImportError::Line { line: 2, error }));
    let twice = "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu\n\nBC1QCR8TE4KR609GCAWUTMRZA0J4XV80JY8Z306FYU";
    assert_eq!(parse_address_list(twice, Network::Bitcoin), Err(ImportError::Duplicate { line: 3, first: 1 }));
}
