//! What a projection is made of: a pure fold of the log's events, and the rows it writes for them.

use millrace_model::deposit::Deposit;
use millrace_model::event::Recorded;
use millrace_model::ids::Position;
use millrace_model::ledger::Standing;
use millrace_model::notification::{Telling, Told};
use rusqlite::Connection;

use super::followed::Followed;
use super::row::DepositRow;
use super::totals::{Summand, Totals};
use super::views::{LedgerCut, ViewError};

/// An event, and what became of its deposit if it belongs to one.
pub(super) struct Seen<'a> {
    pub(super) recorded: &'a Recorded,
    pub(super) moved: Option<Moved<'a>>,
    /// What came before in its stream, of an event that tells something only by that.
    pub(super) earlier: Vec<Recorded>,
}

/// A deposit without an event and with it.
pub(super) struct Moved<'a> {
    /// What its row counted for.
    pub(super) counted: Option<Summand>,
    /// What it posts rests on this.
    pub(super) standing: Option<Standing>,
    pub(super) deposit: Option<&'a Deposit>,
    pub(super) row: Option<&'a DepositRow>,
    /// What the event tells of it.
    pub(super) told: Option<(&'a Told, Telling)>,
}

/// What a table says, at a position.
pub(super) struct Cut<'a> {
    pub(super) connection: &'a Connection,
    pub(super) table: &'a str,
    pub(super) position: Position,
}

/// What changed of a projection's rows, by itself: it may be written while the next events are taken in.
pub(super) trait Changes: Send {
    /// Writes it.
    fn write(&self, connection: &Connection, table: &str) -> Result<(), ViewError>;
}

/// What changed for those who are shown it from memory, or wait for a change.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) totals: Option<Totals>,
    pub(super) ledger: Option<LedgerCut>,
    /// Whose deposits or addresses changed.
    pub(super) targets: Vec<String>,
    /// Where the newest notification is.
    pub(super) newest_notification: Option<Position>,
}

/// A projection at work.
pub(super) trait Fold: Send {
    /// Goes on from what a table says, at a position.
    fn load(&mut self, cut: &Cut<'_>) -> Result<(), ViewError>;

    /// Takes one more event in. Nothing is read or written here.
    fn take_in(&mut self, seen: &Seen<'_>);

    /// How many rows wait to be written.
    fn rows_waiting(&self) -> usize;

    /// What changed since it was asked before.
    fn changes(&mut self, followed: &Followed) -> Result<Box<dyn Changes>, ViewError>;

    /// What it says now.
    fn show(&self, position: Position, shown: &mut Shown);
}
