//! A log with its head file beside its folder, as the real desk has it.

use std::path::Path;
use std::sync::Arc;

use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::event_store::{Execution, Settings as StoreSettings, Store};
use millrace_actors::head_file::{self, Foreign, HeadFile, Settings};
use millrace_actors::supervision::Tree;
use millrace_daemon::config::head_file_of;

/// Starts the store and what keeps its head file.
pub(super) fn start(tree: &Tree, data_dir: &Path) -> anyhow::Result<(Store, HeadFile)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (path, execution) = (head_file_of(data_dir), Execution::Thread);
    let head_file = HeadFile::new(Settings { path, foreign: Foreign::Refused, execution, clock: Arc::clone(&clock) });
    let settings = StoreSettings { path: data_dir.join("log.db"), execution, clock };
    let store = Store::start_after(tree, settings, head_file.opening())?;
    head_file::start(tree, &head_file, store.clone())?;
    Ok((store, head_file))
}
