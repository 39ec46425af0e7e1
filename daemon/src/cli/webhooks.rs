//! `millrace webhooks`.

mod notifications;

use std::io::Write;

use anyhow::Context;
use clap::{Args, Subcommand};
use millrace_model::ids::{Position, SubscriptionId};
use serde_json::{Value, json};

use super::client::Client;
use crate::escape::escaped;

pub(super) const NOTES: &str = "\
Examples:
  millrace webhooks add https://shop.example/told --event 'Deposit.*' --event Withdrawal.Confirmed
  millrace webhooks add nats:desk.deposits  the same through a broker of the configuration
  millrace webhooks attempts ID          what was sent, and what was answered
  millrace webhooks show ID              why it hears nothing
  millrace webhooks events --type 'Deposit.*' --since 2026-11-22T08:00:00Z
  millrace webhooks resend EVENT --to ID  send one notification once more
  millrace webhooks recover ID --after 0  tell it everything again
  millrace webhooks simulate Deposit.Confirmed --to ID
  millrace webhooks verify ID --id … --timestamp … --signature 'v1,…' --body FILE

What signs is printed once, when the webhook is made. Receivers check it as standardwebhooks.com says.";

/// Where webhooks are in the operator API.
const PATH: &str = "notifications/webhooks";

/// What to do with webhooks.
#[derive(Debug, Subcommand)]
pub enum Webhooks {
    /// List them.
    List,
    /// Tell an address what happens.
    Add(Add),
    /// What was sent to one, and what came of it, as JSON, a line an attempt.
    Attempts {
        /// Which.
        id: SubscriptionId,
        /// Of notifications after this position of the log.
        #[arg(long, default_value_t = 0)]
        after: Position,
    },
    /// Show one, and what is under way to it or waited for.
    Show {
        /// Which.
        id: SubscriptionId,
    },
    /// What webhooks are told, the oldest first, as JSON, a line a notification.
    Events(notifications::Events),
    /// Send a notification once more.
    Resend(notifications::Resend),
    /// Send the example of a type to a receiver, once, and show what came of it.
    Simulate(notifications::Simulate),
    /// Whether what somebody received was signed for a webhook.
    Verify(notifications::Verify),
    /// Send nothing to one until it is resumed.
    Pause {
        /// Which.
        id: SubscriptionId,
    },
    /// Send again to one that was paused or disabled, what came meanwhile first.
    Resume {
        /// Which.
        id: SubscriptionId,
    },
    /// Tell one again everything after a position of the log.
    Recover {
        /// Which.
        id: SubscriptionId,
        /// The position.
        #[arg(long)]
        after: Position,
    },
    /// End one.
    Remove {
        /// Which.
        id: SubscriptionId,
    },
}

/// Whom to tell what.
#[derive(Debug, Args)]
pub struct Add {
    /// The address: https://…, or nats:subject, amqp:exchange/routing-key, mqtt:topic on a broker that is configured.
    url: String,
    /// What to tell: a type's name, a group such as `Deposit.*`, or `*`, which goes without saying. May be repeated.
    #[arg(long = "event")]
    events: Vec<String>,
    /// Of this customer's deposits alone: the address that is paid.
    #[arg(long)]
    customer: Option<String>,
}

impl Webhooks {
    /// Does it.
    pub async fn run(&self, client: &Client, out: &mut impl Write) -> anyhow::Result<()> {
        match self {
            Self::List => list(client, out).await,
            Self::Add(add) => add.run(client, out).await,
            Self::Attempts { id, after } => attempts(client, *id, *after, out).await,
            Self::Show { id } => show(client, *id, out).await,
            Self::Events(events) => events.run(client, out).await,
            Self::Resend(resend) => resend.run(client, out).await,
            Self::Simulate(simulate) => simulate.run(client, out).await,
            Self::Verify(verify) => verify.run(client, out).await,
            Self::Pause { id } => act(client, &format!("{PATH}/{id}/pause"), &json!({}), out).await,
            Self::Resume { id } => act(client, &format!("{PATH}/{id}/resume"), &json!({}), out).await,
            Self::Recover { id, after } => {
                act(client, &format!("{PATH}/{id}/recover"), &json!({ "after": after }), out).await
            }
            Self::Remove { id } => {
                client.delete(&format!("{PATH}/{id}")).await?;
                Ok(writeln!(out, "{id} is no more")?)
            }
        }
    }
}

impl Add {
    async fn run(&self, client: &Client, out: &mut impl Write) -> anyhow::Result<()> {
        let all = ["*".to_owned()];
        let names = if self.events.is_empty() { &all[..] } else { &self.events };
        let events: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
        let body = json!({ "url": self.url, "events": events, "customer": self.customer });
        let made: Value = client.post(PATH, &body).await?;
        line(&made, out)?;
        Ok(writeln!(out, "secret: {}", escaped(text(&made, "secret")))?)
    }
}

async fn list(client: &Client, out: &mut impl Write) -> anyhow::Result<()> {
    let answer: Value = client.get(PATH, &[]).await?;
    let webhooks = answer["webhooks"].as_array().context("the desk's answer is not understood")?;
    webhooks.iter().try_for_each(|webhook| line(webhook, out))
}

async fn show(client: &Client, id: SubscriptionId, out: &mut impl Write) -> anyhow::Result<()> {
    let webhook: Value = client.get(&format!("{PATH}/{id}"), &[]).await?;
    line(&webhook, out)?;
    let delivery: Value = client.get(&format!("{PATH}/{id}/delivery"), &[]).await?;
    writeln!(out, "{}", escaped(text(&delivery, "explanation")))?;
    let number = |field: &str| delivery[field].as_u64().unwrap_or_default();
    let (in_flight, at_once) = (number("in_flight"), number("at_once"));
    let (retries, behind) = (number("retries"), number("behind"));
    Ok(writeln!(
        out,
        "under way: {in_flight} of {at_once}; to be sent again: {retries}; positions of the log behind: {behind}"
    )?)
}

async fn act(client: &Client, path: &str, body: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let webhook: Value = client.post(path, body).await?;
    line(&webhook, out)
}

async fn attempts(client: &Client, id: SubscriptionId, after: Position, out: &mut impl Write) -> anyhow::Result<()> {
    let mut next = Some(after);
    while let Some(after) = next {
        let query = [("after", Some(after.to_string()))];
        let page: Value = client.get(&format!("{PATH}/{id}/attempts"), &query).await?;
        let attempts = page["attempts"].as_array().context("the desk's answer is not understood")?;
        attempts.iter().try_for_each(|attempt| writeln!(out, "{attempt}"))?;
        next = page["next"].as_u64();
    }
    Ok(())
}

fn line(webhook: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let events: Vec<_> = webhook["events"].as_array().into_iter().flatten().map(|event| text(event, "name")).collect();
    let url = webhook["url"].as_str().unwrap_or("(its key is not there)");
    let (id, status) = (text(webhook, "id"), text(webhook, "status"));
    write!(out, "{}  {:<8}  {}  {}", escaped(id), escaped(status), escaped(url), escaped(&events.join(",")))?;
    match webhook["reason"].as_str() {
        Some(reason) => Ok(writeln!(out, "  ({})", escaped(reason))?),
        None => Ok(writeln!(out)?),
    }
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}
