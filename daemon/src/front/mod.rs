//! The front: a process without a database that holds the sockets and keeps a core behind them.
//!
//! The core does everything, the serving included: it accepts on the very same sockets. A failing disk can end it in the
//! middle of an instruction (SQLite maps its shared memory), and so can the kernel when memory runs out. Then the front
//! takes the connections itself, tells the truth, and starts another core, which goes on where that one stopped.
//!
//! The front touches no file once it runs, and ends only when it is told to: then the core ends first. Should the front be
//! killed, the kernel kills the core.

pub(crate) mod handover;
mod life;
mod page;
mod pause;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::life::{End, Life, Program};
use self::page::Absence;
use self::pause::Pauses;
use crate::config::{Config, Loaded};
use crate::listeners::{Listeners, Routers};
use crate::lock;
use crate::signals::told_to_stop;

/// Why the desk did not start: its core ended before it served, and said why itself.
#[derive(Debug, thiserror::Error)]
#[error("the desk does not start: its core ended ({0})")]
pub struct NotStarted(pub std::process::ExitStatus);

/// Runs the desk until it is told to stop. `file` is the configuration's, for the core to read it too.
pub fn run(loaded: Loaded, file: Option<&Path>) -> anyhow::Result<()> {
    let config = Arc::new(loaded.config);
    let data_dir = &config.desk.data_dir;
    std::fs::create_dir_all(data_dir).with_context(|| format!("{} cannot be made", data_dir.display()))?;
    let _lock = lock::front(data_dir)?;
    let listeners = Listeners::open(&config)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build().context("no runtime for the front")?;
    // The kernel ends a core with the thread that started it: this one, which lives as long as the process.
    runtime.block_on(async {
        let front = Front { config, listeners, absence: watch::Sender::new(Absence::Starting), tasks: JoinSet::new() };
        front.keep(&Program::of(file)).await
    })
}

/// What keeps a core alive.
struct Front {
    config: Arc<Config>,
    listeners: Listeners,
    absence: watch::Sender<Absence>,
    tasks: JoinSet<()>,
}

impl Front {
    /// Starts one core after the other until the desk is told to stop.
    async fn keep(mut self, program: &Program) -> anyhow::Result<()> {
        let stop = self.stop_when_told();
        let mut pauses = Pauses::default();
        let mut pause = Duration::ZERO;
        loop {
            let gap = self.stand_in()?;
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
            let end = match Life::begin(program, &self.listeners) {
                Ok(mut life) => match life.lived(&gap, &stop).await? {
                    Some(end) => end,
                    None => {
                        gap.cancel();
                        // Late callers are refused at once.
                        drop(self);
                        return life.end().await;
                    }
                },
                Err(error) if pauses.has_one_served() => End::before_it_began(&error),
                Err(error) => return Err(error),
            };
            gap.cancel();
            if let (false, false, Some(status)) = (end.served, pauses.has_one_served(), end.refusal()) {
                return Err(NotStarted(status).into());
            }
            pause = pauses.after(&end);
            self.absence.send_replace(if end.served { Absence::Ended } else { Absence::Failing(pauses.failures()) });
            let (lived_ms, pause_ms) = (end.lived.as_millis(), pause.as_millis());
            tracing::error!(how = end.how, lived_ms, pause_ms, "the core ended and is started again");
        }
    }

    /// The stop, which comes with a signal.
    fn stop_when_told(&mut self) -> CancellationToken {
        let stop = CancellationToken::new();
        let told = stop.clone();
        self.tasks.spawn(async move {
            told_to_stop().await;
            told.cancel();
        });
        stop
    }

    /// Answers for the core until the result is cancelled.
    fn stand_in(&mut self) -> anyhow::Result<CancellationToken> {
        // Those of the gaps before that have drained.
        while self.tasks.try_join_next().is_some() {}
        let over = CancellationToken::new();
        let (listeners, config, until) = (self.listeners.again()?, Arc::clone(&self.config), over.clone());
        let routers = Routers {
            public: page::public(self.absence.subscribe()),
            operator: page::operator(self.absence.subscribe()),
        };
        self.tasks.spawn(async move {
            if let Err(error) = listeners.serve(&config, routers, until).await {
                tracing::error!(%error, "nobody answers until the core serves again");
            }
        });
        Ok(over)
    }
}
