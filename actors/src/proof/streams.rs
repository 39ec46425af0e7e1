//! What the log keeps beside its events, and acts upon: what is said of each stream, and the states that were stored so that
//! not all events have to be read. No hash covers it, and all of it can be made again from the events.

use std::collections::HashMap;

use millrace_model::chain::Chain;
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{Category, StreamName, Version};
use millrace_model::wallet::Wallet;

use super::deposits::Deposits;
use super::finding::{Finding, Findings};
use crate::deposits::key_of;
use crate::event_store::{Examination, ReadError, StoredSnapshot, StreamRow};

/// The aggregates of which states are stored, folded afresh, and those states.
#[derive(Debug, Default)]
pub(super) struct Shared {
    chain: Chain,
    wallet: Wallet,
    /// By the number of their stream.
    snapshots: HashMap<i64, StoredSnapshot>,
}

impl Shared {
    /// Takes the states as they are stored now.
    pub(super) fn begin(log: &Examination, findings: &mut Findings) -> Self {
        let snapshots = log.snapshots().unwrap_or_else(|error| {
            findings.add(Finding::Head { problem: format!("the stored states cannot be read: {error}") });
            Vec::new()
        });
        let snapshots = snapshots.into_iter().map(|snapshot| (snapshot.stream_id, snapshot)).collect();
        Self { snapshots, ..Self::default() }
    }

    /// Takes one more event in, and holds the state that was stored there against it.
    pub(super) fn take_in(&mut self, recorded: &Recorded, stream_id: i64, findings: &mut Findings) {
        match &recorded.event {
            Event::Chain(event) => self.chain = std::mem::take(&mut self.chain).evolve(event),
            Event::Wallet(event) => self.wallet = std::mem::take(&mut self.wallet).evolve(event),
            _ => {}
        }
        let Some(snapshot) = self.snapshots.get(&stream_id) else { return };
        if snapshot.version != recorded.version {
            return;
        }
        let is_like = match recorded.stream.category() {
            Category::Chain => serde_json::from_str(&snapshot.state).is_ok_and(|state: Chain| state == self.chain),
            Category::Wallet => serde_json::from_str(&snapshot.state).is_ok_and(|state: Wallet| state == self.wallet),
            Category::Deposit | Category::Binding | Category::AddressBook | Category::Desk | Category::Subscription => {
                false
            }
        };
        if !snapshot.is_intact || !is_like {
            let shown = if snapshot.is_intact { "another" } else { "not what was stored" };
            let expected = format!("that of version {}", snapshot.version);
            findings.add(difference(&recorded.stream.to_string(), "the stored state", (shown, &expected)));
        }
    }
}

/// Holds what is said of a stream of one event against what that says.
pub(super) fn binding(
    log: &Examination,
    (stream_id, target): (i64, &str),
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let Some(row) = log.stream_row(stream_id)? else { return Ok(()) };
    let expected = Said { label: Some(target.to_owned()), is_open: Some(false), ..Said::of(Category::Binding) };
    compare(&row, &expected, findings);
    Ok(())
}

/// Holds what is said of all other streams against their events. One that went on since is left out.
pub(super) fn all(
    log: &Examination,
    (versions, deposits): (&HashMap<i64, Version>, &Deposits),
    findings: &mut Findings,
) -> Result<(), ReadError> {
    log.each_stream(&mut |row| {
        if row.version.is_none() {
            findings.add(difference(&row.name, "its newest version", ("none", "some")));
        }
        if row.version.is_none() || row.version.as_ref() != versions.get(&row.id) {
            return;
        }
        let Ok(name) = row.name.parse::<StreamName>() else { return };
        let expected = match name.category() {
            Category::Binding => return,
            Category::Deposit => {
                let (outpoint, is_open) = deposits.standing(row.id);
                let key = outpoint.map(key_of);
                Said { key, is_open, ..Said::of(Category::Deposit) }
            }
            category => Said::of(category),
        };
        compare(&row, &expected, findings);
    })
}

/// What is to be said of a stream.
struct Said {
    category: Category,
    key: Option<String>,
    label: Option<String>,
    /// Nobody knows of one that cannot be read.
    is_open: Option<bool>,
}

impl Said {
    fn of(category: Category) -> Self {
        Self { category, key: None, label: None, is_open: Some(true) }
    }
}

fn compare(row: &StreamRow, expected: &Said, findings: &mut Findings) {
    let none = || "none".to_owned();
    let text = |text: &Option<String>| text.clone().unwrap_or_else(none);
    let is_open = expected.is_open.map_or(row.open, i64::from);
    let parts = [
        ("category", row.category.to_string(), expected.category.code().to_string()),
        ("key", text(&row.key), text(&expected.key)),
        ("label", text(&row.label), text(&expected.label)),
        ("open", row.open.to_string(), is_open.to_string()),
    ];
    if let Some((part, shown, expected)) = parts.iter().find(|(_, shown, expected)| shown != expected) {
        findings.add(difference(&row.name, part, (shown, expected)));
    }
}

fn difference(stream: &str, field: &str, (shown, expected): (&str, &str)) -> Finding {
    Finding::Stream {
        stream: stream.to_owned(),
        field: field.to_owned(),
        shown: shown.to_owned(),
        expected: expected.to_owned(),
    }
}
