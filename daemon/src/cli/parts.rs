//! `millrace parts` and `millrace sandbox panic`.

use std::collections::HashMap;
use std::io::Write;

use anyhow::Context;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use crate::escape::escaped;

/// Groups are not drawn deeper in groups than this.
const DEPTH_MAX: usize = 8;

/// How to print them.
#[derive(Debug, Args)]
pub struct List {
    /// JSON, a line a part, instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
struct Parts {
    parts: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Part {
    name: String,
    group: Option<String>,
    state: String,
    why: Option<String>,
    restarts: u64,
    conditions: Vec<Condition>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    text: String,
}

/// Prints the parts, each below the group it belongs to.
pub async fn list(client: &Client, list: &List, out: &mut impl Write) -> anyhow::Result<()> {
    let Parts { parts } = client.get("parts", &[]).await?;
    if list.json {
        return parts.iter().try_for_each(|part| Ok(writeln!(out, "{part}")?));
    }
    let parts: Vec<Part> = serde_json::from_value(Value::Array(parts))
        .context("the desk's answer is not understood; is it of another version?")?;
    let groups: HashMap<_, _> = parts.iter().map(|part| (part.name.as_str(), part.group.as_deref())).collect();
    writeln!(out, "{:<24}  {:<12}  {:>8}  WHY", "PART", "STATE", "RESTARTS")?;
    for part in &parts {
        let above = |group: &&str| groups.get(group).copied().flatten();
        let depth = std::iter::successors(part.group.as_deref(), above).take(DEPTH_MAX).count();
        let name = format!("{:1$}{2}", "", 2 * depth, escaped(&part.name));
        let conditions = part.conditions.iter().map(|condition| condition.text.as_str());
        let why: Vec<_> = part.why.as_deref().into_iter().chain(conditions).collect();
        let (state, why) = (part.state.replace('_', " "), why.join("; "));
        writeln!(out, "{name:<24}  {:<12}  {:>8}  {}", escaped(&state), part.restarts, escaped(&why))?;
    }
    Ok(())
}

/// Makes a part of a desk in the sandbox panic, and prints what it was doing just then.
pub async fn panic(client: &Client, part: &str, out: &mut impl Write) -> anyhow::Result<()> {
    let segment: String = form_urlencoded::byte_serialize(part.as_bytes()).collect();
    let shown: Value = client.post(&format!("sandbox/parts/{segment}/panic"), &json!({})).await?;
    Ok(writeln!(out, "{shown}")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Desk;

    #[tokio::test]
    async fn parts_stand_below_their_group_with_what_ails_them() {
        let desk = Desk::start().await;
        let mut out = Vec::new();
        list(&desk.client(), &List { json: false }, &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["desk", "starting", "1"]);
        assert!(lines[2].starts_with("  event_store ") && lines[2].ends_with("3  disk full; \\u{1b}[2J"), "{text}");
        let mut out = Vec::new();
        list(&desk.client(), &List { json: true }, &mut out).await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 2);
    }

    #[tokio::test]
    async fn a_part_of_a_real_desk_is_not_made_to_panic() {
        let desk = Desk::start().await;
        let error = panic(&desk.client(), "scanner", &mut Vec::new()).await.unwrap_err().to_string();
        assert!(error.contains("404"), "{error}");
    }
}
