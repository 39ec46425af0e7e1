//! An export ([`crate::export`]) read back: into a new log, or for a look that leaves nothing behind.
//!
//! Every line is checked before anything of the file has a name; what is wrong is told with its line.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use millrace_model::export::{BadLine, End, Header, LINE_BYTES_MAX, Line, Reading};

use crate::event_store::{ImportedLog, NEWEST_LAYOUT, Reader, Unfit};

/// What the folder's name ends in until all of it is there.
const PARTIAL: &str = ".importing";
/// The log's name in its folder.
const LOG_FILE: &str = "log.db";

/// Why it is not read back.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A line is not what it should be.
    #[error("line {line}: {source}")]
    Line {
        /// Its number; 1 for the first.
        line: u64,
        /// What is wrong with it.
        source: BadLine,
    },
    /// What a line says does not fit the lines before it.
    #[error("line {line}: {source}")]
    Unfit {
        /// Its number.
        line: u64,
        /// What does not fit.
        source: Unfit,
    },
    /// All lines are right, and there is no log in them.
    #[error(
        "this is a part of a log, from which no log can be made: {0}; `replay`, `why` and `redecide` read it with --file"
    )]
    Part(&'static str),
    /// There is something already.
    #[error("{} exists and is not empty; an export is imported into a folder of its own", .0.display())]
    Taken(PathBuf),
    /// A file or folder cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was made cannot be kept.
    #[error("the log cannot be kept: {0}")]
    Keep(Unfit),
}

/// What was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What the file says of itself.
    pub header: Header,
    /// What it comes to.
    pub end: End,
}

/// Reads an export for a look: what is made of it has no name and is gone with the reader.
pub fn look_at(path: &Path) -> Result<(Reader, Imported), ImportError> {
    let mut lines = Lines::open(path)?;
    let header = lines.first()?;
    let log = ImportedLog::without_name(&header).map_err(ImportError::Keep)?;
    let (log, imported) = lines.all_into(log)?;
    Ok((log.into_reader(path), imported))
}

/// Makes a log of an export, in a folder that is not there yet, or is empty.
pub fn import(path: &Path, folder: &Path) -> Result<Imported, ImportError> {
    let mut lines = Lines::open(path)?;
    let header = lines.first()?;
    if !header.holds.is_from_the_beginning() {
        return Err(ImportError::Part("it does not begin at position 1, or holds one deposit"));
    }
    let partial = Partial::create(folder)?;
    let log = ImportedLog::in_file(&partial.0.join(LOG_FILE), &header).map_err(ImportError::Keep)?;
    let (log, imported) = lines.all_into(log)?;
    log.keep().map_err(ImportError::Keep)?;
    partial.keep(folder)?;
    Ok(imported)
}

/// A folder that is removed again unless it is kept.
struct Partial(PathBuf);

impl Partial {
    fn create(folder: &Path) -> Result<Self, ImportError> {
        let is_free = match fs::read_dir(folder) {
            Ok(mut inside) => inside.next().is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_free {
            return Err(ImportError::Taken(folder.to_owned()));
        }
        let mut name = folder.file_name().ok_or_else(|| ImportError::Taken(folder.to_owned()))?.to_owned();
        name.push(PARTIAL);
        let path = folder.with_file_name(name);
        // One that is there is of an import that was killed, or of one that goes on: nobody can tell.
        DirBuilder::new().mode(0o700).create(&path).map_err(|source| file(&path, source))?;
        Ok(Self(path))
    }

    /// Gives it its name once it is on disk. A folder that got something in it meanwhile stays as it is.
    fn keep(self, folder: &Path) -> Result<(), ImportError> {
        let flush =
            |path: &Path| File::open(path).and_then(|opened| opened.sync_all()).map_err(|source| file(path, source));
        flush(&self.0.join(LOG_FILE))?;
        flush(&self.0)?;
        fs::rename(&self.0, folder).map_err(|source| file(folder, source))?;
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        flush(parent.unwrap_or(Path::new(".")))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn file(path: &Path, source: io::Error) -> ImportError {
    ImportError::File { path: path.to_owned(), source }
}

/// The file, line by line.
struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    reading: Reading,
    number: u64,
    buffer: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, ImportError> {
        let opened = File::open(path).map_err(|source| file(path, source))?;
        let known = u32::try_from(NEWEST_LAYOUT).expect("there are a few layouts");
        let reading = Reading::begin(known);
        Ok(Self { path: path.to_owned(), file: BufReader::new(opened), reading, number: 0, buffer: Vec::new() })
    }

    /// Reads the first line, and gives back what it says.
    fn first(&mut self) -> Result<Header, ImportError> {
        let bad = |source| ImportError::Line { line: 1, source };
        if !self.advance()? {
            return Err(bad(BadLine::Foreign));
        }
        let read = self.reading.line(text(&self.buffer).map_err(bad)?).map_err(bad)?;
        match read {
            Line::Export(header) => Ok(header),
            Line::Command(_) | Line::Event(_) | Line::End(_) => Err(bad(BadLine::Foreign)),
        }
    }

    /// Reads the others into a log.
    fn all_into(mut self, mut log: ImportedLog) -> Result<(ImportedLog, Imported), ImportError> {
        while self.advance()? {
            let line = self.number;
            let bad = |source| ImportError::Line { line, source };
            let read = self.reading.line(text(&self.buffer).map_err(bad)?).map_err(bad)?;
            let taken = match &read {
                Line::Command(command) => log.command(command),
                Line::Event(event) => log.event(event),
                Line::End(_) => log.complete(),
                Line::Export(_) => Ok(()),
            };
            taken.map_err(|source| ImportError::Unfit { line, source })?;
        }
        let (header, end) =
            self.reading.finish().map_err(|source| ImportError::Line { line: self.number + 1, source })?;
        Ok((log, Imported { header, end }))
    }

    /// Reads one more line into the buffer; never more than a line may have.
    fn advance(&mut self) -> Result<bool, ImportError> {
        self.buffer.clear();
        let mut limited = (&mut self.file).take(LINE_BYTES_MAX as u64 + 1);
        let read = limited.read_until(b'\n', &mut self.buffer).map_err(|source| file(&self.path, source))?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
        } else if self.buffer.len() > LINE_BYTES_MAX {
            return Err(ImportError::Line { line: self.number, source: BadLine::TooLong });
        }
        Ok(true)
    }
}

fn text(line: &[u8]) -> Result<&str, BadLine> {
    std::str::from_utf8(line).map_err(|_| BadLine::NoText)
}
