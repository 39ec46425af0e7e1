//! Addresses that come as text: one that somebody typed, or a whole list made by a wallet elsewhere.

use std::collections::HashMap;

use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, Network, ScriptBuf};

use super::ReceiveKind;

/// The longest list of addresses read.
pub const IMPORTED_ADDRESSES_MAX: usize = 1_000_000;

/// The longest text looked at: no address is longer than 90 characters.
const ADDRESS_CHARS_MAX: usize = 90;

/// Why a text is no address to receive on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Wrong letters, length or checksum.
    #[error("this is no Bitcoin address, or it has a typing mistake")]
    Malformed,
    /// A well-formed address of another network.
    #[error("this address belongs to another network than {0}")]
    WrongNetwork(Network),
    /// A segwit version or length without a meaning yet: money sent there could be anybody's.
    #[error("this kind of address is not supported")]
    UnknownKind,
}

/// Why a list of addresses is refused. Lines count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// A line is no address.
    #[error("line {line}: {error}")]
    Line {
        /// The offending line.
        line: usize,
        /// What is wrong with it.
        error: AddressError,
    },
    /// Two lines are the same address, perhaps written differently: two customers would share it.
    #[error("line {line} is the same address as line {first}")]
    Duplicate {
        /// The later line.
        line: usize,
        /// The line it repeats.
        first: usize,
    },
    /// More than [`IMPORTED_ADDRESSES_MAX`].
    #[error("the list has more than {IMPORTED_ADDRESSES_MAX} addresses")]
    TooMany,
}

/// Reads a legacy, nested, segwit v0 or taproot address of the given network.
///
/// Legacy and nested addresses of the test networks look alike and are taken for any of them.
pub fn parse_address(text: &str, network: Network) -> Result<Address, AddressError> {
    if text.len() > ADDRESS_CHARS_MAX {
        return Err(AddressError::Malformed);
    }
    let address: Address<NetworkUnchecked> = text.parse().map_err(|_| AddressError::Malformed)?;
    let address = address.require_network(network).map_err(|_| AddressError::WrongNetwork(network))?;
    ReceiveKind::of_address(&address).map(|_| address).ok_or(AddressError::UnknownKind)
}

/// Reads a list of one address a line. Empty lines and lines that begin with `#` are skipped; the order is kept.
pub fn parse_address_list(text: &str, network: Network) -> Result<Vec<Address>, ImportError> {
    let mut lines_seen: HashMap<ScriptBuf, usize> = HashMap::new();
    let mut addresses = Vec::new();
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    for (line, entry) in numbered.filter(|(_, entry)| !entry.is_empty() && !entry.starts_with('#')) {
        if addresses.len() == IMPORTED_ADDRESSES_MAX {
            return Err(ImportError::TooMany);
        }
        let address = parse_address(entry, network).map_err(|error| ImportError::Line { line, error })?;
        if let Some(first) = lines_seen.insert(address.script_pubkey(), line) {
            return Err(ImportError::Duplicate { line, first });
        }
        addresses.push(address);
    }
    Ok(addresses)
}
