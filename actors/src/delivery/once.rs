//! Sending something once, beside the schedule: nothing is claimed, nothing is stored, and the endpoint's health is not
//! judged by it. For trying a receiver out.

use hyper::body::Bytes;
use millrace_protocols::webhook::sign::Signer;
use uuid::Uuid;

use super::address::Target;
use super::client::{Client, Ended, Line, NoLine};
use super::endpoint::Content;
use super::headers::headers;
use crate::clock::Clock;

/// Where to, and how.
#[derive(Debug, Clone)]
pub struct Way {
    /// Where to.
    pub target: Target,
    /// What signs.
    pub signer: Signer,
    /// What the body is.
    pub content: Content,
}

/// Posts a body under an id, on a connection of its own, to an address that is checked as any endpoint's.
pub async fn send(client: &Client, way: Way, (id, body): (Uuid, Bytes), clock: &dyn Clock) -> Result<Ended, NoLine> {
    let now_ms = || u64::try_from(clock.now().timestamp_millis()).unwrap_or(0);
    let line = Line::new(way.target)?;
    let headers = headers(&way.signer, way.content, (id, &body), now_ms());
    Ok(client.post(&line, headers, body, now_ms).await)
}
