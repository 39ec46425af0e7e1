//! Somebody who wants to be told: a server that keeps what comes, answers as it is told to, and proves that it holds its
//! secret once it knows one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use millrace_actors::clock::{Clock, SystemClock};
use millrace_model::subscription::customer_hash;
use millrace_protocols::webhook::te;
use millrace_protocols::webhook::verify::{Headers, Key, verify};
use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::desk::Desk;
use crate::operator::OperatorApi;

/// How long something may take to arrive on a loaded machine.
pub const TOLD_WITHIN: Duration = Duration::from_secs(30);
/// Where webhooks are in the operator API.
pub const WEBHOOKS: &str = "/notifications/webhooks";

/// What came, in its order: headers and body.
pub type Arrived = Vec<(HeaderMap, Bytes)>;

/// The server, which ends with it.
#[derive(Debug)]
pub struct Receiver {
    url: String,
    arrived: watch::Receiver<Arrived>,
    answer: Arc<Mutex<StatusCode>>,
    /// With which it answers whether it holds the secret; before it knows one it lets whoever asks wait.
    secret: watch::Sender<Option<te::Secret>>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

#[derive(Clone)]
struct Inside {
    arrived: watch::Sender<Arrived>,
    answer: Arc<Mutex<StatusCode>>,
    secret: watch::Receiver<Option<te::Secret>>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(inside): State<Inside>, headers: HeaderMap, body: Bytes) -> StatusCode {
    inside.arrived.send_modify(|arrived| arrived.push((headers, body)));
    *inside.answer.lock().await
}

async fn prove(State(mut inside): State<Inside>, Query(query): Query<HashMap<String, String>>) -> String {
    let secret = inside.secret.wait_for(Option::is_some).await.ok().and_then(|secret| secret.clone());
    let token = query.get("crc_token").filter(|_| query.get("who").is_some_and(|who| who == "me"));
    secret.zip(token).map(|(secret, token)| secret.answer(token)).unwrap_or_default()
}

impl Receiver {
    /// Starts one that answers 204.
    pub async fn start() -> Result<Self> {
        let (sender, arrived) = watch::channel(Vec::new());
        let answer = Arc::new(Mutex::new(StatusCode::NO_CONTENT));
        let (secret, known) = watch::channel(None);
        let inside = Inside { arrived: sender, answer: Arc::clone(&answer), secret: known };
        let router = Router::new().route("/told", post(receive).get(prove)).with_state(inside);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/told", listener.local_addr()?);
        #[expect(clippy::disallowed_methods, reason = "it ends with the receiver")]
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, arrived, answer, secret, server })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers this from now on.
    pub async fn answers(&self, status: StatusCode) {
        *self.answer.lock().await = status;
    }

    /// Subscribes it to a customer's deposits, at ton.events' door.
    pub async fn subscribe(&self, desk: &Desk, target: &str) -> Result<te::Secret> {
        self.answers(StatusCode::OK).await;
        let (status, taken) = desk.subscribe(&customer_hash(target).to_string(), &self.address()).await?;
        ensure!(status == 202, "{status}: {taken}");
        Ok(te::Secret::from_hex(taken["secret"].as_str().context("a secret")?)?)
    }

    /// Where a customer has it: with a query of its own.
    pub fn address(&self) -> String {
        format!("{}?who=me", self.url)
    }

    /// It knows this secret from now on.
    pub fn holds(&self, secret: te::Secret) {
        self.secret.send_replace(Some(secret));
    }

    /// How the desk has a customer's, once that is so.
    pub async fn stands(&self, desk: &Desk, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let api = OperatorApi::of(desk)?;
        desk.until(TOLD_WITHIN, "a receiver was asked", async || {
            let list = api.get(WEBHOOKS).await?;
            let webhooks = list["webhooks"].as_array().cloned().unwrap_or_default();
            Ok(webhooks.into_iter().find(|webhook| webhook["url"] == self.address()).filter(&is_so))
        })
        .await
    }

    /// What came so far.
    pub fn arrived(&self) -> Arrived {
        self.arrived.borrow().clone()
    }

    /// What came once it is so much.
    pub async fn told(&self, many: usize) -> Result<Arrived> {
        let mut arrived = self.arrived.clone();
        let told = timeout(TOLD_WITHIN, arrived.wait_for(|arrived| arrived.len() >= many)).await;
        let told = told.with_context(|| format!("{} of {many} came", self.arrived.borrow().len()))?;
        Ok(told?.clone())
    }
}

/// The text of a header; nothing when it is not there.
pub fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What is in a notification whose signature was checked.
pub fn proved(secret: &str, (headers, body): &(HeaderMap, Bytes)) -> Result<Value> {
    let text = |name| header(headers, name);
    let given =
        Headers { id: text("webhook-id"), timestamp: text("webhook-timestamp"), signature: text("webhook-signature") };
    let now_s = SystemClock.now().timestamp().try_into()?;
    verify(&[Key::Symmetric(secret.parse()?)], given, body, now_s)?;
    let notification: Value = serde_json::from_slice(body)?;
    ensure!(notification["id"] == text("webhook-id"), "its id is the header's");
    Ok(notification)
}
