//! `millrace rebuild`: has the running desk make projections anew, or makes them where none runs.

mod progress;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use millrace_actors::projection::{self, Projection, Rebuild as HowFar};
use serde_json::json;

use super::client::Client;
use crate::config::Config;
use crate::escape::escaped;
use crate::lock;
use crate::run::{LOG_FILE, VIEWS_FILE};
use crate::web::shapes::{ALL_PROJECTIONS, ProjectionPage, ProjectionRow};
use progress::Progress;

pub(super) const NOTES: &str = "\
Projections are what the desk keeps of its log for pages and APIs: deposits, addresses, ledger, statistics,
notifications, pace and names. One that is made anew lies beside what is shown until it is as far as the log, and takes its place in one
moment; nobody sees an empty page. The desk may run, or not: a running one does it itself. What is cut off is gone on with the next time.

--verify makes them in a database of its own, up to the event that is shown, and writes nothing.
Exit codes: 0 done, and with --verify nothing differs; 1 it failed, or something differs, the first of it named;
64 there is no such projection.

Examples:
  millrace rebuild --all
  millrace rebuild ledger statistics
  millrace rebuild --all --verify";

/// The pause between two questions to the desk.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Which projections.
#[derive(Debug, Args)]
pub struct Rebuild {
    /// Their names: deposits, addresses, ledger, statistics, notifications, pace, names.
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    names: Vec<Projection>,
    /// All of them.
    #[arg(long)]
    all: bool,
    /// Compare what is shown with what the log comes to, and change nothing.
    #[arg(long)]
    verify: bool,
}

impl Rebuild {
    /// Does it. `asked` waits for an answer of the running desk.
    pub fn run(&self, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
        let folder = &config.desk.data_dir;
        let (log, views) = (folder.join(LOG_FILE), folder.join(VIEWS_FILE));
        if !log.try_exists().with_context(|| format!("{} cannot be looked at", log.display()))? {
            bail!("there is no log {}", log.display());
        }
        if self.verify {
            return self.compare((&log, &views), out);
        }
        match lock::front(folder) {
            Ok(front) => {
                let _core = lock::core(folder)?;
                let made = self.make((&log, &views), out);
                drop(front);
                made
            }
            Err(_) => super::start::ask(self.have_made(&Client::new(config)?, out)),
        }
    }

    fn projections(&self) -> Vec<Projection> {
        let mut wanted = if self.all { Projection::ALL.to_vec() } else { self.names.clone() };
        wanted.sort();
        wanted.dedup();
        wanted
    }

    fn compare(&self, files: (&Path, &Path), out: &mut impl Write) -> anyhow::Result<()> {
        if !files.1.try_exists().with_context(|| format!("{} cannot be looked at", files.1.display()))? {
            bail!("there is nothing to compare: no {}", files.1.display());
        }
        let wanted = self.projections();
        let mut progress = Progress::default();
        let compared = projection::compare(files, &wanted, &mut |how_far| progress.tell(&how_far));
        progress.clear();
        match compared? {
            Ok(position) => Ok(writeln!(out, "{}: as the log has it, up to position {position}", named(&wanted))?),
            Err(unlike) => {
                writeln!(out, "{}", escaped(&unlike.to_string()))?;
                Err(anyhow!("what is shown is not what the log says"))
            }
        }
    }

    /// Where no desk runs.
    fn make(&self, files: (&Path, &Path), out: &mut impl Write) -> anyhow::Result<()> {
        let wanted = self.projections();
        let mut progress = Progress::default();
        let made = projection::rebuild(files, &wanted, &mut |how_far| progress.tell(&how_far));
        progress.clear();
        Ok(writeln!(out, "{}: made anew, up to position {}", named(&wanted), made?)?)
    }

    /// Where one runs.
    async fn have_made(&self, client: &Client, out: &mut impl Write) -> anyhow::Result<()> {
        let names: Vec<_> = self.projections().into_iter().map(Projection::name).collect();
        let before = rows(client.get("projections", &[]).await?, &names)?;
        let asked = if self.all { vec![ALL_PROJECTIONS] } else { names.clone() };
        for name in asked {
            let _: ProjectionPage = client.post(&format!("projections/{name}/rebuild"), &json!({})).await?;
        }
        let mut progress = Progress::default();
        let after = loop {
            let rows = rows(client.get("projections", &[]).await?, &names)?;
            let Some(how_far) = slowest(&rows) else { break rows };
            progress.tell(&how_far);
            tokio::time::sleep(ASK_EVERY).await;
        };
        progress.clear();
        for (before, after) in before.iter().zip(&after) {
            if let Some(why) = &after.failure {
                bail!("{}: {}", after.name, escaped(why));
            }
            if after.generation <= before.generation {
                bail!("{}: the desk broke it off", after.name);
            }
            writeln!(out, "{}: made anew, up to position {}", after.name, after.position)?;
        }
        Ok(())
    }
}

fn named(projections: &[Projection]) -> String {
    projections.iter().map(|projection| projection.name()).collect::<Vec<_>>().join(", ")
}

/// Those of these names, in their order.
fn rows(page: ProjectionPage, names: &[&str]) -> anyhow::Result<Vec<ProjectionRow>> {
    let found = |name: &&str| {
        let row = page.projections.iter().find(|row| row.name == *name).cloned();
        row.with_context(|| format!("the desk knows no projection {name}; is it of another version?"))
    };
    names.iter().map(found).collect()
}

/// How far the one is that has most to do; nothing when all are made.
fn slowest(rows: &[ProjectionRow]) -> Option<HowFar> {
    let under_way = rows.iter().filter_map(|row| row.rebuild.as_ref());
    under_way.min_by_key(|rebuild| rebuild.position).map(|rebuild| HowFar {
        position: rebuild.position,
        end: rebuild.end,
        events_per_second: rebuild.events_per_second,
        seconds_left: rebuild.seconds_left,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::testing::Desk;
    use crate::cli::{Cli, Command};

    fn parsed(arguments: &[&str]) -> Result<Rebuild, clap::Error> {
        let arguments = ["millrace", "rebuild"].iter().chain(arguments);
        match Cli::try_parse_from(arguments)?.command {
            Some(Command::Rebuild(rebuild)) => Ok(rebuild),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_names_are_those_of_projections_and_every_one_has_to_be_meant() {
        assert_eq!(
            parsed(&["ledger", "deposits", "ledger"]).unwrap().projections(),
            [Projection::Deposits, Projection::Ledger]
        );
        assert_eq!(parsed(&["--all"]).unwrap().projections(), Projection::ALL);
        let unknown = parsed(&["customers"]).unwrap_err().to_string();
        let expected = "there is no projection \"customers\"; there are deposits, addresses, ledger, statistics, \
                        notifications, pace, names";
        assert!(unknown.contains(expected), "{unknown}");
        assert!(parsed(&[]).is_err() && parsed(&["--all", "ledger"]).is_err());
    }

    #[tokio::test]
    async fn the_running_desk_is_asked_and_waited_for() {
        let (desk, mut out) = (Desk::start().await, Vec::new());
        let rebuild = parsed(&["ledger", "statistics"]).unwrap();
        let error = rebuild.have_made(&desk.client(), &mut out).await.unwrap_err().to_string();
        assert_eq!(error, "statistics: no room");
        assert_eq!(String::from_utf8(out).unwrap(), "ledger: made anew, up to position 9\n");
    }
}
