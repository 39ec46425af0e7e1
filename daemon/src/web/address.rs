//! Where the running desk's operator API listens, left in the data folder for the command line.
//!
//! The configuration is not enough: port 0 means any free one.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The file in the data folder.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("operator.address")
}

/// Writes the address, once the listener is bound, unless it is there already.
pub fn publish(data_dir: &Path, address: SocketAddr) -> io::Result<()> {
    if find(data_dir) == Some(address) {
        return Ok(());
    }
    fs::create_dir_all(data_dir)?;
    let beside = data_dir.join("operator.address.new");
    fs::write(&beside, format!("{address}\n"))?;
    fs::rename(&beside, path(data_dir))
}

/// The address of the desk that was started last; `None` when none was, or the file is not one.
pub fn find(data_dir: &Path) -> Option<SocketAddr> {
    fs::read_to_string(path(data_dir)).ok()?.trim().parse().ok()
}

/// Takes the address away when the desk stops. A desk that crashed leaves it behind, which does no harm.
pub fn withdraw(data_dir: &Path) {
    let _ = fs::remove_file(path(data_dir));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_found_until_it_is_withdrawn() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        assert_eq!(find(&data_dir), None);
        let address = "127.0.0.1:4711".parse().unwrap();
        publish(&data_dir, address).unwrap();
        assert_eq!(find(&data_dir), Some(address));
        withdraw(&data_dir);
        assert_eq!(find(&data_dir), None);
    }
}
