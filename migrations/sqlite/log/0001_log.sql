-- The event log. One writer, append-only; `streams` and `snapshots` can be made again from `events`.

CREATE TABLE streams (
    id       INTEGER PRIMARY KEY,
    name     TEXT    NOT NULL UNIQUE,
    category INTEGER NOT NULL,
    -- What of the outside world the stream stands for (a deposit: its output). At most one stream each.
    key      TEXT    UNIQUE,
    -- What many streams share (a binding: its customer).
    label    TEXT,
    -- 1 while something is still expected to happen in it.
    open     INTEGER NOT NULL
) STRICT;

CREATE INDEX streams_open ON streams (category, id) WHERE open = 1;
CREATE INDEX streams_label ON streams (label) WHERE label IS NOT NULL;

CREATE TABLE events (
    position    INTEGER PRIMARY KEY,
    stream      INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    schema      INTEGER NOT NULL,
    payload     TEXT    NOT NULL,
    causation   INTEGER,
    correlation BLOB,
    command_id  BLOB    NOT NULL,
    -- Microseconds since 1970-01-01 UTC.
    recorded_at INTEGER NOT NULL,
    -- SHA-256 over the hash before it and everything above.
    hash        BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX events_stream_version ON events (stream, version);

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;

CREATE TRIGGER events_are_never_removed BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are never removed'); END;

-- What was asked, with all that the decision rested on; and which events came of it.
CREATE TABLE commands (
    id             BLOB    NOT NULL PRIMARY KEY,
    first_position INTEGER NOT NULL,
    last_position  INTEGER NOT NULL,
    name           TEXT    NOT NULL,
    body           TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER commands_are_never_changed BEFORE UPDATE ON commands
BEGIN SELECT RAISE(ABORT, 'commands are never changed'); END;

CREATE TRIGGER commands_are_never_removed BEFORE DELETE ON commands
BEGIN SELECT RAISE(ABORT, 'commands are never removed'); END;

CREATE TABLE snapshots (
    stream  INTEGER NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    state   TEXT    NOT NULL,
    -- SHA-256 over stream name, version and state.
    hash    BLOB    NOT NULL
) STRICT;
