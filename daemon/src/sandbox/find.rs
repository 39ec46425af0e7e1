//! Finding the sandbox that runs in a folder, or starting one that outlives whoever started it.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use super::client::Client;
use super::info::Info;
use super::process::{Elsewhere, Timing};

/// A sandbox on this machine answers at once, or it is not there.
const PATIENCE: Duration = Duration::from_secs(2);
/// Opening long chains on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(30);
const LOG_FILE: &str = "sandbox.log";
/// So much of the log's end goes into an error.
const LOG_TAIL_CHARS: usize = 500;

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The program cannot be started.
    #[error("the sandbox cannot be started: {0}")]
    Spawn(#[from] io::Error),
    /// It started and ended.
    #[error("the sandbox ended as it started; {log} says: {tail}", log = log.display())]
    Ended {
        /// Its log.
        log: PathBuf,
        /// The log's end.
        tail: String,
    },
    /// It neither ended nor answered.
    #[error("the sandbox did not answer within {} s; see {}", START_PATIENCE.as_secs(), .0.display())]
    Slow(PathBuf),
}

/// The sandbox that runs in the folder and answers.
pub async fn find(dir: &Path) -> Option<Info> {
    let info = Info::read(dir)?;
    let client = Client::with_patience(&info, PATIENCE).ok()?;
    let status = client.get("/status").await.ok()?;
    // Another program, or another sandbox, may listen on a crashed one's port.
    let theirs: Info = serde_json::from_value(status["info"].clone()).ok()?;
    (theirs == info).then_some(info)
}

/// The sandbox of the folder; when none runs, `program` (the caller's own file, usually) is started as
/// `sandbox run --dir …`, in a process group of its own, so that it survives the desk and an interrupt from the
/// terminal.
///
/// With [`Elsewhere::Refused`] it comes back where it was before, or not at all.
pub async fn find_or_start(
    program: &Path,
    dir: &Path,
    timing: Timing,
    elsewhere: Elsewhere,
) -> Result<Found, FindError> {
    if let Some(info) = find(dir).await {
        return Ok(Found { info, child: None });
    }
    fs::create_dir_all(dir)?;
    let mut child = spawn(program, dir, timing, elsewhere)?;
    let info = wait(dir, &mut child).await?;
    Ok(Found { info, child: Some(child) })
}

/// A sandbox that answers.
#[derive(Debug)]
pub struct Found {
    /// Where it is.
    pub info: Info,
    /// Its process, when it was started just now: whoever holds this has to wait for its end, or it stays a zombie
    /// until he ends himself.
    pub child: Option<Child>,
}

fn spawn(program: &Path, dir: &Path, timing: Timing, elsewhere: Elsewhere) -> io::Result<Child> {
    let log = File::create(dir.join(LOG_FILE))?;
    let mut command = Command::new(program);
    command.args(["sandbox", "run", "--dir"]).arg(dir);
    for (flag, every) in [
        ("--bitcoin-block-ms", timing.bitcoin_block),
        ("--skycoin-block-ms", timing.skycoin_block),
        ("--market-step-ms", timing.market_step),
    ] {
        // Zero is "on demand only".
        command.arg(flag).arg(every.map_or(0, |every| every.as_millis()).to_string());
    }
    if elsewhere == Elsewhere::Refused {
        command.arg("--keep-ports");
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0).spawn()
}

async fn wait(dir: &Path, child: &mut Child) -> Result<Info, FindError> {
    let begin = Instant::now();
    loop {
        let ended = child.try_wait()?.is_some();
        // One that ended may have found another one that had just started.
        if let Some(info) = find(dir).await {
            return Ok(info);
        }
        let log = dir.join(LOG_FILE);
        if ended {
            return Err(FindError::Ended { tail: tail(&log), log });
        }
        if begin.elapsed() > START_PATIENCE {
            return Err(FindError::Slow(log));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let skip = text.chars().count().saturating_sub(LOG_TAIL_CHARS);
    text.chars().skip(skip).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_ends_at_once_is_reported_with_what_it_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = spawn(Path::new("/bin/echo"), folder.path(), Timing::ON_DEMAND, Elsewhere::Allowed).unwrap();
        match wait(folder.path(), &mut child).await {
            Err(FindError::Ended { tail, .. }) => assert!(tail.starts_with("sandbox run --dir "), "{tail}"),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn an_empty_folder_has_no_sandbox() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(folder.path()).await, None);
        fs::write(Info::path(folder.path()), "{").unwrap();
        assert_eq!(find(folder.path()).await, None);
    }
}
