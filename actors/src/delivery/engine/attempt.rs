//! One attempt: reads the notification where it is not at hand, signs it, posts it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use millrace_protocols::delivery::cursor::Position;
use millrace_protocols::delivery::scheduler::EndpointNo;
use millrace_protocols::delivery::verdict::{Outcome, Trouble};
use millrace_protocols::webhook::sign::Signer;
use millrace_protocols::webhook::{ID_HEADER, SIGNATURE_HEADER, TE_HEADER, TIMESTAMP_HEADER};
use uuid::Uuid;

use super::super::client::{Client, Ended, Line};
use super::super::endpoint::{Content, Filter, Outgoing};
use super::super::shelf::Source;
use crate::clock::Clock;

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("millrace/", env!("CARGO_PKG_VERSION")));

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
            let headers = headers(&way, &outgoing, started_ms);
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

fn headers(way: &Way, outgoing: &Outgoing, now_ms: u64) -> HeaderMap {
    let id = outgoing.id.hyphenated().to_string();
    let timestamp_s = now_ms / 1_000;
    let mut headers = HeaderMap::with_capacity(8);
    let signature = way.signer.signature(&id, timestamp_s, &outgoing.body);
    put(&mut headers, ID_HEADER, &id);
    put(&mut headers, TIMESTAMP_HEADER, &timestamp_s.to_string());
    if !signature.is_empty() {
        put(&mut headers, SIGNATURE_HEADER, &signature);
    }
    if let Some(signature) = way.signer.te_signature(&outgoing.body) {
        put(&mut headers, TE_HEADER, &signature);
    }
    let content = match way.content {
        Content::Json => "application/json",
        Content::Text => "text/plain",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("digits, letters and what base64 has are a header's value");
    headers.insert(HeaderName::from_static(name), value);
}
