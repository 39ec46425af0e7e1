//! Groups of parts: how their members depend on each other, and how many failures a group bears.

use std::time::Duration;

use serde::Serialize;

use super::policy::Intensity;

/// What the end of one member means for the others. A member that is stopped by hand ends like one that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Nothing: each is restarted on its own.
    OneForOne,
    /// All are stopped, the last first, and started again in order.
    OneForAll,
    /// Those added after it are stopped, the last first, and started again in order once it is up.
    RestForOne,
}

/// A group as it is added to the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// How its members depend on each other.
    pub strategy: Strategy,
    /// How many members may give up before the group does.
    pub intensity: Intensity,
}

impl Group {
    /// A group that bears three members giving up in ten minutes.
    ///
    /// A part gives up after its own intensity, which takes its back-off a while, so the window is a wide one.
    pub const fn new(strategy: Strategy) -> Self {
        Self { strategy, intensity: Intensity { restarts_max: 3, window: Duration::from_secs(600) } }
    }
}
