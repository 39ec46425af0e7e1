//! A sandbox as a process of its own, before any desk and longer than all of them; it ends when the value is dropped.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use millrace_daemon::sandbox::client::Client;
use millrace_daemon::sandbox::info::Info;
use serde_json::Value;

use crate::desk::program;
use crate::peers::program::Program;

const STARTED_WITHIN: Duration = Duration::from_secs(60);

/// A sandbox whose blocks come when they are asked for, or as `timing` says.
#[derive(Debug)]
pub struct Sandbox {
    /// Where it is.
    pub info: Info,
    /// Steers it.
    pub client: Client,
    program: Program,
}

/// When things happen by themselves in the sandbox, in milliseconds; 0 for on demand only.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timing {
    /// Between two Bitcoin blocks.
    pub bitcoin_block_ms: u64,
    /// Between two Skycoin blocks.
    pub skycoin_block_ms: u64,
    /// Between two movements of the market.
    pub market_step_ms: u64,
}

impl Sandbox {
    /// Starts one in a folder.
    pub async fn start(dir: &Path, timing: Timing) -> Result<Self> {
        Self::start_with(dir, timing, &[]).await
    }

    /// The same with further arguments.
    pub async fn start_with(dir: &Path, timing: Timing, arguments: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let path = program()?;
        let mut program = Program::start("the sandbox", |_| {
            let mut command = Command::new(path);
            command.args(["sandbox", "run", "--dir"]).arg(dir).args(arguments);
            for (flag, ms) in [
                ("--bitcoin-block-ms", timing.bitcoin_block_ms),
                ("--skycoin-block-ms", timing.skycoin_block_ms),
                ("--market-step-ms", timing.market_step_ms),
            ] {
                command.arg(flag).arg(ms.to_string());
            }
            command
        })?;
        let info = program.wait_for(STARTED_WITHIN, |_| Info::read(dir)).await?;
        Ok(Self { client: Client::new(&info)?, info, program })
    }

    /// What really happened.
    pub async fn books(&self) -> Result<Value> {
        Ok(self.client.get("/books").await?)
    }

    /// Its process.
    pub fn process_id(&self) -> u32 {
        self.program.process_id()
    }
}
