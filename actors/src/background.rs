//! Work that has time, on a thread that everybody else's work goes before: to make projections anew would take a core for as long
//! as it lasts, and the desk has two.

use std::panic::resume_unwind;
use std::thread;

use rustix::process;

/// By how much others go before. A thread that would use a core for itself gets a sixtieth of one that others want, so it goes on
/// under any load; what nobody wants it gets all of.
const NICER_BY: i32 = 19;

/// Does the work and waits for it. Not for the actors' thread.
pub fn in_the_background<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let outcome = thread::scope(|scope| {
        let work = || {
            // Of the calling thread, whatever it is called: threads are what Linux schedules.
            if let Err(error) = process::nice(NICER_BY) {
                tracing::warn!(%error, "this work is not in the background");
            }
            work()
        };
        scope.spawn(work).join()
    });
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn niceness() -> i32 {
        process::getpriority_process(None).unwrap()
    }

    #[test]
    fn only_the_work_itself_gives_way_and_its_panic_comes_back() {
        let before = niceness();
        assert_eq!(in_the_background(niceness), (before + NICER_BY).min(19));
        assert_eq!(niceness(), before);
        let panicked = std::panic::catch_unwind(|| in_the_background(|| panic!("a reason")));
        assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"a reason"));
    }
}
