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

/// Another thread sorts what indexes are made of, and what is written comes to its place in larger pieces, of pages. Beside a desk
/// whoever follows the log would be left with those pieces.
const FOR_MUCH: &str = "PRAGMA threads = 1; PRAGMA wal_autocheckpoint = 8192;";
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
