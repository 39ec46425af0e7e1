//! One attempt: reads the notification where it is not at hand, and hands it to the endpoint's sink.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use millrace_protocols::delivery::cursor::Position;
use millrace_protocols::delivery::scheduler::EndpointNo;
use millrace_protocols::delivery::verdict::Trouble;
use uuid::Uuid;

use super::super::endpoint::{Filter, Outgoing};
use super::super::shelf::Source;
use super::super::sinks::{Ended, Message, Sink};
use crate::clock::Clock;

/// What all attempts share.
pub(super) struct Common {
    pub(super) source: Arc<dyn Source>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Common {
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0)
    }
}

/// What an endpoint's attempts share.
pub(super) struct Way {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) filter: Filter,
}

/// An attempt to make.
pub(super) struct Job {
    pub(super) endpoint: EndpointNo,
    pub(super) position: Position,
    pub(super) payload: Option<Arc<Outgoing>>,
    pub(super) attempt: u16,
}

/// An attempt that was made.
pub(super) struct Made {
    pub(super) endpoint: EndpointNo,
    pub(super) position: Position,
    pub(super) notification: Option<Uuid>,
    /// When what it tells of was committed, in milliseconds since 1970, where that is known.
    pub(super) recorded_ms: Option<u64>,
    pub(super) attempt: u16,
    pub(super) started_ms: u64,
    pub(super) ended: Ended,
}

impl Job {
    /// Makes it, whatever happens.
    pub(super) async fn make(self, common: Arc<Common>, way: Arc<Way>) -> Made {
        let Self { endpoint, position, payload, attempt } = self;
        let started_ms = common.now_ms();
        let mut notification = payload.as_ref().map(|outgoing| outgoing.id);
        let mut recorded_ms = None;
        let making = async {
            let outgoing = match payload {
                Some(outgoing) => outgoing,
                None => read(&common, position).await?,
            };
            notification = Some(outgoing.id);
            recorded_ms = outgoing.recorded_ms;
            if !way.filter.wants(&outgoing) {
                return Err(nothing_sent(Trouble::Missing, "the endpoint does not want it any more".to_owned()));
            }
            let message = Message { outgoing: &outgoing, attempt, started_ms, clock: &*common.clock };
            Ok(way.sink.deliver(message).await)
        };
        let made = AssertUnwindSafe(making).catch_unwind().await;
        let ended = match made {
            Ok(Ok(ended) | Err(ended)) => ended,
            Err(_) => nothing_sent(Trouble::Unread, "the attempt panicked".to_owned()),
        };
        Made { endpoint, position, notification, recorded_ms, attempt, started_ms, ended }
    }
}

async fn read(common: &Common, position: Position) -> Result<Arc<Outgoing>, Ended> {
    let before = position.saturating_sub(1);
    let read = common.source.after(before, 1).await;
    let found = read.map_err(|error| nothing_sent(Trouble::Unread, error.to_string()))?;
    let found = found.into_iter().find(|outgoing| outgoing.position == position);
    // While the views are made anew they may not reach so far.
    let reaches = *common.source.head().borrow() >= position;
    found.map(Arc::new).ok_or_else(|| match reaches {
        true => nothing_sent(Trouble::Missing, "the notification is no more".to_owned()),
        false => nothing_sent(Trouble::Unread, "the views do not reach so far yet".to_owned()),
    })
}

fn nothing_sent(trouble: Trouble, error: String) -> Ended {
    Ended::failed(trouble, error, Duration::ZERO)
}
