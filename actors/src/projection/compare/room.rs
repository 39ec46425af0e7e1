//! The room for what is made beside the views of a desk that runs: they are on the log's disk as a rule, and without room there
//! nothing is paid.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

use super::CompareError;
use crate::projection::build::Build;
use crate::projection::catalog::Projection;

/// What is made beside takes less room than what is shown, which has indexes, too. Where it is little, this much is let pass.
const VIEWS_BYTES_LEAST: u64 = 256 << 20;
/// Of what is free on the disk it may take this part.
const FREE_PART: u64 = 4;
/// With less than this it is not begun.
const BYTES_LEAST: u64 = 16 << 20;
/// How its file is called, after the views'.
const BESIDE: &str = "-beside";

/// Room beside the views.
#[derive(Debug)]
pub(super) struct Room {
    file: PathBuf,
    limit: Limit,
}

/// How many bytes there may be, and what says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Views(u64),
    Disk(u64),
}

impl Room {
    /// Asks for what there is now.
    pub(super) fn beside(views: &Path) -> Result<Self, CompareError> {
        let folder = views.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let disk = statvfs(folder).map_err(io::Error::from)?;
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        let mut file = views.as_os_str().to_owned();
        file.push(BESIDE);
        Ok(Self { file: file.into(), limit: Limit::of(fs::metadata(views)?.len(), free_bytes)? })
    }

    /// Begins to make these in a file that has no name any more once it is open: whatever ends the process, its room is free again.
    pub(super) fn begin(&self, wanted: &[Projection]) -> Result<Build, CompareError> {
        // A process may have ended between the two.
        self.take_name_away()?;
        let begun = Build::scratch_within(&self.file, wanted, self.limit.bytes());
        self.take_name_away()?;
        Ok(begun?)
    }

    fn take_name_away(&self) -> io::Result<()> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Why it ends when all of it is taken.
    pub(super) const fn is_taken(&self) -> CompareError {
        match self.limit {
            Limit::Views(bytes) => CompareError::NoRoom(bytes),
            Limit::Disk(bytes) => CompareError::DiskShort(bytes),
        }
    }
}

impl Limit {
    fn of(views_bytes: u64, free_bytes: u64) -> Result<Self, CompareError> {
        let of_views = views_bytes.saturating_mul(2).max(VIEWS_BYTES_LEAST);
        match free_bytes / FREE_PART {
            of_disk if of_disk < BYTES_LEAST => Err(CompareError::DiskShort(of_disk)),
            of_disk if of_disk < of_views => Ok(Self::Disk(of_disk)),
            _ => Ok(Self::Views(of_views)),
        }
    }

    const fn bytes(self) -> u64 {
        match self {
            Self::Views(bytes) | Self::Disk(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::views::ViewError;

    const MIB: u64 = 1 << 20;

    fn limit(views_mib: u64, free_mib: u64) -> Result<Limit, CompareError> {
        Limit::of(views_mib * MIB, free_mib * MIB)
    }

    #[test]
    fn three_quarters_of_what_is_free_are_left_to_the_desk() {
        assert_eq!(limit(3_000, 100_000).unwrap(), Limit::Views(6_000 * MIB));
        assert_eq!(limit(3_000, 8_000).unwrap(), Limit::Disk(2_000 * MIB));
        assert_eq!(limit(1, 100_000).unwrap(), Limit::Views(256 * MIB));
        assert_eq!(limit(1, 400).unwrap(), Limit::Disk(100 * MIB));
        let short = limit(1, 63).unwrap_err();
        assert!(matches!(short, CompareError::DiskShort(_)) && short.to_string().contains("15 MiB are not enough"));
    }

    fn room(folder: &Path, limit: Limit) -> Room {
        Room { file: folder.join("views.db-beside"), limit }
    }

    #[test]
    fn what_is_made_has_no_name_and_what_was_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let names = || fs::read_dir(folder.path()).unwrap().count();
        fs::write(folder.path().join("views.db-beside"), b"what a killed process left").unwrap();
        let room = room(folder.path(), Limit::Views(MIB));
        let build = room.begin(&Projection::ALL).unwrap();
        assert_eq!(names(), 0);
        let held = "CREATE TABLE more (bytes BLOB); INSERT INTO more VALUES (zeroblob(300000))";
        build.connection().execute_batch(held).unwrap();
        let beyond = build.connection().execute_batch("INSERT INTO more VALUES (zeroblob(800000))").unwrap_err();
        assert_eq!(beyond.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull));
        assert_eq!(names(), 0, "nor has anything beside it");
    }

    #[test]
    fn where_not_even_the_tables_fit_nothing_is_left_either() {
        let folder = tempfile::tempdir().unwrap();
        let Err(CompareError::Made(error)) = room(folder.path(), Limit::Disk(4 * 4_096)).begin(&Projection::ALL) else {
            panic!("its tables alone take more")
        };
        assert!(matches!(error, crate::projection::ProjectionError::View(ViewError::Written(_))), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
