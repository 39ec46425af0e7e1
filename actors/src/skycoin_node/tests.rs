//! The adapter against a listener that answers from a list and keeps what it was asked.

use std::sync::Arc;

use millrace_protocols::wire::skycoin::transaction::Output;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::sender::tests::node::{address, key, sky};

const TOKEN: (u16, &str) = (200, r#"{"csrf_token":"first"}"#);
const OTHER_TOKEN: (u16, &str) = (200, r#"{"csrf_token":"second"}"#);
const STALE: (u16, &str) = (403, "403 Forbidden - invalid CSRF token");

/// A request as it came: its first line and headers, in lower case, and its body.
async fn heard(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.trim().parse().unwrap() {
                return text;
            }
        }
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the request ends too early: {text}");
        bytes.extend_from_slice(&chunk[..read]);
    }
}

/// What the node makes of these answers, and what it asked.
async fn with<T>(answers: &[(u16, &str)], ask: impl AsyncFnOnce(&HttpSkycoinNode) -> T) -> (T, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let node = HttpSkycoinNode::new(&url, "hot.wlt", Broadcast::Quiet).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let serve = async {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = heard(&mut stream).await;
            asked.lock().unwrap().push(request);
            let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let outcome = tokio::select! { biased;
        outcome = ask(&node) => outcome,
        () = serve => unreachable!("it serves for ever"),
    };
    let asked = asked.lock().unwrap().clone();
    (outcome, asked)
}

fn transaction() -> Transaction {
    let outputs = vec![Output { address: address(9), coins: sky("7"), hours: 3 }];
    let mut transaction =
        Transaction::unsigned(vec![millrace_protocols::wire::skycoin::hash::UxId([1; 32])], outputs).unwrap();
    transaction.sign(0, &key(1));
    transaction
}

fn taken() -> String {
    format!("\"{}\"", transaction().txid())
}

#[tokio::test]
async fn a_post_carries_the_token_and_the_token_is_kept() {
    let taken = taken();
    let answers = [TOKEN, (200, taken.as_str()), (200, taken.as_str())];
    let (outcome, asked) = with(&answers, async |node| {
        node.inject(&transaction()).await?;
        node.inject(&transaction()).await
    })
    .await;
    assert_eq!(outcome, Ok(()));
    assert!(asked[0].starts_with("get /api/v1/csrf "));
    for request in &asked[1..] {
        assert!(request.starts_with("post /api/v1/injecttransaction ") && request.contains("x-csrf-token: first"));
        assert!(request.contains(&transaction().to_hex()) && request.contains(r#""no_broadcast":true"#), "{request}");
    }
}

#[tokio::test]
async fn a_token_that_is_too_old_is_replaced_once() {
    let taken = taken();
    let answers = [TOKEN, STALE, OTHER_TOKEN, (200, taken.as_str())];
    let (outcome, asked) = with(&answers, async |node| node.inject(&transaction()).await).await;
    assert_eq!(outcome, Ok(()));
    assert!(asked[3].contains("x-csrf-token: second"));
    let (outcome, _) = with(&[TOKEN, STALE, OTHER_TOKEN, STALE], async |node| node.inject(&transaction()).await).await;
    assert!(matches!(outcome, Err(PortError::Unreachable(_))), "{outcome:?}: it says nothing about the payout");
}

#[tokio::test]
async fn a_node_without_that_protection_is_sent_no_token() {
    let taken = taken();
    let answers = [(404, "404 Not Found"), (200, taken.as_str()), (200, taken.as_str())];
    let (outcome, asked) = with(&answers, async |node| {
        node.inject(&transaction()).await?;
        node.inject(&transaction()).await
    })
    .await;
    assert_eq!(outcome, Ok(()));
    assert!(asked.iter().all(|request| !request.contains("x-csrf-token")), "{asked:?}");
}

#[tokio::test]
async fn only_a_refusal_of_the_transaction_is_called_one() {
    let gone = "400 Bad Request - unspent output of 00ff does not exist";
    let (outcome, _) = with(&[TOKEN, (400, gone)], async |node| node.inject(&transaction()).await).await;
    assert!(matches!(outcome, Err(PortError::Refused(_))), "{outcome:?}");
    for answer in [(503, "503 Service Unavailable"), (200, "<html>"), (500, "")] {
        let (outcome, _) = with(&[TOKEN, answer], async |node| node.inject(&transaction()).await).await;
        assert!(matches!(outcome, Err(PortError::Unreachable(_) | PortError::Nonsense(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn what_the_wallet_can_spend_is_asked_of_all_its_addresses() {
    let (one, two) = (address(1), address(2));
    let wallet =
        format!(r#"{{"meta":{{"filename":"hot.wlt"}},"entries":[{{"address":"{one}"}},{{"address":"{two}"}}]}}"#);
    let none = r#"{"head":{"seq":58},"head_outputs":[],"outgoing_outputs":[],"incoming_outputs":[]}"#;
    let (outcome, asked) = with(&[(200, &wallet), (200, none)], async |node| node.spendable(1).await).await;
    assert_eq!(outcome, Ok(vec![]));
    assert!(asked[0].starts_with("get /api/v1/wallet?id=hot.wlt "));
    let both = format!("{one}%2c{two}").to_lowercase();
    assert!(asked[1].starts_with("get /api/v1/outputs?addrs=") && asked[1].contains(&both), "{}", asked[1]);
}

#[tokio::test]
async fn an_unknown_transaction_is_an_answer() {
    let (outcome, _) = with(&[(404, "404 Not Found")], async |node| node.transaction(transaction().txid()).await).await;
    assert_eq!(outcome, Ok(None));
}

#[tokio::test]
async fn a_payment_to_an_address_is_one_that_has_it_among_its_outputs() {
    let report = |to: u8, txid: &str| {
        let (txid, hash, uxid) = (txid.repeat(32), "05".repeat(32), "06".repeat(32));
        format!(
            r#"{{"status":{{"confirmed":true,"unconfirmed":false,"height":1,"block_seq":5}},"txn":{{"txid":"{txid}",
            "inner_hash":"{hash}","inputs":[],"outputs":[{{"uxid":"{uxid}","dst":"{}","coins":"7.000000","hours":3}}]}}}}"#,
            address(to)
        )
    };
    let list = format!("[{},{}]", report(9, "01"), report(8, "02"));
    let (outcome, asked) = with(&[(200, &list)], async |node| node.payments_to(address(9)).await).await;
    assert_eq!(outcome, Ok(vec![Txid([1; 32])]), "what the address itself spends is not a payment to it");
    let path = format!("get /api/v1/transactions?addrs={}", address(9)).to_lowercase();
    assert!(asked[0].starts_with(&path), "{asked:?}");
}

#[tokio::test]
async fn the_wallets_own_is_what_its_keys_signed() {
    let (ours, mut theirs) = (transaction(), transaction());
    theirs.sign(0, &key(3));
    let wallet = format!(r#"{{"meta":{{"filename":"hot.wlt"}},"entries":[{{"address":"{}"}}]}}"#, address(1));
    let raw = |transaction: &Transaction| format!("\"{}\"", transaction.to_hex());
    let (by_us, by_them) = (raw(&ours), raw(&theirs));
    let answers = [(200, wallet.as_str()), (200, &by_us), (200, &by_them), (404, "404 Not Found")];
    let (outcomes, asked) = with(&answers, async |node| {
        [node.own(ours.txid()).await, node.own(theirs.txid()).await, node.own(ours.txid()).await]
    })
    .await;
    assert_eq!(outcomes, [Ok(Some(ours.clone())), Ok(None), Ok(None)], "neither another's nor an unknown one");
    assert!(asked[1].starts_with(&format!("get /api/v1/rawtx?txid={} ", ours.txid())), "{asked:?}");
}

/// P10: the node is asked how far it is, and how far its peers are.
#[tokio::test]
async fn a_node_that_is_behind_its_peers_says_so() {
    let behind = r#"{"current":58,"highest":60,"peers":[{"address":"192.0.2.1:6000","height":60}]}"#;
    let (lag, asked) = with(&[(200, behind)], async |node| node.lag().await).await;
    assert_eq!(lag, Ok(Some(Lag::Behind { current: 58, highest: 60 })));
    assert!(asked[0].starts_with("get /api/v1/blockchain/progress "), "{}", asked[0]);
}
