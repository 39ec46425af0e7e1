//! A load generator's connection: HTTP/1.1, kept open, one request after the other. It shares two cores with what it
//! measures, so it does no more than it must.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// An answer.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub took: Duration,
}

impl Answer {
    /// The body as JSON; anything but a success is an error.
    pub(super) fn json(&self) -> anyhow::Result<serde_json::Value> {
        self.ok()?;
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// Anything but a success is an error.
    pub(super) fn ok(&self) -> anyhow::Result<()> {
        ensure!(self.status.is_success(), "{}: {}", self.status, String::from_utf8_lossy(&self.body));
        Ok(())
    }
}

/// A connection.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    /// `Authorization`, for the operator's face.
    authorization: Option<String>,
    /// `Cookie`, for the console.
    cookie: Option<HeaderValue>,
    /// Drives the connection; ends with it.
    _driver: JoinSet<()>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        // Whoever asks hears of a broken connection.
        driver.spawn(async move { drop(connection.await) });
        Ok(Self { sender, host: address.to_string(), authorization: None, cookie: None, _driver: driver })
    }

    /// The same with a bearer token on each request.
    pub(super) fn with_token(self, token: &str) -> Self {
        Self { authorization: Some(format!("Bearer {}", token.trim())), ..self }
    }

    /// The same with the cookie of whoever has logged in at the console.
    pub(super) async fn logged_in(mut self, name: &str, password: &str) -> anyhow::Result<Self> {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("name", name), ("password", password)])
            .finish();
        let answer =
            self.send(Method::POST, "/console/login", (form.into(), "application/x-www-form-urlencoded")).await?;
        let cookie = answer.headers.get(header::SET_COOKIE).context("the console lets nobody in")?;
        let cookie = cookie.to_str()?.split(';').next().unwrap_or_default();
        self.cookie = Some(cookie.parse()?);
        Ok(self)
    }

    pub(super) async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, (Bytes::new(), "")).await.with_context(|| path.to_owned())
    }

    pub(super) async fn post(&mut self, path: &str, json: impl Into<Bytes>) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, (json.into(), "application/json")).await.with_context(|| path.to_owned())
    }

    /// Sends a body with what it is, if there is one.
    async fn send(&mut self, method: Method, path: &str, (body, is): (Bytes, &str)) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.host);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, is);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body))?;
        self.sender.ready().await?;
        let begin = Instant::now();
        let response = self.sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body, took: begin.elapsed() })
    }
}
