//! What is known of all deposits: what the desk has in memory, and before it has read the log, what its views say.

use std::sync::Arc;

use millrace_actors::projection::Totals;
use millrace_model::ids::Position;

use crate::web::operator::OperatorState;

/// The sums over all deposits, and how far they go.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The event up to which they are folded.
    pub(super) position: Position,
    /// The sums.
    pub(super) totals: Arc<Totals>,
}

impl Known {
    /// What is known now; nothing of views that cannot be read, which the pages that list deposits say why.
    pub(super) async fn now(desk: &OperatorState) -> Option<Self> {
        let position = desk.views.position();
        if position > 0 || desk.store.is_ready() {
            return Some(Self { position, totals: desk.views.totals() });
        }
        let (position, totals) = desk.views.stored_totals().await.ok().flatten()?;
        Some(Self { position, totals: Arc::new(totals) })
    }
}
