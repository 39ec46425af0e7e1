//! The client that posts notifications: to checked addresses only, within limits of time and size, never following.
//!
//! Connections are kept for the endpoint they were made for and for no other. The limits hold for the whole exchange, the
//! answer's body included, so an endpoint that trickles its answer is a timeout like any other.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use hyper::body::Bytes;
use millrace_protocols::delivery::verdict::{Outcome, Trouble, directive, retry_after_ms};
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::address::{Reach, Scheme, Target};
use super::link::{Answer, Link, Stream};
use super::sinks::Ended;

/// For a connection, the name's resolution included.
const CONNECT: Duration = Duration::from_secs(5);
/// For the encryption on it.
const TLS: Duration = Duration::from_secs(5);
/// From the request to the answer's head.
const HEAD: Duration = Duration::from_secs(15);
/// For all of it.
const TOTAL: Duration = Duration::from_secs(20);
/// How much of an answer is read, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1_024;
/// How long an idle connection is kept. Widespread servers close theirs after five seconds.
const IDLE_KEPT: Duration = Duration::from_secs(4);
/// How old a connection may become: then the name is asked for again.
const AGE_MAX: Duration = Duration::from_secs(300);
/// How many of a name's addresses are tried.
const ADDRESSES_MAX: usize = 4;

/// Finds what a name stands for.
pub trait Resolve: Send + Sync {
    /// All of its addresses.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.map(|found| found.ip()).collect()) })
    }
}

/// What all endpoints share.
pub struct Client {
    reach: Reach,
    resolver: Arc<dyn Resolve>,
    /// Made for the first encrypted connection: a bare machine may have no certificates.
    tls: Mutex<Option<TlsConnector>>,
}

/// The connections of one endpoint.
pub struct Line {
    target: Target,
    uri: Uri,
    host: HeaderValue,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    /// Far too large to be moved about.
    link: Box<Link>,
    opened: Instant,
    since: Instant,
}

/// The target is no address of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint's path or host cannot be put into a request")]
pub struct NoLine;

struct Failure {
    trouble: Trouble,
    error: String,
}

fn failure(trouble: Trouble, error: &dyn std::error::Error) -> Failure {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    Failure { trouble, error: causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")) }
}

fn too_slow(what: &str) -> Failure {
    Failure { trouble: Trouble::Timeout, error: format!("{what} took too long") }
}

impl Line {
    /// To an endpoint, without a connection yet.
    pub fn new(target: Target) -> Result<Self, NoLine> {
        let uri = target.path.parse().map_err(|_| NoLine)?;
        let host = HeaderValue::from_str(&target.authority).map_err(|_| NoLine)?;
        Ok(Self { target, uri, host, idle: Mutex::default() })
    }

    /// Where it leads.
    pub fn target(&self) -> &Target {
        &self.target
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what was idle for too long.
    pub fn close_idle(&self) {
        let now = Instant::now();
        self.idle().retain(|kept| now - kept.since < IDLE_KEPT);
    }

    /// The connection that was used last and can be used again; the others that cannot are closed.
    fn take_idle(&self) -> Option<Idle> {
        let now = Instant::now();
        loop {
            let mut kept = self.idle().pop()?;
            let is_young = now - kept.since < IDLE_KEPT && now - kept.opened < AGE_MAX;
            if is_young && kept.link.is_usable() {
                return Some(kept);
            }
        }
    }

    fn post(&self, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::HOST, self.host.clone());
        request
    }

    /// The endpoint's address with more in its query.
    fn question(&self, query: &str) -> Result<Request<Full<Bytes>>, NoLine> {
        let mark = if self.target.path.contains('?') { '&' } else { '?' };
        let mut request = Request::new(Full::default());
        *request.uri_mut() = format!("{}{mark}{query}", self.target.path).parse().map_err(|_| NoLine)?;
        request.headers_mut().insert(header::HOST, self.host.clone());
        Ok(request)
    }
}

impl Client {
    /// A client that reaches so far.
    pub fn new(reach: Reach, resolver: Arc<dyn Resolve>) -> Self {
        Self { reach, resolver, tls: Mutex::default() }
    }

    /// The same with other certificates than the system's.
    pub fn with_tls(self, config: rustls::ClientConfig) -> Self {
        *self.tls.lock().unwrap_or_else(PoisonError::into_inner) = Some(TlsConnector::from(Arc::new(config)));
        self
    }

    /// How far it reaches.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Posts once. `now_ms` is for an answer that says when to come again.
    pub async fn post(&self, line: &Line, headers: HeaderMap, body: Bytes, now_ms: impl Fn() -> u64) -> Ended {
        self.ended(line, line.post(headers, body), now_ms).await
    }

    /// Puts a question to the endpoint: its address with `query`, which is encoded already. For the ownership check.
    pub async fn ask(&self, line: &Line, query: &str, now_ms: impl Fn() -> u64) -> Result<Ended, NoLine> {
        Ok(self.ended(line, line.question(query)?, now_ms).await)
    }

    async fn ended(&self, line: &Line, request: Request<Full<Bytes>>, now_ms: impl Fn() -> u64) -> Ended {
        let begun = Instant::now();
        let mut peer = None;
        let exchange = self.exchange(line, request, &mut peer);
        let ended = timeout(TOTAL, exchange).await.unwrap_or_else(|_| Err(too_slow("the whole exchange")));
        let took = begun.elapsed();
        match ended {
            Ok(Answer { head, body }) => {
                let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
                let outcome = Outcome::Answered {
                    status: head.status.as_u16(),
                    retry_after_ms: text("retry-after").and_then(|value| retry_after_ms(value, now_ms())),
                    directive: text("webhook-delivery").and_then(directive),
                };
                Ended { outcome, answer: body, error: None, peer, took }
            }
            Err(Failure { trouble, error }) => {
                Ended { outcome: Outcome::Failed(trouble), answer: Vec::new(), error: Some(error), peer, took }
            }
        }
    }

    async fn exchange(
        &self,
        line: &Line,
        request: Request<Full<Bytes>>,
        peer: &mut Option<SocketAddr>,
    ) -> Result<Answer, Failure> {
        let idle = line.take_idle();
        let was_idle = idle.is_some();
        let mut used = match idle {
            Some(idle) => idle,
            None => self.open(line).await?,
        };
        *peer = Some(used.link.peer);
        let told = |error: hyper::Error| {
            if was_idle && !error.is_parse() {
                // Those beside it are as old.
                line.idle().clear();
                return failure(Trouble::Stale, &error);
            }
            failure(if error.is_parse() { Trouble::Protocol } else { Trouble::Broken }, &error)
        };
        let head = timeout(HEAD, used.link.head(request)).await;
        let head = head.map_err(|_| too_slow("the answer"))?.map_err(told)?;
        let answer = used.link.body(head, ANSWER_BYTES_MAX).await.map_err(|error| failure(Trouble::Broken, &error))?;
        if used.link.is_usable() {
            used.since = Instant::now();
            line.idle().push(used);
        }
        Ok(answer)
    }

    async fn open(&self, line: &Line) -> Result<Idle, Failure> {
        let (stream, peer) =
            timeout(CONNECT, self.connect(&line.target)).await.map_err(|_| too_slow("connecting"))??;
        let stream = match line.target.scheme {
            Scheme::Http => Stream::Plain(stream),
            Scheme::Https => {
                let secured = timeout(TLS, self.secure(&line.target, stream)).await;
                secured.map_err(|_| too_slow("encrypting"))??
            }
        };
        let link = Link::open(stream, peer).await.map_err(|error| failure(Trouble::Broken, &error))?;
        let now = Instant::now();
        Ok(Idle { link: Box::new(link), opened: now, since: now })
    }

    /// To the first of the checked addresses that answers.
    async fn connect(&self, target: &Target) -> Result<(TcpStream, SocketAddr), Failure> {
        let found = match target.literal() {
            Some(address) => vec![address],
            None => {
                self.resolver.resolve(&target.host, target.port).await.map_err(|e| failure(Trouble::Resolve, &e))?
            }
        };
        let checked = target.allowed(&found, self.reach).map_err(|error| failure(Trouble::Forbidden, &error))?;
        let mut last = Failure { trouble: Trouble::Resolve, error: "the name stands for no address".to_owned() };
        for address in checked.into_iter().take(ADDRESSES_MAX) {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // Without it a body may wait for an acknowledgement; that it fails is no reason not to send.
                    let _ = stream.set_nodelay(true);
                    return Ok((stream, address));
                }
                Err(error) => last = failure(Trouble::Connect, &error),
            }
        }
        Err(last)
    }

    async fn secure(&self, target: &Target, stream: TcpStream) -> Result<Stream, Failure> {
        let name = ServerName::try_from(target.host.clone()).map_err(|error| failure(Trouble::Tls, &error))?;
        let connector = self.connector().map_err(|error| failure(Trouble::Tls, &error))?;
        let stream = connector.connect(name, stream).await.map_err(|error| failure(Trouble::Tls, &error))?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    fn connector(&self) -> Result<TlsConnector, rustls::Error> {
        let mut kept = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = &*kept {
            return Ok(connector.clone());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        *kept = Some(connector.clone());
        Ok(connector)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
