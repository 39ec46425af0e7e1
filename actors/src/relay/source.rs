//! The messages that are to be delivered, as the engine reads them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::Bytes;
use millrace_model::ids::Hash32;
use millrace_protocols::delivery::cursor::Position;
use rusqlite::{Connection, OpenFlags, Row, params};
use tokio::sync::watch;
use uuid::Uuid;

use crate::delivery::endpoint::Outgoing;
use crate::delivery::shelf::{Source, SourceError};

/// What the engine takes them for; no filter asks for it.
const KIND: &str = "Relayed.Message";
/// How many are read at once: each may have half a megabyte.
const PAGE_ITEMS: usize = 16;

/// The file as a source, on a connection of its own.
pub struct FromFile {
    connection: Arc<Mutex<Connection>>,
    head: watch::Receiver<Position>,
}

impl FromFile {
    /// Of the file whose writer says how far it is.
    pub fn open(path: &Path, head: watch::Receiver<Position>) -> Result<Self, SourceError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
            connection.execute_batch("PRAGMA query_only = ON; PRAGMA busy_timeout = 5000;")?;
            Ok(connection)
        });
        let connection = opened.map_err(|error| SourceError(error.to_string()))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), head })
    }
}

impl Source for FromFile {
    fn head(&self) -> watch::Receiver<Position> {
        self.head.clone()
    }

    fn page_items(&self) -> usize {
        PAGE_ITEMS
    }

    fn after(&self, position: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Outgoing>, SourceError>> {
        let connection = Arc::clone(&self.connection);
        let reading = tokio::task::spawn_blocking(move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            read(&connection, position, limit)
        });
        async move { reading.await.expect("reading does not panic").map_err(|error| SourceError(error.to_string())) }
            .boxed()
    }
}

fn read(connection: &Connection, after: Position, limit: usize) -> rusqlite::Result<Vec<Outgoing>> {
    let mut statement = connection.prepare_cached(
        "SELECT position, id, customer, body, taken_ms FROM messages WHERE position > ?1 ORDER BY position LIMIT ?2",
    )?;
    let rows = statement.query_map(params![after, limit], outgoing)?;
    rows.collect()
}

fn outgoing(row: &Row<'_>) -> rusqlite::Result<Outgoing> {
    Ok(Outgoing {
        position: row.get(0)?,
        id: Uuid::from_bytes(row.get(1)?),
        key: None,
        kind: Arc::from(KIND),
        customer: Some(Arc::from(Hash32(row.get(2)?).to_string())),
        about: None,
        body: Bytes::from(row.get::<_, Vec<u8>>(3)?),
        recorded_ms: Some(row.get(4)?),
    })
}
