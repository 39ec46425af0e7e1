//! Makes projections anew where no desk runs: whoever calls this is alone with the data folder.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use millrace_model::ids::Position;
use tokio::sync::Mutex;

use super::ProjectionError;
use super::board::Rebuild;
use super::build::{Build, Company, Source, show};
use super::catalog::Projection;
use super::database::Database;
use super::views::ViewError;
use crate::event_store::Reader;

/// Another thread sorts what indexes are made of.
const FOR_MUCH: &str = "PRAGMA threads = 1;";
/// Whoever reads beside a writer needs what is written twice: in a write-ahead log, and in its place. Where nobody reads, new pages are
/// written once, and of the few that change the journal has what they were. FULL, since without it a power cut could take the
/// journal's beginning before the pages that it is of. Whoever begins to look later is waited for, ten minutes at most.
const WRITTEN_ONCE: &str = "PRAGMA busy_timeout = 0; PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL;
                            PRAGMA busy_timeout = 600000;";
/// What is kept in memory of the file.
const CACHE_KIB: u32 = 4_096;

/// Makes projections anew from a log and shows them; says up to which event they go. `told` hears how far it is.
pub fn rebuild(
    (log, views): (&Path, &Path),
    projections: &[Projection],
    told: &mut dyn FnMut(Rebuild),
) -> Result<Position, ProjectionError> {
    let log = Reader::look_at(log)?;
    log.refuse_newer()?;
    let head = log.head()?;
    let (turn, began) = (Arc::new(Mutex::new(())), Instant::now());
    let mut build = Build::begin(views, projections, head, turn)?;
    build.connection().execute_batch(FOR_MUCH).map_err(ViewError::from)?;
    if let Err(error) = build.connection().execute_batch(WRITTEN_ONCE) {
        // Somebody looks at what is shown: it stays as it was, and takes its time.
        tracing::debug!(%error, "rows are written by way of the write-ahead log");
        build.connection().execute_batch("PRAGMA busy_timeout = 5000").map_err(ViewError::from)?;
    }
    let from = build.position();
    let outcome = build.run(Source { reader: &log, company: Company::Alone }, &|| head, &mut |position, end| {
        told(Rebuild::after(began.elapsed(), (from, position, end)));
        ControlFlow::Continue(())
    });
    if let Err(error) = outcome {
        // What could not be written only takes room; what could not be read may be readable the next time.
        return Err(if matches!(error, ProjectionError::View(_)) { discarded(build, error) } else { error });
    }
    let mut made = build.finish();
    show(&mut Database::open(views, CACHE_KIB)?, &mut made)?;
    Ok(made.position().unwrap_or(head))
}

fn discarded(build: Build, error: ProjectionError) -> ProjectionError {
    let discarded: Result<(), ViewError> = build.discard();
    if let Err(error) = discarded {
        tracing::warn!(%error, "what was made stays in the file for now");
    }
    error
}
