//! Where the sandbox listens: the usual ports at first, and from then on those it had before, because whoever deals with
//! it has been told them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::info::Info;

/// The ports that are tried first. Zero is any free one at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// The control API.
    pub control: u16,
    /// The Bitcoin node.
    pub bitcoin: u16,
    /// The Skycoin node.
    pub skycoin: u16,
    /// The exchange.
    pub c2cx: u16,
}

/// What happens when the port of before is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// Any other free one will do.
    Allowed,
    /// The sandbox does not start: somebody deals with it at the ports of before.
    Refused,
}

impl Ports {
    /// Below the range from which the system gives ports to clients.
    pub const DEFAULT: Self = Self { control: 21_800, bitcoin: 21_801, skycoin: 21_802, c2cx: 21_803 };
    /// Any free ports.
    pub const ANY: Self = Self { control: 0, bitcoin: 0, skycoin: 0, c2cx: 0 };

    /// Those of the sandbox that ran in the folder before, if any did.
    pub fn of_before(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path(dir)).ok()?).ok()
    }

    /// Keeps those of a running sandbox for the next one in the folder.
    pub(super) fn remember(info: &Info, dir: &Path) -> io::Result<()> {
        let port = |url: &str| {
            let port = reqwest::Url::parse(url).ok().and_then(|url| url.port());
            port.ok_or_else(|| io::Error::other(format!("{url} has no port")))
        };
        let ports = Self {
            control: port(&info.control)?,
            bitcoin: port(&info.bitcoin.url)?,
            skycoin: port(&info.skycoin.url)?,
            c2cx: port(&info.c2cx.url)?,
        };
        fs::write(path(dir), serde_json::to_vec(&ports)?)
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("ports.json")
}
