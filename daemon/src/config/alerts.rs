//! `[alerts]`: when operators are told that a part is down or a balance low, and that it is over.

use std::time::Duration;

use millrace_protocols::alerting::{CHANGES_MIN, Rules};

use super::layers::Layers;
use super::section::Section;

/// Who fails longer than a day before anybody is told need not be watched.
const SPAN_S: std::ops::RangeInclusive<u64> = 1..=86_400;
/// A part that runs and is restarted more often than this within [`RESTARTS_WITHIN`] is down.
const RESTARTS_MAX: usize = 5;
const RESTARTS_WITHIN: Duration = Duration::from_mins(10);

/// The `[alerts]` table. How much is too little is said where the coins are: `skycoin.low_balance_warning` and
/// `c2cx.low_balance_warning`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    /// Who fails for so long without a pause is down (`down_after_s`).
    pub down_after: Duration,
    /// Who is well for so long without a pause is up again (`up_after_s`).
    pub up_after: Duration,
    /// So many changes of one part or one balance are told in an hour at most.
    pub changes_per_hour: u32,
    /// So many percent above its threshold a low balance is restored.
    pub restored_margin_percent: u32,
}

impl Alerts {
    pub(super) fn read(layers: &mut Layers<'_>) -> Self {
        let mut section = Section::new(layers, "alerts");
        let changes_min = u32::try_from(CHANGES_MIN).expect("a few changes are few");
        Self {
            down_after: section.seconds("down_after_s", SPAN_S, 60),
            up_after: section.seconds("up_after_s", SPAN_S, 60),
            changes_per_hour: section.within("changes_per_hour", changes_min..=1_000, 6),
            restored_margin_percent: section.within("restored_margin_percent", 0..=1_000, 10),
        }
    }

    /// The same as rules.
    pub fn rules(&self) -> Rules {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Rules {
            down_after_ms: ms(self.down_after),
            up_after_ms: ms(self.up_after),
            restarts_max: RESTARTS_MAX,
            restarts_within_ms: ms(RESTARTS_WITHIN),
            changes_max: usize::try_from(self.changes_per_hour).unwrap_or(usize::MAX),
            margin_percent: self.restored_margin_percent,
        }
    }
}
