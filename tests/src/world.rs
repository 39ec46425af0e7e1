//! The outside world of a desk that is configured as in production: the real Bitcoin node, and a Skycoin node and an
//! exchange of a sandbox that runs in the test's own process. Its books say what was really paid.

use anyhow::{Context, Result};
use bitcoin::bip32::{DerivationPath, Xpriv, Xpub};
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Network, NetworkKind};
use millrace_daemon::sandbox::info::Info;
use millrace_daemon::sandbox::process::{self, Config, Ports, Running, Timing};
use millrace_daemon::sandbox::skycoin_node::{self, Payment};
use millrace_protocols::receive::AccountKey;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use std::time::Duration;
use tempfile::TempDir;

use crate::desk::Desk;
use crate::peers::bitcoin::BitcoinNode;

/// How deep a deposit must be.
pub const CONFIRMATIONS: u32 = 3;
/// The Skycoin node makes its blocks fast.
const SKYCOIN_BLOCK: Duration = Duration::from_millis(100);
/// A wallet with as many outputs as any of these tests needs.
const HOT_OUTPUTS: u32 = 50;

/// Everything a desk deals with.
#[derive(Debug)]
pub struct World {
    /// The Bitcoin node.
    pub bitcoin: BitcoinNode,
    /// The Skycoin node and the exchange.
    pub sandbox: Running,
    account: Xpub,
    _folder: TempDir,
}

impl World {
    /// Starts it. `None` when bcoin is not installed and nobody requires it.
    pub async fn start() -> Result<Option<Self>> {
        let Some(bitcoin) = BitcoinNode::start().await? else { return Ok(None) };
        let folder = tempfile::tempdir()?;
        let sandbox = process::start(payers(folder.path(), Ports::ANY)).await?;
        Ok(Some(Self { bitcoin, sandbox, account: account_key()?, _folder: folder }))
    }

    /// The configuration of a desk in this world that sells at 100 SKY for one BTC.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = settings_for(&self.sandbox.info, &self.account);
        settings.extend([
            ("MILLRACE_BITCOIN__URL", self.bitcoin.url().to_owned()),
            ("MILLRACE_BITCOIN__USER", self.bitcoin.user().to_owned()),
            ("MILLRACE_BITCOIN__PASSWORD", self.bitcoin.password().to_owned()),
        ]);
        settings
    }

    /// Starts a desk in this world, with some settings of the test's own.
    pub async fn desk(&self, own: &[(&'static str, &str)]) -> Result<Desk> {
        let settings = self.settings();
        let mut all: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(own);
        Desk::start(&all).await
    }

    /// The desk's own deposit address of this number, whether it was given out or not.
    pub fn deposit_address(&self, number: u32) -> Result<String> {
        let account = AccountKey::parse(&self.account.to_string(), Network::Regtest)?;
        Ok(account.address(number)?.to_string())
    }

    /// What the Skycoin node's own books say was paid to an address, whatever became of it.
    pub fn paid(&self, target: &str) -> Result<Vec<Payment>> {
        let target: SkyAddress = target.parse().context("the target is a Skycoin address")?;
        Ok(self.sandbox.servers.skycoin.books().payments.remove(&target).unwrap_or_default())
    }
}

/// A sandbox with peers, for a desk that takes it for real nodes.
pub fn payers(folder: &std::path::Path, ports: Ports) -> Config {
    Config {
        ports,
        timing: Timing { skycoin_block: Some(SKYCOIN_BLOCK), ..Timing::ON_DEMAND },
        skycoin: skycoin_node::Config { hot_outputs: HOT_OUTPUTS, peers: 2, ..skycoin_node::Config::default() },
        ..Config::new(folder)
    }
}

/// The configuration of a desk that takes a sandbox for real nodes and a real exchange.
pub fn settings_of(info: &Info) -> Vec<(&'static str, String)> {
    let mut settings = settings_for(info, &info.bitcoin.xpub);
    settings.extend([
        ("MILLRACE_BITCOIN__URL", info.bitcoin.url.clone()),
        ("MILLRACE_BITCOIN__USER", info.bitcoin.user.clone()),
        ("MILLRACE_BITCOIN__PASSWORD", info.bitcoin.password.clone()),
    ]);
    settings
}

/// Everything but the Bitcoin node's address and login.
fn settings_for(info: &Info, account: &Xpub) -> Vec<(&'static str, String)> {
    vec![
        ("MILLRACE_DESK__RATE", "100".to_owned()),
        ("MILLRACE_BITCOIN__NETWORK", "regtest".to_owned()),
        ("MILLRACE_BITCOIN__XPUB", account.to_string()),
        ("MILLRACE_BITCOIN__CONFIRMATIONS", CONFIRMATIONS.to_string()),
        ("MILLRACE_SKYCOIN__URL", info.skycoin.url.clone()),
        ("MILLRACE_SKYCOIN__WALLET_ID", info.skycoin.wallet_id.clone()),
        ("MILLRACE_C2CX__URL", info.c2cx.url.clone()),
        ("MILLRACE_C2CX__KEY", info.c2cx.key.clone()),
        ("MILLRACE_C2CX__SECRET", info.c2cx.secret.clone()),
        ("MILLRACE_C2CX__REQUESTS_PER_MINUTE", "100000".to_owned()),
    ]
}

/// An account key as a wallet would export it (BIP84).
fn account_key() -> Result<Xpub> {
    let curve = Secp256k1::new();
    let master = Xpriv::new_master(NetworkKind::Test, &[42; 32])?;
    let account = master.derive_priv(&curve, &"m/84h/1h/0h".parse::<DerivationPath>()?)?;
    Ok(Xpub::from_priv(&curve, &account))
}
