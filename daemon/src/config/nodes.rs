//! `[bitcoin]` and `[skycoin]`: the nodes, how deposits are recognised and how payouts are watched.

use std::path::PathBuf;
use std::time::Duration;

use bitcoin::Network;
use bitcoin::bip32::Xpub;
use millrace_model::money::{Amount, Sky};
use millrace_protocols::receive::IMPORTED_ADDRESSES_MAX;
use reqwest::Url;

use super::layers::Layers;
use super::secret::Secret;
use super::section::Section;

/// More confirmations than this are a slip of the pen.
const CONFIRMATIONS_MAX: u32 = 1_000;
/// A node is asked at least once in ten minutes, and not more often than this many milliseconds apart.
const POLL_MS: std::ops::RangeInclusive<u64> = 10..=600_000;

/// A list of addresses that is longer is none: a million of them, with room to spare on every line.
pub const ADDRESS_FILE_BYTES_MAX: u64 = 128 * IMPORTED_ADDRESSES_MAX as u64;

/// The `[bitcoin]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitcoin {
    /// The node's JSON-RPC address; absent in the sandbox, which brings its own.
    pub url: Option<Url>,
    /// The RPC user, together with the password.
    pub user: Option<String>,
    /// The RPC password, from `password` or `password_file`.
    pub password: Option<Secret>,
    /// Which chain: `regtest` in the sandbox, else `bitcoin` unless set.
    pub network: Network,
    /// The account key (BIP84) that deposit addresses are derived from; watch-only.
    pub xpub: Option<Xpub>,
    /// Or a list of addresses made elsewhere.
    pub address_file: Option<PathBuf>,
    /// A deposit is taken when its block is so deep, 1 being the tip.
    pub confirmations: u32,
    /// How long between two looks at the chain (`poll_ms`).
    pub poll: Duration,
    /// Whether unmined deposits are shown (never acted upon).
    pub watch_mempool: bool,
    /// The first block to look at on an empty log; the tip when absent.
    pub start_height: Option<u32>,
    /// So few unused addresses in the list raise a warning.
    pub low_pool_warning: u32,
}

impl Bitcoin {
    pub(super) fn read(layers: &mut Layers<'_>, sandbox: bool) -> Self {
        let mut section = Section::new(layers, "bitcoin");
        Self {
            url: section.optional("url"),
            user: section.optional("user"),
            password: section.secret("password", "password_file"),
            network: section.value("network", if sandbox { Network::Regtest } else { Network::Bitcoin }),
            xpub: section.optional("xpub"),
            address_file: section.path("address_file", None),
            confirmations: section.within("confirmations", 1..=CONFIRMATIONS_MAX, 2),
            poll: section.millis("poll_ms", POLL_MS, 1_000),
            watch_mempool: section.value("watch_mempool", true),
            start_height: section.optional("start_height"),
            low_pool_warning: section.within("low_pool_warning", 0..=1_000_000, 100),
        }
    }
}

/// The `[skycoin]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skycoin {
    /// The node's REST address; absent in the sandbox.
    pub url: Option<Url>,
    /// The hot wallet's file name in the node, such as `desk.wlt`.
    pub wallet_id: Option<String>,
    /// The password of an encrypted wallet, from `wallet_password` or `wallet_password_file`.
    pub wallet_password: Option<Secret>,
    /// A payout is final when its block is so deep, 1 being the tip; outputs are spent from that depth on.
    pub confirmations: u32,
    /// How long between two looks at the chain (`poll_ms`).
    pub poll: Duration,
    /// A payout that the node no longer knows is broadcast again, the same bytes, after this (`resend_after_s`).
    pub resend_after: Duration,
    /// Fewer coin hours than this in the wallet raise a warning.
    pub low_hours_warning: u64,
    /// Payouts wait while the wallet has fewer coin hours than this.
    pub minimum_hours: u64,
    /// Fewer coins than this in the wallet raise a warning.
    pub low_balance_warning: Amount<Sky>,
}

impl Skycoin {
    pub(super) fn read(layers: &mut Layers<'_>) -> Self {
        let mut section = Section::new(layers, "skycoin");
        Self {
            url: section.optional("url"),
            wallet_id: section.optional("wallet_id"),
            wallet_password: section.secret("wallet_password", "wallet_password_file"),
            confirmations: section.within("confirmations", 1..=CONFIRMATIONS_MAX, 1),
            poll: section.millis("poll_ms", POLL_MS, 1_000),
            resend_after: section.seconds("resend_after_s", 1..=86_400, 60),
            low_hours_warning: section.value("low_hours_warning", 1_000),
            minimum_hours: section.value("minimum_hours", 1),
            low_balance_warning: section.value("low_balance_warning", hundred_coins()),
        }
    }
}

fn hundred_coins() -> Amount<Sky> {
    Amount::from_units(100_000_000).expect("a hundred coins are an amount")
}
