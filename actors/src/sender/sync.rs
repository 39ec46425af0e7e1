//! Whether the node knows all that has happened. One that was restored, or has just come up, does not know the payouts of
//! the blocks it has yet to read: what is looked for there is not found, and what is spent looks free.

use std::time::Duration;

use millrace_protocols::wire::skycoin::rest::Lag;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::ports::{PortError, SkycoinNode};

/// How long an answer holds. Payouts come by the hundred; no node is restored and back in less.
const HOLDS_FOR: Duration = Duration::from_millis(200);

/// The newest answer, one for all payouts.
#[derive(Debug, Default)]
pub(super) struct SyncWatch(Mutex<Option<(Instant, Option<Lag>)>>);

impl SyncWatch {
    /// Why no new payout is to be made now, if the node lags. Who asks while it is asked waits for the same answer.
    pub(super) async fn lag(&self, node: &dyn SkycoinNode) -> Result<Option<Lag>, PortError> {
        let mut known = self.0.lock().await;
        if let Some((at, lag)) = *known
            && at.elapsed() < HOLDS_FOR
        {
            return Ok(lag);
        }
        // From before the question: the answer may be on its way for long.
        let at = Instant::now();
        let lag = node.lag().await?;
        *known = Some((at, lag));
        Ok(lag)
    }
}
