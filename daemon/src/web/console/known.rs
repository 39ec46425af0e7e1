//! What is known of all deposits and of the books: what the desk has in memory, and before it has read the log, what its views say.

use std::sync::Arc;

use millrace_actors::projection::{LedgerCut, Totals};
use millrace_model::ids::Position;

use crate::web::operator::OperatorState;

/// The sums over all deposits and the books, and how far they go.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The event up to which they are folded.
    pub(super) position: Position,
    /// The sums.
    pub(super) totals: Arc<Totals>,
    /// What stands on the ledger's accounts.
    pub(super) ledger: Arc<LedgerCut>,
}

impl Known {
    /// What is known now; nothing of views that cannot be read, which the pages that list deposits say why.
    pub(super) async fn now(desk: &OperatorState) -> Option<Self> {
        let position = desk.views.position();
        if position > 0 || desk.store.is_ready() {
            return Some(Self { position, totals: desk.views.totals(), ledger: desk.views.ledger() });
        }
        let stored = desk.views.stored_sums().await.ok().flatten()?;
        let (position, totals) = (stored.ledger.position, Arc::new(stored.totals));
        Some(Self { position, totals, ledger: Arc::new(stored.ledger) })
    }
}
