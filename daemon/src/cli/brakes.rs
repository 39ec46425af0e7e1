//! `millrace halt`, `millrace resume` and `millrace switch`.

use std::io::Write;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::client::Client;

/// Why the desk is to be halted or resumed.
#[derive(Debug, Args)]
pub struct Why {
    /// In your words; it goes into the log.
    note: String,
}

/// What is to be turned on or off.
#[derive(Debug, Args)]
pub struct Turn {
    /// Which.
    switch: Switch,
    /// Where it is to stand.
    setting: Setting,
    /// Why, in your words; it goes into the log.
    note: String,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Switch {
    /// Giving out deposit addresses.
    Binds,
    /// Sending orders to the exchange.
    Purchases,
    /// Paying out.
    Sends,
}

impl Switch {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Binds => "binds",
            Self::Purchases => "purchases",
            Self::Sends => "sends",
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Setting {
    On,
    Off,
}

#[derive(Deserialize)]
struct Done {
    position: u64,
}

/// Stops orders and payouts.
pub async fn halt(client: &Client, why: &Why, out: &mut impl Write) -> anyhow::Result<()> {
    let done: Done = client.post("halt", &json!({ "note": why.note })).await?;
    Ok(writeln!(out, "halted at position {}: no order and no payout goes out until `millrace resume`", done.position)?)
}

/// Lets them go out again.
pub async fn resume(client: &Client, why: &Why, out: &mut impl Write) -> anyhow::Result<()> {
    let done: Done = client.post("resume", &json!({ "note": why.note })).await?;
    Ok(writeln!(out, "resumed at position {}", done.position)?)
}

/// Turns one switch.
pub async fn turn(client: &Client, turn: &Turn, out: &mut impl Write) -> anyhow::Result<()> {
    let Turn { switch, setting, note } = turn;
    let path = format!("switches/{}", switch.as_str());
    let done: Done = client.post(&path, &json!({ "setting": setting, "note": note })).await?;
    let setting = if matches!(setting, Setting::On) { "on" } else { "off" };
    Ok(writeln!(out, "{} are {setting} since position {}", switch.as_str(), done.position)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Desk;

    #[tokio::test]
    async fn halting_and_resuming_say_since_when() {
        let (desk, mut out) = (Desk::start().await, Vec::new());
        let why = Why { note: "look at the wallet".to_owned() };
        halt(&desk.client(), &why, &mut out).await.unwrap();
        resume(&desk.client(), &why, &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("halted at position 18: ") && text.ends_with("\nresumed at position 18\n"), "{text}");
    }

    #[tokio::test]
    async fn a_switch_is_turned_and_a_refusal_is_told() {
        let (desk, mut out) = (Desk::start().await, Vec::new());
        let off = |note: &str| Turn { switch: Switch::Sends, setting: Setting::Off, note: note.to_owned() };
        turn(&desk.client(), &off("the wallet moves"), &mut out).await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "sends are off since position 16\n");
        let refused = turn(&desk.client(), &off(""), &mut Vec::new()).await.unwrap_err();
        assert!(refused.to_string().contains("note"), "{refused}");
    }
}
