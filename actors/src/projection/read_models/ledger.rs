//! What stands on the ledger's accounts, and the deposits whose later events cannot be read: what these post is missing.

use millrace_model::desk;
use millrace_model::event::Event;
use millrace_model::ids::Position;
use millrace_model::ledger;

use super::documents::{self, Documents};
use crate::projection::catalog::Table;
use crate::projection::fold::{Changes, Cut, Fold, Seen, Shown};
use crate::projection::followed::{Followed, deposit_of};
use crate::projection::row::UnreadableFrom;
use crate::projection::views::{LedgerCut, ViewError};

pub(in crate::projection) const VERSION: i64 = 1;
pub(in crate::projection) const BALANCES: &str = "balances";
pub(in crate::projection) const UNREADABLE: &str = "unreadable";

pub(in crate::projection) static TABLE: Table =
    Table { name: "ledger", key: "name", columns: documents::COLUMNS, indexes: &[] };

/// The books.
#[derive(Debug, Default)]
pub(in crate::projection) struct Books {
    now: LedgerCut,
    is_changed: bool,
}

impl Fold for Books {
    fn load(&mut self, cut: &Cut<'_>) -> Result<(), ViewError> {
        let (balances, unreadable) = (documents::read(cut, BALANCES)?, documents::read(cut, UNREADABLE)?);
        self.now = LedgerCut { position: cut.position, balances, unreadable };
        Ok(())
    }

    fn take_in(&mut self, seen: &Seen<'_>) {
        let entry = match (&seen.recorded.event, &seen.moved) {
            (Event::Deposit(event), Some(moved)) => match (&moved.standing, moved.deposit) {
                (Some(before), Some(after)) => ledger::of_deposit(before, event, after),
                _ => return,
            },
            (Event::Unreadable(what), _) => {
                if let Some(id) = deposit_of(seen.recorded) {
                    let from = UnreadableFrom { position: seen.recorded.position, why: what.why.clone() };
                    // What came first counts.
                    self.now.unreadable.entry(id).or_insert(from);
                    self.is_changed = true;
                }
                return;
            }
            (Event::Desk(desk::Event::TransferDeclared(transfer)), _) => ledger::of_transfer(transfer),
            _ => return,
        };
        if !entry.postings().is_empty() {
            self.now.balances.post(&entry);
            self.is_changed = true;
        }
    }

    fn rows_waiting(&self) -> usize {
        usize::from(self.is_changed)
    }

    fn changes(&mut self, _: &Followed) -> Result<Box<dyn Changes>, ViewError> {
        let documents = Documents::default();
        Ok(Box::new(match std::mem::take(&mut self.is_changed) {
            true => documents.with(BALANCES, &self.now.balances)?.with(UNREADABLE, &self.now.unreadable)?,
            false => documents,
        }))
    }

    fn show(&self, position: Position, shown: &mut Shown) {
        shown.ledger = Some(LedgerCut { position, ..self.now.clone() });
    }
}
