//! Who wants to be told, of what, and where: one stream a subscription.
//!
//! What of it is its owner's alone, its address and its secrets, comes in as ciphertext and stays it: nothing here rests on
//! what is in there. When what is sent to whom is the delivery's business; it ends with events of this stream.

mod decide;
mod event;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use decide::{
    Address, Change, Command, Kept, RATE_PER_S_MAX, Rejection, SEALED_BYTES_MAX, Subscribe, TERMS_MAX, Unserved,
};
pub use event::{
    CursorMoved, DeliveryDisabled, DeliveryPaused, DeliveryResumed, Event, OwnershipFailed, OwnershipProved,
    Subscribed, SubscriptionChanged, Unsubscribed,
};

use crate::ids::{Hash32, Position, SubscriptionId};

/// After so many rounds in a row in which the receiver did not prove that it holds the secret, nothing is sent to it.
pub const FAILED_PROOFS_MAX: u32 = 3;

/// What names a customer in subscriptions: the SHA-256 of the address that he is paid at.
pub fn customer_hash(target: &str) -> Hash32 {
    Hash32(Sha256::digest(target).into())
}

/// In which way notifications are sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// JSON, with the headers of Standard Webhooks.
    Standard,
    /// Plain text, with ton.events' header.
    TonEvents,
}

/// When a notification that did not arrive is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Nine times over three days.
    Standard,
    /// Three times, after 30 seconds and twice as long each time.
    TonEvents,
}

/// Whether notifications of one deposit may overtake each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// They may; each has its number.
    Any,
    /// Each waits for the one before it to arrive or to be given up.
    PerDeposit,
}

/// Whether a receiver has to prove that it holds the secret before anything is sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    /// The operator vouches for it.
    Vouched,
    /// It has to, and again every day.
    ToBeProved,
}

/// What is wanted of a subscription, besides where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Patterns over the names of notifications; see [`crate::subscription::TERMS_MAX`].
    pub events: Vec<String>,
    /// The [`customer_hash`] of the one whose deposits are told; all deposits without one.
    pub customer: Option<Hash32>,
    /// In which way they are sent.
    pub dialect: Dialect,
    /// When they are sent again.
    pub schedule: Schedule,
    /// Whether they may overtake each other.
    pub order: Order,
    /// How many a second, at most.
    pub rate_per_s: Option<u32>,
}

/// Where the proof of a receiver stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// None is asked for.
    NotNeeded,
    /// There was none yet.
    Missing {
        /// Rounds in a row without one.
        failures: u32,
    },
    /// It was given.
    Given {
        /// Rounds in a row without one since.
        failures: u32,
    },
}

/// Why nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// Somebody wanted it so.
    Paused,
    /// Its receiver did not prove that it holds the secret.
    Unproved,
    /// It cannot be delivered to.
    Disabled {
        /// Why.
        why: Disabling,
    },
}

/// Why a subscription was disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disabling {
    /// The receiver said that it is gone for good.
    Gone,
    /// The receiver asked for it.
    Asked,
    /// A notification did not arrive after all its attempts. It stays owed.
    Exhausted,
}

impl Disabling {
    /// The sentence for its owner.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Gone => "it was answered that there is no such receiver any more",
            Self::Asked => "the receiver asked for it in an answer",
            Self::Exhausted => "a notification did not arrive after all its attempts",
        }
    }
}

/// Why a subscription that was served is not any more, without its owner having wanted it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// As [`Disabling::Gone`].
    Gone,
    /// As [`Disabling::Asked`].
    Asked,
    /// As [`Disabling::Exhausted`].
    Exhausted,
    /// Its receiver proved once that it holds the secret, and then did not any more.
    Unproved,
}

impl Silence {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Gone, Self::Asked, Self::Exhausted, Self::Unproved];

    /// The sentence for its owner.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Gone => Disabling::Gone.sentence(),
            Self::Asked => Disabling::Asked.sentence(),
            Self::Exhausted => Disabling::Exhausted.sentence(),
            Self::Unproved => "the receiver did not prove any more that it holds the secret",
        }
    }
}

impl From<Disabling> for Silence {
    fn from(why: Disabling) -> Self {
        match why {
            Disabling::Gone => Self::Gone,
            Disabling::Asked => Self::Asked,
            Disabling::Exhausted => Self::Exhausted,
        }
    }
}

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Its owner wanted it so.
    Wanted,
    /// Its receiver did not prove that it holds the secret, in its time or until its place was needed.
    NeverProved,
    /// Nothing could be sent for longer than it is kept, or until its place was needed. Having nothing to tell is no reason.
    Idle,
}

/// A subscription as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Where to, and what signs: ciphertext.
    pub sealed: String,
    /// What is wanted.
    pub terms: Terms,
    /// Where the proof of its receiver stands.
    pub proof: Proof,
    /// Why nothing is sent, if so.
    pub stopped: Option<Stopped>,
    /// After which position it was told to go on, the last time it was.
    pub moved_to: Option<Position>,
    /// Why it is over.
    pub ended: Option<Ending>,
}

impl Subscription {
    /// Whether anything is sent.
    pub fn is_served(&self) -> bool {
        let is_proved = match self.proof {
            Proof::NotNeeded | Proof::Given { .. } => true,
            Proof::Missing { .. } => false,
        };
        is_proved && self.stopped.is_none() && self.ended.is_none()
    }

    /// The customer who made it for himself; nobody of one that an operator vouches for, which is the operator's.
    pub fn owner(&self) -> Option<Hash32> {
        self.terms.customer.filter(|_| self.proof != Proof::NotNeeded)
    }

    /// Why it is not served any more, if it was and its owner did not want it so.
    pub fn silence(&self) -> Option<Silence> {
        match (&self.stopped, self.proof) {
            // Whoever knows a customer could make subscriptions for him that never prove themselves.
            (Some(Stopped::Disabled { .. }), Proof::Missing { .. }) => None,
            (Some(Stopped::Disabled { why }), Proof::NotNeeded | Proof::Given { .. }) => Some((*why).into()),
            (Some(Stopped::Unproved), Proof::Given { .. }) => Some(Silence::Unproved),
            (Some(Stopped::Unproved), Proof::NotNeeded | Proof::Missing { .. }) => None,
            (Some(Stopped::Paused) | None, _) => None,
        }
    }

    /// What names the address and the secret that it has now: they are sealed anew whenever one of them changes.
    pub fn sealed_hash(&self) -> Hash32 {
        Hash32(Sha256::digest(&self.sealed).into())
    }

    /// As what it makes room where places are taken: only when its receiver did not prove itself.
    pub fn makes_room(&self) -> Option<Ending> {
        match (self.proof, &self.stopped) {
            (_, Some(Stopped::Paused)) | (Proof::NotNeeded, _) => None,
            (Proof::Missing { .. }, _) => Some(Ending::NeverProved),
            (Proof::Given { .. }, Some(Stopped::Unproved)) => Some(Ending::Idle),
            (Proof::Given { .. }, None | Some(Stopped::Disabled { .. })) => None,
        }
    }

    /// Whether its receiver is asked for a proof now and then.
    pub fn is_asked(&self) -> bool {
        self.ended.is_none() && self.stopped.is_none() && self.proof != Proof::NotNeeded
    }
}

/// The subscription after one more event; nothing when the event cannot be where it is.
pub fn evolve(before: Option<Subscription>, event: &Event) -> Option<Subscription> {
    match (before, event) {
        (None, Event::Subscribed(begun)) => Some(begun.subscription()),
        (None, _) | (Some(_), Event::Subscribed(_)) => None,
        (Some(before), event) => Some(before.after(event)),
    }
}

impl Subscription {
    fn after(mut self, event: &Event) -> Self {
        match event {
            Event::Subscribed(_) => {}
            Event::SubscriptionChanged(changed) => {
                self.sealed.clone_from(&changed.sealed);
                self.terms.clone_from(&changed.terms);
                self.proof = changed.proof;
            }
            Event::OwnershipProved(_) => self.proof = Proof::Given { failures: 0 },
            Event::OwnershipFailed(failed) => self.failed(failed.failures),
            Event::DeliveryPaused(_) => self.stopped = Some(Stopped::Paused),
            Event::DeliveryResumed(_) => self.resumed(),
            Event::DeliveryDisabled(disabled) => self.stopped = Some(Stopped::Disabled { why: disabled.why }),
            Event::CursorMoved(moved) => self.moved_to = Some(moved.after),
            Event::Unsubscribed(over) => self.ended = Some(over.why),
        }
        self
    }

    fn failed(&mut self, failures: u32) {
        self.proof = match self.proof {
            Proof::NotNeeded | Proof::Missing { .. } => Proof::Missing { failures },
            Proof::Given { .. } => Proof::Given { failures },
        };
        if failures >= FAILED_PROOFS_MAX {
            self.stopped = Some(Stopped::Unproved);
        }
    }

    fn resumed(&mut self) {
        self.stopped = None;
        self.proof = match self.proof {
            Proof::NotNeeded => Proof::NotNeeded,
            Proof::Missing { .. } => Proof::Missing { failures: 0 },
            Proof::Given { .. } => Proof::Given { failures: 0 },
        };
    }
}
