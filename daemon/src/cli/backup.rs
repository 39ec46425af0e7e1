//! `millrace backup`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::client::Client;
use super::exit::Usage;

pub(super) const NOTES: &str = "\
The copy is consistent although the desk goes on working. It is the desk's whole memory: to restore it, stop the
desk and put the copy in place of log.db in the data folder (log.db-wal and log.db-shm go). Leave the head file
(desk.head_file) where it is: by it the desk knows the copy, and starts halted, new addresses included, until you say
`millrace resume NOTE`. What the copy lacks of payouts and orders is read back from the nodes and the exchange; an
address that may have been given out after the copy is not given out again.";

/// What every SQLite database begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Where the copy goes.
#[derive(Debug, Args)]
pub struct Backup {
    /// A file that does not exist yet.
    path: PathBuf,
}

/// Fetches the copy. It gets its name only when it is whole and on disk.
pub async fn fetch(client: &Client, backup: &Backup, out: &mut impl Write) -> anyhow::Result<()> {
    let path = &backup.path;
    if path.exists() {
        return Err(Usage(format!("{} exists already", path.display())).into());
    }
    let mut response = client.open("backup", &[]).await?;
    let mut partial = Partial::create(path)?;
    while let Some(piece) = response.chunk().await.context("the backup broke off")? {
        partial.write(&piece)?;
    }
    let bytes = partial.finish(path)?;
    Ok(writeln!(out, "{}: {bytes} bytes", path.display())?)
}

/// A file that is removed again unless it is finished.
struct Partial {
    path: PathBuf,
    file: File,
    begin: Vec<u8>,
    bytes: u64,
}

impl Partial {
    fn create(target: &Path) -> anyhow::Result<Self> {
        let mut name = target.as_os_str().to_owned();
        name.push(".partial");
        let path = PathBuf::from(name);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self { path, file, begin: Vec::new(), bytes: 0 })
    }

    fn write(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        let missing = SQLITE.len() - self.begin.len();
        self.begin.extend_from_slice(&piece[..piece.len().min(missing)]);
        self.file.write_all(piece).with_context(|| format!("{} cannot be written", self.path.display()))?;
        self.bytes += piece.len() as u64;
        Ok(())
    }

    fn finish(self, target: &Path) -> anyhow::Result<u64> {
        if self.begin != SQLITE {
            bail!("what the desk sent is not a database");
        }
        let keep = || -> io::Result<()> {
            self.file.sync_all()?;
            // A link, unlike a rename, fails when somebody else took the name meanwhile; dropping removes the other.
            fs::hard_link(&self.path, target)?;
            let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        keep().with_context(|| format!("{} cannot be written", target.display()))?;
        Ok(self.bytes)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Desk, Kind};

    #[tokio::test]
    async fn a_backup_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let backup = Backup { path: folder.path().join("copy.db") };
        let files = || fs::read_dir(folder.path()).unwrap().count();
        for (kind, why) in [(Kind::BackupBreaksOff, "broke off"), (Kind::BackupIsNoDatabase, "not a database")] {
            let desk = Desk::start_as(kind).await;
            let error = fetch(&desk.client(), &backup, &mut Vec::new()).await.unwrap_err();
            assert!(format!("{error:#}").contains(why), "{error:#}");
            assert_eq!(files(), 0);
        }
        let desk = Desk::start().await;
        fetch(&desk.client(), &backup, &mut Vec::new()).await.unwrap();
        assert!(fs::read(&backup.path).unwrap().starts_with(SQLITE));
        assert_eq!(files(), 1);
        let again = fetch(&desk.client(), &backup, &mut Vec::new()).await.unwrap_err();
        assert!(again.is::<Usage>(), "{again:#}");
    }
}
