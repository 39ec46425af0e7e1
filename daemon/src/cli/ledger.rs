//! `millrace ledger`.

use std::io::Write;

use clap::Args;

use super::client::Client;
use crate::web::shapes::Ledger as Shown;

/// How to print it.
#[derive(Debug, Args)]
pub struct Ledger {
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Prints what stands on each account.
pub async fn print(client: &Client, ledger: &Ledger, out: &mut impl Write) -> anyhow::Result<()> {
    let shown: Shown = client.get("ledger", &[]).await?;
    if ledger.json {
        return Ok(writeln!(out, "{}", serde_json::to_string(&shown)?)?);
    }
    writeln!(out, "{:<18}  {:<10}  {:>24}", "ACCOUNT", "", "DEBITS LESS CREDITS")?;
    for row in &shown.balances {
        let amount = format!("{} {}", row.amount, row.coin.as_str());
        writeln!(out, "{:<18}  {:<10}  {amount:>24}", row.account.as_str(), row.nature.as_str())?;
    }
    writeln!(out, "as of position {}", shown.position)?;
    if !shown.unreadable.is_empty() {
        let deposits: Vec<_> = shown.unreadable.iter().map(ToString::to_string).collect();
        writeln!(out, "incomplete: events cannot be read of {}", deposits.join(", "))?;
    }
    if shown.places.is_empty() {
        return Ok(());
    }
    let [booked, in_flight, found] = ["BOOKED", "OF THAT ON ITS WAY", "FOUND"];
    writeln!(out, "\n{:<12}  {booked:>22}  {in_flight:>22}  {found:>22}", "PLACE")?;
    for row in &shown.places {
        let [booked, in_flight, found] =
            [&row.booked, &row.in_flight, &row.found].map(|amount| format!("{amount} {}", row.coin.as_str()));
        let (place, verdict) = (row.place.as_str(), row.verdict.as_str());
        let at = row.at.format("%Y-%m-%d %H:%M:%S");
        writeln!(out, "{place:<12}  {booked:>22}  {in_flight:>22}  {found:>22}  {verdict} at {at} UTC")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Desk;

    #[tokio::test]
    async fn each_account_is_a_line() {
        let (desk, mut out) = (Desk::start().await, Vec::new());
        print(&desk.client(), &Ledger { json: false }, &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(lines[0], ["deposit_addresses", "asset", "1.50000000", "BTC"], "{text}");
        assert_eq!(lines[1], ["customer", "liability", "-1.50000000", "BTC"]);
        assert_eq!(lines[2], ["as", "of", "position", "7"]);
        let place = ["hot_wallet", "10.000000", "SKY", "1.500000", "SKY", "8.500000", "SKY", "fits", "at"];
        assert_eq!(lines[6], [&place[..], &["1970-01-01", "00:00:00", "UTC"]].concat(), "{text}");
        let incomplete = "incomplete: events cannot be read of 00000000-0000-0000-0000-000000000005";
        assert!(text.lines().any(|line| line == incomplete), "{text}");
    }

    #[tokio::test]
    async fn as_json_it_is_what_the_desk_answers() {
        let (desk, mut out) = (Desk::start().await, Vec::new());
        print(&desk.client(), &Ledger { json: true }, &mut out).await.unwrap();
        let shown: Shown = serde_json::from_slice(&out).unwrap();
        assert_eq!((shown.position, shown.balances.len()), (7, 2));
    }
}
