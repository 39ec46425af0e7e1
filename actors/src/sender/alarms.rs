//! What the sender lives with, as a person sees it in the part's health.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use millrace_model::ids::DepositId;

use crate::supervision::{Alarm, Reporter};

/// Something that is wrong with some deposits: shown is the oldest of them and how many more there are.
pub(super) struct DepositAlarm {
    alarm: Alarm,
    deposits: Mutex<BTreeMap<DepositId, String>>,
}

impl DepositAlarm {
    pub(super) fn new(kind: &'static str, report: Reporter) -> Self {
        Self { alarm: Alarm::new(kind, report), deposits: Mutex::default() }
    }

    pub(super) fn raise(&self, id: DepositId, text: String) {
        let mut deposits = self.deposits();
        if deposits.get(&id) != Some(&text) {
            deposits.insert(id, text);
            self.show(&deposits);
        }
    }

    pub(super) fn clear(&self, id: DepositId) {
        let mut deposits = self.deposits();
        if deposits.remove(&id).is_some() {
            self.show(&deposits);
        }
    }

    fn show(&self, deposits: &BTreeMap<DepositId, String>) {
        let Some((id, text)) = deposits.first_key_value() else { return self.alarm.clear() };
        match deposits.len() - 1 {
            0 => self.alarm.raise(format!("{text} (deposit {id})")),
            more => self.alarm.raise(format!("{text} (deposit {id}, and {more} more wait)")),
        }
    }

    fn deposits(&self) -> MutexGuard<'_, BTreeMap<DepositId, String>> {
        self.deposits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
