//! The server, spoken to over real loopback connections.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use axum::routing::get;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::*;
use crate::config::TlsFiles;
use crate::web::frame::{Frame, Transport, framed};
use crate::web::tls;

/// Nothing here takes so long; a test that waits for it fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);
const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: desk\r\nConnection: close\r\n\r\n";

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinSet<io::Result<()>>,
}

fn start(router: Router, limits: Limits, tls: Option<Arc<ServerConfig>>) -> Running {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let frame = Frame { proxies: vec![], cors: vec![], transport: Transport::Plain, stop: stop.clone() };
    let serving = serve(listener, tls, framed(router, frame), limits, stop.clone());
    let mut served = JoinSet::new();
    served.spawn(serving);
    Running { address, stop, served }
}

async fn ended(mut server: Running) {
    let served = tokio::time::timeout(PATIENCE, server.served.join_next()).await;
    served.expect("the server ends in time").unwrap().unwrap().unwrap();
}

async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

/// Everything the server says until it closes; a reset ends it as well.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    let _ = read.expect("the server closes in time");
    String::from_utf8_lossy(&all).into_owned()
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    rest(&mut stream).await
}

fn plain() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[tokio::test]
async fn a_request_is_answered_and_the_connection_serves_another() {
    let server = start(plain(), Limits::default(), None);
    let mut stream = connect(&server).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: desk\r\n\r\n").await.unwrap();
    let answers = ask(stream, ASK).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    assert!(answers.ends_with("hello") && answers.contains("x-frame-options: DENY"), "{answers}");
}

#[tokio::test]
async fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let config = tls::server_config(TlsFiles { certificate: &certificate, key: &key }).unwrap();
    let server = start(plain(), Limits::default(), Some(config));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(client)).connect(name, connect(&server).await).await.unwrap();
    assert!(ask(stream, ASK).await.ends_with("hello"));

    assert!(!ask(connect(&server).await, ASK).await.contains("200"));
}

#[tokio::test]
async fn a_caller_who_dawdles_over_his_headers_is_cut_off() {
    let limits = Limits { header_patience: Duration::from_millis(50), ..Limits::default() };
    let server = start(plain(), limits, None);
    let mut silent = connect(&server).await;
    let slow = ask(connect(&server).await, b"GET / HTTP/1.1\r\nHost: de").await;
    assert!(!slow.contains("200"), "{slow}");
    assert!(!rest(&mut silent).await.contains("200"));
}

#[tokio::test]
async fn more_connections_than_allowed_wait_and_are_all_served() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (open.clone(), most.clone());
    let handler = async move || {
        peak.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        now.fetch_sub(1, SeqCst);
        "hello"
    };
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let server = start(Router::new().route("/", get(handler)), limits, None);
    let askers = (0..16).map(|_| async { ask(connect(&server).await, ASK).await });
    let answers = futures::future::join_all(askers).await;
    assert!(answers.iter().all(|answer| answer.ends_with("hello")), "{answers:?}");
    assert!((1..=2).contains(&most.load(SeqCst)), "{most:?} at once");
    assert_eq!(open.load(SeqCst), 0);
}

#[tokio::test]
async fn headers_that_are_too_large_or_broken_are_a_4xx() {
    let server = start(plain(), Limits::default(), None);
    let large = format!("GET / HTTP/1.1\r\nHost: desk\r\nX: {}\r\n\r\n", "x".repeat(HEADER_BYTES_MAX));
    let many = format!("GET / HTTP/1.1\r\nHost: desk\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX + 1));
    for (request, status) in [
        (large.as_str(), "431"),
        (many.as_str(), "431"),
        ("GET / HTTP/1.1\r\nX: a\u{0}b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"),
        ("\u{16}\u{3}\u{1}\u{0} no HTTP\r\n\r\n", "400"),
    ] {
        let answer = ask(connect(&server).await, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    assert!(ask(connect(&server).await, ASK).await.ends_with("hello"));
}

/// A router whose one handler says that it began, and answers when it may.
fn waiting() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (began, may_end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begin, end) = (began.clone(), may_end.clone());
    let handler = async move || {
        begin.notify_one();
        end.notified().await;
        "hello"
    };
    (Router::new().route("/", get(handler)), began, may_end)
}

#[tokio::test]
async fn a_stop_lets_answers_under_way_finish_and_refuses_new_callers() {
    let (router, began, may_end) = waiting();
    let server = start(router, Limits::default(), None);
    let mut idle = connect(&server).await;
    let mut asking = connect(&server).await;
    asking.write_all(ASK).await.unwrap();
    began.notified().await;
    server.stop.cancel();
    assert_eq!(rest(&mut idle).await, "");
    let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    may_end.notify_one();
    assert!(rest(&mut asking).await.ends_with("hello"));
    ended(server).await;
}

#[tokio::test]
async fn what_does_not_finish_after_a_stop_is_cut() {
    let (router, began, _never) = waiting();
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let server = start(router, limits, None);
    let mut asking = connect(&server).await;
    asking.write_all(ASK).await.unwrap();
    began.notified().await;
    server.stop.cancel();
    ended(server).await;
    assert_eq!(rest(&mut asking).await, "");
}
