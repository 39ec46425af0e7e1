//! `millrace declare`.

use std::io::Write;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::Client;

pub const EXAMPLES: &str = "\
A place is held against the books from its opening on. Declare a sweep before you make it and a refill when it has arrived:
then neither looks like a loss.

Examples:
  millrace declare opening hot-wallet 4000 SKY 'counted on the first day'
  millrace declare sweep exchange 1.5 BTC 'to cold storage'";

/// Coins that move without a customer.
#[derive(Debug, Args)]
pub struct Transfer {
    /// What it is.
    kind: Kind,
    /// Where.
    place: Place,
    /// How much, in whole coins.
    amount: String,
    /// Of which coin.
    #[arg(ignore_case = true)]
    coin: Coin,
    /// Why, in your words; it goes into the log.
    note: String,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// What was there when the desk began.
    Opening,
    /// Into the place.
    Refill,
    /// Out of it.
    Sweep,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    /// The wallet payouts are made from.
    HotWallet,
    /// The account on the exchange.
    Exchange,
    /// The deposit addresses.
    DepositAddresses,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Coin {
    #[value(name = "BTC")]
    Btc,
    #[value(name = "SKY")]
    Sky,
}

#[derive(Deserialize)]
struct Done {
    position: u64,
}

/// Declares it, and prints since when it is booked.
pub async fn declare(client: &Client, transfer: &Transfer, out: &mut impl Write) -> anyhow::Result<()> {
    let done: Done = client.post("transfers", &body(transfer)).await?;
    Ok(writeln!(out, "booked at position {}", done.position)?)
}

fn body(Transfer { kind, place, amount, coin, note }: &Transfer) -> Value {
    json!({ "kind": kind, "place": place, "coin": coin, "amount": amount, "note": note })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::testing::Desk;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        transfer: Transfer,
    }

    fn transfer(line: &str) -> Transfer {
        Line::parse_from(std::iter::once("declare").chain(line.split(' '))).transfer
    }

    #[tokio::test]
    async fn what_is_declared_is_booked_and_a_refusal_is_told() {
        let (desk, mut out) = (Desk::start().await, Vec::new());
        declare(&desk.client(), &transfer("opening hot-wallet 4000 sky counted"), &mut out).await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "booked at position 7\n");
        let nameless = Transfer { note: String::new(), ..transfer("sweep exchange 1 BTC x") };
        let refused = declare(&desk.client(), &nameless, &mut Vec::new()).await.unwrap_err();
        assert!(refused.to_string().contains("note"), "{refused}");
    }

    #[test]
    fn the_words_are_the_apis() {
        let sent = body(&transfer("sweep deposit-addresses 1.5 btc away"));
        let wanted =
            json!({ "kind": "sweep", "place": "deposit_addresses", "coin": "BTC", "amount": "1.5", "note": "away" });
        assert_eq!(sent, wanted);
    }
}
