//! The Standard Webhooks libraries, as receivers use them: whether they believe what is signed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{Missing, folder, or_skip};

/// How long it may take over all cases.
const DEADLINE: Duration = Duration::from_secs(60);

/// Something that was received, and the secret to verify it with.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    /// `whsec_` and so on.
    pub secret: String,
    /// The three headers.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// An installed library, with the script around it.
#[derive(Debug, Clone)]
pub struct Library {
    /// Which, for a person.
    pub name: &'static str,
    program: PathBuf,
    script: PathBuf,
}

impl Library {
    /// PyPI's `standardwebhooks`. `None` when it is not installed and nobody requires it.
    pub fn python() -> Option<Self> {
        let program = folder().join("venv/bin/python");
        let packages = std::fs::read_dir(folder().join("venv/lib")).into_iter().flatten().flatten();
        let is_there =
            packages.map(|version| version.path().join("site-packages/standardwebhooks")).any(|path| path.is_dir());
        let name = "standardwebhooks (PyPI)";
        let found = if is_there && program.is_file() { Ok(program) } else { Err(Missing { program: name }) };
        or_skip(found).map(|program| Self { name, program, script: folder().join("verify.py") })
    }

    /// npm's `standardwebhooks`. `None` when it is not installed and nobody requires it.
    pub fn javascript() -> Option<Self> {
        let name = "standardwebhooks (npm)";
        let is_there = folder().join("node_modules/standardwebhooks").is_dir();
        let found = if is_there { Ok(PathBuf::from("node")) } else { Err(Missing { program: name }) };
        or_skip(found).map(|program| Self { name, program, script: folder().join("verify.mjs") })
    }

    /// For each case nothing when it is believed, else why not.
    pub async fn verify(&self, cases: &[Case]) -> Result<Vec<Option<String>>> {
        let mut process = Command::new(&self.program)
            .arg(&self.script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", self.name))?;
        let mut input = process.stdin.take().context("its input is a pipe")?;
        input.write_all(&serde_json::to_vec(cases)?).await?;
        drop(input);
        let output = tokio::time::timeout(DEADLINE, process.wait_with_output()).await;
        let output = output.with_context(|| format!("{} takes too long", self.name))??;
        ensure!(output.status.success(), "{}: {}", self.name, String::from_utf8_lossy(&output.stderr));
        let found: Vec<_> = serde_json::from_slice(&output.stdout)?;
        ensure!(found.len() == cases.len(), "{} judged {} of {} cases", self.name, found.len(), cases.len());
        Ok(found)
    }
}
