//! How a log stands to the head file, and what a log is told that does not reach there.

use std::path::{Path, PathBuf};

use millrace_model::desk::{HaltCause, Halted};
use millrace_model::event::Event;
use millrace_model::head::{Head, LogEnd, Restored, Standing};
use millrace_model::ids::{CommandId, Hash32, Position, StreamName};

use super::Foreign;
use super::file::FileError;
use crate::event_store::{Append, AppendError, Expected, ReadError, Reader, Write};
use crate::{binder, brakes};

/// Why it is not known how the log stands.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unclear {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// The log does not take what it lacks.
    #[error(transparent)]
    NotTold(AppendError),
    /// The file is another log's.
    #[error("{0} is the head of another log; give this desk a desk.head_file of its own")]
    Foreign(PathBuf),
}

/// What was found.
#[derive(Debug)]
pub(super) enum Finding {
    /// A desk begins.
    New,
    /// The log is what it should be, or has said what it lacks. What the file says, which may be another log's.
    Settled(Option<Head>),
    /// The log knows less than has happened, and is to be told so first.
    Departed(Box<Append>),
}

/// Compares a log with what the file says.
pub(super) fn compare(
    head: Option<Head>,
    reader: &Reader,
    (foreign, path): (Foreign, &Path),
) -> Result<Finding, Unclear> {
    let desk = brakes::desk(reader)?;
    let end = LogEnd {
        log: reader.hash_at(1)?,
        position: reader.head()?,
        hash_at_head: head.as_ref().map(|head| reader.hash_at(head.position)).transpose()?.flatten(),
    };
    let is_begun_anew = foreign == Foreign::TakenOver && end.position == 0;
    Ok(match (Standing::of(&end, head.as_ref(), desk.has_answered(head.as_ref())), foreign) {
        (Standing::New, _) => Finding::New,
        (Standing::Same, _) | (Standing::Foreign, Foreign::TakenOver) => Finding::Settled(head),
        (Standing::Departed(_), _) if is_begun_anew => Finding::Settled(head),
        (Standing::Foreign, Foreign::Refused) => return Err(Unclear::Foreign(path.to_owned())),
        (Standing::Departed(departure), _) => {
            let lost_from = binder::next_index(reader)?;
            let head = head.unwrap_or(Head::EMPTY);
            let (known, known_hash) = (head.position, head.hash);
            let lost_to = head.next_index.max(lost_from);
            let restored = Restored { departure, known, known_hash, found: end.position, lost_from, lost_to };
            Finding::Departed(Box::new(halted(reader, HaltCause::Restored(restored))?))
        }
    })
}

/// The head as the log has it now, but for the numbers that may be in use.
pub(super) fn of_log(reader: &Reader, position: Position) -> Result<Option<(Option<Hash32>, Hash32)>, ReadError> {
    if position == 0 {
        return Ok(Some((Head::EMPTY.log, Head::EMPTY.hash)));
    }
    Ok(reader.hash_at(position)?.zip(reader.hash_at(1)?).map(|(hash, first)| (Some(first), hash)))
}

/// Tells the log why the desk is halted: over any other halt, since whoever lifts that one may not know of this.
fn halted(reader: &Reader, cause: HaltCause) -> Result<Append, ReadError> {
    tracing::error!(%cause, "the desk is halted");
    let last = reader.last_of(&StreamName::Desk, 1)?;
    let (version, position) = last.last().map_or((0, 0), |last| (last.version, last.position));
    let event = Event::Desk(Halted { cause }.into());
    let body = event.payload();
    Ok(Append {
        command_id: CommandId::following(position, &[&version.to_string(), "HaltRestored", &body]),
        command: "HaltRestored",
        body,
        causation: None,
        correlation: None,
        writes: vec![Write::new(StreamName::Desk, Expected::Exactly(version), vec![event])],
    })
}
