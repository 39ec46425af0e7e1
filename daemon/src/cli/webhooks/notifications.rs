//! `millrace webhooks events|resend|simulate|verify`: notifications one by one, and trying receivers out.

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use clap::Args;
use millrace_model::ids::SubscriptionId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::text;
use crate::cli::client::Client;
use crate::escape::escaped;
use crate::web::frame::BODY_BYTES_MAX;

/// Where notifications are in the operator API.
const PATH: &str = "notifications/webhooks-events";
/// How many a page has.
const PAGE_ROWS: u32 = 500;

/// Which notifications.
#[derive(Debug, Args)]
pub struct Events {
    /// This one alone.
    id: Option<Uuid>,
    /// Of this type: a name, a group such as `Deposit.*`, or `*`.
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "id")]
    kind: Option<String>,
    /// From this time on, such as 2026-11-22T08:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "id")]
    since: Option<DateTime<Utc>>,
    /// Until this time.
    #[arg(long, value_name = "TIME", conflicts_with = "id")]
    until: Option<DateTime<Utc>>,
    /// How many at most.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
}

/// What to send once more.
#[derive(Debug, Args)]
pub struct Resend {
    /// The notification's id.
    id: Uuid,
    /// To this webhook; may be repeated. Without it, to all that want it and are served.
    #[arg(long = "to", value_name = "WEBHOOK")]
    to: Vec<SubscriptionId>,
}

/// What to try whom out with.
#[derive(Debug, Args)]
pub struct Simulate {
    /// The type of notification whose example is sent.
    kind: String,
    /// To this webhook, signed as for it.
    #[arg(long = "to", value_name = "WEBHOOK", required_unless_present = "url", conflicts_with = "url")]
    to: Option<SubscriptionId>,
    /// To this address, unsigned.
    #[arg(long)]
    url: Option<String>,
}

/// What was received.
#[derive(Debug, Args)]
pub struct Verify {
    /// For which webhook.
    webhook: SubscriptionId,
    /// The header `webhook-signature`; of one in ton.events' way `x-te-signature`.
    #[arg(long)]
    signature: String,
    /// The header `webhook-id`.
    #[arg(long)]
    id: Option<String>,
    /// The header `webhook-timestamp`.
    #[arg(long)]
    timestamp: Option<String>,
    /// A file with the body to the byte; without it, standard input.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
}

impl Events {
    /// Prints them as JSON, a line each.
    pub(super) async fn run(&self, client: &Client, out: &mut impl Write) -> anyhow::Result<()> {
        if let Some(id) = self.id {
            let event: Value = client.get(&format!("{PATH}/{id}"), &[]).await?;
            return Ok(writeln!(out, "{event}")?);
        }
        let (mut wanted, mut cursor) = (self.limit, None);
        while wanted > 0 {
            let rows = wanted.min(PAGE_ROWS);
            let page = self.page(client, rows, cursor).await?;
            let events = page["events"].as_array().context("the desk's answer is not understood")?;
            events.iter().try_for_each(|event| writeln!(out, "{event}"))?;
            if events.len() < rows as usize {
                break;
            }
            wanted -= rows;
            cursor = page["next_cursor"].as_str().map(str::to_owned);
        }
        Ok(())
    }

    async fn page(&self, client: &Client, rows: u32, cursor: Option<String>) -> anyhow::Result<Value> {
        let query = [
            ("event_type", self.kind.clone()),
            ("start_time", self.since.map(|time| time.to_rfc3339())),
            ("end_time", self.until.map(|time| time.to_rfc3339())),
            ("limit", Some(rows.to_string())),
            ("cursor", cursor),
        ];
        client.get(PATH, &query).await
    }
}

impl Resend {
    /// Sends it, and prints to whom.
    pub(super) async fn run(&self, client: &Client, out: &mut impl Write) -> anyhow::Result<()> {
        let body = if self.to.is_empty() { json!({}) } else { json!({ "webhook_ids": self.to }) };
        let sent: Value = client.post(&format!("{PATH}/{}/resend", self.id), &body).await?;
        let receivers = sent["webhook_ids"].as_array().context("the desk's answer is not understood")?;
        let kind = escaped(text(&sent, "event_type"));
        receivers
            .iter()
            .filter_map(Value::as_str)
            .try_for_each(|id| writeln!(out, "{kind} is sent to {} once more", escaped(id)))?;
        Ok(())
    }
}

impl Simulate {
    /// Sends it, and prints what came of it as JSON.
    pub(super) async fn run(&self, client: &Client, out: &mut impl Write) -> anyhow::Result<()> {
        let body = json!({ "event_type": self.kind, "webhook_id": self.to, "url": self.url });
        let sent: Value = client.post("notifications/simulate-event", &body).await?;
        Ok(writeln!(out, "{}", serde_json::to_string_pretty(&sent)?)?)
    }
}

impl Verify {
    /// Says that it was signed for the webhook, or fails with the reason.
    pub(super) async fn run(&self, client: &Client, out: &mut impl Write) -> anyhow::Result<()> {
        let received = json!({
            "webhook_id": self.webhook,
            "transmission_id": self.id,
            "transmission_time": self.timestamp,
            "transmission_sig": self.signature,
            "webhook_event": self.read()?,
        });
        let found: Value = client.post("notifications/verify-webhook-signature", &received).await?;
        if found["verification_status"] == "SUCCESS" {
            return Ok(writeln!(out, "SUCCESS")?);
        }
        let matches = if found["signature_matches"] == true { "; the signature itself matches" } else { "" };
        bail!("FAILURE: {}{matches}", escaped(text(&found, "reason")));
    }

    fn read(&self) -> anyhow::Result<String> {
        let limit = BODY_BYTES_MAX as u64 + 1;
        let mut body = String::new();
        let read = match &self.body {
            Some(path) => std::fs::File::open(path).and_then(|file| file.take(limit).read_to_string(&mut body)),
            None => std::io::stdin().lock().take(limit).read_to_string(&mut body),
        };
        read.context("the body cannot be read")?;
        ensure!(body.len() <= BODY_BYTES_MAX, "the body is longer than {BODY_BYTES_MAX} bytes");
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Webhooks;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        webhooks: Webhooks,
    }

    fn is_understood(line: &str) -> bool {
        let line = line.replace("ID", "0193a0c0-0000-7000-8000-000000000001");
        Line::try_parse_from(format!("webhooks {line}").split_whitespace()).is_ok()
    }

    #[test]
    fn what_is_asked_for_is_one_thing() {
        for line in [
            "show ID",
            "events",
            "events ID",
            "events --type Deposit.* --since 2026-11-22T08:00:00Z --until 2026-11-22T09:00:00Z --limit 5",
            "resend ID",
            "resend ID --to ID --to ID",
            "simulate Deposit.Pending --to ID",
            "simulate Deposit.Pending --url https://shop.example/",
            "verify ID --signature v1,x --id y --timestamp 1 --body file",
        ] {
            assert!(is_understood(line), "{line}");
        }
        for line in [
            "events ID --type Deposit.*",
            "events --limit 0",
            "events --since yesterday",
            "simulate Deposit.Pending",
            "simulate Deposit.Pending --to ID --url https://shop.example/",
            "verify ID",
        ] {
            assert!(!is_understood(line), "{line}");
        }
    }
}
