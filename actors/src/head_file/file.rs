//! The file itself: two lines, the head and a digest of it; replaced as a whole, and on the disk when that is said.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use millrace_model::head::Head;
use millrace_model::ids::Hash32;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The file's form. One of a newer form is left alone.
const FORM: u32 = 1;
/// A head is much smaller; what is larger is something else.
const BYTES_MAX: u64 = 4_096;

/// Why the file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The system says no.
    #[error("{path} cannot be {what}: {cause}")]
    System {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system says.
        cause: String,
    },
    /// It is no head, or a digit of it changed.
    #[error("{0} is not a whole head file; if it cannot be put right, remove it: the desk then starts as from a copy")]
    Damaged(PathBuf),
    /// A newer version of the desk wrote it.
    #[error("{path} has form {found}, this version knows {FORM}; start the newer version again")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: u32,
    },
    /// Something else than was written stands there.
    #[error("{0} was changed by somebody else; does another desk have the same desk.head_file?")]
    Strange(PathBuf),
}

#[derive(Serialize, Deserialize)]
struct Form {
    form: u32,
}

#[derive(Serialize, Deserialize)]
struct Line {
    form: u32,
    head: Head,
}

/// Where the head is kept, and what was last seen or tried there.
#[derive(Debug)]
pub(super) struct HeadPath {
    path: PathBuf,
    /// One of these stands there, unless somebody else wrote: after a failed attempt it is not known which.
    known: Vec<Head>,
}

impl HeadPath {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, known: Vec::new() }
    }

    /// What stands there, and is ours from now on; `None` when there is no file.
    pub(super) fn read(&mut self) -> Result<Option<Head>, FileError> {
        let found = self.look()?;
        self.known = found.iter().cloned().collect();
        Ok(found)
    }

    /// Puts a head there. Nothing is written over what somebody else has written meanwhile.
    pub(super) fn replace(&mut self, head: &Head) -> Result<(), FileError> {
        let found = self.look()?;
        if found.as_ref().is_some_and(|found| !self.known.contains(found)) {
            return Err(FileError::Strange(self.path.clone()));
        }
        self.known = found.into_iter().chain([head.clone()]).collect();
        self.write(head).map_err(|cause| self.failed("written", &cause))?;
        self.known = vec![head.clone()];
        Ok(())
    }

    fn look(&self) -> Result<Option<Head>, FileError> {
        let mut text = String::new();
        match File::open(&self.path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text)) {
            Ok(_) => parse(&self.path, &text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(FileError::Damaged(self.path.clone())),
            Err(error) => Err(self.failed("read", &error)),
        }
    }

    /// A crash leaves the old file or the new one, and the new one only when it is whole.
    fn write(&self, head: &Head) -> io::Result<()> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text(head).as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn failed(&self, what: &'static str, cause: &io::Error) -> FileError {
        FileError::System { path: self.path.clone(), what, cause: cause.to_string() }
    }
}

fn text(head: &Head) -> String {
    let line = serde_json::to_string(&Line { form: FORM, head: head.clone() }).expect("a head has text keys");
    format!("{line}\n{}\n", digest(&line))
}

fn digest(line: &str) -> Hash32 {
    Hash32(Sha256::digest(line).into())
}

fn parse(path: &Path, text: &str) -> Result<Head, FileError> {
    let damaged = || FileError::Damaged(path.to_owned());
    let mut lines = text.lines();
    let (Some(line), Some(check), None) = (lines.next(), lines.next(), lines.next()) else { return Err(damaged()) };
    if digest(line).to_string() != check {
        return Err(damaged());
    }
    let Form { form } = serde_json::from_str(line).map_err(|_| damaged())?;
    if form > FORM {
        return Err(FileError::Newer { path: path.to_owned(), found: form });
    }
    let Line { head, .. } = serde_json::from_str(line).map_err(|_| damaged())?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn head(position: u64) -> Head {
        Head { log: Some(Hash32([1; 32])), position, hash: Hash32([2; 32]), next_index: 1_200 }
    }

    fn place() -> (tempfile::TempDir, HeadPath) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.head");
        (folder, HeadPath::new(path))
    }

    #[test]
    fn a_head_comes_back_as_it_was_written_and_is_nobody_elses_to_read() {
        let (_folder, mut file) = place();
        assert_eq!(file.read(), Ok(None));
        file.replace(&head(7)).unwrap();
        file.replace(&head(8)).unwrap();
        assert_eq!(HeadPath::new(file.path.clone()).read(), Ok(Some(head(8))));
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn every_changed_byte_is_noticed_and_a_newer_form_is_left_alone() {
        let (_folder, mut file) = place();
        file.replace(&head(7)).unwrap();
        let whole = fs::read(&file.path).unwrap();
        for at in 0..whole.len() - 1 {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&file.path, &changed).unwrap();
            assert_eq!(file.read(), Err(FileError::Damaged(file.path.clone())), "byte {at}");
        }
        for text in ["", "{}\n", "\u{0}"] {
            fs::write(&file.path, text).unwrap();
            assert_eq!(file.read(), Err(FileError::Damaged(file.path.clone())), "{text:?}");
        }
        let line = r#"{"form":2,"anything":"else"}"#;
        fs::write(&file.path, format!("{line}\n{}\n", digest(line))).unwrap();
        assert_eq!(file.read(), Err(FileError::Newer { path: file.path.clone(), found: 2 }));
        assert!(file.replace(&head(9)).is_err(), "and is not written over");
    }

    #[test]
    fn what_somebody_else_wrote_is_not_written_over_and_a_lost_file_is_made_again() {
        let (_folder, mut file) = place();
        file.replace(&head(7)).unwrap();
        let mut other = HeadPath::new(file.path.clone());
        other.read().unwrap();
        other.replace(&head(70)).unwrap();
        assert_eq!(file.replace(&head(8)), Err(FileError::Strange(file.path.clone())));
        fs::remove_file(&file.path).unwrap();
        file.replace(&head(8)).unwrap();
        assert_eq!(file.read(), Ok(Some(head(8))));
    }

    #[test]
    fn after_a_failed_write_either_head_is_ours() {
        let (folder, mut file) = place();
        file.replace(&head(7)).unwrap();
        fs::create_dir(folder.path().join("data.head.new")).unwrap();
        assert!(matches!(file.replace(&head(8)), Err(FileError::System { what: "written", .. })));
        fs::remove_dir(folder.path().join("data.head.new")).unwrap();
        file.replace(&head(9)).unwrap();
        assert_eq!(file.read(), Ok(Some(head(9))));
    }
}
