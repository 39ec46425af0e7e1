//! The outside world of this run: the configured nodes and exchange, or the sandbox.

use std::sync::Arc;

use anyhow::Context;
use bitcoin::Network;
use millrace_actors::binder::AddressSource;
use millrace_actors::bitcoin_node::{HttpBitcoinNode, Settings as BitcoinSettings};
use millrace_actors::exchange::{Exchange, HttpC2cx, RequestsPerMinute, Settings as C2cxSettings};
use millrace_actors::ports::BitcoinNode;
use millrace_actors::skycoin_node::HttpSkycoinNode;
use millrace_protocols::receive::{AccountKey, parse_address_list};
use millrace_protocols::wire::c2cx::Credentials;
use millrace_protocols::wire::skycoin::rest::Broadcast;

use reqwest::Url;

use crate::bounded_file::read_text;
use crate::config::{ADDRESS_FILE_BYTES_MAX, Config, Secret};
use crate::sandbox::info::Info;

/// What the desk deals with. Nothing is connected yet: that is each actor's own business.
pub(super) struct Outside {
    pub bitcoin: Arc<dyn BitcoinNode>,
    pub network: Network,
    pub addresses: Arc<AddressSource>,
    pub skycoin: Arc<HttpSkycoinNode>,
    pub wallet: Wallet,
    /// `None` when none is configured; then nothing can be bought.
    pub exchange: Option<Arc<dyn Exchange>>,
}

/// The hot wallet.
pub(super) struct Wallet {
    pub id: String,
    pub password: Option<String>,
}

/// The outside as configured.
pub(super) fn real(config: &Config) -> anyhow::Result<Outside> {
    let bitcoin = &config.bitcoin;
    let url = bitcoin.url.as_ref().context("bitcoin.url is missing")?;
    let user = bitcoin.user.as_deref().unwrap_or_default();
    let password = bitcoin.password.as_ref().map_or("", Secret::reveal);
    let skycoin = &config.skycoin;
    let skycoin_url = skycoin.url.as_ref().context("skycoin.url is missing")?;
    let wallet_id = skycoin.wallet_id.as_ref().context("skycoin.wallet_id is missing")?;
    Ok(Outside {
        bitcoin: Arc::new(HttpBitcoinNode::new(BitcoinSettings {
            url: url.to_string(),
            user: user.to_owned(),
            password: password.to_owned(),
        })?),
        network: bitcoin.network,
        addresses: addresses(config)?,
        skycoin: Arc::new(HttpSkycoinNode::new(skycoin_url.as_str(), wallet_id, Broadcast::Peers)?),
        wallet: Wallet {
            id: wallet_id.clone(),
            password: skycoin.wallet_password.as_ref().map(|secret| secret.reveal().to_owned()),
        },
        exchange: exchange(config)?,
    })
}

/// The sandbox.
pub(super) fn sandbox(info: &Info) -> anyhow::Result<Outside> {
    let network = Network::Regtest;
    let broadcast = if info.skycoin.peers == 0 { Broadcast::Quiet } else { Broadcast::Peers };
    Ok(Outside {
        bitcoin: Arc::new(HttpBitcoinNode::new(BitcoinSettings {
            url: info.bitcoin.url.clone(),
            user: info.bitcoin.user.clone(),
            password: info.bitcoin.password.clone(),
        })?),
        network,
        addresses: Arc::new(AddressSource::account(AccountKey::parse(&info.bitcoin.xpub.to_string(), network)?)),
        skycoin: Arc::new(HttpSkycoinNode::new(&info.skycoin.url, &info.skycoin.wallet_id, broadcast)?),
        wallet: Wallet { id: info.skycoin.wallet_id.clone(), password: None },
        exchange: Some(c2cx(info.c2cx.url.parse()?, &info.c2cx.key, &info.c2cx.secret, None)?),
    })
}

fn exchange(config: &Config) -> anyhow::Result<Option<Arc<dyn Exchange>>> {
    let c2cx_config = &config.c2cx;
    let (Some(url), Some(key), Some(secret)) = (&c2cx_config.url, &c2cx_config.key, &c2cx_config.secret) else {
        return Ok(None);
    };
    let pace = RequestsPerMinute::new(c2cx_config.requests_per_minute);
    c2cx(url.as_str().parse()?, key.reveal(), secret.reveal(), pace).map(Some)
}

fn c2cx(url: Url, key: &str, secret: &str, pace: Option<RequestsPerMinute>) -> anyhow::Result<Arc<dyn Exchange>> {
    let credentials = Credentials { key: key.to_owned(), secret: secret.to_owned() };
    Ok(Arc::new(HttpC2cx::new(C2cxSettings { url, credentials, pace })?))
}

fn addresses(config: &Config) -> anyhow::Result<Arc<AddressSource>> {
    let network = config.bitcoin.network;
    if let Some(xpub) = &config.bitcoin.xpub {
        return Ok(Arc::new(AddressSource::account(AccountKey::parse(&xpub.to_string(), network)?)));
    }
    let path = config.bitcoin.address_file.as_ref().context("bitcoin.xpub or bitcoin.address_file is missing")?;
    let text = read_text(path, ADDRESS_FILE_BYTES_MAX).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Arc::new(AddressSource::list(parse_address_list(&text, network)?)))
}
