//! For tests: a log that is not what was stored, and one with an event that this version cannot read.

use std::path::Path;

use millrace_model::ids::{Position, StreamName, Version};
use rusqlite::{Connection, params};

use super::chain_hash::ChainHash;
use super::sealed::Shelf;
use super::verify::{CHAIN, tip_after};

/// Gives a stored event another kind, and leaves its hash as it was. Nobody may have the log open.
pub(crate) fn set_kind(log: &Path, stream: &StreamName, version: Version, kind: &str) {
    let change = "UPDATE events SET kind = ?3 WHERE version = ?2
                  AND stream = (SELECT id FROM streams WHERE name = ?1)";
    unguarded(log, |log| {
        let changed = log.execute(change, params![stream.to_string(), version, kind]).unwrap();
        assert_eq!(changed, 1, "there is such an event");
    });
}

/// Changes whatever it is told to.
pub(crate) fn damage(log: &Path, damage: &str) {
    unguarded(log, |log| log.execute_batch(damage).unwrap());
}

/// Computes all hashes anew: as if everything had been stored as it is now, perhaps by a newer version.
pub(crate) fn mend_hashes(log: &Path) {
    unguarded(log, |log| {
        let mut events = log.prepare(CHAIN).unwrap();
        let mut rows = events.query((0, i64::MAX)).unwrap();
        let (mut tip, shelf) = (ChainHash::GENESIS, Shelf::of(log));
        while let Some(row) = rows.next().unwrap() {
            tip = tip_after(tip, row, &shelf).unwrap();
            let position: Position = row.get(0).unwrap();
            log.execute("UPDATE events SET hash = ?2 WHERE position = ?1", params![position, tip.0]).unwrap();
        }
    });
}

/// What forbids changes is gone for a moment.
fn unguarded(log: &Path, change: impl FnOnce(&Connection)) {
    let log = Connection::open(log).unwrap();
    let guards = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '%are_never%'";
    let guards: Vec<(String, String)> =
        log.prepare(guards).unwrap().query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().flatten().collect();
    assert!(!guards.is_empty(), "a log guards what is stored");
    guards.iter().for_each(|(name, _)| log.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
    change(&log);
    guards.iter().for_each(|(_, guard)| log.execute_batch(guard).unwrap());
}
