//! Writes what was folded on a thread of its own, while the next events are folded.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::ProjectionError;
use super::cohort::Writing;
use super::views::ViewError;

/// How many writings wait at most besides the one that is being written: each is in memory.
const WAITING_MAX: usize = 1;

/// Takes what is to be written, each after the one before; says whether there is a point in going on.
pub(super) type Pen<'p> = &'p mut dyn FnMut(Writing) -> Result<ControlFlow<()>, ViewError>;

/// Does the work and has everything written that it hands over. All of it is written when this returns, or the first that could
/// not be is its error.
pub(super) fn written_beside<T>(
    mut write: impl FnMut(Writing) -> Result<(), ViewError> + Send,
    work: impl FnOnce(Pen<'_>) -> Result<T, ProjectionError>,
) -> Result<T, ProjectionError> {
    thread::scope(|scope| {
        let (hand_over, handed_over) = sync_channel(WAITING_MAX);
        let writer = scope.spawn(move || handed_over.into_iter().try_for_each(&mut write));
        let worked = work(&mut |writing| {
            // Nobody takes it any more once something could not be written.
            let is_taken = hand_over.send(writing).is_ok();
            Ok(if is_taken { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        });
        drop(hand_over);
        writer.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        worked
    })
}
