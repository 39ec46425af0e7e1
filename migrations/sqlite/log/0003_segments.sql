-- Finished ranges of the log in one piece each, packed: the same events and commands once more, fast to read from end to end.

CREATE TABLE segments (
    first    INTEGER PRIMARY KEY,
    last     INTEGER NOT NULL,
    -- How the body is packed.
    format   INTEGER NOT NULL,
    -- How large it is when it is unpacked.
    bytes    INTEGER NOT NULL,
    -- The hash of the event at `last`, which covers everything up to it.
    tip      BLOB    NOT NULL,
    body     BLOB    NOT NULL
) STRICT;

CREATE TRIGGER segments_are_never_changed BEFORE UPDATE ON segments
BEGIN SELECT RAISE(ABORT, 'segments are never changed'); END;
