//! The sandbox as a whole: found, steered, stopped, and the same when it starts again.

use millrace_protocols::wire::skycoin::address::SkyAddress;
use serde_json::{Value, json};

use super::super::client::{Client, ClientError};
use super::super::find::find;
use super::*;

fn config(dir: &Path) -> Config {
    let skycoin = skycoin_node::Config { hot_outputs: 5, ..skycoin_node::Config::default() };
    Config { ports: Ports::ANY, timing: Timing::ON_DEMAND, skycoin, ..Config::new(dir) }
}

/// Below the range from which the system gives ports to clients: nobody else gets them between a stop and a start.
fn own_ports(first: u16) -> Ports {
    Ports { control: first, bitcoin: first + 1, skycoin: first + 2, c2cx: first + 3 }
}

fn somebody() -> String {
    SkyAddress::from_key_hash([7; 20]).to_string()
}

/// An address of the desk: any that is not the customer's will do.
const DEPOSIT: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

async fn refusal(client: &Client, path: &str, body: Value) -> String {
    match client.post(path, &body).await {
        Err(ClientError::Refused(sentence)) => sentence,
        other => panic!("{path}: {other:?}"),
    }
}

#[tokio::test]
async fn a_running_sandbox_is_found_and_a_stopped_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(config(folder.path())).await.unwrap();
    assert_eq!(find(folder.path()).await.as_ref(), Some(&running.info));
    assert!(matches!(start(config(folder.path())).await, Err(StartError::Taken(_))), "two never share a folder");
    running.stop().await;
    assert_eq!(find(folder.path()).await, None);
}

#[tokio::test]
async fn what_a_crashed_sandbox_left_behind_is_not_taken_for_a_running_one() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let running = start(config(other.path())).await.unwrap();
    Info { pid: 1, ..running.info.clone() }.publish(folder.path()).unwrap();
    assert_eq!(find(folder.path()).await, None, "another one listens there now");
    running.stop().await;
}

#[tokio::test]
async fn everything_can_be_made_to_happen_and_the_books_tell_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(config(folder.path())).await.unwrap();
    let client = Client::new(&running.info).unwrap();

    client.post("/pay", &json!({ "address": DEPOSIT, "amount": "0.5" })).await.unwrap();
    client.post("/mine", &json!({ "blocks": 2 })).await.unwrap();
    client.post("/skycoin/fund", &json!({ "address": somebody(), "coins": "3" })).await.unwrap();
    client.post("/skycoin/block", &json!({})).await.unwrap();
    let books = client.get("/books").await.unwrap();
    assert_eq!(books["bitcoin"]["receipts"][DEPOSIT][0]["amount"], "0.50000000");
    assert_eq!(books["c2cx"]["btc"], "1000.00000000");
    assert_eq!(books["bitcoin"]["receipts"][DEPOSIT][0]["confirmations"], 2);
    assert_eq!(books["skycoin"]["payments"][somebody()][0]["coins"], "3.000000");
    assert_eq!(books["skycoin"]["payments"][somebody()][0]["standing"], json!({ "confirmed": { "block_seq": 3 } }));

    client.post("/reorg", &json!({ "chain": "skycoin", "depth": 1, "orphans": "drop" })).await.unwrap();
    client.post("/reorg", &json!({ "chain": "bitcoin", "depth": 2 })).await.unwrap();
    let books = client.get("/books").await.unwrap();
    assert_eq!(books["bitcoin"]["receipts"][DEPOSIT][0]["confirmations"], 0);
    assert_eq!(books["skycoin"]["payments"][somebody()][0]["standing"], "gone");
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(config(folder.path())).await.unwrap();
    let client = Client::new(&running.info).unwrap();
    for (path, body, word) in [
        ("/pay", json!({ "address": "nonsense", "amount": "1" }), "nonsense"),
        ("/pay", json!({ "address": DEPOSIT, "amount": 1 }), "decimal string"),
        ("/reorg", json!({ "chain": "skycoin", "depth": 1 }), "at most 0 blocks"),
        ("/reorg", json!({ "chain": "skycoin", "depth": 0, "orphans": "remine" }), "keeps or drops"),
        ("/skycoin/refill", json!({ "outputs": 0, "coins": "1", "hours": 1 }), "1 to 400"),
        ("/market/quote", json!({ "side": "sell", "price": "0.001881", "quantity": "5" }), "five decimals"),
        ("/market/quote", json!({ "side": "sell", "price": "0.00188", "quantity": "5.001" }), "two decimals"),
        ("/market/fills", json!({ "percent": 101 }), "at most 100"),
        ("/faults", json!({ "server": "skycoin", "effect": "fail", "status": 200 }), "500 to 599"),
    ] {
        let sentence = refusal(&client, path, body).await;
        assert!(sentence.contains(word), "{path}: {sentence}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_fault_reaches_the_wire_of_the_server_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(config(folder.path())).await.unwrap();
    let client = Client::new(&running.info).unwrap();
    let rule = json!({ "server": "skycoin", "operation": "health", "effect": "lose_reply", "times": 1 });
    client.post("/faults", &rule).await.unwrap();
    let skycoin = Info { control: running.info.skycoin.url.clone(), ..running.info.clone() };
    let skycoin = Client::new(&skycoin).unwrap();
    assert!(matches!(skycoin.get("/api/v1/health").await, Err(ClientError::Unreachable(_))));
    assert_eq!(skycoin.get("/api/v1/health").await.unwrap()["blockchain"]["head"]["seq"], 2);
    assert_eq!(client.get("/faults").await.unwrap()["rules"], json!([]));
    running.stop().await;
}

#[tokio::test]
async fn the_market_is_steered_through_the_same_api() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(config(folder.path())).await.unwrap();
    let client = Client::new(&running.info).unwrap();
    let venue = Info { control: running.info.c2cx.url.clone(), ..running.info.clone() };
    let venue = Client::new(&venue).unwrap();
    let book = async || venue.get("/v1/getorderbook?symbol=BTC_SKY").await.unwrap();
    assert!(!book().await["data"]["asks"].as_array().unwrap().is_empty());
    client.post("/market/empty-book", &json!({})).await.unwrap();
    assert_eq!(book().await["data"]["asks"], json!([]));
    client.post("/market/quote", &json!({ "side": "sell", "price": "0.00188", "quantity": "7.5" })).await.unwrap();
    assert_eq!(book().await["data"]["asks"].to_string(), "[[0.00188,7.5]]");
    client.post("/market/balance", &json!({ "btc": "2", "sky": "0" })).await.unwrap();
    assert_eq!(client.get("/books").await.unwrap()["c2cx"]["btc"], "2.00000000");
    for (path, body) in [
        ("/market/step", json!({})),
        ("/market/freeze-book", json!({})),
        ("/market/freeze-balance", json!({ "btc": "1" })),
        ("/market/delay", json!({ "ms": 10 })),
        ("/market/fills", json!({ "percent": null })),
        ("/market/clear", json!({})),
    ] {
        client.post(path, &body).await.unwrap();
    }
    assert!(!book().await["data"]["asks"].as_array().unwrap().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_restart_continues_the_same_world() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config { ports: own_ports(21_810), ..config(folder.path()) };
    let running = start(config()).await.unwrap();
    running.servers.bitcoin.pay(&[(DEPOSIT, "0.25".parse().unwrap())]).unwrap();
    running.servers.skycoin.fund(somebody().parse().unwrap(), "3".parse().unwrap()).unwrap();
    let before = (running.servers.bitcoin.books(), running.servers.skycoin.books(), running.info.bitcoin.clone());
    let place = running.info.clone();
    running.stop().await;

    let running = start(config()).await.unwrap();
    assert_eq!(running.info, Info { pid: std::process::id(), ..place }, "at the same ports, to those who know it");
    let after = (running.servers.bitcoin.books(), running.servers.skycoin.books());
    assert_eq!(after, (before.0, before.1));
    assert_eq!((running.info.bitcoin.xpub, running.info.bitcoin.password.clone()), (before.2.xpub, before.2.password));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn blocks_come_on_the_timer_while_there_is_something_to_confirm() {
    let folder = tempfile::tempdir().unwrap();
    let every = Duration::from_secs(5);
    let timing = Timing { bitcoin_block: Some(every), skycoin_block: Some(every), market_step: None };
    let running = start(Config { timing, ..config(folder.path()) }).await.unwrap();
    let Servers { bitcoin, skycoin, .. } = running.servers.clone();
    let begin = bitcoin.books().height;
    tokio::time::sleep(every * 10).await;
    assert_eq!((bitcoin.books().height, skycoin.books().head_seq), (begin, 2), "nothing to confirm");

    bitcoin.pay(&[(DEPOSIT, "0.25".parse().unwrap())]).unwrap();
    skycoin.fund(somebody().parse().unwrap(), "3".parse().unwrap()).unwrap();
    tokio::time::sleep(every * 40).await;
    assert_eq!(bitcoin.books().height, begin + 1 + BLOCKS_AFTER_LAST_TRANSACTION);
    assert_eq!(skycoin.books().head_seq, 3);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_is_started_again_mines_what_it_owed() {
    let folder = tempfile::tempdir().unwrap();
    let every = Duration::from_secs(5);
    let timed = Config { timing: Timing { bitcoin_block: Some(every), ..Timing::ON_DEMAND }, ..config(folder.path()) };
    let before = start(config(folder.path())).await.unwrap();
    let bitcoin = &before.servers.bitcoin;
    bitcoin.pay(&[(DEPOSIT, "0.25".parse().unwrap())]).unwrap();
    bitcoin.mine(2).unwrap();
    let paid_at = bitcoin.books().height - 1;
    before.stop().await;

    let again = start(timed).await.unwrap();
    tokio::time::sleep(every * 40).await;
    assert_eq!(again.servers.bitcoin.books().height, paid_at + BLOCKS_AFTER_LAST_TRANSACTION);
    again.stop().await;
}

#[tokio::test]
async fn the_sandbox_can_be_told_to_stop_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_owned();
    let mut tasks = JoinSet::new();
    tasks.spawn(run(config(&dir), std::future::pending()));
    let info = loop {
        match find(&dir).await {
            Some(info) => break info,
            None => tokio::task::yield_now().await,
        }
    };
    Client::new(&info).unwrap().post("/stop", &json!({})).await.unwrap();
    tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(find(&dir).await, None);
}

#[tokio::test]
async fn where_the_port_of_before_is_taken_it_takes_another_unless_told_not_to() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config { ports: own_ports(21_814), ..config(folder.path()) };
    let running = start(config()).await.unwrap();
    let place = running.info.clone();
    running.stop().await;
    let taken = std::net::TcpListener::bind(place.skycoin.url.trim_start_matches("http://")).unwrap();

    let kept = Config { elsewhere: Elsewhere::Refused, ..config() };
    let refused = start(kept.clone()).await.unwrap_err().to_string();
    assert!(refused.contains("cannot use the loopback port"), "{refused}");
    let before = std::fs::read(folder.path().join("ports.json")).unwrap();
    drop(taken);
    let running = loop {
        // The servers of the attempt before let go of their ports when their tasks have ended.
        match start(kept.clone()).await {
            Ok(running) => break running,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(running.info.skycoin, place.skycoin);
    running.stop().await;
    assert_eq!(std::fs::read(folder.path().join("ports.json")).unwrap(), before);

    let _taken = std::net::TcpListener::bind(place.skycoin.url.trim_start_matches("http://")).unwrap();
    let running = start(config()).await.unwrap();
    assert_ne!(running.info.skycoin.url, place.skycoin.url);
    running.stop().await;
}
