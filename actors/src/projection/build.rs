//! Makes projections anew beside those that are shown: from the log's beginning, or from where an earlier attempt was cut off.
//!
//! Where there are threads to spare some read the log and one writes the rows, while this one folds. Rows are written when many have
//! changed, so that of a deposit that ended meanwhile only the last is; indexes are made when the rows are there.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use millrace_model::ids::Position;
use rusqlite::{Connection, Transaction};
use tokio::sync::Mutex;

use super::ProjectionError;
use super::beside::{Pen, written_beside};
use super::catalog::Projection;
use super::cohort::{Cohort, Writing};
use super::database::{self, Database, Mark, Place};
use super::views::ViewError;
use crate::event_store::Reader;

/// After so many events what changed is written; with more, what is in motion is in no processor's cache any more.
const EVENTS_A_WRITE: u64 = 16_384;
/// Where a desk runs, after so many rows too: whoever follows the log waits while they are written.
const ROWS_A_TURN: usize = 2_000;
/// By how many threads the log is read where nobody else has work for them.
const THREADS: usize = 2;
/// So near to the log's head whoever follows it can take over.
const NEAR: u64 = 8_192;
/// What is kept in memory of the file.
const CACHE_KIB: u32 = 65_536;

/// Whoever asked for the building hears how far it is, and of how many; and can break it off.
pub(super) type Told<'t> = &'t mut dyn FnMut(Position, Position) -> ControlFlow<()>;

/// How a building ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is near the log's head, whole as far as it goes.
    Near,
    /// It was broken off, and can be gone on with.
    BrokenOff,
}

/// The log, and who else works with it.
#[derive(Clone, Copy)]
pub(super) struct Source<'l> {
    pub(super) reader: &'l Reader,
    pub(super) company: Company,
}

/// Who else needs the machine and the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// Nobody.
    Alone,
    /// A desk that runs.
    Desk,
}

impl Company {
    /// By how many threads the log is read; one is the one that folds.
    const fn threads(self) -> usize {
        match self {
            Self::Alone => THREADS,
            Self::Desk => 1,
        }
    }

    /// Whether so many rows are enough to be written.
    const fn is_a_turn(self, rows: usize) -> bool {
        match self {
            Self::Alone => false,
            Self::Desk => rows >= ROWS_A_TURN,
        }
    }
}

/// Projections in the making.
pub(super) struct Build {
    database: Database,
    cohort: Cohort,
    /// Held while something is written, so that whoever follows the log has his turn in between.
    turn: Arc<Mutex<()>>,
}

impl Build {
    /// Begins, or goes on with what is there of the same version.
    pub(super) fn begin(
        path: &Path,
        wanted: &[Projection],
        head: Position,
        turn: Arc<Mutex<()>>,
    ) -> Result<Self, ViewError> {
        let of_turn = turn.blocking_lock();
        let database = Database::open(path, CACHE_KIB)?;
        let begun = Self::begin_in(database, wanted, head)?;
        drop(of_turn);
        Ok(Self { turn, ..begun })
    }

    /// Begins in a database that nobody else sees.
    pub(super) fn scratch(wanted: &[Projection]) -> Result<Self, ViewError> {
        Self::begin_in(Database::scratch()?, wanted, 0)
    }

    /// The same in a new file of this name, which does not grow beyond this.
    pub(super) fn scratch_within(path: &Path, wanted: &[Projection], bytes_max: u64) -> Result<Self, ViewError> {
        let database = Database::scratch_in(path)?;
        database.limit(bytes_max)?;
        Self::begin_in(database, wanted, 0)
    }

    fn begin_in(mut database: Database, wanted: &[Projection], head: Position) -> Result<Self, ViewError> {
        let marks = database.write(|transaction| {
            let each = wanted.iter().map(|of| Ok((*of, resumed_or_begun(transaction, *of, head)?)));
            each.collect::<Result<Vec<_>, ViewError>>()
        })?;
        let mut cohort = Cohort::new(Place::Next);
        marks.into_iter().try_for_each(|(of, mark)| cohort.add(of, mark, database.connection()))?;
        Ok(Self { database, cohort, turn: Arc::default() })
    }

    pub(super) fn connection(&self) -> &Connection {
        self.database.connection()
    }

    /// Follows the log up to this position and no further.
    pub(super) fn run_to(
        &mut self,
        log: Source<'_>,
        position: Position,
        told: Told<'_>,
    ) -> Result<Ended, ProjectionError> {
        self.follow(log, position, told)
    }

    /// Follows the log to near its head.
    pub(super) fn run(
        &mut self,
        log: Source<'_>,
        head: &dyn Fn() -> Position,
        told: Told<'_>,
    ) -> Result<Ended, ProjectionError> {
        let mut is_indexed = false;
        loop {
            let end = head();
            if is_indexed && end.saturating_sub(self.position()) <= NEAR {
                return Ok(Ended::Near);
            }
            if self.follow(log, end, told)? == Ended::BrokenOff {
                return Ok(Ended::BrokenOff);
            }
            if !is_indexed {
                self.index()?;
                is_indexed = true;
            }
        }
    }

    /// Everything up to this position, read and written by others if there are threads for it, and folded by this one.
    fn follow(&mut self, log: Source<'_>, end: Position, told: Told<'_>) -> Result<Ended, ProjectionError> {
        let Self { database, cohort, turn } = self;
        let mut write = |writing: Writing| written(database, turn, &writing);
        match log.company {
            Company::Alone => written_beside(write, |pen| fold(cohort, log, end, told, pen)),
            Company::Desk => {
                let pen: Pen<'_> = &mut |writing| write(writing).map(ControlFlow::Continue);
                fold(cohort, log, end, told, pen)
            }
        }
    }

    pub(super) fn position(&self) -> Position {
        self.cohort.position().unwrap_or(0)
    }

    fn index(&mut self) -> Result<(), ViewError> {
        for member in self.cohort.members() {
            let _turn = self.turn.blocking_lock();
            let generation = member.mark.generation;
            self.database
                .write(|transaction| database::index(transaction, member.projection, Place::Next, generation))?;
        }
        Ok(())
    }

    /// Leaves nothing of it in the file: what could not be written only takes room from what is shown.
    pub(super) fn discard(mut self) -> Result<(), ViewError> {
        let _turn = self.turn.blocking_lock();
        let members = self.cohort.members();
        self.database.write(|transaction| {
            members.iter().try_for_each(|member| database::remove(transaction, member.projection, Place::Next))
        })
    }

    /// The projections, to be shown by whoever takes them over.
    pub(super) fn finish(self) -> Cohort {
        self.cohort
    }
}

/// Folds everything up to this position, and hands over what is to be written: at the end, too.
fn fold(
    cohort: &mut Cohort,
    log: Source<'_>,
    end: Position,
    told: Told<'_>,
    pen: Pen<'_>,
) -> Result<Ended, ProjectionError> {
    let (position, mut unwritten) = (|cohort: &Cohort| cohort.position().unwrap_or(0), 0);
    let mut scan = log.reader.scan(position(cohort) + 1, end, log.company.threads())?;
    while let Some(page) = scan.next() {
        let page = page?;
        cohort.take_in(page.iter(), log.reader)?;
        unwritten += page.len() as u64;
        scan.take_back(page);
        if unwritten >= EVENTS_A_WRITE || log.company.is_a_turn(cohort.rows_waiting()) {
            unwritten = 0;
            if pen(cohort.changes()?)?.is_break() {
                return Ok(Ended::BrokenOff);
            }
        }
        if told(position(cohort), end).is_break() {
            return Ok(Ended::BrokenOff);
        }
    }
    let _ = pen(cohort.changes()?)?;
    Ok(Ended::Near)
}

/// Writes when it is its turn.
fn written(database: &mut Database, turn: &Mutex<()>, writing: &Writing) -> Result<(), ViewError> {
    let _turn = turn.blocking_lock();
    database.write(|transaction| writing.write(transaction))
}

fn resumed_or_begun(transaction: &Transaction<'_>, of: Projection, head: Position) -> Result<Mark, ViewError> {
    let version = of.version();
    if let Some(mark) = database::mark(transaction, of, Place::Next)?
        && mark.version == version
        && mark.position <= head
    {
        return Ok(mark);
    }
    let before = database::mark(transaction, of, Place::Live)?.map_or(0, |mark| mark.generation);
    let mark = Mark { version, generation: before + 1, position: 0 };
    database::create(transaction, of, Place::Next)?;
    database::set_mark(transaction, of, Place::Next, mark)?;
    Ok(mark)
}

/// Shows what was made. What was shown before is removed; should that fail, the next start does it.
pub(super) fn show(database: &mut Database, made: &mut Cohort) -> Result<(), ViewError> {
    let changes = made.changes()?;
    database.write_durably(|transaction| {
        changes.write(transaction)?;
        made.members().iter().try_for_each(|member| database::swap(transaction, member.projection, member.mark))
    })?;
    made.move_to(Place::Live);
    remove_old(database)
}

/// Removes what is not shown any more.
pub(super) fn remove_old(database: &mut Database) -> Result<(), ViewError> {
    for projection in Projection::ALL {
        if database::is_there(database.connection(), projection, Place::Old)? {
            database.write(|transaction| database::remove(transaction, projection, Place::Old))?;
        }
    }
    Ok(())
}
