//! The customers' keys: what tells of a customer in somebody's words is stored as ciphertext under a key of his own, and he
//! is forgotten by destroying that key, in every copy of the log at once.
//!
//! The keys are in a file of their own, so that its copies can be thrown away sooner than those of the log. A key is on
//! the disk before anything is sealed with it, and is read for each use: none outlives it in memory. Who is forgotten
//! leaves a line without a key that says when; should he come back, he gets another key.
//!
//! Not responsible for what is personal: whoever writes to the log seals it (`operations`), whoever shows it opens it.

mod file;
mod reading;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chrono::{DateTime, Utc};
use millrace_model::deposit::Deposit;
use millrace_model::ids::{DepositId, StreamName};

pub use file::KeysError;
use file::{Key, KeyFile};
pub use reading::{Opened, Reading};
use text::{NONCE_BYTES, Sealed};

/// The name of the file, unless it is set otherwise.
pub const FILE: &str = "keys.db";
/// So much is sealed at once, at most.
pub const PLAIN_BYTES_MAX: usize = 4_096;
/// Characters of a target at most; every coin's are shorter.
const SUBJECT_CHARS_MAX: usize = 128;

/// Whose words or data something is: a customer by the address that he is paid at; where a deposit is nobody's, the deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

/// Why a text names no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a customer is named by the address that is paid, a deposit that is nobody's by its id")]
pub struct NoSubject;

impl Subject {
    /// Whose a deposit is.
    pub fn of(deposit: &Deposit) -> Self {
        let receipt = &deposit.receipt;
        Self(match &receipt.customer {
            Some(customer) => customer.target.clone(),
            None => StreamName::Deposit(receipt.id).to_string(),
        })
    }
}

impl FromStr for Subject {
    type Err = NoSubject;

    fn from_str(text: &str) -> Result<Self, NoSubject> {
        if let Ok(id) = text.parse::<DepositId>() {
            return Ok(Self(StreamName::Deposit(id).to_string()));
        }
        let fits = (1..=SUBJECT_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(NoSubject) }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of a wish to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgot {
    /// The key is destroyed, and this is when.
    Now(DateTime<Utc>),
    /// It was destroyed then, and there was none since.
    Before(DateTime<Utc>),
    /// Nothing was ever sealed for him.
    Nothing,
    /// There is no file that could say.
    NoFile,
}

/// The keys in their file. Cheap to clone, usable from any thread; every call reads the file, and may wait for the disk.
#[derive(Debug, Clone)]
pub struct CustomerKeys(Arc<Path>);

impl CustomerKeys {
    /// Those in this file, which is made when the first key is.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into().into())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The text as ciphertext under the subject's key, which is made and on the disk first if there is none. It opens again
    /// at this place only, such as the name of a stream.
    pub fn seal(&self, subject: &Subject, place: &str, plain: &str) -> Result<String, KeysError> {
        if plain.len() > PLAIN_BYTES_MAX {
            return Err(KeysError::TooLong);
        }
        let key = KeyFile::open_or_create(&self.0)?.key_of(&subject.0)?;
        let mut nonce = [0; NONCE_BYTES];
        file::random(&mut nonce)?;
        let bound = bound(&key, place);
        let payload = Payload { msg: plain.as_bytes(), aad: &bound };
        let sealed = cipher(&key).encrypt((&nonce).into(), payload);
        let ciphertext = sealed.expect("a few kilobytes can be encrypted");
        Ok(Sealed { key: key.id, nonce, ciphertext }.to_string())
    }

    /// Opens what was sealed, for as long as the result is kept.
    pub fn reading(&self) -> Reading {
        Reading::of(Arc::clone(&self.0))
    }

    /// Destroys the subject's key. When this returns it is in none of the file's bytes, and that is on the disk.
    pub fn forget(&self, subject: &Subject, at: DateTime<Utc>) -> Result<Forgot, KeysError> {
        match KeyFile::open(&self.0)? {
            Some(mut file) => file.forget(&subject.0, at),
            None => Ok(Forgot::NoFile),
        }
    }

    /// The subjects with a key that was not destroyed, among those that begin so.
    pub fn live(&self, beginning: &str) -> Result<Vec<String>, KeysError> {
        let file = KeyFile::open(&self.0)?;
        file.map_or(Ok(Vec::new()), |file| file.live(beginning))
    }

    /// Whether the file is there and whole: `false` when there is none.
    pub fn check(&self) -> Result<bool, KeysError> {
        let file = KeyFile::open(&self.0)?;
        file.map_or(Ok(false), |file| file.check().map(|()| true))
    }

    /// Makes the file without a key, if there is none.
    pub fn create(&self) -> Result<(), KeysError> {
        KeyFile::open_or_create(&self.0).map(drop)
    }
}

/// Whether a text looks like one that was sealed.
pub fn is_sealed(text: &str) -> bool {
    Sealed::parse(text).is_some()
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&key.secret).into())
}

/// What a ciphertext is bound to: its key, whose that is, and where it stands.
fn bound(key: &Key, place: &str) -> Vec<u8> {
    let mut bytes = key.id.0.to_vec();
    for part in [key.subject.as_bytes(), place.as_bytes()] {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part);
    }
    bytes
}
