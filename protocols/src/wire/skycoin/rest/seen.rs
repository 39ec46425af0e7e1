//! Transactions as the node reports them: in the pool, or in a block and how deep.

use std::fmt;

use millrace_model::money::{Amount, Sky};
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::address::SkyAddress;
use super::super::hash::{BlockHash, InnerHash, Txid, UxId};
use super::super::transaction::Transaction;
use super::failure::{Failure, decode};

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Waits in the pool.
    Unconfirmed,
    /// Is in a block.
    Confirmed {
        /// How many blocks confirm it; 1 in the newest.
        depth: u64,
        /// The number of its block.
        block_seq: u64,
    },
}

/// A transaction the node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Where it stands.
    pub standing: Standing,
    /// Its name.
    pub txid: Txid,
    /// The name of what it does.
    pub inner_hash: InnerHash,
    /// What it spends.
    pub inputs: Vec<SeenInput>,
    /// What it pays.
    pub outputs: Vec<SeenOutput>,
}

/// The name of a spent output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenInput {
    /// The output spent.
    pub uxid: UxId,
}

/// An output of a reported transaction.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SeenOutput {
    /// Its name.
    pub uxid: UxId,
    /// Who is paid.
    #[serde(rename = "dst")]
    pub address: SkyAddress,
    /// How much.
    pub coins: Amount<Sky>,
    /// The coin hours that go with it.
    pub hours: u64,
}

/// A transaction that waits for a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its name.
    pub txid: Txid,
    /// What it spends.
    pub inputs: Vec<SeenInput>,
    /// What it pays.
    pub outputs: Vec<SeenOutput>,
    /// Whether a block would take it.
    pub is_valid: bool,
}

/// An input is its bare name, or with `verbose=1` an object that has it.
impl<'de> Deserialize<'de> for SeenInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Input;
        impl<'de> Visitor<'de> for Input {
            type Value = SeenInput;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an output, or an object with it as `uxid`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SeenInput, E> {
                text.parse().map(|uxid| SeenInput { uxid }).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SeenInput, A::Error> {
                let mut uxid = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key == "uxid" {
                        uxid = Some(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                uxid.map(|uxid| SeenInput { uxid }).ok_or_else(|| de::Error::missing_field("uxid"))
            }
        }
        deserializer.deserialize_any(Input)
    }
}

#[derive(Deserialize)]
struct Report {
    status: Status,
    txn: Txn,
}

#[derive(Deserialize)]
struct Status {
    confirmed: bool,
    unconfirmed: bool,
    height: u64,
    block_seq: u64,
}

#[derive(Deserialize)]
struct Txn {
    txid: Txid,
    inner_hash: InnerHash,
    inputs: Vec<SeenInput>,
    outputs: Vec<SeenOutput>,
}

impl Report {
    fn seen(self) -> Result<Seen, Failure> {
        let Status { confirmed, unconfirmed, height, block_seq } = self.status;
        let standing = match (confirmed, unconfirmed, height) {
            (true, false, 1..) => Standing::Confirmed { depth: height, block_seq },
            (false, true, _) => Standing::Unconfirmed,
            _ => return Err(Failure::nonsense("status", "neither confirmed at some height nor unconfirmed")),
        };
        let Txn { txid, inner_hash, inputs, outputs } = self.txn;
        Ok(Seen { standing, txid, inner_hash, inputs, outputs })
    }
}

/// Reads the answer to [`super::get_transaction`]; `None` when the node does not know the transaction (404).
pub fn transaction(status: u16, body: &[u8]) -> Result<Option<Seen>, Failure> {
    if status == 404 {
        return Ok(None);
    }
    decode::<Report>(status, body)?.seen().map(Some)
}

/// A block, as far as payouts care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its name.
    pub hash: BlockHash,
    /// The transactions in it.
    pub transactions: Vec<Txid>,
}

/// Reads the answer to [`super::get_block`]; `None` when there is no such block (404).
pub fn block(status: u16, body: &[u8]) -> Result<Option<Block>, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        header: Header,
        body: Body,
    }
    #[derive(Deserialize)]
    struct Header {
        block_hash: BlockHash,
    }
    #[derive(Deserialize)]
    struct Body {
        txns: Vec<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        txid: Txid,
    }
    if status == 404 {
        return Ok(None);
    }
    let Answer { header, body } = decode(status, body)?;
    let transactions = body.txns.into_iter().map(|named| named.txid).collect();
    Ok(Some(Block { hash: header.block_hash, transactions }))
}

/// Reads the answer to [`super::get_raw_transaction`]; `None` when the node does not know it.
pub fn raw_transaction(status: u16, body: &[u8]) -> Result<Option<Transaction>, Failure> {
    if status == 404 {
        return Ok(None);
    }
    let bytes: String = decode(status, body)?;
    let transaction = Transaction::from_hex(&bytes);
    transaction.map(Some).map_err(|error| Failure::nonsense("rawtx", error.to_string()))
}

/// Reads the answer to [`super::get_transactions`].
pub fn transactions(status: u16, body: &[u8]) -> Result<Vec<Seen>, Failure> {
    // The node writes `null` for an empty list.
    let reports: Option<Vec<Report>> = decode(status, body)?;
    reports.unwrap_or_default().into_iter().map(Report::seen).collect()
}

/// Reads the answer to [`super::get_pending`].
pub fn pending(status: u16, body: &[u8]) -> Result<Vec<Pending>, Failure> {
    #[derive(Deserialize)]
    struct Waiting {
        transaction: Txn,
        is_valid: bool,
    }
    let waiting: Option<Vec<Waiting>> = decode(status, body)?;
    let pending = |Waiting { transaction: Txn { txid, inputs, outputs, .. }, is_valid }: Waiting| Pending {
        txid,
        inputs,
        outputs,
        is_valid,
    };
    Ok(waiting.unwrap_or_default().into_iter().map(pending).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"status":{"confirmed":true,"unconfirmed":false,"height":3,"block_seq":1178,"unknown":false},
        "time":1494275231,"txn":{"length":183,"type":0,
        "txid":"a6446654829a4a844add9f181949d12f8291fdd2c0fcb22200361e90e814e2d3",
        "inner_hash":"075f255d42ddd2fb228fe488b8b468526810db7a144aeed1fd091e3fd404626e","timestamp":1494275231,
        "sigs":[],"inputs":["5287f390628909dd8c25fad0feb37859c0c1ddcf90da0c040c837c89fefd9191"],
        "outputs":[{"uxid":"70fa9dfb887f9ef55beb4e960f60e4703c56f98201acecf2cad729f5d7e84690",
        "dst":"7cpQ7t3PZZXvjTst8G7Uvs7XH4LeM8fBPD","coins":"8.000000","hours":931}]}}"#;
    const UXID: &str = "5287f390628909dd8c25fad0feb37859c0c1ddcf90da0c040c837c89fefd9191";

    #[test]
    fn a_confirmed_transaction_says_how_deep_it_is() {
        let seen = transaction(200, BODY.as_bytes()).unwrap().unwrap();
        assert_eq!(seen.standing, Standing::Confirmed { depth: 3, block_seq: 1178 });
        assert_eq!(seen.inputs[0].uxid.to_string(), UXID);
        assert_eq!(seen.outputs[0].coins.to_string(), "8.000000");
    }

    #[test]
    fn an_unknown_transaction_is_a_value_and_a_dead_node_is_not() {
        assert_eq!(transaction(404, b"404 Not Found"), Ok(None));
        assert!(matches!(transaction(502, b""), Err(Failure::Unavailable { .. })));
        assert!(matches!(transaction(400, b"400 Bad Request - txid is empty"), Err(Failure::Refused { .. })));
    }

    #[test]
    fn inputs_may_come_with_everything_about_them() {
        let verbose = format!(r#"{{"uxid":"{UXID}","owner":"x","coins":"1.0","hours":1,"calculated_hours":2}}"#);
        let body = format!("[{}]", BODY.replace(&format!("\"{UXID}\""), &verbose));
        assert_eq!(transactions(200, body.as_bytes()).unwrap()[0].inputs[0].uxid.to_string(), UXID);
        assert_eq!(transactions(200, b"null"), Ok(vec![]));
        let body = body.replace("\"uxid\":\"5287", "\"uxid\":\"xx87");
        match transactions(200, body.as_bytes()) {
            Err(Failure::Nonsense { field, .. }) => assert_eq!(field, "[0].txn.inputs[0].uxid"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_status_that_contradicts_itself_is_nonsense() {
        for (from, to) in [
            ("\"confirmed\":true", "\"confirmed\":false"),
            ("\"unconfirmed\":false", "\"unconfirmed\":true"),
            ("\"height\":3", "\"height\":0"),
        ] {
            let body = BODY.replacen(from, to, 1);
            assert!(matches!(transaction(200, body.as_bytes()), Err(Failure::Nonsense { .. })), "{to}");
        }
    }
}
