//! A log of notifications that is made up as it is read: 1 KB bodies, whose first number says when they were published.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use hyper::body::Bytes;
use millrace_actors::delivery::endpoint::Outgoing;
use millrace_actors::delivery::shelf::{Source, SourceError};
use tokio::sync::watch;
use uuid::Uuid;

const BODY_BYTES: usize = 1_024;
const BEFORE: &str = r#"{"published_us":"#;
const DIGITS: usize = 16;

/// The log.
pub(super) struct MadeUp {
    head: watch::Sender<u64>,
    /// When each was published that was published one by one.
    published_us: Mutex<Vec<u64>>,
    kind: Arc<str>,
}

impl MadeUp {
    /// Of so many.
    pub(super) fn of(count: u64) -> Arc<Self> {
        let (published_us, kind) = (Mutex::default(), Arc::from("deposit.confirmed"));
        Arc::new(Self { head: watch::Sender::new(count), published_us, kind })
    }

    /// One more, now.
    pub(super) fn publish(&self) {
        let mut published = self.published_us.lock().unwrap_or_else(PoisonError::into_inner);
        published.push(super::receiver::now_us());
        self.head.send_replace(published.len() as u64);
    }
}

impl Source for MadeUp {
    fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    fn after(&self, position: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Outgoing>, SourceError>> {
        let published = self.published_us.lock().unwrap_or_else(PoisonError::into_inner);
        let last = (*self.head.borrow()).min(position.saturating_add(limit as u64));
        let one = |position: u64| {
            let published_us = published.get(position as usize - 1).copied().unwrap_or(0);
            let body = Bytes::from(body(position, published_us));
            let (id, kind) = (Uuid::from_u128(position.into()), Arc::clone(&self.kind));
            Outgoing { position, id, key: None, kind, customer: None, about: None, body, recorded_ms: None }
        };
        let found = (position + 1..=last).map(one).collect();
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// What is sent.
pub(super) fn body(position: u64, published_us: u64) -> Vec<u8> {
    let mut body = format!(r#"{BEFORE}{published_us:0DIGITS$},"position":{position},"filling":""#).into_bytes();
    body.resize(BODY_BYTES - 2, b'x');
    body.extend_from_slice(br#""}"#);
    body
}

/// When it was published, in microseconds since 1970; 0 where nothing says so.
pub(super) fn published_us(body: &[u8]) -> u64 {
    let digits = body.get(BEFORE.len()..BEFORE.len() + DIGITS).unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
