//! Passwords: made at random, and hashed with argon2id. Only the hash is kept.

use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// A hash takes 19 MiB and a core for some 20 ms.
const AT_ONCE_MAX: usize = 2;
/// So many wait for their turn; one more is told at once to come again.
const WAITING_MAX: usize = 16;
/// Whoever waits longer for his turn is told to come again.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// A password that people make up themselves (NIST SP 800-63B asks for 8 with a second factor, 15 without).
pub(super) const CHARS_MIN: usize = 15;
pub(super) const CHARS_MAX: usize = 256;
/// Crockford's base 32: no letter looks like a digit.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LETTERS_OF_A_PASSWORD: usize = 24;
const GROUP_LETTERS: usize = 4;
/// Compared with when nobody has the name, so that the answer takes as long. No password is known to lead to it.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGhlcmUu$q3p1V0kQm3Yw7oGkq8m8yN0cQmE1sYxX5rJt2H9uZ1A";

/// Why a password cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too easily guessed.
    #[error("a password has at least {CHARS_MIN} characters")]
    Short,
    /// A sentence would do; a book is too much.
    #[error("a password has at most {CHARS_MAX} characters")]
    Long,
    /// The hash could not be made.
    #[error("the password could not be hashed")]
    Hash,
}

/// Random bytes of the system, as good for secrets as any.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // A generator of the thread, seeded by the system and meant for keys.
    rand::RngCore::fill_bytes(&mut rand::rng(), &mut bytes);
    bytes
}

/// A password of 120 random bits in groups that can be read aloud.
pub(super) fn made() -> String {
    groups(LETTERS_OF_A_PASSWORD)
}

/// So many letters of five random bits each, in groups of four.
pub(super) fn groups(letters: usize) -> String {
    let letters: Vec<char> = (0..letters).map(|_| char::from(LETTERS[usize::from(random::<1>()[0] % 32)])).collect();
    letters.chunks(GROUP_LETTERS).map(String::from_iter).collect::<Vec<_>>().join("-")
}

/// The argon2id hash (PHC string) of a password that somebody chose.
pub(super) fn hash(password: &str) -> Result<String, PasswordError> {
    match password.chars().count() {
        ..CHARS_MIN => return Err(PasswordError::Short),
        CHARS_MIN..=CHARS_MAX => {}
        _ => return Err(PasswordError::Long),
    }
    let hash: PasswordHash = Argon2::default().hash_password(password.as_bytes()).map_err(|_| PasswordError::Hash)?;
    Ok(hash.to_string())
}

/// Whether a password leads to the hash; without one the answer is no, after the same work.
pub(super) fn is_right(password: &str, hash: Option<&str>) -> bool {
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(DECOY)) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && hash.is_some()
}

/// Does the work of passwords on threads for such work, few at once.
#[derive(Debug, Clone)]
pub(super) struct Press {
    turns: Arc<Semaphore>,
    /// Of those who wait and of those whose turn it is.
    places: Arc<Semaphore>,
}

/// Too many wait for their passwords to be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crowded;

impl Default for Press {
    fn default() -> Self {
        let places = Semaphore::new(AT_ONCE_MAX + WAITING_MAX);
        Self { turns: Arc::new(Semaphore::new(AT_ONCE_MAX)), places: Arc::new(places) }
    }
}

impl Press {
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Crowded> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Crowded)?;
        let turn = tokio::time::timeout(TURN_WITHIN, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| Crowded)?.map_err(|_| Crowded)?;
        let done = tokio::task::spawn_blocking(move || {
            let _held = (turn, place);
            work()
        });
        done.await.map_err(|_| Crowded)
    }

    /// Takes every place, for as long as what it gives back is held.
    #[cfg(test)]
    pub(super) fn crowd(&self) -> tokio::sync::OwnedSemaphorePermit {
        let all = u32::try_from(AT_ONCE_MAX + WAITING_MAX).expect("a handful");
        Arc::clone(&self.places).try_acquire_many_owned(all).expect("nobody is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_password_has_six_groups_and_is_never_the_same() {
        let password = made();
        assert_eq!(password.split('-').map(str::len).collect::<Vec<_>>(), [4; 6]);
        assert!(password.bytes().all(|byte| byte == b'-' || LETTERS.contains(&byte)));
        assert_ne!(made(), password);
        hash(&password).unwrap();
    }

    #[test]
    fn a_password_leads_to_its_hash_and_no_other_does() {
        let hash = hash("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(is_right("correct horse battery", Some(&hash)));
        assert!(!is_right("correct horse batterz", Some(&hash)));
        assert!(!is_right("correct horse battery", None));
        assert!(!is_right("correct horse battery", Some("no hash")));
    }

    #[test]
    fn the_decoy_is_a_hash_so_that_an_unknown_name_costs_the_same_work() {
        assert!(PasswordHash::new(DECOY).is_ok_and(|decoy| decoy.hash.is_some()));
    }

    #[tokio::test]
    async fn one_too_many_is_told_at_once_and_those_who_wait_have_their_turn() {
        let press = Press::default();
        let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
        let held = Arc::new(std::sync::Mutex::new(held));
        let work = |held: &Arc<std::sync::Mutex<std::sync::mpsc::Receiver<()>>>| {
            let held = Arc::clone(held);
            move || held.lock().unwrap().recv().unwrap_or_default()
        };
        let mut waiting: Vec<_> = (0..AT_ONCE_MAX + WAITING_MAX).map(|_| Box::pin(press.run(work(&held)))).collect();
        for one in &mut waiting {
            assert!(futures::poll!(one).is_pending());
        }
        assert_eq!(press.run(|| ()).await, Err(Crowded));
        drop(release);
        for one in waiting {
            assert_eq!(one.await, Ok(()));
        }
        assert_eq!(press.run(|| ()).await, Ok(()));
    }

    #[test]
    fn a_password_is_neither_short_nor_a_book() {
        assert_eq!(hash("fourteen chars"), Err(PasswordError::Short));
        assert_eq!(hash(&"x".repeat(257)), Err(PasswordError::Long));
    }
}
