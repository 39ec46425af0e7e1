//! The environment variables that ton.events' operators know (Appendix A of its description): which of them are understood, and
//! which mean nothing here.

/// Those that are understood, each with the section and the key that it sets. Ours win over them.
pub(super) const ALIASES: [(&str, &str, &str); 8] = [
    ("QUEUE_PROVIDER_ADDRESS", "relay", "brokers"),
    ("QUEUE_PROVIDER_GROUPID", "relay", "group"),
    ("QUEUE_PROVIDER_TOPIC", "relay", "topic"),
    ("QUEUE_PROVIDER_USERNAME", "relay", "user"),
    ("QUEUE_PROVIDER_PASSWORD", "relay", "password"),
    ("RETRIABLE_NOTIFICATION_SENDING_ATTEMPTS", "relay", "retries"),
    ("RETRIABLE_NOTIFICATION_SENDING_INITIAL_DELAY", "relay", "first_delay_s"),
    ("RETRIABLE_NOTIFICATION_SENDING_MAX_DELAY", "relay", "max_delay_s"),
];

/// Those that change nothing, each with the reason.
const WITHOUT_EFFECT: [(&str, &str); 4] = [
    ("CRC_RETRY_LIMIT", "a receiver is asked for its proof up to four times again"),
    ("CRC_RETRY_INIT_DELAY", "the first repetition of that question comes after 30 seconds"),
    ("CRC_SALT", "each subscription has a secret of its own, made of a salt that is drawn for it"),
    ("AMQP_URI", "commands go over no broker"),
];

/// What a section and a key are called there.
pub(super) fn alias(section: &str, key: &str) -> Option<&'static str> {
    ALIASES.into_iter().find(|(_, of, name)| (*of, *name) == (section, key)).map(|(alias, ..)| alias)
}

/// Whether a variable is understood.
pub(super) fn is_alias(variable: &str) -> bool {
    ALIASES.iter().any(|(alias, ..)| *alias == variable)
}

/// Why a variable means nothing here, if it is one that an operator may believe to mean something.
pub(super) fn without_effect(variable: &str) -> Option<Ignored> {
    let (name, why) = WITHOUT_EFFECT.into_iter().find(|(name, _)| *name == variable)?;
    Some(Ignored { name, why })
}

/// A variable that is set and has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ignored {
    /// Its name.
    pub name: &'static str,
    /// What is so instead.
    pub why: &'static str,
}
