//! The program run for one command, without any desk.

use std::process::Stdio;

use anyhow::Result;
use serde_json::Value;

use crate::desk::program;

/// Runs it; gives back its exit code and what it said on either stream.
pub async fn said(arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
    let mut command = tokio::process::Command::new(program()?);
    let output = command.args(arguments).stdin(Stdio::null()).output().await?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes);
    Ok((output.status.code(), text(output.stdout)?, text(output.stderr)?))
}

/// JSON for a program: a value a line.
pub fn json_lines(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
