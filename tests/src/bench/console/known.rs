//! What a desk with very many deposits can be asked for: read from its files before it starts.

use std::path::Path;

use anyhow::ensure;
use millrace_actors::event_store::Reader;
use millrace_actors::projection::{DepositRow, name_given};
use millrace_model::deposit;
use millrace_model::event::Event;
use millrace_model::ids::StreamName;
use rusqlite::Connection;

/// From so many places of the log deposits are taken.
const PLACES: u64 = 4_000;
/// Of each kind of name at most so many.
const NAMES_MAX: usize = 200;
/// So far behind the newest a deep page begins.
const DEEP: u64 = 900_000;

/// What a deposit can be found by.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: String,
    /// The deposit's id.
    pub(super) deposit: String,
}

/// What there is, from all over the log.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) deposits: u64,
    pub(super) head: u64,
    pub(super) ids: Vec<Name>,
    /// Deposit addresses of customers.
    pub(super) addresses: Vec<Name>,
    /// Deposit addresses that belong to nobody.
    pub(super) nobodys: Vec<Name>,
    pub(super) targets: Vec<Name>,
    pub(super) deposit_txids: Vec<Name>,
    pub(super) payout_txids: Vec<Name>,
    pub(super) refund_txids: Vec<Name>,
    /// Our orders, and the exchange's numbers for them.
    pub(super) orders: Vec<Name>,
    pub(super) order_numbers: Vec<Name>,
    /// The customer with most deposits, how many, and his address without any.
    pub(super) regular: (String, u64),
    pub(super) unused: String,
    /// What a page comes after that shows what is deep, and the last ones.
    pub(super) deep: u64,
    pub(super) last: u64,
}

impl Known {
    pub(super) fn look(data_dir: &Path) -> anyhow::Result<Self> {
        let (views, log) = (Connection::open(data_dir.join("views.db"))?, Reader::open(&data_dir.join("log.db"))?);
        let mut known = Self { head: log.head()?, ..Self::default() };
        known.sums(&views)?;
        for place in 0..PLACES {
            let row: String = views.query_row(
                "SELECT body FROM deposits WHERE seq >= ?1 ORDER BY seq LIMIT 1",
                [known.head * place / PLACES * 99 / 100],
                |row| row.get(0),
            )?;
            known.add(&serde_json::from_str(&row)?, &log)?;
        }
        known.not_too_many()?;
        Ok(known)
    }

    fn sums(&mut self, views: &Connection) -> anyhow::Result<()> {
        self.deposits = views.query_row("SELECT count(*) FROM deposits", [], |row| row.get(0))?;
        self.regular = views.query_row(
            "SELECT target, count(*) AS many FROM deposits WHERE target IS NOT NULL GROUP BY target ORDER BY many DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        self.unused = views.query_row(
            "SELECT address FROM bindings WHERE target = ?1 AND address NOT IN (SELECT address FROM deposits WHERE target = ?1)",
            [&self.regular.0],
            |row| row.get(0),
        )?;
        let behind = |offset: u64| {
            let sql = "SELECT seq FROM deposits ORDER BY seq DESC LIMIT 1 OFFSET ?1";
            views.query_row(sql, [offset], |row| row.get(0))
        };
        self.deep = behind(DEEP.min(self.deposits - 1))?;
        self.last = behind(self.deposits.saturating_sub(20))?;
        Ok(())
    }

    fn add(&mut self, row: &DepositRow, log: &Reader) -> anyhow::Result<()> {
        let name = |text: String| Name { text, deposit: row.id.to_string() };
        self.ids.push(name(row.id.to_string()));
        self.deposit_txids.push(name(row.outpoint.txid.to_string()));
        match &row.target {
            Some(target) => {
                self.targets.push(name(target.clone()));
                self.addresses.push(name(row.address.clone()));
            }
            None => self.nobodys.push(name(row.address.clone())),
        }
        for recorded in log.stream(&StreamName::Deposit(row.id), 0)? {
            let Event::Deposit(event) = &recorded.event else { continue };
            let names = match event {
                deposit::Event::OrderIntended(_) => &mut self.orders,
                deposit::Event::OrderPlaced(_) => &mut self.order_numbers,
                deposit::Event::PayoutSigned(_) => &mut self.payout_txids,
                _ => &mut self.refund_txids,
            };
            names.extend(name_given(event).map(name));
        }
        Ok(())
    }

    /// What every log has must be there; paid back is seldom anything of what is drawn.
    fn not_too_many(&mut self) -> anyhow::Result<()> {
        let regular = &self.regular.0;
        self.targets.retain(|target| target.text != *regular);
        thin(&mut self.refund_txids);
        for (kind, names) in [
            ("ids", &mut self.ids),
            ("addresses", &mut self.addresses),
            ("addresses of nobody", &mut self.nobodys),
            ("customers", &mut self.targets),
            ("transactions of deposits", &mut self.deposit_txids),
            ("transactions of payouts", &mut self.payout_txids),
            ("orders", &mut self.orders),
            ("numbers of orders", &mut self.order_numbers),
        ] {
            ensure!(!names.is_empty(), "there are no {kind}");
            thin(names);
        }
        Ok(())
    }
}

/// Not too many of them, and those from all over the log, not from its beginning.
fn thin(names: &mut Vec<Name>) {
    let every = names.len().div_ceil(NAMES_MAX).max(1);
    let mut number = 0;
    names.retain(|_| {
        number += 1;
        number % every == 0
    });
}
