//! Webhooks: a message is posted to an https address with its signatures as headers.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::super::client::{Client, Line};
use super::super::endpoint::{Content, Endpoint};
use super::destination::{Destination, DestinationError};
use super::signed::Signed;
use super::{Channel, Ended, Message, Sink};
use millrace_protocols::webhook::sign::Signer;

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("millrace/", env!("CARGO_PKG_VERSION")));

/// All webhooks: they share a client, and no connection.
pub struct Webhooks {
    client: Arc<Client>,
}

impl Webhooks {
    /// Posted by this client.
    pub fn new(client: Client) -> Self {
        Self { client: Arc::new(client) }
    }
}

impl Channel for Webhooks {
    fn sink(&self, endpoint: &Endpoint) -> Result<Arc<dyn Sink>, DestinationError> {
        let Destination::Webhook(target) = &endpoint.destination else { return Err(DestinationError::Unfit) };
        let line = Line::new(target.clone()).map_err(|_| DestinationError::Unfit)?;
        let (signer, content) = (endpoint.signer.clone(), endpoint.content);
        Ok(Arc::new(Webhook { client: Arc::clone(&self.client), line, signer, content }))
    }
}

/// One webhook.
struct Webhook {
    client: Arc<Client>,
    line: Line,
    signer: Signer,
    content: Content,
}

impl Sink for Webhook {
    fn deliver<'a>(&'a self, message: Message<'a>) -> BoxFuture<'a, Ended> {
        let (headers, body) = (self.headers(message), message.outgoing.body.clone());
        let now_ms = || u64::try_from(message.clock.now().timestamp_millis()).unwrap_or(0);
        async move { self.client.post(&self.line, headers, body, now_ms).await }.boxed()
    }

    fn close_idle(&self) {
        self.line.close_idle();
    }
}

impl Webhook {
    fn headers(&self, message: Message<'_>) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        for (name, value) in Signed::new(&self.signer, message).headers() {
            let value = HeaderValue::from_str(value);
            let value = value.expect("digits, letters and what base64 has are a header's value");
            headers.insert(HeaderName::from_static(name), value);
        }
        let content = match self.content {
            Content::Json => "application/json",
            Content::Text => "text/plain",
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
        headers.insert(header::USER_AGENT, USER_AGENT);
        headers
    }
}
