//! The deposits that are set aside because an event of theirs cannot be read: one condition for people to see.

use std::collections::BTreeMap;

use millrace_model::ids::{Category, DepositId, StreamName};

use super::row::UnreadableFrom;
use crate::deposits::unreadable;
use crate::event_store::{ReadError, Reader};
use crate::supervision::Reporter;

/// The condition's kind.
const CONDITION: &str = "unreadable";

/// Who is set aside, and from where on.
pub(super) struct Aside {
    report: Reporter,
    deposits: BTreeMap<DepositId, UnreadableFrom>,
}

impl Aside {
    pub(super) fn new(report: Reporter) -> Self {
        Self { report, deposits: BTreeMap::new() }
    }

    pub(super) fn deposits(&self) -> &BTreeMap<DepositId, UnreadableFrom> {
        &self.deposits
    }

    /// Those known from earlier.
    pub(super) fn begin_with(&mut self, deposits: BTreeMap<DepositId, UnreadableFrom>) {
        self.deposits = deposits;
        self.tell();
    }

    /// What came first counts.
    pub(super) fn set(&mut self, id: DepositId, from: UnreadableFrom) {
        if self.deposits.contains_key(&id) {
            return;
        }
        let stream = StreamName::Deposit(id);
        tracing::error!(%stream, position = from.position, why = from.why, "the stream is set aside");
        self.deposits.insert(id, from);
        self.tell();
    }

    fn tell(&self) {
        let Some((id, UnreadableFrom { position, why })) = self.deposits.first_key_value() else { return };
        let others = match self.deposits.len() - 1 {
            0 => String::new(),
            others => format!("; and {others} more"),
        };
        let stream = StreamName::Deposit(*id);
        self.report.set(CONDITION, format!("{stream} is set aside from position {position} on: {why}{others}"));
    }
}

/// Whether another version read the log for these views: a deposit of which it could not read an event can be read by now, or
/// one that is open and that it could read no longer can.
pub(super) fn has_changed(shown: &BTreeMap<DepositId, UnreadableFrom>, reader: &Reader) -> Result<bool, ReadError> {
    for id in shown.keys() {
        if unreadable(&reader.stream(&StreamName::Deposit(*id), 0)?).is_none() {
            return Ok(true);
        }
    }
    let (_, events) = reader.open_streams(Category::Deposit)?;
    let mut streams = events.chunk_by(|one, next| one.stream == next.stream);
    Ok(streams.any(|events| match &events[0].stream {
        StreamName::Deposit(id) => !shown.contains_key(id) && unreadable(events).is_some(),
        _ => false,
    }))
}
