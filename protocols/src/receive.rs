//! Where deposits arrive: addresses derived watch-only from an account's public key, or imported from a list, and the
//! recognition of receive scripts. No private key is ever needed or accepted here.

mod import;

use bitcoin::bip32::{ChildNumber, Xpub};
use bitcoin::secp256k1::{Secp256k1, VerifyOnly};
use bitcoin::{Address, AddressType, CompressedPublicKey, Network, NetworkKind, Script};

pub use import::{AddressError, IMPORTED_ADDRESSES_MAX, ImportError, parse_address, parse_address_list};

/// An account's public key as BIP84 has it (`m/84'/coin'/account'`), from which native segwit deposit addresses come.
///
/// The key of the receive chain is derived once; one address then costs one elliptic curve operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountKey {
    account: Xpub,
    receive_chain: Xpub,
    network: Network,
    curve: Secp256k1<VerifyOnly>,
}

/// Why a text is no account key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountKeyError {
    /// Not Base58Check of the right length, or not a point of the curve.
    #[error("this is no extended public key, or it has a typing mistake")]
    Malformed,
    /// An xprv, zprv or the like.
    #[error("this is an extended PRIVATE key: remove it and give the account's public key (zpub or xpub)")]
    Private,
    /// ypub, upub and the multi-signature kinds.
    #[error("this extended key is for another kind of address than native segwit (BIP84)")]
    OtherPurpose,
    /// A mainnet key on a test network or the other way round.
    #[error("this key belongs to another network than {0}")]
    WrongNetwork(Network),
    /// A master, purpose or chain key: the wallet that holds the private key would not find the addresses.
    #[error("this is no account key (depth {0} instead of 3, hardened): export the key of m/84'/coin'/account'")]
    NotAnAccount(u8),
}

/// Why there is no address at an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// Indexes end at 2^31 − 1.
    #[error("the account has no more addresses")]
    Exhausted,
    /// The curve has no key here (one in 2^127): take the next index.
    #[error("there is no key at this index")]
    NoKey,
}

/// Depth of an account key: purpose, coin, account.
const ACCOUNT_DEPTH: u8 = 3;

/// Version bytes of extended keys (SLIP-132; BIP32 for xpub and tpub).
mod version {
    pub const XPUB: [u8; 4] = [0x04, 0x88, 0xb2, 0x1e];
    pub const TPUB: [u8; 4] = [0x04, 0x35, 0x87, 0xcf];
    pub const ZPUB: [u8; 4] = [0x04, 0xb2, 0x47, 0x46];
    pub const VPUB: [u8; 4] = [0x04, 0x5f, 0x1c, 0xf6];
    /// ypub, upub, Ypub, Zpub, Upub, Vpub.
    pub const OTHER_PURPOSES: [[u8; 4]; 6] = [
        [0x04, 0x9d, 0x7c, 0xb2],
        [0x04, 0x4a, 0x52, 0x62],
        [0x02, 0x95, 0xb4, 0x3f],
        [0x02, 0xaa, 0x7e, 0xd3],
        [0x02, 0x42, 0x89, 0xef],
        [0x02, 0x57, 0x54, 0x83],
    ];
    /// xprv, tprv, yprv, zprv, uprv, vprv.
    pub const PRIVATE: [[u8; 4]; 6] = [
        [0x04, 0x88, 0xad, 0xe4],
        [0x04, 0x35, 0x83, 0x94],
        [0x04, 0x9d, 0x78, 0x78],
        [0x04, 0xb2, 0x43, 0x0c],
        [0x04, 0x4a, 0x4e, 0x28],
        [0x04, 0x5f, 0x18, 0xbc],
    ];
}

impl AccountKey {
    /// Reads an `xpub` or `zpub` (mainnet), a `tpub` or `vpub` (every test network).
    pub fn parse(text: &str, network: Network) -> Result<Self, AccountKeyError> {
        // 78 bytes and a checksum are never more than 112 characters; decoding costs the square of the length.
        if text.len() > 120 {
            return Err(AccountKeyError::Malformed);
        }
        let mut bytes = bitcoin::base58::decode_check(text).map_err(|_| AccountKeyError::Malformed)?;
        let kind = kind_of(bytes.first_chunk().ok_or(AccountKeyError::Malformed)?)?;
        if kind != NetworkKind::from(network) {
            return Err(AccountKeyError::WrongNetwork(network));
        }
        let plain = if kind.is_mainnet() { version::XPUB } else { version::TPUB };
        bytes[..4].copy_from_slice(&plain);
        let account = Xpub::decode(&bytes).map_err(|_| AccountKeyError::Malformed)?;
        if account.depth != ACCOUNT_DEPTH || !account.child_number.is_hardened() {
            return Err(AccountKeyError::NotAnAccount(account.depth));
        }
        let curve = Secp256k1::verification_only();
        let receive_chain =
            account.ckd_pub(&curve, ChildNumber::Normal { index: 0 }).map_err(|_| AccountKeyError::Malformed)?;
        Ok(Self { account, receive_chain, network, curve })
    }

    /// The native segwit address `0/index` of the account.
    pub fn address(&self, index: u32) -> Result<Address, DeriveError> {
        let child = ChildNumber::from_normal_idx(index).map_err(|_| DeriveError::Exhausted)?;
        let key = self.receive_chain.ckd_pub(&self.curve, child).map_err(|_| DeriveError::NoKey)?;
        Ok(Address::p2wpkh(&CompressedPublicKey(key.public_key), self.network))
    }

    /// The network the addresses are for.
    pub fn network(&self) -> Network {
        self.network
    }

    /// First eight hex digits of the account key's hash: enough to tell two accounts apart in logs and pages.
    pub fn fingerprint(&self) -> String {
        self.account.fingerprint().to_string()
    }
}

fn kind_of(version: &[u8; 4]) -> Result<NetworkKind, AccountKeyError> {
    match *version {
        version::XPUB | version::ZPUB => Ok(NetworkKind::Main),
        version::TPUB | version::VPUB => Ok(NetworkKind::Test),
        _ if version::PRIVATE.contains(version) => Err(AccountKeyError::Private),
        _ if version::OTHER_PURPOSES.contains(version) => Err(AccountKeyError::OtherPurpose),
        _ => Err(AccountKeyError::Malformed),
    }
}

/// The kinds of script that money can be received on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiveKind {
    /// Legacy pay-to-public-key-hash.
    P2pkh,
    /// Pay-to-script-hash, nested segwit included.
    P2sh,
    /// Native segwit v0, one key.
    P2wpkh,
    /// Native segwit v0, a script.
    P2wsh,
    /// Taproot.
    P2tr,
}

impl ReceiveKind {
    /// What kind of receive script this is; none for anything that has no address of these kinds.
    pub fn of(script: &Script) -> Option<Self> {
        if script.is_p2wpkh() {
            Some(Self::P2wpkh)
        } else if script.is_p2tr() {
            Some(Self::P2tr)
        } else if script.is_p2wsh() {
            Some(Self::P2wsh)
        } else if script.is_p2sh() {
            Some(Self::P2sh)
        } else if script.is_p2pkh() {
            Some(Self::P2pkh)
        } else {
            None
        }
    }

    /// What kind of address this is; none for segwit versions and lengths without a meaning yet.
    pub fn of_address(address: &Address) -> Option<Self> {
        match address.address_type()? {
            AddressType::P2pkh => Some(Self::P2pkh),
            AddressType::P2sh => Some(Self::P2sh),
            AddressType::P2wpkh => Some(Self::P2wpkh),
            AddressType::P2wsh => Some(Self::P2wsh),
            AddressType::P2tr => Some(Self::P2tr),
            // The library may learn of new kinds; the desk knows them when its own code does.
            _ => None,
        }
    }
}

/// The address of an output's script; none when it is no receive script.
pub fn address_of(script: &Script, network: Network) -> Option<Address> {
    ReceiveKind::of(script)?;
    Address::from_script(script, network).ok()
}

#[cfg(test)]
mod tests;
