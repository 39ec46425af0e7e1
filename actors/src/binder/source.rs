//! Where deposit addresses come from: an account's public key, or a list made elsewhere.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bitcoin::Address;
use millrace_protocols::receive::{AccountKey, DeriveError};

/// How many addresses are derived at once: the binder's next ones are at hand when they are asked for.
const BATCH: u32 = 32;
/// Where the numbers end (BIP32: higher ones need the private key).
const INDEX_END: u32 = 1 << 31;
/// How many derived addresses are kept. More than the scanner looks ahead, so that each is derived once.
const KEPT_MAX: usize = 4_096;

/// The addresses by their numbers. Shared by the binder, which gives them out, and the scanner, which looks out for the
/// ones that come next.
#[derive(Debug)]
pub struct AddressSource {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Account { key: Box<AccountKey>, derived: Mutex<Derived> },
    List(Vec<Address>),
}

/// A run of derived addresses without gaps.
#[derive(Debug, Default)]
struct Derived {
    first: u32,
    addresses: VecDeque<Result<Address, DeriveError>>,
}

impl AddressSource {
    /// Addresses derived from an account's public key.
    pub fn account(key: AccountKey) -> Self {
        Self { kind: Kind::Account { key: Box::new(key), derived: Mutex::default() } }
    }

    /// Addresses of a list, which has none twice.
    pub fn list(addresses: Vec<Address>) -> Self {
        Self { kind: Kind::List(addresses) }
    }

    /// The address with this number.
    pub fn address(&self, index: u32) -> Result<Address, DeriveError> {
        match &self.kind {
            Kind::List(addresses) => addresses.get(index as usize).cloned().ok_or(DeriveError::Exhausted),
            Kind::Account { key, derived } => lock(derived).address(key, index),
        }
    }

    /// How many addresses there are; `None` for practically without end.
    pub fn size(&self) -> Option<u32> {
        match &self.kind {
            Kind::List(addresses) => Some(u32::try_from(addresses.len()).unwrap_or(u32::MAX)),
            Kind::Account { .. } => None,
        }
    }
}

impl Derived {
    fn address(&mut self, key: &AccountKey, index: u32) -> Result<Address, DeriveError> {
        if index >= INDEX_END {
            return Err(DeriveError::Exhausted);
        }
        let next = self.first + self.addresses.len() as u32;
        if index < self.first || index > next + BATCH {
            *self = Self { first: index, addresses: VecDeque::new() };
        }
        while self.first + self.addresses.len() as u32 <= index {
            let from = self.first + self.addresses.len() as u32;
            self.addresses.extend((from..from + BATCH).map(|index| key.address(index)));
        }
        while self.addresses.len() > KEPT_MAX && index > self.first {
            self.addresses.pop_front();
            self.first += 1;
        }
        self.addresses[(index - self.first) as usize].clone()
    }
}

fn lock(derived: &Mutex<Derived>) -> MutexGuard<'_, Derived> {
    derived.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bitcoin::Network;

    use super::*;

    /// The account key of BIP84's own test vectors.
    const ACCOUNT: &str = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs";

    #[test]
    fn every_way_of_asking_gives_the_same_address() {
        let key = AccountKey::parse(ACCOUNT, Network::Bitcoin).unwrap();
        let source = AddressSource::account(key.clone());
        for index in [0, 1, 40, 39, 10_000, 10_001, 3, 5_000, 0] {
            assert_eq!(source.address(index), key.address(index), "{index}");
        }
        for index in 0..200 {
            assert_eq!(source.address(index), key.address(index), "{index}");
        }
        assert!(source.address(INDEX_END - 1).is_ok());
        for index in [INDEX_END, u32::MAX] {
            assert_eq!(source.address(index), Err(DeriveError::Exhausted));
        }
    }
}
