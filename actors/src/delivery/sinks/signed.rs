//! What is said beside a message's body: its id, when it was sent, and the signatures over both and the body.
//!
//! The names are Standard Webhooks'. They are put wherever a protocol has room for them: headers of HTTP, NATS and AMQP, user
//! properties of MQTT.

use millrace_protocols::webhook::sign::Signer;
use millrace_protocols::webhook::{ID_HEADER, SIGNATURE_HEADER, TE_HEADER, TIMESTAMP_HEADER};

use super::Message;

/// A message's id, time and signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The notification's id, with hyphens.
    pub id: String,
    /// When this attempt began, in seconds since 1970.
    pub timestamp: String,
    /// The signatures of Standard Webhooks' kind; empty for an endpoint without such a secret.
    pub signature: String,
    /// The signature of ton.events' kind, if the endpoint has one.
    pub te: Option<String>,
}

impl Signed {
    /// Signs a message.
    pub fn new(signer: &Signer, message: Message<'_>) -> Self {
        let id = message.outgoing.id.hyphenated().to_string();
        let timestamp_s = message.started_ms / 1_000;
        let signature = signer.signature(&id, timestamp_s, &message.outgoing.body);
        let te = signer.te_signature(&message.outgoing.body);
        Self { id, timestamp: timestamp_s.to_string(), signature, te }
    }

    /// What there is of it, each with its name in small letters.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let signature = Some(self.signature.as_str()).filter(|signature| !signature.is_empty());
        let all = [
            (ID_HEADER, Some(self.id.as_str())),
            (TIMESTAMP_HEADER, Some(self.timestamp.as_str())),
            (SIGNATURE_HEADER, signature),
            (TE_HEADER, self.te.as_deref()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}
