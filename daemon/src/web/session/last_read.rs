//! The accounts as they were last read well, and whether the file has to be read again.

use std::sync::Arc;

use super::accounts::{Accounts, AccountsError, Stamp};

/// What is known of the file.
#[derive(Debug, Default)]
pub(super) struct LastRead {
    /// The file as it was when it was read well.
    stamp: Option<Stamp>,
    accounts: Option<Arc<Accounts>>,
    /// The state of the file that was complained of, so that a warning comes once and not with each request.
    complained: Option<Option<Stamp>>,
}

impl LastRead {
    /// The accounts of a file in this state. One that could not be read is tried again each time: a disk or a process
    /// that had no room for a moment leaves no trace in the file's state.
    pub(super) fn accounts(
        &mut self,
        stamp: Option<Stamp>,
        read: impl FnOnce() -> Result<Accounts, AccountsError>,
    ) -> Option<Arc<Accounts>> {
        if stamp.is_none() || stamp != self.stamp {
            match read() {
                Ok(accounts) => {
                    *self = Self { stamp, accounts: Some(Arc::new(accounts)), complained: None };
                }
                Err(error) => self.complain(stamp, &error),
            }
        }
        self.accounts.clone()
    }

    fn complain(&mut self, stamp: Option<Stamp>, error: &AccountsError) {
        // What was read before may no longer be what the file holds.
        self.stamp = None;
        if self.complained.replace(stamp) != Some(stamp) {
            tracing::warn!(%error, "the accounts stay as they were");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::io;
    use std::os::unix::fs::PermissionsExt;

    use chrono::DateTime;
    use tempfile::TempDir;

    use super::super::accounts::{AccountsFile, FILE};
    use super::*;

    fn made() -> (TempDir, AccountsFile) {
        let folder = tempfile::tempdir().unwrap();
        let file = AccountsFile::of(folder.path());
        file.make(DateTime::UNIX_EPOCH).unwrap();
        (folder, file)
    }

    fn full() -> Result<Accounts, AccountsError> {
        let cause = io::Error::other("too many open files");
        Err(AccountsError::File { path: FILE.into(), cause })
    }

    #[test]
    fn a_read_that_failed_is_tried_again_though_the_file_is_as_it_was() {
        let (_folder, file) = made();
        let stamp = file.stamp();
        let mut last = LastRead::default();
        assert_eq!(last.accounts(stamp, full), None);
        let read = last.accounts(stamp, || file.read()).unwrap();
        assert_eq!(last.accounts(None, full), Some(Arc::clone(&read)), "they stay as they were");
        assert_eq!(last.accounts(stamp, || Ok(Accounts::default())), Some(Arc::default()));
    }

    #[test]
    fn a_file_that_was_read_well_is_not_read_again_until_it_changes() {
        let (_folder, file) = made();
        let (mut last, reads) = (LastRead::default(), Cell::new(0));
        for _ in 0..3 {
            let read = last.accounts(file.stamp(), || {
                reads.set(reads.get() + 1);
                file.read()
            });
            assert!(read.is_some());
        }
        assert_eq!(reads.get(), 1);
    }

    #[test]
    fn a_file_that_others_could_read_is_taken_once_they_cannot() {
        let (folder, file) = made();
        let path = folder.path().join(FILE);
        let mut last = LastRead::default();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let exposed = file.stamp();
        assert_eq!(last.accounts(exposed, || file.read()), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_ne!(file.stamp(), exposed);
        assert!(last.accounts(file.stamp(), || file.read()).is_some());
    }
}
