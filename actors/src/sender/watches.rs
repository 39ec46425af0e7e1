//! What the sender remembers of a payout between two looks at it. Losing it costs a look, no more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use millrace_model::deposit::Payout;
use millrace_model::ids::DepositId;
use millrace_protocols::payout::Phase;
use millrace_protocols::wire::skycoin::rest::Standing;
use tokio::time::Instant;

/// The pause grows to at most so many times the shortest.
const PAUSE_FACTOR_MAX: u32 = 4;
/// The pause is this fraction of the time waited so far: a few looks an order of magnitude.
const PAUSE_DIVISOR: u32 = 4;

/// A payout that a node took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    began: Instant,
    /// When a node was last known to know it.
    known: Instant,
    /// When to look next.
    pub(super) due: Instant,
    /// Whether it was last seen in a block.
    pub(super) mined: bool,
    /// Whether it has left its block and nobody is known to have it since.
    lost: bool,
}

impl Watch {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { began: now, known: now, due: now, mined: false, lost: false }
    }

    /// A payout as the log has it: known to have left its block, when it has, whoever found that out.
    pub(super) fn of(payout: &Payout) -> Self {
        Self { lost: payout.reorgs > 0, ..Self::new() }
    }

    /// A node has taken it just now.
    pub(super) fn taken(self) -> Self {
        Self { known: Instant::now(), lost: false, ..self }
    }

    /// Takes in where a node has just said it stands, or that it does not know it.
    pub(super) fn saw(&mut self, standing: Option<Standing>) {
        self.lost = standing.is_none() && (self.lost || self.mined);
        self.mined = matches!(standing, Some(Standing::Confirmed { .. }));
        if standing.is_some() {
            self.known = Instant::now();
        }
    }

    pub(super) fn phase(&self, resend_after: Duration) -> Phase {
        match (self.lost, self.known.elapsed() >= resend_after) {
            (true, _) => Phase::Mined,
            (false, true) => Phase::Overdue,
            (false, false) => Phase::Sent,
        }
    }

    /// Sets when to look next and says how long that is.
    pub(super) fn rest(&mut self, poll: Duration) -> Duration {
        let waited = self.began.elapsed() / PAUSE_DIVISOR;
        let pause = if self.mined { poll } else { waited.clamp(poll, poll * PAUSE_FACTOR_MAX) };
        self.due = Instant::now() + pause;
        pause
    }
}

/// The payouts that a node took.
#[derive(Debug, Default)]
pub(super) struct Watches(Mutex<HashMap<DepositId, Watch>>);

impl Watches {
    pub(super) fn get(&self, id: DepositId) -> Option<Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    pub(super) fn put(&self, id: DepositId, watch: Watch) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, watch);
    }

    pub(super) fn forget(&self, id: DepositId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}
