//! The projection for pages and APIs: follows the log and keeps the views up to date.
//!
//! Rows and the position they stand for are committed together, so a restart goes on where the views are. No effect
//! rests on a view. An event that cannot be read is passed over, and its deposit shown as unreadable; when a start finds
//! that other deposits can be read than before, the views are made again.

mod aside;
mod books;
mod quarantine;
mod row;
mod tables;
mod totals;
mod views;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::time::Duration;

use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{DepositId, Position, StreamName};
use millrace_model::{address_book, binding};
use xtra::Mailbox;

use crate::event_store::{Page, ReadError, Store};
use crate::supervision::{Incarnation, Policy, Reporter, Scope, Tree, TreeError};

use aside::Aside;
use books::Books;
pub use row::{DepositRow, UNREADABLE, UnreadableFrom};
pub use totals::{Line, Totals};
pub use views::{BindingRow, Change, Filter, LedgerCut, PAGE_ROWS_MAX, Trouble, ViewError, Views};

/// The part's name in the tree.
pub const PART: &str = "projection";
/// How many events are folded into one transaction of the views.
const PAGE_EVENTS_MAX: usize = 8_192;
/// How long the projection rests after a transaction when it is not far behind, so that what happens meanwhile shares the
/// next one; whoever waits to see something ends the rest.
const REST: Duration = Duration::from_millis(50);
/// How many rows are kept in memory; beyond it, all are forgotten and read again.
const ROWS_MAX: usize = 20_000;

/// Adds the projection to the tree.
pub fn start(tree: &Tree, store: Store, views: Views) -> Result<(), TreeError> {
    tree.add(PART, Policy::permanent(), move |incarnation: Incarnation<Actor>| Actor {
        store: store.clone(),
        views: views.clone(),
        report: incarnation.report,
        scope: incarnation.scope,
    })
    .map(|_| ())
}

/// The actor: its work is one task of its incarnation, and ends with it.
pub struct Actor {
    store: Store,
    views: Views,
    report: Reporter,
    scope: Scope,
}

/// Why the projection starts afresh.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The views cannot be written.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The log's bell is gone.
    #[error("the event store is gone")]
    StoreGone,
}

impl xtra::Actor for Actor {
    type Stop = Result<(), ProjectionError>;

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), Self::Stop> {
        let fold = Fold {
            store: self.store.clone(),
            views: self.views.clone(),
            rows: HashMap::new(),
            totals: Totals::default(),
            books: Books::default(),
            aside: Aside::new(self.report.clone()),
            report: self.report.clone(),
            position: 0,
        };
        let report = self.report.clone();
        self.scope.spawn(async move {
            fold.store.ready_for(&report).await;
            fold.run().await.map(|never| match never {})
        });
        Ok(())
    }

    async fn stopped(self) -> Self::Stop {
        Ok(())
    }
}

struct Fold {
    store: Store,
    views: Views,
    rows: HashMap<DepositId, DepositRow>,
    totals: Totals,
    books: Books,
    aside: Aside,
    report: Reporter,
    position: Position,
}

impl Fold {
    async fn run(mut self) -> Result<Infallible, ProjectionError> {
        let mut bell = self.store.bell();
        self.position = self.views.prepare(self.store.head()).await?;
        let unreadable = self.views.ledger().unreadable.clone();
        if self.position > 0 && aside::has_changed(&unreadable, &*self.store.reader()?)? {
            tracing::info!("not the same deposits can be read as before; the views begin again");
            self.position = self.views.begin_again().await?;
        } else {
            self.aside.begin_with(unreadable);
        }
        self.totals = Totals::clone(&self.views.totals());
        quarantine::tell(&self.totals, &self.report);
        self.books = Books::new(self.views.ledger().balances.clone());
        loop {
            while self.position < self.store.head() {
                let page = self.store.after(self.position, PAGE_EVENTS_MAX)?;
                let Some(last) = page.last() else { break };
                self.take_in(&page, last).await?;
                if self.store.head() < self.position + PAGE_EVENTS_MAX as Position {
                    self.views.rest(REST).await;
                }
            }
            bell.changed().await.map_err(|_| ProjectionError::StoreGone)?;
        }
    }

    async fn take_in(&mut self, page: &Page, last: Position) -> Result<(), ProjectionError> {
        self.fetch_missing(page).await?;
        let mut changed = BTreeSet::new();
        let mut bindings = Vec::new();
        let reader = self.store.reader()?;
        for recorded in page.events() {
            self.books.take_in(recorded, &reader)?;
            match &recorded.event {
                Event::Deposit(_) | Event::Unreadable(_) => {
                    let StreamName::Deposit(id) = recorded.stream else { continue };
                    self.show(id, recorded);
                    changed.insert(id);
                }
                Event::Binding(binding::Event::Bound(bound)) => bindings.push(binding_row(bound, recorded)),
                Event::AddressBook(address_book::Event::AddressIssued(_))
                | Event::Chain(_)
                | Event::Wallet(_)
                | Event::Desk(_) => {}
            }
        }
        let deposits: Vec<_> = changed.iter().filter_map(|id| self.rows.get(id).cloned()).collect();
        self.totals.add_addresses(bindings.len());
        quarantine::tell(&self.totals, &self.report);
        let (balances, unreadable) = (self.books.balances().clone(), self.aside.deposits().clone());
        let cut = LedgerCut { position: last, balances, unreadable };
        self.views.write(&deposits, &bindings, &self.totals, cut).await?;
        self.position = last;
        for row in deposits.iter().filter(|row| row.status == "done") {
            self.rows.remove(&row.id);
        }
        if self.rows.len() > ROWS_MAX {
            self.rows.clear();
        }
        Ok(())
    }

    /// Reads the rows that a page changes and that are not in memory.
    async fn fetch_missing(&mut self, page: &Page) -> Result<(), ProjectionError> {
        let mut known = HashSet::new();
        let mut missing = Vec::new();
        for recorded in page.events() {
            let StreamName::Deposit(id) = recorded.stream else { continue };
            if !self.rows.contains_key(&id) && known.insert(id) && recorded.version > 1 {
                missing.push(id);
            }
        }
        let rows = self.views.deposits_by_id(&missing).await?;
        self.rows.extend(rows.into_iter().map(|row| (row.id, row)));
        Ok(())
    }

    fn show(&mut self, id: DepositId, recorded: &Recorded) {
        let row = self.rows.remove(&id);
        if let Some(before) = &row {
            self.totals.take_away(before);
        }
        if let Event::Unreadable(what) = &recorded.event {
            self.aside.set(id, UnreadableFrom { position: recorded.position, why: what.why.clone() });
        }
        if let Some(after) = DepositRow::after(row, recorded) {
            self.totals.add(&after);
            self.rows.insert(id, after);
        }
    }
}

fn binding_row(bound: &binding::Bound, recorded: &Recorded) -> BindingRow {
    BindingRow {
        seq: recorded.position,
        address: bound.address.clone(),
        target: bound.customer.target.clone(),
        number: bound.index,
        method: bound.customer.bound_method.as_str().to_owned(),
        bound_at: recorded.recorded_at,
    }
}
