//! The node through its HTTP interface, spoken by the desk's own wire format, and what the operator can do to it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::http::{Request as HttpRequest, header};
use http_body_util::BodyExt;
use millrace_protocols::wire::skycoin::hash::{Txid, UxId};
use millrace_protocols::wire::skycoin::rest::{self, Body, Broadcast, Failure, Lag, Method, Payout, Refusal, Standing};
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;

struct Desk {
    folder: TempDir,
    node: Arc<SkycoinNode>,
    router: Router,
}

fn small() -> Config {
    Config { hot_outputs: 12, ..Config::default() }
}

fn sky(text: &str) -> Amount<Sky> {
    text.parse().unwrap()
}

fn stranger(number: u64) -> SkyAddress {
    Key::derive("a stranger", number).address
}

impl Desk {
    fn open(config: &Config) -> Self {
        Self::on(tempfile::tempdir().unwrap(), config)
    }

    fn on(folder: TempDir, config: &Config) -> Self {
        let node = Arc::new(SkycoinNode::open(folder.path(), config).unwrap());
        Self { folder, router: router(Arc::clone(&node)), node }
    }

    fn restart(self) -> Self {
        drop((self.node, self.router));
        Self::on(self.folder, &Config { seed: "another".to_owned(), hot_outputs: 1, ..Config::default() })
    }

    async fn http(&self, request: HttpRequest<HttpBody>) -> (u16, Vec<u8>) {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    async fn send(&self, request: rest::Request) -> (u16, Vec<u8>) {
        let query: Vec<_> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut http = HttpRequest::builder().uri(format!("{}?{}", request.path, query.join("&")));
        if request.method == Method::Post {
            let (status, body) = Box::pin(self.send(rest::get_csrf())).await;
            http = http.method("POST").header(rest::CSRF_HEADER, rest::csrf(status, &body).unwrap());
        }
        let body = match request.body {
            Body::Empty => HttpBody::empty(),
            Body::Json(json) => {
                http = http.header(header::CONTENT_TYPE, "application/json");
                HttpBody::from(json)
            }
        };
        self.http(http.body(body).unwrap()).await
    }

    async fn form(&self, path: &str, fields: &str) -> (u16, String) {
        let (status, body) = self.send(rest::get_csrf()).await;
        let request = HttpRequest::post(path)
            .header(rest::CSRF_HEADER, rest::csrf(status, &body).unwrap())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (status, body) = self.http(request.body(HttpBody::from(fields.to_owned())).unwrap()).await;
        (status, String::from_utf8(body).unwrap())
    }

    async fn outputs(&self) -> rest::UnspentOutputs {
        let (status, body) = self.send(rest::get_outputs(&[self.node.hot_address()])).await;
        rest::outputs(status, &body).unwrap()
    }

    async fn free_output(&self) -> UxId {
        self.outputs().await.spendable(1).next().unwrap().uxid
    }

    fn payout(&self, unspents: Vec<UxId>, to: SkyAddress, coins: &str) -> Payout {
        let change_address = self.node.hot_address();
        Payout { wallet_id: HOT_WALLET_ID.to_owned(), password: None, unspents, change_address, to, coins: sky(coins) }
    }

    async fn create(&self, payout: &Payout) -> Result<rest::Created, Failure> {
        let (status, body) = self.send(payout.request().unwrap()).await;
        rest::created(status, &body)
    }

    async fn inject(&self, transaction: &Transaction) -> Result<Txid, Failure> {
        let (status, body) = self.send(rest::inject(transaction, Broadcast::Quiet)).await;
        rest::injected(status, &body)
    }

    /// Creates, checks and injects a payout from a free output.
    async fn pay(&self, to: SkyAddress, coins: &str) -> Transaction {
        let payout = self.payout(vec![self.free_output().await], to, coins);
        let created = self.create(&payout).await.unwrap();
        payout.check(&created).unwrap();
        assert_eq!(self.inject(&created.transaction).await.unwrap(), created.txid);
        created.transaction
    }

    async fn standing(&self, txid: Txid) -> Option<Standing> {
        let (status, body) = self.send(rest::get_transaction(&txid)).await;
        rest::transaction(status, &body).unwrap().map(|seen| seen.standing)
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Failure>) -> Refusal {
    match result {
        Err(Failure::Refused { refusal, .. }) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_payout_is_created_injected_and_confirmed_by_the_next_block() {
    let desk = Desk::open(&small());
    let transaction = desk.pay(stranger(1), "12.345").await;
    let txid = transaction.txid();
    assert_eq!(desk.standing(txid).await, Some(Standing::Unconfirmed));
    assert_eq!(desk.node.produce_block().unwrap().unwrap().txids, [txid]);
    assert_eq!(desk.standing(txid).await, Some(Standing::Confirmed { depth: 1, block_seq: 3 }));
    assert_eq!(desk.node.produce_block().unwrap(), None, "there are no empty blocks");

    let (status, body) = desk.send(rest::get_balance(&[stranger(1)])).await;
    assert_eq!(rest::balance(status, &body).unwrap().confirmed.coins, sky("12.345"));
    let (status, body) = desk.send(rest::get_transactions(&[stranger(1)])).await;
    let seen = rest::transactions(status, &body).unwrap();
    assert_eq!((seen.len(), seen[0].txid), (1, txid));
    assert_eq!(desk.outputs().await.head.len(), 12, "the change took the place of what was spent");
}

#[tokio::test]
async fn the_hot_wallet_begins_with_thousands_of_different_outputs() {
    let desk = Desk::open(&Config::default());
    let outputs = desk.outputs().await.head;
    let names: std::collections::HashSet<_> = outputs.iter().map(|output| output.uxid).collect();
    assert_eq!((outputs.len(), names.len()), (4_000, 4_000));
    assert!(outputs.iter().all(|output| output.coins == sky("1000") && output.hours >= 100_000_000_000));
}

#[tokio::test]
async fn a_pending_spend_is_refused_and_a_gone_one_too() {
    let desk = Desk::open(&small());
    let uxid = desk.free_output().await;
    let payout = desk.payout(vec![uxid], stranger(1), "1");
    let rival = desk.create(&desk.payout(vec![uxid], stranger(2), "1")).await.unwrap();
    let created = desk.create(&payout).await.unwrap();
    desk.inject(&created.transaction).await.unwrap();
    assert_eq!(refusal(desk.create(&payout).await), Refusal::SpendPending);
    assert_eq!(refusal(desk.inject(&rival.transaction).await), Refusal::RuleBroken);
    desk.node.produce_block().unwrap();
    assert_eq!(refusal(desk.create(&payout).await), Refusal::InputGone);
    assert_eq!(refusal(desk.inject(&rival.transaction).await), Refusal::InputGone);
    assert_eq!(desk.node.books().live(&stranger(2)).count(), 0);
}

/// P11: handing in what is there already is no mistake.
#[tokio::test]
async fn injecting_again_changes_nothing() {
    let desk = Desk::open(&small());
    let transaction = desk.pay(stranger(1), "5").await;
    let txid = transaction.txid();
    assert_eq!(desk.inject(&transaction).await, Ok(txid));
    desk.node.produce_block().unwrap();
    assert_eq!(desk.inject(&transaction).await, Ok(txid));
    assert_eq!(desk.node.produce_block().unwrap(), None);
    let books = desk.node.books();
    assert_eq!(books.live(&stranger(1)).count(), 1);
    let (status, body) = desk.send(rest::verify_transaction(&transaction)).await;
    assert_eq!(rest::transaction_verdict(status, &body), Ok(rest::TransactionVerdict::Spent));
}

#[tokio::test]
async fn a_node_without_peers_takes_transactions_only_quietly() {
    let desk = Desk::open(&small());
    let payout = desk.payout(vec![desk.free_output().await], stranger(1), "5");
    let created = desk.create(&payout).await.unwrap();
    let (status, body) = desk.send(rest::inject(&created.transaction, Broadcast::Peers)).await;
    assert!(matches!(rest::injected(status, &body), Err(Failure::Unavailable { status: 503, .. })));
    assert_eq!(desk.standing(created.txid).await, None);
}

/// P10: a node with peers and one without, over the wire.
#[tokio::test]
async fn how_far_a_node_is_can_be_said_by_one_with_peers() {
    for (peers, lag) in [(0, Some(Lag::Alone)), (2, None)] {
        let desk = Desk::open(&Config { peers, ..small() });
        let (status, body) = desk.send(rest::get_progress()).await;
        let progress = rest::progress(status, &body).unwrap();
        assert_eq!((progress.peers, progress.lag(Broadcast::Peers)), (peers as usize, lag));
    }
}

#[tokio::test]
async fn what_the_network_would_refuse_the_pool_refuses() {
    let desk = Desk::open(&small());
    let created = desk.create(&desk.payout(vec![desk.free_output().await], stranger(1), "5")).await.unwrap();
    let (inputs, outputs) = (created.transaction.inputs(), created.transaction.outputs());
    let key = *desk.node.lock().wallets[HOT_WALLET_ID].keys().first().unwrap();
    let variant = |change: fn(&mut Vec<millrace_protocols::wire::skycoin::transaction::Output>), key: &Key| {
        let mut outputs = outputs.to_vec();
        change(&mut outputs);
        let mut transaction = Transaction::unsigned(inputs.to_vec(), outputs).unwrap();
        transaction.sign(0, &key.secret);
        transaction
    };
    for (broken, word) in [
        (variant(|_| (), &Key::derive("thief", 0)), "Signature not valid"),
        (variant(|outputs| outputs[0].coins = sky("6"), &key), "may not destroy coins"),
        (variant(|outputs| outputs[0].hours *= 100, &key), "Insufficient coin hours"),
        (variant(|outputs| outputs[0].hours *= 2, &key), "fee minimum not met"),
        (Transaction::unsigned(inputs.to_vec(), outputs.to_vec()).unwrap(), "Unsigned input"),
    ] {
        match desk.inject(&broken).await {
            Err(Failure::Refused { status: 400, message, .. }) => assert!(message.contains(word), "{message}"),
            other => panic!("{word}: {other:?}"),
        }
    }
    assert!(desk.inject(&created.transaction).await.is_ok());
}

#[tokio::test]
async fn a_dropped_transaction_is_forgotten_and_can_come_back() {
    let desk = Desk::open(&small());
    let transaction = desk.pay(stranger(1), "5").await;
    let txid = transaction.txid();
    desk.node.drop_pending(txid).unwrap();
    assert_eq!(desk.standing(txid).await, None);
    assert!(desk.node.drop_pending(txid).is_err());
    assert_eq!(desk.inject(&transaction).await, Ok(txid));
    desk.node.produce_block().unwrap();
    assert_eq!(desk.node.books().live(&stranger(1)).count(), 1);
}

#[tokio::test]
async fn blocks_taken_back_return_or_forget_their_transactions() {
    let desk = Desk::open(&small());
    let first = desk.pay(stranger(1), "5").await.txid();
    desk.node.produce_block().unwrap();
    let second = desk.pay(stranger(2), "5").await.txid();
    desk.node.produce_block().unwrap();
    assert_eq!(desk.standing(first).await, Some(Standing::Confirmed { depth: 2, block_seq: 3 }));

    assert_eq!(desk.node.reorg(2, Orphans::Return).unwrap(), [first, second]);
    assert_eq!(desk.standing(first).await, Some(Standing::Unconfirmed));
    while desk.node.produce_block().unwrap().is_some() {}
    assert!(matches!(desk.standing(second).await, Some(Standing::Confirmed { .. })));

    let depth = desk.node.books().head_seq - genesis::GENESIS_HEAD_SEQ;
    desk.node.reorg(depth, Orphans::Forget).unwrap();
    assert_eq!((desk.standing(first).await, desk.standing(second).await), (None, None));
    assert_eq!(desk.node.produce_block().unwrap(), None);
    assert_eq!(desk.outputs().await.head.len(), 12);
    assert_eq!(desk.node.books().payments[&stranger(1)][0].standing, PaymentStanding::Gone);
    assert!(matches!(desk.node.reorg(1, Orphans::Return), Err(ControlError::TooDeep(0))));
}

#[tokio::test]
async fn coins_spent_elsewhere_displace_the_payout_for_good() {
    let desk = Desk::open(&small());
    let transaction = desk.pay(stranger(1), "5").await;
    let made = desk.node.spend_conflicting(transaction.inputs()[0]).unwrap();
    assert_eq!(desk.standing(transaction.txid()).await, None);
    assert!(matches!(desk.standing(made.txids[0]).await, Some(Standing::Confirmed { depth: 1, .. })));
    assert_eq!(refusal(desk.inject(&transaction).await), Refusal::InputGone);
    let (status, body) = desk.send(rest::verify_transaction(&transaction)).await;
    assert!(matches!(rest::transaction_verdict(status, &body), Ok(rest::TransactionVerdict::Invalid(_))));
    assert_eq!(desk.node.books().live(&stranger(1)).count(), 0);
    assert!(matches!(desk.node.spend_conflicting(transaction.inputs()[0]), Err(ControlError::NotUnspent(_))));
}

#[tokio::test]
async fn drained_hours_stop_payouts_until_a_refill() {
    let desk = Desk::open(&small());
    desk.node.drain_hours().unwrap().unwrap();
    let payout = desk.payout(vec![desk.free_output().await], stranger(1), "5");
    assert_eq!(refusal(desk.create(&payout).await), Refusal::InsufficientHours);
    desk.node.refill(3, sky("100"), 1_000).unwrap();
    let outputs = desk.outputs().await;
    let with_hours: Vec<_> = outputs.spendable(1).filter(|output| output.hours > 0).map(|output| output.uxid).collect();
    assert_eq!(with_hours.len(), 3);
    assert!(desk.create(&desk.payout(with_hours, stranger(1), "5")).await.is_ok());
}

#[tokio::test]
async fn a_restart_continues_the_same_chain() {
    let desk = Desk::open(&small());
    let (status, wallet) = desk.form("/api/v1/wallet/create", "type=bip44&label=mine&seed=abandon+ship").await;
    assert_eq!(status, 200, "{wallet}");
    let id = serde_json::from_str::<serde_json::Value>(&wallet).unwrap()["meta"]["filename"].to_string();
    let (status, grown) = desk.form("/api/v1/wallet/newAddress", &format!("id={}&num=2", id.trim_matches('"'))).await;
    assert_eq!(status, 200, "{grown}");
    desk.pay(stranger(1), "5").await;
    desk.node.produce_block().unwrap();
    let dropped = desk.pay(stranger(2), "6").await;
    desk.node.drop_pending(dropped.txid()).unwrap();
    let back = desk.pay(stranger(3), "7").await;
    desk.node.produce_block().unwrap();
    desk.node.reorg(1, Orphans::Return).unwrap();
    desk.node.spend_conflicting(desk.free_output().await).unwrap();
    desk.node.fund(stranger(4), sky("3")).unwrap();
    let (books, head) = (desk.node.books(), desk.node.lock().ledger.head().hash);

    let desk = desk.restart();
    assert_eq!(desk.node.books(), books);
    assert_eq!(desk.node.lock().ledger.head().hash, head);
    assert_eq!(desk.node.lock().wallets[id.trim_matches('"')].keys().len(), 3);
    assert_eq!(desk.standing(back.txid()).await, Some(Standing::Unconfirmed));
    assert_eq!(desk.node.produce_block().unwrap().unwrap().txids.len(), 2);
}

#[tokio::test]
async fn a_journal_that_leads_elsewhere_is_refused() {
    let desk = Desk::open(&small());
    desk.pay(stranger(1), "5").await;
    desk.node.produce_block().unwrap();
    let path = desk.folder.path().join(JOURNAL_FILE);
    let journal = std::fs::read_to_string(&path).unwrap();
    let without_payment: Vec<_> = journal.lines().filter(|line| !line.contains("injected")).collect();
    std::fs::write(&path, without_payment.join("\n") + "\n").unwrap();
    assert!(matches!(SkycoinNode::open(desk.folder.path(), &small()), Err(OpenError::Replay { line: 2, .. })));
}

#[tokio::test]
async fn a_post_needs_a_fresh_token_unless_the_node_says_otherwise() {
    let desk = Desk::open(&small());
    let post = |token: &str| {
        let request = HttpRequest::post("/api/v2/address/verify").header(rest::CSRF_HEADER, token);
        let body = format!(r#"{{"address":"{}"}}"#, stranger(1));
        request.header(header::CONTENT_TYPE, "application/json").body(HttpBody::from(body)).unwrap()
    };
    for token in ["", "x", &desk.node.token(1), &format!("{:x}.00", u64::MAX)] {
        let (status, body) = desk.http(post(token)).await;
        assert_eq!((status, body.as_slice()), (403, &b"403 Forbidden - invalid CSRF token\n"[..]), "{token}");
    }
    assert_eq!(desk.http(post(&desk.node.new_token())).await.0, 200);
    let desk = Desk::open(&Config { csrf: Csrf::Off, ..small() });
    assert_eq!(desk.http(post("")).await.0, 200);
    let (status, body) = desk.send(rest::get_health()).await;
    assert!(!rest::health(status, &body).unwrap().csrf_enabled);
}

#[tokio::test]
async fn wrong_requests_are_answered_in_the_nodes_own_words() {
    let desk = Desk::open(&small());
    let hot = desk.node.hot_address();
    let auto = r#""hours_selection":{"type":"auto","mode":"share","share_factor":"0.5"},"wallet_id":"hot.wlt""#;
    let to = |address: &str, coins: &str| format!(r#""to":[{{"address":"{address}","coins":"{coins}"}}]"#);
    let good = to(&stranger(1).to_string(), "1");
    for (body, status, answer) in [
        (
            format!("{{{auto},{}}}", to("nonsense!", "1")),
            400,
            "400 Bad Request - invalid address: Invalid base58 character",
        ),
        (
            format!("{{{auto},{}}}", to(&stranger(1).to_string(), "1.0001")),
            400,
            "400 Bad Request - to[0].coins has too many decimal places",
        ),
        (
            format!("{{{auto},{}}}", to(&stranger(1).to_string(), "99999999")),
            400,
            "400 Bad Request - balance is not sufficient",
        ),
        (
            format!(r#"{{{auto},{good},"unspents":["{}"],"addresses":["{hot}"]}}"#, UxId([1; 32])),
            400,
            "400 Bad Request - unspents and addresses cannot be combined",
        ),
        (format!(r#"{{{},{good}}}"#, auto.replace("hot", "cold")), 404, "404 Not Found - wallet doesn't exist"),
        (format!("{{{auto}}}"), 400, "400 Bad Request - to is empty"),
    ] {
        let request = HttpRequest::post("/api/v1/wallet/transaction")
            .header(rest::CSRF_HEADER, desk.node.new_token())
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        let (found, text) = desk.http(request.body(HttpBody::from(body)).unwrap()).await;
        assert_eq!((found, String::from_utf8(text).unwrap().trim()), (status, answer));
    }
    let get = |path: &str| HttpRequest::get(path).body(HttpBody::empty()).unwrap();
    for (path, answer) in [
        ("/api/v1/transaction?txid=00", "400 Bad Request - Invalid hex length"),
        ("/api/v1/nothing", "404 Not Found"),
        ("/api/v1/balance?addrs=x", "400 Bad Request - address \"x\" is invalid: Invalid address length"),
    ] {
        assert_eq!(String::from_utf8(desk.http(get(path)).await.1).unwrap().trim(), answer);
    }
}

/// P3: a name depends on the signature, the inner hash does not.
#[tokio::test]
async fn an_unsigned_transaction_changes_its_txid_when_signed_and_keeps_its_inner_hash() {
    let desk = Desk::open(&small());
    let payout = desk.payout(vec![desk.free_output().await], stranger(1), "5");
    let mut request = payout.request().unwrap();
    let Body::Json(json) = &mut request.body else { panic!("a body") };
    *json = json.replace(r#""unsigned":false"#, r#""unsigned":true"#);
    let (status, body) = desk.send(request.clone()).await;
    let unsigned = rest::created(status, &body).unwrap();
    assert!(!unsigned.transaction.is_signed());

    request.path = "/api/v2/wallet/transaction/sign";
    request.body = Body::Json(
        serde_json::json!({ "wallet_id": HOT_WALLET_ID, "encoded_transaction": unsigned.transaction.to_hex() })
            .to_string(),
    );
    let (status, body) = desk.send(request).await;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let signed = rest::created(status, body["data"].to_string().as_bytes()).unwrap();
    assert_eq!(signed.inner_hash, unsigned.inner_hash);
    assert_ne!(signed.txid, unsigned.txid);
    assert_eq!(payout.check(&signed), Ok(()));
    assert!(desk.inject(&signed.transaction).await.is_ok());
}
