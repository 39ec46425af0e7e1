//! Serving one of the sandbox's servers, with the faults that are switched on for it.
//!
//! The accept loop is its own because a lost reply must look like one: the connection closes and no byte of an answer
//! has been sent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode, request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::faults::{Disturbance, Faults, Server};

/// The longest request any of the servers takes: Bitcoin Core's own limit.
const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;
/// For a request's headers, and for the next request on an open connection.
const HEADER_PATIENCE: Duration = Duration::from_secs(600);
/// For answers under way when the sandbox stops.
const DRAIN: Duration = Duration::from_secs(1);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds a loopback port: the one wanted, or any other when that is taken.
pub fn bind(port: u16) -> io::Result<StdListener> {
    bind_exactly(port).or_else(|_| bind_exactly(0))
}

/// Binds this loopback port and no other; zero is any.
pub fn bind_exactly(port: u16) -> io::Result<StdListener> {
    let listener = StdListener::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What a listener serves.
#[derive(Debug, Clone)]
pub struct Service {
    /// The server's own answers.
    pub router: Router,
    /// Which server it is, and the faults that may befall it; without, nothing ever does.
    pub faults: Option<(Server, Arc<Faults>)>,
}

/// The reply is lost, or the request was.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed by a fault that was asked for")]
struct Lost;

/// Serves until the stop, then lets answers under way finish for a moment.
pub async fn serve(listener: StdListener, service: Service, stop: CancellationToken) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(connections.spawn(converse(stream, service.clone(), stop.clone()))),
            Err(cause) => {
                tracing::warn!(%cause, "the sandbox cannot accept a connection right now");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    // What is left after that ends with the process or the test's runtime.
    let _drained = tokio::time::timeout(DRAIN, connections.wait()).await;
    Ok(())
}

async fn converse(stream: TcpStream, service: Service, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request: Request<Incoming>| answer(service.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_PATIENCE)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    let _ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}

async fn answer(service: Service, request: Request<Incoming>) -> Result<Response<Body>, Lost> {
    let Some((server, faults)) = service.faults else {
        return Ok(act(service.router, request.map(Body::new)).await);
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, REQUEST_BYTES_MAX).collect().await else {
        let mut refusal = Response::new(Body::empty());
        *refusal.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(refusal);
    };
    let body = body.to_bytes();
    let plan = faults.plan(server, &operations(server, &parts, &body));
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    let request = Request::from_parts(parts, Body::from(body));
    let response = match plan.disturbance {
        None => act(service.router, request).await,
        Some(Disturbance::LoseRequest) => return Err(Lost),
        Some(Disturbance::Instead(answer)) => answer.of(server),
        Some(Disturbance::LoseReply) => {
            act(service.router, request).await;
            return Err(Lost);
        }
        Some(Disturbance::Afterwards(answer)) => {
            act(service.router, request).await;
            answer.of(server)
        }
    };
    if !plan.reply_delay.is_zero() {
        tokio::time::sleep(plan.reply_delay).await;
    }
    Ok(response)
}

async fn act(router: Router, request: Request<Body>) -> Response<Body> {
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// What the request asks for, in the words that fault rules use; several in a batch.
fn operations(server: Server, parts: &request::Parts, body: &Bytes) -> Vec<String> {
    let path = parts.uri.path();
    match server {
        Server::Bitcoin => methods(body),
        Server::Skycoin => {
            vec![path.strip_prefix("/api/v1/").or(path.strip_prefix("/api/")).unwrap_or(path).to_owned()]
        }
        Server::C2cx => vec![path.strip_prefix("/v1/").unwrap_or(path).to_owned()],
    }
}

/// The methods of a JSON-RPC request or batch.
fn methods(body: &[u8]) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Call {
        method: String,
    }
    match serde_json::from_slice::<Call>(body) {
        Ok(call) => vec![call.method],
        Err(_) => {
            let batch = serde_json::from_slice::<Vec<Call>>(body).unwrap_or_default();
            batch.into_iter().map(|call| call.method).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    struct Bench {
        address: SocketAddr,
        faults: Arc<Faults>,
        acted: Arc<AtomicU32>,
        stop: CancellationToken,
        server: tokio::task::JoinSet<io::Result<()>>,
    }

    impl Bench {
        fn open(server: Server, path: &str) -> Self {
            let acted = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&acted);
            let act = move || {
                count.fetch_add(1, Ordering::SeqCst);
                async { "done" }
            };
            let listener = bind(0).unwrap();
            let address = listener.local_addr().unwrap();
            let faults = Arc::new(Faults::new(1));
            let router = Router::new().route(path, get(act.clone()).merge(post(act)));
            let service = Service { router, faults: Some((server, Arc::clone(&faults))) };
            let stop = CancellationToken::new();
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(serve(listener, service, stop.clone()));
            Self { address, faults, acted, stop, server: tasks }
        }

        fn fault(&self, json: &str) {
            self.faults.add(serde_json::from_str(json).unwrap()).unwrap();
        }

        /// Everything the server sends until it closes.
        async fn ask(&self, method: &str, path: &str, body: &str) -> String {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            let length = body.len();
            let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}");
            stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        }

        fn acted(&self) -> u32 {
            self.acted.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn a_lost_reply_acted_and_a_lost_request_did_not_and_neither_sends_a_byte() {
        let bench = Bench::open(Server::Skycoin, "/api/v1/health");
        bench.fault(r#"{"server":"skycoin","operation":"health","effect":"lose_reply","times":1}"#);
        assert_eq!(bench.ask("GET", "/api/v1/health", "").await, "");
        assert_eq!(bench.acted(), 1);
        bench.fault(r#"{"server":"skycoin","operation":"health","effect":"lose_request","times":1}"#);
        assert_eq!(bench.ask("GET", "/api/v1/health", "").await, "");
        assert_eq!(bench.acted(), 1);
        assert!(bench.ask("GET", "/api/v1/health", "").await.ends_with("done"));
    }

    #[tokio::test]
    async fn errors_come_before_or_after_acting_as_asked() {
        let bench = Bench::open(Server::C2cx, "/v1/createorder");
        bench.fault(r#"{"server":"c2cx","operation":"createOrder","effect":"fail","status":503,"times":1}"#);
        assert!(bench.ask("POST", "/v1/createorder", "").await.starts_with("HTTP/1.1 503"));
        assert_eq!(bench.acted(), 0);
        bench.fault(r#"{"server":"c2cx","effect":"fail_after_acting","status":500,"times":1}"#);
        assert!(bench.ask("POST", "/v1/createorder", "").await.starts_with("HTTP/1.1 500"));
        assert_eq!(bench.acted(), 1);
        bench.fault(r#"{"server":"c2cx","effect":"rate_limit","times":1}"#);
        assert!(bench.ask("POST", "/v1/createorder", "").await.ends_with(r#""Too Many Requests","data":{}}"#));
        assert_eq!(bench.acted(), 1);
    }

    #[tokio::test]
    async fn a_bitcoin_rule_knows_the_method_even_in_a_batch() {
        let bench = Bench::open(Server::Bitcoin, "/");
        bench.fault(r#"{"server":"bitcoin","operation":"getblock","effect":"fail","status":500}"#);
        let single = r#"{"method":"getblock","params":[],"id":1}"#;
        let other = r#"{"method":"getblockcount","params":[],"id":1}"#;
        assert!(bench.ask("POST", "/", single).await.starts_with("HTTP/1.1 500"));
        assert!(bench.ask("POST", "/", &format!("[{other},{single}]")).await.starts_with("HTTP/1.1 500"));
        assert!(bench.ask("POST", "/", other).await.ends_with("done"));
        assert!(bench.ask("POST", "/", "nonsense").await.ends_with("done"));
    }

    #[tokio::test]
    async fn a_delayed_reply_has_acted_before_it_comes() {
        let bench = Bench::open(Server::Skycoin, "/api/v2/address/verify");
        bench.fault(r#"{"server":"skycoin","operation":"v2/address/verify","effect":"delay_reply","ms":600000}"#);
        let ask = bench.ask("POST", "/api/v2/address/verify", "");
        tokio::select! {
            answer = ask => panic!("answered {answer:?}"),
            () = async { while bench.acted() == 0 { tokio::task::yield_now().await } } => {}
        }
    }

    #[tokio::test]
    async fn the_stop_ends_the_listener_and_idle_connections() {
        let mut bench = Bench::open(Server::Skycoin, "/api/v1/health");
        let mut idle = TcpStream::connect(bench.address).await.unwrap();
        idle.write_all(b"GET /api/v1/health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 8];
        idle.read_exact(&mut first).await.unwrap();
        bench.stop.cancel();
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.unwrap();
        bench.server.join_next().await.unwrap().unwrap().unwrap();
        assert!(TcpStream::connect(bench.address).await.is_err());
    }

    #[test]
    fn a_taken_port_is_replaced_by_another() {
        let first = bind(0).unwrap();
        let port = first.local_addr().unwrap().port();
        assert_ne!(bind(port).unwrap().local_addr().unwrap().port(), port);
    }
}
