//! What no desk does to its log: a changed digit, and a log as a newer version would have left it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use bitcoin::hashes::{Hash, sha256};
use millrace_actors::event_store::{ChainHash, Link};
use millrace_daemon::config::head_file_of;
use millrace_model::ids::Hash32;
use rusqlite::{Connection, Row, params};
use serde_json::{Value, json};

/// What a hash covers.
const CHAIN: &str = "SELECT e.position, s.name, e.version, e.kind, e.schema, e.payload, e.causation, e.correlation,
                            e.command_id, e.recorded_at, c.name, c.body
                     FROM events e JOIN streams s ON s.id = e.stream JOIN commands c ON c.id = e.command_id
                     ORDER BY e.position";

/// Changes stored events by this statement, and nothing else: no hash fits any more. The desk must be down.
pub fn change(data_dir: &Path, change: &str) -> Result<()> {
    unguarded(data_dir, |log| {
        let changed = log.execute(change, [])?;
        ensure!(changed == 1, "{changed} events were changed");
        Ok(())
    })
}

/// The same of as many as it may be.
pub fn damage(data_dir: &Path, damage: &str) -> Result<()> {
    unguarded(data_dir, |log| Ok(log.execute_batch(damage)?))
}

/// Gives the one event of this kind in a stream another kind, one that this version does not know or does again, with hashes
/// and a head file to match. The desk must be down.
pub fn rename(data_dir: &Path, stream: &str, from: &str, to: &str) -> Result<()> {
    unguarded(data_dir, |log| {
        let change =
            "UPDATE events SET kind = ?3 WHERE kind = ?2 AND stream = (SELECT id FROM streams WHERE name = ?1)";
        let changed = log.execute(change, params![stream, from, to])?;
        ensure!(changed == 1, "{changed} events are {from}");
        chain_anew(log)?;
        note_head(log, &head_file_of(data_dir))
    })
}

/// Does the same as a newer version of the program would, which notes every kind that it stores.
pub fn rename_by_newer(data_dir: &Path, stream: &str, from: &str, to: &str) -> Result<()> {
    rename(data_dir, stream, from, to)?;
    let note = "INSERT INTO kinds SELECT kind, schema, min(position) FROM events WHERE kind = ?1 GROUP BY kind, schema";
    unguarded(data_dir, |log| {
        ensure!(log.execute(note, [to])? == 1, "there is one such event");
        Ok(())
    })
}

/// Takes back what [`rename_by_newer`] did.
pub fn rename_back(data_dir: &Path, stream: &str, from: &str, to: &str) -> Result<()> {
    rename(data_dir, stream, from, to)?;
    unguarded(data_dir, |log| {
        ensure!(log.execute("DELETE FROM kinds WHERE kind = ?1", [from])? == 1, "it was noted");
        Ok(())
    })
}

/// What forbids changes is gone for a moment.
fn unguarded(data_dir: &Path, change: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
    let mut log = Connection::open(data_dir.join("log.db"))?;
    let log = log.transaction()?;
    let guards = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '%are_never%'";
    let guards: Vec<(String, String)> =
        log.prepare(guards)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    ensure!(!guards.is_empty(), "a log guards what is stored");
    guards.iter().try_for_each(|(name, _)| log.execute_batch(&format!("DROP TRIGGER {name}")))?;
    change(&log)?;
    guards.iter().try_for_each(|(_, guard)| log.execute_batch(guard))?;
    Ok(log.commit()?)
}

fn chain_anew(log: &Connection) -> Result<()> {
    let mut events = log.prepare(CHAIN)?;
    let mut rows = events.query([])?;
    let mut tip = ChainHash::GENESIS;
    while let Some(row) = rows.next()? {
        let position: u64 = row.get(0)?;
        tip = tip_after(tip, row)?;
        log.execute("UPDATE events SET hash = ?2 WHERE position = ?1", params![position, tip.0])?;
    }
    Ok(())
}

fn tip_after(before: ChainHash, row: &Row<'_>) -> Result<ChainHash> {
    let texts: [String; 5] = [row.get(1)?, row.get(3)?, row.get(5)?, row.get(10)?, row.get(11)?];
    let [stream, kind, payload, command, body] = texts.each_ref().map(String::as_str);
    let link = Link {
        position: row.get(0)?,
        stream,
        version: row.get(2)?,
        kind,
        schema: row.get(4)?,
        payload,
        causation: row.get(6)?,
        correlation: row.get(7)?,
        command_id: row.get(8)?,
        recorded_at: row.get(9)?,
        command: &ChainHash::of_command(command, body),
    };
    Ok(link.after(&before))
}

/// Puts the hash of the event that the head file names there.
fn note_head(log: &Connection, head_file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(head_file)?;
    let mut line: Value = serde_json::from_str(text.lines().next().context("the head file has a line")?)?;
    let hash_at = |position: u64| -> Result<String> {
        let hash = log.query_row("SELECT hash FROM events WHERE position = ?1", [position], |row| row.get(0));
        Ok(Hash32(hash?).to_string())
    };
    let position = line["head"]["position"].as_u64().context("the head file names a position")?;
    line["head"]["hash"] = json!(hash_at(position)?);
    line["head"]["log"] = json!(hash_at(1)?);
    let line = line.to_string();
    let digest = Hash32(sha256::Hash::hash(line.as_bytes()).to_byte_array());
    Ok(std::fs::write(head_file, format!("{line}\n{digest}\n"))?)
}
