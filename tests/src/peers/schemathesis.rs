//! schemathesis: reads a face's `/openapi.json`, thinks of requests that it allows and of some that it does not, and holds
//! every answer against it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::{Missing, folder, or_skip};

/// How long it may ask. Usually it takes a quarter of this.
const DEADLINE: Duration = Duration::from_secs(240);

/// The installed program.
#[derive(Debug, Clone)]
pub struct Schemathesis {
    program: PathBuf,
}

impl Schemathesis {
    /// `None` when it is not installed and nobody requires it.
    pub fn installed() -> Option<Self> {
        let program = folder().join("venv/bin/schemathesis");
        let found = if program.is_file() { Ok(program) } else { Err(Missing { program: "schemathesis (PyPI)" }) };
        or_skip(found).map(|program| Self { program })
    }

    /// Asks a face whatever it says it can be asked; fails with all that is not as it says.
    pub async fn ask(&self, address: &str, token: &str) -> Result<()> {
        // It keeps what it found in the folder it runs in.
        let folder_of_run = tempfile::tempdir()?;
        let run = Command::new(&self.program)
            .arg("--config-file")
            .arg(folder().join("schemathesis.toml"))
            .args(["run", "--no-color", &format!("{}/openapi.json", address.trim_end_matches('/'))])
            .env("MILLRACE_TOKEN", token)
            .current_dir(folder_of_run.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(DEADLINE, run).await.context("schemathesis takes too long")??;
        let said = String::from_utf8_lossy(&output.stdout);
        let failures =
            said.split_once("= FAILURES =").or(said.split_once("= ERRORS =")).map_or(&*said, |(_, rest)| rest);
        ensure!(output.status.success(), "{address}: {failures}\n{}", String::from_utf8_lossy(&output.stderr));
        // A document nobody could read would be found to hold as well.
        ensure!(said.contains(" generated"), "{address}: nothing was asked: {said}");
        Ok(())
    }
}
