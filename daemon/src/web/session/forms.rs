//! The forms that were submitted lately, so that a double click does nothing twice.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Forms remembered at once; the oldest go first.
const FORMS_MAX: usize = 1_000;
/// A second click comes sooner.
const REMEMBERED: Duration = Duration::from_secs(600);

/// A form as one session submitted it: the same id in another session is another form.
pub(super) type FormKey = (String, Uuid);

/// What became of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is being carried out, or was and leads nowhere, or nobody knows what came of it.
    Begun,
    /// It was carried out, and the browser was sent there.
    Done(String),
}

/// The memory.
#[derive(Debug, Default)]
pub(super) struct Forms(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    fates: HashMap<FormKey, Fate>,
    order: VecDeque<(DateTime<Utc>, FormKey)>,
}

impl Forms {
    /// Takes the form, unless it was taken before.
    pub(super) fn begin(&self, key: &FormKey, now: DateTime<Utc>) -> Result<(), Fate> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.forget(now);
        if let Some(fate) = memory.fates.get(key) {
            return Err(fate.clone());
        }
        memory.fates.insert(key.clone(), Fate::Begun);
        memory.order.push_back((now, key.clone()));
        Ok(())
    }

    /// It was carried out.
    pub(super) fn done(&self, key: &FormKey, location: &str) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fate) = memory.fates.get_mut(key) {
            *fate = Fate::Done(location.to_owned());
        }
    }

    /// It was refused and nothing was done: it may be corrected and come again.
    pub(super) fn refused(&self, key: &FormKey) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.fates.remove(key);
        memory.order.retain(|(_, other)| other != key);
    }
}

impl Memory {
    fn forget(&mut self, now: DateTime<Utc>) {
        let is_over = |at: DateTime<Utc>| (now - at).to_std().is_ok_and(|age| age > REMEMBERED);
        while self.order.len() >= FORMS_MAX || self.order.front().is_some_and(|(at, _)| is_over(*at)) {
            if let Some((_, key)) = self.order.pop_front() {
                self.fates.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u128) -> FormKey {
        ("a session".to_owned(), Uuid::from_u128(number))
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn a_form_is_taken_once_and_its_second_click_is_told_where_the_first_led() {
        let forms = Forms::default();
        forms.begin(&key(1), at(0)).unwrap();
        assert_eq!(forms.begin(&key(1), at(1)), Err(Fate::Begun));
        forms.done(&key(1), "/console/deposits");
        assert_eq!(forms.begin(&key(1), at(600)), Err(Fate::Done("/console/deposits".to_owned())));
        forms.begin(&("another session".to_owned(), key(1).1), at(1)).unwrap();
        forms.begin(&key(1), at(601)).unwrap();
    }

    #[test]
    fn a_form_that_was_refused_may_come_again() {
        let forms = Forms::default();
        forms.begin(&key(1), at(0)).unwrap();
        forms.refused(&key(1));
        forms.begin(&key(1), at(0)).unwrap();
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let forms = Forms::default();
        for number in 0..2_000 {
            forms.begin(&key(number), at(0)).unwrap();
        }
        assert_eq!(forms.0.lock().unwrap().fates.len(), FORMS_MAX);
        assert!(forms.begin(&key(1_999), at(0)).is_err());
        forms.begin(&key(0), at(0)).unwrap();
    }
}
