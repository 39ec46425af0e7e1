//! `[notify.…]`: the ways out that notifications can take besides webhooks.
//!
//! Subscriptions say where to on such a server; which server it is, and who the desk is there, is said here.

use std::path::PathBuf;

use millrace_actors::delivery::sinks::broker;
use millrace_actors::delivery::sinks::destination::Kind;

use super::layers::Layers;
use super::people::{Wrong, read as read_certificates};
use super::secret::Secret;
use super::section::Section;
use super::setting::BrokerUrl;

/// The `[notify.…]` tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// `[notify.nats]`, for subscriptions to `nats:subject`.
    pub nats: Broker,
    /// `[notify.amqp]`, for subscriptions to `amqp:exchange/routing-key`.
    pub amqp: Broker,
    /// `[notify.mqtt]`, for subscriptions to `mqtt:topic`.
    pub mqtt: Broker,
}

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Where it is; without it, no subscription leads there.
    pub url: Option<BrokerUrl>,
    /// Who the desk is there.
    pub user: Option<String>,
    /// By which word it is known, from `password` or `password_file`.
    pub password: Option<Secret>,
    /// PEM file of certificates that vouch for it besides the system's.
    pub authority: Option<PathBuf>,
}

impl Notify {
    pub(super) fn read(layers: &mut Layers<'_>) -> Self {
        let mut broker = |kind: Kind| {
            let mut section = Section::new(layers, kind.section());
            Broker {
                url: section.optional("url"),
                user: section.optional("user"),
                password: section.secret("password", "password_file"),
                authority: section.path("authority", None),
            }
        };
        Self { nats: broker(Kind::Nats), amqp: broker(Kind::Amqp), mqtt: broker(Kind::Mqtt) }
    }

    /// The brokers, each with its kind.
    pub fn brokers(&self) -> [(Kind, &Broker); 3] {
        [(Kind::Nats, &self.nats), (Kind::Amqp, &self.amqp), (Kind::Mqtt, &self.mqtt)]
    }
}

impl Broker {
    /// What connects to it, if it is configured.
    pub fn settings(&self, kind: Kind) -> Result<Option<broker::Settings>, Wrong> {
        let Some(url) = &self.url else { return Ok(None) };
        let password = self.password.as_ref().map(|password| password.reveal().to_owned());
        let wrong = |sentence| Wrong { kind, key: "authority", sentence };
        let authority = self.authority.as_deref().map(read_certificates).transpose().map_err(wrong)?;
        Ok(Some(broker::Settings { url: url.0.clone(), user: self.user.clone(), password, authority }))
    }

    /// What an address of this kind begins with: in clear, and encrypted.
    pub(super) fn schemes(kind: Kind) -> [&'static str; 2] {
        match kind {
            Kind::Webhook | Kind::Mail | Kind::Telegram | Kind::Push => ["http", "https"],
            Kind::Nats => ["nats", "tls"],
            Kind::Amqp => ["amqp", "amqps"],
            Kind::Mqtt => ["mqtt", "mqtts"],
        }
    }
}
