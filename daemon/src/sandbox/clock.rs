//! The sandbox's wall clock: what its servers stamp on blocks and judge tokens by.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
#[allow(clippy::disallowed_methods, reason = "the sandbox plays the outside world, which has a clock of its own")]
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
