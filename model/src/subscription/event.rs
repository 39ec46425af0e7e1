//! What happens to a subscription.

use serde::{Deserialize, Serialize};

use super::{Disabling, Ending, Ownership, Proof, Subscription, Terms};
use crate::ids::{Position, SubscriptionId};

crate::event::events! {
    /// An event of a subscription.
    pub enum Event {
        /// Somebody wants to be told.
        Subscribed = 1,
        /// Somebody wants to be told otherwise.
        SubscriptionChanged = 1,
        /// The receiver proved that it holds the secret.
        OwnershipProved = 1,
        /// The receiver did not, in one more round.
        OwnershipFailed = 1,
        /// Nothing is sent until it is resumed.
        DeliveryPaused = 1,
        /// It is sent to again.
        DeliveryResumed = 1,
        /// It cannot be delivered to, and nothing is sent until it is resumed.
        DeliveryDisabled = 1,
        /// It goes on from another place in the log.
        CursorMoved = 1,
        /// It is over.
        Unsubscribed = 1,
    }
}

/// See [`Event::Subscribed`]. What is told begins after this event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribed {
    /// Its id.
    pub id: SubscriptionId,
    /// Where to, and what signs: ciphertext.
    pub sealed: String,
    /// What is wanted.
    pub terms: Terms,
    /// Whether its receiver has to prove that it holds the secret.
    pub ownership: Ownership,
}

impl Subscribed {
    pub(super) fn subscription(&self) -> Subscription {
        Subscription {
            id: self.id,
            sealed: self.sealed.clone(),
            terms: self.terms.clone(),
            proof: match self.ownership {
                Ownership::Vouched => Proof::NotNeeded,
                Ownership::ToBeProved => Proof::Missing { failures: 0 },
            },
            stopped: None,
            moved_to: None,
            ended: None,
        }
    }
}

/// See [`Event::SubscriptionChanged`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionChanged {
    /// Where to, and what signs: ciphertext.
    pub sealed: String,
    /// What is wanted.
    pub terms: Terms,
    /// Where the proof of its receiver stands now: another address has to be proved anew.
    pub proof: Proof,
}

/// See [`Event::OwnershipProved`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnershipProved {}

/// See [`Event::OwnershipFailed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnershipFailed {
    /// How many rounds in a row, this one included.
    pub failures: u32,
}

/// See [`Event::DeliveryPaused`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPaused {}

/// See [`Event::DeliveryResumed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryResumed {}

/// See [`Event::DeliveryDisabled`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryDisabled {
    /// Why.
    pub why: Disabling,
}

/// See [`Event::CursorMoved`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorMoved {
    /// What comes after this position is told, again if it was told before.
    pub after: Position,
}

/// See [`Event::Unsubscribed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsubscribed {
    /// Why.
    pub why: Ending,
}
