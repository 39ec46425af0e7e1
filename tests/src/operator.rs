//! A running desk's operator API, reached as its own command line reaches it.

use anyhow::{Context, Result, ensure};
use millrace_daemon::web::address;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use crate::desk::Desk;

/// The operator's way to a desk.
#[derive(Debug)]
pub struct OperatorApi {
    base: String,
    token: String,
    http: Client,
}

impl OperatorApi {
    /// Of the desk as it runs now.
    pub fn of(desk: &Desk) -> Result<Self> {
        let address = address::find(&desk.data_dir()).context("the desk did not leave its operator's address")?;
        let token = std::fs::read_to_string(desk.data_dir().join("operator.token"))?.trim().to_owned();
        Ok(Self { base: format!("http://{address}"), token, http: crate::peers::http_client() })
    }

    /// Asks for JSON under `/operator/v1`.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, None).await
    }

    /// Makes something happen.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// What a probe gets: a status and a text.
    pub async fn probe(&self, path: &str) -> Result<(StatusCode, String)> {
        let response = self.http.get(format!("{}{path}", self.base)).send().await?;
        Ok((response.status(), response.text().await?))
    }

    /// The health of one part.
    pub async fn part(&self, name: &str) -> Result<Value> {
        let parts = self.get("/parts").await?;
        let parts = parts["parts"].as_array().context("a list of parts")?;
        parts.iter().find(|part| part["name"] == name).cloned().with_context(|| format!("no part {name} in {parts:?}"))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request =
            self.http.request(method, format!("{}/operator/v1{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "{path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }
}
