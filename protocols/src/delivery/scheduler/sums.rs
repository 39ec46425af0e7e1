//! What all endpoints come to, for people.

use super::super::cursor::Position;
use super::super::endpoint::Circuit;
use super::lane::Lane;
use super::{Scheduler, Standing};

/// All endpoints together, without those that are no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// How many attempts are under way.
    pub in_flight: u32,
    /// How many notifications are claimed and not settled, those under way among them.
    pub open: usize,
    /// How many wait to be sent again.
    pub retries: usize,
    /// How many endpoints that are served are left alone since they failed again and again.
    pub left_alone: usize,
    /// Up to where every endpoint that is served has everything; nothing without one.
    pub served_through: Option<Position>,
    /// The same of those that are not served.
    pub stopped_through: Option<Position>,
}

impl<T> Scheduler<T> {
    /// What all endpoints come to. Looks at each.
    pub fn sums(&self) -> Sums {
        let begun = Sums { in_flight: self.in_flight, ..Sums::default() };
        self.lanes.iter().filter(|lane| lane.standing != Standing::Removed).fold(begun, Sums::with)
    }
}

impl Sums {
    fn with<T>(self, lane: &Lane<T>) -> Self {
        let acked_through = lane.cursor.acked_through();
        let lowest = |through: Option<Position>| Some(through.map_or(acked_through, |other| other.min(acked_through)));
        let is_served = lane.standing == Standing::Running;
        let is_left_alone = is_served && lane.load.circuit() != Circuit::Closed;
        Self {
            open: self.open + lane.cursor.open().len(),
            retries: self.retries + lane.cursor.retries().len(),
            left_alone: self.left_alone + usize::from(is_left_alone),
            served_through: if is_served { lowest(self.served_through) } else { self.served_through },
            stopped_through: if is_served { self.stopped_through } else { lowest(self.stopped_through) },
            ..self
        }
    }
}
