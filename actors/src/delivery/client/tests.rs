//! The client against receivers that answer, trickle, lie, hang and hang up.

use super::super::address::AddressError;
use super::super::sink::{Reply, Sink, status};
use super::*;

const NOW: u64 = 1_700_000_000_000;

/// Answers what it is told whatever is asked.
struct Names(Vec<&'static str>);

impl Resolve for Names {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
        let found = self.0.iter().map(|address| address.parse().unwrap()).collect();
        Box::pin(std::future::ready(Ok(found)))
    }
}

fn client(reach: Reach) -> Client {
    Client::new(reach, Arc::new(Names(vec!["127.0.0.1"])))
}

fn line(url: &str) -> Line {
    Line::new(Target::parse(url, Reach::Sandbox).unwrap()).unwrap()
}

async fn post(client: &Client, line: &Line) -> Ended {
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", HeaderValue::from_static("one"));
    client.post(line, headers, Bytes::from_static(b"body"), || NOW).await
}

fn answered(code: u16) -> Outcome {
    Outcome::Answered { status: code, retry_after_ms: None, directive: None }
}

#[tokio::test]
async fn a_notification_is_posted_with_its_headers_and_its_body() {
    let mut sink = Sink::start(|_| Reply::Bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_owned())).await;
    let ended = post(&client(Reach::Sandbox), &line(&sink.url())).await;
    assert_eq!(
        (ended.outcome, ended.answer.as_slice(), ended.peer),
        (answered(200), b"hi".as_slice(), Some(sink.address))
    );
    let received = sink.next().await;
    assert_eq!((received.line.as_str(), received.body.as_slice()), ("POST /hook?a=b HTTP/1.1", b"body".as_slice()));
    let host = sink.address.to_string();
    assert_eq!((received.headers["host"].as_str(), received.headers["webhook-id"].as_str()), (host.as_str(), "one"));
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let mut sink = Sink::start(|_| status(204, "")).await;
    let (client, line) = (client(Reach::Sandbox), line(&sink.url()));
    for _ in 0..3 {
        assert_eq!(post(&client, &line).await.outcome, answered(204));
        assert_eq!(sink.next().await.connection, 0);
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    let mut sink = Sink::start(|_| Reply::Last("HTTP/1.1 204 X\r\n\r\n".to_owned())).await;
    let (client, line) = (client(Reach::Sandbox), line(&sink.url()));
    for connection in 0..3 {
        let ended = post(&client, &line).await;
        // Whether the end was seen before the next request began is up to the system.
        if ended.outcome != Outcome::Failed(Trouble::Stale) {
            assert_eq!(ended.outcome, answered(204), "{connection}");
        }
    }
    assert!(sink.next().await.connection == 0 && sink.waiting() >= 1);
}

#[tokio::test]
async fn a_connection_that_breaks_when_used_again_is_stale_and_a_fresh_one_broken() {
    let sink =
        Sink::start(
            |received| {
                if received.connection == 0 && received.body == b"body" { status(204, "") } else { Reply::Close }
            },
        )
        .await;
    let (client, line) = (client(Reach::Sandbox), line(&sink.url()));
    assert_eq!(post(&client, &line).await.outcome, answered(204));
    let body = Bytes::from_static(b"other");
    assert_eq!(
        client.post(&line, HeaderMap::new(), body.clone(), || NOW).await.outcome,
        Outcome::Failed(Trouble::Stale)
    );
    assert_eq!(client.post(&line, HeaderMap::new(), body, || NOW).await.outcome, Outcome::Failed(Trouble::Broken));
}

#[tokio::test]
async fn what_the_headers_ask_for_is_passed_on() {
    let sink = Sink::start(|_| status(429, "Retry-After: 7\r\nWebhook-Delivery: abort-message\r\n")).await;
    let ended = post(&client(Reach::Sandbox), &line(&sink.url())).await;
    let (retry_after_ms, directive) = (Some(NOW + 7_000), directive("abort-message"));
    assert_eq!(ended.outcome, Outcome::Answered { status: 429, retry_after_ms, directive });
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut sink = Sink::start(|_| status(302, "Location: http://127.0.0.1:1/\r\n")).await;
    assert_eq!(post(&client(Reach::Sandbox), &line(&sink.url())).await.outcome, answered(302));
    sink.next().await;
    assert_eq!(sink.waiting(), 0);
}

#[tokio::test]
async fn a_huge_answer_is_cut_and_its_connection_closed() {
    let huge = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    let mut sink = Sink::start(move |_| Reply::Bytes(huge.clone())).await;
    let (client, line) = (client(Reach::Sandbox), line(&sink.url()));
    for connection in 0..2 {
        let ended = post(&client, &line).await;
        assert_eq!((ended.outcome, ended.answer.len()), (answered(200), ANSWER_BYTES_MAX));
        assert_eq!(sink.next().await.connection, connection);
    }
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    let sink = Sink::start(|_| Reply::Last("SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned())).await;
    assert_eq!(post(&client(Reach::Sandbox), &line(&sink.url())).await.outcome, Outcome::Failed(Trouble::Protocol));
}

#[tokio::test]
async fn nobody_there_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let line = line(&format!("http://{}/", listener.local_addr().unwrap()));
    drop(listener);
    let ended = post(&client(Reach::Sandbox), &line).await;
    assert_eq!(ended.outcome, Outcome::Failed(Trouble::Connect));
    assert!(ended.error.unwrap().contains("refused"));
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout_and_so_is_a_trickle() {
    let silent = Sink::start(|_| Reply::Silence).await;
    let ended = post(&client(Reach::Sandbox), &line(&silent.url())).await;
    assert_eq!((ended.outcome, ended.took.as_secs()), (Outcome::Failed(Trouble::Timeout), 15));
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx".to_owned();
    let trickling = Sink::start(move |_| Reply::Bytes(endless.clone())).await;
    let ended = post(&client(Reach::Sandbox), &line(&trickling.url())).await;
    assert_eq!((ended.outcome, ended.took.as_secs()), (Outcome::Failed(Trouble::Timeout), 20));
}

#[tokio::test]
async fn a_name_that_leads_into_the_own_network_is_not_called() {
    let mut sink = Sink::start(|_| status(204, "")).await;
    let url = format!("https://rebound.example.com:{}/", sink.address.port());
    let line = Line::new(Target::parse(&url, Reach::Public).unwrap()).unwrap();
    for found in [vec!["127.0.0.1"], vec!["1.1.1.1", "::ffff:10.0.0.1"], vec!["64:ff9b::a9fe:a9fe"]] {
        let client = Client::new(Reach::Public, Arc::new(Names(found)));
        let ended = post(&client, &line).await;
        assert_eq!((ended.outcome, ended.peer), (Outcome::Failed(Trouble::Forbidden), None));
        let why = AddressError::Forbidden(String::new()).to_string();
        assert!(ended.error.unwrap().ends_with(&why));
    }
    assert_eq!(sink.waiting(), 0);
}

#[tokio::test]
async fn a_name_that_stands_for_nothing_is_told() {
    let client = Client::new(Reach::Public, Arc::new(Names(vec![])));
    let line = Line::new(Target::parse("https://example.com/", Reach::Public).unwrap()).unwrap();
    assert_eq!(post(&client, &line).await.outcome, Outcome::Failed(Trouble::Resolve));
}

#[tokio::test]
async fn a_question_is_part_of_the_address() {
    let mut sink = Sink::start(|_| Reply::Bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_owned())).await;
    let ended = client(Reach::Sandbox).ask(&line(&sink.url()), "crc_token=t", || NOW).await.unwrap();
    assert_eq!((ended.outcome, ended.answer.as_slice()), (answered(200), b"hi".as_slice()));
    assert_eq!(sink.next().await.line, "GET /hook?a=b&crc_token=t HTTP/1.1");
}

#[tokio::test(start_paused = true)]
async fn what_is_idle_for_long_is_closed() {
    let mut sink = Sink::start(|_| status(204, "")).await;
    let (client, line) = (client(Reach::Sandbox), line(&sink.url()));
    for (idle, connection) in [(Duration::ZERO, 0), (Duration::from_secs(3), 0), (Duration::from_secs(5), 1)] {
        tokio::time::advance(idle).await;
        line.close_idle();
        assert_eq!(post(&client, &line).await.outcome, answered(204));
        assert_eq!(sink.next().await.connection, connection);
    }
}
