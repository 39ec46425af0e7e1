//! The real desk of a benchmark, ended when the value is dropped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::ensure;
use millrace_daemon::web::address;
use serde_json::Value;

use super::http::Connection;
use crate::desk::program;
use crate::peers::program::Program;
use crate::process;

const STARTED_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks at something that is measured in milliseconds.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// A desk: the program as its operator starts it.
pub(super) struct RealDesk {
    program: Program,
    data_dir: PathBuf,
    /// The customers' face.
    pub public: SocketAddr,
    operator: SocketAddr,
    /// From the start of the process until `/readyz` said so.
    pub ready_after: Duration,
    /// From the start of the process until customers were served.
    pub serving_after: Duration,
}

impl RealDesk {
    /// Starts a desk on this data folder; `settings` are environment variables.
    pub(super) async fn start(data_dir: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let path = program()?;
        address::withdraw(data_dir);
        let begin = Instant::now();
        let mut program = Program::start("the desk", |_| {
            let mut command = Command::new(path);
            command.arg("run").env("MILLRACE_DESK__DATA_DIR", data_dir).env("MILLRACE_DESK__LOG_FORMAT", "json");
            command.env("MILLRACE_PUBLIC__LISTEN", "127.0.0.1:0").env("MILLRACE_OPERATOR__LISTEN", "127.0.0.2:0");
            command.env("MILLRACE_PUBLIC__BIND_PER_MINUTE", "0").env("MILLRACE_PUBLIC__READ_PER_MINUTE", "0");
            command.envs(settings.iter().copied());
            command
        })?;
        let operator = ready(data_dir, begin).await?;
        let ready_after = begin.elapsed();
        let public = program.wait_for(STARTED_WITHIN, page).await?;
        serves_customers(public).await?;
        let serving_after = begin.elapsed();
        Ok(Self { program, data_dir: data_dir.to_owned(), public, operator, ready_after, serving_after })
    }

    /// A connection to the customers' face.
    pub(super) async fn public(&self) -> anyhow::Result<Connection> {
        Connection::open(self.public).await
    }

    /// A connection to the operator's face.
    pub(super) async fn operator(&self) -> anyhow::Result<Connection> {
        let token = std::fs::read_to_string(self.data_dir.join("operator.token"))?;
        Ok(Connection::open(self.operator).await?.with_token(&token))
    }

    /// Where the console is, without a slash at its end.
    pub(super) fn console(&self) -> String {
        format!("http://{}/console", self.operator)
    }

    /// The first operator's password.
    pub(super) fn password(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.data_dir.join("operator.password"))?.trim().to_owned())
    }

    /// A connection of an operator who has logged in.
    pub(super) async fn console_connection(&self) -> anyhow::Result<Connection> {
        Connection::open(self.operator).await?.logged_in("operator", &self.password()?).await
    }

    /// What the front and the core have used of the processors so far.
    pub(super) fn processor_time(&self) -> anyhow::Result<Duration> {
        let front = self.program.process_id();
        let processes = process::children_of(front)?.into_iter().chain([front]);
        processes.map(process::processor_time).sum()
    }

    /// The memory that is in use, in MiB: the front's and the core's.
    pub(super) fn resident_mib(&self) -> anyhow::Result<f64> {
        let front = self.program.process_id();
        let processes = process::children_of(front)?.into_iter().chain([front]);
        processes.map(process::resident_mib).sum()
    }
}

/// Waits until the desk says that it is ready; where its operator's face is.
async fn ready(data_dir: &Path, begin: Instant) -> anyhow::Result<SocketAddr> {
    while begin.elapsed() < STARTED_WITHIN {
        if let Some(operator) = address::find(data_dir)
            && let Ok(mut connection) = Connection::open(operator).await
            && connection.get("/readyz").await.is_ok_and(|answer| answer.status.is_success())
        {
            return Ok(operator);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    anyhow::bail!("the desk is not ready within {STARTED_WITHIN:?}")
}

/// The customers' face is there a moment after the desk is ready: it waits for the outside world's addresses.
async fn serves_customers(public: SocketAddr) -> anyhow::Result<()> {
    let begin = Instant::now();
    // A connection each: one that the front took is closed with its answer.
    while !is_served(public).await {
        ensure!(begin.elapsed() < STARTED_WITHIN, "customers are not served within {STARTED_WITHIN:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn is_served(public: SocketAddr) -> bool {
    let Ok(mut connection) = Connection::open(public).await else { return false };
    connection.get("/api/config").await.is_ok_and(|answer| answer.status.is_success())
}

fn page(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    line["page"].as_str()?.trim_start_matches("http://").trim_end_matches('/').parse().ok()
}
