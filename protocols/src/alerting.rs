//! When operators are told that a part is down or up again, and that a balance is low or restored.
//!
//! An IO-free machine: it is shown what is seen, at the time of seeing, and answers with the alert that is due. It takes an
//! alert for told only when it is told so ([`Watch::told`]), which is also how it learns what the log says: so what could not
//! be stored is due again at the next look, and a restart goes on where the log is.
//!
//! What flickers is told seldom. Down is who failed without a pause for a while, or was restarted too often; up is who was
//! well without a pause for a while. In an hour there are so many changes of each at most, and the last of them is a down: who
//! goes on changing counts as down until the hour has room for an up. A low balance is restored only when it is above the
//! threshold by a margin.
//!
//! Not responsible for what is seen of a part, nor for storing. Times are in milliseconds since 1970.

mod changes;
mod part;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::DateTime;
use millrace_model::alert::{Alert, BalanceLow, BalanceRestored, PartDown, PartUp};
use millrace_model::desk::Place;
use millrace_model::ledger::Ticker;

use changes::Changes;
use part::Part;

/// What holds in an hour.
pub const HOUR_MS: u64 = 3_600_000;
/// With fewer changes in an hour a part that is up again could not be told to be.
pub const CHANGES_MIN: usize = 3;
/// The longest name of a part that is watched, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// So many parts are watched at most; those beyond are not.
pub const PARTS_MAX: usize = 256;

/// When something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Who failed for so long without a pause is down.
    pub down_after_ms: u64,
    /// Who was well for so long without a pause is up.
    pub up_after_ms: u64,
    /// Who was restarted more often than this in `restarts_within_ms` is down.
    pub restarts_max: usize,
    /// The span of it.
    pub restarts_within_ms: u64,
    /// So often an hour each part and each balance changes at most, in what is told; at least [`CHANGES_MIN`].
    pub changes_max: usize,
    /// So far above its threshold a balance is restored, in percent.
    pub margin_percent: u32,
}

/// How a part does at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Well,
    /// It does not run.
    NotRunning,
    /// It does not answer.
    Unreachable,
    /// Nobody can tell: it waits for another part, an operator stopped it, or who would ask it does not run.
    Unknown,
}

/// What is seen of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'n> {
    /// Its name.
    pub part: &'n str,
    /// How it does.
    pub health: Health,
    /// How often it was restarted since counting began.
    pub restarts: u64,
}

/// What is seen of a balance, in smallest units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Where.
    pub place: Place,
    /// Of which coin.
    pub coin: Ticker,
    /// How much is there.
    pub units: u64,
    /// With less than this it is low; with 0 it never is.
    pub threshold: u64,
}

/// What was seen and told of everything that is watched.
#[derive(Debug)]
pub struct Watch {
    rules: Rules,
    parts: BTreeMap<String, Part>,
    balances: BTreeMap<(Place, Ticker), Level>,
}

#[derive(Debug, Default)]
struct Level {
    is_low: bool,
    changes: Changes,
}

impl Watch {
    /// A watch that has seen nothing.
    pub fn new(rules: Rules) -> Self {
        let rules = Rules { changes_max: rules.changes_max.max(CHANGES_MIN), ..rules };
        Self { rules, parts: BTreeMap::new(), balances: BTreeMap::new() }
    }

    /// An alert was told at this time: it is in the log.
    pub fn told(&mut self, alert: &Alert, at_ms: u64) {
        let max = self.rules.changes_max;
        match alert {
            Alert::PartDown(down) => self.part(&down.part).told(part::Told::Down, at_ms, max),
            Alert::PartUp(up) => self.part(&up.part).told(part::Told::Up, at_ms, max),
            Alert::BalanceLow(low) => self.level(low.place, low.coin).told(true, at_ms, max),
            Alert::BalanceRestored(restored) => {
                self.level(restored.place, restored.coin).told(false, at_ms, max);
            }
        }
    }

    /// The parts that were told to be down.
    pub fn parts_down(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter(|(_, part)| part.is_down()).map(|(name, _)| name.as_str())
    }

    /// Looks at a part; the alert that is due, if there is one.
    pub fn look_at_part(&mut self, seen: Seen<'_>, now_ms: u64) -> Option<Alert> {
        let is_known = self.parts.contains_key(seen.part);
        if seen.part.len() > NAME_BYTES_MAX || (!is_known && self.parts.len() >= PARTS_MAX) {
            return None;
        }
        let rules = self.rules;
        let due = self.part(seen.part).look(seen.health, seen.restarts, now_ms, &rules)?;
        let (part, since) = (seen.part.to_owned(), time(due.since_ms));
        Some(match due.reason {
            Some(reason) => Alert::PartDown(PartDown { part, since, reason }),
            None => Alert::PartUp(PartUp { part, since }),
        })
    }

    /// Looks at a balance; the alert that is due, if there is one.
    pub fn look_at_balance(&mut self, seen: Balance, now_ms: u64) -> Option<Alert> {
        let Balance { place, coin, units: balance, threshold } = seen;
        let (margin, max) = (self.rules.margin_percent, self.rules.changes_max);
        let level = self.level(place, coin);
        let enough = u128::from(threshold) * u128::from(100 + u64::from(margin));
        if !level.is_low && balance < threshold && level.changes.have_room_for_worse(now_ms, max) {
            return Some(Alert::BalanceLow(BalanceLow { place, coin, balance, threshold }));
        }
        let is_restored = u128::from(balance) * 100 >= enough;
        (level.is_low && is_restored && level.changes.have_room_for_better(now_ms, max))
            .then_some(Alert::BalanceRestored(BalanceRestored { place, coin, balance, threshold }))
    }

    fn part(&mut self, name: &str) -> &mut Part {
        self.parts.entry(name.to_owned()).or_default()
    }

    fn level(&mut self, place: Place, coin: Ticker) -> &mut Level {
        self.balances.entry((place, coin)).or_default()
    }
}

impl Level {
    fn told(&mut self, is_low: bool, at_ms: u64, changes_max: usize) {
        if self.is_low != is_low {
            self.is_low = is_low;
            // Whatever held before: one that is well has room to be told worse.
            self.changes.note(at_ms, if is_low { changes_max } else { changes_max - 1 });
        }
    }
}

/// The latest time there is for what is later than that.
fn time(ms: u64) -> DateTime<chrono::Utc> {
    i64::try_from(ms).ok().and_then(DateTime::from_timestamp_millis).unwrap_or(DateTime::<chrono::Utc>::MAX_UTC)
}
