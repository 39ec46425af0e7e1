//! What brokers have in common: who and where they are, and one connection to each that all its subscriptions share.
//!
//! The connection is made by the first message that needs it and made anew by the first after it ended. While it is being made
//! the others wait for that, and when it fails they fail with it: a broker that is away is asked once a second, whoever is
//! subscribed. What waits and what is under way is bounded in number and in time. Nothing is kept here to be sent again: that is
//! the schedule's.

use std::fmt;

use reqwest::Url;

/// A broker, as the operator configured it.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is; the scheme says whether it is encrypted.
    pub url: Url,
    /// Who the desk is there.
    pub user: Option<String>,
    /// By which word it is known.
    pub password: Option<String>,
    /// Certificates in PEM that vouch for it besides the system's.
    pub authority: Option<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

#[cfg(feature = "nats")]
pub(super) use shared::PLACES;
#[cfg(any(feature = "nats", feature = "amqp", feature = "mqtt"))]
pub(super) use shared::{Broker, Brokered, Letter, Miss};

#[cfg(any(test, feature = "nats", feature = "amqp", feature = "mqtt"))]
mod shared;
