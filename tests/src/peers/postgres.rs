//! A PostgreSQL server of a test's own, at the port it is given, with a password. It refuses to run as root, so there it runs
//! as the user of Debian's package.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::program::Program;
use super::{Missing, or_skip};
use crate::ports::OwnPorts;

const READY_WITHIN: Duration = Duration::from_secs(60);
const PASSWORD: &str = "of the test";
/// Debian has a folder for each version here.
const VERSIONS: &str = "/usr/lib/postgresql";
const USER: &str = "postgres";

/// A server with a database `desk`.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    programs: PathBuf,
    _server: Program,
    _ports: OwnPorts,
}

/// The folder of its programs; `None` when it is not installed and nobody requires it.
pub fn installed() -> Option<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten().filter_map(Result::ok);
    let mut found = versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").is_file());
    or_skip(found.next().ok_or(Missing { program: "PostgreSQL (Debian)" }))
}

impl Postgres {
    /// Starts one; `None` when it is not installed and nobody requires it.
    pub async fn start() -> Result<Option<Self>> {
        let Some(programs) = installed() else { return Ok(None) };
        let ports = OwnPorts::claim()?;
        let port = ports.ports().bitcoin;
        let mut made = Ok(());
        let mut server = Program::start("postgres", |folder| {
            made = init(&programs, folder);
            let mut command = as_its_user(folder, &programs.join("postgres"));
            command.arg("-D").arg(folder.join("data")).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
            command.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
            command
        })?;
        made?;
        let is_ready = |line: &str| line.contains("ready to accept connections").then_some(());
        server.wait_for(READY_WITHIN, is_ready).await?;
        let server = Self { port, programs, _server: server, _ports: ports };
        server.sql("postgres", "CREATE DATABASE desk")?;
        Ok(Some(server))
    }

    /// The address of its database.
    pub fn url(&self) -> String {
        format!("postgres://desk:{}@127.0.0.1:{}/desk", PASSWORD.replace(' ', "%20"), self.port)
    }

    /// Empties its database.
    pub fn empty(&self) -> Result<()> {
        self.sql("desk", "DROP SCHEMA public CASCADE; CREATE SCHEMA public").map(drop)
    }

    /// Does this in its database, by its own client; gives back what that prints.
    pub fn execute(&self, sql: &str) -> Result<String> {
        self.sql("desk", sql)
    }

    fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let mut client = Command::new(self.programs.join("psql"));
        client.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "desk", "-d", database]);
        client.args(["-v", "ON_ERROR_STOP=1", "-qAt", "-c", sql]).env("PGPASSWORD", PASSWORD);
        let output = client.output().context("psql does not start")?;
        ensure!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

fn init(programs: &Path, folder: &Path) -> Result<()> {
    let password = folder.join("password");
    std::fs::write(&password, PASSWORD)?;
    if let Some((user, group)) = its_user(folder)? {
        chown(folder, Some(user), Some(group))?;
    }
    let mut init = as_its_user(folder, &programs.join("initdb"));
    init.arg("-D").arg(folder.join("data")).arg("--pwfile").arg(&password);
    let output = init.args(["-U", "desk", "--auth=scram-sha-256", "-N"]).output().context("initdb does not start")?;
    ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn as_its_user(folder: &Path, program: &Path) -> Command {
    match its_user(folder) {
        Ok(Some((user, group))) => {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
            command.arg("--").arg(program);
            command
        }
        _ => Command::new(program),
    }
}

/// Under root, whom the server runs as. Under anybody else it runs as he does.
fn its_user(folder: &Path) -> Result<Option<(u32, u32)>> {
    // Who owns a folder that was just made is who we are; what was given away belongs to that user already.
    let owner = std::fs::metadata(folder)?;
    if owner.uid() != 0 {
        return Ok((rustix::process::geteuid().is_root()).then_some((owner.uid(), owner.gid())));
    }
    let number = |flag: &str| -> Result<u32> {
        let output = Command::new("id").args([flag, USER]).output().context("id does not start")?;
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    };
    Ok(Some((number("-u")?, number("-g")?)))
}
