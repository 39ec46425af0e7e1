//! Ends subscriptions that nothing could be sent to for too long, and has the oldest whose receiver never proved itself make
//! room where places are taken.
//!
//! A key whose subscription is over is destroyed at the latest here, at a start and hourly.
//!
//! Whether one's time has come is the aggregate's decision; here it is only asked, now and then. After a start it is not asked
//! before everybody who has to prove himself had a round of questions. A person whose question can still be answered is
//! let answer it.

use std::sync::Arc;
use std::time::Duration;

use millrace_model::ids::Hash32;
use millrace_model::subscription::{Command, Ending, Kept, Unserved};

use super::{Known, OF_A_CUSTOMER_MAX, SUBSCRIPTIONS_MAX, Service, SubscribeError, Subscriptions, endpoint};
use crate::event_store::Store;
use crate::supervision::{Tree, TreeError};

/// The part's name in the tree.
pub const PART: &str = "endings";
/// How long after a start it is looked for the first time: a round of questions takes some nine minutes.
const FIRST_AFTER: Duration = Duration::from_mins(10);
/// How often it is looked then.
const EVERY: Duration = Duration::from_hours(1);
/// How many are ended before others have their turn at the service.
const AT_ONCE_MAX: usize = 64;

/// Adds the part to the tree.
pub fn start(tree: &Tree, store: Store, subscriptions: Subscriptions, kept: Kept) -> Result<(), TreeError> {
    tree.add_task(PART, move |report| {
        let (store, subscriptions) = (store.clone(), subscriptions.clone());
        async move {
            store.ready_for(&report).await;
            run(&subscriptions, kept).await;
        }
    })
}

async fn run(subscriptions: &Subscriptions, kept: Kept) {
    sweep(subscriptions).await;
    tokio::time::sleep(FIRST_AFTER).await;
    loop {
        if let Err(error) = end_all(subscriptions, kept).await {
            tracing::warn!(%error, "subscriptions whose time has come stand for another while");
        }
        sweep(subscriptions).await;
        tokio::time::sleep(EVERY).await;
    }
}

async fn sweep(subscriptions: &Subscriptions) {
    match subscriptions.sweep_keys().await {
        Ok(0) => {}
        Ok(swept) => tracing::info!(swept, "keys of subscriptions that were over already are destroyed"),
        Err(error) => tracing::warn!(%error, "keys of subscriptions that are over are not looked for"),
    }
}

async fn end_all(subscriptions: &Subscriptions, kept: Kept) -> Result<(), SubscribeError> {
    while subscriptions.end_unserved(kept).await? == AT_ONCE_MAX {}
    Ok(())
}

impl Service {
    /// Ends some whose time has come, at most [`AT_ONCE_MAX`], and says how many.
    pub(super) async fn end_unserved(&self, kept: Kept) -> Result<usize, SubscribeError> {
        let (now, mut ended) = (self.clock.now(), 0);
        for known in self.book.list().values() {
            let Some(since) = known.unserved_since else { continue };
            let asked = Unserved { since, now, kept };
            if !known.subscription.is_due(&asked) || self.questions.is_open(known, now) {
                continue;
            }
            let id = known.subscription.id;
            match self.execute(id, Command::EndUnserved(asked)).await {
                Ok(known) if known.subscription.ended.is_some() => {
                    tracing::info!(subscription = %id, "a subscription that nothing could be sent to is over");
                    ended += 1;
                }
                Ok(_) => {}
                Err(SubscribeError::Unreadable(why)) => {
                    tracing::warn!(subscription = %id, %why, "a subscription whose time has come is set aside");
                }
                Err(error) => return Err(error),
            }
            if ended == AT_ONCE_MAX {
                break;
            }
        }
        Ok(ended)
    }

    /// Destroys the keys of subscriptions that are over: the process may have ended between that event and its key's end. Says
    /// how many. Of which the log has no end it may have one in a later copy, so their keys stay.
    pub(super) async fn sweep_keys(&self) -> Result<usize, SubscribeError> {
        let (list, mut swept) = (self.book.list(), 0);
        for id in endpoint::with_keys(&self.keys).await? {
            if list.contains_key(&id) {
                continue;
            }
            let is_over = self.book.look_up(id).await?.is_some_and(|known| known.subscription.ended.is_some());
            if is_over {
                endpoint::forget(&self.keys, id, self.clock.now()).await?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Where a customer's places, or all there are, are taken, one whose receiver did not prove itself goes: the oldest.
    pub(super) async fn make_room(&self, customer: Option<Hash32>) -> Result<(), SubscribeError> {
        let list = self.book.list();
        let is_his = |known: &&Arc<Known>| known.subscription.terms.customer == customer;
        let goes = if customer.is_some() && list.values().filter(is_his).count() >= OF_A_CUSTOMER_MAX {
            oldest_unproved(list.values().filter(is_his))
        } else if list.len() >= SUBSCRIPTIONS_MAX {
            oldest_unproved(list.values())
        } else {
            None
        };
        if let Some((known, why)) = goes {
            self.execute(known.subscription.id, Command::Unsubscribe { why }).await?;
        }
        Ok(())
    }
}

fn oldest_unproved<'k>(known: impl Iterator<Item = &'k Arc<Known>>) -> Option<(&'k Arc<Known>, Ending)> {
    let unproved = known
        .filter(|known| known.unreadable.is_none())
        .filter_map(|known| Some((known, known.subscription.makes_room()?)));
    unproved.min_by_key(|(known, _)| known.begun)
}
