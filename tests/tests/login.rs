//! The console's log-in at the real program.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_daemon::web::address;
use millrace_tests::desk::Desk;
use millrace_tests::operator::OperatorApi;
use millrace_tests::peers::http_client;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// Somebody at the console.
struct Browser {
    http: Client,
    cookie: Option<String>,
}

impl Browser {
    fn new() -> Result<Self> {
        // Installs the provider of TLS, which this client needs as well.
        drop(http_client());
        let http = Client::builder().no_proxy().redirect(Policy::none()).timeout(Duration::from_secs(60)).build()?;
        Ok(Self { http, cookie: None })
    }

    /// The address is another one after each start.
    fn url(desk: &Desk, path: &str) -> Result<String> {
        let address = address::find(&desk.data_dir()).context("the desk did not leave its operator's address")?;
        Ok(format!("http://{address}{path}"))
    }

    async fn get(&self, desk: &Desk, path: &str) -> Result<(StatusCode, String)> {
        let cookie = self.cookie.clone().unwrap_or_default();
        let request = self.http.get(Self::url(desk, path)?).header(COOKIE, cookie).header("accept", "text/html");
        let response = request.send().await?;
        Ok((response.status(), response.text().await?))
    }

    async fn post(&mut self, desk: &Desk, path: &str, fields: &[(&str, &str)]) -> Result<(StatusCode, String)> {
        let pairs = fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let request = self.http.post(Self::url(desk, path)?).header(COOKIE, self.cookie.clone().unwrap_or_default());
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(pairs);
        let response = request.send().await?;
        if let Some(set) = response.headers().get(SET_COOKIE) {
            self.cookie = set.to_str()?.split(';').next().map(str::to_owned);
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        Ok((response.status(), location.unwrap_or_default().to_owned()))
    }

    async fn log_in(&mut self, desk: &Desk, name: &str, password: &str) -> Result<StatusCode> {
        Ok(self.post(desk, "/console/login", &[("name", name), ("password", password)]).await?.0)
    }
}

fn first_password(desk: &Desk) -> Result<String> {
    Ok(std::fs::read_to_string(desk.data_dir().join("operator.password"))?.trim().to_owned())
}

async fn audit(desk: &Desk) -> Result<Vec<Value>> {
    let page = OperatorApi::of(desk)?.get("/audit").await?;
    page["acts"].as_array().cloned().context("acts")
}

#[tokio::test]
async fn an_operator_logs_in_with_the_first_password_and_stays_over_a_restart_and_the_audit_says_so() -> Result<()> {
    let mut desk = Desk::start(&[]).await?;
    ensure!(desk.said("/console"), "the start says where the console is");
    let mut browser = Browser::new()?;
    ensure!(browser.get(&desk, "/console").await?.0 == StatusCode::SEE_OTHER);
    let password = first_password(&desk)?;
    ensure!(browser.log_in(&desk, "operator", &password).await? == StatusCode::SEE_OTHER);
    ensure!(browser.get(&desk, "/console").await?.1.contains("operator"));
    desk.kill_and_restart().await?;
    ensure!(browser.get(&desk, "/console").await?.0 == StatusCode::OK, "the session lives on");

    let note = json!({ "note": "a look at the market" });
    OperatorApi::of(&desk)?.post("/halt", &note).await?;
    OperatorApi::of(&desk)?.post("/parts/alerts/restart", &json!({})).await?;
    let acts = audit(&desk).await?;
    let told: Vec<_> = acts.iter().map(|act| (act["by"].as_str(), act["action"].as_str())).collect();
    let token = Some("the operator's token");
    let expected = [(token, Some("restart_part")), (token, Some("halt")), (Some("operator operator"), Some("log_in"))];
    ensure!(told == expected, "{acts:?}");
    ensure!(acts[1]["note"] == "a look at the market" && acts[0]["subject"] == "alerts", "{acts:?}");
    let replayed = desk.command(&["replay", "desk"]).await?;
    ensure!(replayed.contains("of the operator's token"), "{replayed}");
    Ok(())
}

#[tokio::test]
async fn wrong_passwords_lock_the_account_and_a_stranger_cannot_use_the_token_of_pages_at_the_api() -> Result<()> {
    let desk = Desk::start(&[]).await?;
    let (mut inside, mut stranger) = (Browser::new()?, Browser::new()?);
    let password = first_password(&desk)?;
    ensure!(inside.log_in(&desk, "operator", &password).await? == StatusCode::SEE_OTHER);
    for _ in 0..5 {
        ensure!(stranger.log_in(&desk, "operator", "wrong").await? == StatusCode::UNAUTHORIZED);
    }
    ensure!(stranger.log_in(&desk, "operator", &password).await? == StatusCode::TOO_MANY_REQUESTS);
    ensure!(inside.get(&desk, "/console").await?.0 == StatusCode::OK, "who is in stays in");
    ensure!(inside.get(&desk, "/operator/v1/deposits").await?.0 == StatusCode::UNAUTHORIZED, "no cookie opens the API");
    let acts = audit(&desk).await?;
    ensure!(acts[0]["action"] == "lock_out" && acts.len() == 2, "{acts:?}");
    Ok(())
}

#[tokio::test]
async fn accounts_are_made_and_removed_beside_the_running_desk() -> Result<()> {
    let desk = Desk::start(&[]).await?;
    let made = desk.command(&["operators", "add", "alice"]).await?;
    let mut alice = Browser::new()?;
    ensure!(alice.log_in(&desk, "alice", made.trim()).await? == StatusCode::SEE_OTHER);
    ensure!(alice.get(&desk, "/console").await?.1.contains("alice"));
    desk.command(&["operators", "remove", "alice"]).await?;
    ensure!(alice.get(&desk, "/console").await?.0 == StatusCode::SEE_OTHER, "whose account is gone is out");
    Ok(())
}

#[tokio::test]
async fn the_log_in_works_while_the_log_is_dead() -> Result<()> {
    let desk = Desk::start(&[]).await?;
    let operator = OperatorApi::of(&desk)?;
    operator.post("/parts/event_store/stop", &json!({})).await?;
    let mut browser = Browser::new()?;
    let password = first_password(&desk)?;
    ensure!(browser.log_in(&desk, "operator", &password).await? == StatusCode::SEE_OTHER);
    ensure!(browser.get(&desk, "/console").await?.0 == StatusCode::OK);
    ensure!(desk.said("it may not be in the log"), "the lines say what the log does not");
    operator.post("/parts/event_store/start", &json!({})).await?;
    Ok(())
}
