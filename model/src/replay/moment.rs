//! A stream at a moment of its past: after a version, or as it was at a time.

use chrono::{DateTime, TimeDelta, Utc};

use super::{State, Stuck};
use crate::event::Recorded;
use crate::ids::{Position, Version};

/// Up to where events count; where both are given, up to whichever comes first, and without any up to the newest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Until {
    /// The last version that counts.
    pub version: Option<Version>,
    /// The last moment that counts; see [`Until::time`].
    pub at: Option<DateTime<Utc>>,
}

impl Until {
    /// The last moment that somebody means by a time. Times are stored down to the microsecond and often shown down to the
    /// millisecond: one without microseconds means all of its millisecond.
    pub fn time(at: DateTime<Utc>) -> DateTime<Utc> {
        let is_whole_ms = at.timestamp_subsec_nanos().is_multiple_of(1_000_000);
        at.checked_add_signed(TimeDelta::microseconds(if is_whole_ms { 999 } else { 0 })).unwrap_or(at)
    }

    /// Whether this event counts, if those before it do.
    pub fn includes(&self, recorded: &Recorded) -> bool {
        self.version.is_none_or(|last| recorded.version <= last)
            && self.at.is_none_or(|last| recorded.recorded_at <= last)
    }
}

/// A stream at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// The version of the last event that counts.
    pub version: Version,
    /// Its position in the log.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// What the stream had come to.
    pub state: State,
}

/// Why there is no such moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMoment {
    /// Nothing is recorded in this stream.
    #[error("there is no such stream")]
    NoStream,
    /// It begins later.
    #[error("it begins with version {version}, at {}", recorded_at.format("%Y-%m-%dT%H:%M:%S%.6fZ"))]
    NotYet {
        /// Its first version.
        version: Version,
        /// When that was recorded.
        recorded_at: DateTime<Utc>,
    },
    /// It ends earlier.
    #[error("it ends at version {last}")]
    NoVersion {
        /// Its newest version.
        last: Version,
    },
    /// An event up to there cannot be read.
    #[error("position {position}: {why}")]
    Stuck {
        /// Where.
        position: Position,
        /// What is wrong with it.
        why: Stuck,
    },
}

/// A stream at a moment, from all of its events, oldest first.
pub fn moment(events: &[Recorded], until: Until) -> Result<Moment, NoMoment> {
    let first = events.first().ok_or(NoMoment::NoStream)?;
    let mut state = State::before_all(first.stream.category());
    let mut last = None;
    for recorded in events.iter().take_while(|recorded| until.includes(recorded)) {
        state = state.after(&recorded.event).map_err(|why| NoMoment::Stuck { position: recorded.position, why })?;
        last = Some(recorded);
    }
    let Some(last) = last else {
        return Err(NoMoment::NotYet { version: first.version, recorded_at: first.recorded_at });
    };
    let is_newest = events.last().is_some_and(|newest| newest.version == last.version);
    if is_newest && until.version.is_some_and(|wanted| wanted > last.version) {
        return Err(NoMoment::NoVersion { last: last.version });
    }
    Ok(Moment { version: last.version, position: last.position, recorded_at: last.recorded_at, state })
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;
    use crate::address_book::{AddressBook, AddressIssued};
    use crate::event::Event;
    use crate::ids::{CommandId, StreamName};

    /// Numbers 10 and up, one a second; the first 500 microseconds after a whole one.
    fn issued(many: u32) -> Vec<Recorded> {
        let one = |index: u32| Recorded {
            position: u64::from(index) * 5 + 5,
            stream: StreamName::AddressBook,
            version: u64::from(index) + 1,
            event: Event::AddressBook(AddressIssued { index: 10 + index }.into()),
            causation: None,
            correlation: None,
            command_id: CommandId([0; 16]),
            recorded_at: at(i64::from(index), 500),
        };
        (0..many).map(one).collect()
    }

    fn at(second: i64, microseconds: i64) -> DateTime<Utc> {
        Utc.timestamp_micros(1_900_000_000_000_000 + second * 1_000_000 + microseconds).unwrap()
    }

    fn found(version: Option<Version>, at: Option<DateTime<Utc>>) -> Result<Version, NoMoment> {
        moment(&issued(3), Until { version, at }).map(|moment| {
            let book = (0..moment.version as u32)
                .fold(AddressBook::default(), |book, index| book.evolve(&AddressIssued { index: 10 + index }.into()));
            assert_eq!(moment.state, State::AddressBook(book));
            assert_eq!(moment.position, moment.version * 5);
            moment.version
        })
    }

    #[test]
    fn a_moment_is_after_a_version_or_at_a_time_or_now() {
        assert_eq!((found(None, None), found(Some(2), None), found(Some(3), None)), (Ok(3), Ok(2), Ok(3)));
        assert_eq!((found(None, Some(at(1, 500))), found(None, Some(at(1, 499)))), (Ok(2), Ok(1)));
        assert_eq!((found(Some(2), Some(at(9, 0))), found(Some(3), Some(at(1, 500)))), (Ok(2), Ok(2)));
        assert_eq!(found(None, Some(Until::time(at(1, 0)))), Ok(2), "all of the millisecond");
        assert_eq!(Until::time(at(1, 400)), at(1, 400));
    }

    #[test]
    fn a_moment_that_never_was_is_told_from_one_that_is_not_yet() {
        assert_eq!(found(Some(4), None), Err(NoMoment::NoVersion { last: 3 }));
        assert_eq!(found(Some(4), Some(at(9, 0))), Err(NoMoment::NoVersion { last: 3 }));
        let not_yet = Err(NoMoment::NotYet { version: 1, recorded_at: at(0, 500) });
        assert_eq!((found(Some(0), None), found(None, Some(at(0, 0)))), (not_yet.clone(), not_yet));
        assert_eq!(moment(&[], Until::default()), Err(NoMoment::NoStream));
    }

    #[test]
    fn what_cannot_be_folded_counts_only_up_to_the_moment() {
        let mut events = issued(3);
        let off = crate::desk::Resumed { note: "x".into() };
        events[2].event = Event::Desk(off.into());
        assert_eq!(moment(&events, Until { version: Some(2), at: None }).map(|moment| moment.version), Ok(2));
        let stuck = NoMoment::Stuck { position: 15, why: Stuck::Foreign("Resumed".into()) };
        assert_eq!(moment(&events, Until::default()), Err(stuck));
    }
}
