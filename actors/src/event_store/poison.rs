//! For tests: an event that this version cannot read, as a newer version might have left it.

use std::path::Path;

use millrace_model::ids::{StreamName, Version};
use rusqlite::{Connection, params};

/// Gives a stored event another kind. Nobody may have the log open.
pub(crate) fn set_kind(log: &Path, stream: &StreamName, version: Version, kind: &str) {
    let connection = Connection::open(log).unwrap();
    let trigger = "SELECT sql FROM sqlite_schema WHERE name = 'events_are_never_changed'";
    let trigger: String = connection.query_row(trigger, [], |row| row.get(0)).unwrap();
    connection.execute_batch("DROP TRIGGER events_are_never_changed").unwrap();
    let change = "UPDATE events SET kind = ?3 WHERE version = ?2
                  AND stream = (SELECT id FROM streams WHERE name = ?1)";
    let changed = connection.execute(change, params![stream.to_string(), version, kind]).unwrap();
    assert_eq!(changed, 1, "there is such an event");
    connection.execute_batch(&trigger).unwrap();
}
