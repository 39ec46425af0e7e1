//! `millrace deposits` and `millrace deposit show`.

use std::io::Write;

use clap::{Args, Subcommand};

use super::client::Client;
use super::events;
use crate::escape::escaped;
use crate::web::shapes::{DepositDetail, DepositPage, DepositRow, PAGE_ROWS_MAX};

/// Which deposits to list.
#[derive(Debug, Args)]
pub struct List {
    /// Only those with this status: pending, quarantined, wait_decide, wait_buy, wait_send, wait_confirm, held,
    /// refund_due, done or unreadable.
    #[arg(long)]
    status: Option<String>,
    /// Only those that are paid out to this address.
    #[arg(long, value_name = "ADDRESS")]
    target: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
}

/// What to do with one deposit.
#[derive(Debug, Subcommand)]
pub enum One {
    /// Show where a deposit stands and everything that happened to it.
    Show(Show),
}

/// Which deposit to show.
#[derive(Debug, Args)]
pub struct Show {
    /// Its id, as `millrace deposits` prints it.
    id: uuid::Uuid,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

const WIDTHS: [usize; 6] = [36, 12, 17, 17, 36, 20];

/// Prints the list, page by page.
pub async fn list(client: &Client, list: &List, out: &mut impl Write) -> anyhow::Result<()> {
    let mut heading = !list.json;
    let mut wanted = list.limit;
    let mut after = None;
    while wanted > 0 {
        let rows = wanted.min(PAGE_ROWS_MAX);
        let query = [
            ("status", list.status.clone()),
            ("target", list.target.clone()),
            ("limit", Some(rows.to_string())),
            ("after", after),
        ];
        let page: DepositPage = client.get("deposits", &query).await?;
        if std::mem::take(&mut heading) {
            row(out, ["ID", "STATUS", "RECEIVED BTC", "PAYOUT SKY", "TO", "UPDATED"].map(str::to_owned), "WHY")?;
        }
        for deposit in page.deposits.iter().take(rows as usize) {
            if list.json {
                writeln!(out, "{}", serde_json::to_string(deposit)?)?
            } else {
                line(out, deposit)?
            }
            wanted -= 1;
        }
        match page.next {
            Some(next) if !page.deposits.is_empty() => after = Some(next),
            _ => break,
        }
    }
    Ok(())
}

fn line(out: &mut impl Write, deposit: &DepositRow) -> anyhow::Result<()> {
    let cells = [
        deposit.id.clone(),
        deposit.status.clone(),
        deposit.received.to_string(),
        deposit.payout.map_or_else(|| "-".to_owned(), |payout| payout.to_string()),
        deposit.target.clone().unwrap_or_else(|| "-".to_owned()),
        deposit.updated_at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    ];
    row(out, cells, deposit.reason.as_deref().unwrap_or_default())
}

fn row(out: &mut impl Write, cells: [String; 6], last: &str) -> anyhow::Result<()> {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(WIDTHS) {
        text.push_str(&format!("{:<width$}  ", escaped(cell).to_string()));
    }
    text.push_str(&escaped(last).to_string());
    Ok(writeln!(out, "{}", text.trim_end())?)
}

/// Prints one deposit and its events.
pub async fn show(client: &Client, show: &Show, out: &mut impl Write) -> anyhow::Result<()> {
    let detail: DepositDetail = client.get(&format!("deposits/{}", show.id), &[]).await?;
    if show.json {
        return Ok(writeln!(out, "{}", serde_json::to_string(&detail)?)?);
    }
    let deposit = &detail.deposit;
    let source = format!("{}:{}", deposit.txid, deposit.output);
    for (name, value) in [
        ("deposit", Some(deposit.id.clone())),
        ("status", Some(deposit.status.clone())),
        ("why", deposit.reason.clone()),
        ("method", deposit.method.clone()),
        ("received", Some(format!("{} BTC", deposit.received))),
        ("on", Some(deposit.address.clone())),
        ("by", Some(source)),
        ("payout", deposit.payout.map(|payout| format!("{payout} SKY"))),
        ("to", deposit.target.clone()),
        ("in", deposit.payout_txid.clone()),
    ] {
        if let Some(value) = value {
            writeln!(out, "{name:<10}{}", escaped(&value))?;
        }
    }
    writeln!(out)?;
    detail.events.iter().try_for_each(|event| events::line(out, event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{self, Desk};
    use clap::Parser;

    #[derive(Parser)]
    struct Listing {
        #[command(flatten)]
        list: List,
    }

    async fn listed(desk: &Desk, arguments: &str) -> String {
        let list = Listing::parse_from(format!("deposits {arguments}").split_whitespace()).list;
        let mut out = Vec::new();
        super::list(&desk.client(), &list, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn a_list_follows_the_pages_up_to_its_limit() {
        let desk = Desk::start().await;
        let all = listed(&desk, "--json --limit 2000").await;
        let ids: Vec<DepositRow> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(ids.len(), testing::DEPOSITS);
        assert_eq!(listed(&desk, "--json --limit 700").await.lines().count(), 700);
        assert_eq!(listed(&desk, "--limit 3").await.lines().count(), 4, "three and the heading");
    }

    #[tokio::test]
    async fn what_the_desk_says_cannot_move_the_cursor() {
        let desk = Desk::start().await;
        let text = listed(&desk, "--limit 1").await;
        assert!(text.contains("below_minimum\\u{1b}[2J") && !text.contains('\u{1b}'), "{text}");
    }

    #[tokio::test]
    async fn one_deposit_is_shown_with_its_events() {
        let desk = Desk::start().await;
        let mut out = Vec::new();
        let show = Show { id: testing::id(7), json: false };
        super::show(&desk.client(), &show, &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("received  0.00500000 BTC\n") && text.contains("Detected"), "{text}");

        let unknown = Show { id: testing::id(1_000_000), json: false };
        let error = super::show(&desk.client(), &unknown, &mut Vec::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "No such deposit. (deposit_unknown)");
    }
}
