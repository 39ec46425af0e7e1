//! The stored views against a fresh fold of the log up to where they stand.

use std::collections::{BTreeMap, BTreeSet};

use millrace_model::ids::{Hash32, Position, Version};
use serde::Serialize;
use serde_json::Value;

use super::deposits::{Deposits, Expected, digest, row_at};
use super::finding::{Finding, Findings};
use crate::event_store::{Examination, ReadError};
use crate::projection::{BindingRow, DepositRow, StoredDeposit, StoredError, StoredViews};

/// What stands where nothing stands.
const NOTHING: &str = "nothing";
/// Above every version, and below what a column can hold.
const ALL_VERSIONS: Version = i64::MAX as Version;

/// Why the views were not compared to their end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unlike {
    #[error(transparent)]
    Views(#[from] StoredError),
    #[error("the log cannot be read a second time: {0}")]
    Log(#[from] ReadError),
}

/// What differs: which part, what it says, what it ought to say.
struct Difference {
    field: String,
    shown: String,
    expected: String,
}

impl Difference {
    fn new(field: &str, shown: impl ToString, expected: impl ToString) -> Self {
        Self { field: field.to_owned(), shown: shown.to_string(), expected: expected.to_string() }
    }

    fn of(self, table: &'static str, row: impl ToString) -> Finding {
        let Self { field, shown, expected } = self;
        Finding::View { table, row: row.to_string(), field, shown, expected }
    }
}

/// Holds one deposit address against the log.
pub(super) fn binding(views: &StoredViews, expected: &BindingRow, findings: &mut Findings) -> Result<(), StoredError> {
    let difference = match views.binding(expected.seq)? {
        None => Some(Difference::new("the row", NOTHING, &expected.address)),
        Some(shown) if shown == *expected => None,
        Some(shown) => first_difference(&value(&shown), &value(expected)),
    };
    difference.into_iter().for_each(|found| findings.add(found.of("bindings", expected.seq)));
    Ok(())
}

/// Holds the rows of all deposits, and the sums, against the log.
pub(super) fn deposits(
    views: &StoredViews,
    (fresh, position): (&Deposits, Position),
    log: &Examination,
    findings: &mut Findings,
) -> Result<(), Unlike> {
    let mut expected = fresh.rows().peekable();
    let mut read = Ok(());
    let missing = |seq: Position| Difference::new("the row", NOTHING, "a deposit").of("deposits", seq);
    views.each_deposit(&mut |shown| {
        while let Some((seq, _)) = expected.next_if(|(seq, _)| *seq < shown.seq) {
            findings.add(missing(seq));
        }
        let found = match expected.next_if(|(seq, _)| *seq == shown.seq) {
            Some((_, expected)) => of_row(&shown, expected, (log, position)),
            None => Ok(Some(Difference::new("the row", &shown.id, NOTHING))),
        };
        match found {
            Ok(found) => found.into_iter().for_each(|found| findings.add(found.of("deposits", shown.seq))),
            Err(error) => read = Err(error),
        }
    })?;
    expected.for_each(|(seq, _)| findings.add(missing(seq)));
    read?;
    Ok(sums(views, fresh, findings)?)
}

/// The first difference between a row and what it ought to be.
fn of_row(
    shown: &StoredDeposit,
    expected: Expected,
    (log, position): (&Examination, Position),
) -> Result<Option<Difference>, ReadError> {
    let expected = match expected {
        Expected::Row(row) => *row,
        Expected::Digest(digest, _) if is_like(shown, digest) => return Ok(None),
        Expected::Digest(_, stream_id) => {
            let events = log.stream_before(stream_id, ALL_VERSIONS)?;
            row_at(&events, position).expect("a deposit that ended has a row")
        }
    };
    Ok(between(shown, &expected))
}

/// Whether it is the row with this digest.
fn is_like(shown: &StoredDeposit, wanted: Hash32) -> bool {
    let row: Option<DepositRow> = serde_json::from_str(&shown.body).ok();
    row.is_some_and(|row| digest(&row) == wanted && columns(shown, &row).is_none())
}

/// What is shown counts: a row may have been written before its newest fields were thought of.
fn between(shown: &StoredDeposit, row: &DepositRow) -> Option<Difference> {
    match serde_json::from_str::<DepositRow>(&shown.body) {
        Ok(stored) if stored == *row => columns(shown, row),
        Ok(stored) => first_difference(&value(&stored), &value(row)),
        Err(_) => Some(Difference::new("the row", &shown.body, value(row))),
    }
}

/// What rows are found by.
fn columns(shown: &StoredDeposit, row: &DepositRow) -> Option<Difference> {
    let text = |target: &Option<String>| target.clone().unwrap_or_else(|| NOTHING.to_owned());
    let columns = [
        ("column id", shown.id.clone(), row.id.to_string()),
        ("column target", text(&shown.target), text(&row.target)),
        ("column address", shown.address.clone(), row.address.clone()),
        ("column status", shown.status.clone(), row.status.clone()),
    ];
    let found = columns.into_iter().find(|(_, shown, expected)| shown != expected);
    found.map(|(column, shown, expected)| Difference::new(column, shown, expected))
}

/// The first field of two objects that differs.
fn first_difference(shown: &Value, expected: &Value) -> Option<Difference> {
    let empty = serde_json::Map::new();
    let [of_shown, of_expected] = [shown, expected].map(|value| value.as_object().unwrap_or(&empty));
    let fields: BTreeSet<&String> = of_expected.keys().chain(of_shown.keys()).collect();
    let text = |value: Option<&Value>| value.map_or_else(|| NOTHING.to_owned(), ToString::to_string);
    let differs = fields.into_iter().find(|field| of_shown.get(*field) != of_expected.get(*field))?;
    Some(Difference::new(differs, text(of_shown.get(differs)), text(of_expected.get(differs))))
}

fn value(row: &impl Serialize) -> Value {
    serde_json::to_value(row).expect("a row has text keys")
}

fn sums(views: &StoredViews, fresh: &Deposits, findings: &mut Findings) -> Result<(), StoredError> {
    let (shown, expected) = (views.totals()?, fresh.totals());
    if shown.addresses() != expected.addresses() {
        findings.add(Difference::new("addresses", shown.addresses(), expected.addresses()).of("totals", "deposits"));
    }
    let lines = |totals: &crate::projection::Totals| -> BTreeMap<String, Value> {
        let name = |line: &crate::projection::Line| match &line.outcome {
            Some(outcome) => format!("{} {outcome}", line.status),
            None => line.status.clone(),
        };
        totals.lines().iter().map(|line| (name(line), value(line))).collect()
    };
    of_sums("deposits", (lines(&shown), lines(expected)), findings);
    let (shown, expected) = (views.balances()?, fresh.balances());
    let accounts = |balances: &millrace_model::ledger::Balances| -> BTreeMap<String, Value> {
        let name = |account: &str, coin: &str| format!("{account} in {coin}");
        let all = balances.all().iter();
        all.map(|it| (name(it.account.as_str(), it.coin.as_str()), Value::String(it.coin.amount(it.units)))).collect()
    };
    of_sums("ledger", (accounts(&shown), accounts(expected)), findings);
    Ok(())
}

fn of_sums(
    row: &'static str,
    (shown, expected): (BTreeMap<String, Value>, BTreeMap<String, Value>),
    findings: &mut Findings,
) {
    let names: BTreeSet<&String> = shown.keys().chain(expected.keys()).collect();
    let text = |value: Option<&Value>| value.map_or_else(|| NOTHING.to_owned(), ToString::to_string);
    if let Some(name) = names.into_iter().find(|name| shown.get(*name) != expected.get(*name)) {
        let difference = Difference::new(name, text(shown.get(name)), text(expected.get(name)));
        findings.add(difference.of("totals", row));
    }
}
