//! `millrace backup`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::client::Client;
use crate::new_file::{self, NewFile};

pub(super) const NOTES: &str = "\
The copy is consistent although the desk goes on working. It is the desk's whole memory: to restore it, stop the
desk and put the copy in place of log.db in the data folder (log.db-wal and log.db-shm go). Leave the head file
(desk.head_file) where it is: by it the desk knows the copy, and starts halted, new addresses included, until you say
`millrace resume NOTE`. What the copy lacks of payouts and orders is read back from the nodes and the exchange; an
address that may have been given out after the copy is not given out again. The customers' keys (desk.keys_file) are not
in it: copy that file by itself, and keep those copies for days, since who was forgotten is in them.";

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
    new_file::check_free(path)?;
    let mut response = client.open("backup", &[]).await?;
    let mut copy = Copy { file: NewFile::create(path)?, begin: Vec::new() };
    while let Some(piece) = response.chunk().await.context("the backup broke off")? {
        copy.write(&piece)?;
    }
    let bytes = copy.finish()?;
    Ok(writeln!(out, "{}: {bytes} bytes", path.display())?)
}

/// What the desk sends, as long as it is a database.
struct Copy {
    file: NewFile,
    begin: Vec<u8>,
}

impl Copy {
    fn write(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        let missing = SQLITE.len() - self.begin.len();
        self.begin.extend_from_slice(&piece[..piece.len().min(missing)]);
        Ok(self.file.write_all(piece)?)
    }

    fn finish(self) -> anyhow::Result<u64> {
        if self.begin != SQLITE {
            bail!("what the desk sent is not a database");
        }
        Ok(self.file.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::Usage;
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
