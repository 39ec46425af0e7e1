//! What others ask of the deliveries: how an endpoint does, and to send it something once more.
//!
//! The engine of the moment is reached through a channel of its own incarnation; while there is none nothing is done.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use millrace_model::ids::{Hash32, Position, SubscriptionId};
use millrace_protocols::delivery::scheduler::{Sums, View};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::{Known, List, delivery, source};
use crate::delivery::engine::Command;
use crate::delivery::figures::Figures;
use crate::projection::StoredNotification;
use crate::supervision::AskError;

/// Longer than the engine takes for a batch on a slow disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long figures wait for those of the engine.
const SUMS_WITHIN: Duration = Duration::from_secs(1);
/// How many are asked for at once: fewer than commands may wait.
const AT_ONCE_MAX: usize = 64;

/// How the engine of the moment is reached. Nobody but the part keeps it from ending.
pub(super) type Engine = mpsc::WeakSender<Command>;

/// What may be asked of the deliveries. Cheap to clone, usable from any thread.
#[derive(Debug, Clone)]
pub struct Deliveries {
    engine: watch::Receiver<Option<Engine>>,
    figures: Arc<Figures>,
}

impl Deliveries {
    pub(super) fn new(engine: watch::Receiver<Option<Engine>>, figures: Arc<Figures>) -> Self {
        Self { engine, figures }
    }

    /// Of a desk that delivers nothing: everything asked is refused.
    pub fn none() -> Self {
        Self::new(watch::channel(None).1, Arc::default())
    }

    /// What the deliveries came to since the process began.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// What all endpoints come to now; nothing when the engine does not say so soon.
    pub async fn sums(&self) -> Option<Sums> {
        let asking = self.ask(|answer| Command::Sum { answer });
        timeout(SUMS_WITHIN, asking).await.ok()?.ok()
    }

    /// How an endpoint does; nothing for one that the engine was not told of.
    pub async fn view(&self, id: SubscriptionId) -> Result<Option<View>, AskError> {
        match self.ask(|answer| Command::Show { endpoint: id.0, answer }).await {
            Ok(view) => Ok(Some(view)),
            Err(Unanswered::Dropped) => Ok(None),
            Err(Unanswered::Ask(error)) => Err(error),
        }
    }

    /// Sends endpoints a notification once more; it is stored that they are owed it when this returns. One that an endpoint
    /// did not get yet comes in its turn.
    ///
    /// `Unknown` also where the engine does not know one of them, or ended meanwhile: some may be sent it.
    pub async fn resend(&self, endpoints: &[SubscriptionId], position: Position) -> Result<(), AskError> {
        let asking: Vec<_> = endpoints.iter().map(|id| self.resend_to(*id, position)).collect();
        let asked: Vec<_> = stream::iter(asking).buffer_unordered(AT_ONCE_MAX).collect().await;
        let is_any_sent = asked.iter().any(Result::is_ok);
        let all: Result<(), AskError> = asked.into_iter().collect();
        all.map_err(|error| if is_any_sent { AskError::Unknown } else { error })
    }

    async fn resend_to(&self, id: SubscriptionId, position: Position) -> Result<(), AskError> {
        let command = |answer| Command::Resend { endpoint: id.0, positions: vec![position], answer };
        self.ask(command).await.map_err(|unanswered| match unanswered {
            Unanswered::Dropped => AskError::Unknown,
            Unanswered::Ask(error) => error,
        })
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Unanswered> {
        let engine = self.engine.borrow().as_ref().and_then(mpsc::WeakSender::upgrade);
        let engine = engine.ok_or(Unanswered::Ask(AskError::Down))?;
        let (answer, answered) = oneshot::channel();
        engine.try_send(command(answer)).map_err(|refused| {
            Unanswered::Ask(match refused {
                mpsc::error::TrySendError::Full(_) => AskError::Busy,
                mpsc::error::TrySendError::Closed(_) => AskError::Down,
            })
        })?;
        // The engine ends when nobody can tell it anything any more.
        drop(engine);
        let answered = timeout(ANSWER_WITHIN, answered).await;
        answered.map_err(|_| Unanswered::Ask(AskError::Unknown))?.map_err(|_| Unanswered::Dropped)
    }
}

/// Why there is no answer.
enum Unanswered {
    /// It was dropped.
    Dropped,
    /// It was never asked, or not answered in time.
    Ask(AskError),
}

/// Whether a subscription wants a notification, served or not.
pub fn wants(known: &Known, told: &StoredNotification) -> bool {
    delivery::filter(&known.subscription).wants(&source::outgoing(told.clone()))
}

/// The first `most` subscriptions that want any of these notifications, served or not and whenever they began, and of which positions.
/// Where fewer do it goes through the whole list, which is nothing for a thread that others wait for.
pub fn wanting(list: &List, told: Vec<StoredNotification>, most: usize) -> Vec<(Arc<Known>, Vec<Position>)> {
    let customers: BTreeSet<Hash32> = told.iter().filter_map(source::customer).collect();
    let told: Vec<_> = told.into_iter().map(source::outgoing).collect();
    // Nearly all of a long list are other customers', of which no filter is made.
    let may_want = |known: &&Arc<Known>| known.subscription.terms.customer.is_none_or(|hash| customers.contains(&hash));
    let wanted_by = |known: &Arc<Known>| {
        let filter = delivery::filter(&known.subscription);
        told.iter().filter(|told| filter.wants(told)).map(|told| told.position).collect::<Vec<_>>()
    };
    let all = list.values().filter(may_want).map(|known| (Arc::clone(known), wanted_by(known)));
    all.filter(|(_, wanted)| !wanted.is_empty()).take(most).collect()
}
