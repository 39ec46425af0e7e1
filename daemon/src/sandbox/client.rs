//! Talking to a running sandbox's control API.

use std::time::Duration;

use reqwest::{Client as Http, Method};
use serde_json::Value;

use super::info::Info;

/// Draining thousands of outputs or mining hundreds of blocks takes a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the sandbox did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It said so.
    #[error("{0}")]
    Refused(String),
    /// It could not be reached, or its answer not be read.
    #[error("the sandbox does not answer: {0}")]
    Unreachable(#[from] reqwest::Error),
}

/// A connection to one sandbox.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    base: String,
}

impl Client {
    /// A client of the sandbox; connects when first used.
    pub fn new(info: &Info) -> Result<Self, ClientError> {
        Self::with_patience(info, PATIENCE)
    }

    pub(super) fn with_patience(info: &Info, patience: Duration) -> Result<Self, ClientError> {
        // Loopback needs no TLS, yet the client wants a provider for it; whoever installed one first is right.
        let _first = rustls::crypto::ring::default_provider().install_default();
        let http = Http::builder().no_proxy().timeout(patience).build()?;
        Ok(Self { http, base: info.control.clone() })
    }

    /// Asks.
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.send(Method::GET, path, None).await
    }

    /// Makes something happen.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Takes something away.
    pub async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.send(Method::DELETE, path, None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ClientError> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.json().await?);
        }
        let text = response.text().await?;
        let sentence = serde_json::from_str::<Value>(&text).ok();
        let sentence = sentence.and_then(|value| value["error"].as_str().map(str::to_owned)).unwrap_or(text);
        Err(ClientError::Refused(sentence))
    }
}
