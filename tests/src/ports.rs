//! Ports for a sandbox that starts again where it was: nobody else gets them between a stop and a start.

use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context, Result};
use millrace_daemon::sandbox::process::Ports;

/// Below the range from which the system gives ports to clients and to whoever asks for any.
const FIRST: u16 = 22_000;
const BLOCKS: u16 = 2_000;
const PORTS_EACH: u16 = 4;
/// Whoever listens there holds the port of that number for itself; the sandbox is at another address of the same machine.
const CLAIMED_AT: &str = "127.0.0.3";
const SANDBOX_AT: &str = "127.0.0.1";

/// Four ports that no other test takes as long as this lives.
#[derive(Debug)]
pub struct OwnPorts {
    first: u16,
    _claims: Vec<TcpListener>,
}

impl OwnPorts {
    /// Claims some that nobody uses.
    pub fn claim() -> Result<Self> {
        // Tests that start at the same moment begin to look in different places.
        let from = u16::try_from(std::process::id() % u32::from(BLOCKS))?;
        let blocks = (0..BLOCKS).map(|block| FIRST + PORTS_EACH * ((from + block) % BLOCKS));
        blocks.map(Self::try_claim).find_map(Result::ok).context("all of the ports for tests are taken")
    }

    fn try_claim(first: u16) -> std::io::Result<Self> {
        let ports = first..first + PORTS_EACH;
        let claims = ports.clone().map(|port| TcpListener::bind((CLAIMED_AT, port))).collect::<Result<_, _>>()?;
        for port in ports {
            TcpListener::bind((SANDBOX_AT, port))?;
        }
        Ok(Self { first, _claims: claims })
    }

    /// For a sandbox.
    pub fn ports(&self) -> Ports {
        let Self { first, .. } = self;
        Ports { control: *first, bitcoin: first + 1, skycoin: first + 2, c2cx: first + 3 }
    }

    /// Has the sandbox of a desk with this data folder start there.
    pub fn prepare(&self, data_dir: &Path) -> Result<()> {
        let sandbox = data_dir.join("sandbox");
        std::fs::create_dir_all(&sandbox)?;
        Ok(std::fs::write(sandbox.join("ports.json"), serde_json::to_vec(&self.ports())?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_given_what_another_holds() {
        let held = OwnPorts::claim().unwrap();
        assert!(OwnPorts::try_claim(held.first).is_err());
        assert_ne!(OwnPorts::claim().unwrap().first, held.first);
        let first = held.first;
        drop(held);
        OwnPorts::try_claim(first).unwrap();
    }
}
