//! `[relay]`: the queue that others' notifications are read from, to be passed on.
//!
//! Its keys have the names that ton.events' operators know as variables, too: see [`super::ton_events`].

use std::time::Duration;

use millrace_actors::relay::file::{BYTES_MAX, Memory, Place};
use millrace_actors::relay::kafka::{Account, Encryption, Mechanism, Settings};
use millrace_protocols::delivery::policy::{DELAY_MS_MAX, DELAYS_MAX, Schedule};

use super::layers::Layers;
use super::secret::Secret;
use super::section::Section;
use super::setting::{Setting, quoted};

/// The name that ton.events reads under.
const GROUP: &str = "ton.events";
/// How long a topic's name may be, in bytes, and ours for the reader.
pub(super) const NAME_BYTES_MAX: usize = 249;
/// How many brokers may be named: they know the others.
pub(super) const BROKERS_MAX: usize = 16;
/// The longest delay between two attempts.
const DELAY_S_MAX: u64 = DELAY_MS_MAX / 1_000;

/// The `[relay]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Some of the brokers; without any, nothing is relayed.
    pub brokers: Vec<Broker>,
    /// What is read there.
    pub topic: Option<Topic>,
    /// Under which name.
    pub group: String,
    /// Whether connections are encrypted.
    pub encryption: Encryption,
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
    /// When a message is sent again to who asked at ton.events' door.
    pub schedule: Schedule,
}

/// The name of a topic, as Kafka allows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic(pub String);

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
            encryption: if section.value("tls", false) { Encryption::Tls } else { Encryption::None },
            user: section.optional("user"),
            password: section.secret("password", "password_file"),
            mechanism: section.value("mechanism", SaslMechanism(Mechanism::default())),
            window: section.seconds("dedup_window_s", 60..=604_800, 3_600),
            kept: section.seconds("kept_s", 3_600..=604_800, 86_400),
            schedule: schedule(&mut section),
        }
    }

    /// What is read, and what connects; nothing when nothing is relayed.
    pub fn settings(&self) -> Option<(Place, Settings)> {
        let Topic(topic) = self.topic.clone().filter(|_| !self.brokers.is_empty())?;
        let account = self.user.clone().zip(self.password.as_ref()).map(|(user, password)| Account {
            mechanism: self.mechanism.0,
            user,
            password: password.reveal().to_owned(),
        });
        let settings = Settings {
            brokers: self.brokers.iter().map(|broker| broker.0.clone()).collect(),
            topic: topic.clone(),
            client: self.group.clone(),
            encryption: self.encryption,
            account,
        };
        Some((Place { reader: self.group.clone(), topic }, settings))
    }

    /// How long things are remembered.
    pub fn memory(&self) -> Memory {
        Memory { window: self.window, kept: self.kept, bytes_max: BYTES_MAX }
    }
}

/// A first delay that is longer than the usual maximum raises that, unless a maximum is set.
fn schedule(section: &mut Section<'_, '_>) -> Schedule {
    let retries = section.within("retries", 0..=DELAYS_MAX as u32, 3);
    let first = section.seconds("first_delay_s", 1..=DELAY_S_MAX, 30);
    let cap = section.seconds("max_delay_s", 1..=DELAY_S_MAX, first.as_secs().max(600));
    Schedule::Doubling { retries, first_ms: in_ms(first), cap_ms: in_ms(cap) }
}

fn in_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Setting for Topic {
    fn from_text(text: &str) -> Result<Self, String> {
        let is_allowed = |char: char| char.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&char);
        match text {
            "" | "." | ".." => Err("is no name of a topic".to_owned()),
            _ if text.len() > NAME_BYTES_MAX => Err(format!("is longer than {NAME_BYTES_MAX} bytes")),
            _ if text.chars().all(is_allowed) => Ok(Self(text.to_owned())),
            _ => Err("a topic's name has letters, digits, dots, underscores and hyphens in it".to_owned()),
        }
    }
    fn show(&self) -> String {
        quoted(&self.0)
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

    use super::super::{Config, Loaded, parse};
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        loaded(text, variables).map(|loaded| loaded.config)
    }

    fn loaded(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, String> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let read = parse(Path::new("desk.toml"), text, variables);
        read.map_err(|error| error.problems.iter().map(|problem| format!("{problem}\n")).collect())
    }

    const THEIRS: [(&str, &str); 9] = [
        ("QUEUE_PROVIDER_ADDRESS", "queue.example:9092, other.example:9093"),
        ("QUEUE_PROVIDER_GROUPID", "mine"),
        ("QUEUE_PROVIDER_TOPIC", "notifications-1"),
        ("QUEUE_PROVIDER_USERNAME", "me"),
        ("QUEUE_PROVIDER_PASSWORD", "canary"),
        ("RETRIABLE_NOTIFICATION_SENDING_ATTEMPTS", "5"),
        ("RETRIABLE_NOTIFICATION_SENDING_INITIAL_DELAY", "2"),
        ("RETRIABLE_NOTIFICATION_SENDING_MAX_DELAY", "7"),
        ("CRC_SALT", "canary"),
    ];

    #[test]
    fn nothing_is_relayed_unless_somebody_wants_it() {
        assert!(read("", &[]).unwrap().relay.settings().is_none());
        let nothing = [("QUEUE_PROVIDER_ADDRESS", ""), ("QUEUE_PROVIDER_USERNAME", "")];
        assert!(read("", &nothing).unwrap().relay.settings().is_none(), "what is empty is not set");
    }

    #[test]
    fn ton_events_variables_are_understood() {
        let read = loaded("", &THEIRS);
        if !IS_COMPILED {
            let problems = read.unwrap_err();
            assert!(problems.contains("QUEUE_PROVIDER_ADDRESS") && problems.contains("\"kafka\""), "{problems}");
            assert!(!problems.contains("canary"), "{problems}");
            return;
        }
        let loaded = read.unwrap();
        let relay = &loaded.config.relay;
        let (place, settings) = relay.settings().unwrap();
        assert_eq!((place.reader.as_str(), place.topic.as_str()), ("mine", "notifications-1"));
        assert_eq!(settings.brokers, ["queue.example:9092", "other.example:9093"]);
        let account = settings.account.unwrap();
        assert_eq!((account.mechanism, account.user.as_str()), (Mechanism::ScramSha512, "me"));
        assert_eq!(account.password, "canary");
        assert_eq!(relay.schedule, Schedule::Doubling { retries: 5, first_ms: 2_000, cap_ms: 7_000 });
        let effective = loaded.effective();
        assert!(effective.starts_with("# CRC_SALT has no effect: ") && !effective.contains("canary"), "{effective}");
    }

    #[test]
    fn ours_win_over_theirs_and_both_over_the_file() {
        let text = "[relay]\ntopic = \"of-the-file\"\ngroup = \"of-the-file\"\nretries = 9\n";
        let ours = [("MILLRACE_RELAY__TOPIC", "ours"), ("MILLRACE_RELAY__GROUP", "ours")];
        let problems = read(text, &[&THEIRS[1..3], &ours].concat()).unwrap_err();
        assert_eq!(problems, "MILLRACE_RELAY__TOPIC: relay.topic: is given without relay.brokers\n");
        let variables = [&THEIRS[1..3], &ours[..1], &[("RETRIABLE_NOTIFICATION_SENDING_ATTEMPTS", "0")]].concat();
        let problems = read(text, &variables).unwrap_err();
        assert!(problems.starts_with("MILLRACE_RELAY__TOPIC"), "{problems}");
        let unrelated = loaded("[relay]\nretries = 9\n", &variables[..1]).unwrap();
        assert_eq!((unrelated.config.relay.group.as_str(), unrelated.ignored), ("mine", Vec::new()));
        assert_eq!(
            unrelated.config.relay.schedule,
            Schedule::Doubling { retries: 9, first_ms: 30_000, cap_ms: 600_000 }
        );
        assert_eq!(read("", &[]).unwrap().relay.schedule, Schedule::TON_EVENTS);
        let late = read("", &[("RETRIABLE_NOTIFICATION_SENDING_INITIAL_DELAY", "900")]).unwrap().relay.schedule;
        assert_eq!(late, Schedule::Doubling { retries: 3, first_ms: 900_000, cap_ms: 900_000 });
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
            ("[relay]\nbrokers = [\"h:1\"]\ntopic = \"a topic\"", "letters, digits"),
            ("[relay]\npassword = \"canary\"", "is given without relay.brokers"),
            ("[relay]\nretries = 65", "from 0 to 64"),
            ("[relay]\nfirst_delay_s = 9\nmax_delay_s = 8", "is longer than relay.max_delay_s"),
            ("[relay]\nmechanism = \"gssapi\"", "scram-sha-512"),
            ("[relay]\ndedup_window_s = 1", "from 60 to"),
        ] {
            let problems = read(text, &[]).unwrap_err();
            assert!(problems.contains(expected) && !problems.contains("canary"), "{text}: {problems}");
        }
    }
}
