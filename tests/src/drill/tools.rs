//! What this machine permits: other programs, and what only root may do.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::desk::signal;
use crate::process::{has_ended, is_traced, pause};

/// Where Debian keeps the library of its package faketime.
const FAKETIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];
/// How long a strace has to take hold, and what waits for it meanwhile in the trial.
const TAKES_HOLD_WITHIN: Duration = Duration::from_secs(10);
const TRIAL_S: &str = "30";
/// How long a strace has to let go. One whose process has ended may not notice, and keeps it from being buried.
const LETS_GO_WITHIN: Duration = Duration::from_millis(300);
/// Processes that were killed let go of the disk soon, and others of a loop device that we were about to take.
const MOUNTED_WITHIN: Duration = Duration::from_secs(10);

/// What can be used.
#[derive(Debug)]
pub(super) struct Tools {
    /// strace, with the permission to trace.
    pub strace: bool,
    /// A file system of our own whose power can be cut: root, loop devices, ext4, xfs_io.
    pub disk: bool,
    /// The library that makes a process see another time.
    pub faketime: Option<PathBuf>,
}

impl Tools {
    /// Looks for them by using them.
    pub(super) fn look() -> Self {
        Self {
            strace: works("strace", &["-V"]) && Strace::try_out().is_ok(),
            disk: works("xfs_io", &["-V"]) && works("mkfs.ext4", &["-V"]) && Disk::try_out().is_ok(),
            faketime: FAKETIME.iter().map(PathBuf::from).find(|path| path.exists()),
        }
    }
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a program to its end.
fn run(program: &str, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{program} cannot be run"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{program} {arguments:?}: {}: {said}", output.status);
    Ok(output)
}

/// Does something that may be in somebody's way for a while.
fn sooner_or_later(what: impl Fn() -> Result<()>) -> Result<()> {
    let deadline = Instant::now() + MOUNTED_WITHIN;
    while let Err(error) = what() {
        ensure!(Instant::now() < deadline, "{error:#}");
        pause();
    }
    Ok(())
}

/// A strace on every thread of a process; it lets go when it is dropped.
#[derive(Debug)]
pub(super) struct Strace(Child);

impl Strace {
    /// Does something to system calls, as strace's `inject=` says.
    pub(super) fn inject(process: u32, calls: &str, what: &str) -> Result<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
        command.args(["-e", &format!("inject={calls}:{what}"), "-p", &process.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut strace = Self(command.spawn().context("strace cannot be run")?);
        strace.wait_for_hold(process)?;
        Ok(strace)
    }

    /// A process may have ended, or be ended by what was injected, as soon as strace has it.
    fn wait_for_hold(&mut self, process: u32) -> Result<()> {
        let deadline = Instant::now() + TAKES_HOLD_WITHIN;
        while !is_traced(process) && !has_ended(process) {
            ensure!(matches!(self.0.try_wait(), Ok(None)) || has_ended(process), "strace may not trace {process}");
            ensure!(Instant::now() < deadline, "strace does not get hold of {process}");
            pause();
        }
        Ok(())
    }

    /// It takes more to trace a process that is not one's own child, as all of them are here.
    fn try_out() -> Result<()> {
        let mut other = Command::new("sleep").arg(TRIAL_S).stdin(Stdio::null()).spawn()?;
        let tried = Self::inject(other.id(), "fsync", "error=EIO").map(drop);
        other.kill()?;
        other.wait()?;
        tried
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // Interrupted it lets go between two system calls; the kernel lets go for one that is killed. It may have ended with
        // its process.
        let _ = signal("INT", self.0.id());
        let deadline = Instant::now() + LETS_GO_WITHIN;
        while matches!(self.0.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.0.kill();
            }
            pause();
        }
    }
}

fn make_image(image: &Path, mib: u32) -> Result<()> {
    std::fs::File::create(image)?.set_len(u64::from(mib) * 1_024 * 1_024)?;
    run("mkfs.ext4", &["-q", "-m", "0", &image.to_string_lossy()]).map(drop)
}

fn mount(image: &Path, at: &Path) -> Result<()> {
    run("mount", &["-o", "loop", &image.to_string_lossy(), &at.to_string_lossy()]).map(drop)
}

/// A disk of our own: ext4 in a file. It is unmounted when it is dropped; nobody may have a file open on it by then.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    at: PathBuf,
}

impl Disk {
    /// Makes one of so many MiB, in the file `image`, mounted at a folder that is there; nothing where that is not permitted.
    pub fn where_permitted(image: &Path, at: &Path, mib: u32) -> Result<Option<Self>> {
        Tools::look().disk.then(|| Self::mount(image, at, mib)).transpose()
    }

    /// Makes one and mounts it.
    pub(super) fn mount(image: &Path, at: &Path, mib: u32) -> Result<Self> {
        make_image(image, mib)?;
        // All loop devices may be taken for a moment.
        sooner_or_later(|| mount(image, at))?;
        Ok(Self { image: image.to_owned(), at: at.to_owned() })
    }

    fn try_out() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (image, at) = (folder.path().join("image"), folder.path().join("at"));
        std::fs::create_dir(&at)?;
        make_image(&image, 16)?;
        mount(&image, &at)?;
        drop(Self { image, at });
        Ok(())
    }

    /// What was not flushed is gone, and nothing can be read or written any more.
    pub(super) fn cut_power(&self) -> Result<()> {
        run("xfs_io", &["-x", "-c", "shutdown", &self.at.to_string_lossy()]).map(drop)
    }

    /// Power is back. Nobody may have a file open on it.
    pub(super) fn power_up(&self) -> Result<()> {
        self.unmount()?;
        sooner_or_later(|| mount(&self.image, &self.at))
    }

    fn unmount(&self) -> Result<()> {
        sooner_or_later(|| run("umount", &[&self.at.to_string_lossy()]).map(drop))
    }

    /// Fills it but for so many bytes.
    pub fn fill_but_for(&self, bytes: u64) -> Result<()> {
        self.fill()?;
        let filler = std::fs::File::options().write(true).open(self.filler())?;
        let length = filler.metadata()?.len();
        Ok(filler.set_len(length.checked_sub(bytes).context("there is less room than that")?)?)
    }

    /// Fills it to the last block.
    pub fn fill(&self) -> Result<()> {
        let filler = self.filler();
        std::fs::File::create(&filler)?;
        let mut bytes = 1u64 << 32;
        while bytes >= 4_096 {
            let at = std::fs::metadata(&filler)?.len();
            let (offset, length) = (at.to_string(), bytes.to_string());
            if run("fallocate", &["-o", &offset, "-l", &length, &filler.to_string_lossy()]).is_err() {
                // One that failed may have grown the file without blocks behind it.
                std::fs::File::options().write(true).open(&filler)?.set_len(at)?;
                bytes /= 2;
            }
        }
        Ok(())
    }

    /// Makes room again.
    pub fn make_room(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    /// Lets nobody write, while nobody has a file open for writing; or lets everybody again.
    pub(super) fn remount(&self, how: &str) -> Result<()> {
        let at = self.at.to_string_lossy();
        sooner_or_later(|| run("mount", &["-o", &format!("remount,{how}"), &at]).map(drop))
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = self.unmount() {
            eprintln!("{error:#}");
        }
    }
}
