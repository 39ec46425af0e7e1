//! Where a running sandbox listens and how to get in: `sandbox.json` in its folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bitcoin::bip32::Xpub;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use serde::{Deserialize, Serialize};

use super::secrets::write_private;

/// The sandbox, as the desk finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Its process.
    pub pid: u32,
    /// Where it is steered from, such as `http://127.0.0.1:21800`.
    pub control: String,
    /// The Bitcoin node.
    pub bitcoin: BitcoinInfo,
    /// The Skycoin node.
    pub skycoin: SkycoinInfo,
    /// The exchange.
    pub c2cx: C2cxInfo,
}

/// How to reach the Bitcoin node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BitcoinInfo {
    /// JSON-RPC, without credentials.
    pub url: String,
    /// The RPC user.
    pub user: String,
    /// The RPC password.
    pub password: String,
    /// The network's name in a configuration.
    pub network: String,
    /// An account key for deposit addresses.
    pub xpub: Xpub,
}

/// How to reach the Skycoin node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkycoinInfo {
    /// REST.
    pub url: String,
    /// The hot wallet.
    pub wallet_id: String,
    /// The hot wallet's one address.
    pub hot_address: SkyAddress,
    /// How many peers it has; without any, transactions are injected quietly.
    pub peers: u32,
}

/// How to reach the exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct C2cxInfo {
    /// What stands before `/v1/…`.
    pub url: String,
    /// The account's key.
    pub key: String,
    /// The account's secret.
    pub secret: String,
}

impl Info {
    /// The file in the sandbox's folder.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("sandbox.json")
    }

    /// Leaves it in the folder.
    pub fn publish(&self, dir: &Path) -> io::Result<()> {
        write_private(&Self::path(dir), &serde_json::to_vec_pretty(self)?)
    }

    /// What is in the folder; `None` when there is nothing that can be read. A sandbox that crashed leaves it behind.
    pub fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::path(dir)).ok()?).ok()
    }

    /// Takes it away when the sandbox stops.
    pub fn withdraw(dir: &Path) {
        let _ = fs::remove_file(Self::path(dir));
    }
}
