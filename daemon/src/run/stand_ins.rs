//! The sandbox as a part of the desk: found or started, watched, and started again when it ends.
//!
//! It is a process of its own and outlives the desk, so stopping this part leaves it alone. Once the desk deals with it,
//! it comes back at the ports it had, or not yet.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millrace_actors::supervision::{Incarnation, Policy, Reporter, Scope, Tree, TreeError};
use tokio::sync::watch;
use xtra::Mailbox;

use crate::config;
use crate::sandbox::find::{FindError, find, find_or_start};
use crate::sandbox::info::Info;
use crate::sandbox::process::{Elsewhere, Timing};

/// The part's name in the tree.
const PART: &str = "sandbox";
/// How often the sandbox's market moves.
const MARKET_STEP: Duration = Duration::from_secs(1);
/// Longer than a start may take.
const START_WITHIN: Duration = Duration::from_secs(90);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So often in a row it may fail to answer; a busy machine is no dead sandbox.
const MISSES_MAX: u32 = 5;

/// Why the part starts afresh.
#[derive(Debug, thiserror::Error)]
enum Gone {
    /// It could neither be found nor started.
    #[error(transparent)]
    NotFound(#[from] FindError),
    /// Its process ended.
    #[error("the sandbox ended ({0})")]
    Ended(std::process::ExitStatus),
    /// It does not answer.
    #[error("the sandbox does not answer")]
    Silent,
    /// This program's own file is not known.
    #[error("the sandbox cannot be started: {0}")]
    NoProgram(#[from] std::io::Error),
}

/// Adds the part to the tree. The value it returns is where the sandbox is, once that is known.
pub(super) fn start(tree: &Tree, settings: &config::Sandbox) -> Result<watch::Receiver<Option<Info>>, TreeError> {
    let (known, seen) = watch::channel(None);
    let house = Arc::new(House {
        dir: settings.dir.clone(),
        timing: Timing {
            bitcoin_block: Some(settings.bitcoin_block),
            skycoin_block: Some(settings.skycoin_block),
            market_step: Some(MARKET_STEP),
        },
        known,
        child: Mutex::new(None),
    });
    let policy = Policy { start_within: START_WITHIN, ..Policy::permanent() };
    tree.add(PART, policy, move |incarnation: Incarnation<Actor>| Actor {
        house: Arc::clone(&house),
        report: incarnation.report,
        scope: incarnation.scope,
    })?;
    Ok(seen)
}

/// What every incarnation is given.
struct House {
    dir: PathBuf,
    timing: Timing,
    known: watch::Sender<Option<Info>>,
    /// The process, if this desk started it: somebody has to wait for its end.
    child: Mutex<Option<Child>>,
}

/// The actor: its work is one task of its incarnation.
struct Actor {
    house: Arc<House>,
    report: Reporter,
    scope: Scope,
}

impl xtra::Actor for Actor {
    type Stop = Result<(), Gone>;

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), Self::Stop> {
        self.house.up(&self.report).await.map_err(Err)?;
        let house = Arc::clone(&self.house);
        self.scope.spawn(async move { Err::<(), _>(house.watch().await) });
        Ok(())
    }

    async fn stopped(self) -> Self::Stop {
        Ok(())
    }
}

impl House {
    async fn up(&self, report: &Reporter) -> Result<(), Gone> {
        if let Err(gone) = self.ended() {
            tracing::info!(%gone, "starting it again");
        }
        let before = self.known.borrow().clone();
        let elsewhere = if before.is_some() { Elsewhere::Refused } else { Elsewhere::Allowed };
        let program = std::env::current_exe()?;
        let found = find_or_start(&program, &self.dir, self.timing, elsewhere).await?;
        if let Some(child) = found.child {
            tracing::info!(pid = child.id(), dir = %self.dir.display(), "the sandbox was started");
            *self.child() = Some(child);
        }
        match before {
            None => drop(self.known.send_replace(Some(found.info))),
            Some(before) if same_place(&before, &found.info) => {}
            Some(_) => report.set(PART, "the sandbox runs at other ports now; restart the desk"),
        }
        Ok(())
    }

    /// Comes back when it is gone.
    async fn watch(&self) -> Gone {
        let mut misses = 0;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(gone) = self.ended() {
                return gone;
            }
            misses = if answers(&self.dir).await { 0 } else { misses + 1 };
            if misses >= MISSES_MAX {
                return Gone::Silent;
            }
        }
    }

    /// An error when the process we started has ended; it is waited for.
    fn ended(&self) -> Result<(), Gone> {
        let mut child = self.child();
        let Some(process) = child.as_mut() else { return Ok(()) };
        match process.try_wait()? {
            None => Ok(()),
            Some(status) => {
                *child = None;
                Err(Gone::Ended(status))
            }
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answers(dir: &Path) -> bool {
    find(dir).await.is_some()
}

/// Whether whoever was told of one reaches the other.
fn same_place(one: &Info, other: &Info) -> bool {
    (&one.bitcoin, &one.skycoin, &one.c2cx) == (&other.bitcoin, &other.skycoin, &other.c2cx)
}
