-- Where subscriptions are among the notifications, what waits to be sent again, and every attempt that was made.

-- A subscription's number in this file.
CREATE TABLE subscriptions (
    number INTEGER PRIMARY KEY,
    id     BLOB NOT NULL UNIQUE
) STRICT;

-- `open` is what was claimed and is not settled: for each position the distance to the one before, the attempts, the
-- failures and the order key, as numbers in seven bits a byte. `disabled` says why nothing is sent, and
-- `closed_until_ms` until when, where that is for a time.
CREATE TABLE cursors (
    subscription       INTEGER PRIMARY KEY REFERENCES subscriptions (number),
    dispatched_through INTEGER NOT NULL,
    open               BLOB    NOT NULL,
    disabled           TEXT,
    closed_until_ms    INTEGER NOT NULL
) STRICT;

CREATE TABLE retries (
    subscription  INTEGER NOT NULL,
    position      INTEGER NOT NULL,
    not_before_ms INTEGER NOT NULL,
    attempts      INTEGER NOT NULL,
    failures      INTEGER NOT NULL,
    order_key     INTEGER,
    PRIMARY KEY (subscription, position)
) STRICT, WITHOUT ROWID;

-- One row an attempt. `class` is `delivered`, `status`, or why there was no answer; `unknown` when the process ended before
-- it knew. `notification` is empty where the attempt was made by such a process.
CREATE TABLE attempts (
    number       INTEGER PRIMARY KEY,
    subscription INTEGER NOT NULL,
    position     INTEGER NOT NULL,
    notification BLOB,
    attempt      INTEGER NOT NULL,
    started_ms   INTEGER NOT NULL,
    took_us      INTEGER NOT NULL,
    class        TEXT    NOT NULL,
    status       INTEGER,
    answer       BLOB,
    error        TEXT,
    next_ms      INTEGER,
    epoch        INTEGER NOT NULL
) STRICT;

-- By position first: all endpoints are at about the same place, so a commit writes a few pages of it and not one an endpoint.
CREATE INDEX attempts_of ON attempts (position, subscription);

-- The process's number among those that wrote here.
CREATE TABLE epochs (
    number     INTEGER PRIMARY KEY,
    started_ms INTEGER NOT NULL
) STRICT;
