//! Which notifications somebody wants: all, all of one group, or those of one type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::kind::{NotificationType, ResourceType};

/// How much of a text that is no pattern is said again.
const EXCERPT_CHARS_MAX: usize = 64;

/// A pattern: `*`, a group such as `Deposit.*`, or a type's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// `*`
    All,
    /// All that are about the same.
    Group(ResourceType),
    /// Those of one type.
    Exactly(NotificationType),
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no notification type; it is *, Deposit.*, Withdrawal.*, Subscription.*, Desk.* or one of {names}", names = names())]
pub struct UnknownPattern(String);

impl UnknownPattern {
    pub(super) fn of(text: &str) -> Self {
        Self(text.chars().take(EXCERPT_CHARS_MAX).collect())
    }
}

fn names() -> String {
    NotificationType::ALL.map(NotificationType::name).join(", ")
}

impl Pattern {
    /// Whether notifications of this type are meant.
    pub fn matches(self, kind: NotificationType) -> bool {
        match self {
            Self::All => true,
            Self::Group(group) => kind.resource() == group,
            Self::Exactly(exactly) => kind == exactly,
        }
    }

    /// The types that are meant, in the catalogue's order.
    pub fn kinds(self) -> impl Iterator<Item = NotificationType> {
        NotificationType::ALL.into_iter().filter(move |kind| self.matches(*kind))
    }
}

impl FromStr for Pattern {
    type Err = UnknownPattern;

    fn from_str(text: &str) -> Result<Self, UnknownPattern> {
        let group = |prefix: &str| ResourceType::ALL.into_iter().find(|group| group.prefix() == prefix);
        let pattern = match text.strip_suffix(".*") {
            Some(prefix) => group(prefix).map(Self::Group),
            None if text == "*" => Some(Self::All),
            None => NotificationType::parse(text).map(Self::Exactly),
        };
        pattern.ok_or_else(|| UnknownPattern::of(text))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Group(group) => write!(f, "{}.*", group.prefix()),
            Self::Exactly(kind) => kind.fmt(f),
        }
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
