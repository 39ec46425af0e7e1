//! The one HTTP client: limits on time and size, no redirects, nothing sent twice.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, RequestBuilder, StatusCode, Url, redirect, retry};

use tokio::sync::Semaphore;

use crate::ports::PortError;

/// How long an idle connection is kept for the next request. Below what servers usually allow, since a request on a
/// connection that the server is closing fails.
const IDLE_KEPT: Duration = Duration::from_secs(20);

/// What a peer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the connection to come about.
    pub connect: Duration,
    /// For everything from the first look-up to the answer's last byte; and as long again for a turn.
    pub total: Duration,
    /// How many requests are on their way at once; the others wait for their turn.
    pub at_once_max: usize,
    /// The longest answer read, in bytes.
    pub answer_bytes_max: usize,
}

/// A client for one peer.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    url: Url,
    limits: Limits,
    turns: Arc<Semaphore>,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// When to come again, as the header `Retry-After` says it.
    pub retry_after: Option<String>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The address is none.
    #[error("{0:?} is no http or https address")]
    Address(String),
    /// TLS or the system's certificates.
    #[error("no HTTP client: {0}")]
    Client(String),
}

/// Why there is no answer. The peer may have acted on the request all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// No connection, or it broke.
    #[error("{0}")]
    Broken(String),
    /// Not in time.
    #[error("no answer in time")]
    TooSlow,
    /// More than the limit, which is in bytes.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl From<HttpError> for PortError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Broken(_) | HttpError::TooSlow => Self::Unreachable(error.to_string()),
            HttpError::TooLong(_) => Self::Nonsense(error.to_string()),
        }
    }
}

impl Http {
    /// A client for the peer at `url`, to which the paths of requests are relative.
    pub fn new(url: &str, limits: Limits) -> Result<Self, SetUpError> {
        let parsed = Url::parse(url).ok().filter(|parsed| parsed.has_host());
        let parsed = parsed.filter(|parsed| matches!(parsed.scheme(), "http" | "https"));
        let url = parsed.ok_or_else(|| SetUpError::Address(url.to_owned()))?;
        let client = builder(&url)?
            .connect_timeout(limits.connect)
            .timeout(limits.total)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .http1_only()
            .pool_idle_timeout(IDLE_KEPT)
            .build()
            .map_err(|error| SetUpError::Client(reasons(&error)))?;
        Ok(Self { client, url, limits, turns: Arc::new(Semaphore::new(limits.at_once_max)) })
    }

    /// Begins a request to a path below the peer's address; empty for that address itself.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.url.clone();
        if !path.is_empty() {
            url.set_path(&format!("{}/{}", self.url.path().trim_end_matches('/'), path.trim_start_matches('/')));
        }
        self.client.request(method, url)
    }

    /// Sends it, once, and reads the answer.
    pub async fn send(&self, request: RequestBuilder) -> Result<Reply, HttpError> {
        let turn = tokio::time::timeout(self.limits.total, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| HttpError::TooSlow)?.expect("nobody closes the turns");
        let mut response = request.send().await.map_err(failure)?;
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failure)? {
            if body.len() + chunk.len() > self.limits.answer_bytes_max {
                return Err(HttpError::TooLong(self.limits.answer_bytes_max));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, retry_after, body })
    }
}

/// The system's certificates are asked for only where they are needed: a bare machine may have none.
fn builder(url: &Url) -> Result<reqwest::ClientBuilder, SetUpError> {
    if url.scheme() == "https" {
        // Fails when somebody installed one before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        return Ok(reqwest::Client::builder());
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SetUpError::Client(error.to_string()))?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls))
}

fn failure(error: reqwest::Error) -> HttpError {
    if error.is_timeout() {
        return HttpError::TooSlow;
    }
    // The address may hold a password.
    HttpError::Broken(reasons(&error.without_url()))
}

/// The innermost reasons are what a person needs: "connection refused" comes last.
fn reasons(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const LIMITS: Limits = Limits {
        connect: Duration::from_secs(5),
        total: Duration::from_secs(5),
        at_once_max: 1,
        answer_bytes_max: 1_000,
    };

    #[tokio::test]
    async fn no_more_requests_are_on_their_way_than_allowed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let limits = Limits { at_once_max: 2, ..LIMITS };
        let http = Http::new(&format!("http://{}", listener.local_addr().unwrap()), limits).unwrap();
        let (mut now, mut most) = (0, 0);
        let mut open = Vec::new();
        let server = async {
            loop {
                // Answers only when nobody else comes for a while, so that all who may come are there at once.
                match tokio::time::timeout(Duration::from_millis(50), listener.accept()).await {
                    Ok(accepted) => {
                        open.push(accepted.unwrap().0);
                        now += 1;
                        most = most.max(now);
                    }
                    Err(_) => {
                        for mut connection in open.drain(..) {
                            let mut request = [0; 4096];
                            let _ = connection.read(&mut request).await.unwrap();
                            let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
                            connection.write_all(answer.as_bytes()).await.unwrap();
                            now -= 1;
                        }
                    }
                }
            }
        };
        let requests = futures::future::join_all((0..6).map(|_| http.send(http.request(Method::GET, ""))));
        let answers =
            tokio::select! { answers = requests => answers, () = server => unreachable!("it serves for ever") };
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(most, 2);
    }

    /// Answers every connection once with the same bytes and counts them.
    async fn asked(answer: &str, limits: Limits) -> (Result<Reply, HttpError>, u32) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = Http::new(&format!("http://{}", listener.local_addr().unwrap()), limits).unwrap();
        let mut served = 0;
        let server = async {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                served += 1;
                let mut request = [0; 4096];
                let _ = connection.read(&mut request).await;
                let _ = connection.write_all(answer.as_bytes()).await;
            }
        };
        let reply = tokio::select! { () = server => unreachable!(), reply = http.send(http.request(Method::POST, "/x")) => reply };
        (reply, served)
    }

    #[tokio::test]
    async fn an_answer_comes_with_its_status() {
        let (reply, _) = asked("HTTP/1.1 500 No\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nhi", LIMITS).await;
        let (status, retry_after) = (StatusCode::INTERNAL_SERVER_ERROR, Some("7".to_owned()));
        assert_eq!(reply.unwrap(), Reply { status, retry_after, body: b"hi".to_vec() });
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let answer = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(5_000));
        assert_eq!(asked(&answer, LIMITS).await.0, Err(HttpError::TooLong(1_000)));
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_like_any_other() {
        let (reply, _) =
            asked("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", LIMITS).await;
        assert_eq!(reply.unwrap().status, StatusCode::FOUND);
    }

    #[tokio::test]
    async fn a_broken_connection_is_not_tried_again() {
        let (reply, served) = asked("", LIMITS).await;
        assert!(matches!(reply, Err(HttpError::Broken(_))), "{reply:?}");
        assert_eq!(served, 1);
    }

    #[tokio::test]
    async fn nobody_there_says_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = Http::new(&format!("http://{}", listener.local_addr().unwrap()), LIMITS).unwrap();
        drop(listener);
        let Err(HttpError::Broken(why)) = http.send(http.request(Method::GET, "")).await else { panic!("not broken") };
        assert!(why.contains("refused"), "{why}");
    }

    #[test]
    fn other_schemes_are_no_address() {
        for url in ["ftp://host", "127.0.0.1:8332", "http://", ""] {
            assert!(matches!(Http::new(url, LIMITS), Err(SetUpError::Address(_))), "{url}");
        }
    }
}
