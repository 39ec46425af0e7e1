//! The proof of the log that an operator asks for beside the running desk: one at a time, on a thread that gives way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use millrace_actors::background::in_the_background;
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::proof::{Report, Subject, prove};

use crate::web::problem::Problem;

/// What is said of work whose thread panicked.
pub(super) const PANICKED: &str = "It ended by an error of the program; the desk's own messages say more.";

/// The proof that was asked for last. Clones are the same.
#[derive(Debug, Clone)]
pub(in crate::web) struct Proofs {
    subject: Arc<Subject>,
    newest: Arc<Mutex<Proof>>,
}

/// How it stands with it.
#[derive(Debug, Clone, Default)]
pub(in crate::web) enum Proof {
    /// Nobody asked since the desk was started.
    #[default]
    Never,
    /// It is being made.
    Running {
        /// Since when.
        since: DateTime<Utc>,
        /// The event that was looked at last.
        position: u64,
        /// The last event that is looked at; 0 until that is known.
        end: u64,
    },
    /// It was made, or could not be.
    Ended {
        /// When.
        at: DateTime<Utc>,
        /// What it found, or why it found nothing out.
        outcome: Result<Arc<Report>, String>,
    },
}

impl Proofs {
    pub(super) fn of(subject: Subject) -> Self {
        Self { subject: Arc::new(subject), newest: Arc::default() }
    }

    /// How it stands with the newest.
    pub(in crate::web) fn newest(&self) -> Proof {
        self.lock().clone()
    }

    /// Begins one; refused while one is under way.
    pub(in crate::web) fn begin(&self) -> Result<(), Problem> {
        {
            let mut newest = self.lock();
            if matches!(*newest, Proof::Running { .. }) {
                return Err(Problem::conflict("not_allowed", "The log is being verified already."));
            }
            *newest = Proof::Running { since: SystemClock.now(), position: 0, end: 0 };
        }
        let proofs = self.clone();
        let work = move || {
            let told = &mut |position, end| proofs.reached(position, end);
            let made = catch_unwind(AssertUnwindSafe(|| in_the_background(|| prove(&proofs.subject, told))));
            proofs.ended(match made {
                Ok(outcome) => outcome.map(Arc::new).map_err(|error| error.to_string()),
                Err(_) => Err(PANICKED.to_owned()),
            });
        };
        // None of the runtime's threads, whose end a desk that stops would wait for.
        if let Err(error) = std::thread::Builder::new().name("proof".to_owned()).spawn(work) {
            self.ended(Err(format!("There is no thread for it: {error}.")));
        }
        Ok(())
    }

    fn ended(&self, outcome: Result<Arc<Report>, String>) {
        *self.lock() = Proof::Ended { at: SystemClock.now(), outcome };
    }

    fn reached(&self, at: u64, of: u64) {
        if let Proof::Running { position, end, .. } = &mut *self.lock() {
            (*position, *end) = (at, of);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Proof> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
