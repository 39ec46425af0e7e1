//! Who guesses waits: after a few wrong attempts in a row, for longer each time. Names and addresses are counted alike.
//!
//! An attempt is counted before it is checked, so that a hundred at once are no more than a few, and taken back when it was right,
//! or could not be checked.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// Wrong attempts before the first wait.
const FREE: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// Who was quiet for so long begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);
/// Names or addresses remembered in one of two generations; when the young one is full the old one is forgotten.
const REMEMBERED_MAX: usize = 4_096;

/// The wrong attempts of names and of addresses.
#[derive(Debug, Default)]
pub(super) struct Lockout {
    names: Tally<String>,
    addresses: Tally<u128>,
}

/// What an attempt came to by being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It may be checked.
    Admitted,
    /// It may be checked; if it is wrong, whoever made it waits from now on.
    Last,
    /// It is not looked at.
    Locked(Duration),
}

impl Lockout {
    /// Counts an attempt, as if it were wrong.
    pub(super) fn attempt(&mut self, name: &str, address: IpAddr, now: DateTime<Utc>) -> Admission {
        let name = name.to_owned();
        let waits = [self.names.wait(&name, now), self.addresses.wait(&block(address), now)];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Admission::Locked(wait);
        }
        let locks = [self.names.count(name, now), self.addresses.count(block(address), now)];
        if locks.contains(&true) { Admission::Last } else { Admission::Admitted }
    }

    /// The attempt was right.
    pub(super) fn right(&mut self, name: &str, address: IpAddr) {
        self.names.forget(&name.to_owned());
        self.addresses.forget(&block(address));
    }

    /// The attempt could not be checked, so it was not wrong either.
    pub(super) fn take_back(&mut self, name: &str, address: IpAddr) {
        self.names.take_back(&name.to_owned());
        self.addresses.take_back(&block(address));
    }
}

/// An IPv4 address, or the /64 block that one IPv6 subscriber has.
fn block(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
    }
}

#[derive(Debug)]
struct Tally<K> {
    young: HashMap<K, Wrong>,
    old: HashMap<K, Wrong>,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    attempts: u32,
    last: DateTime<Utc>,
    /// When the one before the last was made. Beyond the free ones no two are under way at once, so one is enough.
    before: DateTime<Utc>,
}

impl Wrong {
    /// How long nobody is listened to after the last attempt.
    fn wait(self) -> Duration {
        let Some(beyond) = self.attempts.checked_sub(FREE) else { return Duration::ZERO };
        FIRST_WAIT.saturating_mul(1 << beyond.min(10)).min(LONGEST_WAIT)
    }

    /// A clock that was set back is no reason to wait for longer.
    fn age(self, now: DateTime<Utc>) -> Duration {
        (now - self.last).to_std().unwrap_or(Duration::ZERO)
    }
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<K: Eq + Hash> Tally<K> {
    fn of(&self, key: &K, now: DateTime<Utc>) -> Option<Wrong> {
        let wrong = self.young.get(key).or_else(|| self.old.get(key)).copied();
        wrong.filter(|wrong| wrong.age(now) < FORGOTTEN_AFTER)
    }

    fn wait(&self, key: &K, now: DateTime<Utc>) -> Option<Duration> {
        let wrong = self.of(key, now)?;
        wrong.wait().checked_sub(wrong.age(now)).filter(|wait| !wait.is_zero())
    }

    /// Whether the attempt, if wrong, makes its maker wait.
    fn count(&mut self, key: K, now: DateTime<Utc>) -> bool {
        let known = self.of(&key, now);
        let attempts = known.map_or(0, |wrong| wrong.attempts).saturating_add(1);
        if self.young.len() >= REMEMBERED_MAX && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        let wrong = Wrong { attempts, last: now, before: known.map_or(now, |wrong| wrong.last) };
        self.young.insert(key, wrong);
        !wrong.wait().is_zero()
    }

    fn take_back(&mut self, key: &K) {
        let Some(wrong) = self.young.get_mut(key).or_else(|| self.old.get_mut(key)) else { return };
        *wrong = Wrong { attempts: wrong.attempts.saturating_sub(1), last: wrong.before, before: wrong.before };
        if wrong.attempts == 0 {
            self.forget(key);
        }
    }

    fn forget(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, last))
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
    }

    fn locked(seconds: u64) -> Admission {
        Admission::Locked(Duration::from_secs(seconds))
    }

    #[test]
    fn the_sixth_attempt_waits_a_minute_and_each_wrong_one_after_it_twice_as_long() {
        let mut lockout = Lockout::default();
        for _ in 0..4 {
            assert_eq!(lockout.attempt("alice", ip(1), at(0)), Admission::Admitted);
        }
        let mut now = 0;
        for wait in [60, 120, 240, 480, 900, 900] {
            assert_eq!(lockout.attempt("alice", ip(1), at(now)), Admission::Last);
            assert_eq!(lockout.attempt("alice", ip(1), at(now + 1)), locked(wait - 1), "nothing helps inside the wait");
            now += i64::try_from(wait).unwrap();
        }
    }

    #[test]
    fn names_and_addresses_are_counted_apart() {
        let mut lockout = Lockout::default();
        for other in 0..5 {
            lockout.attempt("alice", ip(other), at(0));
            lockout.attempt(&format!("name {other}"), ip(9), at(0));
        }
        assert_eq!(lockout.attempt("alice", ip(100), at(0)), locked(60));
        assert_eq!(lockout.attempt("bob", ip(9), at(0)), locked(60));
        assert_eq!(lockout.attempt("bob", ip(1), at(0)), Admission::Admitted);
    }

    #[test]
    fn a_right_attempt_takes_the_wrong_ones_back() {
        let mut lockout = Lockout::default();
        for _ in 0..20 {
            for _ in 0..5 {
                assert!(!matches!(lockout.attempt("alice", ip(1), at(0)), Admission::Locked(_)));
            }
            lockout.right("alice", ip(1));
        }
    }

    #[test]
    fn an_attempt_that_was_not_checked_leaves_everything_as_it_was() {
        let mut lockout = Lockout::default();
        for _ in 0..20 {
            assert_eq!(lockout.attempt("alice", ip(1), at(0)), Admission::Admitted);
            lockout.take_back("alice", ip(1));
        }
        assert!(lockout.names.young.is_empty() && lockout.addresses.young.is_empty());
        for _ in 0..5 {
            lockout.attempt("alice", ip(1), at(0));
        }
        // The wait is over: the next one may be checked, and when it was not, so may the one after it.
        for _ in 0..20 {
            assert_eq!(lockout.attempt("alice", ip(1), at(60)), Admission::Last);
            lockout.take_back("alice", ip(1));
        }
        assert_eq!(lockout.attempt("alice", ip(1), at(59)), locked(1), "the wrong ones stay counted");
        lockout.take_back("nobody", ip(2));
    }

    #[test]
    fn an_hour_of_quiet_begins_anew_and_a_clock_set_back_makes_nobody_wait_longer() {
        let mut lockout = Lockout::default();
        for _ in 0..5 {
            lockout.attempt("alice", ip(1), at(0));
        }
        assert_eq!(lockout.attempt("alice", ip(1), at(-5_000)), locked(60));
        assert_eq!(lockout.attempt("alice", ip(1), at(3_600)), Admission::Admitted);
    }

    #[test]
    fn a_whole_block_of_the_newer_addresses_is_one_caller() {
        let mut lockout = Lockout::default();
        for number in 0..5u16 {
            let address = format!("2001:db8::{number:x}").parse().unwrap();
            lockout.attempt(&number.to_string(), address, at(0));
        }
        assert_eq!(lockout.attempt("bob", "2001:db8::ffff".parse().unwrap(), at(0)), locked(60));
        assert_eq!(lockout.attempt("bob", "2001:db8:0:1::1".parse().unwrap(), at(0)), Admission::Admitted);
    }

    #[test]
    fn memory_is_bounded() {
        let mut lockout = Lockout::default();
        for number in 0..20_000u32 {
            lockout.attempt(&number.to_string(), IpAddr::V4(std::net::Ipv4Addr::from_bits(number)), at(0));
        }
        assert!(lockout.names.young.len() + lockout.names.old.len() <= 2 * REMEMBERED_MAX);
    }
}
