//! The outside world of this run: the configured nodes and exchange, or the sandbox.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bitcoin::Network;
use millrace_actors::binder::AddressSource;
use millrace_actors::bitcoin_node::HttpBitcoinNode;
use millrace_actors::ports::{BitcoinNode, SkycoinNode};
use millrace_actors::skycoin_node::HttpSkycoinNode;
use millrace_protocols::receive::{AccountKey, parse_address_list};
use millrace_protocols::wire::skycoin::rest::Broadcast;

use crate::config::{Config, Secret};
use crate::sandbox::find::find_or_start;
use crate::sandbox::info::Info;
use crate::sandbox::process::Timing;

/// How long between two attempts to reach the sandbox.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the desk deals with. Nothing is connected yet: that is each actor's own business.
pub(super) struct Outside {
    pub bitcoin: Arc<dyn BitcoinNode>,
    pub network: Network,
    pub addresses: AddressSource,
    pub skycoin: Arc<dyn SkycoinNode>,
}

/// The outside as configured; with the sandbox, waits until one runs.
pub(super) async fn outside(config: &Config) -> anyhow::Result<Outside> {
    if config.sandbox.enabled { sandbox(&running_sandbox(config).await) } else { real(config) }
}

async fn running_sandbox(config: &Config) -> Info {
    let sandbox = &config.sandbox;
    let timing = Timing { bitcoin_block: Some(sandbox.bitcoin_block), skycoin_block: Some(sandbox.skycoin_block) };
    loop {
        let found = match std::env::current_exe() {
            Ok(program) => find_or_start(&program, &sandbox.dir, timing).await,
            Err(error) => Err(error.into()),
        };
        match found {
            Ok(info) => return info,
            Err(error) => tracing::warn!(%error, "no sandbox; trying again"),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}
