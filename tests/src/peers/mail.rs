//! A real mail server: aiosmtpd, which reads each letter with Python's own `email` and writes down what it found.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::program::Program;
use super::{Missing, folder, or_skip};

/// How long it may take to be there, and a letter to arrive.
const SOON: Duration = Duration::from_secs(30);

/// How the server wants to be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// In clear, by anybody.
    None,
    /// After STARTTLS, by the account.
    StartTls,
    /// From the first byte, by the account.
    Tls,
}

/// The running server.
#[derive(Debug)]
pub struct MailServer {
    program: Program,
    /// Where it listens on this machine.
    pub port: u16,
}

impl MailServer {
    /// `None` when it is not installed and nobody requires it. An encrypted one has this certificate and key, both PEM.
    pub async fn start(encryption: Encryption, certificate: &str, key: &str) -> Result<Option<Self>> {
        let Some(python) = installed() else { return Ok(None) };
        let mut program = Program::start("aiosmtpd", |folder| command(&python, folder, encryption, certificate, key))?;
        let port = |line: &str| line.strip_prefix("listening ").and_then(|port| port.parse().ok());
        let port = program.wait_for(SOON, port).await?;
        Ok(Some(Self { program, port }))
    }

    /// The letter of this number, from 0, once it has arrived.
    pub async fn letter(&mut self, number: usize) -> Result<Value> {
        let seen = std::cell::Cell::new(0);
        let line = self.program.wait_for(SOON, |line| {
            let letter = line.strip_prefix("letter ");
            // The output is looked through from its beginning each time.
            if line.starts_with("listening ") {
                seen.set(0);
            }
            let is_it = letter.is_some() && seen.replace(seen.get() + usize::from(letter.is_some())) == number;
            letter.filter(|_| is_it).map(str::to_owned)
        });
        serde_json::from_str(&line.await?).context("a letter is written down as JSON")
    }
}

fn installed() -> Option<PathBuf> {
    let python = folder().join("venv/bin/python");
    let is_there = python.is_file() && folder().join("venv/bin/aiosmtpd").is_file();
    or_skip(if is_there { Ok(python) } else { Err(Missing { program: "aiosmtpd (PyPI)" }) })
}

fn command(python: &Path, folder_of_run: &Path, encryption: Encryption, certificate: &str, key: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(folder().join("mail_server.py"));
    if encryption != Encryption::None {
        let paths = [("--certificate", "certificate.pem", certificate), ("--key", "key.pem", key)];
        for (option, name, text) in paths {
            let path = folder_of_run.join(name);
            std::fs::write(&path, text).expect("a fresh folder can be written to");
            command.arg(option).arg(path);
        }
    }
    if encryption == Encryption::StartTls {
        command.arg("--starttls");
    }
    command
}
