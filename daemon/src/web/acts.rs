//! What operators do that no other event says, on its way into the log.

use std::fmt::Display;
use std::time::Duration;

use millrace_actors::operations::Operations;
use millrace_model::operator::OperatorActed;

/// Nobody waits longer for the log than this: he may be about to mend it.
const RECORDED_WITHIN: Duration = Duration::from_secs(2);

/// Stores it. A log that does not take it is a warning.
pub(super) async fn record(operations: &Operations, acted: OperatorActed) {
    let recording = operations.acted(acted.clone());
    match tokio::time::timeout(RECORDED_WITHIN, recording).await {
        Ok(Ok(_)) => tracing::info!(by = %acted.by, action = acted.action.as_str(), "recorded"),
        Ok(Err(error)) => unrecorded(&acted, &error),
        Err(_) => unrecorded(&acted, &"the log takes too long"),
    }
}

/// Says in the lines what the log may not say.
pub(super) fn unrecorded(acted: &OperatorActed, why: &dyn Display) {
    let OperatorActed { by, action, subject, note } = acted;
    tracing::warn!(%by, action = action.as_str(), subject, note, %why, "it may not be in the log, and is done all the same");
}
