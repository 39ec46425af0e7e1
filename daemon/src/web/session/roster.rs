//! The operators' accounts for the command line, beside a running desk or without one.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::accounts::{Account, AccountsError, AccountsFile, FIRST};
use super::password;

/// The accounts of a data folder.
#[derive(Debug)]
pub struct Roster(AccountsFile);

/// What may be said of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name.
    pub name: String,
    /// Since when there is one.
    pub made_at: DateTime<Utc>,
    /// Since when the password is what it is.
    pub password_at: DateTime<Utc>,
    /// How many recovery codes are left, where a code is asked for.
    pub recovery_codes: Option<usize>,
}

impl Roster {
    /// Of this folder.
    pub fn of(data_dir: &Path) -> Self {
        Self(AccountsFile::of(data_dir))
    }

    /// All of them, in the order in which they were made.
    pub fn list(&self) -> Result<Vec<Listed>, AccountsError> {
        Ok(self.0.read()?.operators.iter().map(Listed::of).collect())
    }

    /// Adds one; the first where there is no file yet.
    pub fn add(&self, name: &str, password: &str, now: DateTime<Utc>) -> Result<(), AccountsError> {
        let account = Account::new(name, password, now)?;
        self.0.begin(|accounts| accounts.add(account))
    }

    /// Gives one another password; its sessions end.
    pub fn set_password(&self, name: &str, password: &str, now: DateTime<Utc>) -> Result<(), AccountsError> {
        let hash = password::hash(password)?;
        self.0.change(|accounts| accounts.get_mut(name).map(|account| account.set_password(hash, now)))?;
        if name == FIRST {
            self.0.forget_first_password();
        }
        Ok(())
    }

    /// Asks one for no code any more; whether one was asked for.
    pub fn forget_code(&self, name: &str) -> Result<bool, AccountsError> {
        self.0.change(|accounts| Ok(accounts.get_mut(name)?.codes.take().is_some()))
    }

    /// Removes one; its sessions end.
    pub fn remove(&self, name: &str) -> Result<(), AccountsError> {
        self.0.change(|accounts| accounts.remove(name))?;
        if name == FIRST {
            self.0.forget_first_password();
        }
        Ok(())
    }

    /// A password of 120 random bits.
    pub fn made_password() -> String {
        password::made()
    }
}

impl Listed {
    fn of(account: &Account) -> Self {
        Self {
            name: account.name.clone(),
            made_at: account.made_at,
            password_at: account.password_at,
            recovery_codes: account.codes.as_ref().map(super::totp::Codes::recovery_left),
        }
    }
}
