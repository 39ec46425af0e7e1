//! The operators' accounts, as they stand in `operators.json` in the data folder.
//!
//! The desk and the command line both write the file; a lock beside it keeps one from undoing what the other did.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::password;
use super::private_file;
use super::totp::Codes;
use crate::bounded_file::read_text;

/// The file with the accounts, in the data folder.
pub const FILE: &str = "operators.json";
/// The password made at the first start.
pub(super) const PASSWORD_FILE: &str = "operator.password";
/// Whose it is.
pub(super) const FIRST: &str = "operator";
/// Operators are few.
const ACCOUNTS_MAX: usize = 32;
const NAME_CHARS_MAX: usize = 32;
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Why accounts cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The file cannot be read or written.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Others than the owner can read the file.
    #[error("{0} can be read by others; run: chmod 600 {0}")]
    Exposed(PathBuf),
    /// The content is no list of accounts.
    #[error("{path} holds no accounts: {why}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// There is no such account.
    #[error("there is no operator {0}")]
    Unknown(String),
    /// There is one already.
    #[error("there is an operator {0} already")]
    Taken(String),
    /// No name for an operator.
    #[error("a name is 1 to {NAME_CHARS_MAX} of the characters a-z, 0-9, '.', '_' and '-'")]
    Name,
    /// There are as many as there may be.
    #[error("there are {ACCOUNTS_MAX} operators already")]
    Full,
    /// Somebody has to be able to log in.
    #[error("this is the only operator; add another first")]
    Only,
    /// The code was wrong, or used.
    #[error("the code is wrong")]
    Code,
    /// See [`password::PasswordError`].
    #[error(transparent)]
    Password(#[from] password::PasswordError),
}

/// One operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    pub(super) name: String,
    /// An argon2id PHC string.
    pub(super) password: String,
    /// Another one with each password: sessions of an older one are over.
    pub(super) generation: String,
    pub(super) made_at: DateTime<Utc>,
    pub(super) password_at: DateTime<Utc>,
    /// Asked for at every log-in, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) codes: Option<Codes>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Accounts {
    pub(super) operators: Vec<Account>,
}

/// What tells one state of the file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    length: u64,
    /// Who may read it.
    mode: u32,
    written: (i64, i64),
    /// Of the content or of who may read it.
    changed: (i64, i64),
}

impl Account {
    pub(super) fn new(name: &str, password: &str, now: DateTime<Utc>) -> Result<Self, AccountsError> {
        let (name, password) = (name.to_owned(), password::hash(password)?);
        Ok(Self { name, password, generation: generation(), made_at: now, password_at: now, codes: None })
    }

    pub(super) fn set_password(&mut self, hash: String, now: DateTime<Utc>) {
        self.password = hash;
        self.generation = generation();
        self.password_at = now;
    }
}

fn generation() -> String {
    hex::encode(password::random::<8>())
}

impl Accounts {
    pub(super) fn get(&self, name: &str) -> Option<&Account> {
        self.operators.iter().find(|account| account.name == name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Result<&mut Account, AccountsError> {
        let account = self.operators.iter_mut().find(|account| account.name == name);
        account.ok_or_else(|| AccountsError::Unknown(name.to_owned()))
    }

    pub(super) fn add(&mut self, account: Account) -> Result<(), AccountsError> {
        if !is_name(&account.name) {
            return Err(AccountsError::Name);
        }
        if self.get(&account.name).is_some() {
            return Err(AccountsError::Taken(account.name));
        }
        if self.operators.len() >= ACCOUNTS_MAX {
            return Err(AccountsError::Full);
        }
        self.operators.push(account);
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<(), AccountsError> {
        self.get_mut(name)?;
        if self.operators.len() == 1 {
            return Err(AccountsError::Only);
        }
        self.operators.retain(|account| account.name != name);
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let mut names = std::collections::BTreeSet::new();
        for account in &self.operators {
            if !is_name(&account.name) || !names.insert(&account.name) {
                return Err("a name is wrong or there twice".to_owned());
            }
        }
        if names.len() > ACCOUNTS_MAX { Err(format!("there are more than {ACCOUNTS_MAX}")) } else { Ok(()) }
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(plain)
}

/// The file of a data folder.
#[derive(Debug, Clone)]
pub(super) struct AccountsFile {
    folder: PathBuf,
}

impl AccountsFile {
    pub(super) fn of(data_dir: &Path) -> Self {
        Self { folder: data_dir.to_owned() }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    pub(super) fn password_path(&self) -> PathBuf {
        self.folder.join(PASSWORD_FILE)
    }

    /// The accounts in the file.
    pub(super) fn read(&self) -> Result<Accounts, AccountsError> {
        let path = self.path();
        let failed = |cause| AccountsError::File { path: path.clone(), cause };
        let text = read_text(&path, FILE_BYTES_MAX).map_err(failed)?;
        if fs::metadata(&path).map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(AccountsError::Exposed(path));
        }
        let accounts: Accounts = serde_json::from_str(&text)
            .map_err(|error| AccountsError::Malformed { path: path.clone(), why: error.to_string() })?;
        accounts.check().map_err(|why| AccountsError::Malformed { path, why })?;
        Ok(accounts)
    }

    /// The state of the file now; `None` when it cannot be looked at.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let found = fs::metadata(self.path()).ok()?;
        let (written, changed) = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
        Some(Stamp { inode: found.ino(), length: found.len(), mode: found.mode(), written, changed })
    }

    /// Changes the accounts, with nobody else doing the same meanwhile. Nothing is written when the change fails.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Accounts) -> Result<T, AccountsError>,
    ) -> Result<T, AccountsError> {
        let _lock = self.lock()?;
        let mut accounts = self.read()?;
        let done = change(&mut accounts)?;
        self.write(&accounts)?;
        Ok(done)
    }

    /// The same where there may be no file yet.
    pub(super) fn begin(
        &self,
        change: impl FnOnce(&mut Accounts) -> Result<(), AccountsError>,
    ) -> Result<(), AccountsError> {
        let _lock = self.lock()?;
        let mut accounts = self.found()?.unwrap_or_default();
        change(&mut accounts)?;
        self.write(&accounts)
    }

    /// The accounts in the file, if there is one.
    fn found(&self) -> Result<Option<Accounts>, AccountsError> {
        match self.read() {
            Err(AccountsError::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// The password of the first operator, if he was made just now.
    pub(super) fn make(&self, now: DateTime<Utc>) -> Result<Option<String>, AccountsError> {
        let _lock = self.lock()?;
        if self.found()?.is_some() {
            return Ok(None);
        }
        let password = password::made();
        let account = Account::new(FIRST, &password, now)?;
        // The password first: an account whose password nobody knows would be of no use.
        let path = self.password_path();
        private_file::write(&path, &format!("{password}\n")).map_err(|cause| AccountsError::File { path, cause })?;
        self.write(&Accounts { operators: vec![account] })?;
        Ok(Some(password))
    }

    /// The first operator has a password of his own.
    pub(super) fn forget_first_password(&self) {
        match fs::remove_file(self.password_path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "{} holds an old password and cannot be removed", PASSWORD_FILE);
            }
            _ => {}
        }
    }

    fn write(&self, accounts: &Accounts) -> Result<(), AccountsError> {
        let text = serde_json::to_string_pretty(accounts).expect("accounts have text keys");
        let path = self.path();
        private_file::write(&path, &text).map_err(|cause| AccountsError::File { path, cause })
    }

    /// Held while the file is read, changed and written; it ends with the process.
    fn lock(&self) -> Result<File, AccountsError> {
        let path = self.folder.join("operators.lock");
        let take = || -> io::Result<File> {
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        take().map_err(|cause| AccountsError::File { path: path.clone(), cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn the_first_start_makes_one_operator_whose_password_only_the_owner_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = AccountsFile::of(folder.path());
        let password = file.make(at(0)).unwrap().unwrap();
        assert_eq!(file.make(at(1)).unwrap(), None, "once");
        let accounts = file.read().unwrap();
        assert!(password::is_right(&password, Some(&accounts.get(FIRST).unwrap().password)));
        assert_eq!(fs::read_to_string(file.password_path()).unwrap().trim(), password);
        for path in [file.path(), file.password_path()] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(!fs::read_to_string(file.path()).unwrap().contains(&password));
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = AccountsFile::of(folder.path());
        file.make(at(0)).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(file.read(), Err(AccountsError::Exposed(_))));
        for text in ["", "[]", r#"{"operators":[{"name":"x"}]}"#, "{\"operators\":[],\"more\":1}"] {
            private_file::write(&file.path(), text).unwrap();
            assert!(matches!(file.read(), Err(AccountsError::Malformed { .. })), "{text}");
            assert!(file.make(at(0)).is_err(), "nothing is put in its place");
            assert!(file.begin(|_| Ok(())).is_err(), "nor by whoever adds one");
        }
    }

    #[test]
    fn who_begins_beside_a_first_start_keeps_the_operator_that_it_made() {
        let folder = tempfile::tempdir().unwrap();
        let file = AccountsFile::of(folder.path());
        let alice = Account::new("alice", "a sentence of mine", at(0)).unwrap();
        // The desk comes first between the look that found no file and the lock.
        file.make(at(0)).unwrap();
        file.begin(|accounts| accounts.add(alice)).unwrap();
        let names: Vec<_> = file.read().unwrap().operators.into_iter().map(|account| account.name).collect();
        assert_eq!(names, [FIRST, "alice"]);
    }

    #[test]
    fn names_are_plain_and_few_and_the_last_operator_stays() {
        let mut accounts = Accounts::default();
        let account = |name: &str| Account {
            name: name.to_owned(),
            password: String::new(),
            generation: generation(),
            made_at: at(0),
            password_at: at(0),
            codes: None,
        };
        for name in ["", "Alice", "a b", "a\n", &"x".repeat(33)] {
            assert!(matches!(accounts.add(account(name)), Err(AccountsError::Name)), "{name:?}");
        }
        accounts.add(account("alice")).unwrap();
        assert!(matches!(accounts.add(account("alice")), Err(AccountsError::Taken(_))));
        assert!(matches!(accounts.remove("alice"), Err(AccountsError::Only)));
        assert!(matches!(accounts.remove("bob"), Err(AccountsError::Unknown(_))));
        for number in 1..32 {
            accounts.add(account(&number.to_string())).unwrap();
        }
        assert!(matches!(accounts.add(account("bob")), Err(AccountsError::Full)));
        accounts.remove("alice").unwrap();
    }

    #[test]
    fn a_change_is_seen_from_the_stamp_and_a_refused_one_leaves_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = AccountsFile::of(folder.path());
        assert_eq!(file.stamp(), None);
        file.make(at(0)).unwrap();
        let before = file.stamp().unwrap();
        file.change(|accounts| accounts.remove("nobody")).unwrap_err();
        assert_eq!(file.stamp(), Some(before));
        let hash = password::hash("another password").unwrap();
        file.change(|accounts| accounts.get_mut(FIRST).map(|first| first.set_password(hash, at(1)))).unwrap();
        assert_ne!(file.stamp(), Some(before));
    }
}
