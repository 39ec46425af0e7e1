//! Ids that sort by time, from the machine's clock and randomness: the one place that makes them.

use std::sync::Arc;

use millrace_model::ids::DepositId;
use rand::RngCore;
use uuid::Builder;

use crate::clock::Clock;
use crate::ports::Ids;

/// UUIDs of version 7.
pub struct TimeOrderedIds(pub Arc<dyn Clock>);

impl Ids for TimeOrderedIds {
    fn deposit_id(&self) -> DepositId {
        let mut random = [0; 10];
        rand::rng().fill_bytes(&mut random);
        let now_ms = u64::try_from(self.0.now().timestamp_millis()).unwrap_or(0);
        DepositId(Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid())
    }
}
