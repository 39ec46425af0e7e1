//! The deposits that are set aside because an event of theirs cannot be read: one condition for people to see.

use std::collections::BTreeMap;

use millrace_model::ids::{Category, DepositId, StreamName};

use super::row::UnreadableFrom;
use crate::deposits::unreadable;
use crate::event_store::{ReadError, Reader};
use crate::supervision::Reporter;

/// The condition's kind.
const CONDITION: &str = "unreadable";

/// Raises the condition, or lifts it when none is left; who was not set aside before is named in the log.
pub(super) fn tell(
    now: &BTreeMap<DepositId, UnreadableFrom>,
    before: &BTreeMap<DepositId, UnreadableFrom>,
    report: &Reporter,
) {
    for (id, from) in now.iter().filter(|(id, _)| !before.contains_key(id)) {
        let stream = StreamName::Deposit(*id);
        tracing::error!(%stream, position = from.position, why = from.why, "the stream is set aside");
    }
    let Some((id, UnreadableFrom { position, why })) = now.first_key_value() else { return report.clear(CONDITION) };
    let others = match now.len() - 1 {
        0 => String::new(),
        others => format!("; and {others} more"),
    };
    let stream = StreamName::Deposit(*id);
    report.set(CONDITION, format!("{stream} is set aside from position {position} on: {why}{others}"));
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
