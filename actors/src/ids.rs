//! Ids that sort by time, from the machine's clock and randomness: the one place that makes them.

use std::sync::Arc;

use millrace_model::ids::{CommandId, DepositId, SubscriptionId};
use rand::RngCore;
use uuid::{Builder, Uuid};

use crate::clock::Clock;
use crate::ports::Ids;

/// UUIDs of version 7.
#[derive(Clone)]
pub struct TimeOrderedIds(pub Arc<dyn Clock>);

impl TimeOrderedIds {
    /// A fresh id for a command that nobody will repeat. The log keeps commands in the order of their ids: random ones
    /// would be written all over it.
    pub fn command_id(&self) -> CommandId {
        self.uuid().into()
    }

    /// A fresh id for a subscription.
    pub fn subscription_id(&self) -> SubscriptionId {
        SubscriptionId(self.uuid())
    }

    /// A fresh id for a notification that tells of nothing: those of the log are of version 5.
    pub fn simulation_id(&self) -> Uuid {
        self.uuid()
    }

    fn uuid(&self) -> Uuid {
        let mut random = [0; 10];
        rand::rng().fill_bytes(&mut random);
        let now_ms = u64::try_from(self.0.now().timestamp_millis()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid()
    }
}

impl Ids for TimeOrderedIds {
    fn deposit_id(&self) -> DepositId {
        DepositId(self.uuid())
    }
}
