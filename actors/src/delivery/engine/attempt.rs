//! One attempt: reads the notification where it is not at hand, signs it, posts it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use millrace_protocols::delivery::cursor::Position;
use millrace_protocols::delivery::scheduler::EndpointNo;
use millrace_protocols::delivery::verdict::{Outcome, Trouble};
use millrace_protocols::webhook::sign::Signer;
use uuid::Uuid;

use super::super::client::{Client, Ended, Line};
use super::super::endpoint::{Content, Filter, Outgoing};
use super::super::headers::headers;
use super::super::shelf::Source;
use crate::clock::Clock;

/// What all attempts share.
pub(super) struct Common {
    pub(super) client: Client,
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
    pub(super) line: Line,
    pub(super) signer: Signer,
    pub(super) content: Content,
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
        let making = async {
            let outgoing = match payload {
                Some(outgoing) => outgoing,
                None => read(&common, position).await?,
            };
            notification = Some(outgoing.id);
            if !way.filter.wants(&outgoing) {
                return Err(nothing_sent(Trouble::Missing, "the endpoint does not want it any more".to_owned()));
            }
            let headers = headers(&way.signer, way.content, (outgoing.id, &outgoing.body), started_ms);
            Ok(common.client.post(&way.line, headers, outgoing.body.clone(), || common.now_ms()).await)
        };
        let made = AssertUnwindSafe(making).catch_unwind().await;
        let ended = match made {
            Ok(Ok(ended) | Err(ended)) => ended,
            Err(_) => nothing_sent(Trouble::Unread, "the attempt panicked".to_owned()),
        };
        Made { endpoint, position, notification, attempt, started_ms, ended }
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
    let outcome = Outcome::Failed(trouble);
    Ended { outcome, answer: Vec::new(), error: Some(error), peer: None, took: Duration::ZERO }
}
