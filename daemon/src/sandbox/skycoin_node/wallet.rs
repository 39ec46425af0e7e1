//! The wallets the node keeps: keys from a seed, their addresses, and signing.

use std::collections::HashMap;
use std::sync::LazyLock;

use bitcoin::secp256k1::{All, PublicKey, Secp256k1, SecretKey};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

static SECP: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// How many addresses one wallet may have.
pub const ADDRESSES_MAX: usize = 10_000;

/// How a wallet's keys come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Derived one after the other; what `bip44` is asked for is kept the same way.
    Deterministic,
    /// Derived like the deterministic ones, shown with child numbers.
    Bip44,
    /// Brought along.
    Collection,
}

impl Kind {
    /// The word for it in requests and answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deterministic => "deterministic",
            Self::Bip44 => "bip44",
            Self::Collection => "collection",
        }
    }
}

/// A key and its address.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The secret.
    pub secret: SecretKey,
    /// The public key.
    pub public: PublicKey,
    /// Who it pays as.
    pub address: SkyAddress,
}

impl Key {
    /// The key of a secret.
    pub fn of(secret: SecretKey) -> Self {
        let public = secret.public_key(&SECP);
        Self { secret, public, address: SkyAddress::from_public_key(&public) }
    }

    /// The key with this number of a seed, the same for ever.
    pub fn derive(seed: &str, number: u64) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"millrace sandbox skycoin key");
        hasher.update((seed.len() as u64).to_le_bytes());
        hasher.update(seed);
        hasher.update(number.to_le_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        // Out of range with a chance of 2^-128.
        Self::of(SecretKey::from_slice(&digest).expect("a hash is a valid key"))
    }
}

/// A wallet.
#[derive(Debug, Clone)]
pub struct Wallet {
    /// The file name it is called by.
    pub id: String,
    /// What its owner calls it.
    pub label: String,
    /// How its keys come about.
    pub kind: Kind,
    /// When it was made, in seconds since 1970.
    pub time_s: u64,
    seed: String,
    keys: Vec<Key>,
    by_address: HashMap<SkyAddress, usize>,
}

/// What brings a wallet back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// The file name.
    pub id: String,
    /// The label.
    pub label: String,
    /// How its keys come about.
    pub kind: Kind,
    /// The seed; empty for a collection.
    pub seed: String,
    /// The secrets of a collection, in hexadecimal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// When it was made.
    pub time_s: u64,
}

impl Wallet {
    /// The wallet of a recipe, with its first address; `None` when a secret is no secret.
    pub fn of(recipe: &Recipe) -> Option<Self> {
        let Recipe { id, label, kind, seed, secrets, time_s } = recipe.clone();
        let mut wallet = Self { id, label, kind, time_s, seed, keys: Vec::new(), by_address: HashMap::new() };
        match kind {
            Kind::Deterministic | Kind::Bip44 => wallet.grow(1),
            Kind::Collection => {
                for secret in secrets {
                    wallet.add(Key::of(secret.parse().ok()?));
                }
            }
        }
        Some(wallet)
    }

    fn add(&mut self, key: Key) {
        self.by_address.insert(key.address, self.keys.len());
        self.keys.push(key);
    }

    /// Makes so many more addresses.
    pub fn grow(&mut self, count: usize) {
        for _ in 0..count {
            self.add(Key::derive(&self.seed, self.keys.len() as u64));
        }
    }

    /// Its keys, in the order they were made.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The key of an address, when it is this wallet's.
    pub fn key_of(&self, address: &SkyAddress) -> Option<&Key> {
        self.by_address.get(address).map(|index| &self.keys[*index])
    }
}
