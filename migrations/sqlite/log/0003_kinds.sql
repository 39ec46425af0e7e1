-- Every kind of event that was ever stored, each schema of it, and where it is first: a version that does not know one of them
-- finds that out without reading the events. Filled by the program, which knows what it can read.

CREATE TABLE kinds (
    kind           TEXT    NOT NULL,
    schema         INTEGER NOT NULL,
    first_position INTEGER NOT NULL,
    PRIMARY KEY (kind, schema)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER kinds_are_never_changed BEFORE UPDATE ON kinds
BEGIN SELECT RAISE(ABORT, 'kinds are never changed'); END;

CREATE TRIGGER kinds_are_never_removed BEFORE DELETE ON kinds
BEGIN SELECT RAISE(ABORT, 'kinds are never removed'); END;
