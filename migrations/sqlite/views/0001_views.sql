-- What pages and APIs show. Derived from the log, and made again from it whenever its shape changes.

CREATE TABLE checkpoint (
    name     TEXT    NOT NULL PRIMARY KEY,
    version  INTEGER NOT NULL,
    position INTEGER NOT NULL
) STRICT;

CREATE TABLE deposits (
    -- The position of the deposit's first event: the order in which deposits came.
    seq        INTEGER NOT NULL PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    target     TEXT,
    address    TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    body       TEXT    NOT NULL
) STRICT;

CREATE INDEX deposits_target ON deposits (target, seq) WHERE target IS NOT NULL;
CREATE INDEX deposits_status ON deposits (status, seq);

CREATE TABLE bindings (
    seq      INTEGER NOT NULL PRIMARY KEY,
    address  TEXT    NOT NULL UNIQUE,
    target   TEXT    NOT NULL,
    number   INTEGER NOT NULL,
    method   TEXT    NOT NULL,
    -- Microseconds since 1970-01-01 UTC.
    bound_at INTEGER NOT NULL
) STRICT;

CREATE INDEX bindings_target ON bindings (target, seq);
