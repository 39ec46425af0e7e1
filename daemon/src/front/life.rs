//! One core's life, from its start to its end.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::handover;
use crate::listeners::Listeners;

/// The core's ordered stop takes at most some five seconds; one that hangs in its disk is not waited for.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// Why a stop was not an ordered one.
#[derive(Debug, thiserror::Error)]
#[error("the core ended badly ({0})")]
struct EndedBadly(ExitStatus);

/// How to start a core.
#[derive(Debug)]
pub(super) struct Program {
    configuration: Option<PathBuf>,
}

impl Program {
    /// This very program, with its configuration file.
    pub(super) fn of(configuration: Option<&Path>) -> Self {
        Self { configuration: configuration.map(Path::to_owned) }
    }

    fn command(&self) -> Command {
        // Not its path: that may lead to another version by the time a core is started again, or nowhere.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("millrace").arg("core").kill_on_drop(true);
        if let Some(file) = &self.configuration {
            command.arg("--config").arg(file);
        }
        command
    }
}

/// A core that runs.
#[derive(Debug)]
pub(super) struct Life {
    process: Child,
    /// Says when it serves.
    says: UnixStream,
    began: Instant,
}

/// How a core ended.
#[derive(Debug)]
pub(super) struct End {
    /// Whether it ever served.
    pub served: bool,
    /// How long it lived.
    pub lived: Duration,
    /// What the system says; nothing of one that never began.
    pub status: Option<ExitStatus>,
    /// The same in words.
    pub how: String,
}

impl End {
    /// Of a core that could not be started.
    pub(super) fn before_it_began(error: &anyhow::Error) -> Self {
        Self { served: false, lived: Duration::ZERO, status: None, how: format!("{error:#}") }
    }

    /// When it ended of its own will, with a reason that it has said.
    pub(super) fn refusal(&self) -> Option<ExitStatus> {
        self.status.filter(is_refusal)
    }
}

fn is_refusal(status: &ExitStatus) -> bool {
    status.code().is_some_and(|code| code != 0)
}

impl Life {
    /// Starts a core and gives it the sockets.
    pub(super) fn begin(program: &Program, listeners: &Listeners) -> anyhow::Result<Self> {
        let (ours, theirs) = StdStream::pair().context("no socket for the core")?;
        let process = program.command().stdin(Stdio::from(OwnedFd::from(theirs))).spawn();
        let process = process.context("the core cannot be started")?;
        let sockets = [&listeners.public.listener, &listeners.operator.listener];
        handover::send(&ours, sockets).context("the core cannot be given its sockets")?;
        ours.set_nonblocking(true)?;
        Ok(Self { process, says: UnixStream::from_std(ours)?, began: Instant::now() })
    }

    /// Waits for its end, or for the stop: then there is none yet. Once it serves, `gap` is cancelled.
    pub(super) async fn lived(&mut self, gap: &CancellationToken, stop: &CancellationToken) -> io::Result<Option<End>> {
        let mut served = false;
        let ended = stop.run_until_cancelled(self.wait(|| {
            served = true;
            gap.cancel();
        }));
        let Some(status) = ended.await.transpose()? else { return Ok(None) };
        Ok(Some(End { served, lived: self.began.elapsed(), status: Some(status), how: status.to_string() }))
    }

    async fn wait(&mut self, serves: impl FnOnce()) -> io::Result<ExitStatus> {
        let mut word = [0];
        tokio::select! {
            biased;
            // When it has nothing more to say it has ended, which is waited for below.
            said = self.says.read_exact(&mut word) => if said.is_ok() { serves() },
            status = self.process.wait() => return status,
        }
        self.process.wait().await
    }

    /// Tells it to end, and ends it when it does not.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        let id = self.process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        // One that has ended meanwhile is found ended.
        let _ = id.map(|id| kill_process(id, Signal::TERM));
        let status = match tokio::time::timeout(ENDS_WITHIN, self.process.wait()).await {
            Ok(status) => status?,
            Err(_) => {
                tracing::error!("the core does not end and is killed");
                self.process.start_kill()?;
                self.process.wait().await?
            }
        };
        // The signal may have met one that did not listen for it yet.
        if is_refusal(&status) { Err(EndedBadly(status).into()) } else { Ok(()) }
    }
}
