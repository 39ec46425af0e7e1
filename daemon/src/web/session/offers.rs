//! What is shown to one session alone and kept nowhere: a secret that is to be confirmed, and the recovery codes after that.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::cookie::Kept;
use super::totp::{Codes, Offer};

/// Whoever takes longer begins anew.
const SHOWN_FOR: Duration = Duration::from_secs(600);
/// Sessions that are shown something at once.
const SHOWN_MAX: usize = 64;

/// What a session is shown.
enum Shown {
    Offer(Offer),
    Recovery(Vec<String>),
}

/// All of it.
#[derive(Default)]
pub(super) struct Offers(Mutex<HashMap<Kept, (DateTime<Utc>, Shown)>>);

impl Offers {
    /// Offers a session a new secret.
    pub(super) fn begin(&self, session: &Kept, now: DateTime<Utc>) {
        self.show(session, Shown::Offer(Offer::new()), now);
    }

    /// The secret, and its address for an app of this account.
    pub(super) fn offered(&self, session: &Kept, name: &str, now: DateTime<Utc>) -> Option<(String, String)> {
        self.look(session, now, |shown| match shown {
            Shown::Offer(offer) => Some((offer.secret(), offer.uri(name))),
            Shown::Recovery(_) => None,
        })
    }

    /// What the account gets if the code is right.
    pub(super) fn confirm(&self, session: &Kept, code: &str, now: DateTime<Utc>) -> Option<(Codes, Vec<String>)> {
        self.look(session, now, |shown| match shown {
            Shown::Offer(offer) => offer.confirm(code, now),
            Shown::Recovery(_) => None,
        })
    }

    /// The account has its codes: these are shown for a while.
    pub(super) fn taken(&self, session: &Kept, recovery: Vec<String>, now: DateTime<Utc>) {
        self.show(session, Shown::Recovery(recovery), now);
    }

    /// The recovery codes.
    pub(super) fn recovery(&self, session: &Kept, now: DateTime<Utc>) -> Option<Vec<String>> {
        self.look(session, now, |shown| match shown {
            Shown::Offer(_) => None,
            Shown::Recovery(codes) => Some(codes.clone()),
        })
    }

    fn show(&self, session: &Kept, what: Shown, now: DateTime<Utc>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (since, _)| is_shown(*since, now));
        if all.len() >= SHOWN_MAX {
            all.clear();
        }
        all.insert(session.clone(), (now, what));
    }

    fn look<T>(&self, session: &Kept, now: DateTime<Utc>, look: impl FnOnce(&Shown) -> Option<T>) -> Option<T> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(session).filter(|(since, _)| is_shown(*since, now)).and_then(|(_, shown)| look(shown))
    }
}

fn is_shown(since: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - since).to_std().unwrap_or(Duration::ZERO) < SHOWN_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_one_sessions_and_goes_by_itself() {
        let (offers, mine) = (Offers::default(), "a".to_owned());
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        offers.begin(&mine, at(0));
        assert!(offers.offered(&mine, "alice", at(599)).is_some());
        assert_eq!(offers.offered(&"b".to_owned(), "alice", at(0)), None);
        assert_eq!(offers.offered(&mine, "alice", at(600)), None);
        offers.taken(&mine, vec!["x".to_owned()], at(0));
        assert_eq!((offers.offered(&mine, "alice", at(1)), offers.recovery(&mine, at(1)).unwrap().len()), (None, 1));
        for number in 0..1_000 {
            offers.begin(&number.to_string(), at(1));
        }
        assert!(offers.0.lock().unwrap().len() <= SHOWN_MAX);
    }
}
