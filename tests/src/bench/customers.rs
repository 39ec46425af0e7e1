//! Customers of a real desk: Skycoin addresses that belong to nobody, and the deposit addresses they get over HTTP.

use std::time::Instant;

use anyhow::Context;
use futures::future::try_join_all;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use serde_json::json;

use super::real::RealDesk;

/// As many addresses as a customer may have by default.
pub(crate) const ADDRESSES_EACH: usize = 5;
/// Customers that come at the same time.
const CLIENTS: usize = 64;

/// A Skycoin address that belongs to nobody.
pub(super) fn target(number: usize) -> String {
    let secp = bitcoin::secp256k1::Secp256k1::new();
    let mut secret = [1; 32];
    secret[24..].copy_from_slice(&(number as u64).to_be_bytes());
    let key = bitcoin::secp256k1::SecretKey::from_slice(&secret).expect("a small number is a key");
    SkyAddress::from_public_key(&key.public_key(&secp)).to_string()
}

/// What was bound, and how fast.
pub(super) struct Bound {
    pub addresses: Vec<String>,
    pub rate: f64,
}

/// Binds so many addresses by `POST /api/bind`, by 64 clients at once; `first` is the number of the first customer.
pub(super) async fn bind(desk: &RealDesk, first: usize, binds: usize) -> anyhow::Result<Bound> {
    let bodies: Vec<String> = (0..binds.div_ceil(ADDRESSES_EACH))
        .map(|number| json!({ "skyaddr": target(first + number), "coin_type": "BTC" }).to_string())
        .collect();
    let mut connections = Vec::new();
    for _ in 0..CLIENTS {
        connections.push(desk.public().await?);
    }
    let begin = Instant::now();
    let clients = connections.into_iter().enumerate().map(|(client, mut connection)| {
        let bodies = &bodies;
        async move {
            let mut addresses = Vec::new();
            for bind in (client..binds).step_by(CLIENTS) {
                // A customer's addresses are asked for by different clients, some of them at the same time.
                let answer = connection.post("/api/bind", bodies[bind / ADDRESSES_EACH].clone()).await?.json()?;
                let address = answer["deposit_address"].as_str().context("a bind without an address")?;
                addresses.push(address.to_owned());
            }
            anyhow::Ok(addresses)
        }
    });
    let addresses: Vec<_> = try_join_all(clients).await?.into_iter().flatten().collect();
    Ok(Bound { rate: binds as f64 / begin.elapsed().as_secs_f64(), addresses })
}
