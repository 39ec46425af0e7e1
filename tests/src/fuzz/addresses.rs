//! Addresses and keys that people type or paste: what is taken for one is written and read back as the same.

use bitcoin::{Address, Network};
use millrace_protocols::receive::{AccountKey, ReceiveKind, address_of, parse_address, parse_address_list};
use millrace_protocols::wire::skycoin::address::SkyAddress;

use super::assert_printable;

const NETWORKS: [Network; 4] = [Network::Bitcoin, Network::Testnet, Network::Signet, Network::Regtest];

/// The input is one text, and as a whole a list of addresses.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match text.parse::<SkyAddress>() {
        Ok(address) => {
            assert_eq!(address.to_string(), text, "an address has one spelling");
            assert_ne!(*address.key_hash(), [0; 20], "the address of nobody");
        }
        Err(error) => assert_printable(&error),
    }
    for network in NETWORKS {
        match parse_address(text, network) {
            Ok(address) => same_again(&address, network),
            Err(error) => assert_printable(&error),
        }
        match parse_address_list(text, network) {
            Ok(addresses) => list_again(&addresses, network),
            Err(error) => assert_printable(&error),
        }
        match AccountKey::parse(text, network) {
            Ok(key) => derives(&key),
            Err(error) => assert_printable(&error),
        }
    }
}

fn same_again(address: &Address, network: Network) {
    assert_eq!(parse_address(&address.to_string(), network).as_ref(), Ok(address));
    let script = address.script_pubkey();
    assert!(ReceiveKind::of(&script).is_some(), "{address} is paid to a script that nobody watches");
    assert_eq!(address_of(&script, network).map(|found| found.script_pubkey()), Some(script));
}

fn list_again(addresses: &[Address], network: Network) {
    let text: String = addresses.iter().map(|address| format!("{address}\n")).collect();
    assert_eq!(parse_address_list(&text, network).as_deref(), Ok(addresses));
}

fn derives(key: &AccountKey) {
    for index in [0, 1, i32::MAX as u32] {
        if let Ok(address) = key.address(index) {
            same_again(&address, key.network());
        }
    }
    assert!(key.address(1 << 31).is_err(), "indexes end at 2^31 - 1");
}
