//! Reading a text file that somebody named: never more of it than makes sense, whatever it is. A device says that it is
//! empty and has no end, so a length asked for beforehand is no limit.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The whole text of a file of at most `bytes_max` bytes.
pub fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {bytes_max} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_not_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "1234é").unwrap();
        assert_eq!(read_text(&path, 6).unwrap(), "1234é");
        for too_few in [0, 4, 5] {
            assert_eq!(read_text(&path, too_few).unwrap_err().kind(), io::ErrorKind::FileTooLarge, "{too_few}");
        }
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(read_text(&path, 6).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(read_text(&folder.path().join("none"), 6).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_device_without_an_end_is_too_large() {
        assert_eq!(read_text(Path::new("/dev/zero"), 1024).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
