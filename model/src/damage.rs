//! Damage: a place at which a log is not what was stored.
//!
//! An event that this version cannot read is none, as long as it is what was stored.

use serde::{Deserialize, Serialize};

use crate::ids::Position;

/// What is wrong with a log, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Damage {
    /// An event or its command is not what was stored.
    #[error("position {position} is not what was stored there")]
    Changed {
        /// Where its hash does not fit.
        position: Position,
    },
    /// An event is missing, and perhaps those after it.
    #[error("position {position} is missing")]
    Missing {
        /// The first position that is not there.
        position: Position,
    },
    /// A sealed part, which repeats events, is not what was made of them.
    #[error("the segment that begins at position {position} is not what was sealed there")]
    Segment {
        /// Its first position.
        position: Position,
    },
}
