//! Whoever fills the queue.

use std::collections::BTreeMap;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_model::ids::Hash32;
use millrace_tests::peers::queue::Queue;
use rskafka::chrono::DateTime;
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::record::Record;

/// What it fills.
pub const TOPIC: &str = "notifications-1";
/// A nonce of the right length.
const NONCE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// The provider.
pub struct Provider(PartitionClient);

impl Provider {
    /// Makes the topic.
    pub async fn at(queue: &Queue) -> Result<Self> {
        Self::by(queue, |builder| builder).await
    }

    /// The same, where a broker wants to know who it is, or connections are encrypted.
    pub async fn by(queue: &Queue, prepared: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Self> {
        let builder = prepared(ClientBuilder::new(vec![queue.address.clone()]));
        let client = builder.build().await?;
        client.controller_client()?.create_topic(TOPIC, 1, 1, 5_000).await?;
        Ok(Self(client.partition_client(TOPIC, 0, UnknownTopicHandling::Retry).await?))
    }

    /// Produces records, each a key and a value.
    pub async fn send(&self, records: &[(&str, &str)], compression: Compression) -> Result<()> {
        let record = |(key, value): &(&str, &str)| Record {
            key: Some(key.as_bytes().to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: BTreeMap::new(),
            timestamp: DateTime::UNIX_EPOCH,
        };
        self.0.produce(records.iter().map(record).collect(), compression).await?;
        Ok(())
    }
}

/// A message for somebody, of which there is no other with this number.
pub fn value(customer: Hash32, number: u16) -> String {
    format!("{customer} {NONCE} {}", STANDARD.encode(format!("{number:0>20}")))
}
