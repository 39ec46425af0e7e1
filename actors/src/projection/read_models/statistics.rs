//! What all deposits add up to, and how many addresses were given out.

use millrace_model::binding;
use millrace_model::event::Event;
use millrace_model::ids::Position;

use super::documents::{self, Documents};
use crate::projection::catalog::Table;
use crate::projection::fold::{Changes, Cut, Fold, Seen, Shown};
use crate::projection::followed::Followed;
use crate::projection::totals::{Summand, Totals};
use crate::projection::views::ViewError;

pub(in crate::projection) const VERSION: i64 = 2;
pub(in crate::projection) const TOTALS: &str = "totals";

pub(in crate::projection) static TABLE: Table =
    Table { name: "statistics", key: "name", columns: documents::COLUMNS, indexes: &[] };

/// The sums.
#[derive(Debug, Default)]
pub(in crate::projection) struct Sums {
    now: Totals,
    is_changed: bool,
}

impl Fold for Sums {
    fn load(&mut self, cut: &Cut<'_>) -> Result<(), ViewError> {
        self.now = documents::read(cut, TOTALS)?;
        Ok(())
    }

    fn take_in(&mut self, seen: &Seen<'_>) {
        if let Some(moved) = &seen.moved {
            let after = moved.row.map(Summand::of);
            if moved.counted != after {
                moved.counted.iter().for_each(|before| self.now.take_away(before));
                after.iter().for_each(|after| self.now.add(after));
                self.is_changed = true;
            }
        }
        if let Event::Binding(binding::Event::Bound(_)) = &seen.recorded.event {
            self.now.add_addresses(1);
            self.is_changed = true;
        }
    }

    fn rows_waiting(&self) -> usize {
        usize::from(self.is_changed)
    }

    fn changes(&mut self, _: &Followed) -> Result<Box<dyn Changes>, ViewError> {
        let documents = Documents::default();
        Ok(Box::new(match std::mem::take(&mut self.is_changed) {
            true => documents.with(TOTALS, &self.now)?,
            false => documents,
        }))
    }

    fn show(&self, _: Position, shown: &mut Shown) {
        shown.totals = Some(self.now.clone());
    }
}
