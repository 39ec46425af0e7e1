//! Notifications of the real program, as somebody receives them who checks every signature.

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
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::operator::OperatorApi;
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

const TOLD_WITHIN: Duration = Duration::from_secs(30);
const WEBHOOKS: &str = "/notifications/webhooks";
const LIFE: [&str; 7] = [
    "Deposit.Pending",
    "Deposit.Wait_For_Confirmation",
    "Deposit.Confirmed",
    "Withdrawal.Added_To_Queue",
    "Withdrawal.In_Consensus",
    "Withdrawal.Submitted",
    "Withdrawal.Confirmed",
];

/// What came, in its order: headers and body.
type Arrived = Vec<(HeaderMap, Bytes)>;

/// Somebody who wants to be told.
struct Receiver {
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
    async fn start() -> Result<Self> {
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

    async fn answers(&self, status: StatusCode) {
        *self.answer.lock().await = status;
    }

    /// Subscribes it to a customer's deposits, at ton.events' door.
    async fn subscribe(&self, desk: &Desk, target: &str) -> Result<te::Secret> {
        self.answers(StatusCode::OK).await;
        let (status, taken) = desk.subscribe(&customer_hash(target).to_string(), &self.address()).await?;
        ensure!(status == 202, "{status}: {taken}");
        Ok(te::Secret::from_hex(taken["secret"].as_str().context("a secret")?)?)
    }

    /// Where a customer has it: with a query of its own.
    fn address(&self) -> String {
        format!("{}?who=me", self.url)
    }

    fn holds(&self, secret: te::Secret) {
        self.secret.send_replace(Some(secret));
    }

    /// How the desk has it, once that is so.
    async fn stands(&self, desk: &Desk, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let api = OperatorApi::of(desk)?;
        desk.until(TOLD_WITHIN, "a receiver was asked", async || {
            let list = api.get(WEBHOOKS).await?;
            let webhooks = list["webhooks"].as_array().cloned().unwrap_or_default();
            Ok(webhooks.into_iter().find(|webhook| webhook["url"] == self.address()).filter(&is_so))
        })
        .await
    }

    /// What came once it is so much.
    async fn told(&self, many: usize) -> Result<Arrived> {
        let mut arrived = self.arrived.clone();
        let told = timeout(TOLD_WITHIN, arrived.wait_for(|arrived| arrived.len() >= many)).await;
        let told = told.with_context(|| format!("{} of {many} came", self.arrived.borrow().len()))?;
        Ok(told?.clone())
    }
}

/// What is in a notification whose signature was checked.
fn proved(secret: &str, (headers, body): &(HeaderMap, Bytes)) -> Result<Value> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given =
        Headers { id: text("webhook-id"), timestamp: text("webhook-timestamp"), signature: text("webhook-signature") };
    let now_s = SystemClock.now().timestamp().try_into()?;
    verify(&[Key::Symmetric(secret.parse()?)], given, body, now_s)?;
    let notification: Value = serde_json::from_slice(body)?;
    ensure!(notification["id"] == text("webhook-id"), "its id is the header's");
    Ok(notification)
}

fn types(told: &[Value]) -> Vec<&str> {
    told.iter().map(|told| told["event_type"].as_str().unwrap_or_default()).collect()
}

async fn subscribe(api: &OperatorApi, body: Value) -> Result<(String, String)> {
    let made = api.post(WEBHOOKS, &body).await?;
    let text = |field: &str| made[field].as_str().map(str::to_owned).context("a text");
    Ok((text("id")?, text("secret")?))
}

#[tokio::test]
async fn whoever_asked_hears_of_a_deposit_step_by_step_with_signatures_that_hold() -> Result<()> {
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let (api, receiver, other) = (OperatorApi::of(&desk)?, Receiver::start().await?, Receiver::start().await?);
    let (_, secret) =
        subscribe(&api, json!({ "url": receiver.url, "events": [{ "name": "*" }], "order": "per_deposit" })).await?;
    let (_, others) = subscribe(&api, json!({ "url": other.url, "events": [{ "name": "Withdrawal.*" }] })).await?;
    let target = fresh_target(1);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.1").await?;
    desk.settled(&target, 1).await?;

    let arrived = receiver.told(LIFE.len()).await?;
    let told = arrived.iter().map(|arrived| proved(&secret, arrived)).collect::<Result<Vec<_>>>()?;
    assert_eq!(types(&told), LIFE);
    let sequence: Vec<_> = told.iter().map(|told| told["sequence"].as_u64()).collect();
    assert_eq!(sequence, (1..=7).map(Some).collect::<Vec<_>>());
    for arrived in other.told(4).await? {
        let told = proved(&others, &arrived)?;
        assert!(told["event_type"].as_str().is_some_and(|kind| kind.starts_with("Withdrawal.")), "{told}");
        assert!(proved(&secret, &arrived).is_err(), "each has a secret of his own");
    }
    Ok(())
}

#[tokio::test]
async fn what_came_while_a_webhook_was_disabled_or_the_desk_dead_is_told_afterwards_once() -> Result<()> {
    let mut desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let (api, receiver) = (OperatorApi::of(&desk)?, Receiver::start().await?);
    receiver.answers(StatusCode::GONE).await;
    let wanted = json!({ "url": receiver.url, "events": [{ "name": "Deposit.Confirmed" }] });
    let (id, secret) = subscribe(&api, wanted).await?;
    let target = fresh_target(3);
    let address = desk.bind(&target).await?;
    desk.pay(&address, "0.1").await?;
    receiver.told(1).await?;
    let webhook = format!("{WEBHOOKS}/{id}");
    let stopped = async || Ok(api.get(&webhook).await?).map(|seen| (seen["status"] == "disabled").then_some(seen));
    let disabled = desk.until(TOLD_WITHIN, "the webhook is disabled", stopped).await?;
    assert_eq!(disabled["reason"], "it was answered that there is no such receiver any more");

    desk.pay(&address, "0.2").await?;
    desk.settled(&target, 2).await?;
    desk.kill_and_restart().await?;
    let api = OperatorApi::of(&desk)?;
    assert_eq!(api.get(&webhook).await?["status"], "disabled", "the log remembers it");
    receiver.answers(StatusCode::OK).await;
    api.post(&format!("{webhook}/resume"), &json!({})).await?;
    let arrived = receiver.told(3).await?;
    let told = arrived[1..].iter().map(|arrived| proved(&secret, arrived)).collect::<Result<Vec<_>>>()?;
    let amounts: Vec<_> = told.iter().map(|told| told["resource"]["Amount"].as_u64()).collect();
    assert!(amounts.contains(&Some(10_000_000)) && amounts.contains(&Some(20_000_000)), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn a_customers_receiver_hears_of_his_own_deposits_once_it_proved_that_it_holds_the_secret() -> Result<()> {
    let desk = Desk::start(&[("MILLRACE_DESK__RATE", "500")]).await?;
    let (right, wrong, late) = (Receiver::start().await?, Receiver::start().await?, Receiver::start().await?);
    let (target, others) = (fresh_target(5), fresh_target(6));
    let secret = right.subscribe(&desk, &target).await?;
    right.holds(secret.clone());
    right.stands(&desk, |webhook| webhook["status"] == "enabled").await?;

    // Whoever knows all that is public and guesses the salt is nobody.
    let guessed = || te::Secret::derive(&customer_hash(&target).0, b"a guess");
    let lates = late.subscribe(&desk, &target).await?;
    for receiver in [&wrong, &late] {
        receiver.subscribe(&desk, &target).await?;
        let begun = receiver.stands(&desk, |_| true).await?;
        receiver.holds(guessed());
        let refused = receiver.stands(&desk, |webhook| webhook["position"] != begun["position"]).await?;
        assert_eq!(refused["status"], "unproved");
    }
    late.holds(lates.clone());
    assert_eq!(late.subscribe(&desk, &target).await?, lates, "it is the same subscription");
    late.stands(&desk, |webhook| webhook["status"] == "enabled").await?;

    let (address, elsewhere) = (desk.bind(&target).await?, desk.bind(&others).await?);
    desk.pay(&elsewhere, "0.2").await?;
    desk.settled(&others, 1).await?;
    desk.pay(&address, "0.1").await?;
    desk.settled(&target, 1).await?;
    for (receiver, secret) in [(&right, &secret), (&late, &lates)] {
        for (headers, body) in receiver.told(LIFE.len()).await? {
            assert_eq!(headers["x-te-signature"], secret.sign(&body));
            assert_eq!(headers["content-type"], "text/plain");
            let told: Value = serde_json::from_slice(&body)?;
            assert!(told["event_type"].as_str().is_some_and(|kind| LIFE.contains(&kind)), "{told}");
            assert_eq!(told["resource"]["To"], target, "others' are not his business");
        }
    }
    wrong.stands(&desk, |webhook| webhook["status"] == "unproved").await?;
    assert!(wrong.arrived.borrow().is_empty(), "nothing is sent to who proved nothing");
    Ok(())
}
