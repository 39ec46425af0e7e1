//! The command line's side of the operator API.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use http::header::AUTHORIZATION;
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::Config;
use crate::escape::excerpt;
use crate::web::address;
use crate::web::token::{Token, TokenError};

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Longer than the longest wait for events, and than a slow disk needs between two pieces of a backup.
const READ_PATIENCE: Duration = Duration::from_secs(60);
/// A page of 500 events of 16 KiB stays below.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Asks the running desk.
pub struct Client {
    http: reqwest::Client,
    data_dir: PathBuf,
    configured: SocketAddr,
    token: Token,
}

/// No desk answers: not running, or running with another configuration.
#[derive(Debug, thiserror::Error)]
pub enum NoDesk {
    /// Nobody has said where: none was started, or it was stopped.
    #[error("no desk runs in {}; start one with `millrace run` and this configuration", .0.display())]
    NoneRuns(PathBuf),
    /// Nobody answers where one was.
    #[error("no desk answers at http://{address} ({cause}); is it running, and with this configuration?")]
    Silent {
        /// Where it was looked for.
        address: SocketAddr,
        /// The innermost reason; those around it say the address again.
        cause: String,
    },
}

impl NoDesk {
    fn silent(address: SocketAddr, error: &reqwest::Error) -> Self {
        let mut cause: &dyn Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Self::Silent { address, cause: cause.to_string() }
    }
}

/// The part of a problem that people need.
#[derive(Deserialize)]
struct Refusal {
    code: String,
    message: String,
}

impl Client {
    /// A client for the desk that runs with this configuration.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let token = match Token::load(&config.operator.token_file) {
            Err(TokenError::File { path, cause }) => {
                let path = path.display();
                bail!(
                    "the operator's token {path} cannot be read ({cause}); has the desk been started with this configuration?"
                )
            }
            token => token?,
        };
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_PATIENCE)
            .read_timeout(READ_PATIENCE)
            .build()
            .context("the HTTP client cannot be made")?;
        Ok(Self { http, data_dir: config.desk.data_dir.clone(), configured: config.operator.listen, token })
    }

    /// A JSON answer. `path` comes after `/operator/v1/`; parameters without a value are left out.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, Option<String>)]) -> anyhow::Result<T> {
        read(self.open(path, query).await?).await
    }

    /// The JSON answer to what is asked for in a JSON body. `path` comes after `/operator/v1/`.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        read(self.ask(Method::POST, path, |request| request.json(body)).await?).await
    }

    /// Ends what is at a path, which comes after `/operator/v1/`.
    pub async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.ask(Method::DELETE, path, |request| request).await.map(drop)
    }

    /// A successful answer, its body still to be read.
    pub async fn open(&self, path: &str, query: &[(&str, Option<String>)]) -> anyhow::Result<Response> {
        let query: Vec<_> = query.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))).collect();
        self.ask(Method::GET, path, |request| request.query(&query)).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> anyhow::Result<Response> {
        // A restarted desk may have another port.
        let address = address::find(&self.data_dir).unwrap_or(self.configured);
        if address.port() == 0 {
            return Err(NoDesk::NoneRuns(self.data_dir.clone()).into());
        }
        let request = fill(self.http.request(method, format!("http://{address}/operator/v1/{path}")));
        let sent = request.header(AUTHORIZATION, self.token.header()).send().await;
        let response = sent.map_err(|error| NoDesk::silent(address, &error))?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }
}

async fn read<T: DeserializeOwned>(mut response: Response) -> anyhow::Result<T> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.context("the desk's answer broke off")? {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            bail!("the desk's answer is larger than {ANSWER_BYTES_MAX} bytes");
        }
        body.extend_from_slice(&piece);
    }
    serde_json::from_slice(&body).context("the desk's answer is not understood; is it of another version?")
}

async fn refused(response: Response) -> anyhow::Error {
    let status = response.status();
    match response.json::<Refusal>().await {
        Ok(refusal) => anyhow::anyhow!("{} ({})", excerpt(&refusal.message, 400), excerpt(&refusal.code, 60)),
        Err(_) => anyhow::anyhow!("the desk answered {status}"),
    }
}
