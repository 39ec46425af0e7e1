//! What the disk under the log suffers from, in words for a person.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use rusqlite::ffi;

/// What is wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ailment {
    /// There is no room.
    Full,
    /// Nothing may be written.
    ReadOnly,
    /// It fails.
    Failing,
}

impl Ailment {
    const ALL: [Self; 3] = [Self::Full, Self::ReadOnly, Self::Failing];

    /// In words for a person.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "the disk is full",
            Self::ReadOnly => "the disk is read-only",
            Self::Failing => "the disk fails (input/output error)",
        }
    }

    /// What a text of this module, or one around it, speaks of.
    pub fn named_in(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ailment| text.contains(ailment.as_str()))
    }

    /// What an error of SQLite tells of the disk under this file. SQLite has a word of its own for a disk that is full, and
    /// for a file that it had to open for reading only; a disk that became so later it reports as failing.
    pub(super) fn of(error: &rusqlite::Error, file: &Path) -> Option<Self> {
        let ailment = Self::of_code(error.sqlite_error()?.extended_code)?;
        match ailment {
            Self::Full | Self::ReadOnly => Some(ailment),
            Self::Failing => {
                let found = OpenOptions::new().write(true).open(file).err().as_ref().and_then(Self::of_io);
                Some(found.unwrap_or(Self::Failing))
            }
        }
    }

    /// What a result code of SQLite tells, be it extended or not.
    pub(crate) const fn of_code(code: i32) -> Option<Self> {
        match code & PRIMARY {
            ffi::SQLITE_FULL => Some(Self::Full),
            ffi::SQLITE_READONLY => Some(Self::ReadOnly),
            ffi::SQLITE_IOERR => Some(Self::Failing),
            _ => None,
        }
    }

    /// What an error of the system tells.
    pub(super) fn of_io(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::Full),
            io::ErrorKind::ReadOnlyFilesystem => Some(Self::ReadOnly),
            _ => (error.raw_os_error() == Some(EIO)).then_some(Self::Failing),
        }
    }
}

/// The part of a result code that is no extension.
const PRIMARY: i32 = 0xff;
/// Input/output error, on every Unix.
const EIO: i32 = 5;

/// An error of SQLite about this file, and what the disk suffers from if it is the disk.
pub(super) fn told(error: &rusqlite::Error, file: &Path) -> String {
    told_of(Ailment::of(error, file), error)
}

/// The same for one of the system.
pub(super) fn told_io(error: &io::Error) -> String {
    told_of(Ailment::of_io(error), error)
}

/// An error, and in front of it what the disk suffers from.
pub(crate) fn told_of(ailment: Option<Ailment>, error: &dyn std::fmt::Display) -> String {
    ailment.map_or_else(|| error.to_string(), |ailment| format!("{} ({error})", ailment.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    /// O3: each of the three has its own words, and what is no disk's fault has none.
    #[test]
    fn what_a_disk_suffers_from_is_told_in_plain_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log.db");
        std::fs::write(&file, "").unwrap();
        for (code, expected) in [
            (ffi::SQLITE_FULL, Some(Ailment::Full)),
            (ffi::SQLITE_READONLY, Some(Ailment::ReadOnly)),
            (ffi::SQLITE_READONLY_CANTINIT, Some(Ailment::ReadOnly)),
            (ffi::SQLITE_IOERR_FSYNC, Some(Ailment::Failing)),
            (ffi::SQLITE_CONSTRAINT, None),
            (ffi::SQLITE_NOTADB, None),
        ] {
            let error = sqlite(code);
            assert_eq!(Ailment::of(&error, &file), expected, "{code}");
            let told = told(&error, &file);
            assert!(told.contains(&error.to_string()), "{told}");
            assert_eq!(Ailment::named_in(&told), expected, "{told}");
        }
        for (number, expected) in
            [(28, Some(Ailment::Full)), (30, Some(Ailment::ReadOnly)), (EIO, Some(Ailment::Failing)), (13, None)]
        {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(Ailment::named_in(&told_io(&error)), expected, "{error}");
        }
    }
}
