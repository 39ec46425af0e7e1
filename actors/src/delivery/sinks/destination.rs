//! Where a subscription leads, as its address says it.
//!
//! | address | leads to |
//! |---|---|
//! | `https://host/path` | a webhook |
//! | `nats:subject` | a subject of the operator's NATS server, kept by a stream of JetStream |
//! | `amqp:exchange/routing-key` | an exchange of the operator's AMQP 0-9-1 broker; without an exchange, a queue |
//! | `mqtt:topic` | a topic of the operator's MQTT broker |
//!
//! Servers and passwords are in no address: they are the operator's, in the configuration.

use std::fmt;

use super::super::address::{AddressError, Reach, Target, URL_BYTES_MAX};

/// The longest name of an exchange, routing key or subject, in bytes: a short string of AMQP 0-9-1.
const NAME_BYTES_MAX: usize = 255;
/// The longest topic, in bytes. MQTT has 65 535, brokers less.
const TOPIC_BYTES_MAX: usize = 1_024;

/// Where a subscription leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To a webhook.
    Webhook(Target),
    /// To a subject, which has no wildcards.
    Nats {
        /// Its tokens with dots in between.
        subject: String,
    },
    /// To an exchange.
    Amqp {
        /// Its name; empty for the default one, which leads to the queue that the routing key names.
        exchange: String,
        /// By this key.
        routing_key: String,
    },
    /// To a topic, which has no wildcards.
    Mqtt {
        /// Its levels with slashes in between.
        topic: String,
    },
}

/// The kinds of destinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Webhooks.
    Webhook,
    /// NATS with JetStream.
    Nats,
    /// AMQP 0-9-1.
    Amqp,
    /// MQTT.
    Mqtt,
}

/// Why an address leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// It is no address of a webhook.
    #[error(transparent)]
    Webhook(#[from] AddressError),
    /// The address begins like none of them.
    #[error("an address begins with https://, nats:, amqp: or mqtt:")]
    Scheme,
    /// With a server.
    #[error("an address of {0} names no server, which is the operator's: write {example}", example = .0.example())]
    Server(Kind),
    /// Not a name that the broker takes.
    #[error("this is no address of {0}: {1}")]
    Name(Kind, &'static str),
    /// The operator configured none.
    #[error("this desk delivers to no {0}: nothing is configured in [{section}]", section = .0.section())]
    NotConfigured(Kind),
    /// The program cannot do it.
    #[error("this program was built without {0}: it takes the feature {feature:?}", feature = .0.feature())]
    NotCompiled(Kind),
    /// Who asks has to be told by a webhook.
    #[error("only what the operator vouches for leads anywhere but to a webhook")]
    NotVouched,
    /// It cannot be put into a message.
    #[error("the address cannot be put into a message")]
    Unfit,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Webhook, Self::Nats, Self::Amqp, Self::Mqtt];

    /// What an address begins with, before the colon.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Webhook => "https",
            Self::Nats => "nats",
            Self::Amqp => "amqp",
            Self::Mqtt => "mqtt",
        }
    }

    /// The table of the configuration that says how to get there.
    pub const fn section(self) -> &'static str {
        match self {
            Self::Webhook => "notify",
            Self::Nats => "notify.nats",
            Self::Amqp => "notify.amqp",
            Self::Mqtt => "notify.mqtt",
        }
    }

    /// The feature that the program has to be built with; none for what is always there.
    pub const fn feature(self) -> &'static str {
        match self {
            Self::Webhook => "",
            Self::Nats => "nats",
            Self::Amqp => "amqp",
            Self::Mqtt => "mqtt",
        }
    }

    /// Whether this program can do it.
    pub const fn is_compiled(self) -> bool {
        match self {
            Self::Webhook => true,
            Self::Nats => cfg!(feature = "nats"),
            Self::Amqp => cfg!(feature = "amqp"),
            Self::Mqtt => cfg!(feature = "mqtt"),
        }
    }

    const fn example(self) -> &'static str {
        match self {
            Self::Webhook => "https://host/path",
            Self::Nats => "nats:subject",
            Self::Amqp => "amqp:exchange/routing-key",
            Self::Mqtt => "mqtt:topic",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Webhook => "webhook",
            Self::Nats => "NATS server",
            Self::Amqp => "AMQP broker",
            Self::Mqtt => "MQTT broker",
        })
    }
}

impl Destination {
    /// Reads an address, without asking anybody.
    pub fn parse(address: &str, reach: Reach) -> Result<Self, DestinationError> {
        if address.len() > URL_BYTES_MAX {
            return Err(AddressError::TooLong.into());
        }
        let (scheme, rest) = address.split_once(':').ok_or(AddressError::NoUrl)?;
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "https" | "http" => return Ok(Self::Webhook(Target::parse(address, reach)?)),
            scheme => Kind::ALL.into_iter().find(|kind| kind.scheme() == scheme).ok_or(DestinationError::Scheme)?,
        };
        if rest.starts_with("//") {
            return Err(DestinationError::Server(kind));
        }
        match kind {
            Kind::Webhook => Err(DestinationError::Scheme),
            Kind::Nats => subject(rest).map(|subject| Self::Nats { subject }),
            Kind::Amqp => exchange(rest).map(|(exchange, routing_key)| Self::Amqp { exchange, routing_key }),
            Kind::Mqtt => topic(rest).map(|topic| Self::Mqtt { topic }),
        }
    }

    /// Of which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Webhook(_) => Kind::Webhook,
            Self::Nats { .. } => Kind::Nats,
            Self::Amqp { .. } => Kind::Amqp,
            Self::Mqtt { .. } => Kind::Mqtt,
        }
    }
}

/// Tokens of visible characters with single dots in between. What begins with `$` is the server's own.
fn subject(text: &str) -> Result<String, DestinationError> {
    let refused = |why| Err(DestinationError::Name(Kind::Nats, why));
    if text.len() > NAME_BYTES_MAX {
        return refused("a subject has at most 255 bytes");
    }
    if text.split('.').any(str::is_empty) {
        return refused("a subject is words with single dots in between");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return refused("a subject has no blanks");
    }
    if text.contains(['*', '>']) {
        return refused("a subject to publish to has no wildcards");
    }
    if text.starts_with('$') {
        return refused("what begins with $ is the server's own");
    }
    Ok(text.to_owned())
}

/// An exchange and a routing key, each at most a short string.
fn exchange(text: &str) -> Result<(String, String), DestinationError> {
    let refused = |why| Err(DestinationError::Name(Kind::Amqp, why));
    let Some((exchange, routing_key)) = text.split_once('/') else {
        return refused("write amqp:exchange/routing-key, or amqp:/queue for the default exchange");
    };
    if exchange.len() > NAME_BYTES_MAX || routing_key.len() > NAME_BYTES_MAX {
        return refused("an exchange and a routing key have at most 255 bytes each");
    }
    if exchange.is_empty() && routing_key.is_empty() {
        return refused("it names neither an exchange nor a queue");
    }
    if text.chars().any(char::is_control) {
        return refused("it has control characters in it");
    }
    Ok((exchange.to_owned(), routing_key.to_owned()))
}

/// Levels with slashes in between (MQTT 5, §4.7). What begins with `$` is the broker's own.
fn topic(text: &str) -> Result<String, DestinationError> {
    let refused = |why| Err(DestinationError::Name(Kind::Mqtt, why));
    if text.is_empty() || text.len() > TOPIC_BYTES_MAX {
        return refused("a topic has from 1 to 1024 bytes");
    }
    if text.contains(['+', '#']) {
        return refused("a topic to publish to has no wildcards");
    }
    if text.chars().any(char::is_control) {
        return refused("a topic has no control characters");
    }
    if text.starts_with('$') {
        return refused("what begins with $ is the broker's own");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
