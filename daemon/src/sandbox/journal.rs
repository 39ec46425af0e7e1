//! What a sandbox server keeps on disk: a journal of everything that changed it, replayed when it starts.
//!
//! One JSON value a line, flushed to the operating system before the server answers, so that the books survive the
//! process. A torn last line (the process died while writing) is cut off; any other broken line is an error.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};

/// An append-only file of entries.
#[derive(Debug)]
pub struct Journal {
    file: File,
}

impl Journal {
    /// Opens or creates the journal and hands every entry in it to `apply`, oldest first.
    pub fn open<E: DeserializeOwned>(path: &Path, mut apply: impl FnMut(E)) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut whole_bytes = 0;
        let mut reader = BufReader::new(&file);
        let mut line = String::new();
        loop {
            line.clear();
            let read_bytes = reader.read_line(&mut line)?;
            if read_bytes == 0 || !line.ends_with('\n') {
                break;
            }
            let entry = serde_json::from_str(&line)
                .map_err(|e| io::Error::other(format!("{} at byte {whole_bytes}: {e}", path.display())))?;
            apply(entry);
            whole_bytes += read_bytes as u64;
        }
        file.set_len(whole_bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file })
    }

    /// Writes one entry, in one write.
    pub fn append<E: Serialize>(&mut self, entry: &E) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_cut_off_and_the_rest_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, |_: u32| {}).unwrap();
        journal.append(&1u32).unwrap();
        journal.append(&2u32).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"33").unwrap();

        let mut seen = Vec::new();
        let mut journal = Journal::open(&path, |entry: u32| seen.push(entry)).unwrap();
        assert_eq!(seen, [1, 2]);
        journal.append(&4u32).unwrap();
        let mut seen = Vec::new();
        Journal::open(&path, |entry: u32| seen.push(entry)).unwrap();
        assert_eq!(seen, [1, 2, 4]);
    }
}
