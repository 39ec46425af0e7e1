//! What operators do that no other event says, on its way into the log.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::ids::TimeOrderedIds;
use millrace_actors::operations::{Deed, Operations};
use millrace_model::operator::OperatorActed;

/// Nobody waits longer for the log than this: he may be about to mend it.
const RECORDED_WITHIN: Duration = Duration::from_secs(2);

/// Stores it. A log that does not take it is a warning, and gets it later.
pub(super) async fn record(operations: &Operations, acted: OperatorActed) {
    let deed = now(acted);
    match tokio::time::timeout(RECORDED_WITHIN, operations.acted(deed.clone())).await {
        Ok(Ok(_)) => tracing::info!(by = %deed.acted.by, action = deed.acted.action.as_str(), "recorded"),
        Ok(Err(error)) => keep(operations, deed, &error),
        Err(_) => keep(operations, deed, &"the log takes too long"),
    }
}

/// Stores it when the log can be written again.
pub(super) fn record_later(operations: &Operations, acted: OperatorActed, why: &dyn Display) {
    keep(operations, now(acted), why);
}

fn keep(operations: &Operations, deed: Deed, why: &dyn Display) {
    unrecorded(&deed.acted, why);
    operations.keep(deed);
}

fn now(acted: OperatorActed) -> Deed {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Deed { at: clock.now(), id: TimeOrderedIds(clock).command_id(), acted }
}

/// Says in the lines what the log may not say.
pub(super) fn unrecorded(acted: &OperatorActed, why: &dyn Display) {
    let OperatorActed { by, action, subject, note } = acted;
    tracing::warn!(%by, action = action.as_str(), subject, note, %why, "it may not be in the log, and is done all the same");
}
