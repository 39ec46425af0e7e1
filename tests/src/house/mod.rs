//! Our own sources as data: which files there are, and what each of them mentions.
//!
//! Paths are found from this crate's own folder, so the tests run from anywhere. Nothing here judges; the rules
//! are in `tests/tests/purity.rs` and `tests/tests/house.rs`.

pub mod faults;
pub mod functions;
pub mod marks;
pub mod mentions;

use std::fs;
use std::path::{Path, PathBuf};

/// The crates, which are also the folders with Rust sources.
pub const CRATES: [&str; 5] = ["model", "protocols", "actors", "daemon", "tests"];

/// Folders that hold what was built or installed rather than written.
const FOREIGN_FOLDERS: [&str; 2] = ["target", "node_modules"];

/// One file of ours, read whole.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it lies below the repository's root, with `/` between folders.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Whether the file is compiled for tests alone: `tests.rs`, or anything in a `tests` or `benches` folder
    /// (the crate `tests` included).
    pub fn is_test_code(&self) -> bool {
        self.path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches"))
    }
}

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate lies in the repository's root")
}

/// Every file below `folder` (relative to the root) whose name ends in `.extension`, in order of path.
///
/// A folder that does not exist holds no files. Panics when a file cannot be read as UTF-8 text.
pub fn sources(folder: &str, extension: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(folder), extension, &mut paths);
    paths.sort();
    paths.into_iter().map(|path| read(&path)).collect()
}

/// Every Rust file of the workspace.
pub fn rust_sources() -> Vec<Source> {
    CRATES.iter().flat_map(|folder| sources(folder, "rs")).collect()
}

/// One file by its path below the root. Panics when it cannot be read.
pub fn source(path: &str) -> Source {
    read(&root().join(path))
}

fn read(path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{} is not readable: {error}", path.display()));
    let below = path.strip_prefix(root()).expect("only files below the root are listed");
    Source { path: below.to_string_lossy().replace('\\', "/"), text }
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !FOREIGN_FOLDERS.contains(&name.as_str()) {
                collect(&path, extension, found);
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}
