//! Two desks on one log would pay twice; a lock ends with its process, however that ends.
//!
//! There are two, because a desk is two processes: the front's refuses a second desk at once, the core's makes a new core
//! wait until the one before it is really gone.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// A core that was killed is gone within milliseconds; one that hangs in its disk may take for ever.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// For the front: taken at once or not at all.
pub(crate) fn front(data_dir: &Path) -> anyhow::Result<File> {
    match take(&data_dir.join("lock"))? {
        Some(lock) => Ok(lock),
        None => bail!("another desk runs on {}", data_dir.display()),
    }
}

/// For the core.
pub(crate) fn core(data_dir: &Path) -> anyhow::Result<File> {
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        if let Some(lock) = take(&data_dir.join("core.lock"))? {
            return Ok(lock);
        }
        if Instant::now() > deadline {
            bail!("the core that ran before on {} is still there", data_dir.display());
        }
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing runs in the process yet")]
fn pause() {
    std::thread::sleep(LOOK_EVERY);
}

fn take(path: &Path) -> anyhow::Result<Option<File>> {
    let file = open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).context("the lock cannot be taken"),
    }
}

/// Opened for reading: that works on a disk that is read-only, and keeps nobody from making it so.
fn open(path: &Path) -> io::Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            drop(File::create(path)?);
            File::open(path)
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_front_is_refused_and_a_new_core_waits_for_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let first = front(folder.path()).unwrap();
        assert!(front(folder.path()).unwrap_err().to_string().contains("another desk runs"));
        drop(first);
        front(folder.path()).unwrap();
        let old = core(folder.path()).unwrap();
        std::thread::scope(|threads| {
            let new = threads.spawn(|| core(folder.path()).map(drop));
            drop(old);
            new.join().unwrap().unwrap();
        });
    }
}
