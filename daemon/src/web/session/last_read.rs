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
    /// Whether a file in this state was read well. One that could not be read is tried again each time: a disk or a process
    /// that had no room for a moment leaves no trace in the file's state.
    pub(super) fn is_of(&self, stamp: Option<Stamp>) -> bool {
        stamp.is_some() && stamp == self.stamp
    }

    /// What the reading of a file in this state came to.
    pub(super) fn take(&mut self, stamp: Option<Stamp>, read: Result<Accounts, AccountsError>) {
        match read {
            Ok(accounts) => *self = Self { stamp, accounts: Some(Arc::new(accounts)), complained: None },
            Err(error) => self.complain(stamp, &error),
        }
    }

    pub(super) fn accounts(&self) -> Option<Arc<Accounts>> {
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
        last.take(stamp, full());
        assert_eq!((last.accounts(), last.is_of(stamp)), (None, false));
        last.take(stamp, file.read());
        let read = last.accounts().unwrap();
        assert!(last.is_of(stamp) && !last.is_of(None));
        last.take(None, full());
        assert_eq!((last.accounts(), last.is_of(stamp)), (Some(read), false), "they stay as they were");
        last.take(stamp, Ok(Accounts::default()));
        assert_eq!(last.accounts(), Some(Arc::default()));
    }

    #[test]
    fn a_file_that_was_read_well_is_not_read_again_until_it_changes() {
        let (_folder, file) = made();
        let mut last = LastRead::default();
        assert!(!last.is_of(file.stamp()));
        last.take(file.stamp(), file.read());
        assert!(last.is_of(file.stamp()));
        file.change(|_| Ok(())).unwrap();
        assert!(!last.is_of(file.stamp()));
    }

    #[test]
    fn a_file_that_others_could_read_is_taken_once_they_cannot() {
        let (folder, file) = made();
        let path = folder.path().join(FILE);
        let mut last = LastRead::default();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let exposed = file.stamp();
        last.take(exposed, file.read());
        assert_eq!(last.accounts(), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_ne!(file.stamp(), exposed);
        last.take(file.stamp(), file.read());
        assert!(last.accounts().is_some());
    }
}
