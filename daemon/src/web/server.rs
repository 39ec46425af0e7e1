//! Serving a router: HTTP/1.1 over TCP or TLS, with limits on connections and time, and an ordered stop.
//!
//! Not responsible for what is answered ([`super::frame`]) nor for binding the listener: the desk binds before
//! anything else starts.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::client_ip::Peer;
use super::patience::Patient;

/// A request line and its headers; more is answered with 431.
const HEADER_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// Accepting fails when the process has no file descriptors left; some are soon given back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What one listener grants.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections open at once; more wait in the system's queue.
    pub connections_max: usize,
    /// For the TLS handshake, for a request's headers, and between two requests on one connection.
    pub header_patience: Duration,
    /// For a peer that takes nothing of an answer.
    pub write_patience: Duration,
    /// For answers under way when the desk stops; then connections are cut.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_000,
            header_patience: Duration::from_secs(20),
            write_patience: Duration::from_secs(30),
            drain: Duration::from_secs(3),
        }
    }
}

/// Serves until `stop`, then lets answers under way finish for `limits.drain` and cuts what is left.
///
/// Fails only when the listener cannot be used at all. Dropping the future stops accepting and leaves connections to
/// finish on their own.
pub async fn serve(
    listener: StdListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let cut = CancellationToken::new();
    let door = Door { tls: tls.map(TlsAcceptor::from), router, limits, stop, cut: cut.clone() };
    let connections = TaskTracker::new();
    accept(listener, &door, &connections).await;
    connections.close();
    if tokio::time::timeout(limits.drain, connections.wait()).await.is_err() {
        tracing::debug!(connections = connections.len(), "cutting connections that did not finish");
        cut.cancel();
        connections.wait().await;
    }
    Ok(())
}

/// What every connection needs.
#[derive(Clone)]
struct Door {
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    /// Finish what is under way.
    stop: CancellationToken,
    /// Finish nothing.
    cut: CancellationToken,
}

/// Takes connections until the stop. The listener is closed on return, so that late callers are refused at once.
async fn accept(listener: TcpListener, door: &Door, connections: &TaskTracker) {
    let slots = Arc::new(Semaphore::new(door.limits.connections_max));
    let next = async || {
        let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        (listener.accept().await, slot)
    };
    loop {
        let (accepted, slot) = tokio::select! {
            biased;
            () = door.stop.cancelled() => return,
            next = next() => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let door = door.clone();
                connections.spawn(async move {
                    door.clone().cut.run_until_cancelled(door.enter(stream, peer)).await;
                    drop(slot);
                });
            }
            Err(e) if is_the_callers(&e) => {}
            Err(cause) => {
                tracing::warn!(%cause, "no connection can be accepted right now");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_the_callers(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(e.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

impl Door {
    async fn enter(self, stream: TcpStream, peer: SocketAddr) {
        // Answers are small and written whole: waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        let stream = Patient::new(stream, self.limits.write_patience);
        let Some(tls) = self.tls.clone() else { return self.converse(stream, peer).await };
        match tokio::time::timeout(self.limits.header_patience, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.converse(stream, peer).await,
            Ok(Err(cause)) => tracing::debug!(%peer, %cause, "no TLS with this caller"),
            Err(_) => tracing::debug!(%peer, "the caller did not finish the TLS handshake"),
        }
    }

    async fn converse(self, stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr) {
        let router = self.router;
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            // A router is always ready.
            router.clone().call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_patience)
            .max_header_size(HEADER_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(cause) = ended {
            tracing::debug!(%peer, %cause, "a connection ended early");
        }
    }
}

#[cfg(test)]
mod tests;
