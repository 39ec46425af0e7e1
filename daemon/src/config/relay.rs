//! `[relay]`: the queue that others' notifications are read from, to be passed on.
//!
//! Its keys have the names that ton.events' operators know as variables, too: see [`super::layers`].

use std::time::Duration;

use millrace_actors::relay::file::{BYTES_MAX, Memory, Place};
use millrace_actors::relay::kafka::{Account, Mechanism, Settings};

use super::layers::Layers;
use super::secret::Secret;
use super::section::Section;
use super::setting::{Setting, quoted};

/// The name that ton.events reads under.
const GROUP: &str = "ton.events";

/// The `[relay]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Some of the brokers; without any, nothing is relayed.
    pub brokers: Vec<Broker>,
    /// What is read there.
    pub topic: Option<String>,
    /// Under which name.
    pub group: String,
    /// Who the desk is there.
    pub user: Option<String>,
    /// By which word it is known, from `password` or `password_file`.
    pub password: Option<Secret>,
    /// How that is proved.
    pub mechanism: SaslMechanism,
    /// How long a key tells a repetition after it was last seen.
    pub window: Duration,
    /// How long messages are kept.
    pub kept: Duration,
}

/// A broker: `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker(pub String);

/// A mechanism by its name in SASL, in small letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslMechanism(pub Mechanism);

impl Relay {
    pub(super) fn read(layers: &mut Layers<'_>) -> Self {
        let mut section = Section::new(layers, "relay");
        Self {
            brokers: section.optional("brokers").unwrap_or_default(),
            topic: section.optional("topic"),
            group: section.value("group", GROUP.to_owned()),
            user: section.optional("user"),
            password: section.secret("password", "password_file"),
            mechanism: section.value("mechanism", SaslMechanism(Mechanism::default())),
            window: section.seconds("dedup_window_s", 60..=604_800, 3_600),
            kept: section.seconds("kept_s", 3_600..=604_800, 86_400),
        }
    }

    /// What is read, and what connects; nothing when nothing is relayed.
    pub fn settings(&self) -> Option<(Place, Settings)> {
        let topic = self.topic.clone().filter(|_| !self.brokers.is_empty())?;
        let account = self.user.clone().zip(self.password.as_ref()).map(|(user, password)| Account {
            mechanism: self.mechanism.0,
            user,
            password: password.reveal().to_owned(),
        });
        let settings = Settings {
            brokers: self.brokers.iter().map(|broker| broker.0.clone()).collect(),
            topic: topic.clone(),
            client: self.group.clone(),
            account,
        };
        Some((Place { reader: self.group.clone(), topic }, settings))
    }

    /// How long things are remembered.
    pub fn memory(&self) -> Memory {
        Memory { window: self.window, kept: self.kept, bytes_max: BYTES_MAX }
    }
}

impl Setting for Broker {
    fn from_text(text: &str) -> Result<Self, String> {
        let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(['/', '@', ' ']));
        match port.and_then(|(_, port)| port.parse::<u16>().ok()) {
            Some(1..) => Ok(Self(text.to_owned())),
            Some(0) | None => Err("expected a host and a port such as \"queue.example:9092\"".to_owned()),
        }
    }
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

impl Setting for SaslMechanism {
    fn from_text(text: &str) -> Result<Self, String> {
        let all = [Mechanism::ScramSha512, Mechanism::ScramSha256, Mechanism::Plain].map(Self);
        let found = all.into_iter().find(|mechanism| mechanism.name() == text);
        found.ok_or_else(|| "expected \"scram-sha-512\", \"scram-sha-256\" or \"plain\"".to_owned())
    }
    fn show(&self) -> String {
        quoted(self.name())
    }
}

impl SaslMechanism {
    fn name(self) -> &'static str {
        match self.0 {
            Mechanism::ScramSha512 => "scram-sha-512",
            Mechanism::ScramSha256 => "scram-sha-256",
            Mechanism::Plain => "plain",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use millrace_actors::relay::kafka::IS_COMPILED;

    use super::super::{Config, parse};
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let read = parse(Path::new("desk.toml"), text, variables).map(|loaded| loaded.config);
        read.map_err(|error| error.problems.iter().map(|problem| format!("{problem}\n")).collect())
    }

    const THEIRS: [(&str, &str); 5] = [
        ("QUEUE_PROVIDER_ADDRESS", "queue.example:9092, other.example:9093"),
        ("QUEUE_PROVIDER_GROUPID", "mine"),
        ("QUEUE_PROVIDER_TOPIC", "notifications-1"),
        ("QUEUE_PROVIDER_USERNAME", "me"),
        ("QUEUE_PROVIDER_PASSWORD", "canary"),
    ];

    #[test]
    fn nothing_is_relayed_unless_somebody_wants_it() {
        assert_eq!(read("", &[]).unwrap().relay.settings(), None);
    }

    #[test]
    fn ton_events_variables_are_understood() {
        let read = read("", &THEIRS);
        if !IS_COMPILED {
            let problems = read.unwrap_err();
            assert!(problems.contains("QUEUE_PROVIDER_ADDRESS") && problems.contains("\"kafka\""), "{problems}");
            assert!(!problems.contains("canary"), "{problems}");
            return;
        }
        let (place, settings) = read.unwrap().relay.settings().unwrap();
        assert_eq!((place.reader.as_str(), place.topic.as_str()), ("mine", "notifications-1"));
        assert_eq!(settings.brokers, ["queue.example:9092", "other.example:9093"]);
        let account = settings.account.unwrap();
        assert_eq!((account.mechanism, account.user.as_str()), (Mechanism::ScramSha512, "me"));
        assert_eq!(account.password, "canary");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_setting_and_without_its_secret() {
        for (text, expected) in [
            ("[relay]\nbrokers = [\"queue.example\"]\ntopic = \"t\"", "a host and a port"),
            ("[relay]\nbrokers = [\"kafka://h:1/\"]\ntopic = \"t\"", "a host and a port"),
            ("[relay]\nbrokers = [\"h:9092\"]", "relay.topic: is missing"),
            ("[relay]\ntopic = \"t\"", "is given without relay.brokers"),
            ("[relay]\nbrokers = [\"h:1\"]\ntopic = \"t\"\nuser = \"u\"", "relay.password: is missing"),
            ("[relay]\nbrokers = [\"h:1\"]\ntopic = \"t\"\npassword = \"canary\"", "is given without relay.user"),
            ("[relay]\nmechanism = \"gssapi\"", "scram-sha-512"),
            ("[relay]\ndedup_window_s = 1", "from 60 to"),
        ] {
            let problems = read(text, &[]).unwrap_err();
            assert!(problems.contains(expected) && !problems.contains("canary"), "{text}: {problems}");
        }
    }
}
