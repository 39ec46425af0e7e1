//! `millrace notify --once`: a run of the job that tells sinks what came since the last one.

mod sinks;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::ids::TimeOrderedIds;
use millrace_actors::job::feed::{Desk, FeedError};
use millrace_actors::job::run::{Fatal, Run};
use millrace_actors::job::store::{Location, Store, StoreError};
use millrace_actors::job::summary::{Outcome, Summary};
use millrace_protocols::delivery::policy::Schedule;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Usage;
use crate::config::{self, Config, Loaded, Purpose, Secret};
use crate::logging;
use crate::signals::told_to_stop;
use crate::web::address;
use crate::web::token::Token;

pub(super) const NOTES: &str = "\
Reads what is new from a desk's operator API, tells it to each sink of [job.sinks.…], remembers in [job] database how far each
is, and ends. One summary as a line of JSON goes to standard output, everything else to standard error.

Examples:
  */5 * * * * millrace --config /etc/millrace/job.toml notify --once       in a crontab
  millrace notify --once --resume ops     try again at once a sink that was stopped or waits

Exit codes: 0 everything is well, also when another run is at work; 75 something did not arrive at some sink, the next run tries
again; 69 desk or database cannot be reached; 1 they do not do (token refused, schema of a newer version); 64 and 78 as ever.";

/// How long before its end a run begins no attempt any more: one takes 20 s at most.
const LAST_ATTEMPT: Duration = Duration::from_secs(25);

/// What to do.
#[derive(Debug, Args)]
pub struct Notify {
    /// Tell what is new, and end. Required: what runs all the time is the desk itself.
    #[arg(long)]
    once: bool,
    /// Forget first why nothing is sent to this sink, or not yet. Can be given several times.
    #[arg(long, value_name = "SINK")]
    resume: Vec<String>,
}

/// Why not everybody was told.
#[derive(Debug, thiserror::Error)]
pub enum NotTold {
    /// Something is wrong with some sinks.
    #[error("{0} of {1} sinks were not told everything; the summary says why")]
    Partly(usize, usize),
    /// Desk or database cannot be reached.
    #[error(transparent)]
    Unavailable(Fatal),
    /// They do not do.
    #[error(transparent)]
    Failed(Fatal),
}

impl From<Fatal> for NotTold {
    fn from(fatal: Fatal) -> Self {
        match &fatal {
            Fatal::Feed(FeedError::Unreachable(_)) | Fatal::Store(StoreError::Database(_) | StoreError::TooSlow) => {
                Self::Unavailable(fatal)
            }
            Fatal::Feed(FeedError::Foreign | FeedError::Token | FeedError::Nonsense(_))
            | Fatal::Store(StoreError::Newer { .. } | StoreError::Foreign | StoreError::Damaged(_)) => {
                Self::Failed(fatal)
            }
        }
    }
}

impl Notify {
    /// Makes the run.
    pub fn run(&self, file: Option<&Path>, out: &mut impl Write) -> anyhow::Result<()> {
        if !self.once {
            let sentence = "write --once: a run tells what is new and ends; cron, a timer or a cloud's scheduler starts \
                            the next. A running desk tells its subscribers by itself";
            return Err(Usage(sentence.to_owned()).into());
        }
        let loaded = config::load_for(Purpose::Job, file, std::env::vars_os())?;
        self.known(&loaded.config)?;
        logging::begin(&loaded.config.desk)?;
        // Brokers' libraries expect more threads than one.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let (summary, fatal) = runtime.context("no runtime")?.block_on(self.make(&loaded))?;
        let said = writeln!(out, "{}", serde_json::to_string(&summary)?);
        match (fatal, summary.outcome) {
            (Some(fatal), _) => Err(NotTold::from(fatal).into()),
            // Whoever reads nothing learns how it went by the exit code.
            (None, Outcome::Done) => Ok(said?),
            (None, Outcome::Partly | Outcome::Failed) => {
                let unwell = summary.sinks.iter().filter(|sink| !sink.is_well()).count();
                Err(NotTold::Partly(unwell, summary.sinks.len()).into())
            }
        }
    }

    fn known(&self, config: &Config) -> Result<(), Usage> {
        let names: Vec<_> = config.job.sinks.iter().map(|sink| sink.name.as_str()).collect();
        let unknown = self.resume.iter().find(|name| !names.contains(&name.as_str()));
        unknown.map_or(Ok(()), |_| {
            Err(Usage(format!("--resume takes one of the sinks that are configured: {}", names.join(", "))))
        })
    }

    async fn make(&self, loaded: &Loaded) -> anyhow::Result<(Summary, Option<Fatal>)> {
        let begun = Instant::now();
        let (config, clock) = (&loaded.config, Arc::new(SystemClock));
        let sinks = sinks::named(loaded, &self.resume, clock.now())?;
        let feed = Arc::new(desk(config)?);
        let store = match Store::open(&location(config)?).await {
            Ok(store) => store,
            Err(error) => {
                let fatal = Fatal::from(error);
                return Ok((Summary::of_nothing(&fatal, (clock.now(), begun.elapsed())), Some(fatal)));
            }
        };
        let stop = CancellationToken::new();
        let run = Run {
            id: Uuid::from_bytes(TimeOrderedIds(clock.clone()).command_id().0),
            feed,
            store,
            clock,
            schedule: Schedule::standard(),
            until: begun + config.job.deadline.saturating_sub(LAST_ATTEMPT),
            messages_max: config.job.max_messages,
            stop: stop.clone(),
        };
        let told = async {
            told_to_stop().await;
            stop.cancel();
            std::future::pending().await
        };
        tokio::select! {
            made = run.make(&sinks) => Ok(made),
            never = told => never,
        }
    }
}

/// The desk that is read: the one that is named, or the one of this configuration.
fn desk(config: &Config) -> anyhow::Result<Desk> {
    let url = match &config.job.source {
        Some(url) => url.to_string(),
        None => {
            // A restarted desk may have another port.
            let address = address::find(&config.desk.data_dir).unwrap_or(config.operator.listen);
            format!("http://{address}")
        }
    };
    let token = match &config.job.token {
        Some(token) => token.reveal().to_owned(),
        None => Token::load(&config.operator.token_file)
            .context("there is no job.token, and no desk with this configuration has one")?
            .reveal()
            .to_owned(),
    };
    Ok(Desk::new(&url, token)?)
}

fn location(config: &Config) -> anyhow::Result<Location> {
    let text = config.job.database.as_ref().map_or("", Secret::reveal);
    Ok(Location::parse(text)?)
}
