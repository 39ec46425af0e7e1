//! A log that is written to, and its views that follow it: the desk without the world.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use millrace_actors::clock::SystemClock;
use millrace_actors::event_store::{Append, Execution, Settings, Store};
use millrace_actors::projection::{self, Views};
use millrace_actors::supervision::{Registry, Tree};

const WITHIN: Duration = Duration::from_secs(120);
/// How often a state that has no bell is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A log, and who follows it.
pub struct FollowedLog {
    tree: Tree,
    /// The log.
    pub store: Store,
    /// What follows it.
    pub views: Views,
}

impl FollowedLog {
    /// The log and views of a folder, or new ones; the views may still be on their way.
    pub async fn start(folder: &Path) -> Result<Self> {
        let tree = Tree::new(Registry::new(Arc::new(SystemClock)), 1);
        let (execution, clock) = (Execution::Thread, Arc::new(SystemClock));
        let store = Store::start(&tree, Settings { path: folder.join("log.db"), execution, clock })?;
        let views = Views::new(&folder.join("views.db"));
        projection::start(&tree, store.clone(), views.clone())?;
        store.ready().await;
        Ok(Self { tree, store, views })
    }

    /// Stores these, one after the other.
    pub async fn store(&self, appends: Vec<Append>) -> Result<()> {
        for append in appends {
            self.store.append(append).await?;
        }
        Ok(())
    }

    /// Waits until the views show all of the log.
    pub async fn caught_up(&self) -> Result<()> {
        let head = self.store.head();
        self.views.caught_up(head, WITHIN).await;
        ensure!(self.views.position() == head, "at {} of {head}", self.views.position());
        Ok(())
    }

    /// Waits until nothing of the views is being made anew.
    pub async fn made_anew(&self) -> Result<()> {
        let all = async {
            while self.views.projections(0).iter().any(|status| status.rebuild.is_some()) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        Ok(tokio::time::timeout(WITHIN, all).await?)
    }

    /// Ends both in order.
    pub async fn stop(self) {
        self.tree.shutdown(WITHIN).await;
    }
}
