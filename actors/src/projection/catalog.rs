//! The projections there are: each with a name, a version, a table of its own, and a fold.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::fold::Fold;
use super::read_models::{addresses, deposits, ledger, names, notifications, pace, statistics};

/// A read model that is made from the log and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Projection {
    /// Deposits, as customers and operators see them.
    Deposits,
    /// The addresses that were given out.
    Addresses,
    /// What stands on the ledger's accounts.
    Ledger,
    /// What all deposits add up to.
    Statistics,
    /// What customers and operators are told.
    Notifications,
    /// How fast the desk was, minute by minute.
    Pace,
    /// What deposits are known by outside.
    Names,
}

/// Nobody knows a projection of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no projection {0:?}; there are {names}", names = named(&Projection::ALL))]
pub struct UnknownProjection(pub String);

/// A projection's table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The column that a row is known by.
    pub(super) key: &'static str,
    pub(super) columns: &'static str,
    pub(super) indexes: &'static [Index],
}

/// An index of a projection's table.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) name: &'static str,
    pub(super) is_unique: bool,
    pub(super) on: &'static str,
}

impl Projection {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Deposits, Self::Addresses, Self::Ledger, Self::Statistics, Self::Notifications, Self::Pace, Self::Names];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposits => "deposits",
            Self::Addresses => "addresses",
            Self::Ledger => "ledger",
            Self::Statistics => "statistics",
            Self::Notifications => "notifications",
            Self::Pace => "pace",
            Self::Names => "names",
        }
    }

    /// Counts the shapes its rows have had, and the meanings of what is in them: another version is made anew from the log.
    pub const fn version(self) -> i64 {
        match self {
            Self::Deposits => deposits::VERSION,
            Self::Addresses => addresses::VERSION,
            Self::Ledger => ledger::VERSION,
            Self::Statistics => statistics::VERSION,
            Self::Notifications => notifications::VERSION,
            Self::Pace => pace::VERSION,
            Self::Names => names::VERSION,
        }
    }

    pub(super) const fn table(self) -> &'static Table {
        match self {
            Self::Deposits => &deposits::TABLE,
            Self::Addresses => &addresses::TABLE,
            Self::Ledger => &ledger::TABLE,
            Self::Statistics => &statistics::TABLE,
            Self::Notifications => &notifications::TABLE,
            Self::Pace => &pace::TABLE,
            Self::Names => &names::TABLE,
        }
    }

    /// Its fold before the first event.
    pub(super) fn fold(self) -> Box<dyn Fold> {
        match self {
            Self::Deposits => Box::<deposits::Rows>::default(),
            Self::Addresses => Box::<addresses::Rows>::default(),
            Self::Ledger => Box::<ledger::Books>::default(),
            Self::Statistics => Box::<statistics::Sums>::default(),
            Self::Notifications => Box::<notifications::Rows>::default(),
            Self::Pace => Box::<pace::Minutes>::default(),
            Self::Names => Box::<names::Rows>::default(),
        }
    }
}

/// Their names in a sentence.
pub(super) fn named(projections: &[Projection]) -> String {
    projections.iter().map(|projection| projection.name()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Projection {
    type Err = UnknownProjection;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|projection| projection.name() == text)
            .ok_or_else(|| UnknownProjection(text.to_owned()))
    }
}

impl Serialize for Projection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_is_known_by_its_name_and_by_no_other() {
        for projection in Projection::ALL {
            assert_eq!(projection.name().parse(), Ok(projection));
        }
        let error = "Deposits".parse::<Projection>().unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no projection \"Deposits\"; there are deposits, addresses, ledger, statistics, notifications, pace, \
             names"
        );
    }
}
