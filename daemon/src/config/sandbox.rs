//! `[sandbox]`: the stand-ins for nodes and exchange that run when none are configured.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Purpose;
use super::layers::Layers;
use super::section::Section;

/// The settings any of which means that a real outside world is configured.
const REAL: [(&str, &str); 3] = [("bitcoin", "url"), ("skycoin", "url"), ("c2cx", "url")];

/// The `[sandbox]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// Whether the desk runs against the sandbox: so unless a node or the exchange is configured.
    pub enabled: bool,
    /// Where it keeps its chains, wallet, orders and books.
    pub dir: PathBuf,
    /// How long between two Bitcoin blocks (`bitcoin_block_ms`).
    pub bitcoin_block: Duration,
    /// How long between two Skycoin blocks (`skycoin_block_ms`).
    pub skycoin_block: Duration,
}

impl Sandbox {
    /// Whether the sandbox is on, before anything else is read: other defaults depend on it.
    /// A job that names its desk is not in the sandbox unless that is said: what it may do there nobody else may.
    pub(super) fn read_enabled(layers: &mut Layers<'_>, purpose: Purpose) -> bool {
        let nothing_real = !REAL.iter().any(|(section, key)| layers.is_set(section, key));
        let is_elsewhere = purpose == Purpose::Job && layers.is_set("job", "source");
        Section::new(layers, "sandbox").value("enabled", nothing_real && !is_elsewhere)
    }

    pub(super) fn read(layers: &mut Layers<'_>, enabled: bool, data_dir: &Path) -> Self {
        let mut section = Section::new(layers, "sandbox");
        Self {
            enabled,
            dir: section.path("dir", Some(data_dir.join("sandbox"))).unwrap_or_default(),
            bitcoin_block: section.millis("bitcoin_block_ms", 10..=86_400_000, 5_000),
            skycoin_block: section.millis("skycoin_block_ms", 10..=86_400_000, 2_000),
        }
    }

    /// The real things that are configured although the sandbox is on.
    pub(super) fn contradictions(layers: &Layers<'_>) -> impl Iterator<Item = (&'static str, &'static str)> {
        REAL.into_iter().filter(|(section, key)| layers.is_set(section, key))
    }
}
