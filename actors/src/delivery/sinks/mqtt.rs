//! MQTT 5: a message is published with quality of service 1, and the broker's PUBACK is its receipt.
//!
//! Signatures are user properties (§3.3.2.3.7). A topic that nobody subscribes to is a refusal: what is published there is
//! gone, and the broker says so (reason 0x10, §3.4.2.1). Nothing is kept over connections: each is a session of its own under
//! a name of its own, so an attempt that failed is not published later behind the schedule's back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millrace_protocols::delivery::verdict::Trouble;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAck, PubAckReason, PublishProperties};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use rumqttc::{Outgoing, TlsConfiguration, Transport};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::super::tls;
use super::broker::{Broker, Letter, Miss, Settings};
use super::destination::Destination;

/// How often a connection on which nothing happens is tried.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How many messages wait for the task that drives the connection; more are never under way.
const QUEUE: usize = 256;
/// In clear, and encrypted.
const PORTS: [u16; 2] = [1_883, 8_883];

/// A broker of MQTT.
pub(super) struct Mqtt(pub(super) Settings);

/// A connection and the task that drives it.
pub(super) struct Link {
    client: AsyncClient,
    receipts: Arc<Mutex<Receipts>>,
    _driver: AbortOnDropHandle<()>,
}

type Receipt = oneshot::Sender<PubAck>;

/// Who waits for which receipt. The broker acknowledges packets by numbers, which are given in the order of publishing.
#[derive(Default)]
struct Receipts {
    queued: VecDeque<Receipt>,
    numbered: HashMap<u16, Receipt>,
}

impl Broker for Mqtt {
    type Link = Link;
    type Place = String;

    fn place(destination: &Destination) -> Option<String> {
        match destination {
            Destination::Mqtt { topic } => Some(topic.clone()),
            _ => None,
        }
    }

    async fn connect(&self, down: CancellationToken) -> Result<Link, Miss> {
        let options = self.options()?;
        let (client, mut events) = AsyncClient::new(options, QUEUE);
        // What comes first is that we are taken.
        events.poll().await.map_err(|error| not_connected(&error))?;
        let receipts = Arc::<Mutex<Receipts>>::default();
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends with the connection, which whoever delivers through holds"
        )]
        let driver = tokio::spawn(drive(events, Arc::clone(&receipts), down));
        Ok(Link { client, receipts, _driver: AbortOnDropHandle::new(driver) })
    }

    async fn publish(link: &Link, topic: &String, letter: Letter) -> Result<(), Miss> {
        let answer = link.hand_over(topic, letter)?;
        let broken = |_| Miss::failed(Trouble::Broken, "the connection ended before the broker answered");
        let PubAck { reason, properties, .. } = answer.await.map_err(broken)?;
        let said = properties.and_then(|properties| properties.reason_string);
        match reason {
            PubAckReason::Success => Ok(()),
            PubAckReason::NoMatchingSubscribers => Err(Miss::refused("nobody subscribes to the topic")),
            PubAckReason::UnspecifiedError
            | PubAckReason::ImplementationSpecificError
            | PubAckReason::NotAuthorized
            | PubAckReason::TopicNameInvalid
            | PubAckReason::PacketIdentifierInUse
            | PubAckReason::QuotaExceeded
            | PubAckReason::PayloadFormatInvalid => {
                let said = said.map_or_else(String::new, |said| format!(": {said}"));
                Err(Miss::refused(format!("the broker refuses it, {reason:?}{said}")))
            }
        }
    }

    /// Its place among those under way would stay taken.
    fn unanswered(down: &CancellationToken) {
        down.cancel();
    }
}

/// How many publishes may be without their PUBACK; the client has room for so many from the beginning. More than are ever under
/// way, so that the number of one that nobody answered is not soon given out again.
const UNACKNOWLEDGED_MAX: u16 = 1_024;

impl Mqtt {
    fn options(&self) -> Result<MqttOptions, Miss> {
        let Settings { url, user, password, authority } = &self.0;
        let is_encrypted = url.scheme() == "mqtts";
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port().unwrap_or(PORTS[usize::from(is_encrypted)]);
        let mut options = MqttOptions::new(format!("millrace-{:016x}", rand::random::<u64>()), host, port);
        options.set_keep_alive(KEEP_ALIVE).set_clean_start(true);
        options.set_outgoing_inflight_upper_limit(UNACKNOWLEDGED_MAX);
        if user.is_some() || password.is_some() {
            options.set_credentials(user.clone().unwrap_or_default(), password.clone().unwrap_or_default());
        }
        if is_encrypted {
            let config = tls::config_with(authority.as_deref())
                .map_err(|error| Miss::failed(Trouble::Tls, error.to_string()))?;
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(config))));
        }
        Ok(options)
    }
}

impl Link {
    /// Hands it to the task that drives the connection, in the order in which its receipt is waited for.
    fn hand_over(&self, topic: &str, letter: Letter) -> Result<oneshot::Receiver<PubAck>, Miss> {
        let pairs = letter.signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let properties = PublishProperties {
            payload_format_indicator: Some(1),
            user_properties: pairs.collect(),
            content_type: Some(letter.content_type.to_owned()),
            ..PublishProperties::default()
        };
        let (receipt, answer) = oneshot::channel();
        let mut receipts = lock(&self.receipts);
        let publishing =
            self.client.try_publish_with_properties(topic, QoS::AtLeastOnce, false, letter.body, properties);
        publishing.map_err(|error| Miss::failed(Trouble::Broken, format!("the connection takes nothing: {error}")))?;
        receipts.queued.push_back(receipt);
        Ok(answer)
    }
}

/// Drives a connection until it ends.
async fn drive(mut events: EventLoop, receipts: Arc<Mutex<Receipts>>, down: CancellationToken) {
    while let Some(event) = down.run_until_cancelled(events.poll()).await {
        match event {
            Ok(Event::Outgoing(Outgoing::Publish(number))) => {
                let mut receipts = lock(&receipts);
                if let Some(receipt) = receipts.queued.pop_front() {
                    receipts.numbered.insert(number, receipt);
                }
            }
            Ok(Event::Incoming(Packet::PubAck(ack))) => {
                let receipt = lock(&receipts).numbered.remove(&ack.pkid);
                // Whoever gave up needs none.
                let _ = receipt.map(|receipt| receipt.send(ack));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the connection to the MQTT broker ended");
                break;
            }
        }
    }
    down.cancel();
}

fn lock(receipts: &Mutex<Receipts>) -> std::sync::MutexGuard<'_, Receipts> {
    receipts.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_connected(error: &ConnectionError) -> Miss {
    let trouble = match error {
        ConnectionError::Tls(_) => Trouble::Tls,
        ConnectionError::Timeout(_) => Trouble::Timeout,
        ConnectionError::Io(_) => Trouble::Connect,
        ConnectionError::ConnectionRefused(_) => return Miss::refused(format!("the broker does not take us: {error}")),
        ConnectionError::MqttState(_) | ConnectionError::NotConnAck(_) | ConnectionError::RequestsDone => {
            Trouble::Protocol
        }
    };
    Miss::failed(trouble, error.to_string())
}
