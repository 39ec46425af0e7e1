//! A customer's deposits as a stream of server-sent events: all of it at once, and again whenever something changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use millrace_actors::projection::Change;
use millrace_model::desk::Desk as Switches;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::bind::target;
use super::v1::unknown_customer;
use super::{Desk, shape};
use crate::web::extract::Path;
use crate::web::problem::Problem;

/// Changes that come closer together are shown as one.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn customer(
    State(desk): State<Arc<Desk>>,
    Path(text): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let target = target(&text)?.to_string();
    let changes = desk.views.changes();
    if desk.views.bindings_of(&target).await?.is_empty() {
        return Err(unknown_customer());
    }
    let (height, switches) = (desk.height.clone(), desk.switches.clone());
    let watch = Watch { height, switches, desk, target, changes, shown: Shown::Nothing };
    let stream = futures::stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some((Ok(event), watch))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

/// One watcher.
struct Watch {
    desk: Arc<Desk>,
    target: String,
    changes: broadcast::Receiver<Change>,
    height: watch::Receiver<Option<u64>>,
    switches: watch::Receiver<Switches>,
    shown: Shown,
}

#[derive(PartialEq, Eq)]
enum Shown {
    Nothing,
    Something,
}

impl Watch {
    /// The next event; `None` ends the stream, after which a browser comes back by itself.
    async fn next(&mut self) -> Option<Event> {
        if self.shown == Shown::Something {
            self.change().await?;
            tokio::time::sleep(PAUSE).await;
        }
        self.shown = Shown::Something;
        let customer = shape::customer(&self.desk, &self.target).await.ok()??;
        Event::default().event("customer").json_data(&customer).ok()
    }

    /// Waits until something of this customer changed, a new block moves his progress, or the desk stops or goes on.
    async fn change(&mut self) -> Option<()> {
        loop {
            tokio::select! {
                change = self.changes.recv() => match change {
                    Ok(change) if *change.target == *self.target => return Some(()),
                    Ok(_) => {}
                    // Too much was missed to say whose it was.
                    Err(RecvError::Lagged(_)) => return Some(()),
                    Err(RecvError::Closed) => return None,
                },
                block = self.height.changed() => return block.ok(),
                turned = self.switches.changed() => return turned.ok(),
            }
        }
    }
}
