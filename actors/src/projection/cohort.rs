//! Projections that are folded together: one read of the log, one transaction for the rows of all.

use millrace_model::event::Recorded;
use millrace_model::ids::Position;
use rusqlite::Connection;

use super::catalog::Projection;
use super::database::{Mark, Place, set_mark};
use super::fold::{Changes, Cut, Fold, Seen, Shown};
use super::followed::{Followed, deposit_of, earlier_of};
use super::views::ViewError;
use crate::event_store::{ReadError, Reader};

/// One of them.
pub(super) struct Member {
    pub(super) projection: Projection,
    pub(super) mark: Mark,
    fold: Box<dyn Fold>,
}

/// What changed of the rows of several projections, and how far each goes with it.
pub(super) struct Writing {
    place: Place,
    of: Vec<(Projection, Mark, Box<dyn Changes>)>,
}

impl Writing {
    pub(super) fn write(&self, connection: &Connection) -> Result<(), ViewError> {
        for (projection, mark, changes) in &self.of {
            changes.write(connection, &self.place.table_of(*projection))?;
            set_mark(connection, *projection, self.place, *mark)?;
        }
        Ok(())
    }
}

/// Projections that go through the log together. They need not stand at the same position: who is ahead waits.
pub(super) struct Cohort {
    place: Place,
    members: Vec<Member>,
    followed: Followed,
}

impl Cohort {
    /// Nobody yet, whose tables are in this place.
    pub(super) fn new(place: Place) -> Self {
        Self { place, members: Vec::new(), followed: Followed::default() }
    }

    /// Adds a projection that goes on from its table, which stands where its mark says.
    pub(super) fn add(&mut self, projection: Projection, mark: Mark, connection: &Connection) -> Result<(), ViewError> {
        let (mut fold, table) = (projection.fold(), self.place.table_of(projection));
        fold.load(&Cut { connection, table: &table, position: mark.position })?;
        self.members.push(Member { projection, mark, fold });
        Ok(())
    }

    /// Takes over those of another cohort that has been written, in place of its own of the same names.
    pub(super) fn adopt(&mut self, other: Self) {
        self.members.retain(|member| other.members.iter().all(|new| new.projection != member.projection));
        self.members.extend(other.members);
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// How far all of them are, unless there are none.
    pub(super) fn position(&self) -> Option<Position> {
        self.members.iter().map(|member| member.mark.position).min()
    }

    /// How many rows wait to be written.
    pub(super) fn rows_waiting(&self) -> usize {
        self.members.iter().map(|member| member.fold.rows_waiting()).sum()
    }

    /// Takes in the events that come next. `log` is read where it is not known what came before.
    pub(super) fn take_in<'e>(
        &mut self,
        events: impl Iterator<Item = &'e Recorded>,
        log: &Reader,
    ) -> Result<(), ReadError> {
        for recorded in events {
            let moved = match deposit_of(recorded) {
                Some(id) => Some(self.followed.take_in(id, recorded, log)?),
                None => None,
            };
            let seen = Seen { recorded, moved, earlier: earlier_of(recorded, log)? };
            for member in self.members.iter_mut().filter(|member| member.mark.position < recorded.position) {
                member.fold.take_in(&seen);
                member.mark.position = recorded.position;
            }
        }
        Ok(())
    }

    /// What changed since it was asked before, to be written before anything that comes later.
    pub(super) fn changes(&mut self) -> Result<Writing, ViewError> {
        let each = self
            .members
            .iter_mut()
            .map(|Member { projection, mark, fold }| Ok((*projection, *mark, fold.changes(&self.followed)?)));
        let of = each.collect::<Result<_, ViewError>>()?;
        self.followed.settle();
        Ok(Writing { place: self.place, of })
    }

    /// Their tables are in this place from now on.
    pub(super) fn move_to(&mut self, place: Place) {
        self.place = place;
    }

    /// What they say now.
    pub(super) fn shown(&self) -> Shown {
        let mut shown = Shown::default();
        self.members.iter().for_each(|member| member.fold.show(member.mark.position, &mut shown));
        shown
    }
}
