//! Holds what is shown against projections that are made anew up to the same event, row by row. Nothing is written but to a
//! database that goes with whoever made it.

mod check;
mod room;
mod rows;

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use millrace_model::ids::Position;

use super::ProjectionError;
use super::board::Rebuild;
use super::build::{Build, Company, Source};
use super::catalog::Projection;
use super::database::Mark;
use super::stored::{StoredError, StoredViews};
use super::views::ViewError;
use crate::event_store::{OpenError, ReadError, Reader};
#[cfg(test)]
pub(super) use check::{Bounds, check_within};
pub use check::{Checked, Checks, UNLIKE_KEPT_MAX, UnlikeRow, check};
use rows::each_row;

/// The first thing that differs in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlike {
    /// In which projection.
    pub projection: Projection,
    /// In which row, by its key.
    pub key: String,
    /// In which column, and in which field of it.
    pub column: String,
    /// What is shown.
    pub shown: String,
    /// What the log says.
    pub made: String,
}

impl fmt::Display for Unlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { projection, key, column, shown, made } = self;
        write!(f, "{projection} {key}: {column} is {shown}, and made anew it is {made}")
    }
}

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The stored views cannot be looked at.
    #[error("the views: {0}")]
    Stored(#[from] StoredError),
    /// A projection is not of this version.
    #[error("{0} is of another version, or was not made yet; `millrace rebuild {0}` makes it")]
    OfAnother(Projection),
    /// The views are of another log.
    #[error("{projection} shows the log up to position {position}, and it ends at {end}")]
    Ahead {
        /// Which of them.
        projection: Projection,
        /// How far it goes.
        position: Position,
        /// How far the log does.
        end: Position,
    },
    /// The views were put back while they were compared.
    #[error("{0} showed less of the log when it was compared than when that began")]
    WentBack(Projection),
    /// The views cannot be held at one moment for longer.
    #[error(
        "{0} could not be gone through in time: what the views write meanwhile takes room until then, so they are held for ten minutes \
         at most, and the desk's own work left no time for it"
    )]
    HeldTooLong(Projection),
    /// What is made beside would take more room than it may.
    #[error("made anew, the projections would take more than {} MiB beside the views", .0 >> 20)]
    NoRoom(u64),
    /// The disk that the views are on, and as a rule the log, has no more to spare.
    #[error(
        "the disk of the views has too little free: what is made beside the views may take a quarter of that, so that the desk has room to go \
         on, and {} MiB are not enough",
        .0 >> 20
    )]
    DiskShort(u64),
    /// Nothing can be put beside the views.
    #[error("nothing can be made beside the views: {0}")]
    Beside(#[from] io::Error),
    /// A desk began to write meanwhile.
    #[error("a desk began to use {} while it was read; ask once more", .0.display())]
    TakenUp(PathBuf),
    /// It cannot be made anew.
    #[error(transparent)]
    Made(#[from] ProjectionError),
}

impl From<ViewError> for CompareError {
    fn from(error: ViewError) -> Self {
        Self::Made(error.into())
    }
}

impl From<rusqlite::Error> for CompareError {
    fn from(error: rusqlite::Error) -> Self {
        ViewError::from(error).into()
    }
}

impl From<OpenError> for CompareError {
    fn from(error: OpenError) -> Self {
        Self::Made(error.into())
    }
}

impl From<ReadError> for CompareError {
    fn from(error: ReadError) -> Self {
        Self::Made(error.into())
    }
}

/// The first difference between what is shown and what is made anew of the same events, or how far they were compared.
pub fn compare(
    (log, views): (&Path, &Path),
    projections: &[Projection],
    told: &mut dyn FnMut(Rebuild),
) -> Result<Result<Position, Unlike>, CompareError> {
    // The views come first: they are never ahead of the log.
    let stored = StoredViews::open(views, true)?;
    let log = Reader::look_at(log)?;
    let end = log.head()?;
    let mut compared = end;
    for (position, group) in groups(&stored, projections, end)? {
        let mut build = Build::scratch(&group)?;
        let began = Instant::now();
        build.run_to(Source { reader: &log, company: Company::Alone }, position, &mut |reached, end| {
            told(Rebuild::after(began.elapsed(), (0, reached, end)));
            ControlFlow::Continue(())
        })?;
        for projection in group {
            let mut first = None;
            let _ = each_row(projection, stored.connection(), build.connection(), &mut |unlike| {
                first = unlike;
                if first.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if let Some(unlike) = first {
                return undisturbed((&stored, views), &log, Err(unlike));
            }
        }
        compared = compared.min(position);
    }
    undisturbed((&stored, views), &log, Ok(compared))
}

/// Those that stand at the same position are made together; there is one such group but for a moment.
fn groups(
    stored: &StoredViews,
    projections: &[Projection],
    end: Position,
) -> Result<Vec<(Position, Vec<Projection>)>, CompareError> {
    let mut groups: Vec<(Position, Vec<Projection>)> = Vec::new();
    for projection in projections.iter().copied() {
        let mark = stored.mark(projection)?.filter(|mark| mark.version == projection.version());
        let Mark { position, .. } = mark.ok_or(CompareError::OfAnother(projection))?;
        if position > end {
            return Err(CompareError::Ahead { projection, position, end });
        }
        match groups.iter_mut().find(|(of_group, _)| *of_group == position) {
            Some((_, group)) => group.push(projection),
            None => groups.push((position, vec![projection])),
        }
    }
    Ok(groups)
}

/// What was read of files that nobody had open is worth nothing if somebody writes to them.
fn undisturbed<T>((stored, views): (&StoredViews, &Path), log: &Reader, found: T) -> Result<T, CompareError> {
    if stored.were_overtaken() {
        return Err(CompareError::TakenUp(views.to_owned()));
    }
    log.check_still_alone()?;
    Ok(found)
}
