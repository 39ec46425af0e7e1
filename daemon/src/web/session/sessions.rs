//! Who is logged in, since when and from where; kept in `sessions.json`, so that a core that starts again knows it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::cookie::Kept;

/// The file in the data folder.
pub(super) const FILE: &str = "sessions.json";
/// All accounts' sessions with room to spare.
pub(super) const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Of one account; one more ends the one that was seen the longest ago.
const SESSIONS_MAX: usize = 64;
/// Whoever is not seen for so long logs in again.
const IDLE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// However busy he is.
const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How exactly it is known when a session was last seen; each time is a write.
const SEEN_EVERY: Duration = Duration::from_secs(5 * 60);

/// One log-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    /// SHA-256 of the cookie's id.
    pub(super) id: Kept,
    pub(super) operator: String,
    /// Of the account's password.
    pub(super) generation: String,
    pub(super) opened_at: DateTime<Utc>,
    /// To within five minutes.
    pub(super) seen_at: DateTime<Utc>,
    pub(super) address: IpAddr,
    /// What the browser calls itself, cut.
    pub(super) agent: String,
}

impl Session {
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        age(self.seen_at, now) >= IDLE_MAX || age(self.opened_at, now) >= AGE_MAX
    }
}

/// A clock that was set back ends nothing.
fn age(since: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (now - since).to_std().unwrap_or(Duration::ZERO)
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<Kept, Session>);

/// Whether somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Somebody asked for something.
    Somebody,
    /// A page that was left open asked by itself, to show what is new.
    PageAlone,
}

/// Whether the file is to be written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Some,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sessions: Vec<Session>,
}

impl Sessions {
    /// From the file's text.
    pub(super) fn parse(text: &str) -> serde_json::Result<Self> {
        let file: File = serde_json::from_str(text)?;
        Ok(Self(file.sessions.into_iter().map(|session| (session.id.clone(), session)).collect()))
    }

    /// The file's text, in the order in which they were opened.
    pub(super) fn text(&self) -> String {
        let mut sessions: Vec<_> = self.0.values().cloned().collect();
        sessions.sort_by(|one, other| (one.opened_at, &one.id).cmp(&(other.opened_at, &other.id)));
        serde_json::to_string_pretty(&File { sessions }).expect("sessions have text keys")
    }

    pub(super) fn open(&mut self, session: Session) {
        let now = session.opened_at;
        self.0.retain(|_, other| !other.is_over(now));
        let of_account = self.0.values().filter(|other| other.operator == session.operator);
        let mut seen: Vec<_> = of_account.map(|other| (other.seen_at, other.id.clone())).collect();
        seen.sort();
        for (_, oldest) in seen.iter().take((seen.len() + 1).saturating_sub(SESSIONS_MAX)) {
            self.0.remove(oldest);
        }
        self.0.insert(session.id.clone(), session);
    }

    /// The session that a cookie leads to, unless it is over.
    pub(super) fn seen(&mut self, id: &Kept, presence: Presence, now: DateTime<Utc>) -> Option<(Session, Change)> {
        let session = self.0.get_mut(id).filter(|session| !session.is_over(now))?;
        if presence == Presence::PageAlone || age(session.seen_at, now) < SEEN_EVERY {
            return Some((session.clone(), Change::None));
        }
        session.seen_at = now;
        Some((session.clone(), Change::Some))
    }

    /// An account's, the last seen first.
    pub(super) fn of(&self, operator: &str, generation: &str, now: DateTime<Utc>) -> Vec<Session> {
        let is_live = |session: &&Session| {
            session.operator == operator && session.generation == generation && !session.is_over(now)
        };
        let mut sessions: Vec<_> = self.0.values().filter(is_live).cloned().collect();
        sessions.sort_by(|one, other| (other.seen_at, &other.id).cmp(&(one.seen_at, &one.id)));
        sessions
    }

    /// Ends those of an account for which this holds; how many they were.
    pub(super) fn end(&mut self, operator: &str, which: impl Fn(&Session) -> bool) -> usize {
        let before = self.0.len();
        self.0.retain(|_, session| session.operator != operator || !which(session));
        before - self.0.len()
    }

    /// The session goes on with the account's new password.
    pub(super) fn renew(&mut self, id: &Kept, generation: &str) {
        if let Some(session) = self.0.get_mut(id) {
            generation.clone_into(&mut session.generation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
    }

    fn session(id: &str, operator: &str, opened: i64) -> Session {
        Session {
            id: id.to_owned(),
            operator: operator.to_owned(),
            generation: "1".to_owned(),
            opened_at: at(opened),
            seen_at: at(opened),
            address: IpAddr::from([127, 0, 0, 1]),
            agent: "a browser".to_owned(),
        }
    }

    fn is_open(sessions: &mut Sessions, id: &str, second: i64) -> bool {
        sessions.seen(&id.to_owned(), Presence::Somebody, at(second)).is_some()
    }

    #[test]
    fn a_session_ends_after_twelve_hours_of_quiet() {
        let mut sessions = Sessions::default();
        sessions.open(session("a", "alice", 0));
        assert!(is_open(&mut sessions, "a", 12 * HOUR - 1));
        assert!(is_open(&mut sessions, "a", 24 * HOUR - 2));
        assert!(!is_open(&mut sessions, "a", 36 * HOUR - 2));
        assert!(!is_open(&mut sessions, "b", 0));
    }

    #[test]
    fn a_session_ends_after_seven_days_however_busy() {
        let mut sessions = Sessions::default();
        sessions.open(session("a", "alice", 0));
        for hour in 0..7 * 24 {
            assert!(is_open(&mut sessions, "a", hour * HOUR));
        }
        assert!(!is_open(&mut sessions, "a", 7 * 24 * HOUR));
    }

    #[test]
    fn being_seen_is_written_every_five_minutes_alone() {
        let mut sessions = Sessions::default();
        sessions.open(session("a", "alice", 0));
        let id = "a".to_owned();
        let mut seen = |presence, second| sessions.seen(&id, presence, at(second)).unwrap().1;
        assert_eq!(seen(Presence::Somebody, 299), Change::None);
        assert_eq!(seen(Presence::PageAlone, 300), Change::None);
        assert_eq!(seen(Presence::Somebody, 300), Change::Some);
        assert_eq!(seen(Presence::Somebody, 301), Change::None);
    }

    #[test]
    fn a_page_left_open_keeps_no_session_alive() {
        let mut sessions = Sessions::default();
        sessions.open(session("a", "alice", 0));
        let id = "a".to_owned();
        for hour in 0..12 {
            assert!(sessions.seen(&id, Presence::PageAlone, at(hour * HOUR)).is_some());
        }
        assert!(sessions.seen(&id, Presence::PageAlone, at(12 * HOUR)).is_none());
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let mut sessions = Sessions::default();
        sessions.open(session("a", "alice", 0));
        sessions.open(session("b", "bob", 1));
        let again = Sessions::parse(&sessions.text()).unwrap();
        assert_eq!(again.0, sessions.0);
        assert!(Sessions::parse("{}").is_err());
    }

    #[test]
    fn one_session_too_many_ends_the_one_that_was_seen_the_longest_ago() {
        let mut sessions = Sessions::default();
        sessions.open(session("bob's", "bob", 0));
        for number in 0..=64 {
            sessions.open(session(&number.to_string(), "alice", number));
        }
        assert!(!is_open(&mut sessions, "0", 100));
        assert!(is_open(&mut sessions, "1", 100) && is_open(&mut sessions, "bob's", 100));
        assert_eq!(sessions.of("alice", "1", at(100)).len(), 64);
    }

    #[test]
    fn one_or_all_others_are_ended_and_the_own_goes_on_with_a_new_password() {
        let mut sessions = Sessions::default();
        for id in ["a", "b", "c"] {
            sessions.open(session(id, "alice", 0));
        }
        sessions.open(session("d", "bob", 0));
        assert_eq!(sessions.end("alice", |session| session.id == "d"), 0, "another's");
        assert_eq!(sessions.end("alice", |session| session.id != "a"), 2);
        sessions.renew(&"a".to_owned(), "2");
        assert_eq!(sessions.of("alice", "2", at(0)).len(), 1);
        assert!(is_open(&mut sessions, "d", 0));
    }
}
