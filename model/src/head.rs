//! The head: how far a log is known to reach, kept outside it, and what a log that does not reach there is.
//!
//! A log is known by the hash of its first event, and everything in it up to an event by that event's hash. So what was
//! noted of the newest event tells a log that went on from one that was cut short, or continued otherwise.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{Hash32, Position};

/// What is known of a log outside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The hash of the log's first event; `None` before there is one.
    pub log: Option<Hash32>,
    /// A position that the log reached; it may be further by now.
    pub position: Position,
    /// The hash of the event there.
    pub hash: Hash32,
    /// No number of a deposit address from here on was given out.
    pub next_index: u32,
}

impl Head {
    /// The head of a log in which nothing has happened.
    pub const EMPTY: Self = Self { log: None, position: 0, hash: Hash32([0; 32]), next_index: 0 };
}

/// What the log itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    /// The hash of its first event.
    pub log: Option<Hash32>,
    /// Its newest position.
    pub position: Position,
    /// The hash of the event at the head's position.
    pub hash_at_head: Option<Hash32>,
}

/// How a log is not the one that the desk had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Departure {
    /// It ends before what is known.
    Shorter,
    /// It went on otherwise.
    Forked,
    /// Nothing is known of it.
    Unknown,
}

/// A log that may know less than has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// In which way.
    pub departure: Departure,
    /// How far it was known to reach.
    pub known: Position,
    /// The hash of the event there.
    pub known_hash: Hash32,
    /// How far it reached when that was seen.
    pub found: Position,
    /// The number of the first address that may have been given out without the log's knowing.
    pub lost_from: u32,
    /// The number of the first address that certainly was not given out.
    pub lost_to: u32,
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { departure, known, found, lost_from, lost_to, .. } = self;
        match departure {
            Departure::Shorter => {
                write!(f, "this log is a copy from before: it ends at {found}, the head file knows of {known}")?;
            }
            Departure::Forked => {
                write!(
                    f,
                    "this log is a copy from before: at {known} stands another event than the head file knows of"
                )?;
            }
            Departure::Unknown => {
                write!(f, "this log may be a copy: it reaches to {found}, and there was no head file to tell")?;
            }
        }
        if lost_from < lost_to {
            let last = lost_to - 1;
            write!(f, "; addresses {lost_from} to {last} may be somebody's already and are not given out")?;
        }
        Ok(())
    }
}

/// How a log stands to a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A desk begins.
    New,
    /// It is the log that is known, perhaps further on.
    Same,
    /// It is not, or not all of it.
    Departed(Departure),
    /// The head is another log's.
    Foreign,
}

impl Standing {
    /// Compares. `answered` says whether the log itself tells that it departed from this very head: then it is known.
    pub fn of(log: &LogEnd, head: Option<&Head>, answered: bool) -> Self {
        match head {
            None if log.position == 0 => Self::New,
            None if answered => Self::Same,
            None => Self::Departed(Departure::Unknown),
            // Noted before anything happened, so whatever is there came after.
            Some(head) if head.position == 0 || answered => Self::Same,
            Some(_) if log.position == 0 => Self::Departed(Departure::Shorter),
            Some(head) if log.log != head.log => Self::Foreign,
            Some(head) if log.position < head.position => Self::Departed(Departure::Shorter),
            Some(head) if log.hash_at_head != Some(head.hash) => Self::Departed(Departure::Forked),
            Some(_) => Self::Same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: fn(u8) -> Hash32 = |byte| Hash32([byte; 32]);

    fn log(position: Position, hash_at_head: Option<u8>) -> LogEnd {
        LogEnd { log: (position > 0).then_some(HASH(1)), position, hash_at_head: hash_at_head.map(HASH) }
    }

    /// O5: which logs are copies.
    #[test]
    fn a_log_is_the_one_that_is_known_when_it_has_the_known_event_and_a_copy_otherwise() {
        let head = Head { log: Some(HASH(1)), position: 5, hash: HASH(5), next_index: 100 };
        let stranger = Head { log: Some(HASH(2)), ..head.clone() };
        for (log, head, expected) in [
            (log(0, None), None, Standing::New),
            (log(7, None), None, Standing::Departed(Departure::Unknown)),
            (log(0, None), Some(&Head::EMPTY), Standing::Same),
            (log(7, None), Some(&Head::EMPTY), Standing::Same),
            (log(5, Some(5)), Some(&head), Standing::Same),
            (log(7, Some(5)), Some(&head), Standing::Same),
            (log(4, None), Some(&head), Standing::Departed(Departure::Shorter)),
            (log(0, None), Some(&head), Standing::Departed(Departure::Shorter)),
            (log(5, Some(6)), Some(&head), Standing::Departed(Departure::Forked)),
            (log(9, Some(6)), Some(&head), Standing::Departed(Departure::Forked)),
            (log(5, Some(5)), Some(&stranger), Standing::Foreign),
            (log(4, None), Some(&stranger), Standing::Foreign),
        ] {
            assert_eq!(Standing::of(&log, head, false), expected, "{log:?} {head:?}");
        }
    }

    #[test]
    fn what_the_log_tells_of_itself_is_not_told_again() {
        let head = Head { log: Some(HASH(2)), position: 5, hash: HASH(5), next_index: 100 };
        for (log, head) in [(log(4, None), Some(&head)), (log(9, Some(6)), Some(&head)), (log(7, None), None)] {
            assert_eq!(Standing::of(&log, head, true), Standing::Same);
        }
        assert_eq!(Standing::of(&log(0, None), None, true), Standing::New);
    }
}
