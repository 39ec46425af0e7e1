//! Whether a webhook is served, and why not.

use std::fmt;

use millrace_actors::subscriptions::{Known, Subscriptions};
use millrace_model::subscription::Stopped;
use serde::Serialize;

/// Where a webhook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::web) enum Status {
    /// It is served.
    Enabled,
    /// Somebody stopped it for a while.
    Paused,
    /// Its receiver did not prove yet that it is his, or failed to.
    Unproved,
    /// The desk gave it up.
    Disabled,
    /// An event of it cannot be read.
    Unreadable,
    /// It would be served, but there is no way to it.
    Unreachable,
}

impl Status {
    /// Every one, in the order in which they are offered.
    pub(in crate::web) const ALL: [Self; 6] =
        [Self::Enabled, Self::Paused, Self::Disabled, Self::Unproved, Self::Unreachable, Self::Unreadable];

    /// What everybody is told.
    pub(in crate::web) const fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Paused => "paused",
            Self::Unproved => "unproved",
            Self::Disabled => "disabled",
            Self::Unreadable => "unreadable",
            Self::Unreachable => "unreachable",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// Whether it is served, and why not.
pub(in crate::web) fn status(known: &Known, subscriptions: &Subscriptions) -> (Status, Option<String>) {
    let subscription = &known.subscription;
    match &subscription.stopped {
        _ if known.unreadable.is_some() => (Status::Unreadable, Some("an event of it cannot be read".to_owned())),
        None if subscription.is_served() => match subscriptions.way(known) {
            Ok(()) => (Status::Enabled, None),
            Err(why) => (Status::Unreachable, Some(why.to_string())),
        },
        None => (Status::Unproved, None),
        Some(Stopped::Paused) => (Status::Paused, None),
        Some(Stopped::Unproved) => {
            (Status::Unproved, Some("its receiver did not prove that it holds the secret".to_owned()))
        }
        Some(Stopped::Disabled { why }) => (Status::Disabled, Some(why.sentence().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::openapi::{Face, document};

    #[test]
    fn every_status_is_told_by_its_word_and_described() {
        let described = &document(Face::Operator)["components"]["schemas"]["Webhook"]["properties"]["status"]["enum"];
        assert_eq!(described.as_array().unwrap().len(), Status::ALL.len());
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.word());
            assert!(described.as_array().unwrap().contains(&status.word().into()), "{status}: {described}");
        }
    }
}
