//! The notifications that are delivered, read from the views.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::Bytes;
use millrace_model::ids::{Hash32, Position};
use millrace_model::subscription::customer_hash;
use millrace_protocols::delivery::cursor::OrderKey;
use tokio::sync::watch;

use crate::delivery::endpoint::Outgoing;
use crate::delivery::shelf::{Source, SourceError};
use crate::projection::{NotificationFilter, StoredNotification, Views};

/// The views as a source of notifications.
pub(super) struct FromViews(pub(super) Views);

impl Source for FromViews {
    fn head(&self) -> watch::Receiver<Position> {
        self.0.newest_notification()
    }

    fn after(&self, position: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Outgoing>, SourceError>> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        async move {
            let filter = NotificationFilter::default();
            let found = self.0.notifications_after(position, limit, &filter).await;
            Ok(found.map_err(|error| SourceError(error.to_string()))?.into_iter().map(outgoing).collect())
        }
        .boxed()
    }
}

pub(super) fn outgoing(stored: StoredNotification) -> Outgoing {
    // The low half of an id that sorts by time is drawn.
    let key = stored.deposit.and_then(|deposit| OrderKey::new(deposit.0.as_u64_pair().1));
    let customer = customer(&stored);
    Outgoing {
        position: stored.position,
        id: stored.id,
        key,
        kind: Arc::from(stored.kind.name()),
        customer: customer.map(|hash| Arc::from(hash.to_string())),
        about: stored.about.map(|about| about.subscription.0),
        body: Bytes::from(stored.body),
        recorded_ms: u64::try_from(stored.recorded_at.timestamp_millis()).ok(),
    }
}

/// Whose it is; nobody's for what is about no customer.
pub(super) fn customer(stored: &StoredNotification) -> Option<Hash32> {
    let owner = stored.about.and_then(|about| about.owner);
    stored.customer.as_deref().map(customer_hash).or(owner)
}
