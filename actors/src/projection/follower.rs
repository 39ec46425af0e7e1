//! Keeps the projections that are shown up to date, and takes over those that were made anew.

use std::path::Path;

use millrace_model::ids::Position;

use super::ProjectionError;
use super::aside;
use super::build::{remove_old, show};
use super::catalog::Projection;
use super::cohort::Cohort;
use super::database::{self, Database, Mark, Place};
use super::fold::Shown;
use super::views::ViewError;
use crate::event_store::{Page, Reader, Store};

/// What is kept in memory of the file. Each commit makes what other connections hold stale, so more would be memory and little
/// else.
const CACHE_KIB: u32 = 4_096;

/// The follower of the log.
pub(super) struct Follower {
    database: Database,
    cohort: Cohort,
}

/// How a start found the projections.
#[derive(Default)]
pub(super) struct Found {
    /// Those that show something, with what is noted about it.
    pub(super) marks: Vec<(Projection, Mark)>,
    /// Those that show what another version made of the log, or nothing at all: to be made anew.
    pub(super) stale: Vec<Projection>,
    /// Those that somebody had begun to make anew.
    pub(super) unfinished: Vec<Projection>,
    /// What they show.
    pub(super) shown: Shown,
}

impl Follower {
    /// Opens the views and finds out which of them go on. What goes further than the log is of another log, and is emptied.
    pub(super) fn begin(path: &Path, log: &Reader, head: Position) -> Result<(Self, Found), ProjectionError> {
        let mut database = Database::open(path, CACHE_KIB)?;
        remove_old(&mut database)?;
        let mut found = Found::default();
        database
            .write(|transaction| Projection::ALL.into_iter().try_for_each(|of| found.look_at(transaction, of, head)))?;
        if found.other_deposits_can_be_read(&database, log)? {
            tracing::info!("not the same deposits can be read as before; the views that rest on them are made anew");
            for of in Projection::ALL.into_iter().filter(|of| *of != Projection::Addresses) {
                if !found.stale.contains(&of) {
                    found.stale.push(of);
                }
            }
        }
        let mut cohort = Cohort::new(Place::Live);
        for (of, mark) in &found.marks {
            if !found.stale.contains(of) {
                cohort.add(*of, *mark, database.connection())?;
            }
        }
        found.show(&database);
        Ok((Self { database, cohort }, found))
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &rusqlite::Connection {
        self.database.connection()
    }

    /// How far those are that it follows the log with, unless there are none.
    pub(super) fn position(&self) -> Option<Position> {
        self.cohort.position()
    }

    pub(super) fn marks(&self) -> Vec<(Projection, Mark)> {
        self.cohort.members().iter().map(|member| (member.projection, member.mark)).collect()
    }

    /// Takes in the events that come next.
    pub(super) fn take_in(&mut self, page: &Page, log: &Reader) -> Result<Shown, ProjectionError> {
        self.cohort.take_in(page.events(), log)?;
        let changes = self.cohort.changes()?;
        self.database.write(|transaction| changes.write(transaction))?;
        Ok(self.cohort.shown())
    }

    /// Shows projections that were made anew, and follows the log with them from now on. They are not ahead.
    pub(super) fn take_over(
        &mut self,
        mut made: Cohort,
        store: &Store,
        page_events_max: usize,
    ) -> Result<Shown, ProjectionError> {
        let log = store.reader()?;
        let position = self.position().or(made.position()).unwrap_or(0);
        while let Some(reached) = made.position().filter(|reached| *reached < position) {
            let page = store.after(reached, page_events_max)?;
            let events = page.events().take_while(|recorded| recorded.position <= position);
            made.take_in(events, &log)?;
        }
        show(&mut self.database, &mut made)?;
        let shown = made.shown();
        self.cohort.adopt(made);
        Ok(shown)
    }
}

impl Found {
    fn look_at(
        &mut self,
        transaction: &rusqlite::Transaction<'_>,
        of: Projection,
        head: Position,
    ) -> Result<(), ViewError> {
        let mut mark = database::mark(transaction, of, Place::Live)?;
        let is_ahead = mark.is_some_and(|mark| mark.position > head);
        if is_ahead || !database::is_there(transaction, of, Place::Live)? {
            // Of an empty log an empty table is the whole truth.
            mark = (head == 0).then_some(Mark { version: of.version(), generation: 1, position: 0 });
            database::create(transaction, of, Place::Live)?;
            database::index(transaction, of, Place::Live, mark.map_or(0, |mark| mark.generation))?;
            mark.map_or(Ok(()), |mark| database::set_mark(transaction, of, Place::Live, mark))?;
        }
        if mark.is_none_or(|mark| mark.version != of.version()) {
            self.stale.push(of);
        }
        self.marks.extend(mark.map(|mark| (of, mark)));
        match database::mark(transaction, of, Place::Next)? {
            Some(next) if next.version == of.version() && next.position <= head => self.unfinished.push(of),
            _ => database::remove(transaction, of, Place::Next)?,
        }
        Ok(())
    }

    /// Whether another version read the log for these views than the one that reads it now.
    fn other_deposits_can_be_read(&self, database: &Database, log: &Reader) -> Result<bool, ProjectionError> {
        let ledger = self.marks.iter().find(|(of, mark)| *of == Projection::Ledger && mark.position > 0);
        let Some((_, mark)) = ledger else { return Ok(false) };
        let mut books = Cohort::new(Place::Live);
        // What cannot be loaded is made anew in any case.
        if books.add(Projection::Ledger, *mark, database.connection()).is_err() {
            return Ok(true);
        }
        let unreadable = books.shown().ledger.unwrap_or_default().unreadable;
        Ok(aside::has_changed(&unreadable, log)?)
    }

    /// What is shown for now, old or not, as far as this version can read it.
    fn show(&mut self, database: &Database) {
        let mut all = Cohort::new(Place::Live);
        for (of, mark) in &self.marks {
            if let Err(error) = all.add(*of, *mark, database.connection()) {
                tracing::warn!(projection = %of, %error, "what is shown of it cannot be read until it is made anew");
            }
        }
        self.shown = all.shown();
    }
}
