//! The log opened directly: how it is opened, and what it answers when a commit fails.

use std::path::Path;

use super::*;
use anyhow::bail;
use chrono::DateTime;
use millrace_actors::event_store::{Append, AppendError, Expected, Log, OpenError, Reader, Write};
use millrace_model::address_book::AddressIssued;
use millrace_model::desk::{Setting, Switch, SwitchSet};
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, StreamName};
use rusqlite::Connection;

/// The settings that durability rests on are read back when it opens.
pub fn opens_safely(path: &Path) -> Result<()> {
    match Log::open(path) {
        Ok(_) => Ok(()),
        Err(error @ OpenError::Unsafe { setting: "synchronous", .. }) => bail!("the log does not open: {error}"),
        Err(error) => Err(error).context("for another reason"),
    }
}

/// A commit that fails, as on a full disk, is an error of its command, and leaves nothing of it behind.
pub fn is_all_or_nothing(path: &Path) -> Result<()> {
    let mut log = Log::open(path)?;
    let full = FullDisk::new(path)?;
    let outcome = commit(&mut log)?;
    drop(full);
    let stored = Reader::open(path)?.after(0, 10)?.len();
    ensure!(outcome.is_err(), "the log took a command whose commit failed, and stores {stored} events of it");
    ensure!(stored == 0, "{stored} events of a command are stored that the log has refused");
    drop(log);
    let mut log = Log::open(path)?;
    ensure!(commit(&mut log)?.is_ok(), "the log does not go on once there is room");
    ensure!(Reader::open(path)?.after(0, 10)?.len() == 2, "not everything is stored");
    Ok(())
}

fn commit(log: &mut Log) -> Result<Result<(), AppendError>> {
    let switched = SwitchSet { switch: Switch::Binds, setting: Setting::Off, note: "a".to_owned() };
    let writes = vec![
        Write::new(StreamName::Desk, Expected::Exactly(0), vec![Event::Desk(switched.into())]),
        Write::new(
            StreamName::AddressBook,
            Expected::Exactly(0),
            vec![Event::AddressBook(AddressIssued { index: 0 }.into())],
        ),
    ];
    let append = Append {
        command_id: CommandId([1; 16]),
        command: "Test",
        body: "{}".to_owned(),
        causation: None,
        correlation: None,
        writes,
    };
    let outcome = log.commit([append], DateTime::UNIX_EPOCH).0.pop().context("an append has an outcome")?;
    Ok(outcome.map(drop))
}

/// While it lives every commit fails, and nothing before it: what was written in the transaction breaks a promise that is
/// looked at in the end, as a disk says only then that it is full.
struct FullDisk(Connection);

impl FullDisk {
    fn new(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "CREATE TABLE room (stream INTEGER REFERENCES streams (id) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER no_room AFTER INSERT ON commands BEGIN INSERT INTO room VALUES (-1); END;",
        )?;
        Ok(Self(connection))
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        self.0.execute_batch("DROP TRIGGER no_room; DELETE FROM room; DROP TABLE room;").expect("nobody holds the log");
    }
}
