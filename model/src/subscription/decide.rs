//! What may be done to a subscription, and what comes of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::event::{
    CursorMoved, DeliveryDisabled, DeliveryPaused, DeliveryResumed, Event, OwnershipFailed, OwnershipProved,
    Subscribed, SubscriptionChanged, Unsubscribed,
};
use super::{Disabling, Ending, Ownership, Proof, Stopped, Subscription, Terms};
use crate::ids::{Hash32, Position, SubscriptionId};

/// How many patterns a subscription may have.
pub const TERMS_MAX: usize = 500;
/// The largest ciphertext of address and secrets, in bytes.
pub const SEALED_BYTES_MAX: usize = 8 * 1024;
/// The most that may be asked for in a second.
pub const RATE_PER_S_MAX: u32 = 10_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Tell somebody.
    Subscribe(Box<Subscribe>),
    /// Tell him otherwise.
    ChangeSubscription(Box<Change>),
    /// His receiver proved that it holds the secret.
    ProveOwnership {
        /// Which address and secret it was asked for: the [`Subscription::sealed_hash`] of then.
        of: Hash32,
    },
    /// It did not.
    FailOwnership {
        /// The same.
        of: Hash32,
    },
    /// Send nothing.
    PauseDelivery,
    /// Send again.
    ResumeDelivery,
    /// It cannot be delivered to.
    DisableDelivery {
        /// Why.
        why: Disabling,
    },
    /// Go on from another place in the log.
    MoveCursor {
        /// What comes after this position is told.
        after: Position,
    },
    /// No more of it, if nothing could be sent for too long.
    EndUnserved(Unserved),
    /// No more of it.
    Unsubscribe {
        /// Why.
        why: Ending,
    },
}

/// See [`Command::Subscribe`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// Its id.
    pub id: SubscriptionId,
    /// Where to, and what signs: ciphertext.
    pub sealed: String,
    /// What is wanted.
    pub terms: Terms,
    /// Whether its receiver has to prove that it holds the secret.
    pub ownership: Ownership,
}

/// See [`Command::ChangeSubscription`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where to, and what signs: ciphertext.
    pub sealed: String,
    /// What is wanted.
    pub terms: Terms,
    /// Whether the address is another one.
    pub address: Address,
}

/// See [`Command::EndUnserved`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unserved {
    /// Since when nothing can be sent; it was made, changed, resumed or stopped then.
    pub since: DateTime<Utc>,
    /// What time it is.
    pub now: DateTime<Utc>,
    /// How long such a one is kept.
    pub kept: Kept,
}

/// How long a subscription is kept that nothing can be sent to, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// While its receiver has not proved itself.
    pub unproved_s: u32,
    /// When it did, or does not have to.
    pub idle_s: u32,
}

/// Whether a changed subscription leads elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// Where it led.
    Same,
    /// Elsewhere.
    Other,
}

/// Why a command had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It is there already.
    #[error("there is such a subscription already")]
    Exists,
    /// There is none.
    #[error("there is no such subscription")]
    Missing,
    /// It is over.
    #[error("the subscription is over")]
    Over,
    /// It is stopped for something else.
    #[error("nothing is sent to the subscription as it is; resume it first")]
    IsStopped,
    /// It is not stopped.
    #[error("the subscription is not stopped")]
    NotStopped,
    /// Asked before a change.
    #[error("the address or the secret was changed since the proof was asked for")]
    Outdated,
    /// Nobody asks for a proof.
    #[error("no proof is asked for")]
    NoProofWanted,
    /// Without any event, or with too many.
    #[error("a subscription names one event at least and {TERMS_MAX} at most")]
    Events,
    /// A rate of nothing, or too high a one.
    #[error("between 1 and {RATE_PER_S_MAX} notifications a second may be asked for")]
    Rate,
    /// Too large to be kept.
    #[error("address and secrets are too long")]
    TooLong,
}

impl Command {
    /// The name under which the log stores it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Subscribe(_) => "Subscribe",
            Self::ChangeSubscription(_) => "ChangeSubscription",
            Self::ProveOwnership { .. } => "ProveOwnership",
            Self::FailOwnership { .. } => "FailOwnership",
            Self::PauseDelivery => "PauseDelivery",
            Self::ResumeDelivery => "ResumeDelivery",
            Self::DisableDelivery { .. } => "DisableDelivery",
            Self::MoveCursor { .. } => "MoveCursor",
            Self::EndUnserved(_) => "EndUnserved",
            Self::Unsubscribe { .. } => "Unsubscribe",
        }
    }
}

impl Subscription {
    /// What a command comes to; nothing when it is so already.
    pub fn decide(before: Option<&Self>, command: &Command) -> Result<Option<Event>, Rejection> {
        match (before, command) {
            (None, Command::Subscribe(asked)) => Ok(Some(asked.event()?)),
            (None, _) => Err(Rejection::Missing),
            (Some(before), Command::Unsubscribe { why }) => {
                Ok(before.ended.is_none().then_some(Unsubscribed { why: *why }.into()))
            }
            (Some(before), Command::EndUnserved(_)) if before.ended.is_some() => Ok(None),
            (Some(before), _) if before.ended.is_some() => Err(Rejection::Over),
            (Some(_), Command::Subscribe(_)) => Err(Rejection::Exists),
            (Some(before), Command::ChangeSubscription(change)) => before.change(change),
            (Some(before), Command::ProveOwnership { of }) => before.prove(*of),
            (Some(before), Command::FailOwnership { of }) => before.fail_proof(*of),
            (Some(before), Command::PauseDelivery) => before.pause(),
            (Some(before), Command::ResumeDelivery) => match before.stopped {
                Some(_) => Ok(Some(DeliveryResumed {}.into())),
                None => Err(Rejection::NotStopped),
            },
            (Some(before), Command::DisableDelivery { why }) => Ok(match before.stopped {
                None | Some(Stopped::Paused) => Some(DeliveryDisabled { why: *why }.into()),
                Some(Stopped::Unproved | Stopped::Disabled { .. }) => None,
            }),
            (Some(before), Command::EndUnserved(unserved)) => {
                Ok(before.ending(unserved).map(|why| Unsubscribed { why }.into()))
            }
            (Some(_), Command::MoveCursor { after }) => Ok(Some(CursorMoved { after: *after }.into())),
        }
    }

    /// Whether [`Command::EndUnserved`] would end it.
    pub fn is_due(&self, unserved: &Unserved) -> bool {
        self.ended.is_none() && self.ending(unserved).is_some()
    }

    /// What somebody paused waits for him.
    fn ending(&self, unserved: &Unserved) -> Option<Ending> {
        if self.is_served() || self.stopped == Some(Stopped::Paused) {
            return None;
        }
        let stood_s = unserved.now.signed_duration_since(unserved.since).num_seconds();
        let (kept_s, why) = match self.proof {
            Proof::Missing { .. } => (unserved.kept.unproved_s, Ending::NeverProved),
            Proof::NotNeeded | Proof::Given { .. } => (unserved.kept.idle_s, Ending::Idle),
        };
        (stood_s >= i64::from(kept_s)).then_some(why)
    }

    fn change(&self, change: &Change) -> Result<Option<Event>, Rejection> {
        sound(&change.sealed, &change.terms)?;
        let proof = match (change.address, self.proof) {
            (Address::Same, proof) => proof,
            (Address::Other, Proof::NotNeeded) => Proof::NotNeeded,
            (Address::Other, Proof::Missing { .. } | Proof::Given { .. }) => Proof::Missing { failures: 0 },
        };
        let (sealed, terms) = (change.sealed.clone(), change.terms.clone());
        Ok(Some(SubscriptionChanged { sealed, terms, proof }.into()))
    }

    fn prove(&self, of: Hash32) -> Result<Option<Event>, Rejection> {
        match self.proof {
            Proof::NotNeeded => Err(Rejection::NoProofWanted),
            Proof::Given { .. } | Proof::Missing { .. } if of != self.sealed_hash() => Err(Rejection::Outdated),
            // One a day that changes nothing is no event.
            Proof::Given { failures: 0 } => Ok(None),
            Proof::Given { .. } | Proof::Missing { .. } => Ok(Some(OwnershipProved {}.into())),
        }
    }

    fn fail_proof(&self, of: Hash32) -> Result<Option<Event>, Rejection> {
        match self.proof {
            Proof::NotNeeded => Err(Rejection::NoProofWanted),
            Proof::Given { .. } | Proof::Missing { .. } if of != self.sealed_hash() => Err(Rejection::Outdated),
            Proof::Given { failures } | Proof::Missing { failures } => {
                Ok(Some(OwnershipFailed { failures: failures.saturating_add(1) }.into()))
            }
        }
    }

    fn pause(&self) -> Result<Option<Event>, Rejection> {
        match self.stopped {
            None => Ok(Some(DeliveryPaused {}.into())),
            Some(Stopped::Paused) => Ok(None),
            Some(Stopped::Unproved | Stopped::Disabled { .. }) => Err(Rejection::IsStopped),
        }
    }
}

impl Subscribe {
    fn event(&self) -> Result<Event, Rejection> {
        sound(&self.sealed, &self.terms)?;
        let Self { id, sealed, terms, ownership } = self.clone();
        Ok(Subscribed { id, sealed, terms, ownership }.into())
    }
}

/// Whether patterns are those of notifications is looked at where they come in.
fn sound(sealed: &str, terms: &Terms) -> Result<(), Rejection> {
    if terms.events.is_empty() || terms.events.len() > TERMS_MAX {
        return Err(Rejection::Events);
    }
    if terms.rate_per_s.is_some_and(|rate| !(1..=RATE_PER_S_MAX).contains(&rate)) {
        return Err(Rejection::Rate);
    }
    if sealed.len() > SEALED_BYTES_MAX { Err(Rejection::TooLong) } else { Ok(()) }
}
