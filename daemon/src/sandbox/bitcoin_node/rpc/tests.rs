//! The face over loopback: the desk's own wire code asks it, and what that code never asks is asked by hand.

use std::net::SocketAddr;

use bitcoin::{Amount, OutPoint, Sequence};
use millrace_protocols::wire::bitcoind::{
    Call, CallError, GenerateToAddress, GetBestBlockHash, GetBlock, GetBlockCount, GetBlockHash, GetBlockHeader,
    GetBlockchainInfo, GetRawMempool, GetRawTransaction, RpcErrorKind, SendRawTransaction, SubmitBlock,
};
use serde_json::json;

use super::*;
use crate::sandbox::bitcoin_node::control::Orphans;
use crate::sandbox::bitcoin_node::miner;

const ALICE: &str = "bcrt1qcr8te4kr609gcawutmrza0j4xv80jy8zeqchgx";

/// A node with its face on a port of its own, and somebody who asks.
struct Asker {
    node: Arc<BitcoinNode>,
    at: SocketAddr,
    http: reqwest::Client,
    /// Ends with the asker.
    _serving: tokio::task::JoinSet<()>,
    _dir: tempfile::TempDir,
}

impl Asker {
    async fn new() -> Self {
        // Another test of this process may have been first.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let node = Arc::new(BitcoinNode::open(dir.path()).unwrap());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let face = router(Arc::clone(&node), "desk", "sesame");
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(async move { axum::serve(listener, face).await.unwrap() });
        Self { node, at, http: reqwest::Client::builder().no_proxy().build().unwrap(), _serving: serving, _dir: dir }
    }

    async fn post(&self, body: impl Into<Vec<u8>>) -> (u16, String) {
        let request = self.http.post(format!("http://{}/", self.at)).basic_auth("desk", Some("sesame"));
        let response = request.body(body.into()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn call<C: Call>(&self, call: C) -> Result<C::Answer, CallError> {
        let (_, body) = self.post(call.request().to_json(5)).await;
        call.answer(5, body.as_bytes())
    }

    async fn refusal<C: Call<Answer: std::fmt::Debug>>(&self, call: C) -> RpcErrorKind {
        match self.call(call).await {
            Err(CallError::Refused(error)) => error.kind(),
            other => panic!("{other:?}"),
        }
    }

    /// The result of a method, by hand.
    async fn result(&self, method: &str, params: Value) -> Value {
        let (status, body) = self.post(json!({"method": method, "params": params, "id": "x"}).to_string()).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["result"].take()
    }

    /// HTTP status, code and message of a method's error, by hand.
    async fn fault(&self, method: &str, params: Value) -> (u16, i64, String) {
        let (status, body) = self.post(json!({"method": method, "params": params}).to_string()).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        let error = &body["error"];
        (status, error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }
}

fn sats(text: &str) -> millrace_model::money::Amount<millrace_model::money::Btc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn the_desks_wire_code_follows_a_payment_through_a_reorganisation() {
    let asker = Asker::new().await;
    let info = asker.call(GetBlockchainInfo).await.unwrap();
    assert_eq!((info.chain, info.blocks, info.initial_block_download), (bitcoin::Network::Regtest, 151, false));
    assert_eq!(asker.call(GetBestBlockHash).await.unwrap(), info.best_hash);
    assert_eq!(asker.call(GetBlockHash { height: 151 }).await.unwrap(), info.best_hash);

    let txid = asker.node.pay(&[(ALICE, sats("0.5"))]).unwrap();
    assert_eq!(asker.call(GetRawMempool).await.unwrap(), [txid]);
    let transaction = asker.call(GetRawTransaction { txid, in_block: None }).await.unwrap();
    assert_eq!(transaction.output[0].value, Amount::from_sat(50_000_000));

    let mined = asker.node.mine(1).unwrap();
    let block = asker.call(GetBlock { hash: mined }).await.unwrap();
    assert_eq!(block.txdata[1], transaction);
    let header = asker.call(GetBlockHeader { hash: mined }).await.unwrap();
    assert_eq!((header.height, header.confirmations, header.previous), (152, 1, Some(info.best_hash)));
    assert_eq!(asker.call(GetRawTransaction { txid, in_block: Some(mined) }).await.unwrap(), transaction);
    let without_index = GetRawTransaction { txid, in_block: None };
    assert_eq!(asker.refusal(without_index).await, RpcErrorKind::NotFound);

    asker.node.reorg(1, Orphans::Keep).unwrap();
    let header = asker.call(GetBlockHeader { hash: mined }).await.unwrap();
    assert!(header.is_stale() && header.confirmations == -1);
    assert_eq!(asker.call(GetBlockCount).await.unwrap(), 153);
    assert_eq!(asker.call(GetRawMempool).await.unwrap(), [txid]);
    let first = asker.call(GetBlockHash { height: 0 }).await.unwrap();
    assert_eq!(asker.call(GetBlockHeader { hash: first }).await.unwrap().previous, None);
}

#[tokio::test]
async fn sends_are_answered_as_bitcoin_core_answers_them() {
    let asker = Asker::new().await;
    let transaction = asker.node.read(|state| {
        let (value, outpoint) = state.wallet.confirmed().next().unwrap();
        let spend = |fee| {
            let output = state.wallet.change(value - Amount::from_sat(fee));
            state.wallet.spend(&[(value, outpoint)], Sequence::ENABLE_RBF_NO_LOCKTIME, vec![output])
        };
        [spend(500), spend(300), spend(900)]
    });
    let [middle, poor, rich] = transaction.map(|transaction| SendRawTransaction { transaction });
    let txid = middle.transaction.compute_txid();
    assert_eq!(asker.call(middle.clone()).await.unwrap(), txid);
    assert_eq!(asker.call(middle.clone()).await.unwrap(), txid, "again, while it waits");
    assert_eq!(asker.refusal(poor).await, RpcErrorKind::Rejected);
    asker.node.mine(1).unwrap();
    assert_eq!(asker.refusal(middle.clone()).await, RpcErrorKind::AlreadyMined);
    assert_eq!(asker.refusal(rich).await, RpcErrorKind::InputsMissing);

    let mut forged = middle.transaction;
    forged.input[0].previous_output = asker.node.read(|state| state.wallet.confirmed().last().unwrap().1);
    assert_eq!(asker.refusal(SendRawTransaction { transaction: forged }).await, RpcErrorKind::Rejected);
    let undecodable = asker.fault("sendrawtransaction", json!(["00"])).await;
    assert_eq!(undecodable, (500, -22, "TX decode failed. Make sure the tx has at least one input.".to_owned()));
}

#[tokio::test]
async fn a_competing_branch_can_be_handed_over() {
    let asker = Asker::new().await;
    let address: bitcoin::Address<_> = ALICE.parse().unwrap();
    let mined = asker.call(GenerateToAddress { blocks: 2, address }).await.unwrap();
    assert_eq!(mined.len(), 2);
    let mut previous = asker.call(GetBlockHash { height: 151 }).await.unwrap();
    let mut verdicts = Vec::new();
    for height in 152..=154 {
        let block = asker.node.read(|state| {
            miner::mine(miner::Template {
                previous,
                height,
                recent_times: state.chain.recent_times(&previous),
                now: 0,
                reward_to: state.wallet.script().to_owned(),
                fees: Amount::ZERO,
                extra_nonce: 77,
                transactions: vec![],
            })
        });
        previous = block.block_hash();
        verdicts.push(asker.call(SubmitBlock { block: block.clone() }).await.unwrap());
        assert_eq!(asker.call(SubmitBlock { block }).await.unwrap().as_deref(), Some("duplicate"));
    }
    let inconclusive = Some("inconclusive".to_owned());
    assert_eq!(verdicts, [inconclusive.clone(), inconclusive, None]);
    assert_eq!(asker.call(GetBestBlockHash).await.unwrap(), previous);

    asker.result("invalidateblock", json!([previous])).await;
    assert_eq!(asker.call(GetBlockCount).await.unwrap(), 153);
    asker.result("reconsiderblock", json!([previous])).await;
    assert_eq!(asker.call(GetBestBlockHash).await.unwrap(), previous);
}

#[tokio::test]
async fn blocks_and_transactions_are_told_in_full() {
    let asker = Asker::new().await;
    let txid = asker.node.pay(&[(ALICE, sats("0.5"))]).unwrap();
    let entry = asker.result("getmempoolentry", json!([txid])).await;
    assert_eq!((&entry["ancestorcount"], &entry["height"], &entry["depends"]), (&json!(1), &json!(151), &json!([])));
    let verbose = asker.result("getrawmempool", json!([true])).await;
    assert_eq!(verbose[txid.to_string()], entry);
    let waiting = asker.result("gettxout", json!([txid, 0])).await;
    assert_eq!((&waiting["value"], &waiting["confirmations"]), (&json!(0.5), &json!(0)));
    assert_eq!(asker.result("gettxout", json!([txid, 0, false])).await, json!(null));

    let hash = asker.node.mine(1).unwrap();
    let brief = asker.result("getblock", json!([hash])).await;
    assert_eq!(brief["tx"][1], json!(txid));
    assert_eq!((&brief["nTx"], &brief["confirmations"], &brief["bits"]), (&json!(2), &json!(1), &json!("207fffff")));
    let full = asker.result("getblock", json!([hash, 2])).await;
    let output = &full["tx"][1]["vout"][0];
    assert_eq!(output["scriptPubKey"]["address"], ALICE);
    assert_eq!(output["scriptPubKey"]["type"], "witness_v0_keyhash");
    assert_eq!(output["scriptPubKey"]["asm"], "0 c0cebcd6c3d3ca8c75dc5ec62ebe55330ef910e2");
    assert_eq!(full["tx"][1]["fee"], entry["fees"]["base"]);
    assert_eq!(full["tx"][0]["vin"][0]["txid"], json!(null));
    assert_eq!(asker.result("getrawtransaction", json!([txid, 1, hash])).await["in_active_chain"], true);
    let coin = asker.result("gettxout", json!([txid, 0])).await;
    assert_eq!((&coin["confirmations"], &coin["coinbase"]), (&json!(1), &json!(false)));
    let spent: OutPoint =
        asker.node.read(|state| state.chain.known(&hash).unwrap().block.txdata[1].input[0].previous_output);
    assert_eq!(asker.result("gettxout", json!([spent.txid, spent.vout])).await, json!(null));
    let header = asker.result("getblockheader", json!([hash, false])).await;
    assert_eq!(header.as_str().unwrap().len(), 160);
    assert_eq!(asker.result("getnetworkinfo", json!([])).await["relayfee"], json!(0.00001));
}

#[tokio::test]
async fn amounts_are_numbers_of_eight_decimals_on_the_wire() {
    let asker = Asker::new().await;
    let txid = asker.node.pay(&[(ALICE, sats("0.1"))]).unwrap();
    let (_, body) = asker.post(json!({"method": "gettxout", "params": [txid, 0]}).to_string()).await;
    assert!(body.contains(r#""value":0.10000000,"#), "{body}");
}

#[tokio::test]
async fn what_is_unknown_or_wrong_is_answered_in_bitcoin_cores_words() {
    let asker = Asker::new().await;
    let nowhere = "11".repeat(32);
    let not_waiting = "No such mempool transaction. Use -txindex or provide a block hash to enable blockchain \
                       transaction queries. Use gettransaction for wallet transactions.";
    for (method, params, status, code, message) in [
        ("getblock", json!([nowhere]), 500, -5, "Block not found"),
        ("getblockheader", json!([nowhere]), 500, -5, "Block not found"),
        ("invalidateblock", json!([nowhere]), 500, -5, "Block not found"),
        ("getblockhash", json!([152]), 500, -8, "Block height out of range"),
        ("getblockhash", json!([-1]), 500, -8, "Block height out of range"),
        ("getblockhash", json!([1e30]), 500, -1, "JSON integer out of range"),
        ("getblockhash", json!(["1"]), 500, -3, "JSON value of type string is not of expected type number"),
        ("getblockhash", json!([]), 500, -3, "JSON value of type null is not of expected type number"),
        ("getblockhash", json!([1, 2]), 500, -1, "getblockhash height"),
        ("getblockhash", json!({"heigt": 1}), 500, -8, "Unknown named parameter heigt"),
        ("getblock", json!(["abc"]), 500, -8, "blockhash must be of length 64 (not 3, for 'abc')"),
        ("getrawtransaction", json!([nowhere]), 500, -5, not_waiting),
        ("getmempoolentry", json!([nowhere]), 500, -5, "Transaction not in mempool"),
        ("generatetoaddress", json!([1, "me"]), 500, -5, "Error: Invalid address"),
        ("submitblock", json!(["00"]), 500, -22, "Block decode failed"),
        ("getblockcount", json!("x"), 400, -32600, "Params must be an array or object"),
        ("getwealth", json!([]), 404, -32601, "Method not found"),
    ] {
        assert_eq!(asker.fault(method, params).await, (status, code, message.to_owned()), "{method}");
    }
    assert_eq!(
        asker.result("getblockhash", json!({"height": 0})).await,
        asker.result("getblockhash", json!([0])).await
    );
}

#[tokio::test]
async fn envelopes_of_both_generations_batches_and_nonsense() {
    let asker = Asker::new().await;
    for (body, status, answer) in [
        (r#"{"method":"getblockcount","id":[1]}"#, 200, "{\"result\":151,\"error\":null,\"id\":[1]}\n"),
        (
            r#"{"jsonrpc":"2.0","method":"getblockcount","id":1}"#,
            200,
            "{\"jsonrpc\":\"2.0\",\"result\":151,\"id\":1}\n",
        ),
        (r#"{"jsonrpc":"2.0","method":"getblockcount"}"#, 204, ""),
        (
            r#"{"jsonrpc":"2.0","method":"x","id":1}"#,
            200,
            "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32601,\"message\":\"Method not found\"},\"id\":1}\n",
        ),
        (
            r#"{"jsonrpc":"3","method":"getblockcount","id":1}"#,
            400,
            "{\"result\":null,\"error\":{\"code\":-32600,\"message\":\"JSON-RPC version not supported\"},\"id\":1}\n",
        ),
        (
            r#"[{"method":"getblockcount","id":1},{"jsonrpc":"2.0","method":"uptime"},7]"#,
            200,
            "[{\"result\":151,\"error\":null,\"id\":1},{\"result\":null,\"error\":{\"code\":-32600,\"message\":\"Invalid \
             Request object\"},\"id\":null}]\n",
        ),
        ("[]", 200, "[]\n"),
        ("{", 500, "{\"result\":null,\"error\":{\"code\":-32700,\"message\":\"Parse error\"},\"id\":null}\n"),
        (
            "7",
            500,
            "{\"result\":null,\"error\":{\"code\":-32700,\"message\":\"Top-level object parse error\"},\"id\":null}\n",
        ),
        (r#"{"id":1}"#, 400, "{\"result\":null,\"error\":{\"code\":-32600,\"message\":\"Missing method\"},\"id\":1}\n"),
    ] {
        assert_eq!(asker.post(body).await, (status, answer.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn nobody_gets_in_without_the_password_or_by_another_way() {
    let asker = Asker::new().await;
    let url = format!("http://{}/", asker.at);
    let body = r#"{"method":"getblockcount"}"#;
    for request in [
        asker.http.post(&url),
        asker.http.post(&url).basic_auth("desk", Some("open")),
        asker.http.post(&url).basic_auth("desk", None::<&str>),
        asker.http.post(&url).bearer_auth("sesame"),
    ] {
        let response = request.body(body).send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(response.headers().contains_key("www-authenticate"));
        assert_eq!(response.text().await.unwrap(), "");
    }
    assert_eq!(asker.http.get(&url).send().await.unwrap().status(), 405);
    assert_eq!(asker.http.post(format!("{url}wallet")).body(body).send().await.unwrap().status(), 404);
}
