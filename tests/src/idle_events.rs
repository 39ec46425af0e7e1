//! Events that change nothing, for logs that have to be long.

use std::path::Path;

use anyhow::Result;
use chrono::{DateTime, Utc};
use millrace_actors::event_store::{Append, Expected, Log, Reader, Write};
use millrace_model::desk::{Event as DeskEvent, Setting, Switch, SwitchSet};
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, StreamName};

/// Records so many at this time, in a log that nobody has open: a switch that is on is turned on.
pub fn record(log: &Path, events: usize, now: DateTime<Utc>) -> Result<()> {
    let mut writer = Log::open(log)?;
    let version = Reader::open(log)?.stream(&StreamName::Desk, 0)?.len() as u64;
    let set = SwitchSet { switch: Switch::Binds, setting: Setting::On, note: String::new() };
    let events = vec![Event::Desk(DeskEvent::SwitchSet(set)); events];
    let append = Append {
        command_id: CommandId::of_fact(&["idle events", &version.to_string()]),
        command: "SetSwitch",
        body: "{}".to_owned(),
        causation: None,
        correlation: None,
        writes: vec![Write::new(StreamName::Desk, Expected::Exactly(version), events)],
    };
    for outcome in writer.commit([append], now).0 {
        outcome?;
    }
    Ok(())
}
