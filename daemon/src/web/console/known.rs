//! What is known of all deposits: what the desk has in memory, and before it has read the log, what its views say.

use std::sync::Arc;

use millrace_actors::projection::Totals;
use millrace_model::ids::Position;

use crate::web::operator::OperatorState;

/// The sums over all deposits, and how far they go.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// The event up to which they are folded; 0 when nothing is known.
    pub(super) position: Position,
    /// The sums.
    pub(super) totals: Arc<Totals>,
}

impl Known {
    /// What is known now. Views that cannot be read are views of which nothing is known; the pages that list deposits say why.
    pub(super) async fn now(desk: &OperatorState) -> Self {
        let position = desk.views.position();
        if position > 0 || desk.store.is_ready() {
            return Self { position, totals: desk.views.totals() };
        }
        let stored = desk.views.stored_totals().await.inspect_err(|error| tracing::warn!(%error, "the stored views"));
        match stored {
            Ok(Some((position, totals))) => Self { position, totals: Arc::new(totals) },
            _ => Self::default(),
        }
    }
}
