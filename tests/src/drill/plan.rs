//! What a drill does, and how often.

use std::fmt;
use std::time::Duration;

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `kill -9` of the whole desk.
    Kill,
    /// `kill -9` of its core, which its front starts again.
    KillCore,
    /// `kill -9` at the n-th system call of a kind.
    KillCall,
    /// SIGSTOP, and SIGCONT after a while.
    Stop,
    /// A second desk on the same data, half of the time while the first is stopped.
    Second,
    /// What was not flushed is gone.
    Power,
    /// No room on the disk.
    Full,
    /// The disk is read-only.
    ReadOnly,
    /// Flushes fail.
    Eio,
    /// The clock jumps.
    Clock,
    /// Node and exchange are dead, late, cut and garbled.
    Peers,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Kill,
        Self::KillCore,
        Self::KillCall,
        Self::Stop,
        Self::Second,
        Self::Power,
        Self::Full,
        Self::ReadOnly,
        Self::Eio,
        Self::Clock,
        Self::Peers,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillCore => "core",
            Self::KillCall => "call",
            Self::Stop => "stop",
            Self::Second => "second",
            Self::Power => "power",
            Self::Full => "full",
            Self::ReadOnly => "readonly",
            Self::Eio => "eio",
            Self::Clock => "clock",
            Self::Peers => "peers",
        }
    }

    /// How many of a thousand kills' worth of troubles are of this kind; the kills themselves are a thousand.
    fn per_thousand_kills(self) -> u32 {
        match self {
            Self::Kill => 500,
            Self::KillCore => 300,
            Self::KillCall => 200,
            Self::Stop | Self::Peers => 80,
            Self::Power => 30,
            Self::Second | Self::Eio => 15,
            Self::Full | Self::ReadOnly | Self::Clock => 10,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A drill.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What chance is drawn from.
    pub seed: u64,
    /// How often each kind of trouble comes.
    pub troubles: Vec<(Kind, u32)>,
    /// How many events are in the log before the first trouble, about.
    pub events: usize,
    /// After so many troubles everything has to come to rest, and is judged.
    pub judged_every: usize,
    /// How often the recovery after a kill is measured; at least once.
    pub recoveries: u32,
    /// What the page at `/` is promised.
    pub page_within: Duration,
    /// How long it may take from a kill to the first progress.
    pub recovers_within: Duration,
}

impl Plan {
    /// A drill with about so many kills, and as many of everything else as goes with them, each kind at least once.
    pub fn with_kills(seed: u64, kills: u32) -> Self {
        let often = |kind: Kind| (kind.per_thousand_kills() * kills / 1_000).max(1);
        Self {
            seed,
            troubles: Kind::ALL.map(|kind| (kind, often(kind))).to_vec(),
            events: 0,
            judged_every: 100,
            recoveries: 10,
            page_within: Duration::from_secs(1),
            recovers_within: Duration::from_secs(2),
        }
    }

    /// How often this kind comes.
    pub fn count(&mut self, kind: Kind, count: u32) {
        self.troubles.retain(|(planned, _)| *planned != kind);
        self.troubles.push((kind, count));
    }
}
