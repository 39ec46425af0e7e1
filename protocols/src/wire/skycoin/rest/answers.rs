//! Answers about the chain, balances, outputs and wallets.

use std::collections::{BTreeMap, HashSet};

use millrace_model::money::{Amount, Sky};
use serde::{Deserialize, Deserializer, de};

use super::super::address::SkyAddress;
use super::super::hash::{BlockHash, Txid, UxId};
use super::failure::{Failure, decode, error_message, parse};

/// The state of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The number of the newest block.
    pub head_seq: u64,
    /// Its name.
    pub head_hash: BlockHash,
    /// When it was made, in seconds since 1970.
    pub head_time_s: u64,
    /// How many transactions wait for a block.
    pub unconfirmed: u64,
    /// How long ago the newest block was made, as the node writes it (`12m6s`).
    pub time_since_last_block: String,
    /// Whether a POST needs a token.
    pub csrf_enabled: bool,
    /// How many peers the node is connected to; none means that only [`super::Broadcast::Quiet`] works.
    pub open_connections: u64,
    /// The node's version.
    pub version: String,
}

/// Reads the answer to [`super::get_health`].
pub fn health(status: u16, body: &[u8]) -> Result<Health, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        blockchain: Blockchain,
        version: Version,
        open_connections: u64,
        csrf_enabled: bool,
    }
    #[derive(Deserialize)]
    struct Blockchain {
        head: Head,
        unconfirmed: u64,
        time_since_last_block: String,
    }
    #[derive(Deserialize)]
    struct Head {
        seq: u64,
        block_hash: BlockHash,
        timestamp: u64,
    }
    #[derive(Deserialize)]
    struct Version {
        version: String,
    }
    let answer: Answer = decode(status, body)?;
    Ok(Health {
        head_seq: answer.blockchain.head.seq,
        head_hash: answer.blockchain.head.block_hash,
        head_time_s: answer.blockchain.head.timestamp,
        unconfirmed: answer.blockchain.unconfirmed,
        time_since_last_block: answer.blockchain.time_since_last_block,
        csrf_enabled: answer.csrf_enabled,
        open_connections: answer.open_connections,
        version: answer.version.version,
    })
}

/// Reads the answer to [`super::get_csrf`]: the token to send in [`super::CSRF_HEADER`].
pub fn csrf(status: u16, body: &[u8]) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        csrf_token: String,
    }
    let token = decode::<Answer>(status, body)?.csrf_token;
    let clean = !token.is_empty() && token.len() <= 1024 && token.bytes().all(|b| b.is_ascii_graphic());
    if clean { Ok(token) } else { Err(Failure::nonsense("csrf_token", "not a token that fits into a header")) }
}

/// Coins and coin hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Funds {
    /// The coins; the node writes droplets.
    #[serde(deserialize_with = "droplets")]
    pub coins: Amount<Sky>,
    /// The coin hours.
    pub hours: u64,
}

/// What is there now, and what will be once everything waiting is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Balance {
    /// In blocks.
    pub confirmed: Funds,
    /// After what waits.
    pub predicted: Funds,
    /// The same for each address.
    #[serde(default)]
    pub addresses: BTreeMap<SkyAddress, AddressBalance>,
}

/// What one address holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AddressBalance {
    /// In blocks.
    pub confirmed: Funds,
    /// After what waits.
    pub predicted: Funds,
}

fn droplets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amount<Sky>, D::Error> {
    let units = u64::deserialize(deserializer)?;
    Amount::from_units(units).ok_or_else(|| de::Error::custom("more droplets than there are"))
}

/// Reads the answer to [`super::get_balance`] and [`super::get_wallet_balance`].
pub fn balance(status: u16, body: &[u8]) -> Result<Balance, Failure> {
    decode(status, body)
}

/// Coins that can be spent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UnspentOutput {
    /// The output's name.
    #[serde(rename = "hash")]
    pub uxid: UxId,
    /// The block that made it.
    pub block_seq: u64,
    /// The transaction that made it.
    pub src_tx: Txid,
    /// Whose it is.
    pub address: SkyAddress,
    /// The coins in it.
    pub coins: Amount<Sky>,
    /// The coin hours in it now, those grown since included.
    #[serde(rename = "calculated_hours")]
    pub hours: u64,
}

/// The unspent outputs of some addresses, as blocks have them and as the pool will change them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UnspentOutputs {
    /// The newest block.
    #[serde(rename = "head", deserialize_with = "seq")]
    pub head_seq: u64,
    /// In blocks, and not spent by any block.
    #[serde(rename = "head_outputs")]
    pub head: Vec<UnspentOutput>,
    /// Those of [`UnspentOutputs::head`] that a waiting transaction spends.
    #[serde(rename = "outgoing_outputs")]
    pub outgoing: Vec<UnspentOutput>,
    /// What waiting transactions will make; not to be spent yet.
    #[serde(rename = "incoming_outputs")]
    pub incoming: Vec<UnspentOutput>,
}

impl UnspentOutputs {
    /// What can be spent now: in a block so deep, its own included, and no waiting transaction spends it.
    pub fn spendable(&self, confirmations: u64) -> impl Iterator<Item = &UnspentOutput> {
        let outgoing: HashSet<_> = self.outgoing.iter().map(|output| output.uxid).collect();
        let is_deep = move |seq: u64| self.head_seq.saturating_add(1) >= seq.saturating_add(confirmations);
        self.head.iter().filter(move |output| is_deep(output.block_seq) && !outgoing.contains(&output.uxid))
    }
}

fn seq<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    struct Header {
        seq: u64,
    }
    Ok(Header::deserialize(deserializer)?.seq)
}

/// Reads the answer to [`super::get_outputs`].
pub fn outputs(status: u16, body: &[u8]) -> Result<UnspentOutputs, Failure> {
    decode(status, body)
}

/// A wallet the node keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    /// The name it is called by in requests.
    pub id: String,
    /// Whether it wants a password.
    pub encrypted: bool,
    /// Its addresses, in the order they were made.
    pub addresses: Vec<SkyAddress>,
}

/// Reads the answer to [`super::get_wallet`].
pub fn wallet(status: u16, body: &[u8]) -> Result<Wallet, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        meta: Meta,
        entries: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Meta {
        filename: String,
        #[serde(default)]
        encrypted: bool,
    }
    #[derive(Deserialize)]
    struct Entry {
        address: SkyAddress,
    }
    let Answer { meta, entries } = decode(status, body)?;
    let addresses = entries.into_iter().map(|entry| entry.address).collect();
    Ok(Wallet { id: meta.filename, encrypted: meta.encrypted, addresses })
}

/// What the node thinks of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressVerdict {
    /// Coins can be sent there.
    Valid,
    /// They cannot; the node's reason.
    Invalid(String),
}

/// Reads the answer to [`super::verify_address`].
pub fn address_verdict(status: u16, body: &[u8]) -> Result<AddressVerdict, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        version: u8,
    }
    match status {
        200 => match parse::<Answer>(body)?.data.version {
            0 => Ok(AddressVerdict::Valid),
            other => Err(Failure::nonsense("data.version", format!("{other} is no version of an address"))),
        },
        422 => Ok(AddressVerdict::Invalid(error_message(body))),
        _ => Err(Failure::of_status(status, body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTH: &str = r#"{"blockchain":{"head":{"seq":58,
        "block_hash":"8a3e0aac619551ae009cfb28c2b36bb1300925f74da770d1512072314f6a4c80",
        "previous_block_hash":"001eb7911b6a6ab7c75feb88726dd2bc8b87133aebc82201c4404537eb74f7ac",
        "timestamp":1537581604,"fee":485194,"version":0,
        "tx_body_hash":"36be8d70d1e9f70b340ea7ecf0b247c27086bad10568044c1196fe150f6cea1b"},
        "unspents":218,"unconfirmed":1,"time_since_last_block":"18m0s"},
        "version":{"version":"0.27.1","commit":"","branch":""},"coin":"skycoin","open_connections":0,
        "uptime":"6m30s","csrf_enabled":true,"wallet_api_enabled":true}"#;

    #[test]
    fn the_health_names_head_pool_and_csrf() {
        let health = health(200, HEALTH.as_bytes()).unwrap();
        assert_eq!((health.head_seq, health.unconfirmed, health.open_connections), (58, 1, 0));
        assert!(health.csrf_enabled);
    }

    #[test]
    fn the_wrong_field_is_named() {
        for (from, to, field) in [
            (r#""seq":58"#, r#""seq":"58""#, "blockchain.head.seq"),
            (r#""seq":58"#, r#""seq":-1"#, "blockchain.head.seq"),
            (r#""seq":58"#, r#""seq":1e3"#, "blockchain.head.seq"),
            ("8a3e0a", "8a3e0", "blockchain.head.block_hash"),
            (r#""csrf_enabled":true"#, r#""csrf_enabled":"yes""#, "csrf_enabled"),
        ] {
            let body = HEALTH.replacen(from, to, 1);
            match health(200, body.as_bytes()) {
                Err(Failure::Nonsense { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{field}: {other:?}"),
            }
        }
        assert!(matches!(health(200, b"<html>"), Err(Failure::Nonsense { .. })));
    }

    #[test]
    fn a_balance_is_read_in_droplets() {
        let body = r#"{"confirmed":{"coins":21000000,"hours":142744},"predicted":{"coins":20999999,"hours":1},
            "addresses":{"7cpQ7t3PZZXvjTst8G7Uvs7XH4LeM8fBPD":{"confirmed":{"coins":9000000,"hours":88075},
            "predicted":{"coins":9000000,"hours":88075}}}}"#;
        let balance = balance(200, body.as_bytes()).unwrap();
        assert_eq!(balance.confirmed.coins.to_string(), "21.000000");
        assert_eq!(balance.predicted.coins.to_string(), "20.999999");
        assert_eq!(balance.addresses.len(), 1);
    }

    /// P4: what is not deep yet may go as it came.
    #[test]
    fn an_output_that_is_being_spent_or_not_deep_enough_is_not_spendable() {
        let output = |first: u8| {
            format!(
                r#"{{"hash":"{}","block_seq":2{first},"time":1494275011,"src_tx":"{}","hours":633,"calculated_hours":10023,
                "address":"7cpQ7t3PZZXvjTst8G7Uvs7XH4LeM8fBPD","coins":"2.500000"}}"#,
                hex::encode([first; 32]),
                hex::encode([0; 32]),
            )
        };
        let body = format!(
            r#"{{"head":{{"seq":23,"version":0}},"head_outputs":[{},{},{}],"outgoing_outputs":[{}],"incoming_outputs":[{}]}}"#,
            output(1),
            output(2),
            output(3),
            output(1),
            output(4)
        );
        let outputs = outputs(200, body.as_bytes()).unwrap();
        let spendable: Vec<_> = outputs.spendable(2).collect();
        assert_eq!(spendable.len(), 1);
        assert_eq!((spendable[0].uxid, spendable[0].hours), (UxId([2; 32]), 10_023));
        assert_eq!(spendable[0].coins.to_string(), "2.500000");
        assert_eq!(outputs.spendable(1).map(|output| output.uxid).collect::<Vec<_>>(), [UxId([2; 32]), UxId([3; 32])]);
        assert_eq!(outputs.spendable(u64::MAX).count(), 0);
    }

    #[test]
    fn a_token_that_would_break_a_header_is_refused() {
        assert_eq!(csrf(200, br#"{"csrf_token":"klSg-Xo_M"}"#).unwrap(), "klSg-Xo_M");
        assert!(csrf(200, br#"{"csrf_token":"a\r\nHost: b"}"#).is_err());
        assert!(csrf(200, br#"{"csrf_token":""}"#).is_err());
    }

    #[test]
    fn the_nodes_verdict_on_an_address_is_not_an_error() {
        assert_eq!(address_verdict(200, br#"{"data":{"version":0}}"#), Ok(AddressVerdict::Valid));
        let body = br#"{"error":{"message":"Invalid address length","code":422}}"#;
        assert_eq!(address_verdict(422, body), Ok(AddressVerdict::Invalid("Invalid address length".to_owned())));
        assert!(matches!(address_verdict(500, b""), Err(Failure::Unavailable { .. })));
    }
}
