//! A real Bitcoin node in regtest: bcoin, made to answer as Bitcoin Core does by `tests/peers/bcoin-shim.js`.
//!
//! Every test has its own node on a port the system chose, with its chain in memory. It starts with 440 blocks, so
//! that segwit is active (bcoin decides by BIP9, at 432) and the first 340 rewards can be spent. Payments are signed
//! here, from those rewards, since the node's own wallet follows the chain only after a while.
//! Differences from Core that remain: no taproot spending rules, no replacement in the mempool, and transactions of
//! orphaned blocks do not return to the mempool.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bitcoin::absolute::LockTime;
use bitcoin::address::NetworkUnchecked;
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::key::{CompressedPublicKey, Secp256k1};
use bitcoin::secp256k1::{All, Message, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{Address, Amount, Block, BlockHash, KnownHrp, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn};
use bitcoin::{TxOut, Txid, Witness, ecdsa, transaction};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::blocks::{self, Place};
use super::program::Program;
use super::{Missing, folder, http_client, or_skip};

/// Blocks mined before a test gets the node.
pub const FIRST_BLOCKS: u32 = 440;
/// A reward can be spent in the hundredth block after its own.
const MATURITY_BLOCKS: u32 = 100;
/// What every payment of ours leaves to the miner.
const FEE: Amount = Amount::from_sat(10_000);
/// Change below this is left to the miner: nobody would relay it.
const DUST: Amount = Amount::from_sat(1_000);
/// A start takes one to three seconds; a loaded machine may need longer.
const START_DEADLINE: Duration = Duration::from_secs(60);
const USER: &str = "millrace";
const PASSWORD: &str = "regtest";

/// The node's refusal of one call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the node refused {method}: {message} ({code})")]
pub struct Refused {
    /// What was called.
    pub method: String,
    /// Bitcoin Core's error code, such as -5 for an unknown block.
    pub code: i64,
    /// The node's own words.
    pub message: String,
}

/// A running node, ended when it is dropped.
#[derive(Debug)]
pub struct BitcoinNode {
    program: Program,
    url: String,
    http: reqwest::Client,
    secp: Secp256k1<All>,
    key: SecretKey,
    /// Height of the next reward to spend; rewards are spent in order and each once.
    next_reward: AtomicU32,
    /// Tells blocks made by hand apart.
    next_tag: AtomicU64,
}

impl BitcoinNode {
    /// Starts a node and mines [`FIRST_BLOCKS`]. `None` when bcoin is not installed and nobody requires it.
    pub async fn start() -> Result<Option<Self>> {
        let Some(node_script) = or_skip(installed()) else { return Ok(None) };
        let mut program = Program::start("the Bitcoin node", |home| command(&node_script, home))?;
        let port = program.wait_for(START_DEADLINE, listening_port).await?;
        let node = Self {
            program,
            url: format!("http://127.0.0.1:{port}/"),
            http: http_client(),
            secp: Secp256k1::new(),
            key: SecretKey::from_slice(&[7; 32]).context("32 bytes of 7 are a secret key")?,
            next_reward: AtomicU32::new(1),
            next_tag: AtomicU64::new(1),
        };
        node.generate(FIRST_BLOCKS).await?;
        Ok(Some(node))
    }

    /// Where it listens for JSON-RPC.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name to log in with (HTTP basic authentication).
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The password to log in with.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The id of the node's process, for stopping and continuing it.
    pub fn process_id(&self) -> u32 {
        self.program.process_id()
    }

    /// One JSON-RPC call. A refusal is a [`Refused`] inside the error.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T> {
        let body = json!({ "id": 1, "method": method, "params": params });
        let request = self.http.post(&self.url).basic_auth(USER, Some(PASSWORD)).json(&body);
        let answer: Value = request.send().await?.json().await.with_context(|| format!("{method} gave no JSON"))?;
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            let code = error["code"].as_i64().unwrap_or_default();
            let message = error["message"].as_str().unwrap_or_default().to_owned();
            return Err(Refused { method: method.to_owned(), code, message }.into());
        }
        serde_json::from_value(answer["result"].clone()).with_context(|| format!("{method} answered another shape"))
    }

    /// The height of the best block.
    pub async fn height(&self) -> Result<u32> {
        self.call("getblockcount", json!([])).await
    }

    /// The hash of the best chain's block at `height`.
    pub async fn block_hash(&self, height: u32) -> Result<BlockHash> {
        self.call("getblockhash", json!([height])).await
    }

    /// A block by its hash, on the best chain or beside it.
    pub async fn block(&self, hash: BlockHash) -> Result<Block> {
        let hex: String = self.call("getblock", json!([hash, 0])).await?;
        Ok(deserialize_hex(&hex)?)
    }

    /// The transactions waiting to be mined.
    pub async fn mempool(&self) -> Result<Vec<Txid>> {
        self.call("getrawmempool", json!([])).await
    }

    /// Mines `blocks` with whatever waits in the mempool.
    pub async fn generate(&self, blocks: u32) -> Result<Vec<BlockHash>> {
        self.generate_to(blocks, &self.address().to_string()).await
    }

    /// The same, with the rewards for another address.
    pub async fn generate_to(&self, blocks: u32, address: &str) -> Result<Vec<BlockHash>> {
        self.call("generatetoaddress", json!([blocks, address])).await
    }

    /// Pays `amount` to a regtest address and broadcasts it; mined by the next [`generate`](Self::generate).
    pub async fn pay(&self, address: &str, amount: Amount) -> Result<Txid> {
        let payment = self.payment(&[(address, amount)]).await?;
        self.broadcast(&payment).await
    }

    /// A signed payment from rewards that no other payment spends, not broadcast.
    pub async fn payment(&self, outputs: &[(&str, Amount)]) -> Result<Transaction> {
        let needed = outputs.iter().map(|(_, amount)| *amount).sum::<Amount>() + FEE;
        let mut coins = Vec::new();
        while coins.iter().map(|(_, amount)| *amount).sum::<Amount>() < needed {
            coins.push(self.take_reward().await?);
        }
        self.sign(&coins, outputs)
    }

    /// Another signed payment of the same coins as `rival`, a payment of ours: only one of the two can be mined.
    pub async fn conflicting_payment(&self, rival: &Transaction, outputs: &[(&str, Amount)]) -> Result<Transaction> {
        let mut coins = Vec::new();
        for input in &rival.input {
            let coin = input.previous_output;
            let hex: String = self.call("getrawtransaction", json!([coin.txid])).await?;
            let funding: Transaction = deserialize_hex(&hex)?;
            coins.push((coin, funding.tx_out(coin.vout as usize)?.value));
        }
        self.sign(&coins, outputs)
    }

    /// Hands a transaction to the mempool.
    pub async fn broadcast(&self, transaction: &Transaction) -> Result<Txid> {
        self.call("sendrawtransaction", json!([serialize_hex(transaction)])).await
    }

    /// Replaces the last `depth` blocks by `depth + 1` new ones, of which the first holds `transactions` and the
    /// others nothing. Returns the new blocks.
    pub async fn reorganise(&self, depth: u32, transactions: Vec<Transaction>) -> Result<Vec<BlockHash>> {
        let tip = self.height().await?;
        ensure!(depth <= tip, "there are {tip} blocks, so {depth} cannot be replaced");
        let mut parent = self.block_hash(tip - depth).await?;
        let mut time = self.block(self.block_hash(tip).await?).await?.header.time;
        let mut transactions = Some(transactions);
        let mut hashes = Vec::new();
        for height in tip - depth + 1..=tip + 1 {
            time += 1;
            let tag = self.next_tag.fetch_add(1, Ordering::Relaxed);
            let place = Place { parent, height, time, reward_to: self.address().script_pubkey(), tag };
            let block = blocks::mine(&place, transactions.take().unwrap_or_default());
            self.submit(&block).await?;
            parent = block.block_hash();
            hashes.push(parent);
        }
        ensure!(self.block_hash(tip + 1).await? == parent, "the node did not follow the longer chain");
        Ok(hashes)
    }

    async fn submit(&self, block: &Block) -> Result<()> {
        match self.call::<Option<String>>("submitblock", json!([serialize_hex(block)])).await?.as_deref() {
            // Core's word for a valid block that is not on the best chain (yet).
            None | Some("inconclusive") => Ok(()),
            Some(reason) => bail!("the node does not take block {}: {reason}", block.block_hash()),
        }
    }

    fn address(&self) -> Address {
        Address::p2wpkh(&CompressedPublicKey(self.key.public_key(&self.secp)), KnownHrp::Regtest)
    }

    async fn take_reward(&self) -> Result<(OutPoint, Amount)> {
        let height = self.next_reward.fetch_add(1, Ordering::Relaxed);
        ensure!(height + MATURITY_BLOCKS <= self.height().await?, "no reward is left to spend; generate more blocks");
        let coinbase = self.block(self.block_hash(height).await?).await?.txdata.swap_remove(0);
        Ok((OutPoint::new(coinbase.compute_txid(), 0), coinbase.output[0].value))
    }

    fn sign(&self, coins: &[(OutPoint, Amount)], outputs: &[(&str, Amount)]) -> Result<Transaction> {
        let spent: Amount = coins.iter().map(|(_, amount)| *amount).sum();
        let paid: Amount = outputs.iter().map(|(_, amount)| *amount).sum();
        let change = spent.checked_sub(paid + FEE).context("the coins do not cover the payment and its fee")?;
        let mut output = Vec::new();
        for (address, value) in outputs {
            output.push(TxOut { value: *value, script_pubkey: script_of(address)? });
        }
        if change >= DUST {
            output.push(TxOut { value: change, script_pubkey: self.address().script_pubkey() });
        }
        let input = coins.iter().map(|(coin, _)| unsigned_input(*coin)).collect();
        let unsigned = Transaction { version: transaction::Version::TWO, lock_time: LockTime::ZERO, input, output };
        self.with_witnesses(unsigned, coins)
    }

    fn with_witnesses(&self, unsigned: Transaction, coins: &[(OutPoint, Amount)]) -> Result<Transaction> {
        let own_script = self.address().script_pubkey();
        let public_key = self.key.public_key(&self.secp);
        let mut cache = SighashCache::new(unsigned);
        for (index, (_, amount)) in coins.iter().enumerate() {
            let sighash = cache.p2wpkh_signature_hash(index, &own_script, *amount, EcdsaSighashType::All)?;
            let signature = self.secp.sign_ecdsa(&Message::from(sighash), &self.key);
            let witness = Witness::p2wpkh(&ecdsa::Signature::sighash_all(signature), &public_key);
            *cache.witness_mut(index).context("every coin has an input")? = witness;
        }
        Ok(cache.into_transaction())
    }
}

fn installed() -> Result<PathBuf, Missing> {
    let script = folder().join("node_modules/bcoin/bin/node");
    if script.is_file() { Ok(script) } else { Err(Missing { program: "the Bitcoin node (npm package bcoin)" }) }
}

fn command(node_script: &std::path::Path, home: &std::path::Path) -> Command {
    let mut command = Command::new("node");
    command
        .env("NODE_BACKEND", "js") // its native modules are not built: `npm ci --ignore-scripts`
        .arg("--require")
        .arg(folder().join("bcoin-shim.js"))
        .arg(node_script)
        .arg(format!("--prefix={}", home.display()))
        .arg(format!("--api-key={PASSWORD}"))
        .args(["--network=regtest", "--memory=true", "--index-tx=true", "--no-wallet=true", "--workers=false"])
        .args(["--http-host=127.0.0.1", "--http-port=0", "--log-level=info", "--log-file=false"])
        // No peers: it does not listen, and the only one it may connect to does not exist.
        .args(["--listen=false", "--only=127.0.0.1:1"]);
    command
}

/// The port in the line `[info] (node-http) Node HTTP server listening on 127.0.0.1 (port=38187).`
fn listening_port(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("HTTP server listening on ")?;
    rest.split_once("(port=")?.1.split_once(')')?.0.parse().ok()
}

fn script_of(address: &str) -> Result<ScriptBuf> {
    let address: Address<NetworkUnchecked> = address.parse().with_context(|| format!("{address} is no address"))?;
    Ok(address.require_network(Network::Regtest)?.script_pubkey())
}

fn unsigned_input(coin: OutPoint) -> TxIn {
    TxIn {
        previous_output: coin,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    }
}
