//! The job's program for a test: runs of `millrace notify --once` against a desk, as cron would start them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::desk::{Desk, program};

/// What signs for every sink.
pub const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A job as it is configured: by variables alone, as a function of a cloud is.
#[derive(Debug)]
pub struct Job {
    folder: TempDir,
    variables: BTreeMap<String, String>,
}

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: Option<i32>,
    /// The summary; null when there is none.
    pub summary: Value,
    /// What it said besides.
    pub said: String,
}

impl Ran {
    /// How a sink stands, and how many notifications it was told.
    pub fn sink(&self, name: &str) -> Result<(&str, u64)> {
        let report = self.report(name)?;
        let stands = report["stands"].as_str().context("a word")?;
        Ok((stands, report["delivered"].as_u64().context("a number")?))
    }

    /// What is said of a sink.
    pub fn report(&self, name: &str) -> Result<&Value> {
        let sinks = self.summary["sinks"].as_array().with_context(|| format!("a summary: {self:?}"))?;
        sinks.iter().find(|sink| sink["sink"] == name).with_context(|| format!("{name} in {sinks:?}"))
    }
}

impl Job {
    /// One that reads this desk and keeps its places in a file of SQLite.
    pub fn of(desk: &Desk) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data_dir = desk.data_dir();
        let address = std::fs::read_to_string(data_dir.join("operator.address"))?;
        let mut job = Self { folder, variables: BTreeMap::new() };
        job.set("JOB__SOURCE", &format!("http://{}", address.trim()));
        job.set("JOB__TOKEN_FILE", &data_dir.join("operator.token").display().to_string());
        job.set("JOB__DATABASE", &format!("sqlite:{}", job.database().display()));
        // The receivers of these tests are on this machine.
        job.set("SANDBOX__ENABLED", "true");
        job.set("DESK__DATA_DIR", &job.folder.path().join("none").display().to_string());
        Ok(job)
    }

    /// Sets a variable, without its `MILLRACE_`.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(format!("MILLRACE_{name}"), value.to_owned());
    }

    /// Adds a sink that hears of everything there is.
    pub fn add(&mut self, name: &str, url: &str) {
        let upper = name.to_ascii_uppercase();
        self.set(&format!("JOB__SINKS__{upper}__TO"), url);
        self.set(&format!("JOB__SINKS__{upper}__SECRET"), SECRET);
        self.set(&format!("JOB__SINKS__{upper}__BEGIN"), "beginning");
    }

    /// The file of its places.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("job.db")
    }

    /// Its folder, which nothing else is in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a run and does not wait for it.
    pub fn start(&self, more: &[&str]) -> Result<Child> {
        let mut command = Command::new(program()?);
        command.args(["notify", "--once"]).args(more).envs(&self.variables).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(command.spawn()?)
    }

    /// Makes a run.
    pub async fn run(&self, more: &[&str]) -> Result<Ran> {
        let output = self.start(more)?.wait_with_output().await?;
        let said = String::from_utf8(output.stderr)?;
        let lines = String::from_utf8(output.stdout)?;
        let summary = match lines.lines().collect::<Vec<_>>()[..] {
            [] => Value::Null,
            [line] => serde_json::from_str(line)?,
            _ => anyhow::bail!("more than a line on standard output: {lines}"),
        };
        Ok(Ran { code: output.status.code(), summary, said })
    }

    /// What time does to the leases of a run that was killed: they end.
    pub fn end_leases(&self) -> Result<()> {
        let database = rusqlite::Connection::open(self.database())?;
        database.execute("UPDATE millrace_job_sinks SET lease_until_ms = 1 WHERE lease_owner IS NOT NULL", [])?;
        Ok(())
    }

    /// What it does to what waits to be sent again: its time comes.
    pub fn end_waiting(&self) -> Result<()> {
        let database = rusqlite::Connection::open(self.database())?;
        database.execute("UPDATE millrace_job_sinks SET not_before_ms = 0", [])?;
        Ok(())
    }
}
