//! Which deposits the work panics on. A panic ends an incarnation, and the next one begins with the same deposit; so one that
//! is to blame for several is left alone from then on, and the others go on.
//!
//! What is known here lives as long as the process: a version that does not panic on it finds it as it is in the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millrace_model::ids::DepositId;

use crate::supervision::Reporter;

/// The condition's kind.
pub(super) const CONDITION: &str = "set_aside";
/// A deposit is set aside after so many panics; the first may be somebody else's fault.
pub(super) const PANICS_MAX: u32 = 3;

/// The panics of a part, over all its incarnations. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Blame(Arc<Mutex<BTreeMap<DepositId, u32>>>);

impl Blame {
    /// The work on this deposit panicked.
    pub(super) fn panicked(&self, id: DepositId) {
        let panics = {
            let mut blamed = self.lock();
            let panics = blamed.entry(id).or_default();
            *panics += 1;
            *panics
        };
        if panics == PANICS_MAX {
            tracing::error!(deposit = %id, panics, "the work on this deposit panics again and again; it is set aside");
        }
    }

    /// Whether this deposit is left alone.
    pub(super) fn sets_aside(&self, id: DepositId) -> bool {
        self.lock().get(&id).is_some_and(|panics| *panics >= PANICS_MAX)
    }

    /// Says who is left alone.
    pub(super) fn tell(&self, report: &Reporter) {
        let blamed = self.lock();
        let mut aside = blamed.iter().filter(|(_, panics)| **panics >= PANICS_MAX).map(|(id, _)| id);
        let Some(first) = aside.next() else { return };
        let others = match aside.count() {
            0 => String::new(),
            others => format!(" (and {others} more)"),
        };
        report.set(
            CONDITION,
            format!("deposit {first}{others} is set aside: the work on it panicked {PANICS_MAX} times"),
        );
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DepositId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
