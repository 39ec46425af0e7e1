-- What was read from the queue provider, what of it is to be delivered, and what tells repetitions.

-- The offset of the record that is read next, for each reader's name. It is committed with what the records before it came to.
CREATE TABLE offsets (
    reader    TEXT    NOT NULL,
    topic     TEXT    NOT NULL,
    partition INTEGER NOT NULL,
    next      INTEGER NOT NULL,
    PRIMARY KEY (reader, topic, partition)
) STRICT, WITHOUT ROWID;

-- Positions are never given twice, also not after the last message was deleted.
CREATE TABLE messages (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id       BLOB    NOT NULL,
    customer BLOB    NOT NULL,
    body     BLOB    NOT NULL,
    taken_ms INTEGER NOT NULL
) STRICT;

-- The keys of a customer's messages, and when each was last seen.
CREATE TABLE keys (
    customer BLOB    NOT NULL,
    key      TEXT    NOT NULL,
    seen_ms  INTEGER NOT NULL,
    PRIMARY KEY (customer, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_by_age ON keys (seen_ms);

-- After which position a subscription is told.
CREATE TABLE beginnings (
    subscription BLOB    PRIMARY KEY,
    after        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
