//! A file that appears whole or not at all, and never in place of another.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::cli::Usage;

/// A file without its name. It is removed again unless it is finished.
#[derive(Debug)]
pub struct NewFile {
    target: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

/// Refuses a name that is taken, before any work is done.
pub fn check_free(target: &Path) -> Result<(), Usage> {
    // What cannot be looked for may be there.
    if target.try_exists().unwrap_or(true) {
        return Err(Usage(format!("{} exists already", target.display())));
    }
    Ok(())
}

impl NewFile {
    /// Begins a file that only its owner can read.
    pub fn create(target: &Path) -> io::Result<Self> {
        let mut name = target.as_os_str().to_owned();
        name.push(".partial");
        let partial = PathBuf::from(name);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
        let file = BufWriter::new(file.map_err(|error| named(&partial, error))?);
        Ok(Self { target: target.to_owned(), partial, file, bytes: 0 })
    }

    /// Gives the file its name once it is on disk; tells how many bytes it has.
    pub fn finish(mut self) -> io::Result<u64> {
        let mut keep = || -> io::Result<()> {
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            // A link, unlike a rename, fails when somebody else took the name meanwhile; dropping removes the other.
            fs::hard_link(&self.partial, &self.target)?;
            let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        keep().map_err(|error| named(&self.target, error))?;
        Ok(self.bytes)
    }
}

impl Write for NewFile {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let written = self.file.write(piece).map_err(|error| named(&self.partial, error))?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(|error| named(&self.partial, error))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.partial);
    }
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{} cannot be written: {error}", path.display()))
}
