//! One started program: its output in a file of its own temporary folder, ended when the value is dropped.
//!
//! Ends only the process it started, by its own handle. Programs that read their standard input also end when the
//! test process is killed, since that closes it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// How often the output is looked at while waiting for a line.
const POLL: Duration = Duration::from_millis(20);
/// How much of the output an error shows.
const TAIL_LINES: usize = 30;

/// A running program. Dropping it kills the process, waits for it and deletes its folder.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    child: Child,
    folder: TempDir,
}

impl Program {
    /// Starts what `command` makes of a new empty folder. Standard output and error go to one file there.
    pub fn start(name: &'static str, command: impl FnOnce(&Path) -> Command) -> Result<Self> {
        let folder = tempfile::tempdir().with_context(|| format!("no folder for {name}"))?;
        let output = File::create(folder.path().join("output"))?;
        let child = command(folder.path())
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        Ok(Self { name, child, folder })
    }

    /// The program's temporary folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The id of its process, for stopping and continuing it.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `find` gives something for a line of the output. Fails when the program ends first, or after
    /// `deadline`, with the end of the output.
    pub async fn wait_for<T>(&mut self, deadline: Duration, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let search = async {
            loop {
                // Asked before the output is read, so that the last words of an ended program are still found.
                let ended = self.child.try_wait()?;
                if let Some(found) = self.output().lines().find_map(&find) {
                    return Ok(found);
                }
                if let Some(status) = ended {
                    bail!("{} ended ({status}) after saying:\n{}", self.name, self.tail());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        match tokio::time::timeout(deadline, search).await {
            Ok(found) => found,
            Err(_) => bail!("{} is not ready after {deadline:?}; it said:\n{}", self.name, self.tail()),
        }
    }

    /// All it said so far.
    pub fn output(&self) -> String {
        let bytes = fs::read(self.folder.path().join("output")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only when the process has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
